//! Whatever Opsgenie's door is given is read or refused.

#![no_main]

use crosspage::engine::Timestamp;
use crosspage::opsgenie::webhook::Door;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let door = Door::new(&["i"], None);
    if let Ok(authentic) = door.authenticate(body) {
        _ = authentic.parse(Timestamp::from_millis(0));
        _ = authentic.body_without_headers();
    }
});
