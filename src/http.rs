//! What both vendors' modules share. Above all the outgoing HTTP client: time-outs, a cap on what is read, the rate limit,
//! and failures that tell whether a request can have had an effect; and how what comes from outside is read and quoted.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

use crate::engine::Timestamp;
use crate::engine::outbox::call::Failure;

#[cfg(test)]
pub(crate) mod mangle;
#[cfg(test)]
pub(crate) mod stub;
#[cfg(test)]
mod tests;

/// How long to wait and how much to read.
#[derive(Clone, Copy, Debug)]
pub struct HttpSettings {
    /// For a connection, TLS included.
    pub connect_timeout: Duration,
    /// For the whole of a call, the connection and the body included.
    pub timeout: Duration,
    /// The largest body that is read, in bytes.
    pub body_limit: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(5), timeout: Duration::from_secs(20), body_limit: 4 << 20 }
    }
}

/// A setting with which no call could ever be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSetting {
    /// The base URL.
    #[error("the base URL must be an absolute http or https URL")]
    BaseUrl,
    /// The API key.
    #[error("the API key is empty or holds characters that no header can carry")]
    Key,
    /// The e-mail address of the automation user.
    #[error("the e-mail address is empty or holds characters that no header can carry")]
    Email,
    /// The TLS set-up, usually because the system has no root certificates.
    #[error("the HTTP client cannot be set up: {0}")]
    Tls(String),
}

/// Why a call has no usable response. The texts hold no URL, no header and no body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// Nothing reached the vendor: it can have had no effect.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have reached the vendor, and may have had its effect.
    #[error("no usable answer: {0}")]
    Unclear(String),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let reason = error.to_string();
        match error {
            ApiError::NotSent(_) => Self::TryAgain { reason, hold: None },
            ApiError::Unclear(_) => Self::Unclear { reason, hold: None },
        }
    }
}

/// A response whose body was read in full.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// How long the vendor asks everybody to wait before the next call: 1 s to 10 min.
    pub hold: Option<Duration>,
    /// When it was written by the vendor's clock, to the second, from `Date`.
    pub date: Option<Timestamp>,
}

/// What a vendor says to a call that asks for nothing much.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Whether it lets us in.
    pub let_in: Result<(), Failure>,
    /// What time it is by its clock, to the second; none if no answer came, or it did not say.
    pub date: Option<Timestamp>,
}

/// Whether a key may write, as far as a vendor tells by how it refuses a change of what cannot exist. That it does refuse it
/// before it looks whether there is such a thing, nobody could verify for every case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MayWrite {
    /// Nothing but the missing thing is in the way.
    Yes,
    /// The key may not, and what the vendor says.
    No(String),
    /// The key is none of an API integration's (Opsgenie only).
    NotOfAnIntegration,
    /// The user in whose name it was asked for is none that may (PagerDuty only), and what the vendor says.
    NotInThatName(String),
}

impl Response {
    /// What a success says, or what anything else means, going by `failure`.
    pub(crate) fn read<T: DeserializeOwned>(&self, failure: impl FnOnce(&Self) -> Failure) -> Result<T, Failure> {
        match self.status {
            200..=299 => serde_json::from_slice(&self.body).map_err(|_| unreadable()),
            _ => Err(failure(self)),
        }
    }

    /// What the status alone tells of a failure; nothing if it takes the vendor's own words to know. Redirects are not
    /// followed, and some gateway may have sent one, or anything else that is no refusal, before or after the effect.
    pub(crate) fn plain_failure(&self, reason: &str) -> Option<Failure> {
        let (reason, hold) = (reason.to_owned(), self.hold);
        match self.status {
            401 => Some(Failure::Unauthorized(reason)),
            408 => Some(Failure::TryAgain { reason, hold: None }),
            429 => Some(Failure::TryAgain { reason, hold }),
            400..=499 => None,
            _ => Some(Failure::Unclear { reason, hold }),
        }
    }

