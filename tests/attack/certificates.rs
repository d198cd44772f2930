//! Hostile certificates and chains.

use std::process::Stdio;
use std::sync::Arc;

use rcgen::{KeyPair, SigningKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, SupportedProtocolVersion, version};

use crate::support::NAME;
use crate::support::dice::Dice;
use crate::support::folder::Folder;
use crate::support::pki::{Ca, Leaf};
use crate::support::program;

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// Returns the settings of a server that sends this chain and has the leaf's key. The chain may
/// contain anything.
pub fn server(
    dice: &mut Dice,
    chain: Vec<CertificateDer<'static>>,
    leaf: &Leaf,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
    let key = provider.key_provider.load_private_key(key).expect("a key");
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[dice.pick(&VERSIONS)])
        .expect("versions")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    Arc::new(config)
}

/// The certificates of an attack. The test makes them once, because that takes time.
pub struct Certificates {
    pub ca: Ca,
    /// A valid certificate.
    pub leaf: Leaf,
    /// A CA that the checks don't trust.
    stranger: Ca,
    of_stranger: Leaf,
    /// 58 copies of each of three issuers with the same name.
    copies: Vec<CertificateDer<'static>>,
    below_copies: Leaf,
    /// A chain of 90 intermediates.
    long: Vec<CertificateDer<'static>>,
    below_long: Leaf,
    many_names: Leaf,
}

fn der(certificate: &rcgen::Certificate) -> CertificateDer<'static> {
    certificate.der().clone()
}

impl Certificates {
    pub fn new() -> Certificates {
        let (ca, stranger) = (Ca::new(), Ca::named("Stranger"));
        let mut copies = Vec::new();
        let mut issuer = stranger.intermediate("Issuer");
        for _ in 0..3 {
            issuer = issuer.intermediate("Issuer");
            copies.extend(std::iter::repeat_n(der(&issuer.certificate), 58));
        }
        let below_copies = issuer.leaf(&[NAME], 30);
        let mut long = Vec::new();
        let mut last = ca.intermediate("0");
        for number in 1..90 {
            long.insert(0, der(&last.certificate));
            last = last.intermediate(&number.to_string());
        }
        long.insert(0, der(&last.certificate));
        let below_long = last.leaf(&[NAME], 30);
        let names: Vec<String> = (0..2500).map(|n| format!("h{n}.example.test")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Certificates {
            leaf: ca.leaf(&[NAME], 30),
            of_stranger: stranger.leaf(&[NAME], 30),
            many_names: ca.leaf(&names, 30),
            ca,
            stranger,
            copies,
            below_copies,
            long,
            below_long,
        }
    }

    /// Returns the settings of a healthy server.
    pub fn healthy(&self, dice: &mut Dice) -> Arc<ServerConfig> {
        server(dice, vec![der(&self.leaf.certificate)], &self.leaf)
    }

    /// Returns the settings of a server with a hostile chain, and a description of the chain. If exit
    /// code 0 could be right, also returns the first certificate.
    pub fn hostile(&self, dice: &mut Dice) -> (Arc<ServerConfig>, String, Option<Vec<u8>>) {
        let good = der(&self.leaf.certificate);
        let noise = |dice: &mut Dice, size| CertificateDer::from(dice.bytes(size));
        let (what, chain, leaf, possible) = match dice.below(12) {
            0 => {
                let count = dice.below(self.copies.len());
                let chain = [
                    &[der(&self.below_copies.certificate)],
                    &self.copies[..count],
                ];
                ("copies", chain.concat(), &self.below_copies, false)
            }
            1 => {
                let mut chain = vec![der(&self.below_long.certificate)];
                chain.extend_from_slice(&self.long);
                ("a long chain", chain, &self.below_long, true)
            }
            2 => (
                "many names",
                vec![der(&self.many_names.certificate)],
                &self.many_names,
                false,
            ),
            3 => {
                let chain = [
                    der(&self.of_stranger.certificate),
                    der(&self.stranger.certificate),
                ];
                ("a stranger", chain.to_vec(), &self.of_stranger, false)
            }
            4 => ("noise", vec![noise(dice, 20_000)], &self.leaf, false),
            5 => {
                let count = dice.below(60);
                let mut chain = vec![good];
                chain.extend((0..count).map(|_| noise(dice, 300)));
                ("noise after the leaf", chain, &self.leaf, true)
            }
            6 => (
                "huge",
                vec![CertificateDer::from(vec![0x30; 15_000_000])],
                &self.leaf,
                false,
            ),
            7 => {
                let nested = [0x30, 0x84, 0, 0xff, 0xff, 0xff].repeat(2_000);
                (
                    "nested",
                    vec![CertificateDer::from(nested)],
                    &self.leaf,
                    false,
                )
            }
            8 => ("no certificate", Vec::new(), &self.leaf, false),
            9 => {
                let mut bytes = good.to_vec();
                dice.damage(&mut bytes);
                let same = bytes == good.as_ref();
                ("damaged", vec![bytes.into()], &self.leaf, same)
            }
            10 => {
                let mut chain = vec![good; 2 + dice.below(100)];
                chain.push(der(&self.ca.certificate));
                ("the leaf many times", chain, &self.leaf, true)
            }
            _ => (
                "signed damage",
                vec![self.signed_damage(dice).into()],
                &self.leaf,
                true,
            ),
        };
        let first = chain.first().map(|leaf| leaf.to_vec());
        let config = server(dice, chain, leaf);
        (config, what.to_owned(), first.filter(|_| possible))
    }

    /// Returns a damaged leaf with a valid signature: the CA signs the leaf after the damage.
    fn signed_damage(&self, dice: &mut Dice) -> Vec<u8> {
        let der = self.leaf.certificate.der().to_vec();
        let body = &der[header(&der).0..];
        let (start, length) = header(body);
        let mut signed = body[..start + length].to_vec();
        let rest = &body[start + length..];
        let (start, length) = header(rest);
        let algorithm = &rest[..start + length];
        for _ in 0..=dice.below(3) {
            let at = 4 + dice.below(signed.len() - 4);
            signed[at] = match dice.percent(50) {
                true => signed[at] ^ 1 << dice.below(8),
                false => dice.roll() as u8,
            };
        }
        let key = KeyPair::from_pem(&self.ca.key_pem).expect("a key");
        let signature = key.sign(&signed).expect("a signature");
        let bits = element(3, &[&[0], signature.as_slice()].concat());
        element(0x30, &[&signed, algorithm, &bits].concat())
    }
}

/// Returns true if OpenSSL accepts this leaf for [`NAME`] with the CA in this file.
pub fn openssl_accepts(leaf: &[u8], ca_file: &str) -> bool {
    let folder = Folder::new();
    std::fs::write(folder.join("leaf"), leaf).expect("a file");
    let mut command = program("openssl");
    command.args(["verify", "-purpose", "sslserver", "-verify_hostname", NAME]);
    command.args([
        "-CAfile",
        ca_file,
        "-untrusted",
        ca_file,
        &folder.join("leaf"),
    ]);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("openssl runs").success()
}

/// Returns the lengths of a DER element's header and content.
fn header(der: &[u8]) -> (usize, usize) {
    match der[1] {
        long @ 0x81..=0x84 => {
            let digits = usize::from(long & 0x7f);
            let length = der[2..2 + digits].iter();
            (
                2 + digits,
                length.fold(0, |sum, byte| sum << 8 | usize::from(*byte)),
            )
        }
        short => (2, usize::from(short)),
    }
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut element = match length {
        0..0x80 => vec![tag, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    element.extend_from_slice(content);
    element
}
