//! A finding: a fault or a fact that doctor reports.

use std::fmt;

use crate::haproxy::config::http_check::Request;
use crate::haproxy::config::place::Place;
use crate::output::mark::Mark;

/// The id of the finding about a result that no rule explains. Only `--run` makes this finding.
pub(crate) const SEEN: &str = "seen";

/// The id of the finding about a check whose method the server refuses. Only `--run` makes this finding.
pub(crate) const METHOD: &str = "check-method";

/// The id of the finding about a check whose request the server refuses, but not because of its method or
/// Host. Only `--run` makes this finding.
pub(crate) const REFUSED_REQUEST: &str = "check-refused-request";

/// The id of the finding about a server that answers too late for the check. Only `--run` makes this finding.
pub(crate) const LATE: &str = "check-time";

/// How a finding's text begins if sni-check refuses the options in `external-check path`.
pub(crate) const REFUSED_OPTIONS: &str = "the check would refuse its options: ";

/// The consequence of the fault that a finding reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    /// HAProxy doesn't start.
    NoStart,
    /// The check reports DOWN though the server works.
    Down,
    /// The check reports UP though visitors' requests fail.
    Up,
    /// `Down` or `Up`. doctor can't know which of them.
    Either,
    /// No check judges the server.
    Unchecked,
    /// Nothing fails, but the operator should know the fact.
    Hint,
}

impl Effect {
    /// Returns the effect's name in the JSON object.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Effect::NoStart => "no-start",
            Effect::Down => "down",
            Effect::Up => "up",
            Effect::Either => "down-or-up",
            Effect::Unchecked => "unchecked",
            Effect::Hint => "none",
        }
    }

    /// Returns true if the check judges the server wrongly.
    pub(crate) fn is_of_check(self) -> bool {
        matches!(self, Effect::Down | Effect::Up | Effect::Either)
    }
}

/// Two alternative fixes. Each makes the check and visitors' traffic connect in the same way.
#[derive(Clone, Debug)]
pub(crate) struct Sides {
    /// The change that makes traffic connect as the check does.
    pub traffic: String,
    /// The change that makes the check connect as traffic does.
    pub check: String,
}

/// A finding, with the texts that the report shows.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    /// `Problem` if the effect is certain.
    pub mark: Mark,
    pub effect: Effect,
    /// A stable id for programs. The table of rules sets it, except for findings that only `--run` makes.
    pub id: &'static str,
    /// The line in the configuration. `None` if the finding isn't about a particular line.
    pub place: Option<Place>,
    /// The backends, servers or variables that the finding is about.
    pub about: Vec<String>,
    /// The equal findings that were merged into this one: what each finding was about, and its line.
    pub merged: Vec<(Vec<String>, Option<Place>)>,
    /// What is wrong.
    pub what: String,
    /// What the operator sees in HAProxy's statistics, or what happens.
    pub shows: String,
    /// What HAProxy shows if the check is DOWN for this reason: a `check_status`, a `check_status` and a
    /// code (`L7STS 404`), or a code of sni-check (`54`). Empty if HAProxy may show anything.
    pub foretold: &'static [&'static str],
    /// What to do, or what to write instead.
    pub write: String,
    /// The request that HAProxy's own check should send. `None` if `write` doesn't change the request.
    pub request: Option<Request>,
    /// Two alternative fixes, if doctor doesn't know which of them is right. A run can show whether the check
    /// or traffic fails, and therefore which fix is right.
    pub sides: Option<Sides>,
    /// A shell command that makes the change. May be empty.
    pub paste: String,
    /// HAProxy's own messages about the same fault.
    pub haproxy: Vec<String>,
}

impl Finding {
    fn new(mark: Mark, effect: Effect, what: impl Into<String>) -> Finding {
        Finding {
            mark,
            effect,
            id: "",
            place: None,
            about: Vec::new(),
            merged: Vec::new(),
            what: what.into(),
            shows: String::new(),
            foretold: &[],
            write: String::new(),
            request: None,
            sides: None,
            paste: String::new(),
            haproxy: Vec::new(),
        }
    }

    /// Returns a finding whose effect is certain.
    pub(crate) fn problem(effect: Effect, what: impl Into<String>) -> Finding {
        Finding::new(Mark::Problem, effect, what)
    }

    /// Returns a finding whose effect depends on what doctor can't see.
    pub(crate) fn note(effect: Effect, what: impl Into<String>) -> Finding {
        Finding::new(Mark::Note, effect, what)
    }

    /// Returns a finding about a harmless fact that the operator should know.
    pub(crate) fn hint(what: impl Into<String>) -> Finding {
        Finding::new(Mark::Note, Effect::Hint, what)
    }

