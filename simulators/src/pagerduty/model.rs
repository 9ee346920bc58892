//! The state of a simulated PagerDuty account, and how time passes in it.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;

use super::incident::Incident;
use super::options::{Behaviour, Options, User};
use super::subscription::Subscription;
use crate::exchange::{Answer, CallRecord, Reply, Request, WebhookDelivery, WebhookRecord};
use crate::fault::Faults;
use crate::ids::Ids;
use crate::outbox::{Outbox, Outcome};
use crate::shelf::Shelf;
use crate::wire::Vendor;

/// The account.
#[derive(Debug)]
pub struct PagerDuty {
    /// What goes wrong.
    pub faults: Faults,
    /// The switches.
    pub behaviour: Behaviour,
    pub(super) options: Options,
    pub(super) now_ms: i64,
    pub(super) shelf: Shelf<Incident>,
    /// Service and key of each open incident that has a key, and which it is.
    pub(super) open_keys: HashMap<(String, String), String>,
    /// When to look at an incident again: its acknowledgement times out, or its snooze ends.
    pub(super) timers: BTreeSet<(i64, String)>,
    pub(super) subscriptions: Vec<Subscription>,
    /// Where subscriptions without an address of their own post to.
    pub(super) common_url: Option<String>,
    pub(super) outbox: Outbox,
    pub(super) muted: bool,
    pub(super) ids: Ids,
    pub(super) last_number: u64,
    pub(super) calls: Vec<CallRecord>,
    pub(super) events_pages: Vec<EventsPage>,
}

/// An event that `POST /v2/enqueue` accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsPage {
    /// 32 characters.
    pub routing_key: String,
    /// `trigger`, `acknowledge` or `resolve`.
    pub action: String,
    /// The caller's, or made up.
    pub dedup_key: String,
    /// Empty unless it is a trigger.
    pub summary: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The incident it was about; `None` if it was dropped without a word.
    pub incident_id: Option<String>,
}

impl PagerDuty {
    /// An account without incidents. Its time is 0 until it is told another.
    pub fn new(options: Options) -> Self {
        Self {
            faults: Faults::default(),
            behaviour: options.behaviour.clone(),
            now_ms: 0,
            shelf: Shelf::new(),
            open_keys: HashMap::new(),
            timers: BTreeSet::new(),
            subscriptions: vec![Subscription::of_service(
                &options.subscription_id,
                &options.service_id,
                options.webhook_secrets.clone(),
            )],
            common_url: None,
            outbox: Outbox::new(),
            muted: false,
            ids: Ids::new(options.seed),
            last_number: 100,
            calls: Vec::new(),
            events_pages: Vec::new(),
            options,
        }
    }

