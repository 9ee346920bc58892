//! The store's tests: one suite over both engines, and what holds for one of them or for the threads only.

mod bench;
mod claims;
mod counted;
mod damage;
mod engines;
mod events;
mod kept;
mod letters;
mod open;
mod owed;
mod pauses;
mod properties;
mod prune;
mod quarantine;
mod threads;
mod waiting;
