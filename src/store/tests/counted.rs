//! What the store counts, and what it tells of itself.

use std::time::Duration;

use super::bench::*;
use crate::engine::outbox::call::IncidentState;
use crate::engine::outbox::{DropReason, Outcome};
use crate::engine::{Action, Actor, Event, EventBody, Order, Polled, Seen, Status, System, Timestamp};
use crate::store::types::PrunePlace;

on_both_backends! {
    links_that_are_paused_are_counted_until_they_are_resumed_or_gone
    the_oldest_entry_is_told_with_and_without_what_is_held
    what_a_look_has_shown_is_healed_once_it_is_done
    a_missed_creation_is_drift_once_it_pages
    what_webhooks_tell_is_no_drift
    what_shows_on_the_other_side_is_counted_as_it_is_stored
    an_operators_pause_is_no_blown_fuse
    what_is_pruned_is_counted
}

fn counted(bench: &Bench, series: &str) -> f64 {
    bench.metrics.value(series).unwrap_or_else(|| panic!("no {series}"))
}

/// What was found and what was healed, as was seen at a vendor.
fn drift(bench: &Bench, vendor: &str) -> (f64, f64) {
    let of = |name: &str| counted(bench, &format!("crosspage_drift_{name}_total{{vendor=\"{vendor}\"}}"));
    (of("found"), of("healed"))
}

fn order(bench: &mut Bench, alert: &str, order: Order) {
    bench.book().order(alert_id(alert), order, NOW).unwrap();
}

fn pause() -> Order {
    Order::Pause { reason: "too much".to_owned() }
}

/// A look has shown where the incident stands.
fn seen(alert: &str, incident: &str, status: Status) -> Event {
    let seen =
        Seen::Incident { incident: incident_id(incident), status, at: None, by: Actor::nobody(), merged_into: None };
    polled(alert, seen)
}

fn polled(alert: &str, seen: Seen) -> Event {
    let later = NOW.plus(Duration::from_secs(60));
    let polled = Polled { alert: alert_id(alert), read_started: later, unfinished: false, seen };
    let body = EventBody::Polled(Box::new(polled));
    Event { dedupe: Vec::new(), request_id: None, occurred_at: None, received_at: NOW, actor: Actor::nobody(), body }
}

fn linked(bench: &mut Bench, alert: &str, incident: &str) {
    bench.record(created(alert));
    bench.settle_one(System::PagerDuty, became(incident));
}

fn links_that_are_paused_are_counted_until_they_are_resumed_or_gone(mut bench: Bench) {
    for (alert, incident) in [("A", "P1"), ("B", "P2"), ("C", "P3")] {
        linked(&mut bench, alert, incident);
        order(&mut bench, alert, pause());
        order(&mut bench, alert, pause());
    }
    assert_eq!(bench.book().summary().paused_links, 3);
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().summary().paused_links, 3);
    order(&mut bench, "A", Order::Resume);
    assert_eq!(bench.book().summary().paused_links, 2);
    bench.book().unlink(&alert_id("B"), NOW).unwrap();
    assert_eq!(bench.book().summary().paused_links, 1);
    bench.record(closed("C"));
    let later = NOW.plus(Duration::from_secs(1));
    bench.book().prune(later, PrunePlace::default(), 10).unwrap();
    assert_eq!(bench.book().summary().paused_links, 0);
}

fn the_oldest_entry_is_told_with_and_without_what_is_held(mut bench: Bench) {
    linked(&mut bench, "A", "P1");
    linked(&mut bench, "B", "P2");
    bench.record(noted("A", "held"));
    let later = NOW.plus(Duration::from_secs(5));
    bench.record(Event { received_at: later, ..noted("B", "goes") });
    order(&mut bench, "A", pause());
    let oldest = |bench: &mut Bench| {
        let queued = bench.book().summary().pagerduty;
        (queued.oldest, queued.oldest_not_parked)
    };
    // That it is held shows when a claim meets it.
    assert_eq!(bench.claim(System::PagerDuty).len(), 0);
    assert_eq!(oldest(&mut bench), (Some(NOW), Some(later)));
    order(&mut bench, "A", Order::Resume);
    assert_eq!(oldest(&mut bench), (Some(NOW), Some(NOW)));
}

fn what_a_look_has_shown_is_healed_once_it_is_done(mut bench: Bench) {
    bench.decide_for_real();
    linked(&mut bench, "A", "P1");
    bench.record(seen("A", "P1", Status::Acknowledged));
    // It is acknowledged, and told who did it.
    assert_eq!(drift(&bench, "pagerduty"), (2.0, 0.0));
    bench.commit();
    bench.decide_for_real();
    let in_state = Outcome::InState { status: Status::Acknowledged, at: None };
    bench.settle_one(System::Opsgenie, in_state);
    assert_eq!(drift(&bench, "pagerduty"), (2.0, 1.0));
    let letter = bench.claim_one(System::Opsgenie).entry;
    bench.book().settle(letter.clone(), dead(), NOW).unwrap();
    assert_eq!(drift(&bench, "pagerduty"), (2.0, 1.0), "what was given up is not healed");
    bench.book().redrive(letter.id, NOW).unwrap();
    bench.settle_one(System::Opsgenie, noted_as("n1"));
    assert_eq!(drift(&bench, "pagerduty"), (2.0, 2.0));
    assert_eq!(drift(&bench, "opsgenie"), (0.0, 0.0));
}

