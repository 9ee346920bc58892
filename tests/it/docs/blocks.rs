//! The commands of the pages: where they stand, which of them can be run here, and which say that they cannot.

use std::fs;
use std::path::PathBuf;

use super::root;

/// What a command says of itself if no test can run it, and the words of which it must have one to say so. It is said in
/// a comment: on a line of its own before the first command it is said of the whole block, else of its line.
const NEEDS: [(&str, &[&str]); 7] = [
    ("# needs Docker", &["docker"]),
    ("# needs a cluster", &["kubectl", "helm"]),
    ("# needs systemd", &["systemctl"]),
    ("# needs root", &["-o crosspage -g crosspage"]),
    ("# needs an ngrok account", &["ngrok"]),
    ("# needs the proxy", &["https://crosspage.example.com"]),
    ("# needs an hour and a quiet machine", &["cargo bench"]),
];

/// What is in another language than the shell's.
const OTHER_LANGUAGES: [&str; 5] = ["text", "nginx", "caddyfile", "yaml", "ini"];

/// What stands in backticks, begins with the program's name, and is no command: a line of its log, and names of other things.
const NO_COMMANDS: [&str; 3] = ["crosspage is running", "crosspage api", "crosspage emergencies"];

/// What a page wants typed in at one place.
#[derive(Debug)]
pub(super) struct Block {
    /// Under which heading.
    pub(super) section: String,
    /// In which line of its file it begins.
    line: usize,
    pub(super) text: String,
}

/// What becomes of a part of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// It is given to a shell, and ends well.
    Runs(String),
    /// It runs until it is told to end.
    Stays(String),
    /// It says that it cannot run here.
    Marked(String),
}

/// Every file with commands for people, each with its text, by its path in the project.
pub(super) fn files() -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = super::pages().into_iter().map(|(path, _)| path).collect();
    let mut folders = vec![root().join("deploy"), root().join("examples")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { paths.push(path) }
        }
    }
    paths.push(root().join(".env-example"));
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    let mut files: Vec<_> = paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect();
    files.sort();
    files
}

/// What is fenced off as the shell's in a page, and whatever is fenced off in a way that nobody knows.
pub(super) fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let (mut blocks, mut section) = (Vec::new(), String::new());
    let mut open: Option<(usize, usize, &str, String)> = None;
    for (line, written) in (1..).zip(text.lines()) {
        let indent = written.len() - written.trim_start().len();
        match (written.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((line, indent, language, String::new())),
            (Some(_), Some(_)) => {
                let (line, _, language, text) = open.take().unwrap();
                match language {
                    "sh" => blocks.push(Block { section: section.clone(), line, text }),
                    language if OTHER_LANGUAGES.contains(&language) => {}
                    language => {
                        return Err(format!("line {line}: a block in {language:?}: call it sh if it is for a shell"));
                    }
                }
            }
            (None, Some((_, indent, _, text))) => {
                // Within a list it is set in, all lines alike.
                text.push_str(written.get(*indent..).unwrap_or_default());
                text.push('\n');
            }
            (None, None) => {
                if let Some(title) = written.strip_prefix('#') {
                    section = title.trim_start_matches('#').trim().to_owned();
                }
            }
        }
    }
    if open.is_some() { Err("a block has no end".to_owned()) } else { Ok(blocks) }
}

impl Block {
    /// What of it is to be run, in order; an error where something can neither be run nor says so, or says so without need.
    pub(super) fn parts(&self) -> Result<Vec<Part>, String> {
        let first = self.text.lines().next().unwrap_or_default();
        if first.starts_with("# needs") {
            let needs = self.needs(first)?;
            return if holds_any(&self.text[first.len()..], needs) {
                Ok(vec![Part::Marked(self.text.clone())])
            } else {
                Err(self.at(&format!("{first:?}, but nothing in the block does")))
            };
        }
        let mut parts = Vec::new();
        let mut script = String::new();
        for line in self.text.lines() {
            if let Some(at) = line.find("# needs") {
                let (command, mark) = line.split_at(at);
                if !holds_any(command, self.needs(mark)?) {
                    return Err(self.at(&format!("{line:?} needs nothing of the kind")));
                }
                parts.extend([Part::Runs(std::mem::take(&mut script)), Part::Marked(command.to_owned())]);
            } else if NEEDS.iter().any(|(_, words)| holds_any(without_comment(line), words)) {
                return Err(
                    self.at(&format!("{line:?} cannot be run by a test: say so by one of {:?}", NEEDS.map(|n| n.0)))
                );
            } else if arguments(line).is_some_and(|arguments| stays(&arguments)) {
                parts.extend([Part::Runs(std::mem::take(&mut script)), Part::Stays(line.to_owned())]);
            } else {
                script.push_str(line);
                script.push('\n');
            }
        }
        parts.push(Part::Runs(script));
        parts.retain(|part| !matches!(part, Part::Runs(script) if script.trim().is_empty()));
        Ok(parts)
    }

    /// The words of which a command has one if it rightly carries this mark.
    fn needs(&self, mark: &str) -> Result<&'static [&'static str], String> {
        let found = NEEDS.iter().find(|(known, _)| {
            mark.strip_prefix(known).is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
        });
        found.map(|(_, words)| *words).ok_or_else(|| self.at(&format!("nobody knows {mark:?}")))
    }

    /// Where that is.
    pub(super) fn at(&self, what: &str) -> String {
        format!("{} (line {}): {what}", self.section, self.line)
    }
}

