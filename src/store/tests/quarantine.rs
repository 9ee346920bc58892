//! The quarantine, and how it is left.

use super::bench::*;
use crate::engine::{AlertAction, Event, EventBody, IncidentChange, Outcome, Status, System};
use crate::store::{Form, Quarantined, Verdict};

on_both_backends! {
    what_is_replayed_is_taken_in_in_its_place
    what_came_again_meanwhile_is_no_second_event
    a_creation_is_looked_at_before_it_pages
    a_creation_of_an_alert_that_is_being_looked_at_is_no_reason_to_page
    a_creation_of_a_linked_alert_is_a_duplicate_of_it
    a_creation_that_tells_no_time_is_taken_as_it_is
    a_state_that_tells_no_time_is_looked_at
    what_is_dropped_is_gone
    a_note_that_found_no_room_may_wait_later
}

fn item() -> Quarantined {
    let (body, form) = (b"{}".to_vec(), Form::Webhook);
    Quarantined { system: System::Opsgenie, received_at: NOW, reason: "odd".to_owned(), body, form, request_id: None }
}

/// The alert is created, and it is told when.
fn created_at_some_time(alert: &str) -> Event {
    let mut event = created(alert);
    if let EventBody::Alert(happened) = &mut event.body {
        happened.facts.created_at = Some(NOW);
    }
    event
}

fn what_is_replayed_is_taken_in_in_its_place(mut bench: Bench) {
    bench.record(created("A"));
    assert_eq!(bench.book().quarantine(&item()).unwrap(), 1);
    assert_eq!(bench.book().quarantine(&item()).unwrap(), 2);
    bench.commit();
    let recorded = bench.book().replay(1, once(&["n"], noted("A", "one"))).unwrap().unwrap();
    assert_eq!((recorded.verdict, recorded.commands), (decided(&[Some("A")]), 1));
    bench.commit();
    bench.reopen();
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["one"]);
    assert_eq!(bench.book().summary().quarantined, 1);
    assert_eq!(bench.book().quarantined_under(1).unwrap(), None);
    assert_eq!(bench.book().quarantined_under(2).unwrap(), Some(item()));
    assert_eq!(bench.book().replay(1, noted("A", "one")).unwrap(), None, "it is there once");
    assert_eq!(bench.record(once(&["n"], noted("A", "one"))).verdict, Verdict::Repeat);
}

fn what_came_again_meanwhile_is_no_second_event(mut bench: Bench) {
    bench.record(created("A"));
    bench.book().quarantine(&item()).unwrap();
    bench.record(once(&["n"], noted("A", "one")));
    let recorded = bench.book().replay(1, once(&["n"], noted("A", "one"))).unwrap().unwrap();
    assert_eq!(recorded.verdict, Verdict::Repeat);
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["one"]);
    assert_eq!(bench.book().summary().quarantined, 0);
}

fn a_creation_is_looked_at_before_it_pages(mut bench: Bench) {
    bench.book().quarantine(&item()).unwrap();
    let recorded = bench.book().replay(1, created_at_some_time("A")).unwrap().unwrap();
    assert_eq!(recorded.commands, 1);
    assert!(bench.claim(System::PagerDuty).is_empty(), "nobody is paged yet");
    let claim = bench.claim_one(System::Opsgenie);
    assert_eq!(claim.entry.command.action.name(), "fetch_alert");
    bench.book().settle(claim.entry, Outcome::FetchedAlert(None), NOW).unwrap();
    assert_eq!(bench.claim_one(System::PagerDuty).entry.command.action.name(), "create");
}

fn a_creation_of_an_alert_that_is_being_looked_at_is_no_reason_to_page(mut bench: Bench) {
    // Decided on by the backend: what the bench decides with pages for nothing that is told twice.
    bench.decide_for_real();
    for number in [1, 2] {
        bench.book().quarantine(&item()).unwrap();
        bench.book().replay(number, created_at_some_time("A")).unwrap().unwrap();
    }
    assert!(bench.claim(System::PagerDuty).is_empty(), "nobody is paged yet");
    bench.settle_one(System::Opsgenie, Outcome::FetchedAlert(None));
    assert_eq!(bench.book().link(&alert_id("A")).unwrap(), None);
}

