//! How HAProxy is configured: the options it hands over, whether it can run the check, and whether
//! its traffic goes the same way.

use super::cause::{Cause, Place, Weight, at, word};
use crate::code::Code;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "options-wrong",
        shows_as: &[at(Code::Refused, 1)],
        place: Place::Config,
        what: "A word of external-check path is not an option, or has no value: an unset ${VARIABLE} leaves an option without a value.",
        confirm: "sni-check doctor reads haproxy.cfg and says which. So does the line on stderr or in --syslog.",
        change: "Correct external-check path, or set the variable where HAProxy is started.",
        ..Cause::BASE
    },
    Cause {
        id: "sni-name-missing",
        shows_as: &[at(Code::Refused, 2)],
        place: Place::Value,
        what: "There is no SNI name: neither --sni, nor SNI_HOST, nor a server named like a host with a dot.",
        confirm: "The line says `no SNI name`.",
        change: "Write external-check path \"--sni www.example.com\", or name the server like its host: server www.example.com 203.0.113.7:443.",
        ..Cause::BASE
    },
    Cause {
        id: "file-unreadable",
        shows_as: &[at(Code::Refused, 3)],
        place: Place::Files,
        what: "A file (--ca-file, --crt, --header @FILE) is missing or unreadable where HAProxy runs the check.",
        confirm: "sni-check doctor looks for it as HAProxy does: inside the chroot of haproxy.cfg, as its user.",
        change: "Copy the file into the chroot and let HAProxy's user read it. --ca-file @bundled needs no file.",
        ..Cause::BASE
    },
    Cause {
        id: "port-missing",
        shows_as: &[at(Code::Refused, 4)],
        place: Place::Value,
        what: "The server line has no port, or an address that can't be dialled.",
        confirm: "The line says what HAProxy passed.",
        change: "Write the port on the server line, or use --port or --connect.",
        ..Cause::BASE
    },
    Cause {
        id: "files-replaced",
        shows_as: &[at(Code::Healthy, 1)],
        place: Place::Files,
        what: "Nothing is wrong. If visitors get 503 all the same, a CA, CRL or client certificate file was replaced, and HAProxy still has the old file.",
        confirm: "The file is newer than HAProxy's last start or reload: ls -l FILE, and HAProxy's log.",
        change: "Reload HAProxy too: it reads files only when it starts. The check reads them each time.",
        // Nothing that diagnose sees speaks for it.
        weigh: |_| Weight::RuledOut,
        ..Cause::BASE
    },
    Cause {
        id: "traffic-differs",
        shows_as: &[at(Code::Healthy, 8)],
        place: Place::Config,
        what: "Visitors' traffic goes another way than the check: another SNI, CA, client certificate or PROXY header on the server line.",
        confirm: "sni-check doctor -f haproxy.cfg says where.",
        change: "Give the server line and external-check path the same values.",
        weigh: |_| Weight::RuledOut,
        ..Cause::BASE
    },
    Cause {
        id: "time-limit-too-short",
        shows_as: &[word("PROCTOUT", 1)],
        place: Place::Config,
        what: "HAProxy ends a check after `inter` (2s by default); or, if `timeout check` is set, after the smaller of `inter` and `timeout connect`. --timeout is longer than that.",
        confirm: "Compare --timeout (1800ms by default) with inter and timeout connect.",
        change: "Raise inter and timeout connect, or lower --timeout, so that sni-check ends first and says why in its code.",
        ..Cause::BASE
    },
    Cause {
        id: "fork-not-allowed",
        shows_as: &[word("SOCKERR", 1)],
        place: Place::Config,
        what: "insecure-fork-wanted is missing in section global, so HAProxy 2.2 and later may start no process.",
        confirm: "HAProxy's alert `Failed to fork process for external health check` says `(likely caused by missing 'insecure-fork-wanted')`. sni-check doctor -f haproxy.cfg says so beforehand.",
        change: "Add a line to section global: insecure-fork-wanted.",
        ..Cause::BASE
    },
    Cause {
        id: "no-socket-for-check",
        shows_as: &[word("SOCKERR", 3)],
        place: Place::Config,
        what: "HAProxy's own check could open no socket: there are too few descriptors, or the source address is not this host's.",
        confirm: "Compare ulimit-n and maxconn in global with the number of servers. Look at source on the server line.",
        change: "Raise ulimit-n in section global, or correct source on the server line.",
        ..Cause::BASE
    },
    Cause {
        id: "server-added-at-run-time",
        shows_as: &[word("4294967295", 2)],
        place: Place::Config,
        what: "The server was added at run time (add server … check). HAProxy doesn't prepare an external check for such a server: it shows this code for ever, or crashes.",
        confirm: "The server is not in haproxy.cfg, and only servers like it show this code.",
        change: "Use add server without `check`; or option httpchk in that backend, where added servers can be checked.",
        ..Cause::BASE
    },
    Cause {
        id: "address-unresolved",
        shows_as: &[word("MAINT", 1)],
        place: Place::Value,
        what: "MAINT (resolution): the server's name has no address, because its `resolvers` don't know the name or don't answer. HAProxy runs no check until there is an address.",
        confirm: "show resolvers on the stats socket counts the answers. Ask one of the name servers yourself: dig @NAMESERVER NAME.",
        change: "Correct the name, or the name servers in the section resolvers.",
        ..Cause::BASE
    },
    Cause {
        id: "server-disabled",
        shows_as: &[word("MAINT", 2)],
        place: Place::Config,
        what: "MAINT: someone put the server there, with `disabled` on its line, or with `disable server` or `set server … state maint` on the stats socket.",
        confirm: "Look for disabled in haproxy.cfg, and for what was sent to the stats socket.",
        change: "Send enable server BACKEND/SERVER to the stats socket, or remove `disabled`.",
        ..Cause::BASE
    },
    Cause {
        id: "tracked-server-disabled",
        shows_as: &[word("MAINT", 3)],
        place: Place::Config,
        what: "MAINT (via BACKEND/SERVER): the server tracks that other server, which is in maintenance.",
        confirm: "The server line has track BACKEND/SERVER.",
        change: "Take the other server out of maintenance.",
        ..Cause::BASE
    },
];
