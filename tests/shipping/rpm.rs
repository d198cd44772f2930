//! The RPM package: building it, and installing, using and removing it with Debian's rpm.

use std::path::PathBuf;
use std::sync::LazyLock;

use crate::root::Root;
use crate::support::folder::Folder;
use crate::tools::{root, run, tool};

/// The package that `make rpm` builds.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    run(tool("make").args(["--silent", "rpm"]));
    let start = format!("sni-check-{}-", env!("CARGO_PKG_VERSION"));
    let files = std::fs::read_dir(root().join("target/rpm")).expect("the folder");
    let mut files = files.map(|file| file.expect("a file").path());
    let is_package = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(&start) && name.ends_with(".rpm")
    };
    files.find(is_package).expect("a package")
});

#[test]
fn rpmlint_reports_nothing_unexpected() {
    let report = run(tool("rpmlint")
        .args(["--config", "packaging/rpm/rpmlint.toml"])
        .arg(&*PACKAGE));
    assert!(report.contains("0 errors, 0 warnings"), "{report}");
}

#[test]
fn the_package_has_the_files_of_the_deb() {
    let files = run(tool("rpm").args(["-qlp"]).arg(&*PACKAGE));
    let mut files: Vec<&str> = files.lines().collect();
    let places = ["/usr/share/doc/sni-check", "/usr/share/licenses/sni-check"];
    files.retain(|file| !places.iter().any(|place| file.starts_with(place)));
    assert_eq!(
        files,
        [
            "/usr/bin/sni-check",
            "/usr/lib/systemd/system/sni-check.service",
            "/usr/lib/systemd/system/sni-check.socket",
            "/usr/share/bash-completion/completions/sni-check",
            "/usr/share/fish/vendor_completions.d/sni-check.fish",
            "/usr/share/man/man1/sni-check.1.gz",
            "/usr/share/zsh/site-functions/_sni-check",
        ]
    );
}

/// The test installs with `--nodeps`, because Debian's rpm doesn't know that this root has /bin/sh.
#[test]
fn an_upgrade_restarts_serve_and_removal_leaves_nothing() {
    let root = Root::new();
    let folder = Folder::new();
    let package = folder.path().join("sni-check.rpm");
    std::fs::copy(&*PACKAGE, &package).expect("a copy");
    let calls = folder.file("calls", "");
    root.pretend_systemd(&calls);
    let before = root.changes();
    let package = package.display();
    let rpm = |words: &str| {
        root.sh(&format!(
            "rpm --dbpath /var/lib/rpm --force-debian --nodeps {words}"
        ));
        let called = std::fs::read_to_string(&calls).expect("the calls");
        std::fs::write(&calls, "").expect("a file");
        called
    };
    assert_eq!(rpm(&format!("--install {package}")), "daemon-reload\n");
    let version = root.sh("sni-check --version");
    assert_eq!(
        version,
        format!("sni-check {}\n", env!("CARGO_PKG_VERSION"))
    );
    let upgraded = rpm(&format!("--upgrade --replacepkgs {package}"));
    assert!(
        upgraded.contains("try-restart sni-check.service"),
        "{upgraded}"
    );
    let removed = rpm("--erase sni-check");
    assert!(
        removed.contains("disable --now sni-check.socket"),
        "{removed}"
    );
    let changes = root.changes();
    let left = changes.difference(&before);
    let left: Vec<&String> = left.filter(|path| !path.starts_with("/var/")).collect();
    assert!(left.is_empty(), "{left:?}");
    let folders = root.sh("find /usr /etc -xdev -name '*sni-check*'");
    assert_eq!(folders, "");
}
