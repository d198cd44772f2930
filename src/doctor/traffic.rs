//! What traffic does differently than the check.

use super::check::ExternalCheck;
use super::finding::Finding;
use super::judge::Good;
use super::roots;
use super::setup::Setup;
use super::sni_name;
use crate::haproxy::config::address::Endpoint;

/// Looks at the server line of a check whose options are good.
pub(super) fn look(check: &ExternalCheck, good: &Good, setup: Setup) -> Vec<Finding> {
    let mut findings = match check.server.settings.has("ssl") {
        false => vec![without_tls(check, good)],
        true => vec![
            less_strict(check, good, setup),
            roots::look(check, good),
            without_sni(check, good, setup),
            other_sni(check, good),
            other_name(check, good),
            client_certificate(check, good),
            revocation(check, good),
            http2_only(check),
        ],
    };
    findings.extend([
        proxy_header(check, good),
        source(check, good),
        detour(check),
    ]);
    let about = check.caller().to_string();
    let about = |finding: Finding| finding.about([about.clone()]);
    findings.into_iter().flatten().map(about).collect()
}

fn without_sni(check: &ExternalCheck, good: &Good, setup: Setup) -> Option<Finding> {
    // From 3.3 on, HAProxy sends the Host as SNI by itself.
    let by_itself = setup.haproxy.version.is_some() && setup.haproxy.at_least(3, 3);
    if check.server.settings.has("sni") || by_itself {
        return None;
    }
    let name = good.plan.names.sni.as_ref()?.as_ref();
    let what = format!("the check sends SNI {name}, traffic sends none");
    Some(
        Finding::note("traffic-without-sni", what)
            .at(&check.server.place)
            .shows("UP by the check, 503 for traffic where the server wants SNI")
            .write(format!("sni str({name}) on the server line")),
    )
}

/// A server that gets traffic in the clear. Without `mode http` it may be TLS passed through.
fn without_tls(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let elsewhere = good.options.connect.is_some() || good.options.port.is_some();
    if elsewhere || !check.backend.settings.http {
        return None;
    }
    let no_ssl = check.server.settings.place("no-ssl");
    let word = no_ssl.map_or("has no `ssl`", |_| "says `no-ssl`");
    let what =
        format!("the server line {word}: traffic goes there in plain HTTP, the check with TLS");
    Some(
        Finding::note("traffic-without-tls", what)
            .at(no_ssl.unwrap_or(&check.server.place))
            .shows("UP by the check, while a TLS port answers traffic with 400 or 502")
            .write("ssl verify required ca-file @system-ca sni str(NAME)"),
    )
}

fn less_strict(check: &ExternalCheck, good: &Good, setup: Setup) -> Option<Finding> {
    good.plan.tls.verification.as_ref()?;
    let place = match check.server.settings.get("verify") {
        Some(verify) => Some(&verify.place).filter(|_| verify.value == "none"),
        None => setup.config.global.verify_none.as_ref(),
    }?;
    let what = "`verify none`: traffic accepts any certificate, the check does not";
    Some(
        Finding::note("traffic-verifies-nothing", what)
            .at(place)
            .shows(
                "DOWN with a code from 51 to 58 where traffic would go on; and between two checks \
                 traffic trusts whoever answers",
            )
            .write("verify required ca-file @system-ca (or the file that --ca-file names)"),
    )
}

fn other_sni(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let sni = check.server.settings.get("sni")?;
    // An empty one comes from a variable that is not set here.
    let traffic = check
        .server
        .settings
        .fixed_sni()
        .filter(|name| !name.is_empty())?;
    let sent = good.plan.names.sni.as_ref().map(|name| name.as_ref());
    // Of one with a dot or a space at its end more is said elsewhere.
    let named = sni_name::bare(traffic).unwrap_or(traffic);
    if sent.is_some_and(|name| name.eq_ignore_ascii_case(named)) {
        return None;
    }
    let what = match sent {
        Some(name) => format!("the check sends SNI {name}, traffic sends {traffic}"),
        None => format!("the check sends no SNI, traffic sends {traffic}"),
    };
    Some(
        Finding::note("traffic-other-sni", what)
            .at(&sni.place)
            .shows("the check may see another site of that server than traffic does")
            .write(format!("--sni {traffic} in external-check path")),
    )
}

/// `verifyhost` is what traffic requires of the certificate.
fn other_name(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let verified = &good.plan.tls.verification.as_ref()?.name;
    let required = check.server.settings.get("verifyhost")?;
    let verified = verified.to_str();
    if verified.eq_ignore_ascii_case(&required.value) {
        return None;
    }
    let what = format!(
        "the check wants a certificate for {verified}, traffic for {} (`verifyhost`)",
        required.value
    );
    Some(
        Finding::note("traffic-other-name", what)
            .at(&required.place)
            .shows("the check and traffic may judge the same certificate differently")
            .write(format!(
                "--verify-host {} in external-check path",
                required.value
            )),
    )
}

