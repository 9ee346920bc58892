//! Answers on a terminal, or as JSON. Whatever comes from outside may hold control characters, which could lie to whoever
//! reads a terminal: none is written.

use std::io::{self, Write};

use serde::Serialize;

use super::Failure;
use crate::operator::view::{Problem, ProblemText};
use crate::telemetry::is_unseen;

/// How much of a text is shown in a table.
const TEXT_CHARS: usize = 100;

/// The narrowest column that a text is broken for.
const NARROWEST: usize = 40;

/// Why an answer could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the answer: {0}")]
pub(super) struct Unwritten(#[from] io::Error);

impl From<Unwritten> for io::Error {
    fn from(Unwritten(error): Unwritten) -> Self {
        error
    }
}

/// What comes of writing.
pub(super) type Written = Result<(), Unwritten>;

/// Where answers go. If nobody reads any more, what is still to be done is done all the same.
pub(super) struct Output<W, A> {
    to: W,
    aside: A,
    json: bool,
    dims: bool,
    /// How many characters a line may have, where that matters.
    width: Option<usize>,
}

impl<W: Write, A: Write> Output<W, A> {
    /// Answers go to `to`; what programs cannot read goes `aside` where answers are JSON.
    pub(super) fn new(to: W, aside: A, json: bool) -> Self {
        Self { to, aside, json, dims: false, width: None }
    }

    /// Has what is of less interest stand back, on a terminal that can show that.
    pub(super) fn dimming_if(self, dims: bool) -> Self {
        Self { dims, ..self }
    }

    /// Has long texts go on below their beginnings, on a terminal of that many columns.
    pub(super) fn wrapping_at(self, width: Option<usize>) -> Self {
        Self { width, ..self }
    }

    /// Whether programs read.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Writes a list: a table with a heading, or an array of objects in one line. `none` is said if it is empty.
    pub(super) fn list<T: Serialize>(
        &mut self,
        items: &[T],
        heading: &[&str],
        none: &str,
        row: impl Fn(&T) -> Vec<String>,
    ) -> Written {
        if self.json {
            return self.json(&items);
        }
        if items.is_empty() {
            return self.line(none);
        }
        let heading = heading.iter().map(|&text| text.to_owned()).collect();
        let rows: Vec<Vec<String>> = std::iter::once(heading).chain(items.iter().map(row)).collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| shown(cell)).max();
        let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
        for row in &rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", plain(cell)));
            self.line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }

    /// Writes what came of something: a sentence, or an object in one line.
    pub(super) fn say(&mut self, sentence: &str, json: &impl Serialize) -> Written {
        if self.json { self.json(json) } else { self.line(sentence) }
    }

    /// Writes what must not be lost: here a closed pipe is a failure as well.
    pub(super) fn hand_over(&mut self, sentence: &str, json: &impl Serialize) -> io::Result<()> {
        if self.json {
            writeln!(self.to, "{}", serde_json::to_string(json)?)?;
        } else {
            writeln!(self.to, "{}", plain(sentence))?;
        }
        self.to.flush()
    }

    /// The same for a text of several lines. Nothing else may be said with it that its lines could be taken for.
    pub(super) fn say_lines(&mut self, text: &str, json: &impl Serialize) -> Written {
        if self.json { self.json(json) } else { text.lines().try_for_each(|line| self.line(line)) }
    }

    /// The same beside the answer, where that is something else.
    pub(super) fn say_aside(&mut self, sentence: &str, json: &impl Serialize) -> Written {
        let line = if self.json { in_one_line(json)? } else { plain(sentence) };
        if_read(writeln!(self.aside, "{line}"))
    }

    /// Passes on what was answered. If it is not there, or what was asked for means nothing, that is the answer.
    pub(super) fn unless_refused<T>(&mut self, answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match answer {
            Ok(answer) => Ok(Some(answer)),
            Err(Failure::Refused { code, message }) => {
                let problem = Problem { error: ProblemText { code, message: message.clone() } };
                self.say(&message, &problem)?;
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Writes a line for people; where programs read, beside the answer.
    pub(super) fn remark(&mut self, sentence: &str) -> Written {
        if self.json { if_read(writeln!(self.aside, "{}", plain(sentence))) } else { self.line(sentence) }
    }

    /// Writes a remark that begins with `head`, and goes on below the text after it where it is too long for the terminal.
    pub(super) fn hanging(&mut self, head: &str, text: &str) -> Written {
        let indent = shown(head);
        // A narrower column would be harder to read than lines that the terminal breaks.
        let column = self.width.and_then(|width| width.checked_sub(indent)).filter(|column| *column >= NARROWEST);
        for (n, line) in lines_of(&plain(text), column.unwrap_or(usize::MAX)).iter().enumerate() {
            let head = if n == 0 { head } else { "" };
            self.remark(&format!("{head:indent$}{line}"))?;
        }
        Ok(())
    }

    /// Writes a line of less interest.
    pub(super) fn dim(&mut self, text: &str) -> Written {
        if self.dims { if_read(writeln!(self.to, "\u{1b}[2m{}\u{1b}[0m", plain(text))) } else { self.line(text) }
    }

    pub(super) fn line(&mut self, text: &str) -> Written {
        if_read(writeln!(self.to, "{}", plain(text)))
    }

    fn json(&mut self, value: &impl Serialize) -> Written {
        let line = in_one_line(value)?;
        if_read(writeln!(self.to, "{line}"))
    }
}

fn in_one_line(value: &impl Serialize) -> Result<String, Unwritten> {
    let mut line = String::new();
    for c in serde_json::to_string(value).map_err(io::Error::from)?.chars() {
        // They stand inside of texts only.
        if is_unseen(c) { line.push_str(&format!("\\u{:04x}", u32::from(c))) } else { line.push(c) }
    }
    Ok(line)
}

/// What is written to a closed pipe counts as written: whoever reads by `head` has seen enough, and a command must not be left
/// half done for that.
pub(super) fn if_read(written: io::Result<()>) -> Written {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// A text without what could lie on a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect()
}

/// The beginning of a text.
pub(super) fn beginning(text: &str) -> String {
    let mut cut: String = text.chars().take(TEXT_CHARS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

/// The words of a text in lines of no more than `width` characters, but for words that are longer; at least one line.
fn lines_of(text: &str, width: usize) -> Vec<String> {
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        if !line.is_empty() && shown(&line) + 1 + shown(word) > width {
            lines.push(std::mem::take(&mut line));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

fn shown(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    type Bytes<'a> = &'a mut Vec<u8>;

    fn written(json: bool, write: impl FnOnce(&mut Output<Bytes<'_>, Bytes<'_>>) -> Written) -> String {
        let [answer, aside] = both(json, write);
        assert_eq!(aside, "");
        answer
    }

    fn both(json: bool, write: impl FnOnce(&mut Output<Bytes<'_>, Bytes<'_>>) -> Written) -> [String; 2] {
        let (mut answer, mut aside) = (Vec::new(), Vec::new());
        write(&mut Output::new(&mut answer, &mut aside, json)).unwrap();
        [answer, aside].map(|bytes| String::from_utf8(bytes).unwrap())
    }

    const EVIL: &str = "a\u{1b}[2Jb\u{9b}c\u{202e}d\ne\u{7f}ä";

    #[test]
    fn no_control_character_reaches_a_terminal() {
        let table = written(false, |output| output.list(&[EVIL], &["TEXT"], "none", |text| vec![(*text).to_owned()]));
        assert_eq!(table, "TEXT\na [2Jb c d e ä\n");
        assert_eq!(written(false, |output| output.say(EVIL, &Value::Null)), "a [2Jb c d e ä\n");
        assert_eq!(written(false, |output| output.remark(EVIL)), "a [2Jb c d e ä\n");
    }

    #[test]
    fn a_text_of_several_lines_keeps_them_and_nothing_else() {
        assert_eq!(written(false, |output| output.say_lines(EVIL, &Value::Null)), "a [2Jb c d\ne ä\n");
        assert_eq!(written(true, |output| output.say_lines(EVIL, &json!(1))), "1\n");
    }

    #[test]
    fn what_is_said_beside_the_answer_stands_there_in_either_form() {
        assert_eq!(both(false, |output| output.say_aside(EVIL, &Value::Null)), ["", "a [2Jb c d e ä\n"]);
        let [answer, aside] = both(true, |output| output.say_aside("", &json!({ "text": EVIL })));
        assert_eq!(
            (answer.as_str(), serde_json::from_str::<Value>(&aside).unwrap()["text"].as_str()),
            ("", Some(EVIL))
        );
        assert_eq!(aside.matches(is_unseen).collect::<String>(), "\n");
    }

    #[test]
    fn json_says_the_same_in_ascii_where_it_matters_and_is_one_line() {
        let line = written(true, |output| output.say("", &json!({ "text": EVIL })));
        assert_eq!(line.matches(is_unseen).collect::<String>(), "\n");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["text"], EVIL);
        let list = written(true, |output| output.list(&[EVIL], &[], "", |_| Vec::new()));
        assert_eq!(serde_json::from_str::<Value>(&list).unwrap(), json!([EVIL]));
        assert_eq!(both(true, |output| output.remark("for\npeople")), ["", "for people\n"]);
        assert_eq!(written(true, |output| output.list(&[] as &[u8], &[], "none", |_| Vec::new())), "[]\n");
    }

    #[test]
    fn a_closed_pipe_is_no_failure_and_a_full_disk_is() {
        struct Fails(io::ErrorKind);
        impl Write for Fails {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(self.0.into())
            }
        }
        for json in [false, true] {
            let output = |kind| Output::new(Fails(kind), Fails(kind), json);
            let mut closed = output(io::ErrorKind::BrokenPipe);
            closed.say("done", &json!(1)).unwrap();
            closed.remark("nobody listens").unwrap();
            closed.list(&[1], &["N"], "none", |_| vec!["1".to_owned()]).unwrap();
            let mut full = output(io::ErrorKind::StorageFull);
            assert_eq!(full.say("done", &json!(1)).unwrap_err().0.kind(), io::ErrorKind::StorageFull);
        }
    }

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [("1", "ä"), ("22", "b")];
        let row = |row: &(&str, &str)| vec![row.0.to_owned(), row.1.to_owned(), "x".to_owned()];
        let table = written(false, |output| output.list(&rows, &["N", "WHAT", ""], "", row));
        assert_eq!(table, "N   WHAT\n1   ä     x\n22  b     x\n");
        assert_eq!(written(false, |output| output.list(&[] as &[u8], &["N"], "none", |_| Vec::new())), "none\n");
    }

    #[test]
    fn a_long_text_goes_on_below_its_beginning_where_the_terminal_is_wide_enough() {
        let at = |width: Option<usize>| {
            let mut answer = Vec::new();
            let mut output = Output::new(&mut answer, Vec::new(), false).wrapping_at(width);
            output
                .hanging("FAILED  ", "the key is none of an API integration's: it reads, ä and may not write")
                .unwrap();
            String::from_utf8(answer).unwrap()
        };
        let whole = "FAILED  the key is none of an API integration's: it reads, ä and may not write\n";
        for wide in [None, Some(200), Some(78), Some(NARROWEST + 7), Some(3)] {
            assert_eq!(at(wide), whole, "{wide:?}");
        }
        let wrapped = "FAILED  the key is none of an API integration's:\n        it reads, ä and may not write\n";
        assert_eq!(at(Some(49)), wrapped);
        assert_eq!(at(Some(48)), wrapped);
    }

    #[test]
    fn a_long_text_is_shown_by_its_beginning() {
        assert_eq!(beginning("short"), "short");
        let cut = beginning(&"ä".repeat(500));
        assert_eq!(cut.chars().count(), TEXT_CHARS + 1);
        assert!(cut.ends_with("ä…"));
    }

    #[test]
    fn what_is_of_less_interest_stands_back_only_where_that_shows() {
        assert_eq!(written(false, |output| output.dim(EVIL)), "a [2Jb c d e ä\n");
        let mut answer = Vec::new();
        Output::new(&mut answer, Vec::new(), false).dimming_if(true).dim(EVIL).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), "\u{1b}[2ma [2Jb c d e ä\u{1b}[0m\n");
    }
}
