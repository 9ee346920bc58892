//! The JSON API below `/api/v1`, and its description at `/openapi.json`.
//!
//! Lists come a page at a time: `after` is the `next` of the page before. What is refused says so in an object of the form
//! `{"error":{"code":…,"message":…}}`.

// What utoipa makes of the handlers' parameters names types in full.
#![allow(unused_qualifications)]

mod letters;
mod links;
mod quarantine;

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde::Deserialize;
use tracing::error;
use utoipa::{IntoParams, OpenApi};

use super::State;
use crate::metrics;
use crate::operator::late::LatePageView;
use crate::operator::status::StatusView;
use crate::operator::view::{
    Answered, AnsweredAll, Listed, Problem, ProblemText, ReconcileOrder, ReconciledView, WaitingView,
};
use crate::operator::{LONGEST_PAGE, OperatorError};

/// All routes of the API.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/metrics").route(web::get().to(for_prometheus)));
    app.service(web::resource("/openapi.json").route(web::get().to(description))).service(
        web::scope("/api/v1")
            .service(web::resource("/status").route(web::get().to(status)))
            .service(web::resource("/reconcile").route(web::post().to(reconcile)))
            .service(web::resource("/late-pages").route(web::get().to(late_pages)))
            .service(web::resource("/waiting").route(web::get().to(waiting)))
            .configure(links::routes)
            .configure(letters::routes)
            .configure(quarantine::routes),
    );
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "crosspage",
        description = "What an operator of crosspage can look at and order. With ADMIN_TOKEN, every request carries it as a \
            bearer token. Without it, a POST carries the listener's own Origin and the header X-Crosspage.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(
        status,
        late_pages,
        waiting,
        reconcile,
        links::list,
        links::show,
        links::entries,
        links::dead_letters,
        links::explain,
        links::find,
        links::pause,
        links::resume,
        links::unlink,
        links::link,
        letters::outbox,
        letters::list,
        letters::redrive,
        letters::discard,
        letters::redrive_all,
        letters::discard_all,
        quarantine::list,
        quarantine::show,
        quarantine::replay,
        quarantine::discard,
        quarantine::replay_all,
        quarantine::discard_all,
    ),
    components(schemas(Problem)),
    modifiers(&Bearer),
    security((), ("token" = []))
)]
struct Api;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// The description of the API, as JSON.
///
/// # Panics
/// Never: what it is made from is fixed when crosspage is built.
pub fn openapi() -> serde_json::Value {
    serde_json::to_value(Api::openapi()).unwrap_or_default()
}

async fn description() -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}

/// What Prometheus reads.
async fn for_prometheus(state: web::Data<State>) -> Result<HttpResponse, Refused> {
    match state.operator.metrics().await? {
        Some(text) => Ok(HttpResponse::Ok().content_type(metrics::CONTENT_TYPE).body(text)),
        None => Ok(nothing_here().await),
    }
}

/// How crosspage is doing: what is to be done, what was given up, and whether the vendors take our calls.
#[utoipa::path(get, path = "/api/v1/status", tag = "status", responses((status = 200, body = StatusView)))]
async fn status(state: web::Data<State>) -> Answer<StatusView> {
    Ok(web::Json(state.operator.status().await?))
}

/// The pages that have not gone out in time, longest owed first, each with what keeps it.
#[utoipa::path(get, path = "/api/v1/late-pages", tag = "status", params(Place),
    responses((status = 200, body = Listed<LatePageView>), (status = 400, body = Problem)))]
async fn late_pages(state: web::Data<State>, place: web::Query<Place>) -> Answer<Listed<LatePageView>> {
    Ok(web::Json(state.operator.late_pages(place.after.as_deref(), place.limit).await?))
}

/// Notes that wait for incidents which are being created, in the order they came.
#[utoipa::path(get, path = "/api/v1/waiting", tag = "status", responses((status = 200, body = Vec<WaitingView>)))]
async fn waiting(state: web::Data<State>) -> Answer<Vec<WaitingView>> {
    Ok(web::Json(state.operator.waiting().await?))
}

