//! `crosspage sandbox`: the product between two simulated vendors on loopback. It plays one incident's story in both
//! directions, and then stays open to be played with by the vendors' own APIs.

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use simulators::opsgenie::{self, NewAlert};
use simulators::pagerduty;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{Application, Tuning};
use crate::config::Config;
use crate::telemetry::{self, LogFormat};

/// What the sandbox is to do.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Options {
    /// End after the story; the exit code is 0 only if every step showed on the other side.
    #[arg(long)]
    pub once: bool,
    /// Show the log of crosspage while it works.
    #[arg(long)]
    pub log: bool,
}

/// How long a step may take to show on the other side.
const STEP_MAY_TAKE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(1);

const JANE: &str = "jane@example.com";
const ADA: &str = "PUSR001";

/// Runs the sandbox.
pub async fn run(options: Options) -> ExitCode {
    if options.log
        && let Err(error) = telemetry::init(LogFormat::Text, "info")
    {
        eprintln!("crosspage: {error}");
    }
    match play(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crosspage: the sandbox could not be set up: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn play(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let stage = Stage::set(folder.path()).await?;
    print(&stage.whereabouts());
    let story = stage.story().await;
    print(&table(&story));
    if !options.once {
        print(&stage.things_to_try());
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    }
    stage.clear().await;
    Ok(converged(&story))
}

fn print(text: &str) {
    use std::io::Write as _;
    // Nobody may be reading any more; the exit code tells how the story went all the same.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// crosspage and the two vendors.
struct Stage {
    opsgenie: opsgenie::Server,
    pagerduty: pagerduty::Server,
    account: Account,
    app: Application,
}

/// What the simulated vendors were set up with.
struct Account {
    opsgenie: opsgenie::Options,
    pagerduty: pagerduty::Options,
}

impl Stage {
    async fn set(folder: &std::path::Path) -> Result<Self, Box<dyn std::error::Error>> {
        let account = Account {
            opsgenie: opsgenie::Options { processing_ms: 5, ..opsgenie::Options::default() },
            pagerduty: pagerduty::Options::default(),
        };
        let opsgenie = opsgenie::Server::start(account.opsgenie.clone()).await?;
        let pagerduty = pagerduty::Server::start(account.pagerduty.clone()).await?;
        let secret = account.pagerduty.webhook_secrets.join(",");
        let vars: HashMap<&str, String> = HashMap::from([
            ("PAGERDUTY_API_KEY", account.pagerduty.api_key.clone()),
            ("PAGERDUTY_API_URL", pagerduty.url()),
            ("PAGERDUTY_SERVICE_ID", account.pagerduty.service_id.clone()),
            ("PAGERDUTY_WEBHOOK_SECRET", secret),
            ("PAGERDUTY_EMAIL", account.pagerduty.automation.email.clone()),
            ("PAGERDUTY_USER", account.pagerduty.automation.name.clone()),
            ("OPSGENIE_API_KEY", account.opsgenie.api_key.clone()),
            ("OPSGENIE_API_URL", opsgenie.url()),
            ("OPSGENIE_INTEGRATION_ID", account.opsgenie.integration_id.clone()),
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
            ("DATABASE_URL", format!("sled://{}", folder.join("store").display())),
        ]);
        let config = Config::from_vars(|key| vars.get(key).cloned())?;
        let app = Application::start(config, Tuning::default()).await?;
        opsgenie.webhook_to(&format!("http://{}/ops-webhook", app.address()));
        pagerduty.webhook_to(&format!("http://{}/pd-webhook", app.address()));
        Ok(Self { opsgenie, pagerduty, account, app })
    }

    async fn clear(self) {
        self.app.stop().await;
        self.opsgenie.stop().await;
        self.pagerduty.stop().await;
    }

    fn whereabouts(&self) -> String {
        format!(
            "crosspage sandbox: nothing here leaves this machine, and nothing is kept.\n\n  \
             crosspage            http://{}\n  \
             simulated Opsgenie   {}\n  \
             simulated PagerDuty  {}\n\n",
            self.app.address(),
            self.opsgenie.url(),
            self.pagerduty.url(),
        )
    }

    fn things_to_try(&self) -> String {
        let (opsgenie, pagerduty) = (self.opsgenie.url(), self.pagerduty.url());
        let genie = format!("-H 'Authorization: GenieKey {}'", self.account.opsgenie.api_key);
        let token = format!("-H 'Authorization: Token token={}'", self.account.pagerduty.api_key);
        let json = "-H 'Content-Type: application/json'";
        let ada = self.account.pagerduty.users.first().map_or("", |user| user.email.as_str());
        format!(
            "Now it is your turn, in another terminal:\n\n\
             # An alert in Opsgenie, by Jane; it pages in PagerDuty.\n\
             curl -s {opsgenie}/v2/alerts {genie} {json} -d '{{\"message\":\"Disk full\",\"user\":\"{JANE}\"}}'\n\
             # The incidents in PagerDuty.\n\
             curl -s {pagerduty}/incidents {token}\n\
             # Ada takes it; the alert is acknowledged and told by whom. Put in the incident's id.\n\
             curl -s -X PUT {pagerduty}/incidents/ID {token} {json} -H 'From: {ada}' \\\n  \
             -d '{{\"incident\":{{\"type\":\"incident_reference\",\"status\":\"acknowledged\"}}}}'\n\
             # What the alert looks like now. Put in the alert's id.\n\
             curl -s {opsgenie}/v2/alerts/ID {genie}\n\
             curl -s {opsgenie}/v2/alerts/ID/notes {genie}\n\
             # A webhook by hand, as Opsgenie posts it.\n\
             curl -i http://{}/ops-webhook {json} -d '{{\"action\":\"Create\",\"alert\":{{\"alertId\":\"test-123\",\
             \"message\":\"Test alert\"}},\"integrationId\":\"{}\"}}'\n\n\
             Ctrl-C ends the sandbox.\n",
            self.app.address(),
            self.account.opsgenie.integration_id,
        )
    }

    /// One incident's story, from the alert to its end, and what each step showed on the other side.
    async fn story(&self) -> Vec<Row> {
        let started = Instant::now();
        let alert = self.opsgenie.model().human_creates(NewAlert {
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
        self.pagerduty.model().incident_by_key(key).first().map(|incident| incident.id.clone())
    }

    fn incident_is(&self, pair: &Pair, status: &str, note: &str) -> bool {
        let model = self.pagerduty.model();
        let incident = model.incident(&pair.incident);
        incident
            .is_some_and(|i| i.status == status && (note.is_empty() || i.notes.iter().any(|n| n.text.contains(note))))
    }

    fn alert_is(&self, pair: &Pair, acknowledged: bool, note: &str) -> bool {
        let model = self.opsgenie.model();
        let alert = model.alert(&pair.alert);
        alert.is_some_and(|a| a.acknowledged == acknowledged && a.notes.iter().any(|n| n.text.contains(note)))
    }

    /// Whether all is quiet, with one incident for the alert and no note that stands twice.
    async fn is_told_once(&self, key: &str, pair: &Pair) -> bool {
        let Ok(queued) = self.app.store().summary().await else { return false };
        let busy = queued.opsgenie.entries + queued.pagerduty.entries > 0;
        if busy || !self.opsgenie.is_quiet() || !self.pagerduty.is_quiet() {
            return false;
        }
        let pagerduty = self.pagerduty.model();
        let opsgenie = self.opsgenie.model();
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
            stage.opsgenie.model().human_adds_note(&pair.alert, JANE, "We see errors at the till");
        },
        shows: "PagerDuty: the note, with her name",
        check: |stage, pair| stage.incident_is(pair, "triggered", "jane@example.com: We see errors at the till"),
    },
    Step {
        name: "ack",
        done: "PagerDuty: Ada acknowledges",
        act: |stage, pair| {
            stage.pagerduty.model().human_acknowledges(&pair.incident, ADA);
        },
        shows: "Opsgenie: acknowledged, and by whom",
        check: |stage, pair| stage.alert_is(pair, true, "Ada Oncall acknowledged"),
    },
    Step {
        name: "note",
        done: "PagerDuty: Ada writes a note",
        act: |stage, pair| {
            stage.pagerduty.model().human_adds_note(&pair.incident, ADA, "Cleaning up old logs");
        },
        shows: "Opsgenie: the note, with her name",
        check: |stage, pair| stage.alert_is(pair, true, "Ada Oncall: Cleaning up old logs"),
    },
    Step {
        name: "unack",
        done: "PagerDuty: Ada lets go of it",
        act: |stage, pair| {
            stage.pagerduty.model().human_unacknowledges(&pair.incident, ADA);
        },
        shows: "Opsgenie: open again, and who let go",
        check: |stage, pair| stage.alert_is(pair, false, "Ada Oncall let go"),
    },
    Step {
        name: "ack",
        done: "Opsgenie: Jane acknowledges",
        act: |stage, pair| {
            stage.opsgenie.model().human_acknowledges(&pair.alert, JANE);
        },
        shows: "PagerDuty: acknowledged, and by whom",
        check: |stage, pair| stage.incident_is(pair, "acknowledged", "jane@example.com acknowledged"),
    },
    Step {
        name: "unack",
        done: "Opsgenie: Jane lets go of it",
        act: |stage, pair| {
            stage.opsgenie.model().human_unacknowledges(&pair.alert, JANE);
        },
        shows: "PagerDuty: pages again, and who let go",
        check: |stage, pair| stage.incident_is(pair, "triggered", "jane@example.com let go"),
    },
    Step {
        name: "resolve",
        done: "PagerDuty: Ada resolves",
        act: |stage, pair| {
            stage.pagerduty.model().human_resolves(&pair.incident, ADA, None);
        },
        shows: "Opsgenie: told by whom; its owner closes",
        check: |stage, pair| stage.alert_is(pair, false, "Ada Oncall resolved"),
    },
    Step {
        name: "reopen",
        done: "PagerDuty: Ada reopens",
        act: |stage, pair| {
            stage.pagerduty.model().human_reopens(&pair.incident, ADA);
        },
        shows: "Opsgenie: told by whom",
        check: |stage, pair| stage.alert_is(pair, false, "Ada Oncall reopened"),
    },
    Step {
        name: "close",
        done: "Opsgenie: Jane closes the alert",
        act: |stage, pair| {
            stage.opsgenie.model().human_closes(&pair.alert, JANE, Some("Fixed, thank you"));
        },
        shows: "PagerDuty: resolved, and why",
        check: |stage, pair| stage.incident_is(pair, "resolved", "jane@example.com closed the alert: Fixed, thank you"),
    },
];

/// What a step came to.
struct Row {
    step: &'static str,
    done: &'static str,
    shows: &'static str,
    took: Option<Duration>,
}

fn converged(rows: &[Row]) -> bool {
    rows.len() == STORY.len() + 2 && rows.iter().all(|row| row.took.is_some())
}

fn table(rows: &[Row]) -> String {
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
