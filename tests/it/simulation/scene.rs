//! What all parts of a simulated world share: the vendors, the disk, the time, what goes wrong, and what was noted down.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crosspage::clock::Clock;
use crosspage::engine::{System, Timestamp};
use crosspage::store::memory::MemoryBackend;
use simulators::{Answer, Opsgenie, PagerDuty, WebhookDelivery, opsgenie, pagerduty};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::plan::{CallFault, Fate, Plan, Setup, Trouble};
use super::planted::Planted;

/// When every world begins, Unix milliseconds.
const BEGINNING_MS: i64 = 1_763_600_000_123;

/// A world in which so much is written to one vendor, or read from it, is out of bounds, whatever else it does.
const MOST_WRITES: u32 = 150;
const MOST_READS: u32 = 5_000;

/// What all parts of a world share.
pub(super) struct Scene {
    pub(super) plan: Plan,
    pub(super) planted: Planted,
    opsgenie: Mutex<Opsgenie>,
    pagerduty: Mutex<PagerDuty>,
    /// What survives a crash.
    pub(super) memory: MemoryBackend,
    began: Instant,
    clock_is_off_by_ms: AtomicI64,
    /// Nothing goes wrong any more.
    calm: AtomicBool,
    /// There is no end to the calls: the world is stopped.
    endless: AtomicBool,
    /// The number of the process that runs; 0 while none does.
    alive: AtomicU64,
    /// The process has died.
    pub(super) died: Notify,
    /// Something happened at a vendor.
    stirred: [Notify; 2],
    notes: Mutex<Notebook>,
}

/// What was noted down.
#[derive(Default)]
pub(super) struct Notebook {
    /// Every line of the story, if it is to be told.
    pub(super) trace: Option<Vec<String>>,
    /// How many places were passed where the process can die.
    points: u32,
    webhooks: [u32; 2],
    pub(super) visits: u32,
    writes: [u32; 2],
    reads: [u32; 2],
    /// Reads that reached a vendor.
    pub(super) looks: [u32; 2],
    /// Writes that reached a vendor, whatever it made of them.
    pub(super) writes_served: u32,
    /// How many of the troubles came about.
    pub(super) troubles: u32,
    /// Webhooks that are late, or will come again.
    pub(super) flying: u32,
    /// Webhooks that were answered 2xx.
    pub(super) accepted: Vec<Accepted>,
    /// What people wrote.
    pub(super) written: Vec<Written>,
    /// All alerts that there ever were, oldest first.
    pub(super) alerts: Vec<String>,
    /// What people did, and that changed something.
    pub(super) done: Vec<Done>,
    /// Resolved incidents that a call of ours reopened although it could have known.
    pub(super) revived: Vec<String>,
    /// Which incident each one was merged into.
    pub(super) merges: BTreeMap<String, String>,
    /// When each incident was last looked at by itself.
    pub(super) looked_at_ms: Vec<(String, i64)>,
    /// The last change of anything, by the true time.
    pub(super) stirred_at_ms: i64,
}

/// A webhook that was answered 2xx.
pub(super) struct Accepted {
    pub(super) request_id: String,
    pub(super) what: String,
}

/// A note that a person wrote.
pub(super) struct Written {
    pub(super) in_system: System,
    /// The alert or the incident.
    pub(super) on: String,
    /// In it and in no other text.
    pub(super) token: String,
    pub(super) at_ms: i64,
    /// Its webhook came neither late nor never.
    pub(super) undisturbed: bool,
    pub(super) lost: bool,
}

/// Something that a person did, or that happened by itself, and that changed a state.
pub(super) struct Done {
    pub(super) on: String,
    pub(super) at_ms: i64,
    pub(super) state: Option<crosspage::engine::Status>,
    /// A merge, or a reopening.
    pub(super) special: bool,
}

impl Scene {
    pub(super) fn new(plan: Plan, planted: Planted, traced: bool) -> Arc<Self> {
        let opsgenie = Opsgenie::new(opsgenie_options(&plan.setup));
        let pagerduty = PagerDuty::new(pagerduty_options(&plan.setup));
        let memory = MemoryBackend::default();
        if planted == Planted::NoSync {
            memory.leave_syncs_out();
        }
        let notes = Notebook { trace: traced.then(Vec::new), ..Notebook::default() };
        Arc::new(Self {
            plan,
            planted,
            opsgenie: Mutex::new(opsgenie),
            pagerduty: Mutex::new(pagerduty),
            memory,
            began: Instant::now(),
            clock_is_off_by_ms: AtomicI64::new(0),
            calm: AtomicBool::new(false),
            endless: AtomicBool::new(false),
            alive: AtomicU64::new(0),
            died: Notify::new(),
            stirred: [Notify::new(), Notify::new()],
            notes: Mutex::new(notes),
        })
    }

