//! The verifier that rustls calls to judge certificates and signatures.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use super::judge::first_to_expire;
use super::signature::{self, Refused};
use crate::certificate::{Certificate, CertificateFailure, seconds};
use crate::plan::{Tls, Verification};

/// Decides for rustls whether a certificate is acceptable, by the rules of the plan.
///
/// rustls passes the SNI name. The verifier ignores it and verifies the plan's name, which may be
/// different.
#[derive(Debug)]
pub struct Verifier {
    verification: Option<Arc<Verification>>,
    min_days: Option<u32>,
    wants_end: bool,
    /// The chain that the server sent, if the verifier refused it. rustls doesn't keep a refused chain.
    sent: OnceLock<Vec<CertificateDer<'static>>>,
    /// The certificate that expires first in the chain, if `--min-cert-days` or `--warn-cert-days` needs it.
    first_to_expire: OnceLock<Certificate>,
}

impl Verifier {
    pub fn new(plan: &Tls) -> Verifier {
        Verifier {
            verification: plan.verification.clone(),
            min_days: plan.min_cert_days,
            wants_end: plan.min_cert_days.is_some() || plan.warn_cert_days.is_some(),
            sent: OnceLock::new(),
            first_to_expire: OnceLock::new(),
        }
    }

    /// Returns the chain that the server sent, if the verifier refused it.
    pub fn refused_chain(&self) -> Option<&[CertificateDer<'static>]> {
        self.sent.get().map(Vec::as_slice)
    }

    /// Returns the certificate that expires first in the chain, if an option needs it.
    pub fn first_to_expire(&self) -> Option<&Certificate> {
        self.first_to_expire.get()
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), CertificateFailure> {
        let first = match &self.verification {
            Some(rules) => {
                let path = rules.judge(leaf, intermediates, now)?;
                match self.wants_end {
                    true => first_to_expire(&path, rules, seconds(now)),
                    false => None,
                }
            }
            // Without verification there's no path, so look at every certificate that the server
            // sent.
            None if self.wants_end => std::iter::once(leaf)
                .chain(intermediates)
                .filter_map(Certificate::read)
                .min_by_key(|certificate| certificate.not_after),
            None => None,
        };
        match first {
            Some(first) => self.judge_end(first, seconds(now)),
            None => Ok(()),
        }
    }

    fn judge_end(&self, first: Certificate, now: i64) -> Result<(), CertificateFailure> {
        let days = first.days_left(Duration::from_secs(now.try_into().unwrap_or(0)));
        let subject = first.subject.clone();
        let _ = self.first_to_expire.set(first);
        match self.min_days {
            Some(limit) if days < u64::from(limit) => Err(CertificateFailure::ExpiresSoon {
                subject,
                days,
                limit,
            }),
            _ => Ok(()),
        }
    }

    fn judge_signature(
        &self,
        verified: Result<(), Refused>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let failure = match verified {
            Ok(()) => return Ok(HandshakeSignatureValid::assertion()),
            // With `--verify none`, we accept a signature that we can't verify. We still reject a wrong
            // signature, because HAProxy rejects it too.
            Err(Refused::Unsupported) if self.verification.is_none() => {
                return Ok(HandshakeSignatureValid::assertion());
            }
            Err(Refused::Unsupported) => CertificateFailure::Limit("its kind of key".to_owned()),
            Err(Refused::NotOffered) => CertificateFailure::Invalid(
                "the handshake is signed in a way that was not offered".to_owned(),
            ),
            Err(Refused::Wrong) => {
                CertificateFailure::Invalid("the handshake is not signed with its key".to_owned())
            }
        };
        Err(CertificateError::Other(OtherError(Arc::new(failure))).into())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _sni: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.judge(end_entity, intermediates, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(failure) => {
                let chain = std::iter::once(end_entity).chain(intermediates);
                let _ = self
                    .sent
                    .set(chain.map(|der| der.clone().into_owned()).collect());
                Err(CertificateError::Other(OtherError(Arc::new(failure))).into())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge_signature(signature::verify(false, message, certificate, signature))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge_signature(signature::verify(true, message, certificate, signature))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        signature::schemes(self.verification.is_some())
    }
}
