//! Typed values over a backend, with a layer of changes that are not committed yet. Every read sees them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::backend::{Backend, Batch, Row};
use crate::store::record::{self, Stored};
use crate::store::{StoreError, keys};

/// How many rows are read from the backend at once, at most.
const ROWS: usize = 256;

type Page = BTreeMap<Vec<u8>, Vec<u8>>;

/// The database, as the transactions see it.
#[derive(Debug)]
pub(super) struct Table {
    backend: Backend,
    changes: Batch,
    commits: u64,
}

impl Table {
    pub(super) fn new(backend: Backend) -> Self {
        Self { backend, changes: Batch::new(), commits: 0 }
    }

    /// Writes all changes, durably, as one. Nothing is written if nothing changed.
    pub(super) fn commit(&mut self) -> Result<(), StoreError> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.backend.apply(&self.changes)?;
        self.backend.sync()?;
        self.changes.clear();
        self.commits += 1;
        Ok(())
    }

    /// How often anything was written since the table was made.
    pub(super) fn commits(&self) -> u64 {
        self.commits
    }

    /// Puts a value at `key`, in place of the one there.
    pub(super) fn put<T: Serialize>(&mut self, key: &[u8], value: &T) -> Result<(), StoreError> {
        self.remove_chunks(key)?;
        self.put_new(key, value)
    }

    /// Puts a value at a key that never had one; saves looking for the old one's chunks.
    pub(super) fn put_new<T: Serialize>(&mut self, key: &[u8], value: &T) -> Result<(), StoreError> {
        let content = serde_json::to_vec(value)
            .map_err(|e| StoreError::Unstorable { key: keys::readable(key), what: e.to_string() })?;
        for (key, row) in record::seal(key, &content) {
            self.changes.insert(key, Some(row));
        }
        Ok(())
    }

    /// Removes whatever is at `key`.
    pub(super) fn delete(&mut self, key: &[u8]) -> Result<(), StoreError> {
        self.remove_chunks(key)?;
        self.changes.insert(key.to_vec(), None);
        Ok(())
    }

    /// Whether there is a value at `key`.
    pub(super) fn has(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.row(key)?.is_some())
    }

    /// The value at `key`.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.row(key)?.map(|row| self.read(key, &row)).transpose()
    }

    /// The value at `key`, which must be there because another one says so.
    pub(super) fn need<T: DeserializeOwned>(&self, key: &[u8]) -> Result<T, StoreError> {
        self.get(key)?.ok_or_else(|| record::damaged(key, "it is missing"))
    }

    /// The first `limit` values under `prefix`, each with its key, in order of the keys.
    pub(super) fn list<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        self.pairs_from(prefix.to_vec(), prefix, limit)
    }

    /// The first `limit` values from `from` on under `prefix`, in order of their keys.
    pub(super) fn list_from<T: DeserializeOwned>(
        &self,
        from: Vec<u8>,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<T>, StoreError> {
        Ok(self.pairs_from(from, prefix, limit)?.into_iter().map(|(_, value)| value).collect())
    }

    /// The same, each with its key. No more is read at once than is wanted.
    pub(super) fn pairs_from<T: DeserializeOwned>(
        &self,
        from: Vec<u8>,
        prefix: &[u8],
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, StoreError> {
        let mut found = Vec::new();
        self.visit_from(from, prefix, limit.clamp(1, ROWS), |key, value| {
            found.push((key, value));
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// Shows each value under `prefix` to `visitor` until it has seen enough. Holds a page of them at a time.
    pub(super) fn visit<T: DeserializeOwned>(
        &self,
        prefix: &[u8],
        visitor: impl FnMut(Vec<u8>, T) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        self.visit_from(prefix.to_vec(), prefix, ROWS, visitor)
    }

    /// The same from `from` on, with `rows` of them at a time.
    fn visit_from<T: DeserializeOwned>(
        &self,
        mut from: Vec<u8>,
        prefix: &[u8],
        rows: usize,
        mut visitor: impl FnMut(Vec<u8>, T) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let end = keys::end_of(prefix);
        while from < end {
            let (page, next) = self.page(&from, &end, rows)?;
            for (key, row) in page {
                let value = self.read(&key, &row)?;
                if visitor(key, value).is_break() {
                    return Ok(());
                }
            }
            from = next;
        }
        Ok(())
    }

    /// Whether there is nothing at all.
    pub(super) fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.changes.is_empty() && self.backend.range(&[], &[u8::MAX], 1)?.is_empty())
    }

    /// The first value from `from` on under `prefix`. Reads no other.
    pub(super) fn first_from<T: DeserializeOwned>(
        &self,
        from: Vec<u8>,
        prefix: &[u8],
    ) -> Result<Option<(Vec<u8>, T)>, StoreError> {
        Ok(self.pairs_from(from, prefix, 1)?.pop())
    }

    /// Some rows from `from` on, up to `most` of the backend's, and where to go on.
    fn page(&self, from: &[u8], end: &[u8], most: usize) -> Result<(Page, Vec<u8>), StoreError> {
        let rows: Vec<Row> = self.backend.range(from, end, most)?;
        let next = match rows.last() {
            Some((last, _)) if rows.len() == most => keys::after(last),
            _ => end.to_vec(),
        };
        let mut page: Page = rows.into_iter().collect();
        for (key, change) in self.changes.range(from.to_vec()..next.clone()) {
            match change {
                Some(row) => page.insert(key.clone(), row.clone()),
                None => page.remove(key),
            };
        }
        Ok((page, next))
    }

    fn row(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => self.backend.get(key),
        }
    }

    fn read<T: DeserializeOwned>(&self, key: &[u8], row: &[u8]) -> Result<T, StoreError> {
        let joined;
        let content = match record::open(key, row)? {
            Stored::Whole(content) => content,
            Stored::Chunked { chunks, checksum } => {
                joined = self.join(key, chunks)?;
                if crc32fast::hash(&joined) != checksum {
                    return Err(record::damaged(key, "the checksum of its chunks is wrong"));
                }
                &joined
            }
            Stored::Chunk(_) => return Err(record::damaged(key, "it is a piece of another value")),
        };
        serde_json::from_slice(content).map_err(|e| record::damaged(key, format!("it cannot be read: {e}")))
    }

    fn join(&self, key: &[u8], chunks: u32) -> Result<Vec<u8>, StoreError> {
        let mut joined = Vec::new();
        for number in 0..chunks {
            let key = keys::chunk(key, number);
            let row = self.row(&key)?.ok_or_else(|| record::damaged(&key, "it is missing"))?;
            let Stored::Chunk(piece) = record::open(&key, &row)? else {
                return Err(record::damaged(&key, "it is no piece of a value"));
            };
            joined.extend(piece);
        }
        Ok(joined)
    }

    fn remove_chunks(&mut self, key: &[u8]) -> Result<(), StoreError> {
        let Some(row) = self.row(key)? else { return Ok(()) };
        if let Stored::Chunked { chunks, .. } = record::open(key, &row)? {
            self.changes.extend((0..chunks).map(|number| (keys::chunk(key, number), None)));
        }
        Ok(())
    }
}
