//! Opsgenie's alert API.
