//! Direct calls of all that the simulators serve, right ones and wrong ones, since crosspage uses but a part of it.

use serde_json::{Value, json};
use simulators::opsgenie::NewAlert;
use simulators::pagerduty::{KeyKind, User};
use simulators::{Fault, Opsgenie, PagerDuty, Reply, Request, opsgenie, pagerduty};

use super::stories::Calls;

const START: i64 = 1_763_600_000_000;
const OTHER_KEY: &str = "00000000-0000-4000-8000-000000000000";

/// Makes them all.
pub(crate) fn called() -> Calls {
    let mut calls = (every_call_of_opsgenie(), every_call_of_pagerduty());
    calls.1.extend(a_key_of_a_user());
    calls
}

struct OpsgenieCaller {
    model: Opsgenie,
    key: String,
    now_ms: i64,
}

impl OpsgenieCaller {
    fn send(&mut self, request: Request) -> Reply {
        let key = self.key.clone();
        self.now_ms += 1_000;
        self.model.handle(self.now_ms, request.header("Authorization", &format!("GenieKey {key}")))
    }

    /// A call without a body; what is answered.
    fn call(&mut self, method: &str, target: &str) -> Value {
        self.send(Request::new(method, target)).body_json()
    }

    /// A call with one; the status.
    fn with(&mut self, method: &str, target: &str, body: Value) -> u16 {
        self.send(Request::new(method, target).json(&body)).status
    }
}

fn every_call_of_opsgenie() -> Vec<simulators::CallRecord> {
    let options = opsgenie::Options::default();
    let mut caller = OpsgenieCaller { key: options.api_key.clone(), model: Opsgenie::new(options), now_ms: START };
    caller.model.set_now(START);
    let id = caller.model.human_creates(NewAlert::titled("Disk full"));
    let full = json!({
        "message": "Disk slow", "alias": "db/1 slow", "description": "text", "tags": ["a", "b"], "entity": "db-1",
        "details": {"region": "eu"}, "priority": "P1", "user": "monitor", "source": "monitor", "note": "first",
        "actions": ["Restart"],
    });
    let accepted = caller.send(Request::new("POST", "/v2/alerts").json(&full)).body_json();
    let request = accepted["requestId"].as_str().unwrap().to_owned();
    // Not processed yet, processed, and never heard of.
    caller.now_ms -= 1_000;
    caller.call("GET", &format!("/v2/alerts/requests/{request}"));
    caller.call("GET", &format!("/v2/alerts/requests/{request}"));
    caller.call("GET", "/v2/alerts/requests/none");

    let alert = format!("/v2/alerts/{id}");
    let by = json!({"user": "monitor", "source": "monitor", "note": "why"});
    for action in ["acknowledge", "unacknowledge", "close", "acknowledge"] {
        assert_eq!(caller.with("POST", &format!("{alert}/{action}?identifierType=id"), by.clone()), 202);
    }
    let slow = "/v2/alerts/db%2F1%20slow";
    let rows: [(&str, &str, Value); 14] = [
        ("POST", "notes", json!({"note": "text", "user": "monitor"})),
        ("POST", "snooze", json!({"endTime": "2030-01-01T00:00:00Z"})),
        ("POST", "assign", json!({"owner": {"type": "user", "username": "jane@example.com"}})),
        ("POST", "escalate", json!({"escalation": {"type": "escalation", "name": "dba"}})),
        ("POST", "tags", json!({"tags": ["c"]})),
        ("POST", "details", json!({"details": {"key": "value"}})),
        ("PUT", "priority", json!({"priority": "P2"})),
        ("PUT", "message", json!({"message": "Disk slower"})),
        ("PUT", "description", json!({"description": "more"})),
        ("POST", "actions/Restart", json!({})),
        ("POST", "notes", json!({"note": ""})),
        ("POST", "notes", json!({"note": "x".repeat(25_001)})),
        ("POST", "snooze", json!({"endTime": "tomorrow"})),
        ("PUT", "priority", json!({"priority": "P9"})),
    ];
    for (method, action, body) in rows {
        let status = caller.with(method, &format!("{slow}/{action}?identifierType=alias"), body);
        assert!([202, 422].contains(&status), "{action}: {status}");
    }
    caller.call("DELETE", &format!("{slow}/tags?tags=a,b&identifierType=alias&user=monitor"));
    caller.call("DELETE", &format!("{slow}/details?keys=key&identifierType=alias"));
    for target in [
        "/v2/alerts?query=status%3A%20open&limit=1&offset=0&sort=createdAt&order=asc",
        "/v2/alerts?limit=1&offset=1",
        "/v2/alerts?query=nonsense",
        "/v2/alerts?limit=1000",
        "/v2/alerts/count?query=status%3A%20open",
        "/v2/alerts/count",
        &alert,
        "/v2/alerts/1001?identifierType=tiny",
        "/v2/alerts/none",
        &format!("{alert}?identifierType=colour"),
        &format!("{slow}?identifierType=alias"),
        &format!("{slow}/notes?identifierType=alias&limit=1&direction=next&order=desc"),
        &format!("{slow}/logs?identifierType=alias&limit=1"),
        "/v2/alerts/none/notes",
    ] {
        caller.call("GET", target);
    }
    caller.call("DELETE", &format!("{alert}?user=monitor&source=monitor"));
    caller.call("GET", &alert);
    caller.send(Request { body: b"{".to_vec(), ..Request::new("POST", "/v2/alerts") });
    for code in [400, 403, 500, 503] {
        caller.model.faults.once("GET", "", Fault::status(code));
        caller.call("GET", &alert);
    }
    for with_headers in [true, false] {
        caller.model.faults.once("POST", "", Fault::Throttle { with_headers, reset_s: 1 });
        caller.with("POST", &format!("{alert}/close"), json!({}));
    }
    for key in [OTHER_KEY, "short"] {
        caller.key = key.to_owned();
        caller.call("GET", "/v2/alerts/count");
    }
    caller.model.calls().to_vec()
}

