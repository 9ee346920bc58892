//! The environment, read once at start into a [`Config`]. Every problem is reported at once, each naming its key.
//!
//! A built `Config` is valid. Values come from the process environment, then from `.env` in the working directory.

mod env_file;
#[cfg(test)]
mod tests;
mod vars;

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::engine::OnResolved;
use crate::store::{DatabaseUrl, DatabaseUrlError};
use crate::telemetry::{self, LogFormat};
use env_file::EnvFile;
use vars::{KEYS, SECRETS, Vars};

/// What an installation has chosen.
#[derive(Clone, Debug)]
pub struct Config {
    /// The incidents' side.
    pub pagerduty: PagerDuty,
    /// The alerts' side.
    pub opsgenie: Opsgenie,
    /// Where webhooks are received.
    pub listen: SocketAddr,
    /// Where operators are served.
    pub admin: Admin,
    /// Where everything is kept.
    pub database: DatabaseUrl,
    /// What a resolved incident does to its alert.
    pub on_pagerduty_resolved: OnResolved,
    /// How long finished links are kept, and how late an alert may still be taken in.
    pub retention: Duration,
    /// How often both sides are listed to find what no webhook told; never, if there is none.
    pub reconcile_every: Option<Duration>,
    /// How log lines are written.
    pub log_format: LogFormat,
    /// Which log lines are written, in the form of `RUST_LOG`.
    pub log_filter: String,
    /// What is allowed but unwise, to be logged at start.
    pub warnings: Vec<Problem>,
}

const LOG_FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];

/// What is needed to talk and listen to PagerDuty.
#[derive(Clone, Debug)]
pub struct PagerDuty {
    /// A REST API key that may write.
    pub api_key: SecretString,
    /// The service that incidents are created on.
    pub service_id: String,
    /// What webhooks are signed with; several while a secret is being replaced. Never empty.
    pub webhook_secrets: Vec<SecretString>,
    /// The automation user's e-mail address, which every write carries.
    pub email: String,
    /// The automation user's name.
    pub user: String,
    /// What paths are appended to, without a slash at its end.
    pub api_url: String,
    /// The vendor's other region, if `api_url` is one of its own; none for a gateway.
    pub other_region: Option<Region>,
    /// Calls a minute.
    pub rate_limit: u32,
    /// The key of an Events API v2 integration, by which somebody is told when pages do not get through.
    pub fallback_routing_key: Option<SecretString>,
    /// Where the Events API is, without a slash at its end.
    pub events_url: String,
}

/// What is needed to talk and listen to Opsgenie.
#[derive(Clone, Debug)]
pub struct Opsgenie {
    /// The key of an API integration.
    pub api_key: SecretString,
    /// The outgoing webhook integrations that are listened to. Never empty.
    pub integration_ids: Vec<String>,
    /// Who our calls say they are.
    pub user: String,
    /// What webhooks carry in `Authorization: Bearer`, if they are to be held to it.
    pub webhook_token: Option<SecretString>,
    /// What paths are appended to, without a slash at its end.
    pub api_url: String,
    /// The vendor's other region, if `api_url` is one of its own; none for a gateway.
    pub other_region: Option<Region>,
    /// Calls a minute.
    pub rate_limit: u32,
    /// Which alerts may page though their creation was missed, in Opsgenie's search language; all, if there is none.
    pub query: Option<String>,
    /// What precedes an alert's id in the address of its page; none when `api_url` is not Opsgenie's own. Nobody could
    /// verify the form of these addresses, so they are good for a link that a person may follow and for nothing else.
    pub alert_page: Option<String>,
}

/// The operator's listener.
#[derive(Clone, Debug)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What everybody must show. Never missing where it listens off loopback.
    pub token: Option<SecretString>,
    /// By which names it may be asked beside those of loopback, in lower case.
    pub hosts: Vec<String>,
    /// Whether what people wrote is shown.
    pub shows_note_texts: bool,
}

/// A region of a vendor's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// What the configuration calls it.
    pub name: &'static str,
    /// Where its API is.
    pub api_url: String,
}

