//! The operator's commands. What a running crosspage has is asked of its API; without one, a command opens the store itself. Both
//! give the same views, which are written here, for people or as JSON.

mod access;
mod check;
pub mod completions;
mod consent;
mod dead_letters;
mod explain;
pub mod health;
mod links;
mod output;
mod pagerduty;
mod quarantine;
mod reconcile;
mod status;
mod transfer;
mod waiting;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::config::ConfigError;
use crate::http::InvalidSetting;
use crate::operator::view::Listed;
use crate::operator::{LONGEST_PAGE, OperatorError};
use crate::remote::{NoAnswer, Unasked};
use crate::store::StoreError;
use access::Access;
use output::{Output, Unwritten};

/// What an operator can look at and have done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell how crosspage is doing, and whether something wants attention.
    #[command(after_help = "Exit codes: 0 nothing wants attention, 1 something does.\n\nExample: crosspage status")]
    Status(status::Command),
    /// Alerts and their incidents: list them, show one, hold its commands, let them go on, or end it.
    #[command(subcommand)]
    Links(links::Command),
    /// Tell the whole story of an alert or an incident: who did what where, what was made of it and why.
    #[command(after_help = "Example: crosspage explain 'Disk full'")]
    Explain(explain::Command),
    /// Have the running crosspage look at both sides now for what no webhook told, and make up for it.
    #[command(after_help = "Example: crosspage reconcile --dry-run")]
    Reconcile(reconcile::Command),
    /// Write all links into a file, to be taken into another store. crosspage must not run.
    #[command(after_help = "Example: crosspage export --out links.jsonl")]
    Export(transfer::Export),
    /// Take in links that `export` has written; into a new store, if there is none. crosspage must not run.
    #[command(after_help = "Example: crosspage import links.jsonl")]
    Import(transfer::Import),
    /// What was given up: list it, try it again, or leave it undone.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Webhooks that could not be read: list them, show one, read them again, or drop them.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Notes that wait for incidents which are being created.
    #[command(subcommand)]
    Waiting(waiting::Command),
}

/// What helps to set crosspage up.
#[derive(Debug, Subcommand)]
pub enum SetUp {
    /// Try whether everything that crosspage needs is there and works: keys, rights, region, service, webhooks, clocks, store.
    #[command(
        after_help = "Nothing is changed, except by --e2e.\n\nExit codes: 0 nothing has failed, 1 something has, 2 the \
                      configuration is wrong.\n\nExample: crosspage check\nExample: crosspage check --e2e --tag production"
    )]
    Check(check::Options),
    /// Set up PagerDuty's side.
    #[command(subcommand, name = "pagerduty")]
    PagerDuty(pagerduty::Command),
}

/// Nothing of what was asked for is there, or not all of it could be done or told.
const EXIT_NOT_ALL: u8 = 1;
/// The configuration is wrong, there is no store, or an address must not be listened on.
pub const EXIT_SETUP: u8 = 2;
/// The store cannot be opened, an address is in use, or the store or another part has failed. A supervisor should restart
/// crosspage, and an operator should look.
pub const EXIT_FAILED: u8 = 3;
/// A running crosspage has the store, and cannot be asked.
const EXIT_IN_USE: u8 = 4;

/// Why a command could not do what it was told.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("there is no database in {}: run this where crosspage runs, with the same settings", .0.display())]
    NoDatabase(PathBuf),
    #[error(
        "a running crosspage has the database in {}, and {why}. Or stop that one, run this command again, and start it again",
        .folder.display()
    )]
    InUse { folder: PathBuf, why: Unasked },
    #[error(
        "a running crosspage has the database in {}, and this command needs it for itself: stop that one, run this command again, \
         and start it again",
        .0.display()
    )]
    NotAlone(PathBuf),
    /// A file that was to be read.
    #[error("{}: {why}", path.display())]
    Unreadable { path: PathBuf, why: String },
    #[error("cannot make {}: {why}; name a file that is not there yet", path.display())]
    NotMade { path: PathBuf, why: std::io::Error },
    #[error("cannot write {}: {why}", path.display())]
    NotWritten { path: PathBuf, why: std::io::Error },
    /// It is not there, or what was asked for means nothing. Commands write it as their answer.
    #[error("{message}")]
    Refused { code: String, message: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    StoreThere(NoAnswer),
    #[error(transparent)]
    Output(#[from] Unwritten),
    #[error("cannot ask whether to go on: {0}. Give --yes if it may")]
    Unasked(std::io::Error),
    #[error("cannot listen for signals, by which the test is to be ended early: {0}")]
    Signals(std::io::Error),
    #[error("cannot set up the vendors' clients: {0}")]
    Client(#[from] InvalidSetting),
    #[error("cannot set up the client that asks the running crosspage: {0}")]
    AskingClient(String),
    #[error(transparent)]
    Subscription(#[from] pagerduty::Trouble),
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::NotThere(message) => Self::Refused { code: "not_found".to_owned(), message },
            OperatorError::Unclear(message) => Self::Refused { code: "unclear".to_owned(), message },
            OperatorError::Conflict(message) => Self::Refused { code: "conflict".to_owned(), message },
            OperatorError::Store(error) => Self::Store(error),
        }
    }
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_)
            | Self::NoDatabase(_)
            | Self::Unreadable { .. }
            | Self::NotMade { .. }
            | Self::Client(_)
            | Self::AskingClient(_) => EXIT_SETUP,
            Self::InUse { .. } | Self::NotAlone(_) => EXIT_IN_USE,
            Self::Store(_) | Self::StoreThere(_) | Self::Signals(_) => EXIT_FAILED,
            Self::Output(_)
            | Self::NotWritten { .. }
            | Self::Unasked(_)
            | Self::Refused { .. }
            | Self::Subscription(_) => EXIT_NOT_ALL,
        }
    }
}

