//! Notes, which have no idempotency key: whether one is there is told by counting, by its echo and by ids.

use super::*;

#[test]
fn a_note_that_may_be_there_is_told_by_counting_the_equal_ones() {
    let (other, [one, two]) = ("somebody else's words", [("N1", NOTE), ("N2", NOTE)]);
    // Notes of ours that are known to be there, what is read, and what follows for the note that is unsure.
    type Row<'a> = (&'a [(u64, Option<&'a str>, bool)], &'a [(&'a str, &'a str)], &'a str);
    let rows: [Row<'_>; 9] = [
        (&[], &[], "again ready"),
        (&[], &[("N9", other)], "again ready"),
        (&[], &[one], "noted N1"),
        (&[(1, Some("N1"), true)], &[one], "again ready"),
        (&[(1, Some("N1"), true)], &[one, two], "noted N2"),
        (&[(1, Some("N1"), true), (2, Some("N2"), true)], &[one, two], "again ready"),
        (&[(1, Some("N1"), true), (2, None, false)], &[one, two], "noted N2"),
        (&[(MARK, None, true)], &[one], "noted N1"),
        (&[(MARK, Some("N1"), true)], &[one], "noted N1"),
    ];
    for (known, read, line) in rows {
        let link = link_with_notes(System::PagerDuty, known);
        assert_eq!(settle_line(&note(System::PagerDuty).unsure(), &link, notes(read), 5), line, "{known:?} {read:?}");
    }
}

#[test]
fn a_note_is_looked_for_on_the_incidents_that_were_merged_too() {
    let mut link = link();
    let before = IncidentId::try_from("Q0").unwrap();
    link.merged.push(before.clone());
    let next = next(&note(System::PagerDuty).unsure(), &link, at(5_000));
    let incident = link.incident().unwrap().clone();
    assert_eq!(next, Next::Call(Call::PagerDuty(PagerDutyCall::ListNotes(incident, vec![before]))));
}

#[test]
fn opsgenie_notes_without_ids_are_counted_too() {
    let seen = |count: usize| Answer::Notes(vec![SeenNote { id: None, text: format!(" {NOTE}\r\n") }; count]);
    let unsure = note(System::Opsgenie).unsure();
    for (done, count, line) in [(0, 0, "again ready"), (0, 1, "noted -"), (1, 1, "again ready"), (1, 2, "noted -")] {
        let known: Vec<_> = (0..done).map(|mark| (mark, None, true)).collect();
        assert_eq!(settle_line(&unsure, &link_with_notes(System::Opsgenie, &known), seen(count), 5), line);
    }
    let elsewhere = link_with_notes(System::PagerDuty, &[(1, None, true)]);
    assert_eq!(settle_line(&unsure, &elsewhere, seen(1), 5), "noted -", "what is in PagerDuty does not count here");
}

#[test]
fn equal_notes_of_other_links_do_not_count() {
    let answer = || notes(&[("N1", NOTE)]);
    let unsure = note(System::PagerDuty).unsure();
    let settled = settle(unsure.clone(), &link(), &["N1".to_owned()], answer(), made(5));
    assert_eq!(settled, Settlement::Again(Entry { step: Step::Ready, ..unsure.clone() }));
    let settled = settle(unsure, &link(), &["N2".to_owned()], answer(), made(5));
    assert_eq!(settled, Settlement::Done(Outcome::Noted { id: Some("N1".into()), author: None }));
}

#[test]
fn a_note_of_ours_that_somebody_deleted_does_not_hide_the_one_that_is_there() {
    let link = link_with_notes(System::PagerDuty, &[(1, Some("N1"), true)]);
    assert_eq!(settle_line(&note(System::PagerDuty).unsure(), &link, notes(&[("N2", NOTE)]), 5), "noted N2");
}

#[test]
fn a_note_whose_echo_came_meanwhile_is_done() {
    for system in [System::Opsgenie, System::PagerDuty] {
        let mut link = link_with_notes(system, &[(MARK, Some("N1"), true)]);
        link.written[0].echoed = true;
        for entry in [note(system).unsure(), note(system).sending(), note(system).accepted()] {
            assert_eq!(next_line(&entry, &link, 0), "noted N1");
        }
        // Looked for in vain, then put off, and only now it shows.
        let put_off = Entry { attempt: 1, ..note(system) };
        assert_eq!(next_line(&put_off, &link, 0), "noted N1");
        // The same, by a process that ended while it was sending.
        let restarted = Entry { step: Step::Ready, ..note(system).sending().taken_up(at(0)) };
        assert_eq!(next_line(&restarted, &link, 0), "noted N1");
        // Never sent: somebody else wrote that.
        assert_ne!(next_line(&note(system), &link, 0), "noted N1");
    }
}
