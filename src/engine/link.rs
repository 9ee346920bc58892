//! A link: one alert, its incident, and what is known of both.

mod note;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{AlertFacts, AlertId, Event, IncidentId, Status, System, Timestamp};
use super::fuse::Fuse;

pub use note::{HeardNote, NoteVia, TextHash, WrittenNote};

/// Everything that is remembered about one alert and its incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The alert. A link is named by it: an alert has one incident, an incident may (after a merge) have several alerts.
    pub alert: AlertId,
    /// When the link was made, by our clock.
    pub linked_at: Timestamp,
    /// When it last changed, by our clock.
    pub changed_at: Timestamp,
    /// What the alert said of itself.
    pub facts: AlertFacts,
    /// When its priority last changed, by Opsgenie's clock.
    #[serde(default)]
    pub priority_at: Option<Timestamp>,
    /// How far its incident has come.
    pub page: Page,
    /// The number that people use for the incident, once an event has told it. Only webhooks do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident_number: Option<u64>,
    /// Whether the alert was deleted, so that nothing can be written to it any more.
    #[serde(default)]
    pub alert_deleted: bool,
    /// Whether the incident is shared with other links, since one was merged into another.
    #[serde(default)]
    pub shared: bool,
    /// The incidents that were merged into the one that stands now: their late notes still count.
    #[serde(default)]
    pub merged: Vec<IncidentId>,
    /// Whether the alert was told that the incident is resolved and its changes are not passed on any more.
    #[serde(default)]
    pub told_superseded: bool,
    /// What is known of the alert.
    pub opsgenie: Side,
    /// What is known of the incident.
    pub pagerduty: Side,
    /// Events that wait for the answer to a look-up, in the order they came.
    #[serde(default)]
    pub held: Vec<Event>,
    /// The trimmed incident note whose full text is being fetched; later incident notes are held meanwhile.
    #[serde(default)]
    pub fetching_note: Option<String>,
    /// The notes we wrote, for the link's life.
    #[serde(default)]
    pub written: Vec<WrittenNote>,
    /// The notes that people wrote, for the link's life.
    #[serde(default)]
    pub heard: Vec<HeardNote>,
    /// From when on the incident's notes are this link's, by PagerDuty's clock, where it was merged into one that had some, or
    /// was linked by hand.
    #[serde(default)]
    pub notes_since: Option<Timestamp>,
    /// From when on the alert's notes are this link's, by Opsgenie's clock, where it was linked by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_notes_since: Option<Timestamp>,
    /// Since when, by our clock, the notes of the incident that it goes on as are to be read: those whose webhooks came before
    /// that of the merge found no link of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_since: Option<Timestamp>,
    /// The last mark given to a command; see [`Link::mark`].
    #[serde(default)]
    pub marks: u64,
    /// What it has commanded lately.
    #[serde(default, skip_serializing_if = "Fuse::is_new")]
    pub fuse: Fuse,
    /// Why its commands are held, if they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// Whether its creation, which was given up, is to be tried again as soon as the alert was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redriven: bool,
    /// Whether an operator has ended it. It stays as its own tombstone until it is pruned, so that nothing pages for its alert.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlinked: bool,
}

/// Why and since when the commands of a link are held. A page goes out all the same, and what is heard is put down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Why, for people to read.
    pub reason: String,
    /// Since when, by our clock.
    pub at: Timestamp,
}

/// How far a link's incident has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// The alert's creation was missed; the alert is being read to see whether it should page.
    Joining,
    /// The incident is to be created, or its creation is under way.
    Pending,
    /// The incident exists.
    Standing(IncidentId),
    /// The creation was given up; what is bound for PagerDuty is parked behind it.
    Dead,
    /// The alert was closed before anything was sent, or an operator has discarded the creation that was given up: nobody is
    /// paged.
    Withheld,
}