struct PagerDutyCaller {
    model: PagerDuty,
    key: String,
    from: Option<&'static str>,
    now_ms: i64,
}

impl PagerDutyCaller {
    fn new(options: pagerduty::Options, from: Option<&'static str>) -> Self {
        let key = options.api_key.clone();
        let mut model = PagerDuty::new(options);
        model.set_now(START);
        Self { model, key, from, now_ms: START }
    }

    fn send(&mut self, request: Request) -> Reply {
        self.now_ms += 1_000;
        let mut request = request
            .header("Authorization", &format!("Token token={}", self.key))
            .header("Accept", "application/vnd.pagerduty+json;version=2");
        if let (Some(from), true) = (self.from, request.method != "GET") {
            request = request.header("From", from);
        }
        self.model.handle(self.now_ms, request)
    }

    fn get(&mut self, target: &str) -> Value {
        self.send(Request::new("GET", target)).body_json()
    }

    fn with(&mut self, method: &str, target: &str, body: Value) -> Value {
        self.send(Request::new(method, target).json(&body)).body_json()
    }

    fn create(&mut self, fields: Value) -> String {
        let mut incident = json!({
            "type": "incident", "title": "Disk full", "service": {"id": "PSVC001", "type": "service_reference"},
        });
        incident.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let answer = self.with("POST", "/incidents", json!({"incident": incident}));
        answer["incident"]["id"].as_str().unwrap_or_default().to_owned()
    }

    fn put(&mut self, id: &str, fields: Value) -> Value {
        let mut incident = json!({"type": "incident_reference"});
        incident.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.with("PUT", &format!("/incidents/{id}"), json!({"incident": incident}))
    }

    /// An event of the Events API, which has no key in a header.
    fn event(&mut self, body: Value) -> u16 {
        self.now_ms += 1_000;
        self.model.handle(self.now_ms, Request::new("POST", "/v2/enqueue").json(&body)).status
    }
}

