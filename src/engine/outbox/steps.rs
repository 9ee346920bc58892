//! The step machine: which vendor call an entry needs next, and what an answer to it means. Pure: the code around it only
//! performs calls and stores steps.
//!
//! Nothing tells whether a write that was not answered had its effect, and notes have no idempotency key in either
//! system. So a write that may have been sent is looked for before it is sent again, and that it is absent is believed only
//! of a read that began when the vendor must be able to show it ([`read_lag`]).

mod trouble;

use std::time::Duration;

use super::super::event::{Status, System, Timestamp};
use super::super::link::{Link, Page, Side, TextHash};
use super::call::{Answer, Call, IncidentState, OpsgenieCall, PagerDutyCall, RequestState, SeenNote};
use super::{Action, DropReason, Entry, FetchedAlert, Outcome, Step, Urgency};
use trouble::{absent, failed, is_young, look_again, refused};

/// How long after a write a read may still not show it. Nobody could verify figures: these are on the safe side of what
/// clients of the two APIs report.
pub fn read_lag(system: System) -> Duration {
    match system {
        System::Opsgenie => Duration::from_secs(10),
        System::PagerDuty => Duration::from_secs(2),
    }
}

/// How long a request that Opsgenie took may be unknown to it before it counts as unsure.
pub const REQUEST_MAY_BE_UNKNOWN: Duration = Duration::from_secs(30);

/// How long after a change of ours had reopened a merged incident it is ended again. Later somebody may work on it.
const END_MERGED_WITHIN: Duration = Duration::from_secs(300);

/// How many times a vendor may take a write and not carry it out, or not find what is to be changed, before it is given up.
pub const MAX_REFUSALS: u32 = 5;

/// How soon after Opsgenie took a request it is asked what became of it. Sooner would mostly be a call in vain.
const FIRST_ASK: Duration = Duration::from_millis(100);
const LONGEST_BETWEEN_ASKS: Duration = Duration::from_secs(5);

/// What an entry needs next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This call.
    Call(Call),
    /// Nothing before this moment.
    Wait(Timestamp),
    /// Nothing any more.
    Done(Outcome),
}

/// When a call was made, by our clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// When it began. What it does not show, it says nothing about that was done within the read lag before.
    pub began_at: Timestamp,
    /// When it was answered.
    pub answered_at: Timestamp,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The entry has come further; ask [`next`] at once.
    Again(Entry),
    /// The entry is put off until its `due_at`; the vendor as a whole for `hold`, if it asked for that.
    Later {
        /// The entry.
        entry: Entry,
        /// How long the vendor asks everybody to wait.
        hold: Option<Duration>,
    },
    /// The vendor refuses us as a whole: it is paused, and the entry has lost nothing.
    Pause {
        /// The entry.
        entry: Entry,
        /// What the vendor said.
        reason: String,
    },
    /// It is over.
    Done(Outcome),
}

/// The next call of `entry`. `link` must be fresh: a webhook may have told meanwhile what became of it.
pub fn next(entry: &Entry, link: &Link, now: Timestamp) -> Next {
    if let Some(outcome) = overtaken(entry, link) {
        return Next::Done(outcome);
    }
    if let Step::Unsure { since } | Step::Sending { sent_at: since } = entry.step {
        let lag = read_lag(entry.command.to);
        let conclusive = since.plus(lag);
        // A clock that was set back further than that must not make us wait for the difference.
        if since.minus(lag) <= now && now < conclusive {
            return Next::Wait(conclusive);
        }
    }
    let ends_merged = matches!(entry.command.action, Action::EndMerged { .. });
    if ends_merged && now.since(entry.queued_at) > END_MERGED_WITHIN {
        return Next::Done(Outcome::Dropped(DropReason::NotWanted));
    }
    if ends_merged || entry.command.action == Action::FetchIncident {
        // What is to be told by the reading may have happened just now.
        let conclusive = entry.queued_at.plus(read_lag(entry.command.to));
        if entry.queued_at <= now && now < conclusive {
            return Next::Wait(conclusive);
        }
    }
    match entry.command.to {
        System::Opsgenie => next_in_opsgenie(entry, link),
        System::PagerDuty => next_in_pagerduty(entry, link),
    }
}

