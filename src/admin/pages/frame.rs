//! What all pages have in common.

use crate::admin::State;
use crate::clock::now;
use crate::operator::OperatorError;
use crate::operator::status::StatusView;
use crate::operator::view::moment;

use super::text;

/// What stands around a page's own matter.
pub(super) struct Frame {
    /// What the browser calls the page.
    pub(super) title: String,
    /// The path of the page in the menu that it belongs to.
    pub(super) here: &'static str,
    /// What was last searched for.
    pub(super) wanted: String,
    /// How crosspage is doing.
    pub(super) status: StatusView,
    /// Whether there is anything to log out of.
    pub(super) logs_in: bool,
    /// When the page was made.
    pub(super) now: jiff::Timestamp,
}

impl Frame {
    pub(super) async fn of(state: &State, title: &str, here: &'static str) -> Result<Self, OperatorError> {
        Ok(Self {
            title: title.to_owned(),
            here,
            wanted: String::new(),
            status: state.operator.status().await?,
            logs_in: state.sessions.is_some(),
            now: moment(now()),
        })
    }

    /// How long ago something was when the page was made.
    pub(super) fn ago(&self, at: &jiff::Timestamp) -> String {
        text::ago(self.now, *at)
    }

    /// Whether a path in the menu is where we are.
    pub(super) fn is_at(&self, path: &str) -> bool {
        self.here == path
    }
}
