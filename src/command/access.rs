//! Where a command finds what it asks for: with the running crosspage, or in the store itself. The store has one owner, so it is
//! that owner who is asked; where there is none, the command is the owner for as long as it takes.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::app::{self, Tuning};
use crate::clock::now;
use crate::config::Config;
use crate::engine::{AlertId, IncidentId};
use crate::operator::late::LatePageView;
use crate::operator::status::StatusView;
use crate::operator::story::Story;
use crate::operator::view::{
    Answered, AnsweredAll, DeadLetterView, DiscardedView, EntryView, LinkOrder, LinkView, Listed, NumbersOrder,
    Ordered, PauseOrder, Problem, QuarantinedView, ReconcileOrder, ReconciledView, ReplayedView, Texts, UnlinkedView,
    WaitingView,
};
use crate::operator::{Operator, OperatorError, Which};
use crate::remote::{NoAnswer, Remote};
use crate::store::{DatabaseUrl, Settings, Store, StoreError};

/// Whoever can be asked.
pub(super) enum Access {
    /// A crosspage runs, and has the store.
    Running(Owner),
    /// Nobody has the store but this command.
    Store(Operator, Store),
}

type Result<T> = std::result::Result<T, Failure>;

const NO_BODY: Option<&()> = None;

impl Access {
    /// Opens the store that the configuration names; if a running crosspage has it, that one is asked. Unlike the server it makes
    /// no new store: that would be the wrong folder, and from then on the moment when crosspage first ran.
    pub(super) fn open() -> Result<Self> {
        let config = Config::from_env()?;
        if !config.database.is_there() {
            let DatabaseUrl::Sled(folder) = config.database;
            return Err(Failure::NoDatabase(folder));
        }
        Self::of(config)
    }

    /// The same, and makes the store if there is none.
    pub(super) fn open_or_make() -> Result<Self> {
        Self::of(Config::from_env()?)
    }

