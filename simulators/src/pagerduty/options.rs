//! What a simulated PagerDuty account is made from, and its switches.

use std::net::SocketAddr;

use crate::outbox::Retries;

/// What an account is made from.
#[derive(Debug, Clone)]
pub struct Options {
    /// REST key.
    pub api_key: String,
    /// Whether the key is the account's or the automation user's own.
    pub key_kind: KeyKind,
    /// Whether the key may write.
    pub key_access: KeyAccess,
    /// The service that incidents are created on.
    pub service_id: String,
    /// Whether that service takes incidents.
    pub service_status: ServiceStatus,
    /// Whether that service has an escalation policy.
    pub has_escalation_policy: bool,
    /// Further services, which the subscription does not cover.
    pub other_services: Vec<String>,
    /// Whom REST writes are made as. Not on call.
    pub automation: User,
    /// What that user may do, as the account tells it. It is told only.
    pub automation_role: String,
    /// Everybody else; the first is on call.
    pub users: Vec<User>,
    /// Signing secrets of the first subscription; two sign each webhook twice, as while rotating.
    pub webhook_secrets: Vec<String>,
    /// Id of the first subscription, which covers `service_id`.
    pub subscription_id: String,
    /// Names in order; empty is a plan without priorities (402).
    pub priorities: Vec<String>,
    /// Milliseconds until an acknowledgement times out; `None` is never.
    pub ack_timeout_ms: Option<u64>,
    /// Seconds until an incident resolves itself, as the service tells it; `None` is never. It is told only.
    pub auto_resolve_timeout_s: Option<u64>,
    /// How far ahead the clock is that `Date` headers are written by; behind, if negative.
    pub clock_ahead_ms: i64,
    /// Where to listen; `None` is a free port of `127.0.0.1`.
    pub listen: Option<SocketAddr>,
    /// What all ids are derived from.
    pub seed: u64,
    /// The switches.
    pub behaviour: Behaviour,
}

/// Somebody with a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What webhooks carry.
    pub id: String,
    /// What webhooks show as `summary`.
    pub name: String,
    /// What `From` carries.
    pub email: String,
}

impl User {
    /// A user.
    pub fn new(id: &str, name: &str, email: &str) -> Self {
        Self { id: id.to_owned(), name: name.to_owned(), email: email.to_owned() }
    }
}

/// Authentication page: with an account's key the acting user comes from `From`, with a user's key from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `From` is required on writes; `/users/me` is refused.
    Account,
    /// The automation user's key.
    User,
}

/// Whether a key may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAccess {
    /// It may.
    Full,
    /// API access page: whatever is no GET is answered 403.
    ReadOnly,
}

/// Whether a service takes incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceStatus {
    /// It does.
    Active,
    /// It does not for a while.
    Maintenance,
    /// It does not.
    Disabled,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            api_key: "y_NbAkKc66ryYTWUXYEu".to_owned(),
            key_kind: KeyKind::Account,
            key_access: KeyAccess::Full,
            service_id: "PSVC001".to_owned(),
            service_status: ServiceStatus::Active,
            has_escalation_policy: true,
            other_services: Vec::new(),
            automation: User::new("PAUTO01", "Sync Bot", "bot@acme.test"),
            automation_role: "limited_user".to_owned(),
            users: vec![
                User::new("PUSR001", "Ada Oncall", "ada@acme.test"),
                User::new("PUSR002", "Bob Backup", "bob@acme.test"),
            ],
            webhook_secrets: vec!["9wX3kq0fVt5cY7bN1mZ8aL2sD4gH6jP+rT/uE0iOqWxCvBnMkJhGfDsAzXcVbNmQ".to_owned()],
            subscription_id: "PWHS001".to_owned(),
            priorities: ["P1", "P2", "P3", "P4", "P5"].map(str::to_owned).to_vec(),
            ack_timeout_ms: None,
            auto_resolve_timeout_s: None,
            clock_ahead_ms: 0,
            listen: None,
            seed: 2,
            behaviour: Behaviour::default(),
        }
    }
}

