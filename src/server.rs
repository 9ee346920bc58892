//! The public listener: the two webhook doors, and the two questions of an orchestrator.
//!
//! A handler authenticates the raw bytes, turns them into an event and stores it. It never calls a vendor, and it answers
//! 2xx only after the store has the event on disk. A refusal with a 4xx is final to PagerDuty, and three of them switch the
//! subscription off, so an authentic body that cannot be read is quarantined and accepted.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::web::Bytes;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Resource, Route, web};
use futures_util::{FutureExt, StreamExt};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{error, info, warn};

mod limits;
#[cfg(test)]
mod tests;

use crate::clock::now;
use crate::emergency;
use crate::engine::{AlertId, Event, EventBody, Reason, System};
use crate::metrics::{Metrics, WebhookVerdict};
use crate::opsgenie;
use crate::pagerduty;
use crate::store::{Form, Quarantined, Recorded, Store, StoreError, Verdict};
use limits::{Connections, Seldom};

/// The largest body that is read. PagerDuty never sends more than 256 KB, and Opsgenie's texts are short.
pub const MAX_BODY: usize = 1 << 20;

/// How many bytes of bodies may be in memory at once.
const MAX_BODY_BYTES: usize = 32 << 20;

/// After how many seconds a webhook that could not be stored should come again.
const RETRY_AFTER_S: &str = "5";

/// What the doors need.
pub struct Doors {
    /// Where events go.
    pub store: Store,
    /// Who may knock at Opsgenie's door.
    pub opsgenie: opsgenie::webhook::Door,
    /// The secrets that PagerDuty may sign with.
    pub pagerduty_secrets: Vec<SecretString>,
    /// How long a visitor may take.
    pub patience: Patience,
    /// Whether pages get through.
    pub emergency: watch::Receiver<emergency::Status>,
    /// What is counted.
    pub metrics: Metrics,
}

/// How long a visitor may take; then the connection is given up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For the request line and the headers.
    pub head: Duration,
    /// For the body. PagerDuty waits five seconds for the answer.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { head: Duration::from_secs(5), body: Duration::from_secs(10) }
    }
}

struct State {
    doors: Doors,
    body_bytes: AtomicUsize,
    requests: AtomicU64,
    not_ready: Seldom,
    no_room_to_wait: Seldom,
}

impl State {
    fn new(doors: Doors) -> Self {
        let started = u64::try_from(now().as_millis()).unwrap_or(0);
        Self {
            doors,
            body_bytes: AtomicUsize::new(0),
            requests: AtomicU64::new(started),
            not_ready: Seldom::default(),
            no_room_to_wait: Seldom::default(),
        }
    }

    /// What is said of the store to whoever asks: a path or a key is for the log only.
    fn unwell(&self, status: &str, error: &StoreError, unread: web::Payload) -> HttpResponse {
        if self.not_ready.is_due(Instant::now()) {
            warn!(%error, "no webhooks are taken");
        }
        let said = json!({ "status": status, "reason": error.kind() });
        answer(StatusCode::SERVICE_UNAVAILABLE, &said, unread)
    }
}

/// Binds the public listener. The second value is where it listens, in case the port was left to the system.
pub fn bind(listen: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves the public routes until the server is stopped through its handle.
pub fn serve(listener: TcpListener, doors: Doors) -> io::Result<Server> {
    let patience = doors.patience;
    let state = web::Data::from(Arc::new(State::new(doors)));
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().min(4));
    let connections = Connections::by_open_files();
    if let Some(few) = connections.few() {
        warn!(connections = few, "the process may open few files, so few connections are taken: raise its limit");
    }
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .service(route("/ops-webhook", web::post().to(ops_webhook)))
            .service(route("/pd-webhook", web::post().to(pd_webhook)))
            .service(route("/healthz", web::get().to(healthz)))
            .service(route("/readyz", web::get().to(readyz)))
            .default_service(web::to(async |unread| answer(StatusCode::NOT_FOUND, &json!({}), unread)))
    })
    .workers(workers)
    .max_connections(connections.each_of(workers))
    .client_request_timeout(patience.head)
    .shutdown_timeout(5)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

