//! Changes that people make around HAProxy's own checks.

use crate::case::{Case, Kind};
use crate::peers::{API, Peer};
use crate::support::NAME;

use super::{Change, any, change, tls, tls_and};

pub const HTTP: &[Change] = &[
    change("no Host", 2, any, |case, _| {
        let host = format!(" hdr Host {NAME}");
        case.option
            .iter_mut()
            .for_each(|line| *line = line.replace(&host, ""));
        case.option.retain(|line| line != "http-check send");
    }),
    change(
        "no check-sni",
        5,
        |case| case.has("check-sni"),
        |case, _| case.remove("check-sni"),
    ),
    change(
        "check-sni of the other site",
        3,
        |case| case.has("check-sni"),
        |case, _| case.set_check(&format!("check-sni {API}")),
    ),
    change(
        "check-sni ${…} unquoted",
        4,
        |case| case.has("check-sni"),
        |case, _| case.set_check("check-sni ${SNI_HOST}"),
    ),
    change(
        "check-sni \"${…}\" not set",
        1,
        |case| case.has("check-sni"),
        |case, _| case.set_check("check-sni \"${NOT_SET}\""),
    ),
    change(
        "check-sni str(…)",
        4,
        |case| case.has("check-sni"),
        |case, _| case.set_check(&format!("check-sni str({NAME})")),
    ),
    change(
        "check-sni with a dot",
        2,
        |case| case.has("check-sni"),
        |case, _| case.set_check(&format!("check-sni {NAME}.")),
    ),
    change(
        "check-ssl",
        2,
        |case| tls_and(case, &[Kind::Http]),
        |case, _| case.set_check("check-ssl"),
    ),
    change(
        "no-check-ssl",
        1,
        |case| tls_and(case, &[Kind::Http]),
        |case, _| case.set_check("no-check-ssl"),
    ),
    change("http-check connect", 3, any, |case, _| {
        insert_rule(case, "http-check connect".to_owned())
    }),
    change("http-check connect ssl", 3, tls, |case, _| {
        insert_rule(case, "http-check connect ssl".to_owned())
    }),
    change("http-check connect default", 2, any, |case, _| {
        insert_rule(case, "http-check connect default".to_owned())
    }),
    change("http-check connect ssl sni", 2, tls, |case, _| {
        insert_rule(case, format!("http-check connect ssl sni {NAME}"))
    }),
    change(
        "http-check connect ssl sni of the other site",
        2,
        tls,
        |case, _| insert_rule(case, format!("http-check connect ssl sni {API}")),
    ),
    change(
        "http-check connect ssl sni send-proxy",
        1,
        tls,
        |case, _| {
            insert_rule(
                case,
                format!("http-check connect ssl sni {NAME} send-proxy"),
            )
        },
    ),
    change(
        "http-check connect with the port of the server",
        2,
        tls,
        |case, world| {
            let port = world.port(case.peer);
            insert_rule(
                case,
                format!("http-check connect port {port} ssl sni {NAME}"),
            );
        },
    ),
    change(
        "http-check connect default with another port",
        2,
        any,
        |case, world| {
            insert_rule(
                case,
                format!("http-check connect default port {}", world.health),
            );
        },
    ),
    change("http-check connect default sni", 2, tls, |case, _| {
        case.remove("check-sni");
        insert_rule(case, format!("http-check connect default sni {NAME}"));
    }),
    change(
        "http-check connect default without a name",
        2,
        tls,
        |case, _| {
            case.remove("check-sni");
            insert_rule(case, "http-check connect default".to_owned());
        },
    ),
    change(
        "two connections, the health page first",
        2,
        tls,
        |case, world| {
            insert_rule(case, format!("http-check connect ssl sni {NAME}"));
            insert_rule(case, "http-check expect status 200".to_owned());
            insert_rule(case, "http-check send meth GET uri /".to_owned());
            insert_rule(case, format!("http-check connect port {}", world.health));
        },
    ),
    change(
        "two connections, no name in the second",
        2,
        tls,
        |case, world| {
            insert_rule(case, "http-check connect ssl".to_owned());
            insert_rule(case, "http-check expect status 200".to_owned());
            insert_rule(case, "http-check send meth GET uri /".to_owned());
            insert_rule(case, format!("http-check connect port {}", world.health));
        },
    ),
    change("two connections to two sites", 1, tls, |case, _| {
        insert_rule(case, format!("http-check connect ssl sni {API}"));
        insert_rule(case, "http-check expect status 200".to_owned());
        insert_rule(
            case,
            format!("http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}"),
        );
        insert_rule(case, format!("http-check connect ssl sni {NAME}"));
    }),
    change(
        "check-sni that is an expression",
        2,
        |case| case.has("check-sni"),
        |case, _| case.set_check("check-sni ssl_fc_sni"),
    ),
    change(
        "check-sni that is an address",
        1,
        |case| case.has("check-sni"),
        |case, _| case.set_check("check-sni 127.0.0.1"),
    ),
    change("http-check connect port", 2, any, |case, world| {
        let port = world.health;
        insert_rule(case, format!("http-check connect port {port}"));
    }),
    change("http-check connect linger", 1, any, |case, _| {
        insert_rule(case, "http-check connect linger".to_owned())
    }),
    change("a missing page", 1, any, |case, _| {
        case.line("option httpchk", |_| {
            Some("option httpchk GET /missing".to_owned())
        })
    }),
    change("check-send-proxy", 2, any, |case, _| {
        case.set_check("check-send-proxy")
    }),
    change(
        "check-alpn",
        1,
        |case| case.has("check-sni"),
        |case, _| case.set_check("check-alpn http/1.1"),
    ),
    change(
        "check-alpn h2",
        1,
        |case| case.has("check-sni"),
        |case, _| case.set_check("check-alpn h2"),
    ),
    change("OPTIONS *", 1, any, |case, _| {
        case.line("option httpchk", |_| {
            Some("option httpchk OPTIONS *".to_owned())
        })
    }),
    change("no option httpchk", 1, any, |case, _| {
        case.line("option httpchk", |_| None)
    }),
    change("option external-check first", 1, any, |case, world| {
        let jailed = case.global[0].starts_with("chroot");
        let folder = if jailed { "" } else { world.root.as_str() };
        case.option
            .insert(0, format!("external-check command {folder}/sni-check"));
        case.option.insert(0, "option external-check".to_owned());
    }),
    change("HEAD", 1, any, |case, _| {
        case.line("option httpchk", |_| {
            Some("option httpchk HEAD /".to_owned())
        })
    }),
    change("HEAD and a text", 1, any, |case, _| {
        case.line("option httpchk", |_| {
            Some("option httpchk HEAD /".to_owned())
        });
        case.option
            .retain(|line| !line.starts_with("http-check send"));
        case.option.push("http-check expect string good".to_owned())
    }),
    change(
        "no User-Agent",
        12,
        |case| case.peer == Peer::WantsAgent,
        |case, _| {
            case.option.iter_mut().for_each(|line| {
                *line = line.replace(" hdr User-Agent check", "");
            });
        },
    ),
    change("option httpchk with only a page", 1, any, |case, _| {
        case.line("option httpchk", |_| Some("option httpchk /".to_owned()))
    }),
    change("Host in the old form", 2, any, |case, _| {
        case.line("option httpchk", |_| {
            Some(format!("option httpchk GET / HTTP/1.1\\r\\nHost:\\ {NAME}"))
        });
        case.option
            .retain(|line| !line.starts_with("http-check send"));
    }),
    change("Host of the other site", 2, any, |case, _| {
        case.option.push(format!(
            "http-check send meth GET uri / ver HTTP/1.1 hdr Host {API}"
        ))
    }),
    change("POST with a body", 1, any, |case, _| {
        case.option.push(format!(
            "http-check send meth POST uri / ver HTTP/1.1 hdr Host {NAME} body ping"
        ))
    }),
    change("http-check expect of the page's text", 2, any, |case, _| {
        case.option.push("http-check expect string good".to_owned())
    }),
    change("http-check expect of another text", 1, any, |case, _| {
        case.option
            .push("http-check expect rstring ^never".to_owned())
    }),
    change("http-check expect of an error", 1, any, |case, _| {
        case.option
            .push("http-check expect status 401,403".to_owned())
    }),
    change("http-check expect ! status", 1, any, |case, _| {
        case.option
            .push("http-check expect ! rstatus ^5".to_owned())
    }),
    change(
        "http-check disable-on-404 and send-state",
        1,
        any,
        |case, _| {
            case.option
                .extend(["http-check disable-on-404", "http-check send-state"].map(str::to_owned))
        },
    ),
    change("http-check connect addr", 1, any, |case, world| {
        let port = world.health;
        insert_rule(
            case,
            format!("http-check connect addr 127.0.0.1 port {port}"),
        );
    }),
    change("two connections", 1, tls, |case, world| {
        let port = world.health;
        insert_rule(case, format!("http-check connect ssl sni {NAME}"));
        insert_rule(case, "http-check send meth GET uri /".to_owned());
        insert_rule(case, format!("http-check connect port {port}"));
    }),
    change("http-check connect ssl alpn", 1, tls, |case, _| {
        insert_rule(
            case,
            format!("http-check connect ssl sni {NAME} alpn h2,http/1.1"),
        )
    }),
    change("a short timeout check", 1, any, |case, _| {
        case.timeouts.push("timeout check 500ms".to_owned())
    }),
];

