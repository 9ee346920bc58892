//! Webhook subscriptions: what there is, and switching on, making and removing one.

use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Client, PAGE_SIZE, failure};
use crate::engine::outbox::call::{Failure, Refusal};
use crate::http::unreadable;
use crate::pagerduty::webhook::EVENTS;
use crate::pagerduty::wire::{WireReference, WireSubscription, WireSubscriptionEnvelope, WireSubscriptions};

/// The end of the address that our subscriptions post to.
pub const DOOR: &str = "/pd-webhook";

/// Many more subscriptions than the ten that a service, and the account, may have.
const SUBSCRIPTION_PAGES: u32 = 10;

/// A webhook subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// PagerDuty's id of it.
    pub id: String,
    /// Where it posts to.
    pub url: String,
    /// Whose incidents it tells of.
    pub scope: Scope,
    /// What it posts.
    pub events: Vec<String>,
    /// Whether it is switched on by whoever owns it.
    pub active: bool,
    /// Whether PagerDuty has switched it off for a while, since too many webhooks were dropped.
    pub temporarily_disabled: bool,
}

/// Whose incidents a subscription tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole account's.
    Account,
    /// One service's.
    Service(String),
    /// One team's.
    Team(String),
    /// PagerDuty does not say so in any way that is known.
    Unknown,
}

/// A subscription that was just made.
#[derive(Debug)]
pub struct NewSubscription {
    /// PagerDuty's id of it.
    pub id: String,
    /// What it signs with. PagerDuty never tells it again.
    pub secret: Option<SecretString>,
}

impl Subscription {
    /// Where it posts to, without what does not matter for where that is.
    pub fn address(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/')
    }

    /// Whether it may tell of that service's incidents: a team's may.
    pub fn may_cover(&self, service_id: &str) -> bool {
        !matches!(&self.scope, Scope::Service(id) if id != service_id)
    }
}

impl Client {
    /// All webhook subscriptions that the key can see.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, Failure> {
        let mut all = Vec::new();
        for page in 0..SUBSCRIPTION_PAGES {
            let request = self
                .get(&["webhook_subscriptions"])
                .query(&[("limit", &PAGE_SIZE.to_string()), ("offset", &(page * PAGE_SIZE).to_string())]);
            let page: WireSubscriptions = self.fetch(request).await?;
            let subscriptions = page.webhook_subscriptions.ok_or_else(unreadable)?;
            all.extend(subscriptions.into_iter().filter_map(read));
            if page.more != Some(true) {
                break;
            }
        }
        Ok(all)
    }

    /// The webhook subscriptions that post to `door`, the end of an address, about our service.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn subscriptions_to(&self, door: &str) -> Result<Vec<Subscription>, Failure> {
        let mut ours = self.subscriptions().await?;
        ours.retain(|one| one.address().ends_with(door) && one.may_cover(&self.service_id));
        Ok(ours)
    }

    /// Switches a webhook subscription on again.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn enable_subscription(&self, id: &str) -> Result<(), Failure> {
        let request = self.request(Method::POST, &["webhook_subscriptions", id, "enable"]);
        self.fetch::<Value>(request).await.map(drop)
    }

    /// Makes a webhook subscription that posts to `url` what we understand ([`EVENTS`]).
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn create_subscription(&self, url: &str, scope: &Scope) -> Result<NewSubscription, Failure> {
        let filter = match scope {
            Scope::Account | Scope::Unknown => json!({"type": "account_reference"}),
            Scope::Service(id) => json!({"type": "service_reference", "id": id}),
            Scope::Team(id) => json!({"type": "team_reference", "id": id}),
        };
        let wanted = json!({
            "type": "webhook_subscription",
            "delivery_method": {"type": "http_delivery_method", "url": url},
            "description": "crosspage",
            "events": EVENTS,
            "filter": filter,
        });
        let request = self.request(Method::POST, &["webhook_subscriptions"]);
        let request = request.json(&json!({"webhook_subscription": wanted}));
        let made = self.fetch::<WireSubscriptionEnvelope>(request).await?.webhook_subscription;
        let made = made.ok_or_else(unreadable)?;
        let secret = made.delivery_method.and_then(|method| method.secret).filter(|secret| !secret.is_empty());
        Ok(NewSubscription { id: made.id.ok_or_else(unreadable)?, secret: secret.map(SecretString::from) })
    }

    /// Removes a webhook subscription. That it is not there any more is as good.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn delete_subscription(&self, id: &str) -> Result<(), Failure> {
        let response = self.send(self.request(Method::DELETE, &["webhook_subscriptions", id])).await?;
        match response.status {
            200..=299 => Ok(()),
            _ => match failure(&response) {
                Failure::Refused { meaning: Refusal::NotFound, .. } => Ok(()),
                failure => Err(failure),
            },
        }
    }
}

fn read(subscription: WireSubscription) -> Option<Subscription> {
    let method = subscription.delivery_method?;
    Some(Subscription {
        id: subscription.id?,
        url: method.url?,
        scope: subscription.filter.map_or(Scope::Unknown, scope),
        events: subscription.events.unwrap_or_default(),
        active: subscription.active != Some(false),
        temporarily_disabled: method.temporarily_disabled == Some(true),
    })
}

fn scope(filter: WireReference) -> Scope {
    match (filter.kind.as_deref(), filter.id) {
        (Some("account_reference" | "account"), _) => Scope::Account,
        (Some("service_reference" | "service"), Some(id)) => Scope::Service(id),
        (Some("team_reference" | "team"), Some(id)) => Scope::Team(id),
        _ => Scope::Unknown,
    }
}
