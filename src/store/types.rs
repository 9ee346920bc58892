//! What goes into the store and comes out of it.

use serde::{Deserialize, Serialize};

use crate::engine::{
    AlertId, Class, Decision, Entry, Event, IncidentId, Link, Policy, Reason, System, Timestamp, decide,
};
use crate::metrics::Metrics;

/// A function that decides on events; [`decide()`] is the real one.
pub type Decide = fn(Option<&Link>, &Event, &Policy) -> Decision;

/// How a store is to work.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What decisions depend on. When crosspage first ran and which PagerDuty ids are ours, the store knows better.
    pub policy: Policy,
    /// How many bytes the disk must have left for new events to be taken.
    pub min_free_bytes: u64,
    /// Decides on events.
    pub decide: Decide,
    /// What is counted.
    pub metrics: Metrics,
}

impl Settings {
    /// The usual settings under `policy`.
    pub fn new(policy: Policy) -> Self {
        Self { policy, min_free_bytes: 256 << 20, decide, metrics: Metrics::default() }
    }
}

/// How far back a store answers for what happens: what it has not seen since is missed, what came before is none of its business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// When crosspage first ran on it, by our clock. Alerts from before do not page.
    pub first_ran_at: Timestamp,
    /// Up to when the alerts were compared with the links, by Opsgenie's clock.
    pub reconciled_until: Timestamp,
}

impl Span {
    /// The earlier of each.
    #[must_use]
    pub fn reaching_back_to(self, other: Self) -> Self {
        Self {
            first_ran_at: self.first_ran_at.min(other.first_ran_at),
            reconciled_until: self.reconciled_until.min(other.reconciled_until),
        }
    }
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What it came to.
    pub verdict: Verdict,
    /// How many commands were put into the outbox.
    pub commands: usize,
}

/// What an event came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It had come before, and changed nothing.
    Repeat,
    /// It waits for its link: a create is outstanding that may turn out to be the incident's.
    Waiting,
    /// It should wait for its link, but too many do: it lies in the quarantine under that number.
    Quarantined(u64),
    /// It was decided on, and so was what had waited for it: each decision's link and reason, in order.
    Decided(Vec<(Option<AlertId>, Reason)>),
}

/// When the first lane of each class is due, or was; in the order of [`Class::OF_COMMANDS`].
pub type DueByClass = [Option<Timestamp>; Class::OF_COMMANDS.len()];

/// An entry that is to be carried out now, by the one who asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The entry.
    pub entry: Entry,
    /// What its lane was claimed as: the class of the most urgent entry in it.
    pub class: Class,
    /// Its link, as it is now.
    pub link: Link,
    /// PagerDuty's ids of the notes that we wrote for the other links of the same incident: none of them is this link's.
    pub sibling_notes: Vec<String>,
}

/// The pages that have been owed for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    /// How many there are.
    pub count: usize,
    /// Since when the first of them is owed, by our clock.
    pub oldest: Option<Timestamp>,
    /// When the last of them became late, by our clock. Not known of those that are owed since a later moment, since then the
    /// clock was set back.
    pub newest_at: Option<Timestamp>,
    /// Some of them, longest owed first.
    pub pages: Vec<LatePage>,
}

/// A page that has been owed for too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatePage {
    /// The alert that has no incident.
    pub alert: AlertId,
    /// Since when it should have one, by our clock.
    pub since: Timestamp,
    /// The alert's headline.
    pub title: Option<String>,
    /// Which vendor it waits for: a missed alert must be read first.
    pub waits_for: System,
    /// The last thing that went wrong.
    pub trouble: Option<String>,
    /// Whether it is tried no more until somebody redrives it.
    pub given_up: bool,
}

/// Something authentic that could not be read, or that found no room to wait in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Who sent it.
    pub system: System,
    /// When it came, by our clock.
    pub received_at: Timestamp,
    /// Why it lies here.
    pub reason: String,
    /// What was sent, without its headers.
    pub body: Vec<u8>,
    /// What the body holds.
    pub form: Form,
    /// Names the delivery in logs.
    pub request_id: Option<String>,
}

/// The same without its body, which may be long: what lists are made of, and how it is stored. The body lies under a key of
/// its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedHead {
    /// Who sent it.
    pub system: System,
    /// When it came, by our clock.
    pub received_at: Timestamp,
    /// Why it lies here.
    pub reason: String,
    /// What the body holds.
    #[serde(default)]
    pub form: Form,
    /// Names the delivery in logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// How long the body is, in bytes.
    #[serde(default)]
    pub bytes: usize,
    /// The body, where an early version has put it.
    #[serde(default, skip_serializing)]
    pub(super) body: Option<Body>,
}