fn every_call_of_pagerduty() -> Vec<simulators::CallRecord> {
    let options = pagerduty::Options { ack_timeout_ms: Some(1_800_000), ..pagerduty::Options::default() };
    let mut caller = PagerDutyCaller::new(options, Some("bot@acme.test"));
    let priority = json!({"id": "PPRI001", "type": "priority_reference"});
    let body = json!({"type": "incident_body", "details": "text"});
    let id = caller.create(json!({"incident_key": "k", "urgency": "low", "priority": priority, "body": body}));
    // A key that is taken, a priority and a service that are not there.
    caller.create(json!({"incident_key": "k"}));
    caller.create(json!({"priority": {"id": "NONE", "type": "priority_reference"}}));
    caller.create(json!({"service": {"id": "NONE", "type": "service_reference"}}));
    let ada = json!([{"assignee": {"id": "PUSR001", "type": "user_reference"}}]);
    let other = caller.create(json!({"assignments": ada}));

    changes(&mut caller, &id, &other, &ada);
    reads(&mut caller, &id);
    subscriptions(&mut caller);
    events(&mut caller);

    for from in [None, Some("nobody@acme.test")] {
        caller.from = from;
        caller.put(&id, json!({"status": "acknowledged"}));
    }
    for code in [401, 403, 404] {
        caller.model.faults.once("GET", "", Fault::status(code));
        caller.get(&format!("/incidents/{id}"));
    }
    for with_headers in [true, false] {
        caller.model.faults.once("GET", "", Fault::Throttle { with_headers, reset_s: 1 });
        caller.get(&format!("/incidents/{id}"));
    }
    caller.key = "wrong".to_owned();
    caller.get("/abilities");
    caller.model.calls().to_vec()
}

fn changes(caller: &mut PagerDutyCaller, id: &str, other: &str, ada: &Value) {
    let path = format!("/incidents/{id}");
    caller.put(id, json!({"status": "acknowledged"}));
    caller.with("POST", &format!("{path}/snooze"), json!({"duration": 3_600}));
    caller.with("POST", &format!("{path}/snooze"), json!({"duration": 0}));
    for fields in [
        json!({"urgency": "high"}),
        json!({"priority": "P2"}),
        json!({"title": "Disk fuller"}),
        json!({"escalation_level": 2}),
        json!({"assignments": ada}),
        json!({"escalation_policy": {"id": "PEP0001", "type": "escalation_policy_reference"}}),
        json!({"status": "nonsense"}),
        json!({"status": "resolved", "resolution": "Swapped the disk"}),
        json!({"escalation_level": 1}),
        json!({"status": "triggered"}),
    ] {
        caller.put(id, fields);
    }
    let note = caller.with("POST", &format!("{path}/notes"), json!({"note": {"content": "text"}}));
    let note = format!("{path}/notes/{}", note["note"]["id"].as_str().unwrap());
    caller.with("PUT", &note, json!({"note": {"content": "other text"}}));
    caller.send(Request::new("DELETE", &note));
    caller.send(Request::new("DELETE", &note));
    caller.with("POST", &format!("{path}/notes"), json!({"note": {"content": ""}}));
    caller.with("POST", "/incidents/NONE/notes", json!({"note": {"content": "text"}}));
    caller.with("POST", &format!("{path}/notes"), json!({"note": {"content": "stays"}}));
    let bulk = json!({"incidents": [{"id": id, "type": "incident_reference", "status": "acknowledged"}]});
    caller.with("PUT", "/incidents", bulk);
    let many: Vec<Value> = (0..251).map(|_| json!({"id": id, "type": "incident_reference"})).collect();
    caller.with("PUT", "/incidents", json!({"incidents": many}));
    let sources = json!({"source_incidents": [{"id": other, "type": "incident_reference"}]});
    caller.with("PUT", &format!("{path}/merge"), sources.clone());
    caller.with("PUT", &format!("{path}/merge"), sources);
}

