//! Identifiers and timestamps. Everything is derived from a seed and a counter, so that a run can be repeated.

use jiff::Timestamp;

/// One step of the splitmix64 generator: small, well spread, and good enough for identifiers and fault dice.
pub(crate) fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A source of identifiers that look like the vendors' own.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    state: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A version 4 shaped UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (high, low) = (splitmix64(&mut self.state), splitmix64(&mut self.state));
        uuid_of(high, low)
    }

    /// `length` upper-case letters and digits after `prefix`, as in PagerDuty's ids.
    pub(crate) fn upper(&mut self, prefix: &str, length: usize) -> String {
        const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut id = String::from(prefix);
        for _ in 0..length {
            let index = splitmix64(&mut self.state) % ALPHABET.len() as u64;
            id.push(char::from(ALPHABET[index as usize]));
        }
        id
    }

    /// A number to draw other things from.
    pub(crate) fn number(&mut self) -> u64 {
        splitmix64(&mut self.state)
    }

    /// 32 lower-case hexadecimal digits, as in the key of an incident made in PagerDuty's web application.
    pub(crate) fn hex32(&mut self) -> String {
        format!("{:016x}{:016x}", splitmix64(&mut self.state), splitmix64(&mut self.state))
    }
}

/// The UUID that always belongs to `name`: the id of a user who is known by an e-mail address only.
pub(crate) fn uuid_for(name: &str) -> String {
    let mut state = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let high = splitmix64(&mut state);
    uuid_of(high, splitmix64(&mut state))
}

fn uuid_of(high: u64, low: u64) -> String {
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        0x8000 | ((low >> 48) & 0x3fff),
        low & 0xffff_ffff_ffff,
    )
}

/// RFC 3339 in UTC with milliseconds, as Opsgenie's alerts and PagerDuty's `occurred_at` have it.
pub(crate) fn rfc3339_ms(at_ms: i64) -> String {
    timestamp(at_ms).strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// RFC 3339 in UTC with seconds, as PagerDuty's `created_at` has it.
pub(crate) fn rfc3339_s(at_ms: i64) -> String {
    timestamp(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What the `Date` header of an answer says, with seconds.
pub(crate) fn http_date(at_ms: i64) -> String {
    timestamp(at_ms).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Unix milliseconds of an RFC 3339 text.
pub(crate) fn parse_rfc3339(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn timestamp(at_ms: i64) -> Timestamp {
    Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH)
}
