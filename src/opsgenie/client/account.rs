//! What is asked and done beside what delivery does: how the key stands, how many alerts there are, and a test alert.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, WireEnvelope};
use crate::engine::AlertId;
use crate::engine::outbox::call::{Failure, Refusal};
use crate::http::{BaseUrl, Greeting, InvalidSetting, MayWrite, lenient, printable, unreadable};
use crate::opsgenie::filled;

/// An alert to be created, as small as it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAlert {
    /// What it is about, at most 130 characters.
    pub message: String,
    /// Our own name for it, at most 512 characters. There is at most one open alert of that name.
    pub alias: String,
    /// More about it.
    pub description: String,
    /// At most 20, of 50 characters each.
    pub tags: Vec<String>,
    /// `P1` to `P5`.
    pub priority: String,
    /// Who creates it, at most 100 characters; also its source.
    pub user: String,
}

impl Client {
    /// The same client for another address of the API, such as that of the other region.
    ///
    /// # Errors
    /// If that is no address.
    pub fn elsewhere(&self, base_url: &str) -> Result<Self, InvalidSetting> {
        Ok(Self { base: BaseUrl::parse(base_url)?, ..self.clone() })
    }

    /// Counts alerts: whether Opsgenie lets us in, and what time it is there.
    pub async fn greet(&self) -> Greeting {
        match self.send(self.request(Method::GET, &["v2", "alerts", "count"])).await {
            Ok(answered) => Greeting { let_in: answered.read::<Value>().map(drop), date: answered.0.date },
            Err(failure) => Greeting { let_in: Err(failure), date: None },
        }
    }

    /// How many alerts `query` selects.
    ///
    /// # Errors
    /// Whatever went wrong with the call. A query that Opsgenie does not understand is refused as invalid.
    pub async fn count_alerts(&self, query: &str) -> Result<u64, Failure> {
        let request = self.request(Method::GET, &["v2", "alerts", "count"]).query(&[("query", query)]);
        let counted: WireCount = self.send(request).await?.read::<WireEnvelope<_>>()?.data.ok_or_else(unreadable)?;
        counted.count.ok_or_else(unreadable)
    }

    /// Asks for the acknowledgement of an alert that cannot exist, which changes nothing: it tells whether the key may write.
    /// Keys from the account's settings are refused for acknowledging, closing, creating and adding notes, with words that
    /// users have reported: "use an API key from an API integration".
    ///
    /// # Errors
    /// Whatever went wrong with the call, but for a refusal.
    pub async fn may_write(&self) -> Result<MayWrite, Failure> {
        let path = ["v2", "alerts", NO_ALERT, "acknowledge"];
        let body = json!({"user": self.user, "source": self.user});
        let request = self.request(Method::POST, &path).query(&[("identifierType", "id")]).json(&body);
        match self.send(request).await?.read::<Value>() {
            Ok(_) | Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => Ok(MayWrite::Yes),
            Err(Failure::Refused { reason, .. }) if reason.to_lowercase().contains("api integration") => {
                Ok(MayWrite::NotOfAnIntegration)
            }
            Err(Failure::Refused { reason, .. }) => Ok(MayWrite::No(reason)),
            Err(failure) => Err(failure),
        }
    }

    /// Asks for an alert to be created, and says under which name Opsgenie does so.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn create_alert(&self, alert: &NewAlert) -> Result<String, Failure> {
        let body = json!({
            "message": alert.message,
            "alias": alert.alias,
            "description": alert.description,
            "tags": alert.tags,
            "priority": alert.priority,
            "user": alert.user,
            "source": alert.user,
        });
        let answered = self.send(self.request(Method::POST, &["v2", "alerts"]).json(&body)).await?;
        filled(answered.read::<WireEnvelope<Value>>()?.request_id).ok_or_else(unreadable)
    }

    /// The id of the alert that a request was to create; nothing while Opsgenie has not come to it.
    ///
    /// # Errors
    /// Whatever went wrong with the call; a request that failed is refused, with what Opsgenie says of it.
    pub async fn created_alert(&self, request_id: &str) -> Result<Option<AlertId>, Failure> {
        let answered = self.send(self.request(Method::GET, &["v2", "alerts", "requests", request_id])).await?;
        if answered.0.status == 404 {
            return Ok(None);
        }
        let request: WireCreated = answered.read::<WireEnvelope<_>>()?.data.ok_or_else(unreadable)?;
        if request.is_success.or(request.success) != Some(true) {
            let said = filled(request.status).unwrap_or_else(|| "no reason given".to_owned());
            return Err(Failure::Refused { meaning: Refusal::Other, reason: printable(&said, super::STATUS_LIMIT) });
        }
        let id = request.alert_id.ok_or_else(unreadable)?;
        AlertId::try_from(id).map(Some).map_err(|_| unreadable())
    }

    /// Asks for the open alert of that alias to be closed in the name of `user`, which is not our own: whoever mirrors alerts
    /// is to take it for somebody's doing.
    ///
    /// # Errors
    /// Whatever went wrong with the call. Opsgenie takes it also where there is no such alert.
    pub async fn close_alert_as(&self, user: &str, alias: &str) -> Result<(), Failure> {
        let request =
            self.request(Method::POST, &["v2", "alerts", alias, "close"]).query(&[("identifierType", "alias")]);
        self.send(request.json(&json!({"user": user, "source": user}))).await?.read::<Value>().map(drop)
    }
}

/// An id in the form of Opsgenie's, of a moment long before there was Opsgenie.
const NO_ALERT: &str = "00000000-0000-4000-8000-000000000000-1000000000000";

#[derive(Deserialize)]
struct WireCount {
    #[serde(default, deserialize_with = "lenient")]
    count: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCreated {
    #[serde(default, deserialize_with = "lenient")]
    success: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    is_success: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    alert_id: Option<String>,
}
