//! What happens to the incident: the second table, reopening, merging, and notes that came trimmed.

use super::*;

#[test]
fn ack_in_pagerduty_acks_the_alert_then_tells_who() {
    Pair::open().expect(
        incident_event(IncidentChange::Acknowledged).at(5),
        Reason::Mirrored,
        &["OG acknowledged", "OG note [PagerDuty] bob acknowledged the incident"],
    );
}

#[test]
fn letting_go_in_pagerduty_unacknowledges_the_alert_then_tells_who() {
    Pair::acknowledged().expect(
        incident_event(IncidentChange::Unacknowledged).at(5),
        Reason::Mirrored,
        &["OG open", "OG note [PagerDuty] bob let go of the incident: it is not acknowledged any more"],
    );
}

#[test]
fn an_acknowledgement_that_times_out_unacknowledges_the_alert() {
    let timer = Actor { id: Some("PSVC1".into()), name: Some("Database".into()), ..Actor::nobody() };
    for actor in [Actor::nobody(), timer] {
        let event = Event { actor, ..incident_event(IncidentChange::Unacknowledged).at(5) };
        let told = "OG note [PagerDuty] The acknowledgement timed out: nobody works on the incident";
        Pair::acknowledged().expect(event, Reason::Mirrored, &["OG open", told]);
    }
}

#[test]
fn a_resolution_is_told_and_leaves_the_alert_open() {
    for mut pair in [Pair::open(), Pair::acknowledged()] {
        let told = ["OG note [PagerDuty] bob resolved the incident"];
        pair.expect(incident_event(IncidentChange::Resolved).at(5), Reason::Mirrored, &told);
    }
    let told = ["OG note [PagerDuty] The incident was resolved automatically"];
    Pair::open().expect(incident_event(IncidentChange::Resolved).by_nobody().at(5), Reason::Mirrored, &told);
}

#[test]
fn a_resolution_closes_the_alert_by_the_switch() {
    let mut pair = Pair::open().with_policy(|policy| policy.on_pagerduty_resolved = OnResolved::Close);
    let commands = ["OG resolved", "OG note [PagerDuty] bob resolved the incident"];
    pair.expect(incident_event(IncidentChange::Resolved).at(5), Reason::Mirrored, &commands);
    pair.expect(close().by("us").at(6), Reason::Echo(Guard::Actor), &[]);
    pair.expect_settled("OG resolved", in_state(Status::Resolved, 6), Reason::Carried, &[]);
    assert_eq!(pair.known(), (Some(Status::Resolved), Some(Status::Resolved)));
}

#[test]
fn a_resolution_that_the_closed_alert_brought_about_is_in_step() {
    let mut pair = Pair::open();
    pair.hear(close().at(1));
    pair.expect(incident_event(IncidentChange::Resolved).at(2), Reason::Echo(Guard::Commanded), &[]);
    let mut pair = Pair::open();
    pair.hear(close().at(1));
    pair.settle("PD resolved", dead());
    pair.expect(incident_event(IncidentChange::Resolved).at(2), Reason::InStep, &[]);
}

#[test]
fn the_state_in_any_other_event_counts() {
    for name in ["incident.escalated", "incident.reassigned", "incident.priority_updated"] {
        let other = |status| incident_event(IncidentChange::Other(name.into())).standing(status);
        let mut pair = Pair::acknowledged();
        assert_eq!(pair.hear(other(Status::Open).at(5)).1[0], "OG open");
        let commands = ["OG acknowledged", "OG note [PagerDuty] bob acknowledged the incident"];
        pair.expect(other(Status::Acknowledged).at(6), Reason::Mirrored, &commands);
        pair.expect(other(Status::Acknowledged).at(7), Reason::InStep, &[]);
        pair.expect(incident_event(IncidentChange::Other(name.into())).at(8), Reason::Ignored, &[]);
    }
}

#[test]
fn an_older_state_is_stale_and_a_repeated_one_is_in_step() {
    let mut pair = Pair::acknowledged();
    pair.hear(incident_event(IncidentChange::Resolved).at(9));
    pair.expect(incident_event(IncidentChange::Unacknowledged).at(8), Reason::Stale, &[]);
    pair.expect(incident_event(IncidentChange::Resolved).at(10), Reason::InStep, &[]);
}

