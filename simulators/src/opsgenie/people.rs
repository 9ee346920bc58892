//! What people do in Opsgenie's own applications. Each action happens at once and posts its webhook, unless it is done
//! within [`Opsgenie::silently`].

use std::collections::BTreeMap;

use super::alert::NewAlert;
use super::command::{Action, ActionBy, Command};
use super::model::Opsgenie;
use crate::ids::uuid_for;

impl Opsgenie {
    /// A person creates an alert; returns its id, or that of the open alert of the same alias.
    pub fn human_creates(&mut self, alert: NewAlert) -> String {
        let user = if alert.user.is_empty() { "jane@acme.test".to_owned() } else { alert.user.clone() };
        let command = by(&user, Action::Create(alert), None);
        self.create(&command).0
    }

    /// Acknowledges. False if there was nothing to change, as with all that follows.
    pub fn human_acknowledges(&mut self, id: &str, user: &str) -> bool {
        self.person(id, user, Action::Acknowledge, None)
    }

    /// Lets go of an acknowledged alert.
    pub fn human_unacknowledges(&mut self, id: &str, user: &str) -> bool {
        self.person(id, user, Action::Unacknowledge, None)
    }

    /// Closes, with or without a closing note.
    pub fn human_closes(&mut self, id: &str, user: &str, note: Option<&str>) -> bool {
        self.person(id, user, Action::Close, note)
    }

    /// Writes a note.
    pub fn human_adds_note(&mut self, id: &str, user: &str, text: &str) -> bool {
        self.person(id, user, Action::AddNote(text.to_owned()), None)
    }

    /// Sets the priority, `P1` to `P5`.
    pub fn human_updates_priority(&mut self, id: &str, user: &str, priority: &str) -> bool {
        self.person(id, user, Action::UpdatePriority(priority.to_owned()), None)
    }

    /// Sets the message.
    pub fn human_updates_message(&mut self, id: &str, user: &str, message: &str) -> bool {
        self.person(id, user, Action::UpdateMessage(message.to_owned()), None)
    }

    /// Becomes the owner.
    pub fn human_takes_ownership(&mut self, id: &str, user: &str) -> bool {
        self.person(id, user, Action::TakeOwnership, None)
    }

    /// Makes somebody the owner.
    pub fn human_assigns(&mut self, id: &str, user: &str, owner: &str) -> bool {
        self.person(id, user, Action::Assign { owner: owner.to_owned() }, None)
    }

    /// Snoozes for so many milliseconds.
    pub fn human_snoozes(&mut self, id: &str, user: &str, for_ms: i64) -> bool {
        let until_ms = self.now_ms + for_ms;
        self.person(id, user, Action::Snooze { until_ms }, None)
    }

    /// Escalates to the next rule of the escalation.
    pub fn human_escalates_to_next(&mut self, id: &str, user: &str) -> bool {
        self.person(id, user, Action::EscalateToNext, None)
    }

    /// Deletes the alert for good.
    pub fn human_deletes(&mut self, id: &str, user: &str) -> bool {
        self.person(id, user, Action::Delete, None)
    }

    /// Adds tags.
    pub fn human_adds_tags(&mut self, id: &str, user: &str, tags: &[&str]) -> bool {
        self.person(id, user, Action::AddTags(tags.iter().map(|&tag| tag.to_owned()).collect()), None)
    }

    /// Removes tags.
    pub fn human_removes_tags(&mut self, id: &str, user: &str, tags: &[&str]) -> bool {
        self.person(id, user, Action::RemoveTags(tags.iter().map(|&tag| tag.to_owned()).collect()), None)
    }

    /// Adds custom properties, of which no webhook tells.
    pub fn human_adds_details(&mut self, id: &str, user: &str, details: &[(&str, &str)]) -> bool {
        let details: BTreeMap<_, _> = details.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        self.person(id, user, Action::AddDetails(details), None)
    }

    /// Runs a custom action; the webhook's action is its very name, which may be any text.
    pub fn runs_custom_action(&mut self, id: &str, user: &str, name: &str) -> bool {
        self.person(id, user, Action::Custom(name.to_owned()), None)
    }

    /// An escalation's step is due: a webhook of another shape, with the alert's id only and without a source.
    pub fn escalation_fires(&mut self, id: &str) {
        self.emit_escalation(id);
    }

    fn person(&mut self, id: &str, user: &str, action: Action, note: Option<&str>) -> bool {
        let before = self.alert(id).map(|alert| alert.updated_at_ns);
        let command = by(user, action, note);
        // What changes nothing, or is refused, is not offered to people, so it posts nothing either.
        let done = self.perform(id, &command).is_ok();
        done && before != self.alert(id).map(|alert| alert.updated_at_ns)
    }
}

fn by(user: &str, action: Action, note: Option<&str>) -> Command {
    let actor = ActionBy {
        username: user.to_owned(),
        user_id: Some(uuid_for(user)),
        source_name: String::new(),
        source_type: "web",
        alert_source: user.to_owned(),
    };
    Command { action, actor, note: note.map(str::to_owned) }
}
