use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn read(body: &Value) -> Result<Inbound, Unreadable> {
    parse(body.to_string().as_bytes(), Some("hook-1"), NOW)
}

fn event(body: &Value) -> Event {
    match read(body).unwrap() {
        Inbound::Event(event) => event,
        other => panic!("{other:?}"),
    }
}

fn incident_event(body: &Value) -> IncidentEvent {
    match event(body).body {
        EventBody::Incident(incident) => incident,
        other => panic!("{other:?}"),
    }
}

/// The payloads in a directory, by their names.
fn payloads(directory: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let files = std::fs::read_dir(directory).unwrap().map(|file| file.unwrap().path());
    files.map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read(file).unwrap())).collect()
}

/// What a webhook comes to, in a line.
fn line(inbound: &Inbound) -> String {
    let event = match inbound {
        Inbound::Ping => return "ping".to_owned(),
        Inbound::Ignored(name) => return format!("ignored {name}"),
        Inbound::Event(event) => event,
    };
    let EventBody::Incident(incident) = &event.body else { panic!("{event:?}") };
    let actor = &event.actor;
    let person = if actor.person { " (person)" } else { "" };
    let line = format!(
        "{} {:?} status {} key {} by {}/{}{person} at {}",
        incident.incident,
        incident.change,
        incident.status.map_or_else(|| "-".to_owned(), |status| status.to_string()),
        incident.incident_key.as_deref().map_or("-", |key| &key[..13]),
        actor.id.as_deref().unwrap_or("-"),
        actor.name.as_deref().unwrap_or("-"),
        event.occurred_at.map_or_else(|| "-".to_owned(), |at| (at.as_millis() % 100_000).to_string()),
    );
    line.replace('"', "'")
}

