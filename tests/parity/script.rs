//! sni-check and the bash + curl script that it replaces must have the same verdicts. If the
//! verdicts differ by design, the row contains the reason.

use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::support::check::{BINARY, haproxy_command};
use crate::support::folder::Folder;
use crate::support::nginx::Nginx;
use crate::support::pki::Ca;
use crate::support::{dead_port, peer, program};

const NAME: &str = "www.example.test";

/// A situation, and the expected verdict of both checks.
struct Row {
    situation: &'static str,
    port: u16,
    name: &'static str,
    uri: &'static str,
    ours: bool,
    /// The script's verdict and the reason, if the verdict differs by design.
    differs: Option<(bool, &'static str)>,
}

fn row(situation: &'static str, port: u16, up: bool) -> Row {
    Row {
        situation,
        port,
        name: NAME,
        uri: "/",
        ours: up,
        differs: None,
    }
}

#[test]
fn sni_check_and_the_script_agree() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let folder = Folder::new();
    let ca_file = folder.file("ca.pem", &ca.pem);
    // The script needs curl. Without curl, its verdict would be "down" in every row.
    assert!(
        program("curl")
            .arg("--version")
            .stdout(Stdio::null())
            .status()
            .expect("curl runs")
            .success()
    );
    let nginx = Nginx::start(&ca, NAME, &leaf);
    let at = |situation, uri, up| Row {
        uri,
        ..row(situation, nginx.port, up)
    };
    let quiet = peer::tcp(|_stream: TcpStream| thread::sleep(Duration::from_secs(20)));
    let closing = peer::tcp(drop);
    let plain = peer::tcp(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let rows = [
        at("healthy", "/", true),
        at("a redirect", "/redirect", true),
        at("status 401", "/api", false),
        at("status 404", "/missing", false),
        at("status 500", "/error", false),
        Row {
            name: "wrong.example.test",
            ..at("a name that the server refuses", "/", false)
        },
        row("connection refused", dead_port(), false),
        row("no answer", quiet, false),
        row("closed immediately", closing, false),
        row("no TLS", plain, false),
        row("expired", peer::answer(&ca.leaf(&[NAME], -2), OK), false),
        row(
            "another name",
            peer::answer(&ca.leaf(&["other.example.test"], 30), OK),
            false,
        ),
        row(
            "unknown CA",
            peer::answer(&Ca::named("Other CA").leaf(&[NAME], 30), OK),
            false,
        ),
        row("healthy, not nginx", peer::answer(&leaf, OK), true),
        row("no HTTP", peer::answer(&leaf, "SSH-2.0-x\r\n"), false),
        Row {
            differs: Some((true, "curl accepts an incomplete head, sni-check does not")),
            ..row(
                "closed before the head is complete",
                peer::answer(&leaf, "HTTP/1.1 200 OK\r\n"),
                false,
            )
        },
        row("closed without an answer", peer::answer(&leaf, ""), false),
        Row {
            differs: Some((
                false,
                "curl reads the body, sni-check only if an --expect needs it",
            )),
            ..row(
                "a body shorter than announced",
                peer::answer(&leaf, SHORT),
                true,
            )
        },
        row(
            "a status below 100",
            peer::answer(&leaf, "HTTP/1.1 099 X\r\n\r\n"),
            false,
        ),
    ];
    for Row {
        situation,
        port,
        name,
        uri,
        ours,
        differs,
    } in rows
    {
        let port = port.to_string();
        let path = format!("--sni {name} --uri {uri} --ca-file {ca_file} --timeout 2s");
        let output = haproxy_command(&[BINARY], &path, "127.0.0.1", &port)
            .output()
            .expect("sni-check runs");
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), ours, "{situation}: {line}");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/baseline/check.sh");
        let output = haproxy_command(&[script], "/usr/bin:/bin", "127.0.0.1", &port)
            .envs([
                ("SNI_HOST", name),
                ("CHECK_URI", uri),
                ("CA_FILE", &ca_file),
            ])
            .output()
            .expect("the script runs");
        let (theirs, why) = differs.unwrap_or((ours, "they should agree"));
        let line = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            output.status.success(),
            theirs,
            "{situation} ({why}): {line}"
        );
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const SHORT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok";
