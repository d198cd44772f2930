//! Outages caused by the port, its protocol, or the network: TLS versions, PROXY headers, plain HTTP, HTTP/2,
//! other protocols, firewalls and source addresses.

use std::io::{Read, Write};

use crate::operator::{Outage, Said, diagnose};
use crate::support::kinds::Props;
use crate::support::nginx::{Nginx, site};
use crate::support::stage::Stage;
use crate::support::{NAME, dead_port, peer};

/// Returns the keywords of a server line that are correct for a TLS server.
fn correct(stage: &Stage) -> String {
    format!(
        "ssl verify required ca-file {} sni str({NAME}) check-sni {NAME}",
        stage.ca_file
    )
}

fn call(stage: &Stage) -> [&str; 3] {
    ["--ca-file", &stage.ca_file, NAME]
}

#[test]
fn a_server_that_requires_a_proxy_header() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("proxy-header").port;
    let outage = Outage::checked(port, &correct(stage));
    let said = diagnose(port, &call(stage));
    said.says("PROXY protocol header before TLS")
        .never_says("Correct --sni");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_proxy_that_accepts_only_proxy_headers() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("proxy-header-haproxy").port;
    let outage = Outage::checked(port, &correct(stage));
    let said = diagnose(port, &call(stage));
    said.says("PROXY protocol header");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_proxy_header_that_the_server_does_not_expect() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let outage = Outage::checked(port, &(correct(&stage) + " send-proxy"));
    let mut words = vec!["--send-proxy"];
    words.extend(call(&stage));
    let said = diagnose(port, &words);
    said.says("doesn't expect a PROXY header");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_port_that_speaks_plain_http() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("plain-http").port;
    let outage = Outage::checked(port, &correct(stage));
    let said = diagnose(port, &call(stage));
    said.says("speaks plain HTTP");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_plain_port_that_redirects_to_https() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("plain-redirect").port;
    Outage::checked(port, &correct(stage));
    let said = diagnose(port, &call(stage));
    said.says("Write the port of the HTTPS site")
        .assert_asks_for_value();
}

#[test]
fn a_server_that_speaks_only_http_2() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("http-2-only").port;
    let outage = Outage::checked(port, &correct(stage));
    let said = diagnose(port, &call(stage));
    said.says("speaks only HTTP/2")
        .says("check-alpn h2")
        .says("ver HTTP/2");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_port_of_another_protocol() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("banner").port;
    Outage::checked(port, &correct(stage));
    let said = diagnose(port, &call(stage));
    said.says("220 mail.example.test ESMTP")
        .assert_asks_for_value();
}

#[test]
#[ignore = "make outages"]
fn another_protocol_within_tls() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("banner-within-tls").port;
    Outage::checked(port, &correct(stage));
    diagnose(port, &call(stage)).assert_asks_for_value();
}

