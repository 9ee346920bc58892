//! No header verifies by chance.

#![no_main]

use crosspage::pagerduty::signature;
use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;

fuzz_target!(|input: (&str, &[u8])| {
    let (header, body) = input;
    let secrets = [SecretString::from("a secret that nobody knows"), SecretString::from("")];
    assert!(signature::verify(&secrets, Some(header), body).is_err());
});
