//! Changes that people make on the server line.

use crate::case::{Case, Kind, Words};
use crate::peers::{self, API, Peer};
use crate::support::{NAME, dns};

use super::{Change, any, change, checked, has_sni, key, tls};

pub const SERVER: &[Change] = &[
    change("one server with no-check", 2, is_pair, |case, _| {
        case.last_words.push("no-check".to_owned())
    }),
    change("one server disabled", 1, is_pair, |case, _| {
        case.last_words.push("disabled".to_owned())
    }),
    change(
        "one server with another sni",
        2,
        |case| is_pair(case) && tls(case),
        |case, _| {
            case.last_words.push(format!("sni str({API})"));
        },
    ),
    change(
        "one server without TLS",
        2,
        |case| is_pair(case) && tls(case),
        |case, _| {
            case.last_words.push("no-ssl".to_owned());
        },
    ),
    change(
        "one server with another port",
        2,
        |case| is_pair(case) && checked(case),
        |case, world| {
            case.last_words.push(format!("port {}", world.health));
        },
    ),
    change("inter below the time-out", 1, checked, |case, _| {
        case.set_check("inter 600ms")
    }),
    change("a name that resolvers know", 2, any, |case, world| {
        let port = world.port(case.peer);
        for server in &mut case.servers {
            server.1 = format!("{}:{port}", dns::HOST);
        }
        resolvers(case, world.dns);
    }),
    change(
        "a service that resolvers know",
        3,
        is_single,
        |case, world| {
            let port = world.port(case.peer);
            case.servers[0] = ("web".to_owned(), dns::service(port));
            case.range = Some("1-2".to_owned());
            resolvers(case, world.dns);
        },
    ),
    change("crl-file", 2, tls, |case, world| {
        case.set(&format!("crl-file {}/crl.pem", world.root))
    }),
    change(
        "send-proxy-v2-ssl",
        1,
        |case| case.has("send-proxy"),
        |case, _| {
            case.remove("send-proxy");
            case.set("send-proxy-v2-ssl");
        },
    ),
    change("sni hdr(host)", 1, has_sni, |case, _| {
        case.set("sni hdr(host)")
    }),
    change("another CA first", 1, tls, |case, world| {
        case.words
            .insert(0, format!("ca-file {}/other.pem", world.root));
    }),
    change("no sni", 5, has_sni, |case, _| case.remove("sni")),
    change("sni of the other site", 3, has_sni, |case, _| {
        case.set(&format!("sni str({API})"))
    }),
    change("sni str(${…}) unquoted", 4, has_sni, |case, _| {
        case.set("sni str(${SNI_HOST})")
    }),
    change("sni var(…) that is set", 2, has_sni, |case, _| {
        case.set("sni var(txn.site)");
        case.rules
            .push(format!("http-request set-var(txn.site) str({NAME})"));
    }),
    change("sni var(…) that is never set", 3, has_sni, |case, _| {
        case.set("sni var(txn.site)")
    }),
    change("sni ssl_fc_sni", 3, has_sni, |case, _| {
        case.set("sni ssl_fc_sni")
    }),
    change("sni req.hdr(host)", 3, has_sni, |case, _| {
        case.set("sni req.hdr(host)")
    }),
    change("sni with a dot", 2, has_sni, |case, _| {
        case.set(&format!("sni str({NAME}.)"))
    }),
    change("sni \"str(${…})\" not set", 2, has_sni, |case, _| {
        case.set("sni \"str(${NOT_SET})\"")
    }),
    change("sni int", 2, has_sni, |case, _| case.set("sni int(5)")),
    change("sni path", 1, has_sni, |case, _| case.set("sni path")),
    change("sni that is an address", 1, has_sni, |case, _| {
        case.set("sni str(127.0.0.1)")
    }),
    change("sni method and verify none", 1, has_sni, |case, _| {
        case.set("sni method");
        case.set("verify none");
    }),
    change("no sni and verify none", 2, has_sni, |case, _| {
        case.remove("sni");
        case.set("verify none");
    }),
    change(
        "no sni, verifyhost of the default certificate",
        2,
        has_sni,
        |case, _| {
            case.remove("sni");
            case.set("verifyhost default.example.test");
        },
    ),
    change(
        "port of plain HTTP and no-check-ssl",
        3,
        checked,
        |case, world| {
            case.set_check(&format!("port {}", world.health));
            case.set_check("no-check-ssl");
        },
    ),
    change("dead port and check-ssl", 2, checked, |case, world| {
        case.set_check(&format!("port {}", world.dead));
        case.set_check("check-ssl");
    }),
    change(
        "port of plain HTTP and check-send-proxy",
        1,
        checked,
        |case, world| {
            case.set_check(&format!("port {}", world.health));
            case.set_check("check-send-proxy");
        },
    ),
    change(
        "port of plain HTTP in default-server",
        2,
        checked,
        |case, world| {
            case.words.insert(0, format!("port {}", world.health));
        },
    ),
    change("addr 127.0.0.1 and check-ssl", 1, checked, |case, _| {
        case.set_check("addr 127.0.0.1");
        case.set_check("check-ssl");
    }),
    change(
        "one server without check",
        2,
        |case| is_pair(case) && checked(case),
        |case, _| {
            case.last_words.push("no-check".to_owned());
        },
    ),
    change(
        "a backup server without check",
        2,
        |case| is_pair(case) && checked(case),
        |case, _| {
            case.last_words
                .extend(["backup", "no-check"].map(str::to_owned));
        },
    ),
    change(
        "check-alpn and alpn",
        2,
        |case| tls(case) && checked(case),
        |case, _| {
            case.set("alpn h2,http/1.1");
            case.set_check("check-alpn http/1.1");
        },
    ),
    change("verify none", 4, tls, |case, _| {
        case.set("verify none");
        case.words.retain(|word| key(word) != "ca-file");
    }),
    change("another CA for visitors", 3, tls, |case, world| {
        case.set(&format!("ca-file {}/other.pem", world.root))
    }),
    change("@system-ca for visitors", 1, tls, |case, _| {
        case.set("ca-file @system-ca")
    }),
    change("no ca-file", 1, tls, |case, _| case.remove("ca-file")),
    change("verifyhost of another name", 3, tls, |case, _| {
        case.set(&format!("verifyhost {API}"))
    }),
    change("verifyhost of the site", 2, tls, |case, _| {
        case.set(&format!("verifyhost {NAME}"))
    }),
    change("verifyhost in place of sni", 2, has_sni, |case, _| {
        case.remove("sni");
        case.set(&format!("verifyhost {NAME}"));
    }),
    change("no ssl", 4, tls, |case, _| {
        for word in ["ssl", "verify", "ca-file", "sni", "crt"] {
            case.remove(word);
        }
    }),
    change(
        "no-ssl",
        1,
        |case| tls(case) && case.words_place != Words::Server,
        |case, _| case.set_check("no-ssl"),
    ),
    change(
        "no crt",
        3,
        |case| case.has("crt"),
        |case, _| case.remove("crt"),
    ),
    change(
        "crt that the server does not ask for",
        1,
        |case| tls(case) && !case.has("crt"),
        |case, world| {
            case.set(&format!("crt {}/client.pem", world.root));
        },
    ),
    change(
        "no send-proxy",
        3,
        |case| case.has("send-proxy"),
        |case, _| case.remove("send-proxy"),
    ),
    change(
        "send-proxy-v2",
        2,
        |case| case.has("send-proxy"),
        |case, _| {
            case.remove("send-proxy");
            case.set("send-proxy-v2");
        },
    ),
    change(
        "send-proxy that the server does not expect",
        2,
        |case| !case.has("send-proxy"),
        |case, _| case.set("send-proxy"),
    ),
    change("alpn", 2, tls, |case, _| case.set("alpn h2,http/1.1")),
    change("port of plain HTTP", 4, checked, |case, world| {
        case.set_check(&format!("port {}", world.health))
    }),
    change("port of the server itself", 2, checked, |case, world| {
        let port = world.port(case.peer);
        case.set_check(&format!("port {port}"));
    }),
    change("dead port", 2, checked, |case, world| {
        case.set_check(&format!("port {}", world.dead))
    }),
    change("addr without a listener", 1, checked, |case, _| {
        case.set_check("addr 127.0.0.2")
    }),
    change(
        "port and check-ssl",
        3,
        |case| tls(case) && checked(case),
        |case, world| {
            let port = world.port(case.peer);
            case.set_check(&format!("port {port}"));
            case.set_check("check-ssl");
        },
    ),
    change("no check", 7, checked, |case, _| {
        case.remove("check");
    }),
    change("disabled", 1, any, |case, _| case.set("disabled")),
    change("backup", 1, any, |case, _| case.set("backup")),
    change("source", 1, any, |case, _| case.set("source 127.0.0.1")),
    change(
        "server-template",
        3,
        |case| case.range.is_none() && case.servers.len() == 1,
        |case, _| {
            case.servers[0].0 = "web".to_owned();
            case.range = Some("1-2".to_owned());
        },
    ),
    change(
        "a name that resolvers do not know",
        2,
        any,
        |case, world| {
            let port = world.port(case.peer);
            let gone = format!("gone.example.test:{port}");
            case.servers
                .iter_mut()
                .for_each(|server| server.1.clone_from(&gone));
            resolvers(case, world.dead);
        },
    ),
    change(
        "track",
        5,
        |case| checked(case) && case.servers.len() == 2 && case.words_place != Words::DefaultServer,
        |case, world| {
            let port = world.port(case.peer);
            let name = case.prefix();
            let words = [case.words.clone(), case.check_words.clone()]
                .concat()
                .join(" ");
            case.check_words = vec![format!("track {name}-tracked/t")];
            let option = case.option.join("\n    ");
            case.sections.push(format!(
                "backend {name}-tracked\n    {option}\n    server t 127.0.0.1:{port} {words}"
            ));
        },
    ),
    change(
        "mode tcp",
        3,
        |case| case.http && !case.as_listen && case.kind != Kind::None,
        |case, _| {
            in_tcp(case);
            if !case.tls_front {
                listen(case, 80);
            }
        },
    ),
    change("TLS passed through", 3, can_pass, |case, _| {
        pass_tls(case);
        listen(case, 443);
    }),
    change(
        "TLS passed through after inspecting the ClientHello",
        2,
        can_pass,
        |case, _| {
            pass_tls(case);
            case.front.extend(
                [
                    "tcp-request inspect-delay 5s",
                    "tcp-request content accept if { req.ssl_hello_type 1 }",
                ]
                .map(str::to_owned),
            );
        },
    ),
    change("an IPv6 address", 3, has_port, |case, world| {
        let port = world.port(case.peer);
        for server in &mut case.servers {
            server.1 = format!("[::1]:{port}");
        }
    }),
    change("a unix socket", 3, has_port, |case, world| {
        let socket = peers::socket(case.peer);
        let folder = case.folder(world);
        for server in &mut case.servers {
            server.1 = format!("unix@{folder}/{socket}");
        }
    }),
    change("weight 0", 1, any, |case, _| case.set("weight 0")),
    change(
        "http-reuse always",
        1,
        |case| case.http,
        |case, _| case.rules.push("http-reuse always".to_owned()),
    ),
    change(
        "a Host for the server",
        2,
        |case| case.http,
        |case, _| {
            case.rules
                .push(format!("http-request set-header Host {NAME}"))
        },
    ),
    change(
        "a frontend that requires the Host",
        3,
        has_front,
        |case, _| case.front_asks_host = true,
    ),
    change("a Host from the frontend", 2, has_front, |case, _| {
        case.front
            .push(format!("http-request set-header Host {NAME}"))
    }),
    change("a wrong Host from the frontend", 2, has_front, |case, _| {
        case.front
            .push("http-request set-header Host inner.example.test".to_owned())
    }),
    change(
        "a wrong Host for the server",
        2,
        |case| case.http,
        |case, _| {
            case.rules
                .push("http-request set-header Host inner.example.test".to_owned())
        },
    ),
    change("init-addr", 1, any, |case, _| {
        case.set("init-addr last,libc,none")
    }),
    change("a name that nobody knows", 2, any, |case, world| {
        let port = world.port(case.peer);
        for server in &mut case.servers {
            server.1 = format!("gone.example.invalid:{port}");
        }
    }),
    change(
        "a name that nobody knows, with init-addr none",
        2,
        any,
        |case, world| {
            let port = world.port(case.peer);
            for server in &mut case.servers {
                server.1 = format!("gone.example.invalid:{port}");
            }
            case.set("init-addr libc,none");
        },
    ),
    change("only TLS 1.2", 1, tls, |case, _| {
        case.set("ssl-max-ver TLSv1.2")
    }),
    change("force-tlsv13", 1, tls, |case, _| case.set("force-tlsv13")),
    change("only alpn h2", 2, tls, |case, _| case.set("alpn h2")),
    change("observe", 1, checked, |case, _| {
        case.set_check("observe layer7 error-limit 10 on-error mark-down")
    }),
    change("agent-check and check", 1, checked, |case, world| {
        case.set_check(&format!("agent-check agent-port {}", world.agent))
    }),
    change(
        "a check, and an agent that does not answer",
        1,
        checked,
        |case, world| case.set_check(&format!("agent-check agent-port {}", world.dead)),
    ),
    change("one dead server", 2, is_pair, |case, world| {
        case.servers[1].1 = format!("127.0.0.1:{}", world.dead)
    }),
    change("one server as backup", 1, is_pair, |case, _| {
        case.last_words.push("backup".to_owned())
    }),
    change(
        "one server without send-proxy",
        1,
        |case| is_pair(case) && case.has("send-proxy"),
        |case, _| case.last_words.push("no-send-proxy".to_owned()),
    ),
    change(
        "one server with another CA",
        1,
        |case| is_pair(case) && tls(case),
        |case, world| {
            case.last_words
                .push(format!("ca-file {}/other.pem", world.root))
        },
    ),
    change("sni in capitals", 1, has_sni, |case, _| {
        case.set(&format!("sni str({})", NAME.to_uppercase()))
    }),
    change("sni from another header", 1, has_sni, |case, _| {
        case.set("sni req.hdr(x-site)")
    }),
    change("sni with a converter", 1, has_sni, |case, _| {
        case.set("sni req.hdr(host),lower")
    }),
    change(
        "sni env(…)",
        2,
        |case| has_sni(case) && case.has_variables,
        |case, _| case.set("sni env(SNI_HOST)"),
    ),
    change("sni req.ssl_sni", 1, has_sni, |case, _| {
        case.set("sni req.ssl_sni")
    }),
    change(
        "no sni, verifyhost of an unknown name",
        1,
        tls,
        |case, _| {
            case.remove("sni");
            case.set("verifyhost nobody.example.test");
        },
    ),
    change("fastinter and downinter", 1, checked, |case, _| {
        case.set_check("fastinter 300ms downinter 300ms")
    }),
];

