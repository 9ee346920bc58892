//! How the vendors and the reconciler are doing, as was last seen. In memory only: after a start nothing is known until the
//! first call.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::outbox::call::Failure;
use crate::engine::{System, Timestamp};
use crate::metrics::{Metrics, Operation, Part};

/// What is known. Clones are the same knowledge.
#[derive(Clone, Default)]
pub struct Health {
    metrics: Metrics,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    opsgenie: VendorHealth,
    pagerduty: VendorHealth,
    reconciler: ReconcilerHealth,
}

/// How a vendor has answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VendorHealth {
    /// When it last did what was asked, or answered that there is nothing to do, by our clock.
    pub last_success: Option<Timestamp>,
    /// The last call that failed.
    pub last_failure: Option<FailedCall>,
}

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCall {
    /// When, by our clock.
    pub at: Timestamp,
    /// What it was for.
    pub operation: Operation,
    /// What went wrong, or what the vendor said.
    pub reason: String,
}

/// What the reconciler has seen, and how it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReconcilerHealth {
    /// The last pass.
    pub last_pass: Option<Pass>,
    /// When the last pass ended in which nothing failed, by our clock.
    pub last_complete_pass: Option<Timestamp>,
    /// The passes since then, if something failed in each.
    pub failing: Option<Failing>,
    /// The last time that the notes of every open link had been read.
    pub last_round: Option<Round>,
    /// How far the next such round is, if one has begun.
    pub round: Option<RoundSoFar>,
    /// PagerDuty's subscriptions to webhooks at our door, once they were looked at.
    pub subscriptions: Option<Subscriptions>,
}

/// A look at everything but the notes of what has not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// When it began, by our clock.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What could not be looked at, and why.
    pub failures: BTreeMap<Part, String>,
}

/// Passes, one after the other, in each of which something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Failing {
    /// When the first of them began, by our clock.
    pub since: Timestamp,
    /// How many there were.
    pub passes: u64,
}

/// A round over the notes of every open link that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundSoFar {
    /// When it began, by our clock.
    pub began_at: Timestamp,
    /// How many links' notes were read so far.
    pub links: u64,
}

/// A round over the notes of every open link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// When it ended, by our clock.
    pub ended_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How many links there were.
    pub links: u64,
}

/// PagerDuty's subscriptions to webhooks at our door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscriptions {
    /// When they were looked at, by our clock.
    pub seen_at: Timestamp,
    /// Each, by its id. Empty if there is none to an address that ends as ours does.
    pub states: BTreeMap<String, SubscriptionState>,
    /// Whether there is none, and there was one since the start.
    pub is_gone: bool,
}

/// How a subscription is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// PagerDuty posts.
    On,
    /// PagerDuty has switched it off for a while, since too many webhooks were dropped.
    Dropped,
    /// A person has switched it off.
    SwitchedOff,
}

impl Subscriptions {
    /// Whether all are on. Nothing if there never was one: a proxy in front may have an address that ends otherwise, or there are
    /// to be no webhooks.
    pub fn are_up(&self) -> Option<bool> {
        let up = self.states.values().all(|state| *state == SubscriptionState::On);
        (self.is_gone || !self.states.is_empty()).then_some(up && !self.is_gone)
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

impl Health {
    /// Nothing is known yet; what is learnt is counted as well.
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, known: Arc::default() }
    }

    /// A vendor was called: that took so long, ended at `now`, and failed if there is a failure.
    pub fn called(
        &self,
        system: System,
        operation: Operation,
        took: Duration,
        failure: Option<&Failure>,
        now: Timestamp,
    ) {
        let outcome = self.metrics.called(system, operation, took, failure);
        let mut known = self.known();
        let vendor = match system {
            System::Opsgenie => &mut known.opsgenie,
            System::PagerDuty => &mut known.pagerduty,
        };
        match failure.filter(|_| !outcome.is_answer()) {
            None => vendor.last_success = Some(now),
            Some(failure) => {
                let reason = failure.reason().to_owned();
                vendor.last_failure = Some(FailedCall { at: now, operation, reason });
            }
        }
    }

    /// The reconciler has looked at everything once.
    pub fn reconciled(&self, pass: Pass) {
        self.metrics.reconciled(pass.took);
        let mut known = self.known();
        if pass.failures.is_empty() {
            known.reconciler.last_complete_pass = Some(pass.began_at.plus(pass.took));
            known.reconciler.failing = None;
        } else {
            let before = known.reconciler.failing.unwrap_or(Failing { since: pass.began_at, passes: 0 });
            known.reconciler.failing = Some(Failing { passes: before.passes + 1, ..before });
        }
        known.reconciler.last_pass = Some(pass);
    }

