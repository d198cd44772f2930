//! `sni-check diagnose` against nginx in the states operators meet.

use serde_json::Value;

use crate::support::pki::Ca;
use crate::world::{World, free_port, sni_check};

const NAME: &str = "www.example.test";
const DEFAULTS: &str = "defaults\n    mode http\n    timeout connect 2s\n    \
                        timeout server 2s\n    timeout client 2s\n";
const OTHER: &str = "other.example.test";

fn diagnose(world: &World, port: u16, more: &[&str]) -> (Value, i32) {
    let (ca, connect) = (world.path("ca.pem"), format!("127.0.0.1:{port}"));
    let mut words = vec![
        "diagnose",
        "--json",
        "--ca-file",
        &ca,
        "--connect",
        &connect,
    ];
    words.extend(more);
    if !more.contains(&OTHER) {
        words.push(NAME);
    }
    let output = sni_check(&words);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{output:?}"));
    for snippet in ["builtin", "external"] {
        let snippet = value["cure"][snippet].as_str().expect("a snippet");
        // HAProxy does not start, and so does not accept, without anything to listen on.
        let socket = world.path("accepted.sock");
        let global = format!("global\n    stats socket {socket}\n");
        world.accepted(&format!("{global}{DEFAULTS}{snippet}"));
    }
    (value, output.status.code().expect("a code"))
}

/// HAProxy's own check of each row, and that it reports the row's word.
fn haproxy_agrees(world: &mut World, report: &Value, port: u16) {
    let rows = report["haproxy_view"].as_array().expect("rows").clone();
    let own = rows.iter().filter(|row| {
        !row["check"]
            .as_str()
            .expect("words")
            .starts_with("external")
    });
    let own: Vec<_> = own.collect();
    let ca = world.path("ca.pem");
    let mut config = "defaults\n    timeout connect 2s\n    timeout server 2s\n    \
                      timeout client 2s\nbackend be\n    mode tcp\n"
        .to_owned();
    for (index, row) in own.iter().enumerate() {
        let words = row["check"].as_str().expect("words");
        let ca = if words.contains("required") {
            format!("ca-file {ca}")
        } else {
            String::new()
        };
        config += &format!("    server s{index} 127.0.0.1:{port} {words} {ca}\n");
    }
    let statuses = world.haproxy(&config);
    assert_eq!(statuses.len(), own.len());
    for (row, status) in own.iter().zip(&statuses) {
        assert_eq!(row["status"], status.as_str(), "{row}");
    }
}

/// Both snippets, as printed but for the place of the binary, turn the server UP.
fn the_cure_works(world: &mut World, report: &Value) {
    let cure = &report["cure"];
    let builtin = cure["builtin"].as_str().expect("a snippet");
    assert!(builtin.contains("verify required"));
    assert_eq!(world.haproxy(&format!("{DEFAULTS}{builtin}")), ["L7OK"]);
    let external = cure["external"].as_str().expect("a snippet");
    let external = external.replace("/usr/local/bin/sni-check", env!("CARGO_BIN_EXE_sni-check"));
    assert!(external.contains("verify required"));
    // A world of its own: the socket of the first is taken.
    let mut other = World::new();
    assert_eq!(other.haproxy(&format!("{DEFAULTS}{external}")), ["PROCOK"]);
}

fn text(report: &Value) -> String {
    report["steps"].to_string()
}

#[test]
fn a_server_that_requires_sni() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, false);
    let refuse = format!(
        "server {{ listen 127.0.0.1:{port} ssl default_server; ssl_reject_handshake on; }}"
    );
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &format!("{refuse}{site}"));
    let (report, code) = diagnose(&world, port, &[]);
    assert_eq!(
        (code, &report["state"]),
        (0, &Value::from("UP")),
        "{report}"
    );
    assert_eq!(report["sni_needed"], "required");
    assert!(text(&report).contains("SSL handshake failure"));
    assert!(text(&report).contains("a made-up name is refused"));
    haproxy_agrees(&mut world, &report, port);
    let mut fresh = World::new();
    the_cure_works(&mut fresh, &report);
}

#[test]
fn a_server_with_another_default_certificate() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, false);
    world.certificate(OTHER, false);
    let default = world.site(port, "default_server", OTHER, OTHER);
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &format!("{default}{site}"));
    let (report, code) = diagnose(&world, port, &["--uri", "/moved"]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["sni_needed"], "other certificate");
    assert!(text(&report).contains(OTHER));
    assert!(text(&report).contains("redirects to"));
    haproxy_agrees(&mut world, &report, port);
    the_cure_works(&mut World::new(), &report);
}

#[test]
fn a_server_with_one_certificate_and_one_for_another_name() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, false);
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &site);
    let (report, code) = diagnose(&world, port, &[]);
    assert_eq!(
        (code, &report["sni_needed"]),
        (0, &Value::from("no")),
        "{report}"
    );
    let (report, code) = diagnose(&world, port, &["--header", "X-Token: hidden-value", OTHER]);
    assert_eq!(code, 54, "{report}");
    assert!(
        report["cure"]["advice"]
            .to_string()
            .contains(&format!("--verify-host {NAME}"))
    );
    assert!(text(&report).contains("asked without your headers"));
    assert!(!report.to_string().contains("hidden-value"));
    haproxy_agrees(&mut world, &report, port);
}

