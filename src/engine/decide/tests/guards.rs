//! The four guards against loops, one by one, and the stories in which echoes cross with what people do.

use super::*;

fn acknowledged() -> Event {
    incident_event(IncidentChange::Acknowledged)
}

fn unacknowledged() -> Event {
    incident_event(IncidentChange::Unacknowledged)
}

#[test]
fn an_echo_by_our_name_or_source_in_opsgenie_stops_commands_only() {
    let source = Actor { name: Some("System".into()), source: Some("CrossPage".into()), ..Actor::nobody() };
    for actor in [ack().by("us").actor, source] {
        let mut pair = Pair::open();
        pair.expect(Event { actor, ..ack().at(5) }, Reason::Echo(Guard::Actor), &[]);
        assert_eq!(pair.known().0, Some(Status::Acknowledged), "an echo still updates its side");
        assert_eq!(pair.link().opsgenie.known.unwrap().at, Some(second(5)));
    }
}

#[test]
fn each_action_of_ours_in_opsgenie_is_an_echo() {
    let priority = AlertFacts { priority: Some(Priority::P1), ..AlertFacts::default() };
    for event in [
        ack(),
        alert_event(AlertAction::Close { note: Some("bye".into()) }),
        add_note("hello"),
        alert_event(AlertAction::UpdatePriority).with(priority),
        alert_event(AlertAction::Snooze),
        alert_event(AlertAction::Delete),
    ] {
        Pair::open().expect(event.by("us").at(5), Reason::Echo(Guard::Actor), &[]);
    }
    Pair::acknowledged().expect(unack().by("us").at(5), Reason::Echo(Guard::Actor), &[]);
}

#[test]
fn an_echo_by_our_id_in_pagerduty_stops_commands_only() {
    let mut pair = Pair::open();
    pair.expect(acknowledged().by("us").at(5), Reason::Echo(Guard::Actor), &[]);
    assert_eq!(pair.known().1, Some(Status::Acknowledged), "an echo still updates its side");
    pair.expect(annotated("N7", "hello").by("us").at(6), Reason::Echo(Guard::Actor), &[]);
}

#[test]
fn our_name_in_pagerduty_counts_only_while_no_id_is_known() {
    let named = || Event {
        actor: Actor { id: Some("PNEW".into()), name: Some("sync bot".into()), person: true, ..Actor::nobody() },
        ..acknowledged().at(5)
    };
    assert_eq!(Pair::open().hear(named()).0, Reason::Mirrored, "a namesake");
    let mut pair = Pair::open().with_policy(|policy| policy.identity.pagerduty_ids.clear());
    assert_eq!(pair.hear(named()).0, Reason::Echo(Guard::Actor));
}

#[test]
fn our_id_is_learnt_from_the_answers_to_our_writes() {
    for (command, outcome) in [("PD create disk full", created("Q1")), ("PD note [Opsgenie] jane: hello", noted("N1"))]
    {
        let mut pair = Pair::pending();
        pair.hear(add_note("hello"));
        pair.settle(command, outcome);
        assert_eq!(pair.learned_id.as_deref(), Some("PAUTO01"));
    }
    let mut pair = Pair::open();
    pair.learned_id = None;
    pair.hear(annotated("N7", "hello"));
    pair.settle("OG note [PagerDuty] bob: hello", noted("x"));
    assert_eq!(pair.learned_id, None, "Opsgenie knows no such ids");
}

/// No id of ours is known, and what is configured is somebody else's name.
fn misnamed(pair: Pair) -> Pair {
    pair.with_policy(|policy| {
        policy.identity.pagerduty_ids.clear();
        policy.identity.pagerduty_name = "Somebody Else".into();
    })
}

#[test]
fn a_note_of_ours_is_known_by_its_id_though_we_are_misnamed() {
    let mut pair = misnamed(Pair::open());
    pair.hear(add_note("hello"));
    pair.settle("PD note [Opsgenie] jane: hello", noted("N7"));
    pair.expect(trimmed("N7", "[Opsge").by("us"), Reason::Echo(Guard::WrittenNote), &[]);
}

