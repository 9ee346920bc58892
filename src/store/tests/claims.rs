//! Lanes: their order, claims, releases, settling, parking.

use std::time::Duration;

use super::bench::*;
use crate::engine::outbox::call::IncidentState;
use crate::engine::{Action, Actor, Class, Entry, Outcome, Status, Step, System};
use crate::store::{Claim, StoreError};

on_both_backends! {
    a_lane_is_first_in_first_out
    a_sick_lane_holds_up_no_other
    claims_end_with_the_process
    what_was_being_sent_is_unsure_after_a_restart
    what_was_taken_stays_taken_after_a_restart
    a_claim_brings_the_link_as_it_is_now
    a_release_that_is_not_durable_only_moves_the_schedule
    a_durable_release_is_kept
    a_look_is_never_stored
    a_clock_set_back_holds_nothing_up
    lanes_come_longest_due_first_and_no_more_than_asked
    the_most_urgent_lanes_come_first
    a_lane_is_as_urgent_as_its_most_urgent_entry
    lanes_are_as_urgent_after_a_restart
    only_a_claimed_entry_can_be_settled
    a_claim_on_a_removed_link_is_void
    behind_a_dead_create_pagerduty_waits_and_opsgenie_does_not
    a_standing_incident_takes_its_dead_create_back
    a_create_that_dies_after_its_incident_showed_itself_is_no_dead_letter
    the_other_links_notes_come_with_a_merged_links_claim
}

fn text(entry: &Entry) -> &str {
    match &entry.command.action {
        Action::Note { text, .. } => text,
        other => other.name(),
    }
}

fn texts(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| text(&claim.entry)).collect()
}

fn a_lane_is_first_in_first_out(mut bench: Bench) {
    bench.record(created("A"));
    for note in ["one", "two", "three"] {
        bench.record(noted("A", note));
    }
    bench.commit();
    let mut done = Vec::new();
    while let Some(claim) = bench.claim(System::PagerDuty).pop() {
        assert!(bench.claim(System::PagerDuty).is_empty(), "the lane is claimed");
        done.push(text(&claim.entry).to_owned());
        let outcome = if done.len() == 1 { became("P1") } else { noted_as("n") };
        bench.book().settle(claim.entry, outcome, NOW).unwrap();
        bench.commit();
    }
    assert_eq!(done, ["create", "one", "two", "three"]);
    assert_eq!(bench.book().next_due(System::PagerDuty), None);
}

fn a_sick_lane_holds_up_no_other(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(triggered("P1", "A"));
    bench.record(annotated("P1", "for the alert"));
    let mut sick = bench.claim_one(System::PagerDuty).entry;
    sick.due_at = NOW.plus(Duration::from_secs(300));
    bench.book().release(sick).unwrap();
    bench.record(created("B"));
    assert_eq!(texts(&bench.claim(System::Opsgenie)), ["for the alert"]);
    let claims = bench.claim(System::PagerDuty);
    assert_eq!(claims.iter().map(|claim| claim.entry.alert.as_str()).collect::<Vec<_>>(), ["B"]);
    assert_eq!(bench.book().next_due(System::PagerDuty), Some(NOW.plus(Duration::from_secs(300))));
}

fn claims_end_with_the_process(mut bench: Bench) {
    bench.record(created("A"));
    bench.commit();
    bench.claim_one(System::PagerDuty);
    assert_eq!(bench.book().next_due(System::PagerDuty), None);
    bench.reopen();
    assert_eq!(bench.book().next_due(System::PagerDuty), Some(NOW));
    assert_eq!(bench.claim_one(System::PagerDuty).entry.step, Step::Ready);
}

fn what_was_being_sent_is_unsure_after_a_restart(mut bench: Bench) {
    bench.record(created("A"));
    let entry = bench.claim_one(System::PagerDuty).entry;
    bench.book().save(Entry { step: Step::Sending { sent_at: NOW }, ..entry }).unwrap();
    bench.commit();
    assert!(bench.claim(System::PagerDuty).is_empty(), "it stays claimed");
    bench.reopen();
    // It may have been on its way until the process ended, however long ago it had set off.
    let now = NOW.plus(Duration::from_secs(15));
    assert_eq!(bench.book().claim(System::PagerDuty, 1, now).unwrap()[0].entry.step, Step::Unsure { since: now });
}

