//! `sni-check explain [CODE]`: prints what an exit code means, its causes from the catalogue, how to
//! confirm each cause, and what to change.

mod alert;
mod shown;

use anyhow::{Result, bail};

use crate::causes::{Sign, causes_of, in_general};
use crate::code::Code;
use crate::failure::{Failure, alert_name};
use crate::output::wrap::paragraph;

pub use self::shown::{SHOWN, Shown};

/// Returns the text for the arguments that follow `explain`.
///
/// # Errors
/// Fails if the arguments aren't a code, a word that HAProxy shows, or the name of a TLS alert.
pub fn text(words: &[String]) -> Result<String> {
    match words {
        [] => Ok(table(Code::ALL) + "\n" + &shown::table()),
        // Some of HAProxy's results have several words, such as `no check` and `MAINT (resolution)`.
        words => one(&words.join(" ")),
    }
}

/// The text of `explain --help`.
pub const HELP: &str = "\
Says what an exit code means (`check_code` in HAProxy's statistics, `code: N` in
its log), which causes it has, how to confirm each cause and what to change. The
most common cause comes first. Without CODE, explain prints a line for each code
of sni-check, and for each word that HAProxy shows (L6RSP, PROCTOUT, 255). It
also explains these words, and the names of TLS alerts.

Examples:
  sni-check explain 65
  sni-check explain 4294967295
  sni-check explain PROCTOUT
";

/// If a check ends without a code, `show stat` still shows the code of an earlier check. Operators may look
/// up that code.
const STALE: &str = "In HAProxy's statistics, a code next to PROCTOUT or L7TOUT is from an earlier check. \
    Ignore it.";

fn one(word: &str) -> Result<String> {
    let mut text = String::new();
    if let Some(shown) = shown::find(word) {
        paragraph(&mut text, &format!("{}  ", shown.word), &shown.meaning());
        let codes = Code::ALL.into_iter();
        let codes = codes.filter(|code| code.haproxy_word() == shown.word);
        let codes: Vec<Code> = codes.filter(|code| *code != Code::Healthy).collect();
        if !codes.is_empty() {
            text += "\nThe codes of sni-check with this word:\n\n";
            text += &table(codes);
        }
        causes(&mut text, Sign::Word(shown.word));
        if !shown.next.is_empty() && shown.next != format!("explain {}", shown.word) {
            text.push('\n');
            paragraph(&mut text, "next  ", &shown.next_call());
        }
        return Ok(text);
    }
    if let Some(code) = word.parse().ok().and_then(Code::from_number) {
        let title = format!("{} {}  ", code.number(), code.haproxy_word());
        paragraph(&mut text, &title, code.meaning());
        causes(&mut text, Sign::Code(code));
        text.push('\n');
        paragraph(&mut text, "", STALE);
        return Ok(text);
    }
    if let Some(meaning) = alert::meaning(word) {
        let label = format!("{}  ", word.to_ascii_lowercase());
        let meaning = format!("a TLS alert that ends a handshake: {meaning}");
        paragraph(&mut text, &label, &meaning);
        let code = alert::code(word);
        let next = format!(
            "sni-check explain {} says what to confirm and change.",
            code.number()
        );
        text.push('\n');
        paragraph(&mut text, "", &next);
        return Ok(text);
    }
    match word.parse::<i64>() {
        Ok(number) => bail!(
            "{number} is not a code of sni-check; {}",
            shown::foreign(number)
        ),
        Err(_) => bail!(
            "`{word}` is not a code; write one code such as 65, one of HAProxy's words such as PROCTOUT, a TLS alert such as unrecognized_name, or nothing for the table"
        ),
    }
}

/// Returns a table of the codes with three columns: code, HAProxy's word, meaning.
fn table(codes: impl IntoIterator<Item = Code>) -> String {
    let mut text = "code  HAProxy  meaning\n".to_owned();
    for code in codes {
        let label = format!("{:>4}  {:<7}  ", code.number(), code.haproxy_word());
        paragraph(&mut text, &label, code.meaning());
    }
    text
}

/// Appends the causes of a code or word as a numbered list.
fn causes(text: &mut String, sign: Sign) {
    for (index, cause) in causes_of(sign).into_iter().enumerate() {
        text.push('\n');
        paragraph(text, &format!("{}. ", index + 1), &in_general(cause.what));
        paragraph(text, "   confirm  ", &in_general(cause.confirm));
        paragraph(text, "   change   ", &in_general(cause.change));
        paragraph(text, "   where    ", cause.place.phrase());
    }
}

