//! What an operator may do by a handle on the store.

use super::{
    DeadLetter, Discarded, Quarantined, QuarantinedHead, Recorded, Span, Store, StoreError, TimelineEntry, Unlinking,
    Waits, stored_size,
};
use crate::engine::{AlertId, Entry, Event, IncidentId, Link, Order, Reason, System, Timestamp};

impl Store {
    /// The id of this opening, which [`DatabaseUrl::owner`](super::DatabaseUrl::owner) tells others as long as it lasts. None if
    /// it could not be left, or the database is on no disk.
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Holds the commands of an alert's link until [`Store::resume`]: what is heard of either side is recorded still, and a page
    /// still goes out. What is under way comes to its end. `reason` is for people; `now` is by our clock. The verdict tells
    /// whether there is such a link, and whether it was paused already.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn pause(&self, alert: &AlertId, reason: &str, now: Timestamp) -> Result<Recorded, StoreError> {
        self.order(alert, Order::Pause { reason: reason.to_owned() }, now).await
    }

    /// Lets the commands of an alert's link go on. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn resume(&self, alert: &AlertId, now: Timestamp) -> Result<Recorded, StoreError> {
        self.order(alert, Order::Resume, now).await
    }

    /// Links an alert with an incident by hand, and has both read. The verdict tells whether another incident is in the way. `now`
    /// is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn link_to(
        &self,
        alert: &AlertId,
        incident: &IncidentId,
        now: Timestamp,
    ) -> Result<Recorded, StoreError> {
        self.order(alert, Order::Link { incident: incident.clone() }, now).await
    }

    /// Takes in links that another store had, as they are, and all or none; and reaches back as far as that one from then on.
    /// Links that are there already are left alone.
    ///
    /// # Errors
    /// [`StoreError::Busy`] or [`StoreError::DiskLow`] if there is no room for them; fatal ones.
    pub async fn import(&self, links: Vec<Link>, span: Span) -> Result<(), StoreError> {
        let load = self.shared.admit(stored_size(&links))?;
        self.ask(Some(load), move |book| book.import(&links, span)).await
    }

    /// How far back this store reaches.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn span(&self) -> Result<Span, StoreError> {
        self.ask(None, |book| book.span()).await
    }

    /// What would be decided on a look at one side if it were recorded, and whether there is a link. Nothing is changed.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn rehearse(&self, event: Event) -> Result<(bool, Reason), StoreError> {
        self.ask(None, move |book| book.rehearse(event)).await
    }

    /// Ends an alert's link for good: nothing is passed on any more, what was still to be done or had been given up is dropped,
    /// and nothing pages for the alert again. A link whose page may be on its way stays as it is. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn unlink(&self, alert: &AlertId, now: Timestamp) -> Result<Unlinking, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.unlink(&alert, now)).await
    }

    /// Tries again what was given up under that entry's number: it goes back to its place in its lane, and what is parked
    /// behind it goes on after it. Whatever it may have sent is looked for first. Returns nothing if there is no such letter, or
    /// no link for it any more. `now` is by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn redrive(&self, entry: u64, now: Timestamp) -> Result<Option<DeadLetter>, StoreError> {
        self.ask(None, move |book| book.redrive(entry, now)).await
    }

    /// The same for several, in this order and in one commit.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn redrive_all(&self, entries: Vec<u64>, now: Timestamp) -> Result<Vec<Option<DeadLetter>>, StoreError> {
        self.ask(None, move |book| book.redrive_all(&entries, now)).await
    }

    /// Leaves undone for good what was given up under that entry's number. Behind a discarded creation, what is bound for
    /// PagerDuty is dropped as well, and nobody will be paged for the alert. Returns nothing if there is no such letter. `now` is
    /// by our clock.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn discard(&self, entry: u64, now: Timestamp) -> Result<Option<Discarded>, StoreError> {
        self.ask(None, move |book| book.discard(entry, now)).await
    }

    /// The same for several, in this order and in one commit.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn discard_all(&self, entries: Vec<u64>, now: Timestamp) -> Result<Vec<Option<Discarded>>, StoreError> {
        self.ask(None, move |book| book.discard_all(&entries, now)).await
    }

    /// What lies in the quarantine under that number.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn quarantined_under(&self, number: u64) -> Result<Option<Quarantined>, StoreError> {
        self.ask(None, move |book| book.quarantined_under(number)).await
    }

    /// Takes in the event that was read from what lies under that number, in its place. A creation is looked at before it
    /// pages: it may be over long since. Returns nothing if nothing lies there.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn replay(&self, number: u64, event: Event) -> Result<Option<Recorded>, StoreError> {
        self.ask(None, move |book| book.replay(number, event)).await
    }

    /// Takes in the events that were read from what lies under these numbers, in this order and in one commit.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn replay_all(&self, events: Vec<(u64, Event)>) -> Result<Vec<Option<Recorded>>, StoreError> {
        self.ask(None, move |book| events.into_iter().map(|(number, event)| book.replay(number, event)).collect()).await
    }

    /// Drops for good what lies under that number, and returns it, if there is something.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn discard_quarantined(&self, number: u64) -> Result<Option<QuarantinedHead>, StoreError> {
        self.ask(None, move |book| book.discard_quarantined(number)).await
    }

    /// The same for several, in one commit.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn discard_all_quarantined(&self, numbers: Vec<u64>) -> Result<Vec<Option<QuarantinedHead>>, StoreError> {
        self.ask(None, move |book| numbers.iter().map(|number| book.discard_quarantined(*number)).collect()).await
    }

    /// The newest of what happened to an alert before that number, oldest first, each with its number; at most `limit`.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn timeline_before(
        &self,
        alert: &AlertId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, TimelineEntry)>, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.timeline_before(&alert, before, limit)).await
    }

    /// What is to be done in `system`, by number, after that one; at most `limit`.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn entries_after(&self, system: System, after: u64, limit: usize) -> Result<Vec<Entry>, StoreError> {
        self.ask(None, move |book| book.entries_after(system, after, limit)).await
    }

    /// How much is to be done for each of these alerts, in both systems.
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn queued_for(&self, alerts: Vec<AlertId>) -> Result<Vec<usize>, StoreError> {
        self.ask(None, move |book| Ok(book.queued_for(&alerts))).await
    }

    /// What waits for incidents that are being created, in the order it came; at most
    /// [`book::LONGEST_LIST`](super::book::LONGEST_LIST).
    ///
    /// # Errors
    /// Fatal ones only.
    pub async fn waiting(&self) -> Result<Vec<Waits>, StoreError> {
        self.ask(None, |book| book.waiting()).await
    }

    async fn order(&self, alert: &AlertId, order: Order, now: Timestamp) -> Result<Recorded, StoreError> {
        let alert = alert.clone();
        self.ask(None, move |book| book.order(alert, order, now)).await
    }
}
