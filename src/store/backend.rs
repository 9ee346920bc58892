//! The backends a store can stand on: an ordered map of bytes with atomic batches.

use std::collections::BTreeMap;
use std::path::Path;

use super::StoreError;
use super::memory::MemoryBackend;
use super::sled::SledBackend;
use super::types::Room;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// What a batch does: each key's new value, or none where it is removed.
pub type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An ordered map of bytes. Clones share it.
#[derive(Clone, Debug)]
pub enum Backend {
    /// On disk, embedded.
    Sled(SledBackend),
    /// In memory, for tests and simulation.
    Memory(MemoryBackend),
}

impl Backend {
    /// The embedded database in `folder`, made if it is not there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it, [`StoreError::Corrupt`] if its files are broken.
    pub fn sled(folder: &Path) -> Result<Self, StoreError> {
        SledBackend::open(folder).map(Self::Sled)
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// Whatever the backend meets; fatal.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self {
            Self::Sled(sled) => sled.get(key),
            Self::Memory(memory) => Ok(memory.get(key)),
        }
    }

    /// The first `limit` rows from `from` (included) up to `until` (not included), in order.
    ///
    /// # Errors
    /// Whatever the backend meets; fatal.
    pub fn range(&self, from: &[u8], until: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        match self {
            Self::Sled(sled) => sled.range(from, until, limit),
            Self::Memory(memory) => Ok(memory.range(from, until, limit)),
        }
    }

    /// Puts a batch in, all of it or nothing. It may still be lost until [`Backend::sync`] has returned.
    ///
    /// # Errors
    /// Whatever the backend meets; fatal.
    pub fn apply(&self, batch: &Batch) -> Result<(), StoreError> {
        match self {
            Self::Sled(sled) => sled.apply(batch),
            Self::Memory(memory) => {
                memory.apply(batch);
                Ok(())
            }
        }
    }

    /// Makes durable whatever was applied. Blocks.
    ///
    /// # Errors
    /// Whatever the backend meets; fatal.
    pub fn sync(&self) -> Result<(), StoreError> {
        match self {
            Self::Sled(sled) => sled.sync(),
            Self::Memory(memory) => memory.sync(),
        }
    }

    /// How much room it takes up, and how much the disk has left.
    ///
    /// # Errors
    /// If the disk cannot be asked.
    pub fn room(&self) -> Result<Room, StoreError> {
        match self {
            Self::Sled(sled) => sled.room(),
            Self::Memory(memory) => Ok(memory.room()),
        }
    }

    /// The id of this opening, if it was left where others find it.
    pub fn owner(&self) -> Option<&str> {
        match self {
            Self::Sled(sled) => sled.owner(),
            Self::Memory(_) => None,
        }
    }
}
