//! What happened to an incident, and what Opsgenie is to hear of it.

use super::super::event::{IncidentChange, IncidentEvent, IncidentId, IncidentNote, Status, System};
use super::super::link::{HeardNote, Known, Observed, Page, TextHash};
use super::super::outbox::Action;
use super::super::policy::OnResolved;
use super::{Decision, Draft, Guard, Reason, TELLING, Unlinked, text};

pub(super) fn decide(mut draft: Draft<'_>, happened: &IncidentEvent) -> Decision {
    let mut completed = false;
    let other_service = happened.service.as_ref().is_some_and(|service| *service != draft.policy.pagerduty_service);
    match &draft.link.page {
        Page::Standing(incident) if *incident == happened.incident => {}
        Page::Standing(_) => return elsewhere(draft, happened),
        Page::Joining => return draft.hold(),
        Page::Pending | Page::Dead | Page::Withheld if other_service => {
            return draft.done(Reason::Unlinked(Unlinked::OtherService));
        }
        Page::Withheld if is_over(&draft) => return unwanted(draft, happened),
        // The event has overtaken the answer to our create, or tells that it had its effect although it was given up; its key
        // says that the incident is ours.
        Page::Pending | Page::Dead | Page::Withheld => {
            draft.link.page = Page::Standing(happened.incident.clone());
            completed = true;
        }
    }
    draft.link.incident_number = happened.number.or(draft.link.incident_number);
    let decision = match (&happened.change, happened.status) {
        (IncidentChange::Annotated(note), _) => annotated(draft, &happened.incident, note),
        (IncidentChange::MergedInto(into), _) => merged(draft, into),
        (_, Some(status)) => state(draft, status, &happened.change),
        (_, None) => draft.done(Reason::Ignored),
    };
    let nothing_else = [Reason::InStep, Reason::Ignored, Reason::Echo(Guard::Actor)].contains(&decision.reason);
    if completed && nothing_else { Decision { reason: Reason::Linked, ..decision } } else { decision }
}

fn is_over(draft: &Draft<'_>) -> bool {
    draft.link.opsgenie.known.is_some_and(|known| known.status == Status::Resolved)
}

/// An incident that is not the link's. If it was merged into the link's, notes of it are still news.
fn elsewhere(draft: Draft<'_>, happened: &IncidentEvent) -> Decision {
    match &happened.change {
        IncidentChange::Annotated(note) if draft.link.merged.contains(&happened.incident) => {
            annotated(draft, &happened.incident, note)
        }
        IncidentChange::Triggered
        | IncidentChange::Acknowledged
        | IncidentChange::Unacknowledged
        | IncidentChange::Resolved
        | IncidentChange::MergedInto(_)
        | IncidentChange::Reopened
        | IncidentChange::Annotated(_)
        | IncidentChange::Read
        | IncidentChange::Other(_) => draft.done(Reason::Unlinked(Unlinked::OtherIncident)),
    }
}

/// An incident for an alert that is over: its creation took effect although nothing showed it when it was looked for.
fn unwanted(mut draft: Draft<'_>, happened: &IncidentEvent) -> Decision {
    draft.link.page = Page::Standing(happened.incident.clone());
    draft.link.incident_number = happened.number;
    let Some(status) = happened.status else { return draft.done(Reason::Linked) };
    draft.link.pagerduty.observe(status, draft.event.occurred_at);
    if status == Status::Resolved {
        return draft.done(Reason::Linked);
    }
    draft.command_status(System::PagerDuty, Status::Resolved);
    draft.write_note(
        System::PagerDuty,
        text::about(System::Opsgenie, "The alert was closed before this incident showed"),
    );
    draft.done(Reason::Mirrored)
}

fn annotated(mut draft: Draft<'_>, incident: &IncidentId, note: &IncidentNote) -> Decision {
    let hash = (!note.trimmed).then(|| TextHash::of(&[&note.text]));
    let written = draft.link.use_up_echo(System::PagerDuty, Some(&note.id), hash.as_ref());
    if draft.is_ours(System::PagerDuty) {
        return draft.done(Reason::Echo(Guard::Actor));
    }
    if written {
        return draft.done(Reason::Echo(Guard::WrittenNote));
    }
    if draft.bears_our_prefix(&note.text) {
        return draft.done(Reason::Echo(Guard::Prefix));
    }
    if draft.link.heard.iter().any(|heard| heard.system == System::PagerDuty && heard.id.as_ref() == Some(&note.id)) {
        return draft.done(Reason::Duplicate);
    }
    if draft.link.alert_deleted {
        return draft.done(Reason::AlertDeleted);
    }
    // A later note must not overtake one whose text is still being fetched.
    if draft.link.fetching_note.is_some() {
        return draft.hold();
    }
    if note.trimmed {
        draft.link.fetching_note = Some(note.id.clone());
        draft.push(System::PagerDuty, Action::FetchNote { incident: incident.clone(), id: note.id.clone() });
        return draft.hold();
    }
    let at = draft.when();
    let hash = TextHash::of(&[&note.text]);
    let id = Some(note.id.clone());
    draft.link.heard.push(HeardNote { system: System::PagerDuty, id, hash, at, alone: None, text: None });
    let text = text::said(System::PagerDuty, &draft.event.actor, &note.text);
    draft.write_note(System::Opsgenie, text);
    draft.done(Reason::Mirrored)
}

