//! The Alert API v2: authentication, limits, asynchronous writes, reads.

use serde_json::{Map, json};

use super::command::{ActionBy, Command, Target};
use super::model::{Opsgenie, Pending};
use super::options::KeyKind;
use super::payload::{self, Invalid};
use super::read::Reader;
use crate::exchange::{CallRecord, Reply, Request};
use crate::fault::{ErrorReplies, serve};
use crate::ids::http_date;

/// The address that calls come from, as far as the account can tell.
const CALLER: &str = "127.0.0.1";

/// Seconds, as every answer carries them.
pub(super) const TOOK: f64 = 0.005;

impl Opsgenie {
    /// Serves a REST request that arrives at `now_ms`, Unix milliseconds.
    pub fn handle(&mut self, now_ms: i64, request: Request) -> Reply {
        self.tick(now_ms);
        let fault = self.faults.next(&request.method, &request.path);
        let request_id = self.ids.uuid();
        let errors = ErrorReplies {
            status: &|code| error(code, "Fault on demand", &request_id),
            throttle: &|with_headers, reset_s| throttled(with_headers, reset_s, &request_id),
        };
        let mut reply = serve(fault, &errors, |fails_with| {
            self.route(&request, &request_id, fails_with).unwrap_or_else(|reply| reply)
        });
        if reply.header("x-ratelimit-state").is_none() && reply.status != 429 {
            reply = reply
                .with_header("x-ratelimit-state", "OK")
                .with_header("x-ratelimit-reason", "ACCOUNT")
                .with_header("x-ratelimit-period-in-sec", "60");
        }
        let date = http_date(self.now_ms.saturating_add(self.options.clock_ahead_ms));
        let reply = reply
            .with_header("date", date)
            .with_header("x-request-id", request_id)
            .with_header("x-response-time", TOOK.to_string());
        self.calls.push(CallRecord::of(&request, self.now_ms, &reply));
        reply
    }

    fn route(&mut self, request: &Request, request_id: &str, fails_with: Option<String>) -> Result<Reply, Reply> {
        self.authenticate(request, request_id)?;
        self.authorize(request, request_id)?;
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let [_, _, path @ ..] = segments.as_slice() else {
            return Err(no_such_path(request_id));
        };
        if segments[..2] != ["v2", "alerts"] {
            return Err(no_such_path(request_id));
        }
        let reader = Reader { model: self, request, request_id };
        match (request.method.as_str(), path) {
            ("GET", []) => return reader.list(),
            ("GET", ["count"]) => return reader.count(),
            ("GET", ["requests", id]) => return reader.request_status(id),
            ("GET", [id]) => return reader.alert(id),
            ("GET", [id, "notes"]) => return reader.notes(id),
            ("GET", [id, "logs"]) => return reader.logs(id),
            ("GET", _) => return Err(no_such_path(request_id)),
            _ => {}
        }
        let invalid = |invalid| refuse(invalid, request_id);
        let body = payload::Body::read(request).map_err(invalid)?;
        let cut_notes = self.behaviour.cut_long_notes;
        let action = payload::action(&request.method, path, &body, self.now_ms, cut_notes).map_err(invalid)?;
        let Some(action) = action else {
            return Err(no_such_path(request_id));
        };
        let target = match path {
            [] => Target::New,
            [id, ..] => target(request, id).map_err(invalid)?,
        };
        let note = body.note(cut_notes).map_err(invalid)?;
        let actor =
            self.api_actor(body.short_text("user").map_err(invalid)?, body.short_text("source").map_err(invalid)?);
        let due_ms = self.now_ms.saturating_add_unsigned(self.options.processing_ms);
        let command = Command { action, actor, note };
        let pending = Pending { due_ms, request_id: request_id.to_owned(), target, command, fails_with };
        self.pending.push_back(pending);
        let body = json!({"result": "Request will be processed", "took": TOOK, "requestId": request_id});
        Ok(Reply::json(202, &body))
    }

