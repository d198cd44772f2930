//! Rules about an `external-check command` that HAProxy's user can't run.

use std::fs::{self, File};

use rustix::fs::{StatVfsMountFlags, fgetxattr, fstatvfs};

use crate::haproxy::call::own_command;

use crate::haproxy::config::check::Check;

use super::own_program::{IN_CHROOT, copy_of_program, with_sni_check};
use super::program::Program;
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::shell::shell;
use crate::doctor::visit::jail::{Jail, Need, Obstacle};
use crate::doctor::visit::path_options::{in_this_folder, is_ours};
use crate::doctor::visit::{Visit, Watch};

/// What HAProxy shows if it can't start the program.
const NOT_RUN: &str = "PROCERR with code 255, the server is DOWN";

/// Finds a command that HAProxy can't start.
pub(crate) fn command(visit: &Visit, watch: &Watch) -> Option<Finding> {
    of_check(visit, watch, |command| {
        match located(command, watch, visit.jail) {
            Some(path) => fault(visit, watch, &path).or_else(|| relative(command, visit.jail)),
            None => {
                let what = format!(
                    "external-check command {command} is not an absolute path; HAProxy doesn't find it in the folders \
                     of external-check path"
                );
                Some(with_sni_check(visit, watch, not_run(what, "")))
            }
        }
    })
}

/// Returns the path of a command, or `None` if doctor doesn't find the program. HAProxy starts the command
/// with execvp(3), which looks for a name without a slash in the folders of `external-check path`.
fn located(command: &str, watch: &Watch, jail: &Jail) -> Option<String> {
    if command.contains('/') {
        // In a chroot, HAProxy's working folder is the root of the chroot.
        let absolute = format!("/{command}");
        return match (command.starts_with('/'), jail.is_chroot()) {
            (true, _) => Some(command.to_owned()),
            (false, true) => Some(absolute),
            (false, false) => {
                in_this_folder(command).filter(|path| jail.find(path, Need::Execute).is_ok())
            }
        };
    }
    let path = watch.backend.settings.path.as_ref()?;
    let folders = path
        .value
        .split(':')
        .filter(|folder| folder.starts_with('/'));
    let mut files = folders.map(|folder| format!("{}/{command}", folder.trim_end_matches('/')));
    files.find(|file| jail.find(file, Need::Execute).is_ok())
}

/// Reports a command with a relative path. HAProxy finds such a command only if HAProxy itself starts in the
/// right folder.
fn relative(command: &str, jail: &Jail) -> Option<Finding> {
    let is_relative = command.contains('/') && !command.starts_with('/') && !jail.is_chroot();
    let path = in_this_folder(command).filter(|_| is_relative)?;
    let what = format!(
        "external-check command {command} is a relative path: HAProxy's working folder decides which file this is"
    );
    Some(
        Finding::note(Effect::Down, what)
            .shows("PROCERR with code 255 (DOWN) if HAProxy starts in another folder; systemd starts it in /")
            .foretells(&["PROCERR 255"])
            .write(format!("external-check command {path}")),
    )
}

/// Finds sni-check's options for a program that isn't sni-check.
pub(crate) fn other_program(visit: &Visit, watch: &Watch) -> Option<Finding> {
    if !watch.runs_other_program || watch.own.is_none() || self::command(visit, watch).is_some() {
        return None;
    }
    of_check(visit, watch, |command| {
        let what = format!(
            "external-check command {command} isn't sni-check, but external-check path has sni-check options"
        );
        let ours = match visit.jail.is_chroot() {
            true => IN_CHROOT.to_owned(),
            false => own_command(),
        };
        Some(
            Finding::note(Effect::Either, what)
                .shows("UP or DOWN as this program decides; the options have no effect")
                .write(format!("external-check command {ours}")),
        )
    })
}

/// Finds a command that SELinux doesn't let HAProxy start. Fedora's policy lets `haproxy_t` execute
/// only files of the type `haproxy_exec_t`.
pub(crate) fn selinux(visit: &Visit, watch: &Watch) -> Option<Finding> {
    of_check(visit, watch, |command| {
        denied(&located(command, watch, visit.jail)?, visit.jail)
    })
}

