//! Webhooks, switches and faults.

use serde_json::json;

use super::{Account, START, account};
use crate::opsgenie::{Behaviour, NewAlert, Opsgenie, Options, UpdatedAtStyle};
use crate::{Connection, Fault, Flaky, Request};

#[test]
fn our_own_acknowledge_comes_back_with_our_marker() {
    let mut account = account();
    let id = account.model.human_creates(NewAlert::titled("disk"));
    account.webhooks();
    let marker = json!({"user": "crosspage", "source": "crosspage", "note": "taken"});
    account.post(&format!("/v2/alerts/{id}/acknowledge"), marker);
    let hooks = account.webhooks();
    assert_eq!(hooks.len(), 1);
    let body = &hooks[0];
    assert_eq!((&body["action"], &body["alert"]["note"]), (&json!("Acknowledge"), &json!("taken")));
    assert_eq!((&body["alert"]["username"], &body["alert"]["source"]), (&json!("crosspage"), &json!("jane@acme.test")));
    assert_eq!(body["source"], json!({"name": "crosspage", "type": "API"}));
    assert!(body["alert"]["tinyId"].is_string() && body["alert"]["createdAt"] == json!(START));
    assert!(body["alert"]["updatedAt"].as_i64().unwrap() > START * 1_000_000);
    assert_eq!(account.model.alert(&id).unwrap().notes[0].text, "taken");
}

#[test]
fn people_post_webhooks_under_their_names() {
    let mut account = account();
    let id = account.model.human_creates(NewAlert { tags: vec!["prod".to_owned()], ..NewAlert::titled("disk") });
    let (model, user) = (&mut account.model, "ada@acme.test");
    assert!(model.human_acknowledges(&id, user) && !model.human_acknowledges(&id, user));
    assert!(model.human_unacknowledges(&id, user));
    assert!(model.human_adds_note(&id, user, "looking"));
    assert!(model.human_updates_priority(&id, user, "P1"));
    assert!(model.human_takes_ownership(&id, user));
    assert!(model.human_assigns(&id, user, "bob@acme.test"));
    assert!(model.human_snoozes(&id, user, 60_000));
    assert!(model.human_escalates_to_next(&id, user));
    assert!(model.human_adds_tags(&id, user, &["a", "b"]));
    assert!(model.runs_custom_action(&id, user, "Restart service"));
    assert!(model.silently(|model| model.human_adds_note(&id, user, "unheard")));
    assert!(model.human_closes(&id, user, Some("done")));
    assert!(model.human_deletes(&id, user));
    let hooks = account.webhooks();
    let actions: Vec<_> = hooks.iter().map(|body| body["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "Create",
            "Acknowledge",
            "UnAcknowledge",
            "AddNote",
            "UpdatePriority",
            "TakeOwnership",
            "AssignOwnership",
            "Snooze",
            "EscalateToNext",
            "AddTags",
            "Restart service",
            "Close",
            "Delete",
        ]
    );
    let of = |action: &str| hooks.iter().find(|body| body["action"] == action).unwrap()["alert"].clone();
    assert_eq!((&of("AddNote")["note"], &of("AddNote")["username"]), (&json!("looking"), &json!(user)));
    assert_eq!((&of("UpdatePriority")["oldPriority"], &of("UpdatePriority")["priority"]), (&json!("P3"), &json!("P1")));
    assert_eq!((&of("AddTags")["addedTags"], &of("AddTags")["tags"]), (&json!("a,b"), &json!(["prod", "a", "b"])));
    assert_eq!((&of("Close")["note"], &of("AssignOwnership")["owner"]), (&json!("done"), &json!("bob@acme.test")));
    assert!(of("Delete").get("tags").is_none() && of("Acknowledge").get("description").is_none());
    assert!(hooks.windows(2).all(|two| two[0]["alert"]["updatedAt"].as_i64() < two[1]["alert"]["updatedAt"].as_i64()));
    assert!(account.model.alert(&id).is_none());
}

