//! The store's tests: one suite over both backends, and what holds for one of them or for the threads only.

mod backends;
mod bench;
mod claims;
mod counted;
mod damage;
mod events;
mod kept;
mod letters;
mod moved;
mod open;
mod owed;
mod pauses;
mod properties;
mod prune;
mod quarantine;
mod threads;
mod waiting;
