//! REST v2 and Events v2: authentication, routes, errors, incidents and their notes.

use serde_json::{Value, json};

use super::doer::{Doer, NewIncident};
use super::events;
use super::incident::{Agent, Incident, IncidentStatus};
use super::model::PagerDuty;
use super::options::{KeyAccess, KeyKind, RestAgent, ServiceStatus};
use crate::exchange::{CallRecord, Reply, Request};
use crate::fault::{ErrorReplies, serve};
use crate::ids::http_date;

/// OpenAPI document.
const NOTES_LIMIT: usize = 2_000;
/// Editing page: so many single-byte characters a note.
const NOTE_LIMIT: usize = 65_535;
/// OpenAPI document: seven days.
const SNOOZE_LIMIT: i64 = 604_800;

/// An answer, or why there is none.
pub(super) type Served = Result<Reply, Failure>;

/// An error answer.
#[derive(Debug)]
pub(super) struct Failure {
    status: u16,
    code: u16,
    message: &'static str,
    errors: Vec<String>,
}

impl Failure {
    pub(super) fn new(status: u16, code: u16, message: &'static str, errors: &[&str]) -> Self {
        Self { status, code, message, errors: errors.iter().map(|&error| error.to_owned()).collect() }
    }

    pub(super) fn invalid(error: &str) -> Self {
        Self::new(400, 2001, "Invalid Input Provided", &[error])
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, 2100, "Not Found", &[])
    }

    fn reply(&self) -> Reply {
        let mut error = json!({"message": self.message, "code": self.code});
        if !self.errors.is_empty() {
            error["errors"] = json!(self.errors);
        }
        Reply::json(self.status, &json!({"error": error}))
    }
}

impl PagerDuty {
    /// Serves a REST or Events request that arrives at `now_ms`, Unix milliseconds.
    pub fn handle(&mut self, now_ms: i64, request: Request) -> Reply {
        self.tick(now_ms);
        let fault = self.faults.next(&request.method, &request.path);
        let errors = if is_enqueue(&request) {
            ErrorReplies { status: &events::error, throttle: &events::throttled }
        } else {
            let status = &|code| Failure::new(code, 2000, "Internal Error", &["Fault on demand"]).reply();
            ErrorReplies { status, throttle: &throttled }
        };
        let mut reply = serve(fault, &errors, |_| self.route(&request).unwrap_or_else(|failure| failure.reply()));
        if reply.status != 429 {
            reply = reply
                .with_header("ratelimit-limit", "960")
                .with_header("ratelimit-remaining", "959")
                .with_header("ratelimit-reset", "60");
        }
        let date = http_date(self.now_ms.saturating_add(self.options.clock_ahead_ms));
        let reply = reply.with_header("date", date);
        self.calls.push(CallRecord::of(&request, self.now_ms, &reply));
        reply
    }

    fn route(&mut self, request: &Request) -> Served {
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().map(String::as_str).collect();
        let method = request.method.as_str();
        if is_enqueue(request) {
            return Ok(self.enqueue(request));
        }
        let authorization = request.header_value("authorization").unwrap_or_default();
        if authorization.strip_prefix("Token token=") != Some(self.options.api_key.as_str()) {
            return Err(Failure::new(401, 2006, "Authentication failed", &[]));
        }
        if self.options.key_access == KeyAccess::ReadOnly && method != "GET" {
            return Err(Failure::new(403, 2010, "Access Denied", &[]));
        }
        match (method, path.as_slice()) {
            (_, ["webhook_subscriptions", rest @ ..]) => self.subscriptions(request, rest),
            ("GET", path) => self.read(request, path),
            ("DELETE", ["incidents", id, "notes", note_id]) => self.delete_note(id, note_id),
            ("POST", ["incidents"]) => {
                let by = self.requester(request)?;
                self.create_incident(request, &by)
            }
            ("PUT", ["incidents"]) => {
                let by = self.requester(request)?;
                self.update_many(request, &by)
            }
            ("PUT", ["incidents", id]) => {
                let by = self.requester(request)?;
                self.update_one(request, id, &by)
            }
            (_, ["incidents", id, rest @ ..]) => {
                let by = self.requester(request)?;
                let id = self.incident_id(id)?;
                match (method, rest) {
                    ("POST", ["notes"]) => self.create_note(request, &id, &by),
                    ("PUT", ["notes", note_id]) => self.update_note(request, &id, note_id),
                    ("POST", ["snooze"]) => self.snooze_incident(request, &id, &by),
                    ("PUT", ["merge"]) => self.merge_incidents(request, &id, &by),
                    _ => Err(Failure::not_found()),
                }
            }
            _ => Err(Failure::not_found()),
        }
    }

