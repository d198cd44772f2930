//! A random case: a peer, its response, options and an environment.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::options;
use crate::support::NAME;
use crate::support::dice::Dice;

/// The certificate of a TLS peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificate {
    /// Expires in 30 days, like all certificates except `Soon` and `Expired`.
    Good,
    /// Expires in 3 days.
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
    /// The peer sends its bytes without TLS.
    Plain,
    Nobody,
}

/// How the peer closes the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The peer sends `close_notify` first.
    InOrder,
    /// The peer closes only the TCP connection, without `close_notify`.
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

/// The meaning of an option for the verdict.
#[derive(Clone, Debug)]
pub enum Meaning {
    /// The check must refuse the option.
    Refused,
    /// The option has no effect.
    Nothing,
    /// True if the certificate is for this name.
    Sni(bool),
    NoSni,
    VerifyNone,
    VerifyHost(bool),
    /// True if the named roots include the peer's CA.
    Trust(bool),
    MinDays(u32),
    /// The option names a port where nothing listens.
    Elsewhere,
    /// The check sends a PROXY header, which these peers don't understand.
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

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// HAProxy checks a server with this name.
    Haproxy(&'static str),
    /// The caller passes HAProxy's arguments but not HAProxy's variables.
    Bare,
    /// A person runs the program with this host.
    ByHand(&'static str),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub peer: Peer,
    pub says: Vec<u8>,
    /// True if the bytes are a complete, undamaged response.
    pub whole: bool,
    pub end: End,
    pub caller: Caller,
    pub options: Vec<Word>,
    /// `None` if `SNI_HOST` isn't set. Otherwise, true if the variable holds the certificate's
    /// name.
    pub sni_host: Option<bool>,
    pub environment: Vec<(OsString, OsString)>,
}

/// The files and ports that the options name.
pub struct Places {
    pub our_ca: String,
    pub other_ca: String,
    pub closed_port: u16,
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
        let caller = match dice.below(40) {
            0 => Caller::Bare,
            1..3 => Caller::ByHand("other.example.test"),
            3..10 => Caller::ByHand(NAME),
            10..14 => Caller::Haproxy(NAME),
            _ => Caller::Haproxy("blue"),
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
            caller,
            options: options::by_chance(dice, places),
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
