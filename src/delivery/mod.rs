//! Delivery: takes what is due from the outbox, makes the vendor calls that the step machine names, and stores what came of
//! them. It decides nothing: [`steps`](crate::engine::outbox::steps) says what comes next, the store's transaction decides what follows.

mod dispatcher;
mod gate;
mod running;
mod shares;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::engine::System;
use crate::health::Health;
use crate::store::Store;
use crate::{opsgenie, pagerduty};

use dispatcher::Dispatcher;
pub use gate::{Gate, Paused, Standing};

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
    /// What the time is read from.
    pub clock: Clock,
    /// What is told how the vendors answer.
    pub health: Health,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: 8,
            opsgenie_rate: 900,
            pagerduty_rate: 900,
            probe_every: Duration::from_secs(30),
            grace: Duration::from_secs(7),
            clock: Clock::default(),
            health: Health::default(),
        }
    }
}

/// What every call to a vendor passes, whoever makes it.
#[derive(Clone, Debug)]
pub struct Gates {
    /// Opsgenie's.
    pub opsgenie: Arc<Gate>,
    /// PagerDuty's.
    pub pagerduty: Arc<Gate>,
}

impl Gates {
    /// Gates before those clients that let through as many calls as the settings say.
    pub fn new(settings: &Settings, vendors: &Vendors) -> Self {
        Self {
            opsgenie: Arc::new(Gate::new(settings.opsgenie_rate, vendors.opsgenie.requests_made())),
            pagerduty: Arc::new(Gate::new(settings.pagerduty_rate, vendors.pagerduty.requests_made())),
        }
    }

    /// The one before `system`.
    pub fn of(&self, system: System) -> &Arc<Gate> {
        match system {
            System::Opsgenie => &self.opsgenie,
            System::PagerDuty => &self.pagerduty,
        }
    }
}

/// Delivers until `stop` turns true, or the store fails.
pub async fn run(store: Store, vendors: Vendors, gates: Gates, settings: Settings, stop: watch::Receiver<bool>) {
    let dispatcher = |system: System| Dispatcher {
        system,
        store: store.clone(),
        vendors: vendors.clone(),
        gate: Arc::clone(gates.of(system)),
        settings: settings.clone(),
        stop: stop.clone(),
    };
    tokio::join!(dispatcher(System::Opsgenie).run(), dispatcher(System::PagerDuty).run(),);
}
