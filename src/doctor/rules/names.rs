//! Rules about the SNI of visitors' traffic and of HAProxy's own check. They find names that can't be the
//! name of a site, and expressions without a value for some visitors.

use std::net::IpAddr;

use crate::causes::facts::is_name;
use crate::haproxy::config::address::without_port;
use crate::haproxy::config::check::Check;
use crate::haproxy::config::connection::{Sni, Verified};
use crate::haproxy::config::place::At;
use crate::haproxy::config::server_line::Server;

use crate::doctor::finding::{Effect, Finding};
use crate::doctor::visit::{Visit, Watch};

/// Finds an SNI of visitors' traffic that can't be the name of a site.
pub(crate) fn of_traffic(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let (what, write, is_certain) = match &watch.traffic.tls.as_ref()?.sni {
        Sni::Name(sent) => literal(visit, watch, sent)?,
        Sni::PerRequest(expression) => never_a_name(visit, watch, expression)?,
        Sni::Absent => return None,
    };
    let verifies = watch.traffic.tls.as_ref()?.verified != Verified::Nothing;
    let is_own = matches!(watch.check, Check::Own(_));
    let finding = match (verifies, is_own) {
        _ if !is_certain => Finding::note(Effect::Up, what)
            .shows("visitors get 503, unless the server's certificate has this address as its common name"),
        (true, false) => Finding::problem(Effect::Up, what).shows(
            "503 for visitors: HAProxy finds no such name in the certificate; a check by sni-check \
             is UP if it sends the right name",
        ),
        (true, true) => Finding::problem(Effect::Up, what)
            .shows("503 for visitors: HAProxy finds no such name in the certificate; the check is UP if it sends another name"),
        (false, _) => Finding::note(Effect::Up, what)
            .shows("visitors get 503 where the server knows no such name"),
    };
    Some(finding.at(watch.server.settings.place("sni")?).write(write))
}

/// Returns what is wrong with the name that traffic always sends, what to write instead, and whether the
/// fault is certain. It isn't certain if HAProxy verifies an address, because a certificate might contain
/// this address.
fn literal(visit: &Visit, watch: &Watch, sent: &str) -> Option<(String, String, bool)> {
    if is_address(sent) {
        let what =
            format!("traffic sends the SNI `{sent}`, but an address is not the name of a site");
        return Some((
            what,
            of_site(watch),
            watch.traffic.tls.as_ref()?.verified == Verified::Nothing,
        ));
    }
    let why = misspelt(sent)?;
    if is_literal(sent) {
        let write = match (expanded(visit, sent).is_some(), name_of_check(watch)) {
            (false, Some(name)) => format!("sni str({name}) on the server line"),
            (true, _) => format!("sni \"str({sent})\" on the server line, with double quotes"),
            (false, None) => format!(
                "sni \"str({sent})\" on the server line, with double quotes; and set that variable \
                 where HAProxy is started"
            ),
        };
        let what = format!("traffic sends the SNI `{sent}` literally: {why}");
        return Some((what, write, true));
    }
    let name = bare(sent);
    let write = format!(
        "sni str({name}) on the server line; or, if the name comes from a variable, set the variable to \
         {name}"
    );
    let what = format!("traffic sends the SNI `{sent}`, but the name is `{name}`");
    Some((what, write, true))
}

/// Sample fetches whose value can't be the name of a site.
const NO_NAMES: [&str; 14] = [
    "base", "bc_dst", "bc_src", "dst", "dst_port", "fc_dst", "fc_src", "int", "method", "path",
    "pathq", "src", "src_port", "url",
];

/// Returns true if the value of this expression can't be the name of a site.
pub(crate) fn is_never_a_name(expression: &str) -> bool {
    let fetch = expression.split('(').next().unwrap_or_default();
    // A converter such as map() can turn any value into a name.
    NO_NAMES.contains(&fetch) && !expression.contains("),")
}

