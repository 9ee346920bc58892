//! The dashboard as it is sent: what the pages hold, what they must never hold, and who gets them.

use std::time::Duration;

use crosspage::engine::ReadLag;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use simulators::{Fault, Request, pagerduty};

use crate::harness::{ADA, JANE, Plan, World};
use crate::post::{SIGNATURE, from_pagerduty, post, sign};
use crate::reconcile;

const TOKEN: &str = "a-long-random-text-for-operators";

fn client() -> Client {
    Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

fn url(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.app().admin_address())
}

/// What a browser sends when somebody goes to a page.
fn visit(world: &World, path: &str) -> RequestBuilder {
    client().get(url(world, path)).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
}

async fn page(world: &World, path: &str) -> String {
    let response = visit(world, path).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{path}: {text}");
    text
}

async fn led_to(request: RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    response.headers()["location"].to_str().unwrap().to_owned()
}

/// A world with something on every page: a story, a dead letter, something in quarantine, a paused link.
async fn busy(world: &World) -> String {
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    world.app().store().pause(&alert.as_str().try_into().unwrap(), "a loop", crosspage::clock::now()).await.unwrap();
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    world.alert("Disk fuller");
    world.settle().await;
    quarantine(world, "{\"integrationId\":\"INTEGRATION\",\"action\":\"Create\",\"alert\":\"<script>x</script>\"}")
        .await;
    alert
}

/// Has something put into quarantine; returns nothing, for its number is 1 in a new world.
async fn quarantine(world: &World, body: &str) {
    let integration = simulators::opsgenie::Options::default().integration_id;
    let door = format!("http://{}/ops-webhook", world.app().address());
    let posted = post(&door, &[], body.replace("INTEGRATION", &integration)).await;
    assert_eq!(posted.status, 202);
}

/// Where the webhook subscription is.
const SUBSCRIPTION: &str = "/webhook_subscriptions/PWHS001";

/// Has a person do something to the webhook subscription.
fn on_subscription(world: &World, request: Request) {
    let key = format!("Token token={}", pagerduty::Options::default().api_key);
    let request = request.header("Authorization", &key);
    let request = request.header("Accept", "application/vnd.pagerduty+json;version=2");
    let status = world.pagerduty.model().handle(0, request).status;
    assert!((200..300).contains(&status), "{status}");
}

/// Has a person switch the webhook subscription on or off.
pub(crate) fn switch_webhooks(world: &World, on: bool) {
    let change = json!({ "webhook_subscription": { "active": on } });
    on_subscription(world, Request::new("PUT", SUBSCRIPTION).json(&change));
}

