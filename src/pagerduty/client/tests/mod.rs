mod account;

use super::*;
use crate::engine::outbox::call::IncidentState;
use crate::engine::{Actor, Timestamp};
use crate::http::MayWrite;
use crate::http::stub::{Reply, Stub};

const KEY: &str = "opsgenie:a-1";
const UNREADABLE: &str = "the answer cannot be read";

fn client(url: &str) -> Client {
    with(url, HttpSettings::default())
}

/// A client that soon gives up, for stubs that hang.
fn impatient(url: &str) -> Client {
    with(url, HttpSettings { timeout: Duration::from_millis(500), ..HttpSettings::default() })
}

fn with(url: &str, http: HttpSettings) -> Client {
    let settings = Settings {
        base_url: url.to_owned(),
        key: SecretString::from("s3cret"),
        email: "Sync@example.com".to_owned(),
        service_id: "PSVC1".to_owned(),
    };
    Client::new(settings, &http).unwrap()
}

fn id() -> IncidentId {
    IncidentId::try_from("P1").unwrap()
}

fn acknowledge() -> PagerDutyCall {
    PagerDutyCall::SetStatus(id(), Status::Acknowledged)
}

async fn answer(reply: Reply, call: &PagerDutyCall) -> Answer {
    client(&Stub::start(vec![reply]).url).perform(call).await
}

fn refused(meaning: Refusal, reason: &str) -> Answer {
    Answer::Failed(Failure::Refused { meaning, reason: reason.to_owned() })
}

fn again(reason: &str, hold: Option<u64>) -> Answer {
    Answer::Failed(Failure::TryAgain { reason: reason.to_owned(), hold: hold.map(Duration::from_secs) })
}

fn unclear(reason: &str) -> Answer {
    Answer::Failed(Failure::Unclear { reason: reason.to_owned(), hold: None })
}

fn state(id: &str, status: Status) -> IncidentState {
    IncidentState { id: IncidentId::try_from(id).unwrap(), status, at: None, by: Actor::nobody(), merged_into: None }
}

fn incident(status: &str) -> Reply {
    Reply::json(200, &json!({"incident": {"id": "P1", "status": status}}))
}

fn priorities() -> Reply {
    let list = json!([{"id": "PP1", "name": "p1"}, {"id": "PP2", "name": null, "summary": "P2"}, {"id": "PX"}]);
    Reply::json(200, &json!({"priorities": list}))
}

fn error(status: u16, code: i64, text: &str) -> Reply {
    Reply::json(status, &json!({"error": {"message": "M", "code": code, "errors": [text, "second"]}}))
}

#[tokio::test]
async fn an_incident_is_read() {
    let call = PagerDutyCall::ReadIncident(id());
    let by = |kind: &str| json!({"id": "PU", "type": kind});
    let at = Some(Timestamp::from_millis(1_795_176_000_000));
    let time = "2026-11-20T13:00:00+01:00";
    let read = |status, at, person: Option<bool>| {
        let by = person.map(|person| Actor { id: Some("PU".to_owned()), person, ..Actor::nobody() });
        Answer::Incident(IncidentState { at, by: by.unwrap_or_default(), ..state("P1", status) })
    };
    let table = [
        (
            json!({"id": "P1", "status": "triggered", "last_status_change_at": time, "updated_at": "2026-11-20T00:00:00Z",
                "last_status_change_by": by("user_reference")}),
            read(Status::Open, at, Some(true)),
        ),
        (
            json!({"id": "P1", "status": "acknowledged", "updated_at": time, "last_status_change_by": by("service_reference")}),
            read(Status::Acknowledged, at, Some(false)),
        ),
        (
            json!({"id": "P1", "status": "resolved", "last_status_change_at": null, "last_status_change_by": null}),
            read(Status::Resolved, None, None),
        ),
        (
            json!({"id": "P1", "status": "resolved", "resolve_reason": {"type": "merge_resolve_reason", "incident": {"id": "P2"}}}),
            Answer::Incident(IncidentState {
                merged_into: IncidentId::try_from("P2").ok(),
                ..state("P1", Status::Resolved)
            }),
        ),
        (json!({"id": "P1", "status": "asleep"}), unclear(UNREADABLE)),
        (json!({"id": "../P1", "status": "triggered"}), unclear(UNREADABLE)),
        (json!({"status": "triggered"}), unclear(UNREADABLE)),
        (json!(null), unclear(UNREADABLE)),
    ];
    for (incident, expected) in table {
        assert_eq!(answer(Reply::json(200, &json!({"incident": incident})), &call).await, expected, "{incident}");
    }
    let stub = Stub::start(vec![incident("triggered")]);
    client(&stub.url).perform(&call).await;
    let seen = &stub.seen()[0];
    assert_eq!(seen.line, "GET /incidents/P1");
    assert_eq!(seen.header("authorization"), Some("Token token=s3cret"));
    assert_eq!(seen.header("accept"), Some("application/vnd.pagerduty+json;version=2"));
    assert_eq!(seen.header("from"), None);
}

