//! What is done when pages do not get through: somebody is told by another way, once an outage and not once a page, and is
//! told that it is over when the pages stand. Pure, and stored step by step.
//!
//! An outage may last for days, if a page that was given up is left lying, and whoever was told may have put it away. So later
//! pages are told under the same name, which pages nobody as long as the first telling stands.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Timestamp;

/// A time in which pages are late, as far as telling somebody of it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// When it was noticed, by our clock. It names the outage: whatever is sent about it carries this name, so that it does
    /// no harm if something is sent twice.
    pub since: Timestamp,
    /// How far it has come.
    pub stage: Stage,
    /// When somebody was told of it last, by our clock: of every page that was late by then.
    #[serde(default)]
    pub told_at: Option<Timestamp>,
}

/// How far telling somebody has come. Stored before anything is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Somebody is to be told, which may have happened.
    Telling,
    /// Somebody was told.
    Told,
    /// It is over, which is to be told, and may have been.
    Ending,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until something else is known about late pages.
    Nothing,
    /// The same, or until that moment has come, by our clock.
    NothingUntil(Timestamp),
    /// Store this, and ask again.
    Store(Outage),
    /// Tell somebody of it.
    Tell(Outage),
    /// Tell that it is over.
    End(Outage),
}

/// What is to be done next, if pages are late, the last of them since `late_since`, or if none is. How long after a telling
/// the next one may come at the earliest is `again_after`.
pub fn next(outage: Option<Outage>, late_since: Option<Timestamp>, now: Timestamp, again_after: Duration) -> Next {
    let Some(outage) = outage else {
        let begun = Outage { since: now, stage: Stage::Telling, told_at: None };
        return if late_since.is_some() { Next::Store(begun) } else { Next::Nothing };
    };
    match (outage.stage, late_since) {
        (Stage::Telling, Some(_)) => Next::Tell(outage),
        (Stage::Told, Some(late_since)) => told(outage, late_since, now, again_after),
        // It may be known to be over already: then this is news again.
        (Stage::Ending, Some(_)) => Next::Store(Outage { stage: Stage::Telling, ..outage }),
        // It may have been told: then that must end. What was not, does not mind being ended.
        (Stage::Telling | Stage::Told, None) => Next::Store(Outage { stage: Stage::Ending, ..outage }),
        (Stage::Ending, None) => Next::End(outage),
    }
}

/// Whether pages have become late that nobody was told of.
fn told(outage: Outage, late_since: Timestamp, now: Timestamp, again_after: Duration) -> Next {
    let again = Next::Store(Outage { stage: Stage::Telling, ..outage });
    // By a clock that was set back, nothing becomes late after that for a while.
    let Some(told_at) = outage.told_at.filter(|told_at| *told_at <= now) else { return again };
    match told_at.plus(again_after) {
        _ if late_since <= told_at => Next::Nothing,
        earliest if earliest <= now => again,
        earliest => Next::NothingUntil(earliest),
    }
}

impl Outage {
    /// What is left of it once what was to be sent has arrived, which tells of what was late at `looked_at`.
    pub fn arrived(self, looked_at: Timestamp) -> Option<Self> {
        match self.stage {
            Stage::Telling | Stage::Told => Some(Self { stage: Stage::Told, told_at: Some(looked_at), ..self }),
            Stage::Ending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(5_000);
    const TOLD_AT: Timestamp = Timestamp::from_millis(1_000);
    const AGAIN_AFTER: Duration = Duration::from_secs(3);

    fn at(stage: Stage) -> Outage {
        Outage { since: Timestamp::from_millis(1), stage, told_at: Some(TOLD_AT) }
    }

    #[test]
    fn an_outage_is_told_once_and_ended_once() {
        let rows = [
            (None, false, Next::Nothing),
            (None, true, Next::Store(Outage { since: NOW, stage: Stage::Telling, told_at: None })),
            (Some(Stage::Telling), true, Next::Tell(at(Stage::Telling))),
            (Some(Stage::Telling), false, Next::Store(at(Stage::Ending))),
            (Some(Stage::Told), true, Next::Nothing),
            (Some(Stage::Told), false, Next::Store(at(Stage::Ending))),
            (Some(Stage::Ending), true, Next::Store(at(Stage::Telling))),
            (Some(Stage::Ending), false, Next::End(at(Stage::Ending))),
        ];
        for (stage, late, expected) in rows {
            let late_since = late.then_some(TOLD_AT);
            assert_eq!(next(stage.map(at), late_since, NOW, AGAIN_AFTER), expected, "{stage:?} {late}");
        }
    }

    #[test]
    fn what_becomes_late_after_somebody_was_told_is_told_as_well_but_not_at_once() {
        let earliest = TOLD_AT.plus(AGAIN_AFTER);
        let rows = [
            (TOLD_AT, earliest, Next::Nothing),
            (Timestamp::from_millis(1_001), Timestamp::from_millis(3_999), Next::NothingUntil(earliest)),
            (Timestamp::from_millis(1_001), earliest, Next::Store(at(Stage::Telling))),
            // The clock was set back.
            (Timestamp::from_millis(900), Timestamp::from_millis(999), Next::Store(at(Stage::Telling))),
        ];
        for (late_since, now, expected) in rows {
            let outage = Some(at(Stage::Told));
            assert_eq!(next(outage, Some(late_since), now, AGAIN_AFTER), expected, "{late_since:?} {now:?}");
        }
        // An older version did not put down when.
        let unknown = Outage { told_at: None, ..at(Stage::Told) };
        let expected = Next::Store(Outage { stage: Stage::Telling, ..unknown.clone() });
        assert_eq!(next(Some(unknown), Some(TOLD_AT), NOW, AGAIN_AFTER), expected);
    }

    #[test]
    fn what_has_arrived_is_not_sent_again() {
        let told = Outage { told_at: Some(NOW), ..at(Stage::Told) };
        assert_eq!(at(Stage::Telling).arrived(NOW), Some(told));
        assert_eq!(at(Stage::Ending).arrived(NOW), None);
    }
}
