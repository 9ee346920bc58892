//! How crosspage is doing, and what wants attention.

use clap::Args;
use serde::Serialize;

use super::access::Access;
use super::output::Written;
use super::{Done, Failure, Format, Out, USUAL_LIST, listed};
use crate::operator::late::LatePageView;
use crate::operator::status::{StatusView, VendorView};

/// How it is told.
#[derive(Debug, Args)]
pub struct Command {
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Answer<'a> {
    #[serde(flatten)]
    status: &'a StatusView,
    late: &'a [LatePageView],
}

impl Command {
    /// Something that wants attention makes it not all done.
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        let status = access.status().await?;
        let late = listed(USUAL_LIST, None, async |after, limit| access.late_pages(after, limit).await).await?.items;
        let mut output = self.format.output();
        if output.is_json() {
            output.say("", &Answer { status: &status, late: &late })?;
        } else {
            tell(&status, &late, &mut output)?;
        }
        Ok(Done::All.and(status.alarms.is_empty() && late.is_empty()))
    }
}

fn tell(status: &StatusView, late: &[LatePageView], output: &mut Out) -> Written {
    if status.alarms.is_empty() && late.is_empty() {
        output.line("Nothing wants attention.")?;
    }
    for alarm in &status.alarms {
        output.line(&format!("{}{}. {}", if alarm.urgent { "! " } else { "- " }, alarm.headline, alarm.text))?;
    }
    if !late.is_empty() {
        output.line("")?;
        output.list(late, &["NO INCIDENT SINCE", "ALERT", "MESSAGE", "WHY"], "", row)?;
    }
    output.line("")?;
    match status.started_at {
        Some(at) => output.line(&format!("crosspage {}: running since {at}", status.version))?,
        None => output.line(&format!("crosspage {}: it does not run; this is what its store tells", status.version))?,
    }
    for (name, vendor) in [("Opsgenie", &status.opsgenie), ("PagerDuty", &status.pagerduty)] {
        output.line(&format!("{name}: {}", of_vendor(vendor)))?;
    }
    if let Some(reconciler) = &status.reconciler {
        let last = reconciler.last_complete_pass.map_or_else(|| "none yet".to_owned(), |at| at.to_string());
        output.line(&format!("Reconciler: last complete pass {last}"))?;
    }
    output.line(&format!(
        "Given up: {}. In quarantine: {}. Links paused: {}. Notes waiting for their incidents: {}.",
        status.dead_letters, status.quarantined, status.paused_links, status.waiting
    ))?;
    output.line(&format!("Store: {} MiB; its disk has {} MiB left.", status.store_bytes >> 20, status.free_bytes >> 20))
}

fn of_vendor(vendor: &VendorView) -> String {
    let mut parts: Vec<String> = vendor.state.iter().map(|state| state.words().to_owned()).collect();
    parts.push(match (vendor.entries, vendor.oldest) {
        (0, _) | (_, None) => "nothing to be done".to_owned(),
        (entries, Some(oldest)) => format!("{entries} to be done, the oldest since {oldest}"),
    });
    if vendor.held > 0 {
        parts.push(format!("{} links held", vendor.held));
    }
    parts.extend(vendor.last_success.map(|at| format!("last success {at}")));
    parts.extend(vendor.last_failure.as_ref().map(|failed| format!("last failure {}: {}", failed.at, failed.reason)));
    parts.join("; ")
}

fn row(late: &LatePageView) -> Vec<String> {
    let message = late.message.as_deref().unwrap_or_default();
    vec![late.since.to_string(), late.alert.to_string(), super::output::beginning(message), late.reason.clone()]
}
