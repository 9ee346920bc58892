//! Links move from one store into another.

use simulators::opsgenie::NewAlert;

use super::{command, json, said};
use crate::harness::{ADA, JANE};
use crate::process::{Process, Stage, until};

const NEW: [(&str, &str); 1] = [("DATABASE_URL", "sled://data/new")];

#[track_caller]
fn in_the_new_store(stage: &Stage, arguments: &[&str], code: i32) -> String {
    let ended = Process::spawn(stage.folder.path(), &NEW, arguments).ended();
    assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.output);
    ended.output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_goes_on_in_another_store_and_nothing_comes_twice() {
    let stage = Stage::usual().await;
    let (process, _) = stage.start(&[]);
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    stage.opsgenie.model().human_adds_note(&alert, JANE, "one");
    until("her note has come through", || stage.incident_notes(&incident).len() == 1);
    stage.pagerduty.model().human_adds_note(&incident, ADA, "two");
    until("ada's note has come through", || stage.alert_notes(&alert).len() == 2);
    until("nothing is on its way", || stage.opsgenie.is_quiet() && stage.pagerduty.is_quiet());
    let out = ["export", "--out", "links.jsonl"];
    let refused = command(&stage, &out);
    assert_eq!(refused.code, Some(4), "while it runs: {}", refused.output);
    assert!(refused.output.contains("needs it for itself"), "{}", refused.output);
    assert_eq!(process.terminate().code, Some(0));

    assert_eq!(json(&stage, &out, 0)["links"], 1);
    assert!(said(&stage, &out, 1).contains("links.jsonl"), "no file is written over");
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
    let cut: Vec<&str> = whole.lines().take(2).collect();
    std::fs::write(stage.folder.path().join("cut.jsonl"), cut.join("\n")).unwrap();
    assert!(in_the_new_store(&stage, &["import", "cut.jsonl"], 2).contains("cut off"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_still_to_be_done_is_lost_only_if_somebody_says_so() {
    let stage = Stage::usual().await;
    let [given_up, other] = super::after_a_bad_night(&stage).await;
    let refused = said(&stage, &["export"], 1);
    assert!(refused.contains("2 to be done, 2 given up"), "{refused}");
    let forced = json(&stage, &["export", "--force", "--out", "links.jsonl"], 0);
    assert_eq!((forced["links"].as_u64(), forced["left_out"].as_u64()), (Some(0), Some(2)));
    let file = std::fs::read_to_string(stage.folder.path().join("links.jsonl")).unwrap();
    assert!(!file.contains(&given_up) && !file.contains(&other), "their incidents do not exist: {file}");
}
