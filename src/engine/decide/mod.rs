//! The decision: what an event means for a link, and what is to be done about it.
//!
//! Both sides are compared by level, not by edge: an event counts only if it changes what is known of its own side, and
//! only then is the other side compared with it. Guards against loops stop commands only; an echo still updates what is
//! known.

mod alert;
mod incident;
mod operator;
mod polled;
mod settled;
mod text;

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::{Actor, AlertId, Event, EventBody, Operator, Order, Status, System, Timestamp};
use super::link::{Commanded, Link, Page, TextHash, WrittenNote};
use super::outbox::{Action, Command};
use super::policy::Policy;

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The link as it is from now on; nothing if there is none (any more).
    pub link: Option<Link>,
    /// What is to be done, in order.
    pub commands: Vec<Command>,
    /// Why.
    pub reason: Reason,
    /// Events that had waited for this one, to be decided on right after it, in order.
    pub released: Vec<Event>,
    /// An id of the automation user in PagerDuty that was learnt.
    pub learned_id: Option<String>,
}

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
    /// It cannot be told whether it is older or newer than a change of ours: the incident is read.
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

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirrored => f.write_str("mirrored"),
            Self::Linked => f.write_str("linked"),
            Self::Echo(Guard::Actor) => f.write_str("echo (actor)"),
            Self::Echo(Guard::WrittenNote) => f.write_str("echo (written note)"),
            Self::Echo(Guard::Commanded) => f.write_str("echo (commanded)"),
            Self::Echo(Guard::Prefix) => f.write_str("echo (prefix)"),
            Self::InStep => f.write_str("in step"),
            Self::Unclear => f.write_str("unclear"),
            Self::Stale => f.write_str("stale"),
            Self::Duplicate => f.write_str("duplicate"),
            Self::Ignored => f.write_str("ignored"),
            Self::Unlinked(Unlinked::NotOurs) => f.write_str("unlinked (not ours)"),
            Self::Unlinked(Unlinked::OtherService) => f.write_str("unlinked (other service)"),
            Self::Unlinked(Unlinked::OtherIncident) => f.write_str("unlinked (other incident)"),
            Self::Unlinked(Unlinked::BeforeFirstRun) => f.write_str("unlinked (before first run)"),
            Self::Unlinked(Unlinked::TooOld) => f.write_str("unlinked (too old)"),
            Self::Unlinked(Unlinked::NotOpen) => f.write_str("unlinked (not open)"),
            Self::Unlinked(Unlinked::NoSuchAlert) => f.write_str("unlinked (no such alert)"),
            Self::Unlinked(Unlinked::NoSuchLink) => f.write_str("unlinked (no such link)"),
            Self::Unlinked(Unlinked::ByOperator) => f.write_str("unlinked (by an operator)"),
            Self::Joining => f.write_str("joining"),
            Self::Held => f.write_str("held"),
            Self::AlertClosed => f.write_str("alert closed"),
            Self::AlertDeleted => f.write_str("alert deleted"),
            Self::NoIncident => f.write_str("no incident"),
            Self::Revived => f.write_str("revived"),
            Self::PutRight => f.write_str("put right"),
            Self::NoteTwin => f.write_str("note twin"),
            Self::Carried => f.write_str("carried out"),
            Self::Overtaken => f.write_str("overtaken"),
            Self::Superseded => f.write_str("superseded"),
            Self::GivenUp => f.write_str("given up"),
            Self::Fetched => f.write_str("fetched"),
            Self::NoDrift => f.write_str("no drift"),
            Self::Drift => f.write_str("drift"),
            Self::NotYet(NotYet::Unfinished) => f.write_str("not yet (unfinished)"),
            Self::NotYet(NotYet::TooFresh) => f.write_str("not yet (too fresh)"),
            Self::Vanished => f.write_str("vanished"),
            Self::Paused => f.write_str("paused"),
            Self::Resumed => f.write_str("resumed"),
            Self::Redriven => f.write_str("redriven"),
            Self::Discarded => f.write_str("discarded"),
        }
    }
}

/// Decides on `event`, which happened to `link` (if there is one).
pub fn decide(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let mut decision = judge(link, event, policy);
    touch(link, &mut decision, event);
    watch(&mut decision, event, policy);
    decision
}

