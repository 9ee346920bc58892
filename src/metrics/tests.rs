use super::*;
use crate::engine::Timestamp;
use crate::engine::outbox::call::Refusal;

impl Metrics {
    /// What a series shows, such as `crosspage_fuses_blown_total`; nothing if it is not shown.
    pub(crate) fn value(&self, series: &str) -> Option<f64> {
        value(&self.encode(&Reading::default()), series)
    }
}

fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

#[test]
fn what_never_happened_is_shown_as_zero() {
    let metrics = Metrics::default();
    for series in [
        "crosspage_webhooks_received_total{vendor=\"pagerduty\",verdict=\"refused\"}",
        "crosspage_echoes_suppressed_total{guard=\"written_note\"}",
        "crosspage_fuses_blown_total",
        "crosspage_drift_found_total{vendor=\"opsgenie\"}",
        "crosspage_reconcile_failures_total{part=\"alerts\"}",
        "crosspage_pruned_rows_total{kind=\"timeline\"}",
        "crosspage_store_commit_duration_seconds_count",
    ] {
        assert_eq!(metrics.value(series), Some(0.0), "{series}");
    }
}

#[test]
fn only_an_authentic_webhook_shows_that_its_vendor_posts() {
    let metrics = Metrics::default();
    for verdict in [WebhookVerdict::Refused, WebhookVerdict::Unavailable] {
        metrics.webhook(System::PagerDuty, verdict);
    }
    assert_eq!(metrics.heard(System::PagerDuty), 0);
    metrics.webhook(System::PagerDuty, WebhookVerdict::Ignored);
    metrics.webhook(System::PagerDuty, WebhookVerdict::Accepted);
    assert_eq!((metrics.heard(System::PagerDuty), metrics.heard(System::Opsgenie)), (2, 0));
}

#[test]
fn clones_count_together_and_others_do_not() {
    let (metrics, other) = (Metrics::default(), Metrics::default());
    let clone = metrics.clone();
    for metrics in [&metrics, &clone] {
        metrics.webhook(System::Opsgenie, WebhookVerdict::Repeat);
    }
    let series = "crosspage_webhooks_received_total{vendor=\"opsgenie\",verdict=\"repeat\"}";
    assert_eq!((metrics.value(series), other.value(series)), (Some(2.0), Some(0.0)));
}

#[test]
fn an_echo_counts_as_a_decision_and_by_its_guard() {
    let metrics = Metrics::default();
    metrics.decided(Reason::Echo(Guard::Actor));
    metrics.decided(Reason::Echo(Guard::Prefix));
    metrics.decided(Reason::InStep);
    let shown = |series| metrics.value(series);
    assert_eq!(shown("crosspage_decisions_total{reason=\"echo\"}"), Some(2.0));
    assert_eq!(shown("crosspage_decisions_total{reason=\"in_step\"}"), Some(1.0));
    assert_eq!(shown("crosspage_echoes_suppressed_total{guard=\"actor\"}"), Some(1.0));
    assert_eq!(shown("crosspage_echoes_suppressed_total{guard=\"commanded\"}"), Some(0.0));
}

#[test]
fn a_call_counts_by_what_its_failure_means() {
    let refused = |meaning| Some(Failure::Refused { meaning, reason: String::new() });
    let reason = String::new;
    let table = [
        (None, "ok", true),
        (refused(Refusal::AlreadyResolved), "already_so", true),
        (refused(Refusal::AlreadyAcknowledged), "already_so", true),
        (refused(Refusal::DuplicateKey), "already_so", true),
        (refused(Refusal::NotFound), "not_found", true),
        (refused(Refusal::Invalid), "refused", false),
        (refused(Refusal::Other), "refused", false),
        (Some(Failure::Unauthorized(reason())), "unauthorized", false),
        (Some(Failure::TryAgain { reason: reason(), hold: None }), "try_again", false),
        (Some(Failure::Unclear { reason: reason(), hold: None }), "unclear", false),
    ];
    for (failure, word, is_answer) in table {
        let metrics = Metrics::default();
        let took = Duration::from_millis(300);
        let outcome = metrics.called(System::PagerDuty, Operation::PROBE, took, failure.as_ref());
        assert_eq!((outcome.name(), outcome.is_answer()), (word, is_answer));
        let labels = "vendor=\"pagerduty\",operation=\"probe\"";
        let calls = format!("crosspage_vendor_calls_total{{{labels},outcome=\"{word}\"}}");
        assert_eq!(metrics.value(&calls), Some(1.0), "{failure:?}");
        let bucket = |le: &str| {
            let series = format!("crosspage_vendor_call_duration_seconds_bucket{{le=\"{le}\",{labels}}}");
            metrics.value(&series)
        };
        assert_eq!((bucket("0.25"), bucket("0.5"), bucket("+Inf")), (Some(0.0), Some(1.0), Some(1.0)));
    }
}

#[test]
fn a_reading_is_shown_and_what_is_not_known_is_not() {
    let metrics = Metrics::default();
    let unknown = metrics.encode(&Reading::default());
    assert_eq!(value(&unknown, "crosspage_subscription_up"), None);
    assert_eq!(value(&unknown, "crosspage_reconcile_last_complete_pass_timestamp_seconds"), None);
    let reading = Reading {
        pagerduty: VendorReading {
            entries: 3,
            oldest_waits: Duration::from_millis(1_500),
            calls_left: -0.5,
            paused: true,
            ..VendorReading::default()
        },
        store: StoreReading { ready: true, free: u64::MAX, ..StoreReading::default() },
        subscription_up: Some(false),
        last_complete_pass: Some(Timestamp::from_millis(1_800_000_000_250)),
        ..Reading::default()
    };
    let text = metrics.encode(&reading);
    for (series, expected) in [
        ("crosspage_outbox_entries{vendor=\"pagerduty\"}", 3.0),
        ("crosspage_outbox_entries{vendor=\"opsgenie\"}", 0.0),
        ("crosspage_outbox_oldest_entry_age_seconds{vendor=\"pagerduty\"}", 1.5),
        ("crosspage_vendor_calls_left{vendor=\"pagerduty\"}", -0.5),
        ("crosspage_vendor_paused{vendor=\"pagerduty\"}", 1.0),
        ("crosspage_store_ready", 1.0),
        ("crosspage_store_free_bytes", 9_223_372_036_854_775_807.0),
        ("crosspage_subscription_up", 0.0),
        ("crosspage_reconcile_last_complete_pass_timestamp_seconds", 1_800_000_000.25),
        ("crosspage_build_info{version=\"0.1.0\"}", 1.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series} in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_lag_is_told_by_direction_and_action() {
    let metrics = Metrics::default();
    metrics.mirrored(System::Opsgenie, &Action::FetchAlert, Duration::from_secs(61));
    let labels = "direction=\"to_opsgenie\",action=\"fetch_alert\"";
    let bucket = |le: &str| metrics.value(&format!("crosspage_mirror_lag_seconds_bucket{{le=\"{le}\",{labels}}}"));
    assert_eq!((bucket("60.0"), bucket("300.0")), (Some(0.0), Some(1.0)));
}
