//! The dashboard: pages drawn from what the [`Operator`](crate::operator::Operator) tells, which read well without any script.
//! With one, they follow what happens, and their buttons order what the API does.

mod assets;
mod frame;
mod live;
mod story;
pub(crate) mod text;

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError, web};
use askama::Template;
use serde::Deserialize;
use tracing::error;

use super::State;
use crate::operator::alarms::AlarmView;
use crate::operator::late::LatePageView;
use crate::operator::view::{DeadLetterView, EntryView, LinkView, QuarantinedView};
use crate::operator::{LONGEST_PAGE, OperatorError, Which};
use frame::Frame;
use story::Part;

pub(super) use live::Seats;

/// How many items a page of a list has.
const PAGE: usize = 50;

/// How many of each kind the first page shows; the others are on the kind's own page.
const FEW: usize = 5;

/// How many open links the first page shows.
const SOME: usize = 25;

/// All pages, and what they are made of.
pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/").route(web::get().to(overview)))
        .service(web::resource("/links").route(web::get().to(links)))
        .service(web::resource("/links/{alert}").route(web::get().to(link)))
        .service(web::resource("/dead-letters").route(web::get().to(letters)))
        .service(web::resource("/quarantine").route(web::get().to(quarantine)))
        .service(web::resource("/quarantine/{number}").route(web::get().to(quarantined)))
        .service(web::resource("/search").route(web::get().to(search)))
        .service(web::resource("/live").route(web::get().to(live::live)))
        .service(web::resource("/assets/{name}").route(web::get().to(assets::asset)));
}

#[derive(Template)]
#[template(path = "admin/pages/templates/overview.html")]
struct Overview {
    frame: Frame,
    /// Some of the late pages, those of the other lists likewise: how many there are, the status tells.
    late: Vec<LatePageView>,
    letters: Vec<DeadLetterView>,
    quarantined: Vec<QuarantinedView>,
    paused: Vec<LinkView>,
    open: Vec<LinkView>,
    open_count: String,
}

impl Overview {
    /// Whether an alarm is told by a list of its own, where something can be done about each item.
    fn is_listed(&self, alarm: &AlarmView) -> bool {
        ["dead_letters", "quarantined", "paused_links"].contains(&alarm.code.as_str())
    }
}

async fn overview(state: web::Data<State>) -> Result<HttpResponse, Unshown> {
    let frame = Frame::of(&state, "Overview", "/").await?;
    let late = state.operator.late_pages(None, FEW).await?.items;
    let letters = state.operator.dead_letters(None, FEW).await?.items;
    let quarantined = state.operator.quarantine(None, FEW).await?.items;
    let listed = state.operator.links(Which::Open, None, LONGEST_PAGE).await?;
    let mut open = listed.items;
    let more = if listed.next.is_some() { " or more" } else { "" };
    let open_count = format!("{}{more}", open.len());
    let paused = match frame.status.paused_links {
        0 => Vec::new(),
        _ => state.operator.links(Which::Paused, None, FEW).await?.items,
    };
    open.sort_by_key(|link| std::cmp::Reverse(link.changed_at));
    open.truncate(SOME);
    Ok(shown(&Overview { frame, late, letters, quarantined, paused, open, open_count }))
}

/// From where on a list is shown.
#[derive(Deserialize)]
struct Place {
    after: Option<String>,
}

