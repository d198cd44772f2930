//! Mistakes in real configurations: what doctor finds, and what HAProxy shows.

use std::fs;

use crate::configuration::{
    PLAIN, checked, configure, doctor, finding, foretells, found, in_chroot, jail, json, refuses,
    shows,
};
use crate::support::check::{BINARY, stdout};
use crate::support::haproxy::{Haproxy, Mode, with_every_haproxy};
use crate::support::stage::Stage;
use crate::support::{NAME, free_port, program, wait_for};

const NOTE: &str = "note";
const SERVER: &str = "127.0.0.1:PORT TLS check inter 500ms";

/// Options with which the check is healthy.
fn options() -> String {
    format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms")
}

/// Returns the sections that come before the backends in a configuration.
fn defaults() -> String {
    let times = " timeout connect 5s\n timeout client 5s\n timeout server 5s\n";
    let port = free_port();
    format!("defaults\n mode http\n{times}frontend f\n bind 127.0.0.1:{port}\n")
}

/// A backend with HAProxy's own check: its rules, the end of the server line, doctor's findings, and the
/// status that HAProxy shows.
type Row = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static str,
);

const OWN_CHECKS: [Row; 12] = [
    ("", "check", &["check-without-sni"], "L6RSP"),
    ("", "check check-sni NAME", &[], "L6OK"),
    (
        "option httpchk GET /",
        "check",
        &["check-without-sni", "check-without-host"],
        "L6RSP",
    ),
    (
        "option httpchk GET /",
        "check check-sni NAME",
        &["check-without-host"],
        "L7OK",
    ),
    (
        "option httpchk GET /\n http-check send hdr Host NAME",
        "check",
        &["check-without-sni"],
        "L6RSP",
    ),
    (
        "option httpchk GET /\n http-check connect default",
        "check",
        &["check-without-sni", "check-without-host"],
        "L6RSP",
    ),
    (
        "option httpchk GET /\n http-check connect ssl",
        "check",
        &["check-without-sni", "check-without-host"],
        "L6RSP",
    ),
    (
        "option httpchk GET /\n http-check connect ssl sni NAME",
        "check",
        &["check-without-host"],
        "L7OK",
    ),
    ("", "check port PORT", &["check-without-tls"], "L4OK"),
    (
        "",
        "check port PORT check-ssl",
        &["check-without-sni"],
        "L6RSP",
    ),
    ("", "check port PORT check-ssl check-sni NAME", &[], "L6OK"),
    (
        "option httpchk GET /\n http-check send hdr Host NAME",
        "check check-sni NAME",
        &[],
        "L7OK",
    ),
];

#[test]
fn doctor_finds_haproxys_own_checks_that_send_no_sni_or_no_host_or_use_no_tls() {
    let stage = Stage::new();
    let port = stage.nginx().port.to_string();
    let backends = OWN_CHECKS.iter().enumerate().map(|(index, (rules, end, _, _))| {
        let text = format!(
            "backend b{index}\n {rules}\n server s 127.0.0.1:PORT ssl verify required ca-file {} \
             sni str(NAME) {end} inter 500ms\n",
            stage.ca_file
        );
        text.replace("PORT", &port).replace("NAME", NAME)
    });
    let text = format!("{}{}", defaults(), backends.collect::<String>());
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, code) = json(&["-f", &config]);
    assert_eq!(code, 0, "{report}");
    for (index, (rules, end, expected, _)) in OWN_CHECKS.iter().enumerate() {
        let about = format!("b{index}/s");
        let findings = report["findings"].as_array().expect("findings").iter();
        let ids = findings.filter(|finding| {
            let mut names = finding["about"].as_array().expect("names").iter();
            names.any(|name| *name == about.as_str())
        });
        let ids: Vec<&str> = ids
            .map(|finding| finding["id"].as_str().expect("a name"))
            .collect();
        assert_eq!(ids, *expected, "{rules} {end}");
    }
    with_every_haproxy(|version| {
        let haproxy = version.start(Mode::Single, &config, &[]);
        for (index, (rules, end, _, status)) in OWN_CHECKS.iter().enumerate() {
            let seen = haproxy.wait_for_check(&format!("b{index}"), "s");
            assert_eq!(seen.check_status, *status, "{version:?}: {rules} {end}");
        }
    });
}

