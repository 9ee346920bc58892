//! Decisions by tables and stories. A [`Pair`] is a link with what it was told; commands are compared as short lines.

mod alert;
mod fuse;
mod guards;
mod incident;
mod late;
mod operator;
mod polled;
mod revived;
mod settled;
mod world;

use std::time::Duration;

use super::super::event::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, IncidentChange, IncidentEvent, IncidentId,
    IncidentNote, Priority, Settled, Status, System, Timestamp,
};
use super::super::fuse::Limits;
use super::super::link::{Commanded, Link, Page};
use super::super::outbox::call::IncidentState;
use super::super::outbox::{Action, Command, DropReason, Entry, FetchedAlert, Outcome, Step};
use super::super::policy::{Identity, OnResolved, Policy, ReadLag};
use super::{Guard, Reason, Unlinked, decide};

pub(super) fn policy() -> Policy {
    Policy {
        on_pagerduty_resolved: OnResolved::Note,
        pagerduty_service: "PSVC001".to_owned(),
        identity: Identity {
            pagerduty_email: "bot@acme.test".to_owned(),
            pagerduty_ids: ["PAUTO01".to_owned()].into(),
            pagerduty_name: "Sync Bot".to_owned(),
            opsgenie_user: "crosspage".to_owned(),
        },
        first_ran_at: Timestamp::from_millis(1_000_000),
        retention: Duration::from_secs(30 * 86_400),
        read_lag: ReadLag::default(),
        fuse: Limits::default(),
        alert_page: None,
    }
}

/// `seconds` after the alert of these tests was created.
fn second(seconds: i64) -> Timestamp {
    Timestamp::from_millis(2_000_000 + seconds * 1000)
}

fn alert_id() -> AlertId {
    AlertId::try_from("a-1").unwrap()
}

fn incident_id(id: &str) -> IncidentId {
    IncidentId::try_from(id).unwrap()
}

fn event(body: EventBody, actor: Actor) -> Event {
    let received_at = second(0);
    Event { dedupe: Vec::new(), request_id: None, occurred_at: None, received_at, actor, body }
}

/// Something that jane does to the alert, at a time that nobody tells.
fn alert_event(action: AlertAction) -> Event {
    let facts = AlertFacts { message: Some("disk full".into()), created_at: Some(second(0)), ..AlertFacts::default() };
    event(EventBody::Alert(AlertEvent { alert: alert_id(), facts, action }), Actor::nobody()).by("jane")
}

/// Something that bob does to the incident `Q1`, at a time that nobody tells.
fn incident_event(change: IncidentChange) -> Event {
    let status = match &change {
        IncidentChange::Triggered | IncidentChange::Unacknowledged | IncidentChange::Reopened => Some(Status::Open),
        IncidentChange::Acknowledged => Some(Status::Acknowledged),
        IncidentChange::Resolved | IncidentChange::MergedInto(_) => Some(Status::Resolved),
        IncidentChange::Annotated(_) | IncidentChange::Read | IncidentChange::Other(_) => None,
    };
    let happened =
        IncidentEvent { incident: incident_id("Q1"), incident_key: None, number: None, service: None, status, change };
    event(EventBody::Incident(happened), Actor::nobody()).by("bob")
}

/// What makes events of these tests short.
trait Told: Sized {
    /// Who did it; `us` is the automation user of that system.
    fn by(self, who: &str) -> Self;
    /// Done by a timer, or by nobody that is told.
    fn by_nobody(self) -> Self;
    /// When it happened, in seconds, and that it reached us then.
    fn at(self, seconds: i64) -> Self;
    /// When it happened, in milliseconds.
    fn at_ms(self, millis: i64) -> Self;
    /// To which incident it happened.
    fn on(self, incident: &str) -> Self;
    /// Where the incident stood.
    fn standing(self, status: Status) -> Self;
    /// What the alert says of itself.
    fn with(self, facts: AlertFacts) -> Self;
}

