//! Opsgenie: alerts, the asynchronous Alert API v2, and the posts of a Webhook integration.

mod action;
mod model;
mod payload;
mod people;
mod query;
mod rest;
mod webhook;

pub use model::{
    Alert, AlertStatus, Behaviour, LogLine, NewAlert, Note, Opsgenie, Options, RequestRecord,
    UpdatedAtStyle,
};

/// A simulated Opsgenie on loopback.
pub type Server = crate::wire::Server<Opsgenie>;
