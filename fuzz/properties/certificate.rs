//! Reads certificates from a peer, and verifies a chain.
//!
//! An input is a chain, the leaf first. A length of two bytes precedes each certificate.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use rustls::pki_types::{CertificateDer, UnixTime};
use sni_check::certificate::Certificate;
use sni_check::options::{Parsed, parse};
use sni_check::plan::{Output, Plan, Verification};
use sni_check::probe::faults;

/// The fixed time of the verification, at which the good certificates are valid.
const NOW: u64 = 1_800_000_000;

/// The name that is verified.
const NAME: &str = "www.example.test";

/// Certificates that the trusted CA or its intermediate has issued for [`NAME`], and a trusted self-signed
/// certificate.
static GOOD: [&[u8]; 6] = [
    include_bytes!("../certificates/leaf.der"),
    include_bytes!("../certificates/below.der"),
    include_bytes!("../certificates/p384.der"),
    include_bytes!("../certificates/ed25519.der"),
    include_bytes!("../certificates/self.der"),
    REVOKED,
];

/// A certificate that is acceptable only without the revocation list, because the list revokes it.
const REVOKED: &[u8] = include_bytes!("../certificates/revoked.der");

/// Two verifications with the same trusted certificates. The second verification also uses a revocation list.
static VERIFICATIONS: LazyLock<[Arc<Verification>; 2]> = LazyLock::new(|| {
    let trust = file("trust.pem");
    let list = file("list.pem");
    [
        verification(&["--ca-file", &trust]),
        verification(&["--ca-file", &trust, "--crl-file", &list]),
    ]
});

pub fn hold(input: &[u8]) {
    let chain = chain(input);
    let Some(leaf) = chain.first() else { return };
    for der in &chain {
        if let Some(certificate) = Certificate::read(der) {
            assert!(!certificate.subject.is_empty() && !certificate.issuer.is_empty());
            assert_eq!(certificate.days_left(certificate.not_after), 0);
        }
    }
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    let [plain, with_list] = VERIFICATIONS.each_ref().map(|verification| {
        let faults = faults(verification, &chain, now);
        for fault in &faults {
            assert!((51..=56).contains(&fault.code().number()));
            let text = fault.to_string();
            assert!(
                !text.contains("Exceeded") || text.contains("Depth"),
                "the verification reached a limit: {text}"
            );
        }
        faults.is_empty()
    });
    assert!(
        plain || !with_list,
        "only the revocation list makes the chain acceptable"
    );
    if plain {
        let signed = signed_part(leaf).expect("an accepted leaf is a certificate");
        let known = GOOD.map(|der| signed_part(der).expect("a certificate"));
        assert!(
            known.contains(&signed),
            "the CA has not issued this certificate"
        );
        assert!(
            !with_list || Some(signed) != signed_part(REVOKED),
            "this certificate is revoked"
        );
        assert!(
            Certificate::read(leaf).is_some(),
            "the dates of the accepted leaf cannot be read"
        );
    }
}

fn chain(mut rest: &[u8]) -> Vec<CertificateDer<'static>> {
    let mut chain = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(after.len());
        let (der, after) = after.split_at(length);
        chain.push(CertificateDer::from(der.to_vec()));
        rest = after;
    }
    chain
}

/// Returns the tbsCertificate (RFC 5280, section 4.1.1), which is the signed part. The signature
/// itself can have several encodings.
fn signed_part(certificate: &[u8]) -> Option<&[u8]> {
    let (content, _) = element(certificate)?;
    let (_, length) = element(content)?;
    content.get(..length)
}

/// Returns the content of a DER element, and the element's length including tag and length.
fn element(der: &[u8]) -> Option<(&[u8], usize)> {
    let first = usize::from(*der.get(1)?);
    let (start, length) = match first {
        0..128 => (2, first),
        _ => {
            let bytes = der.get(2..2 + (first - 128).min(4))?;
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (2 + bytes.len(), length)
        }
    };
    Some((der.get(start..start + length)?, start + length))
}

fn verification(options: &[&str]) -> Arc<Verification> {
    let words = [options, &[NAME]].concat();
    let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
    let Ok(Parsed::Options(options)) = parse(&words) else {
        panic!("options");
    };
    let plan = Plan::new(&options, None, None, Output::default()).expect("a plan");
    plan.tls.verification.expect("a verification")
}

/// Returns the path of a file in `certificates`. Both the fuzz crate and the tests of the parent crate
/// contain this module, so the manifest may be in either folder.
fn file(name: &str) -> String {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let fuzz = if root.ends_with("fuzz") {
        root
    } else {
        root.join("fuzz")
    };
    fuzz.join("certificates").join(name).display().to_string()
}
