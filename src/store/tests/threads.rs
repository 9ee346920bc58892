//! The handle, the committer and the keeper.

use std::sync::Arc;
use std::sync::mpsc;

use super::bench::*;
use crate::engine::{System, Timestamp};
use crate::store::backend::{Backend, Batch};
use crate::store::keeper::Keeper;
use crate::store::memory::MemoryBackend;
use crate::store::shared::{QUEUE_BYTES, QUEUE_REQUESTS};
use crate::store::{DatabaseUrl, Form, Quarantined, Settings, Store, StoreError, Verdict, keys};

fn on(memory: &MemoryBackend) -> Store {
    Store::on(Backend::Memory(memory.clone()), settings(), NOW).unwrap()
}

fn next_due(store: &Store, system: System) -> Option<Timestamp> {
    store.due(system).into_iter().flatten().min()
}

/// The keeper of a store, to have it look at once.
fn keeper(store: &Store, memory: &MemoryBackend) -> Keeper {
    let (_, stop) = mpsc::channel();
    Keeper { backend: Backend::Memory(memory.clone()), shared: Arc::clone(&store.shared), stop, next: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn how_large_a_new_database_is_is_known_from_the_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&DatabaseUrl::Sled(folder.path().join("store")), settings(), NOW).unwrap();
    assert!(store.room().size > 0 && store.room().free > 0, "{:?}", store.room());
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_and_how_often_it_committed_is_known_from_the_beginning() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    store.record(created("A")).await.unwrap();
    store.close().await.unwrap();
    let store = on(&memory);
    let (commits, due) = (store.commits(), next_due(&store, System::PagerDuty));
    assert!(due.is_some());
    // Answered by the committer, so whatever it tells as it begins has been told.
    assert_eq!(store.summary().await.unwrap().pagerduty.entries, 1);
    assert_eq!((store.commits(), next_due(&store, System::PagerDuty)), (commits, due), "and nothing else since");
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_answered_outlives_a_crash() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    let tasks: Vec<_> = (0..200)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.record(created(&format!("A{number}"))).await })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap().unwrap().commands, 1);
    }
    memory.crash();
    drop(store);
    let store = on(&memory);
    assert_eq!(store.summary().await.unwrap().pagerduty.entries, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_answers_nobody_well_and_ends_the_store() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    let failed = store.failed();
    assert_eq!(store.ready(), Ok(()));
    memory.fail_next_sync();
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.record(created(&format!("A{number}"))).await })
        })
        .collect();
    for task in tasks {
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error, StoreError::Io { .. } | StoreError::Closed), "{error}");
    }
    assert!(matches!(failed.await, StoreError::Io { .. }));
    assert!(matches!(store.failed().await, StoreError::Io { .. }), "also for those who ask later");
    assert_eq!(store.record(created("B")).await, Err(StoreError::Closed));
    assert!(matches!(store.ready(), Err(StoreError::Io { .. })));
    assert!(matches!(store.close().await, Err(StoreError::Io { .. })));
    memory.crash();
    assert_eq!(on(&memory).summary().await.unwrap().pagerduty.entries, 0);
}

#[tokio::test]
async fn a_full_queue_refuses_what_comes_from_outside_only() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    store.record(created("A")).await.unwrap();
    let item = Quarantined {
        system: System::Opsgenie,
        received_at: NOW,
        reason: String::new(),
        body: b"x".to_vec(),
        form: Form::Webhook,
        request_id: None,
    };
    let bytes = vec![store.shared.admit(QUEUE_BYTES).unwrap()];
    assert_eq!(store.record(created("B")).await, Err(StoreError::Busy));
    assert_eq!(store.quarantine(item.clone()).await, Err(StoreError::Busy));
    let entry = store.claim(System::PagerDuty, 1, NOW).await.unwrap().remove(0).entry;
    store.save(entry.clone()).await.unwrap();
    store.settle(entry, became("P1"), NOW).await.unwrap();
    drop(bytes);
    let requests: Vec<_> = (0..QUEUE_REQUESTS).map(|_| store.shared.admit(0).unwrap()).collect();
    assert_eq!(store.record(created("B")).await, Err(StoreError::Busy));
    drop(requests);
    // Answering gives back what was taken, refused or not.
    for _ in 0..3 {
        store.record(created("B")).await.unwrap();
        store.quarantine(item.clone()).await.unwrap();
    }
    drop(store.shared.admit(QUEUE_BYTES).unwrap());
}