fn what_was_taken_stays_taken_after_a_restart(mut bench: Bench) {
    bench.record(created("A"));
    let entry = bench.claim_one(System::PagerDuty).entry;
    let step = Step::Accepted { request_id: "r".to_owned(), since: NOW };
    bench.book().save(Entry { step: step.clone(), ..entry }).unwrap();
    bench.commit();
    bench.reopen();
    assert_eq!(bench.claim_one(System::PagerDuty).entry.step, step);
}

fn a_claim_brings_the_link_as_it_is_now(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(triggered("P1", "A"));
    let claim = bench.claim_one(System::PagerDuty);
    assert_eq!(claim.link.incident(), Some(&incident_id("P1")));
    assert_eq!(claim.sibling_notes, Vec::<String>::new());
}

fn a_release_that_is_not_durable_only_moves_the_schedule(mut bench: Bench) {
    let later = NOW.plus(Duration::from_secs(30));
    bench.record(created("A"));
    bench.commit();
    let entry = bench.claim_one(System::PagerDuty).entry;
    bench.book().put_off(Entry { attempt: 7, due_at: later, ..entry.clone() }).unwrap();
    assert!(bench.claim(System::PagerDuty).is_empty());
    assert_eq!(bench.book().claim(System::PagerDuty, 1, later).unwrap()[0].entry, entry);
    bench.reopen();
    assert_eq!(bench.claim_one(System::PagerDuty).entry, entry);
}

fn a_durable_release_is_kept(mut bench: Bench) {
    let later = NOW.plus(Duration::from_secs(30));
    bench.record(created("A"));
    let entry = bench.claim_one(System::PagerDuty).entry;
    bench.book().release(Entry { attempt: 7, due_at: later, ..entry }).unwrap();
    bench.commit();
    bench.reopen();
    assert!(bench.claim(System::PagerDuty).is_empty());
    assert_eq!(bench.book().next_due(System::PagerDuty), Some(later));
    assert_eq!(bench.book().claim(System::PagerDuty, 1, later).unwrap()[0].entry.attempt, 7);
}

fn a_look_is_never_stored(mut bench: Bench) {
    let looked = |entry: Entry| {
        let state = IncidentState {
            id: incident_id("P1"),
            status: Status::Open,
            at: None,
            by: Actor::nobody(),
            merged_into: None,
        };
        Entry { step: Step::Looked(state), ..entry }
    };
    bench.record(created("A"));
    let entry = bench.claim_one(System::PagerDuty).entry;
    bench.book().save(looked(entry.clone())).unwrap();
    bench.book().release(looked(entry.clone())).unwrap();
    assert_eq!(bench.claim_one(System::PagerDuty).entry.step, Step::Ready);
    bench.book().settle(looked(entry), became("P1"), NOW).unwrap();
    bench.commit();
    assert_eq!(bench.story("A"), ["created", "settled create"]);
}

fn a_clock_set_back_holds_nothing_up(mut bench: Bench) {
    bench.record(created("A"));
    bench.commit();
    let an_hour_back = NOW.minus(Duration::from_secs(3600));
    assert!(bench.book().claim(System::PagerDuty, 1, NOW.minus(Duration::from_secs(500))).unwrap().is_empty());
    assert_eq!(bench.book().claim(System::PagerDuty, 1, an_hour_back).unwrap().len(), 1);
}

