//! What an operator is shown. The API answers with these, the command line reads them from there or gets them from the store,
//! and the dashboard is drawn from them: one form for all three. Moments are by our clock unless they say otherwise.

mod orders;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::engine::{
    Action, AlertId, Entry, EventBody, IncidentChange, IncidentEvent, IncidentId, Link, Page, Side, Status, System,
    Timestamp,
};
use crate::store::{DeadLetter, Form, QuarantinedHead, Waits};

pub use orders::{
    Answered, AnsweredAll, DifferenceView, DiscardedView, LinkOrder, NumbersOrder, Ordered, PauseOrder, Problem,
    ProblemText, ReconcileOrder, ReconciledView, ReplayedView, UnlinkedView,
};

/// Some of a list, and where it goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Listed<T> {
    /// Some of it, in order.
    pub items: Vec<T>,
    /// What `after` must be to go on; nothing at the end.
    pub next: Option<String>,
}

/// A moment as the rest of the world writes it.
pub fn moment(at: Timestamp) -> jiff::Timestamp {
    // What no calendar can hold came from a clock that was far off.
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(if at.as_millis() < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

/// An alert, its incident, and where both stand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LinkView {
    /// The alert's id, which names the link.
    #[schema(value_type = String)]
    pub alert: AlertId,
    /// The short number that people use for the alert.
    pub tiny_id: Option<String>,
    /// The alert's headline.
    pub message: Option<String>,
    /// The alert's priority.
    pub priority: Option<String>,
    /// How far its incident has come.
    pub page: PageView,
    /// The incident, once it exists.
    #[schema(value_type = Option<String>)]
    pub incident: Option<IncidentId>,
    /// The number that people use for the incident, where a webhook has told it.
    pub incident_number: Option<u64>,
    /// Where the alert stands.
    pub opsgenie: SideView,
    /// Where the incident stands.
    pub pagerduty: SideView,
    /// Whether anything may still be told between the two.
    pub open: bool,
    /// How many commands are still to be carried out, in both systems.
    pub pending: usize,
    /// Why its commands are held, if they are.
    pub paused: Option<PausedView>,
    /// When it was linked.
    pub linked_at: jiff::Timestamp,
    /// When it last changed.
    pub changed_at: jiff::Timestamp,
}

/// How far a link's incident has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PageView {
    /// The alert is being read to see whether it should page.
    Joining,
    /// The incident is being created.
    Pending,
    /// The incident exists.
    Standing,
    /// The creation was given up.
    GivenUp,
    /// Nobody is paged.
    Withheld,
    /// An operator has ended the link.
    Unlinked,
}

impl PageView {
    fn of(link: &Link) -> Self {
        match &link.page {
            _ if link.unlinked => Self::Unlinked,
            Page::Joining => Self::Joining,
            Page::Pending => Self::Pending,
            Page::Standing(_) => Self::Standing,
            Page::Dead => Self::GivenUp,
            Page::Withheld => Self::Withheld,
        }
    }

    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Joining => "being looked at",
            Self::Pending => "being created",
            Self::Standing => "created",
            Self::GivenUp => "given up",
            Self::Withheld => "nobody is paged",
            Self::Unlinked => "unlinked",
        }
    }
}

/// Where one side stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SideView {
    /// The newest state that is known.
    #[schema(value_type = Option<String>)]
    pub status: Option<Status>,
    /// Since when, by that vendor's clock.
    pub since: Option<jiff::Timestamp>,
    /// The state that it is being brought to, if it is.
    #[schema(value_type = Option<String>)]
    pub commanded: Option<Status>,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl SideView {
    fn of(side: &Side, deleted: bool) -> Self {
        Self {
            status: side.known.map(|known| known.status),
            since: side.known.and_then(|known| known.at).map(moment),
            commanded: side.commanded.map(|commanded| commanded.status),
            deleted,
        }
    }

    /// A few words for people.
    pub fn words(&self) -> String {
        let is = self.status.map_or_else(|| "unknown".to_owned(), |status| status.to_string());
        let is = if self.deleted { "deleted".to_owned() } else { is };
        match self.commanded {
            Some(commanded) if Some(commanded) != self.status => format!("{is}, to be {commanded}"),
            _ => is,
        }
    }
}

/// Since when a link's commands are held, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PausedView {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: jiff::Timestamp,
}

impl LinkView {
    /// What a link looks like with so many commands to be carried out.
    pub fn of(link: &Link, pending: usize) -> Self {
        Self {
            alert: link.alert.clone(),
            tiny_id: link.facts.tiny_id.clone(),
            message: link.facts.message.clone(),
            priority: link.facts.priority.map(|priority| priority.name().to_owned()),
            page: PageView::of(link),
            incident: link.incident().cloned(),
            incident_number: link.incident_number,
            opsgenie: SideView::of(&link.opsgenie, link.alert_deleted),
            pagerduty: SideView::of(&link.pagerduty, false),
            open: link.is_open(),
            pending,
            paused: link
                .paused
                .as_ref()
                .map(|paused| PausedView { reason: paused.reason.clone(), since: moment(paused.at) }),
            linked_at: moment(link.linked_at),
            changed_at: moment(link.changed_at),
        }
    }
}

