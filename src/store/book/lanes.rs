//! Work on the outbox: claims and what is said of claimed entries.

use super::Book;
use crate::engine::{Class, Entry, Link, Page, Step, System, Timestamp};
use crate::store::types::Claim;
use crate::store::{StoreError, keys};

impl Book {
    /// Claims the first entries of up to `limit` lanes of `system` that are due at `now`: the most urgent lanes first, of
    /// those the longest due. A lane is as urgent as its most urgent entry. A claimed lane is nobody else's until it is
    /// released or settled, or the process ends.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn claim(&mut self, system: System, limit: usize, now: Timestamp) -> Result<Vec<Claim>, StoreError> {
        let mut claims = Vec::new();
        for class in Class::OF_COMMANDS {
            claims.extend(self.claim_of(class, system, limit - claims.len(), now)?);
        }
        Ok(claims)
    }

    /// The same, of lanes of that class alone.
    ///
    /// # Errors
    /// Fatal ones only.
    pub fn claim_of(
        &mut self,
        class: Class,
        system: System,
        limit: usize,
        now: Timestamp,
    ) -> Result<Vec<Claim>, StoreError> {
        self.transact(|book| {
            let mut claims = Vec::new();
            while claims.len() < limit {
                let Some((alert, id)) = book.schedule.side_mut(system).claim(class, now) else { break };
                let link: Link = book.table.need(&keys::link(&alert))?;
                let entry: Entry = book.table.need(&keys::entry(system, id))?;
                if is_held(&entry, &link) {
                    book.schedule.side_mut(system).park(&alert);
                    continue;
                }
                let sibling_notes = book.sibling_notes(&link)?;
                // Whoever stored that it was sending has not said how that ended.
                claims.push(Claim { entry: entry.taken_up(now), class, link, sibling_notes });
            }
            Ok(claims)
        })
    }

    /// Stores how far a claimed entry has come. It stays claimed.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more; fatal ones.
    pub fn save(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.transact(|book| {
            let entry = book.claimed(entry)?;
            book.table.put(&keys::entry(entry.command.to, entry.id), &entry)
        })
    }

    /// Stores how far a claimed entry has come, and ends its claim; it may be claimed again from its `due_at` on.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more; fatal ones.
    pub fn release(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.transact(|book| {
            let entry = book.claimed(entry)?;
            book.table.put(&keys::entry(entry.command.to, entry.id), &entry)?;
            book.schedule.side_mut(entry.command.to).release(&entry.alert, entry.due_at);
            Ok(())
        })
    }

    /// Ends a claim and stores nothing: from the entry's `due_at` on, the next claim finds it as it was stored last.
    ///
    /// # Errors
    /// [`StoreError::NotClaimed`] if the entry is not, or is not there any more.
    pub fn put_off(&mut self, entry: Entry) -> Result<(), StoreError> {
        self.transact(|book| {
            let entry = book.claimed(entry)?;
            book.schedule.side_mut(entry.command.to).release(&entry.alert, entry.due_at);
            Ok(())
        })
    }

    /// The entry in its stored form, if it is claimed.
    pub(super) fn claimed(&self, mut entry: Entry) -> Result<Entry, StoreError> {
        if !self.schedule.side(entry.command.to).is_claimed(&entry.alert, entry.id) {
            return Err(StoreError::NotClaimed { id: entry.id });
        }
        if let Step::Looked(_) = entry.step {
            entry.step = Step::Ready;
        }
        Ok(entry)
    }

    fn sibling_notes(&self, link: &Link) -> Result<Vec<String>, StoreError> {
        let Some(incident) = link.incident().filter(|_| link.shared) else { return Ok(Vec::new()) };
        let siblings = self.links_of(incident)?.into_iter().filter(|sibling| sibling.alert != link.alert);
        let notes = siblings.flat_map(|sibling| sibling.written).filter(|note| note.system == System::PagerDuty);
        Ok(notes.filter_map(|note| note.id).collect())
    }
}

/// Whether the first entry of a lane must wait until the link is resumed, or its page changes.
fn is_held(entry: &Entry, link: &Link) -> bool {
    let paused = link.paused.is_some() && !entry.command.action.is_for_the_page();
    paused || (link.page == Page::Dead && entry.command.to == System::PagerDuty)
}