    /// Whoever `From` names, or whose key it is.
    fn requester(&self, request: &Request) -> Result<Doer, Failure> {
        let user = match (self.options.key_kind, request.header_value("from")) {
            (KeyKind::User, _) => &self.options.automation,
            (KeyKind::Account, None | Some("")) => {
                let text = "You must specify a user's email address in the \"From\" header to perform this action";
                return Err(Failure::new(400, 2016, text, &[]));
            }
            (KeyKind::Account, Some(email)) => self
                .users()
                .find(|user| user.email.eq_ignore_ascii_case(email.trim()))
                .ok_or_else(|| Failure::new(400, 1008, "Requester User Not Found", &[]))?,
        };
        let agent = Agent::User(user.id.clone());
        let shown = match self.behaviour.agent_of_rest_writes {
            RestAgent::FromUser => agent.clone(),
            RestAgent::Null => Agent::Nobody,
        };
        Ok(Doer { agent, shown, channel: "api" })
    }

    fn create_incident(&mut self, request: &Request, by: &Doer) -> Served {
        let body = body_of(request)?;
        let wanted = &body["incident"];
        if wanted["type"] != "incident" {
            return Err(Failure::invalid("Type must be incident"));
        }
        let title = wanted["title"].as_str().filter(|title| !title.trim().is_empty());
        let title = title.ok_or_else(|| Failure::invalid("Title cannot be empty"))?;
        if self.behaviour.max_title_chars.is_some_and(|limit| title.chars().count() > limit) {
            return Err(Failure::invalid("Title is too long"));
        }
        let service_id = wanted["service"]["id"].as_str().filter(|id| self.is_service(id));
        let service_id =
            service_id.ok_or_else(|| Failure::new(400, 2001, "Invalid Input Provided", &["Service Not Found"]))?;
        if self.options.service_status != ServiceStatus::Active && service_id == self.options.service_id {
            // Which error it is, nobody has told.
            return Err(Failure::invalid("Incident could not be created"));
        }
        let details = match wanted["body"].get("details") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => return Err(Failure::invalid("Body details must be a string")),
        };
        if self.behaviour.max_details_bytes.is_some_and(|limit| details.len() > limit) {
            return Err(Failure::invalid("Body details are too long"));
        }
        let urgency = match &wanted["urgency"] {
            Value::Null => "high",
            Value::String(urgency) if urgency == "high" || urgency == "low" => urgency,
            _ => return Err(Failure::invalid("Urgency must be high or low")),
        };
        let assignee = &wanted["assignments"][0]["assignee"]["id"];
        let assignee = assignee.as_str().map(str::to_owned);
        if assignee.as_ref().is_some_and(|id| self.user(id).is_none()) {
            return Err(Failure::new(400, 1007, "Assigned To User Not Found", &[]));
        }
        let priority = self.wanted_priority(wanted.get("priority"))?.flatten();
        let incident_key = wanted["incident_key"].as_str().map(str::to_owned);
        if let Some(key) = &incident_key
            && self.open_keys.contains_key(&(service_id.to_owned(), key.clone()))
        {
            let text = "Open incident with matching dedup key already exists on this service";
            return Err(Failure::new(400, 2002, "Arguments Caused Error", &[text]));
        }
        let new = NewIncident {
            title: title.to_owned(),
            body: details,
            urgency: urgency.to_owned(),
            priority,
            // Without a key of the caller's, PagerDuty makes one up.
            incident_key: Some(incident_key.unwrap_or_else(|| self.ids.hex32())),
            alert_key: None,
            service_id: service_id.to_owned(),
            assignee,
            client: None,
        };
        let id = self.create(new, by);
        let incident = self.shelf.get(&id).ok_or_else(Failure::not_found)?;
        Ok(Reply::json(self.behaviour.create_status, &json!({"incident": self.incident_json(incident, false)})))
    }

    fn create_note(&mut self, request: &Request, id: &str, by: &Doer) -> Served {
        let body = body_of(request)?;
        let text = note_text(&body)?;
        if self.shelf.get(id).is_some_and(|incident| incident.notes.len() >= NOTES_LIMIT) {
            return Err(Failure::new(400, 2019, "Product Limit Reached", &["Too many notes"]));
        }
        let note_id = self.annotate(id, by, text);
        self.note_reply(id, &note_id, self.behaviour.note_status)
    }

    /// No event tells of an edited or deleted note, as far as is known.
    fn update_note(&mut self, request: &Request, id: &str, note_id: &str) -> Served {
        let body = body_of(request)?;
        let text = note_text(&body)?.to_owned();
        self.edit(id, |incident, now_ms| {
            if let Some(note) = incident.notes.iter_mut().find(|note| note.id == note_id) {
                note.text = text;
                note.updated_at_ms = now_ms;
            }
        });
        self.note_reply(id, note_id, 200)
    }

    fn delete_note(&mut self, id: &str, note_id: &str) -> Served {
        let id = self.incident_id(id)?;
        let deleted = self.edit(&id, |incident, _| {
            let before = incident.notes.len();
            incident.notes.retain(|note| note.id != note_id);
            incident.notes.len() < before
        });
        if deleted == Some(true) { Ok(Reply::raw(204, Vec::new())) } else { Err(Failure::not_found()) }
    }

    fn note_reply(&self, id: &str, note_id: &str, status: u16) -> Served {
        let incident = self.shelf.get(id).ok_or_else(Failure::not_found)?;
        let note = incident.notes.iter().find(|note| note.id == note_id).ok_or_else(Failure::not_found)?;
        Ok(Reply::json(status, &json!({"note": self.note_json(incident, note)})))
    }

    fn snooze_incident(&mut self, request: &Request, id: &str, by: &Doer) -> Served {
        let body = body_of(request)?;
        let seconds = body["duration"].as_i64().filter(|seconds| (1..=SNOOZE_LIMIT).contains(seconds));
        let seconds = seconds.ok_or_else(|| Failure::new(400, 1013, "Snooze Duration is Invalid", &[]))?;
        if !self.is(id, IncidentStatus::Acknowledged) {
            return Err(Failure::new(400, 1012, "Incident is not Acknowledged", &[]));
        }
        self.snooze(id, by, seconds);
        let incident = self.shelf.get(id).ok_or_else(Failure::not_found)?;
        Ok(Reply::json(201, &json!({"incident": self.incident_json(incident, false)})))
    }

    fn merge_incidents(&mut self, request: &Request, into: &str, by: &Doer) -> Served {
        let body = body_of(request)?;
        let sources = body["source_incidents"].as_array().ok_or_else(|| Failure::invalid("Sources must be a list"))?;
        let ids: Vec<String> = sources
            .iter()
            .map(|source| self.incident_id(source["id"].as_str().unwrap_or_default()))
            .collect::<Result<_, _>>()?;
        if ids.iter().any(|id| id == into || self.is(id, IncidentStatus::Resolved)) {
            return Err(Failure::new(400, 1019, "Incident Already Merged", &[]));
        }
        for id in ids {
            self.merge(&id, into, by);
        }
        let incident = self.shelf.get(into).ok_or_else(Failure::not_found)?;
        Ok(Reply::json(200, &json!({"incident": self.incident_ref(incident)})))
    }

    /// Incidents go by id, and by number too.
    pub(super) fn incident_id(&self, id: &str) -> Result<String, Failure> {
        let by_number = |incident: &&Incident| incident.number.to_string() == id;
        let found = self.shelf.get(id).or_else(|| self.shelf.values().find(by_number));
        found.map(|incident| incident.id.clone()).ok_or_else(Failure::not_found)
    }
}

