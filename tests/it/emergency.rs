//! Pages that do not get through: who is told, how often, and until when.

use std::time::Duration;

use crosspage::engine::outage::Stage;
use serde_json::json;
use simulators::pagerduty::{EventsPage, IncidentStatus};
use simulators::{CallRecord, Fault};

use crate::harness::{ADA, JANE, Plan, World};
use crate::post::ask;

const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// A world in which a page is late after next to no time.
fn plan() -> Plan {
    let mut plan = Plan::new().var("PAGERDUTY_FALLBACK_ROUTING_KEY", ROUTING_KEY);
    plan.tuning.emergency.after = Duration::from_millis(50);
    plan.tuning.emergency.look_every = Duration::from_millis(10);
    plan
}

fn rest_is_down(world: &World) {
    world.pagerduty.model().faults.always("", "/incidents", Fault::status(500));
}

/// What was sent by the other way and accepted: what, and under which key.
fn told(world: &World) -> Vec<(String, String)> {
    let pages = world.pagerduty.model().events_pages().to_vec();
    assert!(pages.iter().all(|page| page.routing_key == ROUTING_KEY));
    pages.into_iter().map(|EventsPage { action, dedup_key, .. }| (action, dedup_key)).collect()
}

fn actions(world: &World) -> Vec<String> {
    told(world).into_iter().map(|(action, _)| action).collect()
}

async fn until_told(world: &World, expected: &[&str]) {
    let what = format!("{expected:?} was told");
    world.until(&what, async || actions(world) == expected).await;
}

fn enqueued(world: &World) -> Vec<CallRecord> {
    let pagerduty = world.pagerduty.model();
    pagerduty.calls().iter().filter(|call| call.path == "/v2/enqueue").cloned().collect()
}

async fn readyz(world: &World) -> serde_json::Value {
    let answer = ask("GET", &format!("http://{}/readyz", world.app().address())).await;
    assert_eq!(answer.status, 200);
    answer.body
}

