//! The real binary as a process of its own, between the two simulated vendors.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use simulators::{opsgenie, pagerduty};
use tempfile::TempDir;

use crate::harness::{LOOK_EVERY, TOO_LONG};

/// How a run has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// None if a signal has ended it.
    pub(crate) code: Option<i32>,
    /// Everything that it has written to standard output and standard error.
    pub(crate) output: String,
}

/// A running process. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the binary in `folder` with nothing in its environment but `vars`.
    pub(crate) fn spawn(folder: &Path, vars: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::spawn_telling(folder, vars, arguments, |_| {})
    }

    /// The same, and waits until it says where it listens.
    pub(crate) fn start(folder: &Path, vars: &[(&str, &str)]) -> (Self, SocketAddr) {
        let (listens, listening) = mpsc::channel();
        let process = Self::spawn_telling(folder, vars, &[], move |line| {
            if line.contains("crosspage is running") {
                // Nobody waits for it after the time-out.
                let _ = listens.send(listen_of(line));
            }
        });
        match listening.recv_timeout(TOO_LONG) {
            Ok(Some(address)) => (process, address),
            _ => panic!("it does not say where it listens: {}", process.output()),
        }
    }

    fn spawn_telling(
        folder: &Path,
        vars: &[(&str, &str)],
        arguments: &[&str],
        tell: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crosspage"))
            .args(arguments)
            .env_clear()
            .envs(vars.iter().copied())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let stdout = read_lines(child.stdout.take().unwrap(), Arc::clone(&output), |_| {});
        let stderr = read_lines(child.stderr.take().unwrap(), Arc::clone(&output), tell);
        Self { child, output, readers: vec![stdout, stderr] }
    }

    /// What it has written so far.
    pub(crate) fn output(&self) -> MutexGuard<'_, String> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it serves operators, once it has said so.
    pub(crate) fn admin(&self) -> String {
        let line = self.output().lines().find(|line| line.contains("crosspage is running")).map(str::to_owned);
        let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        line["admin"].as_str().unwrap().to_owned()
    }

    /// Asks it to end, as an orchestrator does.
    pub(crate) fn terminate(self) -> Ended {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.ended()
    }

    /// Waits until it ends by itself, and fails the test if it does not.
    pub(crate) fn ended(mut self) -> Ended {
        let started = Instant::now();
        let code = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status.code(),
                None if started.elapsed() > TOO_LONG => panic!("it does not end: {}", self.output()),
                None => thread::sleep(LOOK_EVERY),
            }
        };
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let output = self.output().clone();
        Ended { code, output }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(
    from: impl Read + Send + 'static,
    output: Arc<Mutex<String>>,
    tell: impl Fn(&str) + Send + 'static,
) -> JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
            output.push_str(&line);
            output.push('\n');
            drop(output);
            tell(&line);
        }
    })
}

/// Where it listens, from a line of either format.
fn listen_of(line: &str) -> Option<SocketAddr> {
    let json = serde_json::from_str::<serde_json::Value>(line).ok();
    match json.as_ref().and_then(|line| line["listen"].as_str()) {
        Some(listen) => listen.parse().ok(),
        None => line.split("listen=").nth(1)?.split(' ').next()?.parse().ok(),
    }
}

/// The vendors, and a folder with a `.env` for a process between them.
pub(crate) struct Stage {
    pub(crate) opsgenie: opsgenie::Server,
    pub(crate) pagerduty: pagerduty::Server,
    pub(crate) folder: TempDir,
}

