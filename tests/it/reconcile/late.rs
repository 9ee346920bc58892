//! What a look has shown, and what is told of it late, twice, or at the same moment.

use simulators::pagerduty::IncidentStatus;

use super::{after_passes, lose_all, plan, status_of};
use crate::harness::{ADA, JANE, World};

/// Waits until it is later than now by the clock of everybody.
async fn a_moment_later(world: &World) {
    let now = crosspage::clock::now();
    world.until_vendors("it is later than that", |_| crosspage::clock::now() > now).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_webhook_of_what_was_taken_back_is_no_news_once_the_alert_was_looked_at() {
    let mut world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.stop_app().await;
    world.opsgenie.model().faults.webhooks.hold = true;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    a_moment_later(&world).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_before_is_looked_at_again_once_something_else_is_heard() {
    let mut plan = plan();
    // A late webhook of that time looks newer than what was seen of it.
    plan.opsgenie.behaviour.updated_at_step_ms = 30_000;
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    {
        let mut opsgenie = world.opsgenie.model();
        opsgenie.faults.webhooks.hold = true;
        opsgenie.human_acknowledges(&alert, JANE);
        opsgenie.faults.webhooks.lose_all = true;
        opsgenie.human_unacknowledges(&alert, JANE);
    }
    after_passes(&world, 2).await;
    world.release_opsgenie();
    let told = "[Opsgenie] jane@example.com acknowledged the alert";
    world.until("the late webhook is told", async || world.incident_notes(&incident).iter().any(|n| n == told)).await;
    status_of(&world, &incident, IncidentStatus::Triggered).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_shows_an_alert_as_it_was_is_not_believed() {
    const LAG_MS: i64 = 300;
    let mut plan = plan();
    plan.opsgenie.behaviour.list_lag_ms = LAG_MS.unsigned_abs();
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    let lists_at = |at_ms: i64| {
        let is_later = |call: &simulators::CallRecord| call.path == "/v2/alerts" && call.at_ms > at_ms;
        world.opsgenie.model().calls().iter().any(is_later)
    };
    let created_at = crosspage::clock::now().as_millis();
    world.until("it is listed", async || lists_at(created_at + LAG_MS)).await;
    world.opsgenie.model().human_takes_ownership(&alert, JANE);
    after_passes(&world, 2).await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    let acknowledged_at = crosspage::clock::now().as_millis();
    status_of(&world, &incident, IncidentStatus::Acknowledged).await;
    world.until("lists show it", async || lists_at(acknowledged_at + LAG_MS)).await;
    after_passes(&world, 2).await;
    world.settle().await;
    let notes = world.incident_notes(&incident);
    assert!(!notes.iter().any(|note| note.contains("let go of the alert")), "{notes:?}");
    assert_eq!(world.incident_now(&incident).status, IncidentStatus::Acknowledged);
    world.end().await;
}
