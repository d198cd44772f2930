//! `make demo`'s story comes out as told.

mod support;

use std::process::Command;

use support::check::{BINARY, example};

#[test]
fn the_story_comes_out_as_told() {
    let output = Command::new(example("demo"))
        .arg(BINARY)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{log}");
    for part in [
        "DOWN 65 L6RSP",
        "builtin   DOWN     L6RSP",
        "sni       UP       PROCOK    0",
        "GET / -> 200",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
