//! GETs of REST v2: incidents and their parts, users, services, priorities, abilities.

use serde_json::{Value, json};

use super::incident::{Incident, IncidentStatus};
use super::model::PagerDuty;
use super::options::{KeyKind, UsersLookup};
use super::rest::{Failure, Served};
use crate::exchange::{Reply, Request};
use crate::ids::parse_rfc3339;

/// OpenAPI document: incidents are listed for the last month unless asked otherwise.
const MONTH_MS: i64 = 30 * 24 * 3_600_000;
/// Pagination page.
const PAGING_LIMIT: usize = 10_000;

impl PagerDuty {
    pub(super) fn read(&self, request: &Request, path: &[&str]) -> Served {
        match path {
            ["incidents"] => self.list_incidents(request),
            ["incidents", id] => {
                let incident = self.seen(id)?;
                let with_body = includes(request, "body");
                Ok(Reply::json(200, &json!({"incident": self.incident_json(incident, with_body)})))
            }
            ["incidents", id, "notes"] => {
                let incident = self.seen(id)?;
                let notes: Vec<_> = incident.notes.iter().map(|note| self.note_json(incident, note)).collect();
                Ok(Reply::json(200, &json!({"notes": notes})))
            }
            ["incidents", id, "log_entries"] => {
                let incident = self.seen(id)?;
                let mut entries: Vec<_> =
                    incident.log.iter().map(|entry| self.log_entry_json(incident, entry)).collect();
                entries.reverse();
                page(request, "log_entries", entries)
            }
            ["incidents", id, "alerts"] => {
                let incident = self.seen(id)?;
                let alerts = incident.alert_key.iter().map(|key| self.alert_json(incident, key)).collect();
                page(request, "alerts", alerts)
            }
            ["users", rest @ ..] => self.read_users(request, rest),
            ["services", id] if self.is_service(id) => Ok(Reply::json(200, &json!({"service": self.service_json(id)}))),
            ["priorities"] if self.options.priorities.is_empty() => {
                Err(Failure::new(402, 2014, "Account does not have the ability", &[]))
            }
            ["priorities"] => {
                let priorities = self.options.priorities.iter().map(|name| self.priority_json(name)).collect();
                page(request, "priorities", priorities)
            }
            ["abilities"] => {
                Ok(Reply::json(200, &json!({"abilities": ["teams", "urgencies", "manual_alert_creation"]})))
            }
            _ => Err(Failure::not_found()),
        }
    }

    fn list_incidents(&self, request: &Request) -> Served {
        let statuses: Vec<_> = request
            .query_values("statuses[]")
            .iter()
            .map(|text| IncidentStatus::parse(text))
            .collect::<Option<_>>()
            .ok_or_else(|| Failure::invalid("Status must be a list of triggered, acknowledged, or resolved."))?;
        let services = request.query_values("service_ids[]");
        let urgencies = request.query_values("urgencies[]");
        let users = request.query_values("user_ids[]");
        let key = request.query_value("incident_key");
        let (since_ms, until_ms) = self.window(request)?;
        let mut incidents = self.shelf.all_seen(self.now_ms, self.lag_ms());
        incidents.retain(|incident| {
            (statuses.is_empty() || statuses.contains(&incident.status))
                && (services.is_empty() || services.contains(&incident.service_id))
                && (urgencies.is_empty() || urgencies.contains(&incident.urgency))
                && (users.is_empty() || users.iter().any(|user| incident.assignees.contains(user)))
                && (key.is_none() || key == incident.incident_key)
                && (since_ms..=until_ms).contains(&incident.created_at_ms)
        });
        match request.query_value("sort_by").as_deref() {
            None | Some("created_at" | "created_at:asc" | "incident_number" | "incident_number:asc") => {}
            Some("created_at:desc" | "incident_number:desc") => incidents.reverse(),
            Some(_) => return Err(Failure::invalid("Sort by is not simulated")),
        }
        let with_body = includes(request, "body");
        let incidents = incidents.into_iter().map(|incident| self.incident_json(incident, with_body)).collect();
        page(request, "incidents", incidents)
    }

    /// From when to when incidents are listed, by the time they were created.
    fn window(&self, request: &Request) -> Result<(i64, i64), Failure> {
        if request.query_value("date_range").as_deref() == Some("all") {
            return Ok((i64::MIN, i64::MAX));
        }
        let time = |name| match request.query_value(name) {
            None => Ok(None),
            Some(text) => parse_rfc3339(&text).map(Some).ok_or_else(|| Failure::invalid("Time range must be ISO 8601")),
        };
        let (since, until) = (time("since")?, time("until")?);
        let until_ms = until.unwrap_or(self.now_ms);
        let since_ms = since.unwrap_or(until_ms - MONTH_MS);
        if until_ms - since_ms > 6 * MONTH_MS + 5 * 24 * 3_600_000 {
            return Err(Failure::invalid("Time range cannot exceed 6 months"));
        }
        Ok((since_ms, until_ms))
    }

    /// The users page says that `query` matches names; clients use it with addresses too.
    fn read_users(&self, request: &Request, path: &[&str]) -> Served {
        match path {
            ["me"] if self.options.key_kind == KeyKind::Account => {
                Err(Failure::invalid("This endpoint needs a user's own key"))
            }
            ["me"] => Ok(Reply::json(200, &json!({"user": self.user_json(&self.options.automation)}))),
            _ if self.behaviour.users_lookup == UsersLookup::Forbidden => {
                Err(Failure::new(403, 2010, "Access Denied", &[]))
            }
            [] => {
                let wanted = request.query_value("query").unwrap_or_default().to_lowercase();
                let users = self
                    .users()
                    .filter(|user| [&user.name, &user.email].iter().any(|text| text.to_lowercase().contains(&wanted)))
                    .map(|user| self.user_json(user))
                    .collect();
                page(request, "users", users)
            }
            [id] => {
                let user = self.user(id).ok_or_else(Failure::not_found)?;
                Ok(Reply::json(200, &json!({"user": self.user_json(user)})))
            }
            _ => Err(Failure::not_found()),
        }
    }

    fn seen(&self, id: &str) -> Result<&Incident, Failure> {
        let id = self.incident_id(id)?;
        self.shelf.seen(&id, self.now_ms, self.lag_ms()).ok_or_else(Failure::not_found)
    }
}

fn includes(request: &Request, what: &str) -> bool {
    request.query_values("include[]").iter().any(|included| included == what)
}

/// Classic pagination: `limit` up to 100, `offset`, `more`, and `total` when asked for.
fn page(request: &Request, name: &str, items: Vec<Value>) -> Served {
    let number = |key, default| match request.query_value(key) {
        None => Ok(default),
        Some(text) => text.parse::<usize>().map_err(|_| Failure::invalid("Paging parameters must be numbers")),
    };
    let (limit, offset) = (number("limit", 25)?.clamp(1, 100), number("offset", 0)?);
    if offset + limit > PAGING_LIMIT {
        return Err(Failure::invalid("Offset plus limit must not exceed 10000"));
    }
    let count = items.len();
    let total = request.query_value("total").filter(|total| total == "true").map(|_| count);
    let shown: Vec<_> = items.into_iter().skip(offset).take(limit).collect();
    let more = offset + shown.len() < count;
    let mut body = json!({"limit": limit, "offset": offset, "more": more, "total": total});
    body[name] = json!(shown);
    Ok(Reply::json(200, &body))
}
