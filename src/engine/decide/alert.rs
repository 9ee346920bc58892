//! What happened to an alert, and what PagerDuty is to hear of it.

use std::time::Duration;

use super::super::event::{AlertAction, AlertEvent, AlertFacts, Event, EventBody, Status, System, Timestamp};
use super::super::link::{HeardNote, Link, NoteVia, Observed, Page, TextHash};
use super::super::outbox::Action;
use super::super::policy::Policy;
use super::{
    Decision, Draft, Guard, Reason, TELLING, Unlinked, blank, is_beyond_retention, nothing, page, text, too_old,
    unlinked,
};

/// How far apart the two webhooks of one note may be: the note itself, and the action it was given with.
const TWIN_WINDOW: Duration = Duration::from_secs(10);

pub(super) fn decide(link: Option<&Link>, event: &Event, happened: &AlertEvent, policy: &Policy) -> Decision {
    match link {
        None => unseen(event, happened, policy),
        Some(link) if link.page == Page::Joining => joining(Draft::new(link, event, policy), happened),
        Some(link) => seen(Draft::new(link, event, policy), happened),
    }
}

/// An alert without a link: it was created just now, or its creation was missed, or it is none of ours.
fn unseen(event: &Event, happened: &AlertEvent, policy: &Policy) -> Decision {
    let mut draft = Draft::new(&blank(&happened.alert, event), event, policy);
    match &happened.action {
        // We never create alerts, so a creation is no echo, whoever is named as its actor.
        AlertAction::Create => {
            if may_be_forgotten(&draft, happened) {
                return join(draft);
            }
            take_over(&mut draft.link, &happened.facts);
            draft.link.facts.priority = happened.facts.priority;
            page(&mut draft);
            return draft.done(Reason::Mirrored);
        }
        AlertAction::Close { .. } | AlertAction::Delete => return over(draft, happened),
        AlertAction::Acknowledge { .. }
        | AlertAction::Unacknowledge { .. }
        | AlertAction::AddNote { .. }
        | AlertAction::UpdatePriority
        | AlertAction::AssignOwnership { .. }
        | AlertAction::TakeOwnership
        | AlertAction::Snooze
        | AlertAction::EscalateToNext
        | AlertAction::Other(_) => {}
    }
    if draft.is_ours(System::Opsgenie) {
        return nothing(Reason::Echo(Guard::Actor));
    }
    if let Some(why) = too_old(happened.facts.created_at, event.received_at, policy) {
        return unlinked(why);
    }
    join(draft)
}

/// Has the alert read before anything is decided on.
fn join(mut draft: Draft<'_>) -> Decision {
    draft.link.held.push(draft.event.clone());
    draft.push(System::Opsgenie, Action::FetchAlert);
    draft.done(Reason::Joining)
}

/// Whether the link of an alert whose creation is told may have been pruned: then the alert was closed. Else an old alert was
/// routed to the team whose integration posts to us.
fn may_be_forgotten(draft: &Draft<'_>, happened: &AlertEvent) -> bool {
    is_beyond_retention(happened.facts.created_at, draft.event.received_at, draft.policy)
}

/// Whether it tells that an alert was created.
pub(super) fn is_creation(event: &Event) -> bool {
    matches!(&event.body, EventBody::Alert(AlertEvent { action: AlertAction::Create, .. }))
}

/// The end of an alert that we have not heard of. Webhooks may overtake each other, so its creation may still come: it is
/// put down that there is nothing to page for.
fn over(mut draft: Draft<'_>, happened: &AlertEvent) -> Decision {
    let created_at = happened.facts.created_at;
    if draft.is_ours(System::Opsgenie) || too_old(created_at, draft.event.received_at, draft.policy).is_some() {
        return unlinked(Unlinked::NotOpen);
    }
    take_over(&mut draft.link, &happened.facts);
    draft.link.alert_deleted = happened.action == AlertAction::Delete;
    let at = draft.event.occurred_at;
    withhold(draft, at)
}

/// Puts down that an alert was over before it paged: nothing pages for it, however late its creation is told.
pub(super) fn withhold(mut draft: Draft<'_>, at: Option<Timestamp>) -> Decision {
    draft.link.page = Page::Withheld;
    draft.link.observe_alert(Status::Resolved, at);
    draft.released = std::mem::take(&mut draft.link.held);
    draft.done(Reason::NoIncident)
}

/// An alert that is being read because its creation was missed.
fn joining(mut draft: Draft<'_>, happened: &AlertEvent) -> Decision {
    if happened.action != AlertAction::Create || may_be_forgotten(&draft, happened) {
        return draft.hold();
    }
    // Here it is after all, only late.
    take_over(&mut draft.link, &happened.facts);
    draft.link.facts.priority = happened.facts.priority;
    page(&mut draft);
    draft.released = std::mem::take(&mut draft.link.held);
    draft.done(Reason::Mirrored)
}