impl QuarantinedHead {
    /// What is said of something without its body.
    pub fn of(item: &Quarantined) -> Self {
        Self {
            system: item.system,
            received_at: item.received_at,
            reason: item.reason.clone(),
            form: item.form,
            request_id: item.request_id.clone(),
            bytes: item.body.len(),
            body: None,
        }
    }

    pub(super) fn with(self, body: Body) -> Quarantined {
        let Self { system, received_at, reason, form, request_id, .. } = self;
        Quarantined { system, received_at, reason, body: body.into_bytes(), form, request_id }
    }
}

/// What lies in the quarantine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A webhook as it was sent.
    #[default]
    Webhook,
    /// An event that was read from one, as JSON.
    Event,
}

/// An event that waits for its link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Its number; later ones are larger.
    pub number: u64,
    /// The incident that nobody knows yet.
    pub incident: IncidentId,
    /// The event.
    pub event: Event,
}

/// Something that happened to a link, and what was made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When it was decided on, by our clock.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
    /// What was made of it.
    pub reason: Reason,
    /// The entries that were put into the outbox for it.
    pub commands: Vec<u64>,
}

/// An entry that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The entry.
    pub entry: Entry,
    /// Why.
    pub reason: String,
    /// When, by our clock.
    pub at: Timestamp,
}

/// What was left undone on an operator's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discarded {
    /// What had been given up.
    pub letter: DeadLetter,
    /// What was parked behind it, and was dropped with it.
    pub parked: Vec<Entry>,
}

/// What came of the order to end a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlinking {
    /// There is no such link.
    NoLink,
    /// Its page may have been sent, and nobody knows yet which incident came of it: if it ended now, that incident would page,
    /// and nothing would ever resolve it.
    PageOnItsWay,
    /// It is ended.
    Ended {
        /// What was still to be done for it, and was dropped.
        entries: Vec<Entry>,
        /// What had been given up, and was discarded.
        letters: Vec<DeadLetter>,
    },
}

/// Where a pass of pruning goes on. A pass need not be finished: another one finds what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrunePlace(pub(super) PruneStage);

impl Default for PrunePlace {
    fn default() -> Self {
        Self(PruneStage::Links(None))
    }
}

/// What a pass of pruning goes through, one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PruneStage {
    /// The links after that alert's.
    Links(Option<AlertId>),
    /// The timelines from that key on.
    Timelines(Vec<u8>),
    /// What was seen, oldest first.
    Seen,
    /// The quarantine, oldest first.
    Quarantine,
}

/// What a slice of pruning came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Links that are gone.
    pub links: usize,
    /// Entries of timelines that are gone.
    pub timeline: usize,
    /// Ids of what was seen that are forgotten.
    pub seen: usize,
    /// What lay in the quarantine, and was dropped unread.
    pub quarantined: usize,
    /// Where the pass goes on, unless it is over.
    pub next: Option<PrunePlace>,
}

/// How much there is of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// What is bound for Opsgenie.
    pub opsgenie: Queued,
    /// What is bound for PagerDuty.
    pub pagerduty: Queued,
    /// Dead letters.
    pub dead_letters: u64,
    /// What could not be read.
    pub quarantined: u64,
    /// What could not be read, and was dropped when it had lain there for as long as anything is kept.
    pub quarantine_expired: u64,
    /// Events that wait for their link.
    pub waiting: usize,
    /// Links that are paused.
    pub paused_links: u64,
}

/// How much room the store takes up and has left, as of the last look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How large the database is, in bytes.
    pub size: u64,
    /// How many bytes the disk has left.
    pub free: u64,
}

impl Summary {
    /// What is bound for `system`.
    pub fn queued(&self, system: System) -> &Queued {
        match system {
            System::Opsgenie => &self.opsgenie,
            System::PagerDuty => &self.pagerduty,
        }
    }
}

/// How much is bound for one system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// Entries.
    pub entries: usize,
    /// Links that have entries.
    pub lanes: usize,
    /// Links whose entries are held, as far as that was noticed: behind a page that was given up, or by a pause.
    pub parked: usize,
    /// When the oldest entry was put in, by our clock.
    pub oldest: Option<Timestamp>,
    /// The same, of the links whose entries are not held.
    pub oldest_not_parked: Option<Timestamp>,
}

/// What was sent: text nearly always, and kept readable then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Body {
    Text(String),
    Bytes(Vec<u8>),
}

impl Body {
    pub(super) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(bytes.to_vec()),
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}