    /// The true time, Unix milliseconds: that of the vendors.
    pub(super) fn now_ms(&self) -> i64 {
        BEGINNING_MS + i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX)
    }

    /// When something that is to happen so many milliseconds after the beginning happens.
    pub(super) fn moment(&self, at_ms: i64) -> Instant {
        self.began + Duration::from_millis(at_ms.unsigned_abs())
    }

    /// Our clock, which may be wrong.
    pub(super) fn clock(self: &Arc<Self>) -> Clock {
        let scene = Arc::clone(self);
        Clock::new(move || scene.our_time())
    }

    pub(super) fn our_time(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ms() + self.clock_is_off_by_ms.load(Ordering::Relaxed))
    }

    pub(super) fn set_clock(&self, by_ms: i64) {
        self.clock_is_off_by_ms.fetch_add(by_ms, Ordering::Relaxed);
        self.tell(|| format!("our clock jumps by {by_ms} ms"));
    }

    pub(super) fn opsgenie(&self) -> MutexGuard<'_, Opsgenie> {
        let mut opsgenie = self.opsgenie.lock().unwrap_or_else(PoisonError::into_inner);
        opsgenie.set_now(self.now_ms());
        opsgenie
    }

    pub(super) fn pagerduty(&self) -> MutexGuard<'_, PagerDuty> {
        let mut pagerduty = self.pagerduty.lock().unwrap_or_else(PoisonError::into_inner);
        pagerduty.set_now(self.now_ms());
        pagerduty
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notebook> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the story.
    pub(super) fn tell(&self, line: impl FnOnce() -> String) {
        let now_ms = self.now_ms() - BEGINNING_MS;
        if let Some(trace) = &mut self.notes().trace {
            trace.push(format!("{:>11.3} s  {}", now_ms as f64 / 1000.0, line()));
        }
    }

    /// From here on nothing goes wrong.
    pub(super) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(super) fn is_endless(&self) -> bool {
        self.endless.load(Ordering::Relaxed)
    }

    pub(super) fn set_alive(&self, life: u64) {
        self.alive.store(life, Ordering::Relaxed);
    }

    pub(super) fn is_alive(&self, life: u64) -> bool {
        self.alive.load(Ordering::Relaxed) == life
    }

    /// A place where the process of that number may die: then whoever came here comes no further.
    pub(super) async fn point(&self, life: u64, what: &str) {
        if self.is_alive(life) {
            let mut notes = self.notes();
            let nth = notes.points;
            notes.points += 1;
            let crash = |trouble: &Trouble| matches!(trouble, Trouble::Crash { nth: n, .. } if *n == nth);
            if self.is_calm() || !self.plan.troubles.iter().any(crash) {
                return;
            }
            notes.troubles += 1;
            drop(notes);
            self.tell(|| format!("crosspage dies {what}"));
            self.set_alive(0);
            self.died.notify_one();
        }
        std::future::pending().await
    }

    /// How long crosspage stays down after the crash that was the last one.
    pub(super) fn down_ms(&self) -> i64 {
        let nth = self.notes().points.saturating_sub(1);
        let crash = self.plan.troubles.iter().find_map(|trouble| match trouble {
            Trouble::Crash { nth: n, down_ms } if *n == nth => Some(*down_ms),
            _ => None,
        });
        crash.unwrap_or(1_000)
    }

    /// What becomes of the next call.
    pub(super) fn call_fault(&self, system: System, is_write: bool) -> Option<CallFault> {
        let mut notes = self.notes();
        let counter = if is_write { &mut notes.writes[side(system)] } else { &mut notes.reads[side(system)] };
        let nth = *counter;
        *counter += 1;
        if nth > if is_write { MOST_WRITES } else { MOST_READS } {
            self.endless.store(true, Ordering::Relaxed);
            self.set_alive(0);
            self.died.notify_one();
        }
        if self.is_calm() {
            return None;
        }
        let since_ms = self.now_ms() - BEGINNING_MS;
        let found = self.plan.troubles.iter().find_map(|trouble| match trouble {
            Trouble::Write { to, nth: n, fault } if is_write && *to == system && *n == nth => Some(fault),
            Trouble::Read { from, nth: n, fault } if !is_write && *from == system && *n == nth => Some(fault),
            Trouble::Outage { of, at_ms, for_ms, fault } if *of == system => {
                (*at_ms..at_ms + for_ms).contains(&since_ms).then_some(fault)
            }
            _ => None,
        });
        notes.troubles += u32::from(found.is_some());
        found.cloned()
    }

    /// What becomes of the next webhook.
    pub(super) fn fate(&self, system: System) -> Option<Fate> {
        let mut notes = self.notes();
        let nth = notes.webhooks[side(system)];
        notes.webhooks[side(system)] += 1;
        if self.is_calm() {
            return None;
        }
        let fate = self.plan.troubles.iter().find_map(|trouble| match trouble {
            Trouble::Webhook { from, nth: n, fate } if *from == system && *n == nth => Some(*fate),
            _ => None,
        });
        notes.troubles += u32::from(fate.is_some());
        fate
    }

    /// Something happened at that vendor: it may have webhooks to post.
    pub(super) fn stir(&self, system: System) {
        self.stirred[side(system)].notify_one();
        self.notes().stirred_at_ms = self.now_ms();
    }

    pub(super) async fn stirred(&self, system: System) {
        self.stirred[side(system)].notified().await;
    }

    /// What a vendor has to post now, and when it will have something to do again.
    pub(super) fn take_webhooks(&self, system: System) -> (Vec<WebhookDelivery>, Option<i64>) {
        let now_ms = self.now_ms();
        match system {
            System::Opsgenie => {
                let mut opsgenie = self.opsgenie();
                opsgenie.tick(now_ms);
                (opsgenie.take_webhooks(now_ms), opsgenie.next_wake())
            }
            System::PagerDuty => {
                let mut pagerduty = self.pagerduty();
                pagerduty.tick(now_ms);
                (pagerduty.take_webhooks(now_ms), pagerduty.next_wake())
            }
        }
    }

    pub(super) fn webhook_answered(&self, system: System, delivery: u64, answer: Answer) {
        let now_ms = self.now_ms();
        match system {
            System::Opsgenie => self.opsgenie().webhook_answered(delivery, now_ms, answer),
            System::PagerDuty => self.pagerduty().webhook_answered(delivery, now_ms, answer),
        }
        self.stir(system);
    }

    /// Whether no vendor has anything to do, now or later, and no webhook is on its way.
    pub(super) fn vendors_rest(&self) -> bool {
        let opsgenie = self.opsgenie();
        let pagerduty = self.pagerduty();
        let idle = opsgenie.next_wake().is_none() && pagerduty.next_wake().is_none();
        idle && opsgenie.is_quiet() && pagerduty.is_quiet() && self.notes().flying == 0
    }
}

