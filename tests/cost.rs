//! The cost of one check, in figures that hardly change from run to run. `make bench` measures times.
//!
//! The bounds hold for x86-64. Other processors count differently.
#![cfg(target_arch = "x86_64")]

mod support;

use std::process::{Command, Stdio};

use support::check::{haproxy_command, release_binary};
use support::cost::{instructions, page_faults};
use support::nginx::Nginx;
use support::pki::Ca;
use support::stage::Stage;
use support::{NAME, rsa_key};

/// The bound is slightly higher than our measurement, because compilers, libcs and the lengths of ECDSA
/// signatures differ. A real regression (a second key, a buffer of 128 KiB, another verification)
/// costs much more than this margin.
const INSTRUCTIONS: u64 = 2_480_000;
/// The kernel also maps the pages next to a touched page, so the layout of the binary has some
/// influence.
const PAGE_FAULTS: u64 = 83;

/// No other test in this file may start processes, because `page_faults` counts the faults of all
/// children.
#[test]
fn a_check_stays_within_its_cost_bounds() {
    let stage = Stage::with_ca(Ca::with_key("Test CA, RSA", rsa_key()));
    let [crt, key] = ["leaf.crt", "leaf.key"].map(|file| stage.folder.join(file));
    let nginx = Nginx::serve(|_, port| {
        format!(
            "server {{ listen 127.0.0.1:{port} ssl; ssl_protocols TLSv1.2;
                       ssl_certificate {crt}; ssl_certificate_key {key};
                       location / {{ return 200 \"all good\\n\"; }} }}"
        )
    });
    // The test runs a copy, as in an image or after `make install`. The number of pages that one
    // fault maps depends on how the file was written into the page cache. A linker writes its output
    // in small pieces.
    let binary = stage.folder.join("sni-check");
    std::fs::copy(release_binary(), &binary).expect("a copy");
    let check = || -> Command {
        let path = format!("--sni {NAME} {}", stage.trust);
        haproxy_command(&[&binary], &path, "127.0.0.1", &nginx.port.to_string())
    };

    let executed = instructions(&check(), Stdio::null());
    assert!(executed <= INSTRUCTIONS, "{executed} instructions");
    // The first run reads the binary from disk, so the test uses the minimum.
    let touched = (0..5).map(|_| page_faults(&mut check())).min();
    let touched = touched.expect("five runs");
    assert!(touched <= PAGE_FAULTS, "{touched} page faults");
}

#[test]
fn the_docs_state_the_cost_bounds() {
    let page = include_str!("../docs/costs.md");
    let millions = INSTRUCTIONS as f64 / 1e6;
    for row in [
        format!("| instructions, outside the kernel | {millions} million |"),
        format!("| page faults | {PAGE_FAULTS} |"),
    ] {
        assert!(page.contains(&row), "{row}");
    }
}