fn seen(mut draft: Draft<'_>, happened: &AlertEvent) -> Decision {
    take_over(&mut draft.link, &happened.facts);
    match &happened.action {
        AlertAction::Create => draft.done(Reason::Duplicate),
        AlertAction::Acknowledge { note } => state(draft, Status::Acknowledged, note.as_deref()),
        AlertAction::Unacknowledge { note } => state(draft, Status::Open, note.as_deref()),
        AlertAction::Close { note } => state(draft, Status::Resolved, note.as_deref()),
        AlertAction::AddNote { text } => note(draft, text),
        AlertAction::UpdatePriority => priority(draft, &happened.facts),
        AlertAction::AssignOwnership { owner } => {
            let owner = owner.as_deref().unwrap_or("somebody");
            told(draft, &format!("assigned the alert to {owner}"))
        }
        AlertAction::TakeOwnership => told(draft, "took ownership of the alert"),
        AlertAction::Snooze => told(draft, "snoozed the alert"),
        AlertAction::EscalateToNext => told(draft, "escalated the alert to the next step"),
        AlertAction::Delete if draft.link.alert_deleted => draft.done(Reason::InStep),
        AlertAction::Delete => {
            draft.link.alert_deleted = true;
            told(draft, "deleted the alert")
        }
        AlertAction::Other(_) => draft.done(Reason::Ignored),
    }
}

/// Keeps what the alert says of itself. Not its priority: that changes only by the action of that name.
pub(super) fn take_over(link: &mut Link, facts: &AlertFacts) {
    let known = &mut link.facts;
    let newer = |new: &Option<String>, old: &mut Option<String>| {
        if new.is_some() {
            old.clone_from(new);
        }
    };
    newer(&facts.message, &mut known.message);
    newer(&facts.description, &mut known.description);
    newer(&facts.tiny_id, &mut known.tiny_id);
    newer(&facts.entity, &mut known.entity);
    if !facts.tags.is_empty() {
        known.tags.clone_from(&facts.tags);
    }
    known.created_at = facts.created_at.or(known.created_at);
}

fn state(mut draft: Draft<'_>, status: Status, words: Option<&str>) -> Decision {
    let ours = draft.is_our_change(System::Opsgenie, status);
    let echo = draft.echo(System::Opsgenie);
    if ours && draft.is_late_echo(System::Opsgenie, status) {
        return draft.done(echo);
    }
    let commanded = draft.link.opsgenie.commanded.is_some_and(|c| c.status == status);
    let is_news = status == Status::Resolved && closes_what_was_reopened(&draft);
    let mut observed = draft.link.observe_alert(status, draft.event.occurred_at);
    if observed == Observed::Same && is_news {
        observed = Observed::Changed { from: None };
    }
    draft.link.opsgenie.arrived(status, observed);
    if ours {
        return draft.done(echo);
    }
    let words = words.filter(|words| !words.trim().is_empty() && !is_twin(&mut draft, words, NoteVia::Inside));
    let reason = match observed {
        Observed::Stale => Reason::Stale,
        Observed::Same => Reason::InStep,
        Observed::Changed { .. } if draft.link.page == Page::Withheld => Reason::NoIncident,
        Observed::Changed { .. } if draft.target(System::PagerDuty) == Some(status) && commanded => {
            Reason::Echo(Guard::Commanded)
        }
        Observed::Changed { .. } if draft.target(System::PagerDuty) == Some(status) => Reason::InStep,
        Observed::Changed { .. } => {
            // What we were still to do to the alert is older than what was done to it now; but its end stands.
            draft.link.opsgenie.commanded = draft.link.opsgenie.commanded.filter(|c| c.status == Status::Resolved);
            draft.command_status(System::PagerDuty, status);
            let done = match status {
                Status::Open => "let go of the alert: it is not acknowledged any more",
                Status::Acknowledged => "acknowledged the alert",
                Status::Resolved => "closed the alert",
            };
            let sentence = format!("{} {done}", text::who(&draft.event.actor));
            draft.write_note(System::PagerDuty, text::about(System::Opsgenie, &text::with_words(sentence, words)));
            return draft.done(Reason::Mirrored);
        }
    };
    // Nothing is to be done about the state, but what was said with it is news all the same.
    match words {
        Some(words) if draft.link.page != Page::Withheld => {
            let text = text::said(System::Opsgenie, &draft.event.actor, words);
            draft.write_note(System::PagerDuty, text);
            draft.done(Reason::Mirrored)
        }
        Some(_) | None => draft.done(reason),
    }
}

