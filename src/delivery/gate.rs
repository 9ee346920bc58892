//! What every call to one vendor passes first: its rate, the waits it asked for, and the pause while it refuses us. When
//! calls are scarce, whoever is most urgent passes first (see [`shares`](super::shares)).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::shares::{Shares, Waits};
use crate::engine::Class;

/// How many calls may be made at once before the rate counts.
const BURST: f64 = 60.0;

/// The gate before one vendor.
#[derive(Debug)]
pub struct Gate {
    per_second: f64,
    /// How many requests the vendor's client has made. A call may take several, which is known only afterwards.
    made: Arc<AtomicU64>,
    state: Mutex<State>,
    /// Told when whoever waits may have to wait for longer or shorter than they think.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    filled_at: Instant,
    /// How many requests were paid for, of those made and of those that are to be made.
    paid: u64,
    held_until: Option<Instant>,
    paused: Option<String>,
    shares: Shares,
    /// Since when something of each class waits to be begun with. It counts also while whoever begins with it has not come
    /// back for the next: else the less urgent would slip through meanwhile.
    to_begin: [Option<Instant>; Class::ALL.len()],
    /// Those who wait, in the order they came.
    waiting: Vec<Waiter>,
    last_id: u64,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    calls: u32,
    purpose: Purpose,
    granted: oneshot::Sender<Class>,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// To begin with whatever there is to begin with.
    Begin,
    /// To go on with something of that class, which has waited since then.
    GoOn(Class, Instant),
}

/// How a gate stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// How many calls may be made at once. Less than none, if calls took more requests than was known beforehand.
    pub calls_left: f64,
    /// For how long nothing passes, since the vendor asked for that.
    pub held_for: Option<Duration>,
    /// Why nothing passes until the vendor takes our calls again.
    pub paused: Option<String>,
}

/// The vendor refuses us, so no call is made.
#[derive(Debug, PartialEq, Eq)]
pub struct Paused;

/// Calls that may be made. What is left of them is given back.
#[derive(Debug)]
pub(super) struct Passage {
    gate: Arc<Gate>,
    /// What they are for; nothing if there were enough for whatever is wanted.
    pub(super) class: Option<Class>,
    calls: u32,
}

impl Passage {
    /// How many calls may still be made.
    pub(super) fn calls(&self) -> u32 {
        self.calls
    }

    /// Makes a call.
    pub(super) fn spend_one(&mut self) {
        self.calls = self.calls.saturating_sub(1);
    }

    /// Takes one of the calls out.
    pub(super) fn split_one(&mut self) -> Self {
        let calls = self.calls.min(1);
        self.calls -= calls;
        Self { gate: Arc::clone(&self.gate), class: self.class, calls }
    }

    /// Puts further calls to these.
    pub(super) fn join(&mut self, mut more: Self) {
        self.calls += std::mem::take(&mut more.calls);
    }

