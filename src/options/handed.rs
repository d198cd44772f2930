//! The options of HAProxy's call: those in `external-check path`, then its four arguments.

use std::ffi::OsStr;

use anyhow::Result;

use super::{Options, Parsed, parse, version_checks_nothing};
use crate::haproxy::call::options_in_path;
use crate::refusal::refusal;

/// The options of HAProxy's call, with its four arguments as the target.
///
/// # Errors
/// What `path` or the option language refuses, options that check nothing, words that belong to no
/// option.
pub fn options(path: &OsStr, arguments: Vec<String>) -> Result<Box<Options>> {
    let words = options_in_path(path)?;
    if let Some(name) = words.iter().find_map(|word| variable(word)) {
        return Err(refusal(
            "external-check path",
            format!("has ${{{name}}} as it is, HAProxy has not replaced it"),
            "put the whole text in double quotes: within them HAProxy replaces variables",
        ));
    }
    // Apart from HAProxy's arguments: none of them is the value of an option.
    let mut options = match parse(&words)? {
        Parsed::Help(_) => return Err(refusal("--help", "is for people", "leave it out here")),
        Parsed::Options(options) if options.version => return Err(version_checks_nothing()),
        Parsed::Options(options) => options,
    };
    if let Some(word) = options.target.first() {
        return Err(refusal(
            format!("`{word}` in external-check path"),
            "belongs to no option",
            "remove that word, or quote a value that has spaces",
        ));
    }
    options.target = arguments;
    Ok(options)
}

/// The name in `${NAME}` or `${NAME-default}`.
fn variable(word: &str) -> Option<&str> {
    word.match_indices("${").find_map(|(at, start)| {
        let text = &word[at + start.len()..];
        let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        let (name, rest) = text.split_at(end);
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (named && rest.starts_with(['}', '-', '['])).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::{options, variable};
    use std::ffi::OsStr;

    fn refused(path: &str) -> String {
        let arguments = ["NOT_USED", "NOT_USED", "192.0.2.1", "443"].map(str::to_owned);
        let refused = options(OsStr::new(path), arguments.to_vec());
        refused.expect_err(path).to_string()
    }

    #[test]
    fn every_word_belongs_to_an_option() {
        for (path, part) in [
            (
                "--sni a.example stray",
                "`stray` in external-check path belongs to no option",
            ),
            ("--sni a.example stray --method", "--method has no value"),
            (
                "--sni a.example -- --uri",
                "`--uri` in external-check path belongs to no option",
            ),
            ("--header 'X: a' b", "quote a value that has spaces"),
            ("--uri / --sni ", "--sni has no value"),
            ("--uri / --sni", "set the variable that it comes from"),
            ("--header 'X: ${TOKEN}'", "has ${TOKEN} as it is"),
            ("/bin --sni a.example", "does not begin with an option"),
            ("check --sni a.example", "does not begin with an option"),
        ] {
            let error = refused(path);
            assert!(error.contains(part), "{path}: {error}");
        }
    }

    #[test]
    fn only_haproxys_form_is_a_variable() {
        assert_eq!(variable("a ${NAME} b"), Some("NAME"));
        assert_eq!(variable("${2} ${NAME-x}"), Some("NAME"));
        for word in ["$NAME", "rstring a${2}", "${", "${a b}", "string $"] {
            assert_eq!(variable(word), None, "{word}");
        }
    }
}
