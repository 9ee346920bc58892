//! What was authentic and could not be read.

use actix_web::web;

use super::{Answer, Answers, Place, State, answers};
use crate::operator::view::{AnsweredAll, Listed, NumbersOrder, Problem, QuarantinedView, ReplayedView};

pub(super) fn routes(app: &mut web::ServiceConfig) {
    app.service(web::resource("/quarantine").route(web::get().to(list)))
        .service(web::resource("/quarantine/replay").route(web::post().to(replay_all)))
        .service(web::resource("/quarantine/discard").route(web::post().to(discard_all)))
        .service(web::resource("/quarantine/{number}").route(web::get().to(show)))
        .service(web::resource("/quarantine/{number}/replay").route(web::post().to(replay)))
        .service(web::resource("/quarantine/{number}/discard").route(web::post().to(discard)));
}

/// What could not be read, oldest first, without what was sent.
#[utoipa::path(get, path = "/api/v1/quarantine", tag = "quarantine", params(Place),
    responses((status = 200, body = Listed<QuarantinedView>), (status = 400, body = Problem)))]
pub(super) async fn list(state: web::Data<State>, place: web::Query<Place>) -> Answer<Listed<QuarantinedView>> {
    Ok(web::Json(state.operator.quarantine(place.after.as_deref(), place.limit).await?))
}

/// What could not be read, with what was sent.
#[utoipa::path(get, path = "/api/v1/quarantine/{number}", tag = "quarantine",
    params(("number" = u64, Path, description = "Its number.")),
    responses((status = 200, body = QuarantinedView), (status = 404, body = Problem)))]
pub(super) async fn show(state: web::Data<State>, number: web::Path<u64>) -> Answer<QuarantinedView> {
    Ok(web::Json(state.operator.quarantined(number.into_inner()).await?))
}

/// Read it again as its door does now.
#[utoipa::path(post, path = "/api/v1/quarantine/{number}/replay", tag = "quarantine",
    params(("number" = u64, Path, description = "Its number.")),
    responses((status = 200, body = ReplayedView), (status = 404, body = Problem)))]
pub(super) async fn replay(state: web::Data<State>, number: web::Path<u64>) -> Answer<ReplayedView> {
    Ok(web::Json(state.operator.replay(number.into_inner()).await?))
}

/// Drop it for good.
#[utoipa::path(post, path = "/api/v1/quarantine/{number}/discard", tag = "quarantine",
    params(("number" = u64, Path, description = "Its number.")),
    responses((status = 200, body = QuarantinedView), (status = 404, body = Problem)))]
pub(super) async fn discard(state: web::Data<State>, number: web::Path<u64>) -> Answer<QuarantinedView> {
    Ok(web::Json(state.operator.drop_quarantined(number.into_inner()).await?))
}

/// Read several again, in this order: each is answered as it would be by itself, in the same order.
#[utoipa::path(post, path = "/api/v1/quarantine/replay", tag = "quarantine", request_body = NumbersOrder,
    responses((status = 200, body = AnsweredAll<ReplayedView>), (status = 400, body = Problem)))]
pub(super) async fn replay_all(state: web::Data<State>, order: web::Json<NumbersOrder>) -> Answers<ReplayedView> {
    answers(state.operator.replay_all(&order.numbers).await?)
}

/// Drop several for good: each is answered as it would be by itself, in the same order.
#[utoipa::path(post, path = "/api/v1/quarantine/discard", tag = "quarantine", request_body = NumbersOrder,
    responses((status = 200, body = AnsweredAll<QuarantinedView>), (status = 400, body = Problem)))]
pub(super) async fn discard_all(state: web::Data<State>, order: web::Json<NumbersOrder>) -> Answers<QuarantinedView> {
    answers(state.operator.drop_all_quarantined(&order.numbers).await?)
}
