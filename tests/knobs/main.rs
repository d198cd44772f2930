//! What the check sends. A backend records the effects of the options.

mod backend;
mod handshake;
#[path = "../support/mod.rs"]
mod support;

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::Duration;

use backend::{Backend, Behaviour, Prefix, Seen};
use support::NAME;
use support::check::{BINARY, by_hand, expect, run_by_hand, stdout};
use support::pki::Ca;
use support::stage::Stage;

fn serve(stage: &Stage, behaviour: Behaviour) -> Backend {
    Backend::tcp(&stage.ca, &stage.leaf, behaviour)
}

/// Returns options that trust the stage's CA, without a name.
fn trust(stage: &Stage) -> String {
    format!("--timeout 10s {}", stage.trust)
}

fn answering(response: &str) -> Behaviour {
    Behaviour {
        response: response.to_owned(),
        ..Behaviour::default()
    }
}

fn ok() -> Behaviour {
    answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nX-A: b, c\r\n\r\nall good\n")
}

/// Runs the check as HAProxy does for a server with this name.
fn check_as(server: &str, path: &str, address: [&str; 2], variables: &[(&str, &str)]) -> Output {
    Command::new(BINARY)
        .args(["NOT_USED", "NOT_USED", address[0], address[1]])
        .env_clear()
        .env("HAPROXY_PROXY_NAME", "hybrid")
        .env("HAPROXY_SERVER_NAME", server)
        .env("PATH", path)
        .envs(variables.iter().copied())
        .output()
        .expect("the program runs")
}

fn check(path: &str, backend: &Backend) -> Output {
    let port = backend.address.port().to_string();
    check_as(
        "blue",
        path,
        [&backend.address.ip().to_string(), &port],
        &[],
    )
}

/// Runs the program as a person would, with these variables in the environment.
fn run(words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = by_hand(words);
    command.envs(variables.iter().copied());
    command.output().expect("the program runs")
}

/// Runs a check that must be UP. Returns what the backend received.
#[track_caller]
fn seen_when_up(stage: &Stage, options: &str) -> Seen {
    let backend = serve(stage, ok());
    let output = check(&format!("{} {options}", trust(stage)), &backend);
    let line = expect(&output, 0, "");
    assert_eq!(line, "", "a healthy backend under HAProxy gives no line");
    assert!(output.stdout.is_empty());
    backend.seen()
}

#[test]
fn the_backend_gets_the_documented_defaults() {
    let stage = Stage::new();
    let seen = seen_when_up(&stage, &format!("--sni {NAME}"));
    assert_eq!(seen.sni.as_deref(), Some(NAME));
    assert_eq!(seen.alpn, [""; 0]);
    assert!(
        seen.request.starts_with("GET / HTTP/1.1\r\n"),
        "{}",
        seen.request
    );
    assert_eq!(seen.header("host"), Some(NAME));
    assert_eq!(seen.header("accept"), Some("*/*"));
    assert_eq!(seen.header("connection"), Some("close"));
    assert_eq!(
        seen.header("user-agent"),
        Some(concat!("sni-check/", env!("CARGO_PKG_VERSION")))
    );
    assert!(seen.close_notify, "the connection must be closed cleanly");
    assert!(!seen.client_certificate);
}

#[test]
fn an_empty_value_leaves_out_a_default_header() {
    let stage = Stage::new();
    let options = format!("--sni {NAME} --header User-Agent: --header Accept:");
    let seen = seen_when_up(&stage, &options);
    assert_eq!(seen.header("user-agent"), None);
    assert_eq!(seen.header("accept"), None);
    assert_eq!(seen.header("host"), Some(NAME));
}

#[test]
fn the_sni_name_comes_from_the_first_source_that_has_a_name() {
    let stage = Stage::new();
    let none = trust(&stage);
    let option = format!("{none} --sni {NAME}");
    let host = [("SNI_HOST", NAME)];
    let other_host = [("SNI_HOST", "other.example.test")];
    for (server, path, variables, expected) in [
        ("blue.example.test", &option, &other_host[..], NAME),
        ("blue.example.test", &none, &host, NAME),
        (NAME, &none, &[("SNI_HOST", "")], NAME),
        (NAME, &none, &[], NAME),
    ] {
        let backend = serve(&stage, ok());
        let port = backend.address.port().to_string();
        expect(
            &check_as(server, path, ["127.0.0.1", &port], variables),
            0,
            "",
        );
        assert_eq!(
            backend.seen().sni.as_deref(),
            Some(expected),
            "{server} {variables:?}"
        );
    }
    let output = check_as("blue", &none, ["127.0.0.1", "1"], &[]);
    expect(&output, 2, "--sni NAME");
}