#[test]
fn a_note_of_ours_is_known_by_its_text_before_its_write_is_answered() {
    let mut pair = misnamed(Pair::open());
    pair.hear(add_note("hello\r\nthere "));
    let echo = annotated("N7", "[Opsgenie] jane: hello\nthere").by("us");
    pair.expect(echo.clone(), Reason::Echo(Guard::WrittenNote), &[]);
    pair.expect(echo, Reason::Echo(Guard::WrittenNote), &[]);
    // Somebody copies it: a note of another id is no echo.
    let copied = ["OG note [PagerDuty] bob: [Opsgenie] jane: hello\nthere"];
    pair.expect(annotated("N8", "[Opsgenie] jane: hello\nthere"), Reason::Mirrored, &copied);
}

#[test]
fn a_trimmed_note_of_ours_is_known_once_it_is_whole_though_we_are_misnamed() {
    let mut pair = misnamed(Pair::open());
    pair.hear(add_note("hello"));
    pair.expect(trimmed("N7", "[Opsge").by("us"), Reason::Held, &["PD fetch note N7"]);
    let whole = Outcome::FetchedNote(Some("[Opsgenie] jane: hello".into()));
    pair.expect_settled("PD fetch note N7", whole, Reason::Fetched, &[]);
}

#[test]
fn a_note_of_ours_in_opsgenie_is_used_up_by_one_echo() {
    let mut pair = Pair::open();
    pair.hear(annotated("N7", "hello"));
    let text = "[PagerDuty] bob: hello";
    pair.expect(add_note(text).by("robot"), Reason::Echo(Guard::WrittenNote), &[]);
    pair.expect(add_note(text), Reason::Mirrored, &["PD note [Opsgenie] jane: [PagerDuty] bob: hello"]);
}

#[test]
fn a_note_is_used_up_whichever_guard_fires() {
    let mut pair = Pair::open();
    pair.hear(annotated("N7", "hello"));
    let text = "[PagerDuty] bob: hello";
    pair.expect(add_note(text).by("us"), Reason::Echo(Guard::Actor), &[]);
    pair.expect(add_note(text), Reason::Mirrored, &["PD note [Opsgenie] jane: [PagerDuty] bob: hello"]);
    pair.hear(add_note("there"));
    let text = "[Opsgenie] jane: there";
    pair.expect(annotated("N8", text).by("us"), Reason::Echo(Guard::Actor), &[]);
    pair.expect(annotated("N9", text), Reason::Mirrored, &["OG note [PagerDuty] bob: [Opsgenie] jane: there"]);
}

#[test]
fn equal_notes_of_ours_have_an_echo_each() {
    let mut pair = misnamed(Pair::open());
    pair.hear(add_note("hello").at(1));
    pair.hear(add_note("hello").at(2));
    let echo = |id| annotated(id, "[Opsgenie] jane: hello").by("us");
    pair.expect(echo("N1"), Reason::Echo(Guard::WrittenNote), &[]);
    pair.expect(echo("N2"), Reason::Echo(Guard::WrittenNote), &[]);
    assert_eq!(pair.hear(echo("N3")).0, Reason::Mirrored);
}

#[test]
fn a_state_we_commanded_is_an_echo_though_we_are_misnamed() {
    let mut pair = misnamed(Pair::open());
    pair.hear(ack().at(1));
    pair.expect(acknowledged().by("us").at(2), Reason::Echo(Guard::Commanded), &[]);
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 2));
    pair.expect(acknowledged().by("us").at(2), Reason::InStep, &[]);
    pair.hear(unacknowledged().at(3));
    pair.expect(unack().by("robot").at(4), Reason::Echo(Guard::Commanded), &[]);
}

