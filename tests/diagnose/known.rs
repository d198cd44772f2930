//! diagnose uses what haproxy.cfg already contains: names and headers of visitors' requests, verifyhost,
//! PROXY headers, source addresses, and keywords that keep visitors away from a server.

use std::io::{self, Read};
use std::net::TcpStream;
use std::thread;

use crate::servers::{CHECK, assert_changed, config, nginx, object, running};
use crate::support::NAME;
use crate::support::check::BINARY;
use crate::support::nginx::{Nginx, site};
use crate::support::peer;
use crate::support::stage::Stage;

#[test]
fn a_misspelt_name_becomes_the_name_of_visitors_requests() {
    let stage = Stage::new();
    let socket = stage.folder.join("fe.sock");
    let wrong = "www.exmaple.test";
    let names = format!("acl site hdr(host) -i {NAME}\n    use_backend be if site");
    let rule = format!("    http-request set-header Host {NAME}\n");
    for (front, rule) in [(&*names, ""), ("default_backend be", &*rule)] {
        let check = CHECK.replace(NAME, wrong);
        let backend = format!(
            "frontend fe\n    bind {socket}\n    {front}\nbackend be\n{rule}{check}    server s1 127.0.0.1:PORT ssl \
             verify required ca-file CA sni str({wrong}) check check-sni {wrong}\n"
        );
        let new = format!("sni str({NAME}) check check-sni {NAME}\"");
        let found = assert_changed(&stage, &backend, ("be", "s1"), &new);
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
    }
}

#[test]
fn the_check_verifies_the_name_in_verifyhost() {
    let stage = Stage::new();
    let internal = "app01.internal.test";
    let leaf = stage.ca.leaf(&[internal], 30);
    let nginx = Nginx::serve(|folder, port| site((folder, port), "", internal, (&leaf, &[]), ""));
    let line = format!(
        "server s1 127.0.0.1:{} ssl verify required ca-file CA",
        nginx.port
    );
    let external = format!(
        "    option external-check
    external-check command {BINARY}
    external-check path \"--sni {NAME} --ca-file CA --verify-host app1.internal.test\"
    {line} verifyhost {internal} check inter 3s"
    );
    let own = format!("{CHECK}    {line} verifyhost {internal} check check-sni {NAME}");
    let both = own.replace("verifyhost", &format!("sni str({NAME}) verifyhost"));
    let new = format!("ca.pem verifyhost {internal} check\"");
    let option = format!("--verify-host {internal}");
    for (lines, new) in [(&own, &new), (&both, &new), (&external, &option)] {
        let found = assert_changed(&stage, &format!("backend be\n{lines}\n"), ("be", "s1"), new);
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
        assert!(!found.to_string().contains("sni-unknown"), "{found:#}");
    }
}

#[test]
fn the_check_gets_the_headers_of_visitors_requests() {
    let stage = Stage::new();
    for (condition, status, rule, field) in [
        (
            "$http_x_forwarded_for = ''",
            400,
            "option forwardfor",
            "X-Forwarded-For 127.0.0.1",
        ),
        (
            "$http_x_tenant != shop",
            400,
            "http-request set-header X-Tenant shop",
            "X-Tenant shop",
        ),
        (
            "$http_x_auth_token != abc",
            401,
            "http-request add-header X-Auth-Token abc",
            "X-Auth-Token abc",
        ),
    ] {
        let page = format!("if ({condition}) {{ return {status}; }}");
        let server = nginx(&stage, "", &page);
        let backend = format!(
            "backend be\n    {rule}\n{CHECK}    server s1 127.0.0.1:{} TLS check check-sni {NAME}\n",
            server.port
        );
        assert_changed(&stage, &backend, ("be", "s1"), &format!("hdr {field}"));
    }
}

#[test]
fn a_keyword_that_keeps_visitors_away_is_removed() {
    let stage = Stage::new();
    for (default, word, state) in [
        ("", "disabled", "MAINT"),
        ("    default-server disabled\n", "", "MAINT"),
        ("", "weight 0", "UP"),
    ] {
        let backend = format!(
            "backend be\n{default}{CHECK}    server s1 127.0.0.1:PORT TLS check check-sni {NAME} {word}\n"
        );
        let config = config(&stage, &backend);
        let _haproxy = running(&config, ("be", "s1"), state);
        let report = object(&["-f", &config, "be/s1"], 0);
        let diff = &report["servers"][0]["diff"][0];
        let wanted = if word.is_empty() { "disabled" } else { word };
        assert!(diff["old"].to_string().contains(wanted), "{report:#}");
        assert!(!diff["new"].to_string().contains(wanted), "{report:#}");
    }
}