#[test]
fn an_alert_on_its_way_there_is_not_commanded_again() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.expect(incident_event(IncidentChange::Acknowledged).at(2), Reason::Echo(Guard::Commanded), &[]);
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.settle("PD acknowledged", dead());
    pair.expect(incident_event(IncidentChange::Acknowledged).at(2), Reason::InStep, &[]);
}

#[test]
fn the_triggered_incident_completes_the_link() {
    for mut pair in [Pair::pending(), {
        let mut given_up = Pair::pending();
        given_up.settle("PD create disk full", dead());
        given_up
    }] {
        pair.expect(incident_event(IncidentChange::Triggered).by("us").at(1), Reason::Linked, &[]);
        assert_eq!(pair.link().page, Page::Standing(incident_id("Q1")));
    }
}

#[test]
fn the_triggered_incident_completes_the_link_though_we_are_misnamed() {
    let mut pair = Pair::pending();
    pair.expect(incident_event(IncidentChange::Triggered).by("robot").at(1), Reason::Linked, &[]);
    pair.expect(incident_event(IncidentChange::Other("x".into())).at(1), Reason::Ignored, &[]);
    let mut pair = Pair::pending();
    pair.hear(ack().at(1));
    // It is born open; that the alert was taken meanwhile is on its way.
    pair.expect(incident_event(IncidentChange::Triggered).by("robot").at(2), Reason::Linked, &[]);
}

#[test]
fn an_incident_acknowledged_before_our_create_was_answered_acks_the_alert() {
    let mut pair = Pair::pending();
    let commands = ["OG acknowledged", "OG note [PagerDuty] bob acknowledged the incident"];
    pair.expect(incident_event(IncidentChange::Acknowledged).at(2), Reason::Mirrored, &commands);
    pair.expect(incident_event(IncidentChange::Triggered).by("us").at(1), Reason::Echo(Guard::Actor), &[]);
    pair.expect_settled("PD create disk full", created("Q1"), Reason::Carried, &[]);
    assert_eq!(pair.known().1, Some(Status::Acknowledged));
}

#[test]
fn incidents_of_others_are_left_alone() {
    let triggered = incident_event(IncidentChange::Triggered);
    Pair::unseen().expect(triggered.clone(), Reason::Unlinked(Unlinked::NotOurs), &[]);
    let mut pair = Pair::open();
    pair.expect(triggered.on("Q9"), Reason::Unlinked(Unlinked::OtherIncident), &[]);
    assert_eq!(pair.link().page, Page::Standing(incident_id("Q1")));
}

#[test]
fn reopened_by_a_person_unacknowledges_an_open_alert_and_tells() {
    let told = "OG note [PagerDuty] bob reopened the incident";
    let mut pair = Pair::acknowledged();
    pair.hear(incident_event(IncidentChange::Resolved).at(5));
    pair.expect(incident_event(IncidentChange::Reopened).at(6), Reason::Mirrored, &["OG open", told]);
    Pair::resolved().expect(incident_event(IncidentChange::Reopened).at(6), Reason::Mirrored, &[told]);
    // Nobody told us of the resolution.
    Pair::acknowledged().expect(incident_event(IncidentChange::Reopened).at(6), Reason::Mirrored, &["OG open", told]);
}

#[test]
fn nothing_reopens_a_closed_alert() {
    let mut pair = Pair::closed();
    pair.expect(incident_event(IncidentChange::Reopened).at(6), Reason::AlertClosed, &[]);
    pair.expect(incident_event(IncidentChange::Acknowledged).at(7), Reason::AlertClosed, &[]);
    pair.expect(incident_event(IncidentChange::Unacknowledged).at(8), Reason::AlertClosed, &[]);
    pair.expect(incident_event(IncidentChange::Resolved).at(9), Reason::InStep, &[]);
}

