//! Faults that are planted into the product from outside, to see that the simulation notices them.

use std::cell::RefCell;
use std::collections::HashMap;

use crosspage::engine::{
    AlertAction, AlertId, Command, Decision, Event, EventBody, Identity, IncidentChange, Link, Policy, Status, Step,
    System, decide,
};
use crosspage::store::Decide;
use crosspage::store::Settings;
use crosspage::store::backend::Backend;
use crosspage::store::book::Book;
use simulators::Reply;

use super::scene::Scene;

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planted {
    /// Nothing: the product as it is.
    Nothing,
    /// Our own changes are not known by their actor.
    NoActorGuard,
    /// Our own notes are not known by their texts and ids.
    NoWrittenNoteGuard,
    /// Neither what is known of a side nor what was commanded counts.
    NoStateGuard,
    /// Our own notes are not known by how they begin.
    NoPrefixGuard,
    /// None of the four.
    NoGuardAtAll,
    /// The disk is never synced.
    NoSync,
    /// A webhook is answered before it is stored.
    AnswersBeforeItStores,
    /// A repeated webhook is not known.
    NoDedupe,
    /// A note goes out behind the next one.
    OrderBroken,
    /// What a batch has changed is not seen by what comes later in it.
    BatchBlind,
    /// That a write was on its way is forgotten when the process ends.
    NoSendingStep,
    /// Whoever looks for what was written finds nothing.
    LooksFindNothing,
    /// Whoever looks whether an incident is over sees that it is not.
    RevivesTheResolved,
    /// What waited for something else is forgotten.
    ForgetsWhatWaited,
    /// An incident that was merged into another one is taken for resolved.
    MergesNotFollowed,
    /// Lost webhooks are not made up for.
    NobodyReconciles,
}

impl Planted {
    /// What decides on events.
    pub(super) fn decide(self) -> Decide {
        match self {
            Self::NoActorGuard => without_actor_guard,
            Self::NoWrittenNoteGuard => without_written_note_guard,
            Self::NoStateGuard => without_state_guard,
            Self::NoPrefixGuard => without_prefix_guard,
            Self::NoGuardAtAll => without_guards,
            Self::OrderBroken => out_of_order,
            Self::BatchBlind => blind_in_a_batch,
            Self::ForgetsWhatWaited => forgetful,
            Self::MergesNotFollowed => not_following,
            Self::Nothing
            | Self::NoSync
            | Self::AnswersBeforeItStores
            | Self::NoDedupe
            | Self::NoSendingStep
            | Self::LooksFindNothing
            | Self::RevivesTheResolved
            | Self::NobodyReconciles => decide,
        }
    }

    /// Changes what a vendor answered before crosspage sees it.
    pub(super) fn distort(self, method: &str, path: &str, query: &str, reply: &mut Reply) {
        if method != "GET" || reply.status != 200 {
            return;
        }
        let one_incident = path.starts_with("/incidents/") && path.matches('/').count() == 2;
        let empty = match self {
            Self::RevivesTheResolved if one_incident => {
                let body =
                    String::from_utf8_lossy(&reply.body).replace("\"status\":\"resolved\"", "\"status\":\"triggered\"");
                reply.body = body.into_bytes();
                return;
            }
            Self::LooksFindNothing if path.starts_with("/v2/alerts/") && path.ends_with("/notes") => r#"{"data":[]}"#,
            Self::LooksFindNothing if path.ends_with("/notes") => r#"{"notes":[]}"#,
            Self::LooksFindNothing if path == "/incidents" && query.contains("incident_key") => {
                r#"{"incidents":[],"more":false}"#
            }
            _ => return,
        };
        reply.body = empty.as_bytes().to_vec();
    }
}

fn without_actor_guard(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let policy = Policy { identity: Identity::default(), ..policy.clone() };
    decide(link, event, &policy)
}

fn without_written_note_guard(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    without_written(link, event, policy, decide)
}

fn without_written(link: Option<&Link>, event: &Event, policy: &Policy, decide: Decide) -> Decision {
    let Some(link) = link.filter(|_| is_note(event)) else { return decide(link, event, policy) };
    let mut decision = decide(Some(&Link { written: Vec::new(), ..link.clone() }), event, policy);
    if let Some(after) = &mut decision.link {
        let new = std::mem::take(&mut after.written);
        after.written = link.written.iter().cloned().chain(new).collect();
    }
    decision
}

fn without_state_guard(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    without_states(link, event, policy, decide)
}

