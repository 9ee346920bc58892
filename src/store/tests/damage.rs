//! What cannot be read is said clearly, and nothing is changed.

use super::bench::*;
use crate::engine::System;
use crate::store::backend::Batch;
use crate::store::{Form, Quarantined, QuarantinedHead, StoreError, keys};

on_both_backends! {
    a_flipped_bit_is_found_and_nothing_is_deleted
    a_missing_piece_of_a_long_value_is_found
    a_value_of_an_unknown_format_is_told_apart
    a_value_in_a_wrong_place_is_found
    a_list_of_the_quarantine_reads_no_body
    a_store_of_another_version_is_refused
    data_without_its_heading_is_refused
}

/// Changes one stored row, and gives all of them.
fn tamper(bench: &mut Bench, key: &[u8], change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>) {
    bench.close();
    let backend = bench.backend();
    let row = backend.get(key).unwrap().expect("there is such a row");
    backend.apply(&Batch::from([(key.to_vec(), change(row))])).unwrap();
    backend.sync().unwrap();
}

fn flip(mut row: Vec<u8>) -> Option<Vec<u8>> {
    *row.last_mut().unwrap() ^= 1;
    Some(row)
}

fn everything(bench: &Bench) -> Vec<(Vec<u8>, Vec<u8>)> {
    bench.backend().range(&[], &[255], usize::MAX).unwrap()
}

fn a_flipped_bit_is_found_and_nothing_is_deleted(mut bench: Bench) {
    bench.record(created("A"));
    bench.commit();
    tamper(&mut bench, &keys::link(&alert_id("A")), flip);
    let before = everything(&bench);
    bench.reopen();
    let error = bench.book().record(noted("A", "one")).unwrap_err();
    assert!(matches!(&error, StoreError::Damaged { key, .. } if key == "l/A"), "{error}");
    assert!(error.to_string().contains("restore a backup"));
    assert!(error.is_fatal());
    // From then on nothing is done, so nothing half-done is committed.
    assert_eq!(bench.book().commit(), Err(StoreError::Closed));
    assert_eq!(bench.book().record(created("B")).unwrap_err(), StoreError::Closed);
    bench.close();
    assert!(everything(&bench) == before);
    // An entry is read when the store is opened already.
    tamper(&mut bench, &keys::entry(System::PagerDuty, 1), flip);
    assert!(matches!(bench.open().unwrap_err(), StoreError::Damaged { key, .. } if key.starts_with("q/p/")));
}

fn a_missing_piece_of_a_long_value_is_found(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(filled("A", 200_000));
    bench.commit();
    let piece = keys::chunk(&keys::link(&alert_id("A")), 1);
    tamper(&mut bench, &piece, |_| None);
    bench.reopen();
    assert!(
        matches!(bench.book().link(&alert_id("A")).unwrap_err(), StoreError::Damaged { what, .. } if what == "it is missing")
    );
}

fn a_value_of_an_unknown_format_is_told_apart(mut bench: Bench) {
    bench.record(created("A"));
    bench.commit();
    tamper(&mut bench, &keys::link(&alert_id("A")), |mut row| {
        row[0] = 9;
        Some(row)
    });
    bench.reopen();
    let error = bench.book().link(&alert_id("A")).unwrap_err();
    assert_eq!(error, StoreError::UnknownVersion { key: "l/A".to_owned(), found: 9 });
}

fn a_value_in_a_wrong_place_is_found(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    bench.commit();
    bench.close();
    let other = bench.backend().get(&keys::link(&alert_id("B"))).unwrap();
    tamper(&mut bench, &keys::link(&alert_id("A")), |_| other);
    bench.reopen();
    assert!(matches!(bench.book().link(&alert_id("A")).unwrap_err(), StoreError::Damaged { .. }));
}

fn a_list_of_the_quarantine_reads_no_body(mut bench: Bench) {
    let (body, form, reason) = (vec![b'x'; 1 << 20], Form::Webhook, "odd".to_owned());
    let item = Quarantined { system: System::Opsgenie, received_at: NOW, reason, body, form, request_id: None };
    bench.book().quarantine(&item).unwrap();
    bench.commit();
    tamper(&mut bench, &keys::quarantined_body(1), |_| None);
    bench.reopen();
    assert_eq!(bench.book().quarantined_after(0, 5).unwrap(), [(1, QuarantinedHead::of(&item))]);
    assert!(matches!(bench.book().quarantined_under(1).unwrap_err(), StoreError::Damaged { .. }));
}

fn a_store_of_another_version_is_refused(mut bench: Bench) {
    bench.close();
    for found in [1, 3] {
        let about = format!(r#"{{"schema": {found}, "first_ran_at": "otherwise"}}"#);
        let other = crate::store::record::seal(keys::STORE, about.as_bytes());
        let [(_, other)] = <[_; 1]>::try_from(other).unwrap();
        tamper(&mut bench, keys::STORE, |_| Some(other));
        let before = everything(&bench);
        let refused = StoreError::UnknownVersion { key: "m/store".to_owned(), found };
        assert_eq!(bench.open().unwrap_err(), refused);
        assert!(everything(&bench) == before);
    }
}

fn data_without_its_heading_is_refused(mut bench: Bench) {
    bench.record(created("A"));
    bench.commit();
    tamper(&mut bench, keys::STORE, |_| None);
    assert!(matches!(bench.open().unwrap_err(), StoreError::Damaged { key, .. } if key == "m/store"));
}