/// Like [`literal`], but for an expression whose value is an address, a number or a part of the request.
/// Returns `None` if the value may be the name of a site.
fn never_a_name(visit: &Visit, watch: &Watch, expression: &str) -> Option<(String, String, bool)> {
    // Visitors who connect to a unix socket have no address, so HAProxy sends no SNI for them.
    let is_of_connection = expression.starts_with("dst") || expression.starts_with("src");
    if is_of_connection && visit.config.facts.unix_listener {
        return None;
    }
    let what = match expression.split('(').next()? {
        "dst" | "fc_dst" => "the address that visitors connect to",
        "src" | "fc_src" => "the visitor's address",
        "bc_src" | "bc_dst" => "an address",
        "src_port" | "dst_port" | "int" => "a number",
        _ => "a part of the request",
    };
    is_never_a_name(expression).then(|| {
        let what =
            format!("traffic's SNI is `{expression}`, which is {what}, and not the name of a site");
        (what, of_site(watch), true)
    })
}

/// Returns the advice to send the name of the site as traffic's SNI.
fn of_site(watch: &Watch) -> String {
    let name = name_of_check(watch).or(watch.backend.only_host());
    match name {
        Some(name) => format!("sni str({name}) on the server line"),
        None => "sni str(NAME) on the server line; or sni req.hdr(host), if visitors' Host is the name of the site".to_owned(),
    }
}

/// Finds an SNI that comes from a request header which neither browsers nor the configuration set.
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

/// Finds an SNI that comes from visitors' own TLS, in a backend that visitors without TLS reach as well.
pub(crate) fn of_plain_visitors(_: &Visit, watch: &Watch) -> Option<Finding> {
    let Sni::PerRequest(expression) = &watch.traffic.tls.as_ref()?.sni else {
        return None;
    };
    let bind = watch.backend.visitors.plain_bind.as_ref()?;
    if !expression.starts_with("ssl_fc_sni") {
        return None;
    }
    let what = format!(
        "traffic's SNI is `{expression}`, but visitors of the listener without TLS ({bind}) send no SNI"
    );
    Some(
        Finding::note(Effect::Up, what)
            .at(watch.server.settings.place("sni")?)
            .shows("UP while visitors without TLS get 503 where the server requires SNI")
            .write(
                "sni req.hdr(host),field(1,:) on the server line; or redirect visitors of that listener to HTTPS",
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

/// Returns true if the configuration says which SNI visitors' connections send, or which SNI they send for a
/// given Host.
pub(crate) fn is_known(visit: &Visit, watch: &Watch) -> bool {
    match watch.traffic.tls.as_ref().map(|tls| &tls.sni) {
        Some(sni @ Sni::PerRequest(expression)) => {
            sni.is_host()
                || is_never_a_name(expression)
                || unset_header(visit, expression).is_some()
        }
        _ => true,
    }
}

/// Finds an SNI of HAProxy's own check that can't be the name of a site.
pub(crate) fn of_check(visit: &Visit, watch: &Watch) -> Option<Finding> {
    let Check::Own(own) = &watch.check else {
        return None;
    };
    let (connection, tls, sent) = own.connections.iter().find_map(|connection| {
        let tls = connection.tls.as_ref()?;
        match &tls.sni {
            Sni::Name(name) if is_address(name) => Some((connection, tls, name)),
            Sni::Name(name) => misspelt(name).map(|_| (connection, tls, name)),
            _ => None,
        }
    })?;
    let why = misspelt(sent).unwrap_or("an address is not the name of a site");
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
        false if is_expression(sent) || is_address(sent) => {
            let name = name_of_traffic(watch).or(watch.backend.only_host());
            name.unwrap_or("NAME").to_owned()
        }
        false => meant(sent).to_owned(),
    };
    // If the right name is a variable that isn't set, its value is empty, and HAProxy refuses an empty name.
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
    let literally = if is_address(sent) { "" } else { " literally" };
    let what = format!("HAProxy's own check sends the SNI `{sent}`{literally}: {why}");
    let finding = match tls.verified {
        Verified::Name(_) if is_address(sent) => Finding::note(Effect::Down, what)
            .shows(
                "L6RSP (DOWN), unless the server's certificate has this address as its common name",
            )
            .foretells(&["L6RSP"]),
        Verified::Nothing => Finding::note(Effect::Down, what)
            .shows("L6RSP (DOWN) where the server knows no such name, while visitors are served")
            .foretells(&["L6RSP"]),
        _ => Finding::problem(Effect::Down, what).shows(
            "DOWN, with L6RSP where the server speaks TLS: no certificate can contain such a name",
        ),
    };
    Some(finding.at(&connection.place).write(write))
}

/// If HAProxy refuses the words after `sni` on a server line, returns the expression that the operator most
/// likely meant. For a name, this is `str(NAME)`.
pub(crate) fn meant_sni(visit: &Visit, server: &Server) -> Option<String> {
    let At { value, place } = server.settings.get("sni")?;
    visit
        .alert_at(place)
        .filter(|alert| alert.contains("sni expression"))?;
    // The operator may have written the expression in %[…], as in a log-format.
    let inner = value.strip_prefix("%[");
    let text = inner.map_or(value.as_str(), |inner| inner.trim_end_matches(']'));
    if is_expression(text) {
        return Some(text.to_owned());
    }
    let name = expanded(visit, text)?;
    let name = meant(&name);
    (is_site(name) && is_name(name)).then(|| format!("str({name})"))
}

/// Returns a text with the values of its variables. Returns `None` if HAProxy has no value for one of them.
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
    valid_name(&watch.traffic.tls.as_ref()?.sni)
}

/// Returns the name that the check sends, if it can be a host name.
pub(crate) fn name_of_check<'a>(watch: &'a Watch) -> Option<&'a str> {
    let mut connections = watch.connections.iter();
    connections.find_map(|connection| valid_name(&connection.tls.as_ref()?.sni))
}

