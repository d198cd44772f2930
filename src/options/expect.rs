//! `--expect`: HAProxy's `http-check expect` grammar (configuration manual, section 4.2).
//!
//! `[!] status 200,300-399` · `[!] rstatus REGEX` · `[!] string TEXT` · `[!] rstring REGEX` ·
//! `[!] hdr|fhdr name [-m str|beg|end|sub|reg] NAME [value [-m …] VALUE]`

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use anyhow::{Context, Error, Result, bail, ensure};
use regex_lite::Regex;

use crate::haproxy::words;

/// One condition that the response must meet.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The words it was written with, for messages.
    text: String,
    negated: bool,
    subject: Subject,
}

/// The part of the response that an expectation looks at.
#[derive(Clone, Debug)]
enum Subject {
    Status(Vec<RangeInclusive<u16>>),
    StatusText(Pattern),
    Header(HeaderMatch),
    Body(Pattern),
}

#[derive(Clone, Debug)]
struct HeaderMatch {
    name: Pattern,
    value: Option<Pattern>,
    /// `fhdr`: the value is compared whole, commas do not part it.
    whole: bool,
}

/// HAProxy's matching methods (`-m`).
#[derive(Clone, Debug)]
enum Pattern {
    Exact(String),
    Begins(String),
    Ends(String),
    Contains(String),
    Regex(Regex),
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

impl Expectation {
    /// HAProxy's implicit rule: 2xx and 3xx are healthy.
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

    /// Whether a response with this head and body meets it.
    ///
    /// `headers` are name and value pairs; `body` is what was read of the body.
    pub fn holds<'a>(
        &self,
        status: u16,
        headers: impl Iterator<Item = (&'a str, &'a str)>,
        body: &str,
    ) -> bool {
        let found = match &self.subject {
            Subject::Status(ranges) => ranges.iter().any(|range| range.contains(&status)),
            Subject::StatusText(pattern) => pattern.matches(&status.to_string()),
            Subject::Header(header) => header.matches(headers),
            Subject::Body(pattern) => pattern.matches(body),
        };
        found != self.negated
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl HeaderMatch {
    fn matches<'a>(&self, mut headers: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
        headers.any(|(name, value)| {
            self.name.matches(&name.to_ascii_lowercase())
                && match &self.value {
                    None => true,
                    Some(wanted) if self.whole => wanted.matches(value.trim()),
                    Some(wanted) => list_elements(value).any(|element| wanted.matches(element)),
                }
        })
    }
}

/// The elements of a comma-separated header value; a comma in a quoted string parts nothing
/// (RFC 9110, section 5.6.1).
fn list_elements(value: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    value
        .split(move |c: char| {
            let parts = c == ',' && !quoted;
            quoted ^= c == '"' && !escaped;
            escaped = c == '\\' && quoted && !escaped;
            parts
        })
        .map(str::trim)
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Exact(wanted) => text == wanted,
            Pattern::Begins(wanted) => text.starts_with(wanted.as_str()),
            Pattern::Ends(wanted) => text.ends_with(wanted.as_str()),
            Pattern::Contains(wanted) => text.contains(wanted.as_str()),
            Pattern::Regex(regex) => regex.is_match(text),
        }
    }

    fn new(method: &str, text: &str) -> Result<Pattern> {
        let owned = text.to_owned();
        Ok(match method {
            "str" => Pattern::Exact(owned),
            "beg" => Pattern::Begins(owned),
            "end" => Pattern::Ends(owned),
            "sub" => Pattern::Contains(owned),
            "reg" => {
                let regex = Regex::new(text).with_context(|| {
                    format!(
                        "`{text}` is no regular expression; a backslash before ( [ * + ? . takes their meaning away"
                    )
                });
                Pattern::Regex(regex?)
            }
            _ => bail!("-m {method}: write one of str, beg, end, sub, reg"),
        })
    }
}

impl FromStr for Expectation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Expectation> {
        let (negated, rule) = match text.trim().strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text.trim()),
        };
        let words = words(rule)?;
        let mut words = words.iter().map(String::as_str);
        let keyword = words.next().context(
            "empty; write for example 'status 200,300-399', 'string TEXT' or 'hdr name NAME'",
        )?;
        let subject = match keyword {
            "status" => Subject::Status(status_ranges(only_word(words, "status")?)?),
            "rstatus" => Subject::StatusText(Pattern::new("reg", only_word(words, "rstatus")?)?),
            "string" => Subject::Body(Pattern::new("sub", only_word(words, "string")?)?),
            "rstring" => Subject::Body(Pattern::new("reg", only_word(words, "rstring")?)?),
            "hdr" | "fhdr" => Subject::Header(header_match(words, keyword)?),
            _ => bail!(
                "`{keyword}`: write one of status, rstatus, string, rstring, hdr, fhdr, each with or without a leading !"
            ),
        };
        Ok(Expectation {
            text: text.trim().to_owned(),
            negated,
            subject,
        })
    }
}