impl Told for Event {
    fn by(mut self, who: &str) -> Self {
        self.actor = match (&self.body, who) {
            (EventBody::Alert(_), "us") => Actor { name: Some("crosspage".into()), ..Actor::nobody() },
            (_, "us") => {
                Actor { id: Some("PAUTO01".into()), name: Some("Sync Bot".into()), person: true, ..Actor::nobody() }
            }
            (EventBody::Alert(_), who) => Actor { name: Some(who.into()), person: true, ..Actor::nobody() },
            (_, who) => Actor { id: Some(format!("P-{who}")), name: Some(who.into()), person: true, ..Actor::nobody() },
        };
        self
    }

    fn by_nobody(self) -> Self {
        Self { actor: Actor::nobody(), ..self }
    }

    fn at(self, seconds: i64) -> Self {
        self.at_ms(seconds * 1000)
    }

    fn at_ms(self, millis: i64) -> Self {
        let at = Timestamp::from_millis(second(0).as_millis() + millis);
        Self { occurred_at: Some(at), received_at: at, ..self }
    }

    fn on(mut self, incident: &str) -> Self {
        if let EventBody::Incident(happened) = &mut self.body {
            happened.incident = incident_id(incident);
        }
        self
    }

    fn standing(mut self, status: Status) -> Self {
        if let EventBody::Incident(happened) = &mut self.body {
            happened.status = Some(status);
        }
        self
    }

    fn with(mut self, facts: AlertFacts) -> Self {
        if let EventBody::Alert(happened) = &mut self.body {
            happened.facts = facts;
        }
        self
    }
}

fn ack() -> Event {
    alert_event(AlertAction::Acknowledge { note: None })
}

fn unack() -> Event {
    alert_event(AlertAction::Unacknowledge { note: None })
}

fn close() -> Event {
    alert_event(AlertAction::Close { note: None })
}

fn add_note(text: &str) -> Event {
    alert_event(AlertAction::AddNote { text: text.into() })
}

fn annotated(id: &str, text: &str) -> Event {
    incident_event(IncidentChange::Annotated(IncidentNote { id: id.into(), text: text.into(), trimmed: false }))
}

fn trimmed(id: &str, text: &str) -> Event {
    incident_event(IncidentChange::Annotated(IncidentNote { id: id.into(), text: text.into(), trimmed: true }))
}

/// A command as one short line.
fn line(command: &Command) -> String {
    let to = match command.to {
        System::Opsgenie => "OG",
        System::PagerDuty => "PD",
    };
    match &command.action {
        Action::Create(new) => format!("{to} create {}", new.title),
        Action::SetStatus { status, .. } => format!("{to} {status}"),
        Action::Note { text, .. } => format!("{to} note {text}"),
        Action::UpdatePriority { priority, by } => format!("{to} priority {} by {by}", priority.name()),
        Action::FetchAlert => format!("{to} fetch alert"),
        Action::FetchIncident => format!("{to} fetch incident"),
        Action::FetchNote { id, .. } => format!("{to} fetch note {id}"),
        Action::EndMerged { incident, .. } => format!("{to} end merged {incident}"),
    }
}

/// A link with its policy and the commands that are not settled yet.
struct Pair {
    link: Option<Link>,
    policy: Policy,
    outstanding: Vec<Command>,
    learned_id: Option<String>,
}

impl Pair {
    /// Nothing has happened yet.
    fn unseen() -> Self {
        Self { link: None, policy: policy(), outstanding: Vec::new(), learned_id: None }
    }

    /// The alert was created, and its incident is to be.
    fn pending() -> Self {
        let mut pair = Self::unseen();
        pair.hear(alert_event(AlertAction::Create));
        pair
    }

    /// The alert and the incident `Q1` stand and are open.
    fn open() -> Self {
        let mut pair = Self::pending();
        pair.settle("PD create disk full", created("Q1"));
        pair
    }

    /// Both are acknowledged, by jane in Opsgenie, and everything is settled and has come back.
    fn acknowledged() -> Self {
        let mut pair = Self::open();
        pair.hear(ack().at(1));
        pair.settle("PD acknowledged", in_state(Status::Acknowledged, 2));
        pair.settle("PD note [Opsgenie] jane acknowledged the alert", noted("N1"));
        pair
    }

    /// Both are over: jane has closed the alert.
    fn closed() -> Self {
        let mut pair = Self::open();
        pair.hear(close().at(1));
        pair.settle("PD resolved", in_state(Status::Resolved, 2));
        pair.settle("PD note [Opsgenie] jane closed the alert", noted("N1"));
        pair
    }

