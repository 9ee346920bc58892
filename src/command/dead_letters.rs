//! What was given up.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{beginning, moment};
use super::{Done, Failure, Format};
use crate::clock::now;
use crate::engine::{Action, AlertId};
use crate::store::{DeadLetter, Store};

/// What can be done about dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what was given up, by alert.
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Try again: what was parked behind it goes on after it. Whatever it may have sent is looked for first.
    #[command(after_help = "Example: crosspage dead-letters redrive 17 23")]
    Redrive {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Format,
    },
    /// Leave it undone for good. With a creation, what is parked behind it goes too, and nobody is paged for the alert.
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        format: Format,
    },
}

/// Which dead letters are meant.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Their numbers, as `list` shows them.
    #[arg(value_name = "NUMBER")]
    numbers: Vec<u64>,
    /// Those of one alert.
    #[arg(long, value_name = "ID", value_parser = |id: &str| AlertId::try_from(id))]
    alert: Option<AlertId>,
    /// All that `list` shows.
    #[arg(long)]
    all: bool,
}

impl Command {
    pub(super) async fn run(self, store: &Store) -> Result<Done, Failure> {
        match self {
            Self::List { format } => list(store, format).await,
            Self::Redrive { which, format } => redrive(store, which, format).await,
            Self::Discard { which, format } => discard(store, which, format).await,
        }
    }
}

impl Which {
    async fn numbers(self, store: &Store) -> Result<Vec<u64>, Failure> {
        if !self.numbers.is_empty() {
            return Ok(self.numbers);
        }
        let letters = store.dead_letters().await?;
        let meant =
            letters.iter().filter(|letter| self.alert.as_ref().is_none_or(|alert| letter.entry.alert == *alert));
        Ok(meant.map(|letter| letter.entry.id).collect())
    }
}

async fn list(store: &Store, format: Format) -> Result<Done, Failure> {
    let letters = store.dead_letters().await?;
    let summary = store.summary().await?;
    let mut output = format.output();
    let heading = ["NUMBER", "GIVEN UP", "ALERT", "TO", "WHAT", "WHY"];
    output.list(&letters, &heading, "Nothing was given up.", row, object)?;
    if summary.dead_letters > letters.len() as u64 {
        output.remark(&format!("The first {} of {} are shown.", letters.len(), summary.dead_letters))?;
    }
    Ok(Done::All)
}

async fn redrive(store: &Store, which: Which, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let may_be_none = which.all;
    let numbers = which.numbers(store).await?;
    let mut done = none_is_meant(&mut output, &numbers, may_be_none)?;
    for number in numbers {
        let letter = store.redrive(number, now()).await?;
        done = done.and(letter.is_some());
        match letter {
            Some(letter) => {
                let sentence = format!("{number}: {} goes on at the next start.", what(&letter));
                output.say(&sentence, &json!({ "number": number, "redriven": true, "alert": letter.entry.alert }))?;
            }
            None => not_there(&mut output, number)?,
        }
    }
    Ok(done)
}

async fn discard(store: &Store, which: Which, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let may_be_none = which.all;
    let numbers = which.numbers(store).await?;
    let mut done = none_is_meant(&mut output, &numbers, may_be_none)?;
    for number in numbers {
        let discarded = store.discard(number, now()).await?;
        done = done.and(discarded.is_some());
        match discarded {
            Some(discarded) => {
                let parked = discarded.parked.len();
                let mut sentence = format!("{number}: {} is left undone", what(&discarded.letter));
                if parked > 0 {
                    sentence.push_str(&format!(", and so is what was parked behind it: {parked}"));
                }
                sentence.push('.');
                let alert = &discarded.letter.entry.alert;
                let json = json!({ "number": number, "discarded": true, "alert": alert, "parked": parked });
                output.say(&sentence, &json)?;
            }
            None => not_there(&mut output, number)?,
        }
    }
    Ok(done)
}

type Out = super::Output<std::io::Stdout>;

fn none_is_meant(output: &mut Out, numbers: &[u64], may_be_none: bool) -> Result<Done, Failure> {
    if numbers.is_empty() {
        output.remark("Nothing was given up.")?;
    }
    Ok(Done::All.and(may_be_none || !numbers.is_empty()))
}

fn not_there(output: &mut Out, number: u64) -> Result<(), Failure> {
    let sentence = format!("{number}: there is no such dead letter (any more).");
    Ok(output.say(&sentence, &json!({ "number": number, "found": false }))?)
}

fn what(letter: &DeadLetter) -> String {
    let entry = &letter.entry;
    format!("{} for alert {} in {}", entry.command.action.name(), entry.alert, entry.command.to)
}

fn row(letter: &DeadLetter) -> Vec<String> {
    let entry = &letter.entry;
    let action = &entry.command.action;
    let what =
        text(action).map_or_else(|| action.name().to_owned(), |text| format!("{}: {}", action.name(), beginning(text)));
    let (at, to) = (moment(letter.at), entry.command.to.to_string());
    vec![entry.id.to_string(), at, entry.alert.to_string(), to, what, letter.reason.clone()]
}

fn object(letter: &DeadLetter) -> Value {
    let entry = &letter.entry;
    json!({
        "number": entry.id,
        "alert": entry.alert,
        "to": entry.command.to,
        "action": entry.command.action.name(),
        "text": text(&entry.command.action),
        "reason": letter.reason,
        "queued_at": moment(entry.queued_at),
        "given_up_at": moment(letter.at),
        "attempts": entry.attempt,
    })
}

/// The text that was to be written.
fn text(action: &Action) -> Option<&str> {
    match action {
        Action::Create(new) => Some(&new.title),
        Action::Note { text, .. } => Some(text),
        Action::SetStatus { .. }
        | Action::UpdatePriority { .. }
        | Action::FetchAlert
        | Action::FetchIncident
        | Action::FetchNote { .. } => None,
    }
}
