//! What wants somebody's attention: the same on the dashboard, in the API and by `crosspage status`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::status::{StatusView, VendorStateView, VendorView};
use crate::engine::System;

/// After how many passes of the reconciler that failed somebody should look. After one, the next makes up for it.
const TOO_MANY_PASSES: u64 = 2;

/// For how long a vendor may fail before somebody should look, and for how long it may ask us to wait, in seconds.
const TOO_LONG: i64 = 60;

/// Something that wants somebody's attention.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AlarmView {
    /// What it is, for programs: `late_pages`, `pagerduty_refuses` and so on.
    pub code: String,
    /// Whether it cannot wait until the morning.
    pub urgent: bool,
    /// What it is, in a few words.
    pub headline: String,
    /// What it means, and what to do.
    pub text: String,
}

/// All of it, the most urgent first.
pub(super) fn of(status: &StatusView) -> Vec<AlarmView> {
    let mut alarms = Vec::new();
    let mut alarm = |code: &str, urgent: bool, headline: String, text: String| {
        alarms.push(AlarmView { code: code.to_owned(), urgent, headline, text: sentence(&text) });
    };
    if let Some(reason) = &status.not_ready {
        let text = format!(
            "{reason}. PagerDuty sends its webhooks again for 48 hours; of what Opsgenie drops, the reconciler finds alerts, states \
             and notes."
        );
        alarm("not_ready", true, "No webhooks are taken".to_owned(), text);
    }
    if status.late_pages > 0 {
        let text = "Nobody may know of what they are about.".to_owned();
        alarm("late_pages", true, count(status.late_pages, "page has", "pages have") + " not gone out in time", text);
    }
    for (system, vendor) in [(System::Opsgenie, &status.opsgenie), (System::PagerDuty, &status.pagerduty)] {
        if let Some((what, urgent, headline, text)) = of_vendor(system, vendor) {
            let code = format!("{}_{what}", system.to_string().to_ascii_lowercase());
            alarm(&code, urgent, headline, text);
        }
    }
    if let Some(reason) = &status.webhooks_off {
        let text = format!("{reason}. Until they come, only the reconciler finds what happens there, and late.");
        alarm("webhooks_off", true, "PagerDuty's webhooks are off".to_owned(), text);
    }
    if let Some((passes, failures)) = failing(status) {
        let text = format!(
            "The last {passes} passes of the reconciler have failed in part, and it goes on trying. What failed last: {failures}"
        );
        alarm("passes_fail", false, "What no webhook told is not found in full".to_owned(), text);
    }
    if status.dead_letters > 0 {
        let text = "They are not in the other system and will not come by themselves: redrive them once the cause is mended, or \
                    discard them.";
        let headline = count(status.dead_letters, "command was", "commands were") + " given up";
        alarm("dead_letters", true, headline, text.to_owned());
    }
    if status.quarantined > 0 {
        let text =
            "They are kept, and nothing came of them: look at them, and replay them with a version that can read them.";
        let headline = count(status.quarantined, "webhook", "webhooks") + " could not be read";
        alarm("quarantined", false, headline, text.to_owned());
    }
    if status.paused_links > 0 {
        let text = "Nothing is passed on between their two sides until somebody resumes them.";
        let headline = count(status.paused_links, "link is", "links are") + " paused";
        alarm("paused_links", false, headline, text.to_owned());
    }
    alarms.sort_by_key(|alarm| !alarm.urgent);
    alarms
}

fn of_vendor(system: System, vendor: &VendorView) -> Option<(&'static str, bool, String, String)> {
    match vendor.state? {
        VendorStateView::Refuses => {
            let reason = vendor.stopped.as_deref().unwrap_or_default();
            let keys = match system {
                System::Opsgenie => "OPSGENIE_API_KEY",
                System::PagerDuty => "PAGERDUTY_API_KEY or PAGERDUTY_EMAIL",
            };
            let text = format!(
                "{reason}. What is bound for it waits, and goes on once it takes calls again. After a change of {keys}, restart \
                 crosspage."
            );
            Some(("refuses", true, format!("No calls are made to {system}"), text))
        }
        VendorStateView::Waits => {
            let seconds = vendor.held_for_s.filter(|seconds| i64::try_from(*seconds).is_ok_and(|s| s > TOO_LONG))?;
            let text = format!("No calls are made for {seconds} s more; then it goes on by itself.");
            Some(("waits", false, format!("{system} asks us to wait"), text))
        }
        VendorStateView::Fails => {
            let failed = vendor.last_failure.as_ref()?;
            let since = vendor.last_success.map(|at| failed.at.as_second() - at.as_second());
            if since.is_some_and(|since| since < TOO_LONG) {
                return None;
            }
            let text = format!("{}. What is bound for it waits, and is tried again and again.", failed.reason);
            Some(("fails", true, format!("{system} does not do what it is asked"), text))
        }
        VendorStateView::NotCalled | VendorStateView::TakesCalls => None,
    }
}