#[test]
fn a_note_of_ours_whose_id_is_known_is_not_used_up_by_an_equal_one() {
    let mut pair = misnamed(Pair::open());
    pair.hear(add_note("hello"));
    pair.settle("PD note [Opsgenie] jane: hello", noted("N7"));
    let text = "[Opsgenie] jane: hello";
    assert_eq!(pair.hear(annotated("N8", text)).0, Reason::Mirrored);
    pair.expect(annotated("N7", text).by("us"), Reason::Echo(Guard::WrittenNote), &[]);
}

#[test]
fn a_prefixed_note_by_nobody_is_an_echo_and_by_somebody_is_news() {
    for text in ["[Opsgenie] jane: hello", " [PagerDuty] bob: hello"] {
        let mut pair = Pair::open();
        pair.expect(annotated("N7", text).by_nobody(), Reason::Echo(Guard::Prefix), &[]);
        pair.expect(add_note(text).by_nobody(), Reason::Echo(Guard::Prefix), &[]);
        assert_eq!(pair.hear(annotated("N8", text)).0, Reason::Mirrored);
        assert_eq!(pair.hear(add_note(text)).0, Reason::Mirrored);
    }
    assert_eq!(Pair::open().hear(add_note("hello").by_nobody()).0, Reason::Mirrored);
}

#[test]
fn late_echoes_of_an_ack_that_was_taken_back_bring_nothing_back() {
    for settle_first in [true, false] {
        let mut pair = Pair::open();
        pair.hear(acknowledged().at_ms(1_000));
        pair.hear(unacknowledged().at_ms(1_500));
        if settle_first {
            pair.settle("OG acknowledged", in_state(Status::Acknowledged, 2));
            pair.settle("OG open", in_state(Status::Open, 3));
        }
        pair.expect(ack().by("us").at_ms(1_900), Reason::Echo(Guard::Actor), &[]);
        pair.expect(unack().by("us").at_ms(2_900), Reason::Echo(Guard::Actor), &[]);
        if !settle_first {
            pair.settle("OG acknowledged", in_state(Status::Acknowledged, 2));
            pair.settle("OG open", in_state(Status::Open, 3));
        }
        assert_eq!(pair.known(), (Some(Status::Open), Some(Status::Open)), "settled first: {settle_first}");
        assert_eq!(pair.link().opsgenie.commanded, None);
    }
}

#[test]
fn an_echo_within_the_second_of_the_answer_does_not_undo_what_we_did_since() {
    // PagerDuty's answers tell the second only: the ack at 1.9 s is answered as of 1 s, and so is the un-ack at 2.0 s.
    let mut pair = Pair::open();
    pair.hear(ack().at_ms(1_000));
    pair.hear(unack().at_ms(1_100));
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 1));
    pair.settle("PD open", in_state(Status::Open, 2));
    pair.expect(acknowledged().by("us").at_ms(2_100), Reason::Echo(Guard::Actor), &[]);
    assert_eq!(pair.known().1, Some(Status::Open));
    pair.expect(
        acknowledged().at_ms(2_200),
        Reason::Mirrored,
        &["OG acknowledged", "OG note [PagerDuty] bob acknowledged the incident"],
    );
}

#[test]
fn what_people_do_after_our_change_was_heard_of_counts_though_it_is_not_answered_yet() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.hear(acknowledged().by("us").at(2));
    assert_eq!(pair.hear(unacknowledged().at(3)).1[0], "OG open");
    pair.hear(unack().by("us").at(4));
    assert_eq!(pair.hear(ack().at(5)).1.first().map(String::as_str), Some("PD acknowledged"));
    pair.hear(acknowledged().by("us").at(6));
    assert_eq!(pair.hear(unacknowledged().at(7)).1.first().map(String::as_str), Some("OG open"));
}

#[test]
fn a_person_who_lets_go_before_our_ack_is_answered_is_heard() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.expect(acknowledged().by("us").at(2), Reason::Echo(Guard::Actor), &[]);
    assert_eq!(pair.hear(unacknowledged().at(3)).1[0], "OG open");
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 2));
    assert_eq!(pair.known().1, Some(Status::Open), "the answer is older than what bob did");
}

