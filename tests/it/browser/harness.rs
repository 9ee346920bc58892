//! Whether the browser's harness sees what is wrong with a page: tests that look for nothing find nothing.

use super::{Browser, Scheme, Screen};

fn page(body: &str) -> String {
    let viewport = "<meta name=viewport content='width=device-width'>";
    format!("data:text/html,<!doctype html><html lang=en><title>A page</title>{viewport}<body>{body}")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn errors_in_the_console_are_seen_once() {
    let browser = Browser::open().await;
    let faults = "<script>console.error('said')</script><script>nothing()</script>\
                  <img src='http://127.0.0.1:1/x.png' alt=x><p>here</p>";
    browser.go(&page(faults)).await;
    browser.until_shown("p", "here").await;
    let errors = browser.console_errors().await;
    for wanted in ["said", "nothing is not defined", "x.png"] {
        assert_eq!(errors.iter().filter(|error| error.contains(wanted)).count(), 1, "{wanted}: {errors:?}");
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_page_that_is_too_wide_for_a_phone_is_seen() {
    let browser = Browser::open().await;
    for (body, too_wide) in [("<p style='width:500px'>wide</p>", true), ("<p>narrow</p>", false)] {
        browser.go(&page(body)).await;
        for screen in Screen::ALL {
            browser.look_on(screen, Scheme::Light).await;
            let is = browser.is_too_wide(screen).await;
            assert_eq!(is.is_some(), too_wide && screen == Screen::Phone, "{body} on {screen:?}: {is:?}");
        }
    }
    browser.end().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium and chromedriver"]
async fn a_visitor_types_clicks_and_prefers_a_scheme() {
    let browser = Browser::open().await;
    let body = "<style>@media (prefers-color-scheme: dark) { p { color: rgb(1, 2, 3) } }</style><input value=old>\
                <button onclick=\"document.querySelector('p').innerText=document.querySelector('input').value\">Say\
                </button><p></p>";
    browser.go(&page(body)).await;
    browser.fill("input", "new").await;
    browser.click("button").await;
    browser.until_shown("p", "new").await;
    assert_eq!(
        browser.run("return document.querySelector('p').innerText").await,
        "new",
        "in place of what stood there"
    );
    for scheme in Scheme::ALL {
        browser.look_on(Screen::Desktop, scheme).await;
        let color = browser.run("return getComputedStyle(document.querySelector('p')).color").await;
        assert_eq!(color == "rgb(1, 2, 3)", scheme == Scheme::Dark, "{color} in {scheme:?}");
    }
    for picture in browser.screenshots("harness").await {
        assert!(std::fs::read(&picture).unwrap().starts_with(b"\x89PNG"), "{}", picture.display());
    }
    browser.end().await;
}
