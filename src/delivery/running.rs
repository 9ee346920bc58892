//! The deliveries of one vendor that are under way.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::{self, JoinSet};
use tracing::error;

use super::dispatcher::Dispatcher;
use super::gate::Passage;
use crate::engine::Entry;
use crate::store::Claim;

/// When a delivery that ended abnormally is taken up again.
const AFTER_A_PANIC: Duration = Duration::from_secs(30);

#[derive(Default)]
pub(super) struct Running {
    tasks: JoinSet<()>,
    entries: HashMap<task::Id, Entry>,
}

impl Running {
    pub(super) fn len(&self) -> usize {
        self.tasks.len()
    }

    pub(super) fn spawn(&mut self, dispatcher: &Dispatcher, claim: Claim, paid: Passage) {
        let entry = claim.entry.clone();
        let task = self.tasks.spawn(dispatcher.clone().deliver(claim, paid));
        self.entries.insert(task.id(), entry);
    }

    /// Waits for one of them to end; for ever if there is none.
    pub(super) async fn next_ended(&mut self, dispatcher: &Dispatcher) {
        match self.tasks.join_next_with_id().await {
            None => std::future::pending().await,
            Some(Ok((id, ()))) => {
                self.entries.remove(&id);
            }
            Some(Err(panicked)) => {
                let entry = self.entries.remove(&panicked.id());
                error!(vendor = %dispatcher.system, error = %panicked, "a delivery ended abnormally: it is tried again");
                if let Some(entry) = entry {
                    // What is stored of it says how far it has come; only its time is moved.
                    let later = Entry { due_at: dispatcher.now().plus(AFTER_A_PANIC), ..entry };
                    if let Err(error) = dispatcher.store.put_off(later).await {
                        error!(%error, "a delivery cannot be tried again before the next start");
                    }
                }
            }
        }
    }
}
