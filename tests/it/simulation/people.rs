//! People on both sides, who do what the plan says.

use std::collections::BTreeMap;

use crosspage::engine::{Status, System};
use simulators::PagerDuty;
use simulators::opsgenie::NewAlert;

use super::plan::{Act, Deed};
use super::scene::{Done, Scene, Written};

const CUSTOMERS: [&str; 2] = ["jane@example.com", "john@example.com"];
const ON_CALL: [&str; 2] = ["PUSR001", "PUSR002"];

/// What a deed came to.
#[derive(Default)]
struct Effect {
    state: Option<Status>,
    token: Option<String>,
    special: bool,
}

impl Effect {
    fn state(status: Status) -> Self {
        Self { state: Some(status), ..Self::default() }
    }
}

impl Scene {
    /// Has somebody do something, if it can be done just now.
    pub(super) fn perform(&self, deed: &Deed) {
        match deed.act {
            Act::Create => self.create(deed),
            Act::Acknowledge
            | Act::Unacknowledge
            | Act::Note
            | Act::Close { .. }
            | Act::Priority(_)
            | Act::Snooze
            | Act::TakeOwnership
            | Act::EscalateToNext
            | Act::Delete => self.act_on_alert(deed),
            Act::IncidentAcknowledge
            | Act::IncidentUnacknowledge
            | Act::IncidentNote
            | Act::IncidentResolve { .. }
            | Act::IncidentReopen
            | Act::IncidentMerge(_)
            | Act::IncidentUrgency { .. }
            | Act::IncidentPriority(_)
            | Act::IncidentEscalate
            | Act::IncidentReassign
            | Act::IncidentSnooze
            | Act::AcknowledgementTimesOut
            | Act::OtherEvent => self.act_on_incident(deed),
        }
    }

    fn create(&self, deed: &Deed) {
        let priority = format!("P{}", 1 + deed.number % 5);
        let new = NewAlert { priority, user: who(deed, CUSTOMERS).to_owned(), ..NewAlert::titled("Disk full") };
        let id = self.opsgenie().human_creates(new);
        self.did(System::Opsgenie, &id, deed, Effect::default());
        self.stir(System::Opsgenie);
    }

    fn act_on_alert(&self, deed: &Deed) {
        let mut opsgenie = self.opsgenie();
        let ids = opsgenie.alert_ids();
        let Some(id) = ids.get(deed.which % ids.len().max(1)).cloned() else { return };
        let user = who(deed, CUSTOMERS);
        let token = token(deed);
        let words = format!("words {token}");
        let mut effect = Effect::default();
        let done = match deed.act {
            Act::Acknowledge => {
                effect = Effect::state(Status::Acknowledged);
                opsgenie.human_acknowledges(&id, user)
            }
            Act::Unacknowledge => {
                effect = Effect::state(Status::Open);
                opsgenie.human_unacknowledges(&id, user)
            }
            Act::Note => {
                effect.token = Some(token);
                opsgenie.human_adds_note(&id, user, &words)
            }
            Act::Close { with_note } => {
                effect = Effect { token: with_note.then_some(token), ..Effect::state(Status::Resolved) };
                opsgenie.human_closes(&id, user, with_note.then_some(words.as_str()))
            }
            Act::Priority(level) => opsgenie.human_updates_priority(&id, user, &format!("P{level}")),
            Act::Snooze => opsgenie.human_snoozes(&id, user, 60_000),
            Act::TakeOwnership => opsgenie.human_takes_ownership(&id, user),
            Act::EscalateToNext => opsgenie.human_escalates_to_next(&id, user),
            Act::Delete => opsgenie.human_deletes(&id, user),
            _ => false,
        };
        drop(opsgenie);
        if done {
            self.did(System::Opsgenie, &id, deed, effect);
        }
        // Even what changes nothing may be told of.
        self.stir(System::Opsgenie);
    }

