//! The wire skin: an HTTP server on loopback around a model, a task that posts its webhooks, and nothing else.
//!
//! The skin runs on a thread of its own, so that it works the same under any runtime. Time passes for the model only
//! through here: the clock is read before each request, each look of a test, and each turn of the background task.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::stream;
use tokio::sync::{Notify, Semaphore, oneshot};

use crate::exchange::{Answer, Connection, Reply, Request, WebhookDelivery};

/// The largest request body that is read, in bytes; more is answered 413.
const BODY_LIMIT: usize = 4 << 20;

/// How many webhooks are posted at a time.
const POSTS_AT_ONCE: usize = 64;

/// A vendor's state model, as the skin sees it.
pub trait Vendor: Send + 'static {
    /// What a model is made from.
    type Options: Send;

    /// A vendor without history.
    fn new(options: Self::Options) -> Self;
    /// The address to listen on, if the options name one.
    fn listen_address(options: &Self::Options) -> Option<SocketAddr>;
    /// Moves time forward to `now_ms`, Unix milliseconds.
    fn set_now(&mut self, now_ms: i64);
    /// Serves a request.
    fn handle(&mut self, now_ms: i64, request: Request) -> Reply;
    /// Does what is due by now.
    fn tick(&mut self, now_ms: i64);
    /// When `tick` or `take_webhooks` next has something to do.
    fn next_wake(&self) -> Option<i64>;
    /// Webhooks to post now; each must be answered.
    fn take_webhooks(&mut self, now_ms: i64) -> Vec<WebhookDelivery>;
    /// Settles one of them.
    fn webhook_answered(&mut self, delivery: u64, now_ms: i64, answer: Answer);
    /// Where webhooks without an address of their own are posted from here on.
    fn webhooks_go_to(&mut self, url: &str);
    /// While parked, webhooks without an address of their own stay queued.
    fn park_webhooks(&mut self, parked: bool);
    /// Nothing to process, nothing to post.
    fn is_quiet(&self) -> bool;
}

/// A running simulator. Dropping it stops it too, without waiting.
pub struct Server<V: Vendor> {
    shared: Arc<Shared<V>>,
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
    ended: Option<oneshot::Receiver<()>>,
}

struct Shared<V> {
    model: Mutex<V>,
    webhook_url: Mutex<Option<String>>,
    wake: Notify,
    stopping: AtomicBool,
}

impl<V: Vendor> Server<V> {
    /// Starts on `127.0.0.1` and a free port, or where the options say.
    pub async fn start(options: V::Options) -> io::Result<Self> {
        let wanted = V::listen_address(&options).unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let listener = TcpListener::bind(wanted)?;
        let address = listener.local_addr()?;
        let mut model = V::new(options);
        model.park_webhooks(true);
        model.set_now(clock_ms());
        let shared = Arc::new(Shared {
            model: Mutex::new(model),
            webhook_url: Mutex::new(None),
            wake: Notify::new(),
            stopping: AtomicBool::new(false),
        });
        let (started_tx, started) = oneshot::channel();
        let (ended_tx, ended) = oneshot::channel();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(run(theirs, listener, started_tx));
            // Nobody may be waiting any more, which is fine.
            let _ = ended_tx.send(());
        })?;
        let handle = started.await.map_err(|_| io::Error::other("the simulator's thread ended at once"))??;
        Ok(Self { shared, address, handle, thread: Some(thread), ended: Some(ended) })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The model, for people's actions, faults, switches and looks. The server stands still while the guard lives, and
    /// acts on what was done right after it is dropped.
    pub fn model(&self) -> MutexGuard<'_, V> {
        let mut model = self.shared.lock();
        model.set_now(clock_ms());
        self.shared.wake.notify_one();
        model
    }

    /// Posts webhooks to `url` from here on, those queued so far first.
    pub fn webhook_to(&self, url: &str) {
        let mut address = self.shared.webhook_url.lock().unwrap_or_else(PoisonError::into_inner);
        *address = Some(url.to_owned());
        drop(address);
        let mut model = self.model();
        model.webhooks_go_to(url);
        model.park_webhooks(false);
    }

    /// No accepted request is unprocessed, and no webhook is in flight or waiting for its turn or its retry. Webhooks
    /// that cannot go, because they are held or have no address, do not count.
    pub fn is_quiet(&self) -> bool {
        self.shared.lock().is_quiet()
    }

    /// Stops listening and posting; the port is free afterwards.
    pub async fn stop(mut self) {
        self.shared.stop();
        self.handle.stop(false).await;
        if let Some(ended) = self.ended.take() {
            // An error means that the thread has ended too.
            let _ = ended.await;
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl<V: Vendor> Drop for Server<V> {
    fn drop(&mut self) {
        self.shared.stop();
        // The command is sent when `stop` is called; only its end is not awaited.
        drop(self.handle.stop(false));
    }
}

impl<V> Shared<V> {
    fn lock(&self) -> MutexGuard<'_, V> {
        // A test that failed while it held the guard has poisoned the lock; the state is still worth looking at.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }
}

async fn run<V: Vendor>(
    shared: Arc<Shared<V>>,
    listener: TcpListener,
    started: oneshot::Sender<io::Result<ServerHandle>>,
) {
    let data = web::Data::from(Arc::clone(&shared));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .default_service(web::to(serve::<V>))
    })
    .workers(1)
    .shutdown_timeout(0)
    .disable_signals()
    .listen(listener);
    match server {
        Ok(server) => {
            let server = server.run();
            let _ = started.send(Ok(server.handle()));
            let background = actix_web::rt::spawn(background(shared));
            if let Err(error) = server.await {
                tracing::error!(%error, "simulator server ended");
            }
            background.abort();
        }
        Err(error) => {
            let _ = started.send(Err(error));
        }
    }
}

