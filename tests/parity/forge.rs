//! Certificates as bytes: also those that no library would make.

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

/// A certificate to be.
#[derive(Clone)]
pub struct Draft {
    /// 0 is version 1, which has no field for it.
    pub version: u8,
    pub serial: Vec<u8>,
    pub subject: Vec<u8>,
    pub not_before: Vec<u8>,
    pub not_after: Vec<u8>,
    pub extensions: Vec<Vec<u8>>,
    /// Another name for the issuer than its own.
    pub issuer: Option<Vec<u8>>,
    /// Another algorithm than the issuer's key has by itself.
    pub algorithm: Option<Algorithm>,
}

impl Draft {
    /// A version 3 certificate without extensions.
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

    /// A CA's.
    pub fn ca(name: &str) -> Draft {
        Draft::new(cn(name))
            .with(basic(true, None))
            .with(key_usage(KEY_CERT_SIGN | CRL_SIGN))
    }

    /// A server's, for these DNS names.
    pub fn leaf(names: &[&str]) -> Draft {
        Draft::new(cn("a server")).with(dns(names))
    }

    /// With this extension in place of one of its kind, if there is one.
    pub fn with(mut self, extension: Vec<u8>) -> Draft {
        // SEQUENCE, one byte of length or two more, and the OID's own length.
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

    /// Valid between these.
    pub fn between(mut self, not_before: Vec<u8>, not_after: Vec<u8>) -> Draft {
        self.not_before = not_before;
        self.not_after = not_after;
        self
    }

    /// The certificate for this key, DER, issued by this name and key.
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

    /// Issued by itself.
    pub fn self_signed(self, key: Key) -> Authority {
        let der = self.sign(&key, &self.subject, &key);
        Authority {
            name: self.subject,
            key,
            der,
        }
    }
}

/// A certificate with its key: an authority, or a server.
pub struct Authority {
    pub name: Vec<u8>,
    pub key: Key,
    pub der: Vec<u8>,
}

impl Authority {
    /// A root as they usually are.
    pub fn root(name: &str) -> Authority {
        Draft::ca(name).self_signed(Key::new())
    }

    /// Issues a certificate to a key of its own.
    pub fn issue(&self, draft: Draft) -> Authority {
        self.issue_to(draft, Key::new())
    }

    /// Issues a certificate to this key.
    pub fn issue_to(&self, draft: Draft, key: Key) -> Authority {
        let der = draft.sign(&key, &self.name, &self.key);
        Authority {
            name: draft.subject,
            key,
            der,
        }
    }

    /// Another certificate for a key that has one: only its bytes.
    pub fn certify(&self, draft: &Draft, key: &Key) -> Vec<u8> {
        draft.sign(key, &self.name, &self.key)
    }

    /// Its own certificate made again, as when it is renewed: only its bytes.
    pub fn renewed(&self, draft: &Draft) -> Vec<u8> {
        draft.sign(&self.key, &self.name, &self.key)
    }
}
