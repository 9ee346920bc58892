//! Opsgenie: alerts, the asynchronous Alert API v2, and the posts of a Webhook integration.

mod action;
mod alert;
mod command;
mod model;
mod options;
mod payload;
mod people;
mod query;
mod read;
mod rest;
mod webhook;

pub use alert::{Alert, AlertStatus, LogLine, NewAlert, Note};
pub use model::{Opsgenie, RequestRecord};
pub use options::{Behaviour, KeyKind, Options, UpdatedAtStyle};

/// A simulated Opsgenie on loopback.
pub type Server = crate::wire::Server<Opsgenie>;
