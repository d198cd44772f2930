//! Faults of a single certificate, and healthy certificates that must not be reported as faults.

use std::net::{IpAddr, Ipv4Addr};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    SanType,
};
use time::{Duration, OffsetDateTime};

use crate::support::peer::{self, OK};
use crate::support::pki::{Ca, Leaf};
use crate::support::stage::Stage;
use crate::{Fault, NAME};

pub fn faults(stage: &Stage) -> Vec<Fault> {
    let mut faults = names(stage);
    faults.extend(addresses(stage));
    faults.extend(validity(stage));
    faults.extend(uses(stage));
    faults
}

fn row(stage: &Stage, what: &str, leaf: &Leaf, code: i32, phrase: &'static str) -> Fault {
    Fault::new(what, peer::answer(leaf, OK), code, phrase).with(&stage.trust)
}

fn common_name(params: &mut CertificateParams, name: &str) {
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
}

fn names(stage: &Stage) -> Vec<Fault> {
    let ca = &stage.ca;
    let many: Vec<String> = (0..1_000)
        .map(|i| format!("host{i}.example.test"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let with_ours = [&many[..], &[NAME]].concat();
    let rows: [(&str, &[&str], i32, &str); 19] = [
        ("the name", &[NAME], 0, ""),
        ("in capitals", &["WWW.Example.TEST"], 0, ""),
        ("a wildcard", &["*.example.test"], 0, ""),
        ("one of several", &["a.test", "b.test", NAME], 0, ""),
        ("1 000 names, ours last", &with_ours, 0, ""),
        ("1 000 other names", &many, 54, "and 990 more"),
        ("another name", &["other.test"], 54, "but for other.test"),
        (
            "a wildcard with too few labels",
            &["*.test"],
            54,
            "but for *.test",
        ),
        (
            "a wildcard with too many labels",
            &["*.www.example.test"],
            54,
            "not for",
        ),
        ("a wildcard for all", &["*"], 54, "not for"),
        ("a wildcard in the middle", &["www.*.test"], 54, "not for"),
        ("a partial wildcard", &["w*.example.test"], 0, ""),
        (
            "another partial wildcard",
            &["x*.example.test"],
            54,
            "but for x*",
        ),
        ("two wildcards", &["*.*.test"], 54, "not for"),
        ("the parent", &["example.test"], 54, "but for example.test"),
        (
            "our name at the beginning",
            &["www.example.test.evil.test"],
            54,
            "not for",
        ),
        (
            "our name at the end",
            &["evil-www.example.test"],
            54,
            "not for",
        ),
        ("an address", &["127.0.0.1"], 54, "but for 127.0.0.1"),
        ("a final dot", &["www.example.test."], 54, "not for"),
    ];
    let mut faults: Vec<Fault> = rows
        .into_iter()
        .map(|(what, names, code, phrase)| row(stage, what, &ca.leaf(names, 30), code, phrase))
        .collect();
    let cn_only = ca.leaf_with(&[], |params| common_name(params, NAME));
    let mail = ca.leaf_with(&[], |params| {
        let name = NAME.try_into().expect("ASCII");
        params.subject_alt_names = vec![SanType::Rfc822Name(name)];
    });
    let uri = ca.leaf_with(&[], |params| {
        let name = format!("https://{NAME}/").try_into().expect("ASCII");
        params.subject_alt_names = vec![SanType::URI(name)];
    });
    faults.extend([
        row(stage, "a common name only", &cn_only, 0, ""),
        row(stage, "a mail address", &mail, 54, "not as a DNS name"),
        row(stage, "a URI", &uri, 54, "not for"),
    ]);
    faults
}

fn addresses(stage: &Stage) -> Vec<Fault> {
    let as_name = |address: &str| {
        stage.ca.leaf_with(&[], |params| {
            let name = address.try_into().expect("ASCII");
            params.subject_alt_names = vec![SanType::DnsName(name)];
        })
    };
    let no_subject = stage.ca.leaf_with(&[], |params| {
        params.distinguished_name = DistinguishedName::new();
        params.subject_alt_names = vec![SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))];
    });
    let wrong = stage.ca.leaf(&["127.0.0.2"], 30);
    let right = stage.ca.leaf(&["127.0.0.1"], 30);
    let name = as_name("127.0.0.1");
    let (by_hand, as_haproxy) = ("--no-sni", "--verify-host 127.0.0.1");
    [
        ("the address", &right, by_hand, 0, ""),
        ("no subject, only the address", &no_subject, by_hand, 0, ""),
        ("the address as a DNS name", &name, by_hand, 0, ""),
        ("another address", &wrong, by_hand, 54, "but for 127.0.0.2"),
        // HAProxy's verifyhost doesn't support addresses.
        (
            "the address for verifyhost",
            &right,
            as_haproxy,
            54,
            "not as a DNS name",
        ),
        (
            "the address as a DNS name for verifyhost",
            &name,
            as_haproxy,
            0,
            "",
        ),
        (
            "another address for verifyhost",
            &wrong,
            as_haproxy,
            54,
            "but for 127.0.0.2",
        ),
    ]
    .map(|(what, leaf, options, code, phrase)| {
        row(stage, what, leaf, code, phrase).with(&format!("{options} --min-cert-days 1"))
    })
    .into()
}

