//! Rules about names that HAProxy sends literally, and that no certificate can be for.

use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::{Sni, Verified};

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::{Visit, Watch};

/// Finds a name in visitors' traffic that no certificate can be for.
pub(crate) fn of_traffic(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let traffic = watch.traffic.tls.as_ref()?;
    let Sni::Name(sent) = &traffic.sni else {
        return None;
    };
    let why = misspelt(sent)?;
    let literal = is_literal(sent);
    let (what, write) = match literal {
        true => (
            format!("traffic sends the SNI `{sent}` literally: {why}"),
            match (expanded(visit, sent).is_some(), name_of_check(watch)) {
                (false, Some(name)) => format!("sni str({name}) on the server line"),
                (true, _) => format!("sni \"str({sent})\" on the server line, with double quotes"),
                (false, None) => format!(
                    "sni \"str({sent})\" on the server line, with double quotes; and set that variable \
                     where HAProxy is started"
                ),
            },
        ),
        false => (
            format!(
                "traffic sends the SNI `{sent}`, but the name is `{}`",
                bare(sent)
            ),
            format!(
                "sni str({0}) on the server line; or, if the name comes from a variable, set that to {0}",
                bare(sent)
            ),
        ),
    };
    let verifies = traffic.verified != Verified::Nothing;
    let is_own = matches!(watch.check, Check::Own(_));
    let finding = match (verifies, is_own) {
        (true, false) => Finding::problem(Effect::Up, what).shows(
            "503 for visitors: HAProxy finds no such name in the certificate; a check by sni-check \
             sends the right name, and may be UP",
        ),
        (true, true) => Finding::problem(Effect::Up, what)
            .shows("503 for visitors: HAProxy finds no such name in the certificate; the check is UP if it sends another name"),
        (false, _) => Finding::note(Effect::Up, what)
            .shows("visitors get 503 where the server knows no such name"),
    };
    Some(finding.at(watch.server.settings.place("sni")?).write(write))
}

/// Finds an SNI that comes from a header of the request that neither browsers nor the configuration set.
pub(crate) fn of_header(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let Sni::PerRequest(expression) = &watch.traffic.tls.as_ref()?.sni else {
        return None;
    };
    let name = unset_header(visit, expression)?;
    let what = format!(
        "traffic's SNI is the header {name} of the request, and no line of the configuration sets it"
    );
    Some(
        Finding::note(Effect::Up, what)
            .at(watch.server.settings.place("sni")?)
            .shows("UP while visitors without that header get 503 where the server requires SNI")
            .write(
                "sni req.hdr(host) on the server line, if visitors' Host is the name of the site",
            ),
    )
}

/// Returns the header that an expression reads, if neither browsers nor the configuration set it.
pub(crate) fn unset_header(visit: &Visit, expression: &str) -> Option<String> {
    let (fetch, rest) = expression.split_once('(')?;
    let (name, _) = rest.split_once([')', ','])?;
    let name = name.to_ascii_lowercase();
    let is_header = ["req.hdr", "hdr", "req.fhdr"].contains(&fetch) && name != "host";
    (is_header && !visit.config.facts.headers.contains(&name)).then_some(name)
}

/// Returns true if the configuration says which SNI visitors' connections send, once their Host is known.
pub(crate) fn is_known(visit: &Visit, watch: &Watch) -> bool {
    match watch.traffic.tls.as_ref().map(|tls| &tls.sni) {
        Some(sni @ Sni::PerRequest(expression)) => {
            sni.is_host() || unset_header(visit, expression).is_some()
        }
        _ => true,
    }
}

