//! Makes a plan smaller that breaks a promise, for people to read.

use super::judge::Promise;
use super::plan::Plan;
use super::planted::Planted;
use super::run::run;

/// How many worlds are tried at most.
const MOST_WORLDS: usize = 600;

/// The smallest plan found that breaks the same promise.
pub(super) fn shrink(plan: &Plan, planted: Planted, promise: Promise) -> Plan {
    let mut best = plan.clone();
    let mut worlds = 0;
    let mut breaks = |plan: &Plan| {
        worlds += 1;
        worlds <= MOST_WORLDS && run(plan, planted, false).violation().is_some_and(|found| found.promise == promise)
    };
    loop {
        let troubles = without_some(&best.troubles, |troubles| breaks(&Plan { troubles, ..best.clone() }));
        let smaller = Plan { troubles, ..best.clone() };
        let deeds = without_some(&smaller.deeds, |deeds| breaks(&Plan { deeds, ..smaller.clone() }));
        let smaller = Plan { deeds, ..smaller };
        let done = smaller.deeds.len() == best.deeds.len() && smaller.troubles.len() == best.troubles.len();
        best = smaller;
        if done {
            return best;
        }
    }
}

/// Leaves out as many items as it can, halves first, then ever smaller pieces.
fn without_some<T: Clone>(items: &[T], mut still: impl FnMut(Vec<T>) -> bool) -> Vec<T> {
    let mut kept = items.to_vec();
    let mut piece = kept.len().div_ceil(2);
    while piece > 0 {
        let mut from = 0;
        while from < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(from..(from + piece).min(kept.len()));
            if still(fewer.clone()) {
                kept = fewer;
            } else {
                from += piece;
            }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    kept
}
