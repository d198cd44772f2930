//! Tests of the fixes that doctor prints. HAProxy shows that the fixed configuration works.

use std::fs;

use serde_json::Value;

use crate::configuration::{checked, doctor, finding, found, in_chroot, json, shows};
use crate::support::check::stdout;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::{Nginx, site};
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port};

fn write<'a>(report: &'a Value, id: &str) -> &'a str {
    finding(report, id)["write"].as_str().expect("text")
}

/// Returns a backend with these lines after `option httpchk`. The server line ends with these keywords.
fn own(lines: &str, words: &str) -> String {
    format!(
        " option httpchk GET / HTTP/1.1\n{lines} http-check send hdr Host {NAME}\n \
         server s 127.0.0.1:PORT TLS check inter 500ms {words}"
    )
}

/// Without `port`, other keywords decide how the check connects to the server's own port.
#[test]
fn the_fix_for_a_check_of_another_port_also_changes_other_keywords() {
    let stage = Stage::new();
    let health = Nginx::plain();
    let name = format!("check-sni {NAME}");
    let default = " default-server port HEALTH\n";
    let connect = " http-check connect port HEALTH\n";
    let with_default = " http-check connect default\n";
    for (lines, words, expected, (fixed_lines, fixed)) in [
        (
            "",
            format!("{name} port HEALTH no-check-ssl"),
            "remove `no-check-ssl` from the server line; and remove `port` from the server line",
            ("", name.clone()),
        ),
        (
            "",
            format!("{name} port HEALTH check-send-proxy"),
            "remove `port` from the server line; and remove `check-send-proxy` from the server line",
            ("", name.clone()),
        ),
        (
            "",
            "port HEALTH".to_owned(),
            &format!("remove `port` from the server line; and {name} on the server line"),
            ("", name.clone()),
        ),
        (
            default,
            name.clone(),
            "remove `port` from the line ",
            ("", name.clone()),
        ),
        (
            connect,
            format!("{name} port {}", dead_port()),
            "in place of that connect line, write http-check connect default; and remove `port` from the server line",
            (with_default, name.clone()),
        ),
    ] {
        let config = |lines: &str, words: &str| {
            in_chroot(
                &stage,
                &own(lines, words).replace("HEALTH", &health.port.to_string()),
            )
        };
        let (report, _) = json(&["-f", &config(lines, &words)]);
        let advice = write(&report, "check-other-port");
        assert!(
            advice.starts_with(&format!("to check where visitors go, {expected}")),
            "{advice}"
        );
        let fixed = config(fixed_lines, &fixed);
        shows(&fixed, "s", "L7OK", "200");
        let (report, code) = json(&["-f", &fixed]);
        assert_eq!((code, found(&report)), (0, Vec::new()), "{report}");
    }
}

/// A check can have several connections. doctor compares each of them with traffic.
#[test]
fn doctor_compares_each_connection_of_a_check_with_traffic() {
    let (stage, health) = (Stage::new(), Nginx::plain());
    let lines = format!(
        " http-check connect port {}\n http-check send meth GET uri / hdr Host {NAME}\n http-check expect status 200\n \
         http-check connect ssl\n",
        health.port
    );
    let config = in_chroot(&stage, &own(&lines, ""));
    let (report, _) = json(&["-f", &config]);
    let expected = format!("in that connect line, write sni {NAME}");
    assert_eq!(write(&report, "check-without-sni"), expected);
    shows(&config, "s", "L6RSP", "");
    let fixed = lines.replace("connect ssl", &format!("connect ssl sni {NAME}"));
    shows(&in_chroot(&stage, &own(&fixed, "")), "s", "L7OK", "200");
    // Each connection has its own page.
    let pages = " http-check connect ssl sni NAME\n http-check send uri /\n http-check expect status 200\n \
                 http-check connect ssl sni NAME\n http-check send uri /api\n";
    let backend = format!(
        " option httpchk GET / HTTP/1.1\n{pages} server s 127.0.0.1:PORT TLS check inter 500ms"
    );
    let (report, _) = json(&["-f", &in_chroot(&stage, &backend.replace("NAME", NAME))]);
    assert_eq!(
        write(&report, "check-without-host"),
        format!(
            "in each http-check send line, keep the page and write meth GET ver HTTP/1.1 hdr Host {NAME}"
        )
    );
    // A line with `default` has no `ssl` before the name.
    let config = in_chroot(&stage, &own(" http-check connect default\n", ""));
    let (report, _) = json(&["-f", &config]);
    assert_eq!(write(&report, "check-without-sni"), expected);
    let fixed = format!(" http-check connect default sni {NAME}\n");
    shows(&in_chroot(&stage, &own(&fixed, "")), "s", "L7OK", "200");
}

