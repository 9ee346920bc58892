//! Reading keys one by one, collecting what is wrong with them, and what a value of each kind looks like.

use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;

use reqwest::Url;
use secrecy::SecretString;

use super::Problem;

/// How what is said of a key begins that must be set and is not.
pub(super) const MISSING: &str = "is missing";

/// Every key but the `<KEY>_FILE` of the secrets.
pub(super) const KEYS: [&str; 29] = [
    "PAGERDUTY_API_KEY",
    "PAGERDUTY_SERVICE_ID",
    "PAGERDUTY_WEBHOOK_SECRET",
    "PAGERDUTY_EMAIL",
    "PAGERDUTY_USER",
    "OPSGENIE_API_KEY",
    "OPSGENIE_INTEGRATION_ID",
    "OPSGENIE_USER",
    "OPSGENIE_WEBHOOK_TOKEN",
    "PAGERDUTY_REGION",
    "PAGERDUTY_API_URL",
    "PAGERDUTY_RATE_LIMIT",
    "PAGERDUTY_FALLBACK_ROUTING_KEY",
    "PAGERDUTY_EVENTS_URL",
    "OPSGENIE_REGION",
    "OPSGENIE_API_URL",
    "OPSGENIE_RATE_LIMIT",
    "OPSGENIE_QUERY",
    "RECONCILE_INTERVAL_S",
    "LISTEN_ADDR",
    "ADMIN_ADDR",
    "ADMIN_TOKEN",
    "ADMIN_HOSTS",
    "ADMIN_NOTE_TEXTS",
    "DATABASE_URL",
    "ON_PAGERDUTY_RESOLVED",
    "RETENTION_DAYS",
    "RUST_LOG",
    "LOG_FORMAT",
];

/// The keys whose values are shown nowhere, and which may come from a file.
pub(super) const SECRETS: [&str; 6] = [
    "PAGERDUTY_API_KEY",
    "PAGERDUTY_WEBHOOK_SECRET",
    "PAGERDUTY_FALLBACK_ROUTING_KEY",
    "OPSGENIE_API_KEY",
    "OPSGENIE_WEBHOOK_TOKEN",
    "ADMIN_TOKEN",
];

/// What a file with a secret may hold at most.
const SECRET_FILE_BYTES: u64 = 64 * 1024;

/// By the Events API's documentation.
const ROUTING_KEY_CHARS: usize = 32;

const TOKEN_CHARS: usize = 16;

const NAME_CHARS: usize = 100;

const ID_CHARS: usize = 200;

/// Longer queries would not fit in an address.
const QUERY_CHARS: usize = 1000;

/// Reads keys and collects problems. Where there is one, what a method returns only stands in until they are reported.
pub(super) struct Vars<F> {
    lookup: F,
    problems: Vec<Problem>,
}

/// A value and where it came from: the key, or the key's `_FILE`.
struct Value {
    key: String,
    text: String,
}

/// The problem is in the list already.
struct Reported;

impl<F: Fn(&str) -> Option<String>> Vars<F> {
    pub(super) fn new(lookup: F) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// The value of a key that must be there; `what` says what it is.
    pub(super) fn required<T: Default, E: Into<String>>(
        &mut self,
        key: &str,
        what: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        match self.value(key) {
            Ok(Some(value)) => self.parse(value, parse).unwrap_or_default(),
            Ok(None) => {
                self.report(key, format!("{MISSING}: {what}"));
                T::default()
            }
            Err(Reported) => T::default(),
        }
    }

    pub(super) fn optional<T, E: Into<String>>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.value(key).ok().flatten()?;
        self.parse(value, parse)
    }

    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The value without white space around it. A blank one counts as not given, except for a secret: there it more
    /// likely means that whatever should have filled it in did not, and a door would stand open.
    fn value(&mut self, key: &str) -> Result<Option<Value>, Reported> {
        let text = (self.lookup)(key).map(|text| text.trim().to_owned());
        if text.as_ref().is_some_and(|text| text.contains(char::REPLACEMENT_CHARACTER)) {
            self.report(key, "is not UTF-8");
            return Err(Reported);
        }
        if !SECRETS.contains(&key) {
            let text = text.filter(|text| !text.is_empty());
            return Ok(text.map(|text| Value { key: key.to_owned(), text }));
        }
        let file_key = format!("{key}_FILE");
        match (text, (self.lookup)(&file_key)) {
            (None, None) => Ok(None),
            (Some(text), None) => Ok(Some(Value { key: key.to_owned(), text })),
            (None, Some(path)) => match read_secret(path.trim()) {
                Ok(text) => Ok(Some(Value { key: file_key, text: text.trim().to_owned() })),
                Err(error) => {
                    self.report(&file_key, format!("names a file that cannot be read, {path:?}: {error}"));
                    Err(Reported)
                }
            },
            (Some(_), Some(_)) => {
                self.report(key, format!("is given twice, here and by {file_key}: keep one"));
                Err(Reported)
            }
        }
    }

    fn parse<T, E: Into<String>>(&mut self, value: Value, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        parse(&value.text).map_err(|text| self.report(&value.key, text)).ok()
    }

    /// Whether something was wrong with a key, or with the file that it names.
    pub(super) fn has_problem(&self, key: &str) -> bool {
        self.problems.iter().any(|problem| problem.key.strip_suffix("_FILE").unwrap_or(&problem.key) == key)
    }

    pub(super) fn report(&mut self, key: &str, text: impl Into<String>) {
        self.problems.push(Problem { key: key.to_owned(), text: text.into() });
    }
}

