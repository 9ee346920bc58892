//! What PagerDuty is told: creations, states and priorities.

use super::*;

#[test]
fn a_creation_is_done_when_it_is_answered_or_found_in_whatever_state() {
    let wrote = create().sending();
    assert_eq!(settle_line(&wrote, &pending(), Answer::Incident(incident(Status::Open)), 5), "created Q1 open");
    for status in [Status::Open, Status::Acknowledged, Status::Resolved] {
        let found = settle(create().unsure(), &pending(), &[], Answer::Found(Some(incident(status))), made(5));
        let outcome = Outcome::Created {
            incident: incident(status).id,
            status,
            at: Some(at(5)),
            author: None, // Who last changed what was found need not be us.
        };
        assert_eq!(found, Settlement::Done(outcome));
    }
    assert_eq!(settle_line(&create().unsure(), &pending(), Answer::Found(None), 5), "again ready");
}

#[test]
fn a_creation_that_exists_already_is_looked_up() {
    let (line, entry) = settled(&create().sending(), &pending(), refused_as(Refusal::DuplicateKey), 100);
    assert_eq!(line, "later unsure");
    let entry = entry.unwrap();
    assert_eq!(next_line(&entry, &pending(), 2_100), "find_incident");
    assert_eq!(settle_line(&note(System::PagerDuty).sending(), &link(), refused_as(Refusal::DuplicateKey), 5), "dead");
}

#[test]
fn a_creation_that_is_invalid_is_sent_once_more_bare() {
    let (line, entry) = settled(&create().sending(), &pending(), refused_as(Refusal::Invalid), 5);
    let entry = entry.unwrap();
    assert_eq!((line.as_str(), entry.attempt), ("again ready", 0));
    let Action::Create(new) = &entry.command.action else { panic!("{entry:?}") };
    assert!(new.bare && new.title == "disk full" && new.details == "long", "what is left out follows as a note");
    assert_eq!(settle_line(&entry.sending(), &pending(), refused_as(Refusal::Invalid), 5), "dead");
    assert_eq!(settle_line(&note(System::PagerDuty).sending(), &link(), refused_as(Refusal::Invalid), 5), "dead");
}

/// The bare creation that follows a whole one that was invalid.
fn bare() -> Entry {
    let entry = settled(&create().sending(), &pending(), refused_as(Refusal::Invalid), 5).1.unwrap();
    assert!(is_bare(&entry));
    entry
}

fn is_bare(entry: &Entry) -> bool {
    matches!(&entry.command.action, Action::Create(new) if new.bare)
}

#[test]
fn a_bare_creation_that_is_redriven_goes_out_whole_first_once_it_was_looked_for_in_vain() {
    let died_at = Timestamp::from_millis(5);
    let redriven = |entry: Entry| entry.redriven(died_at, Timestamp::from_millis(10_000));
    assert!(!is_bare(&redriven(bare())), "nothing was sent");
    // What was sent last may have made an incident that lacks something.
    let sent = redriven(bare().sending());
    assert!(is_bare(&sent));
    assert_eq!(next_line(&sent, &pending(), 10_000), "find_incident");
    let (line, whole) = settled(&sent, &pending(), Answer::Found(None), 10_000);
    let whole = whole.unwrap();
    assert_eq!((line.as_str(), is_bare(&whole)), ("again ready", false));
    // If that is invalid still, it goes out bare as it did before.
    let (line, again) = settled(&whole.sending(), &pending(), refused_as(Refusal::Invalid), 10_000);
    assert_eq!((line.as_str(), is_bare(&again.unwrap())), ("again ready", true));
}

#[test]
fn a_creation_is_overtaken_by_its_incident_and_by_the_end_of_its_alert() {
    assert_eq!(next_line(&create().unsure(), &link(), 0), "dropped AlreadyCreated");
    let mut closed = pending();
    closed.opsgenie.observe(Status::Resolved, None);
    assert_eq!(next_line(&create(), &closed, 0), "dropped ClosedBeforeDelivery");
    assert_eq!(next_line(&create().unsure(), &closed, 2_000), "find_incident", "it may page already");
    assert_eq!(next_line(&create().sending(), &closed, 2_000), "find_incident");
}

