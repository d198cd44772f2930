//! Reads the words of a rule, as HAProxy's `http-check expect` reads them.

use std::ops::RangeInclusive;
use std::slice;

use super::pattern::Pattern;
use super::regex::Regex;
use super::rule::{Expectation, HeaderMatch, Subject};
use crate::haproxy::words::split_value;
use crate::refusal::Misfit;

/// Reads a rule.
pub(super) fn parse(text: &str) -> Result<Expectation, Misfit> {
    let words = split_value(text)?;
    if words.iter().any(|word| word.contains(&0)) {
        return Err(Misfit::new(
            "has a NUL, at which HAProxy would end the pattern",
            "leave \\x00 out",
        ));
    }
    let mut rule = Rule {
        words: words.iter(),
        negated: false,
        min_recv: 0,
        subject: None,
    };
    rule.read()?;
    let subject = rule.subject.ok_or_else(|| {
        Misfit::new(
            "has no pattern",
            "write for example 'status 200,300-399', 'string TEXT' or 'hdr name NAME'",
        )
    })?;
    Ok(Expectation {
        text: text.trim_ascii_start().to_owned(),
        negated: rule.negated,
        min_recv: rule.min_recv,
        subject,
    })
}

/// A rule that is being read.
struct Rule<'a> {
    words: slice::Iter<'a, Vec<u8>>,
    negated: bool,
    min_recv: usize,
    subject: Option<Subject>,
}

impl<'a> Rule<'a> {
    fn read(&mut self) -> Result<(), Misfit> {
        let mut marked = false;
        while let Some(word) = self.words.next() {
            let marks = word.iter().take_while(|byte| **byte == b'!').count();
            self.negated ^= marks % 2 == 1;
            marked |= marks > 0;
            match &word[marks..] {
                b"" if marks > 0 => continue,
                b"comment" if !marked => {
                    self.pattern("comment")?;
                }
                b"min-recv" if !marked => self.min_recv = min_recv(self.pattern("min-recv")?)?,
                keyword @ (b"status" | b"rstatus" | b"string" | b"rstring" | b"hdr" | b"fhdr") => {
                    if self.subject.is_some() {
                        let what = format!("has a second pattern, `{}`", shown(keyword));
                        return Err(Misfit::new(what, "give one --expect for each"));
                    }
                    self.subject = Some(self.subject(keyword)?);
                }
                keyword => return Err(unknown(keyword, self.subject.as_ref())),
            }
            marked = false;
        }
        if marked {
            return Err(Misfit::new(
                "ends in !",
                "write ! before the pattern, such as '! string TEXT'",
            ));
        }
        Ok(())
    }

    fn subject(&mut self, keyword: &[u8]) -> Result<Subject, Misfit> {
        Ok(match keyword {
            b"status" => Subject::Status(status_list(self.pattern("status")?)?),
            b"rstatus" => Subject::StatusText(method("reg", self.pattern("rstatus")?, false)?),
            b"string" => Subject::Body(method("sub", self.pattern("string")?, false)?),
            b"rstring" => Subject::Body(method("reg", self.pattern("rstring")?, false)?),
            _ => Subject::Header(self.header(keyword)?),
        })
    }

