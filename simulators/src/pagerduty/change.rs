//! What can happen to an incident, whoever makes it happen. Each change posts its webhooks.

use serde_json::json;

use super::doer::{Doer, NewIncident};
use super::incident::{Acknowledgement, Agent, Incident, IncidentStatus, LogEntry, Note};
use super::model::PagerDuty;
use super::options::{AckTimeoutAgent, UnackEvents};

impl PagerDuty {
    /// Makes an incident. Incident creation page: one that is assigned to whoever makes it is born acknowledged.
    pub(super) fn create(&mut self, new: NewIncident, by: &Doer) -> String {
        let now_ms = self.now_ms;
        let id = self.ids.upper("Q", 13);
        self.last_number += 1;
        let incident = Incident {
            id: id.clone(),
            number: self.last_number,
            title: new.title,
            body: new.body,
            status: IncidentStatus::Triggered,
            urgency: if new.urgency.is_empty() { "high".to_owned() } else { new.urgency },
            priority: new.priority,
            incident_key: new.incident_key,
            alert_key: new.alert_key,
            service_id: new.service_id,
            assigned_directly: new.assignee.is_some(),
            assignees: new.assignee.clone().map_or_else(|| self.on_call(), |user| vec![user]),
            escalation_level: 1,
            acknowledgements: Vec::new(),
            notes: Vec::new(),
            log: Vec::new(),
            resolve_reason: None,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            reopened_at_ms: None,
            resolved_at_ms: None,
            snoozed_until_ms: None,
            ack_times_out_at_ms: None,
            last_status_change_at_ms: now_ms,
            last_status_change_by: by.agent.clone(),
            client: new.client,
        };
        if let Some(key) = &incident.incident_key {
            self.open_keys.insert((incident.service_id.clone(), key.clone()), id.clone());
        }
        self.shelf.insert(&id, incident, now_ms, self.lag_ms());
        self.log(&id, "trigger_log_entry", by, None);
        self.emit(&id, "incident.triggered", by);
        if new.assignee.is_some() && new.assignee.as_deref() == by.user_id() {
            self.acknowledge(&id, by);
        }
        id
    }

    /// Acknowledges. A resolved incident is reopened first and assigned to whoever acknowledges (OpenAPI document).
    pub(super) fn acknowledge(&mut self, id: &str, by: &Doer) {
        let Some(before) = self.shelf.get(id).map(|incident| incident.status) else {
            return;
        };
        if before == IncidentStatus::Resolved {
            self.reopen(id, by, by.user_id().map(str::to_owned).into_iter().collect());
        }
        let times_out_at = self.options.ack_timeout_ms.map(|pause| self.now_ms.saturating_add_unsigned(pause));
        self.edit(id, |incident, now_ms| {
            incident.status = IncidentStatus::Acknowledged;
            let user_id = by.user_id().unwrap_or_default().to_owned();
            incident.acknowledgements.push(Acknowledgement { at_ms: now_ms, user_id });
            incident.ack_times_out_at_ms = times_out_at;
        });
        if let Some(at_ms) = times_out_at {
            self.timers.insert((at_ms, id.to_owned()));
        }
        if before != IncidentStatus::Acknowledged {
            self.status_changed(id, "acknowledge_log_entry", "incident.acknowledged", by);
        }
    }

    /// Back to triggered, from acknowledged.
    pub(super) fn unacknowledge(&mut self, id: &str, by: &Doer, events: UnackEvents) {
        self.edit(id, |incident, _| to_triggered(incident));
        self.note_status_change(id, by);
        if events != UnackEvents::Escalated {
            self.log(id, "unacknowledge_log_entry", by, None);
            self.emit(id, "incident.unacknowledged", by);
        }
        if events != UnackEvents::Unacknowledged {
            self.log(id, "escalate_log_entry", by, None);
            self.emit(id, "incident.escalated", by);
        }
    }

    /// Resolves; `merged_into` says that it only moved.
    pub(super) fn resolve(&mut self, id: &str, by: &Doer, merged_into: Option<&str>) {
        self.edit(id, |incident, now_ms| {
            incident.status = IncidentStatus::Resolved;
            incident.assignees.clear();
            incident.acknowledgements.clear();
            incident.snoozed_until_ms = None;
            incident.ack_times_out_at_ms = None;
            incident.resolved_at_ms = Some(now_ms);
            incident.resolve_reason = merged_into.map(str::to_owned);
        });
        self.forget_key(id);
        self.status_changed(id, "resolve_log_entry", "incident.resolved", by);
    }

