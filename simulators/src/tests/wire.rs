//! Both simulators through real sockets.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::opsgenie::NewAlert;
use crate::{Fault, opsgenie, pagerduty};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::{Value, json};

type Inbox = Arc<Mutex<Vec<(Vec<(String, String)>, Value)>>>;

/// A receiver of webhooks that answers with the statuses given, then 202.
async fn receiver(statuses: &[u16]) -> (String, Inbox) {
    let inbox = Inbox::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let data = web::Data::new((Arc::clone(&inbox), Mutex::new(statuses.to_vec())));
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(take)))
        .workers(1)
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
    tokio::spawn(server);
    (url, inbox)
}

async fn take(http: HttpRequest, body: web::Bytes, state: web::Data<(Inbox, Mutex<Vec<u16>>)>) -> HttpResponse {
    let headers =
        http.headers().iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    state.0.lock().unwrap().push((headers, serde_json::from_slice(&body).unwrap()));
    let mut statuses = state.1.lock().unwrap();
    let status = if statuses.is_empty() { 202 } else { statuses.remove(0) };
    HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap()).finish()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn opsgenie_processes_a_write_and_posts_its_webhook() {
    let (hook, inbox) = receiver(&[503]).await;
    let options = opsgenie::Options { webhook_token: Some("s3cret".to_owned()), ..opsgenie::Options::default() };
    let key = format!("GenieKey {}", options.api_key);
    let opsgenie = opsgenie::Server::start(options).await.unwrap();
    let id = opsgenie.model().human_creates(NewAlert::titled("disk full"));
    assert!(opsgenie.is_quiet(), "webhooks without an address do not count");
    opsgenie.webhook_to(&hook);
    let answer = client()
        .post(format!("{}/v2/alerts/{id}/acknowledge", opsgenie.url()))
        .header("authorization", &key)
        .json(&json!({"user": "crosspage", "source": "crosspage"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 202);
    until("quiet", || opsgenie.is_quiet()).await;
    assert!(opsgenie.model().alert(&id).unwrap().acknowledged);
    let inbox = inbox.lock().unwrap().clone();
    let actions: Vec<_> = inbox.iter().map(|(_, body)| body["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["Create", "Create", "Acknowledge"], "a 503 is tried again, in order");
    assert!(inbox[0].0.contains(&("authorization".to_owned(), "Bearer s3cret".to_owned())));
    opsgenie.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pagerduty_posts_signed_webhooks_and_breaks_connections() {
    let (hook, inbox) = receiver(&[]).await;
    let options = pagerduty::Options::default();
    let (key, from) = (format!("Token token={}", options.api_key), options.automation.email.clone());
    let pagerduty = pagerduty::Server::start(options).await.unwrap();
    pagerduty.webhook_to(&hook);
    pagerduty.model().faults.once("POST", "/incidents", Fault::ResetAfter);
    // A connection that was used before breaks like a new one, and nobody sends the request twice.
    let client = client();
    client.get(pagerduty.url()).send().await.unwrap();
    let create = || {
        client
            .post(format!("{}/incidents", pagerduty.url()))
            .header("authorization", &key)
            .header("from", &from)
            .json(&json!({"incident": {
                "type": "incident",
                "title": "disk full",
                "service": {"id": "PSVC001", "type": "service_reference"},
                "incident_key": "opsgenie:1",
            }}))
            .send()
    };
    let error = create().await.unwrap_err();
    assert!(error.status().is_none() && !error.is_timeout(), "{error:?}");
    assert_eq!(pagerduty.model().incident_by_key("opsgenie:1").len(), 1, "the effect is there");
    let again = create().await.unwrap();
    assert_eq!(again.status(), 400);
    assert_eq!(again.json::<Value>().await.unwrap()["error"]["code"], 2002);
    until("one webhook", || inbox.lock().unwrap().len() == 1).await;
    let (headers, body) = inbox.lock().unwrap()[0].clone();
    assert_eq!(body["event"]["event_type"], "incident.triggered");
    assert!(headers.iter().any(|(name, value)| name == "x-pagerduty-signature" && value.starts_with("v1=")));
    until("quiet", || pagerduty.is_quiet()).await;
    pagerduty.stop().await;
}

#[actix_web::test]
async fn other_faults_reach_the_socket_too() {
    let options = pagerduty::Options::default();
    let key = format!("Token token={}", options.api_key);
    let pagerduty = pagerduty::Server::start(options).await.unwrap();
    let get = || client().get(format!("{}/abilities", pagerduty.url())).header("authorization", &key);
    pagerduty.model().faults.once("GET", "/abilities", Fault::ResetBefore);
    assert!(get().send().await.is_err());
    pagerduty.model().faults.once("GET", "/abilities", Fault::Hang);
    let mut hanging = tokio::spawn(get().send());
    until("the call that is to hang arrives", || pagerduty.model().calls().len() == 2).await;
    let answer = tokio::time::timeout(Duration::from_millis(500), &mut hanging).await;
    assert!(answer.is_err(), "{answer:?}");
    hanging.abort();
    pagerduty.model().faults.once("GET", "/abilities", Fault::GarbageAfter);
    let garbage = get().send().await.unwrap();
    assert_eq!(garbage.status(), 200);
    assert!(garbage.json::<Value>().await.is_err());
    pagerduty.model().faults.once("GET", "/abilities", Fault::Delay(50));
    let start = Instant::now();
    assert_eq!(get().send().await.unwrap().status(), 200);
    assert!(start.elapsed() >= Duration::from_millis(50));
    pagerduty.model().faults.once("GET", "/abilities", Fault::Hang);
    let hanging = tokio::spawn(get().send());
    let waiting = || pagerduty.model().calls().len() == 5;
    until("the hanging call arrives", waiting).await;
    let url = pagerduty.url();
    pagerduty.stop().await;
    let listener = std::net::TcpListener::bind(url.trim_start_matches("http://"));
    assert!(listener.is_ok(), "the port is free again");
    assert!(hanging.await.unwrap().is_err());
}

#[tokio::test]
async fn a_person_is_heard_of_at_once() {
    let (hook, inbox) = receiver(&[]).await;
    let pagerduty = pagerduty::Server::start(pagerduty::Options::default()).await.unwrap();
    pagerduty.webhook_to(&hook);
    pagerduty.model().pings();
    until("first ping", || inbox.lock().unwrap().len() == 1).await;
    until("quiet", || pagerduty.is_quiet()).await;
    // Nobody else wakes the poster: it has nothing to do by itself, and nobody looks at the model meanwhile.
    pagerduty.model().pings();
    until("second ping", || inbox.lock().unwrap().len() == 2).await;
}
