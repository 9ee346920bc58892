//! Notes, people, webhooks, subscriptions and the rest of the account.

use serde_json::json;

use super::{ADA, Account, BOT, START, account, error_of, with};
use crate::pagerduty::{AckTimeoutAgent, Behaviour, KeyAccess, Options, RestAgent, ServiceStatus, UsersLookup};
use crate::{Answer, Fault, Request};

#[test]
fn notes_have_ids_limits_and_can_be_trimmed() {
    let mut account = with(Behaviour { note_trim_chars: Some(4), ..Behaviour::default() });
    let id = account.incident();
    let reply = account.note(&id, "looking at it");
    let note = reply.body_json()["note"].clone();
    assert_eq!((reply.status, &note["user"]["id"]), (200, &json!(BOT)));
    let event = account.webhooks().remove(0);
    assert_eq!((&event["data"]["id"], &event["data"]["content"]), (&note["id"], &json!("look")));
    assert_eq!((&event["data"]["trimmed"], &event["data"]["incident"]["id"]), (&json!(true), &json!(id)));
    assert_eq!(account.get(&format!("/incidents/{id}/notes"))["notes"][0]["content"], "looking at it");
    assert_eq!(error_of(&account.note(&id, &"é".repeat(32_768))), (400, 2001));
    assert_eq!(account.note(&id, &"é".repeat(32_767)).status, 200);
    let path = format!("/incidents/{id}/notes/{}", note["id"].as_str().unwrap());
    let edited = account.send(Request::new("PUT", &path).json(&json!({"note": {"content": "fixed"}})));
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
    let (id, other) = (account.incident(), account.model.human_triggers("theirs", ADA));
    let model = &mut account.model;
    assert_eq!(model.incident(&other).unwrap().incident_key.as_ref().unwrap().len(), 32);
    assert!(model.human_acknowledges(&id, ADA) && !model.human_acknowledges(&id, ADA));
    assert!(model.human_unacknowledges(&id, ADA));
    assert!(model.human_escalates(&id, ADA) && model.human_reassigns(&id, ADA, "PUSR002"));
    assert!(model.human_updates_priority(&id, ADA, "P2") && !model.human_updates_priority(&id, ADA, "P9"));
    assert!(!model.human_adds_note(&id, ADA, "looking").is_empty());
    assert!(model.silently(|model| model.human_acknowledges(&id, ADA)));
    assert!(model.human_resolves(&id, ADA, Some("replaced")) && model.human_reopens(&id, ADA));
    assert!(model.human_merges(&id, &other, ADA) && !model.human_resolves(&id, ADA, None));
    let hooks: Vec<_> = account.webhooks().into_iter().filter(|event| event.to_string().contains(&id)).collect();
    let names: Vec<_> = hooks.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
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
    assert_eq!(hooks[9]["data"]["resolve_reason"]["incident"]["id"], json!(other));
    assert_eq!(account.model.incident(&id).unwrap().resolve_reason, Some(other));
}

#[test]
fn an_acknowledgement_times_out_with_nobody_or_the_service() {
    let mut account = Account::new(Options { ack_timeout_ms: Some(60_000), ..Options::default() });
    let id = account.incident();
    account.model.human_acknowledges(&id, ADA);
    account.webhooks();
    let pending = account.get(&format!("/incidents/{id}"))["incident"]["pending_actions"][0].clone();
    assert_eq!(pending["type"], "unacknowledge");
    account.wait(60_000);
    let event = account.webhooks().remove(0);
    assert_eq!((&event["event_type"], &event["agent"]), (&json!("incident.unacknowledged"), &json!(null)));
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
        account.model.human_adds_note(&id, ADA, &format!("note {number}"));
    }
    for _ in 0..3 {
        let delivery = account.model.take_webhooks(account.now_ms).remove(0);
        account.model.webhook_answered(delivery.id, account.now_ms, Answer::Status(403));
    }
    assert!(account.model.is_subscription_disabled() && account.model.is_quiet(), "the queue is gone too");
    account.model.human_adds_note(&id, ADA, "lost");
    assert!(account.webhooks().is_empty());
    let listed = account.get("/webhook_subscriptions?filter_type=service&filter_id=PSVC001");
    assert_eq!(listed["webhook_subscriptions"][0]["delivery_method"]["temporarily_disabled"], true);
    assert_eq!(account.send(Request::new("POST", "/webhook_subscriptions/PWHS001/enable")).status, 200);
    account.model.human_adds_note(&id, ADA, "heard");
    assert_eq!(account.events(), ["incident.annotated"]);
}