#[test]
fn reopened_by_a_late_change_of_ours_is_resolved_again_and_owned_up_to() {
    let mut pair = Pair::resolved();
    let told = "OG note [PagerDuty] A late change of crosspage reopened the incident that had just been resolved; it is \
                resolved again";
    let reopened = incident_event(IncidentChange::Reopened).by("us");
    pair.expect(reopened.clone().at(6), Reason::Revived, &["PD resolved", told]);
    pair.expect(reopened.at(7), Reason::Echo(Guard::Commanded), &[]);
    pair.expect(incident_event(IncidentChange::Resolved).by("us").at(8), Reason::Echo(Guard::Actor), &[]);
    pair.settle("PD resolved", in_state(Status::Resolved, 8));
    assert_eq!(pair.known().1, Some(Status::Resolved));
}

#[test]
fn a_note_is_passed_on_with_its_writer() {
    let mut pair = Pair::open();
    pair.expect(annotated("N7", "hello").at(5), Reason::Mirrored, &["OG note [PagerDuty] bob: hello"]);
    pair.expect(annotated("N7", "hello").at(5), Reason::Duplicate, &[]);
    pair.expect(annotated("N8", "hello").at(6), Reason::Mirrored, &["OG note [PagerDuty] bob: hello"]);
    Pair::closed().expect(annotated("N9", "post mortem"), Reason::Mirrored, &["OG note [PagerDuty] bob: post mortem"]);
}

#[test]
fn a_trimmed_note_is_fetched_and_later_ones_wait_for_it() {
    let mut pair = Pair::open();
    pair.expect(trimmed("N1", "lon").at(1), Reason::Held, &["PD fetch note N1"]);
    pair.expect(annotated("N2", "short").at(2), Reason::Held, &[]);
    pair.expect(trimmed("N3", "als").at(3), Reason::Held, &[]);
    pair.expect(annotated("N4", "last").at(4), Reason::Held, &[]);
    // States do not wait for talk.
    assert_eq!(pair.hear(incident_event(IncidentChange::Acknowledged).at(5)).1[0], "OG acknowledged");
    let first = ["OG note [PagerDuty] bob: long", "OG note [PagerDuty] bob: short", "PD fetch note N3"];
    pair.expect_settled("PD fetch note N1", Outcome::FetchedNote(Some("long".into())), Reason::Fetched, &first);
    pair.expect(annotated("N5", "very last").at(6), Reason::Held, &[]);
    let rest =
        ["OG note [PagerDuty] bob: also long", "OG note [PagerDuty] bob: last", "OG note [PagerDuty] bob: very last"];
    pair.expect_settled("PD fetch note N3", Outcome::FetchedNote(Some("also long".into())), Reason::Fetched, &rest);
    assert_eq!((pair.link().held.len(), pair.link().fetching_note.as_deref()), (0, None));
}

#[test]
fn a_trimmed_note_whose_whole_cannot_be_had_is_passed_on_marked_as_cut() {
    for (outcome, reason) in [(Outcome::FetchedNote(None), Reason::Fetched), (dead(), Reason::GivenUp)] {
        let mut pair = Pair::open();
        pair.hear(trimmed("N1", "lon").at(1));
        pair.hear(annotated("N2", "short").at(2));
        let commands = ["OG note [PagerDuty] bob: lon […]", "OG note [PagerDuty] bob: short"];
        pair.expect_settled("PD fetch note N1", outcome, reason, &commands);
    }
}

fn merged_into(incident: &str) -> Event {
    incident_event(IncidentChange::MergedInto(incident_id(incident)))
}

#[test]
fn a_merge_takes_the_link_to_the_other_incident() {
    let mut pair = Pair::open();
    let commands = ["PD fetch incident", "OG note [PagerDuty] bob merged the incident into Q2"];
    pair.expect(merged_into("Q2").at(5), Reason::Mirrored, &commands);
    pair.expect(merged_into("Q2").at(5), Reason::Unlinked(Unlinked::OtherIncident), &[]);
    let commands = ["OG acknowledged", "OG note [PagerDuty] somebody acknowledged the incident"];
    pair.expect_settled("PD fetch incident", read("Q2", Status::Acknowledged, 3), Reason::Fetched, &commands);
    pair.expect(annotated("N1", "hello").on("Q2").at(6), Reason::Mirrored, &["OG note [PagerDuty] bob: hello"]);
}

