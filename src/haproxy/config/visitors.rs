//! What the frontends say about the visitors of a backend.

use super::condition::join;
use super::frontend::Frontend;
use super::place::At;
use super::proxy::Visitors;

impl Visitors {
    /// Returns the visitors that these frontends lead to the backend with this name.
    pub(super) fn of(backend: &str, frontends: &[Frontend]) -> Visitors {
        let leads = |front: &&Frontend| front.open_routes(backend).next().is_some();
        let leading: Vec<&Frontend> = frontends.iter().filter(leads).collect();
        let fronts = || leading.iter();
        let names = join(fronts().map(|front| front.names(backend)));
        Visitors {
            names: names.unwrap_or_default(),
            routes: fronts()
                .flat_map(|front| front.requirements(backend))
                .collect(),
            taken: match leading.as_slice() {
                [front] => front.taken(backend),
                _ => Vec::new(),
            },
            mentions: fronts().flat_map(|front| front.mentions(backend)).collect(),
            host: {
                let first = leading.first().and_then(|front| front.host());
                let value = |host: Option<&At<String>>| host.map(|at| at.value.clone());
                let is_everywhere = fronts().all(|front| value(front.host()) == value(first));
                first.filter(|_| is_everywhere).cloned()
            },
            computes_host: fronts().any(|front| front.computes_host()),
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
                let mut rules = fronts().map(|front| front.used_rules());
                rules.find(|rules| !rules.is_empty()).unwrap_or_default()
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
