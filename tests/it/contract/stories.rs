//! Stories in which the product makes every call that it can make, and the vendors answer in every way that matters.

use std::future::pending;
use std::time::Duration;

use crosspage::check::end_to_end::{self, Patience};
use crosspage::check::{self, Report, Verdict};
use crosspage::http::HttpSettings;
use crosspage::pagerduty::client::Scope;
use simulators::opsgenie::NewAlert;
use simulators::{CallRecord, Fault};

use crate::harness::{ADA, BOB, JANE, Plan, World};

/// The calls that Opsgenie and PagerDuty received.
pub(crate) type Calls = (Vec<CallRecord>, Vec<CallRecord>);

/// Tells them all.
pub(crate) async fn told() -> Calls {
    let mut told = Calls::default();
    let worlds =
        [every_change().await, every_doubt().await, every_look_up().await, every_refusal().await, every_check().await];
    for world in worlds {
        told.0.extend_from_slice(world.opsgenie.model().calls());
        told.1.extend_from_slice(world.pagerduty.model().calls());
        world.end().await;
    }
    told
}

/// What people do on either side, and crosspage on the other.
async fn every_change() -> World {
    let mut plan = Plan::new().var("ON_PAGERDUTY_RESOLVED", "close");
    plan.pagerduty.behaviour.note_trim_chars = Some(20);
    let world = plan.start().await;
    let alert = world.opsgenie.model().human_creates(NewAlert {
        user: JANE.to_owned(),
        priority: "P2".to_owned(),
        entity: "db-1".to_owned(),
        description: "Disk usage above 95 %".to_owned(),
        tags: vec!["prod".to_owned(), "db".to_owned()],
        ..NewAlert::titled("Disk full")
    });
    world.settle().await;
    let incident = world.incident_of(&alert).id;
    world.opsgenie.model().human_adds_note(&alert, JANE, "Swapping the disk");
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.settle().await;
    for priority in ["P5", "P1"] {
        world.opsgenie.model().human_updates_priority(&alert, JANE, priority);
        world.settle().await;
    }
    world.pagerduty.model().human_adds_note(&incident, ADA, "Looking at it, and this is a long text");
    world.pagerduty.model().human_acknowledges(&incident, ADA);
    world.settle().await;
    world.pagerduty.model().human_unacknowledges(&incident, ADA);
    world.settle().await;
    world.pagerduty.model().human_snoozes(&incident, ADA, 3_600);
    world.pagerduty.model().human_reassigns(&incident, ADA, BOB);
    world.settle().await;
    let (_, into) = world.linked("Disk slow").await;
    world.pagerduty.model().human_merges(&incident, &into, ADA);
    world.settle().await;
    world.pagerduty.model().human_resolves(&into, ADA, None);
    world.settle().await;
    let (closed, _) = world.linked("Disk odd").await;
    world.opsgenie.model().human_closes(&closed, JANE, Some("It was nothing"));
    world.settle().await;
    world
}

/// Writes whose outcome is not known, so that it is looked for.
async fn every_doubt() -> World {
    let world = World::new().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::GarbageAfter);
    world.linked("Disk slow").await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(500));
    let (alert, incident) = world.linked("Disk full").await;
    for fault in [Fault::status(503), Fault::status(408)] {
        world.pagerduty.model().faults.once("POST", "/notes", fault.clone());
        world.opsgenie.model().faults.once("POST", "/notes", fault);
        world.opsgenie.model().human_adds_note(&alert, JANE, "to the incident");
        world.pagerduty.model().human_adds_note(&incident, ADA, "to the alert");
        world.settle().await;
    }
    world.pagerduty.model().faults.once("PUT", "/incidents", Fault::StatusAfter(500));
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    let failing = Fault::RequestFails("Try again later".to_owned());
    world.opsgenie.model().faults.once("POST", "/unacknowledge", failing);
    world.pagerduty.model().human_unacknowledges(&incident, ADA);
    world.settle().await;
    world
}

/// What is read because its webhook never came, or came too late.
async fn every_look_up() -> World {
    let world = World::new().await;
    let alert = world.opsgenie.model().silently(|opsgenie| {
        opsgenie.human_creates(NewAlert { priority: "P4".to_owned(), ..NewAlert::titled("Disk full") })
    });
    world.opsgenie.model().human_adds_note(&alert, JANE, "nobody was paged");
    world.settle().await;
    let incident = world.incident_of(&alert).id;
    world.pagerduty.model().silently(|pagerduty| pagerduty.human_resolves(&incident, ADA, None));
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().silently(|opsgenie| opsgenie.human_deletes(&alert, JANE));
    world.pagerduty.model().human_adds_note(&incident, ADA, "to an alert that is gone");
    world.settle().await;
    world
}

/// All that is looked at before anything goes wrong, a test alert, and a subscription that is made and removed.
async fn every_check() -> World {
    let world = World::new().await;
    let config = world.config(&[("OPSGENIE_QUERY", "tag: prod")]);
    let mut report = Report::told_by(|_| {});
    check::run(&config, &mut report).await.unwrap();
    let patience = Patience::of(Duration::from_secs(100));
    let options = end_to_end::Options { tags: vec!["prod".to_owned()], priority: "P5".to_owned(), patience, number: 1 };
    end_to_end::run(&config, &options, &mut report, pending).await.unwrap();
    assert_eq!(report.count(Verdict::Failed), 0, "{report:?}");
    let settings = crosspage::pagerduty::Settings {
        base_url: config.pagerduty.api_url.clone(),
        key: config.pagerduty.api_key.clone(),
        email: config.pagerduty.email.clone(),
        service_id: config.pagerduty.service_id.clone(),
    };
    let client = crosspage::pagerduty::Client::new(settings, &HttpSettings::default()).unwrap();
    for scope in [Scope::Service(config.pagerduty.service_id.clone()), Scope::Account] {
        let made = client.create_subscription("https://example.com/pd-webhook", &scope).await.unwrap();
        client.delete_subscription(&made.id).await.unwrap();
    }
    world.settle().await;
    world
}

/// Vendors that let nobody in, or ask to wait, and an account without priorities.
async fn every_refusal() -> World {
    let mut plan = Plan::new();
    plan.pagerduty.priorities.clear();
    plan.pagerduty.behaviour.max_details_bytes = Some(10);
    plan.pagerduty.behaviour.note_status = 201;
    let world = plan.start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.opsgenie.model().human_updates_priority(&alert, JANE, "P5");
    world.settle().await;
    for fault in [Fault::status(401), Fault::Throttle { with_headers: true, reset_s: 1 }] {
        world.pagerduty.model().faults.once("POST", "/notes", fault.clone());
        world.opsgenie.model().faults.once("POST", "/notes", fault);
        world.opsgenie.model().human_adds_note(&alert, JANE, "to the incident");
        world.pagerduty.model().human_adds_note(&incident, ADA, "to the alert");
        world.settle().await;
    }
    world
}