/// Whether it is for the Events API, which has no key in a header and errors of its own.
fn is_enqueue(request: &Request) -> bool {
    (request.method.as_str(), request.path.as_str()) == ("POST", "/v2/enqueue")
}

pub(super) fn body_of(request: &Request) -> Result<Value, Failure> {
    match serde_json::from_slice(&request.body) {
        Ok(body @ Value::Object(_)) => Ok(body),
        _ => Err(Failure::invalid("Request body must be a JSON object")),
    }
}

fn note_text(body: &Value) -> Result<&str, Failure> {
    match body["note"]["content"].as_str() {
        Some(text) if text.len() > NOTE_LIMIT => Err(Failure::invalid("Content is too long")),
        Some(text) if !text.trim().is_empty() => Ok(text),
        _ => Err(Failure::invalid("Content cannot be empty")),
    }
}

/// Rate limit page: a 429 may come without headers and body.
fn throttled(with_headers: bool, reset_s: u64) -> Reply {
    if !with_headers {
        return Reply::raw(429, Vec::new());
    }
    Failure::new(429, 2020, "Rate Limit Exceeded", &[])
        .reply()
        .with_header("ratelimit-limit", "960")
        .with_header("ratelimit-remaining", "0")
        .with_header("ratelimit-reset", reset_s.to_string())
}
