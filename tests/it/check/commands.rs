//! The checks, a new subscription and completions by the real binary.

use serde_json::{Value, json};
use simulators::{Fault, opsgenie, pagerduty};

use crate::contract;
use crate::process::{Ended, Process, Stage, until};

/// Runs the real binary where crosspage is set up.
fn command(stage: &Stage, vars: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let ended = Process::spawn(stage.folder.path(), vars, arguments).ended();
    let (og, pd) = (opsgenie::Options::default(), pagerduty::Options::default());
    for secret in [og.api_key, pd.api_key, pd.webhook_secrets[0].clone()] {
        assert!(!ended.output.contains(&secret), "{}", ended.output);
    }
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_tells_people_and_programs() {
    let stage = Stage::usual().await;
    let (process, address) = stage.start(&[]);
    let address = address.to_string();
    let vars = [("LISTEN_ADDR", address.as_str())];
    let Ended { code, output } = command(&stage, &vars, &["check"]);
    assert_eq!(code, Some(0), "{output}");
    for line in [
        "ok       pagerduty.key          PagerDuty accepts the key",
        "warning  configuration          OPSGENIE_WEBHOOK_TOKEN is not set",
        "> PAGERDUTY_FALLBACK_ROUTING_KEY: add an Events API v2 integration",
        "skipped  opsgenie.webhook",
        ", 0 failed, 1 skipped.",
    ] {
        assert!(output.contains(line), "{line}: {output}");
    }

    let wrong = [vars[0], ("PAGERDUTY_API_KEY", "hunter-wrong")];
    let Ended { code, output } = command(&stage, &wrong, &["check", "--json"]);
    assert_eq!(code, Some(1), "{output}");
    let told: Value = serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"));
    assert_eq!((told["fine"].as_bool(), told["failed"].as_u64()), (Some(false), Some(1)), "{told}");
    let key = told["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "pagerduty.key").unwrap();
    assert_eq!((&key["verdict"], &key["key"]), (&json!("failed"), &json!("PAGERDUTY_API_KEY")));
    assert!(!output.contains("hunter"), "{output}");

    let misspelt = [vars[0], ("PAGERDUTY_REGION", "mars"), ("LOG_FORMAT", "xml")];
    let Ended { code, output } = command(&stage, &misspelt, &["check"]);
    assert_eq!(code, Some(2), "{output}");
    for key in ["PAGERDUTY_REGION must be us or eu", "LOG_FORMAT must be text or json", "skipped  everything_else"] {
        assert!(output.contains(key), "{key}: {output}");
    }
    assert_eq!(process.terminate().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_sends_a_test_alert_only_where_that_makes_sense_and_is_wanted() {
    let stage = Stage::usual().await;
    stage.pagerduty.webhook_to("http://127.0.0.1:9/pd-webhook");
    let Ended { code, output } = command(&stage, &[], &["check", "--e2e", "--yes"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("no crosspage runs") && output.contains("start it"), "{output}");

    let (process, address) = stage.start(&[]);
    let address = address.to_string();
    let vars = [("LISTEN_ADDR", address.as_str())];
    let Ended { code, output } = command(&stage, &vars, &["check", "--e2e"]);
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("nobody has said yes"), "{output}");
    let Ended { code, output } =
        command(&stage, &[vars[0], ("PAGERDUTY_API_KEY", "wrong")], &["check", "--e2e", "--yes"]);
    assert!(code == Some(1) && output.contains("something else has failed"), "{output}");
    assert_eq!(command(&stage, &vars, &["check", "--yes"]).code, Some(2), "only with --e2e");
    assert!(stage.opsgenie.model().alerts().is_empty(), "nothing was sent");

    let Ended { code, output } = command(&stage, &vars, &["check", "--e2e", "--yes", "--tag", "x", "--priority", "P4"]);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("e2e.resolved") && output.contains(" s)\n"), "{output}");
    {
        let model = stage.opsgenie.model();
        let alert = model.alerts()[0];
        assert_eq!((alert.priority.as_str(), alert.status.as_str()), ("P4", "closed"));
    }

    // Held, so that no incident comes and the test waits.
    stage.opsgenie.model().faults.webhooks.hold = true;
    let test = Process::spawn(stage.folder.path(), &vars, &["check", "--e2e", "--yes"]);
    until("the test alert is there", || {
        stage.opsgenie.model().alerts().len() == 2 && test.output().contains("e2e.alert")
    });
    let Ended { code, output } = test.terminate();
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("it was interrupted") && output.contains("no incident of it is left open"), "{output}");
    assert!(stage.opsgenie.model().alerts().iter().all(|alert| alert.status.as_str() == "closed"));
    stage.opsgenie.model().release_webhooks();
    assert_eq!(process.terminate().code, Some(0));
    contract::hold(stage.opsgenie.model().calls(), stage.pagerduty.model().calls());
}

/// What asks for a subscription to this address.
fn subscribe<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["pagerduty", "subscribe", "--url", url], more].concat()
}

