//! One expectation, and the test of a response against it.

use std::fmt;
use std::ops::RangeInclusive;

use super::pattern::Pattern;
use super::regex::GivenUp;
use crate::deadline::Deadline;

/// One condition that the response must meet.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The text of the rule as the user wrote it, for messages.
    pub(super) text: String,
    pub(super) negated: bool,
    /// `min-recv`: the rule is tested only when this many bytes of the body have arrived, or the body has
    /// ended.
    pub(super) min_recv: usize,
    pub(super) subject: Subject,
}

/// The condition of an expectation, and the part of the response that it applies to.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Status(Vec<RangeInclusive<u32>>),
    StatusText(Pattern),
    Header(HeaderMatch),
    Body(Pattern),
}

#[derive(Clone, Debug)]
pub(super) struct HeaderMatch {
    pub name: Pattern,
    pub value: Option<Pattern>,
    /// True for `fhdr`, which compares the value as a whole. Commas don't divide it.
    pub whole: bool,
}

/// The part of a response that an expectation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The status line.
    Status,
    /// The header fields.
    Header,
    /// The body, up to the limit of `--max-body`.
    Body,
}

/// A response, in the form that expectations need.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The digits of the status code, as the server sent them.
    pub status: &'a str,
    /// The names and values of the header fields.
    pub fields: &'a [Field],
    /// The part of the body that was read.
    pub body: &'a [u8],
}

/// The name and the value of a header field.
pub type Field = (Vec<u8>, Vec<u8>);

impl Expectation {
    /// Returns HAProxy's default rule: the statuses 200 to 399 are healthy.
    pub fn default_status() -> Expectation {
        Expectation {
            text: "status 200-399".into(),
            negated: false,
            min_recv: 0,
            subject: Subject::Status(vec![200..=399]),
        }
    }

    /// Returns the part of the response that the expectation needs.
    pub fn part(&self) -> Part {
        match self.subject {
            Subject::Status(_) | Subject::StatusText(_) => Part::Status,
            Subject::Header(_) => Part::Header,
            Subject::Body(_) => Part::Body,
        }
    }

    /// Returns true if the rule has the form `! …`.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// Returns how many bytes of an unfinished body the rule waits for.
    pub fn min_recv(&self) -> usize {
        self.min_recv
    }

    /// Returns approximately how many bytes of memory the expectation needs.
    pub fn size(&self) -> usize {
        let patterns = match &self.subject {
            Subject::Status(ranges) => size_of_val(ranges.as_slice()),
            Subject::StatusText(pattern) | Subject::Body(pattern) => pattern.size(),
            Subject::Header(header) => {
                header.name.size() + header.value.as_ref().map_or(0, Pattern::size)
            }
        };
        size_of::<Expectation>() + self.text.len() + patterns
    }

    /// Returns true if the expectation has a regular expression, which may run for a long time.
    pub fn has_regex(&self) -> bool {
        match &self.subject {
            Subject::Status(_) => false,
            Subject::StatusText(pattern) | Subject::Body(pattern) => pattern.is_regex(),
            Subject::Header(header) => {
                header.name.is_regex() || header.value.as_ref().is_some_and(Pattern::is_regex)
            }
        }
    }

    /// Returns the rule in a form that ignores case. Returns `None` for negated rules, for status rules, for
    /// rules with `min-recv` or a regular expression, for header rules without a value or with `-m` for the
    /// name, and for text that has control characters or single quotes, or isn't UTF-8.
    pub fn in_any_case(&self) -> Option<Expectation> {
        let rule = match &self.subject {
            _ if self.negated || self.min_recv > 0 => return None,
            Subject::Body(pattern) => format!("rstring '{}'", pattern.in_any_case()?),
            Subject::Header(HeaderMatch {
                name: Pattern::Exact(name),
                value: Some(value),
                whole,
            }) => {
                let word = if *whole { "fhdr" } else { "hdr" };
                let (name, value) = (str::from_utf8(name).ok()?, value.in_any_case()?);
                format!("{word} name {name} value -m reg '{value}'")
            }
            _ => return None,
        };
        rule.parse().ok()
    }

    /// Returns true if a response meets the expectation. An empty body meets no body rule, not even
    /// a negated rule.
    ///
    /// # Errors
    ///
    /// A regular expression reached a limit or the deadline before the answer was known.
    pub fn holds(&self, answer: Answer<'_>, deadline: Deadline) -> Result<bool, GivenUp> {
        let found = match &self.subject {
            Subject::Status(ranges) => {
                let status = answer.status.parse().unwrap_or(0);
                ranges.iter().any(|range| range.contains(&status))
            }
            Subject::StatusText(pattern) => pattern.matches(answer.status.as_bytes(), deadline)?,
            Subject::Header(header) => header.matches(answer.fields, deadline)?,
            Subject::Body(_) if answer.body.is_empty() => return Ok(false),
            Subject::Body(pattern) => pattern.matches(answer.body, deadline)?,
        };
        Ok(found != self.negated)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl HeaderMatch {
    fn matches(&self, fields: &[Field], deadline: Deadline) -> Result<bool, GivenUp> {
        for (name, value) in fields {
            if self.name.matches(&name.to_ascii_lowercase(), deadline)?
                && self.value_matches(value, deadline)?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn value_matches(&self, value: &[u8], deadline: Deadline) -> Result<bool, GivenUp> {
        let Some(wanted) = &self.value else {
            return Ok(true);
        };
        if self.whole {
            return wanted.matches(value.trim_ascii(), deadline);
        }
        for element in list_elements(value) {
            if wanted.matches(element, deadline)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Returns the elements of a comma-separated header value. A comma in a quoted string doesn't
/// divide the value (RFC 9110, section 5.6.1).
fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |byte| {
            let divides = *byte == b',' && !quoted;
            quoted ^= *byte == b'"' && !escaped;
            escaped = *byte == b'\\' && quoted && !escaped;
            divides
        })
        .map(<[u8]>::trim_ascii)
}
