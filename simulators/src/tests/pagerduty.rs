//! The PagerDuty model under virtual time.

use serde_json::{Value, json};

use crate::pagerduty::{
    AckTimeoutAgent, Behaviour, KeyKind, Options, PagerDuty, RestAgent, Taken, UnackEvents,
    UsersLookup,
};
use crate::{Answer, Fault, Reply, Request, WebhookDelivery};

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
        Self {
            model,
            now_ms: START,
        }
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.model.tick(self.now_ms);
    }

    fn send(&mut self, request: Request) -> Reply {
        let key = format!("Token token={}", Options::default().api_key);
        let request = request
            .header("Authorization", &key)
            .header("From", "bot@acme.test");
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
        let id = self.create("opsgenie:1").body_json()["incident"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        self.webhooks();
        id
    }

    fn put(&mut self, id: &str, fields: Value) -> Reply {
        let mut incident = json!({"type": "incident_reference"});
        incident
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        self.send(
            Request::new("PUT", &format!("/incidents/{id}")).json(&json!({"incident": incident})),
        )
    }

    fn note(&mut self, id: &str, text: &str) -> Reply {
        self.send(
            Request::new("POST", &format!("/incidents/{id}/notes"))
                .json(&json!({"note": {"content": text}})),
        )
    }

    fn deliveries(&mut self) -> Vec<WebhookDelivery> {
        let mut all = Vec::new();
        loop {
            let taken = self.model.take_webhooks(self.now_ms);
            if taken.is_empty() {
                return all;
            }
            for delivery in taken {
                self.model
                    .webhook_answered(delivery.id, self.now_ms, Answer::Status(202));
                all.push(delivery);
            }
        }
    }

    fn webhooks(&mut self) -> Vec<Value> {
        self.deliveries()
            .iter()
            .map(|delivery| delivery.body_json()["event"].clone())
            .collect()
    }

    fn events(&mut self) -> Vec<String> {
        self.webhooks()
            .iter()
            .map(|event| event["event_type"].as_str().unwrap().to_owned())
            .collect()
    }

    fn status(&self, id: &str) -> &'static str {
        self.model.incident(id).unwrap().status.as_str()
    }
}

fn account() -> Account {
    Account::new(Options::default())
}

fn with(behaviour: Behaviour) -> Account {
    Account::new(Options {
        behaviour,
        ..Options::default()
    })
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
    (
        reply.status,
        reply.body_json()["error"]["code"]
            .as_u64()
            .unwrap_or_default(),
    )
}

#[test]
fn a_create_answers_at_once_and_posts_a_signed_webhook() {
    let mut account = account();
    let reply = account.create("opsgenie:1");
    let incident = reply.body_json()["incident"].clone();
    assert_eq!(
        (reply.status, &incident["status"]),
        (201, &json!("triggered"))
    );
    assert_eq!(incident["priority"]["name"], "P1");
    let delivery = account.deliveries().remove(0);
    let event = delivery.body_json()["event"].clone();
    assert_eq!(
        (&event["event_type"], &event["data"]["id"]),
        (&json!("incident.triggered"), &incident["id"])
    );
    assert_eq!(
        (&event["agent"]["id"], &event["agent"]["type"]),
        (&json!(BOT), &json!("user_reference"))
    );
    assert_eq!(
        (&event["client"], &event["data"]["incident_key"]),
        (&json!(null), &json!("opsgenie:1"))
    );
    assert_eq!(
        delivery.header("user-agent"),
        Some("PagerDuty-Webhook/V3.0")
    );
    assert_eq!(delivery.header("x-webhook-subscription"), Some("PWHS001"));
    assert_eq!(delivery.header("x-pagerduty-signature").unwrap().len(), 67);
    assert!(
        !String::from_utf8(delivery.body).unwrap().contains("\": "),
        "compact"
    );
    let id = incident["id"].as_str().unwrap();
    assert!(
        account.get(&format!("/incidents/{id}"))["incident"]
            .get("body")
            .is_none()
    );
    assert_eq!(
        account.get(&format!("/incidents/{id}?include[]=body"))["incident"]["body"]["details"],
        "text"
    );
}

