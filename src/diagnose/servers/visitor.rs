//! The visitor's request that diagnose sends through HAProxy. It must be a request that real visitors may
//! send. An error then means that real visitors get an error, too.

use super::state::Subject;
use crate::causes::facts::{Facts, is_name};
use crate::diagnose::ask::{serves, visit};
use crate::diagnose::change::{Change, sent_host};
use crate::diagnose::trials::Search;
use crate::haproxy::ask::{Visit, Visited};
use crate::haproxy::config::address::without_port;
use crate::probe;

/// The statuses that mean that a visitor wasn't served. HAProxy answers 502, 503 or 504 if it gets no
/// response from the server. A server answers 421 if Host doesn't match the SNI name.
const NOT_SERVED: [u16; 4] = [421, 502, 503, 504];

impl Subject<'_> {
    /// Returns a request that visitors of this server may send after the change. Returns `None` if
    /// haproxy.cfg doesn't show the visitors' Host or SNI name.
    pub fn visit(&self, change: &Change) -> Option<Visit> {
        let surveyed = self.surveyed;
        let host = self.host_of_visitors(change);
        let knows_sni = surveyed.knows_sni || change.sni().is_some();
        let host = host.filter(|_| surveyed.lines.is_http && knows_sni)?;
        let of_check = self.search_of(change);
        let of_check = of_check.and_then(|search| visit(host, &search.best().plan));
        of_check
            .filter(|_| !surveyed.lines.rewrites_paths())
            .or_else(|| {
                Some(Visit {
                    method: "GET".to_owned(),
                    uri: "/".to_owned(),
                    headers: vec![("Host".to_owned(), host.to_owned())],
                })
            })
    }

    /// Returns visitors' Host:
    ///
    /// - a name that the frontends accept, if they accept only some names,
    /// - otherwise the Host of the check, if it can be the name of a site,
    /// - otherwise the SNI name of visitors' connections, or the name of the check.
    ///
    /// Without a diagnosis, the SNI names and the Host in haproxy.cfg and in the change replace the second
    /// and third choices. If haproxy.cfg has no such name, and HAProxy sends no SNI for visitors, the Host is
    /// `localhost`.
    fn host_of_visitors<'a>(&'a self, change: &'a Change) -> Option<&'a str> {
        let surveyed = self.surveyed;
        let fixed = change.sni().or(surveyed.sni.as_deref());
        let search = self.search_of(change);
        let best = search.map(Search::best);
        let likely = [best.map(|best| without_port(best.host())), fixed];
        let mut hosts = surveyed.hosts.iter().map(String::as_str);
        let host = hosts.clone().find(|host| likely.contains(&Some(host)));
        if let Some(host) = host.or(hosts.next()) {
            return Some(host);
        }
        let Some(best) = best else {
            let name = fixed.or(change.name());
            let name = name.or_else(|| sent_host(surveyed).filter(|host| is_name(host)));
            return name.or((!surveyed.sends_sni).then_some("localhost"));
        };
        let host = without_port(best.host());
        let is_site = match fixed {
            // The operator wrote visitors' SNI name and a different Host into the check, so this Host is the
            // site's name.
            Some(_) if search.is_some_and(|search| self.asks_with_sni_of_visitors(search)) => true,
            // If the check's Host equals the check's SNI name, the Host proves nothing. In this case, the SNI
            // name of visitors' connections is the site's name.
            Some(_) => best.sni() != Some(host),
            None => !surveyed.sends_sni || has_certificate_for(best, host),
        };
        match is_name(host) && is_site {
            true => Some(host),
            false => fixed.or(Some(best.plan.names.host.as_str())),
        }
    }

    /// Returns true if the operator wrote the SNI name of visitors' connections and a different Host into the
    /// check, and no change has replaced this Host.
    fn asks_with_sni_of_visitors(&self, search: &Search) -> bool {
        let asked = &search.asked;
        let is_other = asked.sni() != Some(without_port(asked.host()));
        let is_kept = asked.host() == search.best().host();
        let is_of_visitors = asked.sni().is_some() && asked.sni() == self.surveyed.sni.as_deref();
        is_other && is_kept && is_of_visitors
    }

    /// Returns true if this response to a visitor after the change means that the visitor was served. If
    /// haproxy.cfg rewrites paths, visitors get other pages than the check, so their responses needn't match
    /// the check's response.
    pub fn is_served(&self, visitor: Visited, change: &Change) -> bool {
        let rewrites = self.surveyed.lines.rewrites_paths();
        match self.search_of(change).map(Search::best) {
            Some(best) if !best.plan.handshake_only && !rewrites => serves(best, visitor),
            _ => {
                let of_page = rewrites && visitor.by_server && visitor.status != 421;
                // A server that speaks TLS answers 400 to a request without TLS.
                let lacks_tls = visitor.status == 400 && self.is_plain();
                let is_page = of_page || !NOT_SERVED.contains(&visitor.status);
                visitor.complete && is_page && !lacks_tls
            }
        }
    }
}

/// Returns true if the server's certificate is for this name.
fn has_certificate_for(facts: &Facts, name: &str) -> bool {
    let leaf = facts.verdict.seen.chain.first();
    leaf.is_some_and(|leaf| probe::is_for(leaf, name))
}
