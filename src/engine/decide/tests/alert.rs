//! What happens to the alert: the first table, and the rules on states, notes and priorities.

use super::*;

#[test]
fn a_creation_pages() {
    let mut pair = Pair::unseen();
    pair.expect(alert_event(AlertAction::Create), Reason::Mirrored, &["PD create disk full"]);
    assert_eq!(pair.link().page, Page::Pending);
}

#[test]
fn a_creation_pages_whoever_is_named_as_its_actor() {
    Pair::unseen().expect(alert_event(AlertAction::Create).by("us"), Reason::Mirrored, &["PD create disk full"]);
}

#[test]
fn a_creation_carries_priority_and_urgency_or_leaves_them_out() {
    use crate::engine::outbox::Urgency::{High, Low};
    let told = [(Some(Priority::P1), Some(High)), (Some(Priority::P3), Some(High)), (Some(Priority::P4), Some(Low))];
    for (priority, urgency) in told.into_iter().chain([(Some(Priority::P5), Some(Low)), (None, None)]) {
        let mut pair = Pair::unseen();
        pair.hear(alert_event(AlertAction::Create).with(AlertFacts { priority, ..AlertFacts::default() }));
        let Action::Create(new) = &pair.outstanding[0].action else { panic!("{:?}", pair.outstanding) };
        assert_eq!((new.priority, new.urgency), (priority, urgency));
        assert_eq!(new.title, "Opsgenie alert a-1", "nothing is told of its headline");
        assert_eq!(new.details.contains("Priority"), priority.is_some());
    }
}

#[test]
fn a_second_creation_is_a_duplicate() {
    for mut pair in [Pair::pending(), Pair::open(), Pair::acknowledged(), Pair::closed()] {
        pair.expect(alert_event(AlertAction::Create), Reason::Duplicate, &[]);
    }
}

#[test]
fn each_action_of_the_table_is_mirrored_or_told() {
    let note = |text: &str| format!("PD note [Opsgenie] jane {text}");
    let told = |action: AlertAction, text: &str| (action, vec![note(text)]);
    let rows = [
        (AlertAction::AddNote { text: "hello".into() }, vec!["PD note [Opsgenie] jane: hello".to_owned()]),
        (AlertAction::Acknowledge { note: None }, vec!["PD acknowledged".into(), note("acknowledged the alert")]),
        (AlertAction::Close { note: None }, vec!["PD resolved".into(), note("closed the alert")]),
        (
            AlertAction::Close { note: Some("fixed".into()) },
            vec!["PD resolved".into(), note("closed the alert: fixed")],
        ),
        told(AlertAction::AssignOwnership { owner: Some("bob".into()) }, "assigned the alert to bob"),
        told(AlertAction::AssignOwnership { owner: None }, "assigned the alert to somebody"),
        told(AlertAction::TakeOwnership, "took ownership of the alert"),
        told(AlertAction::Snooze, "snoozed the alert"),
        told(AlertAction::EscalateToNext, "escalated the alert to the next step"),
        told(AlertAction::Delete, "deleted the alert"),
    ];
    for (action, commands) in rows {
        // Whether the incident stands, is still to be created or was given up, the same is decided.
        let mut given_up = Pair::pending();
        given_up.settle("PD create disk full", dead());
        for mut pair in [Pair::open(), Pair::pending(), given_up] {
            assert_eq!(pair.hear(alert_event(action.clone()).at(3)), (Reason::Mirrored, commands.clone()));
        }
    }
}

#[test]
fn unacknowledge_triggers_the_incident_then_tells_who() {
    Pair::acknowledged().expect(
        unack().at(5),
        Reason::Mirrored,
        &["PD open", "PD note [Opsgenie] jane let go of the alert: it is not acknowledged any more"],
    );
}

#[test]
fn what_the_table_ignores_is_ignored() {
    for name in ["AddTags", "RemoveTags", "AddTeam", "Restart service", "UpdateMessage", "Seen"] {
        Pair::open().expect(alert_event(AlertAction::Other(name.into())), Reason::Ignored, &[]);
    }
}

#[test]
fn an_unnamed_actor_is_somebody() {
    Pair::open().expect(add_note("hello").by_nobody(), Reason::Mirrored, &["PD note [Opsgenie] somebody: hello"]);
}

