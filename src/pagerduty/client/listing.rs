//! Lists for the reconciler, a page at a time, and the webhook subscriptions for its watchdog.

use reqwest::Method;
use serde_json::Value;

use super::{Client, PAGE_SIZE};
use crate::engine::outbox::call::{Failure, IncidentState, Refusal};
use crate::engine::{Actor, IncidentId, SeenNote, Timestamp};
use crate::http::unreadable;
use crate::pagerduty::wire::{
    WireIncident, WireIncidentEnvelope, WireIncidents, WireNotes, WireReference, WireSubscription, WireSubscriptions,
    moment,
};

/// How far a list can be paged through: PagerDuty lists no more than 10,000 of anything.
pub const LONGEST_LISTING: u32 = 10_000;

/// Many more subscriptions than the ten that a service, and the account, may have.
const SUBSCRIPTION_PAGES: u32 = 10;

/// An incident as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedIncident {
    /// Where it stands.
    pub state: IncidentState,
    /// Who brought it there.
    pub by: Actor,
    /// The incident that it was merged into, if that is why it is resolved.
    pub merged_into: Option<IncidentId>,
    /// When anything about it was last changed, by PagerDuty's clock.
    pub updated_at: Option<Timestamp>,
}

/// A page of incidents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentPage {
    /// The incidents that could be read.
    pub incidents: Vec<ListedIncident>,
    /// Whether there are more.
    pub more: bool,
}

/// A webhook subscription that posts to one of our doors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// PagerDuty's id of it.
    pub id: String,
    /// Whether it is switched on by whoever owns it.
    pub active: bool,
    /// Whether PagerDuty has switched it off for a while, since too many webhooks were dropped.
    pub temporarily_disabled: bool,
}

impl Client {
    /// A page of the service's open incidents, oldest first.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn list_open_incidents(&self, offset: u32) -> Result<IncidentPage, Failure> {
        let request = self.get(&["incidents"]).query(&[
            ("service_ids[]", self.service_id.as_str()),
            ("statuses[]", "triggered"),
            ("statuses[]", "acknowledged"),
            // Without it, only the last month is listed.
            ("date_range", "all"),
            ("sort_by", "created_at:asc"),
            ("limit", &PAGE_SIZE.to_string()),
            ("offset", &offset.to_string()),
        ]);
        let page: WireIncidents = self.fetch(request).await?;
        let incidents = page.incidents.ok_or_else(unreadable)?;
        Ok(IncidentPage {
            incidents: incidents.into_iter().filter_map(listed).collect(),
            more: page.more == Some(true),
        })
    }

    /// An incident; nothing if there is none of that id.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn look_at_incident(&self, id: &IncidentId) -> Result<Option<ListedIncident>, Failure> {
        match self.fetch::<WireIncidentEnvelope>(self.get(&["incidents", id.as_str()])).await {
            Ok(answer) => answer.incident.and_then(listed).map(Some).ok_or_else(unreadable),
            Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// All notes of an incident, oldest first.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn notes_of(&self, id: &IncidentId) -> Result<Vec<SeenNote>, Failure> {
        let list: WireNotes = self.fetch(self.get(&["incidents", id.as_str(), "notes"])).await?;
        let notes = list.notes.ok_or_else(unreadable)?.into_iter();
        let seen = notes.filter_map(|note| {
            let by = note.user.as_ref().map(WireReference::actor).unwrap_or_default();
            let at = note.created_at.as_deref().and_then(moment);
            Some(SeenNote { id: note.id, by, text: note.content?, at })
        });
        let mut seen: Vec<_> = seen.collect();
        // Nobody could verify their order.
        seen.sort_by_key(|note| note.at);
        Ok(seen)
    }

    /// The webhook subscriptions that post to `door`, the end of an address, about our service.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn subscriptions_to(&self, door: &str) -> Result<Vec<Subscription>, Failure> {
        let mut ours = Vec::new();
        for page in 0..SUBSCRIPTION_PAGES {
            let request = self
                .get(&["webhook_subscriptions"])
                .query(&[("limit", &PAGE_SIZE.to_string()), ("offset", &(page * PAGE_SIZE).to_string())]);
            let page: WireSubscriptions = self.fetch(request).await?;
            let subscriptions = page.webhook_subscriptions.ok_or_else(unreadable)?;
            ours.extend(subscriptions.into_iter().filter_map(|subscription| self.ours(subscription, door)));
            if page.more != Some(true) {
                break;
            }
        }
        Ok(ours)
    }

    fn ours(&self, subscription: WireSubscription, door: &str) -> Option<Subscription> {
        let method = subscription.delivery_method?;
        let address = method.url.as_deref()?.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let of_service = |filter: &WireReference| filter.id.as_deref() == Some(self.service_id.as_str());
        let of_another = subscription.filter.as_ref().is_some_and(|filter| filter.is_service() && !of_service(filter));
        if !address.ends_with(door) || of_another {
            return None;
        }
        Some(Subscription {
            id: subscription.id?,
            active: subscription.active != Some(false),
            temporarily_disabled: method.temporarily_disabled == Some(true),
        })
    }

    /// Switches a webhook subscription on again.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn enable_subscription(&self, id: &str) -> Result<(), Failure> {
        let request = self.request(Method::POST, &["webhook_subscriptions", id, "enable"]);
        self.fetch::<Value>(request).await.map(drop)
    }
}

fn listed(incident: WireIncident) -> Option<ListedIncident> {
    let (by, merged_into, updated_at) = (incident.changed_by(), incident.merged_into(), incident.updated_at());
    Some(ListedIncident { state: incident.state()?, by, merged_into, updated_at })
}
