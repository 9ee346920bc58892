//! The durable store: links, the outbox, timelines, and what was seen before.
//!
//! ```text
//!  handles (async) ──► queue ──► committer (a thread) ──► Book ──► Table ──► Backend (sled, or memory)
//!        ▲                          │ 512 requests, one batch, one sync       │
//!        └──── answers, only after the sync ◄──────────────────────────────────┘
//! ```
//!
//! A single writer means that a decision needs no transaction, no lock and no retry. Whatever was answered is on disk.
//! Any trouble with the database is fatal: nothing is deleted to repair it, and [`Store::failed`] tells the process to end.

pub mod backend;
pub mod book;
mod by_hand;
mod committer;
mod error;
mod keeper;
mod keys;
pub mod memory;
mod operator;
mod outage;
mod owner;
mod prune;
mod record;
mod shared;
pub mod sled;
mod types;
mod url;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use serde::Serialize;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::engine::{AlertId, Class, Entry, Event, IncidentId, Link, Outcome, Reason, System, Timestamp};
use backend::Backend;
use book::Book;
use committer::{Committer, Message, Ran, Request};
use keeper::Keeper;
use shared::{Load, Shared};

pub use book::SCHEMA;
pub use by_hand::ByHand;
pub use error::StoreError;
pub use types::{
    Claim, DeadLetter, Decide, Discarded, DueByClass, Form, Late, LatePage, PrunePlace, Pruned, Quarantined,
    QuarantinedHead, Queued, Recorded, Room, Settings, Span, Summary, TimelineEntry, Unlinking, Verdict, Waits,
};
pub use url::{DatabaseUrl, DatabaseUrlError};

/// A handle on the store. Clones are cheap and mean the same store.
///
/// What changes something is done even if the caller stops waiting for the answer; a claim that nobody receives stays
/// claimed until the process ends, so a dispatcher must not drop [`Store::claim`] half-way and go on.
#[derive(Clone, Debug)]
pub struct Store {
    requests: Queue,
    shared: Arc<Shared>,
    owner: Option<Arc<str>>,
    threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
}

/// Where requests wait for the committer.
#[derive(Clone, Debug)]
enum Queue {
    Thread(Sender<Message>),
    ByHand(UnboundedSender<Message>),
}

impl Queue {
    fn send(&self, message: Message) -> Result<(), StoreError> {
        match self {
            Self::Thread(queue) => queue.send(message).map_err(|_| StoreError::Closed),
            Self::ByHand(queue) => queue.send(message).map_err(|_| StoreError::Closed),
        }
    }
}

impl Store {
    /// Opens the database at `url`, and makes it if there is none. Blocks. `now` is by our clock.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it; whatever makes it unreadable.
    pub fn open(url: &DatabaseUrl, settings: Settings, now: Timestamp) -> Result<Self, StoreError> {
        let DatabaseUrl::Sled(folder) = url;
        Self::on(Backend::sled(folder)?, settings, now)
    }

    /// Opens the store on a backend. Blocks. `now` is by our clock.
    ///
    /// # Errors
    /// Whatever makes it unreadable.
    pub fn on(backend: Backend, settings: Settings, now: Timestamp) -> Result<Self, StoreError> {
        let (min_free_bytes, metrics) = (settings.min_free_bytes, settings.metrics.clone());
        let book = Book::open(backend.clone(), settings, now)?;
        // Only now: a new database has nothing on disk before it is opened.
        let shared = Arc::new(Shared::new(min_free_bytes, backend.room()?));
        let (requests, queue) = mpsc::channel();
        let (keeper, stop) = mpsc::channel();
        let committer = Committer::new(book, Arc::clone(&shared), metrics);
        let commit = move || {
            committer.run(&queue);
            // Which ends the keeper.
            drop(keeper);
        };
        let owner = backend.owner().map(Arc::from);
        let keeper = Keeper { backend, shared: Arc::clone(&shared), stop, next: Vec::new() };
        let threads = [spawn("store-committer", commit), spawn("store-keeper", move || keeper.run())];
        let threads: Vec<_> =
            threads.into_iter().collect::<Result<_, _>>().map_err(|e| StoreError::io("start its threads", e))?;
        Ok(Self { requests: Queue::Thread(requests), shared, owner, threads: Arc::new(Mutex::new(threads)) })
    }

    /// Takes in an event: decides on it and whatever it lets go on, or lets it wait, unless it is a repeat.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::DiskLow`] if it must be sent again later; fatal ones.
    pub async fn record(&self, event: Event) -> Result<Recorded, StoreError> {
        let load = self.shared.admit(stored_size(&event))?;
        let recorded = self.ask(Some(load), move |book| book.record(event)).await?;
        tell_of_pauses(&recorded);
        Ok(recorded)
    }

