//! Faults of the certificate, and what must not be taken for one.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Stdio;

use crate::support::folder::Folder;
use crate::support::pki::{Ca, Leaf};
use crate::support::{Running, free_port, peer, program, wait_for};
use crate::{Fault, NAME, run};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, NameConstraints, SanType,
};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn fault(what: &str, port: u16, trust: &str, code: i32, phrase: &'static str) -> Fault {
    Fault {
        what: what.to_owned(),
        port,
        options: format!("--ca-file {trust}"),
        code,
        phrase,
    }
}

#[test]
fn names() {
    let folder = Folder::new();
    let ca = Ca::new();
    let trust = folder.file("ca.pem", &ca.pem);
    let named = |names: &[&str]| peer::answer(&ca.leaf(names, 30), OK);
    let cn_only = ca.leaf_with(&[], |params| {
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, NAME);
    });
    let by_address = |what: &str, names: &[&str], code, phrase| Fault {
        options: format!("--ca-file {trust} --verify-host 127.0.0.1"),
        ..fault(what, named(names), &trust, code, phrase)
    };
    let many: Vec<String> = (0..1_000)
        .map(|i| format!("host{i}.example.test"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let with_ours = [&many[..], &[NAME]].concat();
    run(&[
        fault("the name", named(&[NAME]), &trust, 0, ""),
        fault(
            "the name in capitals",
            named(&["WWW.Example.TEST"]),
            &trust,
            0,
            "",
        ),
        fault("a wildcard", named(&["*.example.test"]), &trust, 0, ""),
        fault(
            "one of several",
            named(&["a.test", "b.test", NAME]),
            &trust,
            0,
            "",
        ),
        fault(
            "a wildcard one label short",
            named(&["*.test"]),
            &trust,
            54,
            "but for *.test",
        ),
        fault(
            "a wildcard one label long",
            named(&["*.www.example.test"]),
            &trust,
            54,
            "not for",
        ),
        fault(
            "the parent",
            named(&["example.test"]),
            &trust,
            54,
            "but for example.test",
        ),
        fault(
            "an address",
            named(&["127.0.0.1"]),
            &trust,
            54,
            "but for 127.0.0.1",
        ),
        fault(
            "a common name only",
            peer::answer(&cn_only, OK),
            &trust,
            54,
            "no name at all",
        ),
        fault("1 000 names, ours last", named(&with_ours), &trust, 0, ""),
        fault(
            "1 000 other names",
            named(&many),
            &trust,
            54,
            "and 990 more",
        ),
        by_address("an address as the name to verify", &["127.0.0.1"], 0, ""),
        by_address("another address", &["127.0.0.2"], 54, "but for 127.0.0.2"),
    ]);
}

#[test]
fn constraints() {
    let folder = Folder::new();
    let root = Ca::new();
    let trust = folder.file("ca.pem", &root.pem);
    let no_ca = root.intermediate_with("No CA", |params| params.is_ca = IsCa::ExplicitNoCa);
    let short = Ca::with("Short root", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let short_trust = folder.file("short.pem", &short.pem);
    let beyond = short.intermediate("Beyond");
    let zero = root.intermediate_with("Zero", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let below_zero = zero.intermediate("Below zero");
    let only = |name: &str, permitted: bool| {
        let names = vec![GeneralSubtree::DnsName(name.to_owned())];
        root.intermediate_with("Constrained", |params: &mut CertificateParams| {
            params.name_constraints = Some(match permitted {
                true => NameConstraints {
                    permitted_subtrees: names,
                    excluded_subtrees: vec![],
                },
                false => NameConstraints {
                    permitted_subtrees: vec![],
                    excluded_subtrees: names,
                },
            });
        })
    };
    let chain = |issuer: &Ca, rest: &[&Ca]| {
        let issuers = [&[issuer], rest].concat();
        peer::answer_with_chain(&issuer.leaf(&[NAME], 30), &issuers, OK)
    };
    let used = |usage| {
        root.leaf_with(&[NAME], |params: &mut CertificateParams| {
            params.extended_key_usages = vec![usage];
        })
    };
    let ca_leaf = root.leaf_with(&[NAME], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    run(&[
        fault(
            "an issuer that is no CA",
            chain(&no_ca, &[]),
            &trust,
            56,
            "no CA",
        ),
        fault(
            "path length of an issuer",
            chain(&below_zero, &[&zero]),
            &trust,
            56,
            "path length",
        ),
        // A trust anchor is a name and a key; its own path length is not looked at (RFC 5280, 6.1).
        fault(
            "path length of the root",
            chain(&beyond, &[]),
            &short_trust,
            0,
            "",
        ),
        fault(
            "a permitted name",
            chain(&only("example.test", true), &[]),
            &trust,
            0,
            "",
        ),
        fault(
            "a name not permitted",
            chain(&only("other.test", true), &[]),
            &trust,
            56,
            "may not issue",
        ),
        fault(
            "an excluded name",
            chain(&only("example.test", false), &[]),
            &trust,
            56,
            "may not issue",
        ),
        fault(
            "for clients only",
            peer::answer(&used(ExtendedKeyUsagePurpose::ClientAuth), OK),
            &trust,
            56,
            "not meant for servers",
        ),
        fault(
            "for servers",
            peer::answer(&used(ExtendedKeyUsagePurpose::ServerAuth), OK),
            &trust,
            0,
            "",
        ),
        fault(
            "a CA as a server",
            peer::answer(&ca_leaf, OK),
            &trust,
            56,
            "CA certificate used as",
        ),
    ]);
}

/// A real `openssl s_server` with a certificate that rcgen would not make.
fn openssl(folder: &Folder, name: &str, key: &[&str], sign: &[&str]) -> (Running, u16) {
    let (ca, ca_key) = (folder.join("ca.pem"), folder.join("ca.key"));
    let (crt, key_file, csr) = (
        folder.join(name),
        folder.join("k") + name,
        folder.join("r") + name,
    );
    let extensions = folder.join("ext");
    let openssl = |words: &[&str]| {
        let output = program("openssl")
            .args(words)
            .stdin(Stdio::null())
            .output()
            .expect("openssl");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    openssl(
        &[
            &[
                "req", "-new", "-nodes", "-keyout", &key_file, "-out", &csr, "-subj", "/CN=x",
            ],
            key,
        ]
        .concat(),
    );
    let sign_with = [
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-out",
        &crt,
        "-days",
        "9",
    ];
    let request = ["x509", "-req", "-in", &csr, "-extfile", &extensions];
    openssl(&[&request[..], &sign_with[..], sign].concat());
    let port = free_port();
    let mut command = program("openssl");
    command.args([
        "s_server",
        "-quiet",
        "-WWW",
        "-accept",
        &format!("127.0.0.1:{port}"),
    ]);
    command.args([
        "-cert",
        &crt,
        "-key",
        &key_file,
        "-cipher",
        "ALL:@SECLEVEL=0",
    ]);
    // -WWW serves files of the folder it runs in.
    command.current_dir(folder.path());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running(command.spawn().expect("openssl runs"));
    wait_for("openssl to listen", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (running, port)
}

#[test]
fn keys_and_signatures() {
    let folder = Folder::new();
    let ca = Ca::new();
    let trust = folder.file("ca.pem", &ca.pem);
    folder.file("ca.key", &ca.key_pem);
    folder.file("page", "fine\n");
    folder.file("ext", &format!("subjectAltName=DNS:{NAME}\n"));
    let rsa = |bits: &'static str| ["-newkey", bits];
    let ec = |curve: &'static str| ["-newkey", "ec", "-pkeyopt", curve];
    let (_server1, rsa1024) = openssl(&folder, "1", &rsa("rsa:1024"), &[]);
    let (_server2, rsa2048) = openssl(&folder, "2", &rsa("rsa:2048"), &[]);
    let (_server3, p384) = openssl(&folder, "3", &ec("ec_paramgen_curve:P-384"), &[]);
    let (_server4, ed25519) = openssl(&folder, "4", &["-newkey", "ed25519"], &[]);
    let (_server5, sha1) = openssl(&folder, "5", &rsa("rsa:2048"), &["-sha1"]);
    // More than any client has to take (rustls: 64 KiB of certificates): refused, and at once.
    let names: Vec<String> = (0..10_000)
        .map(|i| format!("DNS:host{i}.example.test"))
        .collect();
    folder.file("ext", &format!("subjectAltName={}\n", names.join(",")));
    let (_server6, huge) = openssl(&folder, "6", &ec("ec_paramgen_curve:P-256"), &[]);
    let fault = |what, port, code, phrase| Fault {
        options: format!("--ca-file {trust} --uri /page"),
        ..fault(what, port, &trust, code, phrase)
    };
    run(&[
        fault("RSA 1024", rsa1024, 56, "certificate invalid"),
        fault("RSA 2048", rsa2048, 0, ""),
        fault("P-384", p384, 0, ""),
        fault("Ed25519", ed25519, 0, ""),
        fault("10 000 names", huge, 63, "breaks the rules of TLS"),
        fault("a SHA-1 signature", sha1, 56, "unsafe or unsupported"),
    ]);
}

#[test]
fn a_certificate_without_a_name_that_is_for_an_address() {
    let folder = Folder::new();
    let ca = Ca::new();
    let trust = folder.file("ca.pem", &ca.pem);
    let leaf: Leaf = ca.leaf_with(&[], |params| {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::IpAddress(ip)];
    });
    let port = peer::answer(&leaf, OK);
    run(&[Fault {
        options: format!("--ca-file {trust} --verify-host 127.0.0.1 --min-cert-days 1"),
        ..fault("no subject", port, &trust, 0, "")
    }]);
}