fn reads(caller: &mut PagerDutyCaller, id: &str) {
    for target in [
        "/incidents?statuses[]=triggered&statuses[]=resolved&date_range=all&limit=1&total=true&sort_by=created_at:desc",
        "/incidents?since=2025-11-01T00:00:00Z&until=2025-11-30T00:00:00Z&urgencies[]=high&user_ids[]=PUSR001",
        "/incidents?incident_key=k&service_ids[]=PSVC001&include[]=users&offset=0",
        "/incidents?statuses[]=nonsense",
        &format!("/incidents/{id}"),
        &format!("/incidents/{id}?include[]=body"),
        "/incidents/NONE",
        &format!("/incidents/{id}/notes"),
        &format!("/incidents/{id}/log_entries?limit=100&is_overview=false"),
        &format!("/incidents/{id}/alerts"),
        "/users?query=ada&limit=1",
        "/users/PUSR001",
        "/users/NONE",
        "/users/me",
        "/services/PSVC001",
        "/services/NONE",
        "/priorities",
        "/abilities",
    ] {
        caller.get(target);
    }
}

fn subscriptions(caller: &mut PagerDutyCaller) {
    let from = caller.from.take();
    let wanted = json!({"webhook_subscription": {
        "type": "webhook_subscription",
        "delivery_method": {
            "type": "http_delivery_method",
            "url": "https://example.com/pd-webhook",
            "custom_headers": [{"name": "x-key", "value": "secret"}],
        },
        "description": "crosspage",
        "events": ["incident.triggered", "incident.resolved"],
        "filter": {"type": "service_reference", "id": "PSVC001"},
    }});
    let made = caller.with("POST", "/webhook_subscriptions", wanted);
    let path = format!("/webhook_subscriptions/{}", made["webhook_subscription"]["id"].as_str().unwrap());
    caller.with("POST", "/webhook_subscriptions", json!({"webhook_subscription": {}}));
    caller.get("/webhook_subscriptions?filter_type=service&filter_id=PSVC001");
    caller.get(&path);
    let change = json!({"webhook_subscription": {"description": "other", "active": false}});
    caller.with("PUT", &path, change);
    caller.send(Request::new("POST", &format!("{path}/enable")));
    caller.send(Request::new("POST", &format!("{path}/ping")));
    caller.send(Request::new("DELETE", &path));
    caller.get(&path);
    caller.from = from;
}

fn events(caller: &mut PagerDutyCaller) {
    let key = "R".repeat(32);
    let payload =
        json!({"summary": "Disk full", "source": "db-1", "severity": "critical", "custom_details": {"k": "v"}});
    let trigger = json!({
        "routing_key": key, "event_action": "trigger", "dedup_key": "d", "payload": payload, "client": "monitor",
        "client_url": "https://example.com",
    });
    assert_eq!(caller.event(trigger), 202);
    let id = caller.model.incident_ids().last().unwrap().clone();
    caller.get(&format!("/incidents/{id}/alerts"));
    caller.get(&format!("/incidents/{id}"));
    for action in ["acknowledge", "resolve"] {
        assert_eq!(caller.event(json!({"routing_key": key, "event_action": action, "dedup_key": "d"})), 202);
    }
    assert_eq!(caller.event(json!({"routing_key": "short"})), 400);
    caller.get(&format!("/incidents/{id}/log_entries"));
}

/// With a user's own key, there is a user to ask for, and no need to say on whose behalf.
fn a_key_of_a_user() -> Vec<simulators::CallRecord> {
    let options = pagerduty::Options {
        key_kind: KeyKind::User,
        automation: User::new("PUSR009", "Sync", "sync@acme.test"),
        ..pagerduty::Options::default()
    };
    let mut caller = PagerDutyCaller::new(options, Some("sync@acme.test"));
    caller.get("/users/me");
    let itself = json!([{"assignee": {"id": "PUSR009", "type": "user_reference"}}]);
    caller.create(json!({"assignments": itself}));
    caller.model.calls().to_vec()
}