    /// Back to triggered, from resolved.
    pub(super) fn reopen(&mut self, id: &str, by: &Doer, assignees: Vec<String>) {
        let assignees = if assignees.is_empty() { self.on_call() } else { assignees };
        self.edit(id, |incident, now_ms| {
            to_triggered(incident);
            incident.assignees = assignees;
            incident.resolved_at_ms = None;
            incident.resolve_reason = None;
            incident.reopened_at_ms = Some(now_ms);
        });
        let Some(incident) = self.shelf.get(id) else {
            return;
        };
        if let Some(key) = incident.incident_key.clone() {
            // If a new incident has taken the key meanwhile, it keeps it.
            self.open_keys.entry((incident.service_id.clone(), key)).or_insert_with(|| id.to_owned());
        }
        self.status_changed(id, "trigger_log_entry", "incident.reopened", by);
    }

    /// Writes a note and returns its id.
    pub(super) fn annotate(&mut self, id: &str, by: &Doer, text: &str) -> String {
        let note = Note {
            id: self.ids.upper("P", 6),
            user_id: by.user_id().unwrap_or_default().to_owned(),
            text: text.to_owned(),
            created_at_ms: self.now_ms,
            updated_at_ms: self.now_ms,
        };
        self.edit(id, |incident, _| incident.notes.push(note.clone()));
        self.log(id, "annotate_log_entry", by, Some(text));
        self.emit_note(id, &note, by);
        note.id
    }

    /// To another level of the policy.
    pub(super) fn escalate(&mut self, id: &str, by: &Doer, level: u32) {
        let acknowledged = self.is(id, IncidentStatus::Acknowledged);
        let on_call = self.on_call();
        self.edit(id, |incident, _| {
            incident.escalation_level = level;
            incident.assignees = on_call;
            incident.assigned_directly = false;
        });
        if acknowledged {
            self.unacknowledge(id, by, self.behaviour.unack_events);
        } else {
            self.log(id, "escalate_log_entry", by, None);
            self.emit(id, "incident.escalated", by);
        }
    }

    /// To somebody by name. Inferred: an acknowledged incident goes back to triggered.
    pub(super) fn reassign(&mut self, id: &str, by: &Doer, user_id: &str) {
        if self.is(id, IncidentStatus::Acknowledged) {
            self.note_status_change(id, by);
        }
        self.edit(id, |incident, _| {
            to_triggered(incident);
            incident.assignees = vec![user_id.to_owned()];
            incident.assigned_directly = true;
        });
        self.log(id, "assign_log_entry", by, None);
        self.emit(id, "incident.reassigned", by);
    }

    /// To another escalation policy.
    pub(super) fn delegate(&mut self, id: &str, by: &Doer) {
        if self.is(id, IncidentStatus::Acknowledged) {
            self.note_status_change(id, by);
        }
        let on_call = self.on_call();
        self.edit(id, |incident, _| {
            to_triggered(incident);
            incident.assignees = on_call;
        });
        self.log(id, "delegate_log_entry", by, None);
        self.emit(id, "incident.delegated", by);
    }

    /// Editing page: raising the urgency un-acknowledges; lowering it does not. No event tells of the urgency itself.
    pub(super) fn set_urgency(&mut self, id: &str, by: &Doer, urgency: &str) {
        let Some(incident) = self.shelf.get(id).filter(|incident| incident.urgency != urgency) else {
            return;
        };
        let unacks = urgency == "high" && incident.status == IncidentStatus::Acknowledged;
        self.edit(id, |incident, _| incident.urgency = urgency.to_owned());
        self.log(id, "urgency_change_log_entry", by, None);
        if unacks {
            self.unacknowledge(id, by, UnackEvents::Unacknowledged);
        }
    }

    pub(super) fn set_priority(&mut self, id: &str, by: &Doer, priority: Option<String>) {
        if self.shelf.get(id).is_some_and(|incident| incident.priority != priority) {
            self.edit(id, |incident, _| incident.priority = priority);
            self.log(id, "field_value_change_log_entry", by, None);
            self.emit(id, "incident.priority_updated", by);
        }
    }

    pub(super) fn set_title(&mut self, id: &str, title: &str) {
        self.edit(id, |incident, _| incident.title = title.to_owned());
    }

