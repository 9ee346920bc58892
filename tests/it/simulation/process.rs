//! One life of crosspage: the real store, delivery and reconciler, between one start and the next crash.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crosspage::delivery::{self, Gates, Vendors};
use crosspage::engine::fuse::Limits;
use crosspage::engine::{Identity, OnResolved, Policy, ReadLag, System, Timestamp};
use crosspage::http::{self, HttpSettings};
use crosspage::reconcile;
use crosspage::store::backend::Backend;
use crosspage::store::{ByHand, Settings, Store};
use crosspage::{opsgenie, pagerduty};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::door::Doors;
use super::network::responder;
use super::planted::{self, Planted};
use super::scene::Scene;

/// How often the reconciler looks at everything, and at the notes of one link: seldom, since nobody waits for it but time.
pub(super) const RECONCILE_EVERY: Duration = Duration::from_secs(600);
pub(super) const NOTES_EVERY: Duration = Duration::from_secs(150);

/// A running crosspage.
pub(super) struct Process {
    pub(super) store: Store,
    stop: watch::Sender<bool>,
    delivering: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts crosspage on what the disk holds.
    pub(super) fn start(scene: &Arc<Scene>, doors: &Doors, life: u64) -> Self {
        scene.tell(|| format!("crosspage starts for the {life}. time"));
        if scene.planted == Planted::NoSendingStep {
            planted::forget_what_was_sending(scene, settings(scene));
        }
        let backend = Backend::Memory(scene.memory.clone());
        let (store, work) = Store::by_hand(backend, settings(scene), scene.our_time()).unwrap();
        scene.set_alive(life);
        doors.open(store.clone(), life);
        let vendors = vendors(scene, life);
        let (stop, stopping) = watch::channel(false);
        let pace = delivery::Settings { clock: scene.clock(), ..delivery::Settings::default() };
        let gates = Gates::new(&pace, &vendors);
        let mut others = vec![
            tokio::spawn(commit(Arc::clone(scene), work, life)),
            tokio::spawn(look_up_identity(store.clone(), vendors.pagerduty.clone())),
        ];
        if scene.plan.setup.reconciles && scene.planted != Planted::NobodyReconciles {
            let settings = reconcile::Settings {
                every: RECONCILE_EVERY,
                notes_every: NOTES_EVERY,
                query: None,
                read_lag: ReadLag::default(),
                clock: scene.clock(),
                health: pace.health.clone(),
            };
            let run = reconcile::run(store.clone(), vendors.clone(), gates.clone(), settings, None, stopping.clone());
            others.push(tokio::spawn(run));
        }
        let delivering = tokio::spawn(delivery::run(store.clone(), vendors, gates, pace, stopping));
        Self { store, stop, delivering, others }
    }

    /// Stops in good order.
    pub(super) async fn stop(self, scene: &Scene, doors: &Doors) {
        scene.tell(|| "crosspage is stopped".to_owned());
        doors.shut();
        self.stop.send_replace(true);
        // If it died meanwhile, it never ends by itself.
        let _ = tokio::time::timeout(Duration::from_secs(30), self.delivering).await;
        scene.set_alive(0);
        end(&self.others).await;
    }

    /// Ends it as a power cut does.
    pub(super) async fn kill(self, scene: &Scene, doors: &Doors) {
        doors.shut();
        scene.set_alive(0);
        self.delivering.abort();
        end(&self.others).await;
        let _ = self.delivering.await;
        scene.memory.crash();
    }
}

async fn end(tasks: &[JoinHandle<()>]) {
    for task in tasks {
        task.abort();
    }
    while !tasks.iter().all(JoinHandle::is_finished) {
        sleep(Duration::from_millis(1)).await;
    }
}

/// The committer's work. What comes at about the same time is one batch, as it is when the disk is slow.
async fn commit(scene: Arc<Scene>, mut work: ByHand, life: u64) {
    while work.requested().await {
        sleep(Duration::from_millis(2)).await;
        scene.point(life, "before a commit").await;
        planted::begin_batch();
        work.commit().unwrap();
        scene.point(life, "after a commit").await;
    }
}

/// As the application does it.
async fn look_up_identity(store: Store, pagerduty: pagerduty::Client) {
    let mut wait = Duration::from_secs(5);
    loop {
        if let Ok(Some(id)) = pagerduty.user_id().await {
            // An error means that the process is dying.
            let _ = store.learn(id).await;
            return;
        }
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(600));
    }
}

fn settings(scene: &Scene) -> Settings {
    let setup = &scene.plan.setup;
    let account = simulators::pagerduty::Options::default();
    let policy = Policy {
        on_pagerduty_resolved: if setup.close_on_resolved { OnResolved::Close } else { OnResolved::Note },
        identity: Identity {
            pagerduty_email: account.automation.email,
            pagerduty_name: if setup.misnamed { "Somebody Else".to_owned() } else { account.automation.name },
            opsgenie_user: "crosspage".to_owned(),
            ..Identity::default()
        },
        pagerduty_service: account.service_id,
        first_ran_at: Timestamp::from_millis(0),
        retention: Duration::from_secs(30 * 86_400),
        read_lag: ReadLag::default(),
        fuse: Limits::default(),
        alert_page: None,
    };
    Settings { decide: scene.planted.decide(), ..Settings::new(policy) }
}

fn vendors(scene: &Arc<Scene>, life: u64) -> Vendors {
    // Built once: it reads the system's certificates, which no call here will ever need.
    static NETWORK: OnceLock<http::Client> = OnceLock::new();
    let network = NETWORK.get_or_init(|| http::Client::new(&HttpSettings::default()).unwrap());
    let http = |system| network.clone().answered_by(responder(scene, life, system));
    let (at_opsgenie, at_pagerduty) =
        (simulators::opsgenie::Options::default(), simulators::pagerduty::Options::default());
    Vendors {
        opsgenie: opsgenie::Client::over(
            http(System::Opsgenie),
            opsgenie::Settings {
                base_url: "http://opsgenie.test".to_owned(),
                key: at_opsgenie.api_key.into(),
                user: "crosspage".to_owned(),
            },
        )
        .unwrap(),
        pagerduty: pagerduty::Client::over(
            http(System::PagerDuty),
            pagerduty::Settings {
                base_url: "http://pagerduty.test".to_owned(),
                key: at_pagerduty.api_key.into(),
                email: at_pagerduty.automation.email,
                service_id: at_pagerduty.service_id,
            },
        )
        .unwrap(),
    }
}
