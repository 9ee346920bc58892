//! The state of a simulated Opsgenie account, and what each action does to an alert.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use super::alert::Alert;
use super::command::{Command, Target};
use super::options::{Behaviour, Options};
use crate::exchange::{Answer, CallRecord, Reply, Request, WebhookDelivery, WebhookRecord};
use crate::fault::Faults;
use crate::ids::Ids;
use crate::outbox::Outbox;
use crate::shelf::Shelf;
use crate::wire::Vendor;

/// An accepted request and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// `Create`, `Acknowledge`, …
    pub action: String,
    /// Unix milliseconds.
    pub processed_at_ms: i64,
    /// Whether it had its effect.
    pub is_success: bool,
    /// In words.
    pub status: String,
    /// Empty if no alert was found.
    pub alert_id: String,
    /// Empty if no alert was found.
    pub alias: String,
}

/// The account.
#[derive(Debug)]
pub struct Opsgenie {
    /// What goes wrong.
    pub faults: Faults,
    /// The switches.
    pub behaviour: Behaviour,
    pub(super) options: Options,
    pub(super) now_ms: i64,
    pub(super) shelf: Shelf<Alert>,
    pub(super) open_aliases: HashMap<String, String>,
    pub(super) pending: VecDeque<Pending>,
    pub(super) requests: HashMap<String, RequestRecord>,
    pub(super) outbox: Outbox,
    /// Where further webhook integrations post to: all that the first one posts.
    pub(super) further_urls: Vec<String>,
    pub(super) muted: bool,
    pub(super) ids: Ids,
    pub(super) last_tiny: u64,
    pub(super) calls: Vec<CallRecord>,
}

/// A request between its 202 and its processing.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) due_ms: i64,
    pub(super) request_id: String,
    pub(super) target: Target,
    pub(super) command: Command,
    pub(super) fails_with: Option<String>,
}

impl Opsgenie {
    /// An account without alerts. Its time is 0 until it is told another.
    pub fn new(options: Options) -> Self {
        Self {
            faults: Faults::default(),
            behaviour: options.behaviour.clone(),
            now_ms: 0,
            shelf: Shelf::new(),
            open_aliases: HashMap::new(),
            pending: VecDeque::new(),
            requests: HashMap::new(),
            outbox: Outbox::new(),
            further_urls: Vec::new(),
            muted: false,
            ids: Ids::new(options.seed),
            last_tiny: 1_000,
            calls: Vec::new(),
            options,
        }
    }

    /// Moves time forward: what people do from here on happens at `now_ms`, Unix milliseconds. Never goes back.
    pub fn set_now(&mut self, now_ms: i64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// Processes accepted requests that are due.
    pub fn tick(&mut self, now_ms: i64) {
        self.set_now(now_ms);
        while self.next_request().is_some_and(|due_ms| due_ms <= self.now_ms) {
            if let Some(pending) = self.pending.pop_front() {
                self.process(pending);
            }
        }
    }

    /// When [`Self::tick`] or [`Self::take_webhooks`] next has something to do, Unix milliseconds.
    pub fn next_wake(&self) -> Option<i64> {
        let webhook = self.outbox.next_due(self.faults.webhooks.hold);
        webhook.into_iter().chain(self.next_request()).min()
    }

    /// When the next request is processed, unless all are held.
    fn next_request(&self) -> Option<i64> {
        let first = self.pending.front().filter(|_| !self.behaviour.hold_processing);
        first.map(|pending| pending.due_ms)
    }

    /// Webhooks to post now, in order for each alert. Each must be answered by [`Self::webhook_answered`].
    pub fn take_webhooks(&mut self, now_ms: i64) -> Vec<WebhookDelivery> {
        self.set_now(now_ms);
        self.outbox.take(self.now_ms, self.faults.webhooks.hold)
    }

    /// Says how the receiver answered.
    pub fn webhook_answered(&mut self, delivery_id: u64, now_ms: i64, answer: Answer) {
        self.set_now(now_ms);
        self.outbox.answered(delivery_id, self.now_ms, answer, self.behaviour.webhook_retries);
    }

    /// Lets go of held webhooks, turned around if the faults say so.
    pub fn release_webhooks(&mut self) {
        self.outbox.release(self.faults.webhooks.reverse_on_release);
    }

    /// Lets go of held requests, and holds none any more.
    pub fn release_processing(&mut self) {
        self.behaviour.hold_processing = false;
        self.tick(self.now_ms);
    }

    /// No request unprocessed, no webhook in flight or waiting; held webhooks do not count.
    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.outbox.is_quiet(self.faults.webhooks.hold)
    }

