//! The metrics themselves: what each is called, and what its buckets are.

use std::fmt;
use std::hash::Hash;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry, Unit};

use super::labels::{Called, Calling, Decided, Echo, Looked, Mirrored, Pruned, Vendor, Webhook};

/// How much there is of something that need not be whole.
pub(super) type Measure = Gauge<f64, AtomicU64>;

/// A gauge that is not shown as long as nothing is known.
#[derive(Clone, Debug, Default)]
pub(super) struct IfKnown(Arc<Mutex<Option<f64>>>);

impl IfKnown {
    pub(super) fn set(&self, value: Option<f64>) {
        *self.lock() = value;
    }

    fn lock(&self) -> MutexGuard<'_, Option<f64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EncodeMetric for IfKnown {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match *self.lock() {
            Some(value) => encoder.encode_gauge(&value),
            None => Ok(()),
        }
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }

    fn is_empty(&self) -> bool {
        self.lock().is_none()
    }
}

/// Histograms of one name, with buckets of their own.
pub(super) type Histograms<S> = Family<S, Histogram, Buckets>;

#[derive(Clone, Debug)]
pub(super) struct Buckets(&'static [f64]);

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

#[derive(Debug)]
pub(super) struct Families {
    pub(super) webhooks: Family<Webhook, Counter>,
    pub(super) decisions: Family<Decided, Counter>,
    pub(super) echoes: Family<Echo, Counter>,
    pub(super) fuses_blown: Counter,
    pub(super) paused_links: Gauge,
    pub(super) calls: Family<Called, Counter>,
    pub(super) call_duration: Histograms<Calling>,
    pub(super) mirror_lag: Histograms<Mirrored>,
    pub(super) late_pages: Gauge,
    pub(super) outbox_entries: Family<Vendor, Gauge>,
    pub(super) outbox_held_links: Family<Vendor, Gauge>,
    pub(super) outbox_age: Family<Vendor, Measure>,
    pub(super) dead_letters: Gauge,
    pub(super) quarantined: Gauge,
    pub(super) waiting: Gauge,
    pub(super) calls_left: Family<Vendor, Measure>,
    pub(super) vendor_paused: Family<Vendor, Gauge>,
    pub(super) vendor_hold: Family<Vendor, Measure>,
    pub(super) subscription_up: IfKnown,
    pub(super) drift_found: Family<Vendor, Counter>,
    pub(super) drift_healed: Family<Vendor, Counter>,
    pub(super) pass_duration: Histogram,
    pub(super) pass_failures: Family<Looked, Counter>,
    pub(super) last_pass: IfKnown,
    pub(super) round_duration: Histogram,
    pub(super) commit_duration: Histogram,
    pub(super) commit_requests: Histogram,
    pub(super) store_ready: Gauge,
    pub(super) store_size: Gauge,
    pub(super) store_free: Gauge,
    pub(super) pruned: Family<Pruned, Counter>,
}

/// Vendors answer within a fraction of a second or not for long; a call is given up after 20 seconds, but some take several.
const CALL: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0];

/// A second is usual, a minute is an emergency, and after three days a command is given up.
const LAG: [f64; 14] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 259_200.0];

/// A disk syncs within milliseconds; PagerDuty waits five seconds for the answer to a webhook.
const COMMIT: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// How many requests share a commit, up to the longest batch.
const BATCH: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 512.0];

/// Three calls if nothing is new; many pages after a long outage.
const PASS: [f64; 9] = [0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 180.0, 600.0, 1_800.0];

/// A link takes five seconds; a round over thousands takes hours.
const ROUND: [f64; 8] = [15.0, 60.0, 300.0, 900.0, 1_800.0, 3_600.0, 14_400.0, 43_200.0];

/// Registers one after the other.
struct Register<'a>(&'a mut Registry);

impl Register<'_> {
    fn plain<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register(name, help, metric.clone());
        metric
    }

    fn seconds<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Seconds, metric.clone());
        metric
    }

    fn bytes<M: Metric + Clone>(&mut self, name: &str, help: &str, metric: M) -> M {
        self.0.register_with_unit(name, help, Unit::Bytes, metric.clone());
        metric
    }
}

fn by<S: Clone + Eq + Hash>(buckets: &'static [f64]) -> Histograms<S> {
    Family::new_with_constructor(Buckets(buckets))
}

