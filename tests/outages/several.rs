//! Outages with two servers behind one address. One of the servers is broken.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::operator::diagnose;
use crate::support::kinds::run_haproxy;
use crate::support::kinds::sites::past;
use crate::support::nginx::{Nginx, site};
use crate::support::pki::Leaf;
use crate::support::stage::Stage;
use crate::support::{NAME, peer};

#[test]
fn one_of_two_servers_has_an_expired_certificate() {
    let stage = Stage::new();
    let old = stage.ca.leaf_with(&[NAME], past);
    let serve =
        |leaf: &Leaf| Nginx::serve(|folder, port| site((folder, port), "", NAME, (leaf, &[]), ""));
    let (good, bad) = (serve(&stage.leaf), serve(&old));
    let lines = format!(
        "listen l\n mode tcp\n bind 127.0.0.1:PORT\n balance roundrobin\n server a 127.0.0.1:{}\n \
         server b 127.0.0.1:{}\n",
        good.port, bad.port
    );
    let port = run_haproxy(&stage, &lines);
    // The check may reach either server, so diagnose several times.
    for _ in 0..4 {
        diagnose(port, &["--ca-file", &stage.ca_file, NAME])
            .says("fix at the server")
            .says("The same check had different results: one attempt got a good certificate, valid until")
            .says("another failed: certificate expired")
            .says("different answers to the same handshake")
            .never_says("another site")
            .never_says("Use HAProxy's own check")
            .never_says("which is in --ca-file");
    }
}

#[test]
fn one_of_two_servers_fails() {
    let stage = Stage::new();
    const FAILS: &str = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
    for first_is_good in [true, false] {
        let first = AtomicBool::new(true);
        let port = peer::tls(&stage.leaf, move |stream| {
            let is_good = first.swap(false, Ordering::Relaxed) == first_is_good;
            let answer = if is_good { peer::OK } else { FAILS };
            let _ = stream.write_all(answer.as_bytes());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        });
        diagnose(port, &["--haproxy=none", "--ca-file", &stage.ca_file, NAME])
            .says(
                "The same check had different results: one attempt got status 200; another failed: status 503, expected \
                 status 200-399. Most likely several servers are behind this name or address",
            )
            .says("different answers to the same request")
            .never_says("Read its log");
    }
}