/// Returns doctor's report after a run, and the path of the configuration. `words` are the keywords of the
/// server line that visitors need. `end` contains the keywords about the check.
fn after_run(stage: &Stage, port: u16, words: &str, end: &str) -> (Value, String) {
    let root = stage.chroot();
    let server = format!("127.0.0.1:{port} ssl {words} check inter 500ms {end}");
    let server = server.replace("CA", &format!("verify required ca-file {root}/ca.pem"));
    let lines =
        " option httpchk GET / HTTP/1.1\n http-check send hdr Host NAME\n".replace("NAME", NAME);
    let config = in_chroot(stage, &format!("{lines} server s {server}"));
    (json(&["-f", &config, "--run"]).0, config)
}

/// If only the check sends SNI, a run shows which side to change.
#[test]
fn a_name_that_only_the_check_sends_is_added_or_removed() {
    let stage = Stage::new();
    let check = format!("check-sni {NAME}");
    let add = format!("sni str({NAME}) on the server line");
    let remove = "remove `check-sni` from the server line";
    // Visitors of a server that requires SNI need the name. With `no-ssl-reuse`, HAProxy 2.6 can't resume the
    // session of its check for them.
    let (report, _) = after_run(&stage, stage.nginx().port, "CA no-ssl-reuse", &check);
    assert_eq!(finding(&report, "traffic-without-sni")["effect"], "up");
    assert_eq!(write(&report, "traffic-without-sni"), add);
    let (report, _) = after_run(
        &stage,
        stage.nginx().port,
        "verify none no-ssl-reuse",
        &check,
    );
    assert_eq!(write(&report, "traffic-without-sni"), add);
    // The only certificate of this server is for another name.
    let other = "other.example.test";
    let leaf = stage.ca.leaf(&[other], 30);
    let server = Nginx::serve(|folder, port| {
        site((folder, port), "default_server", other, (&leaf, &[]), "")
    });
    for words in ["CA".to_owned(), format!("CA verifyhost {other}")] {
        let (report, _) = after_run(&stage, server.port, &words, &check);
        assert_eq!(finding(&report, "traffic-without-sni")["effect"], "down");
        assert_eq!(write(&report, "traffic-without-sni"), remove, "{report}");
        let (report, fixed) = after_run(&stage, server.port, &words, "");
        assert_eq!(report["code"], 0, "{report}");
        shows(&fixed, "s", "L7OK", "200");
    }
}

/// An address or a number is never the name of a site.
#[test]
fn doctor_finds_an_sni_expression_whose_value_is_never_a_name() {
    let stage = Stage::new();
    for (sni, mark) in [
        ("dst", "problem"),
        ("src_port", "problem"),
        ("str(127.0.0.1)", "note"),
    ] {
        let server = format!(
            "127.0.0.1:PORT ssl verify required ca-file ROOT/ca.pem sni {sni} check inter 500ms check-sni {NAME}"
        );
        let config = in_chroot(&stage, &format!(" server s {server}"));
        let (report, _) = json(&["-f", &config]);
        assert_eq!(
            found(&report),
            [("sni-name".to_owned(), mark.to_owned())],
            "{report}"
        );
        assert_eq!(
            write(&report, "sni-name"),
            format!("sni str({NAME}) on the server line")
        );
        shows(&config, "s", "L6OK", "");
        let haproxy = Haproxy::start(Mode::Single, &config, &[]);
        assert_eq!(haproxy.get("/"), Some(503), "{sni}");
    }
    let config = in_chroot(
        &stage,
        " server s 127.0.0.1:PORT TLS check inter 500ms check-sni ssl_fc_sni",
    );
    let (report, _) = json(&["-f", &config]);
    let expected = format!("check-sni {NAME} on the server line");
    assert_eq!(write(&report, "check-sni-literal"), expected);
    shows(&config, "s", "L6RSP", "");
}

