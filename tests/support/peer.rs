//! A TCP peer that does something else than it should.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::pki::{Ca, Leaf};

/// Serves each connection with `behave`, until the test ends; gives the port.
pub fn tcp(behave: impl Fn(TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let behave = Arc::new(behave);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
            let behave = behave.clone();
            thread::spawn(move || behave(stream));
        }
    });
    port
}

/// Completes the handshake with this certificate, reads the head of the request, and then behaves.
pub fn tls(
    leaf: &Leaf,
    behave: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> u16 {
    tls_with_chain(leaf, &[], behave)
}

/// The same with issuers after the certificate.
pub fn tls_with_chain(
    leaf: &Leaf,
    issuers: &[&Ca],
    behave: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> u16 {
    let mut chain = vec![leaf.certificate.der().clone()];
    chain.extend(
        issuers
            .iter()
            .map(|issuer| issuer.certificate.der().clone()),
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate");
    let config = Arc::new(config);
    tcp(move |stream| {
        let tls = ServerConnection::new(config.clone()).expect("a connection");
        let mut stream = StreamOwned::new(tls, stream);
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut byte) {
                Ok(1) => head.push(byte[0]),
                _ => return,
            }
        }
        behave(&mut stream);
    })
}

/// Answers with these bytes and ends in order.
pub fn answer(leaf: &Leaf, response: &str) -> u16 {
    answer_with_chain(leaf, &[], response)
}

/// The same with issuers after the certificate.
pub fn answer_with_chain(leaf: &Leaf, issuers: &[&Ca], response: &str) -> u16 {
    let response = response.to_owned();
    tls_with_chain(leaf, issuers, move |stream| {
        let _ = stream.write_all(response.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
        // Reading to the end keeps the kernel from resetting what is still on its way.
        let _ = stream.sock.read_to_end(&mut Vec::new());
    })
}

/// A port whose queue of connections is full, so that it answers nothing; as long as what comes with
/// it is kept.
pub fn blackhole() -> (u16, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::net::listen(&listener, 0).expect("a short queue");
    let address = listener.local_addr().expect("an address");
    let wait = Duration::from_millis(300);
    let queue = std::iter::from_fn(|| TcpStream::connect_timeout(&address, wait).ok());
    let queue: Vec<TcpStream> = queue.take(8).collect();
    (address.port(), (queue, listener))
}

/// The socket of a DNS server, on a loopback address of its own.
pub fn resolver() -> (Ipv4Addr, UdpSocket) {
    let id = std::process::id();
    let free = (1..=250).find_map(|last| {
        let address = Ipv4Addr::new(127, 53 + (id >> 8) as u8 % 200, id as u8, last);
        Some((address, UdpSocket::bind((address, 53)).ok()?))
    });
    free.expect("port 53 of a loopback address")
}
