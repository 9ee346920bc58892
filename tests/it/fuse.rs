//! Two crosspages mirror the same two accounts, and each takes what the other one writes for a person's words. No guard can
//! know that; the fuse stops it.

use crosspage::app::Application;
use crosspage::clock::now;
use simulators::pagerduty::User;
use simulators::wire::Vendor;

use crate::harness::{JANE, Plan, World};
use crate::metrics::Shown;

/// Two instances that know nothing of each other, and the link that both have.
struct Two {
    world: World,
    other: Application,
    _folder: tempfile::TempDir,
    alert: String,
    incident: String,
}

impl Two {
    async fn new() -> Self {
        let mut plan = Plan::new().var("OPSGENIE_USER", "crosspage-a");
        plan.pagerduty.users.push(User::new("PAUTO02", "Other Bot", "other-bot@acme.test"));
        let world = plan.start().await;
        let (other, folder) = world
            .start_another(&[
                ("OPSGENIE_USER", "crosspage-b"),
                ("PAGERDUTY_USER", "Other Bot"),
                ("PAGERDUTY_EMAIL", "other-bot@acme.test"),
            ])
            .await;
        let alert = world.alert("Disk full");
        let stands = async |app: &Application| {
            let link = app.store().link(&alert.as_str().try_into().unwrap()).await.unwrap();
            link.is_some_and(|link| link.incident().is_some())
        };
        world.until("both are linked", async || stands(world.app()).await && stands(&other).await).await;
        let incident = world.incident_of(&alert).id;
        Self { world, other, _folder: folder, alert, incident }
    }

    fn notes(&self) -> usize {
        self.world.alert_notes(&self.alert).len() + self.world.incident_notes(&self.incident).len()
    }

    async fn is_paused(&self, app: &Application) -> bool {
        let link = app.store().link(&self.alert.as_str().try_into().unwrap()).await.unwrap().unwrap();
        link.paused.is_some_and(|paused| paused.reason.starts_with("the fuse has blown"))
    }

    /// Waits until a fuse has blown and nothing moves any more.
    async fn comes_to_rest(&self) {
        let blown = async || self.is_paused(self.world.app()).await || self.is_paused(&self.other).await;
        self.world.until("a fuse blows", blown).await;
        let rests = |app: &Application| {
            let store = app.store().clone();
            async move {
                let summary = store.summary().await.unwrap();
                [summary.opsgenie, summary.pagerduty].iter().all(|queued| queued.lanes == queued.parked)
            }
        };
        let quiet = async || {
            let vendors = || self.world.opsgenie.is_quiet() && self.world.pagerduty.is_quiet();
            vendors() && rests(self.world.app()).await && rests(&self.other).await && vendors()
        };
        self.world.until("nothing moves any more", quiet).await;
    }

    async fn resume(&self) {
        let alert = self.alert.as_str().try_into().unwrap();
        for app in [self.world.app(), &self.other] {
            app.store().resume(&alert, now()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_copies_one_way_only_is_stopped_by_the_fuse() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let is_paused = async || {
        let link = world.app().store().link(&alert.as_str().try_into().unwrap()).await.unwrap().unwrap();
        link.paused.is_some_and(|paused| paused.reason.starts_with("the fuse has blown"))
    };
    world.opsgenie.model().human_adds_note(&alert, JANE, "We see errors");
    let mut copied = 0;
    while !is_paused().await {
        assert!(copied < 100, "{copied} copies");
        world.settle().await;
        for note in world.incident_notes(&incident).split_off(copied) {
            copied += 1;
            world.opsgenie.model().human_adds_note(&alert, "copier@example.com", &format!("From PagerDuty: {note}"));
        }
    }
    world.settle().await;
    // One more than may be in a minute of the clock, into the next of which it may cross.
    let notes = world.incident_notes(&incident).len();
    assert!((16..32).contains(&notes), "{notes} notes");
    world.end().await;
}

/// Each instance may write sixteen notes in either direction in a minute of the clock, the loop may cross into the next minute, and
/// one of its two rounds may be quicker than the other. Without a fuse there is no end.
const MOST_NOTES: usize = 500;

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_on_the_same_accounts_loop_until_the_fuse_blows_and_again_once_it_is_resumed() {
    let two = Two::new().await;
    // Jane's note goes round twice: the other instance is told of it first, and this one hears the other's note as a
    // person's; then this one writes its own, which the other one hears as a person's.
    two.world.opsgenie.model().park_webhooks(true);
    two.world.opsgenie.model().human_adds_note(&two.alert, JANE, "We see errors");
    two.world
        .until("the other has written it down", async || !two.world.incident_notes(&two.incident).is_empty())
        .await;
    two.world.opsgenie.model().park_webhooks(false);
    two.comes_to_rest().await;
    let notes = two.notes();
    assert!((32..MOST_NOTES).contains(&notes), "{notes} notes");
    assert_eq!(two.world.incidents_of(&two.alert).len(), 1);
    for app in [two.world.app(), &two.other] {
        let (shown, paused) = (Shown::by(app).await, f64::from(two.is_paused(app).await));
        assert_eq!((shown.get("fuses_blown_total", &[]), shown.get("paused_links", &[])), (paused, paused));
    }

    two.resume().await;
    two.world.until("it goes on", async || two.notes() > notes).await;
    two.comes_to_rest().await;
    let more = two.notes() - notes;
    assert!(more < MOST_NOTES, "{more} notes");
    two.other.stop().await;
    two.world.end().await;
}
