//! The conditions of `use_backend`, apart from names: which pages visitors of a backend ask for (configuration
//! manual, sections 7.1 and 7.2).

use std::iter;

use super::criterion::is_same;

/// A term of a condition: one or several criteria, of which one must hold.
#[derive(Debug)]
pub(super) struct Term<'a> {
    /// The name of an `acl`. Empty for `{ … }`.
    name: &'a str,
    pub is_negated: bool,
    /// The criteria of `{ … }` or of the `acl` lines with this name. Empty for an ACL that HAProxy defines.
    pub criteria: Vec<Vec<&'a str>>,
}

/// Splits terms that must all hold. `acls` are the names and the criteria of the `acl` lines.
pub(super) fn split<'a>(terms: &'a [String], acls: &'a [(String, Vec<String>)]) -> Vec<Term<'a>> {
    let mut words = terms.iter().map(String::as_str);
    let mut found = Vec::new();
    let mut is_negated = false;
    while let Some(word) = words.next() {
        let name = word.trim_start_matches('!');
        is_negated ^= (word.len() - name.len()) % 2 == 1;
        if name.is_empty() {
            continue;
        }
        let criteria = match name {
            "{" => vec![words.by_ref().take_while(|word| *word != "}").collect()],
            _ => {
                let acls = acls.iter().filter(|(known, _)| known == name);
                let acls =
                    acls.map(|(_, criterion)| criterion.iter().map(String::as_str).collect());
                acls.collect()
            }
        };
        found.push(Term {
            name: if name == "{" { "" } else { name },
            is_negated: std::mem::take(&mut is_negated),
            criteria,
        });
    }
    found
}

/// A way to a backend: the requests that one alternative of a condition accepts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// The names that this alternative accepts, by Host or SNI. `None` if it accepts any name.
    pub names: Option<Vec<String>>,
    /// The paths that this alternative accepts. Empty if it accepts any path.
    paths: Vec<Path>,
    /// The paths that this alternative doesn't accept.
    excluded: Vec<Path>,
    /// True if the alternative requires something that doctor doesn't understand, such as a cookie.
    is_unclear: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Path {
    text: String,
    /// True if the path may be longer than the text.
    is_prefix: bool,
}

impl Path {
    fn matches(&self, path: &str) -> bool {
        match path.get(..self.text.len()) {
            Some(begin) => {
                begin.eq_ignore_ascii_case(&self.text)
                    && (self.is_prefix || path.len() == self.text.len())
            }
            None => false,
        }
    }

    /// Returns a path that matches. It ends with `page`, if possible, because a rule of the backend may remove
    /// the prefix.
    fn example(&self, page: &str) -> String {
        match self.is_prefix && page != "/" {
            true => format!("{}{page}", self.text.trim_end_matches('/')),
            false => self.text.clone(),
        }
    }
}

impl Route {
    /// Reads the terms of an alternative. `names` are the names that it accepts. `rewrites` is true if a rule
    /// changes paths before HAProxy looks at them.
    pub(super) fn of(terms: &[Term], names: Option<Vec<String>>, rewrites: bool) -> Route {
        let mut route = Route {
            names,
            ..Route::default()
        };
        for term in terms {
            let criteria = term.criteria.iter();
            let paths: Option<Vec<Vec<Path>>> =
                criteria.map(|criterion| paths(criterion)).collect();
            let paths = paths.map(|paths| paths.concat()).unwrap_or_default();
            let is_of_path = !paths.is_empty() && !rewrites;
            match term.is_negated {
                true => route.excluded.extend(paths),
                false if is_of_path && route.paths.is_empty() => route.paths = paths,
                false => route.is_unclear |= !term.accepts_any_request(),
            }
        }
        route
    }

    fn accepts(&self, path: &str) -> bool {
        let matches = |paths: &[Path]| paths.iter().any(|known| known.matches(path));
        !self.is_unclear
            && (self.paths.is_empty() || matches(&self.paths))
            && !matches(&self.excluded)
    }
}

