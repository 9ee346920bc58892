//! Stateful simulators of Opsgenie and PagerDuty, with faults on demand.
//!
//! Each vendor is a **state model** ([`Opsgenie`], [`PagerDuty`]) and a **wire skin** ([`opsgenie::Server`],
//! [`pagerduty::Server`]). A model reads no clock, draws no random number and opens no socket: requests and the time go
//! in, replies and webhooks come out, so that a test in one thread can drive it under virtual time. The skin moves
//! bytes between HTTP on loopback and the model, and decides nothing.
//!
//! # Layout
//!
//! - [`exchange`]: requests, replies and webhooks as plain data
//! - [`fault`]: what goes wrong, and when
//! - `outbox`: webhooks waiting to be posted: order, retries, loss
//! - [`wire`]: the HTTP server and the webhook poster that both vendors share
//! - [`opsgenie`], [`pagerduty`]: the vendors
//!
//! # Example
//!
//! ```
//! use simulators::{Opsgenie, opsgenie::{NewAlert, Options}};
//!
//! let mut opsgenie = Opsgenie::new(Options::default());
//! opsgenie.set_now(1_763_600_000_000);
//! let alert = opsgenie.human_creates(NewAlert::titled("disk full"));
//! assert_eq!(opsgenie.alert(&alert).map(|alert| alert.acknowledged), Some(false));
//! assert_eq!(opsgenie.take_webhooks(1_763_600_000_000).len(), 1);
//! ```

pub mod exchange;
pub mod fault;
mod ids;
pub mod opsgenie;
mod outbox;
pub mod pagerduty;
mod shelf;
#[cfg(test)]
mod tests;
pub mod wire;

pub use exchange::{Answer, CallRecord, Connection, Reply, Request, WebhookDelivery, WebhookRecord};
pub use fault::{Fault, Faults, Flaky, GARBAGE, Matcher, Rule, WebhookFaults};
pub use opsgenie::Opsgenie;
pub use outbox::Retries;
pub use pagerduty::PagerDuty;