/// The one word that must follow `keyword`.
fn only_word<'a>(mut words: impl Iterator<Item = &'a str>, keyword: &str) -> Result<&'a str> {
    match (words.next(), words.next()) {
        (Some(word), None) if !word.is_empty() => Ok(word),
        (Some(_), Some(_)) => bail!(
            "`{keyword}` takes one word; quote a pattern that has spaces: {keyword} \"two words\""
        ),
        _ => bail!("`{keyword}` needs a pattern after it"),
    }
}

fn status_ranges(list: &str) -> Result<Vec<RangeInclusive<u16>>> {
    let code = |text: &str| -> Result<u16> {
        let number = text
            .parse()
            .ok()
            .filter(|number| (100..=999).contains(number));
        number.with_context(|| {
            format!("`{text}` is no status code; write for example status 200,300-399")
        })
    };
    list.split(',')
        .map(|item| {
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            let (low, high) = (code(low)?, code(high)?);
            ensure!(low <= high, "the range {item} is empty; write {high}-{low}");
            Ok(low..=high)
        })
        .collect()
}

fn header_match<'a>(words: impl Iterator<Item = &'a str>, keyword: &str) -> Result<HeaderMatch> {
    let mut words = words.peekable();
    let mut field = |name: &str| -> Result<Option<(&'a str, &'a str)>> {
        match words.next() {
            None => return Ok(None),
            Some(word) if word == name => {}
            Some(word) => {
                bail!("`{word}`: write {keyword} name [-m METHOD] NAME [value [-m METHOD] VALUE]")
            }
        }
        let method = match words.next_if_eq(&"-m") {
            Some(_) => words
                .next()
                .context("-m: write one of str, beg, end, sub, reg")?,
            None => "str",
        };
        let pattern = words
            .next()
            .with_context(|| format!("`{name}` needs a pattern after it"))?;
        Ok(Some((method, pattern)))
    };
    let (method, name) = field("name")?.with_context(|| {
        format!("`{keyword}` needs a header name: {keyword} name NAME [value VALUE]")
    })?;
    ensure!(
        !name.is_empty(),
        "`{keyword} name` is empty; write the header's name"
    );
    // Header names are compared in lower case, whatever the method (RFC 9110, section 5.1); a
    // regular expression must not be changed, it gets the flag instead.
    let name = match method {
        "reg" => Pattern::new(method, &format!("(?i){name}"))?,
        _ => Pattern::new(method, &name.to_ascii_lowercase())?,
    };
    let value = field("value")?
        .map(|(method, value)| Pattern::new(method, value))
        .transpose()?;
    if let Some(extra) = words.next() {
        bail!(
            "`{extra}`: nothing may follow the value; quote a value that has spaces, and write -m before its pattern"
        );
    }
    Ok(HeaderMatch {
        name,
        value,
        whole: keyword == "fhdr",
    })
}

/// The words of a rule, as HAProxy would read them after `http-check expect`.
fn words(rule: &str) -> Result<Vec<String>> {
    let text = |word: Vec<u8>| {
        String::from_utf8(word).context("a pattern that is not UTF-8; leave \\x80 to \\xff out")
    };
    words::split_value(rule)?.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::Expectation;

    const HEADERS: [(&str, &str); 3] = [
        ("Content-Type", "text/html"),
        ("Via", "1.1 a, 1.1 \"b,c\" , 2 d"),
        ("Set-Cookie", "sessid=1"),
    ];

    fn holds(rule: &str) -> bool {
        let rule: Expectation = rule.parse().expect(rule);
        rule.holds(204, HEADERS.into_iter(), "all good\nid 42")
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
    fn body_strings_with_haproxys_quoting() {
        assert!(holds(r"string all\ good"));
        assert!(holds(r#"string "all good""#));
        assert!(holds("string 'all good'"));
        assert!(holds(r"string good\nid"));
        assert!(holds(r#"string "all\x20good""#));
        assert!(!holds("string bad"));
        assert!(holds(r"rstring id\ \d+"));
        assert!(holds(r"! rstring ^\d"));
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
        assert!(holds("! hdr name X-Debug"));
        assert!(!holds("! hdr name Via"));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence_that_shows_the_right_form() {
        for (rule, part) in [
            ("", "write for example"),
            ("!", "write for example"),
            ("statsu 200", "write one of status"),
            ("status", "needs a pattern"),
            ("status 2000", "no status code"),
            ("status 399-300", "write 300-399"),
            ("status 200 300", "one word"),
            ("string all good", "quote a pattern"),
            ("string 'open", "not closed"),
            ("string \"ERROR$\"", r"write \$"),
            ("string \"$HOME\"", r"write \$"),
            (r"string \xg0", "hexadecimal"),
            ("string a\nb", r"write \n"),
            ("string a #b", r"write \#"),
            ("string a#b", r"write \#"),
            ("rstring (", "no regular expression"),
            ("hdr Via", "name [-m METHOD] NAME"),
            ("hdr", "needs a header name"),
            ("hdr name -m foo x", "str, beg, end, sub, reg"),
            ("hdr name Via value a b", "nothing may follow"),
        ] {
            let error = rule.parse::<Expectation>().expect_err(rule).to_string();
            assert!(error.contains(part), "{rule}: {error}");
        }
    }
}
