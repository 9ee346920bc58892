//! PagerDuty's v3 webhooks: one event a body, read into the engine's words.

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::wire::{moment, status};
use crate::engine::{
    Actor, Event, EventBody, IncidentChange, IncidentEvent, IncidentId, IncidentNote, Status, Timestamp,
};
use crate::http::{Unreadable, lenient, printable};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// What a subscription is to post: what is understood by name, and what may come with a change of an incident's status.
pub const EVENTS: [&str; 11] = [
    "incident.triggered",
    "incident.acknowledged",
    "incident.unacknowledged",
    "incident.resolved",
    "incident.reopened",
    "incident.annotated",
    "incident.escalated",
    "incident.reassigned",
    "incident.delegated",
    "incident.priority_updated",
    "incident.service_updated",
];

/// What must be posted, or something is told late or never: what is understood by name.
pub const NEEDED_EVENTS: &[&str] = EVENTS.split_at(6).0;

/// What an authentic webhook carried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "made once a webhook, and taken apart at once")]
pub enum Inbound {
    /// Something happened to an incident.
    Event(Event),
    /// Somebody tests the subscription.
    Ping,
    /// An event of a type that is none of our business.
    Ignored(String),
}

/// Reads a webhook whose signature was verified. `webhook_id` is its `X-Webhook-Id`, the same for every attempt to deliver
/// it.
pub fn parse(body: &[u8], webhook_id: Option<&str>, now: Timestamp) -> Result<Inbound, Unreadable> {
    let event = WireEvent::read(body)?;
    let name = event.event_type.as_deref().map(str::trim).filter(|name| !name.is_empty());
    let event_type = EventType::from(name.ok_or_else(|| unreadable("`event.event_type` is missing"))?);
    let data = event.data.unwrap_or_default();
    let change = match event_type {
        EventType::Ping => return Ok(Inbound::Ping),
        EventType::Unknown(name) => return Ok(Inbound::Ignored(name)),
        EventType::OtherIncident(name) if data.incident_id().is_none() => return Ok(Inbound::Ignored(name)),
        EventType::Triggered => IncidentChange::Triggered,
        EventType::Acknowledged => IncidentChange::Acknowledged,
        EventType::Unacknowledged => IncidentChange::Unacknowledged,
        EventType::Resolved => match &data.resolve_reason {
            Some(reason) if reason.kind.as_deref() == Some("merge_resolve_reason") => {
                let target = reason.incident.as_ref().and_then(|incident| incident.id.as_deref());
                IncidentChange::MergedInto(incident_id(target, "the incident it was merged into")?)
            }
            _ => IncidentChange::Resolved,
        },
        EventType::Reopened => IncidentChange::Reopened,
        EventType::Annotated => IncidentChange::Annotated(data.note()?),
        EventType::OtherIncident(name) => IncidentChange::Other(name),
    };
    let is_incident = data.is_incident();
    let webhook_id = webhook_id.and_then(bounded);
    let event_id = event.id.as_deref().and_then(bounded);
    let dedupe = [("webhook", &webhook_id), ("event", &event_id)]
        .into_iter()
        .filter_map(|(kind, id)| Some(format!("pd:{kind}:{}", id.as_ref()?)))
        .collect();
    Ok(Inbound::Event(Event {
        dedupe,
        request_id: webhook_id,
        occurred_at: event.occurred_at.as_deref().and_then(moment),
        received_at: now,
        actor: event.agent.map_or_else(Actor::nobody, Actor::from),
        body: EventBody::Incident(IncidentEvent {
            incident: incident_id(data.incident_id(), "the incident")?,
            status: data.status(&change),
            incident_key: data.incident_key.filter(|key| !key.is_empty()),
            number: data.number.filter(|_| is_incident),
            service: data.service.and_then(|service| service.id),
            change,
        }),
    }))
}

/// What PagerDuty says happened. Its list grows, so a type we do not know is no error.
#[derive(Clone, Debug, PartialEq, Eq)]
enum EventType {
    Ping,
    Triggered,
    Acknowledged,
    Unacknowledged,
    Resolved,
    Reopened,
    Annotated,
    /// Anything else that happens to an incident; its status may have changed along with it.
    OtherIncident(String),
    Unknown(String),
}

impl From<&str> for EventType {
    fn from(name: &str) -> Self {
        match name {
            "pagey.ping" => Self::Ping,
            "incident.triggered" => Self::Triggered,
            "incident.acknowledged" => Self::Acknowledged,
            "incident.unacknowledged" => Self::Unacknowledged,
            "incident.resolved" => Self::Resolved,
            "incident.reopened" => Self::Reopened,
            "incident.annotated" => Self::Annotated,
            other if other.starts_with("incident.") => Self::OtherIncident(printable(other, NAME_LIMIT)),
            other => Self::Unknown(printable(other, NAME_LIMIT)),
        }
    }
}