const FIXTURES: &[(&str, &str)] = &[
    (
        "incident_acknowledged",
        "Q1SYNC0000001A Acknowledged status acknowledged key opsgenie:0f6d by PUSR001/Jane Roe (person) at 3123",
    ),
    ("incident_acknowledged_minimal", "P1A2B3C Acknowledged status acknowledged key - by -/- at -"),
    (
        "incident_action_invocation_created",
        "Q1SYNC0000001A Other('incident.action_invocation.created') status - key - by PUSR001/Jane Roe (person) at 27123",
    ),
    (
        "incident_action_invocation_terminated",
        "Q1SYNC0000001A Other('incident.action_invocation.terminated') status - key - by PUSR001/Jane Roe (person) at 29123",
    ),
    (
        "incident_action_invocation_updated",
        "Q1SYNC0000001A Other('incident.action_invocation.updated') status - key - by PUSR001/Jane Roe (person) at 28123",
    ),
    (
        "incident_annotated",
        "Q1SYNC0000001A Annotated(IncidentNote { id: 'PNOTE01', text: 'Looking at it', trimmed: false }) status - key - by PUSR001/Jane Roe (person) at 16123",
    ),
    (
        "incident_annotated_trimmed",
        "Q1SYNC0000001A Annotated(IncidentNote { id: 'PNOTE02', text: 'A long story, of which this is', trimmed: true }) status - key - by PUSR001/Jane Roe (person) at 17123",
    ),
    (
        "incident_conference_bridge_updated",
        "Q1SYNC0000001A Other('incident.conference_bridge.updated') status - key - by PUSR001/Jane Roe (person) at 21123",
    ),
    (
        "incident_custom_field_values_updated",
        "Q1SYNC0000001A Other('incident.custom_field_values.updated') status - key - by PUSR001/Jane Roe (person) at 22123",
    ),
    (
        "incident_delegated",
        "Q1SYNC0000001A Other('incident.delegated') status open key opsgenie:0f6d by PUSR001/Jane Roe (person) at 12123",
    ),
    ("incident_escalated", "Q1SYNC0000001A Other('incident.escalated') status open key opsgenie:0f6d by -/- at 10123"),
    (
        "incident_priority_updated",
        "Q1SYNC0000001A Other('incident.priority_updated') status open key opsgenie:0f6d by PUSR001/Jane Roe (person) at 13123",
    ),
    (
        "incident_reassigned",
        "Q1SYNC0000001A Other('incident.reassigned') status acknowledged key opsgenie:0f6d by PUSR001/Jane Roe (person) at 11123",
    ),
    ("incident_reopened", "Q1SYNC0000001A Reopened status open key opsgenie:0f6d by PUSR001/Jane Roe (person) at 9123"),
    (
        "incident_resolved",
        "Q1SYNC0000001A Resolved status resolved key opsgenie:0f6d by PUSR001/Jane Roe (person) at 7123",
    ),
    (
        "incident_resolved_by_merge",
        "Q1SYNC0000001A MergedInto(IncidentId('Q0TARGET000001')) status resolved key opsgenie:0f6d by PUSR001/Jane Roe (person) at 8123",
    ),
    (
        "incident_responder_added",
        "Q1SYNC0000001A Other('incident.responder.added') status - key - by PUSR001/Jane Roe (person) at 19123",
    ),
    (
        "incident_responder_replied",
        "Q1SYNC0000001A Other('incident.responder.replied') status - key - by PUSR002/Bob (person) at 20123",
    ),
    (
        "incident_role_assigned",
        "Q1SYNC0000001A Other('incident.role.assigned') status - key - by PUSR001/Jane Roe (person) at 23123",
    ),
    (
        "incident_service_updated",
        "Q1SYNC0000001A Other('incident.service_updated') status open key opsgenie:0f6d by PUSR001/Jane Roe (person) at 14123",
    ),
    (
        "incident_status_update_published",
        "Q1SYNC0000001A Other('incident.status_update_published') status - key - by PUSR001/Jane Roe (person) at 18123",
    ),
    (
        "incident_task_completed",
        "Q1SYNC0000001A Other('incident.task.completed') status - key - by PUSR001/Jane Roe (person) at 26123",
    ),
    (
        "incident_task_created",
        "Q1SYNC0000001A Other('incident.task.created') status - key - by PUSR001/Jane Roe (person) at 24123",
    ),
    (
        "incident_task_updated",
        "Q1SYNC0000001A Other('incident.task.updated') status - key - by PUSR001/Jane Roe (person) at 25123",
    ),
    (
        "incident_triggered",
        "Q1SYNC0000001A Triggered status open key opsgenie:0f6d by PAUTO01/Sync Bot (person) at 1123",
    ),
    ("incident_triggered_by_events_api", "Q1SYNC0000001A Triggered status open key - by PINT001/Events API V2 at 2123"),
    (
        "incident_type_changed",
        "Q1SYNC0000001A Other('incident.incident_type.changed') status open key opsgenie:0f6d by PUSR001/Jane Roe (person) at 15123",
    ),
    (
        "incident_unacknowledged",
        "Q1SYNC0000001A Unacknowledged status open key opsgenie:0f6d by PUSR001/Jane Roe (person) at 4123",
    ),
    (
        "incident_unacknowledged_by_service",
        "Q1SYNC0000001A Unacknowledged status open key opsgenie:0f6d by PSVC001/Database at 6123",
    ),
    (
        "incident_unacknowledged_by_time_out",
        "Q1SYNC0000001A Unacknowledged status open key opsgenie:0f6d by -/- at 5123",
    ),
    (
        "incident_workflow_completed",
        "Q1SYNC0000001A Other('incident.workflow.completed') status - key - by PUSR001/Jane Roe (person) at 31123",
    ),
    (
        "incident_workflow_started",
        "Q1SYNC0000001A Other('incident.workflow.started') status - key - by PUSR001/Jane Roe (person) at 30123",
    ),
    ("pagey_ping", "ping"),
    ("pagey_ping_with_agent", "ping"),
    ("service_created", "ignored service.created"),
    ("service_custom_field_values_updated", "ignored service.custom_field_values.updated"),
    ("service_deleted", "ignored service.deleted"),
    ("service_updated", "ignored service.updated"),
    ("unknown", "ignored status_page.published"),
];