/// Which links are shown.
#[derive(Deserialize)]
struct Chosen {
    /// The open ones unless it says otherwise.
    which: Option<Which>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/pages/templates/links.html")]
struct Links {
    frame: Frame,
    /// Each choice's name in the query and in words, and whether it is the one that was made.
    choices: [(&'static str, &'static str, bool); 3],
    which: &'static str,
    links: Vec<LinkView>,
    is_first: bool,
    next: Option<String>,
}

async fn links(state: web::Data<State>, chosen: web::Query<Chosen>) -> Result<HttpResponse, Unshown> {
    let which = chosen.which.unwrap_or(Which::Open);
    let listed = state.operator.links(which, chosen.after.as_deref(), PAGE).await?;
    let choices = [(Which::Open, "Open"), (Which::Paused, "Paused"), (Which::All, "All")];
    Ok(shown(&Links {
        frame: Frame::of(&state, "Links", "/links").await?,
        choices: choices.map(|(choice, words)| (choice.name(), words, choice == which)),
        which: which.name(),
        links: listed.items,
        is_first: chosen.after.is_none(),
        next: listed.next,
    }))
}

#[derive(Template)]
#[template(path = "admin/pages/templates/link.html")]
struct LinkPage {
    frame: Frame,
    alert: String,
    link: Option<LinkView>,
    entries: Vec<EntryView>,
    letters: Vec<DeadLetterView>,
    parts: Vec<Part>,
}

async fn link(state: web::Data<State>, id: web::Path<String>) -> Result<HttpResponse, Unshown> {
    let story = state.operator.explain(&id).await?;
    let title =
        story.link.as_ref().map_or_else(|| format!("Alert {}", story.alert), |link| text::headline(link).to_owned());
    Ok(shown(&LinkPage {
        frame: Frame::of(&state, &title, "/links").await?,
        entries: state.operator.entries_of(&story.alert).await?,
        letters: state.operator.dead_letters_of(&story.alert).await?,
        alert: story.alert.to_string(),
        link: story.link,
        parts: story::parts(story.chapters),
    }))
}

#[derive(Template)]
#[template(path = "admin/pages/templates/letters.html")]
struct Letters {
    frame: Frame,
    letters: Vec<DeadLetterView>,
    is_first: bool,
    next: Option<String>,
}

async fn letters(state: web::Data<State>, place: web::Query<Place>) -> Result<HttpResponse, Unshown> {
    let listed = state.operator.dead_letters(place.after.as_deref(), PAGE).await?;
    let frame = Frame::of(&state, "Dead letters", "/dead-letters").await?;
    Ok(shown(&Letters { frame, letters: listed.items, is_first: place.after.is_none(), next: listed.next }))
}

#[derive(Template)]
#[template(path = "admin/pages/templates/quarantine.html")]
struct Quarantine {
    frame: Frame,
    quarantined: Vec<QuarantinedView>,
    is_first: bool,
    next: Option<String>,
}

async fn quarantine(state: web::Data<State>, place: web::Query<Place>) -> Result<HttpResponse, Unshown> {
    let listed = state.operator.quarantine(place.after.as_deref(), PAGE).await?;
    let frame = Frame::of(&state, "Quarantine", "/quarantine").await?;
    Ok(shown(&Quarantine { frame, quarantined: listed.items, is_first: place.after.is_none(), next: listed.next }))
}

#[derive(Template)]
#[template(path = "admin/pages/templates/quarantined.html")]
struct QuarantinedPage {
    frame: Frame,
    item: QuarantinedView,
}

async fn quarantined(state: web::Data<State>, number: web::Path<String>) -> Result<HttpResponse, Unshown> {
    let nobody = || OperatorError::NotThere(format!("{number}: no such number is in the quarantine."));
    let item = state.operator.quarantined(number.parse().map_err(|_| nobody())?).await?;
    let frame = Frame::of(&state, &format!("Quarantine {number}"), "/quarantine").await?;
    Ok(shown(&QuarantinedPage { frame, item }))
}

/// What is searched for.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "admin/pages/templates/search.html")]
struct Found {
    frame: Frame,
    links: Vec<LinkView>,
    is_cut: bool,
}

/// Leads to the one link that is meant, or shows all that may be.
async fn search(state: web::Data<State>, wanted: web::Query<Wanted>) -> Result<HttpResponse, Unshown> {
    let wanted = wanted.into_inner().q.trim().to_owned();
    let links = match wanted.as_str() {
        "" => Vec::new(),
        wanted => state.operator.find(wanted, PAGE).await?,
    };
    let only = match links.as_slice() {
        [link] => Some(link.alert.to_string()),
        // Of an alert that did not page there may be a story all the same.
        [] if !wanted.is_empty() => state.operator.explain(&wanted).await.ok().map(|story| story.alert.to_string()),
        _ => None,
    };
    if let Some(alert) = only {
        return Ok(HttpResponse::SeeOther().insert_header(("location", format!("/links/{alert}"))).finish());
    }
    let is_cut = links.len() == PAGE;
    let frame = Frame { wanted, ..Frame::of(&state, "Search", "/search").await? };
    Ok(shown(&Found { frame, links, is_cut }))
}

#[derive(Template)]
#[template(path = "admin/pages/templates/login.html")]
struct Login<'a> {
    title: &'static str,
    trouble: Option<&'a str>,
}

/// The form to log in, with what was wrong with the last try.
pub(super) fn login(status: StatusCode, trouble: Option<&str>) -> HttpResponse {
    drawn(status, &Login { title: "Log in", trouble })
}

#[derive(Template)]
#[template(path = "admin/pages/templates/trouble.html")]
struct Trouble<'a> {
    title: &'static str,
    message: &'a str,
}

/// What is answered where there is no page.
pub(super) fn nothing_here() -> HttpResponse {
    drawn(StatusCode::NOT_FOUND, &Trouble { title: "Not found", message: "There is no such page." })
}

/// Why a page cannot be shown.
#[derive(Debug)]
struct Unshown(OperatorError);

impl From<OperatorError> for Unshown {
    fn from(error: OperatorError) -> Self {
        if let OperatorError::Store(error) = &error {
            error!(%error, "a page could not be shown");
        }
        Self(error)
    }
}

impl fmt::Display for Unshown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Unshown {
    fn error_response(&self) -> HttpResponse {
        let (status, title, message) = match &self.0 {
            OperatorError::NotThere(message) => (StatusCode::NOT_FOUND, "Not found", message.clone()),
            OperatorError::Unclear(message) => (StatusCode::BAD_REQUEST, "Unclear", message.clone()),
            OperatorError::Conflict(message) => (StatusCode::CONFLICT, "Not now", message.clone()),
            // A path or a key is for the log only.
            OperatorError::Store(error) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "The store does not answer",
                format!("It says: {}. The log tells more.", error.kind()),
            ),
        };
        drawn(status, &Trouble { title, message: &message })
    }
}

fn shown(page: &impl Template) -> HttpResponse {
    drawn(StatusCode::OK, page)
}

fn drawn(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(html) => HttpResponse::build(status).content_type("text/html; charset=utf-8").body(html),
        Err(error) => {
            error!(%error, "a page could not be drawn");
            HttpResponse::InternalServerError().finish()
        }
    }
}
