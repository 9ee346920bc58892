//! Webhooks waiting to be posted: in order for each key, retried, repeated, held, lost or turned around.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::exchange::{Answer, WebhookDelivery, WebhookRecord};
use crate::fault::WebhookFaults;

/// How a vendor tries again. PagerDuty's webhook behaviour page: for up to 48 hours, at intervals it does not publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Whether a failed attempt is repeated at all.
    pub enabled: bool,
    /// Milliseconds before the second attempt; doubles each time.
    pub base_ms: u64,
    /// The longest pause in milliseconds.
    pub max_ms: u64,
    /// Milliseconds after which the vendor gives up.
    pub horizon_ms: u64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { enabled: true, base_ms: 200, max_ms: 600_000, horizon_ms: 48 * 3_600_000 }
    }
}

/// What became of a webhook after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A 2xx.
    Delivered,
    /// It will be tried again.
    Retried,
    /// The vendor gave it up.
    Dropped,
}

/// A webhook about to be queued.
#[derive(Debug, Clone)]
pub(crate) struct NewWebhook {
    /// What it is delivered in order with.
    pub(crate) key: String,
    /// Its own address, if not the common one.
    pub(crate) url: Option<String>,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Raw bytes.
    pub(crate) body: Vec<u8>,
    /// Milliseconds the vendor waits for an answer.
    pub(crate) timeout_ms: u64,
}

/// The queue of one vendor.
#[derive(Debug)]
pub(crate) struct Outbox {
    queues: BTreeMap<String, VecDeque<Entry>>,
    /// Heads of queues that are not in flight, by the time they are due.
    ready: BTreeSet<(i64, u64, String)>,
    in_flight: BTreeMap<u64, String>,
    sent: Vec<WebhookRecord>,
    sent_index: BTreeMap<u64, usize>,
    last_id: u64,
    parked: bool,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    webhook: NewWebhook,
    attempt: u32,
    made_ms: i64,
    due_ms: i64,
    released: bool,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            queues: BTreeMap::new(),
            ready: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            sent: Vec::new(),
            sent_index: BTreeMap::new(),
            last_id: 0,
            parked: false,
        }
    }

    /// While parked, webhooks without an address of their own stay queued.
    pub(crate) fn park(&mut self, parked: bool) {
        self.parked = parked;
    }

    pub(crate) fn push(&mut self, webhook: NewWebhook, now_ms: i64, faults: &mut WebhookFaults) {
        if faults.lose_all {
            return;
        }
        if faults.lose_next > 0 {
            faults.lose_next -= 1;
            return;
        }
        for _ in 0..=faults.repeat_each {
            self.last_id += 1;
            let queue = self.queues.entry(webhook.key.clone()).or_default();
            if queue.is_empty() {
                self.ready.insert((now_ms, self.last_id, webhook.key.clone()));
            }
            queue.push_back(Entry {
                id: self.last_id,
                webhook: webhook.clone(),
                attempt: 0,
                made_ms: now_ms,
                due_ms: now_ms,
                released: !faults.hold,
            });
        }
    }

    /// Hands out every webhook that is due, at most one a key; each must be answered before the next of its key goes.
    pub(crate) fn take(&mut self, now_ms: i64, hold: bool) -> Vec<WebhookDelivery> {
        let due: Vec<_> = self.ready.range(..(now_ms.saturating_add(1), 0, String::new())).cloned().collect();
        let mut taken = Vec::new();
        for slot in due {
            let Some(entry) = self.queues.get_mut(&slot.2).and_then(VecDeque::front_mut) else {
                continue;
            };
            if !entry.may_go(hold, self.parked) {
                continue;
            }
            entry.attempt += 1;
            let delivery = WebhookDelivery {
                id: entry.id,
                method: "POST",
                url: entry.webhook.url.clone(),
                headers: entry.webhook.headers.clone(),
                body: entry.webhook.body.clone(),
                attempt: entry.attempt,
                key: slot.2.clone(),
                timeout_ms: entry.webhook.timeout_ms,
            };
            self.in_flight.insert(entry.id, slot.2.clone());
            self.sent_index.insert(entry.id, self.sent.len());
            self.sent.push(WebhookRecord { delivery: delivery.clone(), at_ms: now_ms, answer: None });
            self.ready.remove(&slot);
            taken.push(delivery);
        }
        taken
    }

    /// The key of a webhook that is in flight.
    pub(crate) fn key_in_flight(&self, id: u64) -> Option<&str> {
        self.in_flight.get(&id).map(String::as_str)
    }

    /// Settles an attempt. `None` if the webhook is not in flight, or was dropped with its queue meanwhile.
    pub(crate) fn answered(&mut self, id: u64, now_ms: i64, answer: Answer, retries: Retries) -> Option<Outcome> {
        if let Some(record) = self.sent_index.remove(&id).and_then(|at| self.sent.get_mut(at)) {
            record.answer = Some(answer);
        }
        let key = self.in_flight.remove(&id)?;
        let queue = self.queues.get_mut(&key)?;
        let entry = queue.front_mut().filter(|entry| entry.id == id)?;
        let outcome = if answer.is_success() {
            Outcome::Delivered
        } else {
            let pause = retries.base_ms.saturating_mul(1 << (entry.attempt - 1).min(30)).min(retries.max_ms);
            entry.due_ms = now_ms.saturating_add_unsigned(pause);
            let in_time = entry.due_ms <= entry.made_ms.saturating_add_unsigned(retries.horizon_ms);
            if retries.enabled && answer.is_retried() && in_time { Outcome::Retried } else { Outcome::Dropped }
        };
        if outcome != Outcome::Retried {
            queue.pop_front();
        }
        match queue.front() {
            Some(head) => {
                self.ready.insert((head.due_ms, head.id, key));
            }
            None => {
                self.queues.remove(&key);
            }
        }
        Some(outcome)
    }

    /// Lets go of what is held, turned around if asked. Webhooks in flight keep their place.
    pub(crate) fn release(&mut self, reverse: bool) {
        self.ready.clear();
        for (key, queue) in &mut self.queues {
            let first = usize::from(queue.front().is_some_and(|entry| self.in_flight.contains_key(&entry.id)));
            queue.make_contiguous();
            if reverse {
                queue.as_mut_slices().0[first..].reverse();
            }
            queue.iter_mut().for_each(|entry| entry.released = true);
            if let (0, Some(head)) = (first, queue.front()) {
                self.ready.insert((head.due_ms, head.id, key.clone()));
            }
        }
    }

    /// Drops what is queued under keys that begin with `prefix`, in flight or not.
    pub(crate) fn drop_queues(&mut self, prefix: &str) {
        self.queues.retain(|key, _| !key.starts_with(prefix));
        self.ready.retain(|(_, _, key)| !key.starts_with(prefix));
    }

    /// When the next webhook becomes due, if one can go at all.
    pub(crate) fn next_due(&self, hold: bool) -> Option<i64> {
        self.ready.iter().find(|(_, _, key)| self.head_may_go(key, hold)).map(|(due_ms, _, _)| *due_ms)
    }

    /// Nothing in flight, and nothing queued but what is held or parked.
    pub(crate) fn is_quiet(&self, hold: bool) -> bool {
        self.in_flight.is_empty() && self.next_due(hold).is_none()
    }

    /// How many webhooks are queued or in flight, held ones included.
    pub(crate) fn waiting(&self) -> usize {
        self.queues.values().map(VecDeque::len).sum()
    }

    pub(crate) fn sent(&self) -> &[WebhookRecord] {
        &self.sent
    }

    pub(crate) fn forget_sent(&mut self) {
        self.sent.clear();
        self.sent_index.clear();
    }

    fn head_may_go(&self, key: &str, hold: bool) -> bool {
        self.queues.get(key).and_then(VecDeque::front).is_some_and(|entry| entry.may_go(hold, self.parked))
    }
}

