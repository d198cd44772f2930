//! `make demo` shows the results that its text promises.

mod support;

use std::path::Path;
use std::process::Command;

use support::check::{BINARY, example, expect};
use support::haproxy::{Version, with_every_haproxy};
use support::{leave_out_package, program};

#[test]
fn the_demo_works_with_every_haproxy() {
    let demo = example("demo");
    with_every_haproxy(|haproxy| assert_story(&demo, haproxy));
}

#[test]
fn make_demo_builds_and_runs_it() {
    let mut make = program("make");
    let demo = make.arg("demo").current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = leave_out_package(demo).output().expect("make runs");
    expect(&output, 0, "");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.ends_with("That is all.\n"), "{text}");
}

fn assert_story(demo: &Path, haproxy: &Version) {
    let output = Command::new(demo)
        .arg(BINARY)
        .env("HAPROXY", &haproxy.program)
        .output()
        .expect("the demo runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{log}");
    for part in [
        "DOWN 65 L6RSP",
        "builtin   DOWN     L6RSP",
        "sni       UP       PROCOK    0",
        "GET / -> 503",
        "cause    The check sends no SNI",
        "check-sni www.example.test",
        "builtin   UP       L6OK",
        "GET / -> 200",
    ] {
        let version = &haproxy.number;
        assert!(text.contains(part), "HAProxy {version}: {part}: {text}");
    }
}
