//! Servers that run in the test. Most of them misbehave.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use rustix::net::sockopt::set_socket_linger;

use super::pki::{Ca, Leaf};
use super::{PATIENCE, wait_for};

/// A complete, healthy response.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Starts a server that calls `behave` for each connection until the test ends. Returns its port.
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

/// Starts a server that completes the handshake with this certificate, reads the head of the
/// request, and then calls `behave`.
pub fn tls(
    leaf: &Leaf,
    behave: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> u16 {
    tls_with_chain(leaf, &[], behave)
}

/// Like [`tls`], but the server also sends the certificate's issuers.
pub fn tls_with_chain(
    leaf: &Leaf,
    issuers: &[&Ca],
    behave: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> u16 {
    tls_with_head(leaf, issuers, move |_, stream| behave(stream))
}

/// Like [`tls_with_chain`], but `behave` also receives the head of the request.
pub fn tls_with_head(
    leaf: &Leaf,
    issuers: &[&Ca],
    behave: impl Fn(&str, &mut StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> u16 {
    let config = Arc::new(tls_config(leaf, issuers));
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
        behave(&String::from_utf8_lossy(&head), &mut stream);
    })
}

/// Returns the settings of a TLS server that sends this certificate and these issuers.
fn tls_config(leaf: &Leaf, issuers: &[&Ca]) -> ServerConfig {
    let mut chain = vec![leaf.certificate.der().clone()];
    chain.extend(
        issuers
            .iter()
            .map(|issuer| issuer.certificate.der().clone()),
    );
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a certificate")
}

/// Starts a server that refuses the handshake of a client whose ALPN list doesn't contain HTTP/2.
pub fn wants_http2(leaf: &Leaf) -> u16 {
    let mut config = tls_config(leaf, &[]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let config = Arc::new(config);
    tcp(move |stream| {
        let tls = ServerConnection::new(config.clone()).expect("a connection");
        let mut stream = StreamOwned::new(tls, stream);
        let _ = stream.read(&mut [0; 4096]);
    })
}

/// Starts a server that acts like Redis with TLS. It answers `+PONG` whatever it receives.
pub fn redis(leaf: &Leaf) -> u16 {
    let config = Arc::new(tls_config(leaf, &[]));
    tcp(move |stream| {
        let tls = ServerConnection::new(config.clone()).expect("a connection");
        let mut stream = StreamOwned::new(tls, stream);
        while stream.read(&mut [0; 4096]).is_ok_and(|length| length > 0) {
            let _ = stream.write_all(b"+PONG\r\n");
        }
    })
}

/// Starts a TLS server that sends this response to each request and then closes cleanly.
pub fn answer(leaf: &Leaf, response: &str) -> u16 {
    answer_with_chain(leaf, &[], response)
}

/// Like [`answer`], but the server also sends the certificate's issuers.
pub fn answer_with_chain(leaf: &Leaf, issuers: &[&Ca], response: &str) -> u16 {
    let response = response.to_owned();
    tls_with_chain(leaf, issuers, move |stream| {
        let _ = stream.write_all(response.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
        // The server waits until the client closes. If it closed first, the kernel might reset the
        // connection and discard data.
        let _ = stream.sock.read_to_end(&mut Vec::new());
    })
}

/// Starts a server that reads the ClientHello, sends these bytes and closes cleanly.
pub fn says(bytes: impl Into<Vec<u8>>) -> u16 {
    let bytes = bytes.into();
    tcp(move |mut stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Starts a server that accepts connections, but never sends anything.
pub fn silent() -> u16 {
    tcp(|mut stream| {
        let _ = stream.set_read_timeout(None);
        let _ = stream.read_to_end(&mut Vec::new());
    })
}

/// Makes the kernel reset the connection when the stream is closed.
pub fn reset(stream: &TcpStream) {
    let _ = set_socket_linger(stream, Some(Duration::ZERO));
}

/// Sends these bytes over and over, one every 100 ms, until the client closes.
pub fn drip(stream: &mut impl Write, bytes: &[u8]) {
    for byte in bytes.iter().cycle() {
        let written = stream.write_all(&[*byte]).and_then(|()| stream.flush());
        if written.is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// A listener that must not receive a connection.
pub struct Untouched(TcpListener);

impl Untouched {
    pub fn new() -> Untouched {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        Untouched(listener)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    #[track_caller]
    pub fn assert(&self, context: &str) {
        let came = self.0.accept();
        assert!(came.is_err(), "{context}: unexpected connection: {came:?}");
    }
}

/// Returns a port that doesn't answer because its connection queue is full, and a value that keeps
/// the queue full until it is dropped.
pub fn blackhole() -> (u16, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    rustix::net::listen(&listener, 0).expect("a short queue");
    let address = listener.local_addr().expect("an address");
    let wait = Duration::from_millis(300);
    let queue = std::iter::from_fn(|| TcpStream::connect_timeout(&address, wait).ok());
    let queue: Vec<TcpStream> = queue.take(8).collect();
    (address.port(), (queue, listener))
}

/// Waits until a client tries to connect to a port that doesn't answer.
#[track_caller]
pub fn wait_for_attempt(port: u16) {
    // State 2 in the kernel's table is SYN_SENT.
    let waiting = format!(":{port:04X} 02 ");
    wait_for("a connection attempt", || {
        let table = std::fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        table.contains(&waiting).then_some(())
    });
}

/// Returns a loopback address whose port 53 is free, and a socket for a DNS server on this port. The
/// address depends on the process id, because tests run in parallel.
pub fn resolver() -> (Ipv4Addr, UdpSocket) {
    let id = std::process::id();
    let free = (1..=250).find_map(|last| {
        let address = Ipv4Addr::new(127, 53 + (id >> 8) as u8 % 200, id as u8, last);
        Some((address, UdpSocket::bind((address, 53)).ok()?))
    });
    free.expect("port 53 of a loopback address")
}

/// A server that responds when the test tells it to.
pub struct Waiting {
    pub port: u16,
    /// Receives a message for each request.
    pub asked: Receiver<()>,
    /// Each message sent here lets the server send [`OK`] once.
    pub respond: Sender<()>,
    /// Receives a message for each response.
    pub sent: Receiver<()>,
}

/// Starts a server that waits for a message before each response, but at most [`PATIENCE`].
pub fn waiting(leaf: &Leaf) -> Waiting {
    let (tell_asked, asked) = channel();
    let (respond, may_respond) = channel();
    let (tell_sent, sent) = channel();
    let may_respond = Mutex::new(may_respond);
    let port = tls(leaf, move |stream| {
        let _ = tell_asked.send(());
        let _ = may_respond.lock().expect("a lock").recv_timeout(PATIENCE);
        let _ = stream.write_all(OK.as_bytes());
        let _ = tell_sent.send(());
    });
    Waiting {
        port,
        asked,
        respond,
        sent,
    }
}
