//! One thing that keeps a check from working, or is worth knowing.

use crate::output::mark::Mark;

use crate::haproxy::config::place::Place;

/// A finding, in the words of the report.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// `Problem` where a check cannot work, `Note` where something works differently than it looks.
    pub mark: Mark,
    /// A name for programs, stable.
    pub id: &'static str,
    /// Where in the configuration; `None` where it is about the whole.
    pub place: Option<Place>,
    /// The backends or servers it is about, as HAProxy names them.
    pub about: Vec<String>,
    /// What is the case.
    pub what: String,
    /// What the operator sees in HAProxy's statistics, or what happens.
    pub shows: String,
    /// What to do about it, or to write instead.
    pub write: String,
    /// A shell command that does it; may be empty.
    pub paste: String,
}

impl Finding {
    /// A finding about the whole configuration, to be completed by the methods below.
    pub(super) fn new(mark: Mark, id: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            mark,
            id,
            place: None,
            about: Vec::new(),
            what: what.into(),
            shows: String::new(),
            write: String::new(),
            paste: String::new(),
        }
    }

    /// A check cannot work.
    pub(super) fn problem(id: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(Mark::Problem, id, what)
    }

    /// Something works differently than it looks.
    pub(super) fn note(id: &'static str, what: impl Into<String>) -> Finding {
        Finding::new(Mark::Note, id, what)
    }

    pub(super) fn at(mut self, place: &Place) -> Finding {
        self.place = Some(place.clone());
        self
    }

    pub(super) fn about(mut self, names: impl IntoIterator<Item = String>) -> Finding {
        self.about.extend(names);
        self
    }

    pub(super) fn shows(mut self, text: impl Into<String>) -> Finding {
        self.shows = text.into();
        self
    }

    pub(super) fn write(mut self, text: impl Into<String>) -> Finding {
        self.write = text.into();
        self
    }

    pub(super) fn paste(mut self, command: impl Into<String>) -> Finding {
        self.paste = command.into();
        self
    }
}

/// The findings with each thing said once, of all the servers it is true of; the gravest first, those
/// of one kind in their order.
pub(super) fn merged(findings: impl IntoIterator<Item = Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in findings {
        let same = |known: &&mut Finding| {
            (known.id, &known.place, &known.what) == (finding.id, &finding.place, &finding.what)
        };
        let Some(known) = merged.iter_mut().find(same) else {
            merged.push(finding);
            continue;
        };
        for name in finding.about {
            if !known.about.contains(&name) {
                known.about.push(name);
            }
        }
    }
    merged.sort_by_key(|finding| std::cmp::Reverse(finding.mark));
    merged
}