    /// Moves time forward: what people do from here on happens at `now_ms`, Unix milliseconds. Never goes back.
    pub fn set_now(&mut self, now_ms: i64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// Ends acknowledgements, snoozes and a subscription's pause that are over.
    pub fn tick(&mut self, now_ms: i64) {
        self.set_now(now_ms);
        while let Some((at_ms, id)) = self.timers.first().cloned().filter(|(at_ms, _)| *at_ms <= self.now_ms) {
            self.timers.remove(&(at_ms, id.clone()));
            self.timer_fires(&id, at_ms);
        }
        for subscription in &mut self.subscriptions {
            if subscription.disabled_until_ms.is_some_and(|until_ms| until_ms <= self.now_ms) {
                subscription.enable();
            }
        }
    }

    /// When [`Self::tick`] or [`Self::take_webhooks`] next has something to do, Unix milliseconds.
    pub fn next_wake(&self) -> Option<i64> {
        let webhook = self.outbox.next_due(self.faults.webhooks.hold);
        let timer = self.timers.first().map(|(at_ms, _)| *at_ms);
        let pauses = self.subscriptions.iter().filter_map(|subscription| subscription.disabled_until_ms);
        webhook.into_iter().chain(timer).chain(pauses).min()
    }

    /// Webhooks to post now, in order for each subscription and incident. Each must be answered by
    /// [`Self::webhook_answered`].
    pub fn take_webhooks(&mut self, now_ms: i64) -> Vec<WebhookDelivery> {
        self.set_now(now_ms);
        self.outbox.take(self.now_ms, self.faults.webhooks.hold)
    }

    /// Says how the receiver answered. Webhook behaviour page: three dropped in a row switch the subscription off, and
    /// its queue is gone.
    pub fn webhook_answered(&mut self, delivery_id: u64, now_ms: i64, answer: Answer) {
        self.set_now(now_ms);
        let key = self.outbox.key_in_flight(delivery_id).map(str::to_owned);
        let outcome = self.outbox.answered(delivery_id, self.now_ms, answer, self.behaviour.webhook_retries);
        let (Some(key), Some(outcome)) = (key, outcome) else {
            return;
        };
        let id = key.split('/').next().unwrap_or_default();
        let Some(subscription) = self.subscriptions.iter_mut().find(|subscription| subscription.id == id) else {
            return;
        };
        match outcome {
            Outcome::Delivered => subscription.drops = 0,
            Outcome::Retried => {}
            Outcome::Dropped => {
                subscription.drops += 1;
                if subscription.drops >= self.behaviour.drops_until_disabled {
                    let pause = self.behaviour.disabled_for_ms;
                    subscription.disabled_until_ms = Some(self.now_ms.saturating_add_unsigned(pause));
                    self.outbox.drop_queues(&format!("{id}/"));
                }
            }
        }
    }

    /// Lets go of held webhooks, turned around if the faults say so.
    pub fn release_webhooks(&mut self) {
        self.outbox.release(self.faults.webhooks.reverse_on_release);
    }

    /// No webhook in flight or waiting; held webhooks do not count.
    pub fn is_quiet(&self) -> bool {
        self.outbox.is_quiet(self.faults.webhooks.hold)
    }

    /// Does something that no webhook tells about: each is lost before it is made.
    pub fn silently<R>(&mut self, act: impl FnOnce(&mut Self) -> R) -> R {
        let before = std::mem::replace(&mut self.muted, true);
        let result = act(self);
        self.muted = before;
        result
    }

    /// An incident.
    pub fn incident(&self, id: &str) -> Option<&Incident> {
        self.shelf.get(id)
    }

    /// All incidents, oldest first.
    pub fn incidents(&self) -> Vec<&Incident> {
        self.shelf.values().collect()
    }

    /// Their ids, oldest first.
    pub fn incident_ids(&self) -> Vec<String> {
        self.shelf.ids().cloned().collect()
    }

    /// All incidents that ever had this key, oldest first.
    pub fn incident_by_key(&self, key: &str) -> Vec<&Incident> {
        self.shelf.values().filter(|incident| incident.incident_key.as_deref() == Some(key)).collect()
    }

    /// Every REST and Events call received, oldest first, those met by a fault included.
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

    /// Every event that Events v2 accepted, oldest first.
    pub fn events_pages(&self) -> &[EventsPage] {
        &self.events_pages
    }

    /// Whether the first subscription was switched off because of drops.
    pub fn is_subscription_disabled(&self) -> bool {
        self.subscriptions.first().is_some_and(Subscription::is_disabled)
    }

    /// Empties [`Self::calls`], [`Self::webhooks_sent`] and [`Self::events_pages`], which otherwise grow for ever.
    pub fn forget_records(&mut self) {
        self.calls.clear();
        self.events_pages.clear();
        self.outbox.forget_sent();
    }

    pub(super) fn lag_ms(&self) -> i64 {
        i64::try_from(self.behaviour.read_lag_ms).unwrap_or(i64::MAX)
    }

    pub(super) fn users(&self) -> impl Iterator<Item = &User> {
        std::iter::once(&self.options.automation).chain(&self.options.users)
    }

    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users().find(|user| user.id == id)
    }

    pub(super) fn is_service(&self, id: &str) -> bool {
        self.options.service_id == id || self.options.other_services.iter().any(|other| other == id)
    }

    /// The first user is on call at every level.
    pub(super) fn on_call(&self) -> Vec<String> {
        self.options.users.first().map(|user| user.id.clone()).into_iter().collect()
    }

    /// The name of the priority that `id_or_name` means, in any case.
    pub(super) fn priority_name(&self, id_or_name: &str) -> Option<String> {
        let mut names = self.options.priorities.iter().enumerate();
        names
            .find(|(index, name)| priority_id(*index) == id_or_name || name.eq_ignore_ascii_case(id_or_name))
            .map(|(_, name)| name.clone())
    }
}

/// The id of the priority at this place of the list.
pub(super) fn priority_id(index: usize) -> String {
    format!("PPRI{:03}", index + 1)
}

impl Vendor for PagerDuty {
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

    fn webhooks_go_to(&mut self, url: &str) {
        self.common_url = Some(url.to_owned());
    }

    fn park_webhooks(&mut self, parked: bool) {
        self.outbox.park(parked);
    }

    fn is_quiet(&self) -> bool {
        Self::is_quiet(self)
    }
}
