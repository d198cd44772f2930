//! Options that the check refuses, and files that it can't read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::configuration::{checked, finding, foretells, in_chroot, json, shows};
use crate::support::stage::Stage;
use crate::support::{NAME, program};

const PROBLEM: &str = "problem";
const SERVER: &str = "127.0.0.1:PORT TLS check inter 500ms";

/// Asserts that doctor finds this problem, and that HAProxy shows code 2. Returns the finding's sentence.
#[track_caller]
fn refused(stage: &Stage, id: &str, options: &str, server: &str) -> String {
    let options = format!("{options} --timeout 400ms");
    let backend = checked("/sni-check", &options, server);
    let config = in_chroot(stage, &backend);
    let report = foretells(&config, &[(id, PROBLEM)], "PROCERR", "2");
    finding(&report, id)["what"]
        .as_str()
        .expect("text")
        .to_owned()
}

#[test]
fn doctor_and_the_check_refuse_options_with_the_same_sentence() {
    let stage = Stage::new();
    for (options, sentence) in [
        (
            "--snl www.example.test",
            "--snl is not an option; did you mean --sni?",
        ),
        (
            "--sni www.example.test --no-sni",
            "--sni and --no-sni contradict each other; give only one of them",
        ),
        (
            "--sni www.example.test --uri",
            "--uri has no value before --timeout; write a value after the option, or set the variable that the value comes from",
        ),
        ("--sni www.example.test --expect 'status many'", "--expect"),
        (
            "--sni 'www.example.test",
            "external-check path has a quote that is not closed; close the quote",
        ),
        (
            "--sni www.example.test --color never",
            "--color is for diagnose; leave it out here",
        ),
    ] {
        let what = refused(&stage, "options", options, SERVER);
        assert!(what.contains(sentence), "{options}: {what}");
        // The check itself prints the same sentence.
        let options = format!("{options} --timeout 400ms");
        let output = crate::support::check::under_haproxy(&options, "127.0.0.1", "1");
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        let said = what
            .rsplit_once("refuse its options: ")
            .expect("a sentence")
            .1;
        let said = said.lines().next().expect("a line");
        assert!(line.contains(said), "{line} / {said}");
    }
}

#[test]
fn doctor_finds_that_a_check_has_no_sni_name() {
    let stage = Stage::new();
    let what = refused(&stage, "no-sni-name", "--ca-file /ca.pem", SERVER);
    assert!(what.contains("no SNI name"), "{what}");
    // If the server line gives the server a host name as its name, the check uses this name as the SNI name.
    let backend = checked("/sni-check", "--ca-file /ca.pem --timeout 400ms", SERVER);
    let backend = backend.replace("server s ", &format!("server {NAME} "));
    let config = in_chroot(&stage, &backend);
    assert_eq!(json(&["-f", &config]).1, 0);
    shows(&config, NAME, "PROCOK", "0");
}

#[test]
fn doctor_finds_servers_to_which_the_check_cannot_connect() {
    let stage = Stage::new();
    let options = "--sni www.example.test --ca-file /ca.pem";
    let what = refused(
        &stage,
        "options",
        options,
        "127.0.0.1 TLS check inter 500ms port PORT",
    );
    assert!(what.contains("gives no port"), "{what}");
    let what = refused(
        &stage,
        "options",
        options,
        "abns@nowhere TLS check inter 500ms",
    );
    assert!(what.contains("abstract unix socket"), "{what}");
}

#[test]
fn a_path_that_begins_with_the_chroot_is_shortened() {
    let stage = Stage::new();
    let root = stage.chroot();
    let options = format!("--sni {NAME} --ca-file {root}/ca.pem --timeout 400ms");
    let config = in_chroot(&stage, &checked("/sni-check", &options, SERVER));
    let report = foretells(&config, &[("file", "problem")], "PROCERR", "2");
    assert_eq!(finding(&report, "file")["write"], "--ca-file /ca.pem");
    let options = format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms");
    let command = format!("{root}/sni-check");
    let config = in_chroot(&stage, &checked(&command, &options, SERVER));
    let report = foretells(&config, &[("command", "problem")], "PROCERR", "255");
    let write = &finding(&report, "command")["write"];
    assert_eq!(write, "external-check command /sni-check");
}

#[test]
fn doctor_finds_files_that_are_not_in_the_chroot() {
    let stage = Stage::new();
    let outside = stage.folder.file("outside.pem", &stage.ca.pem);
    for (option, file) in [
        ("--ca-file", &outside[..]),
        ("--crl-file", "/none.pem"),
        ("--crt", "/none.pem"),
        ("--header", "@/none"),
    ] {
        let what = refused(
            &stage,
            "file",
            &format!("--sni {NAME} {option} {file}"),
            SERVER,
        );
        let file = file.trim_start_matches('@');
        assert!(
            what.contains(&format!("{option} {file} is not in the chroot")),
            "{what}"
        );
    }
    let what = refused(
        &stage,
        "file",
        &format!("--sni {NAME} --ca-file @system-ca"),
        SERVER,
    );
    assert!(what.contains("has no CA certificates"), "{what}");
}

