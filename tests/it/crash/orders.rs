//! `kill -9` while an operator gives orders, through the API of a running crosspage and by commands on a stopped one: what was
//! answered is done, and what was not is done wholly or not at all.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crosspage::clock::now;
use crosspage::engine::{AlertFacts, AlertId, Link, Page};
use crosspage::store::Store;
use serde_json::json;
use simulators::Fault;
use simulators::opsgenie::NewAlert;
use tokio::task::JoinSet;

use super::load::Dice;
use super::{Ordeal, from_env, whole};
use crate::harness::JANE;
use crate::post::ask;

/// How many pages are given up. Each has a note parked behind it.
const LETTERS: usize = 36;

/// How many orders are given at once.
const AT_ONCE: usize = 6;

/// What is ordered for the alert of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ordered {
    Redrive,
    Discard,
    Unlink,
}

/// A dead letter, and what was ordered.
#[derive(Clone, Debug)]
struct Case {
    alert: AlertId,
    number: u64,
    ordered: Option<Ordered>,
}

impl Ordered {
    fn drawn(dice: &mut Dice) -> Self {
        [Self::Redrive, Self::Discard, Self::Unlink][usize::try_from(dice.below(3)).unwrap()]
    }

    fn path(self, case: &Case) -> String {
        match self {
            Self::Redrive => format!("dead-letters/{}/redrive", case.number),
            Self::Discard => format!("dead-letters/{}/discard", case.number),
            Self::Unlink => format!("links/{}/unlink", case.alert),
        }
    }
}

impl Ordeal {
    /// Has pages given up, with a note parked behind each, and stops crosspage.
    async fn after_a_bad_night(&self) -> Vec<Case> {
        let refused = u32::try_from(LETTERS).unwrap();
        self.pagerduty.model().faults.times("POST", "/incidents", Fault::status(403), refused);
        let mut binary = self.start();
        let alerts: Vec<String> = (0..LETTERS)
            .map(|number| {
                let alert = NewAlert { user: JANE.to_owned(), ..NewAlert::titled(&format!("Alert {number}")) };
                self.opsgenie.model().human_creates(alert)
            })
            .collect();
        let status = binary.api("status");
        let letters = async || ask("GET", &status).await.body["dead_letters"] == LETTERS;
        self.until(&mut binary, "all are given up", letters).await;
        for alert in &alerts {
            assert!(self.opsgenie.model().human_adds_note(alert, JANE, "anybody?"));
        }
        let parked = async || ask("GET", &status).await.body["pagerduty"]["entries"] == LETTERS;
        self.until(&mut binary, "the notes are parked", parked).await;
        self.stop(binary);
        let store = self.open_store();
        let letters = store.dead_letters(None, usize::MAX).await.unwrap();
        store.close().await.unwrap();
        letters
            .into_iter()
            .map(|letter| Case { alert: letter.entry.alert, number: letter.entry.id, ordered: None })
            .collect()
    }

    /// Looks into what a kill has left behind.
    async fn left_behind<T>(&self, look: impl AsyncFnOnce(&Store) -> T) -> T {
        let torn = whole::torn(&whole::rows(&self.folder.path().join("store")));
        assert!(torn.is_empty(), "{}", torn.join("\n"));
        let store = self.open_store();
        whole::read_all(&store).await;
        let seen = look(&store).await;
        store.close().await.unwrap();
        seen
    }

    /// A command that runs beside, or instead of, crosspage.
    fn command(&self, arguments: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_crosspage"))
            .args(arguments)
            .env_clear()
            .envs(&self.vars)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }
}