/// What is known of the alert or of the incident.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The newest state that was seen.
    pub known: Option<Known>,
    /// The newest time of a state that an event told, by that vendor's clock; answers to our own changes do not count. Kept for
    /// the incident only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Timestamp>,
    /// Until when a look has shown the state that is known, by that vendor's clock. Kept for the alert only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_until: Option<Timestamp>,
    /// The state that was commanded and is not settled yet.
    pub commanded: Option<Commanded>,
    /// States that were commanded and are not wanted any more, while their commands are not settled: they may be on their way,
    /// and come back without an actor before they are answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overtaken: Vec<Commanded>,
    /// The last states that our commands were answered with: their echoes may come late, and without an actor.
    #[serde(default)]
    pub carried: Vec<Known>,
    /// When what is known or commanded last changed, by our clock: what was read before tells less.
    #[serde(default)]
    pub touched_at: Timestamp,
    /// When it was heard of last that the state is another one, by our clock.
    #[serde(default)]
    pub heard_at: Timestamp,
}

/// How many states that we brought about are remembered a side.
const CARRIED: usize = 4;

/// How exactly PagerDuty's answers to our writes tell when a state changed.
pub(super) const TELLING: Duration = Duration::from_secs(1);

/// The second that it lies in: some answers and all lists tell no more.
pub(super) fn second_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

/// Whether `at` may be the time that such an answer told as `second`.
pub(super) fn is_told_as(second: Timestamp, at: Timestamp) -> bool {
    (second..second.plus(TELLING)).contains(&at)
}

/// How far apart an echo's time and that of our answer may be: PagerDuty's answers tell the second, Opsgenie's are a little
/// late.
const CARRIED_WITHIN: Duration = Duration::from_secs(1);

/// How long before our write what we read of an incident may have been true: two calls, of which each may take 20 s, and what
/// its readings lag behind, with some to spare.
const READ_TO_WRITE: Duration = Duration::from_secs(45);

/// A state that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// The state.
    pub status: Status,
    /// Since when, by that vendor's clock.
    pub at: Option<Timestamp>,
    /// Whether the time is told by the second only, and may be up to a second too early.
    #[serde(default)]
    pub by_the_second: bool,
}

/// A state that was commanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commanded {
    /// The state.
    pub status: Status,
    /// The command's mark.
    pub mark: u64,
}

/// What became of a state that was observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// It is older than what is known.
    Stale,
    /// It says what was known.
    Same,
    /// It is news.
    Changed {
        /// What was known before.
        from: Option<Status>,
    },
}

impl Side {
    /// What the side is, or will be once our commands are through.
    pub fn target(&self) -> Option<Status> {
        self.commanded.map(|c| c.status).or_else(|| self.known.map(|k| k.status))
    }

    /// Until when the state that is known has stood at least, by that vendor's clock.
    pub fn known_until(&self) -> Option<Timestamp> {
        self.known.and_then(|known| known.at).max(self.shown_until)
    }

    /// Takes in a state with the vendor's time of it. Older ones change nothing; ties are news.
    pub fn observe(&mut self, status: Status, at: Option<Timestamp>) -> Observed {
        if let (Some(at), Some(until)) = (at, self.known_until())
            && at < until
        {
            return Observed::Stale;
        }
        let known_at = self.known.and_then(|k| k.at);
        let from = self.known.map(|k| k.status);
        self.known = Some(Known { status, at: at.or(known_at), by_the_second: false });
        if from == Some(status) { Observed::Same } else { Observed::Changed { from } }
    }

    /// Forgets the commanded state once the side is heard to have changed to it: what a person does next counts, even if our
    /// command is answered only after that.
    pub fn arrived(&mut self, status: Status, observed: Observed) {
        if matches!(observed, Observed::Changed { .. }) {
            self.commanded = self.commanded.filter(|c| c.status != status);
        }
    }

    /// Puts down when exactly it came to the state that is known, where an answer of ours told the second only and its echo tells
    /// more: what happened before in that second is older then.
    pub fn tell_exactly(&mut self, status: Status, at: Option<Timestamp>) {
        if let (Some(known), Some(at)) = (&mut self.known, at)
            && known.status == status
            && known.by_the_second
            && known.at.is_some_and(|second| is_told_as(second, at))
        {
            known.at = Some(at);
        }
    }

