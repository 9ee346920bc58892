//! The rules that the two tables rest on: level instead of edge, order, late joins, notes told apart, limits.

use simulators::opsgenie::{NewAlert, UpdatedAtStyle};
use simulators::{Fault, pagerduty};

use crate::harness::{ADA, JANE, JOHN, Plan, World};

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_in_the_wrong_order_end_in_the_right_state() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    {
        let mut opsgenie = world.opsgenie.model();
        opsgenie.faults.webhooks.hold = true;
        opsgenie.faults.webhooks.reverse_on_release = true;
        opsgenie.human_acknowledges(&alert, JANE);
    }
    // A moment later by Opsgenie's clock, which the simulator tells in milliseconds.
    world
        .until("the clock has moved on", async || {
            world.opsgenie.model().alert(&alert).unwrap().updated_at_ms < now_ms()
        })
        .await;
    {
        let mut opsgenie = world.opsgenie.model();
        opsgenie.human_unacknowledges(&alert, JANE);
        opsgenie.faults.webhooks.hold = false;
        opsgenie.release_webhooks();
    }
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "triggered");
    let reasons = world.reasons(&alert).await;
    assert!(reasons.contains(&"stale".to_owned()), "{reasons:?}");
    world.end().await;
}

fn now_ms() -> i64 {
    crosspage::clock::now().as_millis()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_acknowledging_at_once_is_in_step() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.at_once(|| {
        world.opsgenie.model().human_acknowledges(&alert, JANE);
        world.pagerduty.model().human_acknowledges(&incident, ADA);
    });
    world.settle().await;
    assert!(world.alert_now(&alert).acknowledged);
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_create_for_another_team_is_a_duplicate() {
    let mut plan = Plan::new();
    plan.opsgenie.behaviour.second_create_for_team = true;
    let world = plan.start().await;
    let (alert, _) = world.linked("Disk full").await;
    assert_eq!(world.incidents_of(&alert).len(), 1);
    assert!(world.reasons(&alert).await.contains(&"duplicate".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shape_of_the_time_and_of_the_priority_is_taken() {
    for style in [UpdatedAtStyle::Nanos, UpdatedAtStyle::Millis, UpdatedAtStyle::String, UpdatedAtStyle::Missing] {
        let mut plan = Plan::new();
        plan.opsgenie.behaviour.updated_at_style = style;
        plan.opsgenie.behaviour.priority_as_integer = true;
        plan.opsgenie.behaviour.integration_type_missing = true;
        plan.opsgenie.behaviour.source_web_api_style = true;
        let world = plan.start().await;
        let (alert, incident) = world.linked("Disk full").await;
        world.opsgenie.model().human_acknowledges(&alert, JANE);
        world.opsgenie.model().human_adds_note(&alert, JANE, "hello");
        world.settle().await;
        assert_eq!(world.incident_now(&incident).status, "acknowledged", "{style:?}");
        assert_eq!(world.incident_notes(&incident).len(), 2, "{style:?}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_given_with_a_close_shows_once_whether_it_comes_in_one_webhook_or_in_two() {
    for two in [false, true] {
        let mut plan = Plan::new();
        plan.opsgenie.behaviour.ack_with_note_sends_addnote_too = two;
        let world = plan.start().await;
        let (alert, incident) = world.linked("Disk full").await;
        world.opsgenie.model().human_closes(&alert, JANE, Some("Swapped the disk"));
        world.settle().await;
        let notes = world.incident_notes(&incident);
        assert_eq!(notes.iter().filter(|note| note.contains("Swapped the disk")).count(), 1, "{two}: {notes:?}");
        assert_eq!(world.incident_now(&incident).status, "resolved");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_somebody_writes_twice_shows_twice() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    for _ in 0..2 {
        world.opsgenie.model().human_adds_note(&alert, JANE, "any news?");
        world.pagerduty.model().human_adds_note(&incident, ADA, "no");
    }
    world.settle().await;
    let asked = world.incident_notes(&incident).iter().filter(|note| note.contains("any news?")).count();
    let answered = world.alert_notes(&alert).iter().filter(|note| note.ends_with(": no")).count();
    assert_eq!((asked, answered), (2, 2));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missed_creation_is_made_up_for_by_the_next_event() {
    let world = World::new().await;
    let alert = world.opsgenie.model().silently(|opsgenie| {
        let alert = opsgenie.human_creates(NewAlert { priority: "P1".to_owned(), ..NewAlert::titled("Disk full") });
        opsgenie.human_acknowledges(&alert, JANE);
        alert
    });
    world.opsgenie.model().human_adds_note(&alert, JOHN, "anybody there?");
    world.settle().await;
    let incident = world.incident_of(&alert);
    assert_eq!(incident.title, "Disk full");
    assert_eq!(incident.priority.as_deref(), Some("P1"));
    assert_eq!(incident.status, "acknowledged", "what was missed as well is made up for by the alert's state");
    assert_eq!(
        world.incident_notes(&incident.id),
        ["[Opsgenie] john@example.com: anybody there?", "[Opsgenie] somebody acknowledged the alert"]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_was_closed_meanwhile_is_not_joined() {
    let world = World::new().await;
    let alert = world.opsgenie.model().silently(|opsgenie| opsgenie.human_creates(NewAlert::titled("Disk full")));
    {
        let mut opsgenie = world.opsgenie.model();
        opsgenie.human_adds_note(&alert, JOHN, "anybody there?");
        opsgenie.silently(|opsgenie| opsgenie.human_closes(&alert, JOHN, None));
    }
    world.settle().await;
    assert_eq!(world.incidents_of(&alert), []);
    world.opsgenie.model().human_adds_note(&alert, JOHN, "never mind");
    world.settle().await;
    assert_eq!(world.incidents_of(&alert), []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_from_before_crosspage_first_ran_never_page() {
    let mut world = World::new().await;
    world.stop_app().await;
    let fresh = tempfile::tempdir().unwrap();
    let alert = world.opsgenie.model().silently(|opsgenie| opsgenie.human_creates(NewAlert::titled("Old story")));
    world
        .until("the clock has moved on", async || {
            world.opsgenie.model().alert(&alert).unwrap().created_at_ms < now_ms()
        })
        .await;
    // A new store: crosspage runs here for the first time, after the alert.
    world.set_var("DATABASE_URL", &format!("sled://{}", fresh.path().join("store").display()));
    world.start_app().await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "still open");
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    assert_eq!(world.incidents_of(&alert), []);
    assert_eq!(world.pagerduty.model().writes().len(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_overtakes_the_answer_to_the_create_waits_for_it() {
    let world = World::new().await;
    // The create has its effect at once, and its answer and its webhook come late.
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::Delay(300));
    world.pagerduty.model().faults.webhooks.lose_next = 1;
    let alert = world.alert("Disk full");
    world.until("the incident exists", async || !world.incidents_of(&alert).is_empty()).await;
    let incident = world.incident_of(&alert).id;
    for text in ["first", "second", "third"] {
        world.pagerduty.model().human_adds_note(&incident, ADA, text);
    }
    world.until("the notes were taken", async || world.pagerduty.model().webhooks_sent().len() >= 3).await;
    world.settle().await;
    assert_eq!(
        world.alert_notes(&alert),
        ["[PagerDuty] Ada Oncall: first", "[PagerDuty] Ada Oncall: second", "[PagerDuty] Ada Oncall: third"]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_change_does_not_revive_what_a_person_has_resolved() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    // PagerDuty's webhooks are on their way while somebody acknowledges the alert.
    world.pagerduty.model().faults.webhooks.hold = true;
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "resolved");
    assert_eq!(
        world.alert_notes(&alert),
        ["[PagerDuty] The incident is resolved already, so the acknowledgement was not passed on"],
        "the alert is told, and only once"
    );
    world.pagerduty.model().faults.webhooks.hold = false;
    world.pagerduty.model().release_webhooks();
    world.settle().await;
    let notes = world.alert_notes(&alert);
    assert_eq!(notes.last().map(String::as_str), Some("[PagerDuty] Ada Oncall resolved the incident"), "{notes:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolve_that_slips_in_before_our_write_is_restored() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    world.settle().await;
    // As if our acknowledgement had been on its way: PagerDuty reopens what is acknowledged late.
    let url = format!("{}/incidents/{incident}", world.pagerduty.url());
    let options = pagerduty::Options::default();
    let late = reqwest::Client::new()
        .put(url)
        .header("authorization", format!("Token token={}", options.api_key))
        .header("from", options.automation.email)
        .json(&serde_json::json!({ "incident": { "type": "incident_reference", "status": "acknowledged" } }))
        .send()
        .await
        .unwrap();
    assert!(late.status().is_success());
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "resolved");
    let notes = world.alert_notes(&alert);
    assert!(notes.iter().any(|note| note.contains("it is resolved again")), "{notes:?}");
    assert!(!world.alert_now(&alert).acknowledged);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_cut_with_a_visible_mark() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_adds_note(&incident, ADA, &"ä".repeat(30_000));
    world.settle().await;
    let notes = world.alert_notes(&alert);
    assert_eq!(notes[0].chars().count(), 25_000);
    assert!(notes[0].ends_with("ä […]"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_does_not_die_of_an_optional_field() {
    let mut plan = Plan::new();
    plan.pagerduty.behaviour.max_details_bytes = Some(100);
    let world = plan.start().await;
    let new = NewAlert {
        description: "a long story ".repeat(20),
        priority: "P1".to_owned(),
        ..NewAlert::titled("Disk full")
    };
    let alert = world.opsgenie.model().human_creates(new);
    world.settle().await;
    let incident = world.incident_of(&alert);
    assert_eq!((incident.title.as_str(), incident.body.as_str()), ("Disk full", ""));
    let notes = world.incident_notes(&incident.id);
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("a long story") && notes[0].contains("Priority: P1"), "{notes:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_an_alert_that_was_deleted() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_deletes(&alert, JANE);
    world.settle().await;
    let before = world.opsgenie.model().calls().len();
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.pagerduty.model().human_adds_note(&incident, ADA, "hello?");
    world.settle().await;
    assert_eq!(world.opsgenie.model().calls().len(), before);
    assert_eq!(world.reasons(&alert).await.last().map(String::as_str), Some("alert deleted"));
    world.end().await;
}
