//! The commands, chosen by the first word of a call. `--help`, the manual and the completions use this list.
//! The table of options says which options each command accepts.

use anyhow::Result;

use crate::haproxy::Caller;
use crate::refusal::refusal;

/// The commands. To check a host that has the name of a command, write the host with its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A check, by HAProxy or on the command line. This command has no name.
    Check,
    /// Finds out what is wrong, at which layer, and what to write in haproxy.cfg.
    Diagnose,
    /// Lists everything that prevents the checks of a haproxy.cfg from working.
    Doctor,
    /// Starts a local server that runs the checks for HAProxy's http-check.
    Serve,
    /// Explains an exit code.
    Explain,
}

impl Command {
    /// The commands that have a name.
    pub const NAMED: [Command; 4] = [
        Command::Diagnose,
        Command::Doctor,
        Command::Serve,
        Command::Explain,
    ];

    /// Returns the name of the command, which is the first word of its call. Empty for a check.
    pub fn name(self) -> &'static str {
        match self {
            Command::Check => "",
            Command::Diagnose => "diagnose",
            Command::Doctor => "doctor",
            Command::Serve => "serve",
            Command::Explain => "explain",
        }
    }

    /// Returns the arguments after the name. Words in capitals stand for a value; `[…]` is
    /// optional.
    pub fn arguments(self) -> &'static str {
        match self {
            Command::Check => "[OPTION...] TARGET",
            Command::Diagnose => "[-f FILE] [OPTION...] [TARGET]",
            Command::Doctor => "[-f FILE] [--run] [OPTION...]",
            Command::Serve => "[--listen ADDR] [OPTION...]",
            Command::Explain => "[CODE]",
        }
    }

    /// Returns the purpose of the command, in one phrase.
    pub fn purpose(self) -> &'static str {
        match self {
            Command::Check => "one check of a server",
            Command::Diagnose => {
                "what is wrong with a server, or with all servers that are DOWN, and how to fix it"
            }
            Command::Doctor => {
                "what prevents the checks of a haproxy.cfg from working on this host"
            }
            Command::Serve => "a server that runs the same checks for HAProxy's http-check",
            Command::Explain => "what an exit code means, its likely causes, what to change",
        }
    }

    /// Removes the name of the command from the arguments, and returns the command. Without a name, the
    /// command is a check.
    ///
    /// # Errors
    ///
    /// HAProxy runs a command other than a check, or the name of a command is misspelled.
    pub(crate) fn take(words: &mut Vec<String>, caller: Option<&Caller>) -> Result<Command> {
        let named = |word: &String| {
            Command::NAMED
                .into_iter()
                .find(|command| command.name() == word)
        };
        let Some(command) = words.first().and_then(named) else {
            // HAProxy's first argument is an address or NOT_USED, and never a misspelled command. Skipping
            // the comparison keeps each check cheap.
            if caller.is_none()
                && let Some(word) = words.first()
            {
                check_spelling(word)?;
            }
            return Ok(Command::Check);
        };
        let name = words.remove(0);
        if caller.is_some() {
            let what = "is a command, not a check";
            return Err(refusal(name, what, "leave it out here"));
        }
        Ok(command)
    }
}

/// Refuses a word that is probably a misspelled command, or `--help` or `--version` without the dashes.
fn check_spelling(word: &str) -> Result<()> {
    if word.starts_with('-') {
        return Ok(());
    }
    let names = Command::NAMED.map(Command::name).into_iter();
    let mut names = names.chain(["--help", "--version"]);
    let near = |name: &&str| strsim::damerau_levenshtein(word, name.trim_start_matches('-')) <= 1;
    if let Some(meant) = names.find(near) {
        return Err(refusal(
            format!("`{word}`"),
            "looks like a misspelled command",
            format!("did you mean {meant}? To check a host called {word}, write {word}:443"),
        ));
    }
    Ok(())
}
