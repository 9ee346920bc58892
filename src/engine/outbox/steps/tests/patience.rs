//! How long things take: look-ups, holds, restarts, back-off and giving up.

use super::*;

#[test]
fn answers_to_look_ups_pause_nothing() {
    for entry in fetches() {
        let (line, after) = settled(&entry, &link(), Answer::Failed(Failure::Unauthorized("401".into())), 5);
        assert_eq!((line.as_str(), after.unwrap().attempt), ("later ready", 1));
    }
}

#[test]
fn an_entry_is_given_up_when_it_was_put_off_for_three_days() {
    for (entry, failure) in [(create(), try_again()), (note(System::Opsgenie), unclear())] {
        let (mut entry, mut now) = (entry, at(0));
        while let Settlement::Later { entry: later, .. } =
            settle(entry.clone().sending(), &link(), &[], Answer::Failed(failure.clone()), at_once(now))
        {
            now = later.due_at;
            entry = later;
        }
        let hours = now.since(at(0)).as_secs_f64() / 3600.0;
        assert!((71.8..=72.0).contains(&hours), "{hours} h");
        assert!(entry.attempt > 700, "{entry:?}");
        // However long a vendor refused us meanwhile.
        let unauthorized = Answer::Failed(Failure::Unauthorized("401".into()));
        assert_eq!(settle_line(&entry.sending(), &link(), unauthorized, 90 * 3_600_000), "pause ready");
    }
}

#[test]
fn a_vendor_that_asks_everybody_to_wait_is_heard() {
    let hold = Some(Duration::from_secs(60));
    for failure in [
        Failure::TryAgain { reason: "429".into(), hold },
        // Nobody knows what became of the call, but everybody is to wait all the same.
        Failure::Unclear { reason: "503".into(), hold },
    ] {
        for entry in [create().sending(), create().unsure()] {
            let settled = settle(entry, &pending(), &[], Answer::Failed(failure.clone()), made(0));
            let Settlement::Later { entry, hold: asked } = settled else { panic!("{settled:?}") };
            assert_eq!((asked, entry.due_at), (hold, at(60_000)), "{failure:?}");
        }
    }
}

#[test]
fn what_everybody_waits_for_uses_up_nobodys_patience() {
    let hold = Some(Duration::from_secs(60));
    for mut entry in [create().sending(), note(System::PagerDuty).unsure(), state(System::Opsgenie, Status::Open)] {
        for minute in 0..10_000 {
            let answer = Answer::Failed(Failure::TryAgain { reason: "429".into(), hold });
            let settled = settle(entry, &link(), &[], answer, made(minute * 60_000));
            let Settlement::Later { entry: later, .. } = settled else { panic!("{settled:?}") };
            assert_eq!((later.attempt, later.waited_ms), (0, 0));
            assert_eq!((later.due_at, later.trouble.as_deref()), (at((minute + 1) * 60_000), Some("429")));
            entry = later;
        }
    }
}

#[test]
fn look_ups_end_with_what_was_read() {
    let [alert, incident_, note] = fetches();
    assert_eq!(settle_line(&alert, &link(), alert_is(Status::Open), 5), "fetched alert true");
    assert_eq!(settle_line(&incident_, &link(), Answer::Incident(incident(Status::Open)), 5), "fetched incident true");
    assert_eq!(settle_line(&note, &link(), notes(&[("N0", "x"), ("N1", "long")]), 5), "fetched note long");
}

#[test]
fn what_is_absent_is_believed_only_when_it_must_show() {
    let [alert, incident, note] = fetches();
    let rows = [
        (alert, refused_as(Refusal::NotFound), 10_000, "fetched alert false"),
        (incident, refused_as(Refusal::NotFound), 2_000, "fetched incident false"),
        (note.clone(), refused_as(Refusal::NotFound), 2_000, "fetched note -"),
        (note, notes(&[("N0", "x")]), 2_000, "fetched note -"),
    ];
    for (entry, answer, lag, line) in rows {
        let (early, later) = settled(&entry, &link(), answer.clone(), lag - 1);
        let later = later.unwrap();
        assert_eq!((early.as_str(), later.due_at, later.attempt), ("later ready", at(lag), 0));
        assert_eq!(settle_line(&later, &link(), answer.clone(), lag), line);
        // A clock that was set back an hour does not make it wait that long.
        let hour = -3_600_000;
        let (_, later) = settled(&entry, &link(), answer.clone(), hour);
        assert_eq!(settle_line(&later.unwrap(), &link(), answer, hour + lag), line);
    }
}