/// Whether events have made the entry superfluous, or have told what became of it.
fn overtaken(entry: &Entry, link: &Link) -> Option<Outcome> {
    let nothing_sent = matches!(entry.step, Step::Ready | Step::Looked(_));
    match (&entry.command.action, entry.command.to) {
        (Action::Create(_), _) if link.incident().is_some() => Some(Outcome::Dropped(DropReason::AlreadyCreated)),
        (Action::Create(_), _) => {
            let closed = link.opsgenie.known.is_some_and(|k| k.status == Status::Resolved);
            (closed && nothing_sent).then_some(Outcome::Dropped(DropReason::ClosedBeforeDelivery))
        }
        (Action::FetchAlert | Action::FetchNote { .. }, _) => None,
        // It was merged back, and stands for the link again.
        (Action::EndMerged { incident, .. }, _) if link.incident() == Some(incident) => {
            Some(Outcome::Dropped(DropReason::NotWanted))
        }
        (Action::EndMerged { .. }, _) => None,
        (Action::Note { mark, .. }, system) => {
            // It may show only after it was looked for in vain and put off.
            let never_sent = nothing_sent && entry.attempt == 0;
            let note = link.written_note(*mark);
            if let Some(note) = note.filter(|n| n.echoed && !never_sent) {
                return Some(Outcome::Noted { id: note.id.clone(), author: None });
            }
            unreachable(system, link)
        }
        (Action::SetStatus { mark, .. }, system) => {
            // What was heard or commanded since then is newer. Once sent, it is carried on with: it may have had its effect.
            let wanted = link.side(system).commanded.is_some_and(|c| c.mark == *mark);
            let untold = unreachable(system, link);
            untold.or_else(|| (nothing_sent && !wanted).then_some(Outcome::Dropped(DropReason::NotWanted)))
        }
        (Action::UpdatePriority { priority, .. }, system) => {
            // A priority that was redriven, or that waited for long, must not undo a later one.
            let wanted = link.facts.priority.is_none_or(|now| now == *priority);
            let untold = unreachable(system, link);
            untold.or_else(|| (nothing_sent && !wanted).then_some(Outcome::Dropped(DropReason::NotWanted)))
        }
        (Action::FetchIncident, system) => unreachable(system, link),
    }
}

/// Whether there is nothing in `system` to write to.
fn unreachable(system: System, link: &Link) -> Option<Outcome> {
    match system {
        System::Opsgenie if link.alert_deleted => Some(Outcome::Dropped(DropReason::AlertDeleted)),
        System::PagerDuty if link.page == Page::Withheld => Some(Outcome::Dropped(DropReason::NoIncident)),
        System::Opsgenie | System::PagerDuty => None,
    }
}

fn next_in_opsgenie(entry: &Entry, link: &Link) -> Next {
    let alert = link.alert.clone();
    let call = match (&entry.step, &entry.command.action) {
        (Step::Accepted { request_id, .. }, _) => OpsgenieCall::ReadRequest(request_id.clone()),
        (Step::Ready | Step::Looked(_), Action::SetStatus { status, .. }) => OpsgenieCall::SetStatus(alert, *status),
        (Step::Ready | Step::Looked(_), Action::Note { text, .. }) => OpsgenieCall::AddNote(alert, text.clone()),
        (_, Action::Note { .. }) => OpsgenieCall::ListNotes(alert),
        (_, Action::SetStatus { .. } | Action::FetchAlert) => OpsgenieCall::ReadAlert(alert),
        (
            _,
            Action::Create(_)
            | Action::UpdatePriority { .. }
            | Action::FetchIncident
            | Action::FetchNote { .. }
            | Action::EndMerged { .. },
        ) => return Next::Done(not_for(entry)),
    };
    Next::Call(Call::Opsgenie(call))
}