#[test]
fn a_repeated_state_is_in_step() {
    Pair::acknowledged().expect(ack().at(5), Reason::InStep, &[]);
    Pair::closed().expect(close().at(5), Reason::InStep, &[]);
    Pair::open().expect(unack().at(5), Reason::InStep, &[]);
}

#[test]
fn an_older_state_is_stale_and_a_tie_is_news() {
    let mut pair = Pair::acknowledged();
    pair.hear(unack().at(5));
    pair.expect(ack().at(4), Reason::Stale, &[]);
    let again = ["PD acknowledged", "PD note [Opsgenie] jane acknowledged the alert"];
    pair.expect(ack().at(5), Reason::Mirrored, &again);
}

#[test]
fn a_close_that_overtook_the_acknowledgement_stands() {
    let mut pair = Pair::open();
    pair.hear(close().at(5));
    pair.expect(ack().at(4), Reason::Stale, &[]);
    assert_eq!(pair.known().0, Some(Status::Resolved));
}

#[test]
fn a_close_is_never_stale_and_nothing_follows_it() {
    let mut pair = Pair::acknowledged();
    pair.hear(incident_event(IncidentChange::Unacknowledged).at(5));
    pair.settle("OG open", in_state(Status::Open, 9));
    pair.expect(close().at(8), Reason::Mirrored, &["PD resolved", "PD note [Opsgenie] jane closed the alert"]);
    for late in [ack(), unack(), ack().at(20), unack().at(20)] {
        pair.expect(late, Reason::Stale, &[]);
    }
    assert_eq!(pair.link().opsgenie.known.unwrap().at, Some(second(9)));
}

#[test]
fn a_note_never_makes_a_state_stale() {
    let mut pair = Pair::open();
    pair.hear(add_note("hello").at(9));
    pair.expect(ack().at(5), Reason::Mirrored, &["PD acknowledged", "PD note [Opsgenie] jane acknowledged the alert"]);
}

#[test]
fn states_without_a_time_count_as_they_come() {
    let mut pair = Pair::acknowledged();
    assert_eq!(pair.hear(unack()).0, Reason::Mirrored);
    assert_eq!(pair.hear(ack()).0, Reason::Mirrored);
    assert_eq!(pair.hear(ack()).0, Reason::InStep);
}

#[test]
fn an_incident_that_is_on_its_way_there_is_not_commanded_again() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Acknowledged).at(1));
    pair.expect(ack().at(2), Reason::Echo(Guard::Commanded), &[]);
    pair.settle("OG acknowledged", in_state(Status::Acknowledged, 2));
    pair.expect(ack().at(3), Reason::InStep, &[]);
}

#[test]
fn what_was_said_with_a_repeated_state_is_passed_on() {
    let with_words = alert_event(AlertAction::Acknowledge { note: Some("on it".into()) });
    Pair::acknowledged().expect(with_words.at(5), Reason::Mirrored, &["PD note [Opsgenie] jane: on it"]);
    let blank = alert_event(AlertAction::Acknowledge { note: Some("  ".into()) });
    Pair::acknowledged().expect(blank.at(5), Reason::InStep, &[]);
}

#[test]
fn a_note_and_its_twin_inside_an_action_are_one_within_ten_seconds() {
    let inside = || alert_event(AlertAction::Close { note: Some("fixed".into()) });
    for (first, second) in [(inside(), add_note("fixed")), (add_note("fixed"), inside())] {
        for (seconds, notes) in [(0, 1), (10, 1), (11, 2)] {
            let mut pair = Pair::open();
            pair.hear(first.clone().at(20));
            pair.hear(second.clone().at(20 + seconds));
            let lines: Vec<String> = pair.outstanding.iter().map(line).collect();
            let told = lines.iter().filter(|line| line.contains(": fixed")).count();
            assert_eq!(told, notes, "{seconds} s apart: {lines:?}");
        }
    }
}

#[test]
fn the_twin_of_a_note_says_so_and_is_used_up() {
    let mut pair = Pair::open();
    pair.hear(alert_event(AlertAction::Acknowledge { note: Some("on it".into()) }).at(1));
    pair.expect(add_note("on it").at(1), Reason::NoteTwin, &[]);
    pair.expect(add_note("on it").at(2), Reason::Mirrored, &["PD note [Opsgenie] jane: on it"]);
}