    /// Reads the pattern that must follow `keyword`.
    fn pattern(&mut self, keyword: &str) -> Result<&'a [u8], Misfit> {
        let word = self.words.next().filter(|word| !word.is_empty());
        word.map(Vec::as_slice).ok_or_else(|| {
            let example = match keyword {
                "status" => "status 200,300-399".to_owned(),
                "rstatus" => "rstatus ^2".to_owned(),
                "name" => "hdr name Via".to_owned(),
                "value" => "hdr name Via value \"1.1 a\"".to_owned(),
                "min-recv" => "min-recv 100 string good".to_owned(),
                "comment" => "comment \"the page\" string good".to_owned(),
                keyword => format!("{keyword} \"all good\""),
            };
            let within = match example.contains('"') {
                true => "; between the double quotes of haproxy.cfg write \\\" for each \"",
                false => "",
            };
            Misfit::new(
                format!("has no pattern after `{keyword}`, or an empty one"),
                format!("quote the whole rule, such as --expect '{example}'{within}"),
            )
        })
    }

    fn is_empty_next(&self) -> bool {
        self.words.as_slice().first().is_none_or(Vec::is_empty)
    }

    fn header(&mut self, keyword: &[u8]) -> Result<HeaderMatch, Misfit> {
        let form = format!(
            "write {} name [-m METHOD] NAME [value [-m METHOD] VALUE]",
            shown(keyword)
        );
        match self.words.next().map(Vec::as_slice) {
            Some(b"name") => {}
            Some(b"name-lf") => return Err(log_format("name-lf", "name")),
            _ => {
                let what = format!("has no `name` after `{}`", shown(keyword));
                return Err(Misfit::new(what, form));
            }
        }
        let name = self.by_method("name", true)?;
        let value = match self.words.as_slice().first().map(Vec::as_slice) {
            Some(b"value") => {
                self.words.next();
                Some(self.by_method("value", false)?)
            }
            Some(b"value-lf") => return Err(log_format("value-lf", "value")),
            _ => None,
        };
        Ok(HeaderMatch {
            name,
            value,
            whole: keyword == b"fhdr",
        })
    }

    /// Reads `[-m METHOD] PATTERN`, which follows `keyword`.
    fn by_method(&mut self, keyword: &str, is_name: bool) -> Result<Pattern, Misfit> {
        let given = self
            .words
            .as_slice()
            .first()
            .is_some_and(|word| word == b"-m");
        if !given {
            return method("str", self.pattern(keyword)?, is_name);
        }
        self.words.next();
        match self.words.next().map(|word| shown(word)).as_deref() {
            // As in HAProxy, a name with a method may be empty. Then every name matches.
            Some("str" | "beg" | "end" | "sub" | "reg") if is_name && self.is_empty_next() => {
                self.words.next();
                Ok(Pattern::Begins(Vec::new()))
            }
            Some(name @ ("str" | "beg" | "end" | "sub" | "reg")) => {
                method(name, self.pattern(keyword)?, is_name)
            }
            name => Err(Misfit::new(
                format!("has -m {}", name.unwrap_or_default()),
                "write one of str, beg, end, sub, reg after -m",
            )),
        }
    }
}

/// Builds a pattern with its matching method. Header names are compared without regard to case.
fn method(name: &str, pattern: &[u8], is_name: bool) -> Result<Pattern, Misfit> {
    let bytes = if is_name {
        pattern.to_ascii_lowercase()
    } else {
        pattern.to_owned()
    };
    Ok(match name {
        "str" => Pattern::Exact(bytes),
        "beg" => Pattern::Begins(bytes),
        "end" => Pattern::Ends(bytes),
        "sub" => Pattern::Contains(bytes),
        _ => {
            let text = str::from_utf8(pattern).map_err(|_| {
                Misfit::new(
                    "has a regular expression that is not UTF-8",
                    "write \\\\xHH for a byte: the regular expression reads \\xHH itself",
                )
            })?;
            Pattern::Regex(Regex::new(text, is_name)?)
        }
    })
}

/// Reads `200,300-399` as HAProxy does: a missing number is 0.
fn status_list(list: &[u8]) -> Result<Vec<RangeInclusive<u32>>, Misfit> {
    let list = shown(list);
    let number = |text: &str| match text {
        "" => Ok(0),
        _ => text
            .parse()
            .ok()
            .filter(|_| !text.starts_with('+'))
            .ok_or_else(|| {
                Misfit::new(
                    format!("has `{text}`, which is not a status code"),
                    "write for example status 200,300-399",
                )
            }),
    };
    list.split(',')
        .map(|item| {
            let (low, high) = item.split_once('-').unwrap_or((item, item));
            let (low, high) = (number(low)?, number(high)?);
            if low > high {
                return Err(Misfit::new(
                    format!("has the range `{item}`, which is empty"),
                    format!("write the lower status code first, {high}-{low}"),
                ));
            }
            Ok(low..=high)
        })
        .collect()
}

