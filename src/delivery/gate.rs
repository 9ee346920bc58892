//! What every call to one vendor passes first: its rate, the waits it asked for, and the pause while it refuses us.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many calls may be made at once before the rate counts.
const BURST: f64 = 60.0;

/// Less than this is no wait.
const AT_ONCE: Duration = Duration::from_millis(20);

/// How often whoever lets everybody else go first looks whether somebody still waits.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The gate before one vendor.
#[derive(Debug)]
pub struct Gate {
    per_second: f64,
    state: Mutex<State>,
    /// Held by whoever waits for the next token, so that calls pass in the order they came.
    turn: tokio::sync::Mutex<()>,
    /// How many deliveries wait to pass.
    waiting: AtomicUsize,
}

/// A delivery that waits to pass, for as long as it lives.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn among(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct State {
    tokens: f64,
    filled_at: Instant,
    held_until: Option<Instant>,
    paused: Option<String>,
}

/// The vendor refuses us, so no call is made.
#[derive(Debug, PartialEq, Eq)]
pub struct Paused;

impl Gate {
    pub(super) fn new(calls_a_minute: u32) -> Self {
        let state = State { tokens: BURST, filled_at: Instant::now(), held_until: None, paused: None };
        Self {
            per_second: f64::from(calls_a_minute) / 60.0,
            state: Mutex::new(state),
            turn: tokio::sync::Mutex::new(()),
            waiting: AtomicUsize::new(0),
        }
    }

    /// Waits until `calls` calls may be made; tells whether that took any time.
    pub(super) async fn pass(&self, calls: u32) -> Result<bool, Paused> {
        let asked_at = Instant::now();
        let _waiting = Waiting::among(&self.waiting);
        let _turn = self.turn.lock().await;
        loop {
            match self.try_pass(f64::from(calls), Instant::now()) {
                Ok(None) => return Ok(asked_at.elapsed() > AT_ONCE),
                Ok(Some(wait)) => tokio::time::sleep(wait).await,
                Err(paused) => return Err(paused),
            }
        }
    }

    /// Waits until one call may be made and no delivery waits for its own.
    pub(crate) async fn pass_behind(&self) -> Result<(), Paused> {
        loop {
            let wait = if self.waiting.load(Ordering::Relaxed) > 0 {
                self.paused().map_or(Ok(LOOK_AGAIN), |_| Err(Paused))?
            } else {
                match self.try_pass(1.0, Instant::now())? {
                    None => return Ok(()),
                    Some(wait) => wait,
                }
            };
            tokio::time::sleep(wait).await;
        }
    }

    fn try_pass(&self, calls: f64, now: Instant) -> Result<Option<Duration>, Paused> {
        let mut state = self.lock();
        if state.paused.is_some() {
            return Err(Paused);
        }
        if let Some(until) = state.held_until.filter(|until| *until > now) {
            return Ok(Some(until - now));
        }
        let refilled = now.duration_since(state.filled_at).as_secs_f64() * self.per_second;
        state.tokens = (state.tokens + refilled).min(BURST);
        state.filled_at = now;
        if state.tokens >= calls {
            state.tokens -= calls;
            return Ok(None);
        }
        let missing = (calls - state.tokens) / self.per_second;
        Ok(Some(Duration::from_secs_f64(missing).max(Duration::from_millis(1))))
    }

    /// Gives back a call that was not made.
    pub(super) fn give_back(&self, calls: u32) {
        let mut state = self.lock();
        state.tokens = (state.tokens + f64::from(calls)).min(BURST);
    }

    /// Lets nothing pass for `span`, because the vendor asked for that.
    pub(crate) fn hold(&self, span: Duration) {
        let until = Instant::now() + span;
        let mut state = self.lock();
        state.held_until = state.held_until.max(Some(until));
    }

    /// Lets nothing pass until [`Gate::resume`]. Whether it passed before.
    pub(super) fn pause(&self, reason: &str) -> bool {
        self.lock().paused.replace(reason.to_owned()).is_none()
    }

    /// Lets calls pass again.
    pub(super) fn resume(&self) {
        self.lock().paused = None;
    }

    /// Why nothing passes, if so.
    pub(super) fn paused(&self) -> Option<String> {
        self.lock().paused.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_at_once_and_then_the_rate_holds() {
        let gate = Gate::new(600);
        let start = Instant::now();
        for _ in 0..60 {
            gate.pass(1).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::ZERO);
        for _ in 0..20 {
            gate.pass(1).await.unwrap();
        }
        let elapsed = start.elapsed();
        assert!((1_900..2_200).contains(&elapsed.as_millis()), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_stops_everybody_until_it_is_over() {
        let gate = Gate::new(600);
        gate.hold(Duration::from_secs(30));
        gate.hold(Duration::from_secs(5));
        let start = Instant::now();
        gate.pass(1).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(30));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_turns_calls_back_until_it_is_lifted() {
        let gate = Gate::new(600);
        assert!(gate.pause("key refused"));
        assert!(!gate.pause("key refused"));
        assert_eq!(gate.pass(1).await, Err(Paused));
        gate.resume();
        assert_eq!(gate.pass(1).await, Ok(false));
    }

    #[tokio::test(start_paused = true)]
    async fn the_reconciler_passes_after_every_delivery_that_waits() {
        let gate = Gate::new(60);
        gate.pass(60).await.unwrap();
        let order = Mutex::new(Vec::new());
        let behind = async {
            gate.pass_behind().await.unwrap();
            order.lock().unwrap().push("reconciler");
        };
        let delivery = async {
            gate.pass(1).await.unwrap();
            order.lock().unwrap().push("delivery");
        };
        tokio::join!(behind, delivery, async {
            gate.pass(1).await.unwrap();
            order.lock().unwrap().push("delivery");
        });
        assert_eq!(*order.lock().unwrap(), ["delivery", "delivery", "reconciler"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_given_back_can_be_used() {
        let gate = Gate::new(60);
        gate.pass(60).await.unwrap();
        gate.give_back(1);
        let start = Instant::now();
        gate.pass(1).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}
