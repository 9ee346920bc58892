//! What the account tells of itself: its users, keys, services, priorities and webhook subscriptions.

use super::*;

#[tokio::test]
async fn the_automation_user_is_found_by_its_exact_address() {
    let page = |users: Value, more: bool| Reply::json(200, &json!({"users": users, "more": more}));
    let other = json!([{"id": "PX", "email": "sync@example.community"}, {"id": "PY"}, {"email": null}]);
    let ours = json!([{"id": "PU", "email": " sync@EXAMPLE.com"}]);
    let stub = Stub::start(vec![page(other.clone(), true), page(ours, false)]);
    assert_eq!(client(&stub.url).user_id().await, Ok(Some("PU".to_owned())));
    let line = "GET /users?query=Sync%40example.com&limit=100&offset=";
    assert_eq!(stub.lines(), [format!("{line}0"), format!("{line}100")]);

    let stub = Stub::start(vec![page(other.clone(), false)]);
    assert_eq!(client(&stub.url).user_id().await, Ok(None));
    let failures = [
        (error(401, 2006, "x"), "401 2006 M: x"),
        (error(404, 2100, "x"), "404 2100 M: x"),
        (error(503, 2000, "x"), "503 2000 M: x"),
        (error(429, 2020, "x"), "429 2020 M: x"),
        (Reply::json(200, &json!({})), UNREADABLE),
    ];
    for (reply, expected) in failures {
        let stub = Stub::start(vec![reply]);
        let failure = client(&stub.url).user_id().await.unwrap_err();
        assert_eq!(failure.reason(), expected);
    }
}

#[tokio::test]
async fn the_probe_tells_whether_we_are_let_in() {
    let stub = Stub::start(vec![Reply::json(200, &json!({"abilities": []})), error(401, 2006, "x")]);
    let client = client(&stub.url);
    assert_eq!(client.probe().await, Ok(()));
    assert_eq!(client.probe().await, Err(Failure::Unauthorized("401 2006 M: x".to_owned())));
    assert_eq!(stub.lines(), ["GET /abilities", "GET /abilities"]);
}

#[tokio::test]
async fn whether_a_key_may_write_is_asked_of_an_incident_that_cannot_exist() {
    let table = [
        (error(404, 2100, "x"), Ok(MayWrite::Yes)),
        (error(403, 2010, "x"), Ok(MayWrite::No("403 2010 M: x".to_owned()))),
        (error(400, 1008, "x"), Ok(MayWrite::NotInThatName("400 1008 M: x".to_owned()))),
        (error(429, 2020, "x"), Err(Failure::TryAgain { reason: "429 2020 M: x".to_owned(), hold: None })),
    ];
    for (reply, expected) in table {
        let stub = Stub::start(vec![reply]);
        assert_eq!(client(&stub.url).may_write().await, expected);
        assert_eq!(stub.lines(), ["PUT /incidents/crosspage-check"]);
        assert_eq!(stub.seen()[0].header("from"), Some("Sync@example.com"));
    }
}

#[tokio::test]
async fn a_key_has_an_owner_or_is_the_accounts() {
    let user = json!({"user": {"id": "PU", "summary": "Sync", "email": "sync@example.com", "role": "observer"}});
    let stub = Stub::start(vec![Reply::json(200, &user), error(400, 2001, "x"), error(500, 2000, "x")]);
    let client = client(&stub.url);
    let text = |text: &str| Some(text.to_owned());
    let owner =
        User { id: "PU".to_owned(), name: text("Sync"), email: text("sync@example.com"), role: text("observer") };
    assert_eq!(client.key_owner().await, Ok(Some(owner)));
    assert_eq!(client.key_owner().await, Ok(None));
    assert!(client.key_owner().await.is_err());
    assert_eq!(stub.lines(), ["GET /users/me"; 3]);
}

#[tokio::test]
async fn a_service_tells_how_it_is_set_up() {
    let of = |status: &str| {
        json!({"service": {
            "name": "Database", "status": status, "escalation_policy": {"id": "PEP"},
            "acknowledgement_timeout": 1_800, "auto_resolve_timeout": 0,
        }})
    };
    let usual = Service {
        name: Some("Database".to_owned()),
        status: ServiceStatus::Enabled,
        has_escalation_policy: true,
        acknowledgement_timeout: Some(Duration::from_secs(1_800)),
        auto_resolve_timeout: None,
    };
    let bare = Service { name: None, has_escalation_policy: false, acknowledgement_timeout: None, ..usual.clone() };
    let table = [
        (Reply::json(200, &of("critical")), Ok(Some(usual.clone()))),
        (
            Reply::json(200, &of("maintenance")),
            Ok(Some(Service { status: ServiceStatus::Maintenance, ..usual.clone() })),
        ),
        (Reply::json(200, &of("disabled")), Ok(Some(Service { status: ServiceStatus::Disabled, ..usual }))),
        (Reply::json(200, &json!({"service": {"acknowledgement_timeout": null}})), Ok(Some(bare))),
        (error(404, 2100, "x"), Ok(None)),
        (Reply::json(200, &json!({})), Err(unreadable())),
    ];
    for (reply, expected) in table {
        let stub = Stub::start(vec![reply]);
        assert_eq!(client(&stub.url).service().await, expected);
        assert_eq!(stub.lines(), ["GET /services/PSVC1"]);
    }
}