#[test]
fn key_and_requester_are_checked() {
    let mut account = account();
    let anonymous = account
        .model
        .handle(START, Request::new("GET", "/incidents"));
    assert_eq!(error_of(&anonymous), (401, 2006));
    let key = format!("Token token={}", Options::default().api_key);
    let request = || {
        Request::new("POST", "/incidents")
            .header("authorization", &key)
            .json(&new_incident("k"))
    };
    assert_eq!(
        error_of(&account.model.handle(START, request())),
        (400, 2016)
    );
    assert_eq!(
        error_of(
            &account
                .model
                .handle(START, request().header("from", "who@acme.test"))
        ),
        (400, 1008)
    );
    assert_eq!(account.send(Request::new("GET", "/users/me")).status, 400);
    let mut personal = Account::new(Options {
        key_kind: KeyKind::User,
        ..Options::default()
    });
    assert_eq!(personal.model.handle(START, request()).status, 201);
    assert_eq!(personal.get("/users/me")["user"]["id"], BOT);
}

#[test]
fn an_open_key_is_refused_and_a_resolved_one_is_free() {
    let mut account = account();
    let id = account.incident();
    let again = account.create("opsgenie:1");
    assert_eq!(error_of(&again), (400, 2002));
    let text = "Open incident with matching dedup key already exists on this service";
    assert_eq!(again.body_json()["error"]["errors"][0], text);
    account.model.human_resolves(&id, ADA, None);
    assert_eq!(account.create("opsgenie:1").status, 201);
    account.wait(40 * 24 * 3_600_000);
    let path = "/incidents?incident_key=opsgenie:1&service_ids[]=PSVC001";
    assert_eq!(
        account.get(path)["incidents"],
        json!([]),
        "older than a month"
    );
    let all = account.get(&format!("{path}&date_range=all"));
    assert_eq!(all["incidents"].as_array().unwrap().len(), 2);
    let open = account.get(&format!(
        "{path}&date_range=all&statuses[]=triggered&statuses[]=acknowledged"
    ));
    assert_eq!(open["incidents"].as_array().unwrap().len(), 1);
    assert_eq!(account.model.incident_by_key("opsgenie:1").len(), 2);
}

#[test]
fn unusable_bodies_and_windows_are_refused() {
    let mut account = account();
    for body in [
        json!({"incident": {"type": "incident", "service": {"id": "PSVC001"}}}),
        json!({"incident": {"type": "incident", "title": "t", "service": {"id": "PNONE"}}}),
        json!({"incident": {"title": "t", "service": {"id": "PSVC001"}}}),
        json!([]),
    ] {
        assert_eq!(
            error_of(&account.send(Request::new("POST", "/incidents").json(&body))),
            (400, 2001),
            "{body}"
        );
    }
    let mut odd = new_incident("k");
    odd["incident"]["priority"]["id"] = json!("PNONE");
    assert_eq!(
        error_of(&account.send(Request::new("POST", "/incidents").json(&odd))),
        (400, 1020)
    );
    assert_eq!(
        account
            .send(Request::new("GET", "/incidents?offset=9990&limit=11"))
            .status,
        400
    );
    assert_eq!(
        account
            .send(Request::new("GET", "/incidents?statuses[]=open"))
            .status,
        400
    );
    assert_eq!(
        error_of(&account.send(Request::new("GET", "/incidents/QNONE"))),
        (404, 2100)
    );
    let many: Vec<_> = (0..251)
        .map(|_| json!({"id": "Q", "type": "incident"}))
        .collect();
    assert_eq!(
        account
            .send(Request::new("PUT", "/incidents").json(&json!({"incidents": many})))
            .status,
        413
    );
}

