//! The server's certificate and the certificates of its issuers.

use std::net::IpAddr;

use super::cause::{Cause, Place, Trial, Weight, at};
use super::facts::Facts;
use crate::certificate::{Certificate, CertificateFailure, Parts, Uses};
use crate::code::Code;
use crate::options::values::Days;
use crate::plan::Trusted;

pub(super) const CAUSES: &[Cause] = &[
    Cause {
        id: "certificate-expired",
        shows_as: &[at(Code::CertificateExpired, 1)],
        what: "The server's own certificate has expired.",
        confirm: "sni-check diagnose --verbose shows when each certificate of the chain expires.",
        change: "Renew the certificate on the server, and reload the server. `verify none` would only hide the problem, for visitors' traffic too.",
        weigh: |facts| Weight::Proved.when(expired(facts) == Some(Expired::Leaf)),
        ..Cause::BASE
    },
    Cause {
        id: "server-not-reloaded",
        shows_as: &[
            at(Code::CertificateExpired, 2),
            at(Code::CertificateExpiresSoon, 2),
        ],
        what: "The certificate was renewed, but the server still uses the old one.",
        confirm: "Compare the file on the server (openssl x509 -enddate -in FILE) with what the server sends.",
        change: "Reload the server, and make each renewal reload it.",
        ..Cause::BASE
    },
    Cause {
        id: "intermediate-expired",
        shows_as: &[at(Code::CertificateExpired, 3)],
        what: "An intermediate certificate that the server sends has expired ({subject}). The server's own certificate is still valid.",
        confirm: "The check's line names the expired certificate.",
        change: "Install the CA's current intermediate certificate on the server (a new fullchain.pem). The server's own certificate needs no renewal.",
        weigh: |facts| {
            let by_server = expired(facts) == Some(Expired::Issuer);
            Weight::Proved.when(by_server && old_root(facts).is_none())
        },
        ..Cause::BASE
    },
    Cause {
        id: "old-root-expired",
        shows_as: &[at(Code::CertificateExpired, 8)],
        place: Place::Files,
        what: "The CA's old root ({old-root}) in {roots} has expired. So has the certificate that the old root issued for the CA's newer root ({subject}).",
        confirm: "openssl x509 -enddate -in FILE shows when the first certificate in a file expires. The check's line names the expired certificate that the server sends.",
        change: "Put the CA's current root ({subject}, self-signed) into that file. A different chain on the server doesn't help as long as the file has only the old root. {reload}",
        weigh: |facts| {
            let by_server = expired(facts) == Some(Expired::Issuer);
            Weight::Proved.when(by_server && old_root(facts).is_some())
        },
        ..Cause::BASE
    },
    Cause {
        id: "ca-file-expired",
        shows_as: &[at(Code::CertificateExpired, 4)],
        place: Place::Files,
        what: "The CA's own certificate has expired ({subject}). The expired certificate is in {roots}.",
        confirm: "openssl x509 -enddate -in FILE shows when the first certificate in a file expires.",
        change: "Put the CA's current certificate into that file. {reload}",
        weigh: |facts| Weight::Proved.when(expired(facts) == Some(Expired::InFile)),
        ..Cause::BASE
    },
    Cause {
        id: "clock-ahead",
        shows_as: &[at(Code::CertificateExpired, 6)],
        place: Place::Host,
        what: "The clock of this host is ahead.",
        confirm: "date -u",
        change: "Set this host's clock, and keep it correct with NTP.",
        ..Cause::BASE
    },
    Cause {
        id: "clock-behind",
        shows_as: &[at(Code::CertificateNotYetValid, 1)],
        place: Place::Host,
        what: "The clock of this host is behind.",
        confirm: "date -u",
        change: "Set this host's clock, and keep it correct with NTP.",
        ..Cause::BASE
    },
    Cause {
        id: "certificate-of-tomorrow",
        shows_as: &[at(Code::CertificateNotYetValid, 2)],
        what: "The certificate is not valid yet, or the clock of the host that issued it is ahead.",
        confirm: "sni-check diagnose --verbose shows when each certificate becomes valid.",
        change: "Install a currently valid certificate on the server.",
        ..Cause::BASE
    },
    Cause {
        id: "wildcard-too-short",
        shows_as: &[at(Code::CertificateForOtherName, 4)],
        what: "{wildcard} covers only one label, so it does not cover {wanted}.",
        confirm: "sni-check diagnose shows all names of the certificate.",
        change: "Have a certificate issued that also covers {wanted}.",
        weigh: |facts| Weight::Proved.when(wildcard(facts).is_some()),
        ..Cause::BASE
    },
    Cause {
        id: "certificate-without-name",
        shows_as: &[at(Code::CertificateForOtherName, 6)],
        what: "The server knows {wanted}, but the certificate that it sends for this name was issued for other names.",
        confirm: "sni-check diagnose shows all names of the certificate.",
        change: "Have a certificate issued for {wanted}, as a DNS name, and install it on the server.",
        weigh: |facts| {
            let known = facts
                .tls
                .as_ref()
                .is_some_and(|tls| !tls.is_default_certificate());
            let nameless = other_name(facts).is_some_and(|(_, presented)| presented.is_empty());
            let covers = wildcard(facts).is_some() || has_only_addresses(facts);
            Weight::Likely.when((known || nameless) && !covers)
        },
        ..Cause::BASE
    },
    Cause {
        id: "name-of-another-form",
        shows_as: &[at(Code::CertificateForOtherName, 7)],
        what: "The certificate has the name in another form: as an IP address, an email address or a URI. HAProxy compares only DNS names and the common name.",
        confirm: "sni-check diagnose shows all names of the certificate.",
        change: "Have a certificate issued that has the name as a DNS name.",
        weigh: |facts| {
            let name = other_name(facts).filter(|_| !has_only_addresses(facts));
            Weight::Proved.when(name.is_some_and(|(wanted, presented)| presented.contains(wanted)))
        },
        ..Cause::BASE
    },
    Cause {
        id: "issuer-not-sent",
        shows_as: &[at(Code::IssuerUnknown, 2)],
        what: "The server doesn't send the certificate of {issuer}. If that CA is an intermediate, its certificate links the server's own certificate to a trusted CA. Many browsers fetch that certificate themselves, which hides the problem.",
        confirm: "{issuer} is an intermediate if the CA's documentation lists it below a root.",
        change: "Install the full chain on the server (fullchain.pem).",
        weigh: |facts| match unknown_issuer(facts) {
            Some(issuer) if issuer.is_plain(facts) => match facts.chain() {
                [leaf] if has_issuer_location(leaf) || trusts_chosen_roots(facts) => Weight::Likely,
                [_] => Weight::Possible,
                _ => Weight::RuledOut,
            },
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "ca-unknown",
        shows_as: &[at(Code::IssuerUnknown, 1)],
        place: Place::Value,
        what: "{issuer} signed the certificate, but this CA is not in {roots}.",
        confirm: "Find out whether {issuer} is a CA of your company.",
        change: "Get the certificate of that CA. Use it with <--ca-file FILE, and with |>ca-file FILE on the server line.< An external check reads FILE inside HAProxy's chroot.|> {reload}",
        weigh: |facts| match unknown_issuer(facts) {
            // A leaf of a public CA says where its issuer's certificate can be fetched. The default
            // roots contain public CAs, so this cause is then less likely.
            Some(issuer) if issuer.is_plain(facts) => match facts.chain() {
                [leaf] if has_issuer_location(leaf) && !trusts_chosen_roots(facts) => {
                    Weight::Possible
                }
                _ => Weight::Likely,
            },
            _ => Weight::RuledOut,
        },
        ..Cause::BASE
    },
    Cause {
        id: "root-not-in-ca-file",
        shows_as: &[at(Code::IssuerUnknown, 3)],
        place: Place::Files,
        what: "<--ca-file|The file of ca-file> contains {below}, but not its issuer {issuer}. HAProxy needs the chain up to a root.",
        confirm: "The check's line names the certificate in the file and the missing issuer.",
        change: "Add the certificate of {issuer} to the file of <--ca-file, and of |>ca-file on the server line. {reload}",
        weigh: |facts| {
            let issuer = unknown_issuer(facts);
            Weight::Proved.when(issuer.is_some_and(|issuer| issuer.below.is_some()))
        },
        ..Cause::BASE
    },
    Cause {
        id: "self-signed",
        shows_as: &[at(Code::IssuerUnknown, 4)],
        place: Place::Value,
        what: "The certificate is self-signed ({issuer}): no CA vouches for the server. It may be the server's default certificate.",
        confirm: "The check's line says self-signed.",
        change: "Install a certificate from a CA. If the certificate is meant to be self-signed, copy it from the server into a file, and trust that file: <--ca-file FILE, and |>ca-file FILE on the server line.",
        weigh: |facts| {
            let issuer = unknown_issuer(facts);
            let own = issuer.is_some_and(|issuer| issuer.self_signed && facts.chain().len() < 2);
            Weight::Proved.when(own && self_signed_namesake(facts).is_none())
        },
        ..Cause::BASE
    },
    Cause {
        id: "self-signed-replaced",
        shows_as: &[at(Code::IssuerUnknown, 10)],
        place: Place::Files,
        what: "The server sends a self-signed certificate that differs from the certificate with the same name ({issuer}) in {roots}. Most likely the server has a new certificate.",
        confirm: "openssl x509 -fingerprint -in FILE shows a fingerprint different from the server certificate's.",
        change: "If the server's operator made the new certificate, copy it from the server into the file. {reload}",
        weigh: |facts| Weight::Proved.when(self_signed_namesake(facts).is_some()),
        ..Cause::BASE
    },
    Cause {
        id: "ca-key-changed",
        shows_as: &[at(Code::IssuerUnknown, 11), at(Code::CertificateInvalid, 5)],
        place: Place::Files,
        what: "The CA {namesake} in {roots} doesn't have the key that signed the certificate. Most likely the CA has a new key, and the file or the server's certificate is from before the change.",
        confirm: "Ask the CA's operator. If the key has not changed, the certificate is not from this CA: find out which host answers at this address.",
        change: "Add the CA's current certificate to the file, or have the server's certificate renewed. {reload}",
        weigh: |facts| Weight::Proved.when(namesake(facts).is_some()),
        ..Cause::BASE
    },
    Cause {
        id: "tls-intercepted",
        shows_as: &[at(Code::IssuerUnknown, 5)],
        place: Place::Network,
        what: "A proxy between this host and the server decrypts TLS and signs certificates with its own CA.",
        confirm: "The issuer is the proxy's CA. From another network, the certificate has a different issuer.",
        change: "Exclude HAProxy's traffic from that proxy.",
        ..Cause::BASE
    },
    Cause {
        id: "certificate-revoked",
        shows_as: &[at(Code::CertificateInvalid, 1)],
        what: "A certificate of the chain is revoked: its CA has declared it invalid.",
        confirm: "openssl crl -text -in FILE lists the certificate's serial number.",
        change: "Have a new certificate issued, with a new key, and install it on the server.",
        weigh: |facts| {
            Weight::Proved.when(fault(facts, |fault| {
                matches!(fault, CertificateFailure::Revoked(_))
            }))
        },
        ..Cause::BASE
    },
    Cause {
        id: "revocation-list-missing",
        shows_as: &[at(Code::CertificateInvalid, 2)],
        place: Place::Files,
        what: "{lists}.",
        confirm: "openssl crl -nextupdate -issuer -in FILE shows whose list it is and when it expires. Each issuer of the chain needs a current list.",
        change: "Get the CA's current list. Use it with <--crl-file {crl-file}, and with |>crl-file on the server line. {reload}",
        weigh: |facts| {
            let missing =
                |fault: &CertificateFailure| matches!(fault, CertificateFailure::NoValidList(_));
            Weight::Proved.when(fault(facts, missing))
        },
        ..Cause::BASE
    },
    Cause {
        id: "signature-wrong",
        shows_as: &[at(Code::CertificateInvalid, 6)],
        what: "A signature in the chain is wrong: an issuer's certificate has the right name, but its key didn't make the signature.",
        confirm: "openssl verify -CAfile FILE -untrusted CHAIN CERTIFICATE says `signature failure`.",
        change: "Install the certificate and its chain on the server together, as the CA sent them.",
        weigh: |facts| {
            let wrong = fault(facts, |fault| *fault == CertificateFailure::BadSignature);
            Weight::Likely.when(wrong && namesake(facts).is_none())
        },
        ..Cause::BASE
    },
    Cause {
        id: "certificate-unsuitable",
        shows_as: &[at(Code::CertificateInvalid, 3)],
        what: "A certificate of the chain can't be used here. It may be only for clients (extended key usage). Its key usage or basic constraints may forbid its use for TLS or for issuing. Or it has a key or signature that HAProxy's library refuses as unsafe.",
        confirm: "The check's line names the certificate and what is wrong. openssl x509 -text -in FILE shows its extensions.",
        change: "Get a server certificate from a CA that is allowed to issue certificates.",
        weigh: |facts| {
            let invalid =
                |fault: &CertificateFailure| matches!(fault, CertificateFailure::Invalid(_));
            Weight::Likely.when(fault(facts, invalid))
        },
        ..Cause::BASE
    },
    Cause {
        id: "issuer-constrained",
        shows_as: &[at(Code::CertificateInvalid, 7)],
        what: "The issuer isn't allowed to issue certificates for this name, or isn't allowed to have another CA below it (constraints).",
        confirm: "openssl x509 -text -in FILE, with the issuer's file, shows name constraints and path length.",
        change: "Have the certificate issued by the right CA.",
        weigh: |facts| {
            let invalid =
                |fault: &CertificateFailure| matches!(fault, CertificateFailure::Invalid(_));
            Weight::Possible.when(fault(facts, invalid))
        },
        ..Cause::BASE
    },
    Cause {
        id: "certificate-not-judged",
        shows_as: &[at(Code::CertificateInvalid, 4)],
        place: Place::Config,
        what: "The certificate may be good, but sni-check can't judge it (a limit of sni-check): it doesn't support the certificate's form, key or signature.",
        confirm: "The check's line says `limit of sni-check`. docs/limits.md lists the limits.",
        change: "Use HAProxy's own check for this server: check-sni on the server line.",
        weigh: |facts| {
            Weight::Likely.when(fault(facts, |fault| {
                matches!(fault, CertificateFailure::Limit(_))
            }))
        },
        ..Cause::BASE
    },
    Cause {
        id: "certificate-ends-soon",
        shows_as: &[at(Code::CertificateExpiresSoon, 1)],
        what: "A certificate of the chain expires within --min-cert-days. The renewal is late or doesn't work. HAProxy sends the server no visitors, because the check is DOWN.",
        confirm: "The check's line names the certificate and how many days are left. Look at the renewal's log on the server.",
        change: "Renew the certificate on the server. If it has already been renewed, reload the server. Until then, use --warn-cert-days {days} in place of --min-cert-days: the server is then UP, and the check only warns.",
        trials: warning,
        ..Cause::BASE
    },
    Cause {
        id: "min-days-too-high",
        shows_as: &[at(Code::CertificateExpiresSoon, 3)],
        place: Place::Config,
        what: "--min-cert-days is too high: the certificate is renewed later than the option demands.",
        confirm: "Find out when the renewal is due: often 30 days before the certificate expires, less for short-lived certificates.",
        change: "Lower --min-cert-days, or use --warn-cert-days, which only prints a warning.",
        ..Cause::BASE
    },
];

/// Returns true if the chain has a fault of this kind.
fn fault(facts: &Facts, is: impl Fn(&CertificateFailure) -> bool) -> bool {
    facts.faults().into_iter().any(is)
}

/// Whose certificate has expired.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expired {
    /// The server's own certificate.
    Leaf,
    /// An issuer's certificate that the server sends.
    Issuer,
    /// A certificate that the server doesn't send. The expired copy is in a file on this host.
    InFile,
}