#[test]
fn two_people_acknowledging_at_once_are_in_step() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.expect(acknowledged().at(1), Reason::Echo(Guard::Commanded), &[]);
    pair.expect_settled("PD acknowledged", in_state(Status::Acknowledged, 1), Reason::Carried, &[]);
    pair.expect(ack().at(3), Reason::InStep, &[]);
}

#[test]
fn a_close_that_crosses_an_ack_closes_both() {
    let mut pair = Pair::open();
    pair.hear(close().at(1));
    pair.expect(acknowledged().at(1), Reason::AlertClosed, &[]);
    pair.settle("PD resolved", in_state(Status::Resolved, 2));
    pair.expect(incident_event(IncidentChange::Resolved).by("us").at(2), Reason::Echo(Guard::Actor), &[]);
    assert_eq!(pair.known(), (Some(Status::Resolved), Some(Status::Resolved)));
}

#[test]
fn a_closed_alert_stays_closed_whatever_is_said_of_a_command_that_came_too_late() {
    let mut pair = Pair::open();
    pair.hear(acknowledged().at(1));
    pair.hear(close().at(2));
    pair.expect_settled("OG acknowledged", in_state(Status::Acknowledged, 3), Reason::Carried, &[]);
    assert_eq!(pair.known().0, Some(Status::Resolved));
    pair.expect(incident_event(IncidentChange::Unacknowledged).at(4), Reason::AlertClosed, &[]);
}

#[test]
fn a_person_who_lets_go_again_before_our_own_change_is_answered_is_heard() {
    let mut pair = Pair::acknowledged();
    pair.hear(unack().at(10));
    pair.expect(unacknowledged().by("us").at(11), Reason::Echo(Guard::Actor), &[]);
    assert_eq!(pair.hear(acknowledged().at(12)).1[0], "OG acknowledged");
    assert_eq!(pair.hear(unacknowledged().at(13)).1.first().map(String::as_str), Some("OG open"));
    pair.settle("PD open", in_state(Status::Open, 11));
    assert_eq!(pair.known().1, Some(Status::Open));
}

#[test]
fn a_misnamed_ack_and_let_go_leave_nobody_acknowledged() {
    let mut pair = misnamed(Pair::open());
    pair.hear(ack().at(1));
    pair.hear(unack().at(2));
    // Nobody can tell that it was us, so the alert follows; but it follows to the end.
    pair.hear(acknowledged().by("us").at(3));
    pair.hear(unacknowledged().by("us").at(4));
    assert_eq!(pair.link().opsgenie.target(), Some(Status::Open));
    assert_eq!(pair.link().pagerduty.target(), Some(Status::Open));
}

#[test]
fn late_echoes_without_an_actor_are_known_by_what_was_carried_out() {
    let mut pair = Pair::open();
    pair.hear(ack().at_ms(10_000));
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 10));
    pair.hear(unack().at_ms(10_300));
    pair.settle("PD open", in_state(Status::Open, 10));
    for echo in [acknowledged().at_ms(10_100), unacknowledged().at_ms(10_400)] {
        let mut echo = echo;
        echo.actor = Actor::nobody();
        pair.expect(echo, Reason::Echo(Guard::Commanded), &[]);
    }
    assert_eq!(pair.known().1, Some(Status::Open));
    let mut timed_out = acknowledged().at_ms(12_000);
    timed_out.actor = Actor::nobody();
    assert_eq!(pair.hear(timed_out).0, Reason::Mirrored, "what happens later is news");
}

