//! Opsgenie: its outgoing webhooks ([`webhook`]) and its alert API ([`client`]).

use serde::Deserialize;
use serde_json::Value;

use crate::engine::{AlertFacts, Priority, Timestamp};
use crate::http::lenient;

pub mod client;
pub mod webhook;

pub use client::{Client, Settings};

/// What an alert says of itself, in the names that webhooks and the API share. Anything may be missing, of another type
/// than documented, or empty.
#[derive(Default, Deserialize)]
struct WireFacts {
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    description: Option<String>,
    #[serde(rename = "tinyId", default)]
    tiny_id: Value,
    #[serde(default, deserialize_with = "lenient")]
    entity: Option<String>,
    #[serde(default)]
    tags: Value,
    #[serde(default, deserialize_with = "lenient")]
    priority: Option<String>,
    #[serde(rename = "createdAt", default)]
    created_at: Value,
}

impl From<WireFacts> for AlertFacts {
    fn from(wire: WireFacts) -> Self {
        let tiny_id = match wire.tiny_id {
            Value::String(text) => filled(Some(text)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        let tags: Vec<String> = match wire.tags {
            Value::Array(tags) => tags.into_iter().filter_map(|tag| filled(serde_json::from_value(tag).ok())).collect(),
            Value::String(tags) => tags.split(',').filter_map(|tag| filled(Some(tag.trim().to_owned()))).collect(),
            _ => Vec::new(),
        };
        Self {
            message: filled(wire.message),
            description: filled(wire.description),
            tiny_id,
            entity: filled(wire.entity),
            tags,
            // Old accounts send a number, and nobody knows which number is which priority.
            priority: wire.priority.and_then(|name| Priority::from_name(name.trim())),
            created_at: moment(&wire.created_at),
        }
    }
}

/// A text that says something.
fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

/// A moment in any of the forms seen: RFC 3339, or a number (perhaps as a text) whose size tells its unit. Webhooks have
/// milliseconds in `createdAt` and nanoseconds, too large for a float to hold exactly, in `updatedAt`.
fn moment(value: &Value) -> Option<Timestamp> {
    let number = match value {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => match text.trim().parse() {
            Ok(number) => number,
            Err(_) => {
                let time: jiff::Timestamp = text.trim().parse().ok()?;
                return Some(Timestamp::from_millis(time.as_millisecond()));
            }
        },
        _ => return None,
    };
    let millis = match number {
        i64::MIN..=0 => return None,
        1..100_000_000_000 => number * 1_000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number / 1_000,
        _ => number / 1_000_000,
    };
    Some(Timestamp::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_moment_is_read_by_its_size() {
        let table = [
            (json!(1_763_600_000), Some(1_763_600_000_000)),
            (json!(1_763_600_000_123_i64), Some(1_763_600_000_123)),
            (json!(1_763_600_000_123_456_i64), Some(1_763_600_000_123)),
            (json!(1_763_600_000_123_999_110_i64), Some(1_763_600_000_123)),
            (json!("1763600000123999110"), Some(1_763_600_000_123)),
            (json!(" 1763600000123 "), Some(1_763_600_000_123)),
            (json!("2026-11-20T12:00:00.250Z"), Some(1_795_176_000_250)),
            (json!("2026-11-20T13:00:00.250+01:00"), Some(1_795_176_000_250)),
            (json!(i64::MAX), Some(i64::MAX / 1_000_000)),
            (json!(0), None),
            (json!(-5), None),
            (json!(u64::MAX), None),
            (json!(1_763_600_000_123.5), None),
            (json!("soon"), None),
            (json!(""), None),
            (json!(null), None),
            (json!({}), None),
        ];
        for (value, expected) in table {
            assert_eq!(moment(&value).map(Timestamp::as_millis), expected, "{value}");
        }
    }

    #[test]
    fn facts_of_the_wrong_type_count_as_missing() {
        let facts = |value| AlertFacts::from(serde_json::from_value::<WireFacts>(value).unwrap());
        assert_eq!(facts(json!({})), AlertFacts::default());
        let wrong = json!({
            "message": 1, "description": [], "tinyId": {}, "entity": " ", "tags": 5, "priority": 2, "createdAt": {},
        });
        assert_eq!(facts(wrong), AlertFacts::default());
        let odd =
            json!({"tinyId": 1042, "tags": ["a", 5, "", null, "b"], "priority": " p2 ", "createdAt": "1763600000123"});
        let read = facts(odd);
        assert_eq!(read.tiny_id.as_deref(), Some("1042"));
        assert_eq!(read.tags, ["a", "b"]);
        assert_eq!(read.priority, Some(Priority::P2));
        assert_eq!(read.created_at, Some(Timestamp::from_millis(1_763_600_000_123)));
        assert_eq!(facts(json!({"tags": "a, b,"})).tags, ["a", "b"]);
    }
}