    /// The status and what the vendor said, fit to be logged and kept.
    pub(crate) fn reason(&self, said: &str) -> String {
        printable(format!("{} {said}", self.status).trim_end(), REASON_LIMIT)
    }
}

/// The answer is none that the vendor documents.
pub(crate) fn unreadable() -> Failure {
    Failure::Unclear { reason: "the answer cannot be read".to_owned(), hold: None }
}

const SHORTEST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(600);

/// How long the headers of either vendor ask everybody to wait. The first one that says so counts.
///
/// `Retry-After` always means it. When the rate limit begins anew is told with any answer, so it counts only once the
/// limit is reached: else a server error that one alert meets would stop the deliveries of all.
fn hold(status: u16, headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| text(headers, name)?.parse::<u64>().ok();
    let exhausted = status == 429
        || number("ratelimit-remaining") == Some(0)
        || text(headers, "x-ratelimit-state").is_some_and(|state| state.eq_ignore_ascii_case("throttled"));
    let limit = || number("ratelimit-reset").or_else(|| number("x-ratelimit-period-in-sec")).filter(|_| exhausted);
    let seconds = retry_after(headers).or_else(limit)?;
    Some(Duration::from_secs(seconds).clamp(SHORTEST_HOLD, LONGEST_HOLD))
}

/// The seconds that `Retry-After` asks for. A date is taken relative to the response's own `Date`, so that neither our
/// clock nor its distance from the vendor's matters.
fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let asked = text(headers, RETRY_AFTER.as_str())?;
    if let Ok(seconds) = asked.parse() {
        return Some(seconds);
    }
    let until = date(asked)?.as_second() - date(text(headers, DATE.as_str())?)?.as_second();
    Some(u64::try_from(until).unwrap_or(0))
}

/// When an answer was written, by the vendor's clock.
fn written_at(headers: &HeaderMap) -> Option<Timestamp> {
    date(text(headers, DATE.as_str())?).map(|at| Timestamp::from_millis(at.as_millisecond()))
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

/// The client of one vendor. Clones share connections.
///
/// It follows no redirects, which would hand the key to another host and turn a POST into a GET, and drops idle
/// connections before the usual load balancers do, since a POST on a connection that is being closed leaves its outcome
/// unknown. Proxies are taken from the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`); loopback has no exception
/// of its own.
#[derive(Clone)]
pub struct Client {
    inner: reqwest::Client,
    timeout: Duration,
    body_limit: usize,
    hidden: Option<SecretString>,
    answered_by: Option<Responder>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("inner", &self.inner).finish_non_exhaustive()
    }
}

/// What answers requests in place of the network.
pub type Responder = Arc<dyn Fn(reqwest::Request) -> Answering + Send + Sync>;

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<reqwest::Response, ApiError>> + Send>>;

impl Client {
    /// A client for one vendor.
    pub fn new(settings: &HttpSettings) -> Result<Self, InvalidSetting> {
        Self::built(settings, reqwest::Client::builder())
    }

    /// A client for what is on this machine, which no proxy of the environment could reach.
    pub fn without_proxy(settings: &HttpSettings) -> Result<Self, InvalidSetting> {
        Self::built(settings, reqwest::Client::builder().no_proxy())
    }

