//! The posts of a Webhook integration, true to captured bodies.

use serde_json::{Map, Value, json};

use super::alert::Alert;
use super::command::ActionBy;
use super::model::Opsgenie;
use super::options::UpdatedAtStyle;
use crate::ids::uuid_for;
use crate::outbox::NewWebhook;

/// Webhook integration page: description and details are cut at so many characters.
const TEXT_LIMIT: usize = 1_000;

/// Actions that carry all fields of the alert: built-in ones do not, `Create` and custom ones do.
const BUILT_IN: [&str; 17] = [
    "Acknowledge",
    "UnAcknowledge",
    "Close",
    "Delete",
    "AddNote",
    "Snooze",
    "AssignOwnership",
    "TakeOwnership",
    "EscalateToNext",
    "EscalateNext",
    "AddTags",
    "RemoveTags",
    "UpdatePriority",
    "UpdateMessage",
    "UpdateDescription",
    "AddDetails",
    "RemoveDetails",
];

impl Opsgenie {
    /// Queues the webhook of an action on an alert as it is now.
    pub(super) fn emit(
        &mut self,
        id: &str,
        action: &str,
        actor: &ActionBy,
        note: Option<&str>,
        extra: Vec<(&'static str, Value)>,
    ) {
        let Some(alert) = self.shelf.get(id).filter(|_| !self.muted) else {
            return;
        };
        let mut fields = self.alert_fields(alert, action, actor);
        if let Some(note) = note {
            fields.insert("note".to_owned(), json!(note));
        }
        fields.extend(extra.into_iter().map(|(key, value)| (key.to_owned(), value)));
        if let (true, Some(old)) = (self.behaviour.priority_as_integer, fields.get("oldPriority")) {
            let old = priority_number(old.as_str().unwrap_or_default());
            fields.insert("oldPriority".to_owned(), old);
        }
        let source_name = match (self.behaviour.source_web_api_style, actor.source_type, action) {
            (true, "web", "Create") => ("web", "API"),
            (_, source_type, _) => (actor.source_name.as_str(), source_type),
        };
        let mut body = json!({
            "action": action,
            "alert": fields,
            "source": {"name": source_name.0, "type": source_name.1},
            "integrationId": self.options.integration_id,
            "integrationName": self.options.integration_name,
        });
        if !self.behaviour.integration_type_missing {
            body["integrationType"] = json!("Webhook");
        }
        if let (true, Some(note)) = (self.behaviour.note_top_level, note) {
            body["note"] = json!(note);
        }
        self.queue(id, body);
    }

    /// The shape of `Escalate`, which is like no other.
    pub(super) fn emit_escalation(&mut self, id: &str) {
        if self.muted || self.shelf.get(id).is_none() {
            return;
        }
        let body = json!({
            "action": "Escalate",
            "escalationId": uuid_for("escalation"),
            "escalationName": "dba_escalation",
            "escalationTime": 5,
            "repeatCount": 0,
            "escalationNotify": {
                "name": "bob@acme.test",
                "id": uuid_for("bob@acme.test"),
                "type": "default",
                "entity": "user",
            },
            "alert": {"alertId": id},
            "integrationId": self.options.integration_id,
            "integrationName": self.options.integration_name,
        });
        self.queue(id, body);
    }

    fn queue(&mut self, id: &str, mut body: Value) {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if let Some(token) = &self.options.webhook_token {
            let value = format!("Bearer {token}");
            if self.options.webhook_headers_echoed {
                body["headers"] = json!({"Authorization": value});
            }
            headers.push(("authorization".to_owned(), value));
        }
        let webhook = NewWebhook {
            key: id.to_owned(),
            url: None,
            headers,
            body: body.to_string().into_bytes(),
            timeout_ms: self.behaviour.webhook_timeout_ms,
        };
        for url in &self.further_urls {
            let further = NewWebhook { key: format!("{url} {id}"), url: Some(url.clone()), ..webhook.clone() };
            self.outbox.push(further, self.now_ms, &mut self.faults.webhooks);
        }
        self.outbox.push(webhook, self.now_ms, &mut self.faults.webhooks);
    }

    fn alert_fields(&self, alert: &Alert, action: &str, actor: &ActionBy) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |key: &str, value: Value| {
            fields.insert(key.to_owned(), value);
        };
        set("alertId", json!(alert.id));
        set("message", json!(alert.message));
        set("tinyId", json!(alert.tiny_id.to_string()));
        set("alias", json!(alert.alias));
        set("entity", json!(alert.entity));
        set("createdAt", json!(alert.created_at_ms));
        set("username", json!(actor.username));
        set("source", json!(alert.source));
        if action != "Delete" {
            set("tags", json!(alert.tags));
        }
        if let Some(user_id) = &actor.user_id {
            set("userId", json!(user_id));
        }
        match self.behaviour.updated_at_style {
            UpdatedAtStyle::Nanos => set("updatedAt", json!(alert.updated_at_ns)),
            UpdatedAtStyle::Millis => set("updatedAt", json!(alert.updated_at_ms)),
            UpdatedAtStyle::String => set("updatedAt", json!(alert.updated_at_ns.to_string())),
            UpdatedAtStyle::Missing => {}
        }
        if self.behaviour.priority_as_integer {
            set("priority", priority_number(&alert.priority));
        } else {
            set("priority", json!(alert.priority));
        }
        if !BUILT_IN.contains(&action) {
            set("teams", json!([]));
            set("responders", json!([]));
            set("actions", json!([]));
            if self.behaviour.description_in_webhooks {
                set("description", json!(cut(&alert.description)));
            }
            if self.behaviour.details_in_webhooks {
                let details: Map<_, _> =
                    alert.details.iter().map(|(key, value)| (key.clone(), json!(cut(value)))).collect();
                set("details", Value::Object(details));
            }
        }
        fields
    }
}

/// Captures of 2017 have 2, 3 and 4; which priorities they stood for is unknown. Here `P1` is 1.
fn priority_number(priority: &str) -> Value {
    json!(priority.trim_start_matches('P').parse::<u8>().unwrap_or(3))
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).collect()
}
