//! Tells pages that something has changed, by server-sent events. What has changed a page finds by asking for itself again.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use futures_util::Stream;
use futures_util::stream::unfold;

use crate::admin::State;
use crate::admin::api::problem;
use crate::operator::Operator;

/// How many pages may listen at once.
const SEATS: usize = 64;

/// How often a listener's page may change.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long a page is left as it is though nothing has changed: what it says of times grows old, and a page that is gone is
/// noticed only when something is sent to it.
const LONGEST_SILENCE: Duration = Duration::from_secs(15);

const CHANGED: &str = "event: changed\ndata:\n\n";

/// Places for those who listen. Clones are the same places.
#[derive(Clone, Default)]
pub(in crate::admin) struct Seats {
    taken: Arc<AtomicUsize>,
}

impl Seats {
    fn take(&self) -> Option<Seat> {
        // Counted first and given back if there was none left, so that no two take the same one.
        let seat = Seat { taken: Arc::clone(&self.taken) };
        (self.taken.fetch_add(1, Ordering::Relaxed) < SEATS).then_some(seat)
    }
}

/// A place, given back when it is dropped.
struct Seat {
    taken: Arc<AtomicUsize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) async fn live(state: web::Data<State>) -> HttpResponse {
    match state.seats.take() {
        Some(seat) => {
            HttpResponse::Ok().content_type("text/event-stream").streaming(changes(seat, state.operator.clone()))
        }
        None => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "as many pages as may be told of changes are open already: close some",
        ),
    }
}

/// The first change comes at once: the page may be older than its place here.
fn changes(seat: Seat, operator: Operator) -> impl Stream<Item = Result<web::Bytes, Infallible>> {
    unfold((seat, operator, None::<(u64, Instant)>), async |(seat, operator, mut told)| {
        loop {
            let pulse = operator.pulse();
            if told.is_none_or(|(seen, at)| seen != pulse || at.elapsed() >= LONGEST_SILENCE) {
                told = Some((pulse, Instant::now()));
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Some((Ok(web::Bytes::from_static(CHANGED.as_bytes())), (seat, operator, told)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_free_again_when_its_page_is_gone() {
        let seats = Seats::default();
        let taken: Vec<_> = std::iter::from_fn(|| seats.take()).collect();
        assert_eq!(taken.len(), SEATS);
        assert!(seats.take().is_none() && seats.take().is_none());
        drop(taken);
        assert!(seats.take().is_some());
    }
}