/// Whether that holds one of these words, or runs of words.
fn holds_any(text: &str, words: &[&str]) -> bool {
    let part_of_a_word = |c: char| c.is_alphanumeric() || c == '-' || c == '/' || c == '.';
    words.iter().any(|word| {
        text.match_indices(word).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + word.len()..]);
            !before.ends_with(part_of_a_word) && (word.contains("://") || !after.starts_with(part_of_a_word))
        })
    })
}

fn without_comment(line: &str) -> &str {
    if line.starts_with('#') { "" } else { line.split(" #").next().unwrap_or_default() }
}

/// What crosspage is given on this line of a shell's, if it is called there: by its name, by cargo, in a container, or by
/// the service's own command.
pub(super) fn arguments(line: &str) -> Option<Vec<String>> {
    let words: Vec<&str> = without_comment(line).split_whitespace().collect();
    let is_setting =
        |word: &str| word.split_once('=').is_some_and(|(key, _)| !key.is_empty() && key.chars().all(is_of_key));
    let begin = words.iter().take_while(|word| is_setting(word) || **word == "sudo").count();
    let after =
        |at: usize| Some(words.get(at..)?.iter().map(|word| word.trim_matches(['\'', '"']).to_owned()).collect());
    match words.get(begin..)? {
        ["crosspage" | "crosspage-command", ..] => after(begin + 1),
        ["cargo", "run", ..] => after(words.iter().position(|word| *word == "--").map_or(words.len(), |at| at + 1)),
        [..] => {
            // docker compose exec crosspage crosspage links list, kubectl exec crosspage-0 -- crosspage links list
            let nested =
                words.windows(2).rposition(|two| ["crosspage", "--", "…"].contains(&two[0]) && two[1] == "crosspage");
            nested.and_then(|at| after(at + 2))
        }
    }
}

fn is_of_key(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}

/// Whether crosspage goes on until it is told to end.
fn stays(arguments: &[String]) -> bool {
    match arguments.first().map(String::as_str) {
        None | Some("serve") => true,
        Some("sandbox") => !arguments.iter().any(|argument| argument == "--once"),
        Some(_) => false,
    }
}

/// What stands in backticks within the prose, each in one line.
pub(super) fn in_backticks(text: &str) -> Vec<String> {
    let mut in_block = false;
    let prose: Vec<&str> = text
        .lines()
        .map(|line| {
            let fence = line.trim_start().starts_with("```");
            in_block ^= fence;
            if fence || in_block { "" } else { line.trim_start_matches(['#', ' ']) }
        })
        .collect();
    let paragraphs = prose.split(|line| line.is_empty()).map(|lines| lines.join(" "));
    let spans =
        paragraphs.flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>());
    spans.filter(|span| !NO_COMMANDS.contains(&span.as_str())).collect()
}

#[test]
fn what_can_neither_be_run_nor_says_so_is_found() {
    let of = |text: &str| blocks(&format!("# A\n```sh\n{text}\n```\n")).and_then(|blocks| blocks[0].parts());
    let runs = |text: &str| Part::Runs(format!("{text}\n"));
    assert_eq!(of("a\nb # c"), Ok(vec![runs("a\nb # c")]));
    let stays = Part::Stays("X=y cargo run --release".to_owned());
    assert_eq!(of("a\nX=y cargo run --release\nb"), Ok(vec![runs("a"), stays, runs("b")]));
    let marked = Part::Marked("systemctl stop x  ".to_owned());
    assert_eq!(of("systemctl stop x  # needs systemd; or: kill\nb"), Ok(vec![marked, runs("b")]));
    assert_eq!(of("# needs Docker\na\ndocker b"), Ok(vec![Part::Marked("# needs Docker\na\ndocker b\n".to_owned())]));
    for (text, error) in [
        ("docker run x", "cannot be run"),
        ("sudo systemctl stop x", "cannot be run"),
        ("curl https://crosspage.example.com/x", "cannot be run"),
        ("crosspage check # needs systemd", "needs nothing of the kind"),
        ("# needs Docker\ncrosspage check", "nothing in the block does"),
        ("docker run x # needs Docker2", "nobody knows"),
        ("# needs luck\ndocker run x", "nobody knows"),
    ] {
        let found = of(text).unwrap_err();
        assert!(found.contains(error) && found.starts_with("A (line 2)"), "{text}: {found}");
    }
    assert!(blocks("```bash\ncrosspage nonsense\n```\n").unwrap_err().contains("call it sh"));
    assert!(blocks("```\ncrosspage nonsense\n```\n").is_err());
    assert_eq!(blocks("1. a\n\n   ```sh\n   b \\\n     c\n   ```\n").unwrap()[0].text, "b \\\n  c\n");
}

#[test]
fn a_command_is_seen_however_it_is_called() {
    let words = |line: &str| arguments(line).map(|words| words.join(" "));
    for (line, given) in [
        ("crosspage links list  # all", Some("links list")),
        ("X=y crosspage import a.jsonl", Some("import a.jsonl")),
        ("sudo crosspage-command health", Some("health")),
        ("cargo run --release -- check --e2e", Some("check --e2e")),
        ("cargo run --release", Some("")),
        ("docker compose exec crosspage crosspage links list", Some("links list")),
        ("docker exec … crosspage", Some("")),
        ("kubectl --namespace pager exec crosspage-0 -- crosspage links list", Some("links list")),
        ("docker build -t crosspage .", None),
        ("systemctl stop crosspage", None),
        ("# crosspage links list", None),
    ] {
        assert_eq!(words(line).as_deref(), given, "{line}");
    }
    let text = "Ask `crosspage a\nb` or `c`; it says `crosspage is running`.\n```sh\n`d`\n```\n# `e`\n";
    assert_eq!(in_backticks(text), ["crosspage a b", "c", "e"]);
}
