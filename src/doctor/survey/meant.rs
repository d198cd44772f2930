//! Handles checks that sni-check can't make as they are written in haproxy.cfg. Examples are a name such as
//! `str(www.example.com)`, a path without its first slash, options without a name, a connection without TLS,
//! and a check without a request. This module finds the check that the operator most likely meant, or the
//! part of the check that sni-check can make.

use std::net::IpAddr;

use super::suggest;
use crate::doctor::by_hand;
use crate::doctor::finding::Remark;
use crate::doctor::visit::own_check;
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::config::check::Check;
use crate::options::Options;
use crate::options::expect::Part;
use crate::plan::{Output, Plan};

/// A check that sni-check can't make as it is written in haproxy.cfg, and the check to make instead.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    /// The options as they are written in haproxy.cfg, or the part of them that sni-check accepts.
    pub written: Options,
    /// The options to use: those that the operator most likely meant, or the accepted part.
    pub options: Options,
    /// What is wrong with the written options.
    pub what: String,
    /// True if the written check connects without TLS.
    pub is_plain: bool,
}

/// The ids of findings about words that HAProxy sends literally.
const LITERAL: [&str; 2] = ["check-sni-literal", "check-request"];

/// The ids of findings about options that sni-check refuses.
const OPTIONS: [&str; 2] = ["no-sni-name", "options"];

/// Returns the check that the operator most likely meant, if sni-check can't make the written check. `call`
/// contains the options of the written check, or the reason why sni-check can't make it. `restored` is the
/// server with the request of `defaults` that the backend's http-check lines have replaced.
pub(crate) fn of(
    visit: &Visit,
    watch: &Watch,
    call: &Result<Box<Options>, String>,
    (findings, restored): (&[Remark], &Watch),
) -> Option<Meant> {
    let is_own = call.is_err() && matches!(watch.check, Check::Own(_));
    let written = match call {
        Ok(options) => (**options).clone(),
        Err(_) if is_own => encrypted(visit, watch)?,
        // The other refusals are about files. Changed options wouldn't help.
        Err(_)
            if !watch
                .refusals
                .iter()
                .any(|refusal| OPTIONS.contains(&refusal.id)) =>
        {
            return None;
        }
        Err(_) => by_hand::at_server(by_hand::given(watch, visit.jail)?, watch, visit.jail),
    };
    let mut options = written.clone();
    let waits = own_check::waits_without_request(watch);
    if waits {
        options = encrypted(visit, restored)?;
    }
    let repaired = repair(visit, watch, &mut options);
    let mut findings = findings.iter();
    let literal = findings.find(|finding| LITERAL.contains(&finding.id));
    let what = match (call, literal) {
        (Err(_), _) if is_own => of_connection(watch, repaired),
        (Err(what), _) => what.clone(),
        (Ok(_), Some(finding)) => finding.what.clone(),
        (Ok(_), None) => repaired
            .unwrap_or("HAProxy sends these words exactly as they are written.")
            .to_owned(),
    };
    let is_changed =
        waits || !written.changes(&options).is_empty() || written.target != options.target;
    let meant = |options: Options| Meant {
        written: written.clone(),
        options,
        what,
        is_plain: is_own && is_plain(watch),
    };
    match (&watch.check, refusal(&written)) {
        (_, None) if call.is_ok() => None,
        (_, None) if is_own && !waits => Some(meant(written.clone())),
        _ if is_changed && refusal(&options).is_none() => Some(meant(options)),
        (Check::Own(_), Some(refusal)) => of_handshake(written, &refusal),
        _ => None,
    }
}

/// Returns why sni-check can't run HAProxy's own check: the check sends no request, or connects without TLS.
/// `repaired` describes a further mistake in the check, if there is one.
fn of_connection(watch: &Watch, repaired: Option<&str>) -> String {
    let tls = suggest::without_tls(watch);
    match (own_check::waits_without_request(watch), repaired) {
        (true, _) if is_plain(watch) => format!("{}. {tls}", own_check::WITHOUT_REQUEST),
        (true, _) => own_check::WITHOUT_REQUEST.to_owned(),
        (false, Some(more)) => format!("{tls} {more}"),
        (false, None) => tls,
    }
}

