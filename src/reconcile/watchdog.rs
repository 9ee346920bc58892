//! PagerDuty switches a webhook subscription off for a day after three dropped deliveries, and drops what would have been
//! posted. It is switched on again, and the pass that follows makes up for what was dropped.

use std::collections::BTreeMap;

use tracing::{error, info};

use super::{Reconciler, Trouble};
use crate::engine::System;
use crate::health::{SubscriptionState, Subscriptions};
use crate::metrics::Operation;
use crate::pagerduty::client::{DOOR, Subscription};

impl Reconciler {
    /// Switches on what PagerDuty has switched off. What a person has switched off stays off, and is complained about once.
    pub(super) async fn watch_subscriptions(&mut self) -> Result<(), Trouble> {
        let call = self.vendors.pagerduty.subscriptions_to(DOOR);
        let (_, ours) = self.call(System::PagerDuty, Operation::LIST_SUBSCRIPTIONS, call).await?;
        let mut states: BTreeMap<_, _> = ours.iter().map(|ours| (ours.id.clone(), state_of(ours))).collect();
        self.miss(!ours.is_empty());
        self.tell(&states);
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
            self.call(System::PagerDuty, Operation::ENABLE_SUBSCRIPTION, call).await?;
            states.insert(subscription.id.clone(), SubscriptionState::On);
            self.tell(&states);
            info!(subscription.id = subscription.id, "PagerDuty's webhooks are on again");
        }
        Ok(())
    }

    /// Complains once where there is no subscription any more. That there never was one may be meant: then polling tells alone, or
    /// a proxy in front has an address that ends otherwise.
    fn miss(&mut self, subscribed: bool) {
        let is_new = self.subscribed && !subscribed;
        self.unsubscribed = !subscribed && (self.unsubscribed || is_new);
        self.subscribed = subscribed;
        if is_new {
            error!(
                "the webhook subscription is gone from PagerDuty: only polling tells what happens there; make one by `crosspage \
                 pagerduty subscribe`"
            );
        }
    }

    fn tell(&self, states: &BTreeMap<String, SubscriptionState>) {
        let (seen_at, states, is_gone) = (self.now(), states.clone(), self.unsubscribed);
        self.settings.health.subscribed(Subscriptions { seen_at, states, is_gone });
    }
}

fn state_of(subscription: &Subscription) -> SubscriptionState {
    match (subscription.active, subscription.temporarily_disabled) {
        (false, _) => SubscriptionState::SwitchedOff,
        (true, true) => SubscriptionState::Dropped,
        (true, false) => SubscriptionState::On,
    }
}
