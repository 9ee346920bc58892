//! `crosspage check`: what is well, what is amiss and whose key it is, and the test from end to end.

mod commands;
mod end_to_end;

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::Duration;

use crosspage::check::{self, Finding, Report, Running, Verdict};
use crosspage::config::{Config, Region};
use serde_json::{Value, json};
use simulators::opsgenie::{self, KeyKind, NewAlert};
use simulators::pagerduty::{self, KeyAccess, ServiceStatus, UsersLookup};
use simulators::{Fault, Request};

use crate::harness::Plan;
use crate::post::ask;

const TOKEN: &str = "hunter-token";
const ROUTING_KEY: &str = "hunterhunterhunterhunterhunter12";

/// An account in which nothing is amiss.
fn plan() -> Plan {
    let mut plan = Plan::new().var("PAGERDUTY_FALLBACK_ROUTING_KEY", ROUTING_KEY);
    plan.opsgenie.webhook_token = Some(TOKEN.to_owned());
    plan
}

/// What the checks find with this configuration, and whether crosspage runs. None of it shows a secret.
async fn look(config: &Config) -> (HashMap<&'static str, Finding>, Running) {
    let mut told = Vec::new();
    let mut report = Report::told_by(|finding| told.push(finding.clone()));
    let running = check::run(config, &mut report).await.unwrap();
    let findings = report.findings().to_vec();
    drop(report);
    assert_eq!(told, findings, "each is told when it is found");
    check_clean(&format!("{findings:?}"));
    (findings.into_iter().map(|finding| (finding.check, finding)).collect(), running)
}

