use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::*;
use crate::engine::Priority;

const INTEGRATION: &str = "00000000-0000-4000-8000-000000000000";
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn door() -> Door {
    Door::new(&["11111111-0000-4000-8000-000000000000", INTEGRATION], None)
}

fn event(mut body: Value) -> Result<Event, Unreadable> {
    body["integrationId"] = INTEGRATION.into();
    door().authenticate(body.to_string().as_bytes()).unwrap().parse(NOW)
}

fn alert_event(body: Value) -> AlertEvent {
    match event(body).unwrap().body {
        EventBody::Alert(alert) => alert,
        other => panic!("{other:?}"),
    }
}

/// The payloads in a directory, by their names.
fn payloads(directory: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(file).unwrap())).collect()
}

/// What an event comes to, in a line.
fn line(event: &Event) -> String {
    let EventBody::Alert(alert) = &event.body else { panic!("{event:?}") };
    let actor = &event.actor;
    let person = if actor.person { " (person)" } else { "" };
    let line = format!(
        "{:?} by {}/{}{person} at {} {}",
        alert.action,
        actor.name.as_deref().unwrap_or("-"),
        actor.source.as_deref().unwrap_or("-"),
        event.occurred_at.map_or_else(|| "-".to_owned(), |at| at.as_millis().to_string()),
        if event.dedupe.is_empty() { "no id" } else { "id" },
    );
    line.replace('"', "'")
}

const FIXTURES: &[(&str, &str)] = &[
    ("acknowledge", "Acknowledge { note: None } by jane@example.com/- (person) at 1763600060000 id"),
    ("acknowledge_by_us", "Acknowledge { note: None } by crosspage/crosspage at 1763600090000 id"),
    ("acknowledge_updated_at_as_text", "Acknowledge { note: None } by jane@example.com/- (person) at 1763600060001 id"),
    (
        "acknowledge_updated_at_in_milliseconds",
        "Acknowledge { note: None } by jane@example.com/- (person) at 1763600060001 id",
    ),
    ("acknowledge_with_note", "Acknowledge { note: Some('On it') } by jane@example.com/- (person) at 1763600060000 id"),
    ("acknowledge_without_updated_at", "Acknowledge { note: None } by jane@example.com/- (person) at - no id"),
    ("add_details", "Other('AddDetails') by jane@example.com/- (person) at 1763600077000 id"),
    ("add_note", "AddNote { text: 'Restarting replica' } by jane@example.com/- (person) at 1763600062000 id"),
    ("add_note_beside_the_alert", "AddNote { text: 'Looking at it' } by jane@example.com/- (person) at - no id"),
    ("add_note_without_text", "Other('AddNote') by jane@example.com/- (person) at 1763600062000 id"),
    ("add_recipient", "Other('AddRecipient') by jane@example.com/- (person) at 1763600068000 id"),
    ("add_responder", "Other('AddResponder') by jane@example.com/- (person) at 1763600068000 id"),
    ("add_tags", "Other('AddTags') by jane@example.com/- (person) at 1763600065000 id"),
    ("add_team", "Other('AddTeam') by jane@example.com/- (person) at 1763600067000 id"),
    (
        "assign_ownership",
        "AssignOwnership { owner: Some('bob@example.com') } by jane@example.com/- (person) at 1763600069000 id",
    ),
    ("close", "Close { note: None } by jane@example.com/- (person) at 1763600063000 id"),
    ("close_with_note", "Close { note: Some('Replaced the disk') } by jane@example.com/- (person) at 1763600063000 id"),
    ("create", "Create by monitor/monitor at 1763600001000 id"),
    ("create_2017", "Create by jane@example.com/web (person) at 1763600001000 id"),
    ("create_by_system", "Create by System/- at 1763600001000 id"),
    ("create_minimal", "Create by -/- at - no id"),
    ("custom", "Other('Restart service') by jane@example.com/- (person) at 1763600081000 id"),
    ("delete", "Delete by jane@example.com/- (person) at 1763600064000 id"),
    ("escalate", "Other('Escalate') by -/- at - no id"),
    ("escalate_next", "EscalateToNext by jane@example.com/- (person) at 1763600071000 id"),
    ("escalate_to_next", "EscalateToNext by jane@example.com/- (person) at 1763600071000 id"),
    ("remove_details", "Other('RemoveDetails') by jane@example.com/- (person) at 1763600078000 id"),
    ("remove_tags", "Other('RemoveTags') by jane@example.com/- (person) at 1763600066000 id"),
    ("seen", "Other('Seen') by jane@example.com/- (person) at 1763600079000 id"),
    ("sla_breached", "Other('SlaBreached') by System/- at 1763600080000 id"),
    ("snooze", "Snooze by jane@example.com/- (person) at 1763600072000 id"),
    ("snooze_ended", "Other('SnoozeEnded') by System/- at 1763600073000 id"),
    ("take_ownership", "TakeOwnership by jane@example.com/- (person) at 1763600070000 id"),
    ("unacknowledge", "Unacknowledge { note: None } by jane@example.com/- (person) at 1763600061000 id"),
    ("update_description", "Other('UpdateDescription') by jane@example.com/- (person) at 1763600076000 id"),
    ("update_message", "Other('UpdateMessage') by jane@example.com/- (person) at 1763600075000 id"),
    ("update_priority", "UpdatePriority by jane@example.com/- (person) at 1763600074000 id"),
];

