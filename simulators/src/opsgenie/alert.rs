//! An alert as it is now, and one to be made.

use std::collections::BTreeMap;
use std::fmt;

/// Whether an alert is open. An acknowledged alert is open: acknowledgement is a flag of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStatus {
    /// Somebody should look at it.
    Open,
    /// Done; the alias is free for a new alert.
    Closed,
}

impl AlertStatus {
    /// `open` or `closed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for AlertStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PartialEq<&str> for AlertStatus {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// An alert as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// UUID, dash, creation time in milliseconds.
    pub id: String,
    /// A small number.
    pub tiny_id: u64,
    /// The caller's key; the id if there was none.
    pub alias: String,
    /// At most 130 characters.
    pub message: String,
    /// At most 15,000 characters.
    pub description: String,
    /// Open or closed.
    pub status: AlertStatus,
    /// Whether somebody has acknowledged it.
    pub acknowledged: bool,
    /// `P1` to `P5`.
    pub priority: String,
    /// At most 20 of 50 characters.
    pub tags: Vec<String>,
    /// What it is about, or empty.
    pub entity: String,
    /// Custom properties.
    pub details: BTreeMap<String, String>,
    /// E-mail address, or empty.
    pub owner: String,
    /// Who created it: constant over its life.
    pub source: String,
    /// How many creates it stands for, at most 100.
    pub count: u32,
    /// Unix milliseconds of the last create.
    pub last_occurred_at_ms: i64,
    /// Until when it is snoozed, Unix milliseconds.
    pub snoozed_until_ms: Option<i64>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds.
    pub updated_at_ms: i64,
    /// Unix nanoseconds, with a sequence in the low digits: larger with each action.
    pub updated_at_ns: i64,
    /// Who acknowledged it, and when.
    pub acknowledged_by: Option<(String, i64)>,
    /// Who closed it, and when.
    pub closed_by: Option<(String, i64)>,
    /// Oldest first.
    pub notes: Vec<Note>,
    /// Oldest first, at most 100.
    pub log: Vec<LogLine>,
}

/// A note of an alert. Opsgenie's v2 API gives notes no id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who wrote it.
    pub owner: String,
    /// At most 25,000 characters.
    pub text: String,
    /// Unix milliseconds.
    pub created_at_ms: i64,
}

/// A line of an alert's activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// What happened.
    pub text: String,
    /// Who did it.
    pub owner: String,
    /// Unix milliseconds.
    pub at_ms: i64,
}

/// An alert to be created by a person.
#[derive(Debug, Clone, Default)]
pub struct NewAlert {
    /// The title.
    pub message: String,
    /// The text, or empty.
    pub description: String,
    /// Labels.
    pub tags: Vec<String>,
    /// `P1` to `P5`; empty is `P3`.
    pub priority: String,
    /// What it is about, or empty.
    pub entity: String,
    /// Key for de-duplication; `None` is the alert's id.
    pub alias: Option<String>,
    /// Custom properties.
    pub details: BTreeMap<String, String>,
    /// The person's e-mail address; empty is `jane@acme.test`.
    pub user: String,
}

impl NewAlert {
    /// An alert with this message and nothing else.
    pub fn titled(message: &str) -> Self {
        Self { message: message.to_owned(), ..Self::default() }
    }
}
