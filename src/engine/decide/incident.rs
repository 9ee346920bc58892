//! What happened to an incident, and what Opsgenie is to hear of it.

use std::time::Duration;

use super::super::event::{Actor, IncidentChange, IncidentEvent, IncidentId, IncidentNote, Status, System, Timestamp};
use super::super::link::{HeardNote, Known, Observed, Page, TextHash, is_told_as, second_of};
use super::super::outbox::Action;
use super::super::policy::OnResolved;
use super::{Decision, Draft, Guard, Reason, Unlinked, text};

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
        (IncidentChange::MergedInto(into), _) => {
            let (event, on_its_way) = (draft.event, draft.link.pagerduty.commanded.map(|c| c.status));
            merged(draft, &Merge { into, at: event.occurred_at, by: &event.actor }, on_its_way)
        }
        (_, Some(status)) => state(draft, status, &happened.change),
        (_, None) => draft.done(Reason::Ignored),
    };
    let nothing_else = [Reason::InStep, Reason::Ignored, Reason::Echo(Guard::Actor)].contains(&decision.reason);
    if completed && nothing_else { Decision { reason: Reason::Linked, ..decision } } else { decision }
}

fn is_over(draft: &Draft<'_>) -> bool {
    draft.link.opsgenie.known.is_some_and(|known| known.status == Status::Resolved)
}

