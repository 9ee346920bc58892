//! PagerDuty's REST API v2, as far as it is needed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, FROM, HeaderValue};
use reqwest::{Method, RequestBuilder};
use secrecy::SecretString;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::wire::{
    WireError, WireIncident, WireIncidentEnvelope, WireIncidents, WireNoteEnvelope, WireNotes, WirePriorities,
};
use crate::engine::outbox::call::{Answer, Failure, PagerDutyCall, Refusal, SeenNote};
use crate::engine::outbox::{NewIncident, Urgency};
use crate::engine::{IncidentId, Priority, Status};
use crate::http::{self, BaseUrl, HttpSettings, InvalidSetting, Response, unreadable};

mod account;
mod listing;
mod subscriptions;
#[cfg(test)]
mod tests;

pub use account::{Service, ServiceStatus, User};
pub use listing::{IncidentPage, LONGEST_LISTING, ListedIncident};
pub use subscriptions::{DOOR, NewSubscription, Scope, Subscription};

/// What the client needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the API is, such as `https://api.pagerduty.com`.
    pub base_url: String,
    /// The REST API key.
    pub key: SecretString,
    /// The e-mail address of the automation user, in whose name everything is written.
    pub email: String,
    /// The service whose incidents are kept in step.
    pub service_id: String,
}

/// The client. Clones share connections and what is known of the account.
#[derive(Clone)]
pub struct Client {
    http: http::Client,
    base: BaseUrl,
    key: HeaderValue,
    from: HeaderValue,
    email: String,
    service_id: String,
    priorities: Arc<Mutex<Option<Priorities>>>,
    made: Arc<AtomicU64>,
}

/// The account's priorities: their ids by their names in lower case.
struct Priorities {
    ids: HashMap<String, String>,
    until: Instant,
}

impl Client {
    /// A client with connections of its own.
    pub fn new(settings: Settings, http: &HttpSettings) -> Result<Self, InvalidSetting> {
        Self::over(http::Client::new(http)?, settings)
    }

    /// A client over another one's connections.
    pub fn over(http: http::Client, settings: Settings) -> Result<Self, InvalidSetting> {
        let email = settings.email.trim().to_owned();
        if email.is_empty() {
            return Err(InvalidSetting::Email);
        }
        Ok(Self {
            http: http.hiding(&settings.key),
            base: BaseUrl::parse(&settings.base_url)?,
            key: http::key_header("Token token=", &settings.key)?,
            from: HeaderValue::from_str(&email).map_err(|_| InvalidSetting::Email)?,
            email,
            service_id: settings.service_id,
            priorities: Arc::new(Mutex::new(None)),
            made: Arc::default(),
        })
    }

