//! The clock, read only by what talks to the outside and passed on as an argument from there.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::engine::Timestamp;

/// The present moment. It may jump: nothing may rely on it never going back.
pub fn now() -> Timestamp {
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// What delivery and the reconciler read the time from. Clones are the same clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that shows what `read` says, such as that of a simulated world.
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The present moment; see [`now`].
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    /// The wall clock.
    fn default() -> Self {
        Self::new(now)
    }
}

/// How evenly a clock goes: a span that it shows is one only if it did not jump within it.
#[derive(Debug)]
pub struct Pace {
    clock: Clock,
    /// Since when it goes evenly, and what it showed then.
    since: Mutex<(Instant, Timestamp)>,
}

/// What a clock may be off without having jumped: it is corrected all the time.
const CORRECTION: Duration = Duration::from_millis(500);

impl Pace {
    /// What `clock` showed before now is not known.
    pub fn new(clock: Clock) -> Self {
        let since = Mutex::new((Instant::now(), clock.now()));
        Self { clock, since }
    }

    /// For how long the clock has gone evenly, as far as is known.
    pub fn even_for(&self) -> Duration {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let (began, showed) = *since;
        let (elapsed, shows) = (began.elapsed(), self.clock.now());
        let expected = showed.plus(elapsed);
        if shows.since(expected).max(expected.since(shows)) <= CORRECTION {
            return elapsed;
        }
        *since = (Instant::now(), shows);
        Duration::ZERO
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_goes_evenly_from_its_last_jump_on() {
        let began = Instant::now();
        let off_by_ms = Arc::new(AtomicI64::new(0));
        let off = Arc::clone(&off_by_ms);
        let clock = Clock::new(move || {
            Timestamp::from_millis(off.load(Ordering::Relaxed)).plus(began.elapsed() + Duration::from_secs(3_600))
        });
        let pace = Pace::new(clock);
        assert_eq!(pace.even_for(), Duration::ZERO);
        advance(Duration::from_secs(10)).await;
        assert_eq!(pace.even_for(), Duration::from_secs(10));
        for (jump_ms, seconds) in [(400, 11), (30_000, 0), (-500, 1), (-1_500, 0), (0, 1), (3_600_000, 0)] {
            off_by_ms.fetch_add(jump_ms, Ordering::Relaxed);
            advance(Duration::from_secs(1)).await;
            assert_eq!(pace.even_for(), Duration::from_secs(seconds), "after a jump by {jump_ms} ms");
        }
    }
}
