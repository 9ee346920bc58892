//! Delivery: takes what is due from the outbox, makes the vendor calls that the step machine names, and stores what came of
//! them. It decides nothing: [`steps`] says what comes next, the store's transaction decides what follows.

mod gate;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{self, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, debug, error, info, info_span, warn};

use crate::clock::now;
use crate::engine::outbox::call::{Answer, Call};
use crate::engine::outbox::steps::{self, Next, Settlement};
use crate::engine::outbox::{DropReason, Outcome, Step};
use crate::engine::{Action, Entry, System};
use crate::store::{Claim, Store, StoreError};
use crate::{opsgenie, pagerduty};

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
    let courier = |system: System, rate: u32| Courier {
        system,
        store: store.clone(),
        vendors: vendors.clone(),
        gate: Arc::new(Gate::new(rate)),
        settings: settings.clone(),
        stop: stop.clone(),
    };
    tokio::join!(
        courier(System::Opsgenie, settings.opsgenie_rate).run(),
        courier(System::PagerDuty, settings.pagerduty_rate).run(),
    );
}

/// Delivers to one vendor.
#[derive(Clone)]
struct Courier {
    system: System,
    store: Store,
    vendors: Vendors,
    gate: Arc<Gate>,
    settings: Settings,
    stop: watch::Receiver<bool>,
}

/// The deliveries under way.
#[derive(Default)]
struct Running {
    tasks: JoinSet<()>,
    entries: HashMap<task::Id, Entry>,
}

impl Running {
    fn len(&self) -> usize {
        self.tasks.len()
    }

    fn spawn(&mut self, courier: &Courier, claim: Claim) {
        let entry = claim.entry.clone();
        let task = self.tasks.spawn(courier.clone().deliver(claim));
        self.entries.insert(task.id(), entry);
    }

    /// Waits for one of them to end; for ever if there is none.
    async fn next_ended(&mut self, courier: &Courier) {
        match self.tasks.join_next_with_id().await {
            None => std::future::pending().await,
            Some(Ok((id, ()))) => {
                self.entries.remove(&id);
            }
            Some(Err(error)) => {
                let entry = self.entries.remove(&error.id());
                error!(vendor = %courier.system, %error, "a delivery ended abnormally: it is taken up again");
                if let Some(entry) = entry {
                    // What is stored of it says how far it has come; only its time is moved.
                    let later = Entry { due_at: now().plus(AFTER_A_PANIC), ..entry };
                    if let Err(error) = courier.store.release(later, false).await {
                        error!(%error, "a delivery could not be taken up again before the next start");
                    }
                }
            }
        }
    }
}

const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// When a delivery that ended abnormally is taken up again.
const AFTER_A_PANIC: Duration = Duration::from_secs(30);

/// Why an entry is not carried on with.
enum Interrupted {
    Store(StoreError),
    Stopping,
    Paused,
}

impl From<StoreError> for Interrupted {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Courier {
    async fn run(self) {
        let mut running = Running::default();
        let mut stopping = self.stop.clone();
        while !*self.stop.borrow() {
            if self.gate.paused().is_some() {
                self.wait_out_the_pause().await;
                continue;
            }
            // Asked for before looking, so that work that comes in between is not missed.
            let store = self.store.clone();
            let more_work = store.work_changed(self.system);
            let free = self.settings.concurrency.saturating_sub(running.len());
            let Ok(claims) = self.store.claim(self.system, free, now()).await else {
                // Whoever owns the store sees the failure and ends the process.
                break;
            };
            if !claims.is_empty() {
                for claim in claims {
                    running.spawn(&self, claim);
                }
                continue;
            }
            let until_due = self.store.next_due(self.system).map(|due| due.since(now()));
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => {}
                () = more_work => {}
                () = running.next_ended(&self) => {}
                () = sleep_for(until_due), if free > 0 => {}
            }
        }
        self.finish(running).await;
    }

    async fn finish(&self, mut running: Running) {
        let deadline = Instant::now() + self.settings.grace;
        while running.len() > 0 && tokio::time::timeout_at(deadline, running.next_ended(self)).await.is_ok() {}
        let calls = running.len();
        if calls > 0 {
            warn!(vendor = %self.system, calls, "calls were cut off at the end: the next start looks what became of them");
        }
    }

