//! What holds for whatever comes in.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::http::mangle::{any_json, bodies, few, id, mangle, places, remove, shuffled, wrongs};

const INTEGRATION: &str = "00000000-0000-4000-8000-000000000000";
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const NAMES: &[&str] = &[
    "action",
    "alert",
    "alertId",
    "note",
    "source",
    "name",
    "username",
    "userId",
    "owner",
    "updatedAt",
    "createdAt",
    "tags",
    "priority",
    "tinyId",
    "integrationId",
    "headers",
];

fn door() -> Door {
    Door::new(&[INTEGRATION], None)
}

fn fixtures() -> Vec<(String, Value)> {
    let mut fixtures = bodies("tests/fixtures/opsgenie");
    for (_, body) in &mut fixtures {
        body["integrationId"] = INTEGRATION.into();
    }
    fixtures
}

fn fits(id: &str) -> bool {
    (1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// Reads a body all the way; an event that comes of it must be fit to be stored and acted on.
fn read_through(body: &[u8]) -> Option<AlertId> {
    let authentic = door().authenticate(body).ok()?;
    assert!(!String::from_utf8(authentic.body_without_headers()).unwrap().contains("\"headers\":{\"X-Secret\""));
    let event = authentic.parse(NOW).ok()?;
    let stored = serde_json::to_vec(&event).unwrap();
    assert_eq!(serde_json::from_slice::<Event>(&stored).unwrap(), event);
    let EventBody::Alert(alert) = event.body else { panic!("{event:?}") };
    assert!(fits(alert.alert.as_str()));
    Some(alert.alert)
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn any_bytes_are_read_or_refused(body in any::<Vec<u8>>()) {
        read_through(&body);
    }

    #[test]
    fn any_json_is_read_or_refused(body in any_json(NAMES), alert in any_json(NAMES)) {
        read_through(body.to_string().as_bytes());
        let body = json!({"integrationId": INTEGRATION, "action": "Create", "alert": alert, "source": body});
        read_through(body.to_string().as_bytes());
    }

    #[test]
    fn a_body_with_something_wrong_is_read_or_refused(number in any::<usize>(), wrongs in wrongs(4), seed in any::<u64>()) {
        let fixtures = fixtures();
        let mut body = fixtures[number % fixtures.len()].1.clone();
        wrongs.iter().for_each(|wrong| mangle(&mut body, wrong));
        let text = shuffled(&body, seed);
        prop_assert_eq!(read_through(text.as_bytes()), read_through(body.to_string().as_bytes()));
    }

    #[test]
    fn what_is_optional_may_be_missing(number in any::<usize>(), gone in prop::collection::vec(any::<usize>(), 0..12)) {
        let fixtures = fixtures();
        let (name, whole) = &fixtures[number % fixtures.len()];
        let needed = ["", "/integrationId", "/action", "/alert", "/alert/alertId"];
        let optional: Vec<String> = places(whole).into_iter().filter(|place| !needed.contains(&place.as_str())).collect();
        let mut body = whole.clone();
        gone.iter().for_each(|at| remove(&mut body, &optional[at % optional.len()]));
        let alert = read_through(body.to_string().as_bytes());
        prop_assert_eq!(alert.as_ref().map(AlertId::as_str), whole["alert"]["alertId"].as_str(), "{}", name);
    }

    #[test]
    fn an_id_that_does_not_fit_a_path_is_never_let_in(id in id()) {
        let body = json!({"integrationId": INTEGRATION, "action": "Create", "alert": {"alertId": id}});
        let alert = read_through(body.to_string().as_bytes());
        prop_assert_eq!(alert.is_some(), fits(&id));
    }

    #[test]
    fn only_the_right_token_opens_the_door(header in any::<String>(), token in "[!-~]{1,40}") {
        let door = Door::new(&[INTEGRATION], Some(token.as_str().into()));
        prop_assert_eq!(door.authorize(Some(&header)), Err(WrongToken));
        prop_assert_eq!(door.authorize(Some(&format!("Bearer {header}{token}"))).is_ok(), header.trim().is_empty());
    }
}