#[test]
fn equal_notes_by_others_or_twice_by_the_same_are_no_twins() {
    let mut pair = Pair::open();
    pair.expect(add_note("hello").at(1), Reason::Mirrored, &["PD note [Opsgenie] jane: hello"]);
    pair.expect(add_note("hello").at(2), Reason::Mirrored, &["PD note [Opsgenie] jane: hello"]);
    let by_bob = alert_event(AlertAction::Acknowledge { note: Some("hello".into()) }).by("bob").at(2);
    pair.expect(by_bob, Reason::Mirrored, &["PD acknowledged", "PD note [Opsgenie] bob acknowledged the alert: hello"]);
}

#[test]
fn a_changed_priority_is_passed_on_once_and_in_order() {
    let to = |priority| alert_event(AlertAction::UpdatePriority).with(priority_of(priority));
    let mut pair = Pair::open();
    pair.expect(to(Some(Priority::P1)).at(5), Reason::Mirrored, &["PD priority P1 by jane"]);
    pair.expect(to(Some(Priority::P1)).at(6), Reason::InStep, &[]);
    pair.expect(to(Some(Priority::P4)).at(5), Reason::Stale, &[]);
    pair.expect(to(Some(Priority::P5)).at(6), Reason::Mirrored, &["PD priority P5 by jane"]);
    pair.expect(to(None).at(7), Reason::Ignored, &[]);
    pair.expect(to(Some(Priority::P2)).at(8).by("us"), Reason::Echo(Guard::Actor), &[]);
}

#[test]
fn a_priority_told_along_with_something_else_does_not_hide_its_change() {
    let mut pair = Pair::open();
    pair.hear(add_note("raising it").with(priority_of(Some(Priority::P1))).at(4));
    let change = alert_event(AlertAction::UpdatePriority).with(priority_of(Some(Priority::P1))).at(5);
    pair.expect(change, Reason::Mirrored, &["PD priority P1 by jane"]);
}

#[test]
fn a_priority_that_is_not_wanted_any_more_leaves_the_states_apart() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Acknowledged).at(1));
    pair.settle("OG acknowledged", Outcome::Dead { reason: "refused".into() });
    let change = |to| alert_event(AlertAction::UpdatePriority).with(priority_of(Some(to)));
    pair.hear(change(Priority::P2).at(4));
    pair.hear(change(Priority::P1).at(5));
    let not_wanted = Outcome::Dropped(DropReason::NotWanted);
    pair.expect_settled("PD priority P2 by jane", not_wanted, Reason::Overtaken, &[]);
}

fn priority_of(priority: Option<Priority>) -> AlertFacts {
    AlertFacts { priority, ..AlertFacts::default() }
}

#[test]
fn facts_are_kept_when_later_events_leave_them_out() {
    let mut pair = Pair::pending();
    pair.hear(ack().with(AlertFacts { entity: Some("db-1".into()), ..AlertFacts::default() }));
    let facts = &pair.link().facts;
    assert_eq!((facts.message.as_deref(), facts.entity.as_deref()), (Some("disk full"), Some("db-1")));
    assert_eq!(facts.created_at, Some(second(0)));
}

#[test]
fn nothing_is_written_to_a_deleted_alert() {
    let mut pair = Pair::open();
    pair.hear(alert_event(AlertAction::Delete));
    pair.expect(alert_event(AlertAction::Delete), Reason::InStep, &[]);
    pair.expect(incident_event(IncidentChange::Acknowledged).at(5), Reason::AlertDeleted, &[]);
    pair.expect(annotated("N7", "hello").at(6), Reason::AlertDeleted, &[]);
    pair.expect(
        incident_event(IncidentChange::MergedInto(incident_id("Q2"))),
        Reason::AlertDeleted,
        &["PD fetch incident"],
    );
}

#[test]
fn an_alert_closed_before_anything_was_sent_pages_nobody() {
    let mut pair = Pair::pending();
    pair.hear(close().at(1));
    let dropped = Outcome::Dropped(DropReason::ClosedBeforeDelivery);
    pair.expect_settled("PD create disk full", dropped, Reason::Overtaken, &[]);
    assert_eq!((&pair.link().page, pair.link().pagerduty.commanded), (&Page::Withheld, None));
    for late in [
        add_note("hello"),
        alert_event(AlertAction::Snooze),
        alert_event(AlertAction::UpdatePriority).with(priority_of(Some(Priority::P1))),
    ] {
        pair.expect(late.at(5), Reason::NoIncident, &[]);
    }
    pair.expect(alert_event(AlertAction::Create), Reason::Duplicate, &[]);
    pair.expect_settled("PD resolved", Outcome::Dropped(DropReason::NoIncident), Reason::Overtaken, &[]);
    // The creation took effect all the same, and shows only now: it must not go on paging.
    let seen = pair.hear(incident_event(IncidentChange::Triggered).at(6));
    let note = "PD note [Opsgenie] The alert was closed before this incident showed";
    assert_eq!(seen, (Reason::Mirrored, vec!["PD resolved".to_owned(), note.to_owned()]));
    assert_eq!(pair.link().page, Page::Standing(incident_id("Q1")));
}