fn a_missed_creation_is_drift_once_it_pages(mut bench: Bench) {
    bench.decide_for_real();
    let alert = crate::engine::outbox::FetchedAlert {
        by: None,
        facts: crate::engine::AlertFacts { created_at: Some(NOW), ..Default::default() },
        status: Status::Open,
        at: None,
    };
    bench.record(polled("A", Seen::Alert { alert: alert.clone(), may_page: true }));
    assert_eq!(drift(&bench, "opsgenie"), (0.0, 0.0), "it is only being read");
    bench.settle_one(System::Opsgenie, Outcome::FetchedAlert(Some(alert)));
    assert_eq!(drift(&bench, "opsgenie"), (1.0, 0.0));
    bench.settle_one(System::PagerDuty, Outcome::Dropped(DropReason::ClosedBeforeDelivery));
    assert_eq!(drift(&bench, "opsgenie"), (1.0, 1.0), "nothing is to be done any more");
}

fn what_shows_on_the_other_side_is_counted_as_it_is_stored(mut bench: Bench) {
    let shown = |bench: &Bench| {
        let of = |name: &str| {
            let labels = "{direction=\"to_pagerduty\",action=\"create\"}";
            bench.metrics.value(&format!("crosspage_mirror_lag_seconds_{name}{labels}")).unwrap_or_default()
        };
        (of("count"), of("sum"))
    };
    bench.record(created("A"));
    bench.record(created("B"));
    let [first, second] = <[_; 2]>::try_from(bench.claim(System::PagerDuty)).unwrap();
    bench.book().settle(first.entry, dead(), NOW.plus(Duration::from_secs(1))).unwrap();
    assert_eq!(shown(&bench), (0.0, 0.0));
    bench.book().settle(second.entry, became("P1"), NOW.plus(Duration::from_secs(2))).unwrap();
    assert_eq!(shown(&bench), (1.0, 2.0));
}

fn what_webhooks_tell_is_no_drift(mut bench: Bench) {
    bench.decide_for_real();
    linked(&mut bench, "A", "P1");
    bench.record(acknowledged("A"));
    let claim = bench.claim_one(System::PagerDuty);
    assert!(matches!(claim.entry.command.action, Action::SetStatus { .. }) && !claim.entry.makes_up);
    let at = Some(Timestamp::from_millis(NOW.as_millis() + 1));
    bench.book().settle(claim.entry, Outcome::InState { status: Status::Acknowledged, at }, NOW).unwrap();
    // An answer that is read because of a webhook is none either.
    let state = IncidentState {
        id: incident_id("P1"),
        status: Status::Resolved,
        at: None,
        by: Actor::nobody(),
        merged_into: None,
    };
    bench.book().order(alert_id("A"), Order::Look(System::PagerDuty), NOW).unwrap();
    bench.settle_one(System::PagerDuty, noted_as("n1"));
    bench.settle_one(System::PagerDuty, Outcome::FetchedIncident(Some(state)));
    assert_eq!((drift(&bench, "pagerduty"), drift(&bench, "opsgenie")), ((0.0, 0.0), (0.0, 0.0)));
    assert_eq!(counted(&bench, "crosspage_decisions_total{reason=\"fetched\"}"), 1.0);
}

fn an_operators_pause_is_no_blown_fuse(mut bench: Bench) {
    linked(&mut bench, "A", "P1");
    order(&mut bench, "A", pause());
    assert_eq!(counted(&bench, "crosspage_decisions_total{reason=\"paused\"}"), 1.0);
    assert_eq!(counted(&bench, "crosspage_fuses_blown_total"), 0.0);
}

fn what_is_pruned_is_counted(mut bench: Bench) {
    linked(&mut bench, "A", "P1");
    bench.record(once(&["one"], closed("A")));
    let later = NOW.plus(Duration::from_secs(1));
    let mut place = Some(PrunePlace::default());
    while let Some(next) = place {
        place = bench.book().prune(later, next, 10).unwrap().next;
    }
    let pruned = |kind: &str| counted(&bench, &format!("crosspage_pruned_rows_total{{kind=\"{kind}\"}}"));
    assert_eq!((pruned("links"), pruned("timeline"), pruned("seen"), pruned("quarantine")), (1.0, 3.0, 1.0, 0.0));
}
