//! A pass that somebody has ordered: it is made at once, and what it found is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Reconciler;
use crate::engine::{AlertId, Reason, Seen};
use crate::metrics::Part;

/// How many differences a pass tells of; of the others only how many there are.
const MOST_TOLD: usize = 1000;

/// How long an ordered pass reads notes of what has moved: whoever waits for it is to learn of all that there is, and states are to be
/// compared again some time.
const READS_NOTES_FOR: Duration = Duration::from_secs(60);

/// Orders passes. Clones order them from the same reconciler.
#[derive(Clone, Debug)]
pub struct Trigger(mpsc::Sender<Order>);

/// Where a reconciler gets its orders.
#[derive(Debug)]
pub struct Orders(mpsc::Receiver<Order>);

#[derive(Debug)]
pub(super) struct Order {
    dry: bool,
    answer: oneshot::Sender<Found>,
}

/// What a pass has found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// How many alerts were listed: those that have changed since the last pass.
    pub alerts: usize,
    /// How many incidents were listed: those that are open.
    pub incidents: usize,
    /// What differed from what was known, in the order it was found; no more than a thousand.
    pub differences: Vec<Difference>,
    /// How many differences there were.
    pub differing: usize,
    /// How many looks prove nothing yet, since that side has just changed: they are taken again.
    pub not_yet: usize,
    /// What could not be looked at, and why.
    pub failures: BTreeMap<Part, String>,
}

/// Something that no webhook had told of.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Whose link it concerns, or the alert that has none.
    pub alert: AlertId,
    /// What was seen.
    pub seen: Seen,
    /// What was decided about it, or would be.
    pub reason: Reason,
}

/// A way to order passes, and where they are ordered.
pub fn trigger() -> (Trigger, Orders) {
    let (trigger, orders) = mpsc::channel(1);
    (Trigger(trigger), Orders(orders))
}

impl Trigger {
    /// Has a pass made as soon as the one under way is over, and tells what it found. A `dry` one changes nothing: neither are
    /// differences made up for, nor does the next pass take them for seen. Returns nothing if the reconciler has ended.
    pub async fn pass(&self, dry: bool) -> Option<Found> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Order { dry, answer }).await.ok()?;
        answered.await.ok()
    }
}

impl Orders {
    /// Waits for an order; for ever, if nobody can give any (any more).
    pub(super) async fn next(orders: &mut Option<Self>) -> Order {
        if let Some(Self(receiver)) = orders
            && let Some(order) = receiver.recv().await
        {
            return order;
        }
        std::future::pending().await
    }
}

impl Reconciler {
    /// Makes the pass that was ordered.
    pub(super) async fn follow(&mut self, order: Order) {
        let before = order.dry.then(|| (self.alerts.clone(), self.incidents.clone(), std::mem::take(&mut self.moved)));
        self.dry = order.dry;
        self.pass(READS_NOTES_FOR).await;
        self.dry = false;
        let (mut found, unread) = (std::mem::take(&mut self.found), self.moved.len());
        if let Some(before) = before {
            (self.alerts, self.incidents, self.moved) = before;
        }
        if unread > 0 {
            let why = format!("time was up before the notes of {unread} alerts and incidents were read");
            found.failures.entry(Part::Notes).or_insert(why);
        }
        // Whoever has ordered it may be gone.
        let _ = order.answer.send(found);
    }

    /// Puts down what a look came to.
    pub(super) fn found(&mut self, alert: &AlertId, seen: Seen, reason: Reason) {
        match reason {
            Reason::NotYet(_) => self.found.not_yet += 1,
            Reason::Drift | Reason::Mirrored | Reason::Vanished | Reason::Joining => {
                self.found.differing += 1;
                if self.found.differences.len() < MOST_TOLD {
                    self.found.differences.push(Difference { alert: alert.clone(), seen, reason });
                }
            }
            _ => {}
        }
    }
}
