//! Which links are open: they are listed without those that are over.

use super::bench::*;
use crate::engine::outbox::DropReason;
use crate::engine::{AlertId, Outcome, System};

on_both_backends! {
    links_that_are_over_are_not_among_the_open_ones
    open_links_outlive_a_restart_and_are_listed_page_by_page
}

fn open_links(bench: &mut Bench, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(alert_id);
    let links = bench.book().open_links_after(after.as_ref(), limit).unwrap();
    links.into_iter().map(|link| AlertId::to_string(&link.alert)).collect()
}

fn links_that_are_over_are_not_among_the_open_ones(mut bench: Bench) {
    for alert in ["A", "B", "C", "D"] {
        bench.record(created(alert));
    }
    assert_eq!(open_links(&mut bench, None, 10), ["A", "B", "C", "D"]);
    let mut claims = bench.claim(System::PagerDuty).into_iter();
    let mut end = |outcome| bench.book().settle(claims.next().unwrap().entry, outcome, NOW).unwrap();
    end(became("P1"));
    end(Outcome::Dropped(DropReason::ClosedBeforeDelivery));
    end(dead());
    end(became("P4"));
    bench.record(removed("D"));
    assert_eq!(open_links(&mut bench, None, 10), ["A", "C"], "one that nobody is paged for, and one that is gone");
    bench.record(triggered("P2", "B"));
    assert_eq!(open_links(&mut bench, None, 10), ["A", "B", "C"]);
    assert_eq!(bench.rows(b"a/").len(), 0, "nothing was committed");
}

fn open_links_outlive_a_restart_and_are_listed_page_by_page(mut bench: Bench) {
    for alert in ["A", "B", "C"] {
        bench.record(created(alert));
    }
    bench.commit();
    bench.record(removed("B"));
    bench.reopen();
    assert_eq!(open_links(&mut bench, None, 2), ["A", "B"], "what was not committed was not done");
    assert_eq!(open_links(&mut bench, Some("B"), 2), ["C"]);
    bench.record(removed("B"));
    bench.commit();
    bench.reopen();
    assert_eq!(open_links(&mut bench, None, 2), ["A", "C"]);
    assert_eq!(open_links(&mut bench, Some("C"), 2), [] as [&str; 0]);
}
