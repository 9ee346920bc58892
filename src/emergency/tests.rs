//! What is complained about, and how often.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;
use crate::delivery::Gate;
use crate::engine::{
    Actor, AlertAction, AlertEvent, AlertFacts, Entry, Event, EventBody, Outcome, Policy, System, Timestamp,
};
use crate::store::backend::Backend;
use crate::store::memory::MemoryBackend;
use crate::store::{self};

const MINUTE: Duration = Duration::from_secs(60);

/// A log to look into.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The lines since the last look.
    fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn watcher() -> Watcher {
    let policy = Policy { retention: 1440 * MINUTE, ..Policy::default() };
    let engine = Backend::Memory(MemoryBackend::default());
    let gate = || Arc::new(Gate::new(900, Arc::default()));
    Watcher {
        store: Store::on(engine, store::Settings::new(policy), now().minus(60 * MINUTE)).unwrap(),
        gates: Gates { opsgenie: gate(), pagerduty: gate() },
        settings: Settings { after: MINUTE, ..Settings::default() },
        status: watch::Sender::default(),
        complained_of: None,
    }
}

/// An alert that came two minutes ago.
async fn created(watcher: &Watcher, alert: &str) -> Timestamp {
    let received_at = now().minus(2 * MINUTE);
    record(watcher, alert, AlertAction::Create, received_at).await;
    received_at
}

async fn record(watcher: &Watcher, alert: &str, action: AlertAction, received_at: Timestamp) {
    let facts = AlertFacts { message: Some(format!("secret of {alert}")), ..AlertFacts::default() };
    let happened = AlertEvent { alert: AlertId::try_from(alert).unwrap(), facts, action };
    let (actor, body) = (Actor { person: true, ..Actor::nobody() }, EventBody::Alert(happened));
    let event = Event { dedupe: Vec::new(), request_id: None, occurred_at: None, received_at, actor, body };
    watcher.store.record(event).await.unwrap();
}

async fn claimed(watcher: &Watcher) -> Entry {
    watcher.store.claim(System::PagerDuty, 1, now()).await.unwrap().remove(0).entry
}

#[tokio::test]
async fn each_late_page_is_complained_about_once_by_its_name_and_with_the_reason() {
    let log = Log::default();
    let writer = log.clone();
    let logs = tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logs = tracing::subscriber::set_default(logs);
    let mut watcher = watcher();
    watcher.look().await.unwrap();
    assert_eq!((watcher.status.borrow().clone(), log.lines()), (Status::default(), vec![]));

    created(&watcher, "given-up").await;
    let dead = Outcome::Dead { reason: "403 nobody on call".to_owned() };
    watcher.store.settle(claimed(&watcher).await, dead, now()).await.unwrap();
    created(&watcher, "tried").await;
    let tried = Entry { trouble: Some("503 down".to_owned()), ..claimed(&watcher).await };
    watcher.store.release(tried).await.unwrap();
    let oldest = created(&watcher, "waits").await;
    watcher.look().await.unwrap();
    let longest = now().since(oldest).as_secs() + 60;
    let said = log.lines();
    let expected = [
        ("given-up", "it was given up: 403 nobody on call"),
        ("tried", "503 down"),
        ("waits", "its turn has not come"),
    ];
    for (alert, why) in expected {
        let line = said.iter().find(|line| line.contains(&format!("alert.id={alert} "))).unwrap();
        assert!(line.contains("ERROR") && line.contains("a page has not gone out in time"), "{line}");
        assert!(line.contains(&format!("why=\"{why}\"")), "{line}");
        let waited_s = line.split("waited_s=").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        assert!((120..=longest).contains(&waited_s.parse().unwrap()), "{line}");
    }
    assert_eq!(said.len(), 4, "and that it is an emergency: {said:#?}");
    assert!(!said.concat().contains("secret"), "{said:#?}");
    let status = watcher.status.borrow().clone();
    assert!(status.late == 3 && status.oldest <= Some(oldest), "{status:?}");

    // A vendor that stands still is the better reason, and each is named only once.
    watcher.look().await.unwrap();
    assert_eq!(log.lines(), Vec::<String>::new());
    watcher.gates.pagerduty.hold(MINUTE);
    created(&watcher, "waits-too").await;
    watcher.look().await.unwrap();
    let said = log.lines();
    assert!(said.len() == 1 && said[0].contains("why=\"the vendor asks for fewer calls\""), "{said:#?}");
}

#[tokio::test]
async fn what_is_over_is_no_emergency_whatever_became_of_its_page() {
    let watcher = watcher();
    let late = async || watcher.store.late_pages(now(), MINUTE, None, 9).await.unwrap().count;
    for (over, given_up) in [
        (AlertAction::Close { note: None }, true),
        (AlertAction::Close { note: None }, false),
        (AlertAction::Delete, true),
        (AlertAction::Delete, false),
    ] {
        let alert = format!("{}-{given_up}", if over == AlertAction::Delete { "deleted" } else { "closed" });
        created(&watcher, &alert).await;
        let entry = claimed(&watcher).await;
        if given_up {
            let dead = Outcome::Dead { reason: "403 nobody on call".to_owned() };
            watcher.store.settle(entry, dead, now()).await.unwrap();
        }
        assert_eq!(late().await, 1, "{alert}");
        record(&watcher, &alert, over, now()).await;
        assert_eq!(late().await, 0, "{alert}");
    }
}
