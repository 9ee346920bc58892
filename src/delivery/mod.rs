//! Delivery: takes what is due from the outbox, makes the vendor calls that the step machine names, and stores what came of
//! them. It decides nothing: [`steps`](crate::engine::outbox::steps) says what comes next, the store's transaction decides what follows.

mod dispatcher;
mod gate;
mod running;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::System;
use crate::store::Store;
use crate::{opsgenie, pagerduty};

use dispatcher::Dispatcher;
use gate::Gate;

/// The two vendors' clients.
#[derive(Clone)]
pub struct Vendors {
    /// Opsgenie's.
    pub opsgenie: opsgenie::Client,
    /// PagerDuty's.
    pub pagerduty: pagerduty::Client,
}

/// How delivery goes about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many calls to one vendor may be under way at once.
    pub concurrency: usize,
    /// Calls a minute to Opsgenie; reads count.
    pub opsgenie_rate: u32,
    /// Calls a minute to PagerDuty; reads count.
    pub pagerduty_rate: u32,
    /// How often a vendor that refuses us is asked whether it still does.
    pub probe_every: Duration,
    /// How long calls under way may take to end when crosspage stops. What is cut off is looked for at the next start.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            opsgenie_rate: 900,
            pagerduty_rate: 900,
            probe_every: Duration::from_secs(30),
            grace: Duration::from_secs(7),
        }
    }
}

/// Delivers until `stop` turns true, or the store fails.
pub async fn run(store: Store, vendors: Vendors, settings: Settings, stop: watch::Receiver<bool>) {
    let dispatcher = |system: System, rate: u32| Dispatcher {
        system,
        store: store.clone(),
        vendors: vendors.clone(),
        gate: Arc::new(Gate::new(rate)),
        settings: settings.clone(),
        stop: stop.clone(),
    };
    tokio::join!(
        dispatcher(System::Opsgenie, settings.opsgenie_rate).run(),
        dispatcher(System::PagerDuty, settings.pagerduty_rate).run(),
    );
}
