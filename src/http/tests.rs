use std::io::Write as _;
use std::net::TcpListener;

use serde_json::json;

use super::stub::{Reply, Stub};
use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
}

async fn send(settings: &HttpSettings, url: &str) -> Result<Response, ApiError> {
    let client = Client::new(settings).unwrap();
    client.send(client.request(Method::POST, Url::parse(url).unwrap()).body("a body")).await
}

fn small() -> HttpSettings {
    HttpSettings { body_limit: 64, ..HttpSettings::default() }
}

#[test]
fn how_long_to_wait_is_read_from_either_vendors_headers() {
    let date = ("date", "Sun, 06 Nov 1994 08:49:00 GMT");
    let table = [
        (headers(&[]), None),
        (headers(&[("retry-after", "30")]), Some(30)),
        (headers(&[("retry-after", "0")]), Some(1)),
        (headers(&[("retry-after", "86400")]), Some(600)),
        (headers(&[("retry-after", "99999999999999999999")]), None),
        (headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"), date]), Some(37)),
        (headers(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), date]), Some(1)),
        (headers(&[("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT")]), None),
        (headers(&[("retry-after", "soon"), ("ratelimit-reset", "12")]), Some(12)),
        (headers(&[("ratelimit-reset", "12"), ("ratelimit-remaining", "7")]), Some(12)),
        (headers(&[("ratelimit-reset", "-1"), ("x-ratelimit-period-in-sec", "60")]), Some(60)),
        (headers(&[("retry-after", "3"), ("ratelimit-reset", "12")]), Some(3)),
        (headers(&[("ratelimit-remaining", "5")]), None),
        (headers(&[("retry-after", "\u{e9}")]), None),
    ];
    for (headers, expected) in table {
        assert_eq!(hold(429, &headers), expected.map(Duration::from_secs), "{headers:?}");
    }
}