#[test]
fn a_merge_that_is_found_by_a_change_of_ours_is_followed_with_what_was_commanded() {
    let merged = || {
        let by = Actor { name: Some("bob".to_owned()), person: true, ..Actor::nobody() };
        Outcome::Merged { incident: incident_id("Q1"), into: incident_id("Q2"), at: Some(second(5)), by }
    };
    for (event, status) in [(close(), Status::Resolved), (ack(), Status::Acknowledged)] {
        let wanted = format!("PD {status}");
        let mut pair = Pair::open();
        pair.hear(event.clone().at(6));
        let commands = ["PD fetch incident", &wanted, "OG note [PagerDuty] bob merged the incident into Q2"];
        pair.expect_settled(&wanted, merged(), Reason::Mirrored, &commands);
        assert_eq!(pair.link().incident(), Some(&incident_id("Q2")));
        assert_eq!(pair.link().pagerduty.overtaken, [], "nothing is on its way to the one that is over");
        pair.expect(merged_into("Q2").at(5), Reason::Unlinked(Unlinked::OtherIncident), &[]);

        // Its webhook came first.
        let mut pair = Pair::open();
        pair.hear(event.at(6));
        pair.hear(merged_into("Q2").at(5));
        let before = pair.link().pagerduty.commanded;
        pair.expect_settled(&wanted, merged(), Reason::Overtaken, &[]);
        assert_eq!((pair.link().pagerduty.commanded, pair.link().pagerduty.overtaken.len()), (before, 0));
    }
}

#[test]
fn a_note_from_before_the_merge_is_not_the_links_however_late_it_is_told() {
    let mut pair = Pair::open();
    pair.hear(merged_into("Q2").at(5));
    let late = annotated("N1", "before").on("Q2").at_ms(4_999);
    pair.expect(late, Reason::Unlinked(Unlinked::OtherIncident), &[]);
    pair.link.as_mut().unwrap().notes_since = Some(Timestamp::from_millis(second(5).as_millis() + 413));
    // As lists tell it: by the second.
    pair.expect(annotated("N2", "after").on("Q2").at(5), Reason::Mirrored, &["OG note [PagerDuty] bob: after"]);
    let of_its_own = annotated("N3", "late").on("Q1").at(3);
    pair.expect(of_its_own, Reason::Mirrored, &["OG note [PagerDuty] bob: late"]);
}

#[test]
fn what_a_late_change_of_ours_reopens_after_a_merge_is_ended() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.hear(merged_into("Q2").at(5));
    for change in [IncidentChange::Reopened, IncidentChange::Acknowledged] {
        let (reason, commands) = pair.hear(incident_event(change).by("us").at(6));
        assert_eq!((reason, commands), (Reason::Revived, vec!["PD end merged Q1".to_owned()]));
    }
    let late = incident_event(IncidentChange::Acknowledged).by("us").at(4);
    pair.expect(late, Reason::Unlinked(Unlinked::OtherIncident), &[]);
    let before = pair.link().pagerduty.clone();
    pair.expect_settled("PD end merged Q1", in_state(Status::Resolved, 7), Reason::Carried, &[]);
    assert_eq!(pair.link().pagerduty.known, before.known, "it is none of the link's");
    let by_bob = incident_event(IncidentChange::Reopened).at(8);
    pair.expect(by_bob, Reason::Unlinked(Unlinked::OtherIncident), &[]);
    let elsewhere = incident_event(IncidentChange::Acknowledged).by("us").on("Q9").at(8);
    pair.expect(elsewhere, Reason::Unlinked(Unlinked::OtherIncident), &[]);
    // What this link had commanded has come to its end long since: it is another link of ours that acknowledges.
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 6));
    let for_another = incident_event(IncidentChange::Acknowledged).by("us").at(60);
    pair.expect(for_another, Reason::Unlinked(Unlinked::OtherIncident), &[]);
}