#[tokio::test]
async fn an_incident_is_found_by_its_key_in_every_state() {
    let found = |list: Value| async move {
        let call = PagerDutyCall::FindIncident(KEY.to_owned());
        answer(Reply::json(200, &json!({"incidents": list, "more": false})), &call).await
    };
    let entry = |id: &str, status: &str, day: u8, key: &str| {
        let created_at = format!("2026-11-{day:02}T00:00:00Z");
        json!({"id": id, "status": status, "incident_key": key, "created_at": created_at, "service": {"id": "PSVC1"}})
    };
    let elsewhere = json!({"id": "P9", "status": "triggered", "incident_key": KEY, "service": {"id": "PSVC2"}});
    let table = [
        (json!([]), Answer::Found(None)),
        (
            json!([entry("P1", "resolved", 9, KEY), entry("P2", "triggered", 8, KEY)]),
            Answer::Found(Some(state("P2", Status::Open))),
        ),
        (
            json!([entry("P1", "resolved", 7, KEY), entry("P2", "resolved", 9, KEY), entry("P3", "resolved", 8, KEY)]),
            Answer::Found(Some(state("P2", Status::Resolved))),
        ),
        (json!([entry("P1", "triggered", 9, "opsgenie:a-12"), elsewhere]), Answer::Found(None)),
        (
            json!([{"id": "P1", "status": "acknowledged", "incident_key": KEY}]),
            Answer::Found(Some(state("P1", Status::Acknowledged))),
        ),
        (json!([{"id": "P1", "incident_key": KEY}]), unclear(UNREADABLE)),
        (json!(null), unclear(UNREADABLE)),
        (json!(["text"]), unclear(UNREADABLE)),
    ];
    for (list, expected) in table {
        assert_eq!(found(list.clone()).await, expected, "{list}");
    }
}

#[tokio::test]
async fn finding_an_incident_pages_and_ends() {
    let call = PagerDutyCall::FindIncident(KEY.to_owned());
    let page = |incidents: Value, more: bool| Reply::json(200, &json!({"incidents": incidents, "more": more}));
    let ours = json!([{"id": "P1", "status": "acknowledged", "incident_key": KEY}]);
    let stub = Stub::start(vec![page(json!([]), true), page(ours, true)]);
    let found = client(&stub.url).perform(&call).await;
    assert_eq!(found, Answer::Found(Some(state("P1", Status::Acknowledged))));
    let line = "GET /incidents?incident_key=opsgenie%3Aa-1&service_ids%5B%5D=PSVC1&statuses%5B%5D=triggered\
        &statuses%5B%5D=acknowledged&statuses%5B%5D=resolved&date_range=all&sort_by=created_at%3Adesc&limit=100&offset=";
    assert_eq!(stub.lines(), [format!("{line}0"), format!("{line}100")]);

    let endless = Stub::start((0..20).map(|_| page(json!([]), true)).collect());
    assert_eq!(client(&endless.url).perform(&call).await, unclear("too many incidents"));
    assert_eq!(endless.lines().len(), 10);
    let old = json!([{"id": "P1", "status": "resolved", "incident_key": KEY}]);
    let endless = Stub::start((0..20).map(|_| page(old.clone(), true)).collect());
    assert_eq!(client(&endless.url).perform(&call).await, Answer::Found(Some(state("P1", Status::Resolved))));
}

