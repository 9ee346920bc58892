//! Deterministic simulation: whole worlds of people, vendors, a bad network and a process that dies, each drawn from a seed,
//! in one thread and under virtual time. The engine, the store, delivery, the reconciler, both clients and both webhook
//! parsers are the real ones; the vendors are the simulators' models.
//!
//! A world that breaks a promise says so with its seed, its smallest form and the command that runs it again.
//! `CROSSPAGE_SEEDS` is how many worlds are run, `CROSSPAGE_SEED` the first of them.

mod dice;
mod door;
mod draw;
mod judge;
mod known;
mod network;
mod people;
mod plan;
mod planted;
mod process;
mod run;
mod scene;
mod shrink;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use judge::Promise;
use plan::Plan;
use planted::Planted;
use run::run;

/// How many worlds `cargo test` runs.
const SEEDS: u64 = 2_000;

#[test]
fn every_promise_is_kept_in_every_world() {
    let first = number("CROSSPAGE_SEED").unwrap_or(1);
    let many = number("CROSSPAGE_SEEDS").unwrap_or(if first == 1 { SEEDS } else { 1 });
    let broken = broken_worlds(first, many, Planted::Nothing, None);
    if let Some((seed, _)) = broken.first() {
        let all: Vec<String> = broken.iter().map(|(seed, promise)| format!("{seed} ({promise:?})")).collect();
        panic!("{}\nall seeds that fail: {}", report(*seed), all.join(", "));
    }
}

#[test]
fn planted_faults_are_noticed() {
    let planted = [
        (Planted::NoActorGuard, Promise::NothingShowsTwice),
        (Planted::NoWrittenNoteGuard, Promise::NothingShowsTwice),
        (Planted::NoStateGuard, Promise::BothSidesAgree),
        (Planted::NoPrefixGuard, Promise::NothingShowsTwice),
        // The fuse ends the loop, and what it holds is left undone.
        (Planted::NoGuardAtAll, Promise::NothingAcceptedIsLost),
        (Planted::NoSync, Promise::NothingAcceptedIsLost),
        (Planted::AnswersBeforeItStores, Promise::NothingAcceptedIsLost),
        (Planted::NoDedupe, Promise::NothingShowsTwice),
        (Planted::OrderBroken, Promise::NotesAreInOrder),
        (Planted::BatchBlind, Promise::NothingAcceptedIsLost),
        (Planted::NoSendingStep, Promise::NothingShowsTwice),
        (Planted::LooksFindNothing, Promise::NothingShowsTwice),
        (Planted::RevivesTheResolved, Promise::WhatIsOverStaysOver),
        (Planted::ForgetsWhatWaited, Promise::EveryNoteIsShown),
        (Planted::MergesNotFollowed, Promise::BothSidesAgree),
        (Planted::NobodyReconciles, Promise::EveryNoteIsShown),
    ];
    for (planted, promise) in planted {
        let noticed = broken_worlds(1, SEEDS, planted, Some(promise));
        let as_expected = noticed.iter().any(|(_, broken)| *broken == promise);
        assert!(as_expected, "{planted:?} should break {promise:?} in some world, and these are broken: {noticed:?}");
    }
}

fn number(key: &str) -> Option<u64> {
    std::env::var(key).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{key} must be a number")))
}

/// The seeds whose worlds break a promise, and which; found by as many threads as there are processors.
/// It ends early when `until` is found broken.
fn broken_worlds(first: u64, many: u64, planted: Planted, until: Option<Promise>) -> Vec<(u64, Promise)> {
    let next = AtomicU64::new(first);
    let broken = Mutex::new(Vec::new());
    let is_enough = |broken: &[(u64, Promise)]| {
        broken.len() >= ENOUGH || until.is_some_and(|until| broken.iter().any(|(_, promise)| *promise == until))
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + many || is_enough(&broken.lock().unwrap()) {
                        return;
                    }
                    if let Err(violation) = run(&Plan::draw(seed), planted, false).kept {
                        broken.lock().unwrap().push((seed, violation.promise));
                    }
                }
            });
        }
    });
    let mut broken = broken.into_inner().unwrap();
    broken.sort_unstable();
    broken
}

/// So many worlds that fail are enough.
const ENOUGH: usize = 30;

/// What is to be said of a world that breaks a promise.
fn report(seed: u64) -> String {
    let planted = Planted::Nothing;
    let plan = Plan::draw(seed);
    let Some(violation) = run(&plan, planted, false).violation().cloned() else {
        return format!("seed {seed} failed once and then did not: the simulation is not deterministic");
    };
    let small = shrink::shrink(&plan, planted, violation.promise);
    let outcome = run(&small, planted, true);
    let mut text = format!("seed {seed} breaks a promise, {:?}: {}\n", violation.promise, violation.what);
    let _ = writeln!(text, "its smallest form: {:?}", outcome.violation());
    let _ = writeln!(text, "{:#?}\n{:#?}\n{:#?}", small.setup, small.deeds, small.troubles);
    for line in &outcome.trace {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "run it again: CROSSPAGE_SEED={seed} cargo test --test it simulation::every_promise");
    text
}
