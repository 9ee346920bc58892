//! Links: where both sides stand, why, and what is ordered for them.

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, State, usual_page};
use crate::engine::AlertId;
use crate::operator::Which;
use crate::operator::story::Story;
use crate::operator::view::{
    DeadLetterView, EntryView, LinkOrder, LinkView, Listed, Ordered, PauseOrder, Problem, UnlinkedView,
};

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/links").route(web::get().to(list)).route(web::post().to(link)))
        .service(web::resource("/find").route(web::get().to(find)))
        .service(web::resource("/explain").route(web::get().to(explain)))
        .service(web::resource("/links/{alert}").route(web::get().to(show)))
        .service(web::resource("/links/{alert}/entries").route(web::get().to(entries)))
        .service(web::resource("/links/{alert}/dead-letters").route(web::get().to(dead_letters)))
        .service(web::resource("/links/{alert}/pause").route(web::post().to(pause)))
        .service(web::resource("/links/{alert}/resume").route(web::post().to(resume)))
        .service(web::resource("/links/{alert}/unlink").route(web::post().to(unlink)));
}

/// Which links are listed, and from where on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Links {
    /// Only the open ones, or only those that are paused.
    #[serde(default)]
    #[param(inline)]
    which: Which,
    /// The `next` of the page before; nothing for the first page.
    after: Option<String>,
    /// How many items the page may have: at most 500.
    #[serde(default = "usual_page")]
    #[param(maximum = 500, default = 100)]
    limit: usize,
}

/// What somebody has at hand.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// An alert's id or short number, an incident's id or number, or a part of a headline.
    id: String,
    /// How many links may be found: at most 500.
    #[serde(default = "usual_page")]
    #[param(maximum = 500, default = 100)]
    limit: usize,
}

/// Links, by their alerts' ids.
#[utoipa::path(get, path = "/api/v1/links", tag = "links", params(Links),
    responses((status = 200, body = Listed<LinkView>), (status = 400, body = Problem)))]
pub(super) async fn list(state: web::Data<State>, links: web::Query<Links>) -> Answer<Listed<LinkView>> {
    let found = state.operator.links(links.which, links.after.as_deref(), links.limit).await?;
    Ok(web::Json(found))
}

/// The links that something may mean.
#[utoipa::path(get, path = "/api/v1/find", tag = "links", params(Wanted), responses((status = 200, body = Vec<LinkView>)))]
pub(super) async fn find(state: web::Data<State>, wanted: web::Query<Wanted>) -> Answer<Vec<LinkView>> {
    Ok(web::Json(state.operator.find(&wanted.id, wanted.limit).await?))
}

/// Why what happened to an alert or an incident was, or was not, passed on.
#[utoipa::path(get, path = "/api/v1/explain", tag = "links", params(("id" = String, Query,
        description = "An alert's id or short number, an incident's id or number, or a part of a headline that only one alert has.")),
    responses((status = 200, body = Story), (status = 404, body = Problem), (status = 400, body = Problem)))]
pub(super) async fn explain(state: web::Data<State>, wanted: web::Query<Wanted>) -> Answer<Story> {
    Ok(web::Json(state.operator.explain(&wanted.id).await?))
}

/// A link.
#[utoipa::path(get, path = "/api/v1/links/{alert}", tag = "links", params(("alert" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = LinkView), (status = 404, body = Problem)))]
pub(super) async fn show(state: web::Data<State>, alert: web::Path<AlertId>) -> Answer<LinkView> {
    Ok(web::Json(state.operator.link(&alert).await?))
}

/// What is to be carried out for a link, oldest first.
#[utoipa::path(get, path = "/api/v1/links/{alert}/entries", tag = "links",
    params(("alert" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = Vec<EntryView>), (status = 404, body = Problem)))]
pub(super) async fn entries(state: web::Data<State>, alert: web::Path<AlertId>) -> Answer<Vec<EntryView>> {
    Ok(web::Json(state.operator.entries_of(&alert).await?))
}

/// What was given up for a link.
#[utoipa::path(get, path = "/api/v1/links/{alert}/dead-letters", tag = "links",
    params(("alert" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = Vec<DeadLetterView>), (status = 404, body = Problem)))]
pub(super) async fn dead_letters(state: web::Data<State>, alert: web::Path<AlertId>) -> Answer<Vec<DeadLetterView>> {
    Ok(web::Json(state.operator.dead_letters_of(&alert).await?))
}

/// Hold a link's commands. What happens is put down, and a page still goes out.
#[utoipa::path(post, path = "/api/v1/links/{alert}/pause", tag = "links", request_body = PauseOrder,
    params(("alert" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = Ordered), (status = 404, body = Problem)))]
pub(super) async fn pause(
    state: web::Data<State>,
    alert: web::Path<AlertId>,
    order: web::Json<PauseOrder>,
) -> Answer<Ordered> {
    Ok(web::Json(state.operator.pause(&alert, &order.reason).await?))
}

/// Let a link's commands go on: what was held is sent.
#[utoipa::path(post, path = "/api/v1/links/{alert}/resume", tag = "links",
    params(("alert" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = Ordered), (status = 404, body = Problem)))]
pub(super) async fn resume(state: web::Data<State>, alert: web::Path<AlertId>) -> Answer<Ordered> {
    Ok(web::Json(state.operator.resume(&alert).await?))
}

/// End a link for good: nothing is passed on any more, and nothing pages for the alert again. Refused while its page is being sent.
#[utoipa::path(post, path = "/api/v1/links/{alert}/unlink", tag = "links",
    params(("alert" = String, Path, description = "The alert's id.")),
    responses((status = 200, body = UnlinkedView), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn unlink(state: web::Data<State>, alert: web::Path<AlertId>) -> Answer<UnlinkedView> {
    Ok(web::Json(state.operator.unlink(&alert).await?))
}

/// Link an alert with an incident by hand: one from before crosspage first ran, or whose link was ended. Nobody is paged; both are
/// read, and where they differ the usual rules tell what follows.
#[utoipa::path(post, path = "/api/v1/links", tag = "links", request_body = LinkOrder,
    responses((status = 200, body = Ordered), (status = 400, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn link(state: web::Data<State>, order: web::Json<LinkOrder>) -> Answer<Ordered> {
    Ok(web::Json(state.operator.link_to(&order.alert, &order.incident).await?))
}