/// Whether the order is done. It is done wholly or not at all, or the test fails.
async fn is_done(store: &Store, case: &Case, ordered: Ordered) -> bool {
    let link = store.link(&case.alert).await.unwrap().expect("each alert has its link");
    let is_given_up = !store.dead_letters_of(&case.alert).await.unwrap().is_empty();
    let entries: Vec<_> = store.entries(&case.alert).await.unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.command.action.name()).collect();
    let told: Vec<_> =
        store.timeline(&case.alert).await.unwrap().iter().map(|entry| entry.reason.to_string()).collect();
    let count = |reason: &str| told.iter().filter(|told| *told == reason).count();
    let seen = format!("{ordered:?} {case:?}: given up: {is_given_up}, {:?}, {names:?}, {told:?}", link.page);
    if is_given_up {
        assert!(link.page == Page::Dead && !link.redriven && !link.unlinked && names == ["note"], "{seen}");
        assert_eq!(count("redriven") + count("discarded"), 0, "{seen}");
        return false;
    }
    match ordered {
        // It goes on at once: it may have paged by now.
        Ordered::Redrive => assert!(count("redriven") == 1 && link.page != Page::Withheld, "{seen}"),
        // The letter, and the note behind it.
        Ordered::Discard => {
            assert!(count("discarded") == 2 && link.page == Page::Withheld && names.is_empty(), "{seen}");
        }
        Ordered::Unlink => assert!(link.unlinked && link.page == Page::Withheld && names.is_empty(), "{seen}"),
    }
    true
}

