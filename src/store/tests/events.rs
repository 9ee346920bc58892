//! Events come in: repeats, batches, indexes, long values, and what outlives a restart.

use super::bench::*;
use crate::engine::{Page, System, Timestamp};
use crate::store::book::LONGEST_LIST;
use crate::store::keys;
use crate::store::{Form, Quarantined, QuarantinedHead, Verdict};

on_both_backends! {
    reads_in_a_batch_see_the_batch
    one_seen_id_of_several_makes_a_repeat
    what_was_seen_outlives_a_restart
    an_event_for_nobody_leaves_its_ids_and_why
    an_incident_event_finds_its_link_by_key
    the_index_follows_a_merge
    a_merged_incident_speaks_to_all_its_links
    an_incident_speaks_to_its_own_link_though_another_was_merged_into_it_first
    a_removed_link_leaves_nothing_to_do
    released_events_come_right_after_what_released_them
    long_values_grow_and_shrink_without_a_rest
    numbers_go_on_after_a_restart
    the_first_run_and_what_was_learned_outlive_a_restart
    what_is_learned_counts_for_the_very_next_decision
    quarantined_bodies_come_back_byte_for_byte
    a_list_longer_than_a_page_is_whole_and_in_order
    a_page_that_ends_before_a_longer_key_loses_nothing
}

fn an_incident_speaks_to_its_own_link_though_another_was_merged_into_it_first(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    bench.record(triggered("P1", "A"));
    bench.record(merged("P1", "P2"));
    assert_eq!(bench.record(triggered("P2", "B")).verdict, decided(&[Some("A"), Some("B")]));
    for alert in ["A", "B"] {
        let link = bench.book().link(&alert_id(alert)).unwrap().unwrap();
        assert_eq!(link.page, Page::Standing(incident_id("P2")));
        assert!(link.shared, "{alert} shares its incident");
    }
}

fn reads_in_a_batch_see_the_batch(mut bench: Bench) {
    assert_eq!(bench.record(once(&["c"], created("A"))).commands, 1);
    assert_eq!(bench.record(once(&["n"], noted("A", "one"))).verdict, decided(&[Some("A")]));
    for _ in 0..3 {
        assert_eq!(bench.record(once(&["n"], noted("A", "one"))).verdict, Verdict::Repeat);
    }
    assert_eq!(bench.record(noted("A", "two")).commands, 1);
    assert_eq!(bench.story("A"), ["created", "alert note one", "alert note two"]);
    bench.commit();
    bench.reopen();
    assert_eq!(bench.story("A"), ["created", "alert note one", "alert note two"]);
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["one", "two"]);
}

fn one_seen_id_of_several_makes_a_repeat(mut bench: Bench) {
    bench.record(once(&["event", "delivery 1"], created("A")));
    assert_eq!(bench.record(once(&["delivery 2", "event"], created("A"))).verdict, Verdict::Repeat);
    // A repeat puts nothing down, not even its other ids.
    assert_eq!(bench.record(once(&["delivery 2"], created("B"))).verdict, decided(&[Some("B")]));
}

fn what_was_seen_outlives_a_restart(mut bench: Bench) {
    let long = "l".repeat(5000);
    bench.record(once(&["c", &long], created("A")));
    bench.commit();
    bench.reopen();
    assert_eq!(bench.record(once(&["c"], created("A"))).verdict, Verdict::Repeat);
    assert_eq!(bench.record(once(&[&long], created("A"))).verdict, Verdict::Repeat);
    let by_time = bench.rows(b"x/");
    assert_eq!(by_time.len(), 1, "what came together is found by its time as well");
    assert_eq!(serde_json::from_slice::<Vec<String>>(&by_time[0].1[6..]).unwrap(), ["c", &long]);
}

fn an_event_for_nobody_leaves_its_ids_and_why(mut bench: Bench) {
    assert_eq!(bench.record(once(&["r"], removed("A"))).verdict, decided(&[None]));
    assert_eq!(bench.record(annotated("P1", "hello")).verdict, decided(&[None]), "nothing is outstanding");
    bench.commit();
    for prefix in [b"l/", b"w/", b"q/", b"o/"] {
        assert!(bench.rows(prefix).is_empty());
    }
    assert_eq!(
        bench.rows(b"t/").len(),
        1,
        "somebody may ask why the alert did not page; nobody asks for that incident"
    );
    assert_eq!(bench.rows(b"d/").len(), 1);
}

