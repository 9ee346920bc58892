//! Late pages and outages by a handle on the store.

use std::time::Duration;

use super::{Late, Store, StoreError};
use crate::engine::outage::Outage;
use crate::engine::{AlertId, Timestamp};

impl Store {
    /// The pages that have been owed for longer than `after` at `now`, by our clock: how many there are, and the first `limit` of
    /// them after `behind`, longest owed first. A page is owed until its incident stands, or nobody need be paged any more.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn late_pages(
        &self,
        now: Timestamp,
        after: Duration,
        behind: Option<(Timestamp, AlertId)>,
        limit: usize,
    ) -> Result<Late, StoreError> {
        self.ask(None, move |book| book.late_pages(now, after, behind.as_ref(), limit)).await
    }

    /// The outage that somebody was told of, or is to be.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn outage(&self) -> Result<Option<Outage>, StoreError> {
        self.ask(None, |book| book.outage()).await
    }

    /// Puts down how far telling somebody of an outage has come; nothing if it is over.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn set_outage(&self, outage: Option<Outage>) -> Result<(), StoreError> {
        self.ask(None, move |book| book.set_outage(outage.as_ref())).await
    }
}
