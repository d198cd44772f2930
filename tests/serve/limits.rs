//! Whatever requests contain, serve uses at most 64 MB. When this memory is used up, clients get an
//! answer and serve keeps running.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::thread;

use crate::scene::{Answer, Serve, head};
use crate::support::check::release_binary;
use crate::support::pki::Ca;
use crate::support::stage::Stage;
use crate::support::{NAME, PATIENCE, peer, wait_for};

/// The most memory that serve may use, in kB. docs/serve.md and SECURITY.md state it.
const MOST: u64 = 64_000;

/// A function that returns the options of the request with this number.
type Options<'a> = Box<dyn Fn(usize) -> String + Sync + 'a>;

/// Returns the peak memory of serve so far, in kB.
fn peak(serve: &Serve) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", serve.pid())).expect("serve runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.expect("a line").parse().expect("a number")
}

#[test]
#[allow(clippy::print_stdout, reason = "--nocapture shows the figures")]
fn two_thousand_requests_of_each_kind_use_at_most_64_mb() {
    let stage = Stage::new();
    let binary = release_binary().display().to_string();
    let serve = Serve::start_by(&binary, &stage, &[]);
    let bundle: Vec<String> = (0..40).map(|n| Ca::named(&format!("CA {n}")).pem).collect();
    let bundle = bundle.concat().repeat(8);
    let files: Vec<String> = (0..60)
        .map(|n| stage.folder.file(&format!("bundle-{n}.pem"), &bundle))
        .collect();
    let large = "-----BEGIN CERTIFICATE-----\n".to_owned() + &"AAAA\n".repeat(700_000);
    let large = stage.folder.file("large.pem", &large);
    let endless = peer::tls(&stage.leaf, |stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    let silent = peer::silent();
    let many = |name: &str| format!(" --ca-file {name}").repeat(100);
    let kinds: [(&str, u16, Options<'_>); 6] = [
        ("silent", silent, Box::new(|n| format!("--uri /{n}"))),
        (
            "a bundle many times",
            silent,
            Box::new(|n| {
                let file = &files[n % files.len()];
                format!("--uri /{n}{}", many(file))
            }),
        ),
        (
            "many bundles",
            silent,
            Box::new(|n| {
                let named =
                    (0..20).map(|at| format!(" --ca-file {}", files[(n + at * 7) % files.len()]));
                format!("--uri /{n}{}", named.collect::<String>())
            }),
        ),
        (
            "a large file",
            silent,
            Box::new(|n| format!("--uri /{n} --ca-file {large}")),
        ),
        (
            "regular expressions",
            silent,
            Box::new(|n| {
                format!(
                    "--uri /{n}{}",
                    " --expect 'rstring (a{1,90}|b){1,30}'".repeat(100)
                )
            }),
        ),
        (
            "bodies",
            endless,
            Box::new(|n| {
                format!("--verify none --uri /{n} --max-body 1m --expect 'string nowhere'")
            }),
        ),
    ];
    for (kind, port, options) in &kinds {
        thread::scope(|scope| {
            for client in 0..25 {
                let serve = &serve;
                scope.spawn(move || {
                    for round in 0..4 {
                        let streams = (0..20).map(|n| {
                            let options = options(client * 80 + round * 20 + n);
                            let options = format!("--sni {NAME} --timeout 300ms {options}");
                            let mut stream = serve.connect();
                            let _ = stream.write_all(head(*port, &options).as_bytes());
                            stream
                        });
                        for stream in streams.collect::<Vec<_>>() {
                            let answer = Answer::read(stream);
                            assert_ne!(answer.code, "0", "{kind}: {answer:?}");
                        }
                    }
                });
            }
        });
        println!("{kind}: {} kB", peak(&serve));
        assert!(peak(&serve) <= MOST, "{kind}: {} kB", peak(&serve));
    }
    let ask = || serve.ask(stage.nginx().port, &stage.options());
    wait_for("a healthy answer", || (ask().code == "0").then_some(()));
    let page = include_str!("../../docs/serve.md");
    assert!(page.contains("64 MB"), "docs/serve.md lacks: 64 MB");
    // The kernel's memory isn't part of these 64 MB, so the unit allows three times as much.
    let unit = include_str!("../../packaging/systemd/sni-check.service");
    assert!(unit.contains("\nMemoryMax=192M\n") && page.contains("`MemoryMax=192M`"));
}

#[test]
fn a_group_that_cannot_be_set_is_refused_and_leaves_no_socket() {
    let stage = Stage::new();
    let binary = stage
        .folder
        .copy(crate::support::check::BINARY, "sni-check", 0o755);
    let folder = stage.folder.join("open");
    fs::create_dir(&folder).expect("a folder");
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(&folder, open).expect("permissions");
    let socket = format!("{folder}/socket");
    let output = crate::support::program("setpriv")
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            &binary,
            "serve",
        ])
        .args(["--listen", &format!("unix:{socket}"), "--group", "haproxy"])
        .output()
        .expect("setpriv runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("--group haproxy cannot be given to the socket"),
        "{said}"
    );
    assert!(
        fs::symlink_metadata(&socket).is_err(),
        "the socket is still there"
    );
}

/// If memory runs out, serve never blames the request.
#[test]
fn without_memory_serve_refuses_checks_or_logs_why_it_exits() {
    let silent = peer::silent();
    let request = head(silent, &format!("--sni {NAME} --timeout 500ms"));
    let binary = release_binary().display().to_string();
    let exits = (7_000..16_000).step_by(1_000).filter(|kilobytes| {
        let stage = Stage::new();
        let script = format!("#!/bin/sh\nulimit -v {kilobytes}\nexec {binary} \"$@\"\n");
        let script = stage.folder.script("scarce", &script);
        let serve = Serve::start_by(&script, &stage, &[]);
        let streams: Vec<_> = (0..200)
            .map_while(|_| {
                let mut stream = UnixStream::connect(&serve.socket).ok()?;
                stream.set_read_timeout(Some(PATIENCE)).ok()?;
                stream.write_all(request.as_bytes()).ok()?;
                Some(stream)
            })
            .collect();
        let mut broken = streams.len() < 200;
        for mut stream in streams {
            let mut answer = String::new();
            broken |= stream.read_to_string(&mut answer).is_err() || answer.is_empty();
            let code = answer
                .lines()
                .find_map(|line| line.strip_prefix("X-Check-Code: "));
            let expected = code.is_none_or(|code| ["62", "3"].contains(&code));
            assert!(expected, "{kilobytes} kB: {answer}");
        }
        if broken {
            wait_for("serve to exit", || has_exited(&serve).then_some(()));
            let why = "out of memory (raise ulimit -v or MemoryMax=)";
            assert!(serve.log().contains(why), "{kilobytes} kB: {}", serve.log());
        }
        broken
    });
    assert!(exits.count() > 0, "serve never ran out of memory");
}

fn has_exited(serve: &Serve) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", serve.pid()));
    stat.is_ok_and(|stat| stat.contains(") Z "))
}
