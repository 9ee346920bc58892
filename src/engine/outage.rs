//! What is done when pages do not get through: somebody is told by another way, once an outage and not once a page, and is
//! told that it is over when the pages stand. Pure, and stored step by step.

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
    /// Nothing, until the number of late pages changes.
    Nothing,
    /// Store this, and ask again.
    Store(Outage),
    /// Tell somebody of it.
    Tell(Outage),
    /// Tell that it is over.
    End(Outage),
}

/// What is to be done next, if pages are late or if none is.
pub fn next(outage: Option<Outage>, pages_are_late: bool, now: Timestamp) -> Next {
    let Some(outage) = outage else {
        return if pages_are_late { Next::Store(Outage { since: now, stage: Stage::Telling }) } else { Next::Nothing };
    };
    match (outage.stage, pages_are_late) {
        (Stage::Telling, true) => Next::Tell(outage),
        (Stage::Told, true) => Next::Nothing,
        // It may be known to be over already: then this is news again.
        (Stage::Ending, true) => Next::Store(Outage { stage: Stage::Telling, ..outage }),
        // It may have been told: then that must end. What was not, does not mind being ended.
        (Stage::Telling | Stage::Told, false) => Next::Store(Outage { stage: Stage::Ending, ..outage }),
        (Stage::Ending, false) => Next::End(outage),
    }
}

impl Outage {
    /// What is left of it once what was to be sent has arrived.
    pub fn arrived(self) -> Option<Self> {
        match self.stage {
            Stage::Telling | Stage::Told => Some(Self { stage: Stage::Told, ..self }),
            Stage::Ending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(5_000);

    fn at(stage: Stage) -> Outage {
        Outage { since: Timestamp::from_millis(1), stage }
    }

    #[test]
    fn an_outage_is_told_once_and_ended_once() {
        let rows = [
            (None, false, Next::Nothing),
            (None, true, Next::Store(Outage { since: NOW, stage: Stage::Telling })),
            (Some(Stage::Telling), true, Next::Tell(at(Stage::Telling))),
            (Some(Stage::Telling), false, Next::Store(at(Stage::Ending))),
            (Some(Stage::Told), true, Next::Nothing),
            (Some(Stage::Told), false, Next::Store(at(Stage::Ending))),
            (Some(Stage::Ending), true, Next::Store(at(Stage::Telling))),
            (Some(Stage::Ending), false, Next::End(at(Stage::Ending))),
        ];
        for (stage, late, expected) in rows {
            assert_eq!(next(stage.map(at), late, NOW), expected, "{stage:?} {late}");
        }
    }

    #[test]
    fn what_has_arrived_is_not_sent_again() {
        assert_eq!(at(Stage::Telling).arrived(), Some(at(Stage::Told)));
        assert_eq!(at(Stage::Ending).arrived(), None);
    }
}