fn route(path: &str, route: Route) -> Resource {
    let wrong_method = async |unread| answer(StatusCode::METHOD_NOT_ALLOWED, &json!({}), unread);
    web::resource(path).route(route).default_service(web::to(wrong_method))
}

async fn ops_webhook(request: HttpRequest, mut payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let visit = Visit::new(System::Opsgenie, None, &state);
    let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if state.doors.opsgenie.authorize(authorization).is_err() {
        let why = "the Authorization header does not carry OPSGENIE_WEBHOOK_TOKEN";
        return visit.refused(StatusCode::UNAUTHORIZED, why, payload);
    }
    let body = match read(&request, &mut payload, &state).await {
        Ok(body) => body,
        Err((status, why)) => return visit.refused(status, why, payload),
    };
    let authentic = match state.doors.opsgenie.authenticate(&body.bytes) {
        Ok(authentic) => authentic,
        Err(why) => {
            let status = match why {
                opsgenie::webhook::NotAuthentic::NotAnObject => StatusCode::BAD_REQUEST,
                opsgenie::webhook::NotAuthentic::MissingIntegration
                | opsgenie::webhook::NotAuthentic::WrongIntegration => StatusCode::FORBIDDEN,
            };
            return visit.refused(status, &why.to_string(), payload);
        }
    };
    match authentic.parse(now()) {
        Ok(event) => visit.record(&state, event).await,
        Err(unreadable) => visit.quarantine(&state, unreadable.to_string(), authentic.body_without_headers()).await,
    }
}

async fn pd_webhook(request: HttpRequest, mut payload: web::Payload, state: web::Data<State>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let webhook_id = header("x-webhook-id").map(str::to_owned);
    let visit = Visit::new(System::PagerDuty, webhook_id.as_deref(), &state);
    let body = match read(&request, &mut payload, &state).await {
        Ok(body) => body,
        Err((status, why)) => return visit.refused(status, why, payload),
    };
    if let Err(why) = pagerduty::signature::verify(
        &state.doors.pagerduty_secrets,
        header(pagerduty::signature::SIGNATURE_HEADER),
        &body.bytes,
    ) {
        return visit.refused(StatusCode::FORBIDDEN, &why.to_string(), payload);
    }
    match pagerduty::webhook::parse(&body.bytes, webhook_id.as_deref(), now()) {
        Ok(pagerduty::webhook::Inbound::Event(event)) => visit.record(&state, event).await,
        Ok(pagerduty::webhook::Inbound::Ping) => visit.nothing_to_do("ping"),
        Ok(pagerduty::webhook::Inbound::Ignored(event_type)) => visit.nothing_to_do(&event_type),
        Err(unreadable) => visit.quarantine(&state, unreadable.to_string(), body.bytes.clone()).await,
    }
}

async fn healthz(unread: web::Payload, state: web::Data<State>) -> HttpResponse {
    match state.doors.store.failed().now_or_never() {
        None => answer(StatusCode::OK, &json!({ "status": "ok" }), unread),
        Some(error) => state.unwell("failed", &error, unread),
    }
}

/// Ready to take webhooks. A vendor's outage is no reason not to be: what cannot be delivered now is kept. But if pages do not
/// get through, that is said.
async fn readyz(unread: web::Payload, state: web::Data<State>) -> HttpResponse {
    let late = state.doors.emergency.borrow().late;
    match state.doors.store.ready() {
        Ok(()) if late > 0 => {
            let said = json!({ "status": "degraded", "reason": "pages do not get through", "late_pages": late });
            answer(StatusCode::OK, &said, unread)
        }
        Ok(()) => answer(StatusCode::OK, &json!({ "status": "ready" }), unread),
        Err(error) => state.unwell("not ready", &error, unread),
    }
}

/// An answer to a request whose body may not have come, and may never come: then the connection ends with the answer.
fn answer(status: StatusCode, said: &Value, unread: web::Payload) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.insert_header(("retry-after", RETRY_AFTER_S));
    }
    response.content_type(ContentType::json()).body(LastWord { text: said.to_string().into(), _unread: unread })
}

/// A body that lives as long as the one that it answers. actix hangs up on a request that is answered while its body is
/// still being waited for, but where that was chunked and has been dropped it would wait for its end, for ever.
struct LastWord {
    text: Bytes,
    _unread: web::Payload,
}

