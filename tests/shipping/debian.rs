//! The Debian package: building, installing, using and removing it.

use std::path::PathBuf;
use std::sync::LazyLock;

use crate::root::Root;
use crate::support::NAME;
use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::stage::Stage;
use crate::tools::{readme, run, tool};

/// The package that `make deb` builds.
static PACKAGE: LazyLock<PathBuf> = LazyLock::new(|| {
    let output = run(tool("make").args(["--silent", "deb"]));
    let package = output.lines().rfind(|line| line.ends_with(".deb"));
    PathBuf::from(package.unwrap_or_else(|| panic!("no package is named: {output}")))
});

/// Installs the package with the README's commands.
fn install(root: &Root) {
    let folder = Folder::new();
    let place = folder.path().join("target/debian");
    std::fs::create_dir_all(&place).expect("a folder");
    let name = PACKAGE.file_name().expect("a name");
    std::fs::copy(&*PACKAGE, place.join(name)).expect("a copy");
    let commands = readme("sh", "dpkg --install").replace("make deb\n", "");
    root.sh(&format!("cd {}\n{commands}", folder.path().display()));
}

#[test]
fn lintian_reports_nothing() {
    let found = run(tool("lintian")
        .args(["--fail-on", "error,warning"])
        .arg(&*PACKAGE));
    assert_eq!(found, "");
}

#[test]
fn the_package_contains_program_manual_completions_and_examples() {
    let root = Root::new();
    install(&root);
    let version = root.sh("cd / && sni-check --version");
    assert_eq!(
        version,
        format!("sni-check {}\n", env!("CARGO_PKG_VERSION"))
    );
    let manual = root.sh("MANPAGER=cat MANWIDTH=80 man sni-check");
    assert!(manual.contains("EXIT STATUS"), "{manual}");

    let bash = ". /usr/share/bash-completion/bash_completion; _completion_loader sni-check; complete -p sni-check";
    let zsh = "autoload -Uz compinit; compinit -u -D; print -r -- $_comps[sni-check]";
    let fish = "complete -C 'sni-check --verify-h' | string split -f 1 \\t";
    for (shell, options, script, answer) in [
        (
            "/bin/bash",
            "--norc",
            bash,
            "complete -F _sni_check sni-check\n",
        ),
        ("/bin/zsh", "-f", zsh, "_sni-check\n"),
        ("/usr/bin/fish", "--private", fish, "--verify-host\n"),
    ] {
        let found = run(root.command(shell).args([options, "-c", script]));
        assert_eq!(found, answer, "{shell}");
    }

    let documents = root.sh("cd /usr/share/doc/sni-check && ls -1 . examples");
    let examples = run(tool("ls").args(["-1", "haproxy"]));
    assert_eq!(
        documents,
        format!(
            ".:\nREADME.md\nSECURITY.md\nchangelog.gz\ncopyright\ndocs\nexamples\nthird-party\n\nexamples:\n{examples}"
        )
    );

    let named = root.sh("grep -h 'presetenv SNI_CHECK' /usr/share/doc/sni-check/examples/*.cfg");
    let mut named = named.lines().map(str::trim).peekable();
    assert!(named.peek().is_some());
    assert!(named.all(|line| line == "presetenv SNI_CHECK /usr/bin/sni-check"));
}

#[test]
fn removing_the_package_leaves_nothing() {
    let root = Root::new();
    let before = root.changes();
    install(&root);
    let files = root.sh("dpkg --listfiles sni-check");
    assert!(files.contains("/usr/bin/sni-check\n"), "{files}");
    root.sh("dpkg --remove sni-check");
    // The package has no configuration files, so nothing is left for a purge.
    let status = root.sh("dpkg-query --show --showformat '${Status}' sni-check || true");
    assert_eq!(status, "");
    // dpkg's own records and the index of manual pages may change.
    let others = ["/var/lib/dpkg/", "/var/log/", "/var/cache/man/"];
    let changes = root.changes();
    let left: Vec<&String> = changes
        .difference(&before)
        .filter(|path| !others.iter().any(|other| path.starts_with(other)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let traces =
        root.sh("find /usr /etc /var -xdev -name '*sni-check*' -not -path '/var/cache/man/*'");
    assert_eq!(traces, "");
}

#[test]
fn an_upgrade_restarts_serve_and_removal_stops_it() {
    let root = Root::new();
    let folder = Folder::new();
    let calls = folder.file("calls", "");
    root.pretend_systemd(&calls);
    let called = || {
        let called = std::fs::read_to_string(&calls).expect("the calls");
        std::fs::write(&calls, "").expect("a file");
        called
    };
    install(&root);
    assert_eq!(called(), "--system daemon-reload\n");
    install(&root);
    assert_eq!(
        called(),
        "--system daemon-reload\ntry-restart sni-check.service\n"
    );
    root.sh("dpkg --remove sni-check");
    assert_eq!(called(), "stop sni-check.socket sni-check.service\n");
}

/// Debian's HAProxy runs as a daemon with chroot /var/lib/haproxy and uses the package's example.
#[test]
fn the_readmes_recipe_for_a_chroot_works_unchanged() {
    let root = Root::new();
    install(&root);
    root.sh(&readme("sh", "/var/lib/haproxy/"));

    let stage = Stage::new();
    let ca_file = &stage.ca_file;
    root.sh(&format!("install -m 644 {ca_file} /var/lib/haproxy/ca.pem"));
    let haproxy = Haproxy::start_by(
        root.command("/usr/sbin/haproxy"),
        Mode::Daemon,
        "/usr/share/doc/sni-check/examples/chroot-daemon.cfg",
        &[
            ("HYBRID_STACK_HOST", "127.0.0.1"),
            ("HYBRID_STACK_PORT", &stage.nginx().port.to_string()),
            ("SNI_HOST", NAME),
            ("CHECK_INTER", "500ms"),
            ("CHECK_CA_FILE", "/ca.pem"),
            ("SERVER_CA_FILE", ca_file),
        ],
    );
    haproxy.wait_for_code("hybrid", "blue", "0");
    haproxy.wait_for_status("hybrid", "blue", "UP");
    assert_eq!(haproxy.get("/"), Some(200));
}
