//! What a pass cannot judge, and what it costs until it can.

use crosspage::engine::Status;
use simulators::{CallRecord, Fault};

use super::{after_passes, lose_all, note_on_incident, plan};
use crate::harness::{ADA, JANE, World};

/// How often the alert was asked for by itself.
fn reads(world: &World, alert: &str) -> usize {
    let path = format!("/v2/alerts/{alert}");
    let is_read = |call: &&CallRecord| call.method == "GET" && call.path == path;
    world.opsgenie.model().calls().iter().filter(is_read).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_held_costs_no_calls_and_holds_up_no_progress() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    let store = world.app().store();
    store.pause(&alert.as_str().try_into().unwrap(), "a loop", crosspage::clock::now()).await.unwrap();
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.until("the change is held", async || store.summary().await.unwrap().opsgenie.entries > 0).await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    let noted_at = world.alert_now(&alert).updated_at_ms;
    world.until("that is behind us", async || store.reconciled_until().await.unwrap().as_millis() >= noted_at).await;
    // She does what we were to do, so that it is not wanted any more; but it lies there.
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    let id = alert.as_str().try_into().unwrap();
    let is_heard = async || {
        let side = store.link(&id).await.unwrap().unwrap().opsgenie;
        side.commanded.is_none() && side.known.unwrap().status == Status::Acknowledged
    };
    world.until("it is heard", is_heard).await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "Still");
    after_passes(&world, 2).await;
    let before = reads(&world, &alert);
    after_passes(&world, 3).await;
    assert_eq!(reads(&world, &alert), before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_looked_at_though_alerts_cannot_be_listed() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    let (store, id) = (world.app().store(), alert.as_str().try_into().unwrap());
    store.pause(&id, "a loop", crosspage::clock::now()).await.unwrap();
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.until("the change is held", async || store.summary().await.unwrap().opsgenie.entries > 0).await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    after_passes(&world, 2).await;
    world.opsgenie.model().faults.always("GET", "/v2/alerts$", Fault::status(500));
    let before = reads(&world, &alert);
    store.resume(&id, crosspage::clock::now()).await.unwrap();
    world.until("it was looked at", async || reads(&world, &alert) > before).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_being_read_is_not_read_by_every_pass() {
    let world = plan().start().await;
    lose_all(&world);
    // Whoever reads it first waits.
    world.opsgenie.model().faults.once("GET", "/v2/alerts/", Fault::Hang);
    let alert = world.alert("Disk full");
    world.until("it is being read", async || reads(&world, &alert) == 1).await;
    after_passes(&world, 3).await;
    assert_eq!(reads(&world, &alert), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_not_taken_for_deleted_where_none_can_be_listed() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    // As behind a proxy that lost its way.
    world.opsgenie.model().faults.always("", "/v2/alerts", Fault::status(404));
    let path = format!("/v2/alerts/{alert}/notes");
    let answered = |status: u16| {
        let is_so = |call: &&CallRecord| call.path == path && call.status == status;
        world.opsgenie.model().calls().iter().filter(is_so).count()
    };
    world.until("its notes were asked for", async || answered(404) > 2).await;
    world.opsgenie.model().faults.clear();
    let before = answered(200);
    world.until("its notes are read again", async || answered(200) > before).await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    note_on_incident(&world, &incident, "[Opsgenie] jane@example.com: We see errors").await;
    let notes = world.incident_notes(&incident);
    assert!(!notes.iter().any(|note| note.contains("deleted the alert")), "{notes:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_words_on_an_alert_get_across_though_reading_them_fails_at_first() {
    let mut plan = plan();
    // The round is not to come by meanwhile.
    plan.tuning.notes_every = Some(std::time::Duration::from_secs(3600));
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    // The round began with the start.
    after_passes(&world, 2).await;
    lose_all(&world);
    {
        let mut opsgenie = world.opsgenie.model();
        opsgenie.faults.times("GET", "/notes$", Fault::status(500), 2);
        opsgenie.human_adds_note(&alert, JANE, "It was the disk");
        opsgenie.human_closes(&alert, JANE, None);
    }
    note_on_incident(&world, &incident, "[Opsgenie] jane@example.com: It was the disk").await;
    world.end().await;
}
