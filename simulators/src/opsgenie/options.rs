//! What a simulated Opsgenie account is made from, and its switches.

use std::net::SocketAddr;

use crate::outbox::Retries;

/// What an account is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// Key of the API integration, a UUID.
    pub api_key: String,
    /// What the key is for.
    pub key_kind: KeyKind,
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
    /// How far ahead the clock is that `Date` headers are written by; behind, if negative.
    pub clock_ahead_ms: i64,
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
            key_kind: KeyKind::Integration,
            integration_id: "37c8f316-17c6-49d7-899b-9c7e540c048d".to_owned(),
            integration_name: "crosspage webhook".to_owned(),
            webhook_token: None,
            webhook_headers_echoed: false,
            processing_ms: 20,
            clock_ahead_ms: 0,
            listen: None,
            seed: 1,
            behaviour: Behaviour::default(),
        }
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// An API integration's, which may read, create and update.
    Integration,
    /// An API integration's that may not create and update. How such a key is refused, nobody has told.
    ReadOnly,
    /// An API integration's that may not read. How such a key is refused, nobody has told.
    WriteOnly,
    /// One from the account's settings: it may neither create, acknowledge, close nor add a note (key management page).
    Settings,
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
    /// Lists of alerts show what was so many milliseconds ago, if that is longer ago: a search is told of changes late.
    pub list_lag_ms: u64,
    /// GETs of alerts tell `updatedAt` in steps of so many milliseconds; the samples tell single ones.
    pub updated_at_step_ms: i64,
    /// Requests are accepted and not processed until they are released.
    pub hold_processing: bool,
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
            list_lag_ms: 0,
            updated_at_step_ms: 1,
            hold_processing: false,
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
