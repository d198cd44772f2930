//! A TLS backend that records what it receives from each client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

use crate::support::pki::{Ca, Leaf};

/// What the backend received from one client.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub from: Option<SocketAddr>,
    /// The bytes before TLS, such as a PROXY header.
    pub prefix: Vec<u8>,
    pub sni: Option<String>,
    pub alpn: Vec<String>,
    pub client_certificate: bool,
    /// The head and the body of the request.
    pub request: String,
    pub close_notify: bool,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// The behaviour of the backend.
#[derive(Clone, Default)]
pub struct Behaviour {
    /// What the backend reads before TLS starts, if anything.
    pub prefix: Option<Prefix>,
    pub response: String,
    pub wants_client_certificate: bool,
}

#[derive(Clone, Copy)]
pub enum Prefix {
    Line,
    Bytes(usize),
}

pub struct Backend {
    pub address: SocketAddr,
    seen: Receiver<Seen>,
}

trait Stream: Read + Write + Send {}
impl Stream for TcpStream {}
impl Stream for UnixStream {}

fn server_config(ca: &Ca, leaf: &Leaf, behaviour: &Behaviour) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.certificate.der().clone()).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = if behaviour.wants_client_certificate {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
    let chain = vec![leaf.certificate.der().clone()];
    let mut config = builder.with_single_cert(chain, key).expect("a certificate");
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

impl Backend {
    pub fn tcp(ca: &Ca, leaf: &Leaf, behaviour: Behaviour) -> Backend {
        Backend::tcp_on("127.0.0.1:0", ca, leaf, behaviour)
    }

    pub fn tcp_on(listen: &str, ca: &Ca, leaf: &Leaf, behaviour: Behaviour) -> Backend {
        let config = server_config(ca, leaf, &behaviour);
        let listener = TcpListener::bind(listen).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (tell, seen) = channel();
        thread::spawn(move || {
            while let Ok((stream, from)) = listener.accept() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                serve(stream, Some(from), config.clone(), &behaviour, &tell);
            }
        });
        Backend { address, seen }
    }

    pub fn unix(path: &Path, ca: &Ca, leaf: &Leaf, behaviour: Behaviour) -> Backend {
        let config = server_config(ca, leaf, &behaviour);
        let listener = UnixListener::bind(path).expect("a socket");
        let (tell, seen) = channel();
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                serve(stream, None, config.clone(), &behaviour, &tell);
            }
        });
        Backend {
            address: ([0, 0, 0, 0], 0).into(),
            seen,
        }
    }

    /// Waits for the next client and returns what the backend received from it.
    pub fn seen(&self) -> Seen {
        self.seen
            .recv_timeout(Duration::from_secs(10))
            .expect("a client")
    }
}

fn serve(
    mut stream: impl Stream,
    from: Option<SocketAddr>,
    config: Arc<ServerConfig>,
    behaviour: &Behaviour,
    tell: &Sender<Seen>,
) {
    let mut seen = Seen {
        from,
        ..Seen::default()
    };
    let mut byte = [0];
    let wanted = |seen: &Seen| match behaviour.prefix {
        None => false,
        Some(Prefix::Line) => !seen.prefix.ends_with(b"\n"),
        Some(Prefix::Bytes(count)) => seen.prefix.len() < count,
    };
    while wanted(&seen) && stream.read_exact(&mut byte).is_ok() {
        seen.prefix.push(byte[0]);
    }
    let mut acceptor = rustls::server::Acceptor::default();
    let accepted = loop {
        if acceptor.read_tls(&mut stream).is_err() {
            let _ = tell.send(seen);
            return;
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => break accepted,
            Ok(None) => {}
            Err(_) => {
                let _ = tell.send(seen);
                return;
            }
        }
    };
    let hello = accepted.client_hello();
    seen.sni = hello.server_name().map(str::to_owned);
    let protocols = hello.alpn().into_iter().flatten();
    seen.alpn = protocols
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    if let Ok(mut tls) = accepted.into_connection(config) {
        answer(&mut stream, &mut tls, &behaviour.response, &mut seen);
        seen.client_certificate = tls.peer_certificates().is_some();
    }
    let _ = tell.send(seen);
}

fn answer(stream: &mut impl Stream, tls: &mut ServerConnection, response: &str, seen: &mut Seen) {
    let mut tls = rustls::Stream::new(tls, stream);
    let mut reader = BufReader::new(&mut tls);
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|length| length > 2) {
        seen.request.push_str(&line);
        line.clear();
    }
    let length = seen
        .header("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_ok() {
        seen.request.push_str(&String::from_utf8_lossy(&body));
    }
    let _ = tls.write_all(response.as_bytes());
    // After a clean close, rustls returns Ok(0). After a close without close_notify, it returns an
    // error.
    let mut rest = Vec::new();
    seen.close_notify = tls.read_to_end(&mut rest).is_ok();
}
