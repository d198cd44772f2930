//! Predictions that earlier versions of doctor got wrong. In most of the tests, HAProxy shows what really
//! happens.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::configuration::{
    checked, configure, doctor, finding, foretells, found, in_chroot, jail, json, refuses, shows,
};
use crate::served::serve;
use crate::support::check::stdout;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::nginx::{Nginx, site};
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port, free_port, wait_for};

const NOTE: &str = "note";
const PROBLEM: &str = "problem";

/// Options with which the check is healthy.
fn options() -> String {
    format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms")
}

fn text<'a>(report: &'a Value, id: &str, field: &str) -> &'a str {
    finding(report, id)[field].as_str().expect("text")
}

/// Returns a backend with HAProxy's own check. The backend has these rules, and its server line ends with
/// `end`.
fn own(rules: &str, end: &str) -> String {
    format!(" {rules}\n server s 127.0.0.1:PORT TLS check inter 500ms {end}")
}

/// Asserts that doctor reports a finding with this mark and effect, that HAProxy shows this check status, and
/// that visitors get this HTTP status.
#[track_caller]
fn comes_true(config: &str, (id, mark, effect): (&str, &str, &str), status: &str, visitors: u16) {
    let (report, code) = json(&["-f", config]);
    let found = finding(&report, id);
    assert_eq!(
        (&found["mark"], &found["effect"]),
        (&mark.into(), &effect.into()),
        "{report}"
    );
    assert_eq!(code, if mark == PROBLEM { 2 } else { 0 }, "{report}");
    let haproxy = Haproxy::start(Mode::Single, config, &[]);
    let seen = haproxy.wait_for_check("b", "s");
    assert_eq!(seen.check_status, status, "{report}");
    // HAProxy sends no visitor to a server that is DOWN, so the visitor uses a copy without the check.
    let config = fs::read_to_string(config)
        .expect("text")
        .replace(" check inter 500ms", "");
    let stage = crate::support::folder::Folder::new();
    let unchecked = stage.file("unchecked.cfg", &config.replace(" track", ""));
    let haproxy = Haproxy::start(Mode::Single, &unchecked, &[]);
    assert_eq!(haproxy.get("/"), Some(visitors), "{report}");
}

/// With `sni`, HAProxy verifies the SNI name and ignores `verifyhost`.
#[test]
fn traffic_verifies_its_sni_name_and_not_verifyhost() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT TLS check inter 500ms verifyhost other.example.test";
    let config = in_chroot(&stage, &checked("/sni-check", &options(), server));
    let report = foretells(&config, &[("verifyhost-ignored", NOTE)], "PROCOK", "0");
    assert!(!text(&report, "verifyhost-ignored", "write").contains("--verify-host"));
    let options = format!("{} --verify-host other.example.test", options());
    let server = "127.0.0.1:PORT TLS check inter 500ms";
    let config = in_chroot(&stage, &checked("/sni-check", &options, server));
    let report = foretells(&config, &[("traffic-other-name", NOTE)], "PROCERR", "54");
    let write = text(&report, "traffic-other-name", "write");
    assert_eq!(
        write,
        format!("--verify-host {NAME} in external-check path")
    );
}

/// HAProxy checks another port without TLS, even if the server line has `ssl`.
#[test]
fn a_check_of_another_port_is_without_tls() {
    let stage = Stage::new();
    let health = Nginx::plain();
    let rules =
        format!("option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}");
    let backend = own(&rules, &format!("port {}", health.port));
    let config = in_chroot(&stage, &backend);
    comes_true(
        &config,
        ("check-other-port", NOTE, "down-or-up"),
        "L7OK",
        200,
    );
    let (report, _) = json(&["-f", &config]);
    assert!(!report.to_string().contains("check-ssl"), "{report}");
    // `port` with the server's own port makes the check speak plain HTTP to the TLS port.
    let config = in_chroot(
        &stage,
        &own(&rules, "port PORT check-sni NAME").replace("NAME", NAME),
    );
    comes_true(
        &config,
        ("check-without-tls", PROBLEM, "down-or-up"),
        "L7STS",
        200,
    );
}

