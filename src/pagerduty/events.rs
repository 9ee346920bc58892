//! PagerDuty's Events API v2, by which an emergency is told: another address, another key and another rate limit than the REST
//! API's, so that it works when that one does not.

use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::engine::outbox::call::{Failure, Refusal};
use crate::http::{self, BaseUrl, HttpSettings, InvalidSetting, Response, lenient, printable};

/// By the Events API's documentation.
const SUMMARY_CHARS: usize = 1_024;

/// What the client needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API is, such as `https://events.pagerduty.com`.
    pub base_url: String,
    /// The key of an Events API v2 integration; whoever is on call for its service is told.
    pub routing_key: SecretString,
}

/// The client.
#[derive(Clone, Debug)]
pub struct Events {
    http: http::Client,
    url: Url,
    routing_key: SecretString,
}

impl Events {
    /// A client with connections of its own.
    pub fn new(settings: Settings, http: &HttpSettings) -> Result<Self, InvalidSetting> {
        Ok(Self {
            http: http::Client::new(http)?.hiding(&settings.routing_key),
            url: BaseUrl::parse(&settings.base_url)?.at(&["v2", "enqueue"]),
            routing_key: settings.routing_key,
        })
    }

    /// Opens an alert under `dedup_key`, at most 255 characters. A repeat adds to the open one and pages nobody anew.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn trigger(&self, dedup_key: &str, summary: &str, details: &Value) -> Result<(), Failure> {
        let payload = json!({
            "summary": printable(summary, SUMMARY_CHARS),
            "source": "crosspage",
            "severity": "critical",
            "custom_details": details,
        });
        let event =
            json!({"event_action": "trigger", "dedup_key": dedup_key, "payload": payload, "client": "crosspage"});
        self.enqueue(event).await
    }

    /// Resolves the alert under `dedup_key`, if there is an open one.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn resolve(&self, dedup_key: &str) -> Result<(), Failure> {
        self.enqueue(json!({"event_action": "resolve", "dedup_key": dedup_key})).await
    }

    async fn enqueue(&self, mut event: Value) -> Result<(), Failure> {
        event["routing_key"] = self.routing_key.expose_secret().trim().into();
        let response = self.http.send(self.http.request(Method::POST, self.url.clone()).json(&event)).await?;
        // The answer says no more than its status.
        if (200..300).contains(&response.status) { Ok(()) } else { Err(failure(&response)) }
    }
}

#[derive(Default, Deserialize)]
struct WireError {
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    errors: Option<Vec<String>>,
}

/// What a response says that is no success.
fn failure(response: &Response) -> Failure {
    let error: WireError = serde_json::from_slice(&response.body).unwrap_or_default();
    let said: Vec<String> = error.message.into_iter().chain(error.errors.unwrap_or_default()).collect();
    let reason = response.reason(&said.join(": "));
    response.plain_failure(&reason).unwrap_or(Failure::Refused { meaning: Refusal::Other, reason })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::stub::{Reply, Stub};

    const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

    fn events(url: &str) -> Events {
        let settings = Settings { base_url: url.to_owned(), routing_key: ROUTING_KEY.into() };
        Events::new(settings, &HttpSettings::default()).unwrap()
    }

    #[tokio::test]
    async fn an_alert_is_opened_and_resolved_under_its_key() {
        let done = || Reply::json(202, &json!({"status": "success"}));
        let stub = Stub::start(vec![done(), done()]);
        let events = events(&stub.url);
        events.trigger("the key", &"x".repeat(2_000), &json!({"late": 3})).await.unwrap();
        events.resolve("the key").await.unwrap();
        assert_eq!(stub.lines(), ["POST /v2/enqueue"; 2]);
        let [trigger, resolve] = [0, 1].map(|number: usize| stub.seen()[number].json());
        assert_eq!(trigger["payload"]["summary"].as_str().unwrap().chars().count(), SUMMARY_CHARS);
        assert_eq!(trigger["payload"]["custom_details"]["late"], 3);
        assert_eq!((&trigger["event_action"], &trigger["dedup_key"]), (&json!("trigger"), &json!("the key")));
        assert_eq!(resolve, json!({"routing_key": ROUTING_KEY, "event_action": "resolve", "dedup_key": "the key"}));
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_without_the_key() {
        let refused =
            json!({"status": "invalid event", "message": "bad", "errors": [format!("no such {ROUTING_KEY}")]});
        let rows = [
            (Reply::json(400, &refused), "400 bad: no such [key]"),
            (Reply::json(429, &Value::Null), "429"),
            (Reply::json(500, &Value::Null), "500"),
            (Reply::with_headers(302, &[("location", "http://elsewhere")], &Value::Null), "302"),
        ];
        for (reply, reason) in rows {
            let stub = Stub::start(vec![reply]);
            let failure = events(&stub.url).resolve("the key").await.unwrap_err();
            assert_eq!(failure.into_reason(), reason);
        }
        let throttled = Reply::with_headers(429, &[("retry-after", "7")], &Value::Null);
        let failure = events(&Stub::start(vec![throttled]).url).resolve("the key").await.unwrap_err();
        assert!(matches!(failure, Failure::TryAgain { hold: Some(hold), .. } if hold == Duration::from_secs(7)));
    }
}
