//! Whether a store that was left behind by a kill is whole: what belongs together is all there, or all gone, and can be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crosspage::engine::{AlertId, IncidentId};
use crosspage::store::Store;
use crosspage::store::backend::Backend;

/// All rows of a database that nobody has open.
pub(super) fn rows(folder: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let backend = Backend::sled(folder).unwrap();
    backend.range(&[], &[u8::MAX], usize::MAX).unwrap().into_iter().collect()
}

/// What refers to something that is not there, or is referred to by nothing, by the keys as `store/keys.rs` describes them.
pub(super) fn torn(rows: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<String> {
    let (mut referred, mut referring) = (BTreeSet::new(), BTreeSet::new());
    for (key, value) in rows {
        let (kind, rest) = key.split_at(2);
        let to = |kind: &str, rest: &[u8]| [kind.as_bytes(), rest].concat();
        match kind {
            b"a/" | b"o/" | b"p/" => _ = referring.insert(to("l/", rest)),
            b"i/" => _ = referring.insert(to("l/", rest.rsplit(|byte| *byte == b'/').next().unwrap())),
            b"t/" => _ = referring.insert(to("e/", &rest[rest.len() - 8..])),
            b"x/" => {
                // Behind a format, a kind and a checksum lies what was seen together.
                let ids: Vec<String> = serde_json::from_slice(&value[6..]).unwrap();
                referring.extend(ids.iter().map(|id| to("d/", id.as_bytes())));
            }
            b"e/" | b"d/" => _ = referred.insert(key.clone()),
            _ => {}
        }
    }
    let missing = referring.iter().filter(|key| !rows.contains_key(*key)).map(|key| (key, "is missing"));
    let lost = referred.difference(&referring).map(|key| (key, "belongs to nothing"));
    missing.chain(lost).map(|(key, what)| format!("{} {what}", key.escape_ascii())).collect()
}

/// Reads all that the store has: each value carries a checksum, and what an index names must be there.
pub(super) async fn read_all(store: &Store) {
    const AT_ONCE: usize = 100;
    let (mut after, mut alerts) = (None::<AlertId>, Vec::new());
    loop {
        let links = store.links_after(after.take(), AT_ONCE).await.unwrap();
        let Some(last) = links.last() else { break };
        after = Some(last.alert.clone());
        let incidents: Vec<IncidentId> = links.iter().filter_map(|link| link.incident().cloned()).collect();
        let with_incident = store.links_of_all(incidents.clone()).await.unwrap();
        assert!(
            with_incident.len() >= incidents.len(),
            "{} of {} incidents are found",
            with_incident.len(),
            incidents.len()
        );
        alerts.extend(links.into_iter().map(|link| link.alert));
    }
    for alert in &alerts {
        store.timeline(alert).await.unwrap();
        store.entries(alert).await.unwrap();
        store.dead_letters_of(alert).await.unwrap();
    }
    let open = store.open_links_after(None, usize::MAX).await.unwrap();
    assert!(open.iter().all(|link| link.is_open()), "what is listed as open is");
    let summary = store.summary().await.unwrap();
    assert_eq!(store.dead_letters(None, usize::MAX).await.unwrap().len() as u64, summary.dead_letters);
    assert_eq!(store.quarantined_after(0, usize::MAX).await.unwrap().len() as u64, summary.quarantined);
}
