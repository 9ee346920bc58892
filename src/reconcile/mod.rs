//! The reconciler: looks at both sides, since webhooks get lost, and records what it saw as events. It writes to no vendor
//! (but for switching PagerDuty's webhooks on again); what follows from what it saw is decided like everything else.
//!
//! A pass lists what is open or has changed, a page at a time, however many links there are. Notes cannot be listed across
//! alerts: those of what has moved are read at the end of a pass, and those of every open link in turn, at a slow pace.

mod notes;
mod order;
mod states;
mod watchdog;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{debug, info, warn};

use crate::clock::{Clock, Pace};
use crate::delivery::{Gates, Paused, Vendors};
use crate::engine::outbox::call::{Failure, Refusal};
use crate::engine::{Actor, AlertId, Event, EventBody, IncidentId, Polled, ReadLag, Reason, Seen, System, Timestamp};
use crate::health::{Health, Pass};
use crate::metrics::{Operation, Part};
use crate::store::{Store, StoreError, Verdict};

pub use order::{Difference, Found, Orders, Trigger, trigger};

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
    /// What is told how the vendors answer and what was seen.
    pub health: Health,
}

/// How often the notes of one link are read unless a test is in a hurry: two calls in five seconds.
pub const NOTES_EVERY: Duration = Duration::from_secs(5);

/// Compares until `stop` turns true, or the store fails. Passes that are ordered are made at once.
pub async fn run(
    store: Store,
    vendors: Vendors,
    gates: Gates,
    settings: Settings,
    orders: Option<Orders>,
    mut stop: watch::Receiver<bool>,
) {
    let mut reconciler = Reconciler {
        store,
        vendors,
        gates,
        pace: Pace::new(settings.clock.clone()),
        settings,
        alerts: states::Alerts::default(),
        incidents: HashMap::new(),
        moved: VecDeque::new(),
        round: notes::Round::default(),
        switched_off: BTreeSet::new(),
        subscribed: false,
        unsubscribed: false,
        failures: BTreeMap::new(),
        found: Found::default(),
        dry: false,
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = reconciler.work(orders) => {}
    }
}

struct Reconciler {
    store: Store,
    vendors: Vendors,
    gates: Gates,
    settings: Settings,
    pace: Pace,
    alerts: states::Alerts,
    /// The open incidents of the last pass, and when each was last changed, by PagerDuty's clock.
    incidents: HashMap<IncidentId, Option<Timestamp>>,
    /// The sides whose notes are to be read first, since something about them has moved.
    moved: VecDeque<notes::Moved>,
    round: notes::Round,
    /// The subscriptions that somebody has switched off, as was logged.
    switched_off: BTreeSet<String>,
    /// Whether there was a subscription to our door when it was last looked.
    subscribed: bool,
    /// Whether there is none any more, as was logged.
    unsubscribed: bool,
    /// What could not be looked at in this pass, and why.
    failures: BTreeMap<Part, String>,
    /// What this pass has found so far.
    found: Found,
    /// Whether nothing is to be changed by this pass.
    dry: bool,
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

    async fn work(&mut self, mut orders: Option<Orders>) {
        let ticks = |every| {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        };
        let mut passes = ticks(self.settings.every);
        let mut rounds = ticks(self.settings.notes_every);
        let lag = self.settings.read_lag.opsgenie.max(self.settings.read_lag.pagerduty);
        loop {
            tokio::select! {
                biased;
                order = Orders::next(&mut orders) => self.follow(order).await,
                _ = passes.tick() => {
                    let (proves, started) = (self.pace.even_for() >= lag, Instant::now());
                    let every = self.settings.every;
                    self.pass(every / 2).await;
                    // What it could not prove is looked at again as soon as it can be.
                    let next = if proves { every.saturating_sub(started.elapsed()) } else { lag.min(every) };
                    // Never at once: however long passes take, the round over the notes goes on in between.
                    passes.reset_after(next.max(Duration::from_millis(1)));
                }
                _ = rounds.tick() => self.next_notes().await,
            }
        }
    }

