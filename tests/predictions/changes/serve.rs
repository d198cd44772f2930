//! Changes that people make around `sni-check serve`.

use crate::peers::{API, Peer};

use super::{Change, any, change};

pub const SERVE: &[Change] = &[
    change("serve: --sni of the other site", 3, any, |case, _| {
        case.option(&format!("--sni {API}"))
    }),
    change("serve: --sni that no server knows", 2, any, |case, _| {
        case.option("--sni nobody.example.test")
    }),
    change("serve: no --sni", 2, any, |case, _| {
        case.without_option("--sni")
    }),
    change("serve: no --ca-file", 3, any, |case, _| {
        case.without_option("--ca-file")
    }),
    change("serve: --ca-file missing", 3, any, |case, world| {
        case.option(&format!("--ca-file {}/none.pem", world.root))
    }),
    change("serve: --ca-file outside --files", 3, any, |case, _| {
        case.option("--ca-file /etc/ssl/certs/ca-certificates.crt")
    }),
    change("serve: --ca-file of another CA", 3, any, |case, world| {
        case.option(&format!("--ca-file {}/other.pem", world.root))
    }),
    change("serve: --verify none", 2, any, |case, _| {
        case.option("--verify none")
    }),
    change(
        "serve: --verify-host of the other site",
        2,
        any,
        |case, _| case.option(&format!("--verify-host {API}")),
    ),
    change(
        "serve: no --crt",
        4,
        |case| case.peer == Peer::ClientCertificate,
        |case, _| case.without_option("--crt"),
    ),
    change(
        "serve: no --send-proxy",
        3,
        |case| case.peer == Peer::Proxy,
        |case, _| case.without_option("--send-proxy"),
    ),
    change(
        "serve: --send-proxy that the server does not expect",
        1,
        |case| case.peer != Peer::Proxy,
        |case, _| case.option("--send-proxy"),
    ),
    change("serve: --port of another server", 2, any, |case, world| {
        let port = world.port(Peer::OneCertificate);
        case.option(&format!("--port {port}"));
    }),
    change("serve: an unknown option", 1, any, |case, _| {
        case.option("--host www")
    }),
    change("serve: no send-state", 3, any, |case, _| {
        case.line("http-check send-state", |_| None)
    }),
    change("serve: no options", 2, any, |case, _| {
        case.line("http-check send meth", |_| {
            Some("http-check send meth GET uri /".to_owned())
        })
    }),
    change("serve: another socket", 3, any, |case, _| {
        case.line("http-check connect", |line| Some(format!("{line}.sock")))
    }),
    change(
        "serve: the socket's path outside the chroot",
        3,
        |case| case.global[0].starts_with("chroot"),
        |case, world| {
            let root = world.root.clone();
            case.line("http-check connect", move |_| {
                Some(format!("http-check connect addr unix@{root}/serve"))
            });
        },
    ),
    change("serve: no http-check connect", 2, any, |case, _| {
        case.line("http-check connect", |_| None)
    }),
    change("serve: expects any status", 2, any, |case, _| {
        case.line("http-check expect", |_| {
            Some("http-check expect status 200-599".to_owned())
        })
    }),
    change("serve: no http-check expect", 2, any, |case, _| {
        case.line("http-check expect", |_| None)
    }),
    change("serve: no option httpchk", 3, any, |case, _| {
        case.line("option httpchk", |_| None)
    }),
    change(
        "serve: --port on which nothing listens",
        2,
        any,
        |case, world| case.option(&format!("--port {}", world.dead)),
    ),
    change("serve: --uri of a missing page", 1, any, |case, _| {
        case.option("--uri /missing")
    }),
    change("serve: --min-cert-days too high", 1, any, |case, _| {
        case.option("--min-cert-days 60")
    }),
    change("serve: --ca-file of the chroot", 2, any, |case, _| {
        case.option("--ca-file /ca.pem")
    }),
    change("serve: a path without unix@", 1, any, |case, _| {
        case.line("http-check connect", |line| Some(line.replace("unix@", "")))
    }),
    change("serve: expects status 200", 1, any, |case, _| {
        case.line("http-check expect", |_| {
            Some("http-check expect status 200".to_owned())
        })
    }),
    change("serve: expects only the code 0", 2, any, |case, _| {
        case.line("http-check expect", |_| {
            Some("http-check expect hdr name X-Check-Code value 0".to_owned())
        })
    }),
    change("serve: expects hdr without name", 1, any, |case, _| {
        case.line("http-check expect", |_| {
            Some("http-check expect hdr X-Check-Code 0".to_owned())
        })
    }),
    change(
        "serve: expects the presence of the header",
        1,
        any,
        |case, _| {
            case.line("http-check expect", |_| {
                Some("http-check expect hdr name X-Check-Code".to_owned())
            })
        },
    ),
    change("serve: no timeout check", 1, any, |case, _| {
        case.line("timeout check", |_| None)
    }),
    change("serve: connects after it sends", 1, any, |case, _| {
        let at = case
            .option
            .iter()
            .position(|line| line.starts_with("http-check connect"));
        if let Some(at) = at {
            let line = case.option.remove(at);
            case.option.push(line);
        }
    }),
];
