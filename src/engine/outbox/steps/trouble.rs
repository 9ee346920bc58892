//! What is not there, what is refused and what fails: whether that is believed, tried again, or the end.

use std::time::Duration;

use super::super::super::event::{Status, System, Timestamp};
use super::super::super::link::Link;
use super::super::call::{Failure, Refusal};
use super::super::{Action, Command, Entry, GIVE_UP_AFTER, NewIncident, Outcome, Step, back_off};
use super::{MAX_REFUSALS, Made, Settlement, read_lag};

/// Something to be read is not there: believed of a read that began when the vendor must have been able to show it.
pub(super) fn absent(entry: Entry, outcome: Outcome, call: Made) -> Settlement {
    // A clock that was set back must not make us wait for the difference.
    let queued_at = entry.queued_at.min(call.began_at);
    let conclusive = queued_at.plus(read_lag(entry.command.to));
    if call.began_at >= conclusive {
        return Settlement::Done(outcome);
    }
    // It may be conclusive by now, but this reading was not.
    let due_at = conclusive.max(call.answered_at);
    Settlement::Later { entry: Entry { queued_at, due_at, ..entry }, hold: None }
}

/// What is to be changed is not there. It has been, so it may merely not show yet, and no clock is trusted to tell how long
/// that may be: it is tried a few times.
fn not_there(entry: Entry, reason: String, now: Timestamp) -> Settlement {
    let refusals = entry.refusals + 1;
    if refusals >= MAX_REFUSALS {
        return Settlement::Done(Outcome::Dead { reason });
    }
    let due_at = now.plus(back_off(entry.id, refusals));
    Settlement::Later { entry: Entry { refusals, due_at, trouble: Some(reason), ..entry }, hold: None }
}

/// A first reading says what cannot be, going by what is known. Perhaps it only lags behind: the next one is believed.
pub(super) fn look_again(entry: Entry, now: Timestamp) -> Settlement {
    let due_at = now.plus(read_lag(entry.command.to));
    Settlement::Later { entry: Entry { step: Step::Unsure { since: now }, due_at, ..entry }, hold: None }
}

/// The vendor took the write, and it had no effect.
pub(super) fn refused(entry: Entry, reason: &str, now: Timestamp) -> Settlement {
    let refusals = entry.refusals + 1;
    if refusals >= MAX_REFUSALS {
        let reason = format!("{} took it {refusals} times without effect: {reason}", entry.command.to);
        return Settlement::Done(Outcome::Dead { reason });
    }
    // An answer that shows the old state may merely lag behind the write.
    let step = if matches!(entry.step, Step::Sending { .. }) { Step::Unsure { since: now } } else { Step::Ready };
    later(Entry { refusals, step, ..entry }, reason.to_owned(), None, now)
}

pub(super) fn failed(entry: Entry, failure: Failure, call: Made) -> Settlement {
    let now = call.answered_at;
    let wrote = matches!(entry.step, Step::Sending { .. });
    // A read that fails changes nothing about what is known of the write before it.
    let untouched = if wrote || matches!(entry.step, Step::Looked(_)) { Step::Ready } else { entry.step.clone() };
    match failure {
        // The vendor asks everybody to wait: that is no fault of the entry, and uses up none of its patience.
        Failure::TryAgain { reason, hold: Some(hold) } => {
            let (due_at, trouble) = (now.plus(hold), Some(reason));
            Settlement::Later { entry: Entry { step: untouched, due_at, trouble, ..entry }, hold: Some(hold) }
        }
        Failure::TryAgain { reason, hold: None } => later(Entry { step: untouched, ..entry }, reason, None, now),
        Failure::Unclear { reason, hold } => {
            let step = if wrote { Step::Unsure { since: now } } else { untouched };
            later(Entry { step, ..entry }, reason, hold, now)
        }
        // A key may lack the right to read what it may write, so what a look-up is told says nothing about commands.
        Failure::Unauthorized(reason) if entry.command.action.is_look_up() => {
            later(Entry { step: untouched, ..entry }, reason, None, now)
        }
        Failure::Unauthorized(reason) => {
            let trouble = Some(reason.clone());
            Settlement::Pause { entry: Entry { step: untouched, due_at: now, trouble, ..entry }, reason }
        }
        Failure::Refused { meaning, reason } => {
            refusal(Entry { step: untouched, ..entry }, (meaning, reason), wrote, call)
        }
    }
}

