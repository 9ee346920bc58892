//! The quarantine: what was authentic and could not be read, until somebody looks at it.

use super::{Book, next};
use crate::engine::{Event, Order, Page, Polled};
use crate::store::types::{Body, Quarantined, QuarantinedHead, Recorded, Verdict};
use crate::store::{StoreError, keys};

impl Book {
    /// Puts away what could not be read, and says under which number.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn quarantine(&mut self, item: &Quarantined) -> Result<u64, StoreError> {
        self.transact(|book| book.put_in_quarantine(item))
    }

    /// What lies in the quarantine under that number.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn quarantined_under(&self, number: u64) -> Result<Option<Quarantined>, StoreError> {
        let Some(mut head) = self.table.get::<QuarantinedHead>(&keys::quarantined(number))? else { return Ok(None) };
        let body = match head.body.take() {
            Some(body) => body,
            None => self.table.need(&keys::quarantined_body(number))?,
        };
        Ok(Some(head.with(body)))
    }

    /// Takes in the event that was read from what lies under that number, in its place. A creation is looked at before it
    /// pages: it may be over long since. So is a state that does not tell since when. Returns nothing if nothing lies there.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn replay(&mut self, number: u64, event: Event) -> Result<Option<Recorded>, StoreError> {
        self.transact(|book| {
            if book.take_from_quarantine(number)?.is_none() {
                return Ok(None);
            }
            let event = match Polled::of_creation(&event) {
                Some(look) if book.is_unpaged(&look)? => look,
                Some(_) | None => event,
            };
            let Some((rest, system)) = event.without_undated_state() else { return book.take_in(event).map(Some) };
            let now = rest.received_at;
            let mut recorded = book.take_in(rest.clone())?;
            if recorded.verdict != Verdict::Repeat {
                for alert in book.alerts_of(&rest)? {
                    let looked = book.follow_order(alert, Order::Look(system), now)?;
                    recorded = Recorded { commands: recorded.commands + looked.commands, ..looked };
                }
            }
            Ok(Some(recorded))
        })
    }

    /// Drops what lies under that number, and returns it, if there is something.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn discard_quarantined(&mut self, number: u64) -> Result<Option<QuarantinedHead>, StoreError> {
        self.transact(|book| book.take_from_quarantine(number))
    }

    /// Whether the event's alert has no link, or is being read to see whether it should page.
    fn is_unpaged(&self, event: &Event) -> Result<bool, StoreError> {
        let Some(alert) = self.alerts_of(event)?.pop() else { return Ok(true) };
        Ok(self.link(&alert)?.is_none_or(|link| link.page == Page::Joining))
    }

    pub(super) fn put_in_quarantine(&mut self, item: &Quarantined) -> Result<u64, StoreError> {
        let number = next(&mut self.counters.quarantine);
        self.counters.quarantined += 1;
        self.table.put_new(&keys::quarantined(number), &QuarantinedHead::of(item))?;
        self.table.put_new(&keys::quarantined_body(number), &Body::of(&item.body))?;
        Ok(number)
    }

    fn take_from_quarantine(&mut self, number: u64) -> Result<Option<QuarantinedHead>, StoreError> {
        let head = self.table.get(&keys::quarantined(number))?;
        if head.is_some() {
            self.remove_from_quarantine(number)?;
        }
        Ok(head)
    }

    pub(super) fn remove_from_quarantine(&mut self, number: u64) -> Result<(), StoreError> {
        self.table.delete(&keys::quarantined(number))?;
        self.table.delete(&keys::quarantined_body(number))?;
        self.counters.quarantined = self.counters.quarantined.saturating_sub(1);
        Ok(())
    }
}
