//! Measures the cost of a handshake and a request without the start of a process. One process repeats both,
//! with sni-check's cryptography and rustls's own verification.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use nix::sys::resource::UsageWho;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sni_check::probe::provider;

use crate::measure::{Time, timed};
use crate::support::NAME;
use crate::world::{Backend, request};

/// A client that makes its configuration only once.
pub struct InProcess {
    config: Arc<ClientConfig>,
    port: u16,
}

impl InProcess {
    pub fn new(backend: &Backend) -> InProcess {
        let pem = fs::read(&backend.ca_file).expect("a CA");
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).expect("a certificate"))
            .expect("a root");
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        InProcess {
            config: Arc::new(config),
            port: backend.port,
        }
    }

    /// Runs a handshake and a request, and reads the first piece of the response.
    pub fn run(&self) -> Time {
        timed(UsageWho::RUSAGE_THREAD, || {
            let answer = self.get("/");
            assert!(answer.starts_with("HTTP/1.1 200 "));
        })
    }

    pub fn get(&self, path: &str) -> String {
        let name = ServerName::try_from(NAME).expect("a name");
        let tls = ClientConnection::new(self.config.clone(), name).expect("a client");
        let socket = TcpStream::connect(("127.0.0.1", self.port)).expect("a connection");
        let mut stream = StreamOwned::new(tls, socket);
        stream
            .write_all(request(path).as_bytes())
            .expect("a request");
        let mut response = [0; 4096];
        let length = stream.read(&mut response).expect("a response");
        String::from_utf8_lossy(&response[..length]).into_owned()
    }
}
