//! A handmade TLS server. Libraries don't send messages that break the rules, so here a case can
//! replace every message.

mod records;

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey, X25519};
use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, RsaKeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use self::records::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, record};
use self::records::{Keys, Wire, expand_label, extract, hash, prf, sign};
use crate::support::peer;

/// A message that the server sends, or a point at which a script can insert bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    ServerHello,
    /// After the ServerHello, and before the next message.
    AfterServerHello,
    EncryptedExtensions,
    CertificateRequest,
    Certificate,
    CertificateStatus,
    CertificateVerify,
    ServerKeyExchange,
    ServerHelloDone,
    NewSessionTicket,
    ChangeCipherSpec,
    Finished,
    Response,
    End,
}

/// What the server does in a step.
#[derive(Clone, Debug)]
pub enum Out {
    /// A handshake message in its own record.
    Message(Vec<u8>),
    /// A record of this type, encrypted if the connection already is. The record isn't part
    /// of the transcript.
    Record(u8, Vec<u8>),
    /// Exactly these bytes.
    Raw(Vec<u8>),
    /// A pause, in which the client reads the bytes sent so far.
    Pause,
    /// A TCP reset.
    Reset,
}

type Edit = Arc<dyn Fn(Step, Vec<Out>) -> Vec<Out> + Send + Sync>;

/// The script of a server. The scripts of `tls12` and `tls13` make a usual TLS server.
#[derive(Clone)]
pub struct Script {
    pub tls13: bool,
    pub legacy_version: [u8; 2],
    /// The last bytes of the server's random value (RFC 8446, section 4.1.3).
    pub sentinel: Vec<u8>,
    /// The length of the session id that the server chooses. With `None`, the server echoes the
    /// client's id in TLS 1.3, and sends an empty id in TLS 1.2.
    pub session_id: Option<usize>,
    pub suite: Option<[u8; 2]>,
    pub hello_extensions: Vec<(u16, Vec<u8>)>,
    pub encrypted_extensions: Vec<(u16, Vec<u8>)>,
    pub certificate_extensions: Vec<(u16, Vec<u8>)>,
    /// The body of a CertificateRequest.
    pub request: Option<Vec<u8>>,
    /// The body of a CertificateStatus (TLS 1.2).
    pub status: Option<Vec<u8>>,
    /// The body of a NewSessionTicket.
    pub ticket: Option<Vec<u8>>,
    /// The signature scheme of the handshake. The default is ECDSA with P-256.
    pub scheme: u16,
    pub extended_master_secret: bool,
    pub secure_renegotiation: bool,
    /// Bytes that replace the curve type and the named curve in a ServerKeyExchange.
    pub curve: Vec<u8>,
    pub edit: Edit,
    /// The heads of the requests that the server received.
    pub heads: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A server's certificate and key, both PEM.
#[derive(Clone)]
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub key: Vec<u8>,
}

impl Identity {
    pub fn new(chain: &str, key: &str) -> Identity {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        Identity {
            chain: chain.map(|der| der.expect("PEM").to_vec()).collect(),
            key: key.secret_der().to_vec(),
        }
    }
}

/// Extensions of a TLS 1.3 ServerHello whose content the server itself fills in.
pub const SUPPORTED_VERSIONS: u16 = 43;
pub const KEY_SHARE: u16 = 51;

impl Script {
    pub fn tls13() -> Script {
        Script {
            tls13: true,
            legacy_version: [3, 3],
            sentinel: Vec::new(),
            session_id: None,
            suite: None,
            hello_extensions: Vec::new(),
            encrypted_extensions: Vec::new(),
            certificate_extensions: Vec::new(),
            request: None,
            status: None,
            ticket: None,
            scheme: 0x0403,
            extended_master_secret: true,
            secure_renegotiation: true,
            curve: vec![3, 0, 29],
            edit: Arc::new(|_, out| out),
            heads: Arc::default(),
        }
    }

    pub fn tls12() -> Script {
        Script {
            tls13: false,
            ..Script::tls13()
        }
    }

    /// Changes what the server sends in this step.
    pub fn with(
        mut self,
        at: Step,
        change: impl Fn(Vec<Out>) -> Vec<Out> + Send + Sync + 'static,
    ) -> Script {
        let before = self.edit.clone();
        self.edit = Arc::new(move |step, out| match before(step, out) {
            out if step == at => change(out),
            out => out,
        });
        self
    }

    /// Replaces the message of this step with the message that `change` makes from it.
    pub fn with_message(
        self,
        at: Step,
        change: impl Fn(Vec<u8>) -> Vec<u8> + Send + Sync + 'static,
    ) -> Script {
        self.with(at, move |out| {
            let changed = out.into_iter().map(|out| match out {
                Out::Message(message) => Out::Message(change(message)),
                out => out,
            });
            changed.collect()
        })
    }

