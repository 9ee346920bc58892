//! Links that come from another store.

use super::bench::*;
use crate::engine::{AlertFacts, Link, Page, Timestamp};
use crate::store::Span;

on_both_backends! {
    a_store_reaches_back_as_far_as_the_one_whose_links_it_takes_in
    a_store_that_reaches_back_farther_stays_as_it_is
    a_clock_that_was_believed_is_believed_after_links_were_taken_in
}

fn link(alert: &str) -> Link {
    Link::new(alert_id(alert), AlertFacts::default(), Page::Standing(incident_id("P1")), NOW)
}

fn span(first_ran_at: i64, reconciled_until: i64) -> Span {
    let at = |ms: i64| Timestamp::from_millis(NOW.as_millis() + ms);
    Span { first_ran_at: at(first_ran_at), reconciled_until: at(reconciled_until) }
}

fn a_store_reaches_back_as_far_as_the_one_whose_links_it_takes_in(mut bench: Bench) {
    assert_eq!(bench.book().span().unwrap(), span(0, 0), "it was made just now");
    bench.book().import(&[link("A")], span(-9_000, -5_000)).unwrap();
    assert_eq!(bench.book().policy().first_ran_at, span(-9_000, 0).first_ran_at, "decisions know it at once");
    bench.commit();
    bench.reopen();
    assert_eq!(bench.book().span().unwrap(), span(-9_000, -5_000));
    assert!(bench.book().link(&alert_id("A")).unwrap().is_some());
    bench.book().import(&[], span(-9_000, -7_000)).unwrap();
    assert_eq!(bench.book().span().unwrap(), span(-9_000, -7_000), "without links, too");
}

fn a_store_that_reaches_back_farther_stays_as_it_is(mut bench: Bench) {
    bench.book().import(&[link("A")], span(5_000, 9_000)).unwrap();
    assert_eq!(bench.book().span().unwrap(), span(0, 0));
    bench.book().set_reconciled_until(span(0, 8_000).reconciled_until).unwrap();
    bench.book().import(&[], span(-1, 9_000)).unwrap();
    assert_eq!(bench.book().span().unwrap(), span(-1, 8_000), "each by itself");
}

fn a_clock_that_was_believed_is_believed_after_links_were_taken_in(mut bench: Bench) {
    let before = bench.book().pruned_at().unwrap();
    bench.book().import(&[], span(-9_000, -5_000)).unwrap();
    assert_eq!(bench.book().pruned_at().unwrap(), before);
}