/// Forwards a connection that begins with a PROXY header of version 2 to this port. Closes every other
/// connection.
fn forward_version_2(mut stream: TcpStream, port: u16) -> io::Result<()> {
    let mut head = [0; 16];
    stream.read_exact(&mut head)?;
    if !head.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        return Ok(());
    }
    let mut addresses = vec![0; usize::from(u16::from_be_bytes([head[14], head[15]]))];
    stream.read_exact(&mut addresses)?;
    let server = TcpStream::connect(("127.0.0.1", port))?;
    let (mut from, mut to) = (stream.try_clone()?, server.try_clone()?);
    thread::spawn(move || io::copy(&mut from, &mut to));
    io::copy(&mut &server, &mut stream)?;
    Ok(())
}

#[test]
fn the_other_version_of_the_proxy_header_is_tried() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let peer = peer::tcp(move |stream| _ = forward_version_2(stream, port));
    let backend = format!(
        "backend be\n{CHECK}    server s1 127.0.0.1:{peer} TLS send-proxy check-send-proxy check check-sni {NAME}\n"
    );
    let found = assert_changed(&stage, &backend, ("be", "s1"), "send-proxy-v2");
    assert_eq!(found["diff_visitors"], 200, "{found:#}");
}

#[test]
fn a_name_in_hdr_dom_or_in_a_regex_for_the_host_is_tried() {
    let stage = Stage::new();
    let socket = stage.folder.join("fe.sock");
    let regex = NAME.replace('.', "\\\\.");
    let check = CHECK.replace(&format!(" hdr Host {NAME}"), "");
    for condition in [
        format!("hdr_dom(host) -i {NAME}"),
        format!("hdr(host) -m reg ^{regex}$"),
    ] {
        let backend = format!(
            "frontend fe\n    bind {socket}\n    use_backend be if {{ {condition} }}\nbackend be\n{check}    server s1 \
             127.0.0.1:PORT ssl verify required ca-file CA sni req.hdr(host) check\n"
        );
        let new = format!("check check-sni {NAME}\"");
        assert_changed(&stage, &backend, ("be", "s1"), &new);
    }
}

#[test]
fn the_source_address_of_another_server_is_tried() {
    let stage = Stage::new();
    let server = nginx(&stage, "", "allow 127.0.0.9; deny all;");
    let check = CHECK.replace("uri /", "uri /requests");
    let line = format!("127.0.0.1:{} TLS check check-sni {NAME}", server.port);
    let backend =
        format!("backend be\n{check}    server s1 {line}\n    server s2 {line} source 127.0.0.9\n");
    let found = assert_changed(&stage, &backend, ("be", "s1"), "source 127.0.0.9\"");
    assert_eq!(found["causes"][0]["id"], "source-elsewhere", "{found:#}");
    assert_eq!(found["diff_visitors"], 200, "{found:#}");
}

#[test]
fn visitors_ask_for_the_only_name_that_a_frontend_accepts() {
    let stage = Stage::new();
    let socket = stage.folder.join("fe.sock");
    let wrong = "wrong.test";
    for rule in [
        format!("http-request deny unless {{ req.hdr(host) -i {NAME} }}"),
        format!("http-request redirect prefix https://{NAME} if !{{ hdr(host) -i {NAME} }}"),
    ] {
        let check = CHECK.replace(NAME, wrong);
        let backend = format!(
            "frontend fe\n    bind {socket}\n    {rule}\n    default_backend be\nbackend be\n{check}    server s1 \
             127.0.0.1:PORT ssl verify required ca-file CA sni req.hdr(host) check check-sni {wrong}\n"
        );
        let new = format!("check check-sni {NAME}\"");
        let found = assert_changed(&stage, &backend, ("be", "s1"), &new);
        assert_eq!(found["diff_visitors"], 200, "{found:#}");
    }
}

/// The server has one certificate for all its sites, so it accepts every name in the handshake.
#[test]
fn a_wrong_name_in_both_sni_and_host_becomes_the_name_of_visitors() {
    let stage = Stage::new();
    let leaf = stage.ca.leaf(&["*.example.test"], 30);
    let socket = stage.folder.join("fe.sock");
    let rule = format!("if ($http_host != {NAME}) {{ return 404; }}");
    let nginx = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&leaf, &[]), &rule));
    let old = "old.example.test";
    let check = CHECK.replace(NAME, old);
    let backend = format!(
        "frontend fe\n    bind {socket}\n    use_backend be if {{ hdr(host) -i {NAME} blog.example.test }}
backend be\n{check}    server s1 127.0.0.1:{} ssl verify required ca-file CA sni req.hdr(host) check check-sni {old}\n",
        nginx.port
    );
    let new = format!("hdr Host {NAME}");
    let found = assert_changed(&stage, &backend, ("be", "s1"), &new);
    assert_eq!(found["diff_visitors"], 200, "{found:#}");
    let change = found["causes"][0]["change"].to_string();
    assert!(
        change.contains(&format!("Send {NAME} as SNI and Host")),
        "{change}"
    );
}