/// One finding names every variable with its lines, and the advice names each variable once.
#[test]
fn one_finding_names_all_unset_variables() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT ssl verify none sni \"str(${SITE})\" check";
    let config = in_chroot(
        &stage,
        &checked("/sni-check", "--sni ${SITE} --uri ${PAGE}", server),
    );
    let (report, _) = json(&["-f", &config]);
    let text = fs::read_to_string(&config).expect("text");
    let line = |part: &str| {
        1 + text
            .lines()
            .position(|line| line.contains(part))
            .expect("a line")
    };
    let (path, server) = (line("--uri"), line("server s"));
    let about = finding(&report, "unset-variables");
    assert_eq!(
        about["what"],
        format!(
            "these variables are not set here, but HAProxy may have them: PAGE in line {path}; SITE in lines {path} \
             and {server}"
        )
    );
    assert_eq!(
        about["write"],
        "run doctor with --env PAGE=VALUE --env SITE=VALUE, or with --env @FILE"
    );
    assert_eq!(
        write(&report, "options"),
        "set SITE and PAGE where HAProxy is started"
    );
}

/// If two options have no value, and no variable is the reason, doctor gives the advice only once.
#[test]
fn the_advice_for_two_options_without_a_value_is_given_once() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT TLS check";
    let config = in_chroot(&stage, &checked("/sni-check", "--sni --uri", server));
    let report = json(&["-f", &config]).0;
    let what = finding(&report, "options")["what"].to_string();
    assert_eq!(what.matches("write a value after").count(), 1, "{what}");
    assert!(!write(&report, "options").contains("then"), "{report}");
}

/// If a missing check is only a note, the exit code is 0, and the summary says that nothing is certain to go
/// wrong.
#[test]
fn the_summary_agrees_with_the_exit_code_about_servers_without_check() {
    let stage = Stage::new();
    let first = format!(" server s 127.0.0.1:PORT TLS check inter 500ms check-sni {NAME}\n");
    for (second, code, summary) in [
        ("", 2, "1 server is not checked"),
        (
            "no-check",
            0,
            "nothing is certain to go wrong, but 1 server is not checked; 1 note",
        ),
        (
            "backup",
            0,
            "nothing is certain to go wrong, but 1 server is not checked; 1 note",
        ),
        (
            "backup\n server u 127.0.0.1:PORT TLS backup",
            2,
            "2 servers are not checked",
        ),
    ] {
        let config = in_chroot(
            &stage,
            &format!("{first} server t 127.0.0.1:PORT TLS {second}"),
        );
        let (report, exit) = json(&["-f", &config]);
        assert_eq!(
            (exit, report["summary"].as_str()),
            (code, Some(summary)),
            "{report}"
        );
    }
}

/// HAProxy reports each faulty line. doctor merges equal messages into one line.
#[test]
fn many_errors_do_not_fill_the_screen() {
    let stage = Stage::new();
    let servers = (0..20)
        .map(|n| format!(" server s{n} 127.0.0.1:1 ssl verify required ca-file /none.pem check\n"));
    let config = in_chroot(&stage, &servers.collect::<String>());
    let text = stdout(&doctor(&["-f", &config]));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("and 18 other lines: "), "{text}");
    assert!(
        !text.contains("[ALERT]") && text.lines().count() < 40,
        "{text}"
    );
}

/// An HTTP check also needs the name that visitors' traffic sends.
#[test]
fn the_advice_to_check_with_http_names_the_other_changes() {
    let stage = Stage::new();
    let config = in_chroot(
        &stage,
        " option smtpchk\n server s 127.0.0.1:PORT TLS check inter 500ms",
    );
    let (report, _) = json(&["-f", &config]);
    let advice = write(&report, "other-protocol-check");
    assert!(advice.contains(&format!("check-sni {NAME}")), "{advice}");
    assert!(
        advice.contains("Then use option httpchk in place of option smtpchk"),
        "{advice}"
    );
}