#[test]
fn an_expired_certificate_hides_nothing_behind_it() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, true);
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &site);
    let (report, code) = diagnose(&world, port, &[]);
    assert_eq!(code, 51, "{report}");
    assert!(text(&report).contains("certificate expired"));
    assert!(text(&report).contains("status 200"));
    haproxy_agrees(&mut world, &report, port);
    let (report, _) = diagnose(&world, port, &[OTHER]);
    assert!(text(&report).contains("certificate expired"));
    assert!(text(&report).contains(&format!("is not for {OTHER}")));
}

#[test]
fn a_missing_issuer_is_named() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, false);
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &site);
    let connect = format!("127.0.0.1:{port}");
    let output = sni_check(&["diagnose", "--connect", &connect, NAME]);
    assert_eq!(output.status.code(), Some(55));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("Missing: CN=Test CA"), "{text}");
    assert!(!text.contains('\x1b'), "plain when piped");
    let output = sni_check(&["diagnose", "--color=always", "--connect", &connect, NAME]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("\x1b[31mproblem"));
}

#[test]
fn an_incomplete_chain() {
    let (mut world, port) = (World::new(), free_port());
    let root = Ca::named("Root");
    let middle = root.intermediate("Middle");
    let leaf = middle.leaf(&[NAME], 30);
    let write = |file: &str, pem: &str| std::fs::write(world.path(file), pem).expect(file);
    write("ca.pem", &root.pem);
    write("short.pem", &leaf.crt_pem);
    write("short.key", &leaf.key_pem);
    write("full.pem", &format!("{}{}", leaf.crt_pem, middle.pem));
    write("full.key", &leaf.key_pem);
    let full = free_port();
    let sites = [
        world.site(port, "", NAME, "short"),
        world.site(full, "", NAME, "full"),
    ];
    world.nginx(port, &sites.concat());
    let (report, code) = diagnose(&world, port, &[]);
    assert_eq!(code, 55, "{report}");
    let advice = report["cure"]["advice"].to_string();
    assert!(advice.contains("Missing: CN=Middle"), "{advice}");
    haproxy_agrees(&mut world, &report, port);
    let (report, code) = diagnose(&world, full, &[]);
    assert_eq!(code, 0, "{report}");
    assert_eq!(report["chain"].as_array().map(Vec::len), Some(2));
    the_cure_works(&mut World::new(), &report);
}

#[test]
fn a_certificate_that_ends_soon() {
    let (mut world, port) = (World::new(), free_port());
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 5);
    let write = |file: &str, pem: &str| std::fs::write(world.path(file), pem).expect(file);
    write("ca.pem", &ca.pem);
    write("soon.pem", &leaf.crt_pem);
    write("soon.key", &leaf.key_pem);
    let site = world.site(port, "", NAME, "soon");
    world.nginx(port, &site);
    let (report, code) = diagnose(&world, port, &["--min-cert-days", "10"]);
    assert_eq!(code, 57, "{report}");
    assert_eq!(report["steps"][1]["mark"], "problem", "{report}");
    assert_eq!(report["names"][0], NAME);
}

#[test]
fn every_option_finds_its_place_in_the_cure() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, false);
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &site);
    let (report, code) = diagnose(
        &world,
        port,
        &[
            "--uri=/a?b=$HOME&c='d'",
            "--expect=status 200",
            "--expect=string fine",
            "--source=127.0.0.1",
            "--timeout=1500ms",
            "--ssl-min-ver=TLSv1.2",
            "--verify-host",
            NAME,
            "--method=GET",
            "--header=Host: www.example.test",
        ],
    );
    assert_eq!(code, 0, "{report}");
    the_cure_works(&mut World::new(), &report);
}

#[test]
fn the_text_is_no_wider_than_a_terminal_but_for_what_is_pasted() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, true);
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &site);
    let connect = format!("127.0.0.1:{port}");
    let output = sni_check(&["diagnose", "--connect", &connect, NAME]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = text
        .split("With HAProxy's own check")
        .next()
        .expect("a report");
    for line in report.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn with_verify_none_the_report_says_what_that_hides() {
    let (mut world, port) = (World::new(), free_port());
    world.certificate(NAME, true);
    let site = world.site(port, "", NAME, NAME);
    world.nginx(port, &site);
    let connect = format!("127.0.0.1:{port}");
    let output = sni_check(&["diagnose", "--verify", "none", "--connect", &connect, NAME]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("--verify none hides: certificate"), "{text}");
    assert!(text.contains("verify required") && !text.contains("path \"--verify none"));
}

#[test]
fn a_dead_port() {
    let (mut world, port) = (World::new(), free_port());
    let (report, code) = diagnose(&world, port, &[]);
    assert_eq!(code, 41, "{report}");
    assert_eq!(report["steps"][0]["mark"], "problem");
    haproxy_agrees(&mut world, &report, port);
}

#[test]
fn options_without_a_use_are_refused() {
    for words in [
        &["diagnose", "--quiet", NAME][..],
        &["diagnose", "--syslog", "127.0.0.1", NAME],
        &["--color", "never", NAME],
    ] {
        assert_eq!(sni_check(words).status.code(), Some(2), "{words:?}");
    }
}

#[test]
fn under_haproxy_nothing_is_diagnosed() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sni-check"));
    command
        .args(["diagnose", NAME])
        .env("HAPROXY_SERVER_NAME", "s1");
    let output = command.output().expect("sni-check runs");
    assert_eq!(output.status.code(), Some(2));
}
