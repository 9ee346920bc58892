//! Retention: what is over and older than `RETENTION_DAYS` goes, a slice at a time, while everything else goes on.

use std::time::Duration;

use tokio::sync::watch;
use tracing::{debug, info, warn};

use crate::clock::now;
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

/// Prunes until `stop` turns true, or the store fails.
pub async fn run(store: Store, settings: Settings, mut stop: watch::Receiver<bool>) {
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        // Whoever owns the store sees its failure and ends the process.
        _ = work(&store, &settings) => {}
    }
}

async fn work(store: &Store, settings: &Settings) -> Result<(), StoreError> {
    loop {
        let sum = pass(store, settings).await?;
        let Pruned { links, timeline, seen, quarantined, next: _ } = sum;
        if quarantined > 0 {
            warn!(quarantined, "these lay in the quarantine for RETENTION_DAYS and are dropped");
        }
        if links + timeline + seen > 0 {
            info!(links, timeline, seen, "what is older than RETENTION_DAYS is gone");
        }
        debug!("a pass of pruning is over");
        tokio::time::sleep(settings.every).await;
    }
}

async fn pass(store: &Store, settings: &Settings) -> Result<Pruned, StoreError> {
    let mut sum = Pruned::default();
    let mut place = PrunePlace::default();
    loop {
        let before = now().minus(settings.keep);
        let slice = store.prune(before, place, SLICE).await?;
        sum.links += slice.links;
        sum.timeline += slice.timeline;
        sum.seen += slice.seen;
        sum.quarantined += slice.quarantined;
        match slice.next {
            Some(next) => place = next,
            None => return Ok(sum),
        }
        tokio::time::sleep(settings.pause).await;
    }
}
