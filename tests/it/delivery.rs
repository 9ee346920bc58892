//! What happens when a call goes wrong: one story an outcome of a vendor call.

use crosspage::engine::{AlertAction, Event, EventBody};
use simulators::{Fault, Flaky};

use crate::harness::{ADA, JANE, Plan, TOO_LONG, World};

/// Whether a note shows exactly once on each side, whatever fault the first write of it meets.
async fn check_note_shows_once(fault: Fault) {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.once("POST", "/notes", fault.clone());
    world.opsgenie.model().faults.once("POST", "/notes", fault.clone());
    world.opsgenie.model().human_adds_note(&alert, JANE, "to the incident");
    world.opsgenie.model().human_adds_note(&alert, JANE, "and after it");
    world.pagerduty.model().human_adds_note(&incident, ADA, "to the alert");
    world.pagerduty.model().human_adds_note(&incident, ADA, "and after that");
    world.settle().await;
    let from_alert: Vec<String> =
        world.incident_notes(&incident).into_iter().filter(|note| note.starts_with("[Opsgenie]")).collect();
    let from_incident: Vec<String> =
        world.alert_notes(&alert).into_iter().filter(|note| note.starts_with("[PagerDuty]")).collect();
    assert_eq!(
        from_alert,
        ["[Opsgenie] jane@example.com: to the incident", "[Opsgenie] jane@example.com: and after it"],
        "{fault:?}"
    );
    assert_eq!(
        from_incident,
        ["[PagerDuty] Ada Oncall: to the alert", "[PagerDuty] Ada Oncall: and after that"],
        "{fault:?}"
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_met_a_server_error_before_its_effect_shows_once() {
    check_note_shows_once(Fault::status(500)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_met_a_server_error_after_its_effect_shows_once() {
    check_note_shows_once(Fault::StatusAfter(502)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_whose_connection_broke_before_its_effect_shows_once() {
    check_note_shows_once(Fault::ResetBefore).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_whose_connection_broke_after_its_effect_shows_once() {
    check_note_shows_once(Fault::ResetAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_whose_answer_cannot_be_read_shows_once() {
    check_note_shows_once(Fault::GarbageAfter).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_that_is_throttled_shows_once() {
    check_note_shows_once(Fault::Throttle { with_headers: false, reset_s: 1 }).await;
    check_note_shows_once(Fault::Throttle { with_headers: true, reset_s: 1 }).await;
}

/// Whether a vendor is left alone for the two seconds that the fault asks for.
async fn check_hold(status: u16, fault: Fault) {
    let world = World::new().await;
    let (alert, _) = world.linked("Disk full").await;
    let (other, _) = world.linked("CPU busy").await;
    world.pagerduty.model().faults.once("POST", "/notes", fault);
    world.opsgenie.model().human_adds_note(&alert, JANE, "throttled");
    let throttled_at =
        || world.pagerduty.model().calls().iter().find(|call| call.status == status).map(|call| call.at_ms);
    world.until("the note was throttled", async || throttled_at().is_some()).await;
    world.opsgenie.model().human_adds_note(&other, JANE, "another link waits as well");
    world.settle().await;
    let throttled_at = throttled_at().unwrap();
    let calls = world.pagerduty.model().calls().to_vec();
    let next = calls.iter().filter(|call| call.status != status).map(|call| call.at_ms).find(|at| *at >= throttled_at);
    assert!(next.unwrap() >= throttled_at + 2_000);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_says_how_long_to_wait_is_left_alone_for_so_long() {
    check_hold(429, Fault::Throttle { with_headers: true, reset_s: 2 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_out_of_order_is_left_alone_for_as_long_as_it_says() {
    let headers = vec![("retry-after".to_owned(), "2".to_owned())];
    check_hold(503, Fault::Status { code: 503, body: String::new(), headers }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_whose_answer_never_comes_shows_once() {
    let mut plan = Plan::new();
    plan.tuning.http.timeout = std::time::Duration::from_millis(300);
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.once("POST", "/notes", Fault::Hang);
    world.opsgenie.model().human_adds_note(&alert, JANE, "hello");
    world.settle().await;
    assert_eq!(world.incident_notes(&incident), ["[Opsgenie] jane@example.com: hello"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_makes_one_incident_whatever_becomes_of_its_answer() {
    let world = World::new().await;
    for fault in [
        Fault::status(503),
        Fault::status(408),
        Fault::StatusAfter(500),
        Fault::ResetBefore,
        Fault::ResetAfter,
        Fault::GarbageAfter,
    ] {
        world.pagerduty.model().faults.once("POST", "/incidents", fault.clone());
        // Without the webhook, only looking tells.
        world.pagerduty.model().faults.webhooks.lose_next = 1;
        let alert = world.alert("Disk full");
        world.settle().await;
        assert_eq!(world.incidents_of(&alert).len(), 1, "{fault:?}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_exists_already_is_taken_for_its_own() {
    let world = World::new().await;
    // The look-up after the lost answer finds nothing yet, so the create is sent again and refused as a duplicate.
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::ResetAfter);
    world.pagerduty.model().faults.webhooks.lose_next = 1;
    world.pagerduty.model().behaviour.read_lag_ms = 600_000;
    let alert = world.alert("Disk full");
    let creates = || -> Vec<u16> {
        let model = world.pagerduty.model();
        let calls = model.calls().iter();
        calls
            .filter(|call| (call.method.as_str(), call.path.as_str()) == ("POST", "/incidents"))
            .map(|c| c.status)
            .collect()
    };
    world.until("it was sent again, and refused", async || creates().contains(&400)).await;
    assert!(creates().len() >= 2, "{:?}", creates());
    world.pagerduty.model().behaviour.read_lag_ms = 0;
    world.settle().await;
    let incident = world.incident_of(&alert);
    world.opsgenie.model().human_adds_note(&alert, JANE, "hello");
    world.settle().await;
    assert_eq!(world.incident_notes(&incident.id), ["[Opsgenie] jane@example.com: hello"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_reached_already_is_no_error() {
    use simulators::pagerduty::Taken;
    let mut plan = Plan::new();
    plan.pagerduty.behaviour.reack = Taken::Refused;
    plan.pagerduty.behaviour.resolve_again = Taken::Refused;
    plan.opsgenie.behaviour.reack_is_success = false;
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    // Either side is told by crosspage what a person has done there already.
    world.hold_webhooks();
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.release_pagerduty();
    world.settle().await;
    let path = format!("/v2/alerts/{alert}");
    let calls: Vec<_> =
        world.opsgenie.model().calls().iter().map(|call| (call.method.clone(), call.path.clone())).collect();
    let written = calls.iter().position(|call| *call == ("POST".to_owned(), format!("{path}/acknowledge")));
    let read = calls.iter().position(|call| *call == ("GET".to_owned(), path.clone()));
    assert!(written.is_some() && written < read, "refused, and looked into: {calls:?}");
    world.release_opsgenie();
    world.settle().await;
    world.hold_webhooks();
    world.opsgenie.model().human_closes(&alert, JANE, None);
    world.pagerduty.model().human_resolves(&incident, ADA, None);
    world.release_opsgenie();
    world.settle().await;
    world.release_pagerduty();
    world.settle().await;
    assert_eq!(world.app().store().dead_letters(None, 100).await.unwrap().len(), 0);
    assert_eq!(world.incident_now(&incident).status, "resolved");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_note_is_a_dead_letter_and_holds_up_nothing() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.once("POST", "/notes", Fault::status(403));
    world.opsgenie.model().human_adds_note(&alert, JANE, "refused");
    world.opsgenie.model().human_adds_note(&alert, JANE, "taken");
    world.settle().await;
    assert_eq!(world.incident_notes(&incident), ["[Opsgenie] jane@example.com: taken"]);
    let dead = world.app().store().dead_letters(None, 100).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.contains("403"), "{}", dead[0].reason);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_parks_what_is_bound_for_pagerduty_and_nothing_else() {
    let world = World::new().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let sick = world.alert("Disk full");
    world.settle().await;
    world.opsgenie.model().human_adds_note(&sick, JANE, "kept for later");
    let (_, healthy) = world.linked("CPU busy").await;
    assert_eq!(world.incident_now(&healthy).status, "triggered");
    assert_eq!(world.incidents_of(&sick), []);
    let summary = world.app().store().summary().await.unwrap();
    assert_eq!((summary.dead_letters, summary.pagerduty.parked, summary.pagerduty.entries), (1, 1, 1), "{summary:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_pauses_the_vendor_and_burns_nothing() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.always("", "", Fault::status(401));
    world.opsgenie.model().human_adds_note(&alert, JANE, "hello");
    let probed = || world.pagerduty.model().calls().iter().filter(|call| call.path == "/abilities").count();
    world.until("crosspage asks whether it is let in again", async || probed() >= 3).await;
    let refused = world.pagerduty.model().writes().iter().filter(|call| call.status == 401).count();
    assert_eq!(refused, 1, "a paused vendor is not written to");
    world.pagerduty.model().human_adds_note(&incident, ADA, "the other direction is not paused");
    world.until("the alert is told", async || world.alert_notes(&alert).len() == 2).await;
    let entry = world.app().store().entries(&alert.as_str().try_into().unwrap()).await.unwrap().remove(0);
    assert_eq!((entry.attempt, entry.waited_ms), (0, 0));

    world.pagerduty.model().faults.clear();
    world.settle().await;
    assert!(world.incident_notes(&incident).contains(&"[Opsgenie] jane@example.com: hello".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_from_address_pauses_pagerduty() {
    let world = Plan::new().var("PAGERDUTY_EMAIL", "nobody@acme.test").start().await;
    let alert = world.alert("Disk full");
    let probed = || world.pagerduty.model().calls().iter().any(|call| call.path == "/abilities");
    world.until("PagerDuty is paused", async || probed()).await;
    assert_eq!(world.incidents_of(&alert), []);
    assert_eq!(world.app().store().dead_letters(None, 100).await.unwrap().len(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_look_up_pauses_nothing() {
    let world = World::new().await;
    world.pagerduty.model().faults.always("GET", "/priorities", Fault::status(401));
    let (_, incident) = world.linked("Disk full").await;
    assert_eq!(world.incident_now(&incident).priority, None);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opsgenie_request_that_is_not_carried_out_is_looked_into() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let fails = Fault::RequestFails("Something went wrong".to_owned());
    world.opsgenie.model().faults.once("POST", "/acknowledge", fails.clone());
    world.opsgenie.model().faults.once("POST", "/notes", fails);
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    assert!(world.alert_now(&alert).acknowledged);
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall acknowledged the incident"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_does_not_exist_any_more_is_a_dead_letter() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().silently(|opsgenie| opsgenie.human_deletes(&alert, JANE));
    world.pagerduty.model().human_adds_note(&incident, ADA, "hello?");
    world.settle().await;
    let dead = world.app().store().dead_letters(None, 100).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.contains("Alert does not exist"), "{}", dead[0].reason);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_request_of_opsgenie_is_waited_for_and_does_not_hold_up_other_links() {
    let mut plan = Plan::new();
    plan.tuning.delivery.concurrency = 1;
    let world = plan.start().await;
    let pairs = [world.linked("one").await, world.linked("two").await, world.linked("three").await];
    world.opsgenie.model().behaviour.hold_processing = true;
    for (_, incident) in &pairs {
        world.pagerduty.model().human_acknowledges(incident, ADA);
    }
    world.until("all three were sent", async || world.opsgenie.model().writes().len() == 3).await;
    assert!(pairs.iter().all(|(alert, _)| !world.alert_now(alert).acknowledged), "none is carried out");
    world.opsgenie.model().release_processing();
    world.settle().await;
    assert!(pairs.iter().all(|(alert, _)| world.alert_now(alert).acknowledged && world.alert_notes(alert).len() == 1));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_sick_link_does_not_hold_up_another() {
    let mut plan = Plan::new();
    plan.tuning.delivery.concurrency = 1;
    let world = plan.start().await;
    let (sick_alert, sick) = world.linked("sick").await;
    let (alert, incident) = world.linked("healthy").await;
    world.pagerduty.model().faults.always("", &sick, Fault::status(500));
    world.opsgenie.model().human_acknowledges(&sick_alert, JANE);
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.until("the healthy one is through", async || world.incident_notes(&incident).len() == 1).await;
    world.pagerduty.model().human_adds_note(&sick, ADA, "the other direction of the sick one is not held up either");
    world.until("the sick alert is told", async || world.alert_notes(&sick_alert).len() == 1).await;
    assert_eq!(world.incident_now(&sick).status, "triggered");
    world.pagerduty.model().faults.clear();
    world.settle().await;
    assert_eq!(world.incident_now(&sick).status, "acknowledged");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_is_closed_before_its_page_went_out_pages_nobody() {
    let world = World::new().await;
    world.pagerduty.model().faults.always("POST", "/incidents", Fault::status(429));
    let alert = world.alert("Disk full");
    world.opsgenie.model().human_adds_note(&alert, JANE, "false alarm");
    let refused = || world.pagerduty.model().writes().len();
    world.until("the create was tried", async || refused() > 0).await;
    world.opsgenie.model().human_closes(&alert, JANE, None);
    world.until("the close was taken", async || world.reasons(&alert).await.len() >= 3).await;
    world.pagerduty.model().faults.clear();
    world.settle().await;
    assert_eq!(world.incidents_of(&alert), []);
    assert_eq!(world.app().store().dead_letters(None, 100).await.unwrap().len(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_both_vendors_loses_nothing_and_keeps_the_order() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.flaky = Some(Flaky { seed: 7, one_in: 3 });
    world.opsgenie.model().faults.flaky = Some(Flaky { seed: 8, one_in: 3 });
    for number in 0..5 {
        world.opsgenie.model().human_adds_note(&alert, JANE, &format!("note {number}"));
        world.pagerduty.model().human_adds_note(&incident, ADA, &format!("answer {number}"));
    }
    world.settle().await;
    let notes = world.incident_notes(&incident);
    let passed_on: Vec<&String> = notes.iter().filter(|note| note.starts_with("[Opsgenie]")).collect();
    let expected: Vec<String> = (0..5).map(|number| format!("[Opsgenie] jane@example.com: note {number}")).collect();
    assert_eq!(passed_on, expected.iter().collect::<Vec<_>>());
    let notes = world.alert_notes(&alert);
    let passed_on: Vec<&String> = notes.iter().filter(|note| note.starts_with("[PagerDuty]")).collect();
    let expected: Vec<String> = (0..5).map(|number| format!("[PagerDuty] Ada Oncall: answer {number}")).collect();
    assert_eq!(passed_on, expected.iter().collect::<Vec<_>>());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_question_whether_we_are_let_in_again_does_not_hold_up_the_end() {
    let mut plan = Plan::new();
    plan.tuning.http.timeout = TOO_LONG * 10;
    let mut world = plan.start().await;
    let (alert, _) = world.linked("Disk full").await;
    world.pagerduty.model().faults.always("GET", "/abilities", Fault::Hang);
    world.pagerduty.model().faults.always("", "/incidents", Fault::status(401));
    world.opsgenie.model().human_adds_note(&alert, JANE, "hello");
    let asked = || world.pagerduty.model().calls().iter().any(|call| call.path == "/abilities");
    world.until("crosspage asks whether it is let in again", async || asked()).await;
    tokio::time::timeout(TOO_LONG, world.stop_app()).await.expect("it ends without the answer");
    world.end().await;
}

fn is_note(event: &Event) -> bool {
    matches!(&event.body, EventBody::Alert(event) if matches!(event.action, AlertAction::AddNote { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_yet_is_done_after_a_restart() {
    let mut world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.always("", "/incidents", Fault::status(429));
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.opsgenie.model().human_adds_note(&alert, JANE, "hello");
    let note_taken = async || world.timeline(&alert).await.iter().any(|entry| is_note(&entry.event));
    // Webhooks of one alert come in order.
    world.until("both were taken", note_taken).await;
    world.stop_app().await;
    world.pagerduty.model().faults.clear();
    world.start_app().await;
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    assert_eq!(
        world.incident_notes(&incident),
        ["[Opsgenie] jane@example.com acknowledged the alert", "[Opsgenie] jane@example.com: hello"]
    );
    world.end().await;
}
