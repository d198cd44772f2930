//! Rules about how a check and visitors' traffic reach the server: the source address, a network namespace, a
//! SOCKS proxy.

use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::check::Check;

use super::difference::Pair;
use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::{Visit, Watch};

/// Finds a source address (`source`) that only traffic uses.
pub(crate) fn source(_: &Visit, watch: &Watch) -> Option<Finding> {
    let carrier = watch.carrier()?;
    let source = watch.traffic.source.as_ref()?;
    let Endpoint::Tcp(address, _) = Endpoint::parse(&source.value) else {
        return None;
    };
    let any = ["0.0.0.0", "::"].contains(&address.as_str());
    if any || watch.own.as_ref()?.plan.source.is_some() {
        return None;
    }
    let what =
        format!("traffic comes from {address} (`source`), but the check may come from any address");
    Some(
        Finding::note(Effect::Either, what)
            .at(&source.place)
            .shows(
                "code 41, 42 or 43 (DOWN) where a firewall admits only that address; UP while visitors get 503 if \
                 this host doesn't have that address, or a firewall refuses it",
            )
            .foretells(&["41", "42", "43"])
            .write(format!("--source {address} in {carrier}")),
    )
}

/// Finds a network namespace or a SOCKS proxy that traffic uses, but the check doesn't use. sni-check
/// supports neither of them.
pub(crate) fn detour(_: &Visit, watch: &Watch) -> Option<Finding> {
    if let Check::Own(_) = watch.check {
        return without_socks(&Pair::of(watch)?);
    }
    watch.own.as_ref()?;
    let settings = &watch.server.settings;
    let (word, how) = match (settings.get("namespace"), settings.get("socks4")) {
        (Some(_), _) => ("namespace", "through a network namespace"),
        (None, Some(_)) => ("socks4", "through a SOCKS proxy"),
        (None, None) => return None,
    };
    let setting = settings.get(word)?;
    let what = format!(
        "traffic goes {how} (`{word} {}`), but the check connects directly (limit of sni-check)",
        setting.value
    );
    let own = match word {
        "socks4" => "use HAProxy's own check: check check-via-socks4 check-sni NAME",
        _ => "use HAProxy's own check: check check-sni NAME",
    };
    Some(
        Finding::note(Effect::Either, what)
            .at(&setting.place)
            .shows(
                "code 41, 42 or 43 (DOWN) where the server can be reached only that way; UP while visitors get \
                 503 if that way fails, or if another server has this address here",
            )
            .write(own),
    )
}

/// Finds a SOCKS proxy that traffic uses, but HAProxy's own check doesn't use.
fn without_socks(pair: &Pair) -> Option<Finding> {
    let proxy = pair.traffic.socks4.as_ref();
    let proxy = proxy.filter(|_| pair.check.socks4.is_none())?;
    let what = format!(
        "traffic goes through a SOCKS proxy (`socks4 {}`), but HAProxy's own check connects directly",
        proxy.value
    );
    let write = match pair.watch.connect_rule() {
        Some(_) => "add via-socks4 to that http-check or tcp-check connect line",
        None => "check-via-socks4 on the server line",
    };
    Some(
        Finding::note(Effect::Either, what)
            .at(&proxy.place)
            .shows(
                "UP while visitors get 503 if the proxy is dead; L4CON, L4TOUT or SOCKERR (DOWN) where the \
                 server can be reached only through the proxy",
            )
            .foretells(&["L4CON", "L4TOUT", "SOCKERR"])
            .write(write),
    )
}
