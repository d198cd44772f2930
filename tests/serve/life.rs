//! How serve starts, listens, stops and restarts.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use crate::scene::{Answer, Serve, haproxy, head};
use crate::support::check::{BINARY, run_by_hand, stderr};
use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, versions};
use crate::support::peer;
use crate::support::stage::Stage;
use crate::support::{Running, free_port, wait_for};

fn refused(words: &[&str]) -> String {
    let output: Output = run_by_hand(&[&["serve"], words].concat());
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    stderr(&output)
}

#[test]
fn unusable_addresses_and_folders_are_refused() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let taken = format!("unix:{}", serve.socket);
    let file = format!("unix:{}", stage.ca_file);
    let free = format!("unix:{}", stage.folder.join("free"));
    for (words, parts) in [
        (
            &["--sni", "a"][..],
            &["--listen is missing", "unix:/run/"][..],
        ),
        (&["--listen", &taken], &["is in use", "stop that"]),
        (&["--listen", &file], &["exists and is not a socket"]),
        (
            &["--listen", "unix:/nothing/here/s"],
            &["cannot be opened", "No such file", "create the folder"],
        ),
        (
            &["--listen", "localhost:1"],
            &["is not an address to listen on"],
        ),
        (
            &["--listen", "0.0.0.0:1"],
            &["not a loopback address", "--allow-remote"],
        ),
        (&["--listen", "[::]:1"], &["not a loopback address"]),
        (
            &["--listen", &free, "--files", "/nothing/here"],
            &["--files /nothing/here is not a folder"],
        ),
        (
            &["--listen", "0.0.0.0:1", "--allow-remote"],
            &["--allow-remote", "--allow-target CIDR"],
        ),
        (
            &["--listen", "127.0.0.1:1", "--mode", "0666"],
            &["--mode", "only to a unix socket"],
        ),
        (
            &["--listen", &free, "--group", "no-such"],
            &["--group no-such", "/etc/group"],
        ),
        (
            &["--listen", &free, "--max-checks", "10000000"],
            &["--max-checks"],
        ),
        (
            &["--listen", &free, "--ca-file", "/nothing"],
            &["--ca-file /nothing cannot be read"],
        ),
        (&["--listen", &free, "--quiet", "--json"], &["contradict"]),
    ] {
        let message = refused(words);
        for part in parts {
            assert!(
                message.contains(part),
                "{words:?}: {message} (lacks {part})"
            );
        }
    }
    serve
        .ask(stage.nginx().port, &stage.options())
        .expect("0", "status 200");
}

#[test]
fn defaults_that_every_request_would_refuse_are_refused_at_the_start() {
    let folder = Folder::new();
    let listen = format!("unix:{}", folder.join("s"));
    for (defaults, part) in [
        ("--uri healthz", "--uri"),
        ("--method CONNECT", "--method CONNECT"),
        ("--sni 203.0.113.7", "--sni"),
        ("--sni a --no-sni", "--sni and --no-sni contradict"),
        ("--handshake-only --uri /x", "--handshake-only"),
        ("--timeout 2m", "--timeout 120s is longer than a minute"),
        ("--source x", "--source"),
        ("--connect [::1", "--connect"),
        ("--connect /run/x --port 2", "--port"),
        ("--send-proxy --send-proxy-v2", "--send-proxy-v2"),
        ("--method HEAD --body x", "--body"),
        (
            "--ssl-min-ver TLSv1.3 --ssl-max-ver TLSv1.2",
            "--ssl-min-ver",
        ),
        (
            "--allow-target 192.0.2.0/24 --connect 198.51.100.7",
            "198.51.100.7:443 is in no network of --allow-target",
        ),
    ] {
        let mut words = vec!["--listen", &listen];
        words.extend(defaults.split(' '));
        let message = refused(&words);
        assert!(message.contains(part), "{defaults}: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    // These defaults are incomplete by themselves. A request adds the rest.
    let stage = Stage::new();
    let defaults = ["--max-body", "5k", "--source", "127.0.0.1", "--port", "443"];
    let serve = Serve::start(&stage, &defaults);
    assert_eq!(serve.end("-INT").code(), Some(0));
}

#[test]
fn the_socket_has_its_mode_and_group_and_is_removed_at_exit() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &["--group", "12345"]);
    let metadata = fs::metadata(&serve.socket).expect("a socket");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
    assert_eq!(metadata.gid(), 12345);
    assert_eq!(serve.end("-INT").code(), Some(0));
    assert!(fs::metadata(&serve.socket).is_err());

    let open = Serve::start(&stage, &["--mode", "0606"]);
    let metadata = fs::metadata(&open.socket).expect("a socket");
    assert_eq!(metadata.permissions().mode() & 0o777, 0o606);
    // A killed serve leaves its socket file behind, and no process listens on it.
    open.end("-KILL");
    assert!(UnixStream::connect(&open.socket).is_err());
    open.resume();
    open.ask(stage.nginx().port, &stage.options())
        .expect("0", "status 200");
}

