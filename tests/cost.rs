//! What one check costs, in the figures that every run repeats. Times are for `make bench`.
//!
//! The bounds are those of x86-64; another processor's instructions are others.
#![cfg(target_arch = "x86_64")]

mod support;

use std::process::{Command, Stdio};

use support::check::{haproxy_command, release_binary};
use support::cost::{instructions, page_faults};
use support::folder::Folder;
use support::nginx::Nginx;
use support::pki::Ca;
use support::rsa_key;

const NAME: &str = "www.example.test";

/// A little above what was reached, for another compiler, another libc, and the length of an
/// ECDSA signature, which differs from one handshake to the next. What really makes a check dearer
/// (a second key, a buffer of 128 KiB, another verification) is well above.
const INSTRUCTIONS: u64 = 2_400_000;
/// The kernel maps what is near a touched page too, so where things lie in the image matters a bit.
const PAGE_FAULTS: u64 = 80;

/// The only test here that has children, so that no other's are counted.
#[test]
fn a_check_costs_no_more_than_it_has_to() {
    let folder = Folder::new();
    let ca = Ca::with_key("Test CA, RSA", rsa_key());
    let leaf = ca.leaf(&[NAME], 30);
    let (crt, key) = (
        folder.file("crt", &leaf.crt_pem),
        folder.file("key", &leaf.key_pem),
    );
    let ca_file = folder.file("ca.pem", &ca.pem);
    let nginx = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2;
                       ssl_certificate {crt}; ssl_certificate_key {key};
                       location / {{ return 200 \"all good\\n\"; }} }}"
        )
    });
    let binary = release_binary().display().to_string();
    let check = || -> Command {
        let path = format!("--sni {NAME} --ca-file {ca_file}");
        haproxy_command(&[&binary], &path, "127.0.0.1", &nginx.port.to_string())
    };

    let executed = instructions(&check(), Stdio::null());
    assert!(executed <= INSTRUCTIONS, "{executed} instructions");
    // The first run reads the image from the disk.
    let touched = (0..5).map(|_| page_faults(&mut check())).min();
    let touched = touched.expect("five runs");
    assert!(touched <= PAGE_FAULTS, "{touched} page faults");
}

#[test]
fn the_readme_states_these_bounds() {
    let readme = include_str!("../README.md");
    let millions = INSTRUCTIONS as f64 / 1e6;
    for row in [
        format!("| instructions, outside the kernel | {millions} million |"),
        format!("| page faults | {PAGE_FAULTS} |"),
    ] {
        assert!(readme.contains(&row), "{row}");
    }
}
