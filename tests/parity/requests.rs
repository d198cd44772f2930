//! Compares the requests of HAProxy's `http-check send` and of sni-check for the same header
//! fields.

use std::sync::{Arc, Mutex};

use ring::digest;

use crate::forge::{Authority, Draft, chain, openssl};
use crate::harness::{Case, Differs, compare};
use crate::support::haproxy::{Version, installed, versions};
use crate::tls::handmade::{APPLICATION_DATA, Identity, Out, Script, Step};

const NAME: &str = "www.example.test";

/// Header fields, each with its name and value.
type Fields = &'static [(&'static str, &'static str)];

const WEBSOCKET: Fields = &[
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
];

const FIELDS: [Fields; 40] = [
    &[],
    WEBSOCKET,
    &[("Upgrade", "websocket"), ("Connection", "Upgrade")],
    &[
        ("Upgrade", "websocket"),
        ("Connection", "keep-alive, Upgrade"),
    ],
    &[("Upgrade", "websocket")],
    &[("Connection", "Upgrade")],
    &[
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("HTTP2-Settings", "AAMAAABk"),
    ],
    &[("Upgrade", "TLS/1.0"), ("Connection", "Upgrade")],
    &[("Connection", "close")],
    &[("Connection", "keep-alive")],
    &[("Connection", "Keep-Alive, X-Hop"), ("X-Hop", "y")],
    &[("Connection", "TE"), ("TE", "trailers")],
    &[("TE", "trailers")],
    &[("TE", "gzip")],
    &[("Expect", "100-continue")],
    &[("Expect", "nothing")],
    &[("Content-Length", "0")],
    &[("Content-Length", "5")],
    &[("Content-Length", "none")],
    &[("Transfer-Encoding", "chunked")],
    &[("Transfer-Encoding", "gzip, chunked")],
    &[("Transfer-Encoding", "identity")],
    &[("Host", "other.example.test")],
    &[("Host", "other.example.test:8443")],
    &[("Host", "127.0.0.1")],
    &[("Trailer", "X-T")],
    &[("Keep-Alive", "timeout=5")],
    &[("Proxy-Connection", "close")],
    &[("Proxy-Authorization", "Basic eDp5")],
    &[("Authorization", "Basic eDp5")],
    &[("Cookie", "a=b")],
    &[("Cookie", "a=b"), ("Cookie", "c=d")],
    &[("X-Twice", "1"), ("X-Twice", "2")],
    &[("User-Agent", "checker")],
    &[("Accept", "text/html")],
    &[("Accept-Encoding", "gzip")],
    &[("Content-Type", "text/plain")],
    &[("Range", "bytes=0-1")],
    &[("X-Colon", "a:b, c;d=\"e f\"")],
    &[("X-Quoted", "it\\'s 100% \\# good")],
];

const REQUESTS: [(&str, &str); 6] = [
    ("GET", ""),
    ("HEAD", ""),
    ("OPTIONS", ""),
    ("POST", ""),
    ("POST", "a body"),
    ("PUT", "a body"),
];

/// Returns the answer of a WebSocket server (RFC 6455, section 4.2.2), or of a server that switches
/// to a different protocol.
fn switch(head: &[u8]) -> Vec<u8> {
    let head = String::from_utf8_lossy(head);
    let field = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case(wanted).then(|| value.to_owned())
        })
    };
    let protocol = field("upgrade").unwrap_or_default();
    let accept = field("sec-websocket-key").map_or_else(String::new, |key| {
        let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
        let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let encoded = openssl(&["base64", "-A"], hash.as_ref());
        format!(
            "Sec-WebSocket-Accept: {}\r\n",
            String::from_utf8_lossy(&encoded)
        )
    });
    format!("HTTP/1.1 101 Switching Protocols\r\nUpgrade: {protocol}\r\nConnection: Upgrade\r\n{accept}\r\n")
        .into_bytes()
}

/// The heads of the requests that one server has received.
type Heads = Arc<Mutex<Vec<Vec<u8>>>>;

