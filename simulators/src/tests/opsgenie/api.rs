//! Requests: authentication, limits, processing, reads.

use serde_json::{Value, json};

use super::{Account, START, account};
use crate::Request;
use crate::opsgenie::{Behaviour, KeyKind, NewAlert, Opsgenie, Options};

#[test]
fn a_create_is_accepted_first_and_processed_later() {
    let mut account = account();
    let reply = account.send(Request::new("POST", "/v2/alerts").json(&json!({"message": "disk full"})));
    let body = reply.body_json();
    assert_eq!((reply.status, &body["result"]), (202, &json!("Request will be processed")));
    assert_eq!(account.model.next_wake(), Some(START + 20));
    let status = format!("/v2/alerts/requests/{}", body["requestId"].as_str().unwrap());
    let reply = account.send(Request::new("GET", &status));
    assert_eq!((reply.status, reply.header("x-opsgenie-errortype")), (404, Some("RequestNotProcessed")));
    assert!(!account.model.is_quiet());
    account.wait(20);
    let data = account.get(&status)["data"].clone();
    assert_eq!((&data["isSuccess"], &data["status"]), (&json!(true), &json!("Created alert")));
    let id = data["alertId"].as_str().unwrap().to_owned();
    let alert = account.get(&format!("/v2/alerts/{id}"))["data"].clone();
    assert_eq!((&alert["message"], &alert["status"]), (&json!("disk full"), &json!("open")));
    assert_eq!((&alert["priority"], &alert["alias"]), (&json!("P3"), &json!(id)));
    let unknown = account.send(Request::new("GET", "/v2/alerts/requests/nonsense"));
    assert_eq!((unknown.status, unknown.header("x-opsgenie-errortype")), (404, None));
}

#[test]
fn held_requests_are_processed_when_they_are_released() {
    let mut account = account();
    account.model.behaviour.hold_processing = true;
    account.send(Request::new("POST", "/v2/alerts").json(&json!({"message": "disk full"})));
    account.wait(60_000);
    assert_eq!((account.model.alerts().len(), account.model.is_quiet()), (0, false));
    assert_eq!(account.model.next_wake(), None, "or whoever waits for that moment would never rest");
    account.model.release_processing();
    assert_eq!(account.model.alerts().len(), 1);
}

#[test]
fn keys_are_checked_for_shape_and_then_for_truth() {
    let mut account = account();
    for (value, status) in [
        ("GenieKey nonsense", 422),
        ("GenieKey 00000000-0000-4000-8000-000000000000", 401),
        ("Bearer 3f0e7a52-8c1d-4b6e-9a47-d2c5b8e01f36", 401),
    ] {
        let request = Request::new("GET", "/v2/alerts").header("authorization", value);
        assert_eq!(account.model.handle(START, request).status, status, "{value}");
    }
    assert_eq!(account.model.handle(START, Request::new("GET", "/v2/alerts")).status, 401);
}

#[test]
fn what_is_too_long_or_of_the_wrong_type_is_refused() {
    let mut account = account();
    for (body, field) in [
        (json!({}), "message"),
        (json!({"message": "é".repeat(131)}), "message"),
        (json!({"message": "a", "alias": "b".repeat(513)}), "alias"),
        (json!({"message": "a", "priority": "P6"}), "priority"),
        (json!({"message": "a", "details": {"nested": {}}}), "details"),
        (json!({"message": "a", "tags": vec!["t"; 21]}), "tags"),
        (json!({"message": "a", "user": "u".repeat(101)}), "user"),
        (json!({"message": "a", "note": "n".repeat(25_001)}), "note"),
    ] {
        let reply = account.send(Request::new("POST", "/v2/alerts").json(&body));
        assert_eq!(reply.status, 422, "{body}");
        assert!(reply.body_json()["errors"][field].is_string(), "{}", reply.body_json());
    }
    assert_eq!(account.send(Request::new("POST", "/v2/alerts").json(&json!({"message": "é".repeat(130)}))).status, 202);
    let mut request = Request::new("POST", "/v2/alerts");
    request.body = b"{".to_vec();
    assert_eq!(account.send(request).status, 400);
}