#[test]
fn by_hand_the_url_precedes_the_environment_and_path_is_never_read() {
    let stage = Stage::new();
    let ca = &stage.ca_file;
    let backend = serve(&stage, ok());
    let connect = format!("--connect={}", backend.address);
    let url = format!("https://{NAME}/healthz?a=b#c");
    let words = ["--timeout=10s", "--ca-file", ca, &connect, &url];
    let nowhere = "http://127.0.0.1:1";
    let variables = [
        ("SNI_HOST", "other"),
        ("PATH", "--frobnicate"),
        ("https_proxy", nowhere),
        ("HTTPS_PROXY", nowhere),
        ("ALL_PROXY", nowhere),
    ];
    let output = run(&words, &variables);
    expect(&output, 0, "");
    let line = stdout(&output);
    assert!(
        line.starts_with(&format!(
            "UP 0 L7OK {NAME} {} sni={NAME}: ",
            backend.address
        )),
        "{line}"
    );
    let seen = backend.seen();
    assert_eq!(seen.sni.as_deref(), Some(NAME));
    assert!(
        seen.request.starts_with("GET /healthz?a=b HTTP/1.1\r\n"),
        "{}",
        seen.request
    );
    // An address in the URL isn't a name, so the check takes the name from the variable.
    let backend = serve(&stage, ok());
    let url = format!("https://{}/", backend.address);
    let words = ["--timeout=10s", "--ca-file", ca, &url];
    expect(&run(&words, &[("SNI_HOST", NAME)]), 0, "");
    assert_eq!(backend.seen().sni.as_deref(), Some(NAME));
}

#[test]
fn address_sni_verified_name_and_host_are_independent() {
    let mut stage = Stage::new();
    stage.leaf = stage.ca.leaf(&[NAME, "127.0.0.1"], 30);
    let seen = seen_when_up(
        &stage,
        &format!("--sni other.example.test --verify-host {NAME} --header 'Host: third.example'"),
    );
    assert_eq!(seen.sni.as_deref(), Some("other.example.test"));
    assert_eq!(seen.header("host"), Some("third.example"));
    // Without SNI, the check verifies the address and sends it as Host.
    let seen = seen_when_up(&stage, "--no-sni");
    assert_eq!(
        (seen.sni.as_deref(), seen.header("host")),
        (None, Some("127.0.0.1"))
    );
    // `--connect` and `--port` replace the address that HAProxy passes.
    let backend = serve(&stage, ok());
    let port = backend.address.port();
    for (path, address) in [
        (format!("--connect 127.0.0.1:{port}"), ["192.0.2.1", "1"]),
        (
            format!("--connect localhost:{port} --source 127.0.0.1"),
            ["192.0.2.1", "1"],
        ),
        (format!("--port {port}"), ["127.0.0.1", "0"]),
        (
            format!("--connect 127.0.0.1 --port {port}"),
            ["/run/nothing", "NOT_USED"],
        ),
    ] {
        let path = format!("{} --sni {NAME} {path}", trust(&stage));
        expect(&check_as("blue", &path, address, &[]), 0, "");
        assert_eq!(backend.seen().sni.as_deref(), Some(NAME));
    }
}

#[test]
fn ipv6_addresses_work_bare_and_in_brackets() {
    let stage = Stage::new();
    let backend = Backend::tcp_on("[::1]:0", &stage.ca, &stage.leaf, ok());
    expect(
        &check(&format!("{} --sni {NAME}", trust(&stage)), &backend),
        0,
        "",
    );
    backend.seen();
    let path = format!(
        "{} --sni {NAME} --connect {}",
        trust(&stage),
        backend.address
    );
    expect(&check_as("blue", &path, ["192.0.2.1", "1"], &[]), 0, "");
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    let stage = Stage::new();
    let backend = serve(&stage, ok());
    let hosts = stage
        .folder
        .file("hosts", &format!("::1 {NAME}\n127.0.0.1 {NAME}\n"));
    let bind = format!("/bin/mount --bind {hosts} /etc/hosts && exec \"$0\" \"$@\"");
    let connect = format!("--port={}", backend.address.port());
    let ca = &stage.ca_file;
    let output = Command::new("/usr/bin/unshare")
        .args([
            "-m",
            "/bin/sh",
            "-c",
            &bind,
            env!("CARGO_BIN_EXE_sni-check"),
        ])
        .args(["--timeout=10s", "--ca-file", ca, &connect, NAME])
        .output()
        .expect("unshare runs");
    expect(&output, 0, "");
    let line = stdout(&output);
    assert!(line.contains(&format!(" {} ", backend.address)), "{line}");
}

