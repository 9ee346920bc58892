//! Incidents, notes, users and the rest as REST shows them, and references as both REST and webhooks have them.

use serde_json::{Value, json};

use super::incident::{Agent, Incident, IncidentStatus, LogEntry, Note};
use super::model::{PagerDuty, priority_id};
use super::options::{ServiceStatus, User};
use crate::ids::{rfc3339_ms, rfc3339_s};

const POLICY_ID: &str = "PEP0001";
const INTEGRATION_ID: &str = "PINT001";

impl PagerDuty {
    pub(super) fn incident_ref(&self, incident: &Incident) -> Value {
        reference("incident", "incidents", &incident.id, &incident.title)
    }

    pub(super) fn service_ref(&self, id: &str) -> Value {
        reference("service", "services", id, &service_name(id))
    }

    pub(super) fn policy_ref(&self) -> Value {
        reference("escalation_policy", "escalation_policies", POLICY_ID, "Default")
    }

    pub(super) fn user_ref(&self, id: &str) -> Value {
        let name = self.user(id).map_or(id, |user| &user.name);
        reference("user", "users", id, name)
    }

    pub(super) fn priority_ref(&self, name: &str) -> Value {
        let id = self.priority_id_of(name);
        json!({
            "id": id,
            "type": "priority_reference",
            "summary": name,
            "self": format!("https://api.pagerduty.com/priorities/{id}"),
            "html_url": "https://acme.pagerduty.com/account/settings/incidents",
        })
    }

    /// Webhooks call an integration by another type than REST does.
    pub(super) fn agent_ref(&self, agent: &Agent, service_id: &str, in_webhook: bool) -> Value {
        match agent {
            Agent::User(id) => self.user_ref(id),
            Agent::Service => self.service_ref(service_id),
            Agent::Integration => {
                let collection = format!("services/{service_id}/integrations");
                let kind = if in_webhook { "inbound_integration" } else { "integration" };
                reference(kind, &collection, INTEGRATION_ID, "Events API V2")
            }
            Agent::Nobody => Value::Null,
        }
    }

    pub(super) fn incident_json(&self, incident: &Incident, with_body: bool) -> Value {
        let at = rfc3339_s;
        let acknowledgements: Vec<_> = incident
            .acknowledgements
            .iter()
            .map(|ack| json!({"at": at(ack.at_ms), "acknowledger": self.user_ref(&ack.user_id)}))
            .collect();
        let assignments: Vec<_> = incident
            .assignees
            .iter()
            .map(|id| json!({"at": at(incident.created_at_ms), "assignee": self.user_ref(id)}))
            .collect();
        let pending_actions: Vec<_> = incident
            .snoozed_until_ms
            .or(incident.ack_times_out_at_ms)
            .map(|at_ms| json!({"type": "unacknowledge", "at": at(at_ms)}))
            .into_iter()
            .collect();
        let changed_at = match incident.status {
            IncidentStatus::Triggered => incident.updated_at_ms,
            IncidentStatus::Acknowledged | IncidentStatus::Resolved => incident.last_status_change_at_ms,
        };
        let first_entry = incident.log.first().map_or("", |entry| &entry.id);
        let mut data = json!({
            "id": incident.id,
            "type": "incident",
            "summary": format!("[#{}] {}", incident.number, incident.title),
            "self": format!("https://api.pagerduty.com/incidents/{}", incident.id),
            "html_url": format!("https://acme.pagerduty.com/incidents/{}", incident.id),
            "incident_number": incident.number,
            "title": incident.title,
            "created_at": at(incident.created_at_ms),
            "updated_at": at(incident.updated_at_ms),
            "status": incident.status.as_str(),
            "incident_key": incident.incident_key,
            "service": self.service_ref(&incident.service_id),
            "priority": incident.priority.as_ref().map(|name| self.priority_json(name)),
            "assigned_via": if incident.assigned_directly { "direct_assignment" } else { "escalation_policy" },
            "assignments": assignments,
            "acknowledgements": acknowledgements,
            "pending_actions": pending_actions,
            "resolved_at": incident.resolved_at_ms.map(at),
            "last_status_change_at": at(changed_at),
            "last_status_change_by":
                self.agent_ref(&self.or_service(&incident.last_status_change_by), &incident.service_id, false),
            "first_trigger_log_entry": reference("trigger_log_entry", "log_entries", first_entry, "Triggered"),
            "alert_counts": self.alert_counts(incident),
            "is_mergeable": incident.status != IncidentStatus::Resolved,
            "incident_type": {"name": "incident_default"},
            "escalation_policy": self.policy_ref(),
            "teams": [],
            "urgency": incident.urgency,
        });
        if let Some(into) = &incident.resolve_reason {
            let into = self.shelf.get(into).map(|target| self.incident_ref(target));
            data["resolve_reason"] = json!({"type": "merge_resolve_reason", "incident": into});
        }
        if with_body {
            data["body"] = json!({"type": "incident_body", "details": incident.body});
        }
        data
    }

    pub(super) fn note_json(&self, incident: &Incident, note: &Note) -> Value {
        let user = if note.user_id.is_empty() {
            let mut user = self.service_ref(&incident.service_id);
            user["type"] = json!("bot_user_reference");
            user
        } else {
            self.user_ref(&note.user_id)
        };
        json!({
            "id": note.id,
            "user": user,
            "channel": {"summary": "The PagerDuty website or APIs"},
            "content": note.text,
            "created_at": rfc3339_s(note.created_at_ms),
            "updated_at": rfc3339_s(note.updated_at_ms),
        })
    }

