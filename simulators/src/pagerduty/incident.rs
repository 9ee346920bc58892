//! An incident as it is now.

use std::fmt;

/// An incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// 14 characters that begin with Q.
    pub id: String,
    /// Unique in the account.
    pub number: u64,
    /// What it is about.
    pub title: String,
    /// `body.details` of the create, or empty.
    pub body: String,
    /// Where it stands.
    pub status: IncidentStatus,
    /// `high` or `low`.
    pub urgency: String,
    /// Name of the priority, if it has one.
    pub priority: Option<String>,
    /// The caller's key; `None` for incidents born from events.
    pub incident_key: Option<String>,
    /// The event's key; `None` for incidents not born from events.
    pub alert_key: Option<String>,
    /// Where it lives.
    pub service_id: String,
    /// Ids of users; empty once resolved.
    pub assignees: Vec<String>,
    /// Whether it was assigned by name rather than through the escalation policy.
    pub assigned_directly: bool,
    /// 1 is the first level of the escalation policy.
    pub escalation_level: u32,
    /// Empty unless acknowledged.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Oldest first.
    pub notes: Vec<Note>,
    /// Oldest first.
    pub log: Vec<LogEntry>,
    /// The incident that it was merged into, if that is why it is resolved.
    pub resolve_reason: Option<String>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds.
    pub updated_at_ms: i64,
    /// Unix milliseconds.
    pub reopened_at_ms: Option<i64>,
    /// Unix milliseconds, while resolved.
    pub resolved_at_ms: Option<i64>,
    /// Unix milliseconds, while snoozed.
    pub snoozed_until_ms: Option<i64>,
    /// When the acknowledgement times out, Unix milliseconds.
    pub ack_times_out_at_ms: Option<i64>,
    /// Unix milliseconds.
    pub last_status_change_at_ms: i64,
    /// Who changed the status last.
    pub last_status_change_by: Agent,
    /// Title and address of the monitoring tool, for incidents born from events.
    pub client: Option<(String, String)>,
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncidentStatus {
    /// Paging.
    Triggered,
    /// Somebody has it.
    Acknowledged,
    /// Done.
    Resolved,
}

impl IncidentStatus {
    /// `triggered`, `acknowledged` or `resolved`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Triggered, Self::Acknowledged, Self::Resolved].into_iter().find(|status| status.as_str() == text)
    }
}

impl fmt::Display for IncidentStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PartialEq<&str> for IncidentStatus {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// Who initiated something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Agent {
    /// A user, by id.
    User(String),
    /// The incident's service: automation.
    Service,
    /// The Events v2 integration.
    Integration,
    /// Nobody: automation too.
    Nobody,
}

/// Somebody's acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Id.
    pub user_id: String,
}

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Seven characters.
    pub id: String,
    /// Its author's id; empty if automation wrote it.
    pub user_id: String,
    /// At most 65,535 bytes.
    pub text: String,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds.
    pub updated_at_ms: i64,
}

/// A line of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// 26 characters.
    pub id: String,
    /// `trigger_log_entry`, `acknowledge_log_entry`, …
    pub kind: &'static str,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// Who.
    pub agent: Agent,
    /// `website`, `api`, `note` or `timeout`.
    pub channel: &'static str,
    /// The text of a note, if it is about one.
    pub note: Option<String>,
}