#[tokio::test]
async fn states_are_set() {
    let table = [
        (Status::Acknowledged, json!({"type": "incident_reference", "status": "acknowledged"})),
        (Status::Resolved, json!({"type": "incident_reference", "status": "resolved"})),
        (Status::Open, json!({"type": "incident", "escalation_level": 1})),
    ];
    for (status, body) in table {
        let stub = Stub::start(vec![incident("resolved")]);
        let answer = client(&stub.url).perform(&PagerDutyCall::SetStatus(id(), status)).await;
        assert_eq!(answer, Answer::Incident(state("P1", Status::Resolved)));
        let seen = &stub.seen()[0];
        assert_eq!(seen.line, "PUT /incidents/P1");
        assert_eq!(seen.header("from"), Some("Sync@example.com"));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.json(), json!({"incident": body}));
    }
}

fn new_incident() -> NewIncident {
    NewIncident {
        title: "t".to_owned(),
        details: "d".to_owned(),
        urgency: Some(Urgency::High),
        priority: Some(Priority::P1),
        bare: false,
    }
}

/// What a creation sends, and what it asks before.
async fn created(script: Vec<Reply>, new: NewIncident) -> (Vec<String>, Value) {
    let stub = Stub::start(script);
    let answer = client(&stub.url).perform(&PagerDutyCall::Create(KEY.to_owned(), new)).await;
    assert_eq!(answer, Answer::Incident(state("P1", Status::Open)));
    let seen = stub.seen();
    let last = seen.last().unwrap();
    assert_eq!(last.header("from"), Some("Sync@example.com"));
    (seen.iter().map(|seen| seen.line.clone()).collect(), last.json()["incident"].clone())
}

#[tokio::test]
async fn an_incident_is_created_with_all_there_is() {
    let made = || Reply::json(201, &json!({"incident": {"id": "P1", "status": "triggered"}}));
    let service = json!({"id": "PSVC1", "type": "service_reference"});
    let bare = json!({"type": "incident", "title": "t", "service": service, "incident_key": KEY});
    let mut plain = bare.clone();
    plain["body"] = json!({"type": "incident_body", "details": "d"});
    plain["urgency"] = json!("high");
    let mut full = plain.clone();
    full["priority"] = json!({"id": "PP1", "type": "priority_reference"});

    let look_up = ["GET /priorities?limit=100", "POST /incidents"];
    let (lines, body) = created(vec![priorities(), made()], new_incident()).await;
    assert_eq!(lines, look_up);
    assert_eq!(body, full);
    let no_such_name = NewIncident { priority: Some(Priority::P5), ..new_incident() };
    assert_eq!(created(vec![priorities(), made()], no_such_name).await.1, plain);
    for reply in [error(402, 2014, "x"), error(500, 2000, "x"), error(401, 2006, "x"), Reply::json(200, &json!({}))] {
        let (lines, body) = created(vec![reply, made()], new_incident()).await;
        assert_eq!(lines, look_up);
        assert_eq!(body, plain);
    }
    let (lines, body) = created(vec![made()], NewIncident { bare: true, ..new_incident() }).await;
    assert_eq!(lines, ["POST /incidents"]);
    assert_eq!(body, bare);
    let least = NewIncident { details: String::new(), urgency: None, priority: None, ..new_incident() };
    assert_eq!(created(vec![made()], least).await.1, bare);
    let low = NewIncident { urgency: Some(Urgency::Low), priority: None, ..new_incident() };
    assert_eq!(created(vec![made()], low).await.1["urgency"], "low");
}