#[test]
fn every_fixture_is_read_as_expected() {
    let mut left = payloads("tests/fixtures/pagerduty");
    left.remove("signatures");
    for (name, expected) in FIXTURES {
        let body = left.remove(*name).unwrap_or_else(|| panic!("no fixture {name}"));
        assert_eq!(line(&parse(&body, None, NOW).unwrap()), *expected, "{name}");
    }
    assert!(left.is_empty(), "fixtures that no test reads: {:?}", left.keys());
}

#[test]
fn the_examples_are_read() {
    let lines: Vec<String> = payloads("examples/pagerduty")
        .into_iter()
        .map(|(name, body)| format!("{name}: {}", line(&parse(&body, None, NOW).unwrap())))
        .collect();
    let expected = [
        "acknowledged: Q1SYNC0000001A Acknowledged status acknowledged key opsgenie:test by PUSR001/Jane Roe (person) at 3123",
        "annotated: Q1SYNC0000001A Annotated(IncidentNote { id: 'PNOTE01', text: 'Looking at it', trimmed: false }) \
         status - key - by PUSR001/Jane Roe (person) at 16123",
        "escalated: Q1SYNC0000001A Other('incident.escalated') status open key opsgenie:test by -/- at 10123",
        "merged: Q1SYNC0000001A MergedInto(IncidentId('Q0TARGET000001')) status resolved key opsgenie:test \
         by PUSR001/Jane Roe (person) at 8123",
        "ping: ping",
        "reopened: Q1SYNC0000001A Reopened status open key opsgenie:test by PUSR001/Jane Roe (person) at 9123",
        "resolved: Q1SYNC0000001A Resolved status resolved key opsgenie:test by PUSR001/Jane Roe (person) at 7123",
        "triggered: Q1SYNC0000001A Triggered status open key opsgenie:test by PAUTO01/Sync Bot (person) at 1123",
        "unacknowledged: Q1SYNC0000001A Unacknowledged status open key opsgenie:test by PUSR001/Jane Roe (person) at 4123",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn repeats_are_told_by_both_ids() {
    let ids = |event_id: Value, webhook_id: Option<&str>| {
        let body = json!({"event": {
            "id": event_id, "event_type": "incident.resolved", "data": {"type": "incident", "id": "P1"},
        }});
        match parse(body.to_string().as_bytes(), webhook_id, NOW).unwrap() {
            Inbound::Event(event) => (event.dedupe, event.request_id),
            other => panic!("{other:?}"),
        }
    };
    let hook = Some("hook-1".to_owned());
    assert_eq!(
        ids(json!("01A"), Some("hook-1")),
        (vec!["pd:webhook:hook-1".to_owned(), "pd:event:01A".to_owned()], hook.clone())
    );
    assert_eq!(ids(json!(null), Some(" hook-1 ")), (vec!["pd:webhook:hook-1".to_owned()], hook));
    assert_eq!(ids(json!("01A"), Some("")), (vec!["pd:event:01A".to_owned()], None));
    assert_eq!(ids(json!(5), None), (vec![], None));
    let (long, request_id) = ids(json!("y".repeat(201)), Some(&"x".repeat(500)));
    assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), ["pd:webhook:".len() + 64, "pd:event:".len() + 64]);
    assert_eq!(request_id.map(|id| id.len()), Some(64));
}

