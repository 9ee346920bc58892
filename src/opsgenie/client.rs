//! Opsgenie's alert API v2, as far as it is needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Method, RequestBuilder};
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{WireFacts, filled, moment};
use crate::engine::outbox::FetchedAlert;
use crate::engine::outbox::call::{Answer, Failure, OpsgenieCall, Refusal, RequestState, SeenNote};
use crate::engine::{AlertFacts, AlertId, Status};
use crate::http::{self, BaseUrl, HttpSettings, InvalidSetting, Response, lenient, printable, unreadable};

mod account;
mod listing;
#[cfg(test)]
mod tests;

pub use account::NewAlert;
pub use listing::{AlertPage, LONGEST_LISTING, ListedAlert};

/// What the client needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API is, such as `https://api.opsgenie.com`.
    pub base_url: String,
    /// The key of an API integration; those of the account's settings may not write.
    pub key: SecretString,
    /// The name under which everything is written, by which our own changes are known when they come back.
    pub user: String,
}

/// The client. Clones share connections.
#[derive(Clone)]
pub struct Client {
    http: http::Client,
    base: BaseUrl,
    key: HeaderValue,
    user: String,
    made: Arc<AtomicU64>,
}

impl Client {
    /// A client with connections of its own.
    pub fn new(settings: Settings, http: &HttpSettings) -> Result<Self, InvalidSetting> {
        Self::over(http::Client::new(http)?, settings)
    }

    /// A client over another one's connections.
    pub fn over(http: http::Client, settings: Settings) -> Result<Self, InvalidSetting> {
        Ok(Self {
            http: http.hiding(&settings.key),
            base: BaseUrl::parse(&settings.base_url)?,
            key: http::key_header("GenieKey ", &settings.key)?,
            user: settings.user,
            made: Arc::default(),
        })
    }

    /// How many requests this client and its clones have made so far, for whoever keeps to the rate limit.
    pub fn requests_made(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.made)
    }

    /// Makes a call. Whatever goes wrong is an answer too.
    pub async fn perform(&self, call: &OpsgenieCall) -> Answer {
        let answer = match call {
            OpsgenieCall::ReadAlert(id) => self.read_alert(id).await,
            OpsgenieCall::ListNotes(id) => self.list_notes(id).await,
            OpsgenieCall::ReadRequest(id) => self.read_request(id).await,
            OpsgenieCall::SetStatus(id, Status::Open) => self.act(id, "unacknowledge", json!({})).await,
            OpsgenieCall::SetStatus(id, Status::Acknowledged) => self.act(id, "acknowledge", json!({})).await,
            OpsgenieCall::SetStatus(id, Status::Resolved) => self.act(id, "close", json!({})).await,
            OpsgenieCall::AddNote(id, text) => self.act(id, "notes", json!({"note": text})).await,
        };
        answer.unwrap_or_else(Answer::Failed)
    }

    /// A cheap authenticated read: whether Opsgenie lets us in.
    pub async fn probe(&self) -> Result<(), Failure> {
        self.greet().await.let_in
    }

    async fn read_alert(&self, id: &AlertId) -> Result<Answer, Failure> {
        let response = self.send(self.alert(Method::GET, id, &[])).await?;
        let data: Value = response.read::<WireEnvelope<Value>>()?.data.ok_or_else(unreadable)?;
        fetched(&data).map(Answer::Alert).ok_or_else(unreadable)
    }

    async fn list_notes(&self, id: &AlertId) -> Result<Answer, Failure> {
        let notes = self.all_notes(id).await?.into_iter();
        Ok(Answer::Notes(notes.filter_map(|note| Some(SeenNote { id: None, text: note.note? })).collect()))
    }

    /// All notes of an alert, newest first.
    async fn all_notes(&self, id: &AlertId) -> Result<Vec<WireNote>, Failure> {
        let mut notes = Vec::new();
        let mut offset: Option<String> = None;
        for _ in 0..NOTE_PAGES {
            let mut request = self.alert(Method::GET, id, &["notes"]).query(&[("limit", "100"), ("direction", "next")]);
            if let Some(offset) = &offset {
                request = request.query(&[("offset", offset)]);
            }
            let page: WireEnvelope<Vec<WireNote>> = self.send(request).await?.read()?;
            let data = page.data.ok_or_else(unreadable)?;
            if data.is_empty() {
                break;
            }
            notes.extend(data);
            // The vendor's link is not followed, since the key would follow it too: only its offset is taken.
            let next = page.paging.and_then(|paging| paging.next);
            let next = next.and_then(|link| self.base.parameter(&link, "offset"));
            if next.is_none() || next == offset {
                break;
            }
            offset = next;
        }
        Ok(notes)
    }

    async fn read_request(&self, id: &str) -> Result<Answer, Failure> {
        let response = self.send(self.request(Method::GET, &["v2", "alerts", "requests", id])).await?;
        if response.0.status == 404 {
            return Ok(Answer::Request(RequestState::NotYet));
        }
        let request: WireRequest = response.read::<WireEnvelope<_>>()?.data.ok_or_else(unreadable)?;
        let state = if request.is_success.or(request.success).ok_or_else(unreadable)? {
            RequestState::Done { at: moment(&request.processed_at) }
        } else {
            let said = filled(request.status).unwrap_or_else(|| "no reason given".to_owned());
            RequestState::Failed(printable(&said, STATUS_LIMIT))
        };
        Ok(Answer::Request(state))
    }

    /// Asks for something to be done to an alert, which Opsgenie does later.
    async fn act(&self, id: &AlertId, action: &str, mut body: Value) -> Result<Answer, Failure> {
        body["user"] = self.user.as_str().into();
        body["source"] = self.user.as_str().into();
        let response = self.send(self.alert(Method::POST, id, &[action]).json(&body)).await?;
        let request_id = filled(response.read::<WireEnvelope<Value>>()?.request_id).ok_or_else(unreadable)?;
        Ok(Answer::Accepted { request_id })
    }

    fn alert(&self, method: Method, id: &AlertId, below: &[&str]) -> RequestBuilder {
        let path = [&["v2", "alerts", id.as_str()], below].concat();
        self.request(method, &path).query(&[("identifierType", "id")])
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.http.request(method, self.base.at(path)).header(AUTHORIZATION, self.key.clone())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answered, Failure> {
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(Answered(self.http.send(request).await?))
    }
}