/// sni-check can check only servers with TLS.
#[test]
fn an_external_check_of_a_plain_server_is_down() {
    let stage = Stage::new();
    let plain = Nginx::plain();
    let server = format!("127.0.0.1:{} check inter 500ms", plain.port);
    let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
    comes_true(
        &config,
        ("traffic-without-tls", PROBLEM, "down-or-up"),
        "PROCERR",
        200,
    );
    let (report, _) = json(&["-f", &config]);
    let shows = text(&report, "traffic-without-tls", "shows");
    assert!(
        shows.contains("DOWN with code 63") && shows.contains("400 or 502"),
        "{shows}"
    );
}

/// doctor compares a check by `sni-check serve` with traffic, as it does for an external check.
#[test]
fn a_check_by_serve_is_compared_with_traffic_too() {
    let stage = Stage::new();
    let client = stage.ca.leaf(&["client.example.test"], 30);
    stage.folder.file("root/client.pem", &client.both_pem());
    stage.trusting(&crate::support::pki::Ca::new(), "root/other.pem");
    for (given, server, id) in [
        (
            "",
            "ssl verify required ca-file ROOT/other.pem sni str(NAME)",
            "traffic-other-roots",
        ),
        ("", "TLS sni str(other.example.test)", "traffic-other-sni"),
        ("", "TLS send-proxy", "traffic-other-proxy"),
        ("", "TLS crt ROOT/client.pem", "traffic-other-certificate"),
        ("", "", "traffic-without-tls"),
        ("--port 1", "TLS", "check-other-port"),
    ] {
        let options = format!("--sni {NAME} --ca-file ROOT/ca.pem --timeout 400ms {given}");
        let backend = format!(
            " option httpchk\n http-check connect addr unix@/socket\n http-check send-state\n \
             http-check send meth GET uri / hdr X-Check-Options \"{options}\"\n \
             http-check expect status 200 status-code \"res.hdr(x-check-code)\"\n \
             server s 127.0.0.1:PORT {server} check inter 500ms"
        );
        let config = in_chroot(&stage, &backend.replace("NAME", NAME));
        let (report, _) = json(&["-f", &config]);
        let write = text(&report, id, "write");
        assert!(!write.contains("external-check path"), "{write}");
    }
}

/// HAProxy's own check may send a different name from traffic, or connect without TLS.
#[test]
fn doctor_finds_that_haproxys_own_check_sends_a_wrong_name_or_uses_no_tls() {
    let stage = Stage::new();
    let host =
        format!("option httpchk\n http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME}");
    let connect = |rule: &str| {
        host.replace(
            "option httpchk\n",
            &format!("option httpchk\n http-check connect {rule}\n"),
        )
    };
    for (rules, end, (id, mark, effect), status) in [
        (
            "",
            "check-sni ${SNI_HOST}",
            ("check-sni-literal", PROBLEM, "down"),
            "L6RSP",
        ),
        (
            "",
            "check-sni NAME.",
            ("check-sni-literal", PROBLEM, "down"),
            "L6RSP",
        ),
        (
            "",
            "check-sni str(NAME)",
            ("check-sni-literal", PROBLEM, "down"),
            "L6RSP",
        ),
        (
            "",
            "check-sni other.example.test",
            ("traffic-other-sni", NOTE, "down-or-up"),
            "L6RSP",
        ),
        (
            "",
            "check-sni NAME no-check-ssl",
            ("check-without-tls", NOTE, "up"),
            "L4OK",
        ),
        (
            &connect("")[..],
            "check-sni NAME",
            ("check-without-tls", PROBLEM, "down-or-up"),
            "L7STS",
        ),
        (
            "option tcp-check\n tcp-check connect",
            "check-sni NAME",
            ("check-without-tls", NOTE, "up"),
            "L4OK",
        ),
    ] {
        let backend = own(rules, end).replace("NAME", NAME);
        comes_true(
            &in_chroot(&stage, &backend),
            (id, mark, effect),
            status,
            200,
        );
    }
}

