//! Days without one of the three, in virtual time: the store's book and the backend's steps, and a vendor that does not answer; or
//! vendors that post to a crosspage that does not.

use std::time::Duration;

use crosspage::engine::outbox::call::{Answer, Call, Failure, IncidentState, PagerDutyCall, SeenNote};
use crosspage::engine::outbox::steps::{self, Made, Next, Settlement};
use crosspage::engine::{
    Action, Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Entry, Event, EventBody, IncidentId, Outcome, Policy,
    Status, Step, System, Timestamp,
};
use crosspage::pagerduty::webhook::{self, Inbound};
use crosspage::store::backend::Backend;
use crosspage::store::book::Book;
use crosspage::store::memory::MemoryBackend;
use crosspage::store::{Claim, Settings};
use simulators::{PagerDuty, WebhookDelivery};

use crate::harness::{ADA, JANE};

const HOUR: Duration = Duration::from_secs(3600);
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn book() -> Book {
    let policy = Policy { retention: 30 * 24 * HOUR, pagerduty_service: "PSVC001".to_owned(), ..Policy::default() };
    Book::open(Backend::Memory(MemoryBackend::default()), Settings::new(policy), START).unwrap()
}

fn at(hours: f64) -> Timestamp {
    START.plus(HOUR.mul_f64(hours))
}

/// Jane does something to the alert.
fn happened(alert: &AlertId, action: AlertAction, now: Timestamp) -> Event {
    let facts = AlertFacts { message: Some("Disk full".into()), created_at: Some(START), ..AlertFacts::default() };
    let actor = Actor { name: Some(JANE.to_owned()), person: true, ..Actor::nobody() };
    let body = EventBody::Alert(AlertEvent { alert: alert.clone(), facts, action });
    Event { dedupe: Vec::new(), request_id: None, occurred_at: Some(now), received_at: now, actor, body }
}

/// crosspage, an alert, and a PagerDuty that answers nothing until a certain moment.
struct Outage {
    book: Book,
    alert: AlertId,
    now: Timestamp,
    ends_at: Timestamp,
    /// How many calls were made while it lasted.
    calls: usize,
    incident: Option<Status>,
    /// What PagerDuty was made to do, in order.
    done: Vec<String>,
}

impl Outage {
    fn until(hours: f64) -> Self {
        let alert = AlertId::try_from("a-1").unwrap();
        let (calls, incident, done) = (0, None, Vec::new());
        Self { book: book(), alert, now: START, ends_at: at(hours), calls, incident, done }
    }

    fn hear(&mut self, action: AlertAction) {
        self.book.record(happened(&self.alert, action, self.now)).unwrap();
    }

    /// Lets time pass until `until`, and delivers whatever falls due.
    fn pass_until(&mut self, until: Timestamp) {
        loop {
            while let Some(claim) = self.book.claim(System::PagerDuty, 1, self.now).unwrap().pop() {
                self.carry_out(claim);
            }
            match self.book.next_due(System::PagerDuty).filter(|due| *due <= until) {
                Some(due) => self.now = due,
                None => break,
            }
        }
        self.now = until;
    }

    /// As delivery does it, call by call.
    fn carry_out(&mut self, claim: Claim) {
        let mut entry = claim.entry;
        loop {
            let link = self.book.link(&self.alert).unwrap().unwrap();
            let call = match steps::next(&entry, &link, self.now) {
                Next::Call(call) => call,
                Next::Wait(until) => {
                    entry.due_at = until;
                    return self.book.release(entry).unwrap();
                }
                Next::Done(outcome) => return drop(self.book.settle(entry, outcome, self.now).unwrap()),
            };
            if call.is_write() {
                entry.step = Step::Sending { sent_at: self.now };
                self.book.save(entry.clone()).unwrap();
            }
            let made = Made { began_at: self.now, answered_at: self.now };
            let answer = self.answer(&call);
            match steps::settle(entry.clone(), &link, &[], answer, made) {
                Settlement::Again(further) => entry = further,
                Settlement::Later { entry, .. } | Settlement::Pause { entry, .. } => {
                    return self.book.release(entry).unwrap();
                }
                Settlement::Done(outcome) => return drop(self.book.settle(entry, outcome, self.now).unwrap()),
            }
        }
    }

    fn answer(&mut self, call: &Call) -> Answer {
        let Call::PagerDuty(call) = call else { panic!("{call:?}") };
        if self.now < self.ends_at {
            self.calls += 1;
            // Now nobody listens, now nobody answers: of the latter, what was asked for might have been done.
            let (reason, hold) = ("out of order".to_owned(), None);
            let nobody_listens = self.calls.is_multiple_of(2);
            let failure =
                if nobody_listens { Failure::TryAgain { reason, hold } } else { Failure::Unclear { reason, hold } };
            return Answer::Failed(failure);
        }
        match call {
            PagerDutyCall::FindIncident(_) => Answer::Found(self.incident.map(|_| self.state())),
            PagerDutyCall::ReadIncident(_) => Answer::Incident(self.state()),
            PagerDutyCall::ListNotes(..) => {
                let notes = self.done.iter().map(|text| SeenNote { id: None, text: text.clone() });
                Answer::Notes(notes.collect())
            }
            PagerDutyCall::Create(_, new) => self.becomes(Status::Open, new.title.clone()),
            PagerDutyCall::SetStatus(_, status) => self.becomes(*status, status.to_string()),
            PagerDutyCall::SetPriority(..) => Answer::Unsupported,
            PagerDutyCall::AddNote(_, text) => {
                self.done.push(text.clone());
                Answer::Note { id: Some(format!("N{}", self.done.len())), author: None }
            }
        }
    }