#[test]
fn a_check_connects_to_unix_sockets() {
    let stage = Stage::new();
    let socket = stage.folder.join("s");
    let _backend = Backend::unix(std::path::Path::new(&socket), &stage.ca, &stage.leaf, ok());
    let path = format!("{} --sni {NAME}", trust(&stage));
    expect(&check_as("blue", &path, [&socket, "NOT_USED"], &[]), 0, "");
    let path = format!("{path} --connect unix@{socket}");
    expect(&check_as("blue", &path, ["192.0.2.1", "1"], &[]), 0, "");
}

#[test]
fn the_request_has_the_given_method_uri_headers_and_body() {
    let stage = Stage::new();
    let secret = stage
        .folder
        .file("headers", "X-Token: secret\n\nX-Two: 2\n");
    let seen = seen_when_up(
        &stage,
        &format!(
            "--sni {NAME} --method PUT --uri '/a?b=%20' --header 'X-A: b c' --header @{secret} --body 'x y'"
        ),
    );
    assert!(
        seen.request.starts_with("PUT /a?b=%20 HTTP/1.1\r\n"),
        "{}",
        seen.request
    );
    assert_eq!(seen.header("x-a"), Some("b c"));
    assert_eq!(seen.header("x-token"), Some("secret"));
    assert_eq!(seen.header("x-two"), Some("2"));
    assert_eq!(seen.header("content-length"), Some("3"));
    assert!(seen.request.ends_with("x y"), "{}", seen.request);
    let seen = seen_when_up(&stage, &format!("--sni {NAME} --body hello"));
    assert!(seen.request.starts_with("GET / ") && seen.request.ends_with("hello"));
    let seen = seen_when_up(&stage, &format!("--sni {NAME} --method HEAD"));
    assert!(seen.request.starts_with("HEAD / "));
}

#[test]
fn expectations_decide_the_result() {
    let stage = Stage::new();
    for (rules, code) in [
        (
            "--expect 'status 200' --expect 'string \"all good\"' --expect 'hdr name x-a value c'",
            0,
        ),
        (
            "--expect '! string bad' --expect '! hdr name x-b' --expect '! status 500-599'",
            0,
        ),
        (
            "--expect 'rstring ^all' --expect 'fhdr name X-A value \"b, c\"'",
            0,
        ),
        ("--expect 'string all' --max-body 3", 0),
        ("--expect 'status 204'", 71),
        ("--expect '! status 200'", 71),
        ("--expect 'string bad'", 75),
        ("--expect '! rstring good'", 75),
        ("--expect 'string good' --max-body 3", 75),
        // The check doesn't see the body beyond --max-body, so it can't know whether the text is absent.
        ("--expect '! string bad' --max-body 3", 75),
        ("--expect 'hdr name x-b'", 76),
        ("--expect 'fhdr name x-a value c'", 76),
        (
            "--expect 'string bad' --expect 'hdr name x-b' --expect 'status 204'",
            71,
        ),
    ] {
        let backend = serve(&stage, ok());
        let output = check(&format!("{} --sni {NAME} {rules}", trust(&stage)), &backend);
        expect(&output, code, "");
    }
    // As in HAProxy, the default rule (2xx and 3xx) applies only if no rule is given.
    let error = answering("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nall good\n");
    let path = format!("{} --sni {NAME} --expect 'string good'", trust(&stage));
    expect(&check(&path, &serve(&stage, error.clone())), 0, "");
    let path = format!("{path} --expect 'status 200-399'");
    expect(&check(&path, &serve(&stage, error)), 71, "");
}

