//! `frontend` and `listen`: which backends they lead to, and what they say about the visitors of a backend
//! (configuration manual, sections 4.2 and 7.1).

use super::address::Endpoint;
use super::backend_lines::PATH_ACTIONS;
use super::criterion::{is_of_host, is_same, mentioned_in, names_in};
use super::host_rule::{HostChange, HostRule};
use super::place::{At, Place};
use super::proxy::{Backend, ProxySettings, Visitors};
use super::route::{self, Route};

/// A `frontend`, or a `listen`, which is also a backend.
#[derive(Debug)]
pub(super) struct Frontend {
    settings: ProxySettings,
    /// True for a `listen`.
    is_backend: bool,
    /// The address of each listener.
    binds: Vec<At<String>>,
    /// The port of each listener, and true if it has `ssl`.
    listeners: Vec<(u16, bool)>,
    /// The line of the first listener without `ssl`.
    plain_bind: Option<Place>,
    /// True if a rule redirects visitors, for example from HTTP to HTTPS.
    redirects: bool,
    /// True if a rule looks at the visitors' ClientHello.
    sees_hello: bool,
    /// The names and the criteria of the `acl` lines.
    acls: Vec<(String, Vec<String>)>,
    acl_lines: Vec<At<Vec<String>>>,
    /// The backends to which rules lead, each with the rule's condition: `if` or `unless`, and the terms. The
    /// condition may be empty.
    routes: Vec<(String, Vec<String>)>,
    /// The conditions of the rules that keep visitors from every backend, such as `http-request deny`.
    exits: Vec<Vec<String>>,
}

/// The actions of `http-request` and `tcp-request content` after which no backend gets the request.
const EXITS: [&str; 6] = [
    "deny",
    "redirect",
    "reject",
    "return",
    "silent-drop",
    "tarpit",
];

impl Frontend {
    /// Returns a frontend without lines. `itself` is the name of a `listen`, whose visitors reach its own
    /// servers.
    pub fn new(settings: ProxySettings, itself: Option<&str>) -> Frontend {
        let is_backend = itself.is_some();
        let itself = itself.map(|name| (name.to_owned(), Vec::new()));
        Frontend {
            settings,
            is_backend,
            binds: Vec::new(),
            listeners: Vec::new(),
            plain_bind: None,
            redirects: false,
            sees_hello: false,
            acls: Vec::new(),
            acl_lines: Vec::new(),
            routes: itself.into_iter().collect(),
            exits: Vec::new(),
        }
    }

    pub fn is_http(&self) -> bool {
        self.settings.http
    }

    /// Returns the addresses on which HAProxy listens for this frontend.
    pub fn binds(&self) -> &[At<String>] {
        match self.settings.disabled {
            true => &[],
            false => &self.binds,
        }
    }

    pub fn read(&mut self, words: &[&str], place: &Place) {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let of_hello = ["ssl_hello_type", "req.ssl_", "req_ssl_"];
        let is_of_hello = |word: &&str| of_hello.iter().any(|part| word.contains(part));
        self.sees_hello |= words.iter().any(is_of_hello);
        match words {
            ["bind", addresses, more @ ..] => {
                let ports = addresses
                    .split(',')
                    .map(|address| match Endpoint::parse(address) {
                        Endpoint::Tcp(_, port) => port,
                        _ => 0,
                    });
                let has_tls = more.contains(&"ssl");
                if !has_tls {
                    self.plain_bind.get_or_insert_with(|| place.clone());
                }
                self.listeners.extend(ports.map(|port| (port, has_tls)));
                let addresses = addresses.split(',').map(str::to_owned);
                self.binds
                    .extend(addresses.map(|address| At::new(address, place)));
            }
            ["acl", name, criterion @ ..] => {
                self.acls.push(((*name).to_owned(), owned(criterion)));
                self.acl_lines.push(At::new(owned(words), place));
            }
            ["use_backend" | "default_backend", backend, condition @ ..] => {
                self.routes.push(((*backend).to_owned(), owned(condition)));
            }
            words => {
                self.redirects |= words.contains(&"redirect");
                let is_exit = match words {
                    ["http-request", action, ..] | ["tcp-request", "content", action, ..] => {
                        EXITS.contains(action)
                    }
                    ["redirect", ..] => true,
                    _ => false,
                };
                let mut begins = words.iter();
                let condition = begins.position(|word| ["if", "unless"].contains(word));
                let condition = condition.filter(|_| is_exit).map(|at| owned(&words[at..]));
                self.exits.extend(condition);
                self.settings.read(words, place);
            }
        }
    }

