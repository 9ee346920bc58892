//! How passes and the round over notes share time and calls.

use std::time::Duration;

use simulators::{CallRecord, Fault};

use super::{after_passes, lose_all, note_on_incident, plan};
use crate::harness::{JANE, World};
use crate::metrics::{ROUNDS, Shown};

#[tokio::test(flavor = "multi_thread")]
async fn the_notes_come_round_though_passes_take_longer_than_their_interval() {
    let mut plan = plan();
    plan.tuning.reconcile_every = Some(Duration::from_millis(1));
    let world = plan.start().await;
    world.linked("Disk full").await;
    world.until("the notes were all read", async || Shown::by(world.app()).await.get(ROUNDS, &[]) > 0.0).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_are_compared_again_before_all_notes_of_what_has_moved_were_read() {
    let mut plan = plan();
    plan.tuning.reconcile_every = Some(Duration::from_millis(1));
    plan.tuning.notes_every = Some(Duration::from_secs(3600));
    let world = plan.start().await;
    let mut pairs = Vec::new();
    for number in 0..4 {
        pairs.push(world.linked(&format!("Disk {number} full")).await);
    }
    lose_all(&world);
    // One pass is to find all of them.
    world.opsgenie.model().faults.always("GET", "/v2/alerts", Fault::status(500));
    after_passes(&world, 1).await;
    for (alert, _) in &pairs {
        world.opsgenie.model().human_adds_note(alert, JANE, "We see errors");
    }
    world.opsgenie.model().forget_records();
    world.opsgenie.model().faults.clear();
    for (_, incident) in &pairs {
        note_on_incident(&world, incident, "[Opsgenie] jane@example.com: We see errors").await;
    }
    let calls: Vec<String> = world.opsgenie.model().calls().iter().map(|call| call.path.clone()).collect();
    let reads_notes = |path: &String| pairs.iter().any(|(alert, _)| *path == format!("/v2/alerts/{alert}/notes"));
    let (first, last) = (calls.iter().position(reads_notes), calls.iter().rposition(reads_notes));
    let between = &calls[first.unwrap()..last.unwrap()];
    assert!(between.iter().any(|path| path == "/v2/alerts"), "{calls:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_changed_a_pass_costs_the_same_few_calls_however_many_links_there_are() {
    let mut plan = plan();
    plan.tuning.notes_every = Some(Duration::from_secs(3600));
    let world = plan.start().await;
    for number in 0..7 {
        world.linked(&format!("Disk {number} full")).await;
    }
    let reads_notes = |world: &World| {
        let notes = |path: &str| path.ends_with("/notes");
        let opsgenie = world.opsgenie.model().calls().iter().any(|call| notes(&call.path));
        opsgenie || world.pagerduty.model().calls().iter().any(|call| notes(&call.path))
    };
    world
        .until("what has moved was read", async || {
            world.opsgenie.model().forget_records();
            world.pagerduty.model().forget_records();
            after_passes(&world, 2).await;
            !reads_notes(&world)
        })
        .await;
    // Of both at one moment, lest passes go by in between.
    {
        let (mut opsgenie, mut pagerduty) = (world.opsgenie.model(), world.pagerduty.model());
        opsgenie.forget_records();
        pagerduty.forget_records();
    }
    after_passes(&world, 4).await;
    let (opsgenie, pagerduty): (Vec<String>, Vec<String>) = {
        let (opsgenie, pagerduty) = (world.opsgenie.model(), world.pagerduty.model());
        let paths = |calls: &[CallRecord]| calls.iter().map(|call| call.path.clone()).collect();
        (paths(opsgenie.calls()), paths(pagerduty.calls()))
    };
    let count = |calls: &[String], path: &str| calls.iter().filter(|call| *call == path).count();
    let passes = count(&pagerduty, "/webhook_subscriptions");
    for (calls, path) in [(&opsgenie, "/v2/alerts"), (&pagerduty, "/incidents")] {
        assert!(count(calls, path).abs_diff(passes) <= 1, "one {path} a pass: {calls:?}");
    }
    assert_eq!(opsgenie.len(), count(&opsgenie, "/v2/alerts"), "{opsgenie:?}");
    assert_eq!(pagerduty.len(), passes + count(&pagerduty, "/incidents"), "{pagerduty:?}");
    world.end().await;
}
