//! `kill -9` of the real binary, again and again on the same folder, while people work and both vendors fail now and then.
//! What people do and when the process dies is drawn from `CROSSPAGE_CRASH_SEED`; how often it dies is
//! `CROSSPAGE_CRASH_KILLS`.

mod binary;
mod emergency;
mod load;
mod orders;
mod pruning;
mod whole;

use std::collections::HashMap;
use std::env;
use std::time::{Duration, Instant};

use crosspage::engine::Policy;
use crosspage::store::{DatabaseUrl, Settings, Store, Summary};
use simulators::opsgenie::{self, AlertStatus};
use simulators::pagerduty::{self, IncidentStatus};
use simulators::wire::Vendor;
use simulators::{Flaky, Retries, WebhookRecord};
use tempfile::TempDir;

use crate::harness::{LOOK_EVERY, TOO_LONG};
use binary::{Binary, Log};
use load::{Dice, Load, Story};

const KILLS: usize = 20;

/// How long people think before they do the next thing.
const PACE: Duration = Duration::from_millis(15);

/// How many webhooks may be outstanding before people wait with what they do next.
const BUSY: usize = 6;

/// How many calls to one vendor may be cut off by one kill.
const CALLS_AT_ONCE: usize = 8;

/// Both vendors, the folder, and what was logged.
struct Ordeal {
    opsgenie: opsgenie::Server,
    pagerduty: pagerduty::Server,
    vars: HashMap<&'static str, String>,
    folder: TempDir,
    log: Log,
}

/// What a kill waits for a number of.
#[derive(Clone, Copy, Debug)]
enum Moment {
    OpsgenieCalls,
    PagerDutyCalls,
    /// These are on their way when the process dies.
    WebhooksPosted,
    WebhooksTaken,
}

impl Ordeal {
    async fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Outages here last for moments; a vendor that has doubled its pauses to minutes would only make the test slow.
        let webhook_retries = Retries { max_ms: 400, ..Retries::default() };
        let mut of_opsgenie = opsgenie::Options { processing_ms: 5, ..opsgenie::Options::default() };
        of_opsgenie.behaviour.webhook_retries = webhook_retries;
        of_opsgenie.behaviour.read_lag_ms = 1_000;
        let mut of_pagerduty = pagerduty::Options::default();
        of_pagerduty.behaviour.webhook_retries = webhook_retries;
        of_pagerduty.behaviour.read_lag_ms = 1_000;
        of_pagerduty.behaviour.note_trim_chars = Some(load::TRIMMED_AT);
        let opsgenie = opsgenie::Server::start(of_opsgenie.clone()).await.unwrap();
        let pagerduty = pagerduty::Server::start(of_pagerduty.clone()).await.unwrap();
        opsgenie.model().faults.flaky = Some(Flaky { seed, one_in: 10 });
        pagerduty.model().faults.flaky = Some(Flaky { seed: seed.wrapping_add(1), one_in: 10 });
        let vars = HashMap::from([
            ("PAGERDUTY_API_KEY", of_pagerduty.api_key),
            ("PAGERDUTY_API_URL", pagerduty.url()),
            ("PAGERDUTY_SERVICE_ID", of_pagerduty.service_id),
            ("PAGERDUTY_WEBHOOK_SECRET", of_pagerduty.webhook_secrets.join(",")),
            ("PAGERDUTY_EMAIL", of_pagerduty.automation.email),
            ("PAGERDUTY_USER", of_pagerduty.automation.name),
            ("PAGERDUTY_RATE_LIMIT", "60000".to_owned()),
            ("OPSGENIE_API_KEY", of_opsgenie.api_key),
            ("OPSGENIE_API_URL", opsgenie.url()),
            ("OPSGENIE_INTEGRATION_ID", of_opsgenie.integration_id),
            ("OPSGENIE_RATE_LIMIT", "60000".to_owned()),
            ("LISTEN_ADDR", "127.0.0.1:0".to_owned()),
            ("ADMIN_ADDR", "127.0.0.1:0".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            ("DATABASE_URL", database(&folder)),
        ]);
        Self { opsgenie, pagerduty, vars, folder, log: Log::default() }
    }