impl Families {
    /// Makes them and puts them into the registry.
    pub(super) fn registered(registry: &mut Registry) -> Self {
        registry.register("build", "Which crosspage this is", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let mut r = Register(registry);
        Self {
            webhooks: r.plain(
                "webhooks_received",
                "Webhooks that were answered, by vendor and by what they came to",
                Default::default(),
            ),
            decisions: r.plain("decisions", "Decisions on events, by their reason", Default::default()),
            echoes: r.plain(
                "echoes_suppressed",
                "Events that were known as our own change coming back, by the guard that knew them",
                Default::default(),
            ),
            fuses_blown: r.plain(
                "fuses_blown",
                "Links that were paused since commands went in both directions as in a loop",
                Default::default(),
            ),
            paused_links: r.plain(
                "paused_links",
                "Links that are paused, by a fuse or by an operator",
                Default::default(),
            ),
            calls: r.plain("vendor_calls", "Calls to a vendor, by operation and by how they ended", Default::default()),
            call_duration: r.seconds("vendor_call_duration", "How long calls to a vendor took", by(&CALL)),
            mirror_lag: r.seconds(
                "mirror_lag",
                "From the arrival of an event to what it caused on the other side",
                by(&LAG),
            ),
            late_pages: r.plain(
                "late_pages",
                "Alerts that should have an incident by now and have none",
                Default::default(),
            ),
            outbox_entries: r.plain("outbox_entries", "Commands that are still to be carried out", Default::default()),
            outbox_held_links: r.plain(
                "outbox_held_links",
                "Links whose commands are held, behind a page that was given up or by a pause",
                Default::default(),
            ),
            outbox_age: r.seconds(
                "outbox_oldest_entry_age",
                "How long the oldest command has waited that is not held",
                Default::default(),
            ),
            dead_letters: r.plain(
                "dead_letters",
                "Commands that were given up and that nobody has dealt with",
                Default::default(),
            ),
            quarantined: r.plain(
                "quarantine_entries",
                "Webhooks that are authentic and cannot be read",
                Default::default(),
            ),
            waiting: r.plain(
                "waiting_notes",
                "Notes that wait for an incident that is being created",
                Default::default(),
            ),
            calls_left: r.plain(
                "vendor_calls_left",
                "Calls that may be made at once by the rate limit that is set",
                Default::default(),
            ),
            vendor_paused: r.plain(
                "vendor_paused",
                "Whether no calls are made, since the vendor refuses us",
                Default::default(),
            ),
            vendor_hold: r.seconds(
                "vendor_hold",
                "For how long no calls are made, since the vendor asked for that",
                Default::default(),
            ),
            subscription_up: r.plain(
                "subscription_up",
                "Whether PagerDuty posts webhooks to us, as far as its subscriptions tell",
                Default::default(),
            ),
            drift_found: r.plain(
                "drift_found",
                "Commands that a look at this vendor has shown to be due, since no webhook told",
                Default::default(),
            ),
            drift_healed: r.plain(
                "drift_healed",
                "Commands of these that are done, or need not be any more",
                Default::default(),
            ),
            pass_duration: r.seconds(
                "reconcile_pass_duration",
                "How long it took the reconciler to look at both sides once",
                Histogram::new(PASS),
            ),
            pass_failures: r.plain(
                "reconcile_failures",
                "Looks of the reconciler that failed, by what was looked at",
                Default::default(),
            ),
            last_pass: r.seconds(
                "reconcile_last_complete_pass_timestamp",
                "When the reconciler had last looked at everything without a failure",
                Default::default(),
            ),
            round_duration: r.seconds(
                "reconcile_notes_round_duration",
                "How long it took the reconciler to read the notes of every open link",
                Histogram::new(ROUND),
            ),
            commit_duration: r.seconds(
                "store_commit_duration",
                "How long it took to make a batch durable",
                Histogram::new(COMMIT),
            ),
            commit_requests: r.plain(
                "store_commit_requests",
                "How many requests shared a batch",
                Histogram::new(BATCH),
            ),
            store_ready: r.plain("store_ready", "Whether events can be taken in", Default::default()),
            store_size: r.bytes("store_size", "How large the database is", Default::default()),
            store_free: r.bytes("store_free", "How much room its disk has left", Default::default()),
            pruned: r.plain("pruned_rows", "Rows that retention has removed, by kind", Default::default()),
        }
    }
}
