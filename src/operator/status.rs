//! How crosspage and both vendors are doing: for people, and for Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::alarms::{self, AlarmView};
use super::view::moment;
use super::{Live, Operator, Result};
use crate::clock::now;
use crate::delivery::Standing;
use crate::engine::System;
use crate::health::{
    Failing, Pass, ReconcilerHealth, Round, RoundSoFar, SubscriptionState, Subscriptions, VendorHealth,
};
use crate::metrics::{Reading, StoreReading, VendorReading};
use crate::pagerduty::client::DOOR;
use crate::store::Queued;

/// How crosspage is doing. What only a running one knows is left out where a command has opened the store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// The version that runs.
    pub version: String,
    /// Since when; nothing if the store was opened by a command.
    pub started_at: Option<jiff::Timestamp>,
    /// Why no webhooks are taken, if none are.
    pub not_ready: Option<String>,
    /// What wants somebody's attention, the most urgent first.
    pub alarms: Vec<AlarmView>,
    /// How many pages have not gone out in time.
    pub late_pages: u64,
    /// Opsgenie, and what is bound for it.
    pub opsgenie: VendorView,
    /// PagerDuty, and what is bound for it.
    pub pagerduty: VendorView,
    /// Why PagerDuty posts no webhooks, or not all of them, as far as its subscriptions tell. Until that is put right, only the
    /// reconciler tells what happens there.
    pub webhooks_off: Option<String>,
    /// The reconciler, if it runs.
    pub reconciler: Option<ReconcilerView>,
    /// How many commands were given up.
    pub dead_letters: u64,
    /// How many webhooks could not be read.
    pub quarantined: u64,
    /// How many of those were dropped since they were too old.
    pub quarantine_expired: u64,
    /// How many notes wait for incidents that are being created.
    pub waiting: usize,
    /// How many links are paused.
    pub paused_links: u64,
    /// How large the database is, in bytes.
    pub store_bytes: u64,
    /// How many bytes its disk has left.
    pub free_bytes: u64,
}

/// One vendor, and what is bound for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VendorView {
    /// How it takes our calls; nothing if crosspage does not run.
    pub state: Option<VendorStateView>,
    /// Why no calls are made, if none are.
    pub stopped: Option<String>,
    /// For how many seconds more no calls are made, since the vendor asked for that.
    pub held_for_s: Option<u64>,
    /// How many calls may be made at once by the rate limit that is set. Less than none, if calls took more requests than was
    /// known beforehand.
    pub calls_left: Option<i64>,
    /// When it last did what was asked, or answered that there is nothing to do.
    pub last_success: Option<jiff::Timestamp>,
    /// The last call that failed.
    pub last_failure: Option<FailedCallView>,
    /// How many commands are to be carried out.
    pub entries: usize,
    /// How many links have commands.
    pub links: usize,
    /// How many links' commands are held: behind a page that was given up, or by a pause.
    pub held: usize,
    /// When the oldest of the commands was put in.
    pub oldest: Option<jiff::Timestamp>,
}

/// How a vendor takes our calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VendorStateView {
    /// None was made yet.
    NotCalled,
    /// It does what it is asked.
    TakesCalls,
    /// It asks for fewer calls, so none are made for a while.
    Waits,
    /// The last call has failed.
    Fails,
    /// It refuses the key or the automation user, so none are made but to see whether it still does.
    Refuses,
}

impl VendorStateView {
    fn of(standing: &Standing, health: &VendorHealth) -> Self {
        let failed_at = health.last_failure.as_ref().map(|failed| failed.at);
        match health.last_success {
            _ if standing.paused.is_some() => Self::Refuses,
            _ if standing.held_for.is_some() => Self::Waits,
            succeeded_at if failed_at > succeeded_at => Self::Fails,
            Some(_) => Self::TakesCalls,
            None => Self::NotCalled,
        }
    }

    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotCalled => "not called yet",
            Self::TakesCalls => "takes calls",
            Self::Waits => "asks us to wait",
            Self::Fails => "fails",
            Self::Refuses => "refuses our calls",
        }
    }
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedCallView {
    /// When.
    pub at: jiff::Timestamp,
    /// What it was for.
    pub operation: String,
    /// What went wrong, or what the vendor said.
    pub reason: String,
}