#[test]
fn an_incident_is_read_before_its_state_is_changed_and_never_revived() {
    use Status::{Acknowledged, Open, Resolved};
    let rows = [
        (Acknowledged, Open, "again looked"),
        (Acknowledged, Acknowledged, "is acknowledged"),
        (Acknowledged, Resolved, "superseded"),
        (Open, Open, "is open"),
        (Open, Acknowledged, "again looked"),
        (Open, Resolved, "superseded"),
        (Resolved, Open, "again looked"),
        (Resolved, Acknowledged, "again looked"),
        (Resolved, Resolved, "is resolved"),
    ];
    let names =
        [(Open, "unacknowledge_incident"), (Acknowledged, "acknowledge_incident"), (Resolved, "resolve_incident")];
    for (wanted, stands, line) in rows {
        for entry in [state(System::PagerDuty, wanted), state(System::PagerDuty, wanted).unsure()] {
            let (seen, entry) = settled(&entry, &link(), Answer::Incident(incident(stands)), 5);
            assert_eq!(seen, line, "{wanted} wanted, {stands} read");
            if let Some(entry) = entry {
                let name = names.iter().find(|n| n.0 == wanted).unwrap().1;
                assert_eq!(next_line(&entry, &link(), 5), name);
            }
        }
    }
}

#[test]
fn a_change_that_finds_its_incident_merged_ends_with_what_was_read() {
    let merged = IncidentState { merged_into: IncidentId::try_from("Q2").ok(), ..incident(Status::Resolved) };
    for wanted in [Status::Open, Status::Acknowledged, Status::Resolved] {
        for entry in [state(System::PagerDuty, wanted), state(System::PagerDuty, wanted).sending()] {
            let settlement = settle(entry.clone(), &link(), &[], Answer::Incident(merged.clone()), made(5));
            let IncidentState { id: incident, at, by, .. } = merged.clone();
            let into = IncidentId::try_from("Q2").unwrap();
            assert_eq!(settlement, Settlement::Done(Outcome::Merged { incident, into: into.clone(), at, by }));
            // It was merged back since.
            let link = Link { merged: vec![into], ..link() };
            assert_ne!(settle_line(&entry, &link, Answer::Incident(merged.clone()), 5), "merged");
        }
    }
}

#[test]
fn a_reading_that_contradicts_what_is_known_is_taken_again_when_it_must_show() {
    let mut link = link();
    link.pagerduty.observe(Status::Acknowledged, Some(at(9)));
    let open = state(System::PagerDuty, Status::Open);
    let read = || Answer::Incident(incident(Status::Open));
    let (first, entry) = settled(&open, &link, read(), 10);
    let entry = entry.unwrap();
    assert_eq!((first.as_str(), entry.due_at, entry.attempt), ("later unsure", at(2_010), 0));
    assert_eq!(next_line(&entry, &link, 2_010), "read_incident");
    assert_eq!(settle_line(&entry, &link, read(), 2_010), "is open", "by then it must show");
}

#[test]
fn what_is_known_to_be_over_is_not_revived_by_a_reading_that_lags() {
    for (wanted, stands) in [(Status::Acknowledged, Status::Open), (Status::Open, Status::Acknowledged)] {
        let read = || Answer::Incident(incident(stands));
        let entry = state(System::PagerDuty, wanted);
        let mut link = link();
        link.pagerduty.observe(Status::Resolved, Some(at(9)));
        let (first, later) = settled(&entry, &link, read(), 10);
        assert_eq!(first, "later unsure", "{wanted} wanted");
        let later = later.unwrap();
        assert_eq!(settle_line(&later, &link, Answer::Incident(incident(Status::Resolved)), 2_010), "superseded");
        assert_eq!(settle_line(&later, &link, read(), 2_010), "again looked", "by then it must show: it was reopened");
        // A reading that is newer tells of a reopening that nobody has told.
        link.pagerduty.known = None;
        link.pagerduty.observe(Status::Resolved, Some(at(4)));
        assert_eq!(settle_line(&entry, &link, read(), 10), "again looked");
        // To resolve it again is what is wanted.
        link.pagerduty.observe(Status::Resolved, Some(at(9)));
        assert_eq!(settle_line(&state(System::PagerDuty, Status::Resolved), &link, read(), 10), "again looked");
    }
}

