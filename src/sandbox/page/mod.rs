//! The sandbox's page: both vendors' applications beside crosspage, live. Nothing is decided here: people's actions go to the
//! simulators' models, and what crosspage makes of them is read from it.

mod act;
mod doors;
mod faults;
mod mirror;
mod panes;
mod watch;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use askama::Template;
use simulators::pagerduty;
use tokio::task::JoinHandle;

use super::stage::{Stage, Trial, Vendors};
use super::story::{JANE, JOHN};
use crate::operator::Operator;
use crate::operator::view::Texts;
use act::{Form, Refused};
use faults::{Switch, Switches};
use watch::{Drawn, Regions, Unshown, Watcher};

/// What a form may hold, in bytes.
const MAX_BODY: usize = 64 << 10;

/// Who works in Opsgenie.
const CUSTOMERS: [&str; 2] = [JANE, JOHN];

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {source}; choose another address by --listen, such as 127.0.0.1:0 for any free port"
)]
pub(super) struct CannotListen {
    address: SocketAddr,
    source: io::Error,
}

/// Opens the listener.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, CannotListen> {
    TcpListener::bind(address).map_err(|source| CannotListen { address, source })
}

/// The page as it is served.
pub(super) struct Page {
    address: SocketAddr,
    stage: Stage,
    server: ServerHandle,
    serving: JoinHandle<io::Result<()>>,
    watching: JoinHandle<()>,
}

/// What handlers share.
struct State {
    vendors: Arc<Vendors>,
    switches: Mutex<Both>,
    operator: Operator,
    trial: Trial,
    /// Where crosspage's own pages are.
    dashboard: SocketAddr,
    watcher: Watcher,
}

/// The switches of both vendors.
#[derive(Clone, Default)]
struct Both {
    opsgenie: Switches,
    pagerduty: Switches,
}

impl Page {
    /// Serves the page of that stage until it is closed.
    pub(super) fn serve(listener: TcpListener, stage: Stage, trial: Trial) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = web::Data::new(State {
            vendors: Arc::clone(&stage.vendors),
            switches: Mutex::default(),
            operator: Operator::new(stage.app.store().clone(), Texts::Shown, None),
            trial,
            dashboard: stage.app.admin_address(),
            watcher: Watcher::default(),
        });
        let shared = state.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .app_data(web::FormConfig::default().limit(MAX_BODY).error_handler(|error, _| {
                    let why = Refused::Incomplete("That form cannot be read.");
                    actix_web::error::InternalError::from_response(error, refused(why)).into()
                }))
                .wrap(from_fn(doors::guard))
                .configure(routes)
        })
        // Whoever watches holds a connection for ever, and nobody waits for that.
        .workers(1)
        .shutdown_timeout(0)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        let watching = tokio::spawn(watch::run(state.into_inner()));
        Ok(Self { address, stage, server: handle, serving: tokio::spawn(server), watching })
    }

    pub(super) fn invitation(&self) -> String {
        format!(
            "Now it is your turn. Open this page, act on either side, and watch it travel:\n\n  \
             http://{}\n\n{}",
            self.address,
            self.stage.things_to_try()
        )
    }

    /// Stops serving, and clears the stage.
    pub(super) async fn close(self) {
        self.server.stop(false).await;
        self.watching.abort();
        // How they ended does not matter any more; that they have, does.
        let _ = self.watching.await;
        let _ = self.serving.await;
        self.stage.clear().await;
    }
}

fn routes(app: &mut web::ServiceConfig) {
    app.route("/", web::get().to(page))
        .route("/events", web::get().to(events))
        .route("/crosspage.css", web::get().to(|| asset("text/css", include_str!("../../assets/crosspage.css"))))
        .route("/sandbox.css", web::get().to(|| asset("text/css", include_str!("sandbox.css"))))
        .route("/sandbox.js", web::get().to(|| asset("text/javascript", include_str!("sandbox.js"))))
        .route("/crosspage.svg", web::get().to(|| asset("image/svg+xml", include_str!("../../assets/crosspage.svg"))))
        .route("/opsgenie/alerts", web::post().to(create_alert))
        .route("/opsgenie/alerts/{id}/{action}", web::post().to(act_on_alert))
        .route("/pagerduty/incidents", web::post().to(trigger_incident))
        .route("/pagerduty/incidents/{id}/{action}", web::post().to(act_on_incident))
        .route("/{vendor}/faults/{switch}", web::post().to(throw_switch));
}