/// HAProxy refuses a namespace that doesn't exist, so only doctor is tested here.
#[test]
fn doctor_finds_a_network_namespace_that_only_traffic_uses() {
    let stage = Stage::new();
    let server = format!("{SERVER} namespace blue");
    let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
    let (report, _) = json(&["-f", &config]);
    let detour = finding(&report, "traffic-detour");
    let what = detour["what"].as_str().expect("text");
    assert!(
        what.contains("`namespace blue`") && what.contains("limit of sni-check"),
        "{what}"
    );
}

/// Since version 3.3, HAProxy's own check sends its Host header as SNI.
#[test]
fn a_check_with_a_host_needs_no_check_sni_since_haproxy_3_3() {
    let stage = Stage::new();
    let backend = |rules: &str| {
        let server = format!("127.0.0.1:1 ssl verify none sni str({NAME}) check");
        let text = format!("backend b\n option httpchk\n {rules}\n server s {server}\n");
        stage.folder.file("haproxy.cfg", &text)
    };
    let has_finding = |version: &str, rules: &str| {
        let script = format!("#!/bin/sh\necho 'HAProxy version {version} 2026/01/01'\n");
        let haproxy = stage.folder.script("haproxy", &script);
        !found(&json(&["-f", &backend(rules), "--haproxy", &haproxy]).0).is_empty()
    };
    let with_host = format!("http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}");
    assert!(has_finding("3.2.26", &with_host));
    assert!(!has_finding("3.3.0", &with_host));
    assert!(has_finding("3.3.0", "http-check send meth GET uri /"));
}

/// Each row has keywords of the server line, the finding about these keywords, and a part of the fix.
#[test]
fn doctor_finds_traffic_that_differs_from_a_healthy_check() {
    let stage = Stage::new();
    let client = stage.ca.leaf(&["client.example.test"], 30);
    stage.folder.file("root/client.pem", &client.both_pem());
    stage.folder.file("root/crl.pem", &stage.ca.crl(&[], 30));
    for (words, id, write) in [
        (
            "verifyhost other.example.test",
            "verifyhost-ignored",
            "remove verifyhost",
        ),
        (
            "sni str(other.example.test)",
            "traffic-other-sni",
            "--sni other.example.test",
        ),
        (
            "crt ROOT/client.pem",
            "traffic-other-certificate",
            "--crt FILE",
        ),
        (
            "crl-file ROOT/crl.pem",
            "traffic-other-revocation",
            "--crl-file FILE",
        ),
        ("send-proxy", "traffic-other-proxy", "--send-proxy "),
        ("send-proxy-v2", "traffic-other-proxy", "--send-proxy-v2 "),
        ("alpn h2", "traffic-http2", "check-alpn h2"),
        (
            "source 127.0.0.5",
            "traffic-other-source",
            "--source 127.0.0.5",
        ),
        ("socks4 127.0.0.1:1", "traffic-detour", "check-via-socks4"),
    ] {
        let server = format!("{SERVER} {words}");
        let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
        // A server either waits for a PROXY header or doesn't understand one.
        let mark = match id {
            "traffic-other-proxy" => "problem",
            _ => NOTE,
        };
        let report = foretells(&config, &[(id, mark)], "PROCOK", "0");
        let advice = finding(&report, id)["write"].as_str().expect("text");
        assert!(advice.contains(write), "{words}: {advice}");
    }
    // doctor finds nothing if check and traffic connect in the same way.
    for (words, more) in [
        (format!("verifyhost {NAME}"), ""),
        ("crt ROOT/client.pem".to_owned(), "--crt /client.pem"),
        ("source 127.0.0.5".to_owned(), "--source 127.0.0.5"),
        ("source 0.0.0.0 alpn h2,http/1.1".to_owned(), ""),
    ] {
        let options = format!("{} {more}", options());
        let server = format!("{SERVER} {words}");
        let config = in_chroot(&stage, &checked("/sni-check", &options, &server));
        foretells(&config, &[], "PROCOK", "0");
    }
}

