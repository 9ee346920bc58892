//! Pages that are owed, and what was told of it.

use std::time::Duration;

use super::bench::*;
use crate::engine::outage::{Outage, Stage};
use crate::engine::outbox::DropReason;
use crate::engine::{Entry, Outcome, System, Timestamp};
use crate::store::LatePage;

on_both_backends! {
    a_page_is_owed_until_its_incident_stands
    a_page_is_owed_until_nobody_need_be_paged_any_more
    a_page_for_what_is_over_is_not_owed
    a_page_that_was_given_up_is_owed_until_somebody_deals_with_it
    a_missed_alert_that_is_being_read_is_owed_a_page
    the_longest_owed_come_first_and_no_more_than_asked
    what_is_owed_since_a_later_moment_is_late_by_a_clock_that_was_set_back
    an_outage_is_kept_until_it_is_over
}

const MINUTE: Duration = Duration::from_secs(60);

fn later() -> Timestamp {
    NOW.plus(MINUTE)
}

/// What is late a minute later, after a crash.
fn late(bench: &mut Bench) -> Vec<LatePage> {
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().late_pages(later().minus(Duration::from_millis(1)), MINUTE, None, 9).unwrap().count, 0);
    let late = bench.book().late_pages(later(), MINUTE, None, 9).unwrap();
    assert_eq!((late.count, late.oldest), (late.pages.len(), late.pages.first().map(|page| page.since)));
    late.pages
}

fn alerts(pages: &[LatePage]) -> Vec<&str> {
    pages.iter().map(|page| page.alert.as_str()).collect()
}

fn a_page_is_owed_until_its_incident_stands(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    let owed = late(&mut bench);
    assert_eq!(alerts(&owed), ["A", "B"]);
    assert_eq!((owed[0].since, owed[0].waits_for, owed[0].given_up), (NOW, System::PagerDuty, false));
    assert_eq!(owed[0].trouble, None);
    let claims = bench.claim(System::PagerDuty);
    let [first, second] = [0, 1].map(|number: usize| claims[number].entry.clone());
    bench.book().settle(first, became("P1"), NOW).unwrap();
    bench.book().release(Entry { trouble: Some("503".to_owned()), attempt: 1, ..second }).unwrap();
    let owed = late(&mut bench);
    assert_eq!((alerts(&owed), owed[0].trouble.as_deref()), (vec!["B"], Some("503")));
    // It had gone through after all.
    bench.record(triggered("P2", "B"));
    assert_eq!(late(&mut bench), []);
}

fn a_page_is_owed_until_nobody_need_be_paged_any_more(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    bench.record(removed("B"));
    assert_eq!(alerts(&late(&mut bench)), ["A"]);
    bench.settle_one(System::PagerDuty, Outcome::Dropped(DropReason::ClosedBeforeDelivery));
    assert_eq!(late(&mut bench), []);
}

fn a_page_for_what_is_over_is_not_owed(mut bench: Bench) {
    bench.record(created("Dead"));
    bench.settle_one(System::PagerDuty, dead());
    bench.record(created("Queued"));
    bench.record(created("Open"));
    assert_eq!(alerts(&late(&mut bench)), ["Dead", "Open", "Queued"]);
    bench.record(closed("Dead"));
    bench.record(closed("Queued"));
    assert_eq!(alerts(&late(&mut bench)), ["Open"], "whatever becomes of the creations");
}

fn a_page_that_was_given_up_is_owed_until_somebody_deals_with_it(mut bench: Bench) {
    for alert in ["A", "B"] {
        bench.record(created(alert));
        bench.settle_one(System::PagerDuty, dead());
    }
    let owed = late(&mut bench);
    assert_eq!(alerts(&owed), ["A", "B"]);
    assert!(owed.iter().all(|page| page.given_up && page.trouble.as_deref() == Some("refused")));
    let letters = bench.book().dead_letters(None, 100).unwrap();
    bench.book().discard(letters[0].entry.id, later()).unwrap().unwrap();
    assert_eq!(alerts(&late(&mut bench)), ["B"]);
    bench.book().redrive(letters[1].entry.id, later()).unwrap().unwrap();
    let owed = late(&mut bench);
    assert_eq!((owed[0].since, owed[0].given_up), (NOW, false), "it has been owed all the time");
    assert_eq!(owed[0].waits_for, System::Opsgenie, "its alert is read first");
    let read = bench.book().claim(System::Opsgenie, 1, later()).unwrap().remove(0).entry;
    bench.book().settle(read, Outcome::FetchedAlert(None), later()).unwrap();
    let entry = bench.book().claim(System::PagerDuty, 1, later()).unwrap().remove(0).entry;
    bench.book().settle(entry, became("P2"), later()).unwrap();
    assert_eq!(late(&mut bench), []);
}

fn a_missed_alert_that_is_being_read_is_owed_a_page(mut bench: Bench) {
    bench.record(noted("A", "missed"));
    let owed = late(&mut bench);
    assert_eq!((alerts(&owed), owed[0].waits_for), (vec!["A"], System::Opsgenie));
    bench.settle_one(System::Opsgenie, Outcome::FetchedAlert(None));
    let owed = late(&mut bench);
    assert_eq!((owed[0].since, owed[0].waits_for), (NOW, System::PagerDuty), "since it was missed");
}

fn the_longest_owed_come_first_and_no_more_than_asked(mut bench: Bench) {
    for (alert, seconds) in [("A", 3), ("B", 1), ("C", 2)] {
        let mut event = created(alert);
        event.received_at = NOW.plus(Duration::from_secs(seconds));
        bench.record(event);
    }
    let hour = NOW.plus(60 * MINUTE);
    let first = bench.book().late_pages(hour, MINUTE, None, 2).unwrap();
    assert_eq!((first.count, alerts(&first.pages)), (3, vec!["B", "C"]));
    let behind = (first.pages[1].since, first.pages[1].alert.clone());
    let rest = bench.book().late_pages(hour, MINUTE, Some(&behind), 2).unwrap();
    assert_eq!((rest.count, alerts(&rest.pages)), (3, vec!["A"]));
    let early = NOW.plus(Duration::from_secs(62));
    let late = bench.book().late_pages(early, MINUTE, None, 9).unwrap();
    assert_eq!((alerts(&late.pages), late.newest_at), (vec!["B", "C"], Some(early)), "C has just become late");
    assert_eq!(bench.book().late_pages(NOW, MINUTE, None, 9).unwrap().newest_at, None);
}

fn what_is_owed_since_a_later_moment_is_late_by_a_clock_that_was_set_back(mut bench: Bench) {
    bench.record(created("A"));
    let back = |span| NOW.minus(span);
    assert_eq!(bench.book().late_pages(back(MINUTE), MINUTE, None, 9).unwrap().count, 0);
    let late = bench.book().late_pages(back(2 * MINUTE), MINUTE, None, 9).unwrap();
    assert_eq!((late.count, late.newest_at), (1, None));
}

fn an_outage_is_kept_until_it_is_over(mut bench: Bench) {
    assert_eq!(bench.book().outage().unwrap(), None);
    for stage in [Stage::Telling, Stage::Told, Stage::Ending] {
        let outage = Outage { since: NOW, stage, told_at: Some(later()) };
        bench.book().set_outage(Some(&outage)).unwrap();
        bench.commit();
        bench.reopen();
        assert_eq!(bench.book().outage().unwrap(), Some(outage));
    }
    bench.book().set_outage(None).unwrap();
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().outage().unwrap(), None);
}