/// Before HAProxy 3.2, a check offers the `alpn` of the server line. That matters only if the server
/// chooses HTTP/2.
#[test]
fn a_run_refutes_that_the_server_chooses_http2() {
    let stage = Stage::new();
    let words = format!("alpn h2,http/1.1 check-sni {NAME}");
    let config = in_chroot(&stage, &own("", &words));
    let (report, _) = json(&["-f", &config]);
    assert_eq!(
        found(&report),
        [("check-alpn".to_owned(), "note".to_owned())]
    );
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!((code, found(&report)), (0, Vec::new()), "{report}");
}

/// Before HAProxy 3.2, a check with TLS can't use `proto h2`. With `connect default`, this keyword is on the
/// server line or in the rule.
#[test]
fn the_fix_for_http2_names_the_line_with_the_keyword() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME], 30);
    let nginx = Nginx::serve(|folder, port| site((folder, port), "http2", NAME, (&leaf, &[]), ""));
    let default = " http-check connect default\n";
    let server = "on the server line";
    let rule = "in that connect line";
    for (lines, words, expected, fixed_lines, fixed) in [
        (
            default,
            "check-proto h2",
            format!("{server}, write check-alpn h2 in place of check-proto h2"),
            default,
            "check-alpn h2",
        ),
        (
            default,
            "check-proto h2 check-alpn h2",
            format!("{server}, remove check-proto h2, because check-alpn is enough"),
            default,
            "check-alpn h2",
        ),
        (
            default,
            "proto h2",
            format!("{server}, write alpn h2 check-alpn h2 in place of proto h2"),
            default,
            "alpn h2 check-alpn h2",
        ),
        (
            " http-check connect default alpn h2\n",
            "check-proto h2",
            format!("{server}, remove check-proto h2, because alpn is enough"),
            " http-check connect default alpn h2\n",
            "",
        ),
        (
            " http-check connect default proto h2\n",
            "",
            format!("{rule}, write alpn h2 in place of proto h2"),
            " http-check connect default alpn h2\n",
            "",
        ),
        (
            " http-check connect default proto h2\n",
            "check-alpn h2",
            format!("{rule}, remove proto h2, because check-alpn is enough"),
            default,
            "check-alpn h2",
        ),
    ] {
        let config = |lines: &str, words: &str| {
            let words = format!("check-sni {NAME} {words}");
            let backend = own(lines, &words).replace("PORT", &nginx.port.to_string());
            in_chroot(&stage, &backend)
        };
        let (report, _) = json(&["-f", &config(lines, words)]);
        assert_eq!(write(&report, "check-proto"), expected, "{lines}{words}");
        shows(&config(fixed_lines, fixed), "s", "L7OK", "200");
    }
}

/// HAProxy 2.6 crashes if two servers replace the check-alpn of default-server.
#[test]
fn the_fix_for_a_keyword_in_default_server_changes_default_server() {
    let stage = Stage::new();
    let backend = |alpn: &str| {
        let lines = format!(" default-server check-alpn {alpn}\n");
        let backend = own(&lines, &format!("check-sni {NAME}"));
        let second = backend.lines().last().expect("a line");
        let second = second.replace("server s", "server t");
        in_chroot(&stage, &format!("{backend}\n{second}"))
    };
    let (report, _) = json(&["-f", &backend("h2")]);
    let advice = write(&report, "check-other-http");
    assert!(
        advice.ends_with("otherwise: check-alpn http/1.1 in default-server"),
        "{advice}"
    );
    shows(&backend("http/1.1"), "t", "L7OK", "200");
}

