//! The decision: what an event means for a link, and what is to be done about it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::link::Link;
use super::outbox::Command;
use super::policy::Policy;

/// What is to be done about an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The link as it is from now on; nothing if there is none (any more).
    pub link: Option<Link>,
    /// What is to be done, in order.
    pub commands: Vec<Command>,
    /// Why.
    pub reason: Reason,
    /// Events that had waited for this one, to be decided on right after it, in order.
    pub released: Vec<Event>,
    /// An id of the automation user in PagerDuty that was learnt.
    pub learned_id: Option<String>,
}

/// Why something was done about an event, or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is passed on to the other side.
    Mirrored,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// Decides on `event`, which happened to `link` (if there is one).
pub fn decide(link: Option<&Link>, event: &Event, policy: &Policy) -> Decision {
    let _ = (event, policy);
    Decision {
        link: link.cloned(),
        commands: Vec::new(),
        reason: Reason::Mirrored,
        released: Vec::new(),
        learned_id: None,
    }
}