pub const PLAIN: &[Change] = &[
    change(
        "no check-sni",
        5,
        |case| case.has("check-sni"),
        |case, _| case.remove("check-sni"),
    ),
    change(
        "check-sni of the other site",
        2,
        |case| case.has("check-sni"),
        |case, _| case.set_check(&format!("check-sni {API}")),
    ),
    change(
        "check-sni ${…} unquoted",
        2,
        |case| case.has("check-sni"),
        |case, _| case.set_check("check-sni ${SNI_HOST}"),
    ),
    change(
        "check-sni str(…)",
        2,
        |case| case.has("check-sni"),
        |case, _| case.set_check(&format!("check-sni str({NAME})")),
    ),
    change("check-ssl", 2, any, |case, _| case.set_check("check-ssl")),
    change("no-check-ssl", 1, tls, |case, _| {
        case.set_check("no-check-ssl")
    }),
    change("check-send-proxy", 1, any, |case, _| {
        case.set_check("check-send-proxy")
    }),
];

pub const TCP: &[Change] = &[
    change("option ssl-hello-chk", 1, any, |case, _| {
        case.option = vec!["option ssl-hello-chk".to_owned()];
    }),
    change(
        "no check-sni",
        4,
        |case| case.has("check-sni"),
        |case, _| case.remove("check-sni"),
    ),
    change(
        "check-sni str(…)",
        2,
        |case| case.has("check-sni"),
        |case, _| case.set_check(&format!("check-sni str({NAME})")),
    ),
    change("tcp-check connect", 4, any, |case, _| {
        connect(case, "tcp-check connect")
    }),
    change("tcp-check connect ssl", 4, any, |case, _| {
        connect(case, "tcp-check connect ssl")
    }),
    change("tcp-check connect port", 2, any, |case, world| {
        connect(case, &format!("tcp-check connect port {}", world.health))
    }),
    change(
        "tcp-check connect ssl sni of the other site",
        2,
        any,
        |case, _| connect(case, &format!("tcp-check connect ssl sni {API}")),
    ),
    change("tcp-check connect default", 2, any, |case, _| {
        connect(case, "tcp-check connect default")
    }),
    change("a script over TLS", 3, tls, |case, _| {
        connect(case, &format!("tcp-check connect ssl sni {NAME}"));
        request(case);
    }),
    change("a script without TLS", 2, any, |case, _| {
        connect(case, "tcp-check connect");
        request(case);
    }),
    change("a script without connect", 2, any, |case, _| request(case)),
    change(
        "a tcp-check that expects before it sends",
        1,
        any,
        |case, _| case.option.push("tcp-check expect string HTTP".to_owned()),
    ),
    change("option for another protocol", 1, any, |case, _| {
        case.option = vec!["option smtpchk".to_owned()];
    }),
];