/// Only the operator knows which name is the site's: the variable's value, or the name that traffic sends.
#[test]
fn the_fix_for_a_variable_without_quotes_is_conditional_if_traffic_sends_another_name() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT ssl verify none sni str(other.test) check check-sni ${SNI_HOST}";
    let config = in_chroot(&stage, &format!(" server s {server}"));
    for (value, doubt) in [
        (
            "www.test",
            ", if that is the site's name (traffic sends other.test)",
        ),
        ("other.test", ""),
    ] {
        let (report, _) = json(&["-f", &config, "--env", &format!("SNI_HOST={value}")]);
        let write = format!("check-sni \"${{SNI_HOST}}\" on the server line{doubt}");
        assert_eq!(finding(&report, "check-sni-literal")["write"], write);
    }
}

/// A check with a connect rule or with `port` doesn't send traffic's PROXY header.
#[test]
fn doctor_finds_that_haproxys_own_check_does_not_send_the_proxy_header_of_traffic() {
    let stage = Stage::new();
    let leaf = &stage.leaf;
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "proxy_protocol", NAME, (leaf, &[]), ""));
    let server = |end: &str| {
        format!(
            "127.0.0.1:{} TLS send-proxy check inter 500ms {end}",
            nginx.port
        )
        .replace("NAME", NAME)
    };
    for (rules, end, id) in [
        (
            "",
            "check-sni NAME port PORT check-ssl",
            "traffic-other-proxy",
        ),
        (
            "option httpchk\n http-check connect ssl sni NAME",
            "",
            "traffic-other-proxy",
        ),
    ] {
        let end = end.replace("PORT", &nginx.port.to_string());
        let backend = format!(" {rules}\n server s {}", server(&end)).replace("NAME", NAME);
        let config = in_chroot(&stage, &backend);
        let (report, code) = json(&["-f", &config]);
        assert_eq!(
            (code, &finding(&report, id)["mark"]),
            (2, &PROBLEM.into()),
            "{report}"
        );
        let haproxy = Haproxy::start(Mode::Single, &config, &[]);
        assert_ne!(haproxy.wait_for_check("b", "s").check_status, "L6OK");
    }
    let config = in_chroot(&stage, &format!(" server s {}", server("check-sni NAME")));
    assert!(found(&json(&["-f", &config]).0).is_empty());
    shows(&config, "s", "L6OK", "");
}

/// Traffic sends a variable's name or a URL as SNI. Or it sends no SNI, because nothing sets the value.
#[test]
fn doctor_finds_an_sni_that_is_no_name_or_that_nothing_sets() {
    let stage = Stage::new();
    let server = |sni: &str| {
        format!("127.0.0.1:PORT ssl verify required ca-file ROOT/ca.pem {sni} check inter 500ms")
    };
    for (sni, found) in [
        ("sni str(${SNI_HOST})", ("sni-name", PROBLEM, "up")),
        ("sni str(https://NAME:443/)", ("sni-name", PROBLEM, "up")),
        (
            "sni var(txn.nobody)",
            ("traffic-without-sni", NOTE, "down-or-up"),
        ),
        (
            "sni ssl_fc_sni",
            ("traffic-without-sni", NOTE, "down-or-up"),
        ),
    ] {
        let server = server(&sni.replace("NAME", NAME));
        let config = in_chroot(&stage, &checked("/sni-check", &options(), &server));
        comes_true(&config, found, "PROCOK", 503);
    }
    let config = in_chroot(
        &stage,
        &checked("/sni-check", &options(), &server("sni str(${SNI_HOST})")),
    );
    let set = format!("SNI_HOST={NAME}");
    let (report, _) = json(&["-f", &config, "--env", &set]);
    assert!(text(&report, "sni-name", "write").contains("sni \"str(${SNI_HOST})\""));
}

