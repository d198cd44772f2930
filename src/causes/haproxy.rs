//! HAProxy's configuration: the options of the check, what prevents HAProxy from running it, and how
//! visitors' traffic differs.

use super::cause::{Cause, Place, Weight, at, word};
use crate::code::Code;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "options-wrong",
        shows_as: &[at(Code::Refused, 1)],
        place: Place::Config,
        what: "A word in external-check path is not an option, or an option has no value. An unset ${VARIABLE} leaves an option without a value.",
        confirm: "sni-check doctor names the word, and so does sni-check's line on stderr (or in syslog, with --syslog).",
        change: "Correct external-check path, or set the variable where HAProxy is started.",
        ..Cause::BASE
    },
    Cause {
        id: "sni-name-missing",
        shows_as: &[at(Code::Refused, 2)],
        place: Place::Value,
        what: "The check has no SNI name: it has no --sni and no SNI_HOST, and the server's name in haproxy.cfg is not a host name with a dot.",
        confirm: "The check's line says `no SNI name`.",
        change: "Write external-check path \"--sni www.example.com\", or name the server after its host: server www.example.com 203.0.113.7:443.",
        ..Cause::BASE
    },
    Cause {
        id: "file-unreadable",
        shows_as: &[at(Code::Refused, 3)],
        place: Place::Files,
        what: "A file< (--ca-file, --crt, --header @FILE)|> is missing or unreadable. An external check looks for it inside HAProxy's chroot, as HAProxy's user.",
        confirm: "sni-check doctor looks for the file as the check does.",
        change: "For an external check, copy the file into the chroot and let HAProxy's user read it. For sni-check serve, let serve's user read it, and name its folder with --files. --ca-file @bundled needs no file.",
        ..Cause::BASE
    },
    Cause {
        id: "port-missing",
        shows_as: &[at(Code::Refused, 4)],
        place: Place::Value,
        what: "The server line has no port, or it has an address that sni-check can't connect to.",
        confirm: "The check's line shows the address or the port that HAProxy passed.",
        change: "Write the port on the server line, or use --port or --connect.",
        ..Cause::BASE
    },
    Cause {
        id: "files-replaced",
        shows_as: &[at(Code::Healthy, 1)],
        place: Place::Files,
        what: "Nothing is wrong. If visitors get 503 anyway, HAProxy may still use an old CA file, revocation list or client certificate that has been replaced on disk.",
        confirm: "Compare ls -l FILE with HAProxy's log: the file is newer than HAProxy's last start or reload.",
        change: "Reload HAProxy too: it reads files only when it starts. The check reads them each time.",
        // diagnose sees nothing that supports this cause.
        weigh: |_| Weight::RuledOut,
        ..Cause::BASE
    },
    Cause {
        id: "traffic-differs",
        shows_as: &[at(Code::Healthy, 8)],
        place: Place::Config,
        what: "The check is UP, but visitors' traffic differs from the check: the server line has a different SNI name, CA, client certificate or PROXY header.",
        confirm: "sni-check doctor -f haproxy.cfg lists the differences.",
        change: "Give the server line and external-check path the same values.",
        weigh: |_| Weight::RuledOut,
        ..Cause::BASE
    },
    SETTING_REFUSED,
    GLOBAL_SETTING_REFUSED,
    VISITORS_NAME_REFUSED,
    Cause {
        id: "time-limit-too-short",
        shows_as: &[word("PROCTOUT", 1)],
        place: Place::Config,
        what: "--timeout is too long, so HAProxy kills the check first. The limit is `inter` (2s by default). If `timeout check` is set, the limit is the smaller of `inter` and `timeout connect`.",
        confirm: "Compare --timeout (1800ms by default) with inter and timeout connect.",
        change: "Lower --timeout, or raise inter and timeout connect. sni-check then exits before HAProxy kills it, with a code that says why.",
        ..Cause::BASE
    },
    Cause {
        id: "fork-not-allowed",
        shows_as: &[word("SOCKERR", 1)],
        place: Place::Config,
        what: "insecure-fork-wanted is missing in the `global` section, so HAProxy 2.2 or later starts no processes.",
        confirm: "HAProxy's alert `Failed to fork process for external health check` says `(likely caused by missing 'insecure-fork-wanted')`. sni-check doctor -f haproxy.cfg reports the missing line, too.",
        change: "Add insecure-fork-wanted to the `global` section.",
        ..Cause::BASE
    },
    Cause {
        id: "no-socket-for-check",
        shows_as: &[word("SOCKERR", 3)],
        place: Place::Config,
        what: "HAProxy couldn't open a socket for its own check. HAProxy has too few descriptors, or the source address does not belong to this host.",
        confirm: "Compare ulimit-n and maxconn in the `global` section with the number of servers. Look at `source` on the server line.",
        change: "Raise ulimit-n in the `global` section, or correct `source` on the server line.",
        ..Cause::BASE
    },
    Cause {
        id: "server-added-at-run-time",
        shows_as: &[word("4294967295", 2)],
        place: Place::Config,
        what: "The server was added at run time (add server … check). HAProxy doesn't prepare external checks for such servers. It shows this code for every check, or crashes.",
        confirm: "The server is not in haproxy.cfg, and only such servers show this code.",
        change: "Use add server without `check`, or use option httpchk in that backend: HAProxy's own check works for added servers.",
        ..Cause::BASE
    },
    Cause {
        id: "address-unresolved",
        shows_as: &[word("MAINT", 1)],
        place: Place::Value,
        what: "MAINT (resolution): the server's name has no address, because its `resolvers` don't know the name or don't answer. HAProxy runs no check without an address.",
        confirm: "show resolvers on the stats socket counts the answers. Ask one of the name servers yourself: dig @NAMESERVER NAME.",
        change: "Correct the name, or the name servers in the `resolvers` section.",
        ..Cause::BASE
    },
    Cause {
        id: "server-disabled",
        shows_as: &[word("MAINT", 2)],
        place: Place::Config,
        what: "MAINT: someone put the server into maintenance, with `disabled` on its line, or with `disable server` or `set server … state maint` on the stats socket.",
        confirm: "Look for `disabled` on the server line. Ask who uses the stats socket.",
        change: "Send enable server BACKEND/SERVER to the stats socket, or remove `disabled`.",
        ..Cause::BASE
    },
    Cause {
        id: "tracked-server-disabled",
        shows_as: &[word("MAINT", 3)],
        place: Place::Config,
        what: "MAINT (via BACKEND/SERVER): this server tracks another server, and that server is in maintenance.",
        confirm: "The server line has track BACKEND/SERVER.",
        change: "Take the other server out of maintenance.",
        ..Cause::BASE
    },
];

