//! What no webhook told is found and made up for, and what only looks like a difference is left alone.

mod again;
mod late;
mod pace;

use std::time::Duration;

use crosspage::engine::ReadLag;
use crosspage::store::backend::{Backend, Batch};
use simulators::opsgenie::NewAlert;
use simulators::pagerduty::IncidentStatus;

use crate::harness::{ADA, BOB, JANE, JOHN, Plan, World};
use crate::process::{Stage, until};

/// A world in which both sides are listed again and again, and reads lag by next to nothing.
pub(crate) fn plan() -> Plan {
    let mut plan = Plan::new();
    let lag = Duration::from_millis(1);
    plan.tuning.read_lag = ReadLag { opsgenie: lag, pagerduty: lag };
    plan.tuning.reconcile_every = Some(Duration::from_millis(30));
    plan.tuning.notes_every = Some(Duration::from_millis(10));
    plan
}

fn lose_all(world: &World) {
    world.opsgenie.model().faults.webhooks.lose_all = true;
    world.pagerduty.model().faults.webhooks.lose_all = true;
}

/// How often the webhook subscriptions were listed: each pass begins with that.
fn passes(world: &World) -> usize {
    let pagerduty = world.pagerduty.model();
    pagerduty.calls().iter().filter(|call| call.method == "GET" && call.path == "/webhook_subscriptions").count()
}

/// Waits until so many whole passes have gone by.
pub(crate) async fn after_passes(world: &World, count: usize) {
    let before = passes(world);
    world.until("some passes have gone by", async || passes(world) > before + count).await;
}

async fn status_of(world: &World, incident: &str, status: IncidentStatus) {
    let what = format!("the incident is {status}");
    world.until(&what, async || world.incident_now(incident).status == status).await;
}

async fn note_on_incident(world: &World, incident: &str, text: &str) {
    let what = format!("the incident bears {text:?}");
    world.until(&what, async || world.incident_notes(incident).iter().any(|note| note == text)).await;
}

