//! What an operator can look at and order. The API, the dashboard and the command line are three doors to the same room: what
//! they show is in [`view`], why something happened in [`story`], and how it all is doing in [`status`].

pub mod alarms;
mod find;
pub mod late;
pub mod replay;
pub mod status;
pub mod story;
pub mod view;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tracing::info;
use utoipa::ToSchema;

use crate::clock::now;
use crate::delivery::Gates;
use crate::emergency;
use crate::engine::{AlertId, IncidentId, Reason, System, Timestamp};
use crate::health::Health;
use crate::reconcile;
use crate::store::{QuarantinedHead, Recorded, Store, StoreError, Unlinking, Verdict};
use replay::Replayed;
use story::Story;
use view::{
    DeadLetterView, DiscardedView, EntryView, LinkView, Listed, Ordered, QuarantinedView, ReconciledView, ReplayedView,
    Texts, UnlinkedView, WaitingView,
};

/// How many items a page of a list has at most.
pub const LONGEST_PAGE: usize = 500;

/// How many items an order may be about at most. They share a commit, and nobody else writes meanwhile.
pub const LONGEST_ORDER: usize = 100;

/// What an operator has to work with. Clones are cheap and mean the same.
#[derive(Clone)]
pub struct Operator {
    store: Store,
    texts: Texts,
    live: Option<Live>,
}

/// What only the running crosspage knows.
#[derive(Clone)]
pub struct Live {
    /// Since when it runs, by our clock.
    pub started_at: Timestamp,
    /// What every call to a vendor passes.
    pub gates: Gates,
    /// Whether pages get through.
    pub emergency: watch::Receiver<emergency::Status>,
    /// How long a page may take before it is late.
    pub late_after: Duration,
    /// By what a pass of the reconciler is ordered; nothing if it does not run.
    pub reconciler: Option<reconcile::Trigger>,
    /// How the vendors and the reconciler are doing, and what was counted.
    pub health: Health,
}

/// Why something could not be shown or done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// There is no such thing.
    #[error("{0}")]
    NotThere(String),
    /// It was asked for in a way that means nothing.
    #[error("{0}")]
    Unclear(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    /// The store has failed, or is closed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Result<T> = std::result::Result<T, OperatorError>;

/// Which links are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All.
    #[default]
    All,
    /// Those between whose sides anything may still be told.
    Open,
    /// Those whose commands are held.
    Paused,
}

impl Which {
    /// What a query calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Open => "open",
            Self::Paused => "paused",
        }
    }
}

impl Operator {
    /// An operator of a store. `live` is there if crosspage runs in this process.
    pub fn new(store: Store, texts: Texts, live: Option<Live>) -> Self {
        Self { store, texts, live }
    }

    /// Which opening of its database the store is; see [`Store::owner`].
    pub fn owner(&self) -> Option<&str> {
        self.store.owner()
    }

