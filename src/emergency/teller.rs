//! Tells somebody by the other way that pages do not get through, and that they do again.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Settings, Status};
use crate::clock::now;
use crate::engine::outage::{self, Next, Outage};
use crate::engine::outbox::back_off;
use crate::engine::outbox::call::Failure;
use crate::engine::{System, Timestamp};
use crate::metrics::{Metrics, Operation};
use crate::pagerduty::Events;
use crate::store::{Late, Store, StoreError};

/// How many late pages are named to whoever is told.
const NAMED: usize = 20;

pub(super) struct Teller {
    store: Store,
    events: Option<Events>,
    service: String,
    after: Duration,
    again_after: Duration,
    metrics: Metrics,
    status: watch::Receiver<Status>,
    /// How many times in a row it has failed, and when it may be tried again.
    attempt: u32,
    not_before: Instant,
}

impl Teller {
    pub(super) fn new(
        store: Store,
        events: Option<Events>,
        service: String,
        settings: &Settings,
        status: watch::Receiver<Status>,
    ) -> Self {
        let (after, again_after, metrics) = (settings.after, settings.tell_again_after, settings.metrics.clone());
        Self { store, events, service, after, again_after, metrics, status, attempt: 0, not_before: Instant::now() }
    }

    /// Works until the store fails.
    pub(super) async fn work(mut self) -> Result<(), StoreError> {
        let Some(events) = self.events.take() else { return self.complain().await };
        loop {
            let late_since = self.status.borrow_and_update().late_since();
            let outage = self.store.outage().await?;
            let now = now();
            match outage::next(outage, late_since, now, self.again_after) {
                Next::Nothing => self.changed().await,
                Next::NothingUntil(then) => self.changed_until(Instant::now() + then.since(now)).await,
                Next::Store(outage) => self.store.set_outage(Some(outage)).await?,
                Next::Tell(_) | Next::End(_) if Instant::now() < self.not_before => {
                    self.changed_until(self.not_before).await;
                }
                Next::Tell(outage) => {
                    let late = self.store.late_pages(now, self.after, None, NAMED).await?;
                    let started = Instant::now();
                    let told = events.trigger(&self.key(&outage), &summary(&late, self.after), &details(&late)).await;
                    self.count(Operation::TRIGGER_EVENT, started, &told);
                    self.follow(outage, now, told, "an emergency page was sent by the Events API").await?;
                }
                Next::End(outage) => {
                    let started = Instant::now();
                    let told = events.resolve(&self.key(&outage)).await;
                    self.count(Operation::RESOLVE_EVENT, started, &told);
                    self.follow(outage, now, told, "the emergency page was resolved").await?;
                }
            }
        }
    }

    /// There is no other way. What was told by it once may stand still.
    async fn complain(&mut self) -> Result<(), StoreError> {
        if self.store.outage().await?.is_some() {
            warn!(
                "an emergency page may stand in PagerDuty that nothing resolves: PAGERDUTY_FALLBACK_ROUTING_KEY is gone"
            );
        }
        loop {
            if self.status.borrow_and_update().late > 0 {
                error!("nobody is told that pages do not get through: PAGERDUTY_FALLBACK_ROUTING_KEY is not set");
                while self.status.borrow_and_update().late > 0 {
                    self.changed().await;
                }
            }
            self.changed().await;
        }
    }

    async fn follow(
        &mut self,
        outage: Outage,
        looked_at: Timestamp,
        told: Result<(), Failure>,
        done: &str,
    ) -> Result<(), StoreError> {
        let Err(failure) = told else {
            info!(dedup_key = self.key(&outage), "{done}");
            (self.attempt, self.not_before) = (0, Instant::now());
            return self.store.set_outage(outage.arrived(looked_at)).await;
        };
        let hold = match &failure {
            Failure::TryAgain { hold, .. } | Failure::Unclear { hold, .. } => hold.unwrap_or_default(),
            Failure::Unauthorized(_) | Failure::Refused { .. } => Duration::ZERO,
        };
        self.attempt += 1;
        let wait = back_off(outage.since.as_millis().cast_unsigned(), self.attempt).max(hold);
        self.not_before = Instant::now() + wait;
        let (reason, retry_in_ms) = (failure.into_reason(), wait.as_millis());
        error!(
            attempt = self.attempt,
            reason, retry_in_ms, "the emergency cannot be told by the Events API: it is tried again"
        );
        Ok(())
    }

    /// The Events API has an address of its own, so how it answers tells nothing of the vendor's health.
    fn count(&self, operation: Operation, started: Instant, told: &Result<(), Failure>) {
        self.metrics.called(System::PagerDuty, operation, started.elapsed(), told.as_ref().err());
    }

    /// What an outage goes by in PagerDuty.
    fn key(&self, outage: &Outage) -> String {
        format!("crosspage/{}/{}", self.service, outage.since.as_millis())
    }

    /// Waits until something else is known about late pages.
    async fn changed(&mut self) {
        if self.status.changed().await.is_err() {
            // Nobody looks any more, so everything ends.
            std::future::pending().await
        }
    }

    /// The same, and no longer than until `then`.
    async fn changed_until(&mut self, then: Instant) {
        // Whether it was in time does not matter: everything is asked for anew.
        let _ = tokio::time::timeout_at(then, self.changed()).await;
    }
}

fn summary(late: &Late, after: Duration) -> String {
    let first = late.pages.first().map(|page| page.title.clone().unwrap_or_else(|| page.alert.to_string()));
    let (count, seconds) = (late.count, after.as_secs());
    let alerts = if count == 1 { "1 Opsgenie alert has".to_owned() } else { format!("{count} Opsgenie alerts have") };
    let first = first.map(|first| format!(": {first}")).unwrap_or_default();
    format!("crosspage cannot page: {alerts} had no incident for {seconds} s{first}")
}

fn details(late: &Late) -> Value {
    let alerts = late.pages.iter().map(|page| json!({"id": page.alert.as_str(), "message": page.title}));
    json!({
        "what to do": "Look at the open alerts in Opsgenie. This is resolved once each has its incident, or is closed.",
        "alerts without an incident": late.count,
        "the first of them": alerts.collect::<Vec<_>>(),
    })
}
