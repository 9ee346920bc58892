//! The outbox: what is to be done in the other system, and how far each piece of it has come.
//!
//! A [`Command`] is several vendor calls (read, write, poll, look again), so an [`Entry`] carries a durable [`Step`], and
//! the pure step machine in [`steps`] says which call comes next and what an answer means.

pub mod call;
pub mod steps;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Actor, AlertFacts, AlertId, IncidentId, Priority, Status, System, Timestamp};

/// What is to be done in one of the two systems. It names the link, never a vendor's id: that is filled in when it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Where.
    pub to: System,
    /// What.
    pub action: Action,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Create the incident.
    Create(NewIncident),
    /// Bring the alert or the incident to a state.
    SetStatus {
        /// The state.
        status: Status,
        /// The command's mark in the link.
        mark: u64,
    },
    /// Write a note.
    Note {
        /// Its exact text.
        text: String,
        /// The command's mark in the link.
        mark: u64,
    },
    /// Bring the incident's priority in line.
    UpdatePriority {
        /// The alert's priority.
        priority: Priority,
        /// Who changed it.
        by: String,
    },
    /// Read the alert, because its creation was missed.
    FetchAlert,
    /// Read the incident, because it is not known where it stands.
    FetchIncident,
    /// Read the whole text of a note that came trimmed.
    FetchNote {
        /// The incident that it is on, which may have been merged into another one meanwhile.
        incident: IncidentId,
        /// PagerDuty's id of the note.
        id: String,
    },
    /// Resolve an incident that a late change of ours has reopened after it was merged into another one.
    EndMerged {
        /// The one that was merged.
        incident: IncidentId,
        /// When it was reopened, by PagerDuty's clock: whoever has changed it since wants it so.
        at: Timestamp,
    },
}

/// What a vendor call is for, the most urgent first: who goes first when calls are scarce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Somebody is to be paged, or it is being looked whether somebody should be.
    Create,
    /// A state or a priority: it stops a phone from ringing, or makes one ring.
    State,
    /// Talk.
    Note,
    /// A look at what no webhook told.
    Reconcile,
}

impl Class {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 4] = [Self::Create, Self::State, Self::Note, Self::Reconcile];

    /// Those of commands, the most urgent first.
    pub const OF_COMMANDS: [Self; 3] = [Self::Create, Self::State, Self::Note];
}

impl Action {
    /// What its calls are for, the reads among them included.
    pub fn class(&self) -> Class {
        match self {
            // Until a missed alert was read, nobody is paged for it.
            Self::Create(_) | Self::FetchAlert => Class::Create,
            Self::SetStatus { .. } | Self::UpdatePriority { .. } | Self::FetchIncident | Self::EndMerged { .. } => {
                Class::State
            }
            Self::Note { .. } | Self::FetchNote { .. } => Class::Note,
        }
    }

    /// A word for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::SetStatus { status: Status::Open, .. } => "unacknowledge",
            Self::SetStatus { status: Status::Acknowledged, .. } => "acknowledge",
            Self::SetStatus { status: Status::Resolved, .. } => "resolve",
            Self::Note { .. } => "note",
            Self::UpdatePriority { .. } => "priority",
            Self::FetchAlert => "fetch_alert",
            Self::FetchIncident => "fetch_incident",
            Self::FetchNote { .. } => "fetch_note",
            Self::EndMerged { .. } => "end_merged",
        }
    }

    /// Whether a page may depend on it: such a thing is never held by a pause.
    pub fn is_for_the_page(&self) -> bool {
        self.class() == Class::Create
    }

    /// Whether it only reads what a decision needs.
    pub fn is_look_up(&self) -> bool {
        match self {
            Self::FetchAlert | Self::FetchIncident | Self::FetchNote { .. } => true,
            Self::Create(_)
            | Self::SetStatus { .. }
            | Self::Note { .. }
            | Self::UpdatePriority { .. }
            | Self::EndMerged { .. } => false,
        }
    }
}

/// The incident to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewIncident {
    /// Its title.
    pub title: String,
    /// What else is worth telling.
    pub details: String,
    /// How loudly it pages; left out where nothing is known.
    pub urgency: Option<Urgency>,
    /// Its priority, found by name.
    pub priority: Option<Priority>,
    /// Whether everything but the title is left out, because PagerDuty called the full one invalid.
    #[serde(default)]
    pub bare: bool,
}

/// How loudly an incident pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// It wakes people.
    High,
    /// It can wait.
    Low,
}

