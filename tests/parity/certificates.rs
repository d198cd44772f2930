//! What the server's certificate and its chain may be.

use crate::forge::{Authority, Draft, Key, chain, days};
use crate::harness::{Case, Differs, compare};
use crate::sites::Sites;
use crate::support::haproxy::{installed, versions};

const NAME: &str = "www.example.test";

/// The cases, and the servers to be that they are about.
struct Table {
    sites: Sites,
    cases: Vec<Case>,
    root: Authority,
}

impl Table {
    fn new() -> Table {
        Table {
            sites: Sites::new(),
            cases: Vec::new(),
            root: Authority::root("Root"),
        }
    }

    /// A server that sends this chain, its own certificate first, judged by these roots.
    fn judge(&mut self, name: &str, sent: &[&[u8]], key: &Key, roots: &[&[u8]]) -> &mut Case {
        let ca_file = self
            .sites
            .file(&format!("{}.ca", self.cases.len()), &chain(roots));
        let (address, port) = self.sites.add(&chain(sent), &key.pem, "");
        self.cases.push(Case {
            name: name.to_owned(),
            address,
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
    let leaf = table.root.issue(Draft::leaf(&[NAME]));
    let root = table.root.der.clone();
    table.judge("a usual leaf", &[&leaf.der], &leaf.key, &[&root]);
    let other = table.root.issue(Draft::leaf(&["other.example.test"]));
    table.judge("another name", &[&other.der], &other.key, &[&root]);
    let ended = Draft::leaf(&[NAME]).between(days(-9), days(-2));
    let ended = table.root.issue(ended);
    table.judge("expired", &[&ended.der], &ended.key, &[&root]);
    table
}

#[test]
fn the_installed_haproxy_judges_certificates_as_we_do() {
    let Table { sites, cases, .. } = table();
    let _running = sites.start();
    compare("certificates", &[installed()], &cases);
}

#[test]
#[ignore = "make parity"]
fn every_haproxy_judges_certificates_as_we_do() {
    let Table { sites, cases, .. } = table();
    let _running = sites.start();
    compare("certificates", &versions(), &cases);
}