async fn note_on_alert(world: &World, alert: &str, text: &str) {
    let what = format!("the alert bears {text:?}");
    world.until(&what, async || world.alert_notes(alert).iter().any(|note| note == text)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_webhook_lost_a_creation_pages_and_states_and_notes_get_across_once() {
    let world = plan().start().await;
    lose_all(&world);
    let alert = world.alert("Disk full");
    world.until("the missed creation pages", async || world.incidents_of(&alert).len() == 1).await;
    let incident = world.incident_of(&alert).id;
    assert_eq!(world.incident_now(&incident).title, "Disk full");

    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    note_on_incident(&world, &incident, "[Opsgenie] jane@example.com: We see errors").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.until("the alert is acknowledged", async || world.alert_now(&alert).acknowledged).await;
    note_on_alert(&world, &alert, "[PagerDuty] Ada Oncall acknowledged the incident").await;
    world.pagerduty.model().human_adds_note(&incident, ADA, "On it");
    note_on_alert(&world, &alert, "[PagerDuty] Ada Oncall: On it").await;
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    status_of(&world, &incident, IncidentStatus::Triggered).await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    status_of(&world, &incident, IncidentStatus::Acknowledged).await;
    // The same words again, which have no id to be told apart by.
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    let twice = |notes: Vec<String>| notes.iter().filter(|note| note.ends_with("We see errors")).count() == 2;
    world.until("the equal note is there too", async || twice(world.incident_notes(&incident))).await;
    world.opsgenie.model().human_closes(&alert, JANE, Some("It was the disk"));
    status_of(&world, &incident, IncidentStatus::Resolved).await;
    note_on_incident(&world, &incident, "[Opsgenie] jane@example.com: It was the disk").await;

    after_passes(&world, 5).await;
    world.settle().await;
    let said = |alert_notes: &[&str], incident_notes: &[&str]| {
        assert_eq!(world.alert_notes(&alert), alert_notes);
        // A state and a note that were found in one pass may come in either order.
        let mut told = world.incident_notes(&incident);
        told[5..].sort();
        assert_eq!(told, incident_notes);
    };
    said(
        &[
            "We see errors",
            "[PagerDuty] Ada Oncall acknowledged the incident",
            "[PagerDuty] Ada Oncall: On it",
            "We see errors",
            "It was the disk",
        ],
        &[
            "[Opsgenie] jane@example.com: We see errors",
            "On it",
            "[Opsgenie] somebody let go of the alert: it is not acknowledged any more",
            "[Opsgenie] somebody acknowledged the alert",
            "[Opsgenie] jane@example.com: We see errors",
            "[Opsgenie] jane@example.com: It was the disk",
            "[Opsgenie] somebody closed the alert",
        ],
    );
    assert_eq!(world.incidents_of(&alert).len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_webhook_states_are_equal_within_two_passes() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    lose_all(&world);
    let two_passes = async || {
        after_passes(&world, 2).await;
        world.settle().await;
    };
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    two_passes().await;
    assert!(world.alert_now(&alert).acknowledged);
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    two_passes().await;
    assert_eq!(world.incident_now(&incident).status, IncidentStatus::Triggered);
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    two_passes().await;
    assert_eq!(world.incident_now(&incident).status, IncidentStatus::Acknowledged);
    world.pagerduty.model().human_unacknowledges(&incident, ADA);
    two_passes().await;
    assert!(!world.alert_now(&alert).acknowledged);
    world.opsgenie.model().human_closes(&alert, JANE, None);
    two_passes().await;
    assert_eq!(world.incident_now(&incident).status, IncidentStatus::Resolved);
    // It is over, and found among the open ones again.
    world.pagerduty.model().human_reopens(&incident, BOB);
    two_passes().await;
    assert_eq!(world.reasons(&alert).await.last().map(String::as_str), Some("alert closed"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_webhook_notes_get_across_within_one_round() {
    let mut plan = plan();
    // No pass tells that anything has moved.
    plan.tuning.reconcile_every = Some(Duration::from_secs(3600));
    let world = plan.start().await;
    let mut linked = Vec::new();
    for number in 0..3 {
        linked.push(world.linked(&format!("Disk {number} full")).await);
    }
    lose_all(&world);
    for (alert, incident) in &linked {
        world.opsgenie.model().human_adds_note(alert, JANE, "We see errors");
        world.pagerduty.model().human_adds_note(incident, ADA, "On it");
    }
    let reads = |alert: &str| {
        let path = format!("/v2/alerts/{alert}/notes");
        world.opsgenie.model().calls().iter().filter(|call| call.method == "GET" && call.path == path).count()
    };
    let before: Vec<usize> = linked.iter().map(|(alert, _)| reads(alert)).collect();
    // The first reading may have begun before the note was written.
    let is_round = || linked.iter().zip(&before).all(|((alert, _), before)| reads(alert) >= before + 2);
    world.until("each link's turn has come", async || is_round()).await;
    world.settle().await;
    for (alert, incident) in &linked {
        note_on_incident(&world, incident, "[Opsgenie] jane@example.com: We see errors").await;
        note_on_alert(&world, alert, "[PagerDuty] Ada Oncall: On it").await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_comes_after_all_tells_nothing_twice() {
    let world = plan().start().await;
    world.hold_webhooks();
    let alert = world.alert("Disk full");
    world.until("the missed creation pages", async || world.incidents_of(&alert).len() == 1).await;
    let incident = world.incident_of(&alert).id;
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    world.pagerduty.model().human_adds_note(&incident, ADA, "On it");
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    note_on_incident(&world, &incident, "[Opsgenie] jane@example.com: We see errors").await;
    note_on_alert(&world, &alert, "[PagerDuty] Ada Oncall: On it").await;
    world.until("the alert is acknowledged", async || world.alert_now(&alert).acknowledged).await;
    world.settle().await;
    world.release_opsgenie();
    world.release_pagerduty();
    world.settle().await;
    after_passes(&world, 3).await;
    world.settle().await;
    let mut notes = world.incident_notes(&incident);
    notes.sort();
    assert_eq!(notes, ["On it", "[Opsgenie] jane@example.com: We see errors"]);
    let mut notes = world.alert_notes(&alert);
    notes.sort();
    let told = ["We see errors", "[PagerDuty] Ada Oncall acknowledged the incident", "[PagerDuty] Ada Oncall: On it"];
    let mut told = told.map(str::to_owned);
    told.sort();
    assert_eq!(notes, told);
    assert_eq!(world.incidents_of(&alert).len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_incident_and_an_open_alert_are_no_difference() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    world.settle().await;
    let (writes, decided) = (world.writes(), world.reasons(&alert).await);
    after_passes(&world, 4).await;
    world.settle().await;
    assert_eq!((world.writes(), world.reasons(&alert).await), (writes, decided));
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall resolved the incident"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_ours_that_is_under_way_is_no_difference() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().behaviour.hold_processing = true;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.until("it was asked for", async || !world.opsgenie.model().writes().is_empty()).await;
    after_passes(&world, 4).await;
    assert!(!world.alert_now(&alert).acknowledged);
    lose_all(&world);
    world.opsgenie.model().behaviour.hold_processing = false;
    world.opsgenie.model().release_processing();
    world.until("the alert is acknowledged", async || world.alert_now(&alert).acknowledged).await;
    world.settle().await;
    after_passes(&world, 4).await;
    world.settle().await;
    assert_eq!(world.incident_notes(&incident), [] as [&str; 0], "nothing comes back");
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall acknowledged the incident"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_lags_is_no_difference() {
    let mut plan = plan();
    plan.opsgenie.behaviour.read_lag_ms = 300;
    plan.pagerduty.behaviour.read_lag_ms = 300;
    let lag = Duration::from_millis(600);
    plan.tuning.read_lag = ReadLag { opsgenie: lag, pagerduty: lag };
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.until("the alert is acknowledged", async || world.alert_now(&alert).acknowledged).await;
    world.settle().await;
    // A pass may have been quicker than a webhook by then.
    let before = world.reasons(&alert).await;
    after_passes(&world, 30).await;
    world.settle().await;
    assert!(world.alert_now(&alert).acknowledged);
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall acknowledged the incident"]);
    assert_eq!(world.incident_notes(&incident), [] as [&str; 0]);
    assert_eq!(world.reasons(&alert).await, before);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_was_merged_without_a_word_is_followed() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    let (_, into) = world.linked("Everything down").await;
    world.pagerduty.model().human_adds_note(&into, BOB, "Written before they were one");
    world.settle().await;
    lose_all(&world);
    // Lists tell the second only, and the note must be told from what comes after the merge.
    let second = || crosspage::clock::now().as_millis() / 1000;
    let written_in = second();
    world.until("the next second begins", async || second() > written_in).await;
    world.pagerduty.model().human_merges(&incident, &into, BOB);
    note_on_alert(&world, &alert, &format!("[PagerDuty] Bob Backup merged the incident into {into}")).await;
    world.opsgenie.model().human_adds_note(&alert, JOHN, "And here");
    note_on_incident(&world, &into, "[Opsgenie] john@example.com: And here").await;
    after_passes(&world, 3).await;
    world.settle().await;
    let swallowed = world.alert_notes(&alert).into_iter().any(|note| note.contains("before they were one"));
    assert!(!swallowed, "what was written there before is not this alert's");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_outside_the_query_does_not_page_and_one_within_does() {
    let mut plan = plan().var("OPSGENIE_QUERY", "tag: prod");
    plan.tuning.notes_every = Some(Duration::from_secs(3600));
    let world = plan.start().await;
    lose_all(&world);
    let outside = world.alert("Not ours");
    let within = world.alert("Ours");
    world.opsgenie.model().human_adds_tags(&within, JANE, &["prod"]);
    world.until("the one within pages", async || world.incidents_of(&within).len() == 1).await;
    after_passes(&world, 3).await;
    assert!(world.incidents_of(&outside).is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_alert_is_told_of_though_no_list_shows_it() {
    let world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    lose_all(&world);
    world.opsgenie.model().human_deletes(&alert, JANE);
    note_on_incident(&world, &incident, "[Opsgenie] somebody deleted the alert").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_was_switched_off_comes_back_and_what_was_dropped_is_made_up_for() {
    let mut world = plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    // Nobody looks while the webhooks are dropped.
    world.stop_app().await;
    // Somebody else's server, who knows no such address.
    let stranger = simulators::opsgenie::Server::start(simulators::opsgenie::Options::default()).await.unwrap();
    world.pagerduty.webhook_to(&format!("{}/pd-webhook", stranger.url()));
    for text in ["one", "two", "three", "four"] {
        world.pagerduty.model().human_adds_note(&incident, ADA, text);
    }
    world.until_vendors("three were dropped", |world| world.pagerduty.model().is_subscription_disabled()).await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.start_app().await;
    world.until("it is on again", async || !world.pagerduty.model().is_subscription_disabled()).await;
    world.until("the alert is acknowledged", async || world.alert_now(&alert).acknowledged).await;
    {
        let pagerduty = world.pagerduty.model();
        let mut calls =
            pagerduty.calls().iter().map(|call| call.path.as_str()).skip_while(|path| !path.ends_with("/enable"));
        let next = calls.find(|path| ["/incidents", "/webhook_subscriptions"].contains(path));
        assert_eq!(next, Some("/incidents"), "the same pass compares");
    }
    for text in ["one", "two", "three", "four"] {
        note_on_alert(&world, &alert, &format!("[PagerDuty] Ada Oncall: {text}")).await;
    }
    // From here on, webhooks tell.
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    note_on_alert(&world, &alert, "[PagerDuty] Ada Oncall resolved the incident").await;
    world.settle().await;
    assert_eq!(world.alert_notes(&alert).len(), 6);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_crosspage_switches_its_subscription_on_again_and_says_so() {
    let stage = Stage::usual().await;
    let (process, address) = stage.start(&[("RECONCILE_INTERVAL_S", "1")]);
    let alert =
        stage.opsgenie.model().human_creates(NewAlert { user: JANE.to_owned(), ..NewAlert::titled("Disk full") });
    let incident = stage.incident_of(&alert);
    let stranger = simulators::opsgenie::Server::start(simulators::opsgenie::Options::default()).await.unwrap();
    stage.pagerduty.webhook_to(&format!("{}/pd-webhook", stranger.url()));
    for text in ["one", "two", "three", "four"] {
        stage.pagerduty.model().human_adds_note(&incident, ADA, text);
    }
    until("it was switched off and is on again", || process.output().contains("PagerDuty's webhooks are on again"));
    assert!(process.output().contains("PagerDuty has switched our webhooks off"));
    stage.pagerduty.webhook_to(&format!("http://{address}/pd-webhook"));
    for text in ["one", "two", "three", "four"] {
        let told = format!("[PagerDuty] Ada Oncall: {text}");
        until("what was dropped is made up for", || stage.alert_notes(&alert).contains(&told));
    }
    assert_eq!(process.terminate().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_link_that_a_pass_comes_by_ends_the_process_with_a_code_of_its_own() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[("RECONCILE_INTERVAL_S", "0")]);
    let alert =
        stage.opsgenie.model().human_creates(NewAlert { user: JANE.to_owned(), ..NewAlert::titled("Disk full") });
    stage.incident_of(&alert);
    assert_eq!(process.terminate().code, Some(0));
    let key = format!("l/{alert}").into_bytes();
    let backend = Backend::sled(&stage.folder.path().join("data/crosspage")).unwrap();
    let mut row = backend.get(&key).unwrap().unwrap();
    *row.last_mut().unwrap() ^= 1;
    backend.apply(&Batch::from([(key, Some(row))])).unwrap();
    backend.sync().unwrap();
    drop(backend);
    let (process, _) = stage.start(&[("RECONCILE_INTERVAL_S", "1")]);
    let ended = process.ended();
    assert_eq!(ended.code, Some(3), "{}", ended.output);
    assert!(ended.output.contains("the store has failed"), "{}", ended.output);
}

/// A world in which nobody looks unless it is ordered.
pub(crate) fn looks_when_ordered() -> Plan {
    let mut plan = plan();
    plan.tuning.reconcile_every = Some(Duration::from_secs(86_400));
    plan.tuning.notes_every = Some(Duration::from_secs(86_400));
    plan
}

pub(crate) async fn ordered_pass(world: &World, dry_run: bool) -> serde_json::Value {
    let url = format!("http://{}", world.app().admin_address());
    let request = reqwest::Client::new().post(format!("{url}/api/v1/reconcile")).header("origin", &url);
    let order = serde_json::json!({ "dry_run": dry_run });
    request.header("x-crosspage", "1").json(&order).send().await.unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ordered_pass_makes_up_for_what_was_lost_and_a_dry_one_only_tells() {
    let world = looks_when_ordered().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    ordered_pass(&world, false).await;
    world.settle().await;
    lose_all(&world);
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    let missed = world.alert("CPU busy");
    world.settle().await;
    let timeline = world.timeline(&alert).await.len();
    let writes = world.writes();
    for _ in 0..2 {
        let told = ordered_pass(&world, true).await;
        assert_eq!((told["dry_run"].as_bool(), told["differing"].as_u64()), (Some(true), Some(2)), "{told}");
        assert!(told["failures"].as_object().unwrap().is_empty(), "{told}");
        let seen = |alert: &str| {
            let differences = told["differences"].as_array().unwrap();
            differences.iter().find(|difference| difference["alert"] == alert).unwrap()["reason"].clone()
        };
        assert_eq!((seen(&alert), seen(&missed)), ("drift".into(), "joining".into()));
        world.settle().await;
        assert_eq!((world.timeline(&alert).await.len(), world.writes()), (timeline, writes), "nothing is changed");
    }
    let found = ordered_pass(&world, false).await;
    assert_eq!((found["dry_run"].as_bool(), found["differing"].as_u64()), (Some(false), Some(2)), "{found}");
    world.settle().await;
    assert!(world.alert_now(&alert).acknowledged);
    assert_eq!(world.incidents_of(&missed).len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reconciler_no_pass_can_be_ordered() {
    let world = World::new().await;
    let refused = ordered_pass(&world, true).await;
    assert_eq!(refused["error"]["code"], "conflict");
    assert!(refused["error"]["message"].as_str().unwrap().contains("RECONCILE_INTERVAL_S"), "{refused}");
    world.end().await;
}
