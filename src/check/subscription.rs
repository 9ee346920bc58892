//! Whether PagerDuty tells what happens: the webhook subscription.

use super::Finding;
use crate::pagerduty::Client;
use crate::pagerduty::client::{DOOR, Scope, Subscription};
use crate::pagerduty::webhook::{EVENTS, NEEDED_EVENTS};

const CHECK: &str = "pagerduty.webhook";
/// What comes of a subscription. Whether it is the right one shows only when a webhook comes: PagerDuty never tells it again.
const KEY: &str = "PAGERDUTY_WEBHOOK_SECRET";

pub(super) async fn check(service_id: &str, client: &Client) -> Finding {
    match client.subscriptions().await {
        Ok(all) => judge(service_id, &all),
        Err(failure) => {
            let found = format!("the webhook subscriptions could not be read: {}", failure.into_reason());
            Finding::failed(CHECK, found)
                .key("PAGERDUTY_API_KEY")
                .way_out("take a key of the account that is not read-only, from Integrations > API Access Keys")
        }
    }
}

/// What is amiss with a subscription, the worst first. Whatever covers the service and is all right is as good as any other.
fn judge(service_id: &str, all: &[Subscription]) -> Finding {
    let to_us: Vec<&Subscription> = all.iter().filter(|one| one.address().ends_with(DOOR)).collect();
    let ours: Vec<&Subscription> = to_us.iter().copied().filter(|one| one.may_cover(service_id)).collect();
    let Some(first) = ours.first() else {
        return missing(service_id, &to_us);
    };
    let whole: Vec<&Subscription> = ours.iter().copied().filter(|one| trouble(one).is_none()).collect();
    match whole.as_slice() {
        [] => trouble(first).unwrap_or_else(|| missing(service_id, &to_us)),
        [one] => whole_one(one),
        several => {
            let ids: Vec<&str> = several.iter().map(|one| one.id.as_str()).collect();
            let found = format!(
                "several post to {DOOR} about the service: {}. Each event comes so often and counts once",
                ids.join(", ")
            );
            Finding::warning(CHECK, found).key(KEY).way_out(
                "give the secrets of all that post to this crosspage, separated by commas, or delete what is left over",
            )
        }
    }
}

fn whole_one(one: &Subscription) -> Finding {
    let Subscription { id, url, .. } = one;
    match &one.scope {
        Scope::Account => Finding::ok(CHECK, format!("{id} posts to {url} about the whole account")),
        Scope::Service(_) => Finding::ok(CHECK, format!("{id} posts to {url} about the service")),
        Scope::Team(team) => {
            let found =
                format!("{id} posts to {url} about team {team}; whether the service is that team's was not looked at");
            Finding::warning(CHECK, found)
                .way_out("see that the service belongs to that team, or subscribe to the service")
        }
        Scope::Unknown => {
            let found = format!("{id} posts to {url}; about what, cannot be read");
            Finding::warning(CHECK, found).way_out("see in PagerDuty that it is about the service")
        }
    }
}

fn missing(service_id: &str, to_us: &[&Subscription]) -> Finding {
    let others: Vec<String> = to_us.iter().map(|one| format!("{} to {}", one.id, one.url)).collect();
    let found = if others.is_empty() {
        format!("no subscription posts to an address that ends in {DOOR}")
    } else {
        format!("none that posts to {DOOR} is about service {service_id}: {}", others.join(", "))
    };
    Finding::failed(CHECK, found).key(KEY).way_out(format!(
        "crosspage pagerduty subscribe --url https://YOUR-HOST{DOOR}, and give the secret that it prints"
    ))
}

/// What keeps a subscription from telling everything.
fn trouble(one: &Subscription) -> Option<Finding> {
    let Subscription { id, url, .. } = one;
    let lacks = |wanted: &[&'static str]| -> Vec<&'static str> {
        wanted.iter().copied().filter(|name| !one.events.iter().any(|event| event == name)).collect()
    };
    if !one.active {
        let found = format!("{id}, which posts to {url}, is switched off");
        return Some(
            Finding::failed(CHECK, found).key(KEY).way_out("switch it on under Integrations > Generic Webhooks (v3)"),
        );
    }
    if one.temporarily_disabled {
        let found =
            format!("PagerDuty has switched {id} off for a day, since too many of its posts to {url} were refused");
        let to_do = "see that crosspage answers at that address and has the right secret; once it runs, it switches the \
                     subscription on again by itself";
        return Some(Finding::failed(CHECK, found).key(KEY).way_out(to_do));
    }
    let missing = lacks(NEEDED_EVENTS);
    if !missing.is_empty() {
        let found = format!("{id}, which posts to {url}, leaves out {}", missing.join(", "));
        return Some(
            Finding::failed(CHECK, found).key(KEY).way_out("choose these events in the subscription's settings"),
        );
    }
    let missing = lacks(&EVENTS);
    if !missing.is_empty() {
        let found = format!(
            "{id}, which posts to {url}, leaves out {}: a status that changes along with those shows late",
            missing.join(", ")
        );
        return Some(
            Finding::warning(CHECK, found).way_out("choose these events in the subscription's settings as well"),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn subscription(id: &str) -> Subscription {
        Subscription {
            id: id.to_owned(),
            url: "https://h/pd-webhook".to_owned(),
            scope: Scope::Service("PSVC".to_owned()),
            events: EVENTS.map(str::to_owned).to_vec(),
            active: true,
            temporarily_disabled: false,
        }
    }

    #[test]
    fn what_is_amiss_with_a_subscription_is_told() {
        let good = || subscription("PGOOD");
        let without = |left_out: &str| {
            let mut one = good();
            one.events.retain(|event| event != left_out);
            one
        };
        let of = |scope| Subscription { scope, ..good() };
        let off = Subscription { active: false, ..subscription("POFF") };
        let out = Subscription { temporarily_disabled: true, ..subscription("POUT") };
        let elsewhere = Subscription { url: "https://h/other".to_owned(), ..good() };
        let other = of(Scope::Service("POTHER".to_owned()));
        let table: [(Vec<Subscription>, Verdict, &str); 13] = [
            (vec![good()], Verdict::Ok, "PGOOD posts to https://h/pd-webhook about the service"),
            (vec![of(Scope::Account)], Verdict::Ok, "the whole account"),
            (vec![of(Scope::Team("PT".to_owned()))], Verdict::Warning, "team PT"),
            (vec![of(Scope::Unknown)], Verdict::Warning, "cannot be read"),
            (vec![], Verdict::Failed, "no subscription posts"),
            (vec![elsewhere], Verdict::Failed, "no subscription posts"),
            (vec![other.clone()], Verdict::Failed, "none that posts to /pd-webhook is about service PSVC"),
            (vec![off.clone()], Verdict::Failed, "POFF, which posts to https://h/pd-webhook, is switched off"),
            (vec![out.clone()], Verdict::Failed, "has switched POUT off"),
            (vec![without("incident.annotated")], Verdict::Failed, "leaves out incident.annotated"),
            (vec![without("incident.escalated")], Verdict::Warning, "leaves out incident.escalated"),
            (vec![off, out, other, good()], Verdict::Ok, "PGOOD posts"),
            (vec![good(), subscription("PTWO")], Verdict::Warning, "PGOOD, PTWO"),
        ];
        for (all, verdict, said) in table {
            let finding = judge("PSVC", &all);
            assert!(finding.verdict == verdict && finding.found.contains(said), "{said}: {finding:?}");
            assert_eq!(finding.to_do.is_some(), verdict != Verdict::Ok, "{finding:?}");
        }
    }
}
