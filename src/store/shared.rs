//! What the handles, the committer and the keeper share: how full the queue is, what is due, how the disk is doing, and
//! whether the store has failed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

use super::StoreError;
use super::types::{DueByClass, Room};
use crate::engine::{Class, System, Timestamp};

/// How many bytes of events may wait to be stored.
pub(super) const QUEUE_BYTES: usize = 64 << 20;
/// How many events may wait to be stored.
pub(super) const QUEUE_REQUESTS: usize = 10_000;

#[derive(Debug)]
pub(super) struct Shared {
    failure: watch::Sender<Option<StoreError>>,
    closed: AtomicBool,
    queue: Arc<Queue>,
    size_bytes: AtomicU64,
    free_bytes: AtomicU64,
    min_free_bytes: u64,
    opsgenie: Work,
    pagerduty: Work,
    commits: AtomicU64,
}

#[derive(Debug, Default)]
struct Queue {
    bytes: AtomicUsize,
    requests: AtomicUsize,
}

/// A place in the queue, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Load {
    queue: Arc<Queue>,
    bytes: usize,
}

/// What is due for one system.
#[derive(Debug)]
struct Work {
    due: [AtomicI64; Class::OF_COMMANDS.len()],
    changed: Notify,
}

/// Stands for no time at all.
const NEVER: i64 = i64::MAX;

impl Shared {
    pub(super) fn new(min_free_bytes: u64, room: Room) -> Self {
        let work = || Work { due: std::array::from_fn(|_| AtomicI64::new(NEVER)), changed: Notify::new() };
        Self {
            failure: watch::Sender::new(None),
            closed: AtomicBool::new(false),
            queue: Arc::default(),
            size_bytes: AtomicU64::new(room.size),
            free_bytes: AtomicU64::new(room.free),
            min_free_bytes,
            opsgenie: work(),
            pagerduty: work(),
            commits: AtomicU64::new(0),
        }
    }

    /// Takes a place in the queue for something from outside, if there is room in it and on the disk.
    pub(super) fn admit(&self, bytes: usize) -> Result<Load, StoreError> {
        self.has_room_on_disk()?;
        // Counted first and given back if it was too much, so that no two callers take the same place.
        let load = Load { queue: Arc::clone(&self.queue), bytes };
        let queued = self.queue.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let requests = self.queue.requests.fetch_add(1, Ordering::Relaxed) + 1;
        if queued > QUEUE_BYTES || requests > QUEUE_REQUESTS { Err(StoreError::Busy) } else { Ok(load) }
    }

    /// Whether the disk has room for what comes from outside, as of the last look.
    pub(super) fn has_room_on_disk(&self) -> Result<(), StoreError> {
        let free = self.free_bytes.load(Ordering::Relaxed);
        if free < self.min_free_bytes {
            return Err(StoreError::DiskLow { free, needed: self.min_free_bytes });
        }
        Ok(())
    }

    pub(super) fn set_room(&self, room: Room) {
        self.size_bytes.store(room.size, Ordering::Relaxed);
        self.free_bytes.store(room.free, Ordering::Relaxed);
    }

    pub(super) fn room(&self) -> Room {
        Room { size: self.size_bytes.load(Ordering::Relaxed), free: self.free_bytes.load(Ordering::Relaxed) }
    }

    /// How often anything was committed since the store was opened.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    pub(super) fn set_commits(&self, commits: u64) {
        self.commits.store(commits, Ordering::Release);
    }

    /// Puts down why the store is of no use any more. The first reason stays.
    pub(super) fn fail(&self, error: StoreError) {
        self.failure.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                *failure = Some(error);
            }
            first
        });
        self.close();
    }

    /// Lets nothing in any more.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.borrow().is_some()
    }

    pub(super) fn failure(&self) -> watch::Receiver<Option<StoreError>> {
        self.failure.subscribe()
    }

    pub(super) fn publish(&self, system: System, due: DueByClass, changed: bool) {
        let work = self.work(system);
        for (place, due) in work.due.iter().zip(due) {
            place.store(due.map_or(NEVER, Timestamp::as_millis), Ordering::Release);
        }
        if changed {
            // Kept until somebody waits, so that none is lost between a look and the wait.
            work.changed.notify_one();
        }
    }

    pub(super) fn due(&self, system: System) -> DueByClass {
        self.work(system).due.each_ref().map(|due| {
            let due = due.load(Ordering::Acquire);
            (due != NEVER).then_some(Timestamp::from_millis(due))
        })
    }

    pub(super) async fn changed(&self, system: System) {
        self.work(system).changed.notified().await;
    }

    fn work(&self, system: System) -> &Work {
        match system {
            System::Opsgenie => &self.opsgenie,
            System::PagerDuty => &self.pagerduty,
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.queue.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
        self.queue.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