fn next_in_pagerduty(entry: &Entry, link: &Link) -> Next {
    if let Action::Create(new) = &entry.command.action {
        let key = link.alert.incident_key();
        return Next::Call(Call::PagerDuty(match entry.step {
            Step::Ready | Step::Looked(_) => PagerDutyCall::Create(key, new.clone()),
            Step::Sending { .. } | Step::Unsure { .. } | Step::Accepted { .. } | Step::Doubted { .. } => {
                PagerDutyCall::FindIncident(key)
            }
        }));
    }
    if let Action::FetchNote { incident, .. } = &entry.command.action {
        return Next::Call(Call::PagerDuty(PagerDutyCall::ListNotes(incident.clone(), Vec::new())));
    }
    if let Action::EndMerged { incident, .. } = &entry.command.action {
        return Next::Call(Call::PagerDuty(match entry.step {
            Step::Looked(_) => PagerDutyCall::SetStatus(incident.clone(), Status::Resolved),
            Step::Ready | Step::Sending { .. } | Step::Unsure { .. } | Step::Accepted { .. } | Step::Doubted { .. } => {
                PagerDutyCall::ReadIncident(incident.clone())
            }
        }));
    }
    let Some(incident) = link.incident().cloned() else {
        // The lane is parked behind its create, so this is not reached while the incident may still come.
        return Next::Done(Outcome::Dropped(DropReason::NoIncident));
    };
    let call = match (&entry.step, &entry.command.action) {
        (Step::Looked(_), Action::SetStatus { status, .. }) => PagerDutyCall::SetStatus(incident, *status),
        (Step::Looked(state), Action::UpdatePriority { priority, .. }) => {
            // Raising the urgency of an acknowledged incident un-acknowledges it, and the reading may lag behind.
            let open = state.status == Status::Open && !may_lag(state, link);
            let urgency = open.then(|| Urgency::from(*priority));
            PagerDutyCall::SetPriority(incident, *priority, urgency)
        }
        (Step::Ready | Step::Looked(_), Action::Note { text, .. }) => PagerDutyCall::AddNote(incident, text.clone()),
        // It may have been written before the merge was heard of.
        (_, Action::Note { .. }) => PagerDutyCall::ListNotes(incident, link.merged.clone()),
        (_, Action::SetStatus { .. } | Action::UpdatePriority { .. } | Action::FetchIncident) => {
            PagerDutyCall::ReadIncident(incident)
        }
        (_, Action::Create(_) | Action::FetchAlert | Action::FetchNote { .. } | Action::EndMerged { .. }) => {
            return Next::Done(not_for(entry));
        }
    };
    Next::Call(Call::PagerDuty(call))
}

fn not_for(entry: &Entry) -> Outcome {
    Outcome::Dead { reason: format!("{} is not done in {}", entry.command.action.name(), entry.command.to) }
}

/// What `answer`, which came to the call that [`next`] named, means for `entry`. `others` are ids of equal notes
/// that other links wrote to the same incident.
pub fn settle(entry: Entry, link: &Link, others: &[String], answer: Answer, call: Made) -> Settlement {
    let now = call.answered_at;
    match answer {
        Answer::Failed(failure) => failed(entry, failure, call),
        Answer::Incident(state) => on_incident(entry, link, state, now),
        Answer::Found(Some(state)) => Settlement::Done(created(state, None)),
        Answer::Found(None) => resend(entry.whole()),
        Answer::Alert(alert) => match &entry.command.action {
            Action::FetchAlert => Settlement::Done(Outcome::FetchedAlert(Some(alert))),
            Action::SetStatus { .. }
            | Action::Create(_)
            | Action::Note { .. }
            | Action::UpdatePriority { .. }
            | Action::FetchIncident
            | Action::FetchNote { .. }
            | Action::EndMerged { .. } => compare(entry, link, alert, call),
        },
        Answer::Note { id, author } => Settlement::Done(Outcome::Noted { id, author }),
        Answer::Notes(notes) => on_notes(entry, link, others, &notes, call),
        Answer::Accepted { request_id } => {
            let step = Step::Accepted { request_id, since: now };
            Settlement::Later { entry: Entry { step, due_at: now.plus(FIRST_ASK), ..entry }, hold: None }
        }
        Answer::Request(state) => on_request(entry, state, now),
        Answer::Unsupported => Settlement::Done(Outcome::NotApplicable),
    }
}

fn created(state: IncidentState, author: Option<String>) -> Outcome {
    Outcome::Created { incident: state.id, status: state.status, at: state.at, author }
}

fn resend(entry: Entry) -> Settlement {
    Settlement::Again(Entry { step: Step::Ready, ..entry })
}

