//! How many webhooks are durably accepted, beside the most that the same server could take without a store, and beside what
//! the disk can do.

use super::{Scale, disk_syncs, runtime};
use crate::ceiling::Ceiling;
use crate::crosspage::Crosspage;
use crate::load::as_fast_as_answered;
use crate::table::{Table, mib, ms, ratio, whole};
use crate::vendors::{Pair, Vendors};
use crate::webhooks::{Template, Wire};

const MIRRORED: &[&str] = &["mirrored"];

const CONNECTIONS: [usize; 3] = [16, 64, 256];

const HEADS: [&str; 11] = [
    "connections",
    "accepted/s",
    "p50 ms",
    "p99 ms",
    "CPU us each",
    "ceiling/s",
    "p50 ms",
    "p99 ms",
    "fdatasync/s",
    "of ceiling",
    "per fdatasync",
];

pub(crate) fn play(scale: &Scale) {
    let title = "accept: signed webhooks of 4 KiB, each a change of state that is mirrored";
    measure(title, scale, Template::changed, |template, number, pairs| template.change(number, pairs));
    let title = "accept: signed webhooks of 4 KiB, each a note of 3 KiB that is mirrored";
    let note =
        |template: &Template, number: usize, pairs: &[Pair]| template.webhook(number, &pairs[number % pairs.len()]);
    measure(title, scale, Template::annotated, note);
}

fn measure(
    title: &str,
    scale: &Scale,
    template: fn(&Pair, &str) -> Template,
    webhook: fn(&Template, usize, &[Pair]) -> Wire,
) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let vendors = Vendors::start(&runtime);
    let (book, pairs) = vendors.seed(folder.path(), scale.links);
    drop(book);
    let crosspage = Crosspage::start(folder.path(), &vendors.vars());
    vendors.post_to(crosspage.address);
    let ceiling = Ceiling::start(vendors.secret());
    let template = template(&pairs[0], vendors.secret());
    let mut number = 0;
    let mut requests = |count: usize| -> Vec<Wire> {
        let from = number;
        number += count;
        (from..number).map(|number| webhook(&template, number, &pairs)).collect()
    };
    let table = Table::begin(title, &HEADS);
    as_fast_as_answered(crosspage.address, 16, requests(scale.webhooks / 2), MIRRORED);
    for connections in CONNECTIONS {
        let syncs = disk_syncs(folder.path(), scale);
        let posted = requests(scale.webhooks);
        let most = as_fast_as_answered(ceiling.address, connections, posted.clone(), MIRRORED);
        let cpu = crosspage.cpu();
        let accepted = as_fast_as_answered(crosspage.address, connections, posted, MIRRORED);
        let cpu_each = (crosspage.cpu() - cpu).as_secs_f64() / scale.webhooks as f64;
        table.row(&[
            connections.to_string(),
            whole(accepted.rate()),
            ms(accepted.within(0.5)),
            ms(accepted.within(0.99)),
            whole(cpu_each * 1e6),
            whole(most.rate()),
            ms(most.within(0.5)),
            ms(most.within(0.99)),
            whole(syncs),
            ratio(accepted.rate(), most.rate()),
            ratio(accepted.rate(), syncs),
        ]);
    }
    println!(
        "\nresident after that: {} MiB, at most {} MiB",
        mib(crosspage.resident()),
        mib(crosspage.most_resident())
    );
    vendors.park();
    crosspage.terminate();
}