#[tokio::test]
async fn a_priority_is_set_by_its_name() {
    let set = |script: Vec<Reply>, priority, urgency| async move {
        let stub = Stub::start(script);
        let answer = client(&stub.url).perform(&PagerDutyCall::SetPriority(id(), priority, urgency)).await;
        (answer, stub.seen().last().map(|seen| (seen.line.clone(), seen.json())).unwrap())
    };
    let done = Answer::Incident(state("P1", Status::Open));
    let put = |change: Value| ("PUT /incidents/P1".to_owned(), json!({"incident": change}));
    let priority = json!({"id": "PP2", "type": "priority_reference"});

    let (answer, sent) = set(vec![priorities(), incident("triggered")], Priority::P2, None).await;
    assert_eq!((answer, sent), (done.clone(), put(json!({"type": "incident_reference", "priority": priority}))));
    let (answer, sent) = set(vec![priorities(), incident("triggered")], Priority::P2, Some(Urgency::High)).await;
    let change = json!({"type": "incident_reference", "priority": priority, "urgency": "high"});
    assert_eq!((answer, sent), (done.clone(), put(change)));
    let (answer, sent) =
        set(vec![error(402, 2014, "x"), incident("triggered")], Priority::P2, Some(Urgency::Low)).await;
    assert_eq!((answer, sent), (done, put(json!({"type": "incident_reference", "urgency": "low"}))));

    let asked = ("GET /priorities?limit=100".to_owned(), Value::Null);
    let limited = Reply::with_headers(429, &[("ratelimit-reset", "7")], &json!(null));
    let look_ups = [
        (priorities(), Priority::P5, Answer::Unsupported),
        (error(402, 2014, "x"), Priority::P1, Answer::Unsupported),
        (error(401, 2006, "x"), Priority::P1, again("401 2006 M: x", None)),
        (error(500, 2000, "x"), Priority::P1, again("500 2000 M: x", None)),
        (Reply::json(302, &json!(null)), Priority::P1, again("302", None)),
        (Reply::with_headers(503, &[("retry-after", "9")], &json!(null)), Priority::P1, again("503", Some(9))),
        (limited, Priority::P1, again("429", Some(7))),
        (Reply::json(200, &json!({})), Priority::P1, again(UNREADABLE, None)),
    ];
    for (reply, priority, expected) in look_ups {
        assert_eq!(set(vec![reply], priority, None).await, (expected, asked.clone()));
    }
    let writes = [
        (error(400, 1020, "Invalid Priority"), Answer::Unsupported),
        (error(404, 2100, "x"), Answer::Unsupported),
        (error(400, 1001, "x"), Answer::Unsupported),
        (error(401, 2006, "x"), Answer::Failed(Failure::Unauthorized("401 2006 M: x".to_owned()))),
        (error(400, 1008, "x"), Answer::Failed(Failure::Unauthorized("400 1008 M: x".to_owned()))),
        (error(408, 0, "x"), again("408 0 M: x", None)),
        (error(500, 2000, "x"), unclear("500 2000 M: x")),
    ];
    for (reply, expected) in writes {
        assert_eq!(set(vec![priorities(), reply], Priority::P1, None).await.0, expected);
    }
}

#[tokio::test]
async fn priorities_are_remembered_by_all_clones_and_failures_are_not() {
    let script =
        vec![error(500, 2000, "x"), priorities(), incident("triggered"), incident("triggered"), incident("triggered")];
    let stub = Stub::start(script);
    let client = client(&stub.url);
    let call = PagerDutyCall::SetPriority(id(), Priority::P1, None);
    for client in [client.clone(), client.clone(), client.clone()] {
        client.perform(&call).await;
    }
    let (asked, put) = ("GET /priorities?limit=100", "PUT /incidents/P1");
    assert_eq!(stub.lines(), [asked, asked, put, put]);
}

