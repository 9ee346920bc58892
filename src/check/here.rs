//! This machine: the store, the listener, and a crosspage that already runs.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use reqwest::Method;
use rustix::fs::Access;
use serde_json::Value;

use super::{Finding, Report, operator};
use crate::app::{self, Tuning};
use crate::clock::now;
use crate::config::Config;
use crate::http::{BaseUrl, Client, HttpSettings, reachable};
use crate::store::{DatabaseUrl, SCHEMA, Settings, Store, StoreError};

/// Less than this is worth a word: a few days of a busy account.
const SCANT_BYTES: u64 = 1 << 30;

/// Whether crosspage runs with this configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// It answers, and the store is in use.
    Yes,
    /// As far as can be told, it does not.
    No,
}

/// How the store is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// Another process has it.
    InUse,
    /// It could be used.
    Free,
    /// It cannot be used.
    Broken,
    /// It belongs to another user, and was left alone.
    NotLookedAt,
}

/// What answers where we would listen.
enum Answers {
    /// A crosspage, that is or is not ready, and why not.
    Crosspage { status: u16, said: Value },
    /// Something else.
    SomethingElse,
    /// Nothing.
    Nothing,
}

pub(super) async fn check(config: &Config, report: &mut Report<'_>) -> Running {
    let stored = store(config, report).await;
    let answers = ask(config.listen).await;
    report.add(listener(config, &answers, stored));
    let may_be_its = matches!(stored, Stored::InUse | Stored::NotLookedAt);
    let runs = may_be_its && matches!(answers, Answers::Crosspage { .. });
    let running = if runs { Running::Yes } else { Running::No };
    report.add(operator::check(config, running).await);
    running
}

async fn store(config: &Config, report: &mut Report<'_>) -> Stored {
    let DatabaseUrl::Sled(folder) = &config.database;
    let (nearest, there) = nearest(folder);
    if let Some((finding, stored)) = no_way_in(folder, &nearest, there) {
        report.add(finding);
        return stored;
    }
    let settings = Settings::new(app::policy(config, &Tuning::default()));
    if let Ok(disk) = rustix::fs::statvfs(&nearest) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        report.add(room(&nearest, free, settings.min_free_bytes));
    }
    if !config.database.is_there() {
        let found = format!("there is no store in {} yet: crosspage makes it at its first start", folder.display());
        report.add(finding(Finding::ok, found));
        return Stored::Free;
    }
    let opened = match Store::open(&config.database, settings, now()) {
        Ok(store) => store.close().await,
        Err(error) => Err(error),
    };
    let place = folder.display();
    let (found, stored) = match opened {
        Ok(()) => {
            (finding(Finding::ok, format!("the store in {place} can be opened; its schema is {SCHEMA}")), Stored::Free)
        }
        Err(StoreError::Locked { .. }) => {
            (finding(Finding::ok, format!("the store in {place} is in use by a running crosspage")), Stored::InUse)
        }
        Err(error) => (finding(Finding::failed, format!("{error}")).key(KEY), Stored::Broken),
    };
    report.add(found);
    stored
}

const KEY: &str = "DATABASE_URL";

