//! How long a webhook takes until the other vendor hears of it, at a pace that people never reach, and how fast a backlog goes.

use std::thread;
use std::time::{Duration, Instant};

use super::{Scale, queue_notes, runtime};
use crate::crosspage::{Crosspage, TOO_LONG};
use crate::load::{Measured, at_a_pace};
use crate::relay::Relay;
use crate::table::{Table, mib, ms, whole};
use crate::vendors::{Vars, Vendors};
use crate::webhooks::{Template, marker};

/// Webhooks a second, of both vendors together.
const PACE: u32 = 50;

/// The vendors, with a relay before each.
struct Wires {
    to_opsgenie: Relay,
    to_pagerduty: Relay,
}

impl Wires {
    fn to(vendors: &Vendors) -> (Self, Vars) {
        let wires =
            Self { to_opsgenie: Relay::to(&vendors.opsgenie.url()), to_pagerduty: Relay::to(&vendors.pagerduty.url()) };
        let mut vars = vendors.vars_without_limits();
        vars.insert("OPSGENIE_API_URL", format!("http://{}", wires.to_opsgenie.address));
        vars.insert("PAGERDUTY_API_URL", format!("http://{}", wires.to_pagerduty.address));
        (wires, vars)
    }

    /// Where the note of that number goes: even ones are written on incidents, odd ones on alerts.
    fn of(&self, number: usize) -> &Relay {
        if number.is_multiple_of(2) { &self.to_opsgenie } else { &self.to_pagerduty }
    }

    fn wait_for(&self, notes: usize) {
        let started = Instant::now();
        while self.to_opsgenie.seen() + self.to_pagerduty.seen() < notes {
            assert!(started.elapsed() < TOO_LONG, "the notes are passed on");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The lag.
pub(crate) fn play(scale: &Scale) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let vendors = Vendors::start(&runtime);
    let (book, pairs) = vendors.seed(folder.path(), scale.links);
    drop(book);
    let (wires, vars) = Wires::to(&vendors);
    let crosspage = Crosspage::start(folder.path(), &vars);
    vendors.post_to(crosspage.address);
    let annotated = Template::annotated(&pairs[0], vendors.secret());
    let note_added = Template::note_added(&pairs[0], &vendors.opsgenie_options.integration_id);
    let requests = (0..scale.timed).map(|number| {
        let template = if number.is_multiple_of(2) { &annotated } else { &note_added };
        template.webhook(number, &pairs[number % pairs.len()])
    });
    let sent = at_a_pace(crosspage.address, PACE, requests.collect());
    wires.wait_for(scale.timed);
    let lag = |of: &dyn Fn(usize) -> bool| {
        let lags = sent.iter().enumerate().filter(|(number, _)| of(*number)).map(|(number, sent)| {
            let seen = wires.of(number).seen_at(&marker(number)).expect("it was passed on");
            seen.duration_since(*sent)
        });
        Measured::new(Duration::from_secs(1), lags.collect())
    };
    let title = format!("lag: from a webhook to the call that it leads to, at {PACE} webhooks a second");
    let table = Table::begin(&title, &["which way                 ", "p50 ms", "p99 ms", "most ms"]);
    let row = |name: &str, lag: &Measured| {
        table.row(&[name.to_owned(), ms(lag.within(0.5)), ms(lag.within(0.99)), ms(lag.within(1.0))]);
    };
    row("from PagerDuty to Opsgenie", &lag(&|number| number.is_multiple_of(2)));
    row("from Opsgenie to PagerDuty", &lag(&|number| !number.is_multiple_of(2)));
    row("both", &lag(&|_| true));
    vendors.park();
    crosspage.terminate();
}

/// The backlog.
pub(crate) fn drain(scale: &Scale) {
    let runtime = runtime();
    let folder = tempfile::tempdir().expect("a folder");
    let vendors = Vendors::start(&runtime);
    let (mut book, pairs) = vendors.seed(folder.path(), scale.queued);
    queue_notes(&mut book, &vendors, &pairs, scale.queued);
    drop(book);
    let (wires, vars) = Wires::to(&vendors);
    let started = Instant::now();
    let crosspage = Crosspage::start(folder.path(), &vars);
    vendors.post_to(crosspage.address);
    wires.wait_for(scale.queued);
    let took = started.elapsed() - crosspage.ready_after;
    let title = "drain: a backlog of notes, half for each vendor, at 100,000 calls a minute each";
    let table = Table::begin(title, &["entries", "took s", "entries/s", "CPU us each", "resident MiB"]);
    table.row(&[
        scale.queued.to_string(),
        format!("{:.1}", took.as_secs_f64()),
        whole(scale.queued as f64 / took.as_secs_f64()),
        whole(crosspage.cpu().as_secs_f64() / scale.queued as f64 * 1e6),
        mib(crosspage.resident()),
    ]);
    vendors.park();
    crosspage.terminate();
}
