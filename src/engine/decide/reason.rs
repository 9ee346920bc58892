//! Why something was decided as it was.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why something was done about an event, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is passed on to the other side.
    Mirrored,
    /// It completed the link: the incident is known now.
    Linked,
    /// It is our own change coming back.
    Echo(Guard),
    /// The other side is there already, or on its way there.
    InStep,
    /// It cannot be told whether it is older or newer than what is known: the incident is read.
    Unclear,
    /// A newer state of the same side is known.
    Stale,
    /// A further creation of an alert that is linked, or a note that was heard before.
    Duplicate,
    /// The policy does not mirror such events.
    Ignored,
    /// There is no link, and none is made.
    Unlinked(Unlinked),
    /// The alert's creation was missed: it is read to see whether it should page.
    Joining,
    /// It waits for the answer to a look-up.
    Held,
    /// The alert is closed, and nothing can reopen it.
    AlertClosed,
    /// The alert was deleted, so nothing can be written to it.
    AlertDeleted,
    /// The alert was closed before its incident was created, so there is none.
    NoIncident,
    /// A late change of ours reopened what a person had resolved: it is resolved again.
    Revived,
    /// A late change of ours undid what a person had done meanwhile: that is restored.
    PutRight,
    /// The same note came once by itself and once inside another action.
    NoteTwin,
    /// A command was carried out.
    Carried,
    /// A command was overtaken by events and not sent.
    Overtaken,
    /// A command found the other side resolved, which is not revived.
    Superseded,
    /// A command was given up.
    GivenUp,
    /// A look-up was answered.
    Fetched,
    /// A look at one side showed nothing new.
    NoDrift,
    /// A look at one side showed what no webhook told: that is decided on right after.
    Drift,
    /// A look at one side proves nothing yet; it must be taken again.
    NotYet(NotYet),
    /// The incident is not there any more.
    Vanished,
    /// The link's commands are held from now on.
    Paused,
    /// The link's commands go on.
    Resumed,
    /// What was given up is tried again.
    Redriven,
    /// What was given up, or parked behind it, is left undone.
    Discarded,
}

/// Why a look at one side proves nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotYet {
    /// A change of ours to that side is on its way.
    Unfinished,
    /// That side changed since, or so shortly before that the vendor need not have shown it.
    TooFresh,
}

/// Which guard knew an echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The actor is us.
    Actor,
    /// It is a note that we wrote.
    WrittenNote,
    /// It is the state that we commanded.
    Commanded,
    /// It bears our attribution, and nobody tells who wrote it.
    Prefix,
}

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlinked {
    /// The incident is somebody else's.
    NotOurs,
    /// The link has another incident.
    OtherIncident,
    /// The incident bears a key like ours, but is on another service.
    OtherService,
    /// The alert was created before crosspage first ran here.
    BeforeFirstRun,
    /// The alert is older than links are kept.
    TooOld,
    /// The alert is closed or deleted.
    NotOpen,
    /// There is no such alert.
    NoSuchAlert,
    /// Something was ordered for a link that is not there.
    NoSuchLink,
    /// An operator has ended the link.
    ByOperator,
}

impl Reason {
    /// A word for metrics, which leaves out the detail.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mirrored => "mirrored",
            Self::Linked => "linked",
            Self::Echo(_) => "echo",
            Self::InStep => "in_step",
            Self::Unclear => "unclear",
            Self::Stale => "stale",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Unlinked(_) => "unlinked",
            Self::Joining => "joining",
            Self::Held => "held",
            Self::AlertClosed => "alert_closed",
            Self::AlertDeleted => "alert_deleted",
            Self::NoIncident => "no_incident",
            Self::Revived => "revived",
            Self::PutRight => "put_right",
            Self::NoteTwin => "note_twin",
            Self::Carried => "carried_out",
            Self::Overtaken => "overtaken",
            Self::Superseded => "superseded",
            Self::GivenUp => "given_up",
            Self::Fetched => "fetched",
            Self::NoDrift => "no_drift",
            Self::Drift => "drift",
            Self::NotYet(_) => "not_yet",
            Self::Vanished => "vanished",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Redriven => "redriven",
            Self::Discarded => "discarded",
        }
    }

    /// What is told beside the name.
    fn detail(self) -> Option<&'static str> {
        match self {
            Self::Echo(guard) => Some(guard.name()),
            Self::Unlinked(why) => Some(why.name()),
            Self::NotYet(why) => Some(why.name()),
            Self::Mirrored
            | Self::Linked
            | Self::InStep
            | Self::Unclear
            | Self::Stale
            | Self::Duplicate
            | Self::Ignored
            | Self::Joining
            | Self::Held
            | Self::AlertClosed
            | Self::AlertDeleted
            | Self::NoIncident
            | Self::Revived
            | Self::PutRight
            | Self::NoteTwin
            | Self::Carried
            | Self::Overtaken
            | Self::Superseded
            | Self::GivenUp
            | Self::Fetched
            | Self::NoDrift
            | Self::Drift
            | Self::Vanished
            | Self::Paused
            | Self::Resumed
            | Self::Redriven
            | Self::Discarded => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        words(f, self.name())?;
        let Some(detail) = self.detail() else { return Ok(()) };
        f.write_str(" (")?;
        words(f, detail)?;
        f.write_str(")")
    }
}

/// A name as people write it.
fn words(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    for (place, word) in name.split('_').enumerate() {
        if place > 0 {
            f.write_str(" ")?;
        }
        f.write_str(word)?;
    }
    Ok(())
}

impl NotYet {
    fn name(self) -> &'static str {
        match self {
            Self::Unfinished => "unfinished",
            Self::TooFresh => "too_fresh",
        }
    }
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Actor, Self::WrittenNote, Self::Commanded, Self::Prefix];

    /// A word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Actor => "actor",
            Self::WrittenNote => "written_note",
            Self::Commanded => "commanded",
            Self::Prefix => "prefix",
        }
    }
}

impl Unlinked {
    fn name(self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::OtherIncident => "other_incident",
            Self::OtherService => "other_service",
            Self::BeforeFirstRun => "before_first_run",
            Self::TooOld => "too_old",
            Self::NotOpen => "not_open",
            Self::NoSuchAlert => "no_such_alert",
            Self::NoSuchLink => "no_such_link",
            Self::ByOperator => "by_an_operator",
        }
    }
}
