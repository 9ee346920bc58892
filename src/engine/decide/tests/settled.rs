//! How our own commands end, and what follows.

use super::*;

#[test]
fn a_created_incident_makes_the_link_stand() {
    let mut pair = Pair::pending();
    pair.expect_settled("PD create disk full", created("Q1"), Reason::Carried, &[]);
    assert_eq!(pair.link().incident(), Some(&incident_id("Q1")));
    assert_eq!(pair.known().1, Some(Status::Open));
    pair.expect(incident_event(IncidentChange::Triggered).by("us").at(0), Reason::Echo(Guard::Actor), &[]);
}

#[test]
fn an_incident_that_was_found_acknowledged_waits_for_the_word_of_who_did_it() {
    let mut pair = Pair::pending();
    let (incident, at) = (incident_id("Q1"), Some(second(7)));
    let found = Outcome::Created { incident, status: Status::Acknowledged, at, author: None };
    pair.expect_settled("PD create disk full", found, Reason::Carried, &[]);
    let commands = ["OG acknowledged", "OG note [PagerDuty] bob acknowledged the incident"];
    pair.expect(incident_event(IncidentChange::Acknowledged).at_ms(7_300), Reason::Mirrored, &commands);
}

#[test]
fn what_a_bare_creation_left_out_follows_as_a_note() {
    let mut pair = Pair::pending();
    let mut command = pair.outstanding.remove(0);
    let Action::Create(new) = &mut command.action else { panic!("{command:?}") };
    new.bare = true;
    let seen = pair.end(command, created("Q1"));
    let told = "PD note [Opsgenie] PagerDuty did not take these with the incident:\nOpsgenie alert: a-1";
    assert_eq!(seen, (Reason::Carried, vec![told.to_owned()]));
}

#[test]
fn a_written_note_is_put_down_as_done() {
    let mut pair = Pair::open();
    pair.hear(add_note("hello"));
    pair.expect_settled("PD note [Opsgenie] jane: hello", noted("N7"), Reason::Carried, &[]);
    let note = &pair.link().written[0];
    assert_eq!((note.done, note.echoed, note.id.as_deref()), (true, false, Some("N7")));
}

#[test]
fn the_echo_of_a_note_may_overtake_the_answer_to_its_write() {
    let mut pair = Pair::open();
    pair.hear(add_note("hello"));
    pair.hear(annotated("N7", "[Opsgenie] jane: hello").by("us"));
    pair.expect_settled("PD note [Opsgenie] jane: hello", NOTED, Reason::Carried, &[]);
    let note = &pair.link().written[0];
    assert_eq!((note.done, note.echoed, note.id.as_deref()), (true, true, Some("N7")));
}

#[test]
fn a_settled_state_is_known_and_no_longer_commanded() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.expect_settled("PD acknowledged", in_state(Status::Acknowledged, 2), Reason::Carried, &[]);
    let side = &pair.link().pagerduty;
    assert_eq!((side.commanded, side.known.unwrap().at), (None, Some(second(2))));
    assert_eq!(pair.known().1, Some(Status::Acknowledged));
}

#[test]
fn only_the_last_command_of_a_side_ends_the_waiting_for_it() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.hear(unack().at(2));
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 3));
    assert_eq!(pair.link().pagerduty.target(), Some(Status::Open));
    pair.settle("PD open", dead());
    assert_eq!(pair.link().pagerduty.target(), Some(Status::Acknowledged));
}

#[test]
fn a_resolved_incident_is_not_revived_and_the_alert_is_told_once() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.hear(unack().at(2));
    let superseded = || Outcome::Superseded { at: Some(second(1)) };
    let told = ["OG note [PagerDuty] The incident is resolved already, so the acknowledgement was not passed on"];
    pair.expect_settled("PD acknowledged", superseded(), Reason::Superseded, &told);
    pair.expect_settled("PD open", superseded(), Reason::Superseded, &[]);
    // Who resolved it is still to be heard.
    let told = ["OG note [PagerDuty] bob resolved the incident"];
    pair.expect(incident_event(IncidentChange::Resolved).at(1), Reason::Mirrored, &told);
}

#[test]
fn after_a_reopening_the_alert_is_told_again() {
    let mut pair = Pair::acknowledged();
    pair.hear(incident_event(IncidentChange::Resolved).at(3));
    pair.hear(unack().at(5));
    let told = ["OG note [PagerDuty] The incident is resolved already, so the un-acknowledgement was not passed on"];
    pair.expect_settled("PD open", Outcome::Superseded { at: None }, Reason::Superseded, &told);
    pair.hear(incident_event(IncidentChange::Reopened).at(6));
    pair.hear(incident_event(IncidentChange::Resolved).at(7));
    pair.hear(ack().at(8));
    let told = ["OG note [PagerDuty] The incident is resolved already, so the acknowledgement was not passed on"];
    pair.expect_settled("PD acknowledged", Outcome::Superseded { at: None }, Reason::Superseded, &told);
}

#[test]
fn a_reopening_is_news_though_nothing_but_a_change_of_ours_has_told_of_the_resolution() {
    let found_over = || {
        let mut pair = Pair::open();
        pair.hear(incident_event(IncidentChange::Triggered).at(1));
        pair.hear(ack().at(5));
        pair.settle("PD acknowledged", Outcome::Superseded { at: Some(second(4)) });
        pair
    };
    let reopened = |at| incident_event(IncidentChange::Reopened).at(at);
    let commands = ["OG open", "OG note [PagerDuty] bob reopened the incident"];
    let mut pair = found_over();
    pair.expect(reopened(6), Reason::Mirrored, &commands);
    pair.expect(reopened(6), Reason::InStep, &[]);
    let mut pair = found_over();
    pair.expect(reopened(1), Reason::InStep, &[]);
}

