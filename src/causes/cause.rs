//! The parts of an entry of the catalogue.

use super::facts::{Facts, Way};
use crate::code::Code;
use crate::options::Options;

/// Something that can be wrong, with everything that the program says about it.
///
/// The sentences may contain placeholders such as `{sni}`. diagnose fills in what it knows, and explain
/// prints a general word (see `words`).
pub struct Cause {
    /// A stable name for programs.
    pub id: &'static str,
    /// The codes and words that an operator sees, each with the rank of this cause among all causes of the
    /// code or word. The most common cause has rank 1. Causes of any failure may have rank 0, which comes
    /// before rank 1.
    pub shows_as: &'static [(Sign, u8)],
    /// Where the operator fixes the problem.
    pub place: Place,
    /// The sentences that say what is wrong.
    pub what: &'static str,
    /// How to make sure that this is the cause.
    pub confirm: &'static str,
    /// The sentences that say what to change.
    pub change: &'static str,
    /// Sentences about the facts that support the cause. Empty if there is nothing to add to the verdict.
    pub evidence: &'static str,
    /// Weighs the facts for and against the cause.
    pub weigh: fn(&Facts) -> Weight,
    /// Returns changes to try. The cause is proved if one of them helps (see [`Trial`]). `causes::trials`
    /// drops changes that leave the options as they are.
    pub trials: fn(&Facts) -> Vec<Trial>,
}

impl Cause {
    /// The defaults of an entry: the operator fixes the problem on the server, the cause is always possible,
    /// and there is nothing to try.
    pub(super) const BASE: Cause = Cause {
        id: "",
        shows_as: &[],
        place: Place::Server,
        what: "",
        confirm: "",
        change: "",
        evidence: "",
        weigh: |_| Weight::Possible,
        trials: |_| Vec::new(),
    };

    /// Returns the rank of the cause for this sign, or `None` if the sign never shows the cause.
    pub fn rank(&self, sign: Sign) -> Option<u8> {
        let mut signs = self.shows_as.iter();
        signs.find(|(own, _)| *own == sign).map(|(_, rank)| *rank)
    }
}

/// A symptom that an operator sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// An exit code of sni-check.
    Code(Code),
    /// One of HAProxy's own words or numbers, such as `PROCTOUT`.
    Word(&'static str),
    /// Any failure.
    AnyFailure,
}

/// Returns an element of `shows_as`: a code, and the rank of the cause for this code.
pub(super) const fn at(code: Code, rank: u8) -> (Sign, u8) {
    (Sign::Code(code), rank)
}

/// Returns an element of `shows_as`: one of HAProxy's words, and the rank of the cause for this word.
pub(super) const fn word(word: &'static str, rank: u8) -> (Sign, u8) {
    (Sign::Word(word), rank)
}

/// Where the operator fixes the problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In haproxy.cfg, with values that diagnose knows.
    Config,
    /// In the options and haproxy.cfg, with a value that only the operator knows.
    Value,
    /// In a file that HAProxy and the check read, on HAProxy's host.
    Files,
    /// Elsewhere on HAProxy's host: its clock, its limits, its programs.
    Host,
    /// On the server.
    Server,
    /// Between HAProxy's host and the server.
    Network,
}

impl Place {
    /// Returns the value of `cure.where` in the JSON object.
    pub fn word(self) -> &'static str {
        match self {
            Place::Config => "haproxy.cfg",
            Place::Value => "options",
            Place::Files => "files",
            Place::Host => "host",
            Place::Server => "server",
            Place::Network => "network",
        }
    }

    /// Returns the place in a few words, for explain.
    pub fn phrase(self) -> &'static str {
        match self {
            Place::Config => "in haproxy.cfg",
            Place::Value => "in haproxy.cfg, with a value that only you know",
            Place::Files => "in a file on HAProxy's host",
            Place::Host => "on HAProxy's host",
            Place::Server => "at the server",
            Place::Network => "in the network between HAProxy's host and the server",
        }
    }

    /// Returns true if the place is in haproxy.cfg.
    pub fn is_configuration(self) -> bool {
        matches!(self, Place::Config | Place::Value)
    }
}

/// How well the facts support a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The facts exclude the cause.
    RuledOut,
    /// The facts neither support nor exclude the cause.
    Possible,
    /// The facts support the cause.
    Likely,
    /// The facts prove the cause.
    Proved,
}

impl Weight {
    /// Returns the word for the JSON object.
    pub fn word(self) -> &'static str {
        match self {
            Weight::RuledOut => "ruled out",
            Weight::Possible => "possible",
            Weight::Likely => "likely",
            Weight::Proved => "proved",
        }
    }

    /// Returns this weight if the condition holds, otherwise `RuledOut`.
    pub(super) fn when(self, condition: bool) -> Weight {
        match condition {
            true => self,
            false => Weight::RuledOut,
        }
    }
}

/// A change to try. It proves its cause if the check then succeeds or, with `counts_progress`, gets further.
pub struct Trial {
    /// The change of the options.
    pub change: Change,
    /// True if the cause is proved as soon as the check gets further. Otherwise the check must succeed.
    pub counts_progress: bool,
    /// True if any other trial that gets equally far is better.
    pub is_last_resort: bool,
    /// The placeholders that depend on this change, with their values.
    pub values: Vec<(&'static str, String)>,
}

/// The change that a trial makes.
pub enum Change {
    /// Other options of the check.
    Options(Box<Options>),
    /// Another way in which HAProxy's own check talks to the server. Only HAProxy can try it.
    Way(Way),
}

impl Trial {
    /// Creates a trial with changed options. The trial proves the cause only if the check succeeds.
    pub(super) fn new(facts: &Facts, change: impl FnOnce(&mut Options)) -> Trial {
        let mut options = facts.options.clone();
        change(&mut options);
        Trial::of(Change::Options(Box::new(options)))
    }

    /// Returns a list with one trial, in which HAProxy's own check talks to the server in this way.
    pub(super) fn way(way: Way) -> Vec<Trial> {
        vec![Trial::of(Change::Way(way))]
    }

    fn of(change: Change) -> Trial {
        Trial {
            change,
            counts_progress: false,
            is_last_resort: false,
            values: Vec::new(),
        }
    }

    /// Makes the trial prove the cause as soon as the check gets further, even if the check still fails.
    pub(super) fn counting_progress(self) -> Trial {
        Trial {
            counts_progress: true,
            ..self
        }
    }

    /// Prefers any other trial that gets equally far, if the condition holds.
    pub(super) fn last_resort_if(self, is_last_resort: bool) -> Trial {
        Trial {
            is_last_resort,
            ..self
        }
    }

    /// Sets the value of a placeholder.
    pub(super) fn with(mut self, placeholder: &'static str, value: impl Into<String>) -> Trial {
        self.values.push((placeholder, value.into()));
        self
    }
}