/// The incident goes on as another one. The link follows; where that one stands must be read, and is news only if it is
/// not where this one stood.
fn merged(mut draft: Draft<'_>, into: &IncidentId) -> Decision {
    draft.link.merged.extend(draft.link.incident().cloned());
    draft.link.page = Page::Standing(into.clone());
    draft.link.incident_number = None;
    draft.link.shared = true;
    draft.link.notes_since = Some(draft.when());
    draft.link.pagerduty.known = draft.link.pagerduty.known.map(|known| Known { at: None, ..known });
    draft.link.pagerduty.told_at = None;
    draft.push(System::PagerDuty, Action::FetchIncident);
    // What came too late for the incident that is over is still wanted of the one that it goes on as. So is what is on its way:
    // it may have found, or may still find, that the incident is over.
    let came_too_late = std::mem::take(&mut draft.link.told_superseded);
    let acknowledged = came_too_late && draft.target(System::Opsgenie) == Some(Status::Acknowledged);
    let on_its_way = draft.link.pagerduty.commanded.map(|c| c.status);
    if let Some(status) = on_its_way.or_else(|| acknowledged.then_some(Status::Acknowledged)) {
        draft.command_status(System::PagerDuty, status);
    }
    if draft.link.alert_deleted {
        return draft.done(Reason::AlertDeleted);
    }
    let sentence = format!("{} merged the incident into {into}", text::who(&draft.event.actor));
    draft.write_note(System::Opsgenie, text::about(System::PagerDuty, &sentence));
    draft.done(Reason::Mirrored)
}

fn state(mut draft: Draft<'_>, status: Status, change: &IncidentChange) -> Decision {
    // What we read on purpose is no echo, whoever brought it about.
    let read = *change == IncidentChange::Read;
    let ours = !read && draft.is_our_change(System::PagerDuty, status);
    let echo = draft.echo(System::PagerDuty);
    if *change == IncidentChange::Reopened && (draft.is_ours(System::PagerDuty) || may_be_of_ours(&draft)) {
        return revived(draft, status);
    }
    if ours && draft.is_late_echo(System::PagerDuty, status) {
        return draft.done(echo);
    }
    if is_ambiguous(&draft, status, change, ours) {
        draft.push(System::PagerDuty, Action::FetchIncident);
        return draft.done(Reason::Unclear);
    }
    let on_its_way = draft.link.pagerduty.commanded.map(|c| c.status);
    let observed = draft.link.observe_incident(status, draft.event.occurred_at);
    draft.link.pagerduty.arrived(status, observed);
    if let (true, Observed::Same | Observed::Changed { .. }, Some(known)) =
        (read, observed, &mut draft.link.pagerduty.known)
    {
        known.by_the_second = true;
    }
    if status != Status::Resolved && matches!(observed, Observed::Changed { .. }) {
        draft.link.told_superseded = false;
    }
    // What we did to it for another alert is news to this one. Not while this one's own
    // changes are on their way: one of them may be what comes back.
    let shared = draft.link.shared && on_its_way.is_none() && matches!(observed, Observed::Changed { .. });
    // Nobody could verify which events tell of it when a late change reopens what is resolved.
    let revives = matches!(observed, Observed::Changed { from: Some(Status::Resolved) }) && status != Status::Resolved;
    if ours && revives && !shared {
        return revived(draft, status);
    }
    if ours && !shared {
        return draft.done(echo);
    }
    match observed {
        Observed::Stale => draft.done(Reason::Stale),
        Observed::Same => draft.done(Reason::InStep),
        // Only if the alert is there as well: what was commanded for it may have been overtaken by a person meanwhile.
        Observed::Changed { .. } if on_its_way == Some(status) && draft.target(System::Opsgenie) == Some(status) => {
            draft.done(Reason::Echo(Guard::Commanded))
        }
        Observed::Changed { .. } if draft.link.alert_deleted => draft.done(Reason::AlertDeleted),
        Observed::Changed { from } => changed(draft, from, status, change),
    }
}

