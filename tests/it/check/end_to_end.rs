//! The test from end to end: it goes through, says where it got stuck, and leaves nothing behind.

use std::collections::HashMap;
use std::future::pending;
use std::task::Poll;
use std::time::Duration;

use crosspage::check::end_to_end::{self, Options, Patience};
use crosspage::check::{Finding, Report, Verdict};
use crosspage::engine::ReadLag;
use simulators::Fault;

use super::{check_clean, plan};
use crate::harness::World;

/// No story takes this long unless something hangs.
const LONG: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(1);

/// The simulators show at once what was done. Cleaning up may take as long as it needs.
fn patience(step: Duration) -> Patience {
    let read_lag = ReadLag { opsgenie: Duration::ZERO, pagerduty: Duration::ZERO };
    Patience { clean_up: LONG, read_lag, ..Patience::of(step) }
}

/// Tests from end to end; what was found, by name.
async fn tested(
    world: &World,
    patience: Patience,
    interrupted: impl Future<Output = ()>,
) -> HashMap<&'static str, Finding> {
    let mut first = Some(Box::pin(interrupted));
    let interrupted = async || match first.take() {
        Some(interrupted) => interrupted.await,
        None => pending().await,
    };
    interrupted_by(world, patience, interrupted).await
}

/// The same, with what each interruption is.
async fn interrupted_by(
    world: &World,
    patience: Patience,
    interrupted: impl AsyncFnMut(),
) -> HashMap<&'static str, Finding> {
    let (tags, priority) = (vec!["production".to_owned()], "P5".to_owned());
    let options = Options { tags, priority, patience, number: 7 };
    let mut report = Report::told_by(|_| {});
    end_to_end::run(&world.config(&[]), &options, &mut report, interrupted).await.unwrap();
    check_clean(&format!("{:?}", report.findings()));
    report.findings().iter().cloned().map(|finding| (finding.check, finding)).collect()
}

/// Comes to its end once `is_so`. It is asked each time before the test goes on.
fn once(is_so: impl Fn() -> bool) -> impl Future<Output = ()> {
    std::future::poll_fn(move |_| if is_so() { Poll::Ready(()) } else { Poll::Pending })
}