#[test]
fn the_status_is_what_the_incident_says_and_else_what_the_event_implies() {
    let status = |kind: &str, data: Value| {
        incident_event(&json!({"event": {"event_type": format!("incident.{kind}"), "data": data}})).status
    };
    let with = |status: Value| json!({"type": "incident", "id": "P1", "status": status});
    let (open, acknowledged, resolved) = (Some(Status::Open), Some(Status::Acknowledged), Some(Status::Resolved));
    let table = [
        ("escalated", with(json!("triggered")), open),
        ("reassigned", with(json!("acknowledged")), acknowledged),
        ("invented", with(json!("resolved")), resolved),
        ("invented", with(json!("asleep")), None),
        ("invented", with(json!(null)), None),
        ("triggered", with(json!("acknowledged")), acknowledged),
        ("acknowledged", with(json!("asleep")), None),
        ("triggered", with(json!(5)), open),
        ("acknowledged", with(json!(null)), acknowledged),
        ("unacknowledged", with(json!(null)), open),
        ("resolved", with(json!(null)), resolved),
        ("reopened", with(json!(null)), open),
        ("task.updated", json!({"incident": {"id": "P1"}, "status": "resolved"}), None),
    ];
    for (kind, data, expected) in table {
        assert_eq!(status(kind, data.clone()), expected, "{kind} {data}");
    }
}

#[test]
fn the_incident_is_found_where_the_type_of_the_data_puts_it() {
    let id = |data: Value| {
        let body = json!({"event": {"event_type": "incident.invented", "data": data}});
        match read(&body).unwrap() {
            Inbound::Event(Event { body: EventBody::Incident(incident), .. }) => {
                Some(incident.incident.as_str().to_owned())
            }
            Inbound::Ignored(name) if name == "incident.invented" => None,
            other => panic!("{other:?}"),
        }
    };
    let table = [
        (json!({"type": "incident", "id": "P1", "incident": {"id": "P2"}}), Some("P1")),
        (json!({"type": "incident_task", "id": "P1", "incident": {"id": "P2"}}), Some("P2")),
        (json!({"id": "P1", "incident": {"id": "P2"}}), Some("P2")),
        (json!({"incident_role_assignments": [{"incident": {"id": "P3"}}, {"incident": {"id": "P4"}}]}), Some("P3")),
        (json!({"incident_role_assignments": []}), None),
        (json!({"incident": {"id": 5}}), None),
        (json!({"id": "P1"}), None),
        (json!(null), None),
        (json!("text"), None),
    ];
    for (data, expected) in table {
        assert_eq!(id(data.clone()).as_deref(), expected, "{data}");
    }
}

#[test]
fn the_agent_is_a_person_only_if_it_is_a_user() {
    let actor = |agent: Value| {
        event(&json!({"event": {
            "event_type": "incident.resolved", "agent": agent, "data": {"type": "incident", "id": "P1"},
        }}))
        .actor
    };
    let told = |id: Option<&str>, name: Option<&str>, person| Actor {
        id: id.map(str::to_owned),
        name: name.map(str::to_owned),
        source: None,
        person,
    };
    let table = [
        (json!({"id": "PU", "type": "user_reference", "summary": "Jane"}), told(Some("PU"), Some("Jane"), true)),
        (json!({"id": "PU", "type": "user", "summary": null}), told(Some("PU"), None, true)),
        (json!({"id": "PU", "type": "user_reference"}), told(Some("PU"), None, true)),
        (json!({"id": "PB", "type": "bot_user_reference", "summary": "Bot"}), told(Some("PB"), Some("Bot"), false)),
        (json!({"id": "PS", "type": "service_reference", "summary": "S"}), told(Some("PS"), Some("S"), false)),
        (json!({"id": "PI", "type": "invented"}), told(Some("PI"), None, false)),
        (json!({"id": "", "summary": " ", "type": 5}), Actor::nobody()),
        (json!(null), Actor::nobody()),
        (json!("text"), Actor::nobody()),
    ];
    for (agent, expected) in table {
        assert_eq!(actor(agent.clone()), expected, "{agent}");
    }
}

