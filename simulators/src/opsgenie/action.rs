//! What each action does to an alert, whoever does it.

use serde_json::{Value, json};

use super::alert::{Alert, AlertStatus, LogLine, NewAlert, Note};
use super::command::{Action, ActionBy, Command, Target};
use super::model::{Opsgenie, Pending, RequestRecord};

/// De-duplication page: an alert's count and its log stop growing at 100.
const COUNT_LIMIT: u32 = 100;

/// Why an action had no effect, in the words of the request's status.
pub(super) type Refusal = String;

impl Opsgenie {
    /// Ends an accepted request.
    pub(super) fn process(&mut self, pending: Pending) {
        let Pending { request_id, target, command, fails_with, .. } = pending;
        let mut alert_id = self.find(&target);
        let result = match fails_with {
            Some(status) => Err(status),
            None => match (&target, &alert_id) {
                (Target::New, _) => {
                    let (id, status) = self.create(&command);
                    alert_id = Some(id);
                    Ok(status)
                }
                (_, Some(id)) => self.perform(&id.clone(), &command),
                (Target::Alias(alias), None) if self.shelf.values().any(|alert| alert.alias == *alias) => {
                    Err(format!("There is no open alert with alias [{alias}]."))
                }
                (_, None) => Err("Alert does not exist".to_owned()),
            },
        };
        let alias = alert_id.as_ref().and_then(|id| self.shelf.get(id)).map(|alert| alert.alias.clone());
        let (is_success, status) = match result {
            Ok(status) => (true, status),
            Err(status) => (false, status),
        };
        let record = RequestRecord {
            action: command.action.name().to_owned(),
            processed_at_ms: self.now_ms,
            is_success,
            status,
            alert_id: alert_id.unwrap_or_default(),
            alias: alias.unwrap_or_default(),
        };
        self.requests.insert(request_id, record);
    }

    /// The alert that an action on `target` is about now: by alias, only the open one.
    pub(super) fn find(&self, target: &Target) -> Option<String> {
        match target {
            Target::New => None,
            Target::Id(id) => self.shelf.get(id).map(|alert| alert.id.clone()),
            Target::Alias(alias) => self.open_aliases.get(alias).cloned(),
            Target::Tiny(tiny) => {
                self.shelf.values().find(|alert| alert.tiny_id.to_string() == *tiny).map(|alert| alert.id.clone())
            }
        }
    }

    /// Makes an alert, or counts up the open one of the same alias. Returns its id and what the request's status says.
    pub(super) fn create(&mut self, command: &Command) -> (String, String) {
        let Action::Create(new) = &command.action else {
            return Default::default();
        };
        if let Some(id) = new.alias.as_ref().and_then(|alias| self.open_aliases.get(alias)).cloned() {
            self.edit(&id, |alert, now_ms| {
                alert.count = (alert.count + 1).min(COUNT_LIMIT);
                alert.last_occurred_at_ms = now_ms;
            });
            if self.behaviour.dedup_create_sends_webhook {
                self.emit(&id, "Create", &command.actor, command.note.as_deref(), Vec::new());
            }
            return (id, "Created alert".to_owned());
        }
        let id = self.insert(new, &command.actor);
        if let Some(text) = &command.note {
            self.write_note(&id, &command.actor, text);
        }
        self.emit(&id, "Create", &command.actor, None, Vec::new());
        if self.behaviour.second_create_for_team {
            self.edit(&id, |_, _| ());
            self.emit(&id, "Create", &command.actor, None, vec![("team", json!("dba"))]);
        }
        (id, "Created alert".to_owned())
    }

