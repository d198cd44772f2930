//! Compares verdicts about the server's certificate and its chain.

mod again;
mod chains;
mod constraints;
mod differences;
mod files;
mod forms;
mod keys;
mod lists;
mod literal;
mod names;
mod revocation;
mod subtrees;
mod uses;
mod validity;

use self::differences::DIFFERENCES;
use crate::forge::{Authority, Draft, Key, chain};
use crate::harness::{Case, Differs, compare};
use crate::sites::Sites;
use crate::support::haproxy::{installed, versions};

/// The SNI name of the checks, for which the certificate must be valid.
const NAME: &str = "www.example.test";

/// The cases, the servers that they need, and the usual root.
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

    /// Adds a case in which the server sends this leaf and these issuers, and the checks trust the
    /// roots in this file.
    fn judge_by_file(
        &mut self,
        name: impl Into<String>,
        leaf: &Authority,
        issuers: &[&[u8]],
        file: &str,
    ) -> &mut Case {
        let sent = [&[&leaf.der[..]], issuers].concat();
        let (address, port) = self.sites.add(&sent, &leaf.key);
        self.cases.push(Case {
            name: name.into(),
            address,
            port,
            server: format!("ssl verify required ca-file {file} check-sni {NAME}"),
            backend: "option httpchk GET /".to_owned(),
            options: format!("--sni {NAME} --ca-file {file}"),
            differs: Differs::No,
        });
        self.cases.last_mut().expect("just pushed")
    }

    /// Like `judge_by_file`, but writes these roots to the file.
    fn judge(
        &mut self,
        name: impl Into<String>,
        leaf: &Authority,
        issuers: &[&[u8]],
        roots: &[&[u8]],
    ) -> &mut Case {
        let file = self.file("roots.pem", &chain(roots));
        self.judge_by_file(name, leaf, issuers, &file)
    }

    /// Adds a case in which the server sends only this certificate, issued by the usual root.
    fn leaf(&mut self, name: &str, draft: Draft) -> &mut Case {
        let leaf = self.root.issue(draft);
        let root = self.root.der.clone();
        self.judge(name, &leaf, &[], &[&root])
    }

    /// Adds a case in which the server sends a leaf and this intermediate, issued by this root.
    fn below(&mut self, name: &str, root: &Authority, middle: Draft) -> &mut Case {
        let middle = root.issue(middle);
        let leaf = middle.issue(Draft::leaf(&[NAME]));
        self.judge(name, &leaf, &[&middle.der], &[&root.der])
    }

    /// Adds cases with a changed leaf, a changed intermediate and a changed root. Returns the last
    /// case.
    fn everywhere(&mut self, what: &str, change: impl Fn(Draft) -> Draft) -> &mut Case {
        self.leaf(&format!("leaf: {what}"), change(Draft::leaf(&[NAME])));
        let (root, middle) = (Authority::root("Root"), change(Draft::ca("Middle")));
        self.below(&format!("intermediate: {what}"), &root, middle);
        let root = change(Draft::ca("Root")).self_signed(Key::new());
        let leaf = root.issue(Draft::leaf(&[NAME]));
        let name = format!("root: {what}");
        self.judge(&name, &leaf, &[], &[&root.der])
    }

    /// Adds a copy of an earlier case, with additional words on the server line (`theirs`) and
    /// additional options for sni-check (`ours`).
    fn again(
        &mut self,
        name: impl Into<String>,
        from: usize,
        theirs: &str,
        ours: &str,
    ) -> &mut Case {
        let mut case = self.cases[from].clone();
        case.name = name.into();
        self.cases.push(case);
        let case = self.cases.last_mut().expect("just pushed");
        case.with(theirs, ours)
    }

    /// Writes a file for the next case, and returns its path.
    fn file(&self, name: &str, content: &str) -> String {
        let number = self.cases.len();
        self.sites.file(&format!("of-{number}/{name}"), content)
    }
}

impl Case {
    /// Makes the checks send this name instead of `NAME`.
    fn asked_for(&mut self, name: &str) -> &mut Case {
        self.server = self.server.replace(NAME, name);
        self.options = self.options.replace(NAME, name);
        self
    }

    /// Adds words to the server line and to sni-check's options.
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
    lists::cases(&mut table);
    subtrees::cases(&mut table);
    literal::cases(&mut table);
    DIFFERENCES.mark(&mut table.cases);
    table
}

/// Runs every fifth case. `make parity` runs all of them.
#[test]
fn the_installed_haproxy_judges_certificates_as_we_do() {
    let Table { sites, cases, .. } = table();
    let _running = sites.start();
    DIFFERENCES.assert_page_has(&format!(
        "{} servers with different certificates",
        cases.len()
    ));
    let some: Vec<Case> = cases.into_iter().step_by(5).collect();
    compare("certificates", &[installed()], &some);
}

#[test]
#[ignore = "make parity"]
fn every_haproxy_judges_certificates_as_we_do() {
    let Table { sites, cases, .. } = table();
    let _running = sites.start();
    // ONLY=words,words selects the cases whose names contain one of these words.
    let only = std::env::var("ONLY").unwrap_or_default();
    let wanted = |case: &Case| only.split(',').any(|part| case.name.contains(part));
    let cases: Vec<Case> = cases.into_iter().filter(wanted).collect();
    compare("certificates", &versions(), &cases);
}
