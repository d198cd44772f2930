//! The reports in docs/diagnose.md match what diagnose prints for real servers.
//!
//! `UPDATE=1 cargo test --test diagnose readme` updates the page.

use crate::support::NAME;
use crate::support::check::{BINARY, run_by_hand, stdout};
use crate::support::folder::Folder;
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::pki::Ca;
use crate::support::{dead_port, program};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/diagnose.md");

/// Replaces times and dates in the text with placeholders, and joins its lines.
fn normalised(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let words = line.split_whitespace().collect::<Vec<_>>();
        let mut kept: Vec<String> = Vec::new();
        for word in words {
            let is_time = word.parse::<f64>().is_ok() && word.contains('.');
            let is_date = word.trim_end_matches(',').len() == 10
                && word.starts_with("20")
                && word.contains('-');
            kept.push(match (is_time, is_date) {
                (true, _) => "TIME".to_owned(),
                (_, true) => "DATE".to_owned(),
                _ => word.to_owned(),
            });
        }
        lines.push(kept.join(" "));
    }
    // Line breaks depend on the length of the times, so join the lines.
    lines
        .join(" ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the report about a server, with the addresses and file names that the documentation uses
/// (RFC 5737).
fn report(ca: &Ca, port: u16) -> String {
    let folder = Folder::new();
    let ca_file = folder.file("company.pem", &ca.pem);
    let connect = format!("127.0.0.1:{port}");
    let output = run_by_hand(&[
        "diagnose",
        "--timeout=10s",
        "--ca-file",
        &ca_file,
        "--connect",
        &connect,
        NAME,
    ]);
    let call = format!("$ sni-check diagnose --ca-file {ca_file} --connect {connect} {NAME}\n");
    (call + &stdout(&output))
        .replace(" --timeout 10s", "")
        .replace(" inter 10500ms", "")
        .replace("    timeout check 10000ms\n", "")
        .replace(&version(), "2.6.12")
        .replace(&connect, "203.0.113.7:443")
        .replace(&format!(":{port} "), ":443 ")
        .replace(NAME, "www.example.com")
        .replace(BINARY, "/usr/local/bin/sni-check")
        .replace(&folder.path().display().to_string(), "/etc/haproxy")
}

/// Returns HAProxy's version as the report shows it.
pub fn version() -> String {
    let output = program("haproxy").arg("-v").output().expect("haproxy");
    let text = stdout(&output);
    let mut words = text.split_whitespace();
    words.find(|word| *word == "version").expect("a version");
    words.next().expect("a version").to_owned()
}

#[track_caller]
fn assert_documented(title: &str, report: &str) {
    let page = std::fs::read_to_string(PATH).expect("the page");
    let begin = format!("\n### {title}\n\n```\n");
    let (before, rest) = page.split_once(&begin).expect(title);
    let (shown, after) = rest.split_once("\n```\n").expect(title);
    if std::env::var_os("UPDATE").is_some() {
        let report = report.trim_end();
        std::fs::write(PATH, format!("{before}{begin}{report}\n```\n{after}")).expect("the page");
        return;
    }
    assert_eq!(
        normalised(shown),
        normalised(report),
        "UPDATE=1 cargo test --test diagnose readme"
    );
}

#[test]
fn the_documented_reports_are_real() {
    // Certificates from real CAs usually have a common name, so these certificates have one, too.
    let leaf = |ca: &Ca| {
        ca.leaf_with(&[NAME], |params| {
            let now = time::OffsetDateTime::now_utc();
            params.not_before = now - time::Duration::days(30);
            params.not_after = now + time::Duration::days(60) + time::Duration::hours(1);
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, NAME);
        })
    };
    let root = Ca::named("Company Root");
    let named = leaf(&root);
    let nginx = Nginx::serve(|folder, port| {
        refusal(port) + &site((folder, port), "", NAME, (&named, &[]), "")
    });
    assert_documented("A server that requires SNI", &report(&root, nginx.port));
    let middle = root.intermediate("Company Intermediate");
    let named = leaf(&middle);
    let nginx = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&named, &[]), ""));
    assert_documented("An incomplete chain", &report(&root, nginx.port));
    assert_documented("A dead port", &report(&root, dead_port()));
}