impl Term<'_> {
    /// Returns true if the term is only about names, about the visitor's connection, or about HAProxy's own
    /// state.
    fn accepts_any_request(&self) -> bool {
        let names = [
            "METH_GET",
            "HTTP",
            "HTTP_1.1",
            "TRUE",
            "LOCALHOST",
            "WAIT_END",
        ];
        let fetches = [
            "always_true",
            "avg_queue",
            "be_",
            "connslots",
            "date",
            "dst",
            "fc_",
            "fe_",
            "nbsrv",
            "queue",
            "rand",
            "req.ssl_",
            "req_ssl_",
            "sc",
            "src",
            "srv_",
            "ssl_",
            "table_",
        ];
        let is_any = |criterion: &Vec<&str>| {
            let fetch = criterion.first().map_or("", |fetch| fetch.trim());
            let fetch = fetch.to_ascii_lowercase();
            fetch.contains("(host") || fetches.iter().any(|start| fetch.starts_with(start))
        };
        match self.criteria.is_empty() {
            true => names.contains(&self.name),
            false => self.criteria.iter().any(is_any),
        }
    }
}

/// Returns the paths that a criterion compares with the path of a request. Returns `None` for other criteria.
fn paths(criterion: &[&str]) -> Option<Vec<Path>> {
    let (expression, mut words) = criterion.split_first()?;
    let (fetch, converter) = expression.split_once(',').unwrap_or((expression, ""));
    let mut is_prefix = match fetch {
        "path" | "pathq" => false,
        "path_beg" => true,
        _ => return None,
    };
    if !["", "lower", "url_dec", "lower,url_dec", "url_dec,lower"].contains(&converter) {
        return None;
    }
    loop {
        words = match words {
            ["-i" | "--", rest @ ..] => rest,
            ["-m", "beg", rest @ ..] => {
                is_prefix = true;
                rest
            }
            ["-m", "str", rest @ ..] => rest,
            [] => return None,
            [word, ..] if word.starts_with('-') => return None,
            texts => {
                let path = |text: &&str| Path {
                    text: (*text).to_owned(),
                    is_prefix,
                };
                return Some(texts.iter().map(path).collect());
            }
        };
    }
}

/// A page for which doctor's visitor asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    pub uri: String,
    /// True if this is the wanted page, and requests for it reach the backend.
    pub is_wanted: bool,
}

/// Returns a page for which a visitor with this Host may ask: `wanted`, if a route accepts it, or else a page
/// that a route accepts.
pub(crate) fn page(routes: &[Route], host: &str, wanted: &str) -> Page {
    let path = wanted.split('?').next().unwrap_or_default();
    let is_of_host = |route: &&Route| {
        let mut names = route.names.iter().flatten();
        route.names.is_none() || names.any(|name| is_same(name, host))
    };
    let of_host: Vec<&Route> = routes.iter().filter(is_of_host).collect();
    let accepts = |path: &str| of_host.iter().any(|route| route.accepts(path));
    let is_wanted = of_host.is_empty() || accepts(path);
    let examples = of_host.iter().flat_map(|route| &route.paths);
    let examples = examples.map(|known| known.example(path));
    let mut others = iter::once("/".to_owned()).chain(examples);
    let other = others.find(|example| !is_wanted && accepts(example));
    Page {
        uri: other.unwrap_or_else(|| wanted.to_owned()),
        is_wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, page, split};

    #[test]
    fn visitors_ask_for_pages_that_the_condition_accepts() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        let acls = [
            ("api", "path_beg /api/"),
            ("admin", "path -m beg -i /admin"),
            ("post", "method POST"),
        ];
        let acls = acls.map(|(name, criterion)| (name.to_owned(), words(criterion)));
        for (condition, wanted, expected, is_wanted) in [
            ("api", "/health", "/api/health", false),
            ("api", "/api/health?a", "/api/health?a", true),
            ("api", "/", "/api/", false),
            ("!api", "/health", "/health", true),
            ("!{ path_beg /health } { ssl_fc }", "/health", "/", false),
            ("admin", "/ADMIN/x", "/ADMIN/x", true),
            ("{ path /x /y }", "/", "/x", false),
            ("{ path /x /y }", "/y", "/y", true),
            ("api { path_end .php }", "/", "/", false),
            ("post", "/", "/", false),
            ("!post", "/", "/", true),
            ("{ hdr(X-A) b }", "/a", "/a", false),
            (
                "METH_GET { src 127.0.0.1 } { hdr_end(host) .test }",
                "/a",
                "/a",
                true,
            ),
            ("{ path_reg ^/a }", "/a", "/a", false),
        ] {
            let terms = words(condition);
            let route = Route::of(&split(&terms, &acls), None, false);
            let page = page(&[route], "a.test", wanted);
            assert_eq!(
                (page.uri.as_str(), page.is_wanted),
                (expected, is_wanted),
                "{condition} {wanted}"
            );
        }
    }
}
