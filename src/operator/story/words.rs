//! What happened, and why something was or was not done about it, in words for people.

use crate::engine::decide::{Guard, Unlinked};
use crate::engine::{AlertAction, IncidentChange, NotYet, Order, Ordered, Outcome, Reason, Seen, Settled, Status};

/// Why that was, or was not, done.
pub(super) fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Mirrored => "It is passed on to the other side.",
        Reason::Linked => "The incident is known now, so the link is complete.",
        Reason::Echo(Guard::Actor) => "It is our own change coming back: whoever did it is crosspage.",
        Reason::Echo(Guard::WrittenNote) => "It is a note that crosspage wrote, coming back.",
        Reason::Echo(Guard::Commanded) => "It is the state that crosspage had commanded, coming back.",
        Reason::Echo(Guard::Prefix) => {
            "It bears crosspage's attribution, and nobody tells who wrote it: it is taken for our own."
        }
        Reason::InStep => "The other side is there already, or on its way there: nothing is to be done.",
        Reason::Unclear => "It cannot be told whether it is older or newer than what is known: the incident is read.",
        Reason::Stale => "A newer state of the same side is known, so it is too old to count.",
        Reason::Duplicate => "It was heard before.",
        Reason::Ignored => "Such events are not passed on.",
        Reason::Unlinked(why) => unlinked(why),
        Reason::Joining => {
            "The webhook of the alert's creation was missed: the alert is read to see whether it should page."
        }
        Reason::Held => "It waits for what is being read, and is decided on after that.",
        Reason::AlertClosed => "The alert is closed, and nothing can reopen a closed alert.",
        Reason::AlertDeleted => "The alert was deleted, so nothing can be written to it.",
        Reason::NoIncident => "The alert was closed before its incident was created, so there is none.",
        Reason::Revived => "A late change of ours had reopened what a person had resolved: it is resolved again.",
        Reason::PutRight => "A late change of ours had undone what a person did meanwhile: that is restored.",
        Reason::NoteTwin => "The same note came once by itself and once with another action: it is passed on once.",
        Reason::Carried => "It was carried out.",
        Reason::Overtaken => "Events had overtaken it, so it was not sent.",
        Reason::Superseded => "The other side is resolved, and crosspage does not revive what is resolved.",
        Reason::GivenUp => "It was given up: it is a dead letter, to be redriven or discarded.",
        Reason::Fetched => "It was read.",
        Reason::NoDrift => "The look showed nothing new.",
        Reason::Drift => "The look showed what no webhook had told: that is decided on next.",
        Reason::NotYet(NotYet::Unfinished) => {
            "The look proves nothing yet, since a change of ours to that side is on its way: it is taken again."
        }
        Reason::NotYet(NotYet::TooFresh) => {
            "The look proves nothing yet, since that side had changed shortly before: it is taken again."
        }
        Reason::Vanished => "The incident is not there any more.",
        Reason::Paused => "The link is paused: its commands are held until an operator resumes it.",
        Reason::Resumed => "The link's commands go on.",
        Reason::Redriven => "What was given up is tried again.",
        Reason::Discarded => "What was given up, or parked behind it, is left undone.",
    }
}

fn unlinked(why: Unlinked) -> &'static str {
    match why {
        Unlinked::NotOurs => "The incident is somebody else's: crosspage did not create it.",
        Unlinked::OtherIncident => "The alert has another incident.",
        Unlinked::OtherService => "The incident bears a key like ours, but is on another service.",
        Unlinked::BeforeFirstRun => {
            "The alert was created before crosspage first ran here, and such alerts do not page. It can be linked by hand."
        }
        Unlinked::TooOld => "The alert is older than RETENTION_DAYS, so it is not taken in any more.",
        Unlinked::NotOpen => "The alert is closed or deleted: nobody is paged for what is over.",
        Unlinked::NoSuchAlert => "Opsgenie has no such alert.",
        Unlinked::NoSuchLink => "There is no link for it.",
        Unlinked::ByOperator => "An operator has ended the link for good.",
    }
}

/// What was done to an alert.
pub(super) fn alert(action: &AlertAction) -> String {
    match action {
        AlertAction::Create => "created the alert".to_owned(),
        AlertAction::Acknowledge { .. } => "acknowledged the alert".to_owned(),
        AlertAction::Unacknowledge { .. } => "un-acknowledged the alert".to_owned(),
        AlertAction::Close { .. } => "closed the alert".to_owned(),
        AlertAction::AddNote { .. } => "wrote a note on the alert".to_owned(),
        AlertAction::UpdatePriority => "changed the alert's priority".to_owned(),
        AlertAction::AssignOwnership { owner: Some(owner) } => format!("assigned the alert to {owner}"),
        AlertAction::AssignOwnership { owner: None } => "assigned the alert".to_owned(),
        AlertAction::TakeOwnership => "took ownership of the alert".to_owned(),
        AlertAction::Snooze => "snoozed the alert".to_owned(),
        AlertAction::EscalateToNext => "escalated the alert to the next step".to_owned(),
        AlertAction::Delete => "deleted the alert".to_owned(),
        AlertAction::Other(name) => format!("did {name:?} to the alert"),
    }
}

