//! The two simulated vendors, the configuration that leads to them, and stores that are in step with them.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use crosspage::clock::now;
use crosspage::engine::outbox::Outcome;
use crosspage::engine::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, Identity, IncidentId, Policy, Status, System,
};
use crosspage::store::Settings;
use crosspage::store::backend::Backend;
use crosspage::store::book::Book;
use serde_json::json;
use simulators::opsgenie::{self, NewAlert};
use simulators::{Request, pagerduty};

use crate::crosspage::store_in;

/// crosspage's environment.
pub(crate) type Vars = HashMap<&'static str, String>;

/// How many links are made before they are committed.
const BATCH: usize = 500;

/// Who works in Opsgenie here.
pub(crate) const JANE: &str = "jane@example.com";
/// Who works in PagerDuty here.
pub(crate) const ADA: &str = "PUSR001";

/// Both vendors.
pub(crate) struct Vendors {
    pub(crate) opsgenie: opsgenie::Server,
    pub(crate) pagerduty: pagerduty::Server,
    pub(crate) opsgenie_options: opsgenie::Options,
    pub(crate) pagerduty_options: pagerduty::Options,
}

/// An alert and its incident.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) alert: AlertId,
    pub(crate) incident: IncidentId,
}

impl Vendors {
    /// Two vendors on ports of their own.
    pub(crate) fn start(runtime: &tokio::runtime::Runtime) -> Self {
        let opsgenie_options = opsgenie::Options { processing_ms: 5, ..opsgenie::Options::default() };
        let pagerduty_options = pagerduty::Options::default();
        let opsgenie = runtime.block_on(opsgenie::Server::start(opsgenie_options.clone())).expect("Opsgenie starts");
        let pagerduty =
            runtime.block_on(pagerduty::Server::start(pagerduty_options.clone())).expect("PagerDuty starts");
        Self { opsgenie, pagerduty, opsgenie_options, pagerduty_options }
    }

    /// The secret that PagerDuty signs with.
    pub(crate) fn secret(&self) -> &str {
        self.pagerduty_options.webhook_secrets.first().map_or("", String::as_str)
    }

    /// The seven keys that are required, and where the vendors are. Nothing is looked at behind the webhooks, so that what is
    /// measured is the webhooks.
    pub(crate) fn vars(&self) -> Vars {
        let (opsgenie, pagerduty) = (&self.opsgenie_options, &self.pagerduty_options);
        Vars::from([
            ("PAGERDUTY_API_KEY", pagerduty.api_key.clone()),
            ("PAGERDUTY_API_URL", self.pagerduty.url()),
            ("PAGERDUTY_SERVICE_ID", pagerduty.service_id.clone()),
            ("PAGERDUTY_WEBHOOK_SECRET", pagerduty.webhook_secrets.join(",")),
            ("PAGERDUTY_EMAIL", pagerduty.automation.email.clone()),
            ("PAGERDUTY_USER", pagerduty.automation.name.clone()),
            ("OPSGENIE_API_KEY", opsgenie.api_key.clone()),
            ("OPSGENIE_API_URL", self.opsgenie.url()),
            ("OPSGENIE_INTEGRATION_ID", opsgenie.integration_id.clone()),
            ("RECONCILE_INTERVAL_S", "0".to_owned()),
        ])
    }

    /// The same, with as many calls a minute as crosspage can be told to make.
    pub(crate) fn vars_without_limits(&self) -> Vars {
        let mut vars = self.vars();
        vars.extend([("OPSGENIE_RATE_LIMIT", "100000".to_owned()), ("PAGERDUTY_RATE_LIMIT", "100000".to_owned())]);
        vars
    }

    /// Has both vendors post their webhooks to crosspage from here on.
    pub(crate) fn post_to(&self, address: std::net::SocketAddr) {
        self.opsgenie.webhook_to(&format!("http://{address}/ops-webhook"));
        self.pagerduty.webhook_to(&format!("http://{address}/pd-webhook"));
    }

