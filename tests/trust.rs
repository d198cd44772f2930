//! Which certificates the check trusts, and what it reports about certificates that it doesn't
//! trust.

mod support;

use rcgen::{BasicConstraints, CustomExtension, DnType, GeneralSubtree, IsCa, NameConstraints};
use support::NAME;
use support::check::{self, by_hand, under_haproxy};
use support::folder::Folder;
use support::peer::{self, OK};
use support::pki::{Ca, Leaf};
use support::stage::Stage;
use time::{Duration, OffsetDateTime};

/// Asserts that a check of a peer on this port gives this code and this phrase.
#[track_caller]
fn expect(port: u16, options: &str, code: i32, phrase: &str) {
    let path = format!("--sni {NAME} --timeout 10s {options}");
    let output = under_haproxy(&path, "127.0.0.1", &port.to_string());
    check::expect(&output, code, phrase);
}

#[test]
fn roots_come_from_files_the_system_or_the_binary() {
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
    expect(port, "", 55, "a CA that isn't in --ca-file");
    expect(port, "--ca-file @bundled", 55, "issuer unknown");
    // SSL_CERT_FILE names the system's roots, as it does for OpenSSL.
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
fn a_root_that_expires_soon_counts_for_min_cert_days() {
    let stage = Stage::with_ca(Ca::with("Tired root", |params| {
        params.not_after = OffsetDateTime::now_utc() + Duration::days(5) + Duration::hours(1)
    }));
    let (port, soon) = (peer::answer(&stage.leaf, OK), &stage.trust);
    expect(
        port,
        &format!("{soon} --min-cert-days 6"),
        57,
        "expires in 5 days",
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
    // `openssl req -x509` makes certificates that are marked as a CA.
    let as_ca = Leaf::self_signed(&[NAME], |params| {
        name(params);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let expired = Leaf::self_signed(&[NAME], |params| {
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
    let trust = format!("--ca-file {}", folder.file("self.pem", &expired.crt_pem));
    expect(peer::answer(&expired, OK), &trust, 51, "expired");
}

#[test]
fn verify_none_accepts_every_certificate_but_not_every_peer() {
    let expired = Ca::new().leaf(&["other.example.test"], -3);
    let port = peer::answer(&expired, OK);
    expect(port, "", 51, "expired");
    expect(port, "--verify none", 0, "");
    expect(
        port,
        "--verify none --min-cert-days 1",
        57,
        "expires in 0 days",
    );
    expect(
        peer::answer(&expired, "no HTTP\r\n\r\n"),
        "--verify none",
        73,
        "not a valid HTTP",
    );
}

#[test]
fn a_renewed_root_is_found_in_any_order() {
    let folder = Folder::new();
    let now = OffsetDateTime::now_utc();
    let root = Ca::with("Root", |params| params.not_after = now + Duration::days(9));
    let again = |from: i64, to: i64| {
        root.again("Root", |params| {
            params.not_before = now + Duration::days(from);
            params.not_after = now + Duration::days(to) + Duration::hours(1);
        })
    };
    let (expired, early, long) = (again(-9, -2), again(2, 99), again(-9, 50));
    let port = peer::answer(&root.leaf(&[NAME], 90), OK);
    let file = |roots: &[&String]| {
        let text: String = roots.iter().map(|pem| pem.as_str()).collect();
        format!("--ca-file {}", folder.file("roots.pem", &text))
    };
    for roots in [
        [&expired, &root.pem],
        [&root.pem, &expired],
        [&early, &root.pem],
    ] {
        expect(port, &file(&roots), 0, "");
        expect(
            port,
            &format!("{} --min-cert-days 30", file(&roots)),
            57,
            "CN=Root",
        );
    }
    expect(port, &file(&[&expired, &early]), 53, "CN=Root");
    // The check uses the root that expires last.
    let both = file(&[&root.pem, &long]);
    expect(port, &format!("{both} --min-cert-days 50"), 0, "");
    expect(
        port,
        &format!("{both} --min-cert-days 51"),
        57,
        "expires in 50 days",
    );
}

#[test]
fn a_file_without_the_root_is_reported() {
    let folder = Folder::new();
    let root = Ca::named("Root");
    let middle = root.intermediate("Middle");
    let leaf = middle.leaf(&[NAME], 30);
    let port = peer::answer_with_chain(&leaf, &[&middle, &root], OK);
    let middle = format!("--ca-file {}", folder.file("middle.pem", &middle.pem));
    expect(
        port,
        &middle,
        55,
        "--ca-file has CN=Middle but not its issuer",
    );
    let leaf = format!("--ca-file {}", folder.file("leaf.pem", &leaf.crt_pem));
    expect(port, &leaf, 55, "CN=Root");
    let both = format!("{middle} --ca-file {}", folder.file("root.pem", &root.pem));
    expect(port, &both, 0, "");
}

#[test]
fn long_chains_and_name_constraints_are_judged_as_in_haproxy() {
    let folder = Folder::new();
    let root = Ca::with("Root", |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName("example.test".to_owned())],
            excluded_subtrees: vec![],
        });
    });
    let trust = format!("--ca-file {}", folder.file("ca.pem", &root.pem));
    let ca = root.leaf_with(&[NAME], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    expect(peer::answer(&ca, OK), &trust, 0, "");
    let issuers: Vec<Ca> = (0..8).fold(Vec::new(), |mut issuers, number| {
        let above = issuers.last().unwrap_or(&root);
        issuers.push(above.intermediate(&format!("CA {number}")));
        issuers
    });
    let sent: Vec<&Ca> = issuers.iter().rev().collect();
    let port = |name: &str| {
        let leaf = issuers[7].leaf(&[name], 30);
        peer::answer_with_chain(&leaf, &sent, OK)
    };
    expect(port(NAME), &trust, 0, "");
    expect(
        port("www.other.test"),
        &trust,
        56,
        "the name constraints of an issuer forbid a name of",
    );
}

#[test]
fn verify_none_uses_no_root_but_needs_a_readable_file() {
    let folder = Folder::new();
    let port = peer::answer(&Ca::new().leaf(&[NAME], 30), OK);
    let other = folder.file("other.pem", &Ca::named("Other CA").pem);
    let none = "--verify none --verify-host other.example.test";
    expect(port, &format!("{none} --ca-file {other}"), 0, "");
    expect(
        port,
        &format!("{none} --ca-file {other}.missing"),
        2,
        "other.pem.missing",
    );
}

#[test]
fn a_long_serial_number_does_not_hide_an_expiry() {
    let folder = Folder::new();
    let root = Ca::new();
    let trust = format!("--ca-file {}", folder.file("ca.pem", &root.pem));
    let leaf = root.leaf_with(&[NAME], |params| {
        params.serial_number = Some(vec![0x7f; 30].into());
        params.not_after = OffsetDateTime::now_utc() + Duration::days(9) + Duration::hours(1);
    });
    let port = peer::answer(&leaf, OK);
    expect(port, &format!("{trust} --warn-cert-days 30"), 0, "");
    expect(
        port,
        &format!("{trust} --min-cert-days 30"),
        57,
        "expires in 9 days",
    );
}

#[test]
fn unused_parts_of_a_ca_file_are_reported() {
    let folder = Folder::new();
    let root = Ca::new();
    let twice = Ca::with("Odd CA", |params| {
        let name = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 0]);
        params.custom_extensions.push(name);
    });
    let port = peer::answer(&root.leaf(&[NAME], 30), OK);
    folder.file("roots/a.pem", "no certificate\n");
    folder.file("roots/b.pem", "-----BEGIN CERTIFICATE-----\n");
    folder.file("roots/c.pem", &format!("{}{}", twice.pem, root.pem));
    let (connect, roots) = (format!("--connect=127.0.0.1:{port}"), folder.join("roots"));
    let output = by_hand(&["--verbose", "--ca-file", &roots, &connect, NAME])
        .output()
        .expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for unused in ["CN=Odd CA: an extension", "b.pem: cannot be read"] {
        assert!(text.contains(unused), "{text} (lacks {unused})");
    }
}
