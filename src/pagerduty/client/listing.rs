//! Lists for the reconciler, a page at a time.

use super::{Client, PAGE_SIZE};
use crate::engine::outbox::call::{Failure, IncidentState, Refusal};
use crate::engine::{IncidentId, SeenNote, Timestamp};
use crate::http::unreadable;
use crate::pagerduty::wire::{WireIncident, WireIncidentEnvelope, WireIncidents, WireNotes, WireReference, moment};

/// How far a list can be paged through: PagerDuty lists no more than 10,000 of anything.
pub const LONGEST_LISTING: u32 = 10_000;

/// An incident as it was listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedIncident {
    /// Where it stands.
    pub state: IncidentState,
    /// When anything about it was last changed, by PagerDuty's clock.
    pub updated_at: Option<Timestamp>,
}

/// A page of incidents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncidentPage {
    /// The incidents that could be read.
    pub incidents: Vec<ListedIncident>,
    /// Whether there are more.
    pub more: bool,
}

impl Client {
    /// A page of the service's open incidents, oldest first.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn list_open_incidents(&self, offset: u32) -> Result<IncidentPage, Failure> {
        let request = self.get(&["incidents"]).query(&[
            ("service_ids[]", self.service_id.as_str()),
            ("statuses[]", "triggered"),
            ("statuses[]", "acknowledged"),
            // Without it, only the last month is listed.
            ("date_range", "all"),
            ("sort_by", "created_at:asc"),
            ("limit", &PAGE_SIZE.to_string()),
            ("offset", &offset.to_string()),
        ]);
        let page: WireIncidents = self.fetch(request).await?;
        let incidents = page.incidents.ok_or_else(unreadable)?;
        Ok(IncidentPage {
            incidents: incidents.into_iter().filter_map(listed).collect(),
            more: page.more == Some(true),
        })
    }

    /// An incident; nothing if there is none of that id.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn look_at_incident(&self, id: &IncidentId) -> Result<Option<ListedIncident>, Failure> {
        match self.fetch::<WireIncidentEnvelope>(self.get(&["incidents", id.as_str()])).await {
            Ok(answer) => answer.incident.and_then(listed).map(Some).ok_or_else(unreadable),
            Err(Failure::Refused { meaning: Refusal::NotFound, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// All notes of an incident, oldest first.
    ///
    /// # Errors
    /// Whatever went wrong with the call.
    pub async fn notes_of(&self, id: &IncidentId) -> Result<Vec<SeenNote>, Failure> {
        let list: WireNotes = self.fetch(self.get(&["incidents", id.as_str(), "notes"])).await?;
        let notes = list.notes.ok_or_else(unreadable)?.into_iter();
        let seen = notes.filter_map(|note| {
            let by = note.user.as_ref().map(WireReference::actor).unwrap_or_default();
            let at = note.created_at.as_deref().and_then(moment);
            Some(SeenNote { id: note.id, by, text: note.content?, at })
        });
        let mut seen: Vec<_> = seen.collect();
        // Nobody could verify their order.
        seen.sort_by_key(|note| note.at);
        Ok(seen)
    }
}

fn listed(incident: WireIncident) -> Option<ListedIncident> {
    let updated_at = incident.updated_at();
    Some(ListedIncident { state: incident.state()?, updated_at })
}
