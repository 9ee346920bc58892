//! What a look at one side showed, and whether that is news.
//!
//! A look is compared with what is known of the same side, never with the other one: a resolved incident and an open
//! alert are no drift. Whatever is news goes the way of every other event, ascribed to whoever the vendor names.

use std::collections::BTreeMap;

use super::super::event::{
    Actor, AlertAction, AlertEvent, AlertFacts, Event, EventBody, IncidentChange, IncidentEvent, IncidentId,
    IncidentNote, Polled, Seen, SeenNote, Status, System, Timestamp,
};
use super::super::link::{HeardNote, Link, NoteVia, Page, TextHash, WrittenNote};
use super::super::outbox::{Action, FetchedAlert};
use super::super::policy::Policy;
use super::alert::withhold;
use super::settled::read_event;
use super::{Decision, Draft, NotYet, Reason, Unlinked, blank, nothing, text, too_old, unlinked};

pub(super) fn decide(link: Option<&Link>, event: &Event, polled: &Polled, policy: &Policy) -> Decision {
    let Some(link) = link else { return unseen(event, polled, policy) };
    match &polled.seen {
        Seen::AlertNotes(notes) => return alert_notes(link, event, notes, policy),
        Seen::IncidentNotes(incident, _) if link.incident() != Some(incident) || link.alert_deleted => {
            return unchanged(link, Reason::NoDrift);
        }
        Seen::IncidentNotes(incident, notes) => {
            return incident_notes(&read(link, event, polled, policy), event, incident, notes, policy);
        }
        Seen::Alert { .. } | Seen::NoAlert | Seen::Incident { .. } | Seen::NoIncident(_) => {}
    }
    if link.page == Page::Joining {
        return unchanged(link, Reason::NotYet(NotYet::Unfinished));
    }
    let drift = match &polled.seen {
        Seen::Alert { alert, .. } => alert_state(link, event, alert),
        Seen::NoAlert if link.alert_deleted => None,
        Seen::NoAlert => Some(alert_event(link, event, AlertAction::Delete, None)),
        Seen::Incident { incident, status, at, by, merged_into } => {
            let now = State { incident, status: *status, at: *at, by };
            incident_state(link, event, &now, merged_into.as_ref())
        }
        Seen::NoIncident(incident) if is_known_open(link, incident) => None,
        Seen::NoIncident(_) | Seen::AlertNotes(_) | Seen::IncidentNotes(..) => {
            return unchanged(link, Reason::NoDrift);
        }
    };
    let vanished = matches!(&polled.seen, Seen::NoIncident(_));
    if drift.is_none() && !vanished {
        return agreed(link, polled);
    }
    if let Some(why) = proves_nothing(link, polled, policy) {
        let mut decision = unchanged(link, Reason::NotYet(why));
        if let Some(link) = &mut decision.link {
            // After our clock was set back, it would take as long until something is proven again.
            let side = link.side_mut(polled.seen.system());
            side.touched_at = side.touched_at.min(event.received_at);
        }
        return decision;
    }
    match drift {
        Some(event) => Decision { released: vec![event], ..unchanged(link, Reason::Drift) },
        None => gone(Draft::new(link, event, policy)),
    }
}

/// Nothing is done, and the link stays as it is.
fn unchanged(link: &Link, reason: Reason) -> Decision {
    Decision { link: Some(link.clone()), ..nothing(reason) }
}

/// A look that shows what is known. If it shows the alert as it was later than that, the state has stood until then: a late webhook
/// of the time before is no news. Unless a change of ours is under way: it may show the alert before that, or after somebody has
/// changed it back since.
fn agreed(link: &Link, polled: &Polled) -> Decision {
    let mut decision = unchanged(link, Reason::NoDrift);
    let (Seen::Alert { alert, .. }, Some(link)) = (&polled.seen, &mut decision.link) else { return decision };
    let side = &mut link.opsgenie;
    let agrees = side.known.is_some_and(|known| known.status == alert.status && known.status != Status::Resolved);
    let until = side.known_until();
    if agrees && alert.at >= until && (polled.unfinished || side.commanded.is_some()) {
        decision.reason = Reason::NotYet(NotYet::Unfinished);
    } else if agrees && alert.at > until {
        side.shown_until = alert.at;
    }
    decision
}

