//! `kill -9` while what is over and old is pruned slice by slice, and people work on.

use std::time::{Duration, Instant};

use crosspage::clock::now;
use crosspage::engine::link::Known;
use crosspage::engine::outbox::DropReason;
use crosspage::engine::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, IncidentId, Link, Outcome, Page, Side,
    Status, System, Timestamp,
};
use crosspage::store::backend::Backend;
use crosspage::store::book::Book;
use crosspage::store::{Form, Quarantined};
use serde_json::json;
use simulators::opsgenie::NewAlert;

use super::binary::Binary;
use super::load::{Dice, Load};
use super::{Moment, Ordeal, check, from_env, settings, whole};
use crate::harness::{ADA, JANE, TOO_LONG};
use crate::post::{ask, from_opsgenie, post};

const KILLS: usize = 8;

const DAY: Duration = Duration::from_secs(86_400);

/// How much is over and old: more than one slice of each kind, and a slice looks at a hundred rows.
const LINKS: usize = 210;
const STORIES: usize = 30;
const UNREADABLE: usize = 110;

/// How much is kept, of each kind: what is old and open, and what is over and young.
const KEPT: usize = 3;

/// How many alerts that are over and old are told of again once they are forgotten.
const TOLD_AGAIN: usize = 6;

/// What the store holds before the first start.
struct Past {
    /// Their links go, with all that belongs to them.
    over: Vec<AlertId>,
    /// Those of them that Opsgenie still has, closed.
    told_again: Vec<AlertId>,
    /// They are old and open: their links stay.
    open: Vec<(AlertId, String)>,
    /// They are over and young: their links stay.
    young: Vec<AlertId>,
}

fn alert_id(text: &str) -> AlertId {
    AlertId::try_from(text).unwrap()
}

/// A link that has paged, and where both sides stand.
fn linked(alert: &AlertId, incident: &str, status: Status, at: Timestamp) -> Link {
    let facts = AlertFacts { created_at: Some(at), ..AlertFacts::default() };
    let page = Page::Standing(IncidentId::try_from(incident).unwrap());
    let known = Some(Known { status, at: Some(at), by_the_second: false });
    let side = || Side { known, ..Side::default() };
    Link { opsgenie: side(), pagerduty: side(), ..Link::new(alert.clone(), facts, page, at) }
}

/// An alert whose whole story was told long ago: it was closed before it paged.
fn told(book: &mut Book, alert: &AlertId, at: Timestamp) {
    let happened = |action, number: u32| {
        let facts = AlertFacts { created_at: Some(at), ..AlertFacts::default() };
        let body = EventBody::Alert(AlertEvent { alert: alert.clone(), facts, action });
        let (dedupe, received_at) = (vec![format!("{alert}-{number}")], at.plus(Duration::from_millis(number.into())));
        Event { dedupe, request_id: None, occurred_at: Some(received_at), received_at, actor: Actor::nobody(), body }
    };
    book.record(happened(AlertAction::Create, 0)).unwrap();
    let claim = book.claim(System::PagerDuty, 1, at).unwrap().pop().unwrap();
    book.settle(claim.entry, Outcome::Dropped(DropReason::ClosedBeforeDelivery), at).unwrap();
    for number in 1..4 {
        book.record(happened(AlertAction::AddNote { text: format!("note {number}") }, number)).unwrap();
    }
    book.record(happened(AlertAction::Close { note: None }, 4)).unwrap();
}

