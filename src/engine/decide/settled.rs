//! How one of our commands ended, and what follows from it.

use super::super::event::{
    Actor, AlertAction, AlertEvent, AlertFacts, Event, EventBody, IncidentChange, IncidentEvent, Settled, Status,
    System, Timestamp,
};
use super::super::link::{Known, Link, Observed, Page, is_told_as};
use super::super::outbox::call::IncidentState;
use super::super::outbox::{Action, DropReason, Entry, FetchedAlert, Outcome, Step};
use super::incident::{self, Merge};
use super::{Decision, Draft, Reason, Unlinked, alert, page, text, too_old, unlinked};

pub(super) fn decide(mut draft: Draft<'_>, settled: &Settled) -> Decision {
    let to = settled.entry.command.to;
    let action = &settled.entry.command.action;
    let mut wanted = true;
    if let Action::SetStatus { mark, .. } = action {
        wanted = draft.link.side(to).commanded.is_some_and(|c| c.mark == *mark);
        draft.link.side_mut(to).clear_commanded(*mark);
    }
    match &settled.outcome {
        Outcome::Created { incident, at, author, .. } => {
            // A state that was read says nothing of who did it: the webhook, or the reconciler, will.
            draft.link.pagerduty.known.get_or_insert(Known { status: Status::Open, at: *at, by_the_second: true });
            if draft.link.incident().is_none() {
                draft.link.page = Page::Standing(incident.clone());
            }
            draft.learned_id.clone_from(author);
            if let Action::Create(new) = action
                && new.bare
            {
                let text = format!("PagerDuty did not take these with the incident:\n{}", new.details);
                draft.write_note(System::PagerDuty, text::about(System::Opsgenie, &text));
            }
            draft.done(Reason::Carried)
        }
        Outcome::Noted { id, author } => {
            if let Action::Note { mark, .. } = action
                && let Some(note) = draft.link.written.iter_mut().find(|n| n.mark == *mark)
            {
                note.done = true;
                note.id = note.id.take().or_else(|| id.clone());
            }
            draft.learned_id.clone_from(if to == System::PagerDuty { author } else { &None });
            draft.done(Reason::Carried)
        }
        // It is none of the link's any more, and nothing about the link follows from it.
        Outcome::InState { .. } if matches!(action, Action::EndMerged { .. }) => draft.done(Reason::Carried),
        Outcome::InState { status, at } => arrived(draft, &settled.entry, *status, *at, wanted),
        Outcome::Superseded { .. } => superseded(draft, to, action),
        Outcome::Merged { incident, into, at, by } if draft.link.incident() == Some(incident) => {
            merged(draft, action, wanted, &Merge { into, at: *at, by })
        }
        // The webhook of the merge was quicker, and told the rest.
        Outcome::Merged { .. } => draft.done(Reason::Overtaken),
        Outcome::Prioritised => draft.done(Reason::Carried),
        Outcome::NotApplicable => {
            if let Action::UpdatePriority { priority, by } = action {
                let sentence = format!("{by} changed the priority to {}", priority.name());
                draft.write_note(System::PagerDuty, text::about(System::Opsgenie, &sentence));
            }
            draft.done(Reason::Carried)
        }
        Outcome::FetchedAlert(Some(alert)) if matches!(action, Action::SetStatus { .. }) => {
            let actor = Actor { name: alert.by.clone(), person: true, ..Actor::nobody() };
            if draft.policy.identity.is_ours(to, &actor) {
                return arrived(draft, &settled.entry, alert.status, alert.at, wanted);
            }
            brought_about(draft, alert, actor)
        }
        Outcome::FetchedAlert(alert) => fetched_alert(draft, alert.as_ref()),
        Outcome::FetchedIncident(Some(incident)) => fetched_incident(draft, incident),
        Outcome::FetchedIncident(None) => draft.done(Reason::Fetched),
        Outcome::FetchedNote(text) => match action {
            Action::FetchNote { id, .. } if draft.link.fetching_note.as_ref() != Some(id) => {
                fetched_late(draft, text.as_deref())
            }
            Action::FetchNote { .. }
            | Action::Create(_)
            | Action::SetStatus { .. }
            | Action::Note { .. }
            | Action::UpdatePriority { .. }
            | Action::FetchAlert
            | Action::FetchIncident
            | Action::EndMerged { .. } => fetched_note(draft, text.as_deref(), Reason::Fetched),
        },
        Outcome::Dropped(DropReason::ClosedBeforeDelivery) => {
            draft.link.page = Page::Withheld;
            draft.link.pagerduty.commanded = None;
            draft.done(Reason::Overtaken)
        }
        // A priority says nothing of the states, which may be apart for a good reason.
        Outcome::Dropped(DropReason::NotWanted) if matches!(action, Action::SetStatus { .. }) => {
            put_right(draft, to, Reason::Overtaken)
        }
        Outcome::Dropped(DropReason::Discarded) => draft.done(Reason::Discarded),
        Outcome::Dropped(
            DropReason::NotWanted | DropReason::AlreadyCreated | DropReason::NoIncident | DropReason::AlertDeleted,
        ) => draft.done(Reason::Overtaken),
        Outcome::Dead { .. } => match action {
            Action::Create(_) if draft.link.incident().is_none() => {
                (draft.link.page, draft.link.redriven) = (Page::Dead, false);
                draft.done(Reason::GivenUp)
            }
            Action::FetchNote { id, .. } if draft.link.fetching_note.as_ref() == Some(id) => {
                fetched_note(draft, None, Reason::GivenUp)
            }
            // It cannot be known whether the alert should page, so it pages.
            Action::FetchAlert if draft.link.page == Page::Joining => {
                take_over_held(&mut draft.link);
                page(&mut draft);
                draft.released = std::mem::take(&mut draft.link.held);
                draft.done(Reason::GivenUp)
            }
            Action::FetchAlert => {
                let_create_go_on(&mut draft.link);
                draft.done(Reason::GivenUp)
            }
            Action::Create(_)
            | Action::SetStatus { .. }
            | Action::Note { .. }
            | Action::UpdatePriority { .. }
            | Action::FetchIncident
            | Action::FetchNote { .. }
            | Action::EndMerged { .. } => draft.done(Reason::GivenUp),
        },
    }
}

