//! What is logged, and how: text on a terminal, JSON otherwise, always to standard error.
//!
//! Two things hold whatever the filter says. Other crates log nothing below `info`, since some write headers and bodies
//! there, and with them API keys. And text from outside cannot forge a line of the log or command a terminal.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata, Subscriber, error};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::filter::{EnvFilter, FilterExt, FilterFn, ParseError};
use tracing_subscriber::fmt::format::{DefaultFields, FormatFields, Writer};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The filter cannot be read.
    #[error("the log filter cannot be read")]
    Filter(#[from] ParseError),
    /// Something else logs already.
    #[error("logging has been started before")]
    Started(#[from] TryInitError),
}

/// Starts logging for the whole process.
pub fn init(format: LogFormat, filter: &str) -> Result<(), InitError> {
    let terminal = stderr().is_terminal();
    let json = match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    subscriber(json, colour, parse_filter(filter)?, stderr).try_init()?;
    Ok(())
}

/// Has a panic told by one line of the log, like everything else; by the standard library's own words if nothing logs. For a
/// process that ends soon after it: whoever waits for the part that has panicked says what failed.
pub fn log_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !tracing::enabled!(Level::ERROR) {
            return usual(panic);
        }
        let thread = std::thread::current();
        let payload = panic.payload();
        let said = payload.downcast_ref::<&str>().copied();
        let message = said.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words");
        let location = panic.location().map(ToString::to_string);
        // It is empty unless RUST_BACKTRACE asks for it.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        error!(
            panic.message = message,
            panic.location = location,
            panic.backtrace = backtrace,
            thread.name = thread.name(),
            "a part of crosspage has panicked, which is a mistake in it: please report this line"
        );
    }));
}

/// Reads a filter in the form of `RUST_LOG`, such as `info,crosspage::delivery=debug`.
pub fn parse_filter(filter: &str) -> Result<EnvFilter, ParseError> {
    // Values in a filter are compared as they stand: no regular expression can make every event slow.
    EnvFilter::builder().with_regex(false).parse(filter)
}

fn subscriber<W>(json: bool, colour: bool, filter: EnvFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt::layer().with_writer(writer);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if json {
        lines.json().flatten_event(true).with_current_span(false).with_filter(cap().and(filter)).boxed()
    } else {
        lines.fmt_fields(EscapedFields).with_ansi(colour).with_filter(cap().and(filter)).boxed()
    };
    tracing_subscriber::registry().with(lines)
}

/// Lets below `info` only what we log ourselves: what others log there may hold headers and bodies.
fn cap() -> FilterFn {
    // The hint says that the cap by itself forbids no level, which leaves the filter's own hint in force.
    FilterFn::new(may_show as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::TRACE)
}

fn may_show(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next();
    let most = match root {
        Some("crosspage" | "simulators") => Level::TRACE,
        // Each of its workers says good-bye.
        Some("actix_server") => Level::WARN,
        _ => Level::INFO,
    };
    *metadata.level() <= most
}