/// Without `check`, HAProxy checks nothing. The advice to add `check` also names everything else that the
/// check needs.
#[test]
fn a_check_of_any_kind_needs_the_keyword_check() {
    let stage = Stage::new();
    for rules in [
        "option httpchk",
        "option tcp-check",
        "option httpchk\n http-check send-state\n http-check send hdr X-Check-Options x",
    ] {
        let backend = own(rules, "").replace(" check inter 500ms", "");
        let config = in_chroot(&stage, &backend);
        let (report, code) = json(&["-f", &config]);
        let found = finding(&report, "nothing-checked");
        assert_eq!(
            (&found["mark"], &found["effect"], code),
            (&PROBLEM.into(), &"unchecked".into(), 2),
            "{report}"
        );
        let summary = report["summary"].as_str().expect("text");
        assert!(summary.contains("1 server is not checked"), "{summary}");
        let haproxy = Haproxy::start(Mode::Single, &config, &[]);
        assert_eq!(haproxy.server("b", "s").expect("a row").status, "no check");
    }
    let config = in_chroot(
        &stage,
        &own("option httpchk", "").replace(" check inter 500ms", ""),
    );
    let (report, _) = json(&["-f", &config]);
    let write = text(&report, "nothing-checked", "write");
    assert!(write.contains(&format!("check-sni {NAME}")), "{write}");
}

/// HAProxy shows MAINT for a server whose name has no address. If the name is that of an SRV record, the port
/// also comes from the name server.
#[test]
fn a_server_whose_name_has_no_address_is_in_maint_and_is_not_checked() {
    let stage = Stage::new();
    let resolvers = format!("\nresolvers r\n nameserver one 127.0.0.1:{}\n", free_port());
    let backend = checked(
        "/sni-check",
        &options(),
        "nowhere.invalid:443 TLS check inter 1s resolvers r",
    );
    let srv = backend.replace(
        "server s nowhere.invalid:443",
        "server-template s 2 _https._tcp.nowhere.invalid",
    );
    for (backend, server, servers) in [
        (&backend, "s", "check of b/s was"),
        (&srv, "s1", "checks of b/s1, b/s2 were"),
    ] {
        let config = &in_chroot(&stage, &format!("{backend}{resolvers}"));
        let (report, code) = json(&["-f", config, "--run"]);
        assert_eq!((code, found(&report).len()), (0, 0), "{report}");
        assert_eq!(report["runs"]["checks"], Value::Array(Vec::new()));
        let limits = report["runs"]["limits"].to_string();
        assert!(
            limits.contains(&format!("{servers} not run")) && limits.contains("MAINT (resolution)"),
            "{limits}"
        );
        let haproxy = Haproxy::start(Mode::Single, config, &[]);
        wait_for("MAINT", || {
            let seen = haproxy.server("b", server)?;
            (seen.status == "MAINT (resolution)" && seen.check_status.is_empty()).then_some(())
        });
    }
}

/// Without `resolvers`, HAProxy refuses a name without an address, unless init-addr contains `none`.
#[test]
fn doctor_says_if_haproxy_starts_although_a_name_has_no_address() {
    let stage = Stage::new();
    let server =
        |more: &str| format!(" option httpchk\n server s nowhere.invalid:443 check {more}");
    for (more, starts) in [("", false), ("init-addr libc,none", true)] {
        let config = in_chroot(&stage, &server(more));
        let (report, _) = json(&["-f", &config, "--run"]);
        let limits = report["runs"]["limits"].to_string();
        assert_eq!(limits.contains("does not start"), !starts, "{limits}");
        assert_eq!(limits.contains("MAINT (resolution)"), starts, "{limits}");
        assert_eq!(report["haproxy"]["accepts"], starts, "{report}");
    }
}

/// HAProxy enters its chroot even without external checks.
#[test]
fn a_missing_chroot_is_a_problem_even_without_an_external_check() {
    let stage = Stage::new();
    let global = format!("chroot {}/none\n user nobody", stage.chroot());
    let config = configure(&stage, &global, &own("", &format!("check-sni {NAME}")));
    let (report, code) = json(&["-f", &config]);
    assert_eq!(
        (code, &finding(&report, "no-chroot")["effect"]),
        (2, &"no-start".into())
    );
    assert!(
        report["summary"]
            .as_str()
            .expect("text")
            .contains("HAProxy does not start")
    );
    assert!(refuses(&config).contains("chroot"));
}

