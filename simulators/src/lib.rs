//! Stateful simulators of Opsgenie and PagerDuty.
