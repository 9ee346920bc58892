//! `crosspage sandbox`: the product between two simulated vendors on loopback. It plays one incident's story in both
//! directions, and then stays open to be played with: on a page of its own, or by the vendors' own APIs.

mod page;
mod stage;
mod story;

use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::telemetry::{self, LogFormat};
use page::Page;
use stage::{Stage, Trial};

/// What the sandbox is to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// End after the story; the exit code is 0 only if every step showed on the other side.
    #[arg(long)]
    pub once: bool,
    /// Where the page is served: an IP address and a port; port 0 is any that is free. It is answered by the names of this
    /// machine only.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5010", conflicts_with = "once")]
    pub listen: SocketAddr,
    /// Show the log of crosspage while it works.
    #[arg(long)]
    pub log: bool,
}

/// Runs the sandbox.
pub async fn run(options: Options) -> ExitCode {
    if options.log
        && let Err(error) = telemetry::init(LogFormat::Text, "info")
    {
        eprintln!("crosspage: {error}");
    }
    let ended = if options.once { play_once().await } else { stay_open(options.listen).await };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crosspage: the sandbox could not be set up: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play_once() -> Result<bool, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    // The story is told of crosspage as it comes.
    let stage = Stage::set(folder.path(), &Trial::default()).await?;
    print(&stage.whereabouts());
    let rows = stage.story().await;
    print(&story::table(&rows));
    stage.clear().await;
    Ok(story::converged(&rows))
}

async fn stay_open(listen: SocketAddr) -> Result<bool, Box<dyn std::error::Error>> {
    // Whatever is wrong with the address is said before anything else is started.
    let listener = page::bind(listen)?;
    let folder = tempfile::tempdir()?;
    let trial = Trial::from_env();
    let stage = Stage::set(folder.path(), &trial).await?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    print(&stage.whereabouts());
    // With another configuration, other things show.
    if trial.is_usual() {
        print(&story::table(&stage.story().await));
    }
    let page = Page::serve(listener, stage, trial)?;
    print(&page.invitation());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    page.close().await;
    Ok(true)
}

fn print(text: &str) {
    use std::io::Write as _;
    // Nobody may be reading any more; the exit code tells how the story went all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
