//! Faults of keys, signatures and client certificates, with a real `openssl s_server`.

use std::process::Stdio;

use crate::support::pki::Ca;
use crate::support::program;
use crate::support::stage::Stage;
use crate::{Fault, NAME};

pub fn faults(stage: &Stage) -> Vec<Fault> {
    let mut faults = keys(stage);
    faults.push(ten_thousand_names(stage));
    faults.extend(client_certificates(stage));
    faults
}

fn run(words: &[&str]) {
    let output = program("openssl")
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("openssl runs");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
}

/// Starts a server with a key and a certificate that OpenSSL makes. rcgen can't make all of them.
fn server(stage: &Stage, name: &str, names: &str, key: &[&str], sign: &[&str]) -> u16 {
    stage.folder.file("ca.key", &stage.ca.key_pem);
    let extensions = format!("subjectAltName={names}\n");
    let extensions = stage.folder.file(&format!("{name}.ext"), &extensions);
    let file = |kind: &str| stage.folder.join(&format!("{name}.{kind}"));
    let (key_file, csr, crt) = (file("key"), file("csr"), file("crt"));
    let request = ["req", "-new", "-nodes", "-subj", "/CN=x"];
    run(&[&request[..], &["-keyout", &key_file, "-out", &csr], key].concat());
    let (ca, ca_key) = (stage.folder.join("ca.pem"), stage.folder.join("ca.key"));
    let signing = ["x509", "-req", "-days", "9", "-CAcreateserial"];
    let files = ["-in", &csr, "-out", &crt, "-extfile", &extensions];
    let issuer = ["-CA", &ca, "-CAkey", &ca_key];
    run(&[&signing[..], &files, &issuer, sign].concat());
    stage.openssl(name, &["-cipher", "ALL:@SECLEVEL=0"])
}

/// Some arguments of a command.
type Words<'a> = &'a [&'a str];

fn keys(stage: &Stage) -> Vec<Fault> {
    let names = format!("DNS:{NAME}");
    let rsa = |bits| ["-newkey", bits];
    let ec = |curve| ["-newkey", "ec", "-pkeyopt", curve];
    // The key has five primes, because OpenSSL takes a long time to find two large primes. The
    // public key doesn't show the number of primes.
    let large = ["-newkey", "rsa:8192", "-pkeyopt", "rsa_keygen_primes:5"];
    let rows: [(&str, Words<'_>, Words<'_>, i32, &str); 11] = [
        (
            "RSA 1024",
            &rsa("rsa:1024"),
            &[],
            56,
            "has an RSA key of 1024 bits, too few to be safe",
        ),
        (
            "RSA 2000",
            &rsa("rsa:2000"),
            &[],
            56,
            "has an RSA key of 2000 bits (limit of sni-check",
        ),
        ("RSA 2048", &rsa("rsa:2048"), &[], 0, ""),
        ("RSA 8192", &large, &[], 0, ""),
        ("P-256", &ec("ec_paramgen_curve:P-256"), &[], 0, ""),
        ("P-384", &ec("ec_paramgen_curve:P-384"), &[], 0, ""),
        ("P-521", &ec("ec_paramgen_curve:P-521"), &[], 0, ""),
        (
            "secp256k1",
            &ec("ec_paramgen_curve:secp256k1"),
            &[],
            66,
            "in common",
        ),
        ("Ed25519", &["-newkey", "ed25519"], &[], 0, ""),
        ("RSA-PSS", &rsa("rsa-pss"), &[], 0, ""),
        (
            "a SHA-1 signature",
            &rsa("rsa:2048"),
            &["-sha1"],
            56,
            "signed with SHA-1",
        ),
    ];
    rows.into_iter()
        .map(|(what, key, sign, code, phrase)| {
            let name = what.replace(' ', "-");
            let port = server(stage, &name, &names, key, sign);
            Fault::new(what, port, code, phrase).with(&stage.trust)
        })
        .collect()
}

/// Describes a peer that sends more certificate data than rustls accepts (64 KiB). The check
/// refuses the data immediately.
fn ten_thousand_names(stage: &Stage) -> Fault {
    let names: Vec<String> = (0..10_000)
        .map(|i| format!("DNS:host{i}.example.test"))
        .collect();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let port = server(stage, "names", &names.join(","), &key, &[]);
    Fault::new(
        "10 000 names",
        port,
        63,
        "limit of sni-check: more than 64 kB",
    )
    .with(&stage.trust)
}

fn client_certificates(stage: &Stage) -> Vec<Fault> {
    let ca = stage.folder.join("ca.pem");
    let wants = ["-Verify", "1", "-verify_return_error", "-CAfile", &ca];
    let right = stage.ca.leaf(&["client.example.test"], 9).both_pem();
    let wrong = Ca::named("Other CA")
        .leaf(&["client.example.test"], 9)
        .both_pem();
    let expired = stage.ca.leaf(&["client.example.test"], -2).both_pem();
    let crt = |name: &str, pem: &str| format!("--crt {}", stage.folder.file(name, pem));
    let rows = [
        (
            "none",
            String::new(),
            58,
            "requires a client certificate (--crt)",
        ),
        (
            "wrong",
            crt("wrong", &wrong),
            58,
            "refused our client certificate",
        ),
        (
            "expired",
            crt("expired", &expired),
            58,
            "refused our client certificate",
        ),
        ("right", crt("right", &right), 0, ""),
    ];
    let mut faults = Vec::new();
    for version in ["-tls1_2", "-tls1_3"] {
        let port = stage.openssl("leaf", &[&wants[..], &[version]].concat());
        for (what, options, code, phrase) in &rows {
            let what = format!("client certificate {version}: {what}");
            let fault = Fault::new(what, port, *code, phrase).with(&stage.trust);
            faults.push(fault.with(options));
        }
    }
    faults
}
