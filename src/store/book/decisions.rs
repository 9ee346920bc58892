//! The one path of every change: an event comes in, is decided on for each link it concerns, and leaves behind changed
//! links, commands, index rows and a timeline.

use std::collections::{BTreeSet, VecDeque};

use super::waiting::Waiting;
use super::{Book, next};
use crate::engine::{
    Action, Actor, AlertId, Command, Entry, Event, EventBody, IncidentChange, IncidentEvent, IncidentId, Link, Order,
    Outcome, Page, Reason, Settled, System, Timestamp,
};
use crate::store::types::{DeadLetter, Form, Quarantined, Recorded, TimelineEntry, Verdict};
use crate::store::{StoreError, keys};

/// What a transaction has come to so far.
#[derive(Default)]
struct Tally {
    decisions: Vec<(Option<AlertId>, Reason)>,
    commands: usize,
}

impl Book {
    /// Takes in an event: decides on it and whatever it lets go on, or lets it wait, unless it is a repeat.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn record(&mut self, mut event: Event) -> Result<Recorded, StoreError> {
        self.transact(|book| {
            if let EventBody::Polled(polled) = &mut event.body {
                polled.unfinished = book.changes_state(polled.seen.system(), &polled.alert)?;
            }
            book.take_in(event)
        })
    }

    /// Ends a claimed entry: it leaves its lane, and how it ended is decided on like any other event. What was given up
    /// goes to the dead letters. `now` is by our clock.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more; fatal ones.
    pub fn settle(&mut self, entry: Entry, outcome: Outcome, now: Timestamp) -> Result<Recorded, StoreError> {
        self.transact(|book| {
            let entry = book.claimed(entry)?;
            let system = entry.command.to;
            book.table.delete(&keys::entry(system, entry.id))?;
            book.schedule.side_mut(system).pop(&entry.alert);
            if let Outcome::Dead { reason } = &outcome {
                let letter = DeadLetter { entry: entry.clone(), reason: reason.clone(), at: now };
                // An entry that was redriven may lie here for the second time.
                book.table.put(&keys::dead_letter(&entry.alert, entry.id), &letter)?;
                book.counters.dead_letters += 1;
            }
            if outcome.shows() {
                book.metrics.mirrored(system, &entry.command.action, now.since(entry.queued_at));
            }
            if is_of_drift(&entry) && !matches!(outcome, Outcome::Dead { .. }) {
                book.metrics.drift_healed(system.peer());
            }
            let dead_create_of = matches!((&outcome, &entry.command.action), (Outcome::Dead { .. }, Action::Create(_)))
                .then(|| entry.alert.clone());
            let body = EventBody::Settled(Box::new(Settled { entry, outcome }));
            let recorded = book.decide_all(of_ours(body, now))?;
            // The incident had shown itself before its create was given up.
            if let Some(alert) = dead_create_of
                && let Some(link) = book.table.get::<Link>(&keys::link(&alert))?
                && link.incident().is_some()
            {
                book.drop_dead_creates(&alert)?;
            }
            Ok(recorded)
        })
    }

    /// Decides on an event, or lets it wait, unless it is a repeat.
    pub(super) fn take_in(&mut self, event: Event) -> Result<Recorded, StoreError> {
        if self.is_repeat(&event)? {
            return Ok(Recorded { verdict: Verdict::Repeat, commands: 0 });
        }
        if let Some(verdict) = self.let_wait(&event)? {
            return Ok(Recorded { verdict, commands: 0 });
        }
        self.decide_all(event)
    }

    /// Whether a change of state is in the alert's lane to `system`, perhaps on its way right now.
    pub(super) fn changes_state(&self, system: System, alert: &AlertId) -> Result<bool, StoreError> {
        let entries = self.lane(system, alert)?;
        Ok(entries.iter().any(|entry| matches!(entry.command.action, Action::SetStatus { .. })))
    }

    /// Whether any of the event's dedupe ids was seen. If none was, all are put down.
    fn is_repeat(&mut self, event: &Event) -> Result<bool, StoreError> {
        for id in &event.dedupe {
            if self.table.has(&keys::seen(id))? {
                return Ok(true);
            }
        }
        for id in &event.dedupe {
            self.table.put_new(&keys::seen(id), &event.received_at)?;
        }
        if let Some(first) = event.dedupe.first() {
            self.table.put_new(&keys::seen_at(event.received_at, first), &event.dedupe)?;
        }
        Ok(false)
    }

    /// Lets an incident's note wait, if no link is known for it and a create is outstanding that may bring one.
    fn let_wait(&mut self, event: &Event) -> Result<Option<Verdict>, StoreError> {
        let EventBody::Incident(IncidentEvent { incident, change: IncidentChange::Annotated(_), .. }) = &event.body
        else {
            return Ok(None);
        };
        if !self.waiting.is_open() || !self.alerts_of(event)?.is_empty() {
            return Ok(None);
        }
        if self.waiting.is_full() {
            let number = self.put_in_quarantine(&Quarantined {
                system: System::PagerDuty,
                received_at: event.received_at,
                reason: "too many notes wait for incidents that are being created".to_owned(),
                body: serde_json::to_vec(event).unwrap_or_default(),
                form: Form::Event,
                request_id: event.request_id.clone(),
            })?;
            return Ok(Some(Verdict::Quarantined(number)));
        }
        let number = next(&mut self.counters.waiting);
        let waiting = Waiting { until: self.counters.marker, incident: incident.clone(), event: event.clone() };
        self.table.put_new(&keys::waiting(number), &waiting)?;
        self.waiting.enter(number, waiting.until, incident);
        Ok(Some(Verdict::Waiting))
    }

    /// Decides on an event for each of its links, then on what has waited in vain for a create that ended by it.
    pub(super) fn decide_all(&mut self, event: Event) -> Result<Recorded, StoreError> {
        let mut tally = Tally::default();
        self.decide_for_links(event, &mut tally)?;
        while let Some(number) = self.waiting.leave_in_vain() {
            let event = self.take_waiting(number)?;
            self.decide_for_links(event, &mut tally)?;
        }
        Ok(Recorded { verdict: Verdict::Decided(tally.decisions), commands: tally.commands })
    }

    fn decide_for_links(&mut self, event: Event, tally: &mut Tally) -> Result<(), StoreError> {
        let alerts = self.alerts_of(&event)?;
        if alerts.is_empty() {
            return self.decide_for(None, event, tally);
        }
        for alert in alerts {
            let link = self.table.get(&keys::link(&alert))?;
            self.decide_for(link, event.clone(), tally)?;
        }
        Ok(())
    }

    /// Decides on an event for one link (or none), and then on whatever that lets go on.
    fn decide_for(&mut self, mut link: Option<Link>, event: Event, tally: &mut Tally) -> Result<(), StoreError> {
        let cause = Cause::of(&event, &Cause::default());
        let mut queue = VecDeque::from([(event, cause)]);
        while let Some((event, cause)) = queue.pop_front() {
            let mut decision = (self.decide)(link.as_ref(), &event, &self.policy);
            if let Some(id) = decision.learned_id
                && self.policy.identity.pagerduty_ids.insert(id)
            {
                self.save_identity()?;
            }
            let linked = decision.link.as_ref().or(link.as_ref()).map(|link| link.alert.clone());
            // Why an alert that somebody asks about was never linked must be told as well.
            let alert = linked.clone().or_else(|| match &event.body {
                EventBody::Alert(happened) => Some(happened.alert.clone()),
                EventBody::Incident(_) | EventBody::Settled(_) | EventBody::Polled(_) | EventBody::Ordered(_) => None,
            });
            // Every pass of the reconciler looks at much that is as it should be, and none of it is worth a line.
            let is_idle = matches!(event.body, EventBody::Polled(_))
                && (decision.link == link || decision.reason == Reason::NoDrift)
                && decision.commands.is_empty()
                && decision.released.is_empty();
            if is_idle {
                self.save_link(link.as_ref(), decision.link.as_ref())?;
            } else if let Some(alert) = &alert {
                let now = event.received_at;
                let stood = link.as_ref().and_then(Link::incident);
                let arrived = decision.link.as_ref().and_then(Link::incident).filter(|new| stood != Some(new)).cloned();
                if let (Some(link), Some(incident)) = (&mut decision.link, &arrived) {
                    link.shared |= !self.links_of(incident)?.is_empty();
                }
                self.save_link(link.as_ref(), decision.link.as_ref())?;
                let commands = self.enqueue(alert, decision.commands, &cause, now)?;
                tally.commands += commands.len();
                if let Some(incident) = arrived {
                    for number in self.waiting.leave(&incident) {
                        let waited = self.take_waiting(number)?;
                        let cause = Cause::of(&waited, &Cause::default());
                        queue.push_back((waited, cause));
                    }
                }
                let number = next(&mut self.counters.timeline);
                let event = match event.body {
                    EventBody::Polled(polled) => {
                        let body = EventBody::Polled(Box::new(polled.abridged()));
                        Event { body, ..event }
                    }
                    EventBody::Alert(_) | EventBody::Incident(_) | EventBody::Settled(_) | EventBody::Ordered(_) => {
                        event
                    }
                };
                let entry = TimelineEntry { at: now, event, reason: decision.reason, commands };
                self.table.put_new(&keys::happened(number), &entry)?;
                self.table.put_new(&keys::timeline_place(alert, number), &())?;
            }
            self.metrics.decided(decision.reason);
            tally.decisions.push((linked, decision.reason));
            for released in decision.released.into_iter().rev() {
                if is_pause(&released.body) {
                    self.metrics.fuse_blown();
                }
                let cause = Cause::of(&released, &cause);
                queue.push_front((released, cause));
            }
            link = decision.link;
        }
        Ok(())
    }

    /// The alerts whose links an event concerns.
    pub(super) fn alerts_of(&self, event: &Event) -> Result<Vec<AlertId>, StoreError> {
        let named = match &event.body {
            EventBody::Alert(happened) => Some(happened.alert.clone()),
            EventBody::Settled(settled) => Some(settled.entry.alert.clone()),
            EventBody::Polled(polled) => Some(polled.alert.clone()),
            EventBody::Ordered(ordered) => Some(ordered.alert.clone()),
            EventBody::Incident(happened) => {
                let mut alerts = self.alerts_with(&happened.incident)?;
                // Another link may have been merged into the incident before its own link came to know of it.
                let named = happened.incident_key.as_deref().and_then(AlertId::from_incident_key);
                if let Some(alert) = named.filter(|alert| !alerts.contains(alert))
                    && let Some(link) = self.table.get::<Link>(&keys::link(&alert))?
                    && (alerts.is_empty() || link.incident().is_none())
                {
                    alerts.push(alert);
                }
                return Ok(alerts);
            }
        };
        let Some(alert) = named else { return Ok(Vec::new()) };
        Ok(if self.table.has(&keys::link(&alert))? { vec![alert] } else { Vec::new() })
    }

    /// The alerts whose page is that incident, or was until it was merged into another one.
    pub(super) fn alerts_with(&self, incident: &IncidentId) -> Result<Vec<AlertId>, StoreError> {
        let rows = self.table.list::<AlertId>(&keys::links_of(incident), usize::MAX)?;
        Ok(rows.into_iter().map(|(_, alert)| alert).collect())
    }

    /// Puts a link in the place of what it was before, with everything that follows from its page.
    pub(super) fn save_link(&mut self, before: Option<&Link>, after: Option<&Link>) -> Result<(), StoreError> {
        let Some(alert) = after.or(before).map(|link| link.alert.clone()) else { return Ok(()) };
        if before == after {
            return Ok(());
        }
        match after {
            Some(link) => self.table.put(&keys::link(&alert), link)?,
            None => self.table.delete(&keys::link(&alert))?,
        }
        match (before.is_some_and(Link::is_open), after.is_some_and(Link::is_open)) {
            (false, true) => self.table.put(&keys::open(&alert), &alert)?,
            (true, false) => self.table.delete(&keys::open(&alert))?,
            (true, true) | (false, false) => {}
        }
        let (page_before, page) = (before.map(|link| &link.page), after.map(|link| &link.page));
        if page_before != page {
            self.follow_page(&alert, page)?;
            // Only a merge adds to what was merged, and it changes the page.
            self.follow_incidents(&alert, before, after)?;
        }
        self.follow_owed(before, after)?;
        let (paused_before, paused) = (before.and_then(|l| l.paused.as_ref()), after.and_then(|l| l.paused.as_ref()));
        if paused_before != paused {
            self.unpark(&alert);
        }
        match (paused_before, paused) {
            (None, Some(_)) => self.counters.paused_links += 1,
            (Some(_), None) => self.counters.paused_links = self.counters.paused_links.saturating_sub(1),
            (None, None) | (Some(_), Some(_)) => {}
        }
        if after.is_none() {
            self.drop_lanes(&alert)?;
        }
        Ok(())
    }

    /// Keeps the rows by which the events of an incident find their links, also of one that was merged into another since.
    fn follow_incidents(
        &mut self,
        alert: &AlertId,
        before: Option<&Link>,
        after: Option<&Link>,
    ) -> Result<(), StoreError> {
        let of = |link: Option<&Link>| -> BTreeSet<IncidentId> {
            link.into_iter().flat_map(|link| link.incident().into_iter().chain(&link.merged)).cloned().collect()
        };
        let (before, after) = (of(before), of(after));
        for incident in before.difference(&after) {
            self.table.delete(&keys::link_of(incident, alert))?;
        }
        for incident in after.difference(&before) {
            self.table.put(&keys::link_of(incident, alert), alert)?;
        }
        Ok(())
    }

    fn follow_page(&mut self, alert: &AlertId, after: Option<&Page>) -> Result<(), StoreError> {
        if let Some(Page::Standing(incident)) = after {
            self.share(incident)?;
            self.drop_dead_creates(alert)?;
        }
        let outstanding = matches!(after, Some(Page::Joining | Page::Pending));
        if outstanding && !self.waiting.is_outstanding(alert) {
            let marker = next(&mut self.counters.marker);
            self.table.put(&keys::outstanding(alert), &(alert, marker))?;
            self.waiting.begin(alert, marker);
        }
        if !outstanding {
            self.end_outstanding(alert)?;
        }
        self.unpark(alert);
        Ok(())
    }

    /// Has the next claim look anew whether the alert's lanes are held.
    pub(super) fn unpark(&mut self, alert: &AlertId) {
        for system in [System::Opsgenie, System::PagerDuty] {
            self.schedule.side_mut(system).unpark(alert);
        }
    }

    /// Another link has come to stand on the incident: those that stood there before must know that they share it.
    fn share(&mut self, incident: &IncidentId) -> Result<(), StoreError> {
        for link in self.links_of(incident)? {
            if !link.shared {
                self.table.put(&keys::link(&link.alert), &Link { shared: true, ..link })?;
            }
        }
        Ok(())
    }

    fn end_outstanding(&mut self, alert: &AlertId) -> Result<(), StoreError> {
        if self.waiting.is_outstanding(alert) {
            self.table.delete(&keys::outstanding(alert))?;
            self.waiting.end(alert);
        }
        Ok(())
    }

    fn enqueue(
        &mut self,
        alert: &AlertId,
        commands: Vec<Command>,
        cause: &Cause,
        now: Timestamp,
    ) -> Result<Vec<u64>, StoreError> {
        let mut ids = Vec::with_capacity(commands.len());
        for command in commands {
            let entry = Entry::new(next(&mut self.counters.entry), alert.clone(), command, now);
            let entry = Entry { makes_up: cause.makes_up, request_id: cause.request_id.clone(), ..entry };
            if is_of_drift(&entry) {
                self.metrics.drift_found(entry.command.to.peer());
            }
            self.table.put_new(&keys::entry(entry.command.to, entry.id), &entry)?;
            self.schedule.side_mut(entry.command.to).push(&entry);
            ids.push(entry.id);
        }
        Ok(ids)
    }

    /// A link that is gone has nothing to be done for. A claim on it will find itself void.
    fn drop_lanes(&mut self, alert: &AlertId) -> Result<(), StoreError> {
        for system in [System::Opsgenie, System::PagerDuty] {
            self.take_lane(system, alert)?;
        }
        Ok(())
    }

    /// The incident stands, so a create of it that was given up went through after all.
    fn drop_dead_creates(&mut self, alert: &AlertId) -> Result<(), StoreError> {
        let letters = self.table.list::<DeadLetter>(&keys::dead_letters_of(alert), usize::MAX)?;
        for (key, letter) in letters {
            if matches!(letter.entry.command.action, Action::Create(_)) {
                self.drop_letter(&key)?;
            }
        }
        Ok(())
    }

    fn take_waiting(&mut self, number: u64) -> Result<Event, StoreError> {
        let key = keys::waiting(number);
        let waiting: Waiting = self.table.need(&key)?;
        self.table.delete(&key)?;
        Ok(waiting.event)
    }
}

