//! PagerDuty switches a webhook subscription off for a day after three dropped deliveries, and drops what would have been
//! posted. It is switched on again, and the pass that follows makes up for what was dropped.

use tracing::{error, info};

use super::{Reconciler, Trouble};
use crate::engine::System;

/// The end of the address that our subscriptions post to.
const DOOR: &str = "/pd-webhook";

impl Reconciler {
    /// Switches on what PagerDuty has switched off. What a person has switched off stays off, and is complained about once.
    pub(super) async fn watch_subscriptions(&mut self) -> Result<(), Trouble> {
        let (_, ours) = self.call(System::PagerDuty, self.vendors.pagerduty.subscriptions_to(DOOR)).await?;
        for subscription in &ours {
            if !subscription.active {
                if self.switched_off.insert(subscription.id.clone()) {
                    error!(
                        subscription.id = subscription.id,
                        "somebody has switched the webhook subscription off in PagerDuty: only polling tells what happens there"
                    );
                }
                continue;
            }
            self.switched_off.remove(&subscription.id);
            if !subscription.temporarily_disabled {
                continue;
            }
            error!(
                subscription.id = subscription.id,
                "PagerDuty has switched our webhooks off, since too many of them were dropped: they are switched on again"
            );
            let call = self.vendors.pagerduty.enable_subscription(&subscription.id);
            self.call(System::PagerDuty, call).await?;
            info!(subscription.id = subscription.id, "PagerDuty's webhooks are on again");
        }
        Ok(())
    }
}