#[tokio::test]
async fn a_disk_nearly_full_refuses_what_comes_from_outside_only() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    store.record(created("A")).await.unwrap();
    memory.set_free_bytes(1000);
    keeper(&store, &memory).look().unwrap();
    let low = StoreError::DiskLow { free: 1000, needed: 256 << 20 };
    assert_eq!(store.record(created("B")).await, Err(low.clone()));
    assert_eq!(store.import(Vec::new(), store.span().await.unwrap()).await, Err(low.clone()));
    assert_eq!(store.ready(), Err(low));
    let entry = store.claim(System::PagerDuty, 1, NOW).await.unwrap().remove(0).entry;
    store.settle(entry, became("P1"), NOW).await.unwrap();
    memory.set_free_bytes(u64::MAX);
    keeper(&store, &memory).look().unwrap();
    store.record(created("B")).await.unwrap();
    assert_eq!(store.ready(), Ok(()));
}

#[tokio::test]
async fn a_store_that_opens_on_a_full_disk_knows_it_at_once() {
    let memory = MemoryBackend::default();
    memory.set_free_bytes(0);
    let store = on(&memory);
    assert!(matches!(store.record(created("A")).await, Err(StoreError::DiskLow { free: 0, .. })));
}

#[tokio::test]
async fn the_keeper_reads_everything_in_turn_and_finds_damage() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    for number in 0..300 {
        store.record(created(&format!("A{number}"))).await.unwrap();
    }
    let mut keeper = keeper(&store, &memory);
    for _ in 0..20 {
        keeper.look().unwrap();
    }
    let backend = Backend::Memory(memory.clone());
    let (key, mut row) = backend.range(b"t/", b"t0", 1).unwrap().remove(0);
    row[3] ^= 1;
    backend.apply(&Batch::from([(key, Some(row))])).unwrap();
    let found = (0..20).find_map(|_| keeper.look().err());
    assert!(matches!(found, Some(StoreError::Damaged { key, .. }) if key.starts_with("t/A0/")));
}

#[tokio::test]
async fn a_wake_up_between_a_claim_and_the_wait_is_not_lost() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    assert!(store.claim(System::PagerDuty, 1, NOW).await.unwrap().is_empty());
    assert_eq!(next_due(&store, System::PagerDuty), None);
    store.record(created("A")).await.unwrap();
    store.work_changed(System::PagerDuty).await;
    assert_eq!(next_due(&store, System::PagerDuty), Some(NOW));
    assert_eq!(next_due(&store, System::Opsgenie), None);
    let claimed = store.claim(System::PagerDuty, 1, NOW).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(next_due(&store, System::PagerDuty), None);
}

#[tokio::test]
async fn work_left_by_an_earlier_process_wakes_the_dispatcher() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    store.record(created("A")).await.unwrap();
    store.close().await.unwrap();
    let store = on(&memory);
    store.work_changed(System::PagerDuty).await;
    assert_eq!(next_due(&store, System::PagerDuty), Some(NOW));
}

#[tokio::test]
async fn an_error_of_one_request_concerns_nobody_else() {
    let store = on(&MemoryBackend::default());
    store.record(created("A")).await.unwrap();
    let entry = store.entries(&alert_id("A")).await.unwrap().remove(0);
    let void = StoreError::NotClaimed { id: entry.id };
    assert_eq!(store.settle(entry, became("P1"), NOW).await, Err(void));
    assert_eq!(store.record(noted("A", "one")).await.unwrap().verdict, decided(&[Some("A")]));
    assert_eq!(store.ready(), Ok(()));
}

#[tokio::test]
async fn a_panic_in_a_decision_ends_the_store_and_stores_nothing() {
    let memory = MemoryBackend::default();
    let store = on(&memory);
    store.record(created("A")).await.unwrap();
    assert_eq!(store.record(noted("A", "panic")).await, Err(StoreError::Closed));
    assert_eq!(store.failed().await, StoreError::Panicked);
    let store = on(&memory);
    assert_eq!(store.timeline(&alert_id("A")).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_closed_store_has_done_what_was_asked_and_frees_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::Sled(folder.path().join("deep/er"));
    for round in 0..3 {
        let store = Store::open(&url, settings(), NOW).unwrap();
        let other = store.clone();
        let event = once(&["same"], created("A"));
        let verdict = store.record(event).await.unwrap().verdict;
        assert_eq!(verdict == Verdict::Repeat, round > 0);
        store.close().await.unwrap();
        assert_eq!(other.record(created("B")).await, Err(StoreError::Closed));
        assert_eq!(other.ready(), Err(StoreError::Closed));
    }
}

#[tokio::test]
async fn the_real_decision_is_the_default() {
    let settings = Settings::new(settings().policy);
    let store = Store::on(Backend::Memory(MemoryBackend::default()), settings, NOW).unwrap();
    let recorded = store.record(created("A")).await.unwrap();
    assert!(matches!(recorded.verdict, Verdict::Decided(_)));
    assert_eq!(keys::STORE, b"m/store");
}
