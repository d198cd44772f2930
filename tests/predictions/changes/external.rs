//! Changes that people make around `option external-check`.

use crate::peers::{API, Peer};

use super::{Change, any, change};
use crate::support::NAME;

pub const EXTERNAL: &[Change] = &[
    change("--expect a text in the page", 2, any, |case, _| {
        case.option("--expect 'string good'")
    }),
    change(
        "--sni $… without braces",
        1,
        |case| case.has_variables,
        |case, _| case.option("--sni $SNI_HOST"),
    ),
    change("option httpchk GET /other first", 1, any, |case, _| {
        case.option
            .insert(0, "option httpchk GET /other".to_owned());
    }),
    change("no --sni", 4, any, |case, _| case.without_option("--sni")),
    change("--sni of the other site", 3, any, |case, _| {
        case.option(&format!("--sni {API}"))
    }),
    change("--sni that no server knows", 2, any, |case, _| {
        case.option("--sni nobody.example.test")
    }),
    change("--no-sni", 1, any, |case, _| {
        case.without_option("--sni");
        case.edit(|options| format!("{options} --no-sni"));
    }),
    change("--sni ${…} in single quotes", 2, any, |case, _| {
        case.line("external-check path", |line| {
            let line = line.replace(NAME, "${SNI_HOST}");
            let line = if line.contains('\'') {
                line
            } else {
                line.replace('"', "'")
            };
            Some(line)
        });
    }),
    change("--sni ${…} not set", 2, any, |case, _| {
        case.option("--sni ${NOT_SET}")
    }),
    change("no --ca-file", 4, any, |case, _| {
        case.without_option("--ca-file")
    }),
    change("--ca-file missing", 3, any, |case, _| {
        case.option("--ca-file /nowhere/ca.pem")
    }),
    change(
        "--ca-file outside the chroot",
        3,
        |case| case.global[0].starts_with("chroot"),
        |case, world| {
            case.option(&format!("--ca-file {}/ca.pem", world.root));
        },
    ),
    change("--ca-file of another CA", 3, any, |case, world| {
        let folder = case.folder(world);
        case.option(&format!("--ca-file {folder}/other.pem"));
    }),
    change("--verify none", 3, any, |case, _| {
        case.option("--verify none")
    }),
    change("--verify-host of the other site", 3, any, |case, _| {
        case.option(&format!("--verify-host {API}"))
    }),
    change("--uri of a missing page", 2, any, |case, _| {
        case.option("--uri /missing")
    }),
    change("--expect 401", 2, any, |case, _| {
        case.option("--expect 'status 401'")
    }),
    change("--port of another server", 3, any, |case, world| {
        let port = world.port(Peer::OneCertificate);
        case.option(&format!("--port {port}"));
    }),
    change("--port on which nothing listens", 2, any, |case, world| {
        case.option(&format!("--port {}", world.dead))
    }),
    change("--connect to another server", 2, any, |case, world| {
        let port = world.port(Peer::Strict);
        case.option(&format!("--connect 127.0.0.1:{port}"));
    }),
    change(
        "--send-proxy that the server does not expect",
        2,
        |case| case.peer != Peer::Proxy,
        |case, _| case.option("--send-proxy"),
    ),
    change(
        "no --send-proxy",
        3,
        |case| case.peer == Peer::Proxy,
        |case, _| case.without_option("--send-proxy"),
    ),
    change(
        "no --crt",
        4,
        |case| case.peer == Peer::ClientCertificate,
        |case, _| case.without_option("--crt"),
    ),
    change("an unknown option", 2, any, |case, _| {
        case.option("--host www")
    }),
    change(
        "two options that contradict each other",
        1,
        any,
        |case, _| case.option("--no-sni"),
    ),
    change("--timeout above inter", 2, any, |case, _| {
        case.option("--timeout 5s")
    }),
    change("no options at all", 2, any, |case, _| {
        case.line("external-check path", |_| None)
    }),
    change("no command", 2, any, |case, _| {
        case.line("external-check command", |_| None)
    }),
    change("a command that does not exist", 3, any, |case, _| {
        case.line("external-check command", |_| {
            Some("external-check command /opt/none/sni-check".to_owned())
        });
    }),
    change("no option external-check", 4, any, |case, _| {
        case.line("option external-check", |_| None)
    }),
    change(
        "option httpchk after option external-check",
        3,
        any,
        |case, _| case.rules.push("option httpchk GET /".to_owned()),
    ),
    change(
        "option httpchk before option external-check",
        1,
        any,
        |case, _| case.option.insert(0, "option httpchk GET /".to_owned()),
    ),
    change("http-check rules", 3, any, |case, _| {
        case.rules.push("http-check expect status 200".to_owned())
    }),
    change("timeout check", 1, any, |case, _| {
        case.timeouts.push("timeout check 5s".to_owned())
    }),
    change("--sni=NAME", 1, any, |case, _| {
        case.option(&format!("--sni={NAME}"))
    }),
    change("--method HEAD", 1, any, |case, _| {
        case.option("--method HEAD")
    }),
    change("--header Host of the other site", 1, any, |case, _| {
        case.option(&format!("--header 'Host: {API}'"))
    }),
    change("--min-cert-days too high", 2, any, |case, _| {
        case.option("--min-cert-days 60")
    }),
    change("--ssl-min-ver TLSv1.3", 1, any, |case, _| {
        case.option("--ssl-min-ver TLSv1.3")
    }),
    change("--source", 1, any, |case, _| {
        case.option("--source 127.0.0.1")
    }),
    change("--ca-file @system-ca", 2, any, |case, _| {
        case.option("--ca-file @system-ca")
    }),
    change(
        "--ca-file that only root can read",
        3,
        any,
        |case, world| {
            let folder = case.folder(world);
            case.option(&format!("--ca-file {folder}/secret-ca.pem"));
        },
    ),
    change("--crt that only root can read", 3, any, |case, world| {
        let folder = case.folder(world);
        case.option(&format!("--crt {folder}/secret.pem"));
    }),
    change("--crt without a key", 1, any, |case, world| {
        let folder = case.folder(world);
        case.option(&format!("--crt {folder}/ca.pem"));
    }),
    change("a command that is not executable", 2, any, |case, world| {
        let folder = case.folder(world);
        case.line("external-check command", move |_| {
            Some(format!("external-check command {folder}/not-executable"))
        });
    }),
    change("a command that always exits 0", 2, any, |case, world| {
        let folder = case.folder(world);
        case.line("external-check command", move |_| {
            Some(format!("external-check command {folder}/always"))
        });
        case.line("external-check path", |_| None);
    }),
    change("options after the command", 2, any, |case, _| {
        case.line("external-check command", |line| {
            Some(format!("{line} --sni www"))
        });
    }),
    change("an external check and an agent", 1, any, |case, world| {
        case.set_check(&format!(
            "agent-check agent-port {} agent-inter 500ms",
            world.agent
        ));
    }),
];