    /// Another number whenever something else may be shown than before: what is stored has changed, a vendor has stopped or goes
    /// on, pages are late, PagerDuty's webhooks are off, or passes fail. Costs next to nothing.
    pub fn pulse(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.store.commits(), self.store.ready().is_ok()).hash(&mut hasher);
        if let Some(live) = &self.live {
            live.emergency.borrow().late.hash(&mut hasher);
            let reconciler = live.health.reconciler();
            live.webhooks_off(&reconciler).hash(&mut hasher);
            reconciler.failing.hash(&mut hasher);
            for system in [System::Opsgenie, System::PagerDuty] {
                live.gates.of(system).stopped().hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// A page of the links, by their alerts' ids. A page may hold fewer than `limit` though there are more: `next` tells.
    pub async fn links(&self, which: Which, after: Option<&str>, limit: usize) -> Result<Listed<LinkView>> {
        let mut after = after.map(alert_id).transpose()?;
        let limit = limit.clamp(1, LONGEST_PAGE);
        let mut found = Vec::new();
        loop {
            let links = match which {
                Which::Open => self.store.open_links_after(after.take(), limit).await?,
                Which::All | Which::Paused => self.store.links_after(after.take(), limit).await?,
            };
            let more = links.len() == limit;
            after = links.last().map(|link| link.alert.clone());
            found.extend(links.into_iter().filter(|link| which != Which::Paused || link.paused.is_some()));
            if found.len() >= limit || !more {
                let more = more || found.len() > limit;
                found.truncate(limit);
                // What was cut off comes first on the next page.
                let last = if found.len() == limit { found.last().map(|link| link.alert.clone()) } else { after };
                return Ok(Listed { items: self.views(&found).await?, next: last.filter(|_| more).map(String::from) });
            }
        }
    }

    /// A link.
    pub async fn link(&self, alert: &AlertId) -> Result<LinkView> {
        let link = self.store.link(alert).await?.ok_or_else(|| no_link(alert))?;
        let pending = self.store.queued_for(vec![alert.clone()]).await?;
        Ok(LinkView::of(&link, pending.first().copied().unwrap_or_default()))
    }

    /// The links that `text` may mean: an alert's id or short number, an incident's id or number, or a part of a headline, whatever its
    /// case; at most `limit`.
    pub async fn find(&self, text: &str, limit: usize) -> Result<Vec<LinkView>> {
        let links = find::links(&self.store, text, limit.clamp(1, LONGEST_PAGE)).await?;
        self.views(&links).await
    }

    /// Why what happened to an alert or an incident was, or was not, passed on. `id` is what [`Operator::find`] takes.
    pub async fn explain(&self, id: &str) -> Result<Story> {
        let alert = find::alert(&self.store, id).await?;
        let link = self.store.link(&alert).await?;
        let timeline = self.store.timeline(&alert).await?;
        if link.is_none() && timeline.is_empty() {
            return Err(OperatorError::NotThere(find::unheard_of(id)));
        }
        let entries = self.store.entries(&alert).await?;
        let letters = self.store.dead_letters_of(&alert).await?;
        let link = link.map(|link| LinkView::of(&link, entries.len()));
        Ok(story::tell(alert, link, &timeline, &entries, &letters, self.texts))
    }

    /// Holds a link's commands. `reason` is for those who come later.
    pub async fn pause(&self, alert: &AlertId, reason: &str) -> Result<Ordered> {
        let recorded = self.store.pause(alert, reason, now()).await?;
        self.ordered("pause", alert, &recorded).await
    }

    /// Lets a link's commands go on.
    pub async fn resume(&self, alert: &AlertId) -> Result<Ordered> {
        let recorded = self.store.resume(alert, now()).await?;
        self.ordered("resume", alert, &recorded).await
    }

    /// Ends a link for good. One whose page is being sent is refused: nobody would resolve the incident.
    pub async fn unlink(&self, alert: &AlertId) -> Result<UnlinkedView> {
        match self.store.unlink(alert, now()).await? {
            Unlinking::NoLink => Err(no_link(alert)),
            Unlinking::PageOnItsWay => Err(OperatorError::Conflict(format!(
                "The page for alert {alert} is being sent: try again in a moment."
            ))),
            Unlinking::Ended { entries, letters } => {
                let (dropped, discarded) = (entries.len(), letters.len());
                info!(order = "unlink", alert.id = %alert, dropped, discarded, "an operator's order was carried out");
                Ok(UnlinkedView { alert: alert.clone(), entries: entries.len(), dead_letters: letters.len() })
            }
        }
    }

    /// Links an alert with an incident by hand: one from before crosspage first ran, or whose link was ended. Nobody is paged;
    /// both are read, and where they differ the usual rules tell what follows.
    pub async fn link_to(&self, alert: &AlertId, incident: &IncidentId) -> Result<Ordered> {
        let recorded = self.store.link_to(alert, incident, now()).await?;
        let reason = match &recorded.verdict {
            Verdict::Decided(decisions) => decisions.first().map(|(_, reason)| *reason),
            Verdict::Repeat | Verdict::Waiting | Verdict::Quarantined(_) => None,
        };
        match reason {
            Some(Reason::Linked | Reason::InStep) => {
                let changed = reason == Some(Reason::Linked);
                info!(order = "link", alert.id = %alert, incident.id = %incident, changed, "an operator's order was carried out");
                Ok(Ordered { changed, link: self.link(alert).await? })
            }
            Some(Reason::AlertDeleted) => Err(OperatorError::Conflict(format!("Alert {alert} was deleted."))),
            _ => {
                let link = self.link(alert).await?;
                let other = link.incident.map_or_else(|| "one that is being created".to_owned(), String::from);
                let text =
                    format!("Alert {alert} has another incident, {other}: end that link first, by `links unlink`.");
                Err(OperatorError::Conflict(text))
            }
        }
    }

    /// Has the reconciler make a pass now, and tells what it found. A dry one only tells what differs.
    pub async fn reconcile(&self, dry_run: bool) -> Result<ReconciledView> {
        let live = self.live.as_ref();
        let trigger = live.and_then(|live| live.reconciler.as_ref()).ok_or_else(|| {
            OperatorError::Conflict(match live {
                Some(_) => "The reconciler does not run: RECONCILE_INTERVAL_S is 0.".to_owned(),
                None => "The reconciler belongs to a running crosspage: start it.".to_owned(),
            })
        })?;
        let found = trigger.pass(dry_run).await.ok_or(StoreError::Closed)?;
        info!(order = "reconcile", dry_run, "an operator's order was carried out");
        Ok(ReconciledView::of(&found, dry_run))
    }

    /// A page of what is to be carried out in one system, oldest first.
    pub async fn entries(&self, system: System, after: Option<&str>, limit: usize) -> Result<Listed<EntryView>> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let entries = self.store.entries_after(system, number(after)?, limit).await?;
        let items: Vec<_> = entries.iter().map(|entry| EntryView::of(entry, self.texts)).collect();
        Ok(page(items, limit, |entry| entry.number.to_string()))
    }

    /// What is to be carried out for one alert, oldest first.
    pub async fn entries_of(&self, alert: &AlertId) -> Result<Vec<EntryView>> {
        let entries = self.store.entries(alert).await?;
        Ok(entries.iter().map(|entry| EntryView::of(entry, self.texts)).collect())
    }

    /// A page of what was given up, by alert.
    pub async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Listed<DeadLetterView>> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let after = match after {
            None => None,
            Some(after) => {
                let (alert, entry) = after.rsplit_once('/').ok_or_else(|| unclear("after", after))?;
                Some((alert_id(alert)?, number(Some(entry))?))
            }
        };
        let letters = self.store.dead_letters(after, limit).await?;
        let items: Vec<_> = letters.iter().map(|letter| DeadLetterView::of(letter, self.texts)).collect();
        Ok(page(items, limit, |letter| format!("{}/{}", letter.entry.alert, letter.entry.number)))
    }

