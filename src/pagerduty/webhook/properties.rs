//! What holds for whatever comes in.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::http::mangle::{any_json, bodies, few, id, mangle, places, remove, shuffled, wrongs};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const NAMES: &[&str] = &[
    "event",
    "id",
    "event_type",
    "occurred_at",
    "agent",
    "data",
    "type",
    "status",
    "incident",
    "incident_key",
    "content",
    "trimmed",
    "resolve_reason",
    "summary",
    "incident_role_assignments",
    "messages",
];

/// The fixtures that are webhooks.
fn fixtures() -> Vec<(String, Value)> {
    bodies("tests/fixtures/pagerduty").into_iter().filter(|(_, body)| body.get("event").is_some()).collect()
}

fn fits(id: &str) -> bool {
    (1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Reads a body all the way; an event that comes of it must be fit to be stored and acted on.
fn read_through(body: &[u8], webhook_id: Option<&str>) -> Result<Option<IncidentId>, Unreadable> {
    let Inbound::Event(event) = parse(body, webhook_id, NOW)? else { return Ok(None) };
    let stored = serde_json::to_vec(&event).unwrap();
    assert_eq!(serde_json::from_slice::<Event>(&stored).unwrap(), event);
    let EventBody::Incident(incident) = event.body else { panic!("{event:?}") };
    assert!(fits(incident.incident.as_str()));
    match &incident.change {
        IncidentChange::Annotated(note) => assert!(fits(&note.id)),
        IncidentChange::MergedInto(into) => assert!(fits(into.as_str())),
        _ => {}
    }
    Ok(Some(incident.incident))
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn any_bytes_are_read_or_refused(body in any::<Vec<u8>>(), id in any::<Option<String>>()) {
        _ = read_through(&body, id.as_deref());
    }

    #[test]
    fn any_json_is_read_or_refused(body in any_json(NAMES), data in any_json(NAMES), number in any::<usize>()) {
        _ = read_through(body.to_string().as_bytes(), None);
        let types = ["triggered", "annotated", "resolved", "reopened", "role.assigned", "odd"];
        let event_type = format!("incident.{}", types[number % types.len()]);
        let body = json!({"event": {"event_type": event_type, "data": data, "agent": body}});
        _ = read_through(body.to_string().as_bytes(), None);
    }

    #[test]
    fn a_body_with_something_wrong_is_read_or_refused(
        number in any::<usize>(), wrongs in wrongs(4), seed in any::<u64>(),
    ) {
        let fixtures = fixtures();
        let mut body = fixtures[number % fixtures.len()].1.clone();
        wrongs.iter().for_each(|wrong| mangle(&mut body, wrong));
        let text = shuffled(&body, seed);
        prop_assert_eq!(read_through(text.as_bytes(), None), read_through(body.to_string().as_bytes(), None));
    }

    #[test]
    fn what_is_optional_may_be_missing(number in any::<usize>(), gone in prop::collection::vec(any::<usize>(), 0..12)) {
        let fixtures = fixtures();
        let (name, whole) = &fixtures[number % fixtures.len()];
        // Without its id, type and text a note is no note, and without its target a merge is no merge.
        let needed = |place: &str| {
            let parts = ["/event/event_type", "/event/data/id", "/event/data/type", "/event/data/content"];
            parts.iter().any(|part| part.starts_with(place) || place == *part)
                || place.ends_with("/incident") || place.ends_with("/incident/id")
                || place.starts_with("/event/data/resolve_reason") || place.starts_with("/event/data/incident_role")
        };
        let optional: Vec<String> = places(whole).into_iter().filter(|place| !needed(place)).collect();
        let mut body = whole.clone();
        for at in gone.iter().filter(|_| !optional.is_empty()) {
            remove(&mut body, &optional[at % optional.len()]);
        }
        let read = |body: &Value| read_through(body.to_string().as_bytes(), None);
        prop_assert_eq!(read(&body), read(whole), "{}: {}", name, body);
    }

    #[test]
    fn an_id_that_does_not_fit_a_path_is_never_let_in(id in id(), other in id()) {
        let incident = json!({"event": {"event_type": "incident.triggered", "data": {"id": id, "type": "incident"}}});
        prop_assert_eq!(read_through(incident.to_string().as_bytes(), None).is_ok(), fits(&id));
        let note = json!({"event": {"event_type": "incident.annotated", "data": {
            "id": id, "content": "text", "type": "incident_note", "incident": {"id": other},
        }}});
        prop_assert_eq!(read_through(note.to_string().as_bytes(), None).is_ok(), fits(&id) && fits(&other));
        let merge = json!({"event": {"event_type": "incident.resolved", "data": {
            "id": id, "type": "incident",
            "resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": other}},
        }}});
        prop_assert_eq!(read_through(merge.to_string().as_bytes(), None).is_ok(), fits(&id) && fits(&other));
    }
}
