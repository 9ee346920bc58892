//! Tells pages that something has changed, by server-sent events. What has changed a page finds by asking for itself again.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::Instant;

use crate::admin::State;
use crate::admin::api::problem;

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
            let operator = state.operator.clone();
            let told = changes(seat, move || operator.pulse());
            HttpResponse::Ok().content_type("text/event-stream").streaming(told)
        }
        None => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "as many pages as may be told of changes are open already: close some",
        ),
    }
}

/// Tells when `pulse` is another one. The first change comes at once: the page may be older than its place here.
fn changes(seat: Seat, pulse: impl Fn() -> u64) -> impl Stream<Item = Result<web::Bytes, Infallible>> {
    unfold((seat, pulse, None::<(u64, Instant)>), async |(seat, pulse_of, mut told)| {
        loop {
            let pulse = pulse_of();
            if told.is_none_or(|(seen, at)| seen != pulse || at.elapsed() >= LONGEST_SILENCE) {
                told = Some((pulse, Instant::now()));
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Some((Ok(web::Bytes::from_static(CHANGED.as_bytes())), (seat, pulse_of, told)))
    })
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::StreamExt;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_told_soon_and_no_silence_is_too_long() {
        let pulse = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&pulse);
        let mut told = pin!(changes(Seats::default().take().unwrap(), move || seen.load(Ordering::Relaxed) as u64));
        let begun = Instant::now();
        told.next().await.unwrap().unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "at once");
        pulse.store(1, Ordering::Relaxed);
        told.next().await.unwrap().unwrap();
        assert!(begun.elapsed() <= LOOK_EVERY, "{:?}", begun.elapsed());
        let changed = Instant::now();
        told.next().await.unwrap().unwrap();
        let silence = changed.elapsed();
        assert!((LONGEST_SILENCE..=LONGEST_SILENCE + LOOK_EVERY).contains(&silence), "{silence:?}");
    }

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