#[test]
fn a_retry_keeps_its_webhook_id() {
    let mut account = account();
    account.model.pings();
    let first = account.model.take_webhooks(START).remove(0);
    account.model.webhook_answered(first.id, START, Answer::NoAnswer);
    let again = account.model.take_webhooks(account.model.next_wake().unwrap()).remove(0);
    assert_eq!((again.header("x-webhook-id"), again.attempt), (first.header("x-webhook-id"), 2));
    assert_eq!((again.body_json()["event"]["event_type"].clone(), again.timeout_ms), (json!("pagey.ping"), 5_000));
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
    assert_eq!(made["delivery_method"]["secret"].as_str().unwrap().len(), 64);
    let path = format!("/webhook_subscriptions/{}", made["id"].as_str().unwrap());
    let read = account.get(&path)["webhook_subscription"]["delivery_method"].clone();
    assert_eq!((&read["secret"], &read["custom_headers"][0]["value"]), (&json!(null), &json!("-- redacted --")));
    let id = account.create("k").body_json()["incident"]["id"].as_str().unwrap().to_owned();
    account.note(&id, "n");
    let own: Vec<_> = account.deliveries().into_iter().filter(|delivery| delivery.url.is_some()).collect();
    assert_eq!((own.len(), own[0].header("x-key")), (1, Some("v")));
    assert_eq!(account.send(Request::new("POST", &format!("{path}/ping"))).status, 202);
    assert_eq!(account.events(), ["pagey.ping"]);
    for _ in 0..8 {
        assert_eq!(account.send(create()).status, 200);
    }
    assert_eq!(error_of(&account.send(create())), (400, 2019));
    let put = Request::new("PUT", &path).json(&json!({"webhook_subscription": {"active": false}}));
    assert_eq!(account.send(put).body_json()["webhook_subscription"]["active"], false);
    assert_eq!(account.send(Request::new("DELETE", &path)).status, 204);
    assert_eq!(account.send(Request::new("GET", &path)).status, 404);
}

#[test]
fn secrets_and_key_order_vary_by_switch() {
    let secrets = vec!["one".to_owned(), "two".to_owned()];
    let behaviour = Behaviour { shuffle_keys: true, agent_of_rest_writes: RestAgent::Null, ..Behaviour::default() };
    let mut account = Account::new(Options { webhook_secrets: secrets, behaviour, ..Options::default() });
    account.create("k");
    let delivery = account.deliveries().remove(0);
    assert_eq!(delivery.header("x-pagerduty-signature").unwrap().matches("v1=").count(), 2);
    assert_eq!(delivery.body_json()["event"]["agent"], json!(null));
}

#[test]
fn users_services_priorities_and_abilities_can_be_read() {
    let mut account = account();
    let found = account.get("/users?query=BOT@acme");
    assert_eq!((&found["users"][0]["id"], found["users"].as_array().unwrap().len()), (&json!(BOT), 1));
    assert_eq!(account.get("/users/PUSR001")["user"]["email"], "ada@acme.test");
    assert_eq!(account.get("/services/PSVC001")["service"]["type"], "service");
    assert_eq!(account.get("/priorities")["priorities"][1]["name"], "P2");
    assert!(account.get("/abilities")["abilities"].is_array());
    account.model.behaviour.users_lookup = UsersLookup::Forbidden;
    assert_eq!(error_of(&account.send(Request::new("GET", "/users"))), (403, 2010));
    let mut poor = Account::new(Options { priorities: Vec::new(), ..Options::default() });
    assert_eq!(poor.send(Request::new("GET", "/priorities")).status, 402);
}

