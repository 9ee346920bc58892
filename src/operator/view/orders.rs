//! What is ordered, and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DeadLetterView, LinkView};
use crate::engine::{AlertId, IncidentId, System};
use crate::operator::story::words;
use crate::reconcile::{Difference, Found};

/// Why a link is to be paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseOrder {
    /// For those who come later.
    pub reason: String,
}

/// What is to be linked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkOrder {
    /// The alert.
    #[schema(value_type = String)]
    pub alert: AlertId,
    /// The incident.
    #[schema(value_type = String)]
    pub incident: IncidentId,
}

/// Which ones an order is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumbersOrder {
    /// Their numbers, in the order in which it is to be done: at most a hundred.
    #[schema(max_items = 100)]
    pub numbers: Vec<u64>,
}

/// What came of an order about several.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AnsweredAll<T> {
    /// What came of each, in the order of their numbers.
    pub answers: Vec<Answered<T>>,
}

/// What came of one of several.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Answered<T> {
    /// It was refused.
    Refused(Problem),
    /// It was done.
    Done(T),
}

/// How the reconciler is to make its pass.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconcileOrder {
    /// Whether to tell only what differs, and to change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a pass of the reconciler found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReconciledView {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How many alerts were listed: those that have changed since the last pass.
    pub alerts: usize,
    /// How many incidents were listed: those that are open.
    pub incidents: usize,
    /// How many differences from what was known there were.
    pub differing: usize,
    /// The differences; no more than the first thousand.
    pub differences: Vec<DifferenceView>,
    /// How many looks prove nothing yet, since that side has just changed: they are taken again.
    pub not_yet: usize,
    /// What could not be looked at, and why.
    pub failures: BTreeMap<String, String>,
}

/// Something that no webhook had told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DifferenceView {
    /// The alert.
    #[schema(value_type = String)]
    pub alert: AlertId,
    /// Where it was seen.
    #[schema(value_type = String)]
    pub side: System,
    /// What was seen.
    pub what: String,
    /// The reason of the decision, as the log and the metrics name it.
    pub reason: String,
}

impl ReconciledView {
    /// What a pass looks like.
    pub fn of(found: &Found, dry_run: bool) -> Self {
        let difference = |difference: &Difference| DifferenceView {
            alert: difference.alert.clone(),
            side: difference.seen.system(),
            what: words::seen(&difference.seen),
            reason: difference.reason.to_string(),
        };
        Self {
            dry_run,
            alerts: found.alerts,
            incidents: found.incidents,
            differing: found.differing,
            differences: found.differences.iter().map(difference).collect(),
            not_yet: found.not_yet,
            failures: found.failures.iter().map(|(part, why)| (part.name().to_owned(), why.clone())).collect(),
        }
    }
}

/// What came of an order for a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Ordered {
    /// Whether it changed anything.
    pub changed: bool,
    /// The link as it is now.
    pub link: LinkView,
}

/// What ended with a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnlinkedView {
    /// The alert.
    #[schema(value_type = String)]
    pub alert: AlertId,
    /// How many commands were still to be carried out, and were dropped.
    pub entries: usize,
    /// How many had been given up, and were discarded.
    pub dead_letters: usize,
}

/// What was left undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DiscardedView {
    /// What had been given up.
    pub letter: DeadLetterView,
    /// How many commands were parked behind it, and were dropped with it.
    pub parked: usize,
}

/// What came of reading again what lies in the quarantine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReplayedView {
    /// Its number.
    pub number: u64,
    /// Whether it could be read now. If not, it stays.
    pub taken: bool,
    /// What came of it, or why it cannot be read.
    pub what: String,
}

/// Why a request was refused, as it is told.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The reason.
    pub error: ProblemText,
}

/// A reason.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ProblemText {
    /// For programs: `not_found`, `unclear`, `conflict`, `store`, `host`, `origin`, `token` or `method`.
    pub code: String,
    /// For people.
    pub message: String,
}
