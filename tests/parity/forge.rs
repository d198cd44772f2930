//! Builds certificates from bytes, including certificates that no library would make.

mod der;
mod extension;
mod key;
mod list;
mod pem;

pub use self::der::*;
pub use self::extension::*;
pub use self::key::{Algorithm, Key, openssl};
pub use self::list::{List, entry};
pub use self::pem::{chain, pem};

/// A certificate before it is signed.
#[derive(Clone)]
pub struct Draft {
    /// The encoded version. 0 means version 1, which has no version field.
    pub version: u8,
    pub serial: Vec<u8>,
    pub subject: Vec<u8>,
    pub not_before: Vec<u8>,
    pub not_after: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
    /// An issuer name that replaces the issuer's own name.
    pub issuer: Option<Vec<u8>>,
    /// An algorithm that replaces the default of the issuer's key.
    pub algorithm: Option<Algorithm>,
}

impl Draft {
    /// Returns a version 3 certificate without extensions.
    pub fn new(subject: Vec<u8>) -> Draft {
        Draft {
            version: 2,
            serial: vec![1, 2, 3],
            subject,
            not_before: days(-100),
            not_after: days(100),
            extensions: Vec::new(),
            issuer: None,
            algorithm: None,
        }
    }

    /// Returns a CA certificate.
    pub fn ca(name: &str) -> Draft {
        Draft::new(cn(name))
            .with(basic(true, None))
            .with(key_usage(KEY_CERT_SIGN | CRL_SIGN))
    }

    /// Returns a server certificate for these DNS names.
    pub fn leaf(names: &[&str]) -> Draft {
        Draft::new(cn("a server")).with(dns(names))
    }

    /// Adds an extension, or replaces the extension of the same type.
    pub fn with(mut self, extension: Vec<u8>) -> Draft {
        // The length of the SEQUENCE takes a varying number of bytes, so this searches for the tag
        // of the OID.
        let kind = |extension: &[u8]| {
            let start = extension
                .iter()
                .position(|byte| *byte == 6)
                .expect("an OID");
            let end = start + 2 + usize::from(extension[start + 1]);
            extension[start..end].to_vec()
        };
        self.extensions.retain(|old| kind(old) != kind(&extension));
        self.extensions.push(extension);
        self
    }

    /// Sets the validity period.
    pub fn between(mut self, not_before: Vec<u8>, not_after: Vec<u8>) -> Draft {
        self.not_before = not_before;
        self.not_after = not_after;
        self
    }

    /// Returns the certificate for this key as DER, signed by this issuer.
    fn sign(&self, key: &Key, issuer_name: &[u8], issuer_key: &Key) -> Vec<u8> {
        let algorithm = self.algorithm.unwrap_or(issuer_key.algorithm);
        let identifier = algorithm.identifier();
        let version = match self.version {
            0 => Vec::new(),
            version => tlv(0xa0, &[&tlv(2, &[&[version]])]),
        };
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa3, &[&tlv(SEQUENCE, &[&self.extensions.concat()])]),
        };
        let body = tlv(
            SEQUENCE,
            &[
                &version,
                &tlv(2, &[&self.serial]),
                &identifier,
                self.issuer.as_deref().unwrap_or(issuer_name),
                &tlv(SEQUENCE, &[&self.not_before, &self.not_after]),
                &self.subject,
                &key.spki,
                &extensions,
            ],
        );
        let signature = issuer_key.sign(algorithm, &body);
        tlv(
            SEQUENCE,
            &[&body, &identifier, &tlv(3, &[&[0], &signature])],
        )
    }

    /// Signs the certificate with its own key.
    pub fn self_signed(self, key: Key) -> Authority {
        let der = self.sign(&key, &self.subject, &key);
        Authority {
            name: self.subject,
            key,
            der,
        }
    }
}

/// A certificate and its key, of an authority or of a server.
pub struct Authority {
    pub name: Vec<u8>,
    pub key: Key,
    pub der: Vec<u8>,
}

impl Authority {
    /// Returns a typical root.
    pub fn root(name: &str) -> Authority {
        Draft::ca(name).self_signed(Key::new())
    }

    /// Issues a certificate with a new key.
    pub fn issue(&self, draft: Draft) -> Authority {
        self.issue_to(draft, Key::new())
    }

    /// Issues a certificate for this key.
    pub fn issue_to(&self, draft: Draft, key: Key) -> Authority {
        let der = draft.sign(&key, &self.name, &self.key);
        Authority {
            name: draft.subject,
            key,
            der,
        }
    }

    /// Returns the bytes of a certificate for an existing key, signed by this authority.
    pub fn certify(&self, draft: &Draft, key: &Key) -> Vec<u8> {
        draft.sign(key, &self.name, &self.key)
    }

    /// Returns the bytes of a certificate for this authority's own key, signed with that key.
    pub fn renewed(&self, draft: &Draft) -> Vec<u8> {
        draft.sign(&self.key, &self.name, &self.key)
    }
}
