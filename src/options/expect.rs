//! `--expect`: HAProxy's `http-check expect` (configuration manual, section 4.2), with its quoting
//! (section 2.2).
//!
//! `[!] status 200,300-399` · `[!] rstatus REGEX` · `[!] string TEXT` · `[!] rstring REGEX` ·
//! `[!] hdr|fhdr name [-m str|beg|end|sub|reg] NAME [value [-m …] VALUE]`, each also with
//! `comment TEXT` and `min-recv BYTES`

mod dialect;
mod grammar;
mod pattern;
pub mod regex;
mod rule;

use std::str::FromStr;

pub use self::rule::{Answer, Expectation, Field, Part};
use crate::refusal::Misfit;

impl FromStr for Expectation {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Expectation, Misfit> {
        grammar::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Answer, Expectation, Field};
    use crate::deadline::Deadline;

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
        let deadline = Deadline::new(Instant::now(), Duration::from_secs(60));
        parsed.holds(answer, deadline).expect("an answer")
    }

    fn holds(rule: &str) -> bool {
        holds_with(rule, b"all good\nid 42 \xff$\n")
    }

    #[test]
    fn status_rules_match_lists_ranges_and_regular_expressions() {
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
    fn body_strings_are_quoted_as_in_haproxy() {
        assert!(holds(r"string all\ good"));
        assert!(holds(r#"string "all good""#));
        assert!(holds("string 'all good'"));
        assert!(holds(r"string good\nid"));
        assert!(holds(r#"string "all\x20good""#));
        assert!(holds(r"string \xff\x24"));
        assert!(!holds("string bad"));
        assert!(holds("string 'all good' comment 'the word of the page'"));
        assert!(holds("comment x ! string bad"));
        assert!(holds("min-recv 100 string good"));
        assert!(holds("!!string good"));
        assert!(holds("! ! ! string bad"));
    }

    #[test]
    fn regular_expressions_are_pcre2_on_bytes() {
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
    fn header_rules_match_names_values_and_list_elements() {
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
