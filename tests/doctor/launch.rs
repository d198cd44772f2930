//! What prevents HAProxy from starting checks, and commands that HAProxy can't run.

use std::fs;

use crate::configuration::{
    PLAIN, checked, configure, finding, foretells, found, in_chroot, jail, json, refuses, shows,
};
use crate::support::NAME;
use crate::support::check::BINARY;
use crate::support::stage::Stage;

const PROBLEM: &str = "problem";
const SERVER: &str = "127.0.0.1:PORT TLS check inter 500ms";

/// Options in `external-check path` have an effect only on sni-check, whatever its file is called.
#[test]
fn options_for_another_program_have_no_effect() {
    let stage = Stage::new();
    let renamed = stage.folder.copy(BINARY, "check-https", 0o755);
    let script = stage
        .folder
        .script("script", "#!/bin/sh\nexec sni-check \"$@\"\n");
    for (command, is_other) in [("/bin/true", true), (&renamed, false), (&script, false)] {
        let options = format!("--sni {NAME} --ca-file {}", stage.ca_file);
        let config = configure(
            &stage,
            PLAIN,
            &checked(command, &options, "127.0.0.1:PORT TLS check"),
        );
        let (report, _) = json(&["-f", &config]);
        let ids: Vec<String> = found(&report).into_iter().map(|(id, _)| id).collect();
        assert_eq!(
            ids.contains(&"other-program".to_owned()),
            is_other,
            "{command}: {report}"
        );
    }
}

/// Returns options with which the check ends before HAProxy kills it (`inter 500ms`).
fn options() -> String {
    format!("--sni {NAME} --ca-file /ca.pem --timeout 400ms")
}

#[test]
fn a_good_configuration_has_no_finding() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER);
    let config = in_chroot(&stage, &backend);
    let report = foretells(&config, &[], "PROCOK", "0");
    assert_eq!(report["checks"], 1);
}

#[test]
fn without_insecure_fork_wanted_only_root_can_check() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER);
    let jailed = jail(&stage).replace("insecure-fork-wanted", "");
    let config = configure(&stage, &jailed, &backend);
    foretells(
        &config,
        &[("no-insecure-fork-wanted", PROBLEM)],
        "SOCKERR",
        "",
    );
    let (report, code) = json(&["-f", &config, "--run"]);
    assert_eq!(
        (code, &report["runs"]["checks"][0]["check_status"]),
        (2, &"SOCKERR".into())
    );

    let command = format!("{}/sni-check", stage.chroot());
    let options = options().replace("/ca.pem", &format!("{}/ca.pem", stage.chroot()));
    let backend = checked(&command, &options, SERVER);
    let config = configure(&stage, "external-check", &backend);
    foretells(
        &config,
        &[("no-insecure-fork-wanted", "note")],
        "PROCOK",
        "0",
    );
}

#[test]
fn doctor_names_the_missing_line_if_haproxy_refuses_the_configuration() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER);
    let no_command = backend.replace("external-check command /sni-check", "");
    for (global, backend, id, fix) in [
        (
            jail(&stage).replace("\n external-check", ""),
            &backend,
            "no-external-check",
            "external-check",
        ),
        (
            jail(&stage),
            &no_command,
            "no-command",
            "external-check command",
        ),
    ] {
        let config = configure(&stage, &global, backend);
        let (report, code) = json(&["-f", &config]);
        assert_eq!(code, 2);
        assert_eq!(report["haproxy"]["accepts"], false, "{report}");
        finding(&report, "refused");
        let write = finding(&report, id)["write"].as_str().expect("text");
        assert!(write.contains(fix), "{write}");
        refuses(&config);
    }
}

/// HAProxy refuses a line with missing quotes or an unescaped `$`. doctor reports only that, with the fix. It
/// doesn't judge the rest of the line.
#[test]
fn doctor_reports_wrong_quoting_and_nothing_else_about_the_line() {
    let stage = Stage::new();
    let backend = checked("/sni-check", "OPTIONS", SERVER);
    let given = options();
    let body = format!("{given} --expect 'string ");
    for (words, fix) in [
        (
            given.clone(),
            format!("put the text in double quotes: external-check path \"{given}\""),
        ),
        (
            format!("\"{body}\"^all good$\"'\""),
            "put the whole text in one pair of double quotes".to_owned(),
        ),
        (
            format!("\"{body}^good$'\""),
            "write \\$ for a literal $".to_owned(),
        ),
    ] {
        let config = in_chroot(&stage, &backend.replace("\"OPTIONS\"", &words));
        let (report, code) = json(&["-f", &config, "--run"]);
        assert_eq!(code, 2);
        let ids: Vec<String> = found(&report).into_iter().map(|(id, _)| id).collect();
        assert_eq!(ids, ["line"], "{report}");
        let says = &finding(&report, "line")["haproxy"][0];
        assert!(says.is_string(), "{report}");
        assert_eq!(report["runs"]["checks"], serde_json::json!([]));
        let write = finding(&report, "line")["write"].as_str().expect("text");
        assert!(write.starts_with(&fix), "{write}");
        assert!(refuses(&config).contains("parsing ["));
    }
    let fixed = backend.replace("OPTIONS", &given);
    foretells(&in_chroot(&stage, &fixed), &[], "PROCOK", "0");
    let more = backend.replace("/sni-check", "/sni-check --quiet");
    let (report, _) = json(&["-f", &in_chroot(&stage, &more)]);
    let write = &finding(&report, "line")["write"];
    assert!(
        write
            .as_str()
            .expect("text")
            .starts_with("write only the program in this line")
    );
}

