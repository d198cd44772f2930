//! Random options, each with its effect on the verdict.

use crate::case::{Meaning, Places, Rule, Subject, Word};
use crate::support::NAME;
use crate::support::dice::Dice;

fn option(words: &[&str], meaning: Meaning) -> Word {
    Word {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        meaning,
    }
}

/// Returns random options, usually including the options that a check of these peers needs.
pub fn by_chance(dice: &mut Dice, places: &Places) -> Vec<Word> {
    let mut options = Vec::new();
    match dice.below(100) {
        0..90 => options.push(option(&["--sni", NAME], Meaning::Sni(true))),
        90..94 => options.push(option(
            &["--sni", "other.example.test"],
            Meaning::Sni(false),
        )),
        _ => {}
    }
    if dice.percent(95) {
        options.push(option(&["--ca-file", &places.our_ca], Meaning::Trust(true)));
    }
    for _ in 0..[0, 0, 0, 0, 1, 1, 2, 5][dice.below(8)] {
        let rule = rule(dice);
        let word = rule_word(&rule);
        let about_body = matches!(rule.subject, Subject::Contains(_) | Subject::Begins(_));
        options.push(option(&["--expect", &word], Meaning::Expect(rule)));
        if about_body && dice.percent(30) {
            options.push(max_body(dice));
        }
    }
    for _ in 0..[0, 0, 0, 0, 1, 1, 2, 4][dice.below(8)] {
        let another = any(dice, places);
        let new = options
            .iter()
            .all(|option| option.words[0] != another.words[0]);
        if new || dice.percent(20) {
            options.push(another);
        }
    }
    if dice.percent(4) {
        options.push(junk(dice));
    }
    // The order of options never matters, so the test shuffles them.
    for at in (1..options.len()).rev() {
        options.swap(at, dice.below(at + 1));
    }
    options
}

fn max_body(dice: &mut Dice) -> Word {
    let size = dice.pick(&[1, 2, 3, 8, 64]);
    option(&["--max-body", &size.to_string()], Meaning::MaxBody(size))
}

fn any(dice: &mut Dice, places: &Places) -> Word {
    let closed = places.closed_port.to_string();
    let days = dice.pick(&[0, 1, 2, 4, 29, 31, 400]);
    let days_word = days.to_string();
    let all = [
        option(&["--sni", "other.example.test"], Meaning::Sni(false)),
        option(&["--no-sni"], Meaning::NoSni),
        option(&["--verify", "none"], Meaning::VerifyNone),
        option(&["--verify", "required"], Meaning::Nothing),
        option(&["--verify-host", NAME], Meaning::VerifyHost(true)),
        option(
            &["--verify-host", "other.example.test"],
            Meaning::VerifyHost(false),
        ),
        option(&["--verify-host", "127.0.0.1"], Meaning::VerifyHost(false)),
        option(&["--ca-file", &places.other_ca], Meaning::Trust(false)),
        option(&["--ca-file", "@bundled"], Meaning::Trust(false)),
        option(&["--min-cert-days", &days_word], Meaning::MinDays(days)),
        option(&["--warn-cert-days", &days_word], Meaning::Nothing),
        option(&["--port", &closed], Meaning::Elsewhere),
        option(&["--send-proxy"], Meaning::ProxyHeader),
        option(&["--send-proxy-v2"], Meaning::ProxyHeader),
        max_body(dice),
        option(&["--ssl-min-ver", "TLSv1.3"], Meaning::OnlyTls13),
        option(&["--ssl-max-ver=TLSv1.2"], Meaning::OnlyTls12),
        option(&["--method", "HEAD"], Meaning::Head),
        option(&["--method", "OPTIONS"], Meaning::Nothing),
        option(&["--uri=/healthz?a=b&c"], Meaning::Nothing),
        option(&["--header", "X-Y: 'quoted' \"z\""], Meaning::Nothing),
        option(
            &["--header", "Host: elsewhere.example.test"],
            Meaning::Nothing,
        ),
        option(&["--body", "x=1"], Meaning::Nothing),
        option(&["--verbose"], Meaning::Nothing),
        option(&["--json"], Meaning::Nothing),
        option(&["--quiet"], Meaning::Nothing),
        option(&["--source", "127.0.0.1"], Meaning::Nothing),
    ];
    dice.pick(&all)
}

/// Returns an option with which a check must fail, whatever the other options are.
fn junk(dice: &mut Dice) -> Word {
    let mut option_name = b"--expect".to_vec();
    while option_name.starts_with(b"--expect") {
        let at = 2 + dice.below(6);
        option_name[at] = b'a' + dice.below(26) as u8;
    }
    let misspelt = String::from_utf8_lossy(&option_name).into_owned();
    let rule = dice.pick(&[
        "",
        "!",
        "status",
        "status 99",
        "status 1000",
        "status 300-200",
        "status 200 300",
        "statsu 200",
        "string",
        "rstring (",
        "hdr X-A",
        "hdr name",
        "body ok",
        "'status 200",
    ]);
    let all = [
        option(&["--expect", rule], Meaning::Refused),
        option(&[&misspelt, "status 200"], Meaning::Refused),
        option(&["--help"], Meaning::Refused),
        option(&["--version"], Meaning::Refused),
        option(&["-k"], Meaning::Refused),
        option(&["--quiet=yes"], Meaning::Refused),
        option(&["--verify", "maybe"], Meaning::Refused),
        option(&["--uri", "healthz"], Meaning::Refused),
        option(&["--uri", ""], Meaning::Refused),
        option(&["--timeout", "0"], Meaning::Refused),
        option(&["--header", "no colon"], Meaning::Refused),
        option(&["--header", "A: b\r\nC: d"], Meaning::Refused),
        option(&["--ca-file", "/nonexistent"], Meaning::Refused),
        option(&["--crl-file", "/dev/null"], Meaning::Refused),
        option(&["--method", "CONNECT"], Meaning::Refused),
        option(&["--color", "always"], Meaning::Refused),
        option(&["explain"], Meaning::Refused),
        option(
            &["www.example.test", "other.example.test"],
            Meaning::Refused,
        ),
    ];
    dice.pick(&all)
}

fn rule(dice: &mut Dice) -> Rule {
    let subject = match dice.below(9) {
        0 => Subject::Status(200, 200),
        1 => Subject::Status(200, 399),
        2 => Subject::Status(500, 599),
        3 => Subject::StatusBegins(dice.pick(&['2', '2', '5'])),
        4 => Subject::Contains(dice.pick(&["ok", "ok", "good", "bad"])),
        5 => Subject::Begins(dice.pick(&["ok", "all", "good"])),
        6 => Subject::Header(dice.pick(&["X-A", "x-a", "Server", "X-B"])),
        7 => Subject::HeaderValue("X-A", dice.pick(&["b", "c"])),
        _ => Subject::HeaderValue("server", "test"),
    };
    Rule {
        negated: dice.percent(20),
        subject,
    }
}

fn rule_word(rule: &Rule) -> String {
    let words = match &rule.subject {
        Subject::Status(low, high) if low == high => format!("status {low}"),
        Subject::Status(low, high) => format!("status 100,{low}-{high}"),
        Subject::StatusBegins(digit) => format!("rstatus ^{digit}"),
        Subject::Contains(text) => format!("string {text}"),
        Subject::Begins(text) => format!("rstring ^{text}"),
        Subject::Header(name) => format!("hdr name {name}"),
        Subject::HeaderValue(name, value) => format!("fhdr name {name} value {value}"),
    };
    match rule.negated {
        true => format!("! {words}"),
        false => words,
    }
}