fn on_incident(entry: Entry, link: &Link, state: IncidentState, now: Timestamp) -> Settlement {
    let wrote = matches!(entry.step, Step::Sending { .. });
    // One that was merged back before may still bear the reason for which it was over then.
    let merged_into = state.merged_into.as_ref().filter(|into| !link.merged.contains(into));
    if let (Action::SetStatus { .. } | Action::FetchIncident, Some(into)) = (&entry.command.action, merged_into) {
        // The webhook of the merge may have been lost, and what is over is not looked at any more.
        let into = into.clone();
        return Settlement::Done(Outcome::Merged { incident: state.id, into, at: state.at, by: state.by });
    }
    match &entry.command.action {
        Action::Create(_) => {
            let author = state.by.id.clone().filter(|_| state.by.person);
            Settlement::Done(created(state, author))
        }
        Action::FetchIncident => Settlement::Done(Outcome::FetchedIncident(Some(state))),
        Action::EndMerged { .. } if state.status == Status::Resolved => {
            Settlement::Done(Outcome::InState { status: state.status, at: state.at })
        }
        // The reading tells the second only.
        Action::EndMerged { at, .. } if !wrote && state.at.is_none_or(|read| read > *at) => {
            Settlement::Done(Outcome::Dropped(DropReason::NotWanted))
        }
        Action::EndMerged { .. } if wrote => refused(entry, "the incident did not change", now),
        Action::EndMerged { .. } => Settlement::Again(Entry { step: Step::Looked(state), ..entry }),
        Action::UpdatePriority { .. } if wrote => Settlement::Done(Outcome::Prioritised),
        Action::UpdatePriority { .. } if state.status == Status::Resolved => Settlement::Done(Outcome::NotApplicable),
        Action::UpdatePriority { .. } => Settlement::Again(Entry { step: Step::Looked(state), ..entry }),
        // It would end what is to be done, or have us revive what is over, and may be older than what is known.
        Action::SetStatus { status, .. }
            if ([*status, Status::Resolved].contains(&state.status)
                || (*status != Status::Resolved && is_known_over(link)))
                && entry.step == Step::Ready
                && may_lag(&state, link) =>
        {
            look_again(entry, now)
        }
        Action::SetStatus { status, .. } if state.status == *status => {
            Settlement::Done(Outcome::InState { status: state.status, at: state.at })
        }
        // The answer to the write does not show the state yet, or the write did nothing: look again before repeating it.
        Action::SetStatus { .. } if wrote => refused(entry, "the incident did not change", now),
        // A late write would reopen what is over.
        Action::SetStatus { .. } if state.status == Status::Resolved => {
            Settlement::Done(Outcome::Superseded { at: state.at })
        }
        Action::SetStatus { .. } => Settlement::Again(Entry { step: Step::Looked(state), ..entry }),
        Action::Note { .. } | Action::FetchNote { .. } | Action::FetchAlert => Settlement::Done(not_for(&entry)),
    }
}

/// The alert was read to see whether a state was reached.
fn compare(entry: Entry, link: &Link, alert: FetchedAlert, call: Made) -> Settlement {
    let now = call.answered_at;
    let FetchedAlert { status, at, .. } = alert;
    let Action::SetStatus { status: wanted, mark } = entry.command.action else {
        return Settlement::Done(not_for(&entry));
    };
    // Nothing was waited for before this reading, so it may be from before our last change to the alert.
    let at_once = matches!(entry.step, Step::Doubted { .. }) && is_young(link, System::Opsgenie, call);
    if status == wanted && at_once && is_no_newer(status, at, &link.opsgenie) {
        let due_at = now.plus(read_lag(System::Opsgenie));
        return Settlement::Later { entry: Entry { due_at, ..entry }, hold: None };
    }
    let overtaken = link.opsgenie.commanded.is_none_or(|commanded| commanded.mark != mark);
    if status == wanted && overtaken && alert.by.is_some() && at.is_some() {
        // Whether it is what a person has wanted since, or what we did too late, the decision can tell.
        return Settlement::Done(Outcome::FetchedAlert(Some(alert)));
    }
    if status == wanted {
        return Settlement::Done(Outcome::InState { status, at });
    }
    if status == Status::Resolved {
        return Settlement::Done(Outcome::Superseded { at });
    }
    match entry.step.clone() {
        Step::Doubted { reason } => refused(entry, &reason, now),
        Step::Ready | Step::Looked(_) | Step::Sending { .. } | Step::Unsure { .. } | Step::Accepted { .. } => {
            resend(entry)
        }
    }
}

