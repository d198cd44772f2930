//! Whether HAProxy's user can run `external-check command` inside the chroot.

use std::path::Path;

use rustix::fs::{StatVfsMountFlags, fstatvfs};

use crate::haproxy::call::own_command;

use super::binary::Program;
use super::check::ExternalCheck;
use super::finding::Finding;
use super::jail::{Jail, Need, Obstacle};
use super::shell::shell;

/// HAProxy's code for a program that could not be started.
const NOT_RUN: &str = "PROCERR with code 255, the server is DOWN";

/// Looks at the command of a check.
pub(super) fn look(check: &ExternalCheck, jail: &Jail) -> Option<Finding> {
    let finding = fault(&check.command.value, jail)?;
    let finding = finding.at(&check.command.place);
    Some(finding.about([check.backend.name.clone()]))
}

fn not_run(what: String, write: impl Into<String>) -> Finding {
    Finding::problem("command", what)
        .shows(NOT_RUN)
        .write(write)
}

fn fault(command: &str, jail: &Jail) -> Option<Finding> {
    if !command.starts_with('/') {
        return Some(not_run(
            format!(
                "external-check command {command} is not an absolute path; HAProxy looks for it in \
                 external-check path"
            ),
            format!(
                "write the whole path: external-check command {}",
                own_command()
            ),
        ));
    }
    let found = match jail.find(command, Need::Execute) {
        Ok(found) => found,
        Err(obstacle) => return Some(obstructed(command, jail, &obstacle)),
    };
    let noexec =
        fstatvfs(&found.handle).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::NOEXEC));
    if noexec {
        return Some(not_run(
            format!("{command} is on a file system mounted noexec"),
            "put it on another file system, or mount that one without noexec",
        ));
    }
    let (opened, _) = jail.files().open(command, command).ok()?;
    unstartable(command, jail, Program::read(&mut opened.into())?)
}

/// What the kernel lacks to start a program.
fn unstartable(command: &str, jail: &Jail, program: Program) -> Option<Finding> {
    let is_missing = |file: &str| jail.find(file, Need::Execute).is_err();
    let where_ = match jail.is_chroot() {
        true => format!("cannot be executed in the chroot {}", jail.root.display()),
        false => "cannot be executed".to_owned(),
    };
    match program {
        Program::Dynamic(loader) if is_missing(&loader) => Some(not_run(
            format!("{command} is not static, and its loader {loader} {where_}"),
            "the static sni-check (a release build is), which needs no other file",
        )),
        Program::Script(interpreter) if is_missing(&interpreter) => Some(not_run(
            format!("{command} is a script, and its interpreter `{interpreter}` {where_}"),
            "a static program as external-check command, such as sni-check itself",
        )),
        Program::Foreign => Some(not_run(
            format!("{command} is a binary for another machine"),
            "install the sni-check of this architecture",
        )),
        Program::Unknown => Some(unknown(command, jail)),
        Program::Static | Program::Dynamic(_) | Program::Script(_) => None,
    }
}

/// Neither a binary nor a script with its interpreter.
fn unknown(command: &str, jail: &Jail) -> Finding {
    let what = format!("{command} is neither a binary nor does it start with #!");
    let write = "install sni-check again, or give the script its #! line";
    match jail.find("/bin/sh", Need::Execute) {
        Err(_) => not_run(what, write),
        Ok(_) => Finding::note("command", what)
            .shows("HAProxy gives it to /bin/sh; an empty file would be UP for ever")
            .write(write),
    }
}

fn obstructed(command: &str, jail: &Jail, obstacle: &Obstacle) -> Finding {
    match obstacle {
        Obstacle::Missing if jail.is_chroot() => not_run(
            format!(
                "external-check command {command} is not in the chroot {}",
                jail.root.display()
            ),
            "",
        )
        .paste(install(command, jail)),
        Obstacle::Missing => not_run(
            format!("external-check command {command} is not there"),
            format!("external-check command {}", own_command()),
        ),
        Obstacle::NotRegular => not_run(
            format!("external-check command {command} is not a regular file"),
            "name the file of sni-check itself",
        ),
        Obstacle::Forbidden(at) => not_run(
            format!(
                "user {} may not execute {command}: see the mode of {}",
                jail.user.name,
                at.display()
            ),
            "",
        )
        .paste(shell(["chmod", "755", &at.display().to_string()])),
        Obstacle::Hidden(at) => Finding::note(
            "command",
            format!(
                "{command} could not be examined: no permission to look at {}",
                at.display()
            ),
        )
        .shows("nothing is known about it")
        .write("run doctor as root"),
    }
}

/// How to bring a command into the chroot.
fn install(command: &str, jail: &Jail) -> String {
    let source = match Path::new(command).is_file() {
        true => command.to_owned(),
        false => own_command(),
    };
    shell([
        "install",
        "-D",
        "-m",
        "755",
        &source,
        &jail.outside(command),
    ])
}
