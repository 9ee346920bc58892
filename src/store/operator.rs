//! What an operator may do by a handle on the store.

use super::{DeadLetter, Discarded, Recorded, Store, StoreError};
use crate::engine::{AlertId, Order, Timestamp};

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

    async fn order(&self, alert: &AlertId, order: Order, now: Timestamp) -> Result<Recorded, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.order(alert, order, now)).await
    }
}
