//! What earlier versions have stored must be read for ever. Each version's values lie in `tests/fixtures/store`, and none
//! of them may be changed: what a later version writes differently gets files of its own.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bench::*;
use crate::engine::decide::{Guard, Unlinked};
use crate::engine::link::{Commanded, HeardNote, Known, NoteVia, Side, TextHash, WrittenNote};
use crate::engine::outbox::call::IncidentState;
use crate::engine::outbox::{DropReason, FetchedAlert, NewIncident, Step, Urgency};
use crate::engine::{
    Action, Actor, AlertAction, AlertEvent, AlertFacts, Command, Entry, Event, EventBody, IncidentChange,
    IncidentEvent, IncidentNote, Link, Order, Ordered, Outcome, Page, Paused, Priority, Reason, Settled, Status,
    System, Timestamp,
};
use crate::store::backend::Batch;
use crate::store::types::Body;
use crate::store::{DeadLetter, Form, QuarantinedHead, TimelineEntry, keys};

/// One value of every kind, with every variant in one of them.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Values {
    links: Vec<Link>,
    entries: Vec<Entry>,
    timeline: Vec<TimelineEntry>,
    dead_letters: Vec<DeadLetter>,
    quarantined: Vec<QuarantinedHead>,
    identity: BTreeSet<String>,
}

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/fixtures/store/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn facts() -> AlertFacts {
    AlertFacts {
        message: Some("Disk full".to_owned()),
        description: Some("Disk usage above 95 %".to_owned()),
        tiny_id: Some("1042".to_owned()),
        entity: Some("db-1".to_owned()),
        tags: vec!["prod".to_owned(), "db".to_owned()],
        priority: Some(Priority::P2),
        created_at: Some(NOW),
    }
}

fn incident_state() -> IncidentState {
    // Who had changed it was kept by the id alone, and is not asked for any more.
    let (status, at) = (Status::Acknowledged, Some(NOW));
    IncidentState { id: incident_id("Q1"), status, at, by: Actor::nobody(), merged_into: None }
}

fn links() -> Vec<Link> {
    let pages = [Page::Joining, Page::Pending, Page::Standing(incident_id("Q1")), Page::Dead, Page::Withheld];
    let mut links: Vec<Link> = pages.into_iter().map(|page| Link::new(alert_id("A"), facts(), page, NOW)).collect();
    let full = &mut links[2];
    let hash = TextHash::of(&["text"]);
    full.priority_at = Some(NOW);
    (full.alert_deleted, full.shared, full.told_superseded) = (true, true, true);
    full.merged.push(incident_id("Q0"));
    full.opsgenie = Side {
        known: Some(Known { status: Status::Acknowledged, at: Some(NOW), by_the_second: true }),
        told_at: None,
        shown_until: None,
        commanded: Some(Commanded { status: Status::Resolved, mark: 7 }),
        overtaken: Vec::new(),
        touched_at: NOW,
        heard_at: Timestamp::default(),
        carried: vec![Known { status: Status::Open, at: Some(NOW), by_the_second: false }],
    };
    full.held = vec![noted("A", "held")];
    full.fetching_note = Some("PNOTE01".to_owned());
    let id = Some("PNOTE02".to_owned());
    let system = System::PagerDuty;
    full.written = vec![WrittenNote { system, mark: 3, hash: hash.clone(), id, done: true, echoed: true }];
    full.heard = [None, Some(NoteVia::Itself), Some(NoteVia::Inside)]
        .map(|alone| HeardNote { system: System::Opsgenie, id: None, hash: hash.clone(), text: None, at: NOW, alone })
        .to_vec();
    full.marks = 9;
    full.unlinked = true;
    full.paused = Some(Paused { reason: "too much".to_owned(), at: NOW });
    links
}

