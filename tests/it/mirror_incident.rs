//! What happens to an incident shows on its alert: one story a row of the second table of the README.

use simulators::pagerduty::{AckTimeoutAgent, UnackEvents};

use crate::harness::{ADA, BOB, JANE, Plan, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_incident_acknowledges_the_alert_and_then_tells_who() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    assert!(world.alert_now(&alert).acknowledged);
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall acknowledged the incident"]);
    let writes: Vec<String> =
        world.opsgenie.model().writes().iter().map(|call| format!("{} {}", call.method, call.path)).collect();
    let expected = [format!("POST /v2/alerts/{alert}/acknowledge"), format!("POST /v2/alerts/{alert}/notes")];
    assert_eq!(writes, expected, "the state comes before the talk");
    assert_eq!(world.incident_notes(&incident), [] as [&str; 0], "nothing comes back");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_is_let_go_of_makes_the_alert_escalate_again() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    world.pagerduty.model().human_unacknowledges(&incident, ADA);
    world.settle().await;
    assert!(!world.alert_now(&alert).acknowledged);
    let told = "[PagerDuty] Ada Oncall let go of the incident: it is not acknowledged any more";
    assert_eq!(world.alert_notes(&alert).last().map(String::as_str), Some(told));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_that_times_out_is_told_as_such_whoever_is_named_for_it() {
    for agent in [AckTimeoutAgent::Null, AckTimeoutAgent::Service] {
        let mut plan = Plan::new();
        plan.pagerduty.behaviour.ack_timeout_agent = agent;
        let world = plan.start().await;
        let (alert, incident) = world.linked("Disk full").await;
        world.pagerduty.model().human_acknowledges(&incident, ADA);
        world.settle().await;
        world.pagerduty.model().ack_times_out(&incident);
        world.settle().await;
        assert!(!world.alert_now(&alert).acknowledged, "{agent:?}");
        let told = "[PagerDuty] The acknowledgement timed out: nobody works on the incident";
        assert_eq!(world.alert_notes(&alert).last().map(String::as_str), Some(told), "{agent:?}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn triggered_again_is_seen_in_the_status_of_any_event() {
    for events in [UnackEvents::Escalated, UnackEvents::Unacknowledged, UnackEvents::Both] {
        let mut plan = Plan::new();
        plan.pagerduty.behaviour.unack_events = events;
        let world = plan.start().await;
        let (alert, incident) = world.linked("Disk full").await;
        world.pagerduty.model().human_acknowledges(&incident, ADA);
        world.settle().await;
        world.pagerduty.model().human_escalates(&incident, BOB);
        world.settle().await;
        assert!(!world.alert_now(&alert).acknowledged, "{events:?}");
        let notes = world.alert_notes(&alert);
        assert_eq!(notes.iter().filter(|note| note.contains("let go of the incident")).count(), 1, "{notes:?}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_on_the_incident_shows_on_the_alert_with_its_author() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_adds_note(&incident, ADA, "Looking at it");
    world.pagerduty.model().human_adds_note(&incident, BOB, "Me too");
    world.settle().await;
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall: Looking at it", "[PagerDuty] Bob Backup: Me too"]);
    assert_eq!(world.incident_notes(&incident).len(), 2, "nothing comes back");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_note_is_fetched_whole_and_keeps_its_place() {
    let mut plan = Plan::new();
    plan.pagerduty.behaviour.note_trim_chars = Some(20);
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    let long = format!("{} the end", "a long story ".repeat(10));
    world.pagerduty.model().human_adds_note(&incident, ADA, &long);
    world.pagerduty.model().human_adds_note(&incident, ADA, "short");
    world.pagerduty.model().human_adds_note(&incident, BOB, &long);
    world.settle().await;
    assert_eq!(
        world.alert_notes(&alert),
        [
            format!("[PagerDuty] Ada Oncall: {long}"),
            "[PagerDuty] Ada Oncall: short".to_owned(),
            format!("[PagerDuty] Bob Backup: {long}"),
        ]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_incident_is_told_and_leaves_the_alert_open() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_resolves(&incident, ADA, Some("swapped the disk"));
    world.settle().await;
    assert_eq!(world.alert_now(&alert).status, "open");
    assert_eq!(
        world.alert_notes(&alert),
        ["[PagerDuty] Ada Oncall resolved the incident", "[PagerDuty] Ada Oncall: Resolution Note: swapped the disk",]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resolved_incident_closes_the_alert_where_that_is_wanted() {
    let world = Plan::new().var("ON_PAGERDUTY_RESOLVED", "close").start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    world.settle().await;
    assert_eq!(world.alert_now(&alert).status, "closed");
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall resolved the incident"]);
    assert_eq!(world.incident_notes(&incident), [] as [&str; 0], "nothing comes back");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_automation_resolves_is_told_as_such() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().integration_resolves(&incident);
    world.settle().await;
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] The incident was resolved automatically"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merged_incident_takes_its_alert_along() {
    let world = World::new().await;
    let (first_alert, first) = world.linked("Disk full on db-1").await;
    let (second_alert, second) = world.linked("Disk full on db-2").await;
    world.pagerduty.model().human_merges(&first, &second, ADA);
    world.settle().await;
    let told = format!("[PagerDuty] Ada Oncall merged the incident into {second}");
    assert_eq!(world.alert_notes(&first_alert), [told]);
    assert_eq!(world.alert_notes(&second_alert), [] as [&str; 0]);

    world.pagerduty.model().human_acknowledges(&second, BOB);
    world.pagerduty.model().human_adds_note(&second, BOB, "It is the shelf");
    world.settle().await;
    for alert in [&first_alert, &second_alert] {
        assert!(world.alert_now(alert).acknowledged);
        let notes = world.alert_notes(alert);
        assert!(notes.contains(&"[PagerDuty] Bob Backup: It is the shelf".to_owned()), "{notes:?}");
    }

    world.opsgenie.model().human_adds_note(&first_alert, JANE, "Which shelf?");
    world.settle().await;
    assert_eq!(
        world.incident_notes(&second),
        ["It is the shelf", "[Opsgenie] jane@example.com: Which shelf?"],
        "the first alert's notes go where its incident went"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_one_alert_of_a_merged_incident_shows_on_the_other_whichever_was_merged() {
    for merged_one_acts in [true, false] {
        let world = World::new().await;
        let (first_alert, first) = world.linked("Disk full on db-1").await;
        let (second_alert, second) = world.linked("Disk full on db-2").await;
        world.pagerduty.model().human_merges(&first, &second, ADA);
        world.settle().await;
        let (acting, other) =
            if merged_one_acts { (&first_alert, &second_alert) } else { (&second_alert, &first_alert) };
        world.opsgenie.model().human_acknowledges(acting, JANE);
        world.settle().await;
        assert_eq!(world.incident_now(&second).status, "acknowledged");
        assert!(world.alert_now(other).acknowledged, "{merged_one_acts}");
        world.opsgenie.model().human_closes(acting, JANE, None);
        world.settle().await;
        let told = world.alert_notes(other);
        assert!(told.iter().any(|note| note.contains("resolved the incident")), "{merged_one_acts}: {told:?}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merging_into_an_acknowledged_incident_acknowledges_the_alert() {
    let world = World::new().await;
    let (alert, first) = world.linked("Disk full on db-1").await;
    let (_, second) = world.linked("Disk full on db-2").await;
    world.pagerduty.model().human_acknowledges(&second, ADA);
    world.settle().await;
    world.pagerduty.model().human_merges(&first, &second, ADA);
    world.settle().await;
    assert!(world.alert_now(&alert).acknowledged);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reopened_incident_is_told_and_an_acknowledged_alert_is_open_again() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    world.settle().await;
    world.pagerduty.model().human_reopens(&incident, BOB);
    world.settle().await;
    assert!(!world.alert_now(&alert).acknowledged);
    let told = "[PagerDuty] Bob Backup reopened the incident";
    assert_eq!(world.alert_notes(&alert).last().map(String::as_str), Some(told));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_alert_cannot_be_reopened_and_the_reason_says_so() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_closes(&alert, JANE, None);
    world.settle().await;
    let before = world.opsgenie.model().writes().len();
    world.pagerduty.model().human_reopens(&incident, BOB);
    world.settle().await;
    assert_eq!(world.alert_now(&alert).status, "closed");
    assert_eq!(world.opsgenie.model().writes().len(), before);
    assert_eq!(world.reasons(&alert).await.last().map(String::as_str), Some("alert closed"));
    assert_eq!(world.incident_now(&incident).status, "triggered");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_incident_is_left_alone() {
    let world = World::new().await;
    let before = world.writes();
    let incident = world.pagerduty.model().human_triggers("Coffee machine", ADA);
    world.pagerduty.model().human_adds_note(&incident, ADA, "Out of beans");
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    world.settle().await;
    assert_eq!(world.writes(), before);
    assert!(world.opsgenie.model().alert_ids().is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reassignment_and_a_new_priority_of_the_incident_are_left_alone() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let before = world.writes();
    world.pagerduty.model().human_reassigns(&incident, ADA, BOB);
    world.pagerduty.model().human_updates_priority(&incident, ADA, "P5");
    world.settle().await;
    assert_eq!(world.writes(), before);
    assert_eq!(world.alert_now(&alert).priority, "P2");
    world.end().await;
}