    /// Remembers a state that one of our commands was answered with.
    pub fn carry(&mut self, status: Status, at: Option<Timestamp>) {
        if at.is_some() {
            self.carried.push(Known { status, at, by_the_second: false });
            self.carried.drain(..self.carried.len().saturating_sub(CARRIED));
        }
    }

    /// Whether a state of that time is one that a command of ours was answered with, and that has been heard of by that.
    pub fn has_carried(&self, status: Status, at: Option<Timestamp>) -> bool {
        let Some(at) = at else { return false };
        let near = |carried: &Timestamp| at.since(*carried).max(carried.since(at)) < CARRIED_WITHIN;
        self.carried.iter().any(|known| known.status == status && known.at.as_ref().is_some_and(near))
    }

    /// Whether a command to that state may be on its way though it is not wanted any more.
    pub fn has_overtaken(&self, status: Status) -> bool {
        self.overtaken.iter().any(|overtaken| overtaken.status == status)
    }

    /// Forgets the commanded state of that mark.
    pub fn clear_commanded(&mut self, mark: u64) {
        self.commanded = self.commanded.filter(|c| c.mark != mark);
        self.overtaken.retain(|c| c.mark != mark);
    }
}

impl Link {
    /// A new link for an alert that is open, as it was when it was created.
    pub fn new(alert: AlertId, facts: AlertFacts, page: Page, now: Timestamp) -> Self {
        let known = Known { status: Status::Open, at: None, by_the_second: false };
        Self {
            alert,
            linked_at: now,
            changed_at: now,
            facts,
            priority_at: None,
            page,
            incident_number: None,
            alert_deleted: false,
            shared: false,
            merged: Vec::new(),
            told_superseded: false,
            opsgenie: Side { known: Some(known), ..Side::default() },
            pagerduty: Side::default(),
            held: Vec::new(),
            fetching_note: None,
            written: Vec::new(),
            heard: Vec::new(),
            notes_since: None,
            alert_notes_since: None,
            unread_since: None,
            marks: 0,
            fuse: Fuse::default(),
            paused: None,
            redriven: false,
            unlinked: false,
        }
    }

    /// The incident, once it exists.
    pub fn incident(&self) -> Option<&IncidentId> {
        match &self.page {
            Page::Standing(incident) => Some(incident),
            Page::Joining | Page::Pending | Page::Dead | Page::Withheld => None,
        }
    }

    /// Whether a note of that time was on the incident before that was the link's. Lists tell the second only; in doubt, a note too
    /// many is better than one too few.
    pub fn predates(&self, at: Option<Timestamp>) -> bool {
        matches!((at, self.notes_since), (Some(at), Some(since)) if second_of(at) < second_of(since))
    }

    /// Whether anything may still be told between the two sides.
    pub fn is_open(&self) -> bool {
        let unread = self.incident().is_some() && !self.alert_deleted && self.unread_since.is_some();
        unread || !self.is_over()
    }

    /// Whether both sides are at their end. Notes that are still to be read do not count: nobody may ever come to read them.
    pub fn is_over(&self) -> bool {
        let over = |side: &Side| side.known.is_some_and(|known| known.status == Status::Resolved);
        match self.page {
            Page::Standing(_) if self.alert_deleted => true,
            Page::Standing(_) => over(&self.opsgenie) && over(&self.pagerduty),
            Page::Joining | Page::Pending | Page::Dead => false,
            Page::Withheld => true,
        }
    }

    /// Whether everything about it is over and nothing has changed since `before`, by our clock. An alert that is open, or was
    /// created since then, by Opsgenie's, could page anew if it were forgotten.
    pub fn is_over_since(&self, before: Timestamp) -> bool {
        let created_since = self.facts.created_at.is_some_and(|created_at| created_at >= before);
        self.is_over() && self.is_alert_over() && self.changed_at < before && !created_since
    }

