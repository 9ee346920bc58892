//! Pruning: what goes, what stays, and that a pass may end anywhere.

use std::time::Duration;

use super::bench::*;
use crate::engine::{EventBody, Link, Page, System, Timestamp};
use crate::store::{Form, PrunePlace, Pruned, Quarantined, Verdict};

on_both_backends! {
    what_is_over_and_old_goes_with_all_that_belongs_to_it
    what_is_open_stays_whatever_its_age
    what_pages_nobody_stays_while_its_alert_is_open
    what_is_not_old_enough_stays
    what_something_is_to_be_done_for_stays
    an_alert_that_could_page_anew_if_it_were_forgotten_stays
    a_link_stays_while_another_one_on_its_incident_is_open
    what_was_seen_is_forgotten_by_its_age
    the_quarantine_expires_and_is_counted
    what_waits_stays
    a_pass_may_break_off_anywhere
    when_pruning_last_began_is_kept
    a_timeline_without_a_link_goes_too
    an_entry_that_is_young_ends_the_look_at_its_own_timeline_only
}

const DAY: Duration = Duration::from_secs(86_400);

/// Everything that these tests do happens now; a day later it is old.
fn later() -> Timestamp {
    NOW.plus(DAY)
}

/// Prunes until a pass is over.
fn prune(bench: &mut Bench, before: Timestamp, limit: usize) -> Pruned {
    let mut sum = Pruned::default();
    let mut place = Some(PrunePlace::default());
    while let Some(next) = place {
        let slice = bench.book().prune(before, next, limit).unwrap();
        bench.commit();
        // Each of these may have two ids.
        let rows = slice.links + slice.timeline + slice.seen / 2 + slice.quarantined;
        assert!(rows <= limit, "{rows} of {limit} at most");
        sum.links += slice.links;
        sum.timeline += slice.timeline;
        sum.seen += slice.seen;
        sum.quarantined += slice.quarantined;
        place = slice.next;
    }
    sum
}

/// An alert that has paged, and is over on both sides.
fn finished(bench: &mut Bench, alert: &str, incident: &str) {
    bench.record(once(&[alert], created(alert)));
    bench.settle_one(System::PagerDuty, became(incident));
    bench.record(closed(alert));
}

fn link(bench: &mut Bench, alert: &str) -> Option<Link> {
    bench.book().link(&alert_id(alert)).unwrap()
}

fn what_is_over_and_old_goes_with_all_that_belongs_to_it(mut bench: Bench) {
    finished(&mut bench, "A", "P1");
    bench.record(filled("A", 200_000));
    bench.record(created("B"));
    bench.settle_one(
        System::PagerDuty,
        crate::engine::Outcome::Dropped(crate::engine::outbox::DropReason::ClosedBeforeDelivery),
    );
    assert_eq!(link(&mut bench, "B").unwrap().page, Page::Withheld);
    bench.record(closed("B"));
    bench.commit();
    let pruned = prune(&mut bench, later(), 100);
    assert_eq!((pruned.links, pruned.timeline, pruned.seen, pruned.quarantined), (2, 7, 1, 0));
    let keys: Vec<_> = bench.rows(b"").into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect();
    assert_eq!(keys, ["m/counters", "m/identity", "m/store"], "nothing is left of them");
    bench.record(created("A"));
    assert_eq!(bench.story("A"), ["created"], "and nothing of it is in the way");
}

fn what_is_open_stays_whatever_its_age(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    bench.record(noted("C", "joins"));
    let claims = bench.claim(System::PagerDuty);
    bench.book().settle(claims[0].entry.clone(), became("P1"), NOW).unwrap();
    let before: Vec<_> = ["A", "B", "C"].map(|alert| link(&mut bench, alert)).into();
    let pruned = prune(&mut bench, NOW.plus(1000 * DAY), 100);
    assert_eq!((pruned.links, pruned.timeline), (0, 4), "of what is open, the old part of the story goes");
    bench.reopen();
    let after: Vec<_> = ["A", "B", "C"].map(|alert| link(&mut bench, alert)).into();
    assert_eq!(after, before);
    assert_eq!(bench.book().links_of(&incident_id("P1")).unwrap().len(), 1);
    assert_eq!(bench.claim(System::PagerDuty).len(), 1);
    assert_eq!(bench.claim(System::Opsgenie).len(), 1);
}

