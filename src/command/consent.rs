//! Whether somebody wants what cannot be taken back.

use std::io::{self, IsTerminal, Write};

use super::Failure;

/// Asks `question` of whoever sits at the terminal, unless `yes` says it already. Where nobody can be asked, the answer is no.
pub(super) fn is_given(yes: bool, question: &str) -> Result<bool, Failure> {
    if yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Ok(false);
    }
    let answer = ask(question).map_err(Failure::Unasked)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

/// The answer of a command that does nothing without it.
pub(super) fn refused() -> Failure {
    let message = "nothing was done, since nobody has said yes: say yes, or give --yes".to_owned();
    Failure::Refused { code: "not_confirmed".to_owned(), message }
}

fn ask(question: &str) -> io::Result<String> {
    let mut aside = io::stderr();
    write!(aside, "{question} [y/N] ")?;
    aside.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}