async fn serve<V: Vendor>(shared: web::Data<Shared<V>>, http: HttpRequest, body: web::Bytes) -> HttpResponse {
    let headers = http
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let request = Request {
        method: http.method().as_str().to_owned(),
        path: http.uri().path().to_owned(),
        query: http.uri().query().unwrap_or_default().to_owned(),
        headers,
        body: body.to_vec(),
    };
    let reply = shared.lock().handle(clock_ms(), request);
    shared.wake.notify_one();
    if reply.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(reply.delay_ms)).await;
    }
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    match reply.connection {
        Connection::Hang => std::future::pending().await,
        Connection::Drop => {
            // A body that breaks before its first byte makes the server close the connection.
            let broken =
                stream::once(std::future::ready(Err::<web::Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))));
            response.no_chunking(1).streaming(broken)
        }
        Connection::Keep => {
            for (name, value) in reply.headers {
                response.append_header((name, value));
            }
            response.body(reply.body)
        }
    }
}

async fn background<V: Vendor>(shared: Arc<Shared<V>>) {
    let client = match reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "no webhooks will be posted");
            return;
        }
    };
    let permits = Arc::new(Semaphore::new(POSTS_AT_ONCE));
    while !shared.stopping.load(Ordering::SeqCst) {
        let (deliveries, wake_at) = {
            let mut model = shared.lock();
            let now_ms = clock_ms();
            model.tick(now_ms);
            (model.take_webhooks(now_ms), model.next_wake())
        };
        for delivery in deliveries {
            actix_web::rt::spawn(post(Arc::clone(&shared), client.clone(), Arc::clone(&permits), delivery));
        }
        match wake_at {
            Some(at_ms) => {
                let pause = Duration::from_millis(u64::try_from(at_ms - clock_ms()).unwrap_or(0).max(1));
                // Whichever comes first: a waking is a reason to look, a time-out too.
                let _ = tokio::time::timeout(pause, shared.wake.notified()).await;
            }
            None => shared.wake.notified().await,
        }
    }
}

async fn post<V: Vendor>(
    shared: Arc<Shared<V>>,
    client: reqwest::Client,
    permits: Arc<Semaphore>,
    delivery: WebhookDelivery,
) {
    let Ok(_permit) = permits.acquire().await else {
        return;
    };
    let common = shared.webhook_url.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let answer = match delivery.url.or(common) {
        None => Answer::NoAnswer,
        Some(url) => {
            let mut request = client.post(url).timeout(Duration::from_millis(delivery.timeout_ms)).body(delivery.body);
            for (name, value) in delivery.headers {
                request = request.header(name, value);
            }
            match request.send().await {
                Ok(response) => Answer::Status(response.status().as_u16()),
                Err(_) => Answer::NoAnswer,
            }
        }
    };
    shared.lock().webhook_answered(delivery.id, clock_ms(), answer);
    shared.wake.notify_one();
}

fn clock_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