    /// Does `command` to an alert and posts the webhook.
    pub(super) fn perform(&mut self, id: &str, command: &Command) -> Result<String, Refusal> {
        let Some(alert) = self.shelf.get(id) else {
            return Err("Alert does not exist".to_owned());
        };
        if let Some(result) = self.changes_nothing(alert, &command.action) {
            if result.is_ok() && self.behaviour.noop_ack_sends_webhook {
                self.emit(id, command.action.name(), &command.actor, command.note.as_deref(), Vec::new());
            }
            return result;
        }
        let extra = extra_fields(alert, &command.action);
        let note = match &command.action {
            Action::AddNote(text) => Some(text.clone()),
            _ => command.note.clone(),
        };
        if let Some(text) = &note {
            self.write_note(id, &command.actor, text);
        }
        if matches!(command.action, Action::Delete) {
            // The webhook still shows the alert, so it is made before the alert goes.
            self.edit(id, |_, _| ());
            self.emit(id, "Delete", &command.actor, None, Vec::new());
            if let Some(alert) = self.shelf.remove(id, self.now_ms, self.list_lag_ms()) {
                self.free_alias(&alert);
            }
            return Ok("Deleted alert".to_owned());
        }
        let actor = command.actor.username.clone();
        self.edit(id, |alert, now_ms| change(alert, &command.action, &actor, now_ms));
        if let (Action::Close, Some(alert)) = (&command.action, self.shelf.get(id).cloned()) {
            self.free_alias(&alert);
        }
        let posted = match &command.action {
            // Not among the triggers that a Webhook integration can be given.
            Action::AddDetails(_) | Action::RemoveDetails(_) => None,
            Action::EscalateToNext if self.behaviour.short_escalate_spelling => Some("EscalateNext"),
            action => Some(action.name()),
        };
        if let Some(name) = posted {
            self.emit(id, name, &command.actor, note.as_deref(), extra);
        }
        let is_note = matches!(command.action, Action::AddNote(_));
        if let (Some(text), false, true) = (&note, is_note, self.behaviour.ack_with_note_sends_addnote_too) {
            self.edit(id, |_, _| ());
            self.emit(id, "AddNote", &command.actor, Some(text), Vec::new());
        }
        Ok(done(&command.action).to_owned())
    }

    /// The result of an action that finds nothing to change, or must not.
    fn changes_nothing(&self, alert: &Alert, action: &Action) -> Option<Result<String, Refusal>> {
        let closed = alert.status == AlertStatus::Closed;
        let verdict = |is_success: bool, status: &str| {
            Some(if is_success { Ok(done(action).to_owned()) } else { Err(status.to_owned()) })
        };
        match action {
            Action::Acknowledge | Action::Unacknowledge if closed => {
                verdict(self.behaviour.ack_closed_is_success, "Alert is already closed")
            }
            Action::Acknowledge if alert.acknowledged => {
                verdict(self.behaviour.reack_is_success, "Alert is already acknowledged")
            }
            Action::Unacknowledge if !alert.acknowledged => verdict(true, ""),
            Action::Close if closed => verdict(self.behaviour.reclose_is_success, "Alert is already closed"),
            _ => None,
        }
    }

    fn insert(&mut self, new: &NewAlert, actor: &ActionBy) -> String {
        let now_ms = self.now_ms;
        self.last_tiny += 1;
        let id = format!("{}-{now_ms}", self.ids.uuid());
        let or = |text: &str, other: &str| {
            if text.is_empty() { other.to_owned() } else { text.to_owned() }
        };
        let alert = Alert {
            alias: new.alias.clone().filter(|alias| !alias.is_empty()).unwrap_or_else(|| id.clone()),
            tiny_id: self.last_tiny,
            message: new.message.clone(),
            description: new.description.clone(),
            status: AlertStatus::Open,
            acknowledged: false,
            priority: or(&new.priority, "P3"),
            tags: new.tags.clone(),
            entity: new.entity.clone(),
            details: new.details.clone(),
            owner: String::new(),
            source: actor.alert_source.clone(),
            count: 1,
            last_occurred_at_ms: now_ms,
            snoozed_until_ms: None,
            created_at_ms: now_ms,
            updated_at_ms: now_ms,
            updated_at_ns: now_ms * 1_000_000 + 110,
            acknowledged_by: None,
            closed_by: None,
            notes: Vec::new(),
            log: vec![LogLine { text: "Alert created".to_owned(), owner: actor.username.clone(), at_ms: now_ms }],
            id: id.clone(),
        };
        self.open_aliases.insert(alert.alias.clone(), id.clone());
        self.shelf.insert(&id, alert, now_ms, self.list_lag_ms());
        id
    }

    fn write_note(&mut self, id: &str, actor: &ActionBy, text: &str) {
        let note = Note { owner: actor.username.clone(), text: text.to_owned(), created_at_ms: self.now_ms };
        self.edit(id, |alert, _| alert.notes.push(note));
    }

