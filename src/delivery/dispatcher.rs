//! One dispatcher a vendor: claims what is due, and brings each entry as far as it goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::gate::{Gate, Passage, Paused};
use super::running::Running;
use super::shares::Waits;
use super::{Settings, Vendors};
use crate::engine::outbox::call::{Answer, Call, Failure};
use crate::engine::outbox::steps::{self, Made, Next, Settlement};
use crate::engine::outbox::{DropReason, Outcome, Step};
use crate::engine::{Action, Class, Entry, Link, System, Timestamp};
use crate::metrics::Operation;
use crate::store::{Claim, DueByClass, Store, StoreError, Verdict};

/// No sleep is longer: a moment that is far away may come of a clock that was set back, which the store knows when it is
/// asked.
const LONGEST_SLEEP: Duration = Duration::from_secs(600);

/// How often a pause that lasts is logged again.
const REMIND_EVERY: Duration = Duration::from_secs(300);

/// Delivers to one vendor.
#[derive(Clone)]
pub(super) struct Dispatcher {
    pub(super) system: System,
    pub(super) store: Store,
    pub(super) vendors: Vendors,
    pub(super) gate: Arc<Gate>,
    pub(super) settings: Settings,
    pub(super) stop: watch::Receiver<bool>,
}

/// What could be begun with, and when something else can be.
struct Due {
    waits: Waits,
    next_in: Option<Duration>,
}

impl Due {
    fn at(due: DueByClass, now: Timestamp) -> Self {
        let mut waits = Waits::default();
        let mut next_in = None::<Duration>;
        for (class, due) in Class::OF_COMMANDS.into_iter().zip(due) {
            let Some(due) = due else { continue };
            let in_ = due.since(now);
            if in_.is_zero() || in_ > LONGEST_SLEEP {
                waits[class as usize] = Some(now.since(due));
            } else {
                next_in = Some(next_in.map_or(in_, |next| next.min(in_)));
            }
        }
        Self { waits, next_in }
    }
}

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

/// Logs about an entry: each line stands alone, `alert.id` finds all of one story, and `request.id` the webhook that it comes
/// of.
macro_rules! log_entry {
    ($level:ident, $entry:expr, $($rest:tt)*) => {
        $level!(
            vendor = %$entry.command.to,
            request.id = $entry.request_id.as_deref(),
            alert.id = %$entry.alert,
            entry.id = $entry.id,
            action = $entry.command.action.name(),
            attempt = $entry.attempt,
            $($rest)*
        )
    };
}

