//! Names with several IPv4 and IPv6 addresses. Some addresses are dead or drop packets.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

use crate::report::load;
use crate::support::NAME;
use crate::support::check::{BINARY, stdout};
use crate::support::nginx::{Nginx, site};
use crate::support::program;
use crate::support::stage::Stage;

/// Returns a command that runs a program with the file `hosts` as /etc/hosts.
fn with_hosts(hosts: &str) -> Command {
    let mut command = program("unshare");
    let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
    command.args(["--mount", "sh", "-c", script, hosts]);
    command
}

/// Listens on an address, and fills the socket's connection queue. The kernel then drops further connection
/// attempts.
fn black_hole(address: &str, port: u16) -> (std::os::fd::OwnedFd, Vec<TcpStream>) {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    let address: std::net::SocketAddr = format!("{address}:{port}").parse().expect("an address");
    bind(&fd, &address).expect("a free address");
    listen(&fd, 0).expect("listening");
    let mut held = Vec::new();
    let soon = Duration::from_millis(200);
    while let Ok(stream) = TcpStream::connect_timeout(&address, soon) {
        held.push(stream);
    }
    (fd, held)
}

#[test]
fn each_address_is_tried_and_the_fix_names_working_addresses() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|folder, port| {
        let listen = format!("; listen [::1]:{port} ssl");
        site((folder, port), &listen, NAME, (&stage.leaf, &[]), "")
    });
    let _hole = black_hole("127.0.0.2", nginx.port);
    let hosts = format!(
        "127.0.0.1 localhost\n127.0.0.2 {NAME}\n127.0.0.1 {NAME}\n127.0.0.3 {NAME}\n::1 {NAME}\n"
    );
    let hosts = stage.folder.file("hosts", &hosts);
    let port = nginx.port;
    let start = Instant::now();
    let output = with_hosts(&hosts)
        .args([
            BINARY,
            "diagnose",
            "--verbose",
            "--ca-file",
            &stage.ca_file,
            &format!("{NAME}:{port}"),
        ])
        .output()
        .expect("unshare runs");
    // The diagnosis takes about a second. A slow machine may need more.
    assert!(start.elapsed() < Duration::from_secs(10), "{output:?}");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    for part in [
        format!("{NAME} resolves to 4 addresses"),
        format!("127.0.0.1:{port} connected"),
        format!("[::1]:{port} connected"),
        format!("127.0.0.2:{port} connecting timed out in 1"),
        format!("127.0.0.3:{port} connection refused"),
        "the first address that answers".to_owned(),
    ] {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(&part), "{part} is not in {text}");
    }
    assert!(
        !text.contains("ssl verify required ca-file") || !text.contains("server s3"),
        "{text}"
    );
    let external = text
        .split("with sni-check (tried: check UP, visitors get 200):\n\n")
        .nth(1)
        .and_then(|rest| rest.split("\nWhat was seen").next())
        .expect("the printed lines");
    assert!(
        external.contains(&format!(" [::1]:{port} ssl")),
        "{external}"
    );
    let haproxy = load(program("haproxy"), &stage.folder, external);
    haproxy.wait_for_status("be", "s1", "UP");
    haproxy.wait_for_status("be", "s2", "UP");
}

/// The page is missing at both addresses. One of the addresses also has the wrong certificate.
#[test]
fn a_changed_check_is_compared_at_all_addresses() {
    let stage = Stage::new();
    let other = stage.ca.leaf(&["other.test"], 30);
    let nginx = Nginx::serve(|folder, port| {
        let second = site((folder, port), "", "other.test", (&other, &[]), "");
        let second = second.replace("listen 127.0.0.1:", "listen 127.0.0.2:");
        site((folder, port), "", NAME, (&stage.leaf, &[]), "") + &second
    });
    let hosts = format!("127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n");
    let hosts = stage.folder.file("hosts", &hosts);
    let target = format!("{NAME}:{}", nginx.port);
    let ca = ["--ca-file", &stage.ca_file];
    let output = with_hosts(&hosts)
        .args([BINARY, "diagnose", "--json", "--uri", "/missing"])
        .args(ca)
        .arg(&target)
        .output()
        .expect("diagnose runs");
    let text = stdout(&output);
    assert!(text.contains("path-wrong"), "{text}");
    assert!(text.contains("servers-differ"), "{text}");
    let faulty = format!("127.0.0.2:{} is not: certificate is not for", nginx.port);
    assert!(text.contains(&faulty), "{text}");
}

