//! The contract: what crosspage asks of the vendors, and what the simulators answer, by the vendors' published OpenAPI
//! documents. They are not part of this project: `CROSSPAGE_OPENAPI_DIR` names a folder that has them as
//! `opsgenie-openapi.json` (Swagger 2.0), `pagerduty-openapi.json` and `pagerduty-events-v2-openapi.json` (OpenAPI 3.0).
//! Without it there is nothing to check against, and nothing is checked.

mod amendments;
mod check;
mod document;
mod stories;
mod surface;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::OnceLock;

use simulators::CallRecord;

use document::Document;

const FOLDER: &str = "CROSSPAGE_OPENAPI_DIR";

struct Documents {
    opsgenie: Vec<Document>,
    pagerduty: Vec<Document>,
}

/// The documents, if the environment says where they are.
fn documents() -> Option<&'static Documents> {
    static DOCUMENTS: OnceLock<Option<Documents>> = OnceLock::new();
    let read = || {
        let folder = std::env::var_os(FOLDER)?;
        let read = |file, vendor, base, scheme| Document::read(Path::new(&folder), file, vendor, base, scheme);
        Some(Documents {
            opsgenie: vec![read("opsgenie-openapi.json", "Opsgenie", "", Some("GenieKey"))],
            pagerduty: vec![
                read("pagerduty-openapi.json", "PagerDuty", "", Some("Token")),
                read("pagerduty-events-v2-openapi.json", "Events", "/v2", None),
            ],
        })
    };
    DOCUMENTS.get_or_init(read).as_ref()
}

/// What came of checking some calls.
#[derive(Default)]
struct Findings {
    /// How often each operation was called, by whom, with which status.
    operations: BTreeMap<String, usize>,
    /// Those that the product called.
    ours: BTreeSet<String>,
    /// What deviates.
    deviations: BTreeSet<String>,
    records: usize,
}

impl Findings {
    fn add(&mut self, documents: &[Document], calls: &[CallRecord]) {
        for call in calls {
            self.records += 1;
            let operation = documents.iter().find_map(|one| one.operation(&call.method, &call.path));
            if let Some(operation) = operation {
                let name = format!("{} {}", call.method, operation.template);
                if check::is_ours(call) {
                    self.ours.insert(name.clone());
                }
                *self.operations.entry(name).or_default() += 1;
            }
            self.deviations.extend(check::deviations(documents, call));
        }
    }

    fn of(documents: &Documents, opsgenie: &[CallRecord], pagerduty: &[CallRecord]) -> Self {
        let mut findings = Self::default();
        findings.add(&documents.opsgenie, opsgenie);
        findings.add(&documents.pagerduty, pagerduty);
        findings
    }

    fn assert_none(&self) {
        let lines: Vec<&str> = self.deviations.iter().map(String::as_str).collect();
        assert!(lines.is_empty(), "{} deviations from the vendors' documents:\n{}", lines.len(), lines.join("\n"));
    }
}