#[test]
fn doctor_finds_files_that_haproxys_user_may_not_read() {
    let stage = Stage::new();
    let private = stage.folder.file("root/private.pem", &stage.ca.pem);
    fs::set_permissions(&private, fs::Permissions::from_mode(0o600)).expect("permissions");
    let closed = stage.folder.file("root/closed/ca.pem", &stage.ca.pem);
    let closed = std::path::Path::new(&closed).parent().expect("a folder");
    fs::set_permissions(closed, fs::Permissions::from_mode(0o700)).expect("permissions");
    for file in ["/private.pem", "/closed/ca.pem"] {
        let what = refused(
            &stage,
            "file",
            &format!("--sni {NAME} --ca-file {file}"),
            SERVER,
        );
        assert!(what.contains("user nobody may not read it"), "{what}");
    }
}

#[test]
fn a_file_without_a_certificate_is_named_as_in_the_configuration() {
    let stage = Stage::new();
    stage.folder.file("root/empty.pem", "");
    let what = refused(
        &stage,
        "options",
        &format!("--sni {NAME} --ca-file /empty.pem"),
        SERVER,
    );
    assert!(
        what.ends_with(
            "--ca-file /empty.pem has no certificate in it; give certificates in PEM format"
        ),
        "{what}"
    );
}

#[test]
fn doctor_finds_a_variable_that_is_not_set_here() {
    let stage = Stage::new();
    let backend = checked(
        "/sni-check",
        "--sni ${SNI_HOST} --ca-file /ca.pem --timeout 400ms",
        SERVER,
    );
    let config = in_chroot(&stage, &backend);
    let expected = [("unset-variables", "note"), ("options", PROBLEM)];
    let report = foretells(&config, &expected, "PROCERR", "2");
    assert_eq!(finding(&report, "unset-variables")["about"][0], "SNI_HOST");
    let shows = finding(&report, "options")["shows"].as_str().expect("text");
    assert!(
        shows.ends_with("unless HAProxy's environment sets SNI_HOST"),
        "{shows}"
    );
    let set = format!("SNI_HOST={NAME}");
    let file = stage
        .folder
        .file("env", &format!("# comment\nOTHER=1\nSNI_HOST=\"{NAME}\"\n"));
    let environ = stage.folder.file("environ", &format!("A=b\0{set}\0"));
    for given in [set, format!("@{file}"), format!("@{environ}")] {
        let (report, code) = json(&["-f", &config, "--env", &given]);
        assert_eq!(code, 0, "{given}: {report}");
    }
}

#[test]
fn a_folder_of_certificates_works_but_a_huge_file_or_a_fifo_does_not() {
    let stage = Stage::new();
    stage.folder.file("root/cas/one.pem", &stage.ca.pem);
    let options = format!("--sni {NAME} --ca-file /cas --timeout 400ms");
    let config = in_chroot(&stage, &checked("/sni-check", &options, SERVER));
    foretells(&config, &[], "PROCOK", "0");
    let huge = fs::File::create(stage.folder.join("root/huge.pem")).expect("a file");
    huge.set_len(2 << 30).expect("sparse");
    let fifo = program("mkfifo")
        .arg(stage.folder.join("root/fifo"))
        .status();
    assert!(fifo.expect("mkfifo runs").success());
    let what = refused(
        &stage,
        "options",
        &format!("--sni {NAME} --ca-file /huge.pem"),
        SERVER,
    );
    assert!(what.contains("limit of sni-check"), "{what}");
    let what = refused(
        &stage,
        "file",
        &format!("--sni {NAME} --ca-file /fifo"),
        SERVER,
    );
    assert!(what.contains("is not a regular file"), "{what}");
}

/// A link in the chroot points to a file outside of the chroot.
#[test]
fn the_fix_copies_the_target_of_a_link_into_the_chroot() {
    let stage = Stage::new();
    let outside = stage.folder.file("outside.pem", &stage.ca.pem);
    symlink(&outside, format!("{}/link.pem", stage.chroot())).expect("a link");
    let options = format!("--sni {NAME} --ca-file /link.pem --timeout 400ms");
    let config = in_chroot(&stage, &checked("/sni-check", &options, SERVER));
    let report = foretells(&config, &[("file", PROBLEM)], "PROCERR", "2");
    let command = finding(&report, "file")["write"].as_str().expect("text");
    let output = program("sh")
        .args(["-c", command])
        .output()
        .expect("sh runs");
    assert!(output.status.success(), "{command}: {output:?}");
    foretells(&config, &[], "PROCOK", "0");
}