#[test]
fn doctor_finds_a_chroot_that_does_not_exist() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER);
    let global = jail(&stage).replace(stage.chroot(), &stage.folder.join("none"));
    let config = configure(&stage, &global, &backend);
    let (report, code) = json(&["-f", &config]);
    assert_eq!(code, 2);
    // `haproxy -c` doesn't look for the chroot.
    assert_eq!(report["haproxy"]["accepts"], true);
    finding(&report, "no-chroot");
    assert!(refuses(&config).contains("chroot"));
}

/// `haproxy -c` doesn't create the files that HAProxy creates when it starts.
#[test]
fn doctor_finds_that_the_folder_of_a_socket_or_a_pidfile_does_not_exist() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER);
    let file = stage.folder.join("none/file");
    let there = stage.folder.join("file");
    let write = |line: &str, section: &str| {
        let global = format!("{}\n {line}", jail(&stage));
        configure(&stage, &global, &format!("{backend}\n{section}"))
    };
    let listen = |address: &str| format!("frontend g\n bind {address}\n");
    for config in [
        write(&format!("stats socket {file}"), ""),
        write("", &listen(&format!("unix@{file}"))),
        write(
            &format!("unix-bind prefix {}", stage.folder.join("")),
            &listen("/none/file"),
        ),
    ] {
        let (report, code) = json(&["-f", &config]);
        assert_eq!((code, &report["haproxy"]["accepts"]), (2, &true.into()));
        let write = finding(&report, "no-folder")["write"].to_string();
        assert!(write.contains("mkdir -p"), "{report}");
        let said = refuses(&config);
        assert!(said.contains("cannot bind UNIX socket"), "{said}");
    }
    let pidfile = write(&format!("pidfile {file}"), "");
    let (report, code) = json(&["-f", &pidfile]);
    assert_eq!(
        (code, &finding(&report, "no-folder")["mark"]),
        (0, &"note".into())
    );
    for config in [
        write(&format!("stats socket {there}"), ""),
        write("", &format!("{} disabled\n", listen(&file))),
    ] {
        foretells(&config, &[], "PROCOK", "0");
    }
}

/// HAProxy can't run these commands in the chroot, and shows code 255 for each.
#[test]
fn doctor_finds_commands_that_haproxy_cannot_run() {
    let stage = Stage::new();
    stage
        .folder
        .copy("/bin/true", "root/dynamic-sni-check", 0o755);
    stage.folder.copy("/bin/true", "root/plain", 0o644);
    stage.folder.copy("/bin/true", "root/private", 0o700);
    stage.folder.script("root/script", "#!/bin/bash\nexit 0\n");
    stage.folder.script("root/text", "exit 0\n");
    fs::create_dir(stage.folder.path().join("root/folder")).expect("a folder");
    let foreign = stage.folder.copy(BINARY, "root/foreign", 0o755);
    let mut bytes = fs::read(&foreign).expect("bytes");
    bytes[18] ^= 0xff;
    fs::write(&foreign, bytes).expect("a file");
    for (command, part) in [
        ("/missing", "is not in the chroot"),
        ("/folder", "not a regular file"),
        ("/plain", "may not execute"),
        ("/private", "may not execute"),
        ("/dynamic-sni-check", "its loader"),
        ("/script", "its interpreter `/bin/bash`"),
        ("/text", "neither a binary"),
        ("/foreign", "another architecture"),
        ("sni-check", "not an absolute path"),
    ] {
        let backend = checked(command, &options(), SERVER);
        let config = in_chroot(&stage, &backend);
        let report = foretells(&config, &[("command", PROBLEM)], "PROCERR", "255");
        let found = finding(&report, "command");
        let what = found["what"].as_str().expect("text");
        assert!(what.contains(part), "{command}: {what}");
        let write = found["write"].as_str().expect("text");
        let names_command = write.lines().last().is_some_and(|line| {
            let page = include_str!("../../docs/install.md");
            line.contains("crt-static") && page.lines().any(|known| known == line)
        });
        assert_eq!(
            names_command,
            command == "/dynamic-sni-check",
            "{command}: {write}"
        );
    }
}

