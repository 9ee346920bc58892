//! What can be asked of an alert, by whom.

use std::collections::BTreeMap;

use super::alert::NewAlert;

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

impl Action {
    /// As the request's status and, but for custom actions, the webhook spell it.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Create(_) => "Create",
            Self::Acknowledge => "Acknowledge",
            Self::Unacknowledge => "UnAcknowledge",
            Self::Close => "Close",
            Self::Delete => "Delete",
            Self::AddNote(_) => "AddNote",
            Self::Snooze { .. } => "Snooze",
            Self::Assign { .. } => "AssignOwnership",
            Self::TakeOwnership => "TakeOwnership",
            Self::EscalateToNext => "EscalateToNext",
            Self::AddTags(_) => "AddTags",
            Self::RemoveTags(_) => "RemoveTags",
            Self::AddDetails(_) => "AddDetails",
            Self::RemoveDetails(_) => "RemoveDetails",
            Self::UpdatePriority(_) => "UpdatePriority",
            Self::UpdateMessage(_) => "UpdateMessage",
            Self::UpdateDescription(_) => "UpdateDescription",
            Self::Custom(name) => name,
        }
    }
}
