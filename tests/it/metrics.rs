//! What Prometheus and the API tell of what has happened.

use std::time::Duration;

use crosspage::app::Application;
use serde_json::Value;
use simulators::{CallRecord, Fault};

use crate::harness::{ADA, JANE, Plan, World};
use crate::post::{Raw, SIGNATURE, from_opsgenie, from_pagerduty, post, sign};
use crate::reconcile;

/// What `/metrics` shows at one moment.
pub(crate) struct Shown(String);

impl Shown {
    pub(crate) async fn by(app: &Application) -> Self {
        let (head, body) = read(app, "/metrics").await;
        let content_type = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert!(head.lines().any(|line| line == content_type), "{head}");
        assert!(body.ends_with("# EOF\n"), "{body}");
        Self(body)
    }

    async fn of(world: &World) -> Self {
        Self::by(world.app()).await
    }

    /// What a series shows, if it is there: its name without `crosspage_`, and its labels in any order.
    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let value = |line: &str| {
            let (series, value) = line.strip_prefix("crosspage_")?.rsplit_once(' ')?;
            let (shown, set) = series.strip_suffix('}').and_then(|s| s.split_once('{')).unwrap_or((series, ""));
            let set: Vec<&str> = set.split(',').filter(|label| !label.is_empty()).collect();
            let same = set.len() == labels.len() && labels.iter().all(|label| set.contains(&label.as_str()));
            (shown == name && same).then(|| value.parse().unwrap())
        };
        self.0.lines().find_map(value)
    }

    pub(crate) fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.find(name, labels).unwrap_or_else(|| panic!("there is no {name} {labels:?} in\n{}", self.0))
    }

    /// The sum of what all series of that name show.
    fn sum(&self, name: &str) -> f64 {
        let prefix = format!("crosspage_{name}{{");
        let lines = self.0.lines().filter(|line| line.starts_with(&prefix));
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    }

    fn webhooks(&self, vendor: &str, verdict: &str) -> f64 {
        self.get("webhooks_received_total", &[("vendor", vendor), ("verdict", verdict)])
    }

    fn calls(&self, vendor: &str, operation: &str, outcome: &str) -> f64 {
        let labels = [("vendor", vendor), ("operation", operation), ("outcome", outcome)];
        self.find("vendor_calls_total", &labels).unwrap_or_default()
    }

    fn mirrored(&self, direction: &str, action: &str) -> f64 {
        let labels = [("direction", direction), ("action", action)];
        self.find("mirror_lag_seconds_count", &labels).unwrap_or_default()
    }

    /// What of a vendor's was found by polling, and what of it is done.
    fn drift(&self, vendor: &str) -> (f64, f64) {
        let of = |name| self.get(name, &[("vendor", vendor)]);
        (of("drift_found_total"), of("drift_healed_total"))
    }
}

async fn status(world: &World) -> Value {
    let (_, body) = read(world.app(), "/api/v1/status").await;
    serde_json::from_str(&body).unwrap()
}

