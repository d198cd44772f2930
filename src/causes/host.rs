//! HAProxy's host: its programs, limits and load, and `sni-check serve`.

use super::cause::{Cause, Place, at, word};
use crate::code::Code;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "bug",
        shows_as: &[at(Code::Internal, 1)],
        place: Place::Host,
        what: "sni-check has a bug. Its line on stderr (or in syslog, with --syslog) says where.",
        confirm: "Run the same check by hand: sni-check with the options of external-check path and the server's URL.",
        change: "Please report the bug, with that line.",
        ..Cause::BASE
    },
    Cause {
        id: "resources-exhausted",
        shows_as: &[at(Code::Internal, 2)],
        place: Place::Host,
        what: "The host has no memory, descriptors or threads left, or HAProxy's unit or container has reached its limit.",
        confirm: "Look at ulimit -a of HAProxy's user, and at the memory limit of the unit or container. Look for OOM in the kernel's log.",
        change: "Raise the limit, or free memory on the host.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-at-limit",
        shows_as: &[at(Code::AtLimit, 1)],
        place: Place::Host,
        what: "sni-check serve was already running as many checks as --max-checks allows (default 512). It did not contact the server, which may be healthy.",
        confirm: "Compare the number of servers with --max-checks. Checks that time out count against this limit the longest.",
        change: "Raise --max-checks, lower the check's --timeout, or spread the checks with spread-checks in the `global` section.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-socket-held",
        shows_as: &[at(Code::AtLimit, 2)],
        place: Place::Host,
        what: "A program other than HAProxy connects to the socket and sends no request.",
        confirm: "ss -xp (or ss -tp) shows which process is connected to the socket.",
        change: "Let only HAProxy's group connect: --mode 0660 --group haproxy.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-memory",
        shows_as: &[at(Code::AtLimit, 3)],
        place: Place::Host,
        what: "sni-check serve has no memory left: the files, options and bodies of its checks have used up the 12 MiB that they share. Or the system didn't let serve start another thread.",
        confirm: "If the 12 MiB are used up, the check's reason says `all memory for files, options and bodies is in use`. Otherwise look at ulimit -v of serve, and at MemoryMax= and TasksMax= of its unit.",
        change: "Name fewer or smaller CA files and revocation lists in the requests, or name them on serve's own command line, where they don't count. If the system refused a thread, raise the limit of the unit.",
        ..Cause::BASE
    },
    Cause {
        id: "command-missing",
        shows_as: &[word("255", 1)],
        place: Place::Host,
        what: "The program that external-check command names does not exist. HAProxy looks for it inside its chroot.",
        confirm: "ls -l CHROOT/COMMAND, with the values of chroot and external-check command in haproxy.cfg.",
        change: "Copy sni-check into the chroot, at exactly that path. It is static and needs no other file.",
        ..Cause::BASE
    },
    Cause {
        id: "command-not-executable",
        shows_as: &[word("255", 2)],
        place: Place::Host,
        what: "HAProxy's user isn't allowed to execute the program, because of the file's mode or because its file system is mounted noexec.",
        confirm: "chroot --userspec=$(id -u USER) CHROOT COMMAND --version",
        change: "chmod 0755 the file and the folders above it, or mount the file system without noexec.",
        ..Cause::BASE
    },
    Cause {
        id: "command-foreign",
        shows_as: &[word("255", 3)],
        place: Place::Host,
        what: "The program is built for a different CPU architecture. Or it is a script whose interpreter is not in the chroot, or a dynamically linked program whose loader is not in the chroot.",
        confirm: "Run `file CHROOT/COMMAND`. It should say `statically linked` and this host's CPU architecture.",
        change: "Install the static sni-check for this CPU architecture.",
        ..Cause::BASE
    },
    Cause {
        id: "selinux-denies",
        shows_as: &[word("255", 4)],
        place: Place::Host,
        what: "SELinux is enforcing (Fedora, RHEL and others), and its policy lets HAProxy execute only files of the type haproxy_exec_t.",
        confirm: "ls -Z CHROOT/COMMAND shows another type, such as bin_t. ausearch -m avc -c haproxy shows the denial.",
        change: "Run semanage fcontext -a -t haproxy_exec_t CHROOT/COMMAND, then restorecon CHROOT/COMMAND.",
        ..Cause::BASE
    },
    Cause {
        id: "check-killed",
        shows_as: &[word("4294967295", 1)],
        place: Place::Host,
        what: "The kernel killed the check. Possible reasons are the OOM killer, a seccomp filter, and a memory limit of HAProxy's unit or container.",
        confirm: "Look in the kernel's log (dmesg) and in the unit's journal at that time.",
        change: "Raise the memory limit, or allow the system call.",
        ..Cause::BASE
    },
    Cause {
        id: "command-aborts",
        shows_as: &[word("4294967295", 3)],
        place: Place::Host,
        what: "external-check command names another program, and that program aborts. An ordinary Rust program does so in a chroot without /dev/null.",
        confirm: "Look at external-check command in haproxy.cfg.",
        change: "Set external-check command to sni-check, which works without /dev/null and exits with code 1 instead of aborting.",
        ..Cause::BASE
    },
    Cause {
        id: "too-many-descriptors",
        shows_as: &[word("PROCTOUT", 2)],
        place: Place::Host,
        what: "HAProxy was started with a huge soft limit on open files, and it closes every possible descriptor before it starts a check.",
        confirm: "grep 'open files' /proc/PID/limits, with the PID of HAProxy. Containers often have a million or more. sni-check doctor reports how long closing the descriptors takes.",
        change: "Set LimitNOFILE=1024:524288 in HAProxy's unit, or --ulimit nofile=1024:524288 for its container. ulimit-n and fd-hard-limit don't lower the soft limit.",
        ..Cause::BASE
    },
    Cause {
        id: "host-busy",
        shows_as: &[word("PROCTOUT", 3)],
        place: Place::Host,
        what: "The host is too busy to finish the check before HAProxy kills it.",
        confirm: "Look at the host's load, and at how many servers HAProxy checks at the same moment.",
        change: "Raise inter, or spread the checks with spread-checks in the `global` section.",
        ..Cause::BASE
    },
    Cause {
        id: "process-limit",
        shows_as: &[word("SOCKERR", 2)],
        place: Place::Host,
        what: "HAProxy's user, unit or container can't start more processes.",
        confirm: "HAProxy's alert is `Failed to fork process for external health check` without `likely caused by`. Look at ulimit -u of that user, TasksMax= of the unit and the pids limit of the container.",
        change: "Raise the limit.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-not-listening",
        shows_as: &[word("SOCKERR", 4)],
        place: Place::Host,
        what: "http-check connect names the socket of sni-check serve, but serve doesn't listen there: it has stopped, or the socket is outside HAProxy's chroot.",
        confirm: "systemctl status sni-check. If HAProxy has a chroot, look for the socket inside the chroot, as HAProxy's user.",
        change: "Start sni-check serve, and let it listen inside the chroot: --listen unix:CHROOT/run/sni-check/socket.",
        ..Cause::BASE
    },
    Cause {
        id: "serve-hangs",
        shows_as: &[word("L7TOUT", 1)],
        place: Place::Host,
        what: "http-check asks sni-check serve. Either serve hangs, or `timeout check` is not longer than the check's --timeout. The server itself may be healthy.",
        confirm: "http-check connect in haproxy.cfg names the socket of serve. sni-check doctor -f haproxy.cfg --run asks serve as HAProxy does.",
        change: "Make `timeout check` longer than --timeout (1800ms by default). If serve hangs: systemctl restart sni-check.",
        ..Cause::BASE
    },
];
