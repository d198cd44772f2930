//! Judges a response by the expectations.

use super::head::Head;
use crate::deadline::Deadline;
use crate::failure::{Closed, Failure, Reply};
use crate::options::expect::regex::GivenUp;
use crate::options::expect::{Answer, Expectation, Part};
use crate::plan::{Request, Share};

/// A response, and what is needed to judge it.
pub(super) struct Judge<'a> {
    pub request: &'a Request,
    pub head: Head,
    pub deadline: Deadline,
}

/// About how many bytes of a body HAProxy's rules see by default: `tune.bufsize` (16 KiB) minus 1 KiB for the
/// head.
const HAPROXY_SEES: usize = 15 << 10;

/// The part of a body that was read.
#[derive(Default)]
pub(super) struct ReadBody {
    pub bytes: Vec<u8>,
    /// True if the body is longer than `bytes`.
    pub cut: bool,
    /// True if all expectations about the body are met, whatever the rest of the body contains.
    found: bool,
    /// The length of the body at the last evaluation of the expectations.
    looked_at: usize,
    /// The memory that this body uses. It counts towards the limit for all checks together.
    pub share: Option<Share>,
}

impl ReadBody {
    /// Makes room for `more` bytes, up to a capacity of `limit`. Returns false if no memory is
    /// left.
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
    /// Returns the failure of the first expectation about this part that isn't met.
    pub fn first_unmet(&self, part: Part, body: &ReadBody) -> Result<(), Failure> {
        let unmet = self.rules(part).find_map(|rule| self.unmet(rule, body));
        unmet.map_or(Ok(()), Err)
    }

    /// Returns the expectations about this part.
    fn rules(&self, part: Part) -> impl Iterator<Item = &Expectation> + Clone {
        let rules = self.request.expectations.iter();
        rules.filter(move |rule| rule.part() == part)
    }

    /// Returns the failure for a limit that prevents a decision. The failure names the first expectation
    /// about this part.
    pub fn undecided(&self, part: Part, limit: GivenUp) -> Failure {
        let rule = self.rules(part).next();
        Failure::Undecided {
            expected: rule.map(ToString::to_string).unwrap_or_default(),
            part,
            limit,
        }
    }

    /// Returns why an expectation isn't met, or `None` if it's met.
    pub fn unmet(&self, rule: &Expectation, body: &ReadBody) -> Option<Failure> {
        let part = rule.part();
        if part == Part::Body && body.found {
            return None;
        }
        // If the body was truncated, we can't prove that something is absent.
        let provable = !(part == Part::Body && rule.is_negated() && body.cut);
        let expected = rule.to_string();
        Some(match (part, self.holds(rule, &body.bytes)) {
            (_, Ok(true)) if provable => return None,
            (_, Err(limit)) => Failure::Undecided {
                expected,
                part,
                limit,
            },
            (Part::Status, _) => Failure::Status {
                status: self.head.number(),
                expected,
                location: self.head.location.clone(),
            },
            (Part::Header, _) => Failure::Header {
                expected,
                reply: self.reply(),
            },
            (Part::Body, _) if body.bytes.is_empty() => Failure::NoBody {
                expected,
                reply: self.reply(),
            },
            (Part::Body, _) => Failure::Body {
                expected,
                reply: self.reply(),
                cut_at: body.cut.then_some(self.request.max_body),
                is_met_for_haproxy: rule.is_negated() && self.holds_for_haproxy(rule, body),
            },
        })
    }

    fn reply(&self) -> Reply {
        Reply {
            status: self.head.number(),
            location: self.head.location.clone(),
        }
    }

    /// Returns true if a rule holds for the part of a body that HAProxy looks at.
    fn holds_for_haproxy(&self, rule: &Expectation, body: &ReadBody) -> bool {
        let seen = &body.bytes[..body.bytes.len().min(HAPROXY_SEES)];
        self.holds(rule, seen) == Ok(true)
    }

    /// Returns the failure for a body that ended early. If the server closed the connection and a rule about
    /// the body is negated, the failure names this rule, because the missing rest may contain what the rule
    /// forbids.
    pub fn body_ended(&self, failure: Failure) -> Failure {
        let negated = self.rules(Part::Body).find(|rule| rule.is_negated());
        match (failure, negated) {
            (Failure::ResponseClosed(closed @ Closed::Closed), Some(rule)) => Failure::CutBody {
                closed,
                expected: rule.to_string(),
            },
            (failure, _) => failure,
        }
    }

    /// Returns true if the rest of the body can't change the result, or if no time is left. As in HAProxy, a
    /// rule that has found its text doesn't wait for the end of the body. A negated rule can be decided only
    /// when the whole body has been read. Regular expressions run again only when the body has doubled.
    pub fn is_decided(&self, body: &mut ReadBody) -> bool {
        let rules = self.rules(Part::Body);
        let look = body.bytes.len() >= 2 * body.looked_at;
        if rules.clone().any(Expectation::is_negated)
            || (!look && rules.clone().any(Expectation::has_regex))
            || rules.clone().any(|rule| body.bytes.len() < rule.min_recv())
        {
            return false;
        }
        body.looked_at = body.bytes.len();
        for rule in rules {
            match self.holds(rule, &body.bytes) {
                Ok(true) => {}
                // No time is left, so more bytes wouldn't help.
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
    /// Returns the response with this body in the form that expectations use.
    fn answer<'a>(&'a self, body: &'a [u8]) -> Answer<'a> {
        Answer {
            status: &self.status,
            fields: &self.fields,
            body,
        }
    }
}
