//! A newcomer's walk: from the example's `.env`, filled in, to an alert whose story is told.

use std::fs;
use std::path::Path;

use simulators::opsgenie::{self, NewAlert};
use simulators::pagerduty;

use crate::harness::{ADA, JANE};
use crate::process::{Ended, Process, Stage, own_address, until};

/// The example with these keys filled in, as an editor would: what is commented out begins to count.
pub(crate) fn filled_in(values: &[(&str, String)]) -> String {
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(".env-example")).unwrap();
    let mut lines: Vec<String> = example.lines().map(str::to_owned).collect();
    for (key, value) in values {
        let of_key = |line: &String| line.trim_start_matches("# ").starts_with(&format!("{key}="));
        let line = lines.iter_mut().find(|line| of_key(line)).unwrap_or_else(|| panic!("the example has no {key}"));
        *line = format!("{key}='{value}'");
    }
    lines.join("\n")
}

#[track_caller]
fn said(stage: &Stage, arguments: &[&str]) -> String {
    let Ended { code, output } = Process::spawn(stage.folder.path(), &[], arguments).ended();
    assert_eq!(code, Some(0), "{arguments:?}: {output}");
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn from_an_empty_folder_to_an_alert_whose_story_is_told() {
    let (opsgenie, pagerduty) = (opsgenie::Options::default(), pagerduty::Options::default());
    let stage = Stage::set(opsgenie.clone(), pagerduty.clone()).await;
    let (listen, admin) = (own_address(), own_address());
    let mut values = vec![
        ("PAGERDUTY_API_KEY", pagerduty.api_key),
        ("PAGERDUTY_SERVICE_ID", pagerduty.service_id),
        ("PAGERDUTY_WEBHOOK_SECRET", pagerduty.webhook_secrets.join(",")),
        ("PAGERDUTY_EMAIL", pagerduty.automation.email),
        ("PAGERDUTY_USER", pagerduty.automation.name),
        ("OPSGENIE_API_KEY", opsgenie.api_key),
        ("OPSGENIE_INTEGRATION_ID", opsgenie.integration_id),
        ("PAGERDUTY_API_URL", stage.pagerduty.url()),
        ("OPSGENIE_API_URL", stage.opsgenie.url()),
        ("LISTEN_ADDR", listen.clone()),
        ("ADMIN_ADDR", admin),
    ];
    values.extend(opsgenie.webhook_token.map(|token| ("OPSGENIE_WEBHOOK_TOKEN", token)));
    fs::write(stage.folder.path().join(".env"), filled_in(&values)).unwrap();
    // As the set-up pages have it done in both systems.
    stage.pagerduty.webhook_to(&format!("http://{listen}/pd-webhook"));
    stage.opsgenie.webhook_to(&format!("http://{listen}/ops-webhook"));

    said(&stage, &["check"]);
    let (process, _) = Process::start(stage.folder.path(), &[]);
    said(&stage, &["check"]);

    let alert =
        stage.opsgenie.model().human_creates(NewAlert { user: JANE.to_owned(), ..NewAlert::titled("Disk full") });
    let incident = stage.incident_of(&alert);
    stage.pagerduty.model().human_acknowledges(&incident, ADA);
    until("the alert is told who took it", || stage.alert_notes(&alert).iter().any(|note| note.contains("Ada Oncall")));
    until("that it was is on disk", || {
        let told = said(&stage, &["explain", &incident]);
        told.contains("acknowledged the incident") && told.contains("Ada Oncall")
    });

    assert_eq!(process.terminate().code, Some(0));
    let told = said(&stage, &["explain", &alert]);
    for part in ["Disk full", &incident, "created the alert", "acknowledged the incident", "Ada Oncall"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
