//! Text from elsewhere, made safe to print.

use std::fmt::Write as _;

use serde_json::Value;

/// Text from elsewhere, safe for a log line: of bounded length, and with everything escaped that
/// would move a terminal's cursor, end the line, or show it in another order than it is written.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 1000;
    if text.len() <= LONGEST && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if safe.len() > LONGEST {
            safe.push('…');
            break;
        }
        if misleads(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// A JSON value as text in which strings hold nothing raw that would mislead who reads it. Any
/// reader of JSON gets back what was there.
pub(crate) fn json(value: &Value) -> String {
    let text = value.to_string();
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // serde_json escapes ASCII's control characters, but for DEL.
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

/// Whether a character, shown as it is, would show a text as something that it is not: control
/// characters, marks of direction (Unicode Standard Annex 9), tags, what is invisible, private or
/// unassigned, and what is drawn over the character before.
///
/// The standard library knows which these are, with the Unicode version of the compiler. It does not
/// count the fillers, letters that are blank.
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

    use super::printable;

    #[test]
    fn text_from_elsewhere_cannot_forge_a_line() {
        assert_eq!(printable("a\r\nUP 0\x1b[2J"), "a\\r\\nUP 0\\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b\u{2028}é…"), "a\\u{202e}b\\u{2028}é…");
        // Blanks of other kinds, tags, what is drawn over its neighbours, C1, no character at all.
        for c in "\u{ad}\u{61c}\u{180e}\u{200b}\u{2066}\u{feff}\u{e0041}\u{e0001}\u{9b}\u{7f}\u{a0}\u{3164}\u{301}\u{fe0f}\u{e000}\u{fffff}".chars() {
            assert_eq!(printable(&format!("a{c}b")), format!("a{}b", c.escape_unicode()));
        }
        let plain = "Größe «x» 證書 сертификат 'a\\b' \"c\"";
        assert_eq!(printable(plain), plain);
        assert!(printable(&"x".repeat(100_000)).len() < 1100);
    }

    #[test]
    fn json_is_escaped_and_says_the_same() {
        let value = json!({"a": "\u{9b}2J \u{202e}\u{e0041}\u{7f} é \n\"\\"});
        let text = super::json(&value);
        assert_eq!(
            text,
            r#"{"a":"\u009b2J \u202e\udb40\udc41\u007f é \n\"\\"}"#
        );
        assert_eq!(serde_json::from_str::<Value>(&text).expect("JSON"), value);
    }
}
