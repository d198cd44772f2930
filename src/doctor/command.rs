//! Whether HAProxy's user can run `external-check command` inside the chroot.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, statvfs};

use crate::haproxy::call::own_command;
use crate::output::mark::Mark;

use super::call::Call;
use super::finding::{Finding, Findings};
use super::jail::{Jail, Need, Obstacle};
use super::program::Program;

/// HAProxy's code for a program that could not be started.
const NOT_RUN: &str = "PROCERR with code 255, the server is DOWN";

/// What is wrong with a command.
struct Fault {
    what: String,
    shows: String,
    write: String,
    mark: Mark,
}

/// Looks at the command of a call.
pub(super) fn command(call: &Call, jail: &Jail, findings: &mut Findings) {
    let Some(fault) = fault(&call.command.value, jail) else {
        return;
    };
    findings.add(Finding {
        mark: fault.mark,
        id: "command",
        place: Some(call.command.place.clone()),
        about: vec![call.backend.name.clone()],
        what: fault.what,
        shows: fault.shows,
        write: fault.write,
    });
}

fn not_run(what: String, write: impl Into<String>) -> Fault {
    Fault {
        mark: Mark::Problem,
        what,
        shows: NOT_RUN.to_owned(),
        write: write.into(),
    }
}

fn fault(command: &str, jail: &Jail) -> Option<Fault> {
    if !command.starts_with('/') {
        return Some(not_run(
            format!(
                "external-check command {command} is no absolute path; HAProxy looks for it in external-check path"
            ),
            format!("the whole path: external-check command {}", own_command()),
        ));
    }
    let real = match jail.find(command, Need::Execute) {
        Ok(real) => real,
        Err(obstacle) => return Some(obstructed(command, jail, &obstacle)),
    };
    let noexec = statvfs(&real).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::NOEXEC));
    if noexec {
        return Some(not_run(
            format!("{command} is on a file system mounted noexec"),
            "put it on another file system, or mount that one without noexec",
        ));
    }
    unstartable(command, jail, Program::read(&real)?)
}

/// What the kernel lacks to start a program.
fn unstartable(command: &str, jail: &Jail, program: Program) -> Option<Fault> {
    match program {
        Program::Elf { loader: None, .. } => None,
        Program::Elf {
            loader: Some(loader),
            libraries,
        } => dynamic(command, jail, &loader, &libraries),
        Program::Foreign => Some(not_run(
            format!("{command} is a binary for another machine"),
            "install the sni-check of this architecture",
        )),
        Program::Script(interpreter) if jail.find(&interpreter, Need::Execute).is_err() => {
            let what = format!(
                "{command} is a script, and its interpreter `{interpreter}` {}",
                not_in(jail)
            );
            let write = "a static program as external-check command, such as sni-check itself";
            Some(not_run(what, write))
        }
        Program::Script(_) => None,
        Program::Unknown => Some(unknown(command, jail)),
    }
}

/// Neither a binary nor a script with its interpreter.
fn unknown(command: &str, jail: &Jail) -> Fault {
    let what = format!("{command} is neither a binary nor does it begin with #!");
    let write = "install sni-check anew, or give the script its #! line".to_owned();
    match jail.find("/bin/sh", Need::Execute) {
        Err(_) => not_run(what, write),
        Ok(_) => Fault {
            mark: Mark::Note,
            what,
            shows: "HAProxy gives it to /bin/sh; an empty file would be UP for ever".to_owned(),
            write,
        },
    }
}

fn obstructed(command: &str, jail: &Jail, obstacle: &Obstacle) -> Fault {
    let user = &jail.user.name;
    let (what, write) = match obstacle {
        Obstacle::Missing if jail.is_chroot() => (
            format!(
                "external-check command {command} is not in the chroot {}",
                jail.root.display()
            ),
            install(command, jail),
        ),
        Obstacle::Missing => (
            format!("external-check command {command} is not there"),
            format!("external-check command {}", own_command()),
        ),
        Obstacle::NoFile => (
            format!("external-check command {command} is no regular file"),
            "the path of sni-check itself".to_owned(),
        ),
        Obstacle::Forbidden(at) => (
            format!(
                "user {user} may not execute {command}: see the mode of {}",
                at.display()
            ),
            format!("chmod 755 {}", at.display()),
        ),
        Obstacle::Hidden(at) => {
            return Fault {
                mark: Mark::Note,
                what: format!(
                    "{command} could not be looked at: no right to look at {}",
                    at.display()
                ),
                shows: "nothing is known of it".to_owned(),
                write: "run doctor as root".to_owned(),
            };
        }
    };
    Fault {
        mark: Mark::Problem,
        what,
        shows: NOT_RUN.to_owned(),
        write,
    }
}

/// How to bring a command into the chroot.
fn install(command: &str, jail: &Jail) -> String {
    let outside = Path::new(command);
    let source = match outside.is_file() {
        true => command.to_owned(),
        false => own_command(),
    };
    format!(
        "install -D -m 755 {source} {}{command}",
        jail.root.display()
    )
}

fn not_in(jail: &Jail) -> String {
    match jail.is_chroot() {
        true => format!("cannot be executed in the chroot {}", jail.root.display()),
        false => "cannot be executed".to_owned(),
    }
}

/// A binary that needs a loader and libraries.
fn dynamic(command: &str, jail: &Jail, loader: &str, libraries: &[String]) -> Option<Fault> {
    let write =
        "the static sni-check (a release build is), which needs nothing beside it".to_owned();
    if jail.find(loader, Need::Execute).is_err() {
        return Some(Fault {
            mark: Mark::Problem,
            what: format!(
                "{command} is not static, and its loader {loader} {}",
                not_in(jail)
            ),
            shows: NOT_RUN.to_owned(),
            write,
        });
    }
    if !jail.is_chroot() {
        return None;
    }
    let missing = libraries.iter().find(|name| !has_library(jail, name))?;
    Some(Fault {
        mark: Mark::Problem,
        what: format!(
            "{command} is not static, and {missing} is not in the chroot {}",
            jail.root.display()
        ),
        shows: "PROCERR with code 127, the server is DOWN".to_owned(),
        write,
    })
}

/// Whether a library is where a loader looks without a configuration (ld.so(8)).
fn has_library(jail: &Jail, name: &str) -> bool {
    let multiarch = format!("{}-linux-gnu", std::env::consts::ARCH);
    let folders = ["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(str::to_owned);
    let folders = folders
        .into_iter()
        .chain(["/lib", "/usr/lib"].map(|folder| format!("{folder}/{multiarch}")));
    let mut files = folders.map(|folder| format!("{folder}/{name}"));
    files.any(|file| jail.find(&file, Need::Read).is_ok())
}