#[test]
fn an_echo_without_an_actor_of_what_is_not_wanted_any_more_is_known_before_it_is_answered() {
    let mut pair = Pair::open();
    pair.hear(ack().at_ms(10_000));
    pair.hear(unack().at_ms(10_100));
    pair.expect(acknowledged().by_nobody().at_ms(10_110), Reason::Echo(Guard::Commanded), &[]);
    assert_eq!(pair.link().pagerduty.target(), Some(Status::Open), "jane has let go of the alert");
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 10));
    pair.expect_settled("PD open", in_state(Status::Open, 11), Reason::Carried, &[]);
    // Nothing of ours is on its way any more.
    assert_eq!(pair.hear(acknowledged().by_nobody().at(20)).1[0], "OG acknowledged");
}

#[test]
fn an_echo_tells_exactly_when_our_change_was_so_that_what_came_before_it_is_older() {
    let mut pair = Pair::acknowledged();
    pair.hear(unack().at_ms(10_500));
    pair.settle("PD open", in_state(Status::Open, 10));
    pair.expect(unacknowledged().by("us").at_ms(10_677), Reason::Echo(Guard::Actor), &[]);
    pair.hear(ack().at_ms(10_800));
    pair.expect(acknowledged().at_ms(10_143), Reason::Stale, &[]);
    assert!(pair.link().pagerduty.commanded.is_some(), "that is still to be done");
}

#[test]
fn an_echo_by_a_name_that_is_no_persons_is_known_as_one_without_an_actor_is() {
    let echo = Reason::Echo(Guard::Commanded);
    for (name, person, at, reason) in
        [("API", false, 12, echo), ("jane", true, 12, Reason::Mirrored), ("API", false, 22, Reason::Mirrored)]
    {
        let mut pair = Pair::open();
        pair.hear(acknowledged().at(10));
        pair.hear(unacknowledged().at(11));
        let mut echo = ack().at(at);
        echo.actor = Actor { name: Some(name.to_owned()), person, ..Actor::nobody() };
        assert_eq!(pair.hear(echo).0, reason, "{name} {at}");
    }
}

#[test]
fn what_a_person_did_to_the_incident_stands_though_our_older_change_comes_after_it_without_an_actor() {
    let mut pair = Pair::open();
    pair.hear(ack().at(20));
    // Bob acknowledges and lets go of the incident; then our change lands.
    pair.expect(acknowledged().at(21), Reason::Echo(Guard::Commanded), &[]);
    assert_eq!(pair.hear(unacknowledged().at(22)).1[0], "OG open");
    pair.expect(acknowledged().by_nobody().at(23), Reason::Echo(Guard::Commanded), &[]);
    pair.expect_settled("PD acknowledged", in_state(Status::Acknowledged, 23), Reason::PutRight, &["PD open"]);
}

#[test]
fn a_late_change_of_ours_that_revives_is_known_without_a_reopened_event() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.hear(incident_event(IncidentChange::Resolved).at(2));
    let seen = pair.hear(acknowledged().by("us").at(3));
    assert_eq!((seen.0, seen.1[0].as_str()), (Reason::Revived, "PD resolved"));
}

#[test]
fn an_incident_of_another_service_is_not_ours_whatever_its_key() {
    let mut pair = Pair::unseen();
    pair.hear(alert_event(AlertAction::Create));
    let mut triggered = incident_event(IncidentChange::Triggered);
    let EventBody::Incident(happened) = &mut triggered.body else { unreachable!() };
    happened.service = Some("POTHER1".to_owned());
    pair.expect(triggered, Reason::Unlinked(Unlinked::OtherService), &[]);
    assert_eq!(pair.link().page, Page::Pending);
}

/// An event about something else, which mentions the state.
fn mention(status: Status) -> Event {
    incident_event(IncidentChange::Other("incident.priority_updated".into())).standing(status)
}

