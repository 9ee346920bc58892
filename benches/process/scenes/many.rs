//! What it takes to have many open links: how long a start takes, and how much memory.

use super::{Scale, queue_notes, runtime};
use crate::crosspage::{Crosspage, stored_bytes};
use crate::load::as_fast_as_answered;
use crate::table::{Table, mib, ms};
use crate::vendors::Vendors;
use crate::webhooks::Template;

const HEADS: [&str; 4] = ["and then                    ", "ready after ms", "resident MiB", "on disk MiB"];

pub(crate) fn play(scale: &Scale) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let vendors = Vendors::start(&runtime);
    let (mut book, pairs) = vendors.seed(folder.path(), scale.many_links);
    queue_notes(&mut book, &vendors, &pairs, scale.queued);
    drop(book);
    let title = format!("many: {} open links, {} entries in the outbox", scale.many_links, scale.queued);
    let table = Table::begin(&title, &HEADS);
    let row = |what: &str, crosspage: &Crosspage, started: bool| {
        let ready = if started { ms(crosspage.ready_after) } else { String::new() };
        table.row(&[what.to_owned(), ready, mib(crosspage.resident()), mib(stored_bytes(folder.path()))]);
    };
    let start = || Crosspage::start(folder.path(), &vendors.vars());
    let crosspage = start();
    row("started for the first time", &crosspage, true);
    crosspage.terminate();
    let crosspage = start();
    row("ended and started", &crosspage, true);
    crosspage.kill();
    let crosspage = start();
    row("killed and started", &crosspage, true);
    let template = Template::changed(&pairs[0], vendors.secret());
    // The first numbers are those of the notes in the outbox.
    let posted = pairs.iter().zip(scale.queued..).map(|(pair, number)| template.nothing_new(number, pair));
    as_fast_as_answered(crosspage.address, 64, posted.collect(), &["in step"]);
    row("a webhook for each link", &crosspage, false);
    crosspage.kill();
    let crosspage = start();
    row("killed and started", &crosspage, true);
    crosspage.terminate();
}
