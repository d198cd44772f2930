//! Judging the certificate: rustls asks, the plan's rules and webpki answer.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use webpki::{
    CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage, RevocationOptionsBuilder,
    UnknownStatusPolicy,
};

use super::cause::{explain, since_epoch};
use crate::certificate::{Certificate, CertificateFailure, validity};
use crate::plan::{Tls, Verification};

/// rustls's question "is this certificate acceptable?", answered by the plan.
///
/// The name in the question is the SNI name; the one verified is the plan's and may be another.
#[derive(Debug)]
pub(super) struct Verifier {
    verification: Option<Arc<Verification>>,
    min_days: Option<u32>,
    wants_end: bool,
    algorithms: WebPkiSupportedAlgorithms,
    /// The chain as it was sent; kept because rustls does not keep one that was refused.
    sent: OnceLock<Vec<CertificateDer<'static>>>,
    /// The certificate of the chain that ends first, if somebody asked.
    first_to_end: OnceLock<Certificate>,
}

impl Verifier {
    pub fn new(plan: &Tls, algorithms: WebPkiSupportedAlgorithms) -> Verifier {
        Verifier {
            verification: plan.verification.clone(),
            min_days: plan.min_cert_days,
            wants_end: plan.min_cert_days.is_some() || plan.warn_cert_days.is_some(),
            algorithms,
            sent: OnceLock::new(),
            first_to_end: OnceLock::new(),
        }
    }

    /// The chain as it was sent, if it was refused.
    pub fn refused_chain(&self) -> Option<&[CertificateDer<'static>]> {
        self.sent.get().map(Vec::as_slice)
    }

    /// The certificate of the chain that ends first.
    pub fn first_to_end(&self) -> Option<&Certificate> {
        self.first_to_end.get()
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), CertificateFailure> {
        let path = match &self.verification {
            Some(verification) => verification.judge(self.algorithms, leaf, intermediates, now)?,
            // Without verification there is no path; what was sent is all there is.
            None => std::iter::once(leaf)
                .chain(intermediates)
                .cloned()
                .collect(),
        };
        if self.wants_end {
            self.judge_end(&path, since_epoch(now))?;
        }
        Ok(())
    }