    /// Returns the listener without TLS, if the frontend also has a listener with TLS and sends the visitors
    /// of both to the backend.
    fn plain_bind(&self, backend: &str) -> Option<&Place> {
        let has_tls = self.listeners.iter().any(|(_, has_tls)| *has_tls);
        let is_about_tls =
            |condition: &[String]| condition.iter().any(|word| word.contains("ssl_fc"));
        let mut conditions = self.conditions(backend);
        let is_open = has_tls && !self.redirects && !conditions.any(is_about_tls);
        self.plain_bind.as_ref().filter(|_| is_open)
    }

    /// Returns the rules that change the requests of visitors. Returns no rules for a `listen`, because its
    /// backend already has them.
    fn rules(&self) -> &[At<Vec<String>>] {
        match self.is_backend {
            true => &[],
            false => &self.settings.for_visitors,
        }
    }

    /// Returns the rules that change the requests of visitors, after the `acl` lines that they use.
    fn rules_with_acls(&self) -> Vec<At<Vec<String>>> {
        let rules = self.rules();
        let is_used = |acl: &&At<Vec<String>>| {
            let mut words = rules.iter().flat_map(|rule| &rule.value);
            words.any(|word| {
                acl.value
                    .get(1)
                    .is_some_and(|name| word.trim_start_matches('!') == name)
            })
        };
        let acls = self.acl_lines.iter().filter(is_used);
        acls.chain(rules).cloned().collect()
    }

    /// Returns the Host that a rule gives to every request, before HAProxy chooses the backend. Returns
    /// `None` in `mode tcp`, and for a `listen`, because its backend already has this rule.
    fn host(&self) -> Option<&At<String>> {
        let host = self.settings.host.fixed();
        host.filter(|_| self.is_http() && !self.is_backend)
    }

    /// Returns true if a rule computes the Host of visitors before HAProxy chooses the backend. Returns false
    /// for a `listen`, because its backend already has this rule.
    fn computes_host(&self) -> bool {
        self.is_http() && !self.is_backend && self.settings.host.is_computed()
    }

    /// Returns the conditions under which visitors reach this backend. Leaves out conditions that never hold.
    fn conditions(&self, backend: &str) -> impl Iterator<Item = &[String]> {
        let can_hold = |condition: &&[String]| {
            self.names_of(condition)
                .is_none_or(|names| !names.is_empty())
        };
        self.written_conditions(backend).filter(can_hold)
    }

    /// Returns the conditions of the rules that lead to this backend, even if they never hold. A rule with an
    /// expression in place of a name may lead to any backend.
    fn written_conditions(&self, backend: &str) -> impl Iterator<Item = &[String]> {
        let leads = move |(to, _): &&(String, Vec<String>)| to == backend || to.contains("%[");
        self.routes
            .iter()
            .filter(leads)
            .map(|(_, condition)| condition.as_slice())
    }

    /// Returns the names that visitors ask for if they reach the backend through this frontend. Returns
    /// `None` if they may ask for any name.
    fn names(&self, backend: &str) -> Option<Vec<String>> {
        let conditions = self.conditions(backend);
        let of_routes = flat(conditions.map(|condition| self.names_of(condition)));
        of_routes.or_else(|| {
            let mut conditions = self.stays();
            conditions.find_map(|condition| self.names_of(&condition))
        })
    }

    /// Returns, for each exit, the condition that visitors meet if the exit doesn't apply to them. Skips the
    /// exits whose condition isn't negated as a whole.
    fn stays(&self) -> impl Iterator<Item = Vec<String>> {
        self.exits
            .iter()
            .filter_map(|condition| opposite(condition))
    }