/// An alert without a link that is young enough: its creation was missed, or is late. If it is open, it is read in full, since
/// lists leave out what the page is to tell, and pages if it is open still.
fn unseen(event: &Event, polled: &Polled, policy: &Policy) -> Decision {
    let Seen::Alert { alert, may_page } = &polled.seen else { return unlinked(Unlinked::NoSuchAlert) };
    if !may_page {
        return nothing(Reason::Ignored);
    }
    // An alert that does not tell when it was created may be of any age.
    let Some(created_at) = alert.facts.created_at else { return unlinked(Unlinked::TooOld) };
    if let Some(why) = too_old(Some(created_at), event.received_at, policy) {
        return unlinked(why);
    }
    let mut draft = Draft::new(&blank(&polled.alert, event), event, policy);
    draft.link.facts = alert.facts.clone();
    if alert.status == Status::Resolved {
        return withhold(draft, alert.at);
    }
    draft.push(System::Opsgenie, Action::FetchAlert);
    draft.done(Reason::Joining)
}

/// Why what was read may be older than what is known.
fn proves_nothing(link: &Link, polled: &Polled, policy: &Policy) -> Option<NotYet> {
    let system = polled.seen.system();
    let side = link.side(system);
    if polled.unfinished || side.commanded.is_some() {
        return Some(NotYet::Unfinished);
    }
    let conclusive = polled.read_started.minus(policy.read_lag.of(system));
    (side.touched_at > conclusive).then_some(NotYet::TooFresh)
}

fn alert_state(link: &Link, event: &Event, alert: &FetchedAlert) -> Option<Event> {
    let known = link.opsgenie.known?;
    if known.status == alert.status || known.status == Status::Resolved {
        return None;
    }
    let action = match alert.status {
        Status::Open => AlertAction::Unacknowledge { note: None },
        Status::Acknowledged => AlertAction::Acknowledge { note: None },
        Status::Resolved => AlertAction::Close { note: None },
    };
    Some(alert_event(link, event, action, alert.at.max(link.opsgenie.known_until())))
}

fn alert_event(link: &Link, event: &Event, action: AlertAction, at: Option<Timestamp>) -> Event {
    let happened = AlertEvent { alert: link.alert.clone(), facts: AlertFacts::default(), action };
    // It is known to be newer than all that we did, so it must not pass for a late echo of ours without an actor.
    let actor = Actor { name: Some("somebody".to_owned()), person: true, ..Actor::nobody() };
    Event { actor, ..read_event(EventBody::Alert(happened), at, event.received_at) }
}

/// Where an incident stands.
struct State<'a> {
    incident: &'a IncidentId,
    status: Status,
    at: Option<Timestamp>,
    by: &'a Actor,
}

fn incident_state(link: &Link, event: &Event, now: &State<'_>, merged_into: Option<&IncidentId>) -> Option<Event> {
    let known = link.pagerduty.known;
    if link.incident() != Some(now.incident) {
        return None;
    }
    let change = match merged_into {
        Some(into) => IncidentChange::MergedInto(into.clone()),
        None if known.is_some_and(|known| known.status == now.status) => return None,
        None => match now.status {
            Status::Open if known.is_some_and(|known| known.status == Status::Resolved) => IncidentChange::Reopened,
            Status::Open => IncidentChange::Unacknowledged,
            Status::Acknowledged => IncidentChange::Acknowledged,
            Status::Resolved => IncidentChange::Resolved,
        },
    };
    // The vendor's reads tell the second only: what was proven to be newer must not look older.
    let at = now.at.max(known.and_then(|known| known.at));
    let happened = IncidentEvent {
        incident: now.incident.clone(),
        incident_key: None,
        number: None,
        service: None,
        status: Some(now.status),
        change,
    };
    let actor = now.by.clone();
    Some(Event { actor, ..read_event(EventBody::Incident(happened), at, event.received_at) })
}

fn is_known_open(link: &Link, incident: &IncidentId) -> bool {
    link.incident() == Some(incident) && link.pagerduty.known.is_none_or(|known| known.status != Status::Resolved)
}

/// The incident was deleted, or is out of our sight: there is nothing left to be kept in step with.
fn gone(mut draft: Draft<'_>) -> Decision {
    let at = draft.link.pagerduty.known.and_then(|known| known.at);
    draft.link.pagerduty.observe(Status::Resolved, at);
    if !draft.link.alert_deleted {
        let sentence = "The incident is not to be found any more: nobody is paged for this alert from now on";
        draft.write_note(System::Opsgenie, text::about(System::PagerDuty, sentence));
    }
    draft.done(Reason::Vanished)
}

