//! The story of one alert and its incident: what people did where, what was made of it and why, and what became of that in the
//! other system. It is told from the timeline, in which everything that was decided stands in order.

pub(super) mod words;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::{LinkView, Texts, moment};
use crate::engine::{
    AlertAction, AlertId, Entry, Event, EventBody, IncidentChange, Order, Outcome, Reason, Settled, Step, System,
};
use crate::store::book::LONGEST_LIST;
use crate::store::{DeadLetter, TimelineEntry};

/// What happened to an alert and its incident, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Story {
    /// The alert.
    #[schema(value_type = String)]
    pub alert: AlertId,
    /// Where both sides stand; nothing if they are not linked.
    pub link: Option<LinkView>,
    /// What happened, oldest first; of a very long story the end.
    pub chapters: Vec<Chapter>,
    /// Whether the beginning was left out.
    pub cut: bool,
}

/// One thing that happened, and what was made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Chapter {
    /// When it was decided on, by our clock.
    pub at: jiff::Timestamp,
    /// When it happened, by the vendor's clock, where that is told.
    pub happened_at: Option<jiff::Timestamp>,
    /// Where it happened; nothing if it came from an operator, or from crosspage itself.
    #[schema(value_type = Option<String>)]
    pub side: Option<System>,
    /// How crosspage came to know.
    pub heard: Heard,
    /// Who did it, as far as the vendor tells.
    pub who: Option<String>,
    /// What they did, to be read after who.
    pub what: String,
    /// What they wrote.
    pub text: Option<String>,
    /// The reason of the decision, as the log and the metrics name it.
    pub reason: String,
    /// What that means.
    pub because: String,
    /// Whether it is our own change coming back.
    pub echo: bool,
    /// Names the delivery in the log.
    pub request_id: Option<String>,
    /// What was done about it, in order.
    pub deeds: Vec<Deed>,
}

/// How crosspage came to know of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// By a webhook.
    Webhook,
    /// By looking: no webhook had told of it.
    Look,
    /// An operator has ordered it, or crosspage itself.
    Order,
    /// One of our own commands has ended.
    Command,
}

/// A command, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deed {
    /// The command's number.
    pub number: u64,
    /// Where it is carried out.
    #[schema(value_type = String)]
    pub to: System,
    /// What it does, in a word.
    pub action: String,
    /// How it stands.
    pub state: DeedState,
    /// What became of it, or the last thing that went wrong.
    pub result: Option<String>,
    /// How often it was put off before it came to its end.
    pub attempts: u32,
    /// How long it took from the decision to its end, in milliseconds.
    pub took_ms: Option<u64>,
    /// The vendor's name for the request, where it gives one.
    pub request_id: Option<String>,
}

/// How a command stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeedState {
    /// It was carried out.
    Done,
    /// It is to be carried out, or on its way.
    Waiting,
    /// It was not sent, since events had overtaken it.
    NotSent,
    /// It was given up, and is a dead letter unless an operator has dealt with it.
    GivenUp,
    /// What became of it is not known any more.
    Forgotten,
}

/// Tells the story from what the store knows.
pub fn tell(
    alert: AlertId,
    link: Option<LinkView>,
    timeline: &[TimelineEntry],
    entries: &[Entry],
    letters: &[DeadLetter],
    texts: Texts,
) -> Story {
    let ended = timeline.iter().filter_map(|entry| match &entry.event.body {
        EventBody::Settled(settled) => Some((settled.entry.id, deed_of(settled, entry))),
        EventBody::Alert(_) | EventBody::Incident(_) | EventBody::Polled(_) | EventBody::Ordered(_) => None,
    });
    // A command that was redriven ends more than once, and its last end counts.
    let mut deeds: HashMap<u64, Deed> = ended.collect();
    for letter in letters {
        let entry = &letter.entry;
        deeds.entry(entry.id).or_insert_with(|| Deed {
            result: Some(letter.reason.clone()),
            state: DeedState::GivenUp,
            ..deed(entry, None)
        });
    }
    for entry in entries {
        deeds.insert(entry.id, deed(entry, None));
    }
    let chapters = timeline.iter().filter(|entry| is_told(entry)).map(|entry| chapter(entry, &deeds, texts)).collect();
    Story { alert, link, chapters, cut: timeline.len() >= LONGEST_LIST }
}

/// That a command came to a good end is told with what it was for.
fn is_told(entry: &TimelineEntry) -> bool {
    let is_end = matches!(entry.event.body, EventBody::Settled(_));
    let plain = matches!(
        entry.reason,
        Reason::Carried | Reason::Fetched | Reason::Overtaken | Reason::GivenUp | Reason::Discarded
    );
    !(is_end && plain && entry.commands.is_empty())
}