/// An incident that is not the link's. If it was merged into the link's, notes of it are still news, and what a late change of ours
/// has reopened is ended again: nobody works on it there.
fn elsewhere(mut draft: Draft<'_>, happened: &IncidentEvent) -> Decision {
    let was_merged = draft.link.merged.contains(&happened.incident);
    match &happened.change {
        IncidentChange::Reopened | IncidentChange::Acknowledged if was_merged && is_revived_by_us(&draft) => {
            let (incident, at) = (happened.incident.clone(), draft.when());
            draft.push(System::PagerDuty, Action::EndMerged { incident, at });
            draft.done(Reason::Revived)
        }
        IncidentChange::Annotated(note) if was_merged => annotated(draft, &happened.incident, note),
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

/// How late the webhook of a reopening may come for it to be undone.
const REVIVED_JUST_NOW: Duration = Duration::from_secs(60);

/// Whether an incident stands again that was merged into the link's, by a change that the link had commanded before it heard of the
/// merge. Whoever else changes it since, another link of ours among them, wants it so; and what is told late may be over by now.
fn is_revived_by_us(draft: &Draft<'_>) -> bool {
    let (side, at) = (&draft.link.pagerduty, draft.event.occurred_at);
    let by_this_link = [Status::Open, Status::Acknowledged]
        .into_iter()
        .any(|status| side.has_overtaken(status) || side.has_carried(status, at));
    let since_the_merge = at.is_some_and(|at| draft.link.notes_since.is_some_and(|merged_at| at >= merged_at));
    let just_now = at.is_some_and(|at| draft.event.received_at.since(at) <= REVIVED_JUST_NOW);
    let ours = draft.is_ours(System::PagerDuty) || !draft.event.actor.is_told();
    ours && by_this_link && since_the_merge && just_now
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
    if is_before_the_merge(&draft, incident) {
        return draft.done(Reason::Unlinked(Unlinked::OtherIncident));
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

/// Whether a note was written before the merge that made the incident this link's, and its webhook came late.
fn is_before_the_merge(draft: &Draft<'_>, incident: &IncidentId) -> bool {
    // Without a merge, it was our clock that told since when it is the link's, when somebody linked by hand.
    let was_merged = !draft.link.merged.is_empty();
    was_merged && draft.link.incident() == Some(incident) && draft.link.predates(draft.event.occurred_at)
}

/// How the link's incident came to go on as another one.
pub(super) struct Merge<'a> {
    /// That one.
    pub(super) into: &'a IncidentId,
    /// When, by PagerDuty's clock.
    pub(super) at: Option<Timestamp>,
    /// Who has merged it.
    pub(super) by: &'a Actor,
}

/// The incident goes on as another one. The link follows; where that one stands must be read, and is news only if it is
/// not where this one stood. `on_its_way` is what was wanted of the one that is over: it may have found, or may still find, that
/// it is over.
pub(super) fn merged(mut draft: Draft<'_>, merge: &Merge<'_>, on_its_way: Option<Status>) -> Decision {
    let landed_late = has_landed_late(&draft, merge.at);
    draft.link.merged.extend(draft.link.incident().cloned());
    draft.link.page = Page::Standing(merge.into.clone());
    draft.link.incident_number = None;
    draft.link.shared = true;
    // Notes from before somebody linked by hand stay where they are.
    draft.link.notes_since = draft.link.notes_since.max(Some(merge.at.unwrap_or(draft.event.received_at)));
    draft.link.unread_since = Some(draft.event.received_at);
    let status = |known: Known| if landed_late { Status::Open } else { known.status };
    let side = &mut draft.link.pagerduty;
    side.known = side.known.map(|known| Known { status: status(known), at: None, by_the_second: false });
    side.told_at = None;
    side.commanded = None;
    draft.push(System::PagerDuty, Action::FetchIncident);
    // What came too late for the incident that is over is still wanted of the one that it goes on as.
    let came_too_late = std::mem::take(&mut draft.link.told_superseded) || landed_late;
    let alert = draft.target(System::Opsgenie);
    let acknowledged = came_too_late && alert == Some(Status::Acknowledged);
    // To resolve it although the alert is open was meant for the one that is over now.
    let goes_on = |status: &Status| *status != Status::Resolved || alert == Some(Status::Resolved);
    let wanted = on_its_way.filter(goes_on).or_else(|| acknowledged.then_some(Status::Acknowledged));
    if let Some(status) = wanted {
        draft.command_status(System::PagerDuty, status);
    }
    if draft.link.alert_deleted {
        return draft.done(Reason::AlertDeleted);
    }
    let sentence = format!("{} merged the incident into {}", text::who(merge.by), merge.into);
    draft.write_note(System::Opsgenie, text::about(System::PagerDuty, &sentence));
    draft.done(Reason::Mirrored)
}

/// Whether our acknowledgement was answered in the second of the merge or later: the incident that it was meant for was over by then.
fn has_landed_late(draft: &Draft<'_>, merged_at: Option<Timestamp>) -> bool {
    draft.link.pagerduty.known.is_some_and(|known| {
        let late =
            matches!((known.at, merged_at), (Some(at), Some(merged_at)) if second_of(at) >= second_of(merged_at));
        known.status == Status::Acknowledged && known.by_the_second && late
    })
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
        draft.link.pagerduty.tell_exactly(status, draft.event.occurred_at);
        return draft.done(echo);
    }
    if is_ambiguous(&draft, status, change, ours) {
        draft.push(System::PagerDuty, Action::FetchIncident);
        return draft.done(Reason::Unclear);
    }
    let on_its_way = draft.link.pagerduty.commanded.map(|c| c.status);
    let was_over = was_over_meanwhile(&draft, change);
    let observed = match draft.link.observe_incident(status, draft.event.occurred_at) {
        Observed::Same if was_over => Observed::Changed { from: Some(Status::Resolved) },
        observed @ (Observed::Stale | Observed::Same | Observed::Changed { .. }) => observed,
    };
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

/// Whether the incident was over between what is known and its reopening: a change of ours found it so, though no webhook of the
/// resolution has come.
fn was_over_meanwhile(draft: &Draft<'_>, change: &IncidentChange) -> bool {
    let known_at = draft.link.pagerduty.known.and_then(|known| known.at);
    let newer = draft.event.occurred_at.is_some_and(|at| known_at.is_none_or(|known_at| at > known_at));
    *change == IncidentChange::Reopened && draft.link.told_superseded && newer
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
/// worth: at the very time of what is known, or in the second that an answer of ours told, since either may be the newer one;
/// while a change of ours to it may be on its way, though not wanted any more; or in an event of our own doing, since it was
/// somebody else who brought that state about. What we read ourselves is never ambiguous.
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
    if side.has_overtaken(status) {
        return true;
    }
    let (Some(at), Some(known_at)) = (draft.event.occurred_at, known.at) else { return false };
    at == known_at || (known.by_the_second && is_told_as(known_at, at))
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
