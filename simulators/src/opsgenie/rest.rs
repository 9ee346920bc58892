//! The Alert API v2: authentication, limits, asynchronous writes, reads.

use serde_json::{Map, Value, json};

use super::model::{ActionBy, Alert, AlertStatus, Command, Opsgenie, Pending, Target};
use super::payload::{self, Invalid};
use super::query::Query;
use crate::exchange::{CallRecord, Reply, Request};
use crate::fault::{ErrorReplies, serve};
use crate::ids::{rfc3339_ms, uuid_for};

/// The address that calls come from, as far as the account can tell.
const CALLER: &str = "127.0.0.1";

const TOOK: f64 = 0.005;

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
            self.route(&request, &request_id, fails_with)
                .unwrap_or_else(|reply| reply)
        });
        if reply.header("x-ratelimit-state").is_none() && reply.status != 429 {
            reply = reply
                .with_header("x-ratelimit-state", "OK")
                .with_header("x-ratelimit-reason", "ACCOUNT")
                .with_header("x-ratelimit-period-in-sec", "60");
        }
        let reply = reply
            .with_header("x-request-id", request_id)
            .with_header("x-response-time", TOOK.to_string());
        self.calls
            .push(CallRecord::of(&request, self.now_ms, &reply));
        reply
    }

    fn route(
        &mut self,
        request: &Request,
        request_id: &str,
        fails_with: Option<String>,
    ) -> Result<Reply, Reply> {
        self.authenticate(request, request_id)?;
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let [_, _, path @ ..] = segments.as_slice() else {
            return Err(no_such_path(request_id));
        };
        if segments[..2] != ["v2", "alerts"] {
            return Err(no_such_path(request_id));
        }
        let reader = Reader {
            model: self,
            request,
            request_id,
        };
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
        let action = payload::action(&request.method, path, &body, self.now_ms, cut_notes)
            .map_err(invalid)?;
        let Some(action) = action else {
            return Err(no_such_path(request_id));
        };
        let target = match path {
            [] => Target::New,
            [id, ..] => target(request, id).map_err(invalid)?,
        };
        let note = body.note(cut_notes).map_err(invalid)?;
        let actor = self.api_actor(
            body.short_text("user").map_err(invalid)?,
            body.short_text("source").map_err(invalid)?,
        );
        let due_ms = self
            .now_ms
            .saturating_add_unsigned(self.options.processing_ms);
        let command = Command {
            action,
            actor,
            note,
        };
        let pending = Pending {
            due_ms,
            request_id: request_id.to_owned(),
            target,
            command,
            fails_with,
        };
        self.pending.push_back(pending);
        let body =
            json!({"result": "Request will be processed", "took": TOOK, "requestId": request_id});
        Ok(Reply::json(202, &body))
    }

    fn authenticate(&self, request: &Request, request_id: &str) -> Result<(), Reply> {
        let could_not = || {
            error(401, "Could not authenticate", request_id)
                .with_header("x-opsgenie-errortype", "AuthenticationFailed")
        };
        let key = request
            .header_value("authorization")
            .and_then(|value| value.strip_prefix("GenieKey "));
        match key {
            None => Err(could_not()),
            Some(key) if !is_uuid(key.trim()) => {
                Err(error(422, "Key format is not valid!", request_id))
            }
            Some(key) if !key.trim().eq_ignore_ascii_case(&self.options.api_key) => {
                Err(could_not())
            }
            Some(_) => Ok(()),
        }
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

/// Answers GETs.
struct Reader<'a> {
    model: &'a Opsgenie,
    request: &'a Request,
    request_id: &'a str,
}