/// Returns the cases, and for each case the requests that its server will receive.
fn table() -> (Vec<Case>, Vec<Heads>) {
    let root = Authority::root("Root");
    let leaf = root.issue(Draft::leaf(&[NAME]));
    let identity = Identity::new(&chain(&[&leaf.der]), &leaf.key.pem);
    let (mut cases, mut heads) = (Vec::new(), Vec::new());
    for (method, body) in REQUESTS {
        for fields in FIELDS {
            let mut script = Script::tls13();
            let upgrades = fields.iter().any(|(name, _)| *name == "Upgrade");
            let status = if upgrades { 101 } else { 200 };
            if upgrades {
                let heads = script.heads.clone();
                script = script.with(Step::Response, move |_| {
                    let heads = heads.lock().expect("a lock");
                    vec![Out::Record(
                        APPLICATION_DATA,
                        switch(heads.last().expect("a head")),
                    )]
                });
            }
            heads.push(script.heads.clone());
            let port = script.serve(&identity);
            let (mut send, mut options) = (String::new(), String::new());
            for (name, value) in fields {
                let plain = value.replace("\\'", "'").replace("\\#", "#");
                let escaped = value
                    .replace(' ', "\\ ")
                    .replace('"', "\\\"")
                    .replace('%', "%%");
                send += &format!(" hdr {name} {escaped}");
                options += &format!(" --header '{name}: {}'", plain.replace('\'', "'\\''"));
            }
            if !fields.iter().any(|(name, _)| *name == "Host") {
                send += &format!(" hdr Host {NAME}");
            }
            if !body.is_empty() {
                send += " body a\\ body";
                options += " --body 'a body'";
            }
            cases.push(Case {
                name: format!("{method} {body} {fields:?}"),
                address: "127.0.0.1".to_owned(),
                port,
                server: format!("ssl verify none check-sni {NAME}"),
                backend: format!(
                    "option httpchk\nhttp-check send meth {method} uri /u ver HTTP/1.1{send}\n\
                     http-check expect status {status}"
                ),
                options: format!(
                    "--sni {NAME} --verify none --method {method} --uri /u{options} --expect 'status {status}'"
                ),
                differs: Differs::No,
            });
        }
    }
    (cases, heads)
}

/// Returns the sorted lines of a head, with names in lower case. Unless `fields` sets them, leaves out
/// User-Agent, Accept and Sec-WebSocket-Key, because they differ between the programs.
fn lines(head: &[u8], fields: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(head).into_owned();
    let lines = text.split("\r\n").take_while(|line| !line.is_empty());
    let lines = lines.map(|line| match line.split_once(": ") {
        Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
        None => line.to_owned(),
    });
    let ours = |line: &String| {
        (line.starts_with("user-agent: ") && !fields.contains("User-Agent"))
            // Each program chooses its own key.
            || (line.starts_with("sec-websocket-key: ") && !fields.contains("Sec-WebSocket-Key"))
            || (line.starts_with("accept: ") && !fields.contains("\"Accept\""))
    };
    let mut lines: Vec<String> = lines.filter(|line| !ours(line)).collect();
    lines.sort();
    lines
}

fn assert_alike(versions: &[Version], every: usize) {
    let (cases, heads) = table();
    let chosen = cases.into_iter().zip(heads).step_by(every);
    let (cases, heads): (Vec<_>, Vec<_>) = chosen.unzip();
    compare("requests", versions, &cases);
    let mut different = Vec::new();
    for (case, heads) in cases.iter().zip(heads) {
        let heads = heads.lock().expect("a lock");
        // The first request came from sni-check.
        let each: Vec<Vec<String>> = heads.iter().map(|head| lines(head, &case.name)).collect();
        if let Some(theirs) = each.iter().find(|lines| **lines != each[0]) {
            different.push(format!(
                "{}:\n  sni-check {:?}\n  HAProxy {theirs:?}",
                case.name, each[0]
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

#[test]
fn the_installed_haproxy_sends_what_we_send() {
    assert_alike(&[installed()], 3);
}

#[test]
#[ignore = "make parity"]
fn every_haproxy_sends_what_we_send() {
    assert_alike(&versions(), 1);
}