async fn until_late(world: &World, count: usize) {
    let body = match count {
        0 => json!({ "status": "ready" }),
        _ => json!({ "status": "degraded", "reason": "pages do not get through", "late_pages": count }),
    };
    world.until(&format!("/readyz says {body}"), async || readyz(world).await == body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_once_however_many_pages_are_late_and_ends_when_they_stand() {
    let world = plan().start().await;
    rest_is_down(&world);
    let alerts: Vec<String> = (0..3).map(|number| world.alert(&format!("Disk {number} full"))).collect();
    until_late(&world, 3).await;
    until_told(&world, &["trigger"]).await;
    let summary = world.pagerduty.model().events_pages()[0].summary.clone();
    assert!(summary.starts_with("crosspage cannot page: ") && summary.contains("full"), "{summary}");
    let opsgenie_writes = world.opsgenie.model().writes().len();

    world.pagerduty.model().faults.clear();
    until_late(&world, 0).await;
    until_told(&world, &["trigger", "resolve"]).await;
    world.settle().await;
    let told = told(&world);
    assert_eq!(told[0].1, told[1].1, "what is resolved is what was triggered");
    for alert in &alerts {
        assert_eq!(world.incident_of(alert).status, "triggered");
        assert_eq!(world.reasons(alert).await.len(), 3, "{:?}", world.reasons(alert).await);
    }
    // The incident that the emergency made is nobody's alert.
    assert_eq!(world.pagerduty.model().incidents().len(), alerts.len() + 1);
    assert_eq!(world.opsgenie.model().alerts().len(), alerts.len());
    assert_eq!(world.opsgenie.model().writes().len(), opsgenie_writes);
    assert_eq!(actions(&world).len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_outage_is_another_one() {
    let world = plan().start().await;
    for outage in 1..=2 {
        rest_is_down(&world);
        world.alert("Disk full");
        world.until("it is told", async || actions(&world).len() == 2 * outage - 1).await;
        world.pagerduty.model().faults.clear();
        world.until("it is over", async || actions(&world).len() == 2 * outage).await;
        world.settle().await;
    }
    let keys: Vec<String> = told(&world).into_iter().map(|(_, key)| key).collect();
    assert_eq!((&keys[0], &keys[2]), (&keys[1], &keys[3]));
    assert_ne!(keys[0], keys[2]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_lingers_does_not_keep_later_ones_from_being_told() {
    let mut plan = plan();
    plan.tuning.emergency.tell_again_after = Duration::from_millis(1);
    let world = plan.start().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    world.alert("Disk full");
    until_told(&world, &["trigger"]).await;
    // Nobody deals with the dead letter, but somebody puts the emergency away.
    let told_in = |number: usize| world.pagerduty.model().events_pages()[number].incident_id.clone().unwrap();
    let first = told_in(0);
    assert!(world.pagerduty.model().human_resolves(&first, ADA, None));
    rest_is_down(&world);
    world.alert("CPU busy");
    until_told(&world, &["trigger", "trigger"]).await;
    let keys = told(&world);
    assert_eq!(keys[0], keys[1], "it is the same outage");
    let again = told_in(1);
    assert_ne!(first, again, "somebody is paged anew");
    assert_eq!(world.incident_now(&again).status, IncidentStatus::Triggered);

    // The lingering one alone pages nobody again.
    world.pagerduty.model().faults.clear();
    until_late(&world, 1).await;
    world.settle().await;
    assert_eq!(actions(&world).len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_outlives_a_restart_and_is_told_neither_twice_nor_for_ever() {
    let mut world = plan().start().await;
    rest_is_down(&world);
    let alert = world.alert("Disk full");
    until_told(&world, &["trigger"]).await;
    // Whoever is stopped before it is put down tells it again, under the same name.
    let put_down =
        async || world.app().store().outage().await.unwrap().is_some_and(|outage| outage.stage == Stage::Told);
    world.until("that is put down", put_down).await;
    world.restart_app().await;
    until_late(&world, 1).await;
    assert_eq!(actions(&world), ["trigger"]);
    world.stop_app().await;
    world.pagerduty.model().faults.clear();
    world.start_app().await;
    until_told(&world, &["trigger", "resolve"]).await;
    world.settle().await;
    assert_eq!(world.incident_of(&alert).status, "triggered");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_told_before_a_restart_is_told_after_it_under_the_same_key() {
    let mut world = plan().start().await;
    rest_is_down(&world);
    // It has its effect, and nobody learns of it.
    world.pagerduty.model().faults.always("POST", "/v2/enqueue", Fault::ResetAfter);
    world.alert("Disk full");
    world.until("it was tried", async || !enqueued(&world).is_empty()).await;
    world.restart_app().await;
    {
        // At one moment, lest the page goes out in between.
        let mut pagerduty = world.pagerduty.model();
        pagerduty.faults.clear();
        pagerduty.faults.always("", "/incidents", Fault::status(500));
    }
    world.until("it was told", async || enqueued(&world).last().is_some_and(|call| call.status == 202)).await;
    let told = told(&world);
    assert!(told.iter().all(|one| *one == told[0]), "{told:?}");
    let pages = world.pagerduty.model().events_pages().to_vec();
    assert!(pages.iter().all(|page| page.incident_id == pages[0].incident_id), "one incident of it: {pages:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn telling_is_tried_again_whatever_it_meets_and_has_a_pause_of_its_own() {
    let world = plan().start().await;
    {
        let mut pagerduty = world.pagerduty.model();
        pagerduty.faults.once("POST", "/v2/enqueue", Fault::status(500));
        pagerduty.faults.once("POST", "/v2/enqueue", Fault::Throttle { with_headers: true, reset_s: 1 });
        // The REST API refuses us and is asked no more, and the Events API is called all the same.
        pagerduty.faults.always("", "/incidents", Fault::status(401));
        pagerduty.faults.always("GET", "/abilities", Fault::status(401));
    }
    let alert = world.alert("Disk full");
    until_told(&world, &["trigger"]).await;
    let tried = enqueued(&world);
    assert_eq!(tried.iter().map(|call| call.status).collect::<Vec<_>>(), [500, 429, 202]);
    assert!(tried.windows(2).all(|two| two[1].at_ms >= two[0].at_ms + 800), "with pauses in between");
    world.pagerduty.model().faults.clear();
    world.pagerduty.model().faults.once("POST", "/v2/enqueue", Fault::status(503));
    until_told(&world, &["trigger", "resolve"]).await;
    world.settle().await;
    assert_eq!(world.incident_of(&alert).status, "triggered");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_another_way_only_the_log_and_readyz_tell() {
    let mut plan = plan();
    plan.vars.remove("PAGERDUTY_FALLBACK_ROUTING_KEY");
    let world = plan.start().await;
    rest_is_down(&world);
    world.alert("Disk full");
    until_late(&world, 1).await;
    world.pagerduty.model().faults.clear();
    until_late(&world, 0).await;
    world.settle().await;
    assert_eq!(enqueued(&world), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_closed_meanwhile_needs_no_page_any_more() {
    let world = plan().start().await;
    world.pagerduty.model().faults.always("", "/incidents", Fault::status(429));
    let alert = world.alert("Disk full");
    until_told(&world, &["trigger"]).await;
    world.opsgenie.model().human_closes(&alert, JANE, None);
    until_told(&world, &["trigger", "resolve"]).await;
    until_late(&world, 0).await;
    world.pagerduty.model().faults.clear();
    world.settle().await;
    assert_eq!(world.incidents_of(&alert), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_given_up_stays_an_emergency_until_somebody_deals_with_it() {
    let world = plan().start().await;
    world.pagerduty.model().faults.always("POST", "/incidents", Fault::status(403));
    let alerts = [world.alert("Disk full"), world.alert("CPU busy")];
    let letters = async || world.app().store().dead_letters(None, 100).await.unwrap();
    world.until("both are given up", async || letters().await.len() == 2).await;
    until_late(&world, 2).await;
    until_told(&world, &["trigger"]).await;
    world.pagerduty.model().faults.clear();
    let entry = |letters: &[crosspage::store::DeadLetter], alert: &str| {
        letters.iter().find(|letter| letter.entry.alert.as_str() == alert).unwrap().entry.id
    };
    let dead = letters().await;
    let now = crosspage::clock::now();
    world.app().store().discard(entry(&dead, &alerts[0]), now).await.unwrap();
    until_late(&world, 1).await;
    world.app().store().redrive(entry(&dead, &alerts[1]), now).await.unwrap();
    until_late(&world, 0).await;
    until_told(&world, &["trigger", "resolve"]).await;
    world.settle().await;
    assert_eq!(world.incidents_of(&alerts[0]), []);
    assert_eq!(world.incident_of(&alerts[1]).status, "triggered");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_alert_that_cannot_be_read_is_a_late_page_too() {
    let world = plan().start().await;
    world.opsgenie.model().faults.webhooks.lose_next = 1;
    world.opsgenie.model().faults.always("GET", "/v2/alerts/", Fault::status(500));
    let alert = world.alert("Disk full");
    world.opsgenie.model().human_adds_note(&alert, JANE, "anybody?");
    until_late(&world, 1).await;
    until_told(&world, &["trigger"]).await;
    world.opsgenie.model().faults.clear();
    until_told(&world, &["trigger", "resolve"]).await;
    world.settle().await;
    assert_eq!(world.incident_of(&alert).status, "triggered");
    world.end().await;
}