impl MessageBody for LastWord {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let text = std::mem::take(&mut self.text);
        Poll::Ready((!text.is_empty()).then_some(Ok(text)))
    }
}

/// A body whose bytes count until it is dropped.
struct Body {
    bytes: Vec<u8>,
    state: web::Data<State>,
}

impl Drop for Body {
    fn drop(&mut self) {
        self.state.body_bytes.fetch_sub(self.bytes.len(), Ordering::Relaxed);
    }
}

type Refusal = (StatusCode, &'static str);

async fn read(request: &HttpRequest, payload: &mut web::Payload, state: &web::Data<State>) -> Result<Body, Refusal> {
    let announced = request.headers().get("content-length").and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(TOO_LARGE);
    }
    match tokio::time::timeout(state.doors.patience.body, collect(payload, state)).await {
        Ok(read) => read,
        // No 4xx: PagerDuty would drop the webhook for good.
        Err(_) => Err((StatusCode::SERVICE_UNAVAILABLE, "the body did not arrive in time")),
    }
}

const TOO_LARGE: Refusal = (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB");

async fn collect(payload: &mut web::Payload, state: &web::Data<State>) -> Result<Body, Refusal> {
    let mut body = Body { bytes: Vec::new(), state: state.clone() };
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "the body broke off"))?;
        if body.bytes.len() + chunk.len() > MAX_BODY {
            return Err(TOO_LARGE);
        }
        let before = state.body_bytes.fetch_add(chunk.len(), Ordering::Relaxed);
        body.bytes.extend_from_slice(&chunk);
        if before + chunk.len() > MAX_BODY_BYTES {
            return Err((StatusCode::SERVICE_UNAVAILABLE, "too many requests at once"));
        }
    }
    Ok(body)
}

/// One webhook, from its arrival to the one line that is logged of it.
struct Visit {
    system: System,
    metrics: Metrics,
    request_id: String,
    started: Instant,
}

impl Visit {
    fn new(system: System, webhook_id: Option<&str>, state: &State) -> Self {
        let number = state.requests.fetch_add(1, Ordering::Relaxed);
        let request_id = webhook_id.filter(|id| id.len() <= 100).map_or_else(|| format!("r-{number:x}"), str::to_owned);
        let metrics = state.doors.metrics.clone();
        Self { system, metrics, request_id, started: Instant::now() }
    }

    async fn record(self, state: &State, event: Event) -> HttpResponse {
        let event = Event { request_id: Some(self.request_id.clone()), ..event };
        let (name, alert, incident) = match &event.body {
            EventBody::Alert(happened) => (happened.action.name().to_owned(), Some(happened.alert.to_string()), None),
            EventBody::Incident(happened) => {
                (happened.change.name().to_owned(), None, Some(happened.incident.to_string()))
            }
            EventBody::Settled(_) => ("settled".to_owned(), None, None),
            EventBody::Polled(polled) => (polled.seen.name().to_owned(), Some(polled.alert.to_string()), None),
            EventBody::Ordered(ordered) => (ordered.order.name().to_owned(), Some(ordered.alert.to_string()), None),
        };
        let recorded = match state.doors.store.record(event).await {
            Ok(recorded) => recorded,
            Err(error) => return self.not_stored(&error),
        };
        if let Verdict::Quarantined(number) = recorded.verdict
            && state.no_room_to_wait.is_due(Instant::now())
        {
            error!(
                vendor = %self.system,
                request.id = %self.request_id,
                quarantine.id = number,
                "too many events wait for their incidents: this one and others go into the quarantine"
            );
        }
        let verdict = said(&recorded);
        let alert = alert.or_else(|| alerts(&recorded));
        info!(
            vendor = %self.system,
            request.id = %self.request_id,
            event = %name.escape_debug(),
            alert.id = alert,
            incident.id = incident,
            verdict,
            commands = recorded.commands,
            duration_ms = self.duration_ms(),
            "a webhook was taken"
        );
        let status = match self.count(came_to(&recorded)) {
            WebhookVerdict::Accepted | WebhookVerdict::Quarantined => StatusCode::ACCEPTED,
            _ => StatusCode::OK,
        };
        HttpResponse::build(status).json(json!({ "status": verdict, "request_id": self.request_id }))
    }

