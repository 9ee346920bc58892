use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::*;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.env-example");

/// The seven required keys and nothing else.
const REQUIRED: [(&str, &str); 7] = [
    ("PAGERDUTY_API_KEY", "hunter-pd-key"),
    ("PAGERDUTY_SERVICE_ID", "PSERVICE"),
    ("PAGERDUTY_WEBHOOK_SECRET", "hunter-pd-secret"),
    ("PAGERDUTY_EMAIL", "bot@example.com"),
    ("PAGERDUTY_USER", "Röbot One"),
    ("OPSGENIE_API_KEY", "hunter-og-key"),
    ("OPSGENIE_INTEGRATION_ID", "6b9f0a52-1111-2222-3333-444455556666"),
];

/// Reads the seven with `changes` made to them.
fn read(changes: &[(&str, Option<&str>)]) -> Result<Config, ConfigError> {
    let mut vars: BTreeMap<_, _> = REQUIRED.into_iter().collect();
    for (key, value) in changes {
        match value {
            Some(value) => vars.insert(key, value),
            None => vars.remove(key),
        };
    }
    Config::from_vars(|key| vars.get(key).map(|value| (*value).to_owned()))
}

fn with(key: &str, value: &str) -> Config {
    read(&[(key, Some(value))]).unwrap_or_else(|error| panic!("{key}={value}: {error}"))
}

#[test]
fn the_required_seven_are_enough() {
    let config = read(&[]).unwrap();
    assert_eq!(config.pagerduty.api_key.expose_secret(), "hunter-pd-key");
    assert_eq!(config.pagerduty.service_id, "PSERVICE");
    assert_eq!(config.pagerduty.webhook_secrets.len(), 1);
    assert_eq!(config.pagerduty.email, "bot@example.com");
    assert_eq!(config.pagerduty.user, "Röbot One");
    assert_eq!(config.pagerduty.api_url, "https://api.pagerduty.com");
    assert_eq!(config.pagerduty.rate_limit, 900);
    assert!(config.pagerduty.fallback_routing_key.is_none());
    assert_eq!(config.pagerduty.events_url, "https://events.pagerduty.com");
    assert_eq!(config.opsgenie.api_key.expose_secret(), "hunter-og-key");
    assert_eq!(config.opsgenie.integration_ids, ["6b9f0a52-1111-2222-3333-444455556666"]);
    assert_eq!(config.opsgenie.user, "crosspage");
    assert!(config.opsgenie.webhook_token.is_none());
    assert_eq!(config.opsgenie.api_url, "https://api.opsgenie.com");
    assert_eq!(config.opsgenie.rate_limit, 900);
    assert_eq!(config.opsgenie.alert_page.as_deref(), Some("https://app.opsgenie.com/alert/detail/"));
    assert_eq!(config.listen.to_string(), "0.0.0.0:5001");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:5002");
    assert!(config.admin.token.is_none() && config.admin.hosts.is_empty());
    assert_eq!(config.database, DatabaseUrl::Sled("data/crosspage".into()));
    assert_eq!(config.on_pagerduty_resolved, OnResolved::Note);
    assert_eq!(config.retention, Duration::from_secs(30 * 86_400));
    assert_eq!(config.reconcile_every, Some(Duration::from_secs(60)));
    assert_eq!(config.opsgenie.query, None);
    assert_eq!(config.log_format, LogFormat::Auto);
    assert_eq!(config.log_filter, "info");
    assert_eq!(config.warnings.len(), 1, "about the missing token");
}

