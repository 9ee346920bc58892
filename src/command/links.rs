//! Alerts and their incidents.

use clap::Subcommand;
use serde::Serialize;

use super::access::Access;
use super::output::beginning;
use super::{Done, Failure, Format, Out, USUAL_LIST, listed};
use crate::engine::{AlertId, IncidentId};
use crate::operator::Which;
use crate::operator::view::{DeadLetterView, EntryView, LinkView, Ordered};
use crate::store::book::LONGEST_LIST;

/// What can be done about links.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the links, by their alerts' ids.
    #[command(after_help = "Example: crosspage links list --paused")]
    List {
        /// Only those that are paused.
        #[arg(long, conflicts_with = "open")]
        paused: bool,
        /// Only those between whose sides anything may still be told.
        #[arg(long)]
        open: bool,
        /// At most so many.
        #[arg(long, default_value_t = USUAL_LIST)]
        limit: usize,
        /// Those after this alert's.
        #[arg(long, value_name = "ALERT", value_parser = |id: &str| AlertId::try_from(id))]
        after: Option<AlertId>,
        #[command(flatten)]
        format: Format,
    },
    /// Show a link: where both sides stand, what is still to be done, and what was given up. `crosspage explain` tells why.
    #[command(after_help = "Example: crosspage links show 4a3f0d1e-1700000000000")]
    Show {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        #[command(flatten)]
        format: Format,
    },
    /// Hold what is still to be done for a link. What happens is put down, and a page still goes out.
    #[command(after_help = "Example: crosspage links pause 4a3f0d1e-1700000000000 --reason 'a loop'")]
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
    #[command(after_help = "Example: crosspage links unlink 4a3f0d1e-1700000000000")]
    Unlink {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        #[command(flatten)]
        format: Format,
    },
    /// Link an alert with an incident by hand: one from before crosspage first ran, or whose link was ended. Nobody is paged; both
    /// are read, and where they differ the usual rules tell what follows.
    #[command(after_help = "Example: crosspage links link 4a3f0d1e-1700000000000 Q1ABCDEF2GHIJK")]
    Link {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        /// The incident's id.
        #[arg(value_parser = |id: &str| IncidentId::try_from(id))]
        incident: IncidentId,
        #[command(flatten)]
        format: Format,
    },
    /// Resume a paused link: what was held is sent.
    #[command(after_help = "Example: crosspage links resume 4a3f0d1e-1700000000000")]
    Resume {
        /// The alert's id.
        #[arg(value_parser = |id: &str| AlertId::try_from(id))]
        alert: AlertId,
        #[command(flatten)]
        format: Format,
    },
}

impl Command {
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        match self {
            Self::List { paused, open, limit, after, format } => {
                let which = if paused { Which::Paused } else { Which::All };
                list(access, if open { Which::Open } else { which }, limit, after, format).await
            }
            Self::Show { alert, format } => show(access, &alert, format).await,
            Self::Pause { alert, reason, format } => {
                let ordered = access.pause(&alert, &reason).await;
                tell(ordered, &format!("The commands for alert {alert} are held."), format)
            }
            Self::Link { alert, incident, format } => {
                let ordered = access.link_to(&alert, &incident).await;
                tell(
                    ordered,
                    &format!("Alert {alert} is linked with {incident}. Both are read{}.", access.when()),
                    format,
                )
            }
            Self::Unlink { alert, format } => unlink(access, &alert, format).await,
            Self::Resume { alert, format } => {
                let ordered = access.resume(&alert).await;
                tell(ordered, &format!("The commands for alert {alert} go on{}.", access.when()), format)
            }
        }
    }
}

async fn list(
    access: &Access,
    which: Which,
    limit: usize,
    after: Option<AlertId>,
    format: Format,
) -> Result<Done, Failure> {
    // One more than is shown tells whether there are more.
    let page = async |after: Option<&str>, limit| access.links(which, after, limit).await;
    let mut shown = listed(limit.saturating_add(1), after.map(String::from), page).await?.items;
    let more = shown.len() > limit;
    shown.truncate(limit);
    let mut output = format.output();
    let heading = ["ALERT", "OPSGENIE", "INCIDENT", "PAGERDUTY", "CHANGED", "PAUSED", "ABOUT"];
    let none = match which {
        Which::All => "There are no links.",
        Which::Open => "No link is open.",
        Which::Paused => "No link is paused.",
    };
    output.list(&shown, &heading, none, row)?;
    if let Some(last) = shown.last().filter(|_| more) {
        output.remark(&format!("There are more: go on with --after {}", last.alert))?;
    }
    Ok(Done::All)
}

