//! Links, from one store into another, as lines of JSON. With them go the notes that were written and heard, so that nothing is told
//! twice; and how far back the store reached, so that what happens while they move is missed by nobody. What is still to be done
//! does not go.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use serde::{Deserialize, Serialize};

use super::access::Access;
use super::output::Unwritten;
use super::{Done, Failure, Format};
use crate::engine::{Link, Page, Side, Timestamp};
use crate::operator::status::StatusView;
use crate::store::{Span, Store, StoreError};

/// What a file of links begins with.
const KIND: &str = "crosspage links";

/// The form of the lines that this version writes, and the only one that it reads. The first one did not tell how far back the
/// store reached.
const VERSION: u32 = 2;

/// How many links are read or stored at once.
const AT_ONCE: usize = 250;

/// How much earlier than we heard of it an alert may have begun, where it does not say: its webhook may have been late, and the
/// clocks may differ.
const UNTOLD: Duration = Duration::from_secs(60 * 60);

/// Where the links go.
#[derive(Debug, Args)]
pub struct Export {
    /// A new file; without it, they are written to standard output, and what came of it to standard error.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Even if something is still to be done, or was given up: that is lost. Links whose incident does not exist (yet) are left out;
    /// their alerts page anew if they are still open.
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
    /// None in the first form.
    #[serde(flatten)]
    span: Option<Span>,
}

/// What a file holds.
pub(super) struct Moved {
    span: Span,
    links: Vec<Link>,
    format: Format,
}