/// What the reconciler has seen, and how it went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReconcilerView {
    /// The last time that both sides were looked at.
    pub last_pass: Option<PassView>,
    /// When that last ended without a failure.
    pub last_complete_pass: Option<jiff::Timestamp>,
    /// The passes since then, if something failed in each.
    pub failing: Option<FailingView>,
    /// The last time that the notes of every open link had been read.
    pub last_round: Option<RoundView>,
    /// How far the next such round is, if one has begun.
    pub round: Option<RoundSoFarView>,
    /// PagerDuty's webhook subscriptions to our door, once they were looked at.
    pub subscriptions: Option<SubscriptionsView>,
}

/// A look at both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PassView {
    /// When it began.
    pub began_at: jiff::Timestamp,
    /// How many seconds it took.
    pub took_s: f64,
    /// What could not be looked at, and why.
    pub failures: BTreeMap<String, String>,
}

/// Passes, one after the other, in each of which something failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailingView {
    /// When the first of them began.
    pub since: jiff::Timestamp,
    /// How many there were.
    pub passes: u64,
}

/// A round over the notes of every open link that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RoundSoFarView {
    /// When it began.
    pub began_at: jiff::Timestamp,
    /// How many links' notes were read so far.
    pub links: u64,
}

/// A round over the notes of every open link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoundView {
    /// When it ended.
    pub ended_at: jiff::Timestamp,
    /// How many seconds it took.
    pub took_s: f64,
    /// How many links there were.
    pub links: u64,
}

/// PagerDuty's webhook subscriptions to our door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SubscriptionsView {
    /// When they were looked at.
    pub seen_at: jiff::Timestamp,
    /// Each, by its id. Empty if there is none to an address that ends as ours does.
    pub states: BTreeMap<String, SubscriptionStateView>,
}

/// How a webhook subscription is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubscriptionStateView {
    /// PagerDuty posts.
    On,
    /// PagerDuty has switched it off for a while, since too many webhooks were dropped.
    Dropped,
    /// A person has switched it off.
    SwitchedOff,
}

impl SubscriptionStateView {
    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Dropped => "switched off by PagerDuty, since too many webhooks were dropped",
            Self::SwitchedOff => "switched off by a person",
        }
    }
}

impl Operator {
    /// How crosspage is doing.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(&self) -> Result<StatusView> {
        let summary = self.store.summary().await?;
        let room = self.store.room();
        let live = self.live.as_ref();
        let reconciler = live.map(|live| live.health.reconciler());
        let vendor = |system: System| VendorView::of(summary.queued(system), live.map(|live| live.vendor(system)));
        let mut status = StatusView {
            alarms: Vec::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: live.map(|live| moment(live.started_at)),
            not_ready: self.store.ready().err().map(|error| error.kind().to_owned()),
            late_pages: live.map_or(0, |live| live.emergency.borrow().late as u64),
            opsgenie: vendor(System::Opsgenie),
            pagerduty: vendor(System::PagerDuty),
            webhooks_off: live.zip(reconciler.as_ref()).and_then(|(live, health)| live.webhooks_off(health)),
            reconciler: reconciler.filter(|_| live.is_some_and(|live| live.reconciler.is_some())).map(Into::into),
            dead_letters: summary.dead_letters,
            quarantined: summary.quarantined,
            quarantine_expired: summary.quarantine_expired,
            waiting: summary.waiting,
            paused_links: summary.paused_links,
            store_bytes: room.size,
            free_bytes: room.free,
        };
        status.alarms = alarms::of(&status);
        Ok(status)
    }

    /// All metrics, as [`CONTENT_TYPE`](crate::metrics::CONTENT_TYPE) has it; nothing if crosspage does not run here.
    ///
    /// # Errors
    /// The store's.
    pub async fn metrics(&self) -> Result<Option<String>> {
        let Some(live) = &self.live else { return Ok(None) };
        let (summary, room) = (self.store.summary().await?, self.store.room());
        let reconciler = live.health.reconciler();
        let reading = Reading {
            opsgenie: live.read(System::Opsgenie, &summary.opsgenie),
            pagerduty: live.read(System::PagerDuty, &summary.pagerduty),
            store: StoreReading {
                ready: self.store.ready().is_ok(),
                size: room.size,
                free: room.free,
                dead_letters: summary.dead_letters,
                quarantined: summary.quarantined,
                waiting: summary.waiting,
                paused_links: summary.paused_links,
            },
            subscription_up: reconciler.subscriptions.as_ref().and_then(Subscriptions::are_up),
            last_complete_pass: reconciler.last_complete_pass,
        };
        Ok(Some(live.health.metrics().encode(&reading)))
    }
}

