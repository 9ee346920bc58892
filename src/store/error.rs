//! What can go wrong in the store.

use std::path::PathBuf;

/// Why the store could not do something. Cheap to clone, since one failure may answer a whole batch of callers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// More is waiting to be stored than fits the queue; nothing was stored.
    #[error("the store is busy: its queue is full; send it again in a moment")]
    Busy,
    /// The disk is nearly full; nothing was stored.
    #[error("the disk is nearly full: {free} bytes are free and {needed} are needed; make room and send it again")]
    DiskLow {
        /// Free bytes, at the last look.
        free: u64,
        /// Free bytes that new events need.
        needed: u64,
    },
    /// The store was closed, or has failed before; see [`Store::failed`](super::Store::failed).
    #[error("the store is closed")]
    Closed,
    /// The entry is not claimed: it was settled, released or removed meanwhile. Drop what was to be said of it.
    #[error("entry {id} is not claimed (any more); its claim must be dropped")]
    NotClaimed {
        /// The entry.
        id: u64,
    },
    /// A stored value is not what was written.
    #[error(
        "the stored value at `{key}` is damaged ({what}); nothing was changed: keep a copy of the database folder, \
         then restore a backup"
    )]
    Damaged {
        /// Where it lies, readable.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// A stored value has a format that this version does not know.
    #[error(
        "the stored value at `{key}` has format {found}, which this version of crosspage does not know; nothing was \
         changed: start the version that wrote it"
    )]
    UnknownVersion {
        /// Where it lies, readable.
        key: String,
        /// The format found.
        found: u32,
    },
    /// Another process has the database open.
    #[error("another crosspage has the database in {}; stop it first, or give this one a folder of its own", .path.display())]
    Locked {
        /// The database's folder.
        path: PathBuf,
    },
    /// The database's own files are broken.
    #[error(
        "the database in {} is corrupt ({what}); nothing was deleted: keep a copy of the folder, then restore a backup",
        .path.display()
    )]
    Corrupt {
        /// The database's folder.
        path: PathBuf,
        /// What the backend said.
        what: String,
    },
    /// The database could not be read or written.
    #[error("the database could not {doing}: {what}; look after the disk, then start again")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        what: String,
    },
    /// A value could not be put into its stored form. A fault of crosspage itself.
    #[error("the value for `{key}` cannot be stored: {what}; please report this")]
    Unstorable {
        /// Where it should lie, readable.
        key: String,
        /// What is wrong with it.
        what: String,
    },
    /// The thread that owns the store ended by a panic. A fault of crosspage itself.
    #[error("the store's thread panicked; its log says why; please report this")]
    Panicked,
}

impl StoreError {
    /// Whether the store is of no use after it, so that the process should end. The others concern one request only.
    pub fn is_fatal(&self) -> bool {
        match self {
            Self::Busy | Self::DiskLow { .. } | Self::NotClaimed { .. } => false,
            Self::Closed
            | Self::Damaged { .. }
            | Self::UnknownVersion { .. }
            | Self::Locked { .. }
            | Self::Corrupt { .. }
            | Self::Io { .. }
            | Self::Unstorable { .. }
            | Self::Panicked => true,
        }
    }

    /// What is wrong in a few words that name no path and no key, for whoever may ask from outside.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Busy => "the queue is full",
            Self::DiskLow { .. } => "the disk is low",
            Self::Closed => "closed",
            Self::NotClaimed { .. } => "not claimed",
            Self::Damaged { .. }
            | Self::UnknownVersion { .. }
            | Self::Locked { .. }
            | Self::Corrupt { .. }
            | Self::Io { .. }
            | Self::Unstorable { .. }
            | Self::Panicked => "the store has failed",
        }
    }

    /// A failed system call while `doing` something.
    pub(super) fn io(doing: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Io { doing, what: error.to_string() }
    }
}
