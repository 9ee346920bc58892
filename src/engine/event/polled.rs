//! What a look at one of the two sides showed.

use serde::{Deserialize, Serialize};

use super::super::outbox::FetchedAlert;
use super::{Actor, AlertAction, AlertEvent, AlertId, Event, EventBody, IncidentId, Status, System, Timestamp};

/// A look at one side of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Polled {
    /// The link, by its alert.
    pub alert: AlertId,
    /// When the look began, by our clock.
    pub read_started: Timestamp,
    /// Whether a change of ours to that side's state is on its way still. Whoever looks does not know; the store does.
    #[serde(default)]
    pub unfinished: bool,
    /// What it showed.
    pub seen: Seen,
}

/// How many notes of a look are kept for people to read: an alert may have thousands.
const KEPT: usize = 10;

impl Polled {
    /// A creation that is told of long after, as a look that shows the alert open: then it is read before it pages. Nothing if
    /// it is no creation, or does not tell when the alert was created: a look at such an alert never pages.
    pub fn of_creation(event: &Event) -> Option<Event> {
        let EventBody::Alert(AlertEvent { alert, facts, action: AlertAction::Create }) = &event.body else {
            return None;
        };
        facts.created_at?;
        let seen = FetchedAlert { facts: facts.clone(), status: Status::Open, at: event.occurred_at, by: None };
        let polled = Self {
            alert: alert.clone(),
            read_started: event.received_at,
            unfinished: false,
            seen: Seen::Alert { alert: seen, may_page: true },
        };
        Some(Event { body: EventBody::Polled(Box::new(polled)), ..event.clone() })
    }

    /// The same with no more than its newest notes, for the timeline.
    #[must_use]
    pub fn abridged(mut self) -> Self {
        match &mut self.seen {
            Seen::AlertNotes(notes) | Seen::IncidentNotes(_, notes) => {
                notes.drain(..notes.len().saturating_sub(KEPT));
            }
            Seen::Alert { .. } | Seen::NoAlert | Seen::Incident { .. } | Seen::NoIncident(_) => {}
        }
        self
    }
}

/// What a look at one side showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// The alert.
    Alert {
        /// As it is.
        alert: FetchedAlert,
        /// Whether it is one of those that page, should it have no link.
        may_page: bool,
    },
    /// There is no such alert.
    NoAlert,
    /// The incident.
    Incident {
        /// It.
        incident: IncidentId,
        /// Where it stands.
        status: Status,
        /// Since when, by PagerDuty's clock.
        at: Option<Timestamp>,
        /// Who brought it there.
        by: Actor,
        /// The incident that it was merged into, if that is why it is resolved.
        merged_into: Option<IncidentId>,
    },
    /// There is no such incident.
    NoIncident(IncidentId),
    /// All notes of the alert, oldest first.
    AlertNotes(Vec<SeenNote>),
    /// All notes of the incident, oldest first.
    IncidentNotes(IncidentId, Vec<SeenNote>),
}

impl Seen {
    /// Which side was looked at.
    pub fn system(&self) -> System {
        match self {
            Self::Alert { .. } | Self::NoAlert | Self::AlertNotes(_) => System::Opsgenie,
            Self::Incident { .. } | Self::NoIncident(_) | Self::IncidentNotes(..) => System::PagerDuty,
        }
    }

    /// A word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Alert { .. } => "alert",
            Self::NoAlert => "no_alert",
            Self::Incident { .. } => "incident",
            Self::NoIncident(_) => "no_incident",
            Self::AlertNotes(_) => "alert_notes",
            Self::IncidentNotes(..) => "incident_notes",
        }
    }
}

/// A note as it was listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenNote {
    /// The vendor's id of it. Opsgenie has none.
    pub id: Option<String>,
    /// Who wrote it.
    pub by: Actor,
    /// Its text.
    pub text: String,
    /// When it was written, by the vendor's clock.
    pub at: Option<Timestamp>,
}