/// No alert is open, and no incident.
fn check_nothing_left(world: &World, incidents: usize) {
    let opsgenie = world.opsgenie.model();
    assert!(opsgenie.alerts().iter().all(|alert| alert.status.as_str() == "closed"), "{:?}", opsgenie.alerts());
    assert_eq!(opsgenie.alerts().len(), 1, "one alert, and it is not deleted");
    let pagerduty = world.pagerduty.model();
    let ids = pagerduty.incident_ids();
    assert!(ids.iter().all(|id| pagerduty.incident(id).unwrap().status.as_str() == "resolved"));
    assert_eq!(ids.len(), incidents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_alert_goes_through_and_nothing_is_left() {
    let world = plan().start().await;
    let findings = tested(&world, patience(LONG), pending()).await;
    for (check, said) in [
        ("e2e.alert", "has made the test alert"),
        ("e2e.incident", "PagerDuty has incident"),
        ("e2e.heard", "by PagerDuty's webhook"),
        ("e2e.resolved", "is resolved"),
        ("e2e.cleaned_up", "nothing of the test is left open"),
    ] {
        let finding = &findings[check];
        assert!(finding.verdict == Verdict::Ok && finding.found.contains(said), "{finding:?}");
        assert_eq!(finding.took_ms.is_some(), check != "e2e.cleaned_up");
    }
    world.settle().await;
    check_nothing_left(&world, 1);
    let alert = world.opsgenie.model().alerts()[0].clone();
    let incident = world.incident_of(&alert.id);
    assert_eq!(
        (alert.priority.as_str(), alert.tags, incident.urgency.as_str()),
        ("P5", vec!["production".to_owned()], "low")
    );
    assert!(alert.message.contains("nothing is wrong") && alert.alias.starts_with("crosspage-check-"));
    assert!(incident.acknowledgements.is_empty(), "nobody has taken it");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_webhook_comes_the_test_says_so_and_closes_its_alert() {
    let world = plan().start().await;
    world.opsgenie.model().faults.webhooks.lose_all = true;
    let findings = tested(&world, patience(SOON), pending()).await;
    let finding = &findings["e2e.incident"];
    assert_eq!((finding.verdict, finding.key.as_deref()), (Verdict::Failed, Some("OPSGENIE_INTEGRATION_ID")));
    assert!(finding.found.contains("within 1 s") && finding.to_do.as_ref().unwrap().contains("--tag"), "{finding:?}");
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    check_nothing_left(&world, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_is_left_open_is_resolved_by_the_test() {
    let world = plan().start().await;
    world.pagerduty.model().faults.once("PUT", "/incidents", Fault::status(403));
    let refused =
        once(|| world.pagerduty.model().writes().iter().any(|call| call.method == "PUT" && call.status == 403));
    let patience = Patience { clean_up: Duration::ZERO, ..patience(LONG) };
    let findings = tested(&world, patience, refused).await;
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    check_nothing_left(&world, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_is_interrupted_cleans_up() {
    let world = plan().start().await;
    let has_incident = once(|| !world.pagerduty.model().incident_ids().is_empty());
    let findings = tested(&world, patience(LONG), has_incident).await;
    assert!(findings["e2e"].found.contains("interrupted") && !findings.contains_key("e2e.resolved"), "{findings:?}");
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    world.settle().await;
    check_nothing_left(&world, 1);
    world.end().await;
}

/// Comes to its end once the test has an incident: then there is something to clean up.
fn with_an_incident(world: &World) -> impl Future<Output = ()> {
    once(|| !world.pagerduty.model().incident_ids().is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_fails_for_a_moment_does_not_end_cleaning_up() {
    let world = plan().start().await;
    world.opsgenie.model().faults.times("POST", "/close", Fault::status(503), 2);
    world.pagerduty.model().faults.times("PUT", "/incidents", Fault::status(503), 2);
    let findings = tested(&world, patience(LONG), with_an_incident(&world)).await;
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    check_nothing_left(&world, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_cannot_be_closed_does_not_leave_its_incident_paging() {
    for incident_too in [false, true] {
        let world = plan().start().await;
        world.opsgenie.model().faults.always("POST", "/close", Fault::status(403));
        if incident_too {
            world.pagerduty.model().faults.always("PUT", "/incidents", Fault::status(403));
        }
        let findings = tested(&world, patience(LONG), with_an_incident(&world)).await;
        let finding = &findings["e2e.cleaned_up"];
        assert!(finding.verdict == Verdict::Failed && finding.found.contains("alert may be open still"), "{finding:?}");
        assert_eq!(finding.found.contains("incident may be open still"), incident_too, "{finding:?}");
        assert!(finding.to_do.as_ref().unwrap().contains("crosspage-check-"), "{finding:?}");
        let statuses: Vec<_> = {
            let pagerduty = world.pagerduty.model();
            let status = |id: &String| pagerduty.incident(id).unwrap().status.as_str().to_owned();
            pagerduty.incident_ids().iter().map(status).collect()
        };
        assert_eq!(statuses, [if incident_too { "triggered" } else { "resolved" }]);
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_show_right_after_it_was_made_is_not_taken_for_gone() {
    let world = plan().start().await;
    let hidden = async {
        with_an_incident(&world).await;
        let none =
            Fault::Status { code: 200, body: r#"{"incidents":[],"more":false}"#.to_owned(), headers: Vec::new() };
        let alert = world.opsgenie.model().alerts()[0].id.clone();
        world.opsgenie.model().faults.once("GET", &alert, Fault::status(404));
        world.pagerduty.model().faults.once("GET", "/incidents$", none);
    };
    let read_lag = ReadLag { opsgenie: LONG, pagerduty: LONG };
    let findings = tested(&world, Patience { read_lag, ..patience(LONG) }, hidden).await;
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    check_nothing_left(&world, 1);
    {
        let (opsgenie, pagerduty) = (world.opsgenie.model(), world.pagerduty.model());
        assert!(opsgenie.faults.rules.iter().chain(&pagerduty.faults.rules).all(|rule| rule.times == 0));
        let alert = opsgenie.alerts()[0].id.clone();
        let looks = opsgenie.calls().iter().filter(|call| call.method == "GET" && call.path.ends_with(&alert));
        assert!(looks.skip_while(|look| look.status != 404).any(|look| look.status == 200), "it is looked at again");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_interruption_ends_cleaning_up_and_tells_what_may_be_left() {
    let world = plan().start().await;
    world.opsgenie.model().faults.always("POST", "/close", Fault::status(503));
    let is_refused = || world.opsgenie.model().calls().iter().any(|call| call.path.contains("/close"));
    let mut interruptions = 0;
    let interrupted = async || {
        interruptions += 1;
        match interruptions {
            1 => with_an_incident(&world).await,
            _ => once(is_refused).await,
        }
    };
    let findings = interrupted_by(&world, patience(LONG), interrupted).await;
    let finding = &findings["e2e.cleaned_up"];
    assert!(finding.verdict == Verdict::Failed && finding.found.contains("cut short"), "{finding:?}");
    assert!(finding.to_do.as_ref().unwrap().contains("crosspage-check-"), "{finding:?}");
    assert_eq!(interruptions, 2);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_opsgenie_refuses_is_told() {
    let world = plan().start().await;
    world.opsgenie.model().faults.once("POST", "/v2/alerts", Fault::RequestFails("The plan is over".to_owned()));
    let findings = tested(&world, patience(SOON), pending()).await;
    assert!(findings["e2e.alert"].found.ends_with("The plan is over"), "{findings:?}");
    assert_eq!(findings["e2e.cleaned_up"].found, "no test alert was made");
    assert!(world.opsgenie.model().alerts().is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_pagerduty_that_do_not_get_in_are_told() {
    let world = plan().start().await;
    world.pagerduty.model().faults.webhooks.lose_all = true;
    let findings = tested(&world, Patience { webhook: Duration::ZERO, ..patience(LONG) }, pending()).await;
    let finding = &findings["e2e.heard"];
    assert_eq!((finding.verdict, finding.key.as_deref()), (Verdict::Failed, Some("PAGERDUTY_WEBHOOK_SECRET")));
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    world.settle().await;
    check_nothing_left(&world, 1);
    world.end().await;
}