#[derive(Deserialize)]
struct WireEvent {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    event_type: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    occurred_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    agent: Option<WireReference>,
    #[serde(default, deserialize_with = "lenient")]
    data: Option<WireData>,
}

impl WireEvent {
    fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
            return Err(unreadable("the body is no JSON object"));
        };
        match body.remove("event") {
            Some(event @ Value::Object(_)) => {
                serde_json::from_value(event).map_err(|_| unreadable("`event` cannot be read"))
            }
            None if body.contains_key("messages") => Err(unreadable(
                "this is a generic V2 webhook, which nobody signs: crosspage needs a v3 webhook subscription",
            )),
            _ => Err(unreadable("`event` is missing or no object")),
        }
    }
}

#[derive(Default, Deserialize)]
struct WireData {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    number: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    incident_key: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    service: Option<WireReference>,
    #[serde(default, deserialize_with = "lenient")]
    resolve_reason: Option<WireResolveReason>,
    #[serde(default, deserialize_with = "lenient")]
    content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    trimmed: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    incident: Option<WireReference>,
    #[serde(default, deserialize_with = "lenient")]
    incident_role_assignments: Option<Vec<WireRoleAssignment>>,
}

impl WireData {
    fn is_incident(&self) -> bool {
        self.kind.as_deref() == Some("incident")
    }

    fn incident_id(&self) -> Option<&str> {
        if self.is_incident() {
            return self.id.as_deref();
        }
        let assignment = || self.incident_role_assignments.as_ref()?.first()?.incident.as_ref();
        self.incident.as_ref().or_else(assignment)?.id.as_deref()
    }

    /// The status that the incident itself carries, whatever the event is called; else the one that the event implies.
    fn status(&self, change: &IncidentChange) -> Option<Status> {
        match (&self.status, change) {
            (Some(name), _) if self.is_incident() => status(name),
            (_, IncidentChange::Triggered | IncidentChange::Unacknowledged | IncidentChange::Reopened) => {
                Some(Status::Open)
            }
            (_, IncidentChange::Acknowledged) => Some(Status::Acknowledged),
            (_, IncidentChange::Resolved | IncidentChange::MergedInto(_)) => Some(Status::Resolved),
            (_, IncidentChange::Annotated(_) | IncidentChange::Read | IncidentChange::Other(_)) => None,
        }
    }

    fn note(&self) -> Result<IncidentNote, Unreadable> {
        let id = incident_id(self.id.as_deref(), "the note")?.into();
        let text = self.content.clone().ok_or_else(|| unreadable("the note has no text"))?;
        Ok(IncidentNote { id, text, trimmed: self.trimmed.unwrap_or(false) })
    }
}

#[derive(Deserialize)]
struct WireResolveReason {
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    incident: Option<WireReference>,
}

#[derive(Deserialize)]
struct WireRoleAssignment {
    #[serde(default, deserialize_with = "lenient")]
    incident: Option<WireReference>,
}

#[derive(Deserialize)]
struct WireReference {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    summary: Option<String>,
}

impl From<WireReference> for Actor {
    fn from(agent: WireReference) -> Self {
        Self {
            id: agent.id.filter(|id| !id.is_empty()),
            name: agent.summary.filter(|name| !name.trim().is_empty()),
            source: None,
            person: matches!(agent.kind.as_deref(), Some("user_reference" | "user")),
        }
    }
}

fn unreadable(why: &str) -> Unreadable {
    Unreadable(why.to_owned())
}

/// An id of PagerDuty's; those of notes look the same as those of incidents.
fn incident_id(id: Option<&str>, whose: &str) -> Result<IncidentId, Unreadable> {
    let id = id.ok_or_else(|| Unreadable(format!("the id of {whose} is missing")))?;
    IncidentId::try_from(id).map_err(|error| Unreadable(format!("the id of {whose} is not valid: {error}")))
}

/// An id to tell repeats by; one that is too long is hashed.
fn bounded(id: &str) -> Option<String> {
    let id = id.trim();
    match id.len() {
        0 => None,
        1..=ID_LIMIT => Some(printable(id, ID_LIMIT)),
        _ => Some(Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect()),
    }
}

const NAME_LIMIT: usize = 200;
const ID_LIMIT: usize = 200;
