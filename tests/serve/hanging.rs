//! Files that hang, slow regular expressions, and a frozen serve. The affected checks fail, other
//! checks still work, and serve still stops on SIGTERM.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::scene::{Answer, Serve, head};
use crate::support::freezer::Freezer;
use crate::support::held::HeldFile;
use crate::support::pki::Ca;
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, peer, wait_for};

/// How late a process may be on a machine that also runs other tests.
const LATE: Duration = Duration::from_secs(5);

fn threads(serve: &Serve) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", serve.pid()));
    let status = status.expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Threads:"));
    line.expect("a line").trim().parse().expect("a number")
}

#[test]
fn a_file_that_hangs_does_not_block_other_checks_or_the_exit() {
    let stage = Stage::new();
    let held = HeldFile::new(&stage.folder, "held.pem", &stage.ca.pem);
    let serve = Serve::start(&stage, &["--max-checks", "40"]);
    let healthy = head(stage.nginx().port, &stage.options());
    serve.send(&healthy).expect("0", "status 200");
    let began = Instant::now();
    let hanging: Vec<_> = (0..45)
        .map(|number| {
            // Every request has different options, and names an ordinary CA file in addition to the
            // file that hangs.
            let options = format!(
                "--sni {NAME} --uri /{number} --timeout 1800ms --ca-file {} --ca-file {}",
                stage.ca_file, held.path
            );
            let mut stream = serve.connect();
            let head = head(stage.nginx().port, &options);
            stream.write_all(head.as_bytes()).expect("sent");
            stream
        })
        .collect();
    while began.elapsed() < Duration::from_millis(1500) {
        serve.send(&healthy).expect("0", "status 200");
    }
    for stream in hanging {
        Answer::read(stream).expect("2", "its file system does not answer");
    }
    assert!(began.elapsed() < Duration::from_millis(1800) + LATE);
    // One thread remains blocked in the file. Some idle threads and readers may remain too.
    wait_for("the other threads to end", || {
        (threads(&serve) <= 24).then_some(())
    });
    let began = Instant::now();
    assert_eq!(serve.end("-TERM").code(), Some(0));
    assert!(began.elapsed() < LATE, "{:?}", began.elapsed());
}

#[test]
fn a_file_that_works_again_is_used_again() {
    let stage = Stage::new();
    let held = HeldFile::new(&stage.folder, "held.pem", &stage.ca.pem);
    let serve = Serve::start(&stage, &[]);
    let options = format!("--sni {NAME} --timeout 500ms --ca-file {}", held.path);
    let port = stage.nginx().port;
    serve
        .ask(port, &options)
        .expect("2", "its file system does not answer");
    drop(held);
    wait_for("the file to be read again", || {
        (serve.ask(port, &options.replace("500ms", "10s")).code == "0").then_some(())
    });
}

#[test]
fn a_file_that_hangs_in_a_folder_of_cas_is_not_skipped() {
    let stage = Stage::new();
    let folder = stage.folder.join("authorities");
    std::fs::create_dir(&folder).expect("a folder");
    let held = HeldFile::new(&stage.folder, "authorities/held.pem", &stage.ca.pem);
    stage
        .folder
        .file("authorities/other.pem", &Ca::named("Other").pem);
    let serve = Serve::start(&stage, &[]);
    let options = format!("--sni {NAME} --timeout 500ms --ca-file {folder}");
    let answer = serve.ask(stage.nginx().port, &options);
    answer.expect("2", "its file system does not answer");
    drop(held);
}

/// The requests use a regular expression that would take minutes on this body.
#[test]
fn slow_regular_expressions_do_not_delay_other_checks_and_end_at_their_deadline() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let body = "status ok ".repeat(6_500);
    let head_and_body = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let hostile = peer::answer(&stage.leaf, &head_and_body);
    let options = format!("{} --expect 'rstring status.*ok.*[0-9]'", stage.trust);
    let options = format!("--sni {NAME} --timeout 4s {options}");
    let hostile = head(hostile, &options);
    let healthy = head(stage.nginx().port, &stage.options());
    serve.send(&healthy).expect("0", "status 200");
    let streams: Vec<_> = (0..40)
        .map(|_| {
            let mut stream = serve.connect();
            stream.write_all(hostile.as_bytes()).expect("sent");
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    // A busy machine delays some checks, but slow matches would delay all of them. So the test uses
    // the shortest time.
    let times = (0..20).map(|_| {
        let began = Instant::now();
        serve.send(&healthy).expect("0", "status 200");
        began.elapsed()
    });
    let shortest = times.min().expect("a time");
    assert!(shortest < Duration::from_millis(100), "{shortest:?}");
    for stream in streams {
        let answer = Answer::read(stream);
        assert!(
            ["72", "75", "62"].contains(&answer.code.as_str()),
            "{answer:?}"
        );
    }
    let ticks = || -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", serve.pid()));
        let stat = stat.expect("a process");
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        fields
            .skip(11)
            .take(2)
            .map(|field| field.parse::<u64>().expect("ticks"))
            .sum()
    };
    let before = ticks();
    std::thread::sleep(Duration::from_secs(1));
    assert!(ticks() - before <= 10, "serve still uses the CPU");
}

/// The test freezes serve (as `docker pause` does) while a server responds, and thaws it after the
/// deadline of the check.
#[test]
fn a_frozen_serve_never_reports_up_late_and_works_again() {
    let stage = Stage::new();
    let slow = peer::waiting(&stage.leaf);
    let serve = Serve::start(&stage, &[]);
    let freezer = Freezer::new(serve.pid());
    let options = stage.options().replace("10s", "2s");
    let began = Instant::now();
    let mut stream = serve.connect();
    stream
        .write_all(head(slow.port, &options).as_bytes())
        .expect("sent");
    slow.asked.recv_timeout(PATIENCE).expect("a request");
    freezer.freeze();
    slow.respond.send(()).expect("the server waits");
    std::thread::sleep(Duration::from_millis(2200).saturating_sub(began.elapsed()));
    freezer.thaw();
    Answer::read(stream).expect("72", "timed out");
    serve
        .ask(stage.nginx().port, &stage.options())
        .expect("0", "status 200");
}