#[test]
fn reads_lag_and_answers_to_writes_do_not() {
    let mut account = with(Behaviour { read_lag_ms: 2_000, ..Behaviour::default() });
    let id = account.incident();
    let list = "/incidents?date_range=all&incident_key=opsgenie:1";
    assert_eq!(account.get(list)["incidents"], json!([]));
    account.wait(2_000);
    assert_eq!(account.put(&id, json!({"status": "acknowledged"})).body_json()["incident"]["status"], "acknowledged");
    account.note(&id, "n");
    assert_eq!(account.get(&format!("/incidents/{id}"))["incident"]["status"], "triggered");
    assert_eq!(account.get(&format!("/incidents/{id}/notes"))["notes"], json!([]));
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
    assert_eq!((&hooks[0]["client"]["name"], &hooks[0]["data"]["incident_key"]), (&json!("crosspage"), &json!(null)));
    let mut short = event("trigger");
    short.body = b"{\"routing_key\":\"R\"}".to_vec();
    assert_eq!(account.model.handle(START, short).status, 400);
}

#[test]
fn merging_and_bulk_updates_work_over_rest() {
    let mut account = account();
    let id = account.incident();
    let other = account.create("opsgenie:2").body_json()["incident"]["id"].as_str().unwrap().to_owned();
    let ack = |id: &str| json!({"id": id, "type": "incident_reference", "status": "acknowledged"});
    let half = json!({"incidents": [ack(&id), ack("QNONE")]});
    assert_eq!(account.send(Request::new("PUT", "/incidents").json(&half)).status, 404);
    assert_eq!(account.status(&id), "triggered", "all or nothing");
    let both = json!({"incidents": [ack(&id), ack(&other)]});
    assert_eq!(account.send(Request::new("PUT", "/incidents").json(&both)).status, 200);
    account.webhooks();
    let sources = json!({"source_incidents": [{"id": id, "type": "incident_reference"}]});
    let merged = account.send(Request::new("PUT", &format!("/incidents/{other}/merge")).json(&sources));
    assert_eq!(merged.body_json()["incident"]["id"], json!(other));
    assert_eq!(account.webhooks()[0]["data"]["resolve_reason"]["type"], "merge_resolve_reason");
    let log = account.get(&format!("/incidents/{id}/log_entries"));
    assert_eq!(log["log_entries"][0]["type"], "resolve_log_entry");
    assert_eq!(account.get(&format!("/incidents/{id}/alerts"))["alerts"], json!([]));
}

#[test]
fn throttling_comes_with_and_without_headers() {
    let mut account = account();
    account.model.faults.once("", "/incidents", Fault::Throttle { with_headers: true, reset_s: 9 });
    account.model.faults.once("", "/incidents", Fault::Throttle { with_headers: false, reset_s: 9 });
    let (with_headers, without) = (account.create("k"), account.create("k"));
    assert_eq!(error_of(&with_headers), (429, 2020));
    assert_eq!(with_headers.header("ratelimit-reset"), Some("9"));
    assert_eq!((without.status, without.header("ratelimit-reset"), without.body.len()), (429, None, 0));
    assert_eq!(account.model.writes()[0].header("from"), Some("bot@acme.test"));
    assert!(account.model.incidents().is_empty());
}

#[test]
fn a_key_that_is_read_only_reads_only() {
    let mut account = Account::new(Options { key_access: KeyAccess::ReadOnly, ..Options::default() });
    assert_eq!(account.send(Request::new("GET", "/abilities")).status, 200);
    assert_eq!(account.create("opsgenie:1").status, 403);
    assert_eq!(account.put("none", json!({"status": "acknowledged"})).status, 403);
    assert!(account.model.incident_ids().is_empty());
}

#[test]
fn a_service_that_takes_no_incidents_says_so() {
    for (service_status, told) in [(ServiceStatus::Maintenance, "maintenance"), (ServiceStatus::Disabled, "disabled")] {
        let mut account = Account::new(Options {
            service_status,
            has_escalation_policy: false,
            auto_resolve_timeout_s: Some(60),
            ..Options::default()
        });
        let service = account.get("/services/PSVC001")["service"].clone();
        assert_eq!((&service["status"], &service["auto_resolve_timeout"]), (&json!(told), &json!(60)));
        assert!(service["escalation_policy"].is_null());
        assert_eq!(account.create("opsgenie:1").status, 400);
    }
}
