use std::time::Duration;

use super::super::event::Timestamp;
use super::super::policy::{Identity, OnResolved, Policy};

pub(super) fn policy() -> Policy {
    Policy {
        on_pagerduty_resolved: OnResolved::Note,
        identity: Identity {
            pagerduty_ids: ["PAUTO01".to_owned()].into(),
            pagerduty_name: "Sync Bot".to_owned(),
            opsgenie_user: "crosspage".to_owned(),
        },
        first_ran_at: Timestamp::from_millis(1_000_000),
        retention: Duration::from_secs(30 * 86_400),
        alert_page: None,
    }
}
