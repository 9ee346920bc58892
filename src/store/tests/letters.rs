//! What becomes of dead letters.

use std::time::Duration;

use super::bench::*;
use crate::engine::outbox::DropReason;
use crate::engine::{Entry, EventBody, Outcome, Page, Reason, Step, System};
use crate::store::{PrunePlace, StoreError, Unlinking};

on_both_backends! {
    a_redriven_creation_goes_first_and_what_was_parked_follows_in_order
    a_redriven_note_goes_back_to_its_place
    a_redriven_entry_waits_for_the_one_that_is_under_way
    what_is_redriven_begins_anew_and_looks_first_for_what_it_may_have_sent
    what_dies_again_can_be_redriven_again
    several_letters_are_dealt_with_in_the_order_that_was_given
    a_discarded_creation_takes_along_what_is_parked_behind_it
    a_discarded_note_is_gone_and_holds_nothing_up
    a_letter_is_acted_on_once
    a_letter_without_a_link_can_only_be_discarded
    an_ended_link_takes_all_along_and_stays_as_a_tombstone
    a_link_whose_page_is_on_its_way_cannot_be_ended
}

fn letters(bench: &mut Bench) -> Vec<u64> {
    let letters = bench.book().dead_letters(None, 100).unwrap();
    assert_eq!(bench.book().summary().dead_letters, letters.len() as u64);
    letters.iter().map(|letter| letter.entry.id).collect()
}

fn linked(bench: &mut Bench, alert: &str) {
    bench.record(created(alert));
    bench.settle_one(System::PagerDuty, became("P1"));
}

fn a_redriven_creation_goes_first_and_what_was_parked_follows_in_order(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.settle_one(System::PagerDuty, dead());
    bench.record(noted("A", "two"));
    assert!(bench.claim(System::PagerDuty).is_empty());
    bench.commit();
    bench.reopen();
    assert_eq!(letters(&mut bench), [1]);
    let letter = bench.book().redrive(1, NOW).unwrap().unwrap();
    assert_eq!(letter.reason, "refused");
    assert!(letters(&mut bench).is_empty());
    // It may be over long since, so the alert is read before anybody is paged.
    assert!(bench.claim(System::PagerDuty).is_empty());
    bench.commit();
    bench.reopen();
    assert!(bench.claim(System::PagerDuty).is_empty());
    bench.settle_one(System::Opsgenie, Outcome::FetchedAlert(None));
    assert_eq!(bench.book().link(&alert_id("A")).unwrap().unwrap().page, Page::Pending);
    // Its notes may come before its answer again.
    assert_eq!(bench.record(annotated("P1", "early")).verdict, crate::store::Verdict::Waiting);
    bench.commit();
    bench.reopen();
    assert_eq!(bench.claim_one(System::PagerDuty).entry.command.action.name(), "create");
    bench.reopen();
    bench.settle_one(System::PagerDuty, became("P1"));
    assert_eq!(bench.queued_notes("A", System::Opsgenie), ["early"]);
    bench.settle_one(System::PagerDuty, noted_as("n1"));
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["two"]);
    let story = bench.story("A");
    assert_eq!(story[..5], ["created", "alert note one", "settled create", "alert note two", "redrive"]);
}

fn a_redriven_note_goes_back_to_its_place(mut bench: Bench) {
    linked(&mut bench, "A");
    for note in ["one", "two", "three"] {
        bench.record(noted("A", note));
    }
    bench.settle_one(System::PagerDuty, dead());
    let id = letters(&mut bench)[0];
    bench.book().redrive(id, NOW).unwrap().unwrap();
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["one", "two", "three"]);
    for reopens in [false, true] {
        if reopens {
            bench.commit();
            bench.reopen();
        }
        let entry = bench.claim_one(System::PagerDuty).entry;
        assert_eq!(entry.id, id);
        bench.book().put_off(entry).unwrap();
    }
}

fn a_redriven_entry_waits_for_the_one_that_is_under_way(mut bench: Bench) {
    linked(&mut bench, "A");
    bench.record(noted("A", "one"));
    bench.record(noted("A", "two"));
    bench.settle_one(System::PagerDuty, dead());
    let under_way = bench.claim_one(System::PagerDuty).entry;
    let id = letters(&mut bench)[0];
    bench.book().redrive(id, NOW).unwrap().unwrap();
    assert!(bench.claim(System::PagerDuty).is_empty(), "one at a time");
    bench.book().settle(under_way, noted_as("n2"), NOW).unwrap();
    assert_eq!(bench.claim_one(System::PagerDuty).entry.id, id);
}

