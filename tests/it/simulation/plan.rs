//! What is to happen in one world: everything that a seed decides on, as plain data, so that it can be made smaller.

use crosspage::engine::System;
use simulators::Fault;
use simulators::opsgenie::UpdatedAtStyle;
use simulators::pagerduty::UnackEvents;

/// A whole world.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) setup: Setup,
    /// What people do, in order of time.
    pub(super) deeds: Vec<Deed>,
    pub(super) troubles: Vec<Trouble>,
}

/// How the installation and the two accounts are set up.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// `ON_PAGERDUTY_RESOLVED=close`.
    pub(super) close_on_resolved: bool,
    /// Whether the reconciler runs. Without it, webhooks may come late but are never lost.
    pub(super) reconciles: bool,
    /// `PAGERDUTY_USER` is somebody else's name.
    pub(super) misnamed: bool,
    /// The key may not look up users, so that ids are learnt from answers only.
    pub(super) no_user_lookup: bool,
    /// PagerDuty's webhooks do not say who made a change over REST.
    pub(super) unsaid_agent: bool,
    /// Opsgenie's webhooks do not show `user`, or `source`, of a call.
    pub(super) unsaid_user: bool,
    pub(super) unsaid_source: bool,
    /// Changes that change nothing post webhooks, and are refused by PagerDuty.
    pub(super) noisy: bool,
    pub(super) processing_ms: u64,
    pub(super) opsgenie_lag_ms: u64,
    pub(super) pagerduty_lag_ms: u64,
    pub(super) trimmed_notes: bool,
    pub(super) unack_events: UnackEvents,
    pub(super) updated_at: UpdatedAtStyle,
    pub(super) second_create: bool,
    /// How long it is looked whether all stays quiet, in reconciling passes.
    pub(super) quiet_passes: u32,
}

/// Something that somebody does.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) at_ms: i64,
    /// Names it, so that texts stay the same when others are left out.
    pub(super) number: u32,
    /// Which alert, or whose incident: counted among those there are.
    pub(super) which: usize,
    /// Who: one of two people.
    pub(super) second_person: bool,
    pub(super) act: Act,
}

/// What somebody does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Create,
    Acknowledge,
    Unacknowledge,
    Note,
    Close {
        with_note: bool,
    },
    Priority(u8),
    Snooze,
    TakeOwnership,
    EscalateToNext,
    Delete,
    IncidentAcknowledge,
    IncidentUnacknowledge,
    IncidentNote,
    IncidentResolve {
        with_note: bool,
    },
    IncidentReopen,
    /// Into the incident of another alert, so many further on.
    IncidentMerge(usize),
    IncidentUrgency {
        high: bool,
    },
    IncidentPriority(u8),
    IncidentEscalate,
    IncidentReassign,
    IncidentSnooze,
    AcknowledgementTimesOut,
    OtherEvent,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// The `nth` webhook of that vendor meets a fate.
    Webhook { from: System, nth: u32, fate: Fate },
    /// The `nth` call that writes to that vendor meets a fault.
    Write { to: System, nth: u32, fault: CallFault },
    /// The `nth` call that reads from that vendor meets a fault.
    Read { from: System, nth: u32, fault: CallFault },
    /// A vendor takes no calls for a while.
    Outage { of: System, at_ms: i64, for_ms: i64, fault: CallFault },
    /// The process dies at the `nth` place where it can, and is started again later.
    Crash { nth: u32, down_ms: i64 },
    /// The process is stopped in good order, and started again later.
    Restart { at_ms: i64, down_ms: i64 },
    /// Our clock jumps.
    Clock { at_ms: i64, by_ms: i64 },
}

/// What becomes of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It never comes, and the vendor thinks that it did.
    Lost,
    /// It comes, and once more later.
    Again { after_ms: i64 },
    /// It comes later than those after it.
    Late { after_ms: i64 },
}

/// What becomes of a call.
#[derive(Clone, Debug)]
pub(super) enum CallFault {
    /// No connection.
    NotSent,
    /// Something that the vendor's simulator does.
    Vendor(Fault),
}
