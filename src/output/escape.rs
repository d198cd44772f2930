//! Text from elsewhere, made safe to print.

/// Text from elsewhere, safe for a log line: of bounded length, and with everything escaped that
/// would move a terminal's cursor, end the line, or show it in another order than it is written.
pub(crate) fn printable(text: &str) -> String {
    const LONGEST: usize = 1000;
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if safe.len() > LONGEST {
            safe.push('…');
            break;
        }
        if c.is_control() || is_invisible(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Line separators, marks of direction (Unicode Standard Annex 9) and other format characters.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn text_from_elsewhere_cannot_forge_a_line() {
        assert_eq!(printable("a\r\nUP 0\x1b[2J"), "a\\r\\nUP 0\\u{1b}[2J");
        assert_eq!(printable("a\u{202e}b\u{2028}é…"), "a\\u{202e}b\\u{2028}é…");
        assert!(printable(&"x".repeat(100_000)).len() < 1100);
    }
}