impl Reader<'_> {
    fn answer(&self, data: Value) -> Result<Reply, Reply> {
        Ok(Reply::json(
            200,
            &json!({"data": data, "took": TOOK, "requestId": self.request_id}),
        ))
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Reply> {
        let Some(text) = self.request.query_value(name) else {
            return Ok(default);
        };
        text.parse()
            .map_err(|_| refuse(Invalid::field(name, "must be a number"), self.request_id))
    }

    fn limit(&self) -> Result<usize, Reply> {
        match self.number("limit", 20)? {
            limit @ 1..=100 => Ok(limit),
            _ => Err(refuse(
                Invalid::field("limit", "must be between 1 and 100"),
                self.request_id,
            )),
        }
    }

    fn selected(&self) -> Result<Vec<&Alert>, Reply> {
        let text = self.request.query_value("query").unwrap_or_default();
        let Some(query) = Query::parse(&text) else {
            return Err(refuse(
                Invalid::field("query", "cannot be parsed"),
                self.request_id,
            ));
        };
        let mut alerts = self
            .model
            .shelf
            .all_seen(self.model.now_ms, self.model.lag_ms());
        alerts.retain(|alert| query.matches(alert));
        match self.request.query_value("sort").as_deref() {
            None | Some("createdAt") => {
                alerts.sort_by_key(|alert| (alert.created_at_ms, alert.tiny_id))
            }
            Some("updatedAt") => alerts.sort_by_key(|alert| (alert.updated_at_ns, alert.tiny_id)),
            Some("tinyId") => alerts.sort_by_key(|alert| alert.tiny_id),
            Some(_) => {
                return Err(refuse(
                    Invalid::field("sort", "is not simulated"),
                    self.request_id,
                ));
            }
        }
        if self.request.query_value("order").as_deref() != Some("asc") {
            alerts.reverse();
        }
        Ok(alerts)
    }

    fn list(&self) -> Result<Reply, Reply> {
        let (limit, offset) = (self.limit()?, self.number("offset", 0)?);
        if offset + limit > 20_000 {
            return Err(refuse(
                Invalid::field("offset", "plus limit must not exceed 20000"),
                self.request_id,
            ));
        }
        let alerts = self.selected()?;
        let page: Vec<_> = alerts
            .iter()
            .skip(offset)
            .take(limit)
            .map(|alert| self.brief(alert))
            .collect();
        let last = alerts.len().saturating_sub(1) / limit * limit;
        let link = |offset: usize| {
            json!(self.link(&[
                ("offset", &offset.to_string()),
                ("limit", &limit.to_string())
            ]))
        };
        let mut paging = Map::from_iter([
            ("first".to_owned(), link(0)),
            ("last".to_owned(), link(last)),
        ]);
        if offset + limit < alerts.len() {
            paging.insert("next".to_owned(), link(offset + limit));
        }
        if offset > 0 {
            paging.insert("prev".to_owned(), link(offset.saturating_sub(limit)));
        }
        let body =
            json!({"data": page, "paging": paging, "took": TOOK, "requestId": self.request_id});
        Ok(Reply::json(200, &body))
    }

    fn count(&self) -> Result<Reply, Reply> {
        let count = self.selected()?.len();
        self.answer(json!({"count": count}))
    }

    fn request_status(&self, id: &str) -> Result<Reply, Reply> {
        let not_yet = "Request not found. It might not be processed, yet.";
        match self.model.requests.get(id) {
            Some(record) => self.answer(json!({
                "success": record.is_success,
                "isSuccess": record.is_success,
                "action": record.action,
                "processedAt": rfc3339_ms(record.processed_at_ms),
                "integrationId": uuid_for("API"),
                "status": record.status,
                "alertId": record.alert_id,
                "alias": record.alias,
            })),
            None if self
                .model
                .pending
                .iter()
                .any(|pending| pending.request_id == id) =>
            {
                Err(error(404, not_yet, self.request_id)
                    .with_header("x-opsgenie-errortype", "RequestNotProcessed"))
            }
            None => Err(error(404, "Request not found.", self.request_id)),
        }
    }

    fn find(&self, id: &str) -> Result<&Alert, Reply> {
        let target =
            target(self.request, id).map_err(|invalid| refuse(invalid, self.request_id))?;
        let model = self.model;
        let found = match &target {
            // A read by alias also finds the last closed alert of that alias.
            Target::Alias(alias) => model.find(&target).or_else(|| {
                model
                    .shelf
                    .values()
                    .filter(|alert| alert.alias == *alias)
                    .last()
                    .map(|alert| alert.id.clone())
            }),
            Target::New | Target::Id(_) | Target::Tiny(_) => model.find(&target),
        };
        let alert = found.and_then(|id| model.shelf.seen(&id, model.now_ms, model.lag_ms()));
        alert.ok_or_else(|| error(404, "Alert does not exist", self.request_id))
    }

    fn alert(&self, id: &str) -> Result<Reply, Reply> {
        let alert = self.find(id)?;
        let mut data = self.brief(alert);
        data["actions"] = json!([]);
        data["entity"] = json!(alert.entity);
        data["description"] = json!(alert.description);
        data["details"] = json!(alert.details);
        self.answer(data)
    }

    fn notes(&self, id: &str) -> Result<Reply, Reply> {
        let notes = &self.find(id)?.notes;
        self.page(notes.iter().map(|note| {
            (
                note.created_at_ms,
                json!({"note": note.text, "owner": note.owner}),
            )
        }))
    }

    fn logs(&self, id: &str) -> Result<Reply, Reply> {
        let log = &self.find(id)?.log;
        self.page(log.iter().map(|line| {
            (
                line.at_ms,
                json!({"log": line.text, "type": "system", "owner": line.owner}),
            )
        }))
    }

    /// A page of notes or log lines: `offset` is the offset of the line after which the page begins.
    fn page(&self, lines: impl Iterator<Item = (i64, Value)>) -> Result<Reply, Reply> {
        let limit = self.limit()?;
        let query = |name| self.request.query_value(name);
        let ascending = query("order").as_deref() == Some("asc");
        let backwards = query("direction").as_deref() == Some("prev");
        let mut lines: Vec<_> = lines
            .enumerate()
            .map(|(index, (at_ms, mut line))| {
                let offset = format!("{at_ms}_{at_ms}{index:06}");
                line["createdAt"] = json!(rfc3339_ms(at_ms));
                line["offset"] = json!(offset);
                (offset, line)
            })
            .collect();
        if ascending == backwards {
            lines.reverse();
        }
        let after =
            query("offset").and_then(|offset| lines.iter().position(|(other, _)| *other == offset));
        let rest = lines.split_off(after.map_or(0, |at| at + 1));
        let mut paging = Map::from_iter([(
            "first".to_owned(),
            json!(self.link(&[("direction", "next")])),
        )]);
        if let (true, Some((last, _))) = (rest.len() > limit, rest.get(limit - 1)) {
            paging.insert(
                "next".to_owned(),
                json!(self.link(&[("offset", last), ("direction", "next")])),
            );
        }
        let data: Vec<_> = rest.into_iter().take(limit).map(|(_, line)| line).collect();
        let body =
            json!({"data": data, "paging": paging, "took": TOOK, "requestId": self.request_id});
        Ok(Reply::json(200, &body))
    }

    /// This request's address with other parameters.
    fn link(&self, changes: &[(&str, &str)]) -> String {
        let host = self
            .request
            .header_value("host")
            .unwrap_or("api.opsgenie.com");
        let kept = self.request.query.split('&').filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !name.is_empty()
                && name != "offset"
                && changes.iter().all(|(changed, _)| *changed != name)
        });
        let changed = changes
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let query: Vec<_> = kept.map(str::to_owned).chain(changed).collect();
        format!("http://{host}{}?{}", self.request.path, query.join("&"))
    }

    fn brief(&self, alert: &Alert) -> Value {
        let mut report = Map::new();
        if let Some((by, at_ms)) = &alert.acknowledged_by {
            report.insert("ackTime".to_owned(), json!(at_ms - alert.created_at_ms));
            report.insert("acknowledgedBy".to_owned(), json!(by));
        }
        if let Some((by, at_ms)) = &alert.closed_by {
            report.insert("closeTime".to_owned(), json!(at_ms - alert.created_at_ms));
            report.insert("closedBy".to_owned(), json!(by));
        }
        let snoozed_until = alert
            .snoozed_until_ms
            .filter(|until_ms| *until_ms > self.model.now_ms);
        let mut data = json!({
            "id": alert.id,
            "tinyId": alert.tiny_id.to_string(),
            "alias": alert.alias,
            "message": alert.message,
            "status": alert.status.as_str(),
            "acknowledged": alert.acknowledged,
            "isSeen": alert.acknowledged,
            "seen": alert.acknowledged,
            "tags": alert.tags,
            "snoozed": alert.status == AlertStatus::Open && snoozed_until.is_some(),
            "count": alert.count,
            "lastOccurredAt": rfc3339_ms(alert.last_occurred_at_ms),
            "createdAt": rfc3339_ms(alert.created_at_ms),
            "updatedAt": rfc3339_ms(alert.updated_at_ms),
            "source": alert.source,
            "owner": alert.owner,
            "priority": alert.priority,
            "responders": [],
            "integration": {"id": uuid_for("API"), "name": "API", "type": "API"},
            "report": report,
            "ownerTeamId": "",
        });
        if let Some(until_ms) = snoozed_until {
            data["snoozedUntil"] = json!(rfc3339_ms(until_ms));
        }
        data
    }
}

fn target(request: &Request, id: &str) -> Result<Target, Invalid> {
    match request.query_value("identifierType").as_deref() {
        None | Some("id") => Ok(Target::Id(id.to_owned())),
        Some("alias") => Ok(Target::Alias(id.to_owned())),
        Some("tiny") => Ok(Target::Tiny(id.to_owned())),
        Some(_) => Err(Invalid::field(
            "identifierType",
            "must be one of [id, alias, tiny]",
        )),
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.char_indices().all(|(at, letter)| match at {
            8 | 13 | 18 | 23 => letter == '-',
            _ => letter.is_ascii_hexdigit(),
        })
}

fn error(status: u16, message: &str, request_id: &str) -> Reply {
    Reply::json(
        status,
        &json!({"message": message, "took": TOOK, "requestId": request_id}),
    )
}

fn no_such_path(request_id: &str) -> Reply {
    error(404, "No handler found for the request", request_id)
}

fn refuse(invalid: Invalid, request_id: &str) -> Reply {
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