/// The check connects to a port that works, while the port that visitors use is dead.
#[test]
fn doctor_notes_that_the_check_uses_a_different_port_from_visitors() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let options = format!("{} --port {port}", options());
    let server = format!("127.0.0.1:{} TLS check inter 500ms", dead_port());
    let config = in_chroot(&stage, &checked("/sni-check", &options, &server));
    comes_true(
        &config,
        ("check-other-port", NOTE, "down-or-up"),
        "PROCOK",
        503,
    );
}

/// doctor's command copies a private key so that only HAProxy's group can read the copy.
#[test]
fn only_haproxys_group_can_read_the_copy_of_a_secret() {
    let stage = Stage::new();
    let client = stage.ca.leaf(&["client.example.test"], 30);
    let secret = stage.folder.file("client.pem", &client.both_pem());
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("permissions");
    let options = format!("{} --crt {secret}", options());
    let server = format!("127.0.0.1:PORT TLS crt {secret} check inter 500ms");
    let config = in_chroot(&stage, &checked("/sni-check", &options, &server));
    let (report, _) = json(&["-f", &config]);
    let command = text(&report, "file", "write").to_owned();
    let status = crate::support::program("sh")
        .args(["-c", &command])
        .status();
    assert!(status.expect("a shell").success(), "{command}");
    let copy = format!("{}{secret}", stage.chroot());
    let mode = fs::metadata(copy).expect("a copy").permissions().mode();
    assert_eq!(mode & 0o777, 0o640, "{command}");
    foretells(&config, &[], "PROCOK", "0");
}

/// If haproxy.cfg has the host's path of a socket, doctor prints the path inside the chroot.
#[test]
fn the_fix_replaces_the_hosts_path_of_a_socket_with_the_path_in_the_chroot() {
    let stage = Stage::new();
    let outside = format!("{}/socket", stage.chroot());
    let _listener = std::os::unix::net::UnixListener::bind(&outside).expect("a socket");
    fs::set_permissions(&outside, fs::Permissions::from_mode(0o666)).expect("permissions");
    let backend = format!(
        " option httpchk\n http-check connect addr unix@{outside}\n http-check send-state\n \
         http-check send meth GET uri / hdr X-Check-Options \"--sni {NAME}\"\n \
         http-check expect status 200 status-code \"res.hdr(x-check-code)\"\n \
         server s 127.0.0.1:PORT TLS check inter 500ms"
    );
    let config = in_chroot(&stage, &backend);
    let (report, _) = json(&["-f", &config]);
    assert_eq!(
        text(&report, "serve-socket", "write"),
        "http-check connect addr unix@/socket"
    );
    shows(&config, "s", "SOCKERR", "");
}

/// For the configurations in haproxy/, doctor reports unset variables first.
#[test]
fn unset_variables_are_reported_first() {
    for name in ["hybrid", "built-in-check", "serve", "several-backends"] {
        let config = format!("{}/haproxy/{name}.cfg", env!("CARGO_MANIFEST_DIR"));
        let (report, _) = json(&["-f", &config]);
        assert_eq!(found(&report)[0].0, "unset-variables", "{report}");
        assert!(
            !report.to_string().contains("\"id\":\"refused\""),
            "{report}"
        );
        let summary = report["summary"].as_str().expect("text");
        assert!(summary.contains("not set here"), "{summary}");
    }
}

/// doctor prints the note about servers added at run time last, as a single sentence, and doesn't count it.
#[test]
fn the_note_on_servers_added_at_run_time_comes_last() {
    let stage = Stage::new();
    let global = format!("{}\n stats socket /tmp/x level admin", jail(&stage));
    let server = "127.0.0.1:PORT TLS check inter 500ms";
    let config = configure(&stage, &global, &checked("/sni-check", &options(), server));
    let report = stdout(&doctor(&["-f", &config]));
    let (title, rest) = report.split_once("\n\n").expect("a finding");
    assert!(
        title.replace('\n', " ").ends_with("no problems found"),
        "{title}"
    );
    assert!(
        !rest.contains("shows") && rest.contains("can't have"),
        "{rest}"
    );
}

