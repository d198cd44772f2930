//! Compares how HAProxy and sni-check judge regular expressions, empty patterns and comments in
//! rules.

use crate::harness::{Case, Differs, compare};
use crate::http::{answering, pair};
use crate::support::NAME;
use crate::support::haproxy::{installed, versions};
use crate::support::pki::{Ca, Leaf};

/// Patterns that every release of PCRE2 interprets in the same way.
const ALIKE: [&str; 113] = [
    "a{2}",
    "a{2,}",
    "a{1,2}",
    "a{2}+",
    "a{2,3}?",
    "a{",
    "a{,}",
    "a{x}",
    "{a}",
    "a{1",
    "a{1,",
    "a{1,x}",
    "x{0}a",
    "a*",
    "a+?",
    "a?+b",
    "(a|b)+",
    "(?:a|b)*c",
    "(?>a+)b",
    "(?>a+)a",
    "a++b",
    "a|",
    "|a",
    "()",
    "(?:)",
    "^$",
    "^",
    "$",
    "^a",
    "b$",
    "\\Aa",
    "b\\z",
    "b\\Z",
    "\\Ga",
    "\\ba",
    "a\\b",
    "\\Bb",
    "\\d",
    "\\D",
    "\\w+",
    "\\W",
    "\\s",
    "\\S",
    "\\h",
    "\\H",
    "\\v",
    "\\V",
    "\\R",
    "\\N",
    "\\x61",
    "\\x{61}",
    "\\x{0061}",
    "\\o{141}",
    "\\141",
    "\\cA",
    "\\e",
    "\\t",
    "\\n",
    "\\a",
    "\\.",
    "\\Qa.b\\E",
    "\\Qa{,2}\\E",
    "[ab]",
    "[^ab]",
    "[a-c]",
    "[]a]",
    "[^]a]",
    "[a\\]]",
    "[\\d\\s]",
    "[[:alpha:]]",
    "[[:^alpha:]]",
    "[\\x61]",
    "[{,2}]",
    "[a-]",
    "[\\Qa-c\\E]",
    "(?i)A",
    "(?i:A)",
    "(?-i)a",
    "(?s)a.b",
    "(?m)^b",
    "(?x) a b",
    "(?x)a #c\nb",
    "(?xx)[a b]",
    "(?U)a+",
    "(?^)a",
    "(?i)(?^)A",
    "(?J)(?<n>a)|(?<n>b)",
    "(?=a)a",
    "(?!b)a",
    "(?<=a)a",
    "(?<!b)a",
    "(?<=a|bb)a",
    "(?<=^|a)b",
    "(*pla:a)a",
    "(*nlb:b)a",
    "(?<n>a)\\k<n>",
    "(?<n>a)\\g{n}",
    "(?P<n>a)(?P=n)",
    "(?'n'a)\\k'n'",
    "(?<n>a(?&n)?b)",
    "(?R)?a",
    "(?(?=a)a|b)",
    "(?<n>a)?(?(<n>)b|c)",
    "(?#c)a",
    "(?C1)a",
    "(*FAIL)|a",
    "(*COMMIT)a",
    "(*ACCEPT)a",
    "(*UTF)a",
    "(*UTF8)a",
    "(*CRLF)a.b",
    "a\\Kb",
    "\\p{L}",
];

/// Patterns that releases of PCRE2 interpret differently, so sni-check refuses them.
const DIFFERENT: [&str; 34] = [
    "a{,2}",
    "a{,2}b",
    "a{ 2}",
    "a{2 }",
    "a{1, 2}",
    "a{1 ,2}",
    "a{ ,2}",
    "a{2, }",
    "\\x{ 61 }",
    "\\o{ 141 }",
    "[\\x{ 61 }]",
    "(?<n>a)\\k{ n }",
    "(?<n>a)\\g{ n }",
    "\\x",
    "\\xg",
    "\\X",
    "\\p{Latin}",
    "\\p{Greek}",
    "\\p{ L }",
    "\\p{Alphabetic}",
    "\\p{sc:Latin}",
    "(?i)\\p{Lu}",
    "(?=a\\K)",
    "(?<=a\\K)b",
    "(?<=a+)b",
    "(?<=a?)b",
    "(?<=a{1,2})b",
    "(?<=(a|aa))b",
    "(?aD)\\d",
    "(?r)a",
    "(*UCP)\\w",
    "(*CASELESS_RESTRICT)a",
    "(*TURKISH_CASING)a",
    "(?(VERSION>=10.43)a|zzz)",
];

