//! One incident's story, played in both directions, and how long each step took to show on the other side.

use std::time::{Duration, Instant};

use simulators::opsgenie::NewAlert;

use super::stage::Stage;

/// How long a step may take to show on the other side.
const STEP_MAY_TAKE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// Customers, who work in Opsgenie.
pub(super) const JANE: &str = "jane@example.com";
pub(super) const JOHN: &str = "john@example.com";
/// Who is on call, and works in PagerDuty.
const ADA: &str = "PUSR001";

impl Stage {
    /// One incident's story, from the alert to its end, and what each step showed on the other side.
    pub(super) async fn story(&self) -> Vec<Row> {
        let started = Instant::now();
        let alert = self.vendors.opsgenie.model().human_creates(NewAlert {
            message: "Disk full on db-1".to_owned(),
            description: "Less than 5 % left".to_owned(),
            priority: "P2".to_owned(),
            user: JANE.to_owned(),
            ..NewAlert::default()
        });
        let key = format!("opsgenie:{alert}");
        let created = self.wait(started, async || self.incident_under(&key).is_some()).await;
        let mut rows = vec![Row {
            step: "create",
            done: "Opsgenie: an alert comes in",
            shows: "PagerDuty: an incident pages",
            took: created,
        }];
        let Some(incident) = self.incident_under(&key) else { return rows };
        let pair = Pair { alert, incident };
        for step in STORY {
            let started = Instant::now();
            (step.act)(self, &pair);
            let took = self.wait(started, async || (step.check)(self, &pair)).await;
            rows.push(Row { step: step.name, done: step.done, shows: step.shows, took });
        }
        let started = Instant::now();
        let took = self.wait(started, async || self.is_told_once(&key, &pair).await).await;
        rows.push(Row { step: "quiet", done: "nobody does anything", shows: "both: each thing is told once", took });
        rows
    }