#[test]
fn absence_is_judged_by_when_the_reading_began() {
    let [alert, incident, note] = fetches();
    for (entry, lag) in [(alert, 10_000), (incident, 2_000), (note, 2_000)] {
        let call = Made { began_at: at(lag - 1), answered_at: at(lag + 5) };
        let answer = || refused_as(Refusal::NotFound);
        let Settlement::Later { entry, .. } = settle(entry, &link(), &[], answer(), call) else { panic!() };
        assert_eq!(entry.due_at, at(lag + 5), "the next one is conclusive");
        assert!(matches!(settle(entry, &link(), &[], answer(), made(lag + 5)), Settlement::Done(_)));
    }
}

#[test]
fn what_is_to_be_changed_and_is_not_there_is_tried_a_few_times_before_it_is_given_up() {
    let steps = ["ready", "ready", "ready", "unsure"];
    let open = state(System::PagerDuty, Status::Open);
    let entries = [note(System::PagerDuty).sending(), priority().sending(), open, note(System::PagerDuty).unsure()];
    for (mut entry, step) in entries.into_iter().zip(steps) {
        let mut now = 5;
        for refusals in 1..MAX_REFUSALS {
            let (line, later) = settled(&entry, &link(), refused_as(Refusal::NotFound), now);
            entry = later.unwrap();
            assert_eq!((line, entry.refusals, entry.attempt), (format!("later {step}"), refusals, 0));
            now = entry.due_at.as_millis();
        }
        assert!(now > 12_000, "longer than either vendor's read lag: {now}");
        assert_eq!(settle_line(&entry, &link(), refused_as(Refusal::NotFound), now), "dead");
    }
}

#[test]
fn after_a_restart_what_was_on_its_way_is_unsure_from_then_on() {
    let since = at(3);
    let now = at(20_000);
    let accepted = Step::Accepted { request_id: "r1".into(), since };
    let rows = [
        (Step::Ready, Step::Ready),
        (Step::Looked(incident(Status::Open)), Step::Ready),
        (Step::Sending { sent_at: since }, Step::Unsure { since: now }),
        (Step::Unsure { since }, Step::Unsure { since }),
        (accepted.clone(), accepted),
        (Step::Doubted { reason: "no".into() }, Step::Doubted { reason: "no".into() }),
    ];
    for (step, after) in rows {
        let attempt = u32::from(matches!(step, Step::Sending { .. }));
        let entry = Entry { step, ..note(System::Opsgenie) };
        assert_eq!(entry.clone().taken_up(now), Entry { step: after, attempt, ..entry });
    }
}

#[test]
fn a_back_off_doubles_to_five_minutes_give_or_take_a_fifth() {
    for id in [0, 1, 77, u64::MAX] {
        for attempt in 0..60 {
            let doubled = (1_u64 << u32::saturating_sub(attempt, 1).min(20)).min(300) * 1000;
            let wait = u64::try_from(back_off(id, attempt).as_millis()).unwrap();
            assert!(wait * 10 >= doubled * 8 && wait * 10 <= doubled * 12, "{id} {attempt}: {wait}");
            assert_eq!(back_off(id, attempt), back_off(id, attempt));
        }
        assert!(back_off(id, u32::MAX) <= Duration::from_secs(360));
    }
    let spread: std::collections::BTreeSet<_> = (0..100).map(|id| back_off(id, 3)).collect();
    assert!(spread.len() > 50, "entries do not all come back at once");
}