fn what_is_redriven_begins_anew_and_looks_first_for_what_it_may_have_sent(mut bench: Bench) {
    let later = NOW.plus(Duration::from_secs(86_400));
    let worn = |entry: Entry, step: Step| Entry {
        step,
        attempt: 900,
        refusals: 5,
        waited_ms: 72 * 3_600_000,
        trouble: Some("503".to_owned()),
        ..entry
    };
    let accepted = Step::Accepted { request_id: "r".to_owned(), since: NOW };
    let steps = [
        (Step::Ready, Step::Ready),
        (Step::Sending { sent_at: NOW }, Step::Unsure { since: NOW }),
        (accepted, Step::Unsure { since: NOW }),
        (Step::Doubted { reason: "no".to_owned() }, Step::Unsure { since: NOW }),
    ];
    linked(&mut bench, "A");
    for (died_in, expected) in steps {
        bench.record(noted("A", "one"));
        let entry = worn(bench.claim_one(System::PagerDuty).entry, died_in);
        let id = entry.id;
        bench.book().settle(entry, dead(), NOW).unwrap();
        bench.book().redrive(id, later).unwrap().unwrap();
        let entry = bench.book().claim(System::PagerDuty, 1, later).unwrap().remove(0).entry;
        assert_eq!((entry.id, &entry.step, entry.due_at), (id, &expected, later));
        assert_eq!((entry.attempt, entry.refusals, entry.waited_ms, &entry.trouble), (1, 0, 0, &None));
        bench.book().settle(entry, noted_as("n"), later).unwrap();
    }
}

fn what_dies_again_can_be_redriven_again(mut bench: Bench) {
    bench.record(created("A"));
    for _ in 0..3 {
        bench.settle_one(System::PagerDuty, dead());
        bench.commit();
        bench.reopen();
        assert_eq!(letters(&mut bench), [1]);
        bench.book().redrive(1, NOW).unwrap().unwrap();
        bench.settle_one(System::Opsgenie, Outcome::FetchedAlert(None));
    }
    bench.settle_one(System::PagerDuty, became("P1"));
    assert!(letters(&mut bench).is_empty());
}

fn a_discarded_creation_takes_along_what_is_parked_behind_it(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.record(noted("A", "two"));
    bench.record(created("B"));
    let claims = bench.claim(System::PagerDuty);
    bench.book().settle(claims[0].entry.clone(), dead(), NOW).unwrap();
    assert!(bench.claim(System::PagerDuty).is_empty());
    let discarded = bench.book().discard(1, NOW).unwrap().unwrap();
    assert_eq!((discarded.letter.entry.id, discarded.parked.len()), (1, 2));
    bench.commit();
    bench.reopen();
    assert!(letters(&mut bench).is_empty());
    assert_eq!(bench.book().link(&alert_id("A")).unwrap().unwrap().page, Page::Withheld);
    assert!(bench.book().entries(&alert_id("A")).unwrap().is_empty());
    assert_eq!(bench.claim_one(System::PagerDuty).entry.alert, alert_id("B"));
    let timeline = bench.book().timeline(&alert_id("A")).unwrap();
    let ends = timeline.iter().rev().take(2);
    for end in ends {
        let EventBody::Settled(settled) = &end.event.body else { panic!("{end:?}") };
        assert_eq!(settled.outcome, Outcome::Dropped(DropReason::Discarded));
    }
    assert_eq!(timeline[4].reason, Reason::Discarded);
    assert_eq!(timeline.len(), 7);
}

fn a_discarded_note_is_gone_and_holds_nothing_up(mut bench: Bench) {
    linked(&mut bench, "A");
    bench.record(noted("A", "one"));
    bench.record(noted("A", "two"));
    bench.settle_one(System::PagerDuty, dead());
    let id = letters(&mut bench)[0];
    assert!(bench.book().discard(id, NOW).unwrap().unwrap().parked.is_empty());
    assert!(letters(&mut bench).is_empty());
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["two"]);
    assert_eq!(bench.claim_one(System::PagerDuty).entry.id, id + 1);
    assert_eq!(bench.story("A").last().unwrap(), "discard");
}

fn a_letter_is_acted_on_once(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(created("B"));
    for claim in bench.claim(System::PagerDuty) {
        bench.book().settle(claim.entry, dead(), NOW).unwrap();
    }
    assert!(bench.book().redrive(1, NOW).unwrap().is_some());
    assert!(bench.book().discard(2, NOW).unwrap().is_some());
    for id in [1, 2, 99] {
        assert_eq!(bench.book().redrive(id, NOW).unwrap(), None);
        assert_eq!(bench.book().discard(id, NOW).unwrap(), None);
    }
    assert_eq!(bench.book().summary().pagerduty.entries, 1);
}

fn a_letter_without_a_link_can_only_be_discarded(mut bench: Bench) {
    bench.record(created("A"));
    bench.settle_one(System::PagerDuty, dead());
    bench.record(removed("A"));
    assert_eq!(bench.book().redrive(1, NOW).unwrap(), None);
    assert_eq!(letters(&mut bench), [1]);
    assert!(bench.book().discard(1, NOW).unwrap().is_some());
    bench.commit();
    assert!(bench.claim(System::PagerDuty).is_empty());
}

