//! Certificates, made in the test.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use time::{Duration, OffsetDateTime};

/// A certificate authority.
pub struct Ca {
    pub pem: String,
    pub certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Leaf {
    pub crt_pem: String,
    pub key_pem: String,
    pub certificate: rcgen::Certificate,
}

impl Leaf {
    /// Certificate and key in one PEM, as HAProxy's `crt` takes it.
    pub fn both_pem(&self) -> String {
        format!("{}{}", self.crt_pem, self.key_pem)
    }
}

impl Ca {
    pub fn new() -> Ca {
        Ca::named("Test CA")
    }

    pub fn named(name: &str) -> Ca {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a CA");
        Ca {
            pem: certificate.pem(),
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for these names that ends in so many days and an hour.
    pub fn leaf(&self, names: &[&str], days: i64) -> Leaf {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("parameters");
        params.not_after = OffsetDateTime::now_utc() + Duration::days(days) + Duration::hours(1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a leaf");
        Leaf {
            crt_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate,
        }
    }
}
