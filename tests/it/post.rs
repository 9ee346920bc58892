//! Webhooks posted by hand: what each vendor sends, and what anybody else could.

use std::io::{Read, Write};
use std::net::TcpStream;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::TOO_LONG;

/// The header that tells who posts to PagerDuty's door.
pub(crate) const SIGNATURE: &str = "X-PagerDuty-Signature";

/// What a door has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Value,
}

/// Posts `body` as it is, with these headers.
pub(crate) async fn post(url: &str, headers: &[(&str, &str)], body: impl Into<reqwest::Body>) -> Answer {
    let mut request = client().post(url).body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    answer(request).await
}

/// Makes a request without a body.
pub(crate) async fn ask(method: &str, url: &str) -> Answer {
    answer(client().request(method.parse().unwrap(), url)).await
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    Answer { status, retry_after, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(TOO_LONG).build().unwrap()
}

/// PagerDuty's signature of `body`.
pub(crate) fn sign(secret: &str, body: &str) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body);
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v1={hex}")
}

/// A webhook of Opsgenie's about `alert`.
pub(crate) fn from_opsgenie(integration: &str, action: &str, alert: &str) -> Value {
    json!({
        "action": action,
        "alert": { "alertId": alert, "message": "Posted by hand", "username": "jane@example.com" },
        "integrationId": integration,
    })
}

/// A webhook of PagerDuty's: Ada has done something to `incident`.
pub(crate) fn from_pagerduty(event_id: &str, event_type: &str, incident: &str) -> Value {
    json!({ "event": {
        "id": event_id,
        "event_type": event_type,
        "resource_type": "incident",
        "occurred_at": "2099-01-01T00:00:00Z",
        "agent": { "id": "PUSR001", "type": "user_reference", "summary": "Ada Oncall" },
        "data": { "id": incident, "type": "incident", "status": "acknowledged" },
    } })
}

/// A connection on which anything can be sent, also half a request.
pub(crate) struct Raw(TcpStream);

impl Raw {
    /// Connects to the host and port of `url` and sends the beginning of a request to `url`.
    pub(crate) fn begin(url: &str, headers: &str) -> Self {
        Self::begin_as("POST", url, headers)
    }

    /// The same by another method.
    pub(crate) fn begin_as(method: &str, url: &str, headers: &str) -> Self {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let stream = TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(TOO_LONG)).unwrap();
        let mut raw = Self(stream);
        raw.send(format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\n{headers}").as_bytes());
        raw
    }

    /// Sends more. Whoever hangs up meanwhile has said why.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Reads until the other side hangs up, and tells the status and everything that came.
    pub(crate) fn until_closed(mut self) -> (u16, String) {
        let mut bytes = Vec::new();
        // Hanging up while more was being sent resets the connection; what came before that counts.
        let ended = self.0.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(
            !ended.is_err_and(|error| matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            )),
            "the connection is still open after {text:?}"
        );
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_else(|| panic!("no answer but {text:?}")), text)
    }
}
