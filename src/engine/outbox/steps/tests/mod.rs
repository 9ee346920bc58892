//! Every step of every action against every answer. An entry is run through `next` and `settle`, and what comes of it is
//! compared as a short line.

mod notes;
mod opsgenie;
mod pagerduty;
mod patience;

use super::super::super::event::{Actor, AlertFacts, AlertId, IncidentId, Priority};
use super::super::super::link::{Commanded, Known, WrittenNote};
use super::super::call::{Answer, Failure, Refusal, RequestState};
use super::super::{Command, FetchedAlert, NewIncident, back_off};
use super::*;

const NOTE: &str = "[Opsgenie] jane: hello";
const MARK: u64 = 7;

/// `millis` after the entries of these tests were put in.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_000_000 + millis)
}

/// A call that was answered at once, `millis` after the entries of these tests were put in.
fn made(millis: i64) -> Made {
    at_once(at(millis))
}

fn at_once(now: Timestamp) -> Made {
    Made { began_at: now, answered_at: now }
}

fn alert() -> AlertId {
    AlertId::try_from("a-1").unwrap()
}

fn link() -> Link {
    let page = Page::Standing(IncidentId::try_from("Q1").unwrap());
    let mut link = Link::new(alert(), AlertFacts::default(), page, at(0));
    // Whatever state the entry of a test is for, it is the one that is wanted.
    for system in [System::Opsgenie, System::PagerDuty] {
        link.side_mut(system).commanded = Some(Commanded { status: Status::Open, mark: MARK });
    }
    link
}

fn pending() -> Link {
    Link { page: Page::Pending, ..link() }
}

/// A link that knows of notes of ours with the text of these tests: their marks, ids and whether the vendor has them.
fn link_with_notes(system: System, notes: &[(u64, Option<&str>, bool)]) -> Link {
    let hash = TextHash::of(&[NOTE]);
    let note = |&(mark, id, done): &(u64, Option<&str>, bool)| {
        let id = id.map(str::to_owned);
        WrittenNote { system, mark, hash: hash.clone(), id, done, echoed: false }
    };
    Link { written: notes.iter().map(note).collect(), ..link() }
}

fn entry(to: System, action: Action) -> Entry {
    Entry::new(1, alert(), Command { to, action }, at(0))
}

fn create() -> Entry {
    entry(
        System::PagerDuty,
        Action::Create(NewIncident {
            title: "disk full".into(),
            details: "long".into(),
            urgency: None,
            priority: None,
            bare: false,
        }),
    )
}

fn state(to: System, status: Status) -> Entry {
    entry(to, Action::SetStatus { status, mark: MARK })
}

fn note(to: System) -> Entry {
    entry(to, Action::Note { text: NOTE.into(), mark: MARK })
}

fn priority() -> Entry {
    entry(System::PagerDuty, Action::UpdatePriority { priority: Priority::P1, by: "jane".into() })
}

fn fetches() -> [Entry; 3] {
    [
        entry(System::Opsgenie, Action::FetchAlert),
        entry(System::PagerDuty, Action::FetchIncident),
        entry(System::PagerDuty, Action::FetchNote { incident: IncidentId::try_from("Q1").unwrap(), id: "N1".into() }),
    ]
}

/// One of each action that writes.
fn writes() -> Vec<Entry> {
    let mut all = vec![create(), note(System::Opsgenie), note(System::PagerDuty), priority()];
    for status in [Status::Open, Status::Acknowledged, Status::Resolved] {
        all.extend([state(System::Opsgenie, status), state(System::PagerDuty, status)]);
    }
    all
}

trait In {
    fn in_step(self, step: Step) -> Self;
    fn sending(self) -> Self;
    fn unsure(self) -> Self;
    fn accepted(self) -> Self;
}

impl In for Entry {
    fn in_step(self, step: Step) -> Self {
        Self { step, ..self }
    }
    fn sending(self) -> Self {
        self.in_step(Step::Sending { sent_at: at(0) })
    }
    fn unsure(self) -> Self {
        self.in_step(Step::Unsure { since: at(0) })
    }
    fn accepted(self) -> Self {
        self.in_step(Step::Accepted { request_id: "r1".into(), since: at(0) })
    }
}

fn incident(status: Status) -> IncidentState {
    let by = Actor { id: Some("P1".into()), person: true, ..Actor::nobody() };
    IncidentState { id: IncidentId::try_from("Q1").unwrap(), status, at: Some(at(5)), by, merged_into: None }
}

fn alert_is(status: Status) -> Answer {
    Answer::Alert(FetchedAlert { facts: AlertFacts::default(), status, at: Some(at(5)), by: None })
}

fn notes(texts: &[(&str, &str)]) -> Answer {
    let seen = |&(id, text): &(&str, &str)| SeenNote { id: Some(id.to_owned()), text: text.to_owned() };
    Answer::Notes(texts.iter().map(seen).collect())
}

fn try_again() -> Failure {
    Failure::TryAgain { reason: "busy".into(), hold: None }
}

