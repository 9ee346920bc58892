//! Requests, replies and webhooks as plain data: the border between the models and whatever carries the bytes.

use serde_json::Value;

/// A REST request as it reached the vendor.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Upper case: `GET`, `POST`, …
    pub method: String,
    /// Path as sent, still percent-encoded, without the query.
    pub path: String,
    /// Query as sent, without the question mark.
    pub query: String,
    /// Names in any case, in the order sent.
    pub headers: Vec<(String, String)>,
    /// Raw bytes.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body; `target` may carry a query.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), ..Self::default() }
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    pub(crate) fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Path segments, each percent-decoded, so that an alias with an encoded slash stays one segment.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect()
    }

    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        pairs(&self.query)
    }

    pub(crate) fn query_value(&self, name: &str) -> Option<String> {
        self.query_pairs().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All values of a repeated parameter such as `statuses[]`.
    pub(crate) fn query_values(&self, name: &str) -> Vec<String> {
        self.query_pairs().into_iter().filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    }
}

/// What the vendor answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header names in lower case.
    pub headers: Vec<(String, String)>,
    /// Raw bytes; empty with 204.
    pub body: Vec<u8>,
    /// Whether the client gets to see the reply at all.
    pub connection: Connection,
    /// Milliseconds to wait before answering; the effect has already happened.
    pub delay_ms: u64,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::raw(status, body.to_string().into_bytes())
    }

    pub(crate) fn raw(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body,
            connection: Connection::Keep,
            delay_ms: 0,
        }
    }

    pub(crate) fn with_header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// The body as JSON; `Null` if it is none.
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The value of a header, if there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What happens to the connection on which a reply would go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The reply is sent.
    Keep,
    /// The connection is dropped without a reply.
    Drop,
    /// Nothing is ever sent: the client must give up by itself.
    Hang,
}

/// A REST call that a vendor received, for tests to look at. Calls met by a fault are here too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Upper case.
    pub method: String,
    /// Percent-encoded, as sent.
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    /// Unix milliseconds.
    pub at_ms: i64,
    /// The status answered; 0 if the client saw none.
    pub status: u16,
    /// `user-agent`, `from`, `accept`, `content-type`, and the first word of `authorization`: never the key.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
    /// The body of the answer as text; empty if the client saw none.
    pub answer: String,
}

impl CallRecord {
    pub(crate) fn of(request: &Request, at_ms: i64, reply: &Reply) -> Self {
        let seen = reply.connection == Connection::Keep;
        let headers = request.headers.iter().filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let value = match name.as_str() {
                "user-agent" | "from" | "accept" | "content-type" => value.as_str(),
                "authorization" => value.split_once(' ').map_or("", |(scheme, _)| scheme),
                _ => return None,
            };
            Some((name, value.to_owned()))
        });
        Self {
            method: request.method.clone(),
            path: request.path.clone(),
            query: request.query.clone(),
            at_ms,
            status: if seen { reply.status } else { 0 },
            headers: headers.collect(),
            body: String::from_utf8_lossy(&request.body).into_owned(),
            answer: if seen { String::from_utf8_lossy(&reply.body).into_owned() } else { String::new() },
        }
    }

    /// Whether the call meant to change something.
    pub fn is_write(&self) -> bool {
        self.method != "GET"
    }

    /// The value of a recorded header, if there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `Null` if it is none.
    pub fn body_json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    /// The query, decoded, in the order sent.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        pairs(&self.query)
    }
}

/// One attempt to post one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookDelivery {
    /// Names this webhook until it is answered for good; the same in each attempt.
    pub id: u64,
    /// Always `POST`.
    pub method: &'static str,
    /// Where to, if the webhook's subscription was made through REST; `None` is the address the simulator was given.
    pub url: Option<String>,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Raw bytes: what a signature is over.
    pub body: Vec<u8>,
    /// 1 for the first.
    pub attempt: u32,
    /// What is delivered in order: webhooks of one key go one after the other.
    pub key: String,
    /// Milliseconds after which the vendor gives up on the answer.
    pub timeout_ms: u64,
}

impl WebhookDelivery {
    /// The body as JSON.
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The value of a header, if there.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `event.event_type` (PagerDuty) or `action` (Opsgenie).
    pub fn event_name(&self) -> String {
        let body = self.body_json();
        let name = body.pointer("/event/event_type").or_else(|| body.get("action"));
        name.and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// An attempt that was made, for tests to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// What was posted.
    pub delivery: WebhookDelivery,
    /// When it was handed out, Unix milliseconds.
    pub at_ms: i64,
    /// What the receiver answered; `None` while in flight.
    pub answer: Option<Answer>,
}

/// How a receiver answered a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An HTTP status.
    Status(u16),
    /// Time-out, refused or broken connection.
    NoAnswer,
}

impl Answer {
    /// Any 2xx.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Status(200..=299))
    }

    /// PagerDuty's webhook behaviour page: no answer, 5xx and 429 are tried again, nothing else is.
    pub fn is_retried(self) -> bool {
        matches!(self, Self::NoAnswer | Self::Status(500..=599 | 429))
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (decode(key, true), decode(value, true))).collect()
}

fn decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (escaped, bytes[at]) {
            (Some(byte), _) => {
                out.push(byte);
                at += 2;
            }
            (None, b'+') if plus_is_space => out.push(b' '),
            (None, byte) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_slash_stays_inside_its_segment() {
        let request = Request::new("GET", "/v2/alerts/a%2Fb%20c?identifierType=alias&q=x+y%3A");
        assert_eq!(request.segments(), ["v2", "alerts", "a/b c"]);
        assert_eq!(request.query_value("q").unwrap(), "x y:");
    }

    #[test]
    fn a_record_never_holds_a_key() {
        for value in ["GenieKey hunter2", "Token token=hunter2", "hunter2", "Bearer  hunter2"] {
            let request = Request::new("GET", "/").header("Authorization", value).header("X-Api-Key", "hunter2");
            let record = CallRecord::of(&request, 0, &Reply::raw(200, b"{}".to_vec()));
            assert!(!format!("{record:?}").contains("hunter2"), "{record:?}");
        }
    }
}