#[test]
fn a_server_error_holds_the_vendor_only_if_it_asks_for_that() {
    let reset = ("ratelimit-reset", "12");
    let period = ("x-ratelimit-period-in-sec", "60");
    let table = [
        (headers(&[("retry-after", "30")]), Some(30)),
        (headers(&[("retry-after", "30"), reset, ("ratelimit-remaining", "800")]), Some(30)),
        (headers(&[reset]), None),
        (headers(&[reset, ("ratelimit-remaining", "800")]), None),
        (headers(&[reset, ("ratelimit-remaining", "0")]), Some(12)),
        (headers(&[period]), None),
        (headers(&[period, ("x-ratelimit-state", "OK")]), None),
        (headers(&[period, ("x-ratelimit-state", "THROTTLED")]), Some(60)),
        (headers(&[]), None),
    ];
    for (headers, expected) in table {
        for status in [500, 503] {
            assert_eq!(hold(status, &headers), expected.map(Duration::from_secs), "{status} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_response_tells_the_time_where_it_was_written() {
    let table = [
        (vec![("date", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(784_111_777_000)),
        (vec![("date", "soon")], None),
        (vec![], None),
    ];
    for (headers, expected) in table {
        let stub = Stub::start(vec![Reply::with_headers(401, &headers, &json!({}))]);
        let response = send(&HttpSettings::default(), &stub.url).await.unwrap();
        assert_eq!(response.date.map(Timestamp::as_millis), expected, "{headers:?}");
    }
}

#[test]
fn what_is_neither_a_success_nor_a_refusal_is_unclear() {
    let hold = Some(Duration::from_secs(5));
    let plain = |status| Response { status, body: Vec::new(), hold, date: None }.plain_failure("x");
    for status in [0, 100, 101, 199, 300, 301, 302, 307, 399, 500, 503, 599, 600, 999] {
        assert_eq!(plain(status), Some(Failure::Unclear { reason: "x".to_owned(), hold }), "{status}");
    }
    assert_eq!(plain(401), Some(Failure::Unauthorized("x".to_owned())));
    assert_eq!(plain(408), Some(Failure::TryAgain { reason: "x".to_owned(), hold: None }));
    assert_eq!(plain(429), Some(Failure::TryAgain { reason: "x".to_owned(), hold }));
    for status in [400, 402, 403, 404, 409, 413, 422, 499] {
        assert_eq!(plain(status), None, "{status}");
    }
}

#[tokio::test]
async fn a_response_is_read_in_full() {
    let stub = Stub::start(vec![Reply::with_headers(404, &[("retry-after", "9")], &json!({"a": 1}))]);
    let client = Client::new(&HttpSettings::default()).unwrap();
    let request = client.request(Method::GET, BaseUrl::parse(&stub.url).unwrap().at(&["a b", "c/d"]));
    let response = client.send(request).await.unwrap();
    assert_eq!((response.status, response.body.as_slice()), (404, br#"{"a":1}"#.as_slice()));
    assert_eq!(response.hold, Some(Duration::from_secs(9)));
    let seen = stub.seen();
    assert_eq!(seen[0].line, "GET /a%20b/c%2Fd");
    assert_eq!(seen[0].header("user-agent"), Some(concat!("crosspage/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let stub = Stub::start(vec![Reply::with_headers(307, &[("location", "/elsewhere")], &json!(null))]);
    assert_eq!(send(&small(), &stub.url).await.unwrap().status, 307);
    assert_eq!(stub.seen().len(), 1);
}

#[tokio::test]
async fn what_never_left_is_known_not_to_have_arrived() {
    let no_tls = TcpListener::bind("127.0.0.1:0").unwrap();
    let plain = no_tls.local_addr().unwrap();
    std::thread::spawn(move || no_tls.accept().unwrap().0.write_all(b"no TLS here").unwrap());
    let urls = [
        "http://127.0.0.1:1/?q=s3cret".to_owned(),
        "http://nowhere.invalid/?q=s3cret".to_owned(),
        format!("https://{plain}/?q=s3cret"),
    ];
    for url in urls {
        let outcome = send(&HttpSettings::default(), &url).await;
        let Err(error @ ApiError::NotSent(_)) = outcome else { panic!("{url}: {outcome:?}") };
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn what_may_have_arrived_is_unclear() {
    let replies = [
        (Reply::Hang, Duration::from_millis(300)),
        (Reply::Bytes(Vec::new()), PATIENCE),
        (Reply::Bytes(b"s3cret nonsense\r\n\r\n".to_vec()), PATIENCE),
        (Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\ns3cret".to_vec()), PATIENCE),
        (Reply::Bytes(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec()), PATIENCE),
        (Reply::json(200, &json!("s3cret".repeat(50))), PATIENCE),
    ];
    for (reply, timeout) in replies {
        let stub = Stub::start(vec![reply]);
        let outcome = send(&HttpSettings { timeout, ..small() }, &format!("{}/?q=s3cret", stub.url)).await;
        let Err(error @ ApiError::Unclear(_)) = outcome else { panic!("{outcome:?}") };
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
}

#[tokio::test]
async fn an_error_does_not_quote_the_key() {
    let said = |status| Reply::json(status, &json!({"message": "the key s3c/ret (s3c/ret) is refused"}));
    let stub = Stub::start(vec![said(401), said(200)]);
    let client = Client::new(&HttpSettings::default()).unwrap().hiding(&SecretString::from("s3c/ret\n"));
    let send = async || client.send(client.request(Method::GET, Url::parse(&stub.url).unwrap())).await.unwrap().body;
    assert_eq!(String::from_utf8(send().await).unwrap(), r#"{"message":"the key [key] ([key]) is refused"}"#);
    assert!(String::from_utf8(send().await).unwrap().contains("s3c/ret"), "no error, so nothing is quoted of it");
    assert_eq!(without(br#"{"a":"s3c\/ret"}"#.to_vec(), "s3c/ret"), br#"{"a":"[key]"}"#);
}

#[tokio::test]
async fn a_header_that_cannot_be_is_an_error_and_no_panic() {
    let client = Client::new(&small()).unwrap();
    let request = client.request(Method::GET, Url::parse("http://127.0.0.1:1/").unwrap()).header("x", "a\nb");
    assert!(matches!(client.send(request).await, Err(ApiError::NotSent(_))));
    assert_eq!(key_header("K ", &SecretString::from("a\nb")), Err(InvalidSetting::Key));
    assert_eq!(key_header("K ", &SecretString::from(" ")), Err(InvalidSetting::Key));
    let header = key_header("K ", &SecretString::from("s3cret\n")).unwrap();
    assert_eq!(header.as_bytes(), b"K s3cret");
    assert_eq!(format!("{header:?}"), "Sensitive");
}

#[test]
fn a_path_stays_below_its_base() {
    let at = |base: &str, segments: &[&str]| BaseUrl::parse(base).unwrap().at(segments).to_string();
    assert_eq!(at("https://api.example.com", &["v2", "alerts"]), "https://api.example.com/v2/alerts");
    assert_eq!(at("https://api.example.com/", &["v2"]), "https://api.example.com/v2");
    assert_eq!(at(" https://a.example.com/base/?q=1#f ", &["v2"]), "https://a.example.com/base/v2");
    assert_eq!(
        at("https://a.example.com/base", &["a/b?c#d%e", "..", "f"]),
        "https://a.example.com/base/a%2Fb%3Fc%23d%25e/f"
    );
    for bad in ["", "api.example.com", "ftp://api.example.com", "data:text/plain,x", "/v2"] {
        assert!(matches!(BaseUrl::parse(bad), Err(InvalidSetting::BaseUrl)), "{bad}");
    }
}

#[test]
fn a_parameter_is_taken_from_a_link() {
    let base = BaseUrl::parse("https://api.example.com").unwrap();
    let table = [
        ("https://elsewhere.example.com/v2?a=1&offset=x%3Dy%26z", Some("x=y&z")),
        ("/v2/notes?offset=5", Some("5")),
        ("/v2/notes?limit=5", None),
        ("https://[", None),
    ];
    for (link, expected) in table {
        assert_eq!(base.parameter(link, "offset").as_deref(), expected, "{link}");
    }
}

#[test]
fn a_text_from_outside_is_cut_and_cleaned() {
    assert_eq!(printable("a\u{1b}[31m\nb", 300), "a [31m b");
    assert_eq!(printable("äöü", 2), "äö");
}

#[test]
fn who_listens_everywhere_is_asked_at_loopback() {
    for (listen, asked) in [
        ("0.0.0.0:5002", "127.0.0.1:5002"),
        ("[::]:5002", "[::1]:5002"),
        ("127.0.0.1:7", "127.0.0.1:7"),
        ("10.1.2.3:5002", "10.1.2.3:5002"),
    ] {
        assert_eq!(reachable(listen.parse().unwrap()).to_string(), asked);
    }
}
