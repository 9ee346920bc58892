//! Records by id, with enough of the past to answer reads that lag behind.

use std::collections::HashMap;

/// Current records plus their former states, youngest last.
#[derive(Debug, Clone)]
pub(crate) struct Shelf<T> {
    order: Vec<String>,
    current: HashMap<String, T>,
    past: HashMap<String, Vec<(i64, Option<T>)>>,
}

impl<T: Clone> Shelf<T> {
    pub(crate) fn new() -> Self {
        Self { order: Vec::new(), current: HashMap::new(), past: HashMap::new() }
    }

    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.current.get(id)
    }

    /// Ids of the current records, oldest first.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &String> {
        self.order.iter()
    }

    /// Current records, oldest first.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.order.iter().filter_map(|id| self.current.get(id))
    }

    pub(crate) fn insert(&mut self, id: &str, record: T, now_ms: i64, lag_ms: i64) {
        self.order.push(id.to_owned());
        self.current.insert(id.to_owned(), record.clone());
        self.remember(id, Some(record), now_ms, lag_ms);
    }

    pub(crate) fn edit<R>(&mut self, id: &str, now_ms: i64, lag_ms: i64, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        let record = self.current.get_mut(id)?;
        let before = (lag_ms > 0 && !self.past.contains_key(id)).then(|| record.clone());
        let result = act(record);
        let after = (lag_ms > 0).then(|| record.clone());
        if let Some(before) = before {
            // The record was made while reads did not lag: what it was must stay readable for the lag's length.
            self.past.insert(id.to_owned(), vec![(i64::MIN, Some(before))]);
        }
        if after.is_some() {
            self.remember(id, after, now_ms, lag_ms);
        }
        Some(result)
    }

    pub(crate) fn remove(&mut self, id: &str, now_ms: i64, lag_ms: i64) -> Option<T> {
        let record = self.current.remove(id)?;
        self.order.retain(|other| other != id);
        self.remember(id, None, now_ms, lag_ms);
        Some(record)
    }

    /// The record as a read sees it that lags by `lag_ms`.
    pub(crate) fn seen(&self, id: &str, now_ms: i64, lag_ms: i64) -> Option<&T> {
        let Some(past) = self.past.get(id).filter(|_| lag_ms > 0) else {
            return self.current.get(id);
        };
        let then = now_ms.saturating_sub(lag_ms);
        past.iter().rev().find(|(at, _)| *at <= then).and_then(|(_, record)| record.as_ref())
    }

    /// All records as a lagging read sees them, oldest first.
    pub(crate) fn all_seen(&self, now_ms: i64, lag_ms: i64) -> Vec<&T> {
        self.order.iter().filter_map(|id| self.seen(id, now_ms, lag_ms)).collect()
    }

    fn remember(&mut self, id: &str, record: Option<T>, now_ms: i64, lag_ms: i64) {
        if lag_ms <= 0 {
            return;
        }
        let past = self.past.entry(id.to_owned()).or_default();
        let then = now_ms.saturating_sub(lag_ms);
        if let Some(needed) = past.iter().rposition(|(at, _)| *at <= then) {
            past.drain(..needed);
        }
        past.push((now_ms, record));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lagging_read_sees_the_former_state() {
        let mut shelf = Shelf::new();
        shelf.insert("a", 1, 100, 50);
        assert_eq!(shelf.seen("a", 120, 50), None);
        assert_eq!(shelf.seen("a", 150, 50), Some(&1));
        shelf.edit("a", 200, 50, |record| *record = 2);
        assert_eq!(shelf.seen("a", 249, 50), Some(&1));
        assert_eq!(shelf.seen("a", 250, 50), Some(&2));
        assert_eq!(shelf.get("a"), Some(&2));
    }

    #[test]
    fn a_lag_switched_on_later_starts_from_what_is_there() {
        let mut shelf = Shelf::new();
        shelf.insert("a", 1, 100, 0);
        assert_eq!(shelf.seen("a", 100, 50), Some(&1));
        shelf.edit("a", 110, 50, |record| *record = 2);
        assert_eq!(shelf.seen("a", 120, 50), Some(&1));
        assert_eq!(shelf.seen("a", 160, 50), Some(&2));
    }
}
