//! The grammar of `--expect`, and the verdict of a rule about a response.
//!
//! The first line of an input is a rule. The second line is the status and the header fields, separated by
//! tabs. The rest is the body.

use std::time::{Duration, Instant};

use sni_check::deadline::Deadline;
use sni_check::haproxy::words::quote;
use sni_check::options::expect::regex::GivenUp;
use sni_check::options::expect::{Answer, Expectation, Field, Part};

/// A time limit that no match reaches, because PCRE2's own limit ends the match first.
const ENOUGH: Duration = Duration::from_secs(60);

pub fn hold(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.splitn(3, '\n');
    let (Some(rule), Some(head), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let mut fields = head.split('\t');
    let status = fields.next().unwrap_or_default();
    let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    let response = Response {
        status: if digits { status } else { "200" },
        fields: fields
            .filter_map(|field| field.split_once(':'))
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        body,
    };
    match rule.parse::<Expectation>() {
        Ok(parsed) => {
            assert_printed_rule_parses_to_the_same_rule(&parsed);
            assert_negation_reverses_the_verdict(rule, &parsed, &response);
        }
        Err(misfit) => assert!(!misfit.to_string().trim().is_empty()),
    }
    assert_quoted_patterns_are_literal(rule, &response);
    assert_status_lists_match_the_simple_reader(rule, &response);
}

struct Response<'a> {
    status: &'a str,
    fields: Vec<Field>,
    body: &'a str,
}

impl Response<'_> {
    fn meets(&self, rule: &Expectation) -> Result<bool, GivenUp> {
        let answer = Answer {
            status: self.status,
            fields: &self.fields,
            body: self.body.as_bytes(),
        };
        rule.holds(answer, Deadline::new(Instant::now(), ENOUGH))
    }

    /// Matches a rule without a regular expression.
    fn meets_text(&self, rule: &str) -> bool {
        let parsed = rule.parse();
        let parsed = parsed.unwrap_or_else(|misfit| panic!("{rule}: {misfit}"));
        self.meets(&parsed).expect("no regular expression")
    }
}

fn assert_printed_rule_parses_to_the_same_rule(rule: &Expectation) {
    let again: Expectation = rule.to_string().parse().expect("a printed rule");
    assert_eq!(format!("{again:?}"), format!("{rule:?}"));
}

fn assert_negation_reverses_the_verdict(text: &str, rule: &Expectation, response: &Response<'_>) {
    let other: Expectation = match format!("! {text}").parse() {
        Ok(other) => other,
        Err(_) => return, // The rule begins with `comment`, which can't follow `!`.
    };
    assert_eq!(other.part(), rule.part());
    assert_ne!(other.is_negated(), rule.is_negated());
    let no_body = rule.part() == Part::Body && response.body.is_empty();
    match (response.meets(rule), response.meets(&other)) {
        (Ok(one), Ok(other)) if no_body => assert!(!one && !other, "both fail without a body"),
        (Ok(one), Ok(other)) => assert_ne!(one, other),
        (one, other) => assert_eq!(one.err(), other.err(), "both reach the same limit"),
    }
}

/// Asserts that a pattern in quotes (HAProxy's manual, section 2.2) matches exactly its own text.
fn assert_quoted_patterns_are_literal(pattern: &str, response: &Response<'_>) {
    // A line break in single quotes ends the rule, and a NUL ends a pattern.
    if pattern.is_empty() || pattern.contains(['\r', '\n', '\0']) {
        return;
    }
    for quoted in [quote(pattern), in_single_quotes(pattern)] {
        let found = response.meets_text(&format!("string {quoted}"));
        assert_eq!(found, response.body.contains(pattern), "string {quoted}");
        let pattern = pattern.as_bytes();
        type Matches = fn(&[u8], &[u8]) -> bool;
        let methods: [(&str, Matches); 4] = [
            ("str", |value, pattern| value == pattern),
            ("beg", |value, pattern| value.starts_with(pattern)),
            ("end", |value, pattern| value.ends_with(pattern)),
            ("sub", |value, pattern| {
                value.windows(pattern.len()).any(|part| part == pattern)
            }),
        ];
        for (method, matches) in methods {
            let rule = format!("fhdr name VIA value -m {method} {quoted}");
            let mut via = response
                .fields
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case(b"via"));
            let found = via.any(|(_, value)| matches(value.trim_ascii(), pattern));
            assert_eq!(response.meets_text(&rule), found, "{rule}");
        }
    }
}

fn in_single_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Compares the verdict of `status LIST` with the verdict of a second, simple implementation.
fn assert_status_lists_match_the_simple_reader(rule: &str, response: &Response<'_>) {
    let list = rule
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b",-".contains(&byte));
    if !list || rule.is_empty() {
        return;
    }
    let number = |text: &str| match text {
        "" => Some(0),
        text => text.parse().ok(),
    };
    let range = |item: &str| match item.split_once('-') {
        Some((low, high)) => number(low)
            .zip(number(high))
            .filter(|(low, high)| low <= high),
        None => number(item).map(|code| (code, code)),
    };
    let ranges: Option<Vec<(u32, u32)>> = rule.split(',').map(range).collect();
    let status: u32 = response.status.parse().expect("digits");
    let expected = ranges.map(|ranges| {
        ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&status))
    });
    let parsed: Option<Expectation> = format!("status {rule}").parse().ok();
    let met = parsed.map(|rule| response.meets(&rule).expect("no regular expression"));
    assert_eq!(met, expected);
}
