//! The two doors, knocked at by hand: who gets in, and what each visitor is told.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use simulators::CallRecord;

use crate::harness::{Plan, World};
use crate::post::{Answer, SIGNATURE, ask, from_opsgenie, from_pagerduty, post, sign};

const TOKEN: &str = "a-long-random-text";
const INTEGRATION: &str = "00000000-0000-4000-8000-000000000000";
const OTHER_INTEGRATION: &str = "11111111-0000-4000-8000-000000000000";
const SECRET: &str = "first-secret/with+signs=";
const OTHER_SECRET: &str = "second-secret";

/// A world whose doors' keys are known: two integrations, two secrets, and perhaps a token.
async fn world(token: Option<&str>) -> World {
    let mut plan = Plan::new()
        .var("OPSGENIE_INTEGRATION_ID", &format!("{INTEGRATION},{OTHER_INTEGRATION}"))
        .var("PAGERDUTY_WEBHOOK_SECRET", &format!("{SECRET},{OTHER_SECRET}"));
    plan.opsgenie.integration_id = INTEGRATION.to_owned();
    plan.opsgenie.webhook_token = token.map(str::to_owned);
    plan.pagerduty.webhook_secrets = vec![SECRET.to_owned()];
    plan.start().await
}

fn url(world: &World, path: &str) -> String {
    format!("http://{}/{path}", world.app().address())
}

async fn to_opsgenie_door(world: &World, body: &Value) -> Answer {
    post(&url(world, "ops-webhook"), &[], body.to_string()).await
}

async fn to_pagerduty_door(world: &World, body: &Value) -> Answer {
    let body = body.to_string();
    let signature = sign(SECRET, &body);
    post(&url(world, "pd-webhook"), &[(SIGNATURE, &signature)], body).await
}

/// The vendor calls so far, but for the look-up of the automation user at the start.
fn calls(world: &World) -> Vec<CallRecord> {
    let mut calls = world.opsgenie.model().calls().to_vec();
    calls.extend(world.pagerduty.model().calls().iter().filter(|call| call.path != "/users").cloned());
    calls
}