#[test]
fn a_late_acknowledge_reopens() {
    let mut account = account();
    let id = account.incident();
    assert_eq!(
        account.put(&id, json!({"status": "acknowledged"})).status,
        200
    );
    assert_eq!(
        account.put(&id, json!({"status": "resolved"})).body_json()["incident"]["assignments"],
        json!([])
    );
    assert_eq!(
        account.events(),
        ["incident.acknowledged", "incident.resolved"]
    );
    account.put(&id, json!({"status": "acknowledged"}));
    assert_eq!(
        account.events(),
        ["incident.reopened", "incident.acknowledged"]
    );
    assert_eq!(account.model.incident(&id).unwrap().assignees, [BOT]);
    account.put(&id, json!({"status": "resolved"}));
    account.put(&id, json!({"status": "triggered"}));
    assert_eq!(account.events(), ["incident.resolved", "incident.reopened"]);
    assert_eq!(account.status(&id), "triggered");
    assert_eq!(
        account.create("opsgenie:1").status,
        400,
        "the key is taken again"
    );
}

#[test]
fn repetitions_are_accepted_or_refused_by_switch() {
    let mut account = account();
    let id = account.incident();
    for status in ["acknowledged", "acknowledged", "resolved", "resolved"] {
        assert_eq!(account.put(&id, json!({"status": status})).status, 200);
    }
    assert_eq!(
        account.events(),
        ["incident.acknowledged", "incident.resolved"]
    );
    account.model.behaviour.resolve_again = Taken::Refused;
    account.model.behaviour.reack = Taken::Refused;
    assert_eq!(
        error_of(&account.put(&id, json!({"status": "resolved"}))),
        (400, 1001)
    );
    account.put(&id, json!({"status": "acknowledged"}));
    assert_eq!(
        error_of(&account.put(&id, json!({"status": "acknowledged"}))),
        (400, 1002)
    );
}