fn lanes_come_longest_due_first_and_no_more_than_asked(mut bench: Bench) {
    for (alert, seconds) in [("A", 3), ("B", 1), ("C", 2)] {
        let mut event = created(alert);
        event.received_at = NOW.plus(Duration::from_secs(seconds));
        bench.record(event);
    }
    let now = NOW.plus(Duration::from_secs(10));
    let claims = bench.book().claim(System::PagerDuty, 2, now).unwrap();
    assert_eq!(claims.iter().map(|claim| claim.entry.alert.as_str()).collect::<Vec<_>>(), ["B", "C"]);
    assert_eq!(bench.book().claim(System::PagerDuty, 2, now).unwrap().len(), 1);
}

/// Three alerts, of which A and B have been paged for; what waits for C, B and A is a page, a state and a note.
fn one_lane_of_each_class(bench: &mut Bench) {
    for (alert, incident) in [("A", "P1"), ("B", "P2")] {
        bench.record(created(alert));
        bench.settle_one(System::PagerDuty, became(incident));
    }
    bench.record(noted("A", "talk"));
    bench.record(noted("B", "in the way"));
    bench.record(acknowledged("B"));
    bench.record(created("C"));
}

fn the_most_urgent_lanes_come_first(mut bench: Bench) {
    one_lane_of_each_class(&mut bench);
    let claims = bench.claim(System::PagerDuty);
    let classes: Vec<_> = claims.iter().map(|claim| (claim.entry.alert.as_str(), claim.class)).collect();
    assert_eq!(classes, [("C", Class::Create), ("B", Class::State), ("A", Class::Note)]);
    assert_eq!(texts(&claims), ["create", "in the way", "talk"]);
}

fn a_lane_is_as_urgent_as_its_most_urgent_entry(mut bench: Bench) {
    one_lane_of_each_class(&mut bench);
    assert_eq!(bench.book().due(System::PagerDuty), [Some(NOW); 3]);
    for (class, alert) in [(Class::Note, "A"), (Class::State, "B"), (Class::State, "B")] {
        let claims = bench.book().claim_of(class, System::PagerDuty, 9, NOW).unwrap();
        assert_eq!(claims.len(), 1, "{class:?}");
        assert_eq!((claims[0].entry.alert.as_str(), claims[0].class), (alert, class));
        bench.book().settle(claims[0].entry.clone(), noted_as("n"), NOW).unwrap();
    }
    assert_eq!(bench.book().due(System::PagerDuty), [Some(NOW), None, None]);
    // A state behind a note makes the lane more urgent, and a lane that is put off stays as urgent as it was.
    bench.record(noted("A", "more talk"));
    assert_eq!(bench.book().due(System::PagerDuty), [Some(NOW), None, Some(NOW)]);
    bench.record(acknowledged("A"));
    assert_eq!(bench.book().due(System::PagerDuty), [Some(NOW), Some(NOW), None]);
    let later = NOW.plus(Duration::from_secs(30));
    let entry = bench.book().claim_of(Class::State, System::PagerDuty, 9, NOW).unwrap().remove(0).entry;
    assert_eq!(text(&entry), "more talk");
    bench.book().put_off(Entry { due_at: later, ..entry }).unwrap();
    assert_eq!(bench.book().due(System::PagerDuty), [Some(NOW), Some(later), None]);
}

fn lanes_are_as_urgent_after_a_restart(mut bench: Bench) {
    one_lane_of_each_class(&mut bench);
    bench.commit();
    bench.reopen();
    let claims = bench.claim(System::PagerDuty);
    assert_eq!(texts(&claims), ["create", "in the way", "talk"]);
}

fn only_a_claimed_entry_can_be_settled(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.commit();
    let entry = bench.claim_one(System::PagerDuty).entry;
    let id = entry.id;
    let void = Err(StoreError::NotClaimed { id });
    bench.book().settle(entry.clone(), became("P1"), NOW).unwrap();
    assert_eq!(bench.book().settle(entry.clone(), became("P1"), NOW).map(|_| ()), void);
    assert_eq!(bench.book().save(entry.clone()), void);
    assert_eq!(bench.book().release(entry.clone()), void);
    // Neither does the claim of the entry behind it make it good.
    bench.claim_one(System::PagerDuty);
    assert_eq!(bench.book().settle(entry, became("P1"), NOW).map(|_| ()), void);
    bench.commit();
    assert_eq!(bench.story("A"), ["created", "alert note one", "settled create"]);
}

