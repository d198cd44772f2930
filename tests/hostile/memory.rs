//! The memory that the release binary needs: address space for an ordinary check, and memory for
//! large revocation lists.

use std::io::Write;
use std::process::ExitStatus;
use std::process::Stdio;

use crate::support::check::{example, release_binary};
use crate::support::stage::Stage;
use crate::support::{peer, testing_page_says};

/// The address space that a check needs, in kilobytes. docs/testing.md states it.
const ENOUGH: u32 = 5_000;

#[test]
#[allow(clippy::print_stdout, reason = "--nocapture shows the figures")]
fn a_check_needs_little_address_space() {
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
    println!("a check of a healthy backend exits 0 with {enough} kB of address space");
    assert!(enough <= ENOUGH, "{enough} kB");
    testing_page_says(&format!("{} MB of address space", ENOUGH / 1_000));
    // With less, the kernel or the C library can't even load the program. With more, the check always
    // works.
    for kilobytes in (enough + 8..enough + 2_000).step_by(50) {
        let status = check(kilobytes, "");
        assert_eq!(status.code(), Some(0), "{kilobytes} kB: {status}");
    }
    // A body that doesn't fit into memory gives code 1, because that isn't the backend's fault.
    let body = "--max-body 1m --expect 'string y'";
    let status = check(enough + 300, body);
    assert_eq!(status.code(), Some(1), "{status}");
    assert_eq!(check(enough + 32_000, body).code(), Some(75));
}

/// The memory that a check may need in addition to the size of its revocation list, in KiB.
/// docs/costs.md states this figure.
const BESIDES_THE_LIST: u64 = 4_000;

/// The largest lists of public CAs have more than a million entries. A table of the entries would
/// need ten times as much memory as the file.
#[test]
#[allow(clippy::print_stdout, reason = "--nocapture shows the figures")]
fn a_check_needs_little_more_memory_than_its_revocation_list() {
    let stage = Stage::new();
    let [measure, binary] =
        [example("measure"), release_binary()].map(|file| file.display().to_string());
    let result = stage.folder.join("result");
    for (entries, revoked, code) in [
        (20_000, &[][..], "0"),
        (20_000, &[&stage.leaf], "56"),
        (1_300_000, &[], "0"),
    ] {
        let text = stage.ca.large_crl(entries, revoked);
        let list = stage.folder.file("large.crl", &text);
        let options = format!("--quiet --crl-file {list}");
        let runner = [&measure, &result, "", &binary];
        let mut check = stage.command(&runner, stage.nginx().port, &options);
        check.status().expect("the program runs");
        let figures = std::fs::read_to_string(&result).expect("figures");
        let figures: Vec<&str> = figures.split(' ').collect();
        assert_eq!(figures[0], code, "{entries} entries");
        let (size, cpu) = (text.len() as u64 / 1024, figures[3]);
        let memory: u64 = figures[4].parse().expect("a number");
        println!("{entries} entries, {size} KiB: {memory} KiB of memory, {cpu} µs of CPU");
        assert!(memory <= size + BESIDES_THE_LIST, "{entries}: {memory} KiB");
    }
    let page = include_str!("../../docs/costs.md");
    let most = format!(
        "at most {} MB more than the size of this file",
        BESIDES_THE_LIST / 1000
    );
    assert!(page.contains(&most), "docs/costs.md lacks: {most}");
}
