//! Notes that came before anybody knew their incident.

use clap::Subcommand;

use super::access::Access;
use super::output::beginning;
use super::{Done, Failure, Format};
use crate::operator::view::WaitingView;

/// What can be done about the waiting room.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what waits, in the order it came. It goes on by itself once the creations that are under way have ended.
    #[command(after_help = "Example: crosspage waiting list")]
    List {
        #[command(flatten)]
        format: Format,
    },
}

impl Command {
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        let Self::List { format } = self;
        let waiting = access.waiting().await?;
        let status = access.status().await?;
        let mut output = format.output();
        output.list(&waiting, &["NUMBER", "CAME", "INCIDENT", "NOTE"], "Nothing waits.", row)?;
        if status.waiting > waiting.len() {
            output.remark(&format!("The first {} of {} are shown.", waiting.len(), status.waiting))?;
        }
        Ok(Done::All)
    }
}

fn row(waits: &WaitingView) -> Vec<String> {
    let text = waits.text.as_deref().unwrap_or_default();
    vec![waits.number.to_string(), waits.received_at.to_string(), waits.incident.to_string(), beginning(text)]
}