fn on_notes(entry: Entry, link: &Link, others: &[String], notes: &[SeenNote], call: Made) -> Settlement {
    let now = call.answered_at;
    match &entry.command.action {
        Action::FetchNote { id, .. } => match notes.iter().find(|n| n.id.as_ref() == Some(id)) {
            Some(note) => Settlement::Done(Outcome::FetchedNote(Some(note.text.clone()))),
            None => absent(entry, Outcome::FetchedNote(None), call),
        },
        Action::Note { text, mark } => {
            let hash = TextHash::of(&[text]);
            let system = entry.command.to;
            let another = |id: &String| {
                others.contains(id)
                    || link.written.iter().any(|w| w.mark != *mark && w.id.as_ref() == Some(id))
                    || link.heard.iter().any(|h| h.system == system && h.id.as_ref() == Some(id))
            };
            let equal: Vec<&SeenNote> = notes
                .iter()
                .filter(|n| TextHash::of(&[&n.text]) == hash)
                .filter(|n| !n.id.as_ref().is_some_and(another))
                .collect();
            let accounted = link.done_notes(system, &hash, *mark);
            if equal.len() > accounted {
                let id = equal.iter().find_map(|n| n.id.clone());
                return Settlement::Done(Outcome::Noted { id, author: None });
            }
            match entry.step.clone() {
                Step::Doubted { reason } => refused(entry, &reason, now),
                Step::Ready | Step::Looked(_) | Step::Sending { .. } | Step::Unsure { .. } | Step::Accepted { .. } => {
                    resend(entry)
                }
            }
        }
        Action::Create(_)
        | Action::SetStatus { .. }
        | Action::UpdatePriority { .. }
        | Action::FetchAlert
        | Action::FetchIncident
        | Action::EndMerged { .. } => Settlement::Done(not_for(&entry)),
    }
}

fn on_request(entry: Entry, state: RequestState, now: Timestamp) -> Settlement {
    let Step::Accepted { request_id, since } = entry.step.clone() else {
        return Settlement::Done(not_for(&entry));
    };
    match state {
        RequestState::Done { at } => Settlement::Done(match entry.command.action {
            Action::SetStatus { status, .. } => Outcome::InState { status, at },
            Action::Note { .. }
            | Action::Create(_)
            | Action::UpdatePriority { .. }
            | Action::FetchAlert
            | Action::FetchIncident
            | Action::FetchNote { .. }
            | Action::EndMerged { .. } => Outcome::Noted { id: None, author: None },
        }),
        RequestState::Failed(reason) if reason.to_ascii_lowercase().contains("alert does not exist") => {
            Settlement::Done(Outcome::Dead { reason: format!("Opsgenie says: {reason}") })
        }
        RequestState::Failed(reason) => Settlement::Again(Entry { step: Step::Doubted { reason }, ..entry }),
        RequestState::NotYet if now.since(since) >= REQUEST_MAY_BE_UNKNOWN => {
            Settlement::Again(Entry { step: Step::Unsure { since: now }, ..entry })
        }
        RequestState::NotYet => {
            // The longer it takes, the less often it is asked for. The count of asks is not kept: it is not worth a write.
            let wait = (now.since(since) / 2).clamp(FIRST_ASK, LONGEST_BETWEEN_ASKS);
            let step = Step::Accepted { request_id, since: since.min(now) };
            Settlement::Later { entry: Entry { step, due_at: now.plus(wait), ..entry }, hold: None }
        }
    }
}

/// Whether a reading of the incident contradicts something known that is as new. It tells the second only.
fn may_lag(state: &IncidentState, link: &Link) -> bool {
    is_no_newer(state.status, state.at, &link.pagerduty)
}

fn is_known_over(link: &Link) -> bool {
    link.pagerduty.known.is_some_and(|known| known.status == Status::Resolved)
}

/// Whether another state is known of the side, since the same time or later.
fn is_no_newer(status: Status, at: Option<Timestamp>, side: &Side) -> bool {
    side.known.is_some_and(|known| {
        let newer = matches!((at, known.at), (Some(at), Some(known_at)) if at > known_at);
        known.status != status && !newer
    })
}

#[cfg(test)]
mod tests;
