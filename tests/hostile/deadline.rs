//! Checks that can't look at the clock, because they are stopped, run in a loop, or are blocked in
//! a write to a full pipe. They must still end.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::check::{BINARY, by_hand, example, expect, haproxy_command};
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, peer, wait_for};

/// The `--timeout` of the checks. It leaves enough time to stop a check before its deadline.
const TIMEOUT: Duration = Duration::from_secs(2);
/// How long a check may need to end after it continues.
const SOON: Duration = Duration::from_millis(1500);

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), signal).expect("the process exists");
}

/// Stops a check once `reached` returns, continues it after its deadline, and returns its output.
fn stopped(command: Command, reached: impl FnOnce(&Child)) -> Output {
    stopped_for(TIMEOUT, command, reached)
}

/// Like [`stopped`], for a command that may take up to `longest`.
fn stopped_for(longest: Duration, mut command: Command, reached: impl FnOnce(&Child)) -> Output {
    let start = Instant::now();
    let pipes = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = pipes.spawn().expect("the program runs");
    reached(&child);
    signal(&child, Signal::STOP);
    let stop = longest + Duration::from_millis(200);
    std::thread::sleep(stop.saturating_sub(start.elapsed()));
    signal(&child, Signal::CONT);
    let go_on = Instant::now();
    let output = child.wait_with_output().expect("the check ends");
    // If the deadline didn't include the stopped time, the check would continue to wait for nearly
    // `longest`.
    assert!(go_on.elapsed() < SOON, "{:?}: {output:?}", go_on.elapsed());
    output
}

fn check(port: u16, options: &str) -> Command {
    let timeout = TIMEOUT.as_millis();
    let path = format!("--sni {NAME} --timeout {timeout}ms {options}");
    haproxy_command(&[BINARY], &path, "127.0.0.1", &port.to_string())
}

/// Returns the port of a peer that sends nothing, and a function that waits until a check is in its
/// handshake.
fn silent() -> (u16, impl FnOnce(&Child)) {
    let (sender, receiver) = channel();
    let port = peer::tcp(move |mut stream| {
        let _ = stream.read(&mut [0; 16]);
        let _ = sender.send(());
        let _ = stream.read_to_end(&mut Vec::new());
    });
    (port, move |_: &Child| {
        receiver.recv_timeout(PATIENCE).expect("a handshake")
    })
}

/// Returns the port of a peer that sends nothing after the handshake, and a function that waits
/// until a check has sent its request.
fn silent_after_handshake(stage: &Stage) -> (u16, impl FnOnce(&Child)) {
    let (sender, receiver) = channel();
    let port = peer::tls(&stage.leaf, move |stream| {
        let _ = sender.send(());
        let _ = stream.read(&mut [0]);
    });
    (port, move |_: &Child| {
        receiver.recv_timeout(PATIENCE).expect("a request")
    })
}

#[test]
fn a_check_stopped_while_connecting_times_out() {
    let (port, _queue) = peer::blackhole();
    let output = stopped(check(port, ""), |_| peer::wait_for_attempt(port));
    expect(&output, 42, "timed out; total 2");
}

#[test]
fn a_check_stopped_in_the_handshake_times_out() {
    let (port, reached) = silent();
    let output = stopped(check(port, ""), reached);
    expect(&output, 62, "handshake timed out; total 2");
}

#[test]
fn a_check_stopped_before_the_response_times_out() {
    let stage = Stage::new();
    let (port, reached) = silent_after_handshake(&stage);
    let output = stopped(check(port, &stage.trust), reached);
    expect(&output, 72, "response timed out; total 2");
}

#[test]
fn the_json_of_a_stopped_check_is_complete() {
    let stage = Stage::new();
    let (port, reached) = silent_after_handshake(&stage);
    let output = stopped(check(port, &format!("{} --json", stage.trust)), reached);
    let text = expect(&output, 72, "");
    let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(object["code"], 72);
    assert_eq!(object["chain"].as_array().map(Vec::len), Some(1));
    let total = object["milliseconds"]["total"].as_f64().expect("a number");
    assert!(total > 2100.0, "{text}");
}

#[test]
fn a_stopped_check_is_logged_to_the_syslog() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let syslog = socket.local_addr().expect("an address");
    let (port, reached) = silent();
    let output = stopped(check(port, &format!("--quiet --syslog {syslog}")), reached);
    assert_eq!(expect(&output, 62, ""), "");
    let mut datagram = [0; 1000];
    let length = socket.recv(&mut datagram).expect("a datagram");
    let datagram = String::from_utf8_lossy(&datagram[..length]);
    assert!(datagram.starts_with("<27>1 20"), "{datagram}");
    assert!(
        datagram.contains("handshake timed out; total 2"),
        "{datagram}"
    );
}

/// diagnose has a long time limit, because it sends many requests and also runs HAProxy. This test
/// therefore takes a long time.
#[test]
fn a_stopped_diagnose_ends_too() {
    let (port, reached) = silent();
    let connect = format!("--connect=127.0.0.1:{port}");
    let timeout = Duration::from_millis(100);
    let call = by_hand(&["diagnose", "--timeout=100ms", &connect, NAME]);
    let output = stopped_for(timeout * 8 + Duration::from_secs(35), call, reached);
    expect(
        &output,
        1,
        "takes too long to diagnose (a limit of sni-check)",
    );
}

#[test]
fn a_loop_that_never_looks_at_the_clock_ends() {
    for blocked in [
        None,
        Some("--block-signal=ALRM"),
        Some("--ignore-signal=ALRM"),
    ] {
        let endless = example("endless");
        let mut command = match blocked {
            None => Command::new(endless),
            Some(option) => {
                let mut command = crate::support::program("env");
                command.arg(option).arg(endless);
                command
            }
        };
        let start = Instant::now();
        let output = command.output().expect("the example runs");
        expect(&output, 62, "late by 1");
        assert!(start.elapsed() < PATIENCE);
        assert_eq!(output.status.signal(), None);
    }
}

#[test]
fn an_unread_standard_output_does_not_block_a_call_by_hand() {
    let stage = Stage::new();
    let connect = format!("--connect=127.0.0.1:{}", stage.nginx().port);
    for option in ["--verbose", "--json"] {
        let (_reader, mut writer) = std::io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&writer, true).expect("non-blocking");
        while writer.write(&[b'x'; 4096]).is_ok() {}
        rustix::io::ioctl_fionbio(&writer, false).expect("blocking");
        let words = [
            "--timeout=2s",
            "--ca-file",
            &stage.ca_file,
            &connect,
            option,
            NAME,
        ];
        let mut child = by_hand(&words)
            .stdout(writer)
            .spawn()
            .expect("the program runs");
        let status = wait_for("the check to end", || child.try_wait().expect("a status"));
        // At this point, the check has already found the backend healthy.
        assert_eq!(status.code(), Some(0), "{option}: {status}");
    }
}