#[test]
fn one_open_alert_an_alias_and_a_new_one_after_close() {
    let mut account = account();
    let create = json!({"message": "disk", "alias": "a/b"});
    let first = account.post("/v2/alerts", create.clone())["alertId"].clone();
    assert_eq!(account.post("/v2/alerts", create.clone())["alertId"], first);
    assert_eq!(account.model.alerts()[0].count, 2);
    assert_eq!(account.actions(), ["Create"]);
    let closed = account.post("/v2/alerts/a%2Fb/close?identifierType=alias", json!({"user": "crosspage"}));
    assert_eq!((&closed["alertId"], &closed["status"]), (&first, &json!("Closed alert")));
    let again = account.post("/v2/alerts/a%2Fb/close?identifierType=alias", json!({}));
    assert_eq!(again["status"], "There is no open alert with alias [a/b].");
    assert_eq!(again["isSuccess"], false);
    assert_ne!(account.post("/v2/alerts", create)["alertId"], first);
}

#[test]
fn actions_on_a_missing_alert_are_accepted_and_end_badly() {
    let mut account = account();
    let ended = account.post("/v2/alerts/nobody/acknowledge", json!({}));
    assert_eq!((&ended["isSuccess"], &ended["status"]), (&json!(false), &json!("Alert does not exist")));
    assert_eq!((&ended["success"], &ended["alertId"]), (&json!(false), &json!("")));
    assert_eq!(account.send(Request::new("GET", "/v2/alerts/nobody")).status, 404);
}

#[test]
fn lists_are_searched_sorted_and_paged() {
    let mut account = account();
    for number in 0..5 {
        account.model.human_creates(NewAlert::titled(&format!("alert {number}")));
        account.wait(1_000);
    }
    let first = account.model.alert_ids()[0].clone();
    account.model.human_closes(&first, "ada", None);
    let page = account.get("/v2/alerts?query=status%3A%20open&limit=3&order=asc");
    assert_eq!(page["data"].as_array().unwrap().len(), 3);
    assert_eq!(page["data"][0]["message"], "alert 1");
    let next = page["paging"]["next"].as_str().unwrap();
    let rest = account.get(next.split_once(".com").unwrap().1);
    assert_eq!((rest["data"].as_array().unwrap().len(), rest["paging"].get("next")), (1, None));
    let since = START + 2_500;
    assert_eq!(account.get(&format!("/v2/alerts/count?query=createdAt+%3E+{since}"))["data"]["count"], 2);
    assert_eq!(account.send(Request::new("GET", "/v2/alerts?query=owner%3A+me")).status, 422);
    assert_eq!(account.send(Request::new("GET", "/v2/alerts?limit=101")).status, 422);
}

