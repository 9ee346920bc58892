//! Vendor calls and their answers, as the step machine sees them: what they mean, not how they are made.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::super::event::{Actor, AlertId, IncidentId, Priority, Status, Timestamp};
use super::{FetchedAlert, NewIncident, Urgency};

/// A vendor call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A call to Opsgenie.
    Opsgenie(OpsgenieCall),
    /// A call to PagerDuty.
    PagerDuty(PagerDutyCall),
}

/// A call to Opsgenie's alert API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpsgenieCall {
    /// Read the alert.
    ReadAlert(AlertId),
    /// Read all notes of the alert.
    ListNotes(AlertId),
    /// Ask what became of a request that was taken.
    ReadRequest(String),
    /// Acknowledge, unacknowledge or close the alert.
    SetStatus(AlertId, Status),
    /// Write a note.
    AddNote(AlertId, String),
}

/// A call to PagerDuty's REST API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PagerDutyCall {
    /// Find our incident by its key, in whatever state and however old.
    FindIncident(String),
    /// Read the incident.
    ReadIncident(IncidentId),
    /// Read all notes of the incident, and of those that were merged into it.
    ListNotes(IncidentId, Vec<IncidentId>),
    /// Create an incident under a key.
    Create(String, NewIncident),
    /// Acknowledge, un-acknowledge or resolve the incident.
    SetStatus(IncidentId, Status),
    /// Set the priority of that name, if the account has it, and the urgency, if one is given.
    SetPriority(IncidentId, Priority, Option<Urgency>),
    /// Write a note.
    AddNote(IncidentId, String),
}

impl Call {
    /// Whether it may change something: then it must be known on disk before it is made.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Opsgenie(call) => match call {
                OpsgenieCall::ReadAlert(_) | OpsgenieCall::ListNotes(_) | OpsgenieCall::ReadRequest(_) => false,
                OpsgenieCall::SetStatus(..) | OpsgenieCall::AddNote(..) => true,
            },
            Self::PagerDuty(call) => match call {
                PagerDutyCall::FindIncident(_) | PagerDutyCall::ReadIncident(_) | PagerDutyCall::ListNotes(..) => false,
                PagerDutyCall::Create(..)
                | PagerDutyCall::SetStatus(..)
                | PagerDutyCall::SetPriority(..)
                | PagerDutyCall::AddNote(..) => true,
            },
        }
    }

    /// A word for logs, metrics and the timeline.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opsgenie(call) => match call {
                OpsgenieCall::ReadAlert(_) => "read_alert",
                OpsgenieCall::ListNotes(_) => "list_alert_notes",
                OpsgenieCall::ReadRequest(_) => "read_request",
                OpsgenieCall::SetStatus(_, Status::Open) => "unacknowledge_alert",
                OpsgenieCall::SetStatus(_, Status::Acknowledged) => "acknowledge_alert",
                OpsgenieCall::SetStatus(_, Status::Resolved) => "close_alert",
                OpsgenieCall::AddNote(..) => "add_alert_note",
            },
            Self::PagerDuty(call) => match call {
                PagerDutyCall::FindIncident(_) => "find_incident",
                PagerDutyCall::ReadIncident(_) => "read_incident",
                PagerDutyCall::ListNotes(..) => "list_incident_notes",
                PagerDutyCall::Create(..) => "create_incident",
                PagerDutyCall::SetStatus(_, Status::Open) => "unacknowledge_incident",
                PagerDutyCall::SetStatus(_, Status::Acknowledged) => "acknowledge_incident",
                PagerDutyCall::SetStatus(_, Status::Resolved) => "resolve_incident",
                PagerDutyCall::SetPriority(..) => "set_incident_priority",
                PagerDutyCall::AddNote(..) => "add_incident_note",
            },
        }
    }
}

/// What a call came back with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The incident, after a read, a creation or a change.
    Incident(IncidentState),
    /// What was found under a key.
    Found(Option<IncidentState>),
    /// The alert.
    Alert(FetchedAlert),
    /// The note was written.
    Note {
        /// The vendor's id of it.
        id: Option<String>,
        /// The vendor's id of its author: us.
        author: Option<String>,
    },
    /// All notes there are.
    Notes(Vec<SeenNote>),
    /// Opsgenie has taken the request, and will carry it out later.
    Accepted {
        /// Opsgenie's name for the request.
        request_id: String,
    },
    /// What became of a request.
    Request(RequestState),
    /// The account has nothing to show this with (a priority of that name).
    Unsupported,
    /// It did not work.
    Failed(Failure),
}

/// An incident as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentState {
    /// Its id.
    pub id: IncidentId,
    /// Where it stands.
    pub status: Status,
    /// Since when, by PagerDuty's clock.
    pub at: Option<Timestamp>,
    /// Who last changed its state.
    #[serde(default)]
    pub by: Actor,
    /// The incident that it was merged into, if that is why it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<IncidentId>,
}

/// A note as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenNote {
    /// The vendor's id of it, where there is one.
    pub id: Option<String>,
    /// Its text.
    pub text: String,
}

/// What became of an Opsgenie request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestState {
    /// It was not carried out yet, or never will be: a 404 tells nothing else.
    NotYet,
    /// It was carried out.
    Done {
        /// When, by Opsgenie's clock.
        at: Option<Timestamp>,
    },
    /// It was not carried out.
    Failed(String),
}

/// How a call failed, by what it tells about its effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It had no effect, and may be tried again.
    TryAgain {
        /// What went wrong.
        reason: String,
        /// How long the vendor asks everybody to wait.
        hold: Option<Duration>,
    },
    /// It may or may not have had its effect.
    Unclear {
        /// What went wrong.
        reason: String,
        /// How long the vendor asks everybody to wait.
        hold: Option<Duration>,
    },
    /// The vendor refuses us as a whole: the key, or the automation user.
    Unauthorized(String),
    /// It had no effect and never will.
    Refused {
        /// What it means.
        meaning: Refusal,
        /// What the vendor said.
        reason: String,
    },
}

impl Failure {
    /// What went wrong, or what the vendor said.
    pub fn reason(&self) -> &str {
        match self {
            Self::TryAgain { reason, .. }
            | Self::Unclear { reason, .. }
            | Self::Unauthorized(reason)
            | Self::Refused { reason, .. } => reason,
        }
    }

    /// The same, to keep.
    pub fn into_reason(self) -> String {
        match self {
            Self::TryAgain { reason, .. }
            | Self::Unclear { reason, .. }
            | Self::Unauthorized(reason)
            | Self::Refused { reason, .. } => reason,
        }
    }
}

/// What a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is acknowledged already.
    AlreadyAcknowledged,
    /// It is resolved already.
    AlreadyResolved,
    /// There is an open incident under that key.
    DuplicateKey,
    /// Something in the request is not valid.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// Anything else.
    Other,
}
