//! How texts, moments and spans stand on a page.

use std::fmt;

use askama::filters::Escaper;

use crate::operator::status::VendorStateView;
use crate::operator::view::{LinkView, PageView, SideView};
use crate::telemetry::is_unseen;

/// Writes a text that anybody may have sent into HTML: nothing in it means anything to a browser, and nothing in it that
/// cannot be seen changes how the rest is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plain;

impl Escaper for Plain {
    fn write_escaped_str<W: fmt::Write>(&self, mut page: W, text: &str) -> fmt::Result {
        for c in text.chars() {
            match c {
                '&' => page.write_str("&amp;")?,
                '<' => page.write_str("&lt;")?,
                '>' => page.write_str("&gt;")?,
                '"' => page.write_str("&quot;")?,
                '\'' => page.write_str("&#39;")?,
                '\n' | '\r' | '\t' => page.write_char(c)?,
                c if is_unseen(c) => page.write_char(char::REPLACEMENT_CHARACTER)?,
                c => page.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// How long ago something was. What is to come is now: clocks differ.
pub(super) fn ago(now: jiff::Timestamp, at: jiff::Timestamp) -> String {
    let millis = now.as_millisecond().saturating_sub(at.as_millisecond());
    match u64::try_from(millis).unwrap_or(0) {
        millis if millis < 2_000 => "just now".to_owned(),
        millis if millis < 10_000 => format!("{} s ago", millis / 1000),
        millis => format!("{} ago", span(millis)),
    }
}

/// How long something took, in as many figures as anybody wants.
pub(super) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        _ if millis < 1000 => format!("{millis} ms"),
        1..=9 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..=99 => format!("{seconds} s"),
        100..=5_999 => format!("{} min", seconds / 60),
        6_000..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long something took that is measured in seconds.
pub(super) fn seconds(took: &f64) -> String {
    span((took * 1000.0) as u64)
}

/// A moment, by UTC.
pub(super) fn clock(at: &jiff::Timestamp) -> String {
    at.strftime("%d %b %H:%M:%S").to_string()
}

/// The word by which the stylesheet tells states apart.
pub(super) fn tone(side: &SideView) -> &'static str {
    use crate::engine::Status;
    match side.status {
        _ if side.deleted => "gone",
        Some(Status::Open) => "open",
        Some(Status::Acknowledged) => "acknowledged",
        Some(Status::Resolved) => "resolved",
        None => "unknown",
    }
}

/// The same for how a vendor takes our calls.
pub(super) fn tone_of_vendor(state: &VendorStateView) -> &'static str {
    match state {
        VendorStateView::NotCalled => "",
        VendorStateView::TakesCalls => "good",
        VendorStateView::Waits | VendorStateView::Fails => "warn",
        VendorStateView::Refuses => "bad",
    }
}

/// Where a link's incident stands, or how far it has come.
pub(super) fn incident_words(link: &LinkView) -> String {
    if link.pagerduty.status.is_some() { link.pagerduty.words() } else { link.page.words().to_owned() }
}

/// Why nothing is told between the two sides of a link any more.
pub(super) fn over(link: &LinkView) -> &'static str {
    if link.page == PageView::Unlinked { "unlinked for good by an operator" } else { "over" }
}

/// What to call a link.
pub(super) fn headline(link: &LinkView) -> &str {
    link.message.as_deref().filter(|message| !message.trim().is_empty()).unwrap_or("(no message)")
}

/// The end of a word that stands for so many things.
pub(super) fn plural<N: PartialEq + From<u8>>(count: &N) -> &'static str {
    if *count == N::from(1) { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_means_anything_to_a_browser() {
        let written = |text: &str| {
            let mut page = String::new();
            Plain.write_escaped_str(&mut page, text).unwrap();
            page
        };
        assert_eq!(written("<a href='x' b=\"&\">"), "&lt;a href=&#39;x&#39; b=&quot;&amp;&quot;&gt;");
        assert_eq!(written("a\u{1b}[2Jb\u{0}\u{202e}c\u{9b}"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}");
        assert_eq!(written("two\nlines\tä → 🦀"), "two\nlines\tä → 🦀");
    }

    #[test]
    fn spans_are_told_in_as_many_figures_as_anybody_wants() {
        for (millis, told) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (9_999, "9.9 s"),
            (10_000, "10 s"),
            (99_999, "99 s"),
            (100_000, "1 min"),
            (5_999_999, "99 min"),
            (6_000_000, "1 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(span(millis), told, "{millis}");
        }
        let at = |seconds| jiff::Timestamp::from_second(seconds).unwrap();
        assert_eq!(ago(at(100), at(95)), "5 s ago");
        assert_eq!(ago(at(100), at(200)), "just now");
    }
}
