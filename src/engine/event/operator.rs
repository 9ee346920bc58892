//! What was ordered for a link by somebody who looks after crosspage, or by crosspage itself.

use serde::{Deserialize, Serialize};

use super::super::outbox::Entry;
use super::{AlertAction, AlertId, Event, EventBody, IncidentChange, IncidentId, System, Timestamp};

/// An order for a link. It comes from an operator, so it is no news of either vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordered {
    /// The link, by its alert.
    pub alert: AlertId,
    /// What is to be done with it.
    pub order: Order,
}

/// What can be ordered for a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Hold its commands. Events are recorded still, and a page still goes out.
    Pause {
        /// Why, for people to read.
        reason: String,
    },
    /// Let its commands go on.
    Resume,
    /// Try again what was given up.
    Redrive {
        /// The entry, as it was then.
        entry: Box<Entry>,
        /// When it was given up, by our clock: what was heard since then counts more.
        died_at: Timestamp,
    },
    /// Read where that side stands: a state of it was told that may be of any age.
    Look(System),
    /// Leave undone what was given up: this entry.
    Discard(Box<Entry>),
    /// End the link: nothing is passed on between its two sides any more, and nothing pages for its alert again.
    Unlink,
    /// Link the alert with that incident: one that crosspage never linked, or whose link was ended. Both are read after that.
    Link {
        /// The incident.
        incident: IncidentId,
    },
}

impl Order {
    /// A word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Redrive { .. } => "redrive",
            Self::Look(_) => "look",
            Self::Discard(_) => "discard",
            Self::Unlink => "unlink",
            Self::Link { .. } => "link",
        }
    }
}

impl Event {
    /// What is left of a state that is told long after, without the time of it: everything but the state, and the side that must
    /// be read instead. Nothing if it tells its time, or no state. A close needs no time: nothing reopens an alert.
    pub fn without_undated_state(&self) -> Option<(Self, System)> {
        let mut rest = self.clone();
        let system = match &mut rest.body {
            _ if self.occurred_at.is_some() => return None,
            EventBody::Alert(happened) => {
                let (AlertAction::Acknowledge { note } | AlertAction::Unacknowledge { note }) = &happened.action else {
                    return None;
                };
                let name = || AlertAction::Other(happened.action.name().to_owned());
                happened.action = note.clone().map_or_else(name, |text| AlertAction::AddNote { text });
                System::Opsgenie
            }
            EventBody::Incident(happened) => {
                if matches!(happened.change, IncidentChange::Annotated(_) | IncidentChange::MergedInto(_)) {
                    return None;
                }
                happened.status.take()?;
                System::PagerDuty
            }
            EventBody::Settled(_) | EventBody::Polled(_) | EventBody::Ordered(_) => return None,
        };
        Some((rest, system))
    }
}