fn an_incident_event_finds_its_link_by_key(mut bench: Bench) {
    bench.record(created("A"));
    assert_eq!(bench.record(triggered("P1", "A")).verdict, decided(&[Some("A")]));
    assert_eq!(bench.record(annotated("P1", "hello")).verdict, decided(&[Some("A")]));
    assert_eq!(bench.record(triggered("P9", "Z")).verdict, decided(&[None]));
}

fn the_index_follows_a_merge(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(triggered("P1", "A"));
    bench.commit();
    bench.record(merged("P1", "P2"));
    bench.commit();
    bench.reopen();
    assert!(bench.book().links_of(&incident_id("P1")).unwrap().is_empty());
    let links = bench.book().links_of(&incident_id("P2")).unwrap();
    assert_eq!(links.iter().map(|link| link.alert.as_str()).collect::<Vec<_>>(), ["A"]);
    // What comes late of the incident that was merged is the link's all the same.
    assert_eq!(bench.record(annotated("P1", "late")).verdict, decided(&[Some("A")]));
    bench.record(removed("A"));
    bench.commit();
    assert!(bench.rows(b"i/").is_empty());
}

fn a_merged_incident_speaks_to_all_its_links(mut bench: Bench) {
    for (alert, incident) in [("A", "P1"), ("B", "P2")] {
        bench.record(created(alert));
        bench.record(triggered(incident, alert));
    }
    bench.record(merged("P1", "P2"));
    let recorded = bench.record(annotated("P2", "for both"));
    assert_eq!((recorded.verdict, recorded.commands), (decided(&[Some("A"), Some("B")]), 2));
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["for both"]);
    assert_eq!(bench.queued_notes("B", System::Opsgenie), ["for both"]);
}

fn a_removed_link_leaves_nothing_to_do(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.commit();
    assert_eq!(bench.record(removed("A")).verdict, decided(&[Some("A")]));
    bench.commit();
    for prefix in [b"l/", b"q/", b"o/", b"i/"] {
        assert!(bench.rows(prefix).is_empty());
    }
    assert!(bench.claim(System::PagerDuty).is_empty());
    assert_eq!(bench.book().next_due(System::PagerDuty), None);
}

fn released_events_come_right_after_what_released_them(mut bench: Bench) {
    bench.record(noted("A", "missed"));
    bench.record(noted("A", "second"));
    assert_eq!(bench.book().link(&alert_id("A")).unwrap().unwrap().page, Page::Joining);
    bench.settle_one(System::Opsgenie, crate::engine::Outcome::FetchedAlert(None));
    let story =
        ["alert note missed", "alert note second", "settled fetch_alert", "alert note missed", "alert note second"];
    assert_eq!(bench.story("A"), story);
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["missed", "second"]);
}

fn long_values_grow_and_shrink_without_a_rest(mut bench: Bench) {
    let chunks_of_link = |bench: &mut Bench| bench.rows(b"c/l/").len();
    bench.record(created("A"));
    for (bytes, chunks) in [(1_000, 0), (200_000, 4), (65_000, 2), (400_000, 7), (10, 0)] {
        bench.record(filled("A", bytes));
        bench.commit();
        bench.reopen();
        let link = bench.book().link(&alert_id("A")).unwrap().unwrap();
        assert_eq!(link.facts.description.unwrap().len(), bytes);
        assert_eq!(chunks_of_link(&mut bench), chunks, "for {bytes} bytes");
    }
    bench.record(filled("A", 200_000));
    bench.record(removed("A"));
    bench.commit();
    assert_eq!(chunks_of_link(&mut bench), 0);
    assert!(bench.rows(b"").iter().all(|(_, row)| row.len() <= 60 * 1024));
}

fn numbers_go_on_after_a_restart(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.commit();
    bench.reopen();
    bench.record(noted("A", "two"));
    bench.commit();
    let ids: Vec<_> = bench.book().entries(&alert_id("A")).unwrap().iter().map(|entry| entry.id).collect();
    assert_eq!(ids, [1, 2, 3]);
    assert_eq!(bench.story("A"), ["created", "alert note one", "alert note two"]);
}