fn unclear() -> Failure {
    Failure::Unclear { reason: "timeout".into(), hold: None }
}

fn refused_as(meaning: Refusal) -> Answer {
    Answer::Failed(Failure::Refused { meaning, reason: "no".into() })
}

/// The next call's name, or when to ask again, or how it ended.
fn next_line(entry: &Entry, link: &Link, now: i64) -> String {
    match next(entry, link, at(now)) {
        Next::Call(call) => call.name().to_owned(),
        Next::Wait(until) => format!("wait until {}", until.as_millis() - at(0).as_millis()),
        Next::Done(outcome) => ended(&outcome),
    }
}

fn ended(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Created { incident, status, .. } => format!("created {incident} {status}"),
        Outcome::Noted { id, .. } => format!("noted {}", id.as_deref().unwrap_or("-")),
        Outcome::InState { status, .. } => format!("is {status}"),
        Outcome::Superseded { .. } => "superseded".to_owned(),
        Outcome::Dropped(why) => format!("dropped {why:?}"),
        Outcome::Dead { .. } => "dead".to_owned(),
        Outcome::FetchedAlert(alert) => format!("fetched alert {}", alert.is_some()),
        Outcome::FetchedIncident(incident) => format!("fetched incident {}", incident.is_some()),
        Outcome::FetchedNote(text) => format!("fetched note {}", text.as_deref().unwrap_or("-")),
        Outcome::Merged { .. } => "merged".to_owned(),
        Outcome::Prioritised => "prioritised".to_owned(),
        Outcome::NotApplicable => "not applicable".to_owned(),
    }
}

fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Ready => "ready",
        Step::Looked(_) => "looked",
        Step::Sending { .. } => "sending",
        Step::Unsure { .. } => "unsure",
        Step::Accepted { .. } => "accepted",
        Step::Doubted { .. } => "doubted",
    }
}

/// What an answer at `now` makes of an entry: how it goes on, in which step.
fn settled(entry: &Entry, link: &Link, answer: Answer, now: i64) -> (String, Option<Entry>) {
    match settle(entry.clone(), link, &[], answer, made(now)) {
        Settlement::Again(entry) => (format!("again {}", step_name(&entry.step)), Some(entry)),
        Settlement::Later { entry, .. } => (format!("later {}", step_name(&entry.step)), Some(entry)),
        Settlement::Pause { entry, .. } => (format!("pause {}", step_name(&entry.step)), Some(entry)),
        Settlement::Done(outcome) => (ended(&outcome), None),
    }
}

fn settle_line(entry: &Entry, link: &Link, answer: Answer, now: i64) -> String {
    settled(entry, link, answer, now).0
}

#[test]
fn what_was_never_sent_is_sent_after_a_look_where_a_late_write_could_revive() {
    let rows = [
        (create(), "create_incident"),
        (note(System::Opsgenie), "add_alert_note"),
        (note(System::PagerDuty), "add_incident_note"),
        (state(System::Opsgenie, Status::Open), "unacknowledge_alert"),
        (state(System::Opsgenie, Status::Acknowledged), "acknowledge_alert"),
        (state(System::Opsgenie, Status::Resolved), "close_alert"),
        (state(System::PagerDuty, Status::Open), "read_incident"),
        (state(System::PagerDuty, Status::Acknowledged), "read_incident"),
        (state(System::PagerDuty, Status::Resolved), "read_incident"),
        (priority(), "read_incident"),
    ];
    for (entry, call) in rows {
        let link = if matches!(entry.command.action, Action::Create(_)) { pending() } else { link() };
        assert_eq!(next_line(&entry, &link, 0), call);
    }
    let reads = fetches().map(|entry| next_line(&entry, &link(), 0));
    // The incident is read because something has just happened to it.
    assert_eq!(reads, ["read_alert", "wait until 2000", "list_incident_notes"]);
    let [_, incident, _] = fetches();
    assert_eq!([2_000, -1].map(|now| next_line(&incident, &link(), now)), ["read_incident"; 2]);
}

#[test]
fn a_state_that_is_not_wanted_any_more_is_dropped_unless_it_may_have_been_sent() {
    for system in [System::Opsgenie, System::PagerDuty] {
        let mut link = link();
        for commanded in [None, Some(Commanded { status: Status::Acknowledged, mark: MARK + 1 })] {
            link.side_mut(system).commanded = commanded;
            let entry = state(system, Status::Acknowledged);
            assert_eq!(next_line(&entry, &link, 0), "dropped NotWanted");
            assert_ne!(next_line(&entry.unsure(), &link, 60_000), "dropped NotWanted");
        }
    }
}

