//! Checks that work, but not as the configuration suggests: doctor's notes, and what HAProxy shows.

use crate::configuration::{checked, configure, finding, foretells, in_chroot, jail, json, shows};
use crate::support::NAME;
use crate::support::dead_port;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::peer::silent;
use crate::support::pki::Ca;
use crate::support::stage::Stage;

fn write(report: &serde_json::Value, id: &str) -> String {
    let write = &finding(report, id)["write"];
    write.as_str().expect("text").to_owned()
}

#[test]
fn haproxy_kills_a_check_after_inter() {
    let (stage, silent) = (Stage::new(), silent());
    let options = format!("--sni {NAME} --ca-file /ca.pem");
    for (server, own) in [
        ("inter 500ms", ""),
        ("inter 1s", "--timeout 1500ms"),
        ("", "--timeout 3s"),
    ] {
        let options = format!("{options} {own}");
        let server = format!("127.0.0.1:{silent} TLS check {server}");
        let backend = checked("/sni-check", &options, &server);
        let config = in_chroot(&stage, &backend);
        let report = foretells(&config, &[("time", "note")], "PROCTOUT", "");
        assert!(write(&report, "time").contains("inter "), "{report}");
    }
    // With a longer `inter`, the check ends by itself, with its own code.
    let server = format!("127.0.0.1:{silent} TLS check inter 2s");
    let config = in_chroot(&stage, &checked("/sni-check", &options, &server));
    foretells(&config, &[], "PROCERR", "62");
}

#[test]
fn with_timeout_check_haproxy_also_kills_a_check_after_timeout_connect() {
    let (stage, silent) = (Stage::new(), silent());
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 1s");
    let server = format!("127.0.0.1:{silent} TLS check inter 3s");
    let backend = checked("/sni-check", &options, &server);
    let with = format!("{backend}\n timeout connect 500ms\n timeout check 5s");
    let config = in_chroot(&stage, &with);
    let report = foretells(&config, &[("time", "note")], "PROCTOUT", "");
    assert!(
        write(&report, "time").starts_with("timeout connect "),
        "{report}"
    );
    // Without timeout check, timeout connect has no effect on the check.
    let without = with.replace("timeout check 5s", "");
    let config = in_chroot(&stage, &without);
    foretells(&config, &[], "PROCERR", "62");
}

#[test]
fn fastinter_and_downinter_do_not_end_a_check() {
    let (stage, silent) = (Stage::new(), silent());
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 1s");
    let server = format!(
        "127.0.0.1:{silent} TLS check inter 2s fastinter 200ms downinter 200ms rise 2 fall 2"
    );
    let backend = checked("/sni-check", &options, &server);
    let config = in_chroot(&stage, &backend);
    foretells(&config, &[], "PROCERR", "62");
    // fastinter and downinter also don't end a check while the server is going down or is DOWN.
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    let seen = haproxy.wait_for_status("b", "s", "DOWN");
    assert_eq!(seen.check_code, "62");
}

#[test]
fn addr_and_port_of_the_server_line_do_not_reach_the_check() {
    let stage = Stage::new();
    let dead = dead_port();
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms");
    let server = format!("127.0.0.1:{dead} TLS check inter 500ms port PORT");
    let config = |options: &str| {
        let backend = checked("/sni-check", options, &server);
        in_chroot(&stage, &backend)
    };
    let report = foretells(&config(&options), &[("ignored", "note")], "PROCERR", "41");
    let fix = write(&report, "ignored");
    let (_, fix) = fix.split_once("otherwise write ").expect("an option");
    let fix = fix.split(" in ").next().expect("an option");
    let other = [("check-other-port", "note")];
    foretells(&config(&format!("{options} {fix}")), &other, "PROCOK", "0");

    let server = "127.0.0.1:PORT TLS check inter 500ms addr 127.0.0.2";
    let backend = checked("/sni-check", &options, server);
    let config = in_chroot(&stage, &backend);
    let report = foretells(&config, &[("ignored", "note")], "PROCOK", "0");
    assert!(write(&report, "ignored").contains("--connect 127.0.0.2 in "));
}