    async fn wait(&self, started: Instant, is_so: impl AsyncFn() -> bool) -> Option<Duration> {
        while started.elapsed() < STEP_MAY_TAKE {
            if is_so().await {
                return Some(started.elapsed());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        None
    }

    fn incident_under(&self, key: &str) -> Option<String> {
        self.vendors.pagerduty.model().incident_by_key(key).first().map(|incident| incident.id.clone())
    }

    fn incident_is(&self, pair: &Pair, status: &str, note: &str) -> bool {
        let model = self.vendors.pagerduty.model();
        let incident = model.incident(&pair.incident);
        incident
            .is_some_and(|i| i.status == status && (note.is_empty() || i.notes.iter().any(|n| n.text.contains(note))))
    }

    fn alert_is(&self, pair: &Pair, acknowledged: bool, note: &str) -> bool {
        let model = self.vendors.opsgenie.model();
        let alert = model.alert(&pair.alert);
        alert.is_some_and(|a| a.acknowledged == acknowledged && a.notes.iter().any(|n| n.text.contains(note)))
    }

    /// Whether all is quiet, with one incident for the alert and no note that stands twice.
    async fn is_told_once(&self, key: &str, pair: &Pair) -> bool {
        let Ok(queued) = self.app.store().summary().await else { return false };
        let busy = queued.opsgenie.entries + queued.pagerduty.entries > 0;
        if busy || !self.vendors.opsgenie.is_quiet() || !self.vendors.pagerduty.is_quiet() {
            return false;
        }
        let pagerduty = self.vendors.pagerduty.model();
        let opsgenie = self.vendors.opsgenie.model();
        let mut of_incident: Vec<&str> = pagerduty
            .incident(&pair.incident)
            .map_or_else(Vec::new, |i| i.notes.iter().map(|n| n.text.as_str()).collect());
        let mut of_alert: Vec<&str> =
            opsgenie.alert(&pair.alert).map_or_else(Vec::new, |a| a.notes.iter().map(|n| n.text.as_str()).collect());
        pagerduty.incident_by_key(key).len() == 1 && all_differ(&mut of_incident) && all_differ(&mut of_alert)
    }
}

fn all_differ(texts: &mut [&str]) -> bool {
    texts.sort_unstable();
    texts.windows(2).all(|pair| pair[0] != pair[1])
}

/// The alert and the incident of the story.
struct Pair {
    alert: String,
    incident: String,
}

/// A step of the story: what somebody does on one side, and what is to show on the other.
struct Step {
    name: &'static str,
    done: &'static str,
    act: fn(&Stage, &Pair),
    shows: &'static str,
    check: fn(&Stage, &Pair) -> bool,
}

const STORY: &[Step] = &[
    Step {
        name: "note",
        done: "Opsgenie: Jane writes a note",
        act: |stage, pair| {
            stage.vendors.opsgenie.model().human_adds_note(&pair.alert, JANE, "We see errors at the till");
        },
        shows: "PagerDuty: the note, with her name",
        check: |stage, pair| stage.incident_is(pair, "triggered", "jane@example.com: We see errors at the till"),
    },
    Step {
        name: "ack",
        done: "PagerDuty: Ada acknowledges",
        act: |stage, pair| {
            stage.vendors.pagerduty.model().human_acknowledges(&pair.incident, ADA);
        },
        shows: "Opsgenie: acknowledged, and by whom",
        check: |stage, pair| stage.alert_is(pair, true, "Ada Oncall acknowledged"),
    },
    Step {
        name: "note",
        done: "PagerDuty: Ada writes a note",
        act: |stage, pair| {
            stage.vendors.pagerduty.model().human_adds_note(&pair.incident, ADA, "Cleaning up old logs");
        },
        shows: "Opsgenie: the note, with her name",
        check: |stage, pair| stage.alert_is(pair, true, "Ada Oncall: Cleaning up old logs"),
    },
    Step {
        name: "unack",
        done: "PagerDuty: Ada lets go of it",
        act: |stage, pair| {
            stage.vendors.pagerduty.model().human_unacknowledges(&pair.incident, ADA);
        },
        shows: "Opsgenie: open again, and who let go",
        check: |stage, pair| stage.alert_is(pair, false, "Ada Oncall let go"),
    },
    Step {
        name: "ack",
        done: "Opsgenie: Jane acknowledges",
        act: |stage, pair| {
            stage.vendors.opsgenie.model().human_acknowledges(&pair.alert, JANE);
        },
        shows: "PagerDuty: acknowledged, and by whom",
        check: |stage, pair| stage.incident_is(pair, "acknowledged", "jane@example.com acknowledged"),
    },
    Step {
        name: "unack",
        done: "Opsgenie: Jane lets go of it",
        act: |stage, pair| {
            stage.vendors.opsgenie.model().human_unacknowledges(&pair.alert, JANE);
        },
        shows: "PagerDuty: pages again, and who let go",
        check: |stage, pair| stage.incident_is(pair, "triggered", "jane@example.com let go"),
    },
    Step {
        name: "resolve",
        done: "PagerDuty: Ada resolves",
        act: |stage, pair| {
            stage.vendors.pagerduty.model().human_resolves(&pair.incident, ADA, None);
        },
        shows: "Opsgenie: told by whom; its owner closes",
        check: |stage, pair| stage.alert_is(pair, false, "Ada Oncall resolved"),
    },
    Step {
        name: "reopen",
        done: "PagerDuty: Ada reopens",
        act: |stage, pair| {
            stage.vendors.pagerduty.model().human_reopens(&pair.incident, ADA);
        },
        shows: "Opsgenie: told by whom",
        check: |stage, pair| stage.alert_is(pair, false, "Ada Oncall reopened"),
    },
    Step {
        name: "close",
        done: "Opsgenie: Jane closes the alert",
        act: |stage, pair| {
            stage.vendors.opsgenie.model().human_closes(&pair.alert, JANE, Some("Fixed, thank you"));
        },
        shows: "PagerDuty: resolved, and why",
        check: |stage, pair| stage.incident_is(pair, "resolved", "jane@example.com closed the alert: Fixed, thank you"),
    },
];

/// What a step came to.
pub(super) struct Row {
    step: &'static str,
    done: &'static str,
    shows: &'static str,
    took: Option<Duration>,
}

/// Whether every step showed.
pub(super) fn converged(rows: &[Row]) -> bool {
    rows.len() == STORY.len() + 2 && rows.iter().all(|row| row.took.is_some())
}

/// The story as it is printed.
pub(super) fn table(rows: &[Row]) -> String {
    let mut table =
        format!("{:<8} {:<32} {:<42} {:>9}\n", "step", "what was done", "what showed on the other side", "after");
    for row in rows {
        let took = row.took.map_or_else(|| "never".to_owned(), |took| format!("{:.1} ms", took.as_secs_f64() * 1000.0));
        table.push_str(&format!("{:<8} {:<32} {:<42} {took:>9}\n", row.step, row.done, row.shows));
    }
    let verdict =
        if converged(rows) { "Both sides tell the same story." } else { "The two sides do not tell the same story." };
    format!("{table}\n{verdict}\n\n")
}
