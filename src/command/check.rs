//! `crosspage check`: what the checks found, for people and programs.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::output::Written;
use super::{Done, EXIT_SETUP, Failure, Format, Out, consent};
use crate::check::end_to_end::{self, Patience};
use crate::check::{self, Finding, Report, Running, Verdict};
use crate::clock::now;
use crate::config::Config;

/// What is to be checked.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Then send one test alert through and clean up. It pages whoever is on call; crosspage must be running.
    #[arg(long)]
    e2e: bool,
    /// Do not ask whether to send the test alert.
    #[arg(long, requires = "e2e")]
    yes: bool,
    /// A tag for the test alert, so that a filter lets it through. May be given several times.
    #[arg(long, value_name = "TAG", requires = "e2e")]
    tag: Vec<String>,
    /// The test alert's priority.
    #[arg(long, value_name = "P1..P5", requires = "e2e", default_value = "P5", value_parser = ["P1", "P2", "P3", "P4", "P5"])]
    priority: String,
    /// How many seconds each step of the test may take.
    #[arg(long, value_name = "SECONDS", requires = "e2e", default_value_t = 60)]
    wait: u64,
    #[command(flatten)]
    format: Format,
}

/// Where the text of a finding begins.
const INDENT: usize = 32;

impl Options {
    /// Tells what was found. The exit code is 0 if nothing has failed, 1 if something has, 2 if the configuration is wrong.
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        let mut output = self.format.output();
        let mut told = Ok(());
        let mut report = Report::told_by(|finding| {
            if told.is_ok() {
                told = tell(&mut output, finding);
            }
        });
        let code = match Config::from_env() {
            Ok(config) => self.look(&config, &mut report).await?.exit_code(),
            Err(error) => {
                report.misconfigured(&error);
                ExitCode::from(EXIT_SETUP)
            }
        };
        let [ok, warning, failed, skipped] =
            [Verdict::Ok, Verdict::Warning, Verdict::Failed, Verdict::Skipped].map(|verdict| report.count(verdict));
        let answer = json!({
            "fine": failed == 0,
            "ok": ok, "warnings": warning, "failed": failed, "skipped": skipped,
            "findings": report.findings(),
        });
        drop(report);
        told?;
        if !output.is_json() {
            output.line("")?;
        }
        output.say(&format!("{ok} ok, {warning} with a warning, {failed} failed, {skipped} skipped."), &answer)?;
        Ok(code)
    }

    async fn look(&self, config: &Config, report: &mut Report<'_>) -> Result<Done, Failure> {
        let running = check::run(config, report).await?;
        let fine = report.count(Verdict::Failed) == 0;
        if self.e2e {
            match (fine, running) {
                (false, _) => report.no_test("no test alert was sent, since something else has failed", "mend that first"),
                (true, Running::No) => report.no_test(
                    "no test alert was sent, since no crosspage runs with this configuration that could do anything with it",
                    "start it, and run this beside it",
                ),
                (true, Running::Yes) if !self.may_page(config)? => {
                    report.no_test("no test alert was sent, since nobody has said yes", "say yes, or give --yes");
                }
                (true, Running::Yes) => self.test(config, report).await?,
            }
        }
        Ok(Done::All.and(report.count(Verdict::Failed) == 0))
    }

    /// Whether the test may page: by `--yes`, or by somebody at a terminal who says so.
    fn may_page(&self, config: &Config) -> Result<bool, Failure> {
        let question = format!(
            "This creates a test alert in Opsgenie, of priority {}, which pages whoever is on call for service {} in \
             PagerDuty. Go on?",
            self.priority, config.pagerduty.service_id
        );
        consent::is_given(self.yes, &question)
    }

    async fn test(&self, config: &Config, report: &mut Report<'_>) -> Result<(), Failure> {
        let options = end_to_end::Options {
            tags: self.tag.clone(),
            priority: self.priority.clone(),
            patience: Patience::of(Duration::from_secs(self.wait)),
            number: number(),
        };
        let listen = |kind| signal(kind).map_err(Failure::Signals);
        let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        // From now on, nothing else ends this process at a signal.
        let interrupted = async || {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        Ok(end_to_end::run(config, &options, report, interrupted).await?)
    }
}

/// What tells this run from all others: its moment and its process.
fn number() -> u64 {
    let moment = u64::try_from(now().as_millis()).unwrap_or_default();
    (moment << 20) | u64::from(std::process::id() & 0xf_ffff)
}

/// A finding for people: how it went, what was looked at, and what was found; below it the key at fault and what to do.
fn tell(output: &mut Out, finding: &Finding) -> Written {
    if output.is_json() {
        return Ok(());
    }
    let verdict = match finding.verdict {
        Verdict::Ok => "ok",
        Verdict::Warning => "warning",
        Verdict::Failed => "FAILED",
        Verdict::Skipped => "skipped",
    };
    let took = finding.took_ms.map(|ms| format!(" ({}.{} s)", ms / 1_000, ms % 1_000 / 100)).unwrap_or_default();
    let head = format!("{verdict:<9}{:<width$}", finding.check, width = INDENT - 9);
    output.hanging(&head, &format!("{}{took}", finding.found))?;
    let what = match (&finding.key, &finding.to_do) {
        (Some(key), Some(to_do)) => format!("{key}: {to_do}"),
        // What was found names it, and says all that there is to say.
        (Some(key), None) if finding.found.contains(key.as_str()) => return Ok(()),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => return Ok(()),
    };
    output.hanging(&format!("{:INDENT$}> ", ""), &what)
}
