//! Changes that people make in `global`.

use super::{Change, any, change};
use crate::peers::API;

pub const GLOBAL: &[Change] = &[
    change("global: no external-check", 3, any, |case, _| {
        case.global.retain(|line| line != "external-check")
    }),
    change("global: no insecure-fork-wanted", 3, any, |case, _| {
        case.global.retain(|line| line != "insecure-fork-wanted")
    }),
    change(
        "global: chroot to a missing folder",
        3,
        any,
        |case, world| {
            case.global.retain(|line| !line.starts_with("chroot"));
            case.global
                .insert(0, format!("chroot {}/missing", world.root));
        },
    ),
    change(
        "global: chroot to an empty folder",
        2,
        any,
        |case, world| {
            case.global.retain(|line| !line.starts_with("chroot"));
            case.global
                .insert(0, format!("chroot {}", world.folder.join("empty")));
        },
    ),
    change("global: ulimit-n above the limit", 1, any, |case, _| {
        case.global.push("ulimit-n 100000000".to_owned())
    }),
    change("global: an unknown user", 1, any, |case, _| {
        case.global.retain(|line| !line.starts_with("user"));
        case.global.push("user nobody-at-all".to_owned());
    }),
    change("global: ssl-server-verify none", 2, any, |case, _| {
        case.global.push("ssl-server-verify none".to_owned());
        case.remove("verify");
        case.remove("ca-file");
    }),
    change("global: external-check preserve-env", 1, any, |case, _| {
        case.global
            .iter_mut()
            .filter(|line| *line == "external-check")
            .for_each(|line| *line += " preserve-env");
    }),
    change("global: stats socket", 3, any, |case, world| {
        let socket = world.folder.join(&format!("{}-admin", case.prefix()));
        case.global
            .push(format!("stats socket {socket} mode 600 level admin"));
    }),
    change("global: maxconn", 1, any, |case, _| {
        case.global.push("maxconn 100".to_owned())
    }),
    change("global: an unknown keyword", 1, any, |case, _| {
        case.global.push("external-checks".to_owned())
    }),
    change("global: ca-base and crt-base", 3, any, |case, world| {
        case.global.push(format!("ca-base {}", world.root));
        case.global.push(format!("crt-base {}", world.root));
        for word in ["ca-file", "crt", "crl-file"] {
            let full = format!("{word} {}/", world.root);
            for known in &mut case.words {
                *known = known.replace(&full, &format!("{word} "));
            }
        }
    }),
    change("global: fd-hard-limit", 1, any, |case, _| {
        case.global.push("fd-hard-limit 50000".to_owned())
    }),
    change("global: many connections", 1, any, |case, _| {
        case.global.push("maxconn 1000000".to_owned())
    }),
    change("global: ssl-default-server-options", 2, any, |case, _| {
        case.global
            .push("ssl-default-server-options ssl-min-ver TLSv1.3".to_owned())
    }),
    change("global: uid and gid", 1, any, |case, _| {
        case.global
            .retain(|line| !line.starts_with("user") && !line.starts_with("group"));
        case.global
            .extend(["uid 65534", "gid 65534"].map(str::to_owned));
    }),
    change("global: user root", 2, any, |case, _| {
        case.global
            .retain(|line| !line.starts_with("user") && !line.starts_with("group"));
        case.global
            .extend(["user root", "group root"].map(str::to_owned));
    }),
    change("global: setenv", 2, any, |case, _| {
        case.global.push(format!("setenv SNI_HOST {API}"))
    }),
    change("global: unsetenv", 1, any, |case, _| {
        case.global.push("unsetenv SNI_HOST".to_owned())
    }),
    change("global: threads and daemon", 1, any, |case, _| {
        case.global
            .extend(["daemon", "nbthread 2", "hard-stop-after 5s"].map(str::to_owned))
    }),
];
