//! How a vendor takes the key, and whether its clock and ours agree.

use super::{Finding, Report};
use crate::clock::now;
use crate::config::Region;
use crate::engine::Timestamp;
use crate::engine::outbox::call::{Failure, Refusal};
use crate::http::{Greeting, InvalidSetting};

/// Where a vendor was asked, and by which keys of the configuration.
pub(super) struct Access<'a> {
    /// What the finding is about.
    pub(super) check: &'static str,
    /// The vendor's name.
    pub(super) vendor: &'static str,
    /// Where its API is.
    pub(super) api_url: &'a str,
    /// The API of its other region, if this one is the vendor's own.
    pub(super) other_region: Option<&'a Region>,
    /// The keys for the API key, the region and the address.
    pub(super) keys: [&'static str; 3],
    /// What else may be wrong with a key that is refused.
    pub(super) hint: &'static str,
    /// What a key needs that is accepted and may not read.
    pub(super) to_read: &'static str,
}

impl Access<'_> {
    /// Asks the vendor, and its other region if this one refuses the key, and reports what that tells of the key and, as
    /// `clock_check`, of the clocks. Whether the key is taken.
    pub(super) async fn try_key<C>(
        &self,
        report: &mut Report<'_>,
        clock_check: &'static str,
        client: &C,
        greet: impl AsyncFn(&C) -> Greeting,
        elsewhere: impl Fn(&C, &str) -> Result<C, InvalidSetting>,
    ) -> bool {
        let before = now();
        let here = greet(client).await;
        let after = now();
        let elsewhere = match (&here.let_in, self.other_region) {
            (Err(Failure::Unauthorized(_)), Some(region)) => elsewhere(client, &region.api_url).ok(),
            _ => None,
        };
        let there = match &elsewhere {
            Some(client) => Some(greet(client).await),
            None => None,
        };
        report.add(self.judge(&here, there.as_ref()));
        if here.date.is_some() {
            report.add(clock(clock_check, self.vendor, before, here.date, after));
        }
        here.let_in.is_ok()
    }

    /// What the vendor's answer tells. `there` is what its other region said, if it was asked: that is worth while only
    /// where this one refuses the key.
    fn judge(&self, here: &Greeting, there: Option<&Greeting>) -> Finding {
        let Self { check, vendor, api_url, .. } = *self;
        let [api_key, region_key, url_key] = self.keys;
        match &here.let_in {
            Ok(()) => Finding::ok(check, format!("{vendor} accepts the key, at {api_url}")),
            Err(Failure::Unauthorized(reason)) => self.refused(reason, there),
            Err(Failure::Refused { meaning: Refusal::NotFound, reason }) => {
                Finding::failed(check, format!("what answers at {api_url} is not {vendor}'s API: {reason}"))
                    .key(url_key)
                    .way_out(format!("take {url_key} out and choose by {region_key}, or mend the gateway's path"))
            }
            Err(Failure::Refused { reason, .. }) => {
                Finding::failed(check, format!("{vendor} knows the key and lets it read nothing: {reason}"))
                    .key(api_key)
                    .way_out(self.to_read)
            }
            Err(Failure::TryAgain { reason, .. } | Failure::Unclear { reason, .. }) => {
                let finding = Finding::failed(check, format!("{vendor} gives no usable answer at {api_url}: {reason}"));
                let own = self.other_region.is_none();
                if own { finding.key(url_key) } else { finding }.way_out(
                    "see whether this machine may get there: name resolution, firewall, HTTPS_PROXY; or whether the vendor \
                     has trouble",
                )
            }
        }
    }

    fn refused(&self, reason: &str, there: Option<&Greeting>) -> Finding {
        let Self { check, vendor, api_url, .. } = *self;
        let [api_key, region_key, url_key] = self.keys;
        let refused = format!("{vendor} refuses the key, at {api_url}: {reason}");
        let (Some(region), Some(there)) = (self.other_region, there) else {
            let finding = Finding::failed(check, format!("{refused}. Whether it is another region's was not tried"));
            return finding.key(api_key).way_out(format!("look at {url_key} as well. {}", self.hint));
        };
        match there.let_in {
            Ok(()) => Finding::failed(check, format!("{refused}. Its other region, {}, accepts it", region.api_url))
                .key(region_key)
                .way_out(format!("set {region_key}={}", region.name)),
            Err(Failure::Unauthorized(_)) => {
                Finding::failed(check, format!("{refused}. Its other region, {}, refuses it too", region.api_url))
                    .key(api_key)
                    .way_out(self.hint)
            }
            Err(Failure::TryAgain { .. } | Failure::Unclear { .. } | Failure::Refused { .. }) => {
                Finding::failed(check, format!("{refused}. Its other region, {}, could not be asked", region.api_url))
                    .key(api_key)
                    .way_out(format!(
                        "if the account is in the other region, set {region_key}={}. {}",
                        region.name, self.hint
                    ))
            }
        }
    }
}

/// From how many milliseconds on clocks that differ are worth a word.
const WORTH_A_WORD: i64 = 10_000;
/// From how many on they are wrong: an alert that comes in right after the first start would be taken for an older one.
const WRONG: i64 = 300_000;

/// What the vendor's clock tells of ours. It was read at some moment from `before` to `after`, by ours, and tells seconds.
fn clock(check: &'static str, vendor: &str, before: Timestamp, date: Option<Timestamp>, after: Timestamp) -> Finding {
    let Some(date) = date else {
        return Finding::skipped(check, format!("{vendor} does not tell the time"));
    };
    let (before, date, after) = (before.as_millis(), date.as_millis(), after.as_millis());
    let ahead = (before - (date + 999)).max(0);
    let behind = (date - after).max(0);
    let apart = ahead.max(behind);
    if apart < WORTH_A_WORD {
        return Finding::ok(check, format!("this machine's clock agrees with {vendor}'s"));
    }
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let found = format!("this machine's clock is at least {} s {way} {vendor}'s", apart / 1_000);
    let finding = if apart < WRONG { Finding::warning(check, found) } else { Finding::failed(check, found) };
    finding.way_out("have the clock of this machine set by NTP")
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn clocks_differ_only_by_what_no_delay_explains() {
        const DATE: i64 = 1_800_000_000_000;
        // Before and after, relative to the vendor's second, and what is said.
        let table: [(i64, i64, Verdict, &str); 9] = [
            (0, 0, Verdict::Ok, "agrees"),
            (-30_000, 30_000, Verdict::Ok, "agrees"),
            (10_998, 11_000, Verdict::Ok, "agrees"),
            (10_999, 11_000, Verdict::Warning, "10 s ahead of X's"),
            (-9_999, -9_999, Verdict::Ok, "agrees"),
            (-40_000, -10_000, Verdict::Warning, "10 s behind X's"),
            (300_998, 400_000, Verdict::Warning, "299 s ahead of X's"),
            (300_999, 400_000, Verdict::Failed, "300 s ahead of X's"),
            (-900_000, -300_000, Verdict::Failed, "300 s behind X's"),
        ];
        for (before, after, verdict, said) in table {
            let at = |relative: i64| Timestamp::from_millis(DATE + relative);
            let finding = clock("c", "X", at(before), Some(at(0)), at(after));
            assert_eq!(finding.verdict, verdict, "{before} {after}: {finding:?}");
            assert!(finding.found.contains(said), "{before} {after}: {finding:?}");
            assert_eq!(finding.to_do.is_some(), verdict != Verdict::Ok);
        }
        let at = Timestamp::from_millis(DATE);
        assert_eq!(clock("c", "X", at, None, at).verdict, Verdict::Skipped);
    }
}