/// Counts what the link commands, and has it paused if that goes on in both directions as only a loop does.
fn watch(decision: &mut Decision, event: &Event, policy: &Policy) {
    let Some(link) = decision.link.as_mut().filter(|link| link.paused.is_none()) else { return };
    let talk = |command: &&Command| !command.action.is_look_up() && !command.action.is_for_the_page();
    let commands: Vec<System> = decision.commands.iter().filter(talk).map(|command| command.to).collect();
    if commands.is_empty() {
        return;
    }
    // What was heard late counts where it happened: after an outage, much of it comes at once.
    let now = event.received_at;
    let at = event.occurred_at.map_or(now, |at| at.min(now));
    link.fuse.count(at, now, commands);
    if let Some(blown) = link.fuse.blown(at, policy.fuse) {
        let order = Order::Pause { reason: blown.reason(policy.fuse) };
        let body = EventBody::Operator(Box::new(Operator { alert: link.alert.clone(), order }));
        let (actor, dedupe) = (Actor::nobody(), Vec::new());
        let pause = Event { dedupe, request_id: None, occurred_at: None, received_at: now, actor, body };
        decision.released.push(pause);
    }
}

/// Puts down when a side changed or was settled.
fn touch(before: Option<&Link>, decision: &mut Decision, event: &Event) {
    let Some(after) = &mut decision.link else { return };
    for system in [System::Opsgenie, System::PagerDuty] {
        let settled = matches!(&event.body, EventBody::Settled(settled) if settled.entry.command.to == system);
        if settled || before.is_none_or(|before| before.side(system) != after.side(system)) {
            after.side_mut(system).touched_at = event.received_at;
        }
        let status = |link: &Link| link.side(system).known.map(|known| known.status);
        if before.is_none_or(|before| status(before) != status(after)) {
            after.side_mut(system).heard_at = event.received_at;
        }
    }
}

fn judge(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    if let Some(tombstone) = link.filter(|link| link.unlinked) {
        return Decision { link: Some(operator::tombstone(tombstone, event)), ..unlinked(Unlinked::ByOperator) };
    }
    match &event.body {
        EventBody::Alert(happened) => alert::decide(link, event, happened, policy),
        EventBody::Incident(happened) => match link {
            Some(link) => incident::decide(Draft::new(link, event, policy), happened),
            None => unlinked(Unlinked::NotOurs),
        },
        EventBody::Settled(settled) => match link {
            Some(link) => settled::decide(Draft::new(link, event, policy), settled),
            // The link was removed while its command was under way; there is nobody left to tell.
            None => nothing(Reason::Overtaken),
        },
        EventBody::Polled(polled) => polled::decide(link, event, polled, policy),
        EventBody::Operator(operator) => match link {
            Some(link) => operator::decide(Draft::new(link, event, policy), operator),
            None => unlinked(Unlinked::NoSuchLink),
        },
    }
}

fn unlinked(why: Unlinked) -> Decision {
    nothing(Reason::Unlinked(why))
}

/// There is no link, and nothing is done.
fn nothing(reason: Reason) -> Decision {
    Decision { link: None, commands: Vec::new(), reason, released: Vec::new(), learned_id: None }
}

/// A decision in the making.
struct Draft<'a> {
    link: Link,
    event: &'a Event,
    policy: &'a Policy,
    commands: Vec<Command>,
    released: Vec<Event>,
    learned_id: Option<String>,
}

impl<'a> Draft<'a> {
    fn new(link: &Link, event: &'a Event, policy: &'a Policy) -> Self {
        let link = Link { changed_at: event.received_at, ..link.clone() };
        Self { link, event, policy, commands: Vec::new(), released: Vec::new(), learned_id: None }
    }

    fn done(self, reason: Reason) -> Decision {
        Decision {
            link: Some(self.link),
            commands: self.commands,
            reason,
            released: self.released,
            learned_id: self.learned_id,
        }
    }

    /// Keeps the event until a look-up is answered.
    fn hold(mut self) -> Decision {
        self.link.held.push(self.event.clone());
        self.done(Reason::Held)
    }

    fn push(&mut self, to: System, action: Action) {
        self.commands.push(Command { to, action });
    }