fn an_ended_link_takes_all_along_and_stays_as_a_tombstone(mut bench: Bench) {
    linked(&mut bench, "A");
    for note in ["dies", "to be done"] {
        bench.record(noted("A", note));
    }
    bench.settle_one(System::PagerDuty, dead());
    bench.record(annotated("P1", "to the alert"));
    bench.commit();
    let ended = bench.book().unlink(&alert_id("A"), NOW).unwrap();
    assert!(
        matches!(&ended, Unlinking::Ended { entries, letters } if (entries.len(), letters.len()) == (2, 1)),
        "{ended:?}"
    );
    bench.commit();
    bench.reopen();
    assert!(letters(&mut bench).is_empty() && bench.book().entries(&alert_id("A")).unwrap().is_empty());
    assert!(bench.claim(System::Opsgenie).is_empty() && bench.claim(System::PagerDuty).is_empty());
    assert!(bench.rows(b"i/").is_empty());
    let tombstone = bench.book().link(&alert_id("A")).unwrap().unwrap();
    assert!(tombstone.unlinked && tombstone.page == Page::Withheld);
    assert_eq!(bench.story("A").last().unwrap(), "unlink");
    assert_eq!(bench.book().unlink(&alert_id("Z"), NOW).unwrap(), Unlinking::NoLink);
    // It goes when everything else of its age does.
    assert_eq!(bench.book().prune(NOW, PrunePlace::default(), 10).unwrap().links, 0);
    let later = NOW.plus(Duration::from_secs(1));
    assert_eq!(bench.book().prune(later, PrunePlace::default(), 10).unwrap().links, 0, "its alert is open");
    bench.record(closed("A"));
    assert_eq!(bench.book().prune(later, PrunePlace::default(), 10).unwrap().links, 1);
}

fn a_link_whose_page_is_on_its_way_cannot_be_ended(mut bench: Bench) {
    bench.record(created("A"));
    bench.commit();
    let [claim] = bench.claim(System::PagerDuty).try_into().unwrap();
    let sending = Entry { step: Step::Sending { sent_at: NOW }, ..claim.entry };
    bench.book().save(sending.clone()).unwrap();
    let refused = |bench: &mut Bench| bench.book().unlink(&alert_id("A"), NOW).unwrap() == Unlinking::PageOnItsWay;
    assert!(refused(&mut bench));
    // It is looked for after it was not answered, and after a start.
    bench.book().release(Entry { step: Step::Unsure { since: NOW }, ..sending }).unwrap();
    assert!(refused(&mut bench));
    bench.commit();
    bench.reopen();
    assert!(refused(&mut bench));
    assert_eq!(bench.book().entries(&alert_id("A")).unwrap().len(), 1, "nothing is dropped");
    assert!(!bench.book().link(&alert_id("A")).unwrap().unwrap().unlinked);
    let [claim] = bench.claim(System::PagerDuty).try_into().unwrap();
    bench.book().save(Entry { step: Step::Ready, ..claim.entry.clone() }).unwrap();
    // Whoever has claimed it may not send it any more.
    assert!(matches!(bench.book().unlink(&alert_id("A"), NOW).unwrap(), Unlinking::Ended { .. }));
    let late = bench.book().save(Entry { step: Step::Sending { sent_at: NOW }, ..claim.entry });
    assert!(matches!(late, Err(StoreError::NotClaimed { .. })), "{late:?}");
}

#[test]
fn a_crash_before_the_commit_leaves_a_letter_as_it_was() {
    let mut bench = Bench::memory();
    bench.record(created("A"));
    bench.record(noted("A", "one"));
    bench.settle_one(System::PagerDuty, dead());
    bench.commit();
    bench.book().redrive(1, NOW).unwrap().unwrap();
    bench.reopen();
    assert_eq!(letters(&mut bench), [1]);
    bench.book().discard(1, NOW).unwrap().unwrap();
    bench.reopen();
    assert_eq!(letters(&mut bench), [1]);
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["one"]);
    assert!(bench.claim(System::PagerDuty).is_empty(), "it is parked still");
}

fn several_letters_are_dealt_with_in_the_order_that_was_given(mut bench: Bench) {
    for alert in ["C", "A", "B", "D"] {
        bench.record(created(alert));
        bench.settle_one(System::PagerDuty, dead());
    }
    let numbers = |redriven: Vec<Option<crate::store::DeadLetter>>| -> Vec<Option<u64>> {
        redriven.into_iter().map(|letter| letter.map(|letter| letter.entry.id)).collect()
    };
    let redriven = bench.book().redrive_all(&[3, 9, 1, 3], NOW).unwrap();
    assert_eq!(numbers(redriven), [Some(3), None, Some(1), None], "what is not there, or not any more, is nothing");
    assert_eq!(letters(&mut bench), [2, 4]);
    let read: Vec<_> = bench.claim(System::Opsgenie).iter().map(|claim| claim.entry.alert.to_string()).collect();
    assert_eq!(read, ["B", "C"], "each alert is read, in the order of the order");
    let discarded = bench.book().discard_all(&[4, 1, 2, 2], NOW).unwrap();
    let discarded = discarded.into_iter().map(|discarded| discarded.map(|discarded| discarded.letter)).collect();
    assert_eq!(numbers(discarded), [Some(4), None, Some(2), None]);
    assert!(letters(&mut bench).is_empty());
    bench.commit();
    bench.reopen();
    assert!(letters(&mut bench).is_empty());
}
