//! crosspage keeps an Opsgenie alert and a PagerDuty incident telling the same story.

pub mod engine;
pub mod store;