#[test]
fn doctor_notes_a_client_certificate_that_only_traffic_sends() {
    let stage = Stage::new();
    let client = stage.ca.leaf(&["client.example.test"], 30);
    stage.folder.file("root/client.pem", &client.both_pem());
    let port = stage.openssl(
        "leaf",
        &[
            "-Verify",
            "1",
            "-verify_return_error",
            "-CAfile",
            &stage.ca_file,
        ],
    );
    let server = SERVER.replace("PORT", &port.to_string()) + " crt ROOT/client.pem";
    let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
    let expected = [("traffic-other-certificate", NOTE)];
    foretells(&config, &expected, "PROCERR", "58");
    let with = format!("{} --crt /client.pem", options());
    let config = in_chroot(&stage, &checked("/sni-check", &with, &server));
    foretells(&config, &[], "PROCOK", "0");
}

#[test]
fn doctor_finds_an_option_that_replaces_option_external_check() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER) + "\n option httpchk";
    let config = in_chroot(&stage, &backend);
    let (report, code) = json(&["-f", &config]);
    let what = finding(&report, "no-option")["what"]
        .as_str()
        .expect("text");
    assert!(
        what.contains("`option httpchk` replaces `option external-check` of "),
        "{what}"
    );
    assert_eq!(code, 2);
    crate::configuration::shows(&config, "s", "L6RSP", "");
    // If `option external-check` is in `defaults`, the author may have replaced it in the backend
    // intentionally.
    let text = fs::read_to_string(config).expect("text");
    let text = text.replace(
        " option external-check\n external-check command /sni-check\n",
        "",
    );
    let text = text.replace(
        "defaults\n",
        "defaults\n option external-check\n external-check command /sni-check\n",
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, _) = json(&["-f", &config]);
    assert_eq!(finding(&report, "replaced")["mark"], NOTE);
}

#[test]
fn http_check_rules_have_no_effect_on_an_external_check() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER) + "\n http-check expect ! status 200";
    let config = in_chroot(&stage, &backend);
    let report = foretells(&config, &[("unused-rule", NOTE)], "PROCOK", "0");
    let write = finding(&report, "unused-rule")["write"]
        .as_str()
        .expect("text");
    let (_, write) = write.split_once("write ").expect("an option");
    let write = write.split(" in external-check").next().expect("an option");
    // The option in doctor's fix works.
    let options = format!("{} {write}", options());
    let config = in_chroot(&stage, &checked("/sni-check", &options, SERVER));
    foretells(&config, &[("expects-refusal", NOTE)], "PROCERR", "71");
}

#[test]
fn an_agent_alone_never_takes_a_server_down() {
    let stage = Stage::new();
    let dead = crate::support::dead_port();
    let text = format!(
        "{}backend b\n server s 127.0.0.1:{dead} agent-check agent-port {dead} agent-inter 100ms\n \
         server t 127.0.0.1:{dead} check inter 100ms\n",
        defaults()
    );
    let config = stage.folder.file("haproxy.cfg", &text);
    let (report, _) = json(&["-f", &config]);
    assert_eq!(finding(&report, "agent-alone")["about"][0], "b/s");
    assert_eq!(found(&report).len(), 1, "{report}");
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    haproxy.wait_for_status("b", "t", "DOWN");
    assert_eq!(haproxy.server("b", "s").expect("a row").status, "no check");
}

#[test]
fn a_server_added_at_run_time_cannot_have_an_external_check() {
    let stage = Stage::new();
    let socket = stage.folder.join("admin");
    let global = format!(
        "{}\n stats socket {socket} mode 600 level admin",
        jail(&stage)
    );
    let config = configure(&stage, &global, &checked("/sni-check", &options(), SERVER));
    foretells(&config, &[("runtime-servers", NOTE)], "PROCOK", "0");
    let add = "experimental-mode on; add server b/new 127.0.0.1:1 check inter 100ms; \
               enable health b/new; enable server b/new";
    with_every_haproxy(|version| {
        let haproxy = version.start(Mode::Single, &config, &[]);
        haproxy.wait_for_check("b", "s");
        _ = haproxy.ask(add);
        wait_for("HAProxy to end, or the server to be DOWN forever", || {
            let ended = haproxy.ask("show stat").is_none();
            let seen = haproxy.server("b", "new");
            let down = seen.is_some_and(|seen| seen.check_code == "4294967295");
            (ended || down).then_some(())
        });
    });
    // If no external check has run before, HAProxy always crashes.
    let text = fs::read_to_string(config).expect("text");
    let config = stage
        .folder
        .file("haproxy.cfg", &text.replace(" check inter 500ms", ""));
    with_every_haproxy(|version| {
        let haproxy = version.start(Mode::Single, &config, &[]);
        _ = haproxy.ask(add);
        wait_for("HAProxy to end", || {
            haproxy.ask("show stat").is_none().then_some(())
        });
    });
}