fn finding(make: fn(&'static str, String) -> Finding, found: String) -> Finding {
    make("store", found)
}

/// The folder, or the nearest one above it that is there; and whether it is the folder itself.
fn nearest(folder: &Path) -> (PathBuf, bool) {
    for level in folder.ancestors() {
        let level = if level.as_os_str().is_empty() { Path::new(".") } else { level };
        if level.exists() {
            return (level.to_owned(), level == folder);
        }
    }
    (PathBuf::from("."), false)
}

/// Why the store cannot be used there, or is better not opened.
fn no_way_in(folder: &Path, nearest: &Path, there: bool) -> Option<(Finding, Stored)> {
    let place = nearest.display();
    if !nearest.is_dir() {
        let found = format!("{} cannot hold the store: {place} is no folder", folder.display());
        return Some((finding(Finding::failed, found).key(KEY).way_out("name a folder"), Stored::Broken));
    }
    if rustix::fs::access(nearest, Access::WRITE_OK | Access::READ_OK | Access::EXEC_OK).is_err() {
        let found = format!("{} cannot hold the store: {place} may not be written by this user", folder.display());
        let to_do = "run this as the user of crosspage, or give that user the folder";
        return Some((finding(Finding::failed, found).key(KEY).way_out(to_do), Stored::Broken));
    }
    let owner = rustix::fs::stat(nearest).ok()?.st_uid;
    if there && owner != rustix::process::geteuid().as_raw() {
        // What is opened may be written to, and what is new in the folder would be ours.
        let found = format!("{place} belongs to another user ({owner}), so the store in it was not opened");
        return Some((
            finding(Finding::skipped, found).way_out("run this as the user of crosspage"),
            Stored::NotLookedAt,
        ));
    }
    None
}

fn room(place: &Path, free: u64, needed: u64) -> Finding {
    const CHECK: &str = "disk";
    let found = format!("{} MiB are free at {}", free >> 20, place.display());
    let finding = if free < needed {
        Finding::failed(CHECK, format!("{found}: under {} MiB no webhooks are taken", needed >> 20))
    } else if free < SCANT_BYTES {
        Finding::warning(CHECK, format!("{found}: under {} MiB no webhooks are taken", needed >> 20))
    } else {
        return Finding::ok(CHECK, found);
    };
    finding.key(KEY).way_out("make room, or name a folder on a larger disk")
}

/// Asks whoever listens there. No proxy is in between.
async fn ask(listen: SocketAddr) -> Answers {
    let address = reachable(listen);
    let (Ok(client), Ok(base)) =
        (Client::without_proxy(&HttpSettings::default()), BaseUrl::parse(&format!("http://{address}")))
    else {
        return Answers::Nothing;
    };
    if listen.port() == 0 {
        return Answers::Nothing;
    }
    match client.send(client.request(Method::GET, base.at(&["readyz"]))).await {
        Ok(response) => {
            let said: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let ours = said["status"].is_string() && [200, 503].contains(&response.status);
            if ours { Answers::Crosspage { status: response.status, said } } else { Answers::SomethingElse }
        }
        Err(crate::http::ApiError::NotSent(_)) => Answers::Nothing,
        Err(crate::http::ApiError::Unclear(_)) => Answers::SomethingElse,
    }
}

fn listener(config: &Config, answers: &Answers, stored: Stored) -> Finding {
    const CHECK: &str = "listener";
    const KEY: &str = "LISTEN_ADDR";
    let listen = config.listen;
    match (answers, stored) {
        (Answers::Crosspage { .. }, Stored::Free | Stored::Broken) => {
            let found = format!("a crosspage answers at {listen} that does not use the store of DATABASE_URL");
            Finding::warning(CHECK, found)
                .key(self::KEY)
                .way_out("run this where that crosspage runs, with the same settings")
        }
        (Answers::Crosspage { status: 200, said }, _) if said["status"] == "ready" => {
            Finding::ok(CHECK, format!("crosspage runs, answers at {listen} and is ready"))
        }
        (Answers::Crosspage { status: 200, said }, _) => {
            let found = format!("crosspage runs at {listen} and says that {}", why(said));
            Finding::warning(CHECK, found).way_out("look at its log for why, and page by hand what is late")
        }
        (Answers::Crosspage { said, .. }, _) => {
            let found = format!("crosspage runs at {listen} and takes no webhooks: {}", why(said));
            Finding::failed(CHECK, found).way_out("look at its log for why")
        }
        (Answers::SomethingElse, _) => {
            let found = format!("something that is not crosspage answers at {listen}");
            Finding::failed(CHECK, found).key(KEY).way_out("name another port, or stop what is there")
        }
        (Answers::Nothing, Stored::InUse) => {
            let found = format!("a crosspage uses the store, and nothing answers at {listen}");
            Finding::warning(CHECK, found).key(KEY).way_out("run this with the same settings as that crosspage has")
        }
        (Answers::Nothing, _) => free(listen, CHECK, KEY),
    }
}

/// What a crosspage says of itself, in words.
fn why(said: &Value) -> String {
    let reason = said["reason"].as_str().unwrap_or("it does not say why");
    match said["late_pages"].as_u64() {
        Some(late) => format!("{reason} ({late} late)"),
        None => reason.to_owned(),
    }
}

/// Whether the address can be listened on.
pub(super) fn free(listen: SocketAddr, check: &'static str, key: &str) -> Finding {
    let error = match TcpListener::bind(listen) {
        Ok(_) if listen.port() == 0 => {
            let found = "the port is left to the system, so nobody knows where to find it";
            return Finding::warning(check, found).key(key).way_out("name a port");
        }
        Ok(_) => return Finding::ok(check, format!("crosspage does not run, and can listen on {listen}")),
        Err(error) => error,
    };
    let to_do = match error.kind() {
        ErrorKind::AddrInUse => "name another port, or stop what is there",
        ErrorKind::PermissionDenied => "name a port above 1023, or allow this one to the user of crosspage",
        ErrorKind::AddrNotAvailable => "name an address of this machine, or 0.0.0.0 for all of them",
        _ => "name another address",
    };
    Finding::failed(check, format!("cannot listen on {listen}: {error}")).key(key).way_out(to_do)
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_disk_that_is_nearly_full_is_told() {
        let needed = 256 << 20;
        let table = [
            (0, Verdict::Failed),
            (needed - 1, Verdict::Failed),
            (needed, Verdict::Warning),
            (SCANT_BYTES - 1, Verdict::Warning),
            (SCANT_BYTES, Verdict::Ok),
        ];
        for (free, verdict) in table {
            let finding = room(Path::new("data"), free, needed);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert_eq!(finding.key.as_deref(), (verdict != Verdict::Ok).then_some("DATABASE_URL"));
        }
    }
}
