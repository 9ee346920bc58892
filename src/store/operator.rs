//! What an operator may do by a handle on the store.

use super::{Recorded, Store, StoreError};
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

    async fn order(&self, alert: &AlertId, order: Order, now: Timestamp) -> Result<Recorded, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.order(alert, order, now)).await
    }
}
