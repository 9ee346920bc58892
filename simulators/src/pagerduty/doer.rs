//! Who changes an incident, and what a new one is made from.

use super::incident::Agent;

/// Who does something, and through what.
#[derive(Debug, Clone)]
pub(super) struct Doer {
    /// As records have it.
    pub(super) agent: Agent,
    /// As webhooks show it.
    pub(super) shown: Agent,
    /// `website`, `api` or `timeout`.
    pub(super) channel: &'static str,
}

impl Doer {
    pub(super) fn person(user_id: &str) -> Self {
        let agent = Agent::User(user_id.to_owned());
        Self { shown: agent.clone(), agent, channel: "website" }
    }

    pub(super) fn automation(agent: Agent) -> Self {
        Self { shown: agent.clone(), agent, channel: "timeout" }
    }

    pub(super) fn user_id(&self) -> Option<&str> {
        match &self.agent {
            Agent::User(id) => Some(id),
            Agent::Service | Agent::Integration | Agent::Nobody => None,
        }
    }
}

/// An incident to be made.
#[derive(Debug, Clone, Default)]
pub(super) struct NewIncident {
    pub(super) title: String,
    pub(super) body: String,
    pub(super) urgency: String,
    pub(super) priority: Option<String>,
    pub(super) incident_key: Option<String>,
    pub(super) alert_key: Option<String>,
    pub(super) service_id: String,
    pub(super) assignee: Option<String>,
    pub(super) client: Option<(String, String)>,
}