fn actions() -> Vec<Action> {
    let create = |urgency, bare| {
        let (title, details) = ("Disk full".to_owned(), "Entity: db-1".to_owned());
        Action::Create(NewIncident { title, details, urgency, priority: Some(Priority::P1), bare })
    };
    let mut actions = vec![create(Some(Urgency::High), false), create(Some(Urgency::Low), true), create(None, true)];
    let states = [Status::Open, Status::Acknowledged, Status::Resolved];
    actions.extend(states.map(|status| Action::SetStatus { status, mark: 1 }));
    actions.push(Action::Note { text: "[Opsgenie] jane@example.com: text".to_owned(), mark: 2 });
    let priorities = [Priority::P1, Priority::P2, Priority::P3, Priority::P4, Priority::P5];
    actions.extend(priorities.map(|priority| Action::UpdatePriority { priority, by: "jane".to_owned() }));
    actions.extend([Action::FetchAlert, Action::FetchIncident]);
    actions.push(Action::FetchNote { incident: incident_id("Q1"), id: "PNOTE01".to_owned() });
    actions
}

fn entries() -> Vec<Entry> {
    let entry = |action| Entry::new(5, alert_id("A"), Command { to: System::PagerDuty, action }, NOW);
    let mut entries: Vec<Entry> = actions().into_iter().map(entry).collect();
    let steps = [
        Step::Ready,
        Step::Sending { sent_at: NOW },
        Step::Unsure { since: NOW },
        Step::Accepted { request_id: "r-1".to_owned(), since: NOW },
        Step::Doubted { reason: "Alert does not exist".to_owned() },
    ];
    entries.extend(steps.map(|step| Entry { step, ..entry(Action::FetchAlert) }));
    let trouble = Some("503".to_owned());
    entries.push(Entry { attempt: 3, refusals: 2, waited_ms: 1_500, trouble, ..entry(Action::FetchIncident) });
    entries
}

fn events() -> Vec<Event> {
    let note = Some("why".to_owned());
    let text = || "text".to_owned();
    let mut bodies: Vec<EventBody> = [
        AlertAction::Create,
        AlertAction::Acknowledge { note: None },
        AlertAction::Unacknowledge { note: note.clone() },
        AlertAction::Close { note },
        AlertAction::AddNote { text: text() },
        AlertAction::UpdatePriority,
        AlertAction::AssignOwnership { owner: Some("jane@example.com".to_owned()) },
        AlertAction::TakeOwnership,
        AlertAction::Snooze,
        AlertAction::EscalateToNext,
        AlertAction::Delete,
        AlertAction::Other("AddTags".to_owned()),
    ]
    .map(|action| EventBody::Alert(AlertEvent { alert: alert_id("A"), facts: facts(), action }))
    .to_vec();
    bodies.extend(
        [
            IncidentChange::Triggered,
            IncidentChange::Acknowledged,
            IncidentChange::Unacknowledged,
            IncidentChange::Resolved,
            IncidentChange::MergedInto(incident_id("Q2")),
            IncidentChange::Reopened,
            IncidentChange::Annotated(IncidentNote { id: "PNOTE01".to_owned(), text: text(), trimmed: true }),
            IncidentChange::Other("incident.escalated".to_owned()),
        ]
        .map(|change| {
            let incident_key = Some("opsgenie:A".to_owned());
            EventBody::Incident(IncidentEvent {
                incident: incident_id("Q1"),
                incident_key,
                number: None,
                service: Some("PSVC001".to_owned()),
                status: Some(Status::Open),
                change,
            })
        }),
    );
    bodies.extend(outcomes().into_iter().map(|outcome| {
        let command = Command { to: System::Opsgenie, action: Action::FetchAlert };
        let entry = Entry::new(6, alert_id("A"), command, NOW);
        EventBody::Settled(Box::new(Settled { entry, outcome }))
    }));
    let died = || Box::new(entries().remove(0));
    let pause = Order::Pause { reason: "too much".to_owned() };
    let redrive = Order::Redrive { entry: died(), died_at: NOW };
    bodies.extend([pause, Order::Resume, redrive, Order::Discard(died()), Order::Unlink].map(|order| {
        let alert = alert_id("A");
        EventBody::Ordered(Box::new(Ordered { alert, order }))
    }));
    let event = |body| Event {
        dedupe: vec!["pd:event:1".to_owned()],
        request_id: Some("w-1".to_owned()),
        occurred_at: Some(NOW),
        received_at: Timestamp::from_millis(-1),
        actor: Actor {
            id: Some("PUSR001".to_owned()),
            name: Some("Ada Oncall".to_owned()),
            source: Some("web".to_owned()),
            person: true,
        },
        body,
    };
    bodies.into_iter().map(event).collect()
}

