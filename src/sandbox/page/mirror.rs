//! crosspage's own pane: each link, where both sides stand, what is still to be done, and what was done why and how fast.

use std::fmt;
use std::time::Duration;

use askama::Template;
use jiff::Timestamp;

use super::panes::{Badge, Moment, SHOWN};
use crate::engine::{Status, System};
use crate::operator::status::StatusView;
use crate::operator::story::{Chapter, Deed, DeedState};
use crate::operator::view::{EntryView, LinkView, SideView};
use crate::operator::{LONGEST_PAGE, Operator, OperatorError, Which};

/// How many lines of a link's story are shown at once, the newest first; and how many more when they are asked for.
const LINES: usize = 8;
const EARLIER: usize = 40;

#[derive(Template)]
#[template(path = "sandbox/page/crosspage.html")]
pub(super) struct MirrorPane {
    status: StatusView,
    /// The median of what is shown.
    typical: Option<Span>,
    links: Vec<LinkCard>,
    older: usize,
}

struct LinkCard {
    link: LinkView,
    lines: Vec<Line>,
    earlier: Vec<Line>,
}

struct Line {
    /// Distinguishes it from the others of its link.
    number: usize,
    chapter: Chapter,
    at: Moment,
    deeds: Vec<DeedLine>,
}

struct DeedLine {
    class: &'static str,
    sign: &'static str,
    what: String,
    /// From what happened to its showing on the other side.
    took: Option<Span>,
    /// What keeps it, or what came of it.
    remark: Option<String>,
}

impl MirrorPane {
    pub(super) async fn of(operator: &Operator, now: Timestamp) -> Result<Self, OperatorError> {
        let status = operator.status().await?;
        let mut found = operator.links(Which::All, None, LONGEST_PAGE).await?.items;
        found.sort_by_key(|link| std::cmp::Reverse(link.linked_at));
        let older = found.len().saturating_sub(SHOWN);
        found.truncate(SHOWN);
        let mut links = Vec::new();
        for link in found {
            let story = operator.explain(link.alert.as_str()).await?;
            let entries = operator.entries_of(&link.alert).await?;
            let skipped = story.chapters.len().saturating_sub(LINES + EARLIER);
            let chapters = story.chapters.into_iter().enumerate().skip(skipped);
            let mut lines: Vec<_> = chapters.map(|(number, it)| Line::of(number, it, &entries, now)).rev().collect();
            let earlier = lines.split_off(lines.len().min(LINES));
            links.push(LinkCard { link, lines, earlier });
        }
        let typical = typical(&links);
        Ok(Self { status, typical, links, older })
    }
}

/// The median of how long it took to show on the other side.
fn typical(links: &[LinkCard]) -> Option<Span> {
    let lines = links.iter().flat_map(|card| card.lines.iter().chain(&card.earlier));
    let mut took: Vec<Span> = lines.flat_map(|line| line.deeds.iter().filter_map(|deed| deed.took)).collect();
    took.sort_unstable();
    took.get(took.len() / 2).copied()
}

impl LinkCard {
    fn badge(&self, side: &SideView, words: [&'static str; 3]) -> Badge {
        match side.status {
            _ if side.deleted => Badge { class: "", word: "deleted" },
            None => Badge { class: "", word: "not there yet" },
            Some(Status::Open) => Badge { class: "open", word: words[0] },
            Some(Status::Acknowledged) => Badge { class: "taken", word: words[1] },
            Some(Status::Resolved) => Badge { class: "over", word: words[2] },
        }
    }

    fn alert(&self) -> Badge {
        self.badge(&self.link.opsgenie, ["open", "acknowledged", "closed"])
    }

    fn incident(&self) -> Badge {
        self.badge(&self.link.pagerduty, ["triggered", "acknowledged", "resolved"])
    }
}

impl Line {
    fn of(number: usize, chapter: Chapter, entries: &[EntryView], now: Timestamp) -> Self {
        let happened_at = chapter.happened_at.unwrap_or(chapter.at).min(chapter.at);
        let heard_after = chapter.at.duration_since(happened_at).unsigned_abs();
        let deeds = chapter.deeds.iter().map(|deed| DeedLine::of(deed, heard_after, entries, now)).collect();
        Self { number, at: Moment(chapter.at), deeds, chapter }
    }

    /// Whether nothing was to be done about it.
    fn is_minor(&self) -> bool {
        self.deeds.is_empty()
    }
}

impl DeedLine {
    fn of(deed: &Deed, heard_after: Duration, entries: &[EntryView], now: Timestamp) -> Self {
        let (class, sign) = match deed.state {
            DeedState::Done => ("done", "✓"),
            DeedState::Waiting => ("waiting", "…"),
            DeedState::NotSent => ("", "–"),
            DeedState::GivenUp => ("failed", "✗"),
            DeedState::Forgotten => ("", "?"),
        };
        let took = (deed.state == DeedState::Done).then_some(deed.took_ms).flatten();
        let remark = match deed.state {
            DeedState::Done => None,
            DeedState::Waiting => Some(waiting(deed, entries, now)),
            DeedState::NotSent | DeedState::GivenUp | DeedState::Forgotten => deed.result.clone(),
        };
        Self {
            class,
            sign,
            what: format!("{} in {}", words(&deed.action, deed.to), deed.to),
            took: took.map(|took_ms| Span(heard_after + Duration::from_millis(took_ms))),
            remark,
        }
    }
}

/// What keeps a command, and when it is tried next.
fn waiting(deed: &Deed, entries: &[EntryView], now: Timestamp) -> String {
    let due_at = entries.iter().find(|entry| entry.number == deed.number).map(|entry| entry.due_at);
    let trouble = deed.result.clone().unwrap_or_else(|| "under way".to_owned());
    match due_at.filter(|due_at| *due_at > now && deed.result.is_some()) {
        Some(due_at) => format!("{trouble}; next try in {} s", due_at.duration_since(now).as_secs() + 1),
        None => trouble,
    }
}

fn words(action: &str, to: System) -> String {
    match (action, to) {
        ("create", _) => "incident".to_owned(),
        ("resolve", System::Opsgenie) => "close".to_owned(),
        (action, _) => action.replace('_', " "),
    }
}

/// A span of time as people say it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_millis() {
            ms @ ..1_000 => write!(f, "{ms} ms"),
            ms @ 1_000..60_000 => write!(f, "{}.{} s", ms / 1_000, ms % 1_000 / 100),
            ms => write!(f, "{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_said_as_people_say_them() {
        for (ms, said) in [(0, "0 ms"), (999, "999 ms"), (1_000, "1.0 s"), (59_999, "59.9 s"), (61_000, "1 min 1 s")] {
            assert_eq!(Span(Duration::from_millis(ms)).to_string(), said);
        }
    }
}
