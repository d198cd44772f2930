//! serve's pages about itself (`GET /-/healthy`, `GET /metrics`), `--ping`, and lines for the journal.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::scene::{Serve, head};
use crate::support::check::{expect, run_by_hand};
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port, free_port, program};

fn page(serve: &Serve, path: &str) -> String {
    let mut stream = serve.connect();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a page");
    text
}

#[test]
fn a_probe_reports_whether_serve_works() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let healthy = page(&serve, "/-/healthy");
    assert!(healthy.starts_with("HTTP/1.1 200 OK\r\n"), "{healthy}");
    assert!(!serve.log().contains("is missing"), "{}", serve.log());
    let listen = format!("unix:{}", serve.socket);
    let ping = || run_by_hand(&["serve", "--ping", "--listen", &listen]);
    expect(&ping(), 0, "");
    assert_eq!(serve.end("-TERM").code(), Some(0));
    expect(&ping(), 43, "does not answer");
    let dead = format!("127.0.0.1:{}", dead_port());
    expect(
        &run_by_hand(&["serve", "--ping", "--listen", &dead]),
        43,
        "does not answer",
    );
}

#[test]
fn the_metrics_count_the_checks() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    for _ in 0..3 {
        serve
            .ask(stage.nginx().port, &stage.options())
            .expect("0", "status 200");
    }
    serve
        .ask(dead_port(), &stage.options())
        .expect("41", "refused");
    serve.ask(1, "--frobnicate").expect("2", "--frobnicate");
    // A client gets its answer before serve counts the check.
    let counts = [
        "check_duration_seconds_count 4",
        "checks_total{code=\"2\"} 1",
    ];
    let figures = crate::support::wait_for("the last checks to count", || {
        let figures = page(&serve, "/metrics");
        let is_counted = counts.iter().all(|count| figures.contains(count));
        is_counted.then_some(figures)
    });
    for line in [
        "content-type: text/plain; version=0.0.4",
        "sni_check_checks_total{code=\"0\"} 3",
        "sni_check_checks_total{code=\"41\"} 1",
        "sni_check_checks_total{code=\"2\"} 1",
        "sni_check_checks_total{code=\"65\"} 0",
        "sni_check_check_duration_seconds_bucket{le=\"+Inf\"} 4",
    ] {
        assert!(figures.contains(line), "{figures} (lacks {line})");
    }
    let (_, body) = figures.split_once("\r\n\r\n").expect("a body");
    let file = stage.folder.file("figures", body);
    let script = format!("promtool check metrics < {file} 2>&1");
    let promtool = program("sh").args(["-c", &script]).output().expect("sh");
    let said = String::from_utf8_lossy(&promtool.stdout).into_owned();
    assert!(promtool.status.success(), "{said}");
    let end = "sni_check_certificate_end_timestamp_seconds{backend=\"hybrid\",server=\"blue\"} ";
    let end = figures.lines().find_map(|line| line.strip_prefix(end));
    let end: i64 = end.expect("an end").parse().expect("a time");
    let days = (end - time::OffsetDateTime::now_utc().unix_timestamp()) / 86_400;
    assert!((28..=30).contains(&days), "{days}");
}

#[test]
fn a_check_never_gets_a_page_and_other_hosts_get_no_page() {
    let stage = Stage::new();
    let serve = Serve::start(&stage, &[]);
    let check = head(dead_port(), &format!("--sni {NAME}")).replace("GET / ", "GET /metrics ");
    serve.send(&check).expect("41", "refused");
    let stage = Stage::new();
    let address = format!("127.0.0.1:{}", free_port());
    let options = [
        "--listen",
        &address,
        "--allow-remote",
        "--allow-target",
        "127.0.0.0/8",
    ];
    let _remote = Serve::start(&stage, &options);
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\n\r\n")
        .expect("sent");
    crate::scene::Answer::read(stream).expect("2", "is only for this host");
}

/// In this test, standard error is a stream to the journal. sni-check recognises the journal by the
/// path of the socket at the other end.
#[test]
fn a_failure_has_the_priority_of_an_error_in_the_journal() {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    let stage = Stage::new();
    let folder = stage.folder.join("systemd/journal");
    std::fs::create_dir_all(&folder).expect("a folder");
    let journal = UnixListener::bind(format!("{folder}/stdout")).expect("a socket");
    let port = dead_port().to_string();
    for (options, line) in [
        (stage.options(), "<3>DOWN 41 "),
        ("--frobnicate".to_owned(), "<3>sni-check: hybrid/blue: "),
    ] {
        let program = [crate::support::check::BINARY];
        let mut command =
            crate::support::check::haproxy_command(&program, &options, "127.0.0.1", &port);
        let stderr: OwnedFd = UnixStream::connect(format!("{folder}/stdout"))
            .expect("a stream")
            .into();
        let status = command.stderr(stderr).status().expect("the program runs");
        assert!(!status.success());
        drop(command);
        let mut text = String::new();
        let (mut stream, _) = journal.accept().expect("a stream");
        stream.read_to_string(&mut text).expect("a line");
        assert!(text.starts_with(line), "{text}");
    }
}
