//! The embedded backend: sled, used only in the ways that were tried and found safe.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::backend::{Batch, Row};
use super::types::Room;
use super::{StoreError, owner};

/// A sled database. Clones share it; its folder is free again when the last one is dropped.
#[derive(Clone, Debug)]
pub struct SledBackend {
    db: ::sled::Db,
    // sled's flush reaches the system but not the disk; syncing its file through a handle of our own does.
    file: Arc<File>,
    folder: PathBuf,
    owner: Option<String>,
}

impl SledBackend {
    pub(super) fn open(folder: &Path) -> Result<Self, StoreError> {
        let to_sync = levels_to_sync(folder, Path::is_dir);
        std::fs::create_dir_all(folder).map_err(|e| StoreError::io("make its folder", e))?;
        let db = open_patiently(folder)?;
        let file = File::open(folder.join("db")).map_err(|e| StoreError::io("open its file", e))?;
        for level in to_sync {
            File::open(level).and_then(|f| f.sync_all()).map_err(|e| StoreError::io("sync its folder", e))?;
        }
        let owner = owner::leave(folder);
        Ok(Self { db, file: Arc::new(file), folder: folder.to_owned(), owner })
    }

    pub(super) fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.db.get(key).map_err(|e| self.error("be read", e))?;
        Ok(value.map(|value| value.to_vec()))
    }

    pub(super) fn range(&self, from: &[u8], until: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        if from >= until {
            return Ok(Vec::new());
        }
        let rows = self.db.range(from..until).take(limit);
        rows.map(|row| row.map(|(k, v)| (k.to_vec(), v.to_vec())).map_err(|e| self.error("be read", e))).collect()
    }

    pub(super) fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch {
            match value {
                Some(value) => changes.insert(key.as_slice(), value.as_slice()),
                None => changes.remove(key.as_slice()),
            }
        }
        self.db.apply_batch(changes).map_err(|e| self.error("be written", e))
    }

    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|e| self.error("be flushed", e))?;
        self.file.sync_data().map_err(|e| StoreError::io("be synced", e))
    }

    pub(super) fn room(&self) -> Result<Room, StoreError> {
        let disk = rustix::fs::statvfs(&self.folder).map_err(|e| StoreError::io("ask for free disk space", e))?;
        let file = self.file.metadata().map_err(|e| StoreError::io("ask for its file's size", e))?;
        Ok(Room { size: file.len(), free: disk.f_bavail.saturating_mul(disk.f_frsize) })
    }

    fn error(&self, doing: &'static str, error: ::sled::Error) -> StoreError {
        translate(&self.folder, doing, error)
    }
}

/// The folders to be synced once the database is made in `folder`, where some may exist already. The name of what is new is
/// durable only once the folder that holds it is: so these are all that are new and the first one above them. The parent is
/// among them in any case, since whoever made the folder may have ended before it was synced.
fn levels_to_sync(folder: &Path, exists: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut levels = Vec::new();
    for level in folder.ancestors() {
        let level = if level.as_os_str().is_empty() { Path::new(".") } else { level };
        levels.push(level.to_owned());
        if levels.len() >= 2 && exists(level) {
            break;
        }
    }
    levels
}

/// A process that ends gives up its lock a moment after it has answered its last call, so a few tries are due.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(25);

fn open_patiently(folder: &Path) -> Result<::sled::Db, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match open_once(folder) {
            Err(StoreError::Locked { .. }) if tries < LOCK_TRIES => thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
}

fn open_once(folder: &Path) -> Result<::sled::Db, StoreError> {
    ::sled::Config::new()
        .path(folder)
        // Fixed for the folder's life. With smaller segments, values of a few KiB spill into files that are never synced.
        .segment_size(4 << 20)
        .cache_capacity(64 << 20)
        // Space is reclaimed by this thread only.
        .flush_every_ms(Some(500))
        .open()
        .map_err(|e| translate(folder, "be opened", e))
}

fn translate(folder: &Path, doing: &'static str, error: ::sled::Error) -> StoreError {
    match error {
        // sled tells a lock that is held from other trouble by its text alone.
        ::sled::Error::Io(e) if e.kind() == ErrorKind::Other && e.to_string().contains("acquire lock") => {
            StoreError::Locked { path: folder.to_owned() }
        }
        ::sled::Error::Io(e) => StoreError::io(doing, e),
        ::sled::Error::Corruption { .. } | ::sled::Error::ReportableBug(_) => {
            StoreError::Corrupt { path: folder.to_owned(), what: error.to_string() }
        }
        ::sled::Error::CollectionNotFound(_) | ::sled::Error::Unsupported(_) => StoreError::io(doing, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_new_level_is_synced_and_the_first_one_above_them() {
        let table: [(&str, &[&str], &[&str]); 7] = [
            (
                "/var/lib/a/b/c",
                &["/var/lib", "/var", "/"],
                &["/var/lib/a/b/c", "/var/lib/a/b", "/var/lib/a", "/var/lib"],
            ),
            ("/var/lib/a", &["/var/lib", "/var", "/"], &["/var/lib/a", "/var/lib"]),
            ("/var/lib", &["/var/lib", "/var", "/"], &["/var/lib", "/var"]),
            ("data/crosspage", &["."], &["data/crosspage", "data", "."]),
            ("data/crosspage", &["data", "."], &["data/crosspage", "data"]),
            ("data", &["."], &["data", "."]),
            ("/", &["/"], &["/"]),
        ];
        for (folder, there, expected) in table {
            let levels = levels_to_sync(Path::new(folder), |level| there.iter().any(|known| Path::new(known) == level));
            let expected: Vec<_> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(levels, expected, "{folder}, where there are {there:?}");
        }
    }
}