/// Whether a character from outside could command a terminal, begin a line, or turn the direction of what is read after it.
pub fn is_unseen(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// The text format's fields. What could start a line, reorder it or command a terminal is written out as an escape.
struct EscapedFields;

impl<'w> FormatFields<'w> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> std::fmt::Result {
        let mut plain = String::new();
        DefaultFields::new().format_fields(Writer::new(&mut plain), fields)?;
        for c in plain.chars() {
            if is_unseen(c) {
                write!(writer, "{}", c.escape_default())?;
            } else {
                writer.write_char(c)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::{debug, info, info_span, trace, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `log` leaves under `filter`.
    fn lines(json: bool, colour: bool, filter: &str, log: impl FnOnce()) -> Vec<String> {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = subscriber(json, colour, parse_filter(filter).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, log);
        let bytes = buffer.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.split_terminator('\n').map(str::to_owned).collect()
    }

    const HOSTILE: &str = "a\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[2J\u{9b}31m\u{85}\u{7}\u{202e}\u{2028}z";

    fn log_hostile() {
        let inner = io::Error::other(HOSTILE);
        let span = info_span!("span", alert.id = %HOSTILE, late = tracing::field::Empty);
        span.record("late", tracing::field::display(HOSTILE));
        let _entered = span.enter();
        info!(display = %HOSTILE, debug = ?HOSTILE, text = HOSTILE, "{HOSTILE}");
        error!(error = &inner as &dyn std::error::Error, "failed");
    }

    #[test]
    fn text_from_outside_forges_no_line_of_text() {
        let lines = lines(false, false, "info", log_hostile);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        for line in lines {
            assert!(line.contains(r"a\n2026-01-01T00:00:00Z ERROR forged"), "{line}");
            assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{2028}'), "{line:?}");
        }
    }

    #[test]
    fn text_from_outside_commands_no_terminal_where_colours_are_on() {
        let lines = lines(false, true, "info", log_hostile);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        for line in lines {
            assert!(line.contains('\u{1b}'), "our own colours stay");
            assert!(!line.contains("\u{1b}[2J") && !line.contains(['\u{9b}', '\r', '\u{7}']), "{line:?}");
        }
    }

    #[test]
    fn text_from_outside_forges_no_line_of_json() {
        let lines = lines(true, false, "info", log_hostile);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["message"], HOSTILE);
        assert_eq!(line["display"], HOSTILE);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "crosspage::telemetry::tests");
        assert_eq!(line["spans"][0]["alert.id"], HOSTILE);
    }

    #[test]
    fn a_panic_is_one_line_with_its_place_and_its_thread() {
        let before = std::panic::take_hook();
        log_panics();
        let told = lines(true, false, "info", || {
            let _ = std::panic::catch_unwind(|| panic!("it is\n{}", "wrong"));
        });
        std::panic::set_hook(before);
        assert_eq!(told.len(), 1, "{told:#?}");
        let line: serde_json::Value = serde_json::from_str(&told[0]).unwrap();
        assert_eq!((&line["level"], &line["panic.message"]), (&"ERROR".into(), &"it is\nwrong".into()));
        assert!(line["panic.location"].as_str().unwrap().starts_with("src/telemetry.rs:"), "{line}");
        assert!(line["thread.name"].as_str().unwrap().ends_with("a_panic_is_one_line_with_its_place_and_its_thread"));
    }

    /// Crates that see keys, headers or bodies on their way.
    fn log_as_other_crates() {
        macro_rules! each {
            ($($target:literal)*) => {$(
                trace!(target: $target, header = "Bearer s3cret", "sending");
                debug!(target: $target, body = "s3cret", "received");
                let _entered = tracing::debug_span!(target: $target, "call", key = "s3cret").entered();
                warn!(target: $target, "connection lost");
            )*};
        }
        each! {
            "reqwest::connect" "hyper::proto::h1" "hyper_util::client" "h2::codec" "rustls::client" "actix_http::h1"
            "actix_web::middleware" "actix_server::worker" "mio::poll" "sled::pagecache" "polling" "tracing::span"
            "crosspage_lookalike" "log"
        }
    }

    #[test]
    fn other_crates_log_nothing_below_info_whatever_the_filter_says() {
        for filter in ["trace", "debug,hyper=trace,reqwest::connect=trace", "trace,[call]=trace", "trace,log=trace"] {
            for json in [false, true] {
                let lines = lines(json, false, filter, log_as_other_crates);
                assert_eq!(lines.len(), 14, "{filter}: {lines:#?}");
                let all = lines.join("\n");
                assert!(!all.contains("s3cret"), "{filter}: {all}");
            }
        }
    }

    #[test]
    fn what_is_not_seen_is_told_from_what_is() {
        let unseen = "\u{0}\n\r\t\u{1b}\u{7f}\u{85}\u{9b}\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}";
        assert_eq!(unseen.chars().filter(|c| !is_unseen(*c)).collect::<String>(), "");
        assert_eq!("a é – 火 🔥\u{2027}\u{202f}\u{2065}".chars().filter(|c| is_unseen(*c)).collect::<String>(), "");
    }

    #[test]
    fn our_own_modules_log_below_info_when_asked() {
        let log = || {
            trace!(target: "crosspage::delivery", "ours");
            trace!(target: "simulators::opsgenie", "ours");
            debug!("ours");
        };
        assert_eq!(lines(false, false, "trace", log).len(), 3);
        assert_eq!(lines(false, false, "warn,crosspage=debug", log).len(), 1);
        assert_eq!(lines(false, false, "info", log).len(), 0);
    }

    #[test]
    fn the_filter_can_silence_other_crates_further() {
        assert_eq!(lines(false, false, "error", log_as_other_crates).len(), 0);
        assert_eq!(lines(false, false, "info,h2=off", log_as_other_crates).len(), 13);
    }

    #[test]
    fn an_unreadable_filter_is_an_error() {
        assert!(matches!(init(LogFormat::Text, "crosspage=loud"), Err(InitError::Filter(_))));
    }
}
