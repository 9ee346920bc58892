//! Whatever lies in the database is read or refused, and a refusal is clear. The checksum is made right half of the time,
//! or else nothing behind it would ever be reached.

#![no_main]

use std::time::Duration;

use crosspage::engine::{Identity, OnResolved, Policy, Timestamp};
use crosspage::store::book::Book;
use crosspage::store::backend::{Batch, Engine};
use crosspage::store::memory::MemoryBackend;
use crosspage::store::{PrunePlace, Settings, StoreError};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// One of each kind; numbers are eight bytes.
const KEYS: [&[u8]; 18] = [
    b"m/store",
    b"m/counters",
    b"m/identity",
    b"m/reconciled",
    b"l/A",
    b"a/A",
    b"i/Q/A",
    b"o/A",
    b"q/o/\0\0\0\0\0\0\0\x01",
    b"q/p/\0\0\0\0\0\0\0\x01",
    b"z/A/\0\0\0\0\0\0\0\x01",
    b"d/seen",
    b"x/\x80\0\0\0\0\0\0\x01/seen",
    b"e/\0\0\0\0\0\0\0\x01",
    b"t/A/\0\0\0\0\0\0\0\x01",
    b"w/\0\0\0\0\0\0\0\x01",
    b"u/\0\0\0\0\0\0\0\x01",
    b"c/l/A\0\0\0\0\0",
];

fuzz_target!(|input: (u8, u8, bool, &[u8])| {
    let (key, kind, sealed, content) = input;
    let engine = Engine::Memory(MemoryBackend::default());
    drop(Book::open(backend.clone(), settings(), NOW));
    let key = KEYS[usize::from(key) % KEYS.len()];
    let row = if sealed { seal(key, kind % 4, content) } else { content.to_vec() };
    if backend.apply(&Batch::from([(key.to_vec(), Some(row))])).is_ok() && backend.sync().is_ok() {
        let error = read(engine).err();
        let clear = matches!(error, None | Some(StoreError::Damaged { .. } | StoreError::UnknownVersion { .. }));
        assert!(clear, "{error:?}");
    }
});

fn read(engine: Engine) -> Result<(), StoreError> {
    let mut book = Book::open(engine, settings(), NOW)?;
    if let (Ok(alert), Ok(incident)) = ("A".try_into(), "Q".try_into()) {
        book.link(&alert)?;
        book.links_of(&incident)?;
        book.timeline(&alert)?;
        book.entries(&alert)?;
    }
    book.dead_letters()?;
    book.quarantined()?;
    book.waiting()?;
    book.open_links_after(None, 10)?;
    book.reconciled_until()?;
    book.prune(NOW, PrunePlace::default(), 1000).map(drop)
}

fn seal(key: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let sum = crc32fast::hash(&[key, &[kind], content].concat());
    [&[1, kind], sum.to_be_bytes().as_slice(), content].concat()
}

fn settings() -> Settings {
    Settings::new(Policy {
        on_pagerduty_resolved: OnResolved::Note,
        identity: Identity::default(),
        first_ran_at: NOW,
        retention: Duration::from_secs(30 * 86_400),
        ..Policy::default()
    })
}
