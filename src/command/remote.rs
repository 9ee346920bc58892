//! A running crosspage, asked through its operator's API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::admin::ORDER_HEADER;
use crate::http::reachable;
use crate::operator::view::Problem;

/// How long a running crosspage may take to accept a connection. It is on this host.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How long it may take to answer. A store under load takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a whole pass of the reconciler may take: thousands of open incidents are thousands of calls behind all others.
const LONG_PATIENCE: Duration = Duration::from_secs(1800);

/// The longest answer that is read, in bytes: far more than the longest page or story.
const LONGEST_ANSWER: usize = 64 << 20;

/// Why a running crosspage could not be asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    #[error(
        "ADMIN_ADDR has port 0, which is no place to ask: give this command the port that it logged when it started"
    )]
    NoPort,
    #[error("nobody can be asked at {at}: {why}. Give this command the ADMIN_ADDR that it runs with")]
    Nobody { at: String, why: String },
    #[error("it does not answer at {at}: {why}. Whether it did what it was told is not known")]
    Lost { at: String, why: String },
    #[error("it lets nobody in at {at} without its ADMIN_TOKEN ({why}): give this command the same one")]
    Token { at: String, why: String },
    #[error("it does not let this command in at {at}: {why}")]
    Door { at: String, why: String },
    #[error(
        "what answers at {at} is no crosspage of this version ({what}): give this command the ADMIN_ADDR that it runs with"
    )]
    Stranger { at: String, what: String },
}

/// A crosspage that has the store open.
pub(super) struct Remote {
    client: Client,
    at: SocketAddr,
    token: Option<SecretString>,
    folder: PathBuf,
}

impl Remote {
    /// The crosspage that has the store in `folder`, and listens for operators where the configuration says.
    pub(super) fn new(listen: SocketAddr, token: Option<SecretString>, folder: PathBuf) -> Result<Self, Failure> {
        // It is on this host, so no proxy leads to it; and the token goes nowhere else.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .build();
        let client = client.map_err(|error| Failure::AskingClient(innermost(&error)))?;
        Ok(Self { client, at: reachable(listen), token, folder })
    }

    /// Where the store is that it has.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks for something below `/api/v1`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, Failure> {
        self.ask(Method::GET, path, query, None::<&()>, PATIENCE).await
    }

    /// Orders something.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: Option<&impl Serialize>,
    ) -> Result<T, Failure> {
        self.ask(Method::POST, path, &[], body, PATIENCE).await
    }

    /// Orders something that takes its time: every call to a vendor may have to wait for its turn.
    pub(super) async fn post_and_wait<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        self.ask(Method::POST, path, &[], Some(body), LONG_PATIENCE).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
        patience: Duration,
    ) -> Result<T, Failure> {
        if self.at.port() == 0 {
            return Err(self.unanswered(Unanswered::NoPort));
        }
        let mut request = self.client.request(method, self.url(path)?).query(query).timeout(patience);
        // Where no token is set, what orders something must say that it is no page of another site.
        request = request.header("origin", self.origin()).header(ORDER_HEADER, "command");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.map_err(|error| self.silent(&error))?;
        let status = response.status();
        let bytes = self.read(response).await?;
        if status == StatusCode::OK {
            return serde_json::from_slice(&bytes).map_err(|error| self.stranger(&error.to_string()));
        }
        let Ok(Problem { error }) = serde_json::from_slice(&bytes) else {
            return Err(self.stranger(&format!("it answers with status {}", status.as_u16())));
        };
        let (at, why) = (self.origin(), error.message);
        Err(match error.code.as_str() {
            "not_found" | "unclear" | "conflict" => Failure::Refused { code: error.code, message: why },
            "token" => self.unanswered(Unanswered::Token { at, why }),
            "store" => Failure::StoreThere(why),
            _ => self.unanswered(Unanswered::Door { at, why }),
        })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST_ANSWER {
                return Err(self.stranger("its answer does not end"));
            }
        }
        Ok(bytes)
    }

    fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        let base = format!("{}/api/v1", self.origin());
        let mut url = Url::parse(&base).map_err(|error| self.stranger(&error.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(path);
        }
        Ok(url)
    }

    fn origin(&self) -> String {
        format!("http://{}", self.at)
    }

    fn silent(&self, error: &reqwest::Error) -> Failure {
        let (at, why) = (self.origin(), innermost(error));
        self.unanswered(if error.is_connect() {
            Unanswered::Nobody { at, why }
        } else if error.is_timeout() {
            Unanswered::Lost { at, why: "it takes too long".to_owned() }
        } else {
            Unanswered::Lost { at, why }
        })
    }

    fn stranger(&self, what: &str) -> Failure {
        self.unanswered(Unanswered::Stranger { at: self.origin(), what: what.to_owned() })
    }

    fn unanswered(&self, why: Unanswered) -> Failure {
        Failure::InUse { folder: self.folder.clone(), why }
    }
}

/// What an error of the client comes down to: the layers above only repeat the address.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
