//! The keys of the key exchange, each made once.

use std::cell::RefCell;

use rustls::crypto::ring::kx_group::X25519;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup};

thread_local! {
    /// A key that was offered, but that nothing was agreed on with.
    static SPARE: RefCell<Option<Box<dyn ActiveKeyExchange>>> = const { RefCell::new(None) };
}

/// X25519, whose key outlives an offer in vain. A client offers a key for TLS 1.3 before it knows the
/// server; with a server of TLS 1.2 rustls throws that away and makes another, which is a tenth of
/// the whole check. Each key still serves one agreement at most.
#[derive(Debug)]
pub(super) struct ThriftyX25519;

impl SupportedKxGroup for ThriftyX25519 {
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
}

/// A key on offer; there is one until it is agreed on.
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

#[cfg(test)]
mod tests {
    use super::{SupportedKxGroup, ThriftyX25519, X25519};

    #[test]
    fn a_key_serves_again_if_nothing_was_agreed_on_and_only_then() {
        let start = || ThriftyX25519.start().expect("a key");
        let (first, second) = (start(), start());
        assert_ne!(first.pub_key(), second.pub_key());
        let offered = first.pub_key().to_vec();
        drop(first);

        let again = start();
        assert_eq!(again.pub_key(), offered);
        let peer = X25519.start().expect("a key");
        again.complete(peer.pub_key()).expect("an agreement");
        assert_ne!(start().pub_key(), offered);
    }
}
