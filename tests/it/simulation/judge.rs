//! The promises, as checks of a world at rest.

use std::collections::{BTreeMap, HashSet};

use crosspage::engine::{AlertId, Link, Status, System};
use crosspage::store::{DeadLetter, Store};
use simulators::opsgenie::{Alert, AlertStatus};
use simulators::pagerduty::{Agent, Incident};

use super::people::chain;
use super::scene::{Notebook, Scene, Written};

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) promise: Promise,
    pub(super) what: String,
}

/// What must hold in every world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Promise {
    /// Each webhook that was answered 2xx was decided on, and whatever that led to is done, or a dead letter.
    NothingAcceptedIsLost,
    /// One alert has one incident, and one note is shown once.
    NothingShowsTwice,
    /// Each note of a person is shown on the other side.
    EveryNoteIsShown,
    /// Notes are shown in the order they were written in.
    NotesAreInOrder,
    /// Both sides stand where the policy wants them.
    BothSidesAgree,
    /// Where they stand is what somebody last wanted.
    WhatPeopleDidStands,
    /// Nobody is paged again for what is over.
    WhatIsOverStaysOver,
    /// No open alert is without a page.
    EveryAlertPages,
    /// No more is written than people's deeds and the troubles account for.
    WritesAreBounded,
    /// The world comes to rest.
    ItComesToRest,
    /// At rest, nothing is written, and looking costs the same at all times.
    QuietStaysQuiet,
    /// A restart at rest changes nothing.
    RestartsChangeNothing,
    /// No command is given up where no trouble lasts.
    NothingIsGivenUp,
}

/// A check's result.
pub(super) type Kept = Result<(), Violation>;

pub(super) fn broken(promise: Promise, what: impl Into<String>) -> Kept {
    Err(Violation { promise, what: what.into() })
}

/// A world at rest, to be judged.
pub(super) struct Judge<'a> {
    scene: &'a Scene,
    notes: &'a Notebook,
    alerts: BTreeMap<String, Alert>,
    incidents: BTreeMap<String, Incident>,
    links: BTreeMap<String, Link>,
    /// The incidents that stood for each alert, each merged into the next.
    chains: BTreeMap<String, Vec<String>>,
    dead_letters: Vec<DeadLetter>,
    /// The webhooks that some timeline tells of.
    told: HashSet<String>,
    left: usize,
}

impl<'a> Judge<'a> {
    /// Looks at everything once.
    pub(super) async fn look(scene: &'a Scene, notes: &'a Notebook, store: &Store) -> Self {
        let links = store.links_after(None, usize::MAX).await.unwrap();
        let mut told = HashSet::new();
        let mut left = store.summary().await.unwrap().waiting;
        for alert in &notes.alerts {
            let id = AlertId::try_from(alert.as_str()).unwrap();
            for entry in store.timeline(&id).await.unwrap() {
                told.extend(entry.event.request_id);
            }
            left += store.entries(&id).await.unwrap().len();
        }
        left += links.iter().map(|link| link.held.len()).sum::<usize>();
        let dead_letters = store.dead_letters(None, 100).await.unwrap();
        let opsgenie = scene.opsgenie();
        let pagerduty = scene.pagerduty();
        Self {
            scene,
            notes,
            alerts: opsgenie.alerts().into_iter().map(|alert| (alert.id.clone(), alert.clone())).collect(),
            incidents: pagerduty.incidents().into_iter().map(|one| (one.id.clone(), one.clone())).collect(),
            links: links.into_iter().map(|link| (link.alert.to_string(), link)).collect(),
            chains: notes.alerts.iter().map(|alert| (alert.clone(), chain(&pagerduty, &notes.merges, alert))).collect(),
            dead_letters,
            told,
            left,
        }
    }

    /// Whether every promise about a world at rest is kept.
    pub(super) fn judge(&self) -> Kept {
        self.nothing_accepted_is_lost()?;
        self.every_alert_pages()?;
        self.notes_are_shown()?;
        self.notes_are_in_order()?;
        self.both_sides_agree()?;
        self.what_people_did_stands()?;
        self.what_is_over_stays_over()?;
        self.nothing_is_given_up()?;
        self.writes_are_bounded()
    }

    fn nothing_accepted_is_lost(&self) -> Kept {
        const PROMISE: Promise = Promise::NothingAcceptedIsLost;
        if self.left > 0 {
            return broken(PROMISE, format!("{} commands or events are left undone", self.left));
        }
        let lost = self.notes.accepted.iter().find(|accepted| !self.told.contains(&accepted.request_id));
        lost.map_or(Ok(()), |lost| broken(PROMISE, format!("{} was accepted, and nothing tells of it", lost.what)))
    }

