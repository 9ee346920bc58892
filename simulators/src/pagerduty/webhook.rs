//! v3 webhooks: bodies, headers and signatures.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::doer::Doer;
use super::incident::{Agent, Incident};
use super::model::PagerDuty;
use crate::ids::{rfc3339_ms, rfc3339_s, splitmix64};
use crate::outbox::NewWebhook;

/// Webhook behaviour page: larger bodies are always dropped.
const SIZE_LIMIT: usize = 256 * 1024;

impl PagerDuty {
    /// Posts an incident's event to every subscription that wants it.
    pub(super) fn publish(&mut self, incident_id: &str, event: &str, by: &Doer, data: Value) {
        let Some(incident) = self.shelf.get(incident_id).filter(|_| !self.muted) else {
            return;
        };
        let service_id = incident.service_id.clone();
        let client = incident.client.clone().filter(|_| by.shown == Agent::Integration);
        let body = self.event_body_on(event, &by.shown, client, data, &service_id);
        let wanted: Vec<String> = self
            .subscriptions
            .iter()
            .filter(|subscription| subscription.wants(event, &service_id))
            .map(|subscription| subscription.id.clone())
            .collect();
        for subscription_id in wanted {
            self.post_to(&subscription_id, incident_id, &body);
        }
    }

    pub(super) fn event_body(
        &mut self,
        event: &str,
        agent: &Agent,
        client: Option<(String, String)>,
        data: Value,
    ) -> Value {
        let service_id = self.options.service_id.clone();
        self.event_body_on(event, agent, client, data, &service_id)
    }

    /// Queues a webhook, signed with each of the subscription's secrets.
    pub(super) fn post_to(&mut self, subscription_id: &str, resource_id: &str, body: &Value) {
        let webhook_id = self.ids.uuid();
        let mut dice = self.ids.clone();
        let Some(subscription) = self.subscriptions.iter().find(|subscription| subscription.id == subscription_id)
        else {
            return;
        };
        if subscription.is_disabled() || self.muted {
            return;
        }
        let text = if self.behaviour.shuffle_keys { shuffled(body, dice.number()) } else { body.to_string() };
        if text.len() > SIZE_LIMIT {
            return;
        }
        let signatures: Vec<_> = subscription.secrets.iter().map(|secret| sign(secret, text.as_bytes())).collect();
        let mut headers = vec![
            ("accept".to_owned(), "application/json".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("user-agent".to_owned(), "PagerDuty-Webhook/V3.0".to_owned()),
            ("x-webhook-id".to_owned(), webhook_id),
            ("x-webhook-subscription".to_owned(), subscription.id.clone()),
            ("x-pagerduty-signature".to_owned(), signatures.join(",")),
        ];
        headers.extend(subscription.custom_headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
        let webhook = NewWebhook {
            key: format!("{subscription_id}/{resource_id}"),
            url: subscription.url.clone(),
            headers,
            body: text.into_bytes(),
            timeout_ms: self.behaviour.webhook_timeout_ms,
        };
        self.outbox.push(webhook, self.now_ms, &mut self.faults.webhooks);
    }

    /// The `data` of an incident's event: not the same shape as over REST.
    pub(super) fn incident_data(&self, incident: &Incident) -> Value {
        let merged = incident.resolve_reason.as_ref().map(|into| {
            let into = self.shelf.get(into).map(|target| self.incident_ref(target));
            json!({"type": "merge_resolve_reason", "incident": into})
        });
        json!({
            "id": incident.id,
            "type": "incident",
            "self": format!("https://api.pagerduty.com/incidents/{}", incident.id),
            "html_url": format!("https://acme.pagerduty.com/incidents/{}", incident.id),
            "number": incident.number,
            "status": incident.status.as_str(),
            "incident_key": incident.incident_key,
            "created_at": rfc3339_s(incident.created_at_ms),
            "reopened_at": incident.reopened_at_ms.map(rfc3339_s),
            "title": incident.title,
            "incident_type": {"name": "incident_default"},
            "service": self.service_ref(&incident.service_id),
            "assignees": incident.assignees.iter().map(|id| self.user_ref(id)).collect::<Vec<_>>(),
            "escalation_policy": self.policy_ref(),
            "teams": [],
            "priority": incident.priority.as_ref().map(|name| self.priority_ref(name)),
            "urgency": incident.urgency,
            "conference_bridge": null,
            "resolve_reason": merged,
        })
    }

    fn event_body_on(
        &mut self,
        event: &str,
        agent: &Agent,
        client: Option<(String, String)>,
        data: Value,
        service_id: &str,
    ) -> Value {
        json!({"event": {
            "id": self.ids.upper("01", 24),
            "event_type": event,
            "resource_type": event.split('.').next().unwrap_or_default(),
            "occurred_at": rfc3339_ms(self.now_ms),
            "agent": self.agent_ref(agent, service_id, true),
            "client": client.map(|(name, url)| json!({"name": name, "url": url})),
            "data": data,
        }})
    }
}

/// Signature page: HMAC-SHA256 over the raw body, keyed with the secret's text as it is.
pub(super) fn sign(secret: &str, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        return String::new();
    };
    mac.update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

/// Compact JSON whose objects' keys come in an order drawn from `seed`.
fn shuffled(value: &Value, seed: u64) -> String {
    fn write(value: &Value, state: &mut u64, out: &mut String) {
        match value {
            Value::Object(fields) => {
                let mut fields: Vec<_> = fields.iter().map(|(key, value)| (splitmix64(state), key, value)).collect();
                fields.sort_by_key(|(order, _, _)| *order);
                out.push('{');
                for (index, (_, key, value)) in fields.into_iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&Value::from(key.as_str()).to_string());
                    out.push(':');
                    write(value, state, out);
                }
                out.push('}');
            }
            Value::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    write(item, state, out);
                }
                out.push(']');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
        }
    }
    let (mut state, mut out) = (seed, String::new());
    write(value, &mut state, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_delivery_is_signed_as_it_was() {
        let secret = "HvPtlQNKMPpHSSqJpCdndXfo7HnGXa1pnH6w5axpxLFn9aRBNBGh4e8/HlonK5mz";
        let body = concat!(
            r#"{"event":{"id":"01FKZOXA868SHYEE4DVNWB5P9W","event_type":"pagey.ping","resource_type":"pagey","#,
            r#""occurred_at":"2025-04-07T03:00:55.532Z","agent":{"id":"PVE0ZR9","type":"user_reference"},"#,
            r#""client":null,"data":{"message":"Hello from your friend Pagey!","type":"ping"}}}"#,
        );
        let expected = "v1=0e83584cbab86f98c51517cf96a70c90e910532d3d2f067d58c753cc8980a05b";
        assert_eq!(sign(secret, body.as_bytes()), expected);
    }

    #[test]
    fn shuffling_keeps_the_value() {
        let value = json!({"a": [1, {"b": null, "c": "x\"y"}], "d": {"e": true, "f": 2, "g": 3}});
        let texts: Vec<_> = (0..8).map(|seed| shuffled(&value, seed)).collect();
        assert!(texts.iter().all(|text| serde_json::from_str::<Value>(text).unwrap() == value));
        assert!(texts.iter().any(|text| *text != texts[0]));
    }
}
