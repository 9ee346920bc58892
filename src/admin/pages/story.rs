//! A link's story on two sides: what a person did where, what crosspage did about it, and what came of that.

use crate::engine::System;
use crate::operator::story::{Chapter, Deed, DeedState, Heard};

use super::text;

/// How late the news of something must be before a page tells so. The vendors' clocks and ours differ by as much.
const LATE_MS: i64 = 5_000;

/// Some of a story.
pub(super) enum Part {
    /// Something that happened.
    Told(Box<Row>),
    /// Our own changes coming back, one after the other: they are of interest only to who wonders about them.
    Echoes(Vec<Row>),
}

/// Something that happened, as it stands on the page.
pub(super) struct Row {
    /// The column of where it happened.
    pub(super) column: &'static str,
    /// Where it happened, in words.
    pub(super) place: String,
    /// When it was decided on.
    pub(super) at: jiff::Timestamp,
    /// The same, to be read.
    pub(super) clock: String,
    /// Who did it.
    pub(super) who: Option<String>,
    /// What they did.
    pub(super) what: String,
    /// What they wrote.
    pub(super) text: Option<String>,
    /// Whether no webhook had told of it.
    pub(super) was_looked_for: bool,
    /// How long the news took, if that is worth telling.
    pub(super) late: Option<String>,
    /// The reason of the decision, as the log names it.
    pub(super) reason: String,
    /// What that means.
    pub(super) because: String,
    /// Names the delivery in the log.
    pub(super) request_id: Option<String>,
    /// What was done about it, by the column of where.
    pub(super) deeds: Vec<(&'static str, String, Vec<DeedRow>)>,
}

/// Something that crosspage did.
pub(super) struct DeedRow {
    pub(super) number: u64,
    pub(super) action: String,
    /// The word by which the stylesheet tells states apart.
    pub(super) tone: &'static str,
    pub(super) state: &'static str,
    pub(super) result: Option<String>,
    pub(super) took: Option<String>,
    pub(super) attempts: u32,
    pub(super) request_id: Option<String>,
}

/// The story in the order that it is read.
pub(super) fn parts(chapters: Vec<Chapter>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for chapter in chapters {
        let echo = chapter.echo;
        let row = row(chapter);
        match parts.last_mut() {
            Some(Part::Echoes(echoes)) if echo => echoes.push(row),
            _ if echo => parts.push(Part::Echoes(vec![row])),
            _ => parts.push(Part::Told(Box::new(row))),
        }
    }
    parts
}

fn row(chapter: Chapter) -> Row {
    let late = chapter.happened_at.map(|happened| chapter.at.as_millisecond() - happened.as_millisecond());
    let late = late.filter(|late| *late >= LATE_MS && chapter.side.is_some());
    let mut deeds = Vec::new();
    for system in [System::Opsgenie, System::PagerDuty] {
        let rows: Vec<_> = chapter.deeds.iter().filter(|deed| deed.to == system).map(deed).collect();
        if !rows.is_empty() {
            deeds.push((column(Some(system)), system.to_string(), rows));
        }
    }
    Row {
        column: column(chapter.side),
        place: chapter.side.map_or_else(|| "crosspage".to_owned(), |side| side.to_string()),
        at: chapter.at,
        clock: text::clock(&chapter.at),
        who: chapter.who.or_else(|| (chapter.heard == Heard::Webhook).then(|| "Somebody".to_owned())),
        what: chapter.what,
        text: chapter.text,
        was_looked_for: chapter.heard == Heard::Look,
        late: late.and_then(|late| u64::try_from(late).ok()).map(text::span),
        reason: chapter.reason,
        because: chapter.because,
        request_id: chapter.request_id,
        deeds,
    }
}

fn column(side: Option<System>) -> &'static str {
    match side {
        Some(System::Opsgenie) => "on-opsgenie",
        Some(System::PagerDuty) => "on-pagerduty",
        None => "on-crosspage",
    }
}

fn deed(deed: &Deed) -> DeedRow {
    let (tone, state) = match deed.state {
        DeedState::Done => ("done", "done"),
        DeedState::Waiting => ("waiting", "on its way"),
        DeedState::NotSent => ("not-sent", "not sent"),
        DeedState::GivenUp => ("given-up", "given up"),
        DeedState::Forgotten => ("not-sent", "not known any more"),
    };
    DeedRow {
        number: deed.number,
        action: deed.action.clone(),
        tone,
        state,
        result: deed.result.clone(),
        took: deed.took_ms.map(text::span),
        attempts: deed.attempts,
        request_id: deed.request_id.clone(),
    }
}
