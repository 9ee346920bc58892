//! What an operator orders, or crosspage for its own protection.

use super::Book;
use crate::engine::{Actor, AlertId, Event, EventBody, Operator, Order, Timestamp};
use crate::store::StoreError;
use crate::store::types::Recorded;

impl Book {
    /// Has something done with an alert's link: an event like any other, that shows in the timeline. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn order(&mut self, alert: AlertId, order: Order, now: Timestamp) -> Result<Recorded, StoreError> {
        self.transact(|book| {
            let body = EventBody::Operator(Box::new(Operator { alert, order }));
            let actor = Actor::nobody();
            let event =
                Event { dedupe: Vec::new(), request_id: None, occurred_at: None, received_at: now, actor, body };
            book.decide_all(event)
        })
    }
}