    /// Looks at everything once. What fails on one side leaves the other alone, and comes round again. `reads_notes_for` is how long
    /// notes of what has moved are read at most.
    async fn pass(&mut self, reads_notes_for: Duration) {
        let (began_at, started) = (self.now(), Instant::now());
        self.failures.clear();
        self.found = Found::default();
        if !self.dry {
            let looked = self.watch_subscriptions().await;
            self.leave_for_later(Part::Subscriptions, looked);
        }
        let looked = self.compare_alerts().await;
        self.leave_for_later(Part::Alerts, looked);
        let looked = self.compare_incidents().await;
        self.leave_for_later(Part::Incidents, looked);
        self.read_moved_notes(reads_notes_for).await;
        let put_down = self.put_down_progress().await;
        self.leave_for_later(Part::Alerts, put_down);
        let failures = std::mem::take(&mut self.failures);
        self.found.failures.clone_from(&failures);
        if !self.dry {
            self.settings.health.reconciled(Pass { began_at, took: started.elapsed(), failures });
        }
        debug!("a reconciling pass is over");
    }

    /// Says and counts what could not be looked at: it comes round again.
    fn leave_for_later(&mut self, part: Part, looked: Result<(), Trouble>) {
        let Err(trouble) = looked else { return };
        match &trouble {
            Trouble::Store(StoreError::Closed) => return,
            // Delivery says so.
            Trouble::Paused => {}
            Trouble::Store(_) | Trouble::Vendor(_) | Trouble::NotFound => {
                let part = part.name();
                warn!(part, %trouble, "a part of the two sides could not be compared: the next pass does it");
            }
        }
        self.settings.health.metrics().not_reconciled(part);
        self.failures.insert(part, trouble.to_string());
    }

    /// What goes wrong with a look at one thing must not keep the others from being looked at.
    fn tolerate(&mut self, part: Part, looked: Result<(), Trouble>) -> Result<(), Trouble> {
        match looked {
            Err(trouble @ Trouble::Vendor(_)) => {
                self.leave_for_later(part, Err(trouble));
                Ok(())
            }
            other => other,
        }
    }

    /// When a look that begins now begins, by our clock. How long ago something was, our clock tells only as long as it does
    /// not jump, and nobody knows what it did while crosspage was down: until it has gone evenly for as long as readings may
    /// lag behind, a look counts as one of long ago, which proves nothing.
    fn look_begins(&self, system: System) -> Timestamp {
        let even = self.pace.even_for() >= self.settings.read_lag.of(system);
        if even { self.now() } else { Timestamp::default() }
    }

    /// Makes a call behind everything else; tells when it began (see [`Self::look_begins`]).
    async fn call<T>(
        &self,
        system: System,
        operation: Operation,
        call: impl Future<Output = Result<T, Failure>>,
    ) -> Result<(Timestamp, T), Trouble> {
        let gate = self.gates.of(system);
        gate.pass_behind().await?;
        let (began_at, started) = (self.look_begins(system), Instant::now());
        let answer = call.await;
        self.settings.health.called(system, operation, started.elapsed(), answer.as_ref().err(), self.now());
        match answer {
            Ok(answer) => Ok((began_at, answer)),
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
    async fn saw(&mut self, alert: &AlertId, read_started: Timestamp, seen: Seen) -> Result<(bool, Reason), Trouble> {
        let (system, what) = (seen.system(), seen.name());
        let polled = Polled { alert: alert.clone(), read_started, unfinished: false, seen: seen.clone() };
        let event = Event {
            dedupe: Vec::new(),
            request_id: None,
            occurred_at: None,
            received_at: self.now(),
            actor: Actor::nobody(),
            body: EventBody::Polled(Box::new(polled)),
        };
        if self.dry {
            let (linked, reason) = self.store.rehearse(event).await?;
            self.found(alert, seen, reason);
            return Ok((linked, reason));
        }
        let recorded = self.store.record(event).await?;
        let Verdict::Decided(decisions) = recorded.verdict else { return Ok((false, Reason::NoDrift)) };
        let Some((link, reason)) = decisions.first() else { return Ok((false, Reason::NoDrift)) };
        if recorded.commands > 0 {
            let decided: Vec<_> = decisions.iter().map(|(_, reason)| reason.to_string()).collect();
            let (decided, commands) = (decided.join(", "), recorded.commands);
            info!(vendor = %system, alert.id = %alert, seen = what, decided, commands, "a webhook was missed: it is made up for");
        }
        self.found(alert, seen, *reason);
        Ok((link.is_some(), *reason))
    }
}