impl Entry {
    fn may_go(&self, hold: bool, parked: bool) -> bool {
        (self.released || !hold) && (!parked || self.webhook.url.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(key: &str, body: &str) -> NewWebhook {
        NewWebhook {
            key: key.to_owned(),
            url: None,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            timeout_ms: 5_000,
        }
    }

    fn outbox(bodies: &[(&str, &str)], faults: &mut WebhookFaults) -> Outbox {
        let mut outbox = Outbox::new();
        for (key, body) in bodies {
            outbox.push(webhook(key, body), 0, faults);
        }
        outbox
    }

    fn bodies(deliveries: &[WebhookDelivery]) -> Vec<String> {
        deliveries.iter().map(|delivery| String::from_utf8_lossy(&delivery.body).into_owned()).collect()
    }

    #[test]
    fn a_retried_webhook_holds_up_its_own_key_only() {
        let mut outbox = outbox(&[("a", "a1"), ("a", "a2"), ("b", "b1")], &mut WebhookFaults::default());
        let first = outbox.take(0, false);
        assert_eq!(bodies(&first), ["a1", "b1"]);
        let retries = Retries::default();
        assert_eq!(outbox.answered(first[0].id, 10, Answer::Status(503), retries), Some(Outcome::Retried));
        assert_eq!(outbox.answered(first[1].id, 10, Answer::Status(202), retries), Some(Outcome::Delivered));
        assert!(outbox.take(209, false).is_empty());
        assert_eq!(outbox.next_due(false), Some(210));
        let again = outbox.take(210, false);
        assert_eq!((bodies(&again), again[0].attempt), (vec!["a1".to_owned()], 2));
        outbox.answered(again[0].id, 220, Answer::Status(200), retries);
        assert_eq!(bodies(&outbox.take(220, false)), ["a2"]);
    }

    #[test]
    fn other_client_errors_and_the_horizon_drop() {
        let mut outbox = outbox(&[("a", "a1"), ("b", "b1")], &mut WebhookFaults::default());
        let taken = outbox.take(0, false);
        let retries = Retries { horizon_ms: 1_000, ..Retries::default() };
        assert_eq!(outbox.answered(taken[0].id, 1, Answer::Status(403), retries), Some(Outcome::Dropped));
        assert_eq!(outbox.answered(taken[1].id, 5_000, Answer::NoAnswer, retries), Some(Outcome::Dropped));
        assert!(outbox.is_quiet(false));
    }

    #[test]
    fn held_webhooks_go_out_turned_around() {
        let mut faults = WebhookFaults { hold: true, ..WebhookFaults::default() };
        let mut outbox = outbox(&[("a", "1"), ("a", "2")], &mut faults);
        assert!(outbox.take(0, true).is_empty() && outbox.is_quiet(true));
        outbox.release(true);
        let first = outbox.take(0, true);
        assert_eq!(bodies(&first), ["2"]);
        outbox.answered(first[0].id, 0, Answer::Status(200), Retries::default());
        assert_eq!(bodies(&outbox.take(0, true)), ["1"]);
    }

    #[test]
    fn repeats_and_losses_happen_when_made() {
        let mut faults = WebhookFaults { lose_next: 1, repeat_each: 1, ..WebhookFaults::default() };
        let outbox = outbox(&[("a", "lost"), ("a", "twice")], &mut faults);
        assert_eq!((outbox.waiting(), faults.lose_next), (2, 0));
    }
}
