//! Whether somebody wants what cannot be taken back.

use std::io::{self, IsTerminal, Write};

use super::Failure;
use super::access::Access;

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

/// The same where the command refuses without it. While it has the store, it asks nobody: a crosspage that is started meanwhile
/// could not have it until the question is answered.
pub(super) fn is_needed(yes: bool, access: &Access, question: &str) -> Result<(), Failure> {
    let may_ask = matches!(access, Access::Running(_));
    if yes || (may_ask && is_given(yes, question)?) {
        return Ok(());
    }
    let message = "nothing was done, since nobody has said yes: give --yes".to_owned();
    Err(Failure::Refused { code: "not_confirmed".to_owned(), message })
}

fn ask(question: &str) -> io::Result<String> {
    let mut aside = io::stderr();
    write!(aside, "{question} [y/N] ")?;
    aside.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer)
}