/// Have the reconciler make a pass now, and tell what it found. A dry one tells what differs, and changes nothing.
#[utoipa::path(post, path = "/api/v1/reconcile", tag = "status", request_body = ReconcileOrder,
    responses((status = 200, body = ReconciledView), (status = 409, body = Problem)))]
async fn reconcile(state: web::Data<State>, order: web::Json<ReconcileOrder>) -> Answer<ReconciledView> {
    Ok(web::Json(state.operator.reconcile(order.dry_run).await?))
}

pub(super) async fn nothing_here() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "not_found", "there is nothing here: /openapi.json tells what there is")
}

/// A page of a list.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Place {
    /// The `next` of the page before; nothing for the first page.
    after: Option<String>,
    /// How many items the page may have: at most 500.
    #[serde(default = "usual_page")]
    #[param(maximum = 500, default = 100)]
    limit: usize,
}

fn usual_page() -> usize {
    100.min(LONGEST_PAGE)
}

/// What is answered, or why nothing is.
type Answer<T> = Result<web::Json<T>, Refused>;

/// What is answered to an order about several.
type Answers<T> = Answer<AnsweredAll<T>>;

/// What came of each, unless the store has failed.
fn answers<T>(done: Vec<Result<T, OperatorError>>) -> Answers<T> {
    let answered = |done: Result<T, OperatorError>| match done {
        Ok(done) => Ok(Answered::Done(done)),
        Err(error @ OperatorError::Store(_)) => Err(error.into()),
        Err(error) => Ok(Answered::Refused(Problem { error: told(&error) })),
    };
    let answers = done.into_iter().map(answered).collect::<Result<_, Refused>>()?;
    Ok(web::Json(AnsweredAll { answers }))
}

pub(super) fn problem(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    let error = ProblemText { code: code.to_owned(), message: message.to_owned() };
    HttpResponse::build(status).json(Problem { error })
}

/// Why a request was refused.
#[derive(Debug)]
struct Refused(OperatorError);

impl From<OperatorError> for Refused {
    fn from(error: OperatorError) -> Self {
        if let OperatorError::Store(error) = &error {
            error!(%error, "the store could not tell or do what an operator asked for");
        }
        Self(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Refused {
    fn status_code(&self) -> StatusCode {
        match &self.0 {
            OperatorError::NotThere(_) => StatusCode::NOT_FOUND,
            OperatorError::Unclear(_) => StatusCode::BAD_REQUEST,
            OperatorError::Conflict(_) => StatusCode::CONFLICT,
            OperatorError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let ProblemText { code, message } = told(&self.0);
        problem(self.status_code(), &code, &message)
    }
}

/// Why something was refused, as far as it is anybody's business.
fn told(error: &OperatorError) -> ProblemText {
    let (code, message) = match error {
        OperatorError::NotThere(message) => ("not_found", message.clone()),
        OperatorError::Unclear(message) => ("unclear", message.clone()),
        OperatorError::Conflict(message) => ("conflict", message.clone()),
        // A path or a key is for the log only.
        OperatorError::Store(error) => ("store", error.kind().to_owned()),
    };
    ProblemText { code: code.to_owned(), message }
}

/// Why a request could not even be read.
fn unreadable<E: fmt::Display>(error: E, _: &HttpRequest) -> actix_web::Error {
    Refused(OperatorError::Unclear(error.to_string())).into()
}

pub(super) fn json_config() -> web::JsonConfig {
    web::JsonConfig::default().limit(super::MAX_BODY).error_handler(unreadable)
}

pub(super) fn query_config() -> web::QueryConfig {
    web::QueryConfig::default().error_handler(unreadable)
}

pub(super) fn path_config() -> web::PathConfig {
    web::PathConfig::default().error_handler(unreadable)
}
