//! SIGTERM ends a check in every phase. HAProxy sends this signal to a check that takes too long.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::support::check::{BINARY, haproxy_command};
use crate::support::folder::Folder;
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, peer, program};

fn start(program: &[&str], options: &str, port: u16) -> Child {
    let options = format!("--sni {NAME} --timeout 100s {options}");
    let mut command = haproxy_command(program, &options, "127.0.0.1", &port.to_string());
    command
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs")
}

#[track_caller]
fn expect_end(mut child: Child) {
    assert_eq!(
        child.try_wait().expect("a status"),
        None,
        "the check ended before the signal"
    );
    let kill = program("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill runs").success());
    let start = Instant::now();
    let status = child.wait().expect("a status");
    assert_eq!(status.signal(), Some(15), "{status}");
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn sigterm_ends_a_check_while_it_resolves() {
    let (address, socket) = peer::resolver();
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let folder = Folder::new();
    folder.file("etc/resolv.conf", &format!("nameserver {address}\n"));
    folder.copy(BINARY, "sni-check", 0o755);
    let chroot = ["/usr/sbin/chroot", &folder.join(""), "/sni-check"];
    let child = start(&chroot, "--connect slow.example.test:443", 1);
    socket.recv(&mut [0; 512]).expect("a DNS query");
    expect_end(child);
}

#[test]
fn sigterm_ends_a_check_while_it_connects() {
    let (port, _queue) = peer::blackhole();
    let child = start(&[BINARY], "", port);
    peer::wait_for_attempt(port);
    expect_end(child);
}

fn wait(reached: &Receiver<()>) {
    reached
        .recv_timeout(PATIENCE)
        .expect("the check reaches the phase");
}

#[test]
fn sigterm_ends_a_check_in_the_handshake() {
    let (tell, reached) = channel();
    let port = peer::tcp(move |mut stream| {
        let _ = stream.read(&mut [0; 16]);
        let _ = tell.send(());
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let child = start(&[BINARY], "", port);
    wait(&reached);
    expect_end(child);
}

#[test]
fn sigterm_ends_a_check_before_within_and_after_the_head() {
    let stage = Stage::new();
    let options = format!("{} --expect 'string x'", stage.trust);
    for said in ["", "HTTP/1.1 200 OK\r\nX:", "HTTP/1.1 200 OK\r\n\r\nbody"] {
        let (tell, reached) = channel();
        let port = peer::tls(&stage.leaf, move |stream| {
            let _ = std::io::Write::write_all(stream, said.as_bytes());
            let _ = tell.send(());
            let _ = stream.read(&mut [0]);
        });
        let child = start(&[BINARY], &options, port);
        wait(&reached);
        expect_end(child);
    }
}
