//! `crosspage check`: whether what crosspage needs is there, works, and may do what it is to do; and if not, which key is at
//! fault and what to do about it.
//!
//! Each check is told as a [`Finding`]. Nothing is changed: two calls ask for a change, of an alert and of an incident that
//! cannot exist, since there is no other way to tell whether a key may write. Only [`end_to_end`] makes something, and it
//! takes that away again.

mod access;
pub mod end_to_end;
mod here;
mod operator;
mod opsgenie;
mod pagerduty;
mod subscription;

use std::fmt;

use serde::Serialize;

use crate::app;
use crate::config::{Config, ConfigError, Problem};
use crate::delivery::Vendors;
use crate::http::{HttpSettings, InvalidSetting};

pub use here::Running;

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and is unwise or cannot be told for sure.
    Warning,
    /// It does not work.
    Failed,
    /// It was not looked at, or cannot be.
    Skipped,
}

/// What came of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `pagerduty.service`.
    pub check: &'static str,
    /// How that went.
    pub verdict: Verdict,
    /// What was found. It never shows a secret.
    pub found: String,
    /// The configuration key that is at fault, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_do: Option<String>,
    /// How many milliseconds it took, where that is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into(), key: None, to_do: None, took_ms: None }
    }

    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, found)
    }

    fn warning(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, found)
    }

    fn failed(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Failed, found)
    }

    fn skipped(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, found)
    }

    fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    fn way_out(self, what: impl Into<String>) -> Self {
        Self { to_do: Some(what.into()), ..self }
    }
}

/// What came of all checks, in the order in which they were made. Each is told to somebody as soon as it is known.
pub struct Report<'a> {
    findings: Vec<Finding>,
    tell: Box<dyn FnMut(&Finding) + 'a>,
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.findings).finish()
    }
}

impl<'a> Report<'a> {
    /// An empty one, of which each finding is told by `tell`.
    pub fn told_by(tell: impl FnMut(&Finding) + 'a) -> Self {
        Self { findings: Vec::new(), tell: Box::new(tell) }
    }

    /// What was found so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many of them are so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    fn add(&mut self, finding: Finding) {
        (self.tell)(&finding);
        self.findings.push(finding);
    }

    /// Tells why there was no test from end to end, and what to do about it.
    pub fn no_test(&mut self, why: &str, to_do: &str) {
        self.add(Finding::failed("e2e", why).way_out(to_do));
    }

    /// Tells what is wrong with the configuration, so that nothing else can be looked at.
    pub fn misconfigured(&mut self, error: &ConfigError) {
        for problem in &error.problems {
            self.add(of_problem(Verdict::Failed, problem));
        }
        let everything_else =
            Finding::skipped("everything_else", "it cannot be looked at before the configuration is right");
        self.add(match error.no_file() {
            Some(no_file) => everything_else.way_out(no_file),
            None => everything_else,
        });
    }
}

fn of_problem(verdict: Verdict, problem: &Problem) -> Finding {
    Finding::new("configuration", verdict, format!("{} {}", problem.key, problem.text)).key(&problem.key)
}

/// Makes all checks but the one from end to end, and says whether crosspage runs.
///
/// # Errors
/// If the vendors' clients cannot be built.
pub async fn run(config: &Config, report: &mut Report<'_>) -> Result<Running, InvalidSetting> {
    configuration(config, report);
    let vendors = vendors(config)?;
    pagerduty::check(config, &vendors.pagerduty, report).await;
    opsgenie::check(config, &vendors.opsgenie, report).await;
    Ok(here::check(config, report).await)
}

fn vendors(config: &Config) -> Result<Vendors, InvalidSetting> {
    app::vendors(config, &HttpSettings::default())
}

fn configuration(config: &Config, report: &mut Report<'_>) {
    for warning in &config.warnings {
        report.add(of_problem(Verdict::Warning, warning));
    }
    if config.warnings.is_empty() {
        report.add(Finding::ok("configuration", "nothing is missing or odd"));
    }
}
