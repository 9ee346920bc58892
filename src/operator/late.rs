//! The pages that have not gone out in time, each with the reason.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::view::{Listed, moment};
use super::{LONGEST_PAGE, Operator, Result, alert_id, page, unclear};
use crate::clock::now;
use crate::emergency;
use crate::engine::{AlertId, System, Timestamp};
use crate::store::LatePage;

/// A page that should have gone out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LatePageView {
    /// The alert that has no incident.
    #[schema(value_type = String)]
    pub alert: AlertId,
    /// Its headline.
    pub message: Option<String>,
    /// Since when it should have one.
    pub since: jiff::Timestamp,
    /// Which vendor it waits for: an alert whose creation was missed must be read first.
    #[schema(value_type = String)]
    pub waits_for: System,
    /// Whether it is tried no more until somebody redrives it.
    pub given_up: bool,
    /// What keeps it.
    pub reason: String,
}

impl Operator {
    /// A page of the pages that have not gone out in time, longest owed first.
    ///
    /// # Errors
    /// The store's, and a cursor that is none.
    pub async fn late_pages(&self, after: Option<&str>, limit: usize) -> Result<Listed<LatePageView>> {
        let limit = limit.clamp(1, LONGEST_PAGE);
        let behind = after.map(place).transpose()?;
        let late_after = self.live.as_ref().map_or(emergency::LATE_AFTER, |live| live.late_after);
        let late = self.store.late_pages(now(), late_after, behind, limit).await?;
        let Listed { items, next } =
            page(late.pages, limit, |late| format!("{}/{}", late.since.as_millis(), late.alert));
        Ok(Listed { items: items.iter().map(|late| self.late_page(late)).collect(), next })
    }

    fn late_page(&self, late: &LatePage) -> LatePageView {
        LatePageView {
            alert: late.alert.clone(),
            message: late.title.clone(),
            since: moment(late.since),
            waits_for: late.waits_for,
            given_up: late.given_up,
            reason: emergency::why(late, self.live.as_ref().map(|live| &live.gates)),
        }
    }
}

fn place(after: &str) -> Result<(Timestamp, AlertId)> {
    let (since, alert) = after.split_once('/').ok_or_else(|| unclear("after", after))?;
    let since = since.parse().map_err(|_| unclear("after", after))?;
    Ok((Timestamp::from_millis(since), alert_id(alert)?))
}
