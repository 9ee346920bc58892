//! Whatever lies in the database is read or refused, and a refusal is clear. One row of a store that holds something of
//! most kinds is replaced; its checksum is right half of the time, or else nothing behind it would ever be reached.

#![no_main]

use std::sync::LazyLock;

use crosspage::engine::{Event, OnResolved, Outcome, Policy, System, Timestamp};
use crosspage::opsgenie::webhook::Door;
use crosspage::pagerduty::webhook::{self, Inbound};
use crosspage::store::backend::{Backend, Batch, Row};
use crosspage::store::book::Book;
use crosspage::store::memory::MemoryBackend;
use crosspage::store::{Form, PrunePlace, Quarantined, Settings, StoreError};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const INTEGRATION: &str = "00000000-0000-4000-8000-000000000000";
const ALERTS: [&[u8]; 3] = [
    include_bytes!("../../tests/fixtures/opsgenie/create.json"),
    include_bytes!("../../tests/fixtures/opsgenie/add_note.json"),
    include_bytes!("../../tests/fixtures/opsgenie/acknowledge.json"),
];
const INCIDENTS: [&[u8]; 2] = [
    include_bytes!("../../tests/fixtures/pagerduty/incident_annotated.json"),
    include_bytes!("../../tests/fixtures/pagerduty/incident_acknowledged.json"),
];

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| {
    let backend = Backend::Memory(MemoryBackend::default());
    let mut book = Book::open(backend.clone(), settings(), NOW).expect("a new store opens");
    for event in events() {
        book.record(event).expect("an event is taken in");
    }
    for claim in book.claim(System::PagerDuty, 10, NOW).expect("lanes are claimed") {
        book.settle(claim.entry, Outcome::Dead { reason: "400".to_owned() }, NOW).expect("an entry is given up");
    }
    let (reason, body) = ("`action` is missing".to_owned(), b"{}".to_vec());
    let (system, form) = (System::Opsgenie, Form::Webhook);
    let item = Quarantined { system, received_at: NOW, reason, body, form, request_id: None };
    book.quarantine(&item).expect("a webhook is put away");
    book.set_reconciled_until(NOW).expect("a moment is put down");
    book.learn("PAUTO01".to_owned()).expect("an id is put down");
    book.commit().expect("memory is written to");
    backend.range(&[], &[255], usize::MAX).expect("memory is read")
});

fuzz_target!(|input: (u16, u8, bool, &[u8])| {
    let (number, kind, sealed, content) = input;
    let number = usize::from(number) % ROWS.len();
    let mut batch: Batch = ROWS.iter().map(|(key, row)| (key.clone(), Some(row.clone()))).collect();
    let key = &ROWS[number].0;
    let row = if sealed { seal(key, kind % 4, content) } else { content.to_vec() };
    batch.insert(key.clone(), Some(row));
    let backend = Backend::Memory(MemoryBackend::default());
    if backend.apply(&batch).is_ok() && backend.sync().is_ok() {
        let error = read(backend).err();
        let clear = matches!(error, None | Some(StoreError::Damaged { .. } | StoreError::UnknownVersion { .. }));
        assert!(clear, "{error:?}");
    }
});

/// All that a start, an operator and the pruning read.
fn read(backend: Backend) -> Result<(), StoreError> {
    let mut book = Book::open(backend, settings(), NOW)?;
    for link in book.links_after(None, 10)? {
        book.link(&link.alert)?;
        book.timeline(&link.alert)?;
        book.entries(&link.alert)?;
        if let Some(incident) = link.incident() {
            book.links_of(incident)?;
        }
    }
    book.open_links_after(None, 10)?;
    book.dead_letters(None, 10)?;
    for (number, _) in book.quarantined_after(0, 10)? {
        book.quarantined_under(number)?;
    }
    book.waiting()?;
    book.outage()?;
    book.reconciled_until()?;
    book.pruned_at()?;
    book.prune(NOW, PrunePlace::default(), 1000).map(drop)
}

fn events() -> Vec<Event> {
    let door = Door::new(&[INTEGRATION], None);
    let alerts = ALERTS.iter().map(|body| door.authenticate(body).expect("it is ours").parse(NOW).expect("it is read"));
    let incidents = INCIDENTS.iter().map(|body| match webhook::parse(body, None, NOW) {
        Ok(Inbound::Event(event)) => event,
        other => panic!("{other:?}"),
    });
    // Those of the incident wait until it is known whose they are.
    alerts.chain(incidents).collect()
}

fn seal(key: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let sum = crc32fast::hash(&[key, &[kind], content].concat());
    [&[1, kind], sum.to_be_bytes().as_slice(), content].concat()
}

fn settings() -> Settings {
    Settings::new(Policy { on_pagerduty_resolved: OnResolved::Note, ..Policy::default() })
}