impl Region {
    /// The other one of the vendor's two regions, if `api_url` is one of them.
    fn other_than(api_url: &str, us: &str, eu: &str) -> Option<Self> {
        let (name, other) = match api_url {
            here if here == us => ("eu", eu),
            here if here == eu => ("us", us),
            _ => return None,
        };
        Some(Self { name, api_url: other.to_owned() })
    }
}

/// Everything that is wrong with the environment.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    /// One or more.
    pub problems: Vec<Problem>,
    /// The working directory, if something is missing and there is no `.env` in it.
    pub no_file_in: Option<PathBuf>,
}

/// What is wrong with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, or `.env` for the file itself.
    pub key: String,
    /// What is wrong and what to do, to be read after the key. It never shows a secret.
    pub text: String,
}

impl Config {
    /// Reads the process environment and, behind it, `.env` in the working directory.
    pub fn from_env() -> Result<Self, ConfigError> {
        let file = EnvFile::read(Path::new(".env"))?;
        let read = Self::from_vars(|key| process(key).or_else(|| file.get(key)));
        let mut config = read.map_err(|error| error.where_there_is(&file))?;

        let environment = env::vars_os().map(|(key, _)| key.to_string_lossy().into_owned());
        config.warnings.extend(unknown_keys(environment.collect(), file.keys().map(str::to_owned).collect()));
        Ok(config)
    }

    /// How log lines are to be written, where the rest of the configuration cannot be read.
    pub fn log_format_alone() -> LogFormat {
        let file = EnvFile::read(Path::new(".env")).ok();
        let mut vars = Vars::new(|key| process(key).or_else(|| file.as_ref()?.get(key)));
        vars.optional("LOG_FORMAT", vars::word(&LOG_FORMATS)).unwrap_or_default()
    }

    /// Reads what `lookup` tells of each key, and the files that `<KEY>_FILE` names.
    pub fn from_vars(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut vars = Vars::new(lookup);
        let pagerduty = PagerDuty::read(&mut vars);
        let opsgenie = Opsgenie::read(&mut vars);
        let admin = Admin::read(&mut vars);
        let config = Self {
            admin,
            listen: vars.optional("LISTEN_ADDR", vars::listen).unwrap_or_else(|| ([0, 0, 0, 0], 5001).into()),
            database: vars
                .optional("DATABASE_URL", database)
                .unwrap_or_else(|| DatabaseUrl::Sled("data/crosspage".into())),
            on_pagerduty_resolved: vars
                .optional(
                    "ON_PAGERDUTY_RESOLVED",
                    vars::word(&[("note", OnResolved::Note), ("close", OnResolved::Close)]),
                )
                .unwrap_or(OnResolved::Note),
            retention: days(vars.optional("RETENTION_DAYS", retention_days).unwrap_or(30)),
            reconcile_every: match vars.optional("RECONCILE_INTERVAL_S", reconcile_interval).unwrap_or(60) {
                0 => None,
                seconds => Some(Duration::from_secs(u64::from(seconds))),
            },
            log_format: vars.optional("LOG_FORMAT", vars::word(&LOG_FORMATS)).unwrap_or_default(),
            log_filter: vars.optional("RUST_LOG", log_filter).unwrap_or_else(|| "info".to_owned()),
            warnings: warnings(&opsgenie),
            pagerduty,
            opsgenie,
        };
        match vars.into_problems() {
            problems if problems.is_empty() => Ok(config),
            problems => Err(problems.into()),
        }
    }
}

/// What the process environment says. What is not UTF-8 is refused by the replacement character in it.
fn process(key: &str) -> Option<String> {
    env::var_os(key).map(|value| value.to_string_lossy().into_owned())
}

impl PagerDuty {
    /// Reads the same as [`Config::from_env`] does, before there is a webhook subscription: then there are no secrets.
    pub fn before_the_webhook() -> Result<Self, ConfigError> {
        let file = EnvFile::read(Path::new(".env"))?;
        let of_the_webhook = |key: &str| key.starts_with("PAGERDUTY_WEBHOOK_SECRET");
        let lookup = |key: &str| process(key).or_else(|| file.get(key)).filter(|_| !of_the_webhook(key));
        let mut vars = Vars::new(lookup);
        let read = Self::read(&mut vars);
        let mut problems = vars.into_problems();
        problems.retain(|problem| !of_the_webhook(&problem.key));
        if problems.is_empty() { Ok(read) } else { Err(ConfigError::from(problems).where_there_is(&file)) }
    }