#[test]
fn each_problem_names_its_key_and_what_to_do() {
    let long = "x".repeat(201);
    let rows = [
        ("PAGERDUTY_API_KEY", None, "is missing: a REST API key"),
        ("PAGERDUTY_API_KEY", Some(""), "is empty"),
        ("PAGERDUTY_API_KEY", Some("  "), "is empty"),
        ("PAGERDUTY_API_KEY", Some("hunter 2"), "cannot be sent"),
        ("PAGERDUTY_API_KEY", Some("hunter\n2"), "cannot be sent"),
        ("PAGERDUTY_API_KEY", Some("hunter\u{fffd}"), "is not UTF-8"),
        ("PAGERDUTY_USER", Some("R\u{fffd}bot"), "is not UTF-8"),
        ("PAGERDUTY_FALLBACK_ROUTING_KEY", Some(""), "is no integration key"),
        ("PAGERDUTY_FALLBACK_ROUTING_KEY", Some("0123456789abcdef0123456789abcde"), "32 letters and digits"),
        ("PAGERDUTY_FALLBACK_ROUTING_KEY", Some("0123456789abcdef 123456789abcdef"), "32 letters and digits"),
        ("PAGERDUTY_EVENTS_URL", Some("http://events.example.com"), "must begin with https"),
        ("PAGERDUTY_SERVICE_ID", None, "is missing"),
        ("PAGERDUTY_SERVICE_ID", Some(" "), "is missing"),
        ("PAGERDUTY_SERVICE_ID", Some("../P1"), "is no id"),
        ("PAGERDUTY_SERVICE_ID", Some(&long), "is no id"),
        ("PAGERDUTY_WEBHOOK_SECRET", None, "is missing"),
        ("PAGERDUTY_WEBHOOK_SECRET", Some(""), "empty item"),
        ("PAGERDUTY_WEBHOOK_SECRET", Some("hunter1,"), "empty item"),
        ("PAGERDUTY_WEBHOOK_SECRET", Some("hunter1, ,hunter2"), "empty item"),
        ("PAGERDUTY_WEBHOOK_SECRET", Some("hunter1 hunter2"), "by commas"),
        ("PAGERDUTY_EMAIL", None, "is missing"),
        ("PAGERDUTY_EMAIL", Some("bot"), "is no e-mail address"),
        ("PAGERDUTY_EMAIL", Some("@example.com"), "is no e-mail address"),
        ("PAGERDUTY_EMAIL", Some("bot@"), "is no e-mail address"),
        ("PAGERDUTY_EMAIL", Some("bot@example.com\r\nX-Evil: 1"), "is no e-mail address"),
        ("PAGERDUTY_USER", None, "is missing"),
        ("PAGERDUTY_USER", Some("a\nb"), "control character"),
        ("OPSGENIE_API_KEY", None, "is missing"),
        ("OPSGENIE_API_KEY", Some("hunter\t2"), "cannot be sent"),
        ("OPSGENIE_INTEGRATION_ID", None, "is missing"),
        ("OPSGENIE_INTEGRATION_ID", Some(",a"), "empty item"),
        ("OPSGENIE_INTEGRATION_ID", Some("a b"), "is no id"),
        ("OPSGENIE_USER", Some(&long[..101]), "at most 100"),
        ("OPSGENIE_USER", Some("a\u{1b}b"), "control character"),
        ("OPSGENIE_WEBHOOK_TOKEN", Some(""), "is empty"),
        ("OPSGENIE_WEBHOOK_TOKEN", Some("hunter\u{e9}"), "cannot be sent"),
        ("PAGERDUTY_REGION", Some("uk"), "must be us or eu"),
        ("OPSGENIE_REGION", Some("uk"), "must be us or eu"),
        ("PAGERDUTY_API_URL", Some("api.pagerduty.com"), "must look like"),
        ("PAGERDUTY_API_URL", Some("ftp://api.pagerduty.com"), "must look like"),
        ("PAGERDUTY_API_URL", Some("https://"), "must look like"),
        ("PAGERDUTY_API_URL", Some("https://hunter@host"), "no user"),
        ("PAGERDUTY_API_URL", Some("https://:hunter@host"), "no user"),
        ("OPSGENIE_API_URL", Some("https://host?"), "query"),
        ("OPSGENIE_API_URL", Some("https://host/#"), "fragment"),
        ("OPSGENIE_API_URL", Some("http://api.opsgenie.com"), "in clear"),
        ("OPSGENIE_API_URL", Some("http://10.0.0.1"), "in clear"),
        ("OPSGENIE_API_URL", Some("http://localhost.example.com"), "in clear"),
        ("PAGERDUTY_RATE_LIMIT", Some("0"), "from 1 to 100000"),
        ("PAGERDUTY_RATE_LIMIT", Some("100001"), "from 1 to 100000"),
        ("OPSGENIE_RATE_LIMIT", Some("many"), "from 1 to 100000"),
        ("LISTEN_ADDR", Some("localhost:5001"), "IP address"),
        ("LISTEN_ADDR", Some("127.0.0.1"), "IP address"),
        ("LISTEN_ADDR", Some("::1:99999"), "IP address"),
        ("LISTEN_ADDR", Some(":65536"), "IP address"),
        ("ADMIN_ADDR", Some("localhost:5002"), "IP address"),
        ("ADMIN_TOKEN", Some(""), "is empty"),
        ("ADMIN_TOKEN", Some("hunter"), "at least 16 characters"),
        ("ADMIN_TOKEN", Some("hunter2hunter2hunter 2"), "cannot be sent"),
        ("ADMIN_HOSTS", Some("crosspage.example.com:5002"), "without a port"),
        ("ADMIN_HOSTS", Some("a,,b"), "empty item"),
        ("DATABASE_URL", Some("postgres://u:hunter@db/x"), "PostgreSQL, which is not supported yet"),
        ("DATABASE_URL", Some("postgresql://db/x"), "PostgreSQL, which is not supported yet"),
        ("DATABASE_URL", Some("mysql://u:hunter@db/x"), "must be sled://PATH"),
        ("DATABASE_URL", Some("data/crosspage"), "must be sled://PATH"),
        ("DATABASE_URL", Some("sled://"), "must name a directory"),
        ("DATABASE_URL", Some("sled://data?cache=1"), "must name a directory"),
        ("ON_PAGERDUTY_RESOLVED", Some("ignore"), "must be note or close"),
        ("RETENTION_DAYS", Some("2"), "from 3 to 3650"),
        ("RETENTION_DAYS", Some("3651"), "from 3 to 3650"),
        ("RUST_LOG", Some("crosspage=loud"), "is no log filter"),
        ("LOG_FORMAT", Some("xml"), "must be text or json"),
    ];
    for (key, value, text) in rows {
        let Err(error) = read(&[(key, value)]) else { panic!("{key}={value:?} is taken") };
        assert_eq!(error.problems.len(), 1, "{key}={value:?}: {error}");
        assert_eq!(error.problems[0].key, key, "{value:?}");
        assert!(error.problems[0].text.contains(text), "{key}={value:?}: {error}");
        assert!(!format!("{error}{error:?}").contains("hunter"), "{error}");
    }
}