#[test]
fn a_resolution_that_is_older_than_what_is_known_is_looked_at_again() {
    let rows = [
        (Some(at(5)), Some(at(4)), "superseded"),
        (Some(at(5)), Some(at(5)), "later unsure"),
        (Some(at(5)), Some(at(6)), "later unsure"),
        (Some(at(5)), None, "later unsure"),
        (None, Some(at(5)), "later unsure"),
    ];
    for (read_at, known_at, line) in rows {
        for wanted in [Status::Open, Status::Acknowledged] {
            let mut link = link();
            link.pagerduty.observe(if wanted == Status::Open { Status::Acknowledged } else { Status::Open }, known_at);
            let read = || Answer::Incident(IncidentState { at: read_at, ..incident(Status::Resolved) });
            let (seen, later) = settled(&state(System::PagerDuty, wanted), &link, read(), 10);
            assert_eq!(seen, line, "read as of {read_at:?}, known as of {known_at:?}");
            if let Some(later) = later {
                assert_eq!(settle_line(&later, &link, read(), 2_010), "superseded", "by then it must show");
            }
        }
    }
}

#[test]
fn a_lagging_reading_does_not_raise_the_urgency_of_what_is_acknowledged() {
    let rows = [(None, None), (Some(at(5)), None), (Some(at(6)), None), (Some(at(4)), Some(Urgency::High))];
    for (known_at, urgency) in rows {
        let mut link = link();
        link.pagerduty.observe(Status::Acknowledged, known_at);
        let (_, entry) = settled(&priority(), &link, Answer::Incident(incident(Status::Open)), 5);
        let call = PagerDutyCall::SetPriority(incident(Status::Open).id, Priority::P1, urgency);
        assert_eq!(next(&entry.unwrap(), &link, at(5)), Next::Call(Call::PagerDuty(call)), "known as of {known_at:?}");
    }
}

#[test]
fn the_answer_to_a_change_of_state_must_show_it() {
    let wrote = state(System::PagerDuty, Status::Open).sending();
    assert_eq!(settle_line(&wrote, &link(), Answer::Incident(incident(Status::Open)), 5), "is open");
    let (line, entry) = settled(&wrote, &link(), Answer::Incident(incident(Status::Acknowledged)), 5);
    let entry = entry.unwrap();
    assert_eq!((line.as_str(), entry.refusals), ("later unsure", 1));
    assert_eq!(next_line(&entry, &link(), 2_005), "read_incident");
}

#[test]
fn a_state_that_is_there_already_is_done() {
    let rows = [
        (Status::Resolved, Refusal::AlreadyResolved, "is resolved"),
        (Status::Acknowledged, Refusal::AlreadyResolved, "superseded"),
        (Status::Open, Refusal::AlreadyResolved, "superseded"),
        (Status::Acknowledged, Refusal::AlreadyAcknowledged, "is acknowledged"),
        (Status::Open, Refusal::AlreadyAcknowledged, "later ready"),
        (Status::Resolved, Refusal::AlreadyAcknowledged, "later ready"),
    ];
    for (wanted, refusal, line) in rows {
        let mut wrote = state(System::PagerDuty, wanted).sending();
        if refusal == Refusal::AlreadyResolved {
            let (line, read) = settled(&wrote, &link(), refused_as(refusal), 4);
            assert_eq!(
                (line.as_str(), next_line(read.as_ref().unwrap(), &link(), 2_004)),
                ("later unsure", "read_incident".into())
            );
            wrote = read.unwrap().sending();
        }
        assert_eq!(settle_line(&wrote, &link(), refused_as(refusal), 5), line, "{wanted} {refusal:?}");
    }
}

