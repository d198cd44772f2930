//! HAProxy's own checks: what doctor finds in them, and what each release of HAProxy shows.

use crate::configuration::{finding, json};
use crate::support::haproxy::{Haproxy, Mode, Version, with_every_haproxy};
use crate::support::nginx::{Nginx, site};
use crate::support::peer::says;
use crate::support::stage::Stage;
use crate::support::{NAME, free_port, wait_for};

/// Returns a `defaults` section that ends with the lines `more`, and a frontend, because HAProxy doesn't
/// start without a listener.
pub fn defaults(more: &str) -> String {
    let port = free_port();
    format!(
        "defaults\n mode http\n timeout connect 1s\n timeout client 5s\n timeout server 5s\n \
         default-server inter 500ms check\n{more}\nfrontend f{port}\n bind 127.0.0.1:{port}\n"
    )
}

/// Returns the ids of the findings about a backend.
fn ids(report: &serde_json::Value, backend: &str) -> Vec<String> {
    let findings = report["findings"].as_array().expect("findings").iter();
    let is_about = |finding: &&serde_json::Value| {
        let mut names = finding["about"].as_array().expect("names").iter();
        names.any(|name| name.as_str().expect("text").split('/').next() == Some(backend))
    };
    let ids = findings.filter(is_about);
    ids.map(|finding| finding["id"].as_str().expect("a name").to_owned())
        .collect()
}

/// Returns doctor's report about the configuration with this HAProxy.
fn report(version: &Version, config: &str) -> serde_json::Value {
    json(&[
        "-f",
        config,
        "--haproxy",
        &version.program.display().to_string(),
    ])
    .0
}

/// A backend: its lines, the ids of doctor's findings, and the possible statuses. HAProxy must show one of
/// these statuses.
pub type Row<'a> = (&'a str, &'a [&'a str], &'a [&'a str]);

/// Asserts what doctor finds and what every HAProxy shows. `rows` returns the backends. Its argument is true
/// for HAProxy 3.2 and later. `port` replaces the placeholders in the configuration.
pub fn foretells(
    stage: &Stage,
    defaults: &str,
    rows: impl Fn(bool) -> Vec<Row<'static>> + Sync,
    port: &dyn Fn(&str) -> String,
) {
    let write = |is_new: bool| {
        let rows = rows(is_new);
        let backends = rows.iter().enumerate();
        let backends = backends.map(|(index, (lines, ..))| format!("backend b{index}\n {lines}\n"));
        let text = format!("{defaults}{}", backends.collect::<String>());
        let config = stage.folder.file(&format!("{is_new}.cfg"), &port(&text));
        (rows, config)
    };
    let both = [write(false), write(true)];
    with_every_haproxy(|version| {
        let (rows, config) = &both[usize::from(version.is_since("3.2"))];
        let report = report(version, config);
        let haproxy = version.start(Mode::Single, config, &[]);
        for (index, (lines, expected, statuses)) in rows.iter().enumerate() {
            let backend = format!("b{index}");
            assert_eq!(ids(&report, &backend), *expected, "{version:?}: {lines}");
            let seen = haproxy.wait_for_check(&backend, "s").check_status;
            assert!(
                statuses.contains(&&seen[..]),
                "{version:?}: {lines}: {seen}"
            );
        }
    });
}