/// Whether what was asked for was found and done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    All,
    NotAll,
}

impl Done {
    fn and(self, all: bool) -> Self {
        if all { self } else { Self::NotAll }
    }

    fn exit_code(self) -> ExitCode {
        match self {
            Self::All => ExitCode::SUCCESS,
            Self::NotAll => ExitCode::from(EXIT_NOT_ALL),
        }
    }
}

/// Does what the command says, and tells how that went by the exit code: 0 done, 1 not there or not (all) done, 2 wrong
/// set-up, 3 the store has failed, 4 a running crosspage has the store and cannot be asked.
pub async fn run(command: Command) -> ExitCode {
    ended(carry_out(command).await.map(Done::exit_code))
}

/// Does what the command says, and tells how that went by the exit code: 0 done or fine, 1 not done or something has failed,
/// 2 wrong set-up.
pub async fn set_up(command: SetUp) -> ExitCode {
    ended(match command {
        SetUp::Check(options) => options.run().await,
        SetUp::PagerDuty(command) => command.run().await.map(Done::exit_code),
    })
}

fn ended(done: Result<ExitCode, Failure>) -> ExitCode {
    done.unwrap_or_else(|failure| {
        complain(&failure.to_string());
        ExitCode::from(failure.exit_code())
    })
}

/// Tells on standard error what went wrong. Every line says who speaks, so that no text from outside can pass for somebody else's.
pub fn complain(what: &str) {
    for line in what.lines() {
        eprintln!("crosspage: {}", output::plain(line));
    }
}

async fn carry_out(command: Command) -> Result<Done, Failure> {
    match command {
        Command::Status(command) => with(Access::open(), async |access| command.run(access).await).await,
        Command::Links(command) => with(Access::open(), async |access| command.run(access).await).await,
        Command::Explain(command) => with(Access::open(), async |access| command.run(access).await).await,
        Command::Reconcile(command) => with(Access::open(), async |access| command.run(access).await).await,
        Command::Export(command) => with(Access::open(), async |access| command.run(access).await).await,
        Command::Import(command) => {
            // First of all: a file that is of no use must not leave a new store behind.
            let file = command.read()?;
            with(Access::open_or_make(), async |access| file.take_in(access).await).await
        }
        Command::DeadLetters(command) => with(Access::open(), async |access| command.run(access).await).await,
        Command::Quarantine(command) => with(Access::open(), async |access| command.run(access).await).await,
        Command::Waiting(command) => with(Access::open(), async |access| command.run(access).await).await,
    }
}

/// Does something with whoever has the store, and lets go of it.
async fn with(
    access: Result<Access, Failure>,
    run: impl AsyncFnOnce(&Access) -> Result<Done, Failure>,
) -> Result<Done, Failure> {
    let access = access?;
    let done = run(&access).await;
    let closed = access.close().await;
    let done = done?;
    closed?;
    Ok(done)
}

/// How much of a list is shown unless more is asked for.
const USUAL_LIST: usize = 1000;

/// At most `limit` items of a list that comes a page at a time, and where it goes on.
async fn listed<T>(
    limit: usize,
    mut after: Option<String>,
    page: impl AsyncFn(Option<&str>, usize) -> Result<Listed<T>, Failure>,
) -> Result<Listed<T>, Failure> {
    let mut items = Vec::new();
    loop {
        let next = page(after.as_deref(), (limit - items.len()).clamp(1, LONGEST_PAGE)).await?;
        items.extend(next.items);
        items.truncate(limit);
        after = next.next;
        if after.is_none() || items.len() >= limit {
            return Ok(Listed { items, next: after });
        }
    }
}

type Out = Output<std::io::Stdout, std::io::Stderr>;

/// How an answer is to be written.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Format {
    /// Write JSON, for programs.
    #[arg(long)]
    json: bool,
}

impl Format {
    fn output(self) -> Out {
        let dims = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        // A terminal that does not know its width says 0.
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0);
        Output::new(std::io::stdout(), std::io::stderr(), self.json).dimming_if(dims).wrapping_at(width)
    }
}