/// Returns the rows of the table in docs/troubleshooting.md. A row has a code or one of HAProxy's words, its
/// most common cause, and what to change.
pub fn troubleshooting() -> Vec<(String, String, String)> {
    let codes = Code::ALL.map(|code| (code.number().to_string(), Sign::Code(code)));
    let shown = SHOWN
        .iter()
        .map(|shown| (shown.word.to_owned(), Sign::Word(shown.word)));
    let rows = codes.into_iter().chain(shown).filter_map(|(word, sign)| {
        let cause = causes_of(sign).into_iter().next()?;
        Some((word, in_general(cause.what), in_general(cause.change)))
    });
    rows.collect()
}

/// Returns a sentence about the TLS alert that caused the failure. Returns `None` if the cause wasn't an
/// alert.
pub fn alert_of(failure: &Failure) -> Option<String> {
    let alert = match failure {
        Failure::ClientCertificate { alert, .. }
        | Failure::NameRefused { alert, .. }
        | Failure::HandshakeRefused(alert)
        | Failure::NothingInCommon(alert) => *alert,
        _ => return None,
    };
    let name = alert_name(alert);
    let meaning = alert::meaning(&name)?;
    Some(format!("TLS alert {name}: {meaning}."))
}

#[cfg(test)]
mod tests {
    use super::{Code, SHOWN, text};

    fn explain(word: &str) -> String {
        text(&[word.to_owned()]).expect(word)
    }

    #[test]
    fn every_code_is_explained_with_what_to_confirm_and_change() {
        for code in Code::ALL {
            let text = explain(&code.number().to_string());
            for label in ["confirm", "change", "where"] {
                assert!(text.contains(label), "{text}");
            }
        }
    }

    #[test]
    fn the_table_has_every_code_with_haproxys_word_and_its_meaning() {
        let table = text(&[]).expect("the table");
        let flat = table.split_whitespace().collect::<Vec<_>>().join(" ");
        for code in Code::ALL {
            let (number, word) = (code.number(), code.haproxy_word());
            let row = format!("{number} {word} {}", code.meaning());
            assert!(flat.contains(&row), "{row}");
        }
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let words = Code::ALL.map(|code| code.number().to_string());
        let shown = SHOWN.iter().map(|shown| shown.word);
        for word in words
            .iter()
            .map(String::as_str)
            .chain(shown)
            .chain(["L6RSP"])
        {
            for line in explain(word).lines() {
                assert!(line.chars().count() <= 80, "{word}: {line}");
            }
        }
    }

    #[test]
    fn explanations_of_haproxys_words_agree_with_the_table() {
        let table = text(&[]).expect("the table");
        for shown in &SHOWN {
            let row = format!("{:<10}  {:<44}  ", shown.word, shown.brief);
            let row = table.lines().find(|line| line.starts_with(&row));
            let next = row
                .and_then(|row| row.split("  ").last())
                .map(str::trim)
                .expect(shown.word);
            let said = explain(shown.word);
            let flat = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flat.starts_with(&format!("{} {}.", shown.word, shown.brief)));
            let is_itself = next.ends_with(&format!(" {}", shown.word));
            assert!(next == "-" || is_itself || said.contains(next), "{said}");
            for text in [shown.in_log, &shown.word.to_lowercase()] {
                assert!(text.is_empty() || explain(text) == said, "{text}");
            }
        }
        for (shown, word) in [
            ("MAINT (resolution)", "MAINT"),
            ("* L6RSP", "L6RSP"),
            ("L7STS/503", "L7STS"),
            ("-1", "4294967295"),
        ] {
            assert_eq!(explain(shown), explain(word));
        }
        assert!(text(&["no".to_owned(), "check".to_owned()]).is_ok());
    }

    #[test]
    fn explanations_contain_the_expected_hints() {
        for (word, part) in [
            ("255", "could not run"),
            ("127", "to sni-check itself"),
            ("4294967295", "add server"),
            ("PROCTOUT", "--timeout"),
            ("PROCTOUT", "ignore it"),
            ("65", "Ignore it"),
            ("MAINT", "resolvers"),
            ("SOCKERR", "insecure-fork-wanted"),
            ("L6TOUT", "62"),
            ("L7RSP", "76"),
        ] {
            assert!(explain(word).contains(part), "{word}: {part}");
        }
    }

    #[test]
    fn the_limits_of_serve_are_explained() {
        let text = explain("3");
        for part in ["--max-checks", "memory", "MemoryMax="] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn an_unknown_word_is_refused_with_a_hint() {
        for (word, part) in [
            ("137", "SIGKILL"),
            ("99", "without a code"),
            ("x", "write one code"),
            ("-", "write one code"),
        ] {
            let error = text(&[word.to_owned()]).expect_err(word).to_string();
            assert!(error.contains(part), "{word}: {error}");
        }
        assert!(text(&["65".to_owned(), "66".to_owned()]).is_err());
    }
}