    /// No event tells of a snooze; its end is an un-acknowledgement (inferred).
    pub(super) fn snooze(&mut self, id: &str, by: &Doer, seconds: i64) {
        let until_ms = self.now_ms + seconds * 1_000;
        self.edit(id, |incident, _| {
            incident.snoozed_until_ms = Some(until_ms);
            incident.ack_times_out_at_ms = None;
        });
        self.timers.insert((until_ms, id.to_owned()));
        self.log(id, "snooze_log_entry", by, None);
    }

    /// The source shows as resolved. Its notes stay with it.
    pub(super) fn merge(&mut self, from: &str, into: &str, by: &Doer) {
        self.resolve(from, by, Some(into));
    }

    /// The acknowledgement ends by itself.
    pub(super) fn ack_ends(&mut self, id: &str) {
        let agent = match self.behaviour.ack_timeout_agent {
            AckTimeoutAgent::Null => Agent::Nobody,
            AckTimeoutAgent::Service => Agent::Service,
        };
        self.unacknowledge(id, &Doer::automation(agent), UnackEvents::Unacknowledged);
    }

    pub(super) fn timer_fires(&mut self, id: &str, at_ms: i64) {
        let is_due = self.shelf.get(id).is_some_and(|incident| {
            incident.status == IncidentStatus::Acknowledged
                && (incident.snoozed_until_ms == Some(at_ms) || incident.ack_times_out_at_ms == Some(at_ms))
        });
        if is_due {
            self.ack_ends(id);
        }
    }

    /// Changes an incident, and its `updated_at` with it.
    pub(super) fn edit<R>(&mut self, id: &str, act: impl FnOnce(&mut Incident, i64) -> R) -> Option<R> {
        let (now_ms, lag_ms) = (self.now_ms, self.lag_ms());
        self.shelf.edit(id, now_ms, lag_ms, |incident| {
            incident.updated_at_ms = now_ms;
            act(incident, now_ms)
        })
    }

    pub(super) fn is(&self, id: &str, status: IncidentStatus) -> bool {
        self.shelf.get(id).is_some_and(|incident| incident.status == status)
    }

    fn status_changed(&mut self, id: &str, kind: &'static str, event: &str, by: &Doer) {
        self.note_status_change(id, by);
        self.log(id, kind, by, None);
        self.emit(id, event, by);
    }

    fn note_status_change(&mut self, id: &str, by: &Doer) {
        self.edit(id, |incident, now_ms| {
            incident.last_status_change_at_ms = now_ms;
            incident.last_status_change_by = by.agent.clone();
        });
    }

    fn log(&mut self, id: &str, kind: &'static str, by: &Doer, note: Option<&str>) {
        let entry = LogEntry {
            id: self.ids.upper("R", 25),
            kind,
            at_ms: self.now_ms,
            agent: by.agent.clone(),
            channel: if kind == "annotate_log_entry" { "note" } else { by.channel },
            note: note.map(str::to_owned),
        };
        self.edit(id, |incident, _| incident.log.push(entry));
    }

    fn forget_key(&mut self, id: &str) {
        let Some(incident) = self.shelf.get(id) else {
            return;
        };
        let Some(key) = incident.incident_key.clone() else {
            return;
        };
        let slot = (incident.service_id.clone(), key);
        if self.open_keys.get(&slot).is_some_and(|holder| holder == id) {
            self.open_keys.remove(&slot);
        }
    }

    pub(super) fn emit(&mut self, id: &str, event: &str, by: &Doer) {
        let Some(incident) = self.shelf.get(id) else {
            return;
        };
        let data = self.incident_data(incident);
        self.publish(id, event, by, data);
    }

    fn emit_note(&mut self, id: &str, note: &Note, by: &Doer) {
        let Some(incident) = self.shelf.get(id) else {
            return;
        };
        let limit = self.behaviour.note_trim_chars.unwrap_or(usize::MAX);
        let content: String = note.text.chars().take(limit).collect();
        let data = json!({
            "incident": self.incident_ref(incident),
            "id": note.id,
            "trimmed": content.len() < note.text.len(),
            "content": content,
            "type": "incident_note",
        });
        self.publish(id, "incident.annotated", by, data);
    }
}

fn to_triggered(incident: &mut Incident) {
    if incident.status != IncidentStatus::Triggered {
        incident.status = IncidentStatus::Triggered;
    }
    incident.acknowledgements.clear();
    incident.snoozed_until_ms = None;
    incident.ack_times_out_at_ms = None;
}
