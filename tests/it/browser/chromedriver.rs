//! chromedriver as a process of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A running chromedriver. Dropping it ends it.
pub(super) struct Chromedriver {
    child: Child,
    url: String,
    _home: TempDir,
}

impl Chromedriver {
    /// Starts one on a free port, and waits until it says on which.
    pub(super) fn start() -> Self {
        // What a browser keeps beside its profile is nobody's business either.
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", home.path())
            .env("XDG_CONFIG_HOME", home.path())
            .env("XDG_CACHE_HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is on the PATH (Debian: apt-get install chromium chromium-driver)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.by_ref().map_while(Result::ok).find_map(|line| port_of(&line));
        let Some(port) = port else {
            // It has ended, or will: nothing comes from it any more.
            let _ = child.kill();
            panic!("chromedriver does not say on which port it is: {:?}", child.wait());
        };
        // It must never write to a pipe that nobody empties.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { child, url: format!("http://127.0.0.1:{port}"), _home: home }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Chromedriver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From the line `ChromeDriver was started successfully on port 40123.`
fn port_of(line: &str) -> Option<u16> {
    let (_, port) = line.split_once("started successfully on port ")?;
    port.trim_end_matches('.').parse().ok()
}