fn pages_of(alert: &str) -> Vec<String> {
    let link = format!("/links/{alert}");
    let all =
        ["/", "/links", "/links?which=all", "/links?which=paused", "/dead-letters", "/quarantine", "/quarantine/1"];
    let all = all.into_iter().chain(["/search", "/search?q=Disk", link.as_str()]);
    all.map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_show_what_there_is() {
    let world = World::new().await;
    let alert = busy(&world).await;
    let overview = page(&world, "/").await;
    for shown in ["Needs attention", "Given up: create in PagerDuty", "Could not be read", "a loop", "Disk full"] {
        assert!(overview.contains(shown), "{shown}: {overview}");
    }
    // What PagerDuty refused is told beside what it took.
    for shown in ["Last success</dt><dd><time", "create", "403", "RECONCILE_INTERVAL_S</code> is 0"] {
        assert!(overview.contains(shown), "{shown}: {overview}");
    }
    let story = page(&world, &format!("/links/{alert}")).await;
    for shown in [
        "Ada Oncall",
        "acknowledged the incident",
        "mirrored",
        "<strong>acknowledge</strong> done in",
        "request <code>",
    ] {
        assert!(story.contains(shown), "{shown}: {story}");
    }
    assert!(story.contains("<details id=\"echoes-"), "echoes are there, and closed: {story}");
    assert!(page(&world, "/links?which=paused").await.contains(&alert));
    assert!(page(&world, "/links").await.contains("Disk fuller"));
    assert!(page(&world, "/dead-letters").await.contains("/redrive"));
    assert!(page(&world, "/quarantine/1").await.contains("What was sent"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_night_says_so() {
    let world = World::new().await;
    let overview = page(&world, "/").await;
    assert!(overview.contains("Every page has gone out") && overview.contains("No alert is open"), "{overview}");
    world.end().await;
}

async fn status(world: &World) -> Value {
    client().get(url(world, "/api/v1/status")).send().await.unwrap().json().await.unwrap()
}

/// Waits until the overview says so.
async fn until_told(world: &World, told: &str) {
    let what = format!("the overview says {told:?}");
    world.until(&what, async || page(world, "/").await.contains(told)).await;
}

const QUIET: &str = "Every page has gone out";

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_that_are_off_are_an_alarm_until_they_come() {
    let plan = reconcile::plan();
    let secret = plan.pagerduty.webhook_secrets[0].clone();
    let mut world = plan.start().await;
    until_told(&world, "keeps up").await;
    // The first pass may have looked before the webhooks were pointed here.
    until_told(&world, QUIET).await;
    assert_eq!(status(&world).await["webhooks_off"], Value::Null);

    switch_webhooks(&world, false);
    until_told(&world, "webhooks are off").await;
    assert!(!page(&world, "/").await.contains(QUIET));
    let off = status(&world).await["webhooks_off"].as_str().unwrap().to_owned();
    assert!(off.contains("PWHS001 was switched off by a person"), "{off}");
    switch_webhooks(&world, true);
    until_told(&world, QUIET).await;

    on_subscription(&world, Request::new("DELETE", SUBSCRIPTION));
    until_told(&world, "The subscription to the address that ends in /pd-webhook is gone").await;

    // There never was one to such an address, which is as bad, unless they come by another way.
    world.restart_app().await;
    until_told(&world, "No subscription posts to an address that ends in /pd-webhook").await;
    let body = from_pagerduty("one", "incident.acknowledged", "P1").to_string();
    let door = format!("http://{}/pd-webhook", world.app().address());
    let signature = sign(&secret, &body);
    assert_eq!(post(&door, &[(SIGNATURE, &signature)], body).await.status, 200);
    assert!(page(&world, "/").await.contains(QUIET));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_that_fail_again_are_an_alarm_and_a_single_one_is_none() {
    let mut plan = reconcile::looks_when_ordered();
    // Then the first pass needs no second one to prove anything.
    plan.tuning.read_lag = ReadLag { opsgenie: Duration::ZERO, pagerduty: Duration::ZERO };
    let world = plan.start().await;
    until_told(&world, "keeps up").await;
    world.opsgenie.model().faults.always("GET", "/v2/alerts", Fault::status(500));
    for (passes, is_quiet) in [(1, true), (2, false), (3, false)] {
        reconcile::ordered_pass(&world, false).await;
        assert_eq!(status(&world).await["reconciler"]["failing"]["passes"], passes);
        let overview = page(&world, "/").await;
        assert_eq!(overview.contains(QUIET), is_quiet, "after {passes}: {overview}");
        assert_eq!(overview.contains("What failed last: alerts: 500"), !is_quiet, "after {passes}: {overview}");
        assert!(overview.contains("Passes that failed</dt><dd>"), "{overview}");
    }
    world.opsgenie.model().faults.clear();
    reconcile::ordered_pass(&world, false).await;
    let overview = page(&world, "/").await;
    assert!(overview.contains(QUIET) && !overview.contains("Passes that failed"), "{overview}");
    assert_eq!(status(&world).await["reconciler"]["failing"], Value::Null);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rounds_over_all_notes_are_told() {
    let world = reconcile::plan().start().await;
    world.linked("Disk full").await;
    world.linked("Disk fuller").await;
    until_told(&world, "2 links in").await;
    world.end().await;

    // One that has got to its first link, and does not go on.
    let world = reconcile::plan().start().await;
    world.opsgenie.model().faults.always("GET", "/notes", Fault::Hang);
    world.linked("Disk full").await;
    until_told(&world, "1 link <span class=\"meta\">began").await;
    assert_eq!(status(&world).await["reconciler"]["round"]["links"], 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_links_are_counted_though_not_all_are_shown() {
    let world = World::new().await;
    let mut alerts = Vec::new();
    for number in 1..=6 {
        alerts.push(world.linked(&format!("Disk {number} is full")).await.0);
    }
    for (paused, alert) in alerts.iter().enumerate() {
        let overview = page(&world, "/").await;
        assert_eq!(overview.contains(QUIET), paused == 0, "{overview}");
        assert!(!overview.contains("paused links</a>"), "all are shown: {overview}");
        world
            .app()
            .store()
            .pause(&alert.as_str().try_into().unwrap(), "a loop", crosspage::clock::now())
            .await
            .unwrap();
    }
    let overview = page(&world, "/").await;
    assert_eq!(overview.matches("Paused: <a").count(), 5);
    assert!(overview.contains("<a href=\"/links?which=paused\">All 6 paused links</a>"), "{overview}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_searched_for_is_found_by_all_its_names() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let tiny = world.alert_now(&alert).tiny_id.to_string();
    for wanted in [alert.as_str(), &incident, &tiny, &format!("%23{tiny}"), "disk+FULL"] {
        let found = led_to(visit(&world, &format!("/search?q={wanted}"))).await;
        assert_eq!(found, format!("/links/{alert}"), "by {wanted}");
    }
    world.linked("Disk fuller").await;
    let several = page(&world, "/search?q=disk").await;
    assert!(several.contains("2 links") && several.contains("Disk fuller"), "{several}");
    assert!(page(&world, "/search?q=no%20such%20thing").await.contains("Nothing is known of"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_from_outside_mean_nothing_to_a_browser() {
    let world = World::new().await;
    let headline = "<script>alert(1)</script> \u{1b}[31m\u{202e}\"'><img src=x>";
    let (alert, incident) = world.linked(headline).await;
    world.opsgenie.model().human_adds_note(&alert, "<b>jane</b>", "</blockquote><script>note()</script>");
    world.settle().await;
    world
        .app()
        .store()
        .pause(&alert.as_str().try_into().unwrap(), "<i>why</i>", crosspage::clock::now())
        .await
        .unwrap();
    world.opsgenie.model().human_adds_note(&alert, JANE, "<u>held</u>");
    world.settle().await;
    quarantine(&world, "{\"integrationId\":\"INTEGRATION\",\"action\":\"Create\",\"alert\":\"<script>x</script>\"}")
        .await;
    let paths = pages_of(&alert).into_iter().chain(["/search?q=%3Cscript%3Ealert".to_owned()]);
    for path in paths.chain(["/search?q=%3Cs%3E%22%27".to_owned(), "/links/%3Cscript%3E".to_owned()]) {
        let text = visit(&world, &path).send().await.unwrap().text().await.unwrap();
        for tag in ["<script>", "<img src=x", "<b>", "<i>", "<u>", "<s>", "\u{1b}", "\u{202e}"] {
            assert!(!text.contains(tag), "{path} has {tag:?}: {text}");
        }
    }
    let story = page(&world, &format!("/links/{alert}")).await;
    assert!(story.contains("&lt;script&gt;alert(1)") && story.contains("&lt;script&gt;note()"), "{story}");
    assert!(story.contains("&lt;b&gt;jane") && story.contains(&incident), "{story}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_are_to_be_hidden_are_on_no_page() {
    let world = Plan::new().var("ADMIN_NOTE_TEXTS", "hide").start().await;
    let alert = busy(&world).await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "the password is swordfish");
    world.settle().await;
    quarantine(&world, "{\"integrationId\":\"INTEGRATION\",\"action\":\"AddNote\",\"alert\":\"swordfish\"}").await;
    let second = "/quarantine/2".to_owned();
    for path in pages_of(&alert).into_iter().chain([second]) {
        let text = page(&world, &path).await;
        assert!(!text.contains("swordfish"), "{path}: {text}");
    }
    assert!(page(&world, "/quarantine/1").await.contains("Texts are hidden here"));
    world.end().await;
}

/// Whatever a page loads, it loads from here; the policy allows nothing else, and no script or style within the page.
#[tokio::test(flavor = "multi_thread")]
async fn no_page_needs_another_host() {
    let world = World::new().await;
    let alert = busy(&world).await;
    for path in pages_of(&alert) {
        let text = page(&world, &path).await;
        for part in ["src=\"", "href=\"", "action=\""] {
            for target in text.split(part).skip(1).map(|rest| rest.split('"').next().unwrap()) {
                let own = target.starts_with('/') && !target.starts_with("//");
                assert!(own || target.starts_with('#'), "{path}: {part}{target}");
            }
        }
        assert!(!text.contains("style=") && !text.contains("<style") && !text.contains("onclick"), "{path}");
    }
    for asset in ["crosspage.css", "dashboard.css", "dashboard.js", "crosspage.svg"] {
        let text = page(&world, &format!("/assets/{asset}")).await;
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("//") || asset == "dashboard.js", "{asset}");
        assert!(!text.contains("http:") && !text.contains("https:") && !text.contains("@import"), "{asset}");
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_a_page_for_people_and_an_answer_for_programs() {
    let world = World::new().await;
    for path in ["/nothing", "/links/nobody", "/quarantine/9", "/quarantine/many", "/assets/secret.env"] {
        let response = visit(&world, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        let text = response.text().await.unwrap();
        assert!(text.contains("<h1>Not found</h1>"), "{path}: {text}");
    }
    let response = client().get(url(&world, "/nothing")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_behind_the_doors() {
    let world = Plan::new().var("ADMIN_TOKEN", TOKEN).start().await;
    let alert = busy(&world).await;
    let log_in = |token: &str| {
        let form = format!("token={token}");
        client()
            .post(url(&world, "/login"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", "text/html")
            .header("origin", url(&world, ""))
            .body(form)
    };
    let response = log_in(TOKEN).send().await.unwrap();
    let cookie = response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    for path in pages_of(&alert).into_iter().chain(["/nothing".to_owned()]) {
        assert_eq!(led_to(visit(&world, &path)).await, "/login", "{path}");
        let program = client().get(url(&world, &path)).send().await.unwrap();
        assert_eq!(program.status(), StatusCode::UNAUTHORIZED, "{path}");
        let foreign = visit(&world, &path).header("host", "evil.example.com").header("cookie", &cookie);
        assert_eq!(foreign.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
        let seen = visit(&world, &path).header("cookie", &cookie).send().await.unwrap();
        assert_eq!(seen.status().is_success(), path != "/nothing", "{path}");
    }
    let live = client().get(url(&world, "/live")).header("accept", "text/event-stream").send().await.unwrap();
    assert_eq!(live.status(), StatusCode::UNAUTHORIZED);
    let api = visit(&world, "/api/v1/status").send().await.unwrap();
    assert_eq!(api.status(), StatusCode::UNAUTHORIZED, "the API leads nobody anywhere");

    assert!(page(&world, "/login").await.contains("ADMIN_TOKEN"));
    assert!(page(&world, "/assets/crosspage.css").await.contains("color-scheme"));
    let wrong = log_in("a-guess").send().await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let wrong = wrong.text().await.unwrap();
    assert!(wrong.contains("this is not the ADMIN_TOKEN") && wrong.contains("<form"), "{wrong}");
    assert!(!wrong.contains("a-guess"));
    // What a plain form sends is enough to log out.
    let out = client().post(url(&world, "/logout")).header("cookie", &cookie).header("origin", url(&world, ""));
    assert_eq!(led_to(out).await, "/login");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_there_is_nothing_to_log_in_to() {
    let world = World::new().await;
    assert_eq!(led_to(visit(&world, "/login")).await, "/");
    assert!(!page(&world, "/").await.contains("/logout"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_listen_are_told_of_a_change_and_of_nothing_else() {
    let world = World::new().await;
    let mut response = client().get(url(&world, "/live")).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(&first[..], b"event: changed\ndata:\n\n");
    let commits = || world.app().store().commits();
    // What crosspage learns by itself after its start may come in between.
    let unmoved = async || {
        let before = commits();
        world.app().store().summary().await.unwrap();
        commits() == before
    };
    world.until("to look is no change", unmoved).await;
    let pulse = commits();
    world.linked("Disk full").await;
    assert_ne!(commits(), pulse);
    assert_eq!(&response.chunk().await.unwrap().unwrap()[..], &first[..]);
    drop(response);
    world.end().await;
}
