//! Request bodies: what each call takes, and the published limits of its fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::alert::NewAlert;
use super::command::Action;
use crate::exchange::Request;
use crate::ids::parse_rfc3339;

/// Alert API page: characters that a field may have.
const MESSAGE_LIMIT: usize = 130;
const ALIAS_LIMIT: usize = 512;
const ENTITY_LIMIT: usize = 512;
const DESCRIPTION_LIMIT: usize = 15_000;
const NOTE_LIMIT: usize = 25_000;
const NAME_LIMIT: usize = 100;
const TAG_LIMIT: usize = 50;
const TAGS_LIMIT: usize = 20;
const DETAILS_LIMIT: usize = 8_000;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Invalid {
    /// 400.
    Syntax,
    /// 422.
    Field { name: String, problem: String },
}

impl Invalid {
    pub(super) fn field(name: &str, problem: &str) -> Self {
        Self::Field { name: name.to_owned(), problem: problem.to_owned() }
    }
}

/// The fields of a request: its JSON body, or the query of a DELETE.
pub(super) struct Body(Map<String, Value>);

impl Body {
    pub(super) fn read(request: &Request) -> Result<Self, Invalid> {
        if request.method == "DELETE" {
            return Ok(Self(request.query_pairs().into_iter().map(|(key, value)| (key, value.into())).collect()));
        }
        if request.body.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(&request.body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            _ => Err(Invalid::Syntax),
        }
    }

    pub(super) fn note(&self, cut: bool) -> Result<Option<String>, Invalid> {
        match self.text("note", usize::MAX)? {
            Some(note) if note.chars().count() > NOTE_LIMIT => {
                if cut {
                    Ok(Some(note.chars().take(NOTE_LIMIT).collect()))
                } else {
                    Err(too_long("note", NOTE_LIMIT))
                }
            }
            Some(note) if note.is_empty() => Ok(None),
            note => Ok(note),
        }
    }

    /// `user` or `source`.
    pub(super) fn short_text(&self, name: &str) -> Result<Option<String>, Invalid> {
        Ok(self.text(name, NAME_LIMIT)?.filter(|text| !text.is_empty()))
    }

    fn text(&self, name: &str, limit: usize) -> Result<Option<String>, Invalid> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.chars().count() > limit => Err(too_long(name, limit)),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Invalid::field(name, "must be a string")),
        }
    }

    fn required(&self, name: &str, limit: usize) -> Result<String, Invalid> {
        let text = self.text(name, limit)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Invalid::field(name, "may not be empty"))
    }

    fn priority(&self) -> Result<Option<String>, Invalid> {
        match self.text("priority", usize::MAX)? {
            Some(priority) if !["P1", "P2", "P3", "P4", "P5"].contains(&priority.as_str()) => {
                Err(Invalid::field("priority", "should be one of [P1, P2, P3, P4, P5]"))
            }
            priority => Ok(priority),
        }
    }

    fn texts(&self, name: &str) -> Result<Vec<String>, Invalid> {
        let tags: Vec<String> = match self.0.get(name) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(joined)) => joined.split(',').map(str::to_owned).collect(),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| Invalid::field(name, "must be strings"))?,
            Some(_) => return Err(Invalid::field(name, "must be a list")),
        };
        if tags.len() > TAGS_LIMIT {
            return Err(Invalid::field(name, "should not have more than 20 items"));
        }
        match tags.iter().any(|tag| tag.chars().count() > TAG_LIMIT) {
            true => Err(too_long(name, TAG_LIMIT)),
            false => Ok(tags),
        }
    }

    fn details(&self) -> Result<BTreeMap<String, String>, Invalid> {
        let details: BTreeMap<String, String> = match self.0.get("details") {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(fields)) => fields
                .iter()
                .map(|(key, value)| value.as_str().map(|value| (key.clone(), value.to_owned())))
                .collect::<Option<_>>()
                .ok_or_else(|| Invalid::field("details", "must have string values"))?,
            Some(_) => return Err(Invalid::field("details", "must be an object")),
        };
        let length: usize = details.iter().map(|(key, value)| key.chars().count() + value.chars().count()).sum();
        if length > DETAILS_LIMIT { Err(too_long("details", DETAILS_LIMIT)) } else { Ok(details) }
    }

    fn owner(&self) -> Result<String, Invalid> {
        let owner = self.0.get("owner");
        let name = owner.and_then(|owner| owner.get("username").or_else(|| owner.get("id")));
        let name = name.and_then(Value::as_str).filter(|name| !name.is_empty());
        name.map(str::to_owned).ok_or_else(|| Invalid::field("owner", "may not be empty"))
    }

    fn new_alert(&self) -> Result<NewAlert, Invalid> {
        Ok(NewAlert {
            message: self.required("message", MESSAGE_LIMIT)?,
            description: self.text("description", DESCRIPTION_LIMIT)?.unwrap_or_default(),
            tags: self.texts("tags")?,
            priority: self.priority()?.unwrap_or_default(),
            entity: self.text("entity", ENTITY_LIMIT)?.unwrap_or_default(),
            alias: self.text("alias", ALIAS_LIMIT)?.filter(|alias| !alias.is_empty()),
            details: self.details()?,
            user: self.short_text("user")?.unwrap_or_default(),
        })
    }
}