/// Before HAProxy 3.2, a check offers the `alpn` of the server line, but speaks HTTP/1.
#[test]
fn doctor_finds_a_check_that_offers_http2_but_speaks_http1() {
    const SENT: &str = "http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME\n";
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME], 30);
    let nginx = Nginx::serve(|folder, port| site((folder, port), "http2", NAME, (&leaf, &[]), ""));
    let rows = |is_new: bool| {
        let (found, down): (&[&str], &[&str]) = match is_new {
            true => (&[], &["L7OK"]),
            false => (&["check-alpn"], &["L7RSP", "L7TOUT"]),
        };
        let http = |rules: &str, words: &str| -> &'static str {
            let rules = rules.replace("SENT", SENT);
            let text =
                format!("option httpchk\n {rules} server s 127.0.0.1:PORT ssl verify none {words}");
            text.leak()
        };
        let tcp = |rules: &str, words: &str| -> &'static str {
            let text = format!(
                "option tcp-check\n {rules} tcp-check send \"GET / HTTP/1.0\\r\\n\\r\\n\"\n \
                 tcp-check expect string 200\n server s 127.0.0.1:PORT ssl verify none {words}"
            );
            text.leak()
        };
        vec![
            (http("SENT", "alpn h2,http/1.1"), found, down),
            (
                http("SENT", "alpn h2,http/1.1 check-alpn http/1.1"),
                &[][..],
                &["L7OK"][..],
            ),
            (http("SENT", "alpn h2"), found, down),
            (http("SENT", "alpn h2 check-alpn h2"), &[], &["L7OK"]),
            (
                http("http-check connect ssl\n SENT", "alpn h2,http/1.1"),
                found,
                down,
            ),
            (
                http(
                    "http-check connect ssl alpn http/1.1\n SENT",
                    "alpn h2,http/1.1",
                ),
                &[],
                &["L7OK"],
            ),
            (tcp("", "alpn h2,http/1.1"), &["check-alpn"], &["L7RSP"]),
            (
                tcp("", "alpn h2,http/1.1 check-alpn http/1.1"),
                &[],
                &["L7OK"],
            ),
            (
                tcp("tcp-check connect ssl\n", "alpn h2 check-alpn http/1.1"),
                &["check-alpn"],
                &["L7RSP"],
            ),
            (
                tcp("tcp-check connect ssl alpn http/1.1\n", "alpn h2"),
                &[],
                &["L7OK"],
            ),
            (
                http("SENT", "alpn h2 check-proto h2"),
                if is_new { &[] } else { &["check-proto"] },
                if is_new { &["L7OK"] } else { &["L7TOUT"] },
            ),
        ]
    };
    let port = |text: &str| {
        text.replace("PORT", &nginx.port.to_string())
            .replace("NAME", NAME)
    };
    foretells(&stage, &defaults(""), rows, &port);
}

#[test]
fn doctor_finds_a_check_that_speaks_a_different_version_of_http_from_traffic() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|_, port| {
        format!("server {{ listen 127.0.0.1:{port} http2; location / {{ return 200; }} }}")
    });
    const DOWN: &[&str] = &["L7RSP", "L7TOUT", "SOCKERR"];
    let rows = |_| {
        vec![
            ("server s 127.0.0.1:PORT proto h2", &[][..], &["L7OK"][..]),
            (
                "server s 127.0.0.1:PORT proto h2 check-proto h1",
                &["check-other-http"],
                DOWN,
            ),
            (
                "option httpchk\n http-check connect\n http-check send meth GET uri / hdr Host x\n server s 127.0.0.1:PORT proto h2",
                &["check-other-http"],
                DOWN,
            ),
            (
                "server s 127.0.0.1:PORT check-proto h2",
                &["check-other-http"],
                &["L7OK"],
            ),
        ]
    };
    let port = |text: &str| text.replace("PORT", &nginx.port.to_string());
    foretells(
        &stage,
        &defaults(" option httpchk GET /\n http-check send hdr Host x"),
        rows,
        &port,
    );
}

