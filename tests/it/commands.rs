//! The operator's commands, by the real binary, on a store that a real run has filled.

use crosspage::engine::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, IncidentId, Outcome, Policy, Status, System,
    Timestamp,
};
use crosspage::store::backend::Backend;
use crosspage::store::book::{Book, LONGEST_LIST};
use crosspage::store::{Form, Quarantined, Settings};
use serde_json::Value;
use simulators::Fault;
use simulators::opsgenie::NewAlert;

use crate::harness::{ADA, JANE};
use crate::post::{from_opsgenie, post};
use crate::process::{Ended, Process, Stage, until};

mod running;
mod transfer;

/// Runs a command where crosspage runs.
fn command(stage: &Stage, arguments: &[&str]) -> Ended {
    Process::spawn(stage.folder.path(), &[], arguments).ended()
}

#[track_caller]
fn said(stage: &Stage, arguments: &[&str], code: i32) -> String {
    let ended = command(stage, arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.output);
    ended.output
}

#[track_caller]
fn json(stage: &Stage, arguments: &[&str], code: i32) -> Value {
    let output = said(stage, &[arguments, &["--json"]].concat(), code);
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {output}"))
}

/// Two alerts whose pages PagerDuty has refused, with a note parked behind each.
async fn after_a_bad_night(stage: &Stage) -> [String; 2] {
    stage.pagerduty.model().faults.times("POST", "/incidents", Fault::status(403), 2);
    let (process, _) = stage.start(&[]);
    let alerts = ["Disk full", "CPU \u{1b}[2Jbusy"].map(|message| {
        let alert = stage.opsgenie.model().human_creates(NewAlert::titled(message));
        until("the page was given up", || {
            process.output().lines().any(|line| line.contains(&alert) && line.contains("was given up"))
        });
        stage.opsgenie.model().human_adds_note(&alert, JANE, "parked");
        until("the note is in", || {
            process.output().lines().any(|line| line.contains(&alert) && line.contains("add_note"))
        });
        alert
    });
    assert_eq!(process.terminate().code, Some(0));
    alerts
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_bad_night_pages_are_listed_redriven_and_discarded() {
    let stage = Stage::usual().await;
    let [redriven, discarded] = after_a_bad_night(&stage).await;

    let listed = said(&stage, &["dead-letters", "list"], 0);
    assert!(
        listed.starts_with("NUMBER") && listed.contains(&redriven) && listed.contains("create: Disk full"),
        "{listed}"
    );
    assert!(!listed.contains('\u{1b}'), "what comes from outside cannot command a terminal: {listed:?}");
    let letters = json(&stage, &["dead-letters", "list"], 0);
    assert_eq!(letters.as_array().unwrap().len(), 2, "{letters}");
    let number = |alert: &str| {
        let letter = letters.as_array().unwrap().iter().find(|letter| letter["alert"] == alert).unwrap();
        assert_eq!((letter["action"].as_str(), letter["to"].as_str()), (Some("create"), Some("pagerduty")));
        letter["number"].to_string()
    };
    let shown = json(&stage, &["links", "show", &redriven], 0);
    assert_eq!((shown["page"].as_str(), shown["entries"][0]["action"].as_str()), (Some("given_up"), Some("note")));

    let redrive = ["dead-letters", "redrive", &number(&redriven)];
    assert!(said(&stage, &redrive, 0).contains("goes on at the next start"));
    assert!(said(&stage, &redrive, 1).contains("no such dead letter"), "it is there once");
    let dropped = json(&stage, &["dead-letters", "discard", "--alert", &discarded], 0);
    assert_eq!((dropped["letter"]["alert"].as_str(), dropped["parked"].as_u64()), (Some(&*discarded), Some(1)));
    assert_eq!(json(&stage, &["dead-letters", "list"], 0), serde_json::json!([]));
    assert_eq!(said(&stage, &["dead-letters", "redrive", "--all"], 0), "Nothing was given up.\n");
    assert!(said(&stage, &["explain", &discarded], 0).contains("discarded create"), "the story tells it");

    let (process, _) = stage.start(&[]);
    let incident = stage.incident_of(&redriven);
    until("the note follows the page", || stage.incident_notes(&incident).len() == 1);
    stage.opsgenie.model().human_acknowledges(&discarded, JANE);
    until("the acknowledgement is in", || {
        process.output().lines().any(|line| line.contains(&discarded) && line.contains("no incident"))
    });
    assert_eq!(process.terminate().code, Some(0));
    assert!(stage.pagerduty.model().incident_by_key(&format!("opsgenie:{discarded}")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_read_is_listed_read_again_and_dropped() {
    let stage = Stage::usual().await;
    let integration = simulators::opsgenie::Options::default().integration_id;
    let (process, address) = stage.start(&[]);
    let url = format!("http://{address}/ops-webhook");
    let mut unreadable = from_opsgenie(&integration, "Create", "broken/id");
    unreadable["headers"] = serde_json::json!({ "Authorization": "Bearer hunter2" });
    let mut odd = unreadable.clone();
    odd["action"] = serde_json::json!({});
    for body in [&unreadable, &odd] {
        assert_eq!(post(&url, &[], body.to_string()).await.status, 202);
    }
    assert_eq!(process.terminate().code, Some(0));

    let items = json(&stage, &["quarantine", "list"], 0);
    assert_eq!(items.as_array().unwrap().len(), 2, "{items}");
    let item = json(&stage, &["quarantine", "show", "1"], 0);
    assert!(item["body"].as_str().unwrap().contains("broken/id") && !item.to_string().contains("hunter2"));
    assert!(said(&stage, &["quarantine", "show", "1"], 0).contains("broken/id"));
    assert!(said(&stage, &["quarantine", "list"], 0).contains("`alert.alertId` is not valid"));
    let again = said(&stage, &["quarantine", "replay", "1"], 1);
    assert!(again.contains("cannot be read still"), "{again}");
    assert_eq!(json(&stage, &["quarantine", "list"], 0).as_array().unwrap().len(), 2, "it stays");
    assert_eq!(json(&stage, &["quarantine", "discard", "2"], 0)["number"], 2);
    assert!(said(&stage, &["quarantine", "replay", "2"], 1).contains("no such number"));
    assert_eq!(json(&stage, &["quarantine", "list"], 0).as_array().unwrap().len(), 1);
    said(&stage, &["quarantine", "discard", "--all", "--yes"], 0);
    assert_eq!(said(&stage, &["quarantine", "list"], 0), "The quarantine is empty.\n");
    said(&stage, &["quarantine", "discard", "--all"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_listed_paused_shown_and_resumed() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    until("the answer is in", || process.output().contains("an incident was created"));
    assert_eq!(process.terminate().code, Some(0));

    let listed = said(&stage, &["links", "list"], 0);
    assert!(listed.contains(&alert) && listed.contains(&incident) && listed.contains("Disk full"), "{listed}");
    assert_eq!(json(&stage, &["links", "list", "--paused"], 0), serde_json::json!([]));
    said(&stage, &["links", "pause", &alert, "--reason", "too much"], 0);
    let paused = json(&stage, &["links", "list", "--paused"], 0);
    assert_eq!(paused[0]["paused"]["reason"], "too much");
    assert!(said(&stage, &["links", "show", &alert], 0).contains(": too much"));

    let (process, _) = stage.start(&[]);
    stage.opsgenie.model().human_adds_note(&alert, JANE, "held");
    until("the note is in", || process.output().contains("add_note"));
    assert_eq!(process.terminate().code, Some(0));
    assert!(stage.incident_notes(&incident).is_empty());
    assert!(said(&stage, &["links", "resume", &alert], 0).contains("go on at the next start"));
    assert!(said(&stage, &["links", "resume", &alert], 0).starts_with("It was so already: The commands"));
    let (process, _) = stage.start(&[]);
    until("the note has come through", || stage.incident_notes(&incident).len() == 1);
    assert_eq!(process.terminate().code, Some(0));
    assert_eq!(json(&stage, &["links", "resume", "nobody"], 1)["error"]["code"], "not_found");
    assert!(said(&stage, &["links", "show", "nobody"], 1).contains("no link"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_an_incident_is_listed() {
    let stage = Stage::usual().await;
    stage.pagerduty.model().faults.always("POST", "/incidents", Fault::status(503));
    let (process, _) = stage.start(&[]);
    stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    until("the page is tried", || process.output().contains("a vendor call failed"));
    let other = stage.pagerduty.model().human_triggers("somebody else's, or not?", ADA);
    stage.pagerduty.model().human_adds_note(&other, ADA, "who is on it?");
    until("the note is in", || process.output().contains("annotated"));
    assert_eq!(process.terminate().code, Some(0));
    let waiting = json(&stage, &["waiting", "list"], 0);
    assert_eq!((waiting[0]["incident"].as_str(), waiting[0]["text"].as_str()), (Some(&*other), Some("who is on it?")));
    assert!(said(&stage, &["waiting", "list"], 0).contains("who is on it?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_wrong_folder_no_store_is_made() {
    let stage = Stage::usual().await;
    let output = said(&stage, &["dead-letters", "list"], 2);
    assert!(output.contains("there is no database in data/crosspage"), "{output}");
    assert!(stage.files().is_empty(), "nothing is left behind");
    std::fs::create_dir_all(stage.folder.path().join("data/crosspage")).unwrap();
    assert!(said(&stage, &["links", "list"], 2).contains("there is no database"), "an empty folder is none");
    std::fs::write(stage.folder.path().join("none.jsonl"), "{}\n").unwrap();
    assert!(
        said(&stage, &["import", "none.jsonl"], 2).contains("none.jsonl: it was not written by `crosspage export`")
    );
    assert!(said(&stage, &["import", "nowhere.jsonl"], 2).contains("nowhere.jsonl: No such file"));
    assert_eq!(stage.files().len(), 1, "only the file that was to be read: {:?}", stage.files().keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_configuration_is_every_key_has_a_line_and_the_last_one_tells_where_it_was_looked_for() {
    let elsewhere = tempfile::tempdir().unwrap();
    let looked_for =
        format!("there is no .env in {}: run this where", elsewhere.path().canonicalize().unwrap().display());
    for arguments in [&["quarantine", "list"][..], &["health"]] {
        let Ended { code, output } = Process::spawn(elsewhere.path(), &[], arguments).ended();
        assert_eq!(code, Some(2), "{output}");
        let lines: Vec<&str> = output.lines().collect();
        let missing = lines.iter().filter(|line| line.starts_with("crosspage: ") && line.contains(" is missing: "));
        assert_eq!((missing.count(), lines.len()), (7, 8), "{output}");
        assert!(lines[0].starts_with("crosspage: PAGERDUTY_API_KEY is missing"), "{output}");
        assert!(lines[7].starts_with(&format!("crosspage: {looked_for}")), "{output}");
    }
    let Ended { code, output } = Process::spawn(elsewhere.path(), &[], &["serve"]).ended();
    assert!(code == Some(2) && output.lines().last().is_some_and(|line| line.contains(&looked_for)), "{output}");
    let Ended { code, output } = Process::spawn(elsewhere.path(), &[], &["check"]).ended();
    assert!(code == Some(2) && output.contains(&format!("> {looked_for}")), "{output}");
    assert!(output.ends_with("\n\n0 ok, 0 with a warning, 7 failed, 1 skipped.\n"), "{output}");
    std::fs::write(elsewhere.path().join(".env"), "PAGERDUTY_SERVICE_ID=PSERVICE\n").unwrap();
    let Ended { output, .. } = Process::spawn(elsewhere.path(), &[], &["quarantine", "list"]).ended();
    assert!(!output.contains("there is no .env") && output.lines().count() == 6, "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_link_passes_nothing_on_and_pages_nobody() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[("RECONCILE_INTERVAL_S", "1")]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    until("the answer is in", || process.output().contains("an incident was created"));
    assert_eq!(process.terminate().code, Some(0));
    assert_eq!(json(&stage, &["links", "unlink", &alert], 0)["alert"], *alert);
    assert!(said(&stage, &["links", "unlink", "nobody"], 1).contains("no link"));
    assert!(said(&stage, &["links", "list"], 0).contains("unlinked"));

    let (process, _) = stage.start(&[("RECONCILE_INTERVAL_S", "1")]);
    stage.opsgenie.model().human_acknowledges(&alert, JANE);
    stage.pagerduty.model().human_adds_note(&incident, ADA, "anybody?");
    let taken =
        |what: &str| process.output().lines().any(|line| line.contains(what) && line.contains("a webhook was taken"));
    until("both are in", || taken("\"event\":\"acknowledge\"") && taken("\"event\":\"annotated\""));
    assert_eq!(process.terminate().code, Some(0));
    assert!(stage.alert_notes(&alert).is_empty());
    assert_eq!(stage.incident_notes(&incident), ["anybody?"]);
    let model = stage.pagerduty.model();
    let incidents = model.incident_by_key(&format!("opsgenie:{alert}"));
    assert_eq!((incidents.len(), incidents[0].status.to_string().as_str()), (1, "triggered"));
}

/// Fills the stage's store: more dead letters and more in the quarantine than a list shows, and behind them some more.
fn filled(stage: &Stage) {
    let folder = stage.folder.path().join("data/crosspage");
    std::fs::create_dir_all(&folder).unwrap();
    let now = Timestamp::from_millis(1_800_000_000_000);
    let mut book = Book::open(Backend::sled(&folder).unwrap(), Settings::new(Policy::default()), now).unwrap();
    let happened = |alert: &str, action| {
        let alert = AlertId::try_from(alert).unwrap();
        let body = EventBody::Alert(AlertEvent { alert, facts: AlertFacts::default(), action });
        let (dedupe, request_id, actor) = (Vec::new(), None, Actor::nobody());
        Event { dedupe, request_id, occurred_at: None, received_at: now, actor, body }
    };
    let settle = |book: &mut Book, outcome: Outcome| {
        let claim = book.claim(System::PagerDuty, 1, now).unwrap().pop().unwrap();
        book.settle(claim.entry, outcome, now).unwrap();
    };
    let dead = || Outcome::Dead { reason: "refused".to_owned() };
    book.record(happened("A", AlertAction::Create)).unwrap();
    let (incident, status) = (IncidentId::try_from("Q1").unwrap(), Status::Open);
    settle(&mut book, Outcome::Created { incident, status, at: None, author: None });
    for n in 0..LONGEST_LIST {
        book.record(happened("A", AlertAction::AddNote { text: format!("note {n}") })).unwrap();
        settle(&mut book, dead());
    }
    for alert in ["B", "C"] {
        book.record(happened(alert, AlertAction::Create)).unwrap();
        settle(&mut book, dead());
    }
    let unreadable = |body: &str| {
        let (reason, body, form) = ("odd".to_owned(), body.as_bytes().to_vec(), Form::Webhook);
        Quarantined { system: System::PagerDuty, received_at: now, reason, body, form, request_id: None }
    };
    for _ in 0..=LONGEST_LIST {
        book.quarantine(&unreadable("{")).unwrap();
    }
    let ping = r#"{"event":{"id":"E1","event_type":"pagey.ping","resource_type":"pagey","occurred_at":"2026-01-01T00:00:00Z","data":{"type":"ping","message":"hello"}}}"#;
    book.quarantine(&unreadable(ping)).unwrap();
    book.commit().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_means_all_however_long_a_list_is() {
    let stage = Stage::usual().await;
    filled(&stage);
    let cut = format!("The first {LONGEST_LIST} of {} are shown.", LONGEST_LIST + 2);
    for list in ["dead-letters", "quarantine"] {
        assert!(said(&stage, &[list, "list"], 0).ends_with(&format!("{cut}\n")));
        assert!(said(&stage, &[list, "list", "--json"], 0).contains(&cut));
    }
    let told = said(&stage, &["explain", "A"], 0);
    assert!(told.contains("The beginning of the story is left out"), "{told}");
    let one = json(&stage, &["links", "show", "B"], 0);
    assert_eq!(one["dead_letters"].as_array().unwrap().len(), 1, "the letter behind all that are listed");

    let replayed = said(&stage, &["quarantine", "replay", "--all"], 1);
    let last = format!("{}: nothing to do for pagey.ping.", LONGEST_LIST + 2);
    assert!(replayed.contains(&last), "what cannot be read stands in nobody's way");
    for list in ["dead-letters", "quarantine"] {
        // Nobody sits at a terminal who could be asked.
        let refused = json(&stage, &[list, "discard", "--all"], 1);
        assert_eq!(refused["error"]["code"], "not_confirmed", "{refused}");
        assert!(said(&stage, &[list, "list"], 0).contains(&format!("The first {LONGEST_LIST} of ")), "none is gone");
    }
    let dropped = said(&stage, &["quarantine", "discard", "--all", "--yes"], 0);
    assert_eq!(dropped.lines().count(), LONGEST_LIST + 1);
    assert_eq!(json(&stage, &["quarantine", "list"], 0), serde_json::json!([]));
    assert_eq!(json(&stage, &["quarantine", "discard", "1"], 1)["error"]["code"], "not_found");

    assert_eq!(json(&stage, &["dead-letters", "discard", "--alert", "B"], 0)["letter"]["alert"], "B");
    assert_eq!(json(&stage, &["dead-letters", "redrive", "--alert", "B"], 1)["error"]["code"], "not_found");
    let discarded = said(&stage, &["dead-letters", "discard", "--all", "--yes"], 0);
    assert_eq!(discarded.lines().count(), LONGEST_LIST + 1);
    assert_eq!(json(&stage, &["dead-letters", "list"], 0), serde_json::json!([]));
}
