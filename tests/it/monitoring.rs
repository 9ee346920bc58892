//! What watches crosspage, as far as a machine can tell whether it fits: the dashboard, the alert rules and the runbook.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::Duration;

use crosspage::engine::outbox::call::{Failure, Refusal};
use crosspage::engine::{Action, Reason, System, Timestamp};
use crosspage::metrics::{Metrics, Operation, Reading};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Everything that is ever shown, once.
fn shown() -> String {
    let metrics = Metrics::default();
    let reason = String::new;
    let failures = [
        Failure::TryAgain { reason: reason(), hold: None },
        Failure::Unclear { reason: reason(), hold: None },
        Failure::Unauthorized(reason()),
        Failure::Refused { meaning: Refusal::Other, reason: reason() },
    ];
    for failure in failures.iter().map(Some).chain([None]) {
        metrics.called(System::PagerDuty, Operation::PROBE, Duration::ZERO, failure);
    }
    metrics.decided(Reason::NoDrift);
    metrics.mirrored(System::Opsgenie, &Action::FetchAlert, Duration::ZERO);
    let last_complete_pass = Some(Timestamp::from_millis(0));
    metrics.encode(&Reading { subscription_up: Some(true), last_complete_pass, ..Reading::default() })
}

/// The metrics by their names, each with its type.
fn families(text: &str) -> BTreeMap<&str, &str> {
    text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

/// The names that a metric's series go by.
fn series(name: &str, kind: &str) -> Vec<String> {
    let suffixes: &[&str] = match kind {
        "counter" => &["_total"],
        "histogram" => &["_bucket", "_sum", "_count"],
        "info" => &["_info"],
        "gauge" => &[""],
        other => panic!("{name} is a {other}"),
    };
    suffixes.iter().map(|suffix| format!("{name}{suffix}")).collect()
}

/// The words of a text that are names of metrics.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("crosspage_")).collect()
}