/// An alert as the API shows it, if it says where it stands.
fn fetched(data: &Value) -> Option<FetchedAlert> {
    let facts = WireFacts::deserialize(data).ok()?;
    let state = WireState::deserialize(data).ok()?;
    let status = match state.status? {
        closed if closed.eq_ignore_ascii_case("closed") => Status::Resolved,
        _ if state.acknowledged == Some(true) => Status::Acknowledged,
        _ => Status::Open,
    };
    // Integrations and the system are named there too, but only people by an address.
    let by = state.report.and_then(|report| filled(report.acknowledged_by)).filter(|by| by.contains('@'));
    let by = by.filter(|_| status == Status::Acknowledged);
    Some(FetchedAlert { facts: AlertFacts::from(facts), status, at: moment(&state.updated_at), by })
}

/// A response of any status.
struct Answered(Response);

impl Answered {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.0.read(failure)
    }
}

/// What a response says that is no success.
fn failure(response: &Response) -> Failure {
    let text = serde_json::from_slice::<WireError>(&response.body).unwrap_or_default().text();
    let reason = response.reason(&text);
    if let Some(failure) = response.plain_failure(&reason) {
        return failure;
    }
    let meaning = match response.status {
        422 if text.to_lowercase().contains("key format is not valid") => return Failure::Unauthorized(reason),
        404 => Refusal::NotFound,
        400 | 422 => Refusal::Invalid,
        _ => Refusal::Other,
    };
    Failure::Refused { meaning, reason }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: DeserializeOwned")]
struct WireEnvelope<T> {
    #[serde(default, deserialize_with = "lenient")]
    data: Option<T>,
    #[serde(default, deserialize_with = "lenient")]
    request_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    paging: Option<WirePaging>,
}

#[derive(Deserialize)]
struct WirePaging {
    #[serde(default, deserialize_with = "lenient")]
    next: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireState {
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    acknowledged: Option<bool>,
    #[serde(default)]
    updated_at: Value,
    #[serde(default, deserialize_with = "lenient")]
    report: Option<WireReport>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireReport {
    #[serde(default, deserialize_with = "lenient")]
    acknowledged_by: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireNote {
    #[serde(default, deserialize_with = "lenient")]
    note: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    owner: Option<String>,
    #[serde(default)]
    created_at: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest {
    #[serde(default, deserialize_with = "lenient")]
    success: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    is_success: Option<bool>,
    #[serde(default, deserialize_with = "lenient")]
    status: Option<String>,
    #[serde(default)]
    processed_at: Value,
}

/// What an error says. Its `errors` are a map, or a list of objects with a title.
#[derive(Default, Deserialize)]
struct WireError {
    #[serde(default, deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(default)]
    errors: Value,
}

impl WireError {
    fn text(&self) -> String {
        let first = match &self.errors {
            Value::Object(errors) => errors.values().find_map(Value::as_str),
            Value::Array(errors) => {
                errors.iter().find_map(|error| error.as_str().or_else(|| error.get("title")?.as_str()))
            }
            _ => None,
        };
        [self.message.as_deref(), first].into_iter().flatten().collect::<Vec<_>>().join(": ")
    }
}

const STATUS_LIMIT: usize = 300;
/// 3,000 notes of one alert; the newest come first.
const NOTE_PAGES: usize = 30;
