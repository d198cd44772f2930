//! Our own key exchanges: X25519 that reuses an unused key, and secp521r1.

use std::cell::RefCell;

use p521::elliptic_curve::ecdh::diffie_hellman;
use p521::elliptic_curve::sec1::ToSec1Point as _;
use p521::{PublicKey, SecretKey};
use rustls::crypto::ring::default_provider;
use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved};

thread_local! {
    /// A key that was offered to a server, but not used.
    static SPARE: RefCell<Option<Box<dyn ActiveKeyExchange>>> = const { RefCell::new(None) };
}

/// X25519 that keeps an unused key. A client offers a key for TLS 1.3 before it knows the server's
/// version. If the server chooses TLS 1.2, rustls discards this key and creates another one, which
/// costs a tenth of the whole check. Each key is still used for at most one agreement.
#[derive(Debug)]
pub(super) struct X25519ReusingOffer;

impl SupportedKxGroup for X25519ReusingOffer {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let key = match SPARE.take() {
            Some(spare) => spare,
            None => X25519.start()?,
        };
        Ok(Box::new(Offered(Some(key))))
    }

    fn name(&self) -> NamedGroup {
        X25519.name()
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }
}

/// An offered key, or `None` after it was used.
struct Offered(Option<Box<dyn ActiveKeyExchange>>);

impl ActiveKeyExchange for Offered {
    fn complete(mut self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        match self.0.take() {
            Some(key) => key.complete(peer),
            None => Err(Error::General("no key to agree on".to_owned())),
        }
    }

    fn pub_key(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |key| key.pub_key())
    }

    fn group(&self) -> NamedGroup {
        X25519.name()
    }
}

impl Drop for Offered {
    fn drop(&mut self) {
        if let Some(key) = self.0.take() {
            let _ = SPARE.try_with(|spare| spare.replace(Some(key)));
        }
    }
}

/// secp521r1 (RFC 8446, section 4.2.8.2), which ring doesn't support.
#[derive(Debug)]
pub(super) struct Secp521r1;

/// A key for one agreement, and its public part as an uncompressed point.
struct Secp521r1Key {
    secret: SecretKey,
    public: Box<[u8]>,
}

impl SupportedKxGroup for Secp521r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let random = default_provider().secure_random;
        // Almost every number of 521 bits is a valid secret key, so this loop hardly ever repeats.
        let secret = loop {
            let mut bytes = [0; 66];
            random.fill(&mut bytes)?;
            bytes[0] &= 1;
            if let Ok(secret) = SecretKey::from_slice(&bytes) {
                break secret;
            }
        };
        let public = secret.public_key().to_sec1_point(false).as_bytes().into();
        Ok(Box::new(Secp521r1Key { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }
}

impl ActiveKeyExchange for Secp521r1Key {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = PublicKey::from_sec1_bytes(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let shared = diffie_hellman(self.secret.to_nonzero_scalar(), peer.as_affine());
        Ok(SharedSecret::from(shared.raw_secret_bytes().as_slice()))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp521r1
    }
}

#[cfg(test)]
mod tests {
    use super::{SupportedKxGroup, X25519, X25519ReusingOffer};

    #[test]
    fn only_an_unused_key_is_offered_again() {
        let start = || X25519ReusingOffer.start().expect("a key");
        let (first, second) = (start(), start());
        assert_ne!(first.pub_key(), second.pub_key());
        let offered = first.pub_key().to_vec();
        drop(first);

        let again = start();
        assert_eq!(again.pub_key(), offered);
        let peer = X25519.start().expect("a key");
        again
            .complete(peer.pub_key())
            .expect("the key exchange succeeds");
        assert_ne!(start().pub_key(), offered);
    }
}