/// Removes the `tcp-check connect` rules, and adds this rule.
fn connect(case: &mut Case, rule: &str) {
    case.option
        .retain(|line| !line.starts_with("tcp-check connect"));
    case.option.push(rule.to_owned());
}

/// Replaces the rules that send a request and expect an answer.
fn request(case: &mut Case) {
    let is_script =
        |line: &String| line.starts_with("tcp-check send") || line.starts_with("tcp-check expect");
    case.option.retain(|line| !is_script(line));
    case.option.extend([
        format!("tcp-check send \"GET / HTTP/1.0\\r\\nHost: {NAME}\\r\\n\\r\\n\""),
        "tcp-check expect rstring ^HTTP/1.*200".to_owned(),
    ]);
}

pub const AGENT: &[Change] = &[
    change("an agent that does not exist", 3, any, |case, world| {
        let dead = world.dead;
        let old = world.agent.to_string();
        case.check_words
            .iter_mut()
            .for_each(|word| *word = word.replace(&old, &dead.to_string()));
    }),
    change(
        "no check-sni",
        1,
        |case| case.has("check-sni"),
        |case, _| case.remove("check-sni"),
    ),
];

/// Adds a rule after the first line of the check, which is usually `option httpchk`.
fn insert_rule(case: &mut Case, rule: String) {
    let at = case.option.len().min(1);
    case.option.insert(at, rule);
}