    fn authenticate(&self, request: &Request, request_id: &str) -> Result<(), Reply> {
        let could_not = || {
            error(401, "Could not authenticate", request_id).with_header("x-opsgenie-errortype", "AuthenticationFailed")
        };
        let key = request.header_value("authorization").and_then(|value| value.strip_prefix("GenieKey "));
        match key {
            None => Err(could_not()),
            Some(key) if !is_uuid(key.trim()) => Err(error(422, "Key format is not valid!", request_id)),
            Some(key) if !key.trim().eq_ignore_ascii_case(&self.options.api_key) => Err(could_not()),
            Some(_) => Ok(()),
        }
    }

    /// Whether the key may do that. Answers page: 403 with code 40301 if not; the words for a key from the settings are from
    /// reports of users.
    fn authorize(&self, request: &Request, request_id: &str) -> Result<(), Reply> {
        let reads = request.method == "GET";
        let last = request.path.rsplit('/').next().unwrap_or_default();
        let of_integrations = !reads && ["alerts", "acknowledge", "close", "notes"].contains(&last);
        let message = match self.options.key_kind {
            KeyKind::Settings if of_integrations => "To perform this action, use an API key from an API integration.",
            KeyKind::ReadOnly if !reads => "The key may not create and update",
            KeyKind::WriteOnly if reads => "The key may not read",
            KeyKind::Integration | KeyKind::ReadOnly | KeyKind::WriteOnly | KeyKind::Settings => return Ok(()),
        };
        let body = json!({"code": 40301, "message": message, "took": TOOK, "requestId": request_id});
        Err(Reply::json(403, &body))
    }

    /// Captures suggest: `user` is shown as the alert's user name, `source` as the source's name; without a source it
    /// is the caller's address, shown only if there is a user.
    fn api_actor(&self, user: Option<String>, source: Option<String>) -> ActionBy {
        let username = match &user {
            Some(user) if self.behaviour.user_marker_in_username => user.clone(),
            Some(_) => "API".to_owned(),
            None => "System".to_owned(),
        };
        let source_name = match (&source, &user) {
            _ if !self.behaviour.source_marker_in_source_name => String::new(),
            (Some(source), _) => source.clone(),
            (None, Some(_)) => CALLER.to_owned(),
            (None, None) => String::new(),
        };
        ActionBy {
            username,
            user_id: None,
            source_name,
            source_type: "API",
            alert_source: source.unwrap_or_else(|| CALLER.to_owned()),
        }
    }
}

pub(super) fn target(request: &Request, id: &str) -> Result<Target, Invalid> {
    match request.query_value("identifierType").as_deref() {
        None | Some("id") => Ok(Target::Id(id.to_owned())),
        Some("alias") => Ok(Target::Alias(id.to_owned())),
        Some("tiny") => Ok(Target::Tiny(id.to_owned())),
        Some(_) => Err(Invalid::field("identifierType", "must be one of [id, alias, tiny]")),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

pub(super) fn error(status: u16, message: &str, request_id: &str) -> Reply {
    Reply::json(status, &json!({"message": message, "took": TOOK, "requestId": request_id}))
}

fn no_such_path(request_id: &str) -> Reply {
    error(404, "No handler found for the request", request_id)
}

pub(super) fn refuse(invalid: Invalid, request_id: &str) -> Reply {
    match invalid {
        Invalid::Syntax => error(400, "Request body is not valid JSON", request_id),
        Invalid::Field { name, problem } => {
            let message = format!("{name} {problem}");
            let errors = Map::from_iter([(name, json!(message))]);
            let body = json!({
                "message": "Request body is not processable. Please check the errors.",
                "errors": errors,
                "took": TOOK,
                "requestId": request_id,
            });
            Reply::json(422, &body)
        }
    }
}

fn throttled(with_headers: bool, reset_s: u64, request_id: &str) -> Reply {
    let reply = error(429, "TooManyRequests", request_id);
    if !with_headers {
        return reply;
    }
    reply
        .with_header("x-ratelimit-state", "THROTTLED")
        .with_header("x-ratelimit-reason", "ACCOUNT")
        .with_header("x-ratelimit-period-in-sec", reset_s.to_string())
}
