//! Somebody who reads a page and types in what it says: a folder like a fresh clone, a shell, curl, and both vendors simulated.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use simulators::{opsgenie, pagerduty};
use tempfile::TempDir;

use super::root;
use crate::contract;
use crate::harness::{LOOK_EVERY, TOO_LONG};
use crate::process::own_address;
use crate::walk::filled_in;

/// What the pages call beside crosspage and what every system has.
const TOOLS: [&str; 3] = ["curl", "jq", "openssl"];

/// What stands for `crosspage` in the reader's shell: the binary that is tested. It leaves its id, to be told to end by;
/// the sandbox's page gets a port that is free, and who is asked whether to page says yes.
const CROSSPAGE: &str = r#"#!/bin/sh
echo $$ > "$HOME/.pid"
case "$*" in
sandbox*--once*) ;;
sandbox*) set -- "$@" --listen 127.0.0.1:0 ;;
check*--e2e*) set -- "$@" --yes ;;
esac
exec "$BINARY" "$@"
"#;

/// What stands for cargo: what it would build and run is there already.
const CARGO: &str = r#"#!/bin/sh
[ "$1" = run ] || { echo "only cargo run is at hand here" >&2; exit 64; }
shift
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in --release | --locked) shift ;; *) echo "cargo run $1 is not at hand here" >&2; exit 64 ;; esac
done
[ $# -gt 0 ] && shift
exec crosspage "$@"
"#;

/// A reader.
pub(super) struct Reader {
    pub(super) opsgenie: opsgenie::Server,
    pub(super) pagerduty: pagerduty::Server,
    home: TempDir,
    door: String,
    admin: String,
    /// What pages leave open, with what this reader has for it; the first that fits counts.
    pub(super) known: Vec<(String, String)>,
    /// crosspage, where it runs.
    running: Option<Running>,
}

/// What was started and goes on.
struct Running {
    shell: Child,
    pid: Pid,
    /// Where in the log it has begun.
    from: usize,
}

/// What a command has come to.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) output: String,
}