    /// The reconciler has read the notes of every open link.
    pub fn read_notes(&self, round: Round) {
        self.metrics.notes_round(round.took);
        let mut known = self.known();
        known.reconciler.last_round = Some(round);
        known.reconciler.round = None;
    }

    /// The reconciler has read the notes of one more open link.
    pub fn reads_notes(&self, round: RoundSoFar) {
        self.known().reconciler.round = Some(round);
    }

    /// PagerDuty's subscriptions were looked at.
    pub fn subscribed(&self, subscriptions: Subscriptions) {
        self.known().reconciler.subscriptions = Some(subscriptions);
    }

    /// How a vendor has answered.
    pub fn of(&self, system: System) -> VendorHealth {
        let known = self.known();
        match system {
            System::Opsgenie => known.opsgenie.clone(),
            System::PagerDuty => known.pagerduty.clone(),
        }
    }

    /// What the reconciler has seen, and how it went.
    pub fn reconciler(&self) -> ReconcilerHealth {
        self.known().reconciler.clone()
    }

    /// What is counted beside.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::outbox::call::Refusal;

    const TOOK: Duration = Duration::from_secs(1);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn the_last_success_and_the_last_failure_of_each_vendor_are_known() {
        let health = Health::default();
        assert_eq!(health.of(System::PagerDuty), VendorHealth::default());
        let clone = health.clone();
        let called = |failure: Option<&Failure>, now| {
            clone.called(System::PagerDuty, Operation::PROBE, TOOK, failure, now);
        };
        called(None, at(1));
        called(Some(&Failure::Unauthorized("401 no".to_owned())), at(2));
        let failed = FailedCall { at: at(2), operation: Operation::PROBE, reason: "401 no".to_owned() };
        let known = VendorHealth { last_success: Some(at(1)), last_failure: Some(failed) };
        assert_eq!(health.of(System::PagerDuty), known);
        // That there is no such thing is an answer like any other.
        let not_found = Failure::Refused { meaning: Refusal::NotFound, reason: "404".to_owned() };
        called(Some(&not_found), at(3));
        assert_eq!(health.of(System::PagerDuty), VendorHealth { last_success: Some(at(3)), ..known });
        assert_eq!(health.of(System::Opsgenie), VendorHealth::default());
    }

    #[test]
    fn a_pass_in_which_something_failed_is_not_complete() {
        let health = Health::default();
        let whole = Pass { began_at: at(1), took: TOOK, failures: BTreeMap::new() };
        let partial =
            Pass { began_at: at(9), took: TOOK, failures: BTreeMap::from([(Part::Alerts, "503".to_owned())]) };
        health.reconciled(whole);
        health.reconciled(partial.clone());
        let known = health.reconciler();
        assert_eq!((known.last_pass, known.last_complete_pass), (Some(partial.clone()), Some(at(2))));
        assert_eq!(known.failing, Some(Failing { since: at(9), passes: 1 }));
        health.reconciled(Pass { began_at: at(20), ..partial });
        assert_eq!(health.reconciler().failing, Some(Failing { since: at(9), passes: 2 }), "since the first of them");
        health.reconciled(Pass { began_at: at(30), took: TOOK, failures: BTreeMap::new() });
        assert_eq!(health.reconciler().failing, None);
    }

    #[test]
    fn a_round_is_under_way_until_it_is_over() {
        let health = Health::default();
        let so_far = RoundSoFar { began_at: at(1), links: 1 };
        health.reads_notes(so_far);
        assert_eq!((health.reconciler().round, health.reconciler().last_round), (Some(so_far), None));
        let round = Round { ended_at: at(2), took: TOOK, links: 1 };
        health.read_notes(round.clone());
        assert_eq!((health.reconciler().round, health.reconciler().last_round), (None, Some(round)));
    }

    #[test]
    fn webhooks_are_up_if_all_subscriptions_are_on() {
        let up = |states: &[SubscriptionState]| {
            let states = states.iter().enumerate().map(|(number, state)| (number.to_string(), *state)).collect();
            Subscriptions { seen_at: at(1), states, is_gone: false }.are_up()
        };
        use SubscriptionState::{Dropped, On, SwitchedOff};
        assert_eq!((up(&[On]), up(&[On, On])), (Some(true), Some(true)));
        assert_eq!((up(&[Dropped]), up(&[On, SwitchedOff])), (Some(false), Some(false)));
        assert_eq!(up(&[]), None, "there may be another way");
        let gone = Subscriptions { seen_at: at(1), states: BTreeMap::new(), is_gone: true };
        assert_eq!(gone.are_up(), Some(false));
    }
}
