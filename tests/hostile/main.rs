//! Hostile places: whatever HAProxy, a container or an operator leaves the check to run in, a healthy
//! backend is 0 where that is possible at all, otherwise a documented code; never a signal's death.

mod clock;
mod memory;
#[path = "../support/mod.rs"]
mod support;
mod termination;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, ExitStatus, Stdio};

use support::check::{BINARY, example, haproxy_command};
use support::folder::Folder;
use support::nginx::Nginx;
use support::pki::Ca;

const NAME: &str = "www.example.test";

/// A healthy backend, and the options of a check of it.
struct Healthy {
    nginx: Nginx,
    options: String,
    _folder: Folder,
}

impl Healthy {
    fn new() -> Healthy {
        let folder = Folder::new();
        let ca = Ca::new();
        let ca_file = folder.file("ca.pem", &ca.pem);
        let nginx = Nginx::start(&ca, NAME, &ca.leaf(&[NAME], 30));
        let options = format!("--timeout 10s --sni {NAME} --ca-file {ca_file}");
        Healthy {
            nginx,
            options,
            _folder: folder,
        }
    }

    /// The check, run by a shell after it has done this.
    fn after(&self, script: &str) -> ExitStatus {
        self.after_with(script, "")
    }

    fn after_with(&self, script: &str, options: &str) -> ExitStatus {
        let script = format!("{script}; exec \"$0\" \"$@\"");
        let shell = ["/bin/sh", "-c", &script, BINARY];
        let options = format!("{} {options}", self.options);
        let port = self.nginx.port.to_string();
        let mut command = haproxy_command(&shell, &options, "127.0.0.1", &port);
        command.stderr(Stdio::null()).status().expect("a shell")
    }
}

#[test]
fn every_combination_of_closed_descriptors() {
    let healthy = Healthy::new();
    for closed in 0..8 {
        let close = |fd: u8| {
            if closed & (1 << fd) == 0 {
                String::new()
            } else {
                format!("exec {fd}>&-;")
            }
        };
        let script = format!("{} {} {} true", close(0), close(1), close(2));
        assert_eq!(healthy.after(&script).code(), Some(0), "{script}");
        let refused = healthy.after_with(&script, "--frobnicate");
        assert_eq!(refused.code(), Some(2), "{script}");
    }
}

#[test]
fn scarce_resources() {
    let healthy = Healthy::new();
    for (script, code) in [
        ("ulimit -n 5", 0),
        ("ulimit -n 4", 0),
        // No descriptor is left for the CA file.
        ("ulimit -n 3", 2),
        ("ulimit -f 0", 0),
        ("ulimit -c 0; ulimit -s 64", 0),
        ("ulimit -t 5", 0),
    ] {
        assert_eq!(healthy.after(script).code(), Some(code), "{script}");
    }
    // No process may be made; the check makes none for an address.
    let user = "exec /usr/bin/setpriv --reuid 65534 --clear-groups --no-new-privs /bin/bash -c 'ulimit -u 0; exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    let copy = Folder::new();
    let binary = copy.join("sni-check");
    std::fs::copy(BINARY, &binary).expect("a copy");
    let port = healthy.nginx.port.to_string();
    let run = |options: &str| {
        let options = format!("{} {options}", healthy.options);
        let shell = ["/bin/sh", "-c", user, &binary];
        haproxy_command(&shell, &options, "127.0.0.1", &port)
            .output()
            .expect("a shell")
    };
    assert_eq!(run("").status.code(), Some(0));
    // A name needs a thread to be resolved within the deadline.
    let output = run(&format!("--connect localhost:{port}"));
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{line}");
    assert!(line.contains("no thread for the resolver"), "{line}");
}

#[test]
fn signals_that_haproxy_leaves_ignored() {
    let healthy = Healthy::new();
    assert_eq!(healthy.after("trap '' PIPE").code(), Some(0));
    assert_eq!(healthy.after("trap '' PIPE CHLD HUP").code(), Some(0));
}

