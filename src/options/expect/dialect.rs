//! Refuses syntax that releases of PCRE2 read differently. HAProxy uses the PCRE2 of its host:
//! 10.36 on Debian 11, 10.42 on Debian 12, 10.46 on Debian 13. The pattern must mean the same in
//! each release.

use crate::refusal::Misfit;

/// Refuses a pattern that a release of PCRE2 from 10.36 to 10.48 reads differently from our PCRE2.
/// `caseless` is true if HAProxy compiles the pattern without regard to case.
///
/// # Errors
///
/// The syntax that releases read differently, and what to write instead.
pub(super) fn check(pattern: &str, caseless: bool) -> Result<(), Misfit> {
    let mut scanner = Scanner {
        rest: pattern,
        groups: Vec::new(),
        caseless: caseless || pattern.contains("(?i"),
    };
    while !scanner.rest.is_empty() {
        scanner.step()?;
    }
    Ok(())
}

/// The kinds of groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Plain,
    Lookahead,
    Lookbehind,
}

struct Scanner<'a> {
    rest: &'a str,
    /// The groups that are still open.
    groups: Vec<Group>,
    caseless: bool,
}

fn differs<T>(what: impl Into<String>, write: impl Into<String>) -> Result<T, Misfit> {
    let what = what.into();
    Err(Misfit::new(
        format!("has {what}, which HAProxy may read differently, depending on its PCRE2 release"),
        write,
    ))
}