    fn built(settings: &HttpSettings, builder: reqwest::ClientBuilder) -> Result<Self, InvalidSetting> {
        let inner = builder
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .pool_idle_timeout(Duration::from_secs(15))
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("crosspage/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| InvalidSetting::Tls(chain(&error)))?;
        let (timeout, body_limit) = (settings.timeout, settings.body_limit);
        Ok(Self { inner, timeout, body_limit, hidden: None, answered_by: None })
    }

    /// The same, but `responder` answers in place of the network: the vendor's model, in the same process and under
    /// whatever time that keeps.
    #[must_use]
    pub fn answered_by(self, responder: Responder) -> Self {
        Self { answered_by: Some(responder), ..self }
    }

    /// The same, but no error that it reads quotes `key`: what a vendor says of a failure is logged and stored.
    #[must_use]
    pub fn hiding(self, key: &SecretString) -> Self {
        let key = key.expose_secret().trim();
        Self { hidden: (!key.is_empty()).then(|| key.into()), ..self }
    }

    /// Begins a request.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends it and reads the whole response.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let mut response = match &self.answered_by {
            None => request.send().await.map_err(sending)?,
            Some(responder) => {
                let answering = responder(request.build().map_err(sending)?);
                let in_vain = |_| ApiError::Unclear("the answer did not come in time".to_owned());
                tokio::time::timeout(self.timeout, answering).await.map_err(in_vain)??
            }
        };
        let status = response.status().as_u16();
        let (hold, date) = (hold(status, response.headers()), written_at(response.headers()));
        let mut body = Vec::new();
        while let Some(chunk) =
            response.chunk().await.map_err(|error| ApiError::Unclear(chain(&error.without_url())))?
        {
            if body.len() + chunk.len() > self.body_limit {
                return Err(ApiError::Unclear(format!("the body is larger than {} bytes", self.body_limit)));
            }
            body.extend_from_slice(&chunk);
        }
        if let (400.., Some(key)) = (status, &self.hidden) {
            body = without(body, key.expose_secret());
        }
        Ok(Response { status, body, hold, date })
    }
}

/// The body with each mention of `key` struck out, also as JSON may write it.
fn without(body: Vec<u8>, key: &str) -> Vec<u8> {
    match String::from_utf8(body) {
        Ok(text) => text.replace(key, "[key]").replace(&key.replace('/', "\\/"), "[key]").into_bytes(),
        // Nothing is quoted from what is no text.
        Err(error) => error.into_bytes(),
    }
}

fn sending(error: reqwest::Error) -> ApiError {
    let error = error.without_url();
    let text = chain(&error);
    // A time-out of the connection alone counts as connecting; one of the whole call tells nothing.
    if error.is_connect() || error.is_builder() { ApiError::NotSent(text) } else { ApiError::Unclear(text) }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    printable(&text, REASON_LIMIT)
}

/// A vendor's base URL, to which paths are added a segment at a time, so that none can break out of its place.
#[derive(Clone, Debug)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Reads it.
    pub fn parse(text: &str) -> Result<Self, InvalidSetting> {
        let url = Url::parse(text.trim()).map_err(|_| InvalidSetting::BaseUrl)?;
        let usable = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if usable { Ok(Self(url)) } else { Err(InvalidSetting::BaseUrl) }
    }

    /// The URL of a path below it; each segment is percent-encoded.
    pub fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.0.clone();
        url.set_query(None);
        url.set_fragment(None);
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    /// The value of a query parameter in a link that the vendor gave; the link itself is never followed.
    pub fn parameter(&self, link: &str, name: &str) -> Option<String> {
        let url = self.0.join(link).ok()?;
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// Where a listener is asked from its own host: one that listens everywhere, at loopback.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

/// A header with the key in it, marked so that it is never printed.
pub(crate) fn key_header(prefix: &str, key: &SecretString) -> Result<HeaderValue, InvalidSetting> {
    let key = key.expose_secret().trim();
    let mut value = HeaderValue::from_str(&format!("{prefix}{key}")).map_err(|_| InvalidSetting::Key)?;
    value.set_sensitive(true);
    if key.is_empty() { Err(InvalidSetting::Key) } else { Ok(value) }
}

/// An authentic webhook that cannot be read. The text says what is wrong with it, and quotes nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// How many characters of what a vendor says of a failure are kept.
const REASON_LIMIT: usize = 300;

/// At most `limit` characters of a text from outside, without control characters.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(limit).collect()
}

/// Reads an optional field of a vendor's JSON; a value of the wrong type counts as missing.
pub(crate) fn lenient<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(serde_json::from_value(value).ok())
}