#[test]
fn a_moment_that_cannot_be_read_is_left_out() {
    let at = |time: Value| {
        event(&json!({"event": {
            "event_type": "incident.resolved", "occurred_at": time, "data": {"type": "incident", "id": "P1"},
        }}))
        .occurred_at
        .map(Timestamp::as_millis)
    };
    assert_eq!(at(json!("2025-04-07T03:47:13.414Z")), Some(1_743_997_633_414));
    assert_eq!(at(json!("2025-04-07T05:47:13.414+02:00")), Some(1_743_997_633_414));
    assert_eq!(at(json!("yesterday")), None);
    assert_eq!(at(json!(1_743_997_633)), None);
}

#[test]
fn what_cannot_be_read_says_why_and_quotes_nothing() {
    let invalid = "an id must be 1 to 200 of the characters A-Z a-z 0-9 _ -";
    let with = |kind: &str, data: Value| json!({"event": {"event_type": kind, "data": data}});
    let incident = json!({"id": "P1"});
    let merged = |target: Value| {
        let reason = json!({"type": "merge_resolve_reason", "incident": target});
        with("incident.resolved", json!({"type": "incident", "id": "P1", "resolve_reason": reason}))
    };
    let v2 = "this is a generic V2 webhook, which nobody signs: crosspage needs a v3 webhook subscription";
    let table = [
        (json!([]), "the body is no JSON object".to_owned()),
        (json!({}), "`event` is missing or no object".to_owned()),
        (json!({"event": "secret"}), "`event` is missing or no object".to_owned()),
        (json!({"messages": []}), v2.to_owned()),
        (json!({"event": {}}), "`event.event_type` is missing".to_owned()),
        (json!({"event": {"event_type": 5}}), "`event.event_type` is missing".to_owned()),
        (with("incident.resolved", json!(null)), "the id of the incident is missing".to_owned()),
        (
            with("incident.resolved", json!({"type": "incident", "id": "../secret"})),
            format!("the id of the incident is not valid: {invalid}"),
        ),
        (
            with("incident.invented", json!({"incident": {"id": "a secret"}})),
            format!("the id of the incident is not valid: {invalid}"),
        ),
        (merged(json!(null)), "the id of the incident it was merged into is missing".to_owned()),
        (merged(json!({"id": "/"})), format!("the id of the incident it was merged into is not valid: {invalid}")),
        (
            with("incident.annotated", json!({"incident": incident, "content": "secret"})),
            "the id of the note is missing".to_owned(),
        ),
        (
            with("incident.annotated", json!({"incident": incident, "id": "a/b", "content": "secret"})),
            format!("the id of the note is not valid: {invalid}"),
        ),
        (with("incident.annotated", json!({"incident": incident, "id": "PN"})), "the note has no text".to_owned()),
        (
            with("incident.annotated", json!({"id": "PN", "content": "secret"})),
            "the id of the incident is missing".to_owned(),
        ),
    ];
    for (body, expected) in table {
        assert_eq!(read(&body), Err(Unreadable(expected)), "{body}");
    }
    assert_eq!(parse(b"\xff{", None, NOW), Err(Unreadable("the body is no JSON object".to_owned())));
}

#[test]
fn long_names_are_cut() {
    let body = json!({"event": {"event_type": "x\n".repeat(500)}});
    let Inbound::Ignored(name) = read(&body).unwrap() else { panic!() };
    assert_eq!(name, "x ".repeat(100));
}

#[test]
fn what_is_subscribed_to_is_understood() {
    for name in EVENTS {
        let incident = json!({"type": "incident", "id": "P1", "incident": {"id": "P1"}, "content": "a note"});
        let change = incident_event(&json!({"event": {"event_type": name, "data": incident}})).change;
        let by_name = !matches!(change, IncidentChange::Other(_));
        assert_eq!(by_name, NEEDED_EVENTS.contains(&name), "{name}: {change:?}");
    }
}
