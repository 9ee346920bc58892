//! What happened, in the engine's own words: the normalised form of both vendors' webhooks, of what a look-up
//! answered and of how a command ended.

mod operator;
mod polled;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outbox::{Entry, Outcome};

pub use operator::{Order, Ordered};
pub use polled::{Polled, Seen, SeenNote};

/// One of the two systems that are kept in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum System {
    /// Opsgenie, where an alert lives.
    Opsgenie,
    /// PagerDuty, where an incident lives.
    PagerDuty,
}

impl System {
    /// The other one.
    pub fn peer(self) -> Self {
        match self {
            Self::Opsgenie => Self::PagerDuty,
            Self::PagerDuty => Self::Opsgenie,
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opsgenie => "Opsgenie",
            Self::PagerDuty => "PagerDuty",
        })
    }
}

/// Why a text is no vendor id: ids reach the paths of vendor calls, so only `[A-Za-z0-9_-]{1,200}` is let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id must be 1 to 200 of the characters A-Z a-z 0-9 _ -")]
pub struct InvalidId;

fn checked_id(text: String) -> Result<String, InvalidId> {
    let fits = (1..=200).contains(&text.len());
    if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
        Ok(text)
    } else {
        Err(InvalidId)
    }
}

/// An Opsgenie alert's id. Not always a UUID: since about 2020 it is a UUID with the creation time appended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AlertId(String);

/// A PagerDuty incident's id, such as `P1A2B3C` or `Q0ABCDEFGHIJKL`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IncidentId(String);

macro_rules! id_type {
    ($name:ident) => {
        impl $name {
            /// The id as the vendor writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                checked_id(text).map(Self)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidId;

            fn try_from(text: &str) -> Result<Self, InvalidId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type!(AlertId);
id_type!(IncidentId);

const INCIDENT_KEY_PREFIX: &str = "opsgenie:";

impl AlertId {
    /// The key that our incident for this alert carries. PagerDuty refuses a second open incident with the same key
    /// on the same service, which is the only idempotency it offers.
    pub fn incident_key(&self) -> String {
        format!("{INCIDENT_KEY_PREFIX}{}", self.0)
    }

    /// The alert that an incident's key names, if the key is one of ours.
    pub fn from_incident_key(key: &str) -> Option<Self> {
        Self::try_from(key.strip_prefix(INCIDENT_KEY_PREFIX)?).ok()
    }
}

/// A moment, in milliseconds since the Unix epoch. Whose clock it is, ours or a vendor's, its holder says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment and `span` later.
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This moment, `span` earlier.
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Where an alert or an incident stands. Opsgenie says open, acknowledged, closed; PagerDuty says triggered,
/// acknowledged, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has taken it.
    Open,
    /// Somebody works on it.
    Acknowledged,
    /// It is over.
    Resolved,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        })
    }
}

/// An alert's priority. An incident's priority is found by the equal name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Priority {
    /// Critical.
    P1,
    /// High.
    P2,
    /// Moderate, Opsgenie's default.
    P3,
    /// Low.
    P4,
    /// Informational.
    P5,
}

impl Priority {
    /// Its name, the same in both systems.
    pub fn name(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
            Self::P5 => "P5",
        }
    }

    /// The priority of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::P1, Self::P2, Self::P3, Self::P4, Self::P5].into_iter().find(|p| p.name().eq_ignore_ascii_case(name))
    }
}

/// Who did it, as far as the vendor tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The vendor's id of the actor (PagerDuty's `agent.id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The name to show (Opsgenie's `alert.username`, PagerDuty's `agent.summary`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The tool it was done with (Opsgenie's `source.name`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whether this is a person's account rather than a service, an integration or a timer.
    #[serde(default)]
    pub person: bool,
}

impl Actor {
    /// Nobody that the vendor named: automation, or unknown.
    pub fn nobody() -> Self {
        Self::default()
    }

    /// Whether the vendor told anything to know the actor by.
    pub fn is_told(&self) -> bool {
        self.id.is_some() || self.name.is_some() || self.source.is_some()
    }
}

/// One thing that happened, to be decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What tells a repeat of this very event from another one; empty if nothing does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dedupe: Vec<String>,
    /// Names the delivery in logs and in the timeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// When it happened, by the vendor's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// When it reached us, by our clock.
    pub received_at: Timestamp,
    /// Who did it.
    pub actor: Actor,
    /// What it was.
    pub body: EventBody,
}

