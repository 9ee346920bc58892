//! What was ordered for a link.

use super::super::event::{
    AlertAction, AlertFacts, Event, EventBody, IncidentId, Order, Ordered, Seen, Status, System, Timestamp,
};
use super::super::fuse::Fuse;
use super::super::link::{Commanded, Known, Link, Page, Paused, Side};
use super::super::outbox::{Action, Entry, FetchedAlert};
use super::super::policy::Policy;
use super::{Decision, Draft, Reason, Unlinked, unlinked};

pub(super) fn decide(mut draft: Draft<'_>, ordered: &Ordered) -> Decision {
    let at = draft.event.received_at;
    match &ordered.order {
        // The first reason stays: it tells since when.
        Order::Pause { .. } if draft.link.paused.is_some() => draft.done(Reason::InStep),
        Order::Pause { reason } => {
            draft.link.paused = Some(Paused { reason: reason.clone(), at });
            draft.done(Reason::Paused)
        }
        Order::Resume if draft.link.paused.is_none() => draft.done(Reason::InStep),
        Order::Resume => {
            draft.link.paused = None;
            draft.link.fuse = Fuse::default();
            draft.done(Reason::Resumed)
        }
        Order::Redrive { entry, died_at } => redrive(draft, entry, *died_at),
        Order::Look(system) => look(draft, *system),
        Order::Discard(entry) => discard(draft, entry),
        Order::Unlink => {
            let link = &mut draft.link;
            (link.unlinked, link.paused, link.page) = (true, None, Page::Withheld);
            (link.opsgenie.commanded, link.pagerduty.commanded) = (None, None);
            (link.held, link.fetching_note) = (Vec::new(), None);
            draft.done(Reason::Unlinked(Unlinked::ByOperator))
        }
        Order::Link { incident } => link(draft, incident),
    }
}

/// Whether it is the one order that an ended link listens to.
pub(super) fn links(event: &Event) -> bool {
    matches!(&event.body, EventBody::Ordered(ordered) if matches!(ordered.order, Order::Link { .. }))
}

/// What was ordered for an alert without a link: only that it be linked can be done.
pub(super) fn without_link(event: &Event, ordered: &Ordered, policy: &Policy) -> Decision {
    let Order::Link { incident } = &ordered.order else { return unlinked(Unlinked::NoSuchLink) };
    let new = Link::new(ordered.alert.clone(), AlertFacts::default(), Page::Withheld, event.received_at);
    link(Draft::new(&new, event, policy), incident)
}

/// Links the alert with that incident. Nothing that was known of either counts any more: both begin as they are born, and where
/// they stand is read, so that what is read is news, and is told to the other side by the usual rules.
fn link(mut draft: Draft<'_>, incident: &IncidentId) -> Decision {
    match &draft.link.page {
        Page::Standing(stands) if stands == incident => return draft.done(Reason::InStep),
        Page::Standing(_) | Page::Joining | Page::Pending => {
            return draft.done(Reason::Unlinked(Unlinked::OtherIncident));
        }
        Page::Dead | Page::Withheld if draft.link.alert_deleted => return draft.done(Reason::AlertDeleted),
        Page::Dead | Page::Withheld => {}
    }
    let at = draft.event.received_at;
    let born = Known { status: Status::Open, at: None, by_the_second: false };
    let link = &mut draft.link;
    link.page = Page::Standing(incident.clone());
    link.incident_number = None;
    (link.unlinked, link.redriven, link.told_superseded) = (false, false, false);
    (link.merged, link.unread_since) = (Vec::new(), None);
    // What people wrote before was not written for the other side, and may be much.
    (link.notes_since, link.alert_notes_since) = (Some(at), Some(at));
    for system in [System::Opsgenie, System::PagerDuty] {
        *link.side_mut(system) = Side { known: Some(born), ..Side::default() };
    }
    draft.push(System::Opsgenie, Action::FetchAlert);
    draft.push(System::PagerDuty, Action::FetchIncident);
    draft.done(Reason::Linked)
}

/// What was given up goes back into its lane, which is the store's business; the link is to expect its end again.
fn redrive(mut draft: Draft<'_>, entry: &Entry, died_at: Timestamp) -> Decision {
    let to = entry.command.to;
    match entry.command.action {
        // It may be over long since: nobody is paged before the alert was read.
        Action::Create(_) if draft.link.page == Page::Dead => {
            draft.link.redriven = true;
            draft.push(System::Opsgenie, Action::FetchAlert);
        }
        Action::SetStatus { status, mark } if is_wanted(&draft.link, to, status, died_at) => {
            draft.link.side_mut(to).commanded = Some(Commanded { status, mark });
        }
        // What is not commanded (any more) is dropped as such when its turn comes.
        Action::Create(_)
        | Action::SetStatus { .. }
        | Action::Note { .. }
        | Action::UpdatePriority { .. }
        | Action::FetchAlert
        | Action::FetchIncident
        | Action::EndMerged { .. }
        | Action::FetchNote { .. } => {}
    }
    draft.done(Reason::Redriven)
}

/// Whether a state that was given up is wanted still: nothing later is under way, and the other side stands there now.
fn is_wanted(link: &Link, to: System, status: Status, died_at: Timestamp) -> bool {
    // An incident is also resolved when a late change of ours had reopened it, whatever its alert says; unless somebody has
    // changed it since, who may work on it now.
    let unchanged = link.pagerduty.heard_at <= died_at;
    let for_its_own_sake = to == System::PagerDuty && status == Status::Resolved && unchanged;
    let wanted = for_its_own_sake || link.side(to.peer()).target() == Some(status);
    wanted && link.side(to).commanded.is_none()
}

/// What is being read already, or is not there yet, need not be read.
fn look(mut draft: Draft<'_>, system: System) -> Decision {
    match system {
        System::Opsgenie if draft.link.page == Page::Joining => return draft.done(Reason::InStep),
        System::PagerDuty if draft.link.incident().is_none() => return draft.done(Reason::InStep),
        System::Opsgenie => draft.push(system, Action::FetchAlert),
        System::PagerDuty => draft.push(system, Action::FetchIncident),
    }
    draft.done(Reason::Unclear)
}

/// Nothing is paged for an alert whose page was discarded, whatever happens to it later.
fn discard(mut draft: Draft<'_>, entry: &Entry) -> Decision {
    if matches!(entry.command.action, Action::Create(_)) && draft.link.page == Page::Dead {
        draft.link.page = Page::Withheld;
        draft.link.pagerduty.commanded = None;
    }
    draft.done(Reason::Discarded)
}

/// What is left of a link that was ended hears of one thing only: that its alert is over, since then it may be forgotten.
pub(super) fn tombstone(link: &Link, event: &Event) -> Link {
    let mut link = link.clone();
    let (over, deleted) = match &event.body {
        EventBody::Alert(happened) => {
            let deleted = happened.action == AlertAction::Delete;
            (deleted || matches!(happened.action, AlertAction::Close { .. }), deleted)
        }
        EventBody::Polled(polled) => {
            let deleted = matches!(polled.seen, Seen::NoAlert);
            let resolved = |alert: &FetchedAlert| alert.status == Status::Resolved;
            (deleted || matches!(&polled.seen, Seen::Alert { alert, .. } if resolved(alert)), deleted)
        }
        EventBody::Incident(_) | EventBody::Settled(_) | EventBody::Ordered(_) => (false, false),
    };
    if over {
        link.observe_alert(Status::Resolved, event.occurred_at);
        link.alert_deleted |= deleted;
    }
    link
}
