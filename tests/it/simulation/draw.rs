//! From a seed to a plan.

use crosspage::engine::System;
use simulators::Fault;
use simulators::opsgenie::UpdatedAtStyle;
use simulators::pagerduty::UnackEvents;

use super::dice::Dice;
use super::plan::{Act, CallFault, Deed, Fate, Plan, Setup, Trouble};

const BOTH: [System; 2] = [System::Opsgenie, System::PagerDuty];

impl Plan {
    /// The world of a seed.
    pub(super) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let setup = setup(&mut dice);
        let deeds = deeds(&mut dice);
        let end_ms = deeds.last().map_or(0, |deed| deed.at_ms);
        let troubles = troubles(&mut dice, &setup, end_ms);
        Self { seed, setup, deeds, troubles }
    }
}

fn setup(dice: &mut Dice) -> Setup {
    let lags = dice.one_in(2);
    let mut lag = |most: i64| if lags { dice.between(0, most).unsigned_abs() } else { 0 };
    let (opsgenie_lag_ms, pagerduty_lag_ms) = (lag(8_000), lag(1_500));
    Setup {
        close_on_resolved: dice.one_in(2),
        reconciles: !dice.one_in(3),
        misnamed: dice.one_in(4),
        no_user_lookup: dice.one_in(4),
        unsaid_agent: dice.one_in(6),
        unsaid_user: dice.one_in(6),
        unsaid_source: dice.one_in(6),
        noisy: dice.one_in(4),
        processing_ms: dice.pick(&[20, 20, 200, 3_000]),
        opsgenie_lag_ms,
        pagerduty_lag_ms,
        trimmed_notes: dice.one_in(6),
        unack_events: dice.pick(&[UnackEvents::Unacknowledged, UnackEvents::Escalated, UnackEvents::Both]),
        updated_at: dice.pick(&[UpdatedAtStyle::Nanos, UpdatedAtStyle::Nanos, UpdatedAtStyle::Millis]),
        second_create: dice.one_in(6),
        quiet_passes: if dice.one_in(50) { 200 } else { 4 },
    }
}

fn deeds(dice: &mut Dice) -> Vec<Deed> {
    let many = dice.pick(&[3, 6, 10, 16]) + dice.below(4);
    let alerts = dice.pick(&[1, 1, 2, 3]);
    let merges = dice.one_in(3);
    let mut at_ms = 1_000;
    let mut deeds = Vec::new();
    for number in 0..u32::try_from(many).unwrap_or(3) {
        let act = if number < alerts { Act::Create } else { act(dice, merges) };
        let which = usize::try_from(dice.below(u64::from(alerts))).unwrap_or(0);
        deeds.push(Deed { at_ms, number, which, second_person: dice.one_in(2), act });
        at_ms += match dice.below(8) {
            0 | 1 => dice.between(0, 30),
            2 | 3 => dice.between(30, 400),
            4 | 5 => dice.between(400, 3_000),
            6 => dice.between(3_000, 20_000),
            _ => dice.between(20_000, 120_000),
        };
    }
    deeds
}

fn act(dice: &mut Dice, merges: bool) -> Act {
    match dice.below(40) {
        0..=4 => Act::Acknowledge,
        5..=7 => Act::Unacknowledge,
        8..=12 => Act::Note,
        13 | 14 => Act::Close { with_note: dice.one_in(2) },
        15 => Act::Priority(u8::try_from(1 + dice.below(5)).unwrap_or(1)),
        16 => dice.pick(&[Act::Snooze, Act::TakeOwnership, Act::EscalateToNext]),
        17 if dice.one_in(4) => Act::Delete,
        17..=21 => Act::IncidentAcknowledge,
        22..=24 => Act::IncidentUnacknowledge,
        25..=28 => Act::IncidentNote,
        29 | 30 => Act::IncidentResolve { with_note: dice.one_in(2) },
        31 => Act::IncidentReopen,
        32 | 33 if merges => Act::IncidentMerge(1 + usize::try_from(dice.below(2)).unwrap_or(0)),
        32 => Act::IncidentUrgency { high: dice.one_in(2) },
        33 => Act::IncidentPriority(u8::try_from(1 + dice.below(5)).unwrap_or(1)),
        34 => Act::IncidentEscalate,
        35 => Act::IncidentReassign,
        36 => Act::IncidentSnooze,
        37 => Act::AcknowledgementTimesOut,
        38 => Act::OtherEvent,
        _ => Act::Create,
    }
}