/// Fills the store as forty days would have, and puts down that it was looked through for the last time just now.
fn forty_days_ago(ordeal: &Ordeal) -> Past {
    let folder = ordeal.folder.path().join("store");
    std::fs::create_dir_all(&folder).unwrap();
    let (then, yesterday) = (now().minus(40 * DAY), now().minus(DAY));
    let mut book = Book::open(Backend::sled(&folder).unwrap(), settings(), then).unwrap();
    let told_again: Vec<AlertId> = (0..TOLD_AGAIN)
        .map(|_| {
            let mut opsgenie = ordeal.opsgenie.model();
            let alert = opsgenie.silently(|model| {
                let alert = model.human_creates(NewAlert::titled("Disk full"));
                model.human_closes(&alert, JANE, None);
                alert
            });
            alert_id(&alert)
        })
        .collect();
    let mut over: Vec<AlertId> = (0..LINKS).map(|number| alert_id(&format!("old-link-{number}"))).collect();
    over.extend(told_again.iter().cloned());
    let mut links: Vec<Link> =
        over.iter().enumerate().map(|(n, alert)| linked(alert, &format!("QOLD{n}"), Status::Resolved, then)).collect();
    let young: Vec<AlertId> = (0..KEPT).map(|number| alert_id(&format!("young-{number}"))).collect();
    links.extend(young.iter().enumerate().map(|(n, alert)| {
        let facts = AlertFacts { created_at: Some(then), ..AlertFacts::default() };
        let link = linked(alert, &format!("QYOUNG{n}"), Status::Resolved, yesterday);
        Link { facts, ..link }
    }));
    let open: Vec<_> = (0..KEPT)
        .map(|_| {
            let alert = ordeal.opsgenie.model().silently(|model| model.human_creates(NewAlert::titled("It lasts")));
            let incident = ordeal.pagerduty.model().silently(|model| model.human_triggers("It lasts", ADA));
            (alert_id(&alert), incident)
        })
        .collect();
    links.extend(open.iter().map(|(alert, incident)| linked(alert, incident, Status::Open, then)));
    let span = book.span().unwrap();
    book.import(&links, span).unwrap();
    for number in 0..STORIES {
        let alert = alert_id(&format!("old-story-{number}"));
        told(&mut book, &alert, then.plus(Duration::from_secs(number as u64)));
        over.push(alert);
    }
    for _ in 0..UNREADABLE {
        let (system, reason, body) = (System::PagerDuty, "odd".to_owned(), b"old-{".to_vec());
        let form = Form::Webhook;
        book.quarantine(&Quarantined { system, received_at: then, reason, body, form, request_id: None }).unwrap();
    }
    book.set_pruned_at(now()).unwrap();
    book.commit().unwrap();
    Past { over, told_again, open, young }
}

impl Ordeal {
    /// Waits until the database was seen to be written to so many times, or nothing is left to be pruned.
    async fn until_written(&self, binary: &mut Binary, count: u64) {
        let file = self.folder.path().join("store/db");
        let look = || std::fs::metadata(&file).and_then(|file| file.modified()).unwrap();
        let (mut last, mut seen, started) = (look(), 0, Instant::now());
        for looks in 1.. {
            if seen >= count || (looks % 500 == 0 && is_pruned(&binary.api("status")).await) {
                break;
            }
            assert!(binary.is_running() && started.elapsed() < TOO_LONG, "it is written to {seen} times");
            let now = look();
            seen += u64::from(now != last);
            last = now;
            tokio::task::yield_now().await;
        }
    }
}

/// How many rows were pruned since the start.
async fn pruned(url: &str) -> u64 {
    let text = reqwest::get(url).await.unwrap().text().await.unwrap();
    let rows = text.lines().filter(|line| line.starts_with("crosspage_pruned_rows_total{"));
    rows.filter_map(|line| line.rsplit(' ').next()).map(|count| count.parse::<u64>().unwrap()).sum()
}

/// Whether nothing is left to be pruned, as far as the status tells: what lies in the quarantine goes last.
async fn is_pruned(status: &str) -> bool {
    ask("GET", status).await.body["quarantined"] == 0
}

/// Opsgenie tells once more that these were created, as it does if nobody has said that they were heard.
async fn tell_again(binary: &Binary, alerts: &[AlertId]) {
    let integration = simulators::opsgenie::Options::default().integration_id;
    for alert in alerts {
        let mut creation = from_opsgenie(&integration, "Create", alert.as_str());
        creation["alert"]["createdAt"] = json!(now().minus(40 * DAY).as_millis());
        let answer = post(&binary.url("ops-webhook"), &[], creation.to_string()).await;
        assert_eq!((answer.status, answer.body["status"].as_str()), (202, Some("joining")), "its link is gone");
    }
}

