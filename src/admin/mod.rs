//! The operator's listener: the API, the dashboard and the metrics, on an address of their own and behind doors of their own.
//! Nothing is decided here: every handler asks the [`Operator`].

mod api;
pub(crate) mod doors;
pub(crate) mod pages;
mod session;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use secrecy::SecretString;

use crate::operator::Operator;
use session::Sessions;

pub use api::openapi;
pub use doors::{ORDER_HEADER, OWNER_HEADER};

/// What a request has to send with what it orders; longer bodies are refused. In bytes.
const MAX_BODY: usize = 64 << 10;

/// How long a visitor may take for the headers.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// Who may come in, and whom they meet.
pub struct Settings {
    /// Does what is asked for.
    pub operator: Operator,
    /// What everybody must show, if anything.
    pub token: Option<SecretString>,
    /// By which names the listener may be asked beside loopback's, in lower case.
    pub hosts: Vec<String>,
}

/// What handlers share.
struct State {
    operator: Operator,
    sessions: Option<Sessions>,
    hosts: Vec<String>,
    seats: pages::Seats,
}

/// Serves operators until the server is stopped through its handle.
///
/// # Errors
/// The listener cannot be used.
pub fn serve(listener: TcpListener, settings: Settings) -> io::Result<Server> {
    let state = web::Data::from(Arc::new(State {
        operator: settings.operator,
        sessions: settings.token.map(Sessions::new),
        hosts: settings.hosts,
        seats: pages::Seats::default(),
    }));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .app_data(api::json_config())
            .app_data(api::query_config())
            .app_data(api::path_config())
            .wrap(from_fn(doors::guard))
            .configure(session::routes)
            .configure(api::routes)
            .configure(pages::routes)
            .default_service(web::to(nothing_here))
    })
    .workers(1)
    .max_connections(256)
    .client_request_timeout(HEAD_PATIENCE)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

async fn nothing_here(request: HttpRequest) -> HttpResponse {
    if doors::wants_page(&request) { pages::nothing_here() } else { api::nothing_here().await }
}
