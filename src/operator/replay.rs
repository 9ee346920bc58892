//! Reading the quarantine again: what could not be read when it came may be readable to a newer version.

use crate::clock::now;
use crate::engine::{Event, System};
use crate::opsgenie;
use crate::pagerduty::webhook::{Inbound, parse};
use crate::store::{Form, Quarantined, Recorded, Store, StoreError, Verdict};

/// What became of something in the quarantine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It could be read now, and was recorded.
    Recorded(Recorded),
    /// It could be read now, and is an event of a type that is none of our business: it is gone.
    NothingToDo(String),
    /// It cannot be read still, for that reason, and stays.
    Unreadable(String),
    /// Nothing lies under that number.
    NotThere,
}

/// Reads what lies in the quarantine under that number as its door does now, and records it.
///
/// # Errors
/// Fatal ones of the store only.
pub async fn replay(store: &Store, number: u64) -> Result<Replayed, StoreError> {
    Ok(replay_all(store, &[number]).await?.pop().unwrap_or(Replayed::NotThere))
}

/// The same for several, in this order and in two commits.
///
/// # Errors
/// Fatal ones of the store only.
pub async fn replay_all(store: &Store, numbers: &[u64]) -> Result<Vec<Replayed>, StoreError> {
    let mut replayed = Vec::with_capacity(numbers.len());
    let (mut events, mut over) = (Vec::new(), Vec::new());
    for number in numbers {
        let Some(item) = store.quarantined_under(*number).await? else {
            replayed.push(Replayed::NotThere);
            continue;
        };
        replayed.push(match read(&item) {
            Ok(Read::Event(event)) => {
                events.push((*number, Event { request_id: item.request_id, ..*event }));
                // What the store makes of it is put in its place below.
                Replayed::NotThere
            }
            Ok(Read::Nothing(event_type)) => {
                over.push(*number);
                Replayed::NothingToDo(event_type)
            }
            Err(reason) => Replayed::Unreadable(reason),
        });
    }
    if !over.is_empty() {
        store.discard_all_quarantined(over).await?;
    }
    let read: Vec<u64> = events.iter().map(|(number, _)| *number).collect();
    let recorded = if events.is_empty() { Vec::new() } else { store.replay_all(events).await? };
    for (number, recorded) in read.into_iter().zip(recorded) {
        let place = numbers.iter().zip(&mut replayed).find(|(n, place)| **n == number && **place == Replayed::NotThere);
        if let (Some((_, place)), Some(recorded)) = (place, recorded) {
            *place = Replayed::Recorded(recorded);
        }
    }
    Ok(replayed)
}

/// What was made of an event, in words.
pub fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Repeat => "it had come again meanwhile, and was taken then".to_owned(),
        Verdict::Waiting => "it waits for its incident, which is being created".to_owned(),
        Verdict::Quarantined(number) => format!("it lies in the quarantine again, as {number}"),
        Verdict::Decided(decisions) => {
            let reasons: Vec<_> = decisions.iter().map(|(_, reason)| reason.to_string()).collect();
            reasons.join(", ")
        }
    }
}

/// What something in the quarantine says.
enum Read {
    Event(Box<Event>),
    Nothing(String),
}

fn read(item: &Quarantined) -> Result<Read, String> {
    match (item.form, item.system) {
        // It was read when it came, and its ids were put down then: they must not make a repeat of it.
        (Form::Event, _) => {
            let event: Event = serde_json::from_slice(&item.body).map_err(|error| error.to_string())?;
            Ok(Read::Event(Box::new(Event { dedupe: Vec::new(), ..event })))
        }
        (Form::Webhook, System::Opsgenie) => {
            let webhook = opsgenie::webhook::Authentic::kept(&item.body).map_err(|error| error.to_string())?;
            let event = webhook.parse(now()).map_err(|error| error.to_string())?;
            Ok(Read::Event(Box::new(event)))
        }
        (Form::Webhook, System::PagerDuty) => {
            match parse(&item.body, None, now()).map_err(|error| error.to_string())? {
                Inbound::Event(event) => Ok(Read::Event(Box::new(event))),
                Inbound::Ping => Ok(Read::Nothing("pagey.ping".to_owned())),
                Inbound::Ignored(event_type) => Ok(Read::Nothing(event_type)),
            }
        }
    }
}