/// If a backend has its own http-check line, HAProxy ignores all http-check lines of its `defaults`,
/// including the request.
#[test]
fn doctor_finds_a_check_that_loses_the_request_of_its_defaults() {
    let stage = Stage::new();
    let port = stage.nginx().port.to_string();
    let above = defaults(&format!(
        " option httpchk GET /redirect\n http-check send hdr Host {NAME} hdr X-Check yes\n \
         default-server ssl verify none sni str({NAME}) check-sni {NAME}"
    ));
    let lines = [
        "http-check connect ssl sni NAME",
        "http-check expect status 302",
        "http-check set-var(check.x) str(x)",
    ];
    let rows = |_| {
        let server = "server s 127.0.0.1:PORT";
        let rows = lines.iter().map(|line| -> Row<'static> {
            (
                format!("{line}\n {server}").leak(),
                &["http-check-without-request"],
                &["L7TOUT"],
            )
        });
        let mut rows: Vec<Row> = rows.collect();
        rows.push((
            "http-check connect\n server s 127.0.0.1:PORT no-ssl",
            &["http-check-without-request", "alone-without-tls"][..1],
            &["L4OK"],
        ));
        rows
    };
    let fill = |text: &str| text.replace("PORT", &port).replace("NAME", NAME);
    foretells(&stage, &above, rows, &fill);
    // With the lines of doctor's fix, the check sends the request again.
    for line in lines {
        let text = format!("{above}backend b\n {line}\n server s 127.0.0.1:PORT\n");
        let config = stage.folder.file("one.cfg", &fill(&text));
        let (report, _) = json(&["-f", &config]);
        let write = finding(&report, "http-check-without-request")["write"]
            .as_str()
            .expect("text");
        let (place, sent) = write.split_once(", write ").expect(write);
        assert_eq!(
            sent,
            format!("http-check send meth GET uri /redirect hdr Host {NAME} hdr X-Check yes")
        );
        let fixed = match place.contains("after") {
            true => format!("{line}\n {sent}"),
            false => format!("{sent}\n {line}"),
        };
        let text = format!("{above}backend b\n {fixed}\n server s 127.0.0.1:PORT\n");
        let config = stage.folder.file("one.cfg", &fill(&text));
        with_every_haproxy(|version| {
            let haproxy = version.start(Mode::Single, &config, &[]);
            let seen = haproxy.wait_for_check("b", "s");
            assert_eq!(
                (&seen.check_status[..], &seen.check_code[..]),
                ("L7OK", "302"),
                "{fixed}"
            );
        });
    }
}

#[test]
fn doctor_finds_requests_that_are_not_http() {
    let stage = Stage::new();
    let port = stage.nginx().port.to_string();
    let rows = |_| {
        let rows = [
            ("option httpchk /healthz HTTP/1.1", "check-request", "L7STS"),
            ("option httpchk GET", "check-request", "L7STS"),
            ("option httpchk GET *", "check-request", "L7STS"),
            (
                "option httpchk\n http-check send uri * ver HTTP/1.1 hdr Host NAME",
                "check-request",
                "L7STS",
            ),
            ("option httpchk GET healthz", "check-request", "L7STS"),
            (
                "option httpchk\n http-check send meth get uri / hdr Host NAME",
                "check-request",
                "L7STS",
            ),
            (
                "option httpchk\n http-check send meth GET uri / ver 1.1 hdr Host NAME",
                "check-request",
                "L7STS",
            ),
            (
                "option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host: NAME",
                "check-request",
                "L7STS",
            ),
            (
                "option httpchk\n http-check send meth GET uri / hdr Host https://NAME",
                "check-other-host",
                "L7STS",
            ),
        ];
        let rows = rows.map(|(lines, id, status)| -> Row<'static> {
            let server =
                format!("server s 127.0.0.1:PORT ssl verify none sni str({NAME}) check-sni {NAME}");
            (
                format!("{lines}\n {server}").leak(),
                vec![id].leak(),
                vec![status].leak(),
            )
        });
        rows.to_vec()
    };
    let fill = |text: &str| text.replace("PORT", &port).replace("NAME", NAME);
    foretells(&stage, &defaults(""), rows, &fill);
}