#[test]
fn diagnose_tries_eight_of_many_addresses_and_works_without_threads() {
    let stage = Stage::new();
    let mut hosts = "127.0.0.1 localhost\n".to_owned();
    for last in 2..60 {
        hosts += &format!("127.0.0.{last} {NAME}\n");
    }
    let hosts = stage.folder.file("hosts", &hosts);
    let program = format!("{}/sni-check", stage.chroot());
    let target = format!("{NAME}:{}", crate::support::dead_port());
    let call = [
        program.as_str(),
        "diagnose",
        "--verbose",
        "--haproxy=none",
        &target,
    ];
    let output = with_hosts(&hosts)
        .args(call)
        .output()
        .expect("unshare runs");
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(41), "{output:?}");
    assert!(
        text.contains(&format!("{NAME} resolves to 58 addresses")),
        "{text}"
    );
    assert!(text.contains("50 more addresses were not tried"), "{text}");
    assert_eq!(text.matches("connection refused in").count(), 8, "{text}");
    // Here diagnose can't create a thread for the resolver, so the call has an IP address.
    let target = format!("--connect=127.0.0.1:{}", crate::support::dead_port());
    let output = crate::support::program("setpriv")
        .args(["--reuid=65534", "--clear-groups", "prlimit", "--nproc=1"])
        .args([
            program.as_str(),
            "diagnose",
            "--haproxy=none",
            &target,
            NAME,
        ])
        .output()
        .expect("setpriv runs");
    assert_eq!(output.status.code(), Some(41), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// Runs diagnose in a new network namespace that `script` sets up. Returns the report on one line, and the
/// exit code.
fn in_network(script: &str, address: &str) -> (String, Option<i32>) {
    let script = format!("{script} && exec \"$@\"");
    let connect = format!("--connect={address}");
    let output = program("unshare")
        .args(["--net", "sh", "-c", &script, "sh", BINARY, "diagnose"])
        .args(["--haproxy=none", &connect, NAME])
        .output()
        .expect("unshare runs");
    let text = stdout(&output);
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (flat, output.status.code())
}

#[test]
fn the_report_names_the_place_to_fix_an_unreachable_address() {
    let nowhere =
        "in the network between this host and the server: nothing in haproxy.cfg fixes this";
    for (script, address, says, place) in [
        (
            "true",
            "[2001:db8::5]:443",
            "Write the server's IPv4 address on the server line",
            "in the options and haproxy.cfg, with a value that only you know",
        ),
        ("true", "192.0.2.1:443", "Add the route", nowhere),
        (
            "ip route add unreachable 192.0.2.0/24",
            "192.0.2.1:443",
            "A firewall rejects the connection (icmp-host-prohibited, firewalld's default)",
            nowhere,
        ),
        (
            "ip link set lo up && ip route add prohibit 192.0.2.0/24",
            "192.0.2.1:443",
            "a route of type blackhole or prohibit",
            nowhere,
        ),
        (
            "true",
            "unix@/nonexistent/socket",
            "The unix socket doesn't exist",
            "at the server",
        ),
    ] {
        let (text, code) = in_network(script, address);
        assert_eq!(code, Some(43), "{text}");
        assert!(text.contains(says), "{says} is not in {text}");
        assert!(text.contains(&format!("fix {place}")), "{text}");
    }
}
