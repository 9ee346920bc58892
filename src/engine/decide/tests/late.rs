//! Alerts whose creation was missed, and events that come before our creation is through.

use super::*;

fn facts() -> AlertFacts {
    let message = Some("disk nearly full".into());
    AlertFacts { message, created_at: Some(second(0)), priority: Some(Priority::P2), ..AlertFacts::default() }
}

#[test]
fn an_event_of_an_unknown_alert_means_that_its_creation_was_lost() {
    for event in [
        ack(),
        unack(),
        add_note("hello"),
        alert_event(AlertAction::UpdatePriority),
        alert_event(AlertAction::AssignOwnership { owner: None }),
        alert_event(AlertAction::TakeOwnership),
        alert_event(AlertAction::Snooze),
        alert_event(AlertAction::EscalateToNext),
        alert_event(AlertAction::Other("AddTags".into())),
    ] {
        let mut pair = Pair::unseen();
        pair.expect(event.at(5), Reason::Joining, &["OG fetch alert"]);
        assert_eq!((&pair.link().page, pair.link().held.len()), (&Page::Joining, 1));
    }
}

#[test]
fn an_unknown_alert_that_is_over_is_not_joined() {
    for event in [close(), alert_event(AlertAction::Delete)] {
        let mut pair = Pair::unseen();
        pair.expect(event.at(5), Reason::NoIncident, &[]);
        pair.expect(add_note("never mind").at(6), Reason::NoIncident, &[]);
    }
}

#[test]
fn our_own_change_of_an_unknown_alert_is_an_echo() {
    let mut pair = Pair::unseen();
    pair.expect(ack().by("us").at(5), Reason::Echo(Guard::Actor), &[]);
    assert!(pair.link.is_none());
}

/// What an alert of that creation time (in milliseconds) says of itself.
fn created_at(millis: Option<i64>) -> AlertFacts {
    AlertFacts { created_at: millis.map(Timestamp::from_millis), ..facts() }
}

/// A month and half an hour after crosspage first ran.
const LATE: i64 = 30 * 86_400 + 1800;

#[test]
fn alerts_from_before_the_first_run_or_from_long_ago_are_none_of_ours() {
    let now = second(LATE).as_millis();
    let oldest = now - 30 * 86_400_000;
    let rows = [
        (Some(999_999), Reason::Unlinked(Unlinked::BeforeFirstRun), 5),
        (Some(1_000_000), Reason::Joining, 5),
        (Some(oldest - 1), Reason::Unlinked(Unlinked::TooOld), LATE),
        (Some(oldest), Reason::Joining, LATE),
        (None, Reason::Joining, 5),
    ];
    for (at, reason, now) in rows {
        let mut pair = Pair::unseen();
        assert_eq!(pair.hear(ack().with(created_at(at)).at(now)).0, reason, "created at {at:?}");
        assert_eq!(pair.link.is_some(), reason == Reason::Joining);
    }
}

#[test]
fn what_the_webhook_left_out_is_judged_when_it_was_read() {
    let rows = [
        (Some(999_999), Reason::Unlinked(Unlinked::BeforeFirstRun), false),
        (Some(1_000_000), Reason::Fetched, true),
        (None, Reason::Fetched, true),
    ];
    for (at, reason, joined) in rows {
        let mut pair = Pair::unseen();
        pair.hear(add_note("hello").with(AlertFacts::default()).at(5));
        assert_eq!(pair.settle("OG fetch alert", fetched(Status::Open, 6, created_at(at))).0, reason);
        assert_eq!(pair.link.is_some(), joined);
    }
}

