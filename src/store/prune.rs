//! What keeps the store from growing for ever, by a handle on it.

use super::{PrunePlace, Pruned, Store, StoreError};
use crate::engine::Timestamp;

impl Store {
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
}
