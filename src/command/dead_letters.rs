//! What was given up.

use clap::{Args, Subcommand};

use super::access::Access;
use super::output::beginning;
use super::{Done, Failure, Format, Out, USUAL_LIST, consent, listed};
use crate::engine::AlertId;
use crate::operator::LONGEST_ORDER;
use crate::operator::view::{DeadLetterView, DiscardedView};

/// What can be done about dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what was given up, by alert.
    #[command(after_help = "Example: crosspage dead-letters list")]
    List {
        /// At most so many.
        #[arg(long, default_value_t = USUAL_LIST)]
        limit: usize,
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
    #[command(after_help = "Example: crosspage dead-letters discard --alert 4a3f0d1e-1700000000000")]
    Discard {
        #[command(flatten)]
        which: Which,
        /// Discard all without asking first.
        #[arg(long)]
        yes: bool,
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
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        match self {
            Self::List { limit, format } => list(access, limit, format).await,
            Self::Redrive { which, format } => redrive(access, which, format).await,
            Self::Discard { which, yes, format } => discard(access, which, yes, format).await,
        }
    }
}

impl Which {
    /// The numbers of what is meant, however much there is. If that is nothing, it is said.
    async fn numbers(self, access: &Access, output: &mut Out) -> Result<(Vec<u64>, Done), Failure> {
        if !self.numbers.is_empty() {
            return Ok((self.numbers, Done::All));
        }
        let numbers = |letters: Vec<DeadLetterView>| letters.iter().map(|letter| letter.entry.number).collect();
        let Some(alert) = self.alert else {
            let all = listed(usize::MAX, None, async |after, limit| access.dead_letters(after, limit).await).await?;
            if all.items.is_empty() {
                output.remark("Nothing was given up.")?;
            }
            return Ok((numbers(all.items), Done::All));
        };
        let letters = access.dead_letters_of(&alert).await?;
        if letters.is_empty() {
            let message = format!("Nothing was given up for alert {alert}.");
            output.unless_refused::<()>(Err(Failure::Refused { code: "not_found".to_owned(), message }))?;
            return Ok((Vec::new(), Done::NotAll));
        }
        Ok((numbers(letters), Done::All))
    }
}

async fn list(access: &Access, limit: usize, format: Format) -> Result<Done, Failure> {
    let shown = listed(limit, None, async |after, limit| access.dead_letters(after, limit).await).await?.items;
    let status = access.status().await?;
    let mut output = format.output();
    let heading = ["NUMBER", "GIVEN UP", "ALERT", "TO", "WHAT", "WHY"];
    output.list(&shown, &heading, "Nothing was given up.", row)?;
    if status.dead_letters > shown.len() as u64 {
        output.remark(&format!("The first {} of {} are shown.", shown.len(), status.dead_letters))?;
    }
    Ok(Done::All)
}

async fn redrive(access: &Access, which: Which, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let (numbers, mut done) = which.numbers(access, &mut output).await?;
    for numbers in numbers.chunks(LONGEST_ORDER) {
        for (number, letter) in numbers.iter().zip(access.redrive(numbers).await?) {
            let letter = output.unless_refused(letter)?;
            done = done.and(letter.is_some());
            if let Some(letter) = letter {
                output.say(&format!("{number}: {} goes on{}.", what(&letter), access.when()), &letter)?;
            }
        }
    }
    Ok(done)
}

async fn discard(access: &Access, which: Which, yes: bool, format: Format) -> Result<Done, Failure> {
    let mut output = format.output();
    let all = which.all;
    let (numbers, mut done) = which.numbers(access, &mut output).await?;
    if all && !numbers.is_empty() {
        let question = format!("Leave undone for good: {}. Go on?", numbers.len());
        if output.unless_refused(consent::is_needed(yes, access, &question))?.is_none() {
            return Ok(Done::NotAll);
        }
    }
    for numbers in numbers.chunks(LONGEST_ORDER) {
        for (number, discarded) in numbers.iter().zip(access.discard(numbers).await?) {
            let discarded = output.unless_refused(discarded)?;
            done = done.and(discarded.is_some());
            if let Some(discarded) = discarded {
                output.say(&left_undone(*number, &discarded), &discarded)?;
            }
        }
    }
    Ok(done)
}

fn left_undone(number: u64, discarded: &DiscardedView) -> String {
    let what = what(&discarded.letter);
    match discarded.parked {
        0 => format!("{number}: {what} is left undone."),
        parked => format!("{number}: {what} is left undone, and so is what was parked behind it: {parked}."),
    }
}

fn what(letter: &DeadLetterView) -> String {
    format!("{} for alert {} in {}", letter.entry.action, letter.entry.alert, letter.entry.to)
}

fn row(letter: &DeadLetterView) -> Vec<String> {
    let entry = &letter.entry;
    let text = entry.text.as_deref().map(|text| format!("{}: {}", entry.action, beginning(text)));
    let what = text.unwrap_or_else(|| entry.action.clone());
    let (at, to) = (letter.given_up_at.to_string(), entry.to.to_string());
    vec![entry.number.to_string(), at, entry.alert.to_string(), to, what, letter.reason.clone()]
}
