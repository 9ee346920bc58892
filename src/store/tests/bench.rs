//! What the tests stand on: a book on either backend that can be closed and opened again, a small decision function, and
//! short names for events.

use tempfile::TempDir;

use crate::engine::outbox::NewIncident;
use crate::engine::{
    Action, Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Command, Decision, Event, EventBody, IncidentChange,
    IncidentEvent, IncidentId, IncidentNote, Link, Outcome, Page, Policy, Reason, Settled, Status, System, Timestamp,
    decide,
};
use crate::metrics::Metrics;
use crate::store::backend::{Backend, Row};
use crate::store::book::Book;
use crate::store::memory::MemoryBackend;
use crate::store::{Claim, Recorded, Settings, StoreError, Verdict};

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Runs each of the named tests on both backends.
macro_rules! on_both_backends {
    ($($name:ident)*) => {
        mod on_memory {
            $(#[test] fn $name() { super::$name(crate::store::tests::bench::Bench::memory()); })*
        }
        mod on_sled {
            $(#[test] fn $name() { super::$name(crate::store::tests::bench::Bench::sled()); })*
        }
    };
}
pub(super) use on_both_backends;

pub(super) enum Place {
    Memory(MemoryBackend),
    Sled(TempDir),
}

/// A book on a backend that outlives it.
pub(super) struct Bench {
    pub(super) place: Place,
    /// What is counted, however often it is opened.
    pub(super) metrics: Metrics,
    book: Option<Book>,
}

impl Bench {
    pub(super) fn memory() -> Self {
        Self::on(Place::Memory(MemoryBackend::default()))
    }

    pub(super) fn sled() -> Self {
        Self::on(Place::Sled(tempfile::tempdir().unwrap()))
    }

    fn on(place: Place) -> Self {
        let mut bench = Self { place, metrics: Metrics::default(), book: None };
        bench.book = Some(bench.open().unwrap());
        bench
    }

    /// Ends the process, as it were, without a commit, and starts it again.
    pub(super) fn reopen(&mut self) {
        self.close();
        self.book = Some(self.open().unwrap());
    }

    /// Has everything decided on by the backend from now on, until it is opened again.
    pub(super) fn decide_for_real(&mut self) {
        self.close();
        let settings = Settings { metrics: self.metrics.clone(), ..Settings::new(policy()) };
        self.book = Some(Book::open(self.backend(), settings, NOW).unwrap());
    }

    pub(super) fn close(&mut self) {
        self.book = None;
    }

    pub(super) fn open(&self) -> Result<Book, StoreError> {
        Book::open(self.backend(), Settings { metrics: self.metrics.clone(), ..settings() }, NOW)
    }

    /// The backend itself, while the book is closed.
    pub(super) fn backend(&self) -> Backend {
        match &self.place {
            Place::Memory(memory) => {
                memory.crash();
                Backend::Memory(memory.clone())
            }
            Place::Sled(folder) => Backend::sled(folder.path()).unwrap(),
        }
    }

    /// Closes the book and looks at everything that is stored under `prefix`, or at all if that is empty.
    pub(super) fn rows(&mut self, prefix: &[u8]) -> Vec<Row> {
        self.close();
        let end = if prefix.is_empty() { vec![u8::MAX] } else { crate::store::keys::end_of(prefix) };
        let rows = self.backend().range(prefix, &end, usize::MAX).unwrap();
        self.reopen();
        rows
    }

    pub(super) fn book(&mut self) -> &mut Book {
        self.book.as_mut().unwrap()
    }

    pub(super) fn record(&mut self, event: Event) -> Recorded {
        self.book().record(event).unwrap()
    }

    pub(super) fn commit(&mut self) {
        self.book().commit().unwrap();
    }

    pub(super) fn claim(&mut self, system: System) -> Vec<Claim> {
        self.book().claim(system, 100, NOW).unwrap()
    }

    /// Claims the one lane that is due.
    pub(super) fn claim_one(&mut self, system: System) -> Claim {
        let mut claims = self.claim(system);
        assert_eq!(claims.len(), 1, "{claims:?}");
        claims.remove(0)
    }

    /// Claims the one entry that is due, and ends it.
    pub(super) fn settle_one(&mut self, system: System, outcome: Outcome) -> Recorded {
        let claim = self.claim_one(system);
        self.book().settle(claim.entry, outcome, NOW).unwrap()
    }

    /// What happened to the link, in words.
    pub(super) fn story(&mut self, alert: &str) -> Vec<String> {
        self.book().timeline(&alert_id(alert)).unwrap().iter().map(|entry| words(&entry.event)).collect()
    }

    /// The texts of the notes that are queued for a system.
    pub(super) fn queued_notes(&mut self, alert: &str, system: System) -> Vec<String> {
        let entries = self.book().entries(&alert_id(alert)).unwrap().into_iter().filter(|e| e.command.to == system);
        entries
            .filter_map(|entry| match entry.command.action {
                Action::Note { text, .. } => Some(text),
                _ => None,
            })
            .collect()
    }
}

pub(super) fn settings() -> Settings {
    Settings { decide: fake, ..Settings::new(policy()) }
}

fn policy() -> Policy {
    Policy {
        pagerduty_service: "PSVC001".to_owned(),
        retention: std::time::Duration::from_secs(86_400),
        ..Policy::default()
    }
}

/// Decides just enough to move links, lanes and the waiting room.
fn fake(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let mut decision = Decision {
        link: link.cloned(),
        commands: Vec::new(),
        reason: Reason::Mirrored,
        released: Vec::new(),
        learned_id: None,
    };
    let Some(link) = &mut decision.link else {
        if let EventBody::Ordered(_) | EventBody::Polled(_) = &event.body {
            return decide(None, event, policy);
        }
        if let EventBody::Alert(happened) = &event.body {
            let new = |page| Link::new(happened.alert.clone(), happened.facts.clone(), page, event.received_at);
            match &happened.action {
                AlertAction::Create => {
                    decision.link = Some(new(Page::Pending));
                    decision.commands.push(create_command());
                }
                AlertAction::AddNote { .. } => {
                    decision.link = Some(Link { held: vec![event.clone()], ..new(Page::Joining) });
                    decision.commands.push(Command { to: System::Opsgenie, action: Action::FetchAlert });
                }
                _ => {}
            }
        }
        return decision;
    };
    match &event.body {
        EventBody::Alert(happened) => match &happened.action {
            AlertAction::AddNote { text } if text == "panic" => panic!("told to panic"),
            AlertAction::AddNote { .. } if link.page == Page::Joining => link.held.push(event.clone()),
            AlertAction::AddNote { text } => decision.commands.push(note_command(System::PagerDuty, text)),
            AlertAction::Acknowledge { .. } => {
                let action = Action::SetStatus { status: Status::Acknowledged, mark: 0 };
                decision.commands.push(Command { to: System::PagerDuty, action });
            }
            AlertAction::Close { .. } => {
                for system in [System::Opsgenie, System::PagerDuty] {
                    let side = link.side_mut(system);
                    side.observe(Status::Resolved, None);
                }
                link.changed_at = event.received_at;
            }
            AlertAction::Other(text) => link.facts.description = Some(text.clone()),
            AlertAction::Delete => decision.link = None,
            _ => {}
        },
        EventBody::Incident(happened) => match &happened.change {
            IncidentChange::Triggered => link.page = Page::Standing(happened.incident.clone()),
            IncidentChange::Annotated(note) => {
                // Notes of ours are told by their author, so that learning shows.
                let ours = policy.identity.pagerduty_ids.iter().any(|id| event.actor.id.as_ref() == Some(id));
                if !ours {
                    decision.commands.push(note_command(System::Opsgenie, &note.text));
                }
            }
            IncidentChange::MergedInto(into) => {
                link.merged.extend(link.incident().cloned());
                link.page = Page::Standing(into.clone());
                link.shared = true;
            }
            _ => {}
        },
        EventBody::Settled(settled) => fake_settled(&mut decision, settled),
        EventBody::Polled(_) => {}
        EventBody::Ordered(_) => return decide(Some(link), event, policy),
    }
    decision
}

fn fake_settled(decision: &mut Decision, settled: &Settled) {
    let Some(link) = &mut decision.link else { return };
    match (&settled.outcome, &settled.entry.command.action) {
        (Outcome::Created { incident, author, .. }, _) => {
            link.page = Page::Standing(incident.clone());
            decision.learned_id.clone_from(author);
            decision.released = std::mem::take(&mut link.held);
        }
        (Outcome::Noted { id, .. }, _) => {
            let mark = link.mark();
            let hash = crate::engine::link::TextHash::of(&["note"]);
            let system = settled.entry.command.to;
            let id = id.clone();
            link.written.push(crate::engine::link::WrittenNote { system, mark, hash, id, done: true, echoed: false });
        }
        (Outcome::FetchedAlert(_), _) if link.page == Page::Dead => link.page = Page::Pending,
        (Outcome::FetchedAlert(_), _) | (Outcome::Dead { .. }, Action::FetchAlert) if link.page == Page::Joining => {
            link.page = Page::Pending;
            decision.commands.push(create_command());
            decision.released = std::mem::take(&mut link.held);
        }
        (Outcome::Dropped(_), _) => link.page = Page::Withheld,
        (Outcome::Dead { .. }, Action::Create(_)) if link.incident().is_none() => link.page = Page::Dead,
        _ => {}
    }
}

fn create_command() -> Command {
    let new =
        NewIncident { title: "it".to_owned(), details: String::new(), urgency: None, priority: None, bare: false };
    Command { to: System::PagerDuty, action: Action::Create(new) }
}

fn note_command(to: System, text: &str) -> Command {
    Command { to, action: Action::Note { text: text.to_owned(), mark: 0 } }
}

pub(super) fn alert_id(id: &str) -> AlertId {
    AlertId::try_from(id).unwrap()
}

pub(super) fn incident_id(id: &str) -> IncidentId {
    IncidentId::try_from(id).unwrap()
}

fn event(body: EventBody) -> Event {
    let actor = Actor::nobody();
    Event { dedupe: Vec::new(), request_id: None, occurred_at: None, received_at: NOW, actor, body }
}

fn alert_event(alert: &str, action: AlertAction) -> Event {
    event(EventBody::Alert(AlertEvent { alert: alert_id(alert), facts: AlertFacts::default(), action }))
}

fn incident_event(incident: &str, incident_key: Option<String>, change: IncidentChange) -> Event {
    let incident = incident_id(incident);
    event(EventBody::Incident(IncidentEvent {
        incident,
        incident_key,
        number: None,
        service: None,
        status: None,
        change,
    }))
}

/// An alert is created.
pub(super) fn created(alert: &str) -> Event {
    alert_event(alert, AlertAction::Create)
}

/// Somebody writes a note on an alert.
pub(super) fn noted(alert: &str, text: &str) -> Event {
    alert_event(alert, AlertAction::AddNote { text: text.to_owned() })
}

/// The link is to hold that much.
pub(super) fn filled(alert: &str, bytes: usize) -> Event {
    alert_event(alert, AlertAction::Other("x".repeat(bytes)))
}

/// Somebody takes the alert.
pub(super) fn acknowledged(alert: &str) -> Event {
    alert_event(alert, AlertAction::Acknowledge { note: None })
}

/// It is all over, on both sides.
pub(super) fn closed(alert: &str) -> Event {
    alert_event(alert, AlertAction::Close { note: None })
}

/// The link is to go away.
pub(super) fn removed(alert: &str) -> Event {
    alert_event(alert, AlertAction::Delete)
}

/// The incident of an alert shows itself.
pub(super) fn triggered(incident: &str, alert: &str) -> Event {
    incident_event(incident, Some(alert_id(alert).incident_key()), IncidentChange::Triggered)
}

/// Somebody writes a note on an incident.
pub(super) fn annotated(incident: &str, text: &str) -> Event {
    let note = IncidentNote { id: text.to_owned(), text: text.to_owned(), trimmed: false };
    incident_event(incident, None, IncidentChange::Annotated(note))
}

/// Somebody writes a note on the incident of an alert, and the webhook says whose it is.
pub(super) fn annotated_for(alert: &str, text: &str) -> Event {
    let Event { body: EventBody::Incident(mut happened), .. } = annotated("P1", text) else { unreachable!() };
    happened.incident_key = Some(alert_id(alert).incident_key());
    event(EventBody::Incident(happened))
}

/// An incident goes on in another one.
pub(super) fn merged(incident: &str, into: &str) -> Event {
    incident_event(incident, None, IncidentChange::MergedInto(incident_id(into)))
}

/// The create came out as that incident.
pub(super) fn became(incident: &str) -> Outcome {
    Outcome::Created { incident: incident_id(incident), status: Status::Open, at: None, author: None }
}

pub(super) fn noted_as(id: &str) -> Outcome {
    Outcome::Noted { id: Some(id.to_owned()), author: None }
}

pub(super) fn dead() -> Outcome {
    Outcome::Dead { reason: "refused".to_owned() }
}

/// The same event with ids that tell a repeat.
pub(super) fn once(ids: &[&str], event: Event) -> Event {
    Event { dedupe: ids.iter().map(|&id| id.to_owned()).collect(), ..event }
}

/// The verdict of an event that was decided on for those links.
pub(super) fn decided(alerts: &[Option<&str>]) -> Verdict {
    Verdict::Decided(alerts.iter().map(|alert| (alert.map(alert_id), Reason::Mirrored)).collect())
}

fn words(event: &Event) -> String {
    match &event.body {
        EventBody::Alert(happened) => match &happened.action {
            AlertAction::Create => "created".to_owned(),
            AlertAction::AddNote { text } => format!("alert note {text}"),
            AlertAction::Other(text) => format!("filled {}", text.len()),
            other => format!("{other:?}"),
        },
        EventBody::Incident(happened) => match &happened.change {
            IncidentChange::Annotated(note) => format!("incident note {}", note.text),
            IncidentChange::Triggered => "triggered".to_owned(),
            other => format!("{other:?}"),
        },
        EventBody::Settled(settled) => format!("settled {}", settled.entry.command.action.name()),
        EventBody::Polled(polled) => format!("polled {}", polled.seen.name()),
        EventBody::Ordered(ordered) => ordered.order.name().to_owned(),
    }
}
