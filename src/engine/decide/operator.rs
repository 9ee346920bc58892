//! What was ordered for a link.

use super::super::event::{Operator, Order, Status, System};
use super::super::fuse::Fuse;
use super::super::link::{Commanded, Link, Page, Paused};
use super::super::outbox::{Action, Entry};
use super::{Decision, Draft, Reason, Unlinked};

pub(super) fn decide(mut draft: Draft<'_>, operator: &Operator) -> Decision {
    let at = draft.event.received_at;
    match &operator.order {
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
        Order::Redrive(entry) => redrive(draft, entry),
        Order::Discard(entry) => discard(draft, entry),
        Order::Unlink => {
            let link = &mut draft.link;
            (link.unlinked, link.paused, link.page) = (true, None, Page::Withheld);
            (link.opsgenie.commanded, link.pagerduty.commanded) = (None, None);
            (link.held, link.fetching_note) = (Vec::new(), None);
            draft.done(Reason::Unlinked(Unlinked::ByOperator))
        }
    }
}

/// What was given up goes back into its lane, which is the store's business; the link is to expect its end again.
fn redrive(mut draft: Draft<'_>, entry: &Entry) -> Decision {
    let to = entry.command.to;
    match entry.command.action {
        Action::Create(_) if draft.link.page == Page::Dead => draft.link.page = Page::Pending,
        Action::SetStatus { status, mark } if is_wanted(&draft.link, to, status) => {
            draft.link.side_mut(to).commanded = Some(Commanded { status, mark });
        }
        // What is not commanded (any more) is dropped as such when its turn comes.
        Action::Create(_)
        | Action::SetStatus { .. }
        | Action::Note { .. }
        | Action::UpdatePriority { .. }
        | Action::FetchAlert
        | Action::FetchIncident
        | Action::FetchNote { .. } => {}
    }
    draft.done(Reason::Redriven)
}

/// Whether a state that was given up is wanted still: nothing later is under way, and the other side stands there now.
fn is_wanted(link: &Link, to: System, status: Status) -> bool {
    // An incident is also resolved when a late change of ours had reopened it, whatever its alert says.
    let for_its_own_sake = to == System::PagerDuty && status == Status::Resolved;
    let wanted = for_its_own_sake || link.side(to.peer()).target() == Some(status);
    wanted && link.side(to).commanded.is_none()
}

/// Nothing is paged for an alert whose page was discarded, whatever happens to it later.
fn discard(mut draft: Draft<'_>, entry: &Entry) -> Decision {
    if matches!(entry.command.action, Action::Create(_)) && draft.link.page == Page::Dead {
        draft.link.page = Page::Withheld;
        draft.link.pagerduty.commanded = None;
    }
    draft.done(Reason::Discarded)
}
