//! Alerts and their incidents.

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{beginning, moment};
use super::{Done, Failure, Format, Out};
use crate::clock::now;
use crate::engine::{AlertId, Entry, Event, EventBody, Link, Page, Reason, Side};
use crate::store::book::LONGEST_LIST;
use crate::store::{Recorded, Store, TimelineEntry, Verdict};

/// How many links are read at once.
const LINKS: usize = 100;

/// What can be done about links.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the links, by their alerts' ids.
    List {
        /// Only those that are paused.
        #[arg(long)]
        paused: bool,
        /// At most so many.
        #[arg(long, default_value_t = 1000)]
        limit: usize,
        /// Those after this alert's.
        #[arg(long, value_name = "ALERT", value_parser = |id: &str| AlertId::try_from(id))]
        after: Option<AlertId>,
        #[command(flatten)]
        format: Format,
    },
    /// Show a link: where both sides stand, what happened and what was made of it, and what is still to be done.
    Show {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        #[command(flatten)]
        format: Format,
    },
    /// Hold what is still to be done for a link. What happens is put down, and a page still goes out.
    Pause {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        /// Why, for those who come later.
        #[arg(long, default_value = "by an operator")]
        reason: String,
        #[command(flatten)]
        format: Format,
    },
    /// End a link for good: nothing is passed on any more, and nothing pages for the alert again.
    Unlink {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        #[command(flatten)]
        format: Format,
    },
    /// Resume a paused link: what was held is sent.
    Resume {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        #[command(flatten)]
        format: Format,
    },
}

impl Command {
    pub(super) async fn run(self, store: &Store) -> Result<Done, Failure> {
        match self {
            Self::List { paused, limit, after, format } => list(store, paused, limit, after, format).await,
            Self::Show { alert, format } => show(store, &alert, format).await,
            Self::Pause { alert, reason, format } => {
                let recorded = store.pause(&alert, &reason, now()).await?;
                ordered(&alert, &recorded, format)
            }
            Self::Unlink { alert, format } => unlink(store, &alert, format).await,
            Self::Resume { alert, format } => {
                let recorded = store.resume(&alert, now()).await?;
                ordered(&alert, &recorded, format)
            }
        }
    }
}

async fn list(
    store: &Store,
    paused: bool,
    limit: usize,
    mut after: Option<AlertId>,
    format: Format,
) -> Result<Done, Failure> {
    let mut found = Vec::new();
    let mut more = false;
    loop {
        let links = store.links_after(after.take(), LINKS).await?;
        let Some(last) = links.last() else { break };
        after = Some(last.alert.clone());
        found.extend(links.into_iter().filter(|link| !paused || link.paused.is_some()));
        if found.len() > limit {
            found.truncate(limit);
            more = true;
            break;
        }
    }
    let mut output = format.output();
    let heading = ["ALERT", "OPSGENIE", "INCIDENT", "PAGERDUTY", "CHANGED", "PAUSED", "ABOUT"];
    let none = if paused { "No link is paused." } else { "There are no links." };
    output.list(&found, &heading, none, row, object)?;
    if let Some(last) = found.last().filter(|_| more) {
        output.remark(&format!("There are more: go on with --after {}", last.alert))?;
    }
    Ok(Done::All)
}

async fn show(store: &Store, alert: &AlertId, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let Some(link) = store.link(alert).await? else {
        return not_there(&mut output, alert);
    };
    let timeline = store.timeline(alert).await?;
    let entries = store.entries(alert).await?;
    let dead: Vec<u64> = store.dead_letters_of(alert).await?.iter().map(|letter| letter.entry.id).collect();
    if format.json {
        let mut shown = object(&link);
        shown["timeline"] = timeline.iter().map(happened).collect();
        shown["to_do"] = entries.iter().map(to_do).collect();
        shown["dead_letters"] = json!(dead);
        output.say("", &shown)?;
        return cut_short(&mut output, &timeline, &entries);
    }
    let page = page(&link);
    output.remark(&format!("Alert {alert}: {}", link.facts.message.as_deref().unwrap_or("without a headline")))?;
    output.remark(&format!("Opsgenie: {}. PagerDuty: {page}, {}.", stands(&link.opsgenie), stands(&link.pagerduty)))?;
    if let Some(paused) = &link.paused {
        output.remark(&format!("Paused since {}: {}", moment(paused.at), paused.reason))?;
    }
    if !dead.is_empty() {
        let numbers: Vec<_> = dead.iter().map(u64::to_string).collect();
        output.remark(&format!("Dead letters: {}", numbers.join(", ")))?;
    }
    let to_do = |entry: &Entry| {
        let due = moment(entry.due_at);
        let (to, trouble) = (entry.command.to.to_string(), entry.trouble.clone().unwrap_or_default());
        vec![entry.id.to_string(), due, to, entry.command.action.name().to_owned(), trouble]
    };
    output
        .list(&entries, &["TO DO", "DUE", "IN", "WHAT", "TROUBLE"], "Nothing is to be done.", to_do, |_| Value::Null)?;
    let line = |entry: &TimelineEntry| vec![moment(entry.at), name(&entry.event), entry.reason.to_string()];
    output.list(&timeline, &["WHEN", "WHAT", "REASON"], "Nothing is known to have happened.", line, |_| Value::Null)?;
    cut_short(&mut output, &timeline, &entries)
}