fn outcomes() -> Vec<Outcome> {
    let (status, at, author) = (Status::Resolved, Some(NOW), Some("PAUTO01".to_owned()));
    let mut outcomes = vec![
        Outcome::Created { incident: incident_id("Q1"), status, at, author: author.clone() },
        Outcome::Noted { id: Some("PNOTE01".to_owned()), author },
        Outcome::InState { status, at },
        Outcome::Superseded { at },
        Outcome::Prioritised,
        Outcome::NotApplicable,
        Outcome::FetchedAlert(Some(FetchedAlert { facts: facts(), status, at, by: None })),
        Outcome::FetchedAlert(None),
        Outcome::FetchedIncident(Some(incident_state())),
        Outcome::FetchedNote(Some("a long text".to_owned())),
        Outcome::Dead { reason: "400 Invalid".to_owned() },
    ];
    let dropped = [
        DropReason::ClosedBeforeDelivery,
        DropReason::AlreadyCreated,
        DropReason::NoIncident,
        DropReason::AlertDeleted,
        DropReason::NotWanted,
        DropReason::Discarded,
    ];
    outcomes.extend(dropped.map(Outcome::Dropped));
    outcomes
}

fn reasons() -> Vec<Reason> {
    let mut reasons = vec![
        Reason::Mirrored,
        Reason::Linked,
        Reason::InStep,
        Reason::Stale,
        Reason::Duplicate,
        Reason::Ignored,
        Reason::Joining,
        Reason::Held,
        Reason::AlertClosed,
        Reason::AlertDeleted,
        Reason::NoIncident,
        Reason::Revived,
        Reason::PutRight,
        Reason::NoteTwin,
        Reason::Carried,
        Reason::Overtaken,
        Reason::Superseded,
        Reason::GivenUp,
        Reason::Fetched,
        Reason::Paused,
        Reason::Resumed,
        Reason::Redriven,
        Reason::Discarded,
    ];
    reasons.extend([Guard::Actor, Guard::WrittenNote, Guard::Commanded, Guard::Prefix].map(Reason::Echo));
    let unlinked = [
        Unlinked::NotOurs,
        Unlinked::OtherIncident,
        Unlinked::BeforeFirstRun,
        Unlinked::TooOld,
        Unlinked::NotOpen,
        Unlinked::NoSuchAlert,
        Unlinked::NoSuchLink,
        Unlinked::ByOperator,
    ];
    reasons.extend(unlinked.map(Reason::Unlinked));
    reasons
}

fn values() -> Values {
    let at = NOW;
    let (reasons, events) = (reasons(), events());
    let longest = reasons.len().max(events.len());
    let timeline = reasons.into_iter().cycle().zip(events.into_iter().cycle()).take(longest);
    let quarantined = |body: &[u8]| QuarantinedHead {
        system: System::Opsgenie,
        received_at: at,
        reason: "`action` is missing".to_owned(),
        form: Form::Webhook,
        request_id: Some("w-1".to_owned()),
        bytes: 0,
        body: Some(Body::of(body)),
    };
    Values {
        links: links(),
        entries: entries(),
        timeline: timeline.map(|(reason, event)| TimelineEntry { at, event, reason, commands: vec![1, 2] }).collect(),
        dead_letters: vec![DeadLetter { entry: entries().remove(0), reason: "400 Invalid".to_owned(), at }],
        quarantined: vec![
            quarantined(b"{\"a\": 1}"),
            quarantined(&[0, 159, 146, 150]),
            QuarantinedHead { form: Form::Event, ..quarantined(b"{}") },
        ],
        identity: BTreeSet::from(["PAUTO01".to_owned()]),
    }
}

#[test]
fn values_of_the_first_version_are_read() {
    assert_eq!(serde_json::from_str::<Values>(&fixture("values_1.json")).unwrap(), values());
}

/// What was added since.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Later {
    link: Link,
    actions: Vec<Action>,
    outcomes: Vec<Outcome>,
}