    const US: &str = "https://api.pagerduty.com";
    const EU: &str = "https://api.eu.pagerduty.com";
    const US_EVENTS: &str = "https://events.pagerduty.com";
    const EU_EVENTS: &str = "https://events.eu.pagerduty.com";

    fn read(vars: &mut Vars<impl Fn(&str) -> Option<String>>) -> Self {
        let us = (Self::US, Self::US_EVENTS);
        let preset = vars.optional("PAGERDUTY_REGION", vars::word(&[("us", us), ("eu", (Self::EU, Self::EU_EVENTS))]));
        let (api, events) = preset.unwrap_or(us);
        let api_url = vars.optional("PAGERDUTY_API_URL", vars::base_url).unwrap_or_else(|| api.to_owned());
        Self {
            api_key: vars.required("PAGERDUTY_API_KEY", "a REST API key that may write", vars::header_secret),
            service_id: vars.required("PAGERDUTY_SERVICE_ID", "the id of the service to page", vars::id),
            webhook_secrets: vars.required(
                "PAGERDUTY_WEBHOOK_SECRET",
                "the signing secret of the webhook subscription",
                vars::secrets,
            ),
            email: vars.required("PAGERDUTY_EMAIL", "the automation user's e-mail address", vars::email),
            user: vars.required("PAGERDUTY_USER", "the automation user's name", vars::name),
            other_region: Region::other_than(&api_url, Self::US, Self::EU),
            api_url,
            rate_limit: vars.optional("PAGERDUTY_RATE_LIMIT", rate_limit).unwrap_or(900),
            fallback_routing_key: vars.optional("PAGERDUTY_FALLBACK_ROUTING_KEY", vars::routing_key),
            events_url: vars.optional("PAGERDUTY_EVENTS_URL", vars::base_url).unwrap_or_else(|| events.to_owned()),
        }
    }
}

impl Opsgenie {
    const US: &str = "https://api.opsgenie.com";
    const EU: &str = "https://api.eu.opsgenie.com";

    fn read(vars: &mut Vars<impl Fn(&str) -> Option<String>>) -> Self {
        let preset = vars.optional("OPSGENIE_REGION", vars::word(&[("us", Self::US), ("eu", Self::EU)]));
        let api_url =
            vars.optional("OPSGENIE_API_URL", vars::base_url).unwrap_or_else(|| preset.unwrap_or(Self::US).to_owned());
        let alert_page = match api_url.as_str() {
            Self::US => Some("https://app.opsgenie.com/alert/detail/".to_owned()),
            Self::EU => Some("https://app.eu.opsgenie.com/alert/detail/".to_owned()),
            _ => None,
        };
        Self {
            api_key: vars.required("OPSGENIE_API_KEY", "the key of an API integration", vars::header_secret),
            integration_ids: vars.required(
                "OPSGENIE_INTEGRATION_ID",
                "the id of the outgoing webhook integration",
                vars::ids,
            ),
            user: vars.optional("OPSGENIE_USER", vars::name).unwrap_or_else(|| "crosspage".to_owned()),
            webhook_token: vars.optional("OPSGENIE_WEBHOOK_TOKEN", vars::header_secret),
            other_region: Region::other_than(&api_url, Self::US, Self::EU),
            api_url,
            rate_limit: vars.optional("OPSGENIE_RATE_LIMIT", rate_limit).unwrap_or(900),
            query: vars.optional("OPSGENIE_QUERY", vars::query),
            alert_page,
        }
    }
}

impl Admin {
    fn read(vars: &mut Vars<impl Fn(&str) -> Option<String>>) -> Self {
        let listen = vars.optional("ADMIN_ADDR", vars::admin_listen).unwrap_or_else(|| ([127, 0, 0, 1], 5002).into());
        let token = vars.optional("ADMIN_TOKEN", vars::token);
        if token.is_none() && !listen.ip().is_loopback() && !vars.has_problem("ADMIN_TOKEN") {
            let text = "is missing: ADMIN_ADDR can be reached from other hosts, so operators must show a token";
            vars.report("ADMIN_TOKEN", text);
        }
        Self {
            listen,
            token,
            hosts: vars.optional("ADMIN_HOSTS", vars::hosts).unwrap_or_default(),
            shows_note_texts: vars
                .optional("ADMIN_NOTE_TEXTS", vars::word(&[("show", true), ("hide", false)]))
                .unwrap_or(true),
        }
    }
}

