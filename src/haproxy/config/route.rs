//! The conditions of `use_backend`, apart from names: which pages visitors of a backend ask for
//! (configuration manual, sections 7.1 and 7.2).

use std::iter;

use super::condition::{Term, is_same};

/// Returns true if this action of `http-request` changes the path or the query of a request.
pub(super) fn rewrites_path(action: &str) -> bool {
    const ACTIONS: &str =
        "replace-path replace-pathq replace-uri set-path set-pathq set-query set-uri";
    ACTIONS.split(' ').any(|known| known == action)
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

    /// Returns a path that matches. It ends with `page`, if possible, because a rule of the backend may
    /// remove the prefix.
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
    pub(super) fn of(terms: &[Term<'_>], names: Option<Vec<String>>, rewrites: bool) -> Route {
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
                false => route.is_unclear |= !accepts_any_request(term),
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

/// Returns true if the term is only about names, about the visitor's connection, or about HAProxy's own state.
fn accepts_any_request(term: &Term<'_>) -> bool {
    const NAMES: &str = "METH_GET HTTP HTTP_1.1 TRUE LOCALHOST WAIT_END";
    const FETCHES: &str = "always_true avg_queue be_ connslots date dst fc_ fe_ nbsrv queue rand \
                           req.ssl_ req_ssl_ sc src srv_ ssl_ table_";
    let is_any = |criterion: &&[String]| {
        let fetch = criterion.first().map_or("", |fetch| fetch.trim());
        let fetch = fetch.to_ascii_lowercase();
        fetch.contains("(host") || FETCHES.split(' ').any(|start| fetch.starts_with(start))
    };
    match term.criteria.is_empty() {
        true => NAMES.split(' ').any(|name| name == term.name),
        false => term.criteria.iter().any(is_any),
    }
}

/// Returns the paths that a criterion compares with the path of a request. Returns `None` for other criteria.
fn paths(criterion: &[String]) -> Option<Vec<Path>> {
    let (expression, words) = criterion.split_first()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut words = words.as_slice();
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
    use super::super::condition::Condition;
    use super::{Route, page};

    #[test]
    fn visitors_ask_for_pages_that_the_condition_accepts() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<String>>();
        let acls = [
            ("api", "path_beg /api/"),
            ("admin", "path -m beg -i /admin"),
            ("post", "method POST"),
        ];
        let acls = acls.map(|(name, criterion)| (name.to_owned(), words(criterion)));
        let acls = acls.to_vec();
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
            let words = words(&format!("if {condition}"));
            let condition = Condition::read(&words, &acls);
            let route = Route::of(&condition.alternatives[0], None, false);
            let page = page(&[route], "a.test", wanted);
            assert_eq!(
                (page.uri.as_str(), page.is_wanted),
                (expected, is_wanted),
                "{words:?} {wanted}"
            );
        }
    }
}