#[test]
fn a_link_is_followed_within_the_chroot() {
    let stage = Stage::new();
    let link = |to: &str, name: &str| {
        let path = format!("{}/{name}", stage.chroot());
        std::os::unix::fs::symlink(to, path).expect("a link");
    };
    link("/sni-check", "good");
    // /bin/true exists only outside of the chroot.
    link("/bin/true", "bad");
    link("round", "round");
    let config = |command| {
        let backend = checked(command, &options(), SERVER);
        in_chroot(&stage, &backend)
    };
    foretells(&config("/good"), &[], "PROCOK", "0");
    foretells(&config("/bad"), &[("command", PROBLEM)], "PROCERR", "255");
    foretells(&config("/round"), &[("command", PROBLEM)], "PROCERR", "255");
}

#[test]
fn doctor_finds_servers_without_check() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), "127.0.0.1:PORT TLS");
    let config = in_chroot(&stage, &backend);
    let (report, code) = json(&["-f", &config]);
    assert_eq!(code, 2);
    assert_eq!(
        found(&report),
        [("nothing-checked".to_owned(), PROBLEM.to_owned())]
    );

    let second = backend.replace("server s ", "server t ");
    let second = second.lines().last().expect("a line");
    let both = format!("{backend} check inter 500ms\n{second}");
    let config = in_chroot(&stage, &both);
    let report = foretells(&config, &[("not-checked", PROBLEM)], "PROCOK", "0");
    assert_eq!(finding(&report, "not-checked")["about"][0], "b/t");
}

#[test]
fn without_option_external_check_there_is_no_external_check() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), "127.0.0.1:PORT check inter 500ms");
    let backend = backend.replace("option external-check", "option tcp-check");
    let config = in_chroot(&stage, &backend);
    let (report, code) = json(&["-f", &config]);
    assert_eq!((code, &report["checks"]), (2, &0.into()));
    assert_eq!(finding(&report, "no-option")["mark"], PROBLEM);
    shows(&config, "s", "L4OK", "");
    // HAProxy doesn't check a server without `check`, so nothing can be wrong with its check.
    let two = format!("{backend}\n server t 127.0.0.1:PORT");
    let (report, _) = json(&["-f", &in_chroot(&stage, &two)]);
    let summary = "1 server will be DOWN though it works, or UP though visitors fail; 1 server is not checked";
    assert_eq!(report["summary"], summary);
    // The fix turns on `option external-check`, which also needs lines in the `global` section.
    let write = |lines: &str| {
        let global = jail(&stage).replace(PLAIN, lines);
        let (report, _) = json(&["-f", &configure(&stage, &global, &backend)]);
        finding(&report, "no-option")["write"].to_string()
    };
    let both = write("");
    let expected = "first: the `global` section has no `external-check` and no `insecure-fork-wanted`; add these";
    assert!(both.contains(expected), "{both}");
    let one = write("external-check");
    assert!(
        one.contains("has no `insecure-fork-wanted`; add this line"),
        "{one}"
    );
    assert!(!write(PLAIN).contains("`global`"));
}

#[test]
fn doctor_finds_a_huge_limit_on_open_files() {
    let stage = Stage::new();
    let backend = checked("/sni-check", &options(), SERVER);
    for (limit, mark) in [
        ("500000000", Some("problem")),
        ("5000000", Some("note")),
        ("50000", None),
    ] {
        let global = format!("{}\n maxconn {limit}", jail(&stage));
        let config = configure(&stage, &global, &backend);
        let (report, code) = json(&["-f", &config]);
        let found = found(&report);
        let nofile = found.iter().find(|(id, _)| id == "nofile");
        let mark_found = nofile.map(|(_, mark)| mark.as_str());
        assert_eq!(mark_found, mark, "{limit}: {report}");
        // If no process may have that many descriptors, HAProxy doesn't even start.
        let is_refused = found.iter().any(|(id, _)| id == "ulimit-n");
        let is_certain = is_refused || mark == Some("problem");
        assert_eq!(code, if is_certain { 2 } else { 0 }, "{report}");
        if is_refused {
            refuses(&config);
        }
    }
}

/// HAProxy looks for a command without a slash in the folders of `external-check path`.
#[test]
fn doctor_looks_for_a_command_in_the_folders_of_external_check_path() {
    let stage = Stage::new();
    let script = stage.folder.script("check.sh", "#!/bin/sh\nexit 0\n");
    let folder = script.trim_end_matches("/check.sh");
    let server = "127.0.0.1:PORT TLS check inter 500ms";
    let path = format!("/none:{folder}:/bin");
    let config = configure(
        &stage,
        crate::configuration::PLAIN,
        &checked("check.sh", &path, server),
    );
    foretells(&config, &[], "PROCOK", "0");
    let config = configure(
        &stage,
        crate::configuration::PLAIN,
        &checked("other.sh", &path, server),
    );
    foretells(&config, &[("command", "problem")], "PROCERR", "255");
}
