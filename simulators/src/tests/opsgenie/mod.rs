//! The Opsgenie model under virtual time.

mod api;
mod webhooks;

use serde_json::Value;

use crate::opsgenie::{Behaviour, Opsgenie, Options};
use crate::{Answer, Reply, Request};

const START: i64 = 1_763_600_000_000;

/// An account at a moment, and a caller with the right key.
struct Account {
    model: Opsgenie,
    now_ms: i64,
}

impl Account {
    fn new(behaviour: Behaviour) -> Self {
        let mut model = Opsgenie::new(Options { behaviour, ..Options::default() });
        model.set_now(START);
        Self { model, now_ms: START }
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.model.tick(self.now_ms);
    }

    fn send(&mut self, request: Request) -> Reply {
        let key = format!("GenieKey {}", Options::default().api_key);
        self.model.handle(self.now_ms, request.header("Authorization", &key))
    }

    fn get(&mut self, target: &str) -> Value {
        self.send(Request::new("GET", target)).body_json()
    }

    /// Posts, lets the request be processed, and returns its status.
    fn post(&mut self, target: &str, body: Value) -> Value {
        let reply = self.send(Request::new("POST", target).json(&body));
        assert_eq!(reply.status, 202, "{}", reply.body_json());
        self.wait(50);
        let id = reply.body_json()["requestId"].as_str().unwrap().to_owned();
        self.get(&format!("/v2/alerts/requests/{id}"))["data"].clone()
    }

    /// Bodies of the webhooks due now, all answered 200.
    fn webhooks(&mut self) -> Vec<Value> {
        let mut bodies = Vec::new();
        loop {
            let taken = self.model.take_webhooks(self.now_ms);
            if taken.is_empty() {
                return bodies;
            }
            for delivery in taken {
                bodies.push(delivery.body_json());
                self.model.webhook_answered(delivery.id, self.now_ms, Answer::Status(200));
            }
        }
    }

    fn actions(&mut self) -> Vec<String> {
        self.webhooks().iter().map(|body| body["action"].as_str().unwrap().to_owned()).collect()
    }
}

fn account() -> Account {
    Account::new(Behaviour::default())
}