#[test]
fn what_may_have_been_sent_is_looked_for_but_not_before_it_must_show() {
    for entry in writes() {
        let (lag, look) = match (entry.command.to, &entry.command.action) {
            (System::PagerDuty, Action::Create(_)) => (2_000, "find_incident"),
            (System::PagerDuty, Action::Note { .. }) => (2_000, "list_incident_notes"),
            (System::PagerDuty, _) => (2_000, "read_incident"),
            (System::Opsgenie, Action::Note { .. }) => (10_000, "list_alert_notes"),
            (System::Opsgenie, _) => (10_000, "read_alert"),
        };
        let link = if matches!(entry.command.action, Action::Create(_)) { pending() } else { link() };
        for entry in [entry.clone().unsure(), entry.sending()] {
            for now in [0, lag - 1] {
                assert_eq!(next_line(&entry, &link, now), format!("wait until {lag}"));
            }
            assert_eq!(next_line(&entry, &link, lag), look);
            // A clock that was set back a little still waits; one that was set back far must not wait for ever.
            assert_eq!(next_line(&entry, &link, -lag), format!("wait until {lag}"));
            assert_eq!(next_line(&entry, &link, -lag - 1), look);
        }
    }
}

#[test]
fn a_write_without_effect_is_tried_again_and_is_not_burned() {
    for entry in writes() {
        let (line, entry) = settled(&entry.sending(), &link(), Answer::Failed(try_again()), 100);
        let entry = entry.unwrap();
        assert_eq!((line.as_str(), entry.attempt, entry.refusals), ("later ready", 1, 0));
        assert_eq!(entry.trouble.as_deref(), Some("busy"));
        assert_eq!(entry.due_at, at(100).plus(back_off(1, 1)));
    }
}

#[test]
fn a_write_without_an_answer_is_unsure_from_the_moment_it_failed() {
    for entry in writes() {
        let (line, entry) = settled(&entry.sending(), &link(), Answer::Failed(unclear()), 100);
        let entry = entry.unwrap();
        assert_eq!((line.as_str(), entry.attempt), ("later unsure", 1));
        assert_eq!(entry.step, Step::Unsure { since: at(100) });
    }
}

#[test]
fn a_look_that_fails_changes_nothing_about_the_write_before_it() {
    let doubted = Step::Doubted { reason: "no".into() };
    let looked = Step::Looked(incident(Status::Open));
    for failure in [try_again(), unclear()] {
        for entry in writes() {
            for (entry, line) in [
                (entry.clone(), "later ready"),
                (entry.clone().unsure(), "later unsure"),
                (entry.clone().accepted(), "later accepted"),
                (entry.clone().in_step(doubted.clone()), "later doubted"),
                (entry.clone().in_step(looked.clone()), "later ready"),
            ] {
                let (seen, after) = settled(&entry, &link(), Answer::Failed(failure.clone()), 5);
                assert_eq!(seen, line);
                let after = after.unwrap();
                assert!(after.step == entry.step || after.step == Step::Ready, "{after:?}");
            }
        }
    }
}

#[test]
fn a_vendor_that_refuses_us_is_paused_and_nothing_is_burned() {
    let refusal = || Answer::Failed(Failure::Unauthorized("401".into()));
    for entry in writes() {
        let (line, after) = settled(&entry.clone().sending(), &link(), refusal(), 5);
        assert_eq!(line, "pause ready");
        let due = Entry { due_at: at(5), trouble: Some("401".into()), ..entry.clone() };
        assert_eq!(after, Some(due));
        assert_eq!(settle_line(&entry.clone().unsure(), &link(), refusal(), 5), "pause unsure");
        assert_eq!(settle_line(&entry.accepted(), &link(), refusal(), 5), "pause accepted");
    }
}

#[test]
fn other_refusals_are_dead() {
    for entry in writes() {
        let wrote = entry.sending();
        assert_eq!(settle_line(&wrote, &link(), refused_as(Refusal::Other), 5), "dead");
    }
    for entry in fetches() {
        assert_eq!(settle_line(&entry, &link(), refused_as(Refusal::Other), 5), "dead");
    }
    assert_eq!(settle_line(&create().sending(), &link(), refused_as(Refusal::NotFound), 5), "dead", "no such service");
}

#[test]
fn what_has_no_incident_or_no_alert_is_dropped() {
    let withheld = Link { page: Page::Withheld, ..link() };
    let deleted = Link { alert_deleted: true, ..link() };
    for entry in writes() {
        if matches!(entry.command.action, Action::Create(_)) {
            continue;
        }
        let (gone, line) = match entry.command.to {
            System::PagerDuty => (&withheld, "dropped NoIncident"),
            System::Opsgenie => (&deleted, "dropped AlertDeleted"),
        };
        assert_eq!(next_line(&entry, gone, 0), line);
        assert_eq!(next_line(&entry.unsure(), gone, 0), line);
    }
}

#[test]
fn what_is_not_done_in_a_system_is_dead() {
    for entry in [
        Entry { command: Command { to: System::Opsgenie, ..create().command }, ..create() },
        Entry { command: Command { to: System::Opsgenie, ..priority().command }, ..priority() },
        entry(System::PagerDuty, Action::FetchAlert),
    ] {
        let link = if matches!(entry.command.action, Action::Create(_)) { pending() } else { link() };
        assert_eq!(next_line(&entry, &link, 0), "dead");
    }
}
