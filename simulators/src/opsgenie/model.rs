//! The state of a simulated Opsgenie account, and what each action does to an alert.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;

use crate::exchange::{Answer, CallRecord, Reply, Request, WebhookDelivery, WebhookRecord};
use crate::fault::Faults;
use crate::ids::Ids;
use crate::outbox::{Outbox, Retries};
use crate::shelf::Shelf;
use crate::wire::Vendor;

/// What an account is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Key of the API integration, a UUID.
    pub api_key: String,
    /// Id of the Webhook integration, as each webhook carries it.
    pub integration_id: String,
    /// Name of the Webhook integration.
    pub integration_name: String,
    /// Sent as `Authorization: Bearer …` with each webhook: a custom header of the integration.
    pub webhook_token: Option<String>,
    /// Whether the custom headers show up in the body as well, as one published sample has it.
    pub webhook_headers_echoed: bool,
    /// Milliseconds between the 202 and the processing of a request.
    pub processing_ms: u64,
    /// Where to listen; `None` is a free port of `127.0.0.1`.
    pub listen: Option<SocketAddr>,
    /// What all ids are derived from.
    pub seed: u64,
    /// The switches.
    pub behaviour: Behaviour,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_key: "3f0e7a52-8c1d-4b6e-9a47-d2c5b8e01f36".to_owned(),
            integration_id: "37c8f316-17c6-49d7-899b-9c7e540c048d".to_owned(),
            integration_name: "crosspage webhook".to_owned(),
            webhook_token: None,
            webhook_headers_echoed: false,
            processing_ms: 20,
            listen: None,
            seed: 1,
            behaviour: Behaviour::default(),
        }
    }
}

/// Switches for what the vendor's documents leave open, or what differs between accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// An action with a note posts an `AddNote` too. Undocumented.
    pub ack_with_note_sends_addnote_too: bool,
    /// An acknowledge, un-acknowledge or close that changes nothing posts a webhook. Undocumented.
    pub noop_ack_sends_webhook: bool,
    /// A create that only counts up an open alert posts a `Create`. Undocumented.
    pub dedup_create_sends_webhook: bool,
    /// `isSuccess` of acknowledging an acknowledged alert. Undocumented.
    pub reack_is_success: bool,
    /// `isSuccess` of acknowledging or un-acknowledging a closed alert; nothing changes either way. Undocumented.
    pub ack_closed_is_success: bool,
    /// `isSuccess` of closing a closed alert by id. Undocumented.
    pub reclose_is_success: bool,
    /// How `updatedAt` looks in webhooks.
    pub updated_at_style: UpdatedAtStyle,
    /// Webhooks carry the priority as a number, as captures of 2017 do.
    pub priority_as_integer: bool,
    /// Webhooks of a person's create carry the source `web`/`API` instead of empty/`web`, as captures up to 2017 do.
    pub source_web_api_style: bool,
    /// The `user` of a request becomes `alert.username`. Inferred from captures; off, it is the integration's name.
    pub user_marker_in_username: bool,
    /// The `source` of a request becomes `source.name`. Inferred from captures; off, it is empty.
    pub source_marker_in_source_name: bool,
    /// The note is at the top of the webhook too, as some receivers expect.
    pub note_top_level: bool,
    /// Whether and how webhooks are tried again. Undocumented.
    pub webhook_retries: Retries,
    /// Milliseconds after which a webhook's receiver is given up on. Undocumented.
    pub webhook_timeout_ms: u64,
    /// A create posts a second `Create`, as for a team-owned integration that an alert is routed to.
    pub second_create_for_team: bool,
    /// `integrationType` is missing, as in the oldest samples.
    pub integration_type_missing: bool,
    /// The action is spelt `EscalateNext`, as the older documents have it, instead of `EscalateToNext`.
    pub short_escalate_spelling: bool,
    /// `description` of `Create` and custom actions, cut at 1000 characters: a tick box of the integration.
    pub description_in_webhooks: bool,
    /// `details` of `Create` and custom actions: a tick box of the integration.
    pub details_in_webhooks: bool,
    /// A note over 25,000 characters is cut instead of refused. Undocumented.
    pub cut_long_notes: bool,
    /// GETs of alerts, notes and logs show what was so many milliseconds ago.
    pub read_lag_ms: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ack_with_note_sends_addnote_too: false,
            noop_ack_sends_webhook: false,
            dedup_create_sends_webhook: false,
            reack_is_success: true,
            ack_closed_is_success: false,
            reclose_is_success: true,
            updated_at_style: UpdatedAtStyle::Nanos,
            priority_as_integer: false,
            source_web_api_style: false,
            user_marker_in_username: true,
            source_marker_in_source_name: true,
            note_top_level: false,
            webhook_retries: Retries::default(),
            webhook_timeout_ms: 10_000,
            second_create_for_team: false,
            integration_type_missing: false,
            short_escalate_spelling: false,
            description_in_webhooks: true,
            details_in_webhooks: true,
            cut_long_notes: false,
            read_lag_ms: 0,
        }
    }
}

