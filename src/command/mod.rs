//! The operator's commands. Each opens the store itself, which one process at a time can do: crosspage must not run on it.

mod dead_letters;
mod links;
mod output;
mod quarantine;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::app::{self, Tuning};
use crate::clock::now;
use crate::config::{Config, ConfigError};
use crate::store::{DatabaseUrl, Settings, Store, StoreError};
use output::Output;

/// What an operator can look at and have done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// What was given up: list it, try it again, or leave it undone.
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Webhooks that could not be read: list them, read them again, or drop them.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Notes that wait for incidents which are being created.
    #[command(subcommand)]
    Waiting(waiting::Command),
    /// Alerts and their incidents: list them, show one's story, hold its commands, or let them go on.
    #[command(subcommand)]
    Links(links::Command),
}

/// Nothing of what was asked for is there, or not all of it could be done or told.
const EXIT_NOT_ALL: u8 = 1;
/// The configuration is wrong, there is no store, or the listener cannot be opened.
pub const EXIT_SETUP: u8 = 2;
/// The store cannot be opened, or it or another part has failed. A supervisor should restart crosspage, and an operator
/// should look.
pub const EXIT_FAILED: u8 = 3;
/// The store is in use.
const EXIT_IN_USE: u8 = 4;

/// Why a command could not even begin, or broke off.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("there is no database in {}: run this where crosspage runs, with the same settings", .0.display())]
    NoDatabase(PathBuf),
    #[error(
        "a running crosspage has the database in {}, and only one process can have it: stop that one, run this command \
         again, and start it again. PagerDuty sends again what it could not deliver meanwhile, and the reconciler makes up for \
         the rest",
        .0.display()
    )]
    InUse(PathBuf),
    #[error(transparent)]
    Store(StoreError),
    #[error("cannot write the answer: {0}")]
    Output(#[from] std::io::Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Locked { path } => Self::InUse(path),
            error => Self::Store(error),
        }
    }
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) | Self::NoDatabase(_) => EXIT_SETUP,
            Self::InUse(_) => EXIT_IN_USE,
            Self::Store(_) => EXIT_FAILED,
            Self::Output(_) => EXIT_NOT_ALL,
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
}

/// Does what the command says, and tells how that went by the exit code: 0 done, 1 not there or not (all) done, 2 wrong
/// set-up, 3 the store has failed, 4 the store is in use.
pub async fn run(command: Command) -> ExitCode {
    match carry_out(command).await {
        Ok(Done::All) => ExitCode::SUCCESS,
        Ok(Done::NotAll) => ExitCode::from(EXIT_NOT_ALL),
        Err(failure) => {
            eprintln!("crosspage: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

async fn carry_out(command: Command) -> Result<Done, Failure> {
    let store = open()?;
    let done = match command {
        Command::DeadLetters(command) => command.run(&store).await,
        Command::Quarantine(command) => command.run(&store).await,
        Command::Waiting(command) => command.run(&store).await,
        Command::Links(command) => command.run(&store).await,
    };
    // A store that has failed says so here as well, and why.
    let closed = store.close().await;
    let done = done?;
    closed?;
    Ok(done)
}

/// Opens the store that the configuration names. Unlike the server it makes no new one: that would be the wrong folder.
fn open() -> Result<Store, Failure> {
    let config = Config::from_env()?;
    let DatabaseUrl::Sled(folder) = &config.database;
    if !folder.is_dir() {
        return Err(Failure::NoDatabase(folder.clone()));
    }
    let settings = Settings::new(app::policy(&config, &Tuning::default()));
    Ok(Store::open(&config.database, settings, now())?)
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
        Output::new(std::io::stdout(), std::io::stderr(), self.json)
    }
}
