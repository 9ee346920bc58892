//! Whatever `.env` holds, a start goes on or tells which keys are wrong, by lines or names that are there.

#![no_main]

use std::sync::LazyLock;
use std::{env, fs, process};

use crosspage::config::Config;
use libfuzzer_sys::fuzz_target;

/// The keys that there are.
static KEYS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    // What is read is `.env` in the working directory.
    let folder = env::temp_dir().join(format!("crosspage-fuzz-{}", process::id()));
    fs::create_dir_all(&folder).and_then(|()| env::set_current_dir(&folder)).expect("a folder is made");
    let lines = include_str!("../../.env-example").lines();
    let keys = lines.filter_map(|line| line.trim_start_matches("# ").split_once('=').map(|(key, _)| key));
    keys.filter(|key| key.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')).collect()
});

fuzz_target!(|input: (Vec<(u8, &str)>, &[u8])| {
    let (values, rest) = input;
    let line = |(key, value): &(u8, &str)| format!("{}='{value}'\n", KEYS[usize::from(*key) % KEYS.len()]);
    let file = [values.iter().map(line).collect::<String>().as_bytes(), rest].concat();
    // What a key that ends so names is opened and read, whatever it is.
    if file.windows(5).any(|window| window == b"_FILE") {
        return;
    }
    fs::write(".env", &file).expect("the file is written");
    if let Err(error) = Config::from_env() {
        assert!(!error.problems.is_empty());
        assert!(error.problems.iter().all(|problem| !problem.key.is_empty() && !problem.text.is_empty()), "{error}");
    }
});