fn what_pages_nobody_stays_while_its_alert_is_open(mut bench: Bench) {
    bench.record(created("A"));
    bench.settle_one(System::PagerDuty, dead());
    bench.book().discard(1, NOW).unwrap().unwrap();
    assert_eq!(link(&mut bench, "A").unwrap().page, Page::Withheld);
    assert_eq!(prune(&mut bench, later(), 100).links, 0, "told once more, it would page");
    bench.record(closed("A"));
    assert_eq!(prune(&mut bench, later(), 100).links, 1);
}

fn what_is_not_old_enough_stays(mut bench: Bench) {
    finished(&mut bench, "A", "P1");
    bench.commit();
    let rows = bench.rows(b"");
    assert_eq!(prune(&mut bench, NOW, 100), Pruned::default());
    assert_eq!(bench.rows(b""), rows);
    assert_eq!(prune(&mut bench, Timestamp::from_millis(NOW.as_millis() + 1), 100).links, 1);
}

fn what_something_is_to_be_done_for_stays(mut bench: Bench) {
    for (alert, incident) in [("A", "P1"), ("B", "P2"), ("C", "P3")] {
        finished(&mut bench, alert, incident);
    }
    bench.record(noted("A", "queued"));
    bench.record(noted("B", "given up"));
    let claims = bench.claim(System::PagerDuty);
    let given_up = claims.into_iter().find(|claim| claim.entry.alert == alert_id("B")).unwrap().entry;
    let id = given_up.id;
    bench.book().settle(given_up, dead(), NOW).unwrap();
    assert_eq!(prune(&mut bench, later(), 100).links, 1);
    assert!(link(&mut bench, "A").is_some() && link(&mut bench, "B").is_some() && link(&mut bench, "C").is_none());
    bench.book().discard(id, NOW).unwrap().unwrap();
    assert_eq!(prune(&mut bench, later(), 100).links, 1);
    bench.reopen();
    bench.settle_one(System::PagerDuty, noted_as("n"));
    assert_eq!(prune(&mut bench, later(), 100).links, 1);
}

fn an_alert_that_could_page_anew_if_it_were_forgotten_stays(mut bench: Bench) {
    let mut creation = created("A");
    if let EventBody::Alert(happened) = &mut creation.body {
        // By Opsgenie's clock, which is ahead of ours.
        happened.facts.created_at = Some(NOW.plus(Duration::from_secs(60)));
    }
    bench.record(creation);
    bench.settle_one(System::PagerDuty, became("P1"));
    bench.record(closed("A"));
    let too_early = NOW.plus(Duration::from_secs(60));
    assert_eq!(prune(&mut bench, too_early, 100).links, 0);
    assert_eq!(prune(&mut bench, NOW.plus(Duration::from_secs(61)), 100).links, 1);
}

fn a_link_stays_while_another_one_on_its_incident_is_open(mut bench: Bench) {
    for (alert, incident) in [("A", "P1"), ("B", "P2")] {
        bench.record(created(alert));
        bench.settle_one(System::PagerDuty, became(incident));
    }
    bench.record(merged("P1", "P2"));
    bench.record(closed("A"));
    assert_eq!(prune(&mut bench, later(), 100).links, 0);
    bench.record(closed("B"));
    assert_eq!(prune(&mut bench, later(), 100).links, 2);
    assert!(bench.rows(b"i/").is_empty());
}

fn what_was_seen_is_forgotten_by_its_age(mut bench: Bench) {
    let long = "l".repeat(5000);
    bench.record(created("A"));
    bench.record(once(&["old", &long], noted("A", "one")));
    let mut young = once(&["young"], noted("A", "two"));
    young.received_at = later();
    bench.record(young.clone());
    assert_eq!(prune(&mut bench, later(), 100).seen, 2);
    assert_eq!(bench.record(young).verdict, Verdict::Repeat);
    assert_ne!(bench.record(once(&["old"], noted("A", "one"))).verdict, Verdict::Repeat);
    assert_ne!(bench.record(once(&[&long], noted("A", "one"))).verdict, Verdict::Repeat);
    bench.commit();
    assert_eq!((bench.rows(b"d/").len(), bench.rows(b"x/").len()), (3, 3));
}

