//! The doors: what the first word of a call opens. `--help`, the manual and the completions list
//! them from here.

use anyhow::{Result, bail};

use crate::explain;
use crate::haproxy::Caller;
use crate::text::paragraph;

/// The doors. A host of such a name is written with its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// A check: HAProxy's, or by hand. It has no name.
    Check,
    /// What is wrong, at which layer, and what to put into haproxy.cfg.
    Diagnose,
    /// How the checks of a haproxy.cfg would fare.
    Doctor,
    /// What an exit code means.
    Explain,
}

impl Door {
    /// The doors that are opened by their name.
    pub const NAMED: [Door; 3] = [Door::Diagnose, Door::Doctor, Door::Explain];

    /// The first word of a call.
    pub fn name(self) -> &'static str {
        match self {
            Door::Check => "",
            Door::Diagnose => "diagnose",
            Door::Doctor => "doctor",
            Door::Explain => "explain",
        }
    }

    /// What follows the name: words in capitals stand for a value, `[…]` may be left out.
    pub fn arguments(self) -> &'static str {
        match self {
            Door::Check | Door::Diagnose => "[OPTION...] TARGET",
            Door::Doctor => "[-f FILE] [--run] [OPTION...]",
            Door::Explain => "[CODE]",
        }
    }

    /// What it is for, in one phrase.
    pub fn purpose(self) -> &'static str {
        match self {
            Door::Check => "one check of a server",
            Door::Diagnose => "what is wrong with a server, at which layer, and the cure",
            Door::Doctor => "how the checks of a haproxy.cfg would fare on this host",
            Door::Explain => "what an exit code means, likely causes, what to change",
        }
    }

    /// Its `--help`. That of the check is made from its options, to which this is added.
    pub fn help(self) -> String {
        let about = match self {
            Door::Check => return commands(),
            Door::Diagnose => crate::diagnose::HELP,
            Door::Doctor => &crate::doctor::help(),
            Door::Explain => explain::HELP,
        };
        let mut text = String::new();
        let usage = format!("Usage: sni-check {} {}\n\n", self.name(), self.arguments());
        text.push_str(&usage);
        text.push_str(about);
        text
    }

    /// Takes the door's name off the words.
    ///
    /// # Errors
    /// HAProxy asks for more than a check; or the name of a door is misspelled.
    pub(crate) fn open(words: &mut Vec<String>, caller: Option<&Caller>) -> Result<Door> {
        let named = |word: &String| Door::NAMED.into_iter().find(|door| door.name() == word);
        let Some(door) = words.first().and_then(named) else {
            // What HAProxy hands over begins with an option, and every check would pay for the look.
            if caller.is_none()
                && let Some(word) = words.first()
            {
                check_spelling(word)?;
            }
            return Ok(Door::Check);
        };
        let name = words.remove(0);
        if caller.is_some() {
            bail!("{name} is for people, it checks nothing; leave it out here");
        }
        Ok(door)
    }
}

/// Refuses what is probably a misspelled door, or what newcomers call one.
fn check_spelling(word: &str) -> Result<()> {
    let names = Door::NAMED.map(Door::name).into_iter();
    let mut names = names.chain(["--help", "--version"]);
    let near = |name: &&str| strsim::damerau_levenshtein(word, name.trim_start_matches('-')) <= 1;
    if let Some(meant) = names.find(near) {
        bail!("did you mean {meant}? A host called {word} is written with its port, {word}:443");
    }
    Ok(())
}

/// The named doors, as a section of `--help`.
fn commands() -> String {
    let mut text = "\nCommands:\n".to_owned();
    for door in Door::NAMED {
        paragraph(&mut text, &format!("  {:<18}", door.name()), door.purpose());
    }
    text
}