#[test]
fn all_problems_are_told_at_once_one_a_line() {
    let error = Config::from_vars(|key| match key {
        "PAGERDUTY_API_KEY" => Some("hunter 2".to_owned()),
        "RETENTION_DAYS" | "LISTEN_ADDR" => Some("x\ny".to_owned()),
        _ => None,
    })
    .unwrap_err();
    let text = error.to_string();
    let keys: Vec<_> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
    let required = REQUIRED.map(|(key, _)| key);
    assert_eq!(keys, [&required[..], &["LISTEN_ADDR", "RETENTION_DAYS"][..]].concat());
}

#[test]
fn values_are_read() {
    let secrets = with("PAGERDUTY_WEBHOOK_SECRET", " one , two ").pagerduty.webhook_secrets;
    assert_eq!(secrets.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(with("OPSGENIE_INTEGRATION_ID", "a, b").opsgenie.integration_ids, ["a", "b"]);
    assert_eq!(with("PAGERDUTY_USER", " Bot ").pagerduty.user, "Bot");
    assert_eq!(with("PAGERDUTY_REGION", "EU").pagerduty.api_url, "https://api.eu.pagerduty.com");
    assert_eq!(with("PAGERDUTY_RATE_LIMIT", "100000").pagerduty.rate_limit, 100_000);
    assert_eq!(with("OPSGENIE_RATE_LIMIT", "1").opsgenie.rate_limit, 1);
    assert_eq!(with("ON_PAGERDUTY_RESOLVED", "close").on_pagerduty_resolved, OnResolved::Close);
    assert_eq!(with("RETENTION_DAYS", "3").retention, Duration::from_secs(3 * 86_400));
    assert_eq!(with("LOG_FORMAT", "json").log_format, LogFormat::Json);
    assert_eq!(with("LOG_FORMAT", "text").log_format, LogFormat::Text);
    assert_eq!(with("RUST_LOG", "warn,crosspage::delivery=debug").log_filter, "warn,crosspage::delivery=debug");
    assert_eq!(with("RUST_LOG", "").log_filter, "info");

    for (text, address) in [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[::1]:80", "[::1]:80"),
        (":5002", "0.0.0.0:5002"),
        ("5002", "0.0.0.0:5002"),
    ] {
        assert_eq!(with("LISTEN_ADDR", text).listen.to_string(), address);
    }
    for (text, path) in [("sled://data/x", "data/x"), ("sled:///data/x", "/data/x"), ("sled://./a b", "./a b")] {
        assert_eq!(with("DATABASE_URL", text).database, DatabaseUrl::Sled(path.into()));
    }
}

#[test]
fn off_loopback_operators_need_a_token() {
    let token = ("ADMIN_TOKEN", Some("hunter2hunter2hunter2"));
    for (text, address) in [("5003", "127.0.0.1:5003"), (":5003", "127.0.0.1:5003"), ("[::1]:1", "[::1]:1")] {
        assert_eq!(with("ADMIN_ADDR", text).admin.listen.to_string(), address);
    }
    for text in ["0.0.0.0:5002", "[::]:5002", "10.0.0.1:5002"] {
        let error = read(&[("ADMIN_ADDR", Some(text))]).unwrap_err();
        assert_eq!((error.problems.len(), error.problems[0].key.as_str()), (1, "ADMIN_TOKEN"), "{text}: {error}");
        assert!(read(&[("ADMIN_ADDR", Some(text)), token]).unwrap().admin.token.is_some());
        let short = read(&[("ADMIN_ADDR", Some(text)), ("ADMIN_TOKEN", Some("hunter"))]).unwrap_err();
        assert_eq!(short.problems.len(), 1, "one problem is told once: {short}");
    }
    assert_eq!(with("ADMIN_HOSTS", "Pager.example.com, b").admin.hosts, ["pager.example.com", "b"]);
}

#[test]
fn an_api_url_wins_over_the_region_and_has_no_alert_page() {
    let eu = with("OPSGENIE_REGION", "eu").opsgenie;
    assert_eq!(eu.api_url, "https://api.eu.opsgenie.com");
    assert_eq!(eu.alert_page.as_deref(), Some("https://app.eu.opsgenie.com/alert/detail/"));

    for (text, url) in [
        ("https://Proxy.example.com/opsgenie/", "https://proxy.example.com/opsgenie"),
        ("https://proxy.example.com:8443", "https://proxy.example.com:8443"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("http://localhost:9000", "http://localhost:9000"),
    ] {
        let opsgenie = read(&[("OPSGENIE_REGION", Some("eu")), ("OPSGENIE_API_URL", Some(text))]).unwrap().opsgenie;
        assert_eq!(opsgenie.api_url, url);
        assert_eq!(opsgenie.alert_page, None);
        assert_eq!(opsgenie.other_region, None);
    }
}

#[test]
fn the_other_region_is_known_where_the_address_is_the_vendors_own() {
    let region = |name, api_url: &str| Some(Region { name, api_url: api_url.to_owned() });
    let us = read(&[]).unwrap();
    assert_eq!(us.pagerduty.other_region, region("eu", "https://api.eu.pagerduty.com"));
    assert_eq!(us.opsgenie.other_region, region("eu", "https://api.eu.opsgenie.com"));
    let eu = read(&[("PAGERDUTY_REGION", Some("eu")), ("OPSGENIE_API_URL", Some("https://api.eu.opsgenie.com/"))]);
    let eu = eu.unwrap();
    assert_eq!(eu.pagerduty.other_region, region("us", "https://api.pagerduty.com"));
    assert_eq!(eu.opsgenie.other_region, region("us", "https://api.opsgenie.com"));
}

#[test]
fn the_events_api_is_that_of_the_region_unless_another_is_named() {
    let eu = with("PAGERDUTY_REGION", "eu").pagerduty;
    assert_eq!(eu.api_url, "https://api.eu.pagerduty.com");
    assert_eq!(eu.events_url, "https://events.eu.pagerduty.com");
    let other = [("PAGERDUTY_REGION", Some("eu")), ("PAGERDUTY_EVENTS_URL", Some("http://127.0.0.1:9000/"))];
    assert_eq!(read(&other).unwrap().pagerduty.events_url, "http://127.0.0.1:9000");
}

#[test]
fn a_secret_may_come_from_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let path = path.to_str().unwrap();
    // As long as the one that must have a certain length.
    let from_file = "hunter0123456789hunter0123456789";
    fs::write(path, format!("{from_file}\r\n")).unwrap();
    for key in SECRETS {
        let file_key = format!("{key}_FILE");
        let config = read(&[(key, None), (&file_key, Some(path))]).unwrap();
        let secret = match key {
            "PAGERDUTY_API_KEY" => &config.pagerduty.api_key,
            "PAGERDUTY_WEBHOOK_SECRET" => &config.pagerduty.webhook_secrets[0],
            "PAGERDUTY_FALLBACK_ROUTING_KEY" => config.pagerduty.fallback_routing_key.as_ref().unwrap(),
            "OPSGENIE_API_KEY" => &config.opsgenie.api_key,
            "ADMIN_TOKEN" => config.admin.token.as_ref().unwrap(),
            _ => config.opsgenie.webhook_token.as_ref().unwrap(),
        };
        assert_eq!(secret.expose_secret(), from_file);

        let error = read(&[(key, Some("hunter")), (&file_key, Some(path))]).unwrap_err();
        assert_eq!(error.to_string(), format!("{key} is given twice, here and by {file_key}: keep one"));

        let error = read(&[(key, None), (&file_key, Some("/no/such/file"))]).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("{file_key} names a file that cannot be read, \"/no/such/file\""))
        );
        assert_eq!(error.problems.len(), 1, "{error}");
    }

    for (content, text) in [
        (&b""[..], "PAGERDUTY_API_KEY_FILE is empty"),
        (b"hunter\nhunter", "PAGERDUTY_API_KEY_FILE has a character"),
        (b"hunter\xff", "PAGERDUTY_API_KEY_FILE names a file that cannot be read"),
        (&[b'x'; 65 * 1024], "it is too large"),
    ] {
        fs::write(path, content).unwrap();
        let error =
            read(&[("PAGERDUTY_API_KEY", None), ("PAGERDUTY_API_KEY_FILE", Some(path))]).unwrap_err().to_string();
        assert!(error.contains(text) && !error.contains("hunter"), "{error}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let config = with("OPSGENIE_WEBHOOK_TOKEN", "hunter-token");
    let text = format!("{config:?} {config:#?}");
    assert!(text.contains("bot@example.com") && !text.contains("hunter"), "{text}");
}

#[test]
fn what_is_unwise_is_warned_of() {
    let safe = ("OPSGENIE_WEBHOOK_TOKEN", Some("hunter"));
    assert_eq!(read(&[safe]).unwrap().warnings, []);
    let warnings = read(&[safe, ("OPSGENIE_USER", Some("ann@example.com"))]).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].key == "OPSGENIE_USER", "{warnings:?}");
    assert_eq!(read(&[]).unwrap().warnings[0].key, "OPSGENIE_WEBHOOK_TOKEN");

    let warnings = read(&[safe, ("OPSGENIE_QUERY", Some("tag: production AND Status: open"))]).unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].key == "OPSGENIE_QUERY", "{warnings:?}");
    assert_eq!(read(&[safe, ("OPSGENIE_QUERY", Some("tag: production"))]).unwrap().warnings, []);
}

