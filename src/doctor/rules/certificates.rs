//! Rules that compare how a server's check and visitors' traffic use certificates: trusted roots, verified
//! names, revocation lists, client certificates.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::{Sni, Tls, Verified};
use crate::haproxy::config::place::At;
use crate::plan::Trust;

use super::difference::Pair;
use super::names::{bare, is_literal, misspelt};
use super::serve_files::FOLDER;
use crate::doctor::finding::{Effect, Finding, Sides};
use crate::doctor::visit::{Visit, Watch};

/// Finds a check and traffic that trust different roots. Also finds a CA file without a root. In both cases,
/// the server's certificate may be accepted by the check but not by traffic, or the other way round.
pub(crate) fn roots(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    if check.verified == Verified::Nothing || traffic.verified == Verified::Nothing {
        return None;
    }
    let ca_file = traffic.ca_file.as_ref()?;
    let global = &visit.config.global;
    // If HAProxy can't read a file, `haproxy -c` already reports that.
    let of_file = |file: &At<String>| match global.ca_path(&file.value).as_str() {
        path if path.starts_with(['/', '@']) => Trust::of(path).ok(),
        // doctor doesn't know HAProxy's working folder.
        _ => None,
    };
    let of_check = check.ca_file.as_ref();
    let ours = match &watch.own {
        Some(own) => own.plan.tls.verification.as_ref()?.trust.clone(),
        None if of_check.is_none_or(|file| file.value == ca_file.value) => return None,
        None => Arc::new(of_file(of_check?)?),
    };
    if ca_file.value == "@system-ca" && ours.is_bundled() {
        return None;
    }
    let theirs = of_file(ca_file)?;
    let trusted = match (ours.is_bundled(), of_check) {
        (_, Some(file)) => format!("the roots of {}", file.value),
        (true, None) => "Mozilla's roots (no --ca-file)".to_owned(),
        (false, None) => "the roots of --ca-file".to_owned(),
    };
    let (known, used): (BTreeSet<&[u8]>, BTreeSet<&[u8]>) =
        (keys(&ours).collect(), keys(&theirs).collect());
    let file = &ca_file.value;
    let are_files = ours.anchors().is_empty() && !file.starts_with('@');
    let is_small = known.len() + used.len() < MANY;
    let finding = match known.is_disjoint(&used) {
        _ if known == used && !known.is_empty() => return None,
        _ if are_files && (known.is_empty() || used.is_empty()) => {
            let (effect, whose) = match known.is_empty() {
                true => (Effect::Down, "the check's CA file has"),
                false => (Effect::Up, "traffic's CA file has"),
            };
            let what = format!(
                "{whose} no root certificate: HAProxy and sni-check don't trust an intermediate without its root"
            );
            Finding::note(effect, what)
        }
        false if are_files && is_small => {
            let what = format!(
                "check and traffic have only some trusted roots in common: traffic trusts the roots of {file}, and \
                 the check trusts {trusted}"
            );
            Finding::note(Effect::Either, what)
        }
        false => return None,
        true => {
            let what = format!(
                "traffic trusts the roots of {file}, but the check trusts {trusted}: they have no root in \
                 common"
            );
            match are_files {
                // One of these private CAs may have cross-signed the root of the other CA.
                true => Finding::note(Effect::Either, what),
                false => Finding::problem(Effect::Either, what),
            }
        }
    };
    Some(with_advice(visit, &pair, ca_file, finding))
}

/// A bundle of public CAs has at least this many roots.
const MANY: usize = 40;

/// Adds to the finding what HAProxy shows if the trusted roots differ, and how to make check and traffic
/// trust the same roots.
fn with_advice(visit: &Visit, pair: &Pair, ca_file: &At<String>, finding: Finding) -> Finding {
    let carrier = pair.watch.carrier().unwrap_or_default();
    // sni-check doesn't read `ca-base`, so the advice needs the whole path.
    let file = visit.config.global.ca_path(&ca_file.value);
    let (file, copy) = readable(visit, pair.watch, file);
    finding
        .at(&ca_file.place)
        .shows(format!(
            "{} if the server's certificate is from traffic's CA; UP while visitors get 503 \
             if it is from the check's CA",
            pair.down("55 or 56", "L6RSP")
        ))
        .foretells(&["55", "56", "L6RSP"])
        .write_for(
            "the server's certificate is from the check's CA",
            Sides {
                traffic: "write the check's CA as ca-file on the server line".to_owned(),
                check: format!("--ca-file {file} in {carrier}{copy}"),
            },
        )
}

