//! The load: requests that were made before, over connections that stay open, from one thread. It shares the processors with
//! what it measures, so it does nothing but write, read, and look at the clock.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};

use crate::webhooks::Wire;

/// For how long a connection surely stays open while nothing is sent: the server gives it up after five seconds.
const STAYS_OPEN: Duration = Duration::from_secs(2);

/// What a load came to.
pub(crate) struct Measured {
    took: Duration,
    /// Sorted.
    latencies: Vec<Duration>,
}

impl Measured {
    /// Puts together what was measured.
    pub(crate) fn new(took: Duration, mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        Self { took, latencies }
    }

    /// How many a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// The time within which that share of the answers came.
    pub(crate) fn within(&self, share: f64) -> Duration {
        let at = (self.latencies.len() as f64 * share).ceil() as usize;
        self.latencies.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Sends all requests over that many connections, each as soon as the one before it was answered. Each is to be taken, and
/// for one of those reasons.
pub(crate) fn as_fast_as_answered(
    address: SocketAddr,
    connections: usize,
    requests: Vec<Wire>,
    reasons: &'static [&'static str],
) -> Measured {
    in_one_thread(async {
        let work =
            Rc::new(Work { next: Cell::new(0), times: RefCell::new(Vec::with_capacity(requests.len())), requests });
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            streams.push(connect(address).await);
        }
        let started = Instant::now();
        let senders = streams.into_iter().map(|mut stream| {
            let work = Rc::clone(&work);
            spawn_local(async move {
                while let Some(request) = work.requests.get(work.next.replace(work.next.get() + 1)) {
                    let sent = Instant::now();
                    exchange(&mut stream, request, reasons).await.expect("an answer");
                    work.times.borrow_mut().push(sent.elapsed());
                }
            })
        });
        for sender in senders.collect::<Vec<_>>() {
            sender.await.expect("all goes well");
        }
        Measured::new(started.elapsed(), work.times.take())
    })
}

/// What the senders share.
struct Work {
    requests: Vec<Wire>,
    next: Cell<usize>,
    times: RefCell<Vec<Duration>>,
}

/// Sends so many requests a second, whether the ones before were answered or not, and tells when each was sent.
pub(crate) fn at_a_pace(address: SocketAddr, a_second: u32, requests: Vec<Wire>) -> Vec<Instant> {
    in_one_thread(async {
        let started = Instant::now() + Duration::from_millis(100);
        let mut sent = Vec::with_capacity(requests.len());
        let mut senders = Vec::with_capacity(requests.len());
        let idle: Rc<RefCell<Vec<(TcpStream, Instant)>>> = Rc::default();
        for (number, request) in (0..).zip(requests) {
            tokio::time::sleep_until((started + Duration::from_secs(1) * number / a_second).into()).await;
            let waiting = idle.borrow_mut().pop();
            let mut stream = match waiting {
                Some((stream, since)) if since.elapsed() < STAYS_OPEN => stream,
                _ => connect(address).await,
            };
            let idle = Rc::clone(&idle);
            sent.push(Instant::now());
            senders.push(spawn_local(async move {
                exchange(&mut stream, &request, &["mirrored"]).await.expect("an answer");
                idle.borrow_mut().push((stream, Instant::now()));
            }));
        }
        for sender in senders {
            sender.await.expect("all goes well");
        }
        sent
    })
}

fn in_one_thread<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, work)
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Sends a request and reads its answer, which must be a 2xx for one of those reasons.
async fn exchange(stream: &mut TcpStream, request: &[u8], reasons: &[&str]) -> io::Result<()> {
    stream.write_all(request).await?;
    let mut answer = [0; 2048];
    let mut length = 0;
    loop {
        match stream.read(&mut answer[length..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            more => length += more,
        }
        let answer = std::str::from_utf8(&answer[..length]).unwrap_or_default();
        if is_whole(answer) {
            let why = answer.split("\"status\":\"").nth(1).and_then(|rest| rest.split('"').next());
            let taken = answer.starts_with("HTTP/1.1 2") && why.is_some_and(|why| reasons.contains(&why));
            assert!(taken, "not taken as it should be: {answer}");
            return Ok(());
        }
    }
}

fn is_whole(answer: &str) -> bool {
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    length == Some(body.len())
}
