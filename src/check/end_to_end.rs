//! `crosspage check --e2e`: one test alert through everything, and back to nothing.

use std::time::{Duration, Instant};

use super::operator::has_heard_of;
use super::{Finding, Report, vendors};
use crate::config::Config;
use crate::delivery::Vendors;
use crate::engine::outbox::FetchedAlert;
use crate::engine::outbox::call::{Answer, Failure, IncidentState, PagerDutyCall};
use crate::engine::{AlertId, ReadLag, Status};
use crate::http::InvalidSetting;
use crate::opsgenie::client::NewAlert;
use crate::remote::{NoAnswer, Remote};

/// What the test may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The alert's tags, for a filter that lets only some alerts through.
    pub tags: Vec<String>,
    /// Its priority, `P1` to `P5`.
    pub priority: String,
    /// How long it waits.
    pub patience: Patience,
    /// What tells this test's alert from all others.
    pub number: u64,
}

/// How long the test waits for what is to show.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For what Opsgenie and PagerDuty are to show.
    pub step: Duration,
    /// For PagerDuty's webhook to come in.
    pub webhook: Duration,
    /// For what cleaning up asks for.
    pub clean_up: Duration,
    /// How long after a change the vendors' reads may not show it: what is missing until then may be there all the same.
    pub read_lag: ReadLag,
}

impl Patience {
    /// So long for each step.
    pub fn of(step: Duration) -> Self {
        Self { step, webhook: step, clean_up: CLEAN_UP_PATIENCE, read_lag: ReadLag::default() }
    }
}

/// How often it is looked whether a step has shown. Each look is a call.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Far more than either vendor takes, and short enough for somebody who has pressed Ctrl-C.
const CLEAN_UP_PATIENCE: Duration = Duration::from_secs(30);

/// What became of what the test has made.
const CLEANED_UP: &str = "e2e.cleaned_up";

/// Sends a test alert through, and cleans up, also when it has failed or `interrupted` comes to its end first; when it does so
/// for the second time, cleaning up ends as well. crosspage must be running.
///
/// # Errors
/// If the vendors' clients cannot be built.
pub async fn run(
    config: &Config,
    options: &Options,
    report: &mut Report<'_>,
    mut interrupted: impl AsyncFnMut(),
) -> Result<(), InvalidSetting> {
    let user = somebody_else(&config.opsgenie.user);
    let test =
        Test { vendors: vendors(config)?, running: Remote::of(config).map_err(InvalidSetting::Tls)?, user, options };
    let mut made = Made::default();
    let was_interrupted = tokio::select! {
        biased;
        () = interrupted() => true,
        () = test.story(&mut made, report) => false,
    };
    if was_interrupted {
        report.add(Finding::failed("e2e", "it was interrupted"));
    }
    let enough = async {
        if !was_interrupted {
            interrupted().await;
        }
        interrupted().await;
    };
    let cleaned_up = tokio::select! {
        biased;
        cleaned_up = test.clean_up(made) => cleaned_up,
        () = enough => {
            let found = "cleaning up was cut short: the test alert and its incident may be open still";
            Some(Finding::failed(CLEANED_UP, found).way_out(test.by_hand()))
        }
    };
    cleaned_up.into_iter().for_each(|finding| report.add(finding));
    Ok(())
}

/// In whose name the alert is created and closed. It must not be ours, or crosspage takes both for echoes.
fn somebody_else(ours: &str) -> &'static str {
    const NAME: &str = "crosspage check";
    if ours.trim().eq_ignore_ascii_case(NAME) { "crosspage test" } else { NAME }
}

struct Test<'a> {
    vendors: Vendors,
    running: Remote,
    user: &'static str,
    options: &'a Options,
}

/// What there is to clean up.
#[derive(Default)]
struct Made {
    /// Opsgenie was asked for the alert, and may have made it.
    asked: bool,
    /// Opsgenie's name for that request.
    request: Option<String>,
    alert: Option<MadeAlert>,
    /// The alert was seen closed.
    closed: bool,
    /// The incident was seen resolved.
    resolved: bool,
}

/// The test's alert.
#[derive(Clone)]
struct MadeAlert {
    id: AlertId,
    /// Since when Opsgenie has it, at the latest.
    known_since: Instant,
}

