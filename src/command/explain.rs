//! The story of an alert and its incident, for people.

use clap::Args;

use super::access::Access;
use super::links::stands;
use super::{Done, Failure, Format, Out};
use crate::operator::story::{Chapter, Deed, DeedState, Heard, Story};

/// Whose story is told.
#[derive(Debug, Args)]
pub struct Command {
    /// An alert's id or short number, an incident's id or number, or a part of a headline that only one alert has.
    id: String,
    #[command(flatten)]
    format: Format,
}

impl Command {
    pub(super) async fn run(self, access: &Access) -> Result<Done, Failure> {
        let mut output = self.format.output();
        let Some(story) = output.unless_refused(access.explain(&self.id).await)? else { return Ok(Done::NotAll) };
        if output.is_json() {
            output.say("", &story)?;
        } else {
            tell(&mut output, &story)?;
        }
        Ok(Done::All)
    }
}

fn tell(output: &mut Out, story: &Story) -> Result<(), Failure> {
    match &story.link {
        Some(link) => stands(output, link)?,
        None => output.line(&format!("There is no link for alert {}.", story.alert))?,
    }
    output.line("")?;
    if story.cut {
        output
            .line(&format!("The beginning of the story is left out: the newest {} are shown.", story.chapters.len()))?;
    }
    for chapter in &story.chapters {
        if chapter.echo {
            output.dim(&format!("{}: {}", headline(chapter), chapter.reason))?;
            continue;
        }
        output.line(&headline(chapter))?;
        for line in chapter.text.iter().flat_map(|text| text.lines()) {
            output.line(&format!("    | {line}"))?;
        }
        output.line(&format!("    {} ({})", chapter.because, chapter.reason))?;
        for deed in &chapter.deeds {
            output.line(&format!("    -> {}", deed_line(deed)))?;
        }
    }
    if story.chapters.is_empty() {
        output.line("Nothing is known to have happened.")?;
    }
    Ok(())
}

/// When, where, who and what.
fn headline(chapter: &Chapter) -> String {
    let place = chapter.side.map_or_else(|| "crosspage".to_owned(), |side| side.to_string());
    let who = chapter.who.as_ref().map(|who| format!(", {who}")).unwrap_or_default();
    let heard = match chapter.heard {
        Heard::Webhook | Heard::Order | Heard::Command => "",
        Heard::Look => " [by looking]",
    };
    let delivery = chapter.request_id.as_ref().map(|id| format!(" [{id}]")).unwrap_or_default();
    format!("{}  {place}{who}: {}{heard}{delivery}", chapter.at, chapter.what)
}

fn deed_line(deed: &Deed) -> String {
    let Deed { number, to, action, .. } = deed;
    let state = match deed.state {
        DeedState::Done => "done",
        DeedState::Waiting => "to be done",
        DeedState::NotSent => "not sent",
        DeedState::GivenUp => "given up",
        DeedState::Forgotten => return format!("command {number}: what became of it is not known any more"),
    };
    let mut line = format!("{to} {action} ({number}): {state}");
    if let Some(took) = deed.took_ms {
        line.push_str(&format!(" after {}.{:03} s", took / 1000, took % 1000));
    }
    if deed.attempts > 0 {
        line.push_str(&format!(", put off {}", times(deed.attempts)));
    }
    if let Some(result) = &deed.result {
        line.push_str(&format!(": {result}"));
    }
    if let Some(id) = &deed.request_id {
        line.push_str(&format!(" [request {id}]"));
    }
    line
}

fn times(count: u32) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}
