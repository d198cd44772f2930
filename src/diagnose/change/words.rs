//! Sets, adds, removes and quotes words in a line of haproxy.cfg.

use crate::haproxy::words::quote;

/// Joins words into a line of haproxy.cfg.
pub(super) fn written(words: &[String]) -> String {
    let words = words.iter().map(|word| word_of(word));
    words.collect::<Vec<_>>().join(" ")
}

/// The words that take no value, among those that a change may set or remove on server lines and in `connect`
/// rules.
const WITHOUT_VALUE: [&str; 19] = [
    "check-send-proxy",
    "check-ssl",
    "check-via-socks4",
    "default",
    "disabled",
    "force-sslv3",
    "force-tlsv10",
    "force-tlsv11",
    "force-tlsv12",
    "force-tlsv13",
    "linger",
    "no-check-ssl",
    "no-tlsv12",
    "no-tlsv13",
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2-ssl",
    "send-proxy-v2-ssl-cn",
    "ssl",
];

/// Sets, adds or removes a word in a line. Ignores the words before the position `from`. If the line has the
/// word several times, changes every occurrence, although HAProxy uses only the last one. Adds a new word at
/// the end.
pub(super) fn set(words: &mut Vec<String>, from: usize, word: &str, value: Option<&str>) {
    let has_value = !WITHOUT_VALUE.contains(&word);
    let mut at = from;
    let mut is_known = false;
    while let Some(found) = words.iter().skip(at).position(|known| known == word) {
        is_known = true;
        at += found;
        let end = (at + 1 + usize::from(has_value)).min(words.len());
        if let Some(new) = value {
            if has_value && at + 1 < words.len() {
                new.clone_into(&mut words[at + 1]);
            }
            at = end;
        } else {
            words.drain(at..end);
        }
    }
    if let (false, Some(new)) = (is_known, value) {
        words.push(word.to_owned());
        words.extend(has_value.then(|| new.to_owned()));
    }
}

/// Quotes a word if necessary. `str(www.example.com)` needs no quotes.
pub(super) fn word_of(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=?&;~()[]".contains(&byte);
    match !value.is_empty() && value.bytes().all(is_plain) {
        true => value.to_owned(),
        false => quote(value),
    }
}

#[cfg(test)]
mod tests {
    use super::set;

    #[test]
    fn a_word_of_a_server_line_is_replaced_added_or_removed() {
        let line = "server s1 192.0.2.1:443 ssl check-sni a check send-proxy";
        for (word, value, expected) in [
            ("check-sni", Some("b"), "ssl check-sni b check send-proxy"),
            ("check-sni", None, "ssl check send-proxy"),
            ("send-proxy", None, "ssl check-sni a check"),
            ("sni", Some("str(b)"), "check send-proxy sni str(b)"),
            ("send-proxy-v2", Some(""), "send-proxy send-proxy-v2"),
        ] {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            set(&mut words, 3, word, value);
            let new = words.join(" ");
            assert!(new.ends_with(expected), "{new}");
            assert!(new.starts_with("server s1 192.0.2.1:443 ssl"), "{new}");
        }
        let mut words = ["server", "s1", "check-sni", "a", "check-sni", "b"]
            .map(str::to_owned)
            .to_vec();
        set(&mut words, 2, "check-sni", Some("c"));
        assert_eq!(words.join(" "), "server s1 check-sni c check-sni c");
        set(&mut words, 2, "check-sni", None);
        assert_eq!(words.join(" "), "server s1");
        let mut words = ["server", "sni", "192.0.2.1:443", "ssl"]
            .map(str::to_owned)
            .to_vec();
        set(&mut words, 3, "sni", Some("str(b)"));
        assert_eq!(words.join(" "), "server sni 192.0.2.1:443 ssl sni str(b)");
    }
}
