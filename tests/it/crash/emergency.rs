//! `kill -9` while pages do not get through: somebody is told of each outage once, and that it is over.

use std::collections::BTreeSet;
use std::time::Duration;

use crosspage::clock::now;
use crosspage::engine::outage::{Outage, Stage};
use crosspage::engine::{Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody};
use simulators::Fault;
use simulators::opsgenie::NewAlert;
use simulators::pagerduty::{Incident, IncidentStatus};

use super::load::Dice;
use super::{Ordeal, from_env, whole};
use crate::harness::JANE;

const OUTAGES: usize = 2;

/// How often crosspage is killed while an outage is being told, and once more while it ends.
const KILLS: usize = 3;

/// How long a page has been owed for when crosspage is started: for longer than it may take.
const OWED_FOR: Duration = Duration::from_secs(90);

const INCIDENTS: &str = "/incidents";
const ENQUEUE: &str = "/v2/enqueue";

impl Ordeal {
    async fn with_another_way(seed: u64) -> Self {
        let mut ordeal = Self::new(seed).await;
        let url = ordeal.pagerduty.url();
        ordeal.opsgenie.model().faults.clear();
        ordeal.pagerduty.model().faults.clear();
        ordeal.vars.insert("PAGERDUTY_EVENTS_URL", url);
        ordeal.vars.insert("PAGERDUTY_FALLBACK_ROUTING_KEY", "0123456789abcdef0123456789abcdef".to_owned());
        ordeal
    }

    /// An alert whose page is late already, as far as the store knows.
    async fn late_page(&self) -> String {
        let alert = self.opsgenie.model().silently(|model| {
            let titled = NewAlert { user: JANE.to_owned(), ..NewAlert::titled("Disk full") };
            model.human_creates(titled)
        });
        let received_at = now().minus(OWED_FOR);
        let id = AlertId::try_from(alert.as_str()).unwrap();
        let body =
            EventBody::Alert(AlertEvent { alert: id, facts: AlertFacts::default(), action: AlertAction::Create });
        let (dedupe, request_id, actor) = (Vec::new(), None, Actor::nobody());
        let store = self.open_store();
        store.record(Event { dedupe, request_id, occurred_at: None, received_at, actor, body }).await.unwrap();
        store.close().await.unwrap();
        alert
    }

    /// PagerDuty's REST API takes nothing and asks to wait, or all works again. What is sent by the other way meets `fault` once.
    fn set(&self, rest_is_down: bool, fault: Fault) {
        let mut pagerduty = self.pagerduty.model();
        pagerduty.faults.clear();
        pagerduty.faults.once("POST", ENQUEUE, fault);
        if rest_is_down {
            pagerduty.faults.always("", INCIDENTS, Fault::Throttle { with_headers: true, reset_s: 1 });
        }
    }

    fn calls_to(&self, path: &str) -> usize {
        self.pagerduty.model().calls().iter().filter(|call| call.path == path).count()
    }

    /// Starts crosspage, waits until it has called `path` so many times, and kills it.
    async fn killed_after(&self, path: &str, count: usize) {
        let enough = self.calls_to(path) + count;
        let mut binary = self.start();
        self.until(&mut binary, &format!("{path} is called"), async || self.calls_to(path) >= enough).await;
        self.kill(binary);
        let torn = whole::torn(&whole::rows(&self.folder.path().join("store")));
        assert!(torn.is_empty(), "{}", torn.join("\n"));
    }

    /// What is put down of the outage.
    async fn outage(&self) -> Option<Outage> {
        let store = self.open_store();
        let outage = store.outage().await.unwrap();
        store.close().await.unwrap();
        outage
    }

    /// The incidents that were made by the other way.
    fn emergencies(&self) -> Vec<Incident> {
        let pagerduty = self.pagerduty.model();
        let emergency =
            |incident: &&&Incident| incident.alert_key.as_ref().is_some_and(|key| key.starts_with("crosspage/"));
        pagerduty.incidents().iter().filter(emergency).map(|incident| (*incident).clone()).collect()
    }
}

/// What becomes of what is sent by the other way right before a kill.
fn drawn(dice: &mut Dice) -> Fault {
    match dice.below(6) {
        // It has its effect, and nobody will ever learn of it.
        0..3 => Fault::Hang,
        3 => Fault::ResetAfter,
        4 => Fault::ResetBefore,
        _ => Fault::Pass,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_outage_is_told_once_and_ended_however_often_the_process_is_killed() {
    let seed = from_env("CROSSPAGE_CRASH_SEED").unwrap_or(1);
    println!("CROSSPAGE_CRASH_SEED={seed}");
    let ordeal = Ordeal::with_another_way(seed).await;
    let mut dice = Dice::new(seed.wrapping_add(0x911));
    let mut alerts = Vec::new();
    for number in 1..=OUTAGES {
        alerts.push(ordeal.late_page().await);
        ordeal.set(true, Fault::Pass);
        ordeal.killed_after(INCIDENTS, 1 + usize::try_from(dice.below(3)).unwrap()).await;
        for _ in 0..KILLS {
            ordeal.set(true, drawn(&mut dice));
            let is_told = ordeal.outage().await.is_some_and(|outage| outage.stage == Stage::Told);
            ordeal.killed_after(if is_told { INCIDENTS } else { ENQUEUE }, 1).await;
        }
        ordeal.set(true, Fault::Pass);
        let mut binary = ordeal.start();
        ordeal.until(&mut binary, "it is told", async || ordeal.emergencies().len() >= number).await;
        ordeal.kill(binary);

        ordeal.set(false, drawn(&mut dice));
        ordeal.killed_after(INCIDENTS, 1 + usize::try_from(dice.below(2)).unwrap()).await;
        // Unless a look has found meanwhile that it is over.
        if ordeal.outage().await.is_some() {
            ordeal.killed_after(ENQUEUE, 1).await;
        }
        ordeal.set(false, Fault::Pass);
        // It may have been put down that it is over, or be told once more.
        while ordeal.outage().await.is_some() {
            let calls = ordeal.calls_to(ENQUEUE);
            let mut binary = ordeal.start();
            ordeal.until(&mut binary, "its end is told", async || ordeal.calls_to(ENQUEUE) > calls).await;
            ordeal.stop(binary);
        }
        let emergencies = ordeal.emergencies();
        assert_eq!(emergencies.len(), number, "one an outage: {:#?}", ordeal.pagerduty.model().events_pages());
        assert!(emergencies.iter().all(|emergency| emergency.status == IncidentStatus::Resolved), "{emergencies:#?}");
    }
    let store = ordeal.settle(ordeal.start()).await;
    assert_eq!(store.outage().await.unwrap(), None);
    store.close().await.unwrap();
    let keys: BTreeSet<_> = ordeal.emergencies().into_iter().filter_map(|emergency| emergency.alert_key).collect();
    assert_eq!(keys.len(), OUTAGES, "each has a name of its own: {keys:?}");
    for alert in &alerts {
        assert_eq!(ordeal.pagerduty.model().incident_by_key(&format!("opsgenie:{alert}")).len(), 1);
    }
    println!("{} calls of the Events API", ordeal.calls_to(ENQUEUE));
    ordeal.opsgenie.stop().await;
    ordeal.pagerduty.stop().await;
}
