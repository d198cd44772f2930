//! Files that requests name. serve reads a file only if it is below a folder of --files or if the
//! command line names it, and always reads the current content.

use std::fs;
use std::os::unix::fs::symlink;

use crate::scene::Serve;
use crate::support::check::BINARY;
use crate::support::peer;
use crate::support::pki::Ca;
use crate::support::stage::Stage;
use crate::support::{NAME, program};

#[test]
fn files_outside_the_folders_are_not_read_by_any_path() {
    only_files_below_the_folders_are_read(BINARY, &Stage::new());
}

/// In this test, serve can't use openat2. Under the systemd unit it can't either, because DynamicUser=
/// implies RestrictSUIDSGID=, which forbids openat2.
#[test]
fn files_outside_the_folders_are_not_read_without_openat2() {
    let stage = Stage::new();
    let strace = program("strace")
        .get_program()
        .to_string_lossy()
        .into_owned();
    let script = format!(
        "#!/bin/sh\nexec {strace} -D -f -q -o {} -e trace=openat2 -e inject=openat2:error=ENOSYS {BINARY} \"$@\"\n",
        stage.folder.join("calls")
    );
    let without = stage.folder.script("without-openat2", &script);
    only_files_below_the_folders_are_read(&without, &stage);
    let calls = fs::read_to_string(stage.folder.join("calls")).expect("a trace");
    assert!(
        calls.contains("(INJECTED)") && !calls.contains("= 0"),
        "{calls}"
    );
}

fn only_files_below_the_folders_are_read(program_file: &str, stage: &Stage) {
    let outside = Stage::new();
    outside.folder.file("secret", "X-Secret: 1\n");
    let link = stage.folder.join("link.pem");
    symlink(&outside.ca_file, &link).expect("a link");
    let serve = Serve::start_by(program_file, stage, &[]);
    let port = stage.nginx().port;
    let folder = stage.folder.path().display().to_string();
    let outer = outside
        .folder
        .path()
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let leaf = outside.folder.join("leaf.crt");
    for options in [
        format!("--ca-file {}", outside.ca_file),
        format!("--ca-file {folder}/../{outer}/ca.pem"),
        format!("--ca-file {link}"),
        format!("--crl-file {}", outside.ca_file),
        format!("--verify none --crt {leaf}"),
        format!(
            "--verify none --crt {} --key {leaf}",
            stage.folder.join("leaf.crt")
        ),
        format!("--verify none --header @{}", outside.folder.join("secret")),
        "--ca-file ca.pem".to_owned(),
        "--ca-file /proc/self/environ".to_owned(),
    ] {
        let answer = serve.ask(port, &format!("--sni {NAME} {options}"));
        answer.expect("2", "is not below a folder of --files");
    }
    // serve follows a symbolic link that stays below the folder.
    symlink("ca.pem", stage.folder.join("inner.pem")).expect("a link");
    let inner = stage.folder.join("inner.pem");
    serve
        .ask(port, &format!("--sni {NAME} --ca-file {inner}"))
        .expect("0", "status 200");
    let pipe = stage.folder.join("pipe");
    assert!(
        program("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo runs")
            .success()
    );
    let answer = serve.ask(port, &format!("--sni {NAME} --ca-file {pipe}"));
    answer.expect("2", "it is a pipe");
}

#[test]
fn files_that_the_command_line_names_may_be_anywhere() {
    let stage = Stage::new();
    let elsewhere = Stage::new();
    let trusted = elsewhere.folder.file("trusted.pem", &stage.ca.pem);
    let serve = Serve::start(&stage, &["--ca-file", &trusted, "--sni", NAME]);
    let port = stage.nginx().port;
    serve.ask(port, "").expect("0", "status 200");
    serve
        .ask(port, &format!("--ca-file {trusted}"))
        .expect("0", "status 200");
    let answer = serve.ask(port, &format!("--ca-file {}", elsewhere.ca_file));
    answer.expect("2", "is not below a folder of --files");
    serve.ask(port, "--ca-file @bundled").expect("55", "issuer");
}

#[test]
fn a_renewed_file_is_used_at_once() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let (old, new) = (Ca::named("Old CA"), Ca::named("New CA"));
    let renewed = peer::answer(&new.leaf(&[NAME], 30), peer::OK);
    let file = stage.folder.file("renewed.pem", &old.pem);
    let options = format!("--sni {NAME} --ca-file {file}");
    let ask = || serve.ask(renewed, &options);
    ask().expect("55", "issuer");
    // Editors overwrite a file. cert-manager replaces the file with a new file.
    fs::write(&file, &new.pem).expect("written");
    ask().expect("0", "status 200");
    let other = stage.folder.file("other.pem", &old.pem);
    fs::rename(other, &file).expect("renamed");
    ask().expect("55", "issuer");
    fs::write(&file, "").expect("written");
    ask().expect("2", "no certificate in it");
    fs::remove_file(&file).expect("removed");
    ask().expect("2", "cannot be read");
    fs::write(&file, &new.pem).expect("written");
    ask().expect("0", "status 200");
}