#[test]
fn every_fixture_is_read_as_expected() {
    let mut left = payloads("tests/fixtures/opsgenie");
    for (name, expected) in FIXTURES {
        let body = left.remove(*name).unwrap_or_else(|| panic!("no fixture {name}"));
        let event = door().authenticate(&body).unwrap().parse(NOW).unwrap();
        assert_eq!(line(&event), *expected, "{name}");
        assert_eq!(event.received_at, NOW);
        let EventBody::Alert(alert) = event.body else { panic!("{name}") };
        assert!(["0f6d2c1e", "4513b7ea", "test-123"].contains(&&alert.alert.as_str()[..8]), "{name}");
    }
    assert!(left.is_empty(), "fixtures that no test reads: {:?}", left.keys());
}

#[test]
fn the_examples_are_read() {
    let events: Vec<String> = payloads("examples/opsgenie")
        .into_iter()
        .map(|(name, body)| format!("{name}: {}", line(&door().authenticate(&body).unwrap().parse(NOW).unwrap())))
        .collect();
    let expected = [
        "acknowledge: Acknowledge { note: None } by jane@example.com/- (person) at - no id",
        "add-note: AddNote { text: 'Looking at it' } by jane@example.com/- (person) at - no id",
        "assign-ownership: AssignOwnership { owner: Some('bob@example.com') } by jane@example.com/- (person) at - no id",
        "close: Close { note: None } by jane@example.com/- (person) at - no id",
        "create: Create by -/- at - no id",
        "delete: Delete by jane@example.com/- (person) at - no id",
        "escalate-to-next: EscalateToNext by jane@example.com/- (person) at - no id",
        "snooze: Snooze by jane@example.com/- (person) at - no id",
        "take-ownership: TakeOwnership by jane@example.com/- (person) at - no id",
        "unacknowledge: Unacknowledge { note: None } by jane@example.com/- (person) at - no id",
        "update-priority: UpdatePriority by jane@example.com/- (person) at - no id",
    ];
    assert_eq!(events, expected);
}

#[test]
fn the_facts_of_an_alert_are_kept() {
    let body = &payloads("tests/fixtures/opsgenie")["create"];
    let event = door().authenticate(body).unwrap().parse(NOW).unwrap();
    let EventBody::Alert(alert) = event.body else { panic!() };
    let expected = AlertFacts {
        message: Some("disk 95% on db-1".to_owned()),
        description: Some("Disk usage above 95%".to_owned()),
        tiny_id: Some("1042".to_owned()),
        entity: Some("db-1".to_owned()),
        tags: vec!["prod".to_owned(), "db".to_owned()],
        priority: Some(Priority::P2),
        created_at: Some(Timestamp::from_millis(1_763_600_000_123)),
    };
    assert_eq!(alert.facts, expected);
}