#[test]
fn doctor_notes_traffic_that_verifies_nothing() {
    let stage = Stage::new();
    let other = Ca::named("Other");
    stage.folder.file("root/other.pem", &other.pem);
    let options = format!("--sni {NAME} --ca-file /other.pem --timeout 400ms");
    let server = format!("127.0.0.1:PORT ssl verify none sni str({NAME}) check inter 500ms");
    let backend = checked("/sni-check", &options, &server);
    let config = in_chroot(&stage, &backend);
    foretells(
        &config,
        &[("traffic-verifies-nothing", "note")],
        "PROCERR",
        "55",
    );
    // `ssl-server-verify none` in `global` switches verification off for every server.
    let server = server.replace("verify none ", "");
    let backend = checked("/sni-check", &options, &server);
    let global = format!("{}\n ssl-server-verify none", jail(&stage));
    let config = configure(&stage, &global, &backend);
    foretells(
        &config,
        &[("traffic-verifies-nothing", "note")],
        "PROCERR",
        "55",
    );
}

#[test]
fn a_check_that_verifies_nothing_is_up_with_any_certificate() {
    let stage = Stage::new();
    let options = "--sni www.example.test --verify none --timeout 400ms";
    let backend = checked(
        "/sni-check",
        options,
        "127.0.0.1:PORT TLS check inter 500ms",
    );
    let config = in_chroot(&stage, &backend);
    foretells(
        &config,
        &[("check-verifies-nothing", "note")],
        "PROCOK",
        "0",
    );
}

/// Asserts that doctor reports only this finding, that the check is UP, and that visitors get this HTTP
/// status.
#[track_caller]
fn up_but(stage: &Stage, server: &str, (id, mark): (&str, &str), answer: u16) {
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms");
    let backend = checked("/sni-check", &options, server);
    let config = in_chroot(stage, &backend);
    foretells(&config, &[(id, mark)], "PROCOK", "0");
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    haproxy.wait_for_code("b", "s", "0");
    assert_eq!(haproxy.get("/"), Some(answer));
}

#[test]
fn doctor_finds_traffic_in_plain_http_to_a_tls_port() {
    let stage = Stage::new();
    for words in ["", "no-ssl"] {
        let server = format!("127.0.0.1:PORT check inter 500ms {words}");
        up_but(&stage, &server, ("traffic-without-tls", "problem"), 400);
    }
}

#[test]
fn doctor_notes_traffic_without_sni() {
    let stage = Stage::new();
    let server = "127.0.0.1:PORT ssl verify required ca-file ROOT/ca.pem check inter 500ms";
    up_but(&stage, server, ("traffic-without-sni", "note"), 503);
}

#[test]
fn doctor_finds_traffic_that_has_no_root_in_common_with_the_check() {
    let stage = Stage::new();
    stage.trusting(&Ca::new(), "root/other.pem");
    let words = format!("ssl verify required sni str({NAME}) check inter 500ms ca-file");
    // The CA of one file may have signed the root of the other file.
    for (roots, mark) in [("ROOT/other.pem", "note"), ("@system-ca", "problem")] {
        let server = format!("127.0.0.1:PORT {words} {roots}");
        up_but(&stage, &server, ("traffic-other-roots", mark), 503);
    }
}

#[test]
fn doctor_notes_that_a_name_cannot_be_resolved_in_an_empty_chroot() {
    let stage = Stage::new();
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 1s --connect nowhere.invalid");
    let backend = checked("/sni-check", &options, "127.0.0.1:PORT TLS check inter 2s");
    let config = in_chroot(&stage, &backend);
    let (report, code) = json(&["-f", &config]);
    assert_eq!(code, 0, "{report}");
    assert!(write(&report, "resolver").contains("/etc/resolv.conf"));
    shows(&config, "s", "PROCERR", "31");
    stage
        .folder
        .file("root/etc/hosts", "127.0.0.1 nowhere.invalid\n");
    foretells(&config, &[("check-other-port", "note")], "PROCOK", "0");
}