#[tokio::test]
async fn priorities_are_told_by_name_and_there_may_be_none() {
    let stub = Stub::start(vec![priorities(), error(402, 2014, "x"), error(503, 2000, "x")]);
    let client = client(&stub.url);
    assert_eq!(client.priorities().await, Ok(vec!["p1".to_owned(), "p2".to_owned()]));
    assert_eq!(client.priorities().await, Ok(Vec::new()));
    assert!(client.priorities().await.is_err());
}

fn subscription(id: &str, url: &str, filter: &Value) -> Value {
    json!({
        "id": id,
        "active": id != "POFF",
        "delivery_method": {"url": url, "temporarily_disabled": id == "POUT"},
        "events": ["incident.triggered"],
        "filter": filter,
    })
}

#[tokio::test]
async fn subscriptions_are_listed_and_ours_are_told_from_others() {
    let service = |id: &str| json!({"type": "service_reference", "id": id});
    let page = |list: Value, more: bool| Reply::json(200, &json!({"webhook_subscriptions": list, "more": more}));
    let url = "https://h/pd-webhook";
    let first = json!([
        subscription("POUR", url, &service("PSVC1")),
        subscription("POFF", "https://h/pd-webhook/?x=1", &json!({"type": "account_reference"})),
        subscription("POUT", url, &json!({"type": "team_reference", "id": "PT"})),
        subscription("PSVC2", url, &service("PSVC2")),
    ]);
    let second = json!([subscription("PELSE", "https://h/other", &json!(null)), {"id": "PNONE"}]);
    let stub = Stub::start(vec![page(first.clone(), true), page(second, false), page(first, false)]);
    let client = client(&stub.url);
    let all = client.subscriptions().await.unwrap();
    let ids = |list: &[Subscription]| list.iter().map(|one| one.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&all), ["POUR", "POFF", "POUT", "PSVC2", "PELSE"]);
    assert_eq!(all[0].scope, Scope::Service("PSVC1".to_owned()));
    assert_eq!((&all[1].scope, all[1].active, all[1].address()), (&Scope::Account, false, url));
    assert_eq!((&all[2].scope, all[2].temporarily_disabled), (&Scope::Team("PT".to_owned()), true));
    assert_eq!((&all[4].scope, all[4].events.len()), (&Scope::Unknown, 1));
    let ours = client.subscriptions_to(DOOR).await.unwrap();
    assert_eq!(ids(&ours), ["POUR", "POFF", "POUT"]);
}

#[tokio::test]
async fn a_subscription_is_made_with_what_is_understood_and_its_secret_is_told_once() {
    use secrecy::ExposeSecret;
    let made = json!({"webhook_subscription": {"id": "PNEW", "delivery_method": {"url": "u", "secret": "hunter2"}}});
    let mute = json!({"webhook_subscription": {"id": "PNEW", "delivery_method": {"url": "u", "secret": null}}});
    let stub = Stub::start(vec![
        Reply::json(201, &made),
        Reply::json(200, &mute),
        error(400, 2019, "limit exceeded"),
        Reply::json(204, &Value::Null),
        error(404, 2100, "x"),
        error(403, 2010, "x"),
    ]);
    let client = client(&stub.url);
    let url = "https://h/pd-webhook";
    let new = client.create_subscription(url, &Scope::Service("PSVC1".to_owned())).await.unwrap();
    assert_eq!(new.secret.as_ref().map(|secret| secret.expose_secret()), Some("hunter2"));
    assert!(new.id == "PNEW" && !format!("{new:?}").contains("hunter2"));
    assert!(client.create_subscription(url, &Scope::Account).await.unwrap().secret.is_none());
    assert!(client.create_subscription(url, &Scope::Account).await.is_err());
    assert_eq!(client.delete_subscription("PNEW").await, Ok(()));
    assert_eq!(client.delete_subscription("PNEW").await, Ok(()), "it is gone already");
    assert!(client.delete_subscription("PNEW").await.is_err());
    assert_eq!(stub.lines()[3], "DELETE /webhook_subscriptions/PNEW");
    let asked = stub.seen()[0].json()["webhook_subscription"].clone();
    assert_eq!(asked["filter"], json!({"type": "service_reference", "id": "PSVC1"}));
    assert_eq!((&asked["delivery_method"]["url"], &asked["events"][5]), (&json!(url), &json!("incident.annotated")));
    assert_eq!(stub.seen()[1].json()["webhook_subscription"]["filter"], json!({"type": "account_reference"}));
}
