//! A store without threads: whoever opened it does the committer's work, when they see fit. For worlds in one thread and
//! under a time of their own, where a crash can come between any two steps.

use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::backend::Backend;
use super::book::Book;
use super::committer::{Committer, LONGEST_BATCH, Message, Request};
use super::shared::Shared;
use super::{Queue, Settings, Store, StoreError};
use crate::engine::Timestamp;

/// The committer's work, to be done by hand.
pub struct ByHand {
    committer: Committer,
    queue: UnboundedReceiver<Message>,
    gathered: Vec<Message>,
}

impl Store {
    /// Opens the store on a backend, to be worked by hand: nothing is done, and nobody answered, before
    /// [`ByHand::commit`]. `now` is by the caller's clock.
    ///
    /// # Errors
    /// Whatever makes it unreadable.
    pub fn by_hand(backend: Backend, settings: Settings, now: Timestamp) -> Result<(Self, ByHand), StoreError> {
        let (min_free_bytes, metrics) = (settings.min_free_bytes, settings.metrics.clone());
        let book = Book::open(backend.clone(), settings, now)?;
        let shared = Arc::new(Shared::new(min_free_bytes, backend.room()?));
        let (requests, queue) = unbounded_channel();
        let committer = Committer::new(book, Arc::clone(&shared), metrics);
        let (owner, threads) = (backend.owner().map(Arc::from), Arc::default());
        let store = Self { requests: Queue::ByHand(requests), shared, owner, threads };
        Ok((store, ByHand { committer, queue, gathered: Vec::new() }))
    }
}

impl ByHand {
    /// Waits until there is something to do. False once there never will be.
    pub async fn requested(&mut self) -> bool {
        !self.gathered.is_empty() || self.queue.recv_many(&mut self.gathered, LONGEST_BATCH).await > 0
    }

    /// Does what was requested by now as one batch, makes it durable, and answers. What was requested and not committed is
    /// lost with this.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        while self.gathered.len() < LONGEST_BATCH
            && let Ok(message) = self.queue.try_recv()
        {
            self.gathered.push(message);
        }
        let requests = self.gathered.drain(..).filter_map(|message| match message {
            Message::Run(request) => Some(request),
            Message::Close => None,
        });
        let batch: Vec<Request> = requests.collect();
        self.committer.run_batch(batch)
    }

    /// The store's core, to look into.
    pub fn book(&self) -> &Book {
        &self.committer.book
    }
}
