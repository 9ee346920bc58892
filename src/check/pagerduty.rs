//! The account that is paged by.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::access::Access;
use super::{Finding, Report, subscription};
use crate::config::Config;
use crate::engine::OnResolved;
use crate::http::MayWrite;
use crate::pagerduty::Client;
use crate::pagerduty::client::{ServiceStatus, User};

/// What an Events API key has, which is often taken for the other one.
const ROUTING_KEY_CHARS: usize = 32;

/// Roles that are known for not changing incidents, in the API's words.
const LOOKERS_ON: [&str; 4] = ["observer", "read_only_user", "read_only_limited_user", "restricted_access"];

pub(super) async fn check(config: &Config, client: &Client, report: &mut Report<'_>) {
    if !key(config, client, report).await {
        let found = "user, rights, service, webhooks and priorities cannot be looked at without a key that is accepted";
        report.add(Finding::skipped("pagerduty.account", found));
        fallback(config, report);
        return;
    }
    let user = user(config, client).await;
    report.add(user.0);
    report.add(author(config, client, user.1.as_ref()).await);
    report.add(rights(client).await);
    for finding in service(config, client).await {
        report.add(finding);
    }
    report.add(subscription::check(&config.pagerduty.service_id, client).await);
    report.add(priorities(client).await);
    fallback(config, report);
}

/// Whether the key is accepted. If it is not, the vendor's other region is asked, and no other host: that is the same vendor
/// over TLS, who has made the key, and the answer is what whoever has set this up needs to know.
async fn key(config: &Config, client: &Client, report: &mut Report<'_>) -> bool {
    let settings = &config.pagerduty;
    let hint = if settings.api_key.expose_secret().len() == ROUTING_KEY_CHARS {
        "it has 32 characters, as keys of the Events API have: take one from Integrations > API Access Keys, which has 20"
    } else {
        "copy it anew from Integrations > API Access Keys, and see there whether it was disabled or deleted"
    };
    let access = Access {
        check: "pagerduty.key",
        vendor: "PagerDuty",
        api_url: &settings.api_url,
        other_region: settings.other_region.as_ref(),
        keys: ["PAGERDUTY_API_KEY", "PAGERDUTY_REGION", "PAGERDUTY_API_URL"],
        hint,
        to_read: "make a key under Integrations > API Access Keys: one of the account, not read-only",
    };
    access.try_key(report, "pagerduty.clock", client, Client::greet, Client::elsewhere).await
}

/// Whether `From` names a user, by the name that the configuration says.
async fn user(config: &Config, client: &Client) -> (Finding, Option<User>) {
    const CHECK: &str = "pagerduty.user";
    let (email, name) = (&config.pagerduty.email, &config.pagerduty.user);
    let user = match client.user().await {
        Ok(Some(user)) => user,
        Ok(None) => {
            let found = format!("no user has the address {email}, so PagerDuty would refuse every change");
            let finding = Finding::failed(CHECK, found).key("PAGERDUTY_EMAIL");
            return (
                finding.way_out("make a user of crosspage's own under People > Users, and give its address"),
                None,
            );
        }
        Err(failure) => {
            let found =
                format!("whether {email} is a user's address could not be found out: {}", failure.into_reason());
            return (Finding::warning(CHECK, found).key("PAGERDUTY_EMAIL"), None);
        }
    };
    let called = user.name.as_deref().unwrap_or_default();
    let finding = if user.role.as_deref().is_some_and(|role| LOOKERS_ON.contains(&role)) {
        let role = user.role.as_deref().unwrap_or_default();
        Finding::warning(
            CHECK,
            format!("{email} is user {} with the role {role}, which may not change incidents", user.id),
        )
        .key("PAGERDUTY_EMAIL")
        .way_out("give that user the role Responder, or more, under People > Users")
    } else if !called.trim().eq_ignore_ascii_case(name.trim()) {
        Finding::warning(CHECK, format!("{email} is user {}, whose name in PagerDuty is {called}, not {name}", user.id))
            .key("PAGERDUTY_USER")
            .way_out(format!("set PAGERDUTY_USER='{called}'"))
    } else {
        Finding::ok(CHECK, format!("{email} is user {}, {called}", user.id))
    };
    (finding, Some(user))
}

/// Whose name is on what is written: with a user's own key, that of the key's owner, whatever `From` says.
async fn author(config: &Config, client: &Client, user: Option<&User>) -> Finding {
    const CHECK: &str = "pagerduty.author";
    let is_ours = |owner: &User| {
        let same = |email: &str| email.trim().eq_ignore_ascii_case(&config.pagerduty.email);
        user.is_some_and(|user| user.id == owner.id) || owner.email.as_deref().is_some_and(same)
    };
    match client.key_owner().await {
        Ok(None) => Finding::ok(CHECK, "the key is the account's, so changes are in the name of PAGERDUTY_EMAIL"),
        Ok(Some(owner)) if is_ours(&owner) => {
            Finding::ok(CHECK, "the key is the very user's whom PAGERDUTY_EMAIL names")
        }
        Ok(Some(owner)) => {
            let name = owner.name.unwrap_or(owner.id);
            let found = format!(
                "the key is {name}'s own, so every change would be in that name, and what {name} does would not be mirrored"
            );
            Finding::failed(CHECK, found)
                .key("PAGERDUTY_API_KEY")
                .way_out("take a key of the account, from Integrations > API Access Keys")
        }
        Err(failure) => {
            Finding::warning(CHECK, format!("whose key it is could not be found out: {}", failure.into_reason()))
        }
    }
}

