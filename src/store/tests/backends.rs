//! What holds for one of the backends only.

use std::str::FromStr;

use super::bench::*;
use crate::engine::System;
use crate::store::backend::Backend;
use crate::store::book::Book;
use crate::store::memory::MemoryBackend;
use crate::store::{DatabaseUrl, DatabaseUrlError, StoreError, Verdict};

fn on(memory: &MemoryBackend) -> Book {
    Book::open(Backend::Memory(memory.clone()), settings(), NOW).unwrap()
}

#[test]
fn a_crash_before_the_commit_loses_the_batch_and_nothing_else() {
    let memory = MemoryBackend::default();
    let mut book = on(&memory);
    book.record(once(&["a"], created("A"))).unwrap();
    book.commit().unwrap();
    book.record(once(&["b"], created("B"))).unwrap();
    book.record(noted("A", "one")).unwrap();
    memory.crash();
    let mut book = on(&memory);
    assert_eq!(book.timeline(&alert_id("A")).unwrap().len(), 1);
    assert_eq!(book.record(once(&["a"], created("A"))).unwrap().verdict, Verdict::Repeat);
    assert_eq!(book.record(once(&["b"], created("B"))).unwrap().verdict, decided(&[Some("B")]));
}

#[test]
fn a_crash_between_writing_and_syncing_loses_the_whole_batch() {
    let memory = MemoryBackend::default();
    let mut book = on(&memory);
    book.record(created("A")).unwrap();
    memory.fail_next_sync();
    assert!(matches!(book.commit().unwrap_err(), StoreError::Io { .. }));
    assert_eq!(book.commit(), Err(StoreError::Closed), "a second try might hide what the first one lost");
    memory.crash();
    let book = on(&memory);
    assert_eq!(book.link(&alert_id("A")).unwrap(), None);
    assert_eq!(book.next_due(System::PagerDuty), None);
}

#[test]
fn whatever_was_committed_outlives_a_crash() {
    let memory = MemoryBackend::default();
    let mut book = on(&memory);
    book.record(created("A")).unwrap();
    book.commit().unwrap();
    memory.crash();
    assert!(on(&memory).link(&alert_id("A")).unwrap().is_some());
}

#[test]
fn a_batch_is_synced_once_and_one_that_changes_nothing_never() {
    let memory = MemoryBackend::default();
    let mut book = on(&memory);
    let opened = memory.syncs();
    for number in 0..10 {
        book.record(once(&["same"], created(&format!("A{number}")))).unwrap();
    }
    book.record(created("B")).unwrap();
    book.commit().unwrap();
    assert_eq!(memory.syncs(), opened + 1);
    book.record(once(&["same"], created("C"))).unwrap();
    let mut entry = book.claim(System::PagerDuty, 1, NOW).unwrap().remove(0).entry;
    entry.attempt += 1;
    book.put_off(entry).unwrap();
    book.link(&alert_id("B")).unwrap();
    book.commit().unwrap();
    assert_eq!(memory.syncs(), opened + 1);
}

#[test]
fn a_second_process_is_told_that_the_folder_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Backend::sled(folder.path()).unwrap();
    let error = Backend::sled(folder.path()).unwrap_err();
    assert_eq!(error, StoreError::Locked { path: folder.path().to_owned() });
    assert!(error.to_string().starts_with("another crosspage has the database in"));
}

#[test]
fn long_values_stay_in_the_one_synced_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut book = Book::open(Backend::sled(folder.path()).unwrap(), settings(), NOW).unwrap();
    for number in 0..20 {
        let alert = format!("A{number}");
        book.record(created(&alert)).unwrap();
        book.record(filled(&alert, 150_000)).unwrap();
        book.commit().unwrap();
    }
    drop(book);
    let blobs = std::fs::read_dir(folder.path().join("blobs")).map(Iterator::count).unwrap_or_default();
    assert_eq!(blobs, 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(Backend::sled(&file.path().join("db")).unwrap_err(), StoreError::Io { .. }));
}

#[test]
fn a_disk_tells_what_it_has_left() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Backend::sled(folder.path()).unwrap().room().unwrap().free > 0);
}

#[test]
fn a_database_address_is_read_or_refused_without_repeating_it() {
    let sled = |folder: &str| Ok(DatabaseUrl::Sled(folder.into()));
    assert_eq!(DatabaseUrl::from_str("sled://data/crosspage"), sled("data/crosspage"));
    assert_eq!(DatabaseUrl::from_str("sled:///var/lib/x"), sled("/var/lib/x"));
    assert_eq!(DatabaseUrl::from_str("sled://"), Err(DatabaseUrlError::NoFolder));
    assert_eq!(DatabaseUrl::from_str("data"), Err(DatabaseUrlError::Unknown));
    let postgres = DatabaseUrl::from_str("postgres://me:secret@db/x").unwrap_err();
    assert_eq!(postgres, DatabaseUrlError::PostgresToCome);
    assert!(!postgres.to_string().contains("secret"));
}