/// Whether whatever knocked so far has left nothing behind at all.
async fn check_untouched(world: &World) {
    world.settle().await;
    assert_eq!(calls(world), []);
    assert_eq!(world.app().store().quarantined_after(0, 9).await.unwrap(), []);
    assert_eq!(world.app().store().summary().await.unwrap(), crosspage::store::Summary::default());
    assert!(world.timeline("test-123").await.is_empty());
    // The door is not merely shut for everybody.
    let bearer = format!("Bearer {TOKEN}");
    let genuine = from_opsgenie(INTEGRATION, "Create", "test-123").to_string();
    assert_eq!(post(&url(world, "ops-webhook"), &[("authorization", &bearer)], genuine).await.status, 202);
    world.settle().await;
    world.incident_of("test-123");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_opsgenie_webhook_brings_is_stored_once() {
    let world = world(None).await;
    let mut create = from_opsgenie(INTEGRATION, "Create", "test-123");
    create["alert"]["updatedAt"] = json!(4_070_908_800_000_000_000_u64);
    let first = to_opsgenie_door(&world, &create).await;
    assert_eq!(first.status, 202, "{first:?}");
    assert!(first.body["request_id"].is_string(), "{first:?}");
    // The same again, perhaps by way of another integration.
    create["integrationId"] = json!(OTHER_INTEGRATION);
    create["headers"] = json!({ "X-Attempt": "2" });
    let second = to_opsgenie_door(&world, &create).await;
    assert_eq!((second.status, &second.body["status"]), (200, &json!("repeat")));
    world.settle().await;
    assert_eq!(world.incidents_of("test-123").len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pagerduty_webhook_brings_is_stored_once() {
    let world = world(None).await;
    let (alert, incident) = world.linked("Disk full").await;
    let event = from_pagerduty("01EVENT", "incident.acknowledged", &incident);
    let answer = to_pagerduty_door(&world, &event).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let answer = to_pagerduty_door(&world, &event).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("repeat")));
    world.settle().await;
    assert!(world.alert_now(&alert).acknowledged);
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall acknowledged the incident"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_attempt_is_known_by_its_webhook_id() {
    let world = world(None).await;
    let (_, incident) = world.linked("Disk full").await;
    let mut statuses = Vec::new();
    for event_id in ["01EVENT", "01OTHER"] {
        let body = from_pagerduty(event_id, "incident.acknowledged", &incident).to_string();
        let signature = sign(SECRET, &body);
        let headers = [(SIGNATURE, signature.as_str()), ("X-Webhook-Id", "4a7f")];
        let answer = post(&url(&world, "pd-webhook"), &headers, body).await;
        assert_eq!(answer.body["request_id"], "4a7f");
        statuses.push(answer.status);
    }
    assert_eq!(statuses, [202, 200]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authentic_webhook_with_nothing_to_do_is_told_so() {
    let world = world(None).await;
    let (alert, incident) = world.linked("Disk full").await;
    let before = world.writes();
    for action in ["AddTags", "UpdateMessage", "Run the playbook", "SomethingNew"] {
        let answer = to_opsgenie_door(&world, &from_opsgenie(INTEGRATION, action, &alert)).await;
        assert_eq!(answer.status, 200, "{action}: {answer:?}");
    }
    for event_type in ["pagey.ping", "service.updated", "something.new"] {
        let answer = to_pagerduty_door(&world, &from_pagerduty(event_type, event_type, &incident)).await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &json!("ignored")), "{event_type}");
    }
    let elsewhere = from_pagerduty("01ELSEWHERE", "incident.acknowledged", "QSOMEBODYELSE");
    assert_eq!(to_pagerduty_door(&world, &elsewhere).await.status, 200, "somebody else's incident");
    world.settle().await;
    assert_eq!(world.writes(), before);
    assert_eq!(world.app().store().quarantined_after(0, 9).await.unwrap(), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_json_object_is_a_bad_request_at_opsgenies_door() {
    let world = world(None).await;
    let create = from_opsgenie(INTEGRATION, "Create", "test-123").to_string();
    for body in ["", "hello", "[]", "null", "\"text\"", &create[..create.len() - 1], &format!("[{create}]")] {
        let answer = post(&url(&world, "ops-webhook"), &[], body.to_owned()).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
    check_untouched(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_integration_or_none_is_forbidden() {
    let world = world(None).await;
    let foreign = from_opsgenie("22222222-0000-4000-8000-000000000000", "Create", "test-123");
    let mut missing = foreign.clone();
    missing.as_object_mut().unwrap().remove("integrationId");
    let with_id = |id: Value| {
        let mut body = foreign.clone();
        body["integrationId"] = id;
        body
    };
    let several = with_id(json!([INTEGRATION]));
    let both = with_id(json!(format!("{INTEGRATION},{OTHER_INTEGRATION}")));
    for body in [foreign.clone(), missing, several, both, with_id(json!("")), with_id(json!(null))] {
        let answer = to_opsgenie_door(&world, &body).await;
        assert_eq!(answer.status, 403, "{body}: {answer:?}");
    }
    check_untouched(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_integrations_may_come_in() {
    let world = world(None).await;
    for (integration, alert) in [(INTEGRATION, "alert-a"), (OTHER_INTEGRATION, "alert-b")] {
        assert_eq!(to_opsgenie_door(&world, &from_opsgenie(integration, "Create", alert)).await.status, 202);
        world.settle().await;
        world.incident_of(alert);
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_or_none_is_unauthorized() {
    let world = world(Some(TOKEN)).await;
    let body = from_opsgenie(INTEGRATION, "Create", "test-123").to_string();
    let longer = format!("Bearer {TOKEN}x");
    let basic = format!("Basic {TOKEN}");
    for header in [None, Some(""), Some("Bearer"), Some("Bearer "), Some(TOKEN), Some(&*longer), Some(&*basic)] {
        let headers: Vec<_> = header.iter().map(|value| ("authorization", *value)).collect();
        let answer = post(&url(&world, "ops-webhook"), &headers, body.clone()).await;
        assert_eq!(answer.status, 401, "{header:?}: {answer:?}");
    }
    check_untouched(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_malformed_or_wrong_signature_is_forbidden() {
    let world = world(None).await;
    let body = from_pagerduty("01EVENT", "incident.acknowledged", "Q1").to_string();
    let good = sign(SECRET, &body);
    let of_another_body = sign(SECRET, "{}");
    let of_a_stranger = sign("guessed", &body);
    let of_no_secret = sign("", &body);
    let (cut, other_version) = (&good[..good.len() - 2], good.replace("v1=", "v2="));
    let headers = [
        "",
        " ",
        "v1=",
        "v1=zz",
        ",",
        cut,
        &good[3..],
        &other_version,
        &of_another_body,
        &of_a_stranger,
        &of_no_secret,
    ];
    let mut answers = vec![("no header", post(&url(&world, "pd-webhook"), &[], body.clone()).await)];
    for header in headers {
        answers.push((header, post(&url(&world, "pd-webhook"), &[(SIGNATURE, header)], body.clone()).await));
    }
    // The signature is that of the body as it was sent, to the byte.
    answers.push(("a space", post(&url(&world, "pd-webhook"), &[(SIGNATURE, &good)], format!("{body} ")).await));
    for (header, answer) in answers {
        assert_eq!(answer.status, 403, "{header}: {answer:?}");
    }
    check_untouched(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_signature_of_the_header_under_any_of_the_secrets_will_do() {
    let world = world(None).await;
    let (_, incident) = world.linked("Disk full").await;
    let body = |event_id: &str| from_pagerduty(event_id, "incident.acknowledged", &incident).to_string();
    let wrong = sign("gone-by-now", &body("first"));
    let headers = [
        ("first", sign(SECRET, &body("first"))),
        ("second", sign(OTHER_SECRET, &body("second"))),
        ("third", format!("{wrong},{}", sign(SECRET, &body("third")))),
        ("fourth", format!("{}, {wrong}", sign(OTHER_SECRET, &body("fourth")))),
        ("fifth", format!("v2=abc,{}", sign(SECRET, &body("fifth")))),
    ];
    for (event_id, header) in headers {
        let answer = post(&url(&world, "pd-webhook"), &[(SIGNATURE, &header)], body(event_id)).await;
        assert!(matches!(answer.status, 200 | 202), "{event_id}: {answer:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authentic_body_that_cannot_be_read_is_kept_without_our_own_token() {
    let world = world(Some(TOKEN)).await;
    let bearer = format!("Bearer {TOKEN}");
    let mut unreadable = from_opsgenie(INTEGRATION, "Create", "test-123");
    unreadable.as_object_mut().unwrap().remove("alert");
    unreadable["headers"] = json!({ "Authorization": bearer });
    unreadable["Headers"] = json!([bearer]);
    unreadable["kept"] = json!("for whoever looks");
    let answer = post(&url(&world, "ops-webhook"), &[("authorization", &bearer)], unreadable.to_string()).await;
    assert_eq!((answer.status, &answer.body["status"]), (202, &json!("quarantined")));
    for body in [json!({ "hello": "there" }), json!({ "event": { "event_type": "incident.acknowledged" } })] {
        let answer = to_pagerduty_door(&world, &body).await;
        assert_eq!((answer.status, &answer.body["status"]), (202, &json!("quarantined")), "{body}");
    }
    let text = "no JSON at all";
    let answer = post(&url(&world, "pd-webhook"), &[(SIGNATURE, &sign(SECRET, text))], text).await;
    assert_eq!(answer.status, 202, "{answer:?}");

    let kept = world.app().store().quarantined_after(0, 9).await.unwrap();
    let mut bodies = Vec::new();
    for (number, _) in &kept {
        let item = world.app().store().quarantined_under(*number).await.unwrap().unwrap();
        bodies.push(String::from_utf8(item.body).unwrap());
    }
    assert_eq!(kept.len(), 4, "{bodies:?}");
    assert!(bodies[0].contains("for whoever looks") && !bodies[0].to_lowercase().contains("headers"), "{}", bodies[0]);
    assert_eq!(bodies[3], text);
    assert!(!format!("{kept:?} {bodies:?}").contains(TOKEN));
    assert!(kept.iter().all(|(_, item)| !item.reason.is_empty() && item.request_id.is_some()), "{kept:?}");
    world.settle().await;
    assert_eq!(calls(&world), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_would_wander_off_in_a_path_are_quarantined_and_reach_no_vendor() {
    let world = world(None).await;
    let (_, incident) = world.linked("Disk full").await;
    let before = calls(&world).len();
    let too_long = "x".repeat(201);
    let ids = ["../../x", "..", "a/b", "a%2Fb", "a?b", "a b", "é", "", "a\n", &too_long];
    for id in ids {
        for action in ["Create", "Acknowledge", "SomethingNew"] {
            let answer = to_opsgenie_door(&world, &from_opsgenie(INTEGRATION, action, id)).await;
            assert_eq!((answer.status, &answer.body["status"]), (202, &json!("quarantined")), "{action} {id:?}");
        }
        let mut merged = from_pagerduty(id, "incident.resolved", &incident);
        merged["event"]["data"]["resolve_reason"] =
            json!({ "type": "merge_resolve_reason", "incident": { "id": id, "type": "incident_reference" } });
        let mut note = from_pagerduty(id, "incident.annotated", &incident);
        note["event"]["data"] = json!({ "id": id, "type": "incident_note", "content": "hi", "trimmed": true, "incident": { "id": incident } });
        for body in [from_pagerduty(id, "incident.acknowledged", id), merged, note] {
            let answer = to_pagerduty_door(&world, &body).await;
            assert_eq!((answer.status, &answer.body["status"]), (202, &json!("quarantined")), "{body}");
        }
    }
    world.settle().await;
    assert_eq!(calls(&world).len(), before);
    // The longest id that may be.
    let answer = to_opsgenie_door(&world, &from_opsgenie(INTEGRATION, "Create", &too_long[1..])).await;
    assert_eq!((answer.status, &answer.body["status"]), (202, &json!("mirrored")));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_there_is_answered_and_only_as_it_is_meant() {
    let world = world(None).await;
    let rows = [
        ("GET", "ops-webhook", 405),
        ("PUT", "pd-webhook", 405),
        ("POST", "healthz", 405),
        ("DELETE", "readyz", 405),
        ("GET", "healthz", 200),
        ("GET", "readyz", 200),
        ("GET", "", 404),
        ("GET", "metrics", 404),
        ("GET", "api/v1/links", 404),
        ("POST", "ops-webhook/", 404),
        ("POST", "pd-webhook/../ops-webhook/x", 404),
    ];
    for (method, path, status) in rows {
        assert_eq!(ask(method, &url(&world, path)).await.status, status, "{method} {path}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendors_outage_is_no_reason_not_to_be_ready() {
    let world = world(None).await;
    world.opsgenie.model().faults.always("", "", simulators::Fault::status(503));
    world.pagerduty.model().faults.always("", "", simulators::Fault::ResetBefore);
    assert_eq!(to_opsgenie_door(&world, &from_opsgenie(INTEGRATION, "Create", "test-123")).await.status, 202);
    world.until("PagerDuty has been tried in vain", async || !calls(&world).is_empty()).await;
    for path in ["healthz", "readyz"] {
        assert_eq!(ask("GET", &url(&world, path)).await.status, 200, "{path}");
    }
    assert_eq!(to_opsgenie_door(&world, &from_opsgenie(INTEGRATION, "AddNote", "test-123")).await.status, 200);
    world.pagerduty.model().faults.clear();
    world.opsgenie.model().faults.clear();
    world.settle().await;
    world.incident_of("test-123");
    world.end().await;
}

/// A file of `examples`.
fn example(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path)).unwrap()
}

/// Whether `told` are all the examples that there are of a vendor.
fn check_all_told(vendor: &str, told: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(vendor);
    let mut there: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.sort();
    let mut told: Vec<_> = told.iter().map(|name| format!("{name}.json")).collect();
    told.sort();
    assert_eq!(there, told);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_opsgenie_examples_tell_their_story_when_curl_posts_them() {
    let world = world(None).await;
    let story = [
        "create",
        "add-note",
        "acknowledge",
        "unacknowledge",
        "update-priority",
        "take-ownership",
        "assign-ownership",
        "snooze",
        "escalate-to-next",
        "close",
        "delete",
    ];
    check_all_told("opsgenie", &story);
    let mut states = Vec::new();
    for name in story {
        // `curl -d` takes the line ends out, and calls it a form.
        let body = example(&format!("opsgenie/{name}.json")).replace('\n', "");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = post(&url(&world, "ops-webhook"), &form, body).await;
        assert_eq!(answer.status, 202, "{name}: {answer:?}");
        world.settle().await;
        states.push(format!("{:?}", world.incident_of("test-123").status));
    }
    assert_eq!(
        states,
        [
            "Triggered",
            "Triggered",
            "Acknowledged",
            "Triggered",
            "Triggered",
            "Triggered",
            "Triggered",
            "Triggered",
            "Triggered",
            "Resolved",
            "Resolved",
        ],
        "{:#?}",
        world.timeline("test-123").await
    );
    let incident = world.incident_of("test-123");
    assert_eq!((incident.title.as_str(), incident.priority.as_deref()), ("Test alert", Some("P1")));
    assert_eq!(
        world.incident_notes(&incident.id),
        [
            "[Opsgenie] jane@example.com: Looking at it",
            "[Opsgenie] jane@example.com acknowledged the alert",
            "[Opsgenie] jane@example.com let go of the alert: it is not acknowledged any more",
            "[Opsgenie] jane@example.com took ownership of the alert",
            "[Opsgenie] jane@example.com assigned the alert to bob@example.com",
            "[Opsgenie] jane@example.com snoozed the alert",
            "[Opsgenie] jane@example.com escalated the alert to the next step",
            "[Opsgenie] jane@example.com closed the alert",
            "[Opsgenie] jane@example.com deleted the alert",
        ]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pagerduty_examples_are_taken_as_they_are_and_tell_their_story_about_an_incident_of_ours() {
    let world = world(None).await;
    let story = [
        "ping",
        "triggered",
        "escalated",
        "acknowledged",
        "annotated",
        "unacknowledged",
        "resolved",
        "reopened",
        "merged",
    ];
    check_all_told("pagerduty", &story);
    for name in story {
        let body = example(&format!("pagerduty/{name}.json"));
        let answer = post(&url(&world, "pd-webhook"), &[(SIGNATURE, &sign(SECRET, &body))], body).await;
        assert!(matches!(answer.status, 200 | 202), "{name}: {answer:?}");
    }
    assert_eq!(world.app().store().quarantined_after(0, 9).await.unwrap(), []);

    let (alert, incident) = world.linked("Test alert").await;
    let mut acknowledged = Vec::new();
    for (second, name) in story.into_iter().enumerate() {
        let mut body: Value = serde_json::from_str(
            &example(&format!("pagerduty/{name}.json"))
                .replace("test-123", &alert)
                .replace("Q1SYNC0000001A", &incident)
                .replace("01GTEST", "02GTEST"),
        )
        .unwrap();
        body["event"]["occurred_at"] = json!(format!("2099-03-02T10:15:{:02}Z", 5 * second));
        to_pagerduty_door(&world, &body).await;
        world.settle().await;
        acknowledged.push(world.alert_now(&alert).acknowledged);
    }
    assert_eq!(acknowledged, [false, false, false, true, true, false, false, false, false]);
    assert_eq!(
        world.alert_notes(&alert),
        [
            "[PagerDuty] Jane Roe acknowledged the incident",
            "[PagerDuty] Jane Roe: Looking at it",
            "[PagerDuty] Jane Roe let go of the incident: it is not acknowledged any more",
            "[PagerDuty] Jane Roe resolved the incident",
            "[PagerDuty] Jane Roe reopened the incident",
            "[PagerDuty] Jane Roe merged the incident into Q0TARGET000001",
        ]
    );
    world.end().await;
}