#[test]
fn doctor_finds_a_limit_on_open_files_that_haproxy_cannot_set() {
    let stage = Stage::new();
    let global = format!("{}\n ulimit-n 100000000", jail(&stage));
    let config = configure(&stage, &global, &checked("/sni-check", &options(), SERVER));
    let (report, code) = json(&["-f", &config]);
    assert_eq!(code, 2);
    // `haproxy -c` doesn't report this limit.
    assert_eq!(report["haproxy"]["accepts"], true, "{report}");
    finding(&report, "ulimit-n");
    assert!(refuses(&config).contains("Cannot raise FD limit to 100000000"));
}

/// Runs a program that starts with a soft limit of 1024 open files.
fn limited(words: &[&str]) -> std::process::Output {
    let mut command = program("sh");
    command.args(["-c", "ulimit -Sn 1024; exec timeout 10 \"$@\"", "sh"]);
    command.env("PATH", "/usr/sbin:/usr/bin:/bin");
    command.args(words).output().expect("sh runs")
}

/// HAProxy needs two descriptors for each connection, and a few more.
#[test]
fn doctor_finds_a_maxconn_that_needs_more_descriptors_than_the_limits_allow() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER);
    for (lines, said, fixed) in [
        (
            "maxconn 800\n ulimit-n 1100",
            "FD limit (1100) too low for maxconn=800",
            "remove ulimit-n, because HAProxy computes it from maxconn",
        ),
        (
            "maxconn 800\n fd-hard-limit 1000",
            "Cannot raise FD limit",
            "maxconn 450 in global; or write a higher fd-hard-limit",
        ),
        (
            "ulimit-n 1500",
            "FD limit (1500) too low for maxconn=",
            "remove ulimit-n, because HAProxy computes it from maxconn; or write maxconn 675 in global",
        ),
        ("maxconn 800\n ulimit-n 1700", "", ""),
        ("maxconn 450\n fd-hard-limit 1000", "", ""),
        ("maxconn 800", "", ""),
        ("maxconn 400\n ulimit-n 100", "", ""),
    ] {
        let global = format!("{}\n {lines}", jail(&stage));
        let config = configure(&stage, &global, &backend);
        let report = limited(&[BINARY, "doctor", "--json", "-f", &config]).stdout;
        let report: serde_json::Value = serde_json::from_slice(&report).expect("an object");
        if said.is_empty() {
            assert!(found(&report).is_empty(), "{lines}: {report}");
            shows(&config, "s", "PROCOK", "0");
            continue;
        }
        assert_eq!(finding(&report, "ulimit-n")["write"], fixed);
        let output = limited(&["haproxy", "-db", "-f", &config]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(said), "{lines}: {text}");
    }
}

#[test]
fn doctor_knows_keywords_of_newer_versions() {
    let stage = Stage::new();
    let script = "#!/bin/sh\necho 'HAProxy version 3.5-dev5 2026/01/01'\n";
    let haproxy = stage.folder.script("haproxy", script);
    let global = format!("chroot auto\n {PLAIN}");
    let config = configure(&stage, &global, &checked("/sni-check", &options(), SERVER));
    let (report, code) = json(&["-f", &config, "--haproxy", &haproxy, "--run"]);
    assert_eq!((code, found(&report).len()), (2, 1), "{report}");
    finding(&report, "chroot-auto");
    assert_eq!(report["runs"]["checks"][0]["check_code"], 255);
    // A `healthcheck` section replaces the external check of a server.
    let server = format!("{SERVER} healthcheck own");
    let config = in_chroot(&stage, &checked("/none", &options(), &server));
    let (report, code) = json(&["-f", &config, "--haproxy", &haproxy]);
    assert_eq!((code, &report["checks"]), (0, &0.into()), "{report}");
    assert_eq!(finding(&report, "healthcheck")["mark"], NOTE);
}

