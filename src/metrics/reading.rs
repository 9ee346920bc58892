//! What is not counted but read when somebody asks.

use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;

use super::families::Families;
use super::labels::{SYSTEMS, Vendor};
use crate::engine::{System, Timestamp};

/// How things stand at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// What concerns Opsgenie.
    pub opsgenie: VendorReading,
    /// What concerns PagerDuty.
    pub pagerduty: VendorReading,
    /// The store.
    pub store: StoreReading,
    /// Whether PagerDuty posts its webhooks to us, once that is known.
    pub subscription_up: Option<bool>,
    /// When the reconciler had last looked at everything without a failure, by our clock.
    pub last_complete_pass: Option<Timestamp>,
}

/// How things stand with one vendor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VendorReading {
    /// How many commands are bound for it.
    pub entries: usize,
    /// How many links' commands are held.
    pub held_links: usize,
    /// How long the oldest command has waited that is not held.
    pub oldest_waits: Duration,
    /// How many calls may be made at once. Less than none, if calls took more requests than were paid for.
    pub calls_left: f64,
    /// Whether no calls are made, since it refuses us.
    pub paused: bool,
    /// For how long no calls are made, since it asked for that.
    pub held_for: Duration,
}

/// How things stand with the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreReading {
    /// Whether events can be taken in.
    pub ready: bool,
    /// How large the database is, in bytes.
    pub size: u64,
    /// How many bytes its disk has left.
    pub free: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// What could not be read.
    pub quarantined: u64,
    /// Notes that wait for their incident.
    pub waiting: usize,
    /// Links that are paused.
    pub paused_links: u64,
}

impl Families {
    /// Takes over a reading.
    pub(super) fn read(&self, reading: &Reading) {
        for vendor in SYSTEMS {
            let (labels, read) = (Vendor { vendor }, reading.vendor(vendor));
            set(&self.outbox_entries.get_or_create(&labels), read.entries);
            set(&self.outbox_held_links.get_or_create(&labels), read.held_links);
            self.outbox_age.get_or_create(&labels).set(read.oldest_waits.as_secs_f64());
            self.calls_left.get_or_create(&labels).set(read.calls_left);
            set(&self.vendor_paused.get_or_create(&labels), u8::from(read.paused));
            self.vendor_hold.get_or_create(&labels).set(read.held_for.as_secs_f64());
        }
        let store = &reading.store;
        set(&self.store_ready, u8::from(store.ready));
        set(&self.store_size, store.size);
        set(&self.store_free, store.free);
        set(&self.dead_letters, store.dead_letters);
        set(&self.quarantined, store.quarantined);
        set(&self.waiting, store.waiting);
        set(&self.paused_links, store.paused_links);
        self.subscription_up.set(reading.subscription_up.map(f64::from));
        let since_the_epoch = |at: Timestamp| at.since(Timestamp::default()).as_secs_f64();
        self.last_pass.set(reading.last_complete_pass.map(since_the_epoch));
    }
}

impl Reading {
    fn vendor(&self, system: System) -> &VendorReading {
        match system {
            System::Opsgenie => &self.opsgenie,
            System::PagerDuty => &self.pagerduty,
        }
    }
}

pub(super) fn set(gauge: &Gauge, value: impl TryInto<i64>) {
    gauge.set(value.try_into().unwrap_or(i64::MAX));
}