fn valid_name(sni: &Sni) -> Option<&str> {
    match sni {
        Sni::Name(name) if misspelt(name).is_none() => Some(name),
        _ => None,
    }
}

/// Returns the name that the operator most likely meant by `str(NAME)`, by a URL, or by a name with a dot at
/// its end.
pub(crate) fn meant(name: &str) -> &str {
    match name.split_once('(') {
        Some((_, rest)) => bare(rest.trim_end_matches(')').trim_matches(['\'', '"'])),
        None => bare(name),
    }
}

/// Returns the name without spaces around it and without dots at its end. For a URL, returns the name of the
/// host.
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
    without_port(host)
}

/// Returns true if a name contains a variable that HAProxy didn't replace.
pub(crate) fn is_literal(name: &str) -> bool {
    name.contains('$')
}

/// Returns true if a name is an expression whose value isn't constant. No host name looks like this.
fn is_expression(name: &str) -> bool {
    let fetch = name.split(['(', ',']).next().unwrap_or_default();
    let is_bare = [
        "ssl_fc_sni",
        "req.ssl_sni",
        "req_ssl_sni",
        "srv_name",
        "be_name",
        "fe_name",
    ];
    match fetch == name {
        true => is_bare.contains(&name),
        false => fetch != "str" && name.contains('('),
    }
}

/// Returns true if a Host can be the name of a public site: it has a dot, and isn't an address.
pub(crate) fn is_site(host: &str) -> bool {
    bare(host).contains('.') && !is_address(bare(host))
}

/// Returns true if a name is an IP address.
pub(crate) fn is_address(name: &str) -> bool {
    name.parse::<IpAddr>().is_ok()
}

/// Why HAProxy sends a variable literally.
pub(crate) const IN_DOUBLE_QUOTES: &str = "HAProxy replaces variables only in double quotes";

/// Returns why a name that HAProxy sends literally can't be a host name, or `None` if it can.
pub(crate) fn misspelt(name: &str) -> Option<&'static str> {
    if is_literal(name) {
        return Some(IN_DOUBLE_QUOTES);
    }
    if name.contains('(') || is_expression(name) {
        return Some("HAProxy expects a name here, not an expression");
    }
    if host_of_url(name) != name {
        return Some("a scheme, a path or a port doesn't belong to the name");
    }
    (bare(name) != name).then_some("a dot or a space at the end doesn't belong to the name")
}
