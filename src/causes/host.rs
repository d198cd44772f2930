//! HAProxy's host: its programs, limits and load, and `sni-check serve`.

use super::cause::{Cause, Place, at, word};
use crate::code::Code;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "bug",
        shows_as: &[at(Code::Internal, 1)],
        place: Place::Host,
        what: "sni-check has a bug. The line on stderr or in --syslog says where.",
        confirm: "Run the same check by hand: sni-check with the options of external-check path and the server's URL.",
        change: "Please report it with that line.",
        ..Cause::BASE
    },
    Cause {
        id: "resources-exhausted",
        shows_as: &[at(Code::Internal, 2)],
        place: Place::Host,
        what: "Memory, descriptors or threads are exhausted on the host, or by a limit of HAProxy's unit or container.",
        confirm: "Look at ulimit -a of HAProxy's user, at the memory limit of the unit or container, and in the kernel's log for OOM.",
        change: "Raise the limit.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-at-limit",
        shows_as: &[at(Code::AtLimit, 1)],
        place: Place::Host,
        what: "More checks run at once than sni-check serve may run (--max-checks, default 512). The server was not asked; it may be healthy.",
        confirm: "Compare the number of servers with --max-checks. Checks that time out hold their places longest.",
        change: "Raise --max-checks, lower the check's --timeout, or spread the checks with spread-checks in global.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-socket-held",
        shows_as: &[at(Code::AtLimit, 2)],
        place: Place::Host,
        what: "Something other than HAProxy connects to the socket and sends no request.",
        confirm: "ss -xp (or ss -tp) shows which process is connected to it.",
        change: "Let only HAProxy's group connect: --mode 0660 --group haproxy.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-memory",
        shows_as: &[at(Code::AtLimit, 3)],
        place: Place::Host,
        what: "The memory of sni-check serve is used up: by the files, options and bodies of its checks (12 MiB in all), or because the system gives it no memory for another thread.",
        confirm: "The reason says `all memory for files, options and bodies is in use`. Otherwise look at ulimit -v, MemoryMax= and TasksMax= of its unit.",
        change: "Name fewer or smaller CA files and lists in the requests; a file that serve's own command line names doesn't count. Or raise the limit of the unit.",
        ..Cause::BASE
    },
    Cause {
        id: "command-missing",
        shows_as: &[word("255", 1)],
        place: Place::Host,
        what: "The program of external-check command does not exist. HAProxy looks for it inside its chroot.",
        confirm: "ls -l CHROOT/COMMAND, with chroot and external-check command from haproxy.cfg.",
        change: "Copy sni-check into the chroot, at exactly that path. It is static and needs no other file.",
        ..Cause::BASE
    },
    Cause {
        id: "command-not-executable",
        shows_as: &[word("255", 2)],
        place: Place::Host,
        what: "HAProxy's user may not execute the program: because of its mode, or a file system mounted noexec.",
        confirm: "chroot --userspec=$(id -u USER) CHROOT COMMAND --version",
        change: "chmod 0755 the file and the folders above it; mount without noexec.",
        ..Cause::BASE
    },
    Cause {
        id: "command-foreign",
        shows_as: &[word("255", 3)],
        place: Place::Host,
        what: "The program is a binary for another machine, or a script or dynamic program whose interpreter is not in the chroot.",
        confirm: "file CHROOT/COMMAND says which. It should be statically linked and for this machine.",
        change: "Install the static sni-check of this architecture.",
        ..Cause::BASE
    },
    Cause {
        id: "selinux-denies",
        shows_as: &[word("255", 4)],
        place: Place::Host,
        what: "SELinux is enforcing (Fedora, RHEL and others), and its policy lets HAProxy execute only files of the type haproxy_exec_t.",
        confirm: "ls -Z CHROOT/COMMAND shows another type, such as bin_t; ausearch -m avc -c haproxy shows the denial.",
        change: "Run semanage fcontext -a -t haproxy_exec_t CHROOT/COMMAND, then restorecon CHROOT/COMMAND.",
        ..Cause::BASE
    },
    Cause {
        id: "check-killed",
        shows_as: &[word("4294967295", 1)],
        place: Place::Host,
        what: "The check was killed from outside: by the OOM killer, or by a seccomp or memory limit of HAProxy's unit or container.",
        confirm: "Look in the kernel's log (dmesg) and in the unit's journal at that time.",
        change: "Raise the limit or allow the system call.",
        ..Cause::BASE
    },
    Cause {
        id: "command-aborts",
        shows_as: &[word("4294967295", 3)],
        place: Place::Host,
        what: "external-check command is another program, which aborts. An ordinary Rust binary does so in a chroot without /dev/null.",
        confirm: "Look at external-check command in haproxy.cfg.",
        change: "Set it to sni-check, which turns its own aborts into code 1.",
        ..Cause::BASE
    },
    Cause {
        id: "too-many-descriptors",
        shows_as: &[word("PROCTOUT", 2)],
        place: Place::Host,
        what: "HAProxy is started with a huge soft limit on open files, and closes each possible file before it starts a check.",
        confirm: "grep 'open files' /proc/PID/limits of HAProxy; containers often have a million or more. sni-check doctor says how long that takes.",
        change: "Set LimitNOFILE=1024:524288 in HAProxy's unit, or --ulimit nofile=1024:524288 for its container. ulimit-n and fd-hard-limit don't lower the soft limit.",
        ..Cause::BASE
    },
    Cause {
        id: "host-busy",
        shows_as: &[word("PROCTOUT", 3)],
        place: Place::Host,
        what: "The host is too busy to start the check in time.",
        confirm: "Look at the load and at how many servers are checked at the same moment.",
        change: "Raise inter; spread-checks in global spreads the checks.",
        ..Cause::BASE
    },
    Cause {
        id: "process-limit",
        shows_as: &[word("SOCKERR", 2)],
        place: Place::Host,
        what: "HAProxy's user, unit or container may not have more processes.",
        confirm: "HAProxy's alert is `Failed to fork process for external health check` without `likely caused by`. Look at ulimit -u of that user, TasksMax of the unit, the pids limit of the container.",
        change: "Raise the limit.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-not-listening",
        shows_as: &[word("SOCKERR", 4)],
        place: Place::Host,
        what: "http-check connect names the socket of sni-check serve, and nothing listens there: serve has stopped, or HAProxy's chroot has another /run.",
        confirm: "systemctl status sni-check. Under chroot, look for the socket inside it, as HAProxy's user.",
        change: "Start sni-check serve, and have it listen inside the chroot: --listen unix:CHROOT/run/sni-check/socket.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-hangs",
        shows_as: &[word("L7TOUT", 1)],
        place: Place::Host,
        what: "http-check asks sni-check serve, and serve hangs, or `timeout check` is not above the --timeout of its checks. The server itself may be healthy.",
        confirm: "http-check connect in haproxy.cfg names the socket of serve. sni-check doctor -f haproxy.cfg --run asks it as HAProxy does.",
        change: "systemctl restart sni-check; set `timeout check` above --timeout (1800ms by default).",
        ..Cause::BASE
    },
];
