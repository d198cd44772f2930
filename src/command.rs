//! The commands: what the first word of a call asks for. `--help`, the manual and the completions
//! list them from here.

use anyhow::Result;

use crate::haproxy::Caller;
use crate::options::Options;
use crate::refusal::refusal;

/// The commands. A host of such a name is written with its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A check: HAProxy's, or by hand. It has no name.
    Check,
    /// What is wrong, at which layer, and what to put into haproxy.cfg.
    Diagnose,
    /// How the checks of a haproxy.cfg would fare.
    Doctor,
    /// The checks for HAProxy's http-check, by a local server.
    Serve,
    /// What an exit code means.
    Explain,
}

/// The options that only one command takes, and whether they were given.
type Given = fn(&Options) -> bool;
const ONLY_FOR: [(&str, Command, Given); 7] = [
    ("--quiet", Command::Check, |options| options.quiet),
    ("--verbose", Command::Check, |options| options.verbose),
    ("--syslog", Command::Check, |options| {
        options.syslog.is_some()
    }),
    ("--version", Command::Check, |options| options.version),
    ("--haproxy", Command::Diagnose, |options| {
        options.haproxy.is_some()
    }),
    ("--serve", Command::Diagnose, |options| {
        options.serve.is_some()
    }),
    ("--color", Command::Diagnose, |options| {
        options.color.is_some()
    }),
];

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
            Command::Check | Command::Diagnose => "[OPTION...] TARGET",
            Command::Doctor => "[-f FILE] [--run] [OPTION...]",
            Command::Serve => "[--listen ADDR] [OPTION...]",
            Command::Explain => "[CODE]",
        }
    }

    /// What it is for, in one phrase.
    pub fn purpose(self) -> &'static str {
        match self {
            Command::Check => "one check of a server",
            Command::Diagnose => "what is wrong with a server, at which layer, and the cure",
            Command::Doctor => "how the checks of a haproxy.cfg would fare on this host",
            Command::Serve => "the same checks for HAProxy's http-check, without a fork",
            Command::Explain => "what an exit code means, likely causes, what to change",
        }
    }

    /// Whether the command takes this option of the option language; doctor has options of its own.
    pub fn takes(self, option: &str) -> bool {
        let owner = ONLY_FOR.iter().find(|(name, ..)| *name == option);
        owner.is_none_or(|(_, command, _)| {
            let serves_checks = self == Command::Serve && *command == Command::Check;
            *command == self || (serves_checks && option != "--version")
        })
    }

    /// Refuses an option that belongs to another command.
    ///
    /// # Errors
    /// Names the command that accepts the option.
    pub(crate) fn refuse(self, option: &str) -> Result<()> {
        let owner = ONLY_FOR.iter().find(|(name, ..)| *name == option);
        match owner {
            Some((_, owner, _)) if !self.takes(option) => {
                let whose = match owner {
                    Command::Check => "checks",
                    owner => owner.name(),
                };
                let what = format!("is for {whose}");
                Err(refusal(option, what, "leave it out here"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses the options that belong to another command.
    ///
    /// # Errors
    /// The first that was given.
    pub(crate) fn refuse_foreign(self, options: &Options) -> Result<()> {
        let mut given = ONLY_FOR.iter().filter(|(_, _, given)| given(options));
        given.try_for_each(|(option, ..)| self.refuse(option))
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