#[test]
fn a_joined_alert_pages_and_then_tells_what_happened_in_order() {
    let mut pair = Pair::unseen();
    pair.hear(add_note("hello").at(5));
    pair.expect(ack().at(6), Reason::Held, &[]);
    pair.expect(add_note("there").by("us").at(6), Reason::Held, &[]);
    let commands = [
        "PD create disk nearly full",
        "PD note [Opsgenie] jane: hello",
        "PD acknowledged",
        "PD note [Opsgenie] jane acknowledged the alert",
    ];
    // The state that was read is the one that the waiting events explain.
    pair.expect_settled("OG fetch alert", fetched(Status::Acknowledged, 9, facts()), Reason::Fetched, &commands);
    assert_eq!((pair.link().held.len(), &pair.link().page), (0, &Page::Pending));
    assert_eq!(pair.link().facts.priority, Some(Priority::P2));
    pair.expect(alert_event(AlertAction::Create), Reason::Duplicate, &[]);
}

#[test]
fn a_read_state_that_no_event_explains_is_passed_on() {
    let mut pair = Pair::unseen();
    pair.hear(add_note("hello").at(5));
    let commands = [
        "PD create disk nearly full",
        "PD note [Opsgenie] jane: hello",
        "PD acknowledged",
        "PD note [Opsgenie] somebody acknowledged the alert",
    ];
    pair.expect_settled("OG fetch alert", fetched(Status::Acknowledged, 9, facts()), Reason::Fetched, &commands);
}

#[test]
fn an_alert_that_was_closed_meanwhile_does_not_page_even_if_its_creation_comes_late() {
    let mut pair = Pair::unseen();
    pair.hear(ack().at(5));
    pair.expect(close().at(6), Reason::Held, &[]);
    pair.expect_settled("OG fetch alert", fetched(Status::Resolved, 9, facts()), Reason::NoIncident, &[]);
    assert_eq!((pair.link().held.len(), pair.link().is_open()), (0, false));
    pair.expect(alert_event(AlertAction::Create).at(1), Reason::Duplicate, &[]);
    pair.expect(add_note("never mind").at(10), Reason::NoIncident, &[]);
}

#[test]
fn an_incident_that_carries_the_key_of_an_alert_that_was_closed_meanwhile_is_resolved() {
    let mut pair = Pair::unseen();
    pair.hear(ack().at(5));
    pair.expect(incident_event(IncidentChange::Triggered).at(6), Reason::Held, &[]);
    let commands = ["PD resolved", "PD note [Opsgenie] The alert was closed before this incident showed"];
    pair.expect_settled("OG fetch alert", fetched(Status::Resolved, 9, facts()), Reason::NoIncident, &commands);
}

#[test]
fn an_alert_that_is_gone_or_none_of_ours_is_forgotten() {
    for (outcome, why) in [
        (fetched(Status::Resolved, 9, created_at(Some(-3_000_000_000))), Unlinked::NotOpen),
        (Outcome::FetchedAlert(None), Unlinked::NoSuchAlert),
        (
            Outcome::FetchedAlert(Some(FetchedAlert {
                facts: created_at(Some(-3_000_000_000)),
                status: Status::Open,
                at: None,
                by: None,
            })),
            Unlinked::BeforeFirstRun,
        ),
    ] {
        let mut pair = Pair::unseen();
        pair.hear(ack().at(5));
        pair.expect_settled("OG fetch alert", outcome, Reason::Unlinked(why), &[]);
        assert!(pair.link.is_none());
    }
}

#[test]
fn an_alert_closed_after_it_was_read_pages_and_resolves() {
    let mut pair = Pair::unseen();
    pair.hear(ack().at(5));
    pair.expect(close().at(6), Reason::Held, &[]);
    let seen = pair.settle("OG fetch alert", fetched(Status::Open, 4, facts()));
    assert_eq!(
        seen.1.iter().filter(|l| !l.contains("note")).collect::<Vec<_>>(),
        ["PD create disk nearly full", "PD acknowledged", "PD resolved"]
    );
}