    /// Returns the names in the conditions that lead to this backend and compare visitors' Host or SNI.
    /// Includes names that a condition compares with only a part of the Host or SNI. Skips negated
    /// conditions. Visitors may ask for other names, too.
    fn mentions(&self, backend: &str) -> Vec<String> {
        let is_negated =
            |condition: &&[String]| condition.iter().any(|word| word == "unless" || word == "!");
        let conditions = self.conditions(backend).map(<[String]>::to_vec);
        let conditions = conditions.chain(self.stays());
        let conditions: Vec<Vec<String>> = conditions
            .filter(|condition| !is_negated(&condition.as_slice()))
            .collect();
        let criteria = conditions.iter().flat_map(|condition| {
            let acls = self
                .acls
                .iter()
                .filter(|(name, _)| condition.contains(name));
            let acls = acls.map(|(_, criterion)| criterion.as_slice());
            acls.chain(condition.split(|word| word == "{"))
        });
        criteria.flat_map(mentioned_in).collect()
    }

    /// Returns the names that this condition allows. Returns an empty list if the condition never holds, and
    /// `None` if it allows any name.
    fn names_of(&self, condition: &[String]) -> Option<Vec<String>> {
        let (first, terms) = condition.split_first()?;
        let mut alternatives = terms.split(|word| is_or(word));
        let names = flat(alternatives.by_ref().map(|terms| self.names_of_all(terms)));
        names.filter(|_| first == "if")
    }

    /// Returns the names that these terms allow. HAProxy requires all terms, so the first term about the name
    /// decides. Returns `None` if no term is about the name.
    fn names_of_all(&self, terms: &[String]) -> Option<Vec<String>> {
        let terms = route::split(terms, &self.acls).into_iter();
        // HAProxy itself defines ACLs without criteria.
        let mut terms = terms.filter(|term| !term.is_negated && !term.criteria.is_empty());
        terms.find_map(|term| {
            flat(
                term.criteria
                    .iter()
                    .map(|criterion| self.names_in(criterion)),
            )
        })
    }

    /// Returns the ways to this backend.
    fn routes(&self, backend: &str) -> Vec<Route> {
        let rules = self.rules().iter();
        let mut actions = rules.filter_map(|rule| rule.value.get(1));
        let rewrites = actions.any(|action| PATH_ACTIONS.contains(&action.as_str()));
        let route = |terms: &[String]| {
            let names = self.names_of_all(terms);
            Route::of(&route::split(terms, &self.acls), names, rewrites)
        };
        let routes = self.conditions(backend).map(|condition| match condition {
            [first, terms @ ..] if first == "if" => {
                terms.split(|word| is_or(word)).map(route).collect()
            }
            // Terms that must not all hold together exclude no request by themselves.
            _ => vec![Route::default()],
        });
        routes.collect::<Vec<_>>().concat()
    }

    /// Returns the names with which a criterion compares the whole Host or SNI of visitors. Leaves out a Host
    /// that no request has when HAProxy evaluates the criterion. Returns `None` if every request has one of
    /// these Hosts, or if the criterion is about something else.
    fn names_in(&self, criterion: &[&str]) -> Option<Vec<String>> {
        let mut names = names_in(criterion)?;
        if is_of_host(criterion) {
            let host = self.host();
            if host.is_some_and(|host| names.iter().any(|name| is_same(name, &host.value))) {
                return None;
            }
            names.retain(|name| self.can_have_host(name));
        } else if matches!(self.settings.host, HostChange::Computed) && self.computes_host() {
            // The SNI says nothing about the Host that HAProxy computes.
            return None;
        }
        Some(names)
    }

    /// Returns the value and the condition of each rule that changes the Host of visitors before HAProxy
    /// chooses the backend. The value is `None` if the rule doesn't set a fixed value. Returns no rules in
    /// `mode tcp`. Returns no rules for a `listen` either, because its backend already has these rules.
    fn rules_of_host(&self) -> impl DoubleEndedIterator<Item = (Option<At<&str>>, &[String])> {
        let rules = self.rules().iter().filter(|_| self.is_http());
        rules.filter_map(|rule| {
            let HostRule { value, rest, .. } = HostRule::of(&rule.value)?;
            Some((value.map(|value| At::new(value, &rule.place)), rest))
        })
    }

    /// Returns false if no request can have this Host after the frontend's rules have changed it.
    fn can_have_host(&self, host: &str) -> bool {
        let rules = self.rules_of_host();
        rules.fold(true, |can, (value, condition)| match value {
            Some(value) => {
                is_same(value.value, host) || (can && !self.always_holds(condition, host))
            }
            None => true,
        })
    }

