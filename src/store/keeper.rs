//! The thread that looks after the database while others work: how much room the disk has, and whether what was stored
//! long ago can still be read.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::backend::Backend;
use super::shared::Shared;
use super::{StoreError, keys, record};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);

/// How many values it verifies each time.
const VALUES: usize = 200;

pub(super) struct Keeper {
    pub(super) backend: Backend,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: Receiver<()>,
    pub(super) next: Vec<u8>,
}

impl Keeper {
    /// Works until the committer ends, or something is wrong.
    pub(super) fn run(mut self) {
        while let Err(RecvTimeoutError::Timeout) = self.stop.recv_timeout(EVERY) {
            if let Err(error) = self.look() {
                tracing::debug!(error = %error, "the store's database is in trouble");
                return self.shared.fail(error);
            }
        }
    }

    /// One look at the disk, and at some values.
    pub(super) fn look(&mut self) -> Result<(), StoreError> {
        self.shared.set_room(self.backend.room()?);
        let rows = self.backend.range(&self.next, &[u8::MAX], VALUES)?;
        for (key, row) in &rows {
            record::open(key, row)?;
        }
        self.next = match rows.last() {
            Some((last, _)) if rows.len() == VALUES => keys::after(last),
            _ => Vec::new(),
        };
        Ok(())
    }
}
