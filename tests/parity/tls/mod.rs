//! Compares verdicts about the server's TLS: versions, ciphers, key exchanges, signatures, records.

mod differences;
mod gnutls;
pub mod handmade;
mod messages;
mod parameters;
mod records;

use std::any::Any;

use self::differences::DIFFERENCES;
use crate::forge::{Algorithm, Authority, Draft, Key, chain};
use crate::harness::{Case, Differs, compare};
use crate::sites::Sites;
use crate::support::haproxy::{installed, versions};

/// The SNI name of the checks, which is also the certificate's name.
const NAME: &str = "www.example.test";

/// The cases, and the servers that they need.
struct Table {
    sites: Sites,
    cases: Vec<Case>,
    /// Server certificates with keys of the usual kinds, by the name of the kind.
    servers: Vec<(&'static str, Authority)>,
    root: Authority,
    ca_file: String,
    /// Running servers that must live as long as the test.
    kept: Vec<Box<dyn Any>>,
}

impl Table {
    fn new() -> Table {
        let (sites, root) = (Sites::new(), Authority::root("Root"));
        let keys = [
            ("P-256", Key::curve("P-256", "sha256")),
            ("P-384", Key::curve("P-384", "sha384")),
            ("P-521", Key::curve("P-521", "sha512")),
            ("RSA", Key::rsa(2048)),
            ("RSA-PSS", Key::made(&["RSA-PSS"], Algorithm::Pss("sha256"))),
            ("Ed25519", Key::made(&["ED25519"], Algorithm::Ed25519)),
            ("Ed448", Key::made(&["ED448"], Algorithm::Ed448)),
        ];
        let issue = |key| root.issue_to(Draft::leaf(&[NAME]), key);
        Table {
            ca_file: sites.file("root.pem", &chain(&[&root.der])),
            servers: keys.map(|(kind, key)| (kind, issue(key))).into(),
            sites,
            cases: Vec::new(),
            root,
            kept: Vec::new(),
        }
    }

    /// Returns the certificate and the key of this kind, both PEM.
    fn server(&self, kind: &str) -> (String, String) {
        let mut all = self.servers.iter();
        let (_, found) = all.find(|(name, _)| *name == kind).expect("a kind of key");
        (chain(&[&found.der]), found.key.pem.clone())
    }

    /// Adds a case with an nginx server that has a key of this kind and these directives.
    fn nginx(&mut self, name: &str, kind: &str, directives: &str) -> &mut Case {
        let (certificate, key) = self.server(kind);
        let (address, port) = self.sites.nginx(&certificate, &key, directives);
        self.judge(name, &address, port)
    }

    /// Adds a case with the server at this address and port.
    fn judge(&mut self, name: &str, address: &str, port: u16) -> &mut Case {
        let ca_file = &self.ca_file;
        self.cases.push(Case {
            name: name.to_owned(),
            address: address.to_owned(),
            port,
            server: format!("ssl verify required ca-file {ca_file} check-sni {NAME}"),
            backend: "option httpchk GET /".to_owned(),
            options: format!("--sni {NAME} --ca-file {ca_file}"),
            differs: Differs::No,
        });
        self.cases.last_mut().expect("just pushed")
    }
}

fn table() -> Table {
    let mut table = Table::new();
    parameters::cases(&mut table);
    records::cases(&mut table);
    gnutls::cases(&mut table);
    messages::cases(&mut table);
    DIFFERENCES.mark(&mut table.cases);
    table
}

/// Runs every fourth case. `make parity` runs all of them.
#[test]
fn the_installed_haproxy_judges_tls_as_we_do() {
    let Table {
        sites, cases, kept, ..
    } = table();
    let _running = (sites.start(), kept);
    DIFFERENCES.assert_page_has(&format!("{} servers with different TLS", cases.len()));
    let some: Vec<Case> = cases.into_iter().step_by(4).collect();
    compare("TLS", &[installed()], &some);
}

#[test]
#[ignore = "make parity"]
fn every_haproxy_judges_tls_as_we_do() {
    let Table {
        sites, cases, kept, ..
    } = table();
    let _running = (sites.start(), kept);
    compare("TLS", &versions(), &cases);
}