/// The side is where we wanted it to be, by our doing for all that is known.
fn arrived(mut draft: Draft<'_>, entry: &Entry, status: Status, at: Option<Timestamp>, wanted: bool) -> Decision {
    let to = entry.command.to;
    draft.link.side_mut(to).carry(status, at);
    if has_revived(&draft, entry, status) {
        // Its webhook will tell, and then it is resolved again.
        return draft.done(Reason::Carried);
    }
    let observed = in_state(&mut draft.link, to, status, at, wanted);
    match to {
        _ if !wanted => put_right(draft, to, Reason::Carried),
        System::Opsgenie if observed == Observed::Stale => undone_since(draft, status),
        System::Opsgenie | System::PagerDuty => draft.done(Reason::Carried),
    }
}

/// The alert is not where we have brought it any more. When somebody's change back was heard, it said what was known, since our own
/// had not been heard of yet; so it was no news then, and is now.
fn undone_since(mut draft: Draft<'_>, ours: Status) -> Decision {
    let now = draft.link.opsgenie.known.map(|known| known.status).filter(|now| *now != ours);
    let Some(now) = now else { return draft.done(Reason::Carried) };
    let sentence = match now {
        Status::Open => "Somebody let go of the alert: it is not acknowledged any more",
        Status::Acknowledged => "Somebody acknowledged the alert",
        // It was told as such.
        Status::Resolved => return draft.done(Reason::Carried),
    };
    match draft.target(System::PagerDuty) {
        Some(wanted) if wanted != now && wanted != Status::Resolved => {
            draft.command_status(System::PagerDuty, now);
            draft.write_note(System::PagerDuty, text::about(System::Opsgenie, sentence));
            draft.done(Reason::Mirrored)
        }
        Some(_) | None => draft.done(Reason::Carried),
    }
}

/// A change of ours that was not wanted any more may have had its effect or not, and then a person did the same: that is
/// decided on as if its webhook had come, which may have been lost.
fn brought_about(mut draft: Draft<'_>, alert: &FetchedAlert, actor: Actor) -> Decision {
    let now = draft.event.received_at;
    let action = match alert.status {
        Status::Open => AlertAction::Unacknowledge { note: None },
        Status::Acknowledged => AlertAction::Acknowledge { note: None },
        Status::Resolved => AlertAction::Close { note: None },
    };
    let happened = AlertEvent { alert: draft.link.alert.clone(), facts: AlertFacts::default(), action };
    let read = read_event(EventBody::Alert(happened), alert.at, now);
    draft.released.push(Event { actor, ..read });
    draft.done(Reason::Fetched)
}

/// What the waiting events tell of the alert.
fn take_over_held(link: &mut Link) {
    for event in std::mem::take(&mut link.held) {
        if let EventBody::Alert(happened) = &event.body {
            alert::take_over(link, &happened.facts);
            link.facts.priority = happened.facts.priority.or(link.facts.priority);
        }
        link.held.push(event);
    }
}

