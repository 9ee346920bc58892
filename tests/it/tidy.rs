//! What the architecture forbids, checked on the sources themselves.

use std::fs;
use std::path::{Path, PathBuf};

/// The longest a source file may be; tests may be a little longer.
const MOST_LINES: usize = 460;
const MOST_LINES_OF_TESTS: usize = 650;

fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "there are sources in {folder}");
    found
}

/// The modules of this crate that a source names.
fn named(text: &str) -> Vec<String> {
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let group = group.split('}').next().unwrap_or_default();
            named.extend(group.split(',').map(|part| part.trim().split("::").next().unwrap_or_default().to_owned()));
        } else {
            named.push(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned());
        }
    }
    named.retain(|module| module.chars().next().is_some_and(char::is_lowercase));
    named
}

#[test]
fn each_module_imports_only_what_it_may() {
    let rules: &[(&str, &[&str])] = &[
        ("src/engine", &["engine"]),
        ("src/opsgenie", &["engine", "http", "opsgenie"]),
        ("src/pagerduty", &["engine", "http", "pagerduty"]),
        ("src/store", &["engine", "store"]),
        ("src/reconcile", &["clock", "delivery", "engine", "opsgenie", "pagerduty", "reconcile", "store"]),
        ("src/delivery", &["clock", "delivery", "engine", "opsgenie", "pagerduty", "store"]),
    ];
    for (folder, allowed) in rules {
        for (path, text) in sources(folder) {
            for module in named(&text) {
                assert!(
                    allowed.contains(&module.as_str()),
                    "{} imports crate::{module}, which {folder} may not: see ARCHITECTURE.md",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_engine_does_no_io_reads_no_clock_and_draws_no_random_number() {
    for (path, text) in sources("src/engine") {
        for forbidden in
            ["std::fs", "std::net", "std::io", "std::env", "SystemTime", "Instant", "tokio", "async fn", "rand::"]
        {
            assert!(!text.contains(forbidden), "{} uses {forbidden}", path.display());
        }
    }
}

#[test]
fn frameworks_stay_where_they_belong() {
    for (path, text) in sources("src") {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().into_owned();
        if text.contains("use actix_web") {
            let allowed = ["src/server.rs", "src/app.rs", "src/http/"].iter().any(|allowed| name.starts_with(allowed));
            assert!(allowed, "{name} uses actix-web");
        }
        if text.contains("sled::Config") || text.contains("sled::Db") {
            assert!(name.starts_with("src/store/"), "{name} uses sled");
        }
        if text.contains("SystemTime") {
            assert_eq!(name, "src/clock.rs", "the clock is read in one place");
        }
    }
}

#[test]
fn a_file_reads_in_one_sitting() {
    for folder in ["src", "simulators/src", "tests/it"] {
        for (path, text) in sources(folder) {
            let of_tests = folder == "tests/it"
                || path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs");
            let most = if of_tests { MOST_LINES_OF_TESTS } else { MOST_LINES };
            let lines = text.lines().count();
            assert!(lines <= most, "{} has {lines} lines; split it at {most}", path.display());
        }
    }
}
