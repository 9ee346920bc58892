//! The PagerDuty model under virtual time.

mod account;
mod incidents;

use serde_json::{Value, json};

use crate::pagerduty::{Behaviour, Options, PagerDuty};
use crate::{Answer, Reply, Request, WebhookDelivery};

const START: i64 = 1_763_600_000_000;
const ADA: &str = "PUSR001";
const BOT: &str = "PAUTO01";

struct Account {
    model: PagerDuty,
    now_ms: i64,
}

impl Account {
    fn new(options: Options) -> Self {
        let mut model = PagerDuty::new(options);
        model.set_now(START);
        Self { model, now_ms: START }
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.model.tick(self.now_ms);
    }

    fn send(&mut self, request: Request) -> Reply {
        let key = format!("Token token={}", Options::default().api_key);
        let request = request.header("Authorization", &key).header("From", "bot@acme.test");
        self.model.handle(self.now_ms, request)
    }

    fn get(&mut self, target: &str) -> Value {
        self.send(Request::new("GET", target)).body_json()
    }

    fn create(&mut self, key: &str) -> Reply {
        self.send(Request::new("POST", "/incidents").json(&new_incident(key)))
    }

    /// An incident of ours, whose webhooks have gone.
    fn incident(&mut self) -> String {
        let id = self.create("opsgenie:1").body_json()["incident"]["id"].as_str().unwrap().to_owned();
        self.webhooks();
        id
    }

    fn put(&mut self, id: &str, fields: Value) -> Reply {
        let mut incident = json!({"type": "incident_reference"});
        incident.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.send(Request::new("PUT", &format!("/incidents/{id}")).json(&json!({"incident": incident})))
    }

    fn note(&mut self, id: &str, text: &str) -> Reply {
        self.send(Request::new("POST", &format!("/incidents/{id}/notes")).json(&json!({"note": {"content": text}})))
    }

    fn deliveries(&mut self) -> Vec<WebhookDelivery> {
        let mut all = Vec::new();
        loop {
            let taken = self.model.take_webhooks(self.now_ms);
            if taken.is_empty() {
                return all;
            }
            for delivery in taken {
                self.model.webhook_answered(delivery.id, self.now_ms, Answer::Status(202));
                all.push(delivery);
            }
        }
    }

    fn webhooks(&mut self) -> Vec<Value> {
        self.deliveries().iter().map(|delivery| delivery.body_json()["event"].clone()).collect()
    }

    fn events(&mut self) -> Vec<String> {
        self.webhooks().iter().map(|event| event["event_type"].as_str().unwrap().to_owned()).collect()
    }

    fn status(&self, id: &str) -> &'static str {
        self.model.incident(id).unwrap().status.as_str()
    }
}

fn account() -> Account {
    Account::new(Options::default())
}

fn with(behaviour: Behaviour) -> Account {
    Account::new(Options { behaviour, ..Options::default() })
}

fn new_incident(key: &str) -> Value {
    json!({"incident": {
        "type": "incident",
        "title": "disk full",
        "service": {"id": "PSVC001", "type": "service_reference"},
        "incident_key": key,
        "body": {"type": "incident_body", "details": "text"},
        "priority": {"id": "PPRI001", "type": "priority_reference"},
    }})
}

fn error_of(reply: &Reply) -> (u16, u64) {
    (reply.status, reply.body_json()["error"]["code"].as_u64().unwrap_or_default())
}
