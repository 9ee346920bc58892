//! The store's synchronous core: all transactions, over a backend, in one thread and under anybody's clock.
//!
//! Each method changes a layer in memory that all later reads see; [`Book::commit`] makes it durable as one batch. Nothing
//! may be answered to anybody before that. After an error that [is fatal](StoreError::is_fatal) the layer may be half
//! done, so the book refuses everything, also to commit.

mod decisions;
mod lanes;
mod operator;
mod owed;
mod prune;
mod quarantine;
mod reads;
mod schedule;
mod table;
mod waiting;

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use owed::Owed;
use schedule::Schedule;
use table::Table;
use waiting::{Waiting, WaitingRoom};

pub use reads::LONGEST_LIST;

use super::backend::Backend;
use super::types::{Decide, DueByClass, Settings, Span};
use super::{StoreError, keys, record};
use crate::engine::{AlertId, Entry, Policy, System, Timestamp};
use crate::metrics::Metrics;

/// The schema's version that this code writes. The first one, before 0.1.0, had its timelines under other keys.
pub const SCHEMA: u32 = 2;

/// The store's synchronous core.
#[derive(Debug)]
pub struct Book {
    table: Table,
    policy: Policy,
    decide: Decide,
    schedule: Schedule,
    waiting: WaitingRoom,
    owed: Owed,
    counters: Counters,
    committed_counters: Counters,
    metrics: Metrics,
    broken: bool,
}

/// What the store knows of itself.
#[derive(Debug, Serialize, Deserialize)]
struct About {
    schema: u32,
    first_ran_at: Timestamp,
}

/// Numbers given so far, and how much there is of what is never scanned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Counters {
    entry: u64,
    timeline: u64,
    marker: u64,
    waiting: u64,
    quarantine: u64,
    dead_letters: u64,
    quarantined: u64,
    quarantine_expired: u64,
    paused_links: u64,
}

/// The automation user's ids in PagerDuty, and whose they are.
#[derive(Default, Serialize, Deserialize)]
struct LearntIds {
    email: String,
    ids: BTreeSet<String>,
}

impl Book {
    /// Opens what `backend` holds, and makes it new if that is nothing. Reads the entries, the waiting room and the
    /// outstanding creates, but no link. `now` is by our clock.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::UnknownVersion`] if what is there cannot be read; nothing is changed then.
    pub fn open(backend: Backend, settings: Settings, now: Timestamp) -> Result<Self, StoreError> {
        let mut table = Table::new(backend);
        let mut policy = settings.policy;
        policy.first_ran_at = about(&mut table, now)?.first_ran_at;
        // With another address, the ids that were learnt are another user's, who may well be a person by now.
        let learnt: Option<LearntIds> = table.get(keys::IDENTITY)?;
        policy.identity.pagerduty_ids =
            learnt.filter(|learnt| learnt.email == policy.identity.pagerduty_email).map(|l| l.ids).unwrap_or_default();
        let counters: Counters = table.get(keys::COUNTERS)?.unwrap_or_default();
        let (schedule, waiting, owed) = (Schedule::default(), WaitingRoom::default(), Owed::default());
        let committed_counters = counters.clone();
        let (decide, metrics) = (settings.decide, settings.metrics);
        let broken = false;
        let mut book =
            Self { table, policy, decide, schedule, waiting, owed, counters, committed_counters, metrics, broken };
        book.rebuild()?;
        book.commit()?;
        Ok(book)
    }

