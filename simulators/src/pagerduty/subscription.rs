//! Webhook subscriptions: who wants which events, and whether they still get them.

use serde_json::{Value, json};

use super::model::PagerDuty;
use super::rest::{Failure, Served};
use crate::exchange::{Reply, Request};

/// Webhook page: so many subscriptions a scope.
const PER_SCOPE: usize = 10;

/// Webhook overview: what can be subscribed to of incidents and their notes.
const ALL_EVENTS: [&str; 12] = [
    "incident.triggered",
    "incident.acknowledged",
    "incident.unacknowledged",
    "incident.resolved",
    "incident.reopened",
    "incident.annotated",
    "incident.escalated",
    "incident.reassigned",
    "incident.delegated",
    "incident.priority_updated",
    "incident.service_updated",
    "incident.responder.added",
];

#[derive(Debug, Clone)]
pub(super) struct Subscription {
    pub(super) id: String,
    /// `None` is the address that the simulator was given.
    pub(super) url: Option<String>,
    pub(super) secrets: Vec<String>,
    pub(super) custom_headers: Vec<(String, String)>,
    pub(super) drops: u32,
    pub(super) disabled_until_ms: Option<i64>,
    description: String,
    /// Empty is all.
    events: Vec<String>,
    active: bool,
    filter: Filter,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Account,
    Service(String),
    Team(String),
}

impl Subscription {
    pub(super) fn of_service(id: &str, service_id: &str, secrets: Vec<String>) -> Self {
        Self {
            id: id.to_owned(),
            url: None,
            secrets,
            custom_headers: Vec::new(),
            drops: 0,
            disabled_until_ms: None,
            description: String::new(),
            events: Vec::new(),
            active: true,
            filter: Filter::Service(service_id.to_owned()),
        }
    }

    pub(super) fn wants(&self, event: &str, service_id: &str) -> bool {
        let in_scope = match &self.filter {
            Filter::Account => true,
            Filter::Service(id) => id == service_id,
            Filter::Team(_) => false,
        };
        self.active && in_scope && (self.events.is_empty() || self.events.iter().any(|wanted| wanted == event))
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.disabled_until_ms.is_some()
    }

    pub(super) fn enable(&mut self) {
        self.disabled_until_ms = None;
        self.drops = 0;
    }

    /// The secret is shown in the answer to the create only; custom headers' values never again.
    fn to_json(&self, created: bool, common_url: Option<&str>) -> Value {
        let filter = match &self.filter {
            Filter::Account => json!({"type": "account_reference"}),
            Filter::Service(id) => json!({"type": "service_reference", "id": id}),
            Filter::Team(id) => json!({"type": "team_reference", "id": id}),
        };
        let headers: Vec<_> = self
            .custom_headers
            .iter()
            .map(|(name, value)| json!({"name": name, "value": if created { value } else { "-- redacted --" }}))
            .collect();
        let all = || ALL_EVENTS.map(str::to_owned).to_vec();
        let events = if self.events.is_empty() { all() } else { self.events.clone() };
        json!({
            "id": self.id,
            "type": "webhook_subscription",
            "active": self.active,
            "delivery_method": {
                "id": format!("{}D", self.id),
                "type": "http_delivery_method",
                "secret": self.secrets.first().filter(|_| created),
                "temporarily_disabled": self.is_disabled(),
                "url": self.url.as_deref().or(common_url).unwrap_or("http://127.0.0.1/"),
                "custom_headers": headers,
            },
            "description": self.description,
            "events": events,
            "filter": filter,
        })
    }
}

impl PagerDuty {
    /// Has a further subscription post the service's events to `url` from here on, signed as the first one's.
    pub fn also_webhook_to(&mut self, url: &str) {
        let (id, service) = (self.ids.upper("P", 6), self.options.service_id.clone());
        let first = Subscription::of_service(&id, &service, self.options.webhook_secrets.clone());
        self.subscriptions.push(Subscription { url: Some(url.to_owned()), ..first });
    }

    /// The addresses that subscriptions have of their own.
    pub fn subscription_urls(&self) -> Vec<String> {
        self.subscriptions.iter().filter_map(|subscription| subscription.url.clone()).collect()
    }