fn expired(facts: &Facts) -> Option<Expired> {
    let subject = expired_subject(facts)?;
    let is_it = |der| {
        let certificate = Certificate::read(der);
        certificate.is_some_and(|read| read.subject == subject && read.not_after < facts.now)
    };
    Some(match facts.chain().iter().position(is_it) {
        Some(0) => Expired::Leaf,
        Some(_) => Expired::Issuer,
        None => Expired::InFile,
    })
}

/// Returns the subject of the expired certificate.
pub(super) fn expired_subject(facts: &Facts) -> Option<&str> {
    let mut faults = facts.faults().into_iter();
    faults.find_map(|fault| match fault {
        CertificateFailure::Expired { subject, .. } => Some(subject.as_str()),
        _ => None,
    })
}

/// Returns the name of the root in `--ca-file` that issued the expired certificate, if all roots with this
/// name have expired too.
pub(super) fn old_root(facts: &Facts) -> Option<String> {
    let subject = expired_subject(facts)?;
    let mut sent = facts.parts();
    let old_root = sent
        .find(|parts| parts.subject_text() == subject)?
        .issuer_text();
    let mut roots = trusted(facts)
        .filter(|root| root.subject_text() == old_root)
        .peekable();
    let now = i64::try_from(facts.now.as_secs()).ok()?;
    let has_expired = |root: Parts<'_>| root.not_after.is_some_and(|end| end < now);
    (roots.peek().is_some() && roots.all(has_expired)).then_some(old_root)
}