/// A creation that was redriven waits for its alert to be read, however that came out. It lies in its lane already.
fn let_create_go_on(link: &mut Link) {
    if std::mem::take(&mut link.redriven) && link.page == Page::Dead {
        link.page = Page::Pending;
    }
}

/// Whether a change of ours went to an incident that somebody resolved meanwhile: that was heard about when it was sent, which
/// is as long before as the reading ahead of it may have lagged, or later.
fn has_revived(draft: &Draft<'_>, entry: &Entry, status: Status) -> bool {
    let side = &draft.link.pagerduty;
    let resolved = side.known.is_some_and(|known| known.status == Status::Resolved);
    let Step::Sending { sent_at } = entry.step else { return false };
    let meanwhile = side.heard_at >= sent_at.minus(draft.policy.read_lag.pagerduty);
    entry.command.to == System::PagerDuty && resolved && status != Status::Resolved && meanwhile
}

/// The side is where we wanted it. A webhook may have told a later state meanwhile, which then stands.
fn in_state(link: &mut Link, system: System, status: Status, at: Option<Timestamp>, wanted: bool) -> Observed {
    match system {
        System::Opsgenie => link.observe_alert(status, at),
        System::PagerDuty => {
            // The answer tells the second only. Of what is known to be of the same second, it is the newer one: else what was
            // heard since would have ended the command.
            let within = |known: &Timestamp| at.is_some_and(|at| is_told_as(at, *known));
            let known_at = link.pagerduty.known.and_then(|known| known.at).filter(within);
            let observed = link.pagerduty.observe(status, known_at.filter(|_| wanted).or(at));
            if let (Observed::Same | Observed::Changed { .. }, Some(known)) = (observed, &mut link.pagerduty.known) {
                known.by_the_second = true;
            }
            observed
        }
    }
}

/// Compares the sides after a change that was not wanted any more. Mostly its echo was merely quicker than its answer; but
/// if a person has moved on while it was under way, it may have undone what they did. The other side knows what they wanted.
/// Nothing that is over is touched.
fn put_right(mut draft: Draft<'_>, to: System, otherwise: Reason) -> Decision {
    let side = draft.link.side(to);
    let is = side.known.map(|k| k.status);
    // With a further command under way, the end of that one is the time to compare.
    let settled = side.commanded.is_none();
    let wanted = draft.link.side(to.peer()).target();
    match (is, wanted) {
        (Some(is), Some(wanted)) if settled && is != wanted && is != Status::Resolved && wanted != Status::Resolved => {
            draft.command_status(to, wanted);
            draft.done(Reason::PutRight)
        }
        _ => draft.done(otherwise),
    }
}

/// The other side is over and was left alone. What is known of it is not changed: the webhook of the resolution is on its
/// way and tells who did it, or the reconciler will find it.
fn superseded(mut draft: Draft<'_>, to: System, action: &Action) -> Decision {
    // What was on its way to an incident that was merged is on its way once more, to the one that it went into.
    let commanded = draft.link.side(to).commanded.map(|c| c.status);
    let goes_on = matches!(action, Action::SetStatus { status, .. } if commanded == Some(*status));
    let tell = to == System::PagerDuty && !goes_on && !draft.link.told_superseded && !draft.link.alert_deleted;
    if tell {
        draft.link.told_superseded = true;
        let acknowledges = matches!(action, Action::SetStatus { status: Status::Acknowledged, .. });
        let what = if acknowledges { "the acknowledgement" } else { "the un-acknowledgement" };
        let sentence = format!("The incident is resolved already, so {what} was not passed on");
        draft.write_note(System::Opsgenie, text::about(System::PagerDuty, &sentence));
    }
    draft.done(Reason::Superseded)
}

