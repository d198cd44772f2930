//! `frontend` and `listen`: which backends they lead to, and what they say about the visitors of a backend
//! (configuration manual, section 4.2).

use super::address::Endpoint;
use super::condition::{Acls, Condition, Term, is_of_host, is_same, join, names_in, names_of};
use super::host_rule::{HostChange, HostRule};
use super::place::{At, Place, owned};
use super::proxy::{ProxySettings, UnusedLine};
use super::route::{Route, rewrites_path};

/// A `frontend`, or a `listen`, which is also a backend.
#[derive(Debug)]
pub(super) struct Frontend {
    pub settings: ProxySettings,
    /// The first words of the section, such as `frontend web`.
    title: String,
    /// True for a `listen`.
    is_backend: bool,
    binds: Vec<Bind>,
    /// True if a rule redirects visitors, for example from HTTP to HTTPS.
    redirects: bool,
    /// True if a rule looks at the visitors' ClientHello.
    sees_hello: bool,
    acls: Acls,
    /// The backends to which rules lead, each with the rule's condition. The condition may be empty.
    routes: Vec<(String, Vec<String>)>,
    /// The conditions of the rules that keep visitors from every backend, such as `http-request deny`.
    exits: Vec<Vec<String>>,
    /// The first line about checks.
    pub check_line: Option<UnusedLine>,
}

/// An address on which HAProxy listens.
#[derive(Clone, Debug)]
pub(crate) struct Bind {
    pub address: At<String>,
    /// The section in which HAProxy listens, such as `frontend web`.
    pub section: String,
    /// True if the line has `ssl`.
    pub has_tls: bool,
    /// True if HAProxy may listen on an address that the host doesn't have (`transparent`).
    pub is_transparent: bool,
}

/// The actions of `http-request` and `tcp-request content` after which no backend gets the request.
const EXITS: &str = "deny redirect reject return silent-drop tarpit";

impl Frontend {
    /// Returns a frontend without lines. `word` is `frontend`, or `listen` for a section whose visitors reach
    /// its own servers.
    pub fn new(settings: ProxySettings, word: &str, name: &str) -> Frontend {
        let is_backend = word == "listen";
        let itself = is_backend.then(|| (name.to_owned(), Vec::new()));
        Frontend {
            settings,
            title: format!("{word} {name}"),
            is_backend,
            binds: Vec::new(),
            redirects: false,
            sees_hello: false,
            acls: Acls::new(),
            routes: itself.into_iter().collect(),
            exits: Vec::new(),
            check_line: None,
        }
    }

    /// Returns the addresses on which HAProxy listens for this frontend.
    pub fn binds(&self) -> &[Bind] {
        match self.settings.disabled {
            true => &[],
            false => &self.binds,
        }
    }

