//! What doctor has to say: one thing that stands in the way of a check, or is worth knowing.

use crate::output::mark::Mark;

use super::lines::Place;

/// A finding, in the words of the report.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    /// `Problem` where a check cannot work, `Note` where it works otherwise than it looks.
    pub mark: Mark,
    /// A name for programs, stable.
    pub id: &'static str,
    /// Where in the configuration; `None` where it is about the whole.
    pub place: Option<Place>,
    /// The backends or servers it is about, as HAProxy names them.
    pub about: Vec<String>,
    /// What is so.
    pub what: String,
    /// What the operator would see in HAProxy's statistics, or happens.
    pub shows: String,
    /// What to write instead.
    pub write: String,
}

/// The findings, each thing said once.
#[derive(Debug, Default)]
pub(super) struct Findings(pub Vec<Finding>);

impl Findings {
    /// Adds a finding; one that says the same of another server joins it.
    pub(super) fn add(&mut self, finding: Finding) {
        let same = |known: &&mut Finding| {
            (known.id, &known.place, &known.what) == (finding.id, &finding.place, &finding.what)
        };
        match self.0.iter_mut().find(same) {
            Some(known) => {
                for name in finding.about {
                    if !known.about.contains(&name) {
                        known.about.push(name);
                    }
                }
            }
            None => self.0.push(finding),
        }
    }

    /// The gravest first; those of one kind in the order of the configuration.
    pub(super) fn sort(&mut self) {
        self.0
            .sort_by_key(|finding| std::cmp::Reverse(finding.mark));
    }

    /// Whether a check cannot work.
    pub(super) fn grave(&self) -> bool {
        self.0.iter().any(|finding| finding.mark == Mark::Problem)
    }
}
