//! What goes over the wire: each knob, seen from the backend.

mod backend;
#[path = "../support/mod.rs"]
mod support;

use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::Duration;

use backend::{Backend, Behaviour, Prefix, Seen};
use support::folder::Folder;
use support::pki::{Ca, Leaf};

const NAME: &str = "www.example.test";

/// A CA, a leaf and a folder.
struct Place {
    folder: Folder,
    ca: Ca,
    leaf: Leaf,
}

impl Place {
    fn new() -> Place {
        let folder = Folder::new();
        let ca = Ca::new();
        let leaf = ca.leaf(&[NAME, "127.0.0.1"], 30);
        folder.file("ca.pem", &ca.pem);
        Place { folder, ca, leaf }
    }

    fn file(&self, name: &str, content: &str) -> String {
        self.folder.file(name, content)
    }

    fn backend(&self, behaviour: Behaviour) -> Backend {
        Backend::tcp(&self.ca, &self.leaf, behaviour)
    }

    /// Options that make this place's CA known.
    fn trust(&self) -> String {
        format!("--timeout 10s --ca-file {}", self.folder.join("ca.pem"))
    }
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

/// Runs the check as HAProxy does for a server of this name.
fn check_as(server: &str, path: &str, address: [&str; 2], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sni-check"))
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

fn by_hand(words: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sni-check"))
        .args(words)
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .expect("the program runs")
}

#[track_caller]
fn expect_code(code: i32, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

/// Runs a check that must be UP, and tells what the backend saw.
#[track_caller]
fn seen_when_up(place: &Place, options: &str) -> Seen {
    let backend = place.backend(ok());
    let output = check(&format!("{} {options}", place.trust()), &backend);
    assert_eq!(
        expect_code(0, &output),
        "",
        "a healthy backend under HAProxy gives no line"
    );
    assert!(output.stdout.is_empty());
    backend.seen()
}

#[test]
fn the_defaults() {
    let place = Place::new();
    let seen = seen_when_up(&place, &format!("--sni {NAME}"));
    assert_eq!(seen.sni.as_deref(), Some(NAME));
    assert_eq!(seen.alpn, ["http/1.1"]);
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
    assert!(seen.close_notify, "the connection must end in order");
    assert!(!seen.client_certificate);
}

#[test]
fn the_sni_name_is_the_first_that_is_there() {
    let place = Place::new();
    let none = place.trust();
    let option = format!("{none} --sni {NAME}");
    let host = [("SNI_HOST", NAME)];
    let other_host = [("SNI_HOST", "other.example.test")];
    for (server, path, variables, expected) in [
        ("blue.example.test", &option, &other_host[..], NAME),
        ("blue.example.test", &none, &host, NAME),
        (NAME, &none, &[("SNI_HOST", "")], NAME),
        (NAME, &none, &[], NAME),
    ] {
        let backend = place.backend(ok());
        let port = backend.address.port().to_string();
        expect_code(0, &check_as(server, path, ["127.0.0.1", &port], variables));
        assert_eq!(
            backend.seen().sni.as_deref(),
            Some(expected),
            "{server} {variables:?}"
        );
    }
    let output = check_as("blue", &none, ["127.0.0.1", "1"], &[]);
    assert!(expect_code(2, &output).contains("--sni NAME"));
}

#[test]
fn by_hand_the_url_comes_before_the_environment_and_path_is_never_read() {
    let place = Place::new();
    let ca = place.folder.join("ca.pem");
    let backend = place.backend(ok());
    let connect = format!("--connect={}", backend.address);
    let url = format!("https://{NAME}/healthz?a=b#c");
    let words = ["--timeout=10s", "--ca-file", &ca, &connect, &url];
    let nowhere = "http://127.0.0.1:1";
    let variables = [
        ("SNI_HOST", "other"),
        ("PATH", "--frobnicate"),
        ("https_proxy", nowhere),
        ("HTTPS_PROXY", nowhere),
        ("ALL_PROXY", nowhere),
    ];
    let output = by_hand(&words, &variables);
    expect_code(0, &output);
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
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
    // An address in the URL is no name; then the variable is.
    let backend = place.backend(ok());
    let url = format!("https://{}/", backend.address);
    let words = ["--timeout=10s", "--ca-file", &ca, &url];
    expect_code(0, &by_hand(&words, &[("SNI_HOST", NAME)]));
    assert_eq!(backend.seen().sni.as_deref(), Some(NAME));
}

#[test]
fn address_sni_verified_name_and_host_are_four_knobs() {
    let place = Place::new();
    let seen = seen_when_up(
        &place,
        &format!("--sni other.example.test --verify-host {NAME} --header 'Host: third.example'"),
    );
    assert_eq!(seen.sni.as_deref(), Some("other.example.test"));
    assert_eq!(seen.header("host"), Some("third.example"));
    // Without SNI the address is what is verified, and what Host says.
    let seen = seen_when_up(&place, "--no-sni");
    assert_eq!(
        (seen.sni.as_deref(), seen.header("host")),
        (None, Some("127.0.0.1"))
    );
    // A trailing dot is not for the wire.
    let seen = seen_when_up(&place, &format!("--sni {NAME}."));
    assert_eq!(seen.sni.as_deref(), Some(NAME));
    // The address: HAProxy's is replaced by --connect and --port.
    let backend = place.backend(ok());
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
        let path = format!("{} --sni {NAME} {path}", place.trust());
        expect_code(0, &check_as("blue", &path, address, &[]));
        assert_eq!(backend.seen().sni.as_deref(), Some(NAME));
    }
}

#[test]
fn ipv6_bare_and_in_brackets() {
    let place = Place::new();
    let backend = Backend::tcp_on("[::1]:0", &place.ca, &place.leaf, ok());
    expect_code(
        0,
        &check(&format!("{} --sni {NAME}", place.trust()), &backend),
    );
    backend.seen();
    let path = format!(
        "{} --sni {NAME} --connect {}",
        place.trust(),
        backend.address
    );
    expect_code(0, &check_as("blue", &path, ["192.0.2.1", "1"], &[]));
}

#[test]
fn all_addresses_of_a_name_are_tried() {
    let place = Place::new();
    let backend = place.backend(ok());
    let hosts = place.file("hosts", &format!("::1 {NAME}\n127.0.0.1 {NAME}\n"));
    let bind = format!("/bin/mount --bind {hosts} /etc/hosts && exec \"$0\" \"$@\"");
    let connect = format!("--port={}", backend.address.port());
    let ca = place.folder.join("ca.pem");
    let output = Command::new("/usr/bin/unshare")
        .args([
            "-m",
            "/bin/sh",
            "-c",
            &bind,
            env!("CARGO_BIN_EXE_sni-check"),
        ])
        .args(["--timeout=10s", "--ca-file", &ca, &connect, NAME])
        .output()
        .expect("unshare runs");
    expect_code(0, &output);
    let line = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(line.contains(&format!(" {} ", backend.address)), "{line}");
}

#[test]
fn unix_sockets() {
    let place = Place::new();
    let socket = place.folder.join("s");
    let _backend = Backend::unix(std::path::Path::new(&socket), &place.ca, &place.leaf, ok());
    let path = format!("{} --sni {NAME}", place.trust());
    expect_code(0, &check_as("blue", &path, [&socket, "NOT_USED"], &[]));
    let path = format!("{path} --connect unix@{socket}");
    expect_code(0, &check_as("blue", &path, ["192.0.2.1", "1"], &[]));
}

#[test]
fn the_request() {
    let place = Place::new();
    let secret = place.file("headers", "X-Token: secret\n\nX-Two: 2\n");
    let seen = seen_when_up(
        &place,
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
    let seen = seen_when_up(&place, &format!("--sni {NAME} --body hello"));
    assert!(seen.request.starts_with("GET / ") && seen.request.ends_with("hello"));
    let seen = seen_when_up(&place, &format!("--sni {NAME} --method HEAD"));
    assert!(seen.request.starts_with("HEAD / "));
}

#[test]
fn expectations_decide() {
    let place = Place::new();
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
        // What lies beyond --max-body is not known to be absent.
        ("--expect '! string bad' --max-body 3", 75),
        ("--expect 'hdr name x-b'", 76),
        ("--expect 'fhdr name x-a value c'", 76),
        (
            "--expect 'string bad' --expect 'hdr name x-b' --expect 'status 204'",
            71,
        ),
    ] {
        let backend = place.backend(ok());
        let output = check(&format!("{} --sni {NAME} {rules}", place.trust()), &backend);
        expect_code(code, &output);
    }
    // A status expectation is needed for anything but 2xx and 3xx, whatever else is expected.
    let error = answering("HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nall good\n");
    let path = format!("{} --sni {NAME} --expect 'string good'", place.trust());
    expect_code(71, &check(&path, &place.backend(error.clone())));
    expect_code(
        0,
        &check(
            &format!("{path} --expect 'status 500'"),
            &place.backend(error),
        ),
    );
}

#[test]
fn redirects_are_a_status_and_never_followed() {
    let place = Place::new();
    let redirect = answering(
        "HTTP/1.1 302 Found\r\nLocation: https://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
    );
    let path = format!("{} --sni {NAME}", place.trust());
    expect_code(0, &check(&path, &place.backend(redirect.clone())));
    let output = check(
        &format!("{path} --expect 'status 200'"),
        &place.backend(redirect),
    );
    assert!(expect_code(71, &output).contains("redirects to https://169.254.169.254/"));
}

#[test]
fn tls_versions() {
    let place = Place::new();
    for (options, version) in [
        ("--ssl-max-ver TLSv1.2", "TLSv1.2"),
        ("--ssl-min-ver TLSv1.3", "TLSv1.3"),
        ("", "TLSv1.3"),
    ] {
        let backend = place.backend(ok());
        let connect = format!("--connect={} {}", backend.address, place.trust());
        let words: Vec<&str> = connect
            .split(' ')
            .chain(options.split_whitespace())
            .collect();
        let output = by_hand(&[&words[..], &["--json", NAME]].concat(), &[]);
        expect_code(0, &output);
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(object["tls_version"], version);
    }
}

#[test]
fn proxy_headers() {
    let place = Place::new();
    let prefix = |prefix| Behaviour {
        prefix: Some(prefix),
        ..ok()
    };
    let path = format!("{} --sni {NAME}", place.trust());
    let backend = place.backend(prefix(Prefix::Line));
    expect_code(0, &check(&format!("{path} --send-proxy"), &backend));
    let seen = backend.seen();
    let (from, to) = (seen.from.expect("a peer").port(), backend.address.port());
    let expected = format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n");
    assert_eq!(String::from_utf8_lossy(&seen.prefix), expected);
    let backend = place.backend(prefix(Prefix::Bytes(16)));
    expect_code(0, &check(&format!("{path} --send-proxy-v2"), &backend));
    assert_eq!(backend.seen().prefix, b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0");
    // A unix socket has no addresses to tell.
    let socket = place.folder.join("p");
    let backend = Backend::unix(
        std::path::Path::new(&socket),
        &place.ca,
        &place.leaf,
        prefix(Prefix::Line),
    );
    expect_code(
        0,
        &check_as(
            "b",
            &format!("{path} --send-proxy"),
            [&socket, "NOT_USED"],
            &[],
        ),
    );
    assert_eq!(backend.seen().prefix, b"PROXY UNKNOWN\r\n");
}

#[test]
fn the_source_address() {
    let place = Place::new();
    let seen = seen_when_up(&place, &format!("--sni {NAME} --source 127.0.0.9"));
    assert_eq!(seen.from.expect("a peer").ip().to_string(), "127.0.0.9");
    let output = check_as(
        "blue",
        &format!("{} --sni {NAME} --source 192.0.2.1", place.trust()),
        ["127.0.0.1", "1"],
        &[],
    );
    assert!(expect_code(43, &output).contains("--source 192.0.2.1"));
}

#[test]
fn client_certificates() {
    let place = Place::new();
    let wants = Behaviour {
        wants_client_certificate: true,
        ..ok()
    };
    let client = place.ca.leaf(&["client.example.test"], 30);
    let both = place.file("both.pem", &format!("{}{}", client.crt_pem, client.key_pem));
    let crt = place.file("client.crt", &client.crt_pem);
    let key = place.file("client.key", &client.key_pem);
    let path = format!("{} --sni {NAME}", place.trust());
    for identity in [format!("--crt {both}"), format!("--crt {crt} --key {key}")] {
        for version in ["", "--ssl-max-ver TLSv1.2"] {
            let backend = place.backend(wants.clone());
            expect_code(0, &check(&format!("{path} {identity} {version}"), &backend));
            assert!(backend.seen().client_certificate);
        }
    }
    let stranger = Ca::named("Stranger CA").leaf(&["stranger"], 30);
    let stranger = place.file(
        "stranger.pem",
        &format!("{}{}", stranger.crt_pem, stranger.key_pem),
    );
    for version in ["", "--ssl-max-ver TLSv1.2"] {
        let output = check(&format!("{path} {version}"), &place.backend(wants.clone()));
        assert!(expect_code(58, &output).contains("wants a client certificate"));
        let options = format!("{path} {version} --crt {stranger}");
        let output = check(&options, &place.backend(wants.clone()));
        assert!(expect_code(58, &output).contains("refused our client certificate"));
    }
}

#[test]
fn days_left_of_the_certificate() {
    let place = Place::new();
    let path = format!("{} --sni {NAME}", place.trust());
    let output = check(&format!("{path} --min-cert-days 31"), &place.backend(ok()));
    assert!(expect_code(57, &output).contains("ends in 30 days"));
    expect_code(
        0,
        &check(&format!("{path} --min-cert-days 10"), &place.backend(ok())),
    );
    let output = check(&format!("{path} --warn-cert-days 31"), &place.backend(ok()));
    let line = expect_code(0, &output);
    assert!(
        line.starts_with("UP 0 L7OK hybrid/blue") && line.contains("ends in 30 days"),
        "{line}"
    );
    let output = check(&format!("{path} --warn-cert-days 10"), &place.backend(ok()));
    assert_eq!(expect_code(0, &output), "");
}

#[test]
fn what_is_printed_where() {
    let place = Place::new();
    let address = ["127.0.0.1", "1"];
    let path = format!("{} --sni {NAME}", place.trust());
    let line = expect_code(41, &check_as("blue", &path, address, &[]));
    assert!(
        line.starts_with(&format!(
            "DOWN 41 L4CON hybrid/blue 127.0.0.1:1 sni={NAME}: connection refused; connect "
        )),
        "{line}"
    );
    assert_eq!(line.lines().count(), 1);
    let quiet = check_as("blue", &format!("{path} --quiet"), address, &[]);
    assert_eq!(expect_code(41, &quiet), "");
    let json = expect_code(
        41,
        &check_as("blue", &format!("{path} --json"), address, &[]),
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
    // By hand JSON is for the next program, whatever it says; the details follow the line.
    let output = by_hand(&["--connect=127.0.0.1:1", "--json", NAME], &[]);
    assert!(expect_code(41, &output).is_empty() && output.stdout.starts_with(b"{"));
    let backend = place.backend(ok());
    let ca = place.folder.join("ca.pem");
    let connect = format!("--connect={}", backend.address);
    let output = by_hand(&["--verbose", "--ca-file", &ca, &connect, NAME], &[]);
    expect_code(0, &output);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in [
        "tls ",
        "alpn      http/1.1",
        "chain 0",
        "by CN=Test CA",
        "status    200",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn failures_reach_the_syslog() {
    let place = Place::new();
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let socket = place.folder.join("log");
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
    // A syslog that is gone changes nothing.
    expect_code(
        41,
        &check_as(
            "b",
            &format!("--sni {NAME} --syslog /nonexistent"),
            ["127.0.0.1", "1"],
            &[],
        ),
    );
}
