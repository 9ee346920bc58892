//! What is to be carried out, and what was given up.

use actix_web::web;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Answer, Answers, Place, State, answers, usual_page};
use crate::engine::System;
use crate::operator::view::{AnsweredAll, DeadLetterView, DiscardedView, EntryView, Listed, NumbersOrder, Problem};

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/entries").route(web::get().to(outbox)))
        .service(web::resource("/dead-letters").route(web::get().to(list)))
        .service(web::resource("/dead-letters/redrive").route(web::post().to(redrive_all)))
        .service(web::resource("/dead-letters/discard").route(web::post().to(discard_all)))
        .service(web::resource("/dead-letters/{number}/redrive").route(web::post().to(redrive)))
        .service(web::resource("/dead-letters/{number}/discard").route(web::post().to(discard)));
}

/// What is bound for one system, and from where on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Bound {
    /// `opsgenie` or `pagerduty`.
    #[param(value_type = String)]
    to: System,
    /// The `next` of the page before; nothing for the first page.
    after: Option<String>,
    /// How many items the page may have: at most 500.
    #[serde(default = "usual_page")]
    #[param(maximum = 500, default = 100)]
    limit: usize,
}

/// What is to be carried out in one system, oldest first.
#[utoipa::path(get, path = "/api/v1/entries", tag = "outbox", params(Bound),
    responses((status = 200, body = Listed<EntryView>), (status = 400, body = Problem)))]
pub(super) async fn outbox(state: web::Data<State>, bound: web::Query<Bound>) -> Answer<Listed<EntryView>> {
    Ok(web::Json(state.operator.entries(bound.to, bound.after.as_deref(), bound.limit).await?))
}

/// What was given up, by alert.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "outbox", params(Place),
    responses((status = 200, body = Listed<DeadLetterView>), (status = 400, body = Problem)))]
pub(super) async fn list(state: web::Data<State>, place: web::Query<Place>) -> Answer<Listed<DeadLetterView>> {
    Ok(web::Json(state.operator.dead_letters(place.after.as_deref(), place.limit).await?))
}

/// Try again what was given up: what was parked behind it goes on after it, and whatever it may have sent is looked for first.
#[utoipa::path(post, path = "/api/v1/dead-letters/{number}/redrive", tag = "outbox",
    params(("number" = u64, Path, description = "The dead letter's number.")),
    responses((status = 200, body = DeadLetterView), (status = 404, body = Problem)))]
pub(super) async fn redrive(state: web::Data<State>, number: web::Path<u64>) -> Answer<DeadLetterView> {
    Ok(web::Json(state.operator.redrive(number.into_inner()).await?))
}

/// Leave undone what was given up. With a creation, what is parked behind it goes too, and nobody is paged for the alert.
#[utoipa::path(post, path = "/api/v1/dead-letters/{number}/discard", tag = "outbox",
    params(("number" = u64, Path, description = "The dead letter's number.")),
    responses((status = 200, body = DiscardedView), (status = 404, body = Problem)))]
pub(super) async fn discard(state: web::Data<State>, number: web::Path<u64>) -> Answer<DiscardedView> {
    Ok(web::Json(state.operator.discard(number.into_inner()).await?))
}

/// Try several again, in this order: each is answered as it would be by itself, in the same order.
#[utoipa::path(post, path = "/api/v1/dead-letters/redrive", tag = "outbox", request_body = NumbersOrder,
    responses((status = 200, body = AnsweredAll<DeadLetterView>), (status = 400, body = Problem)))]
pub(super) async fn redrive_all(state: web::Data<State>, order: web::Json<NumbersOrder>) -> Answers<DeadLetterView> {
    answers(state.operator.redrive_all(&order.numbers).await?)
}

/// Leave several undone, in this order: each is answered as it would be by itself, in the same order.
#[utoipa::path(post, path = "/api/v1/dead-letters/discard", tag = "outbox", request_body = NumbersOrder,
    responses((status = 200, body = AnsweredAll<DiscardedView>), (status = 400, body = Problem)))]
pub(super) async fn discard_all(state: web::Data<State>, order: web::Json<NumbersOrder>) -> Answers<DiscardedView> {
    answers(state.operator.discard_all(&order.numbers).await?)
}