/// Like `SETTING_REFUSED`, but for a setting in the `global` section.
pub(super) const GLOBAL_SETTING_REFUSED: Cause = Cause {
    id: "global-setting-refused",
    shows_as: &[at(Code::Healthy, 16)],
    what: "With `{setting}` in the `global` section ({place}), HAProxy can't use the server. It can use the server with the change below. The change affects every server.",
    ..SETTING_REFUSED
};

/// The cause for a setting in haproxy.cfg that affects HAProxy's connections but not sni-check's.
pub(super) const SETTING_REFUSED: Cause = Cause {
    id: "setting-refused",
    shows_as: &[at(Code::Healthy, 14)],
    place: Place::Config,
    what: "HAProxy can't use the server because of `{setting}` ({place}). It can use the server with the change below.",
    confirm: "sni-check diagnose BACKEND/SERVER lets HAProxy try the server several times, each time without one of the settings.",
    change: "Remove `{setting}` from haproxy.cfg, or give it a value that suits the server.",
    // Only HAProxy, with the lines of haproxy.cfg, can prove this cause.
    weigh: |_| Weight::RuledOut,
    ..Cause::BASE
};

/// The cause for a server that accepts the check's name, but refuses the name that visitors ask for.
pub(super) const VISITORS_NAME_REFUSED: Cause = Cause {
    id: "visitors-name-refused",
    shows_as: &[at(Code::Healthy, 17)],
    place: Place::Config,
    what: "Visitors ask for {visited}, and HAProxy sends this name as SNI. The server refuses the name. It accepts {host}, the name of the check.",
    confirm: "sni-check diagnose BACKEND/SERVER sends a visitor's request with each name.",
    change: "In haproxy.cfg, let HAProxy change the Host of visitors' requests: http-request set-header Host {host}.",
    // Only a visitor's request through HAProxy can prove this cause.
    weigh: |_| Weight::RuledOut,
    ..Cause::BASE
};
