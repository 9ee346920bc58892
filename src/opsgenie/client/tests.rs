use std::time::Duration;

use serde_json::json;

use super::*;
use crate::engine::{Priority, Timestamp};
use crate::http::MayWrite;
use crate::http::stub::{Reply, Stub};

fn client(url: &str) -> Client {
    with(url, HttpSettings::default())
}

/// A client that soon gives up, for stubs that hang.
fn impatient(url: &str) -> Client {
    with(url, HttpSettings { timeout: Duration::from_millis(500), ..HttpSettings::default() })
}

fn with(url: &str, http: HttpSettings) -> Client {
    let key = SecretString::from("0000-s3cret");
    let settings = Settings { base_url: url.to_owned(), key, user: "crosspage".to_owned() };
    Client::new(settings, &http).unwrap()
}

fn id() -> AlertId {
    AlertId::try_from("a-1").unwrap()
}

async fn answer(reply: Reply, call: &OpsgenieCall) -> Answer {
    client(&Stub::start(vec![reply]).url).perform(call).await
}

fn refused(meaning: Refusal, reason: &str) -> Answer {
    Answer::Failed(Failure::Refused { meaning, reason: reason.to_owned() })
}

fn unclear() -> Answer {
    Answer::Failed(unreadable())
}

#[tokio::test]
async fn writes_carry_the_key_the_marker_and_the_kind_of_id() {
    let accepted = || Reply::json(202, &json!({"result": "Request will be processed", "requestId": "r-1"}));
    let by = json!({"user": "crosspage", "source": "crosspage"});
    let note = json!({"note": "a text", "user": "crosspage", "source": "crosspage"});
    let table = [
        (OpsgenieCall::SetStatus(id(), Status::Open), "unacknowledge", &by),
        (OpsgenieCall::SetStatus(id(), Status::Acknowledged), "acknowledge", &by),
        (OpsgenieCall::SetStatus(id(), Status::Resolved), "close", &by),
        (OpsgenieCall::AddNote(id(), "a text".to_owned()), "notes", &note),
    ];
    for (call, path, body) in table {
        let stub = Stub::start(vec![accepted()]);
        let answer = client(&stub.url).perform(&call).await;
        assert_eq!(answer, Answer::Accepted { request_id: "r-1".to_owned() });
        let seen = &stub.seen()[0];
        assert_eq!(seen.line, format!("POST /v2/alerts/a-1/{path}?identifierType=id"));
        assert_eq!(seen.header("authorization"), Some("GenieKey 0000-s3cret"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.json(), *body);
    }
}

#[tokio::test]
async fn a_write_whose_answer_names_no_request_is_unclear() {
    let call = OpsgenieCall::SetStatus(id(), Status::Acknowledged);
    let bodies = [json!({}), json!({"requestId": ""}), json!({"requestId": 5}), json!([]), json!(null)];
    for body in bodies {
        assert_eq!(answer(Reply::json(202, &body), &call).await, unclear(), "{body}");
    }
}

#[tokio::test]
async fn an_alert_is_read() {
    let read = |data: Value| async move {
        answer(Reply::json(200, &json!({"data": data})), &OpsgenieCall::ReadAlert(id())).await
    };
    let full = json!({
        "id": "a-1", "tinyId": "1042", "message": "m", "status": "open", "acknowledged": true, "tags": ["t"],
        "createdAt": "2026-11-20T12:00:00.250Z", "updatedAt": "2026-11-20T12:00:01.5Z", "priority": "P4",
        "entity": "", "description": "d", "report": {"ackTime": 1250, "acknowledgedBy": "jane@example.com"},
    });
    let expected = FetchedAlert {
        facts: AlertFacts {
            message: Some("m".to_owned()),
            description: Some("d".to_owned()),
            tiny_id: Some("1042".to_owned()),
            entity: None,
            tags: vec!["t".to_owned()],
            priority: Some(Priority::P4),
            created_at: Some(Timestamp::from_millis(1_795_176_000_250)),
        },
        status: Status::Acknowledged,
        at: Some(Timestamp::from_millis(1_795_176_001_500)),
        by: Some("jane@example.com".to_owned()),
    };
    assert_eq!(read(full).await, Answer::Alert(expected));
    let table = [
        (json!({"status": "open"}), Some(Status::Open)),
        (json!({"status": "open", "acknowledged": false}), Some(Status::Open)),
        (json!({"status": "open", "report": {"acknowledgedBy": "jane@example.com"}}), Some(Status::Open)),
        (
            json!({"status": "open", "acknowledged": true, "report": {"acknowledgedBy": "System"}}),
            Some(Status::Acknowledged),
        ),
        (json!({"status": "open", "acknowledged": true, "report": ["odd"]}), Some(Status::Acknowledged)),
        (json!({"status": "closed", "acknowledged": true}), Some(Status::Resolved)),
        (json!({"status": "Closed"}), Some(Status::Resolved)),
        (json!({"acknowledged": true}), None),
        (json!(null), None),
        (json!("text"), None),
    ];
    for (data, status) in table {
        let expected = status.map_or_else(unclear, |status| {
            Answer::Alert(FetchedAlert { facts: AlertFacts::default(), status, at: None, by: None })
        });
        assert_eq!(read(data.clone()).await, expected, "{data}");
    }
    let stub = Stub::start(vec![Reply::json(404, &json!({"message": "Alert with id [a-1] not found"}))]);
    let answer = client(&stub.url).perform(&OpsgenieCall::ReadAlert(id())).await;
    assert_eq!(answer, refused(Refusal::NotFound, "404 Alert with id [a-1] not found"));
    assert_eq!(stub.lines(), ["GET /v2/alerts/a-1?identifierType=id"]);
}

fn page(notes: &[&str], next: Value) -> Reply {
    let data: Vec<Value> = notes.iter().map(|note| json!({"note": note, "owner": "o", "offset": "x"})).collect();
    Reply::json(200, &json!({"data": data, "paging": {"next": next}}))
}

#[tokio::test]
async fn all_pages_of_notes_are_read_without_following_links() {
    let elsewhere = "https://elsewhere.example.com/v2/alerts/a-1/notes?limit=1&offset=1700%20x&direction=next";
    let stub = Stub::start(vec![page(&["one", "two"], json!(elsewhere)), page(&["three"], json!(null))]);
    let answer = client(&stub.url).perform(&OpsgenieCall::ListNotes(id())).await;
    let note = |text: &str| SeenNote { id: None, text: text.to_owned() };
    assert_eq!(answer, Answer::Notes(vec![note("one"), note("two"), note("three")]));
    let first = "GET /v2/alerts/a-1/notes?identifierType=id&limit=100&direction=next";
    assert_eq!(stub.lines(), [first.to_owned(), format!("{first}&offset=1700+x")]);
}

#[tokio::test]
async fn reading_notes_ends() {
    let call = OpsgenieCall::ListNotes(id());
    let count = |answer: Answer| match answer {
        Answer::Notes(notes) => notes.len(),
        other => panic!("{other:?}"),
    };
    let empty = Stub::start(vec![page(&[], json!("/n?offset=1"))]);
    assert_eq!(count(client(&empty.url).perform(&call).await), 0);
    let same = Stub::start(vec![page(&["a"], json!("/n?offset=1")), page(&["b"], json!("/n?offset=1"))]);
    assert_eq!(count(client(&same.url).perform(&call).await), 2);
    let endless = Stub::start((0..40).map(|n| page(&["a"], json!(format!("/n?offset={n}")))).collect());
    assert_eq!(count(client(&endless.url).perform(&call).await), 30);
    assert_eq!(endless.lines().len(), 30);
    let broken = Stub::start(vec![page(&["a"], json!("/n?offset=1")), Reply::json(200, &json!({"data": 5}))]);
    assert_eq!(client(&broken.url).perform(&call).await, unclear());
}

#[tokio::test]
async fn what_became_of_a_request_is_read() {
    let call = OpsgenieCall::ReadRequest("r/1 2".to_owned());
    let data = |data: Value| Reply::json(200, &json!({"data": data}));
    let at = Some(Timestamp::from_millis(1_795_176_000_250));
    let failed = |text: &str| Answer::Request(RequestState::Failed(text.to_owned()));
    let done = |at| Answer::Request(RequestState::Done { at });
    let table = [
        (data(json!({"isSuccess": true, "processedAt": "2026-11-20T12:00:00.250Z"})), done(at)),
        (data(json!({"success": true})), done(None)),
        (
            data(json!({"isSuccess": false, "success": true, "status": "Alert does not\nexist"})),
            failed("Alert does not exist"),
        ),
        (data(json!({"success": false})), failed("no reason given")),
        (data(json!({"status": "Created alert"})), unclear()),
        (Reply::json(200, &json!({})), unclear()),
        (Reply::json(404, &json!({"message": "Request not found."})), Answer::Request(RequestState::NotYet)),
        (Reply::json(404, &json!(null)), Answer::Request(RequestState::NotYet)),
    ];
    for (reply, expected) in table {
        assert_eq!(answer(reply, &call).await, expected);
    }
    let stub = Stub::start(vec![Reply::json(404, &json!(null))]);
    client(&stub.url).perform(&call).await;
    assert_eq!(stub.lines(), ["GET /v2/alerts/requests/r%2F1%202"]);
}

#[tokio::test]
async fn failures_are_told_apart() {
    let unauthorized = |reason: &str| Answer::Failed(Failure::Unauthorized(reason.to_owned()));
    let again = |reason: &str, hold| Answer::Failed(Failure::TryAgain { reason: reason.to_owned(), hold });
    let doubt = |reason: &str, hold| {
        Answer::Failed(Failure::Unclear { reason: reason.to_owned(), hold: Option::map(hold, Duration::from_secs) })
    };
    let says = |text: &str| json!({"message": text});
    let limited = [("X-RateLimit-Period-In-Sec", "60")];
    let table = [
        (Reply::json(401, &says("Could not authenticate")), unauthorized("401 Could not authenticate")),
        (Reply::json(422, &says("Key format is not valid!")), unauthorized("422 Key format is not valid!")),
        (
            Reply::json(422, &json!({"message": "Invalid", "errors": {"note#size": "too long"}})),
            refused(Refusal::Invalid, "422 Invalid: too long"),
        ),
        (
            Reply::json(422, &json!({"message": "Invalid", "errors": [{"title": "too long", "code": "X"}]})),
            refused(Refusal::Invalid, "422 Invalid: too long"),
        ),
        (Reply::json(400, &says("bad JSON")), refused(Refusal::Invalid, "400 bad JSON")),
        (Reply::json(402, &says("plan")), refused(Refusal::Other, "402 plan")),
        (Reply::json(403, &json!({"message": "no", "code": 40301})), refused(Refusal::Other, "403 no")),
        (Reply::json(404, &json!("text")), refused(Refusal::NotFound, "404")),
        (Reply::json(302, &json!(null)), doubt("302", None)),
        (Reply::json(408, &json!(null)), again("408", None)),
        (Reply::json(429, &says("TooManyRequests")), again("429 TooManyRequests", None)),
        (Reply::with_headers(429, &limited, &json!(null)), again("429", Some(Duration::from_secs(60)))),
        (Reply::json(500, &json!(null)), doubt("500", None)),
        (Reply::with_headers(503, &[("Retry-After", "30")], &json!(null)), doubt("503", Some(30))),
        (Reply::json(503, &says(&"x\u{7}".repeat(400))), doubt(&format!("503 {}", "x ".repeat(148)), None)),
    ];
    for (reply, expected) in table {
        assert_eq!(answer(reply, &OpsgenieCall::AddNote(id(), "n".to_owned())).await, expected);
    }
}

#[tokio::test]
async fn a_read_that_is_sent_elsewhere_is_made_again() {
    for call in [OpsgenieCall::ReadAlert(id()), OpsgenieCall::ListNotes(id()), OpsgenieCall::ReadRequest("r".into())] {
        let elsewhere = Reply::with_headers(302, &[("location", "/maintenance")], &json!(null));
        let expected = Answer::Failed(Failure::Unclear { reason: "302".to_owned(), hold: None });
        assert_eq!(answer(elsewhere, &call).await, expected);
    }
}

#[tokio::test]
async fn what_never_left_is_tried_again_and_what_hangs_is_unclear() {
    let call = OpsgenieCall::SetStatus(id(), Status::Resolved);
    let answer = client("http://127.0.0.1:1").perform(&call).await;
    assert!(matches!(answer, Answer::Failed(Failure::TryAgain { hold: None, .. })), "{answer:?}");
    for reply in [Reply::Hang, Reply::Bytes(Vec::new())] {
        let answer = impatient(&Stub::start(vec![reply]).url).perform(&call).await;
        assert!(matches!(answer, Answer::Failed(Failure::Unclear { .. })), "{answer:?}");
    }
}

#[tokio::test]
async fn the_probe_tells_whether_we_are_let_in() {
    let ok = Stub::start(vec![Reply::json(200, &json!({"data": {"count": 3}}))]);
    assert_eq!(client(&ok.url).probe().await, Ok(()));
    assert_eq!(ok.lines(), ["GET /v2/alerts/count"]);
    let refused = Stub::start(vec![Reply::json(401, &json!({"message": "Could not authenticate"}))]);
    assert_eq!(client(&refused.url).probe().await, Err(Failure::Unauthorized("401 Could not authenticate".to_owned())));
}

#[test]
fn settings_with_which_no_call_could_be_made_are_refused() {
    let new = |base_url: &str, key: &str| {
        let settings =
            Settings { base_url: base_url.to_owned(), key: SecretString::from(key), user: "crosspage".to_owned() };
        Client::new(settings, &HttpSettings::default()).map(drop)
    };
    assert_eq!(new("https://api.example.com", "k"), Ok(()));
    assert_eq!(new("api.example.com", "k"), Err(InvalidSetting::BaseUrl));
    assert_eq!(new("https://api.example.com", ""), Err(InvalidSetting::Key));
    assert_eq!(new("https://api.example.com", "a\u{0}b"), Err(InvalidSetting::Key));
}

#[tokio::test]
async fn a_greeting_tells_the_time_also_where_we_are_not_let_in() {
    let date = [("date", "Sun, 06 Nov 1994 08:49:37 GMT")];
    let stub = Stub::start(vec![Reply::with_headers(401, &date, &json!({"message": "Could not authenticate"}))]);
    let greeting = client("http://127.0.0.1:1").elsewhere(&stub.url).unwrap().greet().await;
    assert_eq!(greeting.let_in, Err(Failure::Unauthorized("401 Could not authenticate".to_owned())));
    assert_eq!(greeting.date, Some(Timestamp::from_millis(784_111_777_000)));
}

#[tokio::test]
async fn alerts_are_counted_and_a_bad_query_is_told() {
    let invalid = json!({"message": "not processable", "errors": {"query": "cannot be parsed"}});
    let stub = Stub::start(vec![
        Reply::json(200, &json!({"data": {"count": 7}})),
        Reply::json(422, &invalid),
        Reply::json(200, &json!({"data": {"count": "many"}})),
    ]);
    let client = client(&stub.url);
    assert_eq!(client.count_alerts("(tag: a b) AND status: open").await, Ok(7));
    let reason = "422 not processable: cannot be parsed".to_owned();
    assert_eq!(client.count_alerts("(").await, Err(Failure::Refused { meaning: Refusal::Invalid, reason }));
    assert_eq!(client.count_alerts("status: open").await, Err(unreadable()));
    assert_eq!(stub.lines()[0], "GET /v2/alerts/count?query=%28tag%3A+a+b%29+AND+status%3A+open");
}

#[tokio::test]
async fn whether_a_key_may_write_is_asked_of_an_alert_that_cannot_exist() {
    let settings = json!({"code": 40301, "message": "To perform this action, use an API key from an API integration."});
    let accepted = json!({"result": "Request will be processed", "requestId": "r-1"});
    let table = [
        (Reply::json(202, &accepted), Ok(MayWrite::Yes)),
        (Reply::json(404, &json!({"message": "Alert does not exist"})), Ok(MayWrite::Yes)),
        (Reply::json(403, &settings), Ok(MayWrite::NotOfAnIntegration)),
        (Reply::json(403, &json!({"message": "No"})), Ok(MayWrite::No("403 No".to_owned()))),
        (Reply::json(401, &json!({"message": "No"})), Err(Failure::Unauthorized("401 No".to_owned()))),
    ];
    for (reply, expected) in table {
        let stub = Stub::start(vec![reply]);
        assert_eq!(client(&stub.url).may_write().await, expected);
        let line = format!(
            "POST /v2/alerts/{}/acknowledge?identifierType=id",
            "00000000-0000-4000-8000-000000000000-1000000000000"
        );
        assert_eq!(stub.lines(), [line]);
    }
}

#[tokio::test]
async fn a_test_alert_is_created_found_and_closed_in_the_name_of_another() {
    let status = |data: Value| Reply::json(200, &json!({"data": data}));
    let stub = Stub::start(vec![
        Reply::json(202, &json!({"requestId": "r-1"})),
        Reply::json(404, &json!({"message": "Request not found. It might not be processed, yet."})),
        status(json!({"isSuccess": true, "alertId": "a-1"})),
        status(json!({"isSuccess": false, "success": true, "status": "No such plan", "alertId": ""})),
        status(json!({"isSuccess": true, "alertId": "../x"})),
        Reply::json(202, &json!({"requestId": "r-2"})),
    ]);
    let client = client(&stub.url);
    let text = |text: &str| text.to_owned();
    let alert = NewAlert {
        message: text("a test"),
        alias: text("x/1"),
        description: text("nothing is wrong"),
        tags: vec![text("test")],
        priority: text("P5"),
        user: text("somebody else"),
    };
    assert_eq!(client.create_alert(&alert).await, Ok(text("r-1")));
    assert_eq!(client.created_alert("r-1").await, Ok(None));
    assert_eq!(client.created_alert("r-1").await, Ok(Some(id())));
    let failed = Failure::Refused { meaning: Refusal::Other, reason: text("No such plan") };
    assert_eq!(client.created_alert("r-1").await, Err(failed));
    assert_eq!(client.created_alert("r-1").await, Err(unreadable()), "an id that would lead elsewhere");
    assert_eq!(client.close_alert_as("somebody else", "x/1").await, Ok(()));
    let [created, closed] = [0, 5].map(|number: usize| stub.seen()[number].clone());
    assert_eq!(
        (&created.json()["user"], &created.json()["source"]),
        (&json!("somebody else"), &json!("somebody else"))
    );
    assert_eq!((&created.json()["alias"], &created.json()["priority"]), (&json!("x/1"), &json!("P5")));
    assert_eq!(closed.line, "POST /v2/alerts/x%2F1/close?identifierType=alias");
    assert_eq!(closed.json(), json!({"user": "somebody else", "source": "somebody else"}));
}
