//! Whether a response meets the expectations.

use super::head::Head;
use crate::deadline::Deadline;
use crate::failure::{Closed, Failure};
use crate::options::expect::regex::GivenUp;
use crate::options::expect::{Answer, Expectation, Part};
use crate::plan::{Request, Share};

/// What judges: the expectations, the head of the response, and the time there is.
pub(super) struct Judge<'a> {
    pub request: &'a Request,
    pub head: Head,
    pub deadline: Deadline,
}

/// How much of a body HAProxy's rules see by default: `tune.bufsize` less the head, in bytes.
const HAPROXY_SEES: usize = 15 << 10;

/// What was read of a body.
#[derive(Default)]
pub(super) struct ReadBody {
    pub bytes: Vec<u8>,
    /// There was more of it.
    pub cut: bool,
    /// All that is looked for was found: it does not matter what else there is.
    found: bool,
    /// How much had come when regular expressions last looked at it.
    looked_at: usize,
    /// What it takes of the memory that checks share.
    pub share: Option<Share>,
}

impl ReadBody {
    /// Makes room for so many bytes more, of at most `limit`; returns `false` if no memory is left.
    pub fn makes_room(&mut self, more: usize, limit: usize) -> bool {
        let (needed, capacity) = (self.bytes.len() + more, self.bytes.capacity());
        if needed <= capacity {
            return true;
        }
        let capacity = needed.max(2 * capacity).min(limit);
        if let Some(share) = &mut self.share
            && share.resize(capacity).is_err()
        {
            return false;
        }
        self.bytes.reserve_exact(capacity - self.bytes.len());
        true
    }
}

impl Judge<'_> {
    /// The first expectation of this part that is not met.
    pub fn first_unmet(&self, part: Part, body: &ReadBody) -> Result<(), Failure> {
        let rules = self.request.expectations.iter();
        let mut rules = rules.filter(|rule| rule.part() == part);
        rules
            .find_map(|rule| self.unmet(rule, body))
            .map_or(Ok(()), Err)
    }

    /// The failure of the first expectation of this part, which can't be judged because of a limit.
    pub fn undecided(&self, part: Part, limit: GivenUp) -> Failure {
        let mut rules = self.request.expectations.iter();
        let rule = rules.find(|rule| rule.part() == part);
        Failure::Undecided {
            expected: rule.map(ToString::to_string).unwrap_or_default(),
            part,
            limit,
        }
    }

    /// Why an expectation is not met, if it is not.
    pub fn unmet(&self, rule: &Expectation, body: &ReadBody) -> Option<Failure> {
        let part = rule.part();
        if part == Part::Body && body.found {
            return None;
        }
        // Of a body that was cut, nothing can be said to be absent.
        let provable = !(part == Part::Body && rule.is_negated() && body.cut);
        let expected = rule.to_string();
        match self.holds(rule, &body.bytes) {
            Ok(true) if provable => return None,
            Ok(_) => {}
            Err(limit) => {
                return Some(Failure::Undecided {
                    expected,
                    part,
                    limit,
                });
            }
        }
        Some(match part {
            Part::Status => Failure::Status {
                status: self.head.number(),
                expected,
                location: self.head.location.clone(),
            },
            Part::Header => Failure::Header { expected },
            Part::Body if body.bytes.is_empty() => Failure::NoBody { expected },
            Part::Body => Failure::Body {
                expected,
                cut_at: body.cut.then_some(self.request.max_body),
                only_here: rule.is_negated() && self.holds_for_haproxy(rule, body),
            },
        })
    }

    /// Whether a rule holds for as much of a body as HAProxy looks at.
    fn holds_for_haproxy(&self, rule: &Expectation, body: &ReadBody) -> bool {
        let seen = &body.bytes[..body.bytes.len().min(HAPROXY_SEES)];
        self.holds(rule, seen) == Ok(true)
    }

    /// Makes the early end of a body a failure of the negated rule that would be met without the rest.
    pub fn body_ended(&self, failure: Failure) -> Failure {
        let rules = self.request.expectations.iter();
        let mut rules = rules.filter(|rule| rule.part() == Part::Body);
        match (failure, rules.find(|rule| rule.is_negated())) {
            (Failure::ResponseClosed(closed @ Closed::Closed), Some(rule)) => Failure::CutBody {
                closed,
                expected: rule.to_string(),
            },
            (failure, _) => failure,
        }
    }

    /// Whether the rest of the body does not matter: as in HAProxy, what has been found needs no end.
    /// That something is absent, only the end can tell. Regular expressions look again when the body
    /// has doubled.
    pub fn is_decided(&self, body: &mut ReadBody) -> bool {
        let rules = self.request.expectations.iter();
        let rules = rules.filter(|rule| rule.part() == Part::Body);
        let look = body.bytes.len() >= 2 * body.looked_at;
        if rules.clone().any(Expectation::is_negated)
            || (!look && rules.clone().any(Expectation::has_regex))
        {
            return false;
        }
        if rules.clone().any(|rule| body.bytes.len() < rule.min_recv()) {
            return false;
        }
        body.looked_at = body.bytes.len();
        for rule in rules {
            match self.holds(rule, &body.bytes) {
                Ok(true) => {}
                // Nothing can be decided any more.
                Err(GivenUp::Time) => return true,
                Ok(false) | Err(_) => return false,
            }
        }
        body.found = true;
        true
    }

    fn holds(&self, rule: &Expectation, body: &[u8]) -> Result<bool, GivenUp> {
        rule.holds(self.head.answer(body), self.deadline.to_report())
    }
}

impl Head {
    /// The response with this body, as expectations look at it.
    fn answer<'a>(&'a self, body: &'a [u8]) -> Answer<'a> {
        Answer {
            status: &self.status,
            fields: &self.fields,
            body,
        }
    }
}
