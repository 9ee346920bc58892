//! A wire between crosspage and a vendor that notes when which call came by.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use crate::webhooks::{MARKER, MARKER_LENGTH};

/// The wire. It ends with the process.
pub(crate) struct Relay {
    /// Where the vendor seems to be.
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Relay {
    /// Passes on to `vendor` whatever comes.
    pub(crate) fn to(vendor: &str) -> Self {
        let vendor: SocketAddr = vendor.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let seen: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
        let theirs = Arc::clone(&seen);
        thread::spawn(move || {
            for here in listener.incoming().map_while(Result::ok) {
                let there = TcpStream::connect(vendor).expect("the vendor is there");
                let back = (there.try_clone().expect("a handle"), here.try_clone().expect("a handle"));
                let seen = Arc::clone(&theirs);
                thread::spawn(move || pass(here, there, |bytes| note(bytes, &mut lock(&seen))));
                thread::spawn(move || pass(back.0, back.1, |_| {}));
            }
        });
        Self { address, seen }
    }

    /// When the first call with that marker came by.
    pub(crate) fn seen_at(&self, marker: &str) -> Option<Instant> {
        lock(&self.seen).get(marker).copied()
    }

    /// How many markers came by.
    pub(crate) fn seen(&self) -> usize {
        lock(&self.seen).len()
    }
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pass(mut from: TcpStream, mut to: TcpStream, look: impl Fn(&[u8])) {
    // A read takes a whole call: they are short, and come in one piece.
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        look(&bytes[..length]);
        if to.write_all(&bytes[..length]).is_err() {
            break;
        }
    }
    // The other direction may have ended first.
    let _ = to.shutdown(Shutdown::Write);
}

fn note(bytes: &[u8], seen: &mut HashMap<String, Instant>) {
    let now = Instant::now();
    let Some(at) = bytes.windows(MARKER.len()).position(|found| found == MARKER.as_bytes()) else { return };
    if let Some(marker) = bytes.get(at..at + MARKER_LENGTH) {
        seen.entry(String::from_utf8_lossy(marker).into_owned()).or_insert(now);
    }
}