#[test]
fn an_incident_that_was_merged_is_read_and_ended_if_it_stands() {
    let entry =
        entry(System::PagerDuty, Action::EndMerged { incident: IncidentId::try_from("Q0").unwrap(), at: at(5) });
    let named = |entry: &Entry| {
        let next = next(entry, &link(), at(5_000));
        let Next::Call(Call::PagerDuty(call)) = next else { panic!("{next:?}") };
        call
    };
    let old = IncidentId::try_from("Q0").unwrap();
    assert_eq!(named(&entry), PagerDutyCall::ReadIncident(old.clone()), "not the one that the link has");
    assert_eq!(next_line(&entry, &link(), 1_999), "wait until 2000", "a reading may lag");
    assert_eq!(next_line(&entry, &link(), 300_000), "read_incident");
    assert_eq!(next_line(&entry, &link(), 300_001), "dropped NotWanted", "somebody may work on it by now");
    let mut merged_back = link();
    merged_back.page = Page::Standing(old.clone());
    assert_eq!(next_line(&entry, &merged_back, 5_000), "dropped NotWanted");
    let over = Answer::Incident(incident(Status::Resolved));
    assert_eq!(settle_line(&entry, &link(), over.clone(), 5), "is resolved");
    assert_eq!(settle_line(&entry, &link(), refused_as(Refusal::NotFound), 5), "is resolved");
    let (line, looked) = settled(&entry, &link(), Answer::Incident(incident(Status::Acknowledged)), 5);
    assert_eq!(line, "again looked");
    for changed_at in [Some(at(6)), None] {
        let since = Answer::Incident(IncidentState { at: changed_at, ..incident(Status::Acknowledged) });
        assert_eq!(settle_line(&entry, &link(), since, 7), "dropped NotWanted", "somebody has changed it since");
    }
    let looked = looked.unwrap();
    assert_eq!(named(&looked), PagerDutyCall::SetStatus(old.clone(), Status::Resolved));
    assert_eq!(settle_line(&looked.clone().sending(), &link(), over, 5), "is resolved");
    let (line, _) = settled(&looked.clone().sending(), &link(), Answer::Incident(incident(Status::Open)), 5);
    assert!(line.starts_with("later"), "{line}");
    assert_eq!(named(&looked.unsure()), PagerDutyCall::ReadIncident(old));
}

#[test]
fn a_priority_sets_the_urgency_only_while_the_incident_is_open() {
    for (stands, urgency) in [(Status::Open, Some(Urgency::High)), (Status::Acknowledged, None)] {
        let (line, entry) = settled(&priority(), &link(), Answer::Incident(incident(stands)), 5);
        assert_eq!(line, "again looked");
        let call = PagerDutyCall::SetPriority(incident(stands).id, Priority::P1, urgency);
        assert_eq!(next(&entry.unwrap(), &link(), at(5)), Next::Call(Call::PagerDuty(call)));
    }
    assert_eq!(settle_line(&priority(), &link(), Answer::Incident(incident(Status::Resolved)), 5), "not applicable");
    let wrote = priority().sending();
    assert_eq!(settle_line(&wrote, &link(), Answer::Incident(incident(Status::Open)), 5), "prioritised");
    assert_eq!(settle_line(&wrote, &link(), Answer::Unsupported, 5), "not applicable");
}

#[test]
fn a_write_that_is_taken_five_times_without_effect_is_dead() {
    let mut entry = state(System::PagerDuty, Status::Open);
    let mut refusals = 0;
    loop {
        refusals += 1;
        match settle(entry.sending(), &link(), &[], Answer::Incident(incident(Status::Acknowledged)), made(5)) {
            Settlement::Later { entry: later, .. } => entry = later,
            end @ (Settlement::Again(_) | Settlement::Pause { .. } | Settlement::Done(_)) => {
                assert!(matches!(end, Settlement::Done(Outcome::Dead { .. })), "{end:?}");
                break;
            }
        }
    }
    assert_eq!(refusals, MAX_REFUSALS);
}

#[test]
fn a_priority_that_is_not_the_alerts_any_more_is_not_set() {
    let mut link = link();
    let Action::UpdatePriority { priority: wanted, .. } = priority().command.action else { panic!() };
    for (now, expected) in [(wanted, "read_incident"), (Priority::P5, "dropped NotWanted")] {
        link.facts.priority = Some(now);
        assert_eq!(next_line(&priority(), &link, 0), expected);
        assert_eq!(next_line(&priority().unsure(), &link, 2_000), "read_incident", "it may have been set");
    }
}