#[test]
fn a_reopening_that_is_told_late_is_left_to_whoever_works_on_it_by_now() {
    for (told_at, ends) in [(66, true), (67, false)] {
        let mut pair = Pair::open();
        pair.hear(ack().at(1));
        pair.hear(merged_into("Q2").at(5));
        let late = Event { received_at: second(told_at), ..incident_event(IncidentChange::Reopened).by("us").at(6) };
        assert_eq!(pair.hear(late).0 == Reason::Revived, ends, "{told_at}");
    }
}

#[test]
fn an_acknowledgement_that_landed_after_the_merge_is_brought_to_the_one_that_it_goes_on_as() {
    for (answered_at, acknowledges) in [(4, false), (5, true), (6, true)] {
        let mut pair = Pair::open();
        pair.hear(ack().at(4));
        pair.settle("PD acknowledged", in_state(Status::Acknowledged, answered_at));
        let (_, commands) = pair.hear(merged_into("Q2").at_ms(5_400));
        assert_eq!(commands.iter().any(|line| line == "PD acknowledged"), acknowledges, "{answered_at}: {commands:?}");
        let (_, commands) = pair.settle("PD fetch incident", read("Q2", Status::Open, 3));
        assert_eq!(commands.iter().any(|line| line == "OG open"), !acknowledges, "{answered_at}: {commands:?}");
    }
}

#[test]
fn to_resolve_what_we_had_reopened_is_not_brought_to_the_one_that_it_goes_on_as() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Resolved).at(1));
    assert_eq!(pair.hear(incident_event(IncidentChange::Reopened).by("us").at(2)).0, Reason::Revived);
    let (_, commands) = pair.hear(merged_into("Q2").at(5));
    assert!(!commands.iter().any(|line| line == "PD resolved"), "{commands:?}");
    assert_eq!(pair.link().pagerduty.commanded, None);
    let mut pair = Pair::open();
    pair.hear(close().at(1));
    let (_, commands) = pair.hear(merged_into("Q2").at(5));
    assert!(commands.iter().any(|line| line == "PD resolved"), "the alert is closed: {commands:?}");
}

#[test]
fn a_reading_is_the_newer_one_of_its_second_if_it_shows_all_that_is_known() {
    for (says, answered_at, is_news) in [(8, 11, true), (7, 11, false), (8, 10, false)] {
        let mut pair = Pair::open();
        pair.hear(incident_event(IncidentChange::Acknowledged).at_ms(8_600));
        let mentioned = incident_event(IncidentChange::Other("reassigned".into())).standing(Status::Open);
        pair.hear(mentioned.by("us").at_ms(8_700));
        let fetch = pair.outstanding.iter().position(|command| command.action == Action::FetchIncident).unwrap();
        let fetch = pair.outstanding.remove(fetch);
        let (_, commands) = pair.end_at(fetch, Step::Ready, read("Q1", Status::Open, says), second(answered_at));
        assert_eq!(commands.iter().any(|line| line == "OG open"), is_news, "{says} {answered_at}: {commands:?}");
    }
}

#[test]
fn a_state_is_not_believed_on_the_side_while_a_change_of_ours_to_it_may_be_on_its_way() {
    let mut pair = Pair::acknowledged();
    pair.hear(unack().at(10));
    pair.hear(ack().at(11));
    let reassigned = incident_event(IncidentChange::Other("reassigned".into())).standing(Status::Open).at(12);
    pair.expect(reassigned, Reason::Unclear, &["PD fetch incident"]);
}

#[test]
fn a_state_that_is_mentioned_at_the_very_time_of_the_known_one_is_read() {
    for (mentioned_at, reason) in [(4_999, Reason::Stale), (5_000, Reason::Unclear), (5_001, Reason::Mirrored)] {
        let mut pair = Pair::acknowledged();
        pair.hear(incident_event(IncidentChange::Unacknowledged).at(5));
        let mentioned = incident_event(IncidentChange::Other("priority_updated".into())).standing(Status::Acknowledged);
        assert_eq!(pair.hear(mentioned.at_ms(mentioned_at)).0, reason, "{mentioned_at}");
    }
}

