//! What goes first when there are not enough calls for everything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crosspage::clock::Clock;
use crosspage::delivery::{self, Gates, Vendors};
use crosspage::engine::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, Identity, OnResolved, Policy, Priority,
    ReadLag, Timestamp,
};
use crosspage::health::Health;
use crosspage::http::HttpSettings;
use crosspage::reconcile;
use crosspage::store::backend::Backend;
use crosspage::store::memory::MemoryBackend;
use crosspage::store::{self, Store};
use crosspage::{clock, opsgenie, pagerduty};
use simulators::{CallRecord, Fault};
use tokio::sync::watch;

use crate::contract;
use crate::harness::{JANE, Plan, TOO_LONG, World};

const ALERTS: usize = 2_000;

/// Whether it is acknowledged at once: fifty are, and none of the last ones, whose pages end the storm.
fn is_acknowledged(number: usize) -> bool {
    number.is_multiple_of(36) && number < ALERTS - 200
}

/// How many calls go by between two looks.
const CALLS_A_STEP: u32 = 4;

/// The default of 900 a minute.
const CALLS_A_SECOND: u32 = 15;

/// What a call to PagerDuty is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Create,
    State,
    Note,
    Reconciler,
}

fn purpose(call: &CallRecord) -> For {
    let of_incident = call.path.starts_with("/incidents/");
    match (call.method.as_str(), call.path.as_str()) {
        ("POST", "/incidents") | ("GET", "/priorities") => For::Create,
        ("POST", path) if path.ends_with("/notes") => For::Note,
        ("PUT", _) => For::State,
        ("GET", path) if of_incident && !path.ends_with("/notes") => For::State,
        _ => For::Reconciler,
    }
}

/// The storm, in virtual time but for the store's thread and the sockets: time moves on by a few calls whenever those of the
/// last step were made.
struct Storm {
    pagerduty: Arc<simulators::pagerduty::Server>,
    opsgenie: simulators::opsgenie::Server,
    store: Store,
    vendors: Vendors,
    began: tokio::time::Instant,
}

impl Storm {
    async fn brew() -> Self {
        let opsgenie = simulators::opsgenie::Server::start(simulators::opsgenie::Options::default()).await.unwrap();
        let options = simulators::pagerduty::Options::default();
        let pagerduty = simulators::pagerduty::Server::start(options.clone()).await.unwrap();
        let policy = Policy {
            on_pagerduty_resolved: OnResolved::Note,
            identity: Identity { opsgenie_user: "crosspage".to_owned(), ..Identity::default() },
            pagerduty_service: options.service_id.clone(),
            first_ran_at: Timestamp::from_millis(0),
            retention: Duration::from_secs(86_400),
            ..Policy::default()
        };
        let backend = Backend::Memory(MemoryBackend::default());
        let store = Store::on(backend, store::Settings::new(policy), clock::now()).unwrap();
        let http = HttpSettings::default();
        let vendors = Vendors {
            opsgenie: opsgenie::Client::new(
                opsgenie::client::Settings {
                    base_url: opsgenie.url(),
                    key: simulators::opsgenie::Options::default().api_key.into(),
                    user: "crosspage".to_owned(),
                },
                &http,
            )
            .unwrap(),
            pagerduty: pagerduty::Client::new(
                pagerduty::client::Settings {
                    base_url: pagerduty.url(),
                    key: options.api_key.into(),
                    email: options.automation.email,
                    service_id: options.service_id,
                },
                &http,
            )
            .unwrap(),
        };
        Self { pagerduty: Arc::new(pagerduty), opsgenie, store, vendors, began: tokio::time::Instant::now() }
    }

    /// Every alert comes with a note, and some are acknowledged before that.
    async fn rage(&self) {
        let mut recorded = Vec::new();
        for number in 0..ALERTS {
            let mut actions = vec![AlertAction::Create];
            if is_acknowledged(number) {
                actions.push(AlertAction::Acknowledge { note: None });
            }
            actions.push(AlertAction::AddNote { text: "We see errors".to_owned() });
            recorded.extend(actions.into_iter().map(|action| self.store.record(event(number, action))));
        }
        for result in futures_util::future::join_all(recorded).await {
            result.unwrap();
        }
    }

    /// Lets time go by until `enough` of the calls that were made, and holds each step to the rate.
    async fn until(&self, enough: impl Fn(&[CallRecord]) -> bool) {
        loop {
            let elapsed = self.began.elapsed();
            let allowed = 60 + usize::try_from(elapsed.as_millis()).unwrap() * CALLS_A_SECOND as usize / 1000;
            let pagerduty = Arc::clone(&self.pagerduty);
            // A change of state is begun with only when there are two calls for it. Virtual time stands still meanwhile.
            let made = tokio::task::spawn_blocking(move || until_made(&pagerduty, allowed - 2));
            let made = made.await.unwrap();
            assert!(made <= allowed, "{made} calls in {elapsed:?}");
            if enough(self.pagerduty.model().calls()) {
                return;
            }
            tokio::time::advance(Duration::from_secs(1) * CALLS_A_STEP / CALLS_A_SECOND).await;
        }
    }