#[test]
fn serve_listens_on_the_loopback_and_elsewhere_only_for_given_networks() {
    let stage = Stage::new();
    let ask = |address: &str, options: &str| {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head = head(stage.nginx().port, options);
        stream.write_all(head.as_bytes()).expect("sent");
        Answer::read(stream)
    };
    let local = format!("127.0.0.1:{}", free_port());
    let remote = format!("0.0.0.0:{}", free_port());
    let _local = Serve::start(&stage, &["--listen", &local]);
    ask(&local, &stage.options()).expect("0", "status 200");
    for (network, code, reason) in [
        ("127.0.0.0/8", "0", "status 200"),
        ("192.0.2.0/24", "2", "in no network of --allow-target"),
    ] {
        let remote_options = [
            "--listen",
            &remote,
            "--allow-remote",
            "--allow-target",
            network,
        ];
        let stage = Stage::new();
        let serve = Serve::start(&stage, &remote_options);
        let options = format!("{} --verify none", crate::support::NAME);
        ask(&remote, &format!("--sni {options}")).expect(code, reason);
        assert_eq!(serve.end("-TERM").code(), Some(0));
    }
}

#[test]
fn on_sigterm_serve_finishes_running_checks_and_accepts_no_more() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let (begun, has_begun) = std::sync::mpsc::channel();
    let slow = peer::tls(&stage.leaf, move |stream| {
        begun.send(()).expect("a test");
        thread::sleep(Duration::from_millis(600));
        let _ = stream.write_all(peer::OK.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let mut stream = serve.connect();
    let head = head(slow, &stage.options());
    stream.write_all(head.as_bytes()).expect("sent");
    has_begun.recv().expect("a check");
    let asked = thread::scope(|scope| {
        let status = scope.spawn(|| serve.end("-TERM"));
        Answer::read(stream).expect("0", "status 200");
        status.join().expect("serve exits")
    });
    assert_eq!(asked.code(), Some(0));
    assert!(
        serve.log().contains("every check has finished"),
        "{}",
        serve.log()
    );
}

/// Starts serve as systemd does. The socket outlives the process.
fn activate(stage: &Stage, listener: &UnixListener, options: &str) -> Child {
    let folder = stage.folder.path().display();
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {BINARY} serve --files {folder} {options}"
    );
    let socket: OwnedFd = listener.try_clone().expect("a descriptor").into();
    Command::new("/bin/sh")
        .args(["-c", &script])
        .env_clear()
        .stdin(Stdio::from(socket))
        .stderr(Stdio::null())
        .spawn()
        .expect("serve runs")
}

/// Returns how often HAProxy has set its server DOWN.
fn times_down(haproxy: &Haproxy) -> usize {
    haproxy.log().matches("hybrid/blue is DOWN").count()
}

#[test]
fn a_pause_under_socket_activation_fails_no_check() {
    let stage = Stage::new();
    let path = stage.folder.join("serve");
    let listener = UnixListener::bind(&path).expect("a socket");
    let first = Running(activate(&stage, &listener, ""));
    let serve = Serve::elsewhere(path);
    let version = versions().pop().expect("an HAProxy");
    let haproxy = haproxy(&version, &stage, &serve, "", &[]);
    haproxy.wait_for_code("hybrid", "blue", "0");
    // serve doesn't run for 800 ms. HAProxy needs 3 failed checks, which is 900 ms, to set a server
    // DOWN.
    drop(first);
    thread::sleep(Duration::from_millis(800));
    let _second = Running(activate(
        &stage,
        &listener,
        &format!("--listen unix:{}", serve.socket),
    ));
    serve
        .ask(stage.nginx().port, &stage.options())
        .expect("0", "status 200");
    let before = haproxy.server("hybrid", "blue").expect("a server");
    assert_eq!(
        (before.status.as_str(), before.failed_checks),
        ("UP", 0),
        "{before:?}"
    );
    stage.nginx().stop();
    haproxy.wait_for_code("hybrid", "blue", "41");
    stage.nginx().resume();
    haproxy.wait_for_code("hybrid", "blue", "0");
}

#[test]
fn a_restart_turns_no_server_down() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let version = versions().pop().expect("an HAProxy");
    let more = [("CHECK_INTER", "2s")];
    let haproxy = haproxy(&version, &stage, &serve, "", &more);
    haproxy.wait_for_code("hybrid", "blue", "0");
    for signal in ["-KILL", "-TERM"] {
        serve.end(signal);
        serve.resume();
        serve
            .ask(stage.nginx().port, &stage.options())
            .expect("0", "status 200");
    }
    wait_for("two more checks", || {
        let server = haproxy.server("hybrid", "blue")?;
        (server.check_status == "L7OK" && server.status == "UP").then_some(())
    });
    assert_eq!(times_down(&haproxy), 0, "{}", haproxy.log());
}

#[test]
fn sockets_from_systemd_must_match_the_command_line() {
    let stage = Stage::new();
    let path = stage.folder.join("serve");
    let listener = UnixListener::bind(&path).expect("a socket");
    for (options, code) in [
        ("--listen unix:/tmp/other", Some(2)),
        ("--mode 0660", Some(2)),
    ] {
        let status = activate(&stage, &listener, options)
            .wait()
            .expect("serve exits");
        assert_eq!(status.code(), code, "{options}");
    }
    let plain = Command::new("/bin/sh")
        .args([
            "-c",
            &format!("exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec {BINARY} serve"),
        ])
        .env_clear()
        .output()
        .expect("serve runs");
    assert_eq!(plain.status.code(), Some(2));
    assert!(
        stderr(&plain).contains("ListenStream="),
        "{}",
        stderr(&plain)
    );
}
