//! PagerDuty: its v3 webhooks ([`signature`], [`webhook`]) and its REST API ([`client`]).

pub mod client;
pub mod signature;
pub mod webhook;
mod wire;

pub use client::{Client, Settings};
