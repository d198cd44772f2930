//! The objects of `--json` match docs/json.md.

mod support;

use std::process::Output;

use serde_json::Value;

use support::check::{by_hand, expect, run_by_hand};
use support::haproxy::{Haproxy, Mode};
use support::json_page::{assert_documented, schema};
use support::nginx::{Nginx, refusal, site};
use support::pki::Ca;
use support::stage::Stage;
use support::{NAME, dead_port, wait_for};

fn object(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(bytes)))
}

#[test]
fn check_object_matches_the_page() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let connect = format!("--connect=127.0.0.1:{port}");
    let call = |more: &[&str]| run_by_hand(&[&["--json", &connect, NAME], more].concat());
    let healthy = call(&["--ca-file", &stage.ca_file, "--warn-cert-days=60"]);
    assert_eq!(healthy.status.code(), Some(0));
    let unverified = call(&["--no-sni", "--verify=none"]);
    let down = stage.check(dead_port(), "--json");
    let objects = [&healthy.stdout, &unverified.stdout, &down.stderr].map(|text| object(text));
    assert_documented("A check", &objects);
}

#[test]
fn diagnose_object_matches_the_page() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let nginx = Nginx::serve(|folder, port| {
        refusal(port) + &site((folder, port), "", NAME, (&leaf, &[]), "")
    });
    let stage = Stage::with_ca(ca);
    let dead = dead_port();
    let cases = [
        (nginx.port, NAME, "--serve=/run/sni-check/socket"),
        (dead, NAME, "--haproxy=none"),
        (dead, "no-such-host.invalid", "--color=auto"),
    ];
    let objects = cases.map(|(port, name, more)| {
        let connect = match name {
            NAME => format!("--connect=127.0.0.1:{port}"),
            _ => format!("--port={port}"),
        };
        let words = ["diagnose", "--json", "--timeout=10s", "--ca-file"];
        let more = [&stage.ca_file, &connect, more, name];
        object(&run_by_hand(&[&words[..], &more[..]].concat()).stdout)
    });
    assert_documented("diagnose --json", &objects);
}

#[test]
fn diagnose_object_for_haproxy_cfg_matches_the_page() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let ca = &stage.ca_file;
    let socket = stage.folder.join("admin.sock");
    let config = format!(
        "global\n stats socket {socket} level user\ndefaults\n mode http\n timeout connect 5s\n \
         timeout client 5s\n timeout server 5s\nbackend be\n option httpchk\n \
         server s1 127.0.0.1:{port} ssl verify required ca-file {ca} sni str({NAME}) check inter 200ms fall 1\n \
         server s2 127.0.0.1:{port} ssl verify none\n"
    );
    let config = stage.folder.file("haproxy.cfg", &config);
    let mut call = run_by_hand(&[
        "diagnose",
        "--json",
        "--timeout=10s",
        "--haproxy=none",
        NAME,
    ]);
    let plain = object(&call.stdout);
    let own = ["state", "code"];
    let is_own = |name: &str| own.contains(&name) || plain.get(name).is_none();
    let mut objects = Vec::new();
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    wait_for("s1 to be DOWN", || {
        let server = haproxy.server("be", "s1")?;
        (server.status == "DOWN").then_some(())
    });
    for running in [true, false] {
        if !running {
            std::fs::remove_file(&socket).expect("the socket");
        }
        call = run_by_hand(&["diagnose", "--json", "-f", &config]);
        let mut report = object(&call.stdout);
        assert_eq!(report["servers"][0]["state"], "DOWN", "{report}");
        for server in report["servers"].as_array_mut().expect("servers") {
            let server = server.as_object_mut().expect("a server");
            server.retain(|name, _| is_own(name));
        }
        objects.push(report);
    }
    assert_documented("diagnose --json for haproxy.cfg", &objects);
}