fn chapter(entry: &TimelineEntry, deeds: &HashMap<u64, Deed>, texts: Texts) -> Chapter {
    let event = &entry.event;
    let told = Told::by(event);
    Chapter {
        at: moment(entry.at),
        happened_at: event.occurred_at.map(moment),
        side: told.side,
        heard: told.heard,
        who: who(event),
        what: told.what,
        text: told.text.and_then(|text| texts.show(text)),
        reason: entry.reason.to_string(),
        because: words::because(entry.reason).to_owned(),
        echo: matches!(entry.reason, Reason::Echo(_)),
        request_id: event.request_id.clone(),
        deeds: entry
            .commands
            .iter()
            .map(|number| deeds.get(number).cloned().unwrap_or_else(|| forgotten(*number)))
            .collect(),
    }
}

/// What an event tells, in words.
struct Told<'a> {
    side: Option<System>,
    heard: Heard,
    what: String,
    text: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn by(event: &'a Event) -> Self {
        match &event.body {
            EventBody::Alert(happened) => {
                let text = match &happened.action {
                    AlertAction::AddNote { text } => Some(text.as_str()),
                    AlertAction::Acknowledge { note }
                    | AlertAction::Unacknowledge { note }
                    | AlertAction::Close { note } => note.as_deref(),
                    AlertAction::Create
                    | AlertAction::UpdatePriority
                    | AlertAction::AssignOwnership { .. }
                    | AlertAction::TakeOwnership
                    | AlertAction::Snooze
                    | AlertAction::EscalateToNext
                    | AlertAction::Delete
                    | AlertAction::Other(_) => None,
                };
                let what = words::alert(&happened.action);
                Self { side: Some(System::Opsgenie), heard: heard(event), what, text }
            }
            EventBody::Incident(happened) => {
                let text = match &happened.change {
                    IncidentChange::Annotated(note) => Some(note.text.as_str()),
                    IncidentChange::Triggered
                    | IncidentChange::Acknowledged
                    | IncidentChange::Unacknowledged
                    | IncidentChange::Resolved
                    | IncidentChange::MergedInto(_)
                    | IncidentChange::Reopened
                    | IncidentChange::Read
                    | IncidentChange::Other(_) => None,
                };
                let what = words::incident(&happened.change, happened.status);
                Self { side: Some(System::PagerDuty), heard: heard(event), what, text }
            }
            EventBody::Polled(polled) => {
                let what = words::seen(&polled.seen);
                Self { side: Some(polled.seen.system()), heard: Heard::Look, what, text: None }
            }
            EventBody::Settled(settled) => {
                let what = words::ended(settled);
                Self { side: Some(settled.entry.command.to), heard: Heard::Command, what, text: None }
            }
            EventBody::Ordered(ordered) => {
                let text = match &ordered.order {
                    Order::Pause { reason } => Some(reason.as_str()),
                    Order::Resume
                    | Order::Redrive { .. }
                    | Order::Look(_)
                    | Order::Discard(_)
                    | Order::Unlink
                    | Order::Link { .. } => None,
                };
                Self { side: None, heard: Heard::Order, what: words::order(ordered), text }
            }
        }
    }
}

/// What no webhook has told was seen by a look, and is decided on as an event of its own.
fn heard(event: &Event) -> Heard {
    if event.request_id.is_some() { Heard::Webhook } else { Heard::Look }
}

fn who(event: &Event) -> Option<String> {
    let actor = &event.actor;
    actor.name.clone().or_else(|| actor.id.clone()).or_else(|| actor.source.clone())
}

fn deed_of(settled: &Settled, entry: &TimelineEntry) -> Deed {
    let state = match &settled.outcome {
        Outcome::Dead { .. } => DeedState::GivenUp,
        Outcome::Merged { .. } if settled.entry.command.action.is_look_up() => DeedState::Done,
        Outcome::Dropped(_) | Outcome::Superseded { .. } | Outcome::Merged { .. } => DeedState::NotSent,
        Outcome::Created { .. }
        | Outcome::Noted { .. }
        | Outcome::InState { .. }
        | Outcome::Prioritised
        | Outcome::NotApplicable
        | Outcome::FetchedAlert(_)
        | Outcome::FetchedIncident(_)
        | Outcome::FetchedNote(_) => DeedState::Done,
    };
    let took = entry.at.since(settled.entry.queued_at);
    let took_ms = u64::try_from(took.as_millis()).ok();
    Deed { state, result: words::outcome(&settled.outcome), ..deed(&settled.entry, took_ms) }
}

fn deed(entry: &Entry, took_ms: Option<u64>) -> Deed {
    let request_id = match &entry.step {
        Step::Accepted { request_id, .. } => Some(request_id.clone()),
        Step::Ready | Step::Looked(_) | Step::Sending { .. } | Step::Unsure { .. } | Step::Doubted { .. } => None,
    };
    Deed {
        number: entry.id,
        to: entry.command.to,
        action: entry.command.action.name().to_owned(),
        state: DeedState::Waiting,
        result: entry.trouble.clone(),
        attempts: entry.attempt,
        took_ms,
        request_id,
    }
}

/// The end of a command whose link is gone, or whose end was pruned, is not known.
fn forgotten(number: u64) -> Deed {
    Deed {
        number,
        to: System::PagerDuty,
        action: "forgotten".to_owned(),
        state: DeedState::Forgotten,
        result: None,
        attempts: 0,
        took_ms: None,
        request_id: None,
    }
}

#[cfg(test)]
mod tests;
