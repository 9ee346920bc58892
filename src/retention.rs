//! Retention: what is over and older than `RETENTION_DAYS` goes, a slice at a time, while everything else goes on.
//!
//! How old something is, only the wall clock tells, and what was pruned by a wrong one is lost. So a clock that has leapt is not
//! believed at once.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::clock::now;
use crate::engine::Timestamp;
use crate::store::{PrunePlace, Pruned, Store, StoreError};

/// How retention goes about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long what is over is kept.
    pub keep: Duration,
    /// How long after a pass the next one begins.
    pub every: Duration,
    /// How long everybody else has the store to themselves between two slices.
    pub pause: Duration,
}

/// How long after a pass the next one begins unless a test is in a hurry. What is kept is measured in days.
pub const EVERY: Duration = Duration::from_secs(3600);

/// How long everybody else has the store to themselves between two slices. With a hundred rows each, some millions of rows
/// a day can go, which is more than a busy installation makes.
pub const PAUSE: Duration = Duration::from_secs(1);

/// How many rows a slice looks at: the one thread that writes must not be kept by it for long.
const SLICE: usize = 100;

/// How far ahead of the last pass the clock may be without a doubt: crosspage was off, and is seldom off for longer.
const LEAP: Duration = Duration::from_secs(86_400);

/// How long crosspage has to run by a clock that has leapt before that is believed: long enough for it to be noticed and set
/// right, since nothing works by a clock that is wrong by days. After a long time off, pruning just begins that much later.
const DOUBT: Duration = Duration::from_secs(12 * 3600);

/// Prunes until `stop` turns true, or the store fails.
pub async fn run(store: Store, settings: Settings, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        // Whoever owns the store sees its failure and ends the process.
        _ = work(&store, &settings) => {}
    }
}

async fn work(store: &Store, settings: &Settings) -> Result<(), StoreError> {
    let mut doubt = Doubt::default();
    loop {
        if let Some(sum) = pass(store, settings, &mut doubt, now(), Instant::now()).await? {
            report(&sum);
        }
        tokio::time::sleep(settings.every).await;
    }
}

fn report(sum: &Pruned) {
    let Pruned { links, timeline, seen, quarantined, next: _ } = *sum;
    if quarantined > 0 {
        warn!(quarantined, "webhooks lay in the quarantine for RETENTION_DAYS and are dropped unread");
    }
    if links + timeline + seen > 0 {
        info!(links, timeline, seen, "what is older than RETENTION_DAYS is gone");
    }
    debug!("a pass of pruning is over");
}

/// Prunes all that is to go at `now`, if the clock is believed; `instant` is the same moment by a clock that does not leap.
async fn pass(
    store: &Store,
    settings: &Settings,
    doubt: &mut Doubt,
    now: Timestamp,
    instant: Instant,
) -> Result<Option<Pruned>, StoreError> {
    if !doubt.believes(store.pruned_at().await?, now, instant) {
        return Ok(None);
    }
    store.set_pruned_at(now).await?;
    let before = now.minus(settings.keep);
    let mut sum = Pruned::default();
    let mut place = PrunePlace::default();
    loop {
        let slice = store.prune(before, place, SLICE).await?;
        sum.links += slice.links;
        sum.timeline += slice.timeline;
        sum.seen += slice.seen;
        sum.quarantined += slice.quarantined;
        match slice.next {
            Some(next) => place = next,
            None => return Ok(Some(sum)),
        }
        tokio::time::sleep(settings.pause).await;
    }
}

/// Since when the clock is doubted, if it is.
#[derive(Default)]
struct Doubt(Option<Instant>);

impl Doubt {
    fn believes(&mut self, last: Timestamp, now: Timestamp, instant: Instant) -> bool {
        let ahead = now.since(last);
        if ahead <= LEAP {
            self.0 = None;
            return true;
        }
        let Some(since) = self.0 else {
            let (ahead_days, wait_h) = (ahead.as_secs() / 86_400, DOUBT.as_secs() / 3600);
            warn!(
                ahead_days,
                wait_h, "the clock is far ahead of the last pass of pruning: nothing is pruned for a while"
            );
            self.0 = Some(instant);
            return false;
        };
        if instant.duration_since(since) < DOUBT {
            return false;
        }
        self.0 = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Policy, System};
    use crate::store::backend::Backend;
    use crate::store::memory::MemoryBackend;
    use crate::store::{self, Form, Quarantined};

    const DAY: Duration = Duration::from_secs(86_400);
    const HOUR: Duration = Duration::from_secs(3600);
    const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const SETTINGS: Settings = Settings { keep: Duration::from_secs(3 * 86_400), every: EVERY, pause: Duration::ZERO };

    async fn store() -> Store {
        let engine = Backend::Memory(MemoryBackend::default());
        let store = Store::on(engine, store::Settings::new(Policy::default()), START).unwrap();
        let (system, received_at, reason) = (System::PagerDuty, START, "odd".to_owned());
        let (body, form, request_id) = (b"odd".to_vec(), Form::Webhook, None);
        store.quarantine(Quarantined { system, received_at, reason, body, form, request_id }).await.unwrap();
        store
    }

    #[tokio::test]
    async fn by_a_clock_that_has_leapt_nothing_goes_before_it_has_gone_on_for_long() {
        let (store, begun) = (store().await, Instant::now());
        let mut doubt = Doubt::default();
        // By day and hour of the clock, and by the hours that have gone by.
        let rows = [
            (Duration::ZERO, 0, true, 0),
            (30 * DAY, 1, false, 0),
            (30 * DAY + 11 * HOUR, 12, false, 0),
            // It was set right, and leaps again.
            (13 * HOUR, 13, true, 0),
            (30 * DAY, 14, false, 0),
            (30 * DAY + 11 * HOUR, 25, false, 0),
            (30 * DAY + 12 * HOUR, 26, true, 1),
            (30 * DAY + 13 * HOUR, 27, true, 0),
        ];
        for (clock, hours, is_believed, gone) in rows {
            let (now, instant) = (START.plus(clock), begun + hours * HOUR);
            let sum = pass(&store, &SETTINGS, &mut doubt, now, instant).await.unwrap();
            let expected = is_believed.then(|| Pruned { quarantined: gone, ..Pruned::default() });
            assert_eq!(sum, expected, "{clock:?}");
        }
    }

    #[tokio::test]
    async fn a_clock_that_has_leapt_is_doubted_anew_by_each_start() {
        let (store, begun) = (store().await, Instant::now());
        for _ in 0..3 {
            let mut doubt = Doubt::default();
            let now = START.plus(30 * DAY);
            assert_eq!(pass(&store, &SETTINGS, &mut doubt, now, begun).await.unwrap(), None);
        }
        // A day off is nothing odd, nor is a clock that was set back.
        for day in [1, 2, 3, 1, 2, 3] {
            let mut doubt = Doubt::default();
            assert!(pass(&store, &SETTINGS, &mut doubt, START.plus(day * DAY), begun).await.unwrap().is_some());
        }
    }
}