    /// Starts crosspage, and points the vendors' webhooks at it.
    fn start(&self) -> Binary {
        let binary = Binary::start(self.folder.path(), &self.vars, &self.log);
        self.opsgenie.webhook_to(&binary.url("ops-webhook"));
        self.pagerduty.webhook_to(&binary.url("pd-webhook"));
        binary
    }

    fn kill(&self, binary: Binary) {
        binary.kill();
        // Somebody else may be given the port now.
        self.park();
    }

    /// Stops crosspage in good order, whatever is under way.
    fn stop(&self, binary: Binary) {
        let status = binary.terminate();
        self.park();
        assert_eq!(status.code(), Some(0), "an orderly end");
    }

    /// Has the vendors post each webhook twice from here on, or once.
    fn repeat_webhooks(&self, twice: bool) {
        self.opsgenie.model().faults.webhooks.repeat_each = u32::from(twice);
        self.pagerduty.model().faults.webhooks.repeat_each = u32::from(twice);
    }

    fn park(&self) {
        self.opsgenie.model().park_webhooks(true);
        self.pagerduty.model().park_webhooks(true);
    }

    fn count(&self, moment: Moment) -> usize {
        match moment {
            Moment::OpsgenieCalls => self.opsgenie.model().calls().len(),
            Moment::PagerDutyCalls => self.pagerduty.model().calls().len(),
            Moment::WebhooksPosted => {
                self.opsgenie.model().webhooks_sent().len() + self.pagerduty.model().webhooks_sent().len()
            }
            Moment::WebhooksTaken => {
                taken(self.opsgenie.model().webhooks_sent()) + taken(self.pagerduty.model().webhooks_sent())
            }
        }
    }

    fn is_busy(&self) -> bool {
        self.opsgenie.model().webhooks_waiting() + self.pagerduty.model().webhooks_waiting() >= BUSY
    }