    pub fn read(&mut self, words: &[&str], place: &Place) {
        let of_hello = ["ssl_hello_type", "req.ssl_", "req_ssl_"];
        let is_of_hello = |word: &&str| of_hello.iter().any(|part| word.contains(part));
        self.sees_hello |= words.iter().any(is_of_hello);
        match words {
            ["bind", addresses, more @ ..] => {
                let has_tls = more.contains(&"ssl");
                self.binds.extend(addresses.split(',').map(|address| Bind {
                    address: At::new(address.to_owned(), place),
                    section: self.title.clone(),
                    has_tls,
                    is_transparent: more.contains(&"transparent"),
                }));
            }
            ["acl", name, criterion @ ..] => {
                self.acls.push(((*name).to_owned(), owned(criterion)));
                self.settings.read(words, place);
            }
            ["use_backend" | "default_backend", backend, condition @ ..] => {
                self.routes.push(((*backend).to_owned(), owned(condition)));
            }
            words => {
                self.redirects |= words.contains(&"redirect");
                let is_exit = match words {
                    ["http-request", action, ..] | ["tcp-request", "content", action, ..] => {
                        EXITS.split(' ').any(|known| known == *action)
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

    fn condition<'a>(&'a self, words: &'a [String]) -> Condition<'a> {
        Condition::read(words, &self.acls)
    }

    /// Returns the conditions of the rules that lead to this backend, even if they never hold. A rule with an
    /// expression in place of a name may lead to any backend.
    pub fn routes(&self, backend: &str) -> impl Iterator<Item = Condition<'_>> {
        let leads = move |(to, _): &&(String, Vec<String>)| to == backend || to.contains("%[");
        let routes = self.routes.iter().filter(leads);
        routes.map(|(_, condition)| self.condition(condition))
    }

    /// Returns the conditions under which visitors reach this backend. Leaves out conditions that never hold.
    pub fn open_routes(&self, backend: &str) -> impl Iterator<Item = Condition<'_>> {
        let can_hold = |names: Option<Vec<String>>| names.is_none_or(|names| !names.is_empty());
        let routes = self.routes(backend);
        routes.filter(move |condition| can_hold(self.names_of(condition)))
    }

    /// Returns, for each exit, the condition that visitors meet if the exit doesn't apply to them. Skips the
    /// exits whose condition isn't negated as a whole.
    fn passing_conditions(&self) -> impl Iterator<Item = Condition<'_>> {
        let exits = self.exits.iter();
        exits.filter_map(|exit| self.condition(exit).opposite())
    }

    /// Returns the `bind` line without TLS, if the frontend also has one with TLS and sends the visitors of
    /// both to the backend.
    pub fn plain_bind(&self, backend: &str) -> Option<&Place> {
        let has_tls = self.binds.iter().any(|bind| bind.has_tls);
        let mut routes = self.open_routes(backend);
        let is_open = has_tls && !self.redirects && !routes.any(|route| route.is_about_tls());
        let plain = self.binds.iter().find(|bind| !bind.has_tls);
        plain.filter(|_| is_open).map(|bind| &bind.address.place)
    }

    /// Returns the rules about the requests and the responses of visitors. Returns no rules in `mode tcp`, and
    /// for a `listen`, because its backend already has them.
    pub fn rules(&self) -> &[At<Vec<String>>] {
        match self.is_backend || !self.settings.http {
            true => &[],
            false => &self.settings.for_visitors,
        }
    }

    /// Returns the rules of visitors, without the `acl` lines that none of them uses.
    pub fn used_rules(&self) -> Vec<At<Vec<String>>> {
        let is_acl = |rule: &At<Vec<String>>| rule.value[0] == "acl";
        let rules = || self.rules().iter();
        let is_used = |name: &String| {
            let words = rules().filter(|rule| !is_acl(rule));
            let mut words = words.flat_map(|rule| &rule.value);
            words.any(|word| word.trim_start_matches('!') == name)
        };
        let used = rules().filter(|rule| !is_acl(rule) || rule.value.get(1).is_some_and(is_used));
        used.cloned().collect()
    }

    /// Returns the Host that a rule gives to every request, before HAProxy chooses the backend. Returns
    /// `None` in `mode tcp`, and for a `listen`, because its backend already has this rule.
    pub fn host(&self) -> Option<&At<String>> {
        let host = self.settings.host.fixed();
        host.filter(|_| self.settings.http && !self.is_backend)
    }

    /// Returns true if a rule computes visitors' Host before HAProxy chooses the backend. Returns false
    /// for a `listen`, because its backend already has this rule.
    pub fn computes_host(&self) -> bool {
        self.settings.http && !self.is_backend && self.settings.host.is_computed()
    }

    /// Returns the names that visitors ask for if they reach the backend through this frontend. Returns
    /// `None` if they may ask for any name.
    pub fn names(&self, backend: &str) -> Option<Vec<String>> {
        let routes = self.open_routes(backend);
        let of_routes = join(routes.map(|condition| self.names_of(&condition)));
        let mut passing = self.passing_conditions();
        of_routes.or_else(|| passing.find_map(|condition| self.names_of(&condition)))
    }

    /// Returns the names in the conditions that lead to this backend and compare visitors' Host or SNI.
    /// Includes names that a condition compares with only a part of the Host or SNI. Visitors may ask for
    /// other names, too.
    pub fn mentions(&self, backend: &str) -> Vec<String> {
        let conditions = self.open_routes(backend).chain(self.passing_conditions());
        let names = conditions.map(|condition| condition.mentions().collect::<Vec<_>>());
        names.flatten().collect()
    }

    /// Returns the names whose visitors an earlier `use_backend` rule always sends to another backend.
    pub fn taken(&self, backend: &str) -> Vec<String> {
        let is_before = |(to, condition): &&(String, Vec<String>)| {
            (to != backend && !to.contains("%[")) || condition.is_empty()
        };
        let before = self.routes.iter().take_while(is_before);
        let others = before.filter(|(to, condition)| to != backend && !condition.is_empty());
        let conditions = others.map(|(_, condition)| self.condition(condition));
        let conditions = conditions.filter(|condition| !condition.is_unless);
        let alternatives = conditions.flat_map(|condition| condition.alternatives);
        let alternatives = alternatives.filter(|terms| terms.len() == 1);
        let names = |terms: Vec<Term<'_>>| names_of(&terms, |criterion| self.names_in(criterion));
        alternatives.filter_map(names).flatten().collect()
    }

    /// Returns what the alternatives of the open routes to this backend require of a request.
    pub fn requirements(&self, backend: &str) -> Vec<Route> {
        let mut actions = self.rules().iter().filter_map(|rule| rule.value.get(1));
        let rewrites = actions.any(|action| rewrites_path(action));
        let routes = self.open_routes(backend).map(|condition| {
            // Terms that must not all hold together exclude no request by themselves.
            if condition.is_unless {
                return vec![Route::default()];
            }
            let route = |terms: &Vec<Term<'_>>| {
                let names = names_of(terms, |criterion| self.names_in(criterion));
                Route::of(terms, names, rewrites)
            };
            condition.alternatives.iter().map(route).collect()
        });
        routes.collect::<Vec<_>>().concat()
    }

    fn names_of(&self, condition: &Condition<'_>) -> Option<Vec<String>> {
        condition.names(|criterion| self.names_in(criterion))
    }

    /// Returns the names with which a criterion compares the whole Host or SNI of visitors. Leaves out a Host
    /// that no request has when HAProxy evaluates the criterion. Returns `None` if every request has one of
    /// these Hosts, or if the criterion is about something else.
    fn names_in(&self, criterion: &[String]) -> Option<Vec<String>> {
        let mut names = names_in(criterion)?;
        if is_of_host(criterion) {
            let host = self.host();
            if host.is_some_and(|host| names.iter().any(|name| is_same(name, &host.value))) {
                return None;
            }
            names.retain(|name| self.can_have_host(name));
        } else if self.computes_host() && matches!(self.settings.host, HostChange::Computed) {
            // The SNI says nothing about the Host that HAProxy computes.
            return None;
        }
        Some(names)
    }

    /// Returns the value and the condition of each rule that changes visitors' Host before HAProxy
    /// chooses the backend. The value is `None` if the rule doesn't set a fixed value. Returns no rules in
    /// `mode tcp`. Returns no rules for a `listen` either, because its backend already has these rules.
    fn rules_of_host(&self) -> impl DoubleEndedIterator<Item = (Option<At<&str>>, &[String])> {
        self.rules().iter().filter_map(|rule| {
            let HostRule { value, rest, .. } = HostRule::of(&rule.value)?;
            Some((value.map(|value| At::new(value, &rule.place)), rest))
        })
    }

    /// Returns the last fixed Host that a rule sets.
    pub fn last_host(&self) -> Option<At<String>> {
        let host = self.rules_of_host().rev().find_map(|(host, _)| host)?;
        Some(At::new(host.value.to_owned(), &host.place))
    }

    /// Returns false if no request can have this Host after the frontend's rules have changed it.
    fn can_have_host(&self, host: &str) -> bool {
        let rules = self.rules_of_host();
        rules.fold(true, |can, (value, condition)| match value {
            Some(value) => {
                let is_set = self.condition(condition).always_holds(host);
                is_same(value.value, host) || (can && !is_set)
            }
            None => true,
        })
    }

    /// Returns true if visitors' bytes are TLS when they leave this frontend in `mode tcp`, and `None` if
    /// this is unknown.
    pub fn speak_tls(&self) -> Option<bool> {
        let decrypts = self.binds.iter().all(|bind| bind.has_tls);
        // For a listener without `ssl`, only the port number suggests whether visitors speak TLS.
        let ports = self.binds.iter().filter_map(|bind| {
            let Endpoint::Tcp(_, port) = Endpoint::parse(&bind.address.value) else {
                return None;
            };
            Some(port).filter(|port| *port != 0)
        });
        let ports: Vec<u16> = ports.collect();
        let all = |is: fn(&u16) -> bool| !ports.is_empty() && ports.iter().all(is);
        match self.sees_hello {
            _ if decrypts && !self.binds.is_empty() => Some(false),
            true => Some(true),
            _ if all(|port| port % 1000 == 443) => Some(true),
            _ if all(|port| [80, 8000, 8080].contains(port)) => Some(false),
            _ => None,
        }
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
        let mut front = Frontend::new(settings, "frontend", "f");
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
        for case in [
            "use_backend b if { hdr_dom(host) -i a.b } { path_beg /x.y } => a.b",
            "acl x hdr(host) -m end .a.b;use_backend b if x => a.b",
            "use_backend b if { hdr_reg(Host) -i ^a\\.b$ } => a.b",
            "use_backend b unless { hdr_dom(host) a.b } => ",
            "acl x hdr_dom(host) a.b;use_backend b if !x => ",
            "use_backend b if ! { hdr_dom(host) a.b } => ",
            "use_backend b if { req.ssl_sni -m sub a.b } or { hdr_beg(host) c. } => a.b",
            "use_backend c if { hdr(host) a.b } => ",
        ] {
            let (lines, expected) = case.split_once(" => ").expect(case);
            assert_eq!(front(lines).mentions("b").join(" "), expected, "{lines}");
        }
    }

    #[test]
    fn rules_that_set_the_host_decide_which_conditions_can_hold() {
        let led = |lines: &str, condition: &str| {
            let lines = format!("{lines};use_backend b {condition}");
            front(&lines).open_routes("b").next().is_some()
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
        for case in [
            "http-request deny unless { hdr(host) -i A B } => A B",
            "http-request deny if !{ hdr(host) -i A } => A",
            "http-request deny if ! { hdr(host) -i A } => A",
            "acl x hdr(host) A;http-request deny if !x => A",
            "acl x hdr(host) A;http-request redirect prefix https://A unless x => A",
            "acl x hdr(host) A;tcp-request content reject unless x => A",
            "http-request deny if { hdr(host) A } => any name",
            "acl x hdr(host) A;http-request deny if !x { src B } => any name",
            "http-request deny unless { hdr(host) A } or { src B } => any name",
            "acl x hdr(host) A;http-request set-header x y if !x => any name",
        ] {
            let (rule, expected) = case.split_once(" => ").expect(case);
            let lines = format!("{rule};default_backend b");
            let names = front(&lines).names("b").map(|names| names.join(" "));
            assert_eq!(names.as_deref().unwrap_or("any name"), expected, "{rule}");
        }
    }

    #[test]
    fn conditions_name_the_hosts_of_a_backend() {
        for case in [
            "use_backend b if { hdr(host) -i A B } => A B",
            "use_backend b if { req.hdr(Host),lower -m str A } { ssl_fc } => A",
            "acl x ssl_fc_sni -i A;acl x hdr(host) B;use_backend b if y or x => any name",
            "acl x ssl_fc_sni -i A;acl x hdr(host) B;use_backend b if y x => A B",
            "acl x hdr(host) A;use_backend b if x || { hdr(host) B } => A B",
            "acl x hdr(host) A;use_backend b if !x => any name",
            "use_backend b if !{ hdr(host) A } => any name",
            "use_backend b if ! { hdr(host) A } => any name",
            "use_backend b unless { hdr(host) A } => any name",
            "use_backend b if { hdr_end(host) A } => any name",
            "use_backend b if { hdr(host) -m end A } => any name",
            "use_backend b if { hdr(host) -f names } => any name",
            "use_backend b if { hdr(host) A };default_backend b => any name",
            "use_backend b if { hdr(host) A };use_backend %[req.hdr(x)] => any name",
            "use_backend b if { hdr(host) A } { hdr(host) } => A",
            "http-request set-header Host A;use_backend b if { hdr(host) A } => any name",
            "http-request set-header Host A;use_backend b if { ssl_fc_sni B } => B",
            "http-request set-header Host A;use_backend b if { hdr(host) B } or { ssl_fc_sni C } => C",
        ] {
            let (lines, expected) = case.split_once(" => ").expect(case);
            let names = front(lines).names("b").map(|names| names.join(" "));
            assert_eq!(names.as_deref().unwrap_or("any name"), expected, "{lines}");
        }
    }
}
