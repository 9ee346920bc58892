//! Where alerts and incidents stand, compared with what their links know.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tracing::warn;

use super::{Reconciler, Trouble};
use crate::engine::outbox::call::IncidentState;
use crate::engine::{AlertId, IncidentId, Link, NotYet, Page, Reason, Seen, Status, System, Timestamp};
use crate::metrics::{Operation, Part};
use crate::opsgenie::client::ListedAlert;
use crate::pagerduty::client::ListedIncident;
use crate::{opsgenie, pagerduty};

/// What was changed shortly before the newest change of the last pass is listed again: a search may show changes late,
/// and not in their order. For as long, it is not believed of an alert that is known to have changed.
const OVERLAP: Duration = Duration::from_secs(60);

/// How many links are read from the store at once: everybody else waits that long.
const LINKS: usize = 100;

/// What is remembered of the alerts between passes.
#[derive(Clone, Default)]
pub(super) struct Alerts {
    /// The newest change that was compared, by Opsgenie's clock.
    until: Option<Timestamp>,
    /// What the last pass listed, by itself and by the query: when each was changed, and its state, since an alert may change twice
    /// at once.
    listed: [HashMap<AlertId, (Option<Timestamp>, Status)>; 2],
    /// Alerts that must be looked at again.
    again: BTreeMap<AlertId, Again>,
}

/// An alert that could not be judged yet.
#[derive(Clone, Copy)]
struct Again {
    may_page: bool,
    /// Where it stood.
    seen: Status,
    why: Why,
}

/// Why it could not be judged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Why {
    /// This pass has only listed it, which proves nothing.
    Listed,
    /// It was changed too shortly before, or is being read for its page.
    TooFresh,
    /// A change of ours is under way.
    Unfinished,
}

impl Reconciler {
    /// Lists the alerts that changed since the last pass, and those that may page though nobody told of them; looks at those that
    /// a list proves nothing about.
    pub(super) async fn compare_alerts(&mut self) -> Result<(), Trouble> {
        let listed = self.list_changed_alerts().await;
        self.look_again().await?;
        listed
    }

    async fn list_changed_alerts(&mut self) -> Result<(), Trouble> {
        let until = match self.alerts.until {
            Some(until) => until,
            None => self.store.reconciled_until().await?,
        };
        let query = self.settings.query.clone();
        let newest = self.list_alerts(0, None, query.is_none(), until).await?;
        if query.is_some() {
            self.list_alerts(1, query.as_deref(), true, until).await?;
        }
        self.alerts.until = Some(newest);
        Ok(())
    }

    /// Puts down up to when everything was compared: there the next start goes on. What is still to be looked at is known to this
    /// process only; what agrees meanwhile may wait for an operator, and holds nothing up.
    pub(super) async fn put_down_progress(&mut self) -> Result<(), Trouble> {
        let Some(until) = self.alerts.until.filter(|_| !self.dry) else { return Ok(()) };
        for (alert, again) in &self.alerts.again {
            let link = self.store.link(alert).await?;
            if link.is_none_or(|link| link.page == Page::Joining || is_news(&link, again.seen)) {
                return Ok(());
            }
        }
        if self.store.reconciled_until().await? != until {
            self.store.set_reconciled_until(until).await?;
        }
        Ok(())
    }