/// What happened, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventBody {
    /// Something happened to an Opsgenie alert.
    Alert(AlertEvent),
    /// Something happened to a PagerDuty incident.
    Incident(IncidentEvent),
    /// One of our own commands came to its end.
    Settled(Box<Settled>),
    /// A look at one side of a link, taken because webhooks get lost.
    Polled(Box<Polled>),
    /// Something was ordered for a link.
    #[serde(alias = "operator")]
    Ordered(Box<Ordered>),
}

/// How one of our commands ended. It is an event like any other, so that there is one path for every change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The command's entry in the outbox.
    pub entry: Entry,
    /// How it ended.
    pub outcome: Outcome,
}

/// Something happened to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertEvent {
    /// The alert.
    pub alert: AlertId,
    /// What else the vendor said about it.
    #[serde(default)]
    pub facts: AlertFacts,
    /// What happened.
    pub action: AlertAction,
}

/// What an alert says of itself; every part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertFacts {
    /// Its headline.
    pub message: Option<String>,
    /// Its long text. Webhooks cut it at 1,000 characters, or leave it out.
    pub description: Option<String>,
    /// The short number people use.
    pub tiny_id: Option<String>,
    /// What it is about.
    pub entity: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its priority.
    pub priority: Option<Priority>,
    /// When it was created, by Opsgenie's clock.
    pub created_at: Option<Timestamp>,
}

/// What can happen to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertAction {
    /// It was created, or routed to another team whose integration hears of it as a creation.
    Create,
    /// Somebody took it, perhaps with a note.
    Acknowledge {
        /// The note given with it.
        note: Option<String>,
    },
    /// Somebody let go of it.
    Unacknowledge {
        /// The note given with it.
        note: Option<String>,
    },
    /// It is over.
    Close {
        /// The note given with it.
        note: Option<String>,
    },
    /// Somebody wrote a note.
    AddNote {
        /// What they wrote.
        text: String,
    },
    /// Its priority is now that of the facts.
    UpdatePriority,
    /// It was given to somebody.
    AssignOwnership {
        /// To whom, as the vendor names them.
        owner: Option<String>,
    },
    /// Somebody made themselves its owner.
    TakeOwnership,
    /// It was put to sleep for a while.
    Snooze,
    /// The next step of its escalation was called.
    EscalateToNext,
    /// It was deleted.
    Delete,
    /// Anything else: tags, details, teams, custom actions, or what the vendor will invent. The name is kept.
    Other(String),
}

impl AlertAction {
    /// A word for logs.
    pub fn name(&self) -> &str {
        match self {
            Self::Create => "create",
            Self::Acknowledge { .. } => "acknowledge",
            Self::Unacknowledge { .. } => "unacknowledge",
            Self::Close { .. } => "close",
            Self::AddNote { .. } => "add_note",
            Self::UpdatePriority => "update_priority",
            Self::AssignOwnership { .. } => "assign_ownership",
            Self::TakeOwnership => "take_ownership",
            Self::Snooze => "snooze",
            Self::EscalateToNext => "escalate_to_next",
            Self::Delete => "delete",
            Self::Other(name) => name,
        }
    }
}

/// Something happened to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEvent {
    /// The incident.
    pub incident: IncidentId,
    /// Its key, where the event carries one; see [`AlertId::incident_key`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_key: Option<String>,
    /// The number that people use for it, where the event tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// PagerDuty's id of the service it is on, where the event tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Where the incident stood when the event was made; which event type carries a change of it is not dependable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What happened.
    pub change: IncidentChange,
}

/// What can happen to an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentChange {
    /// It was created.
    Triggered,
    /// Somebody took it.
    Acknowledged,
    /// Somebody let go of it, or nobody did anything for too long.
    Unacknowledged,
    /// It is over.
    Resolved,
    /// It was merged into another incident, and goes on there.
    MergedInto(IncidentId),
    /// It was over, and is not any more.
    Reopened,
    /// Somebody wrote a note.
    Annotated(IncidentNote),
    /// Nothing that was told: we read where it stands.
    Read,
    /// Anything else; the vendor's name of it is kept.
    Other(String),
}

impl IncidentChange {
    /// A word for logs.
    pub fn name(&self) -> &str {
        match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Unacknowledged => "unacknowledged",
            Self::Resolved => "resolved",
            Self::MergedInto(_) => "merged",
            Self::Reopened => "reopened",
            Self::Annotated(_) => "annotated",
            Self::Read => "read",
            Self::Other(name) => name,
        }
    }
}

/// A note on an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentNote {
    /// PagerDuty's id of the note.
    pub id: String,
    /// Its text, or the beginning of it.
    pub text: String,
    /// Whether the text was cut, so that the whole must be fetched.
    pub trimmed: bool,
}