    /// Serves with this certificate until the test ends. Returns the port.
    pub fn serve(self, identity: &Identity) -> u16 {
        let identity = identity.clone();
        peer::tcp(move |stream| {
            let connection = Connection {
                wire: Wire::new(stream),
                script: &self,
                identity: &identity,
                transcript: Vec::new(),
                pending: Vec::new(),
            };
            let _ = connection.run();
        })
    }
}

struct Connection<'a> {
    wire: Wire,
    script: &'a Script,
    identity: &'a Identity,
    transcript: Vec<u8>,
    /// The bytes that the next flush sends.
    pending: Vec<u8>,
}

/// The parts of a ClientHello that the server needs.
struct ClientHello {
    random: Vec<u8>,
    session_id: Vec<u8>,
    key_share: Option<Vec<u8>>,
}

/// Returns a handshake message with its header.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[kind], &length[1..], body].concat()
}

/// Returns a vector with a length of 1, 2 or 3 bytes in front of it.
pub fn vector(bytes_of_length: usize, content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u32).to_be_bytes();
    [&length[4 - bytes_of_length..], content].concat()
}

fn extensions(list: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let each = list
        .iter()
        .map(|(kind, content)| [&kind.to_be_bytes()[..], &vector(2, content)].concat());
    vector(2, &each.collect::<Vec<_>>().concat())
}

impl ClientHello {
    fn read(message: &[u8]) -> Option<ClientHello> {
        let random = message.get(6..38)?.to_vec();
        let session = usize::from(*message.get(38)?);
        let session_id = message.get(39..39 + session)?.to_vec();
        let mut rest = message.get(39 + session..)?;
        let suites = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        rest = rest.get(2 + suites..)?;
        rest = rest.get(1 + usize::from(rest[0]) + 2..)?;
        let mut key_share = None;
        while let [a, b, c, d, ..] = *rest {
            let length = usize::from(u16::from_be_bytes([c, d]));
            let content = rest.get(4..4 + length)?;
            if u16::from_be_bytes([a, b]) == KEY_SHARE {
                let mut shares = &content[2..];
                while let [a, b, c, d, ..] = *shares {
                    let length = usize::from(u16::from_be_bytes([c, d]));
                    if [a, b] == [0, 29] {
                        key_share = Some(shares.get(4..4 + length)?.to_vec());
                    }
                    shares = shares.get(4 + length..)?;
                }
            }
            rest = &rest[4 + length..];
        }
        Some(ClientHello {
            random,
            session_id,
            key_share,
        })
    }
}

fn own_key() -> (EphemeralPrivateKey, Vec<u8>) {
    let key = EphemeralPrivateKey::generate(&X25519, &SystemRandom::new()).expect("a key");
    let public = key.compute_public_key().expect("a public key");
    (key, public.as_ref().to_vec())
}

fn agree(key: EphemeralPrivateKey, peer: &[u8]) -> io::Result<Vec<u8>> {
    let peer = UnparsedPublicKey::new(&X25519, peer);
    agreement::agree_ephemeral(key, &peer, <[u8]>::to_vec)
        .map_err(|_| io::Error::other("the key exchange failed"))
}