impl Stage {
    /// Writes the seven required keys, the token if there is one, and what leads to the simulators.
    pub(crate) async fn set(opsgenie: opsgenie::Options, pagerduty: pagerduty::Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (og, pd) = (opsgenie.clone(), pagerduty.clone());
        let stage = Self {
            opsgenie: opsgenie::Server::start(opsgenie).await.unwrap(),
            pagerduty: pagerduty::Server::start(pagerduty).await.unwrap(),
            folder,
        };
        let mut lines = format!(
            "# --- Required ---\n\n\
             PAGERDUTY_API_KEY={} # not read-only\n\
             PAGERDUTY_SERVICE_ID={}   # the last part of its address\n\
             PAGERDUTY_WEBHOOK_SECRET={} # shown once\n\
             PAGERDUTY_EMAIL={} # its own user\n\
             PAGERDUTY_USER='{}' # its name, in quotes for the space\n\n\
             export OPSGENIE_API_KEY={} # of an API integration\n\
             OPSGENIE_INTEGRATION_ID={} # of the webhook\n\n\
             # PAGERDUTY_REGION=eu\n\
             PAGERDUTY_API_URL={}\n\
             OPSGENIE_API_URL={} # here\n\
             LISTEN_ADDR=127.0.0.1:0 # any port\n\
             ADMIN_ADDR=127.0.0.1:0\n",
            pd.api_key,
            pd.service_id,
            pd.webhook_secrets.join(","),
            pd.automation.email,
            pd.automation.name,
            og.api_key,
            og.integration_id,
            stage.pagerduty.url(),
            stage.opsgenie.url(),
        );
        if let Some(token) = og.webhook_token {
            lines.push_str(&format!("OPSGENIE_WEBHOOK_TOKEN={token} # a custom header\n"));
        }
        fs::write(stage.folder.path().join(".env"), lines).unwrap();
        stage
    }

    /// The usual vendors.
    pub(crate) async fn usual() -> Self {
        let opsgenie = opsgenie::Options { processing_ms: 5, ..opsgenie::Options::default() };
        Self::set(opsgenie, pagerduty::Options::default()).await
    }

    /// Starts crosspage, and points the vendors' webhooks at it.
    pub(crate) fn start(&self, vars: &[(&str, &str)]) -> (Process, SocketAddr) {
        let (process, address) = Process::start(self.folder.path(), vars);
        self.opsgenie.webhook_to(&format!("http://{address}/ops-webhook"));
        self.pagerduty.webhook_to(&format!("http://{address}/pd-webhook"));
        (process, address)
    }

    /// The one incident of an alert, once it is there.
    pub(crate) fn incident_of(&self, alert: &str) -> String {
        let find = || {
            let key = format!("opsgenie:{alert}");
            self.pagerduty.model().incident_by_key(&key).into_iter().map(|incident| incident.id.clone()).next()
        };
        until("the incident is there", || find().is_some());
        find().unwrap()
    }

    /// The texts of the incident's notes, oldest first.
    pub(crate) fn incident_notes(&self, incident: &str) -> Vec<String> {
        let model = self.pagerduty.model();
        model.incident(incident).unwrap().notes.iter().map(|note| note.text.clone()).collect()
    }

    /// The texts of the alert's notes, oldest first.
    pub(crate) fn alert_notes(&self, alert: &str) -> Vec<String> {
        self.opsgenie.model().alert(alert).unwrap().notes.iter().map(|note| note.text.clone()).collect()
    }

    /// Every file below the folder but the `.env`, by path.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().is_some_and(|name| name != ".env") {
                    let bytes = fs::read(&path).unwrap();
                    files.insert(path.display().to_string(), bytes);
                }
            }
        }
        files
    }
}

/// An address for the caller alone, its port from below those that the system gives to whoever asks for any: crosspage comes
/// back to it after each stop, and nobody may have taken it meanwhile.
pub(crate) fn own_address() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let port = || 20_000 + (std::process::id() * 16 + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
    let addresses = std::iter::repeat_with(|| format!("127.0.0.1:{}", port())).take(12_000);
    let mut free = addresses.filter(|address| TcpListener::bind(address).is_ok());
    free.next().expect("a port is free")
}

/// Waits until `is_so`, and fails the test if that takes absurdly long.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < TOO_LONG, "waited in vain until {what}");
        thread::sleep(LOOK_EVERY);
    }
}
