//! The reconciler: looks at both sides, since webhooks get lost, and records what it saw as events. It writes to no vendor
//! (but for switching PagerDuty's webhooks on again); what follows from what it saw is decided like everything else.
//!
//! A pass lists what is open or has changed, a page at a time, however many links there are. Notes cannot be listed across
//! alerts: those of what has moved are read right after a pass, and those of every open link in turn, at a slow pace.

mod notes;
mod states;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use tracing::{debug, info, warn};

use crate::clock::Clock;
use crate::delivery::{Gates, Paused, Vendors};
use crate::engine::outbox::call::{Failure, Refusal};
use crate::engine::{Actor, AlertId, Event, EventBody, IncidentId, Polled, ReadLag, Reason, Seen, System, Timestamp};
use crate::store::{Store, StoreError, Verdict};

/// How the reconciler goes about it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How often both sides are listed.
    pub every: Duration,
    /// How often the notes of one open link are read, one link after the other.
    pub notes_every: Duration,
    /// Which alerts may page though their creation was missed, in Opsgenie's search language.
    pub query: Option<String>,
    /// How long after a change the vendors' reads may not show it.
    pub read_lag: ReadLag,
    /// What the time is read from.
    pub clock: Clock,
}

/// How often the notes of one link are read unless a test is in a hurry: two calls in five seconds.
pub const NOTES_EVERY: Duration = Duration::from_secs(5);

/// Compares until `stop` turns true, or the store fails.
pub async fn run(store: Store, vendors: Vendors, gates: Gates, settings: Settings, mut stop: watch::Receiver<bool>) {
    let mut reconciler = Reconciler {
        store,
        vendors,
        gates,
        settings,
        alerts: states::Alerts::default(),
        incidents: HashMap::new(),
        moved: VecDeque::new(),
        round: notes::Round::default(),
        switched_off: BTreeSet::new(),
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = reconciler.work() => {}
    }
}

struct Reconciler {
    store: Store,
    vendors: Vendors,
    gates: Gates,
    settings: Settings,
    alerts: states::Alerts,
    /// The open incidents of the last pass, and when each was last changed, by PagerDuty's clock.
    incidents: HashMap<IncidentId, Option<Timestamp>>,
    /// The sides whose notes are to be read first, since something about them has moved.
    moved: VecDeque<(AlertId, System)>,
    round: notes::Round,
    /// The subscriptions that somebody has switched off, as was logged.
    switched_off: BTreeSet<String>,
}

/// Why something was left for the next pass.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the vendor refuses our calls")]
    Paused,
    #[error("{0}")]
    Vendor(String),
    #[error("there is no such thing")]
    NotFound,
}

impl From<Paused> for Trouble {
    fn from(_: Paused) -> Self {
        Self::Paused
    }
}

impl Reconciler {
    fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    async fn work(&mut self) {
        let ticks = |every| {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut passes = ticks(self.settings.every);
        let mut rounds = ticks(self.settings.notes_every);
        loop {
            tokio::select! {
                biased;
                _ = passes.tick() => self.pass().await,
                _ = rounds.tick() => self.next_notes().await,
            }
        }
    }

    /// Looks at everything once. What fails on one side leaves the other alone, and comes round again.
    async fn pass(&mut self) {
        log_trouble("the webhook subscriptions", self.watch_subscriptions().await);
        log_trouble("alerts", self.compare_alerts().await);
        log_trouble("incidents", self.compare_incidents().await);
        self.read_moved_notes().await;
        debug!("a reconciling pass is over");
    }

    /// Makes a call behind everything else; tells when it began, by our clock.
    async fn call<T>(
        &self,
        system: System,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(Timestamp, T), Trouble> {
        let gate = self.gates.of(system);
        gate.pass_behind().await?;
        let started = self.now();
        match call.await {
            Ok(answer) => Ok((started, answer)),
            Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => Err(Trouble::NotFound),
            Err(failure) => {
                if let Failure::TryAgain { hold: Some(hold), .. } | Failure::Unclear { hold: Some(hold), .. } = &failure
                {
                    gate.hold(*hold);
                }
                Err(Trouble::Vendor(failure.into_reason()))
            }
        }
    }

    /// Records what was seen of a link's side; tells what was decided about it, and whether there is a link.
    async fn saw(&self, alert: &AlertId, read_started: Timestamp, seen: Seen) -> Result<(bool, Reason), Trouble> {
        let (system, what) = (seen.system(), seen.name());
        let polled = Polled { alert: alert.clone(), read_started, unfinished: false, seen };
        let event = Event {
            dedupe: Vec::new(),
            request_id: None,
            occurred_at: None,
            received_at: self.now(),
            actor: Actor::nobody(),
            body: EventBody::Polled(Box::new(polled)),
        };
        let recorded = self.store.record(event).await?;
        let Verdict::Decided(decisions) = recorded.verdict else { return Ok((false, Reason::NoDrift)) };
        let Some((link, reason)) = decisions.first() else { return Ok((false, Reason::NoDrift)) };
        if recorded.commands > 0 {
            let decided: Vec<_> = decisions.iter().map(|(_, reason)| reason.to_string()).collect();
            let (decided, commands) = (decided.join(", "), recorded.commands);
            info!(vendor = %system, alert.id = %alert, seen = what, decided, commands, "a webhook was missed: it is made up for");
        }
        Ok((link.is_some(), *reason))
    }
}

fn log_trouble(what: &str, result: Result<(), Trouble>) {
    match result {
        Ok(()) => {}
        // Whoever owns the store, or delivers, says so.
        Err(Trouble::Paused | Trouble::Store(StoreError::Closed)) => {}
        Err(trouble) => warn!(%trouble, "{what} could not be compared: the next pass does it"),
    }
}

/// Alerts that must be looked at again, and whether they may page.
type Again = BTreeMap<AlertId, bool>;
