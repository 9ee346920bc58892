//! The dashboard in a browser: it follows what happens, its buttons do what they say, and it reads well on a phone.

use std::time::Duration;

use serde_json::json;
use simulators::Fault;

use super::{Browser, Scheme, Screen};
use crate::dashboard::switch_webhooks;
use crate::harness::{ADA, JANE, Plan, World};
use crate::reconcile;

const TOKEN: &str = "a-long-random-text-for-operators";

fn url(world: &World, path: &str) -> String {
    format!("http://{}{path}", world.app().admin_address())
}

/// Opens a page, and waits until it follows what happens.
async fn follow(browser: &Browser, world: &World, path: &str) {
    browser.go(&url(world, path)).await;
    browser.until_shown("#lamp", "live").await;
    // It would be gone after a reload.
    browser.run("window.since = 'the beginning'").await;
}

async fn assert_was_never_reloaded(browser: &Browser) {
    assert_eq!(browser.run("return window.since").await, "the beginning", "the page was loaded again");
}

/// A night with something on every page; returns the alert with the longest story.
async fn busy(world: &World) -> String {
    let (alert, incident) = world.linked("Checkout: payment errors above 5 % in eu-west").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "Three customers have called.\nIt began with the release.");
    world.pagerduty.model().human_adds_note(&incident, ADA, "Rolling back.");
    world.settle().await;
    let (paused, _) = world.linked("Search: replica lag").await;
    let why = "commands went in both directions as in a loop";
    world.app().store().pause(&paused.as_str().try_into().unwrap(), why, crosspage::clock::now()).await.unwrap();
    world.opsgenie.model().human_adds_note(&paused, JANE, "Is anybody there?");
    let (over, gone) = world.linked("Disk full on db-7").await;
    world.pagerduty.model().human_resolves(&gone, ADA, None);
    world.settle().await;
    world.opsgenie.model().human_closes(&over, JANE, None);
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    world.alert("A-very-long-headline-without-any-space-in-it-".repeat(3).trim_end_matches('-'));
    world.settle().await;
    let integration = simulators::opsgenie::Options::default().integration_id;
    let door = format!("http://{}/ops-webhook", world.app().address());
    let unreadable = format!("{{\"integrationId\":\"{integration}\",\"action\":\"Create\",\"alert\":\"none\"}}");
    assert_eq!(crate::post::post(&door, &[], unreadable).await.status, 202);
    alert
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_story_shows_as_it_happens() {
    let (world, browser) = (World::new().await, Browser::open().await);
    follow(&browser, &world, "/").await;
    let (alert, incident) = world.linked("Disk full").await;
    browser.until_shown("#open .what", "Disk full").await;
    browser.until_shown("#open .on-pagerduty", "open").await;
    assert_was_never_reloaded(&browser).await;
    follow(&browser, &world, &format!("/links/{alert}")).await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    browser.until_shown("#story .event.on-pagerduty", "acknowledged the incident").await;
    browser.until_shown("#story .deeds.on-opsgenie", "acknowledge done in").await;
    browser.until_shown("#head .card.on-opsgenie", "acknowledged").await;
    assert_was_never_reloaded(&browser).await;
    browser.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn webhooks_that_are_switched_off_show_as_it_happens() {
    let (world, browser) = (reconcile::plan().start().await, Browser::open().await);
    follow(&browser, &world, "/").await;
    browser.until_shown("#reconciler", "keeps up").await;
    browser.until_shown("#attention", "Nothing. Every page has gone out").await;
    switch_webhooks(&world, false);
    world.opsgenie.model().faults.always("GET", "/v2/alerts", Fault::status(500));
    browser.until_shown("#alarm-webhooks_off", "Subscription PWHS001 was switched off by a person").await;
    browser.until_shown("#alarm-passes_fail", "alerts: 500").await;
    browser.until_shown("#reconciler", "fails").await;
    browser.screenshots("alarmed").await;
    switch_webhooks(&world, true);
    world.opsgenie.model().faults.clear();
    browser.until_shown("#attention", "Nothing. Every page has gone out").await;
    assert_was_never_reloaded(&browser).await;
    browser.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_dead_letter_is_redriven_by_a_click() {
    let (world, browser) = (World::new().await, Browser::open().await);
    follow(&browser, &world, "/").await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let alert = world.alert("Disk full");
    browser.until_shown("#attention", "Given up: create in PagerDuty").await;
    browser.click("#attention button[data-order$='/redrive']").await;
    browser.until_shown("#said", "is tried again").await;
    world.until("the incident stands", async || !world.incidents_of(&alert).is_empty()).await;
    browser.until_shown("#attention", "Nothing. Every page has gone out").await;
    assert_was_never_reloaded(&browser).await;
    browser.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_link_is_paused_and_resumed_by_clicks() {
    let (world, browser) = (World::new().await, Browser::open().await);
    let (alert, incident) = world.linked("Disk full").await;
    follow(&browser, &world, &format!("/links/{alert}")).await;
    browser.click("#pause").await;
    browser.fill("#confirm-input", "a planned outage").await;
    browser.click("#confirm-yes").await;
    browser.until_shown("#head .alarm", "a planned outage").await;
    world.opsgenie.model().human_adds_note(&alert, JANE, "held");
    browser.until_shown("#todo", "note in PagerDuty").await;
    assert!(world.incident_notes(&incident).is_empty());
    browser.click("#resume").await;
    browser.until_shown("#said", "Resumed").await;
    world.until("the note has come", async || world.incident_notes(&incident).len() == 1).await;
    browser.until_shown("#head", "Pause").await;
    assert_was_never_reloaded(&browser).await;
    browser.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn what_cannot_be_undone_is_asked_about_first() {
    let (world, browser) = (World::new().await, Browser::open().await);
    let (alert, _) = world.linked("Disk full").await;
    let id = alert.as_str().try_into().unwrap();
    follow(&browser, &world, &format!("/links/{alert}")).await;
    browser.click("#unlink").await;
    browser.until_shown("#confirm", "It cannot be undone").await;
    browser.click("#confirm-no").await;
    browser.until("the question is gone", "!document.querySelector('#confirm').open").await;
    assert!(!world.app().store().link(&id).await.unwrap().unwrap().unlinked);
    browser.click("#unlink").await;
    browser.click("#confirm-yes").await;
    browser.until_shown("#said", "Unlinked").await;
    browser.until_shown("#head", "unlinked").await;
    assert!(world.app().store().link(&id).await.unwrap().unwrap().unlinked);
    browser.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn an_operator_logs_in_searches_orders_and_logs_out() {
    let world = Plan::new().var("ADMIN_TOKEN", TOKEN).start().await;
    let browser = Browser::open().await;
    let (alert, _) = world.linked("Disk full").await;
    browser.go(&url(&world, "/links")).await;
    browser.until("it asks for the token", "location.pathname === '/login'").await;
    browser.fill("#token", TOKEN).await;
    browser.click(".login button").await;
    browser.until_shown("#lamp", "live").await;
    browser.fill("#q", &format!("#{}", world.alert_now(&alert).tiny_id)).await;
    browser.click(".search button").await;
    browser.until("the link is found", &format!("location.pathname === '/links/{alert}'")).await;
    browser.until_shown("h1", "Disk full").await;
    browser.click("#pause").await;
    browser.fill("#confirm-input", "with a cookie").await;
    browser.click("#confirm-yes").await;
    browser.until_shown("#head .alarm", "with a cookie").await;
    browser.click("footer button").await;
    browser.until("it asks again", "location.pathname === '/login'").await;
    browser.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_keyboard_is_enough() {
    let (world, browser) = (World::new().await, Browser::open().await);
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let alert = world.alert("Disk full");
    world.settle().await;
    follow(&browser, &world, "/").await;
    let focused = async || browser.run("return document.activeElement.textContent.trim()").await;
    browser.press("\u{e004}").await;
    assert_eq!(focused().await, "Skip to the content");
    browser.press("\u{e007}").await;
    browser.until("the content has the focus", "document.activeElement.id === 'main'").await;
    // To the letter's link, and to what can be done about it.
    browser.press("\u{e004}").await;
    assert_eq!(focused().await, "its link");
    browser.press("\u{e004}").await;
    assert_eq!(focused().await, "Redrive");
    let outline = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.run(outline).await, "solid", "one sees where one is");
    browser.press("\u{e007}").await;
    world.until("the incident stands", async || !world.incidents_of(&alert).is_empty()).await;
    browser.until_shown("#attention", "Nothing. Every page has gone out").await;
    browser.press("/").await;
    assert_eq!(browser.run("return document.activeElement.id").await, "q");
    browser.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn what_is_open_and_has_the_focus_stays_so_while_the_page_follows() {
    let (world, browser) = (World::new().await, Browser::open().await);
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    follow(&browser, &world, &format!("/links/{alert}")).await;
    browser.click("#echoes-2 summary, details summary").await;
    browser.run("document.querySelector('#pause').focus()").await;
    world.pagerduty.model().human_adds_note(&incident, ADA, "Rolling back.");
    browser.until_shown("#story", "Rolling back.").await;
    assert_eq!(browser.run("return document.querySelector('details').open").await, true);
    assert_eq!(browser.run("return document.activeElement.id").await, "pause");
    browser.end().await;
    world.end().await;
}

/// A night as the documents show it: `dashboard-1280-light.png` is docs/images/dashboard.png.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_night_can_be_read_at_a_glance() {
    let mut plan = reconcile::plan();
    // What is told of calls is to be what it is on usual days.
    plan.tuning.reconcile_every = Some(Duration::from_secs(2));
    plan.tuning.notes_every = Some(Duration::from_millis(500));
    let (world, browser) = (plan.start().await, Browser::open().await);
    let pause = async |alert: &str, why: &str| {
        world.app().store().pause(&alert.try_into().unwrap(), why, crosspage::clock::now()).await.unwrap();
    };
    let (disk, over) = world.linked("Disk full on db-7").await;
    world.pagerduty.model().human_resolves(&over, ADA, None);
    world.settle().await;
    world.opsgenie.model().human_closes(&disk, JANE, None);
    world.linked("Certificate of api.example.com expires in seven days").await;
    let (search, _) = world.linked("Search: replica lag above 30 s").await;
    pause(&search, "The index is rebuilt until noon: Jane tells both sides by hand").await;
    world.opsgenie.model().human_adds_note(&search, JANE, "Half of the shards are done.");
    let (checkout, incident) = world.linked("Checkout: payment errors above 5% in eu-west").await;
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    let body = json!({ "error": { "message": "Access Denied", "code": 2010 } }).to_string();
    let denied = Fault::Status { code: 403, body, headers: Vec::new() };
    world.pagerduty.model().faults.once("POST", &format!("/incidents/{incident}/notes"), denied);
    world.opsgenie.model().human_adds_note(&checkout, JANE, "It began with the release of 02:40: roll it back.");
    world.settle().await;
    follow(&browser, &world, "/").await;
    browser.until_shown("#attention .alarm.bad", "It began with the release of 02:40: roll it back.").await;
    browser.until_shown("#attention .alarm.warn", "Search: replica lag above 30 s").await;
    browser.until_shown("#reconciler", "3 links in").await;
    browser.screenshots("dashboard").await;
    browser.end().await;
    world.end().await;
}

/// Pictures of all pages are left behind to be looked at.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn every_page_fits_every_screen_without_an_error() {
    let world = Plan::new().var("ADMIN_TOKEN", TOKEN).start().await;
    let browser = Browser::open().await;
    browser.go(&url(&world, "/")).await;
    browser.screenshots("login").await;
    browser.fill("#token", TOKEN).await;
    browser.click(".login button").await;
    browser.until_shown("#attention", "Nothing.").await;
    browser.screenshots("quiet").await;
    let alert = busy(&world).await;
    let link = format!("/links/{alert}");
    for (name, path) in [
        ("overview", "/"),
        ("links", "/links?which=all"),
        ("link", link.as_str()),
        ("dead-letters", "/dead-letters"),
        ("quarantine", "/quarantine"),
        ("quarantined", "/quarantine/1"),
        ("search", "/search?q=i"),
    ] {
        follow(&browser, &world, path).await;
        browser.screenshots(name).await;
        // The last picture was taken on a phone.
        let rows = "return new Set([...document.querySelectorAll('#menu a')].map(a => a.offsetTop)).size";
        assert_eq!(browser.run(rows).await, 1, "{path}: the menu is in more than one row");
        assert_eq!(browser.console_errors().await, Vec::<String>::new(), "{path}");
    }
    browser.look_on(Screen::Desktop, Scheme::Light).await;
    browser.end().await;
    world.end().await;
}