/// The check sends the Host of one site, and `http-request set-header` makes visitors send another Host.
#[test]
fn doctor_finds_a_check_that_sends_a_different_host_from_visitors() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|_, port| {
        let default = format!("server {{ listen 127.0.0.1:{port} default_server; return 421; }}");
        format!("{default} server {{ listen 127.0.0.1:{port}; server_name {NAME}; return 200; }}")
    });
    let rows = |_| {
        const SENT: &str = "option httpchk GET /\n http-check send hdr Host";
        let rows = [
            (
                "NAME\n http-request set-header Host other.example.test",
                "check-other-host",
                "L7OK",
            ),
            (
                "other.example.test\n http-request set-header Host NAME",
                "check-other-host",
                "L7STS",
            ),
            ("str(NAME)", "check-other-host", "L7STS"),
            ("'${SITE}'", "check-other-host", "L7STS"),
            ("${SITE}", "check-other-host", "L7STS"),
            ("NAME\n http-request set-header Host NAME", "", "L7OK"),
            (
                "NAME\n http-request set-header Host %[req.hdr(host)]",
                "",
                "L7OK",
            ),
        ];
        let rows = rows.map(|(host, id, status)| -> Row<'static> {
            let ids: Vec<&str> = [id].into_iter().filter(|id| !id.is_empty()).collect();
            (
                format!("{SENT} {host}\n server s 127.0.0.1:PORT").leak(),
                ids.leak(),
                vec![status].leak(),
            )
        });
        rows.to_vec()
    };
    let fill = |text: &str| {
        text.replace("PORT", &nginx.port.to_string())
            .replace("NAME", NAME)
    };
    foretells(&stage, &defaults(""), rows, &fill);
}

/// Returns the status that visitors of this configuration get.
fn visited(config: &str) -> Option<u16> {
    crate::support::haproxy::Haproxy::start(Mode::Daemon, config, &[]).get("/")
}

/// HAProxy forgets the variables of a request before it connects to the server.
#[test]
fn doctor_notes_an_sni_from_a_variable_of_the_request() {
    let stage = Stage::new();
    let config = |scope: &str| {
        let backend = format!(
            " http-request set-var({scope}.sni) str({NAME})\n server s 127.0.0.1:PORT ssl verify none sni \
             var({scope}.sni) check check-sni {NAME} inter 500ms"
        );
        crate::configuration::configure(&stage, "maxconn 100", &backend)
    };
    let request = config("req");
    let report =
        crate::configuration::foretells(&request, &[("traffic-without-sni", "note")], "L6OK", "");
    let text = finding(&report, "traffic-without-sni").to_string();
    assert!(
        text.contains("set-var(txn.sni) in place of set-var(req.sni)"),
        "{text}"
    );
    assert_eq!(visited(&request), Some(503));
    let transaction = config("txn");
    crate::configuration::foretells(&transaction, &[], "L6OK", "");
    assert_eq!(visited(&transaction), Some(200));
}

/// HAProxy's converters build the name from parts.
#[test]
fn doctor_accepts_an_sni_that_converters_build() {
    let stage = Stage::new();
    let (label, domain) = NAME.split_once('.').expect("a domain");
    let sni = format!("str({label}),concat(.{domain})");
    let backend = format!(
        " server s 127.0.0.1:PORT ssl verify none sni {sni} check check-sni {NAME} inter 500ms"
    );
    let config = crate::configuration::configure(&stage, "maxconn 100", &backend);
    crate::configuration::foretells(&config, &[], "L6OK", "");
    assert_eq!(visited(&config), Some(200));
}

/// The server and its check speak plain HTTP. For visitors, HAProxy speaks TLS to the server.
#[test]
fn doctor_finds_that_only_traffic_speaks_tls_to_a_plain_server() {
    let stage = Stage::new();
    let plain = plain_nginx();
    let server = format!(
        "127.0.0.1:{} ssl verify none check no-check-ssl inter 500ms",
        plain.port
    );
    let backend =
        format!(" option httpchk GET /\n http-check send hdr Host {NAME}\n server s {server}");
    let config = crate::configuration::configure(&stage, "maxconn 100", &backend);
    let expected = [("check-without-tls", "problem")];
    let report = crate::configuration::foretells(&config, &expected, "L7OK", "200");
    let effect = &finding(&report, "check-without-tls")["effect"];
    assert_eq!(effect, "down-or-up");
    assert_eq!(visited(&config), Some(503));
}

fn plain_nginx() -> Nginx {
    Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; return 200; }}"))
}

