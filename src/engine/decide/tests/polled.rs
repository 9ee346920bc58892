//! What a look at one side comes to: a row a case.

use super::super::super::event::{Polled, Seen, SeenNote};
use super::super::NotYet;
use super::*;

/// Long after everything that happened in these tests, by our clock.
const LATER: i64 = 3_600;

fn polled(seen: Seen, read_at: i64) -> Event {
    let polled = Polled { alert: alert_id(), read_started: second(read_at), unfinished: false, seen };
    let body = EventBody::Polled(Box::new(polled));
    Event { received_at: second(read_at), ..event(body, Actor::nobody()) }
}

fn alert_is(status: Status) -> Seen {
    let facts = AlertFacts { created_at: Some(second(0)), ..AlertFacts::default() };
    Seen::Alert { alert: FetchedAlert { facts, status, at: Some(second(30)), by: None }, may_page: true }
}

fn incident_is(status: Status) -> Seen {
    let by = Actor { id: Some("PUSR001".into()), name: Some("Ada".into()), source: None, person: true };
    Seen::Incident { incident: incident_id("Q1"), status, at: Some(second(30)), by, merged_into: None }
}

fn note(id: Option<&str>, who: &str, text: &str) -> SeenNote {
    let by = Actor { name: Some(who.into()), person: true, ..Actor::nobody() };
    SeenNote { id: id.map(str::to_owned), by, text: text.to_owned(), at: Some(second(30)) }
}

/// What the released events come to, one after the other.
fn follow(pair: &mut Pair, event: Event) -> Vec<String> {
    pair.hear(event).1
}

#[test]
fn what_is_known_already_changes_nothing_at_all() {
    let mut pair = Pair::open();
    pair.hear(polled(alert_is(Status::Open), LATER));
    let before = pair.link().clone();
    for seen in [alert_is(Status::Open), incident_is(Status::Open), Seen::AlertNotes(Vec::new())] {
        assert_eq!(pair.hear(polled(seen, LATER)), (Reason::NoDrift, Vec::new()));
        assert_eq!(*pair.link(), before);
    }
}

#[test]
fn what_happened_before_the_alert_was_seen_as_it_was_known_is_no_news() {
    let mut pair = Pair::open();
    let touched_at = pair.link().opsgenie.touched_at;
    pair.expect(polled(alert_is(Status::Open), LATER), Reason::NoDrift, &[]);
    assert_eq!(
        pair.link().opsgenie.touched_at,
        touched_at,
        "a look that agrees changes nothing that later looks must wait for"
    );
    pair.expect(ack().at(29), Reason::Stale, &[]);
    pair.expect(ack().at(31), Reason::Mirrored, &["PD acknowledged", "PD note [Opsgenie] jane acknowledged the alert"]);
    pair.expect(polled(alert_is(Status::Acknowledged), LATER), Reason::NoDrift, &[]);
    pair.expect(unack().at(30), Reason::Stale, &[]);
}

#[test]
fn a_close_that_does_not_tell_its_time_is_news_however_long_the_alert_was_seen_open() {
    let mut pair = Pair::open();
    pair.hear(ack().at(5));
    pair.settle("PD acknowledged", in_state(Status::Acknowledged, 6));
    pair.expect(polled(alert_is(Status::Acknowledged), LATER), Reason::NoDrift, &[]);
    let closed = Event { occurred_at: None, ..close().at(40) };
    pair.expect(closed, Reason::Mirrored, &["PD resolved", "PD note [Opsgenie] jane closed the alert"]);
}

#[test]
fn an_alert_as_it_was_known_is_looked_at_again_once_a_change_of_ours_is_through() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Acknowledged).at(5));
    // Before our change, or after somebody took it back.
    pair.expect(polled(alert_is(Status::Open), LATER), Reason::NotYet(NotYet::Unfinished), &[]);
    pair.settle("OG acknowledged", in_state(Status::Acknowledged, 29));
    assert_eq!(pair.hear(polled(alert_is(Status::Open), LATER)).0, Reason::Drift);
    // The same if its webhook was quicker than our answer.
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Acknowledged).at(5));
    pair.hear(unack().at(30));
    pair.expect(polled(alert_is(Status::Open), LATER), Reason::NotYet(NotYet::Unfinished), &[]);
}

