//! The most that this machine can do without a store: the same server, signature and parser, and nothing behind them. It
//! runs as a process of its own, as crosspage does.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use crosspage::clock::now;
use crosspage::pagerduty::{signature, webhook};
use futures_util::StreamExt as _;
use secrecy::SecretString;
use serde_json::json;

/// What this program is told to be nothing but the ceiling.
pub(crate) const ARGUMENT: &str = "--serve-ceiling";

/// The server as a child process. Dropping it kills it.
pub(crate) struct Ceiling {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Ceiling {
    /// Starts this very program as a server for webhooks that are signed with `secret`.
    pub(crate) fn start(secret: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([ARGUMENT, secret])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let address = line.trim().parse().expect("an address");
        Self { child, address }
    }
}

impl Drop for Ceiling {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves until it is killed.
pub(crate) fn serve(secret: &str) {
    let secrets = web::Data::new(vec![SecretString::from(secret)]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    println!("{}", listener.local_addr().expect("it listens"));
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get().min(4));
    actix_web::rt::System::new().block_on(async move {
        let server = HttpServer::new(move || {
            App::new().app_data(secrets.clone()).service(web::resource("/pd-webhook").route(web::post().to(take)))
        });
        let server = server.workers(workers).disable_signals().listen(listener).expect("it can listen");
        server.run().await.expect("it serves");
    });
}

async fn take(request: HttpRequest, mut payload: web::Payload, secrets: web::Data<Vec<SecretString>>) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.expect("the body comes"));
    }
    signature::verify(&secrets, header(signature::SIGNATURE_HEADER), &body).expect("it is signed");
    let event = webhook::parse(&body, header("x-webhook-id"), now()).expect("it can be read");
    assert!(matches!(event, webhook::Inbound::Event(_)), "it is an event");
    HttpResponse::Accepted().json(json!({ "status": "mirrored", "request_id": header("x-webhook-id") }))
}
