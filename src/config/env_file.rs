//! The `.env` file of the working directory.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{ConfigError, Problem};

/// Keys and values in the order of the file; of a key that is there twice, the first counts. Not `Debug`, since there
/// are secrets.
pub(super) struct EnvFile {
    /// None if there is no file.
    vars: Option<Vec<(String, String)>>,
}

impl EnvFile {
    /// Reads the file, if there is one. What is wrong with it is said without showing what is in it.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let problem = |text: String| ConfigError::from(vec![Problem { key: ".env".to_owned(), text }]);
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self { vars: None }),
            Err(error) => return Err(problem(format!("cannot be read: {error}"))),
        };
        Self::parse(&bytes).map_err(|line| {
            problem(format!(
                "line {line} cannot be read: write KEY=value, in single quotes if it is not one plain word"
            ))
        })
    }

    /// An error is the number of the line.
    fn parse(bytes: &[u8]) -> Result<Self, usize> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => return Err(bytes[..error.valid_up_to()].split(|b| *b == b'\n').count()),
        };
        let (vars, whole) = entries(text);
        if whole {
            return Ok(Self { vars: Some(vars) });
        }
        // dotenvy tells no line numbers, and a quoted value may span lines. The line at fault is the last one of the
        // shortest beginning of the file that fails after just as many keys.
        let mut end = 0;
        for (i, line) in text.split_inclusive('\n').enumerate() {
            end += line.len();
            let (some, whole) = entries(&text[..end]);
            if !whole && some.len() == vars.len() {
                return Err(i + 1);
            }
        }
        Err(text.lines().count())
    }

    /// Whether there is a file.
    pub(super) fn is_there(&self) -> bool {
        self.vars.is_some()
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.entries().find(|(k, _)| k == key).map(|(_, value)| value.clone())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().map(|(key, _)| key.as_str())
    }

    fn entries(&self) -> impl Iterator<Item = &(String, String)> {
        self.vars.iter().flatten()
    }
}

/// What is there up to the first mistake, and whether that is all.
fn entries(text: &str) -> (Vec<(String, String)>, bool) {
    let mut vars = Vec::new();
    // dotenvy takes white space at the very end for the beginning of something, unless a line end follows.
    for entry in dotenvy::from_read_iter(format!("{text}\n").as_bytes()) {
        match entry {
            Ok(entry) => vars.push(entry),
            Err(_) => return (vars, false),
        }
    }
    (vars, true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_read_with_comments_and_quotes() {
        let file = "\u{feff}# first\nA=1 # one\nB='two # no comment' # two\n\nexport \
                    C=\"3\n4\"\nD=x#y\nE= # none\nA=later\nF='$x' ";
        let file = EnvFile::parse(file.as_bytes()).unwrap();
        let got = ["A", "B", "C", "D", "E", "F", "G"].map(|key| file.get(key));
        let want = [Some("1"), Some("two # no comment"), Some("3\n4"), Some("x#y"), Some(""), Some("$x"), None];
        assert_eq!(got, want.map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn a_mistake_is_told_by_its_line() {
        let rows: [(&[u8], usize); 8] = [
            (b"hunter2", 1),
            (b"A=1\n\n# c\nB=two words hunter2\nC=3", 4),
            (b"A='one\ntwo\nthree'\nB=hunter2 x", 4),
            (b"A=1\n\nB='hunter2\nC=3\nD=4\n", 3),
            (b"A=1\nB=hunter2\\q", 2),
            (b"A=1\n=hunter2\nB=2", 2),
            (b"A=1\nB=hunter2\xff\nC=3", 2),
            (b"A='1\n2'\n\n# c\nB=\"hunter2", 5),
        ];
        for (file, line) in rows {
            assert_eq!(EnvFile::parse(file).err().unwrap(), line, "{}", String::from_utf8_lossy(file));
        }
    }

    #[test]
    fn a_mistake_is_told_without_what_stands_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".env");
        fs::write(&path, "PAGERDUTY_API_KEY=hunter2 hunter3\n").unwrap();
        let error = EnvFile::read(&path).err().unwrap();
        assert!(error.to_string().starts_with(".env line 1 cannot be read"), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter"));

        assert!(EnvFile::read(dir.path()).err().unwrap().to_string().starts_with(".env cannot be read"));
        assert_eq!(EnvFile::read(&dir.path().join("none")).unwrap().keys().count(), 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_or_refused_by_a_line_that_is_there(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..80),
                "([A-Z_]{0,3}[=# '\"$\\\\\n\r]{0,2}[a-z \u{e4}]{0,3}){0,12}".prop_map(String::into_bytes),
            ],
        ) {
            if let Err(line) = EnvFile::parse(&bytes) {
                let lines = bytes.split(|byte| *byte == b'\n').count();
                prop_assert!((1..=lines).contains(&line), "{line} of {lines}");
            }
        }

        #[test]
        fn what_is_quoted_comes_out_as_it_went_in(values in prop::collection::vec("[^'\\\\\\x00\\r]{0,20}", 1..5)) {
            let lines: Vec<_> = values.iter().enumerate().map(|(i, value)| format!("KEY{i}='{value}'\n")).collect();
            let file = EnvFile::parse(lines.concat().as_bytes());
            let file = file.map_err(|line| TestCaseError::fail(format!("line {line}")))?;
            for (i, value) in values.iter().enumerate() {
                prop_assert_eq!(file.get(&format!("KEY{i}")), Some(value.clone()));
            }
        }
    }
}
