//! The command line: parse, call, exit code.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};
use crosspage::app::{Application, Tuning};
use crosspage::command::{EXIT_FAILED, EXIT_SETUP};
use crosspage::config::{Config, ConfigError};
use crosspage::telemetry;
use tokio::signal::unix::{SignalKind, signal};

/// Keeps an Opsgenie alert and a PagerDuty incident telling the same story.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Subcommands>,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Take webhooks and pass on what they tell (the default).
    #[command(after_help = "Example: crosspage serve")]
    Serve,
    /// Ask the crosspage that runs here whether it takes webhooks; for health checks.
    #[command(
        after_help = "Exit codes: 0 it does, 1 it does not, or nothing answers, 2 the configuration is wrong.\n\nExample: crosspage health"
    )]
    Health,
    #[command(flatten)]
    SetUp(crosspage::command::SetUp),
    #[command(flatten)]
    Operator(crosspage::command::Command),
    /// Write completions for a shell.
    #[command(after_help = "Example: crosspage completions bash > /etc/bash_completion.d/crosspage")]
    Completions(crosspage::command::completions::Options),
    /// Try crosspage between two simulated vendors on this machine; no account is needed.
    #[cfg(feature = "sandbox")]
    #[command(after_help = "Example: crosspage sandbox --once")]
    Sandbox(crosspage::sandbox::Options),
}

/// How long what blocks a thread, such as the look-up of a host's name that nobody answers, may hold up the exit.
const LEFT_BEHIND: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(EXIT_FAILED, &format!("cannot start: {error}")),
    };
    let code = match arguments.command.unwrap_or(Subcommands::Serve) {
        Subcommands::Serve => runtime.block_on(serve()),
        Subcommands::Health => runtime.block_on(crosspage::command::health::run()),
        Subcommands::SetUp(command) => runtime.block_on(crosspage::command::set_up(command)),
        Subcommands::Operator(command) => runtime.block_on(crosspage::command::run(command)),
        Subcommands::Completions(options) => options.run(Arguments::command()),
        #[cfg(feature = "sandbox")]
        Subcommands::Sandbox(options) => runtime.block_on(crosspage::sandbox::run(options)),
    };
    runtime.shutdown_timeout(LEFT_BEHIND);
    code
}

async fn serve() -> ExitCode {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => return misconfigured(&error),
    };
    if let Err(error) = telemetry::init(config.log_format, &config.log_filter) {
        return fail(EXIT_SETUP, &error.to_string());
    }
    telemetry::log_panics();
    let (mut interrupt, mut terminate) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
        (Err(error), _) | (_, Err(error)) => return fail(EXIT_FAILED, &format!("cannot listen for signals: {error}")),
    };
    let mut app = match Application::start(config, Tuning::default()).await {
        Ok(app) => app,
        Err(error) if error.is_of_the_set_up() => return fail(EXIT_SETUP, &error.to_string()),
        Err(error) => return fail(EXIT_FAILED, &error.to_string()),
    };
    let failure = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        error = app.failed() => Some(error),
    };
    match failure {
        None => {
            app.stop().await;
            ExitCode::SUCCESS
        }
        // Nothing is tidied up: what was acknowledged is on disk, and a store that failed is not to be written to.
        Some(failure) => fail(EXIT_FAILED, &failure.to_string()),
    }
}

/// Tells each problem: at a terminal in plain text, otherwise as a line of the log, which is what is collected there.
fn misconfigured(error: &ConfigError) -> ExitCode {
    if std::io::stderr().is_terminal() || telemetry::init(Config::log_format_alone(), "error").is_err() {
        return fail(EXIT_SETUP, &error.to_string());
    }
    let problems = error.problems.iter().map(|problem| (problem.key.as_str(), problem.text.clone()));
    for (key, problem) in problems.chain(error.no_file().map(|no_file| (".env", no_file))) {
        tracing::error!(key, problem, "the configuration is wrong: crosspage does not start");
    }
    ExitCode::from(EXIT_SETUP)
}

fn fail(code: u8, message: &str) -> ExitCode {
    tracing::error!("{message}");
    // The log may be filtered, or not set up yet; whoever started this must see it.
    if !tracing::enabled!(tracing::Level::ERROR) {
        crosspage::command::complain(message);
    }
    ExitCode::from(code)
}