    fn becomes(&mut self, status: Status, done: String) -> Answer {
        self.incident = Some(status);
        self.done.push(done);
        Answer::Incident(self.state())
    }

    fn state(&self) -> IncidentState {
        let (id, status) = (IncidentId::try_from("Q1").unwrap(), self.incident.unwrap());
        IncidentState { id, status, at: Some(self.now), by: Actor::nobody(), merged_into: None }
    }
}

#[test]
fn two_days_without_pagerduty_lose_nothing_and_turn_nothing_around() {
    let mut outage = Outage::until(48.0);
    outage.hear(AlertAction::Create);
    let mut told = vec!["Disk full".to_owned()];
    for hour in 1..48 {
        outage.pass_until(at(f64::from(hour)));
        outage.hear(AlertAction::AddNote { text: format!("after {hour} h") });
        told.push(format!("[Opsgenie] {JANE}: after {hour} h"));
    }
    outage.hear(AlertAction::Acknowledge { note: None });
    told.extend(["acknowledged".to_owned(), format!("[Opsgenie] {JANE} acknowledged the alert")]);
    outage.pass_until(at(48.0));
    assert!(outage.done.is_empty());
    // Five minutes apart, give or take a fifth, once it has lasted; and only what comes first is tried at all.
    assert!((400..800).contains(&outage.calls), "{} calls", outage.calls);
    outage.pass_until(at(49.0));
    assert_eq!(outage.done, told);
    let summary = outage.book.summary();
    assert_eq!((summary.dead_letters, summary.pagerduty.entries), (0, 0));
}

#[test]
fn nothing_is_given_up_before_three_days_and_a_page_that_is_parks_what_follows() {
    let mut outage = Outage::until(96.0);
    outage.hear(AlertAction::Create);
    outage.pass_until(at(1.0));
    outage.hear(AlertAction::AddNote { text: "hello".to_owned() });
    outage.pass_until(at(71.5));
    assert_eq!(outage.book.summary().dead_letters, 0);
    outage.pass_until(at(73.0));
    assert_eq!(outage.book.summary().dead_letters, 1);
    // What is parked is not tried in vain.
    let calls = outage.calls;
    outage.pass_until(at(97.0));
    assert_eq!((outage.calls, outage.done.len(), outage.book.summary().pagerduty.parked), (calls, 0, 1));
}

/// PagerDuty, whose webhooks are answered only when crosspage is there.
struct Away {
    book: Book,
    pagerduty: PagerDuty,
    now: Timestamp,
    is_there: bool,
    attempts: usize,
}

impl Away {
    /// Lets time pass until `until`, and has PagerDuty post whatever is due.
    fn pass_until(&mut self, until: Timestamp) {
        loop {
            let now = self.now.as_millis();
            self.pagerduty.tick(now);
            for delivery in self.pagerduty.take_webhooks(now) {
                let answer = self.knock(&delivery);
                self.pagerduty.webhook_answered(delivery.id, now, answer);
            }
            match self.pagerduty.next_wake().map(Timestamp::from_millis).filter(|at| *at <= until) {
                Some(at) => self.now = at.max(self.now),
                None => break,
            }
        }
        self.now = until;
        self.pagerduty.tick(until.as_millis());
    }

    fn knock(&mut self, delivery: &WebhookDelivery) -> simulators::Answer {
        self.attempts += 1;
        if !self.is_there {
            return simulators::Answer::NoAnswer;
        }
        let parsed = webhook::parse(&delivery.body, delivery.header("x-webhook-id"), self.now).unwrap();
        let Inbound::Event(event) = parsed else { panic!("{parsed:?}") };
        self.book.record(event).unwrap();
        simulators::Answer::Status(202)
    }
}

#[test]
fn what_people_did_while_crosspage_was_away_for_two_days_is_made_up_for_in_order() {
    let pagerduty = PagerDuty::new(simulators::pagerduty::Options::default());
    let mut away = Away { book: book(), pagerduty, now: START, is_there: false, attempts: 0 };
    away.pass_until(START);
    let incident = away.pagerduty.silently(|pagerduty| pagerduty.human_triggers("Disk full", ADA));
    let alert = AlertId::try_from("a-1").unwrap();
    away.book.record(happened(&alert, AlertAction::Create, START)).unwrap();
    let create = away.book.claim(System::PagerDuty, 1, START).unwrap().remove(0).entry;
    let id = incident.as_str().try_into().unwrap();
    let created = Outcome::Created { incident: id, status: Status::Open, at: Some(START), author: None };
    away.book.settle(create, created, START).unwrap();

    for hour in 1..47 {
        away.pass_until(at(f64::from(hour)));
        away.pagerduty.human_adds_note(&incident, ADA, &format!("after {hour} h"));
    }
    away.pass_until(at(47.0));
    // Ten minutes apart, once it has lasted, and only the first of those that are in order.
    assert!((250..350).contains(&away.attempts), "{} attempts", away.attempts);
    away.is_there = true;
    away.pass_until(at(48.0));
    assert_eq!(away.pagerduty.webhooks_waiting(), 0);
    let note = |entry: Entry| match entry.command.action {
        Action::Note { text, .. } => text,
        other => other.name().to_owned(),
    };
    let queued: Vec<String> = away.book.entries(&alert).unwrap().into_iter().map(note).collect();
    let told: Vec<String> = (1..47).map(|hour| format!("[PagerDuty] Ada Oncall: after {hour} h")).collect();
    assert_eq!(queued, told);
}
