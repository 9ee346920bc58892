//! One world from its beginning to the judgement.

use std::sync::Arc;
use std::time::Duration;

use crosspage::engine::System;
use crosspage::store::Summary;
use tokio::time::{Instant, sleep_until};

use super::door::Doors;
use super::judge::{Judge, Kept, Promise, Violation, broken};
use super::network::post_webhooks;
use super::plan::{Deed, Plan, Trouble};
use super::planted::{self, Planted};
use super::process::{NOTES_EVERY, Process, RECONCILE_EVERY};
use super::scene::Scene;

/// No world takes longer to come to rest once nothing goes wrong any more.
const REST_AFTER_MS: i64 = 8 * 3_600_000;

/// What came of a world.
pub(super) struct Outcome {
    pub(super) kept: Kept,
    pub(super) trace: Vec<String>,
}

/// Lets a world happen.
pub(super) fn run(plan: &Plan, planted: Planted, traced: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    planted::begin_world();
    let (kept, trace) = runtime.block_on(async {
        let scene = Scene::new(plan.clone(), planted, traced);
        let kept = Director::new(&scene).direct().await;
        let trace = scene.notes().trace.take().unwrap_or_default();
        (kept, trace)
    });
    Outcome { kept, trace }
}

/// Has everything happen in its time.
struct Director {
    scene: Arc<Scene>,
    doors: Arc<Doors>,
    process: Option<Process>,
    /// When crosspage is started again.
    back_at: Option<Instant>,
    lives: u64,
}