/// A rule can set the status of a failed check. So even a check without TLS can show L6RSP, the status of a
/// failed handshake.
#[test]
fn a_run_describes_the_status_that_a_rule_sets() {
    let (stage, health) = (Stage::new(), Nginx::plain());
    let lines = " option tcp-check\n tcp-check connect\n tcp-check send \"GET / HTTP/1.0\\r\\n\\r\\n\"\n \
                 tcp-check expect string nothing error-status L6RSP\n";
    let server = format!("server s 127.0.0.1:{} check inter 500ms", health.port);
    let config = in_chroot(&stage, &format!("{lines} {server}"));
    let (report, _) = json(&["-f", &config, "--run"]);
    let run = &report["runs"]["checks"][0];
    assert_eq!(run["check_status"], "L6RSP");
    let meaning = "the answer does not meet an expectation of HAProxy's own check";
    assert_eq!(run["meaning"], meaning);
    shows(&config, "s", "L6RSP", "");
}

/// All servers of a backend share the `connect` line. The fix for one server keeps the others UP.
#[test]
fn the_fix_of_a_shared_connect_line_suits_every_server() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&[NAME, "b.test"], 30);
    let behind =
        Nginx::serve(|folder, port| site((folder, port), "proxy_protocol", NAME, (&leaf, &[]), ""));
    let direct = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&leaf, &[]), ""));
    let tls = direct.port;
    let verified = format!("ssl verify required ca-file {}/ca.pem", stage.chroot());
    let plain = Nginx::plain();
    for (connect, servers, server, id, expected) in [
        (
            "connect ssl sni NAME",
            [
                format!("a 127.0.0.1:{tls} {verified} sni str(NAME)"),
                format!(
                    "b 127.0.0.1:{} {verified} sni str(NAME) send-proxy",
                    behind.port
                ),
            ],
            "b",
            "traffic-other-proxy",
            "connect default ssl sni NAME",
        ),
        (
            "connect ssl sni NAME send-proxy",
            [
                format!("a 127.0.0.1:{tls} {verified} sni str(NAME)"),
                format!(
                    "b 127.0.0.1:{} {verified} sni str(NAME) send-proxy",
                    behind.port
                ),
            ],
            "a",
            "traffic-other-proxy",
            "connect default ssl sni NAME",
        ),
        (
            "connect ssl sni NAME",
            [
                format!("a 127.0.0.1:{tls} {verified} sni str(NAME)"),
                format!("b 127.0.0.1:{} verify none", plain.port),
            ],
            "b",
            "traffic-without-tls",
            "connect default sni NAME",
        ),
        (
            "connect ssl sni NAME",
            [
                format!("a 127.0.0.1:{tls} {verified} sni str(NAME)"),
                format!("b 127.0.0.1:{tls} {verified} sni str(b.test)"),
            ],
            "b",
            "traffic-other-sni",
            "connect default ssl; and check-sni b.test on the server line; and check-sni NAME on the server line of a",
        ),
    ] {
        let config = |connect: &str, words: [&str; 2]| {
            let servers = servers.iter().zip(words);
            let servers = servers
                .map(|(server, words)| format!(" server {server} check inter 500ms {words}\n"));
            let backend = format!(
                " mode http\n option httpchk GET /\n http-check {connect}\n \
                 http-check send meth GET uri / ver HTTP/1.1 hdr Host NAME\n{}",
                servers.collect::<String>()
            );
            in_chroot(&stage, &backend.replace("NAME", NAME))
        };
        let (report, _) = json(&["-f", &config(connect, ["", ""])]);
        let findings = report["findings"].as_array().expect("findings").iter();
        let name = format!("b/{server}");
        let mut found =
            findings.filter(|found| found["id"] == id && found["about"][0] == name.as_str());
        let found = found
            .next()
            .unwrap_or_else(|| panic!("no {id}: {report:#}"));
        let written = found["write"].as_str().expect("text");
        let expected = format!("in place of that connect line, write http-check {expected}");
        let expected = expected.replace("NAME", NAME);
        assert!(written.ends_with(&expected), "{written}");
        let mut steps = expected.split("; and ");
        let line = steps.next().and_then(|line| line.split_once("http-check "));
        let name = |step: &str| step.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let [own, other] =
            [steps.next().map(name), steps.next().map(name)].map(Option::unwrap_or_default);
        let words = if server == "a" {
            [&own, &other]
        } else {
            [&other, &own]
        };
        let fixed = config(line.expect("a line").1, words.map(String::as_str));
        for server in ["a", "b"] {
            shows(&fixed, server, "L7OK", "200");
        }
    }
}
