//! Where the database is.

use std::path::PathBuf;
use std::str::FromStr;

/// The address of a database, as in `DATABASE_URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// The embedded store in that folder: `sled://data/crosspage`, or `sled:///var/lib/crosspage`.
    Sled(PathBuf),
}

/// Why a text is no database address. It never repeats the text, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// PostgreSQL is not supported yet.
    #[error("postgres:// is to come; use sled://<folder>")]
    PostgresToCome,
    /// It is nothing known.
    #[error("must look like sled://<folder>, such as sled://data/crosspage")]
    Unknown,
    /// It names no folder.
    #[error("names no folder; write sled://<folder>, such as sled://data/crosspage")]
    NoFolder,
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Err(DatabaseUrlError::PostgresToCome);
        }
        match text.strip_prefix("sled://") {
            None => Err(DatabaseUrlError::Unknown),
            Some("") => Err(DatabaseUrlError::NoFolder),
            Some(folder) => Ok(Self::Sled(PathBuf::from(folder))),
        }
    }
}
