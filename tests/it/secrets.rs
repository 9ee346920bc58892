//! What must never be seen: keys, secrets and tokens in whatever crosspage writes, and the texts of notes in its log.

use serde_json::json;
use simulators::opsgenie::{self, NewAlert};
use simulators::{Fault, pagerduty};

use crate::harness::{ADA, JANE};
use crate::post::{Raw, SIGNATURE, from_opsgenie, post, sign};
use crate::process::{Process, Stage, until};

/// Each with characters that change when it is percent-encoded, but for the one that must be a UUID.
const PAGERDUTY_KEY: &str = "pdkey+7f3a/91c2=u8w";
const OPSGENIE_KEY: &str = "0f7a5c12-9b3e-4d68-8a41-e2c7d9b05f36";
const WEBHOOK_SECRET: &str = "pdhook+c4b8/0f6e=z1x";
const OLD_WEBHOOK_SECRET: &str = "pdhook-old+3d9a/77bb=v5n";
const TOKEN: &str = "ogtoken+e2c6/48aa=m9r";
const ROUTING_KEY: &str = "rk5d8e1f0a7b4c2d9e6f3a0b8c7d5e4f";
const ADMIN_TOKEN: &str = "operators+b7d4/25cc=t6y";
const STRANGERS_TOKEN: &str = "strangers+guess/60d1=j2h";

const SECRETS: [&str; 8] =
    [PAGERDUTY_KEY, OPSGENIE_KEY, WEBHOOK_SECRET, OLD_WEBHOOK_SECRET, TOKEN, ROUTING_KEY, ADMIN_TOKEN, STRANGERS_TOKEN];

/// No note in this story goes without it.
const NOTE: &str = "confided-to-colleagues";

/// A secret in all the forms that it may slip out in.
fn forms(secret: &str) -> Vec<String> {
    let percent = |upper: bool| -> String {
        let encode = |c: char| match c {
            c if c.is_ascii_alphanumeric() || c == '-' => c.to_string(),
            c if upper => format!("%{:02X}", c as u32),
            c => format!("%{:02x}", c as u32),
        };
        secret.chars().map(encode).collect()
    };
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut forms = vec![secret.to_owned(), percent(true), percent(false), hex, secret.replace('/', "\\/")];
    // Wherever it lies in what is encoded, one of three alignments is its own.
    for (skipped, alphabet) in (0..3).flat_map(|skipped| [(skipped, "+/"), (skipped, "-_")]) {
        forms.push(base64(&secret.as_bytes()[skipped..], alphabet));
    }
    forms
}

/// Base64 of all whole groups.
fn base64(bytes: &[u8], last_two: &str) -> String {
    let alphabet: Vec<char> = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(last_two.chars()).collect();
    let groups = bytes.chunks_exact(3).map(|group| group.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)));
    groups.flat_map(|group| [18, 12, 6, 0].map(|shift| alphabet[group >> shift & 63])).collect()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn check_clean(what: &str, bytes: &[u8]) {
    for secret in SECRETS {
        for form in forms(secret) {
            assert!(!contains(bytes, &form), "{what} shows {secret} as {form}");
        }
    }
}