fn read_secret(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(SECRET_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > SECRET_FILE_BYTES {
        return Err(io::Error::other("it is too large for a secret"));
    }
    Ok(text)
}

/// What travels in a header: an API key or a token.
pub(super) fn header_secret(text: &str) -> Result<SecretString, &'static str> {
    if text.is_empty() {
        return Err("is empty: give it a value or take it out");
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("has a character that cannot be sent (a space, a line end, an accented letter): copy it again");
    }
    Ok(text.into())
}

/// A token that people choose themselves, so its length counts.
pub(super) fn token(text: &str) -> Result<SecretString, &'static str> {
    if !text.is_empty() && text.len() < TOKEN_CHARS {
        return Err("is too short to be safe: at least 16 characters, such as `openssl rand -hex 24` prints");
    }
    header_secret(text)
}

/// The routing key of an Events API v2 integration. A wrong one would show only in an emergency, so its form counts.
pub(super) fn routing_key(text: &str) -> Result<SecretString, &'static str> {
    if text.len() != ROUTING_KEY_CHARS || !text.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err("is no integration key of the Events API v2: 32 letters and digits");
    }
    Ok(text.into())
}

/// Secrets separated by commas.
pub(super) fn secrets(text: &str) -> Result<Vec<SecretString>, &'static str> {
    list(text, |item| {
        if item.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("has white space inside a secret: separate several by commas");
        }
        Ok(item.into())
    })
}

/// A vendor's id.
pub(super) fn id(text: &str) -> Result<String, &'static str> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if text.len() > ID_CHARS || !text.chars().all(fits) {
        return Err("is no id: letters, digits, - and _, at most 200 of them");
    }
    Ok(text.to_owned())
}

/// Ids separated by commas.
pub(super) fn ids(text: &str) -> Result<Vec<String>, &'static str> {
    list(text, id)
}

/// Host names separated by commas, without a port: whatever port they are asked by counts.
pub(super) fn hosts(text: &str) -> Result<Vec<String>, &'static str> {
    list(text, |item| {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if !item.chars().all(fits) {
            return Err("must be host names without a port, separated by commas, such as crosspage.example.com");
        }
        Ok(item.to_ascii_lowercase())
    })
}

fn list<T>(text: &str, item: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, &'static str> {
    text.split(',')
        .map(str::trim)
        .map(|text| if text.is_empty() { Err("has an empty item: look for a comma too many") } else { item(text) })
        .collect()
}

/// A user's name.
pub(super) fn name(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > NAME_CHARS {
        return Err("is too long: at most 100 characters");
    }
    if text.contains(char::is_control) {
        return Err("has a control character in it");
    }
    Ok(text.to_owned())
}

/// A search in a vendor's own language, which only the vendor understands.
pub(super) fn query(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > QUERY_CHARS {
        return Err("is too long: at most 1000 characters");
    }
    if text.contains(char::is_control) {
        return Err("has a control character in it");
    }
    Ok(text.to_owned())
}

/// An e-mail address. Whether it is somebody's is for the vendor to say.
pub(super) fn email(text: &str) -> Result<String, &'static str> {
    let fits = text.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty());
    if !fits || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err("is no e-mail address");
    }
    Ok(text.to_owned())
}

/// The address that paths of a vendor's API are appended to.
pub(super) fn base_url(text: &str) -> Result<String, &'static str> {
    const FORM: &str = "must look like https://host or https://host/path";
    let url = Url::parse(text).map_err(|_| FORM)?;
    let host = url.host_str().ok_or(FORM)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FORM);
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("must have no user, password, query or fragment");
    }
    if url.scheme() == "http" && !is_loopback(host) {
        return Err("must begin with https, since the API key would travel in clear (http is for this host only)");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
}

/// The address that the operator's listener has. A port alone means this host only.
pub(super) fn admin_listen(text: &str) -> Result<SocketAddr, &'static str> {
    match text.strip_prefix(':').unwrap_or(text).parse::<u16>() {
        Ok(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Err(_) => listen(text),
    }
}

/// An address to listen on. Without an IP address: all of them.
pub(super) fn listen(text: &str) -> Result<SocketAddr, &'static str> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    port.map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))).or_else(|_| text.parse()).map_err(
        |_| "must be an IP address and a port, such as 127.0.0.1:5001 or [::1]:5001, or a port alone; no host name",
    )
}

/// A whole number.
pub(super) fn number(range: RangeInclusive<u32>) -> impl Fn(&str) -> Result<u32, String> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
    }
}

/// One of a few words.
pub(super) fn word<T: Copy>(words: &[(&str, T)]) -> impl Fn(&str) -> Result<T, String> {
    |text| {
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            format!("must be {}", words.join(" or "))
        })
    }
}