fn without_states(link: Option<&Link>, event: &Event, policy: &Policy, decide: Decide) -> Decision {
    let is_state = match &event.body {
        EventBody::Alert(happened) => !is_note(event) && happened.action != AlertAction::Create,
        EventBody::Incident(happened) => !is_note(event) && happened.change != IncidentChange::Triggered,
        EventBody::Settled(_) | EventBody::Polled(_) | EventBody::Ordered(_) => false,
    };
    let Some(link) = link.filter(|_| is_state) else { return decide(link, event, policy) };
    let mut blank = link.clone();
    for system in [System::Opsgenie, System::PagerDuty] {
        let side = blank.side_mut(system);
        side.commanded = None;
        // A closed alert stays closed all the same.
        side.known = side.known.filter(|known| known.status == Status::Resolved);
    }
    let mut decision = decide(Some(&blank), event, policy);
    if let Some(after) = &mut decision.link {
        for system in [System::Opsgenie, System::PagerDuty] {
            let known = link.side(system).known;
            let side = after.side_mut(system);
            side.known = side.known.or(known);
        }
    }
    decision
}

fn without_prefix_guard(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    without_prefix(link, event, policy, decide)
}

fn without_prefix(link: Option<&Link>, event: &Event, policy: &Policy, decide: Decide) -> Decision {
    if !is_note(event) || event.actor.is_told() {
        return decide(link, event, policy);
    }
    let mut event = event.clone();
    event.actor.name = Some("nobody".to_owned());
    decide(link, &event, policy)
}

fn without_guards(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    without_prefix(link, event, policy, |link, event, policy| {
        without_written(link, event, policy, |link, event, policy| {
            without_states(link, event, policy, without_actor_guard)
        })
    })
}

fn is_note(event: &Event) -> bool {
    match &event.body {
        EventBody::Alert(happened) => matches!(happened.action, AlertAction::AddNote { .. }),
        EventBody::Incident(happened) => matches!(happened.change, IncidentChange::Annotated(_)),
        EventBody::Settled(_) | EventBody::Polled(_) | EventBody::Ordered(_) => false,
    }
}

thread_local! {
    /// The note that is held back, and whose it is.
    static HELD_BACK: RefCell<Option<(AlertId, Command)>> = const { RefCell::new(None) };
    /// The links as they were when the batch began.
    static AT_BEGINNING: RefCell<HashMap<AlertId, Option<Link>>> = RefCell::new(HashMap::new());
}

/// A batch begins.
pub(super) fn begin_batch() {
    AT_BEGINNING.with_borrow_mut(HashMap::clear);
}

/// A world begins.
pub(super) fn begin_world() {
    begin_batch();
    HELD_BACK.set(None);
}

fn out_of_order(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let mut decision = decide(link, event, policy);
    let Some(alert) = decision.link.as_ref().map(|link| link.alert.clone()) else { return decision };
    HELD_BACK.with_borrow_mut(|held_back| {
        if held_back.as_ref().is_some_and(|(whose, _)| *whose == alert) {
            decision.commands.extend(held_back.take().map(|(_, command)| command));
        } else if held_back.is_none() && is_note(event) {
            *held_back = decision.commands.pop().map(|command| (alert, command));
        }
    });
    decision
}

fn blind_in_a_batch(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let named = match &event.body {
        EventBody::Alert(happened) => Some(happened.alert.clone()),
        EventBody::Settled(settled) => Some(settled.entry.alert.clone()),
        EventBody::Polled(polled) => Some(polled.alert.clone()),
        EventBody::Ordered(ordered) => Some(ordered.alert.clone()),
        EventBody::Incident(_) => link.map(|link| link.alert.clone()),
    };
    let Some(alert) = named else { return decide(link, event, policy) };
    let seen = AT_BEGINNING.with_borrow_mut(|seen| seen.entry(alert).or_insert_with(|| link.cloned()).clone());
    decide(seen.as_ref(), event, policy)
}

fn forgetful(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    Decision { released: Vec::new(), ..decide(link, event, policy) }
}

fn not_following(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let mut event = event.clone();
    if let EventBody::Incident(happened) = &mut event.body
        && matches!(happened.change, IncidentChange::MergedInto(_))
    {
        happened.change = IncidentChange::Resolved;
    }
    decide(link, &event, policy)
}

/// Makes whatever was being sent when the process ended look as if nothing of it had been sent.
pub(super) fn forget_what_was_sending(scene: &Scene, settings: Settings) {
    let now = scene.our_time();
    let mut book = Book::open(Backend::Memory(scene.memory.clone()), settings, now).unwrap();
    for system in [System::Opsgenie, System::PagerDuty] {
        for claim in book.claim(system, usize::MAX, now).unwrap() {
            let mut entry = claim.entry;
            if entry.step == (Step::Unsure { since: now }) {
                entry.step = Step::Ready;
            }
            book.release(entry).unwrap();
        }
    }
    book.commit().unwrap();
}