fn a_claim_on_a_removed_link_is_void(mut bench: Bench) {
    bench.record(created("A"));
    let entry = bench.claim_one(System::PagerDuty).entry;
    bench.record(removed("A"));
    // Even if the same alert comes again meanwhile.
    bench.record(created("A"));
    assert_eq!(bench.book().save(entry.clone()), Err(StoreError::NotClaimed { id: entry.id }));
    assert_eq!(bench.claim_one(System::PagerDuty).entry.id, 2);
}

fn behind_a_dead_create_pagerduty_waits_and_opsgenie_does_not(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "to pagerduty"));
    bench.settle_one(System::PagerDuty, dead());
    bench.record(annotated_for("A", "to opsgenie"));
    bench.commit();
    bench.reopen();
    assert!(bench.claim(System::PagerDuty).is_empty());
    assert_eq!(bench.book().next_due(System::PagerDuty), None);
    assert_eq!(bench.book().summary().pagerduty.parked, 1);
    assert_eq!(texts(&bench.claim(System::Opsgenie)), ["to opsgenie"]);
    let letters = bench.book().dead_letters(None, 100).unwrap();
    assert_eq!(
        letters.iter().map(|l| (l.entry.alert.as_str(), l.reason.as_str())).collect::<Vec<_>>(),
        [("A", "refused")]
    );
    // What comes later waits behind it.
    bench.record(noted("A", "also"));
    assert!(bench.claim(System::PagerDuty).is_empty());
}

fn a_standing_incident_takes_its_dead_create_back(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.settle_one(System::PagerDuty, dead());
    assert!(bench.claim(System::PagerDuty).is_empty());
    assert_eq!(bench.book().summary().dead_letters, 1);
    bench.commit();
    bench.record(triggered("P1", "A"));
    assert_eq!(bench.book().summary().dead_letters, 0);
    assert!(bench.book().dead_letters(None, 100).unwrap().is_empty());
    assert_eq!(text(&bench.claim_one(System::PagerDuty).entry), "one");
}

fn a_create_that_dies_after_its_incident_showed_itself_is_no_dead_letter(mut bench: Bench) {
    bench.record(created("A"));
    let create = bench.claim_one(System::PagerDuty).entry;
    bench.record(triggered("P1", "A"));
    bench.book().settle(create, dead(), NOW).unwrap();
    assert!(bench.book().dead_letters(None, 100).unwrap().is_empty());
    assert_eq!(bench.book().summary().dead_letters, 0);
}

fn the_other_links_notes_come_with_a_merged_links_claim(mut bench: Bench) {
    for (alert, incident) in [("A", "P1"), ("B", "P2")] {
        bench.record(created(alert));
        bench.settle_one(System::PagerDuty, became(incident));
        bench.record(noted(alert, "note"));
        bench.settle_one(System::PagerDuty, noted_as(&format!("note of {alert}")));
        // Opsgenie has no ids, and its notes are no part of the incident anyway.
        bench.record(annotated(incident, "back"));
        bench.settle_one(System::Opsgenie, noted_as(&format!("alert note of {alert}")));
    }
    bench.record(merged("P1", "P2"));
    bench.record(noted("A", "more"));
    assert_eq!(bench.claim_one(System::PagerDuty).sibling_notes, ["note of B"]);
    // B stood there before, and shares the incident as well from now on.
    bench.record(noted("B", "more"));
    assert_eq!(bench.claim_one(System::PagerDuty).sibling_notes, ["note of A"]);
}

#[test]
fn an_outcome_other_than_death_leaves_no_dead_letter() {
    let mut bench = Bench::memory();
    bench.record(created("A"));
    bench.settle_one(System::PagerDuty, Outcome::Dropped(crate::engine::outbox::DropReason::ClosedBeforeDelivery));
    assert!(bench.book().dead_letters(None, 100).unwrap().is_empty());
}