#[test]
fn a_merge_into_an_incident_that_stands_alike_changes_nothing() {
    for (mut pair, status) in [(Pair::open(), Status::Open), (Pair::acknowledged(), Status::Acknowledged)] {
        pair.hear(merged_into("Q2").at(5));
        pair.expect_settled("PD fetch incident", read("Q2", status, 3), Reason::Fetched, &[]);
        assert_eq!(pair.known(), (Some(status), Some(status)));
    }
}

#[test]
fn a_merge_into_an_incident_that_nobody_works_on_unacknowledges_the_alert() {
    let mut pair = Pair::acknowledged();
    pair.hear(merged_into("Q2").at(5));
    let seen = pair.settle("PD fetch incident", read("Q2", Status::Open, 3));
    assert_eq!((seen.0, seen.1[0].as_str()), (Reason::Fetched, "OG open"));
}

#[test]
fn a_merge_into_a_resolved_incident_is_told_as_its_resolution() {
    let mut pair = Pair::open();
    pair.hear(merged_into("Q2").at(5));
    let told = ["OG note [PagerDuty] somebody resolved the incident"];
    pair.expect_settled("PD fetch incident", read("Q2", Status::Resolved, 3), Reason::Fetched, &told);
    let mut pair = Pair::open();
    pair.hear(merged_into("Q2").at(5));
    pair.expect_settled("PD fetch incident", Outcome::FetchedIncident(None), Reason::Fetched, &[]);
}

#[test]
fn what_we_did_to_a_shared_incident_for_another_alert_is_news_to_this_one() {
    let mut pair = Pair::open();
    pair.hear(merged_into("Q2").at(5));
    pair.settle("PD fetch incident", read("Q2", Status::Open, 3));
    let acknowledged = |at| incident_event(IncidentChange::Acknowledged).by("us").on("Q2").at(at);
    let commands = ["OG acknowledged", "OG note [PagerDuty] Sync Bot acknowledged the incident"];
    pair.expect(acknowledged(10), Reason::Mirrored, &commands);
    pair.expect(acknowledged(11), Reason::Echo(Guard::Actor), &[]);
}

#[test]
fn what_we_did_to_a_shared_incident_for_this_alert_is_an_echo() {
    let mut pair = Pair::open();
    pair.hear(merged_into("Q2").at(5));
    pair.settle("PD fetch incident", read("Q2", Status::Open, 3));
    pair.hear(ack().at(10));
    let acknowledged = incident_event(IncidentChange::Acknowledged).by("us").on("Q2").at(11);
    pair.expect(acknowledged, Reason::Echo(Guard::Actor), &[]);
}

#[test]
fn a_late_echo_on_a_shared_incident_does_not_ack_an_alert_that_was_let_go_of() {
    let mut pair = Pair::open();
    pair.hear(merged_into("Q2").at(5));
    pair.settle("PD fetch incident", read("Q2", Status::Open, 3));
    pair.hear(ack().at(10));
    pair.hear(unack().at(11));
    let acknowledged = incident_event(IncidentChange::Acknowledged).by("us").on("Q2").at(11);
    pair.expect(acknowledged, Reason::Echo(Guard::Actor), &[]);
}

#[test]
fn the_incidents_number_is_that_of_the_incident_which_stands() {
    let numbered = |mut event: Event, number| {
        let EventBody::Incident(happened) = &mut event.body else { panic!("{event:?}") };
        happened.number = Some(number);
        event
    };
    let mut pair = Pair::open();
    pair.hear(numbered(incident_event(IncidentChange::Acknowledged).at(10), 7));
    assert_eq!(pair.link().incident_number, Some(7));
    pair.hear(annotated("N1", "on it").at(11));
    assert_eq!(pair.link().incident_number, Some(7), "a note does not tell it");
    pair.hear(numbered(incident_event(IncidentChange::MergedInto(incident_id("Q2"))).at(12), 7));
    assert_eq!(pair.link().incident_number, None, "it goes on as another one");
}
