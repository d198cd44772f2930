//! The commands: what the first word of a call asks for. `--help`, the manual and the completions
//! list them from here. Which options a command accepts stands in the table of options.

use anyhow::Result;

use crate::haproxy::Caller;
use crate::refusal::refusal;

/// The commands. A host of such a name is written with its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A check: HAProxy's, or by hand. It has no name.
    Check,
    /// What is wrong, at which layer, and what to put into haproxy.cfg.
    Diagnose,
    /// What keeps the checks of a haproxy.cfg from working.
    Doctor,
    /// A local server that makes the checks for HAProxy's http-check.
    Serve,
    /// What an exit code means.
    Explain,
}

impl Command {
    /// The commands that are asked for by name.
    pub const NAMED: [Command; 4] = [
        Command::Diagnose,
        Command::Doctor,
        Command::Serve,
        Command::Explain,
    ];

    /// The first word of a call.
    pub fn name(self) -> &'static str {
        match self {
            Command::Check => "",
            Command::Diagnose => "diagnose",
            Command::Doctor => "doctor",
            Command::Serve => "serve",
            Command::Explain => "explain",
        }
    }

    /// What follows the name: words in capitals stand for a value, `[…]` may be left out.
    pub fn arguments(self) -> &'static str {
        match self {
            Command::Check => "[OPTION...] TARGET",
            Command::Diagnose => "[-f FILE] [OPTION...] [TARGET]",
            Command::Doctor => "[-f FILE] [--run] [OPTION...]",
            Command::Serve => "[--listen ADDR] [OPTION...]",
            Command::Explain => "[CODE]",
        }
    }

    /// What it is for, in one phrase.
    pub fn purpose(self) -> &'static str {
        match self {
            Command::Check => "one check of a server",
            Command::Diagnose => {
                "what is wrong with a server, or with all that are DOWN, and how to fix it"
            }
            Command::Doctor => "what keeps the checks of a haproxy.cfg from working on this host",
            Command::Serve => "a server that makes the same checks for HAProxy's http-check",
            Command::Explain => "what an exit code means, its likely causes, what to change",
        }
    }

    /// Takes the command's name off the words.
    ///
    /// # Errors
    /// HAProxy asks for more than a check, or the name of a command is misspelled.
    pub(crate) fn take(words: &mut Vec<String>, caller: Option<&Caller>) -> Result<Command> {
        let named = |word: &String| {
            Command::NAMED
                .into_iter()
                .find(|command| command.name() == word)
        };
        let Some(command) = words.first().and_then(named) else {
            // What HAProxy hands over begins with an option, and every check would pay for the look.
            if caller.is_none()
                && let Some(word) = words.first()
            {
                check_spelling(word)?;
            }
            return Ok(Command::Check);
        };
        let name = words.remove(0);
        if caller.is_some() {
            let what = "is for people, it checks nothing";
            return Err(refusal(name, what, "leave it out here"));
        }
        Ok(command)
    }
}

/// Refuses what is probably a misspelled command.
fn check_spelling(word: &str) -> Result<()> {
    let names = Command::NAMED.map(Command::name).into_iter();
    let mut names = names.chain(["--help", "--version"]);
    let near = |name: &&str| strsim::damerau_levenshtein(word, name.trim_start_matches('-')) <= 1;
    if let Some(meant) = names.find(near) {
        return Err(refusal(
            format!("`{word}`"),
            "is taken for a misspelled command",
            format!(
                "did you mean {meant}? A host called {word} is written with its port, {word}:443"
            ),
        ));
    }
    Ok(())
}
