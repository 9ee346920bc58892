//! stub
/// stub
pub struct PagerDuty;
