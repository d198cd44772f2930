//! Cases with different keys and signatures, at each position in the chain.

use super::{NAME, Table};
use crate::forge::{Algorithm, Authority, Draft, Key};

pub fn cases(table: &mut Table) {
    let kinds: Vec<(&str, Key)> = vec![
        ("RSA 1024", Key::rsa(1024)),
        ("RSA 2040", Key::rsa(2040)),
        ("RSA 2048", Key::rsa(2048)),
        ("RSA 2049", Key::rsa(2049)),
        ("RSA 3072", Key::rsa(3072)),
        ("P-384", Key::curve("P-384", "sha384")),
        ("P-521", Key::curve("P-521", "sha512")),
        ("P-224", Key::curve("P-224", "sha256")),
        ("secp256k1", Key::curve("secp256k1", "sha256")),
        ("Ed25519", Key::made(&["ED25519"], Algorithm::Ed25519)),
        ("Ed448", Key::made(&["ED448"], Algorithm::Ed448)),
        ("RSA-PSS", Key::made(&["RSA-PSS"], Algorithm::Pss("sha256"))),
        ("a broken signature", Key::new()),
    ];
    for (what, key) in kinds {
        places(table, what, key, None);
    }
    for (what, algorithm) in [
        ("SHA-1", Algorithm::Rsa("sha1")),
        ("MD5", Algorithm::Rsa("md5")),
        ("SHA-224", Algorithm::Rsa("sha224")),
        ("SHA-384", Algorithm::Rsa("sha384")),
        ("SHA-512", Algorithm::Rsa("sha512")),
        ("PSS with SHA-256", Algorithm::Pss("sha256")),
        ("PSS with SHA-384", Algorithm::Pss("sha384")),
        ("PSS with SHA-512", Algorithm::Pss("sha512")),
    ] {
        places(
            table,
            &format!("RSA signing with {what}"),
            Key::rsa(2048),
            Some(algorithm),
        );
    }
    for hash in ["sha1", "sha224", "sha384", "sha512"] {
        let algorithm = Some(Algorithm::Ecdsa(hash));
        places(
            table,
            &format!("P-256 signing with {hash}"),
            Key::new(),
            algorithm,
        );
        let key = Key::curve("P-384", "sha384");
        places(table, &format!("P-384 signing with {hash}"), key, algorithm);
    }
}

/// Adds cases in which a root, an intermediate, a leaf or a self-signed certificate has this key.
/// If there is an `algorithm`, the key signs with it. There is then no case with a leaf, because a
/// leaf signs nothing.
fn places(table: &mut Table, what: &str, key: Key, algorithm: Option<Algorithm>) {
    let draft = |draft: Draft| Draft { algorithm, ..draft };
    let root = draft(Draft::ca("Root")).self_signed(key.copy());
    let mut leaf = root.issue(draft(Draft::leaf(&[NAME])));
    if what.starts_with("a broken") {
        *leaf.der.last_mut().expect("bytes") ^= 1;
    }
    table.judge(format!("root: {what}"), &leaf, &[], &[&root.der]);
    let usual = Authority::root("Root");
    let mut middle = usual.issue_to(Draft::ca("Middle"), key.copy());
    let leaf = middle.issue(draft(Draft::leaf(&[NAME])));
    if what.starts_with("a broken") {
        *middle.der.last_mut().expect("bytes") ^= 1;
    }
    table.judge(
        format!("intermediate: {what}"),
        &leaf,
        &[&middle.der],
        &[&usual.der],
    );
    if algorithm.is_none() {
        let leaf = usual.issue_to(Draft::leaf(&[NAME]), key.copy());
        table.judge(format!("leaf: {what}"), &leaf, &[], &[&usual.der]);
    }
    let alone = draft(Draft::leaf(&[NAME])).self_signed(key.copy());
    table.judge(format!("self-signed: {what}"), &alone, &[], &[&alone.der]);
}