#[test]
fn switches_change_what_webhooks_look_like() {
    let mut account = Account::new(Behaviour {
        updated_at_style: UpdatedAtStyle::Missing,
        priority_as_integer: true,
        source_web_api_style: true,
        second_create_for_team: true,
        note_top_level: true,
        ack_with_note_sends_addnote_too: true,
        noop_ack_sends_webhook: true,
        ..Behaviour::default()
    });
    let id = account.model.human_creates(NewAlert::titled("disk"));
    let hooks = account.webhooks();
    assert_eq!(hooks.len(), 2);
    assert_eq!((&hooks[0]["source"]["type"], &hooks[0]["alert"]["priority"]), (&json!("API"), &json!(3)));
    assert!(hooks[0]["alert"].get("updatedAt").is_none());
    account.post(&format!("/v2/alerts/{id}/acknowledge"), json!({"note": "n"}));
    account.post(&format!("/v2/alerts/{id}/acknowledge"), json!({}));
    let hooks = account.webhooks();
    let actions: Vec<_> = hooks.iter().map(|body| body["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["Acknowledge", "AddNote", "Acknowledge"]);
    assert_eq!(hooks[1]["note"], "n");
}

#[test]
fn refusals_of_repeated_actions_are_switches() {
    let mut account = Account::new(Behaviour { reack_is_success: false, ..Behaviour::default() });
    let id = account.model.human_creates(NewAlert::titled("disk"));
    let ack = format!("/v2/alerts/{id}/acknowledge");
    assert_eq!(account.post(&ack, json!({}))["isSuccess"], true);
    assert_eq!(account.post(&ack, json!({}))["isSuccess"], false);
    account.model.human_closes(&id, "ada", None);
    assert_eq!(account.post(&ack, json!({}))["isSuccess"], false);
    account.model.behaviour.ack_closed_is_success = true;
    assert_eq!(account.post(&ack, json!({}))["isSuccess"], true);
    assert_eq!(account.model.alert(&id).unwrap().status, "closed");
}

#[test]
fn faults_come_before_or_after_the_effect() {
    let mut account = account();
    let create = || Request::new("POST", "/v2/alerts").json(&json!({"message": "disk"}));
    account.model.faults.status_script("POST", "/v2/alerts", &[500, 429, 202]);
    assert_eq!([account.send(create()).status, account.send(create()).status], [500, 429]);
    assert_eq!(account.send(create()).status, 202);
    account.model.faults.once("POST", "/v2/alerts", Fault::Throttle { with_headers: true, reset_s: 7 });
    let throttled = account.send(create());
    assert_eq!(throttled.header("x-ratelimit-period-in-sec"), Some("7"));
    assert_eq!(throttled.header("x-ratelimit-state"), Some("THROTTLED"));
    account.model.faults.once("POST", "/v2/alerts", Fault::ResetBefore);
    assert_eq!(account.send(create()).connection, Connection::Drop);
    account.wait(50);
    assert_eq!(account.model.alerts().len(), 1);
    account.model.faults.once("POST", "/v2/alerts", Fault::ResetAfter);
    assert_eq!(account.send(create()).connection, Connection::Drop);
    account.model.faults.once("POST", "/v2/alerts", Fault::StatusAfter(502));
    assert_eq!(account.send(create()).status, 502);
    account.wait(50);
    assert_eq!(account.model.alerts().len(), 3);
    account.model.faults.once("POST", "/v2/alerts", Fault::RequestFails("Integration is disabled.".to_owned()));
    assert_eq!(account.post("/v2/alerts", json!({"message": "m"}))["status"], "Integration is disabled.");
    assert_eq!(account.model.alerts().len(), 3);
    assert_eq!(account.model.writes().len(), 8);
    assert_eq!(account.model.writes()[4].status, 0);
}

#[test]
fn webhooks_can_be_lost_repeated_and_turned_around() {
    let mut account = account();
    account.model.faults.webhooks.lose_next = 1;
    let id = account.model.human_creates(NewAlert::titled("disk"));
    assert!(account.actions().is_empty());
    account.model.faults.webhooks.repeat_each = 1;
    account.model.human_acknowledges(&id, "ada");
    assert_eq!(account.actions(), ["Acknowledge", "Acknowledge"]);
    account.model.faults.webhooks.repeat_each = 0;
    account.model.faults.webhooks.hold = true;
    account.model.faults.webhooks.reverse_on_release = true;
    account.model.human_adds_note(&id, "ada", "one");
    account.model.human_closes(&id, "ada", None);
    assert!(account.actions().is_empty() && account.model.is_quiet());
    account.model.release_webhooks();
    assert_eq!(account.actions(), ["Close", "AddNote"]);
    assert_eq!(account.model.webhooks_sent().len(), 4);
}

#[test]
fn an_escalation_has_a_shape_of_its_own() {
    let options =
        Options { webhook_token: Some("s3cret".to_owned()), webhook_headers_echoed: true, ..Options::default() };
    let mut account = Account { model: Opsgenie::new(options), now_ms: START };
    let id = account.model.human_creates(NewAlert::titled("disk"));
    account.webhooks();
    account.model.escalation_fires(&id);
    let body = account.webhooks().remove(0);
    assert_eq!((&body["action"], &body["alert"]), (&json!("Escalate"), &json!({"alertId": id})));
    assert_eq!(body["headers"]["Authorization"], "Bearer s3cret");
    assert!(body.get("source").is_none());
}

#[test]
fn two_runs_of_one_seed_are_alike() {
    let run = || {
        let mut account = account();
        account.model.faults.flaky = Some(Flaky { seed: 3, one_in: 3 });
        for number in 0..30 {
            account.send(Request::new("POST", "/v2/alerts").json(&json!({"message": format!("m{number}")})));
            account.wait(10);
        }
        account.wait(50);
        (account.webhooks(), account.model.calls().to_vec())
    };
    assert_eq!(run(), run());
}
