//! PagerDuty: its v3 webhooks ([`signature`], [`webhook`]), its REST API ([`client`]) and its Events API ([`events`]).

pub mod client;
pub mod events;
pub mod signature;
pub mod webhook;
mod wire;

pub use client::{Client, Settings};
pub use events::Events;