    async fn wait_out_the_pause(&self) {
        let mut stopping = self.stop.clone();
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(self.settings.probe_every) => {}
        }
        let probed = match self.system {
            System::Opsgenie => self.vendors.opsgenie.probe().await,
            System::PagerDuty => self.vendors.pagerduty.probe().await,
        };
        match probed {
            Ok(()) => {
                self.gate.resume();
                info!(vendor = %self.system, "the vendor takes our calls again: deliveries go on");
            }
            Err(reason) => debug!(vendor = %self.system, reason, "the vendor still refuses our calls"),
        }
    }

    async fn deliver(self, claim: Claim) {
        let span = info_span!(
            "delivery",
            vendor = %self.system,
            alert.id = %claim.entry.alert,
            entry.id = claim.entry.id,
            action = claim.entry.command.action.name(),
        );
        async {
            match self.carry_out(claim).await {
                Ok(()) | Err(Interrupted::Stopping | Interrupted::Paused) => {}
                Err(Interrupted::Store(error)) => error!(%error, "a delivery could not be stored"),
            }
        }
        .instrument(span)
        .await;
    }

    /// Brings a claimed entry as far as it goes: to its end, or to where it must wait.
    async fn carry_out(&self, claim: Claim) -> Result<(), Interrupted> {
        let Claim { mut entry, link, sibling_notes } = claim;
        let mut known = Some(link);
        let mut write_is_paid = false;
        loop {
            // Read anew before each call: a webhook may have told meanwhile what became of the entry.
            let link = match known.take() {
                Some(link) => Some(link),
                None => self.store.link(&entry.alert).await?,
            };
            let Some(link) = link else {
                return self.settle(entry, Outcome::Dropped(DropReason::NoIncident)).await;
            };
            let call = match steps::next(&entry, &link, now()) {
                Next::Call(call) => call,
                Next::Wait(until) => {
                    entry.due_at = until;
                    return Ok(self.store.release(entry, true).await?);
                }
                Next::Done(outcome) => return self.settle(entry, outcome).await,
            };
            if write_is_paid {
                write_is_paid = false;
            } else {
                // A state is read right before it is written, so both calls are paid for at once: to wait between the two
                // would let the reading grow old.
                write_is_paid = reads_to_write(&entry, &call);
                if let Err(interrupted) = self.pass(if write_is_paid { 2 } else { 1 }).await {
                    self.store.release(entry, false).await?;
                    return Err(interrupted);
                }
            }
            if call.is_write() {
                entry.step = Step::Sending { sent_at: now() };
                self.store.save(entry.clone()).await?;
            }
            let started = Instant::now();
            let answer = self.perform(&call).await;
            log_call(&call, &answer, &entry, started.elapsed());
            let link = self.store.link(&entry.alert).await?.unwrap_or(link);
            let settlement = steps::settle(entry.clone(), &link, &sibling_notes, answer, now());
            let writes_next = matches!(&settlement, Settlement::Again(Entry { step: Step::Looked(_), .. }));
            if write_is_paid && !writes_next {
                write_is_paid = false;
                self.gate.give_back(1);
            }
            match settlement {
                Settlement::Again(further) => entry = further,
                Settlement::Later { entry: later, hold } => {
                    if let Some(hold) = hold {
                        warn!(hold_s = hold.as_secs(), "the vendor asks for fewer calls: all deliveries to it wait");
                        self.gate.hold(hold);
                    }
                    // That a request was asked for in vain is not worth a write.
                    let further = later.step != entry.step || later.attempt != entry.attempt;
                    return Ok(self.store.release(later, further).await?);
                }
                Settlement::Pause { entry, reason } => {
                    if self.gate.pause(&reason) {
                        error!(
                            reason,
                            "the vendor refuses our calls: deliveries to it are paused until it takes them again"
                        );
                    }
                    return Ok(self.store.release(entry, true).await?);
                }
                Settlement::Done(outcome) => return self.settle(entry, outcome).await,
            }
        }
    }

    async fn pass(&self, calls: u32) -> Result<(), Interrupted> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(Interrupted::Stopping),
            passed = self.gate.pass(calls) => passed.map_err(|_| Interrupted::Paused),
        }
    }

    async fn perform(&self, call: &Call) -> Answer {
        match call {
            Call::Opsgenie(call) => self.vendors.opsgenie.perform(call).await,
            Call::PagerDuty(call) => self.vendors.pagerduty.perform(call).await,
        }
    }

    async fn settle(&self, entry: Entry, outcome: Outcome) -> Result<(), Interrupted> {
        let age = now().since(entry.queued_at);
        let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        match &outcome {
            Outcome::Dead { reason } => {
                error!(reason, attempt = entry.attempt, age_ms, "a command was given up: it is among the dead letters");
            }
            Outcome::Dropped(why) => info!(?why, age_ms, "a command was overtaken by events and not sent"),
            Outcome::Superseded { .. } => {
                info!(age_ms, "a command found the other side resolved and was not carried out")
            }
            Outcome::Created { incident, .. } => {
                info!(incident.id = %incident, attempt = entry.attempt, age_ms, "an incident was created");
            }
            Outcome::Noted { .. }
            | Outcome::InState { .. }
            | Outcome::Prioritised
            | Outcome::NotApplicable
            | Outcome::FetchedAlert(_)
            | Outcome::FetchedIncident(_)
            | Outcome::FetchedNote(_) => info!(attempt = entry.attempt, age_ms, "a command was carried out"),
        }
        self.store.settle(entry, outcome, now()).await?;
        Ok(())
    }
}

/// Whether the write that this read is for follows it at once.
fn reads_to_write(entry: &Entry, call: &Call) -> bool {
    let changes_state = matches!(entry.command.action, Action::SetStatus { .. } | Action::UpdatePriority { .. });
    entry.command.to == System::PagerDuty && changes_state && !call.is_write()
}

fn log_call(call: &Call, answer: &Answer, entry: &Entry, took: Duration) {
    let duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    match answer {
        Answer::Failed(failure) => {
            warn!(call = call.name(), attempt = entry.attempt, duration_ms, ?failure, "a vendor call failed");
        }
        Answer::Incident(_)
        | Answer::Found(_)
        | Answer::Alert(_)
        | Answer::Note { .. }
        | Answer::Notes(_)
        | Answer::Accepted { .. }
        | Answer::Request(_)
        | Answer::Unsupported => debug!(call = call.name(), attempt = entry.attempt, duration_ms, "a vendor call"),
    }
}

async fn sleep_for(span: Option<Duration>) {
    match span {
        // A due moment that has just passed must not make a busy loop of the sleep.
        // One that is far away may come of a clock that was set back; the store knows when it is claimed.
        Some(span) => tokio::time::sleep(span.clamp(Duration::from_millis(1), LONGEST_SLEEP)).await,
        None => std::future::pending().await,
    }
}
