//! The account that alerts are in.

use super::access::Access;
use super::{Finding, Report};
use crate::config::Config;
use crate::engine::outbox::call::{Failure, Refusal};
use crate::http::MayWrite;
use crate::opsgenie::Client;

const KEY: &str = "OPSGENIE_API_KEY";

pub(super) async fn check(config: &Config, client: &Client, report: &mut Report<'_>) {
    if key(config, client, report).await {
        report.add(rights(client).await);
        report.add(query(config, client).await);
    } else {
        let found = "rights and alerts cannot be looked at without a key that is accepted";
        report.add(Finding::skipped("opsgenie.account", found));
    }
    report.add(Finding::skipped(
        "opsgenie.webhook",
        "whether the integration OPSGENIE_INTEGRATION_ID posts to this crosspage, and with the token, nobody tells: \
         crosspage check --e2e shows it",
    ));
}

/// Whether the key is accepted. If it is not, the vendor's other region is asked, and no other host; see the same of PagerDuty.
async fn key(config: &Config, client: &Client, report: &mut Report<'_>) -> bool {
    let settings = &config.opsgenie;
    let access = Access {
        check: "opsgenie.key",
        vendor: "Opsgenie",
        api_url: &settings.api_url,
        other_region: settings.other_region.as_ref(),
        keys: [KEY, "OPSGENIE_REGION", "OPSGENIE_API_URL"],
        hint: "copy it anew from the page of the API integration, and see there whether the integration is on",
        to_read: "give the API integration the access Read",
    };
    access.try_key(report, "opsgenie.clock", client, Client::greet, Client::elsewhere).await
}

/// Whether the key may write, which those from the account's settings may not.
async fn rights(client: &Client) -> Finding {
    const CHECK: &str = "opsgenie.rights";
    match client.may_write().await {
        Ok(MayWrite::Yes) => Finding::ok(CHECK, "the key is an API integration's, and may create and update"),
        Ok(MayWrite::NotOfAnIntegration) => {
            let found =
                "the key is none of an API integration's: it reads, and may neither acknowledge, close nor add notes";
            Finding::failed(CHECK, found).key(KEY).way_out(
                "do not take it from Settings > API key management, but add an API integration and take that one's key",
            )
        }
        Ok(MayWrite::No(reason) | MayWrite::NotInThatName(reason)) => {
            Finding::failed(CHECK, format!("the key may not create and update: {reason}"))
                .key(KEY)
                .way_out("give the API integration the access Create and update, and see that it is not read-only")
        }
        Err(failure) => Finding::warning(
            CHECK,
            format!("whether the key may write could not be found out: {}", failure.into_reason()),
        ),
    }
}

/// How many alerts would page though their creation was missed.
async fn query(config: &Config, client: &Client) -> Finding {
    const CHECK: &str = "opsgenie.query";
    let open = match client.count_alerts("status: open").await {
        Ok(open) => open,
        Err(failure) => {
            return Finding::warning(CHECK, format!("open alerts could not be counted: {}", failure.into_reason()));
        }
    };
    let Some(query) = &config.opsgenie.query else {
        let found = format!("without OPSGENIE_QUERY, all alerts that the key can read may page: {open} are open");
        return Finding::ok(CHECK, found);
    };
    // First as the reconciler asks.
    let all = match client.count_alerts(query).await {
        Ok(all) => all,
        Err(Failure::Refused { meaning: Refusal::Invalid, reason }) => {
            return Finding::failed(CHECK, format!("Opsgenie does not understand OPSGENIE_QUERY: {reason}"))
                .key("OPSGENIE_QUERY")
                .way_out("try it in the alert search of Opsgenie's web application until it finds what it should");
        }
        Err(failure) => {
            return Finding::warning(CHECK, format!("OPSGENIE_QUERY could not be tried: {}", failure.into_reason()));
        }
    };
    match client.count_alerts(&format!("({query}) AND status: open")).await {
        Ok(matching) => Finding::ok(CHECK, format!("OPSGENIE_QUERY selects {matching} of {open} open alerts")),
        Err(_) => {
            Finding::ok(CHECK, format!("OPSGENIE_QUERY selects {all} alerts, closed ones included; {open} are open"))
        }
    }
}
