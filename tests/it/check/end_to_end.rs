//! The test from end to end: it goes through, says where it got stuck, and leaves nothing behind.

use std::collections::HashMap;
use std::future::pending;
use std::task::Poll;
use std::time::Duration;

use crosspage::check::end_to_end::{self, Options, Patience};
use crosspage::check::{Finding, Report, Verdict};
use simulators::Fault;

use super::{check_clean, plan};
use crate::harness::World;

/// No story takes this long unless something hangs.
const LONG: Duration = Duration::from_secs(120);
const SOON: Duration = Duration::from_secs(1);

/// Tests from end to end; what was found, by name.
async fn tested(
    world: &World,
    patience: Patience,
    interrupted: impl Future<Output = ()>,
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
    let findings = tested(&world, Patience::of(LONG), pending()).await;
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
    let findings = tested(&world, Patience::of(SOON), pending()).await;
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
    let patience = Patience { clean_up: Duration::ZERO, ..Patience::of(LONG) };
    let findings = tested(&world, patience, refused).await;
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    check_nothing_left(&world, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_is_interrupted_cleans_up() {
    let world = plan().start().await;
    let has_incident = once(|| !world.pagerduty.model().incident_ids().is_empty());
    let findings = tested(&world, Patience::of(LONG), has_incident).await;
    assert!(findings["e2e"].found.contains("interrupted") && !findings.contains_key("e2e.resolved"), "{findings:?}");
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    world.settle().await;
    check_nothing_left(&world, 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_opsgenie_refuses_is_told() {
    let world = plan().start().await;
    world.opsgenie.model().faults.once("POST", "/v2/alerts", Fault::RequestFails("The plan is over".to_owned()));
    let findings = tested(&world, Patience::of(SOON), pending()).await;
    assert!(findings["e2e.alert"].found.ends_with("The plan is over"), "{findings:?}");
    assert_eq!(findings["e2e.cleaned_up"].found, "no test alert was made");
    assert!(world.opsgenie.model().alerts().is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_pagerduty_that_do_not_get_in_are_told() {
    let world = plan().start().await;
    world.pagerduty.model().faults.webhooks.lose_all = true;
    let findings = tested(&world, Patience { webhook: Duration::ZERO, ..Patience::of(LONG) }, pending()).await;
    let finding = &findings["e2e.heard"];
    assert_eq!((finding.verdict, finding.key.as_deref()), (Verdict::Failed, Some("PAGERDUTY_WEBHOOK_SECRET")));
    assert_eq!(findings["e2e.cleaned_up"].verdict, Verdict::Ok, "{findings:?}");
    world.settle().await;
    check_nothing_left(&world, 1);
    world.end().await;
}
