//! A pass of the reconciler, now.

use clap::Args;

use super::access::Access;
use super::{Done, Failure, Format};
use crate::operator::view::DifferenceView;

/// How the pass is made.
#[derive(Debug, Args)]
pub struct Command {
    /// Tell only what differs, and change nothing.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    format: Format,
}

impl Command {
    /// What could not be looked at makes it not all done.
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        let mut output = self.format.output();
        let Some(found) = output.unless_refused(access.reconcile(self.dry_run).await)? else { return Ok(Done::NotAll) };
        if output.is_json() {
            output.say("", &found)?;
        } else {
            let none = "Nothing differs from what is known.";
            output.list(&found.differences, &["ALERT", "SEEN IN", "WHAT", "DECISION"], none, row)?;
            let (alerts, incidents, differing) = (found.alerts, found.incidents, found.differing);
            output.line(&format!(
                "Listed: {alerts} alerts that have changed lately, {incidents} open incidents. Differences: {differing}{}.",
                if found.dry_run { ", and none was made up for: this was a dry run" } else { "" }
            ))?;
            if found.not_yet > 0 {
                output.line(&format!("Too fresh to be judged, and looked at again soon: {}.", found.not_yet))?;
            }
            for (part, why) in &found.failures {
                output.line(&format!("Could not be looked at: {part}: {why}"))?;
            }
        }
        Ok(Done::All.and(found.failures.is_empty()))
    }
}

fn row(difference: &DifferenceView) -> Vec<String> {
    let DifferenceView { alert, side, what, reason } = difference;
    vec![alert.to_string(), side.to_string(), what.clone(), reason.clone()]
}
