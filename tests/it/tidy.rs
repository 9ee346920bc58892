//! What the architecture forbids, checked on the sources themselves.

use std::fs;
use std::path::{Path, PathBuf};

/// The longest a source file may be; tests may be a little longer.
const MOST_LINES: usize = 460;
const MOST_LINES_OF_TESTS: usize = 650;

/// The sources in a folder, each with its text.
pub(crate) fn sources(folder: &str) -> Vec<(PathBuf, String)> {
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

/// Where a source stands in the crate: `src/engine/link.rs` is `engine`, `link`; `src/lib.rs` is the crate itself.
fn module_of(path: &Path) -> Vec<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap().with_extension("");
    let mut module: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        module.pop();
    }
    module
}

/// The modules at the crate's root that a source in `module` names, by `crate::` or by as many `super::` as lead out of its
/// own. A star stands for all of them.
fn named(module: &[String], text: &str) -> Vec<String> {
    let mut named = Vec::new();
    // The lines that end the modules that are open, as rustfmt sets them.
    let mut open: Vec<String> = Vec::new();
    let mut code = String::new();
    let mut depths = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
        if open.last().is_some_and(|end| line == end) {
            open.pop();
        }
        depths.extend(std::iter::repeat_n(open.len(), line.len() + 1));
        code.push_str(line);
        code.push('\n');
        let item = line.trim_start();
        let indent = &line[..line.len() - item.len()];
        let item = item.trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ").trim_start_matches("pub ");
        if item.starts_with("mod ") && item.ends_with('{') {
            open.push(format!("{indent}}}"));
        }
    }
    let begins = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
    for (at, _) in code.match_indices("crate::").filter(|(at, _)| begins(*at)) {
        named.extend(first_names(&code[at + "crate::".len()..]));
    }
    for (at, _) in code.match_indices("super::").filter(|(at, _)| begins(*at)) {
        let mut rest = &code[at..];
        let mut steps = 0;
        while let Some(further) = rest.strip_prefix("super::") {
            rest = further;
            steps += 1;
        }
        let depth = module.len() + depths[at];
        match module.first() {
            Some(own) if steps < depth => named.push(own.clone()),
            _ => named.extend(first_names(rest)),
        }
    }
    named.retain(|name| name.starts_with(|c: char| c.is_lowercase() || c == '*'));
    named
}

/// The first name of a path, or of each path in a group.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.strip_prefix('{') else {
        let end = path.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*').unwrap_or(path.len());
        return vec![path[..end].to_owned()];
    };
    let mut names = vec![String::new()];
    let mut depth = 0;
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => names.push(String::new()),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 => names.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    names.iter().map(|name| name.trim().split("::").next().unwrap_or_default().to_owned()).collect()
}

/// What each module may import beside itself, as ARCHITECTURE.md has it. The crate's root only declares, and the command
/// line is a crate of its own.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("engine", &[]),
    ("http", &["engine"]),
    ("opsgenie", &["engine", "http"]),
    ("pagerduty", &["engine", "http"]),
    ("metrics", &["engine"]),
    ("health", &["engine", "metrics"]),
    ("store", &["engine", "metrics"]),
    ("clock", &["engine"]),
    ("telemetry", &[]),
    ("delivery", &["clock", "engine", "health", "metrics", "opsgenie", "pagerduty", "store"]),
    ("reconcile", &["clock", "delivery", "engine", "health", "metrics", "opsgenie", "pagerduty", "store"]),
    ("retention", &["clock", "engine", "store"]),
    ("emergency", &["clock", "delivery", "engine", "metrics", "pagerduty", "store"]),
    ("server", &["clock", "emergency", "engine", "metrics", "opsgenie", "pagerduty", "store"]),
    ("config", &["engine", "store", "telemetry"]),
    (
        "app",
        &[
            "admin",
            "clock",
            "config",
            "delivery",
            "emergency",
            "engine",
            "health",
            "http",
            "metrics",
            "operator",
            "opsgenie",
            "pagerduty",
            "reconcile",
            "retention",
            "server",
            "store",
        ],
    ),
    (
        "operator",
        &[
            "clock",
            "delivery",
            "emergency",
            "engine",
            "health",
            "metrics",
            "opsgenie",
            "pagerduty",
            "reconcile",
            "store",
        ],
    ),
    ("admin", &["clock", "engine", "metrics", "operator", "telemetry"]),
    ("remote", &["admin", "config", "http", "operator", "store"]),
    (
        "check",
        &[
            "app",
            "clock",
            "config",
            "delivery",
            "engine",
            "http",
            "operator",
            "opsgenie",
            "pagerduty",
            "remote",
            "store",
        ],
    ),
    (
        "command",
        &["app", "check", "clock", "config", "engine", "http", "operator", "pagerduty", "remote", "store", "telemetry"],
    ),
    ("sandbox", &["admin", "app", "clock", "config", "engine", "operator", "telemetry"]),
];

