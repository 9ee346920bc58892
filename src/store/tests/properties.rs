//! What holds for whatever lies in the database.

use proptest::prelude::*;

use super::bench::*;
use crate::store::backend::{Batch, Row};
use crate::store::record::{self, Stored};
use crate::store::types::Body;
use crate::store::{Form, Quarantined, QuarantinedHead, StoreError};

fn few() -> ProptestConfig {
    ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }
}

/// A store with something of everything, closed.
fn full() -> (Bench, Vec<Row>) {
    let mut bench = Bench::memory();
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.record(filled("B", 130_000));
    bench.commit();
    bench.close();
    let rows = everything(&bench);
    (bench, rows)
}

fn everything(bench: &Bench) -> Vec<Row> {
    bench.backend().range(&[], &[255], usize::MAX).unwrap()
}

/// Opens the store and reads all that it holds.
fn read_all(bench: &Bench) -> Result<(), StoreError> {
    let book = bench.open()?;
    for alert in ["A", "B"] {
        book.link(&alert_id(alert))?;
        book.timeline(&alert_id(alert))?;
        book.entries(&alert_id(alert))?;
    }
    book.dead_letters(None, 100)?;
    for (number, _) in book.quarantined_after(0, usize::MAX)? {
        book.quarantined_under(number)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(few())]

    #[test]
    fn what_is_sealed_is_opened(key in prop::collection::vec(any::<u8>(), 1..60), content in any::<Vec<u8>>()) {
        let rows = record::seal(&key, &content);
        prop_assert_eq!(rows.len(), 1);
        prop_assert_eq!(record::open(&key, &rows[0].1).unwrap(), Stored::Whole(&content));
    }

    #[test]
    fn any_row_is_opened_or_refused(key in any::<Vec<u8>>(), row in any::<Vec<u8>>(), format in 0_u8..3, kind in 0_u8..5) {
        _ = record::open(&key, &row);
        _ = record::open(&key, &[vec![format, kind], row].concat());
    }

    #[test]
    fn a_row_that_is_cut_or_changed_or_elsewhere_is_refused(
        key in "[a-z]/[a-z]{1,20}", content in prop::collection::vec(any::<u8>(), 0..200), at in any::<usize>(), bit in 0_u8..8,
    ) {
        let (_, row) = record::seal(key.as_bytes(), &content).remove(0);
        prop_assert!(record::open(key.as_bytes(), &row[..at % row.len()]).is_err());
        let mut flipped = row.clone();
        flipped[at % row.len()] ^= 1_u8 << bit;
        let error = record::open(key.as_bytes(), &flipped).unwrap_err();
        let is_clear = match &error {
            StoreError::UnknownVersion { key: named, .. } => at % row.len() == 0 && *named == key,
            StoreError::Damaged { key: named, .. } => *named == key,
            _ => false,
        };
        prop_assert!(is_clear && error.is_fatal(), "{error}");
        let moved = format!("{key}x");
        prop_assert!(record::open(moved.as_bytes(), &row).is_err());
    }

    #[test]
    fn a_damaged_store_says_so_and_stays_as_it_is(
        row in any::<usize>(), at in any::<usize>(), bit in 0_u8..8, way in 0..3,
    ) {
        let (bench, mut rows) = full();
        let number = row % rows.len();
        let (key, row) = rows[number].clone();
        let changed = match way {
            0 => row[..at % row.len()].to_vec(),
            1 => {
                let mut row = row.clone();
                let at = at % row.len();
                row[at] ^= 1_u8 << bit;
                row
            }
            _ => [&[2 + bit], &row[1..]].concat(),
        };
        let backend = bench.backend();
        backend.apply(&Batch::from([(key, Some(changed.clone()))])).unwrap();
        backend.sync().unwrap();
        rows[number].1 = changed;
        if let Err(error) = read_all(&bench) {
            let clear = matches!(error, StoreError::Damaged { .. } | StoreError::UnknownVersion { .. });
            prop_assert!(clear && error.is_fatal(), "{error}");
        }
        prop_assert!(everything(&bench) == rows);
    }

    #[test]
    fn a_body_in_quarantine_comes_out_as_it_went_in(body in any::<Vec<u8>>(), reason in any::<String>()) {
        let item = Quarantined {
            system: crate::engine::System::PagerDuty, received_at: NOW, reason, body, form: Form::Webhook, request_id: None,
        };
        let stored = serde_json::to_vec(&(QuarantinedHead::of(&item), Body::of(&item.body))).unwrap();
        let (head, body): (QuarantinedHead, Body) = serde_json::from_slice(&stored).unwrap();
        prop_assert_eq!(head.with(body), item);
    }
}
