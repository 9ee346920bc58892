//! What the metrics are told apart by. Every set of labels is small and known beforehand.

use std::fmt::{self, Write as _};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::engine::outbox::call::{Call, Failure, Refusal};
use crate::engine::{Guard, System};

/// What a webhook came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebhookVerdict {
    /// It told something new, which is stored.
    Accepted,
    /// It had come before.
    Repeat,
    /// It is authentic, and nothing follows from it.
    Ignored,
    /// It is authentic and cannot be read, or found no room to wait in: it is kept.
    Quarantined,
    /// It is not authentic, or no webhook at all: the vendor was told by a 4xx that it is at fault.
    Refused,
    /// It could not be taken, and the vendor was asked to send it again.
    Unavailable,
}

impl WebhookVerdict {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Repeat, Self::Ignored, Self::Quarantined, Self::Refused, Self::Unavailable];

    /// Whether it shows that the vendor posts to us. Who could not be heard might have been anybody.
    pub fn is_authentic(self) -> bool {
        match self {
            Self::Accepted | Self::Repeat | Self::Ignored | Self::Quarantined => true,
            Self::Refused | Self::Unavailable => false,
        }
    }

    /// A word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Repeat => "repeat",
            Self::Ignored => "ignored",
            Self::Quarantined => "quarantined",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// What a vendor call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation(&'static str);

impl Operation {
    /// A page of alerts.
    pub const LIST_ALERTS: Self = Self("list_alerts");
    /// A page of open incidents.
    pub const LIST_INCIDENTS: Self = Self("list_incidents");
    /// An alert by itself.
    pub const READ_ALERT: Self = Self("read_alert");
    /// An incident by itself.
    pub const READ_INCIDENT: Self = Self("read_incident");
    /// The notes of an alert.
    pub const LIST_ALERT_NOTES: Self = Self("list_alert_notes");
    /// The notes of an incident.
    pub const LIST_INCIDENT_NOTES: Self = Self("list_incident_notes");
    /// The webhook subscriptions.
    pub const LIST_SUBSCRIPTIONS: Self = Self("list_subscriptions");
    /// Switching a webhook subscription on again.
    pub const ENABLE_SUBSCRIPTION: Self = Self("enable_subscription");
    /// Who the automation user is.
    pub const FIND_USER: Self = Self("find_user");
    /// Whether the vendor that refuses us still does.
    pub const PROBE: Self = Self("probe");
    /// An emergency by the Events API.
    pub const TRIGGER_EVENT: Self = Self("trigger_event");
    /// The end of an emergency by the Events API.
    pub const RESOLVE_EVENT: Self = Self("resolve_event");

    /// A word for metrics.
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl From<&Call> for Operation {
    fn from(call: &Call) -> Self {
        Self(call.name())
    }
}

/// How a vendor call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// It worked.
    Ok,
    /// What was asked for is so already.
    AlreadySo,
    /// There is no such thing.
    NotFound,
    /// It had no effect, and may be tried again: no connection, a time-out before it, a rate limit.
    TryAgain,
    /// It may or may not have had its effect.
    Unclear,
    /// The vendor refuses us as a whole.
    Unauthorized,
    /// The vendor refuses it for good.
    Refused,
}

impl CallOutcome {
    /// A word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AlreadySo => "already_so",
            Self::NotFound => "not_found",
            Self::TryAgain => "try_again",
            Self::Unclear => "unclear",
            Self::Unauthorized => "unauthorized",
            Self::Refused => "refused",
        }
    }

    /// Whether the vendor has given an answer that is none of a failure.
    pub fn is_answer(self) -> bool {
        match self {
            Self::Ok | Self::AlreadySo | Self::NotFound => true,
            Self::TryAgain | Self::Unclear | Self::Unauthorized | Self::Refused => false,
        }
    }
}

impl From<Option<&Failure>> for CallOutcome {
    fn from(failure: Option<&Failure>) -> Self {
        match failure {
            None => Self::Ok,
            Some(Failure::TryAgain { .. }) => Self::TryAgain,
            Some(Failure::Unclear { .. }) => Self::Unclear,
            Some(Failure::Unauthorized(_)) => Self::Unauthorized,
            Some(Failure::Refused { meaning, .. }) => match meaning {
                Refusal::AlreadyAcknowledged | Refusal::AlreadyResolved | Refusal::DuplicateKey => Self::AlreadySo,
                Refusal::NotFound => Self::NotFound,
                Refusal::Invalid | Refusal::Other => Self::Refused,
            },
        }
    }
}

/// A part of a reconciling pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// PagerDuty's webhook subscriptions.
    Subscriptions,
    /// Where alerts stand.
    Alerts,
    /// Where incidents stand.
    Incidents,
    /// Notes on either side.
    Notes,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Subscriptions, Self::Alerts, Self::Incidents, Self::Notes];

    /// A word for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Subscriptions => "subscriptions",
            Self::Alerts => "alerts",
            Self::Incidents => "incidents",
            Self::Notes => "notes",
        }
    }
}

/// What retention removes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Removed {
    /// Links that are over.
    Links,
    /// Entries of timelines.
    Timeline,
    /// Ids of what was seen.
    Seen,
    /// What lay in the quarantine.
    Quarantine,
}

impl Removed {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Links, Self::Timeline, Self::Seen, Self::Quarantine];

    fn name(self) -> &'static str {
        match self {
            Self::Links => "links",
            Self::Timeline => "timeline",
            Self::Seen => "seen",
            Self::Quarantine => "quarantine",
        }
    }
}

pub(super) const SYSTEMS: [System; 2] = [System::Opsgenie, System::PagerDuty];

fn vendor(system: System) -> &'static str {
    match system {
        System::Opsgenie => "opsgenie",
        System::PagerDuty => "pagerduty",
    }
}

/// Where something is bound for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Direction(pub(super) System);

fn direction(direction: Direction) -> &'static str {
    match direction.0 {
        System::Opsgenie => "to_opsgenie",
        System::PagerDuty => "to_pagerduty",
    }
}

/// Values of labels are written as these words.
macro_rules! written_as {
    ($($type:ty => $word:expr,)*) => {$(
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str($word(*self))
            }
        }
    )*};
}

written_as! {
    System => vendor,
    Direction => direction,
    WebhookVerdict => WebhookVerdict::name,
    Operation => Operation::name,
    CallOutcome => CallOutcome::name,
    Guard => Guard::name,
    Part => Part::name,
    Removed => Removed::name,
}

/// Sets of labels, each with the names by which Prometheus knows them.
macro_rules! label_sets {
    ($($set:ident { $($name:ident: $type:ty),* })*) => {$(
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub(super) struct $set {
            $(pub(super) $name: $type),*
        }
    )*};
}

label_sets! {
    Vendor { vendor: System }
    Webhook { vendor: System, verdict: WebhookVerdict }
    Decided { reason: &'static str }
    Echo { guard: Guard }
    Called { vendor: System, operation: Operation, outcome: CallOutcome }
    Calling { vendor: System, operation: Operation }
    Mirrored { direction: Direction, action: &'static str }
    Looked { part: Part }
    Pruned { kind: Removed }
}