    /// How many requests this client and its clones have made so far, for whoever keeps to the rate limit.
    pub fn requests_made(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.made)
    }

    /// Makes a call. Whatever goes wrong is an answer too.
    pub async fn perform(&self, call: &PagerDutyCall) -> Answer {
        let answer = match call {
            PagerDutyCall::FindIncident(key) => self.find_incident(key).await,
            PagerDutyCall::ReadIncident(id) => self.incident(self.get(&["incidents", id.as_str()])).await,
            PagerDutyCall::ListNotes(id, merged) => self.list_notes(id, merged).await,
            PagerDutyCall::Create(key, incident) => self.create(key, incident).await,
            PagerDutyCall::SetStatus(id, status) => self.set_status(id, *status).await,
            PagerDutyCall::SetPriority(id, priority, urgency) => self.set_priority(id, *priority, *urgency).await,
            PagerDutyCall::AddNote(id, text) => self.add_note(id, text).await,
        };
        answer.unwrap_or_else(Answer::Failed)
    }

    /// PagerDuty's id of the automation user, if the account has a user of that e-mail address.
    pub async fn user_id(&self) -> Result<Option<String>, Failure> {
        Ok(self.user().await?.map(|user| user.id))
    }

    /// A cheap authenticated read: whether PagerDuty lets us in.
    pub async fn probe(&self) -> Result<(), Failure> {
        self.greet().await.let_in
    }

    async fn find_incident(&self, key: &str) -> Result<Answer, Failure> {
        let mut newest = None;
        for page in 0..INCIDENT_PAGES {
            let request = self.get(&["incidents"]).query(&[
                ("incident_key", key),
                ("service_ids[]", &self.service_id),
                ("statuses[]", "triggered"),
                ("statuses[]", "acknowledged"),
                ("statuses[]", "resolved"),
                // Without it, only the last month is looked through.
                ("date_range", "all"),
                ("sort_by", "created_at:desc"),
                ("limit", &PAGE_SIZE.to_string()),
                ("offset", &(page * PAGE_SIZE).to_string()),
            ]);
            let page: WireIncidents = self.fetch(request).await?;
            for incident in page.incidents.ok_or_else(unreadable)? {
                if !incident.is_under(key, &self.service_id) {
                    continue;
                }
                let created_at = incident.created_at();
                let state = incident.state().ok_or_else(unreadable)?;
                if state.status != Status::Resolved {
                    return Ok(Answer::Found(Some(state)));
                }
                if newest.as_ref().is_none_or(|(at, _)| created_at > *at) {
                    newest = Some((created_at, state));
                }
            }
            if page.more != Some(true) {
                return Ok(Answer::Found(newest.map(|(_, state)| state)));
            }
        }
        let state = newest.map(|(_, state)| state);
        let too_many = || Failure::Unclear { reason: "too many incidents".to_owned(), hold: None };
        state.map(|state| Answer::Found(Some(state))).ok_or_else(too_many)
    }

    async fn list_notes(&self, id: &IncidentId, merged: &[IncidentId]) -> Result<Answer, Failure> {
        let mut notes = self.notes_on(id).await?;
        for id in merged {
            match self.notes_on(id).await {
                Ok(further) => notes.extend(further),
                // What is gone has none.
                Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(Answer::Notes(notes))
    }

    async fn notes_on(&self, id: &IncidentId) -> Result<Vec<SeenNote>, Failure> {
        let list: WireNotes = self.fetch(self.get(&["incidents", id.as_str(), "notes"])).await?;
        let notes = list.notes.ok_or_else(unreadable)?.into_iter();
        Ok(notes.filter_map(|note| Some(SeenNote { id: note.id, text: note.content? })).collect())
    }

    async fn create(&self, key: &str, incident: &NewIncident) -> Result<Answer, Failure> {
        let mut body = json!({
            "type": "incident",
            "title": incident.title,
            "service": {"id": self.service_id, "type": "service_reference"},
            "incident_key": key,
        });
        if !incident.bare {
            if !incident.details.is_empty() {
                body["body"] = json!({"type": "incident_body", "details": incident.details});
            }
            if let Some(urgency) = incident.urgency {
                body["urgency"] = urgency_name(urgency).into();
            }
            // A page does not wait for its priority: what cannot be looked up is left out.
            let id = match incident.priority {
                Some(priority) => self.priority_id(priority).await.unwrap_or(None),
                None => None,
            };
            if let Some(id) = id {
                body["priority"] = priority_reference(&id);
            }
        }
        self.incident(self.write(Method::POST, &["incidents"], &json!({"incident": body}))).await
    }

    async fn set_status(&self, id: &IncidentId, status: Status) -> Result<Answer, Failure> {
        let change = match status {
            Status::Acknowledged => json!({"type": "incident_reference", "status": "acknowledged"}),
            Status::Resolved => json!({"type": "incident_reference", "status": "resolved"}),
            // There is no un-acknowledging as such; escalating does it. Incidents do not tell the level they are at.
            Status::Open => json!({"type": "incident", "escalation_level": 1}),
        };
        self.change(id, change).await
    }

    async fn set_priority(
        &self,
        id: &IncidentId,
        priority: Priority,
        urgency: Option<Urgency>,
    ) -> Result<Answer, Failure> {
        let mut change = json!({"type": "incident_reference"});
        if let Some(urgency) = urgency {
            change["urgency"] = urgency_name(urgency).into();
        }
        match self.priority_id(priority).await.map_err(of_look_up)? {
            Some(id) => change["priority"] = priority_reference(&id),
            None if urgency.is_none() => return Ok(Answer::Unsupported),
            None => {}
        }
        match self.change(id, change).await {
            Err(Failure::Refused { .. }) => Ok(Answer::Unsupported),
            answer => answer,
        }
    }

    async fn add_note(&self, id: &IncidentId, text: &str) -> Result<Answer, Failure> {
        let body = json!({"note": {"content": text}});
        let request = self.write(Method::POST, &["incidents", id.as_str(), "notes"], &body);
        let note = self.fetch::<WireNoteEnvelope>(request).await?.note.ok_or_else(unreadable)?;
        Ok(Answer::Note { id: note.id, author: note.user.and_then(|user| user.id) })
    }

    async fn change(&self, id: &IncidentId, change: Value) -> Result<Answer, Failure> {
        self.incident(self.write(Method::PUT, &["incidents", id.as_str()], &json!({"incident": change}))).await
    }

    /// Makes a call that is answered with the incident.
    async fn incident(&self, request: RequestBuilder) -> Result<Answer, Failure> {
        let answer: WireIncidentEnvelope = self.fetch(request).await?;
        answer.incident.and_then(WireIncident::state).map(Answer::Incident).ok_or_else(unreadable)
    }

    /// The id of the account's priority of that name. Accounts without priorities refuse the question.
    async fn priority_id(&self, priority: Priority) -> Result<Option<String>, Failure> {
        let name = priority.name().to_lowercase();
        let now = Instant::now();
        if let Some(known) = &*self.priorities.lock().unwrap_or_else(PoisonError::into_inner)
            && now < known.until
        {
            return Ok(known.ids.get(&name).cloned());
        }
        let ids: HashMap<_, _> = match self.list_priorities().await {
            Ok(priorities) => priorities.into_iter().collect(),
            Err(Failure::Refused { .. }) => HashMap::new(),
            Err(failure) => return Err(failure),
        };
        let id = ids.get(&name).cloned();
        let known = Priorities { ids, until: now + PRIORITIES_KEPT };
        *self.priorities.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(id)
    }

    /// The account's priorities: their names in lower case, and their ids.
    async fn list_priorities(&self) -> Result<Vec<(String, String)>, Failure> {
        let list: WirePriorities = self.fetch(self.get(&["priorities"]).query(&[("limit", PAGE_SIZE)])).await?;
        Ok(list.priorities.ok_or_else(unreadable)?.into_iter().filter_map(|priority| priority.entry()).collect())
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    fn write(&self, method: Method, path: &[&str], body: &Value) -> RequestBuilder {
        self.request(method, path).header(FROM, self.from.clone()).json(body)
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let request = self.http.request(method, self.base.at(path));
        request.header(AUTHORIZATION, self.key.clone()).header(ACCEPT, "application/vnd.pagerduty+json;version=2")
    }

    async fn fetch<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        self.send(request).await?.read(failure)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        self.made.fetch_add(1, Ordering::Relaxed);
        Ok(self.http.send(request).await?)
    }
}

fn urgency_name(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::High => "high",
        Urgency::Low => "low",
    }
}