#[test]
fn a_close_that_overtakes_the_creation_pages_nobody() {
    for end in [close(), alert_event(AlertAction::Delete)] {
        let mut pair = Pair::unseen();
        pair.expect(end.at(5), Reason::NoIncident, &[]);
        pair.expect(alert_event(AlertAction::Create).at(4), Reason::Duplicate, &[]);
    }
}

#[test]
fn a_close_that_was_commanded_is_not_cancelled_by_an_older_change() {
    let mut pair = Pair::open().with_policy(|policy| policy.on_pagerduty_resolved = OnResolved::Close);
    pair.hear(incident_event(IncidentChange::Resolved).at(5));
    pair.hear(ack().at(4));
    assert_eq!(pair.link().opsgenie.commanded.map(|c| c.status), Some(Status::Resolved));
}

#[test]
fn what_somebody_changed_back_before_our_change_was_heard_of_is_passed_on_once_ours_is_answered() {
    let told = "PD note [Opsgenie] Somebody let go of the alert: it is not acknowledged any more";
    for (answered_at, commands) in [(11, vec!["PD open", told]), (13, Vec::new())] {
        let mut pair = Pair::open();
        pair.hear(incident_event(IncidentChange::Acknowledged).at(10));
        pair.expect(unack().at(12), Reason::InStep, &[]);
        let reason = if commands.is_empty() { Reason::Carried } else { Reason::Mirrored };
        pair.expect_settled("OG acknowledged", in_state(Status::Acknowledged, answered_at), reason, &commands);
        pair.hear(ack().by("us").at(answered_at));
        let is = if commands.is_empty() { Status::Acknowledged } else { Status::Open };
        assert_eq!(pair.link().opsgenie.known.map(|known| known.status), Some(is));
    }
    let mut pair = Pair::acknowledged();
    pair.hear(incident_event(IncidentChange::Unacknowledged).at(10));
    pair.expect(ack().at(12), Reason::InStep, &[]);
    let told = "PD note [Opsgenie] Somebody acknowledged the alert";
    pair.expect_settled("OG open", in_state(Status::Open, 11), Reason::Mirrored, &["PD acknowledged", told]);
}

#[test]
fn a_close_after_a_reopening_resolves_though_that_it_is_closed_was_found_out_before() {
    for (reopened_at, told_at, resolves) in
        [(20_000, 31, true), (30_500, 31, false), (40_000, 31, false), (20_000, 32, false)]
    {
        let mut pair = Pair::open().with_policy(|policy| policy.on_pagerduty_resolved = OnResolved::Close);
        pair.hear(incident_event(IncidentChange::Resolved).at(10));
        // Somebody was quicker to close it.
        pair.settle("OG resolved", in_state(Status::Resolved, 31));
        pair.expect(incident_event(IncidentChange::Reopened).at_ms(reopened_at), Reason::AlertClosed, &[]);
        let (reason, commands) = pair.hear(close().at(told_at));
        let seen = (reason == Reason::Mirrored, commands.iter().any(|line| line == "PD resolved"));
        assert_eq!(seen, (resolves, resolves), "{reopened_at} {told_at}");
    }
}

#[test]
fn acknowledge_and_let_go_before_the_incident_stands_are_both_commanded() {
    let mut pair = Pair::pending();
    pair.hear(ack().at(1));
    pair.hear(unack().at(2));
    let states: Vec<String> = pair.outstanding.iter().map(line).filter(|l| !l.contains("note")).collect();
    assert_eq!(states, ["PD create disk full", "PD acknowledged", "PD open"]);
}

#[test]
fn an_incident_that_is_still_to_be_created_counts_as_open() {
    let mut pair = Pair::pending();
    pair.settle("PD create disk full", dead());
    pair.hear(ack().at(1));
    pair.settle("PD acknowledged", Outcome::Dropped(DropReason::NoIncident));
    pair.expect(unack().at(2), Reason::InStep, &[]);
}