/// Whether a reopening that nobody is named for may be that of a change of ours, answered just then or still on its way.
fn may_be_of_ours(draft: &Draft<'_>) -> bool {
    let side = &draft.link.pagerduty;
    let late = [Status::Open, Status::Acknowledged].into_iter().any(|status| {
        let on_its_way = side.commanded.is_some_and(|commanded| commanded.status == status);
        on_its_way || side.has_overtaken(status) || side.has_carried(status, draft.event.occurred_at)
    });
    late && !draft.event.actor.is_told()
}

/// Whether an event about something else mentions another state than the one that is known, and nobody can tell what that is
/// worth: in the second that an answer of ours told, since either may be the newer one; or in an event of our own doing, since
/// it was somebody else who brought that state about. What we read ourselves is never ambiguous.
fn is_ambiguous(draft: &Draft<'_>, status: Status, change: &IncidentChange, ours: bool) -> bool {
    let side = &draft.link.pagerduty;
    let Some(known) = side.known.filter(|known| known.status != status) else { return false };
    if !matches!(change, IncidentChange::Other(_)) {
        return false;
    }
    if ours {
        let commanded = side.commanded.is_some_and(|commanded| commanded.status == status);
        return !commanded && !side.has_carried(status, draft.event.occurred_at);
    }
    let (Some(at), Some(known_at)) = (draft.event.occurred_at, known.at) else { return false };
    known.by_the_second && at >= known_at && at < known_at.plus(TELLING)
}

fn changed(mut draft: Draft<'_>, from: Option<Status>, status: Status, change: &IncidentChange) -> Decision {
    let alert = draft.target(System::Opsgenie);
    let who = person(&draft);
    let sentence = match status {
        _ if alert == Some(Status::Resolved) && status == Status::Resolved => {
            // What we were still to do to it would revive it.
            draft.link.pagerduty.commanded = None;
            return draft.done(Reason::InStep);
        }
        _ if alert == Some(Status::Resolved) => return draft.done(Reason::AlertClosed),
        Status::Acknowledged if alert == Some(Status::Acknowledged) => return draft.done(Reason::InStep),
        Status::Acknowledged => {
            draft.command_status(System::Opsgenie, Status::Acknowledged);
            match who {
                Some(who) => format!("{who} acknowledged the incident"),
                None => "The incident was acknowledged automatically".to_owned(),
            }
        }
        Status::Resolved => {
            if draft.policy.on_pagerduty_resolved == OnResolved::Close {
                draft.command_status(System::Opsgenie, Status::Resolved);
            }
            match who {
                Some(who) => format!("{who} resolved the incident"),
                None => "The incident was resolved automatically".to_owned(),
            }
        }
        // It is born open, whatever the alert has become meanwhile: what the alert became is on its way there.
        Status::Open if from.is_none() => return draft.done(Reason::InStep),
        Status::Open => {
            let reopened = from == Some(Status::Resolved) || *change == IncidentChange::Reopened;
            if alert == Some(Status::Open) && !reopened {
                return draft.done(Reason::InStep);
            }
            if alert != Some(Status::Open) {
                draft.command_status(System::Opsgenie, Status::Open);
            }
            match (reopened, who) {
                (true, Some(who)) => format!("{who} reopened the incident"),
                (true, None) => "The incident was reopened automatically".to_owned(),
                (false, Some(who)) => format!("{who} let go of the incident: it is not acknowledged any more"),
                (false, None) => "The acknowledgement timed out: nobody works on the incident".to_owned(),
            }
        }
    };
    // What we were still to do to the incident is older than what was done to it now.
    draft.link.pagerduty.commanded = None;
    draft.write_note(System::Opsgenie, text::about(System::PagerDuty, &sentence));
    draft.done(Reason::Mirrored)
}

/// A late write of ours has reopened what a person had resolved: that is undone, and owned up to.
fn revived(mut draft: Draft<'_>, status: Status) -> Decision {
    draft.link.pagerduty.observe(status, draft.event.occurred_at);
    if draft.link.pagerduty.commanded.is_some_and(|c| c.status == Status::Resolved) {
        return draft.done(Reason::Echo(Guard::Commanded));
    }
    draft.command_status(System::PagerDuty, Status::Resolved);
    if !draft.link.alert_deleted {
        // The webhook of the resolution may have looked older than our late change, and then it closed nothing.
        let closes = draft.policy.on_pagerduty_resolved == OnResolved::Close;
        if closes && draft.target(System::Opsgenie) != Some(Status::Resolved) {
            draft.command_status(System::Opsgenie, Status::Resolved);
        }
        let sentence =
            "A late change of crosspage reopened the incident that had just been resolved; it is resolved again";
        draft.write_note(System::Opsgenie, text::about(System::PagerDuty, sentence));
    }
    draft.done(Reason::Revived)
}

/// The name of the person who did it, if it was one.
fn person(draft: &Draft<'_>) -> Option<String> {
    draft.event.actor.person.then(|| text::who(&draft.event.actor).to_owned())
}
