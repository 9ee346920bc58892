//! What was ordered for a link by somebody who looks after crosspage, or by crosspage itself.

use serde::{Deserialize, Serialize};

use super::super::outbox::Entry;
use super::AlertId;

/// An order for a link. It comes from an operator, so it is no news of either vendor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operator {
    /// The link, by its alert.
    pub alert: AlertId,
    /// What is to be done with it.
    pub order: Order,
}

/// What can be ordered for a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Hold its commands. Events are recorded still, and a page still goes out.
    Pause {
        /// Why, for people to read.
        reason: String,
    },
    /// Let its commands go on.
    Resume,
    /// Try again what was given up: this entry, as it was then.
    Redrive(Box<Entry>),
    /// Leave undone what was given up: this entry.
    Discard(Box<Entry>),
    /// End the link: nothing is passed on between its two sides any more, and nothing pages for its alert again.
    Unlink,
}

impl Order {
    /// A word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pause { .. } => "pause",
            Self::Resume => "resume",
            Self::Redrive(_) => "redrive",
            Self::Discard(_) => "discard",
            Self::Unlink => "unlink",
        }
    }
}
