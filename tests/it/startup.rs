//! The real binary: how it starts, what keeps it from it, and how it ends.

use std::fs;
use std::net::TcpListener;

use simulators::Fault;
use simulators::opsgenie::NewAlert;
use simulators::pagerduty::UsersLookup;

use crate::harness::{ADA, BOB, JANE};
use crate::post::{ask, from_opsgenie, post};
use crate::process::{Ended, Process, Stage, until};

/// What each secret of these stories begins with, so that none goes unnoticed.
const HUNTER: &str = "hunter";

fn run(vars: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let ended = Process::spawn(folder.path(), vars, arguments).ended();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_seven_keys_in_a_file_it_takes_webhooks_and_delivers_them() {
    let stage = Stage::usual().await;
    let (process, address) = stage.start(&[]);
    for path in ["healthz", "readyz"] {
        assert_eq!(ask("GET", &format!("http://{address}/{path}")).await.status, 200, "{path}");
    }
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    stage.pagerduty.model().human_acknowledges(&incident, ADA);
    until("the alert is acknowledged, and says by whom", || !stage.alert_notes(&alert).is_empty());
    assert!(stage.opsgenie.model().alert(&alert).unwrap().acknowledged);
    let Ended { code, output } = process.terminate();
    assert_eq!(code, Some(0), "{output}");
    let unwise = |line: serde_json::Value| line["key"] == "OPSGENIE_WEBHOOK_TOKEN" && line["problem"].is_string();
    assert!(output.lines().any(|line| unwise(serde_json::from_str(line).unwrap())), "{output}");
    assert!(output.lines().all(|line| line.starts_with('{')), "one object a line: {output}");
    assert!(stage.folder.path().join("data/crosspage").is_dir(), "the data are where they are by default");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_while_a_call_hangs_and_does_the_rest_after_the_next_start() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    stage.pagerduty.model().faults.once("POST", "/notes", Fault::Hang);
    stage.opsgenie.model().human_adds_note(&alert, JANE, "one");
    stage.opsgenie.model().human_adds_note(&alert, JANE, "two");
    stage.opsgenie.model().human_acknowledges(&alert, JANE);
    until("a call hangs, and all webhooks are in", || {
        stage.opsgenie.is_quiet() && stage.pagerduty.model().calls().iter().any(|call| call.path.ends_with("/notes"))
    });
    let Ended { code, output } = process.terminate();
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("calls were cut off at the end"), "{output}");

    let (process, _) = stage.start(&[]);
    until("all three are told", || stage.incident_notes(&incident).len() >= 3);
    assert_eq!(process.terminate().code, Some(0));
    assert_eq!(
        stage.incident_notes(&incident),
        [
            "[Opsgenie] jane@example.com: one",
            "[Opsgenie] jane@example.com: two",
            "[Opsgenie] jane@example.com acknowledged the alert",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_while_a_visitor_dawdles() {
    let stage = Stage::usual().await;
    let (process, address) = stage.start(&[]);
    let mut raw = crate::post::Raw::begin(&format!("http://{address}/ops-webhook"), "Content-Length: 100\r\n\r\n");
    raw.send(b"{");
    let Ended { code, output } = process.terminate();
    assert_eq!(code, Some(0), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_same_data_is_turned_away() {
    let stage = Stage::usual().await;
    let (first, address) = stage.start(&[]);
    let Ended { code, output } = Process::spawn(stage.folder.path(), &[], &[]).ended();
    assert_eq!(code, Some(3), "{output}");
    assert!(output.contains("another crosspage has the database in data/crosspage"), "{output}");
    assert_eq!(ask("GET", &format!("http://{address}/readyz")).await.status, 200, "the first goes on");
    assert_eq!(first.terminate().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_taken_is_told_by_its_key() {
    let stage = Stage::usual().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Ended { code, output } = Process::spawn(stage.folder.path(), &[("LISTEN_ADDR", &address)], &[]).ended();
    assert_eq!(code, Some(3), "it may be free in a moment: {output}");
    assert!(output.contains("LISTEN_ADDR") && output.contains(&address), "{output}");
    // Nothing is spoilt by it.
    let (process, _) = stage.start(&[]);
    assert_eq!(process.terminate().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_environment_wins_over_the_file() {
    let stage = Stage::usual().await;
    let other = "33333333-0000-4000-8000-000000000000";
    let (process, address) = stage.start(&[
        ("OPSGENIE_INTEGRATION_ID", other),
        ("DATABASE_URL", "sled://elsewhere/store"),
        ("RECONCILE_INTERVAL_S", "0"),
    ]);
    let url = format!("http://{address}/ops-webhook");
    assert_eq!(post(&url, &[], from_opsgenie(other, "Create", "test-123").to_string()).await.status, 202);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    until("the file's integration was refused", || process.output().contains("\"status\":403"));
    assert_eq!(process.terminate().code, Some(0));
    assert!(stage.pagerduty.model().incident_by_key(&format!("opsgenie:{alert}")).is_empty());
    assert!(stage.folder.path().join("elsewhere/store").is_dir() && !stage.folder.path().join("data").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_ready_while_pagerduty_does_not_answer() {
    let stage = Stage::usual().await;
    stage.pagerduty.model().faults.always("GET", "/users", Fault::Hang);
    let (process, address) = stage.start(&[]);
    assert_eq!(ask("GET", &format!("http://{address}/readyz")).await.status, 200);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    stage.incident_of(&alert);
    let look_ups = stage.pagerduty.model().calls().iter().filter(|call| call.path == "/users").count();
    assert!(look_ups <= 1, "it has waited for one to time out");
    assert_eq!(process.terminate().code, Some(0));
}

#[test]
fn every_problem_is_told_at_once_by_its_key_and_without_its_value() {
    let vars = [
        ("PAGERDUTY_API_KEY", "hunter 1"),
        ("PAGERDUTY_SERVICE_ID", "../P1"),
        ("PAGERDUTY_WEBHOOK_SECRET", ""),
        ("PAGERDUTY_EMAIL", "bot"),
        ("OPSGENIE_API_KEY", "hunter\u{e9}"),
        ("OPSGENIE_INTEGRATION_ID", "a,,b"),
        ("OPSGENIE_WEBHOOK_TOKEN", "hunter 2"),
        ("PAGERDUTY_API_URL", "https://hunter:hunter@host"),
        ("OPSGENIE_REGION", "uk"),
        ("LISTEN_ADDR", "localhost"),
        ("DATABASE_URL", "postgres://u:hunter@db/x"),
        ("RETENTION_DAYS", "1"),
        ("RUST_LOG", "crosspage=loud"),
        ("LOG_FORMAT", "xml"),
    ];
    let Ended { code, output } = run(&vars, &[]);
    assert_eq!(code, Some(2), "{output}");
    for key in vars.iter().map(|(key, _)| *key).chain(["PAGERDUTY_USER"]) {
        assert_eq!(output.matches(&format!("\"key\":\"{key}\"")).count(), 1, "{key}: {output}");
    }
    for line in output.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"] == "ERROR" && line["problem"].is_string(), "{line}");
    }
    assert!(!output.contains(HUNTER), "{output}");
    // As text where that was chosen, and to whoever runs a command without any of it.
    let text = run(&[("LOG_FORMAT", "text"), ("PAGERDUTY_EMAIL", "bot")], &[]).output;
    assert!(text.lines().all(|line| line.contains("ERROR") && line.contains("key=")), "{text}");
    let plain = run(&[("PAGERDUTY_EMAIL", "bot")], &["links", "list"]).output;
    assert!(plain.contains("PAGERDUTY_EMAIL ") && !plain.contains("ERROR"), "{plain}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_webhook_secret_is_refused() {
    let stage = Stage::usual().await;
    for secret in ["", " ", ",", "secret,"] {
        let vars = [("PAGERDUTY_WEBHOOK_SECRET", secret)];
        let Ended { code, output } = Process::spawn(stage.folder.path(), &vars, &[]).ended();
        assert_eq!(code, Some(2), "{secret:?}: {output}");
        assert!(
            output.contains(r#""key":"PAGERDUTY_WEBHOOK_SECRET","problem":"has an empty item"#),
            "{secret:?}: {output}"
        );
        assert_eq!(output.lines().count(), 1, "nothing else is wrong: {output}");
    }
}

#[test]
fn a_line_of_the_file_that_cannot_be_read_is_told_without_what_stands_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), "PAGERDUTY_USER=bot\nPAGERDUTY_API_KEY=hunter hunter\n").unwrap();
    let Ended { code, output } = Process::spawn(folder.path(), &[], &[]).ended();
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains(r#""key":".env","problem":"line 2"#) && !output.contains(HUNTER), "{output}");
}

#[test]
fn a_failure_to_start_is_seen_even_if_nothing_is_logged() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let vars = [
        ("PAGERDUTY_API_KEY", HUNTER),
        ("PAGERDUTY_SERVICE_ID", "P1"),
        ("PAGERDUTY_WEBHOOK_SECRET", HUNTER),
        ("PAGERDUTY_EMAIL", "bot@example.com"),
        ("PAGERDUTY_USER", "bot"),
        ("OPSGENIE_API_KEY", HUNTER),
        ("OPSGENIE_INTEGRATION_ID", "a"),
        ("DATABASE_URL", "sled://file/store"),
        ("RUST_LOG", "off"),
    ];
    let Ended { code, output } = Process::spawn(folder.path(), &vars, &[]).ended();
    assert_eq!(code, Some(3), "{output}");
    assert!(output.starts_with("crosspage: the database could not make its folder"), "{output}");
    assert!(!output.contains(HUNTER), "{output}");
}

#[test]
fn it_tells_its_version_and_how_it_is_used_without_any_setting() {
    let Ended { code, output } = run(&[], &["--version"]);
    assert_eq!((code, output.trim()), (Some(0), concat!("crosspage ", env!("CARGO_PKG_VERSION"))));
    let Ended { code, output } = run(&[], &["--help"]);
    assert_eq!(code, Some(0));
    assert!(output.contains("Usage: crosspage") && output.contains("serve"), "{output}");
    let Ended { code, output } = run(&[], &["--unheard-of"]);
    assert_eq!(code, Some(2), "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_automation_users_id_is_kept_and_known_when_it_cannot_be_looked_up_any_more() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    assert_eq!(process.terminate().code, Some(0));
    // From now on Bob's account is the automation user's, and there is nothing but the look-up to learn that from.
    let bob = [("PAGERDUTY_EMAIL", "bob@acme.test"), ("PAGERDUTY_USER", "Somebody Else")];
    let (process, _) = stage.start(&bob);
    until("Bob is known", || process.output().contains("the automation user was found in PagerDuty"));
    assert_eq!(process.terminate().code, Some(0));

    stage.pagerduty.model().behaviour.users_lookup = UsersLookup::Forbidden;
    let (process, _) = stage.start(&bob);
    stage.pagerduty.model().human_adds_note(&incident, BOB, "from the automation user's account");
    stage.pagerduty.model().human_adds_note(&incident, ADA, "from a person");
    until("the person's note is passed on", || !stage.alert_notes(&alert).is_empty());
    assert_eq!(process.terminate().code, Some(0));
    assert_eq!(stage.alert_notes(&alert), ["[PagerDuty] Ada Oncall: from a person"]);
}
