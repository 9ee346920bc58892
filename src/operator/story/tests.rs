use super::*;
use crate::engine::outbox::DropReason;
use crate::engine::{Action, Actor, AlertEvent, AlertFacts, Command, Status, Timestamp};

fn alert() -> AlertId {
    AlertId::try_from("a1").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn event(seconds: i64, body: EventBody) -> Event {
    let actor = Actor { name: Some("jane@example.com".to_owned()), ..Actor::nobody() };
    let request_id = Some(format!("r-{seconds}"));
    Event { dedupe: Vec::new(), request_id, occurred_at: None, received_at: at(seconds), actor, body }
}

fn happened(seconds: i64, action: AlertAction, reason: Reason, commands: &[u64]) -> TimelineEntry {
    let body = EventBody::Alert(AlertEvent { alert: alert(), facts: AlertFacts::default(), action });
    TimelineEntry { at: at(seconds), event: event(seconds, body), reason, commands: commands.to_vec() }
}

fn acknowledge(id: u64, queued: i64) -> Entry {
    let action = Action::SetStatus { status: Status::Acknowledged, mark: id };
    Entry::new(id, alert(), Command { to: System::PagerDuty, action }, at(queued))
}

fn settled(seconds: i64, entry: Entry, outcome: Outcome, reason: Reason, commands: &[u64]) -> TimelineEntry {
    let body = EventBody::Settled(Box::new(Settled { entry, outcome }));
    TimelineEntry { at: at(seconds), event: event(seconds, body), reason, commands: commands.to_vec() }
}

fn in_state(status: Status) -> Outcome {
    Outcome::InState { status, at: None }
}

fn told(timeline: &[TimelineEntry], entries: &[Entry], letters: &[DeadLetter]) -> Vec<Chapter> {
    tell(alert(), None, timeline, entries, letters, Texts::Shown).chapters
}

const ACKNOWLEDGE: AlertAction = AlertAction::Acknowledge { note: None };

#[test]
fn what_became_of_a_command_is_told_with_what_it_was_for() {
    let entry = Entry { attempt: 2, ..acknowledge(7, 10) };
    let timeline = [
        happened(10, ACKNOWLEDGE, Reason::Mirrored, &[7]),
        settled(13, entry, in_state(Status::Acknowledged), Reason::Carried, &[]),
    ];
    let chapters = told(&timeline, &[], &[]);
    assert_eq!(chapters.len(), 1, "that it was carried out is no chapter of its own: {chapters:#?}");
    let Chapter { who, what, reason, heard, side, .. } = &chapters[0];
    assert_eq!((who.as_deref(), what.as_str()), (Some("jane@example.com"), "acknowledged the alert"));
    assert_eq!((reason.as_str(), *heard, *side), ("mirrored", Heard::Webhook, Some(System::Opsgenie)));
    let deed = &chapters[0].deeds[0];
    assert_eq!((deed.number, deed.state, deed.took_ms, deed.attempts), (7, DeedState::Done, Some(3000), 2));
    assert_eq!(deed.result.as_deref(), Some("acknowledged"));
}

#[test]
fn an_end_with_consequences_is_a_chapter() {
    let timeline = [settled(13, acknowledge(7, 10), in_state(Status::Acknowledged), Reason::PutRight, &[8])];
    let chapters = told(&timeline, &[acknowledge(8, 13)], &[]);
    assert_eq!(
        (chapters.len(), chapters[0].heard, chapters[0].deeds[0].state),
        (1, Heard::Command, DeedState::Waiting)
    );
}

#[test]
fn each_fate_of_a_command_has_a_name() {
    let timeline = [
        happened(10, ACKNOWLEDGE, Reason::Mirrored, &[1, 2, 3, 4, 5]),
        settled(11, acknowledge(1, 10), Outcome::Dropped(DropReason::NotWanted), Reason::Overtaken, &[]),
        settled(12, acknowledge(2, 10), Outcome::Dead { reason: "403 no".to_owned() }, Reason::GivenUp, &[]),
    ];
    let letter = DeadLetter { entry: acknowledge(3, 10), reason: "404 gone".to_owned(), at: at(12) };
    let waiting = Entry { trouble: Some("503".to_owned()), ..acknowledge(4, 10) };
    let deeds = told(&timeline, &[waiting], &[letter]).remove(0).deeds;
    let states: Vec<_> = deeds.iter().map(|deed| (deed.state, deed.result.as_deref())).collect();
    let moved_on = "somebody has moved on meanwhile";
    assert_eq!(states[0], (DeedState::NotSent, Some(moved_on)));
    assert_eq!(states[1], (DeedState::GivenUp, Some("403 no")));
    assert_eq!(states[2], (DeedState::GivenUp, Some("404 gone")));
    assert_eq!(states[3], (DeedState::Waiting, Some("503")));
    assert_eq!(states[4].0, DeedState::Forgotten);
}

#[test]
fn what_was_redriven_is_told_by_its_last_end() {
    let dead = Outcome::Dead { reason: "403 no".to_owned() };
    let timeline = [
        happened(10, ACKNOWLEDGE, Reason::Mirrored, &[7]),
        settled(12, acknowledge(7, 10), dead, Reason::GivenUp, &[]),
        settled(20, acknowledge(7, 10), in_state(Status::Acknowledged), Reason::Carried, &[]),
    ];
    assert_eq!(told(&timeline, &[], &[])[0].deeds[0].state, DeedState::Done);
    let again = told(&timeline[..2], &[acknowledge(7, 10)], &[]);
    assert_eq!(again[0].deeds[0].state, DeedState::Waiting, "it is under way again");
}

#[test]
fn texts_are_hidden_where_that_is_wanted() {
    let note = AlertAction::AddNote { text: "the password is swordfish".to_owned() };
    let timeline = [happened(10, note, Reason::Mirrored, &[])];
    assert_eq!(told(&timeline, &[], &[])[0].text.as_deref(), Some("the password is swordfish"));
    let hidden = tell(alert(), None, &timeline, &[], &[], Texts::Hidden);
    assert!(!serde_json::to_string(&hidden).unwrap().contains("swordfish"));
}

#[test]
fn every_reason_is_a_sentence() {
    for reason in [Reason::Mirrored, Reason::Echo(crate::engine::decide::Guard::Actor), Reason::Superseded] {
        let text = words::because(reason);
        assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{text}");
    }
}