/// Opsgenie's notes have no ids, so equal texts are counted. Those that neither a webhook told nor we wrote are missing:
/// the newest of them, since the older ones were heard first.
fn alert_notes(link: &Link, event: &Event, notes: &[SeenNote], policy: &Policy) -> Decision {
    let mut draft = Draft::new(link, event, policy);
    if matches!(link.page, Page::Joining | Page::Withheld) {
        return unchanged(link, Reason::NoDrift);
    }
    // Of a link that was made by hand, what was written before is not to be passed on. Neither is what does not tell its time:
    // its webhook will.
    let since = link.alert_notes_since;
    let is_before = |at: Option<Timestamp>| since.is_some_and(|since| at.is_none_or(|at| at < since));
    let ours = |note: &SeenNote| policy.identity.is_ours(System::Opsgenie, &note.by);
    let mut by_text: BTreeMap<TextHash, Vec<usize>> = BTreeMap::new();
    for (at, note) in notes.iter().enumerate() {
        by_text.entry(TextHash::of(&[&note.text])).or_default().push(at);
    }
    let mut missing = Vec::new();
    for (hash, places) in by_text {
        let written = |n: &&WrittenNote| n.system == System::Opsgenie && n.hash == hash;
        let heard = |n: &&HeardNote| {
            let by_author = |at: &usize| n.hash == TextHash::of(&[text::who(&notes[*at].by), &notes[*at].text]);
            let same = n.text.as_ref().map_or_else(|| places.iter().any(by_author), |text| *text == hash);
            n.system == System::Opsgenie && same && !is_before(Some(n.at))
        };
        let mine = places.iter().filter(|at| ours(&notes[**at])).count();
        // Where the vendor does not say that a note is ours, it counts among the others'.
        let unmarked = link.written.iter().filter(written).count().saturating_sub(mine);
        let accounted = link.heard.iter().filter(heard).count() + unmarked;
        let theirs = places.into_iter().filter(|at| !ours(&notes[*at]) && !is_before(notes[*at].at));
        missing.extend(theirs.skip(accounted));
    }
    missing.sort_unstable();
    for at in missing {
        let SeenNote { by, text: words, at: written_at, .. } = &notes[at];
        let prefixed = [System::Opsgenie, System::PagerDuty].iter().any(|s| words.starts_with(&text::prefix(*s)));
        if prefixed && !by.is_told() {
            continue;
        }
        draft.link.heard.push(HeardNote {
            system: System::Opsgenie,
            id: None,
            hash: TextHash::of(&[text::who(by), words]),
            at: written_at.unwrap_or(event.received_at),
            alone: Some(NoteVia::Listed),
            text: Some(TextHash::of(&[words])),
        });
        draft.write_note(System::PagerDuty, text::said(System::Opsgenie, by, words));
    }
    if draft.commands.is_empty() { unchanged(link, Reason::NoDrift) } else { draft.done(Reason::Mirrored) }
}

/// The link once its incident's notes were read. A reading that began too early may lack what was written before the merge was
/// heard of, so they are read once more.
fn read(link: &Link, event: &Event, polled: &Polled, policy: &Policy) -> Link {
    let conclusive = polled.read_started.minus(policy.read_lag.of(System::PagerDuty));
    let still_unread = |since: &Timestamp| *since > conclusive;
    // What lies ahead was put down before our clock was set back.
    let unread_since = link.unread_since.filter(still_unread).map(|since| since.min(event.received_at));
    Link { unread_since, ..link.clone() }
}

/// PagerDuty's notes have ids: whichever is not known yet goes the way of its webhook.
fn incident_notes(link: &Link, event: &Event, incident: &IncidentId, notes: &[SeenNote], policy: &Policy) -> Decision {
    let is_known = |id: &str| {
        let heard = link.heard.iter().any(|n| n.system == System::PagerDuty && n.id.as_deref() == Some(id));
        let written = link.written.iter().any(|n| n.system == System::PagerDuty && n.id.as_deref() == Some(id));
        heard || written || link.fetching_note.as_deref() == Some(id)
    };
    let missed = notes.iter().filter_map(|note| {
        let id = note.id.as_deref().filter(|id| !is_known(id))?;
        // What we write to an incident is known by its answer, and need not be put down again.
        if link.predates(note.at) || policy.identity.is_ours(System::PagerDuty, &note.by) {
            return None;
        }
        // One that we are writing right now, and whose answer is still to come.
        let hash = TextHash::of(&[&note.text]);
        let being_written = |n: &WrittenNote| n.system == System::PagerDuty && n.id.is_none() && n.hash == hash;
        if link.written.iter().any(being_written) {
            return None;
        }
        let note_seen = IncidentNote { id: id.to_owned(), text: note.text.clone(), trimmed: false };
        let happened = IncidentEvent {
            incident: incident.clone(),
            incident_key: None,
            number: None,
            service: None,
            status: None,
            change: IncidentChange::Annotated(note_seen),
        };
        let read = read_event(EventBody::Incident(happened), note.at, event.received_at);
        Some(Event { actor: note.by.clone(), ..read })
    });
    let released: Vec<Event> = missed.collect();
    let reason = if released.is_empty() { Reason::NoDrift } else { Reason::Drift };
    Decision { released, ..unchanged(link, reason) }
}