/// Finds a name in HAProxy's own check that no certificate can be for.
pub(crate) fn of_check(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let Check::Own(own) = &watch.check else {
        return None;
    };
    let (connection, tls, sent) = own.connections.iter().find_map(|connection| {
        let tls = connection.tls.as_ref()?;
        match &tls.sni {
            Sni::Name(name) => misspelt(name).map(|_| (connection, tls, name)),
            _ => None,
        }
    })?;
    let why = misspelt(sent)?;
    let word = match watch.connect_rule() {
        Some(_) if connection.place != watch.server.place => "sni",
        _ => "check-sni",
    };
    let value = expanded(visit, sent);
    let right = match is_literal(sent) {
        true => match (&value, name_of_traffic(watch)) {
            (None, Some(name)) => name.to_owned(),
            _ => format!("\"{sent}\""),
        },
        false => meant(sent).to_owned(),
    };
    // HAProxy refuses an empty name.
    let of_traffic = name_of_traffic(watch);
    let of_traffic = of_traffic.filter(|name| *name != right && Some(*name) != value.as_deref());
    let set = match (right.contains('$') && value.is_none(), of_traffic) {
        (true, _) => "; and set that variable where HAProxy is started".to_owned(),
        (false, Some(name)) => format!(", if that is the site's name (traffic sends {name})"),
        _ => String::new(),
    };
    let write = match word {
        "sni" => format!("in that connect line, write sni {right}{set}"),
        _ => format!("check-sni {right} on the server line{set}"),
    };
    let what = format!("HAProxy's own check sends the SNI `{sent}` literally: {why}");
    let finding = match tls.verified {
        Verified::Nothing => Finding::note(Effect::Down, what)
            .shows("L6RSP (DOWN) where the server knows no such name, while visitors are served")
            .foretells(&["L6RSP"]),
        _ => Finding::problem(Effect::Down, what).shows(
            "DOWN, with L6RSP where the server speaks TLS: no certificate is for such a name",
        ),
    };
    Some(finding.at(&connection.place).write(write))
}

/// Returns a text with the values of its variables, if HAProxy has a value for each.
pub(crate) fn expanded(visit: &Visit, text: &str) -> Option<String> {
    let mut parts = text.split('$');
    let mut expanded = parts.next()?.to_owned();
    for part in parts {
        let name = part.trim_start_matches('{');
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, rest) = name.split_at(end.unwrap_or(name.len()));
        let value = visit.variables.get(name);
        expanded += value.filter(|value| !value.is_empty())?;
        expanded += rest.trim_start_matches('}');
    }
    Some(expanded)
}

/// Returns the name that visitors' traffic sends, if it can be a host name.
pub(crate) fn name_of_traffic<'a>(watch: &'a Watch) -> Option<&'a str> {
    proper(&watch.traffic.tls.as_ref()?.sni)
}

/// Returns the name that the check sends, if it can be a host name.
pub(crate) fn name_of_check<'a>(watch: &'a Watch) -> Option<&'a str> {
    let mut connections = watch.connections.iter();
    connections.find_map(|connection| proper(&connection.tls.as_ref()?.sni))
}

fn proper(sni: &Sni) -> Option<&str> {
    match sni {
        Sni::Name(name) if misspelt(name).is_none() => Some(name),
        _ => None,
    }
}

/// Returns the name that the operator meant by `str(NAME)`, by a URL, or by a name with a dot at the end.
pub(crate) fn meant(name: &str) -> &str {
    match name.split_once('(') {
        Some((_, rest)) => bare(rest.trim_end_matches(')').trim_matches(['\'', '"'])),
        None => bare(name),
    }
}

/// Returns the name without the spaces around it and the dots at its end. Of a URL, returns the host's name.
pub(crate) fn bare(name: &str) -> &str {
    match host_of_url(name.trim()).trim_end_matches('.') {
        "" => name,
        bare => bare,
    }
}

/// Returns a name without scheme, path and port.
fn host_of_url(name: &str) -> &str {
    let rest = name.split_once("://").map_or(name, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host.split_once(':') {
        // An IPv6 address has more colons.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    }
}

/// Returns true if a name contains a variable that HAProxy didn't replace.
pub(crate) fn is_literal(name: &str) -> bool {
    name.contains('$')
}

/// Why HAProxy sends a variable literally.
pub(crate) const IN_DOUBLE_QUOTES: &str = "HAProxy replaces variables only in double quotes";

/// Returns why a name can't be a host name if HAProxy sends it literally.
pub(crate) fn misspelt(name: &str) -> Option<&'static str> {
    if is_literal(name) {
        return Some(IN_DOUBLE_QUOTES);
    }
    if name.contains('(') {
        return Some("HAProxy expects a name here, not an expression");
    }
    if host_of_url(name) != name {
        return Some("a scheme, a path or a port doesn't belong to the name");
    }
    (bare(name) != name).then_some("a dot or a space at the end doesn't belong to the name")
}
