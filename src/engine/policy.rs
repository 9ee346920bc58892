//! What is mirrored, noted or ignored. The one place for whatever an installation may choose.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::{Actor, System, Timestamp};
use super::fuse::Limits;
use super::outbox::steps::read_lag;

/// What decisions depend on beside the link and the event.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// What a resolved incident does to its alert.
    pub on_pagerduty_resolved: OnResolved,
    /// Who we are in both systems.
    pub identity: Identity,
    /// PagerDuty's id of the service that our incidents are on. A key like ours on another service is somebody else's.
    pub pagerduty_service: String,
    /// When crosspage first ran on this store, by our clock. Older alerts never page.
    pub first_ran_at: Timestamp,
    /// How long after its creation an alert may still be taken in late.
    pub retention: Duration,
    /// How long after a change the vendors' reads may not show it.
    pub read_lag: ReadLag,
    /// How much a link may command in both directions before it is paused: what no guard recognised may be a loop.
    pub fuse: Limits,
    /// What precedes an alert's id in the address of its page, for the link in an incident's details.
    pub alert_page: Option<String>,
}

/// How long after a change a vendor's reads may not show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLag {
    /// Opsgenie's.
    pub opsgenie: Duration,
    /// PagerDuty's.
    pub pagerduty: Duration,
}

impl Default for ReadLag {
    fn default() -> Self {
        Self { opsgenie: read_lag(System::Opsgenie), pagerduty: read_lag(System::PagerDuty) }
    }
}

impl ReadLag {
    /// That of `system`.
    pub fn of(&self, system: System) -> Duration {
        match system {
            System::Opsgenie => self.opsgenie,
            System::PagerDuty => self.pagerduty,
        }
    }
}

/// What a resolved incident does to its alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnResolved {
    /// The alert is told by a note and stays open: its owner decides.
    #[default]
    Note,
    /// The alert is closed as well.
    Close,
}

/// Who we are, so that our own changes are known when they come back.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// PagerDuty's ids of the automation user: looked up by its e-mail address, or learnt from answers to our writes.
    pub pagerduty_ids: BTreeSet<String>,
    /// The automation user's e-mail address in PagerDuty. With another address, the ids are another user's.
    pub pagerduty_email: String,
    /// The automation user's name in PagerDuty; counts only while no id is known, since names can be changed and shared.
    pub pagerduty_name: String,
    /// What our Opsgenie calls carry as `user` and `source`.
    pub opsgenie_user: String,
}

impl Identity {
    /// Whether `actor`, seen in `system`, is us.
    pub fn is_ours(&self, system: System, actor: &Actor) -> bool {
        let same = |a: &Option<String>, b: &str| a.as_deref().is_some_and(|a| a.eq_ignore_ascii_case(b));
        match system {
            System::Opsgenie => same(&actor.name, &self.opsgenie_user) || same(&actor.source, &self.opsgenie_user),
            System::PagerDuty if self.pagerduty_ids.is_empty() => same(&actor.name, &self.pagerduty_name),
            System::PagerDuty => actor.id.as_ref().is_some_and(|id| self.pagerduty_ids.contains(id)),
        }
    }
}