fn check_clean(text: &str) {
    let (og, pd) = (opsgenie::Options::default(), pagerduty::Options::default());
    let secrets = [og.api_key, pd.api_key, pd.webhook_secrets[0].clone(), TOKEN.to_owned(), ROUTING_KEY.to_owned()];
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is shown: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_amiss_all_is_well() {
    let world = plan().start().await;
    for (message, tag) in [("Disk full", "production"), ("CPU busy", "production"), ("Tea is out", "kitchen")] {
        let tags = vec![tag.to_owned()];
        world.opsgenie.model().human_creates(NewAlert { tags, ..NewAlert::titled(message) });
    }
    world.settle().await;
    let writes = world.writes();
    let (findings, running) = look(&world.config(&[("OPSGENIE_QUERY", "tag: production")])).await;
    assert_eq!(running, Running::Yes);
    for finding in findings.values() {
        let cannot_be_told = ["opsgenie.webhook", "disk"].contains(&finding.check);
        assert!(cannot_be_told || finding.verdict == Verdict::Ok, "{finding:?}");
        assert!(cannot_be_told || (finding.key.is_none() && finding.to_do.is_none()), "{finding:?}");
    }
    for (check, said) in [
        ("pagerduty.key", "PagerDuty accepts the key, at http://127.0.0.1:"),
        ("pagerduty.user", "bot@acme.test is user PAUTO01, Sync Bot"),
        ("pagerduty.author", "the key is the account's"),
        ("pagerduty.rights", "only because its incident does not exist"),
        ("pagerduty.service", "PSVC001 (Service PSVC001) is enabled"),
        ("pagerduty.timers", "never ends by itself; no incident resolves itself"),
        ("pagerduty.webhook", "/pd-webhook about the service"),
        ("pagerduty.priorities", "P1 to P5"),
        ("pagerduty.fallback", "nothing was sent by it"),
        ("pagerduty.clock", "agrees"),
        ("opsgenie.clock", "agrees"),
        ("opsgenie.key", "Opsgenie accepts the key"),
        ("opsgenie.rights", "an API integration's"),
        ("opsgenie.query", "selects 2 of 3 open alerts"),
        ("store", "in use by a running crosspage"),
        ("listener", "is ready"),
        ("operator", "nothing wants attention"),
    ] {
        assert!(findings[check].found.contains(said), "{said}: {:?}", findings[check]);
    }
    assert_eq!(world.writes(), writes + 2, "what cannot exist was to be changed, and nothing else");
    assert_eq!(world.pagerduty.model().incident_ids().len(), 3);
    world.end().await;
}

/// What is amiss, where it shows, whose key it is, and a piece of the way out.
type Amiss = (Plan, &'static [(&'static str, &'static str)], &'static str, Verdict, Option<&'static str>, &'static str);

/// A plan that differs from the usual one.
fn with(change: impl FnOnce(&mut Plan)) -> Plan {
    let mut plan = plan();
    change(&mut plan);
    plan
}

async fn check_amiss(rows: Vec<Amiss>) {
    for (plan, changed, check, verdict, key, way_out) in rows {
        let world = plan.start().await;
        let (findings, _) = look(&world.config(changed)).await;
        let finding = &findings[check];
        assert_eq!((finding.verdict, finding.key.as_deref()), (verdict, key), "{finding:?}");
        assert!(finding.to_do.as_deref().unwrap_or_default().contains(way_out), "{way_out}: {finding:?}");
        world.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_amiss_with_pagerduty_names_its_key_and_the_way_out() {
    use Verdict::{Failed, Warning};
    let key = Some("PAGERDUTY_API_KEY");
    let service = Some("PAGERDUTY_SERVICE_ID");
    check_amiss(vec![
        (plan(), &[("PAGERDUTY_API_KEY", "wrong")], "pagerduty.key", Failed, key, "copy it anew"),
        (plan(), &[("PAGERDUTY_API_KEY", ROUTING_KEY)], "pagerduty.key", Failed, key, "has 20"),
        (
            plan(),
            &[("PAGERDUTY_EMAIL", "nobody@acme.test")],
            "pagerduty.user",
            Failed,
            Some("PAGERDUTY_EMAIL"),
            "make a user",
        ),
        (
            plan(),
            &[("PAGERDUTY_EMAIL", "nobody@acme.test")],
            "pagerduty.rights",
            Failed,
            Some("PAGERDUTY_EMAIL"),
            "active",
        ),
        (
            plan(),
            &[("PAGERDUTY_USER", "Robot")],
            "pagerduty.user",
            Warning,
            Some("PAGERDUTY_USER"),
            "PAGERDUTY_USER='Sync Bot'",
        ),
        (
            with(|plan| plan.pagerduty.automation_role = "observer".to_owned()),
            &[],
            "pagerduty.user",
            Warning,
            Some("PAGERDUTY_EMAIL"),
            "Responder",
        ),
        (
            with(|plan| plan.pagerduty.behaviour.users_lookup = UsersLookup::Forbidden),
            &[],
            "pagerduty.user",
            Warning,
            Some("PAGERDUTY_EMAIL"),
            "",
        ),
        (
            with(|plan| plan.pagerduty.key_access = KeyAccess::ReadOnly),
            &[],
            "pagerduty.rights",
            Failed,
            key,
            "Read-only unticked",
        ),
        (
            plan(),
            &[("PAGERDUTY_SERVICE_ID", "PNONE")],
            "pagerduty.service",
            Failed,
            service,
            "last part of its address",
        ),
        (
            with(|plan| plan.pagerduty.service_status = ServiceStatus::Disabled),
            &[],
            "pagerduty.service",
            Failed,
            service,
            "enable",
        ),
        (
            with(|plan| plan.pagerduty.service_status = ServiceStatus::Maintenance),
            &[],
            "pagerduty.service",
            Warning,
            service,
            "maintenance window",
        ),
        (
            with(|plan| plan.pagerduty.has_escalation_policy = false),
            &[],
            "pagerduty.service",
            Failed,
            service,
            "on call",
        ),
        (
            with(|plan| plan.pagerduty.auto_resolve_timeout_s = Some(14_400)),
            &[("ON_PAGERDUTY_RESOLVED", "close")],
            "pagerduty.timers",
            Warning,
            Some("ON_PAGERDUTY_RESOLVED"),
            "auto-resolution",
        ),
        (with(|plan| plan.pagerduty.priorities.clear()), &[], "pagerduty.priorities", Warning, None, "plan"),
        (with(|plan| plan.pagerduty.priorities.truncate(3)), &[], "pagerduty.priorities", Warning, None, "P1 to P5"),
        (
            with(|plan| _ = plan.vars.remove("PAGERDUTY_FALLBACK_ROUTING_KEY")),
            &[],
            "pagerduty.fallback",
            Warning,
            Some("PAGERDUTY_FALLBACK_ROUTING_KEY"),
            "another service",
        ),
        (with(|plan| plan.pagerduty.clock_ahead_ms = 3_600_000), &[], "pagerduty.clock", Failed, None, "NTP"),
        (
            plan(),
            &[("PAGERDUTY_API_URL", "http://127.0.0.1:1")],
            "pagerduty.key",
            Failed,
            Some("PAGERDUTY_API_URL"),
            "firewall",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_amiss_with_opsgenie_names_its_key_and_the_way_out() {
    use Verdict::{Failed, Warning};
    let key = Some("OPSGENIE_API_KEY");
    let kind = |kind| with(|plan| plan.opsgenie.key_kind = kind);
    check_amiss(vec![
        (
            plan(),
            &[("OPSGENIE_API_KEY", "00000000-0000-4000-8000-000000000000")],
            "opsgenie.key",
            Failed,
            key,
            "integration is on",
        ),
        (plan(), &[("OPSGENIE_API_KEY", "no-key")], "opsgenie.key", Failed, key, "copy it anew"),
        (kind(KeyKind::Settings), &[], "opsgenie.rights", Failed, key, "add an API integration"),
        (kind(KeyKind::ReadOnly), &[], "opsgenie.rights", Failed, key, "Create and update"),
        (kind(KeyKind::WriteOnly), &[], "opsgenie.key", Failed, key, "Read"),
        (
            plan(),
            &[("OPSGENIE_QUERY", "priority is high")],
            "opsgenie.query",
            Failed,
            Some("OPSGENIE_QUERY"),
            "alert search",
        ),
        (with(|plan| plan.opsgenie.clock_ahead_ms = -60_000), &[], "opsgenie.clock", Warning, None, "NTP"),
        (
            with(|plan| plan.opsgenie.webhook_token = None),
            &[],
            "configuration",
            Warning,
            Some("OPSGENIE_WEBHOOK_TOKEN"),
            "",
        ),
        (
            plan(),
            &[("OPSGENIE_API_URL", "http://127.0.0.1:1")],
            "opsgenie.key",
            Failed,
            Some("OPSGENIE_API_URL"),
            "firewall",
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_other_region_is_told_from_a_wrong_one() {
    let world = plan().start().await;
    let (theirs_pd, theirs_og) = ("hunter-of-the-eu", "11111111-2222-4333-8444-555555555555");
    let eu_pd = pagerduty::Options { api_key: theirs_pd.to_owned(), ..pagerduty::Options::default() };
    let eu_og = opsgenie::Options { api_key: theirs_og.to_owned(), ..opsgenie::Options::default() };
    let (eu_pd, eu_og) =
        (pagerduty::Server::start(eu_pd).await.unwrap(), opsgenie::Server::start(eu_og).await.unwrap());
    let region = |url: String| Some(Region { name: "eu", api_url: url });
    let nowhere = "http://127.0.0.1:1".to_owned();
    for (pd_key, og_key, there, suffix, way_out) in [
        (theirs_pd, theirs_og, [eu_pd.url(), eu_og.url()], "REGION", "_REGION=eu"),
        ("wrong", "00000000-0000-4000-8000-000000000000", [eu_pd.url(), eu_og.url()], "API_KEY", "copy it anew"),
        (theirs_pd, theirs_og, [nowhere.clone(), nowhere], "API_KEY", "if the account is in the other region"),
    ] {
        let mut config = world.config(&[("PAGERDUTY_API_KEY", pd_key), ("OPSGENIE_API_KEY", og_key)]);
        let [pd, og] = there;
        (config.pagerduty.other_region, config.opsgenie.other_region) = (region(pd), region(og));
        let (findings, _) = look(&config).await;
        for (check, prefix) in [("pagerduty.key", "PAGERDUTY"), ("opsgenie.key", "OPSGENIE")] {
            let finding = &findings[check];
            assert_eq!(finding.key, Some(format!("{prefix}_{suffix}")), "{finding:?}");
            assert!(finding.to_do.as_ref().unwrap().contains(way_out), "{way_out}: {finding:?}");
            assert!(!format!("{finding:?}").contains(pd_key) && !format!("{finding:?}").contains(og_key));
        }
    }
    // A key that is accepted is shown to nobody else.
    let (asked_pd, asked_og) = (eu_pd.model().calls().len(), eu_og.model().calls().len());
    let mut config = world.config(&[]);
    (config.pagerduty.other_region, config.opsgenie.other_region) = (region(eu_pd.url()), region(eu_og.url()));
    look(&config).await;
    assert_eq!((eu_pd.model().calls().len(), eu_og.model().calls().len()), (asked_pd, asked_og));
    // Whoever has an address of their own is not asked for elsewhere.
    assert_eq!(world.config(&[]).pagerduty.other_region, None);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_own_key_must_be_the_automation_users() {
    let mut own = plan();
    own.pagerduty.key_kind = pagerduty::KeyKind::User;
    let world = own.start().await;
    let (findings, _) = look(&world.config(&[])).await;
    assert_eq!(findings["pagerduty.author"].verdict, Verdict::Ok, "{findings:?}");
    let (findings, _) = look(&world.config(&[("PAGERDUTY_EMAIL", "ada@acme.test")])).await;
    let finding = &findings["pagerduty.author"];
    assert_eq!((finding.verdict, finding.key.as_deref()), (Verdict::Failed, Some("PAGERDUTY_API_KEY")));
    assert!(finding.found.contains("Sync Bot's own"), "{finding:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_off_or_missing_is_told() {
    let world = plan().start().await;
    let key = format!("Token token={}", pagerduty::Options::default().api_key);
    let path = "/webhook_subscriptions/PWHS001";
    let accept = "application/vnd.pagerduty+json;version=2";
    let send = |request: Request| {
        let now_ms = 0;
        let request = request.header("Authorization", &key).header("Accept", accept);
        world.pagerduty.model().handle(now_ms, request)
    };
    let put = |change: Value| send(Request::new("PUT", path).json(&json!({ "webhook_subscription": change })));
    let finding = async || look(&world.config(&[])).await.0.remove("pagerduty.webhook").unwrap();

    put(json!({"events": ["incident.triggered", "incident.resolved"]}));
    let some = finding().await;
    assert!(some.verdict == Verdict::Failed && some.found.contains("incident.acknowledged"), "{some:?}");
    put(json!({"active": false}));
    let off = finding().await;
    assert!(
        off.verdict == Verdict::Failed && off.found.contains("PWHS001") && off.found.contains("is switched off"),
        "{off:?}"
    );
    assert_eq!(send(Request::new("DELETE", path)).status, 204);
    let missing = finding().await;
    assert_eq!(missing.key.as_deref(), Some("PAGERDUTY_WEBHOOK_SECRET"));
    assert!(missing.to_do.unwrap().contains("crosspage pagerduty subscribe --url https://YOUR-HOST/pd-webhook"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_amiss_on_this_machine_is_told() {
    let mut world = plan().start().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let below_a_file = format!("sled://{}/store", file.path().display());
    let elsewhere = tempfile::tempdir().unwrap();
    let new = format!("sled://{}/data/store", elsewhere.path().display());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = taken.local_addr().unwrap().to_string();
    // Nobody can have this one while the other is held.
    let free = there.replace("127.0.0.1", "127.0.0.2");
    // What is changed, the check that tells, what it says of it, the key that it names, and a part of its words.
    type Row<'a> = (&'a [(&'static str, &'a str)], &'a str, Verdict, Option<&'a str>, &'a str);
    let rows: [Row<'_>; 8] = [
        (&[("DATABASE_URL", &below_a_file)], "store", Verdict::Failed, Some("DATABASE_URL"), "is no folder"),
        (&[("DATABASE_URL", &new)], "store", Verdict::Ok, None, "no store in"),
        (&[("DATABASE_URL", &new)], "listener", Verdict::Warning, Some("DATABASE_URL"), "does not use the store"),
        (&[("LISTEN_ADDR", &free)], "listener", Verdict::Warning, Some("LISTEN_ADDR"), "nothing answers at"),
        (&[("DATABASE_URL", &new), ("LISTEN_ADDR", &free)], "listener", Verdict::Ok, None, "can listen on"),
        (
            &[("DATABASE_URL", &new), ("LISTEN_ADDR", "127.0.0.1:0")],
            "listener",
            Verdict::Warning,
            Some("LISTEN_ADDR"),
            "left to the system",
        ),
        (&[("ADMIN_ADDR", &free)], "operator", Verdict::Warning, Some("ADMIN_ADDR"), "nobody can be asked at"),
        (
            &[("DATABASE_URL", &new), ("ADMIN_ADDR", &there)],
            "operator",
            Verdict::Failed,
            Some("ADMIN_ADDR"),
            "cannot listen on",
        ),
    ];
    for (changed, check, verdict, key, said) in rows {
        let (findings, running) = look(&world.config(changed)).await;
        let finding = &findings[check];
        assert_eq!((finding.verdict, finding.key.as_deref()), (verdict, key), "{changed:?}: {finding:?}");
        assert!(finding.found.contains(said), "{said}: {finding:?}");
        let is_the_same = !changed.iter().any(|(key, _)| ["DATABASE_URL", "LISTEN_ADDR"].contains(key));
        assert_eq!(running == Running::Yes, is_the_same, "{changed:?}");
    }
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing is made");

    // Whoever is there hangs up.
    let hangs_up = std::thread::spawn(move || drop(taken.accept()));
    let (findings, _) = look(&world.config(&[("LISTEN_ADDR", &there)])).await;
    hangs_up.join().unwrap();
    let finding = &findings["listener"];
    assert_eq!((finding.verdict, finding.key.as_deref()), (Verdict::Failed, Some("LISTEN_ADDR")), "{finding:?}");

    world.stop_app().await;
    let (findings, running) = look(&world.config(&[("LISTEN_ADDR", &free)])).await;
    assert_eq!(running, Running::No);
    assert!(findings["store"].found.contains("can be opened; its schema is 2"), "{findings:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crosspage_whose_pages_are_late_says_so() {
    let mut late = plan();
    late.tuning.emergency.after = Duration::ZERO;
    late.tuning.emergency.look_every = Duration::from_millis(10);
    let world = late.start().await;
    world.pagerduty.model().faults.always("POST", "/incidents", Fault::status(503));
    world.alert("Disk full");
    let url = format!("http://{}/readyz", world.app().address());
    world.until("the page is late", async || ask("GET", &url).await.body["status"] == "degraded").await;
    let (findings, running) = look(&world.config(&[])).await;
    let finding = &findings["listener"];
    assert_eq!((finding.verdict, running), (Verdict::Warning, Running::Yes), "{finding:?}");
    assert!(finding.found.contains("pages do not get through (1 late)"), "{finding:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_crosspage_tells_operators_is_told() {
    let mut locked = plan();
    locked.vars.insert("ADMIN_TOKEN", "hunter-admin-token-of-some-length".to_owned());
    let world = locked.start().await;
    let operator = async |changed: &[(&'static str, &str)]| {
        let (mut findings, _) = look(&world.config(changed)).await;
        findings.remove("operator").unwrap()
    };
    assert_eq!(operator(&[]).await.verdict, Verdict::Ok);
    let refused = operator(&[("ADMIN_TOKEN", "another-admin-token-of-some-length")]).await;
    assert_eq!((refused.verdict, refused.key.as_deref()), (Verdict::Failed, Some("ADMIN_TOKEN")), "{refused:?}");
    let nowhere = operator(&[("ADMIN_ADDR", "127.0.0.1:0")]).await;
    assert_eq!((nowhere.verdict, nowhere.key.as_deref()), (Verdict::Warning, Some("ADMIN_ADDR")), "{nowhere:?}");

    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    world.alert("Disk full");
    world.settle().await;
    let given_up = operator(&[]).await;
    assert!(given_up.verdict == Verdict::Warning && given_up.found.contains("1 command was given up"), "{given_up:?}");
    let (alert, _) = world.linked("CPU busy").await;
    world.pagerduty.model().faults.always("GET", "/abilities", Fault::status(401));
    world.pagerduty.model().faults.once("POST", "/notes", Fault::status(401));
    world.opsgenie.model().human_adds_note(&alert, "jane@example.com", "hello");
    let status = || async { operator(&[]).await.found.contains("No calls are made to PagerDuty") };
    world.until("PagerDuty is stopped", status).await;
    world.end().await;
}
