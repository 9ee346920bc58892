//! What can be looked up.

use std::ops::ControlFlow;

use super::Book;
use super::waiting::Waiting;
use crate::engine::{AlertId, Entry, IncidentId, Link, System, Timestamp};
use crate::store::types::{DeadLetter, QuarantinedHead, Span, Summary, TimelineEntry, Waits};
use crate::store::{StoreError, keys, record};

/// How much a list shows at most: of a timeline the newest, of everything else what comes first.
pub const LONGEST_LIST: usize = 1000;

impl Book {
    /// An alert's link.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn link(&self, alert: &AlertId) -> Result<Option<Link>, StoreError> {
        self.table.get(&keys::link(alert))
    }

    /// The links of an incident: several after a merge.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn links_of(&self, incident: &IncidentId) -> Result<Vec<Link>, StoreError> {
        let alerts = self.alerts_with(incident)?;
        let links = alerts.iter().map(|alert| self.table.need::<Link>(&keys::link(alert)));
        links.filter(|link| link.as_ref().map_or(true, |link| link.incident() == Some(incident))).collect()
    }

    /// The links after that of `after`, in the order of their alerts' ids, at most `limit` of them.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn links_after(&self, after: Option<&AlertId>, limit: usize) -> Result<Vec<Link>, StoreError> {
        let from = after.map_or_else(|| keys::LINKS.to_vec(), |alert| keys::after(&keys::link(alert)));
        self.table.list_from(from, keys::LINKS, limit)
    }

    /// The open links after that of `after`, in the order of their alerts' ids, at most `limit` of them. Those that are over cost
    /// nothing.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn open_links_after(&self, after: Option<&AlertId>, limit: usize) -> Result<Vec<Link>, StoreError> {
        let from = after.map_or_else(|| keys::OPEN.to_vec(), |alert| keys::after(&keys::open(alert)));
        let alerts: Vec<AlertId> = self.table.list_from(from, keys::OPEN, limit)?;
        alerts.iter().map(|alert| self.table.need(&keys::link(alert))).collect()
    }

    /// Up to when the alerts were compared with the links, by Opsgenie's clock; if they never were, when crosspage first ran.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn reconciled_until(&self) -> Result<Timestamp, StoreError> {
        Ok(self.table.get(keys::RECONCILED)?.unwrap_or(self.policy.first_ran_at))
    }

    /// How far back this store reaches.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn span(&self) -> Result<Span, StoreError> {
        Ok(Span { first_ran_at: self.policy.first_ran_at, reconciled_until: self.reconciled_until()? })
    }

    /// What happened to an alert's link, oldest first; of a long story the end.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn timeline(&self, alert: &AlertId) -> Result<Vec<TimelineEntry>, StoreError> {
        let newest = self.timeline_before(alert, None, LONGEST_LIST)?;
        Ok(newest.into_iter().map(|(_, entry)| entry).collect())
    }

    /// What is still to be done for an alert's link, as it is stored, in the order it was put in.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn entries(&self, alert: &AlertId) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.lane(System::Opsgenie, alert)?;
        entries.extend(self.lane(System::PagerDuty, alert)?);
        entries.sort_by_key(|entry| entry.id);
        entries.truncate(LONGEST_LIST);
        Ok(entries)
    }

    /// The newest of what happened to an alert before that number, oldest first, each with its number; at most `limit`.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn timeline_before(
        &self,
        alert: &AlertId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, TimelineEntry)>, StoreError> {
        let mut places = Vec::new();
        self.table.visit(&keys::timeline(alert), |place, ()| {
            places.push(place);
            ControlFlow::Continue(())
        })?;
        let mut numbers = places.iter().map(|place| number_of(place)).collect::<Result<Vec<_>, _>>()?;
        numbers.retain(|number| before.is_none_or(|before| *number < before));
        numbers.drain(..numbers.len().saturating_sub(limit));
        numbers.into_iter().map(|number| Ok((number, self.table.need(&keys::happened(number))?))).collect()
    }

    /// What is to be done in `system`, by number, after that one; at most `limit`.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn entries_after(&self, system: System, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.table.list_from(keys::after(&keys::entry(system, after)), keys::lanes(system), limit)
    }

    /// How much is to be done for each of these alerts, in both systems.
    pub fn queued_for(&self, alerts: &[AlertId]) -> Vec<usize> {
        let of = |alert: &AlertId| {
            let count = |system| self.schedule.side(system).lane(alert).count();
            count(System::Opsgenie) + count(System::PagerDuty)
        };
        alerts.iter().map(of).collect()
    }

    /// What is bound for `system` on behalf of an alert, in order.
    pub(super) fn lane(&self, system: System, alert: &AlertId) -> Result<Vec<Entry>, StoreError> {
        self.schedule.side(system).lane(alert).map(|id| self.table.need(&keys::entry(system, id))).collect()
    }

    /// The first `limit` of what was given up, by alert; with `after`, those behind the letter of that alert and entry, whether
    /// or not that is still there.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn dead_letters(&self, after: Option<(&AlertId, u64)>, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let from = match after {
            Some((alert, entry)) => keys::after(&keys::dead_letter(alert, entry)),
            None => keys::DEAD_LETTERS.to_vec(),
        };
        self.table.list_from(from, keys::DEAD_LETTERS, limit)
    }

    /// All that was given up for an alert.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn dead_letters_of(&self, alert: &AlertId) -> Result<Vec<DeadLetter>, StoreError> {
        let prefix = keys::dead_letters_of(alert);
        self.table.list_from(prefix.clone(), &prefix, usize::MAX)
    }

    /// The first `limit` of what could not be read and has a number after that one, oldest first, each with its number. Numbers
    /// begin with one. No body is read: they may be long, and whoever looks at a list must not hold up what is written.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn quarantined_after(&self, number: u64, limit: usize) -> Result<Vec<(u64, QuarantinedHead)>, StoreError> {
        let from = keys::after(&keys::quarantined(number));
        let heads: Vec<(Vec<u8>, QuarantinedHead)> = self.table.pairs_from(from, keys::QUARANTINE, limit)?;
        let numbered = heads.into_iter().map(|(key, mut head)| {
            head.bytes = head.body.take().map_or(head.bytes, |body| body.len());
            Ok((number_of(&key)?, head))
        });
        numbered.collect()
    }

    /// What waits for incidents that are being created, in the order it came.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn waiting(&self) -> Result<Vec<Waits>, StoreError> {
        let rows: Vec<(Vec<u8>, Waiting)> = self.table.list(keys::WAITING, LONGEST_LIST)?;
        let numbered = rows
            .into_iter()
            .map(|(key, Waiting { incident, event, .. })| Ok(Waits { number: number_of(&key)?, incident, event }));
        numbered.collect()
    }

    /// How much there is of everything.
    pub fn summary(&self) -> Summary {
        Summary {
            opsgenie: self.schedule.side(System::Opsgenie).queued(),
            pagerduty: self.schedule.side(System::PagerDuty).queued(),
            dead_letters: self.counters.dead_letters,
            quarantined: self.counters.quarantined,
            quarantine_expired: self.counters.quarantine_expired,
            waiting: self.waiting.len(),
            paused_links: self.counters.paused_links,
        }
    }
}

/// The number at the end of a key that must have one.
pub(super) fn number_of(key: &[u8]) -> Result<u64, StoreError> {
    keys::number(key).ok_or_else(|| record::damaged(key, "its key holds no number"))
}