impl ConfigError {
    /// The same, and where a `.env` was looked for in vain: whoever runs a command in the wrong folder has all keys missing.
    fn where_there_is(self, file: &EnvFile) -> Self {
        let in_vain = !file.is_there() && self.problems.iter().any(|problem| problem.text.starts_with(vars::MISSING));
        let no_file_in = if in_vain { env::current_dir().ok() } else { None };
        Self { no_file_in, ..self }
    }

    /// That there is no `.env`, and what to do then, if that may be why something is missing.
    pub fn no_file(&self) -> Option<String> {
        let folder = self.no_file_in.as_ref()?.display();
        Some(format!(
            "there is no .env in {folder}: run this where crosspage runs, or set these keys in the environment"
        ))
    }
}

impl From<Vec<Problem>> for ConfigError {
    fn from(problems: Vec<Problem>) -> Self {
        Self { problems, no_file_in: None }
    }
}

/// One line a problem.
impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<String> = self.problems.iter().map(Problem::to_string).collect();
        lines.extend(self.no_file());
        f.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.text)
    }
}

fn database(text: &str) -> Result<DatabaseUrl, String> {
    text.parse().map_err(|error: DatabaseUrlError| error.to_string())
}

fn rate_limit(text: &str) -> Result<u32, String> {
    vars::number(1..=100_000)(text)
}

/// The vendors send a webhook again for 48 hours, so whatever knows that it was seen must live longer.
fn retention_days(text: &str) -> Result<u32, String> {
    vars::number(3..=3650)(text)
}

/// Longer than a day, and it would not make up for anything in time.
fn reconcile_interval(text: &str) -> Result<u32, String> {
    vars::number(0..=86_400)(text)
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 24 * 60 * 60)
}

fn log_filter(text: &str) -> Result<String, &'static str> {
    match telemetry::parse_filter(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("is no log filter: write a level, or several like info,crosspage::delivery=debug"),
    }
}

fn warnings(opsgenie: &Opsgenie) -> Vec<Problem> {
    let warning = |key: &str, text: &str| Problem { key: key.to_owned(), text: text.to_owned() };
    let mut warnings = Vec::new();
    if opsgenie.webhook_token.is_none() {
        let text = "is not set: an integration's id is no secret, so whoever knows it can page people";
        warnings.push(warning("OPSGENIE_WEBHOOK_TOKEN", text));
    }
    if opsgenie.user.contains('@') {
        let text = "looks like a person's address: what that person does would be taken for an echo of ours";
        warnings.push(warning("OPSGENIE_USER", text));
    }
    if opsgenie.query.as_deref().is_some_and(|query| query.to_ascii_lowercase().contains("status:")) {
        let text = "names a status: leave that out, since a creation that is told late pages unless the reconciler has found \
                    its alert closed";
        warnings.push(warning("OPSGENIE_QUERY", text));
    }
    warnings
}

/// How the keys begin that are nobody else's.
const PREFIXES: [&str; 6] = ["PAGERDUTY_", "OPSGENIE_", "ADMIN_", "ON_PAGERDUTY_", "RECONCILE_", "RETENTION_"];

/// Warnings about keys that mean nothing: those of the environment that look like ours, and all of the file, which is ours.
fn unknown_keys(environment: Vec<String>, file: Vec<String>) -> Vec<Problem> {
    let looks_like_ours = |key: &String| PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    let known = |key: &str| KEYS.contains(&key) || key.strip_suffix("_FILE").is_some_and(|key| SECRETS.contains(&key));
    let keys: BTreeSet<String> = environment.into_iter().filter(looks_like_ours).chain(file).collect();
    keys.iter()
        .filter(|key| !known(key))
        .map(|key| {
            let text = if key.to_ascii_uppercase().ends_with("_PROXY") {
                "counts in the environment only, not in .env"
            } else {
                "means nothing to crosspage: is it misspelt?"
            };
            Problem { key: key.escape_debug().to_string(), text: text.to_owned() }
        })
        .collect()
}
