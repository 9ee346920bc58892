//! The wall clock, read only by what talks to the outside and passed on as an argument from there.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::engine::Timestamp;

/// The present moment. It may jump: nothing may rely on it never going back.
pub fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}
