//! Rewrites sentences about sni-check's options for HAProxy's own check, which has words of haproxy.cfg
//! instead.

/// Options about the request and the response, and the words of haproxy.cfg that replace them.
const WORDS: [(&str, &str); 4] = [
    ("--expect", "http-check expect"),
    ("--uri", "http-check send uri"),
    ("--method", "http-check send meth"),
    ("--header", "http-check send hdr"),
];

/// Parts of sentences that don't apply to HAProxy's own check.
const LEFT_OUT: [&str; 2] = [" (--expect)", " For GET, leave out --method."];

/// Returns the sentence with HAProxy's words instead of options. A value loses its quotes:
/// `--header 'Host: NAME'` becomes `http-check send hdr Host NAME`.
pub(super) fn in_words_of_haproxy(sentence: &str) -> String {
    // A sentence with "for sni-check" already has HAProxy's words.
    if sentence.contains("for sni-check") {
        return sentence.to_owned();
    }
    let mut text = sentence.to_owned();
    for part in LEFT_OUT {
        text = text.replace(part, "");
    }
    for (option, words) in WORDS {
        let mut written = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(option) {
            written += before;
            written += words;
            rest = after;
            let quoted = after.strip_prefix(" '");
            if let Some((value, tail)) = quoted.and_then(|quoted| quoted.split_once('\'')) {
                written += " ";
                written += &value.replacen(": ", " ", usize::from(option == "--header"));
                rest = tail;
            }
        }
        text = written + rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::in_words_of_haproxy;

    #[test]
    fn haproxys_words_replace_the_options_of_sni_check() {
        for (sentence, expected) in [
            ("Use --uri /, or it.", "Use http-check send uri /, or it."),
            (
                "Accept it with --expect 'status 401'.",
                "Accept it with http-check expect status 401.",
            ),
            (
                "Use --header 'Host: NAME', or correct --uri.",
                "Use http-check send hdr Host NAME, or correct http-check send uri.",
            ),
            (
                "Use --method GET, which works. For GET, leave out --method.",
                "Use http-check send meth GET, which works.",
            ),
        ] {
            assert_eq!(in_words_of_haproxy(sentence), expected);
        }
    }
}