/// Returns true if the certificate has IP addresses and no other names.
pub(super) fn has_only_addresses(facts: &Facts) -> bool {
    let Some((_, presented)) = other_name(facts) else {
        return false;
    };
    let mut names = presented.iter();
    !presented.is_empty() && names.all(|name| name.parse::<IpAddr>().is_ok())
}

/// Returns the verified name and the names of the certificate, if they don't match.
pub(super) fn other_name(facts: &Facts) -> Option<(&String, &Vec<String>)> {
    let mut faults = facts.faults().into_iter();
    faults.find_map(|fault| match fault {
        CertificateFailure::OtherName { wanted, presented } => Some((wanted, presented)),
        _ => None,
    })
}

/// Returns a wildcard of the certificate that would cover the name if a wildcard covered several labels.
pub(super) fn wildcard(facts: &Facts) -> Option<&String> {
    let (wanted, presented) = other_name(facts)?;
    presented.iter().find(|name| {
        let domain = name.strip_prefix("*.");
        let rest = domain.and_then(|domain| wanted.strip_suffix(domain));
        rest.is_some_and(|rest| rest.trim_end_matches('.').contains('.'))
    })
}

/// A missing issuer: no root completes the chain.
pub(super) struct UnknownIssuer<'a> {
    pub issuer: &'a str,
    /// True if the certificate is its own issuer.
    pub self_signed: bool,
    /// The certificate in `--ca-file` that the missing issuer has issued.
    pub below: Option<&'a str>,
}

