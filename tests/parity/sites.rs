//! Thousands of servers, each with its own chain and key.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustls::crypto::ring::{default_provider, sign::any_supported_type};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::forge::{Key, chain};
use crate::support::folder::Folder;
use crate::support::nginx::Nginx;

/// Servers to start, each with its own address and port on the loopback.
pub struct Sites {
    folder: Folder,
    /// The `server` blocks of nginx, which uses OpenSSL.
    blocks: String,
    /// The servers that run in this process. They can send any bytes as certificates.
    odd: Vec<(TcpListener, Arc<ServerConfig>)>,
    port: u16,
}

impl Sites {
    pub fn new() -> Sites {
        Sites {
            folder: Folder::new(),
            blocks: String::new(),
            odd: Vec::new(),
            port: crate::support::free_port(),
        }
    }

    /// Returns an address and a port that no other test uses. A single address might not have
    /// enough free ports.
    fn address(&self) -> (String, u16) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id();
        let low = count % 250 + 1;
        let port = self.port + u16::try_from(count / 250).expect("a port");
        let address = format!("127.{}.{}.{low}", 64 + id % 180, (id / 180) % 250);
        (address, port)
    }

    /// Adds a server that sends this chain, and returns its address and port. A key straight from
    /// `Key::new` is used in this process. For other keys, the server is nginx, which must then be
    /// able to read the certificates.
    pub fn add(&mut self, sent: &[&[u8]], key: &Key) -> (String, u16) {
        if key.quick.is_none() {
            return self.nginx(&chain(sent), &key.pem, "");
        }
        let (address, port) = self.address();
        let listener = TcpListener::bind((address.as_str(), port)).expect("a free address");
        listener.set_nonblocking(true).expect("an option");
        self.odd.push((listener, config(sent, key)));
        (address, port)
    }

    /// Adds an nginx server with this chain and key (both PEM) and these additional directives. The
    /// server has OpenSSL's security level 0, so it accepts weak certificates and keys.
    pub fn nginx(&mut self, chain: &str, key: &str, more: &str) -> (String, u16) {
        let (address, port) = self.address();
        let chain = self.folder.file(&format!("{address}-{port}.crt"), chain);
        let key = self.folder.file(&format!("{address}-{port}.key"), key);
        let _ = writeln!(
            self.blocks,
            "server {{ listen {address}:{port} ssl; ssl_ciphers ALL:@SECLEVEL=0;
               ssl_certificate {chain}; ssl_certificate_key {key}; {more}
               location / {{ return 200 \"all good\\n\"; }} }}"
        );
        (address, port)
    }

    /// Writes a file that exists as long as the servers, and returns its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        self.folder.file(name, content)
    }

    /// Starts all servers. nginx runs, and the files exist, until the returned values are dropped.
    pub fn start(self) -> (Nginx, Folder) {
        let Sites {
            folder,
            blocks,
            odd,
            ..
        } = self;
        thread::spawn(move || serve(&odd));
        let ready = |port| format!("server {{ listen 127.0.0.1:{port}; }}");
        (Nginx::serve(|_, port| blocks + &ready(port)), folder)
    }
}

/// Always sends this chain, without checking it.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

fn config(sent: &[&[u8]], key: &Key) -> Arc<ServerConfig> {
    let chain = sent.iter().map(|der| CertificateDer::from(der.to_vec()));
    let key = PrivateKeyDer::from_pem_slice(key.pem.as_bytes()).expect("a key");
    let key = any_supported_type(&key).expect("a usable key");
    let always = Always(Arc::new(CertifiedKey::new(chain.collect(), key)));
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(always));
    Arc::new(config)
}

/// Answers every request with status 200, until the test ends.
fn serve(sites: &[(TcpListener, Arc<ServerConfig>)]) {
    loop {
        let mut polled: Vec<PollFd<'_>> = sites
            .iter()
            .map(|(listener, _)| PollFd::new(listener, PollFlags::IN))
            .collect();
        if poll(&mut polled, None).is_err() {
            continue;
        }
        for ((listener, config), polled) in sites.iter().zip(&polled) {
            if !polled.revents().is_empty() {
                while let Ok((stream, _)) = listener.accept() {
                    let config = config.clone();
                    thread::spawn(move || answer(stream, config));
                }
            }
        }
    }
}

fn answer(stream: TcpStream, config: Arc<ServerConfig>) {
    let _ = stream.set_nonblocking(false);
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let tls = ServerConnection::new(config).expect("a connection");
    let mut stream = StreamOwned::new(tls, stream);
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer) {
            Ok(1..) if head.len() > 10_000 => return,
            Ok(length @ 1..) => head.extend(&buffer[..length]),
            _ => return,
        }
    }
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
    stream.conn.send_close_notify();
    let _ = stream.flush();
    let _ = stream.sock.read_to_end(&mut Vec::new());
}