/// Asks the operator's listener, over a plain connection: it is asked again and again. Returns the head and the body.
async fn read(app: &Application, path: &str) -> (String, String) {
    let url = format!("http://{}{path}", app.admin_address());
    let ask = || Raw::begin_as("GET", &url, "Connection: close\r\n\r\n").until_closed();
    let (status, text) = tokio::task::block_in_place(ask);
    assert_eq!(status, 200, "{text}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn made<'a>(calls: &'a [CallRecord], method: &'a str, path: &'a str) -> f64 {
    let count = calls.iter().filter(|call| call.method == method && call.path == path).count();
    f64::from(u32::try_from(count).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mirrored_is_counted_and_its_echoes_are() {
    let world = World::new().await;
    let fresh = Shown::of(&world).await;
    assert_eq!((fresh.webhooks("opsgenie", "accepted"), fresh.sum("decisions_total")), (0.0, 0.0));

    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    world.settle().await;

    let found = async || Shown::of(&world).await.calls("pagerduty", "find_user", "ok") == 1.0;
    world.until("the automation user was looked up", found).await;
    let shown = Shown::of(&world).await;
    for (direction, action) in
        [("to_pagerduty", "create"), ("to_opsgenie", "acknowledge"), ("to_opsgenie", "note"), ("to_pagerduty", "note")]
    {
        assert_eq!(shown.mirrored(direction, action), 1.0, "{action} {direction}");
    }
    let labels = [("direction", "to_pagerduty"), ("action", "create"), ("le", "60.0")];
    assert_eq!(shown.get("mirror_lag_seconds_bucket", &labels), 1.0);
    assert_eq!(shown.calls("pagerduty", "create_incident", "ok"), 1.0);
    assert_eq!(shown.calls("opsgenie", "acknowledge_alert", "ok"), 1.0);
    let labels = [("vendor", "pagerduty"), ("operation", "create_incident")];
    assert_eq!(shown.get("vendor_call_duration_seconds_count", &labels), 1.0);
    assert_eq!(shown.get("decisions_total", &[("reason", "mirrored")]), 3.0);
    // Our acknowledgement and our two notes have come back; of the incident the answer may have told first.
    let echoes = shown.sum("echoes_suppressed_total");
    assert!((3.0..=4.0).contains(&echoes), "{}", shown.0);
    assert_eq!(shown.get("decisions_total", &[("reason", "echo")]), echoes);
    let taken = ["accepted", "repeat", "ignored"].map(|verdict| shown.webhooks("opsgenie", verdict));
    assert_eq!(taken, [4.0, 0.0, 0.0], "one of each of these");
    for vendor in ["opsgenie", "pagerduty"] {
        let of = |name| shown.get(name, &[("vendor", vendor)]);
        assert_eq!((of("outbox_entries"), of("outbox_oldest_entry_age_seconds")), (0.0, 0.0));
        assert_eq!((of("vendor_paused"), of("vendor_hold_seconds")), (0.0, 0.0));
        assert!(of("vendor_calls_left") > 0.0);
        assert_eq!(shown.drift(vendor), (0.0, 0.0));
    }
    assert_eq!(shown.get("store_ready", &[]), 1.0);
    assert!(shown.get("store_size_bytes", &[]) > 0.0 && shown.get("store_free_bytes", &[]) > 0.0);
    assert!(shown.get("store_commit_duration_seconds_count", &[]) > 0.0);
    assert_eq!(shown.get("build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    // Nobody has looked behind the webhooks.
    assert_eq!(shown.find("subscription_up", &[]), None);

    let status = status(&world).await;
    assert!(status["pagerduty"]["last_success"].is_string(), "{status:#}");
    assert_eq!(status["pagerduty"]["last_failure"], Value::Null);
    assert!(status["opsgenie"]["calls_left"].as_i64().is_some_and(|left| left > 0));
    assert_eq!(status["reconciler"]["last_pass"], Value::Null);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_or_given_up_is_told_until_somebody_deals_with_it() {
    let mut world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let notes = format!("/incidents/{incident}/notes");
    world.pagerduty.model().faults.once("POST", &notes, Fault::status(503));
    world.opsgenie.model().human_adds_note(&alert, JANE, "tried twice");
    world.settle().await;
    let shown = Shown::of(&world).await;
    assert_eq!(shown.calls("pagerduty", "add_incident_note", "unclear"), 1.0);
    assert_eq!(shown.calls("pagerduty", "add_incident_note", "ok"), 1.0);
    assert_eq!(shown.calls("pagerduty", "list_incident_notes", "ok"), 1.0, "it was looked for in between");
    assert_eq!(shown.mirrored("to_pagerduty", "note"), 1.0);
    let failure = &status(&world).await["pagerduty"]["last_failure"];
    assert_eq!(failure["operation"], "add_incident_note");
    assert!(failure["at"].is_string() && failure["reason"].as_str().unwrap().starts_with("503"), "{failure}");

    world.pagerduty.model().faults.once("POST", &notes, Fault::status(403));
    world.opsgenie.model().human_adds_note(&alert, JANE, "given up");
    world.settle().await;
    let shown = Shown::of(&world).await;
    assert_eq!((shown.get("dead_letters", &[]), shown.calls("pagerduty", "add_incident_note", "refused")), (1.0, 1.0));
    assert_eq!(shown.get("decisions_total", &[("reason", "given_up")]), 1.0);
    assert_eq!(shown.mirrored("to_pagerduty", "note"), 1.0, "it does not show there");

    // What is stored is told after a restart; what was counted is not.
    world.restart_app().await;
    let shown = Shown::of(&world).await;
    assert_eq!((shown.get("dead_letters", &[]), shown.sum("webhooks_received_total")), (1.0, 0.0));
    let letters = world.app().store().dead_letters(None, 100).await.unwrap();
    world.app().store().redrive(letters[0].entry.id, crosspage::clock::now()).await.unwrap();
    world.settle().await;
    let shown = Shown::of(&world).await;
    assert_eq!((shown.get("dead_letters", &[]), shown.mirrored("to_pagerduty", "note")), (0.0, 1.0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_counted_by_what_they_came_to() {
    let plan = Plan::new();
    let (integration, secret) = (plan.opsgenie.integration_id.clone(), plan.pagerduty.webhook_secrets[0].clone());
    let world = plan.start().await;
    let door = |path: &str| format!("http://{}{path}", world.app().address());
    let to_opsgenie = async |body: Value| post(&door("/ops-webhook"), &[], body.to_string()).await.status;
    assert_eq!(to_opsgenie(from_opsgenie(&integration, "Create", "A")).await, 202);
    assert_eq!(to_opsgenie(from_opsgenie(&integration, "AddTags", "A")).await, 200);
    assert_eq!(to_opsgenie(from_opsgenie(&integration, "Create", "no id: odd characters")).await, 202);
    assert_eq!(to_opsgenie(from_opsgenie("somebody else's", "Create", "A")).await, 403);
    let body = from_pagerduty("one", "incident.acknowledged", "P1").to_string();
    for _ in 0..2 {
        let signature = sign(&secret, &body);
        assert_eq!(post(&door("/pd-webhook"), &[(SIGNATURE, &signature)], body.clone()).await.status, 200);
    }
    let forged = sign("forged", &body);
    assert_eq!(post(&door("/pd-webhook"), &[(SIGNATURE, &forged)], body.clone()).await.status, 403);
    world.settle().await;
    let shown = Shown::of(&world).await;
    let verdicts = ["accepted", "repeat", "ignored", "quarantined", "refused", "unavailable"];
    assert_eq!(verdicts.map(|verdict| shown.webhooks("opsgenie", verdict)), [1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
    // The first tells of the incident that was made.
    assert_eq!(verdicts.map(|verdict| shown.webhooks("pagerduty", verdict)), [1.0, 1.0, 1.0, 0.0, 1.0, 0.0]);
    assert_eq!(shown.get("quarantine_entries", &[]), 1.0);
    assert_eq!(shown.get("decisions_total", &[("reason", "unlinked")]), 1.0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_found_and_healed_and_the_passes_are_told() {
    let started_s = crosspage::clock::now().as_millis() as f64 / 1000.0;
    let world = reconcile::plan().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    // A pass may have been quicker than the webhook of the creation.
    let found_by_then = Shown::of(&world).await.drift("opsgenie");
    world.pagerduty.model().faults.webhooks.lose_next = 1;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    // The state, and the note of who.
    let healed = async || Shown::of(&world).await.drift("pagerduty") == (2.0, 2.0);
    world.until("the drift is healed", healed).await;
    assert!(world.alert_now(&alert).acknowledged);
    world.until("the notes were all read", async || Shown::of(&world).await.get(ROUNDS, &[]) > 0.0).await;

    let shown = Shown::of(&world).await;
    assert_eq!(shown.drift("opsgenie"), found_by_then);
    assert!(shown.get("reconcile_pass_duration_seconds_count", &[]) > 0.0);
    assert_eq!(shown.sum("reconcile_failures_total"), 0.0);
    assert_eq!(shown.get("subscription_up", &[]), 1.0);
    let now_s = crosspage::clock::now().as_millis() as f64 / 1000.0;
    let last = shown.get("reconcile_last_complete_pass_timestamp_seconds", &[]);
    assert!((started_s..=now_s).contains(&last), "{last} is not between {started_s} and {now_s}");
    let listed = made(world.pagerduty.model().calls(), "GET", "/incidents");
    let counted = shown.calls("pagerduty", "list_incidents", "ok");
    assert!((1.0..=listed).contains(&counted), "{counted} of {listed}");
    let reconciler = &status(&world).await["reconciler"];
    assert_eq!(reconciler["last_pass"]["failures"], serde_json::json!({}), "{reconciler:#}");
    assert!(reconciler["last_complete_pass"].is_string() && reconciler["last_round"]["links"].as_u64() >= Some(1));
    let states = reconciler["subscriptions"]["states"].as_object().unwrap();
    assert!(!states.is_empty() && states.values().all(|state| state == "on"), "{states:?}");

    delete_subscription(&world);
    let down = async || Shown::of(&world).await.find("subscription_up", &[]) == Some(0.0);
    world.until("the missing subscription shows", down).await;

    world.opsgenie.model().faults.always("GET", "/v2/alerts", Fault::status(500));
    let failed = async || Shown::of(&world).await.get("reconcile_failures_total", &[("part", "alerts")]) > 0.0;
    world.until("a pass fails", failed).await;
    world
        .until("the API tells why", async || {
            let reason = status(&world).await["reconciler"]["last_pass"]["failures"]["alerts"].clone();
            reason.as_str().is_some_and(|reason| reason.starts_with("500"))
        })
        .await;
    world.opsgenie.model().faults.clear();
    world.end().await;
}

/// As somebody does in PagerDuty.
fn delete_subscription(world: &World) {
    let key = format!("Token token={}", simulators::pagerduty::Options::default().api_key);
    let request = simulators::Request::new("DELETE", "/webhook_subscriptions/PWHS001").header("Authorization", &key);
    let request = request.header("Accept", "application/vnd.pagerduty+json;version=2");
    assert_eq!(world.pagerduty.model().handle(0, request).status, 204);
}

/// How often the notes of every open link were read.
pub(crate) const ROUNDS: &str = "reconcile_notes_round_duration_seconds_count";

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_refuses_us_and_the_pages_that_are_late_are_told_while_it_lasts() {
    let mut plan = Plan::new();
    plan.tuning.emergency.after = Duration::from_millis(50);
    plan.tuning.emergency.look_every = Duration::from_millis(10);
    let world = plan.start().await;
    {
        let mut pagerduty = world.pagerduty.model();
        pagerduty.faults.always("", "/incidents", Fault::status(401));
        pagerduty.faults.always("GET", "/abilities", Fault::status(401));
    }
    world.alert("Disk full");
    let pagerduty = [("vendor", "pagerduty")];
    let told = async || {
        let shown = Shown::of(&world).await;
        let (paused, late) = (shown.get("vendor_paused", &pagerduty), shown.get("late_pages", &[]));
        let probes = shown.calls("pagerduty", "probe", "unauthorized");
        let age = shown.get("outbox_oldest_entry_age_seconds", &pagerduty);
        paused == 1.0 && late == 1.0 && probes > 0.0 && age > 0.0
    };
    world.until("it is told", told).await;
    let said = status(&world).await;
    assert!(said["pagerduty"]["stopped"].as_str().unwrap().starts_with("the vendor refuses our calls: 401"));
    assert_eq!((said["late_pages"].as_u64(), said["opsgenie"]["stopped"].clone()), (Some(1), Value::Null));
    assert!(said["pagerduty"]["last_failure"]["reason"].as_str().unwrap().starts_with("401"), "{said:#}");

    world.pagerduty.model().faults.clear();
    world.settle().await;
    world.until("it is over", async || Shown::of(&world).await.get("late_pages", &[]) == 0.0).await;
    let shown = Shown::of(&world).await;
    assert_eq!((shown.get("vendor_paused", &pagerduty), shown.get("outbox_entries", &pagerduty)), (0.0, 0.0));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_asks_to_wait_is_told() {
    let world = World::new().await;
    let (alert, _) = world.linked("Disk full").await;
    let throttled = Fault::Throttle { with_headers: true, reset_s: 600 };
    world.pagerduty.model().faults.once("POST", "/incidents/", throttled);
    world.opsgenie.model().human_adds_note(&alert, JANE, "waits");
    let hold = async || Shown::of(&world).await.get("vendor_hold_seconds", &[("vendor", "pagerduty")]);
    world.until("it is told", async || hold().await > 0.0).await;
    assert!(hold().await <= 600.0);
    let said = status(&world).await;
    assert!(said["pagerduty"]["held_for_s"].as_u64().is_some_and(|span| (1..=600).contains(&span)), "{said:#}");
    assert_eq!(said["pagerduty"]["entries"], 1);
    world.end().await;
}