    /// Serves `/webhook_subscriptions…`; `path` is what follows.
    pub(super) fn subscriptions(&mut self, request: &Request, path: &[&str]) -> Served {
        match (request.method.as_str(), path) {
            ("GET", []) => Ok(self.list_subscriptions(request)),
            ("POST", []) => self.create_subscription(request),
            ("GET", [id]) => {
                let subscription = &self.subscriptions[self.position(id)?];
                Ok(Reply::json(
                    200,
                    &json!({"webhook_subscription": subscription.to_json(false, self.common_url.as_deref())}),
                ))
            }
            ("PUT", [id]) => self.update_subscription(request, id),
            ("DELETE", [id]) => {
                let at = self.position(id)?;
                self.subscriptions.remove(at);
                self.outbox.drop_queues(&format!("{id}/"));
                Ok(Reply::raw(204, Vec::new()))
            }
            ("POST", [id, "enable"]) => {
                let at = self.position(id)?;
                self.subscriptions[at].enable();
                Ok(Reply::json(
                    200,
                    &json!({"webhook_subscription": self.subscriptions[at].to_json(false, self.common_url.as_deref())}),
                ))
            }
            ("POST", [id, "ping"]) => {
                self.position(id)?;
                self.ping(id);
                Ok(Reply::json(202, &json!({})))
            }
            _ => Err(Failure::not_found()),
        }
    }

    fn list_subscriptions(&self, request: &Request) -> Reply {
        let kind = request.query_value("filter_type");
        let id = request.query_value("filter_id");
        let listed: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|subscription| match (kind.as_deref(), &subscription.filter) {
                (None, _) | (Some("account"), Filter::Account) => true,
                (Some("service"), Filter::Service(other)) | (Some("team"), Filter::Team(other)) => {
                    id.as_ref().is_none_or(|id| id == other)
                }
                (Some(_), _) => false,
            })
            .map(|subscription| subscription.to_json(false, self.common_url.as_deref()))
            .collect();
        let limit = listed.len().max(25);
        let body = json!({"webhook_subscriptions": listed, "limit": limit, "offset": 0, "more": false, "total": null});
        Reply::json(200, &body)
    }

    fn create_subscription(&mut self, request: &Request) -> Served {
        let body = super::rest::body_of(request)?;
        let wanted = &body["webhook_subscription"];
        let method = &wanted["delivery_method"];
        let url = method["url"].as_str().filter(|url| url.starts_with("http"));
        let url = url.ok_or_else(|| Failure::invalid("Delivery method url is invalid"))?;
        let id = wanted["filter"]["id"].as_str().unwrap_or_default().to_owned();
        let filter = match wanted["filter"]["type"].as_str() {
            Some("account_reference") => Filter::Account,
            Some("service_reference") if self.is_service(&id) => Filter::Service(id),
            Some("team_reference") => Filter::Team(id),
            _ => return Err(Failure::invalid("Filter is invalid")),
        };
        if self.subscriptions.iter().filter(|other| other.filter == filter).count() >= PER_SCOPE {
            let text = "Failed to create webhook. Webhook subscription limit exceeded for the selected scope.";
            return Err(Failure::new(400, 2019, "Product Limit Reached", &[text]));
        }
        let events = strings(&wanted["events"]);
        if events.is_empty() {
            return Err(Failure::invalid("Events cannot be empty"));
        }
        let headers = method["custom_headers"].as_array().into_iter().flatten();
        let subscription = Subscription {
            id: self.ids.upper("P", 6),
            url: Some(url.to_owned()),
            secrets: vec![format!("{}{}", self.ids.hex32(), self.ids.hex32())],
            custom_headers: headers
                .filter_map(|header| Some((header["name"].as_str()?.to_owned(), header["value"].as_str()?.to_owned())))
                .collect(),
            drops: 0,
            disabled_until_ms: None,
            description: wanted["description"].as_str().unwrap_or_default().to_owned(),
            events,
            active: wanted["active"].as_bool().unwrap_or(true),
            filter,
        };
        let reply =
            Reply::json(200, &json!({"webhook_subscription": subscription.to_json(true, self.common_url.as_deref())}));
        self.subscriptions.push(subscription);
        Ok(reply)
    }

    /// Neither address nor secret can be changed: a new subscription replaces an old one.
    fn update_subscription(&mut self, request: &Request, id: &str) -> Served {
        let at = self.position(id)?;
        let body = super::rest::body_of(request)?;
        let wanted = &body["webhook_subscription"];
        let subscription = &mut self.subscriptions[at];
        if let Some(description) = wanted["description"].as_str() {
            subscription.description = description.to_owned();
        }
        if let Some(active) = wanted["active"].as_bool() {
            subscription.active = active;
        }
        if wanted["events"].is_array() {
            subscription.events = strings(&wanted["events"]);
        }
        Ok(Reply::json(200, &json!({"webhook_subscription": subscription.to_json(false, self.common_url.as_deref())})))
    }

    fn position(&self, id: &str) -> Result<usize, Failure> {
        self.subscriptions.iter().position(|subscription| subscription.id == id).ok_or_else(Failure::not_found)
    }
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