#[test]
fn keys_that_mean_nothing_are_warned_of() {
    let environment = ["PAGERDUTY_API_TOKEN", "OPSGENIE_USER_FILE", "OPSGENIE_API_KEY_FILE", "RETENTION_DAY", "PATH"];
    let file = ["PAGERDUTY_EMAIL", "LISTEN_ADRR", "HTTPS_PROXY", "RUST_LOG"];
    let warnings = unknown_keys(environment.map(str::to_owned).into(), file.map(str::to_owned).into());
    let named: Vec<_> = warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(named, ["HTTPS_PROXY", "LISTEN_ADRR", "OPSGENIE_USER_FILE", "PAGERDUTY_API_TOKEN", "RETENTION_DAY"]);
    assert!(warnings[0].text.contains("not in .env"), "{warnings:?}");
}

/// Every key that may be given, the `_FILE` of the secrets included.
fn known_keys() -> BTreeSet<String> {
    KEYS.iter().map(|key| (*key).to_owned()).chain(SECRETS.iter().map(|key| format!("{key}_FILE"))).collect()
}

#[test]
fn the_list_of_keys_is_what_is_read() {
    let asked = RefCell::new(BTreeSet::new());
    let _ = Config::from_vars(|key| {
        asked.borrow_mut().insert(key.to_owned());
        None
    });
    assert_eq!(asked.into_inner(), known_keys());
}

