//! `crosspage sandbox` without a browser: its page, its actions and its doors.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Instant;

use reqwest::header::HeaderMap;
use tempfile::TempDir;

use crate::harness::{ADA, BOB, JANE, JOHN, LOOK_EVERY, TOO_LONG};
use crate::process::{Ended, Process, until};

/// A sandbox that stays open, as a process of its own.
pub(crate) struct Sandbox {
    process: Process,
    pub(crate) url: String,
    client: reqwest::Client,
    _folder: TempDir,
}

/// What it has answered.
#[derive(Debug)]
pub(crate) struct Said {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl Sandbox {
    /// Opens one on a free port, with these keys to be tried.
    pub(crate) fn open(vars: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::spawn(folder.path(), vars, &["sandbox", "--listen", "127.0.0.1:0"]);
        until("it says where its page is", || page_in(&process.output()).is_some());
        let url = page_in(&process.output()).unwrap();
        let client = reqwest::Client::builder().no_proxy().timeout(TOO_LONG).build().unwrap();
        Self { process, url, client, _folder: folder }
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Said {
        let mut request = self.client.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        said(request).await
    }

    /// Posts a form as the page does.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Said {
        self.post_with(path, form, &[("Origin", &self.url)]).await
    }

    async fn post_with(&self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> Said {
        let form: Vec<String> = form.iter().map(|(key, value)| format!("{key}={}", encoded(value))).collect();
        let mut request = self.client.post(format!("{}{path}", self.url)).body(form.join("&"));
        request = request.header("Content-Type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        said(request).await
    }

    /// The same, and it must be done.
    async fn act(&self, path: &str, form: &[(&str, &str)]) {
        let said = self.post(path, form).await;
        assert_eq!(said.status, 204, "{path} {form:?}: {said:?}");
    }

    async fn page(&self) -> String {
        self.get("/", &[]).await.body
    }

    /// The ids of what the page shows as `kind`, the newest first.
    async fn ids(&self, kind: &str) -> Vec<String> {
        let (page, card) = (self.page().await, format!("<article class=\"card\" id=\"{kind}-"));
        let parts = page.split(&card).skip(1);
        parts.map(|part| part.split('"').next().unwrap().to_owned()).collect()
    }

    /// Waits until the page says all of that within what is of that id.
    async fn until_card(&self, id: &str, wanted: &[&str]) {
        let started = Instant::now();
        loop {
            let page = self.page().await;
            let card = page.split("<article").find(|card| card.contains(&format!("id=\"{id}\""))).unwrap_or_default();
            let missing: Vec<_> = wanted.iter().filter(|text| !card.contains(**text)).collect();
            if missing.is_empty() {
                return;
            }
            assert!(started.elapsed() < TOO_LONG, "{id} does not say {missing:?}: {card}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// An alert that has paged; returns its id and the incident's.
    async fn paged(&self, message: &str) -> (String, String) {
        let before = self.ids("incident").await.len();
        self.act("/opsgenie/alerts", &[("by", JANE), ("text", message), ("priority", "P2")]).await;
        let alert = self.ids("alert").await.remove(0);
        let started = Instant::now();
        while self.ids("incident").await.len() == before {
            assert!(started.elapsed() < TOO_LONG, "no incident: {}", self.page().await);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let incident = self.ids("incident").await.remove(0);
        // Complete once PagerDuty's own event about it is in.
        self.until_card(&format!("link-{alert}"), &[&incident]).await;
        (alert, incident)
    }

    pub(crate) fn end(self) {
        let Ended { code, output } = self.process.terminate();
        assert_eq!(code, Some(0), "{output}");
    }
}

async fn said(request: reqwest::RequestBuilder) -> Said {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Said { status, headers, body: response.text().await.unwrap() }
}

/// Where the page is, from what is printed.
fn page_in(output: &str) -> Option<String> {
    let (_, rest) = output.split_once("Open this page")?;
    rest.lines().map(str::trim).find(|line| line.starts_with("http://")).map(str::to_owned)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_on_an_alert_is_taken_and_shows_on_the_incident() {
    // What a look finds before its webhook is heard is told in other words.
    let sandbox = Sandbox::open(&[("RECONCILE_INTERVAL_S", "0")]);
    let (alert, incident) = sandbox.paged("Till <3> & \"co\"").await;
    let path = |action: &str| format!("/opsgenie/alerts/{alert}/{action}");
    let card = format!("incident-{incident}");
    for (action, form, shows) in [
        ("note", [("text", "We see errors"), ("to", "")], "[Opsgenie] jane@example.com: We see errors"),
        ("acknowledge", [("text", ""), ("to", "")], ">acknowledged</span>"),
        ("unacknowledge", [("text", ""), ("to", "")], ">triggered</span>"),
        ("priority", [("priority", "P1"), ("to", "")], ">P1</span>"),
        ("take", [("text", ""), ("to", "")], "ownership"),
        ("assign", [("text", ""), ("to", JOHN)], JOHN),
        ("snooze", [("text", ""), ("to", "")], "snoozed"),
        ("escalate", [("text", ""), ("to", "")], "escalated"),
        ("close", [("text", "Fixed"), ("to", "")], "jane@example.com closed the alert: Fixed"),
    ] {
        sandbox.act(&path(action), &[form[0], form[1], ("by", JANE)]).await;
        sandbox.until_card(&card, &[shows]).await;
    }
    sandbox.until_card(&card, &[">resolved</span>", "Till &lt;3&gt; &amp; &quot;co&quot;"]).await;
    sandbox.act(&path("delete"), &[("by", JANE)]).await;
    assert!(!sandbox.ids("alert").await.contains(&alert), "it is gone");
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_on_an_incident_is_taken_and_shows_on_the_alert() {
    let sandbox = Sandbox::open(&[]);
    let (alert, incident) = sandbox.paged("Disk full").await;
    sandbox.act("/pagerduty/incidents", &[("by", BOB), ("text", "Something else")]).await;
    let stranger = sandbox.ids("incident").await.remove(0);
    sandbox.until_card(&format!("incident-{stranger}"), &["not crosspage&#39;s"]).await;
    let path = |action: &str| format!("/pagerduty/incidents/{incident}/{action}");
    let (on_alert, on_incident) = (format!("alert-{alert}"), format!("incident-{incident}"));
    for (action, form, card, shows) in [
        ("note", ("text", "On it"), &on_alert, "[PagerDuty] Ada Oncall: On it"),
        ("acknowledge", ("text", ""), &on_alert, ">acknowledged</span>"),
        ("snooze", ("text", ""), &on_incident, "snoozed until"),
        ("unacknowledge", ("text", ""), &on_alert, ">open</span>"),
        ("acknowledge", ("text", ""), &on_alert, ">acknowledged</span>"),
        ("time-out", ("text", ""), &on_alert, ">open</span>"),
        ("priority", ("priority", "P5"), &on_incident, ">P5</span>"),
        ("reassign", ("to", BOB), &on_incident, "assigned to Bob Backup"),
        ("escalate", ("text", ""), &on_incident, "assigned to Ada Oncall"),
        ("resolve", ("text", "Done"), &on_alert, "Done"),
        ("reopen", ("text", ""), &on_alert, "Ada Oncall reopened"),
        ("merge", ("to", &stranger), &on_incident, ">merged</span>"),
    ] {
        sandbox.act(&path(action), &[form, ("by", ADA)]).await;
        sandbox.until_card(card, &[shows]).await;
    }
    sandbox.until_card(&format!("link-{alert}"), &[&stranger]).await;
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused_with_a_reason() {
    let sandbox = Sandbox::open(&[]);
    let (alert, incident) = sandbox.paged("Disk full").await;
    let on_alert = |action: &str| format!("/opsgenie/alerts/{alert}/{action}");
    let on_incident = |action: &str| format!("/pagerduty/incidents/{incident}/{action}");
    for (path, form, status) in [
        (on_alert("unacknowledge"), vec![("by", JANE)], 409),
        (on_incident("reopen"), vec![("by", ADA)], 409),
        (on_incident("merge"), vec![("by", ADA), ("to", "QNOSUCHINCIDEN")], 409),
        (on_alert("note"), vec![("by", JANE), ("text", "  ")], 422),
        (on_alert("note"), vec![("by", "nobody@example.com"), ("text", "x")], 422),
        (on_incident("acknowledge"), vec![("by", JANE)], 422),
        (on_alert("priority"), vec![("by", JANE), ("priority", "P6")], 422),
        (on_alert("assign"), vec![("by", JANE), ("to", "nobody@example.com")], 422),
        ("/opsgenie/alerts".to_owned(), vec![("by", JANE), ("priority", "P1")], 422),
        ("/opsgenie/faults/outage".to_owned(), vec![("on", "perhaps")], 422),
        (on_alert("explode"), vec![("by", JANE)], 404),
        (on_incident("explode"), vec![("by", ADA)], 404),
        ("/opsgenie/alerts/none/close".to_owned(), vec![("by", JANE)], 404),
        ("/pagerduty/incidents/none/resolve".to_owned(), vec![("by", ADA)], 404),
        ("/opsgenie/faults/explosion".to_owned(), vec![("on", "true")], 404),
        ("/elsewhere/faults/outage".to_owned(), vec![("on", "true")], 404),
    ] {
        let said = sandbox.post(&path, &form).await;
        assert_eq!(said.status, status, "{path} {form:?}: {said:?}");
        assert!(said.body.ends_with('.'), "a sentence for people: {said:?}");
    }
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_switch_shows_whether_it_is_on() {
    let sandbox = Sandbox::open(&[]);
    let page = sandbox.page().await;
    let switches: Vec<&str> = page
        .split("action=\"")
        .skip(1)
        .filter_map(|part| part.split('"').next())
        .filter(|it| it.contains("/faults/"))
        .collect();
    assert_eq!(switches.len(), 12, "{switches:?}");
    for path in &switches {
        for on in ["true", "false"] {
            sandbox.act(path, &[("on", on)]).await;
            let page = sandbox.page().await;
            let (_, form) = page.split_once(&format!("action=\"{path}\"")).unwrap();
            let (form, _) = form.split_once("</form>").unwrap();
            assert!(form.contains(&format!("aria-checked=\"{on}\"")), "{path} {on}: {form}");
        }
    }
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_answered_by_the_names_of_this_machine_and_to_its_own_page_only() {
    let sandbox = Sandbox::open(&[]);
    let port = sandbox.url.rsplit(':').next().unwrap();
    let (rebound, local) = (format!("evil.example.com:{port}"), format!("localhost:{port}"));
    for path in ["/", "/events", "/sandbox.js", "/nowhere"] {
        let said = sandbox.get(path, &[("Host", &rebound)]).await;
        assert_eq!(said.status, 403, "{path}: {said:?}");
        assert!(!said.body.contains("crosspage"), "{said:?}");
    }
    assert_eq!(sandbox.get("/", &[("Host", &local)]).await.status, 200);
    let foreign = sandbox.get("/sandbox.js", &[("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors")]).await;
    assert_eq!(foreign.status, 403);

    let before = sandbox.ids("alert").await;
    let form = [("by", JANE), ("text", "Forged"), ("priority", "P1")];
    let (of_rebound, of_local) = (format!("http://{rebound}"), format!("http://{local}"));
    for headers in [
        vec![],
        vec![("Origin", "null")],
        vec![("Origin", "http://evil.example.com")],
        vec![("Origin", of_local.as_str())],
        vec![("Origin", of_rebound.as_str()), ("Host", rebound.as_str())],
        vec![("Origin", sandbox.url.as_str()), ("Sec-Fetch-Site", "cross-site")],
    ] {
        let said = sandbox.post_with("/opsgenie/alerts", &form, &headers).await;
        assert_eq!(said.status, 403, "{headers:?}: {said:?}");
    }
    assert_eq!(sandbox.ids("alert").await, before, "none of them did anything");
    let headers = [("Origin", of_local.as_str()), ("Host", local.as_str())];
    assert_eq!(sandbox.post_with("/opsgenie/alerts", &form, &headers).await.status, 204, "but by that name it does");
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let sandbox = Sandbox::open(&[]);
    let page = sandbox.get("/", &[]).await;
    let policy = page.headers.get("content-security-policy").unwrap().to_str().unwrap();
    assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let mut files = BTreeSet::new();
    for attribute in ["src=\"", "href=\"", "action=\""] {
        for part in page.body.split(attribute).skip(1) {
            let address = part.split('"').next().unwrap();
            // crosspage's own dashboard, for whoever clicks on it.
            if address.starts_with("http://127.0.0.1:") {
                continue;
            }
            assert!(address.starts_with('#') || (address.starts_with('/') && !address.starts_with("//")), "{address}");
            if attribute != "action=\"" && address.starts_with('/') {
                files.insert(address);
            }
        }
    }
    assert_eq!(files.len(), 4, "{files:?}");
    assert!(!page.body.contains("style=\"") && !page.body.contains(" onclick="), "the policy would not let it");
    for file in files {
        let said = sandbox.get(file, &[]).await;
        assert_eq!(said.status, 200, "{file}");
        let body = said.body.replace("http://www.w3.org/2000/svg", "");
        for elsewhere in ["http:", "https:", "url(", "@import"] {
            assert!(!body.contains(elsewhere), "{file} has {elsewhere}");
        }
    }
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_watches_is_told_of_what_changes_and_of_nothing_else() {
    let sandbox = Sandbox::open(&[]);
    let (alert, _) = sandbox.paged("Disk full").await;
    let mut events = sandbox.client.get(format!("{}/events", sandbox.url)).send().await.unwrap();
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    // A chunk may end within a character.
    let mut heard = Vec::new();
    for region in ["opsgenie-faults", "opsgenie", "crosspage", "pagerduty-faults", "pagerduty"] {
        while !String::from_utf8_lossy(&heard).contains(&format!("event: {region}\n")) {
            heard.extend(events.chunk().await.unwrap().unwrap());
        }
    }
    sandbox.act(&format!("/opsgenie/alerts/{alert}/note"), &[("by", JANE), ("text", "Only a note")]).await;
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("[Opsgenie] jane@example.com: Only a note") {
        heard.extend(events.chunk().await.unwrap().unwrap());
    }
    let heard = String::from_utf8_lossy(&heard);
    assert!(!heard.contains("-faults"), "no switch was thrown: {heard}");
    sandbox.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_tried_and_the_page_says_which() {
    let sandbox =
        Sandbox::open(&[("ON_PAGERDUTY_RESOLVED", "close"), ("PAGERDUTY_API_URL", "https://api.example.com")]);
    let page = sandbox.page().await;
    assert!(page.contains("ON_PAGERDUTY_RESOLVED=close") && !page.contains("api.example.com"), "{page}");
    let (alert, incident) = sandbox.paged("Disk full").await;
    sandbox.act(&format!("/pagerduty/incidents/{incident}/resolve"), &[("by", ADA)]).await;
    sandbox.until_card(&format!("alert-{alert}"), &[">closed</span>"]).await;
    sandbox.end();
}

#[test]
fn an_address_that_is_taken_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let Ended { code, output } = Process::spawn(folder.path(), &[], &["sandbox", "--listen", &address]).ended();
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains(&address) && output.contains("--listen"), "{output}");
}

#[test]
fn the_story_is_told_of_crosspage_as_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let vars = [("ON_PAGERDUTY_RESOLVED", "close")];
    let Ended { code, output } = Process::spawn(folder.path(), &vars, &["sandbox", "--once"]).ended();
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("Both sides tell the same story."), "{output}");
}
