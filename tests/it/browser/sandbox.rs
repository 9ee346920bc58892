//! The sandbox's page, as somebody uses it who has never seen it.

use serde_json::json;

use super::{Browser, Scheme, Screen};
use crate::sandbox::Sandbox;

/// The newest card of a pane.
const ALERT: &str = "#opsgenie article:first-of-type";
const LINK: &str = "#crosspage article:first-of-type";
const INCIDENT: &str = "#pagerduty article:first-of-type";

/// Waits until that card's badge says so.
async fn until_is(browser: &Browser, card: &str, status: &str) {
    let (card, status) = (json!(format!("{card} [data-status]")), json!(status));
    browser
        .until(&format!("{card} is {status}"), &format!("document.querySelector({card})?.innerText === {status}"))
        .await;
}

/// A browser on the page of a sandbox, with an alert that has paged.
async fn opened(sandbox: &Sandbox, message: &str) -> Browser {
    let browser = Browser::open().await;
    browser.go(&sandbox.url).await;
    browser.until_shown("[data-connection=live]", "Live").await;
    create(&browser, message).await;
    browser.until_shown(&format!("{INCIDENT} h3"), message).await;
    browser
}

async fn create(browser: &Browser, message: &str) {
    browser.fill("#opsgenie .compose [name=text]", message).await;
    browser.click("#opsgenie .compose button.first").await;
    browser.until_shown(&format!("{ALERT} h3"), message).await;
}

