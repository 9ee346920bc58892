//! What no guard recognises is stopped by the fuse, and what people do is not.

use super::super::super::event::{Order, Ordered};
use super::*;

fn order(order: Order) -> Event {
    event(EventBody::Ordered(Box::new(Ordered { alert: alert_id(), order })), Actor::nobody())
}

fn is_paused(pair: &Pair) -> bool {
    pair.link().paused.is_some()
}

/// The texts of the notes that were commanded, by where they go.
fn notes(commands: Vec<Command>) -> Vec<(System, String)> {
    let note = |command: Command| match command.action {
        Action::Note { text, .. } => Some((command.to, text)),
        Action::Create(_)
        | Action::SetStatus { .. }
        | Action::UpdatePriority { .. }
        | Action::FetchAlert
        | Action::FetchIncident
        | Action::EndMerged { .. }
        | Action::FetchNote { .. } => None,
    };
    commands.into_iter().filter_map(note).collect()
}

/// Two crosspages on the same alert and incident, each of which takes the other one's notes for a person's.
struct Two {
    pairs: [Pair; 2],
    written: usize,
}

impl Two {
    fn new(limits: Limits) -> Self {
        let pair = || Pair::open().with_policy(|policy| policy.fuse = limits);
        Self { pairs: [pair(), pair()], written: 0 }
    }

    /// Instance `of` writes what it was told to, and the other one hears of it; until nothing is written any more, or for
    /// `most` notes.
    fn go_round(&mut self, most: usize) {
        let mut at_ms = 5_000;
        while self.written < most {
            let mut idle = true;
            for of in 0..2 {
                // What is held is not written.
                if is_paused(&self.pairs[of]) {
                    continue;
                }
                for (to, text) in notes(std::mem::take(&mut self.pairs[of].outstanding)) {
                    idle = false;
                    self.written += 1;
                    at_ms += 120;
                    let event = match to {
                        System::Opsgenie => add_note(&text),
                        System::PagerDuty => annotated(&format!("N{}", self.written), &text),
                    };
                    self.pairs[1 - of].hear(event.by(["robot a", "robot b"][of]).at_ms(at_ms));
                }
            }
            if idle {
                return;
            }
        }
    }
}

#[test]
fn a_loop_of_which_each_instance_writes_one_way_only_is_stopped_as_well() {
    let mut two = Two::new(Limits::default());
    two.pairs[0].hear(add_note("hello").at(1));
    two.go_round(1_000);
    assert!(two.pairs.iter().any(is_paused));
    assert!(two.written <= 2 * 17, "{} notes", two.written);
}

#[test]
fn a_loop_that_slips_through_the_guards_is_stopped_until_somebody_resumes_it() {
    let mut two = Two::new(Limits::default());
    // Each side's first note makes a round of its own, so that both instances write in both directions.
    two.pairs[0].hear(add_note("hello").at(1));
    two.pairs[1].hear(add_note("there").at(1));
    two.go_round(1_000);
    assert!(two.pairs.iter().any(is_paused));
    assert!(two.written <= 4 * 16, "{} notes", two.written);
    let stopped_after = two.written;
    for pair in &mut two.pairs {
        let resumed = if is_paused(pair) { Reason::Resumed } else { Reason::InStep };
        pair.expect(order(Order::Resume), resumed, &[]);
    }
    two.go_round(1_000);
    assert!(two.written > stopped_after && two.written <= 2 * stopped_after + 4, "{} notes", two.written);
    assert!(two.pairs.iter().any(is_paused));
}

#[test]
fn without_the_fuse_it_would_go_on_for_ever() {
    let mut two = Two::new(Limits { a_minute: u32::MAX, an_hour: u32::MAX });
    two.pairs[0].hear(add_note("hello").at(1));
    two.go_round(1_000);
    assert_eq!(two.written, 1_000);
}

#[test]
fn the_pause_is_told_with_its_reason_and_what_happens_then_is_still_decided() {
    let mut pair = Pair::open();
    let told = |pair: &mut Pair, count: usize| {
        for number in 0..count {
            pair.hear(add_note(&format!("note {number}")).at(1));
            pair.hear(annotated(&format!("N{number}"), "hello").at(1));
        }
    };
    told(&mut pair, 15);
    assert!(!is_paused(&pair), "fifteen in either direction");
    pair.hear(add_note("one more").at(2));
    assert!(!is_paused(&pair), "sixteen in one");
    let last = decide(pair.link.as_ref(), &annotated("N99", "hello").at(3), &pair.policy);
    let [Event { body: EventBody::Ordered(ordered), .. }] = &last.released[..] else { panic!("{:?}", last.released) };
    let Order::Pause { reason } = &ordered.order else { panic!("{ordered:?}") };
    assert_eq!(
        *reason,
        "the fuse has blown: more than 15 commands a minute in both directions, which looks like a loop"
    );
    pair.hear(annotated("N99", "hello").at(3));
    assert_eq!(pair.link().paused.as_ref().map(|paused| &paused.reason), Some(reason));
    pair.expect(add_note("still here").at(4), Reason::Mirrored, &["PD note [Opsgenie] jane: still here"]);
    // It counts from nothing once it is resumed.
    pair.expect(order(Order::Resume), Reason::Resumed, &[]);
    told(&mut pair, 2);
    assert!(!is_paused(&pair));
}

#[test]
fn what_was_heard_late_counts_when_it_happened() {
    let mut pair = Pair::open();
    for number in 0..100 {
        let id = format!("N{number}");
        for mut late in [add_note(&id).at(number * 10), annotated(&id, "hello").at(number * 10)] {
            // All of it is heard at once, after an outage.
            late.received_at = second(100_000);
            assert_eq!(pair.hear(late).0, Reason::Mirrored);
        }
    }
    assert!(!is_paused(&pair));
}

#[test]
fn look_ups_do_not_count() {
    let mut pair = Pair::open();
    for number in 0..100 {
        let id = format!("T{number}");
        pair.hear(trimmed(&id, "hel").at(1));
        pair.settle(&format!("PD fetch note {id}"), Outcome::FetchedNote(None));
    }
    assert!(!is_paused(&pair));
}