#[tokio::test]
async fn notes_are_written_and_read() {
    let write = PagerDutyCall::AddNote(id(), "a text".to_owned());
    let stub =
        Stub::start(vec![Reply::json(201, &json!({"note": {"id": "PN", "user": {"id": "PU"}, "content": "x"}}))]);
    let answer = client(&stub.url).perform(&write).await;
    assert_eq!(answer, Answer::Note { id: Some("PN".to_owned()), author: Some("PU".to_owned()) });
    let seen = &stub.seen()[0];
    assert_eq!(seen.line, "POST /incidents/P1/notes");
    assert_eq!(seen.header("from"), Some("Sync@example.com"));
    assert_eq!(seen.json(), json!({"note": {"content": "a text"}}));
    let nobody = self::answer(Reply::json(200, &json!({"note": {"user": null}})), &write).await;
    assert_eq!(nobody, Answer::Note { id: None, author: None });
    for body in [json!({}), json!({"note": 5}), json!(null)] {
        assert_eq!(self::answer(Reply::json(200, &body), &write).await, unclear(UNREADABLE));
    }

    let list = PagerDutyCall::ListNotes(id(), Vec::new());
    let notes = json!({"notes": [{"id": "PN1", "content": "one"}, {"content": "two", "user": 5}, {"id": "PN3"}]});
    let stub = Stub::start(vec![Reply::json(200, &notes)]);
    let note = |id: Option<&str>, text: &str| SeenNote { id: id.map(str::to_owned), text: text.to_owned() };
    let expected = Answer::Notes(vec![note(Some("PN1"), "one"), note(None, "two")]);
    assert_eq!(client(&stub.url).perform(&list).await, expected);
    assert_eq!(stub.lines(), ["GET /incidents/P1/notes"]);
    assert_eq!(self::answer(Reply::json(200, &json!({"notes": null})), &list).await, unclear(UNREADABLE));

    let merged = ["P2", "P3"].map(|id| IncidentId::try_from(id).unwrap()).to_vec();
    let older = json!({"notes": [{"id": "PN2", "content": "older"}]});
    let replies = vec![Reply::json(200, &notes), error(404, 2100, "x"), Reply::json(200, &older)];
    let stub = Stub::start(replies);
    let of_all = client(&stub.url).perform(&PagerDutyCall::ListNotes(id(), merged.clone())).await;
    assert_eq!(of_all, Answer::Notes(vec![note(Some("PN1"), "one"), note(None, "two"), note(Some("PN2"), "older")]));
    assert_eq!(stub.lines(), ["GET /incidents/P1/notes", "GET /incidents/P2/notes", "GET /incidents/P3/notes"]);
    let fails = Stub::start(vec![Reply::json(200, &notes), error(503, 2000, "x")]);
    let unanswered = client(&fails.url).perform(&PagerDutyCall::ListNotes(id(), merged)).await;
    assert!(matches!(unanswered, Answer::Failed(_)), "what cannot be looked at need not be empty: {unanswered:?}");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let unauthorized = |reason: &str| Answer::Failed(Failure::Unauthorized(reason.to_owned()));
    let duplicate = "Open incident with matching dedup key already exists on this service";
    let author = "You must specify a user's email address in the \"From\" header to perform this action";
    let table = [
        (error(401, 2006, "x"), unauthorized("401 2006 M: x")),
        (Reply::json(401, &json!(null)), unauthorized("401")),
        (error(400, 1008, "x"), unauthorized("400 1008 M: x")),
        (error(400, 2016, author), unauthorized(&format!("400 2016 M: {author}"))),
        (error(400, 2016, "took too long"), refused(Refusal::Invalid, "400 2016 M: took too long")),
        (error(403, 2010, "x"), refused(Refusal::Other, "403 2010 M: x")),
        (error(400, 2002, duplicate), refused(Refusal::DuplicateKey, &format!("400 2002 M: {duplicate}"))),
        (error(400, 2002, "x"), refused(Refusal::Invalid, "400 2002 M: x")),
        (error(400, 1001, "x"), refused(Refusal::AlreadyResolved, "400 1001 M: x")),
        (error(400, 1002, "x"), refused(Refusal::AlreadyAcknowledged, "400 1002 M: x")),
        (error(400, 2001, "Already Resolved"), refused(Refusal::AlreadyResolved, "400 2001 M: Already Resolved")),
        (
            error(400, 2001, "is already acknowledged"),
            refused(Refusal::AlreadyAcknowledged, "400 2001 M: is already acknowledged"),
        ),
        (error(400, 2001, "x"), refused(Refusal::Invalid, "400 2001 M: x")),
        (error(404, 2100, "x"), refused(Refusal::NotFound, "404 2100 M: x")),
        (error(404, 5001, "x"), refused(Refusal::NotFound, "404 5001 M: x")),
        (Reply::json(404, &json!("a proxy")), refused(Refusal::NotFound, "404")),
        (error(402, 2014, "x"), refused(Refusal::Other, "402 2014 M: x")),
        (Reply::json(413, &json!({"error": "text"})), refused(Refusal::Other, "413")),
        (Reply::with_headers(301, &[("location", "/x")], &json!(null)), unclear("301")),
        (Reply::json(408, &json!(null)), again("408", None)),
        (Reply::with_headers(408, &[("retry-after", "5")], &json!(null)), again("408", None)),
        (error(429, 2020, "x"), again("429 2020 M: x", None)),
        (Reply::with_headers(429, &[("ratelimit-reset", "7")], &json!(null)), again("429", Some(7))),
        (error(500, 2000, "x"), unclear("500 2000 M: x")),
        (Reply::json(503, &json!(null)), unclear("503")),
        (
            Reply::with_headers(503, &[("retry-after", "30")], &json!(null)),
            Answer::Failed(Failure::Unclear { reason: "503".to_owned(), hold: Some(Duration::from_secs(30)) }),
        ),
        (Reply::json(200, &json!(null)), unclear(UNREADABLE)),
        (error(500, 2000, &"y\u{7}".repeat(400)), unclear(&format!("500 2000 M: {}", "y ".repeat(144)))),
    ];
    for (reply, expected) in table {
        assert_eq!(answer(reply, &acknowledge()).await, expected);
    }
}

