//! The grammar of `--expect`, and what a rule says of a response.
//!
//! An input is a rule, a line of status and header fields (`200 Name: value, …` up to a tab each),
//! and the body, each on a line.

use sni_check::haproxy::words::quote;
use sni_check::options::expect::Expectation;

pub fn hold(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.splitn(3, '\n');
    let (Some(rule), Some(head), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let mut fields = head.split('\t');
    let status = fields.next().and_then(|status| status.parse().ok());
    let response = Response {
        status: status
            .filter(|status| (100..=999).contains(status))
            .unwrap_or(200),
        headers: fields.filter_map(|field| field.split_once(':')).collect(),
        body,
    };
    match rule.parse::<Expectation>() {
        Ok(parsed) => {
            assert_printed_means_the_same(&parsed);
            assert_negation_turns_it_round(rule, &parsed, &response);
        }
        Err(error) => assert!(!format!("{error:#}").trim().is_empty()),
    }
    assert_patterns_are_taken_word_for_word(rule, &response);
    assert_status_lists_are_numbers(rule, &response);
}

struct Response<'a> {
    status: u16,
    headers: Vec<(&'a str, &'a str)>,
    body: &'a str,
}

impl Response<'_> {
    fn meets(&self, rule: &Expectation) -> bool {
        rule.holds(self.status, self.headers.iter().copied(), self.body)
    }

    fn meets_text(&self, rule: &str) -> bool {
        let parsed = rule.parse();
        self.meets(&parsed.unwrap_or_else(|error| panic!("{rule}: {error:#}")))
    }
}

fn assert_printed_means_the_same(rule: &Expectation) {
    let again: Expectation = rule.to_string().parse().expect("what was printed");
    assert_eq!(format!("{again:?}"), format!("{rule:?}"));
}

fn assert_negation_turns_it_round(text: &str, rule: &Expectation, response: &Response<'_>) {
    let other = match text.trim_start().strip_prefix('!') {
        Some(bare) => bare.to_owned(),
        None => format!("! {text}"),
    };
    let other: Expectation = other.parse().expect("the same with or without !");
    assert_eq!(other.part(), rule.part());
    assert_ne!(other.is_negated(), rule.is_negated());
    assert_ne!(response.meets(&other), response.meets(rule));
}

/// Any text, quoted as HAProxy's manual says, section 2.2, is looked for as it is.
fn assert_patterns_are_taken_word_for_word(pattern: &str, response: &Response<'_>) {
    // A line break within single quotes ends the rule.
    if pattern.is_empty() || pattern.contains(['\r', '\n']) {
        return;
    }
    for quoted in [quote(pattern), in_single_quotes(pattern)] {
        let found = response.meets_text(&format!("string {quoted}"));
        assert_eq!(found, response.body.contains(pattern), "string {quoted}");
        type Matches = fn(&str, &str) -> bool;
        let methods: [(&str, Matches); 4] = [
            ("str", |value, pattern| value == pattern),
            ("beg", |value, pattern| value.starts_with(pattern)),
            ("end", |value, pattern| value.ends_with(pattern)),
            ("sub", |value, pattern| value.contains(pattern)),
        ];
        for (method, matches) in methods {
            let rule = format!("fhdr name VIA value -m {method} {quoted}");
            let via = response
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("via"));
            let found = via.clone().any(|(_, value)| matches(value.trim(), pattern));
            assert_eq!(response.meets_text(&rule), found, "{rule}");
        }
    }
}

fn in_single_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// `status` with a list, read once more in the simplest way.
fn assert_status_lists_are_numbers(rule: &str, response: &Response<'_>) {
    let list = rule
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b",-".contains(&byte));
    if !list || rule.is_empty() {
        return;
    }
    let number = |text: &str| {
        text.parse()
            .ok()
            .filter(|code: &u32| (100..=999).contains(code))
    };
    let range = |item: &str| match item.split_once('-') {
        Some((low, high)) => number(low)
            .zip(number(high))
            .filter(|(low, high)| low <= high),
        None => number(item).map(|code| (code, code)),
    };
    let ranges: Option<Vec<(u32, u32)>> = rule.split(',').map(range).collect();
    let status = u32::from(response.status);
    let expected = ranges.map(|ranges| {
        ranges
            .iter()
            .any(|(low, high)| (*low..=*high).contains(&status))
    });
    let parsed: Option<Expectation> = format!("status {rule}").parse().ok();
    assert_eq!(parsed.map(|rule| response.meets(&rule)), expected);
}
