//! A clock that is wrong by decades. This machine's own clock is never set: libfaketime tells qemu
//! another time, and qemu runs the program. (A static binary reads the clock through the kernel's vDSO,
//! which qemu does not offer.)

use std::process::Output;

use rcgen::date_time_ymd;
use time::OffsetDateTime;

use crate::support::check::{BINARY, expect, haproxy_command};
use crate::support::folder::Folder;
use crate::support::peer::{OK, answer};
use crate::support::pki::{Ca, Leaf};
use crate::support::{NAME, program};

/// A check at another time, of a backend with this certificate.
fn check(time: &str, ca: &Ca, leaf: &Leaf) -> Output {
    let folder = Folder::new();
    let file = folder.file("ca.pem", &ca.pem);
    let port = answer(leaf, OK).to_string();
    let path = |name: &str| program(name).get_program().to_string_lossy().into_owned();
    let (faketime, qemu) = (path("faketime"), path("qemu-x86_64"));
    let command = [&faketime, "-f", time, &qemu, BINARY];
    let options = format!("--sni {NAME} --ca-file {file} --min-cert-days 1 --timeout 30s");
    haproxy_command(&command, &options, "127.0.0.1", &port)
        .env("TZ", "UTC")
        // The deadline's clock keeps running.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .output()
        .expect("faketime runs")
}

/// A CA and a leaf of it, both valid between these years.
fn valid(from: i32, to: i32) -> (Ca, Leaf) {
    let years = move |params: &mut rcgen::CertificateParams| {
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
    };
    let ca = Ca::with("Test CA", years);
    let leaf = ca.leaf_with(&[NAME], years);
    (ca, leaf)
}

#[test]
fn in_1970_and_in_2100() {
    let today = OffsetDateTime::now_utc().year();
    let (ca, leaf) = valid(today - 1, today + 2);
    // Just after the start of Unix time, where a machine without a battery starts.
    let early = "1970-01-01 00:00:05";
    let late = "2100-06-01 00:00:00";
    expect(&check(early, &ca, &leaf), 53, "(is this clock right?)");
    expect(&check(late, &ca, &leaf), 51, "expired");
    // A certificate of that time is good, until it has ended.
    let (ca, leaf) = valid(1970, 1971);
    expect(&check(early, &ca, &leaf), 0, "");
    expect(&check("1971-01-01 00:00:05", &ca, &leaf), 51, "expired");
    let (ca, leaf) = valid(2099, 2101);
    expect(&check(late, &ca, &leaf), 0, "");
    expect(
        &check("2100-12-31 12:00:00", &ca, &leaf),
        57,
        "ends in 0 days",
    );
    // 32-bit counts of seconds end in 2038 and in 2106.
    let (ca, leaf) = valid(2037, 2110);
    for time in ["2038-01-19 03:14:08", "2106-02-07 06:28:16"] {
        expect(&check(time, &ca, &leaf), 0, "");
    }
}