    /// Has both vendors keep their webhooks to themselves.
    pub(crate) fn park(&self) {
        use simulators::wire::Vendor as _;
        self.opsgenie.model().park_webhooks(true);
        self.pagerduty.model().park_webhooks(true);
    }

    /// Makes a store in `folder` with `links` open links, each of which has its alert and its incident with the
    /// vendors.
    pub(crate) fn seed(&self, folder: &Path, links: usize) -> (Book, Vec<Pair>) {
        let backend = Backend::sled(&store_in(folder)).expect("the store opens");
        let mut book = Book::open(backend, Settings::new(self.policy()), now()).expect("the store is made");
        let mut pairs = Vec::with_capacity(links);
        while pairs.len() < links {
            let batch = BATCH.min(links - pairs.len());
            for number in pairs.len()..pairs.len() + batch {
                book.record(self.created(number)).expect("the alert is taken in");
            }
            for claim in book.claim(System::PagerDuty, batch, now()).expect("the creates are due") {
                let incident = self.create_incident(&claim.link.alert);
                pairs.push(Pair { alert: claim.link.alert, incident: incident.clone() });
                let outcome = Outcome::Created { incident, status: Status::Open, at: None, author: None };
                book.settle(claim.entry, outcome, now()).expect("the create is settled");
            }
            book.commit().expect("the disk takes it");
        }
        self.opsgenie.model().forget_records();
        self.pagerduty.model().forget_records();
        (book, pairs)
    }

    fn created(&self, number: usize) -> Event {
        let new = NewAlert {
            message: format!("Disk full on db-{number}"),
            description: "Less than 5 % of the disk is left; writes will fail soon.\n".repeat(8),
            tags: vec!["disk".to_owned(), "db".to_owned()],
            priority: "P2".to_owned(),
            user: JANE.to_owned(),
            ..NewAlert::default()
        };
        let facts = AlertFacts {
            message: Some(new.message.clone()),
            description: Some(new.description.clone()),
            tags: new.tags.clone(),
            created_at: Some(now()),
            ..AlertFacts::default()
        };
        let alert = self.opsgenie.model().silently(|opsgenie| opsgenie.human_creates(new));
        let alert = AlertId::try_from(alert).expect("an id");
        let body = EventBody::Alert(AlertEvent { alert, facts, action: AlertAction::Create });
        Event {
            dedupe: vec![format!("og:seed-{number}")],
            request_id: None,
            occurred_at: Some(now()),
            received_at: now(),
            actor: Actor { name: Some(JANE.to_owned()), person: true, ..Actor::nobody() },
            body,
        }
    }

    fn create_incident(&self, alert: &AlertId) -> IncidentId {
        let options = &self.pagerduty_options;
        let request = Request::new("POST", "/incidents")
            .header("authorization", &format!("Token token={}", options.api_key))
            .header("from", &options.automation.email)
            .json(&json!({ "incident": {
                "type": "incident",
                "title": "Disk full",
                "service": { "id": options.service_id, "type": "service_reference" },
                "incident_key": alert.incident_key(),
            }}));
        let at = now().as_millis();
        let reply = self.pagerduty.model().silently(|pagerduty| pagerduty.handle(at, request));
        let id = reply.body_json()["incident"]["id"].as_str().map(str::to_owned);
        IncidentId::try_from(id.unwrap_or_default()).expect("the incident was made")
    }

    fn policy(&self) -> Policy {
        Policy {
            identity: Identity {
                pagerduty_ids: std::iter::once(self.pagerduty_options.automation.id.clone()).collect(),
                pagerduty_email: self.pagerduty_options.automation.email.clone(),
                pagerduty_name: self.pagerduty_options.automation.name.clone(),
                opsgenie_user: "crosspage".to_owned(),
            },
            pagerduty_service: self.pagerduty_options.service_id.clone(),
            retention: Duration::from_secs(30 * 24 * 3600),
            ..Policy::default()
        }
    }
}