/// Fails if any of the calls deviates from the vendors' documents, where they are at hand.
pub(crate) fn hold(opsgenie: &[CallRecord], pagerduty: &[CallRecord]) {
    if let Some(documents) = documents() {
        Findings::of(documents, opsgenie, pagerduty).assert_none();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_product_and_the_simulators_keep_to_the_vendors_documents() {
    let Some(documents) = documents() else {
        println!("{FOLDER} is not set: nothing to check against");
        return;
    };
    let mut findings = Findings::default();
    for (opsgenie, pagerduty) in [stories::told().await, surface::called()] {
        findings.add(&documents.opsgenie, &opsgenie);
        findings.add(&documents.pagerduty, &pagerduty);
    }
    println!("{} records of {} operations", findings.records, findings.operations.len());
    for (operation, count) in &findings.operations {
        let whose = if findings.ours.contains(operation) { " (crosspage too)" } else { "" };
        println!("{count:5} {operation}{whose}");
    }
    findings.assert_none();
    let ours: Vec<&str> = findings.ours.iter().map(String::as_str).collect();
    assert_eq!(ours, OURS, "the operations that crosspage uses are all told about, and there are no others");
}

/// A change of a record, and a piece of what must be said of it.
type Damage = (fn(&mut CallRecord), &'static str);

#[test]
fn whatever_deviates_is_found() {
    let Some(documents) = documents() else { return };
    let calls = surface::called();
    let good = |calls: &[CallRecord], method: &str, path: &str| {
        let found = calls.iter().find(|call| call.method == method && call.path.ends_with(path));
        let mut call = found.unwrap().clone();
        call.headers.push(("user-agent".to_owned(), "crosspage/1".to_owned()));
        call
    };
    let note = good(&calls.0, "POST", "/acknowledge");
    let page = good(&calls.1, "POST", "/incidents");
    let list = good(&calls.1, "GET", "/incidents");
    let rows: [(&[Document], &CallRecord, Damage); 14] = [
        (&documents.opsgenie, &note, (|call| call.method = "PUT".to_owned(), "no such operation")),
        (&documents.opsgenie, &note, (|call| call.path.push_str("/x"), "no such operation")),
        (
            &documents.opsgenie,
            &note,
            (|call| call.body = change(&call.body, "source", "origin"), "'origin' was unexpected"),
        ),
        (&documents.opsgenie, &note, (|call| call.query.push_str("&colour=red"), "colour is unknown")),
        (&documents.opsgenie, &note, (|call| call.query = "identifierType=x".to_owned(), "is not one of")),
        (
            &documents.opsgenie,
            &note,
            (|call| call.answer = change(&call.answer, "took", "time"), "\"took\" is a required"),
        ),
        (
            &documents.opsgenie,
            &note,
            (|call| call.headers.retain(|(name, _)| name != "authorization"), "the key is missing"),
        ),
        (
            &documents.pagerduty,
            &page,
            (|call| call.headers.retain(|(name, _)| name != "from"), "header From is missing"),
        ),
        (
            &documents.pagerduty,
            &page,
            (|call| call.headers.retain(|(name, _)| name != "accept"), "header Accept is missing"),
        ),
        (
            &documents.pagerduty,
            &page,
            (|call| call.body = change(&call.body, "urgency", "urgence"), "'urgence' was unexpected"),
        ),
        (
            &documents.pagerduty,
            &page,
            (|call| call.body = change(&call.body, "title", "headline"), "\"title\" is a required"),
        ),
        (
            &documents.pagerduty,
            &page,
            (|call| call.answer = change(&call.answer, "acknowledgements", "acks"), "'acks' was unexpected"),
        ),
        (&documents.pagerduty, &page, (|call| call.status = 202, "the status is not described")),
        (&documents.pagerduty, &list, (|call| call.query.push_str("&statuses[]=odd"), "is not one of")),
    ];
    for (documents, good, (damage, expected)) in rows {
        assert_eq!(check::deviations(documents, good), [] as [&str; 0]);
        let mut call = good.clone();
        damage(&mut call);
        let found = check::deviations(documents, &call).join("\n");
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

/// The same JSON with another name for one field.
fn change(json: &str, from: &str, to: &str) -> String {
    let (from, to) = (format!("\"{from}\":"), format!("\"{to}\":"));
    assert!(json.contains(&from), "{json}");
    json.replace(&from, &to)
}

/// Every operation that the product's clients use.
const OURS: [&str; 23] = [
    "DELETE /webhook_subscriptions/{id}",
    "GET /abilities",
    "GET /incidents",
    "GET /incidents/{id}",
    "GET /incidents/{id}/notes",
    "GET /priorities",
    "GET /services/{id}",
    "GET /users",
    "GET /users/me",
    "GET /v2/alerts/count",
    "GET /v2/alerts/requests/{requestId}",
    "GET /v2/alerts/{identifier}",
    "GET /v2/alerts/{identifier}/notes",
    "GET /webhook_subscriptions",
    "POST /incidents",
    "POST /incidents/{id}/notes",
    "POST /v2/alerts",
    "POST /v2/alerts/{identifier}/acknowledge",
    "POST /v2/alerts/{identifier}/close",
    "POST /v2/alerts/{identifier}/notes",
    "POST /v2/alerts/{identifier}/unacknowledge",
    "POST /webhook_subscriptions",
    "PUT /incidents/{id}",
];