/// Returns true if the check connects without TLS.
fn is_plain(watch: &Watch) -> bool {
    let first = watch.connections.first();
    first.is_some_and(|connection| connection.tls.is_none())
}

/// Returns why sni-check refuses the options, or `None` if it accepts them.
fn refusal(options: &Options) -> Option<anyhow::Error> {
    Plan::new(options, None, None, Output::default()).err()
}

/// Reduces HAProxy's own check to its TLS handshake, because sni-check can't run the whole check. Returns
/// `None` if sni-check can't even try this handshake.
fn of_handshake(written: Options, refusal: &anyhow::Error) -> Option<Meant> {
    let mut options = written;
    options.retain(|row| !row.is_about_http() && !["--alpn", "--verify-host"].contains(&row.name));
    options.handshake_only = true;
    let what = format!(
        "sni-check can't run this check ({refusal:#}). It has tried the connection without a request."
    );
    self::refusal(&options).is_none().then(|| Meant {
        written: options.clone(),
        options,
        what,
        is_plain: false,
    })
}

/// Returns the options of HAProxy's own check. If the check connects without TLS, adds the TLS settings of
/// visitors' connections or of another server.
fn encrypted(visit: &Visit, watch: &Watch) -> Option<Options> {
    let Check::Own(check) = &watch.check else {
        return None;
    };
    let mut check = check.clone();
    let connection = check.connections.first_mut()?;
    let tls = connection.tls.take();
    connection.tls = tls.or_else(|| Some(suggest::meant_tls(visit, watch)));
    let names = (watch.backend, watch.server);
    let options = own_check::options(&check, names, &visit.config.global)?;
    Some(by_hand::at_server(options, watch, visit.jail))
}

const WHOLE_URL: &str =
    "The path of the check is a whole URL. HAProxy sends it exactly as it is written.";
const ADDRESS: &str = "An IP address can't be an SNI name (RFC 6066).";
const NO_BODY: &str = "A response to HEAD has no body, so a check that expects text in the body always fails. \
                       It needs the method GET.";

/// Corrects the names, the path and the method. Replaces an SNI name that is an IP address, and adds one if
/// it's missing. Returns what was wrong with the path or the method, or that the SNI name was an IP address.
fn repair(visit: &Visit, watch: &Watch, options: &mut Options) -> Option<&'static str> {
    let names = options.sni.iter_mut().chain(&mut options.target);
    for name in names.chain(&mut options.verify_host) {
        if let Some(meant) = suggest::meant(visit, name) {
            *name = meant;
        }
    }
    let mut what = None;
    let uri = options.uri.iter_mut();
    for uri in uri.filter(|uri| !uri.starts_with('/')) {
        *uri = match uri.split_once("://").map(|(_, rest)| rest.split_once('/')) {
            Some(path) => {
                what = Some(WHOLE_URL);
                format!("/{}", path.map_or("", |(_, path)| path))
            }
            None if uri == "*" => "/".to_owned(),
            None => format!("/{uri}"),
        };
    }
    let mut rules = options.expect.iter();
    if rules.any(|rule| rule.part() == Part::Body) && options.method.as_deref() == Some("HEAD") {
        what = Some(NO_BODY);
        options.method = Some("GET".to_owned());
    }
    let is_address = |name: &String| name.parse::<IpAddr>().is_ok();
    if options.sni.as_ref().is_some_and(is_address) {
        what = Some(ADDRESS);
    }
    if options.sni.as_ref().is_none_or(is_address) && !options.no_sni {
        let of_traffic = by_hand::traffic_name(watch);
        let of_traffic = of_traffic.map(|name| suggest::meant(visit, &name).unwrap_or(name));
        let host = options.header_value("host").map(str::to_owned);
        options.sni = of_traffic.or(host);
    }
    what
}