#[test]
fn notes_have_no_id_and_are_paged_by_an_opaque_offset() {
    let mut account = account();
    let id = account.model.human_creates(NewAlert::titled("disk"));
    for number in 0..5 {
        account.model.human_adds_note(&id, "ada", &format!("note {number}"));
    }
    let page = account.get(&format!("/v2/alerts/{id}/notes?limit=3"));
    let texts = |page: &Value| -> Vec<_> {
        page["data"].as_array().unwrap().iter().map(|note| note["note"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(texts(&page), ["note 4", "note 3", "note 2"]);
    assert!(page["data"][0].get("id").is_none());
    let next = page["paging"]["next"].as_str().unwrap().split_once(".com").unwrap().1.to_owned();
    let rest = account.get(&next);
    assert_eq!((texts(&rest), rest["paging"].get("next")), (vec!["note 1".to_owned(), "note 0".to_owned()], None));
    assert_eq!(texts(&account.get(&format!("/v2/alerts/{id}/notes?order=asc")))[0], "note 0");
    assert_eq!(account.get(&format!("/v2/alerts/{id}/logs"))["data"].as_array().unwrap().len(), 6);
}

#[test]
fn reads_can_lag() {
    let mut account = Account::new(Behaviour { read_lag_ms: 1_000, ..Behaviour::default() });
    let id = account.model.human_creates(NewAlert::titled("disk"));
    let path = format!("/v2/alerts/{id}");
    assert_eq!(account.send(Request::new("GET", &path)).status, 404);
    account.wait(1_000);
    account.model.human_acknowledges(&id, "ada");
    assert_eq!(account.get(&path)["data"]["acknowledged"], false);
    account.wait(1_000);
    assert_eq!(account.get(&path)["data"]["acknowledged"], true);
}

#[test]
fn other_writes_of_the_api_have_their_effect() {
    let mut account = account();
    let id = account.model.human_creates(NewAlert::titled("disk"));
    let path = |rest: &str| format!("/v2/alerts/{id}/{rest}");
    assert_eq!(account.post(&path("snooze"), json!({"endTime": "2026-01-01T00:00:00Z"}))["isSuccess"], true);
    assert_eq!(account.post(&path("assign"), json!({"owner": {"username": "bob"}}))["action"], "AssignOwnership");
    account.post(&path("tags"), json!({"tags": ["x"]}));
    account.post(&path("details"), json!({"details": {"k": "v"}}));
    account.post(&path("escalate"), json!({"escalation": {"name": "dba"}}));
    for (field, value) in [("priority", "P1"), ("message", "new"), ("description", "long")] {
        let reply = account.send(Request::new("PUT", &path(field)).json(&json!({field: value})));
        assert_eq!(reply.status, 202);
    }
    account.wait(50);
    let alert = account.model.alert(&id).unwrap().clone();
    assert_eq!((alert.owner.as_str(), alert.priority.as_str(), alert.message.as_str()), ("bob", "P1", "new"));
    assert_eq!((alert.tags, alert.details["k"].as_str()), (vec!["x".to_owned()], "v"));
    assert_eq!(account.get(&format!("/v2/alerts/{}?identifierType=tiny", alert.tiny_id))["data"]["snoozed"], true);
    assert_eq!(account.send(Request::new("DELETE", &format!("/v2/alerts/{id}?user=crosspage"))).status, 202);
    account.wait(50);
    assert!(account.model.alert(&id).is_none());
}

#[test]
fn a_key_may_do_what_its_kind_may() {
    // What each may: create, acknowledge what is not there, un-acknowledge, count.
    let table = [
        (KeyKind::Integration, [202, 202, 202, 200]),
        (KeyKind::ReadOnly, [403, 403, 403, 200]),
        (KeyKind::WriteOnly, [202, 202, 202, 403]),
        (KeyKind::Settings, [403, 403, 202, 200]),
    ];
    for (key_kind, expected) in table {
        let mut account = account();
        account.model = Opsgenie::new(Options { key_kind, ..Options::default() });
        let create = Request::new("POST", "/v2/alerts").json(&json!({"message": "disk full"}));
        let act = |action| Request::new("POST", &format!("/v2/alerts/none/{action}")).json(&json!({}));
        let calls = [create, act("acknowledge"), act("unacknowledge"), Request::new("GET", "/v2/alerts/count")];
        let replies = calls.map(|call| account.send(call));
        assert_eq!(replies.each_ref().map(|reply| reply.status), expected, "{key_kind:?}");
        for reply in replies.iter().filter(|reply| reply.status == 403) {
            assert_eq!(reply.body_json()["code"], 40301);
        }
    }
}

#[test]
fn the_date_is_told_by_the_accounts_own_clock() {
    for (clock_ahead_ms, expected) in
        [(0, "Thu, 20 Nov 2025 00:53:20 GMT"), (-3_600_000, "Wed, 19 Nov 2025 23:53:20 GMT")]
    {
        let mut account = account();
        account.model = Opsgenie::new(Options { clock_ahead_ms, ..Options::default() });
        assert_eq!(account.send(Request::new("GET", "/v2/alerts/count")).header("date"), Some(expected));
    }
}