    fn every_alert_pages(&self) -> Kept {
        for (id, alert) in &self.alerts {
            let own =
                self.incidents.values().filter(|one| one.incident_key.as_deref() == Some(&format!("opsgenie:{id}")));
            let pages = own.count();
            if pages > 1 {
                return broken(Promise::NothingShowsTwice, format!("{pages} incidents for alert {id}"));
            }
            let given_up = self.dead_letters.iter().any(|letter| letter.entry.alert.as_str() == id);
            if alert.status == AlertStatus::Open && pages == 0 && !given_up {
                return broken(Promise::EveryAlertPages, format!("alert {id} is open and has no incident"));
            }
        }
        Ok(())
    }

    fn notes_are_shown(&self) -> Kept {
        for written in &self.notes.written {
            match written.in_system {
                System::Opsgenie => self.alert_note_is_shown(written)?,
                System::PagerDuty => self.incident_note_is_shown(written)?,
            }
        }
        Ok(())
    }

    fn alert_note_is_shown(&self, written: &Written) -> Kept {
        let Some(chain) = self.chains.get(&written.on) else { return Ok(()) };
        let on_incidents: usize = chain.iter().map(|id| self.on_incident(id, written).count()).sum();
        let deleted = !self.alerts.contains_key(&written.on);
        let others = self.alerts.keys().filter(|id| **id != written.on);
        let elsewhere: usize = others.map(|id| self.on_alert(id, written).count()).sum();
        shown(written, elsewhere, 0, "other alerts")?;
        let own = self.on_alert(&written.on, written).count();
        shown(written, own, usize::from(!deleted), &written.on)?;
        // What was said about an alert that never paged has no place to be shown, and nobody can read what was deleted.
        let needed = usize::from(!chain.is_empty() && (!deleted || written.undisturbed));
        shown_between(written, on_incidents, needed, 1, "its incidents")
    }

    fn incident_note_is_shown(&self, written: &Written) -> Kept {
        let own = self.on_incident(&written.on, written).count();
        shown(written, own, 1, &written.on)?;
        let others = self.incidents.keys().filter(|id| **id != written.on);
        let elsewhere: usize = others.map(|id| self.on_incident(id, written).count()).sum();
        shown(written, elsewhere, 0, "other incidents")?;
        for (alert, chain) in &self.chains {
            let Some(at) = chain.iter().position(|id| *id == written.on) else { continue };
            if !self.alerts.contains_key(alert) {
                continue;
            }
            let here = self.on_alert(alert, written).count();
            // An incident that another one was merged into had a life of its own before.
            let joined_ms = at.checked_sub(1).and_then(|before| self.incidents.get(&chain[before])?.resolved_at_ms);
            let over = self.links.get(alert).is_some_and(|link| !link.is_open());
            let needed = match joined_ms {
                Some(joined_ms) if written.at_ms < joined_ms + AROUND_A_MERGE_MS => 0,
                // The webhooks of two incidents overtake each other: only looking helps whoever came late.
                Some(_) if !self.scene.plan.setup.reconciles => 0,
                // Nobody looks again at what is over on both sides, or has gone on as another incident.
                _ if written.lost && (over || at + 1 < chain.len()) => 0,
                _ => 1,
            };
            let most = usize::from(joined_ms.is_none_or(|joined_ms| written.at_ms > joined_ms - AROUND_A_MERGE_MS));
            shown_between(written, here, needed, most.max(needed), alert)?;
        }
        Ok(())
    }

    fn on_alert<'b>(&'b self, id: &str, written: &'b Written) -> impl Iterator<Item = usize> + 'b {
        let notes = self.alerts.get(id).map(|alert| alert.notes.as_slice()).unwrap_or_default();
        let with_token =
            |(at, note): (usize, &simulators::opsgenie::Note)| note.text.contains(&written.token).then_some(at);
        notes.iter().enumerate().filter_map(with_token)
    }

    fn on_incident<'b>(&'b self, id: &str, written: &'b Written) -> impl Iterator<Item = usize> + 'b {
        let notes = self.incidents.get(id).map(|incident| incident.notes.as_slice()).unwrap_or_default();
        let with_token =
            |(at, note): (usize, &simulators::pagerduty::Note)| note.text.contains(&written.token).then_some(at);
        notes.iter().enumerate().filter_map(with_token)
    }

