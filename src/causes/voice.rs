//! The words for an option: sni-check's own, or HAProxy's for a check that HAProxy makes itself.
//!
//! A sentence of the catalogue names sni-check's options. If HAProxy needs other words than the option's name
//! in [`WORDS`], the sentence has both in angle brackets: `<--uri /|uri / in http-check send>`. One of the
//! two may be empty. `<--header>` keeps an option's name for both checks, for example in a command.

/// Who runs the check, and therefore whose words the sentences use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Voice {
    /// sni-check, as external check or with serve: the sentences name its options.
    #[default]
    SniCheck,
    /// HAProxy itself: the sentences name words of haproxy.cfg.
    Haproxy,
}

/// Options of sni-check, and the words of haproxy.cfg that replace them. An option that contains another
/// option comes first, such as `--send-proxy-v2` before `--send-proxy`.
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

impl Voice {
    /// Returns a sentence of the catalogue in the words of this voice. The placeholders stay.
    pub(super) fn speak(self, sentence: &str) -> String {
        let mut text = String::new();
        let mut rest = sentence;
        while let Some((before, after)) = rest.split_once('<') {
            let (both, tail) = after.split_once('>').unwrap_or((after, ""));
            text += &self.words(before);
            text += match (self, both.split_once('|')) {
                (_, None) => both,
                (Voice::SniCheck, Some((options, _))) => options,
                (Voice::Haproxy, Some((_, words))) => words,
            };
            rest = tail;
        }
        text + &self.words(rest)
    }

    /// Returns a text in the words of this voice. For HAProxy, a value loses its quotes: `--header 'Host:
    /// NAME'` becomes `http-check send hdr Host NAME`.
    pub fn words(self, text: &str) -> String {
        let mut text = text.to_owned();
        if self == Voice::Haproxy {
            for (option, words) in WORDS {
                text = replaced(&text, option, words);
            }
        }
        text
    }
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
    use super::Voice;
    use crate::causes::all;
    use crate::causes::words::fill;
    use crate::options::table;

    #[test]
    fn each_voice_has_its_own_words() {
        for (sentence, ours, haproxys) in [
            (
                "Correct --uri.",
                "Correct --uri.",
                "Correct http-check send uri.",
            ),
            (
                "Accept it with --expect 'status 401'.",
                "Accept it with --expect 'status 401'.",
                "Accept it with http-check expect status 401.",
            ),
            (
                "Use <--uri /|uri / in http-check send>, or it.",
                "Use --uri /, or it.",
                "Use uri / in http-check send, or it.",
            ),
            (
                "Use <--crt FILE, and |>crt FILE on the server line.",
                "Use --crt FILE, and crt FILE on the server line.",
                "Use crt FILE on the server line.",
            ),
            (
                "curl <--header> 'A: b' shows --ca-file {roots}.",
                "curl --header 'A: b' shows --ca-file {roots}.",
                "curl --header 'A: b' shows ca-file {roots}.",
            ),
        ] {
            assert_eq!(Voice::SniCheck.speak(sentence), ours);
            assert_eq!(Voice::Haproxy.speak(sentence), haproxys);
        }
    }

    /// Phrases from sentences about sni-check's own checks. A report about HAProxy's own check doesn't
    /// contain such a sentence.
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
    fn no_sentence_about_haproxys_own_check_names_an_option_of_sni_check() {
        let mut wrong = Vec::new();
        for cause in all() {
            for sentence in [cause.what, cause.confirm, cause.change] {
                let text = fill(sentence, Voice::Haproxy, |_| None);
                let names_option = table::ROWS.iter().any(|row| {
                    let mut words = text.split([' ', '.', ',', ')']);
                    words.any(|word| word == row.name)
                });
                // Commands of curl and sni-check have their own options. HAProxy has no `--max-head`.
                let is_command = ["curl ", "sni-check --", "by hand", "--max-head"];
                let mut kept = OF_SNI_CHECK.iter().chain(&is_command);
                if names_option && !kept.any(|part| text.contains(part)) {
                    wrong.push(format!("{}: {text}", cause.id));
                }
                assert!(
                    !text.contains(['<', '>', '|']) || text.contains("(.|"),
                    "{text}"
                );
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
