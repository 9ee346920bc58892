//! Which lane may be worked on, and when. A lane is what is bound for one system on behalf of one alert, first come
//! first served. All of this is in memory and made anew at every start: claims end with the process that made them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::engine::{AlertId, Entry, System, Timestamp};
use crate::store::types::Queued;

/// An entry due later than this was put off before the clock was set back: nothing is put off for so long.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// All lanes.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    opsgenie: Side,
    pagerduty: Side,
}

/// The lanes of one system.
#[derive(Debug, Default)]
pub(super) struct Side {
    lanes: HashMap<AlertId, Lane>,
    due: BTreeSet<(Timestamp, AlertId)>,
    changed: bool,
}

#[derive(Debug)]
struct Lane {
    entries: VecDeque<Slot>,
    state: State,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    queued_at: Timestamp,
    due_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It lies in the set of what is due, at that time.
    Due(Timestamp),
    /// Somebody works on its first entry.
    Claimed,
    /// It is held until its link's page changes, or its link is resumed.
    Parked,
}

impl Schedule {
    /// The lanes of one system.
    pub(super) fn side(&self, system: System) -> &Side {
        match system {
            System::Opsgenie => &self.opsgenie,
            System::PagerDuty => &self.pagerduty,
        }
    }

    /// The lanes of one system, to change them.
    pub(super) fn side_mut(&mut self, system: System) -> &mut Side {
        match system {
            System::Opsgenie => &mut self.opsgenie,
            System::PagerDuty => &mut self.pagerduty,
        }
    }
}

impl Side {
    /// Takes in an entry, behind those with smaller numbers.
    pub(super) fn push(&mut self, entry: &Entry) {
        let slot = Slot { id: entry.id, queued_at: entry.queued_at, due_at: entry.due_at };
        let Some(lane) = self.lanes.get_mut(&entry.alert) else {
            let lane = Lane { entries: VecDeque::from([slot]), state: State::Parked };
            self.lanes.insert(entry.alert.clone(), lane);
            self.wake(&entry.alert);
            return;
        };
        // Somebody works on the first entry of a claimed lane, and it must stay the first.
        let first = usize::from(lane.state == State::Claimed);
        let place = lane.entries.partition_point(|other| other.id < slot.id).max(first);
        lane.entries.insert(place, slot);
        if place == 0 && matches!(lane.state, State::Due(_)) {
            self.wake(&entry.alert);
        }
    }

    /// Claims the lane that has been due for longest, and says whose it is and which entry is its first.
    pub(super) fn claim(&mut self, now: Timestamp) -> Option<(AlertId, u64)> {
        let beyond = now.plus(LONGEST_WAIT);
        let (_, alert) = self
            .due
            .first()
            .filter(|(due, _)| *due <= now)
            .or_else(|| self.due.last().filter(|(due, _)| *due > beyond))
            .cloned()?;
        self.put(&alert, State::Claimed);
        let first = self.lanes.get(&alert)?.entries.front()?.id;
        Some((alert, first))
    }

    /// Holds a lane until [`Side::unpark`].
    pub(super) fn park(&mut self, alert: &AlertId) {
        self.put(alert, State::Parked);
    }

    /// Lets a parked lane go on.
    pub(super) fn unpark(&mut self, alert: &AlertId) {
        if self.lanes.get(alert).is_some_and(|lane| lane.state == State::Parked) {
            self.wake(alert);
        }
    }

    /// Whether entry `id` is claimed.
    pub(super) fn is_claimed(&self, alert: &AlertId, id: u64) -> bool {
        self.lanes.get(alert).is_some_and(|lane| {
            lane.state == State::Claimed && lane.entries.front().is_some_and(|first| first.id == id)
        })
    }

    /// Ends the claim of a lane; its first entry is due at `due_at` next.
    pub(super) fn release(&mut self, alert: &AlertId, due_at: Timestamp) {
        if let Some(first) = self.lanes.get_mut(alert).and_then(|lane| lane.entries.front_mut()) {
            first.due_at = due_at;
        }
        self.wake(alert);
    }

    /// Ends the claim of a lane, and takes its first entry out.
    pub(super) fn pop(&mut self, alert: &AlertId) {
        if let Some(lane) = self.lanes.get_mut(alert) {
            lane.entries.pop_front();
        }
        self.wake(alert);
    }

    /// Takes a whole lane out, and says which entries it had.
    pub(super) fn remove(&mut self, alert: &AlertId) -> Vec<u64> {
        self.put(alert, State::Parked);
        self.lanes.remove(alert).map(|lane| lane.entries.iter().map(|slot| slot.id).collect()).unwrap_or_default()
    }

    /// When the next lane is due, or was.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether a lane became due, now or later, since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// How much there is.
    pub(super) fn queued(&self) -> Queued {
        Queued {
            entries: self.lanes.values().map(|lane| lane.entries.len()).sum(),
            lanes: self.lanes.len(),
            parked: self.lanes.values().filter(|lane| lane.state == State::Parked).count(),
            oldest: self.lanes.values().filter_map(|lane| lane.entries.front()).map(|slot| slot.queued_at).min(),
        }
    }

    /// Puts a lane where its first entry belongs; an empty one is gone.
    fn wake(&mut self, alert: &AlertId) {
        let first = self.lanes.get(alert).and_then(|lane| lane.entries.front()).map(|slot| slot.due_at);
        match first {
            Some(due) => {
                self.put(alert, State::Due(due));
                self.changed = true;
            }
            None => {
                self.remove(alert);
            }
        }
    }

    fn put(&mut self, alert: &AlertId, state: State) {
        let Some(lane) = self.lanes.get_mut(alert) else { return };
        if let State::Due(due) = std::mem::replace(&mut lane.state, state) {
            self.due.remove(&(due, alert.clone()));
        }
        if let State::Due(due) = state {
            self.due.insert((due, alert.clone()));
        }
    }
}