/// The whole page; what moves in it is kept up to date by events.
#[derive(Template)]
#[template(path = "sandbox/page/page.html")]
struct Whole<'a> {
    customers: [&'a str; 2],
    responders: &'a [pagerduty::User],
    trial: &'a [(&'static str, String)],
    dashboard: SocketAddr,
    regions: Regions,
}

async fn page(state: web::Data<State>) -> HttpResponse {
    match whole(&state).await {
        Ok(html) => HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn whole(state: &State) -> Result<String, Unshown> {
    let whole = Whole {
        customers: CUSTOMERS,
        responders: &state.vendors.account.pagerduty.users,
        trial: state.trial.vars(),
        dashboard: state.dashboard,
        regions: watch::look(state, &mut Drawn::default()).await?,
    };
    Ok(whole.render()?)
}

async fn events(state: web::Data<State>) -> HttpResponse {
    // What was seen when somebody watched last may be old.
    if let Err(error) = watch::refresh(&state, &mut Drawn::default()).await {
        return HttpResponse::InternalServerError().body(error.to_string());
    }
    HttpResponse::Ok().content_type("text/event-stream").streaming(state.watcher.events())
}

async fn asset(kind: &'static str, text: &'static str) -> HttpResponse {
    HttpResponse::Ok().content_type(format!("{kind}; charset=utf-8")).body(text)
}

async fn create_alert(state: web::Data<State>, form: web::Form<Form>) -> HttpResponse {
    answer(act::create_alert(&mut state.vendors.opsgenie.model(), &form, &CUSTOMERS))
}

async fn act_on_alert(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    form: web::Form<Form>,
) -> HttpResponse {
    let (id, action) = path.into_inner();
    answer(act::alert(&mut state.vendors.opsgenie.model(), &id, &action, &form, &CUSTOMERS))
}

async fn trigger_incident(state: web::Data<State>, form: web::Form<Form>) -> HttpResponse {
    let people = state.vendors.responders();
    answer(act::trigger_incident(&mut state.vendors.pagerduty.model(), &form, &people))
}

async fn act_on_incident(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    form: web::Form<Form>,
) -> HttpResponse {
    let (id, action) = path.into_inner();
    let people = state.vendors.responders();
    answer(act::incident(&mut state.vendors.pagerduty.model(), &id, &action, &form, &people))
}

/// Which way a switch is thrown.
#[derive(serde::Deserialize)]
struct Thrown {
    on: bool,
}

async fn throw_switch(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    thrown: web::Form<Thrown>,
) -> HttpResponse {
    let (vendor, name) = path.into_inner();
    let Some(switch) = Switch::named(&name) else { return answer(Err(Refused::NotThere)) };
    let mut both = state.switches.lock().unwrap_or_else(PoisonError::into_inner);
    match vendor.as_str() {
        "opsgenie" => {
            both.opsgenie.set(switch, thrown.on);
            state.vendors.opsgenie.model().faults = both.opsgenie.faults();
        }
        "pagerduty" => {
            both.pagerduty.set(switch, thrown.on);
            state.vendors.pagerduty.model().faults = both.pagerduty.faults();
        }
        _ => return answer(Err(Refused::NotThere)),
    }
    answer(Ok(()))
}

fn answer(done: Result<(), Refused>) -> HttpResponse {
    done.map_or_else(refused, |()| HttpResponse::NoContent().finish())
}

fn refused(why: Refused) -> HttpResponse {
    let status = match why {
        Refused::NotThere => StatusCode::NOT_FOUND,
        Refused::Incomplete(_) => StatusCode::UNPROCESSABLE_ENTITY,
        Refused::NothingToDo => StatusCode::CONFLICT,
    };
    HttpResponse::build(status).content_type("text/plain; charset=utf-8").body(why.to_string())
}
