//! Checks that work, but otherwise than they look: doctor's notes, and what HAProxy makes of them.

use std::thread;
use std::time::Duration;

use crate::scene::{NAME, Scene, finding, foretells, json, shows};
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::pki::Ca;
use crate::support::{dead_port, peer};

/// A peer that accepts and says nothing.
fn silent() -> u16 {
    peer::tcp(|stream| {
        thread::sleep(Duration::from_secs(30));
        drop(stream);
    })
}

fn write(report: &serde_json::Value, id: &str) -> String {
    let write = &finding(report, id)["write"];
    write.as_str().expect("text").to_owned()
}

#[test]
fn haproxy_kills_a_check_at_inter() {
    let mut scene = Scene::new();
    scene.port = silent();
    let options = format!("--sni {NAME} --ca-file /ca.pem");
    for (server, own) in [
        ("inter 500ms", ""),
        ("inter 1s", "--timeout 1500ms"),
        ("", "--timeout 3s"),
    ] {
        let options = format!("{options} {own}");
        let server = format!("127.0.0.1:PORT TLS check {server}");
        let backend = scene.checked("/sni-check", &options, &server);
        let config = scene.config(&scene.jailed(), &backend);
        let report = foretells(&config, &[("time", "note")], "PROCTOUT", "");
        assert!(write(&report, "time").contains("inter "), "{report}");
    }
    // The longer time it names is enough: the check ends by itself, with its code.
    let backend = scene.checked("/sni-check", &options, "127.0.0.1:PORT TLS check inter 2s");
    let config = scene.config(&scene.jailed(), &backend);
    foretells(&config, &[], "PROCERR", "62");
}

#[test]
fn with_timeout_check_haproxy_kills_at_timeout_connect_too() {
    let mut scene = Scene::new();
    scene.port = silent();
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 1s");
    let backend = scene.checked("/sni-check", &options, "127.0.0.1:PORT TLS check inter 3s");
    let with = format!("{backend}\n timeout connect 500ms\n timeout check 5s");
    let config = scene.config(&scene.jailed(), &with);
    let report = foretells(&config, &[("time", "note")], "PROCTOUT", "");
    assert!(
        write(&report, "time").starts_with("timeout connect "),
        "{report}"
    );
    // Without timeout check it does not count.
    let without = with.replace("timeout check 5s", "");
    let config = scene.config(&scene.jailed(), &without);
    foretells(&config, &[], "PROCERR", "62");
}

#[test]
fn fastinter_and_downinter_do_not_end_a_check() {
    let mut scene = Scene::new();
    scene.port = silent();
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 1s");
    let server = "127.0.0.1:PORT TLS check inter 2s fastinter 200ms downinter 200ms rise 2 fall 2";
    let backend = scene.checked("/sni-check", &options, server);
    let config = scene.config(&scene.jailed(), &backend);
    foretells(&config, &[], "PROCERR", "62");
    // Nor later, when the server is going down or is down.
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    let seen = haproxy.wait_for_status("b", "s", "DOWN");
    assert_eq!(seen.check_code, "62");
}

#[test]
fn addr_and_port_of_the_server_line_do_not_reach_the_check() {
    let scene = Scene::new();
    let dead = dead_port();
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms");
    let server = format!("127.0.0.1:{dead} TLS check inter 500ms port PORT");
    let config = |options: &str| {
        let backend = scene.checked("/sni-check", options, &server);
        scene.config(&scene.jailed(), &backend)
    };
    let report = foretells(&config(&options), &[("ignored", "note")], "PROCERR", "41");
    let cure = write(&report, "ignored");
    let cure = cure.split(" in ").next().expect("an option");
    foretells(&config(&format!("{options} {cure}")), &[], "PROCOK", "0");

    let server = "127.0.0.1:PORT TLS check inter 500ms addr 127.0.0.2";
    let backend = scene.checked("/sni-check", &options, server);
    let config = scene.config(&scene.jailed(), &backend);
    let report = foretells(&config, &[("ignored", "note")], "PROCOK", "0");
    assert!(write(&report, "ignored").starts_with("--connect 127.0.0.2 "));
}

#[test]
fn traffic_that_is_less_strict_than_the_check() {
    let scene = Scene::new();
    let other = Ca::named("Other");
    scene.folder.file("root/other.pem", &other.pem);
    let options = format!("--sni {NAME} --ca-file /other.pem --timeout 400ms");
    let server = format!("127.0.0.1:PORT ssl verify none sni str({NAME}) check inter 500ms");
    let backend = scene.checked("/sni-check", &options, &server);
    let config = scene.config(&scene.jailed(), &backend);
    foretells(
        &config,
        &[("traffic-verifies-nothing", "note")],
        "PROCERR",
        "55",
    );
    // The same for all of `global`.
    let server = server.replace("verify none ", "");
    let backend = scene.checked("/sni-check", &options, &server);
    let global = format!("{}\n ssl-server-verify none", scene.jailed());
    let config = scene.config(&global, &backend);
    foretells(
        &config,
        &[("traffic-verifies-nothing", "note")],
        "PROCERR",
        "55",
    );
}

#[test]
fn a_check_that_verifies_nothing_is_up_with_any_certificate() {
    let scene = Scene::new();
    let options = "--sni www.example.test --verify none --timeout 400ms";
    let backend = scene.checked(
        "/sni-check",
        options,
        "127.0.0.1:PORT TLS check inter 500ms",
    );
    let config = scene.config(&scene.jailed(), &backend);
    foretells(
        &config,
        &[("check-verifies-nothing", "note")],
        "PROCOK",
        "0",
    );
}

/// UP by the check, but traffic gets this answer.
#[track_caller]
fn up_but(scene: &Scene, server: &str, id: &str, answer: u16) {
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms");
    let backend = scene.checked("/sni-check", &options, server);
    let config = scene.config(&scene.jailed(), &backend);
    foretells(&config, &[(id, "note")], "PROCOK", "0");
    let haproxy = Haproxy::start(Mode::Daemon, &config, &[]);
    haproxy.wait_for_code("b", "s", "0");
    assert_eq!(haproxy.get("/"), Some(answer));
}

#[test]
fn traffic_in_plain_http_to_a_tls_port() {
    let scene = Scene::new();
    for words in ["", "no-ssl"] {
        let server = format!("127.0.0.1:PORT check inter 500ms {words}");
        up_but(&scene, &server, "traffic-without-tls", 400);
    }
}

#[test]
fn traffic_without_sni() {
    let scene = Scene::new();
    let server = "127.0.0.1:PORT ssl verify required ca-file ROOT/ca.pem check inter 500ms";
    up_but(&scene, server, "traffic-without-sni", 503);
}

#[test]
fn a_name_to_resolve_in_an_empty_chroot() {
    let scene = Scene::new();
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 1s --connect nowhere.invalid");
    let backend = scene.checked("/sni-check", &options, "127.0.0.1:PORT TLS check inter 2s");
    let config = scene.config(&scene.jailed(), &backend);
    let (report, code) = json(&["-f", &config]);
    assert_eq!(code, 0, "{report}");
    assert!(write(&report, "resolver").contains("/etc/resolv.conf"));
    shows(&config, "s", "PROCERR", "31");
    scene
        .folder
        .file("root/etc/hosts", "127.0.0.1 nowhere.invalid\n");
    foretells(&config, &[], "PROCOK", "0");
}
