//! A world to tell stories in: crosspage between the two simulated vendors, each on a port of its own.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crosspage::app::{Application, Tuning};
use crosspage::config::Config;
use crosspage::engine::Policy;
use crosspage::store::{Queued, Settings, Store, TimelineEntry};
use simulators::opsgenie::{self, Alert, NewAlert};
use simulators::pagerduty::{self, Incident};
use tempfile::TempDir;

use crate::contract;

/// A customer, who works in Opsgenie.
pub(crate) const JANE: &str = "jane@example.com";
/// Another one.
pub(crate) const JOHN: &str = "john@example.com";
/// Who is on call, and works in PagerDuty. Shown as "Ada Oncall".
pub(crate) const ADA: &str = "PUSR001";
/// Another one, shown as "Bob Backup".
pub(crate) const BOB: &str = "PUSR002";

/// No story takes this long unless something hangs.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(120);
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a world is made from; the fields are there to be changed before [`Plan::start`].
pub(crate) struct Plan {
    pub(crate) opsgenie: opsgenie::Options,
    pub(crate) pagerduty: pagerduty::Options,
    /// Configuration keys on top of the usual ones.
    pub(crate) vars: HashMap<&'static str, String>,
    pub(crate) tuning: Tuning,
}

impl Plan {
    pub(crate) fn new() -> Self {
        let mut tuning = Tuning::default();
        tuning.delivery.probe_every = Duration::from_millis(50);
        Self {
            opsgenie: opsgenie::Options { processing_ms: 5, ..opsgenie::Options::default() },
            pagerduty: pagerduty::Options::default(),
            vars: HashMap::new(),
            tuning,
        }
    }

    pub(crate) fn var(mut self, key: &'static str, value: &str) -> Self {
        self.vars.insert(key, value.to_owned());
        self
    }

    pub(crate) async fn start(self) -> World {
        let folder = tempfile::tempdir().unwrap();
        let opsgenie = opsgenie::Server::start(self.opsgenie.clone()).await.unwrap();
        let pagerduty = pagerduty::Server::start(self.pagerduty.clone()).await.unwrap();
        let mut vars: HashMap<&'static str, String> = HashMap::from([
            ("PAGERDUTY_API_KEY", self.pagerduty.api_key.clone()),
            ("PAGERDUTY_API_URL", pagerduty.url()),
            ("PAGERDUTY_EVENTS_URL", pagerduty.url()),
            ("PAGERDUTY_SERVICE_ID", self.pagerduty.service_id.clone()),
            ("PAGERDUTY_WEBHOOK_SECRET", self.pagerduty.webhook_secrets.join(",")),
            ("PAGERDUTY_EMAIL", self.pagerduty.automation.email.clone()),
            ("PAGERDUTY_USER", self.pagerduty.automation.name.clone()),
            ("OPSGENIE_API_KEY", self.opsgenie.api_key.clone()),
            ("OPSGENIE_API_URL", opsgenie.url()),
            ("OPSGENIE_INTEGRATION_ID", self.opsgenie.integration_id.clone()),
            // Stories about webhooks are told without anybody looking behind them.
            ("RECONCILE_INTERVAL_S", "0".to_owned()),
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("DATABASE_URL", format!("sled://{}", folder.path().join("store").display())),
        ]);
        if let Some(token) = &self.opsgenie.webhook_token {
            vars.insert("OPSGENIE_WEBHOOK_TOKEN", token.clone());
        }
        vars.extend(self.vars);
        let mut world = World { opsgenie, pagerduty, app: None, vars, tuning: self.tuning, _folder: folder };
        world.start_app().await;
        world
    }
}

/// crosspage, the vendors and the store.
pub(crate) struct World {
    pub(crate) opsgenie: opsgenie::Server,
    pub(crate) pagerduty: pagerduty::Server,
    app: Option<Application>,
    vars: HashMap<&'static str, String>,
    tuning: Tuning,
    _folder: TempDir,
}

impl World {
    /// The usual world.
    pub(crate) async fn new() -> Self {
        Plan::new().start().await
    }