impl Live {
    /// Why PagerDuty posts no webhooks, or not all of them.
    pub(super) fn webhooks_off(&self, reconciler: &ReconcilerHealth) -> Option<String> {
        let subscriptions = reconciler.subscriptions.as_ref()?;
        if subscriptions.is_gone {
            return Some(format!("the subscription to the address that ends in {DOOR} is gone"));
        }
        let heard = self.health.metrics().heard(System::PagerDuty);
        let off = subscriptions.states.iter().filter(|(_, state)| **state != SubscriptionState::On);
        let off: Vec<_> = off
            .map(|(id, state)| format!("subscription {id} was {}", SubscriptionStateView::from(*state).words()))
            .collect();
        // Where there is none to an address that ends as ours does, a proxy in front may take them in by another one.
        let missing = subscriptions.states.is_empty() && heard == 0;
        match missing {
            true => Some(format!(
                "no subscription posts to an address that ends in {DOOR}, and no webhook has come since the start"
            )),
            false => (!off.is_empty()).then(|| off.join("; ")),
        }
    }

    fn vendor(&self, system: System) -> (Standing, Option<String>, VendorHealth) {
        let gate = self.gates.of(system);
        (gate.standing(), gate.stopped(), self.health.of(system))
    }

    fn read(&self, system: System, queued: &Queued) -> VendorReading {
        let standing = self.gates.of(system).standing();
        VendorReading {
            entries: queued.entries,
            held_links: queued.parked,
            oldest_waits: queued.oldest_not_parked.map_or(Duration::ZERO, |oldest| now().since(oldest)),
            calls_left: standing.calls_left,
            paused: standing.paused.is_some(),
            held_for: standing.held_for.unwrap_or_default(),
        }
    }
}

impl VendorView {
    /// What is bound for a vendor, and how it is doing, if crosspage runs here.
    fn of(queued: &Queued, live: Option<(Standing, Option<String>, VendorHealth)>) -> Self {
        let queue = Self {
            entries: queued.entries,
            links: queued.lanes,
            held: queued.parked,
            oldest: queued.oldest.map(moment),
            ..Self::default()
        };
        let Some((standing, stopped, health)) = live else { return queue };
        Self {
            state: Some(VendorStateView::of(&standing, &health)),
            stopped,
            held_for_s: standing.held_for.map(|span| span.as_secs() + u64::from(span.subsec_nanos() > 0)),
            calls_left: Some(standing.calls_left.floor() as i64),
            last_success: health.last_success.map(moment),
            last_failure: health.last_failure.map(|failed| FailedCallView {
                at: moment(failed.at),
                operation: failed.operation.name().to_owned(),
                reason: failed.reason,
            }),
            ..queue
        }
    }
}

impl From<ReconcilerHealth> for ReconcilerView {
    fn from(health: ReconcilerHealth) -> Self {
        let seconds = |took: Duration| took.as_secs_f64();
        let pass = |Pass { began_at, took, failures }: Pass| PassView {
            began_at: moment(began_at),
            took_s: seconds(took),
            failures: failures.into_iter().map(|(part, why)| (part.name().to_owned(), why)).collect(),
        };
        let round = |Round { ended_at, took, links }: Round| RoundView {
            ended_at: moment(ended_at),
            took_s: seconds(took),
            links,
        };
        let subscriptions = |Subscriptions { seen_at, states, is_gone: _ }: Subscriptions| SubscriptionsView {
            seen_at: moment(seen_at),
            states: states.into_iter().map(|(id, state)| (id, state.into())).collect(),
        };
        Self {
            last_pass: health.last_pass.map(pass),
            last_complete_pass: health.last_complete_pass.map(moment),
            failing: health.failing.map(|Failing { since, passes }| FailingView { since: moment(since), passes }),
            last_round: health.last_round.map(round),
            round: health
                .round
                .map(|RoundSoFar { began_at, links }| RoundSoFarView { began_at: moment(began_at), links }),
            subscriptions: health.subscriptions.map(subscriptions),
        }
    }
}

impl From<SubscriptionState> for SubscriptionStateView {
    fn from(state: SubscriptionState) -> Self {
        match state {
            SubscriptionState::On => Self::On,
            SubscriptionState::Dropped => Self::Dropped,
            SubscriptionState::SwitchedOff => Self::SwitchedOff,
        }
    }
}