    /// Returns true if this condition of a rule certainly holds for every request with this Host.
    fn always_holds(&self, condition: &[String], host: &str) -> bool {
        let Some((first, terms)) = condition.split_first() else {
            return true;
        };
        let mut alternatives = terms.split(|word| is_or(word));
        match first.as_str() {
            "if" => alternatives.any(|terms| self.holds(terms, host) == Some(true)),
            _ => alternatives.all(|terms| self.holds(terms, host) == Some(false)),
        }
    }

    /// Returns true if these terms hold for requests with this Host, and false if they don't. Returns `None`
    /// if the terms aren't a single comparison of the Host.
    fn holds(&self, terms: &[String], host: &str) -> Option<bool> {
        let has_host = |criterion: &Vec<&str>| {
            let names = names_in(criterion).filter(|_| is_of_host(criterion))?;
            Some(names.iter().any(|name| is_same(name, host)))
        };
        let terms = route::split(terms, &self.acls);
        let [term] = terms.as_slice() else {
            return None;
        };
        let met: Vec<bool> = term.criteria.iter().map(has_host).collect::<Option<_>>()?;
        (!met.is_empty()).then(|| met.contains(&true) != term.is_negated)
    }

    /// Returns true if visitors' bytes are TLS when they leave this frontend in `mode tcp`, and `None` if
    /// this is unknown.
    fn speak_tls(&self) -> Option<bool> {
        let listeners = self.listeners.iter();
        let decrypts = listeners.clone().all(|(_, has_tls)| *has_tls);
        // For a listener without `ssl`, only the port number suggests whether visitors speak TLS.
        let ports: Vec<u16> = listeners
            .map(|(port, _)| *port)
            .filter(|port| *port != 0)
            .collect();
        let all = |is: fn(&u16) -> bool| !ports.is_empty() && ports.iter().all(is);
        match self.sees_hello {
            _ if decrypts && !self.listeners.is_empty() => Some(false),
            true => Some(true),
            _ if all(|port| port % 1000 == 443) => Some(true),
            _ if all(|port| [80, 8000, 8080].contains(port)) => Some(false),
            _ => None,
        }
    }
}

fn is_or(word: &str) -> bool {
    ["or", "||"].contains(&word)
}

/// Returns the opposite of a condition that is negated as a whole: `unless …`, `if !NAME` or `if !{ … }`.
/// Returns `None` for other conditions.
fn opposite(condition: &[String]) -> Option<Vec<String>> {
    let (first, terms) = condition.split_first()?;
    let terms: Vec<String> = match first.as_str() {
        "unless" => terms.to_vec(),
        _ => {
            let (first, rest) = terms.split_first()?;
            let first = first.strip_prefix('!')?.to_owned();
            let first = Some(first).filter(|word| !word.is_empty());
            first.into_iter().chain(rest.iter().cloned()).collect()
        }
    };
    let is_one = match terms.first()?.as_str() {
        "{" => terms.iter().position(|word| word == "}") == Some(terms.len() - 1),
        _ => terms.len() == 1,
    };
    let is_whole = first == "unless" || is_one;
    is_whole.then(|| ["if".to_owned()].into_iter().chain(terms).collect())
}

/// Joins lists. Returns `None` if one of the lists is `None`.
fn flat(lists: impl Iterator<Item = Option<Vec<String>>>) -> Option<Vec<String>> {
    let lists: Vec<Vec<String>> = lists.collect::<Option<_>>()?;
    Some(lists.concat())
}

