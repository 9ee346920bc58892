//! `PUT /incidents` and `PUT /incidents/{id}`: checked as a whole, then carried out.

use serde_json::{Value, json};

use super::doer::Doer;
use super::incident::{Incident, IncidentStatus};
use super::model::PagerDuty;
use super::options::Taken;
use super::rest::{Failure, Served, body_of};
use crate::exchange::{Reply, Request};

/// OpenAPI document: more incidents in one request are 413.
const BULK_LIMIT: usize = 250;

/// The policy has so many levels.
const LEVELS: u64 = 3;

/// What a request asks of one incident.
struct Update {
    id: String,
    status: Option<IncidentStatus>,
    resolution: Option<String>,
    level: Option<u32>,
    assignee: Option<String>,
    delegates: bool,
    urgency: Option<String>,
    priority: Option<Option<String>>,
    title: Option<String>,
}

impl PagerDuty {
    pub(super) fn update_one(&mut self, request: &Request, id: &str, by: &Doer) -> Served {
        let body = body_of(request)?;
        let update = self.check(id, &body["incident"])?;
        let id = update.id.clone();
        self.carry_out(update, by);
        let incident = self.shelf.get(&id).ok_or_else(Failure::not_found)?;
        Ok(Reply::json(200, &json!({"incident": self.incident_json(incident, false)})))
    }

    /// All or nothing.
    pub(super) fn update_many(&mut self, request: &Request, by: &Doer) -> Served {
        let body = body_of(request)?;
        let wanted = body["incidents"].as_array().ok_or_else(|| Failure::invalid("Incidents must be a list"))?;
        if wanted.len() > BULK_LIMIT {
            return Err(Failure::new(413, 2001, "Invalid Input Provided", &["Too many incidents"]));
        }
        let updates: Vec<_> = wanted
            .iter()
            .map(|incident| self.check(incident["id"].as_str().unwrap_or_default(), incident))
            .collect::<Result<_, _>>()?;
        let ids: Vec<_> = updates.iter().map(|update| update.id.clone()).collect();
        for update in updates {
            self.carry_out(update, by);
        }
        let incidents: Vec<_> = ids
            .iter()
            .filter_map(|id| self.shelf.get(id))
            .map(|incident| self.incident_json(incident, false))
            .collect();
        Ok(Reply::json(200, &json!({"incidents": incidents})))
    }

    fn check(&self, id: &str, wanted: &Value) -> Result<Update, Failure> {
        let incident = self.shelf.get(id).ok_or_else(Failure::not_found)?;
        if !matches!(wanted["type"].as_str(), Some("incident" | "incident_reference")) {
            return Err(Failure::invalid("Type must be incident or incident_reference"));
        }
        let status =
            match &wanted["status"] {
                Value::Null => None,
                Value::String(text) => Some(IncidentStatus::parse(text).ok_or_else(|| {
                    Failure::invalid("Status must be a list of triggered, acknowledged, or resolved.")
                })?),
                _ => {
                    return Err(Failure::invalid("Status must be a list of triggered, acknowledged, or resolved."));
                }
            };
        self.check_repetition(incident, status)?;
        let level = match &wanted["escalation_level"] {
            Value::Null => None,
            value => {
                let level = value.as_u64().filter(|level| (1..=LEVELS).contains(level));
                let level = level.and_then(|level| u32::try_from(level).ok());
                Some(level.ok_or_else(|| Failure::new(400, 1006, "Incident Cannot Be Escalated", &[]))?)
            }
        };
        let urgency = match wanted["urgency"].as_str() {
            Some(urgency @ ("high" | "low")) => Some(urgency.to_owned()),
            Some(_) => return Err(Failure::invalid("Urgency must be high or low")),
            None => None,
        };
        let assignee = wanted["assignments"].as_array().and_then(|list| list.first());
        let assignee = match assignee.map(|assignment| assignment["assignee"]["id"].as_str()) {
            Some(Some(user)) if self.user(user).is_some() => Some(user.to_owned()),
            Some(_) => return Err(Failure::new(400, 1007, "Assigned To User Not Found", &[])),
            None => None,
        };
        let delegates = wanted["escalation_policy"].is_object();
        let moves = level.is_some() || assignee.is_some() || delegates;
        if moves && incident.status == IncidentStatus::Resolved && status.is_none() {
            return Err(Failure::new(400, 1001, "Incident Already Resolved", &[]));
        }
        let title = match wanted["title"].as_str() {
            Some(title) if title.trim().is_empty() => {
                return Err(Failure::invalid("Title cannot be empty"));
            }
            title => title.map(str::to_owned),
        };
        Ok(Update {
            id: incident.id.clone(),
            status,
            resolution: wanted["resolution"].as_str().map(str::to_owned),
            level,
            assignee,
            delegates,
            urgency,
            priority: self.wanted_priority(wanted.get("priority"))?,
            title,
        })
    }

