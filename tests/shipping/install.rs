//! `make install`.

use crate::tools::{cargo, run, tool, workspace};

#[test]
fn make_install_puts_everything_below_destdir_and_prefix() {
    run(cargo().args(["build", "--release", "--locked"]));
    let place = workspace("make install");
    run(tool("make")
        .args(["install", "PREFIX=/usr"])
        .arg(format!("DESTDIR={}", place.display())));
    let files = run(tool("find")
        .arg(&place)
        .args(["-type", "f", "-printf", "%m %P\\n"]));
    let mut files: Vec<&str> = files.lines().collect();
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "644 usr/share/bash-completion/completions/sni-check",
            "644 usr/share/fish/vendor_completions.d/sni-check.fish",
            "644 usr/share/man/man1/sni-check.1",
            "644 usr/share/zsh/site-functions/_sni-check",
            "755 usr/bin/sni-check",
        ]
    );
    let version = run(std::process::Command::new(place.join("usr/bin/sni-check")).arg("--version"));
    assert_eq!(
        version,
        format!("sni-check {}\n", env!("CARGO_PKG_VERSION"))
    );
}