    /// Changes an alert, and its `updatedAt` with it.
    fn edit(&mut self, id: &str, act: impl FnOnce(&mut Alert, i64)) {
        let (now_ms, lag_ms) = (self.now_ms, self.list_lag_ms());
        self.shelf.edit(id, now_ms, lag_ms, |alert| {
            alert.updated_at_ms = now_ms;
            alert.updated_at_ns = (now_ms * 1_000_000).max(alert.updated_at_ns) + 10;
            act(alert, now_ms);
        });
    }

    fn free_alias(&mut self, alert: &Alert) {
        if self.open_aliases.get(&alert.alias) == Some(&alert.id) {
            self.open_aliases.remove(&alert.alias);
        }
    }
}

fn change(alert: &mut Alert, action: &Action, actor: &str, now_ms: i64) {
    match action {
        Action::Create(_) | Action::Delete | Action::AddNote(_) | Action::EscalateToNext | Action::Custom(_) => {}
        Action::Acknowledge => {
            alert.acknowledged = true;
            alert.acknowledged_by = Some((actor.to_owned(), now_ms));
            if alert.owner.is_empty() {
                alert.owner = actor.to_owned();
            }
        }
        Action::Unacknowledge => {
            alert.acknowledged = false;
            alert.acknowledged_by = None;
            alert.owner.clear();
        }
        Action::Close => {
            alert.status = AlertStatus::Closed;
            alert.snoozed_until_ms = None;
            alert.closed_by = Some((actor.to_owned(), now_ms));
        }
        Action::Snooze { until_ms } => alert.snoozed_until_ms = Some(*until_ms),
        Action::Assign { owner } => alert.owner.clone_from(owner),
        Action::TakeOwnership => alert.owner = actor.to_owned(),
        Action::AddTags(tags) => {
            for tag in tags {
                if !alert.tags.contains(tag) {
                    alert.tags.push(tag.clone());
                }
            }
        }
        Action::RemoveTags(tags) => alert.tags.retain(|tag| !tags.contains(tag)),
        Action::AddDetails(details) => alert.details.extend(details.clone()),
        Action::RemoveDetails(keys) => alert.details.retain(|key, _| !keys.contains(key)),
        Action::UpdatePriority(priority) => alert.priority.clone_from(priority),
        Action::UpdateMessage(message) => alert.message.clone_from(message),
        Action::UpdateDescription(description) => alert.description.clone_from(description),
    }
    if alert.log.len() < COUNT_LIMIT as usize {
        alert.log.push(LogLine { text: action.name().to_owned(), owner: actor.to_owned(), at_ms: now_ms });
    }
}

/// What a webhook carries because of the action, besides the alert; `alert` is as before the action.
fn extra_fields(alert: &Alert, action: &Action) -> Vec<(&'static str, Value)> {
    match action {
        Action::Assign { owner } => vec![("owner", json!(owner))],
        Action::AddTags(tags) => vec![("addedTags", json!(tags.join(",")))],
        Action::RemoveTags(tags) => vec![("removedTags", json!(tags.join(",")))],
        Action::UpdatePriority(_) => vec![("oldPriority", json!(alert.priority))],
        _ => Vec::new(),
    }
}

/// A request's status after success. The documents show those of create and close only; the rest follow them.
fn done(action: &Action) -> &'static str {
    match action {
        Action::Create(_) => "Created alert",
        Action::Acknowledge => "Acknowledged alert",
        Action::Unacknowledge => "Unacknowledged alert",
        Action::Close => "Closed alert",
        Action::Delete => "Deleted alert",
        Action::AddNote(_) => "Added note",
        Action::Snooze { .. } => "Snoozed alert",
        Action::Assign { .. } | Action::TakeOwnership => "Assigned alert",
        Action::EscalateToNext => "Escalated alert",
        Action::AddTags(_) | Action::RemoveTags(_) => "Updated tags",
        Action::AddDetails(_) | Action::RemoveDetails(_) => "Updated details",
        Action::UpdatePriority(_) => "Updated priority",
        Action::UpdateMessage(_) => "Updated message",
        Action::UpdateDescription(_) => "Updated description",
        Action::Custom(_) => "Executed action",
    }
}