    /// Has a further webhook integration post to `url` from here on. It has the id and token of the first one.
    pub fn also_webhook_to(&mut self, url: &str) {
        self.further_urls.push(url.to_owned());
    }

    /// Does something that no webhook tells about: each is lost before it is made.
    pub fn silently<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.muted, true);
        let result = act(self);
        self.muted = before;
        result
    }

    /// An alert that was not deleted.
    pub fn alert(&self, id: &str) -> Option<&Alert> {
        self.shelf.get(id)
    }

    /// All alerts, oldest first.
    pub fn alerts(&self) -> Vec<&Alert> {
        self.shelf.values().collect()
    }

    /// Their ids, oldest first.
    pub fn alert_ids(&self) -> Vec<String> {
        self.shelf.ids().cloned().collect()
    }

    /// How an accepted request ended; `None` while it waits.
    pub fn request(&self, request_id: &str) -> Option<&RequestRecord> {
        self.requests.get(request_id)
    }

    /// Every REST call received, oldest first, those met by a fault included.
    pub fn calls(&self) -> &[CallRecord] {
        &self.calls
    }

    /// The calls that meant to change something.
    pub fn writes(&self) -> Vec<&CallRecord> {
        self.calls.iter().filter(|call| call.is_write()).collect()
    }

    /// Every attempt to post a webhook, oldest first.
    pub fn webhooks_sent(&self) -> &[WebhookRecord] {
        self.outbox.sent()
    }

    /// How many webhooks are queued or in flight, held ones included.
    pub fn webhooks_waiting(&self) -> usize {
        self.outbox.waiting()
    }

    /// Empties [`Self::calls`] and [`Self::webhooks_sent`], which otherwise grow for ever.
    pub fn forget_records(&mut self) {
        self.calls.clear();
        self.outbox.forget_sent();
    }

    pub(super) fn lag_ms(&self) -> i64 {
        i64::try_from(self.behaviour.read_lag_ms).unwrap_or(i64::MAX)
    }

    /// How far lists lag behind, and so how long it must be remembered what was.
    pub(super) fn list_lag_ms(&self) -> i64 {
        i64::try_from(self.behaviour.list_lag_ms).unwrap_or(i64::MAX).max(self.lag_ms())
    }
}

impl Vendor for Opsgenie {
    type Options = Options;

    fn new(options: Options) -> Self {
        Self::new(options)
    }

    fn listen_address(options: &Options) -> Option<SocketAddr> {
        options.listen
    }

    fn set_now(&mut self, now_ms: i64) {
        Self::set_now(self, now_ms);
    }

    fn handle(&mut self, now_ms: i64, request: Request) -> Reply {
        Self::handle(self, now_ms, request)
    }

    fn tick(&mut self, now_ms: i64) {
        Self::tick(self, now_ms);
    }

    fn next_wake(&self) -> Option<i64> {
        Self::next_wake(self)
    }

    fn take_webhooks(&mut self, now_ms: i64) -> Vec<WebhookDelivery> {
        Self::take_webhooks(self, now_ms)
    }

    fn webhook_answered(&mut self, delivery: u64, now_ms: i64, answer: Answer) {
        Self::webhook_answered(self, delivery, now_ms, answer);
    }

    fn webhooks_go_to(&mut self, _url: &str) {
        // No call tells where a webhook integration posts to.
    }

    fn park_webhooks(&mut self, parked: bool) {
        self.outbox.park(parked);
    }

    fn is_quiet(&self) -> bool {
        Self::is_quiet(self)
    }
}