/// Writes a note on a card.
async fn note(browser: &Browser, card: &str, text: &str) {
    browser.fill(&format!("{card} [action$='/note'] input"), text).await;
    browser.click(&format!("{card} [action$='/note'] button")).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn what_is_done_on_either_side_travels_to_the_other() {
    let sandbox = Sandbox::open(&[]);
    let browser = opened(&sandbox, "Payments fail").await;
    until_is(&browser, INCIDENT, "triggered").await;

    browser.click(&format!("{INCIDENT} [action$='/acknowledge'] button")).await;
    until_is(&browser, ALERT, "acknowledged").await;
    browser.until_shown(&format!("{ALERT} .notes .ours"), "Ada Oncall acknowledged").await;

    note(&browser, ALERT, "Since the deploy at noon?").await;
    browser.until_shown(&format!("{INCIDENT} .notes .ours"), "jane@example.com: Since the deploy at noon?").await;
    browser
        .until(
            "the field is empty again",
            &format!("document.querySelector(\"{ALERT} [action$='/note'] input\").value === ''"),
        )
        .await;

    browser.click(&format!("{INCIDENT} [action$='/resolve'] button")).await;
    until_is(&browser, INCIDENT, "resolved").await;
    browser.until_shown(&format!("{ALERT} .notes .ours"), "Ada Oncall resolved").await;
    browser.click(&format!("{ALERT} [action$='/close'] button")).await;
    until_is(&browser, ALERT, "closed").await;
    browser.until_shown(LINK, "closed the alert").await;
    browser.until_shown(&format!("{LINK} .deeds .done"), "after").await;
    browser.end().await;
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn what_is_done_during_an_outage_is_pending_and_arrives_once() {
    let sandbox = Sandbox::open(&[]);
    let browser = opened(&sandbox, "Payments fail for every customer").await;
    browser.click(&format!("{INCIDENT} [action$='/acknowledge'] button")).await;
    until_is(&browser, ALERT, "acknowledged").await;
    note(&browser, ALERT, "Since the deploy at noon").await;
    browser.until_shown(&format!("{INCIDENT} .notes .ours"), "Since the deploy at noon").await;
    note(&browser, INCIDENT, "Rolling back now").await;
    browser.until_shown(&format!("{ALERT} .notes .ours"), "Rolling back now").await;
    let switch = "[action='/pagerduty/faults/outage'] button";
    browser.click(switch).await;
    browser.until("the switch is on", &format!("document.querySelector(\"{switch}\").ariaChecked === 'true'")).await;

    note(&browser, ALERT, "Is anybody there?").await;
    browser.until_shown("#pending-pagerduty", "1 pending").await;
    browser.until_shown(&format!("{LINK} .title"), "1 pending").await;
    browser.until_shown(&format!("{LINK} .deeds .waiting"), "503").await;
    assert_eq!(told(&browser).await, 0, "it is not there yet");
    // The beginning of it stands in the README.
    browser.screenshot("sandbox-outage").await;

    browser.click(switch).await;
    browser.until_shown("#pending-pagerduty", "0 pending").await;
    browser.until_shown(&format!("{INCIDENT} .notes .ours"), "Is anybody there?").await;
    assert_eq!(told(&browser).await, 1);
    browser.end().await;
    sandbox.end();
}

/// How often the incident says what was asked during the outage.
async fn told(browser: &Browser) -> u64 {
    let script =
        format!("return document.querySelector(\"{INCIDENT}\").innerText.split('Is anybody there?').length - 1");
    browser.run(&script).await.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn what_a_visitor_types_and_opens_outlives_what_changes_meanwhile() {
    let sandbox = Sandbox::open(&[]);
    let browser = opened(&sandbox, "Payments fail").await;
    let field = format!("{ALERT} [action$='/note'] input");
    browser.click(&format!("{ALERT} details:last-of-type summary")).await;
    browser.fill(&field, "Half a sent").await;
    browser.run(&format!("document.querySelector(\"{field}\").focus()")).await;
    // As if somebody else had done it, since this visitor's hands are on the field.
    let acknowledge =
        format!("document.querySelector(\"{INCIDENT} [action$='/acknowledge'] button\").form.requestSubmit()");
    browser.run(&acknowledge).await;
    until_is(&browser, ALERT, "acknowledged").await;
    browser.until_shown(&format!("{ALERT} .notes"), "Ada Oncall acknowledged").await;
    let kept = format!(
        "const note = document.querySelector(\"{field}\"); const details = document.querySelector(\"{ALERT} details:last-of-type\"); \
         return [note.value, document.activeElement === note, details.open]"
    );
    assert_eq!(browser.run(&kept).await, json!(["Half a sent", true, true]));
    browser.end().await;
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_refusal_is_said_and_goes_away_with_the_next_thing_that_works() {
    let sandbox = Sandbox::open(&[]);
    let browser = opened(&sandbox, "Payments fail").await;
    let priority = format!("{INCIDENT} [action$='/priority']");
    browser.click(&format!("{INCIDENT} details:last-of-type summary")).await;
    // It has P3 already.
    browser.click(&format!("{priority} button")).await;
    browser.until_shown("[data-say]", "changes nothing").await;
    browser.click(&format!("{INCIDENT} [action$='/escalate'] button")).await;
    browser.until("nothing is said any more", "document.querySelector('[data-say]').innerText === ''").await;
    let errors = browser.console_errors().await;
    assert!(errors.iter().all(|error| error.contains("409")), "the console names the refused request: {errors:?}");
    browser.end().await;
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn all_of_it_is_reached_by_keyboard() {
    let sandbox = Sandbox::open(&[]);
    let browser = opened(&sandbox, "Payments fail").await;
    let script = "return [...document.querySelectorAll('button, input, select, summary, a, textarea')] \
         .filter(e => e.tabIndex < 0 || !(e.textContent.trim() || e.ariaLabel || e.labels?.length || e.value)) \
         .map(e => e.outerHTML)";
    assert_eq!(browser.run(script).await, json!([]), "each is reached by Tab, and has a name");
    browser.run("document.querySelector('#opsgenie .compose [name=text]').focus()").await;
    let keys = "Typed alone\u{e007}";
    browser.driver.active_element().await.unwrap().send_keys(keys).await.unwrap();
    browser.until_shown(&format!("{INCIDENT} h3"), "Typed alone").await;
    browser.end().await;
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn it_fits_a_desktop_and_a_phone_in_light_and_dark() {
    let sandbox = Sandbox::open(&[]);
    let browser = opened(&sandbox, "Payments fail for every customer of the northern region since 12:04").await;
    browser.click(&format!("{INCIDENT} [action$='/acknowledge'] button")).await;
    until_is(&browser, ALERT, "acknowledged").await;
    let long = "A-word-that-nobody-breaks-".repeat(12);
    for text in ["Since the deploy at noon?", &long] {
        note(&browser, ALERT, text).await;
        browser.until_shown(&format!("{INCIDENT} .notes .ours"), text).await;
    }
    browser.run("document.querySelectorAll('details').forEach(details => details.open = true)").await;
    browser.screenshots("sandbox-open").await;
    browser.run("document.querySelectorAll('details').forEach(details => details.open = false)").await;
    for picture in browser.screenshots("sandbox").await {
        assert!(picture.is_file());
    }
    browser.look_on(Screen::Desktop, Scheme::Light).await;
    browser.end().await;
    sandbox.end();
}
