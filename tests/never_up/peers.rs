//! Peers that run during all cases, and behave as the current case says.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use rcgen::ExtendedKeyUsagePurpose::ClientAuth;
use time::{Duration as Days, OffsetDateTime};

use crate::case::{Caller, Case, Certificate, End, Peer, Places};
use crate::support::NAME;
use crate::support::check::BINARY;
use crate::support::pki::{Ca, Leaf};
use crate::support::stage::Stage;
use crate::support::{dead_port, peer};

type Script = Arc<Mutex<(Vec<u8>, End)>>;

pub struct Peers {
    script: Script,
    tls: Vec<(Certificate, u16)>,
    plain: u16,
    pub places: Places,
    _stage: Stage,
}

impl Peers {
    pub fn new() -> Peers {
        let (stage, other) = (Stage::new(), Ca::named("Other CA"));
        let script = Arc::new(Mutex::new((Vec::new(), End::InOrder)));
        let tls = Certificate::ALL.map(|certificate| {
            let leaf = leaf(certificate, &stage.ca, &other);
            (certificate, speaking(&leaf, script.clone()))
        });
        Peers {
            tls: tls.into(),
            plain: blunt(script.clone()),
            script,
            places: Places {
                our_ca: stage.ca_file.clone(),
                other_ca: stage.folder.file("other.pem", &Ca::named("Third CA").pem),
                closed_port: dead_port(),
            },
            _stage: stage,
        }
    }

    /// Runs a check of the case's peer.
    pub fn run(&self, case: &Case) -> Output {
        *self.script.lock().expect("a lock") = (case.says.clone(), case.end);
        let port = match case.peer {
            Peer::Tls(wanted) => {
                let found = self
                    .tls
                    .iter()
                    .find(|(certificate, _)| *certificate == wanted);
                found.expect("a peer for each certificate").1
            }
            Peer::Plain => self.plain,
            Peer::Nobody => self.places.closed_port,
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
            End::Reset => peer::reset(&stream.sock),
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
    // This time is long enough for a loaded machine, because no peer of this test waits.
    let path = format!("--timeout 20s {}", quoted.join(" "));
    let mut command = Command::new(BINARY);
    command.env_clear().env("PATH", path);
    let variables = case.environment.iter();
    command.envs(variables.map(|(name, value): &(OsString, OsString)| (name, value)));
    match case.caller {
        Caller::ByHand(host) => {
            let connect = match words.iter().any(|word| *word == "--port") {
                true => "127.0.0.1".to_owned(),
                false => format!("127.0.0.1:{port}"),
            };
            command.args(words).args(["--connect", &connect, host]);
        }
        Caller::Haproxy(_) | Caller::Bare => {
            command.args(["NOT_USED", "NOT_USED", "127.0.0.1", &port.to_string()]);
        }
    }
    if let Caller::Haproxy(server) = case.caller {
        command.env("HAPROXY_SERVER_NAME", server);
    }
    command
}
