//! The REST API's own shapes. Nearly every field may be null or missing.

use serde::Deserialize;

use crate::engine::outbox::call::IncidentState;
use crate::engine::{Actor, IncidentId, Status, Timestamp};
use crate::http::lenient;

/// The status of that name.
pub(super) fn status(name: &str) -> Option<Status> {
    match name {
        "triggered" => Some(Status::Open),
        "acknowledged" => Some(Status::Acknowledged),
        "resolved" => Some(Status::Resolved),
        _ => None,
    }
}

/// A moment as PagerDuty writes it: RFC 3339, with any offset.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    Some(Timestamp::from_millis(text.trim().parse::<jiff::Timestamp>().ok()?.as_millisecond()))
}

#[derive(Deserialize)]
pub(super) struct WireIncidentEnvelope {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) incident: Option<WireIncident>,
}

#[derive(Deserialize)]
pub(super) struct WireIncidents {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) incidents: Option<Vec<WireIncident>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) more: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct WireIncident {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<IncidentId>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    incident_key: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    service: Option<WireReference>,
    #[serde(default, deserialize_with = "lenient")]
    created_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    updated_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    last_status_change_at: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    last_status_change_by: Option<WireReference>,
    #[serde(default, deserialize_with = "lenient")]
    resolve_reason: Option<WireResolveReason>,
}

/// Why an incident is resolved, where there is more to it.
#[derive(Deserialize)]
struct WireResolveReason {
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    incident: Option<WireReference>,
}

impl WireResolveReason {
    fn merged_into(self) -> Option<IncidentId> {
        let incident = self.incident.filter(|_| self.kind.as_deref() == Some("merge_resolve_reason"))?;
        IncidentId::try_from(incident.id.as_deref()?).ok()
    }
}

impl WireIncident {
    /// Whether it has that key on that service; the vendor's own filter is not relied on.
    pub(super) fn is_under(&self, key: &str, service_id: &str) -> bool {
        let service = self.service.as_ref().and_then(|service| service.id.as_deref());
        self.incident_key.as_deref() == Some(key) && service.is_none_or(|id| id == service_id)
    }

    pub(super) fn created_at(&self) -> Option<Timestamp> {
        moment(self.created_at.as_deref()?)
    }

    pub(super) fn updated_at(&self) -> Option<Timestamp> {
        moment(self.updated_at.as_deref()?)
    }

    pub(super) fn state(self) -> Option<IncidentState> {
        let changed_at = self.last_status_change_at.as_deref().and_then(moment);
        let at = changed_at.or_else(|| self.updated_at());
        let by = self.last_status_change_by.as_ref().map(WireReference::actor).unwrap_or_default();
        let status = status(self.status.as_deref()?)?;
        // Nobody could verify that the reason goes when the incident is reopened.
        let resolved_by = self.resolve_reason.filter(|_| status == Status::Resolved);
        let merged_into = resolved_by.and_then(WireResolveReason::merged_into);
        Some(IncidentState { id: self.id?, status, at, by, merged_into })
    }
}

#[derive(Deserialize)]
pub(super) struct WireReference {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(rename = "type", default, deserialize_with = "lenient")]
    pub(super) kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    summary: Option<String>,
}

impl WireReference {
    fn is_person(&self) -> bool {
        matches!(self.kind.as_deref(), Some("user_reference" | "user"))
    }

    pub(super) fn actor(&self) -> Actor {
        Actor { id: self.id.clone(), name: self.summary.clone(), source: None, person: self.is_person() }
    }
}

/// A page of webhook subscriptions.
#[derive(Deserialize)]
pub(super) struct WireSubscriptions {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) webhook_subscriptions: Option<Vec<WireSubscription>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) more: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct WireSubscriptionEnvelope {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) webhook_subscription: Option<WireSubscription>,
}

#[derive(Deserialize)]
pub(super) struct WireSubscription {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) events: Option<Vec<String>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) active: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) delivery_method: Option<WireDeliveryMethod>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) filter: Option<WireReference>,
}

#[derive(Deserialize)]
pub(super) struct WireDeliveryMethod {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) url: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) temporarily_disabled: Option<bool>,
    /// There only right after the subscription was made.
    #[serde(default, deserialize_with = "lenient")]
    pub(super) secret: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireServiceEnvelope {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) service: Option<WireService>,
}

#[derive(Deserialize)]
pub(super) struct WireService {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) summary: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) escalation_policy: Option<WireReference>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) acknowledgement_timeout: Option<u64>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) auto_resolve_timeout: Option<u64>,
}

#[derive(Deserialize)]
pub(super) struct WireNoteEnvelope {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) note: Option<WireNote>,
}

#[derive(Deserialize)]
pub(super) struct WireNotes {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) notes: Option<Vec<WireNote>>,
}

#[derive(Deserialize)]
pub(super) struct WireNote {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) content: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) user: Option<WireReference>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) created_at: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WirePriorities {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) priorities: Option<Vec<WirePriority>>,
}

#[derive(Deserialize)]
pub(super) struct WirePriority {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    summary: Option<String>,
}

impl WirePriority {
    /// Its name in lower case, and its id.
    pub(super) fn entry(self) -> Option<(String, String)> {
        Some((self.name.or(self.summary)?.trim().to_lowercase(), self.id?))
    }
}

#[derive(Deserialize)]
pub(super) struct WireUsers {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) users: Option<Vec<WireUser>>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) more: Option<bool>,
}

#[derive(Deserialize)]
pub(super) struct WireUserEnvelope {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) user: Option<WireUser>,
}

#[derive(Deserialize)]
pub(super) struct WireUser {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) summary: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) role: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) email: Option<String>,
}

/// What an error says; proxies answer with anything at all.
#[derive(Default, Deserialize)]
pub(super) struct WireError {
    #[serde(default, deserialize_with = "lenient")]
    pub(super) code: Option<i64>,
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    errors: Option<Vec<String>>,
}

impl WireError {
    pub(super) fn read(body: &[u8]) -> Self {
        #[derive(Default, Deserialize)]
        struct Envelope {
            #[serde(default, deserialize_with = "lenient")]
            error: Option<WireError>,
        }
        serde_json::from_slice::<Envelope>(body).unwrap_or_default().error.unwrap_or_default()
    }

    /// Its message and the first of its errors.
    pub(super) fn text(&self) -> String {
        let first = self.errors.as_ref().and_then(|errors| errors.first());
        [self.message.as_ref(), first].into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(": ")
    }
}
