//! The Opsgenie model under virtual time.

use serde_json::{Value, json};

use crate::opsgenie::{Behaviour, NewAlert, Opsgenie, Options, UpdatedAtStyle};
use crate::{Answer, Connection, Fault, Flaky, Reply, Request};

const START: i64 = 1_763_600_000_000;

/// An account at a moment, and a caller with the right key.
struct Account {
    model: Opsgenie,
    now_ms: i64,
}

impl Account {
    fn new(behaviour: Behaviour) -> Self {
        let mut model = Opsgenie::new(Options {
            behaviour,
            ..Options::default()
        });
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
        let key = format!("GenieKey {}", Options::default().api_key);
        self.model
            .handle(self.now_ms, request.header("Authorization", &key))
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
                self.model
                    .webhook_answered(delivery.id, self.now_ms, Answer::Status(200));
            }
        }
    }

    fn actions(&mut self) -> Vec<String> {
        self.webhooks()
            .iter()
            .map(|body| body["action"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn account() -> Account {
    Account::new(Behaviour::default())
}

#[test]
fn a_create_is_accepted_first_and_processed_later() {
    let mut account = account();
    let reply =
        account.send(Request::new("POST", "/v2/alerts").json(&json!({"message": "disk full"})));
    let body = reply.body_json();
    assert_eq!(
        (reply.status, &body["result"]),
        (202, &json!("Request will be processed"))
    );
    assert_eq!(account.model.next_wake(), Some(START + 20));
    let status = format!(
        "/v2/alerts/requests/{}",
        body["requestId"].as_str().unwrap()
    );
    let reply = account.send(Request::new("GET", &status));
    assert_eq!(
        (reply.status, reply.header("x-opsgenie-errortype")),
        (404, Some("RequestNotProcessed"))
    );
    assert!(!account.model.is_quiet());
    account.wait(20);
    let data = account.get(&status)["data"].clone();
    assert_eq!(
        (&data["isSuccess"], &data["status"]),
        (&json!(true), &json!("Created alert"))
    );
    let id = data["alertId"].as_str().unwrap().to_owned();
    let alert = account.get(&format!("/v2/alerts/{id}"))["data"].clone();
    assert_eq!(
        (&alert["message"], &alert["status"]),
        (&json!("disk full"), &json!("open"))
    );
    assert_eq!(
        (&alert["priority"], &alert["alias"]),
        (&json!("P3"), &json!(id))
    );
    let unknown = account.send(Request::new("GET", "/v2/alerts/requests/nonsense"));
    assert_eq!(
        (unknown.status, unknown.header("x-opsgenie-errortype")),
        (404, None)
    );
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
        assert_eq!(
            account.model.handle(START, request).status,
            status,
            "{value}"
        );
    }
    assert_eq!(
        account
            .model
            .handle(START, Request::new("GET", "/v2/alerts"))
            .status,
        401
    );
}

#[test]
fn what_is_too_long_or_of_the_wrong_type_is_refused() {
    let mut account = account();
    for (body, field) in [
        (json!({}), "message"),
        (json!({"message": "é".repeat(131)}), "message"),
        (json!({"message": "a", "alias": "b".repeat(513)}), "alias"),
        (json!({"message": "a", "priority": "P6"}), "priority"),
        (
            json!({"message": "a", "details": {"nested": {}}}),
            "details",
        ),
        (json!({"message": "a", "tags": vec!["t"; 21]}), "tags"),
        (json!({"message": "a", "user": "u".repeat(101)}), "user"),
        (json!({"message": "a", "note": "n".repeat(25_001)}), "note"),
    ] {
        let reply = account.send(Request::new("POST", "/v2/alerts").json(&body));
        assert_eq!(reply.status, 422, "{body}");
        assert!(
            reply.body_json()["errors"][field].is_string(),
            "{}",
            reply.body_json()
        );
    }
    assert_eq!(
        account
            .send(Request::new("POST", "/v2/alerts").json(&json!({"message": "é".repeat(130)})))
            .status,
        202
    );
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
    let closed = account.post(
        "/v2/alerts/a%2Fb/close?identifierType=alias",
        json!({"user": "crosspage"}),
    );
    assert_eq!(
        (&closed["alertId"], &closed["status"]),
        (&first, &json!("Closed alert"))
    );
    let again = account.post("/v2/alerts/a%2Fb/close?identifierType=alias", json!({}));
    assert_eq!(again["status"], "There is no open alert with alias [a/b].");
    assert_eq!(again["isSuccess"], false);
    assert_ne!(account.post("/v2/alerts", create)["alertId"], first);
}

#[test]
fn actions_on_a_missing_alert_are_accepted_and_end_badly() {
    let mut account = account();
    let ended = account.post("/v2/alerts/nobody/acknowledge", json!({}));
    assert_eq!(
        (&ended["isSuccess"], &ended["status"]),
        (&json!(false), &json!("Alert does not exist"))
    );
    assert_eq!(
        (&ended["success"], &ended["alertId"]),
        (&json!(false), &json!(""))
    );
    assert_eq!(
        account
            .send(Request::new("GET", "/v2/alerts/nobody"))
            .status,
        404
    );
}

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
    assert_eq!(
        (&body["action"], &body["alert"]["note"]),
        (&json!("Acknowledge"), &json!("taken"))
    );
    assert_eq!(
        (&body["alert"]["username"], &body["alert"]["source"]),
        (&json!("crosspage"), &json!("jane@acme.test"))
    );
    assert_eq!(body["source"], json!({"name": "crosspage", "type": "API"}));
    assert!(body["alert"]["tinyId"].is_string() && body["alert"]["createdAt"] == json!(START));
    assert!(body["alert"]["updatedAt"].as_i64().unwrap() > START * 1_000_000);
    assert_eq!(account.model.alert(&id).unwrap().notes[0].text, "taken");
}

#[test]
fn people_post_webhooks_under_their_names() {
    let mut account = account();
    let id = account.model.human_creates(NewAlert {
        tags: vec!["prod".to_owned()],
        ..NewAlert::titled("disk")
    });
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
    let actions: Vec<_> = hooks
        .iter()
        .map(|body| body["action"].as_str().unwrap())
        .collect();
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
    let of =
        |action: &str| hooks.iter().find(|body| body["action"] == action).unwrap()["alert"].clone();
    assert_eq!(
        (&of("AddNote")["note"], &of("AddNote")["username"]),
        (&json!("looking"), &json!(user))
    );
    assert_eq!(
        (
            &of("UpdatePriority")["oldPriority"],
            &of("UpdatePriority")["priority"]
        ),
        (&json!("P3"), &json!("P1"))
    );
    assert_eq!(
        (&of("AddTags")["addedTags"], &of("AddTags")["tags"]),
        (&json!("a,b"), &json!(["prod", "a", "b"]))
    );
    assert_eq!(
        (&of("Close")["note"], &of("AssignOwnership")["owner"]),
        (&json!("done"), &json!("bob@acme.test"))
    );
    assert!(of("Delete").get("tags").is_none() && of("Acknowledge").get("description").is_none());
    assert!(
        hooks.windows(2).all(
            |two| two[0]["alert"]["updatedAt"].as_i64() < two[1]["alert"]["updatedAt"].as_i64()
        )
    );
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
    assert_eq!(
        (&hooks[0]["source"]["type"], &hooks[0]["alert"]["priority"]),
        (&json!("API"), &json!(3))
    );
    assert!(hooks[0]["alert"].get("updatedAt").is_none());
    account.post(
        &format!("/v2/alerts/{id}/acknowledge"),
        json!({"note": "n"}),
    );
    account.post(&format!("/v2/alerts/{id}/acknowledge"), json!({}));
    let hooks = account.webhooks();
    let actions: Vec<_> = hooks
        .iter()
        .map(|body| body["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["Acknowledge", "AddNote", "Acknowledge"]);
    assert_eq!(hooks[1]["note"], "n");
}

#[test]
fn refusals_of_repeated_actions_are_switches() {
    let mut account = Account::new(Behaviour {
        reack_is_success: false,
        ..Behaviour::default()
    });
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
fn lists_are_searched_sorted_and_paged() {
    let mut account = account();
    for number in 0..5 {
        account
            .model
            .human_creates(NewAlert::titled(&format!("alert {number}")));
        account.wait(1_000);
    }
    let first = account.model.alert_ids()[0].clone();
    account.model.human_closes(&first, "ada", None);
    let page = account.get("/v2/alerts?query=status%3A%20open&limit=3&order=asc");
    assert_eq!(page["data"].as_array().unwrap().len(), 3);
    assert_eq!(page["data"][0]["message"], "alert 1");
    let next = page["paging"]["next"].as_str().unwrap();
    let rest = account.get(next.split_once(".com").unwrap().1);
    assert_eq!(
        (
            rest["data"].as_array().unwrap().len(),
            rest["paging"].get("next")
        ),
        (1, None)
    );
    let since = START + 2_500;
    assert_eq!(
        account.get(&format!("/v2/alerts/count?query=createdAt+%3E+{since}"))["data"]["count"],
        2
    );
    assert_eq!(
        account
            .send(Request::new("GET", "/v2/alerts?query=owner%3A+me"))
            .status,
        422
    );
    assert_eq!(
        account
            .send(Request::new("GET", "/v2/alerts?limit=101"))
            .status,
        422
    );
}

#[test]
fn notes_have_no_id_and_are_paged_by_an_opaque_offset() {
    let mut account = account();
    let id = account.model.human_creates(NewAlert::titled("disk"));
    for number in 0..5 {
        account
            .model
            .human_adds_note(&id, "ada", &format!("note {number}"));
    }
    let page = account.get(&format!("/v2/alerts/{id}/notes?limit=3"));
    let texts = |page: &Value| -> Vec<_> {
        page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| note["note"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(texts(&page), ["note 4", "note 3", "note 2"]);
    assert!(page["data"][0].get("id").is_none());
    let next = page["paging"]["next"]
        .as_str()
        .unwrap()
        .split_once(".com")
        .unwrap()
        .1
        .to_owned();
    let rest = account.get(&next);
    assert_eq!(
        (texts(&rest), rest["paging"].get("next")),
        (vec!["note 1".to_owned(), "note 0".to_owned()], None)
    );
    assert_eq!(
        texts(&account.get(&format!("/v2/alerts/{id}/notes?order=asc")))[0],
        "note 0"
    );
    assert_eq!(
        account.get(&format!("/v2/alerts/{id}/logs"))["data"]
            .as_array()
            .unwrap()
            .len(),
        6
    );
}

#[test]
fn reads_can_lag() {
    let mut account = Account::new(Behaviour {
        read_lag_ms: 1_000,
        ..Behaviour::default()
    });
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
    assert_eq!(
        account.post(&path("snooze"), json!({"endTime": "2026-01-01T00:00:00Z"}))["isSuccess"],
        true
    );
    assert_eq!(
        account.post(&path("assign"), json!({"owner": {"username": "bob"}}))["action"],
        "AssignOwnership"
    );
    account.post(&path("tags"), json!({"tags": ["x"]}));
    account.post(&path("details"), json!({"details": {"k": "v"}}));
    account.post(&path("escalate"), json!({"escalation": {"name": "dba"}}));
    for (field, value) in [
        ("priority", "P1"),
        ("message", "new"),
        ("description", "long"),
    ] {
        let reply = account.send(Request::new("PUT", &path(field)).json(&json!({field: value})));
        assert_eq!(reply.status, 202);
    }
    account.wait(50);
    let alert = account.model.alert(&id).unwrap().clone();
    assert_eq!(
        (
            alert.owner.as_str(),
            alert.priority.as_str(),
            alert.message.as_str()
        ),
        ("bob", "P1", "new")
    );
    assert_eq!(
        (alert.tags, alert.details["k"].as_str()),
        (vec!["x".to_owned()], "v")
    );
    assert_eq!(
        account.get(&format!("/v2/alerts/{}?identifierType=tiny", alert.tiny_id))["data"]["snoozed"],
        true
    );
    assert_eq!(
        account
            .send(Request::new(
                "DELETE",
                &format!("/v2/alerts/{id}?user=crosspage")
            ))
            .status,
        202
    );
    account.wait(50);
    assert!(account.model.alert(&id).is_none());
}

#[test]
fn faults_come_before_or_after_the_effect() {
    let mut account = account();
    let create = || Request::new("POST", "/v2/alerts").json(&json!({"message": "disk"}));
    account
        .model
        .faults
        .status_script("POST", "/v2/alerts", &[500, 429, 202]);
    assert_eq!(
        [account.send(create()).status, account.send(create()).status],
        [500, 429]
    );
    assert_eq!(account.send(create()).status, 202);
    account.model.faults.once(
        "POST",
        "/v2/alerts",
        Fault::Throttle {
            with_headers: true,
            reset_s: 7,
        },
    );
    let throttled = account.send(create());
    assert_eq!(throttled.header("x-ratelimit-period-in-sec"), Some("7"));
    assert_eq!(throttled.header("x-ratelimit-state"), Some("THROTTLED"));
    account
        .model
        .faults
        .once("POST", "/v2/alerts", Fault::ResetBefore);
    assert_eq!(account.send(create()).connection, Connection::Drop);
    account.wait(50);
    assert_eq!(account.model.alerts().len(), 1);
    account
        .model
        .faults
        .once("POST", "/v2/alerts", Fault::ResetAfter);
    assert_eq!(account.send(create()).connection, Connection::Drop);
    account
        .model
        .faults
        .once("POST", "/v2/alerts", Fault::StatusAfter(502));
    assert_eq!(account.send(create()).status, 502);
    account.wait(50);
    assert_eq!(account.model.alerts().len(), 3);
    account.model.faults.once(
        "POST",
        "/v2/alerts",
        Fault::RequestFails("Integration is disabled.".to_owned()),
    );
    assert_eq!(
        account.post("/v2/alerts", json!({"message": "m"}))["status"],
        "Integration is disabled."
    );
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
fn two_runs_of_one_seed_are_alike() {
    let run = || {
        let mut account = account();
        account.model.faults.flaky = Some(Flaky { seed: 3, one_in: 3 });
        for number in 0..30 {
            account.send(
                Request::new("POST", "/v2/alerts").json(&json!({"message": format!("m{number}")})),
            );
            account.wait(10);
        }
        account.wait(50);
        (account.webhooks(), account.model.calls().to_vec())
    };
    assert_eq!(run(), run());
}
