//! How little address space the release binary needs, and what happens with less.

use std::io::Write;
use std::process::ExitStatus;
use std::process::Stdio;

use crate::support::check::release_binary;
use crate::support::stage::Stage;
use crate::support::{peer, testing_page_says};

/// The address space that a check needs, in kilobytes. The README states it.
const ENOUGH: u32 = 5_000;

#[test]
#[allow(
    clippy::print_stdout,
    reason = "figures for whoever asks with --nocapture"
)]
fn little_address_space_is_enough_and_less_gives_a_code() {
    let stage = Stage::new();
    let endless = peer::tls(&stage.leaf, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let binary = release_binary().display().to_string();
    let check = |kilobytes: u32, options: &str| -> ExitStatus {
        let script = format!("ulimit -v {kilobytes}; exec \"$0\" \"$@\"");
        let shell = ["/bin/sh", "-c", &script, &binary];
        stage
            .command(&shell, endless, options)
            .stderr(Stdio::null())
            .status()
            .expect("a shell")
    };
    let (mut too_little, mut enough) = (1_000, 32_000);
    while enough - too_little > 8 {
        let middle = (too_little + enough) / 2;
        match check(middle, "").code() {
            Some(0) => enough = middle,
            _ => too_little = middle,
        }
    }
    println!("a healthy backend is 0 from {enough} kB of address space on");
    assert!(enough <= ENOUGH, "{enough} kB");
    testing_page_says(&format!("{} MB of address space", ENOUGH / 1_000));
    // With less, the kernel or the C library can't even load the program. With more, the check
    // always works.
    for kilobytes in (enough + 8..enough + 2_000).step_by(50) {
        let status = check(kilobytes, "");
        assert_eq!(status.code(), Some(0), "{kilobytes} kB: {status}");
    }
    // A body that doesn't fit into memory has its own code, because that isn't the backend's fault.
    let body = "--max-body 1m --expect 'string y'";
    let status = check(enough + 300, body);
    assert_eq!(status.code(), Some(1), "{status}");
    assert_eq!(check(enough + 32_000, body).code(), Some(75));
}