#[test]
fn a_note_is_taken_from_the_alert_and_else_from_beside_it() {
    let note = |alert: Value, beside: Value| {
        let mut body = json!({"action": "Close", "alert": {"alertId": "a-1"}, "note": beside});
        body["alert"]["note"] = alert;
        match alert_event(body).action {
            AlertAction::Close { note } => note,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(note(json!("in"), json!("beside")).as_deref(), Some("in"));
    assert_eq!(note(json!(null), json!("beside")).as_deref(), Some("beside"));
    assert_eq!(note(json!("  "), json!(" beside ")).as_deref(), Some(" beside "));
    assert_eq!(note(json!(5), json!({})), None);
}

#[test]
fn actions_are_told_whatever_their_case() {
    let action = |name: &str| {
        let alert = json!({"alertId": "a-1", "note": "n", "owner": "bob@example.com"});
        alert_event(json!({"action": name, "alert": alert})).action
    };
    let note = Some("n".to_owned());
    let table = [
        ("create", AlertAction::Create),
        ("ACKNOWLEDGE", AlertAction::Acknowledge { note: note.clone() }),
        ("Unacknowledge", AlertAction::Unacknowledge { note: note.clone() }),
        (" close ", AlertAction::Close { note }),
        ("addnote", AlertAction::AddNote { text: "n".to_owned() }),
        ("updatePriority", AlertAction::UpdatePriority),
        ("assignownership", AlertAction::AssignOwnership { owner: Some("bob@example.com".to_owned()) }),
        ("takeownership", AlertAction::TakeOwnership),
        ("SNOOZE", AlertAction::Snooze),
        ("escalatenext", AlertAction::EscalateToNext),
        ("ESCALATETONEXT", AlertAction::EscalateToNext),
        ("delete", AlertAction::Delete),
        ("Add Note", AlertAction::Other("Add Note".to_owned())),
        ("line\nbreak", AlertAction::Other("line break".to_owned())),
    ];
    for (name, expected) in table {
        assert_eq!(action(name), expected, "{name}");
    }
    assert_eq!(action(&"x".repeat(500)), AlertAction::Other("x".repeat(200)));
}

#[test]
fn only_the_id_and_the_action_are_needed() {
    let wrong = json!({
        "action": "Acknowledge",
        "alert": {
            "alertId": "a-1", "message": 5, "tags": {}, "tinyId": [], "entity": 1, "createdAt": {}, "updatedAt": [],
            "username": 7, "userId": {}, "note": [], "owner": 1, "priority": {}, "description": false,
        },
        "source": "a text", "note": {}, "integrationName": 5,
    });
    let event = event(wrong).unwrap();
    assert_eq!(event.actor, Actor::nobody());
    assert_eq!((event.occurred_at, event.dedupe.len(), event.request_id), (None, 0, None));
    let EventBody::Alert(alert) = event.body else { panic!() };
    assert_eq!(alert.facts, AlertFacts::default());
    assert_eq!(alert.action, AlertAction::Acknowledge { note: None });
}

#[test]
fn what_cannot_be_read_says_why_and_quotes_nothing() {
    let id = "an id must be 1 to 200 of the characters A-Z a-z 0-9 _ -";
    let table = [
        (json!({"alert": {"alertId": "a-1"}}), "`action` is missing or no text".to_owned()),
        (json!({"action": 5, "alert": {"alertId": "a-1"}}), "`action` is missing or no text".to_owned()),
        (json!({"action": "  ", "alert": {"alertId": "a-1"}}), "`action` is missing or no text".to_owned()),
        (json!({"action": "Create"}), "`alert` is missing or no object".to_owned()),
        (json!({"action": "Create", "alert": "secret"}), "`alert` is missing or no object".to_owned()),
        (json!({"action": "Create", "alert": {}}), "`alert.alertId` is missing or no text".to_owned()),
        (json!({"action": "Create", "alert": {"alertId": 5}}), "`alert.alertId` is missing or no text".to_owned()),
        (json!({"action": "Create", "alert": {"alertId": ""}}), format!("`alert.alertId` is not valid: {id}")),
        (json!({"action": "Create", "alert": {"alertId": "../secret"}}), format!("`alert.alertId` is not valid: {id}")),
    ];
    for (body, expected) in table {
        assert_eq!(event(body.clone()), Err(Unreadable(expected)), "{body}");
    }
}

#[test]
fn when_it_happened_is_told_by_the_update_and_for_a_creation_else_by_the_creation() {
    let at = |action: &str, times: Value| {
        let mut alert = times;
        alert["alertId"] = "a-1".into();
        event(json!({"action": action, "alert": alert})).unwrap().occurred_at.map(Timestamp::as_millis)
    };
    let both = json!({"createdAt": 1_763_600_000_123_i64, "updatedAt": 1_763_600_060_001_000_110_i64});
    let created = json!({"createdAt": 1_763_600_000_123_i64});
    assert_eq!(at("Create", both.clone()), Some(1_763_600_060_001));
    assert_eq!(at("Close", both), Some(1_763_600_060_001));
    assert_eq!(at("Create", created.clone()), Some(1_763_600_000_123));
    assert_eq!(at("Close", created), None);
}

#[test]
fn a_repeat_is_told_by_what_it_says_and_not_by_who_posts_it() {
    let dedupe = |text: &str| door().authenticate(text.as_bytes()).unwrap().parse(NOW).unwrap().dedupe;
    let body = |extra: &str, note: &str| {
        format!(
            r#"{{"action":"AddNote","integrationId":"{INTEGRATION}",{extra}
            "alert":{{"alertId":"a-1","updatedAt":1763600060001000110,"note":"{note}"}},"source":{{"name":"","type":"web"}}}}"#
        )
    };
    let first = dedupe(&body("", "n"));
    assert_eq!(first.len(), 1);
    assert_eq!(first[0].len(), 3 + 64);
    assert!(first[0].starts_with("og:"));
    let reordered = r#"{"source":{"type":"web","name":""},"alert":{"note":"n","updatedAt":1763600060001000110,"alertId":"a-1"},
        "integrationName":"x","integrationId":"11111111-0000-4000-8000-000000000000","action":"AddNote"}"#;
    assert_eq!(dedupe(reordered), first);
    assert_eq!(dedupe(&body(r#""headers":{"a":"b"},"integrationType":"Webhook","#, "n")), first);
    assert_ne!(dedupe(&body("", "other")), first);
    assert_ne!(dedupe(&body(r#""note":"beside","#, "n")), first);
    assert_ne!(dedupe(&body("", "n").replace("110,", "111,")), first);
    assert!(dedupe(&body("", "n").replace("updatedAt", "updated")).is_empty());
}

#[test]
fn the_token_is_asked_for_before_the_body() {
    let door = |token: &str| Door::new(&[INTEGRATION], Some(SecretString::from(token)));
    let table = [
        ("s3cret", Some("Bearer s3cret"), true),
        ("s3cret", Some("bearer   s3cret "), true),
        ("s3cret", Some("Bearer s3cre"), false),
        ("s3cret", Some("Bearer s3crett"), false),
        ("s3cret", Some("Basic s3cret"), false),
        ("s3cret", Some("s3cret"), false),
        ("s3cret", Some("Bearer "), false),
        ("s3cret", Some(""), false),
        ("s3cret", None, false),
        ("", Some("Bearer "), false),
        ("", Some("Bearer  x"), false),
    ];
    for (token, header, expected) in table {
        assert_eq!(door(token).authorize(header).is_ok(), expected, "{header:?}");
    }
    assert_eq!(Door::new(&[INTEGRATION], None).authorize(None), Ok(()));
}

#[test]
fn the_integration_must_be_one_of_ours() {
    use NotAuthentic::{MissingIntegration, NotAnObject, WrongIntegration};
    let door = Door::new(&["one", "two", ""], None);
    let outcome = |body: &[u8]| door.authenticate(body).map(|_| ());
    let deep = "[".repeat(100_000);
    let table: [(&[u8], _); 12] = [
        (br#"{"integrationId":"one"}"#, Ok(())),
        (br#"{"integrationId":"two"}"#, Ok(())),
        (br#"{"integrationId":"three"}"#, Err(WrongIntegration)),
        (br#"{"integrationId":"ONE"}"#, Err(WrongIntegration)),
        (br#"{"integrationId":""}"#, Err(WrongIntegration)),
        (br#"{"integrationId":1}"#, Err(MissingIntegration)),
        (br#"{"integrationId":null}"#, Err(MissingIntegration)),
        (b"{}", Err(MissingIntegration)),
        (b"[]", Err(NotAnObject)),
        (b"", Err(NotAnObject)),
        (b"\xff", Err(NotAnObject)),
        (deep.as_bytes(), Err(NotAnObject)),
    ];
    for (body, expected) in table {
        assert_eq!(outcome(body), expected, "{:?}", String::from_utf8_lossy(&body[..body.len().min(40)]));
    }
    assert_eq!(
        Door::new::<&str>(&[], None).authenticate(br#"{"integrationId":""}"#).map(|_| ()),
        Err(WrongIntegration)
    );
}

#[test]
fn our_own_token_is_not_kept() {
    let body = json!({
        "integrationId": INTEGRATION, "headers": {"Authorization": "Bearer s3cret"}, "Headers": {"X": "s3cret"},
        "action": 5, "alert": {"alertId": "a-1", "updatedAt": 1_763_600_060_001_000_110_i64},
    });
    let kept = door().authenticate(body.to_string().as_bytes()).unwrap().body_without_headers();
    let expected = json!({
        "integrationId": INTEGRATION, "action": 5, "alert": {"alertId": "a-1", "updatedAt": 1_763_600_060_001_000_110_i64},
    });
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), expected);
}
