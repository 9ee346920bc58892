//! A running crosspage, asked on its own host through its operator's API.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::{ORDER_HEADER, OWNER_HEADER};
use crate::config::Config;
use crate::http::reachable;
use crate::operator::view::Problem;
use crate::store::DatabaseUrl;

/// How long a running crosspage may take to accept a connection. It is on this host.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// How long it may take to answer. A store under load takes seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a whole pass of the reconciler may take: thousands of open incidents are thousands of calls behind all others.
const LONG_PATIENCE: Duration = Duration::from_secs(1800);

/// The longest answer that is read, in bytes: far more than the longest page or story.
const LONGEST_ANSWER: usize = 64 << 20;

/// Why there is no answer to what was asked.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It has been asked, and it is not there, means nothing, or cannot be done now: `not_found`, `unclear` or `conflict`.
    #[error("{message}")]
    Refused {
        /// Which of these.
        code: String,
        /// Why, for people to read.
        message: String,
    },
    /// Its store can tell and do nothing any more.
    #[error("the running crosspage's store has failed or is closed ({0}): its log tells more")]
    StoreFailed(String),
    /// It could not be asked.
    #[error(transparent)]
    Unasked(#[from] Unasked),
}

/// Why a running crosspage could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unasked {
    /// Nobody knows where it listens.
    #[error(
        "ADMIN_ADDR has port 0, which is no place to ask: give this command the port that it logged when it started"
    )]
    NoPort,
    /// No connection came about.
    #[error("nobody can be asked at {at}: {why}. Give this command the ADMIN_ADDR that it runs with")]
    Nobody {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
    /// The answer did not come.
    #[error("it does not answer at {at}: {why}. Whether it did what it was told is not known")]
    Lost {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
    /// It wants another token.
    #[error("it lets nobody in at {at} without its ADMIN_TOKEN ({why}): give this command the same one")]
    Token {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
    /// It refuses whoever asks like this.
    #[error("it does not let this command in at {at}: {why}")]
    Door {
        /// Where.
        at: String,
        /// Why.
        why: String,
    },
    /// Another installation answers.
    #[error("what answers at {at} has another database: give this command the ADMIN_ADDR that it runs with")]
    AnotherOwner {
        /// Where.
        at: String,
    },
    /// What answers speaks otherwise.
    #[error(
        "what answers at {at} is no crosspage of this version ({what}): give this command the ADMIN_ADDR that it \
         runs with"
    )]
    Stranger {
        /// Where.
        at: String,
        /// How that showed.
        what: String,
    },
}

/// The crosspage that has a configuration's database open.
#[derive(Debug)]
pub struct Remote {
    client: Client,
    at: SocketAddr,
    token: Option<SecretString>,
    database: DatabaseUrl,
}

impl Remote {
    /// Where the configuration says that it listens for operators. Asks nobody yet.
    ///
    /// # Errors
    /// The HTTP client cannot be set up, and why.
    pub fn of(config: &Config) -> Result<Self, String> {
        // It is on this host, so no proxy leads to it; and the token goes nowhere else.
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_PATIENCE)
            .build()
            .map_err(|error| innermost(&error))?;
        let (at, token) = (reachable(config.admin.listen), config.admin.token.clone());
        Ok(Self { client, at, token, database: config.database.clone() })
    }

    /// Asks for something below `/api/v1`.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, NoAnswer> {
        self.ask(Method::GET, path, query, None::<&()>, PATIENCE).await
    }

    /// Orders something.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn post<T: DeserializeOwned>(&self, path: &[&str], body: Option<&impl Serialize>) -> Result<T, NoAnswer> {
        self.ask(Method::POST, path, &[], body, PATIENCE).await
    }

    /// Orders something that takes its time: every call to a vendor may have to wait for its turn.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn post_and_wait<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, NoAnswer> {
        self.ask(Method::POST, path, &[], Some(body), LONG_PATIENCE).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&impl Serialize>,
        patience: Duration,
    ) -> Result<T, NoAnswer> {
        if self.at.port() == 0 {
            return Err(Unasked::NoPort.into());
        }
        let mut request = self.client.request(method, self.url(path)?).query(query).timeout(patience);
        // Where no token is set, what orders something must say that it is no page of another site.
        request = request.header("origin", self.origin()).header(ORDER_HEADER, "command");
        // It may have been started anew since the last time.
        if let Some(owner) = self.database.owner() {
            request = request.header(OWNER_HEADER, owner);
        }
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
            "not_found" | "unclear" | "conflict" => NoAnswer::Refused { code: error.code, message: why },
            "store" => NoAnswer::StoreFailed(why),
            "token" => Unasked::Token { at, why }.into(),
            "another_owner" => Unasked::AnotherOwner { at }.into(),
            _ => Unasked::Door { at, why }.into(),
        })
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, NoAnswer> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.silent(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST_ANSWER {
                return Err(self.stranger("its answer does not end"));
            }
        }
        Ok(bytes)
    }

    fn url(&self, path: &[&str]) -> Result<Url, NoAnswer> {
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

    fn silent(&self, error: &reqwest::Error) -> NoAnswer {
        let (at, why) = (self.origin(), innermost(error));
        let unasked = if error.is_connect() {
            Unasked::Nobody { at, why }
        } else if error.is_timeout() {
            Unasked::Lost { at, why: "it takes too long".to_owned() }
        } else {
            Unasked::Lost { at, why }
        };
        unasked.into()
    }

    fn stranger(&self, what: &str) -> NoAnswer {
        Unasked::Stranger { at: self.origin(), what: what.to_owned() }.into()
    }
}

/// What an error of the client comes down to: the layers above only repeat the address.
pub fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
