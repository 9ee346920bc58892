//! What a webhook costs, step by step: `cargo bench --bench micro`.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use crosspage::engine::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, IncidentId, Link, Page, Policy, Timestamp,
    decide,
};
use crosspage::opsgenie::webhook::Door;
use crosspage::pagerduty::{signature, webhook};
use crosspage::store::Settings;
use crosspage::store::backend::Backend;
use crosspage::store::book::Book;
use crosspage::store::memory::MemoryBackend;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::SecretString;
use sha2::Sha256;

const OPSGENIE: &[u8] = include_bytes!("../tests/fixtures/opsgenie/add_note.json");
const PAGERDUTY: &[u8] = include_bytes!("../tests/fixtures/pagerduty/incident_acknowledged.json");
const INTEGRATION: &str = "00000000-0000-4000-8000-000000000000";
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn verify(c: &mut Criterion) {
    let secrets = [SecretString::from("a secret of PagerDuty's making")];
    let body = vec![b'x'; 4096];
    let mac = Hmac::<Sha256>::new_from_slice(b"a secret of PagerDuty's making").expect("any length will do");
    let signed = mac.chain_update(&body).finalize().into_bytes();
    let header = format!("v1={}", signed.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    assert_eq!(signature::verify(&secrets, Some(&header), &body), Ok(()));
    let mut group = sized(c, "verify", body.len());
    group.bench_function("PagerDuty, 4 KiB", |b| {
        b.iter(|| signature::verify(black_box(&secrets), Some(black_box(&header)), black_box(&body)));
    });
    group.finish();
}

fn parse(c: &mut Criterion) {
    let door = Door::new(&[INTEGRATION], None);
    let read = |body| door.authenticate(body).expect("it is ours").parse(NOW);
    assert!(read(OPSGENIE).is_ok());
    let mut group = sized(c, "parse", OPSGENIE.len());
    group.bench_function("Opsgenie, AddNote", |b| b.iter(|| read(black_box(OPSGENIE))));
    group.finish();
    assert!(matches!(webhook::parse(PAGERDUTY, None, NOW), Ok(webhook::Inbound::Event(_))));
    let mut group = sized(c, "parse", PAGERDUTY.len());
    group.bench_function("PagerDuty, incident.acknowledged", |b| {
        b.iter(|| webhook::parse(black_box(PAGERDUTY), Some("2f7a"), NOW));
    });
    group.finish();
}

fn sized<'a>(c: &'a mut Criterion, name: &str, bytes: usize) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes as u64));
    group
}

fn decisions(c: &mut Criterion) {
    let mut group = c.benchmark_group("decide");
    let policy = policy();
    for notes in [0, 10, 100] {
        let mut link = Link::new(alert(0), AlertFacts::default(), Page::Pending, NOW);
        link.page = Page::Standing(IncidentId::try_from("Q1SYNC0000001A").expect("an id"));
        for number in 0..notes {
            let decision = decide(Some(&link), &noted(0, number), &policy);
            link = decision.link.expect("it stays linked");
        }
        let event = noted(0, notes);
        assert_eq!(decide(Some(&link), &event, &policy).commands.len(), 1);
        group.bench_function(format!("a note, after {notes} others"), |b| {
            b.iter(|| decide(Some(black_box(&link)), black_box(&event), &policy));
        });
    }
    group.finish();
}

/// What is recorded is new each time, so each is measured on a store of its own that grows while it is.
fn record(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let memory = || Backend::Memory(MemoryBackend::default());
    let sled = |name: &str| Backend::sled(&folder.path().join(name)).expect("the store opens");
    let mut group = c.benchmark_group("record");
    group.measurement_time(Duration::from_secs(8));
    for batch in [1, 64] {
        group.throughput(Throughput::Elements(batch));
        for (name, engine) in [("memory", memory()), ("sled", sled(&batch.to_string()))] {
            let mut book = Book::open(engine, Settings::new(policy()), NOW).expect("the store is made");
            let mut number = 0;
            group.bench_function(format!("an alert is created, {batch} at once, {name}"), |b| {
                let events = || {
                    number += batch;
                    (number - batch..number).map(created).collect::<Vec<_>>()
                };
                let take_in = |events: Vec<Event>| {
                    for event in events {
                        book.record(event).expect("it is taken in");
                    }
                    book.commit().expect("it is durable");
                };
                b.iter_batched(events, take_in, BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

fn created(number: u64) -> Event {
    let facts = AlertFacts {
        message: Some("Disk full on db-1".to_owned()),
        description: Some("Less than 5 % of the disk is left; writes will fail soon.\n".repeat(8)),
        created_at: Some(NOW),
        ..AlertFacts::default()
    };
    alert_event(number, facts, AlertAction::Create, format!("og:{number:064x}"))
}

fn noted(link: u64, number: u64) -> Event {
    let text = format!("Note {number}: we see errors at the till");
    alert_event(link, AlertFacts::default(), AlertAction::AddNote { text }, format!("og:{number:064x}"))
}

fn alert_event(number: u64, facts: AlertFacts, action: AlertAction, dedupe: String) -> Event {
    Event {
        dedupe: vec![dedupe],
        request_id: None,
        occurred_at: Some(NOW),
        received_at: NOW,
        actor: Actor { name: Some("jane@example.com".to_owned()), person: true, ..Actor::nobody() },
        body: EventBody::Alert(AlertEvent { alert: alert(number), facts, action }),
    }
}

/// Alerts' ids follow no order.
fn alert(number: u64) -> AlertId {
    let id = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    AlertId::try_from(format!("{id:016x}-9d53-6c1f0a2b3c4d-1763600000123")).expect("an id")
}

fn policy() -> Policy {
    Policy {
        pagerduty_service: "PSVC001".to_owned(),
        retention: Duration::from_secs(30 * 24 * 3600),
        ..Policy::default()
    }
}

criterion_group! {
    name = micro;
    config = Criterion::default().sample_size(50).without_plots();
    targets = verify, parse, decisions, record
}
criterion_main!(micro);