/// How `updatedAt` looks in webhooks; captures differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdatedAtStyle {
    /// A number of nanoseconds: what captures since 2017 have.
    Nanos,
    /// A number of milliseconds.
    Millis,
    /// Nanoseconds as text.
    String,
    /// Not there.
    Missing,
}

/// Whether an alert is open. An acknowledged alert is open: acknowledgement is a flag of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlertStatus {
    /// Somebody should look at it.
    Open,
    /// Done; the alias is free for a new alert.
    Closed,
}

impl AlertStatus {
    /// `open` or `closed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for AlertStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl PartialEq<&str> for AlertStatus {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

/// An alert as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    /// UUID, dash, creation time in milliseconds.
    pub id: String,
    /// A small number.
    pub tiny_id: u64,
    /// The caller's key; the id if there was none.
    pub alias: String,
    /// At most 130 characters.
    pub message: String,
    /// At most 15,000 characters.
    pub description: String,
    /// Open or closed.
    pub status: AlertStatus,
    /// Whether somebody has acknowledged it.
    pub acknowledged: bool,
    /// `P1` to `P5`.
    pub priority: String,
    /// At most 20 of 50 characters.
    pub tags: Vec<String>,
    /// What it is about, or empty.
    pub entity: String,
    /// Custom properties.
    pub details: BTreeMap<String, String>,
    /// E-mail address, or empty.
    pub owner: String,
    /// Who created it: constant over its life.
    pub source: String,
    /// How many creates it stands for, at most 100.
    pub count: u32,
    /// Unix milliseconds of the last create.
    pub last_occurred_at_ms: i64,
    /// Until when it is snoozed, Unix milliseconds.
    pub snoozed_until_ms: Option<i64>,
    /// Unix milliseconds.
    pub created_at_ms: i64,
    /// Unix milliseconds.
    pub updated_at_ms: i64,
    /// Unix nanoseconds, with a sequence in the low digits: larger with each action.
    pub updated_at_ns: i64,
    /// Who acknowledged it, and when.
    pub acknowledged_by: Option<(String, i64)>,
    /// Who closed it, and when.
    pub closed_by: Option<(String, i64)>,
    /// Oldest first.
    pub notes: Vec<Note>,
    /// Oldest first, at most 100.
    pub log: Vec<LogLine>,
}

/// A note of an alert. Opsgenie's v2 API gives notes no id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Who wrote it.
    pub owner: String,
    /// At most 25,000 characters.
    pub text: String,
    /// Unix milliseconds.
    pub created_at_ms: i64,
}

/// A line of an alert's activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// What happened.
    pub text: String,
    /// Who did it.
    pub owner: String,
    /// Unix milliseconds.
    pub at_ms: i64,
}