#[test]
fn with_the_option_env_a_missing_variable_counts_as_unset() {
    let stage = Stage::new();
    let backend = checked("/sni-check", "--sni ${SNI_HOST}", SERVER);
    let config = in_chroot(&stage, &backend);
    let text = stdout(&doctor(&["-f", &config]));
    assert!(text.contains("HAProxy may have them"), "{text}");
    let text = stdout(&doctor(&["-f", &config, "--env", "OTHER=1"]));
    assert!(!text.contains("may have them") && text.contains("neither here nor by --env"));
}

/// Visitors get 503 if traffic sends a name with a dot or a space at its end. The check sends the right name.
#[test]
fn doctor_finds_a_dot_or_a_space_at_the_end_of_traffics_name() {
    let stage = Stage::new();
    for (end, env) in [(".", "A=1"), ("", "SNI_HOST=NAME "), ("", "SNI_HOST=NAME.")] {
        let env = env.replace("NAME", NAME);
        let name = match end {
            "" => "${SNI_HOST}".to_owned(),
            end => format!("{NAME}{end}"),
        };
        let server = SERVER.replace("TLS", "ssl verify required ca-file ROOT/ca.pem")
            + &format!(" sni \"str({name})\"");
        let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
        let (report, code) = json(&["-f", &config, "--env", &env]);
        assert_eq!(code, 2, "{report}");
        assert_eq!(
            found(&report),
            [("sni-name".to_owned(), "problem".to_owned())]
        );
        let sent = env.strip_prefix("SNI_HOST=").unwrap_or(&name);
        let sni_name = finding(&report, "sni-name");
        let what = sni_name["what"].as_str().expect("text");
        assert!(
            what.contains(&format!("`{sent}`")) && what.contains(&format!("`{NAME}`")),
            "{what}"
        );
        let write = sni_name["write"].as_str().expect("text");
        assert!(
            write.starts_with(&format!("sni str({NAME}) on the server line")),
            "{write}"
        );
        let (variable, value) = env.split_once('=').expect("a pair");
        let haproxy = Haproxy::start(Mode::Daemon, &config, &[(variable, value)]);
        haproxy.wait_for_code("b", "s", "0");
        assert_eq!(haproxy.get("/"), Some(503));
        let (report, code) = json(&["-f", &config, "--env", &format!("SNI_HOST={NAME}")]);
        assert_eq!(code, if end.is_empty() { 0 } else { 2 }, "{report}");
    }
    let server = format!("127.0.0.1:PORT ssl verify none sni str({NAME}.) check inter 500ms");
    let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
    assert_eq!(finding(&json(&["-f", &config]).0, "sni-name")["mark"], NOTE);
}

#[test]
fn a_fault_of_the_command_is_about_the_servers_that_it_checks() {
    let stage = Stage::new();
    let mut backend = checked("/none", &options(), SERVER);
    backend += "\n server other 127.0.0.1:PORT TLS no-check";
    let (report, _) = json(&["-f", &in_chroot(&stage, &backend)]);
    let about = &finding(&report, "command")["about"];
    assert_eq!(*about, serde_json::json!(["b/s"]), "{report}");
    let write = finding(&report, "not-checked")["write"].as_str();
    let first = "first: external-check command /none is not in the chroot";
    assert!(
        write.is_some_and(|write| write.starts_with(first)),
        "{report}"
    );
}

#[test]
fn the_fix_adds_option_httpchk_to_the_section_that_has_the_rules() {
    let stage = Stage::new();
    let rule = format!(" http-check send hdr Host {NAME}\n");
    let server = format!(" server s 127.0.0.1:PORT TLS check check-sni {NAME}");
    let config = in_chroot(&stage, &format!("{rule}{server}"));
    let write = |config: &str| {
        let (report, _) = json(&["-f", config]);
        let write = finding(&report, "no-option")["write"].as_str();
        write.expect("text").to_owned()
    };
    assert!(write(&config).starts_with("add option httpchk"));
    let text = fs::read_to_string(&config).expect("text");
    let text = text
        .replace(&rule, "")
        .replace("defaults\n", &format!("defaults\n{rule}"));
    let config = stage.folder.file("haproxy.cfg", &text);
    assert!(write(&config).starts_with("in the same defaults, add option httpchk"));
}