fn of_check(
    visit: &Visit,
    watch: &Watch,
    fault: impl Fn(&str) -> Option<Finding>,
) -> Option<Finding> {
    let runs = matches!(watch.check, Check::External(_)) && !visit.has_empty_chroot();
    let command = watch.backend.settings.command.as_ref().filter(|_| runs)?;
    let finding = fault(&command.value)?.at(&command.place);
    Some(finding.about([watch.backend.name.clone()]))
}

fn denied(command: &str, jail: &Jail) -> Option<Finding> {
    let enforce = fs::read_to_string(jail.base.join("sys/fs/selinux/enforce")).ok()?;
    if enforce.trim() != "1" {
        return None;
    }
    let (file, _) = jail.files().open(command, command).ok()?;
    let mut context = [0; 256];
    let length = fgetxattr(&file, "security.selinux", &mut context[..]).ok()?;
    let context = String::from_utf8_lossy(context.get(..length)?).into_owned();
    mislabelled(command, &jail.outside(command), &context)
}

fn mislabelled(command: &str, outside: &str, context: &str) -> Option<Finding> {
    const TYPE: &str = "haproxy_exec_t";
    let kind = context.trim_end_matches('\0').split(':').nth(2)?;
    if kind == TYPE {
        return None;
    }
    let cause = crate::causes::all().find(|cause| cause.id == "selinux-denies");
    let why = cause.map_or("", |cause| cause.what);
    let what = format!("{command} has the SELinux type {kind}. {why}");
    let label = shell(["semanage", "fcontext", "-a", "-t", TYPE, outside]);
    Some(
        not_run(what, "give the file the type of HAProxy's programs:")
            .paste(format!("{label} && {}", shell(["restorecon", outside]))),
    )
}

fn not_run(what: String, write: impl Into<String>) -> Finding {
    Finding::problem(Effect::Down, what)
        .shows(NOT_RUN)
        .write(write)
}

fn fault(visit: &Visit, watch: &Watch, command: &str) -> Option<Finding> {
    let jail = visit.jail;
    let found = match jail.find(command, Need::Execute) {
        Ok(found) => found,
        Err(obstacle) => return Some(obstructed(visit, watch, command, &obstacle)),
    };
    let noexec =
        fstatvfs(&found.handle).is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::NOEXEC));
    if noexec {
        return Some(not_run(
            format!("{command} is on a file system mounted noexec"),
            "move it to another file system, or mount this file system without noexec",
        ));
    }
    let (opened, _) = jail.files().open(command, command).ok()?;
    unstartable(visit, watch, command, Program::read(&mut opened.into())?)
}

/// Reports a program that the kernel can't start: its loader or interpreter is missing, or the program is for
/// another architecture.
fn unstartable(visit: &Visit, watch: &Watch, command: &str, program: Program) -> Option<Finding> {
    let jail = visit.jail;
    let is_ours = matches!(&watch.check, Check::External(check) if is_ours(check));
    let where_ = match jail.is_chroot() {
        true => format!("cannot be executed in {}", jail.name()),
        false => "cannot be executed".to_owned(),
    };
    let what = match (&program, unmet(&program, jail)) {
        (_, Some(Unmet::Loader(loader))) => {
            format!("{command} is not static, and its loader {loader} {where_}")
        }
        (_, Some(Unmet::Interpreter(name))) if name.ends_with('\r') => format!(
            "{command} is a script with Windows line ends (CR LF), and no interpreter has the name `{}\\r`",
            name.trim_end()
        ),
        (_, Some(Unmet::Interpreter(name))) => {
            format!("{command} is a script, and its interpreter `{name}` {where_}")
        }
        (Program::Foreign, None) => format!("{command} is a binary for another architecture"),
        (Program::Unknown, None) => return Some(unknown(visit, watch, command)),
        _ => return None,
    };
    let finding = not_run(what, "");
    Some(match program {
        Program::Dynamic(_) if is_ours => finding
            .write(
                "install the static sni-check from a release or a package; or build it, and \
                 copy it from ~/.cargo/bin:",
            )
            .paste(env!("STATIC_INSTALL")),
        Program::Foreign if is_ours => finding.write("install the sni-check for this architecture"),
        _ => with_sni_check(visit, watch, finding),
    })
}

