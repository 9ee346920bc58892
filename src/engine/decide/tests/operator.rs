//! What becomes of what was given up, as far as the link goes.

use super::super::super::event::{Order, Ordered, Polled, Seen, SeenNote};
use super::super::super::outbox::steps::{self, Next};
use super::*;

fn ordered(order: Order) -> Event {
    event(EventBody::Ordered(Box::new(Ordered { alert: alert_id(), order })), Actor::nobody())
}

/// It died at the beginning of these tests.
fn redriven(entry: &Entry) -> Event {
    ordered(Order::Redrive { entry: Box::new(entry.clone()), died_at: second(5) })
}

impl Pair {
    /// Has the command that reads `command` die; returns it.
    #[track_caller]
    fn lose(&mut self, command: &str) -> Entry {
        let found = self.outstanding.iter().position(|c| line(c) == command);
        let lost =
            self.outstanding.remove(found.unwrap_or_else(|| panic!("no {command:?} in {:#?}", self.outstanding)));
        assert_eq!(self.end(lost.clone(), dead()).0, Reason::GivenUp);
        Entry::new(1, alert_id(), lost, second(0))
    }

    /// Redrives what has died, and tells what would be done next.
    fn redrive(&mut self, entry: &Entry) -> Next {
        self.expect(redriven(entry), Reason::Redriven, &[]);
        self.next_of(entry)
    }

    /// What would be done next about what was redriven.
    fn next_of(&self, entry: &Entry) -> Next {
        steps::next(&entry.clone().redriven(second(0), second(100)), self.link(), second(100))
    }
}

fn not_wanted() -> Next {
    Next::Done(Outcome::Dropped(DropReason::NotWanted))
}

#[test]
fn a_state_that_is_wanted_still_is_sent_when_it_is_redriven() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    let entry = pair.lose("PD acknowledged");
    assert_eq!(steps::next(&entry, pair.link(), second(0)), not_wanted(), "it is not, as long as nobody redrives it");
    assert!(matches!(pair.redrive(&entry), Next::Call(_)));
    let mut pair = Pair::open();
    pair.hear(incident_event(IncidentChange::Acknowledged).at(1));
    let entry = pair.lose("OG acknowledged");
    assert!(matches!(pair.redrive(&entry), Next::Call(_)));
}

#[test]
fn the_end_of_a_redriven_state_is_taken_for_that() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    let entry = pair.lose("PD acknowledged");
    pair.redrive(&entry);
    assert_eq!(pair.end(entry.command, in_state(Status::Acknowledged, 200)), (Reason::Carried, vec![]));
    assert_eq!(pair.known(), (Some(Status::Acknowledged), Some(Status::Acknowledged)));
    assert_eq!(pair.link().pagerduty.commanded, None);
}

#[test]
fn a_state_that_people_have_left_behind_is_not_sent_late() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    let entry = pair.lose("PD acknowledged");
    pair.hear(unack().at(2));
    assert_eq!(pair.redrive(&entry), not_wanted());
}

#[test]
fn a_state_behind_which_a_later_one_is_under_way_is_not_sent_late() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    let entry = pair.lose("PD acknowledged");
    pair.hear(close().at(2));
    assert_eq!(pair.redrive(&entry), not_wanted());
    let resolves = pair.link().pagerduty.commanded.unwrap();
    assert_eq!(resolves.status, Status::Resolved, "the later one stands");
    // Also if it is the same one.
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    let entry = pair.lose("PD acknowledged");
    pair.hear(unack().at(2));
    pair.hear(ack().at(3));
    let later = pair.link().pagerduty.commanded.unwrap();
    assert_eq!(pair.redrive(&entry), not_wanted());
    assert_eq!(pair.link().pagerduty.commanded, Some(later));
}

#[test]
fn a_resolution_is_redriven_even_if_the_alert_is_open() {
    // A late change of ours had reopened what bob had resolved.
    let mut pair = Pair::resolved();
    pair.hear(incident_event(IncidentChange::Reopened).by("us").at(5));
    let entry = pair.lose("PD resolved");
    assert!(matches!(pair.redrive(&entry), Next::Call(_)));
}

#[test]
fn a_resolution_is_not_redriven_for_its_own_sake_once_somebody_works_on_the_incident() {
    let mut pair = Pair::resolved();
    pair.hear(incident_event(IncidentChange::Reopened).by("us").at(5));
    let entry = pair.lose("PD resolved");
    pair.hear(incident_event(IncidentChange::Acknowledged).at(6));
    assert_eq!(pair.redrive(&entry), not_wanted());
}

