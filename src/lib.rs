//! crosspage keeps an Opsgenie alert and a PagerDuty incident telling the same story.

pub mod config;
pub mod engine;
pub mod http;
pub mod opsgenie;
pub mod pagerduty;
pub mod telemetry;