/// Gives orders to a running crosspage, and kills it as soon as so many of them were answered.
async fn killed_over(ordeal: &Ordeal, cases: &[&Case], answered: usize) -> Vec<u64> {
    let binary = ordeal.start();
    let mut orders = JoinSet::new();
    for case in cases {
        let (url, number) = (binary.api(&case.ordered.unwrap().path(case)), case.number);
        let origin = url.split("/api/").next().unwrap().to_owned();
        orders.spawn(async move {
            let order = reqwest::Client::new().post(&url).header("origin", origin).header("x-crosspage", "1");
            let answer = order.send().await.ok()?;
            assert_eq!(answer.status(), 200, "{url}");
            Some(number)
        });
    }
    let mut done = Vec::new();
    while done.len() < answered {
        done.extend(orders.join_next().await.unwrap().unwrap());
    }
    ordeal.kill(binary);
    // What was answered while it was killed counts as well.
    done.extend(orders.join_all().await.into_iter().flatten());
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_done_once_answered_and_else_wholly_or_not_at_all() {
    let seed = from_env("CROSSPAGE_CRASH_SEED").unwrap_or(1);
    println!("CROSSPAGE_CRASH_SEED={seed}");
    let ordeal = Ordeal::new(seed).await;
    ordeal.opsgenie.model().faults.clear();
    ordeal.pagerduty.model().faults.clear();
    let mut dice = Dice::new(seed.wrapping_add(0x0bde));
    let mut cases = ordeal.after_a_bad_night().await;
    for case in &mut cases {
        case.ordered = Some(Ordered::drawn(&mut dice));
    }
    // Half of them through the API, until each is done.
    let (by_api, by_command) = cases.split_at(LETTERS / 2);
    let mut open: Vec<&Case> = by_api.iter().collect();
    while !open.is_empty() {
        let now: Vec<&Case> = open.iter().take(AT_ONCE).copied().collect();
        let answered = usize::try_from(dice.below(AT_ONCE as u64)).unwrap().min(now.len());
        let answered = killed_over(&ordeal, &now, answered).await;
        let done = ordeal
            .left_behind(async |store| {
                let mut done = Vec::new();
                for case in &now {
                    if is_done(store, case, case.ordered.unwrap()).await {
                        done.push(case.number);
                    }
                }
                done
            })
            .await;
        assert!(answered.iter().all(|number| done.contains(number)), "{answered:?} were answered, {done:?} are done");
        open.retain(|case| !done.contains(&case.number));
        println!("answered {}, done {}, left {}", answered.len(), done.len(), open.len());
    }
    // The other half is discarded by a command, on a store that nobody else has.
    let mut left = by_command.len();
    while left > 0 {
        let lines = usize::try_from(dice.below(left as u64 + 1)).unwrap();
        let said = killed_saying(&ordeal, &["dead-letters", "discard", "--all", "--yes"], lines);
        let done = ordeal
            .left_behind(async |store| {
                let mut done = Vec::new();
                for case in by_command {
                    if is_done(store, case, Ordered::Discard).await {
                        done.push(case.number);
                    }
                }
                done
            })
            .await;
        let said: Vec<u64> = said.iter().map(|line| line.split(':').next().unwrap().parse().unwrap()).collect();
        assert!(said.iter().all(|number| done.contains(number)), "{said:?} were said, {done:?} are done");
        println!("said {}, done {} of {}", said.len(), done.len(), by_command.len());
        left = by_command.len() - done.len();
    }

    let store = ordeal.settle(ordeal.start()).await;
    assert_eq!(store.summary().await.unwrap().dead_letters, 0);
    let expected: BTreeMap<_, _> = cases
        .iter()
        .enumerate()
        .map(|(n, case)| {
            let pages = n < LETTERS / 2 && case.ordered == Some(Ordered::Redrive);
            (
                case.alert.clone(),
                if pages { vec![vec!["[Opsgenie] jane@example.com: anybody?".to_owned()]] } else { vec![] },
            )
        })
        .collect();
    for (alert, expected) in expected {
        let pagerduty = ordeal.pagerduty.model();
        let incidents = pagerduty.incident_by_key(&alert.incident_key());
        let notes: Vec<Vec<String>> =
            incidents.iter().map(|incident| incident.notes.iter().map(|note| note.text.clone()).collect()).collect();
        assert_eq!(notes, expected, "{alert}");
    }
    store.close().await.unwrap();
    ordeal.opsgenie.stop().await;
    ordeal.pagerduty.stop().await;
}

/// Runs a command, and kills it as soon as it has said so many lines. All that it has said by then counts.
fn killed_saying(ordeal: &Ordeal, arguments: &[&str], lines: usize) -> Vec<String> {
    let mut child = ordeal.command(arguments);
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut lines: Vec<String> = said.by_ref().take(lines).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    lines.extend(said);
    lines
}

/// How many links are taken in by one command: more than two commits of them.
const IMPORTED: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_is_brought_to_its_end_by_the_next_one() {
    let seed = from_env("CROSSPAGE_CRASH_SEED").unwrap_or(1);
    println!("CROSSPAGE_CRASH_SEED={seed}");
    let ordeal = Ordeal::new(seed).await;
    let mut dice = Dice::new(seed.wrapping_add(0x1407));
    let links: Vec<Link> = (0..IMPORTED)
        .map(|number| {
            let alert = AlertId::try_from(format!("imported-{number}")).unwrap();
            let incident = format!("QIMPORTED{number}").try_into().unwrap();
            Link::new(alert, AlertFacts::default(), Page::Standing(incident), now())
        })
        .collect();
    let header = json!({
        "kind": "crosspage links", "version": 2, "written_by": "a test", "first_ran_at": now(), "reconciled_until": now(),
    });
    let mut lines = vec![header.to_string()];
    lines.extend(links.iter().map(|link| serde_json::to_string(link).unwrap()));
    lines.push(format!(r#"{{"links":{IMPORTED}}}"#));
    std::fs::write(ordeal.folder.path().join("links.jsonl"), lines.join("\n")).unwrap();
    let mut there = Vec::new();
    for _ in 0..6 {
        let mut child = ordeal.command(&["import", "links.jsonl"]);
        let file = ordeal.folder.path().join("store/db");
        let look = || std::fs::metadata(&file).and_then(|file| file.modified()).ok();
        let (mut last, mut writes) = (look(), 1 + dice.below(6));
        while writes > 0 && child.try_wait().unwrap().is_none() {
            let now = look();
            writes -= u64::from(now != last);
            last = now;
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        if ordeal.folder.path().join("store").exists() {
            let imported = ordeal.left_behind(async |store| store.links_after(None, usize::MAX).await.unwrap()).await;
            assert!(imported.iter().all(|link| links.contains(link)), "each as it was");
            there.push(imported.len());
        }
    }
    println!("links after each kill: {there:?}");
    assert!(there.is_sorted(), "{there:?}");
    let mut child = ordeal.command(&["import", "links.jsonl"]);
    assert!(child.wait().unwrap().success());
    let imported = ordeal.left_behind(async |store| store.links_after(None, usize::MAX).await.unwrap()).await;
    assert_eq!(imported.len(), IMPORTED);
    ordeal.opsgenie.stop().await;
    ordeal.pagerduty.stop().await;
}
