//! Notes that no webhook told of: those of what has moved first, and those of every open link in turn.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, info};

use super::{Reconciler, Trouble};
use crate::engine::{AlertId, Link, Seen, System, Timestamp};
use crate::health;
use crate::metrics::{Operation, Part};

/// Where the round over all open links is.
#[derive(Default)]
pub(super) struct Round {
    after: Option<AlertId>,
    /// By our clock, and by the one that never jumps.
    began: Option<(Timestamp, Instant)>,
    links: u64,
}

/// A side whose notes are to be read, since something about it has moved.
pub(super) struct Moved {
    alert: AlertId,
    system: System,
    tries: u32,
}

/// How often notes are read that the vendor does not tell. The round comes by what is open, and never by what is over.
const MOST_TRIES: u32 = 5;

impl Reconciler {
    /// Something about that side has moved: its notes are to be read before those that are merely next in the round.
    pub(super) fn has_moved(&mut self, alert: AlertId, system: System) {
        if !self.moved.iter().any(|moved| moved.alert == alert && moved.system == system) {
            self.moved.push_back(Moved { alert, system, tries: 1 });
        }
    }

    /// Reads the notes of what has moved, at least of one, and for that long at most: states do not wait for the rest, which is read
    /// after the next pass over them.
    pub(super) async fn read_moved_notes(&mut self, at_most: Duration) {
        let (until, mut paused) = (Instant::now() + at_most, false);
        for _ in 0..self.moved.len() {
            let Some(moved) = self.moved.pop_front() else { break };
            match self.read_moved(&moved).await {
                Err(Trouble::Paused) => {
                    paused = true;
                    self.moved.push_back(moved);
                }
                Err(trouble @ Trouble::Vendor(_)) if moved.tries < MOST_TRIES => {
                    self.leave_for_later(Part::Notes, Err(trouble));
                    self.moved.push_back(Moved { tries: moved.tries + 1, ..moved });
                }
                read => self.leave_for_later(Part::Notes, read),
            }
            if Instant::now() >= until {
                break;
            }
        }
        if paused {
            self.leave_for_later(Part::Notes, Err(Trouble::Paused));
        }
    }

    async fn read_moved(&mut self, moved: &Moved) -> Result<(), Trouble> {
        match self.store.link(&moved.alert).await? {
            Some(link) => self.read_notes(&link, moved.system).await,
            None => Ok(()),
        }
    }

    /// Reads the notes of the next open link.
    pub(super) async fn next_notes(&mut self) {
        let read = self.try_next_notes().await;
        self.leave_for_later(Part::Notes, read);
    }

    async fn try_next_notes(&mut self) -> Result<(), Trouble> {
        let mut links = self.store.open_links_after(self.round.after.clone(), 1).await?;
        let Some(link) = links.pop() else {
            if let Some((_, began)) = self.round.began.take() {
                let (links, took, ended_at) = (self.round.links, began.elapsed(), self.now());
                self.settings.health.read_notes(health::Round { ended_at, took, links });
                let took_s = took.as_secs();
                // With few links a round is short, and not worth a line each.
                if took_s >= 60 {
                    info!(links, took_s, "the notes of every open link were compared");
                } else {
                    debug!(links, took_s, "the notes of every open link were compared");
                }
            }
            self.round = Round::default();
            return Ok(());
        };
        let now = self.now();
        let (began_at, _) = *self.round.began.get_or_insert_with(|| (now, Instant::now()));
        self.round.after = Some(link.alert.clone());
        self.round.links += 1;
        self.settings.health.reads_notes(health::RoundSoFar { began_at, links: self.round.links });
        self.read_notes(&link, System::Opsgenie).await?;
        self.read_notes(&link, System::PagerDuty).await
    }

    async fn read_notes(&mut self, link: &Link, system: System) -> Result<(), Trouble> {
        let (read_started, seen) = match system {
            System::Opsgenie if link.alert_deleted => return Ok(()),
            System::Opsgenie => {
                let call = self.vendors.opsgenie.notes_of(&link.alert);
                match self.call(system, Operation::LIST_ALERT_NOTES, call).await {
                    Ok((read_started, notes)) => (read_started, Seen::AlertNotes(notes)),
                    Err(Trouble::NotFound) => return self.look_whether_it_is_gone(link).await,
                    Err(trouble) => return Err(trouble),
                }
            }
            System::PagerDuty => {
                let Some(incident) = link.incident() else { return Ok(()) };
                let began_at = self.look_begins(system);
                let call = self.vendors.pagerduty.notes_of(incident);
                match self.call(system, Operation::LIST_INCIDENT_NOTES, call).await {
                    Ok((read_started, notes)) => (read_started, Seen::IncidentNotes(incident.clone(), notes)),
                    // Nothing else is asked of what is over.
                    Err(Trouble::NotFound) if link.is_over() => {
                        (began_at, Seen::IncidentNotes(incident.clone(), Vec::new()))
                    }
                    // Listing the incidents will tell.
                    Err(Trouble::NotFound) => return Ok(()),
                    Err(trouble) => return Err(trouble),
                }
            }
        };
        self.saw(&link.alert, read_started, seen).await.map(drop)
    }

    /// An alert without notes to list may have been deleted; it is asked for by itself before that is believed, unless alerts cannot
    /// be listed either: then something else is wrong.
    async fn look_whether_it_is_gone(&mut self, link: &Link) -> Result<(), Trouble> {
        // In this order: whatever is wrong may begin or end in between.
        let call = self.vendors.opsgenie.list_alerts(None, 0);
        self.call(System::Opsgenie, Operation::LIST_ALERTS, call).await?;
        let call = self.vendors.opsgenie.look_at_alert(&link.alert);
        let (started, found) = self.call(System::Opsgenie, Operation::READ_ALERT, call).await?;
        match found {
            Some(_) => Ok(()),
            None => self.saw(&link.alert, started, Seen::NoAlert).await.map(drop),
        }
    }
}