impl UnknownIssuer<'_> {
    /// Returns true if no more specific cause applies.
    fn is_plain(&self, facts: &Facts) -> bool {
        let alone = self.self_signed && facts.chain().len() < 2;
        self.below.is_none() && !alone && namesake(facts).is_none()
    }
}

pub(super) fn unknown_issuer(facts: &Facts) -> Option<UnknownIssuer<'_>> {
    let mut faults = facts.faults().into_iter();
    faults.find_map(|fault| match fault {
        CertificateFailure::IssuerUnknown {
            issuer,
            self_signed,
            below,
        } => Some(UnknownIssuer {
            issuer,
            self_signed: *self_signed,
            below: below.as_deref(),
        }),
        _ => None,
    })
}

/// Returns true if the check trusts certificates from files, or the roots of the system.
fn trusts_chosen_roots(facts: &Facts) -> bool {
    let rules = facts.plan.tls.verification.as_ref();
    rules.is_some_and(|rules| !rules.trust.is_bundled())
}

/// Returns true if a certificate says where its issuer's certificate can be fetched
/// (authorityInfoAccess, RFC 5280, section 4.2.2.1), as certificates of public CAs do.
fn has_issuer_location(leaf: &rustls::pki_types::CertificateDer<'_>) -> bool {
    const AUTHORITY_INFORMATION_ACCESS: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 1, 1];
    let parts = Parts::read(leaf);
    parts.is_some_and(|parts| parts.extension(AUTHORITY_INFORMATION_ACCESS).is_some())
}

