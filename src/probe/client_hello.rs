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

const CLIENT_HELLO: u8 = 1;
const HANDSHAKE: u8 = 22;
/// The extension `status_request` as rustls writes it: OCSP, no responders, no extensions (RFC
/// 6066, section 8).
const QUESTION: [u8; 9] = [0, 5, 0, 5, 1, 0, 0, 0, 0];

/// Removes the request from the first ClientHello in these messages. After a HelloRetryRequest, the hash of
/// the first ClientHello and the HelloRetryRequest precede the second ClientHello (RFC 8446, section 4.4.1).
/// Returns `None` if the messages don't contain the request.
fn without_question(messages: &[u8]) -> Option<Vec<u8>> {
    const BEFORE: [u8; 2] = [254, 2];
    let (header, rest) = messages.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes([0, header[1], header[2], header[3]]);
    let (body, rest) = rest.split_at_checked(length as usize)?;
    match header[0] {
        CLIENT_HELLO => {
            let body = body_without_question(body)?;
            let length = (body.len() as u32).to_be_bytes();
            Some([&[CLIENT_HELLO], &length[1..], &body, rest].concat())
        }
        kind if BEFORE.contains(&kind) => {
            let rest = without_question(rest)?;
            Some([&header[..], body, &rest].concat())
        }
        _ => None,
    }
}

fn body_without_question(body: &[u8]) -> Option<Vec<u8>> {
    // Skip version and random, session id, cipher suites, and compression methods.
    let session = 34 + 1 + usize::from(*body.get(34)?);
    let suites = body.get(session..)?.first_chunk()?;
    let compression = session + 2 + usize::from(u16::from_be_bytes(*suites));
    let start = compression + 1 + usize::from(*body.get(compression)?);
    let list = body.get(start + 2..)?;
    let at = find(list, 5)?;
    let list = [&list[..at], list.get(at + QUESTION.len()..)?].concat();
    Some([&body[..start], &(list.len() as u16).to_be_bytes(), &list].concat())
}

/// Returns the position of an extension in a list, if rustls wrote it in the expected form.
fn find(list: &[u8], wanted: u16) -> Option<usize> {
    let mut at = 0;
    loop {
        let [a, b, c, d] = *list.get(at..)?.first_chunk()?;
        if u16::from_be_bytes([a, b]) == wanted {
            return list[at..].starts_with(&QUESTION).then_some(at);
        }
        at += 4 + usize::from(u16::from_be_bytes([c, d]));
    }
}

/// Returns these records without the request, as we send them.
pub(super) fn remove_status_request(mut records: &[u8]) -> Vec<u8> {
    let mut sent = Vec::with_capacity(records.len());
    while let [kind, major, minor, high, low, rest @ ..] = records {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (payload, next) = rest.split_at(length);
        let changed = (*kind == HANDSHAKE).then(|| without_question(payload));
        let changed = changed.flatten();
        let payload = changed.as_deref().unwrap_or(payload);
        sent.extend([*kind, *major, *minor]);
        sent.extend((payload.len() as u16).to_be_bytes());
        sent.extend(payload);
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
        match without_question(data) {
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
        match without_question(message) {
            Some(sent) => self.0.sign(&sent),
            None => self.0.sign(message),
        }
    }

    fn scheme(&self) -> SignatureScheme {
        self.0.scheme()
    }
}
