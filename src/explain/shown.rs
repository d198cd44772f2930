//! What HAProxy shows for a check that did not run to its end, and codes about the call itself.

use super::cause::{Cause, render};
use crate::output::wrap::paragraph;

pub(super) const HEALTHY: &[Cause] = &[
    Cause {
        what: "Nothing is wrong. If visitors get 503 all the same: a CA, CRL or client certificate file was replaced, and HAProxy still has the old one.",
        confirm: "The file is newer than HAProxy's last start or reload: ls -l FILE, and HAProxy's log.",
        change: "Reload HAProxy too: it reads files only when it starts. The check reads them each time.",
    },
    Cause {
        what: "Or traffic goes another way than the check: another SNI, CA, client certificate or PROXY header on the server line.",
        confirm: "sni-check doctor -f haproxy.cfg says where.",
        change: "Give the server line and external-check path the same.",
    },
];

pub(super) const INTERNAL: &[Cause] = &[
    Cause {
        what: "A bug in sni-check; the line on stderr or in --syslog says where.",
        confirm: "Run the same check by hand: sni-check with the options of external-check path and the server's URL.",
        change: "Please report it with that line.",
    },
    Cause {
        what: "Memory, descriptors or threads are exhausted on the host or by a limit of HAProxy's unit or container.",
        confirm: "Look at ulimit -a of HAProxy's user, at the memory limit of the unit or container, and in the kernel's log for OOM.",
        change: "Raise the limit.",
    },
];

pub(super) const AT_LIMIT: &[Cause] = &[
    Cause {
        what: "More checks run at once than sni-check serve may run (--max-checks, default 512). The backend was not asked; it may be healthy.",
        confirm: "Compare the number of servers with --max-checks; many at once that time out hold their places longest.",
        change: "Raise --max-checks, lower the check's --timeout, or spread the checks with spread-checks in global.",
    },
    Cause {
        what: "Something other than HAProxy connects to the socket and sends no request.",
        confirm: "ss -xp (or ss -tp) shows who is connected to it.",
        change: "Let only HAProxy's group connect: --mode 0660 --group haproxy.",
    },
];

pub(super) const REFUSED: &[Cause] = &[
    Cause {
        what: "A word of external-check path is not an option, or has no value: an unset ${VARIABLE} leaves an option without one.",
        confirm: "sni-check doctor reads haproxy.cfg and says which; so does the line on stderr or in --syslog.",
        change: "Correct external-check path, or set the variable where HAProxy is started.",
    },
    Cause {
        what: "There is no SNI name: neither --sni, nor SNI_HOST, nor a server named like a host with a dot.",
        confirm: "The line says `no SNI name`.",
        change: "external-check path \"--sni www.example.com\", or name the server like its host: server www.example.com 203.0.113.7:443.",
    },
    Cause {
        what: "A file (--ca-file, --crt, --header @FILE) is missing or unreadable where HAProxy runs the check.",
        confirm: "sni-check doctor looks for it as HAProxy would: inside the chroot of haproxy.cfg, as its user.",
        change: "Copy it into the chroot and let HAProxy's user read it; --ca-file @bundled needs no file.",
    },
    Cause {
        what: "The server line has no port, or an address that cannot be dialled.",
        confirm: "The line says what HAProxy passed.",
        change: "Write the port on the server line, or use --port or --connect.",
    },
];

const NOT_RUN: &[Cause] = &[
    Cause {
        what: "external-check command is not there: HAProxy looks for it inside its chroot.",
        confirm: "ls -l CHROOT/COMMAND, with chroot and external-check command from haproxy.cfg.",
        change: "Copy sni-check into the chroot, at exactly that path; it is static and needs no other file.",
    },
    Cause {
        what: "HAProxy's user may not execute it: its mode, or a file system mounted noexec.",
        confirm: "chroot --userspec=$(id -u USER) CHROOT COMMAND --version",
        change: "chmod 0755 the file and the folders above it; mount without noexec.",
    },
    Cause {
        what: "It is a binary for another machine, or a script or dynamic program whose interpreter is not in the chroot.",
        confirm: "file CHROOT/COMMAND says which; it should be statically linked and for this machine.",
        change: "Install the static sni-check of this architecture.",
    },
];

