//! The notes of a link: those that we wrote, those that people wrote, and how equal ones are told apart.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::event::{System, Timestamp};

/// A note we wrote, or are about to write. Its echo is known by the vendor's id, else by the hash of the exact text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrittenNote {
    /// Where it was written.
    pub system: System,
    /// The mark of the command that writes it.
    pub mark: u64,
    /// The hash of its text.
    pub hash: TextHash,
    /// The vendor's id of it, once known. Opsgenie has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Whether the vendor has it.
    #[serde(default)]
    pub done: bool,
    /// Whether its echo has come back.
    #[serde(default)]
    pub echoed: bool,
}

/// A note that a person wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardNote {
    /// Where it was written.
    pub system: System,
    /// The vendor's id of it, where there is one (PagerDuty).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The hash of actor and text, where there is no id.
    pub hash: TextHash,
    /// When it was written.
    pub at: Timestamp,
    /// How it came, while a twin of it by the other way may still come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<NoteVia>,
    /// The hash of the text alone, by which an alert's notes are counted: nobody could verify that webhooks and lists name
    /// their authors alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextHash>,
}

/// How an alert's note came to us: as itself, or inside another action. Nobody could verify whether Opsgenie posts one
/// webhook or two for a note given with an acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteVia {
    /// As an `AddNote`.
    Itself,
    /// Inside an acknowledgement, a close or the like.
    Inside,
    /// From a list of the alert's notes; its webhook may still come, either way.
    Listed,
}

/// A hash of a text, stable across versions. Line ends and outer white space do not count: vendors may change them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TextHash(String);

impl TextHash {
    /// The hash of `parts`, each told apart from the next.
    pub fn of(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update(part.trim().replace("\r\n", "\n").as_bytes());
            digest.update([0]);
        }
        Self(digest.finalize().iter().take(12).map(|byte| format!("{byte:02x}")).collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hash_is_that_of_every_version() {
        let hash = serde_json::to_value(TextHash::of(&["jane@example.com", "Swapping the disk"])).unwrap();
        assert_eq!(hash, "d1ccc0dd4776563cdf783e12");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_hash_does_not_mind_line_ends_and_outer_white_space(lines in prop::collection::vec("[^\\r\\n]{0,12}", 1..6)) {
            let text = lines.join("\n");
            let hash = TextHash::of(&[&text]);
            prop_assert_eq!(&TextHash::of(&[&lines.join("\r\n")]), &hash);
            prop_assert_eq!(&TextHash::of(&[&format!(" \r\n{text}\t\n ")]), &hash);
        }

        #[test]
        fn other_texts_have_other_hashes(one in "[ -~äß]{0,12}", other in "[ -~äß]{0,12}") {
            prop_assert_eq!(TextHash::of(&[&one]) == TextHash::of(&[&other]), one.trim() == other.trim());
            let joined = format!("{one}{other}");
            prop_assert_ne!(TextHash::of(&[&one, &other]), TextHash::of(&[&joined]));
        }
    }
}