#[test]
fn a_difference_that_is_proven_is_passed_on() {
    let mut pair = Pair::open();
    let commands = follow(&mut pair, polled(alert_is(Status::Acknowledged), LATER));
    assert_eq!(commands.len(), 2, "the state and a note of it: {commands:?}");
    let mut pair = Pair::open();
    let commands = follow(&mut pair, polled(incident_is(Status::Acknowledged), LATER));
    assert!(commands.iter().any(|line| line.contains("Ada acknowledged the incident")), "{commands:?}");
}

#[test]
fn a_look_that_began_too_early_proves_nothing() {
    for (seen, lag) in [(alert_is(Status::Acknowledged), 10), (incident_is(Status::Acknowledged), 2)] {
        let mut pair = Pair::open();
        let touched = pair.link().side(seen.system()).touched_at;
        let since = i64::try_from(touched.since(second(0)).as_secs()).unwrap();
        let fresh = Reason::NotYet(NotYet::TooFresh);
        assert_eq!(pair.hear(polled(seen.clone(), since + lag - 1)), (fresh, Vec::new()));
        assert_ne!(pair.hear(polled(seen, since + lag)).0, fresh);
    }
}

#[test]
fn a_clock_that_was_set_back_makes_looks_prove_nothing_once_and_no_longer() {
    let mut pair = Pair::open();
    pair.link.as_mut().unwrap().opsgenie.touched_at = second(LATER + 3_600);
    let fresh = Reason::NotYet(NotYet::TooFresh);
    assert_eq!(pair.hear(polled(alert_is(Status::Acknowledged), LATER)), (fresh, Vec::new()));
    assert_ne!(pair.hear(polled(alert_is(Status::Acknowledged), LATER + 60)).0, fresh);
}

#[test]
fn a_look_while_a_change_of_ours_is_under_way_proves_nothing() {
    let unfinished = Reason::NotYet(NotYet::Unfinished);
    let mut pair = Pair::open();
    let mut looked = polled(alert_is(Status::Acknowledged), LATER);
    if let EventBody::Polled(polled) = &mut looked.body {
        polled.unfinished = true;
    }
    assert_eq!(pair.hear(looked), (unfinished, Vec::new()));
    // The alert is acknowledged, which the incident is told of just now.
    pair.hear(ack());
    assert_eq!(pair.hear(polled(incident_is(Status::Resolved), LATER)), (unfinished, Vec::new()));
}

#[test]
fn an_incident_that_vanished_is_told_of_once() {
    let mut pair = Pair::open();
    let gone = || polled(Seen::NoIncident(incident_id("Q1")), LATER);
    let (reason, commands) = pair.hear(gone());
    assert_eq!((reason, commands.len()), (Reason::Vanished, 1));
    assert_eq!(pair.hear(gone()), (Reason::NoDrift, Vec::new()));
}

#[test]
fn equal_notes_of_an_alert_are_counted() {
    let mut pair = Pair::open();
    pair.hear(add_note("hello"));
    let look = |count: usize| polled(Seen::AlertNotes(vec![note(None, "Jane Doe", "hello"); count]), LATER);
    assert_eq!(pair.hear(look(1)).0, Reason::NoDrift, "however the list names her");
    assert_eq!(pair.hear(look(3)).1.len(), 2);
    assert_eq!(pair.hear(look(3)).0, Reason::NoDrift);
}

#[test]
fn notes_of_ours_are_no_news_whether_they_are_marked_or_not() {
    let mut pair = Pair::open();
    pair.hear(annotated("N1", "On it"));
    let written = "[PagerDuty] bob: On it";
    for owner in ["crosspage", "System"] {
        let seen = Seen::AlertNotes(vec![note(None, owner, written)]);
        assert_eq!(pair.hear(polled(seen, LATER)).0, Reason::NoDrift, "{owner}");
    }
}