impl Reader {
    /// Has cloned the project and has accounts at both vendors, without anything in them.
    pub(super) async fn new() -> Self {
        let (path, home) = (std::env::var("PATH").unwrap_or_default(), tempfile::tempdir().unwrap());
        let is_there = |tool: &str| std::env::split_paths(&path).any(|folder| folder.join(tool).is_file());
        let missing: Vec<_> = TOOLS.into_iter().filter(|tool| !is_there(tool)).collect();
        assert!(missing.is_empty(), "the pages' commands cannot be run, and were not: install {}", missing.join(", "));
        let folder = home.path().join("crosspage");
        fs::create_dir_all(home.path().join("bin")).unwrap();
        fs::create_dir_all(&folder).unwrap();
        for (name, script) in [("crosspage", CROSSPAGE), ("cargo", CARGO)] {
            let path = home.path().join("bin").join(name);
            fs::write(&path, script).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        // An answer that is none of success fails the command.
        fs::write(home.path().join(".curlrc"), "fail-with-body\nshow-error\nmax-time = 120\nnoproxy = *\n").unwrap();
        fs::copy(root().join(".env-example"), folder.join(".env-example")).unwrap();
        symlink(root().join("examples"), folder.join("examples")).unwrap();
        // By which the examples go.
        let integration_id = "00000000-0000-4000-8000-000000000000".to_owned();
        let opsgenie = opsgenie::Options { processing_ms: 5, integration_id, ..opsgenie::Options::default() };
        Self {
            opsgenie: opsgenie::Server::start(opsgenie).await.unwrap(),
            pagerduty: pagerduty::Server::start(pagerduty::Options::default()).await.unwrap(),
            home,
            door: own_address(),
            admin: own_address(),
            known: Vec::new(),
            running: None,
        }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.home.path().join("crosspage")
    }

    /// Fills in `.env`, and has both vendors post to crosspage, as the set-up pages have it done.
    pub(super) fn sets_up(&self) {
        let (og, pd) = (opsgenie::Options::default(), pagerduty::Options::default());
        let values = [
            ("PAGERDUTY_API_KEY", pd.api_key),
            ("PAGERDUTY_SERVICE_ID", pd.service_id),
            ("PAGERDUTY_WEBHOOK_SECRET", pd.webhook_secrets[0].clone()),
            ("PAGERDUTY_EMAIL", pd.automation.email),
            ("PAGERDUTY_USER", pd.automation.name),
            ("PAGERDUTY_FALLBACK_ROUTING_KEY", "0123456789abcdef0123456789abcdef".to_owned()),
            ("OPSGENIE_API_KEY", og.api_key),
            ("PAGERDUTY_API_URL", self.pagerduty.url()),
            ("PAGERDUTY_EVENTS_URL", self.pagerduty.url()),
            ("OPSGENIE_API_URL", self.opsgenie.url()),
            ("LISTEN_ADDR", self.door.clone()),
            ("ADMIN_ADDR", self.admin.clone()),
        ];
        fs::write(self.folder().join(".env"), filled_in(&values)).unwrap();
        self.pagerduty.webhook_to(&format!("http://{}/pd-webhook", self.door));
        self.opsgenie.webhook_to(&format!("http://{}/ops-webhook", self.door));
    }

    /// What the reader types for what a page says: their own ids, and where things are here.
    fn typed(&self, text: &str) -> String {
        let port = |address: &str| address.rsplit(':').next().unwrap().to_owned();
        let here = [
            ("https://api.pagerduty.com", self.pagerduty.url()),
            ("https://events.pagerduty.com", self.pagerduty.url()),
            ("https://api.opsgenie.com", self.opsgenie.url()),
            ("localhost:5001", format!("localhost:{}", port(&self.door))),
            ("localhost:5002", format!("localhost:{}", port(&self.admin))),
            ("/srv/", format!("{}/", self.home.path().display())),
            ("YOUR-HOST", "crosspage.example.com".to_owned()),
        ];
        let here = here.iter().map(|(from, to)| (*from, to.as_str()));
        let known = self.known.iter().map(|(from, to)| (from.as_str(), to.as_str()));
        replaced(text, &known.chain(here).collect::<Vec<_>>())
    }

    fn shell(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        // As the set-up pages say.
        let settings = if self.folder().join(".env").exists() { "set -a; . ./.env; set +a\n" } else { "" };
        let mut command = Command::new("sh");
        command.args(["-euc", &format!("{settings}{}", self.typed(script))]);
        command.env_clear().env("PATH", format!("{}/bin:{path}", self.home.path().display()));
        command.env("HOME", self.home.path()).env("BINARY", env!("CARGO_BIN_EXE_crosspage")).env("LANG", "C.UTF-8");
        command.current_dir(self.folder()).stdin(Stdio::null());
        command
    }

    /// Gives this to a shell and waits until it ends, which it must.
    pub(super) fn runs(&self, script: &str) -> Ran {
        let said = self.home.path().join(".said");
        let file = File::create(&said).unwrap();
        let mut shell =
            self.shell(script).stdout(file.try_clone().unwrap()).stderr(file).process_group(0).spawn().unwrap();
        let said = || fs::read_to_string(&said).unwrap();
        let started = Instant::now();
        let status = loop {
            if let Some(status) = shell.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > TOO_LONG {
                kill_process_group(Pid::from_child(&shell), Signal::KILL).unwrap();
                panic!("{script}: it does not end: {}", said());
            }
            thread::sleep(LOOK_EVERY);
        };
        Ran { code: status.code(), output: said() }
    }

    /// Starts what goes on until it is told to end, and waits until it says this.
    pub(super) fn starts(&mut self, line: &str, says: &str) {
        assert!(self.running.is_none(), "{line}: crosspage runs already");
        let pid_file = self.home.path().join(".pid");
        let _ = fs::remove_file(&pid_file);
        let file = OpenOptions::new().create(true).append(true).open(self.folder().join("crosspage.log")).unwrap();
        let (stdout, stderr) = (file.try_clone().unwrap(), file);
        let from = self.log_from(0).len();
        let mut shell = self.shell(line).stdout(stdout).stderr(stderr).spawn().unwrap();
        let started = Instant::now();
        while !self.log_from(from).contains(says) {
            let goes_on = shell.try_wait().unwrap().is_none() && started.elapsed() < TOO_LONG;
            assert!(goes_on, "{line}: it does not say {says:?}: {}", self.log_from(from));
            thread::sleep(LOOK_EVERY);
        }
        let pid = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
        self.running = Some(Running { shell, pid: Pid::from_raw(pid).unwrap(), from });
    }

    fn log_from(&self, at: usize) -> String {
        fs::read_to_string(self.folder().join("crosspage.log")).unwrap_or_default().split_off(at)
    }

    /// What the crosspage that runs has logged.
    pub(super) fn log(&self) -> String {
        self.running.as_ref().map(|running| self.log_from(running.from)).unwrap_or_default()
    }

    /// Ends what goes on, which must then end well.
    pub(super) fn stops(&mut self) {
        if let Some(mut running) = self.running.take() {
            kill_process(running.pid, Signal::TERM).unwrap();
            let code = running.shell.wait().unwrap().code();
            assert_eq!(code, Some(0), "{}", self.log_from(running.from));
        }
    }

    /// The only subscription's id, as the list shows it.
    pub(super) fn subscription(&self) -> String {
        let listed = self.runs(
            r#"curl -s https://api.pagerduty.com/webhook_subscriptions -H "Authorization: Token token=$PAGERDUTY_API_KEY""#,
        );
        let list: Value = serde_json::from_str(&listed.output).unwrap();
        list["webhook_subscriptions"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Puts the store away, or has one that was put away in the place of what is there.
    pub(super) fn copies_store(&self, from: &str, to: &str) {
        let (from, to) = (self.folder().join(from), self.folder().join(to));
        let _ = fs::remove_dir_all(&to);
        copy_folder(&from, &to);
    }

    /// Waits until crosspage's log has a line with all of that.
    pub(super) fn until_logged(&self, parts: &[&str]) {
        let started = Instant::now();
        while !self.log().lines().any(|line| parts.iter().all(|part| line.contains(part))) {
            assert!(started.elapsed() < TOO_LONG, "it does not log {parts:?}: {}", self.log());
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Whatever was called must have been by the vendors' documents, where they are at hand.
    pub(super) fn ends(mut self) {
        self.stops();
        contract::hold(self.opsgenie.model().calls(), self.pagerduty.model().calls());
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        if let Some(mut running) = self.running.take() {
            let _ = kill_process(running.pid, Signal::KILL);
            let _ = running.shell.wait();
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// A text with what is told of put in the place of what it is told for, but within longer words. What was put in stays.
pub(super) fn replaced(text: &str, told: &[(&str, &str)]) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let (mut made, mut before, mut rest) = (String::new(), None, text);
    while let Some(next) = rest.chars().next() {
        let fits = |from: &str| {
            let (first, last) = (from.chars().next(), from.chars().next_back());
            let after = rest.strip_prefix(from).map(|after| after.chars().next());
            after.is_some_and(|after| !(is_word(first) && is_word(before) || is_word(last) && is_word(after)))
        };
        let (taken, put) = match told.iter().find(|(from, _)| fits(from)) {
            Some((from, to)) => (*from, *to),
            None => (&rest[..next.len_utf8()], &rest[..next.len_utf8()]),
        };
        made.push_str(put);
        before = taken.chars().next_back();
        rest = &rest[taken.len()..];
    }
    made
}

#[test]
fn what_stands_for_something_is_put_in_once_and_whole() {
    let told = [("A B", "x"), ("A", "17"), ("17", "4"), ("4", "5"), ("at:1", "here")];
    let text = "A B, A, AB, 17/a at:1 at:12 4-17 417";
    assert_eq!(replaced(text, &told), "x, 17, AB, 4/a here at:12 5-4 417");
}