/// Returns the path of this CA file for the check's options. The second text is the end of the advice, and
/// says what the check needs in order to read the file. This text may be empty.
fn readable(visit: &Visit, watch: &Watch, file: String) -> (String, String) {
    let Check::Serve(check) = &watch.check else {
        let is_jailed = matches!(watch.check, Check::External(_)) && visit.jail.is_chroot();
        let copy = is_jailed.then_some(", with a copy inside the chroot");
        return (file, copy.unwrap_or_default().to_owned());
    };
    let path = Path::new(&file);
    let Some(process) = visit.serving.of(check) else {
        let limit = "; sni-check serve reads this file only if it is below a folder of --files";
        return (file, limit.to_owned());
    };
    if file.starts_with('@') || process.files().may_be_named(path) {
        return (file, String::new());
    }
    let (folder, more) = match process.folders().first() {
        Some(folder) => (folder.as_str(), String::new()),
        None => (
            FOLDER,
            format!(", and --files {FOLDER} for sni-check serve"),
        ),
    };
    let name = path.file_name().unwrap_or_default();
    let inside = Path::new(folder).join(name).display().to_string();
    let copy = format!(", with a copy of {file} there{more}");
    (inside, copy)
}

/// Returns the public keys of all trusted roots. OpenSSL and sni-check don't trust an intermediate without
/// its root, unless the file marks the intermediate as trusted (`TRUSTED CERTIFICATE`).
fn keys(trust: &Trust) -> impl Iterator<Item = &[u8]> {
    let bundled = trust.anchors().iter();
    let bundled = bundled.map(|anchor| anchor.subject_public_key_info.as_ref());
    let roots = trust.certificates().iter().filter_map(|certificate| {
        let parts = certificate.parts()?;
        let is_root = parts.issuer == parts.subject || certificate.explicitly == Some(true);
        is_root.then_some(parts.key)
    });
    bundled.chain(roots)
}

/// Finds a check and traffic that verify different names. Leaves out names that differ only because check and
/// traffic send different SNI names.
pub(crate) fn other_name(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let Verified::Name(verified) = &check.verified else {
        return None;
    };
    if misspelt(verified).is_some() {
        return None;
    }
    let settings = &watch.server.settings;
    let what = match &traffic.verified {
        Verified::Name(name) if bare(name).eq_ignore_ascii_case(verified) || is_literal(name) => {
            return None;
        }
        Verified::Name(name) => format!(
            "the check verifies that the certificate is for {verified}, but traffic verifies that it is for \
             {name}"
        ),
        Verified::Chain => format!(
            "the check verifies that the certificate is for {verified}, but traffic verifies no name"
        ),
        Verified::Nothing | Verified::PerRequest => return None,
    };
    // If the verified name is the SNI name, the rules about SNI report the difference.
    let follows = |tls: &Tls| match (&tls.sni, &tls.verified) {
        (Sni::Name(sni), Verified::Name(name)) => sni == name,
        (Sni::Absent, Verified::Name(_)) => false,
        _ => true,
    };
    let is_about_sni = matches!((&check.sni, &traffic.sni), (Sni::Name(_), Sni::Absent));
    if follows(check) && (follows(traffic) || is_about_sni) {
        return None;
    }
    let sides = Sides {
        traffic: match traffic.sni {
            Sni::Absent => format!("verifyhost {verified} on the server line"),
            _ => format!("sni str({verified}) on the server line"),
        },
        check: match (&traffic.verified, watch.carrier()) {
            (Verified::Name(name), Some(carrier)) => {
                format!("--verify-host {} in {carrier}", bare(name))
            }
            (_, Some(carrier)) => {
                format!("--verify-host NAME in {carrier}, where NAME is a name in the certificate")
            }
            (Verified::Name(name), None) => pair.send(visit, bare(name)),
            (_, None) => "remove verifyhost from the line of the checked server".to_owned(),
        },
    };
    let finding = Finding::note(Effect::Either, what)
        .at(settings
            .place("verifyhost")
            .or(settings.place("sni"))
            .unwrap_or(&watch.server.place))
        .shows(format!(
            "{} if the certificate is only for traffic's name; UP while visitors get 503 if it \
             is only for the check's name",
            pair.down("54", "L6RSP")
        ))
        .foretells(&["54", "L6RSP"]);
    let condition = format!("{verified} is the name in the server's certificate");
    Some(match traffic.sni {
        Sni::Absent => finding.write_for(&condition, sides),
        // Traffic sends SNI, so the name that traffic verifies is most likely right.
        _ => finding.write_check(sides),
    })
}

pub(crate) fn traffic_verifies_nothing(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    if check.verified == Verified::Nothing || traffic.verified != Verified::Nothing {
        return None;
    }
    let settings = &watch.server.settings;
    let place = settings
        .place("verify")
        .or(visit.config.global.verify_none.as_ref())?;
    let what = "`verify none`: traffic accepts any certificate, but the check does not";
    Some(
        Finding::note(Effect::Down, what)
            .at(place)
            .shows(format!(
                "{} while traffic still works; and HAProxy sends visitors' requests to any server that answers, \
                 even to an impostor",
                pair.down("51 to 58", "L6RSP")
            ))
            .foretells(&["51", "53", "54", "55", "56", "57", "58", "L6RSP"])
            .write(
                "use the CA that signed the server's certificate for both: write verify required ca-file FILE on the \
                 server line, and --ca-file FILE in the check's options",
            ),
    )
}