#[test]
fn in_mode_tcp_the_port_or_the_service_shows_that_visitors_speak_http() {
    let stage = Stage::new();
    for (address, expected) in [
        ("127.0.0.1:443", true),
        ("_https._tcp.example.test resolvers r init-addr none", true),
        ("127.0.0.1:25", false),
    ] {
        let backend = format!(
            " mode tcp\n option smtpchk\n server-template s 1 {address} check\n\
             resolvers r\n nameserver n 127.0.0.1:53"
        );
        let config = in_chroot(&stage, &backend);
        let (report, _) = json(&["-f", &config]);
        let ids = found(&report);
        let is_found = ids.iter().any(|(id, _)| id == "other-protocol-check");
        assert_eq!(is_found, expected, "{address}: {report}");
    }
}

#[test]
fn traffic_that_speaks_only_http2_may_fail_while_the_check_is_up() {
    let stage = Stage::new();
    let server = format!("{SERVER} alpn h2");
    let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
    let (report, _) = json(&["-f", &config]);
    assert_eq!(finding(&report, "traffic-http2")["effect"], "down-or-up");
}

#[test]
fn doctor_finds_a_second_request_on_the_same_connection() {
    let stage = Stage::new();
    let own = |lines: &str| {
        let server = format!("127.0.0.1:PORT TLS check check-sni {NAME} inter 500ms");
        in_chroot(
            &stage,
            &format!("{lines} option httpchk\n server s {server}"),
        )
    };
    let two = format!(
        " http-check send hdr Host {NAME}\n http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n"
    );
    let expected = [("http-check-second-request", "problem")];
    foretells(&own(&two), &expected, "SOCKERR", "");
    let expect = format!(" http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}\n");
    let expected = format!("{expect} http-check expect status 200\n http-check expect rstring .\n");
    foretells(&own(&expected), &[], "L7OK", "200");
}

#[test]
fn an_ssl_hello_check_accepts_every_certificate() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT check inter 500ms";
    let backend = format!(" mode tcp\n option ssl-hello-chk\n server s {server}");
    let text = fs::read_to_string(in_chroot(&stage, &backend)).expect("text");
    let config = stage
        .folder
        .file("tcp.cfg", &text.replace("mode http", "mode tcp"));
    let expected = [("other-protocol-check", NOTE)];
    let report = foretells(&config, &expected, "L6OK", "");
    assert_eq!(
        finding(&report, "other-protocol-check")["effect"],
        "down-or-up"
    );
}

#[test]
fn an_ssl_hello_check_inside_of_tls_is_down() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT TLS check inter 500ms";
    let backend = format!(" option ssl-hello-chk\n server s {server} check-sni {NAME}");
    let expected = [("other-protocol-check", "problem")];
    let report = foretells(&in_chroot(&stage, &backend), &expected, "L6RSP", "");
    assert_eq!(finding(&report, "other-protocol-check")["effect"], "down");
    // The check also sends no SNI, but this is not why it fails.
    let backend = format!(" option ssl-hello-chk\n server s {server}");
    let (report, _) = json(&["-f", &in_chroot(&stage, &backend), "--run"]);
    assert_eq!(finding(&report, "check-without-sni")["mark"], NOTE);
}

#[test]
fn the_fix_names_every_keyword_that_turns_off_tls() {
    let stage = Stage::new();
    let own = |words: &str| {
        let server = format!("127.0.0.1:PORT TLS check inter 500ms {words}");
        in_chroot(&stage, &format!(" server s {server}"))
    };
    let expected = [("check-without-tls", NOTE)];
    let report = foretells(&own("port PORT no-check-ssl"), &expected, "L4OK", "");
    let write = finding(&report, "check-without-tls")["write"].to_string();
    assert!(write.contains("remove `no-check-ssl` from"), "{write}");
    assert!(write.contains("and remove `port` from"), "{write}");
    foretells(&own(&format!("check-sni {NAME}")), &[], "L6OK", "");
}

#[test]
fn the_fix_replaces_no_sni_with_sni() {
    let stage = Stage::new();
    let options = format!("--no-sni --ca-file /ca.pem --verify-host {NAME} --timeout 400ms");
    let config = in_chroot(&stage, &checked("/sni-check", &options, SERVER));
    let (report, _) = json(&["-f", &config]);
    let write = finding(&report, "traffic-other-sni")["write"].to_string();
    let expected = format!("--sni {NAME} in external-check path, in place of --no-sni");
    assert!(write.contains(&expected), "{write}");
}