    /// Whether the alert is closed, or gone.
    fn is_alert_over(&self) -> bool {
        self.alert_deleted || self.opsgenie.known.is_some_and(|known| known.status == Status::Resolved)
    }

    /// One of the two sides.
    pub fn side(&self, system: System) -> &Side {
        match system {
            System::Opsgenie => &self.opsgenie,
            System::PagerDuty => &self.pagerduty,
        }
    }

    /// One of the two sides, to change it.
    pub fn side_mut(&mut self, system: System) -> &mut Side {
        match system {
            System::Opsgenie => &mut self.opsgenie,
            System::PagerDuty => &mut self.pagerduty,
        }
    }

    /// Takes in a state of the alert. Nothing reopens a closed one, so a close is never too old, whenever Opsgenie says that
    /// it has processed a change of ours, and whatever comes after it is.
    pub fn observe_alert(&mut self, status: Status, at: Option<Timestamp>) -> Observed {
        match (self.opsgenie.known.map(|k| k.status), status) {
            (Some(Status::Resolved), Status::Open | Status::Acknowledged) => Observed::Stale,
            (_, Status::Resolved) => {
                let at = at.max(self.opsgenie.known_until());
                self.opsgenie.observe(status, at)
            }
            (_, Status::Open | Status::Acknowledged) => self.opsgenie.observe(status, at),
        }
    }

    /// Takes in a state of the incident that an event told. An answer of ours never makes a resolution too old that may have
    /// come between our reading and our write: then we have revived the incident, and its next event will say so. A resolution
    /// that an event has overtaken is too old all the same.
    pub fn observe_incident(&mut self, status: Status, at: Option<Timestamp>) -> Observed {
        let side = &mut self.pagerduty;
        if let (Status::Resolved, Some(at), Some(known)) = (status, at, &mut side.known)
            && known.by_the_second
            && known.at.is_some_and(|known_at| known_at.since(at) <= READ_TO_WRITE)
            && side.told_at.is_none_or(|told_at| told_at <= at)
        {
            known.at = known.at.min(Some(at));
        }
        let observed = side.observe(status, at);
        if observed != Observed::Stale {
            side.told_at = side.told_at.max(at);
        }
        observed
    }

    /// A new mark: what ties a command to the place in the link that waits for its end.
    pub fn mark(&mut self) -> u64 {
        self.marks += 1;
        self.marks
    }

    /// How many notes of exactly this text we know to be in `system`, not counting the one of `except`, nor those whose
    /// vendor's id is known: they are told apart by it, and may have been deleted.
    pub fn done_notes(&self, system: System, hash: &TextHash, except: u64) -> usize {
        let counts = |n: &&WrittenNote| n.system == system && n.done && n.mark != except && n.id.is_none();
        self.written.iter().filter(counts).filter(|n| n.hash == *hash).count()
    }

    /// The note that the command of that mark writes.
    pub fn written_note(&self, mark: u64) -> Option<&WrittenNote> {
        self.written.iter().find(|n| n.mark == mark)
    }

    /// Uses up one note of ours that `id` or `hash` names, if there is one: its echo has come back.
    pub fn use_up_echo(&mut self, system: System, id: Option<&str>, hash: Option<&TextHash>) -> bool {
        let by_id = |n: &WrittenNote| id.is_some() && n.id.as_deref() == id;
        // A note whose id is known to be another one is not this one, however equal the text.
        let by_text = |n: &WrittenNote| !n.echoed && hash == Some(&n.hash) && (n.id.is_none() || id.is_none());
        let found = self
            .written
            .iter()
            .position(|n| n.system == system && by_id(n))
            .or_else(|| self.written.iter().position(|n| n.system == system && by_text(n)));
        let Some(found) = found else { return false };
        let note = &mut self.written[found];
        note.echoed = true;
        note.done = true;
        note.id = note.id.take().or_else(|| id.map(str::to_owned));
        true
    }
}
