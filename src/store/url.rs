//! Where the database is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::owner;

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
    #[error("names PostgreSQL, which is not supported yet: use sled://PATH")]
    PostgresToCome,
    /// It is nothing known.
    #[error("must be sled://PATH, such as sled://data/crosspage")]
    Unknown,
    /// It names no folder, or one that nobody would mean.
    #[error("must name a directory after sled://, without ? and #")]
    NoFolder,
}

impl DatabaseUrl {
    /// Whether there is a database, rather than nothing or an empty folder. Opens nothing.
    pub fn is_there(&self) -> bool {
        let Self::Sled(folder) = self;
        folder.join("db").exists()
    }

    /// Which opening of the database is the last one: of one that is locked, that of its owner. Opens nothing.
    pub fn owner(&self) -> Option<String> {
        let Self::Sled(folder) = self;
        owner::of(folder)
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sled(folder) => write!(f, "sled://{}", folder.display()),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = DatabaseUrlError;

    fn from_str(text: &str) -> Result<Self, DatabaseUrlError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Err(DatabaseUrlError::PostgresToCome);
        }
        match text.strip_prefix("sled://") {
            None => Err(DatabaseUrlError::Unknown),
            Some(folder) if folder.is_empty() || folder.contains(|c: char| c.is_control() || c == '?' || c == '#') => {
                Err(DatabaseUrlError::NoFolder)
            }
            Some(folder) => Ok(Self::Sled(PathBuf::from(folder))),
        }
    }
}