/// A stranger tries all doors with wrong keys, and vendors send what cannot be read.
async fn everybody_knocks(base: &str, integration: &str) {
    let (ops, pd) = (format!("{base}/ops-webhook"), format!("{base}/pd-webhook"));
    let create = from_opsgenie(integration, "Create", "test-123").to_string();
    let wrong = format!("Bearer {STRANGERS_TOKEN}");
    assert_eq!(post(&ops, &[("authorization", &wrong)], create.clone()).await.status, 401);
    assert_eq!(post(&format!("{ops}?token={STRANGERS_TOKEN}"), &[], create.clone()).await.status, 401);
    for header in [wrong.clone(), format!("v1={STRANGERS_TOKEN}"), sign(STRANGERS_TOKEN, &create)] {
        assert_eq!(post(&pd, &[(SIGNATURE, &header)], create.clone()).await.status, 403);
    }
    let headers = format!("Authorization: {wrong}\r\nContent-Length: {STRANGERS_TOKEN}\r\n\r\n");
    assert_eq!(Raw::begin(&ops, &headers).until_closed().0, 400);

    let bearer = format!("Bearer {TOKEN}");
    let genuine = [("authorization", bearer.as_str())];
    let echoed = json!({ "Authorization": bearer, "X-Note": NOTE });
    let foreign = json!({ "integrationId": "another", "action": "Create", "headers": echoed });
    assert_eq!(post(&ops, &genuine, foreign.to_string()).await.status, 403);
    assert_eq!(post(&ops, &genuine, format!("no JSON {bearer}")).await.status, 400);
    let unreadable = json!({ "integrationId": integration, "headers": echoed, "Headers": echoed, "note": NOTE });
    assert_eq!(post(&ops, &genuine, unreadable.to_string()).await.status, 202);
    let mut off_the_path = from_opsgenie(integration, "AddNote", "../../x");
    off_the_path["headers"] = echoed;
    off_the_path["alert"]["note"] = json!(NOTE);
    assert_eq!(post(&ops, &genuine, off_the_path.to_string()).await.status, 202);
    let unreadable =
        json!({ "event": { "event_type": "incident.annotated", "data": { "content": NOTE } } }).to_string();
    let signature = sign(OLD_WEBHOOK_SECRET, &unreadable);
    assert_eq!(post(&pd, &[(SIGNATURE, &signature)], unreadable).await.status, 202);
}

/// An operator and a stranger ask for what is to be done, with the texts of notes in it.
async fn an_operator_asks(process: &Process) {
    let output = process.output().clone();
    let line = output.lines().find(|line| line.contains("crosspage is running")).unwrap();
    let (_, admin) = line.split_once("admin").unwrap();
    let (_, port) = admin.split_once("127.0.0.1:").unwrap();
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for (token, status) in [(ADMIN_TOKEN, 200), (STRANGERS_TOKEN, 401)] {
        let asked = client.get(format!("http://127.0.0.1:{port}/api/v1/entries?to=pagerduty")).bearer_auth(token);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
        assert_eq!(answer.text().await.unwrap().contains(NOTE), status == 200);
    }
}

fn note(number: u32) -> String {
    format!("{NOTE} {number}")
}

/// Faults of all kinds at both vendors, and in the end a refusal of each key, quoted.
fn everything_fails(stage: &Stage, process: &Process) {
    {
        let mut pagerduty = stage.pagerduty.model();
        pagerduty.faults.once("POST", "/incidents", Fault::ResetAfter);
        pagerduty.faults.once("POST", "/notes", Fault::ResetBefore);
        pagerduty.faults.once("POST", "/notes", Fault::GarbageAfter);
        pagerduty.faults.once("PUT", "/incidents", Fault::StatusAfter(502));
        let mut opsgenie = stage.opsgenie.model();
        opsgenie.faults.once("POST", "/notes", Fault::ResetAfter);
        opsgenie.faults.once("POST", "/acknowledge", Fault::status(500));
    }
    let alert = stage.opsgenie.model().human_creates(NewAlert::titled("Disk full"));
    let incident = stage.incident_of(&alert);
    stage.opsgenie.model().human_adds_note(&alert, JANE, &note(1));
    stage.opsgenie.model().human_adds_note(&alert, JANE, &note(2));
    stage.pagerduty.model().human_acknowledges(&incident, ADA);
    stage.pagerduty.model().human_adds_note(&incident, ADA, &note(3));
    let count = |notes: Vec<String>| notes.iter().filter(|text| text.contains(NOTE)).count();
    until("all notes are on both sides", || {
        count(stage.incident_notes(&incident)) == 3 && count(stage.alert_notes(&alert)) == 3
    });
    let quoting = |code, key: &str| Fault::Status {
        code,
        body: json!({ "message": format!("Key [{key}] of request ({key}) is refused"), "error": { "message": key } })
            .to_string(),
        headers: Vec::new(),
    };
    let given_up = || process.output().matches("a command was given up").count();
    stage.pagerduty.model().faults.once("POST", "/notes", quoting(403, PAGERDUTY_KEY));
    stage.opsgenie.model().faults.once("POST", "/notes", quoting(403, OPSGENIE_KEY));
    stage.opsgenie.model().human_adds_note(&alert, JANE, &note(4));
    stage.pagerduty.model().human_adds_note(&incident, ADA, &note(5));
    until("both are given up", || given_up() == 2);
    stage.pagerduty.model().faults.once("POST", "/notes", quoting(401, PAGERDUTY_KEY));
    stage.opsgenie.model().faults.once("POST", "/notes", quoting(401, OPSGENIE_KEY));
    stage.opsgenie.model().human_adds_note(&alert, JANE, &note(6));
    stage.pagerduty.model().human_adds_note(&incident, ADA, &note(7));
    until("both vendors are paused", || process.output().matches("the vendor refuses our calls").count() == 2);
}

