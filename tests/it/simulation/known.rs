//! Worlds by hand: what seldom comes together by chance, and once broke a promise.

use simulators::opsgenie::UpdatedAtStyle;
use simulators::pagerduty::UnackEvents;

use super::plan::{Act, Deed, Plan, Setup, Trouble};
use super::planted::Planted;
use super::run::run;

/// Nothing is out of the ordinary.
fn setup() -> Setup {
    Setup {
        close_on_resolved: false,
        reconciles: true,
        misnamed: false,
        no_user_lookup: false,
        unsaid_agent: false,
        unsaid_user: false,
        unsaid_source: false,
        noisy: false,
        processing_ms: 20,
        opsgenie_lag_ms: 0,
        pagerduty_lag_ms: 0,
        trimmed_notes: false,
        unack_events: UnackEvents::Unacknowledged,
        updated_at: UpdatedAtStyle::Nanos,
        second_create: false,
        quiet_passes: 4,
    }
}

/// All about one alert, each at its time.
fn deeds(acts: &[(i64, Act)]) -> Vec<Deed> {
    let deed =
        |(number, &(at_ms, act)): (u32, &(i64, Act))| Deed { at_ms, number, which: 0, second_person: false, act };
    (0..).zip(acts).map(deed).collect()
}

#[track_caller]
fn keeps_every_promise(setup: Setup, acts: &[(i64, Act)], troubles: Vec<Trouble>) {
    let plan = Plan { seed: 1, setup, deeds: deeds(acts), troubles };
    let outcome = run(&plan, Planted::Nothing, true);
    assert_eq!(outcome.kept, Ok(()), "{}", outcome.trace.join("\n"));
}

#[test]
fn an_alert_that_cannot_be_read_yet_is_not_taken_for_deleted_though_our_clock_has_jumped_ahead() {
    let young = [(1_000, Act::Create), (11_000, Act::IncidentNote)];
    let jump = Trouble::Clock { at_ms: 3_000, by_ms: 30_000 };
    let restart = Trouble::Restart { at_ms: 2_000, down_ms: 2_000 };
    keeps_every_promise(Setup { opsgenie_lag_ms: 7_000, ..setup() }, &young, vec![restart, jump]);
}