impl Dispatcher {
    pub(super) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    pub(super) async fn run(self) {
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
            let due = Due::at(store.due(self.system), self.now());
            let waits = if free > 0 { due.waits } else { Waits::default() };
            self.gate.to_begin(&waits);
            let passed = tokio::select! {
                // In this order, so that a simulated world runs alike each time; what comes last is not starved by what ends.
                biased;
                _ = stopping.wait_for(|stop| *stop) => None,
                () = running.next_ended(&self) => None,
                // If it is turned back by a pause, that is waited out above.
                passage = self.pass_to_begin(free), if waits.iter().any(Option::is_some) => passage.ok(),
                // Whatever comes in may be more urgent than what waits.
                () = more_work, if free > 0 => None,
                () = sleep_for(due.next_in), if free > 0 => None,
            };
            // Not to be given up half-way: a claim that nobody receives stays claimed until the next start.
            if let Some(passage) = passed
                && self.begin(passage, &mut running).await.is_err()
            {
                // Whoever owns the store sees the failure and ends the process.
                break;
            }
        }
        self.finish(running).await;
    }

    /// Waits until deliveries may begin: up to `free` if there are calls enough, else one.
    async fn pass_to_begin(&self, free: usize) -> Result<Passage, Paused> {
        match self.gate.pass_at_once(u32::try_from(free).unwrap_or(u32::MAX)) {
            Some(passage) => Ok(passage),
            None => self.gate.pass_to_begin().await,
        }
    }

    /// Begins as many deliveries as there are calls for.
    async fn begin(&self, mut passage: Passage, running: &mut Running) -> Result<(), StoreError> {
        let limit = passage.calls() as usize;
        let claims = match passage.class {
            Some(class) => self.store.claim_of(class, self.system, limit, self.now()).await?,
            None => self.store.claim(self.system, limit, self.now()).await?,
        };
        for claim in claims {
            running.spawn(self, claim, passage.split_one());
        }
        Ok(())
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
        let mut remind_at = Instant::now() + REMIND_EVERY;
        while let Some(reason) = self.gate.paused() {
            tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(self.settings.probe_every) => {}
            }
            // It may hang as long as any call, which is longer than the end may take.
            let probed = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => return,
                probed = self.probe() => probed,
            };
            if probed.is_ok() {
                self.gate.resume();
                info!(vendor = %self.system, "the vendor takes our calls again: deliveries go on");
            } else if Instant::now() >= remind_at {
                remind_at += REMIND_EVERY;
                let queued = self.store.summary().await.map_or(0, |summary| summary.queued(self.system).entries);
                warn!(vendor = %self.system, reason, queued, "the vendor refuses our calls still: deliveries wait");
            }
        }
    }

    /// Whether the vendor lets us in.
    async fn probe(&self) -> Result<(), Failure> {
        let started = Instant::now();
        let probed = match self.system {
            System::Opsgenie => self.vendors.opsgenie.probe().await,
            System::PagerDuty => self.vendors.pagerduty.probe().await,
        };
        self.called(Operation::PROBE, started, probed.as_ref().err());
        probed
    }

    fn called(&self, operation: Operation, started: Instant, failure: Option<&Failure>) {
        self.settings.health.called(self.system, operation, started.elapsed(), failure, self.now());
    }

    pub(super) async fn deliver(self, claim: Claim, paid: Passage) {
        let entry = claim.entry.clone();
        match self.carry_out(claim, paid).await {
            Ok(()) | Err(Interrupted::Stopping | Interrupted::Paused) => {}
            // Whoever owns the store logs what is wrong with it.
            Err(Interrupted::Store(error)) if error.is_fatal() => {}
            Err(Interrupted::Store(error)) => log_entry!(error, entry, %error, "a delivery was not stored"),
        }
    }

    /// Brings a claimed entry as far as it goes: to its end, or to where it must wait. `paid` is what calls are paid for.
    async fn carry_out(&self, claim: Claim, mut paid: Passage) -> Result<(), Interrupted> {
        let Claim { mut entry, class, link, sibling_notes } = claim;
        let mut known = Some(link);
        loop {
            // Read anew before each call: a webhook may have told meanwhile what became of the entry.
            let link = match known.take() {
                Some(link) => Some(link),
                None => self.store.link(&entry.alert).await?,
            };
            let Some(link) = link else {
                return self.end(entry, Outcome::Dropped(DropReason::NoIncident)).await;
            };
            let call = match steps::next(&entry, &link, self.now()) {
                Next::Call(call) => call,
                Next::Wait(until) => {
                    entry.due_at = until;
                    return Ok(self.store.release(entry).await?);
                }
                Next::Done(outcome) => return self.end(entry, outcome).await,
            };
            // A state is read right before it is written, so both calls are paid for at once: to wait between the two
            // would let the reading grow old.
            let calls = if reads_to_write(&entry, &call) { 2_u32 } else { 1 };
            let missing = calls.saturating_sub(paid.calls());
            if missing > 0 {
                if let Some(more) = self.gate.pass_at_once(missing) {
                    paid.join(more);
                } else {
                    match self.pass(class, missing, self.now().since(entry.due_at)).await {
                        Ok(more) => paid.join(more),
                        Err(interrupted) => {
                            self.store.put_off(entry).await?;
                            return Err(interrupted);
                        }
                    }
                    // What was to be written may be wrong by now.
                    continue;
                }
            }
            paid.spend_one();
            let settlement = self.make(&mut entry, &link, &call, &sibling_notes).await?;
            let writes_next = matches!(&settlement, Settlement::Again(Entry { step: Step::Looked(_), .. }));
            if !writes_next {
                paid.give_back();
            }
            match settlement {
                Settlement::Again(further) => entry = further,
                Settlement::Later { entry: later, hold } => return self.put_off(&entry, later, hold).await,
                Settlement::Pause { entry, reason } => return self.pause(entry, &reason).await,
                Settlement::Done(outcome) => return self.end(entry, outcome).await,
            }
        }
    }

    /// Makes a call, and finds out what its answer means. A write is known on disk before it is sent.
    async fn make(
        &self,
        entry: &mut Entry,
        link: &Link,
        call: &Call,
        sibling_notes: &[String],
    ) -> Result<Settlement, Interrupted> {
        if call.is_write() {
            entry.step = Step::Sending { sent_at: self.now() };
            self.store.save(entry.clone()).await?;
        }
        let (started, began_at) = (Instant::now(), self.now());
        let answer = match call {
            Call::Opsgenie(call) => self.vendors.opsgenie.perform(call).await,
            Call::PagerDuty(call) => self.vendors.pagerduty.perform(call).await,
        };
        let failure = match &answer {
            Answer::Failed(failure) => Some(failure),
            _ => None,
        };
        self.called(Operation::from(call), started, failure);
        let failed = failure.is_some();
        log_entry!(debug, entry, call = call.name(), failed, duration_ms = millis(started.elapsed()), "a vendor call");
        let fresh = self.store.link(&entry.alert).await?;
        let made = Made { began_at, answered_at: self.now() };
        Ok(steps::settle(entry.clone(), fresh.as_ref().unwrap_or(link), sibling_notes, answer, made))
    }

    /// Waits until the gate lets further calls pass.
    async fn pass(&self, class: Class, calls: u32, waited: Duration) -> Result<Passage, Interrupted> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(Interrupted::Stopping),
            passed = self.gate.pass(class, calls, waited) => passed.map_err(|_| Interrupted::Paused),
        }
    }

    async fn put_off(&self, before: &Entry, later: Entry, hold: Option<Duration>) -> Result<(), Interrupted> {
        if let Some(hold) = hold {
            warn!(vendor = %self.system, hold_s = hold.as_secs(), "the vendor asks for fewer calls: all deliveries to it wait");
            self.gate.hold(hold);
        }
        let failed = (later.attempt, later.refusals) != (before.attempt, before.refusals);
        if !failed && later.step == before.step {
            // That a request was asked for in vain is not worth a write.
            return Ok(self.store.put_off(later).await?);
        }
        if let Some(reason) = later.trouble.as_ref().filter(|_| failed) {
            let retry_in_ms = millis(later.due_at.since(self.now()));
            log_entry!(warn, later, reason, retry_in_ms, "a vendor call failed: it is tried again");
        }
        Ok(self.store.release(later).await?)
    }

    async fn pause(&self, entry: Entry, reason: &str) -> Result<(), Interrupted> {
        if self.gate.pause(reason) {
            let keys = match self.system {
                System::Opsgenie => "OPSGENIE_API_KEY, OPSGENIE_REGION",
                System::PagerDuty => "PAGERDUTY_API_KEY, PAGERDUTY_EMAIL, PAGERDUTY_REGION",
            };
            error!(
                vendor = %self.system,
                reason,
                keys,
                "the vendor refuses our calls: deliveries wait until it takes them again; mend there what the keys name, or the keys \
                 and restart crosspage"
            );
        }
        Ok(self.store.release(entry).await?)
    }

    async fn end(&self, entry: Entry, outcome: Outcome) -> Result<(), Interrupted> {
        let age_ms = millis(self.now().since(entry.queued_at));
        match &outcome {
            Outcome::Dead { reason } => {
                log_entry!(error, entry, reason, age_ms, "a command was given up: it is among the dead letters");
            }
            Outcome::Dropped(why) => log_entry!(info, entry, why = why.name(), age_ms, "a command was not sent"),
            Outcome::Superseded { .. } => {
                log_entry!(info, entry, age_ms, "a command found the other side resolved and was not carried out");
            }
            Outcome::Merged { into, .. } => {
                log_entry!(info, entry, incident.id = %into, age_ms, "a command found the incident merged: the link goes on with that one");
            }
            Outcome::Created { incident, .. } => {
                log_entry!(info, entry, incident.id = %incident, age_ms, "an incident was created");
            }
            Outcome::Noted { .. }
            | Outcome::InState { .. }
            | Outcome::Prioritised
            | Outcome::NotApplicable
            | Outcome::FetchedAlert(_)
            | Outcome::FetchedIncident(_)
            | Outcome::FetchedNote(_) => log_entry!(info, entry, age_ms, "a command was carried out"),
        }
        let (alert, id, request_id) = (entry.alert.clone(), entry.id, entry.request_id.clone());
        let incident = match &outcome {
            Outcome::Created { incident, .. } => Some(incident.to_string()),
            _ => None,
        };
        let recorded = self.store.settle(entry, outcome, self.now()).await?;
        if let Verdict::Decided(decisions) = recorded.verdict {
            let notes = decisions.iter().filter(|(alert, _)| alert.is_none()).count();
            if notes > 0 {
                info!(
                    notes,
                    request.id = request_id,
                    alert.id = %alert,
                    entry.id = id,
                    incident.id = incident,
                    "notes that waited for this creation to end belong to no alert that is linked: they are not passed on"
                );
            }
        }
        Ok(())
    }
}

/// Whether the write that this read is for follows it at once.
fn reads_to_write(entry: &Entry, call: &Call) -> bool {
    let changes_state = matches!(
        entry.command.action,
        Action::SetStatus { .. } | Action::UpdatePriority { .. } | Action::EndMerged { .. }
    );
    entry.command.to == System::PagerDuty && changes_state && !call.is_write()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

async fn sleep_for(span: Option<Duration>) {
    match span {
        // A due moment that has just passed must not make a busy loop of the sleep.
        Some(span) => tokio::time::sleep(span.clamp(Duration::from_millis(1), LONGEST_SLEEP)).await,
        None => std::future::pending().await,
    }
}
