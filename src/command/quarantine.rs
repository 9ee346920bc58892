//! Webhooks that could not be read.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::moment;
use super::{Done, Failure, Format, Out};
use crate::operator::{Replayed, replay};
use crate::store::{Quarantined, Store, Verdict};

/// What can be done about the quarantine.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what could not be read, oldest first; with `--json` also what was sent.
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Read it again, perhaps by a newer version: what can be read now is taken in, the rest stays. A creation pages only if
    /// the alert is open still.
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Format,
    },
    /// Drop it for good.
    Discard {
        #[command(flatten)]
        which: Which,
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
    pub(super) async fn run(self, store: &Store) -> Result<Done, Failure> {
        match self {
            Self::List { format } => list(store, format).await,
            Self::Replay { which, format } => replay_all(store, which, format).await,
            Self::Discard { which, format } => discard(store, which, format).await,
        }
    }
}

impl Which {
    /// The numbers of what is meant, however much there is. If that is nothing, it is said. What comes in meanwhile is not
    /// meant, so that what goes back into the quarantine is not taken for ever.
    async fn numbers(self, store: &Store, output: &mut Out) -> Result<Vec<u64>, Failure> {
        if !self.numbers.is_empty() {
            return Ok(self.numbers);
        }
        let mut numbers = Vec::new();
        let mut items = store.quarantined().await?;
        while let Some((last, _)) = items.last() {
            let last = *last;
            numbers.extend(items.iter().map(|(number, _)| *number));
            items = store.quarantined_after(last).await?;
        }
        if numbers.is_empty() {
            output.remark("The quarantine is empty.")?;
        }
        Ok(numbers)
    }
}

async fn list(store: &Store, format: Format) -> Result<Done, Failure> {
    let items = store.quarantined().await?;
    let summary = store.summary().await?;
    let mut output = format.output();
    output.list(&items, &["NUMBER", "CAME", "FROM", "BYTES", "WHY"], "The quarantine is empty.", row, object)?;
    if summary.quarantined > items.len() as u64 {
        output.remark(&format!("The first {} of {} are shown.", items.len(), summary.quarantined))?;
    }
    if summary.quarantine_expired > 0 {
        output.remark(&format!("Dropped since they were too old: {}.", summary.quarantine_expired))?;
    }
    Ok(Done::All)
}

async fn replay_all(store: &Store, which: Which, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let mut done = Done::All;
    for number in which.numbers(store, &mut output).await? {
        let replayed = replay(store, number).await?;
        let (taken, what) = match &replayed {
            Replayed::Recorded(recorded) => (true, said(&recorded.verdict)),
            Replayed::NothingToDo(event_type) => (true, format!("nothing to do for {event_type}")),
            Replayed::Unreadable(reason) => (false, format!("it cannot be read still: {reason}")),
            Replayed::NotThere => {
                done = Done::NotAll;
                not_there(&mut output, number)?;
                continue;
            }
        };
        done = done.and(taken);
        output.say(&format!("{number}: {what}."), &json!({ "number": number, "taken": taken, "what": what }))?;
    }
    Ok(done)
}

async fn discard(store: &Store, which: Which, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let mut done = Done::All;
    for number in which.numbers(store, &mut output).await? {
        if store.discard_quarantined(number).await?.is_some() {
            output.say(&format!("{number}: dropped."), &json!({ "number": number, "discarded": true }))?;
        } else {
            done = Done::NotAll;
            not_there(&mut output, number)?;
        }
    }
    Ok(done)
}

fn not_there(output: &mut Out, number: u64) -> Result<(), Failure> {
    let sentence = format!("{number}: no such number: `crosspage quarantine list` shows them.");
    Ok(output.say(&sentence, &json!({ "number": number, "found": false }))?)
}

fn said(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Repeat => "it had come again meanwhile, and was taken then".to_owned(),
        Verdict::Waiting => "it waits for its incident, which is being created".to_owned(),
        Verdict::Quarantined(number) => format!("it lies in the quarantine again, as {number}"),
        Verdict::Decided(decisions) => {
            let reasons: Vec<_> = decisions.iter().map(|(_, reason)| reason.to_string()).collect();
            reasons.join(", ")
        }
    }
}

fn row((number, item): &(u64, Quarantined)) -> Vec<String> {
    let (came, from) = (moment(item.received_at), item.system.to_string());
    vec![number.to_string(), came, from, item.body.len().to_string(), item.reason.clone()]
}

fn object((number, item): &(u64, Quarantined)) -> Value {
    json!({
        "number": number,
        "system": item.system,
        "received_at": moment(item.received_at),
        "reason": item.reason,
        "request_id": item.request_id,
        "form": item.form,
        "body": String::from_utf8_lossy(&item.body),
    })
}