    pub(super) fn log_entry_json(&self, incident: &Incident, entry: &LogEntry) -> Value {
        let by = self.agent_ref(&self.or_service(&entry.agent), &incident.service_id, false);
        let name = by["summary"].as_str().unwrap_or("PagerDuty").to_owned();
        let summary = match entry.channel {
            "timeout" => "Unacknowledged by timeout".to_owned(),
            _ => format!("{} by {name}", entry.kind.trim_end_matches("_log_entry")),
        };
        let mut channel = json!({"type": entry.channel});
        if let Some(note) = &entry.note {
            channel["summary"] = json!(note);
        }
        json!({
            "id": entry.id,
            "type": entry.kind,
            "summary": summary,
            "self": format!("https://api.pagerduty.com/log_entries/{}", entry.id),
            "html_url": null,
            "created_at": rfc3339_ms(entry.at_ms),
            "agent": by,
            "channel": channel,
            "service": self.service_ref(&incident.service_id),
            "incident": self.incident_ref(incident),
            "teams": [],
            "contexts": [],
            "event_details": {},
        })
    }

    pub(super) fn alert_json(&self, incident: &Incident, key: &str) -> Value {
        let id = format!("{}A", incident.id);
        let resolved = incident.status == IncidentStatus::Resolved;
        json!({
            "id": id,
            "type": "alert",
            "summary": incident.title,
            "self": format!("https://api.pagerduty.com/alerts/{id}"),
            "html_url": format!("https://acme.pagerduty.com/alerts/{id}"),
            "created_at": rfc3339_s(incident.created_at_ms),
            "status": if resolved { "resolved" } else { "triggered" },
            "alert_key": key,
            "service": self.service_ref(&incident.service_id),
            "incident": self.incident_ref(incident),
            "suppressed": false,
            "severity": "critical",
            "body": {"type": "alert_body", "contexts": [], "details": {}},
        })
    }

    pub(super) fn user_json(&self, user: &User) -> Value {
        json!({
            "id": user.id,
            "type": "user",
            "summary": user.name,
            "self": format!("https://api.pagerduty.com/users/{}", user.id),
            "html_url": format!("https://acme.pagerduty.com/users/{}", user.id),
            "name": user.name,
            "email": user.email,
            "time_zone": "Etc/UTC",
            "color": "green",
            "role": if user.id == self.options.automation.id { &self.options.automation_role } else { "user" },
            "avatar_url": "https://secure.gravatar.com/avatar/0",
            "description": null,
            "invitation_sent": false,
            "job_title": "Responder",
            "teams": [],
            "contact_methods": [],
            "notification_rules": [],
        })
    }

    pub(super) fn service_json(&self, id: &str) -> Value {
        let is_ours = id == self.options.service_id;
        json!({
            "id": id,
            "type": "service",
            "summary": service_name(id),
            "self": format!("https://api.pagerduty.com/services/{id}"),
            "html_url": format!("https://acme.pagerduty.com/services/{id}"),
            "name": service_name(id),
            "description": "",
            "auto_resolve_timeout": self.options.auto_resolve_timeout_s,
            "acknowledgement_timeout": self.options.ack_timeout_ms.map(|pause| pause / 1_000),
            "created_at": "2024-01-01T00:00:00Z",
            "status": match self.options.service_status {
                ServiceStatus::Maintenance if is_ours => "maintenance",
                ServiceStatus::Disabled if is_ours => "disabled",
                ServiceStatus::Active | ServiceStatus::Maintenance | ServiceStatus::Disabled => "active",
            },
            "escalation_policy": (self.options.has_escalation_policy || !is_ours).then(|| self.policy_ref()),
            "teams": [],
            "integrations": [self.agent_ref(&Agent::Integration, id, true)],
            "alert_creation": "create_alerts_and_incidents",
            "scheduled_actions": [],
            "addons": [],
        })
    }

    pub(super) fn priority_json(&self, name: &str) -> Value {
        let mut priority = self.priority_ref(name);
        priority["type"] = json!("priority");
        priority["name"] = json!(name);
        priority["description"] = json!("");
        priority
    }

    fn priority_id_of(&self, name: &str) -> String {
        priority_id(self.options.priorities.iter().position(|other| other == name).unwrap_or_default())
    }

    /// REST always names an agent: the service stands for automation.
    fn or_service(&self, agent: &Agent) -> Agent {
        match agent {
            Agent::Nobody => Agent::Service,
            Agent::User(_) | Agent::Service | Agent::Integration => agent.clone(),
        }
    }

    fn alert_counts(&self, incident: &Incident) -> Value {
        let all = u8::from(incident.alert_key.is_some());
        let resolved = if incident.status == IncidentStatus::Resolved { all } else { 0 };
        json!({"all": all, "triggered": all - resolved, "resolved": resolved})
    }
}

fn service_name(id: &str) -> String {
    format!("Service {id}")
}

fn reference(kind: &str, collection: &str, id: &str, summary: &str) -> Value {
    json!({
        "id": id,
        "type": format!("{kind}_reference"),
        "summary": summary,
        "self": format!("https://api.pagerduty.com/{collection}/{id}"),
        "html_url": format!("https://acme.pagerduty.com/{collection}/{id}"),
    })
}
