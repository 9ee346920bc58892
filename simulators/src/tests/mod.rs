//! The simulators' own tests: the models under virtual time, then both through real sockets.

mod opsgenie;
mod pagerduty;
mod wire;
