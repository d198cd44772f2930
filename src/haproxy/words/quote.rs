//! Quotes a word for haproxy.cfg.

use std::fmt::Write as _;

/// Writes a word so that HAProxy reads it back unchanged: without quotes if possible, otherwise in
/// double quotes. Control characters become `\xHH`. The word must not contain NUL, because HAProxy
/// ends a word there.
pub fn quote(word: impl AsRef<[u8]>) -> String {
    let word = word.as_ref();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=?&;~".contains(byte);
    let mut text = String::new();
    if !word.is_empty() && word.iter().all(plain) {
        word.iter().for_each(|byte| text.push(char::from(*byte)));
        return text;
    }
    text.push('"');
    for chunk in word.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' | '$' => text.extend(['\\', c]),
                c if c.is_control() => in_hexadecimal(c.encode_utf8(&mut [0; 4]), &mut text),
                c => text.push(c),
            }
        }
        in_hexadecimal(chunk.invalid(), &mut text);
    }
    text.push('"');
    text
}

fn in_hexadecimal(bytes: impl AsRef<[u8]>, text: &mut String) {
    for byte in bytes.as_ref() {
        _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::quote;
    use crate::haproxy::words::split_value;

    #[track_caller]
    fn assert_round_trip(word: &[u8]) {
        let quoted = quote(word);
        let read = split_value(&quoted).expect(&quoted);
        assert_eq!(read, [word], "{quoted}");
        let printable = quoted.chars().all(|c| !c.is_control());
        assert!(printable, "{quoted:?}");
    }

    #[test]
    fn every_word_of_up_to_three_special_characters_is_read_back() {
        let special = b" \t\r\n\x0b\x7f\"'\\#${}[]*-xnrt0aA\xc3\xa9\xff";
        let mut words = vec![Vec::new()];
        for _ in 0..3 {
            words.iter().for_each(|word| assert_round_trip(word));
            let longer = |word: &Vec<u8>| special.map(|byte| [word, &[byte][..]].concat());
            words = words.iter().flat_map(longer).collect();
        }
        words.iter().for_each(|word| assert_round_trip(word));
    }

    #[test]
    fn plain_words_are_written_without_quotes() {
        assert_eq!(quote("/healthz?a=b,c"), "/healthz?a=b,c");
        assert_eq!(quote("@system-ca"), "@system-ca");
        assert_eq!(quote(""), "\"\"");
        assert_eq!(quote("a b$\"\u{85}é"), r#""a b\$\"\xc2\x85é""#);
    }
}
