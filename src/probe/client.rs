//! The client's settings for a handshake: versions, cipher suites, key exchanges and certificate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::{CryptoProvider, ring};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SignatureScheme, SupportedProtocolVersion};

use super::client_hello::signing_as_sent;
use super::exchange::{Secp521r1, X25519ReusingOffer};
use super::suites::SUITES;

use super::certificates::{ALGORITHMS, Verifier};
use crate::certificate::element::{SEQUENCE, element, only};
use crate::certificate::name;
use crate::options::values::TlsVersion;
use crate::plan::Tls;

const EVERY_VERSION: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];
const ONLY_TLS12: &[&SupportedProtocolVersion] = &[&TLS12];
const ONLY_TLS13: &[&SupportedProtocolVersion] = &[&TLS13];

/// Builds rustls's configuration from the plan, except the SNI name.
pub(super) fn config(
    plan: &Tls,
    verifier: Arc<Verifier>,
    client_certificate: Arc<ClientCertificate>,
) -> Result<ClientConfig, rustls::Error> {
    let versions = match (plan.min_version, plan.max_version) {
        (_, TlsVersion::Tls12) => ONLY_TLS12,
        (TlsVersion::Tls13, _) => ONLY_TLS13,
        _ => EVERY_VERSION,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(client_certificate);
    let names = plan.alpn.iter();
    config.alpn_protocols = names.map(|name| name.clone().into_bytes()).collect();
    // A resumed handshake would not verify the certificate.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Returns ring's provider with our cipher suites, key exchanges and signature algorithms.
pub fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites = SUITES.clone();
    // The client offers a key only for the first group.
    provider.kx_groups = vec![
        &X25519ReusingOffer,
        ring::kx_group::SECP256R1,
        ring::kx_group::SECP384R1,
        &Secp521r1,
    ];
    provider.signature_verification_algorithms = ALGORITHMS;
    provider
}

/// Our client certificate, and facts about the server's CertificateRequest.
#[derive(Debug)]
pub(super) struct ClientCertificate {
    identity: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
    /// True if OpenSSL would reject a CA's name in the server's CertificateRequest.
    malformed: AtomicBool,
}

impl ClientCertificate {
    pub fn new(identity: Option<&CertifiedKey>) -> ClientCertificate {
        ClientCertificate {
            identity: identity.map(|identity| Arc::new(signing_as_sent(identity))),
            asked: AtomicBool::new(false),
            malformed: AtomicBool::new(false),
        }
    }

    /// Returns true if the server asked for a certificate.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns true if OpenSSL would reject a CA's name in the server's CertificateRequest.
    pub fn is_asked_malformed(&self) -> bool {
        self.malformed.load(Ordering::Relaxed)
    }
}

impl ResolvesClientCert for ClientCertificate {
    fn resolve(
        &self,
        issuers: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        let is_readable = |der: &&[u8]| {
            only(der, SEQUENCE).is_some_and(|name| {
                // OpenSSL rejects a name whose length is encoded in more bytes than necessary.
                name::readable(name) && element(SEQUENCE, name) == **der
            })
        };
        if !issuers.iter().all(is_readable) {
            self.malformed.store(true, Ordering::Relaxed);
        }
        self.identity.clone()
    }

    fn has_certs(&self) -> bool {
        self.identity.is_some()
    }
}