    /// Gives back what is left.
    pub(super) fn give_back(&mut self) {
        self.gate.give_back(std::mem::take(&mut self.calls));
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Gate {
    /// A gate that lets so many calls pass. `made` counts the requests that were made, by whoever.
    pub(crate) fn new(calls_a_minute: u32, made: Arc<AtomicU64>) -> Self {
        let state = State {
            tokens: BURST,
            filled_at: Instant::now(),
            paid: made.load(Ordering::Relaxed),
            held_until: None,
            paused: None,
            shares: Shares::default(),
            to_begin: [None; Class::ALL.len()],
            waiting: Vec::new(),
            last_id: 0,
        };
        let per_second = f64::from(calls_a_minute) / 60.0;
        Self { per_second, made, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Lets `calls` calls pass if there are so many and nobody waits: then it does not matter what they are for.
    pub(super) fn pass_at_once(self: &Arc<Self>, calls: u32) -> Option<Passage> {
        let mut state = self.lock();
        self.fill(&mut state, Instant::now());
        let plenty = state.paused.is_none()
            && state.held_until.is_none()
            && state.waiting.is_empty()
            && state.tokens >= f64::from(calls);
        if !plenty {
            return None;
        }
        state.take(calls);
        Some(Passage { gate: Arc::clone(self), class: None, calls })
    }

    /// Says what waits to be begun with, and for how long, until it is said anew.
    pub(super) fn to_begin(&self, waits: &Waits) {
        let now = Instant::now();
        let to_begin = waits.map(|waited| waited.map(|waited| now.checked_sub(waited).unwrap_or(now)));
        self.lock().to_begin = to_begin;
        self.changed.notify_waiters();
    }

    /// Waits until something may be begun with, and tells what.
    pub(super) async fn pass_to_begin(self: &Arc<Self>) -> Result<Passage, Paused> {
        let class = self.wait(Purpose::Begin, 1).await?;
        Ok(Passage { gate: Arc::clone(self), class: Some(class), calls: 1 })
    }

    /// Waits until `calls` further calls may be made for something that was begun; `waited` is how long it has waited.
    pub(super) async fn pass(self: &Arc<Self>, class: Class, calls: u32, waited: Duration) -> Result<Passage, Paused> {
        let now = Instant::now();
        self.wait(Purpose::GoOn(class, now.checked_sub(waited).unwrap_or(now)), calls).await?;
        Ok(Passage { gate: Arc::clone(self), class: Some(class), calls })
    }

    /// Waits until one call may be made behind all deliveries, but for the share that is kept for such calls.
    pub(crate) async fn pass_behind(self: &Arc<Self>) -> Result<(), Paused> {
        self.pass(Class::Reconcile, 1, Duration::ZERO).await?.spend_one();
        Ok(())
    }

    async fn wait(&self, purpose: Purpose, calls: u32) -> Result<Class, Paused> {
        let mut place = Place::take(self, purpose, calls)?;
        loop {
            // Before anything is looked at, so that no change in between is missed.
            let changed = self.changed.notified();
            let next = self.serve(Instant::now());
            tokio::select! {
                biased;
                granted = &mut place.granted => return granted.map_err(|_| Paused),
                () = changed => {}
                () = tokio::time::sleep(next) => {}
            }
        }
    }

    /// Lets pass whoever may, and says how long it will take until somebody else may.
    fn serve(&self, now: Instant) -> Duration {
        let mut state = self.lock();
        self.fill(&mut state, now);
        loop {
            if let Some(until) = state.held_until {
                return until - now;
            }
            let waits = state.waits(now);
            let Some((class, place)) = state.next(&waits) else { return A_LONG_TIME };
            let calls = state.waiting[place].calls;
            let missing = f64::from(calls) - state.tokens;
            if missing > 0.0 {
                return Duration::from_secs_f64(missing / self.per_second).max(Duration::from_millis(1));
            }
            let waiter = state.waiting.remove(place);
            // Whoever has just given up waiting takes nothing.
            if waiter.granted.send(class).is_ok() {
                state.take(calls);
                state.shares.spend(class, calls, &waits);
            }
        }
    }

    /// Brings the state up to `now`.
    fn fill(&self, state: &mut State, now: Instant) {
        state.held_until = state.held_until.filter(|until| *until > now);
        let refilled = now.duration_since(state.filled_at).as_secs_f64() * self.per_second;
        state.tokens = (state.tokens + refilled).min(BURST);
        state.filled_at = now;
        // What took more requests than was known beforehand, or was made without asking, is paid for now.
        let unpaid = self.made.load(Ordering::Relaxed).saturating_sub(state.paid);
        state.tokens -= f64::from(u32::try_from(unpaid).unwrap_or(u32::MAX));
        state.paid += unpaid;
    }

    fn give_back(&self, calls: u32) {
        if calls == 0 {
            return;
        }
        let mut state = self.lock();
        state.tokens = (state.tokens + f64::from(calls)).min(BURST);
        state.paid = state.paid.saturating_sub(u64::from(calls));
        drop(state);
        self.changed.notify_waiters();
    }

    /// Lets nothing pass for `span`, because the vendor asked for that.
    pub(crate) fn hold(&self, span: Duration) {
        let until = Instant::now() + span;
        let mut state = self.lock();
        state.held_until = state.held_until.max(Some(until));
    }

    /// Lets nothing pass until [`Gate::resume`]. Whether it passed before.
    pub(super) fn pause(&self, reason: &str) -> bool {
        let mut state = self.lock();
        // Whoever waits is turned back.
        state.waiting.clear();
        state.paused.replace(reason.to_owned()).is_none()
    }

    /// Lets calls pass again.
    pub(super) fn resume(&self) {
        self.lock().paused = None;
    }

    /// Why nothing passes, if so.
    pub(super) fn paused(&self) -> Option<String> {
        self.lock().paused.clone()
    }

    /// How it stands right now.
    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        let mut state = self.lock();
        self.fill(&mut state, now);
        Standing {
            calls_left: state.tokens,
            held_for: state.held_until.map(|until| until.duration_since(now)),
            paused: state.paused.clone(),
        }
    }

    /// Why nothing passes now, for people to read.
    pub(crate) fn stopped(&self) -> Option<String> {
        let state = self.lock();
        let held = state.held_until.is_some_and(|until| until > Instant::now());
        let paused = state.paused.as_ref().map(|reason| format!("the vendor refuses our calls: {reason}"));
        paused.or_else(|| held.then(|| "the vendor asks for fewer calls".to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No wait is longer: whoever waits is told when something changes.
const A_LONG_TIME: Duration = Duration::from_secs(3600);

impl State {
    fn take(&mut self, calls: u32) {
        self.tokens -= f64::from(calls);
        self.paid += u64::from(calls);
    }

    fn waits(&self, now: Instant) -> Waits {
        let mut waits = self.to_begin.map(|since| since.map(|since| now.duration_since(since)));
        for waiter in &self.waiting {
            if let Purpose::GoOn(class, since) = waiter.purpose {
                let longest = &mut waits[class as usize];
                *longest = (*longest).max(Some(now.duration_since(since)));
            }
        }
        waits
    }

    /// Whose turn it is, and with what. What was begun goes before what is to begin.
    fn next(&self, waits: &Waits) -> Option<(Class, usize)> {
        let class = self.shares.next(waits)?;
        let goes_on = |waiter: &Waiter| matches!(waiter.purpose, Purpose::GoOn(of, _) if of == class);
        let begins =
            |waiter: &Waiter| matches!(waiter.purpose, Purpose::Begin) && self.to_begin[class as usize].is_some();
        let place = self.waiting.iter().position(goes_on).or_else(|| self.waiting.iter().position(begins))?;
        Some((class, place))
    }
}

/// A place among those who wait, for as long as somebody does.
struct Place<'a> {
    gate: &'a Gate,
    id: u64,
    calls: u32,
    granted: oneshot::Receiver<Class>,
}

impl<'a> Place<'a> {
    fn take(gate: &'a Gate, purpose: Purpose, calls: u32) -> Result<Self, Paused> {
        let mut state = gate.lock();
        if state.paused.is_some() {
            return Err(Paused);
        }
        state.last_id += 1;
        let id = state.last_id;
        let (sender, granted) = oneshot::channel();
        state.waiting.push(Waiter { id, calls, purpose, granted: sender });
        Ok(Self { gate, id, calls, granted })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.gate.lock().waiting.retain(|waiter| waiter.id != self.id);
        if self.granted.try_recv().is_ok() {
            // It was let through, and has gone away meanwhile.
            self.gate.give_back(self.calls);
        } else {
            // Somebody behind it may need fewer calls.
            self.gate.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