impl MadeAlert {
    fn new(id: AlertId) -> Self {
        Self { id, known_since: Instant::now() }
    }
}

/// Why a step did not come to its end.
enum Trouble {
    /// A call went wrong, or was refused.
    Call(Failure),
    /// It has not shown.
    TooLate,
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

impl Test<'_> {
    /// The alert's way there and back. Ends early where a step does not show.
    async fn story(&self, made: &mut Made, report: &mut Report<'_>) {
        const ALERT: &str = "e2e.alert";
        let started = Instant::now();
        let alert = match self.create(made).await {
            Ok(alert) => alert,
            Err(trouble) => {
                let finding =
                    Finding::failed(ALERT, trouble.told("Opsgenie made no test alert", self.options.patience.step));
                return report.add(finding.key("OPSGENIE_API_KEY").way_out("see what Opsgenie says of it"));
            }
        };
        report.add(took(Finding::ok(ALERT, format!("Opsgenie has made the test alert {alert}")), started));
        let made_alert = MadeAlert::new(alert.clone());
        made.alert = Some(made_alert.clone());

        const INCIDENT: &str = "e2e.incident";
        let started = Instant::now();
        let incident = match self.wait(async || self.incident(&alert).await).await {
            Ok(incident) => incident,
            Err(trouble) => {
                let found = trouble.told("no incident came for the test alert", self.options.patience.step);
                return report.add(Finding::failed(INCIDENT, found).key("OPSGENIE_INTEGRATION_ID").way_out(
                    "see in crosspage's log whether Opsgenie's webhook came: if none did, the integration is off, posts \
                     elsewhere, or filters the test alert out (--tag gives it a tag); if it was refused, its id or token is \
                     wrong; if it was taken, the log tells what PagerDuty said",
                ));
            }
        };
        report.add(took(Finding::ok(INCIDENT, format!("PagerDuty has incident {} for it", incident.id)), started));

        report.add(self.heard(&alert).await);

        const RESOLVED: &str = "e2e.resolved";
        let started = Instant::now();
        if let Err(trouble) = self.close(&made_alert).await {
            let found = trouble.told("Opsgenie did not close the test alert", self.options.patience.step);
            return report.add(Finding::failed(RESOLVED, found).way_out("see what Opsgenie says of it"));
        }
        made.closed = true;
        let resolved = self.wait(async || Ok(self.incident(&alert).await?.filter(is_resolved))).await;
        match resolved {
            Ok(incident) => {
                made.resolved = true;
                let found = format!("the alert was closed, and incident {} is resolved", incident.id);
                report.add(took(Finding::ok(RESOLVED, found), started));
            }
            Err(trouble) => {
                let found =
                    trouble.told("the alert was closed, and its incident was not resolved", self.options.patience.step);
                let to_do = "see in crosspage's log whether Opsgenie's webhook about the closing came, and what became of it: \
                             the integration must post the action Close";
                report.add(Finding::failed(RESOLVED, found).key("OPSGENIE_INTEGRATION_ID").way_out(to_do));
            }
        }
    }

    /// Whether crosspage hears from PagerDuty, which proves the secret that PagerDuty signs with.
    async fn heard(&self, alert: &AlertId) -> Finding {
        const CHECK: &str = "e2e.heard";
        let started = Instant::now();
        loop {
            let is_last = started.elapsed() >= self.options.patience.webhook;
            match has_heard_of(&self.running, alert).await {
                Ok(true) => {
                    return took(
                        Finding::ok(CHECK, "crosspage has heard of the incident by PagerDuty's webhook"),
                        started,
                    );
                }
                // A story of which nothing is stored yet is not there.
                Ok(false) | Err(NoAnswer::Refused { .. }) if !is_last => tokio::time::sleep(LOOK_EVERY).await,
                Ok(false) | Err(NoAnswer::Refused { .. }) => {
                    let found = Trouble::TooLate
                        .told("no webhook of PagerDuty's about the incident came", self.options.patience.webhook);
                    return Finding::failed(CHECK, found).key("PAGERDUTY_WEBHOOK_SECRET").way_out(
                        "see in crosspage's log whether one was refused: then the secret is not that of the subscription; if none \
                         came, the address of the subscription does not lead here",
                    );
                }
                Err(why) => {
                    let found = format!("whether PagerDuty's webhooks arrive was not looked at: {why}");
                    return Finding::skipped(CHECK, found).key("ADMIN_ADDR");
                }
            }
        }
    }