#[test]
fn un_acknowledging_goes_by_level_urgency_or_snooze() {
    let mut account = account();
    let id = account.incident();
    for (events, expected) in [
        (UnackEvents::Unacknowledged, vec!["incident.unacknowledged"]),
        (UnackEvents::Escalated, vec!["incident.escalated"]),
        (
            UnackEvents::Both,
            vec!["incident.unacknowledged", "incident.escalated"],
        ),
    ] {
        account.model.behaviour.unack_events = events;
        account.put(&id, json!({"status": "acknowledged"}));
        assert_eq!(
            account.put(&id, json!({"status": "triggered"})).body_json()["incident"]["status"],
            "acknowledged"
        );
        account.webhooks();
        account.put(&id, json!({"escalation_level": 1}));
        let hooks = account.webhooks();
        assert!(
            hooks
                .iter()
                .all(|event| event["data"]["status"] == "triggered")
        );
        let names: Vec<_> = hooks
            .iter()
            .map(|event| event["event_type"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected);
    }
    account.put(&id, json!({"status": "acknowledged", "urgency": "low"}));
    account.put(&id, json!({"urgency": "high"}));
    assert_eq!(
        account.events(),
        ["incident.acknowledged", "incident.unacknowledged"]
    );
    let snooze = |seconds: i64| {
        Request::new("POST", &format!("/incidents/{id}/snooze")).json(&json!({"duration": seconds}))
    };
    assert_eq!(error_of(&account.send(snooze(1))), (400, 1012));
    account.put(&id, json!({"status": "acknowledged"}));
    assert_eq!(error_of(&account.send(snooze(604_801))), (400, 1013));
    assert_eq!(account.send(snooze(1)).status, 201);
    account.webhooks();
    assert_eq!(account.model.next_wake(), Some(account.now_ms + 1_000));
    account.wait(1_000);
    assert_eq!(account.events(), ["incident.unacknowledged"]);
}

#[test]
fn assigned_to_the_maker_it_is_born_acknowledged() {
    let mut account = account();
    let mut body = new_incident("k");
    body["incident"]["assignments"] = json!([{"assignee": {"id": BOT, "type": "user_reference"}}]);
    let reply = account.send(Request::new("POST", "/incidents").json(&body));
    assert_eq!(reply.body_json()["incident"]["status"], "acknowledged");
    let hooks = account.webhooks();
    let names: Vec<_> = hooks
        .iter()
        .map(|event| (event["event_type"].clone(), event["data"]["status"].clone()))
        .collect();
    assert_eq!(
        json!(names),
        json!([
            ["incident.triggered", "triggered"],
            ["incident.acknowledged", "acknowledged"]
        ])
    );
}

#[test]
fn notes_have_ids_limits_and_can_be_trimmed() {
    let mut account = with(Behaviour {
        note_trim_chars: Some(4),
        ..Behaviour::default()
    });
    let id = account.incident();
    let reply = account.note(&id, "looking at it");
    let note = reply.body_json()["note"].clone();
    assert_eq!((reply.status, &note["user"]["id"]), (200, &json!(BOT)));
    let event = account.webhooks().remove(0);
    assert_eq!(
        (&event["data"]["id"], &event["data"]["content"]),
        (&note["id"], &json!("look"))
    );
    assert_eq!(
        (&event["data"]["trimmed"], &event["data"]["incident"]["id"]),
        (&json!(true), &json!(id))
    );
    assert_eq!(
        account.get(&format!("/incidents/{id}/notes"))["notes"][0]["content"],
        "looking at it"
    );
    assert_eq!(
        error_of(&account.note(&id, &"é".repeat(32_768))),
        (400, 2001)
    );
    assert_eq!(account.note(&id, &"é".repeat(32_767)).status, 200);
    let path = format!("/incidents/{id}/notes/{}", note["id"].as_str().unwrap());
    let edited =
        account.send(Request::new("PUT", &path).json(&json!({"note": {"content": "fixed"}})));
    assert_eq!(edited.body_json()["note"]["content"], "fixed");
    assert_eq!(account.send(Request::new("DELETE", &path)).status, 204);
    assert_eq!(account.send(Request::new("DELETE", &path)).status, 404);
    for _ in 0..1_999 {
        account.model.human_adds_note(&id, ADA, "x");
    }
    assert_eq!(account.note(&id, "one too many").status, 400);
}

#[test]
fn people_post_webhooks_under_their_ids() {
    let mut account = account();
    let (id, other) = (
        account.incident(),
        account.model.human_triggers("theirs", ADA),
    );
    let model = &mut account.model;
    assert_eq!(
        model
            .incident(&other)
            .unwrap()
            .incident_key
            .as_ref()
            .unwrap()
            .len(),
        32
    );
    assert!(model.human_acknowledges(&id, ADA) && !model.human_acknowledges(&id, ADA));
    assert!(model.human_unacknowledges(&id, ADA));
    assert!(model.human_escalates(&id, ADA) && model.human_reassigns(&id, ADA, "PUSR002"));
    assert!(
        model.human_updates_priority(&id, ADA, "P2")
            && !model.human_updates_priority(&id, ADA, "P9")
    );
    assert!(!model.human_adds_note(&id, ADA, "looking").is_empty());
    assert!(model.silently(|model| model.human_acknowledges(&id, ADA)));
    assert!(model.human_resolves(&id, ADA, Some("replaced")) && model.human_reopens(&id, ADA));
    assert!(model.human_merges(&id, &other, ADA) && !model.human_resolves(&id, ADA, None));
    let hooks: Vec<_> = account
        .webhooks()
        .into_iter()
        .filter(|event| event.to_string().contains(&id))
        .collect();
    let names: Vec<_> = hooks
        .iter()
        .map(|event| event["event_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "incident.acknowledged",
            "incident.unacknowledged",
            "incident.escalated",
            "incident.reassigned",
            "incident.priority_updated",
            "incident.annotated",
            "incident.resolved",
            "incident.annotated",
            "incident.reopened",
            "incident.resolved",
        ]
    );
    assert!(hooks.iter().all(|event| event["agent"]["id"] == ADA));
    assert_eq!(hooks[7]["data"]["content"], "Resolution Note: replaced");
    assert_eq!(
        hooks[9]["data"]["resolve_reason"]["incident"]["id"],
        json!(other)
    );
    assert_eq!(
        account.model.incident(&id).unwrap().resolve_reason,
        Some(other)
    );
}

#[test]
fn an_acknowledgement_times_out_with_nobody_or_the_service() {
    let mut account = Account::new(Options {
        ack_timeout_ms: Some(60_000),
        ..Options::default()
    });
    let id = account.incident();
    account.model.human_acknowledges(&id, ADA);
    account.webhooks();
    let pending =
        account.get(&format!("/incidents/{id}"))["incident"]["pending_actions"][0].clone();
    assert_eq!(pending["type"], "unacknowledge");
    account.wait(60_000);
    let event = account.webhooks().remove(0);
    assert_eq!(
        (&event["event_type"], &event["agent"]),
        (&json!("incident.unacknowledged"), &json!(null))
    );
    account.model.behaviour.ack_timeout_agent = AckTimeoutAgent::Service;
    account.model.human_acknowledges(&id, ADA);
    account.model.ack_times_out(&id);
    assert_eq!(account.webhooks()[1]["agent"]["type"], "service_reference");
}

#[test]
fn three_dropped_webhooks_switch_the_subscription_off() {
    let mut account = account();
    let id = account.incident();
    for number in 0..4 {
        account
            .model
            .human_adds_note(&id, ADA, &format!("note {number}"));
    }
    for _ in 0..3 {
        let delivery = account.model.take_webhooks(account.now_ms).remove(0);
        account
            .model
            .webhook_answered(delivery.id, account.now_ms, Answer::Status(403));
    }
    assert!(
        account.model.is_subscription_disabled() && account.model.is_quiet(),
        "the queue is gone too"
    );
    account.model.human_adds_note(&id, ADA, "lost");
    assert!(account.webhooks().is_empty());
    let listed = account.get("/webhook_subscriptions?filter_type=service&filter_id=PSVC001");
    assert_eq!(
        listed["webhook_subscriptions"][0]["delivery_method"]["temporarily_disabled"],
        true
    );
    assert_eq!(
        account
            .send(Request::new(
                "POST",
                "/webhook_subscriptions/PWHS001/enable"
            ))
            .status,
        200
    );
    account.model.human_adds_note(&id, ADA, "heard");
    assert_eq!(account.events(), ["incident.annotated"]);
}

#[test]
fn a_retry_keeps_its_webhook_id() {
    let mut account = account();
    account.model.pings();
    let first = account.model.take_webhooks(START).remove(0);
    account
        .model
        .webhook_answered(first.id, START, Answer::NoAnswer);
    let again = account
        .model
        .take_webhooks(account.model.next_wake().unwrap())
        .remove(0);
    assert_eq!(
        (again.header("x-webhook-id"), again.attempt),
        (first.header("x-webhook-id"), 2)
    );
    assert_eq!(
        (
            again.body_json()["event"]["event_type"].clone(),
            again.timeout_ms
        ),
        (json!("pagey.ping"), 5_000)
    );
}

#[test]
fn subscriptions_of_ones_own_have_a_secret_shown_once() {
    let mut account = account();
    let wanted = json!({"webhook_subscription": {
        "type": "webhook_subscription",
        "delivery_method": {
            "type": "http_delivery_method",
            "url": "https://x.test/pd",
            "custom_headers": [{"name": "X-Key", "value": "v"}],
        },
        "events": ["incident.annotated"],
        "filter": {"type": "service_reference", "id": "PSVC001"},
    }});
    let create = || Request::new("POST", "/webhook_subscriptions").json(&wanted);
    let made = account.send(create()).body_json()["webhook_subscription"].clone();
    assert_eq!(
        made["delivery_method"]["secret"].as_str().unwrap().len(),
        64
    );
    let path = format!("/webhook_subscriptions/{}", made["id"].as_str().unwrap());
    let read = account.get(&path)["webhook_subscription"]["delivery_method"].clone();
    assert_eq!(
        (&read["secret"], &read["custom_headers"][0]["value"]),
        (&json!(null), &json!("-- redacted --"))
    );
    let id = account.create("k").body_json()["incident"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    account.note(&id, "n");
    let own: Vec<_> = account
        .deliveries()
        .into_iter()
        .filter(|delivery| delivery.url.is_some())
        .collect();
    assert_eq!((own.len(), own[0].header("x-key")), (1, Some("v")));
    assert_eq!(
        account
            .send(Request::new("POST", &format!("{path}/ping")))
            .status,
        202
    );
    assert_eq!(account.events(), ["pagey.ping"]);
    for _ in 0..8 {
        assert_eq!(account.send(create()).status, 200);
    }
    assert_eq!(error_of(&account.send(create())), (400, 2019));
    let put = Request::new("PUT", &path).json(&json!({"webhook_subscription": {"active": false}}));
    assert_eq!(
        account.send(put).body_json()["webhook_subscription"]["active"],
        false
    );
    assert_eq!(account.send(Request::new("DELETE", &path)).status, 204);
    assert_eq!(account.send(Request::new("GET", &path)).status, 404);
}

#[test]
fn secrets_and_key_order_vary_by_switch() {
    let secrets = vec!["one".to_owned(), "two".to_owned()];
    let behaviour = Behaviour {
        shuffle_keys: true,
        agent_of_rest_writes: RestAgent::Null,
        ..Behaviour::default()
    };
    let mut account = Account::new(Options {
        webhook_secrets: secrets,
        behaviour,
        ..Options::default()
    });
    account.create("k");
    let delivery = account.deliveries().remove(0);
    assert_eq!(
        delivery
            .header("x-pagerduty-signature")
            .unwrap()
            .matches("v1=")
            .count(),
        2
    );
    assert_eq!(delivery.body_json()["event"]["agent"], json!(null));
}

#[test]
fn users_services_priorities_and_abilities_can_be_read() {
    let mut account = account();
    let found = account.get("/users?query=BOT@acme");
    assert_eq!(
        (
            &found["users"][0]["id"],
            found["users"].as_array().unwrap().len()
        ),
        (&json!(BOT), 1)
    );
    assert_eq!(
        account.get("/users/PUSR001")["user"]["email"],
        "ada@acme.test"
    );
    assert_eq!(
        account.get("/services/PSVC001")["service"]["type"],
        "service"
    );
    assert_eq!(account.get("/priorities")["priorities"][1]["name"], "P2");
    assert!(account.get("/abilities")["abilities"].is_array());
    account.model.behaviour.users_lookup = UsersLookup::Forbidden;
    assert_eq!(
        error_of(&account.send(Request::new("GET", "/users"))),
        (403, 2010)
    );
    let mut poor = Account::new(Options {
        priorities: Vec::new(),
        ..Options::default()
    });
    assert_eq!(poor.send(Request::new("GET", "/priorities")).status, 402);
}

#[test]
fn reads_lag_and_answers_to_writes_do_not() {
    let mut account = with(Behaviour {
        read_lag_ms: 2_000,
        ..Behaviour::default()
    });
    let id = account.incident();
    let list = "/incidents?date_range=all&incident_key=opsgenie:1";
    assert_eq!(account.get(list)["incidents"], json!([]));
    account.wait(2_000);
    assert_eq!(
        account
            .put(&id, json!({"status": "acknowledged"}))
            .body_json()["incident"]["status"],
        "acknowledged"
    );
    account.note(&id, "n");
    assert_eq!(
        account.get(&format!("/incidents/{id}"))["incident"]["status"],
        "triggered"
    );
    assert_eq!(
        account.get(&format!("/incidents/{id}/notes"))["notes"],
        json!([])
    );
    account.wait(2_000);
    assert_eq!(account.get(list)["incidents"][0]["status"], "acknowledged");
}

#[test]
fn events_make_incidents_without_a_key() {
    let mut account = account();
    let event = |action: &str| {
        Request::new("POST", "/v2/enqueue").json(&json!({
            "routing_key": "R".repeat(32),
            "event_action": action,
            "dedup_key": "d1",
            "payload": {"summary": "down", "source": "crosspage", "severity": "critical"},
            "client": "crosspage",
            "client_url": "https://x.test",
        }))
    };
    for action in ["resolve", "trigger", "trigger", "resolve"] {
        assert_eq!(account.model.handle(START, event(action)).status, 202);
    }
    assert_eq!(account.model.incidents().len(), 1);
    assert_eq!(account.model.events_pages().len(), 4);
    assert_eq!(account.model.events_pages()[0].incident_id, None);
    let hooks = account.webhooks();
    assert_eq!(hooks[0]["agent"]["type"], "inbound_integration_reference");
    assert_eq!(
        (
            &hooks[0]["client"]["name"],
            &hooks[0]["data"]["incident_key"]
        ),
        (&json!("crosspage"), &json!(null))
    );
    let mut short = event("trigger");
    short.body = b"{\"routing_key\":\"R\"}".to_vec();
    assert_eq!(account.model.handle(START, short).status, 400);
}

#[test]
fn merging_and_bulk_updates_work_over_rest() {
    let mut account = account();
    let id = account.incident();
    let other = account.create("opsgenie:2").body_json()["incident"]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let ack = |id: &str| json!({"id": id, "type": "incident_reference", "status": "acknowledged"});
    let half = json!({"incidents": [ack(&id), ack("QNONE")]});
    assert_eq!(
        account
            .send(Request::new("PUT", "/incidents").json(&half))
            .status,
        404
    );
    assert_eq!(account.status(&id), "triggered", "all or nothing");
    let both = json!({"incidents": [ack(&id), ack(&other)]});
    assert_eq!(
        account
            .send(Request::new("PUT", "/incidents").json(&both))
            .status,
        200
    );
    account.webhooks();
    let sources = json!({"source_incidents": [{"id": id, "type": "incident_reference"}]});
    let merged =
        account.send(Request::new("PUT", &format!("/incidents/{other}/merge")).json(&sources));
    assert_eq!(merged.body_json()["incident"]["id"], json!(other));
    assert_eq!(
        account.webhooks()[0]["data"]["resolve_reason"]["type"],
        "merge_resolve_reason"
    );
    let log = account.get(&format!("/incidents/{id}/log_entries"));
    assert_eq!(log["log_entries"][0]["type"], "resolve_log_entry");
    assert_eq!(
        account.get(&format!("/incidents/{id}/alerts"))["alerts"],
        json!([])
    );
}

#[test]
fn throttling_comes_with_and_without_headers() {
    let mut account = account();
    account.model.faults.once(
        "",
        "/incidents",
        Fault::Throttle {
            with_headers: true,
            reset_s: 9,
        },
    );
    account.model.faults.once(
        "",
        "/incidents",
        Fault::Throttle {
            with_headers: false,
            reset_s: 9,
        },
    );
    let (with_headers, without) = (account.create("k"), account.create("k"));
    assert_eq!(error_of(&with_headers), (429, 2020));
    assert_eq!(with_headers.header("ratelimit-reset"), Some("9"));
    assert_eq!(
        (
            without.status,
            without.header("ratelimit-reset"),
            without.body.len()
        ),
        (429, None, 0)
    );
    assert_eq!(
        account.model.writes()[0].header("from"),
        Some("bot@acme.test")
    );
    assert!(account.model.incidents().is_empty());
}
