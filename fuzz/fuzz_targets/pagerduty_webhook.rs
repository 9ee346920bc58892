//! Whatever PagerDuty's webhook holds is read or refused.

#![no_main]

use crosspage::engine::Timestamp;
use crosspage::pagerduty::webhook;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    _ = webhook::parse(body, Some("w-1"), Timestamp::from_millis(0));
});
