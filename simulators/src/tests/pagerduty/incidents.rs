//! Incidents over REST.

use serde_json::json;

use super::{ADA, Account, BOT, START, account, error_of, new_incident};
use crate::Request;
use crate::pagerduty::{KeyKind, Options, Taken, UnackEvents};

#[test]
fn a_create_answers_at_once_and_posts_a_signed_webhook() {
    let mut account = account();
    let reply = account.create("opsgenie:1");
    let incident = reply.body_json()["incident"].clone();
    assert_eq!((reply.status, &incident["status"]), (201, &json!("triggered")));
    assert_eq!(incident["priority"]["name"], "P1");
    let delivery = account.deliveries().remove(0);
    let event = delivery.body_json()["event"].clone();
    assert_eq!((&event["event_type"], &event["data"]["id"]), (&json!("incident.triggered"), &incident["id"]));
    assert_eq!((&event["agent"]["id"], &event["agent"]["type"]), (&json!(BOT), &json!("user_reference")));
    assert_eq!((&event["client"], &event["data"]["incident_key"]), (&json!(null), &json!("opsgenie:1")));
    assert_eq!(delivery.header("user-agent"), Some("PagerDuty-Webhook/V3.0"));
    assert_eq!(delivery.header("x-webhook-subscription"), Some("PWHS001"));
    assert_eq!(delivery.header("x-pagerduty-signature").unwrap().len(), 67);
    assert!(!String::from_utf8(delivery.body).unwrap().contains("\": "), "compact");
    let id = incident["id"].as_str().unwrap();
    assert!(account.get(&format!("/incidents/{id}"))["incident"].get("body").is_none());
    assert_eq!(account.get(&format!("/incidents/{id}?include[]=body"))["incident"]["body"]["details"], "text");
}

#[test]
fn key_and_requester_are_checked() {
    let mut account = account();
    let anonymous = account.model.handle(START, Request::new("GET", "/incidents"));
    assert_eq!(error_of(&anonymous), (401, 2006));
    let key = format!("Token token={}", Options::default().api_key);
    let request = || Request::new("POST", "/incidents").header("authorization", &key).json(&new_incident("k"));
    assert_eq!(error_of(&account.model.handle(START, request())), (400, 2016));
    assert_eq!(error_of(&account.model.handle(START, request().header("from", "who@acme.test"))), (400, 1008));
    assert_eq!(account.send(Request::new("GET", "/users/me")).status, 400);
    let mut personal = Account::new(Options { key_kind: KeyKind::User, ..Options::default() });
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
    assert_eq!(account.get(path)["incidents"], json!([]), "older than a month");
    let all = account.get(&format!("{path}&date_range=all"));
    assert_eq!(all["incidents"].as_array().unwrap().len(), 2);
    let open = account.get(&format!("{path}&date_range=all&statuses[]=triggered&statuses[]=acknowledged"));
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
        assert_eq!(error_of(&account.send(Request::new("POST", "/incidents").json(&body))), (400, 2001), "{body}");
    }
    let mut odd = new_incident("k");
    odd["incident"]["priority"]["id"] = json!("PNONE");
    assert_eq!(error_of(&account.send(Request::new("POST", "/incidents").json(&odd))), (400, 1020));
    assert_eq!(account.send(Request::new("GET", "/incidents?offset=9990&limit=11")).status, 400);
    assert_eq!(account.send(Request::new("GET", "/incidents?statuses[]=open")).status, 400);
    assert_eq!(error_of(&account.send(Request::new("GET", "/incidents/QNONE"))), (404, 2100));
    let many: Vec<_> = (0..251).map(|_| json!({"id": "Q", "type": "incident"})).collect();
    assert_eq!(account.send(Request::new("PUT", "/incidents").json(&json!({"incidents": many}))).status, 413);
}