fn later() -> Later {
    let mut link = Link::new(alert_id("A"), facts(), Page::Standing(incident_id("Q2")), NOW);
    link.merged.push(incident_id("Q1"));
    (link.notes_since, link.alert_notes_since, link.unread_since) = (Some(NOW), Some(NOW), Some(NOW));
    link.redriven = true;
    link.fuse.count(NOW, NOW, [System::Opsgenie, System::PagerDuty]);
    link.pagerduty.told_at = Some(NOW);
    link.pagerduty.overtaken.push(Commanded { status: Status::Acknowledged, mark: 4 });
    link.heard.push(HeardNote {
        system: System::Opsgenie,
        id: None,
        hash: TextHash::of(&["jane", "text"]),
        text: Some(TextHash::of(&["text"])),
        at: NOW,
        alone: Some(NoteVia::Listed),
    });
    let by = Actor { name: Some("Ada Oncall".to_owned()), person: true, ..Actor::nobody() };
    let (incident, into) = (incident_id("Q1"), incident_id("Q2"));
    let merged_into = Some(into.clone());
    let read = IncidentState { by: by.clone(), merged_into, ..incident_state() };
    Later {
        link,
        actions: vec![Action::EndMerged { incident: incident.clone(), at: NOW }],
        outcomes: vec![
            Outcome::Merged { incident, into, at: Some(NOW), by },
            Outcome::FetchedIncident(Some(read)),
            Outcome::FetchedIncident(None),
        ],
    }
}

#[test]
fn values_that_were_added_since_are_read() {
    assert_eq!(serde_json::from_str::<Later>(&fixture("values_2.json")).unwrap(), later());
}

/// Rows as lines: the key, a tab and the row, each with its odd bytes escaped.
fn rows(text: &str) -> Batch {
    let rows = text.lines().map(|line| line.split_once('\t').unwrap());
    rows.map(|(key, row)| (unescaped(key), Some(unescaped(row)))).collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next().unwrap() {
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            other => other,
        });
    }
    bytes
}

fn content<T: DeserializeOwned>(bench: &mut Bench, key: &[u8]) -> T {
    let rows = bench.rows(key);
    serde_json::from_slice(&rows[0].1[6..]).unwrap()
}

#[test]
fn a_stored_folder_is_opened_and_goes_on() {
    let mut bench = Bench::memory();
    bench.close();
    let backend = bench.backend();
    let empty: Batch =
        backend.range(&[], &[255], usize::MAX).unwrap().into_iter().map(|(key, _)| (key, None)).collect();
    backend.apply(&empty).unwrap();
    backend.apply(&rows(&fixture("rows_2.txt"))).unwrap();
    backend.sync().unwrap();
    bench.reopen();
    let link = bench.book().link(&alert_id("A")).unwrap().unwrap();
    assert_eq!(link.page, Page::Standing(incident_id("Q1")));
    assert_eq!(bench.book().links_of(&incident_id("Q1")).unwrap(), [link]);
    let open = bench.book().open_links_after(None, 10).unwrap();
    assert_eq!(open.into_iter().map(|link| link.alert).collect::<Vec<_>>(), [alert_id("A"), alert_id("B")]);
    assert_eq!(bench.book().timeline(&alert_id("A")).unwrap().len(), 3);
    assert!(!bench.book().entries(&alert_id("B")).unwrap().is_empty());
    let item = bench.book().quarantined_under(1).unwrap().unwrap();
    let heads = bench.book().quarantined_after(0, 9).unwrap();
    assert_eq!(heads, [(1, QuarantinedHead::of(&item))]);
    assert!(!item.body.is_empty());
    assert_eq!(bench.book().policy().identity.pagerduty_ids, BTreeSet::from(["PAUTO01".to_owned()]));
    let about: serde_json::Value = content(&mut bench, keys::STORE);
    assert_eq!(about["first_ran_at"], NOW.as_millis());
    // Numbers go on where they had come to.
    assert_eq!(bench.book().quarantine(&item).unwrap(), 2);
    bench.record(noted("A", "two"));
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().timeline(&alert_id("A")).unwrap().len(), 4);
}
