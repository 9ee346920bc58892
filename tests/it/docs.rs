//! What the pages for people say, as far as a machine can tell whether it is so.

mod blocks;
mod followed;
mod reader;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::tidy::sources;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The project's pages, each with its text.
fn pages() -> Vec<(PathBuf, String)> {
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let listed = [root().to_owned(), root().join("docs")].into_iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let pages = listed.map(|entry| entry.unwrap().path()).filter(is_page);
    let pages: Vec<_> = pages.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    assert!(pages.len() >= 10, "the pages: {pages:?}");
    pages
}

/// Where the links in a text lead, with what follows `#`.
fn links(text: &str) -> Vec<(&str, Option<&str>)> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.map(|target| target.split_once('#').map_or((target, None), |(path, part)| (path, Some(part)))).collect()
}

/// What the headings of a page are called in links to them.
fn headings(text: &str) -> BTreeSet<String> {
    let mut in_code = false;
    let prose = text.lines().filter(|line| {
        in_code ^= line.trim_start().starts_with("```");
        !in_code
    });
    let titles = prose.filter_map(|line| line.strip_prefix('#')).map(|line| line.trim_start_matches('#').trim());
    let kept = |c: char| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
    };
    titles.map(|title| title.chars().filter_map(kept).collect()).collect()
}

/// The words of a text that look like the environment's: capitals with an underscore between them.
fn keys(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_key = |word: &&str| {
        let capital = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        word.contains('_') && word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().all(capital)
    };
    words.filter(is_key).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    for (page, text) in pages() {
        for (path, part) in links(&text) {
            if path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let target = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
            assert!(target.exists(), "{} links to {path}, which is not there", page.display());
            if let Some(part) = part {
                let text = fs::read_to_string(&target).unwrap();
                assert!(headings(&text).contains(part), "{} links to {path}#{part}: no such heading", page.display());
            }
        }
    }
}

#[test]
fn every_page_for_operators_is_in_the_index() {
    let index = fs::read_to_string(root().join("docs/README.md")).unwrap();
    let listed: BTreeSet<&str> = links(&index).into_iter().map(|(path, _)| path).collect();
    for (page, _) in pages() {
        let Ok(name) = page.strip_prefix(root().join("docs")) else { continue };
        let name = name.to_str().unwrap();
        assert!(name == "README.md" || listed.contains(name), "docs/README.md should list {name}");
    }
}

/// Keys that are read by others than our configuration: the HTTP client, and the tests.
const OF_OTHERS: [&str; 5] = ["HTTPS_PROXY", "NO_PROXY", "CROSSPAGE_OPENAPI_DIR", "CROSSPAGE_SEED", "CROSSPAGE_SEEDS"];

#[test]
fn the_pages_and_the_configuration_know_the_same_keys() {
    let known = fs::read_to_string(root().join("src/config/vars.rs")).unwrap();
    let quoted: BTreeSet<&str> = known.split('"').skip(1).step_by(2).collect();
    let known: BTreeSet<&str> = keys(&known).intersection(&quoted).copied().collect();
    assert!(known.len() >= 20, "the keys: {known:?}");
    let example = fs::read_to_string(root().join(".env-example")).unwrap();
    for (page, text) in pages() {
        for key in keys(&text) {
            let by_file = key.ends_with("_FILE") && keys(&example).contains(key);
            let is_known = known.contains(key) || by_file || OF_OTHERS.contains(&key);
            assert!(is_known, "{} names {key}, which no configuration reads", page.display());
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let told = keys(&readme);
    for key in known {
        assert!(told.contains(key), "README.md should tell of {key}");
    }
}

#[test]
fn what_the_pages_post_is_there() {
    let posted = |text: &str| -> Vec<String> {
        let ends = |c: char| c.is_whitespace() || "`\"')".contains(c);
        let paths = text.match_indices("examples/").map(|(at, _)| text[at..].split(ends).next().unwrap_or_default());
        paths.filter(|path| path.ends_with(".json")).map(str::to_owned).collect()
    };
    for (page, text) in pages() {
        for path in posted(&text) {
            assert!(root().join(&path).is_file(), "{} posts {path}, which is not there", page.display());
        }
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(posted(&readme).len() >= 5, "the curl lines of README.md: {:?}", posted(&readme));
}

/// The lines of the log that a page's tables explain: what stands in backticks in the first column, where that is headed so.
/// What a line leaves open is written as an ellipsis, and parts it.
fn log_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut in_table = false;
    for row in text.lines() {
        let first = row.strip_prefix('|').and_then(|row| row.split('|').next()).map(str::trim);
        in_table = first.is_some_and(|first| in_table || first == "Line");
        lines.extend(first.filter(|_| in_table).into_iter().flat_map(|first| first.split('`').skip(1).step_by(2)));
    }
    lines.into_iter().flat_map(|line| line.split('…')).map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[test]
fn every_line_of_the_log_that_is_explained_is_logged() {
    let sources: Vec<String> = sources("src").into_iter().map(|(_, text)| text).collect();
    let mut explained = 0;
    for (page, text) in pages() {
        for line in log_lines(&text) {
            let logged = sources.iter().any(|source| source.contains(line));
            assert!(logged, "{} explains a line that is never logged: {line}", page.display());
            explained += 1;
        }
    }
    assert!(explained >= 20, "only {explained} lines");
}

#[test]
fn links_headings_keys_and_lines_are_seen_as_they_are_written() {
    let text =
        "# A title: of `two` parts\nSee [there](a.md#b-c), ![x](y.png) and [here](#d).\n```sh\n# no heading\n```\n";
    assert_eq!(links(text), [("a.md", Some("b-c")), ("y.png", None), ("", Some("d"))]);
    assert_eq!(headings(text), BTreeSet::from(["a-title-of-two-parts".to_owned()]));
    assert_eq!(keys("`A_KEY`, A_KEY_FILE=x NOKEY no_key CamelCase_X"), BTreeSet::from(["A_KEY", "A_KEY_FILE"]));
    let text = "| Line | Do |\n|---|---|\n| `a … b` or `c` | `d` |\n\n| Key |\n|---|\n| `e` |\n";
    assert_eq!(log_lines(text), ["a", "b", "c"]);
}