fn priority_reference(id: &str) -> Value {
    json!({"id": id, "type": "priority_reference"})
}

/// What a response says that is no success.
fn failure(response: &Response) -> Failure {
    let error = WireError::read(&response.body);
    let text = error.text();
    let reason = response.reason(&error.code.map_or_else(|| text.clone(), |code| format!("{code} {text}")));
    if let Some(failure) = response.plain_failure(&reason) {
        return failure;
    }
    let text = text.to_lowercase();
    let bad_author = match error.code {
        Some(1008) => true,
        // The same code also stands for a request that took too long.
        Some(2016) => text.contains("from") && text.contains("header"),
        _ => false,
    };
    let meaning = match (response.status, error.code) {
        (400, _) if bad_author => return Failure::Unauthorized(reason),
        (400, Some(2002)) if text.contains("matching dedup key already exists") => Refusal::DuplicateKey,
        (_, Some(1001)) => Refusal::AlreadyResolved,
        (_, Some(1002)) => Refusal::AlreadyAcknowledged,
        _ if text.contains("already resolved") => Refusal::AlreadyResolved,
        _ if text.contains("already acknowledged") => Refusal::AlreadyAcknowledged,
        (404, _) => Refusal::NotFound,
        (400, _) => Refusal::Invalid,
        _ => Refusal::Other,
    };
    Failure::Refused { meaning, reason }
}

/// A failed look-up ahead of a write: nothing was written, and a look-up pauses nobody.
fn of_look_up(failure: Failure) -> Failure {
    match failure {
        Failure::Unauthorized(reason) => Failure::TryAgain { reason, hold: None },
        Failure::Unclear { reason, hold } => Failure::TryAgain { reason, hold },
        Failure::TryAgain { .. } | Failure::Refused { .. } => failure,
    }
}

const PAGE_SIZE: u32 = 100;
const INCIDENT_PAGES: u32 = 10;
const PRIORITIES_KEPT: Duration = Duration::from_secs(600);
