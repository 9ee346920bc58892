//! Stories through real sockets: crosspage between the two simulators. Nothing here sleeps for luck: a story acts, waits
//! until everything is quiet, and looks.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect should fail")]

mod admin;
mod browser;
mod check;
mod commands;
mod contract;
mod crash;
mod dashboard;
mod delivery;
mod deploy;
mod docs;
mod doors;
mod emergency;
mod fuse;
mod harness;
mod limits;
mod log;
mod loops;
mod metrics;
mod mirror_alert;
mod mirror_incident;
mod monitoring;
mod operator;
mod outage;
mod post;
mod process;
mod reconcile;
mod retention;
mod rules;
mod sandbox;
mod scarce;
mod secrets;
mod simulation;
mod startup;
mod tidy;
mod walk;
