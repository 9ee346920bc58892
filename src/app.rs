//! The whole product in one process: built from a configuration, started, stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::admin;
use crate::clock::now;
use crate::config::{self, Config};
use crate::delivery::{self, Gate, Gates, Paused, Vendors};
use crate::emergency;
use crate::engine::fuse::Limits;
use crate::engine::{Identity, Policy, ReadLag, System, Timestamp};
use crate::health::Health;
use crate::http::{HttpSettings, InvalidSetting};
use crate::metrics::{Metrics, Operation};
use crate::operator::view::Texts;
use crate::operator::{self, Operator};
use crate::reconcile;
use crate::retention;
use crate::server::{self, Doors, Patience};
use crate::store::{self, Store, StoreError};
use crate::{opsgenie, pagerduty};

/// What an installation has no reason to choose, but a test or the sandbox has.
#[derive(Clone, Debug, Default)]
pub struct Tuning {
    /// How delivery goes about it; its rates come from the configuration.
    pub delivery: delivery::Settings,
    /// Time-outs of calls.
    pub http: HttpSettings,
    /// When a page is late, and how often that is looked for.
    pub emergency: emergency::Settings,
    /// How often the reconciler looks, in place of the configured seconds.
    pub reconcile_every: Option<Duration>,
    /// How often the reconciler reads the notes of an open link, in place of what is usual.
    pub notes_every: Option<Duration>,
    /// How long after a change the vendors' reads may not show it, as far as the reconciler goes.
    pub read_lag: ReadLag,
    /// How long what is over is kept, in place of the configured days.
    pub retention: Option<Duration>,
    /// How long after a pass of pruning the next one begins, and how long there is between two slices, in place of what is
    /// usual.
    pub prune_every: Option<Duration>,
}

