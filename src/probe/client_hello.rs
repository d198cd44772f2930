//! Removes rustls's request for a stapled OCSP response from the ClientHello.
//!
//! rustls always sends this request, and HAProxy never does. A server that sends an OCSP response
//! without a request breaks its handshake with HAProxy, and the check must fail too. We therefore
//! remove the request from three places:
//!
//! - the bytes that we send
//! - the hash of the handshake
//! - the message that the client's key signs in TLS 1.2

use std::sync::Arc;

use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::sign::{CertifiedKey, Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use super::framing::{Extensions, HANDSHAKE, message, record, vector8, vector16};

const CLIENT_HELLO: u8 = 1;
/// The extension `status_request` as rustls writes it: OCSP, no responders, no extensions (RFC
/// 6066, section 8).
const STATUS_REQUEST: [u8; 9] = [0, 5, 0, 5, 1, 0, 0, 0, 0];

/// Removes the request from the first ClientHello in these messages. After a HelloRetryRequest, the hash of
/// the first ClientHello and the HelloRetryRequest precede the second ClientHello (RFC 8446, section 4.4.1).
/// Returns `None` if the messages don't contain the request.
fn without_status_request(messages: &[u8]) -> Option<Vec<u8>> {
    const BEFORE: [u8; 2] = [254, 2];
    let (kind, body, rest) = message(messages)?;
    match kind {
        CLIENT_HELLO => {
            let body = body_without_status_request(body)?;
            let length = (body.len() as u32).to_be_bytes();
            Some([&[CLIENT_HELLO], &length[1..], &body, rest].concat())
        }
        kind if BEFORE.contains(&kind) => {
            let first = &messages[..messages.len() - rest.len()];
            Some([first, &without_status_request(rest)?].concat())
        }
        _ => None,
    }
}

fn body_without_status_request(body: &[u8]) -> Option<Vec<u8>> {
    // Skip version and random, session id, cipher suites, and compression methods.
    let (_, rest) = vector8(body.get(34..)?)?;
    let (_, rest) = vector16(rest)?;
    let (_, rest) = vector8(rest)?;
    let (before, list) = (&body[..body.len() - rest.len()], rest.get(2..)?);
    let mut after = Extensions(list);
    let (_, content) = after.find(|(kind, _)| *kind == 5)?;
    let at = list.len() - after.0.len() - 4 - content.len();
    let is_of_rustls = list[at..].starts_with(&STATUS_REQUEST);
    let list = [&list[..at], after.0].concat();
    is_of_rustls.then(|| [before, &(list.len() as u16).to_be_bytes(), &list].concat())
}

/// Returns these records without the request, as we send them.
pub(super) fn remove_status_request(mut records: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(records.len());
    while let Some((header, content, next)) = record(records) {
        let is_handshake = header[0] == HANDSHAKE;
        let changed = Some(content).filter(|_| is_handshake);
        let changed = changed.and_then(without_status_request);
        let content = changed.as_deref().unwrap_or(content);
        sent.extend(&header[..3]);
        sent.extend((content.len() as u16).to_be_bytes());
        sent.extend(content);
        records = next;
    }
    sent.extend(records);
    sent
}

/// Hashes the handshake as we send it.
pub(super) struct AsSent(pub &'static dyn Hash);

impl Hash for AsSent {
    fn start(&self) -> Box<dyn Context> {
        Box::new(AsSentContext(self.0.start()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        self.0.hash(data)
    }

    fn output_len(&self) -> usize {
        self.0.output_len()
    }

    fn algorithm(&self) -> HashAlgorithm {
        self.0.algorithm()
    }
}

struct AsSentContext(Box<dyn Context>);

impl Context for AsSentContext {
    fn fork_finish(&self) -> Output {
        self.0.fork_finish()
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(AsSentContext(self.0.fork()))
    }

    fn finish(self: Box<Self>) -> Output {
        self.0.finish()
    }

    fn update(&mut self, data: &[u8]) {
        match without_status_request(data) {
            Some(sent) => self.0.update(&sent),
            None => self.0.update(data),
        }
    }
}

/// Returns the client certificate with a key that signs the handshake as we send it.
pub(super) fn signing_as_sent(identity: &CertifiedKey) -> CertifiedKey {
    CertifiedKey::new(
        identity.cert.clone(),
        Arc::new(SigningAsSent(identity.key.clone())),
    )
}

#[derive(Debug)]
struct SigningAsSent(Arc<dyn SigningKey>);

impl SigningKey for SigningAsSent {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer = self.0.choose_scheme(offered)?;
        Some(Box::new(SignerAsSent(signer)))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        self.0.algorithm()
    }
}

#[derive(Debug)]
struct SignerAsSent(Box<dyn Signer>);

impl Signer for SignerAsSent {
    /// In TLS 1.2, the message is the whole handshake. In TLS 1.3, it begins with spaces and contains only
    /// the hash of the handshake, which [`AsSent`] has already corrected.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match without_status_request(message) {
            Some(sent) => self.0.sign(&sent),
            None => self.0.sign(message),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}