#[test]
fn a_dead_letter_stands_for_its_drift() {
    let mut pair = Pair::open();
    pair.hear(ack().at(1));
    pair.lose("PD acknowledged");
    pair.outstanding.clear();
    pair.expect(ack().at(3), Reason::InStep, &[]);
    pair.expect(incident_event(IncidentChange::Triggered).at(4), Reason::InStep, &[]);
    assert!(pair.outstanding.is_empty());
}

#[test]
fn a_creation_is_pending_again_or_withheld_for_good() {
    let mut pair = Pair::pending();
    let create = pair.outstanding[0].clone();
    pair.end(create.clone(), dead());
    assert_eq!(pair.link().page, Page::Dead);
    let entry = Entry::new(1, alert_id(), create, second(0));
    pair.expect(redriven(&entry), Reason::Redriven, &["OG fetch alert"]);
    assert_eq!(pair.link().page, Page::Dead, "nothing is sent before the alert was read");
    pair.expect_settled("OG fetch alert", fetched(Status::Open, 1, AlertFacts::default()), Reason::Fetched, &[]);
    assert!(matches!(pair.next_of(&entry), Next::Call(_)));
    assert_eq!(pair.link().page, Page::Pending);
    pair.end(entry.command.clone(), dead());
    pair.expect(ordered(Order::Discard(Box::new(entry))), Reason::Discarded, &[]);
    assert_eq!(pair.link().page, Page::Withheld);
    pair.expect(ack().at(7), Reason::NoIncident, &[]);
    pair.expect(add_note("anybody?").at(8), Reason::NoIncident, &[]);
    pair.expect(alert_event(AlertAction::Create).at(9), Reason::Duplicate, &[]);
    assert!(!pair.link().is_open());
}

#[test]
fn a_redriven_creation_pages_nobody_for_an_alert_that_is_over() {
    let over = Next::Done(Outcome::Dropped(DropReason::ClosedBeforeDelivery));
    let closed = || fetched(Status::Resolved, 9, AlertFacts::default());
    for (read, pages) in [(closed(), false), (Outcome::FetchedAlert(None), false), (dead(), true)] {
        let mut pair = Pair::pending();
        let entry = pair.lose("PD create disk full");
        pair.hear(redriven(&entry));
        pair.settle("OG fetch alert", read);
        assert_eq!((&pair.link().page, pair.link().redriven), (&Page::Pending, false));
        assert_eq!(pair.next_of(&entry) != over, pages, "what cannot be read pages");
    }
}

#[test]
fn an_incident_that_shows_after_its_creation_was_discarded_is_the_links_and_is_left_alone() {
    let mut pair = Pair::pending();
    let create = pair.outstanding.remove(0);
    pair.end(create.clone(), dead());
    pair.hear(ordered(Order::Discard(Box::new(Entry::new(1, alert_id(), create, second(0))))));
    pair.expect(incident_event(IncidentChange::Triggered).at(20), Reason::Linked, &[]);
    assert_eq!(pair.link().incident(), Some(&incident_id("Q1")));
}

#[test]
fn the_whole_text_of_a_note_that_was_passed_on_cut_comes_as_a_note_of_its_own() {
    let mut pair = Pair::open();
    pair.hear(trimmed("N1", "the beginn").at(1));
    let entry = pair.lose("PD fetch note N1");
    pair.settle("OG note [PagerDuty] bob: the beginn […]", NOTED);
    // Another one is being fetched meanwhile.
    pair.hear(trimmed("N2", "another").at(2));
    pair.redrive(&entry);
    let whole = Outcome::FetchedNote(Some("the beginning and the end".to_owned()));
    let told = "OG note [PagerDuty] The whole text of a note that was cut: the beginning and the end";
    assert_eq!(pair.end(entry.command, whole), (Reason::Fetched, vec![told.to_owned()]));
    assert_eq!(pair.link().fetching_note.as_deref(), Some("N2"));
}

#[test]
fn a_look_that_was_ordered_tells_both_ways_where_the_alert_stands() {
    let look = || ordered(Order::Look(System::Opsgenie));
    let mut pair = Pair::open();
    pair.expect(look(), Reason::Unclear, &["OG fetch alert"]);
    pair.expect_settled("OG fetch alert", fetched(Status::Open, 9, AlertFacts::default()), Reason::Fetched, &[]);
    let mut pair = Pair::acknowledged();
    pair.hear(look());
    let (_, commands) = pair.settle("OG fetch alert", fetched(Status::Open, 99, AlertFacts::default()));
    assert_eq!(commands[0], "PD open");
    let mut pair = Pair::open();
    pair.expect(ordered(Order::Look(System::PagerDuty)), Reason::Unclear, &["PD fetch incident"]);
}

