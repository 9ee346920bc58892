//! Where everything lies. One tree, since a batch is atomic in one tree only; numbers are big-endian, so that a scan
//! finds them in order. Vendor ids hold no `/`, so they can be parted by it.
//!
//! What is long and comes with each event lies in the order it came, since that is what the database is good at: it writes
//! whole pages, and links come up in no order at all.
//!
//! | key | value |
//! |---|---|
//! | `m/store` | the schema's version, and when crosspage first ran |
//! | `m/counters`, `m/identity` | numbers given so far; the automation user's learned ids |
//! | `m/reconciled` | up to when the alerts were compared, by Opsgenie's clock |
//! | `m/pruned` | up to when our clock is believed: when pruning last began |
//! | `m/outage` | the outage that somebody was told of, or is to be |
//! | `l/<alert>` | a link |
//! | `a/<alert>` | which links are open: the alert's id |
//! | `i/<incident>/<alert>` | which links an incident has |
//! | `o/<alert>` | a link whose incident may still be created, with a marker |
//! | `p/<alert>` | a link whose incident is owed, and since when |
//! | `q/<system>/<entry>` | an entry of the outbox |
//! | `z/<alert>/<entry>` | a dead letter |
//! | `d/<id>`, `x/<when>/<id>` | what was seen; what was seen together, by time and the first id |
//! | `e/<number>`, `t/<alert>/<number>` | what happened to a link; which of it makes an alert's timeline |
//! | `w/<number>` | an event that waits for its link |
//! | `u/<number>` | what could not be read |
//! | `c/<key>…<number>` | a piece of a long value |

use sha2::{Digest, Sha256};

use crate::engine::{AlertId, IncidentId, System, Timestamp};

pub(super) const STORE: &[u8] = b"m/store";
pub(super) const COUNTERS: &[u8] = b"m/counters";
pub(super) const IDENTITY: &[u8] = b"m/identity";
pub(super) const RECONCILED: &[u8] = b"m/reconciled";
pub(super) const PRUNED: &[u8] = b"m/pruned";
pub(super) const OUTAGE: &[u8] = b"m/outage";
pub(super) const LINKS: &[u8] = b"l/";
pub(super) const OPEN: &[u8] = b"a/";
pub(super) const OUTSTANDING: &[u8] = b"o/";
pub(super) const OWED: &[u8] = b"p/";
pub(super) const WAITING: &[u8] = b"w/";
pub(super) const TIMELINES: &[u8] = b"t/";
pub(super) const SEEN_AT: &[u8] = b"x/";
pub(super) const DEAD_LETTERS: &[u8] = b"z/";
pub(super) const QUARANTINE: &[u8] = b"u/";

pub(super) fn link(alert: &AlertId) -> Vec<u8> {
    [b"l/", alert.as_str().as_bytes()].concat()
}

pub(super) fn open(alert: &AlertId) -> Vec<u8> {
    [OPEN, alert.as_str().as_bytes()].concat()
}

pub(super) fn links_of(incident: &IncidentId) -> Vec<u8> {
    [b"i/", incident.as_str().as_bytes(), b"/"].concat()
}

pub(super) fn link_of(incident: &IncidentId, alert: &AlertId) -> Vec<u8> {
    [&links_of(incident), alert.as_str().as_bytes()].concat()
}

pub(super) fn outstanding(alert: &AlertId) -> Vec<u8> {
    [OUTSTANDING, alert.as_str().as_bytes()].concat()
}

pub(super) fn owed(alert: &AlertId) -> Vec<u8> {
    [OWED, alert.as_str().as_bytes()].concat()
}

pub(super) fn lanes(system: System) -> &'static [u8] {
    match system {
        System::Opsgenie => b"q/o/",
        System::PagerDuty => b"q/p/",
    }
}

pub(super) fn entry(system: System, id: u64) -> Vec<u8> {
    [lanes(system), &id.to_be_bytes()].concat()
}

pub(super) fn dead_letters_of(alert: &AlertId) -> Vec<u8> {
    [DEAD_LETTERS, alert.as_str().as_bytes(), b"/"].concat()
}

pub(super) fn dead_letter(alert: &AlertId, id: u64) -> Vec<u8> {
    [dead_letters_of(alert).as_slice(), &id.to_be_bytes()].concat()
}

pub(super) fn timeline(alert: &AlertId) -> Vec<u8> {
    [b"t/", alert.as_str().as_bytes(), b"/"].concat()
}

pub(super) fn timeline_place(alert: &AlertId, number: u64) -> Vec<u8> {
    [timeline(alert).as_slice(), &number.to_be_bytes()].concat()
}

pub(super) fn happened(number: u64) -> Vec<u8> {
    [b"e/".as_slice(), &number.to_be_bytes()].concat()
}

pub(super) fn waiting(number: u64) -> Vec<u8> {
    [WAITING, &number.to_be_bytes()].concat()
}

pub(super) fn quarantined(number: u64) -> Vec<u8> {
    [QUARANTINE, &number.to_be_bytes()].concat()
}

pub(super) fn quarantined_body(number: u64) -> Vec<u8> {
    [b"b/".as_slice(), &number.to_be_bytes()].concat()
}

pub(super) fn seen(id: &str) -> Vec<u8> {
    [b"d/", short(id).as_bytes()].concat()
}

pub(super) fn seen_at(at: Timestamp, id: &str) -> Vec<u8> {
    // The sign bit is turned, so that moments before 1970 sort before the others.
    let at = at.as_millis().cast_unsigned() ^ (1 << 63);
    [SEEN_AT, &at.to_be_bytes(), b"/", short(id).as_bytes()].concat()
}

/// The moment in a key of [`seen_at`].
pub(super) fn seen_when(key: &[u8]) -> Option<Timestamp> {
    let (at, _) = key.strip_prefix(SEEN_AT)?.split_first_chunk::<8>()?;
    Some(Timestamp::from_millis((u64::from_be_bytes(*at) ^ (1 << 63)).cast_signed()))
}

/// The first key behind the timeline that a key is of.
pub(super) fn after_timeline(key: &[u8]) -> Vec<u8> {
    end_of(&key[..key.len().saturating_sub(8)])
}

/// The key of a long value's piece. No other key's rest begins with the zeros of its number.
pub(super) fn chunk(key: &[u8], number: u32) -> Vec<u8> {
    [b"c/", key, &[0], &number.to_be_bytes()].concat()
}

/// The number at the end of a key.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    key.last_chunk::<8>().map(|number| u64::from_be_bytes(*number))
}

/// The first key after all that begin with `prefix`, which must not be empty or end in 255.
pub(super) fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

/// The first key after `key`.
pub(super) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// A key for people.
pub(super) fn readable(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

/// Ids come from outside in any length, and keys should not.
fn short(id: &str) -> String {
    if id.len() <= 200 {
        return id.to_owned();
    }
    Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