/// A command that is to be carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EntryView {
    /// Its number; later ones are larger.
    pub number: u64,
    /// The alert whose link it belongs to.
    #[schema(value_type = String)]
    pub alert: AlertId,
    /// Where it is to be carried out.
    #[schema(value_type = String)]
    pub to: System,
    /// What it does, in a word.
    pub action: String,
    /// What it writes, where it writes something.
    pub text: Option<String>,
    /// How often it was put off.
    pub attempts: u32,
    /// The last thing that went wrong.
    pub trouble: Option<String>,
    /// When it was put in.
    pub queued_at: jiff::Timestamp,
    /// When it may be taken up next.
    pub due_at: jiff::Timestamp,
}

impl EntryView {
    /// What an entry looks like.
    pub fn of(entry: &Entry, texts: Texts) -> Self {
        Self {
            number: entry.id,
            alert: entry.alert.clone(),
            to: entry.command.to,
            action: entry.command.action.name().to_owned(),
            text: texts.of_action(&entry.command.action),
            attempts: entry.attempt,
            trouble: entry.trouble.clone(),
            queued_at: moment(entry.queued_at),
            due_at: moment(entry.due_at),
        }
    }
}

/// A command that was given up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterView {
    /// The command, as it was then; its number is the dead letter's.
    #[serde(flatten)]
    pub entry: EntryView,
    /// Why it was given up.
    pub reason: String,
    /// When.
    pub given_up_at: jiff::Timestamp,
}

impl DeadLetterView {
    /// What a dead letter looks like.
    pub fn of(letter: &DeadLetter, texts: Texts) -> Self {
        let entry = EntryView::of(&letter.entry, texts);
        Self { entry, reason: letter.reason.clone(), given_up_at: moment(letter.at) }
    }
}

/// A webhook that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantinedView {
    /// Its number; later ones are larger.
    pub number: u64,
    /// Who sent it.
    #[schema(value_type = String)]
    pub system: System,
    /// When it came.
    pub received_at: jiff::Timestamp,
    /// Why it lies there.
    pub reason: String,
    /// Names the delivery in the log.
    pub request_id: Option<String>,
    /// Whether the body is a webhook as it was sent, or an event that was read from one.
    #[schema(value_type = String)]
    pub form: Form,
    /// How long the body is, in bytes.
    pub bytes: usize,
    /// What was sent, without its headers. Left out of lists, and where note texts are hidden.
    pub body: Option<String>,
}

impl QuarantinedView {
    /// What something in the quarantine looks like, without its body.
    pub fn of(number: u64, head: QuarantinedHead) -> Self {
        Self {
            number,
            system: head.system,
            received_at: moment(head.received_at),
            reason: head.reason,
            request_id: head.request_id,
            form: head.form,
            bytes: head.bytes,
            body: None,
        }
    }
}

/// A note that waits for an incident which is being created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitingView {
    /// Its number; later ones are larger.
    pub number: u64,
    /// The incident that nobody knows yet.
    #[schema(value_type = String)]
    pub incident: IncidentId,
    /// When it came.
    pub received_at: jiff::Timestamp,
    /// Names the delivery in the log.
    pub request_id: Option<String>,
    /// What it says, if it may be shown.
    pub text: Option<String>,
}

impl WaitingView {
    /// What something that waits looks like.
    pub fn of(waits: &Waits, texts: Texts) -> Self {
        let text = match &waits.event.body {
            EventBody::Incident(IncidentEvent { change: IncidentChange::Annotated(note), .. }) => {
                texts.show(&note.text)
            }
            EventBody::Incident(_)
            | EventBody::Alert(_)
            | EventBody::Settled(_)
            | EventBody::Polled(_)
            | EventBody::Ordered(_) => None,
        };
        Self {
            text,
            number: waits.number,
            incident: waits.incident.clone(),
            received_at: moment(waits.event.received_at),
            request_id: waits.event.request_id.clone(),
        }
    }
}

/// Whether the texts that people wrote are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Texts {
    /// They are.
    #[default]
    Shown,
    /// They are not.
    Hidden,
}

impl Texts {
    /// Whether they are shown.
    pub fn shown_if(shown: bool) -> Self {
        if shown { Self::Shown } else { Self::Hidden }
    }

    /// A text that somebody wrote, if it may be shown.
    pub fn show(self, text: &str) -> Option<String> {
        match self {
            Self::Shown => Some(text.to_owned()),
            Self::Hidden => None,
        }
    }

    /// What a command writes, if it may be shown. The title of an incident is the alert's headline.
    fn of_action(self, action: &Action) -> Option<String> {
        match action {
            Action::Create(new) => Some(new.title.clone()),
            Action::Note { text, .. } => self.show(text),
            Action::SetStatus { .. }
            | Action::UpdatePriority { .. }
            | Action::FetchAlert
            | Action::FetchIncident
            | Action::EndMerged { .. }
            | Action::FetchNote { .. } => None,
        }
    }
}
