//! GETs of the Alert API v2: alerts, counts, requests, notes, logs.

use serde_json::{Map, Value, json};

use super::alert::{Alert, AlertStatus};
use super::command::Target;
use super::model::Opsgenie;
use super::payload::Invalid;
use super::query::Query;
use super::rest::{TOOK, error, refuse, target};
use crate::exchange::{Reply, Request};
use crate::ids::{rfc3339_ms, uuid_for};

/// Answers GETs.
pub(super) struct Reader<'a> {
    pub(super) model: &'a Opsgenie,
    pub(super) request: &'a Request,
    pub(super) request_id: &'a str,
}

impl Reader<'_> {
    fn answer(&self, data: Value) -> Result<Reply, Reply> {
        Ok(Reply::json(200, &json!({"data": data, "took": TOOK, "requestId": self.request_id})))
    }

    fn number(&self, name: &str, default: usize) -> Result<usize, Reply> {
        let Some(text) = self.request.query_value(name) else {
            return Ok(default);
        };
        text.parse().map_err(|_| refuse(Invalid::field(name, "must be a number"), self.request_id))
    }

    fn limit(&self) -> Result<usize, Reply> {
        match self.number("limit", 20)? {
            limit @ 1..=100 => Ok(limit),
            _ => Err(refuse(Invalid::field("limit", "must be between 1 and 100"), self.request_id)),
        }
    }

    fn selected(&self) -> Result<Vec<&Alert>, Reply> {
        let text = self.request.query_value("query").unwrap_or_default();
        let Some(query) = Query::parse(&text) else {
            return Err(refuse(Invalid::field("query", "cannot be parsed"), self.request_id));
        };
        let mut alerts = self.model.shelf.all_seen(self.model.now_ms, self.model.list_lag_ms());
        alerts.retain(|alert| query.matches(alert));
        match self.request.query_value("sort").as_deref() {
            None | Some("createdAt") => alerts.sort_by_key(|alert| (alert.created_at_ms, alert.tiny_id)),
            Some("updatedAt") => alerts.sort_by_key(|alert| (alert.updated_at_ns, alert.tiny_id)),
            Some("tinyId") => alerts.sort_by_key(|alert| alert.tiny_id),
            Some(_) => {
                return Err(refuse(Invalid::field("sort", "is not simulated"), self.request_id));
            }
        }
        if self.request.query_value("order").as_deref() != Some("asc") {
            alerts.reverse();
        }
        Ok(alerts)
    }

    pub(super) fn list(&self) -> Result<Reply, Reply> {
        let (limit, offset) = (self.limit()?, self.number("offset", 0)?);
        if offset + limit > 20_000 {
            return Err(refuse(Invalid::field("offset", "plus limit must not exceed 20000"), self.request_id));
        }
        let alerts = self.selected()?;
        let page: Vec<_> = alerts.iter().skip(offset).take(limit).map(|alert| self.brief(alert)).collect();
        let last = alerts.len().saturating_sub(1) / limit * limit;
        let link = |offset: usize| json!(self.link(&[("offset", &offset.to_string()), ("limit", &limit.to_string())]));
        let mut paging = Map::from_iter([("first".to_owned(), link(0)), ("last".to_owned(), link(last))]);
        if offset + limit < alerts.len() {
            paging.insert("next".to_owned(), link(offset + limit));
        }
        if offset > 0 {
            paging.insert("prev".to_owned(), link(offset.saturating_sub(limit)));
        }
        let body = json!({"data": page, "paging": paging, "took": TOOK, "requestId": self.request_id});
        Ok(Reply::json(200, &body))
    }

    pub(super) fn count(&self) -> Result<Reply, Reply> {
        let count = self.selected()?.len();
        self.answer(json!({"count": count}))
    }

    pub(super) fn request_status(&self, id: &str) -> Result<Reply, Reply> {
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
            None if self.model.pending.iter().any(|pending| pending.request_id == id) => {
                Err(error(404, not_yet, self.request_id).with_header("x-opsgenie-errortype", "RequestNotProcessed"))
            }
            None => Err(error(404, "Request not found.", self.request_id)),
        }
    }

    fn find(&self, id: &str) -> Result<&Alert, Reply> {
        let target = target(self.request, id).map_err(|invalid| refuse(invalid, self.request_id))?;
        let model = self.model;
        let found = match &target {
            // A read by alias also finds the last closed alert of that alias.
            Target::Alias(alias) => model.find(&target).or_else(|| {
                model.shelf.values().filter(|alert| alert.alias == *alias).last().map(|alert| alert.id.clone())
            }),
            Target::New | Target::Id(_) | Target::Tiny(_) => model.find(&target),
        };
        let alert = found.and_then(|id| model.shelf.seen(&id, model.now_ms, model.lag_ms()));
        alert.ok_or_else(|| error(404, "Alert does not exist", self.request_id))
    }

    pub(super) fn alert(&self, id: &str) -> Result<Reply, Reply> {
        let alert = self.find(id)?;
        let mut data = self.brief(alert);
        data["actions"] = json!([]);
        data["entity"] = json!(alert.entity);
        data["description"] = json!(alert.description);
        data["details"] = json!(alert.details);
        self.answer(data)
    }

    pub(super) fn notes(&self, id: &str) -> Result<Reply, Reply> {
        let notes = &self.find(id)?.notes;
        self.page(notes.iter().map(|note| (note.created_at_ms, json!({"note": note.text, "owner": note.owner}))))
    }

    pub(super) fn logs(&self, id: &str) -> Result<Reply, Reply> {
        let log = &self.find(id)?.log;
        self.page(log.iter().map(|line| (line.at_ms, json!({"log": line.text, "type": "system", "owner": line.owner}))))
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
        let after = query("offset").and_then(|offset| lines.iter().position(|(other, _)| *other == offset));
        let rest = lines.split_off(after.map_or(0, |at| at + 1));
        let mut paging = Map::from_iter([("first".to_owned(), json!(self.link(&[("direction", "next")])))]);
        if let (true, Some((last, _))) = (rest.len() > limit, rest.get(limit - 1)) {
            paging.insert("next".to_owned(), json!(self.link(&[("offset", last), ("direction", "next")])));
        }
        let data: Vec<_> = rest.into_iter().take(limit).map(|(_, line)| line).collect();
        let body = json!({"data": data, "paging": paging, "took": TOOK, "requestId": self.request_id});
        Ok(Reply::json(200, &body))
    }

    /// This request's address with other parameters.
    fn link(&self, changes: &[(&str, &str)]) -> String {
        let host = self.request.header_value("host").unwrap_or("api.opsgenie.com");
        let kept = self.request.query.split('&').filter(|pair| {
            let name = pair.split('=').next().unwrap_or_default();
            !name.is_empty() && name != "offset" && changes.iter().all(|(changed, _)| *changed != name)
        });
        let changed = changes.iter().map(|(name, value)| format!("{name}={value}"));
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
        let snoozed_until = alert.snoozed_until_ms.filter(|until_ms| *until_ms > self.model.now_ms);
        let step_ms = self.model.behaviour.updated_at_step_ms;
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
            "updatedAt": rfc3339_ms(alert.updated_at_ms - alert.updated_at_ms % step_ms),
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
