//! What the server's certificate and its chain may be.

mod again;
mod chains;
mod constraints;
pub(crate) mod differences;
mod files;
mod forms;
mod keys;
mod names;
mod revocation;
mod uses;
mod validity;

use self::differences::{DIFFERENCES, matches};
use crate::forge::{Authority, Draft, Key, chain};
use crate::harness::{Case, Differs, compare};
use crate::sites::Sites;
use crate::support::haproxy::{installed, versions};

/// What a server is asked for, and what its certificate has to be for.
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

    /// A server that sends this chain, its own certificate first, judged by the roots in a file.
    fn judge_by_file(&mut self, name: &str, sent: &[&[u8]], key: &Key, file: &str) -> &mut Case {
        let (address, port) = self.sites.add(sent, key);
        self.cases.push(Case {
            name: name.to_owned(),
            address,
            port,
            server: format!("ssl verify required ca-file {file} check-sni {NAME}"),
            backend: "option httpchk GET /".to_owned(),
            options: format!("--sni {NAME} --ca-file {file}"),
            differs: Differs::No,
        });
        self.cases.last_mut().expect("just pushed")
    }

    /// The same, by these roots.
    fn judge(&mut self, name: &str, sent: &[&[u8]], key: &Key, roots: &[&[u8]]) -> &mut Case {
        let file = self.file("roots.pem", &chain(roots));
        self.judge_by_file(name, sent, key, &file)
    }

    /// The same for a certificate that the usual root issues and that is sent alone.
    fn leaf(&mut self, name: &str, draft: Draft) -> &mut Case {
        let leaf = self.root.issue(draft);
        let root = self.root.der.clone();
        self.judge(name, &[&leaf.der], &leaf.key, &[&root])
    }

    /// A file of the next case's own.
    fn file(&self, name: &str, content: &str) -> String {
        let number = self.cases.len();
        self.sites.file(&format!("of-{number}/{name}"), content)
    }
}

impl Case {
    /// With another name than the usual one.
    fn asked_for(&mut self, name: &str) -> &mut Case {
        self.server = self.server.replace(NAME, name);
        self.options = self.options.replace(NAME, name);
        self
    }

    /// With these words more, HAProxy's and ours.
    fn with(&mut self, theirs: &str, ours: &str) -> &mut Case {
        self.server = format!("{} {theirs}", self.server);
        self.options = format!("{} {ours}", self.options);
        self
    }
}

fn table() -> Table {
    let mut table = Table::new();
    names::cases(&mut table);
    validity::cases(&mut table);
    chains::cases(&mut table);
    again::cases(&mut table);
    constraints::cases(&mut table);
    uses::cases(&mut table);
    keys::cases(&mut table);
    forms::cases(&mut table);
    files::cases(&mut table);
    revocation::cases(&mut table);
    for (differs, patterns) in DIFFERENCES {
        for pattern in *patterns {
            let cases = table.cases.iter_mut();
            let named: Vec<&mut Case> = cases.filter(|case| matches(pattern, &case.name)).collect();
            assert!(!named.is_empty(), "there is no case {pattern}");
            for case in named {
                case.differs = *differs;
            }
        }
    }
    table
}

/// Every fifth case; `make parity` has them all.
#[test]
fn the_installed_haproxy_judges_certificates_as_we_do() {
    let Table { sites, cases, .. } = table();
    let _running = sites.start();
    assert_page_has(cases.len());
    let some: Vec<Case> = cases.into_iter().step_by(5).collect();
    compare("certificates", &[installed()], &some);
}

/// docs/limits.md has the number of cases and each limit.
fn assert_page_has(cases: usize) {
    let page = include_str!("../../../docs/limits.md");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let count = format!("{cases} servers with different certificates");
    assert!(page.contains(&count), "docs/limits.md lacks: {count}");
    for (differs, _) in DIFFERENCES {
        if let Differs::Limit(limit) = differs {
            assert!(page.contains(limit), "docs/limits.md lacks: {limit}");
        }
    }
}

#[test]
#[ignore = "make parity"]
fn every_haproxy_judges_certificates_as_we_do() {
    let Table { sites, cases, .. } = table();
    let _running = sites.start();
    compare("certificates", &versions(), &cases);
}