fn fetched_alert(mut draft: Draft<'_>, alert: Option<&FetchedAlert>) -> Decision {
    let now = draft.event.received_at;
    let joining = draft.link.page == Page::Joining;
    let redriven = draft.link.redriven;
    // Linked by hand: nothing has told of it yet.
    let unheard = !joining && draft.link.facts == AlertFacts::default();
    let_create_go_on(&mut draft.link);
    let Some(alert) = alert else {
        if redriven || unheard {
            // Nobody is paged for an alert that is gone.
            draft.link.alert_deleted = true;
            draft.link.observe_alert(Status::Resolved, None);
        }
        return if joining { unlinked(Unlinked::NoSuchAlert) } else { draft.done(Reason::Fetched) };
    };
    if joining && alert.status == Status::Resolved {
        return over_before_it_paged(draft, alert);
    }
    if joining {
        // That its creation is told pages, whatever its age.
        let told = draft.link.held.iter().any(alert::is_creation);
        if let Some(why) = too_old(alert.facts.created_at, now, draft.policy).filter(|_| !told) {
            return unlinked(why);
        }
        draft.link.facts = alert.facts.clone();
        page(&mut draft);
        draft.released = std::mem::take(&mut draft.link.held);
    }
    if unheard {
        draft.link.facts = alert.facts.clone();
    }
    // What the waiting events do not explain, the state that was read does.
    let action = match alert.status {
        Status::Open if !joining => Some(AlertAction::Unacknowledge { note: None }),
        Status::Open => None,
        Status::Acknowledged => Some(AlertAction::Acknowledge { note: None }),
        Status::Resolved => Some(AlertAction::Close { note: None }),
    };
    if let Some(action) = action {
        let happened = AlertEvent { alert: draft.link.alert.clone(), facts: AlertFacts::default(), action };
        draft.released.push(read_event(EventBody::Alert(happened), alert.at, now));
    }
    draft.done(Reason::Fetched)
}

/// An alert whose creation was missed, and that is closed by now. Its creation may merely be late: it is put down that there is
/// nothing to page for, and an incident that was created for it all the same is resolved.
fn over_before_it_paged(mut draft: Draft<'_>, alert: &FetchedAlert) -> Decision {
    if too_old(alert.facts.created_at, draft.event.received_at, draft.policy).is_some() {
        return unlinked(Unlinked::NotOpen);
    }
    draft.link.facts = alert.facts.clone();
    alert::withhold(draft, alert.at)
}

/// The link's incident turned out to go on as another one. What was still wanted of it is wanted of that one.
fn merged(draft: Draft<'_>, action: &Action, wanted: bool, merge: &Merge<'_>) -> Decision {
    let on_its_way = if let (Action::SetStatus { status, .. }, true) = (action, wanted) {
        Some(*status)
    } else {
        draft.link.pagerduty.commanded.map(|commanded| commanded.status)
    };
    incident::merged(draft, merge, on_its_way)
}

fn fetched_incident(mut draft: Draft<'_>, incident: &IncidentState) -> Decision {
    let happened = IncidentEvent {
        incident: incident.id.clone(),
        incident_key: None,
        number: None,
        service: None,
        status: Some(incident.status),
        change: IncidentChange::Read,
    };
    let (at, now) = (read_at(&draft, incident.at), draft.event.received_at);
    draft.released.push(read_event(EventBody::Incident(happened), at, now));
    draft.done(Reason::Fetched)
}

/// When the incident came to be as it was read. Readings tell the second only: of that second they are the newer one, if they show
/// all that is known.
fn read_at(draft: &Draft<'_>, at: Option<Timestamp>) -> Option<Timestamp> {
    let (side, at) = (&draft.link.pagerduty, at?);
    let shows_all = side.touched_at.plus(draft.policy.read_lag.pagerduty) <= draft.event.received_at;
    let known_at = side.known.and_then(|known| known.at).filter(|_| shows_all);
    Some(known_at.filter(|known_at| is_told_as(at, *known_at)).unwrap_or(at))
}

/// The first of the held notes is the one whose text was fetched; the others were held behind it.
fn fetched_note(mut draft: Draft<'_>, text: Option<&str>, reason: Reason) -> Decision {
    draft.link.fetching_note = None;
    draft.released = std::mem::take(&mut draft.link.held);
    if let Some(Event { body: EventBody::Incident(first), .. }) = draft.released.first_mut()
        && let IncidentChange::Annotated(note) = &mut first.change
    {
        note.text = text.map_or_else(|| text::marked_as_cut(&note.text), str::to_owned);
        note.trimmed = false;
    }
    draft.done(reason)
}

/// The whole text of a note that had to be passed on cut, since its text could not be fetched when it came.
fn fetched_late(mut draft: Draft<'_>, text: Option<&str>) -> Decision {
    if let Some(text) = text.filter(|_| !draft.link.alert_deleted) {
        let text = format!("The whole text of a note that was cut: {text}");
        draft.write_note(System::Opsgenie, text::about(System::PagerDuty, &text));
    }
    draft.done(Reason::Fetched)
}

/// What was read, as an event. Nobody tells who brought it about, so it is ascribed to somebody.
pub(super) fn read_event(body: EventBody, at: Option<Timestamp>, now: Timestamp) -> Event {
    let actor = Actor { person: true, ..Actor::nobody() };
    Event { dedupe: Vec::new(), request_id: None, occurred_at: at, received_at: now, actor, body }
}