    fn judge_end(
        &self,
        path: &[CertificateDer<'_>],
        now: Duration,
    ) -> Result<(), CertificateFailure> {
        let mut first: Option<Certificate> = None;
        for der in path {
            let certificate = read(der)?;
            if first
                .as_ref()
                .is_none_or(|first| certificate.not_after < first.not_after)
            {
                first = Some(certificate);
            }
        }
        let Some(first) = first else { return Ok(()) };
        let days = first.days_left(now);
        let subject = first.subject.clone();
        let _ = self.first_to_end.set(first);
        match self.min_days {
            Some(limit) if days < u64::from(limit) => Err(CertificateFailure::EndsSoon {
                subject,
                days,
                limit,
            }),
            _ => Ok(()),
        }
    }
}

impl Verification {
    /// Verifies chain, validity, revocation and name; returns the verified path, the leaf first.
    pub(super) fn judge<'a>(
        &self,
        algorithms: WebPkiSupportedAlgorithms,
        leaf: &'a CertificateDer<'a>,
        intermediates: &'a [CertificateDer<'a>],
        now: UnixTime,
    ) -> Result<Vec<CertificateDer<'a>>, CertificateFailure> {
        let explain = |error| explain(error, leaf, intermediates, now);
        let parsed = EndEntityCert::try_from(leaf).map_err(explain)?;
        let path = if self.trusts_itself(leaf) {
            judge_validity(leaf, since_epoch(now))?;
            vec![leaf.clone()]
        } else {
            judge_number(intermediates)?;
            self.verified_path(algorithms, leaf, &parsed, intermediates, now)
                .map_err(explain)??
        };
        parsed
            .verify_is_valid_for_subject_name(&self.name)
            .map_err(explain)?;
        Ok(path)
    }

    /// Whether the leaf itself is in `--ca-file`, as a self-signed one is for OpenSSL and so for
    /// HAProxy's `ca-file`. webpki wants a CA and a leaf to be two certificates.
    fn trusts_itself(&self, leaf: &CertificateDer<'_>) -> bool {
        self.crls.is_empty() && self.trust.contains(leaf)
    }

    fn verified_path<'a>(
        &self,
        algorithms: WebPkiSupportedAlgorithms,
        leaf: &CertificateDer<'a>,
        parsed: &EndEntityCert<'a>,
        intermediates: &'a [CertificateDer<'a>],
        now: UnixTime,
    ) -> Result<Result<Vec<CertificateDer<'a>>, CertificateFailure>, webpki::Error> {
        let crls: Vec<&CertRevocationList<'_>> = self.crls.iter().collect();
        // As strict as HAProxy's crl-file: the whole chain, no unknown status, no list that ended.
        let revocation = RevocationOptionsBuilder::new(&crls).ok().map(|options| {
            options
                .with_status_policy(UnknownStatusPolicy::Deny)
                .with_expiration_policy(ExpirationPolicy::Enforce)
                .build()
        });
        let verified = parsed.verify_for_usage(
            algorithms.all,
            self.trust.anchors(),
            intermediates,
            now,
            KeyUsage::server_auth(),
            revocation,
            None,
        )?;
        let mut path = vec![leaf.clone()];
        path.extend(
            verified
                .intermediate_certificates()
                .map(|issuer| issuer.der().into_owned()),
        );
        // An anchor is a name and a key; that the root itself has ended is ours to see.
        if let Some(root) = self.trust.certificate_of(verified.anchor()) {
            if let Err(failure) = judge_validity(root, since_epoch(now)) {
                return Ok(Err(failure));
            }
            path.push(root.clone().into_owned());
        }
        Ok(Ok(path))
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
        match self.verification {
            Some(_) => verify_tls12_signature(message, certificate, signature, &self.algorithms),
            // Any certificate is accepted, so also one whose key or form webpki does not take.
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        match self.verification {
            Some(_) => verify_tls13_signature(message, certificate, signature, &self.algorithms),
            None => Ok(HandshakeSignatureValid::assertion()),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn read(der: &CertificateDer<'_>) -> Result<Certificate, CertificateFailure> {
    Certificate::read(der).ok_or_else(unreadable)
}

fn unreadable() -> CertificateFailure {
    CertificateFailure::Invalid("its validity cannot be read".to_owned())
}

/// How many certificates of one subject a chain may have: an authority whose key was renewed has
/// two. webpki tries them in every order, which a dozen make half a second, whatever the deadline.
const SAME_SUBJECT: usize = 3;

fn judge_number(intermediates: &[CertificateDer<'_>]) -> Result<(), CertificateFailure> {
    if intermediates.len() <= SAME_SUBJECT {
        return Ok(());
    }
    let distinct: HashSet<&[u8]> = intermediates.iter().map(AsRef::as_ref).collect();
    let mut of_subject: HashMap<Option<String>, usize> = HashMap::new();
    for der in distinct {
        // What cannot be read here may still be one that webpki reads.
        let subject = Certificate::read(&der.into()).map(|certificate| certificate.subject);
        *of_subject.entry(subject).or_default() += 1;
    }
    match of_subject.into_values().max() {
        Some(most) if most > SAME_SUBJECT => Err(CertificateFailure::Invalid(format!(
            "{most} of the certificates sent with it have the same subject"
        ))),
        _ => Ok(()),
    }
}

fn judge_validity(der: &CertificateDer<'_>, now: Duration) -> Result<(), CertificateFailure> {
    let (not_before, not_after) = validity(der).ok_or_else(unreadable)?;
    if now > not_after {
        return Err(CertificateFailure::Expired {
            subject: read(der)?.subject,
            ago: now - not_after,
        });
    }
    if now < not_before {
        return Err(CertificateFailure::NotYetValid {
            subject: read(der)?.subject,
            ahead: not_before - now,
        });
    }
    Ok(())
}