/// doctor merges equal findings into one finding, which lists all their servers.
#[test]
fn equal_findings_are_merged_and_list_all_servers() {
    let stage = Stage::new();
    let servers: String = (0..16)
        .map(|number| {
            format!("\n server t{number} 127.0.0.1:PORT TLS check inter 500ms send-proxy")
        })
        .collect();
    let config = in_chroot(
        &stage,
        &(checked(
            "/sni-check",
            &options(),
            "127.0.0.1:PORT TLS check inter 500ms send-proxy",
        ) + &servers),
    );
    let (report, _) = json(&["-f", &config]);
    assert_eq!(
        found(&report),
        [("traffic-other-proxy".to_owned(), PROBLEM.to_owned())],
        "{report}"
    );
    assert_eq!(
        report["findings"][0]["about"]
            .as_array()
            .expect("names")
            .len(),
        17
    );
    let text = stdout(&doctor(&["-f", &config]));
    assert!(text.contains("(servers b/s, b/t0, "), "{text}");
    let summary = report["summary"].as_str().expect("text");
    assert!(
        summary.starts_with("17 servers will be DOWN though they work, or UP"),
        "{summary}"
    );
}

/// With `--root`, doctor reads the unit and the files of an image. With `--ignore`, it leaves out a finding.
#[test]
fn root_examines_an_image_and_ignore_leaves_findings_out() {
    let stage = Stage::new();
    let root = stage.folder.join("image");
    let text = |name: &str, text: &str| stage.folder.file(&format!("image/{name}"), text);
    text("etc/passwd", "haproxy:x:99:99::/:/bin/false\n");
    text("etc/group", "haproxy:x:99:\n");
    text(
        "usr/lib/systemd/system/haproxy.service",
        "[Service]\nEnvironment=\"CONFIG=/etc/haproxy/haproxy.cfg\" \"MORE=/etc/haproxy/conf.d\"\nExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f $MORE\n",
    );
    text(
        "etc/haproxy/haproxy.cfg",
        "global\n user haproxy\n group haproxy\n chroot /var/lib/haproxy\n external-check\n insecure-fork-wanted\ndefaults\n mode http\n timeout connect 1s\n timeout client 1s\n timeout server 1s\n",
    );
    let more = text(
        "etc/haproxy/conf.d/b.cfg",
        &format!(
            "backend b\n{}\n",
            checked(
                "/sni-check",
                &format!("--sni {NAME}"),
                &format!(
                    "127.0.0.1:443 ssl verify required ca-file @system-ca sni str({NAME}) check"
                )
            )
        ),
    );
    let (report, code) = json(&["--root", &root]);
    assert_eq!(code, 2, "{report}");
    finding(&report, "no-chroot");
    assert!(report["read"].to_string().contains(&more), "{report}");
    assert!(
        report["found_by"]
            .as_str()
            .expect("text")
            .contains("haproxy.service")
    );
    stage.folder.copy(
        crate::support::check::BINARY,
        "image/var/lib/haproxy/sni-check",
        0o755,
    );
    let (report, code) = json(&["--root", &root]);
    assert_eq!((code, found(&report).len()), (0, 0), "{report}");
    fs::remove_file(format!("{root}/var/lib/haproxy/sni-check")).expect("removed");
    let (report, code) = json(&["--root", &root]);
    assert_eq!(code, 2);
    let what = finding(&report, "command")["what"].to_string();
    assert!(what.contains("is not in the chroot"), "{what}");
    // Without `chroot`, no sentence is about a chroot, and folders are below --root.
    let text = "global\n external-check\n insecure-fork-wanted\n stats socket /missing/s.sock\n\
                defaults\n option external-check\n external-check command /sni-check\n \
                backend b\n server s 127.0.0.1:1 check\n";
    let plain = stage.folder.file("image/plain.cfg", text);
    let (report, _) = json(&["--root", &root, "-f", &plain]);
    assert!(
        !report["findings"].to_string().contains("the chroot"),
        "{report}"
    );
    let folder = finding(&report, "no-folder").to_string();
    let command = format!("mkdir -p {root}/missing");
    assert!(folder.contains(&command), "{folder}");
    assert_eq!(json(&["--root", &root, "--ignore", "command"]).1, 0);
    assert_eq!(doctor(&["--ignore", "commando"]).status.code(), Some(2));
}

