//! Hostile environments. Wherever HAProxy, a container or an operator runs the check, the check of
//! a healthy backend exits 0 if possible, and otherwise with a documented code. No signal kills the
//! check.

mod clock;
mod deadline;
mod frozen;
mod hanging;
mod json;
mod memory;
#[path = "../support/mod.rs"]
mod support;
mod termination;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, Stdio};

use support::NAME;
use support::check::{BINARY, by_hand, example, expect};
use support::folder::Folder;
use support::stage::Stage;

/// Runs this script in a shell, and then a check of the healthy backend. Returns the check's exit
/// code.
fn after(stage: &Stage, script: &str, options: &str) -> Option<i32> {
    let script = format!("{script}; exec \"$0\" \"$@\"");
    let shell = ["/bin/sh", "-c", &script, BINARY];
    let mut command = stage.command(&shell, stage.nginx().port, options);
    let status = command.stderr(Stdio::null()).status();
    status.expect("a shell").code()
}

#[test]
fn closed_descriptors_change_no_code() {
    let stage = Stage::new();
    for closed in 0..8 {
        let close = |fd: u8| {
            if closed & (1 << fd) == 0 {
                String::new()
            } else {
                format!("exec {fd}>&-;")
            }
        };
        let script = format!("{} {} {} true", close(0), close(1), close(2));
        assert_eq!(after(&stage, &script, ""), Some(0), "{script}");
        let refused = after(&stage, &script, "--frobnicate");
        assert_eq!(refused, Some(2), "{script}");
    }
}

#[test]
fn a_check_works_with_scarce_resources() {
    let stage = Stage::new();
    for (script, code) in [
        ("ulimit -n 5", 0),
        ("ulimit -n 4", 0),
        // No descriptor is left for the CA file.
        ("ulimit -n 3", 2),
        ("ulimit -f 0", 0),
        ("ulimit -c 0; ulimit -s 64", 0),
        ("ulimit -t 5", 0),
    ] {
        assert_eq!(after(&stage, script, ""), Some(code), "{script}");
    }
    // This user isn't allowed to create processes or threads. If the server has a literal address, the
    // check works without a second thread.
    let user = "exec /usr/bin/setpriv --reuid 65534 --clear-groups --no-new-privs /bin/bash -c 'ulimit -u 0; exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    let binary = stage.folder.copy(BINARY, "sni-check", 0o755);
    let port = stage.nginx().port;
    let run = |options: &str| {
        let shell = ["/bin/sh", "-c", user, &binary];
        stage.command(&shell, port, options).output()
    };
    expect(&run("").expect("a shell"), 0, "");
    // To resolve a name within the deadline, the check needs a second thread.
    let output = run(&format!("--connect localhost:{port}"));
    expect(&output.expect("a shell"), 1, "no thread for the resolver");
}

#[test]
fn ignored_signals_change_no_code() {
    let stage = Stage::new();
    for ignored in ["PIPE", "PIPE CHLD HUP"] {
        let script = format!("trap '' {ignored}");
        assert_eq!(after(&stage, &script, ""), Some(0), "{script}");
    }
}

