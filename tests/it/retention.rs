//! What is over and old goes, while everything else goes on, and pages nobody again.

use std::time::Duration;

use serde_json::json;
use simulators::pagerduty::IncidentStatus;

use crate::harness::{ADA, JANE, World};
use crate::post::{from_opsgenie, post};
use crate::reconcile::{after_passes, plan};

/// An alert that has paged and is over on both sides, and another one that is open.
async fn one_over_and_one_open(world: &World) -> (String, String, String) {
    let (over, over_incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_adds_note(&over, JANE, "cleaned up");
    world.opsgenie.model().human_closes(&over, JANE, None);
    let (open, open_incident) = world.linked("CPU busy").await;
    world.settle().await;
    assert_eq!(world.incident_now(&over_incident).status, IncidentStatus::Resolved);
    (over, open, open_incident)
}

async fn is_linked(world: &World, alert: &str) -> bool {
    world.app().store().link(&alert.try_into().unwrap()).await.unwrap().is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_goes_while_everything_else_goes_on_and_nothing_pages_again() {
    let mut world = plan().start().await;
    let (over, open, open_incident) = one_over_and_one_open(&world).await;
    after_passes(&world, 1).await;
    assert!(is_linked(&world, &over).await, "thirty days are not over");

    // From now on, whatever is over is old.
    world.tune(|tuning| {
        tuning.retention = Some(Duration::from_millis(1));
        tuning.prune_every = Some(Duration::from_millis(1));
    });
    world.restart_app().await;
    let mut said = Vec::new();
    for number in 0..5 {
        world.opsgenie.model().human_adds_note(&open, JANE, &format!("note {number}"));
        said.push(format!("[Opsgenie] jane@example.com: note {number}"));
        world.settle().await;
    }
    world.until("what is over is gone", async || !is_linked(&world, &over).await).await;
    world.pagerduty.model().human_adds_note(&open_incident, ADA, "on it");
    world.settle().await;
    assert!(is_linked(&world, &open).await);
    assert_eq!(world.alert_notes(&open).iter().filter(|note| *note == "[PagerDuty] Ada Oncall: on it").count(), 1);
    let told = world.incident_notes(&open_incident);
    assert_eq!(
        told.iter().filter(|note| note.starts_with("[Opsgenie]")).collect::<Vec<_>>(),
        said.iter().collect::<Vec<_>>()
    );

    // Its creation is told again, a person says more, and both sides are looked at.
    let url = format!("http://{}/ops-webhook", world.app().address());
    let mut creation = from_opsgenie(&simulators::opsgenie::Options::default().integration_id, "Create", &over);
    creation["alert"]["createdAt"] = json!(world.alert_now(&over).created_at_ms);
    let answer = post(&url, &[], creation.to_string()).await;
    assert_eq!((answer.status, answer.body["status"].as_str()), (202, Some("joining")));
    world.opsgenie.model().human_adds_note(&over, JANE, "one last thing");
    after_passes(&world, 3).await;
    world.settle().await;
    world.until("it is forgotten again", async || !is_linked(&world, &over).await).await;
    assert_eq!(world.incidents_of(&over).len(), 1, "the one it had");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_alert_that_nobody_is_paged_for_any_more_is_not_forgotten_before_it_is_closed() {
    let mut world = plan().start().await;
    world.pagerduty.model().faults.once("POST", "/incidents", simulators::Fault::status(403));
    let alert = world.alert("Disk full");
    world.settle().await;
    let store = world.app().store();
    let letter = store.dead_letters(None, 100).await.unwrap().remove(0).entry.id;
    store.discard(letter, crosspage::clock::now()).await.unwrap().unwrap();
    world.tune(|tuning| {
        tuning.retention = Some(Duration::from_millis(1));
        tuning.prune_every = Some(Duration::from_millis(1));
    });
    world.restart_app().await;
    // An alert that is over goes meanwhile, so there was a pass.
    let over = world.alert("CPU busy");
    world.settle().await;
    world.opsgenie.model().human_closes(&over, JANE, None);
    world.until("a pass is over", async || !is_linked(&world, &over).await).await;
    let url = format!("http://{}/ops-webhook", world.app().address());
    let mut creation = from_opsgenie(&simulators::opsgenie::Options::default().integration_id, "Create", &alert);
    creation["alert"]["createdAt"] = json!(world.alert_now(&alert).created_at_ms);
    let answer = post(&url, &[], creation.to_string()).await;
    assert_eq!((answer.status, answer.body["status"].as_str()), (200, Some("duplicate")));
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    after_passes(&world, 3).await;
    world.settle().await;
    assert!(world.incidents_of(&alert).is_empty());
    world.opsgenie.model().human_closes(&alert, JANE, None);
    world.until("its link is gone", async || !is_linked(&world, &alert).await).await;
    world.end().await;
}