    /// Each link's notes of one direction, those that the network did not disturb.
    fn notes_are_in_order(&self) -> Kept {
        let in_turn = || self.notes.written.iter().filter(|written| written.undisturbed);
        for (alert, chain) in &self.chains {
            let from_alert = in_turn().filter(|written| written.on == *alert);
            for incident in chain {
                ordered(from_alert.clone(), |written| self.on_incident(incident, written).next(), incident)?;
            }
            if let Some(incident) = chain.first() {
                let from_incident = in_turn().filter(|written| written.on == *incident);
                ordered(from_incident, |written| self.on_alert(alert, written).next(), alert)?;
            }
        }
        Ok(())
    }

    fn both_sides_agree(&self) -> Kept {
        const PROMISE: Promise = Promise::BothSidesAgree;
        for (id, alert) in &self.alerts {
            let Some(incident) = self.chains.get(id).and_then(|chain| self.incidents.get(chain.last()?)) else {
                continue;
            };
            let sides = format!("alert {id} is {}, incident {} is {}", stands(alert), incident.id, incident.status);
            match (alert.status, incident.status == "resolved") {
                (AlertStatus::Closed, true) => {}
                (AlertStatus::Closed, false) if self.may_outlive(id, incident) => {}
                (AlertStatus::Closed, false) => return broken(PROMISE, sides),
                (AlertStatus::Open, true) if self.scene.plan.setup.close_on_resolved => return broken(PROMISE, sides),
                (AlertStatus::Open, true) if self.was_meant_to_end(incident) => {}
                (AlertStatus::Open, true) => return broken(Promise::EveryAlertPages, sides),
                (AlertStatus::Open, false) if alert.acknowledged != (incident.status == "acknowledged") => {
                    return broken(PROMISE, sides);
                }
                (AlertStatus::Open, false) => {}
            }
        }
        Ok(())
    }

    /// Whether an incident may be open though that alert is closed: another alert shares it, or somebody reopened it after
    /// the alert was closed, or while that was on its way. Whoever reopens an incident wants it whatever the closed alert says,
    /// and goes on wanting that when they merge it into another one: that it is to end, only the alerts of that one can say,
    /// and they are judged for themselves.
    /// What two people do at two vendors within a second has no order that anybody could know: their clocks need not agree any
    /// better, and whichever webhook comes last says nothing either.
    fn may_outlive(&self, alert: &str, incident: &Incident) -> bool {
        let shared = self.chains.iter().any(|(other, chain)| {
            let open = self.alerts.get(other).is_some_and(|other| other.status == AlertStatus::Open);
            other != alert && open && chain.last() == Some(&incident.id)
        });
        let closed_at_ms = self.last_deed(alert, |done| done.state == Some(Status::Resolved));
        let reopened = |id: &String| self.last_deed(id, |done| done.special && done.state == Some(Status::Open));
        let reopened_at_ms = self.chains.get(alert).and_then(|chain| chain.iter().filter_map(reopened).max());
        shared
            || reopened_at_ms.is_some_and(|reopened| closed_at_ms.is_none_or(|closed| closed < reopened + AT_ONCE_MS))
    }

    /// Whether somebody other than us ended the incident, or one of its alerts was closed.
    fn was_meant_to_end(&self, incident: &Incident) -> bool {
        let ours = Agent::User(simulators::pagerduty::Options::default().automation.id);
        let by_others = incident.log.iter().any(|line| line.kind == "resolve_log_entry" && line.agent != ours);
        let closed = self.chains.iter().any(|(alert, chain)| {
            let over = self.alerts.get(alert).is_none_or(|alert| alert.status == AlertStatus::Closed);
            over && chain.contains(&incident.id)
        });
        by_others || closed
    }

    fn last_deed(&self, on: &str, which: impl Fn(&super::scene::Done) -> bool) -> Option<i64> {
        self.notes.done.iter().rev().find(|done| done.on == on && which(done)).map(|done| done.at_ms)
    }