/// What the plan says happens at some time.
enum Scheduled<'a> {
    Deed(&'a Deed),
    Trouble(&'a Trouble),
}

impl Director {
    fn new(scene: &Arc<Scene>) -> Self {
        Self { scene: Arc::clone(scene), doors: Arc::new(Doors::new()), process: None, back_at: None, lives: 0 }
    }

    async fn direct(mut self) -> Kept {
        for system in [System::Opsgenie, System::PagerDuty] {
            tokio::spawn(post_webhooks(Arc::clone(&self.scene), Arc::clone(&self.doors), system));
        }
        self.start();
        self.play().await;
        self.scene.calm_down();
        self.come_to_rest().await?;
        self.judge().await?;
        self.stay_quiet().await?;
        self.restart_at_rest().await?;
        self.judge().await
    }

    fn start(&mut self) {
        self.lives += 1;
        self.back_at = None;
        self.process = Some(Process::start(&self.scene, &self.doors, self.lives));
    }

    /// Lets the plan happen.
    async fn play(&mut self) {
        let plan = self.scene.plan.clone();
        let deeds = plan.deeds.iter().map(|deed| (deed.at_ms, Scheduled::Deed(deed)));
        let troubles = plan.troubles.iter().filter_map(|trouble| match trouble {
            Trouble::Restart { at_ms, .. } | Trouble::Clock { at_ms, .. } => {
                Some((*at_ms, Scheduled::Trouble(trouble)))
            }
            _ => None,
        });
        let mut agenda: Vec<_> = deeds.chain(troubles).collect();
        agenda.sort_by_key(|(at_ms, _)| *at_ms);
        for (at_ms, scheduled) in agenda {
            self.until(self.scene.moment(at_ms)).await;
            match scheduled {
                Scheduled::Deed(deed) => self.scene.perform(deed),
                Scheduled::Trouble(Trouble::Clock { by_ms, .. }) => self.scene.set_clock(*by_ms),
                Scheduled::Trouble(Trouble::Restart { down_ms, .. }) => {
                    if let Some(process) = self.process.take() {
                        process.stop(&self.scene, &self.doors).await;
                        self.back_at = Some(Instant::now() + millis(*down_ms));
                    }
                }
                Scheduled::Trouble(_) => {}
            }
        }
        // So that the last deeds meet their troubles too.
        self.pass(Duration::from_secs(20)).await;
    }

    /// Lets time pass, and buries and starts crosspage as need be.
    async fn until(&mut self, moment: Instant) {
        loop {
            let scene = Arc::clone(&self.scene);
            let back_at = self.back_at;
            tokio::select! {
                biased;
                () = scene.died.notified() => {
                    let down = self.scene.down_ms();
                    if let Some(process) = self.process.take() {
                        process.kill(&self.scene, &self.doors).await;
                        self.back_at = (!self.scene.is_endless()).then(|| Instant::now() + millis(down));
                    }
                }
                () = sleep_until(back_at.unwrap_or(moment)), if back_at.is_some_and(|at| at <= moment) => self.start(),
                () = sleep_until(moment) => return,
            }
        }
    }

    async fn pass(&mut self, span: Duration) {
        self.until(Instant::now() + span).await;
    }

    /// Waits until nothing happens any more and nothing can be found out by looking either.
    async fn come_to_rest(&mut self) -> Kept {
        let deadline_ms = self.scene.now_ms() + REST_AFTER_MS;
        let began_ms = self.scene.now_ms();
        loop {
            self.pass(Duration::from_secs(20)).await;
            if self.scene.is_endless() {
                return broken(Promise::WritesAreBounded, "there is no end to the calls");
            }
            // Looked at first: what comes in while it is must count.
            let idle = self.is_idle().await;
            let now_ms = self.scene.now_ms();
            let since_ms = now_ms - self.scene.notes().stirred_at_ms.max(began_ms);
            if idle && since_ms > i64::try_from(self.looks_take().as_millis()).unwrap_or(0) {
                self.scene.tell(|| "all is at rest".to_owned());
                return Ok(());
            }
            if now_ms > deadline_ms {
                let summary = self.summary().await;
                return broken(
                    Promise::ItComesToRest,
                    format!("after {} h there is still {summary:?}", REST_AFTER_MS / 3_600_000),
                );
            }
        }
    }

    /// How long the reconciler takes to look at everything twice.
    fn looks_take(&self) -> Duration {
        if !self.scene.plan.setup.reconciles {
            return Duration::from_secs(30);
        }
        let links = u32::try_from(self.scene.notes().alerts.len()).unwrap_or(0);
        RECONCILE_EVERY * 2 + NOTES_EVERY * (2 * links + 3)
    }

    async fn is_idle(&self) -> bool {
        let Some(summary) = self.summary().await else { return false };
        let idle = |queued: &crosspage::store::Queued| queued.lanes == queued.parked;
        idle(&summary.opsgenie) && idle(&summary.pagerduty) && summary.waiting == 0 && self.scene.vendors_rest()
    }

    async fn summary(&self) -> Option<Summary> {
        self.process.as_ref()?.store.summary().await.ok()
    }

    async fn judge(&self) -> Kept {
        let Some(process) = &self.process else {
            return broken(Promise::ItComesToRest, "crosspage is down");
        };
        // Taken out while it is looked at: looking makes commits, which are noted down.
        let mut notes = std::mem::take(&mut *self.scene.notes());
        let kept = Judge::look(&self.scene, &notes, &process.store).await.judge();
        std::mem::swap(&mut notes, &mut *self.scene.notes());
        kept
    }

    fn counts(&self) -> (u32, [u32; 2]) {
        let notes = self.scene.notes();
        (notes.writes_served, notes.looks)
    }

    /// Nothing is written any more, and looking costs the same in each of two spans.
    async fn stay_quiet(&mut self) -> Kept {
        const PROMISE: Promise = Promise::QuietStaysQuiet;
        let span = RECONCILE_EVERY * (self.scene.plan.setup.quiet_passes / 2);
        let mut costs = Vec::new();
        let (writes, mut reads) = self.counts();
        for _ in 0..2 {
            self.pass(span).await;
            let (writes_now, reads_now) = self.counts();
            if writes_now != writes {
                return broken(PROMISE, format!("{} writes although nothing happens", writes_now - writes));
            }
            costs.push([reads_now[0] - reads[0], reads_now[1] - reads[1]]);
            reads = reads_now;
        }
        let near = |one: u32, other: u32| one.abs_diff(other) <= 3;
        if !near(costs[0][0], costs[1][0]) || !near(costs[0][1], costs[1][1]) {
            return broken(PROMISE, format!("looking costs {:?} calls at first and {:?} later", costs[0], costs[1]));
        }
        Ok(())
    }

    /// crosspage is killed and started again: nothing is written for it.
    async fn restart_at_rest(&mut self) -> Kept {
        let (writes, _) = self.counts();
        if let Some(process) = self.process.take() {
            process.kill(&self.scene, &self.doors).await;
        }
        self.start();
        self.pass(RECONCILE_EVERY + NOTES_EVERY).await;
        let (writes_now, _) = self.counts();
        if writes_now == writes {
            return Ok(());
        }
        broken(Promise::RestartsChangeNothing, format!("{} writes after a restart", writes_now - writes))
    }
}

fn millis(span_ms: i64) -> Duration {
    Duration::from_millis(span_ms.unsigned_abs())
}

impl Outcome {
    pub(super) fn violation(&self) -> Option<&Violation> {
        self.kept.as_ref().err()
    }
}
