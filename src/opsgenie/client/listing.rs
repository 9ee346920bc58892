//! Lists for the reconciler, a page at a time.

use reqwest::Method;
use serde_json::Value;

use super::{Client, WireEnvelope, fetched};
use crate::engine::outbox::FetchedAlert;
use crate::engine::outbox::call::{Failure, Refusal};
use crate::engine::{Actor, AlertId, SeenNote};
use crate::http::unreadable;
use crate::opsgenie::{filled, moment};

/// How many alerts a page holds at most.
const PAGE_SIZE: u32 = 100;

/// How far a list can be paged through: offset and limit together must stay below 20,000, as is documented for the API's
/// successor.
pub const LONGEST_LISTING: u32 = 19_900;

/// An alert as it was listed. Lists leave out descriptions, entities and details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedAlert {
    /// Its id.
    pub id: AlertId,
    /// What it says of itself, and where it stands.
    pub alert: FetchedAlert,
}

/// A page of alerts, the last changed ones first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertPage {
    /// The alerts that could be read.
    pub alerts: Vec<ListedAlert>,
    /// Where the next page begins, if there may be one; beyond [`LONGEST_LISTING`], it cannot be had.
    pub next: Option<u32>,
}

impl Client {
    /// A page of the alerts that `query` selects, the last changed ones first.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn list_alerts(&self, query: Option<&str>, offset: u32) -> Result<AlertPage, Failure> {
        let mut request = self.request(Method::GET, &["v2", "alerts"]).query(&[
            ("sort", "updatedAt"),
            ("order", "desc"),
            ("limit", &PAGE_SIZE.to_string()),
            ("offset", &offset.to_string()),
        ]);
        if let Some(query) = query {
            request = request.query(&[("query", query)]);
        }
        let data: Vec<Value> =
            self.send(request).await?.read::<WireEnvelope<Vec<Value>>>()?.data.ok_or_else(unreadable)?;
        let count = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let listed = |data: &Value| {
            let id = AlertId::try_from(data.get("id")?.as_str()?).ok()?;
            Some(ListedAlert { id, alert: fetched(data)? })
        };
        let next = (count >= PAGE_SIZE).then_some(offset.saturating_add(PAGE_SIZE));
        Ok(AlertPage { alerts: data.iter().filter_map(listed).collect(), next })
    }

    /// An alert; nothing if there is none of that id.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn look_at_alert(&self, id: &AlertId) -> Result<Option<FetchedAlert>, Failure> {
        let answered = self.send(self.alert(Method::GET, id, &[])).await?;
        match answered.read::<WireEnvelope<Value>>() {
            Ok(answer) => answer.data.as_ref().and_then(fetched).map(Some).ok_or_else(unreadable),
            Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// All notes of an alert, oldest first.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn notes_of(&self, id: &AlertId) -> Result<Vec<SeenNote>, Failure> {
        let notes = self.all_notes(id).await?.into_iter().rev();
        let seen = notes.filter_map(|note| {
            let by = Actor { name: filled(note.owner), person: true, ..Actor::nobody() };
            Some(SeenNote { id: None, by, text: note.note?, at: moment(&note.created_at) })
        });
        Ok(seen.collect())
    }
}