/// A file that the kernel needs to start a program, and that HAProxy's user can't execute.
enum Unmet {
    Loader(String),
    Interpreter(String),
}

/// Returns the loader or the interpreter of this program, if HAProxy's user can't execute it.
fn unmet(program: &Program, jail: &Jail) -> Option<Unmet> {
    let is_missing = |file: &str| jail.find(file, Need::Execute).is_err();
    match program {
        Program::Dynamic(loader) if is_missing(loader) => Some(Unmet::Loader(loader.clone())),
        Program::Script(name) if is_missing(name) => Some(Unmet::Interpreter(name.clone())),
        _ => None,
    }
}

/// Reports a file that is neither a binary nor a script with an interpreter.
fn unknown(visit: &Visit, watch: &Watch, command: &str) -> Finding {
    let what = format!("{command} is neither a binary nor a script with a #! line");
    let write = "install sni-check again, or give the script its #! line";
    match visit.jail.find("/bin/sh", Need::Execute) {
        Err(_) => with_sni_check(visit, watch, not_run(what, "")),
        Ok(_) => Finding::note(Effect::Up, what)
            .shows("HAProxy runs it with /bin/sh; if the file is empty, every server is UP forever")
            .write(write),
    }
}

fn obstructed(visit: &Visit, watch: &Watch, command: &str, obstacle: &Obstacle) -> Finding {
    let jail = visit.jail;
    match obstacle {
        Obstacle::Missing if jail.is_chroot() => not_in_chroot(visit, watch, command),
        Obstacle::Missing | Obstacle::NotRegular => {
            let what = match obstacle {
                Obstacle::Missing => "does not exist",
                _ => "is not a regular file",
            };
            let what = format!("external-check command {command} {what}");
            with_sni_check(visit, watch, not_run(what, ""))
        }
        Obstacle::Forbidden(at) => not_run(
            format!(
                "user {} may not execute {command}: see the mode of {}",
                jail.user.name,
                at.display()
            ),
            "",
        )
        .paste(shell(["chmod", "755", &at.display().to_string()])),
        Obstacle::Hidden(at) => Finding::hint(format!(
            "doctor could not examine {command}: this user may not look at {}",
            at.display()
        ))
        .shows("doctor doesn't know whether HAProxy can start it")
        .write("run doctor as root"),
    }
}

/// Reports a command that doesn't exist in the chroot. The fix copies this host's program into the chroot, if
/// the program can start there. A script rarely can, because its interpreter isn't in the chroot either.
fn not_in_chroot(visit: &Visit, watch: &Watch, command: &str) -> Finding {
    let jail = visit.jail;
    let what = format!("external-check command {command} is not in {}", jail.name());
    if let Some(inside) = jail.inside(command) {
        return not_run(
            format!("{what}: HAProxy looks for this path inside of the chroot"),
            format!("external-check command {inside}"),
        );
    }
    let program = File::open(jail.base.join(command.trim_start_matches('/')));
    let program = program.ok().and_then(|mut file| Program::read(&mut file));
    match program {
        None if command.ends_with("sni-check") => {
            not_run(what, "").paste(copy_of_program(&own_command(), command, jail))
        }
        None => with_sni_check(visit, watch, not_run(what, "")),
        Some(program) => match unmet(&program, jail) {
            None => not_run(what, "").paste(copy_of_program(command, command, jail)),
            Some(Unmet::Loader(missing) | Unmet::Interpreter(missing)) => {
                let what = format!("{what}, and neither is {missing}, which the program needs");
                with_sni_check(visit, watch, not_run(what, ""))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::mislabelled;

    #[test]
    fn selinux_lets_haproxy_execute_only_one_type() {
        let found = |context: &str| mislabelled("/sni-check", "/root/sni-check", context);
        assert!(found("system_u:object_r:haproxy_exec_t:s0\0").is_none());
        for kind in ["bin_t", "haproxy_var_lib_t"] {
            let found = found(&format!("unconfined_u:object_r:{kind}:s0\0")).expect("a finding");
            assert!(found.what.contains(kind), "{}", found.what);
            let paste = "semanage fcontext -a -t haproxy_exec_t /root/sni-check && restorecon /root/sni-check";
            assert_eq!(found.paste, paste);
        }
    }
}
