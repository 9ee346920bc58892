//! The pure core: what happened ([`event`]), what is remembered ([`link`]), what to do about it ([`mod@decide`]) and how it is
//! done ([`outbox`]); and what is done when pages do not get through ([`outage`]). It does no I/O, reads no clock, draws no random number, and imports nothing else of the crate.

// A new variant must make the compiler ask everywhere what is to become of it.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod decide;
pub mod event;
pub mod fuse;
pub mod link;
pub mod outage;
pub mod outbox;
pub mod policy;

pub use decide::{Decision, Guard, NotYet, Reason, decide};
pub use event::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, IncidentChange, IncidentEvent, IncidentId,
    IncidentNote, InvalidId, Order, Ordered, Polled, Priority, Seen, SeenNote, Settled, Status, System, Timestamp,
};
pub use fuse::Fuse;
pub use link::{Link, Page, Paused, Side};
pub use outbox::{Action, Class, Command, Entry, Outcome, Step};
pub use policy::{Identity, OnResolved, Policy, ReadLag};