#[test]
fn a_pause_and_its_end_are_put_down_once() {
    let mut pair = Pair::open();
    let pause = |reason: &str| ordered(Order::Pause { reason: reason.to_owned() });
    pair.expect(pause("too much"), Reason::Paused, &[]);
    pair.expect(pause("another"), Reason::InStep, &[]);
    assert_eq!(pair.link().paused.as_ref().unwrap().reason, "too much");
    pair.hear(add_note("held").at(1));
    assert_eq!(pair.outstanding.len(), 1, "it is commanded all the same");
    pair.expect(ordered(Order::Resume), Reason::Resumed, &[]);
    pair.expect(ordered(Order::Resume), Reason::InStep, &[]);
    assert_eq!(pair.link().paused, None);
}

#[test]
fn an_ended_link_is_a_tombstone_whatever_comes() {
    let mut pair = Pair::open();
    pair.hear(add_note("on its way").at(1));
    let ended = Reason::Unlinked(Unlinked::ByOperator);
    pair.expect(ordered(Order::Unlink), ended, &[]);
    let tombstone = pair.link().clone();
    assert_eq!((tombstone.incident(), tombstone.is_open()), (None, false));
    let late = [
        ack().at(2),
        add_note("late").at(3),
        alert_event(AlertAction::Create).at(5),
        incident_event(IncidentChange::Triggered).at(6),
        incident_event(IncidentChange::Acknowledged).at(7),
        annotated("N9", "late").at(8),
        ordered(Order::Resume),
    ];
    for event in late {
        pair.expect(event, ended, &[]);
        assert_eq!(*pair.link(), tombstone);
    }
    pair.expect_settled("PD note [Opsgenie] jane: on its way", NOTED, ended, &[]);
}

#[test]
fn an_ended_link_is_forgotten_only_once_its_alert_is_over() {
    let looked = |seen: Seen| {
        let polled = Polled { alert: alert_id(), read_started: second(9), unfinished: false, seen };
        event(EventBody::Polled(Box::new(polled)), Actor::nobody())
    };
    let alert = FetchedAlert { facts: AlertFacts::default(), status: Status::Resolved, at: None, by: None };
    let ends = [
        close().at(4),
        alert_event(AlertAction::Delete).at(4),
        looked(Seen::Alert { alert, may_page: true }),
        looked(Seen::NoAlert),
    ];
    for end in ends {
        let mut pair = Pair::open();
        pair.hear(ordered(Order::Unlink));
        pair.hear(ack().at(2));
        let later = second(86_400);
        assert!(!pair.link().is_over_since(later), "it could page anew");
        pair.expect(end, Reason::Unlinked(Unlinked::ByOperator), &[]);
        assert!(pair.link().is_over_since(later) && pair.link().unlinked);
    }
}

fn linked(incident: &str) -> Event {
    ordered(Order::Link { incident: incident_id(incident) })
}

const BOTH_READ: [&str; 2] = ["OG fetch alert", "PD fetch incident"];

/// A link made by hand, and what was read: the alert first.
fn linked_by_hand(alert: Status, incident: Status) -> (Pair, Vec<String>) {
    let mut pair = Pair::unseen();
    pair.expect(linked("Q1"), Reason::Linked, &BOTH_READ);
    let facts = AlertFacts { message: Some("old".to_owned()), ..AlertFacts::default() };
    let (_, mut commands) = pair.settle("OG fetch alert", fetched(alert, 1, facts));
    commands.extend(pair.settle("PD fetch incident", read("Q1", incident, 2)).1);
    (pair, commands)
}

#[test]
fn a_link_by_hand_pages_nobody_and_brings_both_sides_together() {
    use Status::{Acknowledged, Open, Resolved};
    for (alert, incident, states) in [
        (Open, Open, vec![]),
        (Acknowledged, Open, vec!["PD acknowledged"]),
        (Open, Acknowledged, vec!["OG acknowledged"]),
        (Resolved, Open, vec!["PD resolved"]),
        // By the usual rules an alert whose incident is resolved is told so.
        (Open, Resolved, vec![]),
    ] {
        let (pair, commands) = linked_by_hand(alert, incident);
        let told: Vec<_> = commands.iter().filter(|command| !command.contains(" note ")).collect();
        assert_eq!(told, states.iter().collect::<Vec<_>>(), "{alert} and {incident}");
        assert_eq!(pair.link().incident(), Some(&incident_id("Q1")));
        assert_eq!(pair.link().facts.message.as_deref(), Some("old"));
    }
}

