//! What people do in PagerDuty's own applications, and what happens by itself. Each posts its webhooks, unless it is
//! done within [`PagerDuty::silently`]. The methods return false if there was nothing to change.

use serde_json::json;

use super::doer::{Doer, NewIncident};
use super::incident::{Agent, IncidentStatus};
use super::model::PagerDuty;
use super::options::UnackEvents;

impl PagerDuty {
    /// Somebody makes an incident that has nothing to do with us; returns its id. Its key is random.
    pub fn human_triggers(&mut self, title: &str, user_id: &str) -> String {
        let incident_key = Some(self.ids.hex32());
        let service_id = self.options.service_id.clone();
        let new = NewIncident { title: title.to_owned(), incident_key, service_id, ..NewIncident::default() };
        self.create(new, &Doer::person(user_id))
    }

    /// Acknowledges a triggered incident.
    pub fn human_acknowledges(&mut self, id: &str, user_id: &str) -> bool {
        let possible = self.is(id, IncidentStatus::Triggered);
        if possible {
            self.acknowledge(id, &Doer::person(user_id));
        }
        possible
    }

    /// Lets go of an acknowledged incident.
    pub fn human_unacknowledges(&mut self, id: &str, user_id: &str) -> bool {
        let possible = self.is(id, IncidentStatus::Acknowledged);
        if possible {
            self.unacknowledge(id, &Doer::person(user_id), UnackEvents::Unacknowledged);
        }
        possible
    }

    /// Resolves. With a note, captures show `incident.resolved`, then `incident.annotated`.
    pub fn human_resolves(&mut self, id: &str, user_id: &str, note: Option<&str>) -> bool {
        let possible = self.is_open(id);
        if possible {
            let by = Doer::person(user_id);
            self.resolve(id, &by, None);
            if let Some(text) = note {
                self.annotate(id, &by, &format!("Resolution Note: {text}"));
            }
        }
        possible
    }

    /// Writes a note, also on a resolved incident; returns its id, empty if there is no such incident.
    pub fn human_adds_note(&mut self, id: &str, user_id: &str, text: &str) -> String {
        if self.shelf.get(id).is_none() {
            return String::new();
        }
        self.annotate(id, &Doer::person(user_id), text)
    }

    /// Reopens a resolved incident.
    pub fn human_reopens(&mut self, id: &str, user_id: &str) -> bool {
        let possible = self.is(id, IncidentStatus::Resolved);
        if possible {
            self.reopen(id, &Doer::person(user_id), Vec::new());
        }
        possible
    }

    /// Merges the first incident into the second: it shows as resolved, by a person, for a reason.
    pub fn human_merges(&mut self, from: &str, into: &str, user_id: &str) -> bool {
        let possible = from != into && self.is_open(from) && self.shelf.get(into).is_some();
        if possible {
            self.merge(from, into, &Doer::person(user_id));
        }
        possible
    }

    /// Escalates to the next level, which puts an acknowledged incident back to triggered.
    pub fn human_escalates(&mut self, id: &str, user_id: &str) -> bool {
        let level = self.shelf.get(id).map_or(1, |incident| incident.escalation_level + 1);
        let possible = self.is_open(id);
        if possible {
            self.escalate(id, &Doer::person(user_id), level);
        }
        possible
    }

    /// Gives the incident to somebody else.
    pub fn human_reassigns(&mut self, id: &str, user_id: &str, to_user_id: &str) -> bool {
        let possible = self.is_open(id);
        if possible {
            self.reassign(id, &Doer::person(user_id), to_user_id);
        }
        possible
    }

    /// Snoozes an acknowledged incident for so many seconds; no webhook tells.
    pub fn human_snoozes(&mut self, id: &str, user_id: &str, seconds: i64) -> bool {
        let possible = self.is(id, IncidentStatus::Acknowledged);
        if possible {
            self.snooze(id, &Doer::person(user_id), seconds);
        }
        possible
    }

    /// Sets the priority by name; one that does not exist changes nothing.
    pub fn human_updates_priority(&mut self, id: &str, user_id: &str, priority: &str) -> bool {
        let name = self.priority_name(priority);
        let possible = name.is_some() && self.shelf.get(id).is_some_and(|incident| incident.priority != name);
        if possible {
            self.set_priority(id, &Doer::person(user_id), name);
        }
        possible
    }

    /// Sets the urgency, `high` or `low`. Raising it un-acknowledges.
    pub fn human_updates_urgency(&mut self, id: &str, user_id: &str, urgency: &str) -> bool {
        let possible = self.shelf.get(id).is_some_and(|incident| incident.urgency != urgency);
        if possible {
            self.set_urgency(id, &Doer::person(user_id), urgency);
        }
        possible
    }

    /// The acknowledgement times out, as if the service's time had run out just now.
    pub fn ack_times_out(&mut self, id: &str) -> bool {
        let possible = self.is(id, IncidentStatus::Acknowledged);
        if possible {
            self.ack_ends(id);
        }
        possible
    }

    /// Monitoring resolves the incident: the agent is the integration.
    pub fn integration_resolves(&mut self, id: &str) -> bool {
        let possible = self.is_open(id);
        if possible {
            self.resolve(id, &Doer::automation(Agent::Integration), None);
        }
        possible
    }

    /// Posts an event of any other type that carries the incident as it is, such as `incident.service_updated` or one
    /// that does not exist yet.
    pub fn posts_event(&mut self, id: &str, event_type: &str, user_id: &str) {
        self.emit(id, event_type, &Doer::person(user_id));
    }

    /// Sends a test webhook to every subscription.
    pub fn pings(&mut self) {
        for id in self.subscriptions.iter().map(|subscription| subscription.id.clone()).collect::<Vec<_>>() {
            self.ping(&id);
        }
    }

    pub(super) fn ping(&mut self, subscription_id: &str) {
        let data = json!({"message": "Hello from your friend Pagey!", "type": "ping"});
        let body = self.event_body("pagey.ping", &Agent::Nobody, None, data);
        self.post_to(subscription_id, "ping", &body);
    }

    fn is_open(&self, id: &str) -> bool {
        self.is(id, IncidentStatus::Triggered) || self.is(id, IncidentStatus::Acknowledged)
    }
}
