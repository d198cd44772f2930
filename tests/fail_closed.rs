//! Nothing but a healthy backend exits 0, and the deadline holds whatever the peer does.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use support::check::{BINARY, example, haproxy_command, haproxy_door};
use support::folder::Folder;
use support::peer;
use support::pki::Ca;

const NAME: &str = "www.example.test";

#[test]
fn a_panic_is_code_1_and_one_line() {
    let panics = example("panic");
    let output = Command::new(&panics).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains("internal error") && text.contains("on purpose"),
        "{text}"
    );
    // Nor does a standard error that takes nothing change that.
    let status = Command::new(&panics)
        .stderr(
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .expect("/dev/full"),
        )
        .status();
    assert_eq!(status.expect("it runs").code(), Some(1));
}

#[test]
fn a_line_that_cannot_be_written_changes_nothing() {
    let path = format!("--sni {NAME} --verbose");
    for redirection in ["2>&-", "2>/dev/full", "2>&1 | true", ">&- 2>&- <&-"] {
        let script = format!("exec 3>&1; {{ \"$0\" \"$@\" {redirection}; echo $? >&3; }}");
        let script = match redirection.contains('|') {
            false => script,
            // The status of the first command of a pipe, whose reader is gone.
            true => "exec 3>&1; { sleep 0.2; \"$0\" \"$@\" 2>&1; echo $? >&3; } | true".to_owned(),
        };
        let script = script.replace("sleep", "/bin/sleep");
        let shell = ["/bin/sh", "-c", &script, BINARY];
        let mut command = haproxy_command(&shell, &path, "127.0.0.1", "1");
        let output = command.output().expect("a shell");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).trim(),
            "41",
            "{redirection}"
        );
    }
}

#[test]
fn a_full_pipe_does_not_hold_the_check() {
    // A pipe that nobody reads, filled to the brim before the check gets it.
    let (_reader, mut writer) = std::io::pipe().expect("a pipe");
    let filler = writer.try_clone().expect("a clone");
    rustix::io::ioctl_fionbio(&filler, true).expect("non-blocking");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&filler, false).expect("blocking");
    let mut child = haproxy_command(
        &[BINARY],
        &format!("--sni {NAME} --verbose"),
        "127.0.0.1",
        "1",
    )
    .stderr(writer)
    .spawn()
    .expect("the program runs");
    let status = support::wait_for("the check to end", || child.try_wait().expect("a status"));
    assert_eq!(status.code(), Some(41));
}

/// Runs a check with a deadline of half a second; it must end within 50 ms of it, and not before. A
/// loaded machine may hold any process up now and then, but not three times in a row.
#[track_caller]
fn expect_deadline(port: u16, options: &str, code: i32) {
    let path = format!("--sni {NAME} --timeout 500ms --json {options}");
    let mut totals = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let output = haproxy_door(&path, "127.0.0.1", &port.to_string());
        let wall = start.elapsed();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        // The program's own clock; the process's start is this machine's load.
        let total = object["milliseconds"]["total"].as_f64().expect("a number");
        assert!(
            total >= 495.0 && wall < Duration::from_secs(5),
            "{wall:?}: {text}"
        );
        if total <= 550.0 {
            return;
        }
        totals.push(total);
    }
    panic!("{options}: too late each time: {totals:?} ms");
}

fn drip(stream: &mut impl Write, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        if stream
            .write_all(&[*byte])
            .and_then(|()| stream.flush())
            .is_err()
        {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_deadline_holds_whatever_the_peer_does() {
    let folder = Folder::new();
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let trust = format!("--ca-file {}", folder.file("ca.pem", &ca.pem));
    let silent = |mut stream: TcpStream| _ = stream.read_to_end(&mut Vec::new());
    expect_deadline(peer::tcp(silent), "", 62);
    // A record of a handshake that goes on and on.
    expect_deadline(
        peer::tcp(|mut s| drip(&mut s, &[22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xf0])),
        "",
        62,
    );
    let head = peer::tls(&leaf, |s| drip(s, b"HTTP/1.1 200 OK\r\nX-A: b"));
    expect_deadline(head, &trust, 72);
    let flood = peer::tls(&leaf, |s| drip(s, b"HTTP/1.1 103 Early Hints\r\n\r\n"));
    expect_deadline(flood, &trust, 72);
    let body = peer::tls(&leaf, |s| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        drip(s, b"x");
    });
    expect_deadline(body, &format!("{trust} --expect 'string y'"), 72);
}

#[test]
fn a_regular_expression_over_the_longest_body_leaves_time() {
    let folder = Folder::new();
    let ca = Ca::new();
    let trust = folder.file("ca.pem", &ca.pem);
    let body = "x".repeat(1 << 20);
    let response = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let port = peer::answer(&ca.leaf(&[NAME], 30), &response).to_string();
    let path =
        format!("--sni {NAME} --json --ca-file {trust} --max-body 1m --expect 'rstring (x+x+)+y'");
    let mut totals = Vec::new();
    for _ in 0..3 {
        let output = haproxy_door(&path, "127.0.0.1", &port);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let total = object["milliseconds"]["total"].as_f64().expect("a number");
        // The default deadline; a loaded machine may be late once.
        if output.status.code() == Some(75) && total < 1800.0 {
            return;
        }
        totals.push((output.status, total));
    }
    panic!("{totals:?}");
}
