//! The same commands while crosspage runs: they ask it.

use std::process::{Command, Stdio};

use serde_json::{Value, json};
use simulators::Fault;
use simulators::opsgenie::NewAlert;

use crate::harness::{ADA, JANE};
use crate::process::{Ended, Process, Stage, until};

/// Runs a command with these settings where crosspage runs.
fn with(stage: &Stage, vars: &[(&str, &str)], arguments: &[&str]) -> Ended {
    Process::spawn(stage.folder.path(), vars, arguments).ended()
}

/// What a command says of the running crosspage.
#[track_caller]
fn asked(stage: &Stage, process: &Process, arguments: &[&str], code: i32) -> String {
    let ended = with(stage, &[("ADMIN_ADDR", &process.admin())], arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.output);
    ended.output
}

#[track_caller]
fn asked_json(stage: &Stage, process: &Process, arguments: &[&str], code: i32) -> Value {
    let output = asked(stage, process, &[arguments, &["--json"]].concat(), code);
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_night_is_mended_without_a_stop() {
    let stage = Stage::usual().await;
    stage.pagerduty.model().faults.times("POST", "/incidents", Fault::status(403), 1);
    let (process, address) = stage.start(&[]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    until("the page was given up", || process.output().contains("was given up"));
    let letters = asked_json(&stage, &process, &["dead-letters", "list"], 0);
    assert_eq!((letters[0]["alert"].as_str(), letters[0]["action"].as_str()), (Some(&*alert), Some("create")));
    let told = asked(&stage, &process, &["status"], 1);
    // Whether PagerDuty's webhooks are on is told as well, if the first pass was before there was a subscription.
    let is_alarm = told.lines().any(|line| line.starts_with("! 1 command was given up. "));
    assert!(is_alarm && told.contains("Given up: 1."), "{told}");
    let number = letters[0]["number"].to_string();
    let redriven = asked(&stage, &process, &["dead-letters", "redrive", &number], 0);
    assert!(redriven.ends_with("goes on.\n"), "at once: {redriven}");
    let incident = stage.incident_of(&alert);
    assert_eq!(asked_json(&stage, &process, &["dead-letters", "redrive", &number], 1)["error"]["code"], "not_found");

    asked(&stage, &process, &["links", "pause", &alert, "--reason", "too much"], 0);
    stage.opsgenie.model().human_adds_note(&alert, JANE, "held");
    until("the note is in", || process.output().contains("add_note"));
    let paused = asked_json(&stage, &process, &["links", "list", "--paused"], 0);
    assert_eq!(
        (paused[0]["alert"].as_str(), paused[0]["paused"]["reason"].as_str()),
        (Some(&*alert), Some("too much"))
    );
    let shown = asked_json(&stage, &process, &["links", "show", &alert], 0);
    assert_eq!(shown["entries"][0]["action"], "note");
    assert_eq!(
        asked(&stage, &process, &["links", "resume", &alert], 0),
        format!("The commands for alert {alert} go on.\n")
    );
    until("the note has come through", || stage.incident_notes(&incident).len() == 1);
    let told = asked(&stage, &process, &["status"], 0);
    assert!(told.starts_with("Nothing wants attention.\n") && told.contains("PagerDuty: takes calls"), "{told}");
    assert_eq!(asked_json(&stage, &process, &["status"], 0)["late"], json!([]));

    let looked = asked_json(&stage, &process, &["reconcile", "--dry-run"], 0);
    assert_eq!((looked["dry_run"].as_bool(), looked["incidents"].as_u64()), (Some(true), Some(1)));
    assert!(asked(&stage, &process, &["reconcile"], 0).contains("1 open incidents"));

    let unreadable = reqwest::Client::new().post(format!("http://{address}/ops-webhook")).body(
        crate::post::from_opsgenie(&simulators::opsgenie::Options::default().integration_id, "Create", "broken/id")
            .to_string(),
    );
    assert_eq!(unreadable.send().await.unwrap().status().as_u16(), 202);
    assert!(asked(&stage, &process, &["quarantine", "show", "1"], 0).contains("broken/id"));
    assert!(asked(&stage, &process, &["quarantine", "replay", "--all"], 1).contains("cannot be read still"));
    assert_eq!(asked_json(&stage, &process, &["quarantine", "discard", "1"], 0)["number"], 1);
    assert_eq!(asked(&stage, &process, &["quarantine", "list"], 0), "The quarantine is empty.\n");
    assert_eq!(asked(&stage, &process, &["waiting", "list"], 0), "Nothing waits.\n");
    assert_eq!(asked_json(&stage, &process, &["links", "unlink", &alert], 0)["alert"], *alert);
    assert_eq!(process.terminate().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_give_the_same_answers() {
    let stage = Stage::usual().await;
    // A look meanwhile would be a line of the story.
    let (process, _) = stage.start(&[("RECONCILE_INTERVAL_S", "0")]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    until("the answer is in", || process.output().contains("an incident was created"));
    stage.pagerduty.model().human_acknowledges(&incident, ADA);
    let acknowledged = || stage.opsgenie.model().alert(&alert).unwrap().acknowledged;
    until("it has come through", acknowledged);
    // The state, and who did it.
    until("all is carried out", || process.output().matches("a command was carried out").count() == 2);
    let lists = [
        vec!["links", "list"],
        vec!["links", "list", "--open", "--json"],
        vec!["links", "show", &alert],
        vec!["links", "show", &alert, "--json"],
        vec!["links", "show", "nobody", "--json"],
        vec!["explain", &incident],
        vec!["explain", "DISK full", "--json"],
        vec!["dead-letters", "list"],
        vec!["quarantine", "list", "--json"],
        vec!["waiting", "list"],
    ];
    let ask = |vars: &[(&str, &str)]| -> Vec<_> {
        lists.iter().map(|list| with(&stage, vars, list)).map(|ended| (ended.code, ended.output)).collect()
    };
    let admin = process.admin();
    let running = || ask(&[("ADMIN_ADDR", &admin)]);
    // What was done comes back as an echo, which changes the story.
    until("nothing happens any more", || stage.opsgenie.is_quiet() && stage.pagerduty.is_quiet());
    let running = running();
    assert_eq!(process.terminate().code, Some(0));
    let stopped = ask(&[]);
    for (list, (one, other)) in lists.iter().zip(running.iter().zip(&stopped)) {
        assert_eq!(one, other, "{list:?}");
    }
    let told = &stopped[5].1;
    for part in [
        "Opsgenie: acknowledged.",
        "created the alert",
        "Ada Oncall: acknowledged the incident",
        "It is passed on to the other side. (mirrored)",
        "-> PagerDuty create (1): done after",
        &format!("incident {incident}"),
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains('\u{1b}'), "nothing is dimmed where nobody looks at a terminal");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_asked_is_told_apart() {
    const TOKEN: &str = "a-long-random-text-for-operators";
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[("ADMIN_TOKEN", TOKEN)]);
    let admin = process.admin();
    let refused = |vars: &[(&str, &str)], says: &str| {
        let ended = with(&stage, vars, &["links", "list"]);
        assert_eq!(ended.code, Some(4), "{}", ended.output);
        assert!(ended.output.contains("a running crosspage has the database"), "{}", ended.output);
        assert!(ended.output.contains(says) && ended.output.contains("stop that one"), "{says}: {}", ended.output);
        assert!(!ended.output.contains(TOKEN), "{}", ended.output);
    };
    refused(&[], "ADMIN_ADDR has port 0");
    let nobody = "127.0.0.1:1".to_owned();
    refused(&[("ADMIN_ADDR", &nobody)], "nobody can be asked");
    refused(&[("ADMIN_ADDR", &admin)], "without its ADMIN_TOKEN");
    refused(&[("ADMIN_ADDR", &admin), ("ADMIN_TOKEN", "a-long-random-text-for-nobody")], "without its ADMIN_TOKEN");
    let stranger = stage.opsgenie.url().trim_start_matches("http://").to_owned();
    refused(&[("ADMIN_ADDR", &stranger)], "is no crosspage");
    let everywhere = admin.replace("127.0.0.1", "0.0.0.0");
    let settings = [("ADMIN_ADDR", &*everywhere), ("ADMIN_TOKEN", TOKEN), ("HTTP_PROXY", "http://127.0.0.1:1")];
    let ended = with(&stage, &settings, &["links", "list"]);
    assert_eq!((ended.code, &*ended.output), (Some(0), "There are no links.\n"));
    assert_eq!(process.terminate().code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_for_one_crosspage_is_never_carried_out_by_another() {
    let (stage, other) = (Stage::usual().await, Stage::usual().await);
    let ((process, _), (neighbour, _)) = (stage.start(&[]), other.start(&[]));
    let alert = other.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    other.incident_of(&alert);
    let wrong = [("ADMIN_ADDR", &*neighbour.admin())];
    for command in [&["links", "pause", &alert, "--reason", "too much"][..], &["links", "list"]] {
        let ended = with(&stage, &wrong, command);
        assert_eq!(ended.code, Some(4), "{}", ended.output);
        assert!(ended.output.contains("has another database"), "{}", ended.output);
    }
    let shown = asked_json(&other, &neighbour, &["links", "show", &alert], 0);
    assert_eq!(shown["link"]["paused"], Value::Null);
    assert_eq!(asked(&stage, &process, &["links", "list"], 0), "There are no links.\n");
}

/// The commands that a help lists, with those below them.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_command_shows_an_example() {
    let help = |words: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosspage"));
        let output = command.args(words).arg("--help").stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{words:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let mut ways = vec![Vec::new()];
    let mut ends = 0;
    while let Some(way) = ways.pop() {
        let text = help(&way);
        let below = commands(&text);
        if below.is_empty() {
            ends += 1;
            let example = format!("Example: crosspage {}", way.join(" "));
            assert!(text.contains(&example), "{way:?}: {text}");
        }
        ways.extend(below.into_iter().map(|name| [&way[..], &[name]].concat()));
    }
    assert!(ends >= 14, "{ends}");
}
