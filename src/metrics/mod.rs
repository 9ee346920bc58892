//! What is counted and measured, in Prometheus' terms. A leaf that everybody is handed: what happens is counted where it
//! happens, and what is there anyway is read when somebody asks.

mod families;
mod labels;
mod reading;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;

use crate::engine::outbox::call::Failure;
use crate::engine::{Action, Guard, Reason, System};
use families::Families;
use labels::{Called, Calling, Decided, Direction, Echo, Looked, Mirrored, Pruned, SYSTEMS, Vendor, Webhook};

pub use labels::{CallOutcome, Operation, Part, Removed, WebhookVerdict};
pub use reading::{Reading, StoreReading, VendorReading};

/// What [`Metrics::encode`] writes, in HTTP's words.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of one crosspage. Clones are the same ones.
#[derive(Clone)]
pub struct Metrics(Arc<All>);

struct All {
    registry: Registry,
    families: Families,
}

impl Default for Metrics {
    /// All of them at zero.
    fn default() -> Self {
        let mut registry = Registry::with_prefix("crosspage");
        let families = Families::registered(&mut registry);
        let metrics = Self(Arc::new(All { registry, families }));
        metrics.show_zeros();
        metrics
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// A webhook was answered.
    pub fn webhook(&self, vendor: System, verdict: WebhookVerdict) {
        self.families().webhooks.get_or_create(&Webhook { vendor, verdict }).inc();
    }

    /// How many authentic webhooks of a vendor were answered so far.
    pub fn heard(&self, vendor: System) -> u64 {
        let count = |verdict| self.families().webhooks.get_or_create(&Webhook { vendor, verdict }).get();
        WebhookVerdict::ALL.into_iter().filter(|verdict| verdict.is_authentic()).map(count).sum()
    }

    /// An event was decided on for a link, or for none.
    pub fn decided(&self, reason: Reason) {
        self.families().decisions.get_or_create(&Decided { reason: reason.name() }).inc();
        if let Reason::Echo(guard) = reason {
            self.families().echoes.get_or_create(&Echo { guard }).inc();
        }
    }

    /// A fuse has paused a link.
    pub fn fuse_blown(&self) {
        self.families().fuses_blown.inc();
    }

    /// A vendor was called, and that took so long. Tells how it ended.
    pub fn called(
        &self,
        vendor: System,
        operation: Operation,
        took: Duration,
        failure: Option<&Failure>,
    ) -> CallOutcome {
        let outcome = CallOutcome::from(failure);
        self.families().calls.get_or_create(&Called { vendor, operation, outcome }).inc();
        let seconds = took.as_secs_f64();
        self.families().call_duration.get_or_create(&Calling { vendor, operation }).observe(seconds);
        outcome
    }

    /// A command has come to show on the side it was bound for, so long after the event that caused it had reached us.
    pub fn mirrored(&self, to: System, action: &Action, lag: Duration) {
        let labels = Mirrored { direction: Direction(to), action: action.name() };
        self.families().mirror_lag.get_or_create(&labels).observe(lag.as_secs_f64());
    }

    /// A look at this vendor has shown what no webhook told, and that it must be passed on.
    pub fn drift_found(&self, at: System) {
        self.families().drift_found.get_or_create(&Vendor { vendor: at }).inc();
    }

    /// What was found so is passed on, or need not be any more.
    pub fn drift_healed(&self, at: System) {
        self.families().drift_healed.get_or_create(&Vendor { vendor: at }).inc();
    }

    /// The reconciler has looked at everything once.
    pub fn reconciled(&self, took: Duration) {
        self.families().pass_duration.observe(took.as_secs_f64());
    }

    /// The reconciler could not look at something.
    pub fn not_reconciled(&self, part: Part) {
        self.families().pass_failures.get_or_create(&Looked { part }).inc();
    }

    /// The reconciler has read the notes of every open link.
    pub fn notes_round(&self, took: Duration) {
        self.families().round_duration.observe(took.as_secs_f64());
    }

    /// So many pages are late.
    pub fn late_pages(&self, count: usize) {
        reading::set(&self.families().late_pages, count);
    }

    /// The store has made a batch of so many requests durable, which took so long.
    pub fn committed(&self, requests: usize, took: Duration) {
        self.families().commit_duration.observe(took.as_secs_f64());
        self.families().commit_requests.observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
    }

    /// Retention has removed so much.
    pub fn pruned(&self, kind: Removed, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.families().pruned.get_or_create(&Pruned { kind }).inc_by(count);
    }

    /// All of it, as OpenMetrics text; see [`CONTENT_TYPE`].
    pub fn encode(&self, reading: &Reading) -> String {
        self.families().read(reading);
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }

    fn families(&self) -> &Families {
        &self.0.families
    }

    /// What never happened is shown as zero: else the first time would be no increase.
    fn show_zeros(&self) {
        let families = self.families();
        for vendor in SYSTEMS {
            for verdict in WebhookVerdict::ALL {
                drop(families.webhooks.get_or_create(&Webhook { vendor, verdict }));
            }
            drop(families.drift_found.get_or_create(&Vendor { vendor }));
            drop(families.drift_healed.get_or_create(&Vendor { vendor }));
        }
        for guard in Guard::ALL {
            drop(families.echoes.get_or_create(&Echo { guard }));
        }
        for part in Part::ALL {
            drop(families.pass_failures.get_or_create(&Looked { part }));
        }
        for kind in Removed::ALL {
            drop(families.pruned.get_or_create(&Pruned { kind }));
        }
    }
}