#[test]
fn odd_environments() {
    let healthy = Healthy::new();
    let port = healthy.nginx.port.to_string();
    let long = "x".repeat(100_000);
    let bytes = OsString::from_vec(vec![0xff, 0xfe]);
    let check = |change: &dyn Fn(&mut Command)| {
        let mut command = haproxy_command(&[BINARY], &healthy.options, "127.0.0.1", &port);
        change(&mut command);
        command
            .stderr(Stdio::null())
            .status()
            .expect("the program runs")
            .code()
    };
    // All that HAProxy sets (manual, `external-check command`), and what others obey.
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
        // Without the server's name PATH is not read, so there is no name to ask for.
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
    // And by hand an environment that is empty is enough.
    let by_hand = Command::new(BINARY)
        .args(healthy.options.split(' '))
        .args([format!("--connect=127.0.0.1:{port}"), NAME.to_owned()])
        .env_clear()
        .stdout(Stdio::null())
        .status();
    assert_eq!(by_hand.expect("the program runs").code(), Some(0));
}

#[test]
fn no_name_of_its_own() {
    // An empty argv[0], as a careless execve leaves it.
    let healthy = Healthy::new();
    let port = healthy.nginx.port.to_string();
    let mut command = haproxy_command(
        &["/bin/bash", "-c", "exec -a '' \"$0\" \"$@\"", BINARY],
        &healthy.options,
        "127.0.0.1",
        &port,
    );
    assert_eq!(command.status().expect("bash").code(), Some(0));
}

#[test]
fn no_arguments_at_all_not_even_a_name() {
    let output = Command::new(example("nameless"))
        .arg(BINARY)
        .env_clear()
        .output()
        .expect("it runs");
    let line = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{line}");
    assert!(line.contains("no target"), "{line}");
}

#[test]
fn a_standard_error_that_takes_nothing() {
    let healthy = Healthy::new();
    let folder = Folder::new();
    // The status of a pipe is its last command's, so the check tells its own in a file.
    let check = "\"$0\" \"$@\"";
    let tell = format!("echo $? > {}", folder.join("code"));
    for script in [
        format!("{check} 2>/dev/full; {tell}"),
        format!("{check} 2>&-; {tell}"),
        // A reader that is gone.
        format!("{{ /bin/sleep 0.2; {check} 2>&1; {tell}; }} | true"),
        // A pipe that is full, and that nobody reads.
        format!(
            "/bin/mkfifo {0}; exec 8<>{0}; /usr/bin/timeout 0.3 /bin/cat /dev/zero >&8; {check} 2>&8; {tell}",
            folder.join("pipe")
        ),
        // A log that has reached its limit.
        format!(
            "ulimit -f 0; {check} 2>>{}; exit $?",
            folder.file("log", "full")
        ),
    ] {
        for (port, code) in [(healthy.nginx.port, 0), (support::dead_port(), 41)] {
            let shell = ["/bin/bash", "-c", &script, BINARY];
            let options = format!("{} --verbose", healthy.options);
            let mut command = haproxy_command(&shell, &options, "127.0.0.1", &port.to_string());
            let status = command.status().expect("a shell");
            let told = match script.contains("echo") {
                true => std::fs::read_to_string(folder.join("code")).expect("a code"),
                false => status.code().unwrap_or(-1).to_string(),
            };
            assert_eq!(told.trim(), code.to_string(), "{script}");
            let _ = std::fs::remove_file(folder.join("pipe"));
        }
    }
}

#[test]
fn a_read_only_root_that_belongs_to_somebody_else() {
    let healthy = Healthy::new();
    let script = "exec /usr/bin/unshare -m /bin/sh -c '/bin/mount -o bind,ro / / && exec /usr/bin/setpriv --reuid 65534 --clear-groups --no-new-privs \"$0\" \"$@\"' \"$0\" \"$@\"";
    let copy = Folder::new();
    let binary = copy.join("sni-check");
    std::fs::copy(BINARY, &binary).expect("a copy");
    let port = healthy.nginx.port.to_string();
    let shell = ["/bin/sh", "-c", script, &binary];
    let status = haproxy_command(&shell, &healthy.options, "127.0.0.1", &port).status();
    assert_eq!(status.expect("a shell").code(), Some(0));
}
