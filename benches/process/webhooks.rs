//! Webhooks, made and signed before anybody looks at the clock.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::vendors::{ADA, JANE, Pair};

/// How long each body is, in bytes.
pub(crate) const BODY: usize = 4096;

/// A whole request, as it goes over the wire.
pub(crate) type Wire = Vec<u8>;

/// What a marker begins with.
pub(crate) const MARKER: &str = "bench-note-";

/// How long a marker is, in bytes.
pub(crate) const MARKER_LENGTH: usize = MARKER.len() + 8;

/// What tells notes of these webhooks apart wherever they are passed on to.
pub(crate) fn marker(number: usize) -> String {
    format!("{MARKER}{number:08}")
}

/// A kind of webhook, of which many are to be made: what it says is put together once.
pub(crate) struct Template {
    text: String,
    secret: String,
}

// What each webhook has of its own, in the template.
const NUMBER: &str = "{number}";
const ALERT: &str = "{alert}";
const INCIDENT: &str = "{incident}";
const EVENT: &str = "{event}";
const STATUS: &str = "{status}";

impl Template {
    /// PagerDuty tells, signed, that Ada wrote a note on an incident. All of the body is news: the note is as long as it
    /// takes to fill it.
    pub(crate) fn annotated(example: &Pair, secret: &str) -> Self {
        Self::pagerduty(example, secret, |content| {
            json!({
                "incident": reference("incident", "incidents", INCIDENT),
                "id": format!("PN{NUMBER}"),
                "content": content,
                "trimmed": false,
                "type": "incident_note",
            })
        })
    }

    /// PagerDuty tells, signed, that something happened to an incident. Most of the body is what PagerDuty says in each
    /// webhook, and nobody reads.
    pub(crate) fn changed(example: &Pair, secret: &str) -> Self {
        let data = |teams: usize, title: &str| {
            json!({
                "id": INCIDENT,
                "type": "incident",
                "self": format!("https://api.pagerduty.com/incidents/{INCIDENT}"),
                "html_url": format!("https://acme.pagerduty.com/incidents/{INCIDENT}"),
                "number": 101,
                "status": STATUS,
                "incident_key": format!("opsgenie:{ALERT}"),
                "created_at": "2026-03-02T10:15:30Z",
                "reopened_at": null,
                "title": title,
                "service": reference("service", "services", "PSVC001"),
                "assignees": [reference("user", "users", ADA)],
                "escalation_policy": reference("escalation_policy", "escalation_policies", "PEP0001"),
                "teams": (0..teams).map(|n| reference("team", "teams", &format!("PTEAM{n:02}"))).collect::<Vec<_>>(),
                "priority": reference("priority", "priorities", "PPRI001"),
                "urgency": "high",
                "conference_bridge": null,
                "resolve_reason": null,
                "incident_type": { "name": "incident_default" },
            })
        };
        // Seven fill most of what the rest leaves.
        Self::pagerduty(example, secret, |title| data(7, title))
    }

    fn pagerduty(example: &Pair, secret: &str, data: impl Fn(&str) -> Value) -> Self {
        let body = |text: &str| {
            json!({ "event": {
                "id": format!("01BENCH00000000000{NUMBER}"),
                "event_type": format!("incident.{EVENT}"),
                "resource_type": "incident",
                "occurred_at": "2026-03-02T10:15:16.123Z",
                "agent": reference("user", "users", ADA),
                "client": null,
                "data": data(text),
            }})
        };
        Self { text: filled(example, body), secret: secret.to_owned() }
    }

    /// Opsgenie tells that Jane wrote a note on an alert.
    pub(crate) fn note_added(example: &Pair, integration_id: &str) -> Self {
        let body = |note: &str| {
            json!({
                "action": "AddNote",
                "alert": {
                    "alertId": ALERT,
                    "message": "Disk full",
                    "tags": ["disk", "db"],
                    "tinyId": "1042",
                    "entity": "db-1",
                    "alias": ALERT,
                    "createdAt": 1_763_600_000_123_u64,
                    "updatedAt": 1_763_600_062_000_000_000_u64,
                    "username": JANE,
                    "userId": "daed1180-0ce8-438b-8f8e-57e1a5920a2d",
                    "priority": "P2",
                    "source": "monitor",
                    "note": note,
                },
                "source": { "name": "", "type": "web" },
                "integrationName": "crosspage",
                "integrationId": integration_id,
                "integrationType": "Webhook",
            })
        };
        Self { text: filled(example, body), secret: String::new() }
    }

    /// The webhook of that number, about that link.
    pub(crate) fn webhook(&self, number: usize, pair: &Pair) -> Wire {
        let body = with(&self.text, number, pair, "annotated", "");
        if self.secret.is_empty() { posted("/ops-webhook", "", &body) } else { signed(number, &body, &self.secret) }
    }

    /// The same about a change of the incident's state: acknowledged and let go of in turn, each time a link is due.
    pub(crate) fn change(&self, number: usize, pairs: &[Pair]) -> Wire {
        let acknowledged = (number / pairs.len()).is_multiple_of(2);
        let (event, status) =
            if acknowledged { ("acknowledged", "acknowledged") } else { ("unacknowledged", "triggered") };
        let body = with(&self.text, number, &pairs[number % pairs.len()], event, status);
        signed(number, &body, &self.secret)
    }

    /// The same about something that is none of our business, on an incident that nobody has taken.
    pub(crate) fn nothing_new(&self, number: usize, pair: &Pair) -> Wire {
        let body = with(&self.text, number, pair, "priority_updated", "triggered");
        signed(number, &body, &self.secret)
    }
}

/// A body of the usual length, with as much text as that takes.
fn filled(example: &Pair, body: impl Fn(&str) -> Value) -> String {
    let marker = format!("{MARKER}{NUMBER}");
    let bare = with(&body(&marker).to_string(), 0, example, "acknowledged", "acknowledged").len();
    let filler = "We see errors at the till, and the replica lags behind. ";
    let text: String = std::iter::once(' ').chain(filler.chars().cycle()).take(BODY.saturating_sub(bare)).collect();
    body(&(marker + &text)).to_string()
}

fn with(text: &str, number: usize, pair: &Pair, event: &str, status: &str) -> String {
    text.replace(NUMBER, &format!("{number:08}"))
        .replace(ALERT, pair.alert.as_str())
        .replace(INCIDENT, pair.incident.as_str())
        .replace(EVENT, event)
        .replace(STATUS, status)
}

fn signed(number: usize, body: &str, secret: &str) -> Wire {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length will do");
    mac.update(body.as_bytes());
    let signature: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let id = scattered(number);
    let headers = format!("x-webhook-id: {id}\r\nx-pagerduty-signature: v1={signature}\r\n");
    posted("/pd-webhook", &headers, body)
}

/// An id that follows no order, as a random UUID does not.
fn scattered(number: usize) -> String {
    Sha256::digest(number.to_be_bytes()).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn posted(path: &str, headers: &str, body: &str) -> Wire {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: crosspage.example.com\r\nuser-agent: PagerDuty-Webhook/V3.0\r\n\
         content-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

fn reference(kind: &str, collection: &str, id: &str) -> Value {
    json!({
        "html_url": format!("https://acme.pagerduty.com/{collection}/{id}"),
        "id": id,
        "self": format!("https://api.pagerduty.com/{collection}/{id}"),
        "summary": id,
        "type": format!("{kind}_reference"),
    })
}

/// What comes after the head of a request.
pub(crate) fn body_of(request: &[u8]) -> &[u8] {
    let head = request.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    &request[head..]
}