/// What was done to an incident.
pub(super) fn incident(change: &IncidentChange, status: Option<Status>) -> String {
    match change {
        IncidentChange::Triggered => "triggered the incident".to_owned(),
        IncidentChange::Acknowledged => "acknowledged the incident".to_owned(),
        IncidentChange::Unacknowledged => "let go of the incident, or its acknowledgement timed out".to_owned(),
        IncidentChange::Resolved => "resolved the incident".to_owned(),
        IncidentChange::MergedInto(incident) => format!("merged the incident into {incident}"),
        IncidentChange::Reopened => "reopened the incident".to_owned(),
        IncidentChange::Annotated(_) => "wrote a note on the incident".to_owned(),
        IncidentChange::Read => format!("brought the incident to: {}", known(status)),
        IncidentChange::Other(name) => match status {
            Some(status) => format!("did {name:?} to the incident, which is {status}"),
            None => format!("did {name:?} to the incident"),
        },
    }
}

/// What a look at one side showed.
pub(in crate::operator) fn seen(seen: &Seen) -> String {
    match seen {
        Seen::Alert { alert, .. } => format!("the alert was looked at: it is {}", alert.status),
        Seen::NoAlert => "the alert was looked for: it is not there".to_owned(),
        Seen::Incident { status, merged_into: Some(incident), .. } => {
            format!("the incident was looked at: it is {status}, and was merged into {incident}")
        }
        Seen::Incident { status, merged_into: None, .. } => format!("the incident was looked at: it is {status}"),
        Seen::NoIncident(_) => "the incident was looked for: it is not there".to_owned(),
        Seen::AlertNotes(_) => "the alert's notes were looked at".to_owned(),
        Seen::IncidentNotes(..) => "the incident's notes were looked at".to_owned(),
    }
}

/// How a command ended.
pub(super) fn ended(settled: &Settled) -> String {
    let action = settled.entry.command.action.name();
    match outcome(&settled.outcome) {
        Some(result) => format!("our {action} ended: {result}"),
        None => format!("our {action} ended"),
    }
}

/// What became of a command.
pub(super) fn outcome(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Created { incident, .. } => Some(format!("incident {incident}")),
        Outcome::Noted { id, .. } => id.as_ref().map(|id| format!("note {id}")),
        Outcome::InState { status, .. } => Some(status.to_string()),
        Outcome::Superseded { .. } => Some("the other side is resolved, and was left alone".to_owned()),
        Outcome::Merged { into, .. } => Some(format!("the incident goes on as {into}")),
        Outcome::Prioritised => None,
        Outcome::NotApplicable => Some("the priority cannot be shown there".to_owned()),
        Outcome::FetchedAlert(Some(alert)) => Some(format!("the alert is {}", alert.status)),
        Outcome::FetchedAlert(None) => Some("there is no such alert".to_owned()),
        Outcome::FetchedIncident(Some(incident)) => Some(format!("the incident is {}", incident.status)),
        Outcome::FetchedIncident(None) => Some("there is no such incident".to_owned()),
        Outcome::FetchedNote(Some(_)) => Some("the note was read in full".to_owned()),
        Outcome::FetchedNote(None) => Some("the note is gone".to_owned()),
        Outcome::Dropped(why) => Some(why.name().to_owned()),
        Outcome::Dead { reason } => Some(reason.clone()),
    }
}

/// What was ordered.
pub(super) fn order(ordered: &Ordered) -> String {
    match &ordered.order {
        Order::Pause { .. } => "paused the link".to_owned(),
        Order::Resume => "resumed the link".to_owned(),
        Order::Redrive { entry, .. } => format!("redrove {} (dead letter {})", entry.command.action.name(), entry.id),
        Order::Look(system) => format!("had {system} looked at"),
        Order::Discard(entry) => format!("discarded {} (dead letter {})", entry.command.action.name(), entry.id),
        Order::Unlink => "ended the link".to_owned(),
        Order::Link { incident } => format!("linked the alert with incident {incident} by hand"),
    }
}

fn known(status: Option<Status>) -> String {
    status.map_or_else(|| "unknown".to_owned(), |status| status.to_string())
}