/// Sets `visitors` of each backend from the frontends that lead to it.
pub(super) fn introduce(frontends: &[Frontend], backends: &mut [Backend]) {
    for backend in backends {
        let name = &backend.name;
        let leads = |front: &&Frontend| front.conditions(name).next().is_some();
        let leading: Vec<&Frontend> = frontends.iter().filter(leads).collect();
        let speak_tls = leading.first().and_then(|front| front.speak_tls());
        let fields = leading.first().map(|front| front.settings.fields.iter());
        let is_everywhere = |field: &&(String, String)| {
            let mut fronts = leading.iter();
            fronts.all(|front| front.settings.fields.contains(field))
        };
        let fields = fields.into_iter().flatten().filter(is_everywhere).cloned();
        let agree = leading.iter().all(|front| front.speak_tls() == speak_tls);
        backend.visitors = Visitors {
            // With several frontends, doctor's visitor comes through the first frontend that changes
            // requests.
            rules: {
                let mut rules = leading.iter().map(|front| front.rules_with_acls());
                rules.find(|rules| !rules.is_empty()).unwrap_or_default()
            },
            plain_bind: {
                let mut binds = leading.iter().filter_map(|front| front.plain_bind(name));
                binds.next().cloned()
            },
            names: flat(leading.iter().map(|front| front.names(name))).unwrap_or_default(),
            routes: leading
                .iter()
                .flat_map(|front| front.routes(name))
                .collect(),
            mentions: leading
                .iter()
                .flat_map(|front| front.mentions(name))
                .collect(),
            host: {
                let mut hosts = leading.iter().map(|front| front.host());
                let first = hosts.next().flatten();
                let is_first = |host: Option<&At<String>>| {
                    host.map(|at| &at.value) == first.map(|at| &at.value)
                };
                first.filter(|_| hosts.all(is_first)).cloned()
            },
            computes_host: leading.iter().any(|front| front.computes_host()),
            lost: {
                let written = |front: &&Frontend| front.written_conditions(name).next().is_some();
                let mut fronts = frontends.iter().filter(written);
                let host =
                    fronts.find_map(|front| front.rules_of_host().rev().find_map(|(host, _)| host));
                let host = host.filter(|_| leading.is_empty());
                host.map(|host| At::new(host.value.to_owned(), &host.place))
            },
            fields: fields.collect(),
            speak_tls: speak_tls.filter(|_| agree),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::{Frontend, Place, ProxySettings};

    /// Returns a frontend with these lines.
    fn front(lines: &str) -> Frontend {
        let place = Place {
            file: "x".into(),
            line: 1,
        };
        let settings = ProxySettings {
            http: true,
            ..ProxySettings::default()
        };
        let mut front = Frontend::new(settings, None);
        for line in lines.split(';') {
            front.read(&line.split(' ').collect::<Vec<_>>(), &place);
        }
        front
    }

    #[test]
    fn listeners_decide_whether_visitors_speak_tls() {
        for (lines, expected) in [
            ("bind :443 ssl crt x", Some(false)),
            ("bind :443", Some(true)),
            ("bind 192.0.2.1:8443,unix@/s", Some(true)),
            ("bind :80;bind :8080", Some(false)),
            ("bind :80;bind :443", None),
            ("bind :5432", None),
            (
                "bind :5432;tcp-request content accept if { req.ssl_hello_type 1 }",
                Some(true),
            ),
            ("mode tcp", None),
        ] {
            assert_eq!(front(lines).speak_tls(), expected, "{lines}");
        }
    }

    #[test]
    fn conditions_mention_names_that_they_compare_partially() {
        for (lines, expected) in [
            (
                "use_backend b if { hdr_dom(host) -i a.b } { path_beg /x.y }",
                "a.b",
            ),
            ("acl x hdr(host) -m end .a.b;use_backend b if x", "a.b"),
            ("use_backend b if { hdr_reg(Host) -i ^a\\.b$ }", "a.b"),
            ("use_backend b unless { hdr_dom(host) a.b }", ""),
            ("acl x hdr_dom(host) a.b;use_backend b if !x", ""),
            ("use_backend b if ! { hdr_dom(host) a.b }", ""),
            (
                "use_backend b if { req.ssl_sni -m sub a.b } or { hdr_beg(host) c. }",
                "a.b",
            ),
            ("use_backend c if { hdr(host) a.b }", ""),
        ] {
            assert_eq!(front(lines).mentions("b").join(" "), expected, "{lines}");
        }
    }

    #[test]
    fn rules_that_set_the_host_decide_which_conditions_can_hold() {
        let led = |lines: &str, condition: &str| {
            let lines = format!("{lines};use_backend b {condition}");
            front(&lines).conditions("b").next().is_some()
        };
        for (rule, expected) in [
            ("Host A if { hdr(host) -i B }", false),
            ("Host A if { path / } || { hdr(host) B C }", false),
            ("Host A if { hdr(host) B } { path / }", true),
            ("Host A if is_b", false),
            ("Host A if is_old", true),
            ("Host A unless { hdr(host) -i A C }", false),
            ("Host A if ! { hdr(host) C }", false),
            ("Host A if !is_b", true),
            ("Host A unless { hdr(host) -i A } or { hdr(host) B }", true),
            ("Host A;http-request set-header Host B if { path /b }", true),
            (
                "Host B if { path /b };http-request set-header Host A",
                false,
            ),
            ("Host A;http-request replace-value Host A B", true),
            ("Host %[req.hdr(x)]", true),
            ("Host B:8443", true),
            ("X-Host A", true),
        ] {
            let lines = format!("acl is_b hdr(host) B;http-request set-header {rule}");
            assert_eq!(
                led(&lines, "if { hdr(host),field(1,:) B }"),
                expected,
                "{rule}"
            );
        }
        for (condition, expected) in [
            ("if { hdr(host) B }", false),
            ("if { hdr(host) -i a }", true),
            ("if { hdr(host) B } || { path /b }", true),
            ("if { hdr(host) B } { path /b }", false),
            ("if { ssl_fc_sni B }", true),
            ("if !{ hdr(host) B }", true),
        ] {
            let leads = led("http-request set-header Host A", condition);
            assert_eq!(leads, expected, "{condition}");
        }
    }

    #[test]
    fn exits_restrict_the_names_that_visitors_ask_for() {
        for (rule, expected) in [
            ("http-request deny unless { hdr(host) -i A B }", Some("A B")),
            ("http-request deny if !{ hdr(host) -i A }", Some("A")),
            ("http-request deny if ! { hdr(host) -i A }", Some("A")),
            ("acl x hdr(host) A;http-request deny if !x", Some("A")),
            (
                "acl x hdr(host) A;http-request redirect prefix https://A unless x",
                Some("A"),
            ),
            (
                "acl x hdr(host) A;tcp-request content reject unless x",
                Some("A"),
            ),
            ("http-request deny if { hdr(host) A }", None),
            ("acl x hdr(host) A;http-request deny if !x { src B }", None),
            (
                "http-request deny unless { hdr(host) A } or { src B }",
                None,
            ),
            ("acl x hdr(host) A;http-request set-header x y if !x", None),
        ] {
            let lines = format!("{rule};default_backend b");
            let names = front(&lines).names("b").map(|names| names.join(" "));
            assert_eq!(names.as_deref(), expected, "{rule}");
        }
    }

    #[test]
    fn conditions_name_the_hosts_of_a_backend() {
        for (lines, expected) in [
            ("use_backend b if { hdr(host) -i A B }", Some("A B")),
            (
                "use_backend b if { req.hdr(Host),lower -m str A } { ssl_fc }",
                Some("A"),
            ),
            (
                "acl x ssl_fc_sni -i A;acl x hdr(host) B;use_backend b if y or x",
                None,
            ),
            (
                "acl x ssl_fc_sni -i A;acl x hdr(host) B;use_backend b if y x",
                Some("A B"),
            ),
            (
                "acl x hdr(host) A;use_backend b if x || { hdr(host) B }",
                Some("A B"),
            ),
            ("acl x hdr(host) A;use_backend b if !x", None),
            ("use_backend b if !{ hdr(host) A }", None),
            ("use_backend b if ! { hdr(host) A }", None),
            ("use_backend b unless { hdr(host) A }", None),
            ("use_backend b if { hdr_end(host) A }", None),
            ("use_backend b if { hdr(host) -m end A }", None),
            ("use_backend b if { hdr(host) -f names }", None),
            ("use_backend b if { hdr(host) A };default_backend b", None),
            (
                "use_backend b if { hdr(host) A };use_backend %[req.hdr(x)]",
                None,
            ),
            ("use_backend b if { hdr(host) A } { hdr(host) }", Some("A")),
            (
                "http-request set-header Host A;use_backend b if { hdr(host) A }",
                None,
            ),
            (
                "http-request set-header Host A;use_backend b if { ssl_fc_sni B }",
                Some("B"),
            ),
            (
                "http-request set-header Host A;use_backend b if { hdr(host) B } or { ssl_fc_sni C }",
                Some("C"),
            ),
        ] {
            let names = front(lines).names("b").map(|names| names.join(" "));
            assert_eq!(names.as_deref(), expected, "{lines}");
        }
    }
}
