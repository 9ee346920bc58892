//! Links move from one store into another.

use crosspage::clock::now;
use crosspage::engine::{Policy, Timestamp};
use crosspage::store::backend::Backend;
use crosspage::store::book::Book;
use crosspage::store::{Settings, Span};
use serde_json::Value;
use simulators::opsgenie::NewAlert;

use super::{command, json, said};
use crate::harness::{ADA, JANE};
use crate::process::{Process, Stage, until};

const NEW: [(&str, &str); 1] = [("DATABASE_URL", "sled://data/new")];

/// The store in a folder, which is made at that time if it is not there.
fn book(stage: &Stage, folder: &str, now: Timestamp) -> Book {
    let folder = stage.folder.path().join(folder);
    Book::open(Backend::sled(&folder).unwrap(), Settings::new(Policy::default()), now).unwrap()
}

/// Ten minutes from now: no overlap of two looks reaches from there to what happens in a test.
fn later() -> Timestamp {
    Timestamp::from_millis(now().as_millis() + 600_000)
}

fn span_of(book: &Book) -> Span {
    book.span().unwrap()
}

#[track_caller]
fn in_the_new_store(stage: &Stage, arguments: &[&str], code: i32) -> String {
    let ended = Process::spawn(stage.folder.path(), &NEW, arguments).ended();
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.output);
    ended.output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_on_in_another_store_and_nothing_comes_twice() {
    let stage = Stage::usual().await;
    // A look at the alert before its webhook is heard would be a command more.
    let (process, _) = stage.start(&[("RECONCILE_INTERVAL_S", "0")]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    stage.opsgenie.model().human_adds_note(&alert, JANE, "one");
    until("her note has come through", || stage.incident_notes(&incident).len() == 1);
    stage.pagerduty.model().human_adds_note(&incident, ADA, "two");
    until("ada's note has come through", || stage.alert_notes(&alert).len() == 2);
    until("all is carried out", || process.output().matches("a command was carried out").count() == 2);
    until("nothing is on its way", || stage.opsgenie.is_quiet() && stage.pagerduty.is_quiet());
    let out = ["export", "--out", "links.jsonl"];
    let refused = command(&stage, &out);
    assert_eq!(refused.code, Some(4), "while it runs: {}", refused.output);
    assert!(refused.output.contains("needs it for itself"), "{}", refused.output);
    assert_eq!(process.terminate().code, Some(0));

    assert_eq!(json(&stage, &out, 0)["links"], 1);
    let refused = said(&stage, &out, 2);
    assert!(refused.contains("cannot make links.jsonl: File exists"), "no file is written over: {refused}");
    assert!(refused.contains("name a file that is not there yet"), "{refused}");
    let import = ["import", "links.jsonl"];
    assert!(in_the_new_store(&stage, &import, 0).contains("taken in: 1."));
    assert!(in_the_new_store(&stage, &import, 0).contains("There already: 1."), "it can be done again");

    let (process, _) = stage.start(&NEW);
    stage.opsgenie.model().human_adds_note(&alert, JANE, "three");
    until("the further note has come through", || stage.incident_notes(&incident).len() == 3);
    let admin = process.admin();
    let looked = Process::spawn(stage.folder.path(), &[NEW[0], ("ADMIN_ADDR", &admin)], &["reconcile"]).ended();
    assert_eq!(looked.code, Some(0), "{}", looked.output);
    until("nothing is on its way", || stage.opsgenie.is_quiet() && stage.pagerduty.is_quiet());
    let notes = stage.incident_notes(&incident);
    assert_eq!(notes, ["[Opsgenie] jane@example.com: one", "two", "[Opsgenie] jane@example.com: three"]);
    assert_eq!(stage.alert_notes(&alert), ["one", "[PagerDuty] Ada Oncall: two", "three"]);
    assert_eq!(process.terminate().code, Some(0));
    assert_eq!(stage.pagerduty.model().incident_by_key(&format!("opsgenie:{alert}")).len(), 1);

    let otherwise = in_the_new_store(&stage, &import, 1);
    assert!(otherwise.contains("linked in this store already"), "the link has gone on since: {otherwise}");
    let whole = std::fs::read_to_string(stage.folder.path().join("links.jsonl")).unwrap();
    let end = whole.trim_end().rfind('\n').unwrap();
    for cut in [&whole[..end], &whole[..end - 1], &whole[..whole.len() - 2]] {
        std::fs::write(stage.folder.path().join("cut.jsonl"), cut).unwrap();
        let refused = in_the_new_store(&stage, &["import", "cut.jsonl"], 2);
        assert!(refused.contains("cut.jsonl: it is cut off: export it again, or copy it whole"), "{refused}");
    }
    let first_form = whole.replacen("\"version\":2", "\"version\":1", 1);
    std::fs::write(stage.folder.path().join("old.jsonl"), first_form).unwrap();
    assert!(in_the_new_store(&stage, &["import", "old.jsonl"], 2).contains("its form is 1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_while_links_move_is_made_up_for() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    until("nothing is on its way", || stage.opsgenie.is_quiet() && stage.pagerduty.is_quiet());
    assert_eq!(process.terminate().code, Some(0));
    json(&stage, &["export", "--out", "links.jsonl"], 0);

    let [missed, over] = stage.opsgenie.model().silently(|model| {
        assert!(model.human_closes(&alert, JANE, None));
        let [missed, over] = ["CPU busy", "Net down"].map(|message| model.human_creates(NewAlert::titled(message)));
        assert!(model.human_closes(&over, JANE, None));
        [missed, over]
    });
    // The new store is made long after that.
    drop(book(&stage, "data/new", later()));
    in_the_new_store(&stage, &["import", "links.jsonl"], 0);
    let (old, new) = (book(&stage, "data/crosspage", now()), book(&stage, "data/new", now()));
    assert_eq!(span_of(&new), span_of(&old));
    drop((old, new));

    let (process, _) = stage.start(&[NEW[0], ("RECONCILE_INTERVAL_S", "1")]);
    stage.incident_of(&missed);
    until("the incident is resolved", || stage.pagerduty.model().incident(&incident).unwrap().status == "resolved");
    let admin = process.admin();
    let looked = Process::spawn(stage.folder.path(), &[NEW[0], ("ADMIN_ADDR", &admin)], &["reconcile"]).ended();
    assert_eq!(looked.code, Some(0), "{}", looked.output);
    until("nothing is on its way", || stage.opsgenie.is_quiet() && stage.pagerduty.is_quiet());
    assert_eq!(process.terminate().code, Some(0));
    assert!(stage.pagerduty.model().incident_by_key(&format!("opsgenie:{over}")).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_the_links_are_the_answer_and_what_came_of_it_stands_beside() {
    let stage = Stage::usual().await;
    drop(book(&stage, "data/crosspage", now()));
    let lines: Vec<Value> = said(&stage, &["export", "--json"], 0)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert!(lines.iter().any(|line| line["kind"] == "crosspage links"), "{lines:?}");
    assert!(lines.iter().any(|line| line["left_out"] == 0), "{lines:?}");
    assert!(said(&stage, &["export"], 0).contains("Links written: 0."));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_to_be_done_is_lost_only_if_somebody_says_so() {
    let stage = Stage::usual().await;
    let [given_up, other] = super::after_a_bad_night(&stage).await;
    // As if these alerts were the last ones that had changed for long.
    let mut old = book(&stage, "data/crosspage", now());
    old.set_reconciled_until(later()).unwrap();
    old.commit().unwrap();
    drop(old);
    let refused = said(&stage, &["export"], 1);
    assert!(refused.contains("2 to be done, 2 given up"), "{refused}");
    let forced = json(&stage, &["export", "--force", "--out", "links.jsonl"], 0);
    assert_eq!((forced["links"].as_u64(), forced["left_out"].as_u64()), (Some(0), Some(2)));
    let file = std::fs::read_to_string(stage.folder.path().join("links.jsonl")).unwrap();
    assert!(!file.contains(&given_up) && !file.contains(&other), "their incidents do not exist: {file}");

    drop(book(&stage, "data/new", later()));
    in_the_new_store(&stage, &["import", "links.jsonl"], 0);
    let (process, _) = stage.start(&[NEW[0], ("RECONCILE_INTERVAL_S", "1")]);
    stage.incident_of(&given_up);
    stage.incident_of(&other);
    assert_eq!(process.terminate().code, Some(0), "the pages that were left behind go out");
}
