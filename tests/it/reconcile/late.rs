//! What a look has shown, and what is told of it late, twice, or at the same moment.

use simulators::pagerduty::IncidentStatus;

use super::{after_passes, lose_all, plan, status_of};
use crate::harness::{ADA, JANE};

#[tokio::test(flavor = "multi_thread")]
async fn a_late_webhook_of_what_was_taken_back_is_no_news_once_the_alert_was_looked_at() {
    let mut world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.stop_app().await;
    world.opsgenie.model().faults.webhooks.hold = true;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    let acknowledged_at = crosspage::clock::now();
    world.until_vendors("it is later than that", |_| crosspage::clock::now() > acknowledged_at).await;
    world.opsgenie.model().faults.webhooks.lose_all = true;
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.start_app().await;
    after_passes(&world, 2).await;
    let told = world.timeline(&alert).await.len();
    world.release_opsgenie();
    world.until("the late webhook was decided on", async || world.timeline(&alert).await.len() > told).await;
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, IncidentStatus::Triggered);
    let reasons = world.reasons(&alert).await;
    assert_eq!(reasons.last().map(String::as_str), Some("stale"), "{reasons:?}");
    assert!(
        !reasons.iter().any(|reason| reason == "no drift"),
        "a look that shows nothing new is no line: {reasons:?}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_changes_twice_at_once_is_seen_as_it_is_in_the_end() {
    let mut plan = plan();
    // So that whatever happens in this story happens at the same time, for all that is told.
    plan.opsgenie.behaviour.updated_at_step_ms = 30_000;
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    lose_all(&world);
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.until("the alert is acknowledged", async || world.alert_now(&alert).acknowledged).await;
    world.settle().await;
    after_passes(&world, 2).await;
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    status_of(&world, &incident, IncidentStatus::Triggered).await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    status_of(&world, &incident, IncidentStatus::Acknowledged).await;
    world.end().await;
}
