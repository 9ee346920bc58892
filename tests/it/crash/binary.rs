//! The real binary as a child process.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::TOO_LONG;

/// What all runs have logged, line by line. What is no JSON object is kept as text.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Value>>>);

impl Log {
    pub(super) fn lines(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running crosspage. Dropping it kills it.
pub(super) struct Binary {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
    reader: Option<JoinHandle<()>>,
}

impl Binary {
    /// Starts it in `folder` with nothing but `vars` in its environment, and waits until it says where it listens.
    pub(super) fn start(folder: &Path, vars: &HashMap<&'static str, String>, log: &Log) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crosspage"))
            .env_clear()
            .envs(vars)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (listens, listening) = mpsc::channel();
        let log = log.clone();
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if line["message"] == "crosspage is running" {
                    let at = |key: &str| line[key].as_str().and_then(|address| address.parse::<SocketAddr>().ok());
                    // Nobody waits for it after the time-out.
                    let _ = listens.send(at("listen").zip(at("admin")));
                }
                log.lines().push(line);
            }
        });
        let (address, admin) =
            listening.recv_timeout(TOO_LONG).ok().flatten().expect("crosspage says where it listens");
        Self { child, address, admin, reader: Some(reader) }
    }

    /// Where `path` is served.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Where `path` of the operator's API is served.
    pub(super) fn api(&self, path: &str) -> String {
        format!("http://{}/api/v1/{path}", self.admin)
    }

    /// Where its metrics are served.
    pub(super) fn metrics(&self) -> String {
        format!("http://{}/metrics", self.admin)
    }

    /// Whether it has not ended by itself.
    pub(super) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it as a power cut would, as far as the process is concerned.
    pub(super) fn kill(mut self) {
        self.child.kill().unwrap();
        self.wait();
    }

    /// Asks it to end, and waits until it has.
    pub(super) fn terminate(mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.wait()
    }

    fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It has ended already, unless the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
