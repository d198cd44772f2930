//! Certificates that the tests make.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::{Duration, OffsetDateTime};

/// A certificate authority.
pub struct Ca {
    pub pem: String,
    pub key_pem: String,
    pub certificate: rcgen::Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub struct Leaf {
    pub crt_pem: String,
    pub key_pem: String,
    pub certificate: rcgen::Certificate,
    serial: SerialNumber,
}

impl Leaf {
    /// Returns the certificate and the key in one PEM, as HAProxy's `crt` accepts them.
    pub fn both_pem(&self) -> String {
        format!("{}{}", self.crt_pem, self.key_pem)
    }
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new([]).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Ca {
    pub fn new() -> Ca {
        Ca::named("Test CA")
    }

    pub fn named(name: &str) -> Ca {
        Ca::with(name, |_| {})
    }

    /// Creates a CA. `change` adjusts its parameters.
    pub fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Ca {
        let mut params = ca_params(name);
        change(&mut params);
        Ca::make(params, KeyPair::generate().expect("a key"))
    }

    /// Creates a CA with this key.
    pub fn with_key(name: &str, key: KeyPair) -> Ca {
        Ca::make(ca_params(name), key)
    }

    fn make(params: CertificateParams, key: KeyPair) -> Ca {
        let certificate = params.self_signed(&key).expect("a CA");
        Ca {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// Makes another certificate for this CA's key, with this name. `change` adjusts its parameters.
    /// Returns the certificate as PEM.
    pub fn again(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> String {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::from_pem(&self.key_pem).expect("a key");
        params.self_signed(&key).expect("a CA").pem()
    }

    /// Creates a CA whose certificate this CA signs.
    pub fn intermediate(&self, name: &str) -> Ca {
        self.intermediate_with(name, |_| {})
    }

    /// Creates a CA whose certificate this CA signs. `change` adjusts its parameters.
    pub fn intermediate_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Ca {
        let mut params = ca_params(name);
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a CA");
        Ca {
            pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate,
            issuer: Issuer::new(params, key),
        }
    }

    /// Returns a PEM revocation list that revokes these certificates. The list is valid for `days` days.
    pub fn crl(&self, revoked: &[&Leaf], days: i64) -> String {
        let serials = revoked.iter().map(|leaf| leaf.serial.clone());
        self.crl_of_serials(serials, days)
    }

    /// Returns a valid PEM revocation list that revokes `others` other certificates, and then the
    /// certificates in `revoked`.
    pub fn large_crl(&self, others: u64, revoked: &[&Leaf]) -> String {
        // Many public CAs use serial numbers of 16 bytes, so these entries do too. A leaf's serial number
        // here has 8 bytes.
        let others = (0..others).map(|number| {
            let random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
            SerialNumber::from_slice(&[&[1; 8], &random[..]].concat())
        });
        let serials = revoked.iter().map(|leaf| leaf.serial.clone());
        self.crl_of_serials(others.chain(serials), 30)
    }

    fn crl_of_serials(&self, serials: impl Iterator<Item = SerialNumber>, days: i64) -> String {
        let now = OffsetDateTime::now_utc();
        let revoked_certs = serials
            .map(|serial_number| RevokedCertParams {
                serial_number,
                revocation_time: now - Duration::days(3),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let params = CertificateRevocationListParams {
            this_update: now - Duration::days(3),
            next_update: now + Duration::days(days),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).expect("a list");
        list.pem().expect("PEM")
    }

    /// Makes a certificate for these names that is valid for `days` days and an hour.
    pub fn leaf(&self, names: &[&str], days: i64) -> Leaf {
        self.leaf_with(names, |params| {
            params.not_after =
                OffsetDateTime::now_utc() + Duration::days(days) + Duration::hours(1);
        })
    }

    /// Makes a certificate for these names with this key.
    pub fn leaf_with_key(&self, names: &[&str], key: KeyPair) -> Leaf {
        let (params, _) = leaf_params(names, |_| {});
        let certificate = params.signed_by(&key, &self.issuer).expect("a leaf");
        Leaf::new(params, &key, certificate)
    }

    /// Makes a certificate for these names. `change` adjusts its parameters.
    pub fn leaf_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let (params, key) = leaf_params(names, change);
        let certificate = params.signed_by(&key, &self.issuer).expect("a leaf");
        Leaf::new(params, &key, certificate)
    }
}

impl Leaf {
    /// Makes a self-signed certificate for these names. `change` adjusts its parameters.
    pub fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let (params, key) = leaf_params(names, change);
        let certificate = params.self_signed(&key).expect("a leaf");
        Leaf::new(params, &key, certificate)
    }

    fn new(params: CertificateParams, key: &KeyPair, certificate: rcgen::Certificate) -> Leaf {
        let serial = params.serial_number.expect("a serial number");
        Leaf {
            crt_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
            certificate,
            serial,
        }
    }
}

fn leaf_params(
    names: &[&str],
    change: impl FnOnce(&mut CertificateParams),
) -> (CertificateParams, KeyPair) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("parameters");
    let key = KeyPair::generate().expect("a key");
    let first_bytes = key.public_key_raw()[1..9].to_vec();
    params.serial_number = Some(SerialNumber::from_slice(&first_bytes));
    change(&mut params);
    (params, key)
}