const DOOR: &str = "https://crosspage.example.com/pd-webhook";

/// The addresses that the account's subscriptions post to.
fn subscriptions(stage: &Stage) -> Vec<String> {
    stage.pagerduty.model().subscription_urls()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_made_before_there_is_a_secret() {
    let stage = Stage::usual().await;
    // As it is at that step: neither side's webhooks are set up.
    let env = std::fs::read_to_string(stage.folder.path().join(".env")).unwrap();
    let (known, _) = env.split_once("export OPSGENIE").unwrap();
    let without_secret = known.lines().filter(|line| !line.starts_with("PAGERDUTY_WEBHOOK"));
    let text = without_secret.map(|line| format!("{line}\n")).collect::<String>();
    std::fs::write(stage.folder.path().join(".env"), text).unwrap();
    let url = stage.pagerduty.url();
    let vars = [("PAGERDUTY_API_URL", url.as_str()), ("PAGERDUTY_WEBHOOK_SECRET_FILE", "not-there-yet")];

    let Ended { code, output } = command(&stage, &vars, &subscribe(DOOR, &["--json"]));
    assert_eq!(code, Some(0), "{output}");
    let told: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(told["url"], DOOR);
    assert!(told["secret"].as_str().unwrap().len() >= 32, "{told}");
    assert_eq!(subscriptions(&stage).iter().filter(|url| *url == DOOR).count(), 1);

    let again = command(&stage, &vars, &subscribe(DOOR, &[]));
    assert_eq!(again.code, Some(1));
    let id = told["id"].as_str().unwrap();
    assert!(again.output.contains(id) && again.output.contains("cannot be read again"), "{}", again.output);
    assert!(!again.output.contains(told["secret"].as_str().unwrap()));

    let other = "https://other.example.com/pd-webhook";
    let Ended { code, output } = command(&stage, &vars, &subscribe(other, &["--account"]));
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("told only now") && output.contains("\nPAGERDUTY_WEBHOOK_SECRET="), "{output}");
    let asked = stage.pagerduty.model().writes().last().unwrap().body_json()["webhook_subscription"].clone();
    assert_eq!(
        (&asked["filter"]["type"], &asked["events"][0]),
        (&json!("account_reference"), &json!("incident.triggered"))
    );
    contract::hold(stage.opsgenie.model().calls(), stage.pagerduty.model().calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_into_a_new_file_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::usual().await;
    let path = stage.folder.path().join("secret");
    let file = ["--secret-file", "secret"];
    stage.pagerduty.model().faults.once("POST", "/webhook_subscriptions", Fault::status(403));
    let refused = command(&stage, &[], &subscribe(DOOR, &file));
    assert!(refused.code == Some(1) && refused.output.contains("made no subscription: 403"), "{}", refused.output);
    assert!(!path.exists(), "nothing is left behind");

    let Ended { code, output } = command(&stage, &[], &subscribe(DOOR, &file));
    assert_eq!(code, Some(0), "{output}");
    let secret = std::fs::read_to_string(&path).unwrap();
    assert!(secret.trim().len() >= 32 && !output.contains(secret.trim()), "{output}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let other = "https://other.example.com/pd-webhook";
    let made = subscriptions(&stage).len();
    for (name, why) in [("secret", "exists"), ("no-folder/secret", "No such file")] {
        let Ended { code, output } = command(&stage, &[], &subscribe(other, &["--secret-file", name]));
        assert!(code == Some(1) && output.contains(why) && output.contains("nothing was done"), "{output}");
    }
    assert_eq!(subscriptions(&stage).len(), made);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), secret, "it is as it was");

    // What cannot be written to is found out too late, and taken back.
    let Ended { code, output } = command(&stage, &[], &subscribe(other, &["--secret-file", "/dev/full"]));
    assert!(code == Some(1), "{output}");
    assert_eq!(subscriptions(&stage).len(), made, "{output}");
    contract::hold(stage.opsgenie.model().calls(), stage.pagerduty.model().calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_whose_secret_nobody_reads_is_removed_again() {
    let stage = Stage::usual().await;
    let before = subscriptions(&stage);
    for more in [&[][..], &["--json"]] {
        for closed in [false, true] {
            let (reader, writer) = std::io::pipe().unwrap();
            let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
            // A pipe that nobody reads any more, or a disk that is full.
            drop(reader);
            let to = if closed { std::process::Stdio::from(writer) } else { full.into() };
            let run = std::process::Command::new(env!("CARGO_BIN_EXE_crosspage"))
                .args(subscribe(DOOR, more))
                .env_clear()
                .current_dir(stage.folder.path())
                .stdout(to)
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let ended = tokio::task::spawn_blocking(|| run.wait_with_output()).await.unwrap().unwrap();
            let said = String::from_utf8(ended.stderr).unwrap();
            assert!(ended.status.code() == Some(1) && said.contains("removed again"), "{said}");
            assert_eq!(subscriptions(&stage), before);
        }
    }
    let Ended { code, output } = command(&stage, &[], &subscribe(DOOR, &[]));
    assert_eq!(code, Some(0), "nothing is in the way: {output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_subscription_leaves_no_file_in_the_way() {
    let stage = Stage::usual().await;
    stage.pagerduty.model().faults.once("POST", "/webhook_subscriptions", Fault::Hang);
    let made = subscriptions(&stage).len();
    let run = Process::spawn(stage.folder.path(), &[], &subscribe(DOOR, &["--secret-file", "secret"]));
    until("the call hangs", || subscriptions(&stage).len() > made);
    let Ended { code, output } = run.terminate();
    assert!(code == Some(1) && output.contains("may have made the subscription all the same"), "{output}");
    assert!(!stage.folder.path().join("secret").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_may_have_been_made_is_told() {
    let stage = Stage::usual().await;
    for (fault, said) in [
        (Fault::ResetAfter, "may have made the subscription all the same"),
        (Fault::status(400), "made no subscription"),
        (Fault::GarbageAfter, "may have made the subscription all the same"),
    ] {
        stage.pagerduty.model().faults.once("POST", "/webhook_subscriptions", fault);
        let url = format!("https://{}.example.com/pd-webhook", subscriptions(&stage).len());
        let Ended { code, output } = command(&stage, &[], &subscribe(&url, &[]));
        assert!(code == Some(1) && output.contains(said), "{said}: {output}");
    }
    for bad in ["http://crosspage.example.com/pd-webhook", "https://crosspage.example.com/"] {
        assert_eq!(command(&stage, &[], &subscribe(bad, &[])).code, Some(2), "{bad}");
    }
    let wrong = [("PAGERDUTY_API_KEY", ""), ("PAGERDUTY_SERVICE_ID", "")];
    let Ended { code, output } = command(&stage, &wrong, &subscribe(DOOR, &[]));
    assert_eq!(code, Some(2), "{output}");
    assert!(output.contains("PAGERDUTY_API_KEY") && output.contains("PAGERDUTY_SERVICE_ID is missing"), "{output}");
}

#[test]
fn completions_know_the_commands() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let Ended { code, output } = Process::spawn(folder.path(), &[], &["completions", shell]).ended();
        assert_eq!(code, Some(0), "{output}");
        for word in ["check", "subscribe", "dead-letters", "e2e", "secret-file"] {
            assert!(output.contains(word), "{shell} {word}");
        }
    }
}

#[test]
fn help_shows_an_example() {
    let folder = tempfile::tempdir().unwrap();
    for command in [&["check"][..], &["pagerduty", "subscribe"], &["completions"]] {
        let Ended { code, output } = Process::spawn(folder.path(), &[], &[command, &["--help"]].concat()).ended();
        assert_eq!(code, Some(0), "{output}");
        assert!(output.contains(&format!("Example: crosspage {}", command.join(" "))), "{output}");
    }
}