    /// Closes the alert, and resolves the incident if that does not do it, or cannot be done. Only what the test has made is
    /// touched. Nothing is told if there was nothing to clean up.
    async fn clean_up(&self, made: Made) -> Option<Finding> {
        if !made.asked {
            return None;
        }
        if made.closed && made.resolved {
            return Some(Finding::ok(CLEANED_UP, "nothing of the test is left open"));
        }
        // Only what is there can be closed.
        let alert = match self.made_of(&made).await {
            Err(Trouble::Call(Failure::Refused { .. })) => {
                return Some(Finding::ok(CLEANED_UP, "no test alert was made"));
            }
            Err(Trouble::Call(_) | Trouble::TooLate) => None,
            Ok(alert) => alert,
        };
        let closed = if made.closed { Ok(()) } else { self.close_whatever_comes(alert.as_ref()).await };
        let patience = self.options.patience.clean_up;
        let closed = closed.map_err(|trouble| trouble.told("the test alert may be open still", patience));
        let Some(alert) = alert else {
            let asked = "whether a test alert was made is not known; if so, Opsgenie was asked to close it";
            let finding = match closed {
                Ok(()) => Finding::warning(CLEANED_UP, asked),
                Err(open) => Finding::failed(CLEANED_UP, open),
            };
            return Some(finding.way_out(self.by_hand()));
        };
        let resolved = self.resolve(&alert.id, closed.is_ok()).await;
        let resolved = resolved.map_err(|trouble| trouble.told("the test's incident may be open still", patience));
        let left: Vec<String> = [closed, resolved].into_iter().filter_map(Result::err).collect();
        Some(if left.is_empty() {
            Finding::ok(CLEANED_UP, "the test alert is closed, and no incident of it is left open")
        } else {
            Finding::failed(CLEANED_UP, left.join("; ")).way_out(self.by_hand())
        })
    }

    fn by_hand(&self) -> String {
        format!("look for open alerts with the alias {}, and for their incidents", self.alias())
    }

    fn alias(&self) -> String {
        format!("crosspage-check-{:016x}", self.options.number)
    }

    async fn create(&self, made: &mut Made) -> Result<AlertId, Trouble> {
        let alert = NewAlert {
            message: "A test by crosspage check: nothing is wrong".to_owned(),
            alias: self.alias(),
            description: "Somebody tries whether alerts get through to PagerDuty. It closes itself.".to_owned(),
            tags: self.options.tags.clone(),
            priority: self.options.priority.clone(),
            user: self.user.to_owned(),
        };
        made.asked = true;
        let request = self.vendors.opsgenie.create_alert(&alert).await.inspect_err(|failure| {
            made.asked = matches!(failure, Failure::Unclear { .. });
        })?;
        made.request = Some(request.clone());
        self.wait(async || self.vendors.opsgenie.created_alert(&request).await).await
    }

    /// The alert that came of the request; nothing if there is no telling.
    async fn made_of(&self, made: &Made) -> Result<Option<MadeAlert>, Trouble> {
        match (&made.alert, &made.request) {
            (Some(alert), _) => Ok(Some(alert.clone())),
            (None, Some(request)) => {
                let look = async || self.vendors.opsgenie.created_alert(request).await;
                self.wait_at_most(self.options.patience.clean_up, look).await.map(|id| Some(MadeAlert::new(id)))
            }
            (None, None) => Ok(None),
        }
    }

    async fn close(&self, alert: &MadeAlert) -> Result<(), Trouble> {
        self.vendors.opsgenie.close_alert_as(self.user, &self.alias()).await?;
        self.wait(async || self.closed(alert).await).await
    }

    /// Closes the alert, and asks for it again as long as there is hope and time.
    async fn close_whatever_comes(&self, alert: Option<&MadeAlert>) -> Result<(), Trouble> {
        let patience = self.options.patience.clean_up;
        let ask = async || self.vendors.opsgenie.close_alert_as(self.user, &self.alias()).await.map(Some);
        self.wait_at_most(patience, ask).await?;
        match alert {
            Some(alert) => self.wait_at_most(patience, async || self.closed(alert).await).await,
            None => Ok(()),
        }
    }

