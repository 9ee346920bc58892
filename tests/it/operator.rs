//! What an operator may do while crosspage runs.

use std::time::Duration;

use crosspage::delivery::{Gates, Vendors};
use crosspage::engine::{Event, EventBody, Page, Policy, System};
use crosspage::health::{Health, Pass, SubscriptionState, Subscriptions};
use crosspage::http::HttpSettings;
use crosspage::metrics::Part;
use crosspage::operator::replay::{Replayed, replay};
use crosspage::operator::view::Texts;
use crosspage::operator::{LONGEST_ORDER, Live, Operator, OperatorError};
use crosspage::store::backend::Backend;
use crosspage::store::memory::MemoryBackend;
use crosspage::store::{Form, Quarantined, Settings, Store, Unlinking};
use crosspage::{clock, delivery, emergency, opsgenie, pagerduty};
use serde_json::{Value, json};
use simulators::Fault;
use tokio::sync::watch;

use crate::harness::{ADA, JANE, Plan, World};
use crate::post::{from_opsgenie, from_pagerduty};
use crate::reconcile::{after_passes, plan as listening_and_looking};

/// By this, pages that are open know when to look again.
#[tokio::test]
async fn the_pulse_moves_with_what_the_dashboard_raises_an_alarm_about_and_not_with_each_pass() {
    let (base_url, key) = ("http://127.0.0.1:1".to_owned(), || "nobody asks".to_owned().into());
    let (user, email, service_id) = ("crosspage".to_owned(), "crosspage@example.com".to_owned(), "P1".to_owned());
    let on_opsgenie = opsgenie::client::Settings { base_url: base_url.clone(), key: key(), user };
    let on_pagerduty = pagerduty::client::Settings { base_url, key: key(), email, service_id };
    let vendors = Vendors {
        opsgenie: opsgenie::Client::new(on_opsgenie, &HttpSettings::default()).unwrap(),
        pagerduty: pagerduty::Client::new(on_pagerduty, &HttpSettings::default()).unwrap(),
    };
    let gates = Gates::new(&delivery::Settings::default(), &vendors);
    let (health, (late, emergency)) = (Health::default(), watch::channel(emergency::Status::default()));
    let live = Live {
        started_at: clock::now(),
        gates,
        emergency,
        late_after: Duration::from_secs(60),
        reconciler: None,
        health: health.clone(),
    };
    let store = Store::on(Backend::Memory(MemoryBackend::default()), Settings::new(Policy::default()), clock::now());
    let operator = Operator::new(store.unwrap(), Texts::Shown, Some(live));
    let mut last = operator.pulse();
    let mut moves = |what: &str, expected: bool| {
        let pulse = operator.pulse();
        assert_eq!(pulse != last, expected, "{what}");
        last = pulse;
    };
    let pass = |failures: &[(Part, &str)]| {
        let failures = failures.iter().map(|(part, why)| (*part, (*why).to_owned())).collect();
        health.reconciled(Pass { began_at: clock::now(), took: Duration::ZERO, failures });
    };
    let subscribed = |state| {
        let states = [("PWHS001".to_owned(), state)].into();
        health.subscribed(Subscriptions { seen_at: clock::now(), states, is_gone: false });
    };
    moves("nothing", false);
    pass(&[]);
    subscribed(SubscriptionState::On);
    moves("a pass and webhooks as they should be", false);
    subscribed(SubscriptionState::SwitchedOff);
    moves("webhooks that are off", true);
    subscribed(SubscriptionState::On);
    moves("webhooks that are on again", true);
    pass(&[(Part::Alerts, "503")]);
    moves("a pass that failed", true);
    pass(&[(Part::Alerts, "503")]);
    moves("another one", true);
    pass(&[]);
    moves("a whole one", true);
    late.send(emergency::Status { late: 1, ..emergency::Status::default() }).unwrap();
    moves("a late page", true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_link_is_silent_until_it_is_resumed_and_other_links_go_on() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let (other, other_incident) = world.linked("CPU busy").await;
    let (store, id) = (world.app().store(), alert.as_str().try_into().unwrap());
    store.pause(&id, "it goes round and round", clock::now()).await.unwrap();
    world.opsgenie.model().human_adds_note(&alert, JANE, "one");
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.opsgenie.model().human_adds_note(&alert, JANE, "two");
    world.pagerduty.model().human_adds_note(&incident, ADA, "back");
    world.opsgenie.model().human_adds_note(&other, JANE, "free");
    world.settle().await;
    assert_eq!(world.incident_notes(&incident), ["back"], "her own");
    assert_eq!(world.incident_now(&incident).status, "triggered");
    assert!(world.alert_notes(&alert).iter().all(|note| !note.starts_with("[PagerDuty]")));
    assert_eq!(world.incident_notes(&other_incident), ["[Opsgenie] jane@example.com: free"]);

    store.resume(&id, clock::now()).await.unwrap();
    world.settle().await;
    let notes = world.incident_notes(&incident);
    assert_eq!(notes.len(), 4, "{notes:?}");
    assert!(notes[1].ends_with(": one") && notes[2].ends_with("acknowledged the alert") && notes[3].ends_with(": two"));
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    assert!(world.alert_notes(&alert).contains(&"[PagerDuty] Ada Oncall: back".to_owned()));
    world.end().await;
}

/// The number of the one dead letter.
async fn letter(world: &World) -> u64 {
    let letters = world.app().store().dead_letters(None, 100).await.unwrap();
    assert_eq!(letters.len(), 1, "{letters:#?}");
    letters[0].entry.id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_creation_pages_and_what_was_parked_behind_it_follows_in_order() {
    let mut world = World::new().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let alert = world.alert("Disk full");
    world.opsgenie.model().human_adds_note(&alert, JANE, "one");
    world.settle().await;
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    assert!(world.incidents_of(&alert).is_empty());
    world.restart_app().await;
    let id = letter(&world).await;
    assert!(world.app().store().redrive(id, clock::now()).await.unwrap().is_some());
    world.settle().await;
    let incident = world.incident_of(&alert);
    assert_eq!(incident.status, "acknowledged");
    let notes: Vec<_> = incident.notes.iter().map(|note| note.text.as_str()).collect();
    assert_eq!(notes, ["[Opsgenie] jane@example.com: one", "[Opsgenie] jane@example.com acknowledged the alert"]);
    assert!(world.app().store().dead_letters(None, 100).await.unwrap().is_empty());
    assert!(world.reasons(&alert).await.contains(&"redriven".to_owned()));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_creation_that_had_its_effect_after_all_is_found_and_not_repeated() {
    let world = World::new().await;
    // No webhook tells that the incident is there.
    world.pagerduty.model().faults.webhooks.lose_all = true;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::StatusAfter(403));
    let alert = world.alert("Disk full");
    world.settle().await;
    let id = letter(&world).await;
    world.app().store().redrive(id, clock::now()).await.unwrap().unwrap();
    world.settle().await;
    let incident = world.incident_of(&alert);
    let link = world.app().store().link(&alert.as_str().try_into().unwrap()).await.unwrap().unwrap();
    assert_eq!(link.incident().unwrap().as_str(), incident.id);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_died_bare_goes_out_whole_when_it_is_redriven() {
    let world = World::new().await;
    // Neither with all that is worth telling nor without.
    world.pagerduty.model().faults.times("POST", "/incidents", Fault::status(400), 2);
    let alert = world.alert("Disk full");
    world.settle().await;
    let id = letter(&world).await;
    world.app().store().redrive(id, clock::now()).await.unwrap().unwrap();
    world.settle().await;
    let incident = world.incident_of(&alert);
    assert!(incident.body.contains("Opsgenie alert: "), "nothing is left out: {incident:#?}");
    assert!(incident.notes.is_empty(), "so nothing follows: {incident:#?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_discarded_creation_pages_nobody_whatever_happens_to_its_alert() {
    let mut world = listening_and_looking().start().await;
    world.pagerduty.model().faults.once("POST", "/incidents", Fault::status(403));
    let alert = world.alert("Disk full");
    world.opsgenie.model().human_adds_note(&alert, JANE, "parked");
    world.settle().await;
    let id = letter(&world).await;
    world.app().store().discard(id, clock::now()).await.unwrap().unwrap();
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.opsgenie.model().human_adds_note(&alert, JANE, "later");
    world.settle().await;
    world.restart_app().await;
    after_passes(&world, 3).await;
    world.settle().await;
    assert!(world.incidents_of(&alert).is_empty());
    let summary = world.app().store().summary().await.unwrap();
    assert_eq!((summary.dead_letters, summary.pagerduty.entries), (0, 0));
    let reasons = world.reasons(&alert).await;
    assert_eq!(reasons.iter().filter(|reason| *reason == "discarded").count(), 2, "{reasons:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_stands_for_its_drift_until_it_is_redriven() {
    let world = listening_and_looking().start().await;
    let (alert, incident) = world.linked("Disk full").await;
    world.pagerduty.model().faults.once("PUT", "/incidents", Fault::status(403));
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    let id = letter(&world).await;
    let writes = world.writes();
    after_passes(&world, 5).await;
    world.settle().await;
    assert_eq!(world.writes(), writes, "nobody tries it again by itself");
    assert_eq!(world.incident_now(&incident).status, "triggered");
    world.app().store().redrive(id, clock::now()).await.unwrap().unwrap();
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    after_passes(&world, 2).await;
    world.settle().await;
    world.end().await;
}

/// Puts something into the quarantine as if an earlier version could not have read it; returns its number.
async fn put_away(world: &World, system: System, form: Form, body: &Value) -> u64 {
    let (reason, request_id) = ("an earlier version did not know it".to_owned(), Some("w-1".to_owned()));
    let body = body.to_string().into_bytes();
    let item = Quarantined { system, received_at: clock::now(), reason, body, form, request_id };
    world.app().store().quarantine(item).await.unwrap()
}

/// A webhook of Opsgenie's that tells all of an alert that is needed to page for it.
fn creation(world: &World, alert: &str) -> Value {
    let mut body = from_opsgenie(&simulators::opsgenie::Options::default().integration_id, "Create", alert);
    body["alert"]["createdAt"] = json!(world.opsgenie.model().alert(alert).unwrap().created_at_ms);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_be_read_by_now_is_replayed_and_pages_only_for_what_is_open() {
    let world = Plan::new().start().await;
    world.hold_webhooks();
    let (open, closed) = (world.alert("Disk full"), world.alert("CPU busy"));
    world.opsgenie.model().human_closes(&closed, JANE, None);
    for alert in [&open, &closed] {
        let number = put_away(&world, System::Opsgenie, Form::Webhook, &creation(&world, alert)).await;
        let replayed = replay(world.app().store(), number).await.unwrap();
        assert!(matches!(&replayed, Replayed::Recorded(recorded) if recorded.commands == 1), "{replayed:?}");
        assert_eq!(replay(world.app().store(), number).await.unwrap(), Replayed::NotThere);
    }
    world.until("the open one pages", async || world.incidents_of(&open).len() == 1).await;
    let done = async || world.app().store().summary().await.unwrap().opsgenie.entries == 0;
    world.until("the closed one was looked at", done).await;
    assert!(world.incidents_of(&closed).is_empty());
    let link = world.app().store().link(&closed.as_str().try_into().unwrap()).await.unwrap();
    assert!(link.is_some_and(|link| link.page == Page::Withheld), "and its creation may come as late as it will");
    assert_eq!(world.app().store().summary().await.unwrap().quarantined, 0);
    world.release_opsgenie();
    world.release_pagerduty();
    world.settle().await;
    assert_eq!(world.incidents_of(&open).len(), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pagerduty_webhook_and_an_event_are_replayed_and_what_is_unreadable_still_stays() {
    let world = World::new().await;
    let (alert, incident) = world.linked("Disk full").await;
    let note = |id: &str, text: &str| {
        let note = json!({ "incident": { "id": incident }, "id": id, "content": text, "trimmed": false, "type": "incident_note" });
        let agent = json!({ "id": ADA, "summary": "Ada Oncall", "type": "user_reference" });
        json!({ "event": { "id": format!("E{id}"), "event_type": "incident.annotated", "agent": agent, "data": note } })
    };
    let store = world.app().store();
    let webhook = put_away(&world, System::PagerDuty, Form::Webhook, &note("N1", "kept")).await;
    assert!(matches!(replay(store, webhook).await.unwrap(), Replayed::Recorded(_)));
    // An event that had found no room to wait in: its ids were put down when it came.
    let event = pagerduty::webhook::parse(note("N2", "no room").to_string().as_bytes(), None, clock::now());
    let Ok(pagerduty::webhook::Inbound::Event(event)) = event else { panic!("{event:?}") };
    assert!(matches!(&event, Event { dedupe, body: EventBody::Incident(_), .. } if !dedupe.is_empty()));
    let ids_only = Event { body: EventBody::Incident(unknown_incident()), ..event.clone() };
    store.record(ids_only).await.unwrap();
    let body = serde_json::to_value(&event).unwrap();
    let without_room = put_away(&world, System::PagerDuty, Form::Event, &body).await;
    assert!(matches!(replay(store, without_room).await.unwrap(), Replayed::Recorded(_)));
    world.settle().await;
    assert_eq!(world.alert_notes(&alert), ["[PagerDuty] Ada Oncall: kept", "[PagerDuty] Ada Oncall: no room"]);

    let ping = json!({ "event": { "id": "E9", "event_type": "pagey.ping", "data": {} } });
    let ping = put_away(&world, System::PagerDuty, Form::Webhook, &ping).await;
    assert_eq!(replay(store, ping).await.unwrap(), Replayed::NothingToDo("pagey.ping".to_owned()));
    let broken = put_away(&world, System::PagerDuty, Form::Webhook, &json!("no webhook")).await;
    assert!(matches!(replay(store, broken).await.unwrap(), Replayed::Unreadable(_)));
    assert!(store.quarantined_under(broken).await.unwrap().is_some());
    assert_eq!(store.summary().await.unwrap().quarantined, 1);
    world.end().await;
}

fn unknown_incident() -> crosspage::engine::IncidentEvent {
    let change = crosspage::engine::IncidentChange::Other("nothing".to_owned());
    let incident = "QSOMEBODY".try_into().unwrap();
    crosspage::engine::IncidentEvent { incident, incident_key: None, number: None, service: None, status: None, change }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_crosspage_never_linked_is_linked_by_hand() {
    let world = World::new().await;
    // As if it were from before the first run.
    world.opsgenie.model().faults.webhooks.lose_all = true;
    let alert = world.alert("Disk full");
    world.opsgenie.model().human_acknowledges(&alert, JANE);
    world.settle().await;
    world.opsgenie.model().faults.webhooks.lose_all = false;
    let incident = world.pagerduty.model().human_triggers("Disk full, by hand", ADA);
    world.settle().await;
    let (store, id) = (world.app().store(), alert.as_str().try_into().unwrap());
    let linked = async || store.link_to(&id, &incident.as_str().try_into().unwrap(), clock::now()).await.unwrap();
    assert_eq!(linked().await.commands, 2, "both are read");
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "acknowledged");
    assert!(world.incidents_of(&alert).is_empty(), "nobody is paged anew");
    world.opsgenie.model().human_adds_note(&alert, JANE, "on it");
    world.settle().await;
    assert!(world.incident_notes(&incident).contains(&"[Opsgenie] jane@example.com: on it".to_owned()));

    // Ended and linked again, it catches up with what happened meanwhile.
    assert!(matches!(store.unlink(&id, clock::now()).await.unwrap(), Unlinking::Ended { .. }));
    world.opsgenie.model().human_unacknowledges(&alert, JANE);
    world.settle().await;
    assert_eq!(world.incident_now(&incident).status, "acknowledged", "nothing is passed on");
    assert_eq!(linked().await.commands, 2);
    world.settle().await;
    let alert_acknowledged = world.alert_now(&alert).acknowledged;
    assert_eq!(alert_acknowledged, world.incident_now(&incident).status == "acknowledged", "they are together again");
    assert_eq!(linked().await.commands, 0, "so already");
    world.end().await;
}

/// How many are dealt with at once: more than one order may be about.
const MANY: usize = 130;

/// So many dead letters of one alert's notes, and so many notes of another one's incident in the quarantine that can be read by
/// now, with nothing else to be done. On one link they would blow its fuse.
async fn many_troubles(world: &World) -> (Vec<u64>, Vec<u64>) {
    let (alert, _) = world.linked("Disk full").await;
    let (_, incident) = world.linked("CPU busy").await;
    world.pagerduty.model().faults.always("POST", "/notes", Fault::status(403));
    for number in 0..MANY {
        world.opsgenie.model().human_adds_note(&alert, JANE, &format!("note {number}"));
    }
    world.settle().await;
    world.pagerduty.model().faults.clear();
    let mut items = Vec::new();
    for number in 0..MANY {
        let mut webhook = from_pagerduty(&format!("E{number}"), "incident.annotated", &incident);
        let content = format!("from the quarantine: {number}");
        webhook["event"]["data"] = json!({
            "id": format!("N{number}"), "type": "incident_note", "content": content, "trimmed": false,
            "incident": { "id": incident, "type": "incident_reference" },
        });
        items.push(put_away(world, System::PagerDuty, Form::Webhook, &webhook).await);
    }
    let letters = world.app().store().dead_letters(None, usize::MAX).await.unwrap();
    (letters.iter().map(|letter| letter.entry.id).collect(), items)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_about_many_is_done_in_order_and_in_few_commits() {
    let mut world = World::new().await;
    let (letters, items) = many_troubles(&world).await;
    assert_eq!((letters.len(), items.len()), (MANY, MANY));
    world.stop_app().await;
    let store = world.open_store();
    let operator = Operator::new(store.clone(), Texts::shown_if(true), None);
    let too_many = operator.discard_all(&letters).await;
    assert!(matches!(too_many, Err(OperatorError::Unclear(_))), "{too_many:?}");

    let commits = store.commits();
    let (first, rest) = letters.split_at(LONGEST_ORDER);
    let redriven: Vec<u64> =
        operator.redrive_all(first).await.unwrap().into_iter().map(|letter| letter.unwrap().entry.number).collect();
    assert_eq!(redriven, first);
    let discarded = operator.discard_all(&[rest, &[first[0]]].concat()).await.unwrap();
    assert_eq!(discarded.iter().filter(|done| done.is_ok()).count(), rest.len());
    assert!(matches!(discarded.last(), Some(Err(OperatorError::NotThere(_)))), "each is answered for itself");
    let (first, rest) = items.split_at(LONGEST_ORDER);
    let replayed: Vec<u64> =
        operator.replay_all(first).await.unwrap().into_iter().map(|replayed| replayed.unwrap().number).collect();
    assert_eq!(replayed, first);
    assert_eq!(operator.drop_all_quarantined(rest).await.unwrap().len(), rest.len());
    assert_eq!(store.commits() - commits, 4, "one an order");
    store.close().await.unwrap();

    world.start_app().await;
    world.settle().await;
    let alerts = world.opsgenie.model().alert_ids();
    let told = world.alert_notes(&alerts[1]).into_iter().filter_map(|note| {
        note.strip_prefix("[PagerDuty] Ada Oncall: from the quarantine: ").map(|number| number.parse().unwrap())
    });
    assert_eq!(told.collect::<Vec<usize>>(), (0..LONGEST_ORDER).collect::<Vec<_>>(), "they are told in order");
    assert_eq!(world.incident_notes(&world.incident_of(&alerts[0]).id).len(), LONGEST_ORDER);
    world.end().await;
}
