//! What a running crosspage says of itself, by the operator's API.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;

use super::here::free;
use super::{Finding, Running};
use crate::config::Config;
use crate::engine::{AlertId, System};
use crate::http::{self, BaseUrl, Client, HttpSettings};
use crate::operator::status::StatusView;
use crate::operator::story::{Heard, Story};

const CHECK: &str = "operator";

/// Asks the operator's API of the crosspage that has this configuration.
pub(super) struct Operator {
    client: Client,
    base: BaseUrl,
    token: Option<HeaderValue>,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// Nothing there answers as crosspage does.
    Nobody,
    /// The token is missing or wrong.
    WrongToken,
    /// It has another answer.
    Refused(u16),
}

impl Operator {
    pub(super) fn of(config: &Config) -> Option<Self> {
        let listen = config.admin.listen;
        let address = http::reachable(listen);
        let token = config.admin.token.as_ref().map(|token| http::key_header("Bearer ", token)).transpose().ok()?;
        Some(Self {
            client: Client::without_proxy(&HttpSettings::default()).ok()?,
            base: BaseUrl::parse(&format!("http://{address}")).ok().filter(|_| listen.port() != 0)?,
            token,
        })
    }

    /// Whether PagerDuty has told anything of the alert's incident by a webhook, which it does in a moment after it is made.
    pub(super) async fn has_heard_of(&self, alert: &AlertId) -> Result<bool, NoAnswer> {
        let request = self.get(&["api", "v1", "explain"]).query(&[("id", alert.as_str())]);
        let story: Story = self.ask(request).await?;
        let by_webhook = |heard: Heard, side| heard == Heard::Webhook && side == Some(System::PagerDuty);
        Ok(story.chapters.iter().any(|chapter| by_webhook(chapter.heard, chapter.side)))
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        let request = self.client.request(Method::GET, self.base.at(path));
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, NoAnswer> {
        let response = self.client.send(request).await.map_err(|_| NoAnswer::Nobody)?;
        match response.status {
            200 => serde_json::from_slice(&response.body).map_err(|_| NoAnswer::Nobody),
            401 => Err(NoAnswer::WrongToken),
            status => Err(NoAnswer::Refused(status)),
        }
    }
}

/// Whether the operator's listener can be asked, and what it tells; or whether there can be one.
pub(super) async fn check(config: &Config, running: Running) -> Finding {
    const KEY: &str = "ADMIN_ADDR";
    let listen = config.admin.listen;
    if running == Running::No {
        return free(listen, CHECK, KEY);
    }
    let Some(operator) = Operator::of(config) else {
        let found = "the port is left to the system, so nobody knows where to ask";
        return Finding::warning(CHECK, found).key(KEY).way_out("name a port");
    };
    match operator.ask::<StatusView>(operator.get(&["api", "v1", "status"])).await {
        Ok(status) => told(&status),
        Err(NoAnswer::WrongToken) => {
            let found = format!("crosspage runs, and its operator's listener at {listen} does not take the token");
            Finding::failed(CHECK, found)
                .key("ADMIN_TOKEN")
                .way_out("give the same token that the running crosspage has")
        }
        Err(NoAnswer::Nobody | NoAnswer::Refused(_)) => {
            let found = format!("crosspage runs, and no operator's listener of its answers at {listen}");
            Finding::warning(CHECK, found).key(KEY).way_out("run this with the same settings as that crosspage has")
        }
    }
}

fn told(status: &StatusView) -> Finding {
    let stopped = [("Opsgenie", &status.opsgenie), ("PagerDuty", &status.pagerduty)];
    let stopped =
        stopped.into_iter().filter_map(|(name, vendor)| Some(format!("{name}: {}", vendor.stopped.as_ref()?)));
    let stopped: Vec<String> = stopped.collect();
    if !stopped.is_empty() {
        let found = format!("crosspage runs, and makes no calls to {}", stopped.join("; "));
        return Finding::warning(CHECK, found).way_out("see what is said of that vendor above");
    }
    if status.dead_letters + status.quarantined > 0 {
        let found = format!(
            "crosspage runs; {} commands were given up, and {} webhooks could not be read",
            status.dead_letters, status.quarantined
        );
        return Finding::warning(CHECK, found).way_out("crosspage dead-letters list, crosspage quarantine list");
    }
    Finding::ok(CHECK, format!("crosspage {} runs, and nothing was given up", status.version))
}
