//! What people do on the page, done in the simulated vendors' own applications.

use serde::Deserialize;
use simulators::opsgenie::NewAlert;
use simulators::{Opsgenie, PagerDuty};

/// How long a snooze lasts.
const SNOOZE_S: i64 = 600;

/// The longest text that is taken, in characters; the vendors have limits of their own.
const TEXT_CHARS: usize = 5_000;

/// What a form of the page tells; each action needs some of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Form {
    /// Who does it: an e-mail address in Opsgenie, a user's id in PagerDuty.
    by: String,
    /// A headline, a note or a closing note.
    text: String,
    /// What else an alert says.
    description: String,
    /// `P1` to `P5`.
    priority: String,
    /// To whom, or into which incident.
    to: String,
}

/// Why nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// There is no such thing.
    #[error("There is no such thing here (any more).")]
    NotThere,
    /// The form lacks something.
    #[error("{0}")]
    Incomplete(&'static str),
    /// It is so already, or cannot be now.
    #[error("That changes nothing as things stand.")]
    NothingToDo,
}

impl Form {
    fn text(&self) -> Result<&str, Refused> {
        match self.text.trim() {
            "" => Err(Refused::Incomplete("Write something first.")),
            text if text.chars().count() > TEXT_CHARS => Err(Refused::Incomplete("That is too long.")),
            text => Ok(text),
        }
    }

    fn priority(&self) -> Result<&str, Refused> {
        let known = ["P1", "P2", "P3", "P4", "P5"].contains(&self.priority.as_str());
        if known { Ok(&self.priority) } else { Err(Refused::Incomplete("Choose a priority from P1 to P5.")) }
    }

    /// Who does it, if they may.
    fn by(&self, known: impl Fn(&str) -> bool) -> Result<&str, Refused> {
        if known(&self.by) { Ok(&self.by) } else { Err(Refused::Incomplete("Choose who does it.")) }
    }
}

/// Somebody creates an alert.
pub(super) fn create_alert(opsgenie: &mut Opsgenie, form: &Form, people: &[&str]) -> Result<(), Refused> {
    let new = NewAlert {
        message: form.text()?.to_owned(),
        description: form.description.chars().take(TEXT_CHARS).collect(),
        priority: form.priority()?.to_owned(),
        user: form.by(|by| people.contains(&by))?.to_owned(),
        ..NewAlert::default()
    };
    opsgenie.human_creates(new);
    Ok(())
}

/// Somebody does to an alert what the last part of the route says.
pub(super) fn alert(
    opsgenie: &mut Opsgenie,
    id: &str,
    action: &str,
    form: &Form,
    people: &[&str],
) -> Result<(), Refused> {
    let by = form.by(|by| people.contains(&by))?;
    if opsgenie.alert(id).is_none() {
        return Err(Refused::NotThere);
    }
    let done = match action {
        "acknowledge" => opsgenie.human_acknowledges(id, by),
        "unacknowledge" => opsgenie.human_unacknowledges(id, by),
        "close" => opsgenie.human_closes(id, by, form.text().ok()),
        "note" => opsgenie.human_adds_note(id, by, form.text()?),
        "priority" => opsgenie.human_updates_priority(id, by, form.priority()?),
        "take" => opsgenie.human_takes_ownership(id, by),
        "assign" => {
            let to = people.iter().find(|person| **person == form.to);
            opsgenie.human_assigns(id, by, to.ok_or(Refused::Incomplete("Choose to whom."))?)
        }
        "snooze" => opsgenie.human_snoozes(id, by, SNOOZE_S * 1_000),
        "escalate" => opsgenie.human_escalates_to_next(id, by),
        "delete" => opsgenie.human_deletes(id, by),
        _ => return Err(Refused::NotThere),
    };
    if done { Ok(()) } else { Err(Refused::NothingToDo) }
}

/// Somebody makes an incident that has nothing to do with crosspage.
pub(super) fn trigger_incident(pagerduty: &mut PagerDuty, form: &Form, people: &[&str]) -> Result<(), Refused> {
    let by = form.by(|by| people.contains(&by))?;
    pagerduty.human_triggers(form.text()?, by);
    Ok(())
}

/// Somebody does to an incident what the last part of the route says.
pub(super) fn incident(
    pagerduty: &mut PagerDuty,
    id: &str,
    action: &str,
    form: &Form,
    people: &[&str],
) -> Result<(), Refused> {
    let by = form.by(|by| people.contains(&by))?;
    if pagerduty.incident(id).is_none() {
        return Err(Refused::NotThere);
    }
    let done = match action {
        "acknowledge" => pagerduty.human_acknowledges(id, by),
        "unacknowledge" => pagerduty.human_unacknowledges(id, by),
        "resolve" => pagerduty.human_resolves(id, by, form.text().ok()),
        "reopen" => pagerduty.human_reopens(id, by),
        "note" => !pagerduty.human_adds_note(id, by, form.text()?).is_empty(),
        "priority" => pagerduty.human_updates_priority(id, by, form.priority()?),
        "reassign" => {
            let to = people.iter().find(|person| **person == form.to);
            pagerduty.human_reassigns(id, by, to.ok_or(Refused::Incomplete("Choose to whom."))?)
        }
        "snooze" => pagerduty.human_snoozes(id, by, SNOOZE_S),
        "escalate" => pagerduty.human_escalates(id, by),
        "merge" => pagerduty.human_merges(id, &form.to, by),
        "time-out" => pagerduty.ack_times_out(id),
        _ => return Err(Refused::NotThere),
    };
    if done { Ok(()) } else { Err(Refused::NothingToDo) }
}
