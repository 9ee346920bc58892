//! PagerDuty: its v3 webhooks ([`signature`], [`webhook`]) and its REST API ([`client`]).

pub mod client;
pub mod signature;
pub mod webhook;

pub use signature::{SignatureError, verify};
pub use webhook::{Inbound, Unreadable, parse};