    fn act_on_incident(&self, deed: &Deed) {
        let alerts = self.all_alerts();
        let incident_of = |pagerduty: &PagerDuty, further: usize| {
            let alert = alerts.get((deed.which + further) % alerts.len().max(1))?;
            chain(pagerduty, &self.notes().merges, alert).pop()
        };
        let mut pagerduty = self.pagerduty();
        let Some(id) = incident_of(&pagerduty, 0) else { return };
        let user = who(deed, ON_CALL);
        let token = token(deed);
        let words = format!("words {token}");
        let acknowledged = pagerduty.incident(&id).is_some_and(|incident| incident.status == "acknowledged");
        // What puts an acknowledged incident back to triggered.
        let lets_go = Effect { state: acknowledged.then_some(Status::Open), ..Effect::default() };
        let mut effect = Effect::default();
        let done = match deed.act {
            Act::IncidentAcknowledge => {
                effect = Effect::state(Status::Acknowledged);
                pagerduty.human_acknowledges(&id, user)
            }
            Act::IncidentUnacknowledge => {
                effect = lets_go;
                pagerduty.human_unacknowledges(&id, user)
            }
            Act::IncidentNote => {
                effect.token = Some(token);
                !pagerduty.human_adds_note(&id, user, &words).is_empty()
            }
            Act::IncidentResolve { with_note } => {
                effect = Effect { token: with_note.then_some(token), ..Effect::state(Status::Resolved) };
                pagerduty.human_resolves(&id, user, with_note.then_some(words.as_str()))
            }
            Act::IncidentReopen => {
                effect = Effect { special: true, ..Effect::state(Status::Open) };
                pagerduty.human_reopens(&id, user)
            }
            Act::IncidentMerge(further) => {
                effect = Effect { special: true, ..Effect::default() };
                let into = incident_of(&pagerduty, further);
                let open = |id: &String| pagerduty.incident(id).is_some_and(|incident| incident.status != "resolved");
                into.filter(open).is_some_and(|into| {
                    let merged = pagerduty.human_merges(&id, &into, user);
                    if merged {
                        self.notes().merges.insert(id.clone(), into);
                    }
                    merged
                })
            }
            Act::IncidentUrgency { high } => {
                effect = if high { lets_go } else { effect };
                pagerduty.human_updates_urgency(&id, user, if high { "high" } else { "low" })
            }
            Act::IncidentPriority(level) => pagerduty.human_updates_priority(&id, user, &format!("P{level}")),
            Act::IncidentEscalate => {
                effect = lets_go;
                pagerduty.human_escalates(&id, user)
            }
            Act::IncidentReassign => {
                effect = lets_go;
                pagerduty.human_reassigns(&id, user, ON_CALL[usize::from(!deed.second_person)])
            }
            Act::IncidentSnooze => {
                effect = lets_go;
                pagerduty.human_snoozes(&id, user, 60)
            }
            Act::AcknowledgementTimesOut => {
                effect = lets_go;
                pagerduty.ack_times_out(&id)
            }
            Act::OtherEvent => {
                pagerduty.posts_event(&id, "incident.service_updated", user);
                true
            }
            _ => false,
        };
        drop(pagerduty);
        if done {
            self.did(System::PagerDuty, &id, deed, effect);
        }
        self.stir(System::PagerDuty);
    }

    fn did(&self, in_system: System, on: &str, deed: &Deed, effect: Effect) {
        let at_ms = self.now_ms();
        self.tell(|| format!("{in_system}: deed {}: {:?} on {on}", deed.number, deed.act));
        let mut notes = self.notes();
        let Effect { state, token, special } = effect;
        notes.done.push(Done { on: on.to_owned(), at_ms, state, special });
        if in_system == System::Opsgenie && deed.act == Act::Create {
            notes.alerts.push(on.to_owned());
        }
        notes.written.extend(token.map(|token| Written {
            in_system,
            on: on.to_owned(),
            token,
            at_ms,
            undisturbed: true,
            lost: false,
        }));
    }

    /// All alerts that there ever were, oldest first.
    pub(super) fn all_alerts(&self) -> Vec<String> {
        self.notes().alerts.clone()
    }
}

fn who(deed: &Deed, people: [&'static str; 2]) -> &'static str {
    people[usize::from(deed.second_person)]
}

/// What stands in the text of this deed's note and in no other one.
fn token(deed: &Deed) -> String {
    format!("<{}>", deed.number)
}

/// The incidents that stood for an alert, each merged into the next.
pub(super) fn chain(pagerduty: &PagerDuty, merges: &BTreeMap<String, String>, alert: &str) -> Vec<String> {
    let own = pagerduty.incident_by_key(&format!("opsgenie:{alert}")).last().map(|incident| incident.id.clone());
    let mut chain: Vec<String> = own.into_iter().collect();
    while let Some(next) = chain.last().and_then(|id| merges.get(id))
        && !chain.contains(next)
    {
        chain.push(next.clone());
    }
    chain
}
