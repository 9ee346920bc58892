//! What lies between crosspage and the vendors: calls one way and webhooks the other, late, lost, repeated and broken.

use std::sync::Arc;
use std::time::Duration;

use crosspage::engine::System;
use crosspage::http::{ApiError, Responder};
use simulators::{Answer, Connection, Matcher, Reply, Request, Rule, WebhookDelivery};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::dice::hashed;
use super::door::Doors;
use super::plan::{CallFault, Fate};
use super::scene::{Scene, side};

/// What answers the calls that the process of that number makes to a vendor.
pub(super) fn responder(scene: &Arc<Scene>, life: u64, system: System) -> Responder {
    let scene = Arc::clone(scene);
    Arc::new(move |request| {
        let scene = Arc::clone(&scene);
        Box::pin(async move { call(&scene, life, system, request).await })
    })
}

async fn call(
    scene: &Arc<Scene>,
    life: u64,
    system: System,
    request: reqwest::Request,
) -> Result<reqwest::Response, ApiError> {
    scene.point(life, "before a call").await;
    let request = plain(&request);
    let what = format!("{} {}", request.method, request.path);
    let fault = match scene.call_fault(system, request.method != "GET") {
        None => None,
        Some(CallFault::Vendor(fault)) => Some(fault),
        Some(CallFault::NotSent) => {
            scene.tell(|| format!("  {system} cannot be reached: {what}"));
            sleep(Duration::from_millis(3)).await;
            return Err(ApiError::NotSent("no connection".to_owned()));
        }
    };
    let travel = Duration::from_millis(5 + hashed(scene.plan.seed ^ scene.now_ms().unsigned_abs(), 40));
    // What has left arrives, whatever becomes of the process meanwhile.
    let (tell, told) = oneshot::channel();
    tokio::spawn({
        let scene = Arc::clone(scene);
        async move {
            sleep(travel).await;
            // Nobody may be listening any more.
            let _ = tell.send(scene.serve(system, request, fault));
        }
    });
    let Ok(reply) = told.await else { return std::future::pending().await };
    sleep(Duration::from_millis(reply.delay_ms) + travel).await;
    scene.point(life, "after a call").await;
    match reply.connection {
        Connection::Keep => Ok(response(reply)),
        Connection::Drop => Err(ApiError::Unclear("the connection was reset".to_owned())),
        Connection::Hang => std::future::pending().await,
    }
}

const LISTS: [&str; 5] = ["/webhook_subscriptions", "/users", "/priorities", "/incidents", "/v2/alerts"];

/// Where something stands, going by an answer.
fn gist(reply: &Reply) -> String {
    let body = reply.body_json();
    let alert = &body["data"];
    match (body["incident"]["status"].as_str(), alert["status"].as_str()) {
        (Some(status), _) => format!(" {status}"),
        (None, Some(status)) if alert["acknowledged"] == true => format!(" {status} and acknowledged"),
        (None, Some(status)) => format!(" {status}"),
        (None, None) => String::new(),
    }
}

fn plain(request: &reqwest::Request) -> Request {
    let url = request.url();
    let headers = request.headers().iter();
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Request {
        method: request.method().to_string(),
        path: url.path().to_owned(),
        query: url.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: request.body().and_then(|body| body.as_bytes()).unwrap_or_default().to_vec(),
    }
}

fn response(reply: Reply) -> reqwest::Response {
    let mut response = http::Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    response.body(reply.body).unwrap().into()
}

impl Scene {
    /// Has a vendor serve a request.
    fn serve(&self, system: System, request: Request, fault: Option<simulators::Fault>) -> Reply {
        let is_write = request.method != "GET";
        let (method, path, query) = (request.method.clone(), request.path.clone(), request.query.clone());
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let rules = fault.iter().map(|fault| Rule { matcher: Matcher::default(), fault: fault.clone(), times: 1 });
        let rules: Vec<Rule> = rules.collect();
        let now_ms = self.now_ms();
        let mut reply = match system {
            System::Opsgenie => {
                let mut opsgenie = self.opsgenie();
                opsgenie.faults.rules = rules;
                opsgenie.handle(now_ms, request)
            }
            System::PagerDuty => self.watch_incident(&method, &path, |pagerduty| {
                pagerduty.faults.rules = rules;
                pagerduty.handle(now_ms, request)
            }),
        };
        self.planted.distort(&method, &path, &query, &mut reply);
        // Lists say too much to be told, and nothing that the next call does not.
        if is_write || fault.is_some() || !LISTS.contains(&path.as_str()) {
            let fault = fault.map_or_else(String::new, |fault| format!(", and meets {fault:?}"));
            let said = gist(&reply);
            self.tell(|| format!("  call to {system}: {method} {path} {body}, answered {}{said}{fault}", reply.status));
        }
        if is_write {
            self.notes().writes_served += 1;
            self.stir(system);
        } else if path != "/users" {
            // Who may not look up users tries again for ever, ever more seldom.
            self.notes().looks[side(system)] += 1;
        }
        reply
    }