/// Patroni and clustercheck report the state of a database on another port.
#[test]
fn the_fix_keeps_the_port_of_a_service_that_reports_the_state_of_a_database() {
    let stage = Stage::new();
    let (database, service) = (crate::support::peer::silent(), plain_nginx());
    let config = |more: &str| {
        let backend = format!(
            "backend b\n mode tcp\n option httpchk GET /\n timeout check 300ms\n server s 127.0.0.1:{database} {more}\n"
        );
        let text = defaults("") + &backend;
        stage.folder.file("haproxy.cfg", &text)
    };
    let expected = [("check-other-port", "note")];
    let watched = config(&format!("port {}", service.port));
    let report = crate::configuration::foretells(&watched, &expected, "L7OK", "200");
    let found = finding(&report, "check-other-port");
    assert_eq!(found["effect"], "none", "{report}");
    assert!(!found["write"].to_string().contains("remove"), "{report}");
    // The database doesn't speak HTTP.
    crate::configuration::shows(&config(""), "s", "L7TOUT", "");
}

#[test]
fn doctor_notes_a_socks_proxy_that_only_traffic_uses() {
    let stage = Stage::new();
    let dead = crate::support::dead_port();
    let config = |more: &str| {
        let server = format!(
            "127.0.0.1:PORT ssl verify none sni str({NAME}) check-sni {NAME} check inter 500ms"
        );
        let backend = format!(" server s {server} socks4 127.0.0.1:{dead} {more}");
        crate::configuration::configure(&stage, "maxconn 100", &backend)
    };
    let direct = config("");
    let report =
        crate::configuration::foretells(&direct, &[("traffic-detour", "note")], "L6OK", "");
    assert_eq!(
        finding(&report, "traffic-detour")["write"],
        "check-via-socks4 on the server line"
    );
    assert_eq!(visited(&direct), Some(503));
    crate::configuration::foretells(&config("check-via-socks4"), &[], "L4CON", "");
}

/// In `mode tcp`, HAProxy passes visitors' TLS through, with their SNI.
#[test]
fn doctor_finds_a_check_without_sni_if_visitors_tls_passes_through() {
    let stage = Stage::new();
    let port = stage.nginx().port.to_string();
    let server = "mode tcp\n server s 127.0.0.1:PORT check-ssl verify none";
    let named = format!("{server} check-sni {NAME}").leak();
    let rows = |_| -> Vec<Row> {
        vec![
            (server, &["check-without-sni"], &["L6RSP"]),
            (&*named, &[], &["L6OK"]),
        ]
    };
    let fill = |text: &str| text.replace("PORT", &port);
    foretells(&stage, &defaults(""), rows, &fill);
}

/// A note can explain a failure only if it predicts this failure.
#[test]
fn a_run_confirms_only_notes_that_predict_its_result() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME], 30);
    let nginx = Nginx::serve(|folder, port| {
        let by_method = "if ($request_method = OPTIONS) { return 405; }";
        site((folder, port), "", NAME, (&leaf, &[]), by_method)
    });
    let run = |rules: &str, words: &str| {
        let server = format!(
            "127.0.0.1:{} ssl verify none {words} check inter 500ms",
            nginx.port
        );
        let backend = format!(" option httpchk {rules}\n server s {server}");
        let config = crate::configuration::configure(&stage, "maxconn 100", &backend);
        (json(&["-f", &config, "--run"]).0, config)
    };
    // A Host doesn't make the server accept OPTIONS.
    let (report, config) = run("", "");
    assert_eq!(
        finding(&report, "check-without-host")["mark"],
        "note",
        "{report}"
    );
    let refused = finding(&report, "check-method");
    assert_eq!(refused["mark"], "problem", "{report}");
    assert_eq!(
        refused["write"],
        "in the backend, write http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME"
    );
    crate::configuration::shows(&config, "s", "L7STS", "405");
    let (report, config) = run("\n http-check send meth GET uri /", "");
    assert_eq!(
        report["summary"],
        "nothing is certain to go wrong, but 1 server may be judged wrongly; 1 note"
    );
    crate::configuration::shows(&config, "s", "L7OK", "200");
    // Visitors get the same 500 that the check accepts.
    let (report, _) = run("GET /error\n http-check expect rstatus ^[25]", "");
    assert_eq!(
        finding(&report, "check-without-host")["mark"],
        "note",
        "{report}"
    );
}

