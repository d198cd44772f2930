//! OpenSSL's rules for each certificate on the path (`check_extensions` and `check_auth_level` in
//! its x509_vfy.c).

use super::path::Step;
use crate::certificate::element::{Elements, OID};
use crate::certificate::{CertificateFailure, Uses, name, rsa_bits, uses};

/// Returns the failure for the first rule that this certificate violates, or `None` if it violates no rule.
/// `place` is its place on the path, and place 0 is the server's certificate. `last` is the place of the
/// root.
pub(super) fn broken_by(step: &Step<'_>, place: usize, last: usize) -> Option<CertificateFailure> {
    let uses = &step.uses;
    let subject = || step.parts.subject_text();
    if uses.broken {
        return invalid(format!("an extension of {} cannot be read", subject()));
    }
    if let Some(kind) = uses.unknown_critical {
        let kind = name::dotted(kind);
        return invalid(format!(
            "{} has an unknown critical extension, {kind}",
            subject()
        ));
    }
    if uses.proxy {
        return invalid(format!("{} is a proxy certificate", subject()));
    }
    if uses.resources {
        let what = format!("{} is limited to certain addresses (RFC 3779)", subject());
        return Some(CertificateFailure::Limit(what));
    }
    if place > 0 && !may_issue(step, place == last) {
        return invalid(format!(
            "{} is not a CA, but has issued another certificate",
            subject()
        ));
    }
    if step.explicitly != Some(true)
        && let Some(what) = wrong_use(uses, place == 0)
    {
        return invalid(format!("{} {what}", subject()));
    }
    if let Some(what) = weak(step, place < last) {
        return invalid(format!("{} {what}", subject()));
    }
    let bits = rsa_bits(step.parts.key).filter(|bits| !RSA_OF_RING.contains(bits))?;
    let what = format!("{} has an RSA key of {bits} bits", subject());
    Some(CertificateFailure::Limit(what))
}

/// The sizes of RSA keys that ring accepts, in bits. The lower limit isn't 2048, because ring
/// rounds up to whole bytes.
pub(super) const RSA_OF_RING: std::ops::RangeInclusive<usize> = 2041..=8192;

fn invalid(what: String) -> Option<CertificateFailure> {
    Some(CertificateFailure::Invalid(what))
}

/// Returns true if a certificate may issue others (`check_ca`). A root doesn't need basicConstraints, because
/// it may be older than this extension.
fn may_issue(step: &Step<'_>, is_root: bool) -> bool {
    const NETSCAPE_CAS: u16 = 0x07;
    let uses = &step.uses;
    let is_old_root = || {
        let of_version_1 = step.parts.version == 0 && step.is_self_signed();
        let by_netscape = uses.netscape.is_some_and(|kinds| kinds & NETSCAPE_CAS != 0);
        is_root && (of_version_1 || uses.key_usage.is_some() || by_netscape)
    };
    let may_sign = |usage| usage & uses::KEY_CERT_SIGN != 0;
    uses.key_usage.is_none_or(may_sign) && uses.ca.unwrap_or_else(is_old_root)
}

/// Returns why a certificate can't be the certificate of a TLS server or of its issuer. Returns `None` if it
/// can be.
fn wrong_use(uses: &Uses<'_>, is_leaf: bool) -> Option<&'static str> {
    const NETSCAPE_SERVERS: u16 = 0x40;
    const FOR_TLS: u16 = uses::DIGITAL_SIGNATURE | uses::KEY_ENCIPHERMENT | uses::KEY_AGREEMENT;
    if uses.servers == Some(false) {
        return Some("is not meant for servers (extended key usage)");
    }
    match (uses.netscape, uses.key_usage) {
        _ if !is_leaf => None,
        (Some(kinds), _) if kinds & NETSCAPE_SERVERS == 0 => {
            Some("is not meant for servers (nsCertType)")
        }
        (_, Some(usage)) if usage & FOR_TLS == 0 => {
            Some("has a key that is not allowed for TLS (key usage)")
        }
        _ => None,
    }
}

/// Returns a failure if the path is longer than an issuer allows.
pub(super) fn exceeds_path_length(steps: &[Step<'_>]) -> Option<CertificateFailure> {
    let mut below = 0;
    for (place, step) in steps.iter().enumerate() {
        if place > 1 && step.uses.path_length.is_some_and(|allowed| below > allowed) {
            let subject = step.parts.subject_text();
            return invalid(format!(
                "more intermediates than {subject} allows (path length)"
            ));
        }
        if place > 0 && !step.parts.is_self_issued() {
            below += 1;
        }
    }
    None
}

/// Returns why a key or a signature is too weak for OpenSSL's security level 2, the default in Debian and
/// Alpine. Returns `None` if both are strong enough. The signature of the last certificate doesn't matter,
/// because that certificate is trusted.
fn weak(step: &Step<'_>, signature_matters: bool) -> Option<String> {
    if let Some(bits) = rsa_bits(step.parts.key)
        && bits < SMALLEST_RSA
    {
        return Some(format!("has an RSA key of {bits} bits, too few to be safe"));
    }
    let algorithm = Elements(step.parts.signed.algorithm).expect(OID)?;
    let hash = match algorithm {
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 2] => "MD2",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4] => "MD5",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5] => "SHA-1",
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1] => "SHA-1",
        _ => return None,
    };
    signature_matters.then(|| format!("is signed with {hash}, which is not safe"))
}

/// The smallest RSA key that OpenSSL counts as 112 bits of security. It isn't 2048, because OpenSSL
/// rounds its estimate.
const SMALLEST_RSA: usize = 1963;
