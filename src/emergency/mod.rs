//! Pages that do not get through. Whatever keeps them (a vendor that is down or refuses us, a rate limit, a dead letter), a timer
//! notices: each is complained about in the log, `/readyz` says so, and somebody is told by PagerDuty's other API, once an
//! outage, until the pages stand.

mod teller;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::sync::watch;
use tracing::{error, info, warn};

use crate::clock::now;
use crate::delivery::Gates;
use crate::engine::{AlertId, Timestamp};
use crate::metrics::Metrics;
use crate::pagerduty::Events;
use crate::store::{LatePage, Store, StoreError};
use teller::Teller;

/// How emergencies are gone about.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a page may take.
    pub after: Duration,
    /// How often it is looked whether one is late.
    pub look_every: Duration,
    /// How long after somebody was told of an outage pages that became late since then may be told.
    pub tell_again_after: Duration,
    /// What is counted.
    pub metrics: Metrics,
}

/// How long a page may take before it is an emergency.
pub const LATE_AFTER: Duration = Duration::from_secs(60);

impl Default for Settings {
    fn default() -> Self {
        let look_every = Duration::from_secs(1);
        Self { after: LATE_AFTER, look_every, tell_again_after: Duration::from_secs(600), metrics: Metrics::default() }
    }
}

/// How many looks go by after the start before an emergency begins: what was left by the last run is mostly delivered by then.
const LOOKS_OF_GRACE: u32 = 5;

/// How many late pages are complained about in one look; the others in the next ones.
const COMPLAINTS: usize = 100;

/// How things stand, for whoever asks from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// How many pages are late.
    pub late: usize,
    /// When the one that has waited for longest was to go out, by our clock.
    pub oldest: Option<Timestamp>,
    /// When the last of them became late, by our clock. Not known if it was set back.
    pub newest_at: Option<Timestamp>,
}

impl Status {
    /// Since when the last page is late, if one is.
    fn late_since(&self) -> Option<Timestamp> {
        (self.late > 0).then(|| self.newest_at.unwrap_or_default())
    }
}

/// Watches until `stop` turns true, or the store fails. `events` is the other way, if there is one; `service` names what is paged,
/// and `status` is told how things stand.
pub async fn run(
    store: Store,
    gates: Gates,
    events: Option<Events>,
    service: String,
    settings: Settings,
    status: watch::Sender<Status>,
    mut stop: watch::Receiver<bool>,
) {
    let teller = Teller::new(store.clone(), events, service, &settings, status.subscribe());
    let watcher = Watcher { store, gates, settings, status, complained_of: None };
    // Both end with the store, and that is somebody else's to say.
    let _ = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => Ok(()),
        ended = watcher.work(teller) => ended,
    };
}

struct Watcher {
    store: Store,
    gates: Gates,
    settings: Settings,
    status: watch::Sender<Status>,
    /// The last late page that was complained about: later ones are newer.
    complained_of: Option<(Timestamp, AlertId)>,
}

impl Watcher {
    async fn work(mut self, teller: Teller) -> Result<(), StoreError> {
        if self.store.outage().await?.is_none() {
            tokio::time::sleep(self.settings.look_every * LOOKS_OF_GRACE).await;
        }
        // Before anybody is told anything: an outage that has outlived the last run need not be over.
        self.look().await?;
        let every = self.settings.look_every;
        let looking = async {
            loop {
                tokio::time::sleep(every).await;
                self.look().await?;
            }
        };
        tokio::select! {
            ended = looking => ended,
            ended = teller.work() => ended,
        }
    }

    /// Looks once, complains about whatever has become late, and tells how things stand.
    async fn look(&mut self) -> Result<(), StoreError> {
        let after = self.settings.after;
        let late = self.store.late_pages(now(), after, self.complained_of.clone(), COMPLAINTS).await?;
        for page in &late.pages {
            let why = why(page, Some(&self.gates));
            let waited_s = now().since(page.since).as_secs();
            error!(alert.id = %page.alert, waited_s, why, "a page has not gone out in time");
            self.complained_of = Some((page.since, page.alert.clone()));
        }
        self.settings.metrics.late_pages(late.count);
        let status = Status { late: late.count, oldest: late.oldest, newest_at: late.newest_at };
        self.status.send_if_modified(|before| {
            let changed = *before != status;
            match (before.late, status.late) {
                (0, 1..) => warn!(late = status.late, "this is an emergency: pages do not get through"),
                (1.., 0) => info!("the emergency is over: no page is late any more"),
                _ => {}
            }
            *before = status;
            changed
        });
        Ok(())
    }
}

/// What keeps a page; `gates` tell whether calls are made at all, where crosspage runs.
pub fn why(page: &LatePage, gates: Option<&Gates>) -> String {
    let stopped = || gates.and_then(|gates| gates.of(page.waits_for).stopped());
    match (&page.trouble, page.given_up) {
        (Some(reason), true) => format!("it was given up: {reason}"),
        (trouble, _) => stopped().or_else(|| trouble.clone()).unwrap_or_else(|| "its turn has not come".to_owned()),
    }
}