/// The reconciler's passes, if they fail for a reason that is not told already: they do where a vendor is stopped.
fn failing(status: &StatusView) -> Option<(u64, String)> {
    let reconciler = status.reconciler.as_ref()?;
    let failing = reconciler.failing.as_ref().filter(|failing| failing.passes >= TOO_MANY_PASSES)?;
    if status.opsgenie.stopped.is_some() || status.pagerduty.stopped.is_some() {
        return None;
    }
    let failures = reconciler.last_pass.iter().flat_map(|pass| &pass.failures);
    let failures: Vec<_> = failures.map(|(part, why)| format!("{part}: {why}")).collect();
    Some((failing.passes, failures.join("; ")))
}

/// Reasons begin small, since they mostly follow something.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn count<N: std::fmt::Display + PartialEq + From<u8>>(number: N, one: &str, several: &str) -> String {
    let words = if number == N::from(1) { one } else { several };
    format!("{number} {words}")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::super::status::{FailedCallView, FailingView, PassView, ReconcilerView};
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn vendor(state: VendorStateView) -> VendorView {
        VendorView { state: Some(state), ..VendorView::default() }
    }

    fn codes(change: impl FnOnce(&mut StatusView)) -> Vec<String> {
        let mut status = StatusView {
            opsgenie: vendor(VendorStateView::TakesCalls),
            pagerduty: vendor(VendorStateView::NotCalled),
            ..StatusView::default()
        };
        change(&mut status);
        of(&status).into_iter().map(|alarm| alarm.code).collect()
    }

    #[test]
    fn a_quiet_night_has_no_alarm() {
        assert_eq!(codes(|_| ()), Vec::<String>::new());
        assert_eq!(of(&StatusView::default()), [], "nor has what a command finds in a store");
    }

    #[test]
    fn each_trouble_is_one_alarm_and_the_urgent_ones_come_first() {
        let all = codes(|status| {
            status.paused_links = 1;
            status.quarantined = 2;
            status.dead_letters = 1;
            status.webhooks_off = Some("switched off".to_owned());
            status.pagerduty = VendorView { stopped: Some("401".to_owned()), ..vendor(VendorStateView::Refuses) };
            status.late_pages = 3;
            status.not_ready = Some("disk low".to_owned());
        });
        let urgent = ["not_ready", "late_pages", "pagerduty_refuses", "webhooks_off", "dead_letters"];
        assert_eq!(all, [&urgent[..], &["quarantined", "paused_links"]].concat());
    }

    #[test]
    fn a_vendor_is_an_alarm_once_it_has_failed_for_a_minute() {
        let failing = |last_success: Option<Timestamp>| {
            let last_failure =
                Some(FailedCallView { at: at(100), operation: "x".to_owned(), reason: "503".to_owned() });
            let opsgenie = VendorView { last_success, last_failure, ..vendor(VendorStateView::Fails) };
            codes(|status| status.opsgenie = opsgenie)
        };
        assert_eq!(failing(Some(at(41))), Vec::<String>::new());
        assert_eq!(failing(Some(at(40))), ["opsgenie_fails"]);
        assert_eq!(failing(None), ["opsgenie_fails"], "it never did what it was asked");
    }

    #[test]
    fn a_short_wait_that_a_vendor_asks_for_is_no_alarm() {
        let waiting = |held_for_s| {
            let pagerduty = VendorView { held_for_s: Some(held_for_s), ..vendor(VendorStateView::Waits) };
            codes(|status| status.pagerduty = pagerduty)
        };
        assert_eq!((waiting(60), waiting(61)), (vec![], vec!["pagerduty_waits".to_owned()]));
    }

    #[test]
    fn passes_that_fail_are_an_alarm_unless_a_stopped_vendor_explains_them() {
        let failing = |passes: u64, stopped: Option<&str>| {
            let failures = [("alerts".to_owned(), "500".to_owned())].into();
            let reconciler = ReconcilerView {
                last_pass: Some(PassView { began_at: at(0), took_s: 0.1, failures }),
                failing: Some(FailingView { since: at(0), passes }),
                ..ReconcilerView::default()
            };
            codes(|status| {
                status.reconciler = Some(reconciler);
                status.opsgenie.stopped = stopped.map(str::to_owned);
            })
        };
        assert_eq!(failing(1, None), Vec::<String>::new());
        assert_eq!(failing(2, None), ["passes_fail"]);
        assert_eq!(failing(9, Some("held")), Vec::<String>::new());
    }
}