    /// What was given up for one alert.
    pub async fn dead_letters_of(&self, alert: &AlertId) -> Result<Vec<DeadLetterView>> {
        let letters = self.store.dead_letters_of(alert).await?;
        Ok(letters.iter().map(|letter| DeadLetterView::of(letter, self.texts)).collect())
    }

    /// Tries again what was given up.
    pub async fn redrive(&self, number: u64) -> Result<DeadLetterView> {
        self.redrive_all(&[number]).await?.pop().unwrap_or_else(|| Err(no_letter(number)))
    }

    /// Tries several again, in this order and in one commit: at most [`LONGEST_ORDER`].
    pub async fn redrive_all(&self, numbers: &[u64]) -> Result<Vec<Result<DeadLetterView>>> {
        let letters = self.store.redrive_all(not_too_many(numbers)?, now()).await?;
        Ok(each(numbers, letters, |number, letter| {
            let letter = letter.ok_or_else(|| no_letter(number))?;
            let alert = &letter.entry.alert;
            info!(order = "redrive", alert.id = %alert, entry.id = number, "an operator's order was carried out");
            Ok(DeadLetterView::of(&letter, self.texts))
        }))
    }

    /// Leaves undone what was given up.
    pub async fn discard(&self, number: u64) -> Result<DiscardedView> {
        self.discard_all(&[number]).await?.pop().unwrap_or_else(|| Err(no_letter(number)))
    }

    /// Leaves several undone, in this order and in one commit: at most [`LONGEST_ORDER`].
    pub async fn discard_all(&self, numbers: &[u64]) -> Result<Vec<Result<DiscardedView>>> {
        let discarded = self.store.discard_all(not_too_many(numbers)?, now()).await?;
        Ok(each(numbers, discarded, |number, discarded| {
            let discarded = discarded.ok_or_else(|| no_letter(number))?;
            let (alert, parked) = (&discarded.letter.entry.alert, discarded.parked.len());
            info!(order = "discard", alert.id = %alert, entry.id = number, parked, "an operator's order was carried out");
            Ok(DiscardedView { letter: DeadLetterView::of(&discarded.letter, self.texts), parked })
        }))
    }

