//! crosspage between the two simulated vendors.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use simulators::{opsgenie, pagerduty};

use super::story::JANE;
use crate::app::{Application, Tuning};
use crate::config::Config;

/// The keys that may be tried here, from the environment: those that say how crosspage goes about it. Accounts, addresses and
/// secrets are the simulators', so that nothing reaches a real vendor whatever is set.
const TRIED: [&str; 7] = [
    "ON_PAGERDUTY_RESOLVED",
    "OPSGENIE_USER",
    "PAGERDUTY_USER",
    "OPSGENIE_RATE_LIMIT",
    "PAGERDUTY_RATE_LIMIT",
    "OPSGENIE_QUERY",
    "RECONCILE_INTERVAL_S",
];

/// What is asked for in the environment: a configuration to be tried.
#[derive(Clone, Debug, Default)]
pub(super) struct Trial(Vec<(&'static str, String)>);

impl Trial {
    pub(super) fn from_env() -> Self {
        let set = |key| std::env::var(key).ok().filter(|value| !value.trim().is_empty()).map(|value| (key, value));
        Self(TRIED.into_iter().filter_map(set).collect())
    }

    pub(super) fn is_usual(&self) -> bool {
        self.0.is_empty()
    }

    /// The name under which crosspage writes in Opsgenie.
    pub(super) fn opsgenie_user(&self) -> &str {
        self.0.iter().find(|(key, _)| *key == "OPSGENIE_USER").map_or("crosspage", |(_, value)| value)
    }

    /// Keys and values.
    pub(super) fn vars(&self) -> &[(&'static str, String)] {
        &self.0
    }
}

/// crosspage and the two vendors.
pub(super) struct Stage {
    pub(super) vendors: Arc<Vendors>,
    pub(super) app: Application,
}

/// The two vendors, and what they were set up with.
pub(super) struct Vendors {
    pub(super) opsgenie: opsgenie::Server,
    pub(super) pagerduty: pagerduty::Server,
    pub(super) account: Account,
}

impl Vendors {
    /// The ids of those who work in PagerDuty.
    pub(super) fn responders(&self) -> Vec<&str> {
        self.account.pagerduty.users.iter().map(|user| user.id.as_str()).collect()
    }
}

/// What the simulated vendors were set up with.
pub(super) struct Account {
    pub(super) opsgenie: opsgenie::Options,
    pub(super) pagerduty: pagerduty::Options,
}

/// Webhooks get lost here when a visitor says so, and who watches does not want to wait for a minute.
const RECONCILE_INTERVAL_S: &str = "5";

/// The other way to page, at the simulated PagerDuty. Any 32 characters will do there.
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

impl Stage {
    pub(super) async fn set(folder: &Path, trial: &Trial) -> Result<Self, Box<dyn std::error::Error>> {
        let account = Account {
            opsgenie: opsgenie::Options { processing_ms: 5, ..opsgenie::Options::default() },
            pagerduty: pagerduty::Options::default(),
        };
        let opsgenie = opsgenie::Server::start(account.opsgenie.clone()).await?;
        let pagerduty = pagerduty::Server::start(account.pagerduty.clone()).await?;
        let secret = account.pagerduty.webhook_secrets.join(",");
        let mut vars: HashMap<&str, String> = HashMap::from([
            ("PAGERDUTY_USER", account.pagerduty.automation.name.clone()),
            ("RECONCILE_INTERVAL_S", RECONCILE_INTERVAL_S.to_owned()),
        ]);
        vars.extend(trial.vars().iter().cloned());
        vars.extend([
            ("PAGERDUTY_API_KEY", account.pagerduty.api_key.clone()),
            ("PAGERDUTY_API_URL", pagerduty.url()),
            ("PAGERDUTY_EVENTS_URL", pagerduty.url()),
            ("PAGERDUTY_FALLBACK_ROUTING_KEY", ROUTING_KEY.to_owned()),
            ("PAGERDUTY_SERVICE_ID", account.pagerduty.service_id.clone()),
            ("PAGERDUTY_WEBHOOK_SECRET", secret),
            ("PAGERDUTY_EMAIL", account.pagerduty.automation.email.clone()),
            ("OPSGENIE_API_KEY", account.opsgenie.api_key.clone()),
            ("OPSGENIE_API_URL", opsgenie.url()),
            ("OPSGENIE_INTEGRATION_ID", account.opsgenie.integration_id.clone()),
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("DATABASE_URL", format!("sled://{}", folder.join("store").display())),
        ]);
        let config = Config::from_vars(|key| vars.get(key).cloned())?;
        let app = Application::start(config, Tuning::default()).await?;
        opsgenie.webhook_to(&format!("http://{}/ops-webhook", app.address()));
        pagerduty.webhook_to(&format!("http://{}/pd-webhook", app.address()));
        Ok(Self { vendors: Arc::new(Vendors { opsgenie, pagerduty, account }), app })
    }

    pub(super) async fn clear(self) {
        self.app.stop().await;
        // Whoever still has the vendors ends with the process, and they with that.
        if let Some(vendors) = Arc::into_inner(self.vendors) {
            vendors.opsgenie.stop().await;
            vendors.pagerduty.stop().await;
        }
    }

    pub(super) fn whereabouts(&self) -> String {
        format!(
            "crosspage sandbox: nothing here leaves this machine, and nothing is kept.\n\n  \
             crosspage            http://{}\n  \
             simulated Opsgenie   {}\n  \
             simulated PagerDuty  {}\n\n",
            self.app.address(),
            self.vendors.opsgenie.url(),
            self.vendors.pagerduty.url(),
        )
    }

    pub(super) fn things_to_try(&self) -> String {
        let Vendors { opsgenie, pagerduty, account } = self.vendors.as_ref();
        let (opsgenie, pagerduty) = (opsgenie.url(), pagerduty.url());
        let genie = format!("-H 'Authorization: GenieKey {}'", account.opsgenie.api_key);
        let token = format!("-H 'Authorization: Token token={}'", account.pagerduty.api_key);
        let json = "-H 'Content-Type: application/json'";
        let ada = account.pagerduty.users.first().map_or("", |user| user.email.as_str());
        format!(
            "Or by the vendors' own APIs, in another terminal:\n\n\
             # An alert in Opsgenie, by Jane; it pages in PagerDuty.\n\
             curl -s {opsgenie}/v2/alerts {genie} {json} -d '{{\"message\":\"Disk full\",\"user\":\"{JANE}\"}}'\n\
             # The incidents in PagerDuty.\n\
             curl -s {pagerduty}/incidents {token}\n\
             # Ada takes it; the alert is acknowledged and told by whom. Put in the incident's id.\n\
             curl -s -X PUT {pagerduty}/incidents/ID {token} {json} -H 'From: {ada}' \\\n  \
             -d '{{\"incident\":{{\"type\":\"incident_reference\",\"status\":\"acknowledged\"}}}}'\n\
             # What the alert looks like now. Put in the alert's id.\n\
             curl -s {opsgenie}/v2/alerts/ID {genie}\n\
             curl -s {opsgenie}/v2/alerts/ID/notes {genie}\n\
             # A webhook by hand, as Opsgenie posts it.\n\
             curl -i http://{}/ops-webhook {json} -d '{{\"action\":\"Create\",\"alert\":{{\"alertId\":\"test-123\",\
             \"message\":\"Test alert\"}},\"integrationId\":\"{}\"}}'\n\n\
             Ctrl-C ends the sandbox.\n",
            self.app.address(),
            account.opsgenie.integration_id,
        )
    }
}
