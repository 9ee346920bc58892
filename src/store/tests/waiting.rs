//! The waiting room.

use super::bench::*;
use crate::engine::outbox::DropReason;
use crate::engine::{Outcome, System};
use crate::store::{Quarantined, Verdict};

on_both_backends! {
    notes_wait_for_the_create_and_come_in_order
    notes_that_wait_outlive_a_restart
    a_webhook_lets_waiting_notes_go_on_too
    notes_wait_only_for_creates_that_were_outstanding_when_they_came
    notes_stop_waiting_when_a_create_dies_or_is_withheld
    a_merge_lets_waiting_notes_go_on
    a_joining_link_counts_as_outstanding
    notes_wait_on_when_the_look_at_the_alert_dies_since_it_then_pages
}

fn notes_wait_for_the_create_and_come_in_order(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    for (incident, text) in [("P1", "one"), ("P2", "other"), ("P1", "two"), ("P1", "three")] {
        assert_eq!(bench.record(annotated(incident, text)).verdict, Verdict::Waiting);
    }
    assert_eq!(bench.book().summary().waiting, 4);
    let mut claims = bench.claim(System::PagerDuty);
    let recorded = bench.book().settle(claims.remove(0).entry, became("P1"), NOW).unwrap();
    assert_eq!(recorded.commands, 3);
    let story = ["created", "settled create", "incident note one", "incident note two", "incident note three"];
    assert_eq!(bench.story("A"), story);
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["one", "two", "three"]);
    assert_eq!(bench.book().summary().waiting, 1);
    bench.commit();
    assert_eq!(bench.rows(b"w/").len(), 1);
}

fn notes_that_wait_outlive_a_restart(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(once(&["w"], annotated("P1", "one")));
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().summary().waiting, 1);
    assert_eq!(bench.record(once(&["w"], annotated("P1", "one"))).verdict, Verdict::Repeat);
    assert_eq!(bench.record(annotated("P1", "two")).verdict, Verdict::Waiting);
    bench.settle_one(System::PagerDuty, became("P1"));
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["one", "two"]);
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().summary().waiting, 0);
    assert!(bench.rows(b"o/").is_empty());
}

fn a_webhook_lets_waiting_notes_go_on_too(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(annotated("P1", "one"));
    assert_eq!(bench.record(triggered("P1", "A")).verdict, decided(&[Some("A"), Some("A")]));
    assert_eq!(bench.story("A"), ["created", "triggered", "incident note one"]);
}

fn notes_wait_only_for_creates_that_were_outstanding_when_they_came(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    bench.record(annotated("P9", "somebody else's"));
    bench.record(created("C"));
    bench.commit();
    bench.reopen();
    let mut claims = bench.claim(System::PagerDuty);
    let recorded = bench.book().settle(claims.remove(1).entry, became("P2"), NOW).unwrap();
    assert_eq!(recorded.verdict, decided(&[Some("B")]), "A may still bring it");
    let recorded = bench.book().settle(claims.remove(0).entry, became("P1"), NOW).unwrap();
    assert_eq!(recorded.verdict, decided(&[Some("A"), None]), "C came later");
    assert_eq!(bench.book().summary().waiting, 0);
}

fn notes_stop_waiting_when_a_create_dies_or_is_withheld(mut bench: Bench) {
    for outcome in [dead(), Outcome::Dropped(DropReason::ClosedBeforeDelivery)] {
        let alert = format!("A{}", outcome == dead());
        bench.record(created(&alert));
        bench.record(annotated("P9", "somebody else's"));
        let recorded = bench.settle_one(System::PagerDuty, outcome);
        assert_eq!(recorded.verdict, decided(&[Some(&alert), None]));
        assert_eq!(bench.book().summary().waiting, 0);
    }
    assert_eq!(bench.record(annotated("P9", "more")).verdict, decided(&[None]));
}

fn a_merge_lets_waiting_notes_go_on(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(triggered("P1", "A"));
    bench.record(created("B"));
    assert_eq!(bench.record(annotated("P2", "one")).verdict, Verdict::Waiting);
    bench.record(merged("P1", "P2"));
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["one"]);
}

fn a_joining_link_counts_as_outstanding(mut bench: Bench) {
    bench.record(noted("A", "missed"));
    assert_eq!(bench.record(annotated("P1", "one")).verdict, Verdict::Waiting);
    bench.settle_one(System::Opsgenie, Outcome::FetchedAlert(None));
    assert_eq!(bench.book().summary().waiting, 1, "it is being created now");
    bench.settle_one(System::PagerDuty, became("P1"));
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["one"]);
}

fn notes_wait_on_when_the_look_at_the_alert_dies_since_it_then_pages(mut bench: Bench) {
    bench.record(noted("A", "missed"));
    for _ in 0..2 {
        bench.settle_one(System::Opsgenie, dead());
        bench.commit();
        bench.reopen();
        assert_eq!(bench.record(annotated("P1", "early")).verdict, Verdict::Waiting);
        // A look that is redriven may die again while the create is still outstanding.
        let letters = bench.book().dead_letters(None, 100).unwrap();
        bench.book().redrive(letters[0].entry.id, NOW).unwrap().unwrap();
    }
    bench.settle_one(System::PagerDuty, became("P1"));
    assert_eq!(bench.book().summary().waiting, 0);
}

#[test]
fn when_the_room_is_full_notes_go_to_the_quarantine() {
    let mut bench = Bench::memory();
    bench.record(created("A"));
    for number in 0..10_000 {
        assert_eq!(bench.record(annotated("P1", &number.to_string())).verdict, Verdict::Waiting);
    }
    assert_eq!(bench.record(annotated("P1", "too many")).verdict, Verdict::Quarantined(1));
    let Quarantined { system, body, .. } = bench.book().quarantined_under(1).unwrap().unwrap();
    assert_eq!(system, System::PagerDuty);
    assert_eq!(serde_json::from_slice::<crate::engine::Event>(&body).unwrap(), annotated("P1", "too many"));
    // The room empties, in order, in one transaction.
    assert_eq!(bench.settle_one(System::PagerDuty, became("P1")).commands, 10_000);
}
