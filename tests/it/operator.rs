//! What an operator may do while crosspage runs.

use crosspage::clock;
use simulators::Fault;

use crate::harness::{ADA, JANE, World};
use crate::reconcile::{after_passes, plan as listening_and_looking};

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

/// The number of the one dead letter.
async fn letter(world: &World) -> u64 {
    let letters = world.app().store().dead_letters().await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:#?}");
    letters[0].entry.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_creation_pages_and_what_was_parked_behind_it_follows_in_order() {
    let mut world = World::new().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let alert = world.alert("Disk full");
    world.opsgenie.model().human_adds_note(&alert, JANE, "one");
    world.settle().await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    assert!(world.incidents_of(&alert).is_empty());
    world.restart_app().await;
    let id = letter(&world).await;
    assert!(world.app().store().redrive(id, clock::now()).await.unwrap().is_some());
    world.settle().await;
    let incident = world.incident_of(&alert);
    assert_eq!(incident.status, "acknowledged");
    let notes: Vec<_> = incident.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes, ["[Opsgenie] jane@example.com: one", "[Opsgenie] jane@example.com acknowledged the alert"]);
    assert!(world.app().store().dead_letters().await.unwrap().is_empty());
    assert!(world.reasons(&alert).await.contains(&"redriven".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_creation_that_had_its_effect_after_all_is_found_and_not_repeated() {
    let world = World::new().await;
    // No webhook tells that the incident is there.
    world.pagerduty.model().faults.webhooks.lose_all = true;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::StatusAfter(403));
    let alert = world.alert("Disk full");
    world.settle().await;
    let id = letter(&world).await;
    world.app().store().redrive(id, clock::now()).await.unwrap().unwrap();
    world.settle().await;
    let incident = world.incident_of(&alert);
    let link = world.app().store().link(&alert.as_str().try_into().unwrap()).await.unwrap().unwrap();
    assert_eq!(link.incident().unwrap().as_str(), incident.id);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_creation_pages_nobody_whatever_happens_to_its_alert() {
    let mut world = listening_and_looking().start().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let alert = world.alert("Disk full");
    world.opsgenie.model().human_adds_note(&alert, JANE, "parked");
    world.settle().await;
    let id = letter(&world).await;
    world.app().store().discard(id, clock::now()).await.unwrap().unwrap();
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.opsgenie.model().human_adds_note(&alert, JANE, "later");
    world.settle().await;
    world.restart_app().await;
    after_passes(&world, 3).await;
    world.settle().await;
    assert!(world.incidents_of(&alert).is_empty());
    let summary = world.app().store().summary().await.unwrap();
    assert_eq!((summary.dead_letters, summary.pagerduty.entries), (0, 0));
    let reasons = world.reasons(&alert).await;
    assert_eq!(reasons.iter().filter(|reason| *reason == "discarded").count(), 2, "{reasons:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_stands_for_its_drift_until_it_is_redriven() {
    let world = listening_and_looking().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.once("PUT", "/incidents", Fault::status(403));
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    let id = letter(&world).await;
    let writes = world.writes();
    after_passes(&world, 5).await;
    world.settle().await;
    assert_eq!(world.writes(), writes, "nobody tries it again by itself");
    assert_eq!(world.incident_now(&incident).status, "triggered");
    world.app().store().redrive(id, clock::now()).await.unwrap().unwrap();
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    after_passes(&world, 2).await;
    world.settle().await;
    world.end().await;
}