impl Connection<'_> {
    fn run(mut self) -> io::Result<()> {
        let hello = self.wire.message()?;
        self.transcript.extend(&hello);
        let hello = ClientHello::read(&hello).ok_or_else(|| io::Error::other("no ClientHello"))?;
        match self.script.tls13 {
            true => self.tls13(&hello)?,
            false => self.tls12(&hello)?,
        }
        self.respond()
    }

    /// Sends `default`, or what the script makes of it in this step.
    fn send(&mut self, step: Step, default: Vec<Out>) -> io::Result<()> {
        for out in (self.script.edit)(step, default) {
            let bytes = match out {
                Out::Message(message) => {
                    self.transcript.extend(&message);
                    let chunks = message.chunks(16_000);
                    let mut records = Vec::new();
                    for chunk in chunks {
                        records.extend(self.wire.sealed(HANDSHAKE, chunk));
                    }
                    records
                }
                Out::Record(kind, content) => self.wire.sealed(kind, &content),
                Out::Raw(bytes) => bytes,
                Out::Pause => {
                    self.flush()?;
                    thread::sleep(Duration::from_millis(300));
                    continue;
                }
                Out::Reset => {
                    self.flush()?;
                    peer::reset(&self.wire.stream);
                    return Err(io::Error::other("the script ends here"));
                }
            };
            self.pending.extend(bytes);
        }
        // Without a pause, the server sends the response and the end of the connection together.
        match step {
            Step::Response => Ok(()),
            _ => self.flush(),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let pending = std::mem::take(&mut self.pending);
        self.wire.write(&pending)
    }

    fn send_message(&mut self, step: Step, kind: u8, body: &[u8]) -> io::Result<()> {
        self.send(step, vec![Out::Message(message(kind, body))])
    }

    fn server_hello(
        &mut self,
        hello: &ClientHello,
        suite: [u8; 2],
        list: &[(u16, Vec<u8>)],
    ) -> io::Result<Vec<u8>> {
        let script = self.script;
        let mut random = hash(&hello.random);
        random.truncate(32 - script.sentinel.len());
        random.extend(&script.sentinel);
        let session_id = match (&script.session_id, script.tls13) {
            // Each connection has a different id, because HAProxy tries to resume a session that it
            // knows.
            (Some(length), _) => random.iter().copied().cycle().take(*length).collect(),
            (None, true) => hello.session_id.clone(),
            (None, false) => Vec::new(),
        };
        let body = [
            &script.legacy_version[..],
            &random,
            &vector(1, &session_id),
            &script.suite.unwrap_or(suite),
            &[0],
            &extensions(list),
        ]
        .concat();
        self.send_message(Step::ServerHello, 2, &body)?;
        Ok(random)
    }

    fn signed(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let key = &self.identity.key;
        let rsa: &dyn signature::RsaEncoding = match self.script.scheme {
            0x0403 => {
                let algorithm = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
                let key = EcdsaKeyPair::from_pkcs8(algorithm, key, &random).expect("a P-256 key");
                return key
                    .sign(&random, message)
                    .expect("a signature")
                    .as_ref()
                    .to_vec();
            }
            0x0401 => &signature::RSA_PKCS1_SHA256,
            0x0501 => &signature::RSA_PKCS1_SHA384,
            0x0601 => &signature::RSA_PKCS1_SHA512,
            0x0804 => &signature::RSA_PSS_SHA256,
            0x0805 => &signature::RSA_PSS_SHA384,
            0x0806 => &signature::RSA_PSS_SHA512,
            // The server can't sign with other schemes. It sends an invalid signature.
            _ => return vec![7; 64],
        };
        let key = RsaKeyPair::from_pkcs8(key).expect("an RSA key");
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(rsa, &random, message, &mut signature)
            .expect("a signature");
        signature
    }

    fn tls13(&mut self, hello: &ClientHello) -> io::Result<()> {
        let script = self.script;
        let (key, public) = own_key();
        let share = hello.key_share.as_deref();
        let shared = agree(key, share.ok_or_else(|| io::Error::other("no key share"))?)?;
        let mut list = vec![
            (SUPPORTED_VERSIONS, vec![3, 4]),
            (KEY_SHARE, [&[0, 29], &vector(2, &public)[..]].concat()),
        ];
        list.extend(script.hello_extensions.clone());
        self.server_hello(hello, [0x13, 0x01], &list)?;
        self.send(
            Step::AfterServerHello,
            vec![Out::Raw(record(CHANGE_CIPHER_SPEC, &[1]))],
        )?;

        let empty = hash(&[]);
        let early = extract(&[0; 32], &[0; 32]);
        let derived = expand_label(&early, "derived", &empty, 32);
        let handshake = extract(&derived, &shared);
        let so_far = hash(&self.transcript);
        let client = expand_label(&handshake, "c hs traffic", &so_far, 32);
        let server = expand_label(&handshake, "s hs traffic", &so_far, 32);
        self.wire.reading = Some(Keys::tls13(&client));
        self.wire.writing = Some(Keys::tls13(&server));

        let list = extensions(&script.encrypted_extensions);
        self.send_message(Step::EncryptedExtensions, 8, &list)?;
        if let Some(request) = &script.request {
            self.send_message(Step::CertificateRequest, 13, request)?;
        }
        let mut entries = Vec::new();
        for (index, certificate) in self.identity.chain.iter().enumerate() {
            entries.extend(vector(3, certificate));
            entries.extend(match index {
                0 => extensions(&script.certificate_extensions),
                _ => vec![0, 0],
            });
        }
        let body = [&[0], &vector(3, &entries)[..]].concat();
        self.send_message(Step::Certificate, 11, &body)?;
        let mut signed = vec![b' '; 64];
        signed.extend(b"TLS 1.3, server CertificateVerify\0");
        signed.extend(hash(&self.transcript));
        let signature = vector(2, &self.signed(&signed));
        let body = [&script.scheme.to_be_bytes()[..], &signature].concat();
        self.send_message(Step::CertificateVerify, 15, &body)?;
        let key = expand_label(&server, "finished", &[], 32);
        let finished = sign(&key, &hash(&self.transcript));
        self.send_message(Step::Finished, 20, &finished)?;

        let derived = expand_label(&handshake, "derived", &empty, 32);
        let master = extract(&derived, &[0; 32]);
        let so_far = hash(&self.transcript);
        let client = expand_label(&master, "c ap traffic", &so_far, 32);
        let server = expand_label(&master, "s ap traffic", &so_far, 32);
        self.wire.writing = Some(Keys::tls13(&server));
        while self.wire.message()?[0] != 20 {}
        self.wire.reading = Some(Keys::tls13(&client));
        if let Some(ticket) = &script.ticket {
            self.send_message(Step::NewSessionTicket, 4, ticket)?;
        }
        Ok(())
    }

    fn tls12(&mut self, hello: &ClientHello) -> io::Result<()> {
        let script = self.script;
        let mut list = Vec::new();
        if script.secure_renegotiation {
            list.push((0xff01, vec![0]));
        }
        if script.extended_master_secret {
            list.push((23, Vec::new()));
        }
        list.extend(script.hello_extensions.clone());
        let suite = match script.scheme & 0xff {
            3 => [0xc0, 0x2b],
            _ => [0xc0, 0x2f],
        };
        let random = self.server_hello(hello, suite, &list)?;
        self.send(Step::AfterServerHello, Vec::new())?;
        let chain = self.identity.chain.iter().map(|der| vector(3, der));
        let chain = vector(3, &chain.collect::<Vec<_>>().concat());
        self.send_message(Step::Certificate, 11, &chain)?;
        if let Some(status) = &script.status {
            self.send_message(Step::CertificateStatus, 22, status)?;
        }
        let (key, public) = own_key();
        let parameters = [&script.curve[..], &vector(1, &public)].concat();
        let signed = [&hello.random[..], &random, &parameters].concat();
        let signature = vector(2, &self.signed(&signed));
        let body = [&parameters, &script.scheme.to_be_bytes()[..], &signature].concat();
        self.send_message(Step::ServerKeyExchange, 12, &body)?;
        if let Some(request) = &script.request {
            self.send_message(Step::CertificateRequest, 13, request)?;
        }
        self.send_message(Step::ServerHelloDone, 14, &[])?;

        let exchange = loop {
            let message = self.wire.message()?;
            self.transcript.extend(&message);
            if message[0] == 16 {
                break message;
            }
        };
        let shared = agree(key, &exchange[5..])?;
        let randoms = [&hello.random[..], &random].concat();
        let master = match script.extended_master_secret {
            true => prf(
                &shared,
                "extended master secret",
                &hash(&self.transcript),
                48,
            ),
            false => prf(&shared, "master secret", &randoms, 48),
        };
        let seed = [&random[..], &hello.random].concat();
        let block = prf(&master, "key expansion", &seed, 40);
        // A client without a certificate sends Finished next.
        self.wire.reading = None;
        while self.wire.record()?.0 != CHANGE_CIPHER_SPEC {}
        self.wire.reading = Some(Keys::tls12(&block[..16], &block[32..36]));
        let finished = self.wire.message()?;
        self.transcript.extend(&finished);
        if let Some(ticket) = &script.ticket {
            self.send_message(Step::NewSessionTicket, 4, ticket)?;
        }
        let change = vec![Out::Raw(record(CHANGE_CIPHER_SPEC, &[1]))];
        self.send(Step::ChangeCipherSpec, change)?;
        self.wire.writing = Some(Keys::tls12(&block[16..32], &block[36..40]));
        let finished = prf(&master, "server finished", &hash(&self.transcript), 12);
        self.send_message(Step::Finished, 20, &finished)
    }

    /// Reads the head of a request and answers the request.
    fn respond(&mut self) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match self.wire.record()? {
                (APPLICATION_DATA, content) => head.extend(content),
                (ALERT, _) => return Ok(()),
                _ => {}
            }
        }
        self.script.heads.lock().expect("a lock").push(head);
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        self.send(
            Step::Response,
            vec![Out::Record(APPLICATION_DATA, response)],
        )?;
        self.send(Step::End, vec![Out::Record(ALERT, vec![1, 0])])?;
        // The server waits until the client closes. If it closed first, the kernel might reset the
        // connection while data is in flight.
        let _ = self.wire.stream.shutdown(std::net::Shutdown::Write);
        let _ = self.wire.stream.read_to_end(&mut Vec::new());
        Ok(())
    }
}