/// Reads a number of bytes. -1 stands for HAProxy's default.
fn min_recv(text: &[u8]) -> Result<usize, Misfit> {
    let text = shown(text);
    let bytes = match text.as_str() {
        "-1" => Some(0),
        text => text.parse().ok().filter(|_| !text.starts_with('+')),
    };
    bytes.ok_or_else(|| {
        let what = format!("has `min-recv {text}`, which is not a number of bytes");
        Misfit::new(what, "write min-recv and a number, such as 100")
    })
}

/// Returns the refusal of a word that isn't allowed here.
fn unknown(word: &[u8], subject: Option<&Subject>) -> Misfit {
    let word = shown(word);
    let elsewhere = "leave that word out";
    match word.as_str() {
        "string-lf" => log_format("string-lf", "string"),
        "ok-status" | "error-status" | "tout-status" | "status-code" => Misfit::new(
            format!("has `{word}`, which sets what HAProxy's own check shows in statistics"),
            "leave it out: here the exit code says what failed",
        ),
        "on-success" | "on-error" => Misfit::new(
            format!("has `{word}`, which is a log-format of HAProxy's own check"),
            elsewhere,
        ),
        "comment" | "min-recv" => Misfit::new(
            format!("has ! before `{word}`"),
            "write the ! before the keyword of the pattern",
        ),
        _ if subject.is_some() => Misfit::new(
            format!("has `{word}` after its pattern"),
            "quote a pattern that has spaces, such as string \"all good\"",
        ),
        "" => Misfit::new("has an empty word", elsewhere),
        _ => Misfit::new(
            format!("begins with `{word}`"),
            "write one of status, rstatus, string, rstring, hdr, fhdr, each with or without a leading !",
        ),
    }
}

fn log_format(word: &str, plain: &str) -> Misfit {
    Misfit::new(
        format!("has `{word}`, a log-format that only HAProxy's own check can evaluate"),
        format!("write {plain} and the text itself"),
    )
}

fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn every_malformed_rule_is_refused_with_the_right_form() {
        for (rule, part) in [
            ("", "write for example"),
            ("!", "write ! before the pattern"),
            ("string a !", "write ! before the pattern"),
            ("! comment a string b", "before the keyword of the pattern"),
            ("comment x", "write for example"),
            ("statsu 200", "write one of status"),
            ("binary 00", "write one of status"),
            ("status", "no pattern after"),
            ("status \"\"", "an empty one"),
            ("status 200x", "not a status code"),
            ("status 399-300", "300-399"),
            ("status 200-", "0-200"),
            ("status 200 300", "quote a pattern"),
            ("status 200 string a", "one --expect for each"),
            ("string all good", "quote a pattern"),
            ("string 'open", "not closed"),
            ("string \"ERROR$\"", r"write \$"),
            ("string \"$HOME\"", r"write \$"),
            (r"string \xg0", "hexadecimal"),
            (r"string a\x00", "NUL"),
            ("string a\nb", r"write \n"),
            ("rstring (", "not a regular expression"),
            ("rstring \\xff", "not UTF-8"),
            ("hdr Via", "name [-m METHOD] NAME"),
            ("hdr", "name [-m METHOD] NAME"),
            ("hdr name", "no pattern after `name`"),
            ("hdr name Via value \"\"", "no pattern after `value`"),
            ("hdr name -m foo x", "str, beg, end, sub, reg"),
            ("hdr name -m", "str, beg, end, sub, reg"),
            ("hdr name Via value a b", "after its pattern"),
            ("hdr name-lf %[x]", "only HAProxy's own check"),
            ("hdr name a value-lf %[x]", "only HAProxy's own check"),
            ("string-lf a", "only HAProxy's own check"),
            ("string a min-recv x", "not a number of bytes"),
            ("string a ! min-recv 1", "before the keyword of the pattern"),
            ("string a ok-status L7OK", "HAProxy's own check"),
            ("string a on-error x", "HAProxy's own check"),
            ("string a comment", "no pattern after `comment`"),
        ] {
            let error = parse(rule).err().expect(rule).of("--expect").to_string();
            assert!(error.contains(part), "{rule}: {error}");
        }
    }
}