/// Whether changes are taken, as far as that can be told without one.
async fn rights(client: &Client) -> Finding {
    const CHECK: &str = "pagerduty.rights";
    match client.may_write().await {
        Ok(MayWrite::Yes) => Finding::ok(
            CHECK,
            "a change is refused only because its incident does not exist. Whether the user may change those of this \
             service shows with a real one: crosspage check --e2e",
        ),
        Ok(MayWrite::NotInThatName(reason)) => {
            Finding::failed(CHECK, format!("PagerDuty takes no change in the name of PAGERDUTY_EMAIL: {reason}"))
                .key("PAGERDUTY_EMAIL")
                .way_out("give the address of a user who is active")
        }
        Ok(MayWrite::No(reason)) => Finding::failed(CHECK, format!("the key may not write: {reason}"))
            .key("PAGERDUTY_API_KEY")
            .way_out("make a key under Integrations > API Access Keys with Read-only unticked"),
        Ok(MayWrite::NotOfAnIntegration) => Finding::skipped(CHECK, "PagerDuty has no such keys"),
        Err(failure) => Finding::warning(
            CHECK,
            format!("whether the key may write could not be found out: {}", failure.into_reason()),
        ),
    }
}

async fn service(config: &Config, client: &Client) -> Vec<Finding> {
    const CHECK: &str = "pagerduty.service";
    const KEY: &str = "PAGERDUTY_SERVICE_ID";
    let id = &config.pagerduty.service_id;
    let service = match client.service().await {
        Ok(Some(service)) => service,
        Ok(None) => {
            let finding = Finding::failed(CHECK, format!("there is no service {id} that the key can see")).key(KEY);
            return vec![finding.way_out(
                "open the service under Services > Service Directory: the last part of its address is the id",
            )];
        }
        Err(failure) => {
            let found = format!("service {id} could not be read: {}", failure.into_reason());
            return vec![Finding::failed(CHECK, found).key(KEY).way_out("give the key access to the service")];
        }
    };
    let name = service.name.as_deref().unwrap_or("without a name");
    let finding = match service.status {
        ServiceStatus::Disabled => {
            let found = format!("{id} ({name}) is disabled: PagerDuty makes no incident on it, so nobody is paged");
            Finding::failed(CHECK, found).key(KEY).way_out("enable the service, or name another one")
        }
        _ if !service.has_escalation_policy => {
            let found = format!("{id} ({name}) has no escalation policy: nobody can be paged by it");
            Finding::failed(CHECK, found)
                .key(KEY)
                .way_out("give the service an escalation policy with somebody on call")
        }
        ServiceStatus::Maintenance => {
            let found = format!("{id} ({name}) is in maintenance: until that ends PagerDuty makes no incident on it");
            Finding::warning(CHECK, found).key(KEY).way_out("end the maintenance window if it is not meant")
        }
        ServiceStatus::Enabled => Finding::ok(
            CHECK,
            format!("{id} ({name}) is enabled and has an escalation policy. Whether somebody is on call was not asked"),
        ),
    };
    let acknowledgement = match service.acknowledgement_timeout {
        Some(after) => {
            format!("an acknowledgement ends by itself after {}, and the alert is un-acknowledged with it", span(after))
        }
        None => "an acknowledgement never ends by itself".to_owned(),
    };
    let timers = match service.auto_resolve_timeout {
        Some(after) => format!("{acknowledgement}; an incident resolves itself after {}", span(after)),
        None => format!("{acknowledgement}; no incident resolves itself"),
    };
    let closes = config.on_pagerduty_resolved == OnResolved::Close && service.auto_resolve_timeout.is_some();
    let timers = if closes {
        Finding::warning("pagerduty.timers", format!("{timers}, which closes its alert"))
            .key("ON_PAGERDUTY_RESOLVED")
            .way_out("switch auto-resolution off in the service's settings, unless a timer is to close alerts")
    } else {
        Finding::ok("pagerduty.timers", timers)
    };
    vec![finding, timers]
}

fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

async fn priorities(client: &Client) -> Finding {
    const CHECK: &str = "pagerduty.priorities";
    let names = match client.priorities().await {
        Ok(names) => names,
        Err(failure) => {
            return Finding::warning(CHECK, format!("they could not be read: {}", failure.into_reason()));
        }
    };
    let missing: Vec<&str> =
        ["P1", "P2", "P3", "P4", "P5"].into_iter().filter(|wanted| !names.contains(&wanted.to_lowercase())).collect();
    if missing.is_empty() {
        return Finding::ok(CHECK, "P1 to P5 are there");
    }
    if names.is_empty() {
        let found = "the account has none, so incidents get none; their urgency is set all the same";
        return Finding::warning(CHECK, found).way_out("nothing, if the plan has no priorities; else switch them on");
    }
    let found = format!("there is no {}, so incidents of such alerts get no priority", missing.join(", "));
    Finding::warning(CHECK, found).way_out("name the account's priorities as Opsgenie's are: P1 to P5")
}

fn fallback(config: &Config, report: &mut Report<'_>) {
    const CHECK: &str = "pagerduty.fallback";
    const KEY: &str = "PAGERDUTY_FALLBACK_ROUTING_KEY";
    report.add(match &config.pagerduty.fallback_routing_key {
        Some(_) => {
            Finding::ok(CHECK, "the key has the form of an integration key; nothing was sent by it, since that pages")
        }
        None => {
            Finding::warning(CHECK, "there is no key, so when pages do not get through only the log and /readyz tell")
                .key(KEY)
                .way_out("add an Events API v2 integration to another service and give its key")
        }
    });
}