fn the_first_run_and_what_was_learned_outlive_a_restart(mut bench: Bench) {
    bench.book().learn("PUSER".to_owned()).unwrap();
    bench.commit();
    bench.close();
    let later = Timestamp::from_millis(NOW.as_millis() + 1);
    let mut settings = settings();
    settings.policy.identity.pagerduty_ids.insert("PSTALE".to_owned());
    let book = crate::store::book::Book::open(bench.backend(), settings, later).unwrap();
    assert_eq!(book.policy().first_ran_at, NOW);
    assert_eq!(book.policy().identity.pagerduty_ids.iter().collect::<Vec<_>>(), ["PUSER"]);
}

fn what_is_learned_counts_for_the_very_next_decision(mut bench: Bench) {
    let by_us = |text| {
        let mut event = annotated("P1", text);
        event.actor.id = Some("PUSER".to_owned());
        event
    };
    bench.record(created("A"));
    assert_eq!(bench.record(by_us("ours")).verdict, Verdict::Waiting);
    let author = Some("PUSER".to_owned());
    let status = crate::engine::Status::Open;
    let outcome = crate::engine::Outcome::Created { incident: incident_id("P1"), status, at: None, author };
    assert_eq!(bench.settle_one(System::PagerDuty, outcome).commands, 0, "the note that waited is our own");
    assert_eq!(bench.record(by_us("ours too")).commands, 0);
    bench.commit();
    bench.reopen();
    assert_eq!(bench.record(by_us("ours still")).commands, 0);
}

fn quarantined_bodies_come_back_byte_for_byte(mut bench: Bench) {
    let item = |body: &[u8]| Quarantined {
        system: System::Opsgenie,
        received_at: NOW,
        reason: "no alert".to_owned(),
        body: body.to_vec(),
        form: Form::Webhook,
        request_id: Some("r".to_owned()),
    };
    let items = [item(b"{\"text\": \"\xc3\xa9\"}"), item(&[0xff, 0, 0x80]), item(&vec![b'x'; 1 << 20])];
    for (number, item) in (1..).zip(&items) {
        assert_eq!(bench.book().quarantine(item).unwrap(), number);
    }
    bench.commit();
    bench.reopen();
    for (number, item) in (1..).zip(&items) {
        assert!(bench.book().quarantined_under(number).unwrap().as_ref() == Some(item));
    }
    let heads = bench.book().quarantined_after(0, 2).unwrap();
    assert_eq!(heads, [(1, QuarantinedHead::of(&items[0])), (2, QuarantinedHead::of(&items[1]))]);
    assert_eq!(bench.book().quarantined_after(2, 2).unwrap(), [(3, QuarantinedHead::of(&items[2]))]);
    assert_eq!(bench.book().summary().quarantined, 3);
}

fn a_list_longer_than_a_page_is_whole_and_in_order(mut bench: Bench) {
    bench.record(created("A"));
    for number in 0..600 {
        bench.record(noted("A", &number.to_string()));
        if number == 400 {
            bench.commit();
        }
    }
    // The last third is not committed: pages of the backend and the layer above it are read as one.
    let expected: Vec<_> = (0..600).map(|number| number.to_string()).collect();
    assert_eq!(bench.queued_notes("A", System::PagerDuty), expected);
    bench.commit();
    bench.reopen();
    assert_eq!(bench.queued_notes("A", System::PagerDuty), expected);
    assert_eq!(bench.book().summary().pagerduty.entries, 601);
    assert_eq!(keys::end_of(b"l/"), b"l0");
}

fn a_page_that_ends_before_a_longer_key_loses_nothing(mut bench: Bench) {
    let mut alerts: Vec<_> = (100..356).map(|number| format!("A{number}")).collect();
    // The last of the first page is the beginning of this one.
    alerts.push("A3550".to_owned());
    for alert in &alerts {
        bench.record(created(alert));
        bench.settle_one(System::PagerDuty, became("P1"));
    }
    bench.commit();
    let links = bench.book().links_of(&incident_id("P1")).unwrap();
    assert_eq!(links.into_iter().map(|link| link.alert.into()).collect::<Vec<String>>(), alerts);
}

#[test]
fn of_a_long_timeline_the_end_is_told() {
    let mut bench = Bench::memory();
    bench.record(created("A"));
    for n in 1..=LONGEST_LIST {
        bench.record(noted("A", &n.to_string()));
    }
    let story = bench.story("A");
    assert_eq!((story.len(), story[0].as_str()), (LONGEST_LIST, "alert note 1"));
    assert_eq!(story[LONGEST_LIST - 1], format!("alert note {LONGEST_LIST}"));
}
