//! What goes wrong, and when: one list of rules a vendor, plain fields that tests fill.

use crate::exchange::{Connection, Reply};
use crate::ids::splitmix64;

/// What [`Fault::GarbageAfter`] answers.
pub const GARBAGE: &str = "{\"gar";

/// All faults of one vendor. Rules are tried first, in order; then the dice of [`Flaky`].
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// Tried in order; the first that matches and is not used up decides.
    pub rules: Vec<Rule>,
    /// Random but repeatable faults for calls that no rule matched.
    pub flaky: Option<Flaky>,
    /// What happens to outgoing webhooks.
    pub webhooks: WebhookFaults,
}

/// One fault for the calls that match.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Which calls.
    pub matcher: Matcher,
    /// What happens to them.
    pub fault: Fault,
    /// For how many calls; `u32::MAX` is for ever.
    pub times: u32,
}

/// Which calls a rule is about. The empty matcher matches all.
#[derive(Debug, Clone, Default)]
pub struct Matcher {
    /// Upper case; `None` is any.
    pub method: Option<&'static str>,
    /// A piece of the path as sent, or with a `$` behind it, how the path ends; `None` is any.
    pub path_contains: Option<String>,
    /// How many matching calls go by before the rule begins.
    pub skip: u32,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This answer, and no effect. An empty body becomes the vendor's usual error body.
    Status {
        /// HTTP status.
        code: u16,
        /// The body, or empty.
        body: String,
        /// Further headers.
        headers: Vec<(String, String)>,
    },
    /// The connection is dropped, no effect.
    ResetBefore,
    /// The effect happens, then the connection is dropped without an answer.
    ResetAfter,
    /// The effect happens, then this status is answered.
    StatusAfter(u16),
    /// The effect happens, then a success whose body cannot be read.
    GarbageAfter,
    /// The effect happens at once, the answer comes after so many milliseconds.
    Delay(u64),
    /// 429, no effect. PagerDuty's rate limit page: it may come with or without headers.
    Throttle {
        /// Whether the vendor says how long to wait.
        with_headers: bool,
        /// Seconds until calls are taken again, as the headers say.
        reset_s: u64,
    },
    /// Opsgenie only: 202, then the request ends unsuccessfully with this status text, and no effect.
    RequestFails(String),
    /// The effect happens, then no answer until the client gives up.
    Hang,
    /// No fault: the call is served, and uses up one turn of the rule.
    Pass,
}

impl Fault {
    /// This status with the vendor's usual error body, and no effect.
    pub fn status(code: u16) -> Self {
        Self::Status { code, body: String::new(), headers: Vec::new() }
    }
}

/// One call in `one_in` meets a fault, drawn from `seed`: 500 before or after the effect, a reset before or after it,
/// or a throttle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaky {
    /// Where the dice stand; moves with each call.
    pub seed: u64,
    /// 0 is never, 1 is always.
    pub one_in: u32,
}

/// What happens to outgoing webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebhookFaults {
    /// So many next webhooks are lost, as if the vendor never made them.
    pub lose_next: u32,
    /// All are lost.
    pub lose_all: bool,
    /// Each is posted so many extra times, with the same ids.
    pub repeat_each: u32,
    /// They are queued and not posted until released.
    pub hold: bool,
    /// A release turns the order of what is queued around.
    pub reverse_on_release: bool,
}

impl Faults {
    /// The fault that this call meets, if any; uses up rules and moves the dice.
    pub fn next(&mut self, method: &str, path: &str) -> Option<Fault> {
        for rule in &mut self.rules {
            if rule.times == 0 || !rule.matcher.matches(method, path) {
                continue;
            }
            if rule.matcher.skip > 0 {
                rule.matcher.skip -= 1;
                continue;
            }
            if rule.times != u32::MAX {
                rule.times -= 1;
            }
            return Some(rule.fault.clone());
        }
        self.flaky.as_mut().and_then(Flaky::roll)
    }

    /// The next matching call meets `fault`.
    pub fn once(&mut self, method: &'static str, path_contains: &str, fault: Fault) {
        self.push(method, path_contains, fault, 1);
    }

    /// The next `times` matching calls meet `fault`.
    pub fn times(&mut self, method: &'static str, path_contains: &str, fault: Fault, times: u32) {
        self.push(method, path_contains, fault, times);
    }

    /// Every matching call meets `fault`.
    pub fn always(&mut self, method: &'static str, path_contains: &str, fault: Fault) {
        self.push(method, path_contains, fault, u32::MAX);
    }