    async fn end(self) {
        contract::hold(self.opsgenie.model().calls(), self.pagerduty.model().calls());
        self.store.close().await.unwrap();
        self.opsgenie.stop().await;
        Arc::into_inner(self.pagerduty).unwrap().stop().await;
    }
}

fn until_made(pagerduty: &simulators::pagerduty::Server, wanted: usize) -> usize {
    let started = Instant::now();
    loop {
        let made = pagerduty.model().calls().len();
        if made >= wanted {
            return made;
        }
        assert!(started.elapsed() < TOO_LONG, "waited in vain for call {wanted}: {made}");
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn event(number: usize, action: AlertAction) -> Event {
    let now = clock::now();
    let facts = AlertFacts {
        message: Some(format!("Disk {number} full")),
        priority: Some(Priority::P1),
        created_at: Some(now),
        ..AlertFacts::default()
    };
    let alert = AlertId::try_from(format!("alert-{number}")).unwrap();
    Event {
        dedupe: Vec::new(),
        request_id: None,
        occurred_at: Some(now),
        received_at: now,
        actor: Actor { name: Some(JANE.to_owned()), person: true, ..Actor::nobody() },
        body: EventBody::Alert(AlertEvent { alert, facts, action }),
    }
}

fn count(calls: &[CallRecord], what: For) -> usize {
    calls.iter().filter(|call| purpose(call) == what).count()
}

#[tokio::test(start_paused = true)]
async fn in_a_storm_every_page_goes_before_any_note_and_nothing_starves() {
    let storm = Storm::brew().await;
    storm.rage().await;
    let settings = delivery::Settings::default();
    let gates = Gates::new(&settings, &storm.vendors);
    let (stop, stopping) = watch::channel(false);
    let reconciler = reconcile::Settings {
        every: Duration::from_secs(10),
        notes_every: Duration::from_millis(100),
        query: None,
        read_lag: ReadLag::default(),
        clock: Clock::default(),
        health: Health::default(),
    };
    let looking =
        reconcile::run(storm.store.clone(), storm.vendors.clone(), gates.clone(), reconciler, None, stopping.clone());
    let delivering = delivery::run(storm.store.clone(), storm.vendors.clone(), gates, settings, stopping);
    let (looking, delivering) = (tokio::spawn(looking), tokio::spawn(delivering));

    storm.until(|calls| calls.iter().filter(|call| is_page(call)).count() == ALERTS).await;
    let paged_after = storm.began.elapsed();
    storm.until(|calls| count(calls, For::Note) >= 100).await;
    stop.send_replace(true);
    looking.await.unwrap();
    delivering.await.unwrap();

    let calls = storm.pagerduty.model().calls().to_vec();
    assert!(calls.iter().all(|call| (200..300).contains(&call.status)));
    let last_page = calls.iter().rposition(is_page).unwrap();
    let first_note = calls.iter().position(|call| purpose(call) == For::Note).unwrap();
    // Up to eight calls are under way at once, and may overtake each other.
    assert!(first_note + 8 > last_page, "a note went as call {first_note}, and a page as call {last_page}");
    let storm_calls = &calls[..last_page];
    let (states, looks) = (count(storm_calls, For::State), count(storm_calls, For::Reconciler));
    // A read and a write each.
    let acknowledged = (0..ALERTS).filter(|number| is_acknowledged(*number)).count();
    assert_eq!(states, 2 * acknowledged, "acknowledgements do not wait for the storm to be over");
    assert!((20..=last_page / 20 + 2).contains(&looks), "the reconciler has made {looks} calls of {last_page}");
    // What the pages, the acknowledgements and the reconciler need, at 15 a second after the first 60.
    assert!(paged_after <= Duration::from_secs(150), "all were paged for after {paged_after:?}");
    storm.end().await;
}

fn is_page(call: &CallRecord) -> bool {
    call.method == "POST" && call.path == "/incidents"
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_were_not_sent_come_to_the_last_one_and_notes_all_go() {
    let world: World = Plan::new().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    let before = world.pagerduty.model().calls().len();
    world.pagerduty.model().faults.always("", "", Fault::status(401));
    world.opsgenie.model().human_adds_note(&alert, JANE, "and one");
    world.until("PagerDuty was asked", async || world.pagerduty.model().calls().len() > before).await;
    for _ in 0..3 {
        world.opsgenie.model().human_acknowledges(&alert, JANE);
        world.opsgenie.model().human_unacknowledges(&alert, JANE);
    }
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.opsgenie.model().human_adds_note(&alert, JANE, "and two");
    let queued = async || world.app().store().entries(&alert.as_str().try_into().unwrap()).await.unwrap().len();
    world.until("all of it is queued", async || queued().await == 7 * 2 + 2).await;
    let before = world.pagerduty.model().calls().len();
    world.pagerduty.model().faults.clear();
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    let notes = world.incident_notes(&incident);
    assert_eq!(notes.len(), 9, "{notes:?}");
    assert_eq!(notes.last().unwrap(), "[Opsgenie] jane@example.com: and two");
    let calls = world.pagerduty.model().calls()[before..].to_vec();
    let writes = calls.iter().filter(|call| call.method == "PUT").count();
    assert_eq!(writes, 1, "one change of state is made, the last one");
    world.end().await;
}
