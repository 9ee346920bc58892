//! Every command of the pages is run as a reader would run it, or says that it cannot be here.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crosspage::engine::{Policy, System};
use crosspage::store::backend::Backend;
use crosspage::store::book::Book;
use crosspage::store::{Form, Quarantined, Settings};
use simulators::Fault;
use simulators::opsgenie::NewAlert;

use super::blocks::{Block, Part, arguments, blocks, files, in_backticks};
use super::reader::Reader;
use super::root;
use crate::harness::{ADA, JANE};
use crate::process::{Process, until};

/// As what the reader of a page's section runs its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum As {
    /// Somebody who begins with a fresh clone, and goes on from one section to the next.
    Newcomer,
    /// Somebody whose crosspage runs, and has seen better nights.
    Operator,
    /// The same, to whom each line is an example by itself, while crosspage runs as well as while it does not.
    Mender,
    /// Somebody who has stopped a crosspage to which nothing is left to do.
    Keeper,
    /// Nobody: all of it is marked.
    Nobody,
}

/// Who follows each section that has commands. A page's sections are followed in its own order.
const READERS: &[(&str, &str, As)] = &[
    ("BENCHMARKS.md", "Benchmarks", As::Nobody),
    ("README.md", "Try it", As::Newcomer),
    ("README.md", "Set it up", As::Newcomer),
    ("README.md", "Local trials with ngrok", As::Newcomer),
    ("README.md", "After a bad night", As::Mender),
    ("docs/api.md", "API", As::Operator),
    ("docs/check.md", "Check", As::Operator),
    ("docs/check.md", "From end to end", As::Operator),
    ("docs/deploy.md", "Compose", As::Nobody),
    ("docs/deploy.md", "Helm", As::Nobody),
    ("docs/deploy.md", "systemd", As::Nobody),
    ("docs/deploy.md", "The reverse proxy", As::Nobody),
    ("docs/failures.md", "Is anything amiss?", As::Operator),
    ("docs/leaving-opsgenie.md", "Phase 4: move the sources", As::Operator),
    ("docs/leaving-opsgenie.md", "How to check that nothing is lost", As::Operator),
    ("docs/local-trial.md", "Without accounts: the sandbox", As::Newcomer),
    ("docs/local-trial.md", "With accounts: ngrok", As::Newcomer),
    ("docs/local-trial.md", "By hand: curl", As::Newcomer),
    ("docs/security.md", "What is stored", As::Nobody),
    ("docs/set-up-opsgenie.md", "Set up Opsgenie", As::Operator),
    ("docs/set-up-opsgenie.md", "1. API integration", As::Operator),
    ("docs/set-up-opsgenie.md", "3. A token", As::Operator),
    ("docs/set-up-pagerduty.md", "Set up PagerDuty", As::Operator),
    ("docs/set-up-pagerduty.md", "2. An API key", As::Operator),
    ("docs/set-up-pagerduty.md", "4. A webhook subscription", As::Operator),
    ("docs/set-up-pagerduty.md", "5. Another way to page", As::Operator),
    ("docs/set-up-pagerduty.md", "See that it works", As::Operator),
    ("docs/set-up-pagerduty.md", "When PagerDuty has switched the subscription off", As::Operator),
    ("docs/upgrade.md", "Backup", As::Keeper),
    ("docs/upgrade.md", "Into another store", As::Keeper),
    ("docs/upgrade.md", "What a restored backup has forgotten", As::Keeper),
];