#[test]
fn a_creation_that_was_only_late_ends_the_joining() {
    let mut pair = Pair::unseen();
    pair.hear(ack().at(5));
    let commands = ["PD create disk full", "PD acknowledged", "PD note [Opsgenie] jane acknowledged the alert"];
    pair.expect(alert_event(AlertAction::Create).at(1), Reason::Mirrored, &commands);
    // What is read all the same says nothing new.
    pair.expect_settled("OG fetch alert", fetched(Status::Acknowledged, 9, facts()), Reason::Fetched, &[]);
    let mut pair = Pair::unseen();
    pair.hear(ack().at(5));
    pair.hear(alert_event(AlertAction::Create).at(1));
    pair.expect_settled("OG fetch alert", Outcome::FetchedAlert(None), Reason::Fetched, &[]);
    let mut pair = Pair::unseen();
    pair.hear(ack().at(5));
    pair.hear(alert_event(AlertAction::Create).at(1));
    let closed = ["PD resolved", "PD note [Opsgenie] somebody closed the alert"];
    pair.expect_settled("OG fetch alert", fetched(Status::Resolved, 9, facts()), Reason::Fetched, &closed);
}

#[test]
fn an_incident_that_carries_our_key_waits_for_the_alert_and_is_taken() {
    let mut pair = Pair::unseen();
    pair.hear(add_note("hello").at(5));
    pair.expect(incident_event(IncidentChange::Acknowledged).at(6), Reason::Held, &[]);
    let seen = pair.settle("OG fetch alert", fetched(Status::Open, 9, facts()));
    assert!(seen.1.contains(&"OG acknowledged".to_owned()), "{seen:?}");
    assert_eq!(pair.link().page, Page::Standing(incident_id("Q1")));
}

#[test]
fn an_alert_that_cannot_be_read_pages_with_what_is_known_of_it() {
    let mut pair = Pair::unseen();
    pair.hear(ack().at(5));
    pair.expect_settled(
        "OG fetch alert",
        dead(),
        Reason::GivenUp,
        &["PD create disk full", "PD acknowledged", "PD note [Opsgenie] jane acknowledged the alert"],
    );
    assert_eq!((&pair.link().page, pair.link().held.len()), (&Page::Pending, 0));
    pair.expect(alert_event(AlertAction::Create), Reason::Duplicate, &[]);
}

#[test]
fn a_creation_that_is_told_when_its_link_may_be_forgotten_is_read_and_pages_if_it_is_open() {
    let told = |created_at: i64, now: i64| {
        let facts = AlertFacts { created_at: Some(second(created_at)), ..AlertFacts::default() };
        Event { received_at: second(now), ..alert_event(AlertAction::Create).with(facts) }
    };
    let retention = 30 * 86_400;
    let late = || told(0, retention + 1);
    // Routed to another team, whose integration hears of it as a creation; perhaps told once more.
    let old = |status| fetched(status, 9, created_at(Some(second(0).as_millis())));
    let mut pair = Pair::unseen();
    pair.expect(late(), Reason::Joining, &["OG fetch alert"]);
    pair.expect(late(), Reason::Held, &[]);
    pair.expect_settled("OG fetch alert", old(Status::Open), Reason::Fetched, &["PD create disk nearly full"]);
    let mut pair = Pair::unseen();
    pair.hear(late());
    let read = pair.outstanding.remove(0);
    let seen = pair.end_at(read, Step::Ready, old(Status::Resolved), second(retention + 2));
    assert_eq!(seen, (Reason::Unlinked(Unlinked::NotOpen), Vec::new()));
    assert_eq!(Pair::unseen().hear(told(0, retention)).0, Reason::Mirrored);
    // Nobody tells when it was created, so it may be new.
    let untold = alert_event(AlertAction::Create).with(AlertFacts::default());
    assert_eq!(Pair::unseen().hear(untold).0, Reason::Mirrored);
    // Our clock may be ahead of Opsgenie's when crosspage runs for the first time.
    assert_eq!(Pair::unseen().hear(told(-1_500, -1_000)).0, Reason::Mirrored);
}