fn refusal(entry: Entry, (meaning, reason): (Refusal, String), wrote: bool, call: Made) -> Settlement {
    let now = call.answered_at;
    let dead = |reason: String| Settlement::Done(Outcome::Dead { reason });
    match (&entry.command.action, meaning) {
        (Action::Create(_), Refusal::DuplicateKey) => {
            later(Entry { step: Step::Unsure { since: now }, ..entry }, reason, None, now)
        }
        (Action::Create(new), Refusal::Invalid) if wrote && !new.bare => {
            let bare = NewIncident { bare: true, ..new.clone() };
            let command = Command { action: Action::Create(bare), ..entry.command.clone() };
            Settlement::Again(Entry { command, trouble: Some(reason), ..entry })
        }
        // How it came to be so is read, once: it may have been merged just then.
        (Action::SetStatus { .. }, Refusal::AlreadyResolved) if entry.refusals == 0 => {
            look_again(Entry { refusals: 1, ..entry }, now)
        }
        (Action::SetStatus { status, .. }, Refusal::AlreadyResolved) => Settlement::Done(match status {
            Status::Resolved => Outcome::InState { status: *status, at: None },
            Status::Open | Status::Acknowledged => Outcome::Superseded { at: None },
        }),
        (Action::SetStatus { status: Status::Acknowledged, .. }, Refusal::AlreadyAcknowledged) => {
            Settlement::Done(Outcome::InState { status: Status::Acknowledged, at: None })
        }
        // Resolved or deleted, it is at its end.
        (Action::EndMerged { .. }, Refusal::AlreadyResolved | Refusal::NotFound) => {
            Settlement::Done(Outcome::InState { status: Status::Resolved, at: None })
        }
        (Action::SetStatus { .. }, Refusal::AlreadyAcknowledged) => refused(entry, &reason, now),
        (Action::FetchAlert, Refusal::NotFound) => absent(entry, Outcome::FetchedAlert(None), call),
        (Action::FetchIncident, Refusal::NotFound) => absent(entry, Outcome::FetchedIncident(None), call),
        (Action::FetchNote { .. }, Refusal::NotFound) => absent(entry, Outcome::FetchedNote(None), call),
        (Action::SetStatus { .. } | Action::UpdatePriority { .. } | Action::Note { .. }, Refusal::NotFound) => {
            not_there(entry, reason, now)
        }
        (
            Action::Create(_)
            | Action::SetStatus { .. }
            | Action::Note { .. }
            | Action::UpdatePriority { .. }
            | Action::FetchAlert
            | Action::FetchIncident
            | Action::FetchNote { .. }
            | Action::EndMerged { .. },
            Refusal::AlreadyAcknowledged
            | Refusal::AlreadyResolved
            | Refusal::DuplicateKey
            | Refusal::Invalid
            | Refusal::NotFound
            | Refusal::Other,
        ) => dead(reason),
    }
}

/// Whether what is not there may merely not show yet: we or somebody else have changed it so shortly before.
pub(super) fn is_young(link: &Link, system: System, call: Made) -> bool {
    let touched_at = link.side(system).touched_at;
    let lag = read_lag(system);
    // A clock that was set back meanwhile must not make us wait for the difference.
    touched_at > call.began_at.minus(lag) && touched_at <= call.answered_at.plus(lag)
}

/// Puts the entry off, or gives it up if it was put off for too long.
fn later(entry: Entry, reason: String, hold: Option<Duration>, now: Timestamp) -> Settlement {
    let attempt = entry.attempt + 1;
    let own = back_off(entry.id, attempt);
    // What the vendor asks of everybody is a pause, and does not count.
    let wait = own.max(hold.unwrap_or_default());
    let waited_ms = entry.waited_ms.saturating_add(u64::try_from(own.as_millis()).unwrap_or(u64::MAX));
    if Duration::from_millis(waited_ms) >= GIVE_UP_AFTER {
        return Settlement::Done(Outcome::Dead { reason: format!("given up after 72 h: {reason}") });
    }
    let due_at = now.plus(wait);
    Settlement::Later { entry: Entry { attempt, waited_ms, due_at, trouble: Some(reason), ..entry }, hold }
}
