//! Links that are paused.

use super::bench::*;
use crate::engine::decide::Unlinked;
use crate::engine::{Order, Page, Reason, System};
use crate::store::Verdict;

on_both_backends! {
    a_paused_link_holds_its_commands_on_both_sides_and_goes_on_in_order
    a_pause_outlives_a_restart_and_holds_no_other_link
    a_page_goes_out_of_a_paused_link
    a_missed_creation_is_read_for_a_paused_link
    what_is_under_way_ends_and_what_is_put_off_is_held
    the_first_reason_of_a_pause_stays
    nothing_is_ordered_for_a_link_that_is_not_there
}

fn pause() -> Order {
    Order::Pause { reason: "too much".to_owned() }
}

fn order(bench: &mut Bench, alert: &str, order: Order) -> (Option<String>, Reason) {
    let Verdict::Decided(decisions) = bench.book().order(alert_id(alert), order, NOW).unwrap().verdict else {
        panic!("an order is decided on")
    };
    assert_eq!(decisions.len(), 1);
    (decisions[0].0.as_ref().map(ToString::to_string), decisions[0].1)
}

fn linked(bench: &mut Bench, alert: &str, incident: &str) {
    bench.record(created(alert));
    bench.settle_one(System::PagerDuty, became(incident));
}

fn a_paused_link_holds_its_commands_on_both_sides_and_goes_on_in_order(mut bench: Bench) {
    linked(&mut bench, "A", "P1");
    bench.record(noted("A", "before"));
    assert_eq!(order(&mut bench, "A", pause()), (Some("A".to_owned()), Reason::Paused));
    bench.record(noted("A", "after"));
    bench.record(annotated("P1", "back"));
    for system in [System::Opsgenie, System::PagerDuty] {
        assert!(bench.claim(system).is_empty());
        assert_eq!(bench.book().next_due(system), None);
        assert_eq!(bench.book().summary().queued(system).parked, 1);
    }
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["before", "after"]);
    assert_eq!(order(&mut bench, "A", Order::Resume), (Some("A".to_owned()), Reason::Resumed));
    assert_eq!(bench.claim_one(System::Opsgenie).entry.command.action.name(), "note");
    bench.settle_one(System::PagerDuty, noted_as("n1"));
    bench.settle_one(System::PagerDuty, noted_as("n2"));
    let story = ["created", "settled create", "alert note before", "pause", "alert note after", "incident note back"];
    assert_eq!(bench.story("A")[..6], story);
    assert_eq!(bench.story("A")[6..], ["resume", "settled note", "settled note"]);
}

fn a_pause_outlives_a_restart_and_holds_no_other_link(mut bench: Bench) {
    linked(&mut bench, "A", "P1");
    linked(&mut bench, "B", "P2");
    order(&mut bench, "A", pause());
    bench.commit();
    bench.reopen();
    bench.record(noted("A", "held"));
    bench.record(noted("B", "free"));
    assert_eq!(bench.claim_one(System::PagerDuty).entry.alert, alert_id("B"));
    let paused = bench.book().link(&alert_id("A")).unwrap().unwrap().paused.unwrap();
    assert_eq!((paused.reason.as_str(), paused.at), ("too much", NOW));
}

fn a_page_goes_out_of_a_paused_link(mut bench: Bench) {
    bench.record(created("A"));
    bench.record(noted("A", "held"));
    order(&mut bench, "A", pause());
    assert_eq!(bench.claim_one(System::PagerDuty).entry.command.action.name(), "create");
}

fn a_missed_creation_is_read_for_a_paused_link(mut bench: Bench) {
    bench.record(noted("A", "missed"));
    order(&mut bench, "A", pause());
    bench.settle_one(System::Opsgenie, crate::engine::Outcome::FetchedAlert(None));
    bench.settle_one(System::PagerDuty, became("P1"));
    let link = bench.book().link(&alert_id("A")).unwrap().unwrap();
    assert_eq!(link.page, Page::Standing(incident_id("P1")));
    assert_eq!(bench.queued_notes("A", System::PagerDuty), ["missed"]);
    assert!(bench.claim(System::PagerDuty).is_empty(), "what is no page is held");
}

fn what_is_under_way_ends_and_what_is_put_off_is_held(mut bench: Bench) {
    for alert in ["A", "B"] {
        linked(&mut bench, alert, &format!("P{alert}"));
    }
    for alert in ["A", "B"] {
        bench.record(noted(alert, "one"));
    }
    let mut claims = bench.claim(System::PagerDuty);
    for alert in ["A", "B"] {
        order(&mut bench, alert, pause());
    }
    bench.book().settle(claims.remove(0).entry, noted_as("n"), NOW).unwrap();
    bench.book().release(claims.remove(0).entry).unwrap();
    assert!(bench.claim(System::PagerDuty).is_empty());
    order(&mut bench, "B", Order::Resume);
    assert_eq!(bench.claim_one(System::PagerDuty).entry.alert, alert_id("B"));
}

fn the_first_reason_of_a_pause_stays(mut bench: Bench) {
    linked(&mut bench, "A", "P1");
    order(&mut bench, "A", pause());
    let again = Order::Pause { reason: "another".to_owned() };
    assert_eq!(order(&mut bench, "A", again).1, Reason::InStep);
    assert_eq!(bench.book().link(&alert_id("A")).unwrap().unwrap().paused.unwrap().reason, "too much");
    order(&mut bench, "A", Order::Resume);
    assert_eq!(order(&mut bench, "A", Order::Resume).1, Reason::InStep);
}

fn nothing_is_ordered_for_a_link_that_is_not_there(mut bench: Bench) {
    for what in [pause(), Order::Resume] {
        assert_eq!(order(&mut bench, "Z", what), (None, Reason::Unlinked(Unlinked::NoSuchLink)));
    }
    bench.commit();
    assert!(bench.rows(b"t/").is_empty());
}
