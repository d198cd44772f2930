//! Faults before a connection exists: name resolution, the network, unix sockets.

use std::fs;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;

use crate::Fault;
use crate::support::check::BINARY;
use crate::support::folder::Folder;
use crate::support::peer::{self, OK};
use crate::support::stage::Stage;
use crate::support::{dead_port, program};

pub fn faults(stage: &Stage) -> Vec<Fault> {
    let inside = stage.folder.copy(BINARY, "sni-check", 0o755);
    let mut faults = names(stage);
    faults.extend(networks(stage));
    faults.extend(unix_sockets(stage, &inside));
    faults
}

/// Returns faults of name resolution. The resolv.conf of a chroot names the test's own DNS server.
fn names(stage: &Stage) -> Vec<Fault> {
    let resolver = format!("nameserver {}\n", resolver());
    stage.folder.file("etc/resolv.conf", &resolver);
    let healthy = peer::answer(&stage.leaf, OK);
    let within = |folder: &Folder| -> Vec<String> {
        ["/usr/sbin/chroot", &folder.join(""), "/sni-check"]
            .map(str::to_owned)
            .to_vec()
    };
    let mut faults: Vec<Fault> = [
        ("there", healthy, 0, ""),
        ("there", dead_port(), 41, "connection refused"),
        ("nxdomain", 1, 31, "nxdomain.example.test did not resolve"),
        ("nodata", 1, 31, "nodata.example.test did not resolve"),
        ("servfail", 1, 31, "servfail.example.test did not resolve"),
        ("silent", 1, 32, "resolving silent.example.test timed out"),
        ("garbage", 1, 32, "resolving garbage.example.test timed out"),
    ]
    .map(|(name, port, code, phrase)| Fault {
        program: within(&stage.folder),
        ..Fault::new("a resolver", port, code, phrase)
            .with(&format!("--ca-file /ca.pem --connect {name}.example.test"))
    })
    .into();
    let bare = Folder::new();
    bare.copy(BINARY, "sni-check", 0o755);
    faults.push(Fault {
        program: within(&bare),
        ..Fault::new(
            "an empty chroot",
            1,
            31,
            "there is no /etc/resolv.conf here",
        )
        .with("--connect there.example.test")
    });
    stage.keep(bare);
    faults
}

/// Starts a DNS server (RFC 1035) and returns its address. The first label of a name selects the
/// answer.
fn resolver() -> Ipv4Addr {
    let (address, socket) = peer::resolver();
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query) {
            if let Some(answer) = answer(&query[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
    address
}

fn answer(query: &[u8]) -> Option<Vec<u8>> {
    let label = query.get(13..13 + usize::from(*query.get(12)?))?;
    let name_end = 12 + query[12..].iter().position(|byte| *byte == 0)?;
    let question = query.get(12..name_end + 5)?;
    let wants_ipv4 = question[question.len() - 4..] == [0, 1, 0, 1];
    let (code, address) = match label {
        b"there" if wants_ipv4 => (0, true),
        b"there" | b"nodata" => (0, false),
        b"servfail" => (2, false),
        b"nxdomain" => (3, false),
        b"garbage" => return Some(vec![0xff; 40]),
        _ => return None,
    };
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(address), 0, 0, 0, 0]);
    answer.extend(question);
    if address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}

fn networks(stage: &Stage) -> Vec<Fault> {
    // This network namespace has no routes.
    let no_network = |address: &str, phrase| Fault {
        program: ["/usr/bin/unshare", "-n", BINARY]
            .map(str::to_owned)
            .to_vec(),
        address: address.to_owned(),
        ..Fault::new("no route", 443, 43, phrase)
    };
    // This network namespace has a route that refuses connections.
    let refusing_route = |kind: &str, phrase| {
        let ip = program("ip").get_program().display().to_string();
        let script = format!("{ip} route add {kind} 203.0.113.7 && exec \"$0\" \"$@\"");
        Fault {
            program: ["/usr/bin/unshare", "-n", "/bin/sh", "-c", &script, BINARY]
                .map(str::to_owned)
                .to_vec(),
            address: "203.0.113.7".to_owned(),
            ..Fault::new(format!("a {kind} route"), 443, 43, phrase)
        }
    };
    let closed = dead_port();
    let (blackhole, queue) = peer::blackhole();
    stage.keep(queue);
    vec![
        Fault::new("refused", closed, 41, "connection refused"),
        Fault {
            address: "::1".to_owned(),
            ..Fault::new("refused by IPv6", closed, 41, "connection refused")
        },
        Fault::new("a connection to itself", closed, 41, "connection refused")
            .with(&format!("--source 127.0.0.1:{closed}")),
        Fault::new("a full backlog", blackhole, 42, "connecting timed out"),
        no_network("203.0.113.7", "network is unreachable"),
        no_network("2001:db8::7", "cannot assign requested address"),
        refusing_route("unreachable", "no route to host"),
        refusing_route("blackhole", "invalid argument"),
        refusing_route("prohibit", "permission denied"),
        Fault::new(
            "a source address of another host",
            closed,
            43,
            "--source 203.0.113.7 is not an address of this host",
        )
        .with("--source 203.0.113.7"),
    ]
}

fn unix_sockets(stage: &Stage, binary: &str) -> Vec<Fault> {
    let folder = &stage.folder;
    let at = |what: &str, path: String, code, phrase| Fault {
        address: path,
        port: "NOT_USED".to_owned(),
        ..Fault::new(what, 0, code, phrase)
    };
    let bound = |name: &str| {
        let path = folder.join(name);
        (UnixListener::bind(&path).expect("a socket"), path)
    };
    let (listener, forbidden) = bound("forbidden");
    fs::set_permissions(&forbidden, fs::Permissions::from_mode(0o700)).expect("permissions");
    stage.keep(listener);

    let (listener, full) = bound("full");
    rustix::net::listen(&listener, 0).expect("a short queue");
    stage.keep((UnixStream::connect(&full), listener));

    let (listener, silent) = bound("silent");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || stream.read_to_end(&mut Vec::new()));
        }
    });

    let (listener, gone) = bound("gone");
    drop(listener);
    let datagrams = folder.join("datagrams");
    stage.keep(UnixDatagram::bind(&datagrams).expect("a socket"));

    let user = [
        "/usr/bin/setpriv",
        "--reuid",
        "65534",
        "--clear-groups",
        binary,
    ];
    vec![
        at(
            "no unix socket",
            folder.join("none"),
            43,
            "the unix socket does not exist",
        ),
        at(
            "not a socket",
            folder.join("ca.pem"),
            41,
            "connection refused",
        ),
        at("a folder", folder.join(""), 41, "connection refused"),
        at(
            "no process listens any more",
            gone,
            41,
            "connection refused",
        ),
        at("a datagram socket", datagrams, 43, "wrong type"),
        at(
            "a path below a file",
            folder.join("ca.pem/x"),
            43,
            "not a directory",
        ),
        at(
            "a path that is too long",
            folder.join(&"x".repeat(120)),
            43,
            "name too long",
        ),
        at("a full unix socket", full, 42, "connecting timed out"),
        at("a silent unix socket", silent, 62, "handshake timed out"),
        Fault {
            program: user.map(str::to_owned).to_vec(),
            ..at("no permission", forbidden, 43, "permission denied")
        },
    ]
}