fn trusted(facts: &Facts) -> impl Iterator<Item = Parts<'_>> {
    let rules = facts.plan.tls.verification.as_ref();
    let trusted = rules.map_or(&[][..], |rules| rules.trust.certificates());
    trusted.iter().filter_map(Trusted::parts)
}

/// Returns the name of a self-signed leaf, if `--ca-file` has another certificate with this name.
fn self_signed_namesake(facts: &Facts) -> Option<String> {
    let issuer = unknown_issuer(facts)?;
    let alone = issuer.self_signed && facts.chain().len() < 2;
    let known = trusted(facts).any(|ca| ca.subject_text() == issuer.issuer);
    (alone && known).then(|| issuer.issuer.to_owned())
}

/// Returns the name of the CA that signed a certificate of the chain, if `--ca-file` has a CA with this name
/// but another key.
pub(super) fn namesake(facts: &Facts) -> Option<String> {
    let of_name = |name: &str| {
        let cas = trusted(facts).filter(|ca| ca.subject_text() == name);
        cas.collect::<Vec<_>>()
    };
    if let Some(UnknownIssuer {
        issuer,
        below: None,
        self_signed,
    }) = unknown_issuer(facts)
    {
        let namesakes = of_name(issuer);
        let by_another = |ca: &Parts<'_>| {
            let mut signed = facts.parts().filter(|parts| parts.issuer_text() == issuer);
            signed.any(|parts| is_by_another(&parts, ca))
        };
        let alone = self_signed && facts.chain().len() < 2;
        let found = !alone && !namesakes.is_empty() && namesakes.iter().all(by_another);
        return found.then(|| issuer.to_owned());
    }
    if fault(facts, |fault| *fault == CertificateFailure::BadSignature) {
        // Without key identifiers, only the bad signature shows that the CA has a different key.
        let top = facts.parts().map(|parts| parts.issuer_text()).last();
        return top.filter(|name| !of_name(name).is_empty());
    }
    None
}

/// Returns true if the key of `ca` can't have signed the certificate, which names `ca` as its issuer.
fn is_by_another(signed: &Parts<'_>, ca: &Parts<'_>) -> bool {
    let (wanted, own) = (Uses::read(signed).authority.key_id, Uses::read(ca).key_id);
    let other_id = wanted.zip(own).is_some_and(|(wanted, own)| wanted != own);
    let other_root = signed.is_self_issued() && signed.key != ca.key;
    other_id || other_root || !ca.key_signs(signed.signed.algorithm)
}

/// Returns a trial in which the check only warns about a certificate that expires soon.
fn warning(facts: &Facts) -> Vec<Trial> {
    let mut faults = facts.faults().into_iter();
    let limit = faults.find_map(|fault| match fault {
        CertificateFailure::ExpiresSoon { limit, .. } => Some(*limit),
        _ => None,
    });
    let Some(limit) = limit else {
        return Vec::new();
    };
    let warned = facts.options.warn_cert_days.map_or(0, |days| days.0);
    let days = Days(limit.max(warned));
    let trial = Trial::new(facts, |options| {
        options.min_cert_days = None;
        options.warn_cert_days = Some(days);
    });
    vec![trial.counting_progress().with("days", days.0.to_string())]
}