/// Whether the alert was closed after the incident had been reopened or so, though that it is closed was found out before its
/// webhook came. Only the closing that was found counts, so nothing later than that; and the clocks of both vendors need not
/// agree to the second.
fn closes_what_was_reopened(draft: &Draft<'_>) -> bool {
    let side = &draft.link.pagerduty;
    let Some(known) = side.known.filter(|known| known.status != Status::Resolved) else { return false };
    let found_at = draft.link.opsgenie.known.and_then(|known| known.at);
    let (Some(at), Some(known_at), Some(found_at)) = (draft.event.occurred_at, known.at, found_at) else {
        return false;
    };
    draft.link.incident().is_some() && at > known_at.plus(TELLING) && at <= found_at
}

fn note(mut draft: Draft<'_>, words: &str) -> Decision {
    // Used up whichever guard fires, so that it cannot swallow a person's equal note later.
    let written = draft.link.use_up_echo(System::Opsgenie, None, Some(&TextHash::of(&[words])));
    if draft.is_ours(System::Opsgenie) {
        return draft.done(Reason::Echo(Guard::Actor));
    }
    if written {
        return draft.done(Reason::Echo(Guard::WrittenNote));
    }
    if draft.bears_our_prefix(words) {
        return draft.done(Reason::Echo(Guard::Prefix));
    }
    if is_twin(&mut draft, words, NoteVia::Itself) {
        return draft.done(Reason::NoteTwin);
    }
    if draft.link.page == Page::Withheld {
        return draft.done(Reason::NoIncident);
    }
    let text = text::said(System::Opsgenie, &draft.event.actor, words);
    draft.write_note(System::PagerDuty, text);
    draft.done(Reason::Mirrored)
}

/// Puts a person's note down, unless it is the twin of one that came the other way just now: then that one is paired.
fn is_twin(draft: &mut Draft<'_>, words: &str, via: NoteVia) -> bool {
    let at = draft.when();
    let hash = TextHash::of(&[text::who(&draft.event.actor), words]);
    let alone_text = TextHash::of(&[words]);
    let told_when = draft.event.occurred_at.is_some();
    let twin = draft.link.heard.iter_mut().find(|heard| {
        let apart = at.since(heard.at).max(heard.at.since(at));
        let other_way = heard.alone.is_some_and(|alone| alone != via);
        let listed = heard.alone == Some(NoteVia::Listed);
        let same = heard.hash == hash || (listed && heard.text.as_ref() == Some(&alone_text));
        // A webhook that was sent again may come long after the note was found in a list.
        let near = apart <= TWIN_WINDOW || (listed && !told_when);
        heard.system == System::Opsgenie && same && other_way && near
    });
    if let Some(twin) = twin {
        // What a list showed may still come both ways.
        twin.alone = (twin.alone == Some(NoteVia::Listed)).then_some(via);
        return true;
    }
    let text = Some(alone_text);
    draft.link.heard.push(HeardNote { system: System::Opsgenie, id: None, hash, at, alone: Some(via), text });
    false
}

fn priority(mut draft: Draft<'_>, facts: &AlertFacts) -> Decision {
    let Some(priority) = facts.priority else { return draft.done(Reason::Ignored) };
    let at = draft.event.occurred_at;
    if let (Some(at), Some(known_at)) = (at, draft.link.priority_at)
        && at < known_at
    {
        return draft.done(Reason::Stale);
    }
    draft.link.priority_at = at.or(draft.link.priority_at);
    // Some webhooks tell an old priority without a change of it.
    if draft.link.facts.priority.replace(priority) == Some(priority) {
        return draft.done(Reason::InStep);
    }
    if draft.is_ours(System::Opsgenie) {
        return draft.done(Reason::Echo(Guard::Actor));
    }
    if draft.link.page == Page::Withheld {
        return draft.done(Reason::NoIncident);
    }
    let by = text::who(&draft.event.actor).to_owned();
    draft.push(System::PagerDuty, Action::UpdatePriority { priority, by });
    draft.done(Reason::Mirrored)
}

/// Something that PagerDuty has no counterpart of: its people are told.
fn told(mut draft: Draft<'_>, done: &str) -> Decision {
    if draft.is_ours(System::Opsgenie) {
        return draft.done(Reason::Echo(Guard::Actor));
    }
    if draft.link.page == Page::Withheld {
        return draft.done(Reason::NoIncident);
    }
    let sentence = format!("{} {done}", text::who(&draft.event.actor));
    draft.write_note(System::PagerDuty, text::about(System::Opsgenie, &sentence));
    draft.done(Reason::Mirrored)
}
