//! What happens to an alert shows on its incident: one story a row of the first table of the README.

use crate::harness::{JANE, JOHN, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_created_alert_pages() {
    let world = World::new().await;
    let mut new = simulators::opsgenie::NewAlert::titled("Disk full on db-1");
    new.description = "Less than 5 % left".to_owned();
    new.tags = vec!["prod".to_owned(), "db".to_owned()];
    new.entity = "db-1".to_owned();
    new.priority = "P2".to_owned();
    let alert = world.opsgenie.model().human_creates(new);
    world.settle().await;

    let incident = world.incident_of(&alert);
    assert_eq!(incident.title, "Disk full on db-1");
    assert_eq!(incident.urgency, "high");
    assert_eq!(incident.priority.as_deref(), Some("P2"));
    assert_eq!(incident.status, "triggered");
    for part in ["Less than 5 % left", "Entity: db-1", "Tags: prod, db", "Priority: P2", "Opsgenie alert: #"] {
        assert!(incident.body.contains(part), "{part} in {}", incident.body);
    }
    assert_eq!(incident.notes, []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_priority_pages_quietly() {
    let world = World::new().await;
    let mut new = simulators::opsgenie::NewAlert::titled("Certificate expires next month");
    new.priority = "P4".to_owned();
    let alert = world.opsgenie.model().human_creates(new);
    world.settle().await;
    assert_eq!(world.incident_of(&alert).urgency, "low");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_on_the_alert_shows_on_the_incident_with_its_author() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "Restarting replica");
    world.opsgenie.model().human_adds_note(&alert, JOHN, "Still bad");
    world.settle().await;
    let notes = world.incident_notes(&incident);
    assert_eq!(notes, ["[Opsgenie] jane@example.com: Restarting replica", "[Opsgenie] john@example.com: Still bad"]);
    assert_eq!(world.alert_notes(&alert).len(), 2, "nothing comes back");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_alert_acknowledges_the_incident_and_then_tells_who() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    assert_eq!(world.incident_notes(&incident), ["[Opsgenie] jane@example.com acknowledged the alert"]);
    let writes: Vec<String> =
        world.pagerduty.model().writes().iter().map(|call| format!("{} {}", call.method, call.path)).collect();
    let expected = [
        "POST /incidents".to_owned(),
        format!("PUT /incidents/{incident}"),
        format!("POST /incidents/{incident}/notes"),
    ];
    assert_eq!(writes, expected, "the state comes before the talk");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_let_go_of_pages_again() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "triggered");
    let told = "[Opsgenie] jane@example.com let go of the alert: it is not acknowledged any more";
    assert_eq!(world.incident_notes(&incident).last().map(String::as_str), Some(told));
    assert!(!world.alert_now(&alert).acknowledged);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_alert_resolves_the_incident_and_tells_who_and_why() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_closes(&alert, JANE, Some("Swapped the disk"));
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "resolved");
    assert_eq!(world.incident_notes(&incident), ["[Opsgenie] jane@example.com closed the alert: Swapped the disk"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_priority_shows_by_name_and_urgency() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_updates_priority(&alert, JANE, "P5");
    world.settle().await;
    let now = world.incident_now(&incident);
    assert_eq!((now.priority.as_deref(), now.urgency.as_str()), (Some("P5"), "low"));
    assert_eq!(now.notes, []);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_priority_does_not_take_the_incident_from_whoever_has_it() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_updates_priority(&alert, JANE, "P5");
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().human_updates_priority(&alert, JANE, "P1");
    world.settle().await;
    let now = world.incident_now(&incident);
    assert_eq!((now.priority.as_deref(), now.urgency.as_str()), (Some("P1"), "low"));
    assert_eq!(now.status, "acknowledged");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_priority_that_the_account_does_not_have_is_told_by_a_note() {
    let mut plan = crate::harness::Plan::new();
    plan.pagerduty.priorities = Vec::new();
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    assert_eq!(world.incident_now(&incident).priority, None);
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().human_updates_priority(&alert, JANE, "P1");
    world.settle().await;
    let told = "[Opsgenie] jane@example.com changed the priority to P1";
    assert_eq!(world.incident_notes(&incident).last().map(String::as_str), Some(told));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_pagerduty_has_no_counterpart_of_is_told_by_notes() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    {
        let mut opsgenie = world.opsgenie.model();
        opsgenie.human_takes_ownership(&alert, JANE);
        opsgenie.human_assigns(&alert, JANE, JOHN);
        opsgenie.human_snoozes(&alert, JANE, 3_600_000);
        opsgenie.human_escalates_to_next(&alert, JANE);
        opsgenie.behaviour.short_escalate_spelling = true;
        opsgenie.human_escalates_to_next(&alert, JOHN);
        opsgenie.human_deletes(&alert, JANE);
    }
    world.settle().await;
    assert_eq!(
        world.incident_notes(&incident),
        [
            "[Opsgenie] jane@example.com took ownership of the alert",
            "[Opsgenie] jane@example.com assigned the alert to john@example.com",
            "[Opsgenie] jane@example.com snoozed the alert",
            "[Opsgenie] jane@example.com escalated the alert to the next step",
            "[Opsgenie] john@example.com escalated the alert to the next step",
            "[Opsgenie] jane@example.com deleted the alert",
        ]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_details_messages_and_custom_actions_are_left_alone() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let before = world.writes();
    {
        let mut opsgenie = world.opsgenie.model();
        opsgenie.human_adds_tags(&alert, JANE, &["a", "b"]);
        opsgenie.human_removes_tags(&alert, JANE, &["a"]);
        opsgenie.human_adds_details(&alert, JANE, &[("region", "eu")]);
        opsgenie.human_updates_message(&alert, JANE, "Disk nearly full");
        opsgenie.runs_custom_action(&alert, JANE, "Restart service");
    }
    world.settle().await;
    assert_eq!(world.writes(), before);
    assert_eq!(world.incident_notes(&incident), [] as [&str; 0]);
    world.end().await;
}