    pub(crate) fn id(mut self, id: &'static str) -> Finding {
        self.id = id;
        self
    }

    pub(crate) fn at(mut self, place: &Place) -> Finding {
        self.place = Some(place.clone());
        self
    }

    pub(crate) fn about(mut self, names: impl IntoIterator<Item = String>) -> Finding {
        self.about.extend(names);
        self
    }

    pub(crate) fn shows(mut self, text: impl Into<String>) -> Finding {
        self.shows = text.into();
        self
    }

    pub(crate) fn foretells(mut self, statuses: &'static [&'static str]) -> Finding {
        self.foretold = statuses;
        self
    }

    pub(crate) fn write(mut self, text: impl Into<String>) -> Finding {
        self.write = text.into();
        self
    }

    /// Sets the request that the check should send. [`requests::combine`](super::rules::requests::combine)
    /// merges the requests of several findings into one line.
    pub(crate) fn request(mut self, request: Request) -> Finding {
        self.request = Some(request);
        self
    }

    /// Sets the fix for traffic and the fix for the check. `write` then contains both: the fix for traffic if
    /// `condition` is true, otherwise the fix for the check. Once a run shows whether traffic or the check
    /// fails, `confirm` keeps only the right fix.
    pub(crate) fn write_for(mut self, condition: &str, sides: Sides) -> Finding {
        self.write = format!(
            "if {condition}: {}; otherwise: {}",
            sides.traffic, sides.check
        );
        self.sides = Some(sides);
        self
    }

    /// Sets the fix for traffic and the fix for the check. `write` then contains the fix for the check, until
    /// a run shows that visitors fail.
    pub(crate) fn write_check(mut self, sides: Sides) -> Finding {
        self.write.clone_from(&sides.check);
        self.sides = Some(sides);
        self
    }

    /// Makes the finding certain, because a run shows this effect.
    pub(crate) fn confirm(&mut self, effect: Effect, shows: &str) {
        (self.mark, self.effect) = (Mark::Problem, effect);
        shows.clone_into(&mut self.shows);
        if let Some(sides) = self.sides.take() {
            self.write = match effect {
                Effect::Up => sides.traffic,
                _ => sides.check,
            };
        }
    }

    pub(crate) fn paste(mut self, command: impl Into<String>) -> Finding {
        self.paste = command.into();
        self
    }

    /// Returns true if the finding is about this backend or its servers.
    pub(crate) fn is_within(&self, backend: &str) -> bool {
        let mut about = self.about.iter();
        about.any(|name| name.split('/').next() == Some(backend))
    }

    /// Returns the line of the merged finding that is about one of these servers or backends. If there is no
    /// such finding, returns this finding's own line.
    pub(crate) fn place_for(&self, names: [&str; 2]) -> Option<&Place> {
        let mut merged = self.merged.iter();
        let is_about = |about: &[String]| about.iter().any(|name| names.contains(&name.as_str()));
        let own = merged.find(|(about, _)| is_about(about));
        own.map_or(&self.place, |(_, place)| place).as_ref()
    }

    /// Returns true if the check certainly reports DOWN because of this finding.
    pub(crate) fn is_certainly_down(&self) -> bool {
        self.effect == Effect::Down && self.mark == Mark::Problem
    }

    /// Returns what to do, with the shell command on the last line.
    pub(crate) fn remedy(&self) -> String {
        let parts = [self.write.as_str(), self.paste.as_str()];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("\n")
    }
}

/// The fix of a finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remedy {
    /// An instruction, such as what to write into haproxy.cfg. May be empty.
    pub write: String,
    /// A shell command. May be empty.
    pub paste: String,
}

/// The part of a finding that diagnose shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remark {
    pub id: &'static str,
    pub place: Option<Place>,
    pub what: String,
    pub remedy: Remedy,
    /// True if the check certainly reports DOWN because of this finding.
    pub is_down: bool,
}

impl fmt::Display for Remark {
    /// Writes the place, what is wrong, and what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(self.what.trim_end_matches('.'))?;
        match (self.remedy.write.as_str(), self.remedy.paste.as_str()) {
            ("", "") => f.write_str("."),
            (write, "") => write!(f, ". Fix: {write}."),
            ("", paste) => write!(f, ". Fix: `{paste}`."),
            (write, paste) => write!(f, ". Fix: {} `{paste}`.", write.trim_end_matches(':')),
        }
    }
}

impl Remark {
    pub(crate) fn of(finding: &Finding) -> Remark {
        Remark {
            id: finding.id,
            place: finding.place.clone(),
            what: finding.what.clone(),
            remedy: Remedy {
                write: finding.write.clone(),
                paste: finding.paste.clone(),
            },
            is_down: finding.is_certainly_down(),
        }
    }
}
