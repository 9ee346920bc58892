//! Resolutions that cross with a change of ours, so that it reopens what was over.

use super::*;

/// Jane acknowledged the alert, or let go of it, and bob resolved the incident between our reading of it and our write.
fn crossed_by_a_resolution(to: Status) -> Pair {
    let mut pair = if to == Status::Open { Pair::acknowledged() } else { Pair::open() };
    pair = pair.with_policy(|policy| policy.on_pagerduty_resolved = OnResolved::Close);
    pair.hear(if to == Status::Open { unack() } else { ack() }.at(10));
    pair
}

/// Ends our change of the incident, which was sent at `sent` and took effect within the second `at`.
fn our_change_ends(pair: &mut Pair, status: Status, sent: i64, at: i64) -> Reason {
    let found = pair.outstanding.iter().position(|c| line(c) == format!("PD {status}")).unwrap();
    let command = pair.outstanding.remove(found);
    pair.end_at(command, Step::Sending { sent_at: second(sent) }, in_state(status, at), second(at + 1)).0
}

#[test]
fn what_we_revive_is_resolved_again_and_the_resolution_counts_whichever_is_heard_first() {
    for status in [Status::Open, Status::Acknowledged] {
        let resolved = || incident_event(IncidentChange::Resolved).at_ms(11_800);
        // By whatever event PagerDuty tells that it is not resolved any more.
        let echo = || {
            incident_event(IncidentChange::Other("incident.escalated".into())).standing(status).by("us").at_ms(12_300)
        };
        let closed = ["OG resolved", "OG note [PagerDuty] bob resolved the incident"];

        let mut pair = crossed_by_a_resolution(status);
        our_change_ends(&mut pair, status, 11, 12);
        pair.expect(resolved(), Reason::Mirrored, &closed);
        let (reason, commands) = pair.hear(echo());
        assert_eq!((reason, commands[0].as_str()), (Reason::Revived, "PD resolved"), "answered first");

        let mut pair = crossed_by_a_resolution(status);
        let cancelled = pair.outstanding.clone();
        pair.expect(resolved(), Reason::Mirrored, &closed);
        pair.outstanding = cancelled;
        assert_eq!(our_change_ends(&mut pair, status, 11, 12), Reason::Carried);
        assert_eq!(pair.known().1, Some(Status::Resolved), "until its own event tells");
        let (reason, commands) = pair.hear(echo());
        assert_eq!((reason, commands[0].as_str()), (Reason::Revived, "PD resolved"), "heard first");
    }
}

#[test]
fn what_we_reopened_is_known_though_nobody_is_named_for_it() {
    for named in [true, false] {
        let mut pair = crossed_by_a_resolution(Status::Acknowledged);
        our_change_ends(&mut pair, Status::Acknowledged, 11, 12);
        pair.hear(incident_event(IncidentChange::Resolved).at_ms(11_800));
        let reopened = incident_event(IncidentChange::Reopened).at_ms(12_300);
        let (reason, commands) = pair.hear(if named { reopened } else { reopened.by_nobody() });
        let again = commands.first().is_some_and(|line| line == "PD resolved");
        assert_eq!((reason == Reason::Revived, again), (!named, !named), "{commands:?}");
    }
}

#[test]
fn a_resolution_from_long_before_our_change_comes_too_late() {
    // Somebody resolved and reopened the incident; then it was read and acknowledged for jane, and only then both are heard.
    let mut pair = Pair::open();
    pair.hear(ack().at(60));
    our_change_ends(&mut pair, Status::Acknowledged, 61, 61);
    pair.expect(incident_event(IncidentChange::Resolved).at(15), Reason::Stale, &[]);
    pair.expect(incident_event(IncidentChange::Reopened).at(16), Reason::Stale, &[]);
    let echo = incident_event(IncidentChange::Acknowledged).by("us").at_ms(61_300);
    pair.expect(echo, Reason::Echo(Guard::Actor), &[]);
    assert_eq!(pair.link().opsgenie.target(), Some(Status::Acknowledged));
}

#[test]
fn a_resolution_that_an_event_has_overtaken_does_not_count_though_our_change_was_near() {
    // It was resolved, reopened, acknowledged and let go of; of the first two was heard only after our change.
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Acknowledged).at(17));
    pair.settle("OG acknowledged", in_state(Status::Acknowledged, 18));
    pair.hear(incident_event(IncidentChange::Unacknowledged).at(22));
    pair.settle("OG open", in_state(Status::Open, 23));
    pair.hear(ack().at(30));
    our_change_ends(&mut pair, Status::Acknowledged, 31, 34);
    pair.expect(incident_event(IncidentChange::Resolved).at(15), Reason::Stale, &[]);
    pair.expect(incident_event(IncidentChange::Reopened).at(16), Reason::Stale, &[]);
    assert_eq!(pair.known(), (Some(Status::Acknowledged), Some(Status::Acknowledged)));
}

#[test]
fn what_a_person_reopened_before_our_change_is_not_resolved_again() {
    let mut pair = Pair::resolved();
    // Nobody told that it was reopened, but we read it, and our change went through.
    pair.hear(ack().at(10));
    our_change_ends(&mut pair, Status::Acknowledged, 11, 12);
    let echo = incident_event(IncidentChange::Acknowledged).by("us").at_ms(12_300);
    pair.expect(echo, Reason::Echo(Guard::Actor), &[]);
    assert_eq!(pair.known().1, Some(Status::Acknowledged));
}

#[test]
fn what_we_reopened_is_resolved_again_and_its_alert_is_closed_by_the_switch() {
    for (switch, closes) in [(OnResolved::Note, false), (OnResolved::Close, true)] {
        let mut pair = Pair::open().with_policy(|policy| policy.on_pagerduty_resolved = switch);
        pair.hear(ack().at(10));
        our_change_ends(&mut pair, Status::Acknowledged, 11, 12);
        // The resolution itself was never heard of.
        let (reason, commands) = pair.hear(incident_event(IncidentChange::Reopened).by("us").at_ms(12_300));
        assert_eq!((reason, commands[0].as_str()), (Reason::Revived, "PD resolved"));
        assert_eq!(commands.contains(&"OG resolved".to_owned()), closes, "{commands:?}");
    }
}

#[test]
fn after_a_resolution_of_what_is_closed_nothing_of_ours_goes_there_any_more() {
    let mut pair = Pair::open().with_policy(|policy| policy.on_pagerduty_resolved = OnResolved::Close);
    pair.hear(incident_event(IncidentChange::Resolved).at(1));
    pair.settle("OG resolved", in_state(Status::Resolved, 2));
    pair.hear(incident_event(IncidentChange::Reopened).at(3));
    pair.link.as_mut().unwrap().pagerduty.commanded = Some(Commanded { status: Status::Open, mark: 99 });
    pair.expect(incident_event(IncidentChange::Resolved).at(4), Reason::InStep, &[]);
    assert_eq!(pair.link().pagerduty.commanded, None);
}
