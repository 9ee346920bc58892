//! What moves on the page, and who is told of it.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use askama::Template;
use futures_util::stream::{self, Stream, StreamExt};
use tokio::sync::watch;

use super::mirror::MirrorPane;
use super::panes::{FaultsPane, OpsgeniePane, PagerDutyPane};
use super::{CUSTOMERS, State};
use crate::clock::now;
use crate::operator::view::moment;
use crate::operator::{Operator, OperatorError};

/// How often it is looked whether something has changed, while somebody watches.
const EVERY: Duration = Duration::from_millis(100);

/// How old what the page says of times may be.
const TIMES_GROW_OLD: Duration = Duration::from_secs(1);

/// How often something is said though nothing has changed, so that a connection which is gone is noticed.
const BEAT: Duration = Duration::from_secs(15);

/// After how many looks the simulators are to forget which calls and webhooks there were. That is for tests, and this may run
/// for days.
const FORGET_EVERY: usize = 600;

/// Pieces of the page, as they are to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Regions {
    pub(super) opsgenie_faults: String,
    pub(super) opsgenie: String,
    pub(super) crosspage: String,
    pub(super) pagerduty_faults: String,
    pub(super) pagerduty: String,
}

impl Regions {
    /// Each under the name that the page has for it.
    fn named(&self) -> [(&'static str, &str); 5] {
        [
            ("opsgenie-faults", &self.opsgenie_faults),
            ("opsgenie", &self.opsgenie),
            ("crosspage", &self.crosspage),
            ("pagerduty-faults", &self.pagerduty_faults),
            ("pagerduty", &self.pagerduty),
        ]
    }

    /// What must be told to whoever has seen `before`, as server-sent events.
    fn since(&self, before: &Self) -> String {
        let mut events = String::new();
        for ((name, html), (_, old)) in self.named().into_iter().zip(before.named()) {
            if html != old {
                events.push_str(&format!("event: {name}\n"));
                html.lines().for_each(|line| events.push_str(&format!("data: {line}\n")));
                events.push('\n');
            }
        }
        events
    }
}

/// Why the page cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unshown {
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error("the page cannot be rendered: {0}")]
    Template(#[from] askama::Error),
}

/// crosspage's pane as it was drawn last, which takes many a look into the store: it is drawn again if something has happened in
/// there, or if what it says of times has grown old.
#[derive(Default)]
pub(super) struct Drawn(Option<(u64, Instant, String)>);

impl Drawn {
    async fn pane(&mut self, operator: &Operator) -> Result<String, Unshown> {
        let pulse = operator.pulse();
        if let Some((drawn_at, since, html)) = &self.0
            && *drawn_at == pulse
            && since.elapsed() < TIMES_GROW_OLD
        {
            return Ok(html.clone());
        }
        let since = Instant::now();
        let html = MirrorPane::of(operator, moment(now())).await?.render()?;
        self.0 = Some((pulse, since, html.clone()));
        Ok(html)
    }
}

/// All pieces as things stand now.
pub(super) async fn look(state: &State, drawn: &mut Drawn) -> Result<Regions, Unshown> {
    let vendors = &state.vendors;
    let both = state.switches.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let opsgenie_faults = FaultsPane { vendor: "opsgenie", name: "Opsgenie", switches: &both.opsgenie };
    let pagerduty_faults = FaultsPane { vendor: "pagerduty", name: "PagerDuty", switches: &both.pagerduty };
    // The vendors stand still while they are looked at, and must not for as long as the store takes to answer.
    let crosspage = drawn.pane(&state.operator).await?;
    Ok(Regions {
        opsgenie_faults: opsgenie_faults.render()?,
        opsgenie: OpsgeniePane::of(&vendors.opsgenie.model(), &CUSTOMERS, state.trial.opsgenie_user()).render()?,
        crosspage,
        pagerduty_faults: pagerduty_faults.render()?,
        pagerduty: PagerDutyPane::of(&vendors.pagerduty.model(), &vendors.account.pagerduty).render()?,
    })
}

/// Tells whoever watches what has changed.
pub(super) struct Watcher(watch::Sender<Arc<Regions>>);

impl Default for Watcher {
    fn default() -> Self {
        Self(watch::Sender::new(Arc::default()))
    }
}

impl Watcher {
    /// All pieces as server-sent events, and each piece again whenever it changes.
    pub(super) fn events(&self) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
        let seen = (self.0.subscribe(), Arc::default());
        stream::unfold(seen, |(mut regions, before): (watch::Receiver<Arc<Regions>>, Arc<Regions>)| async move {
            loop {
                let now = Arc::clone(&regions.borrow_and_update());
                let events = now.since(&before);
                if !events.is_empty() {
                    return Some((events, (regions, now)));
                }
                match tokio::time::timeout(BEAT, regions.changed()).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => return Some((":\n\n".to_owned(), (regions, before))),
                }
            }
        })
        .map(|events| Ok(Bytes::from(events)))
    }
}

/// Looks once, and tells whoever watches.
pub(super) async fn refresh(state: &State, drawn: &mut Drawn) -> Result<(), Unshown> {
    let regions = look(state, drawn).await?;
    state.watcher.0.send_if_modified(|shown| {
        let changed = **shown != regions;
        if changed {
            *shown = Arc::new(regions);
        }
        changed
    });
    Ok(())
}

/// Looks again and again while somebody watches.
pub(super) async fn run(state: Arc<State>) {
    let (mut looks, mut drawn) = (0_usize, Drawn::default());
    loop {
        tokio::time::sleep(EVERY).await;
        looks += 1;
        if looks.is_multiple_of(FORGET_EVERY) {
            forget(&state);
        }
        if state.watcher.0.receiver_count() > 0
            && let Err(error) = refresh(&state, &mut drawn).await
        {
            tracing::warn!(%error, "the page cannot be kept up to date");
        }
    }
}

fn forget(state: &State) {
    state.vendors.opsgenie.model().forget_records();
    state.vendors.pagerduty.model().forget_records();
}