/// Switches for what the vendor's documents leave open, or what differs between accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// Resolving a resolved incident: 200, or 400 with code 1001. Undocumented.
    pub resolve_again: Taken,
    /// Acknowledging an acknowledged incident: 200, which restarts its time-out, or 400 with code 1002. Undocumented.
    pub reack: Taken,
    /// What an un-acknowledgement by `escalation_level` emits. Undocumented.
    pub unack_events: UnackEvents,
    /// `triggered` on an acknowledged incident un-acknowledges it; users report that it does nothing.
    pub put_triggered_unacks: bool,
    /// Notes in webhooks are cut at so many characters, with `trimmed` set. The real length is unpublished.
    pub note_trim_chars: Option<usize>,
    /// Status of a successful create.
    pub create_status: u16,
    /// Status of a successful note: the OpenAPI document says 200, a general page 201.
    pub note_status: u16,
    /// Who the agent of an acknowledgement's time-out is. Documents differ.
    pub ack_timeout_agent: AckTimeoutAgent,
    /// A `resolution` over REST becomes a note with a webhook of its own. Undocumented.
    pub rest_resolution_emits_note: bool,
    /// Whether the key may look users up.
    pub users_lookup: UsersLookup,
    /// Who the agent of a REST write is in webhooks. Inferred to be the user of `From`.
    pub agent_of_rest_writes: RestAgent,
    /// Keys of webhook bodies come in another order each time, as they do between captures.
    pub shuffle_keys: bool,
    /// The longest title in characters; longer is 400 with code 2001. Unpublished.
    pub max_title_chars: Option<usize>,
    /// The longest body in bytes; longer is 400 with code 2001. Unpublished.
    pub max_details_bytes: Option<usize>,
    /// GETs of incidents, notes and log entries show what was so many milliseconds ago. Answers to writes do not lag.
    pub read_lag_ms: u64,
    /// When webhooks are tried again.
    pub webhook_retries: Retries,
    /// Webhook behaviour page: 5 s.
    pub webhook_timeout_ms: u64,
    /// So many webhooks dropped in a row switch the subscription off. Webhook behaviour page: 3.
    pub drops_until_disabled: u32,
    /// Milliseconds until a subscription that was switched off comes back. Webhook behaviour page: 24 hours.
    pub disabled_for_ms: u64,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            resolve_again: Taken::Accepted,
            reack: Taken::Accepted,
            unack_events: UnackEvents::Unacknowledged,
            put_triggered_unacks: false,
            note_trim_chars: None,
            create_status: 201,
            note_status: 200,
            ack_timeout_agent: AckTimeoutAgent::Null,
            rest_resolution_emits_note: false,
            users_lookup: UsersLookup::Allowed,
            agent_of_rest_writes: RestAgent::FromUser,
            shuffle_keys: false,
            max_title_chars: None,
            max_details_bytes: None,
            read_lag_ms: 0,
            webhook_retries: Retries::default(),
            webhook_timeout_ms: 5_000,
            drops_until_disabled: 3,
            disabled_for_ms: 24 * 3_600_000,
        }
    }
}

/// How a write is taken that asks for what is already so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// 200, and nothing changes.
    Accepted,
    /// 400 with the code for it.
    Refused,
}

/// What an un-acknowledgement by `escalation_level` emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnackEvents {
    /// `incident.escalated`.
    Escalated,
    /// `incident.unacknowledged`.
    Unacknowledged,
    /// `incident.unacknowledged`, then `incident.escalated`.
    Both,
}

/// Who the agent of an acknowledgement's time-out is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckTimeoutAgent {
    /// Nobody, as the webhook overview says of automation.
    Null,
    /// The service, as older log entries have it.
    Service,
}

/// Whether the key may look users up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsersLookup {
    /// Yes.
    Allowed,
    /// 403 with code 2010.
    Forbidden,
}

/// Who the agent of a REST write is in webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestAgent {
    /// The user of `From`.
    FromUser,
    /// Nobody.
    Null,
}