#[test]
fn nobody_is_told_of_what_came_too_late_for_a_closed_or_deleted_alert() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Acknowledged).at(1));
    pair.hear(close().at(2));
    pair.expect_settled("OG acknowledged", Outcome::Superseded { at: None }, Reason::Superseded, &[]);
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.hear(alert_event(AlertAction::Delete));
    pair.expect_settled("PD acknowledged", Outcome::Superseded { at: None }, Reason::Superseded, &[]);
}

#[test]
fn a_priority_that_cannot_be_shown_is_told() {
    for (outcome, commands) in [
        (Outcome::Prioritised, vec![]),
        (Outcome::NotApplicable, vec!["PD note [Opsgenie] jane changed the priority to P1"]),
        (Outcome::Dropped(DropReason::NoIncident), vec![]),
    ] {
        let mut pair = Pair::open();
        let priority = Some(Priority::P1);
        pair.hear(alert_event(AlertAction::UpdatePriority).with(AlertFacts { priority, ..AlertFacts::default() }));
        let reason = if matches!(outcome, Outcome::Dropped(_)) { Reason::Overtaken } else { Reason::Carried };
        pair.expect_settled("PD priority P1 by jane", outcome, reason, &commands);
    }
}

#[test]
fn behind_a_dead_creation_what_is_bound_for_pagerduty_is_still_decided_in_order() {
    let mut pair = Pair::pending();
    let create = pair.outstanding[0].clone();
    pair.expect_settled("PD create disk full", dead(), Reason::GivenUp, &[]);
    assert_eq!(pair.link().page, Page::Dead);
    pair.expect(ack().at(1), Reason::Mirrored, &["PD acknowledged", "PD note [Opsgenie] jane acknowledged the alert"]);
    pair.expect(alert_event(AlertAction::Create), Reason::Duplicate, &[]);
    // Redriven, it stands, and what was parked goes on.
    assert_eq!(pair.end(create, created("Q1")).0, Reason::Carried);
    assert_eq!(pair.link().incident(), Some(&incident_id("Q1")));
    assert_eq!(pair.link().pagerduty.target(), Some(Status::Acknowledged));
}

#[test]
fn a_creation_that_died_behind_its_own_webhook_leaves_the_incident_standing() {
    let mut pair = Pair::pending();
    pair.hear(incident_event(IncidentChange::Triggered).by("us").at(1));
    pair.expect_settled("PD create disk full", dead(), Reason::GivenUp, &[]);
    assert_eq!(pair.link().incident(), Some(&incident_id("Q1")));
    let mut pair = Pair::pending();
    pair.hear(incident_event(IncidentChange::Triggered).by("us").at(1));
    let dropped = Outcome::Dropped(DropReason::AlreadyCreated);
    pair.expect_settled("PD create disk full", dropped, Reason::Overtaken, &[]);
    assert_eq!(pair.link().incident(), Some(&incident_id("Q1")));
}

#[test]
fn a_command_that_is_given_up_is_not_waited_for_any_more() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.expect_settled("PD acknowledged", dead(), Reason::GivenUp, &[]);
    pair.expect_settled("PD note [Opsgenie] jane acknowledged the alert", dead(), Reason::GivenUp, &[]);
    assert_eq!(pair.link().pagerduty.target(), Some(Status::Open));
    assert!(!pair.link().written[0].done);
}

#[test]
fn nothing_follows_when_the_link_is_gone() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.link = None;
    pair.expect_settled("PD acknowledged", in_state(Status::Acknowledged, 1), Reason::Overtaken, &[]);
    assert!(pair.link.is_none());
}

#[test]
fn every_reason_reads_as_words() {
    let rows = [
        (Reason::Mirrored, "mirrored"),
        (Reason::Linked, "linked"),
        (Reason::Echo(Guard::WrittenNote), "echo (written note)"),
        (Reason::InStep, "in step"),
        (Reason::Unclear, "unclear"),
        (Reason::Stale, "stale"),
        (Reason::Duplicate, "duplicate"),
        (Reason::Ignored, "ignored"),
        (Reason::Unlinked(Unlinked::TooOld), "unlinked (too old)"),
        (Reason::Joining, "joining"),
        (Reason::Held, "held"),
        (Reason::AlertClosed, "alert closed"),
        (Reason::AlertDeleted, "alert deleted"),
        (Reason::NoIncident, "no incident"),
        (Reason::Revived, "revived"),
        (Reason::NoteTwin, "note twin"),
        (Reason::Carried, "carried out"),
        (Reason::Overtaken, "overtaken"),
        (Reason::Superseded, "superseded"),
        (Reason::GivenUp, "given up"),
        (Reason::Fetched, "fetched"),
    ];
    for (reason, words) in rows {
        assert_eq!(reason.to_string(), words);
    }
}

#[test]
fn an_acknowledgement_that_a_person_made_meanwhile_is_no_late_one_of_ours() {
    let found = |by: &str| {
        let (at, by) = (Some(second(30)), Some(by.to_owned()));
        let alert = FetchedAlert { facts: AlertFacts::default(), status: Status::Acknowledged, at, by };
        let mut pair = Pair::open();
        pair.hear(incident_event(IncidentChange::Acknowledged).at(1));
        pair.hear(incident_event(IncidentChange::Unacknowledged).at(2));
        pair.settle("OG open", Outcome::Dropped(DropReason::NotWanted));
        pair.settle("OG acknowledged", Outcome::FetchedAlert(Some(alert)))
    };
    let (reason, commands) = found("jane@example.com");
    assert_eq!((reason, commands[0].as_str()), (Reason::Fetched, "PD acknowledged"));
    assert_eq!(found("crosspage"), (Reason::PutRight, vec!["OG open".to_owned()]));
}
