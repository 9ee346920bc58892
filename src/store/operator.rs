//! What an operator may do by a handle on the store, and what keeps it from growing for ever.

use super::{DeadLetter, Discarded, Ended, PrunePlace, Pruned, Quarantined, Recorded, Store, StoreError, Waits};
use crate::engine::{AlertId, Event, Order, Timestamp};

impl Store {
    /// Holds the commands of an alert's link until [`Store::resume`]: what is heard of either side is recorded still, and a page
    /// still goes out. What is under way comes to its end. `reason` is for people; `now` is by our clock. The verdict tells
    /// whether there is such a link, and whether it was paused already.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn pause(&self, alert: &AlertId, reason: &str, now: Timestamp) -> Result<Recorded, StoreError> {
        self.order(alert, Order::Pause { reason: reason.to_owned() }, now).await
    }

    /// Lets the commands of an alert's link go on. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn resume(&self, alert: &AlertId, now: Timestamp) -> Result<Recorded, StoreError> {
        self.order(alert, Order::Resume, now).await
    }

    /// Ends an alert's link for good: nothing is passed on any more, what was still to be done or had been given up is dropped,
    /// and nothing pages for the alert again. Returns nothing if there is no such link. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn unlink(&self, alert: &AlertId, now: Timestamp) -> Result<Option<Ended>, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.unlink(&alert, now)).await
    }

    /// Tries again what was given up under that entry's number: it goes back to its place in its lane, and what is parked
    /// behind it goes on after it. Whatever it may have sent is looked for first. Returns nothing if there is no such letter, or
    /// no link for it any more. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn redrive(&self, entry: u64, now: Timestamp) -> Result<Option<DeadLetter>, StoreError> {
        self.ask(None, move |book| book.redrive(entry, now)).await
    }

    /// Leaves undone for good what was given up under that entry's number. Behind a discarded creation, what is bound for
    /// PagerDuty is dropped as well, and nobody will be paged for the alert. Returns nothing if there is no such letter. `now` is
    /// by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn discard(&self, entry: u64, now: Timestamp) -> Result<Option<Discarded>, StoreError> {
        self.ask(None, move |book| book.discard(entry, now)).await
    }

    /// What lies in the quarantine under that number.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn quarantined_under(&self, number: u64) -> Result<Option<Quarantined>, StoreError> {
        self.ask(None, move |book| book.quarantined_under(number)).await
    }

    /// Takes in the event that was read from what lies under that number, in its place. A creation is looked at before it
    /// pages: it may be over long since. Returns nothing if nothing lies there.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn replay(&self, number: u64, event: Event) -> Result<Option<Recorded>, StoreError> {
        self.ask(None, move |book| book.replay(number, event)).await
    }

    /// Drops for good what lies under that number, and returns it, if there is something.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn discard_quarantined(&self, number: u64) -> Result<Option<Quarantined>, StoreError> {
        self.ask(None, move |book| book.discard_quarantined(number)).await
    }

    /// What waits for incidents that are being created, in the order it came; at most
    /// [`book::LONGEST_LIST`](super::book::LONGEST_LIST).
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn waiting(&self) -> Result<Vec<Waits>, StoreError> {
        self.ask(None, |book| book.waiting()).await
    }

    /// Removes, within one slice of about `limit` rows, what is over and older than `before`, by our clock: links that are
    /// finished and have neither entries nor dead letters; entries of timelines; ids of what was seen; what lies in the
    /// quarantine. A pass begins at the default place and goes on at the one that each slice tells.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn prune(&self, before: Timestamp, place: PrunePlace, limit: usize) -> Result<Pruned, StoreError> {
        self.ask(None, move |book| book.prune(before, place, limit)).await
    }

    /// When a pass of pruning last began, by our clock; before the first one, when crosspage first ran here.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn pruned_at(&self) -> Result<Timestamp, StoreError> {
        self.ask(None, |book| book.pruned_at()).await
    }

    /// Puts down when a pass of pruning begins, by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn set_pruned_at(&self, at: Timestamp) -> Result<(), StoreError> {
        self.ask(None, move |book| book.set_pruned_at(at)).await
    }

    async fn order(&self, alert: &AlertId, order: Order, now: Timestamp) -> Result<Recorded, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.order(alert, order, now)).await
    }
}
