//! What an operator orders, or crosspage for its own protection: pauses, and what is to become of dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use super::Book;
use super::decisions::of_ours;
use crate::engine::outbox::{DropReason, Outcome, Step};
use crate::engine::{
    Action, AlertId, Entry, Event, EventBody, Link, Order, Ordered, Reason, Settled, System, Timestamp,
};
use crate::store::types::{DeadLetter, Discarded, Recorded, Span, Unlinking};
use crate::store::{StoreError, keys};

/// A dead letter and where it lies.
type Found = (Vec<u8>, DeadLetter);

impl Book {
    /// Has something done with an alert's link: an event like any other, that shows in the timeline. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn order(&mut self, alert: AlertId, order: Order, now: Timestamp) -> Result<Recorded, StoreError> {
        self.transact(|book| book.follow_order(alert, order, now))
    }

    /// Takes in links that another store had, and reaches back as far as that one: what happened between the two is missed, not
    /// too old. Links that are there already are left alone.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn import(&mut self, links: &[Link], span: Span) -> Result<(), StoreError> {
        self.transact(|book| {
            book.reach_back_to(span)?;
            for link in links {
                if !book.table.has(&keys::link(&link.alert))? {
                    book.save_link(None, Some(link))?;
                }
            }
            Ok(())
        })
    }

    /// What would be decided on a look if it were recorded, and whether there is a link.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn rehearse(&self, mut event: Event) -> Result<(bool, Reason), StoreError> {
        let mut link = None;
        if let EventBody::Polled(polled) = &mut event.body {
            polled.unfinished = self.changes_state(polled.seen.system(), &polled.alert)?;
            link = self.table.get::<Link>(&keys::link(&polled.alert))?;
        }
        let decision = (self.decide)(link.as_ref(), &event, &self.policy);
        Ok((link.is_some(), decision.reason))
    }

    /// Puts a dead letter back into its lane, at the place that its number gives it; what is parked behind it goes on after it.
    /// A creation stays parked itself until its alert was read.
    /// Returns nothing if there is no such letter, or no link for it any more. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn redrive(&mut self, id: u64, now: Timestamp) -> Result<Option<DeadLetter>, StoreError> {
        Ok(self.redrive_all(&[id], now)?.pop().flatten())
    }

    /// The same for several dead letters, in this order.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn redrive_all(&mut self, ids: &[u64], now: Timestamp) -> Result<Vec<Option<DeadLetter>>, StoreError> {
        let mut found = self.find_letters(ids)?;
        ids.iter().map(|id| self.redrive_found(found.remove(id), now)).collect()
    }

    fn redrive_found(&mut self, found: Option<Found>, now: Timestamp) -> Result<Option<DeadLetter>, StoreError> {
        let Some((key, letter)) = found else { return Ok(None) };
        self.transact(|book| {
            let alert = letter.entry.alert.clone();
            if !book.table.has(&keys::link(&alert))? {
                return Ok(None);
            }
            book.drop_letter(&key)?;
            let entry = letter.entry.clone().redriven(letter.at, now);
            book.table.put(&keys::entry(entry.command.to, entry.id), &entry)?;
            book.schedule.side_mut(entry.command.to).push(&entry);
            let order = Order::Redrive { entry: Box::new(letter.entry.clone()), died_at: letter.at };
            book.follow_order(alert.clone(), order, now)?;
            book.unpark(&alert);
            Ok(Some(letter))
        })
    }

    /// Drops a dead letter for good and, if it is a creation, what is parked behind it, each with its reason in the timeline.
    /// Returns nothing if there is no such letter. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn discard(&mut self, id: u64, now: Timestamp) -> Result<Option<Discarded>, StoreError> {
        Ok(self.discard_all(&[id], now)?.pop().flatten())
    }

    /// The same for several dead letters, in this order.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn discard_all(&mut self, ids: &[u64], now: Timestamp) -> Result<Vec<Option<Discarded>>, StoreError> {
        let mut found = self.find_letters(ids)?;
        ids.iter().map(|id| self.discard_found(found.remove(id), now)).collect()
    }

    fn discard_found(&mut self, found: Option<Found>, now: Timestamp) -> Result<Option<Discarded>, StoreError> {
        let Some((key, letter)) = found else { return Ok(None) };
        self.transact(|book| {
            let alert = letter.entry.alert.clone();
            book.drop_letter(&key)?;
            let parked = match letter.entry.command.action {
                Action::Create(_) => book.take_lane(System::PagerDuty, &alert)?,
                Action::SetStatus { .. }
                | Action::Note { .. }
                | Action::UpdatePriority { .. }
                | Action::FetchAlert
                | Action::FetchIncident
                | Action::EndMerged { .. }
                | Action::FetchNote { .. } => Vec::new(),
            };
            book.follow_order(alert.clone(), Order::Discard(Box::new(letter.entry.clone())), now)?;
            book.drop_entries(&parked, now)?;
            book.unpark(&alert);
            Ok(Some(Discarded { letter, parked }))
        })
    }

    /// Ends a link: what was still to be done for it is dropped, what was given up for it is discarded, and it stays as a
    /// tombstone until it is pruned. A link whose page may be on its way stays as it is. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn unlink(&mut self, alert: &AlertId, now: Timestamp) -> Result<Unlinking, StoreError> {
        self.transact(|book| {
            if !book.table.has(&keys::link(alert))? {
                return Ok(Unlinking::NoLink);
            }
            let bound = book.lane(System::PagerDuty, alert)?;
            if bound.iter().any(|entry| is_create(entry) && entry.step != Step::Ready) {
                return Ok(Unlinking::PageOnItsWay);
            }
            let mut entries = book.take_lane(System::Opsgenie, alert)?;
            entries.extend(book.take_lane(System::PagerDuty, alert)?);
            book.drop_entries(&entries, now)?;
            let mut letters = Vec::new();
            for (key, letter) in book.table.list::<DeadLetter>(&keys::dead_letters_of(alert), usize::MAX)? {
                book.drop_letter(&key)?;
                book.follow_order(alert.clone(), Order::Discard(Box::new(letter.entry.clone())), now)?;
                letters.push(letter);
            }
            book.follow_order(alert.clone(), Order::Unlink, now)?;
            Ok(Unlinking::Ended { entries, letters })
        })
    }

    /// Puts down that these were dropped.
    fn drop_entries(&mut self, entries: &[Entry], now: Timestamp) -> Result<(), StoreError> {
        for entry in entries.iter().cloned() {
            let outcome = Outcome::Dropped(DropReason::Discarded);
            self.decide_all(of_ours(EventBody::Settled(Box::new(Settled { entry, outcome })), now))?;
        }
        Ok(())
    }

    pub(super) fn drop_letter(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.table.delete(key)?;
        self.counters.dead_letters = self.counters.dead_letters.saturating_sub(1);
        Ok(())
    }

    pub(super) fn follow_order(
        &mut self,
        alert: AlertId,
        order: Order,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        self.decide_all(of_ours(EventBody::Ordered(Box::new(Ordered { alert, order })), now))
    }

    /// The dead letters of these numbers, as far as there are any.
    fn find_letters(&self, ids: &[u64]) -> Result<BTreeMap<u64, Found>, StoreError> {
        let mut wanted: BTreeSet<u64> = ids.iter().copied().collect();
        let mut found = BTreeMap::new();
        self.table.visit(keys::DEAD_LETTERS, |key, letter: DeadLetter| {
            if wanted.remove(&letter.entry.id) {
                found.insert(letter.entry.id, (key, letter));
            }
            if wanted.is_empty() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(found)
    }

    /// Takes out all that is bound for `system` on behalf of an alert, in order.
    pub(super) fn take_lane(&mut self, system: System, alert: &AlertId) -> Result<Vec<Entry>, StoreError> {
        let mut taken = Vec::new();
        for id in self.schedule.side_mut(system).remove(alert) {
            let key = keys::entry(system, id);
            taken.push(self.table.need(&key)?);
            self.table.delete(&key)?;
        }
        Ok(taken)
    }
}

fn is_create(entry: &Entry) -> bool {
    matches!(entry.command.action, Action::Create(_))
}