/// Says where more may be than is shown.
fn cut_short(output: &mut Out, timeline: &[TimelineEntry], entries: &[Entry]) -> Result<Done, Failure> {
    if entries.len() >= LONGEST_LIST {
        output.remark(&format!("Of what is to be done, no more than the first {LONGEST_LIST} are shown."))?;
    }
    if timeline.len() >= LONGEST_LIST {
        output.remark(&format!("Of what has happened, no more than the newest {LONGEST_LIST} are shown."))?;
    }
    Ok(Done::All)
}

async fn unlink(store: &Store, alert: &AlertId, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let Some(ended) = store.unlink(alert, now()).await? else { return not_there(&mut output, alert) };
    let (to_do, letters) = (ended.entries.len(), ended.letters.len());
    let sentence =
        format!("The link of alert {alert} is ended. Dropped with it: {to_do} to be done, {letters} given up.");
    let dropped = json!({ "to_do": to_do, "dead_letters": letters });
    output.say(&sentence, &json!({ "alert": alert, "unlinked": true, "dropped": dropped }))?;
    Ok(Done::All)
}

fn not_there(output: &mut Out, alert: &AlertId) -> Result<Done, Failure> {
    output.say(&format!("There is no link for alert {alert}."), &json!({ "alert": alert, "found": false }))?;
    Ok(Done::NotAll)
}

fn ordered(alert: &AlertId, recorded: &Recorded, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let reason = match &recorded.verdict {
        Verdict::Decided(decisions) => decisions.first().map(|(_, reason)| *reason),
        Verdict::Repeat | Verdict::Waiting | Verdict::Quarantined(_) => None,
    };
    let Some(reason) = reason.filter(|reason| !matches!(reason, Reason::Unlinked(_))) else {
        return not_there(&mut output, alert);
    };
    let sentence = if reason == Reason::InStep {
        format!("That is so already for alert {alert}.")
    } else if reason == Reason::Resumed {
        format!("The commands for alert {alert} go on at the next start.")
    } else {
        format!("The commands for alert {alert} are held.")
    };
    output.say(&sentence, &json!({ "alert": alert, "result": reason.to_string() }))?;
    Ok(Done::All)
}

fn row(link: &Link) -> Vec<String> {
    vec![
        link.alert.to_string(),
        stands(&link.opsgenie),
        page(link),
        stands(&link.pagerduty),
        moment(link.changed_at),
        link.paused.as_ref().map_or_else(|| "-".to_owned(), |paused| beginning(&paused.reason)),
        beginning(link.facts.message.as_deref().unwrap_or_default()),
    ]
}

fn object(link: &Link) -> Value {
    let status = |side: &Side| side.known.map(|known| known.status);
    json!({
        "alert": link.alert,
        "message": link.facts.message,
        "incident": link.incident(),
        "page": page(link),
        "opsgenie": status(&link.opsgenie),
        "pagerduty": status(&link.pagerduty),
        "linked_at": moment(link.linked_at),
        "changed_at": moment(link.changed_at),
        "paused": link.paused.as_ref().map(|paused| json!({ "reason": paused.reason, "since": moment(paused.at) })),
    })
}

fn happened(entry: &TimelineEntry) -> Value {
    json!({
        "at": moment(entry.at),
        "event": name(&entry.event),
        "request_id": entry.event.request_id,
        "reason": entry.reason.to_string(),
        "commands": entry.commands,
    })
}

fn to_do(entry: &Entry) -> Value {
    json!({
        "number": entry.id,
        "to": entry.command.to,
        "action": entry.command.action.name(),
        "due_at": moment(entry.due_at),
        "attempts": entry.attempt,
        "trouble": entry.trouble,
    })
}

/// The incident, or how far it has come.
fn page(link: &Link) -> String {
    match &link.page {
        Page::Joining => "being looked at".to_owned(),
        Page::Pending => "being created".to_owned(),
        Page::Standing(incident) => incident.to_string(),
        Page::Dead => "given up".to_owned(),
        Page::Withheld if link.unlinked => "unlinked".to_owned(),
        Page::Withheld => "withheld".to_owned(),
    }
}

fn stands(side: &Side) -> String {
    side.known.map_or_else(|| "unknown".to_owned(), |known| known.status.to_string())
}

fn name(event: &Event) -> String {
    match &event.body {
        EventBody::Alert(happened) => format!("alert {}", happened.action.name()),
        EventBody::Incident(happened) => format!("incident {}", happened.change.name()),
        EventBody::Settled(settled) => {
            format!("{} {} ended", settled.entry.command.to, settled.entry.command.action.name())
        }
        EventBody::Polled(polled) => format!("looked at {}", polled.seen.name()),
        EventBody::Operator(operator) => operator.order.name().to_owned(),
    }
}
