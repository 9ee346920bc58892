//! How the store on disk grows.

use super::{Scale, runtime};
use crate::crosspage::{Crosspage, stored_bytes};
use crate::load::as_fast_as_answered;
use crate::table::{Table, mib, whole};
use crate::vendors::Vendors;
use crate::webhooks::Template;

/// Every tenth webhook is a note that is mirrored, the others change nothing.
const ONE_NOTE_IN: usize = 10;

/// How many webhooks are made and posted at a time.
const AT_ONCE: usize = 50_000;

pub(crate) fn play(scale: &Scale) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let vendors = Vendors::start(&runtime);
    let (book, pairs) = vendors.seed(folder.path(), scale.links);
    drop(book);
    let crosspage = Crosspage::start(folder.path(), &vendors.vars_without_limits());
    vendors.post_to(crosspage.address);
    let note = Template::annotated(&pairs[0], vendors.secret());
    let nothing = Template::changed(&pairs[0], vendors.secret());
    let title = "growth: webhooks of 4 KiB, every tenth of which is a note of 3 KiB that is mirrored";
    let table = Table::begin(title, &["webhooks", "on disk MiB", "bytes each", "resident MiB"]);
    let before = stored_bytes(folder.path());
    table.row(&["0".to_owned(), mib(before), String::new(), mib(crosspage.resident())]);
    let mut posted = 0;
    while posted < scale.growth {
        let numbers = posted..(posted + AT_ONCE).min(scale.growth);
        posted = numbers.end;
        let requests = numbers.map(|number| {
            // Each round begins one link later, so that the notes are not always on the same ones.
            let pair = &pairs[(number + number / pairs.len()) % pairs.len()];
            match number % ONE_NOTE_IN {
                0 => note.webhook(number, pair),
                _ => nothing.nothing_new(number, pair),
            }
        });
        as_fast_as_answered(crosspage.address, 64, requests.collect(), &["mirrored", "in step"]);
        vendors.opsgenie.model().forget_records();
        if posted % (scale.growth / 4) < AT_ONCE.min(scale.growth / 4) {
            let bytes = stored_bytes(folder.path());
            let each = bytes.saturating_sub(before) as f64 / posted as f64;
            table.row(&[posted.to_string(), mib(bytes), whole(each), mib(crosspage.resident())]);
        }
    }
    vendors.park();
    crosspage.terminate();
}