    /// Pages through one list until it is older than the last pass; tells the newest change in it.
    async fn list_alerts(
        &mut self,
        list: usize,
        query: Option<&str>,
        may_page: bool,
        until: Timestamp,
    ) -> Result<Timestamp, Trouble> {
        let cutoff = until.minus(OVERLAP);
        let mut newest = until;
        let mut listed = HashMap::new();
        let mut offset = Some(0);
        while let Some(at) = offset {
            if at >= opsgenie::client::LONGEST_LISTING {
                warn!(
                    "Opsgenie lists no more than 20,000 alerts: those that changed before the others are not compared"
                );
                break;
            }
            let call = self.vendors.opsgenie.list_alerts(query, at);
            let (read_started, page) = self.call(System::Opsgenie, Operation::LIST_ALERTS, call).await?;
            offset = page.next;
            for ListedAlert { id, alert } in page.alerts {
                let changed_at = alert.at;
                if changed_at.is_some_and(|at| at < cutoff) {
                    offset = None;
                    break;
                }
                self.found.alerts += 1;
                newest = newest.max(changed_at.unwrap_or(newest));
                let (status, now) = (alert.status, (changed_at, alert.status));
                let has_moved = self.alerts.listed[list].get(&id) != Some(&now);
                let link = self.store.link(&id).await?;
                let mut linked = link.is_some();
                // What was heard of since may differ from what was seen then.
                let differs = link.as_ref().is_some_and(|link| is_news(link, status));
                let may_be_late = !has_moved
                    || link.is_some_and(|Link { opsgenie: side, .. }| {
                        side.touched_at > read_started.minus(OVERLAP) || changed_at < side.known_until()
                    });
                if differs && may_be_late {
                    self.remember(&id, Again { may_page, seen: status, why: Why::Listed });
                } else if has_moved || differs {
                    let reason;
                    (linked, reason) = self.saw(&id, read_started, Seen::Alert { alert, may_page }).await?;
                    self.follow_up(&id, may_page, status, reason);
                }
                if linked && has_moved && list == 0 {
                    self.has_moved(id.clone(), System::Opsgenie);
                }
                listed.insert(id, now);
            }
        }
        self.alerts.listed[list] = listed;
        Ok(newest)
    }

    /// What was seen may have proven nothing, and a creation that is being read may turn out not to be readable yet.
    fn follow_up(&mut self, alert: &AlertId, may_page: bool, seen: Status, reason: Reason) {
        let why = match reason {
            Reason::NotYet(NotYet::Unfinished) => Why::Unfinished,
            Reason::NotYet(NotYet::TooFresh) => Why::TooFresh,
            // Where nothing is changed, nothing is being read.
            Reason::Joining if !self.dry => Why::TooFresh,
            _ => {
                self.alerts.again.remove(alert);
                return;
            }
        };
        self.remember(alert, Again { may_page, seen, why });
    }

    fn remember(&mut self, alert: &AlertId, new: Again) {
        let again = self.alerts.again.entry(alert.clone()).or_insert(new);
        *again = Again { may_page: again.may_page || new.may_page, ..new };
    }

    /// Looks at the alerts that could not be judged, once they can be: they may not show among the changed ones any more.
    async fn look_again(&mut self) -> Result<(), Trouble> {
        for (alert, Again { may_page, why, .. }) in self.alerts.again.clone() {
            let link = self.store.link(&alert).await?;
            let begins = self.look_begins(System::Opsgenie);
            let can_be_judged = |link: &Link| {
                // An alert that is being read tells by that where it stands, and what is held is there until somebody lets it go on.
                let held = link.paused.is_some() && why == Why::Unfinished;
                link.page != Page::Joining && !held && self.can_be_judged(link, System::Opsgenie, begins)
            };
            if link.as_ref().is_none_or(can_be_judged) {
                let looked = self.look_at(&alert, may_page).await;
                self.tolerate(Part::Alerts, looked)?;
            } else if why == Why::Listed {
                self.found.not_yet += 1;
            }
        }
        Ok(())
    }

    async fn look_at(&mut self, alert: &AlertId, may_page: bool) -> Result<(), Trouble> {
        let call = self.vendors.opsgenie.look_at_alert(alert);
        let (read_started, found) = self.call(System::Opsgenie, Operation::READ_ALERT, call).await?;
        let Some(found) = found else {
            // If it is linked, reading its notes will tell.
            self.alerts.again.remove(alert);
            return Ok(());
        };
        let seen = found.status;
        let (_, reason) = self.saw(alert, read_started, Seen::Alert { alert: found, may_page }).await?;
        self.follow_up(alert, may_page, seen, reason);
        Ok(())
    }