    /// The next matching calls meet these statuses, one each: a 2xx is served as usual, anything else is answered
    /// without an effect, a 429 without headers.
    pub fn status_script(&mut self, method: &'static str, path_contains: &str, statuses: &[u16]) {
        for &status in statuses {
            let fault = match status {
                200..=299 => Fault::Pass,
                429 => Fault::Throttle { with_headers: false, reset_s: 0 },
                other => Fault::status(other),
            };
            self.push(method, path_contains, fault, 1);
        }
    }

    /// No faults from here on, neither for calls nor for webhooks. What is held goes out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn push(&mut self, method: &'static str, path_contains: &str, fault: Fault, times: u32) {
        let matcher = Matcher {
            method: (!method.is_empty()).then_some(method),
            path_contains: (!path_contains.is_empty()).then(|| path_contains.to_owned()),
            skip: 0,
        };
        self.rules.push(Rule { matcher, fault, times });
    }
}

impl Matcher {
    fn matches(&self, method: &str, path: &str) -> bool {
        self.method.is_none_or(|wanted| wanted == method)
            && self.path_contains.as_ref().is_none_or(|piece| match piece.strip_suffix('$') {
                Some(end) => path.ends_with(end),
                None => path.contains(piece.as_str()),
            })
    }
}

impl Flaky {
    fn roll(&mut self) -> Option<Fault> {
        if self.one_in == 0 || !splitmix64(&mut self.seed).is_multiple_of(u64::from(self.one_in)) {
            return None;
        }
        Some(match splitmix64(&mut self.seed) % 5 {
            0 => Fault::status(500),
            1 => Fault::StatusAfter(500),
            2 => Fault::ResetBefore,
            3 => Fault::ResetAfter,
            _ => Fault::Throttle { with_headers: true, reset_s: 1 },
        })
    }
}

/// The two error answers of a vendor that a fault may need.
pub(crate) struct ErrorReplies<'a> {
    pub(crate) status: &'a dyn Fn(u16) -> Reply,
    pub(crate) throttle: &'a dyn Fn(bool, u64) -> Reply,
}

/// Serves a call under a fault. `act` is the vendor's normal service; it is told the status text with which an
/// asynchronous request must end unsuccessfully.
pub(crate) fn serve(
    fault: Option<Fault>,
    errors: &ErrorReplies<'_>,
    act: impl FnOnce(Option<String>) -> Reply,
) -> Reply {
    let Some(fault) = fault else { return act(None) };
    match fault {
        Fault::Pass => act(None),
        Fault::RequestFails(status) => act(Some(status)),
        Fault::Status { code, body, headers } => {
            let mut reply = (errors.status)(code);
            if !body.is_empty() {
                reply.body = body.into_bytes();
            }
            reply.headers.extend(headers);
            reply
        }
        Fault::Throttle { with_headers, reset_s } => (errors.throttle)(with_headers, reset_s),
        Fault::ResetBefore => Reply { connection: Connection::Drop, ..(errors.status)(500) },
        Fault::ResetAfter => Reply { connection: Connection::Drop, ..act(None) },
        Fault::Hang => Reply { connection: Connection::Hang, ..act(None) },
        Fault::StatusAfter(code) => {
            act(None);
            (errors.status)(code)
        }
        Fault::GarbageAfter => {
            let reply = act(None);
            Reply { body: GARBAGE.as_bytes().to_vec(), ..reply }
        }
        Fault::Delay(delay_ms) => Reply { delay_ms, ..act(None) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_served_in_order_and_then_used_up() {
        let mut faults = Faults::default();
        faults.status_script("POST", "/incidents", &[500, 201, 429]);
        assert_eq!(faults.next("GET", "/incidents"), None);
        assert_eq!(faults.next("POST", "/incidents"), Some(Fault::status(500)));
        assert_eq!(faults.next("POST", "/incidents"), Some(Fault::Pass));
        assert!(matches!(faults.next("POST", "/incidents"), Some(Fault::Throttle { .. })));
        assert_eq!(faults.next("POST", "/incidents"), None);
    }

    #[test]
    fn a_rule_can_skip_calls() {
        let mut faults = Faults::default();
        let matcher = Matcher { skip: 1, ..Matcher::default() };
        faults.rules.push(Rule { matcher, fault: Fault::ResetAfter, times: 1 });
        assert_eq!(faults.next("GET", "/"), None);
        assert_eq!(faults.next("GET", "/"), Some(Fault::ResetAfter));
        assert_eq!(faults.next("GET", "/"), None);
    }

    #[test]
    fn dice_of_one_seed_fall_the_same_way() {
        let roll = || {
            let mut faults = Faults { flaky: Some(Flaky { seed: 7, one_in: 3 }), ..Faults::default() };
            (0..60).map(|_| faults.next("GET", "/")).collect::<Vec<_>>()
        };
        assert_eq!(roll(), roll());
        let hits = roll().iter().flatten().count();
        assert!((8..40).contains(&hits), "{hits} of 60");
    }
}