pub(crate) fn check_verifies_nothing(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    if pair.check.tls.as_ref()?.verified != Verified::Nothing {
        return None;
    }
    let strict = pair
        .traffic
        .tls
        .as_ref()
        .is_some_and(|tls| tls.verified != Verified::Nothing);
    let (what, up) = match watch.carrier() {
        Some(_) => (
            "--verify none: the check accepts any certificate",
            "code 0 (UP)",
        ),
        // `verify none` on the server line applies to traffic, too, so there is no difference.
        None if !strict => return None,
        None => (
            "the check accepts any certificate (`verify none`), but traffic does not",
            "UP",
        ),
    };
    let up = format!("{up} even if the certificate has expired, is forged, or is another site's");
    let finding = match strict {
        true => Finding::note(Effect::Up, what).shows(format!("{up}, while visitors get 503")),
        false => Finding::hint(what).shows(up),
    };
    let carrier = watch.carrier().unwrap_or("the server line");
    Some(finding.at(watch.options_place()).write(format!(
        "remove --verify none from {carrier}; for a private CA add --ca-file FILE"
    )))
}

/// Finds a client certificate (`crt`) that only the check or only traffic sends.
pub(crate) fn client_certificate(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let check = pair.check.tls.as_ref()?;
    let Some(traffic) = &pair.traffic.tls else {
        return visitors_own_certificate(&pair, check);
    };
    let (effect, what, shows, write) = match (&traffic.crt, &check.crt) {
        (Some(crt), None) => (
            Effect::Down,
            format!(
                "traffic sends the client certificate {}, but the check sends none",
                crt.value
            ),
            match watch.carrier() {
                Some(_) => {
                    "code 58, or 71 with status 400 or 403 (DOWN), where the server requires a client certificate"
                }
                None => {
                    "L6RSP, L7RSP or L7STS (DOWN) where the server requires a client certificate"
                }
            },
            match watch.carrier() {
                None => "crt FILE on the server line",
                Some("external-check path") if !visit.jail.is_chroot() => {
                    "--crt FILE in external-check path, with a file that HAProxy's user may read"
                }
                Some("external-check path") => {
                    "--crt FILE in external-check path, with a copy of the file in HAProxy's chroot"
                }
                Some(_) => {
                    "--crt FILE in X-Check-Options, with a file that sni-check serve may read"
                }
            },
        ),
        (None, Some(_)) => (
            Effect::Up,
            "the check sends a client certificate, but traffic sends none".to_owned(),
            "UP while the server refuses visitors, where it requires a client certificate",
            "crt FILE on the server line",
        ),
        _ => return None,
    };
    let place = traffic
        .crt
        .as_ref()
        .map_or(&watch.server.place, |crt| &crt.place);
    Some(
        Finding::note(effect, what)
            .at(place)
            .shows(shows)
            .foretells(&["58", "71", "L6RSP", "L7RSP", "L7STS"])
            .write(write),
    )
}

/// Finds a check with a client certificate in `mode tcp`. In this mode, visitors may speak TLS to the server
/// through HAProxy, with their own certificates.
fn visitors_own_certificate(pair: &Pair, check: &Tls) -> Option<Finding> {
    let crt = check
        .crt
        .as_ref()
        .filter(|_| !pair.watch.backend.settings.http)?;
    let what =
        "the check sends a client certificate, but in `mode tcp` every visitor needs their own";
    Some(
        Finding::note(Effect::Up, what)
            .at(&crt.place)
            .shows("UP while the server refuses visitors without a certificate")
            .write("change nothing if every visitor has a client certificate"),
    )
}

/// Finds revocation lists (`crl-file`) that only traffic uses.
pub(crate) fn revocation(_: &Visit, watch: &Watch) -> Option<Finding> {
    let pair = Pair::of(watch)?;
    let (check, traffic) = pair.tls()?;
    let lists = traffic.crl_file.as_ref()?;
    if check.crl_file.is_some() || check.verified == Verified::Nothing {
        return None;
    }
    let what = "traffic refuses revoked certificates (`crl-file`), but the check accepts them";
    Some(
        Finding::note(Effect::Up, what)
            .at(&lists.place)
            .shows("UP while visitors get 503, once the server's certificate is revoked")
            .write(match watch.carrier() {
                Some(carrier) => {
                    format!("--crl-file FILE in {carrier}, with a copy where the check can read it")
                }
                None => "crl-file FILE on the server line".to_owned(),
            }),
    )
}

pub(crate) fn verifyhost_ignored(_: &Visit, watch: &Watch) -> Option<Finding> {
    let traffic = watch.traffic.tls.as_ref()?;
    let verifyhost = watch.server.settings.get("verifyhost")?;
    let Verified::Name(verified) = &traffic.verified else {
        return None;
    };
    if verified.eq_ignore_ascii_case(&verifyhost.value) || is_literal(verified) {
        return None;
    }
    let what = format!(
        "HAProxy ignores `verifyhost {}` here: with `sni` it verifies that the certificate is for {verified}",
        verifyhost.value
    );
    Some(
        Finding::hint(what)
            .at(&verifyhost.place)
            .shows("503 for visitors if the certificate is only for the name in verifyhost")
            .write("remove verifyhost, or send that name as SNI"),
    )
}