const SIGNALLED: &[Cause] = &[
    Cause {
        what: "The check was killed from outside: by the OOM killer, by a seccomp or memory limit of HAProxy's unit or container.",
        confirm: "Look in the kernel's log (dmesg) and in the unit's journal at that time.",
        change: "Raise the limit or allow the system call.",
    },
    Cause {
        what: "The server was added at run time (add server … check): HAProxy does not prepare an external check for such a server. It shows this for ever, or crashes.",
        confirm: "The server is not in haproxy.cfg, and only servers like it show this code.",
        change: "add server without `check`; or option httpchk in that backend, where added servers can be checked.",
    },
    Cause {
        what: "external-check command is another program, which aborts: an ordinary Rust binary does in a chroot without /dev/null.",
        confirm: "Look at external-check command in haproxy.cfg.",
        change: "Set it to sni-check, which turns its own aborts into code 1.",
    },
];

const TIMED_OUT: &[Cause] = &[
    Cause {
        what: "HAProxy ends a check after `inter` (2s by default), or, where `timeout check` is set, after the smaller of `inter` and `timeout connect`; --timeout is longer than that.",
        confirm: "Compare --timeout (1800ms by default) with inter and timeout connect.",
        change: "Raise inter and timeout connect, or lower --timeout, so that sni-check ends first and says why in its code.",
    },
    Cause {
        what: "HAProxy is started with a huge soft limit on open files, and closes each possible file before it starts a check.",
        confirm: "grep 'open files' /proc/PID/limits of HAProxy; containers often have a million or more. sni-check doctor says how long that takes.",
        change: "LimitNOFILE=1024:524288 in HAProxy's unit, or --ulimit nofile=1024:524288 for its container; ulimit-n and fd-hard-limit do not lower the soft limit.",
    },
    Cause {
        what: "The host is too busy to start the check in time.",
        confirm: "Look at the load and at how many servers are checked at the same moment.",
        change: "Raise inter; spread-checks in global spreads them.",
    },
];

const NOT_STARTED: &[Cause] = &[
    Cause {
        what: "insecure-fork-wanted is missing in section global, so HAProxy 2.2 and later may start no process.",
        confirm: "HAProxy's alert `Failed to fork process for external health check` says `(likely caused by missing 'insecure-fork-wanted')`; sni-check doctor -f haproxy.cfg says so beforehand.",
        change: "In section global, a line: insecure-fork-wanted.",
    },
    Cause {
        what: "HAProxy's user, unit or container has as many processes as it may have.",
        confirm: "HAProxy's alert is `Failed to fork process for external health check` without `likely caused by`. Look at ulimit -u of that user, TasksMax of the unit, the pids limit of the container.",
        change: "Raise the limit.",
    },
    Cause {
        what: "HAProxy's own check could open no socket: too few descriptors, or a source address that is not this host's.",
        confirm: "Compare ulimit-n and maxconn in global with the number of servers; look at source on the server line.",
        change: "Raise ulimit-n, or correct source.",
    },
    Cause {
        what: "http-check connect names the socket of sni-check serve, and nothing listens there: serve has stopped, or HAProxy's chroot has another /run.",
        confirm: "systemctl status sni-check; under chroot, look for the socket inside it, as HAProxy's user.",
        change: "Start sni-check serve, and have it listen inside the chroot: --listen unix:CHROOT/run/sni-check/socket.",
    },
];

const NO_RESPONSE: &[Cause] = &[
    Cause {
        what: "http-check asks sni-check serve, and serve hangs, or `timeout check` is not above the --timeout of its checks. The server itself may be healthy.",
        confirm: "http-check connect in haproxy.cfg names the socket of serve. sni-check doctor -f haproxy.cfg --run asks it as HAProxy does.",
        change: "systemctl restart sni-check; set `timeout check` above --timeout (1800ms by default).",
    },
    Cause {
        what: "HAProxy's own check asked the server itself, and the application is slow or hangs.",
        confirm: "The backend has no http-check connect with the socket of serve.",
        change: "As for 72: sni-check explain 72.",
    },
];