    /// Whether the alert is closed, or gone.
    async fn closed(&self, alert: &MadeAlert) -> Result<Option<()>, Failure> {
        // It may not show yet just after it was made.
        let may_be_gone = alert.known_since.elapsed() >= self.options.patience.read_lag.opsgenie;
        let now: Option<FetchedAlert> = self.vendors.opsgenie.look_at_alert(&alert.id).await?;
        let closed = now.map_or(may_be_gone, |alert| alert.status == Status::Resolved);
        Ok(closed.then_some(()))
    }

    /// The incident that crosspage has made for the alert.
    async fn incident(&self, alert: &AlertId) -> Result<Option<IncidentState>, Failure> {
        match self.vendors.pagerduty.perform(&PagerDutyCall::FindIncident(format!("opsgenie:{alert}"))).await {
            Answer::Found(found) => Ok(found),
            Answer::Failed(failure) => Err(failure),
            _ => Ok(None),
        }
    }

    /// Sees to it that no incident of the alert is left open. That of a closed alert is left to crosspage, and resolved if that
    /// is not done. What was not sent yet, crosspage does not send for an alert that is closed.
    async fn resolve(&self, alert: &AlertId, alert_is_closed: bool) -> Result<(), Trouble> {
        let Patience { clean_up, read_lag, .. } = self.options.patience;
        let began = Instant::now();
        // An incident that was made just now may not show yet.
        let look = async || {
            let may_be_missing = began.elapsed() >= read_lag.pagerduty;
            let incident = self.incident(alert).await?;
            Ok((incident.is_some() || may_be_missing).then_some(incident))
        };
        let over = async || Ok(look().await?.filter(|incident| incident.as_ref().is_none_or(is_resolved)).map(drop));
        if alert_is_closed && self.wait_at_most(clean_up, over).await.is_ok() {
            return Ok(());
        }
        match self.wait_at_most(clean_up, look).await? {
            Some(incident) if !is_resolved(&incident) => {
                let call = PagerDutyCall::SetStatus(incident.id, Status::Resolved);
                let ask = async || match self.vendors.pagerduty.perform(&call).await {
                    Answer::Failed(failure) => Err(failure),
                    _ => Ok(Some(())),
                };
                self.wait_at_most(clean_up, ask).await
            }
            _ => Ok(()),
        }
    }

    async fn wait<T>(&self, look: impl AsyncFn() -> Result<Option<T>, Failure>) -> Result<T, Trouble> {
        self.wait_at_most(self.options.patience.step, look).await
    }

    /// Looks until there is something to see. What may pass is not the end of it; what is refused is.
    async fn wait_at_most<T>(
        &self,
        patience: Duration,
        look: impl AsyncFn() -> Result<Option<T>, Failure>,
    ) -> Result<T, Trouble> {
        let started = Instant::now();
        loop {
            // The last look is made after the time is over, however slow the others were.
            let is_last = started.elapsed() >= patience;
            match look().await {
                Ok(Some(seen)) => return Ok(seen),
                Ok(None) | Err(Failure::TryAgain { .. } | Failure::Unclear { .. }) if !is_last => {}
                Ok(None) => return Err(Trouble::TooLate),
                Err(failure) => return Err(failure.into()),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Trouble {
    fn told(self, what: &str, patience: Duration) -> String {
        match self {
            Self::Call(failure) => format!("{what}: {}", failure.into_reason()),
            Self::TooLate => format!("{what} within {} s", patience.as_secs()),
        }
    }
}

fn is_resolved(incident: &IncidentState) -> bool {
    incident.status == Status::Resolved
}

fn took(finding: Finding, started: Instant) -> Finding {
    Finding { took_ms: Some(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)), ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_is_in_the_name_of_somebody_else() {
        for ours in ["crosspage", "crosspage check", "Crosspage Check ", "crosspage test"] {
            assert!(!somebody_else(ours).eq_ignore_ascii_case(ours.trim()), "{ours}");
        }
    }
}