/// Why crosspage did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A listener could not be opened.
    #[error("cannot listen on {address} ({key}): {source}")]
    Listen {
        /// The key of the configuration that says where.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A client could not be built.
    #[error("cannot set up the vendors' clients: {0}")]
    Client(#[from] InvalidSetting),
}

impl StartError {
    /// Whether a person must mend the set-up first. Everything else may pass: whoever has the address lets go of it, or the
    /// interface comes up.
    pub fn is_of_the_set_up(&self) -> bool {
        match self {
            Self::Listen { source, .. } => source.kind() == std::io::ErrorKind::PermissionDenied,
            Self::Store(_) => false,
            Self::Client(_) => true,
        }
    }
}

/// What has failed while crosspage was running.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The store.
    #[error("the store has failed: {0}")]
    Store(#[source] StoreError),
    /// A part that should never end has ended.
    #[error("{name} has failed: {reason}")]
    Part {
        /// Which.
        name: &'static str,
        /// Why.
        reason: String,
    },
}

fn why(ended: Result<Option<std::io::Error>, tokio::task::JoinError>) -> String {
    match ended {
        Ok(Some(error)) => error.to_string(),
        Ok(None) => "it ended by itself".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// A running crosspage.
pub struct Application {
    address: SocketAddr,
    admin_address: SocketAddr,
    store: Store,
    server: ServerHandle,
    admin: ServerHandle,
    stop: watch::Sender<bool>,
    serving: JoinHandle<std::io::Result<()>>,
    serving_operators: JoinHandle<std::io::Result<()>>,
    delivering: JoinHandle<()>,
    looking_up: JoinHandle<()>,
    reconciling: Option<JoinHandle<()>>,
    watching: JoinHandle<()>,
    pruning: JoinHandle<()>,
}

impl Application {
    /// Opens the store, then the doors, and starts to deliver. It waits for no vendor.
    pub async fn start(config: Config, tuning: Tuning) -> Result<Self, StartError> {
        for warning in &config.warnings {
            warn!(key = warning.key, problem = warning.text, "the configuration is allowed, and unwise");
        }
        let metrics = Metrics::default();
        let health = Health::new(metrics.clone());
        let settings = store::Settings { metrics: metrics.clone(), ..store::Settings::new(policy(&config, &tuning)) };
        let store = Store::open(&config.database, settings, now())?;
        let vendors = vendors(&config, &tuning.http)?;
        let unable = |key, address| move |source| StartError::Listen { key, address, source };
        let (listener, address) = server::bind(config.listen).map_err(unable("LISTEN_ADDR", config.listen))?;
        let (admin, admin_address) =
            server::bind(config.admin.listen).map_err(unable("ADMIN_ADDR", config.admin.listen))?;
        let (late, lateness) = watch::channel(emergency::Status::default());
        let doors = Doors {
            store: store.clone(),
            opsgenie: opsgenie::webhook::Door::new(
                &config.opsgenie.integration_ids,
                config.opsgenie.webhook_token.clone(),
            ),
            pagerduty_secrets: config.pagerduty.webhook_secrets.clone(),
            patience: Patience::default(),
            emergency: lateness.clone(),
            metrics: metrics.clone(),
        };
        let server = server::serve(listener, doors).map_err(unable("LISTEN_ADDR", config.listen))?;
        let handle = server.handle();
        let (stop, stopping) = watch::channel(false);
        let settings = delivery::Settings {
            opsgenie_rate: config.opsgenie.rate_limit,
            pagerduty_rate: config.pagerduty.rate_limit,
            health: health.clone(),
            ..tuning.delivery.clone()
        };
        let gates = Gates::new(&settings, &vendors);
        let reconcile_every = tuning.reconcile_every.or(config.reconcile_every);
        let (trigger, orders) = reconcile::trigger();
        let reconciler = reconcile_every.map(|_| trigger);
        let live = operator::Live {
            started_at: now(),
            gates: gates.clone(),
            emergency: lateness,
            late_after: tuning.emergency.after,
            health: health.clone(),
            reconciler,
        };
        let operators = admin::Settings {
            operator: Operator::new(store.clone(), Texts::shown_if(config.admin.shows_note_texts), Some(live)),
            token: config.admin.token.clone(),
            hosts: config.admin.hosts.clone(),
        };
        let operators = admin::serve(admin, operators).map_err(unable("ADMIN_ADDR", config.admin.listen))?;
        let admin = operators.handle();
        let gate = Arc::clone(&gates.pagerduty);
        let looking_up = look_up_identity(store.clone(), vendors.pagerduty.clone(), gate, health.clone());
        let looking_up = tokio::spawn(looking_up);
        let reconciling = reconcile_every.map(|every| {
            let settings = reconcile::Settings {
                every,
                notes_every: tuning.notes_every.unwrap_or(reconcile::NOTES_EVERY),
                query: config.opsgenie.query.clone(),
                read_lag: tuning.read_lag,
                clock: settings.clock.clone(),
                health: health.clone(),
            };
            let orders = Some(orders);
            let run = reconcile::run(store.clone(), vendors.clone(), gates.clone(), settings, orders, stopping.clone());
            tokio::spawn(run)
        });
        let pruning = retention::Settings {
            keep: tuning.retention.unwrap_or(config.retention),
            every: tuning.prune_every.unwrap_or(retention::EVERY),
            pause: tuning.prune_every.unwrap_or(retention::PAUSE),
        };
        let pruning = tokio::spawn(retention::run(store.clone(), pruning, stopping.clone()));
        let watching = tokio::spawn(emergency::run(
            store.clone(),
            gates.clone(),
            events(&config, &tuning)?,
            config.pagerduty.service_id.clone(),
            emergency::Settings { metrics: metrics.clone(), ..tuning.emergency },
            late,
            stopping.clone(),
        ));
        let delivering = tokio::spawn(delivery::run(store.clone(), vendors, gates, settings, stopping));
        let serving = tokio::spawn(server);
        let serving_operators = tokio::spawn(operators);
        info!(listen = %address, admin = %admin_address, database = %config.database, version = env!("CARGO_PKG_VERSION"), "crosspage is running");
        Ok(Self {
            address,
            admin_address,
            store,
            server: handle,
            admin,
            stop,
            serving,
            serving_operators,
            delivering,
            looking_up,
            reconciling,
            watching,
            pruning,
        })
    }

    /// Where the webhook doors are.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where operators are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_address
    }

    /// The store, to look into.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Resolves when a part without which nothing works has failed: then the process should end.
    pub async fn failed(&mut self) -> Failure {
        let reconciling = async {
            match &mut self.reconciling {
                Some(reconciling) => reconciling.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In this order: without the store the others end as well.
            biased;
            error = self.store.failed() => Failure::Store(error),
            ended = &mut self.serving => Failure::Part { name: "the listener", reason: why(ended.map(|end| end.err())) },
            ended = &mut self.serving_operators => {
                Failure::Part { name: "the operator's listener", reason: why(ended.map(|end| end.err())) }
            }
            ended = &mut self.delivering => Failure::Part { name: "delivery", reason: why(ended.map(|()| None)) },
            ended = reconciling => Failure::Part { name: "the reconciler", reason: why(ended.map(|()| None)) },
            ended = &mut self.watching => Failure::Part { name: "the watch over late pages", reason: why(ended.map(|()| None)) },
            ended = &mut self.pruning => Failure::Part { name: "pruning", reason: why(ended.map(|()| None)) },
        }
    }

    /// Stops: no more webhooks, no more claims, calls under way end or are cut off, and the store is flushed. What is left
    /// to be done is on disk.
    pub async fn stop(self) {
        info!("crosspage is stopping");
        self.looking_up.abort();
        self.stop.send_replace(true);
        // Whoever watches the dashboard would hold the connection for ever.
        let (_, _, delivered) = tokio::join!(self.server.stop(true), self.admin.stop(false), self.delivering);
        if let Err(error) = delivered {
            error!(%error, "delivery ended abnormally");
        }
        if let Err(error) = self.watching.await {
            error!(%error, "the watch over late pages ended abnormally");
        }
        if let Some(reconciling) = self.reconciling
            && let Err(error) = reconciling.await
        {
            error!(%error, "the reconciler ended abnormally");
        }
        if let Err(error) = self.pruning.await {
            error!(%error, "pruning ended abnormally");
        }
        if let Err(error) = self.serving_operators.await {
            error!(%error, "the operator's listener ended abnormally");
        }
        if let Err(error) = self.serving.await {
            error!(%error, "the server ended abnormally");
        }
        if let Err(error) = self.store.close().await {
            error!(%error, "the store was not closed cleanly; what was acknowledged is on disk all the same");
        }
        info!("crosspage has stopped");
    }
}

pub(crate) fn policy(config: &Config, tuning: &Tuning) -> Policy {
    Policy {
        on_pagerduty_resolved: config.on_pagerduty_resolved,
        identity: Identity {
            pagerduty_ids: std::collections::BTreeSet::new(),
            pagerduty_email: config.pagerduty.email.clone(),
            pagerduty_name: config.pagerduty.user.clone(),
            opsgenie_user: config.opsgenie.user.clone(),
        },
        pagerduty_service: config.pagerduty.service_id.clone(),
        // The store knows when it was made, and tells the committer.
        first_ran_at: Timestamp::from_millis(0),
        retention: tuning.retention.unwrap_or(config.retention),
        read_lag: tuning.read_lag,
        fuse: Limits::default(),
        alert_page: config.opsgenie.alert_page.clone(),
    }
}

pub(crate) fn vendors(config: &Config, http: &HttpSettings) -> Result<Vendors, InvalidSetting> {
    Ok(Vendors {
        opsgenie: opsgenie::Client::new(
            opsgenie::Settings {
                base_url: config.opsgenie.api_url.clone(),
                key: config.opsgenie.api_key.clone(),
                user: config.opsgenie.user.clone(),
            },
            http,
        )?,
        pagerduty: pagerduty_client(&config.pagerduty, http)?,
    })
}

pub(crate) fn pagerduty_client(
    config: &config::PagerDuty,
    http: &HttpSettings,
) -> Result<pagerduty::Client, InvalidSetting> {
    let settings = pagerduty::Settings {
        base_url: config.api_url.clone(),
        key: config.api_key.clone(),
        email: config.email.clone(),
        service_id: config.service_id.clone(),
    };
    pagerduty::Client::new(settings, http)
}

/// The other way to page, if there is one.
fn events(config: &Config, tuning: &Tuning) -> Result<Option<pagerduty::Events>, InvalidSetting> {
    let Some(routing_key) = config.pagerduty.fallback_routing_key.clone() else { return Ok(None) };
    let settings = pagerduty::events::Settings { base_url: config.pagerduty.events_url.clone(), routing_key };
    pagerduty::Events::new(settings, &tuning.http).map(Some)
}

const FIRST_LOOK_UP_AGAIN: Duration = Duration::from_secs(5);
const LONGEST_LOOK_UP_AGAIN: Duration = Duration::from_secs(600);

/// Finds the automation user's id by its e-mail address, however long that takes. Until then, and if the look-up is
/// refused, echoes are known by the name, by the ids in answers to our writes, and by what was written.
async fn look_up_identity(store: Store, pagerduty: pagerduty::Client, gate: Arc<Gate>, health: Health) {
    let mut wait = FIRST_LOOK_UP_AGAIN;
    loop {
        // While PagerDuty refuses our calls, it is not asked.
        let answer = match gate.pass_behind().await {
            Ok(()) => {
                let started = Instant::now();
                let answer = pagerduty.user_id().await;
                let failure = answer.as_ref().err();
                health.called(System::PagerDuty, Operation::FIND_USER, started.elapsed(), failure, now());
                Some(answer)
            }
            Err(Paused) => None,
        };
        match answer {
            Some(Ok(Some(id))) => {
                match store.learn(id.clone()).await {
                    Ok(()) => info!(user.id = id, "the automation user was found in PagerDuty"),
                    Err(error) => error!(%error, "the automation user's id could not be stored"),
                }
                return;
            }
            Some(Ok(None)) => {
                error!("PagerDuty has no user with the address PAGERDUTY_EMAIL: every write will be refused");
            }
            Some(Err(failure)) => {
                warn!(reason = failure.reason(), "the automation user could not be looked up in PagerDuty")
            }
            None => {}
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_LOOK_UP_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// A crosspage whose vendors nobody has to answer for.
    async fn started(folder: &std::path::Path) -> Application {
        let database = format!("sled://{}", folder.join("store").display());
        let vars = HashMap::from([
            ("PAGERDUTY_API_KEY", "key"),
            ("PAGERDUTY_API_URL", "http://127.0.0.1:1"),
            ("PAGERDUTY_SERVICE_ID", "PSVC001"),
            ("PAGERDUTY_WEBHOOK_SECRET", "hunter-pd-secret"),
            ("PAGERDUTY_EMAIL", "bot@example.com"),
            ("PAGERDUTY_USER", "Bot"),
            ("OPSGENIE_API_KEY", "key"),
            ("OPSGENIE_API_URL", "http://127.0.0.1:1"),
            ("OPSGENIE_INTEGRATION_ID", "6b9f0a52-1111-2222-3333-444455556666"),
            ("LISTEN_ADDR", "127.0.0.1:0"),
            ("ADMIN_ADDR", "127.0.0.1:0"),
            ("DATABASE_URL", &database),
        ]);
        let config = Config::from_vars(|key| vars.get(key).map(|&value| value.to_owned())).unwrap();
        Application::start(config, Tuning::default()).await.unwrap()
    }

    #[test]
    fn only_what_a_person_must_mend_keeps_a_supervisor_from_starting_it_again() {
        use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, Other, PermissionDenied};
        let address = ([127, 0, 0, 1], 5001).into();
        let listen = |kind: std::io::ErrorKind| StartError::Listen { key: "LISTEN_ADDR", address, source: kind.into() };
        assert!(listen(PermissionDenied).is_of_the_set_up());
        for kind in [AddrInUse, AddrNotAvailable, Other] {
            assert!(!listen(kind).is_of_the_set_up(), "{kind}");
        }
        assert!(!StartError::Store(StoreError::Closed).is_of_the_set_up());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_part_that_panics_is_noticed_at_once() {
        for name in ["the reconciler", "the watch over late pages", "pruning"] {
            let folder = tempfile::tempdir().unwrap();
            let mut app = started(folder.path()).await;
            let part = match name {
                "the reconciler" => app.reconciling.as_mut().unwrap(),
                "pruning" => &mut app.pruning,
                _ => &mut app.watching,
            };
            part.abort();
            *part = tokio::spawn(async { panic!("it panics") });
            let failure = tokio::time::timeout(Duration::from_secs(60), app.failed()).await.expect(name);
            assert!(
                matches!(&failure, Failure::Part { name: failed, reason } if *failed == name && reason.contains("panicked")),
                "{failure}"
            );
        }
    }
}
