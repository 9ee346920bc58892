//! Pages that are owed: which alerts are to have an incident and have none, and since when.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::time::Duration;

use super::Book;
use crate::engine::outage::Outage;
use crate::engine::{AlertId, Entry, Link, Page, Status, System, Timestamp};
use crate::store::types::{Late, LatePage};
use crate::store::{StoreError, keys};

/// Which pages are owed, in memory.
#[derive(Debug, Default)]
pub(super) struct Owed {
    since: HashMap<AlertId, Timestamp>,
    by_time: BTreeSet<(Timestamp, AlertId)>,
}

impl Owed {
    pub(super) fn insert(&mut self, alert: &AlertId, since: Timestamp) {
        self.remove(alert);
        self.since.insert(alert.clone(), since);
        self.by_time.insert((since, alert.clone()));
    }

    pub(super) fn remove(&mut self, alert: &AlertId) {
        if let Some(since) = self.since.remove(alert) {
            self.by_time.remove(&(since, alert.clone()));
        }
    }
}

/// Whether somebody is to be paged for what is not over, and has not been.
fn is_owed(link: &Link) -> bool {
    let is_over = link.alert_deleted || link.opsgenie.known.is_some_and(|known| known.status == Status::Resolved);
    matches!(link.page, Page::Joining | Page::Pending | Page::Dead) && !is_over
}

impl Book {
    /// The pages that have been owed for longer than `after` at `now`, by our clock: how many there are, and the first `limit` of
    /// them after `behind`, longest owed first.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn late_pages(
        &self,
        now: Timestamp,
        after: Duration,
        behind: Option<&(Timestamp, AlertId)>,
        limit: usize,
    ) -> Result<Late, StoreError> {
        let by_time = &self.owed.by_time;
        // What is owed from a later moment on is so by a clock that was set back.
        let has_waited = |since: Timestamp| since.plus(after) <= now;
        let late = |(since, _): &&(Timestamp, AlertId)| has_waited(*since) || *since > now.plus(after);
        let newest = by_time.iter().rev().map(|(since, _)| *since).find(|since| has_waited(*since));
        let from = behind.map_or(Bound::Unbounded, Bound::Excluded);
        let pages = by_time.range((from, Bound::Unbounded)).filter(late).take(limit);
        Ok(Late {
            count: by_time.iter().filter(late).count(),
            oldest: by_time.iter().find(late).map(|(since, _)| *since),
            newest_at: newest.map(|since| since.plus(after)),
            pages: pages.map(|(since, alert)| self.late_page(*since, alert)).collect::<Result<_, _>>()?,
        })
    }

    fn late_page(&self, since: Timestamp, alert: &AlertId) -> Result<LatePage, StoreError> {
        let link: Link = self.table.need(&keys::link(alert))?;
        let waits_for = if link.page == Page::Joining || link.redriven { System::Opsgenie } else { System::PagerDuty };
        let is_page = |entry: &Entry| entry.command.action.is_for_the_page();
        let letter = self.dead_letters_of(alert)?.into_iter().find(|letter| is_page(&letter.entry));
        let queued = self.lane(waits_for, alert)?.into_iter().find(is_page);
        let given_up = queued.is_none() && letter.is_some();
        let trouble =
            if given_up { letter.map(|letter| letter.reason) } else { queued.and_then(|entry| entry.trouble) };
        Ok(LatePage { alert: alert.clone(), since, title: link.facts.message, waits_for, trouble, given_up })
    }

    /// Puts down whether a page is owed after a link has changed.
    pub(super) fn follow_owed(&mut self, before: Option<&Link>, after: Option<&Link>) -> Result<(), StoreError> {
        let owed = |link: Option<&Link>| link.is_some_and(is_owed);
        let Some(link) = after.or(before).filter(|_| owed(before) != owed(after)) else { return Ok(()) };
        let key = keys::owed(&link.alert);
        if owed(after) {
            self.owed.insert(&link.alert, link.changed_at);
            return self.table.put(&key, &(&link.alert, link.changed_at));
        }
        self.owed.remove(&link.alert);
        self.table.delete(&key)
    }

    /// The outage that somebody was told of, or is to be.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn outage(&self) -> Result<Option<Outage>, StoreError> {
        self.table.get(keys::OUTAGE)
    }

    /// Puts down how far telling somebody of an outage has come; nothing if it is over.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn set_outage(&mut self, outage: Option<&Outage>) -> Result<(), StoreError> {
        self.transact(|book| match outage {
            Some(outage) => book.table.put(keys::OUTAGE, outage),
            None => book.table.delete(keys::OUTAGE),
        })
    }
}
