//! The decision: what an event means for a link, and what is to be done about it.
//!
//! Both sides are compared by level, not by edge: an event counts only if it changes what is known of its own side, and
//! only then is the other side compared with it. Guards against loops stop commands only; an echo still updates what is
//! known.

mod alert;
mod incident;
mod operator;
mod polled;
mod reason;
mod settled;
mod text;

#[cfg(test)]
mod tests;

use super::event::{Actor, AlertId, Event, EventBody, Order, Ordered, Status, System, Timestamp};
use super::link::{Commanded, Known, Link, Page, TELLING, TextHash, WrittenNote};
use super::outbox::{Action, Command};
use super::policy::Policy;

pub use reason::{Guard, NotYet, Reason, Unlinked};

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

/// Decides on `event`, which happened to `link` (if there is one).
pub fn decide(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let mut decision = judge(link, event, policy);
    overtake(link, &mut decision, event, policy);
    touch(link, &mut decision, event);
    watch(&mut decision, event, policy);
    decision
}

/// Counts what the link commands, and has it paused if that goes on in both directions as only a loop does.
fn watch(decision: &mut Decision, event: &Event, policy: &Policy) {
    let Some(link) = decision.link.as_mut().filter(|link| link.paused.is_none()) else { return };
    let talk = |command: &&Command| !command.action.is_look_up() && !command.action.is_for_the_page();
    let mut commands: Vec<System> = decision.commands.iter().filter(talk).map(|command| command.to).collect();
    if commands.is_empty() {
        return;
    }
    // Another mirror may go the other way round: what we write there, it copies back here.
    commands.extend(text::copied_to(event));
    // What was heard late counts where it happened: after an outage, much of it comes at once.
    let now = event.received_at;
    let at = event.occurred_at.map_or(now, |at| at.min(now));
    link.fuse.count(at, now, commands);
    if let Some(blown) = link.fuse.blown(at, policy.fuse) {
        let order = Order::Pause { reason: blown.reason(policy.fuse) };
        let body = EventBody::Ordered(Box::new(Ordered { alert: link.alert.clone(), order }));
        let (actor, dedupe) = (Actor::nobody(), Vec::new());
        let pause = Event { dedupe, request_id: None, occurred_at: None, received_at: now, actor, body };
        decision.released.push(pause);
    }
}

/// Puts down what was commanded before, is not wanted any more, and has not come back yet: it may be on its way.
fn overtake(before: Option<&Link>, decision: &mut Decision, event: &Event, policy: &Policy) {
    let (Some(before), Some(after)) = (before, &mut decision.link) else { return };
    for system in [System::Opsgenie, System::PagerDuty] {
        let Some(commanded) = before.side(system).commanded else { continue };
        let settled = matches!(&event.body, EventBody::Settled(settled)
            if matches!(settled.entry.command.action, Action::SetStatus { mark, .. } if mark == commanded.mark));
        let side = after.side_mut(system);
        let status = |known: Option<Known>| known.map(|known| known.status);
        let (was, is) = (status(before.side(system).known), status(side.known));
        let by_others = event.actor.is_told() && !policy.identity.is_ours(system, &event.actor);
        let has_come = was != is && is == Some(commanded.status) && !by_others;
        if side.commanded.is_none_or(|now| now.mark != commanded.mark) && !settled && !has_come {
            side.overtaken.push(commanded);
        }
    }
}

/// Puts down when a side changed or was settled.
fn touch(before: Option<&Link>, decision: &mut Decision, event: &Event) {
    let Some(after) = &mut decision.link else { return };
    for system in [System::Opsgenie, System::PagerDuty] {
        let settled = matches!(&event.body, EventBody::Settled(settled) if settled.entry.command.to == system);
        let status = |link: &Link| link.side(system).known.map(|known| known.status);
        // A look that agrees may tell a later time, which is no change.
        let agrees = matches!(&event.body, EventBody::Polled(_)) && before.map(status) == Some(status(after));
        if settled || (!agrees && before.is_none_or(|before| before.side(system) != after.side(system))) {
            after.side_mut(system).touched_at = event.received_at;
        }
        if before.is_none_or(|before| status(before) != status(after)) {
            after.side_mut(system).heard_at = event.received_at;
        }
    }
}

fn judge(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    if let Some(tombstone) = link.filter(|link| link.unlinked && !operator::links(event)) {
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
        EventBody::Ordered(ordered) => match link {
            Some(link) => operator::decide(Draft::new(link, event, policy), ordered),
            None => operator::without_link(event, ordered, policy),
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

    /// Whether a change to `status` is ours: by its actor, or, if no person is told, because one of our commands was answered
    /// with it just then, or may be on its way although it is not wanted any more.
    fn is_our_change(&self, system: System, status: Status) -> bool {
        let side = self.link.side(system);
        let (carried, overtaken) = (side.has_carried(status, self.event.occurred_at), side.has_overtaken(status));
        let actor = &self.event.actor;
        // The vendor may name the tool instead of us; but so may any tool be named.
        let just_now = self.event.received_at.since(side.touched_at) <= OVERTAKEN_JUST_NOW;
        let by_a_tool = !actor.person && (carried || (overtaken && just_now));
        self.is_ours(system) || by_a_tool || ((carried || overtaken) && !actor.is_told())
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

/// How long after a change of ours was overtaken it may come back by a name that is no person's.
const OVERTAKEN_JUST_NOW: std::time::Duration = std::time::Duration::from_secs(10);

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