const MAINTENANCE: &[Cause] = &[
    Cause {
        what: "MAINT (resolution): the server's name has no address, because its `resolvers` do not know it or do not answer. HAProxy runs no check until it has one.",
        confirm: "show resolvers on the stats socket counts the answers; ask one of the name servers yourself: dig @NAMESERVER NAME.",
        change: "Correct the name, or the name servers in the section resolvers.",
    },
    Cause {
        what: "MAINT: somebody put the server there, with `disabled` on its line, or `disable server` or `set server … state maint` on the stats socket.",
        confirm: "Look for disabled in haproxy.cfg, and at what has been sent to the stats socket.",
        change: "enable server BACKEND/SERVER on the stats socket, or remove `disabled`.",
    },
    Cause {
        what: "MAINT (via BACKEND/SERVER): it tracks that other server, which is in maintenance.",
        confirm: "The server line has track BACKEND/SERVER.",
        change: "Take the other server out of maintenance.",
    },
];

/// What HAProxy shows itself.
pub struct Shown {
    /// The word or number that it shows.
    pub word: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// Why a check did not run to its end; empty where it did.
    pub(super) causes: &'static [Cause],
}

const fn shown(word: &'static str, meaning: &'static str, causes: &'static [Cause]) -> Shown {
    Shown {
        word,
        meaning,
        causes,
    }
}

/// What HAProxy shows itself: check codes that are not ours, and statuses.
pub const SHOWN: [Shown; 11] = [
    shown(
        "255",
        "the check could not be run at all (HAProxy's own code for it, with PROCERR)",
        NOT_RUN,
    ),
    shown(
        "4294967295",
        "a signal ended the check, so it has no code (HAProxy shows -1, unsigned, with PROCERR)",
        SIGNALLED,
    ),
    shown(
        "PROCTOUT",
        "HAProxy killed the check because it took too long; there is no code, and a check_code beside this word is left over from an earlier check: ignore it",
        TIMED_OUT,
    ),
    shown(
        "SOCKERR",
        "the check could not be started: no process, or for HAProxy's own check no socket",
        NOT_STARTED,
    ),
    shown(
        "L7TOUT",
        "no response in time: in a line of sni-check the word for code 72 (sni-check explain 72); HAProxy shows it, without a code, for a check of its own, and so for one that asks sni-check serve",
        NO_RESPONSE,
    ),
    shown(
        "PROCERR",
        "the check ended with a code other than 0; check_code in the stats, `code: N` in the log, has it: sni-check explain N",
        &[],
    ),
    shown("PROCOK", "the check ended with code 0: healthy", &[]),
    shown(
        "MAINT",
        "the server is in maintenance: it gets no traffic, and no check runs",
        MAINTENANCE,
    ),
    shown(
        "INI",
        "no check of this server has ended since HAProxy started",
        &[],
    ),
    shown(
        "L4OK",
        "HAProxy's own check connected, and was not told to look further",
        &[],
    ),
    shown(
        "L6OK",
        "HAProxy's own check completed a TLS handshake, and was not told to look further",
        &[],
    ),
];

/// The explanation of what HAProxy shows itself, by its number or word.
pub(super) fn explain(word: &str) -> Option<String> {
    // In brackets HAProxy says why: MAINT (resolution).
    let word = match word.split(" (").next() {
        Some("-1") => "4294967295",
        Some(word) => word,
        None => word,
    };
    let shown = SHOWN
        .iter()
        .find(|shown| shown.word.eq_ignore_ascii_case(word))?;
    let mut text = String::new();
    paragraph(&mut text, &format!("{}  ", shown.word), shown.meaning);
    if !shown.causes.is_empty() {
        render(&mut text, shown.causes);
    }
    Some(text)
}

/// Where a number that is not a code of ours may come from.
pub(super) fn foreign(number: i64) -> &'static str {
    match number {
        101 => {
            "101 is what a Rust program ends with when it panics, so external-check command is another program"
        }
        126 => {
            "126 is a shell's: command not executable; set external-check command to sni-check itself, not to a script"
        }
        127 => {
            "127 is a shell's: command not found; set external-check command to sni-check itself, not to a script"
        }
        143 => {
            "143 is a shell's: ended by SIGTERM, which HAProxy sends to a check that takes too long (sni-check explain PROCTOUT)"
        }
        128..=159 => {
            "128 and more are a shell's: ended by signal N-128; set external-check command to sni-check itself, not to a script"
        }
        _ => "sni-check explain alone prints all of them",
    }
}
