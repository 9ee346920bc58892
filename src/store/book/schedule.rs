//! Which lane may be worked on, and when. A lane is what is bound for one system on behalf of one alert, first come
//! first served. All of this is in memory and made anew at every start: claims end with the process that made them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::engine::{AlertId, Class, Entry, System, Timestamp};
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
    /// The lanes that nobody works on, by class and then by when they are due.
    due: [BTreeSet<(Timestamp, AlertId)>; CLASSES],
    changed: bool,
}

const CLASSES: usize = Class::OF_COMMANDS.len();

#[derive(Debug)]
struct Lane {
    entries: VecDeque<Slot>,
    /// How many entries there are of each class.
    counts: [usize; CLASSES],
    state: State,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    class: Class,
    queued_at: Timestamp,
    due_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It lies in the set of what is due, of that class and at that time.
    Due(Class, Timestamp),
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

impl Lane {
    fn new() -> Self {
        Self { entries: VecDeque::new(), counts: [0; CLASSES], state: State::Parked }
    }

    /// Puts an entry behind those with smaller numbers; whether it is the first now.
    fn insert(&mut self, slot: Slot) -> bool {
        self.counts[slot.class as usize] += 1;
        // Somebody works on the first entry of a claimed lane, and it must stay the first.
        let first = usize::from(self.state == State::Claimed);
        let place = self.entries.partition_point(|other| other.id < slot.id).max(first);
        self.entries.insert(place, slot);
        place == 0
    }

    fn pop(&mut self) {
        if let Some(slot) = self.entries.pop_front() {
            self.counts[slot.class as usize] -= 1;
        }
    }

    /// The class of its most urgent entry: what stands before that one is in its way.
    fn class(&self) -> Option<Class> {
        Class::OF_COMMANDS.into_iter().find(|class| self.counts[*class as usize] > 0)
    }
}

impl Side {
    /// Takes in an entry, behind those with smaller numbers.
    pub(super) fn push(&mut self, entry: &Entry) {
        let class = entry.command.action.class();
        let slot = Slot { id: entry.id, class, queued_at: entry.queued_at, due_at: entry.due_at };
        let lane = self.lanes.entry(entry.alert.clone()).or_insert_with(Lane::new);
        let (was_empty, class_before) = (lane.entries.is_empty(), lane.class());
        let is_first = lane.insert(slot);
        let moves = matches!(lane.state, State::Due(..)) && (is_first || lane.class() != class_before);
        if was_empty || moves {
            self.wake(&entry.alert);
        }
    }

    /// Claims the lane of that class that has been due for longest, and says whose it is and which entry is its first.
    pub(super) fn claim(&mut self, class: Class, now: Timestamp) -> Option<(AlertId, u64)> {
        let beyond = now.plus(LONGEST_WAIT);
        let due = self.due.get(class as usize)?;
        let (_, alert) = due
            .first()
            .filter(|(due, _)| *due <= now)
            .or_else(|| due.last().filter(|(due, _)| *due > beyond))
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

    /// Whether there is anything in a lane.
    pub(super) fn has(&self, alert: &AlertId) -> bool {
        self.lanes.contains_key(alert)
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
            lane.pop();
        }
        self.wake(alert);
    }

    /// Takes a whole lane out, and says which entries it had.
    pub(super) fn remove(&mut self, alert: &AlertId) -> Vec<u64> {
        self.put(alert, State::Parked);
        self.lanes.remove(alert).map(|lane| lane.entries.iter().map(|slot| slot.id).collect()).unwrap_or_default()
    }

    /// The entries of an alert's lane, in order.
    pub(super) fn lane(&self, alert: &AlertId) -> impl Iterator<Item = u64> + use<'_> {
        self.lanes.get(alert).into_iter().flat_map(|lane| lane.entries.iter().map(|slot| slot.id))
    }

    /// When the next lane of each class is due, or was.
    pub(super) fn due(&self) -> [Option<Timestamp>; CLASSES] {
        self.due.each_ref().map(|due| due.first().map(|(due, _)| *due))
    }

    /// Whether a lane became due, now or later, since this was last asked.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// How much there is.
    pub(super) fn queued(&self) -> Queued {
        let oldest = |which: fn(&&Lane) -> bool| {
            let firsts = self.lanes.values().filter(which).filter_map(|lane| lane.entries.front());
            firsts.map(|slot| slot.queued_at).min()
        };
        Queued {
            entries: self.lanes.values().map(|lane| lane.entries.len()).sum(),
            lanes: self.lanes.len(),
            parked: self.lanes.values().filter(|lane| lane.state == State::Parked).count(),
            oldest: oldest(|_| true),
            oldest_not_parked: oldest(|lane| lane.state != State::Parked),
        }
    }

    /// Puts a lane where its first entry and its most urgent one belong; an empty one is gone.
    fn wake(&mut self, alert: &AlertId) {
        let lane = self.lanes.get(alert);
        let place = lane.and_then(|lane| Some(State::Due(lane.class()?, lane.entries.front()?.due_at)));
        match place {
            Some(due) => {
                self.put(alert, due);
                self.changed = true;
            }
            None => {
                self.remove(alert);
            }
        }
    }

    fn put(&mut self, alert: &AlertId, state: State) {
        let Some(lane) = self.lanes.get_mut(alert) else { return };
        if let State::Due(class, due) = std::mem::replace(&mut lane.state, state) {
            self.due[class as usize].remove(&(due, alert.clone()));
        }
        if let State::Due(class, due) = state {
            self.due[class as usize].insert((due, alert.clone()));
        }
    }
}
