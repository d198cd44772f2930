//! Faults of the chain: issuers, their constraints, revocation.

use rcgen::{BasicConstraints, CertificateParams, GeneralSubtree, IsCa, NameConstraints};
use time::{Duration, OffsetDateTime};

use crate::support::peer::{self, OK};
use crate::support::pki::Ca;
use crate::support::stage::Stage;
use crate::{Fault, NAME};

pub fn faults(stage: &Stage) -> Vec<Fault> {
    let mut faults = orders(stage);
    faults.extend(ends(stage));
    faults.extend(limits(stage));
    faults.extend(revocation(stage));
    faults
}

/// Describes a server that sends a leaf, signed by `by`, and these issuers.
fn row(stage: &Stage, what: &str, by: &Ca, sent: &[&Ca], code: i32, phrase: &'static str) -> Fault {
    let port = peer::answer_with_chain(&by.leaf(&[NAME], 30), sent, OK);
    Fault::new(what, port, code, phrase).with(&stage.trust)
}

fn days_ago(days: i64) -> impl Fn(&mut CertificateParams) {
    move |params| params.not_after = OffsetDateTime::now_utc() - Duration::days(days)
}

fn orders(stage: &Stage) -> Vec<Fault> {
    let root = &stage.ca;
    let upper = root.intermediate("Upper CA");
    let lower = upper.intermediate("Lower CA");
    let expired = Ca::with("Padding", days_ago(9));
    let foreign = Ca::named("Foreign CA");
    let cross = foreign.intermediate("Cross");
    let many: Vec<Ca> = (0..40)
        .map(|i| Ca::named(&format!("Padding {i}")))
        .collect();
    let padded: Vec<&Ca> = many.iter().chain([&lower, &upper]).collect();
    let twins: Vec<Ca> = (0..40).map(|_| Ca::named("Lower CA")).collect();
    let misled: Vec<&Ca> = twins.iter().collect();
    let row = |what, sent: &[&Ca], code, phrase| row(stage, what, &lower, sent, code, phrase);
    vec![
        row("in order", &[&lower, &upper], 0, ""),
        row("with the root", &[&lower, &upper, root], 0, ""),
        row("reversed", &[root, &upper, &lower], 0, ""),
        row("twice", &[&lower, &lower, &upper, &upper], 0, ""),
        row(
            "padded with an expired issuer",
            &[&expired, &lower, &upper],
            0,
            "",
        ),
        row("padded with 40 issuers", &padded, 0, ""),
        row("the lower issuer missing", &[&upper], 55, "CN=Lower CA"),
        row("the upper issuer missing", &[&lower], 55, "CN=Upper CA"),
        row("both issuers missing", &[], 55, "CN=Lower CA"),
        row("another chain", &[&cross, &foreign], 55, "CN=Lower CA"),
        row(
            "20 copies each",
            &[[&cross; 20], [&foreign; 20], [&upper; 20]].concat(),
            55,
            "CN=Lower CA",
        ),
        row("40 issuers with the same name", &misled, 55, "CN=Lower CA"),
        row(
            "padded with an expired issuer, --min-cert-days",
            &[&lower, &upper, &expired],
            0,
            "",
        )
        .with("--min-cert-days 7"),
    ]
}

fn ends(stage: &Stage) -> Vec<Fault> {
    let middle = stage.ca.intermediate_with("Old middle", days_ago(2));
    let early = stage.ca.intermediate_with("Early middle", |params| {
        params.not_before = OffsetDateTime::now_utc() + Duration::days(9);
    });
    let root = Ca::with("Old root", days_ago(1));
    let tired = stage.ca.intermediate_with("Tired middle", |params| {
        params.not_after = OffsetDateTime::now_utc() + Duration::days(5);
    });
    vec![
        row(
            stage,
            "an expired intermediate",
            &middle,
            &[&middle],
            51,
            "CN=Old middle",
        ),
        row(
            stage,
            "an intermediate that is not valid yet",
            &early,
            &[&early],
            53,
            "CN=Early middle",
        ),
        // webpki doesn't check the dates of roots, so sni-check does.
        Fault {
            options: stage.trusting(&root, "old.pem"),
            ..row(stage, "an expired root", &root, &[], 51, "CN=Old root")
        },
        row(
            stage,
            "an intermediate that expires soon",
            &tired,
            &[&tired],
            57,
            "CN=Tired middle",
        )
        .with("--min-cert-days 7"),
    ]
}