pub(super) fn side(system: System) -> usize {
    match system {
        System::Opsgenie => 0,
        System::PagerDuty => 1,
    }
}

fn opsgenie_options(setup: &Setup) -> opsgenie::Options {
    let behaviour = opsgenie::Behaviour {
        ack_with_note_sends_addnote_too: setup.noisy,
        noop_ack_sends_webhook: setup.noisy,
        dedup_create_sends_webhook: setup.noisy,
        reack_is_success: !setup.noisy,
        updated_at_style: setup.updated_at,
        user_marker_in_username: !setup.unsaid_user,
        source_marker_in_source_name: !setup.unsaid_source,
        second_create_for_team: setup.second_create,
        read_lag_ms: setup.opsgenie_lag_ms,
        ..opsgenie::Behaviour::default()
    };
    opsgenie::Options { processing_ms: setup.processing_ms, behaviour, ..opsgenie::Options::default() }
}

fn pagerduty_options(setup: &Setup) -> pagerduty::Options {
    let taken = if setup.noisy { pagerduty::Taken::Refused } else { pagerduty::Taken::Accepted };
    let behaviour = pagerduty::Behaviour {
        resolve_again: taken,
        reack: taken,
        unack_events: setup.unack_events,
        note_trim_chars: setup.trimmed_notes.then_some(12),
        users_lookup: if setup.no_user_lookup {
            pagerduty::UsersLookup::Forbidden
        } else {
            pagerduty::UsersLookup::Allowed
        },
        agent_of_rest_writes: if setup.unsaid_agent {
            pagerduty::RestAgent::Null
        } else {
            pagerduty::RestAgent::FromUser
        },
        read_lag_ms: setup.pagerduty_lag_ms,
        ..pagerduty::Behaviour::default()
    };
    pagerduty::Options { behaviour, ..pagerduty::Options::default() }
}
