//! The fuse: what stops a loop that none of the guards has recognised. It counts what a link commands in either direction, and what
//! others copy back; it blows when both directions go on at a pace at which people do not.

use serde::{Deserialize, Serialize};

use super::event::{System, Timestamp};

const MINUTE_MS: i64 = 60_000;

/// How many minutes are remembered, which also bounds what a link stores of them.
const MINUTES: i64 = 60;

/// How many commands a link may give. A loop goes in both directions; a busy link mostly in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In a minute of the clock, in each direction.
    pub a_minute: u32,
    /// In sixty such minutes, in each direction.
    pub an_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { a_minute: 15, an_hour: 150 }
    }
}

/// What a link has commanded in the last hour, by the minute.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fuse(Vec<Minute>);

/// What was commanded in one minute, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Minute {
    /// Minutes since the Unix epoch.
    #[serde(rename = "m")]
    number: i64,
    /// Commands to Opsgenie.
    #[serde(rename = "o", default)]
    opsgenie: u32,
    /// Commands to PagerDuty.
    #[serde(rename = "p", default)]
    pagerduty: u32,
}

/// Which limit was exceeded in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blown {
    /// That of a minute.
    Minute,
    /// That of an hour.
    Hour,
}

impl Fuse {
    /// Whether nothing was counted.
    pub fn is_new(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts commands that were given because of something that happened at `at` and was heard of at `now`, by our clock.
    pub fn count(&mut self, at: Timestamp, now: Timestamp, commands: impl IntoIterator<Item = System>) {
        let number = minute_of(at);
        // What is in the future was counted before the clock was set back.
        self.0.retain(|minute| minute.number <= minute_of(now).max(number));
        for to in commands {
            let place = self.0.partition_point(|minute| minute.number < number);
            if self.0.get(place).is_none_or(|minute| minute.number != number) {
                self.0.insert(place, Minute { number, opsgenie: 0, pagerduty: 0 });
            }
            let minute = &mut self.0[place];
            let count = match to {
                System::Opsgenie => &mut minute.opsgenie,
                System::PagerDuty => &mut minute.pagerduty,
            };
            *count = count.saturating_add(1);
        }
        let newest = self.0.last().map_or(number, |minute| minute.number);
        self.0.retain(|minute| minute.number > newest - MINUTES);
    }

    /// Whether both directions have exceeded a limit by what happened at `at`.
    pub fn blown(&self, at: Timestamp, limits: Limits) -> Option<Blown> {
        let number = minute_of(at);
        let both = |minutes: i64, limit: u32| {
            let within = || self.0.iter().filter(move |m| m.number <= number && m.number > number - minutes);
            let opsgenie = within().fold(0, |sum: u32, m| sum.saturating_add(m.opsgenie));
            let pagerduty = within().fold(0, |sum: u32, m| sum.saturating_add(m.pagerduty));
            opsgenie > limit && pagerduty > limit
        };
        if both(1, limits.a_minute) {
            Some(Blown::Minute)
        } else {
            both(MINUTES, limits.an_hour).then_some(Blown::Hour)
        }
    }
}

impl Blown {
    /// What is to be read as the reason of the pause.
    pub fn reason(self, limits: Limits) -> String {
        let (limit, span) = match self {
            Self::Minute => (limits.a_minute, "a minute"),
            Self::Hour => (limits.an_hour, "an hour"),
        };
        format!("the fuse has blown: more than {limit} commands {span} in both directions, which looks like a loop")
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(MINUTE_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { a_minute: 15, an_hour: 150 };

    fn minute(number: i64) -> Timestamp {
        Timestamp::from_millis(number * MINUTE_MS + 59_999)
    }

    fn give(fuse: &mut Fuse, at: i64, opsgenie: usize, pagerduty: usize) {
        fuse.count(minute(at), minute(500), std::iter::repeat_n(System::Opsgenie, opsgenie));
        fuse.count(minute(at), minute(500), std::iter::repeat_n(System::PagerDuty, pagerduty));
    }

    #[test]
    fn it_blows_only_when_both_directions_exceed_the_limit_of_a_minute() {
        for (opsgenie, pagerduty, blown) in
            [(15, 15, None), (16, 15, None), (1_000, 15, None), (15, 1_000, None), (16, 16, Some(Blown::Minute))]
        {
            let mut fuse = Fuse::default();
            give(&mut fuse, 100, opsgenie, pagerduty);
            assert_eq!(fuse.blown(minute(100), LIMITS), blown, "{opsgenie} and {pagerduty}");
            assert_eq!(fuse.blown(minute(101), LIMITS), None, "a new minute");
        }
    }

    #[test]
    fn it_blows_when_both_directions_exceed_the_limit_of_an_hour() {
        let mut fuse = Fuse::default();
        for at in 0..60 {
            give(&mut fuse, at, 3, if at < 50 { 3 } else { 0 });
        }
        assert_eq!(fuse.blown(minute(59), LIMITS), None, "180 and 150");
        give(&mut fuse, 59, 0, 1);
        assert_eq!(fuse.blown(minute(59), LIMITS), Some(Blown::Hour), "180 and 151");
        assert_eq!(fuse.blown(minute(60), LIMITS), None, "the first minute does not count any more");
    }

    #[test]
    fn what_happened_earlier_and_is_heard_late_counts_where_it_happened() {
        let mut fuse = Fuse::default();
        for at in [5, 3, 4, 9, 2] {
            give(&mut fuse, at, 16, 0);
        }
        for at in [2, 9, 4] {
            give(&mut fuse, at, 0, 15);
            assert_eq!(fuse.blown(minute(at), LIMITS), None, "minute {at}");
            give(&mut fuse, at, 0, 1);
            assert_eq!(fuse.blown(minute(at), LIMITS), Some(Blown::Minute), "minute {at}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_keep_it_from_counting() {
        let mut fuse = Fuse::default();
        give(&mut fuse, 400, 1, 1);
        fuse.count(minute(100), minute(100), [System::Opsgenie; 16]);
        fuse.count(minute(100), minute(100), [System::PagerDuty; 16]);
        assert_eq!(fuse.blown(minute(100), LIMITS), Some(Blown::Minute));
    }

    #[test]
    fn it_remembers_no_more_than_an_hour() {
        let mut fuse = Fuse::default();
        for at in 0..500 {
            give(&mut fuse, at, 1, 1);
            assert!(fuse.0.len() <= 60);
        }
        assert!(serde_json::to_string(&fuse).unwrap().len() < 2_000);
    }
}