fn validity(stage: &Stage) -> Vec<Fault> {
    let now = OffsetDateTime::now_utc();
    let leaf = |from: i64, to: i64| {
        stage.ca.leaf_with(&[NAME], |params| {
            params.not_before = now + Duration::days(from) + Duration::hours(1);
            params.not_after = now + Duration::days(to) + Duration::hours(1);
        })
    };
    // From 2050 on, dates have a different form (RFC 5280, section 4.1.2.5).
    let far = stage.ca.leaf_with(&[NAME], |params| {
        params.not_before = rcgen::date_time_ymd(1970, 1, 1);
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
    });
    let ahead = stage.ca.leaf_with(&[NAME], |params| {
        params.not_before = rcgen::date_time_ymd(2150, 1, 1);
        params.not_after = rcgen::date_time_ymd(2160, 1, 1);
    });
    let month = leaf(-9, 30);
    vec![
        row(stage, "expired", &leaf(-9, -3), 51, "expired 2 days ago"),
        row(
            stage,
            "not yet valid",
            &leaf(5, 9),
            53,
            "becomes valid in 5 days",
        ),
        row(
            stage,
            "from 2150 on",
            &ahead,
            53,
            "is this host's clock right?",
        ),
        row(stage, "from 1970 to 9999", &far, 0, ""),
        row(
            stage,
            "never valid",
            &leaf(9, 5),
            56,
            "ends before it begins",
        ),
        row(stage, "expires soon", &month, 57, "expires in 30 days").with("--min-cert-days 31"),
        row(stage, "expires late enough", &month, 0, "").with("--min-cert-days 30"),
    ]
}

fn uses(stage: &Stage) -> Vec<Fault> {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, CodeSigning, ServerAuth};
    let used = |usages: &[ExtendedKeyUsagePurpose]| {
        stage.ca.leaf_with(&[NAME], |params| {
            params.extended_key_usages = usages.to_vec()
        })
    };
    let ca_leaf = stage.ca.leaf_with(&[NAME], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let no_server = "not meant for servers";
    let unknown = Leaf::self_signed(&[NAME], |params| common_name(params, "lonely"));
    let other = Ca::named("Other CA").leaf(&[NAME], 30);
    // This CA has the issuer's name but a different key. A name doesn't prove who the issuer is.
    let impostor = Ca::new().leaf(&[NAME], 30);
    vec![
        row(stage, "for servers", &used(&[ServerAuth]), 0, ""),
        row(
            stage,
            "for clients and servers",
            &used(&[ClientAuth, ServerAuth]),
            0,
            "",
        ),
        row(
            stage,
            "for clients only",
            &used(&[ClientAuth]),
            56,
            no_server,
        ),
        row(
            stage,
            "for code signing",
            &used(&[CodeSigning]),
            56,
            no_server,
        ),
        row(
            stage,
            "the use anyExtendedKeyUsage",
            &used(&[Any]),
            56,
            no_server,
        ),
        row(stage, "a CA as a server", &ca_leaf, 0, ""),
        row(stage, "self-signed", &unknown, 55, "self-signed"),
        row(stage, "an unknown issuer", &other, 55, "CN=Other CA"),
        row(
            stage,
            "an issuer with the same name",
            &impostor,
            56,
            "bad signature",
        ),
    ]
}
