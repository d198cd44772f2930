//! What the frontends say about the visitors of a backend.

use super::condition::join;
use super::frontend::Frontend;
use super::place::{At, Place};

/// What sni-check learns from the frontends about the visitors of a backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Visitors {
    /// The names that visitors ask for, by Host or SNI. Empty if visitors may ask for any name.
    pub names: Vec<String>,
    /// The names that the conditions of the frontends contain, also in comparisons with a part of a name.
    pub mentions: Vec<String>,
    /// The Host that all of these frontends give to every request with `http-request set-header`.
    pub host: Option<At<String>>,
    /// The line that keeps all visitors from this backend. The line changes the Host, and the frontend
    /// chooses this backend only for other Hosts.
    pub lost: Option<At<String>>,
    /// The `http-request` rules and `acl` lines of a frontend that sends visitors to this backend.
    pub rules: Vec<At<Vec<String>>>,
    /// The `bind` line without TLS of a frontend that also has a `bind` line with TLS, if the frontend sends
    /// the visitors of both to this backend.
    pub plain_bind: Option<Place>,
    /// The header fields that all of these frontends add to visitors' requests, as in [`ProxySettings`].
    pub fields: Vec<(String, String)>,
    /// True if visitors' bytes arrive here as TLS, false if they arrive without TLS, `None` if this is
    /// unknown. This matters in `mode tcp`.
    pub speak_tls: Option<bool>,
}

impl Visitors {
    /// Returns the visitors that these frontends lead to the backend with this name.
    pub(super) fn of(backend: &str, frontends: &[Frontend]) -> Visitors {
        let leads = |front: &&Frontend| front.open_routes(backend).next().is_some();
        let leading: Vec<&Frontend> = frontends.iter().filter(leads).collect();
        let fronts = || leading.iter();
        let names = join(fronts().map(|front| front.names(backend)));
        Visitors {
            names: names.unwrap_or_default(),
            mentions: fronts().flat_map(|front| front.mentions(backend)).collect(),
            host: {
                let first = leading.first().and_then(|front| front.host());
                let value = |host: Option<&At<String>>| host.map(|at| at.value.clone());
                let is_everywhere = fronts().all(|front| value(front.host()) == value(first));
                first.filter(|_| is_everywhere).cloned()
            },
            lost: {
                let mut fronts = frontends.iter();
                let has_route = |front: &&Frontend| front.routes(backend).next().is_some();
                let host = fronts
                    .by_ref()
                    .filter(has_route)
                    .find_map(Frontend::last_host);
                host.filter(|_| leading.is_empty())
            },
            // With several frontends, doctor's visitor comes through the first frontend that changes
            // requests.
            rules: {
                let rules = fronts()
                    .map(|front| front.rules())
                    .find(|rules| !rules.is_empty());
                rules.unwrap_or_default().to_vec()
            },
            plain_bind: fronts()
                .find_map(|front| front.plain_bind(backend))
                .cloned(),
            fields: {
                let fields = leading.first().map(|front| &front.settings.fields);
                let is_everywhere = |field: &&(String, String)| {
                    fronts().all(|front| front.settings.fields.contains(field))
                };
                fields
                    .into_iter()
                    .flatten()
                    .filter(is_everywhere)
                    .cloned()
                    .collect()
            },
            speak_tls: {
                let first = leading.first().and_then(|front| front.speak_tls());
                first.filter(|_| fronts().all(|front| front.speak_tls() == first))
            },
        }
    }
}
