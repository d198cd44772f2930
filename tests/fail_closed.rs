//! Only the check of a healthy backend exits 0, and the deadline holds whatever the peer does.

mod support;

use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use support::NAME;
use support::check::{BINARY, example, expect, haproxy_command, stderr, stdout, under_haproxy};
use support::peer::{self, drip};
use support::stage::Stage;

#[test]
fn a_panic_is_code_1_and_one_line() {
    let panics = example("panic");
    let output = Command::new(&panics).output().expect("the example runs");
    let text = expect(&output, 1, "internal error");
    assert!(text.contains("on purpose"), "{text}");
    // A full standard error doesn't change the code.
    let status = Command::new(&panics)
        .stderr(
            std::fs::File::options()
                .write(true)
                .open("/dev/full")
                .expect("/dev/full"),
        )
        .status();
    assert_eq!(status.expect("the example runs").code(), Some(1));
}

#[test]
fn an_unwritable_output_does_not_change_the_code() {
    let path = format!("--sni {NAME} --verbose");
    for redirection in ["2>&-", "2>/dev/full", "2>&1 | true", ">&- 2>&- <&-"] {
        let script = format!("exec 3>&1; {{ \"$0\" \"$@\" {redirection}; echo $? >&3; }}");
        let script = match redirection.contains('|') {
            false => script,
            // The shell prints the exit code of the pipe's first command. The reader of the pipe
            // has already exited.
            true => "exec 3>&1; { sleep 0.2; \"$0\" \"$@\" 2>&1; echo $? >&3; } | true".to_owned(),
        };
        let script = script.replace("sleep", "/bin/sleep");
        let shell = ["/bin/sh", "-c", &script, BINARY];
        let mut command = haproxy_command(&shell, &path, "127.0.0.1", "1");
        let output = command.output().expect("a shell");
        assert_eq!(stdout(&output).trim(), "41", "{redirection}");
    }
}

#[test]
fn a_full_pipe_does_not_block_the_check() {
    // No process reads this pipe, and it is full before the check starts.
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

/// Runs a check with a deadline of half a second. It must end at the deadline or within 50 ms after
/// it. A loaded machine may delay any process now and then, but not three times in a row.
#[track_caller]
fn expect_deadline(port: u16, options: &str, code: i32) {
    let path = format!("--sni {NAME} --timeout 500ms --json {options}");
    let mut totals = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        let output = under_haproxy(&path, "127.0.0.1", &port.to_string());
        let wall = start.elapsed();
        let text = expect(&output, code, "");
        let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        // This is the program's own measurement, so the time to start the process doesn't count.
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

#[test]
fn the_deadline_holds_whatever_the_peer_does() {
    let Stage { leaf, trust, .. } = &Stage::new();
    expect_deadline(peer::silent(), "", 62);
    // This peer sends a handshake record that never ends.
    expect_deadline(
        peer::tcp(|mut s| drip(&mut s, &[22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xf0])),
        "",
        62,
    );
    let head = peer::tls(leaf, |s| drip(s, b"HTTP/1.1 200 OK\r\nX-A: b"));
    expect_deadline(head, trust, 72);
    let flood = peer::tls(leaf, |s| drip(s, b"HTTP/1.1 103 Early Hints\r\n\r\n"));
    expect_deadline(flood, trust, 72);
    let body = peer::tls(leaf, |s| {
        let _ = s.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        drip(s, b"x");
    });
    expect_deadline(body, &format!("{trust} --expect 'string y'"), 72);
}

#[test]
fn a_regular_expression_over_the_longest_body_ends_in_time() {
    let Stage { leaf, trust, .. } = &Stage::new();
    let body = "x".repeat(1 << 20);
    let response = format!("HTTP/1.1 200 OK\r\n\r\n{body}");
    let port = peer::answer(leaf, &response).to_string();
    let path = format!("--sni {NAME} --json {trust} --max-body 1m --expect 'rstring (x+x+)+y'");
    let mut totals = Vec::new();
    for _ in 0..3 {
        let output = under_haproxy(&path, "127.0.0.1", &port);
        let text = stderr(&output);
        let object: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        let total = object["milliseconds"]["total"].as_f64().expect("a number");
        // The check has the default deadline. On a loaded machine, a run may be late.
        if output.status.code() == Some(75) && total < 1800.0 {
            return;
        }
        totals.push((output.status, total));
    }
    panic!("{totals:?}");
}

#[test]
fn no_regular_expression_outruns_the_deadline() {
    let Stage { leaf, trust, .. } = &Stage::new();
    let body = "ab".repeat(1 << 19);
    let response = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n{body}", "a".repeat(9_000));
    let port = peer::answer(leaf, &response).to_string();
    let limit = "limit of sni-check";
    for (rule, code, phrase) in [
        (
            "--max-body 1m --expect 'rstring (a|b|ab){1,900}!'",
            75,
            "rstring",
        ),
        (
            "--max-body 1m --expect 'rstring [^!]{1,900}?[!?]'",
            75,
            limit,
        ),
        (
            "--max-body 1m --expect '! rstring [^!]{1,900}?[!?]'",
            75,
            limit,
        ),
        ("--max-body 1m --expect 'rstring ^(.|\\n)*[!?]$'", 75, limit),
        ("--expect 'hdr name X value -m reg (a|aa)+[!?]'", 76, limit),
    ] {
        let path = format!("--sni {NAME} --json {trust} --timeout 700ms {rule}");
        // On a loaded machine, a run may be late.
        let tries: Vec<String> = (0..3)
            .map(|_| {
                let output = under_haproxy(&path, "127.0.0.1", &port);
                assert!(!output.status.success(), "{rule}");
                stderr(&output)
            })
            .collect();
        let is_reported = |text: &String| {
            let object: serde_json::Value = serde_json::from_str(text).expect(text);
            let total = object["milliseconds"]["total"].as_f64();
            let in_time = total.expect("a number") < 750.0;
            in_time && object["code"] == code && text.contains(phrase)
        };
        assert!(tries.iter().any(is_reported), "{rule}: {tries:#?}");
    }
}
