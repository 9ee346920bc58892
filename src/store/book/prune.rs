//! Pruning: what is over, and older than anything is kept, goes. Slice by slice, so that nobody waits long for the one
//! thread that writes; each slice leaves the store whole, so a pass may end anywhere and begin anew.
//!
//! What was pruned must not page again. Links go by when they last changed and, since that is what a late event or a look is
//! judged by, by when their alert was created.

use super::Book;
use super::reads::number_of;
use crate::engine::{AlertId, Link, System, Timestamp};
use crate::metrics::Removed;
use crate::store::types::{DeadLetter, PrunePlace, PruneStage, Pruned, QuarantinedHead, TimelineEntry};
use crate::store::{StoreError, keys, record};

impl Book {
    /// Removes, within one slice of about `limit` rows, what is over and older than `before`, by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn prune(&mut self, before: Timestamp, place: PrunePlace, limit: usize) -> Result<Pruned, StoreError> {
        self.transact(|book| {
            let mut pruned = Pruned::default();
            let next = match place.0 {
                PruneStage::Links(after) => Some(book.prune_links(before, after, limit, &mut pruned)?),
                PruneStage::Timelines(from) => Some(book.prune_timelines(before, from, limit, &mut pruned)?),
                PruneStage::Seen => Some(book.prune_seen(before, limit, &mut pruned)?),
                PruneStage::Quarantine => book.prune_quarantine(before, limit, &mut pruned)?,
            };
            let Pruned { links, timeline, seen, quarantined, next: _ } = pruned;
            book.metrics.pruned(Removed::Links, links);
            book.metrics.pruned(Removed::Timeline, timeline);
            book.metrics.pruned(Removed::Seen, seen);
            book.metrics.pruned(Removed::Quarantine, quarantined);
            Ok(Pruned { next: next.map(PrunePlace), ..pruned })
        })
    }

    /// When a pass last began, by our clock; before the first one, when crosspage first ran here.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn pruned_at(&self) -> Result<Timestamp, StoreError> {
        Ok(self.table.get(keys::PRUNED)?.unwrap_or(self.policy.first_ran_at))
    }

    /// Puts down when a pass begins, by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn set_pruned_at(&mut self, at: Timestamp) -> Result<(), StoreError> {
        self.transact(|book| book.table.put(keys::PRUNED, &at))
    }

    fn prune_links(
        &mut self,
        before: Timestamp,
        after: Option<AlertId>,
        limit: usize,
        pruned: &mut Pruned,
    ) -> Result<PruneStage, StoreError> {
        let links = self.links_after(after.as_ref(), limit)?;
        let last = links.last().filter(|_| links.len() == limit).map(|link| link.alert.clone());
        for link in links {
            if link.is_over_since(before) && !self.is_needed(&link)? {
                self.save_link(Some(&link), None)?;
                pruned.links += 1;
            }
        }
        Ok(match last {
            Some(last) => PruneStage::Links(Some(last)),
            None => PruneStage::Timelines(keys::TIMELINES.to_vec()),
        })
    }

    /// Whether something is still to be done for a link, or may be, or another link must be able to look at it.
    fn is_needed(&self, link: &Link) -> Result<bool, StoreError> {
        let alert = &link.alert;
        let queued = [System::Opsgenie, System::PagerDuty].iter().any(|system| self.schedule.side(*system).has(alert));
        if queued || !link.held.is_empty() {
            return Ok(true);
        }
        let letters = self.table.list::<DeadLetter>(&keys::dead_letters_of(alert), 1)?;
        if !letters.is_empty() {
            return Ok(true);
        }
        // Which notes of a shared incident are whose, the links tell together.
        let Some(incident) = link.incident().filter(|_| link.shared) else { return Ok(false) };
        Ok(!self.links_of(incident)?.iter().all(Link::is_over))
    }

    /// Every timeline is in order, so the first entry that is young enough ends the look at it.
    fn prune_timelines(
        &mut self,
        before: Timestamp,
        mut from: Vec<u8>,
        limit: usize,
        pruned: &mut Pruned,
    ) -> Result<PruneStage, StoreError> {
        for _ in 0..limit {
            let Some((place, ())) = self.table.first_from::<()>(from, keys::TIMELINES)? else {
                return Ok(PruneStage::Seen);
            };
            let happened = keys::happened(number_of(&place)?);
            let entry: TimelineEntry = self.table.need(&happened)?;
            if entry.at < before {
                self.table.delete(&place)?;
                self.table.delete(&happened)?;
                pruned.timeline += 1;
                from = keys::after(&place);
            } else {
                from = keys::after_timeline(&place);
            }
        }
        Ok(PruneStage::Timelines(from))
    }

    fn prune_seen(&mut self, before: Timestamp, limit: usize, pruned: &mut Pruned) -> Result<PruneStage, StoreError> {
        let mut from = keys::SEEN_AT.to_vec();
        for _ in 0..limit {
            let first = self.table.first_from::<Vec<String>>(from, keys::SEEN_AT)?;
            let Some((key, ids)) = first else { return Ok(PruneStage::Quarantine) };
            let at = keys::seen_when(&key).ok_or_else(|| record::damaged(&key, "its key holds no moment"))?;
            if at >= before {
                return Ok(PruneStage::Quarantine);
            }
            self.table.delete(&key)?;
            for id in &ids {
                self.table.delete(&keys::seen(id))?;
            }
            pruned.seen += ids.len();
            from = keys::after(&key);
        }
        Ok(PruneStage::Seen)
    }

    /// Nobody has looked at it for as long as anything is kept. How much of it went is counted for good.
    fn prune_quarantine(
        &mut self,
        before: Timestamp,
        limit: usize,
        pruned: &mut Pruned,
    ) -> Result<Option<PruneStage>, StoreError> {
        let mut from = keys::QUARANTINE.to_vec();
        for _ in 0..limit {
            let first = self.table.first_from::<QuarantinedHead>(from, keys::QUARANTINE)?;
            let Some((key, item)) = first else { return Ok(None) };
            if item.received_at >= before {
                return Ok(None);
            }
            self.remove_from_quarantine(number_of(&key)?)?;
            self.counters.quarantine_expired += 1;
            pruned.quarantined += 1;
            from = keys::after(&key);
        }
        Ok(Some(PruneStage::Quarantine))
    }
}