fn the_quarantine_expires_and_is_counted(mut bench: Bench) {
    let item = |received_at| Quarantined {
        system: System::PagerDuty,
        received_at,
        reason: "odd".to_owned(),
        body: vec![b'x'; 100_000],
        form: Form::Webhook,
        request_id: None,
    };
    for received_at in [NOW, NOW, later()] {
        bench.book().quarantine(&item(received_at)).unwrap();
    }
    assert_eq!(prune(&mut bench, later(), 100).quarantined, 2);
    bench.reopen();
    let left = bench.book().quarantined_after(0, 9).unwrap();
    assert_eq!((left.len(), left[0].0), (1, 3));
    assert_eq!(bench.rows(b"b/").len(), 1);
    let summary = bench.book().summary();
    assert_eq!((summary.quarantined, summary.quarantine_expired), (1, 2));
}

fn what_waits_stays(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(annotated("P1", "early"));
    prune(&mut bench, NOW.plus(1000 * DAY), 100);
    bench.reopen();
    bench.settle_one(System::PagerDuty, became("P1"));
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["early"]);
}

fn a_pass_may_break_off_anywhere(mut bench: Bench) {
    for number in 0..8 {
        let (alert, incident) = (format!("A{number}"), format!("P{number}"));
        finished(&mut bench, &alert, &incident);
        bench.record(filled(&alert, 70_000));
    }
    bench.record(created("Open"));
    bench.settle_one(System::PagerDuty, became("P9"));
    bench.record(noted("Open", "queued"));
    bench.commit();
    // One slice of a pass, then one more each time, and a restart after each: half of them without a commit.
    for slices in 1..40 {
        let mut place = Some(PrunePlace::default());
        for slice in 0..slices {
            let Some(next) = place.take() else { break };
            place = bench.book().prune(later(), next, 3).unwrap().next;
            if slice % 2 == 0 {
                bench.commit();
            }
        }
        bench.reopen();
        // Whatever is there is whole.
        for kept in bench.book().links_after(None, 100).unwrap() {
            assert_eq!(bench.book().links_of(kept.incident().unwrap()).unwrap(), [kept]);
        }
        assert_eq!(bench.queued_notes("Open", System::PagerDuty), ["queued"]);
    }
    let left = bench.book().links_after(None, 100).unwrap();
    assert_eq!(left.iter().map(|link| link.alert.as_str()).collect::<Vec<_>>(), ["Open"]);
    for prefix in [&b"t/"[..], b"e/", b"c/", b"d/", b"x/"] {
        assert!(bench.rows(prefix).is_empty(), "nothing is left behind that no pass would find");
    }
}

fn when_pruning_last_began_is_kept(mut bench: Bench) {
    assert_eq!(bench.book().pruned_at().unwrap(), bench.book().policy().first_ran_at);
    bench.book().set_pruned_at(later()).unwrap();
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().pruned_at().unwrap(), later());
}

fn a_timeline_without_a_link_goes_too(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(removed("A"));
    bench.commit();
    assert_eq!(bench.rows(b"t/").len(), 2);
    assert_eq!(prune(&mut bench, later(), 100).timeline, 2);
    assert!(bench.rows(b"t/").is_empty());
}

fn an_entry_that_is_young_ends_the_look_at_its_own_timeline_only(mut bench: Bench) {
    for alert in ["A", "A-1", "A1", "B"] {
        bench.record(created(alert));
    }
    for alert in ["A", "A1"] {
        let mut young = noted(alert, "young");
        young.received_at = later();
        bench.record(young);
    }
    assert_eq!(prune(&mut bench, later(), 100).timeline, 4);
    assert_eq!(bench.rows(b"t/").len(), 2);
    assert_eq!(bench.story("A1"), ["alert note young"]);
}

#[test]
fn what_comes_and_goes_leaves_a_store_as_large_as_it_was() {
    let mut bench = Bench::memory();
    let mut sizes = Vec::new();
    for round in 0..4 {
        for number in 0..20 {
            finished(&mut bench, &format!("A{round}-{number:02}"), &format!("P{round}-{number}"));
        }
        bench.commit();
        prune(&mut bench, later(), 7);
        let rows = bench.rows(b"");
        sizes.push(rows.len());
    }
    assert_eq!(sizes, [3; 4]);
}
