//! The workflows of GitHub Actions.

use crate::tools::{root, run, tool};

#[test]
fn every_action_is_pinned_to_a_commit() {
    for file in std::fs::read_dir(root().join(".github/workflows")).expect("the workflows") {
        let text = std::fs::read_to_string(file.expect("a file").path()).expect("text");
        for action in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let (_, commit) = action.1.split_once('@').expect("a version");
            let commit: String = commit.chars().take_while(char::is_ascii_hexdigit).collect();
            assert_eq!(commit.len(), 40, "{}", action.1);
        }
    }
}

#[test]
fn binaries_and_images_are_built_with_the_same_rust() {
    let text = |name: &str| std::fs::read_to_string(root().join(name)).expect(name);
    let image = text("docker/Dockerfile");
    let (_, image) = image.split_once("RUST_IMAGE=rust:").expect("an image");
    let (version, _) = image.split_once("-alpine").expect("a tag for Alpine");
    for file in ["ci", "release"] {
        let workflow = text(&format!(".github/workflows/{file}.yml"));
        let installed: Vec<&str> = workflow
            .split("rustup toolchain install ")
            .skip(1)
            .collect();
        assert!(!installed.is_empty(), "{file}");
        for words in installed {
            assert!(words.starts_with(&format!("{version}.")), "{file}: {words}");
        }
    }
}

#[test]
fn actionlint_and_shellcheck_report_nothing() {
    // actionlint checks the scripts of `run:` only if it finds shellcheck. The test names the
    // files, because actionlint looks for them only in a clone.
    let workflows =
        ["advisories", "ci", "release"].map(|name| format!(".github/workflows/{name}.yml"));
    let mut actionlint = tool("actionlint");
    let said = run(actionlint
        .args(["-shellcheck", "shellcheck"])
        .args(workflows));
    assert_eq!(said, "");
    run(tool("shellcheck").args([
        ".ci/run",
        "docker/certificate.sh",
        "packaging/completions/sni-check.bash",
    ]));
    // rpm's scripts have no `#!` line, so the test tells shellcheck to read them as sh.
    run(tool("shellcheck").args([
        "--shell=sh",
        "packaging/cross.sh",
        "packaging/debian/postinst",
        "packaging/debian/prerm",
        "packaging/rpm/post-install.sh",
        "packaging/rpm/pre-uninstall.sh",
        "packaging/rpm/post-uninstall.sh",
    ]));
}

#[test]
fn zizmor_finds_no_injection_and_no_unnecessary_permission() {
    run(tool("zizmor").args(["--offline", "--persona", "pedantic", ".github"]));
}
