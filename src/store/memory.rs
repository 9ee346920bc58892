//! A backend in memory that forgets, when it crashes, whatever was not synced. A real database in the same process
//! would not: closing it writes everything, so a forgotten sync would never show.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StoreError;
use super::backend::{Batch, Row};
use super::types::Room;

/// The backend. Clones share it, so that a test can keep one to look in, to crash it, and to open it again.
#[derive(Clone, Debug, Default)]
pub struct MemoryBackend(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct Disk {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    unsynced: Vec<Batch>,
    synced: BTreeMap<Vec<u8>, Vec<u8>>,
    free_bytes: u64,
    fail_next_sync: bool,
    leave_syncs_out: bool,
    syncs: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            unsynced: Vec::new(),
            synced: BTreeMap::new(),
            free_bytes: u64::MAX,
            fail_next_sync: false,
            leave_syncs_out: false,
            syncs: 0,
        }
    }
}

impl MemoryBackend {
    /// Loses whatever was applied but not synced, as a power cut does.
    pub fn crash(&self) {
        let mut disk = self.disk();
        disk.rows = disk.synced.clone();
        disk.unsynced.clear();
    }

    /// Sets how much [`Backend::room`](super::backend::Backend::room) says is left.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.disk().free_bytes = bytes;
    }

    /// Makes the next sync fail, and leave nothing durable.
    pub fn fail_next_sync(&self) {
        self.disk().fail_next_sync = true;
    }

    /// Makes every sync from here on say that all is durable, and do nothing.
    pub fn leave_syncs_out(&self) {
        self.disk().leave_syncs_out = true;
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.disk().syncs
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.disk().rows.get(key).cloned()
    }

    pub(super) fn range(&self, from: &[u8], until: &[u8], limit: usize) -> Vec<Row> {
        if from >= until {
            return Vec::new();
        }
        let bounds = (std::ops::Bound::Included(from), std::ops::Bound::Excluded(until));
        self.disk().rows.range::<[u8], _>(bounds).take(limit).map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    pub(super) fn apply(&self, batch: &Batch) {
        let mut disk = self.disk();
        put(&mut disk.rows, batch);
        disk.unsynced.push(batch.clone());
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        let mut disk = self.disk();
        disk.syncs += 1;
        if std::mem::take(&mut disk.fail_next_sync) {
            return Err(StoreError::io("be synced", "told to fail"));
        }
        if disk.leave_syncs_out {
            return Ok(());
        }
        for batch in std::mem::take(&mut disk.unsynced) {
            put(&mut disk.synced, &batch);
        }
        Ok(())
    }

    pub(super) fn room(&self) -> Room {
        let disk = self.disk();
        let size: usize = disk.rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        Room { size: u64::try_from(size).unwrap_or(u64::MAX), free: disk.free_bytes }
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        // No caller's code runs under the lock, so the map is whole even if some thread panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn put(rows: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: &Batch) {
    for (key, value) in batch {
        match value {
            Some(value) => rows.insert(key.clone(), value.clone()),
            None => rows.remove(key),
        };
    }
}