/// Runs doctor on this configuration. ROOT in the text stands for a folder that contains the
/// program.
fn doctor(stage: &Stage, text: &str, more: &[&str]) -> Output {
    let root = stage.chroot();
    let file = stage
        .folder
        .file("haproxy.cfg", &text.replace("ROOT", root));
    let mut command = by_hand(&[&["doctor", "--json", "-f", &file], more].concat());
    command.env("PATH", "/usr/sbin:/usr/bin");
    command.output().expect("the program runs")
}

#[test]
fn doctor_object_matches_the_page() {
    let stage = Stage::new();
    let server = format!(
        "127.0.0.1:{} check ssl verify none sni str(a.example)",
        dead_port()
    );
    let config = |options: &str, server: &str| {
        format!(
            "global\n external-check\n insecure-fork-wanted\n\
             listen b\n bind 127.0.0.1:1\n mode http\n timeout connect 5s\n timeout client 5s\n \
             timeout server 5s\n option external-check\n external-check command ROOT/sni-check\n \
             external-check path \"{options}\"\n server s {server}\n"
        )
    };
    let good = doctor(&stage, &config("--sni a.example", &server), &["--run"]);
    assert_eq!(good.status.code(), Some(41), "{good:?}");
    let bad_server = format!("{server} inter soon sni");
    let bad = doctor(&stage, &config("--snl a.example", &bad_server), &[]);
    expect(&bad, 2, "");
    // HAProxy refuses the line that doctor reports, so the finding has HAProxy's message.
    let unquoted = config("--sni a.example", &server).replace('"', "");
    let unquoted = doctor(&stage, &unquoted, &[]);
    expect(&unquoted, 2, "");
    let objects = [&good.stdout, &bad.stdout, &unquoted.stdout].map(|text| object(text));
    assert_documented("doctor --json", &objects);
}

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/sni-check.schema.json");

#[test]
fn the_schema_is_made_from_the_page() {
    let expected = format!("{:#}\n", schema());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(SCHEMA, &expected).expect("the schema");
    }
    let published = std::fs::read_to_string(SCHEMA).expect("the schema");
    assert!(
        published == expected,
        "docs/sni-check.schema.json is out of date; run UPDATE=1 cargo test --test json"
    );
}

/// An independent validator accepts objects of the check, diagnose and doctor, and refuses a wrong
/// object.
#[test]
fn a_validator_with_the_schema_accepts_the_objects() {
    let stage = Stage::new();
    let port = dead_port().to_string();
    let connect = format!("--connect=127.0.0.1:{port}");
    let server = format!("127.0.0.1:{port} check");
    let config = format!("backend b\n mode tcp\n server s {server}\n");
    let file = stage.folder.file("diagnosed.cfg", &config);
    let objects = [
        run_by_hand(&["--json", &connect, NAME]).stdout,
        stage.check(dead_port(), "--json").stderr,
        run_by_hand(&["diagnose", "--json", "--haproxy=none", "-f", &file]).stdout,
        run_by_hand(&["diagnose", "--json", "--haproxy=none", "-f", &file, "b/s"]).stdout,
        run_by_hand(&["diagnose", "--json", "--haproxy=none", &connect, NAME]).stdout,
        doctor(&stage, &config, &[]).stdout,
    ];
    let validator = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/target/linters/bin/check-jsonschema"
    );
    let accepts = |name: &str, text: &[u8]| {
        let file = stage.folder.join(name);
        std::fs::write(&file, text).expect("a file");
        let output = support::program(validator)
            .args(["--schemafile", SCHEMA, &file])
            .output()
            .expect("the validator runs");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    for (at, text) in objects.iter().enumerate() {
        let (accepted, message) = accepts(&format!("{at}.json"), text);
        assert!(accepted, "{message}: {}", String::from_utf8_lossy(text));
    }
    let mut wrong = object(&objects[0]);
    wrong["code"] = serde_json::json!("41");
    assert!(!accepts("wrong.json", wrong.to_string().as_bytes()).0);
}
