//! The parts of an entry of the catalogue.

use super::facts::{Facts, Way};
use crate::code::Code;
use crate::options::Options;

/// Something that can be wrong, with everything that the program says about it.
///
/// The sentences may hold placeholders such as `{sni}`. diagnose fills in what it knows, and explain
/// prints a general word (see `words`).
pub struct Cause {
    /// A stable name for programs.
    pub id: &'static str,
    /// How it shows, with its rank among the causes that show in the same way: 1 is the most common.
    pub shows_as: &'static [(Sign, u8)],
    /// Where it is fixed.
    pub place: Place,
    /// The sentence that says what is wrong.
    pub what: &'static str,
    /// How to make sure that this is the cause.
    pub confirm: &'static str,
    /// The sentence that says what to change.
    pub change: &'static str,
    /// The evidence for it, where the facts speak for it; empty if the verdict says it all.
    pub evidence: &'static str,
    /// How the facts speak for or against it.
    pub weigh: fn(&Facts) -> Weight,
    /// Changes that prove it, if the check gets further with one of them.
    pub trials: fn(&Facts) -> Vec<Trial>,
}

impl Cause {
    /// An entry without its words. The facts say nothing about it, and no change proves it.
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

    /// Its rank for this sign; `None` if it doesn't show in this way.
    pub fn rank(&self, sign: Sign) -> Option<u8> {
        let mut signs = self.shows_as.iter();
        signs.find(|(own, _)| *own == sign).map(|(_, rank)| *rank)
    }
}

/// How a cause shows itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// By an exit code of sni-check.
    Code(Code),
    /// By a word or number that is HAProxy's own, such as `PROCTOUT`.
    Word(&'static str),
    /// By any failure.
    AnyFailure,
}

/// Shorthand for the entries: a code and the rank.
pub(super) const fn at(code: Code, rank: u8) -> (Sign, u8) {
    (Sign::Code(code), rank)
}

/// Shorthand for the entries: HAProxy's word and the rank.
pub(super) const fn word(word: &'static str, rank: u8) -> (Sign, u8) {
    (Sign::Word(word), rank)
}

/// Where a cause is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In haproxy.cfg, with values that diagnose knows.
    Config,
    /// In the options and haproxy.cfg, with a value that only the operator knows.
    Value,
    /// In a file on HAProxy's host that HAProxy and the check read.
    Files,
    /// Elsewhere on HAProxy's host: its clock, its limits, its programs.
    Host,
    /// At the server.
    Server,
    /// Between HAProxy's host and the server.
    Network,
}

impl Place {
    /// `cure.where` in the JSON object.
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

    /// In a few words, for explain.
    pub fn phrase(self) -> &'static str {
        match self {
            Place::Config => "in haproxy.cfg",
            Place::Value => "in haproxy.cfg, with a value that only you know",
            Place::Files => "in a file on HAProxy's host",
            Place::Host => "on HAProxy's host",
            Place::Server => "at the server",
            Place::Network => "on the way to the server",
        }
    }

    /// True if a change of haproxy.cfg fixes it.
    pub fn is_configuration(self) -> bool {
        matches!(self, Place::Config | Place::Value)
    }
}

/// How the facts speak for a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The facts exclude it.
    RuledOut,
    /// The facts say nothing about it.
    Possible,
    /// The facts speak for it.
    Likely,
    /// The facts leave nothing else.
    Proved,
}

impl Weight {
    /// In the JSON object.
    pub fn word(self) -> &'static str {
        match self {
            Weight::RuledOut => "ruled out",
            Weight::Possible => "possible",
            Weight::Likely => "likely",
            Weight::Proved => "proved",
        }
    }

    /// Possible if this holds, and otherwise ruled out.
    pub(super) fn possible_if(condition: bool) -> Weight {
        if condition {
            Weight::Possible
        } else {
            Weight::RuledOut
        }
    }

    /// Likely if this holds, and otherwise ruled out.
    pub(super) fn likely_if(condition: bool) -> Weight {
        if condition {
            Weight::Likely
        } else {
            Weight::RuledOut
        }
    }

    /// Proved if this holds, and otherwise ruled out.
    pub(super) fn proved_if(condition: bool) -> Weight {
        if condition {
            Weight::Proved
        } else {
            Weight::RuledOut
        }
    }
}

/// A change that proves a cause.
pub struct Trial {
    /// The change of the options.
    pub change: Change,
    /// True if it is enough that the check gets further. Other changes must make it succeed.
    pub counts_progress: bool,
    /// What the sentences of the cause say about this change: placeholders and their values.
    pub values: Vec<(&'static str, String)>,
}

/// The change that a trial makes.
pub enum Change {
    /// The options of the check.
    Options(Box<Options>),
    /// The way in which HAProxy's own check talks to the server. Only HAProxy can try it.
    Way(Way),
}

impl Trial {
    /// A change of the options with which the check has to succeed.
    pub(super) fn new(facts: &Facts, change: impl FnOnce(&mut Options)) -> Trial {
        let mut options = facts.options.clone();
        change(&mut options);
        Trial {
            change: Change::Options(Box::new(options)),
            counts_progress: false,
            values: Vec::new(),
        }
    }

    /// A change of the way.
    pub(super) fn way(way: Way) -> Vec<Trial> {
        vec![Trial {
            change: Change::Way(way),
            counts_progress: false,
            values: Vec::new(),
        }]
    }

    /// The same change. It counts if the check gets further.
    pub(super) fn counting_progress(self) -> Trial {
        Trial {
            counts_progress: true,
            ..self
        }
    }

    /// The same change with a value for the sentences.
    pub(super) fn with(mut self, placeholder: &'static str, value: impl Into<String>) -> Trial {
        self.values.push((placeholder, value.into()));
        self
    }
}
