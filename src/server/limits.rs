//! How much is let in at once, and how often the same complaint is logged.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

/// How many connections there may be at once, however many files the process may open.
const MAX_CONNECTIONS: u64 = 2_048;

/// How many open files are left to everything but connections: the store, the calls to the vendors, the log.
const RESERVED_FILES: u64 = 128;

/// Fewer connections than this are worth a warning: both vendors post in bursts.
const FEW_CONNECTIONS: u64 = 256;

/// How often the same complaint is logged.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// How many connections there may be in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Connections(u64);

impl Connections {
    /// As many as the process may have files open for.
    pub(super) fn by_open_files() -> Self {
        Self::within(getrlimit(Resource::Nofile).current)
    }

    /// As many as `files`, if that is limited at all, leave room for.
    fn within(files: Option<u64>) -> Self {
        let room = files.map_or(MAX_CONNECTIONS, |files| files.saturating_sub(RESERVED_FILES));
        Self(room.clamp(1, MAX_CONNECTIONS))
    }

    /// How many there may be, if that is worth a warning.
    pub(super) fn few(self) -> Option<u64> {
        (self.0 < FEW_CONNECTIONS).then_some(self.0)
    }

    /// How many each of `workers` may have; at least one.
    pub(super) fn each_of(self, workers: usize) -> usize {
        (usize::try_from(self.0).unwrap_or(usize::MAX) / workers.max(1)).max(1)
    }
}

/// Lets a complaint through once a minute at most.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    /// Whether it is time to complain at `now`; then the next minute begins.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|last| now.saturating_duration_since(last) >= COMPLAIN_EVERY);
        if due {
            *last = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_workers_together_stay_below_the_limit_of_open_files() {
        let table = [
            (None, 4, 512, None),
            (None, 1, 2_048, None),
            (None, 3, 682, None),
            (Some(1_048_576), 4, 512, None),
            (Some(2_176), 4, 512, None),
            (Some(1_024), 4, 224, None),
            (Some(384), 2, 128, None),
            (Some(383), 2, 127, Some(255)),
            (Some(256), 4, 32, Some(128)),
            (Some(128), 4, 1, Some(1)),
            (Some(0), 4, 1, Some(1)),
        ];
        for (files, workers, each, few) in table {
            let connections = Connections::within(files);
            assert_eq!((connections.each_of(workers), connections.few()), (each, few), "{files:?} {workers}");
        }
    }

    #[test]
    fn a_complaint_comes_once_a_minute() {
        let (seldom, start) = (Seldom::default(), Instant::now());
        let due = |seconds| seldom.is_due(start + Duration::from_secs(seconds));
        assert_eq!([0, 1, 59, 60, 61, 119, 120].map(due), [true, false, false, true, false, false, true]);
    }
}
