//! Links, from one store into another, as lines of JSON. With them go the notes that were written and heard, so that nothing is told
//! twice; what is still to be done does not go.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::{Done, Failure, Format};
use crate::engine::{Link, Page, Side};
use crate::operator::status::StatusView;
use crate::store::Store;

/// What a file of links begins with.
const KIND: &str = "crosspage links";

/// The form of the lines that this version writes, and the only one that it reads.
const VERSION: u32 = 1;

/// How many links are read or stored at once.
const AT_ONCE: usize = 250;

/// Where the links go.
#[derive(Debug, Args)]
pub struct Export {
    /// A new file; without it, they are written to standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Even if something is still to be done, or was given up: that is lost, and so are links whose incident does not exist yet.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    format: Format,
}

/// Where the links come from.
#[derive(Debug, Args)]
pub struct Import {
    /// What `crosspage export` has written.
    file: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct Header {
    kind: String,
    version: u32,
    written_by: String,
}

/// The last line: a file without it was cut off.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    links: u64,
}

/// What came of an export.
#[derive(Serialize)]
struct Exported {
    /// How many links were written.
    links: u64,
    /// How many were left out, since their incidents do not exist (yet).
    left_out: u64,
}

/// What came of an import.
#[derive(Serialize)]
struct Imported {
    /// How many links were taken in.
    links: usize,
    /// How many were in the store already, just as they are in the file.
    already_there: usize,
}

impl Export {
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        let (store, status) = (access.store()?, access.status().await?);
        let mut output = self.format.output();
        if let Some(lost) = lost(&status).filter(|_| !self.force) {
            let message = format!(
                "{lost}, and does not go with the links: start crosspage until it is done, redrive or discard what was given up, \
                 or let it be lost with --force."
            );
            output.unless_refused::<()>(Err(Failure::Refused { code: "conflict".to_owned(), message }))?;
            return Ok(Done::NotAll);
        }
        let mut to: Box<dyn Write> = match &self.out {
            Some(path) => Box::new(BufWriter::new(new_file(path)?)),
            None => Box::new(BufWriter::new(io::stdout())),
        };
        let exported = export(store, &mut to).await?;
        to.flush()?;
        let Exported { links, left_out } = exported;
        let sentence = format!("Links written: {links}. Left out, since they have no incident (yet): {left_out}.");
        if self.out.is_some() {
            output.say(&sentence, &exported)?
        } else {
            eprintln!("{sentence}")
        }
        Ok(Done::All)
    }
}

/// What would be lost, if there is anything.
fn lost(status: &StatusView) -> Option<String> {
    let (to_do, letters) = (status.opsgenie.entries + status.pagerduty.entries, status.dead_letters);
    let (waiting, quarantined) = (status.waiting, status.quarantined);
    let any = to_do > 0 || letters > 0 || waiting > 0 || quarantined > 0;
    any.then(|| {
        format!(
            "Still in the store: {to_do} to be done, {letters} given up, {waiting} waiting, {quarantined} in the quarantine"
        )
    })
}

/// Readable by its owner alone: it holds what alerts say.
fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|error| named(path, error))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

async fn export(store: &Store, to: &mut impl Write) -> Result<Exported, Failure> {
    let bar = ProgressBar::new(count(store).await?);
    let header = Header { kind: KIND.to_owned(), version: VERSION, written_by: env!("CARGO_PKG_VERSION").to_owned() };
    line(to, &header)?;
    let mut exported = Exported { links: 0, left_out: 0 };
    let mut after = None;
    loop {
        let links = store.links_after(after.take(), AT_ONCE).await?;
        let Some(last) = links.last() else { break };
        after = Some(last.alert.clone());
        for link in links {
            bar.inc(1);
            match portable(link) {
                Some(link) => {
                    line(to, &link)?;
                    exported.links += 1;
                }
                None => exported.left_out += 1,
            }
        }
    }
    line(to, &End { links: exported.links })?;
    bar.finish_and_clear();
    Ok(exported)
}

async fn count(store: &Store) -> Result<u64, Failure> {
    let (mut count, mut after) = (0, None);
    loop {
        let links = store.links_after(after.take(), AT_ONCE).await?;
        let Some(last) = links.last() else { return Ok(count) };
        after = Some(last.alert.clone());
        count += links.len() as u64;
    }
}

fn line(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// The link without what only its outbox can bring to an end. One whose incident is still to be created would wait for ever; without
/// it, the new store's reconciler finds the alert.
fn portable(mut link: Link) -> Option<Link> {
    match link.page {
        Page::Joining | Page::Pending | Page::Dead => return None,
        Page::Standing(_) | Page::Withheld => {}
    }
    let still = |side: Side| Side { commanded: None, ..side };
    (link.opsgenie, link.pagerduty) = (still(link.opsgenie), still(link.pagerduty));
    (link.held, link.fetching_note, link.redriven) = (Vec::new(), None, false);
    link.written.retain(|note| note.done || note.echoed);
    Some(link)
}

impl Import {
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        let store = access.store()?;
        let mut output = self.format.output();
        let read = read(&self.file).and_then(|links| links.ok_or_else(|| unreadable("it is cut off")));
        let links = read.map_err(|error| Failure::Unreadable(named(&self.file, error)))?;
        let Some(new) = output.unless_refused(new_ones(store, &links).await)? else { return Ok(Done::NotAll) };
        let imported = Imported { links: new.len(), already_there: links.len() - new.len() };
        let bar = ProgressBar::new(new.len() as u64);
        for links in new.chunks(AT_ONCE) {
            store.import(links.to_vec()).await?;
            bar.inc(links.len() as u64);
        }
        bar.finish_and_clear();
        let sentence = format!("Links taken in: {}. There already: {}.", imported.links, imported.already_there);
        output.say(&sentence, &imported)?;
        Ok(Done::All)
    }
}

fn unreadable(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The links of a file; nothing if its end is missing.
fn read(path: &Path) -> io::Result<Option<Vec<Link>>> {
    let mut lines = BufReader::new(File::open(path)?).lines();
    let header: Option<Header> = lines.next().transpose()?.and_then(|line| serde_json::from_str(&line).ok());
    match header {
        Some(header) if header.kind == KIND && header.version == VERSION => {}
        Some(header) if header.kind == KIND => {
            let (version, by) = (header.version, header.written_by);
            return Err(unreadable(&format!(
                "its form is {version}, which this version does not know: use crosspage {by}"
            )));
        }
        _ => return Err(unreadable("it was not written by `crosspage export`")),
    }
    let mut links = Vec::new();
    for (number, line) in lines.enumerate() {
        let line = line?;
        if let Ok(end) = serde_json::from_str::<End>(&line) {
            return Ok((end.links == links.len() as u64).then_some(links));
        }
        let link = serde_json::from_str(&line).map_err(|error| unreadable(&format!("line {}: {error}", number + 2)))?;
        links.push(link);
    }
    Ok(None)
}

/// Those that the store does not have. One that it has otherwise is in the way of all: it would have to be told which is right.
async fn new_ones(store: &Store, links: &[Link]) -> Result<Vec<Link>, Failure> {
    let mut new = Vec::new();
    for link in links {
        match store.link(&link.alert).await? {
            None => new.push(link.clone()),
            Some(there) if there == *link => {}
            Some(_) => {
                let alert = &link.alert;
                let message =
                    format!("Alert {alert} is linked in this store already, and otherwise: nothing was taken in.");
                return Err(Failure::Refused { code: "conflict".to_owned(), message });
            }
        }
    }
    Ok(new)
}
