//! What was given up.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::output::{beginning, moment};
use super::{Done, Failure, Format, Out};
use crate::clock::now;
use crate::engine::{Action, AlertId};
use crate::store::{DeadLetter, Store, StoreError};

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
    /// All of them.
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
    /// The numbers of what is meant. If that is nothing, it is said.
    async fn numbers(self, store: &Store, output: &mut Out) -> Result<(Vec<u64>, Done), Failure> {
        if !self.numbers.is_empty() {
            return Ok((self.numbers, Done::All));
        }
        let Some(alert) = self.alert else {
            let numbers = all(store).await?;
            if numbers.is_empty() {
                output.remark("Nothing was given up.")?;
            }
            return Ok((numbers, Done::All));
        };
        let numbers: Vec<u64> = store.dead_letters_of(&alert).await?.iter().map(|letter| letter.entry.id).collect();
        if numbers.is_empty() {
            let sentence = format!("Nothing was given up for alert {alert}.");
            output.say(&sentence, &json!({ "alert": alert, "found": false }))?;
        }
        let done = Done::All.and(!numbers.is_empty());
        Ok((numbers, done))
    }
}

/// The numbers of all dead letters, however many there are.
async fn all(store: &Store) -> Result<Vec<u64>, StoreError> {
    let mut numbers = Vec::new();
    let mut letters = store.dead_letters().await?;
    while let Some(last) = letters.last() {
        let (alert, entry) = (last.entry.alert.clone(), last.entry.id);
        numbers.extend(letters.iter().map(|letter| letter.entry.id));
        letters = store.dead_letters_after(alert, entry).await?;
    }
    Ok(numbers)
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
    let (numbers, mut done) = which.numbers(store, &mut output).await?;
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
    let (numbers, mut done) = which.numbers(store, &mut output).await?;
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