    fn of(config: Config) -> Result<Self> {
        let settings = Settings::new(app::policy(&config, &Tuning::default()));
        match Store::open(&config.database, settings, now()) {
            Ok(store) => {
                let texts = Texts::shown_if(config.admin.shows_note_texts);
                Ok(Self::Store(Operator::new(store.clone(), texts, None), store))
            }
            Err(StoreError::Locked { path }) => {
                let remote = Remote::of(&config).map_err(Failure::AskingClient)?;
                Ok(Self::Running(Owner { remote, folder: path }))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go of the store. One that has failed says so here as well, and why.
    pub(super) async fn close(self) -> Result<()> {
        match self {
            Self::Running(_) => Ok(()),
            Self::Store(_, store) => Ok(store.close().await?),
        }
    }

    /// The store, for what no running crosspage can be asked to do.
    pub(super) fn store(&self) -> Result<&Store> {
        match self {
            Self::Running(owner) => Err(Failure::NotAlone(owner.folder.clone())),
            Self::Store(_, store) => Ok(store),
        }
    }

    /// When what was ordered is carried out, to be read behind it.
    pub(super) fn when(&self) -> &'static str {
        match self {
            Self::Running(_) => "",
            Self::Store(..) => " at the next start",
        }
    }

    pub(super) async fn status(&self) -> Result<StatusView> {
        match self {
            Self::Running(owner) => owner.get(&["status"], &[]).await,
            Self::Store(operator, _) => Ok(operator.status().await?),
        }
    }

    pub(super) async fn late_pages(&self, after: Option<&str>, limit: usize) -> Result<Listed<LatePageView>> {
        match self {
            Self::Running(owner) => owner.get(&["late-pages"], &place(after, &limit.to_string(), &[])).await,
            Self::Store(operator, _) => Ok(operator.late_pages(after, limit).await?),
        }
    }

    pub(super) async fn links(&self, which: Which, after: Option<&str>, limit: usize) -> Result<Listed<LinkView>> {
        match self {
            Self::Running(owner) => {
                owner.get(&["links"], &place(after, &limit.to_string(), &[("which", which.name())])).await
            }
            Self::Store(operator, _) => Ok(operator.links(which, after, limit).await?),
        }
    }

    pub(super) async fn link(&self, alert: &AlertId) -> Result<LinkView> {
        match self {
            Self::Running(owner) => owner.get(&["links", alert.as_str()], &[]).await,
            Self::Store(operator, _) => Ok(operator.link(alert).await?),
        }
    }

    pub(super) async fn explain(&self, id: &str) -> Result<Story> {
        match self {
            Self::Running(owner) => owner.get(&["explain"], &[("id", id)]).await,
            Self::Store(operator, _) => Ok(operator.explain(id).await?),
        }
    }

    pub(super) async fn pause(&self, alert: &AlertId, reason: &str) -> Result<Ordered> {
        match self {
            Self::Running(owner) => {
                let order = PauseOrder { reason: reason.to_owned() };
                owner.post(&["links", alert.as_str(), "pause"], Some(&order)).await
            }
            Self::Store(operator, _) => Ok(operator.pause(alert, reason).await?),
        }
    }

    pub(super) async fn resume(&self, alert: &AlertId) -> Result<Ordered> {
        match self {
            Self::Running(owner) => owner.post(&["links", alert.as_str(), "resume"], NO_BODY).await,
            Self::Store(operator, _) => Ok(operator.resume(alert).await?),
        }
    }

    pub(super) async fn unlink(&self, alert: &AlertId) -> Result<UnlinkedView> {
        match self {
            Self::Running(owner) => owner.post(&["links", alert.as_str(), "unlink"], NO_BODY).await,
            Self::Store(operator, _) => Ok(operator.unlink(alert).await?),
        }
    }

    pub(super) async fn link_to(&self, alert: &AlertId, incident: &IncidentId) -> Result<Ordered> {
        match self {
            Self::Running(owner) => {
                let order = LinkOrder { alert: alert.clone(), incident: incident.clone() };
                owner.post(&["links"], Some(&order)).await
            }
            Self::Store(operator, _) => Ok(operator.link_to(alert, incident).await?),
        }
    }

    pub(super) async fn reconcile(&self, dry_run: bool) -> Result<ReconciledView> {
        match self {
            Self::Running(owner) => owner.post_and_wait(&["reconcile"], &ReconcileOrder { dry_run }).await,
            Self::Store(operator, _) => Ok(operator.reconcile(dry_run).await?),
        }
    }

    pub(super) async fn entries_of(&self, alert: &AlertId) -> Result<Vec<EntryView>> {
        match self {
            Self::Running(owner) => owner.get(&["links", alert.as_str(), "entries"], &[]).await,
            Self::Store(operator, _) => Ok(operator.entries_of(alert).await?),
        }
    }

    pub(super) async fn dead_letters_of(&self, alert: &AlertId) -> Result<Vec<DeadLetterView>> {
        match self {
            Self::Running(owner) => owner.get(&["links", alert.as_str(), "dead-letters"], &[]).await,
            Self::Store(operator, _) => Ok(operator.dead_letters_of(alert).await?),
        }
    }

    pub(super) async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Listed<DeadLetterView>> {
        match self {
            Self::Running(owner) => owner.get(&["dead-letters"], &place(after, &limit.to_string(), &[])).await,
            Self::Store(operator, _) => Ok(operator.dead_letters(after, limit).await?),
        }
    }

    pub(super) async fn redrive(&self, numbers: &[u64]) -> Result<Vec<Result<DeadLetterView>>> {
        match self {
            Self::Running(owner) => several(owner, &["dead-letters", "redrive"], numbers).await,
            Self::Store(operator, _) => Ok(each(operator.redrive_all(numbers).await?)),
        }
    }

    pub(super) async fn discard(&self, numbers: &[u64]) -> Result<Vec<Result<DiscardedView>>> {
        match self {
            Self::Running(owner) => several(owner, &["dead-letters", "discard"], numbers).await,
            Self::Store(operator, _) => Ok(each(operator.discard_all(numbers).await?)),
        }
    }

    pub(super) async fn quarantine(&self, after: Option<&str>, limit: usize) -> Result<Listed<QuarantinedView>> {
        match self {
            Self::Running(owner) => owner.get(&["quarantine"], &place(after, &limit.to_string(), &[])).await,
            Self::Store(operator, _) => Ok(operator.quarantine(after, limit).await?),
        }
    }

    pub(super) async fn quarantined(&self, number: u64) -> Result<QuarantinedView> {
        match self {
            Self::Running(owner) => owner.get(&["quarantine", &number.to_string()], &[]).await,
            Self::Store(operator, _) => Ok(operator.quarantined(number).await?),
        }
    }

    pub(super) async fn replay(&self, numbers: &[u64]) -> Result<Vec<Result<ReplayedView>>> {
        match self {
            Self::Running(owner) => several(owner, &["quarantine", "replay"], numbers).await,
            Self::Store(operator, _) => Ok(each(operator.replay_all(numbers).await?)),
        }
    }

    pub(super) async fn drop_quarantined(&self, numbers: &[u64]) -> Result<Vec<Result<QuarantinedView>>> {
        match self {
            Self::Running(owner) => several(owner, &["quarantine", "discard"], numbers).await,
            Self::Store(operator, _) => Ok(each(operator.drop_all_quarantined(numbers).await?)),
        }
    }

    pub(super) async fn waiting(&self) -> Result<Vec<WaitingView>> {
        match self {
            Self::Running(owner) => owner.get(&["waiting"], &[]).await,
            Self::Store(operator, _) => Ok(operator.waiting().await?),
        }
    }
}

/// The running crosspage that has the store in `folder`.
pub(super) struct Owner {
    remote: Remote,
    folder: PathBuf,
}

impl Owner {
    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T> {
        self.remote.get(path, query).await.map_err(|why| self.failure(why))
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: Option<&impl Serialize>) -> Result<T> {
        self.remote.post(path, body).await.map_err(|why| self.failure(why))
    }

    async fn post_and_wait<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T> {
        self.remote.post_and_wait(path, body).await.map_err(|why| self.failure(why))
    }

    fn failure(&self, why: NoAnswer) -> Failure {
        match why {
            NoAnswer::Refused { code, message } => Failure::Refused { code, message },
            NoAnswer::Unasked(why) => Failure::InUse { folder: self.folder.clone(), why },
            why @ NoAnswer::StoreFailed(_) => Failure::StoreThere(why),
        }
    }
}

/// Gives a running crosspage an order about several.
async fn several<T: DeserializeOwned>(owner: &Owner, path: &[&str], numbers: &[u64]) -> Result<Vec<Result<T>>> {
    let order = NumbersOrder { numbers: numbers.to_vec() };
    let AnsweredAll { answers } = owner.post(path, Some(&order)).await?;
    let answer = |answered| match answered {
        Answered::Done(done) => Ok(done),
        Answered::Refused(Problem { error }) => Err(Failure::Refused { code: error.code, message: error.message }),
    };
    Ok(answers.into_iter().map(answer).collect())
}

fn each<T>(done: Vec<std::result::Result<T, OperatorError>>) -> Vec<Result<T>> {
    done.into_iter().map(|done| done.map_err(Failure::from)).collect()
}

/// Where a page of a list begins, and how long it may be.
fn place<'a>(after: Option<&'a str>, limit: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut query = vec![("limit", limit)];
    query.extend(after.map(|after| ("after", after)));
    query.extend(more);
    query
}
