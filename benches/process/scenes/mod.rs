//! What is measured, each by itself.

mod accept;
mod growth;
mod lag;
mod many;

use std::path::Path;
use std::time::Instant;

use crosspage::clock::now;
use crosspage::opsgenie::webhook::Door;
use crosspage::pagerduty::webhook::{self, Inbound};
use crosspage::store::book::Book;

use crate::crosspage::Crosspage;
use crate::table::{Table, mib, ms};
use crate::vendors::{Pair, Vendors};
use crate::webhooks::{Template, body_of};

/// Something to be measured.
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) play: fn(&Scale),
}

/// All of it.
pub(crate) const ALL: &[Scene] = &[
    Scene { name: "idle", play: idle },
    Scene { name: "accept", play: accept::play },
    Scene { name: "lag", play: lag::play },
    Scene { name: "many", play: many::play },
    Scene { name: "drain", play: lag::drain },
    Scene { name: "growth", play: growth::play },
];

/// How much of everything.
pub(crate) struct Scale {
    /// Webhooks for each number of connections, and half as many before to warm up.
    pub(crate) webhooks: usize,
    /// Links that these webhooks are about, in turn: many more than connections, so that a link's webhooks come in order.
    pub(crate) links: usize,
    /// For how many milliseconds the disk is measured.
    pub(crate) disk_ms: u64,
    /// Webhooks whose way to the other vendor is timed.
    pub(crate) timed: usize,
    /// Links in a large store.
    pub(crate) many_links: usize,
    /// Entries in a large outbox.
    pub(crate) queued: usize,
    /// Webhooks after which the disk is looked at.
    pub(crate) growth: usize,
}

impl Scale {
    /// For figures.
    pub(crate) const FULL: Self = Self {
        webhooks: 60_000,
        links: 10_000,
        disk_ms: 3_000,
        timed: 1_500,
        many_links: 100_000,
        queued: 10_000,
        growth: 1_000_000,
    };

    /// For a look whether it runs.
    pub(crate) const SHORT: Self =
        Self { webhooks: 300, links: 1_200, disk_ms: 50, timed: 20, many_links: 300, queued: 40, growth: 2_000 };
}

/// What all scenes need.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// How much memory it takes to wait.
fn idle(_: &Scale) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let vendors = Vendors::start(&runtime);
    let crosspage = Crosspage::start(folder.path(), &vendors.vars());
    let table = Table::begin("an empty store", &["ready after ms", "resident MiB"]);
    std::thread::sleep(std::time::Duration::from_secs(1));
    table.row(&[ms(crosspage.ready_after), mib(crosspage.resident())]);
    crosspage.terminate();
}

/// Takes in one note for each of so many links: of the even ones from their incidents, of the odd ones from their alerts.
fn queue_notes(book: &mut Book, vendors: &Vendors, pairs: &[Pair], notes: usize) {
    let integration_id = &vendors.opsgenie_options.integration_id;
    let door = Door::new(&[integration_id], None);
    let annotated = Template::annotated(&pairs[0], vendors.secret());
    let note_added = Template::note_added(&pairs[0], integration_id);
    for (number, pair) in pairs.iter().cycle().take(notes).enumerate() {
        let event = if number.is_multiple_of(2) {
            match webhook::parse(body_of(&annotated.webhook(number, pair)), None, now()) {
                Ok(Inbound::Event(event)) => event,
                other => panic!("it can be read: {other:?}"),
            }
        } else {
            let authentic = door.authenticate(body_of(&note_added.webhook(number, pair))).expect("it is ours");
            authentic.parse(now()).expect("it can be read")
        };
        let recorded = book.record(event).expect("it is taken in");
        assert_eq!(recorded.commands, 1, "it is mirrored: {recorded:?}");
        if number % 500 == 499 {
            book.commit().expect("the disk takes it");
        }
    }
    book.commit().expect("the disk takes it");
}

/// How long the disk takes to make 4 KiB durable, as so many a second.
fn disk_syncs(folder: &Path, scale: &Scale) -> f64 {
    use std::io::Write as _;
    let mut file = std::fs::File::create(folder.join("syncs")).expect("a file");
    let (started, mut syncs) = (Instant::now(), 0_u32);
    while started.elapsed().as_millis() < u128::from(scale.disk_ms) {
        file.write_all(&[7; 4096]).expect("room on the disk");
        file.sync_data().expect("a disk");
        syncs += 1;
    }
    f64::from(syncs) / started.elapsed().as_secs_f64()
}