    /// Lists the open incidents, and looks at each that should be among them and is not.
    pub(super) async fn compare_incidents(&mut self) -> Result<(), Trouble> {
        let since = self.store.reconciled_until().await?.minus(OVERLAP);
        let listing_started = self.look_begins(System::PagerDuty);
        let mut open = HashMap::new();
        let mut offset = 0;
        let complete = loop {
            let call = self.vendors.pagerduty.list_open_incidents(offset);
            let (_, page) = self.call(System::PagerDuty, Operation::LIST_INCIDENTS, call).await?;
            offset += u32::try_from(page.incidents.len()).unwrap_or(u32::MAX).max(1);
            open.extend(page.incidents.into_iter().map(|incident| (incident.state.id.clone(), incident)));
            if !page.more {
                break true;
            }
            if offset + 100 > pagerduty::client::LONGEST_LISTING {
                warn!("PagerDuty lists no more than 10,000 open incidents: the others are not compared");
                break false;
            }
        };
        self.found.incidents = open.len();
        let first_pass = self.incidents.is_empty();
        let is_newer = |incident: &ListedIncident| match self.incidents.get(&incident.state.id) {
            Some(before) => *before != incident.updated_at,
            None => !first_pass || incident.updated_at.is_none_or(|at| at >= since),
        };
        let moved: HashMap<IncidentId, bool> = open.iter().map(|(id, listed)| (id.clone(), is_newer(listed))).collect();
        let listed: Vec<IncidentId> = open.keys().cloned().collect();
        for incidents in listed.chunks(LINKS) {
            for link in self.store.links_of_all(incidents.to_vec()).await? {
                let Some(listed) = link.incident().and_then(|incident| open.get(incident)) else { continue };
                if moved.get(&listed.state.id) == Some(&true) {
                    self.has_moved(link.alert.clone(), System::PagerDuty);
                }
                if link.pagerduty.known.is_none_or(|known| known.status != listed.state.status) {
                    self.saw(&link.alert, listing_started, seen(listed.clone())).await?;
                }
            }
        }
        if complete {
            self.look_for_unlisted(&open, listing_started).await?;
        }
        self.incidents = open.into_iter().map(|(id, listed)| (id, listed.updated_at)).collect();
        Ok(())
    }

    /// Looks at the incident of each open link that is not among those that were listed.
    async fn look_for_unlisted(
        &mut self,
        listed: &HashMap<IncidentId, ListedIncident>,
        listed_at: Timestamp,
    ) -> Result<(), Trouble> {
        let mut after = None;
        loop {
            let links = self.store.open_links_after(after.take(), LINKS).await?;
            let Some(last) = links.last() else { return Ok(()) };
            after = Some(last.alert.clone());
            for link in &links {
                if let Some(incident) = link.incident().filter(|incident| !listed.contains_key(*incident)) {
                    let looked = self.look_for(link, incident, listed_at).await;
                    self.tolerate(Part::Incidents, looked)?;
                }
            }
        }
    }

    /// Looks at an incident that is not among the open ones, if its link does not know that it is over.
    async fn look_for(&mut self, link: &Link, incident: &IncidentId, listed_at: Timestamp) -> Result<(), Trouble> {
        let known_over = link.pagerduty.known.is_some_and(|known| known.status == Status::Resolved);
        if known_over || !self.can_be_judged(link, System::PagerDuty, listed_at) {
            return Ok(());
        }
        let call = self.vendors.pagerduty.look_at_incident(incident);
        let (read_started, found) = self.call(System::PagerDuty, Operation::READ_INCIDENT, call).await?;
        let seen = match found {
            // Ids may be numbers to the vendor, and an incident may answer to another one's.
            Some(found) if found.state.id != *incident => return Ok(()),
            Some(found) => seen(found),
            None => Seen::NoIncident(incident.clone()),
        };
        let (_, reason) = self.saw(&link.alert, read_started, seen).await?;
        if reason == Reason::Vanished {
            warn!(alert.id = %link.alert, incident.id = %incident, "the incident is not to be found any more");
        }
        if reason == Reason::Drift {
            // It has ended, perhaps with words.
            self.has_moved(link.alert.clone(), System::PagerDuty);
        }
        Ok(())
    }

    /// Whether a look that began at `read_started` could prove anything about that side.
    fn can_be_judged(&self, link: &Link, system: System, read_started: Timestamp) -> bool {
        let side = link.side(system);
        let conclusive = read_started.minus(self.settings.read_lag.of(system));
        // What lies ahead was put down before our clock was set back; it is put right when it is looked at.
        side.commanded.is_none() && (side.touched_at <= conclusive || side.touched_at > self.now())
    }
}

/// Whether an alert in that state is not as its link knows it. Nothing follows the end of an alert.
fn is_news(link: &Link, status: Status) -> bool {
    let known = link.opsgenie.known.filter(|_| !link.unlinked);
    known.is_some_and(|known| known.status != status && known.status != Status::Resolved)
}

fn seen(listed: ListedIncident) -> Seen {
    let IncidentState { id: incident, status, at, by, merged_into } = listed.state;
    Seen::Incident { incident, status, at, by, merged_into }
}
