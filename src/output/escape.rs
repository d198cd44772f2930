//! Makes text from outside safe to print.

use std::fmt::Write as _;

use serde_json::Value;

/// Makes text from outside safe for a log line, and limits its length. Escapes characters that
/// would move a terminal's cursor, end the line, or change the order in which text is shown.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, 1000, |_| false)
}

/// Makes a line of a file safe to print and paste. Keeps its full length and its tabs.
pub(crate) fn pasted(line: &str) -> String {
    escaped(line, usize::MAX, |c| c == '\t')
}

fn escaped(text: &str, longest: usize, is_kept: impl Fn(char) -> bool) -> String {
    if text.len() <= longest && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if safe.len() > longest {
            safe.push('…');
            break;
        }
        if misleads(c) && !is_kept(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Returns a JSON value as text whose strings contain no misleading raw characters. Every JSON
/// reader gets the original strings back.
pub(crate) fn json(value: &Value) -> String {
    let text = value.to_string();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // serde_json escapes ASCII's control characters except DEL.
        if c < '\x7f' || !misleads(c) {
            safe.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

/// Returns true if a raw character could make a text look different from what it is. These are
/// control characters, direction marks (Unicode Standard Annex 9), tags, and invisible, private,
/// unassigned or combining characters.
///
/// The standard library detects all of them except the fillers, which look blank but count as visible.
fn misleads(c: char) -> bool {
    let is_filler = matches!(
        c,
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}'
    );
    c != ' ' && !c.is_ascii_graphic() && (is_filler || c.escape_debug().len() > 1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{pasted, printable};

    #[test]
    fn text_from_outside_cannot_forge_a_line() {
        assert_eq!(printable("a\r\nUP 0\x1b[2J"), "a\\r\\nUP 0\\u{1b}[2J");
        assert_eq!(pasted("\ta\u{1b}b"), "\ta\\u{1b}b");
        assert_eq!(printable("a\u{202e}b\u{2028}é…"), "a\\u{202e}b\\u{2028}é…");
        // Unusual spaces, tags, combining characters, C1 controls, and unassigned characters.
        for c in "\u{ad}\u{61c}\u{180e}\u{200b}\u{2066}\u{feff}\u{e0041}\u{e0001}\u{9b}\u{7f}\u{a0}\u{3164}\u{301}\u{fe0f}\u{e000}\u{fffff}".chars() {
            assert_eq!(printable(&format!("a{c}b")), format!("a{}b", c.escape_unicode()));
        }
        let plain = "Größe «x» 證書 сертификат 'a\\b' \"c\"";
        assert_eq!(printable(plain), plain);
        assert!(printable(&"x".repeat(100_000)).len() < 1100);
    }

    #[test]
    fn escaped_json_parses_to_the_same_value() {
        let value = json!({"a": "\u{9b}2J \u{202e}\u{e0041}\u{7f} é \n\"\\"});
        let text = super::json(&value);
        assert_eq!(
            text,
            r#"{"a":"\u009b2J \u202e\udb40\udc41\u007f é \n\"\\"}"#
        );
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }
}
