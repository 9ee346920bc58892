//! The two webhook doors without the listener before them: the real authentication, parsing and storing of the real bytes.

use std::sync::{Mutex, PoisonError};

use crosspage::engine::{Event, EventBody, System};
use crosspage::store::{Form, Quarantined, Store, Verdict};
use crosspage::{opsgenie, pagerduty};
use secrecy::SecretString;
use simulators::{Answer, WebhookDelivery};

use super::planted::Planted;
use super::scene::{Accepted, Scene};

/// Where webhooks are handed in.
pub(super) struct Doors {
    opsgenie: opsgenie::webhook::Door,
    secrets: Vec<SecretString>,
    /// The store behind the doors, and the number of the process that has it; none while crosspage is down.
    open: Mutex<Option<(Store, u64)>>,
}

/// What there is to be stored of a webhook.
enum Inbound {
    Event(Box<Event>),
    Unreadable(String),
    Nothing,
}

impl Doors {
    pub(super) fn new() -> Self {
        let (opsgenie, pagerduty) =
            (simulators::opsgenie::Options::default(), simulators::pagerduty::Options::default());
        Self {
            opsgenie: opsgenie::webhook::Door::new(&[opsgenie.integration_id], None),
            secrets: pagerduty.webhook_secrets.into_iter().map(SecretString::from).collect(),
            open: Mutex::new(None),
        }
    }

    pub(super) fn open(&self, store: Store, life: u64) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some((store, life));
    }

    pub(super) fn shut(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Hands a webhook in, and says how it was answered.
    pub(super) async fn knock(&self, scene: &Scene, system: System, delivery: &WebhookDelivery) -> Answer {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some((store, life)) = open.filter(|(_, life)| scene.is_alive(*life)) else { return Answer::NoAnswer };
        let request_id = format!("{system}-{}-{}", delivery.id, scene.next_visit());
        let inbound = match system {
            System::Opsgenie => self.opsgenie_webhook(scene, delivery),
            System::PagerDuty => self.pagerduty_webhook(scene, delivery),
        };
        let answer = match inbound {
            Err(refused) => refused,
            Ok(Inbound::Nothing) => 200,
            Ok(Inbound::Event(event)) => record(scene, &store, &request_id, *event).await,
            Ok(Inbound::Unreadable(reason)) => {
                let body = delivery.body.clone();
                let received_at = scene.our_time();
                let (form, request_id) = (Form::Webhook, Some(request_id));
                let item = Quarantined { system, received_at, reason, form, body, request_id };
                store.quarantine(item).await.map_or(503, |_| 202)
            }
        };
        // Who is dead does not answer.
        if scene.is_alive(life) { Answer::Status(answer) } else { Answer::NoAnswer }
    }

    fn opsgenie_webhook(&self, scene: &Scene, delivery: &WebhookDelivery) -> Result<Inbound, u16> {
        self.opsgenie.authorize(delivery.header("authorization")).map_err(|_| 401_u16)?;
        let authentic = self.opsgenie.authenticate(&delivery.body).map_err(|_| 403_u16)?;
        Ok(match authentic.parse(scene.our_time()) {
            Ok(event) => Inbound::Event(Box::new(event)),
            Err(unreadable) => Inbound::Unreadable(unreadable.to_string()),
        })
    }

    fn pagerduty_webhook(&self, scene: &Scene, delivery: &WebhookDelivery) -> Result<Inbound, u16> {
        let signature = delivery.header(pagerduty::signature::SIGNATURE_HEADER);
        pagerduty::signature::verify(&self.secrets, signature, &delivery.body).map_err(|_| 403_u16)?;
        let webhook_id = delivery.header("x-webhook-id");
        Ok(match pagerduty::webhook::parse(&delivery.body, webhook_id, scene.our_time()) {
            Ok(pagerduty::webhook::Inbound::Event(event)) => Inbound::Event(Box::new(event)),
            Ok(pagerduty::webhook::Inbound::Ping | pagerduty::webhook::Inbound::Ignored(_)) => Inbound::Nothing,
            Err(unreadable) => Inbound::Unreadable(unreadable.to_string()),
        })
    }
}

async fn record(scene: &Scene, store: &Store, request_id: &str, event: Event) -> u16 {
    let mut event = Event { request_id: Some(request_id.to_owned()), ..event };
    if scene.planted == Planted::NoDedupe {
        event.dedupe.clear();
    }
    let what = describe(&event);
    if scene.planted == Planted::AnswersBeforeItStores {
        scene.note_accepted(request_id, &what);
        let store = store.clone();
        tokio::spawn(async move { store.record(event).await });
        return 202;
    }
    match store.record(event.clone()).await {
        Err(_) => 503,
        Ok(recorded) => {
            scene.tell(|| format!("webhook: {what}: {:?}, {} commands", recorded.verdict, recorded.commands));
            if let Verdict::Decided(decisions) = &recorded.verdict
                && decisions.iter().any(|(alert, _)| alert.is_some())
            {
                scene.note_accepted(request_id, &what);
            }
            if recorded.verdict == Verdict::Waiting {
                scene.note_accepted(request_id, &what);
            }
            202
        }
    }
}

fn describe(event: &Event) -> String {
    let by = event.actor.name.as_deref().unwrap_or("nobody");
    match &event.body {
        EventBody::Alert(happened) => format!("alert {} by {by}", happened.action.name()),
        EventBody::Incident(happened) => {
            format!("incident {} {} by {by}, now {:?}", happened.incident, happened.change.name(), happened.status)
        }
        EventBody::Settled(_) | EventBody::Polled(_) | EventBody::Ordered(_) => "no webhook".to_owned(),
    }
}

impl Scene {
    fn next_visit(&self) -> u32 {
        let mut notes = self.notes();
        notes.visits += 1;
        notes.visits
    }

    fn note_accepted(&self, request_id: &str, what: &str) {
        let accepted = Accepted { request_id: request_id.to_owned(), what: what.to_owned() };
        let mut notes = self.notes();
        notes.accepted.push(accepted);
        notes.stirred_at_ms = self.now_ms();
    }
}
