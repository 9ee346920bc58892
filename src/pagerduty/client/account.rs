//! What is asked about the account beside what delivery needs: how the key stands, who the automation user is, and how the
//! service is set up.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Client, PAGE_SIZE, failure};
use crate::engine::outbox::call::{Failure, Refusal};
use crate::http::{BaseUrl, Greeting, InvalidSetting, MayWrite, unreadable};
use crate::pagerduty::wire::{WireServiceEnvelope, WireUser, WireUserEnvelope, WireUsers};

/// Somebody with a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// PagerDuty's id of them.
    pub id: String,
    /// The name that others see.
    pub name: Option<String>,
    /// Their e-mail address.
    pub email: Option<String>,
    /// What they may do, in PagerDuty's words: `limited_user`, `observer` and so on.
    pub role: Option<String>,
}

/// What is paged about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: Option<String>,
    /// Whether it takes incidents.
    pub status: ServiceStatus,
    /// Whether anybody can be paged by it at all.
    pub has_escalation_policy: bool,
    /// After how long an acknowledged incident is triggered again.
    pub acknowledgement_timeout: Option<Duration>,
    /// After how long an incident resolves itself.
    pub auto_resolve_timeout: Option<Duration>,
}

/// Whether a service takes incidents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceStatus {
    /// It does, as far as is known.
    Enabled,
    /// It does not while it is maintained.
    Maintenance,
    /// It does not.
    Disabled,
}

impl Client {
    /// The same client for another address of the API, such as that of the other region.
    ///
    /// # Errors
    /// If that is no address.
    pub fn elsewhere(&self, base_url: &str) -> Result<Self, InvalidSetting> {
        Ok(Self { base: BaseUrl::parse(base_url)?, ..self.clone() })
    }

    /// Lists the account's abilities: whether PagerDuty lets us in, and what time it is there.
    pub async fn greet(&self) -> Greeting {
        match self.send(self.get(&["abilities"])).await {
            Ok(response) => Greeting { let_in: response.read::<Value>(failure).map(drop), date: response.date },
            Err(failure) => Greeting { let_in: Err(failure), date: None },
        }
    }

    /// The automation user, if the account has a user of that e-mail address.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn user(&self) -> Result<Option<User>, Failure> {
        for page in 0..USER_PAGES {
            let request = self.get(&["users"]).query(&[
                ("query", self.email.as_str()),
                ("limit", &PAGE_SIZE.to_string()),
                ("offset", &(page * PAGE_SIZE).to_string()),
            ]);
            let page: WireUsers = self.fetch(request).await?;
            let users = page.users.ok_or_else(unreadable)?;
            let same = |email: &str| email.trim().to_lowercase() == self.email.to_lowercase();
            let ours = users.into_iter().find(|user| user.email.as_deref().is_some_and(same));
            if let Some(user) = ours.and_then(read_user) {
                return Ok(Some(user));
            }
            if page.more != Some(true) {
                break;
            }
        }
        Ok(None)
    }

    /// Whose the key is; nobody's if it is the account's. PagerDuty then takes the author of a change from its request.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn key_owner(&self) -> Result<Option<User>, Failure> {
        match self.fetch::<WireUserEnvelope>(self.get(&["users", "me"])).await {
            Ok(answer) => answer.user.and_then(read_user).map(Some).ok_or_else(unreadable),
            Err(Failure::Refused { .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Asks for the acknowledgement of an incident that cannot exist, which changes nothing: it tells whether the key may
    /// write, and whether the automation user is one. By PagerDuty's documentation, a key that is read-only is answered 403
    /// to whatever is no GET.
    ///
    /// # Errors
    /// Whatever went wrong with the call, but for a refusal.
    pub async fn may_write(&self) -> Result<MayWrite, Failure> {
        let change = json!({"incident": {"type": "incident_reference", "status": "acknowledged"}});
        match self.fetch::<Value>(self.write(Method::PUT, &["incidents", NO_INCIDENT], &change)).await {
            Ok(_) | Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => Ok(MayWrite::Yes),
            Err(Failure::Unauthorized(reason)) => Ok(MayWrite::NotInThatName(reason)),
            Err(Failure::Refused { reason, .. }) => Ok(MayWrite::No(reason)),
            Err(failure) => Err(failure),
        }
    }

    /// Our service; nothing if there is none of that id.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn service(&self) -> Result<Option<Service>, Failure> {
        let service = match self.fetch::<WireServiceEnvelope>(self.get(&["services", &self.service_id])).await {
            Ok(answer) => answer.service.ok_or_else(unreadable)?,
            Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => return Ok(None),
            Err(failure) => return Err(failure),
        };
        // Nought and null both mean that it is off.
        let timeout = |seconds: Option<u64>| seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        Ok(Some(Service {
            name: service.name.or(service.summary),
            status: match service.status.as_deref() {
                Some("maintenance") => ServiceStatus::Maintenance,
                Some("disabled") => ServiceStatus::Disabled,
                // Active, warning and critical tell what incidents it has.
                _ => ServiceStatus::Enabled,
            },
            has_escalation_policy: service.escalation_policy.is_some_and(|policy| policy.id.is_some()),
            acknowledgement_timeout: timeout(service.acknowledgement_timeout),
            auto_resolve_timeout: timeout(service.auto_resolve_timeout),
        }))
    }

    /// The names of the account's priorities, in lower case; none if its plan has no priorities.
    ///
    /// # Errors
    /// Whatever went wrong with the call, but for a refusal.
    pub async fn priorities(&self) -> Result<Vec<String>, Failure> {
        match self.list_priorities().await {
            Ok(priorities) => Ok(priorities.into_iter().map(|(name, _)| name).collect()),
            Err(Failure::Refused { .. }) => Ok(Vec::new()),
            Err(failure) => Err(failure),
        }
    }
}

fn read_user(user: WireUser) -> Option<User> {
    Some(User { id: user.id?, name: user.name.or(user.summary), email: user.email, role: user.role })
}

/// No id of PagerDuty's has a hyphen in it.
const NO_INCIDENT: &str = "crosspage-check";

/// PagerDuty lists no more than 10,000 of anything.
const USER_PAGES: u32 = 100;
