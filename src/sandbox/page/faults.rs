//! What goes wrong with a simulated vendor, one switch each. They are switched together as a visitor likes.

use std::collections::BTreeSet;

use simulators::{Fault, Faults, Matcher, Rule, WebhookFaults};

/// How slow the slow answers are.
const SLOW_MS: u64 = 2_000;

/// For how long calls are turned away at a time.
const THROTTLED_S: u64 = 5;

/// How often a repeated webhook comes beside the first time.
const REPEATED: u32 = 2;

/// Something that goes wrong with a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Switch {
    Outage,
    Throttled,
    AnswersLost,
    Slow,
    WebhooksLost,
    WebhooksRepeated,
}

impl Switch {
    /// In the order in which they are shown; of those that concern calls, the first that is on decides.
    pub(super) const ALL: [Self; 6] =
        [Self::Outage, Self::Throttled, Self::AnswersLost, Self::Slow, Self::WebhooksLost, Self::WebhooksRepeated];

    /// The last part of its route.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Outage => "outage",
            Self::Throttled => "throttled",
            Self::AnswersLost => "answers-lost",
            Self::Slow => "slow",
            Self::WebhooksLost => "webhooks-lost",
            Self::WebhooksRepeated => "webhooks-repeated",
        }
    }

    /// What it says.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Outage => "API down",
            Self::Throttled => "Rate limit",
            Self::AnswersLost => "Answers lost",
            Self::Slow => "Slow",
            Self::WebhooksLost => "Webhooks lost",
            Self::WebhooksRepeated => "Webhooks tripled",
        }
    }

    /// What it does.
    pub(super) fn explained(self) -> &'static str {
        match self {
            Self::Outage => "Every call is answered 503, and nothing is done.",
            Self::Throttled => "Every call is answered 429: come back in 5 seconds.",
            Self::AnswersLost => "What a write asks for is done, but the connection breaks before the answer.",
            Self::Slow => "Every answer takes 2 seconds.",
            Self::WebhooksLost => "No webhook is sent: what happens here must be found by looking.",
            Self::WebhooksRepeated => "Every webhook comes three times.",
        }
    }

    /// The switch of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|switch| switch.name() == name)
    }

    /// What it makes of calls, and by which methods.
    fn on_calls(self) -> Vec<(Option<&'static str>, Fault)> {
        match self {
            Self::Outage => vec![(None, Fault::status(503))],
            Self::Throttled => vec![(None, Fault::Throttle { with_headers: true, reset_s: THROTTLED_S })],
            Self::AnswersLost => vec![(Some("POST"), Fault::ResetAfter), (Some("PUT"), Fault::ResetAfter)],
            Self::Slow => vec![(None, Fault::Delay(SLOW_MS))],
            Self::WebhooksLost | Self::WebhooksRepeated => Vec::new(),
        }
    }
}

/// The switches of one vendor.
#[derive(Clone, Debug, Default)]
pub(super) struct Switches(BTreeSet<Switch>);

impl Switches {
    pub(super) fn is_on(&self, switch: Switch) -> bool {
        self.0.contains(&switch)
    }

    pub(super) fn set(&mut self, switch: Switch, on: bool) {
        if on {
            self.0.insert(switch);
        } else {
            self.0.remove(&switch);
        }
    }

    /// What the vendor is to do wrong.
    pub(super) fn faults(&self) -> Faults {
        // PagerDuty's Events API is another system than its REST API, and pages when that is down.
        let events = Matcher { path_contains: Some("/v2/enqueue".to_owned()), ..Matcher::default() };
        let mut rules = vec![Rule { matcher: events, fault: Fault::Pass, times: u32::MAX }];
        for (method, fault) in self.0.iter().flat_map(|switch| switch.on_calls()) {
            rules.push(Rule { matcher: Matcher { method, ..Matcher::default() }, fault, times: u32::MAX });
        }
        let webhooks = WebhookFaults {
            lose_all: self.is_on(Switch::WebhooksLost),
            repeat_each: if self.is_on(Switch::WebhooksRepeated) { REPEATED } else { 0 },
            ..WebhookFaults::default()
        };
        Faults { rules, webhooks, ..Faults::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_makes_something_go_wrong_and_is_known_by_its_name() {
        for switch in Switch::ALL {
            assert_eq!(Switch::named(switch.name()), Some(switch));
            let mut switches = Switches::default();
            assert_eq!(switches.faults().next("POST", "/incidents"), None);
            switches.set(switch, true);
            let mut faults = switches.faults();
            let concerns_calls = faults.next("POST", "/incidents").is_some();
            let concerns_webhooks = faults.webhooks != WebhookFaults::default();
            assert!(concerns_calls != concerns_webhooks, "{switch:?}");
            switches.set(switch, false);
            assert_eq!(switches.faults().next("POST", "/incidents"), None);
            assert_eq!(switches.faults().webhooks, WebhookFaults::default());
        }
    }

    #[test]
    fn an_outage_leaves_the_events_api_alone() {
        let mut switches = Switches::default();
        switches.set(Switch::Slow, true);
        switches.set(Switch::Outage, true);
        let mut faults = switches.faults();
        assert_eq!(faults.next("GET", "/incidents"), Some(Fault::status(503)), "the worse one counts");
        assert_eq!(faults.next("POST", "/v2/enqueue"), Some(Fault::Pass));
    }
}
