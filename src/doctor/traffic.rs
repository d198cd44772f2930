//! What traffic does differently than the check.

use super::check::ExternalCheck;
use super::finding::Finding;
use super::judge::Good;
use super::setup::Setup;

/// Looks at the server line of a check whose options are good.
pub(super) fn look(check: &ExternalCheck, good: &Good, setup: Setup) -> Vec<Finding> {
    let findings = match check.server.settings.has("ssl") {
        false => vec![without_tls(check, good)],
        true => vec![
            less_strict(check, good, setup),
            without_sni(check, good, setup),
        ],
    };
    let about = check.caller().to_string();
    let about = |finding: Finding| finding.about([about.clone()]);
    findings.into_iter().flatten().map(about).collect()
}

fn without_sni(check: &ExternalCheck, good: &Good, setup: Setup) -> Option<Finding> {
    // Since 3.3 HAProxy sends the Host as SNI of its own accord.
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
