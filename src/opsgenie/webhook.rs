//! Opsgenie's outgoing webhooks. They are not signed: what tells a real one is the integration's id in the body and, if it
//! is set up so, a token in a header.

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{WireFacts, filled, moment};
use crate::engine::{Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, Timestamp};
use crate::http::{Unreadable, lenient, printable};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The `Authorization` header does not carry the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bearer token is missing or wrong")]
pub struct WrongToken;

/// Why a body is not taken for Opsgenie's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthentic {
    /// It is no JSON object, so that the integration cannot be told.
    #[error("the body is no JSON object")]
    NotAnObject,
    /// It names no integration.
    #[error("`integrationId` is missing")]
    MissingIntegration,
    /// It names an integration that is not ours.
    #[error("`integrationId` is that of another integration")]
    WrongIntegration,
}

/// Who may come in. Everything is compared in constant time, by hashes, so that not even a length can be measured.
#[derive(Clone)]
pub struct Door {
    integrations: Vec<[u8; 32]>,
    token: Option<SecretString>,
}

impl Door {
    /// A door for the webhooks of these integrations, which must carry the token if there is one.
    pub fn new<S: AsRef<str>>(integration_ids: &[S], token: Option<SecretString>) -> Self {
        let ids = integration_ids.iter().map(|id| id.as_ref().trim()).filter(|id| !id.is_empty());
        Self { integrations: ids.map(digest).collect(), token }
    }

    /// Whether the `Authorization` header is right; to be asked before the body is read.
    pub fn authorize(&self, header: Option<&str>) -> Result<(), WrongToken> {
        let Some(token) = &self.token else { return Ok(()) };
        let (scheme, given) = header.and_then(|header| header.trim().split_once(' ')).ok_or(WrongToken)?;
        let same = digest(given.trim()).ct_eq(&digest(token.expose_secret()));
        let usable = scheme.eq_ignore_ascii_case("bearer") && !token.expose_secret().is_empty();
        if usable && bool::from(same) { Ok(()) } else { Err(WrongToken) }
    }

    /// Whether the body comes from one of our integrations.
    pub fn authenticate(&self, body: &[u8]) -> Result<Authentic, NotAuthentic> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(body) else {
            return Err(NotAuthentic::NotAnObject);
        };
        let id = body.get("integrationId").and_then(Value::as_str).ok_or(NotAuthentic::MissingIntegration)?;
        let id = digest(id);
        let ours = self.integrations.iter().fold(false, |ours, known| ours | bool::from(known.ct_eq(&id)));
        if !ours {
            return Err(NotAuthentic::WrongIntegration);
        }
        body.retain(|key, _| !key.eq_ignore_ascii_case("headers"));
        Ok(Authentic { body: Value::Object(body) })
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// A webhook that came from one of our integrations. Its top-level `headers`, in which Opsgenie hands our own token back,
/// are gone already.
pub struct Authentic {
    body: Value,
}

impl Authentic {
    /// A webhook out of the quarantine, as [`Authentic::body_without_headers`] gave it: the door had let it in when it came.
    pub fn kept(body: &[u8]) -> Result<Self, NotAuthentic> {
        match serde_json::from_slice(body) {
            Ok(body @ Value::Object(_)) => Ok(Self { body }),
            Ok(_) | Err(_) => Err(NotAuthentic::NotAnObject),
        }
    }

    /// Reads it into the engine's words.
    pub fn parse(&self, now: Timestamp) -> Result<Event, Unreadable> {
        let body: WireBody = read(&self.body, "the body")?;
        let name = filled(body.action).ok_or_else(|| Unreadable("`action` is missing or no text".to_owned()))?;
        let Some(alert @ Value::Object(_)) = self.body.get("alert") else {
            return Err(Unreadable("`alert` is missing or no object".to_owned()));
        };
        let facts = AlertFacts::from(read::<WireFacts>(alert, "`alert`")?);
        let alert: WireAlert = read(alert, "`alert`")?;
        let id = alert.alert_id.ok_or_else(|| Unreadable("`alert.alertId` is missing or no text".to_owned()))?;
        let id = AlertId::try_from(id).map_err(|error| Unreadable(format!("`alert.alertId` is not valid: {error}")))?;
        // The real place of a note is in the alert; samples that went round have it beside it.
        let note = filled(alert.note).or_else(|| filled(body.note));
        let action = action(name.trim(), note, filled(alert.owner));
        let updated_at = moment(&alert.updated_at);
        let created_at = if action == AlertAction::Create { facts.created_at } else { None };
        let username = filled(alert.username);
        Ok(Event {
            dedupe: updated_at.map(|_| self.fingerprint()).into_iter().collect(),
            request_id: None,
            occurred_at: updated_at.or(created_at),
            received_at: now,
            actor: Actor {
                id: filled(alert.user_id),
                // Users are named by their address; calls and integrations by any text.
                person: username.as_deref().is_some_and(|name| name.contains('@')),
                name: username,
                source: body.source.and_then(|source| filled(source.name)),
            },
            body: EventBody::Alert(AlertEvent { alert: id, facts, action }),
        })
    }

    /// The body without what must not be stored, to be put in quarantine.
    pub fn body_without_headers(&self) -> Vec<u8> {
        self.body.to_string().into_bytes()
    }

    /// Tells a repeat of this very webhook: everything in it but which integration posted it.
    fn fingerprint(&self) -> String {
        let parts = ["action", "alert", "source", "note"];
        let mut canonical: Value =
            parts.iter().filter_map(|part| Some(((*part).to_owned(), self.body.get(*part)?.clone()))).collect();
        canonical.sort_all_objects();
        let hex: String = digest(&canonical.to_string()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("og:{hex}")
    }
}

fn read<T: for<'de> Deserialize<'de>>(value: &Value, what: &str) -> Result<T, Unreadable> {
    T::deserialize(value).map_err(|_| Unreadable(format!("{what} cannot be read")))
}

/// What was done. The spelling is not dependable, and a custom action can have any name.
fn action(name: &str, note: Option<String>, owner: Option<String>) -> AlertAction {
    match name.to_ascii_lowercase().as_str() {
        "create" => AlertAction::Create,
        "acknowledge" => AlertAction::Acknowledge { note },
        "unacknowledge" => AlertAction::Unacknowledge { note },
        "close" => AlertAction::Close { note },
        "addnote" => match note {
            Some(text) => AlertAction::AddNote { text },
            None => AlertAction::Other(name.to_owned()),
        },
        "updatepriority" => AlertAction::UpdatePriority,
        "assignownership" => AlertAction::AssignOwnership { owner },
        "takeownership" => AlertAction::TakeOwnership,
        "snooze" => AlertAction::Snooze,
        "escalatetonext" | "escalatenext" => AlertAction::EscalateToNext,
        "delete" => AlertAction::Delete,
        _ => AlertAction::Other(printable(name, ACTION_LIMIT)),
    }
}

#[derive(Deserialize)]
struct WireBody {
    #[serde(default, deserialize_with = "lenient")]
    action: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    note: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    source: Option<WireSource>,
}

#[derive(Deserialize)]
struct WireSource {
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireAlert {
    #[serde(default, deserialize_with = "lenient")]
    alert_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    username: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    note: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    owner: Option<String>,
    #[serde(default)]
    updated_at: Value,
}

const ACTION_LIMIT: usize = 200;