#[test]
fn a_check_works_in_odd_environments() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let long = "x".repeat(100_000);
    let bytes = OsString::from_vec(vec![0xff, 0xfe]);
    let check = |change: &dyn Fn(&mut Command)| {
        let mut command = stage.command(&[BINARY], port, "");
        change(&mut command);
        command
            .stderr(Stdio::null())
            .status()
            .expect("the program runs")
            .code()
    };
    // These are the variables that HAProxy sets (manual, `external-check command`), except PATH, and
    // variables that other programs read.
    for name in [
        "HAPROXY_PROXY_ADDR",
        "HAPROXY_PROXY_ID",
        "HAPROXY_PROXY_NAME",
        "HAPROXY_PROXY_PORT",
        "HAPROXY_SERVER_ADDR",
        "HAPROXY_SERVER_CURCONN",
        "HAPROXY_SERVER_ID",
        "HAPROXY_SERVER_MAXCONN",
        "HAPROXY_SERVER_NAME",
        "HAPROXY_SERVER_PORT",
        "HAPROXY_SERVER_PROTO",
        "HAPROXY_SERVER_SSL",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "SSL_CERT_FILE",
        "SSLKEYLOGFILE",
        "SNI_HOST",
        "LANG",
        "TZ",
        "LOCALDOMAIN",
        "RES_OPTIONS",
        "MALLOC_ARENA_MAX",
        "GLIBC_TUNABLES",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "RUST_BACKTRACE",
        "RUST_MIN_STACK",
    ] {
        for value in [OsString::new(), bytes.clone(), long.clone().into()] {
            let code = check(&|command| _ = command.env(name, &value));
            assert_eq!(code, Some(0), "{name} of {} bytes", value.len());
        }
        // Without the server's name the check doesn't read PATH, so it has no SNI name.
        let code = check(&|command| _ = command.env_remove(name));
        let expected = if name == "HAPROXY_SERVER_NAME" { 2 } else { 0 };
        assert_eq!(code, Some(expected), "{name}");
    }
    assert_eq!(check(&|command| _ = command.env("PATH", &bytes)), Some(2));
    assert_eq!(
        check(&|command| _ = command.env("PATH", format!("-{long}"))),
        Some(2)
    );
    assert_eq!(check(&|command| _ = command.env_clear()), Some(2));
    // By hand, the program works even with an empty environment.
    let connect = format!("--connect=127.0.0.1:{port}");
    let by_hand = by_hand(&["--timeout=10s", "--ca-file", &stage.ca_file, &connect, NAME]).output();
    assert_eq!(by_hand.expect("the program runs").status.code(), Some(0));
}

#[test]
fn an_empty_program_name_changes_no_code() {
    // Careless callers of execve pass an empty argv[0].
    let stage = Stage::new();
    let shell = ["/bin/bash", "-c", "exec -a '' \"$0\" \"$@\"", BINARY];
    let mut command = stage.command(&shell, stage.nginx().port, "");
    assert_eq!(command.status().expect("bash").code(), Some(0));
}

#[test]
fn a_call_without_arguments_and_program_name_is_refused() {
    let output = Command::new(example("nameless"))
        .arg(BINARY)
        .env_clear()
        .output()
        .expect("the example runs");
    expect(&output, 2, "no target");
}

#[test]
fn an_unwritable_standard_error_changes_no_code() {
    let stage = Stage::new();
    let folder = Folder::new();
    // The shell returns the exit code of a pipe's last command, so a file receives the check's exit
    // code.
    let check = "\"$0\" \"$@\"";
    let tell = format!("echo $? > {}", folder.join("code"));
    for script in [
        format!("{check} 2>/dev/full; {tell}"),
        format!("{check} 2>&-; {tell}"),
        // The reading end of this pipe is closed.
        format!("{{ /bin/sleep 0.2; {check} 2>&1; {tell}; }} | true"),
        // No process reads this pipe, and it is full.
        format!(
            "/bin/mkfifo {0}; exec 8<>{0}; /usr/bin/timeout 0.3 /bin/cat /dev/zero >&8; {check} 2>&8; {tell}",
            folder.join("pipe")
        ),
        // This log file has reached its size limit.
        format!(
            "ulimit -f 0; {check} 2>>{}; exit $?",
            folder.file("log", "full")
        ),
    ] {
        for (port, code) in [(stage.nginx().port, 0), (support::dead_port(), 41)] {
            let shell = ["/bin/bash", "-c", &script, BINARY];
            let mut command = stage.command(&shell, port, "--verbose");
            let status = command.status().expect("a shell");
            let shown = match script.contains("echo") {
                true => std::fs::read_to_string(folder.join("code")).expect("a code"),
                false => status.code().unwrap_or(-1).to_string(),
            };
            assert_eq!(shown.trim(), code.to_string(), "{script}");
            let _ = std::fs::remove_file(folder.join("pipe"));
        }
    }
}

#[test]
fn a_check_works_on_a_read_only_root_as_another_user() {
    let stage = Stage::new();
    let script = "exec /usr/bin/unshare -m /bin/sh -c '/bin/mount -o bind,ro / / && exec /usr/bin/setpriv --reuid 65534 --clear-groups --no-new-privs \"$0\" \"$@\"' \"$0\" \"$@\"";
    let binary = stage.folder.copy(BINARY, "sni-check", 0o755);
    let shell = ["/bin/sh", "-c", script, &binary];
    let status = stage.command(&shell, stage.nginx().port, "").status();
    assert_eq!(status.expect("a shell").code(), Some(0));
}
