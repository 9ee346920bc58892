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

/// PagerDuty tells, signed, that Ada wrote the note of that number on an incident. All of the body is news: the note is as
/// long as it takes to fill it.
pub(crate) fn annotated(number: usize, pair: &Pair, secret: &str) -> Wire {
    let id = &pair.incident;
    let body = |content: String| {
        json!({ "event": {
            "id": format!("01BENCH{number:019}"),
            "event_type": "incident.annotated",
            "resource_type": "incident",
            "occurred_at": "2026-03-02T10:15:16.123Z",
            "agent": reference("user", "users", ADA),
            "client": null,
            "data": {
                "incident": reference("incident", "incidents", id.as_str()),
                "id": format!("PN{number:010}"),
                "content": content,
                "trimmed": false,
                "type": "incident_note",
            },
        }})
    };
    signed(number, &filled(number, body), secret)
}

/// PagerDuty tells, signed, that Ada acknowledged an incident, or let go of it: every other time a link is due. Most of the
/// body is what PagerDuty says in each webhook, and nobody reads.
pub(crate) fn status_changed(number: usize, pairs: &[Pair], secret: &str) -> Wire {
    let pair = &pairs[number % pairs.len()];
    let acknowledged = (number / pairs.len()).is_multiple_of(2);
    let (name, status) = if acknowledged { ("acknowledged", "acknowledged") } else { ("unacknowledged", "triggered") };
    incident_changed(number, pair, name, status, secret)
}

/// PagerDuty tells, signed, of a change that is none of our business, on an incident that nobody has taken.
pub(crate) fn updated(number: usize, pair: &Pair, secret: &str) -> Wire {
    incident_changed(number, pair, "priority_updated", "triggered", secret)
}

fn incident_changed(number: usize, pair: &Pair, change: &str, status: &str, secret: &str) -> Wire {
    let body = |teams: usize, title: String| {
        json!({ "event": {
            "id": format!("01BENCH{number:019}"),
            "event_type": format!("incident.{change}"),
            "resource_type": "incident",
            "occurred_at": "2026-03-02T10:15:16.123Z",
            "agent": reference("user", "users", ADA),
            "client": null,
            "data": {
                "id": pair.incident,
                "type": "incident",
                "self": format!("https://api.pagerduty.com/incidents/{}", pair.incident),
                "html_url": format!("https://acme.pagerduty.com/incidents/{}", pair.incident),
                "number": 101,
                "status": status,
                "incident_key": pair.alert.incident_key(),
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
            },
        }})
    };
    let teams = (1..).find(|teams| body(teams + 1, marker(number)).to_string().len() > BODY).unwrap_or_default();
    signed(number, &filled(number, |title| body(teams, title)), secret)
}

/// Opsgenie tells that Jane wrote the note of that number on an alert.
pub(crate) fn note_added(number: usize, pair: &Pair, integration_id: &str) -> Wire {
    let body = |note: String| {
        json!({
            "action": "AddNote",
            "alert": {
                "alertId": pair.alert,
                "message": "Disk full",
                "tags": ["disk", "db"],
                "tinyId": "1042",
                "entity": "db-1",
                "alias": pair.alert,
                "createdAt": 1_763_600_000_123_u64,
                "updatedAt": 1_763_600_062_000_000_000_u64 + number as u64,
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
    posted("/ops-webhook", "", &filled(number, body))
}

/// A body of the usual length, with as much text as that takes.
fn filled(number: usize, body: impl Fn(String) -> Value) -> String {
    let marker = marker(number);
    let bare = body(marker.clone()).to_string().len();
    let filler = "We see errors at the till, and the replica lags behind. ";
    let text: String = std::iter::once(' ').chain(filler.chars().cycle()).take(BODY.saturating_sub(bare)).collect();
    body(marker + &text).to_string()
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
