//! The thread that owns all writes. It takes whatever is queued, runs it against the book, commits once, and only then
//! answers everybody.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use super::StoreError;
use super::book::Book;
use super::shared::{Load, Shared};
use crate::engine::System;
use crate::metrics::Metrics;

/// How many requests share one commit at most.
pub(super) const LONGEST_BATCH: usize = 512;

/// How often the committer looks whether the store has failed elsewhere while it has nothing to do.
const IDLE_LOOK: Duration = Duration::from_millis(500);

/// What the committer is sent.
pub(super) enum Message {
    /// Something to be done.
    Run(Request),
    /// Finish what was queued before, and end.
    Close,
}

/// Something to be done to the book, and how much of the queue it takes up until it is answered.
pub(super) struct Request {
    pub(super) run: Box<dyn FnOnce(&mut Book) -> Ran + Send>,
    pub(super) load: Option<Load>,
}

/// Something that was done, to be answered once it is durable.
pub(super) struct Ran {
    /// The error that makes the whole batch void, if there was one.
    pub(super) fatal: Option<StoreError>,
    /// Answers, with what was done or with the error that made it void.
    pub(super) answer: Box<dyn FnOnce(Result<(), StoreError>) + Send>,
}

pub(super) struct Committer {
    pub(super) book: Book,
    shared: Arc<Shared>,
    metrics: Metrics,
}

impl Committer {
    /// Tells at once what is due: whoever gets the store knows it before anything is requested.
    pub(super) fn new(book: Book, shared: Arc<Shared>, metrics: Metrics) -> Self {
        let mut committer = Self { book, shared, metrics };
        committer.publish();
        committer
    }

    /// Works until it is told to close, all handles are gone, or something fatal happens.
    pub(super) fn run(mut self, requests: &Receiver<Message>) {
        let mut watchdog = Watchdog { shared: Arc::clone(&self.shared), orderly: false };
        self.work(requests);
        watchdog.orderly = true;
    }

    fn work(&mut self, requests: &Receiver<Message>) {
        loop {
            let first = match requests.recv_timeout(IDLE_LOOK) {
                Ok(first) => first,
                Err(RecvTimeoutError::Timeout) if self.shared.has_failed() => return,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if self.shared.has_failed() {
                return;
            }
            let (batch, closing) = gather(requests, first);
            if self.run_batch(batch).is_err() || closing {
                return;
            }
        }
    }

    pub(super) fn run_batch(&mut self, batch: Vec<Request>) -> Result<(), StoreError> {
        let mut answers = Vec::with_capacity(batch.len());
        let mut outcome = Ok(());
        for request in batch {
            let ran = (request.run)(&mut self.book);
            answers.push((ran.answer, request.load));
            if let Some(fatal) = ran.fatal {
                // The rest of the batch is dropped, which its callers see as closed.
                outcome = Err(fatal);
                break;
            }
        }
        let started = Instant::now();
        let outcome = outcome.and_then(|()| self.book.commit());
        self.metrics.committed(answers.len(), started.elapsed());
        if let Err(error) = &outcome {
            // Whoever waits for the failure logs it and ends the process.
            tracing::debug!(error = %error, "the store has failed");
            // Before anybody is answered, so that no later call slips in.
            self.shared.fail(error.clone());
        }
        self.publish();
        for (answer, load) in answers {
            // First the place in the queue, so that whoever is answered finds it free.
            drop(load);
            answer(outcome.clone());
        }
        outcome
    }

    /// Tells the dispatchers what is due, and wakes them if there may be something new.
    fn publish(&mut self) {
        for system in [System::Opsgenie, System::PagerDuty] {
            let changed = self.book.take_changed(system);
            self.shared.publish(system, self.book.due(system), changed);
        }
        self.shared.set_commits(self.book.commits());
    }
}

/// The first message and whatever came after it, up to a batch.
fn gather(requests: &Receiver<Message>, first: Message) -> (Vec<Request>, bool) {
    let mut batch = Vec::new();
    let mut next = Ok(first);
    loop {
        match next {
            Ok(Message::Run(request)) => batch.push(request),
            Ok(Message::Close) => return (batch, true),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => return (batch, false),
        }
        if batch.len() == LONGEST_BATCH {
            return (batch, false);
        }
        next = requests.try_recv();
    }
}

/// Notices if the committer ends by a panic.
struct Watchdog {
    shared: Arc<Shared>,
    orderly: bool,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if !self.orderly {
            self.shared.fail(StoreError::Panicked);
        }
        self.shared.close();
    }
}