    /// A page of what could not be read, oldest first.
    pub async fn quarantine(&self, after: Option<&str>, limit: usize) -> Result<Listed<QuarantinedView>> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let items = self.store.quarantined_after(number(after)?, limit).await?;
        let items: Vec<_> = items.into_iter().map(|(number, head)| QuarantinedView::of(number, head)).collect();
        Ok(page(items, limit, |item| item.number.to_string()))
    }

    /// What could not be read, with what was sent.
    pub async fn quarantined(&self, number: u64) -> Result<QuarantinedView> {
        let item = self.store.quarantined_under(number).await?.ok_or_else(|| not_in_quarantine(number))?;
        let body = self.texts.show(&String::from_utf8_lossy(&item.body));
        Ok(QuarantinedView { body, ..QuarantinedView::of(number, QuarantinedHead::of(&item)) })
    }

    /// Reads again what could not be read.
    pub async fn replay(&self, number: u64) -> Result<ReplayedView> {
        self.replay_all(&[number]).await?.pop().unwrap_or_else(|| Err(not_in_quarantine(number)))
    }

    /// Reads several again, in this order and in few commits: at most [`LONGEST_ORDER`].
    pub async fn replay_all(&self, numbers: &[u64]) -> Result<Vec<Result<ReplayedView>>> {
        let replayed = replay::replay_all(&self.store, &not_too_many(numbers)?).await?;
        Ok(each(numbers, replayed, |number, replayed| {
            let (taken, what) = match replayed {
                Replayed::Recorded(recorded) => (true, replay::said(&recorded.verdict)),
                Replayed::NothingToDo(event_type) => (true, format!("nothing to do for {event_type}")),
                Replayed::Unreadable(reason) => (false, format!("it cannot be read still: {reason}")),
                Replayed::NotThere => return Err(not_in_quarantine(number)),
            };
            info!(order = "replay", quarantine.id = number, taken, "an operator's order was carried out");
            Ok(ReplayedView { number, taken, what })
        }))
    }

    /// Drops what could not be read.
    pub async fn drop_quarantined(&self, number: u64) -> Result<QuarantinedView> {
        self.drop_all_quarantined(&[number]).await?.pop().unwrap_or_else(|| Err(not_in_quarantine(number)))
    }

    /// Drops several of what could not be read, in one commit: at most [`LONGEST_ORDER`].
    pub async fn drop_all_quarantined(&self, numbers: &[u64]) -> Result<Vec<Result<QuarantinedView>>> {
        let heads = self.store.discard_all_quarantined(not_too_many(numbers)?).await?;
        Ok(each(numbers, heads, |number, head| {
            let head = head.ok_or_else(|| not_in_quarantine(number))?;
            info!(order = "discard", quarantine.id = number, "an operator's order was carried out");
            Ok(QuarantinedView::of(number, head))
        }))
    }

    /// The notes that wait for incidents which are being created, in the order they came.
    pub async fn waiting(&self) -> Result<Vec<WaitingView>> {
        Ok(self.store.waiting().await?.iter().map(|waits| WaitingView::of(waits, self.texts)).collect())
    }

    async fn ordered(&self, order: &str, alert: &AlertId, recorded: &Recorded) -> Result<Ordered> {
        let Verdict::Decided(decisions) = &recorded.verdict else { return Err(no_link(alert)) };
        match decisions.first() {
            Some((_, Reason::Unlinked(_))) | None => Err(no_link(alert)),
            Some((_, reason)) => {
                let changed = *reason != Reason::InStep;
                // Why is for those who look at the link: people write what they like there.
                info!(order, alert.id = %alert, changed, "an operator's order was carried out");
                Ok(Ordered { changed, link: self.link(alert).await? })
            }
        }
    }

    async fn views(&self, links: &[crate::engine::Link]) -> Result<Vec<LinkView>> {
        let pending = self.store.queued_for(links.iter().map(|link| link.alert.clone()).collect()).await?;
        Ok(links.iter().zip(pending).map(|(link, pending)| LinkView::of(link, pending)).collect())
    }
}

/// The numbers that an order is about.
fn not_too_many(numbers: &[u64]) -> Result<Vec<u64>> {
    if numbers.len() > LONGEST_ORDER {
        return Err(OperatorError::Unclear(format!("an order is about {LONGEST_ORDER} numbers at most: give several")));
    }
    Ok(numbers.to_vec())
}

/// What came of each of these.
fn each<T, U>(numbers: &[u64], done: Vec<T>, answer: impl Fn(u64, T) -> Result<U>) -> Vec<Result<U>> {
    numbers.iter().zip(done).map(|(number, done)| answer(*number, done)).collect()
}

/// A page of a list that goes on behind its last item if it is full.
fn page<T>(items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Listed<T> {
    let next = items.last().filter(|_| items.len() == limit).map(cursor);
    Listed { items, next }
}

fn alert_id(text: &str) -> Result<AlertId> {
    AlertId::try_from(text).map_err(|error| OperatorError::Unclear(format!("{text:?} is no alert's id: {error}")))
}

/// The number in a cursor; without one, that before the first.
fn number(after: Option<&str>) -> Result<u64> {
    after.map_or(Ok(0), |after| after.parse().map_err(|_| unclear("after", after)))
}

fn unclear(name: &str, value: &str) -> OperatorError {
    OperatorError::Unclear(format!("{name}={value:?} is no place in this list: give the `next` of the page before"))
}

fn no_link(alert: &AlertId) -> OperatorError {
    OperatorError::NotThere(format!("There is no link for alert {alert}."))
}

fn no_letter(number: u64) -> OperatorError {
    OperatorError::NotThere(format!("{number}: there is no such dead letter (any more)."))
}

fn not_in_quarantine(number: u64) -> OperatorError {
    OperatorError::NotThere(format!("{number}: no such number is in the quarantine (any more)."))
}
