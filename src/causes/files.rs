//! Files that may be right for the server, but that the check doesn't use: files that haproxy.cfg names
//! elsewhere, and the CAs of this host and of Mozilla. diagnose tries them.

use super::cause::{Cause, Place, Trial, Weight, at};
use super::facts::{Facts, KnownValue};
use crate::certificate::CertificateFailure;
use crate::code::Code;
use crate::failure::Failure;
use crate::options::values::Verify;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "ca-file-wrong",
        shows_as: &[
            at(Code::IssuerUnknown, 6),
            at(Code::CertificateExpired, 7),
            at(Code::CertificateInvalid, 8),
        ],
        place: Place::Config,
        what: "The certificate comes from {other-roots}, not from a CA in {roots}.",
        confirm: "sni-check diagnose tries this host's CAs, Mozilla's CAs, and the ca-file of other servers in haproxy.cfg.",
        change: "Use <--ca-file {meant-roots}, and |>ca-file {meant-ca-file} on the server line.",
        weigh: |facts| Weight::Possible.when(facts.options.verify != Some(Verify::None)),
        trials: other_roots,
        ..Cause::BASE
    },
    Cause {
        id: "crl-file-wrong",
        shows_as: &[at(Code::CertificateInvalid, 10)],
        place: Place::Config,
        what: "{lists}. The check gets further with the revocation lists of {other}.",
        confirm: "openssl crl -nextupdate -issuer -in FILE shows whose list it is and when it expires.",
        change: "Use <--crl-file {meant-file}, and |>crl-file {meant-file} on the server line.",
        weigh: |_| Weight::RuledOut,
        trials: |facts| {
            let is_missing = |failure: &Failure| {
                let Failure::Certificate(fault) = failure else {
                    return false;
                };
                matches!(fault, CertificateFailure::NoValidList(_))
            };
            let files = facts.known("--crl-file");
            let files = files.filter(|_| facts.failure().is_some_and(is_missing));
            let trial = |known: &KnownValue| {
                let trial = Trial::new(facts, |options| {
                    options.crl_file = vec![known.value.clone()];
                });
                of_file(trial, known)
            };
            files.map(trial).collect()
        },
        ..Cause::BASE
    },
    Cause {
        id: "client-certificate-elsewhere",
        shows_as: &[
            at(Code::ClientCertificate, 7),
            at(Code::Status, 30),
            at(Code::ResponseClosed, 13),
            at(Code::HandshakeClosed, 17),
        ],
        place: Place::Config,
        what: "The server requires a client certificate. It accepts the certificate of {other}.",
        confirm: "Run the check with --crt {meant-file}.",
        change: "Use <--crt {meant-file}, and |>crt {meant-word} on the server line.",
        weigh: |_| Weight::RuledOut,
        trials: |facts| {
            let files = facts
                .known("--crt")
                .filter(|_| facts.client_certificate_asked());
            let trial = |known: &KnownValue| {
                let trial = Trial::new(facts, |options| {
                    options.crt = Some(known.value.clone());
                    options.key.clone_from(&known.key);
                });
                of_file(trial, known)
            };
            files.map(trial).collect()
        },
        ..Cause::BASE
    },
];

/// Sets the placeholders about a file, and makes the trial count progress. A wrong name or page may keep the
/// check DOWN even with the right file.
fn of_file(trial: Trial, known: &KnownValue) -> Trial {
    let other = format!("{} ({})", known.of, known.word);
    let trial = trial.counting_progress();
    trial
        .with("other", other)
        .with("meant-file", known.value.clone())
        .with("meant-word", known.word.clone())
}

/// Returns trials with the CAs of this host, with Mozilla's, and with each `ca-file` that haproxy.cfg names
/// elsewhere.
fn other_roots(facts: &Facts) -> Vec<Trial> {
    let by_roots = |fault: &CertificateFailure| {
        !matches!(
            fault,
            CertificateFailure::OtherName { .. }
                | CertificateFailure::ExpiresSoon { .. }
                | CertificateFailure::NotYetValid { .. }
                | CertificateFailure::Limit(_)
        )
    };
    let applies = matches!(facts.failure(), Some(Failure::Certificate(fault)) if by_roots(fault));
    if facts.options.verify == Some(Verify::None) || !applies {
        return Vec::new();
    }
    let given = facts.options.ca_file.clone();
    let all = [
        ("@system-ca", "a CA that this host trusts (@system-ca)"),
        ("@bundled", "a public CA (@bundled)"),
    ];
    let others = all
        .into_iter()
        .filter(|(roots, _)| given != [*roots] && !(given.is_empty() && *roots == "@bundled"));
    let trial = |roots: &str| Trial::new(facts, |options| options.ca_file = vec![roots.to_owned()]);
    let of_host = others.map(|(roots, words)| {
        let trial = trial(roots).with("meant-roots", roots);
        trial.with("other-roots", words)
    });
    let of_others = facts.known("--ca-file").map(|known| {
        let words = format!("a CA in the ca-file of {} ({})", known.of, known.value);
        let trial = trial(&known.value).with("meant-roots", known.value.clone());
        let trial = trial.with("meant-ca-file", known.value.clone());
        trial.with("other-roots", words).counting_progress()
    });
    of_host.chain(of_others).collect()
}