    pub(crate) fn app(&self) -> &Application {
        self.app.as_ref().expect("crosspage is running")
    }

    /// Starts crosspage on the same store, and points the vendors' webhooks at it.
    pub(crate) async fn start_app(&mut self) {
        let config = Config::from_vars(|key| self.vars.get(key).cloned()).unwrap();
        let app = Application::start(config, self.tuning.clone()).await.unwrap();
        self.opsgenie.webhook_to(&format!("http://{}/ops-webhook", app.address()));
        self.pagerduty.webhook_to(&format!("http://{}/pd-webhook", app.address()));
        self.app = Some(app);
    }

    /// The configuration of the running crosspage, with these keys changed, as somebody beside it reads it.
    pub(crate) fn config(&self, changed: &[(&'static str, &str)]) -> Config {
        let mut vars = self.vars.clone();
        if let Some(app) = &self.app {
            vars.insert("LISTEN_ADDR", app.address().to_string());
            vars.insert("ADMIN_ADDR", app.admin_address().to_string());
        }
        vars.extend(changed.iter().map(|(key, value)| (*key, (*value).to_owned())));
        Config::from_vars(|key| vars.get(key).cloned()).unwrap()
    }

    /// Starts another crosspage on the same accounts, with a store of its own and these keys changed.
    pub(crate) async fn start_another(&self, changed: &[(&'static str, &str)]) -> (Application, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut vars = self.vars.clone();
        vars.insert("DATABASE_URL", format!("sled://{}", folder.path().join("store").display()));
        vars.extend(changed.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let config = Config::from_vars(|key| vars.get(key).cloned()).unwrap();
        let app = Application::start(config, self.tuning.clone()).await.unwrap();
        self.opsgenie.model().also_webhook_to(&format!("http://{}/ops-webhook", app.address()));
        self.pagerduty.model().also_webhook_to(&format!("http://{}/pd-webhook", app.address()));
        (app, folder)
    }

    /// Stops crosspage as SIGTERM does.
    pub(crate) async fn stop_app(&mut self) {
        if let Some(app) = self.app.take() {
            app.stop().await;
        }
    }

    pub(crate) async fn restart_app(&mut self) {
        self.stop_app().await;
        self.start_app().await;
    }

    /// Opens the store as a command does, while crosspage does not run.
    pub(crate) fn open_store(&self) -> Store {
        let config = self.config(&[]);
        let settings = Settings::new(Policy { retention: config.retention, ..Policy::default() });
        Store::open(&config.database, settings, crosspage::clock::now()).unwrap()
    }

    /// Changes a configuration key from the next start on.
    pub(crate) fn set_var(&mut self, key: &'static str, value: &str) {
        self.vars.insert(key, value.to_owned());
    }

    /// Changes what no configuration key does from the next start on.
    pub(crate) fn tune(&mut self, change: impl FnOnce(&mut Tuning)) {
        change(&mut self.tuning);
    }

    /// Has people do something on both sides before crosspage hears of any of it.
    pub(crate) fn at_once(&self, act: impl FnOnce()) {
        self.hold_webhooks();
        act();
        self.release_opsgenie();
        self.release_pagerduty();
    }

    /// Lets crosspage hear of nothing that happens on either side.
    pub(crate) fn hold_webhooks(&self) {
        self.opsgenie.model().faults.webhooks.hold = true;
        self.pagerduty.model().faults.webhooks.hold = true;
    }

    /// Lets crosspage hear of what happened in Opsgenie, and of what will.
    pub(crate) fn release_opsgenie(&self) {
        let mut opsgenie = self.opsgenie.model();
        opsgenie.faults.webhooks.hold = false;
        opsgenie.release_webhooks();
    }

    /// Lets crosspage hear of what happened in PagerDuty, and of what will.
    pub(crate) fn release_pagerduty(&self) {
        let mut pagerduty = self.pagerduty.model();
        pagerduty.faults.webhooks.hold = false;
        pagerduty.release_webhooks();
    }

    /// Waits until nothing is on its way any more: no webhook, no request, nothing in the outbox but what is parked.
    pub(crate) async fn settle(&self) {
        self.until("everything is quiet", async || self.is_quiet().await).await;
    }

    async fn is_quiet(&self) -> bool {
        let idle = |queued: &Queued| queued.lanes == queued.parked;
        let before = self.app().store().summary().await.unwrap();
        if !self.opsgenie.is_quiet() || !self.pagerduty.is_quiet() {
            return false;
        }
        let after = self.app().store().summary().await.unwrap();
        [before, after].iter().all(|summary| idle(&summary.opsgenie) && idle(&summary.pagerduty))
    }

    /// Waits until `is_so`, and fails the test if that takes absurdly long.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while !is_so().await {
            if started.elapsed() > TOO_LONG {
                let summary = self.app().store().summary().await;
                panic!("waited in vain until {what}; the store: {summary:?}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until `is_so`, while crosspage need not be running.
    pub(crate) async fn until_vendors(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !is_so(self) {
            assert!(started.elapsed() < TOO_LONG, "waited in vain until {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// An alert that comes in; returns its id.
    pub(crate) fn alert(&self, message: &str) -> String {
        let alert = NewAlert { user: JANE.to_owned(), priority: "P2".to_owned(), ..NewAlert::titled(message) };
        self.opsgenie.model().human_creates(alert)
    }

    /// An alert that comes in and has paged; returns its id and the incident's.
    pub(crate) async fn linked(&self, message: &str) -> (String, String) {
        let alert = self.alert(message);
        self.settle().await;
        let incident = self.incident_of(&alert);
        (alert, incident.id)
    }

    /// The one incident of an alert.
    pub(crate) fn incident_of(&self, alert: &str) -> Incident {
        let incidents = self.incidents_of(alert);
        assert_eq!(incidents.len(), 1, "one incident for {alert}: {incidents:#?}");
        incidents.into_iter().next().unwrap()
    }

    /// All incidents that were ever made for an alert.
    pub(crate) fn incidents_of(&self, alert: &str) -> Vec<Incident> {
        self.pagerduty.model().incident_by_key(&format!("opsgenie:{alert}")).into_iter().cloned().collect()
    }

    pub(crate) fn alert_now(&self, alert: &str) -> Alert {
        self.opsgenie.model().alert(alert).expect("the alert exists").clone()
    }

    pub(crate) fn incident_now(&self, incident: &str) -> Incident {
        self.pagerduty.model().incident(incident).expect("the incident exists").clone()
    }

    /// The texts of the alert's notes, oldest first.
    pub(crate) fn alert_notes(&self, alert: &str) -> Vec<String> {
        self.alert_now(alert).notes.into_iter().map(|note| note.text).collect()
    }

    /// The texts of the incident's notes, oldest first.
    pub(crate) fn incident_notes(&self, incident: &str) -> Vec<String> {
        self.incident_now(incident).notes.into_iter().map(|note| note.text).collect()
    }

    /// What was decided about the alert's link, in order, as reasons in words.
    pub(crate) async fn reasons(&self, alert: &str) -> Vec<String> {
        self.timeline(alert).await.into_iter().map(|entry| entry.reason.to_string()).collect()
    }

    pub(crate) async fn timeline(&self, alert: &str) -> Vec<TimelineEntry> {
        self.app().store().timeline(&alert.try_into().unwrap()).await.unwrap()
    }

    /// How many writes were made to both vendors, faulted ones included.
    pub(crate) fn writes(&self) -> usize {
        self.opsgenie.model().writes().len() + self.pagerduty.model().writes().len()
    }

    /// Ends the story. Whatever was called must have been by the vendors' documents, where they are at hand.
    pub(crate) async fn end(mut self) {
        self.stop_app().await;
        contract::hold(self.opsgenie.model().calls(), self.pagerduty.model().calls());
        self.opsgenie.stop().await;
        self.pagerduty.stop().await;
    }
}
