//! Checks that sni-check can't make as haproxy.cfg writes them: a name such as `str(www.example.com)`, a path
//! without its first slash, options without a name, or a connection without TLS. Returns the check that the operator most likely
//! meant.

use super::suggest;
use crate::doctor::by_hand;
use crate::doctor::finding::Remark;
use crate::doctor::visit::own_check;
use crate::doctor::visit::{Visit, Watch};
use crate::haproxy::config::check::{Check, OwnCheck};
use crate::haproxy::config::connection::{Sni, Tls};
use crate::options::Options;
use crate::plan::{Output, Plan};

/// A check that haproxy.cfg writes in a wrong way.
#[derive(Clone, Debug)]
pub(crate) struct Meant {
    /// The options as haproxy.cfg writes them.
    pub written: Options,
    /// The options that the operator most likely meant.
    pub options: Options,
    /// What is wrong with the written options.
    pub what: String,
}

/// The rules of doctor about words that HAProxy sends literally.
const LITERAL: [&str; 3] = ["check-sni-literal", "check-request", "sni-literal"];

/// The rules of doctor about options that sni-check refuses.
const OPTIONS: [&str; 2] = ["no-sni-name", "options"];

/// Returns the check that the operator meant, if sni-check refuses the written one and `call` says so.
pub(crate) fn of(
    visit: &Visit,
    watch: &Watch,
    call: &Result<Box<Options>, String>,
    findings: &[Remark],
) -> Option<Meant> {
    if let (Check::Own(check), Err(_)) = (&watch.check, call) {
        let options = encrypted(visit, watch, check)?;
        return Some(Meant {
            written: options.clone(),
            options,
            what: suggest::without_tls(watch).to_owned(),
        });
    }
    let is_accepted = |options: &Options| Plan::new(options, None, None, Output::default()).is_ok();
    let written = match call {
        Ok(options) => (**options).clone(),
        // The other refusals are about files.
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
    repair(visit, watch, &mut options);
    let mut findings = findings.iter();
    let literal = findings.find(|finding| LITERAL.contains(&finding.id));
    let what = match (call, literal) {
        (Err(what), _) => what.clone(),
        (Ok(_), Some(finding)) => finding.what.clone(),
        (Ok(_), None) => "HAProxy sends these words exactly as they are written.".to_owned(),
    };
    let is_refused = call.is_err() || !is_accepted(&written);
    let is_changed = !written.changes(&options).is_empty() || written.target != options.target;
    (is_refused && is_changed && is_accepted(&options)).then_some(Meant {
        written,
        options,
        what,
    })
}

/// Returns the options of a check that connects without TLS, as if it connected with the TLS of visitors, or with
/// that of another server.
fn encrypted(visit: &Visit, watch: &Watch, check: &OwnCheck) -> Option<Options> {
    let tls = watch.traffic.tls.as_ref();
    let tls = tls.or_else(|| suggest::encrypted(visit, watch)?.traffic.tls.as_ref());
    let name = suggest::check_name(visit, watch);
    let tls = Tls {
        sni: name.map_or(Sni::Absent, Sni::Name),
        ..tls.cloned().unwrap_or_default()
    };
    let mut check = check.clone();
    check.connections.first_mut()?.tls = Some(tls);
    let names = (watch.backend, watch.server);
    let options = own_check::options(&check, names, &visit.config.global)?;
    Some(by_hand::at_server(options, watch, visit.jail))
}

/// Corrects the names and the path, and adds the missing name.
fn repair(visit: &Visit, watch: &Watch, options: &mut Options) {
    let names = options.sni.iter_mut().chain(&mut options.target);
    for name in names.chain(&mut options.verify_host) {
        if let Some(meant) = suggest::meant(visit, name) {
            *name = meant;
        }
    }
    let uri = options.uri.iter_mut();
    for uri in uri.filter(|uri| !uri.starts_with('/') && !uri.contains("://")) {
        *uri = format!("/{uri}");
    }
    if options.sni.is_none() && !options.no_sni {
        let of_traffic = by_hand::traffic_name(watch);
        let of_traffic = of_traffic.map(|name| suggest::meant(visit, &name).unwrap_or(name));
        let mut host = options.header.iter().filter_map(|field| {
            let (name, value) = field.split_once(':')?;
            name.eq_ignore_ascii_case("host")
                .then(|| value.trim().to_owned())
        });
        options.sni = of_traffic.or(host.next_back());
    }
}