/// The expressions of the rules and of the dashboard.
fn expressions() -> Vec<String> {
    let mut found = Vec::new();
    let rules = read("deploy/prometheus/alerts.yaml");
    let mut lines = rules.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(first) = line.trim_start().strip_prefix("expr: ") else { continue };
        let mut expression = first.trim_start_matches('|').to_owned();
        let indent = line.len() - line.trim_start().len();
        while let Some(more) = lines.next_if(|line| line.len() - line.trim_start().len() > indent) {
            expression.push_str(more);
        }
        found.push(expression);
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/crosspage.json")).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().into_iter().flatten();
        found.extend(targets.map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    found
}

/// What rules there are, each with the lines about it.
fn rules(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut rules = BTreeMap::new();
    for rule in text.split("- alert: ").skip(1) {
        let mut lines = rule.lines().map(str::trim);
        assert_eq!(rules.insert(lines.next().unwrap(), lines.collect()), None, "each rule has a name of its own");
    }
    rules
}

#[test]
fn every_metric_has_a_legal_name_and_says_what_it_is() {
    let text = shown();
    let families = families(&text);
    assert!(families.len() >= 30, "{families:?}");
    for (name, kind) in &families {
        let rest = name.strip_prefix("crosspage_").unwrap_or_else(|| panic!("{name} should begin with crosspage_"));
        assert!(rest.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        assert!(!rest.ends_with("_total") && !rest.contains("__"), "{name}");
        let help = text.lines().find_map(|line| line.strip_prefix("# HELP ")?.strip_prefix(*name)?.strip_prefix(' '));
        assert!(
            help.is_some_and(|help| help.len() > 10 && help.ends_with('.')),
            "{name} ({kind}) needs a HELP: {help:?}"
        );
        if ["_duration", "_lag", "_age"].iter().any(|part| name.contains(part)) {
            assert!(name.ends_with("_seconds"), "{name} should tell its unit");
        }
    }
    let known: BTreeSet<String> = families.iter().flat_map(|(name, kind)| series(name, kind)).collect();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        assert!(known.contains(name), "{name} has no TYPE");
    }
}

#[test]
fn what_watches_uses_the_names_that_are_shown_and_all_of_them() {
    let text = shown();
    let families = families(&text);
    let known: BTreeSet<String> = families.iter().flat_map(|(name, kind)| series(name, kind)).collect();
    let mut used = BTreeSet::new();
    for expression in expressions() {
        let (open, closed) = (expression.matches('(').count(), expression.matches(')').count());
        assert!(open == closed && !names(&expression).is_empty(), "{expression}");
        used.extend(names(&expression).into_iter().map(str::to_owned));
    }
    for name in &used {
        assert!(known.contains(name), "the dashboard or a rule uses {name}, which is not shown");
    }
    for (name, kind) in &families {
        assert!(series(name, kind).iter().any(|series| used.contains(series)), "nothing watches {name}");
    }
    for name in names(&read("docs/runbook.md")) {
        assert!(known.contains(name) || families.contains_key(name), "the runbook tells of {name}, which is not shown");
    }
    for path in ["deploy/prometheus/alerts.yaml", "deploy/grafana/crosspage.json"] {
        for name in names(&read(path)) {
            assert!(known.contains(name), "{path} uses {name}, which is not shown");
        }
    }
}

#[test]
fn what_watches_uses_labels_and_values_that_are_shown() {
    let text = shown();
    // Prometheus puts the first one there itself.
    let mut labels: BTreeSet<&str> = BTreeSet::from(["instance", "le"]);
    let sets = text.lines().filter_map(|line| line.split_once('{')?.1.split_once('}')).map(|(set, _)| set);
    labels.extend(sets.flat_map(|set| set.split(',')).filter_map(|label| label.split('=').next()));
    let mut matched = 0;
    for expression in expressions() {
        for by in expression.split("by (").skip(1) {
            let (list, _) = by.split_once(')').unwrap();
            for label in list.split(',').map(str::trim) {
                assert!(labels.contains(label), "{expression}: nothing has the label {label}");
            }
        }
        for set in expression.split('{').skip(1) {
            let (set, _) = set.split_once('}').unwrap();
            for matcher in set.split(',') {
                let (label, value) = matcher.split_once('"').unwrap();
                let label = label.trim_end_matches(['=', '~', '!']);
                assert!(labels.contains(label), "{expression}: nothing has the label {label}");
                for value in value.trim_end_matches('"').split('|').filter(|value| !value.starts_with('$')) {
                    let is_shown = text.contains(&format!("{label}=\"{value}\""));
                    assert!(is_shown, "{expression}: {label} is never {value}");
                    matched += 1;
                }
            }
        }
    }
    assert!(matched >= 5, "only {matched} values");
}

#[test]
fn every_rule_has_its_section_in_the_runbook_and_every_section_its_rule() {
    let (text, runbook) = (read("deploy/prometheus/alerts.yaml"), read("docs/runbook.md"));
    let rules = rules(&text);
    assert!(rules.len() >= 11, "{rules:?}");
    let sections: BTreeMap<&str, &str> =
        runbook.split("\n## ").skip(1).filter_map(|section| section.split_once('\n')).collect();
    for (name, lines) in &rules {
        let section = sections.get(name).unwrap_or_else(|| panic!("docs/runbook.md should have a section {name}"));
        for part in ["**Means**", "**Look**", "**Do**"] {
            assert!(section.contains(part), "the runbook's section {name} should say {part}");
        }
        let has = |key: &str| lines.iter().find_map(|line| line.strip_prefix(key));
        for key in ["expr: ", "for: ", "summary: ", "description: "] {
            assert!(has(key).is_some(), "{name} needs {key}");
        }
        assert!(matches!(has("severity: "), Some("critical" | "warning")), "{name} needs a severity");
        let runbook_url = format!("docs/runbook.md#{}", name.to_lowercase());
        assert_eq!(has("runbook_url: "), Some(runbook_url.as_str()), "{name}");
    }
    for name in sections.keys().filter(|name| name.starts_with("Crosspage")) {
        assert!(rules.contains_key(name), "the runbook has a section {name}, but there is no such rule");
    }
}

#[test]
fn the_dashboard_is_one_that_can_be_imported() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/crosspage.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().unwrap();
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title} takes the data source that is chosen");
        assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{title} says what it shows");
        assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title} shows something");
    }
}