/// Rules with comments, other keywords and empty patterns.
const RULES: [&str; 44] = [
    "status 200 # only 200",
    "status 200# only 200",
    "status 200 #",
    "status 404 # or 200",
    "# status 200",
    "string \"aab\" # the body",
    "string aab#c",
    "string 'aab#c'",
    "string \"aab#c\"",
    "string aab\\#c",
    "hdr name X-A # which",
    "! status 404 # not",
    "comment a # b",
    "hdr name -m sub \"\"",
    "hdr name -m beg \"\"",
    "hdr name -m end \"\"",
    "hdr name -m str \"\"",
    "hdr name -m reg \"\"",
    "fhdr name -m sub \"\"",
    "fhdr name -m beg \"\"",
    "! hdr name -m sub \"\"",
    "! hdr name -m beg \"\"",
    "hdr name X-A value -m sub \"\"",
    "hdr name X-A value -m beg \"\"",
    "hdr name X-A value -m end \"\"",
    "hdr name X-A value -m str \"\"",
    "hdr name X-A value -m reg \"\"",
    "hdr name X-E value -m sub \"\"",
    "hdr name X-E value -m beg \"\"",
    "hdr name X-E value -m str \"\"",
    "fhdr name X-E value -m str \"\"",
    "fhdr name X-A value -m end \"\"",
    "! hdr name X-A value -m sub \"\"",
    "! hdr name X-E value -m str \"\"",
    "hdr name -m sub \"\" value -m sub \"\"",
    "hdr name -m beg \"\" value y",
    "hdr name -m str \"\" value y",
    "hdr name \"\"",
    "hdr name X-A value \"\"",
    "string \"\"",
    "rstring \"\"",
    "rstatus \"\"",
    "hdr name -m sub",
    "hdr name X-A value -m sub",
];

const RESPONSES: [&[u8]; 3] = [
    b"HTTP/1.1 200 OK\r\nX-A: y\r\nX-E:\r\nContent-Length: 3\r\n\r\naab",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na{,2} A\nb",
    b"HTTP/1.1 404 No\r\nX-A: a, y\r\nContent-Length: 5\r\n\r\nb\x01\xe9\x00a",
];

fn table(leaf: &Leaf) -> Vec<Case> {
    const REFUSED: Differs = Differs::PerhapsStricter("refused: releases read it differently");
    const LIMIT: Differs = Differs::PerhapsLimit("PCRE2 reaches a limit, or the text is not UTF-8");
    let mut cases = Vec::new();
    for (number, response) in RESPONSES.into_iter().enumerate() {
        let port = answering(leaf, response);
        let mut judge = |rule: &str, differs| {
            let name = format!("{} | response {number}", rule.escape_debug());
            cases.push(pair(name, port, rule, differs));
        };
        for (patterns, differs) in [(&ALIKE[..], LIMIT), (&DIFFERENT[..], REFUSED)] {
            for pattern in patterns.iter().filter(|pattern| !pattern.contains('\n')) {
                judge(
                    &format!("rstring '{}'", pattern.replace('\'', "'\\''")),
                    differs,
                );
                judge(
                    &format!("! rstring '{}'", pattern.replace('\'', "'\\''")),
                    differs,
                );
            }
        }
        for rule in RULES {
            judge(rule, Differs::No);
        }
    }
    cases
}

#[test]
fn the_installed_haproxy_judges_patterns_as_we_do() {
    let leaf = Ca::new().leaf(&[NAME], 30);
    let some = table(&leaf).into_iter().step_by(3).collect::<Vec<_>>();
    compare("patterns", &[installed()], &some);
}

#[test]
#[ignore = "make parity"]
fn every_haproxy_judges_patterns_as_we_do() {
    let leaf = Ca::new().leaf(&[NAME], 30);
    compare("patterns", &versions(), &table(&leaf));
}