/// The blocks of all pages, each with its page.
fn all_blocks() -> Vec<(String, Block)> {
    let pages = files().into_iter().filter(|(name, _)| name.ends_with(".md"));
    pages
        .flat_map(|(name, text)| {
            let blocks = blocks(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            blocks.into_iter().map(move |block| (name.clone(), block))
        })
        .collect()
}

fn parts(page: &str, block: &Block) -> Vec<Part> {
    block.parts().unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// What these readers are to follow, page by page.
fn followed_as(who: As) -> Vec<(String, Vec<Block>)> {
    let mut pages: Vec<(String, Vec<Block>)> = Vec::new();
    for (page, block) in all_blocks() {
        if !READERS.contains(&(&page, &block.section, who)) {
            continue;
        }
        match pages.last_mut() {
            Some((last, blocks)) if *last == page => blocks.push(block),
            _ => pages.push((page, vec![block])),
        }
    }
    assert!(!pages.is_empty(), "{who:?} has something to do");
    pages
}

#[test]
fn every_command_has_a_reader_or_says_that_it_cannot_be_run() {
    let mut sections = BTreeSet::new();
    for (page, block) in all_blocks() {
        let reader = READERS.iter().find(|(of, section, _)| *of == page && *section == block.section);
        let (_, _, who) = reader.unwrap_or_else(|| panic!("{page}: who is to run what stands in {}?", block.section));
        let marked = parts(&page, &block).iter().all(|part| matches!(part, Part::Marked(_)));
        assert!(marked || *who != As::Nobody, "{page}: {}", block.at("nobody runs it, and it is not marked"));
        sections.insert((page, block.section));
    }
    for (page, section, _) in READERS {
        assert!(
            sections.contains(&((*page).to_owned(), (*section).to_owned())),
            "{page} has no commands in {section:?}"
        );
    }
}

/// Whether that does nothing but set variables.
fn only_sets(script: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let sets = |line: &str| line.split_once('=').is_some_and(|(name, value)| is_name(name) && !value.contains(' '));
    script.lines().all(sets)
}

/// What pages have set once for the commands of this one and of others.
fn set_once() -> String {
    all_blocks().into_iter().map(|(_, block)| block.text).filter(|text| only_sets(text)).collect()
}

/// Follows a page.
fn follow(reader: &mut Reader, page: &str, blocks: &[Block]) -> String {
    let (set, mut output) = (set_once(), String::new());
    for block in blocks {
        for part in parts(page, block) {
            match part {
                Part::Marked(_) => {}
                Part::Runs(script) => {
                    // What is copied is filled in before it is used.
                    let copied =
                        script.find("cp .env-example .env").and_then(|at| Some(at + script[at..].find('\n')? + 1));
                    let (first, then) = script.split_at(copied.unwrap_or_default());
                    for script in [first, then].into_iter().filter(|script| !script.is_empty()) {
                        let ran = reader.runs(&format!("{set}{script}"));
                        let told = block.at(&format!("{script}{}", ran.output));
                        assert_eq!(ran.code, Some(0), "{page}: {told}\n{}", reader.log());
                        output.push_str(&ran.output);
                        if script == first {
                            reader.sets_up();
                        }
                    }
                }
                Part::Stays(line) if arguments(&line).unwrap().first().is_some_and(|first| first == "sandbox") => {
                    reader.starts(&line, "Open this page");
                    reader.stops();
                }
                Part::Stays(line) => reader.starts(&line, "crosspage is running"),
            }
        }
    }
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_can_follow_every_page() {
    for (page, blocks) in followed_as(As::Newcomer) {
        let mut reader = Reader::new().await;
        let output = follow(&mut reader, &page, &blocks);
        // Every webhook that is posted by hand is taken, and what can be mirrored is.
        let posts = blocks.iter().map(|block| block.text.matches("localhost:5001/").count()).sum::<usize>();
        let taken = output.matches("HTTP/1.1 20").count();
        assert!(posts >= 5 && taken == posts, "{page}: {posts} webhooks, {taken} taken: {output}");
        assert!(output.matches(r#""status":"mirrored""#).count() >= 5, "{page}: {output}");
        until("the alert's incident is resolved", || {
            let model = reader.pagerduty.model();
            let incidents = model.incident_by_key("opsgenie:test-123");
            incidents.len() == 1 && incidents[0].status == "resolved"
        });
        reader.ends();
    }
}

/// Numbers that stand on the pages for those of dead letters and of a webhook in quarantine.
const NUMBERS: [&str; 3] = ["17", "23", "4"];

/// A crosspage that runs, with two pages that were refused, a webhook that an earlier version could not read, and an alert
/// that is linked.
async fn after_a_bad_night() -> Reader {
    let mut reader = Reader::new().await;
    reader.sets_up();
    let hears = |hears: bool| {
        reader.opsgenie.model().faults.webhooks.lose_all = !hears;
        reader.pagerduty.model().faults.webhooks.lose_all = !hears;
    };
    hears(false);
    let linked_by_hand = reader.opsgenie.model().human_creates(NewAlert::titled("From before the first run"));
    let incident = reader.pagerduty.model().human_triggers("By hand", ADA);
    hears(true);
    reader.starts("crosspage", "crosspage is running");
    let alert =
        reader.opsgenie.model().human_creates(NewAlert { user: JANE.to_owned(), ..NewAlert::titled("Disk full") });
    reader.until_logged(&[&alert, "an incident was created"]);
    reader.pagerduty.model().faults.always("POST", "/incidents", Fault::status(403));
    for message in ["CPU busy", "Tea is out"] {
        let refused = reader.opsgenie.model().human_creates(NewAlert::titled(message));
        reader.until_logged(&[&refused, "was given up"]);
    }
    reader.pagerduty.model().faults.clear();
    reader.stops();
    let letters = reader.runs("crosspage dead-letters list --json | jq -r '.[].number'").output;
    let letters: Vec<&str> = letters.lines().collect();
    let quarantined = put_away(&reader).to_string();
    let values = NUMBERS.into_iter().zip([letters[0], letters[1], &quarantined]);
    // What fits first counts: the line that links by hand names another alert.
    reader.known = vec![("ALERT INCIDENT".to_owned(), format!("{linked_by_hand} {incident}"))];
    reader.known.extend(values.map(|(from, to)| (from.to_owned(), to.to_owned())));
    reader.known.extend(["ALERT", "THE-ALERT-ID"].map(|from| (from.to_owned(), alert.clone())));
    reader.known.push(("SUBSCRIPTION-ID".to_owned(), reader.subscription()));
    reader.copies_store("data/crosspage", "data/kept");
    reader
}

/// Puts a webhook into the quarantine that can be read by now; returns its number.
fn put_away(reader: &Reader) -> u64 {
    let now = crosspage::clock::now();
    let backend = Backend::sled(&reader.folder().join("data/crosspage")).unwrap();
    let mut book = Book::open(backend, Settings::new(Policy::default()), now).unwrap();
    let body = fs::read(root().join("examples/pagerduty/ping.json")).unwrap();
    let (system, reason, form) = (System::PagerDuty, "an earlier version did not know it".to_owned(), Form::Webhook);
    let number =
        book.quarantine(&Quarantined { system, received_at: now, reason, body, form, request_id: None }).unwrap();
    book.commit().unwrap();
    number
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_can_follow_every_page() {
    let mut reader = after_a_bad_night().await;
    for (page, blocks) in followed_as(As::Operator) {
        reader.copies_store("data/kept", "data/crosspage");
        reader.starts("crosspage", "crosspage is running");
        let (with_token, without): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| block.text.contains("$ADMIN_TOKEN"));
        reader.until_logged(&["the automation user was found"]);
        follow(&mut reader, &page, &without);
        reader.stops();
        if !with_token.is_empty() {
            let token = "ADMIN_TOKEN=a-long-random-text-of-an-operator";
            reader.starts(&format!("{token} crosspage"), "crosspage is running");
            let refused = reader.runs("curl -s localhost:5002/api/v1/status");
            assert!(refused.code == Some(22) && refused.output.contains("token"), "{refused:?}");
            for block in &with_token {
                let ran = reader.runs(&format!("{token}\n{}", block.text));
                assert_eq!(ran.code, Some(0), "{page}: {}", block.at(&ran.output));
            }
            reader.stops();
        }
    }
    reader.ends();
}

/// How a command ends after such a night, whether or not crosspage runs, where that is not 0.
fn ends(line: &str, running: bool) -> i32 {
    match line {
        // Something wants attention.
        line if line.starts_with("crosspage status") => 1,
        // Only a crosspage that runs can do that.
        line if line.starts_with("crosspage reconcile") && !running => 1,
        _ => 0,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_after_a_bad_night_mends_what_it_says() {
    let mut reader = after_a_bad_night().await;
    // Nothing that one line sends out again gets in the way of the next one's copy.
    reader.pagerduty.model().faults.always("POST", "/incidents", Fault::status(403));
    for (page, blocks) in followed_as(As::Mender) {
        let lines = blocks.iter().flat_map(|block| block.text.lines().map(move |line| (block, line)));
        for (block, line) in lines {
            let with_json = format!("{} --json", line.split(" #").next().unwrap().trim_end());
            for (running, line) in [(false, line), (true, with_json.as_str())] {
                reader.copies_store("data/kept", "data/crosspage");
                if running {
                    reader.starts("crosspage", "crosspage is running");
                }
                let ran = reader.runs(line);
                let told = block.at(&format!("{line}, running: {running}: {}", ran.output));
                assert_eq!(ran.code, Some(ends(line, running)), "{page}: {told}");
                let mut json = serde_json::Deserializer::from_str(&ran.output).into_iter::<serde_json::Value>();
                assert!(!line.ends_with("--json") || json.all(|one| one.is_ok()), "{page}: {told}");
                reader.stops();
            }
        }
    }
    reader.ends();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_kept_moved_and_brought_back() {
    for (page, blocks) in followed_as(As::Keeper) {
        let mut reader = Reader::new().await;
        reader.sets_up();
        // A look at the alert that is still to be made would not be exported.
        reader.starts("RECONCILE_INTERVAL_S=0 crosspage", "crosspage is running");
        let alert = reader.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
        reader.until_logged(&[&alert, "an incident was created"]);
        reader.stops();
        reader.known.push(("crosspage-YYYY-MM-DD".to_owned(), "crosspage-*".to_owned()));
        let before = reader.runs("crosspage links show ALERT".replace("ALERT", &alert).as_str());
        follow(&mut reader, &page, &blocks);
        for settings in ["", "DATABASE_URL=sled:///srv/crosspage "] {
            let shown = reader.runs(&format!("{settings}crosspage links show {alert}"));
            assert_eq!((shown.code, shown.output), (Some(0), before.output.clone()), "{page}");
        }
        reader.ends();
    }
}

/// What crosspage says to these words, to which nothing is done.
fn understood(words: &[String]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let words = words.iter().map(String::as_str).chain(["--help"]).collect::<Vec<_>>();
    let ended = Process::spawn(folder.path(), &[], &words).ended();
    if ended.code == Some(0) { Ok(()) } else { Err(format!("crosspage {}: {}", words.join(" "), ended.output)) }
}

/// The words that crosspage is given in prose: what stands in angle brackets or in square ones is some word.
fn words_in_prose(span: &str) -> Option<Vec<String>> {
    let mut text = span.replace(['[', ']'], "");
    while let Some((before, rest)) = text.split_once('<') {
        let (_, after) = rest.split_once('>')?;
        text = format!("{before}SOME{after}");
    }
    arguments(&text)
}

#[test]
fn every_command_in_the_prose_or_marked_is_one_of_crosspages() {
    let mut understood_ones = BTreeSet::new();
    for (name, text) in files() {
        let in_fences = blocks(&text).into_iter().flatten().flat_map(|block| {
            let lines: Vec<String> = block.text.lines().map(str::to_owned).collect();
            lines
        });
        // Beside the pages, a whole line may be a comment that tells what to call.
        let comments =
            text.lines().filter(|_| !name.ends_with(".md")).map(|line| line.trim_start_matches(['#', ' ']).to_owned());
        let told = comments.map(|line| line.rsplit(": ").next().unwrap().to_owned());
        let told = told.filter(|line| line.starts_with("crosspage-command ") || line.contains("-- crosspage "));
        for command in in_backticks(&text).into_iter().chain(in_fences).chain(told) {
            let Some(words) = words_in_prose(&command) else { continue };
            if understood_ones.insert(words.clone()) {
                understood(&words).unwrap_or_else(|error| panic!("{name}: {command}: {error}"));
            }
        }
    }
    assert!(understood_ones.len() >= 40, "{understood_ones:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_prose_has_asked_of_a_running_crosspage_is_answered() {
    let mut reader = Reader::new().await;
    reader.sets_up();
    reader.starts("crosspage", "crosspage is running");
    let mut asked = 0;
    for (name, text) in files() {
        for command in in_backticks(&text) {
            if command.starts_with("openssl ") || (command.starts_with("curl ") && command.contains("localhost")) {
                let ran = reader.runs(&command);
                assert_eq!(ran.code, Some(0), "{name}: {command}: {}", ran.output);
                asked += 1;
            }
        }
    }
    assert!(asked >= 4, "{asked}");
    reader.ends();
}

#[test]
fn what_is_marked_is_well_formed_and_names_what_is_there() {
    for (page, block) in all_blocks() {
        for part in parts(&page, &block) {
            let Part::Marked(script) = part else { continue };
            let parsed = Command::new("sh").args(["-n", "-c", &script]).output().unwrap();
            let placeholder = script.contains('<') && !parsed.status.success();
            assert!(placeholder || parsed.status.success(), "{page}: {}: {parsed:?}", block.at(&script));
            for word in script.split_whitespace().filter(|word| word.starts_with("deploy/")) {
                assert!(root().join(word).exists(), "{page}: {}", block.at(&format!("{word} is not there")));
            }
            for bench in script.split("--bench ").skip(1).filter_map(|rest| rest.split_whitespace().next()) {
                assert!(
                    root().join("benches").join(bench).exists() || root().join(format!("benches/{bench}.rs")).exists(),
                    "{page}: no bench {bench}"
                );
            }
        }
    }
}