#[test]
fn each_module_imports_only_what_it_may() {
    for (path, text) in sources("src") {
        let module = module_of(&path);
        let Some(own) = module.first() else { continue };
        let rule = MAY_IMPORT.iter().find(|(name, _)| name == own);
        let (_, allowed) = rule.unwrap_or_else(|| panic!("{own} needs a rule here and in ARCHITECTURE.md"));
        for name in named(&module, &text) {
            assert!(
                name == *own || allowed.contains(&name.as_str()),
                "{} imports {name}, which {own} may not: see ARCHITECTURE.md",
                path.display()
            );
        }
    }
}

#[test]
fn the_architecture_says_the_same() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    for (module, allowed) in MAY_IMPORT {
        let list = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join("`, `") };
        let row =
            if allowed.is_empty() { format!("| `{module}` | {list} |") } else { format!("| `{module}` | `{list}` |") };
        assert!(text.contains(&row), "ARCHITECTURE.md should have the line: {row}");
    }
}

#[test]
fn each_module_is_on_the_maps() {
    let read = |path: &str| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (root, architecture) = (read("src/lib.rs"), read("ARCHITECTURE.md"));
    let (table, _) = architecture.split_once("## Invariants").unwrap();
    let modules: Vec<_> =
        root.lines().filter_map(|line| line.strip_prefix("pub mod ")).map(|line| line.trim_end_matches(';')).collect();
    assert!(modules.contains(&"reconcile"), "{modules:?}");
    for module in modules {
        assert!(root.contains(&format!("[`{module}`]")), "the layout in src/lib.rs should have `{module}`");
        let rows = [format!("`src/{module}/`"), format!("`src/{module}.rs`"), format!("`{module}.rs`")];
        assert!(rows.iter().any(|row| table.contains(row)), "ARCHITECTURE.md's table should have `src/{module}`");
    }
}

#[test]
fn an_import_is_seen_however_it_is_written() {
    let named = |module: &[&str], text: &str| {
        let module: Vec<String> = module.iter().map(|part| (*part).to_owned()).collect();
        named(&module, text)
    };
    let table: [(&[&str], &str, &[&str]); 13] = [
        (&["engine"], "use crate::store::Store;", &["store"]),
        (&["engine"], "use crate::{http, store::{Store, url}, clock::now};", &["http", "store", "clock"]),
        (&["engine"], "use super::store::Store;", &["store"]),
        (&["engine"], "use super::{http::Client, store};", &["http", "store"]),
        (&["engine"], "use super::*;", &["*"]),
        (&["engine", "link"], "use super::event::AlertId;", &["engine"]),
        (&["engine", "link"], "use super::super::store::Store;", &["store"]),
        (&["engine", "outbox", "steps"], "let x = super::super::super::store::open();", &["store"]),
        (&["engine", "outbox", "steps"], "use super::super::link::Link;", &["engine"]),
        (&["clock"], "mod tests {\n    use super::*;\n}\nuse super::store;", &["clock", "store"]),
        (&["clock"], "mod tests {\n    use super::super::store;\n}", &["store"]),
        (&["clock"], "pub(super) fn now() {}\n// use crate::store;", &[]),
        (&["clock"], "use mycrate::store;", &[]),
    ];
    for (module, text, expected) in table {
        assert_eq!(named(module, text), expected, "{text}");
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

/// Whether a source uses that crate, and not a module of ours with the same name.
fn uses(text: &str, name: &str) -> bool {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = &code[..at];
        let before = before.strip_suffix("::").unwrap_or(before);
        !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"')
    })
}

#[test]
fn frameworks_stay_where_they_belong() {
    for (path, text) in sources("src") {
        let name = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().to_string_lossy().into_owned();
        if ["actix_web", "actix_rt", "actix_http"].iter().any(|actix| uses(&text, actix)) {
            let allowed = ["src/server.rs", "src/app.rs"].contains(&name.as_str())
                || ["src/admin/", "src/sandbox/"].iter().any(|folder| name.starts_with(folder))
                || is_of_tests(&path);
            assert!(allowed, "{name} uses actix-web");
        }
        if uses(&text, "sled") {
            assert_eq!(name, "src/store/sled.rs", "the embedded engine stays in one file");
        }
        if text.contains("SystemTime") {
            assert_eq!(name, "src/clock.rs", "the clock is read in one place");
        }
    }
}

#[test]
fn a_crate_is_told_from_a_module_of_the_same_name() {
    for used in ["::sled::Config::new()", "use sled::Db;", "x(sled::open(y))", "use ::sled::Db;"] {
        assert!(uses(used, "sled"), "{used}");
    }
    for unused in [
        "super::sled::SledBackend",
        "\"sled://data\"",
        "// sled::Db",
        "pub mod sled;",
        "unsled::x",
        "\"sled::pagecache\"",
    ] {
        assert!(!uses(unused, "sled"), "{unused}");
    }
}

fn is_of_tests(path: &Path) -> bool {
    path.iter().any(|part| part == "tests" || part == "tests.rs" || part == "stub.rs")
}

#[test]
fn a_file_reads_in_one_sitting() {
    for folder in ["src", "simulators/src", "tests/it", "benches"] {
        for (path, text) in sources(folder) {
            let of_tests = folder == "tests/it" || is_of_tests(&path);
            let most = if of_tests { MOST_LINES_OF_TESTS } else { MOST_LINES };
            let lines = text.lines().count();
            assert!(lines <= most, "{} has {lines} lines; split it at {most}", path.display());
        }
    }
}