impl From<Priority> for Urgency {
    fn from(priority: Priority) -> Self {
        if priority <= Priority::P3 { Self::High } else { Self::Low }
    }
}

/// A command in the outbox. Those of one link and one destination are carried out strictly in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number; later ones are larger.
    pub id: u64,
    /// The link.
    pub alert: AlertId,
    /// What is to be done.
    pub command: Command,
    /// How far it has come.
    pub step: Step,
    /// How many times it was put off.
    #[serde(default)]
    pub attempt: u32,
    /// How many times the vendor took the write and did not carry it out, or refused it in a way that may pass.
    #[serde(default)]
    pub refusals: u32,
    /// When it was put in, by our clock.
    pub queued_at: Timestamp,
    /// When it may be taken up next, by our clock.
    pub due_at: Timestamp,
    /// How long it was put off in all, in milliseconds. Pauses of a whole vendor do not count.
    #[serde(default)]
    pub waited_ms: u64,
    /// The last thing that went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// Whether it makes up for what no webhook told.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub makes_up: bool,
    /// The request id of the webhook that it comes of, for the log alone. None comes of what was polled or ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Entry {
    /// A command that was just put in.
    pub fn new(id: u64, alert: AlertId, command: Command, now: Timestamp) -> Self {
        Self {
            id,
            alert,
            command,
            step: Step::Ready,
            attempt: 0,
            refusals: 0,
            queued_at: now,
            due_at: now,
            waited_ms: 0,
            trouble: None,
            makes_up: false,
            request_id: None,
        }
    }

    /// The entry as it must be read by whoever takes it up at `now`: whatever was on its way is unsure. It may have been on
    /// its way until just now: a call takes as long as its time-out allows, and the process may have ended at its very end.
    #[must_use]
    pub fn taken_up(self, now: Timestamp) -> Self {
        match self.step {
            // That it was tried at all tells that an echo may be its own.
            Step::Sending { .. } => Self { step: Step::Unsure { since: now }, attempt: self.attempt.max(1), ..self },
            Step::Looked(_) => Self { step: Step::Ready, ..self },
            Step::Ready | Step::Unsure { .. } | Step::Accepted { .. } | Step::Doubted { .. } => self,
        }
    }

    /// What was given up at `died_at`, to be tried again from `now` on with all its patience. Whatever it may have sent is
    /// looked for first: what is found was bare, and what was not sent goes out whole.
    #[must_use]
    pub fn redriven(self, died_at: Timestamp, now: Timestamp) -> Self {
        let entry = match self.step {
            Step::Ready | Step::Looked(_) => self.whole(),
            Step::Sending { .. } | Step::Unsure { .. } | Step::Accepted { .. } | Step::Doubted { .. } => self,
        };
        let step = match entry.step {
            Step::Ready | Step::Looked(_) => Step::Ready,
            Step::Sending { .. } | Step::Unsure { .. } | Step::Accepted { .. } | Step::Doubted { .. } => {
                Step::Unsure { since: died_at }
            }
        };
        // That it was tried at all tells that an echo may be its own.
        let attempt = entry.attempt.min(1);
        Self { step, attempt, refusals: 0, waited_ms: 0, due_at: now, trouble: None, ..entry }
    }

    /// The entry with nothing left out of the incident that it creates. Whatever PagerDuty did not take may be mended by now,
    /// and one refusal more is cheap: a bare one follows at once. Only for what is known not to be there.
    pub(super) fn whole(mut self) -> Self {
        if let Action::Create(new) = &mut self.command.action {
            new.bare = false;
        }
        self
    }
}

/// How far an entry has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Nothing was sent that could have had an effect.
    Ready,
    /// The state was read right now, and the write may follow. Never stored: after a restart it is read again.
    #[serde(skip)]
    Looked(call::IncidentState),
    /// A write is on its way. Stored before it is sent; found at a claim, whoever sent it has not lived to see its end.
    Sending {
        /// When it was sent, by our clock.
        sent_at: Timestamp,
    },
    /// A write may or may not have had its effect: look before sending again.
    Unsure {
        /// When it could last have been on its way, by our clock.
        since: Timestamp,
    },
    /// Opsgenie has taken the request and will carry it out, or not.
    Accepted {
        /// Opsgenie's name for the request.
        request_id: String,
        /// When it was taken, by our clock.
        since: Timestamp,
    },
    /// Opsgenie says that the request was not carried out: look what the alert says.
    Doubted {
        /// What it said.
        reason: String,
    },
}