#[test]
fn a_state_mentioned_in_the_second_of_our_own_change_is_read_instead() {
    for (stands, follows) in [(Status::Acknowledged, None), (Status::Open, Some("OG open"))] {
        let mut pair = Pair::open();
        pair.hear(ack().at(1));
        pair.settle("PD acknowledged", in_state(Status::Acknowledged, 2));
        pair.expect(mention(Status::Open).at_ms(1_999), Reason::Stale, &[]);
        pair.settle("PD note [Opsgenie] jane acknowledged the alert", NOTED);
        pair.expect(mention(Status::Open).at_ms(2_600), Reason::Unclear, &["PD fetch incident"]);
        assert_eq!(pair.known().1, Some(Status::Acknowledged));
        let (reason, commands) = pair.settle("PD fetch incident", read("Q1", stands, 2));
        // What was read is believed, and never makes for another reading.
        assert_eq!((reason, commands.first().map(String::as_str)), (Reason::Fetched, follows));
        // The next mention in that second is no clearer than the first.
        if stands == Status::Acknowledged {
            assert_eq!(pair.hear(mention(Status::Open).at_ms(2_700)).0, Reason::Unclear);
        }
        assert_ne!(pair.hear(mention(Status::Open).at_ms(3_000)).0, Reason::Unclear);
    }
}

#[test]
fn a_state_that_an_event_of_our_own_merely_mentions_is_somebody_elses_and_is_read() {
    let mention = || incident_event(IncidentChange::Other("incident.priority_updated".into())).by("us");
    let mut pair = Pair::acknowledged();
    pair.expect(mention().standing(Status::Acknowledged).at(20), Reason::Echo(Guard::Actor), &[]);
    pair.expect(mention().standing(Status::Open).at(30), Reason::Unclear, &["PD fetch incident"]);
    assert_eq!(pair.known().1, Some(Status::Acknowledged), "nobody knows yet whose doing it is");
}

#[test]
fn an_answer_that_tells_the_second_only_is_newer_than_what_was_known_in_that_second() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Other("incident.priority_updated".into())).at_ms(20_300));
    pair.hear(ack().at(20));
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 20));
    assert_eq!(pair.known().1, Some(Status::Acknowledged));
    // The echo is late, and somebody has let go of the incident before it comes.
    assert_eq!(pair.hear(incident_event(IncidentChange::Unacknowledged).at(22)).0, Reason::Mirrored);
}

#[test]
fn an_acknowledgement_that_came_too_late_for_a_merged_incident_reaches_the_one_that_it_goes_on_as() {
    let mut pair = Pair::open();
    pair.hear(ack().at(20));
    pair.settle("PD acknowledged", Outcome::Superseded { at: None });
    let (_, commands) = pair.hear(incident_event(IncidentChange::MergedInto(incident_id("Q2"))).at(19));
    assert_eq!(commands[..2], ["PD fetch incident", "PD acknowledged"]);
}

#[test]
fn what_is_on_its_way_to_an_incident_that_is_merged_goes_to_the_one_that_it_goes_on_as() {
    let superseded = Outcome::Superseded { at: None };
    for (event, command, outcome) in [
        (ack(), "PD acknowledged", superseded.clone()),
        (ack(), "PD acknowledged", in_state(Status::Acknowledged, 20)),
        (ack(), "PD acknowledged", Outcome::Dropped(DropReason::NotWanted)),
        (close(), "PD resolved", in_state(Status::Resolved, 20)),
    ] {
        let mut pair = Pair::open();
        pair.hear(event.at(20));
        let (_, commands) = pair.hear(incident_event(IncidentChange::MergedInto(incident_id("Q2"))).at(19));
        assert_eq!(commands[..2], ["PD fetch incident", command]);
        // The first one of the two found the incident that is over.
        let (_, commands) = pair.settle(command, outcome.clone());
        assert_eq!(commands, [""; 0], "{outcome:?}");
        assert!(pair.link().pagerduty.commanded.is_some(), "the other one is still to come");
    }
    let mut pair = Pair::open();
    pair.hear(ack().at(20));
    pair.hear(incident_event(IncidentChange::MergedInto(incident_id("Q2"))).at(19));
    pair.settle("PD acknowledged", superseded.clone());
    let told = ["OG note [PagerDuty] The incident is resolved already, so the acknowledgement was not passed on"];
    pair.expect_settled("PD acknowledged", superseded, Reason::Superseded, &told);
}