#[test]
fn notes_of_an_incident_are_told_apart_by_their_ids() {
    let mut pair = Pair::open();
    pair.hear(annotated("N1", "On it"));
    let notes = vec![note(Some("N1"), "Ada", "On it"), note(Some("N2"), "Ada", "On it")];
    let look = || polled(Seen::IncidentNotes(incident_id("Q1"), notes.clone()), LATER);
    assert_eq!(follow(&mut pair, look()).len(), 1);
    assert_eq!(follow(&mut pair, look()).len(), 0);
}

#[test]
fn a_link_that_follows_a_merge_is_open_until_the_notes_there_were_read() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::MergedInto(incident_id("Q2"))).at(5));
    pair.settle("PD fetch incident", Outcome::FetchedIncident(None));
    pair.hear(incident_event(IncidentChange::Resolved).on("Q2").at(10));
    pair.hear(close().at(11));
    assert!(pair.link().is_open() && pair.link().is_over());
    let notes = |on| Seen::IncidentNotes(incident_id(on), vec![note(Some("N1"), "Ada", "before the merge was told")]);
    let look = |on, read_at| polled(notes(on), read_at);
    assert_eq!(pair.hear(look("Q1", LATER)), (Reason::NoDrift, Vec::new()), "that is not the one any more");
    let merged_at = pair.link().unread_since.unwrap().since(second(0)).as_secs().cast_signed();
    assert_eq!(pair.hear(look("Q2", merged_at + 1)).1.len(), 1, "news all the same");
    assert!(pair.link().is_open(), "a reading shows what was written up to two seconds before it");
    assert_eq!(pair.hear(look("Q2", merged_at + 2)).0, Reason::NoDrift);
    assert!(!pair.link().is_open());
}

#[test]
fn a_clock_that_was_set_back_keeps_notes_unread_once_and_no_longer() {
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::MergedInto(incident_id("Q2"))).at(5));
    pair.link.as_mut().unwrap().unread_since = Some(second(LATER + 3_600));
    pair.hear(polled(Seen::IncidentNotes(incident_id("Q2"), Vec::new()), LATER));
    assert_eq!(pair.link().unread_since, Some(second(LATER)));
    pair.hear(polled(Seen::IncidentNotes(incident_id("Q2"), Vec::new()), LATER + 60));
    assert_eq!(pair.link().unread_since, None);
}

#[test]
fn an_alert_without_a_link_is_read_if_it_may_page() {
    let table = [
        (Status::Open, true, second(0), true),
        (Status::Acknowledged, true, second(0), true),
        (Status::Resolved, true, second(0), false),
        (Status::Open, false, second(0), false),
        (Status::Open, true, Timestamp::from_millis(999_999), false),
        (Status::Open, true, second(0).minus(Duration::from_secs(40 * 86_400)), false),
    ];
    for (status, may_page, created_at, reads) in table {
        let facts = AlertFacts { created_at: Some(created_at), ..AlertFacts::default() };
        let alert = FetchedAlert { facts, status, at: Some(second(30)), by: None };
        let decision = decide(None, &polled(Seen::Alert { alert, may_page }, LATER), &policy());
        assert_eq!(decision.reason == Reason::Joining, reads, "{status} {may_page} {:?}", decision.reason);
        assert_eq!(decision.commands.len(), usize::from(reads));
        let withheld = decision.link.as_ref().is_some_and(|link| link.page == Page::Withheld);
        assert_eq!(withheld, status == Status::Resolved, "it is over");
        assert_eq!(decision.link.is_some(), reads || withheld);
    }
}

#[test]
fn an_alert_that_was_seen_closed_does_not_page_when_its_creation_is_told_at_last() {
    let mut pair = Pair::unseen();
    pair.expect(polled(alert_is(Status::Resolved), LATER), Reason::NoIncident, &[]);
    pair.expect(alert_event(AlertAction::Create).at(1), Reason::Duplicate, &[]);
    // One from before crosspage first ran here, or one that the query leaves out, is not worth a link.
    let mut old = alert_is(Status::Resolved);
    if let Seen::Alert { alert, .. } = &mut old {
        alert.facts.created_at = Some(Timestamp::from_millis(999_999));
    }
    assert!(decide(None, &polled(old, LATER), &policy()).link.is_none());
}