/// How an entry ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The incident exists.
    Created {
        /// It.
        incident: IncidentId,
        /// Where it stands.
        status: Status,
        /// Since when, by PagerDuty's clock.
        at: Option<Timestamp>,
        /// PagerDuty's id of who we are, where the answer to the creation told it.
        author: Option<String>,
    },
    /// The note is there.
    Noted {
        /// The vendor's id of it.
        id: Option<String>,
        /// The vendor's id of who we are, where the answer to the write told it.
        author: Option<String>,
    },
    /// The state is as it was wanted, by us or by somebody else.
    InState {
        /// The state.
        status: Status,
        /// Since when, by that vendor's clock.
        at: Option<Timestamp>,
    },
    /// The other side is resolved already, and is not revived.
    Superseded {
        /// Since when, by that vendor's clock.
        at: Option<Timestamp>,
    },
    /// The incident goes on as another one, and was left alone.
    Merged {
        /// It.
        incident: IncidentId,
        /// The one that it was merged into.
        into: IncidentId,
        /// Since when, by PagerDuty's clock.
        at: Option<Timestamp>,
        /// Who has merged it.
        by: Actor,
    },
    /// The priority was set.
    Prioritised,
    /// The priority cannot be shown there.
    NotApplicable,
    /// The alert, as it is now; nothing if there is no such alert.
    FetchedAlert(Option<FetchedAlert>),
    /// The incident, as it is now; nothing if there is no such incident.
    FetchedIncident(Option<call::IncidentState>),
    /// The whole text of the note; nothing if it is gone.
    FetchedNote(Option<String>),
    /// It was overtaken by events, and nothing was sent.
    Dropped(DropReason),
    /// It was given up.
    Dead {
        /// Why.
        reason: String,
    },
}

impl Outcome {
    /// Whether what was to be done shows on the other side now.
    pub fn shows(&self) -> bool {
        match self {
            Self::Created { .. } | Self::Noted { .. } | Self::InState { .. } | Self::Prioritised => true,
            Self::Superseded { .. }
            | Self::Merged { .. }
            | Self::NotApplicable
            | Self::FetchedAlert(_)
            | Self::FetchedIncident(_)
            | Self::FetchedNote(_)
            | Self::Dropped(_)
            | Self::Dead { .. } => false,
        }
    }
}

/// An alert as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedAlert {
    /// What it says of itself.
    pub facts: AlertFacts,
    /// Where it stands.
    pub status: Status,
    /// When it was last changed, by Opsgenie's clock.
    pub at: Option<Timestamp>,
    /// The e-mail address of whoever acknowledged it, if it is acknowledged and that was a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Why a command was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// The alert was closed before its incident was created: nobody is paged for what is over.
    ClosedBeforeDelivery,
    /// The incident exists already.
    AlreadyCreated,
    /// There is no incident, and there will be none.
    NoIncident,
    /// The alert was deleted.
    AlertDeleted,
    /// The state is not wanted any more: a person, or a later command, has moved on.
    NotWanted,
    /// It was parked behind a page that an operator has discarded, or was to be done for a link that one has ended.
    Discarded,
}

impl DropReason {
    /// A few words for logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClosedBeforeDelivery => "the alert was closed before its page went out",
            Self::AlreadyCreated => "the incident exists already",
            Self::NoIncident => "there is no incident",
            Self::AlertDeleted => "the alert was deleted",
            Self::NotWanted => "somebody has moved on meanwhile",
            Self::Discarded => "an operator has discarded its page or ended its link",
        }
    }
}

const BACK_OFF_FIRST: Duration = Duration::from_secs(1);
const BACK_OFF_LONGEST: Duration = Duration::from_secs(300);

/// How long an entry is tried, pauses of the whole vendor not counted.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(72 * 3600);

/// How long to wait before attempt `attempt` (from 1): one second, doubling to five minutes, give or take a fifth. The
/// jitter is drawn from the entry and the attempt, so that nothing here is random.
pub fn back_off(entry_id: u64, attempt: u32) -> Duration {
    let doubled = BACK_OFF_FIRST.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(BACK_OFF_LONGEST);
    let spread = crc32fast::hash(&[entry_id.to_be_bytes(), u64::from(attempt).to_be_bytes()].concat()) % 401;
    doubled.mul_f64(0.8 + f64::from(spread) / 1000.0)
}