#[tokio::test]
async fn a_read_that_is_sent_elsewhere_is_made_again() {
    let find = PagerDutyCall::FindIncident(KEY.to_owned());
    for call in [find, PagerDutyCall::ReadIncident(id()), PagerDutyCall::ListNotes(id(), Vec::new())] {
        let elsewhere = Reply::with_headers(302, &[("location", "/maintenance")], &json!(null));
        assert_eq!(answer(elsewhere, &call).await, unclear("302"));
    }
}

#[tokio::test]
async fn what_never_left_is_tried_again_and_what_hangs_is_unclear() {
    let answer = client("http://127.0.0.1:1").perform(&acknowledge()).await;
    assert!(matches!(answer, Answer::Failed(Failure::TryAgain { hold: None, .. })), "{answer:?}");
    for reply in [Reply::Hang, Reply::Bytes(Vec::new())] {
        let answer = impatient(&Stub::start(vec![reply]).url).perform(&acknowledge()).await;
        assert!(matches!(answer, Answer::Failed(Failure::Unclear { .. })), "{answer:?}");
    }
}

#[test]
fn settings_with_which_no_call_could_be_made_are_refused() {
    let new = |base_url: &str, key: &str, email: &str| {
        let settings = Settings {
            base_url: base_url.to_owned(),
            key: SecretString::from(key),
            email: email.to_owned(),
            service_id: "PSVC1".to_owned(),
        };
        Client::new(settings, &HttpSettings::default()).map(drop)
    };
    assert_eq!(new("https://api.example.com", "k", "sync@example.com"), Ok(()));
    assert_eq!(new("", "k", "sync@example.com"), Err(InvalidSetting::BaseUrl));
    assert_eq!(new("https://api.example.com", "", "sync@example.com"), Err(InvalidSetting::Key));
    assert_eq!(new("https://api.example.com", "k", " "), Err(InvalidSetting::Email));
    assert_eq!(new("https://api.example.com", "k", "a\u{7}b"), Err(InvalidSetting::Email));
}
