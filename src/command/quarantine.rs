//! Webhooks that could not be read.

use clap::{Args, Subcommand};

use super::access::Access;
use super::{Done, Failure, Format, Out, USUAL_LIST, consent, listed};
use crate::operator::LONGEST_ORDER;
use crate::operator::view::QuarantinedView;

/// What can be done about the quarantine.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what could not be read, oldest first.
    #[command(after_help = "Example: crosspage quarantine list --json")]
    List {
        /// At most so many.
        #[arg(long, default_value_t = USUAL_LIST)]
        limit: usize,
        #[command(flatten)]
        format: Format,
    },
    /// Show what was sent.
    #[command(after_help = "Example: crosspage quarantine show 4")]
    Show {
        /// The number, as `list` shows it.
        number: u64,
        #[command(flatten)]
        format: Format,
    },
    /// Read it again, perhaps by a newer version: what can be read now is taken in, the rest stays. A creation pages only if
    /// the alert is open still.
    #[command(after_help = "Example: crosspage quarantine replay --all")]
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Format,
    },
    /// Drop it for good.
    #[command(after_help = "Example: crosspage quarantine discard 4 7")]
    Discard {
        #[command(flatten)]
        which: Which,
        /// Drop all of it without asking first.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        format: Format,
    },
}

/// What in the quarantine is meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// The numbers, as `list` shows them.
    #[arg(value_name = "NUMBER")]
    numbers: Vec<u64>,
    /// All of it.
    #[arg(long)]
    all: bool,
}

impl Command {
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        match self {
            Self::List { limit, format } => list(access, limit, format).await,
            Self::Show { number, format } => show(access, number, format).await,
            Self::Replay { which, format } => replay_all(access, which, format).await,
            Self::Discard { which, yes, format } => discard(access, which, yes, format).await,
        }
    }
}

impl Which {
    /// The numbers of what is meant, however much there is. If that is nothing, it is said. What comes in meanwhile is not
    /// meant, so that what goes back into the quarantine is not taken for ever.
    async fn numbers(self, access: &Access, output: &mut Out) -> Result<Vec<u64>, Failure> {
        if !self.numbers.is_empty() {
            return Ok(self.numbers);
        }
        let all = listed(usize::MAX, None, async |after, limit| access.quarantine(after, limit).await).await?;
        if all.items.is_empty() {
            output.remark("The quarantine is empty.")?;
        }
        Ok(all.items.iter().map(|item| item.number).collect())
    }
}

async fn list(access: &Access, limit: usize, format: Format) -> Result<Done, Failure> {
    let shown = listed(limit, None, async |after, limit| access.quarantine(after, limit).await).await?.items;
    let status = access.status().await?;
    let mut output = format.output();
    output.list(&shown, &["NUMBER", "CAME", "FROM", "BYTES", "WHY"], "The quarantine is empty.", row)?;
    if status.quarantined > shown.len() as u64 {
        output.remark(&format!("The first {} of {} are shown.", shown.len(), status.quarantined))?;
    }
    if status.quarantine_expired > 0 {
        output.remark(&format!("Dropped since they were too old: {}.", status.quarantine_expired))?;
    }
    Ok(Done::All)
}

async fn show(access: &Access, number: u64, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let Some(item) = output.unless_refused(access.quarantined(number).await)? else { return Ok(Done::NotAll) };
    let body = item.body.as_deref().unwrap_or("(what was sent is hidden: ADMIN_NOTE_TEXTS)");
    output.say_lines(body, &item)?;
    Ok(Done::All)
}

async fn replay_all(access: &Access, which: Which, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let mut done = Done::All;
    for numbers in which.numbers(access, &mut output).await?.chunks(LONGEST_ORDER) {
        for (number, replayed) in numbers.iter().zip(access.replay(numbers).await?) {
            let replayed = output.unless_refused(replayed)?;
            done = done.and(replayed.as_ref().is_some_and(|replayed| replayed.taken));
            if let Some(replayed) = replayed {
                output.say(&format!("{number}: {}.", replayed.what), &replayed)?;
            }
        }
    }
    Ok(done)
}

async fn discard(access: &Access, which: Which, yes: bool, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let mut done = Done::All;
    let all = which.all;
    let numbers = which.numbers(access, &mut output).await?;
    if all && !numbers.is_empty() {
        let question = format!("Drop for good: {}. Go on?", numbers.len());
        if output.unless_refused(consent::is_needed(yes, access, &question))?.is_none() {
            return Ok(Done::NotAll);
        }
    }
    for numbers in numbers.chunks(LONGEST_ORDER) {
        for (number, dropped) in numbers.iter().zip(access.drop_quarantined(numbers).await?) {
            let dropped = output.unless_refused(dropped)?;
            done = done.and(dropped.is_some());
            if let Some(dropped) = dropped {
                output.say(&format!("{number}: dropped."), &dropped)?;
            }
        }
    }
    Ok(done)
}

fn row(item: &QuarantinedView) -> Vec<String> {
    let (came, from) = (item.received_at.to_string(), item.system.to_string());
    vec![item.number.to_string(), came, from, item.bytes.to_string(), item.reason.clone()]
}
