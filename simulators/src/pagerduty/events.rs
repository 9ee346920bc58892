//! Events API v2: `POST /v2/enqueue`, without a key in a header.

use serde_json::{Value, json};

use super::doer::{Doer, NewIncident};
use super::incident::{Agent, IncidentStatus};
use super::model::{EventsPage, PagerDuty};
use crate::exchange::{Reply, Request};

const KEY_LENGTH: usize = 32;
const DEDUP_KEY_LIMIT: usize = 255;
const SUMMARY_LIMIT: usize = 1_024;
const BODY_LIMIT: usize = 512 * 1_024;

impl PagerDuty {
    pub(super) fn enqueue(&mut self, request: &Request) -> Reply {
        let event: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
        let problems = problems(&event);
        if request.body.len() > BODY_LIMIT {
            return invalid(413, &["Event object is too large".to_owned()]);
        }
        if !problems.is_empty() {
            return invalid(400, &problems);
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let dedup_key = event["dedup_key"].as_str().map_or_else(|| self.ids.hex32(), str::to_owned);
        let action = text(&event["event_action"]);
        let by = Doer { agent: Agent::Integration, shown: Agent::Integration, channel: "api" };
        let open = self.shelf.values().find(|incident| {
            incident.alert_key.as_ref() == Some(&dedup_key) && incident.status != IncidentStatus::Resolved
        });
        let open = open.map(|incident| (incident.id.clone(), incident.status));
        let incident_id = match (action.as_str(), open) {
            ("trigger", None) => {
                let client = event["client"].as_str().map(|name| (name.to_owned(), text(&event["client_url"])));
                let low = matches!(event["payload"]["severity"].as_str(), Some("info" | "warning"));
                let new = NewIncident {
                    title: text(&event["payload"]["summary"]),
                    urgency: if low { "low" } else { "high" }.to_owned(),
                    alert_key: Some(dedup_key.clone()),
                    service_id: self.options.service_id.clone(),
                    client,
                    ..NewIncident::default()
                };
                Some(self.create(new, &by))
            }
            // What has no open incident is dropped without a word.
            (_, None) => None,
            ("acknowledge", Some((id, IncidentStatus::Triggered))) => {
                self.acknowledge(&id, &by);
                Some(id)
            }
            ("resolve", Some((id, _))) => {
                self.resolve(&id, &by, None);
                Some(id)
            }
            (_, Some((id, _))) => Some(id),
        };
        self.events_pages.push(EventsPage {
            routing_key: text(&event["routing_key"]),
            action,
            dedup_key: dedup_key.clone(),
            summary: text(&event["payload"]["summary"]),
            at_ms: self.now_ms,
            incident_id,
        });
        let body = json!({"status": "success", "message": "Event processed", "dedup_key": dedup_key});
        Reply::json(202, &body)
    }
}

fn problems(event: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if event["routing_key"].as_str().is_none_or(|key| key.len() != KEY_LENGTH) {
        problems.push("'routing_key' is missing or invalid".to_owned());
    }
    if event["dedup_key"].as_str().is_some_and(|key| key.chars().count() > DEDUP_KEY_LIMIT) {
        problems.push(format!("'dedup_key' is too long (maximum is {DEDUP_KEY_LIMIT} characters)"));
    }
    match event["event_action"].as_str() {
        Some("trigger") => {
            let payload = &event["payload"];
            match payload["summary"].as_str() {
                None | Some("") => problems.push("'summary' is missing or blank".to_owned()),
                Some(summary) if summary.chars().count() > SUMMARY_LIMIT => {
                    // The misspelling is the vendor's.
                    problems.push(format!("'summary' is too long (maiximum is {SUMMARY_LIMIT} characters)"));
                }
                Some(_) => {}
            }
            if payload["source"].as_str().is_none_or(str::is_empty) {
                problems.push("'source' is missing or blank".to_owned());
            }
            if !matches!(payload["severity"].as_str(), Some("critical" | "error" | "warning" | "info")) {
                problems.push("'severity' is missing or invalid".to_owned());
            }
        }
        Some("acknowledge" | "resolve") if event["dedup_key"].as_str().is_none_or(str::is_empty) => {
            problems.push("'dedup_key' is missing or blank".to_owned());
        }
        Some("acknowledge" | "resolve") => {}
        _ => problems.push("'event_action' is missing or invalid".to_owned()),
    }
    problems
}

fn invalid(status: u16, problems: &[String]) -> Reply {
    let body = json!({"status": "invalid event", "message": "Event object is invalid", "errors": problems});
    Reply::json(status, &body)
}

/// An error on demand.
pub(super) fn error(status: u16) -> Reply {
    Reply::json(status, &json!({"status": "error", "message": "Fault on demand"}))
}

/// Nobody could verify what a throttled answer says; the documents describe the status alone.
pub(super) fn throttled(with_headers: bool, reset_s: u64) -> Reply {
    let reply = Reply::raw(429, Vec::new());
    if with_headers { reply.with_header("retry-after", reset_s.to_string()) } else { reply }
}
