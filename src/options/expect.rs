//! `--expect`: HAProxy's `http-check expect` (configuration manual, section 4.2), with its quoting
//! (section 2.2).
//!
//! `[!] status 200,300-399` · `[!] rstatus REGEX` · `[!] string TEXT` · `[!] rstring REGEX` ·
//! `[!] hdr|fhdr name [-m str|beg|end|sub|reg] NAME [value [-m …] VALUE]`, each also with
//! `comment TEXT`

mod grammar;
mod pattern;
pub mod regex;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use self::pattern::Pattern;
use self::regex::GivenUp;
use crate::refusal::Misfit;

/// One condition that the response must meet.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The words it was written with, for messages.
    text: String,
    negated: bool,
    subject: Subject,
}

/// What an expectation looks for, and in which part of the response.
#[derive(Clone, Debug)]
enum Subject {
    Status(Vec<RangeInclusive<u32>>),
    StatusText(Pattern),
    Header(HeaderMatch),
    Body(Pattern),
}

#[derive(Clone, Debug)]
struct HeaderMatch {
    name: Pattern,
    value: Option<Pattern>,
    /// `fhdr`: the value is compared whole, a comma does not divide it.
    whole: bool,
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
    /// A regular expression came to its limits before there was an answer.
    pub fn holds(&self, answer: Answer<'_>) -> Result<bool, GivenUp> {
        let found = match &self.subject {
            Subject::Status(ranges) => {
                let status = answer.status.parse().unwrap_or(0);
                ranges.iter().any(|range| range.contains(&status))
            }
            Subject::StatusText(pattern) => pattern.matches(answer.status.as_bytes())?,
            Subject::Header(header) => header.matches(answer.fields)?,
            Subject::Body(_) if answer.body.is_empty() => return Ok(false),
            Subject::Body(pattern) => pattern.matches(answer.body)?,
        };
        Ok(found != self.negated)
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Expectation {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Expectation, Misfit> {
        let (negated, subject) = grammar::parse(text)?;
        Ok(Expectation {
            text: text.trim_ascii_start().to_owned(),
            negated,
            subject,
        })
    }
}

impl HeaderMatch {
    fn matches(&self, fields: &[Field]) -> Result<bool, GivenUp> {
        for (name, value) in fields {
            if self.name.matches(&name.to_ascii_lowercase())? && self.value_matches(value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn value_matches(&self, value: &[u8]) -> Result<bool, GivenUp> {
        let Some(wanted) = &self.value else {
            return Ok(true);
        };
        if self.whole {
            return wanted.matches(value.trim_ascii());
        }
        for element in list_elements(value) {
            if wanted.matches(element)? {
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

#[cfg(test)]
mod tests {
    use super::{Answer, Expectation, Field};

    const HEADERS: [(&str, &str); 4] = [
        ("Content-Type", "text/html"),
        ("Via", "1.1 a, 1.1 \"b,c\" , 2 d"),
        ("Set-Cookie", "sessid=1"),
        ("X-Odd", "\u{80}\u{7f}"),
    ];

    fn holds_with(rule: &str, body: &[u8]) -> bool {
        let parsed: Result<Expectation, _> = rule.parse();
        let parsed = parsed.unwrap_or_else(|misfit| panic!("{}", misfit.of(rule)));
        let fields = HEADERS.map(|(name, value)| -> Field { (name.into(), value.into()) });
        let answer = Answer {
            status: "204",
            fields: &fields,
            body,
        };
        parsed.holds(answer).expect("an answer")
    }

    fn holds(rule: &str) -> bool {
        holds_with(rule, b"all good\nid 42 \xff$\n")
    }

    #[test]
    fn status_lists_ranges_and_regular_expressions() {
        assert!(holds("status 200,204"));
        assert!(holds("status 100-199,200-399"));
        assert!(!holds("status 200"));
        assert!(holds("! status 500-599"));
        assert!(!holds("!status 204"));
        assert!(holds("rstatus ^2"));
        assert!(holds("! rstatus ^5"));
    }

    #[test]
    fn status_lists_are_read_as_haproxy_reads_them() {
        assert!(holds("status -204"));
        assert!(holds("status 0-999"));
        assert!(holds("status 204,"));
        assert!(!holds("status 99"));
        assert!(!holds("status 20"));
        assert!(!holds("status 2040"));
    }

    #[test]
    fn body_strings_with_haproxys_quoting() {
        assert!(holds(r"string all\ good"));
        assert!(holds(r#"string "all good""#));
        assert!(holds("string 'all good'"));
        assert!(holds(r"string good\nid"));
        assert!(holds(r#"string "all\x20good""#));
        assert!(holds(r"string \xff\x24"));
        assert!(!holds("string bad"));
        assert!(holds("string 'all good' comment 'the word of the page'"));
        assert!(holds("comment x ! string bad"));
        assert!(holds("!!string good"));
        assert!(holds("! ! ! string bad"));
    }

    #[test]
    fn regular_expressions_are_pcre2s_on_bytes() {
        assert!(holds(r"rstring id\ \d+"));
        assert!(holds(r"! rstring ^\d"));
        assert!(holds(r"rstring '\$$'"), "$ also before the last line end");
        assert!(!holds(r"rstring '\<all'"), "\\< is a literal <");
        assert!(holds("rstring 'good(?=\\s*id)'"));
        assert!(holds("rstring '(?<twice>o)\\k<twice>'"));
        assert!(holds(r"rstring '42 .\$'"), "any byte");
        assert!(holds_with("rstring {a", b"{a"));
    }

    #[test]
    fn no_body_rule_is_met_without_a_body() {
        for rule in ["string a", "! string a", "rstring a", "! rstring a"] {
            assert!(!holds_with(rule, b""), "{rule}");
        }
    }

    #[test]
    fn headers_by_name_by_value_and_by_list_element() {
        assert!(holds("hdr name content-TYPE"));
        assert!(holds("hdr name Via value '2 d'"));
        assert!(holds(r#"hdr name Via value '1.1 "b,c"'"#));
        assert!(!holds("fhdr name Via value '2 d'"));
        assert!(holds("fhdr name Via value -m end '2 d'"));
        assert!(holds("hdr name set-cookie value -m beg sessid="));
        assert!(holds("hdr name -m beg SET- value -m sub ess"));
        assert!(holds("hdr name -m reg ^Set value -m reg =[0-9]$"));
        assert!(!holds("hdr name Set-Cookie value -m reg ^SESS"));
        assert!(holds("fhdr name X-Odd value -m sub \\xc2\\x80"));
        assert!(holds("! hdr name X-Debug"));
        assert!(!holds("! hdr name Via"));
        assert!(holds("hdr name Via comment 'a proxy'"));
    }
}