fn a_creation_of_a_linked_alert_is_a_duplicate_of_it(mut bench: Bench) {
    bench.record(created("A"));
    bench.book().quarantine(&item()).unwrap();
    bench.book().replay(1, created_at_some_time("A")).unwrap().unwrap();
    assert_eq!(bench.story("A"), ["created", "created"], "it is told as what it is");
}

fn a_creation_that_tells_no_time_is_taken_as_it_is(mut bench: Bench) {
    bench.book().quarantine(&item()).unwrap();
    bench.book().replay(1, created("A")).unwrap().unwrap();
    assert_eq!(bench.claim_one(System::PagerDuty).entry.command.action.name(), "create");
}

fn a_state_that_tells_no_time_is_looked_at(mut bench: Bench) {
    bench.decide_for_real();
    bench.record(created_at_some_time("A"));
    bench.settle_one(System::PagerDuty, became("P1"));
    let with_words = |event: Event| {
        let EventBody::Alert(mut happened) = event.body else { unreachable!() };
        happened.action = AlertAction::Acknowledge { note: Some("mine".to_owned()) };
        Event { body: EventBody::Alert(happened), ..event }
    };
    let about_incident = |change| {
        let EventBody::Incident(mut happened) = annotated("P1", "").body else { unreachable!() };
        (happened.status, happened.change) = (Some(Status::Acknowledged), change);
        Event { body: EventBody::Incident(happened), ..annotated("P1", "") }
    };
    let undated = [
        (acknowledged("A"), System::Opsgenie),
        (with_words(acknowledged("A")), System::Opsgenie),
        (about_incident(IncidentChange::Acknowledged), System::PagerDuty),
    ];
    for (number, (event, system)) in (1..).zip(undated) {
        bench.book().quarantine(&item()).unwrap();
        let id = number.to_string();
        bench.book().replay(number, once(&[&id], event)).unwrap().unwrap();
        let link = bench.book().link(&alert_id("A")).unwrap().unwrap();
        assert_eq!((link.opsgenie.commanded, link.pagerduty.commanded), (None, None), "nobody knows how old it is");
        let entries = bench.book().entries(&alert_id("A")).unwrap();
        let looks: Vec<_> = entries.iter().filter(|entry| entry.command.action.is_look_up()).collect();
        assert!(looks.iter().any(|entry| entry.command.to == system), "{entries:?}");
    }
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["[Opsgenie] somebody: mine"], "words are of any age");
    // A close stands whenever it was.
    bench.book().quarantine(&item()).unwrap();
    bench.book().replay(4, closed("A")).unwrap().unwrap();
    assert!(bench.book().link(&alert_id("A")).unwrap().unwrap().pagerduty.commanded.is_some());
}

fn what_is_dropped_is_gone(mut bench: Bench) {
    bench.book().quarantine(&Quarantined { body: vec![b'x'; 200_000], ..item() }).unwrap();
    bench.commit();
    assert!(bench.book().discard_quarantined(1).unwrap().is_some());
    assert_eq!(bench.book().discard_quarantined(1).unwrap(), None);
    bench.commit();
    assert!([b"u/", b"b/", b"c/"].iter().all(|prefix| bench.rows(*prefix).is_empty()));
    assert_eq!(bench.book().summary().quarantined, 0);
    assert_eq!(bench.book().quarantine(&item()).unwrap(), 2, "numbers are not given twice");
}

fn a_note_that_found_no_room_may_wait_later(mut bench: Bench) {
    bench.record(created("A"));
    bench.book().quarantine(&Quarantined { form: Form::Event, ..item() }).unwrap();
    let recorded = bench.book().replay(1, annotated("P1", "late")).unwrap().unwrap();
    assert_eq!(recorded.verdict, Verdict::Waiting);
    let waiting = bench.book().waiting().unwrap();
    assert_eq!((waiting.len(), waiting[0].number, &waiting[0].incident), (1, 1, &incident_id("P1")));
    bench.settle_one(System::PagerDuty, became("P1"));
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["late"]);
    assert!(bench.book().waiting().unwrap().is_empty());
}

#[test]
fn a_crash_before_the_commit_leaves_the_quarantine_as_it_was() {
    let mut bench = Bench::memory();
    bench.book().quarantine(&item()).unwrap();
    bench.commit();
    bench.book().replay(1, created("A")).unwrap().unwrap();
    bench.reopen();
    assert_eq!(bench.book().quarantined_under(1).unwrap(), Some(item()));
    assert_eq!(bench.book().link(&alert_id("A")).unwrap(), None);
}