    /// The incident was resolved by bob, and the alert stays open.
    fn resolved() -> Self {
        let mut pair = Self::open();
        pair.hear(incident_event(IncidentChange::Resolved).at(1));
        pair.settle("OG note [PagerDuty] bob resolved the incident", NOTED);
        pair
    }

    fn with_policy(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    fn link(&self) -> &Link {
        self.link.as_ref().unwrap()
    }

    /// Where both sides stand, as far as is known.
    fn known(&self) -> (Option<Status>, Option<Status>) {
        (self.link().opsgenie.known.map(|k| k.status), self.link().pagerduty.known.map(|k| k.status))
    }

    /// Decides on an event, and then on what it releases, as the store does.
    fn hear(&mut self, event: Event) -> (Reason, Vec<String>) {
        let decision = decide(self.link.as_ref(), &event, &self.policy);
        self.link = decision.link;
        if decision.learned_id.is_some() {
            self.learned_id = decision.learned_id;
        }
        let mut lines: Vec<String> = decision.commands.iter().map(line).collect();
        self.outstanding.extend(decision.commands);
        for released in decision.released {
            lines.extend(self.hear(released).1);
        }
        (decision.reason, lines)
    }

    /// Decides on an event and compares what comes of it.
    #[track_caller]
    fn expect(&mut self, event: Event, reason: Reason, commands: &[&str]) {
        let seen = self.hear(event);
        assert_eq!(seen, (reason, commands.iter().map(|&line| line.to_owned()).collect()));
    }

    /// Ends the command that reads `command`.
    #[track_caller]
    fn settle(&mut self, command: &str, outcome: Outcome) -> (Reason, Vec<String>) {
        let found = self.outstanding.iter().position(|c| line(c) == command);
        let found = found.unwrap_or_else(|| panic!("no {command:?} in {:#?}", self.outstanding));
        let command = self.outstanding.remove(found);
        self.end(command, outcome)
    }

    fn end(&mut self, command: Command, outcome: Outcome) -> (Reason, Vec<String>) {
        self.end_at(command, Step::Ready, outcome, second(0))
    }

    /// Ends a command in that step at that time, by our clock.
    fn end_at(&mut self, command: Command, step: Step, outcome: Outcome, now: Timestamp) -> (Reason, Vec<String>) {
        let entry = Entry { step, ..Entry::new(1, alert_id(), command, second(0)) };
        let body = EventBody::Settled(Box::new(Settled { entry, outcome }));
        self.hear(Event { received_at: now, ..event(body, Actor::nobody()) })
    }

    /// Ends the command that reads `command`, and compares what comes of it.
    #[track_caller]
    fn expect_settled(&mut self, command: &str, outcome: Outcome, reason: Reason, commands: &[&str]) {
        let seen = self.settle(command, outcome);
        assert_eq!(seen, (reason, commands.iter().map(|&line| line.to_owned()).collect()));
    }
}

const NOTED: Outcome = Outcome::Noted { id: None, author: None };

fn noted(id: &str) -> Outcome {
    Outcome::Noted { id: Some(id.into()), author: Some("PAUTO01".into()) }
}

fn created(incident: &str) -> Outcome {
    let incident = incident_id(incident);
    Outcome::Created { incident, status: Status::Open, at: Some(second(0)), author: Some("PAUTO01".into()) }
}

fn in_state(status: Status, at: i64) -> Outcome {
    Outcome::InState { status, at: Some(second(at)) }
}

fn fetched(status: Status, at: i64, facts: AlertFacts) -> Outcome {
    Outcome::FetchedAlert(Some(FetchedAlert { facts, status, at: Some(second(at)), by: None }))
}

/// The incident as it was read.
fn read(id: &str, status: Status, at: i64) -> Outcome {
    let (id, at) = (incident_id(id), Some(second(at)));
    Outcome::FetchedIncident(Some(IncidentState { id, status, at, by: Actor::nobody(), merged_into: None }))
}

fn dead() -> Outcome {
    Outcome::Dead { reason: "no".into() }
}
