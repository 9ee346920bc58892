//! crosspage keeps an Opsgenie alert and a PagerDuty incident telling the same story.
//!
//! ```text
//!  Opsgenie webhook ─┐ authenticate        normalise               ┌ seen before? stop
//!                    ├───────────► wire type ───────► Event ──►  one transaction:  load Link
//! PagerDuty webhook ─┘ (raw bytes)                      ▲          │  decide(Link, Event, Policy)   pure
//!                                                       │          │  save Link, timeline, append Commands
//!                                                       │          └──────┬── fsync, then 2xx
//!                                                       │                 ▼
//!    other vendor ◄── client ◄── delivery: claim ───────┼───────── durable outbox ──► dead letters
//!         │                        ▲     settle(answer) pure  │
//!         └─ its webhook comes back as an Event ────────┘  how it ended is an Event too
//! ```
//!
//! # Layout
//!
//! - [`engine`]: the pure core: events, links, decisions, and the step machine of the outbox.
//! - [`opsgenie`], [`pagerduty`]: the vendors: webhooks in, calls out. [`http`]: the client that both share.
//! - [`store`]: one transaction an event, durable before it is answered.
//! - [`delivery`]: makes the calls that are due, and stores what came of them.
//! - [`reconcile`]: looks at both sides for what no webhook told.
//! - [`emergency`]: tells somebody by another way when pages do not get through.
//! - [`retention`]: removes what is over and old.
//! - [`server`]: the public listener.
//! - [`metrics`], [`health`]: what is counted, and how the vendors and the reconciler are doing.
//! - [`config`], [`telemetry`], [`clock`]: what surrounds it.
//! - [`operator`]: what an operator can look at and order; [`admin`], [`command`]: by HTTP, and by the command line.
//!   [`remote`]: a running crosspage, asked by another process.
//! - [`check`]: whether what it needs is there and works.
//! - [`app`]: all of it put together; [`sandbox`]: all of it between two simulated vendors.

pub mod admin;
pub mod app;
pub mod check;
pub mod clock;
pub mod command;
pub mod config;
pub mod delivery;
pub mod emergency;
pub mod engine;
pub mod health;
pub mod http;
pub mod metrics;
pub mod operator;
pub mod opsgenie;
pub mod pagerduty;
pub mod reconcile;
pub mod remote;
pub mod retention;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod server;
pub mod store;
pub mod telemetry;