#[test]
fn redirects_are_never_followed() {
    let stage = Stage::new();
    let redirect = answering(
        "HTTP/1.1 302 Found\r\nLocation: https://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    );
    let path = format!("{} --sni {NAME}", trust(&stage));
    expect(&check(&path, &serve(&stage, redirect.clone())), 0, "");
    let output = check(
        &format!("{path} --expect 'status 200'"),
        &serve(&stage, redirect),
    );
    expect(&output, 71, "redirects to https://169.254.169.254/");
}

#[test]
fn options_limit_the_tls_versions() {
    let stage = Stage::new();
    for (options, version) in [
        ("--ssl-max-ver TLSv1.2", "TLSv1.2"),
        ("--ssl-min-ver TLSv1.3", "TLSv1.3"),
        ("", "TLSv1.3"),
    ] {
        let backend = serve(&stage, ok());
        let connect = format!("--connect={} {}", backend.address, trust(&stage));
        let words: Vec<&str> = connect
            .split(' ')
            .chain(options.split_whitespace())
            .collect();
        let output = run_by_hand(&[&words[..], &["--json", NAME]].concat());
        expect(&output, 0, "");
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(object["tls_version"], version);
    }
}

#[test]
fn a_proxy_header_comes_before_tls() {
    let stage = Stage::new();
    let prefix = |prefix| Behaviour {
        prefix: Some(prefix),
        ..ok()
    };
    let path = format!("{} --sni {NAME}", trust(&stage));
    let backend = serve(&stage, prefix(Prefix::Line));
    expect(&check(&format!("{path} --send-proxy"), &backend), 0, "");
    let seen = backend.seen();
    let (from, to) = (seen.from.expect("a peer").port(), backend.address.port());
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n");
    assert_eq!(String::from_utf8_lossy(&seen.prefix), expected);
    let backend = serve(&stage, prefix(Prefix::Bytes(16)));
    expect(&check(&format!("{path} --send-proxy-v2"), &backend), 0, "");
    assert_eq!(backend.seen().prefix, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    // A unix socket has no addresses to put into the header.
    let socket = stage.folder.join("p");
    let backend = Backend::unix(
        std::path::Path::new(&socket),
        &stage.ca,
        &stage.leaf,
        prefix(Prefix::Line),
    );
    expect(
        &check_as(
            "b",
            &format!("{path} --send-proxy"),
            [&socket, "NOT_USED"],
            &[],
        ),
        0,
        "",
    );
    assert_eq!(backend.seen().prefix, b"PROXY UNKNOWN\r\n");
}

#[test]
fn a_check_connects_from_the_source_address() {
    let stage = Stage::new();
    let seen = seen_when_up(&stage, &format!("--sni {NAME} --source 127.0.0.9"));
    assert_eq!(seen.from.expect("a peer").ip().to_string(), "127.0.0.9");
    let output = check_as(
        "blue",
        &format!("{} --sni {NAME} --source 192.0.2.1", trust(&stage)),
        ["127.0.0.1", "1"],
        &[],
    );
    expect(&output, 43, "--source 192.0.2.1");
}

#[test]
fn client_certificates_are_sent_and_missing_certificates_are_reported() {
    let stage = Stage::new();
    let wants = Behaviour {
        wants_client_certificate: true,
        ..ok()
    };
    let client = stage.ca.leaf(&["client.example.test"], 30);
    let both = stage.folder.file("both.pem", &client.both_pem());
    let crt = stage.folder.file("client.crt", &client.crt_pem);
    let key = stage.folder.file("client.key", &client.key_pem);
    let path = format!("{} --sni {NAME}", trust(&stage));
    for identity in [format!("--crt {both}"), format!("--crt {crt} --key {key}")] {
        for version in ["", "--ssl-max-ver TLSv1.2"] {
            let backend = serve(&stage, wants.clone());
            expect(
                &check(&format!("{path} {identity} {version}"), &backend),
                0,
                "",
            );
            assert!(backend.seen().client_certificate);
        }
    }
    let stranger = Ca::named("Stranger CA").leaf(&["stranger"], 30);
    let stranger = stage.folder.file("stranger.pem", &stranger.both_pem());
    for version in ["", "--ssl-max-ver TLSv1.2"] {
        let output = check(&format!("{path} {version}"), &serve(&stage, wants.clone()));
        expect(&output, 58, "requires a client certificate");
        let options = format!("{path} {version} --crt {stranger}");
        let output = check(&options, &serve(&stage, wants.clone()));
        expect(&output, 58, "refused our client certificate");
    }
}

#[test]
fn a_certificate_that_expires_soon_is_down_or_gives_a_warning() {
    let stage = Stage::new();
    let path = format!("{} --sni {NAME}", trust(&stage));
    let output = check(&format!("{path} --min-cert-days 31"), &serve(&stage, ok()));
    expect(&output, 57, "expires in 30 days");
    expect(
        &check(&format!("{path} --min-cert-days 10"), &serve(&stage, ok())),
        0,
        "",
    );
    let output = check(&format!("{path} --warn-cert-days 31"), &serve(&stage, ok()));
    let line = expect(&output, 0, "");
    assert!(
        line.starts_with("UP 0 L7OK hybrid/blue") && line.contains("expires in 30 days"),
        "{line}"
    );
    let output = check(&format!("{path} --warn-cert-days 10"), &serve(&stage, ok()));
    assert_eq!(expect(&output, 0, ""), "");
}

#[test]
fn output_goes_to_the_right_stream() {
    let stage = Stage::new();
    let address = ["127.0.0.1", "1"];
    let path = format!("{} --sni {NAME}", trust(&stage));
    let line = expect(&check_as("blue", &path, address, &[]), 41, "");
    assert!(
        line.starts_with(&format!(
            "DOWN 41 L4CON hybrid/blue 127.0.0.1:1 sni={NAME}: connection refused; connect "
        )),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
    let quiet = check_as("blue", &format!("{path} --quiet"), address, &[]);
    assert_eq!(expect(&quiet, 41, ""), "");
    let json = expect(
        &check_as("blue", &format!("{path} --json"), address, &[]),
        41,
        "",
    );
    let object: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    for (field, value) in [
        ("state", "DOWN"),
        ("haproxy", "L4CON"),
        ("backend", "hybrid"),
        ("server", "blue"),
        ("address", "127.0.0.1:1"),
        ("sni", NAME),
        ("cause", "connection refused"),
    ] {
        assert_eq!(object[field], value, "{json}");
    }
    assert_eq!(object["code"], 41);
    assert!(object["milliseconds"]["total"].is_number());
    // If a person runs the program, the JSON goes to standard output even if the server is DOWN.
    // Other programs read it there.
    let output = run_by_hand(&["--connect=127.0.0.1:1", "--json", NAME]);
    assert!(expect(&output, 41, "").is_empty() && output.stdout.starts_with(b"{"));
    let backend = serve(&stage, ok());
    let ca = &stage.ca_file;
    let connect = format!("--connect={}", backend.address);
    let output = run_by_hand(&["--verbose", "--ca-file", ca, &connect, NAME]);
    expect(&output, 0, "");
    let text = stdout(&output);
    for part in [
        "tls ",
        "alpn      none chosen",
        "chain 0",
        "by CN=Test CA",
        "status    200",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn failures_reach_the_syslog() {
    let stage = Stage::new();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let socket = stage.folder.join("log");
    let unix = UnixDatagram::bind(&socket).expect("a socket");
    udp.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time-out");
    unix.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a time-out");
    let mut buffer = [0; 4096];
    let received =
        |length: usize, buffer: &[u8]| String::from_utf8_lossy(&buffer[..length]).into_owned();
    let to_udp = format!(
        "--syslog {} --sni {NAME}",
        udp.local_addr().expect("an address")
    );
    let to_unix = format!("--syslog {} --sni {NAME}", socket);
    for (path, phrase) in [
        (&to_udp[..], ": connection refused"),
        (&format!("{to_udp} --no-sni"), "--no-sni"),
    ] {
        check_as("blue", path, ["127.0.0.1", "1"], &[]);
        let length = udp.recv(&mut buffer).expect("a datagram");
        let message = received(length, &buffer);
        assert!(
            message.starts_with("<27>1 20") && message.contains(" - sni-check "),
            "{message}"
        );
        assert!(
            message.contains("hybrid/blue") && message.contains(phrase),
            "{message}"
        );
    }
    check_as("blue", &to_unix, ["127.0.0.1", "1"], &[]);
    let length = unix.recv(&mut buffer).expect("a datagram");
    let message = received(length, &buffer);
    assert!(
        message.starts_with("<27>sni-check[") && message.contains("DOWN 41"),
        "{message}"
    );
    // A missing syslog doesn't change the result.
    expect(
        &check_as(
            "b",
            &format!("--sni {NAME} --syslog /nonexistent"),
            ["127.0.0.1", "1"],
            &[],
        ),
        41,
        "",
    );
}
