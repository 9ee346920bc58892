//! Notes that came before anybody knew their incident.

use clap::Subcommand;
use serde_json::{Value, json};

use super::output::{beginning, moment};
use super::{Done, Failure, Format};
use crate::engine::{EventBody, IncidentChange};
use crate::store::{Store, Waits};

/// What can be done about the waiting room.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List what waits, in the order it came. It goes on by itself once the creations that are under way have ended.
    List {
        #[command(flatten)]
        format: Format,
    },
}

impl Command {
    pub(super) async fn run(self, store: &Store) -> Result<Done, Failure> {
        let Self::List { format } = self;
        let waiting = store.waiting().await?;
        let summary = store.summary().await?;
        let mut output = format.output();
        output.list(&waiting, &["NUMBER", "CAME", "INCIDENT", "NOTE"], "Nothing waits.", row, object)?;
        if summary.waiting > waiting.len() {
            output.remark(&format!("The first {} of {} are shown.", waiting.len(), summary.waiting))?;
        }
        Ok(Done::All)
    }
}

fn row(waits: &Waits) -> Vec<String> {
    let came = moment(waits.event.received_at);
    vec![waits.number.to_string(), came, waits.incident.to_string(), beginning(text(waits))]
}

fn object(waits: &Waits) -> Value {
    json!({
        "number": waits.number,
        "received_at": moment(waits.event.received_at),
        "incident": waits.incident,
        "text": text(waits),
    })
}

fn text(waits: &Waits) -> &str {
    match &waits.event.body {
        EventBody::Incident(happened) => match &happened.change {
            IncidentChange::Annotated(note) => &note.text,
            other => other.name(),
        },
        EventBody::Alert(_) | EventBody::Settled(_) | EventBody::Polled(_) | EventBody::Operator(_) => "",
    }
}
