//! One dispatcher a vendor: claims what is due, and brings each entry as far as it goes.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::gate::Gate;
use super::running::Running;
use super::{Settings, Vendors};
use crate::clock::now;
use crate::engine::outbox::call::{Answer, Call};
use crate::engine::outbox::steps::{self, Made, Next, Settlement};
use crate::engine::outbox::{DropReason, Outcome, Step};
use crate::engine::{Action, Entry, Link, System};
use crate::store::{Claim, Store, StoreError};

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

/// Logs about an entry: each line stands alone, and `alert.id` finds all of one story.
macro_rules! log_entry {
    ($level:ident, $entry:expr, $($rest:tt)*) => {
        $level!(
            vendor = %$entry.command.to,
            alert.id = %$entry.alert,
            entry.id = $entry.id,
            action = $entry.command.action.name(),
            attempt = $entry.attempt,
            $($rest)*
        )
    };
}

impl Dispatcher {
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
    async fn probe(&self) -> Result<(), String> {
        match self.system {
            System::Opsgenie => self.vendors.opsgenie.probe().await,
            System::PagerDuty => self.vendors.pagerduty.probe().await,
        }
    }

    pub(super) async fn deliver(self, claim: Claim) {
        let entry = claim.entry.clone();
        match self.carry_out(claim).await {
            Ok(()) | Err(Interrupted::Stopping | Interrupted::Paused) => {}
            // Whoever owns the store logs what is wrong with it.
            Err(Interrupted::Store(error)) if error.is_fatal() => {}
            Err(Interrupted::Store(error)) => log_entry!(error, entry, %error, "a delivery was not stored"),
        }
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
                return self.end(entry, Outcome::Dropped(DropReason::NoIncident)).await;
            };
            let call = match steps::next(&entry, &link, now()) {
                Next::Call(call) => call,
                Next::Wait(until) => {
                    entry.due_at = until;
                    return Ok(self.store.release(entry).await?);
                }
                Next::Done(outcome) => return self.end(entry, outcome).await,
            };
            if write_is_paid {
                write_is_paid = false;
            } else {
                // A state is read right before it is written, so both calls are paid for at once: to wait between the two
                // would let the reading grow old.
                write_is_paid = reads_to_write(&entry, &call);
                let tokens = if write_is_paid { 2 } else { 1 };
                match self.pass(tokens).await {
                    Ok(waited) if waited && call.is_write() => {
                        // What was to be written may be wrong by now.
                        let fresh = self.store.link(&entry.alert).await?;
                        if fresh
                            .as_ref()
                            .is_none_or(|link| steps::next(&entry, link, now()) != Next::Call(call.clone()))
                        {
                            self.gate.give_back(tokens);
                            continue;
                        }
                    }
                    Ok(_) => {}
                    Err(interrupted) => {
                        self.store.put_off(entry).await?;
                        return Err(interrupted);
                    }
                }
            }
            let settlement = self.make(&mut entry, &link, &call, &sibling_notes).await?;
            let writes_next = matches!(&settlement, Settlement::Again(Entry { step: Step::Looked(_), .. }));
            if write_is_paid && !writes_next {
                write_is_paid = false;
                self.gate.give_back(1);
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
            entry.step = Step::Sending { sent_at: now() };
            self.store.save(entry.clone()).await?;
        }
        let (started, began_at) = (Instant::now(), now());
        let answer = match call {
            Call::Opsgenie(call) => self.vendors.opsgenie.perform(call).await,
            Call::PagerDuty(call) => self.vendors.pagerduty.perform(call).await,
        };
        let failed = matches!(answer, Answer::Failed(_));
        log_entry!(debug, entry, call = call.name(), failed, duration_ms = millis(started.elapsed()), "a vendor call");
        let fresh = self.store.link(&entry.alert).await?;
        let made = Made { began_at, answered_at: now() };
        Ok(steps::settle(entry.clone(), fresh.as_ref().unwrap_or(link), sibling_notes, answer, made))
    }

    /// Waits until the gate lets calls pass; tells whether that took any time.
    async fn pass(&self, calls: u32) -> Result<bool, Interrupted> {
        let mut stop = self.stop.clone();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Err(Interrupted::Stopping),
            passed = self.gate.pass(calls) => passed.map_err(|_| Interrupted::Paused),
        }
    }

    async fn put_off(&self, before: &Entry, later: Entry, hold: Option<Duration>) -> Result<(), Interrupted> {
        if let Some(hold) = hold {
            warn!(vendor = %self.system, hold_s = hold.as_secs(), "the vendor asks for fewer calls: all deliveries to it wait");
            self.gate.hold(hold);
        }
        if later.attempt == before.attempt && later.step == before.step {
            // That a request was asked for in vain is not worth a write.
            return Ok(self.store.put_off(later).await?);
        }
        if let Some(reason) = later.trouble.as_ref().filter(|_| later.attempt != before.attempt) {
            let retry_in_ms = millis(later.due_at.since(now()));
            log_entry!(warn, later, reason, retry_in_ms, "a vendor call failed: it is tried again");
        }
        Ok(self.store.release(later).await?)
    }

    async fn pause(&self, entry: Entry, reason: &str) -> Result<(), Interrupted> {
        if self.gate.pause(reason) {
            error!(vendor = %self.system, reason, "the vendor refuses our calls: deliveries wait until it takes them again");
        }
        Ok(self.store.release(entry).await?)
    }

    async fn end(&self, entry: Entry, outcome: Outcome) -> Result<(), Interrupted> {
        let age_ms = millis(now().since(entry.queued_at));
        match &outcome {
            Outcome::Dead { reason } => {
                log_entry!(error, entry, reason, age_ms, "a command was given up: it is among the dead letters");
            }
            Outcome::Dropped(why) => log_entry!(info, entry, why = why.name(), age_ms, "a command was not sent"),
            Outcome::Superseded { .. } => {
                log_entry!(info, entry, age_ms, "a command found the other side resolved and was not carried out");
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
        self.store.settle(entry, outcome, now()).await?;
        Ok(())
    }
}

/// Whether the write that this read is for follows it at once.
fn reads_to_write(entry: &Entry, call: &Call) -> bool {
    let changes_state = matches!(entry.command.action, Action::SetStatus { .. } | Action::UpdatePriority { .. });
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