#[test]
fn a_link_by_hand_leaves_the_notes_of_before_where_they_are() {
    let note = |id: Option<&str>, text: &str, at| {
        let by = Actor { name: Some("Jane".into()), person: true, ..Actor::nobody() };
        SeenNote { id: id.map(str::to_owned), by, text: text.to_owned(), at }
    };
    let looked = |seen| {
        let polled = Polled { alert: alert_id(), read_started: second(70), unfinished: false, seen };
        event(EventBody::Polled(Box::new(polled)), Actor::nobody())
    };
    let in_incident = |notes| looked(Seen::IncidentNotes(incident_id("Q1"), notes));
    let (since, before, after) = (linked("Q1").received_at, Some(second(-60)), Some(second(60)));
    let hears = |pair: &mut Pair, event, expected: &[&str]| assert_eq!(pair.hear(event).1, expected);

    for is_new in [true, false] {
        let mut pair = if is_new { Pair::unseen() } else { Pair::open() };
        if !is_new {
            // Heard in its earlier life, which must not account for an equal one in this.
            pair.hear(add_note("hello").at(-60));
            pair.hear(ordered(Order::Unlink));
        }
        pair.hear(linked("Q1"));
        assert_eq!((pair.link().notes_since, pair.link().alert_notes_since), (Some(since), Some(since)));
        let mut notes = vec![note(None, "old", before), note(None, "hello", before), note(None, "of no time", None)];
        hears(&mut pair, looked(Seen::AlertNotes(notes.clone())), &[]);
        notes.push(note(None, "hello", after));
        hears(&mut pair, looked(Seen::AlertNotes(notes.clone())), &["PD note [Opsgenie] Jane: hello"]);
        hears(&mut pair, looked(Seen::AlertNotes(notes)), &[]);
        let mut notes = vec![note(Some("N1"), "old", before)];
        hears(&mut pair, in_incident(notes.clone()), &[]);
        notes.push(note(Some("N2"), "new", after));
        hears(&mut pair, in_incident(notes), &["OG note [PagerDuty] Jane: new"]);
    }
}

#[test]
fn what_is_over_is_not_revived_by_a_link_by_hand() {
    let (pair, _) = linked_by_hand(Status::Resolved, Status::Acknowledged);
    let states: Vec<_> = pair.outstanding.iter().map(line).filter(|command| !command.contains(" note ")).collect();
    assert_eq!(states, ["PD resolved"], "the alert stays closed");
    assert_eq!(pair.known().0, Some(Status::Resolved));
}

#[test]
fn a_link_by_hand_with_an_alert_that_is_not_there_is_over() {
    let mut pair = Pair::unseen();
    pair.hear(linked("Q1"));
    pair.expect_settled("OG fetch alert", Outcome::FetchedAlert(None), Reason::Fetched, &[]);
    assert!(!pair.link().is_open());
}

#[test]
fn an_ended_link_can_be_linked_again_and_a_standing_one_keeps_its_incident() {
    let mut pair = Pair::acknowledged();
    pair.expect(linked("Q1"), Reason::InStep, &[]);
    pair.expect(linked("Q2"), Reason::Unlinked(Unlinked::OtherIncident), &[]);
    assert_eq!(pair.link().incident(), Some(&incident_id("Q1")));
    pair.hear(ordered(Order::Unlink));
    pair.expect(linked("Q2"), Reason::Linked, &BOTH_READ);
    assert!(!pair.link().unlinked);
    assert_eq!(pair.link().incident(), Some(&incident_id("Q2")));
    // It was acknowledged before as well, and its new incident is to hear of it.
    let (_, commands) = pair.settle("OG fetch alert", fetched(Status::Acknowledged, 1, AlertFacts::default()));
    assert_eq!(commands[0], "PD acknowledged");
    let mut pair = Pair::pending();
    pair.expect(linked("Q2"), Reason::Unlinked(Unlinked::OtherIncident), &[]);
    assert_eq!(pair.link().page, Page::Pending, "its page goes on");
}