    /// Makes durable, as one, whatever was changed since the last time. Blocks.
    ///
    /// # Errors
    /// Whatever the backend meets; fatal. [`StoreError::Closed`] after an earlier fatal error.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.transact(|book| {
            if book.counters != book.committed_counters {
                book.table.put(keys::COUNTERS, &book.counters)?;
            }
            book.table.commit()?;
            book.committed_counters = book.counters.clone();
            Ok(())
        })
    }

    /// How often anything was committed since the book was opened.
    pub(in crate::store) fn commits(&self) -> u64 {
        self.table.commits()
    }

    /// Keeps an id of the automation user in PagerDuty; from now on, whoever bears it is us.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn learn(&mut self, pagerduty_id: String) -> Result<(), StoreError> {
        self.transact(|book| {
            if book.policy.identity.pagerduty_ids.insert(pagerduty_id) {
                book.save_identity()?;
            }
            Ok(())
        })
    }

    /// Puts down up to when the alerts were compared with the links, by Opsgenie's clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn set_reconciled_until(&mut self, until: Timestamp) -> Result<(), StoreError> {
        self.transact(|book| book.table.put(keys::RECONCILED, &until))
    }

    /// Has what happened since the beginning of `span` count here, if it did not.
    fn reach_back_to(&mut self, span: Span) -> Result<(), StoreError> {
        let (own, pruned_at) = (self.span()?, self.pruned_at()?);
        let span = own.reaching_back_to(span);
        if span == own {
            return Ok(());
        }
        // By which our clock is believed, and which would else go back as well.
        self.table.put(keys::PRUNED, &pruned_at)?;
        self.table.put(keys::RECONCILED, &span.reconciled_until)?;
        self.table.put(keys::STORE, &About { schema: SCHEMA, first_ran_at: span.first_ran_at })?;
        self.policy.first_ran_at = span.first_ran_at;
        Ok(())
    }

    fn save_identity(&mut self) -> Result<(), StoreError> {
        let identity = &self.policy.identity;
        let learnt = LearntIds { email: identity.pagerduty_email.clone(), ids: identity.pagerduty_ids.clone() };
        self.table.put(keys::IDENTITY, &learnt)
    }

    /// What decisions depend on now.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// When the next entry for `system` is due, or was, by the class of its lane. Entries that are held are not counted once a
    /// claim has met them. A time more than ten minutes ahead comes from a clock that was set back: claim now.
    pub fn due(&self, system: System) -> DueByClass {
        self.schedule.side(system).due()
    }

    /// When the next entry for `system` is due, or was, whatever its class; see [`Book::due`].
    pub fn next_due(&self, system: System) -> Option<Timestamp> {
        self.due(system).into_iter().flatten().min()
    }

    /// Whether work for `system` was put in, put off or let go on since this was last asked.
    pub(super) fn take_changed(&mut self, system: System) -> bool {
        self.schedule.side_mut(system).take_changed()
    }

    /// Runs `change`, and refuses everything from its first fatal error on.
    fn transact<T>(&mut self, change: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        if self.broken {
            return Err(StoreError::Closed);
        }
        // Set before, so that it also holds if a decision panics half-way.
        self.broken = true;
        let result = change(self);
        self.broken = result.as_ref().is_err_and(StoreError::is_fatal);
        result
    }

    fn rebuild(&mut self) -> Result<(), StoreError> {
        let Self { table, schedule, waiting, owed, .. } = self;
        for system in [System::Opsgenie, System::PagerDuty] {
            table.visit(keys::lanes(system), |_, entry: Entry| {
                schedule.side_mut(system).push(&entry);
                ControlFlow::Continue(())
            })?;
        }
        table.visit(keys::OUTSTANDING, |_, (alert, marker): (AlertId, u64)| {
            waiting.begin(&alert, marker);
            ControlFlow::Continue(())
        })?;
        table.visit(keys::OWED, |_, (alert, since): (AlertId, Timestamp)| {
            owed.insert(&alert, since);
            ControlFlow::Continue(())
        })?;
        let mut unnumbered = None;
        table.visit(keys::WAITING, |key, event: Waiting| {
            match keys::number(&key) {
                Some(number) => waiting.enter(number, event.until, &event.incident),
                None => unnumbered = Some(key),
            }
            ControlFlow::Continue(())
        })?;
        match unnumbered {
            Some(key) => Err(record::damaged(&key, "its key holds no number")),
            None => Ok(()),
        }
    }
}

/// What the store knows of itself; a new one is told now.
fn about(table: &mut Table, now: Timestamp) -> Result<About, StoreError> {
    let about: Option<serde_json::Value> = table.get(keys::STORE)?;
    let Some(about) = about else {
        if !table.is_empty()? {
            return Err(record::damaged(keys::STORE, "it is missing, although there is data"));
        }
        let about = About { schema: SCHEMA, first_ran_at: now };
        table.put_new(keys::STORE, &about)?;
        table.put_new(keys::IDENTITY, &LearntIds::default())?;
        return Ok(about);
    };
    // The version first: whatever else a later one puts here need not be readable.
    let schema = about.get("schema").and_then(serde_json::Value::as_u64).unwrap_or_default();
    if schema != u64::from(SCHEMA) {
        let found = u32::try_from(schema).unwrap_or(u32::MAX);
        return Err(StoreError::UnknownVersion { key: keys::readable(keys::STORE), found });
    }
    serde_json::from_value(about).map_err(|e| record::damaged(keys::STORE, e.to_string()))
}

/// The next number of a counter.
fn next(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter
}
