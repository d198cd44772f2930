//! The files that options name, which the check opens inside the chroot as HAProxy's user.

use std::path::Path;

use crate::options::Options;

use super::check::ExternalCheck;
use super::finding::Finding;
use super::jail::{Jail, Need, Obstacle};
use super::shell::shell;

/// Where systems keep their CA certificates: one of these must be in the chroot for `@system-ca`.
const SYSTEM_CA: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/ca-bundle.crt",
];

/// Looks at the files that options name. Those that HAProxy's user cannot read are taken out of the
/// options, and there is a finding for each.
pub(super) fn look(options: &mut Options, check: &ExternalCheck, jail: &Jail) -> Vec<Finding> {
    let mut files = OptionFiles {
        check,
        jail,
        findings: Vec::new(),
    };
    let bundled = |file: &String| file.starts_with('@');
    let ca_file = &mut options.ca_file;
    ca_file.retain(|file| bundled(file) || files.is_readable("--ca-file", file));
    let crl_file = &mut options.crl_file;
    crl_file.retain(|file| files.is_readable("--crl-file", file));
    options
        .header
        .retain(|header| match header.strip_prefix('@') {
            Some(file) => files.is_readable("--header", file),
            None => true,
        });
    let mut readable = true;
    for (option, file) in [("--crt", &options.crt), ("--key", &options.key)] {
        if let Some(file) = file {
            readable &= files.is_readable(option, file);
        }
    }
    if !readable {
        (options.crt, options.key) = (None, None);
    }
    files.system_ca(options);
    files.findings
}

/// The files of a check, as HAProxy's user finds them.
struct OptionFiles<'a> {
    check: &'a ExternalCheck<'a>,
    jail: &'a Jail,
    findings: Vec<Finding>,
}

impl OptionFiles<'_> {
    fn is_readable(&mut self, option: &str, file: &str) -> bool {
        let need = match option {
            "--ca-file" => Need::ReadOrList,
            _ => Need::Read,
        };
        let obstacle = if !file.starts_with('/') && !self.jail.is_chroot() {
            self.relative(option, file)
        } else if let Err(obstacle) = self.jail.find(file, need) {
            self.unreadable(option, file, &obstacle)
        } else if self.jail.files().open(option, file).is_err() {
            self.hidden(option, file)
        } else {
            return true;
        };
        self.findings.push(obstacle);
        false
    }

    /// `@system-ca` is the chroot's, of which only this is known: whether there is any.
    fn system_ca(&mut self, options: &mut Options) {
        if !self.jail.is_chroot() {
            return;
        }
        let system = |source: &&mut String| *source == "@system-ca";
        for source in options.ca_file.iter_mut().filter(system) {
            let is_there = |file: &&str| self.jail.find(file, Need::Read).is_ok();
            if !SYSTEM_CA.iter().any(is_there) {
                let what = format!(
                    "--ca-file @system-ca: the chroot {} has no CA certificates",
                    self.jail.root.display()
                );
                let finding = self.finding(Finding::problem("file", what));
                self.findings
                    .push(finding.write("use --ca-file @bundled, or a PEM file inside the chroot"));
            }
            // Whatever they are, the plan needs none to be complete.
            "@bundled".clone_into(source);
        }
    }

    fn finding(&self, mut finding: Finding) -> Finding {
        let path = self.check.backend.settings.path.as_ref();
        finding.place = path.map(|path| path.place.clone());
        finding
            .about([self.check.caller().to_string()])
            .shows("PROCERR with code 2, the server is DOWN")
    }

    fn unreadable(&self, option: &str, file: &str, why: &Obstacle) -> Finding {
        let jail = self.jail;
        let user = &jail.user.name;
        let (what, write) = match why {
            Obstacle::Missing if jail.is_chroot() => {
                let root = jail.root.display();
                let what = format!("{option} {file} is not in the chroot {root}");
                let install = ["install", "-D", "-m", "644", file, &jail.outside(file)];
                return self
                    .finding(Finding::problem("file", what))
                    .paste(shell(install));
            }
            Obstacle::Missing => {
                let folder = Path::new(file).parent().unwrap_or(Path::new("/"));
                (
                    format!("{option} {file} is not there"),
                    format!("name the right path, or put it into {}", folder.display()),
                )
            }
            Obstacle::NotRegular => (
                format!("{option} {file} is not a regular file"),
                "name a file".to_owned(),
            ),
            Obstacle::Forbidden(at) => (
                format!(
                    "{option} {file}: user {user} may not read it, see the mode of {}",
                    at.display()
                ),
                format!(
                    "use chgrp and chmod so that {user} may read {}",
                    at.display()
                ),
            ),
            Obstacle::Hidden(_) => return self.hidden(option, file),
        };
        self.finding(Finding::problem("file", what)).write(write)
    }

    fn hidden(&self, option: &str, file: &str) -> Finding {
        let what = format!("{option} {file} could not be read by this user");
        self.finding(Finding::note("hidden-file", what))
            .shows("nothing is known about its content")
            .write("run doctor as root")
    }

    fn relative(&self, option: &str, file: &str) -> Finding {
        let what =
            format!("{option} {file} is looked for in the folder that HAProxy was started in");
        self.finding(Finding::note("relative-file", what))
            .shows("code 2 (DOWN) if HAProxy is started elsewhere; systemd starts it in /")
            .write("write the whole path")
    }
}