/// What an event comes of, and with it all that is to be done because of it.
#[derive(Clone, Default)]
struct Cause {
    /// The webhook's, if it was one.
    request_id: Option<String>,
    /// Whether it was a look of ours.
    makes_up: bool,
}

impl Cause {
    /// That of an event that `parent` let go on: the webhook is the event's own, else that of the command whose end it tells.
    fn of(event: &Event, parent: &Self) -> Self {
        let settled = match &event.body {
            EventBody::Settled(settled) => settled.entry.request_id.as_ref(),
            EventBody::Alert(_) | EventBody::Incident(_) | EventBody::Polled(_) | EventBody::Ordered(_) => None,
        };
        let request_id = event.request_id.as_ref().or(settled).or(parent.request_id.as_ref()).cloned();
        Self { request_id, makes_up: parent.makes_up || is_look(&event.body) }
    }
}

/// Whether it tells what a look has shown, by itself or by the look-up that followed from one.
fn is_look(body: &EventBody) -> bool {
    match body {
        EventBody::Polled(_) => true,
        EventBody::Settled(settled) => settled.entry.makes_up && settled.entry.command.action.is_look_up(),
        EventBody::Alert(_) | EventBody::Incident(_) | EventBody::Ordered(_) => false,
    }
}

/// Whether it passes on what a look has shown.
fn is_of_drift(entry: &Entry) -> bool {
    entry.makes_up && !entry.command.action.is_look_up()
}

/// Operators' pauses are never released by a decision, so this one is a fuse's.
fn is_pause(body: &EventBody) -> bool {
    matches!(body, EventBody::Ordered(ordered) if matches!(ordered.order, Order::Pause { .. }))
}

/// An event that neither vendor tells of.
pub(super) fn of_ours(body: EventBody, now: Timestamp) -> Event {
    let (dedupe, actor) = (Vec::new(), Actor::nobody());
    Event { dedupe, request_id: None, occurred_at: None, received_at: now, actor, body }
}
