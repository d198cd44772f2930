//! A case: a peer, what it says, options and an environment, all by chance.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::NAME;
use crate::dice::Dice;

/// What a TLS peer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Ends in 30 days, as do all but the next.
    Good,
    /// Ends in 3 days.
    Soon,
    OtherName,
    Expired,
    NotYetValid,
    Stranger,
    ForClients,
}

impl Certificate {
    pub const ALL: [Certificate; 7] = [
        Certificate::Good,
        Certificate::Soon,
        Certificate::OtherName,
        Certificate::Expired,
        Certificate::NotYetValid,
        Certificate::Stranger,
        Certificate::ForClients,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    Tls(Certificate),
    /// Says its bytes without TLS.
    Plain,
    Nobody,
}

/// How the peer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With `close_notify`.
    InOrder,
    /// TCP's end alone.
    Cut,
    Reset,
}

/// A rule of `--expect`.
#[derive(Clone, Debug)]
pub struct Rule {
    pub negated: bool,
    pub subject: Subject,
}

#[derive(Clone, Debug)]
pub enum Subject {
    Status(u16, u16),
    /// `rstatus ^D`
    StatusBegins(char),
    Contains(&'static str),
    /// `rstring ^TEXT`
    Begins(&'static str),
    Header(&'static str),
    HeaderValue(&'static str, &'static str),
}

/// What an option means for the verdict.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// It must be refused.
    Refused,
    /// Nothing.
    Nothing,
    /// Whether the name is the certificate's.
    Sni(bool),
    NoSni,
    VerifyNone,
    VerifyHost(bool),
    /// Whether these roots are the peer's.
    Trust(bool),
    MinDays(u32),
    /// Dials where nobody listens.
    Elsewhere,
    /// Sends what these peers do not understand.
    ProxyHeader,
    Expect(Rule),
    MaxBody(usize),
    OnlyTls12,
    OnlyTls13,
    Head,
}

#[derive(Clone, Debug)]
pub struct Word {
    pub words: Vec<String>,
    pub meaning: Meaning,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// HAProxy's, with this server name.
    Haproxy(&'static str),
    /// HAProxy's arguments without its variables.
    Bare,
    /// By hand, with this host in the URL.
    ByHand(&'static str),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub peer: Peer,
    pub says: Vec<u8>,
    /// The bytes are a response as they were made, without damage.
    pub whole: bool,
    pub end: End,
    pub door: Door,
    pub options: Vec<Word>,
    /// `SNI_HOST` among it is the name of the certificate, or not.
    pub sni_host: Option<bool>,
    pub environment: Vec<(OsString, OsString)>,
}

/// Files and ports that options name.
pub struct Places {
    pub our_ca: String,
    pub other_ca: String,
    pub nobody: u16,
}

impl Case {
    pub fn new(dice: &mut Dice, places: &Places) -> Case {
        let peer = match dice.below(100) {
            0..80 => Peer::Tls(Certificate::Good),
            80..93 => Peer::Tls(dice.pick(&Certificate::ALL)),
            93..98 => Peer::Plain,
            _ => Peer::Nobody,
        };
        let whole = dice.percent(75);
        let mut says = match dice.percent(95) || whole {
            true => response(dice),
            false => dice.bytes(300),
        };
        if !whole {
            dice.damage(&mut says);
        }
        if peer == Peer::Plain && dice.percent(50) {
            let record = [dice.pick(&[20, 21, 22, 23]), 3, dice.pick(&[0, 1, 3, 4])];
            says.splice(0..0, record);
        }
        let door = match dice.below(40) {
            0 => Door::Bare,
            1..3 => Door::ByHand("other.example.test"),
            3..10 => Door::ByHand(NAME),
            10..14 => Door::Haproxy(NAME),
            _ => Door::Haproxy("blue"),
        };
        let (sni_host, environment) = environment(dice);
        Case {
            peer,
            says,
            whole,
            end: match dice.below(12) {
                0 | 1 => End::Cut,
                2 => End::Reset,
                _ => End::InOrder,
            },
            door,
            options: options(dice, places),
            sni_host,
            environment,
        }
    }
}

fn response(dice: &mut Dice) -> Vec<u8> {
    let mut text = String::new();
    if dice.percent(5) {
        text += dice.pick(&[
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 103 E\r\nLink: x\r\n\r\n",
        ]);
    }
    let status = match dice.percent(85) {
        true => 200,
        false => dice.pick(&[101, 204, 206, 301, 304, 399, 400, 404, 500, 503, 600, 999]),
    };
    text += dice.pick(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"]);
    text += &format!(" {status}");
    text += dice.pick(&[" OK", " ", "", " Not what it seems"]);
    text += "\r\n";
    for _ in 0..dice.below(4) {
        text += dice.pick(&[
            "X-A: b\r\n",
            "x-a:b\r\n",
            "X-A: c\r\n",
            "Server: test\r\n",
            "Location: https://127.0.0.1:1/\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
        ]);
    }
    let long = "all good, and more of it. ".repeat(20);
    let body = dice.pick(&["ok", "ok", "all good\n", "", "id 42, not ok", long.as_str()]);
    match dice.below(3) {
        0 => text += &format!("Content-Length: {}\r\n\r\n{body}", body.len()),
        1 if text.contains("HTTP/1.1 ") => {
            text += "Transfer-Encoding: chunked\r\n\r\n";
            for part in body.as_bytes().chunks(7) {
                text += &format!("{:x}\r\n{}\r\n", part.len(), String::from_utf8_lossy(part));
            }
            text += "0\r\n\r\n";
        }
        _ => text += &format!("\r\n{body}"),
    }
    text.into_bytes()
}

fn option(words: &[&str], meaning: Meaning) -> Word {
    Word {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        meaning,
    }
}

fn options(dice: &mut Dice, places: &Places) -> Vec<Word> {
    let mut options = Vec::new();
    // What a check of these peers needs.
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
    // The order never matters.
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
    let nobody = places.nobody.to_string();
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
        option(&["--port", &nobody], Meaning::Elsewhere),
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

/// What must be refused, whatever else is there.
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

fn environment(dice: &mut Dice) -> (Option<bool>, Vec<(OsString, OsString)>) {
    let mut environment = Vec::new();
    for _ in 0..[0, 0, 1, 3][dice.below(4)] {
        let name = dice.pick(&[
            "HAPROXY_SERVER_SSL",
            "HAPROXY_PROXY_NAME",
            "HAPROXY_SERVER_PORT",
            "HTTPS_PROXY",
            "SSL_CERT_FILE",
            "LANG",
            "NO_COLOR",
            "RUST_BACKTRACE",
            "X",
        ]);
        let mut value = dice.bytes(40);
        value.retain(|byte| *byte != 0);
        environment.push((name.into(), OsString::from_vec(value)));
    }
    let sni_host = match dice.below(10) {
        0 => Some(true),
        1 => Some(false),
        _ => None,
    };
    if let Some(right) = sni_host {
        let name = if right { NAME } else { "other.example.test" };
        environment.push(("SNI_HOST".into(), name.into()));
    }
    (sni_host, environment)
}
