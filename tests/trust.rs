//! Which certificates are trusted, and what is said of those that are not.

mod support;

use rcgen::{BasicConstraints, DnType, IsCa};
use support::NAME;
use support::check::{self, by_hand, under_haproxy};
use support::folder::Folder;
use support::peer::{self, OK};
use support::pki::{Ca, Leaf};
use support::stage::Stage;
use time::{Duration, OffsetDateTime};

/// A check of a peer on this port must give this code and say this.
#[track_caller]
fn expect(port: u16, options: &str, code: i32, phrase: &str) {
    let path = format!("--sni {NAME} --timeout 10s {options}");
    let output = under_haproxy(&path, "127.0.0.1", &port.to_string());
    check::expect(&output, code, phrase);
}

#[test]
fn roots_come_from_files_from_the_system_and_from_the_binary() {
    let stage = Stage::new();
    let file = &stage.ca_file[..];
    let other = &stage.folder.file("other.pem", &Ca::named("Other CA").pem)[..];
    let port = peer::answer(&stage.leaf, OK);
    expect(port, &format!("--ca-file {file}"), 0, "");
    expect(
        port,
        &format!("--ca-file {other} --ca-file @bundled --ca-file {file}"),
        0,
        "",
    );
    expect(port, &format!("--ca-file {other}"), 55, "CN=Test CA");
    expect(port, "", 55, "private CA for --ca-file");
    expect(port, "--ca-file @bundled", 55, "issuer unknown");
    // The system's own roots, which this variable names (as for OpenSSL).
    let system = |roots: &str| {
        let connect = format!("--connect=127.0.0.1:{port}");
        by_hand(&["--ca-file", "@system-ca", &connect, NAME])
            .env("SSL_CERT_FILE", roots)
            .output()
            .expect("the program runs")
    };
    assert_eq!(system(file).status.code(), Some(0));
    assert_eq!(system(other).status.code(), Some(55));
    assert_eq!(system("/nonexistent").status.code(), Some(2));
}

#[test]
fn a_root_from_a_file_that_ends_soon_counts_too() {
    let stage = Stage::of(Ca::with("Tired root", |params| {
        params.not_after = OffsetDateTime::now_utc() + Duration::days(5) + Duration::hours(1)
    }));
    let (port, soon) = (peer::answer(&stage.leaf, OK), &stage.trust);
    expect(
        port,
        &format!("{soon} --min-cert-days 6"),
        57,
        "ends in 5 days",
    );
    expect(port, &format!("{soon} --min-cert-days 5"), 0, "");
}

#[test]
fn a_self_signed_certificate_is_trusted_if_it_is_in_the_file() {
    let folder = Folder::new();
    let name = |params: &mut rcgen::CertificateParams| {
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "lonely");
    };
    let plain = Leaf::self_signed(&[NAME], name);
    // What `openssl req -x509` makes says that it is a CA.
    let as_ca = Leaf::self_signed(&[NAME], |params| {
        name(params);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let ended = Leaf::self_signed(&[NAME], |params| {
        name(params);
        params.not_after = OffsetDateTime::now_utc() - Duration::days(1);
    });
    for leaf in [&plain, &as_ca] {
        let port = peer::answer(leaf, OK);
        expect(port, "", 55, "self-signed");
        let trust = format!("--ca-file {}", folder.file("self.pem", &leaf.crt_pem));
        expect(port, &trust, 0, "");
        expect(
            port,
            &format!("{trust} --verify-host other.example.test"),
            54,
            NAME,
        );
    }
    let trust = format!("--ca-file {}", folder.file("self.pem", &ended.crt_pem));
    expect(peer::answer(&ended, OK), &trust, 51, "expired");
}

#[test]
fn verify_none_accepts_any_certificate_but_not_any_peer() {
    let ended = Ca::new().leaf(&["other.example.test"], -3);
    let port = peer::answer(&ended, OK);
    expect(port, "", 51, "expired");
    expect(port, "--verify none", 0, "");
    expect(
        port,
        "--verify none --min-cert-days 1",
        57,
        "ends in 0 days",
    );
    expect(
        peer::answer(&ended, "no HTTP\r\n\r\n"),
        "--verify none",
        73,
        "not a valid HTTP",
    );
}