/// The store after a kill: whole, and nothing is gone that should not be. Tells how much there still is to be pruned.
async fn look_into(ordeal: &Ordeal, past: &Past) -> usize {
    let rows = whole::rows(&ordeal.folder.path().join("store"));
    let torn = whole::torn(&rows);
    assert!(torn.is_empty(), "{}", torn.join("\n"));
    let store = ordeal.open_store();
    whole::read_all(&store).await;
    for alert in past.open.iter().map(|(alert, _)| alert).chain(&past.young) {
        assert!(store.link(alert).await.unwrap().is_some(), "{alert} is gone");
    }
    store.close().await.unwrap();
    rows.keys().filter(|key| is_of_old(key)).count()
}

/// Whether a row is there for what is over and old alone.
fn is_of_old(key: &[u8]) -> bool {
    key.starts_with(b"u/") || key.windows(4).any(|part| part == b"old-" || part == b"QOLD")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pruned_under_kills_is_gone_for_good_and_nothing_else_is() {
    let seed = from_env("CROSSPAGE_CRASH_SEED").unwrap_or(1);
    println!("CROSSPAGE_CRASH_SEED={seed}");
    let mut ordeal = Ordeal::new(seed).await;
    // What fails now and then has a test of its own.
    ordeal.opsgenie.model().faults.clear();
    ordeal.pagerduty.model().faults.clear();
    // What it sees of an alert that is forgotten, it puts down; here, nobody does before the alert's creation is told again.
    ordeal.vars.insert("RECONCILE_INTERVAL_S", "0".to_owned());
    let past = forty_days_ago(&ordeal);
    let (mut load, mut dice) = (Load::new(seed), Dice::new(seed.wrapping_add(0x01d)));
    let mut left = vec![look_into(&ordeal, &past).await];
    for _ in 0..KILLS {
        let mut binary = ordeal.start();
        if dice.below(2) == 0 {
            // Nobody does anything but prune: the kill comes right with a write.
            ordeal.until_written(&mut binary, 1 + dice.below(4)).await;
        } else {
            let (rows, webhooks) = (dice.below(200), 10 * (1 + dice.below(3)));
            let metrics = binary.metrics();
            for _ in 0..webhooks {
                ordeal.work_until(&mut binary, &mut load, Moment::WebhooksTaken, 1).await;
                if pruned(&metrics).await > rows {
                    break;
                }
            }
        }
        ordeal.kill(binary);
        left.push(look_into(&ordeal, &past).await);
    }
    println!("rows to be pruned after each kill: {left:?}");
    assert!(left.is_sorted_by(|before, after| before >= after), "nothing comes back: {left:?}");

    let mut binary = ordeal.start();
    let status = binary.api("status");
    ordeal.until(&mut binary, "all that is old is gone", async || is_pruned(&status).await).await;
    tell_again(&binary, &past.told_again).await;
    for (alert, _) in &past.open {
        assert!(ordeal.opsgenie.model().human_adds_note(alert.as_str(), JANE, "still?"));
    }
    let store = ordeal.settle(binary).await;
    check(&ordeal, &load, &store, KILLS).await;
    for alert in &past.over {
        let incidents = ordeal.pagerduty.model().incident_by_key(&alert.incident_key()).len();
        assert_eq!(incidents, 0, "{alert} has paged again");
    }
    for (_, incident) in &past.open {
        let notes = ordeal.pagerduty.model().incident(incident).unwrap().notes.clone();
        assert!(notes.iter().any(|note| note.text == "[Opsgenie] jane@example.com: still?"), "{notes:?}");
    }
    assert_eq!(store.summary().await.unwrap().quarantine_expired, UNREADABLE as u64, "each is counted once");
    store.close().await.unwrap();
    assert_eq!(look_into(&ordeal, &past).await, 0, "nothing is left of what is over and old");
    ordeal.opsgenie.stop().await;
    ordeal.pagerduty.stop().await;
}