async fn check_nothing_slips_out(format: &str) {
    let opsgenie = opsgenie::Options {
        api_key: OPSGENIE_KEY.to_owned(),
        webhook_token: Some(TOKEN.to_owned()),
        webhook_headers_echoed: true,
        processing_ms: 5,
        ..opsgenie::Options::default()
    };
    let integration = opsgenie.integration_id.clone();
    let pagerduty = pagerduty::Options {
        api_key: PAGERDUTY_KEY.to_owned(),
        webhook_secrets: vec![WEBHOOK_SECRET.to_owned(), OLD_WEBHOOK_SECRET.to_owned()],
        ..pagerduty::Options::default()
    };
    let stage = Stage::set(opsgenie, pagerduty).await;
    let (process, address) = stage.start(&[
        ("RUST_LOG", "trace"),
        ("LOG_FORMAT", format),
        ("PAGERDUTY_FALLBACK_ROUTING_KEY", ROUTING_KEY),
        ("ADMIN_TOKEN", ADMIN_TOKEN),
    ]);
    everybody_knocks(&format!("http://{address}"), &integration).await;
    everything_fails(&stage, &process);
    an_operator_asks(&process).await;
    let ended = process.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.output);

    check_clean("the log", ended.output.as_bytes());
    assert!(!ended.output.contains(NOTE), "the log tells a note: {}", ended.output);
    for said in ["a webhook was refused", "could not be read", "a vendor call failed", "\"DEBUG\"", " DEBUG "] {
        let other_format = said.contains("DEBUG") && said.contains('"') == (format == "text");
        assert!(other_format || ended.output.contains(said), "the log should tell {said}: {}", ended.output);
    }
    let files = stage.files();
    for (path, bytes) in &files {
        check_clean(path, bytes);
    }
    // What is stored can be found, so a secret would have been.
    assert!(files.values().any(|bytes| contains(bytes, &note(3))), "{:?}", files.keys());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_slips_out_as_json() {
    check_nothing_slips_out("json").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_slips_out_as_text() {
    check_nothing_slips_out("text").await;
}

#[test]
fn a_secret_is_found_in_each_of_its_forms() {
    assert_eq!(base64(b"Man is", "+/"), "TWFuIGlz");
    let header = base64(format!("Token token={PAGERDUTY_KEY}..").as_bytes(), "+/");
    for text in ["key=pdkey%2B7f3a%2F91c2%3Du8w", "pdkey%2b7f3a%2f91c2%3du8w", PAGERDUTY_KEY, &header] {
        assert!(forms(PAGERDUTY_KEY).iter().any(|form| text.contains(form)), "{text}");
    }
}