/// A server that tracks another server has the other server's state.
#[test]
fn a_finding_about_a_check_also_names_the_servers_that_track_it() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let server = format!("127.0.0.1:{port} ssl verify none sni str({NAME})");
    let text = format!(
        "{}backend checks\n server h {server}\nbackend app\n default-server no-check\n server a {server} track checks/h\n \
         server b {server} track a\n",
        defaults("")
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, _) = json(&["-f", &config, "--run"]);
    let about = &finding(&report, "check-without-sni")["about"];
    assert_eq!(
        *about,
        serde_json::json!(["checks/h", "app/a", "app/b"]),
        "{report}"
    );
    let summary = report["summary"].as_str().expect("text");
    assert!(
        summary.starts_with("3 servers will be DOWN though they work"),
        "{summary}"
    );
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    for name in ["a", "b"] {
        wait_for("the tracking server to be DOWN", || {
            haproxy
                .server("app", name)
                .filter(|server| server.status == "DOWN")
        });
    }
}

/// Each row has the words after `track`, doctor's findings, and the status that a visitor gets.
const FOLLOWERS: [(&str, &str, u16); 7] = [
    ("ssl verify none sni str(NAME)", "", 200),
    ("ssl verify none", "traffic-without-sni", 503),
    (
        "ssl verify none sni str(other.test)",
        "traffic-other-sni",
        503,
    ),
    ("", "traffic-without-tls", 400),
    (
        "ssl verify none sni str(NAME) send-proxy",
        "traffic-other-proxy",
        503,
    ),
    (
        "ssl verify required ca-file OTHER sni str(NAME)",
        "check-verifies-nothing",
        503,
    ),
    ("ssl verify none sni be_name", "traffic-other-sni", 503),
];

#[test]
fn doctor_compares_the_traffic_of_tracking_servers_with_the_tracked_check() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let other = stage
        .folder
        .file("other.pem", &crate::support::pki::Ca::named("Other").pem);
    let ports: Vec<u16> = FOLLOWERS.iter().map(|_| free_port()).collect();
    let backends = FOLLOWERS.iter().zip(&ports).enumerate();
    let backends = backends.map(|(index, ((words, ..), front))| {
        let text = format!(
            "frontend f{index}\n bind 127.0.0.1:{front}\n default_backend b{index}\nbackend b{index}\n \
             server s 127.0.0.1:{port} {words} no-check track checks/h\n"
        );
        text.replace("NAME", NAME).replace("OTHER", &other)
    });
    let text = format!(
        "{}backend checks\n option httpchk GET /\n http-check send hdr Host {NAME}\n \
         server h 127.0.0.1:{port} ssl verify none sni str({NAME}) check check-sni {NAME} inter 500ms\n{}",
        defaults(""),
        backends.collect::<String>()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, _) = json(&["-f", &config]);
    let (run, _) = json(&["-f", &config, "--run"]);
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    haproxy.wait_for_check("checks", "h");
    for (index, ((words, id, status), front)) in FOLLOWERS.iter().zip(ports).enumerate() {
        let about = format!("b{index}/s");
        let findings = report["findings"].as_array().expect("findings").iter();
        let found = findings.filter(|found| found["about"].to_string().contains(&about));
        let found: Vec<&str> = found.filter_map(|found| found["id"].as_str()).collect();
        let expected: &[&str] = if id.is_empty() { &[] } else { &[id] };
        assert_eq!(found, expected, "{words}");
        // The run visits these servers, so doctor knows which of them fail.
        let mut found = run["findings"].as_array().expect("findings").iter();
        let problem = found.find(|found| {
            found["mark"] == "problem" && found["about"].to_string().contains(&about)
        });
        assert_eq!(
            problem.map_or("", |found| found["id"].as_str().expect("an id")),
            *id,
            "{run}"
        );
        let server = haproxy.server(&format!("b{index}"), "s").expect("a server");
        assert_eq!(server.status, "UP", "{words}");
        assert_eq!(visit(front), *status, "{words}");
    }
}