    /// Lets people work until `count` more of `moment` have happened.
    async fn work_until(&self, binary: &mut Binary, load: &mut Load, moment: Moment, count: usize) {
        let started = Instant::now();
        let enough = self.count(moment) + count;
        while self.count(moment) < enough {
            assert!(binary.is_running(), "crosspage has ended by itself");
            assert!(started.elapsed() < TOO_LONG, "waited in vain for {count} of {moment:?}");
            if !self.is_busy() {
                load.act(&self.opsgenie, &self.pagerduty);
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Lets crosspage work, looks into its store now and then, and ends when nothing is left to be done.
    async fn settle(&self, mut binary: Binary) -> Store {
        let started = Instant::now();
        loop {
            self.wait_for_quiet(&mut binary, started).await;
            self.stop(binary);
            let store = self.open_store();
            let summary = store.summary().await.unwrap();
            if is_idle(&summary) && self.opsgenie.is_quiet() && self.pagerduty.is_quiet() && self.are_webhooks_through()
            {
                return store;
            }
            assert!(started.elapsed() < TOO_LONG, "this is never done: {summary:?}");
            store.close().await.unwrap();
            binary = self.start();
        }
    }

    /// Waits until no webhook is outstanding, and no call was made for longer than most back-offs last.
    async fn wait_for_quiet(&self, binary: &mut Binary, started: Instant) {
        const QUIET: Duration = Duration::from_secs(3);
        let calls = || self.count(Moment::OpsgenieCalls) + self.count(Moment::PagerDutyCalls);
        let mut seen = calls();
        let mut since = Instant::now();
        while since.elapsed() < QUIET {
            assert!(binary.is_running(), "crosspage has ended by itself");
            assert!(started.elapsed() < TOO_LONG, "it never becomes quiet");
            let now = calls();
            if now != seen || !self.are_webhooks_through() {
                (seen, since) = (now, Instant::now());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn are_webhooks_through(&self) -> bool {
        self.opsgenie.model().webhooks_waiting() + self.pagerduty.model().webhooks_waiting() == 0
    }

    /// Opens the store as a start does, while crosspage does not run.
    fn open_store(&self) -> Store {
        let url: DatabaseUrl = database(&self.folder).parse().unwrap();
        Store::open(&url, settings(), crosspage::clock::now()).unwrap()
    }

    /// Waits until `is_so`, while crosspage runs.
    async fn until(&self, binary: &mut Binary, what: &str, is_so: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while !is_so().await {
            assert!(binary.is_running(), "crosspage has ended by itself: {:#?}", self.log.lines().last());
            assert!(started.elapsed() < TOO_LONG, "waited in vain until {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// How crosspage opens its store, as far as that depends on the configuration.
fn settings() -> Settings {
    Settings::new(Policy { retention: Duration::from_secs(30 * 24 * 3600), ..Policy::default() })
}

fn database(folder: &TempDir) -> String {
    format!("sled://{}", folder.path().join("store").display())
}

fn taken(webhooks: &[WebhookRecord]) -> usize {
    webhooks.iter().filter(|webhook| webhook.answer.is_some_and(simulators::Answer::is_success)).count()
}

fn is_idle(summary: &Summary) -> bool {
    [summary.opsgenie, summary.pagerduty].iter().all(|queued| queued.lanes == queued.parked) && summary.waiting == 0
}

fn from_env(key: &str) -> Option<u64> {
    env::var(key).ok().map(|value| value.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_doubled_or_turned_around_however_often_the_process_is_killed() {
    let seed = from_env("CROSSPAGE_CRASH_SEED").unwrap_or(1);
    let kills = from_env("CROSSPAGE_CRASH_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    println!("CROSSPAGE_CRASH_SEED={seed} CROSSPAGE_CRASH_KILLS={kills}");
    let started = Instant::now();
    let ordeal = Ordeal::new(seed).await;
    let mut load = Load::new(seed);
    let mut dice = Dice::new(seed.wrapping_add(0x5eed));
    for _ in 0..kills {
        let mut binary = ordeal.start();
        let moments = [Moment::OpsgenieCalls, Moment::PagerDutyCalls, Moment::WebhooksPosted, Moment::WebhooksTaken];
        let moment = moments[usize::try_from(dice.below(4)).unwrap()];
        ordeal.repeat_webhooks(dice.below(3) == 0);
        let count = 1 + usize::try_from(dice.below(40)).unwrap();
        ordeal.work_until(&mut binary, &mut load, moment, count).await;
        if dice.below(8) == 0 {
            ordeal.stop(binary);
            binary = ordeal.start();
            ordeal.work_until(&mut binary, &mut load, moment, count).await;
        }
        ordeal.kill(binary);
    }
    ordeal.opsgenie.model().faults.clear();
    ordeal.pagerduty.model().faults.clear();
    let killed = started.elapsed();
    let store = ordeal.settle(ordeal.start()).await;
    println!(
        "{} alerts, {} actions, {kills} kills in {killed:?}, settled after {:?}",
        load.stories.len(),
        load.actions(),
        started.elapsed()
    );
    check(&ordeal, &load, &store, kills).await;
    store.close().await.unwrap();
    ordeal.opsgenie.stop().await;
    ordeal.pagerduty.stop().await;
}

async fn check(ordeal: &Ordeal, load: &Load, store: &Store, kills: usize) {
    let mut wrong = Vec::new();
    let summary = store.summary().await.unwrap();
    if (Summary { quarantine_expired: 0, ..summary }) != Summary::default() {
        wrong.push(format!("something is left: {summary:?}; {:#?}", store.dead_letters(None, 100).await.unwrap()));
    }
    wrong.extend(
        ordeal
            .log
            .lines()
            .iter()
            .filter(|line| line["level"] == "ERROR" || line.is_string())
            .map(|line| format!("logged: {line}")),
    );
    for story in &load.stories {
        let faults = check_story(ordeal, story);
        if !faults.is_empty() {
            wrong.extend(faults);
            wrong.push(format!("{story:#?}"));
            for entry in store.timeline(&story.alert.as_str().try_into().unwrap()).await.unwrap() {
                wrong.push(format!(
                    "{} {} {:?} {:?} -> {:?}",
                    entry.at.as_millis(),
                    entry.reason,
                    entry.event.actor.name,
                    entry.event.body,
                    entry.commands
                ));
            }
        }
    }
    wrong.extend(check_writes(ordeal, load, kills));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with one alert and its incident.
fn check_story(ordeal: &Ordeal, story: &Story) -> Vec<String> {
    let mut wrong = Vec::new();
    let alert = ordeal.opsgenie.model().alert(&story.alert).expect("the alert exists").clone();
    let incidents: Vec<_> = {
        let model = ordeal.pagerduty.model();
        model.incident_by_key(&format!("opsgenie:{}", story.alert)).into_iter().cloned().collect()
    };
    let [incident] = incidents.as_slice() else {
        // Nobody is paged for an alert that was closed before its incident was made.
        if !(incidents.is_empty() && alert.status == AlertStatus::Closed) {
            wrong.push(format!("{} has {} incidents", alert.id, incidents.len()));
        }
        return wrong;
    };
    let with = |prefix: &str, notes: Vec<&String>| -> Vec<String> {
        notes.into_iter().filter_map(|text| text.strip_prefix(prefix).map(str::to_owned)).collect()
    };
    let in_incident = || incident.notes.iter().map(|note| &note.text).collect();
    let in_alert = || alert.notes.iter().map(|note| &note.text).collect();
    let told = [
        ("notes in the incident", with("[Opsgenie] jane@example.com: ", in_incident()), &story.to_incident),
        ("notes in the alert", with("[PagerDuty] Ada Oncall: ", in_alert()), &story.to_alert),
    ];
    for (what, found, expected) in told {
        if found != *expected {
            wrong.push(format!("{} {what}:\n found    {found:?}\n expected {expected:?}", alert.id));
        }
    }
    // States are compared by level, so one that did not last may be told to nobody; but nothing is told twice or made up.
    let told = [
        ("states in the incident", with("[Opsgenie] jane@example.com ", in_incident()), &story.alert_states),
        ("states in the alert", with("[PagerDuty] Ada Oncall ", in_alert()), &story.incident_states),
    ];
    for (what, found, possible) in told {
        let mut possibly = possible.iter();
        if !found.iter().all(|state| possibly.any(|possible| possible == state)) {
            wrong.push(format!("{} {what}:\n found    {found:?}\n possible {possible:?}", alert.id));
        }
    }
    let (closed, resolved) = (alert.status == AlertStatus::Closed, incident.status == IncidentStatus::Resolved);
    let acknowledged = incident.status == IncidentStatus::Acknowledged;
    // A resolved incident leaves its alert as it is.
    if !resolved && (closed || alert.acknowledged != acknowledged) {
        wrong.push(format!(
            "{} ({:?}) is {}, acknowledged: {}, but its incident is {}",
            alert.id, story.drives, alert.status, alert.acknowledged, incident.status
        ));
    }
    wrong
}

/// Whether each write was called for: by what a person did, or by one that had failed or been cut off.
fn check_writes(ordeal: &Ordeal, load: &Load, kills: usize) -> Option<String> {
    let (opsgenie, pagerduty) = (ordeal.opsgenie.model(), ordeal.pagerduty.model());
    let writes: Vec<_> = opsgenie.writes().into_iter().chain(pagerduty.writes()).collect();
    let failed = writes.iter().filter(|call| !(200..300).contains(&call.status)).count();
    // A state and the note about it, at most.
    let most = 2 * load.actions() + failed + 2 * CALLS_AT_ONCE * kills;
    println!("{} writes, {failed} of which failed", writes.len());
    (writes.len() > most).then(|| format!("{} writes where {most} are the most: a loop?", writes.len()))
}
