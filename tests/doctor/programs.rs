//! The fixes for programs and files that HAProxy can't use. Each test applies the fix, and HAProxy shows that
//! the check then works.

use serde_json::Value;

use crate::configuration::{PLAIN, checked, configure, finding, in_chroot, jail, json, shows};
use crate::support::nginx::Nginx;
use crate::support::stage::Stage;
use crate::support::{NAME, program};

const SERVER: &str = "127.0.0.1:PORT TLS check inter 3s";

fn write<'a>(report: &'a Value, id: &str) -> &'a str {
    finding(report, id)["write"].as_str().expect("text")
}

/// Runs the shell command in the last line of a fix.
fn paste(write: &str) {
    let command = write.lines().last().expect("a line");
    let status = program("sh").args(["-c", command]).status();
    assert!(status.expect("sh runs").success(), "{command}");
}

/// Replaces the lines of `external-check` with the lines of a fix.
fn with_lines(backend: &str, write: &str) -> String {
    let lines = write.lines().next().expect("a line");
    let lines = lines.strip_prefix("write ").expect(lines);
    let lines = lines.replace(" and then ", "\n ");
    let is_replaced = |line: &&str| line.trim_start().starts_with("external-check");
    let kept = backend.lines().filter(|line| !is_replaced(line));
    let kept: Vec<&str> = kept.collect();
    kept.join("\n")
        .replace(" server s", &format!(" {lines}\n server s"))
}

#[test]
fn a_script_that_cannot_start_is_replaced_by_sni_check_and_its_options() {
    let stage = Stage::new();
    let script = stage.folder.script("check.sh", "#!/bin/sh\nexit 0\n");
    let missing = stage.folder.join("missing.sh");
    for (command, is_jailed) in [(&script, true), (&missing, true), (&missing, false)] {
        let global = match is_jailed {
            true => jail(&stage),
            false => PLAIN.to_owned(),
        };
        let server = SERVER.replace("TLS", &format!("TLS ca-file {}", stage.ca_file));
        let backend = checked(command, "/usr/bin:/bin", &server);
        let config = configure(&stage, &global, &backend);
        let (report, _) = json(&["-f", &config]);
        let write = write(&report, "command");
        // A second line is a command that copies sni-check and the CA file into the chroot. In the second
        // row, the files are already there.
        if write.lines().count() > 1 {
            paste(write);
        }
        let fixed = with_lines(&backend, write);
        shows(&configure(&stage, &global, &fixed), "s", "PROCOK", "0");
    }
}

/// sni-check always speaks TLS, so it can't check this server.
#[test]
fn the_fix_does_not_propose_sni_check_for_a_server_without_tls() {
    let (stage, plain) = (Stage::new(), Nginx::plain());
    let server = format!("127.0.0.1:{} check inter 3s", plain.port);
    let backend = checked("/usr/lib/check.sh", "/usr/bin:/bin", &server);
    let config = configure(&stage, PLAIN, &backend);
    let (report, _) = json(&["-f", &config]);
    let write = write(&report, "command");
    assert!(!write.contains("sni-check"), "{write}");
    assert!(
        write.contains("option httpchk in place of option external-check"),
        "{write}"
    );
    let fixed = format!(" option httpchk\n server s {server}");
    shows(&configure(&stage, PLAIN, &fixed), "s", "L7OK", "200");
}

#[test]
fn a_relative_path_in_a_chroot_begins_at_the_chroot() {
    let stage = Stage::new();
    let options = format!("--sni {NAME} --ca-file other.pem");
    let config = in_chroot(&stage, &checked("/sni-check", &options, SERVER));
    let (report, _) = json(&["-f", &config]);
    let copy = stage.folder.join("root/other.pem");
    assert_eq!(write(&report, "file"), format!("copy the file to {copy}"));
    std::fs::copy(&stage.ca_file, copy).expect("a copy");
    shows(&config, "s", "PROCOK", "0");
}

/// The fix must not propose Mozilla's roots, because a private CA has signed the certificate.
#[test]
fn if_the_chroot_has_no_system_roots_the_fix_copies_the_ca_file_of_the_server_line() {
    let stage = Stage::new();
    let server = SERVER.replace("TLS", &format!("TLS ca-file {}", stage.ca_file));
    let options = format!("--sni {NAME} --ca-file @system-ca");
    let backend = checked("/sni-check", &options, &server);
    let (report, _) = json(&["-f", &in_chroot(&stage, &backend)]);
    let write = write(&report, "file");
    paste(write);
    let option = write.split(" in external-check path").next();
    let fixed = backend.replace("--ca-file @system-ca", option.expect("an option"));
    shows(&in_chroot(&stage, &fixed), "s", "PROCOK", "0");
}