/// The action that a write asks for; `None` if there is no such call. `path` is what follows `/v2/alerts`.
pub(super) fn action(
    method: &str,
    path: &[&str],
    body: &Body,
    now_ms: i64,
    cut_notes: bool,
) -> Result<Option<Action>, Invalid> {
    Ok(Some(match (method, path) {
        ("POST", []) => Action::Create(body.new_alert()?),
        ("DELETE", [_]) => Action::Delete,
        ("POST", [_, "acknowledge"]) => Action::Acknowledge,
        ("POST", [_, "unacknowledge"]) => Action::Unacknowledge,
        ("POST", [_, "close"]) => Action::Close,
        ("POST", [_, "notes"]) => match body.note(cut_notes)?.filter(|note| !note.trim().is_empty()) {
            Some(note) => Action::AddNote(note),
            None => return Err(Invalid::field("note", "may not be empty")),
        },
        ("POST", [_, "snooze"]) => match parse_rfc3339(&body.required("endTime", usize::MAX)?) {
            Some(until_ms) if until_ms > now_ms => Action::Snooze { until_ms },
            Some(_) => return Err(Invalid::field("endTime", "must be in the future")),
            None => return Err(Invalid::field("endTime", "must be a date and time")),
        },
        ("POST", [_, "assign"]) => Action::Assign { owner: body.owner()? },
        ("POST", [_, "escalate"]) if body.0.get("escalation").is_some_and(Value::is_object) => Action::EscalateToNext,
        ("POST", [_, "escalate"]) => return Err(Invalid::field("escalation", "may not be empty")),
        ("POST", [_, "tags"]) => Action::AddTags(not_empty("tags", body.texts("tags")?)?),
        ("DELETE", [_, "tags"]) => Action::RemoveTags(not_empty("tags", body.texts("tags")?)?),
        ("POST", [_, "details"]) => match body.details()? {
            details if details.is_empty() => {
                return Err(Invalid::field("details", "may not be empty"));
            }
            details => Action::AddDetails(details),
        },
        ("DELETE", [_, "details"]) => Action::RemoveDetails(not_empty("keys", body.texts("keys")?)?),
        ("PUT", [_, "priority"]) => match body.priority()? {
            Some(priority) => Action::UpdatePriority(priority),
            None => return Err(Invalid::field("priority", "may not be empty")),
        },
        ("PUT", [_, "message"]) => Action::UpdateMessage(body.required("message", MESSAGE_LIMIT)?),
        ("PUT", [_, "description"]) => Action::UpdateDescription(body.required("description", DESCRIPTION_LIMIT)?),
        ("POST", [_, "actions", name]) => Action::Custom((*name).to_owned()),
        _ => return Ok(None),
    }))
}

fn not_empty(name: &str, items: Vec<String>) -> Result<Vec<String>, Invalid> {
    if items.is_empty() { Err(Invalid::field(name, "may not be empty")) } else { Ok(items) }
}

fn too_long(name: &str, limit: usize) -> Invalid {
    Invalid::field(name, &format!("should not exceed {limit} characters"))
}
