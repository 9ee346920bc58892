//! What is set up in PagerDuty from here: the webhook subscription, whose secret is told only once.

use std::fs::{File, OpenOptions, remove_file};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::{Done, Failure, Format, Out};
use crate::app;
use crate::config;
use crate::engine::outbox::call;
use crate::http::HttpSettings;
use crate::pagerduty::Client;
use crate::pagerduty::client::{DOOR, Scope};

/// What can be done in PagerDuty.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the webhook subscription by which PagerDuty tells what happens, and print its signing secret.
    #[command(
        after_help = "The secret is told only once. With --secret-file it is written to a new file that only you can read, and \
                      shown nowhere; give crosspage the file by PAGERDUTY_WEBHOOK_SECRET_FILE.\n\n\
                      Example: crosspage pagerduty subscribe --url https://crosspage.example.com/pd-webhook"
    )]
    Subscribe(Subscribe),
}

/// Which subscription is to be made.
#[derive(Debug, clap::Args)]
pub struct Subscribe {
    /// Where PagerDuty is to post to: this crosspage's public address, with /pd-webhook at its end.
    #[arg(long, value_name = "URL", value_parser = door)]
    url: String,
    /// The service to be told of, if it is not `PAGERDUTY_SERVICE_ID`.
    #[arg(long, value_name = "ID", conflicts_with = "account")]
    service: Option<String>,
    /// Be told of the whole account.
    #[arg(long)]
    account: bool,
    /// Write the secret to a new file instead of printing it.
    #[arg(long, value_name = "PATH")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

/// Why there is no new subscription.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// There is one already.
    #[error(
        "{id} posts to that address already. Its secret cannot be read again: go on with the secret that you have, or delete \
         {id} under Integrations > Generic Webhooks (v3) and run this again"
    )]
    Exists {
        /// PagerDuty's id of it.
        id: String,
    },
    /// The file for the secret cannot be made.
    #[error("the secret cannot be written to {}, so nothing was done in PagerDuty: {source}", path.display())]
    NoFile {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// PagerDuty refuses it, or cannot be asked.
    #[error("PagerDuty made no subscription: {0}")]
    Refused(String),
    /// Nobody knows whether it was made.
    #[error(
        "PagerDuty gave no usable answer, and may have made the subscription all the same: {0}. If there is one now under \
         Integrations > Generic Webhooks (v3), delete it, since its secret is lost, and run this again"
    )]
    Unclear(String),
    /// It was made, and nobody can use it.
    #[error(
        "subscription {id} was made, and {why}: delete it under Integrations > Generic Webhooks (v3) and run this again"
    )]
    Useless {
        /// PagerDuty's id of it.
        id: String,
        /// Why.
        why: String,
    },
    /// It was made, the secret could not be told, and it was removed again.
    #[error("the secret could not be told, and the subscription was removed again: {source}")]
    NotTold {
        /// Why.
        source: std::io::Error,
    },
    /// It was made, the secret could not be written, and it was removed again.
    #[error("the secret could not be written to {}, and the subscription was removed again: {source}", path.display())]
    NotWritten {
        /// Where to.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Command {
    pub(super) async fn run(self) -> Result<Done, Failure> {
        match self {
            Self::Subscribe(subscribe) => subscribe.run().await,
        }
    }
}

impl Subscribe {
    async fn run(self) -> Result<Done, Failure> {
        let settings = config::PagerDuty::before_the_webhook()?;
        let client = app::pagerduty_client(&settings, &HttpSettings::default())?;
        let scope = if self.account {
            Scope::Account
        } else {
            Scope::Service(self.service.clone().unwrap_or(settings.service_id))
        };
        self.refuse_a_second(&client).await?;
        let file = self.secret_file.as_deref().map(SecretFile::make).transpose()?;
        let made = tokio::select! {
            made = make(&client, &self.url, &scope) => made,
            // The file must not be in the way of the next try.
            interrupted = interrupted() => Err(match interrupted {
                Ok(()) => Trouble::Unclear("this was interrupted".to_owned()),
                Err(error) => Trouble::Refused(format!("signals cannot be listened for: {error}")),
            }),
        };
        let (id, secret) = match made {
            Ok(made) => made,
            Err(trouble) => {
                if let Some(file) = file {
                    file.remove();
                }
                return Err(trouble.into());
            }
        };
        let mut output = self.format.output();
        let Some(file) = file else {
            let Err(source) = self.print(&mut output, &id, &secret) else { return Ok(Done::All) };
            return Err(match client.delete_subscription(&id).await {
                Ok(()) => Trouble::NotTold { source }.into(),
                Err(_) => Trouble::Useless { id, why: format!("its secret could not be told: {source}") }.into(),
            });
        };
        let path = file.path.clone();
        if let Err(source) = file.write(&secret) {
            return Err(match client.delete_subscription(&id).await {
                Ok(()) => Trouble::NotWritten { path, source }.into(),
                Err(_) => Trouble::Useless { id, why: format!("its secret could not be written: {source}") }.into(),
            });
        }
        let sentence = format!(
            "Subscription {id} posts to {}. Its secret is in {}: set PAGERDUTY_WEBHOOK_SECRET_FILE to that.",
            self.url,
            path.display()
        );
        output.say(&sentence, &json!({ "id": id, "url": self.url, "secret_file": path }))?;
        Ok(Done::All)
    }

