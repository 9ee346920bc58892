//! What Opsgenie takes, and then carries out or not.

use super::*;

#[test]
fn opsgenie_takes_a_request_and_is_asked_what_became_of_it() {
    for entry in writes().into_iter().filter(|e| e.command.to == System::Opsgenie) {
        let accepted = Answer::Accepted { request_id: "r1".into() };
        let (line, entry) = settled(&entry.sending(), &link(), accepted, 100);
        let entry = entry.unwrap();
        assert_eq!((line.as_str(), entry.due_at), ("later accepted", at(200)));
        let ask = OpsgenieCall::ReadRequest("r1".into());
        assert_eq!(next(&entry, &link(), at(100)), Next::Call(Call::Opsgenie(ask)));
        let done = Answer::Request(RequestState::Done { at: Some(at(200)) });
        let outcome = match entry.command.action {
            Action::SetStatus { status, .. } => Outcome::InState { status, at: Some(at(200)) },
            Action::Note { .. }
            | Action::Create(_)
            | Action::UpdatePriority { .. }
            | Action::FetchAlert
            | Action::FetchIncident
            | Action::EndMerged { .. }
            | Action::FetchNote { .. } => Outcome::Noted { id: None, author: None },
        };
        assert_eq!(settle(entry, &link(), &[], done, made(300)), Settlement::Done(outcome));
    }
}

#[test]
fn a_request_that_is_unknown_is_asked_for_again_and_after_half_a_minute_it_is_unsure() {
    let mut entry = note(System::Opsgenie).accepted();
    let mut now = at(0);
    let mut waits = Vec::new();
    while let Settlement::Later { entry: later, hold } =
        settle(entry.clone(), &link(), &[], Answer::Request(RequestState::NotYet), at_once(now))
    {
        assert_eq!((later.attempt, later.waited_ms, hold), (0, 0, None), "waiting for an answer is no failure");
        waits.push(later.due_at.since(now).as_millis());
        now = later.due_at;
        entry = later;
    }
    assert_eq!(waits[..6], [100, 100, 100, 150, 225, 337]);
    assert!(waits.is_sorted() && waits.last() == Some(&5_000), "{waits:?}");
    assert!((30_000..35_000).contains(&now.since(at(0)).as_millis()));
    let last = settle(entry.clone(), &link(), &[], Answer::Request(RequestState::NotYet), at_once(now));
    assert_eq!(last, Settlement::Again(Entry { step: Step::Unsure { since: now }, ..entry }));
}

#[test]
fn a_request_whose_clock_was_set_back_does_not_wait_for_the_difference() {
    let (_, entry) =
        settled(&note(System::Opsgenie).accepted(), &link(), Answer::Request(RequestState::NotYet), -60_000);
    let line = settle_line(&entry.unwrap(), &link(), Answer::Request(RequestState::NotYet), -30_000);
    assert_eq!(line, "again unsure");
}

#[test]
fn a_request_that_was_not_carried_out_is_compared_with_the_alert() {
    let failed = |reason: &str| Answer::Request(RequestState::Failed(reason.into()));
    let accepted = state(System::Opsgenie, Status::Acknowledged).accepted();
    assert_eq!(settle_line(&accepted, &link(), failed("Alert does not exist"), 5), "dead");
    let (line, doubted) = settled(&accepted, &link(), failed("Alert is already acknowledged"), 5);
    let doubted = doubted.unwrap();
    assert_eq!((line.as_str(), next_line(&doubted, &link(), 5).as_str()), ("again doubted", "read_alert"));
    assert_eq!(settle_line(&doubted, &link(), alert_is(Status::Acknowledged), 5), "is acknowledged");
    assert_eq!(settle_line(&doubted, &link(), alert_is(Status::Resolved), 5), "superseded");
    let (line, entry) = settled(&doubted, &link(), alert_is(Status::Open), 5);
    assert_eq!((line.as_str(), entry.unwrap().refusals), ("later ready", 1));
    let (_, doubted) = settled(&note(System::Opsgenie).accepted(), &link(), failed("busy"), 5);
    let doubted = doubted.unwrap();
    assert_eq!(next_line(&doubted, &link(), 5), "list_alert_notes");
    assert_eq!(settle_line(&doubted, &link(), Answer::Notes(Vec::new()), 5), "later ready");
    assert_eq!(settle_line(&doubted, &link(), notes(&[("x", NOTE)]), 5), "noted x");
}

#[test]
fn a_request_that_was_not_carried_out_is_not_taken_for_done_by_a_reading_that_lags() {
    let mut link = link();
    link.opsgenie.known = Some(Known { status: Status::Acknowledged, at: Some(at(0)), by_the_second: false });
    link.opsgenie.touched_at = at(0);
    let doubted = state(System::Opsgenie, Status::Open).in_step(Step::Doubted { reason: "no".into() });
    let read = |millis: Option<i64>| {
        Answer::Alert(FetchedAlert { facts: AlertFacts::default(), status: Status::Open, at: millis.map(at), by: None })
    };
    for older in [None, Some(-5)] {
        let (line, later) = settled(&doubted, &link, read(older), 9_999);
        assert_eq!((line.as_str(), later.unwrap().due_at), ("later doubted", at(19_999)));
        assert_eq!(settle_line(&doubted, &link, read(older), 10_000), "is open");
    }
    assert_eq!(settle_line(&doubted, &link, read(Some(5)), 100), "is open", "somebody did it since");
}

#[test]
fn what_a_person_has_brought_about_meanwhile_is_not_taken_for_what_is_not_wanted_of_us_any_more() {
    let read = |by: Option<&str>, at| {
        let by = by.map(str::to_owned);
        Answer::Alert(FetchedAlert { facts: AlertFacts::default(), status: Status::Acknowledged, at, by })
    };
    let unsure = state(System::Opsgenie, Status::Acknowledged).unsure();
    let mut unwanted = link();
    unwanted.opsgenie.commanded = None;
    let jane = Some("jane@example.com");
    assert_eq!(settle_line(&unsure, &unwanted, read(jane, Some(at(5))), 5), "fetched alert true");
    for (by, at) in [(None, Some(at(5))), (jane, None)] {
        assert_eq!(
            settle_line(&unsure, &unwanted, read(by, at), 5),
            "is acknowledged",
            "nobody knows whose doing it is"
        );
    }
    assert_eq!(settle_line(&unsure, &link(), read(jane, Some(at(5))), 5), "is acknowledged", "it is what is wanted");
}

#[test]
fn an_alert_is_compared_with_what_may_have_been_sent() {
    use Status::{Acknowledged, Open, Resolved};
    let rows = [
        (Acknowledged, Acknowledged, "is acknowledged"),
        (Acknowledged, Open, "again ready"),
        (Acknowledged, Resolved, "superseded"),
        (Open, Resolved, "superseded"),
        (Open, Acknowledged, "again ready"),
        (Resolved, Open, "again ready"),
        (Resolved, Resolved, "is resolved"),
    ];
    for (wanted, stands, line) in rows {
        let unsure = state(System::Opsgenie, wanted).unsure();
        assert_eq!(settle_line(&unsure, &link(), alert_is(stands), 5), line, "{wanted} wanted, {stands} read");
    }
}
