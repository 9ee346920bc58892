//! The operator's listener: who is let in, and what the API tells and does.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use simulators::Fault;
use simulators::opsgenie::Options;

use crate::harness::{ADA, JANE, Plan, World};
use crate::post::{from_opsgenie, post};

const TOKEN: &str = "a-long-random-text-for-operators";

fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn url(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.app().admin_address())
}

fn get(world: &World, path: &str) -> RequestBuilder {
    client().get(url(world, path))
}

/// What a script of our own pages sends.
fn order(world: &World, path: &str) -> RequestBuilder {
    client().post(url(world, path)).header("origin", url(world, "")).header("x-crosspage", "1")
}

async fn answered(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

async fn json_of(request: RequestBuilder) -> Value {
    let response = answered(request).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn refused(request: RequestBuilder, status: u16, code: &str) {
    let response = answered(request).await;
    assert_eq!(response.status().as_u16(), status);
    let said: Value = response.json().await.unwrap();
    assert_eq!(said["error"]["code"], code, "{said}");
    assert!(!said["error"]["message"].as_str().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_tells_where_both_sides_stand_and_why() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;

    let link = json_of(get(&world, &format!("/api/v1/links/{alert}"))).await;
    assert_eq!((link["incident"].as_str(), link["page"].as_str()), (Some(incident.as_str()), Some("standing")));
    assert_eq!(link["opsgenie"]["status"], "acknowledged");
    assert_eq!((link["pending"].as_u64(), link["open"].as_bool()), (Some(0), Some(true)));

    let number = link["incident_number"].to_string();
    for id in [alert.as_str(), &incident, link["tiny_id"].as_str().unwrap(), &number, "disk%20FULL"] {
        let story = json_of(get(&world, &format!("/api/v1/explain?id={id}"))).await;
        assert_eq!(story["alert"], alert.as_str(), "by {id}");
        let chapters = story["chapters"].as_array().unwrap();
        let acknowledged = chapters.iter().find(|chapter| chapter["what"] == "acknowledged the incident").unwrap();
        assert_eq!(acknowledged["who"], "Ada Oncall");
        let deeds: Vec<_> = acknowledged["deeds"].as_array().unwrap().iter().map(|deed| &deed["action"]).collect();
        assert_eq!(deeds, ["acknowledge", "note"]);
        assert!(acknowledged["deeds"][0]["request_id"].is_string(), "Opsgenie's name for the request");
        assert!(chapters.iter().any(|chapter| chapter["echo"] == true), "{story:#}");
    }

    let status = json_of(get(&world, "/api/v1/status")).await;
    assert_eq!((status["dead_letters"].as_u64(), status["not_ready"].clone()), (Some(0), Value::Null));
    refused(get(&world, "/api/v1/links/nobody"), 404, "not_found").await;
    refused(get(&world, "/api/v1/explain?id=nobody"), 404, "not_found").await;
    refused(get(&world, "/api/v1/links?limit=many"), 400, "unclear").await;
    refused(get(&world, "/api/v1/links?page=2"), 400, "unclear").await;
    refused(get(&world, "/api/v1/nothing"), 404, "not_found").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_did_not_page_is_explained() {
    let world = World::new().await;
    let mut acknowledged = from_opsgenie(&Options::default().integration_id, "Acknowledge", "old-alert");
    // Long before this installation.
    acknowledged["alert"]["createdAt"] = json!(1_000);
    let door = format!("http://{}/ops-webhook", world.app().address());
    assert_eq!(post(&door, &[], acknowledged.to_string()).await.status, 200);
    let story = json_of(get(&world, "/api/v1/explain?id=old-alert")).await;
    assert_eq!(story["link"], Value::Null);
    assert_eq!(story["chapters"][0]["reason"], "unlinked (before first run)");
    assert!(world.incidents_of("old-alert").is_empty());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_come_a_page_at_a_time_and_whole() {
    let world = World::new().await;
    world.pagerduty.model().faults.times("POST", "/incidents", Fault::status(403), 3);
    let mut alerts: Vec<String> = (0..3).map(|n| world.alert(&format!("Disk {n}"))).collect();
    world.settle().await;
    alerts.extend((3..5).map(|n| world.alert(&format!("Disk {n}"))));
    world.settle().await;
    alerts.sort();
    for (path, count) in
        [("/api/v1/links?limit=2", 5), ("/api/v1/links?which=open&limit=2", 5), ("/api/v1/dead-letters?limit=2", 3)]
    {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let page = json_of(get(&world, &format!("{path}{after}"))).await;
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2, "{page}");
            found.extend(items.iter().map(|item| item["alert"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(found.len(), count, "{path}");
        found.dedup();
        assert!(found.iter().all(|alert| alerts.contains(alert)) && found.len() == count, "each once: {path}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_are_late_are_listed_with_what_keeps_them() {
    let mut plan = Plan::new();
    plan.tuning.emergency.after = Duration::from_millis(50);
    plan.tuning.emergency.look_every = Duration::from_millis(10);
    let world = plan.start().await;
    world.pagerduty.model().faults.times("POST", "/incidents", Fault::status(403), 1);
    let given_up = world.alert("Disk full");
    world.until("it is given up", async || json_of(get(&world, "/api/v1/status")).await["dead_letters"] == 1).await;
    world.pagerduty.model().faults.always("", "/incidents", Fault::status(503));
    let waits = world.alert("CPU busy");
    world.until("both are late", async || json_of(get(&world, "/api/v1/status")).await["late_pages"] == 2).await;
    let status = json_of(get(&world, "/api/v1/status")).await;
    let codes: Vec<_> = status["alarms"].as_array().unwrap().iter().map(|alarm| alarm["code"].clone()).collect();
    assert!(codes.contains(&json!("late_pages")) && codes.contains(&json!("dead_letters")), "{codes:?}");

    let first = json_of(get(&world, "/api/v1/late-pages?limit=1")).await;
    assert_eq!((&first["items"][0]["alert"], &first["items"][0]["given_up"]), (&json!(given_up), &json!(true)));
    assert_eq!(first["items"][0]["message"], "Disk full");
    assert!(first["items"][0]["reason"].as_str().unwrap().starts_with("it was given up: 403"), "{first:#}");
    let next = first["next"].as_str().unwrap();
    let second = json_of(get(&world, &format!("/api/v1/late-pages?limit=5&after={next}"))).await;
    assert_eq!(second["items"].as_array().unwrap().len(), 1, "{second:#}");
    assert_eq!((&second["items"][0]["alert"], &second["items"][0]["given_up"]), (&json!(waits), &json!(false)));
    assert_eq!(second["next"], Value::Null);
    refused(get(&world, "/api/v1/late-pages?after=soon"), 400, "unclear").await;
    world.pagerduty.model().faults.clear();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_redriven_and_links_are_paused_while_it_runs() {
    let world = World::new().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let alert = world.alert("Disk full");
    world.settle().await;
    let letters = json_of(get(&world, "/api/v1/dead-letters")).await;
    let number = &letters["items"][0]["number"];
    assert_eq!(letters["items"][0]["action"], "create");
    json_of(order(&world, &format!("/api/v1/dead-letters/{number}/redrive"))).await;
    world.settle().await;
    let incident = world.incident_of(&alert).id;
    refused(order(&world, &format!("/api/v1/dead-letters/{number}/redrive")), 404, "not_found").await;

    let pause = order(&world, &format!("/api/v1/links/{alert}/pause")).json(&json!({ "reason": "a loop" }));
    let paused = json_of(pause).await;
    assert_eq!(
        (paused["changed"].as_bool(), paused["link"]["paused"]["reason"].as_str()),
        (Some(true), Some("a loop"))
    );
    world.opsgenie.model().human_adds_note(&alert, JANE, "held");
    world.settle().await;
    assert!(world.incident_notes(&incident).is_empty());
    let listed = json_of(get(&world, "/api/v1/links?which=paused")).await;
    assert_eq!((listed["items"].as_array().unwrap().len(), listed["items"][0]["pending"].as_u64()), (1, Some(1)));
    let entries = json_of(get(&world, "/api/v1/entries?to=pagerduty")).await;
    assert_eq!(entries["items"][0]["text"], "[Opsgenie] jane@example.com: held");
    let resumed = json_of(order(&world, &format!("/api/v1/links/{alert}/resume"))).await;
    assert_eq!(resumed["changed"], true);
    world.settle().await;
    assert_eq!(world.incident_notes(&incident).len(), 1);
    assert_eq!(json_of(order(&world, &format!("/api/v1/links/{alert}/unlink"))).await["entries"], 0);
    assert_eq!(json_of(get(&world, &format!("/api/v1/links/{alert}"))).await["page"], "unlinked");
    world.end().await;
}

/// All that a page of another site can have an operator's browser send.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_can_neither_read_nor_change_anything() {
    let world = World::new().await;
    let (alert, _) = world.linked("Disk full").await;
    let pause = format!("/api/v1/links/{alert}/pause");
    for path in ["/api/v1/status", "/openapi.json", "/api/v1/nothing"] {
        refused(get(&world, path).header("host", "evil.example.com"), 403, "host").await;
        refused(get(&world, path).header("sec-fetch-site", "cross-site"), 403, "origin").await;
        refused(get(&world, path).header("sec-fetch-site", "same-site"), 403, "origin").await;
    }
    let body = || json!({ "reason": "mischief" });
    let post = || client().post(url(&world, &pause)).json(&body());
    let (own, foreign) = (url(&world, ""), "http://evil.example.com");
    refused(post(), 403, "origin").await;
    refused(post().header("origin", &own), 403, "origin").await;
    refused(post().header("x-crosspage", "1"), 403, "origin").await;
    refused(post().header("x-crosspage", "1").header("origin", foreign), 403, "origin").await;
    refused(post().header("x-crosspage", "1").header("origin", "null"), 403, "origin").await;
    // It has rebound its name to this address: then both agree, on a name that is not ours.
    let rebound = post().header("x-crosspage", "1").header("origin", foreign).header("host", "evil.example.com");
    refused(rebound, 403, "host").await;
    let navigates = [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let mut posts = post().header("x-crosspage", "1").header("origin", &own);
    let mut link = get(&world, "/openapi.json");
    let mut frame = get(&world, "/openapi.json");
    for (name, value) in navigates {
        (posts, link) = (posts.header(name, value), link.header(name, value));
        frame = frame.header(name, if value == "document" { "iframe" } else { value });
    }
    refused(posts, 403, "origin").await;
    refused(frame, 403, "origin").await;
    assert_eq!(answered(link).await.status(), StatusCode::OK, "to follow a link is no harm");
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        refused(client().request(method, url(&world, &pause)), 405, "method").await;
    }
    assert_eq!(json_of(get(&world, &format!("/api/v1/links/{alert}"))).await["paused"], Value::Null);
    json_of(order(&world, &pause).json(&body())).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_means_another_database_is_told_so() {
    let world = World::new().await;
    let owner = world.config(&[]).database.owner().unwrap();
    let status = || get(&world, "/api/v1/status");
    json_of(status().header("x-crosspage-owner", &owner)).await;
    for other in ["", &owner[1..], "0123456789abcdef0123456789abcdef"] {
        refused(status().header("x-crosspage-owner", other), 409, "another_owner").await;
        let order = order(&world, "/api/v1/reconcile").json(&json!({ "dry_run": false }));
        refused(order.header("x-crosspage-owner", other), 409, "another_owner").await;
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_everything_but_the_way_in_needs_it() {
    let world = Plan::new().var("ADMIN_TOKEN", TOKEN).start().await;
    for path in ["/api/v1/status", "/openapi.json", "/api/v1/nothing", "/metrics"] {
        refused(get(&world, path), 401, "token").await;
        refused(get(&world, path).bearer_auth("a-long-random-text-for-nobody"), 401, "token").await;
        assert_ne!(answered(get(&world, path).bearer_auth(TOKEN)).await.status(), StatusCode::UNAUTHORIZED);
    }
    let log_in = |token: &str, origin: &str| {
        client()
            .post(url(&world, "/login"))
            .body(format!("token={token}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin)
    };
    let own = url(&world, "");
    refused(log_in("a-long-random-text-for-nobody", &own), 401, "token").await;
    refused(log_in(TOKEN, "http://evil.example.com"), 403, "origin").await;
    let response = answered(log_in(TOKEN, &own)).await;
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let cookie = response.headers()["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN) && !cookie.contains("Secure"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    json_of(get(&world, "/api/v1/status").header("cookie", session)).await;
    // Who has logged in by a browser can be made to post by a foreign page, so the cookie alone orders nothing.
    let replay = || client().post(url(&world, "/api/v1/quarantine/1/replay"));
    refused(replay().header("cookie", session), 403, "origin").await;
    refused(replay().header("cookie", session).header("origin", &own).header("x-crosspage", "1"), 404, "not_found")
        .await;
    refused(replay().bearer_auth(TOKEN), 404, "not_found").await;
    let proxied = answered(log_in(TOKEN, &own).header("x-forwarded-proto", "https")).await;
    assert!(proxied.headers()["set-cookie"].to_str().unwrap().contains("Secure"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_tells_the_browser_to_be_careful() {
    let world = World::new().await;
    for (request, status) in [
        (get(&world, "/api/v1/status"), 200),
        (get(&world, "/api/v1/nothing"), 404),
        (get(&world, "/").header("host", "evil.example.com"), 403),
    ] {
        let response = answered(request).await;
        assert_eq!(response.status().as_u16(), status);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-security-policy").starts_with("default-src 'self';"));
        assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cross-origin-resource-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        assert!(!response.headers().contains_key("access-control-allow-origin"));
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_hidden_where_that_is_wanted() {
    let world = Plan::new().var("ADMIN_NOTE_TEXTS", "hide").start().await;
    let (alert, _) = world.linked("Disk full").await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "the password is swordfish");
    world.settle().await;
    let story = json_of(get(&world, &format!("/api/v1/explain?id={alert}"))).await.to_string();
    assert!(story.contains("wrote a note on the alert") && !story.contains("swordfish"), "{story}");
    world.end().await;
}

/// What the description promises is there, and what is there is described.
#[tokio::test(flavor = "multi_thread")]
async fn the_description_names_every_route() {
    let world = World::new().await;
    let described = json_of(get(&world, "/openapi.json")).await;
    let paths = described["paths"].as_object().unwrap();
    assert!(paths.len() >= 15, "{}", paths.len());
    for (path, methods) in paths {
        let filled = path.replace("{alert}", "nobody").replace("{number}", "999");
        for method in methods.as_object().unwrap().keys() {
            let request = if method == "get" {
                get(&world, &filled)
            } else {
                order(&world, &filled).json(&json!({ "reason": "x" }))
            };
            let response = answered(request).await;
            let status = response.status().as_u16();
            let said: Value = response.json().await.unwrap();
            let known = said["error"]["message"].as_str().is_none_or(|message| !message.contains("/openapi.json"));
            assert!(known && status != 405, "{method} {path}: {status} {said}");
        }
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_is_linked_with_one_incident_only() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let link = |incident: &str| order(&world, "/api/v1/links").json(&json!({ "alert": alert, "incident": incident }));
    refused(link("QOTHER"), 409, "conflict").await;
    refused(link("no/id"), 400, "unclear").await;
    assert_eq!(json_of(link(&incident)).await["changed"], false);
    world.end().await;
}
