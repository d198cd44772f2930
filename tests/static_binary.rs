//! The result of a plain `cargo build --release`: a small static binary that runs in an empty
//! chroot.

mod support;

use std::fs;
use std::process::{Command, Output};

use support::check::{BINARY, expect, haproxy_command, release_binary};
use support::folder::Folder;
use support::stage::Stage;
use support::{NAME, program};

fn text(output: Output) -> String {
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_binary_is_small_and_static_and_runs_in_an_empty_chroot() {
    let binary = release_binary();
    let size = fs::metadata(&binary).expect("the binary").len();
    assert!(size <= 4_450_000, "{size} bytes");
    assert!(include_str!("../docs/costs.md").contains("| the binary | 4.45 MB |"));

    let elf = |option| {
        text(
            program("readelf")
                .args([option, "-W"])
                .arg(&binary)
                .output()
                .expect("readelf runs"),
        )
    };
    assert!(elf("-h").contains("EXEC (Executable file)"));
    let segments = elf("-l");
    assert!(
        segments.contains("LOAD") && !segments.contains("INTERP"),
        "{segments}"
    );
    let dynamic = elf("-d");
    assert!(dynamic.contains("There is no dynamic section"), "{dynamic}");

    let stage = Stage::new();
    let chroot = Folder::new();
    chroot.file("ca.pem", &stage.ca.pem);
    chroot.copy(&binary.display().to_string(), "sni-check", 0o755);
    let port = stage.nginx().port.to_string();
    // The program starts like a check of a daemonised HAProxy: descriptors 0 to 2 are closed, it
    // has no privileges, and its chroot is empty. PATH holds the check's options, so the script
    // names every other program with its full path.
    let script = format!(
        "exec /usr/bin/setpriv --no-new-privs /usr/sbin/chroot --userspec=65534:65534 {} /sni-check \"$@\" 0<&- 1>&- 2>&-",
        chroot.path().display()
    );
    for (path, code) in [
        ("--sni www.example.test --ca-file /ca.pem", 0),
        ("--sni wrong.example.test --ca-file /ca.pem", 65),
        ("--snl www.example.test", 2),
    ] {
        let shell = ["/bin/sh", "-c", &script, "sni-check"];
        let status = haproxy_command(&shell, path, "127.0.0.1", &port)
            .status()
            .expect("a shell");
        assert_eq!(status.code(), Some(code), "{path}");
    }
}

#[test]
fn resolving_a_name_loads_no_library() {
    let (stage, chroot) = (Stage::new(), Folder::new());
    chroot.copy(BINARY, "sni-check", 0o755);
    chroot.file("ca.pem", &stage.ca.pem);
    chroot.file("etc/hosts", "127.0.0.1 backend.example.test\n");
    // glibc would load a name service module as a library, although the module is built for the
    // host's libc and not for the binary's. This module is a pipe, so opening it would hang.
    chroot.file("etc/nsswitch.conf", "hosts: sentinel files dns\n");
    let module = chroot.join("lib/libnss_sentinel.so.2");
    fs::create_dir(chroot.path().join("lib")).expect("a folder");
    let made = program("mkfifo").arg(&module).status();
    assert!(made.expect("mkfifo runs").success());

    let shell = ["/usr/sbin/chroot", &chroot.join("."), "/sni-check"];
    let options = format!("--sni {NAME} --ca-file /ca.pem --connect backend.example.test");
    let port = stage.nginx().port.to_string();
    let output = haproxy_command(&shell, &options, "127.0.0.1", &port)
        .output()
        .expect("chroot runs");
    expect(&output, 0, "");
}

#[test]
fn asking_for_backtraces_changes_no_refusal() {
    // The binary has no tables for a backtrace, so an attempt to make a backtrace would kill the
    // program.
    let output = Command::new(release_binary())
        .arg("--snl")
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("the program runs");
    expect(&output, 2, "did you mean --sni?");
}
