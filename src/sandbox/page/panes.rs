//! The vendors' panes: what people see in either application, and what they can do there.

use std::fmt;

use askama::Template;
use simulators::opsgenie::{Alert, AlertStatus};
use simulators::pagerduty::{self, Incident, IncidentStatus};
use simulators::{Opsgenie, PagerDuty};

use super::faults::{Switch, Switches};

/// How many alerts or incidents a pane shows, the newest first.
pub(super) const SHOWN: usize = 12;

/// How many notes of each are shown, the newest last.
const NOTES: usize = 8;

/// A moment as the page shows it: in UTC, until the visitor's browser puts it in their own time. It is safe HTML, since nothing in
/// it comes from outside.
pub(super) struct Moment(pub(super) jiff::Timestamp);

impl Moment {
    fn of_millis(at_ms: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default())
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<time datetime=\"{}\">{}</time>", self.0, self.0.strftime("%H:%M:%S"))
    }
}

/// A word that says where something stands, and how it is coloured.
#[derive(Clone, Copy)]
pub(super) struct Badge {
    pub(super) class: &'static str,
    pub(super) word: &'static str,
}

pub(super) struct NoteView {
    by: String,
    /// Whether crosspage has brought it.
    ours: bool,
    text: String,
    at: Moment,
}

/// A vendor's switches.
#[derive(Template)]
#[template(path = "sandbox/page/faults.html")]
pub(super) struct FaultsPane<'a> {
    pub(super) vendor: &'static str,
    pub(super) name: &'static str,
    pub(super) switches: &'a Switches,
}

impl FaultsPane<'_> {
    fn all(&self) -> [Switch; 6] {
        Switch::ALL
    }
}

#[derive(Template)]
#[template(path = "sandbox/page/opsgenie.html")]
pub(super) struct OpsgeniePane<'a> {
    alerts: Vec<AlertView<'a>>,
    older: usize,
    people: &'a [&'a str],
}

struct AlertView<'a> {
    alert: &'a Alert,
    badge: Badge,
    notes: Vec<NoteView>,
    earlier: usize,
    snoozed: Option<Moment>,
}

impl AlertView<'_> {
    fn is_open(&self) -> bool {
        self.alert.status == AlertStatus::Open
    }
}

impl<'a> OpsgeniePane<'a> {
    /// `ours` is the name under which crosspage writes.
    pub(super) fn of(opsgenie: &'a Opsgenie, people: &'a [&'a str], ours: &str) -> Self {
        let alerts = opsgenie.alerts();
        let older = alerts.len().saturating_sub(SHOWN);
        let alerts = alerts.into_iter().rev().take(SHOWN).map(|alert| AlertView::of(alert, ours)).collect();
        Self { alerts, older, people }
    }
}

impl<'a> AlertView<'a> {
    fn of(alert: &'a Alert, ours: &str) -> Self {
        let badge = match (alert.status, alert.acknowledged) {
            (AlertStatus::Closed, _) => Badge { class: "over", word: "closed" },
            (AlertStatus::Open, true) => Badge { class: "taken", word: "acknowledged" },
            (AlertStatus::Open, false) => Badge { class: "open", word: "open" },
        };
        let notes = alert.notes.iter().map(|note| NoteView {
            by: note.owner.clone(),
            ours: note.owner == ours,
            text: note.text.clone(),
            at: Moment::of_millis(note.created_at_ms),
        });
        let earlier = alert.notes.len().saturating_sub(NOTES);
        let snoozed = alert.snoozed_until_ms.map(Moment::of_millis);
        Self { alert, badge, notes: notes.skip(earlier).collect(), earlier, snoozed }
    }
}

#[derive(Template)]
#[template(path = "sandbox/page/pagerduty.html")]
pub(super) struct PagerDutyPane<'a> {
    incidents: Vec<IncidentView<'a>>,
    older: usize,
    people: &'a [pagerduty::User],
}

struct IncidentView<'a> {
    incident: &'a Incident,
    badge: Badge,
    /// Where it comes from, if it is none of crosspage's mirrored ones.
    stranger: Option<&'static str>,
    assignees: String,
    notes: Vec<NoteView>,
    earlier: usize,
    snoozed: Option<Moment>,
    /// The incidents that it can be merged into.
    others: Vec<(&'a str, &'a str)>,
}

impl IncidentView<'_> {
    fn is(&self, status: &str) -> bool {
        self.incident.status.as_str() == status
    }
}

impl<'a> PagerDutyPane<'a> {
    pub(super) fn of(pagerduty: &'a PagerDuty, account: &'a pagerduty::Options) -> Self {
        let incidents = pagerduty.incidents();
        let older = incidents.len().saturating_sub(SHOWN);
        let newest = || incidents.iter().rev().take(SHOWN).copied();
        let open = || newest().filter(|incident| incident.status != IncidentStatus::Resolved);
        let view = |incident: &'a Incident| {
            let others = open().filter(|other| other.id != incident.id);
            let others = others.map(|other| (other.id.as_str(), other.title.as_str())).collect();
            IncidentView::of(incident, others, account)
        };
        Self { incidents: newest().map(view).collect(), older, people: &account.users }
    }
}

impl<'a> IncidentView<'a> {
    fn of(incident: &'a Incident, others: Vec<(&'a str, &'a str)>, account: &pagerduty::Options) -> Self {
        let name = |id: &str| {
            let mut users = account.users.iter().chain([&account.automation]);
            users.find(|user| user.id == id).map_or_else(|| id.to_owned(), |user| user.name.clone())
        };
        let badge = match incident.status {
            IncidentStatus::Triggered => Badge { class: "open", word: "triggered" },
            IncidentStatus::Acknowledged => Badge { class: "taken", word: "acknowledged" },
            IncidentStatus::Resolved if incident.resolve_reason.is_some() => Badge { class: "over", word: "merged" },
            IncidentStatus::Resolved => Badge { class: "over", word: "resolved" },
        };
        let stranger = match (&incident.incident_key, &incident.alert_key) {
            (_, Some(_)) => Some("by the Events API"),
            (Some(key), None) if key.starts_with("opsgenie:") => None,
            _ => Some("not crosspage's"),
        };
        let notes = incident.notes.iter().map(|note| NoteView {
            by: name(&note.user_id),
            ours: note.user_id == account.automation.id,
            text: note.text.clone(),
            at: Moment::of_millis(note.created_at_ms),
        });
        let earlier = incident.notes.len().saturating_sub(NOTES);
        let assignees: Vec<_> = incident.assignees.iter().map(|id| name(id)).collect();
        Self {
            badge,
            stranger,
            assignees: assignees.join(", "),
            notes: notes.skip(earlier).collect(),
            earlier,
            snoozed: incident.snoozed_until_ms.map(Moment::of_millis),
            others,
            incident,
        }
    }
}