fn limits(stage: &Stage) -> Vec<Fault> {
    let root = &stage.ca;
    let constrained = |length| IsCa::Ca(BasicConstraints::Constrained(length));
    let no_ca = root.intermediate_with("No CA", |params| params.is_ca = IsCa::ExplicitNoCa);
    let unconstrained = root.intermediate_with("Unsaid", |params| params.is_ca = IsCa::NoCa);
    let short = Ca::with("Short root", |params| params.is_ca = constrained(0));
    let beyond = short.intermediate("Beyond");
    let zero = root.intermediate_with("Zero", |params| params.is_ca = constrained(0));
    let below_zero = zero.intermediate("Below zero");
    let only = |name: &str, permitted: bool| {
        let subtrees = vec![GeneralSubtree::DnsName(name.to_owned())];
        let (permitted_subtrees, excluded_subtrees) = match permitted {
            true => (subtrees, vec![]),
            false => (vec![], subtrees),
        };
        root.intermediate_with("Constrained", |params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees,
                excluded_subtrees,
            });
        })
    };
    let chain = |what, by: &Ca, above: &[&Ca], code, phrase| {
        row(stage, what, by, &[&[by], above].concat(), code, phrase)
    };
    let may_not = "forbid a name of";
    vec![
        chain("an issuer that is no CA", &no_ca, &[], 56, "is not a CA"),
        chain(
            "an issuer without basic constraints",
            &unconstrained,
            &[],
            56,
            "is not a CA",
        ),
        chain("path length", &below_zero, &[&zero], 56, "path length"),
        chain("path length kept", &zero, &[], 0, ""),
        // In RFC 5280, a root is only a name and a key. HAProxy's TLS library also checks the path
        // length of the root's certificate, so sni-check does too.
        Fault {
            options: stage.trusting(&short, "short.pem"),
            ..chain("path length of the root", &beyond, &[], 56, "path length")
        },
        chain("a permitted name", &only("example.test", true), &[], 0, ""),
        chain(
            "a name not permitted",
            &only("other.test", true),
            &[],
            56,
            may_not,
        ),
        chain(
            "an excluded name",
            &only("example.test", false),
            &[],
            56,
            may_not,
        ),
        chain(
            "another excluded name",
            &only("other.test", false),
            &[],
            0,
            "",
        ),
    ]
}

fn revocation(stage: &Stage) -> Vec<Fault> {
    let ca = &stage.ca;
    let (good, bad) = (ca.leaf(&[NAME], 30), ca.leaf(&[NAME], 30));
    let lists = [
        ("list", ca.crl(&[&bad], 3)),
        ("expired", ca.crl(&[], -1)),
        ("foreign", Ca::named("Other CA").crl(&[], 3)),
        // The issuer's name is right, but the list is signed with a different key.
        ("forged", Ca::new().crl(&[], 3)),
    ];
    let row = |what, leaf, list: &str, code, phrase| {
        let found = lists.iter().find(|(name, _)| *name == list).expect(list);
        let file = stage.folder.file(&format!("{list}.crl"), &found.1);
        Fault::new(what, peer::answer(leaf, OK), code, phrase)
            .with(&format!("{} --crl-file {file}", stage.trust))
    };
    vec![
        row("not revoked", &good, "list", 0, ""),
        row("revoked", &bad, "list", 56, "revoked"),
        row(
            "a list that has expired",
            &good,
            "expired",
            56,
            "has expired",
        ),
        row("a list of another CA", &good, "foreign", 56, "no list"),
        row(
            "a forged list",
            &good,
            "forged",
            56,
            "signed by another certificate of that name",
        ),
    ]
}