#[test]
fn the_example_names_every_key_and_no_other() {
    let text = fs::read_to_string(EXAMPLE).unwrap();
    let keys = text.lines().filter_map(|line| line.trim_start_matches("# ").split_once('='));
    let keys: Vec<_> = keys.map(|(key, _)| key.to_owned()).filter(|key| !key.contains(' ')).collect();
    assert_eq!(keys.iter().cloned().collect::<BTreeSet<_>>(), known_keys());
    assert_eq!(keys.len(), known_keys().len(), "no key stands there twice");
    assert_eq!(keys[..7], REQUIRED.map(|(key, _)| key.to_owned()));
}

fn example(path: &Path) -> Config {
    let vars: BTreeMap<_, _> = dotenvy::from_path_iter(path).unwrap().map(Result::unwrap).collect();
    Config::from_vars(|key| vars.get(key).cloned()).unwrap()
}

#[test]
fn the_example_is_accepted_and_tells_the_true_defaults() {
    let plain = example(Path::new(EXAMPLE));

    let mut text = fs::read_to_string(EXAMPLE).unwrap();
    for key in KEYS {
        // These have no default that could be written down.
        let undefined = [
            "PAGERDUTY_FALLBACK_ROUTING_KEY",
            "OPSGENIE_WEBHOOK_TOKEN",
            "OPSGENIE_QUERY",
            "ADMIN_TOKEN",
            "ADMIN_HOSTS",
            "LOG_FORMAT",
        ];
        if !undefined.contains(&key) {
            text = text.replace(&format!("# {key}="), &format!("{key}="));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    fs::write(&path, text).unwrap();
    assert_eq!(format!("{plain:?}"), format!("{:?}", example(&path)));
    assert!(EnvFile::read(&path).unwrap().get("RETENTION_DAYS").is_some());
}

#[test]
fn comments_may_follow_values() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(".env");
    let text: String = REQUIRED.iter().map(|(key, value)| format!("{key}='{value}' # a comment\n")).collect();
    fs::write(&path, text + "LISTEN_ADDR=:5003 # a comment\nRUST_LOG= # a comment\nRETENTION_DAYS=7\t# a comment")
        .unwrap();
    let file = EnvFile::read(&path).unwrap();
    let config = Config::from_vars(|key| file.get(key)).unwrap();
    assert_eq!(config.listen.port(), 5003);
    assert_eq!(config.log_filter, "info");
    assert_eq!(config.retention, days(7));
    assert_eq!(config.pagerduty.api_key.expose_secret(), "hunter-pd-key");
}

/// Any text, and texts that are nearly right.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        "\\PC{0,20}",
        "[0-9:.,]{0,12}",
        "(https?|sled|postgres)://[a-z0-9.:@/?#%\\[\\]-]{0,20}",
        "[a-z_:=,]{0,20}(debug|info|off|note|close|us|eu|json)",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_environment_says_is_taken_or_told_by_its_key(
        given in prop::collection::vec((0..KEYS.len(), any_value()), 1..5),
    ) {
        let changes: Vec<_> = given.iter().map(|(key, value)| (KEYS[*key], Some(value.as_str()))).collect();
        if let Err(error) = read(&changes) {
            prop_assert!(!error.problems.is_empty());
            for problem in &error.problems {
                prop_assert!(changes.iter().any(|(key, _)| *key == problem.key), "{}: {problem}", problem.key);
                prop_assert!(!problem.text.is_empty());
            }
        }
    }

    #[test]
    fn a_secret_is_shown_nowhere(number in 0..SECRETS.len(), before in any_value(), after in any_value()) {
        let secret = format!("{before}hunter2{after}");
        let shown = match read(&[(SECRETS[number], Some(&secret)), ("RETENTION_DAYS", Some("0"))]) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains("hunter2"), "{shown}");
        if let Ok(config) = read(&[(SECRETS[number], Some(&secret))]) {
            let shown = format!("{config:?}");
            prop_assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
