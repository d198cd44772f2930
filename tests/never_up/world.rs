//! Peers that stay up, and do for each case what it says.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::ExtendedKeyUsagePurpose::ClientAuth;
use rustix::net::sockopt::set_socket_linger;
use time::{Duration as Days, OffsetDateTime};

use crate::NAME;
use crate::case::{Case, Certificate, Door, End, Peer, Places};
use crate::support::check::BINARY;
use crate::support::folder::Folder;
use crate::support::pki::{Ca, Leaf};
use crate::support::{dead_port, peer};

type Script = Arc<Mutex<(Vec<u8>, End)>>;

pub struct World {
    script: Script,
    tls: Vec<(Certificate, u16)>,
    plain: u16,
    pub places: Places,
    _folder: Folder,
}

impl World {
    pub fn new() -> World {
        let folder = Folder::new();
        let (ca, other) = (Ca::new(), Ca::named("Other CA"));
        let script = Arc::new(Mutex::new((Vec::new(), End::InOrder)));
        let tls = Certificate::ALL.map(|certificate| {
            let leaf = leaf(certificate, &ca, &other);
            (certificate, speaking(&leaf, script.clone()))
        });
        World {
            tls: tls.into(),
            plain: blunt(script.clone()),
            script,
            places: Places {
                our_ca: folder.file("ca.pem", &ca.pem),
                other_ca: folder.file("other.pem", &Ca::named("Third CA").pem),
                nobody: dead_port(),
            },
            _folder: folder,
        }
    }

    /// Runs a check of the peer of this case.
    pub fn run(&self, case: &Case) -> Output {
        *self.script.lock().expect("a lock") = (case.says.clone(), case.end);
        let port = match case.peer {
            Peer::Tls(wanted) => {
                let found = self
                    .tls
                    .iter()
                    .find(|(certificate, _)| *certificate == wanted);
                found.expect("each has its peer").1
            }
            Peer::Plain => self.plain,
            Peer::Nobody => self.places.nobody,
        };
        command(case, port).output().expect("the program runs")
    }
}

fn leaf(certificate: Certificate, ca: &Ca, other: &Ca) -> Leaf {
    match certificate {
        Certificate::Good => ca.leaf(&[NAME], 30),
        Certificate::Soon => ca.leaf(&[NAME], 3),
        Certificate::OtherName => ca.leaf(&["third.example.test"], 30),
        Certificate::Expired => ca.leaf(&[NAME], -2),
        Certificate::NotYetValid => ca.leaf_with(&[NAME], |params| {
            params.not_before = OffsetDateTime::now_utc() + Days::days(5);
            params.not_after = params.not_before + Days::days(25) + Days::hours(1);
        }),
        Certificate::Stranger => other.leaf(&[NAME], 30),
        Certificate::ForClients => ca.leaf_with(&[NAME], |params| {
            params.not_after = OffsetDateTime::now_utc() + Days::days(30) + Days::hours(1);
            params.extended_key_usages = vec![ClientAuth];
        }),
    }
}

fn speaking(leaf: &Leaf, script: Script) -> u16 {
    peer::tls(leaf, move |stream| {
        let (says, end) = script.lock().expect("a lock").clone();
        let _ = stream.write_all(&says);
        if end == End::InOrder {
            stream.conn.send_close_notify();
        }
        let _ = stream.flush();
        match end {
            End::Reset => _ = set_socket_linger(&stream.sock, Some(Duration::ZERO)),
            _ => {
                let _ = stream.sock.shutdown(Shutdown::Write);
                let _ = stream.sock.read_to_end(&mut Vec::new());
            }
        }
    })
}

fn blunt(script: Script) -> u16 {
    peer::tcp(move |mut stream| {
        let (says, _) = script.lock().expect("a lock").clone();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&says);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

fn command(case: &Case, port: u16) -> Command {
    let words: Vec<&String> = case
        .options
        .iter()
        .flat_map(|option| &option.words)
        .collect();
    let quoted: Vec<String> = words
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', r"'\''")))
        .collect();
    // Long enough for a loaded machine; no peer of these keeps anybody waiting.
    let path = format!("--timeout 20s {}", quoted.join(" "));
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", path);
    let variables = case.environment.iter();
    command.envs(variables.map(|(name, value): &(OsString, OsString)| (name, value)));
    match case.door {
        Door::ByHand(host) => {
            let connect = match words.iter().any(|word| *word == "--port") {
                true => "127.0.0.1".to_owned(),
                false => format!("127.0.0.1:{port}"),
            };
            command.args(words).args(["--connect", &connect, host]);
        }
        Door::Haproxy(_) | Door::Bare => {
            command.args(["NOT_USED", "NOT_USED", "127.0.0.1", &port.to_string()]);
        }
    }
    if let Door::Haproxy(server) = case.door {
        command.env("HAPROXY_SERVER_NAME", server);
    }
    command
}
