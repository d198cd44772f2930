//! The files that options name, which the check opens inside the chroot as HAProxy's user.

use std::fs::File;
use std::path::PathBuf;

use crate::options::Options;
use crate::output::mark::Mark;

use super::call::Call;
use super::finding::{Finding, Findings};
use super::jail::{Jail, Need, Obstacle};

/// Where systems keep their CA certificates: one of these must be in the chroot for `@system-ca`.
const SYSTEM_CA: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs/ca-bundle.crt",
];

/// What was renamed: the path in the configuration, and where that is from outside.
pub(super) struct Moved(Vec<(String, String)>);

impl Moved {
    /// A sentence with the paths as the configuration has them.
    pub(super) fn outside_in(&self, sentence: &str) -> String {
        let renamed = self.0.iter();
        renamed.fold(sentence.to_owned(), |sentence, (inside, outside)| {
            sentence.replace(outside, inside)
        })
    }
}

/// Makes the options name their files as seen from outside the jail, and says which HAProxy's
/// user cannot read; those are left out.
pub(super) fn move_into_jail(
    options: &mut Options,
    call: &Call,
    jail: &Jail,
    findings: &mut Findings,
) -> Moved {
    let mut mover = Mover {
        call,
        jail,
        findings,
        moved: Moved(Vec::new()),
    };
    let bundled = |file: &String| file.starts_with('@');
    let ca_file = &mut options.ca_file;
    ca_file.retain_mut(|file| bundled(file) || mover.moves("--ca-file", file));
    let crl_file = &mut options.crl_file;
    crl_file.retain_mut(|file| mover.moves("--crl-file", file));
    options.header.retain_mut(|header| {
        let Some(file) = header.strip_prefix('@') else {
            return true;
        };
        let mut file = file.to_owned();
        let moves = mover.moves("--header", &mut file);
        *header = format!("@{file}");
        moves
    });
    let mut readable = true;
    for (option, file) in [("--crt", &mut options.crt), ("--key", &mut options.key)] {
        if let Some(file) = file {
            readable &= mover.moves(option, file);
        }
    }
    if !readable {
        (options.crt, options.key) = (None, None);
    }
    let moved = mover.moved;
    system_ca(options, call, jail, findings);
    moved
}

struct Mover<'a, 'b> {
    call: &'a Call<'b>,
    jail: &'a Jail,
    findings: &'a mut Findings,
    moved: Moved,
}

impl Mover<'_, '_> {
    /// Renames a file, unless it cannot be read.
    fn moves(&mut self, option: &str, file: &mut String) -> bool {
        if !file.starts_with('/') && !self.jail.is_chroot() {
            self.findings.add(relative(self.call, option, file));
            return false;
        }
        let real = match self.jail.find(file, Need::Read) {
            Ok(real) => real,
            Err(obstacle) => {
                let finding = unreadable(self.call, self.jail, option, file, &obstacle);
                self.findings.add(finding);
                return false;
            }
        };
        if File::open(&real).is_err() {
            self.findings.add(hidden(self.call, option, file));
            return false;
        }
        let real = real.display().to_string();
        self.moved.0.push((file.clone(), real.clone()));
        *file = real;
        true
    }
}

/// `--ca-file @system-ca` inside a chroot.
fn system_ca(options: &mut Options, call: &Call, jail: &Jail, findings: &mut Findings) {
    if !jail.is_chroot() {
        return;
    }
    for source in options
        .ca_file
        .iter_mut()
        .filter(|source| *source == "@system-ca")
    {
        if !SYSTEM_CA
            .iter()
            .any(|file| jail.find(file, Need::Read).is_ok())
        {
            findings.add(Finding {
                write: "--ca-file @bundled, or a PEM file inside the chroot".to_owned(),
                ..finding(
                    call,
                    format!(
                        "--ca-file @system-ca: the chroot {} has no CA certificates",
                        jail.root.display()
                    ),
                )
            });
        }
        // Whatever they are, the plan needs none to be complete.
        "@bundled".clone_into(source);
    }
}

fn finding(call: &Call, what: String) -> Finding {
    let path = call.backend.set.path.as_ref();
    Finding {
        mark: Mark::Problem,
        id: "file",
        place: path.map(|path| path.place.clone()),
        about: vec![call.caller().to_string()],
        what,
        shows: "PROCERR with code 2, the server is DOWN".to_owned(),
        write: String::new(),
    }
}

fn unreadable(call: &Call, jail: &Jail, option: &str, file: &str, why: &Obstacle) -> Finding {
    let inside = jail.root.join(file.trim_start_matches('/'));
    let folder = inside.parent().map(PathBuf::from).unwrap_or_default();
    let user = &jail.user.name;
    let (what, write) = match why {
        Obstacle::Missing if jail.is_chroot() => (
            format!(
                "{option} {file} is not in the chroot {}",
                jail.root.display()
            ),
            format!("install -D -m 644 {file} {}", inside.display()),
        ),
        Obstacle::Missing => (
            format!("{option} {file} is not there"),
            format!("the path of the file, or put it into {}", folder.display()),
        ),
        Obstacle::NoFile => (
            format!("{option} {file} is no file"),
            "the path of a file".to_owned(),
        ),
        Obstacle::Forbidden(at) => (
            format!(
                "{option} {file}: user {user} may not read it, see the mode of {}",
                at.display()
            ),
            format!("chgrp and chmod so that {user} may read {}", at.display()),
        ),
        Obstacle::Hidden(_) => return hidden(call, option, file),
    };
    Finding {
        write,
        ..finding(call, what)
    }
}

fn hidden(call: &Call, option: &str, file: &str) -> Finding {
    Finding {
        mark: Mark::Note,
        id: "hidden-file",
        shows: "nothing is known of its content".to_owned(),
        write: "run doctor as root".to_owned(),
        ..finding(
            call,
            format!("{option} {file} could not be read by this user"),
        )
    }
}

fn relative(call: &Call, option: &str, file: &str) -> Finding {
    Finding {
        mark: Mark::Note,
        id: "relative-file",
        shows: "code 2 (DOWN) if HAProxy is started elsewhere; systemd starts it in /".to_owned(),
        write: "the whole path".to_owned(),
        ..finding(
            call,
            format!("{option} {file} is looked for in the folder that HAProxy was started in"),
        )
    }
}