/// A server with `weight 0` gets no visitors, even if its check is UP.
#[test]
fn doctor_finds_that_every_server_of_a_backend_has_weight_0() {
    let stage = Stage::new();
    let end = format!("check-sni {NAME} weight 0");
    let config = in_chroot(&stage, &own("option httpchk GET /", &end));
    comes_true(&config, ("weight-0", PROBLEM, "up"), "L7OK", 503);
    let rules = "option httpchk GET /\n use-server s if TRUE";
    let config = in_chroot(&stage, &own(rules, &end));
    comes_true(&config, ("weight-0", NOTE, "up"), "L7OK", 200);
    // A dead server is DOWN, and its visitors fail even without `weight 0`. So the summary counts it as DOWN.
    let dead = own("option httpchk GET /", &end).replace("PORT", &dead_port().to_string());
    // The summary is the same if HAProxy can't start the check of a dead server.
    let server = format!("127.0.0.1:{} TLS check inter 500ms", dead_port());
    for backend in [dead, checked("/none", &options(), &server)] {
        let (report, _) = json(&["-f", &in_chroot(&stage, &backend), "--run"]);
        let summary = report["summary"].as_str().expect("text");
        let expected = "1 server will be DOWN, and its visitors fail anyway";
        assert!(summary.starts_with(expected), "{summary}");
    }
}

/// No status meets both expectations.
#[test]
fn doctor_finds_expectations_that_contradict_each_other() {
    let stage = Stage::new();
    let rules = "option httpchk GET /\n http-check expect status 200-399\n http-check expect status 401,403";
    let config = in_chroot(&stage, &own(rules, &format!("check-sni {NAME}")));
    comes_true(&config, ("expects-nothing", PROBLEM, "down"), "L7STS", 200);
}

/// Traffic takes its SNI from a header that visitors don't send.
#[test]
fn doctor_notes_an_sni_from_a_header_that_visitors_do_not_send() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT ssl verify required ca-file ROOT/ca.pem sni req.hdr(x-site) check inter 500ms";
    let config = in_chroot(&stage, &checked("/sni-check", &options(), server));
    comes_true(&config, ("sni-header", NOTE, "up"), "PROCOK", 503);
}

/// The other servers of the backend use TLS, but this server doesn't. Its check only connects.
#[test]
fn doctor_notes_a_server_without_tls_in_a_backend_with_tls() {
    let stage = Stage::new();
    let config = in_chroot(
        &stage,
        " server other 127.0.0.1:PORT TLS disabled\n server s 127.0.0.1:PORT check inter 500ms",
    );
    comes_true(
        &config,
        ("alone-without-tls", NOTE, "down-or-up"),
        "L4OK",
        400,
    );
}

/// `http-check expect` accepts every answer of serve, so the check is always UP.
#[test]
fn doctor_finds_a_rule_that_accepts_every_answer_of_serve() {
    let stage = Stage::new();
    let _serving = serve(&stage, "serve", "0666");
    // The server refuses this name in the handshake, so the check needs no CA file.
    let options = "--sni wrong.example.test --timeout 400ms";
    let rules = format!(
        "option httpchk\n http-check connect addr unix@/serve\n http-check send-state\n \
         http-check send meth GET uri / hdr X-Check-Options \"{options}\"\n http-check expect status 200-599"
    );
    let config = in_chroot(&stage, &own(&rules, ""));
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!(code, 2, "{report}");
    assert_eq!(finding(&report, "serve-expect")["mark"], PROBLEM);
    let run = &report["runs"]["checks"][0];
    assert_eq!(
        (&run["check_status"], &run["check_code"]),
        (&"L7OK".into(), &503.into())
    );
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    let seen = haproxy.wait_for_check("b", "s");
    assert_eq!(
        (seen.check_status.as_str(), seen.check_code.as_str()),
        ("L7OK", "503")
    );
}
