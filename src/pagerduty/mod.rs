//! PagerDuty: its v3 webhooks ([`signature`], [`webhook`]) and its REST API ([`client`]).

pub mod client;
pub mod signature;
pub mod webhook;
mod wire;

pub use client::{Client, LookupError, Settings};
pub use signature::{SIGNATURE_HEADER, SignatureError, verify};
pub use webhook::{Inbound, Unreadable, parse};
