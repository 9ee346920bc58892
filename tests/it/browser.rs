//! Pages in a real browser: chromium without a screen, driven through chromedriver. `.ci/run` runs these tests; plain
//! `cargo test` leaves them out, since not every machine has a browser.
//!
//! A story opens a [`Browser`], acts, waits until the page shows what it should, and ends it by [`Browser::end`], which
//! fails if the console has an error. Pictures are left in `target/tmp/screenshots/`.

mod chromedriver;
mod dashboard;
mod harness;
mod sandbox;

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{By, ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver};

use crate::harness::{LOOK_EVERY, TOO_LONG};

use chromedriver::Chromedriver;

/// Keeps chromium to the page that it is shown: it asks nobody for anything else.
const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
];

/// What a page is looked at on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Screen {
    /// 1280 by 900.
    Desktop,
    /// 390 by 844, and touched.
    Phone,
}

impl Screen {
    pub(crate) const ALL: [Self; 2] = [Self::Desktop, Self::Phone];

    /// In CSS pixels.
    pub(crate) fn width(self) -> u64 {
        match self {
            Self::Desktop => 1280,
            Self::Phone => 390,
        }
    }

    fn height(self) -> u64 {
        match self {
            Self::Desktop => 900,
            Self::Phone => 844,
        }
    }
}

/// What a visitor has asked their system for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Light,
    Dark,
}

impl Scheme {
    pub(crate) const ALL: [Self; 2] = [Self::Light, Self::Dark];

    fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A browser with a profile of its own and one page. It ends with the test, however that ends.
pub(crate) struct Browser {
    // In this order: the session ends before what serves it.
    /// For what the harness has no word for.
    pub(crate) driver: WebDriver,
    _chromedriver: Chromedriver,
    _profile: TempDir,
}

impl Browser {
    /// A browser on a desktop with a light scheme.
    pub(crate) async fn open() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let chromedriver = Chromedriver::start();
        let mut wanted = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            wanted.add_arg(argument).unwrap();
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        wanted.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(TOO_LONG).build().unwrap();
        let driver = WebDriver::builder(chromedriver.url(), wanted).client(client).connect().await.unwrap();
        let browser = Self { driver, _chromedriver: chromedriver, _profile: profile };
        browser.look_on(Screen::Desktop, Scheme::Light).await;
        browser
    }

    /// Shows the page on another screen, or in another scheme.
    pub(crate) async fn look_on(&self, screen: Screen, scheme: Scheme) {
        let size = json!({
            "width": screen.width(),
            "height": screen.height(),
            "deviceScaleFactor": 1,
            "mobile": screen == Screen::Phone,
        });
        self.command("Emulation.setDeviceMetricsOverride", size).await;
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme.name() }] });
        self.command("Emulation.setEmulatedMedia", media).await;
    }

    /// Goes to a page, and waits until it is loaded.
    pub(crate) async fn go(&self, url: &str) {
        self.driver.goto(url).await.unwrap_or_else(|error| panic!("cannot open {url}: {error}"));
    }

    /// What a piece of JavaScript returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        let answer = self.driver.execute(script, Vec::new()).await;
        answer.unwrap_or_else(|error| panic!("{script}: {error}")).json().clone()
    }

    /// Waits until an expression in JavaScript is true, and fails the test if that takes absurdly long.
    pub(crate) async fn until(&self, what: &str, expression: &str) {
        let started = Instant::now();
        while self.run(&format!("return Boolean({expression})")).await != Value::Bool(true) {
            if started.elapsed() > TOO_LONG {
                let text = self.run("return document.body.innerText").await;
                panic!("waited in vain until {what}; the page: {}", text.as_str().unwrap_or_default());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until the page shows `text` somewhere in what `css` selects.
    pub(crate) async fn until_shown(&self, css: &str, text: &str) {
        let (selector, wanted) = (json!(css), json!(text));
        let expression =
            format!("[...document.querySelectorAll({selector})].some(e => e.innerText.includes({wanted}))");
        self.until(&format!("{css} shows {text:?}"), &expression).await;
    }

    /// Clicks on the one thing that `css` selects, as a person does: it must be there to be seen, and in nobody's shade.
    pub(crate) async fn click(&self, css: &str) {
        let found = self.driver.find(By::Css(css)).await.unwrap_or_else(|error| panic!("nothing is {css}: {error}"));
        found.scroll_into_view().await.unwrap();
        found.click().await.unwrap_or_else(|error| panic!("{css} cannot be clicked on: {error}"));
    }

    /// Types a text into a field in place of what stands there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let found = self.driver.find(By::Css(css)).await.unwrap_or_else(|error| panic!("nothing is {css}: {error}"));
        found.clear().await.unwrap();
        found.send_keys(text).await.unwrap_or_else(|error| panic!("{css} cannot be typed into: {error}"));
    }

    /// Presses keys wherever the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        self.driver.action_chain().send_keys(keys).perform().await.unwrap();
    }

    /// Fails the test if the page is wider than the screen.
    pub(crate) async fn assert_fits(&self, screen: Screen) {
        if let Some(culprits) = self.is_too_wide(screen).await {
            panic!("on a {screen:?} of {} the page is too wide: {culprits}", screen.width());
        }
    }

    /// What reaches beyond the screen, if the page does.
    async fn is_too_wide(&self, screen: Screen) -> Option<Value> {
        // A phone zooms out until a page fits, so that the page's own measure of its window proves nothing.
        let width = self.run("return document.documentElement.scrollWidth").await.as_u64().unwrap();
        if width <= screen.width() {
            return None;
        }
        let script = format!(
            "const right = e => Math.round(e.getBoundingClientRect().right); \
             return [...document.querySelectorAll('body *')].filter(e => right(e) > {}).slice(0, 5) \
             .map(e => `${{e.tagName}} ${{e.className}} ${{right(e)}}`)",
            screen.width()
        );
        Some(self.run(&script).await)
    }

    /// Takes a picture of the whole page as it is shown, and says where it is.
    pub(crate) async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        fs::create_dir_all(&folder).unwrap();
        // What sticks to the window's edge is to be where it is at first.
        self.run("window.scrollTo(0, 0)").await;
        let taken = self.command("Page.captureScreenshot", json!({ "captureBeyondViewport": true })).await;
        let path = folder.join(format!("{name}.png"));
        fs::write(&path, BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()).unwrap();
        path
    }

    /// A picture of the page on each screen in each scheme, named so; fails the test if it does not fit one of them.
    pub(crate) async fn screenshots(&self, name: &str) -> Vec<PathBuf> {
        let mut pictures = Vec::new();
        for screen in Screen::ALL {
            for scheme in Scheme::ALL {
                self.look_on(screen, scheme).await;
                self.assert_fits(screen).await;
                pictures.push(self.screenshot(&format!("{name}-{}-{}", screen.width(), scheme.name())).await);
            }
        }
        pictures
    }

    /// The errors that the console has had since the last look: of scripts, of what could not be loaded, of the policy.
    pub(crate) async fn console_errors(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.unwrap();
        log.into_iter().filter(|entry| entry.level == "SEVERE").map(|entry| entry.message).collect()
    }

    /// Ends the story. The console must have no error by now.
    pub(crate) async fn end(self) {
        assert_eq!(self.console_errors().await, Vec::<String>::new(), "the console has errors");
        self.driver.clone().quit().await.unwrap();
    }

    /// A command of chromium's own protocol.
    async fn command(&self, method: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(method, parameters).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }
}
