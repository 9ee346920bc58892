//! PagerDuty: incidents over REST v2, events over Events v2, and v3 webhooks.

mod change;
mod doer;
mod events;
mod incident;
mod model;
mod options;
mod people;
mod read;
mod render;
mod rest;
mod subscription;
mod update;
mod webhook;

pub use incident::{Acknowledgement, Agent, Incident, IncidentStatus, LogEntry, Note};
pub use model::{EventsPage, PagerDuty};
pub use options::{
    AckTimeoutAgent, Behaviour, KeyAccess, KeyKind, Options, RestAgent, ServiceStatus, Taken, UnackEvents, User,
    UsersLookup,
};

/// A simulated PagerDuty on loopback.
pub type Server = crate::wire::Server<PagerDuty>;
