//! What was ordered for a link.

use super::super::event::{Operator, Order};
use super::super::link::Paused;
use super::{Decision, Draft, Reason};

pub(super) fn decide(mut draft: Draft<'_>, operator: &Operator) -> Decision {
    let at = draft.event.received_at;
    match &operator.order {
        // The first reason stays: it tells since when.
        Order::Pause { .. } if draft.link.paused.is_some() => draft.done(Reason::InStep),
        Order::Pause { reason } => {
            draft.link.paused = Some(Paused { reason: reason.clone(), at });
            draft.done(Reason::Paused)
        }
        Order::Resume if draft.link.paused.is_none() => draft.done(Reason::InStep),
        Order::Resume => {
            draft.link.paused = None;
            draft.done(Reason::Resumed)
        }
    }
}