#[test]
fn a_late_acknowledge_reopens() {
    let mut account = account();
    let id = account.incident();
    assert_eq!(account.put(&id, json!({"status": "acknowledged"})).status, 200);
    assert_eq!(account.put(&id, json!({"status": "resolved"})).body_json()["incident"]["assignments"], json!([]));
    assert_eq!(account.events(), ["incident.acknowledged", "incident.resolved"]);
    account.put(&id, json!({"status": "acknowledged"}));
    assert_eq!(account.events(), ["incident.reopened", "incident.acknowledged"]);
    assert_eq!(account.model.incident(&id).unwrap().assignees, [BOT]);
    account.put(&id, json!({"status": "resolved"}));
    account.put(&id, json!({"status": "triggered"}));
    assert_eq!(account.events(), ["incident.resolved", "incident.reopened"]);
    assert_eq!(account.status(&id), "triggered");
    assert_eq!(account.create("opsgenie:1").status, 400, "the key is taken again");
}

#[test]
fn repetitions_are_accepted_or_refused_by_switch() {
    let mut account = account();
    let id = account.incident();
    for status in ["acknowledged", "acknowledged", "resolved", "resolved"] {
        assert_eq!(account.put(&id, json!({"status": status})).status, 200);
    }
    assert_eq!(account.events(), ["incident.acknowledged", "incident.resolved"]);
    account.model.behaviour.resolve_again = Taken::Refused;
    account.model.behaviour.reack = Taken::Refused;
    assert_eq!(error_of(&account.put(&id, json!({"status": "resolved"}))), (400, 1001));
    account.put(&id, json!({"status": "acknowledged"}));
    assert_eq!(error_of(&account.put(&id, json!({"status": "acknowledged"}))), (400, 1002));
}

#[test]
fn un_acknowledging_goes_by_level_urgency_or_snooze() {
    let mut account = account();
    let id = account.incident();
    for (events, expected) in [
        (UnackEvents::Unacknowledged, vec!["incident.unacknowledged"]),
        (UnackEvents::Escalated, vec!["incident.escalated"]),
        (UnackEvents::Both, vec!["incident.unacknowledged", "incident.escalated"]),
    ] {
        account.model.behaviour.unack_events = events;
        account.put(&id, json!({"status": "acknowledged"}));
        assert_eq!(account.put(&id, json!({"status": "triggered"})).body_json()["incident"]["status"], "acknowledged");
        account.webhooks();
        account.put(&id, json!({"escalation_level": 1}));
        let hooks = account.webhooks();
        assert!(hooks.iter().all(|event| event["data"]["status"] == "triggered"));
        let names: Vec<_> = hooks.iter().map(|event| event["event_type"].as_str().unwrap()).collect();
        assert_eq!(names, expected);
    }
    account.put(&id, json!({"status": "acknowledged", "urgency": "low"}));
    account.put(&id, json!({"urgency": "high"}));
    assert_eq!(account.events(), ["incident.acknowledged", "incident.unacknowledged"]);
    let snooze =
        |seconds: i64| Request::new("POST", &format!("/incidents/{id}/snooze")).json(&json!({"duration": seconds}));
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
    let names: Vec<_> =
        hooks.iter().map(|event| (event["event_type"].clone(), event["data"]["status"].clone())).collect();
    assert_eq!(json!(names), json!([["incident.triggered", "triggered"], ["incident.acknowledged", "acknowledged"]]));
}

#[test]
fn reassigning_puts_back_to_triggered_and_needs_an_open_incident() {
    let mut account = account();
    let id = account.incident();
    account.put(&id, json!({"status": "acknowledged"}));
    account.webhooks();
    let to_ada = json!({"assignments": [{"assignee": {"id": ADA, "type": "user_reference"}}]});
    assert_eq!(account.put(&id, to_ada.clone()).body_json()["incident"]["status"], "triggered");
    assert_eq!(account.events(), ["incident.reassigned"]);
    account.put(&id, json!({"status": "resolved"}));
    assert_eq!(error_of(&account.put(&id, to_ada)), (400, 1001));
    assert_eq!(error_of(&account.put(&id, json!({"escalation_level": 1}))), (400, 1001));
}