/// Returns true if the server is nginx, and every server line has an IPv4 address with a port.
fn has_port(case: &Case) -> bool {
    case.peer.is_nginx()
        && case
            .servers
            .iter()
            .all(|server| server.1.starts_with("127.0.0.1:"))
}

fn has_front(case: &Case) -> bool {
    case.http && !case.as_listen
}

fn can_pass(case: &Case) -> bool {
    tls(case) && !case.tls_front && !case.as_listen && case.peer != Peer::ClientCertificate
}

fn in_tcp(case: &mut Case) {
    case.http = false;
    case.rules.retain(|line| line.starts_with('.'));
    case.front.clear();
    case.front_asks_host = false;
    case.remove("cookie");
}

/// Makes HAProxy pass visitors' TLS connections through to the server.
fn pass_tls(case: &mut Case) {
    in_tcp(case);
    for word in ["ssl", "verify", "ca-file", "sni", "check-sni"] {
        case.remove(word);
    }
}

/// Makes the frontend also listen on port 80 or 443. This port shows doctor whether visitors use TLS. The
/// test's visitors use the frontend's socket.
fn listen(case: &mut Case, port: u16) {
    let [.., high, low] = case.number.to_be_bytes();
    case.front.push(format!("bind 127.9.{high}.{low}:{port}"));
}

fn is_single(case: &Case) -> bool {
    case.range.is_none() && case.servers.len() == 1
}

/// Makes HAProxy resolve the servers' names with the name server on this port.
fn resolvers(case: &mut Case, port: u16) {
    let name = format!("{}-dns", case.prefix());
    case.set(&format!("resolvers {name}"));
    case.set("init-addr none");
    case.sections.push(format!(
        "resolvers {name}\n    nameserver one 127.0.0.1:{port}\n    timeout retry 200ms\n    hold valid 1s"
    ));
}

fn is_pair(case: &Case) -> bool {
    case.servers.len() == 2 && case.last_words.is_empty()
}