    /// Commands a note, and puts it down so that its echo will be known even if it comes before the answer.
    fn write_note(&mut self, to: System, text: String) {
        let text = text::cut_note(to, &text);
        let mark = self.link.mark();
        let hash = TextHash::of(&[&text]);
        self.link.written.push(WrittenNote { system: to, mark, hash, id: None, done: false, echoed: false });
        self.push(to, Action::Note { text, mark });
    }

    fn command_status(&mut self, to: System, status: Status) {
        let mark = self.link.mark();
        self.link.side_mut(to).commanded = Some(Commanded { status, mark });
        self.push(to, Action::SetStatus { status, mark });
    }

    /// Where `system` stands, or will once our commands are through. An incident that is still to be created is open.
    fn target(&self, system: System) -> Option<Status> {
        self.link.side(system).target().or_else(|| {
            let to_come = matches!(self.link.page, Page::Joining | Page::Pending | Page::Dead);
            (system == System::PagerDuty && to_come).then_some(Status::Open)
        })
    }

    fn is_ours(&self, system: System) -> bool {
        self.policy.identity.is_ours(system, &self.event.actor)
    }

    /// Whether a change to `status` is ours: by its actor, or, if none is told, because one of our commands was answered with
    /// it just then.
    fn is_our_change(&self, system: System, status: Status) -> bool {
        let carried = self.link.side(system).has_carried(status, self.event.occurred_at);
        self.is_ours(system) || (carried && !self.event.actor.is_told())
    }

    /// Whether a change of ours says nothing new. PagerDuty's answers to our writes tell the time of the change by the second
    /// only, so an echo within a second of such a time is taken as older: it must not bring back a state that a later
    /// command of ours has changed since.
    fn is_late_echo(&self, system: System, status: Status) -> bool {
        let side = self.link.side(system);
        // On a shared incident it may be the change of another link, of which no answer told this one.
        if self.link.shared || side.commanded.is_some_and(|c| c.status == status) {
            return false;
        }
        let told_by_the_second = side.known.filter(|known| known.by_the_second).and_then(|known| known.at);
        matches!((self.event.occurred_at, told_by_the_second), (Some(at), Some(known_at)) if at < known_at.plus(TELLING))
    }

    /// The reason for an echo: the actor if that is told, else that it was commanded.
    fn echo(&self, system: System) -> Reason {
        Reason::Echo(if self.is_ours(system) { Guard::Actor } else { Guard::Commanded })
    }

    /// Whether nobody tells who wrote a note, and it begins as ours do.
    fn bears_our_prefix(&self, text: &str) -> bool {
        let prefixed =
            [System::Opsgenie, System::PagerDuty].iter().any(|s| text.trim_start().starts_with(&text::prefix(*s)));
        prefixed && !self.event.actor.is_told()
    }

    /// When it happened, by the vendor's clock if that is told.
    fn when(&self) -> Timestamp {
        self.event.occurred_at.unwrap_or(self.event.received_at)
    }
}

/// How exactly the answers to our writes tell when a state changed.
const TELLING: std::time::Duration = std::time::Duration::from_secs(1);

/// Whether an alert of this creation time may still be taken in.
fn too_old(created_at: Option<Timestamp>, now: Timestamp, policy: &Policy) -> Option<Unlinked> {
    if created_at? < policy.first_ran_at {
        return Some(Unlinked::BeforeFirstRun);
    }
    is_beyond_retention(created_at, now, policy).then_some(Unlinked::TooOld)
}

/// Whether an alert of this creation time is older than links are kept for certain.
fn is_beyond_retention(created_at: Option<Timestamp>, now: Timestamp, policy: &Policy) -> bool {
    created_at.is_some_and(|created_at| created_at < now.minus(policy.retention))
}

/// A link for an alert that pages, and the command to create its incident.
fn page(draft: &mut Draft<'_>) {
    draft.link.page = Page::Pending;
    let new = text::new_incident(&draft.link.alert, &draft.link.facts, draft.policy);
    draft.push(System::PagerDuty, Action::Create(new));
}

/// An empty link to start from.
fn blank(alert: &AlertId, event: &Event) -> Link {
    Link::new(alert.clone(), super::event::AlertFacts::default(), Page::Joining, event.received_at)
}