/// An alert to be created by a person.
#[derive(Debug, Clone, Default)]
pub struct NewAlert {
    /// The title.
    pub message: String,
    /// The text, or empty.
    pub description: String,
    /// Labels.
    pub tags: Vec<String>,
    /// `P1` to `P5`; empty is `P3`.
    pub priority: String,
    /// What it is about, or empty.
    pub entity: String,
    /// Key for de-duplication; `None` is the alert's id.
    pub alias: Option<String>,
    /// Custom properties.
    pub details: BTreeMap<String, String>,
    /// The person's e-mail address; empty is `jane@acme.test`.
    pub user: String,
}

impl NewAlert {
    /// An alert with this message and nothing else.
    pub fn titled(message: &str) -> Self {
        Self {
            message: message.to_owned(),
            ..Self::default()
        }
    }
}

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

/// Whom a request is about.
#[derive(Debug, Clone)]
pub(super) enum Target {
    New,
    Id(String),
    Alias(String),
    Tiny(String),
}

/// An action with who did it.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) action: Action,
    pub(super) actor: ActionBy,
    pub(super) note: Option<String>,
}

/// Who acts, as a webhook shows it.
#[derive(Debug, Clone)]
pub(super) struct ActionBy {
    pub(super) username: String,
    pub(super) user_id: Option<String>,
    pub(super) source_name: String,
    pub(super) source_type: &'static str,
    /// The alert's `source`, should the action create one.
    pub(super) alert_source: String,
}

/// What can be done to an alert.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Create(NewAlert),
    Acknowledge,
    Unacknowledge,
    Close,
    Delete,
    AddNote(String),
    Snooze { until_ms: i64 },
    Assign { owner: String },
    TakeOwnership,
    EscalateToNext,
    AddTags(Vec<String>),
    RemoveTags(Vec<String>),
    AddDetails(BTreeMap<String, String>),
    RemoveDetails(Vec<String>),
    UpdatePriority(String),
    UpdateMessage(String),
    UpdateDescription(String),
    Custom(String),
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

    /// Processes accepted requests that are due, and ends snoozes.
    pub fn tick(&mut self, now_ms: i64) {
        self.set_now(now_ms);
        while self
            .pending
            .front()
            .is_some_and(|pending| pending.due_ms <= self.now_ms)
        {
            if let Some(pending) = self.pending.pop_front() {
                self.process(pending);
            }
        }
    }

    /// When [`Self::tick`] or [`Self::take_webhooks`] next has something to do, Unix milliseconds.
    pub fn next_wake(&self) -> Option<i64> {
        let webhook = self.outbox.next_due(self.faults.webhooks.hold);
        let request = self.pending.front().map(|pending| pending.due_ms);
        webhook.into_iter().chain(request).min()
    }

    /// Webhooks to post now, in order for each alert. Each must be answered by [`Self::webhook_answered`].
    pub fn take_webhooks(&mut self, now_ms: i64) -> Vec<WebhookDelivery> {
        self.set_now(now_ms);
        self.outbox.take(self.now_ms, self.faults.webhooks.hold)
    }

    /// Says how the receiver answered.
    pub fn webhook_answered(&mut self, delivery_id: u64, now_ms: i64, answer: Answer) {
        self.set_now(now_ms);
        self.outbox.answered(
            delivery_id,
            self.now_ms,
            answer,
            self.behaviour.webhook_retries,
        );
    }

    /// Lets go of held webhooks, turned around if the faults say so.
    pub fn release_webhooks(&mut self) {
        self.outbox.release(self.faults.webhooks.reverse_on_release);
    }

    /// No request unprocessed, no webhook in flight or waiting; held webhooks do not count.
    pub fn is_quiet(&self) -> bool {
        self.pending.is_empty() && self.outbox.is_quiet(self.faults.webhooks.hold)
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

    fn park_webhooks(&mut self, parked: bool) {
        self.outbox.park(parked);
    }

    fn is_quiet(&self) -> bool {
        Self::is_quiet(self)
    }
}
