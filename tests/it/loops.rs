//! Nothing goes round in circles: each guard by itself, and all that is left when the others are taken away.

use simulators::pagerduty::{RestAgent, UsersLookup};

use crate::harness::{ADA, JANE, Plan, World};

/// A person's whole repertoire on both sides, one thing after the other.
async fn everything_once(world: &World) -> (String, String) {
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    world.settle().await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    world.pagerduty.model().human_adds_note(&incident, ADA, "On it");
    world.settle().await;
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().human_closes(&alert, JANE, None);
    world.settle().await;
    (alert, incident)
}

/// Create; a note; ack and its note; a note; un-ack and its note; ack and its note; resolve and its note.
const WRITES_FOR_EVERYTHING_ONCE: usize = 1 + 1 + 2 + 1 + 2 + 2 + 2;

async fn check_no_loop(world: World) {
    let (alert, incident) = everything_once(&world).await;
    assert_eq!(world.writes(), WRITES_FOR_EVERYTHING_ONCE);
    assert_eq!(
        world.incident_notes(&incident),
        [
            "[Opsgenie] jane@example.com: We see errors",
            "On it",
            "[Opsgenie] jane@example.com let go of the alert: it is not acknowledged any more",
            "[Opsgenie] jane@example.com acknowledged the alert",
            "[Opsgenie] jane@example.com closed the alert",
        ]
    );
    assert_eq!(
        world.alert_notes(&alert),
        ["We see errors", "[PagerDuty] Ada Oncall acknowledged the incident", "[PagerDuty] Ada Oncall: On it"]
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_action_of_a_person_shows_once() {
    check_no_loop(World::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_automation_user_makes_no_loop_even_if_users_cannot_be_looked_up() {
    let mut plan = Plan::new().var("PAGERDUTY_USER", "Somebody Else");
    plan.pagerduty.behaviour.users_lookup = UsersLookup::Forbidden;
    check_no_loop(plan.start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_without_an_agent_make_no_loop() {
    let mut plan = Plan::new();
    plan.pagerduty.behaviour.agent_of_rest_writes = RestAgent::Null;
    check_no_loop(plan.start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opsgenie_webhooks_that_do_not_tell_our_marker_make_no_loop() {
    let mut plan = Plan::new();
    plan.opsgenie.behaviour.user_marker_in_username = false;
    plan.opsgenie.behaviour.source_marker_in_source_name = false;
    check_no_loop(plan.start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_actor_hidden_there_is_still_no_loop() {
    let mut plan = Plan::new().var("PAGERDUTY_USER", "Somebody Else");
    plan.pagerduty.behaviour.users_lookup = UsersLookup::Forbidden;
    plan.pagerduty.behaviour.agent_of_rest_writes = RestAgent::Null;
    plan.opsgenie.behaviour.user_marker_in_username = false;
    plan.opsgenie.behaviour.source_marker_in_source_name = false;
    plan.opsgenie.behaviour.noop_ack_sends_webhook = true;
    check_no_loop(plan.start().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_webhooks_change_nothing() {
    let world = World::new().await;
    world.opsgenie.model().faults.webhooks.repeat_each = 2;
    world.pagerduty.model().faults.webhooks.repeat_each = 2;
    check_no_loop(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_automation_users_id_is_learnt_from_answers_when_the_look_up_is_refused() {
    let mut plan = Plan::new().var("PAGERDUTY_USER", "Somebody Else");
    plan.pagerduty.behaviour.users_lookup = UsersLookup::Forbidden;
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "first");
    world.settle().await;
    // Somebody works under the automation user's account: from here on that counts as ours, whatever it is called.
    world.pagerduty.model().human_adds_note(&incident, "PAUTO01", "written by the bot's account");
    world.settle().await;
    assert_eq!(world.alert_notes(&alert), ["first"]);
    let reasons = world.reasons(&alert).await;
    assert_eq!(reasons.last().map(String::as_str), Some("echo (actor)"), "{reasons:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_of_ours_is_known_by_its_text_once_and_a_persons_equal_one_is_passed_on() {
    let mut plan = Plan::new().var("PAGERDUTY_USER", "Somebody Else");
    plan.pagerduty.behaviour.users_lookup = UsersLookup::Forbidden;
    plan.opsgenie.behaviour.user_marker_in_username = false;
    plan.opsgenie.behaviour.source_marker_in_source_name = false;
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_adds_note(&incident, ADA, "hello");
    world.settle().await;
    let ours = "[PagerDuty] Ada Oncall: hello";
    assert_eq!(world.alert_notes(&alert), [ours]);
    world.opsgenie.model().human_adds_note(&alert, JANE, ours);
    world.settle().await;
    assert_eq!(world.incident_notes(&incident), ["hello".to_owned(), format!("[Opsgenie] jane@example.com: {ours}")]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guards_outlive_a_restart() {
    let mut plan = Plan::new().var("PAGERDUTY_USER", "Somebody Else");
    plan.pagerduty.behaviour.users_lookup = UsersLookup::Forbidden;
    let mut world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    // The echoes are held back until crosspage has been started anew.
    world.pagerduty.model().faults.webhooks.hold = true;
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.restart_app().await;
    {
        let mut pagerduty = world.pagerduty.model();
        pagerduty.faults.webhooks.hold = false;
        pagerduty.release_webhooks();
    }
    world.settle().await;
    assert_eq!(world.alert_notes(&alert), ["We see errors"]);
    assert_eq!(world.incident_notes(&incident).len(), 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whose_address_was_once_the_automation_users_is_a_person_again() {
    let mut plan = Plan::new().var("PAGERDUTY_EMAIL", "ada@acme.test").var("PAGERDUTY_USER", "Ada Oncall");
    plan.opsgenie.processing_ms = 1;
    let mut world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.set_var("PAGERDUTY_EMAIL", "bot@acme.test");
    world.set_var("PAGERDUTY_USER", "Sync Bot");
    world.restart_app().await;
    world.pagerduty.model().human_adds_note(&incident, ADA, "It is me");
    world.settle().await;
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall: It is me"]);
    world.end().await;
}
