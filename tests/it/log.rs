//! The log of the real binary: lines that stand alone, and one request id through all of a story.

use serde_json::Value;
use simulators::Fault;
use simulators::opsgenie::NewAlert;

use crate::harness::{ADA, JANE};
use crate::process::{Ended, Process, Stage, until};

/// Without the reconciler all that happens comes of webhooks.
const VARS: [(&str, &str); 3] = [("RUST_LOG", "debug"), ("LOG_FORMAT", "json"), ("RECONCILE_INTERVAL_S", "0")];

fn lines(output: &str) -> Vec<Value> {
    output.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect()
}

/// The request id of the one webhook that told of `event` and was passed on.
fn heard(lines: &[Value], event: &str) -> String {
    let is_it = |line: &&Value| {
        line["message"] == "a webhook was taken" && line["event"] == event && line["commands"].as_u64() > Some(0)
    };
    let taken: Vec<&Value> = lines.iter().filter(is_it).collect();
    assert_eq!(taken.len(), 1, "webhooks that told of {event}: {lines:#?}");
    taken[0]["request.id"].as_str().unwrap().to_owned()
}

/// Waits until the log tells that such a command was carried out.
fn until_done(process: &Process, vendor: &str, action: &str) {
    let done = [("vendor", vendor), ("action", action), ("message", "a command was carried out")];
    until(&format!("{action} was done in {vendor}"), || {
        let output = process.output().clone();
        lines(&output).iter().any(|line| done.iter().all(|(key, value)| line[*key] == *value))
    });
}

/// What was logged about the deliveries that came of a webhook, each as vendor, action and message.
fn deliveries<'a>(lines: &'a [Value], request: &str) -> Vec<(&'a str, &'a str, &'a str)> {
    let of_it = lines.iter().filter(|line| !line["entry.id"].is_null() && line["request.id"] == request);
    of_it.map(|line| ["vendor", "action", "message"].map(|key| line[key].as_str().unwrap()).into()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_goes_from_the_webhook_to_each_delivery_that_comes_of_it() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&VARS);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    stage.pagerduty.model().faults.once("POST", "/notes", Fault::status(503));
    stage.opsgenie.model().human_adds_note(&alert, JANE, "one");
    until_done(&process, "PagerDuty", "note");
    stage.pagerduty.model().human_acknowledges(&incident, ADA);
    until_done(&process, "Opsgenie", "note");
    // What is under way at the end is taken up by the next process, which still knows what it comes of.
    stage.pagerduty.model().faults.once("PUT", "/incidents", Fault::Hang);
    stage.opsgenie.model().human_closes(&alert, JANE, None);
    until("the call hangs", || {
        let model = stage.pagerduty.model();
        model.calls().iter().filter(|call| call.method == "PUT").count() == 1
    });
    let Ended { code, output } = process.terminate();
    assert_eq!(code, Some(0), "{output}");
    let (next, _) = stage.start(&VARS);
    until_done(&next, "PagerDuty", "note");
    let after = lines(&next.terminate().output);

    let before = lines(&output);
    for line in before.iter().chain(&after) {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "a line without {key}: {line}");
        }
        assert!(line["entry.id"].is_null() || line["request.id"].is_string(), "of no webhook: {line}");
    }
    let (create, note) = (heard(&before, "create"), heard(&before, "add_note"));
    let (acknowledged, close) = (heard(&before, "acknowledged"), heard(&before, "close"));
    for (lines, request, delivery) in [
        (&before, &create, ("PagerDuty", "create", "an incident was created")),
        (&before, &note, ("PagerDuty", "note", "a vendor call failed: it is tried again")),
        (&before, &note, ("PagerDuty", "note", "a command was carried out")),
        (&before, &acknowledged, ("Opsgenie", "acknowledge", "a vendor call")),
        (&before, &acknowledged, ("Opsgenie", "note", "a command was carried out")),
        (&after, &close, ("PagerDuty", "resolve", "a command was carried out")),
        (&after, &close, ("PagerDuty", "note", "a command was carried out")),
    ] {
        let told = deliveries(lines, request);
        assert!(told.contains(&delivery), "{delivery:?} is not among what came of {request}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_deleted_is_told_of_once_and_one_that_never_was_is_not() {
    let stage = Stage::usual().await;
    let passes = || {
        let pagerduty = stage.pagerduty.model();
        pagerduty.calls().iter().filter(|call| call.method == "GET" && call.path == "/webhook_subscriptions").count()
    };
    let two_more_passes = || {
        let before = passes();
        until("two more passes were made", || passes() > before + 2);
    };
    let told = |output: &str| lines(output).iter().filter(|line| is_of_the_gone(line)).count();
    let vars = [("RECONCILE_INTERVAL_S", "1")];
    let (process, _) = stage.start(&vars);
    two_more_passes();
    let key = format!("Token token={}", simulators::pagerduty::Options::default().api_key);
    let request = simulators::Request::new("DELETE", "/webhook_subscriptions/PWHS001").header("Authorization", &key);
    let request = request.header("Accept", "application/vnd.pagerduty+json;version=2");
    assert_eq!(stage.pagerduty.model().handle(0, request).status, 204);
    two_more_passes();
    assert_eq!(told(&process.terminate().output), 1);
    let (process, _) = stage.start(&vars);
    two_more_passes();
    assert_eq!(told(&process.terminate().output), 0, "polling alone may be meant");
}

fn is_of_the_gone(line: &Value) -> bool {
    let message = line["message"].as_str().unwrap();
    line["level"] == "ERROR" && message.contains("is gone") && message.contains("crosspage pagerduty subscribe")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_orders_is_a_line_without_what_they_wrote() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&VARS);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    stage.incident_of(&alert);
    let url = format!("http://{}", process.admin());
    let order = async |path: &str, body: Value| {
        let request = reqwest::Client::new().post(format!("{url}/api/v1/links/{alert}/{path}"));
        let request = request.header("origin", &url).header("x-crosspage", "1").json(&body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200, "{path}");
    };
    for path in ["pause", "pause", "resume", "unlink"] {
        order(path, serde_json::json!({ "reason": "hunter2 is the password" })).await;
    }
    let Ended { output, .. } = process.terminate();
    assert!(!output.contains("hunter2"), "{output}");
    let told: Vec<(String, Value)> = lines(&output)
        .iter()
        .filter(|line| line["message"] == "an operator's order was carried out" && line["alert.id"] == *alert)
        .map(|line| (line["order"].as_str().unwrap().to_owned(), line["changed"].clone()))
        .collect();
    let expected = [("pause", true.into()), ("pause", false.into()), ("resume", true.into()), ("unlink", Value::Null)];
    assert_eq!(told, expected.map(|(order, changed)| (order.to_owned(), changed)));
}