/// A link, and what hangs on it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    link: LinkView,
    /// What is to be carried out for it, oldest first.
    entries: Vec<EntryView>,
    /// What was given up for it.
    dead_letters: Vec<DeadLetterView>,
}

async fn show(access: &Access, alert: &AlertId, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let Some(link) = output.unless_refused(access.link(alert).await)? else { return Ok(Done::NotAll) };
    let (entries, dead_letters) = (access.entries_of(alert).await?, access.dead_letters_of(alert).await?);
    let shown = Shown { link, entries, dead_letters };
    if output.is_json() {
        output.say("", &shown)?;
    } else {
        stands(&mut output, &shown.link)?;
        let numbers: Vec<_> = shown.dead_letters.iter().map(|letter| letter.entry.number.to_string()).collect();
        if !numbers.is_empty() {
            output.line(&format!("Dead letters: {}", numbers.join(", ")))?;
        }
        let heading = ["TO DO", "DUE", "IN", "WHAT", "TROUBLE"];
        output.list(&shown.entries, &heading, "Nothing is to be done.", to_do)?;
        output.line(&format!("What happened, and why: crosspage explain {alert}"))?;
    }
    if shown.entries.len() >= LONGEST_LIST {
        output.remark(&format!("Of what is to be done, no more than the first {LONGEST_LIST} are shown."))?;
    }
    Ok(Done::All)
}

/// Tells where both sides of a link stand, in a few lines.
pub(super) fn stands(output: &mut Out, link: &LinkView) -> Result<(), Failure> {
    let LinkView { alert, message, tiny_id, priority, .. } = link;
    let about: Vec<String> = tiny_id.iter().map(|tiny| format!("#{tiny}")).chain(priority.clone()).collect();
    let about = if about.is_empty() { String::new() } else { format!(" ({})", about.join(", ")) };
    output.line(&format!("Alert {alert}{about}: {}", message.as_deref().unwrap_or("without a headline")))?;
    output.line(&format!(
        "Opsgenie: {}. PagerDuty: {}, {}.",
        link.opsgenie.words(),
        page(link),
        link.pagerduty.words()
    ))?;
    if let Some(paused) = &link.paused {
        output.line(&format!("Paused since {}: {}", paused.since, paused.reason))?;
    }
    Ok(())
}

async fn unlink(access: &Access, alert: &AlertId, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let Some(ended) = output.unless_refused(access.unlink(alert).await)? else { return Ok(Done::NotAll) };
    let (entries, letters) = (ended.entries, ended.dead_letters);
    let sentence =
        format!("The link of alert {alert} is ended. Dropped with it: {entries} to be done, {letters} given up.");
    output.say(&sentence, &ended)?;
    Ok(Done::All)
}

fn tell(ordered: Result<Ordered, Failure>, sentence: &str, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let Some(ordered) = output.unless_refused(ordered)? else { return Ok(Done::NotAll) };
    let already = format!("It was so already: {sentence}");
    output.say(if ordered.changed { sentence } else { &already }, &ordered)?;
    Ok(Done::All)
}

fn row(link: &LinkView) -> Vec<String> {
    vec![
        link.alert.to_string(),
        link.opsgenie.words(),
        page(link),
        link.pagerduty.words(),
        link.changed_at.to_string(),
        link.paused.as_ref().map_or_else(|| "-".to_owned(), |paused| beginning(&paused.reason)),
        beginning(link.message.as_deref().unwrap_or_default()),
    ]
}

fn to_do(entry: &EntryView) -> Vec<String> {
    let trouble = entry.trouble.clone().unwrap_or_default();
    vec![entry.number.to_string(), entry.due_at.to_string(), entry.to.to_string(), entry.action.clone(), trouble]
}

/// The incident, or how far it has come.
fn page(link: &LinkView) -> String {
    link.incident.as_ref().map_or_else(|| link.page.words().to_owned(), ToString::to_string)
}