    fn check_repetition(&self, incident: &Incident, status: Option<IncidentStatus>) -> Result<(), Failure> {
        match (incident.status, status) {
            (IncidentStatus::Resolved, Some(IncidentStatus::Resolved))
                if self.behaviour.resolve_again == Taken::Refused =>
            {
                Err(Failure::new(400, 1001, "Incident Already Resolved", &[]))
            }
            (IncidentStatus::Acknowledged, Some(IncidentStatus::Acknowledged))
                if self.behaviour.reack == Taken::Refused =>
            {
                Err(Failure::new(400, 1002, "Incident Already Acknowledged", &[]))
            }
            _ => Ok(()),
        }
    }

    /// A priority by reference or by name; null takes it away.
    pub(super) fn wanted_priority(&self, wanted: Option<&Value>) -> Result<Option<Option<String>>, Failure> {
        let name = match wanted {
            None => return Ok(None),
            Some(Value::Null) => return Ok(Some(None)),
            Some(Value::String(name)) => name,
            Some(value) => value["id"].as_str().unwrap_or_default(),
        };
        match self.priority_name(name) {
            Some(name) => Ok(Some(Some(name))),
            None => Err(Failure::new(400, 1020, "Invalid Priority", &["Priority is invalid"])),
        }
    }

    fn carry_out(&mut self, update: Update, by: &Doer) {
        let id = &update.id;
        if let Some(title) = &update.title {
            self.set_title(id, title);
        }
        if let Some(priority) = update.priority {
            self.set_priority(id, by, priority);
        }
        if let Some(urgency) = &update.urgency {
            self.set_urgency(id, by, urgency);
        }
        let Some(before) = self.shelf.get(id).map(|incident| incident.status) else {
            return;
        };
        let reopens = before == IncidentStatus::Resolved && update.status == Some(IncidentStatus::Triggered);
        if reopens {
            self.reopen(id, by, update.assignee.clone().into_iter().collect());
        } else if before != IncidentStatus::Resolved {
            match &update.assignee {
                Some(user) => self.reassign(id, by, user),
                None if update.delegates => self.delegate(id, by),
                None => {}
            }
        }
        if let Some(level) = update.level {
            self.escalate(id, by, level);
        }
        match update.status {
            Some(IncidentStatus::Acknowledged) => self.acknowledge(id, by),
            Some(IncidentStatus::Resolved) if before != IncidentStatus::Resolved => {
                self.resolve(id, by, None);
                if let (Some(text), true) = (&update.resolution, self.behaviour.rest_resolution_emits_note) {
                    self.annotate(id, by, &format!("Resolution Note: {text}"));
                }
            }
            Some(IncidentStatus::Triggered)
                if before == IncidentStatus::Acknowledged && self.behaviour.put_triggered_unacks =>
            {
                self.unacknowledge(id, by, self.behaviour.unack_events);
            }
            Some(IncidentStatus::Resolved | IncidentStatus::Triggered) | None => {}
        }
    }
}
