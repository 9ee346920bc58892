//! A vendor for tests: gives scripted answers on a loopback port, one connection after the other, and keeps what it was
//! asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What the stub does with one request.
pub(crate) enum Reply {
    /// Sends these bytes, and closes.
    Bytes(Vec<u8>),
    /// Never answers.
    Hang,
}

impl Reply {
    /// An answer with a JSON body and further header lines.
    pub(crate) fn with_headers(status: u16, headers: &[(&str, &str)], body: &Value) -> Self {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let length = body.len();
        let text =
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}");
        Self::Bytes(text.into_bytes())
    }

    /// An answer with a JSON body; null stands for none.
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::with_headers(status, &[], body)
    }
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Method and target.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }

    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let line = line.trim_end().to_owned();
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let line = lines.remove(0).trim_end_matches(" HTTP/1.1").to_owned();
        let pair =
            |line: String| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
        let mut seen = Self { line, headers: lines.into_iter().map(pair).collect(), body: String::new() };
        let length = seen.header("content-length").map_or(0, |length| length.parse().unwrap());
        reader.take(length).read_to_string(&mut seen.body).unwrap();
        seen
    }
}

/// The stub. Its thread ends with the script.
pub(crate) struct Stub {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Stub {
    pub(crate) fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut hanging = Vec::new();
            for reply in script {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let request = Seen::read(&stream);
                log.lock().unwrap().push(request);
                match reply {
                    Reply::Bytes(bytes) => drop(stream.write_all(&bytes)),
                    Reply::Hang => hanging.push(stream),
                }
            }
            // What hangs does so until the client gives up.
            for mut stream in hanging {
                let _ = stream.read(&mut [0]);
            }
        });
        Self { url, seen }
    }

    /// What was asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The methods and targets that were asked for so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}
