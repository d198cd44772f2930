//! Rewrites sentences about sni-check's options for HAProxy's own check. Words of haproxy.cfg replace the
//! options.

/// Options of sni-check, and the words of haproxy.cfg that replace them. If an option contains another
/// option, the longer one comes first: `--send-proxy-v2` before `--send-proxy`.
const WORDS: [(&str, &str); 24] = [
    ("--expect", "http-check expect"),
    ("--uri", "http-check send uri"),
    ("--method", "http-check send meth"),
    ("--header", "http-check send hdr"),
    ("--body", "http-check send body"),
    ("--handshake-only", "leave out option httpchk"),
    ("--ca-file", "ca-file"),
    ("--crl-file", "crl-file"),
    ("--crt", "crt"),
    ("--no-sni", "no check-sni"),
    ("--sni", "check-sni"),
    ("--verify-host", "verifyhost"),
    ("--verify ", "verify "),
    ("--alpn", "check-alpn"),
    ("--ssl-min-ver", "ssl-min-ver"),
    ("--ssl-max-ver", "ssl-max-ver"),
    ("--send-proxy-v2", "send-proxy-v2"),
    ("--send-proxy", "send-proxy"),
    ("--source", "source"),
    ("--connect", "addr"),
    ("--port", "port"),
    ("--timeout", "timeout check"),
    ("--max-body", "tune.bufsize"),
    ("--max-head", "tune.bufsize"),
];

/// Parts of sentences to leave out, because they don't apply to HAProxy's own check.
/// [`without_options_in_parentheses`] also removes parentheses that begin with an option.
const LEFT_OUT: [&str; 8] = [
    " For GET, leave out --method.",
    " sni-check checks HTTPS only (a limit of sni-check).",
    ", which sni-check doesn't speak (a limit of sni-check)",
    ", or sni-check without --no-sni",
    "--alpn http/1.1 for sni-check, ",
    " An external check reads FILE inside HAProxy's chroot.",
    " sni-check accepts more fields with --max-head 15k.",
    "both options, and ",
];

/// Returns the sentences with HAProxy's words instead of options. Removes the quotes around values. For
/// example, `--header 'Host: NAME'` becomes `http-check send hdr Host NAME`.
pub(super) fn in_words_of_haproxy(sentences: &str) -> String {
    let mut text = sentences.to_owned();
    for part in LEFT_OUT {
        text = text.replace(part, "");
    }
    let text = without_options_in_parentheses(&text);
    let each = text.split_inclusive(". ").map(without_option_of_pair);
    let mut text: String = each.collect();
    for (option, words) in WORDS {
        text = replaced(&text, option, words);
    }
    text
}

/// Leaves out parentheses that begin with an option, such as ` (--uri)`.
fn without_options_in_parentheses(text: &str) -> String {
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(" (--") {
        written += before;
        rest = after.split_once(')').map_or("", |(_, tail)| tail);
    }
    written + rest
}

/// Leaves out the option if the sentence names both the option and the word on the server line: `Use --crt
/// FILE, and crt FILE on the server line.` becomes `Use crt FILE on the server line.`
fn without_option_of_pair(sentence: &str) -> String {
    let pair = sentence.split_once("--").and_then(|(before, option)| {
        let (_, word) = option.split_once(", and ")?;
        let prepositions = ["with ", "of ", "into "];
        let mut words = prepositions
            .iter()
            .filter_map(|start| word.strip_prefix(start));
        let word = words.next().unwrap_or(word);
        word.contains("on the server line")
            .then(|| format!("{before}{word}"))
    });
    pair.unwrap_or_else(|| sentence.to_owned())
}

/// Replaces the option in the text with these words, and removes the quotes around the option's value.
fn replaced(text: &str, option: &str, words: &str) -> String {
    let mut written = String::new();
    let mut rest = text;
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
    written + rest
}

#[cfg(test)]
mod tests {
    use super::in_words_of_haproxy;
    use crate::causes::{all, in_general};
    use crate::options::table;

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
            (
                "Use --send-proxy-v2 for the check, and send-proxy-v2 on the server line.",
                "Use send-proxy-v2 on the server line.",
            ),
            (
                "Get it. Give it with --crt a.pem (in one PEM), and with crt a.pem on the server line. Stop.",
                "Get it. Give it with crt a.pem on the server line. Stop.",
            ),
            (
                "It is not from a CA in --ca-file @system-ca.",
                "It is not from a CA in ca-file @system-ca.",
            ),
            (
                "Send hdr Accept in http-check send (--header 'Accept: */*' for sni-check).",
                "Send hdr Accept in http-check send.",
            ),
        ] {
            assert_eq!(in_words_of_haproxy(sentence), expected);
        }
    }

    /// Phrases from sentences about sni-check's own checks. A report about HAProxy's own check contains no
    /// such sentences.
    const OF_SNI_CHECK: [&str; 8] = [
        "sni-check diagnose",
        "chroot ",
        "sni-check serve",
        "external check",
        "External check",
        "external-check",
        "stderr",
        "-cert-days",
    ];

    #[test]
    fn reports_about_haproxys_own_check_name_no_option_of_sni_check() {
        let mut wrong = Vec::new();
        for cause in all() {
            for sentence in [cause.what, cause.confirm, cause.change] {
                let text = in_words_of_haproxy(&in_general(sentence));
                let names_option = table::ROWS.iter().any(|row| {
                    text.split([' ', '.', ',', ')'])
                        .any(|word| word == row.name)
                });
                let is_of_sni_check = OF_SNI_CHECK.iter().any(|part| text.contains(part));
                if names_option && !is_of_sni_check {
                    wrong.push(format!("{}: {text}", cause.id));
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
