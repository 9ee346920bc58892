//! Completions for shells.

use std::process::ExitCode;

use clap_complete::Shell;

use super::complain;
use super::output::if_read;

/// For which shell.
#[derive(Debug, clap::Args)]
pub struct Options {
    shell: Shell,
}

impl Options {
    /// Writes a script that completes `command` in the shell.
    pub fn run(self, mut command: clap::Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "crosspage", &mut script);
        match if_read(std::io::Write::write_all(&mut std::io::stdout(), &script)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(&error.to_string());
                ExitCode::FAILURE
            }
        }
    }
}
