//! One expectation, and whether a response meets it.

use std::fmt;
use std::ops::RangeInclusive;

use super::pattern::Pattern;
use super::regex::GivenUp;
use crate::deadline::Deadline;

/// One condition that the response must meet.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The words it was written with, for messages.
    pub(super) text: String,
    pub(super) negated: bool,
    /// `min-recv`: a shorter body is looked at when it has ended, not before.
    pub(super) min_recv: usize,
    pub(super) subject: Subject,
}

/// What an expectation looks for, and in which part of the response.
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
    /// `fhdr`: the value is compared whole, a comma does not divide it.
    pub whole: bool,
}

/// Which part of a response an expectation needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The status line.
    Status,
    /// The header fields.
    Header,
    /// The body, as far as `--max-body` reads it.
    Body,
}

/// A response, as expectations look at it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The digits of the status code, as they were sent.
    pub status: &'a str,
    /// Names and values of the header fields.
    pub fields: &'a [Field],
    /// What was read of the body.
    pub body: &'a [u8],
}

/// A header field: its name and its value.
pub type Field = (Vec<u8>, Vec<u8>);

impl Expectation {
    /// HAProxy's rule where there is no other: 2xx and 3xx are healthy.
    pub fn default_status() -> Expectation {
        Expectation {
            text: "status 200-399".into(),
            negated: false,
            min_recv: 0,
            subject: Subject::Status(vec![200..=399]),
        }
    }

    /// The part of the response it looks at.
    pub fn part(&self) -> Part {
        match self.subject {
            Subject::Status(_) | Subject::StatusText(_) => Part::Status,
            Subject::Header(_) => Part::Header,
            Subject::Body(_) => Part::Body,
        }
    }

    /// Whether it is of the form `! …`.
    pub fn is_negated(&self) -> bool {
        self.negated
    }

    /// How many bytes of a body that goes on it waits for.
    pub fn min_recv(&self) -> usize {
        self.min_recv
    }

    /// Returns how many bytes of memory the expectation takes, about.
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

    /// Whether it has a regular expression, which may take long.
    pub fn has_regex(&self) -> bool {
        match &self.subject {
            Subject::Status(_) => false,
            Subject::StatusText(pattern) | Subject::Body(pattern) => pattern.is_regex(),
            Subject::Header(header) => {
                header.name.is_regex() || header.value.as_ref().is_some_and(Pattern::is_regex)
            }
        }
    }

    /// Whether a response meets it. A body rule, negated or not, is not met by an empty body.
    ///
    /// # Errors
    /// A regular expression came to its limits, or to the deadline, before there was an answer.
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

/// The elements of a comma-separated header value; a comma in a quoted string does not divide it
/// (RFC 9110, section 5.6.1).
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
