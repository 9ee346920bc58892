//! What a running crosspage says of itself, by the operator's API.

use super::here::free;
use super::{Finding, Running};
use crate::config::Config;
use crate::engine::{AlertId, System};
use crate::operator::status::StatusView;
use crate::operator::story::{Heard, Story};
use crate::remote::{NoAnswer, Remote, Unasked};

const CHECK: &str = "operator";

/// Whether PagerDuty has told anything of the alert's incident by a webhook, which it does in a moment after it is made.
pub(super) async fn has_heard_of(running: &Remote, alert: &AlertId) -> Result<bool, NoAnswer> {
    let story: Story = running.get(&["explain"], &[("id", alert.as_str())]).await?;
    let by_webhook = |heard: Heard, side| heard == Heard::Webhook && side == Some(System::PagerDuty);
    Ok(story.chapters.iter().any(|chapter| by_webhook(chapter.heard, chapter.side)))
}

/// Whether the operator's listener can be asked, and what it tells; or whether there can be one.
pub(super) async fn check(config: &Config, running: Running) -> Finding {
    const KEY: &str = "ADMIN_ADDR";
    if running == Running::No {
        return free(config.admin.listen, CHECK, KEY);
    }
    let status = match Remote::of(config) {
        Ok(remote) => remote.get::<StatusView>(&["status"], &[]).await,
        Err(why) => return Finding::failed(CHECK, format!("the HTTP client cannot be set up: {why}")),
    };
    match status {
        Ok(status) => told(&status),
        Err(NoAnswer::Unasked(Unasked::NoPort)) => {
            let found = "the port is left to the system, so nobody knows where to ask";
            Finding::warning(CHECK, found).key(KEY).way_out("name a port")
        }
        Err(why @ NoAnswer::Unasked(Unasked::Token { .. })) => {
            Finding::failed(CHECK, format!("crosspage runs, and {why}")).key("ADMIN_TOKEN")
        }
        Err(why) => Finding::warning(CHECK, format!("crosspage runs, and {why}")).key(KEY),
    }
}

fn told(status: &StatusView) -> Finding {
    let Some(worst) = status.alarms.first() else {
        return Finding::ok(CHECK, format!("crosspage {} runs, and nothing wants attention", status.version));
    };
    let headlines: Vec<&str> = status.alarms.iter().map(|alarm| &*alarm.headline).collect();
    Finding::warning(CHECK, format!("crosspage runs; {}", headlines.join("; "))).way_out(&*worst.text)
}
