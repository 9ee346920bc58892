//! The waiting room: notes on incidents that nobody knows yet, while a create is outstanding that may turn out to be
//! theirs. The events lie in the database; here is in memory what is needed to find them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::engine::{AlertId, Event, IncidentId};

/// How many events may wait.
pub(super) const ROOM: usize = 10_000;

/// An event that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    /// The last marker given to a create when it came: once all up to it have ended, nobody is left to wait for.
    pub(super) until: u64,
    /// The incident that it is about.
    pub(super) incident: IncidentId,
    /// The event.
    pub(super) event: Event,
}

/// Which events wait, and which creates are outstanding.
#[derive(Debug, Default)]
pub(super) struct WaitingRoom {
    // Later events have later markers, or the same ones.
    until: BTreeMap<u64, (u64, IncidentId)>,
    by_incident: HashMap<IncidentId, BTreeSet<u64>>,
    markers: HashMap<AlertId, u64>,
    outstanding: BTreeSet<u64>,
}

impl WaitingRoom {
    /// Takes in event `number`.
    pub(super) fn enter(&mut self, number: u64, until: u64, incident: &IncidentId) {
        self.until.insert(number, (until, incident.clone()));
        self.by_incident.entry(incident.clone()).or_default().insert(number);
    }

    /// Lets out the events of an incident, in the order they came.
    pub(super) fn leave(&mut self, incident: &IncidentId) -> Vec<u64> {
        let numbers = self.by_incident.remove(incident).unwrap_or_default();
        for number in &numbers {
            self.until.remove(number);
        }
        numbers.into_iter().collect()
    }

    /// Lets out the first event that waits in vain.
    pub(super) fn leave_in_vain(&mut self) -> Option<u64> {
        let (&number, (until, incident)) = self.until.first_key_value()?;
        if self.outstanding.first().is_some_and(|first| first <= until) {
            return None;
        }
        if let Some(numbers) = self.by_incident.get_mut(incident) {
            numbers.remove(&number);
            if numbers.is_empty() {
                self.by_incident.remove(incident);
            }
        }
        self.until.remove(&number);
        Some(number)
    }

    /// A create is outstanding now.
    pub(super) fn begin(&mut self, alert: &AlertId, marker: u64) {
        self.markers.insert(alert.clone(), marker);
        self.outstanding.insert(marker);
    }

    /// A create has ended.
    pub(super) fn end(&mut self, alert: &AlertId) {
        if let Some(marker) = self.markers.remove(alert) {
            self.outstanding.remove(&marker);
        }
    }

    /// Whether the alert's create is outstanding.
    pub(super) fn is_outstanding(&self, alert: &AlertId) -> bool {
        self.markers.contains_key(alert)
    }

    /// Whether any create is outstanding.
    pub(super) fn is_open(&self) -> bool {
        !self.outstanding.is_empty()
    }

    /// Whether no more events may wait.
    pub(super) fn is_full(&self) -> bool {
        self.until.len() >= ROOM
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.until.len()
    }
}