/// `crl-file` makes traffic refuse revoked certificates.
fn revocation(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let lists = check.server.settings.get("crl-file")?;
    if !good.options.crl_file.is_empty() || good.plan.tls.verification.is_none() {
        return None;
    }
    let what = "traffic refuses revoked certificates (`crl-file`), the check does not know them";
    Some(
        Finding::note("traffic-other-revocation", what)
            .at(&lists.place)
            .shows("UP by the check, 503 for traffic, once the server's certificate is revoked")
            .write(
                "--crl-file FILE in external-check path, with a copy inside the chroot if there is one",
            ),
    )
}

/// `crt` is the certificate with which traffic shows who it is.
fn client_certificate(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let crt = check.server.settings.get("crt");
    let (what, shows, write) = match (crt, &good.plan.tls.identity) {
        (Some(crt), None) => (
            format!(
                "traffic shows the client certificate {}, the check none",
                crt.value
            ),
            "code 58, or 71 with status 400 or 403 (DOWN), where the server wants one",
            "--crt FILE in external-check path, with a copy inside the chroot if there is one",
        ),
        (None, Some(_)) => (
            "the check shows a client certificate, traffic none".to_owned(),
            "UP by the check, while the server refuses traffic",
            "crt FILE on the server line",
        ),
        _ => return None,
    };
    Some(
        Finding::note("traffic-other-certificate", what)
            .at(crt.map_or(&check.server.place, |crt| &crt.place))
            .shows(shows)
            .write(write),
    )
}

/// A server that is only ever spoken to in HTTP/2.
fn http2_only(check: &ExternalCheck) -> Option<Finding> {
    let alpn = check.server.settings.get("alpn");
    let alpn = alpn.filter(|alpn| alpn.value == "h2");
    let proto = check.server.settings.get("proto");
    let word = alpn.or(proto.filter(|proto| proto.value == "h2"))?;
    let what = "traffic speaks HTTP/2 only, the check HTTP/1.1 (a limit of sni-check)";
    Some(
        Finding::note("traffic-http2", what)
            .at(&word.place)
            .shows("code 66, 73 or 74 (DOWN) where the server knows no HTTP/1.1")
            .write(
                "alpn h2,http/1.1 if the server knows both; otherwise HAProxy's own check: check \
                 check-sni NAME check-alpn h2",
            ),
    )
}

/// `send-proxy` and its variants: a server that waits for such a header answers only with it.
fn proxy_header(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let words = [
        ("send-proxy", "--send-proxy"),
        ("send-proxy-v2", "--send-proxy-v2"),
        ("send-proxy-v2-ssl", "--send-proxy-v2"),
        ("send-proxy-v2-ssl-cn", "--send-proxy-v2"),
    ];
    let settings = &check.server.settings;
    let sent = words.into_iter().find(|(word, _)| settings.has(word));
    let (place, what, shows, write) = match (sent, good.plan.proxy) {
        (Some((word, option)), None) => (
            settings.place(word)?,
            format!("traffic starts with a PROXY header (`{word}`), the check does not"),
            "code 62, 63 or 64 (DOWN) where the server waits for that header",
            format!("{option} in external-check path"),
        ),
        (None, Some(_)) => (
            &check.server.place,
            "the check starts with a PROXY header, traffic does not".to_owned(),
            "UP by the check, while the server does not understand traffic",
            "send-proxy-v2 (or send-proxy) on the server line".to_owned(),
        ),
        _ => return None,
    };
    let finding = Finding::note("traffic-other-proxy", what).at(place);
    Some(finding.shows(shows).write(write))
}

/// `source`: the address that traffic comes from.
fn source(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let of_server = check.server.settings.get("source");
    let source = of_server.or(check.backend.settings.source.as_ref())?;
    let Endpoint::Tcp(address, _) = Endpoint::parse(&source.value) else {
        return None;
    };
    let any = ["0.0.0.0", "::"].contains(&address.as_str());
    if any || good.plan.source.is_some() {
        return None;
    }
    let what = format!("traffic comes from {address} (`source`), the check from any address");
    Some(
        Finding::note("traffic-other-source", what)
            .at(&source.place)
            .shows("code 41, 42 or 43 (DOWN) where a firewall admits that address only")
            .write(format!("--source {address} in external-check path")),
    )
}

/// Ways to the server that only HAProxy itself can go.
fn detour(check: &ExternalCheck) -> Option<Finding> {
    let settings = &check.server.settings;
    let (word, how) = match (settings.get("namespace"), settings.get("socks4")) {
        (Some(_), _) => ("namespace", "in that network namespace"),
        (None, Some(_)) => ("socks4", "by that proxy"),
        (None, None) => return None,
    };
    let setting = settings.get(word)?;
    let what = format!(
        "traffic goes {how} (`{word} {}`), the check goes directly (a limit of sni-check)",
        setting.value
    );
    let own = match word {
        "socks4" => "HAProxy's own check: check check-via-socks4 check-sni NAME",
        _ => "HAProxy's own check: check check-sni NAME",
    };
    Some(
        Finding::note("traffic-detour", what)
            .at(&setting.place)
            .shows("code 41, 42 or 43 (DOWN), or the verdict on another server with that address")
            .write(own),
    )
}