#[test]
fn a_server_that_speaks_only_tls_1_1() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("tls-1.1-only").port;
    let outage = Outage::checked(port, &correct(stage));
    let said = diagnose(port, &call(stage));
    said.says("only TLS 1.1 or older");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_minimum_version_that_the_server_does_not_support() {
    let stage = Stage::new();
    let port = stage.openssl("leaf", &["-tls1_2"]);
    let outage = Outage::checked(port, &(correct(&stage) + " ssl-min-ver TLSv1.3"));
    let mut words = vec!["--ssl-min-ver=TLSv1.3"];
    words.extend(call(&stage));
    let said = diagnose(port, &words);
    said.says("Leave out both options");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_server_with_only_old_ciphers() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("tls-1.2-cbc-only").port;
    let outage = Outage::checked(port, &(correct(stage) + " ssl-min-ver TLSv1.3"));
    let said = diagnose(port, &call(stage));
    said.says("HAProxy's own check");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_port_on_which_nothing_listens() {
    let stage = Stage::new();
    let port = dead_port();
    Outage::checked(port, &correct(&stage));
    let said = diagnose(port, &call(&stage));
    said.says("Start the service").assert_fault_of_server();
}

/// Diagnoses a server that stays silent, with a short time limit.
fn quickly(port: u16, stage: &Stage) -> Said {
    diagnose(port, &[&["--timeout=1s"], &call(stage)[..]].concat())
}

#[test]
fn a_port_forward_whose_own_backend_is_down() {
    let props = Props::new();
    let stage = &props.stage;
    let port = props.start("forward-to-nothing").port;
    Outage::checked(port, &correct(stage));
    quickly(port, stage)
        .says("its own backend is down")
        .says("So the cause is not the TLS version or the PROXY header")
        .never_says("Correct --sni")
        .never_says("Add or remove --send-proxy")
        .assert_fault_of_server();
}

#[test]
fn a_network_in_which_only_short_answers_arrive() {
    let stage = Stage::new();
    const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n\
        The plain HTTP request was sent to HTTPS port";
    let port = peer::tcp(|mut stream| {
        let mut first = [0; 1];
        if stream.read(&mut first).is_ok_and(|_| first == *b"G") {
            let _ = stream.write_all(REFUSAL);
            return;
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    Outage::checked(port, &correct(&stage));
    quickly(port, &stage)
        .says("the port is for TLS: it refuses plain HTTP with status 400")
        .says("Large packets get lost in the network")
        .never_says("answers plain HTTP")
        .assert_fault_of_server();
}

#[test]
fn a_firewall_that_blocks_the_sni_name() {
    let stage = Stage::new();
    let port = peer::tcp(|mut stream| {
        let mut hello = [0; 4096];
        let mut length = stream.read(&mut hello).unwrap_or(0);
        // A PROXY header may arrive before the handshake.
        if hello[0] != 22 {
            length += stream.read(&mut hello[length..]).unwrap_or(0);
        }
        let named = hello[..length]
            .windows(NAME.len())
            .any(|part| part == NAME.as_bytes());
        if !named {
            // The TLS alert internal_error.
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 80]);
        }
    });
    Outage::checked(port, &correct(&stage));
    quickly(port, &stage)
        .says("The server answers these handshakes: without SNI, with a made-up name.")
        .says("Correct --sni");
}

#[test]
fn a_network_in_which_only_a_short_alert_arrives() {
    let stage = Stage::new();
    let port = peer::tcp(|mut stream| {
        let mut hello = [0; 4096];
        let length = stream.read(&mut hello).unwrap_or(0);
        // A client that offers only TLS 1.3 lists no other version in supported_versions.
        let has_versions = |versions: &[u8]| {
            hello[..length]
                .windows(versions.len())
                .any(|part| part == versions)
        };
        if has_versions(&[0, 43, 0, 3, 2, 3, 4]) {
            // The TLS alert protocol_version.
            let _ = stream.write_all(&[21, 3, 3, 0, 2, 2, 70]);
            return;
        }
        let _ = stream.read_to_end(&mut Vec::new());
    });
    quickly(port, &stage)
        .says("fail in the same way: with SNI, without SNI, with a made-up name, only TLS 1.2, each PROXY")
        .says("Only a short answer arrives: a handshake with only TLS 1.3 gets an alert")
        .never_says("waits for something else");
}

#[test]
#[ignore = "make outages"]
fn a_server_that_stays_silent() {
    let props = Props::new();
    let stage = &props.stage;
    for kind in ["silent", "closes-at-once"] {
        let port = props.start(kind).port;
        Outage::checked(port, &correct(stage));
        quickly(port, stage)
            .says("its own backend is down")
            .assert_fault_of_server();
    }
    let (port, _hole) = peer::blackhole();
    Outage::checked(port, &correct(stage));
    quickly(port, stage).assert_fault_of_server();
}

#[test]
#[ignore = "make outages"]
fn a_source_address_of_another_host() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let outage = Outage::checked(port, &(correct(&stage) + " source 192.0.2.1"));
    let mut words = vec!["--source=192.0.2.1"];
    words.extend(call(&stage));
    let said = diagnose(port, &words);
    said.says("Leave out --source");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_source_address_that_the_server_refuses() {
    let stage = Stage::new();
    let rule = "if ($remote_addr != 127.0.0.1) { return 403; }";
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), rule));
    let outage = Outage::checked(nginx.port, &(correct(&stage) + " source 127.0.0.5"));
    let mut words = vec!["--source=127.0.0.5"];
    words.extend(call(&stage));
    let said = diagnose(nginx.port, &words);
    said.says("fails if it connects from the address of --source (127.0.0.5)");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_server_that_requires_alpn() {
    let stage = Stage::new();
    let rule = "if ($ssl_alpn_protocol = '') { return 444; }";
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), rule));
    let outage = Outage::checked(nginx.port, &correct(&stage));
    let said = diagnose(nginx.port, &call(&stage));
    said.says("doesn't offer HTTP/1.1 by ALPN")
        .says("check-alpn http/1.1");
    outage.assert_fixed_by(&said);
}

/// The first server waits for the end of a request, which never comes in a handshake. The second server
/// closes the connection without a response.
#[test]
fn a_plain_http_port_that_does_not_answer_a_handshake() {
    let stage = Stage::new();
    for waits in [true, false] {
        let port = peer::tcp(move |mut stream| {
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read(&mut byte) {
                    Ok(1) if waits || byte[0].is_ascii() => request.push(byte[0]),
                    _ => return,
                }
            }
            let _ = stream.write_all(peer::OK.as_bytes());
        });
        let outage = Outage::checked(port, &correct(&stage));
        let said = quickly(port, &stage);
        said.says("This port speaks plain HTTP")
            .never_says("path MTU");
        outage.assert_fixed_by(&said);
    }
}

#[test]
fn a_proxy_header_that_is_missing_while_name_and_host_are_wrong() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|folder, port| {
        let listen = format!("listen 127.0.0.1:{port} ssl default_server proxy_protocol;");
        format!("server {{ {listen} ssl_reject_handshake on; return 421; }}")
            + &site(
                (folder, port),
                "proxy_protocol",
                NAME,
                (&stage.leaf, &[]),
                "",
            )
    });
    let outage = Outage::checked(nginx.port, &correct(&stage));
    let mut words = vec!["--no-sni", "--header=Host: old.example.test"];
    words.extend(call(&stage));
    let said = diagnose(nginx.port, &words);
    said.says("PROXY protocol header before TLS")
        .says("The check sends no SNI, and the server needs the name")
        .says("but not \"Host: old.example.test\"")
        .never_says("So the cause is not");
    outage.assert_fixed_by(&said);
}
