//! The default roots: sni-check uses Mozilla's roots, and HAProxy uses the system's roots.

use std::process::Command;

use crate::report::load;
use crate::support::NAME;
use crate::support::check::{BINARY, stdout};
use crate::support::folder::Folder;
use crate::support::nginx::{Nginx, site};
use crate::support::pki::Ca;
use crate::support::program;

/// Returns a command that runs a program on a system that trusts only the CA in this folder.
fn trusting(certs: &str) -> Command {
    let mut command = program("unshare");
    let script = "mount --bind \"$0\" /etc/ssl/certs && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, certs]);
    command
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR");
    command
}

#[test]
fn the_printed_lines_work_with_the_systems_roots() {
    let (folder, ca) = (Folder::new(), Ca::new());
    folder.file("certs/ca-certificates.crt", &ca.pem);
    let certs = folder.join("certs");
    let nginx = Nginx::serve(|folder, port| {
        site((folder, port), "", NAME, (&ca.leaf(&[NAME], 30), &[]), "")
    });
    let connect = format!("127.0.0.1:{}", nginx.port);
    let diagnose = |more: &[&str]| {
        let mut command = trusting(&certs);
        command
            .args([BINARY, "diagnose", "--verbose", "--connect", &connect])
            .args(more);
        command.arg(NAME).output().expect("unshare runs")
    };
    let bundled = diagnose(&[]);
    assert_eq!(bundled.status.code(), Some(55), "{bundled:?}");
    let text = stdout(&bundled);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("this system's roots"), "{text}");
    assert!(text.contains("L6OK         check ssl check-sni www.example.test verify required"));
    let output = diagnose(&["--ca-file", "@system-ca"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = stdout(&output);
    let (_, cure) = text
        .split_once("own check (tried: check UP, visitors get 200):\n\n")
        .expect("the printed lines");
    let (builtin, external) = cure
        .split_once("\nFor haproxy.cfg, with sni-check (tried: check UP, visitors get 200):\n\n")
        .expect("lines for both checks");
    let external = external.split("\nWhat was seen").next().expect("the lines");
    for snippet in [builtin, external] {
        assert!(
            snippet.contains("verify required ca-file @system-ca"),
            "{snippet}"
        );
        let haproxy = load(trusting_haproxy(&certs), &folder, snippet);
        haproxy.wait_for_status("be", "s1", "UP");
        drop(haproxy);
    }
}

fn trusting_haproxy(certs: &str) -> Command {
    let mut command = trusting(certs);
    command.arg(program("haproxy").get_program());
    command
}