/// The check and visitors of the tracked server work. The traffic of the tracking server verifies a wrong
/// name.
#[test]
fn doctor_reports_only_the_tracking_server_if_only_its_visitors_fail() {
    let stage = Stage::new();
    let leaf = &stage.leaf;
    let nginx = Nginx::serve(|folder, port| site((folder, port), "", NAME, (leaf, &[]), ""));
    let server = format!(
        "127.0.0.1:{} ssl verify required ca-file {}",
        nginx.port, stage.ca_file
    );
    let text = format!(
        "{}frontend a\n bind 127.0.0.1:{}\n use_backend a if {{ hdr(host) {NAME} }}\n use_backend b if {{ hdr(host) {NAME} }}\n\
         backend a\n option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n \
         server s {server} check-sni {NAME}\n\
         backend b\n server s {server} verifyhost other.example.test no-check track a/s\n",
        defaults(""),
        free_port()
    );
    let (report, _) = json(&["-f", &stage.folder.file("haproxy.cfg", &text), "--run"]);
    let summary = report["summary"].as_str().expect("text");
    assert_eq!(
        summary, "1 server will be UP though visitors fail",
        "{report}"
    );
    let found = &report["findings"][0];
    assert_eq!(found["about"], serde_json::json!(["b/s"]), "{report}");
    let what = found["what"].as_str().expect("text");
    assert!(what.contains("`verifyhost other.example.test`"), "{what}");
}

/// Returns the status that a visitor gets.
fn visit(port: u16) -> u16 {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let request = format!("GET / HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n");
    std::io::Write::write_all(&mut stream, request.as_bytes()).expect("sent");
    let answer = std::io::read_to_string(stream).expect("an answer");
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.expect("a status")
}

#[test]
fn doctor_notes_a_check_that_expects_an_error_status() {
    let stage = Stage::new();
    let server = format!(
        "127.0.0.1:PORT ssl verify none sni str({NAME}) check check-sni {NAME} inter 500ms"
    );
    let sent = format!("http-check send meth GET uri / hdr Host {NAME}");
    let backend =
        format!(" option httpchk\n {sent}\n http-check expect status 503\n server s {server}");
    let config = crate::configuration::configure(&stage, "maxconn 100", &backend);
    let report =
        crate::configuration::foretells(&config, &[("expects-refusal", "note")], "L7STS", "200");
    let finding = finding(&report, "expects-refusal");
    assert_eq!(
        finding["what"],
        "the check expects status 503, which is an error for visitors"
    );
    assert_eq!(finding["write"], "expect status 200-399");
}

/// If the agent answers, doctor doesn't report the server as unchecked.
#[test]
fn an_agent_that_answers_counts_as_a_check() {
    let stage = Stage::new();
    let agent = says("up\n");
    let text = format!(
        "{}backend b\n server s 127.0.0.1:{agent} no-check agent-check agent-port {agent} agent-inter 100ms\n",
        defaults("")
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!(
        finding(&report, "agent-alone")["effect"],
        "none",
        "{report}"
    );
    assert_eq!(code, 0, "{report}");
}

#[test]
fn servers_for_log_lines_need_no_check() {
    let stage = Stage::new();
    let text = format!(
        "{}backend logs\n mode log\n server s udp@127.0.0.1:514 no-check\n",
        defaults("")
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    with_every_haproxy(|version| {
        if version.is_since("3.0") {
            let report = report(version, &config);
            assert_eq!(report["haproxy"]["accepts"], true, "{report}");
            assert_eq!(report["findings"], serde_json::json!([]), "{report}");
        }
    });
}