    /// Puts away what could not be read, and says under which number.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::DiskLow`] if it must be sent again later; fatal ones.
    pub async fn quarantine(&self, item: Quarantined) -> Result<u64, StoreError> {
        let load = self.shared.admit(item.body.len())?;
        self.ask(Some(load), move |book| book.quarantine(&item)).await
    }

    /// Claims the first entries of up to `limit` lanes of `system` that are due at `now`: the most urgent lanes first, of
    /// those the longest due. Each is to be ended by [`Store::settle`] or [`Store::release`]; the process's end ends all.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn claim(&self, system: System, limit: usize, now: Timestamp) -> Result<Vec<Claim>, StoreError> {
        self.ask(None, move |book| book.claim(system, limit, now)).await
    }

    /// The same, of lanes of that class alone.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn claim_of(
        &self,
        class: Class,
        system: System,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        self.ask(None, move |book| book.claim_of(class, system, limit, now)).await
    }

    /// Stores how far a claimed entry has come. It stays claimed.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more; fatal ones.
    pub async fn save(&self, entry: Entry) -> Result<(), StoreError> {
        self.ask(None, move |book| book.save(entry)).await
    }

    /// Stores how far a claimed entry has come, and ends its claim; it may be claimed again from its `due_at` on.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more; fatal ones.
    pub async fn release(&self, entry: Entry) -> Result<(), StoreError> {
        self.ask(None, |book| book.release(entry)).await
    }

    /// Ends a claim and stores nothing: from the entry's `due_at` on, the next claim finds it as it was stored last.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more; fatal ones.
    pub async fn put_off(&self, entry: Entry) -> Result<(), StoreError> {
        self.ask(None, |book| book.put_off(entry)).await
    }

    /// Ends a claimed entry: it leaves its lane, and how it ended is decided on like any other event. What was given up
    /// goes to the dead letters. `now` is by our clock.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more; fatal ones.
    pub async fn settle(&self, entry: Entry, outcome: Outcome, now: Timestamp) -> Result<Recorded, StoreError> {
        let recorded = self.ask(None, move |book| book.settle(entry, outcome, now)).await?;
        tell_of_pauses(&recorded);
        Ok(recorded)
    }

    /// Keeps an id of the automation user in PagerDuty; from now on, whoever bears it is us.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn learn(&self, pagerduty_id: String) -> Result<(), StoreError> {
        self.ask(None, move |book| book.learn(pagerduty_id)).await
    }

    /// An alert's link, as it is now.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn link(&self, alert: &AlertId) -> Result<Option<Link>, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.link(&alert)).await
    }

    /// The links of an incident: several after a merge.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn links_of(&self, incident: &IncidentId) -> Result<Vec<Link>, StoreError> {
        let incident = incident.clone();
        self.ask(None, move |book| book.links_of(&incident)).await
    }

    /// The links after that of `after`, in the order of their alerts' ids, at most `limit` of them: one page of all links.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn links_after(&self, after: Option<AlertId>, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.ask(None, move |book| book.links_after(after.as_ref(), limit)).await
    }

    /// The links of all these incidents.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn links_of_all(&self, incidents: Vec<IncidentId>) -> Result<Vec<Link>, StoreError> {
        self.ask(None, move |book| {
            let links: Result<Vec<_>, _> = incidents.iter().map(|incident| book.links_of(incident)).collect();
            Ok(links?.into_iter().flatten().collect())
        })
        .await
    }

    /// The open links after that of `after`, in the order of their alerts' ids, at most `limit` of them: one page of all that are
    /// open.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn open_links_after(&self, after: Option<AlertId>, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.ask(None, move |book| book.open_links_after(after.as_ref(), limit)).await
    }

    /// Up to when the alerts were compared with the links, by Opsgenie's clock; if they never were, when crosspage first ran.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn reconciled_until(&self) -> Result<Timestamp, StoreError> {
        self.ask(None, |book| book.reconciled_until()).await
    }

    /// Puts down up to when the alerts were compared with the links, by Opsgenie's clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn set_reconciled_until(&self, until: Timestamp) -> Result<(), StoreError> {
        self.ask(None, move |book| book.set_reconciled_until(until)).await
    }

    /// What happened to an alert's link, oldest first; at most the newest [`book::LONGEST_LIST`].
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn timeline(&self, alert: &AlertId) -> Result<Vec<TimelineEntry>, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.timeline(&alert)).await
    }

    /// What is still to be done for an alert's link, in the order it was put in.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn entries(&self, alert: &AlertId) -> Result<Vec<Entry>, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.entries(&alert)).await
    }

    /// The first `limit` of what was given up, by alert; with `after`, those behind the letter of that alert and entry.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn dead_letters(
        &self,
        after: Option<(AlertId, u64)>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let run = move |book: &mut Book| book.dead_letters(after.as_ref().map(|(alert, entry)| (alert, *entry)), limit);
        self.ask(None, run).await
    }

    /// All that was given up for an alert.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn dead_letters_of(&self, alert: &AlertId) -> Result<Vec<DeadLetter>, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.dead_letters_of(&alert)).await
    }

    /// The first `limit` of what could not be read and has a number after that one, oldest first, each with its number.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn quarantined_after(
        &self,
        number: u64,
        limit: usize,
    ) -> Result<Vec<(u64, QuarantinedHead)>, StoreError> {
        self.ask(None, move |book| book.quarantined_after(number, limit)).await
    }

    /// How much there is of everything.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn summary(&self) -> Result<Summary, StoreError> {
        self.ask(None, |book| Ok(book.summary())).await
    }

    /// When the next entry for `system` is due, or was, by the class of its lane, as of the last commit. Costs nothing. A
    /// time more than ten minutes ahead comes from a clock that was set back: claim now.
    pub fn due(&self, system: System) -> DueByClass {
        self.shared.due(system)
    }

    /// Waits until there may be new work for `system`, perhaps due only later. What came since the last wait counts, so
    /// nothing is lost between a claim and the wait. For one dispatcher a system: a second one would take its wake-ups.
    pub async fn work_changed(&self, system: System) {
        self.shared.changed(system).await;
    }

    /// How often anything was committed since the store was opened: while it stays the same, so does what is stored. Costs nothing.
    pub fn commits(&self) -> u64 {
        self.shared.commits()
    }

    /// Whether events can be taken in; if not, why.
    ///
    /// # Errors
    /// What is wrong.
    pub fn ready(&self) -> Result<(), StoreError> {
        if let Some(failure) = self.shared.failure().borrow().as_ref() {
            return Err(failure.clone());
        }
        if self.shared.is_closed() {
            return Err(StoreError::Closed);
        }
        self.shared.has_room_on_disk()
    }

    /// How much room the store takes up and has left, as of the last second. Costs nothing.
    pub fn room(&self) -> Room {
        self.shared.room()
    }

    /// Waits until the store fails, and says why: then the process should end. Waits for ever while all is well.
    pub fn failed(&self) -> impl Future<Output = StoreError> + Send + use<> {
        let mut failure = self.shared.failure();
        // An orderly close must not look like a failure, and must not be kept from ending by this wait.
        async move {
            match failure.wait_for(Option::is_some).await.map(|failure| failure.clone()) {
                Ok(Some(error)) => error,
                Ok(None) | Err(_) => std::future::pending().await,
            }
        }
    }

    /// Finishes what is queued and ends the store, for all its handles. The database is free for others then.
    ///
    /// # Errors
    /// Why it had failed, if it had.
    pub async fn close(self) -> Result<(), StoreError> {
        self.shared.close();
        // If the committer is gone already there is nothing to finish.
        let _ = self.requests.send(Message::Close);
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().try_for_each(JoinHandle::join)).await;
        let failure = self.shared.failure().borrow().clone();
        match (failure, joined) {
            (Some(failure), _) => Err(failure),
            (None, Ok(Ok(()))) => Ok(()),
            (None, _) => Err(StoreError::Panicked),
        }
    }

    /// Has the committer do something, and waits until that is durable.
    async fn ask<T: Send + 'static>(
        &self,
        load: Option<Load>,
        run: impl FnOnce(&mut Book) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        if self.shared.is_closed() {
            return Err(StoreError::Closed);
        }
        let (answer, answered) = oneshot::channel();
        let run = Box::new(move |book: &mut Book| {
            let result = run(book);
            let fatal = result.as_ref().err().filter(|error| error.is_fatal()).cloned();
            // Nobody may be waiting any more; it is done all the same.
            let answer = Box::new(move |committed: Result<(), StoreError>| {
                let _ = answer.send(committed.and(result));
            });
            Ran { fatal, answer }
        });
        self.requests.send(Message::Run(Request { run, load }))?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }
}

/// Says so where an event has paused a link: orders of operators do not come as events from outside, so its fuse has blown.
fn tell_of_pauses(recorded: &Recorded) {
    let Verdict::Decided(decisions) = &recorded.verdict else { return };
    for (alert, reason) in decisions {
        if let (Some(alert), Reason::Paused) = (alert, reason) {
            tracing::error!(
                alert.id = %alert,
                "a fuse has blown, since commands went in both directions as in a loop: the link is paused until it is resumed, by \
                 `crosspage links resume` with the alert's id"
            );
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// How many bytes a value takes up, more or less.
fn stored_size(value: &impl Serialize) -> usize {
    struct Count(usize);

    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut count = Count(0);
    // What cannot be written is refused when it is stored.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
