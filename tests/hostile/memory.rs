//! How little address space the shipped binary needs.

use std::io::Write;
use std::process::Stdio;

use crate::support::check::{BINARY, haproxy_command, release_binary};
use crate::support::folder::Folder;
use crate::support::peer;
use crate::support::pki::Ca;
use crate::{Healthy, NAME, support};

/// What a check needs, in kilobytes; the README says so.
const ENOUGH: u32 = 5_000;

#[test]
fn the_least_address_space_is_small_and_more_never_does_harm() {
    let healthy = Healthy::new();
    let binary = release_binary().display().to_string();
    let check = |kilobytes: u32| {
        let script = format!("ulimit -v {kilobytes}; exec \"$0\" \"$@\"");
        let shell = ["/bin/sh", "-c", &script, &binary];
        let port = healthy.nginx.port.to_string();
        haproxy_command(&shell, &healthy.options, "127.0.0.1", &port)
            .stderr(Stdio::null())
            .status()
            .expect("a shell")
    };
    let (mut too_little, mut enough) = (1_000, 32_000);
    while enough - too_little > 8 {
        let middle = (too_little + enough) / 2;
        match check(middle).code() {
            Some(0) => enough = middle,
            _ => too_little = middle,
        }
    }
    println!("a healthy backend is 0 from {enough} kB of address space on");
    assert!(enough <= ENOUGH, "{enough} kB");
    support::readme_says(&format!("{} MB of address space", ENOUGH / 1_000));
    // Below, the kernel or the C library cannot even load it; from there on it is enough everywhere.
    for kilobytes in (enough..enough + 2_000).step_by(50) {
        assert_eq!(check(kilobytes).code(), Some(0), "{kilobytes} kB");
    }
}

#[test]
fn memory_that_runs_out_is_a_code_and_no_signal() {
    let folder = Folder::new();
    let ca = Ca::new();
    let trust = folder.file("ca.pem", &ca.pem);
    let port = peer::tls(&ca.leaf(&[NAME], 30), |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let options =
        format!("--sni {NAME} --timeout 10s --ca-file {trust} --max-body 16m --expect 'string y'");
    for (megabytes, code) in [(8, 1), (12, 1), (100, 75)] {
        let script = format!("ulimit -v {}; exec \"$0\" \"$@\"", megabytes << 10);
        let shell = ["/bin/sh", "-c", &script, BINARY];
        let output = haproxy_command(&shell, &options, "127.0.0.1", &port.to_string()).output();
        let output = output.expect("a shell");
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.code(),
            Some(code),
            "{megabytes} MB: {}: {line}",
            output.status
        );
    }
}