/// Why not all links could be written.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Writing(#[from] io::Error),
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
        let exported = match &self.out {
            Some(path) => into_file(store, path).await?,
            None => into_answer(store).await?,
        };
        let Exported { links, left_out } = exported;
        let sentence = format!("Links written: {links}. Left out, since they have no incident (yet): {left_out}.");
        match self.out {
            Some(_) => output.say(&sentence, &exported)?,
            // The answer is the links.
            None => output.say_aside(&sentence, &exported)?,
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

/// Writes a new file. If it cannot be written to its end, none is left: it would be of no use, and in the way of the next try.
async fn into_file(store: &Store, path: &Path) -> Result<Exported, Failure> {
    let file = new_file(path).map_err(|why| Failure::NotMade { path: path.to_owned(), why })?;
    let exported = durably(store, file, path).await;
    exported.map_err(|broken| {
        // Whoever looks finds it cut off, if it stays.
        let _ = remove_file(path);
        match broken {
            Broken::Store(error) => error.into(),
            Broken::Writing(why) => Failure::NotWritten { path: path.to_owned(), why },
        }
    })
}

/// Readable by its owner alone: it holds what alerts say.
fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// On disk when this returns, under its name: the store that it was taken from may be deleted next.
async fn durably(store: &Store, file: File, path: &Path) -> Result<Exported, Broken> {
    let mut to = BufWriter::new(file);
    let exported = export(store, &mut to).await?;
    to.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    Ok(exported)
}

async fn into_answer(store: &Store) -> Result<Exported, Failure> {
    let mut to = BufWriter::new(io::stdout());
    let exported = export(store, &mut to).await;
    // A closed pipe is a failure here: nobody has all links.
    let written = exported.and_then(|exported| Ok(to.flush().map(|()| exported)?));
    written.map_err(|broken| match broken {
        Broken::Store(error) => error.into(),
        Broken::Writing(error) => Unwritten::from(error).into(),
    })
}

async fn export(store: &Store, to: &mut impl Write) -> Result<Exported, Broken> {
    let (count, span) = survey(store).await?;
    let bar = ProgressBar::new(count);
    let written_by = env!("CARGO_PKG_VERSION").to_owned();
    line(to, &Header { kind: KIND.to_owned(), version: VERSION, written_by, span: Some(span) })?;
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

/// How many links there are, and how far back the store must reach that has those that can go: to the first of the others' alerts, so
/// that its reconciler finds them all.
async fn survey(store: &Store) -> Result<(u64, Span), StoreError> {
    let mut span = store.span().await?;
    let (mut count, mut after) = (0, None);
    loop {
        let links = store.links_after(after.take(), AT_ONCE).await?;
        let Some(last) = links.last() else { return Ok((count, span)) };
        after = Some(last.alert.clone());
        count += links.len() as u64;
        let stays = links.iter().filter(|link| !is_portable(link));
        span.reconciled_until = stays.map(began).fold(span.reconciled_until, Timestamp::min);
    }
}

fn began(link: &Link) -> Timestamp {
    link.facts.created_at.unwrap_or_else(|| link.linked_at.minus(UNTOLD))
}

fn line(to: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, value)?;
    to.write_all(b"\n")
}

/// Whether there is an incident, or is to be none. A link that waits for one would wait for ever, since what creates it stays behind.
fn is_portable(link: &Link) -> bool {
    match link.page {
        Page::Joining | Page::Pending | Page::Dead => false,
        Page::Standing(_) | Page::Withheld => true,
    }
}

/// The link without what only its outbox can bring to an end.
fn portable(mut link: Link) -> Option<Link> {
    if !is_portable(&link) {
        return None;
    }
    let still = |side: Side| Side { commanded: None, overtaken: Vec::new(), ..side };
    (link.opsgenie, link.pagerduty) = (still(link.opsgenie), still(link.pagerduty));
    (link.held, link.fetching_note, link.redriven) = (Vec::new(), None, false);
    link.written.retain(|note| note.done || note.echoed);
    Some(link)
}

impl Import {
    /// Reads all of the file.
    pub(super) fn read(self) -> Result<Moved, Failure> {
        match read(&self.file) {
            Ok((span, links)) => Ok(Moved { span, links, format: self.format }),
            Err(why) => Err(Failure::Unreadable { path: self.file, why }),
        }
    }
}

impl Moved {
    pub(super) async fn take_in(self, access: &Access) -> Result<Done, Failure> {
        let (store, links) = (access.store()?, self.links);
        let mut output = self.format.output();
        let Some(new) = output.unless_refused(new_ones(store, &links).await)? else { return Ok(Done::NotAll) };
        let imported = Imported { links: new.len(), already_there: links.len() - new.len() };
        let bar = ProgressBar::new(new.len() as u64);
        let mut rest = new.as_slice();
        loop {
            let (some, later) = rest.split_at(rest.len().min(AT_ONCE));
            // Also of no links at all: how far back the store reaches is told with the first ones.
            store.import(some.to_vec(), self.span).await?;
            bar.inc(some.len() as u64);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        bar.finish_and_clear();
        let sentence = format!("Links taken in: {}. There already: {}.", imported.links, imported.already_there);
        output.say(&sentence, &imported)?;
        Ok(Done::All)
    }
}

const CUT_OFF: &str = "it is cut off: export it again, or copy it whole";

/// How far back the store reached, and its links; or why they cannot be read, to be said behind the file's name.
fn read(path: &Path) -> Result<(Span, Vec<Link>), String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut lines = BufReader::new(file).lines().map(|line| line.map_err(|error| error.to_string()));
    let header: Option<Header> = lines.next().transpose()?.and_then(|line| serde_json::from_str(&line).ok());
    let span = match header {
        Some(Header { kind, version: VERSION, span: Some(span), .. }) if kind == KIND => span,
        Some(Header { kind, version, written_by, .. }) if kind == KIND && version != VERSION => {
            return Err(format!(
                "its form is {version}, and this version knows {VERSION} alone: export it again with this version, or use \
                 crosspage {written_by}"
            ));
        }
        _ => return Err("it was not written by `crosspage export`".to_owned()),
    };
    let mut links = Vec::new();
    for (line, number) in lines.zip(2..) {
        let line = line?;
        if let Ok(end) = serde_json::from_str::<End>(&line) {
            return if end.links == links.len() as u64 { Ok((span, links)) } else { Err(CUT_OFF.to_owned()) };
        }
        let link: Link = serde_json::from_str(&line)
            .map_err(|error| if error.is_eof() { CUT_OFF.to_owned() } else { format!("line {number}: {error}") })?;
        let alert = link.alert.clone();
        let portable = portable(link);
        links.push(
            portable.ok_or_else(|| format!("line {number}: alert {alert} has no incident, so it cannot be moved"))?,
        );
    }
    Err(CUT_OFF.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::link::Commanded;
    use crate::engine::{AlertFacts, AlertId, IncidentId, Status};
    use crate::store::Settings;
    use crate::store::backend::Backend;
    use crate::store::memory::MemoryBackend;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn link(alert: &str, page: Page) -> Link {
        Link::new(AlertId::try_from(alert).unwrap(), AlertFacts::default(), page, NOW)
    }

    fn standing(alert: &str) -> Link {
        link(alert, Page::Standing(IncidentId::try_from("P1").unwrap()))
    }

    /// With states on their way to both sides, of which one is not wanted any more.
    fn busy(alert: &str) -> Link {
        let on_its_way = |status| Commanded { status, mark: 1 };
        let mut link = standing(alert);
        for side in [&mut link.opsgenie, &mut link.pagerduty] {
            side.commanded = Some(on_its_way(Status::Resolved));
            side.overtaken = vec![on_its_way(Status::Acknowledged)];
        }
        link
    }

    fn store() -> Store {
        let settings = Settings::new(Default::default());
        Store::on(Backend::Memory(MemoryBackend::default()), settings, NOW).unwrap()
    }

    async fn written(links: Vec<Link>) -> (tempfile::TempDir, PathBuf) {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        store.import(links, store.span().await.unwrap()).await.unwrap();
        let path = folder.path().join("links.jsonl");
        into_file(&store, &path).await.unwrap();
        (folder, path)
    }

    #[tokio::test]
    async fn what_only_the_outbox_can_end_stays_behind() {
        let (_folder, path) = written(vec![busy("A"), link("B", Page::Pending), link("C", Page::Withheld)]).await;
        let (_, links) = read(&path).unwrap();
        assert_eq!(links, [standing("A"), link("C", Page::Withheld)]);
    }

    #[tokio::test]
    async fn what_a_file_says_is_on_its_way_is_not() {
        let (_folder, path) = written(vec![standing("A")]).await;
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = |link: &Link| {
            let line = serde_json::to_string(link).unwrap();
            text.replace(&serde_json::to_string(&standing("A")).unwrap(), &line)
        };
        std::fs::write(&path, lines(&busy("A"))).unwrap();
        assert_eq!(read(&path).unwrap().1, [standing("A")]);
        std::fs::write(&path, lines(&link("A", Page::Dead))).unwrap();
        assert!(read(&path).unwrap_err().contains("alert A has no incident"));
    }

    #[tokio::test]
    async fn a_file_reaches_back_to_the_first_alert_that_stays_behind() {
        let mut first = link("B", Page::Dead);
        first.facts.created_at = Some(NOW.minus(Duration::from_secs(5)));
        let (_folder, path) = written(vec![standing("A"), first.clone()]).await;
        let (span, _) = read(&path).unwrap();
        assert_eq!((span.first_ran_at, span.reconciled_until), (NOW, first.facts.created_at.unwrap()));
        let (_folder, path) = written(vec![first, link("C", Page::Joining)]).await;
        assert_eq!(read(&path).unwrap().0.reconciled_until, NOW.minus(UNTOLD), "one that does not tell when it began");
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_to_its_end_is_removed() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        let path = folder.path().join("links.jsonl");
        store.clone().close().await.unwrap();
        assert!(matches!(into_file(&store, &path).await, Err(Failure::Store(StoreError::Closed))));
        assert!(!path.exists());
        std::fs::write(&path, "mine").unwrap();
        assert!(matches!(into_file(&store, &path).await, Err(Failure::NotMade { .. })));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    }
}
