use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use actix_web::test::TestRequest;
use actix_web::{FromRequest, body};
use futures_util::future::join_all;
use serde_json::Value;

use super::*;
use crate::engine::{
    Actor, AlertAction, AlertEvent, AlertFacts, Identity, IncidentChange, IncidentEvent, IncidentId, IncidentNote,
    Policy,
};
use crate::store::Settings;
use crate::store::backend::Backend;
use crate::store::memory::MemoryBackend;

fn state(memory: &MemoryBackend) -> web::Data<State> {
    let identity = Identity {
        pagerduty_ids: BTreeSet::new(),
        pagerduty_name: "Sync Bot".to_owned(),
        pagerduty_email: "sync@example.com".to_owned(),
        opsgenie_user: "crosspage".to_owned(),
    };
    let policy = Policy { identity, retention: Duration::from_secs(86_400), ..Policy::default() };
    let store = Store::on(Backend::Memory(memory.clone()), Settings::new(policy), now()).unwrap();
    let opsgenie = opsgenie::webhook::Door::new(&["one"], None);
    let (_, emergency) = watch::channel(emergency::Status::default());
    let patience = Patience::default();
    let metrics = Metrics::default();
    web::Data::new(State::new(Doors { store, opsgenie, pagerduty_secrets: Vec::new(), patience, emergency, metrics }))
}

fn event(body: EventBody) -> Event {
    let actor = Actor { person: true, ..Actor::nobody() };
    Event { dedupe: Vec::new(), request_id: None, occurred_at: None, received_at: now(), actor, body }
}

fn created() -> Event {
    let alert = AlertId::try_from("a-1").unwrap();
    event(EventBody::Alert(AlertEvent { alert, facts: AlertFacts::default(), action: AlertAction::Create }))
}

/// A note on an incident that nobody knows.
fn noted(number: usize) -> Event {
    let note = IncidentNote { id: format!("N{number}"), text: "on it".to_owned(), trimmed: false };
    event(EventBody::Incident(IncidentEvent {
        incident: IncidentId::try_from("Q1").unwrap(),
        status: None,
        incident_key: None,
        number: None,
        service: None,
        change: IncidentChange::Annotated(note),
    }))
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, what: &str) -> usize {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).lines().filter(|line| line.contains(what)).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn log() -> (Log, tracing::subscriber::DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    (log, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn that_no_more_events_can_wait_is_an_error_in_the_log_and_not_once_for_each() {
    let state = state(&MemoryBackend::default());
    state.doors.store.record(created()).await.unwrap();
    let mut number = 0;
    let full = loop {
        let verdicts = join_all((number..number + 1_000).map(|n| state.doors.store.record(noted(n)))).await;
        number += 1_000;
        if let Some(other) = verdicts.into_iter().map(|r| r.unwrap().verdict).find(|v| *v != Verdict::Waiting) {
            break other;
        }
    };
    assert!(matches!(full, Verdict::Quarantined(_)), "{full:?}");
    let (log, _guard) = log();
    for more in 0..3 {
        let visit = Visit::new(System::PagerDuty, None, &state);
        assert_eq!(visit.record(&state, noted(number + more)).await.status(), StatusCode::ACCEPTED);
    }
    assert_eq!(log.count("a webhook was taken"), 3);
    assert_eq!(log.count("too many events wait for their incidents"), 1);
}

async fn unread() -> web::Payload {
    let (request, mut payload) = TestRequest::default().to_http_parts();
    web::Payload::from_request(&request, &mut payload).await.unwrap()
}

async fn said(response: HttpResponse) -> (u16, Value) {
    let status = response.status().as_u16();
    let Ok(bytes) = body::to_bytes(response.into_body()).await else { panic!("the body breaks off") };
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn whoever_asks_is_told_what_is_wrong_but_no_path_and_no_key() {
    let memory = MemoryBackend::default();
    let state = state(&memory);
    assert_eq!(said(healthz(unread().await, state.clone()).await).await.0, 200);
    assert_eq!(said(readyz(unread().await, state.clone()).await).await.0, 200);
    let (log, _guard) = log();
    memory.fail_next_sync();
    assert!(state.doors.store.record(created()).await.is_err());
    for _ in 0..3 {
        let failed = json!({ "status": "failed", "reason": "the store has failed" });
        assert_eq!(said(healthz(unread().await, state.clone()).await).await, (503, failed));
        let not_ready = json!({ "status": "not ready", "reason": "the store has failed" });
        assert_eq!(said(readyz(unread().await, state.clone()).await).await, (503, not_ready));
    }
    assert_eq!(log.count("no webhooks are taken"), 1);
    assert_eq!(log.count("the database could not"), 1, "the log tells the details");

    let state = self::state(&MemoryBackend::default());
    state.doors.store.clone().close().await.unwrap();
    let closed = json!({ "status": "not ready", "reason": "closed" });
    assert_eq!(said(readyz(unread().await, state.clone()).await).await, (503, closed));
    let low = StoreError::DiskLow { free: 1, needed: 2 };
    let reason = json!({ "status": "not ready", "reason": "the disk is low" });
    assert_eq!(said(state.unwell("not ready", &low, unread().await)).await, (503, reason));
}