    /// Notes down when an incident is looked at, and whether a change of it revives what is over.
    fn watch_incident(
        &self,
        method: &str,
        path: &str,
        serve: impl FnOnce(&mut simulators::PagerDuty) -> Reply,
    ) -> Reply {
        let mut pagerduty = self.pagerduty();
        let id = path.strip_prefix("/incidents/").filter(|id| !id.contains('/')).map(str::to_owned);
        let Some(id) = id else { return serve(&mut pagerduty) };
        let resolved_at_ms = pagerduty.incident(&id).and_then(|incident| incident.resolved_at_ms);
        let reply = serve(&mut pagerduty);
        let now_ms = self.now_ms();
        let mut notes = self.notes();
        if method == "GET" {
            notes.looked_at_ms.retain(|(other, _)| *other != id);
            notes.looked_at_ms.push((id, now_ms));
        } else if let Some(resolved_at_ms) = resolved_at_ms
            && pagerduty.incident(&id).is_some_and(|incident| incident.status != "resolved")
        {
            let lag = i64::try_from(self.plan.setup.pagerduty_lag_ms).unwrap_or(0);
            let looked = notes.looked_at_ms.iter().find(|(other, _)| *other == id).map(|(_, at)| *at);
            // What was resolved only after the look, or so shortly before that the look could not show it, was bad luck.
            if looked.is_some_and(|looked| resolved_at_ms + lag < looked) {
                notes.revived.push(id);
            }
        }
        reply
    }
}

/// Carries a vendor's webhooks to the door, for as long as the world lasts.
pub(super) async fn post_webhooks(scene: Arc<Scene>, doors: Arc<Doors>, system: System) {
    loop {
        let (deliveries, wake_at) = scene.take_webhooks(system);
        for delivery in deliveries {
            tokio::spawn(carry(Arc::clone(&scene), Arc::clone(&doors), system, delivery));
        }
        let pause = wake_at.map(|at| Duration::from_millis(u64::try_from(at - scene.now_ms()).unwrap_or(0).max(1)));
        match pause {
            Some(pause) => {
                let _ = tokio::time::timeout(pause, scene.stirred(system)).await;
            }
            None => scene.stirred(system).await,
        }
    }
}

const LOST: Answer = Answer::Status(200);

async fn carry(scene: Arc<Scene>, doors: Arc<Doors>, system: System, delivery: WebhookDelivery) {
    let fate = if delivery.attempt == 1 { scene.fate(system) } else { None };
    sleep(Duration::from_millis(10 + hashed(delivery.id ^ scene.plan.seed, 40))).await;
    match fate {
        None => {
            let answer = doors.knock(&scene, system, &delivery).await;
            scene.webhook_answered(system, delivery.id, answer);
        }
        Some(Fate::Lost) => {
            scene.tell(|| format!("{system}'s webhook {} is lost", delivery.event_name()));
            scene.disturb(&delivery, true);
            scene.webhook_answered(system, delivery.id, LOST);
        }
        Some(Fate::Late { after_ms }) => {
            scene.tell(|| format!("{system}'s webhook {} will be late", delivery.event_name()));
            scene.disturb(&delivery, false);
            scene.notes().flying += 1;
            scene.webhook_answered(system, delivery.id, LOST);
            sleep(Duration::from_millis(after_ms.unsigned_abs())).await;
            while !doors.knock(&scene, system, &delivery).await.is_success() {
                sleep(Duration::from_secs(5)).await;
            }
            scene.notes().flying -= 1;
        }
        Some(Fate::Again { after_ms }) => {
            let answer = doors.knock(&scene, system, &delivery).await;
            scene.notes().flying += 1;
            scene.webhook_answered(system, delivery.id, answer);
            sleep(Duration::from_millis(after_ms.unsigned_abs())).await;
            scene.tell(|| format!("{system}'s webhook {} comes again", delivery.event_name()));
            doors.knock(&scene, system, &delivery).await;
            scene.notes().flying -= 1;
        }
    }
}

impl Scene {
    /// A note whose webhook does not come in its turn need not be shown in its turn.
    fn disturb(&self, delivery: &WebhookDelivery, lost: bool) {
        let body = String::from_utf8_lossy(&delivery.body).into_owned();
        // A webhook that is cut may not show the token, but it shows the note's id.
        let is_shown = |note: &&simulators::pagerduty::Note| body.contains(&note.id);
        let incidents = self.pagerduty().incidents().into_iter().cloned().collect::<Vec<_>>();
        let shown = incidents.iter().flat_map(|incident| incident.notes.iter().filter(is_shown));
        let texts: Vec<&str> = shown.map(|note| note.text.as_str()).chain([body.as_str()]).collect();
        for written in &mut self.notes().written {
            if texts.iter().any(|text| text.contains(&written.token)) {
                written.undisturbed = false;
                written.lost |= lost;
            }
        }
    }
}