    /// Of a pair that stands open, whether it is acknowledged must be what the last deed on one of its sides wanted.
    fn what_people_did_stands(&self) -> Kept {
        for (id, alert) in &self.alerts {
            let Some([incident]) = self.chains.get(id).map(Vec::as_slice) else { continue };
            let one_to_one = self.chains.values().filter(|chain| chain.contains(incident)).count() == 1;
            let open = self.incidents.get(incident).is_some_and(|incident| incident.status != "resolved");
            if !one_to_one || !open || alert.status != AlertStatus::Open {
                continue;
            }
            let last = |on: &str| self.notes.done.iter().rev().find_map(|done| done.state.filter(|_| done.on == on));
            let wanted: Vec<Status> = [last(id), last(incident)].into_iter().flatten().collect();
            let is = if alert.acknowledged { Status::Acknowledged } else { Status::Open };
            let from_the_start = wanted.is_empty() && is == Status::Open;
            // A resolution that was taken back leaves the incident triggered.
            if !from_the_start && !wanted.contains(&is) {
                let what = format!("alert {id} is {is}, and people last wanted {wanted:?}");
                return broken(Promise::WhatPeopleDidStands, what);
            }
        }
        Ok(())
    }

    fn what_is_over_stays_over(&self) -> Kept {
        if let Some(id) = self.notes.revived.first() {
            return broken(Promise::WhatIsOverStaysOver, format!("we reopened incident {id}"));
        }
        // One that a person has reopened is theirs.
        let reopened =
            |id: &String| self.last_deed(id, |done| done.special && done.state == Some(Status::Open)).is_some();
        let stands = |id: &&String| self.incidents.get(*id).is_some_and(|incident| incident.status != "resolved");
        match self.notes.merges.keys().filter(stands).find(|id| !reopened(id)) {
            Some(id) => broken(Promise::WhatIsOverStaysOver, format!("incident {id} stands again after it was merged")),
            None => Ok(()),
        }
    }

    fn nothing_is_given_up(&self) -> Kept {
        let deleted = |letter: &&DeadLetter| !self.alerts.contains_key(letter.entry.alert.as_str());
        match self.dead_letters.iter().find(|letter| !deleted(letter)) {
            Some(letter) => {
                let what = format!("{} was given up: {}", letter.entry.command.action.name(), letter.reason);
                broken(Promise::NothingIsGivenUp, what)
            }
            None => Ok(()),
        }
    }

    fn writes_are_bounded(&self) -> Kept {
        let deeds = u32::try_from(self.notes.done.len()).unwrap_or(u32::MAX);
        let alerts = u32::try_from(self.notes.alerts.len()).unwrap_or(u32::MAX).max(1);
        let most = WRITES_A_DEED * deeds * alerts.min(2) + WRITES_A_TROUBLE * self.notes.troubles + 4;
        let writes = self.notes.writes_served;
        if writes > most {
            let what = format!("{writes} writes for {deeds} deeds and {} troubles", self.notes.troubles);
            return broken(Promise::WritesAreBounded, what);
        }
        Ok(())
    }
}

/// So long around a merge, nobody can say whose a note is.
const AROUND_A_MERGE_MS: i64 = 2_000;
/// What is done within that time in two systems, is done at once.
const AT_ONCE_MS: i64 = 1_000;
const WRITES_A_DEED: u32 = 4;
const WRITES_A_TROUBLE: u32 = 3;

fn stands(alert: &Alert) -> &'static str {
    match (alert.status, alert.acknowledged) {
        (AlertStatus::Closed, _) => "closed",
        (AlertStatus::Open, true) => "acknowledged",
        (AlertStatus::Open, false) => "open",
    }
}

fn shown(written: &Written, times: usize, wanted: usize, place: &str) -> Kept {
    shown_between(written, times, wanted, wanted, place)
}

fn shown_between(written: &Written, times: usize, least: usize, most: usize, place: &str) -> Kept {
    let what =
        || format!("{}'s note {} on {} is {times} times on {place}", written.in_system, written.token, written.on);
    if times > most {
        return broken(Promise::NothingShowsTwice, what());
    }
    if times < least { broken(Promise::EveryNoteIsShown, what()) } else { Ok(()) }
}

fn ordered<'b>(
    notes: impl Iterator<Item = &'b Written>,
    place: impl Fn(&'b Written) -> Option<usize>,
    on: &str,
) -> Kept {
    let placed: Vec<(usize, &Written)> = notes.filter_map(|written| Some((place(written)?, written))).collect();
    match placed.windows(2).find(|pair| pair[0].0 > pair[1].0) {
        Some(pair) => {
            let what = format!("on {on}, note {} stands before note {}", pair[1].1.token, pair[0].1.token);
            broken(Promise::NotesAreInOrder, what)
        }
        None => Ok(()),
    }
}