impl<'a> Scanner<'a> {
    fn take(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    /// Returns the text before `mark`, and the length of this text and `mark`. If `mark` doesn't occur,
    /// returns the rest and its length.
    fn until(&self, mark: &str) -> (&'a str, usize) {
        match self.rest.split_once(mark) {
            Some((text, _)) => (text, text.len() + mark.len()),
            None => (self.rest, self.rest.len()),
        }
    }

    fn step(&mut self) -> Result<(), Misfit> {
        let in_lookbehind = self.groups.contains(&Group::Lookbehind);
        match self.rest.chars().next() {
            Some('\\') => self.escape(),
            Some('[') => self.class(),
            Some('(') => self.group(),
            Some('{') => self.braces(in_lookbehind),
            Some(')') => {
                self.groups.pop();
                self.take(1);
                Ok(())
            }
            Some('*' | '+' | '?') if in_lookbehind => variable(),
            Some('|') if in_lookbehind && self.groups.last() != Some(&Group::Lookbehind) => {
                variable()
            }
            other => {
                self.take(other.map_or(0, char::len_utf8));
                Ok(())
            }
        }
    }

    fn escape(&mut self) -> Result<(), Misfit> {
        self.take(1);
        let Some(kind) = self.rest.chars().next() else {
            return Ok(());
        };
        self.take(kind.len_utf8());
        let braced = self.rest.strip_prefix('{').map(|_| self.until("}"));
        let is_hex = self.rest.starts_with(|next: char| next.is_ascii_hexdigit());
        match (kind, braced) {
            ('Q', _) => {
                let (_, length) = self.until("\\E");
                self.take(length);
            }
            ('K', _) if self.groups.iter().any(|group| *group != Group::Plain) => {
                return differs("\\K within a lookaround", "leave \\K out");
            }
            ('X', _) => return differs("\\X", "write the bytes, such as \\xHH"),
            ('x', None) if !is_hex => {
                return differs("\\x without digits", "write \\x00 with its two digits");
            }
            ('p' | 'P', Some((text, length))) => {
                self.property(&text[1..])?;
                self.take(length);
            }
            ('x' | 'o' | 'g' | 'k' | 'N', Some((text, length))) => {
                if text.contains([' ', '\t']) {
                    let what = format!("spaces in `\\{kind}{text}}}`");
                    return differs(what, "leave the spaces out");
                }
                self.take(length);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads the name in `\p{NAME}`. Only general categories mean the same in every release.
    fn property(&self, name: &str) -> Result<(), Misfit> {
        const CATEGORIES: &str = "Any L& C Cc Cf Cn Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc \
                                  Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs Xan Xps Xsp Xuc Xwd";
        let plain = name.trim_start_matches('^');
        let is_of_case = matches!(plain, "L&" | "Ll" | "Lt" | "Lu");
        let is_category = CATEGORIES.split_whitespace().any(|known| known == plain);
        match is_category && !(self.caseless && is_of_case) {
            true => Ok(()),
            false => differs(
                format!("the property `{name}`"),
                "write the characters, such as [a-z]",
            ),
        }
    }

    /// Reads a class in square brackets.
    fn class(&mut self) -> Result<(), Misfit> {
        self.take(1);
        if self.rest.starts_with('^') {
            self.take(1);
        }
        if self.rest.starts_with(']') {
            self.take(1);
        }
        loop {
            match self.rest.chars().next() {
                None => return Ok(()),
                Some(']') => {
                    self.take(1);
                    return Ok(());
                }
                Some('\\') => self.escape()?,
                Some('[') if self.rest.starts_with("[:") => {
                    let (_, length) = self.until(":]");
                    self.take(length);
                }
                Some(other) => self.take(other.len_utf8()),
            }
        }
    }

    /// Reads what follows an opening parenthesis.
    fn group(&mut self) -> Result<(), Misfit> {
        if self.rest.starts_with("(?#") {
            let (_, length) = self.until(")");
            self.take(length);
            return Ok(());
        }
        if self.rest.starts_with("(?[") {
            return differs("`(?[`", "write one class, such as [a-z]");
        }
        if self.rest.starts_with("(?(VERSION") {
            return differs(
                "a condition on VERSION",
                "write only the part that you want",
            );
        }
        if let Some(verb) = self.rest.strip_prefix("(*") {
            return self.verb(verb);
        }
        let intros = [
            ("(?<=", Group::Lookbehind),
            ("(?<!", Group::Lookbehind),
            ("(?<*", Group::Lookbehind),
            ("(?=", Group::Lookahead),
            ("(?!", Group::Lookahead),
            ("(?*", Group::Lookahead),
        ];
        for (intro, group) in intros {
            if self.rest.starts_with(intro) {
                self.groups.push(group);
                self.take(intro.len());
                return Ok(());
            }
        }
        self.groups.push(Group::Plain);
        for (intro, end) in [("(?<", ">"), ("(?P<", ">"), ("(?'", "'")] {
            if self.rest.starts_with(intro) {
                self.take(intro.len());
                let (name, length) = self.until(end);
                self.take(length);
                return match name.len() <= 32 && name.is_ascii() {
                    true => Ok(()),
                    false => differs(
                        "a group name that is long or not ASCII",
                        "write a short name",
                    ),
                };
            }
        }
        match self.rest.strip_prefix("(?") {
            Some(options) => {
                self.take(2);
                let end = options.find(|c: char| !(c.is_ascii_alphabetic() || "^-".contains(c)));
                let letters = &options[..end.unwrap_or(options.len())];
                match letters.contains(['a', 'r']) && !letters.starts_with(['P', 'C']) {
                    true => differs(format!("the options `(?{letters}`"), "leave a and r out"),
                    false => Ok(()),
                }
            }
            None => {
                self.take(1);
                Ok(())
            }
        }
    }

    /// Reads `(*name:…)`, which is a lookaround written as a word, or `(*NAME)`.
    fn verb(&mut self, verb: &str) -> Result<(), Misfit> {
        let name = verb.split([':', ')']).next().unwrap_or_default();
        match name {
            "scs" | "scan_substring" => differs(format!("`(*{name}:`"), "use a lookahead, (?=…)"),
            "CASELESS_RESTRICT" | "TURKISH_CASING" | "UCP" => {
                differs(format!("`(*{name})`"), "leave it out")
            }
            _ => {
                if verb[name.len()..].starts_with(':') {
                    let is_behind = name.ends_with("lb") || name.ends_with("lookbehind");
                    let is_ahead = name.ends_with("la") || name.ends_with("lookahead");
                    self.groups.push(match (is_behind, is_ahead) {
                        (true, _) => Group::Lookbehind,
                        (_, true) => Group::Lookahead,
                        _ => Group::Plain,
                    });
                    self.take(2 + name.len() + 1);
                } else {
                    let (_, length) = self.until(")");
                    self.take(length);
                }
                Ok(())
            }
        }
    }

    /// Reads braces, which are a quantifier or literal characters.
    fn braces(&mut self, in_lookbehind: bool) -> Result<(), Misfit> {
        let (text, length) = self.until("}");
        let inner = text.get(1..).unwrap_or_default();
        let is_closed = length > text.len();
        let is_blank = |c: char| c == ' ' || c == '\t';
        let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
        let (low, high) = (low.trim_matches(is_blank), high.trim_matches(is_blank));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_closed || !is_number(low) || !is_number(high) || (low.is_empty() && high.is_empty())
        {
            self.take(1);
            return Ok(());
        }
        if low.is_empty() || inner.contains(is_blank) {
            let low = if low.is_empty() { "0" } else { low };
            let plain = match inner.contains(',') {
                true => format!("{{{low},{high}}}"),
                false => format!("{{{low}}}"),
            };
            return differs(
                format!("`{text}}}`"),
                format!("write {plain}, or \\{{ for the character"),
            );
        }
        if in_lookbehind && low != high {
            return variable();
        }
        self.take(length);
        Ok(())
    }
}

/// Refuses a lookbehind of variable length. Its top-level alternatives may have different lengths.
fn variable<T>() -> Result<T, Misfit> {
    differs(
        "a lookbehind of variable length",
        "write each length as an alternative, such as (?<=a|ab)",
    )
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn patterns_that_every_release_reads_alike_are_accepted() {
        for pattern in [
            "a{2}b{2,}c{2,3}",
            "{a} a{,} {x,2} {",
            r"\{,2} [{,2}] \Qa{,2}\E",
            r"\x41\x{41}\o{101}\p{Lu}\P{N}\pL",
            r"[\]]{2}[]{,2}]",
            "(?<=ab|c)d(?<!x{2})",
            "(?i)a(?-i)b(?s:.)(?:x)(?>y)(?<name>z)(?P=name)(?&name)(?R)",
            r"a\Kb",
            "(*UTF)(*CRLF)(*FAIL)(*pla:a+)(*plb:ab)",
            "(?# a{,2} )",
            "a?+(b|c)*",
        ] {
            assert!(check(pattern, false).is_ok(), "{pattern}");
        }
    }

    #[test]
    fn patterns_that_releases_read_differently_are_refused() {
        for (pattern, write) in [
            ("a{,2}", "write {0,2}"),
            ("a{ 2 }", "write {2}"),
            ("a{1, 2}", "write {1,2}"),
            ("a{ ,2}", "write {0,2}"),
            (r"\x{ 41 }", "leave the spaces out"),
            (r"[\x{ 41 }]", "leave the spaces out"),
            (r"(?<n>a)\k{ n }", "leave the spaces out"),
            (r"\x", "two digits"),
            (r"\p{Greek}", "write the characters"),
            (r"\p{Script=Greek}", "write the characters"),
            (r"(?i)\p{Lu}", "write the characters"),
            (r"(?=a\Kb)", r"leave \K out"),
            (r"\X", "write the bytes"),
            ("(?<=a+)b", "each length"),
            ("(?<=a{1,2})b", "each length"),
            ("(?<!(a|bc))d", "each length"),
            ("(*plb:a?)b", "each length"),
            ("(?aD)a", "leave a and r out"),
            ("(?r:a)", "leave a and r out"),
            ("(?[a])", "one class"),
            ("(*scs:(1)a)", "lookahead"),
            ("(*CASELESS_RESTRICT)a", "leave it out"),
            ("(*UCP)a", "leave it out"),
            ("(?(VERSION>=10.4)a|b)", "only the part"),
            ("(?<a23456789012345678901234567890123>a)", "a short name"),
        ] {
            let text = match check(pattern, false) {
                Ok(()) => panic!("{pattern} is accepted"),
                Err(misfit) => misfit.of("it").to_string(),
            };
            assert!(text.contains(write), "{pattern}: {text}");
        }
    }
}