    async fn quarantine(self, state: &State, reason: String, body: Vec<u8>) -> HttpResponse {
        let item = Quarantined {
            system: self.system,
            received_at: now(),
            reason: reason.clone(),
            body,
            form: Form::Webhook,
            request_id: Some(self.request_id.clone()),
        };
        match state.doors.store.quarantine(item).await {
            Ok(number) => {
                error!(
                    vendor = %self.system,
                    request.id = %self.request_id,
                    quarantine.id = number,
                    reason,
                    "an authentic webhook could not be read: it is kept in the quarantine"
                );
                self.count(WebhookVerdict::Quarantined);
                let said = json!({ "status": "quarantined", "request_id": self.request_id });
                HttpResponse::Accepted().json(said)
            }
            Err(error) => self.not_stored(&error),
        }
    }

    fn nothing_to_do(self, event_type: &str) -> HttpResponse {
        info!(
            vendor = %self.system,
            request.id = %self.request_id,
            verdict = "ignored",
            event = %event_type.escape_debug(),
            duration_ms = self.duration_ms(),
            "a webhook was taken"
        );
        self.count(WebhookVerdict::Ignored);
        HttpResponse::Ok().json(json!({ "status": "ignored", "request_id": self.request_id }))
    }

    fn not_stored(self, error: &StoreError) -> HttpResponse {
        error!(
            vendor = %self.system,
            request.id = %self.request_id,
            %error,
            "a webhook was not stored: it is left to the vendor to send it again"
        );
        self.count(WebhookVerdict::Unavailable);
        HttpResponse::ServiceUnavailable()
            .insert_header(("retry-after", RETRY_AFTER_S))
            .json(json!({ "error": "not stored, send it again later", "request_id": self.request_id }))
    }

    fn refused(self, status: StatusCode, why: &str, unread: web::Payload) -> HttpResponse {
        let status_code = status.as_u16();
        warn!(vendor = %self.system, request.id = %self.request_id, status = status_code, why, "a webhook was refused");
        self.count(if status.is_client_error() { WebhookVerdict::Refused } else { WebhookVerdict::Unavailable });
        answer(status, &json!({ "error": why, "request_id": self.request_id }), unread)
    }

    fn count(&self, verdict: WebhookVerdict) -> WebhookVerdict {
        self.metrics.webhook(self.system, verdict);
        verdict
    }

    fn duration_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What became of an event, in a few words.
fn said(recorded: &Recorded) -> String {
    match &recorded.verdict {
        Verdict::Repeat => "repeat".to_owned(),
        Verdict::Waiting => "waiting".to_owned(),
        Verdict::Quarantined(number) => format!("quarantined as {number}"),
        Verdict::Decided(decisions) => {
            let reasons: Vec<String> = decisions.iter().map(|(_, reason)| reason.to_string()).collect();
            reasons.join(", ")
        }
    }
}

/// The alerts that an incident's event concerns.
fn alerts(recorded: &Recorded) -> Option<String> {
    let Verdict::Decided(decisions) = &recorded.verdict else { return None };
    let mut alerts: Vec<&str> = decisions.iter().filter_map(|(alert, _)| alert.as_ref().map(AlertId::as_str)).collect();
    alerts.dedup();
    (!alerts.is_empty()).then(|| alerts.join(", "))
}

/// What is counted of it: whether anything was put down that was not known before.
fn came_to(recorded: &Recorded) -> WebhookVerdict {
    let is_news = |reason: &Reason| !matches!(reason, Reason::Ignored | Reason::Unlinked(_) | Reason::Duplicate);
    match &recorded.verdict {
        Verdict::Repeat => WebhookVerdict::Repeat,
        Verdict::Quarantined(_) => WebhookVerdict::Quarantined,
        Verdict::Waiting => WebhookVerdict::Accepted,
        Verdict::Decided(decisions) if decisions.iter().any(|(_, reason)| is_news(reason)) => WebhookVerdict::Accepted,
        Verdict::Decided(_) => WebhookVerdict::Ignored,
    }
}
