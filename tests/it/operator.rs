//! What an operator may do while crosspage runs.

use crosspage::clock;

use crate::harness::{ADA, JANE, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_link_is_silent_until_it_is_resumed_and_other_links_go_on() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let (other, other_incident) = world.linked("CPU busy").await;
    let (store, id) = (world.app().store(), alert.as_str().try_into().unwrap());
    store.pause(&id, "it goes round and round", clock::now()).await.unwrap();
    world.opsgenie.model().human_adds_note(&alert, JANE, "one");
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.opsgenie.model().human_adds_note(&alert, JANE, "two");
    world.pagerduty.model().human_adds_note(&incident, ADA, "back");
    world.opsgenie.model().human_adds_note(&other, JANE, "free");
    world.settle().await;
    assert_eq!(world.incident_notes(&incident), ["back"], "her own");
    assert_eq!(world.incident_now(&incident).status, "triggered");
    assert!(world.alert_notes(&alert).iter().all(|note| !note.starts_with("[PagerDuty]")));
    assert_eq!(world.incident_notes(&other_incident), ["[Opsgenie] jane@example.com: free"]);

    store.resume(&id, clock::now()).await.unwrap();
    world.settle().await;
    let notes = world.incident_notes(&incident);
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert!(notes[1].ends_with(": one") && notes[2].ends_with("acknowledged the alert") && notes[3].ends_with(": two"));
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    assert!(world.alert_notes(&alert).contains(&"[PagerDuty] Ada Oncall: back".to_owned()));
    world.end().await;
}
