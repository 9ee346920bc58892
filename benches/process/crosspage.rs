//! The release binary as a child process, and what the system tells of it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::vendors::Vars;

/// Nothing that is waited for here takes this long unless something hangs.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(300);

const LOOK_EVERY: Duration = Duration::from_micros(500);

/// A running crosspage. Dropping it kills it.
pub(crate) struct Crosspage {
    child: Child,
    /// Where the webhook doors are.
    pub(crate) address: SocketAddr,
    /// From the start of the process until `/readyz` answered 200.
    pub(crate) ready_after: Duration,
}

impl Crosspage {
    /// Starts it on the store in `folder`, and waits until it is ready. It logs as it does by default, into a file.
    pub(crate) fn start(folder: &Path, vars: &Vars) -> Self {
        let log = folder.join("crosspage.log");
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_crosspage"))
            .env_clear()
            .envs(vars)
            .env("DATABASE_URL", format!("sled://{}", store_in(folder).display()))
            .env("LISTEN_ADDR", "127.0.0.1:0")
            .env("ADMIN_ADDR", "127.0.0.1:0")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("the log can be made"))
            .spawn()
            .expect("the binary starts");
        let mut crosspage = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), ready_after: Duration::ZERO };
        crosspage.address = crosspage.wait_for(|_| listens_at(&log));
        crosspage.ready_after = crosspage.wait_for(|crosspage| crosspage.is_ready().then(|| started.elapsed()));
        crosspage
    }

    fn is_ready(&self) -> bool {
        let mut answer = [0; 12];
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let asked = stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n");
        asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b" 200")
    }

    /// How much of its memory is resident now, in bytes.
    pub(crate) fn resident(&self) -> u64 {
        self.status_line("VmRSS:")
    }

    /// The most that was resident at any time, in bytes.
    pub(crate) fn most_resident(&self) -> u64 {
        self.status_line("VmHWM:")
    }

    fn status_line(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs, on Linux");
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the system tells");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// How much time it has spent on the processors, all threads together.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it runs, on Linux");
        // The fields after the name, which may hold anything; user and system time are the 14th and 15th of all.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn terminate(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "an orderly end: {status}");
    }

    /// Ends it as a power cut would, as far as the process is concerned.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    fn wait_for<T>(&mut self, look: impl Fn(&Self) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            let ended = self.child.try_wait().expect("it can be asked");
            assert!(ended.is_none() && started.elapsed() < TOO_LONG, "crosspage does not start: {ended:?}");
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Crosspage {
    fn drop(&mut self) {
        // It has ended already, unless the bench has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the store lies in a folder.
pub(crate) fn store_in(folder: &Path) -> PathBuf {
    folder.join("store")
}

/// How many bytes of the disk the store in a folder takes up.
pub(crate) fn stored_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    let mut folders = vec![store_in(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder is there").map_while(Result::ok) {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.blocks() * 512,
                // The database removes files of its own now and then.
                Err(_) => {}
            }
        }
    }
    bytes
}

fn listens_at(log: &Path) -> Option<SocketAddr> {
    let log = fs::read_to_string(log).ok()?;
    let running = log.lines().find(|line| line.contains("crosspage is running"))?;
    serde_json::from_str::<Value>(running).ok()?["listen"].as_str()?.parse().ok()
}