fn troubles(dice: &mut Dice, setup: &Setup, end_ms: i64) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    // Some worlds know no trouble but people, and most know some kinds of it only.
    let one_in = dice.pick(&[0, 3, 6, 12]);
    if one_in == 0 {
        return troubles;
    }
    if dice.one_in(2) {
        for from in BOTH {
            for nth in 0..40 {
                if dice.one_in(one_in) {
                    troubles.push(Trouble::Webhook { from, nth, fate: fate(dice, setup) });
                }
            }
        }
    }
    if dice.one_in(2) {
        for system in BOTH {
            for nth in 0..40 {
                if dice.one_in(one_in) {
                    troubles.push(Trouble::Write { to: system, nth, fault: call_fault(dice, system) });
                }
                if dice.one_in(one_in * 2) {
                    troubles.push(Trouble::Read { from: system, nth, fault: call_fault(dice, System::PagerDuty) });
                }
            }
        }
    }
    if dice.one_in(2) {
        for _ in 0..1 + dice.below(4) {
            let nth = u32::try_from(dice.below(120)).unwrap_or(0);
            troubles.push(Trouble::Crash { nth, down_ms: dice.pick(&[10, 500, 5_000, 60_000]) });
        }
    }
    if dice.one_in(4) {
        let of = dice.pick(&BOTH);
        let fault = dice.pick(&[
            CallFault::NotSent,
            CallFault::Vendor(Fault::status(503)),
            CallFault::Vendor(Fault::Throttle { with_headers: true, reset_s: 7 }),
            CallFault::Vendor(Fault::status(401)),
        ]);
        troubles.push(Trouble::Outage {
            of,
            at_ms: dice.between(0, end_ms + 1),
            for_ms: dice.between(100, 90_000),
            fault,
        });
    }
    if dice.one_in(6) {
        let at_ms = dice.between(0, end_ms + 1);
        troubles.push(Trouble::Restart { at_ms, down_ms: dice.pick(&[10, 5_000, 60_000]) });
    }
    if dice.one_in(5) {
        for _ in 0..=dice.below(2) {
            let by_ms = dice.pick(&[-3_600_000, -30_000, -1_500, 1_500, 30_000, 3_600_000]);
            troubles.push(Trouble::Clock { at_ms: dice.between(0, end_ms + 1), by_ms });
        }
    }
    troubles
}

fn fate(dice: &mut Dice, setup: &Setup) -> Fate {
    match dice.below(3) {
        0 if setup.reconciles => Fate::Lost,
        1 => Fate::Again { after_ms: dice.pick(&[5, 300, 8_000, 100_000]) },
        _ => Fate::Late { after_ms: dice.pick(&[50, 700, 5_000, 40_000, 200_000]) },
    }
}

fn call_fault(dice: &mut Dice, system: System) -> CallFault {
    CallFault::Vendor(match dice.below(12) {
        0 => return CallFault::NotSent,
        1 => Fault::status(500),
        2 => Fault::StatusAfter(503),
        3 => Fault::ResetBefore,
        4 | 5 => Fault::ResetAfter,
        6 => Fault::GarbageAfter,
        7 => Fault::Hang,
        8 => Fault::Delay(dice.between(100, 15_000).unsigned_abs()),
        9 => Fault::Throttle { with_headers: dice.one_in(2), reset_s: 3 },
        10 if system == System::Opsgenie => Fault::RequestFails("It was not processed".to_owned()),
        _ => Fault::status(408),
    })
}