    async fn refuse_a_second(&self, client: &Client) -> Result<(), Trouble> {
        let all = client.subscriptions().await.map_err(|failure| Trouble::Refused(failure.into_reason()))?;
        let wanted = self.url.trim_end_matches('/');
        match all.into_iter().find(|one| one.address().eq_ignore_ascii_case(wanted)) {
            Some(one) => Err(Trouble::Exists { id: one.id }),
            None => Ok(()),
        }
    }

    /// Tells the secret, which nobody tells again: what nobody reads counts as lost.
    fn print(&self, output: &mut Out, id: &str, secret: &SecretString) -> std::io::Result<()> {
        let secret = secret.expose_secret();
        if !output.is_json() {
            output.remark(&format!("Subscription {id} posts to {}. Its secret, which is told only now:", self.url))?;
        }
        output.hand_over(
            &format!("PAGERDUTY_WEBHOOK_SECRET={secret}"),
            &json!({ "id": id, "url": self.url, "secret": secret }),
        )
    }
}

/// Comes to its end when this process is asked to end; then nothing else ends it.
async fn interrupted() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn make(client: &Client, url: &str, scope: &Scope) -> Result<(String, SecretString), Trouble> {
    let made = match client.create_subscription(url, scope).await {
        Ok(made) => made,
        Err(call::Failure::Unclear { reason, .. }) => return Err(Trouble::Unclear(reason)),
        Err(failure) => return Err(Trouble::Refused(failure.into_reason())),
    };
    match made.secret {
        Some(secret) => Ok((made.id, secret)),
        None => Err(Trouble::Useless { id: made.id, why: "PagerDuty did not tell its secret".to_owned() }),
    }
}

/// A file for a secret: new, and for its owner alone.
struct SecretFile {
    path: PathBuf,
    file: File,
}

impl SecretFile {
    fn make(path: &Path) -> Result<Self, Trouble> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        match made {
            Ok(file) => Ok(Self { path: path.to_owned(), file }),
            Err(source) => Err(Trouble::NoFile { path: path.to_owned(), source }),
        }
    }

    fn write(mut self, secret: &SecretString) -> std::io::Result<()> {
        let written = writeln!(self.file, "{}", secret.expose_secret()).and_then(|()| self.file.sync_all());
        if written.is_err() {
            self.remove();
        }
        written
    }

    fn remove(self) {
        // It is ours and empty, or useless; if it stays, the next try says so.
        let _ = remove_file(&self.path);
    }
}

/// An address that PagerDuty can post to and that leads to our door.
fn door(text: &str) -> Result<String, String> {
    let url = Url::parse(text).map_err(|_| format!("must look like https://crosspage.example.com{DOOR}"))?;
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
        return Err("must begin with https".to_owned());
    }
    if !url.path().ends_with(DOOR) || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("must end in {DOOR}: crosspage knows its subscriptions by that"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must have no user and no password: webhooks are signed".to_owned());
    }
    Ok(url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_must_lead_to_the_door() {
        for good in
            ["https://h.example.com/pd-webhook", "https://h:8443/below/pd-webhook", "http://127.0.0.1:5001/pd-webhook"]
        {
            assert_eq!(door(good).as_deref(), Ok(good));
        }
        for bad in [
            "",
            "h.example.com/pd-webhook",
            "http://h.example.com/pd-webhook",
            "https://h.example.com",
            "https://h.example.com/ops-webhook",
            "https://h.example.com/pd-webhook?x=1",
            "https://h.example.com/pd-webhook#x",
            "https://user@h.example.com/pd-webhook",
            "https://u:p@h.example.com/pd-webhook",
        ] {
            assert!(door(bad).is_err(), "{bad}");
        }
    }
}
